/* SPDX-License-Identifier: MIT */
/*
 * zcmem with hardening, for zcmem-bench --peer: what each of its parts costs. The host sees the region, which is zero
 * at first, so that of its pages only those count that are touched. "zcmem-plain" is the same without any of it.
 */
#define _DEFAULT_SOURCE
#include "peer.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <zcmem/zcmem.h>

#define QUANTUM 128u
#define RED_ZONE 128u
#define QUARANTINE (UINT64_C(1) << 20)

struct hardened {
  struct zcmem_hal *hal;
  void *host;
  uint64_t bytes;
  bool by_handle;
};

static void destroy(void *memory) {
  struct hardened *self = memory;
  (void)zcmem_hal_destroy(self->hal); /* NULL: nothing */
  if (self->host != MAP_FAILED) {
    (void)munmap(self->host, self->bytes);
  }
  free(self);
}

static void *create(uint64_t bytes, uint64_t base, uint32_t max_live, const struct zcmem_region_config *wanted) {
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = 1};
  struct zcmem_region_config region = *wanted;
  struct hardened *self = calloc(1, sizeof *self);
  if (!self) {
    return NULL;
  }
  self->bytes = bytes;
  self->host = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  region.name = "bench";
  region.kind = ZCMEM_KIND_DRAM;
  region.flags |= ZCMEM_REGION_COHERENT;
  region.base = base;
  region.size = bytes;
  region.quantum = QUANTUM;
  region.max_blocks = max_live > ZCMEM_MAX_BLOCKS / 4 ? ZCMEM_MAX_BLOCKS : 4 * max_live;
  region.host = self->host;
  self->by_handle = (region.flags & ZCMEM_REGION_HANDLES) != 0;
  if (self->host == MAP_FAILED || zcmem_hal_create(&config, &region, 1, &self->hal) != ZCMEM_OK) {
    destroy(self);
    return NULL;
  }
  return self;
}

#define CREATE(name, ...)                                                                                              \
  static void *create_##name(uint64_t bytes, uint64_t base, uint32_t max_live) {                                       \
    const struct zcmem_region_config wanted = {__VA_ARGS__};                                                           \
    return create(bytes, base, max_live, &wanted);                                                                     \
  }
CREATE(plain, .flags = 0)
CREATE(handles, .flags = ZCMEM_REGION_HANDLES)
CREATE(quarantine, .quarantine = QUARANTINE)
CREATE(red_zones, .red_zone = RED_ZONE)
CREATE(poison, .flags = ZCMEM_REGION_POISON)
CREATE(all, .flags = ZCMEM_REGION_HANDLES | ZCMEM_REGION_FILL | ZCMEM_REGION_POISON, .red_zone = RED_ZONE,
       .quarantine = QUARANTINE)

static bool alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  const struct hardened *self = memory;
  return zcmem_mem_alloc(self->hal, 0, size, align, addr) == ZCMEM_OK;
}

/* By handle it is asked for and used at once: the cost of both, without what a program keeps. */
static void release(void *memory, uint64_t addr) {
  const struct hardened *self = memory;
  struct zcmem_handle handle;
  enum zcmem_status status;
  if (self->by_handle) {
    status = zcmem_mem_handle(self->hal, addr, &handle);
    status = status == ZCMEM_OK ? zcmem_mem_free_handle(self->hal, handle) : status;
  } else {
    status = zcmem_mem_free(self->hal, addr);
  }
  if (status != ZCMEM_OK) {
    abort(); /* figures of an allocator that refuses a correct free would mean nothing */
  }
}

static const struct bench_peer peers[] = {
    {"zcmem-plain", BENCH_PEER_THREAD_SAFE, create_plain, destroy, alloc, release},
    {"zcmem-handles", BENCH_PEER_THREAD_SAFE, create_handles, destroy, alloc, release},
    {"zcmem-quarantine", BENCH_PEER_THREAD_SAFE, create_quarantine, destroy, alloc, release},
    {"zcmem-red-zones", BENCH_PEER_THREAD_SAFE, create_red_zones, destroy, alloc, release},
    {"zcmem-poison", BENCH_PEER_THREAD_SAFE, create_poison, destroy, alloc, release},
    {"zcmem-all", BENCH_PEER_THREAD_SAFE, create_all, destroy, alloc, release},
};

extern const struct bench_peer_list zcmem_bench_peers;
const struct bench_peer_list zcmem_bench_peers = {BENCH_PEER_VERSION, sizeof peers / sizeof peers[0], peers};
