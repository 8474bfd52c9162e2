/* SPDX-License-Identifier: MIT */
#include "peers.h"

#include "report.h"
#include "trace.h"

#include <zcmem/heap.h>

#include <dlfcn.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGNMENT 128u

/* ------------------------------------------------------------------------------------------------------ zcmem -- */

struct zcmem_peer {
  struct zcmem_heap *heap;
  void *memory;
};

static void *zcmem_create(uint64_t bytes, uint32_t max_live) {
  const struct zcmem_heap_config config = {
      .base = UINT64_C(1) << 40,
      .size = bytes,
      .quantum = ALIGNMENT,
      .max_blocks = max_live > ZCMEM_MAX_BLOCKS / 2 ? ZCMEM_MAX_BLOCKS : 2 * max_live,
      .flags = ZCMEM_HEAP_ZEROED,
  };
  const size_t align = 64;
  size_t image_bytes = zcmem_heap_bytes(&config);
  struct zcmem_peer *self = calloc(1, sizeof *self);
  char *memory = image_bytes ? calloc(1, image_bytes + align) : NULL;
  if (!self || !memory) {
    free(self);
    free(memory);
    return NULL;
  }
  self->memory = memory;
  void *image = memory + (align - (uintptr_t)memory % align) % align;
  if (zcmem_heap_init(image, image_bytes, &config, &self->heap) != ZCMEM_OK) {
    free(memory);
    free(self);
    return NULL;
  }
  return self;
}

static void zcmem_destroy(void *memory) {
  struct zcmem_peer *self = memory;
  free(self->memory);
  free(self);
}

static bool zcmem_alloc(void *memory, uint64_t size, uint64_t *addr) {
  const struct zcmem_peer *self = memory;
  return zcmem_heap_alloc(self->heap, size, ALIGNMENT, addr) == ZCMEM_OK;
}

static void zcmem_free(void *memory, uint64_t addr) {
  const struct zcmem_peer *self = memory;
  enum zcmem_status status = zcmem_heap_free(self->heap, addr);
  if (status != ZCMEM_OK) { /* figures of a heap that refuses a correct free would mean nothing */
    bench_error("zcmem: free of 0x%" PRIx64 ": %s", addr, zcmem_status_string(status));
    abort();
  }
}

const struct bench_peer bench_peer_zcmem = {"zcmem", zcmem_create, zcmem_destroy, zcmem_alloc, zcmem_free};

/* ------------------------------------------------------------------------------------------------ the driver -- */

static void *driver_create(uint64_t bytes, uint32_t max_live) {
  (void)bytes;
  (void)max_live;
  return calloc(1, sizeof(uint64_t));
}

static bool driver_alloc(void *self, uint64_t size, uint64_t *addr) {
  uint64_t *next = self;
  *addr = *next;
  *next += size;
  return true;
}

static void driver_free(void *self, uint64_t addr) {
  (void)self;
  (void)addr;
}

const struct bench_peer bench_peer_driver = {"driver", driver_create, free, driver_alloc, driver_free};

/* --------------------------------------------------------------------------------------------- shared objects -- */

static const char *append(struct bench_peers *peers, const struct bench_peer *peer) {
  if (!peer->name || !peer->create || !peer->destroy || !peer->alloc || !peer->free) {
    return "has an incomplete allocator";
  }
  if (peers->count == BENCH_MAX_PEERS) {
    return "has more allocators than fit";
  }
  for (uint32_t i = 0; i < peers->count; i++) {
    if (strcmp(peers->peer[i]->name, peer->name) == 0) {
      return "has an allocator whose name is taken";
    }
  }
  peers->peer[peers->count++] = peer;
  return NULL;
}

bool bench_peers_load(struct bench_peers *peers, const char *path) {
  char local[4096];
  if (!strchr(path, '/')) { /* or dlopen would look among the system's libraries */
    snprintf(local, sizeof local, "./%s", path);
    path = local;
  }
  void *object = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!object) {
    bench_error("%s", dlerror());
    return false;
  }
  const struct bench_peer_list *list = dlsym(object, ZCMEM_BENCH_PEERS);
  if (!list || list->version != 1) {
    bench_error("%s: exports no " ZCMEM_BENCH_PEERS " of version 1", path);
    return false;
  }
  for (uint32_t i = 0; i < list->count; i++) {
    const char *what = append(peers, &list->peers[i]);
    if (what) {
      bench_error("%s: %s", path, what);
      return false;
    }
  }
  return true;
}

/* ---------------------------------------------------------------------------------------------------- checked -- */

static void complain(struct bench_checked *self, const char *what) {
  if (what && !self->what) {
    self->what = what;
  }
}

static bool checked_alloc(void *memory, uint64_t size, uint64_t *addr) {
  struct bench_checked *self = memory;
  if (!self->inner->alloc(self->self, size, addr)) {
    return false;
  }
  if (*addr % ALIGNMENT != 0) {
    complain(self, "a block is misaligned");
  }
  complain(self, bench_overlap_add(&self->set, *addr, bench_trace_round(size, ALIGNMENT)));
  return true;
}

static void checked_free(void *memory, uint64_t addr) {
  struct bench_checked *self = memory;
  complain(self, bench_overlap_remove(&self->set, addr));
  self->inner->free(self->self, addr);
}

const struct bench_peer bench_peer_checked = {"checked", NULL, NULL, checked_alloc, checked_free};
