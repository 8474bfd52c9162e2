/* SPDX-License-Identifier: MIT */
/* Store buffers of one store: what a thread stored last the others may see only when it goes on. */
#include "explore_impl.h"
#include <string.h>

struct store {
  void *at;
  size_t size; /* 0: none */
  unsigned char bytes[sizeof(uint64_t)];
};

static struct {
  struct store last;   /* with what was there before, while it may be seen later */
  struct store hidden; /* that is seen later */
} threads[EXPLORE_THREADS];
static uint64_t count;

void explore_stores_begin(void) {
  memset(threads, 0, sizeof threads);
  count = 0;
}

uint64_t explore_stores_count(void) {
  return count;
}

static void put(const struct store *store) {
  memcpy(store->at, store->bytes, store->size);
}

void explore_flush(unsigned thread) {
  struct store *hidden = &threads[thread].hidden;
  if (hidden->size != 0) {
    put(hidden);
    explore_race_show(thread, hidden->at);
    count++;
  }
  hidden->size = 0;
  threads[thread].last.size = 0;
}

void explore_flush_all(void) {
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    explore_flush(i);
  }
}

void explore_stored(const struct explore_access *access, const void *old) {
  struct store *last = &threads[explore_current].last;
  count++;
  *last = (struct store){.at = access->at, .size = access->reads ? 0 : access->size};
  if (last->size != 0) {
    memcpy(last->bytes, old, last->size);
  }
}

bool explore_stores_can_hide(unsigned thread) {
  return threads[thread].last.size != 0;
}

void explore_stores_hide(unsigned thread) {
  struct store *last = &threads[thread].last, *hidden = &threads[thread].hidden;
  *hidden = *last;
  memcpy(hidden->bytes, last->at, last->size);
  put(last);
  explore_race_hide(thread, last->at);
  last->size = 0;
}
