/* SPDX-License-Identifier: MIT */
#include "wrap.h"

#include "trace.h"

#include <stdlib.h>

/* Nobody can go on without the mutex. */
static void take(pthread_mutex_t *mutex) {
  if (pthread_mutex_lock(mutex) != 0) {
    abort();
  }
}

static void give(pthread_mutex_t *mutex) {
  if (pthread_mutex_unlock(mutex) != 0) {
    abort();
  }
}

static bool locked_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  struct bench_locked *self = memory;
  take(&self->mutex);
  bool good = self->inner->alloc(self->self, size, align, addr);
  give(&self->mutex);
  return good;
}

static void locked_free(void *memory, uint64_t addr) {
  struct bench_locked *self = memory;
  take(&self->mutex);
  self->inner->free(self->self, addr);
  give(&self->mutex);
}

const struct bench_peer bench_peer_locked = {
    "locked", BENCH_PEER_THREAD_SAFE, NULL, NULL, locked_alloc, locked_free,
};

/*
 * A range is in the set at most while its block is live: it goes in after alloc and comes out before free. So two that
 * meet in the set are live at once, whatever other threads do meanwhile.
 */
static void complain(struct bench_checked *self, const char *what) {
  if (what && !self->what) {
    self->what = what;
  }
}

static bool checked_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  struct bench_checked *self = memory;
  if (!self->inner->alloc(self->self, size, align, addr)) {
    return false;
  }
  take(&self->mutex);
  if (*addr % self->alignment != 0) {
    complain(self, "a block is misaligned");
  }
  complain(self, bench_overlap_add(&self->set, *addr, bench_trace_round(size, self->alignment)));
  give(&self->mutex);
  return true;
}

static void checked_free(void *memory, uint64_t addr) {
  struct bench_checked *self = memory;
  take(&self->mutex);
  complain(self, bench_overlap_remove(&self->set, addr));
  give(&self->mutex);
  self->inner->free(self->self, addr);
}

const struct bench_peer bench_peer_checked = {
    "checked", BENCH_PEER_THREAD_SAFE, NULL, NULL, checked_alloc, checked_free,
};
