/* SPDX-License-Identifier: MIT */
/* zcmem as an allocator to be measured: the facade with its default lock, and the bare heap. */
#include "peers.h"

#include "commands.h"
#include "report.h"
#include "settings.h"

#include <zcmem/hal.h>
#include <zcmem/heap.h>

#include <inttypes.h>
#include <stdlib.h>

/* Figures of an allocator that refuses a correct free would mean nothing. */
static void must_be_freed(enum zcmem_status status, uint64_t addr) {
  if (status != ZCMEM_OK) {
    bench_error("zcmem: free of 0x%" PRIx64 ": %s", addr, zcmem_status_string(status));
    abort();
  }
}

/* Random orders let the number of live blocks stray above the workload's while threads replace theirs. */
static uint32_t descriptors_for(uint32_t max_live) {
  return max_live > ZCMEM_MAX_BLOCKS / 2 ? ZCMEM_MAX_BLOCKS : 2 * max_live;
}

/* ------------------------------------------------------------------------------------------------- the facade -- */

static struct zcmem_region_config region_config(uint64_t bytes, uint64_t base, uint32_t max_live) {
  return (struct zcmem_region_config){
      .name = "bench",
      .kind = ZCMEM_KIND_DRAM,
      .base = base,
      .size = bytes,
      .quantum = BENCH_ALIGNMENT,
      .max_blocks = descriptors_for(max_live),
  };
}

static void *create_with(uint32_t flags, uint64_t bytes, uint64_t base, uint32_t max_live) {
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = 1, .flags = flags};
  const struct zcmem_region_config region = region_config(bytes, base, max_live);
  struct zcmem_hal *hal;
  return zcmem_hal_create(&config, &region, 1, &hal) == ZCMEM_OK ? hal : NULL;
}

struct zcmem_hal *bench_zcmem_hal(const struct zcmem_lock_ops *lock, uint32_t region_flags, uint64_t bytes,
                                  uint64_t base, uint32_t max_live) {
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = 1, .lock = lock};
  struct zcmem_region_config region = region_config(bytes, base, max_live);
  struct zcmem_hal *hal;
  region.flags = region_flags;
  return zcmem_hal_create(&config, &region, 1, &hal) == ZCMEM_OK ? hal : NULL;
}

static void *hal_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  return create_with(ZCMEM_HAL_MAGAZINES, bytes, base, max_live);
}

static void *hal_create_without(uint64_t bytes, uint64_t base, uint32_t max_live) {
  return create_with(0, bytes, base, max_live);
}

static void hal_destroy(void *self) {
  zcmem_hal_destroy(self);
}

static bool hal_alloc(void *self, uint64_t size, uint64_t align, uint64_t *addr) {
  return zcmem_mem_alloc(self, 0, size, align, addr) == ZCMEM_OK;
}

static void hal_free(void *self, uint64_t addr) {
  enum zcmem_status status = zcmem_mem_free(self, addr);
  if (status != ZCMEM_OK) {
    must_be_freed(status, addr);
  }
}

#ifdef ZCMEM_NO_PTHREAD
#define HAL_FLAGS 0
#else
#define HAL_FLAGS BENCH_PEER_THREAD_SAFE
#endif

const struct bench_peer bench_peer_hal = {
    "zcmem", HAL_FLAGS, hal_create, hal_destroy, hal_alloc, hal_free,
};
const struct bench_peer bench_peer_hal_off = {
    "zcmem", HAL_FLAGS, hal_create_without, hal_destroy, hal_alloc, hal_free,
};
const struct bench_peer bench_peer_hal_beside = {
    "zcmem-no-magazines", HAL_FLAGS, hal_create_without, hal_destroy, hal_alloc, hal_free,
};

/* ---------------------------------------------------------------------------------------------- the bare heap -- */

struct heap_peer {
  struct zcmem_heap *heap;
  void *memory;
};

static struct zcmem_heap_config heap_config(uint64_t bytes, uint64_t base, uint32_t max_live) {
  return (struct zcmem_heap_config){
      .base = base,
      .size = bytes,
      .quantum = BENCH_ALIGNMENT,
      .max_blocks = descriptors_for(max_live),
      .flags = ZCMEM_HEAP_ZEROED,
  };
}

static void *heap_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  const struct zcmem_heap_config config = heap_config(bytes, base, max_live);
  const size_t align = 64;
  size_t image_bytes = zcmem_heap_bytes(&config);
  struct heap_peer *self = calloc(1, sizeof *self);
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

static void heap_destroy(void *memory) {
  struct heap_peer *self = memory;
  free(self->memory);
  free(self);
}

static bool heap_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  const struct heap_peer *self = memory;
  return zcmem_heap_alloc(self->heap, size, align, addr) == ZCMEM_OK;
}

static void heap_free(void *memory, uint64_t addr) {
  const struct heap_peer *self = memory;
  enum zcmem_status status = zcmem_heap_free(self->heap, addr);
  if (status != ZCMEM_OK) {
    must_be_freed(status, addr);
  }
}

const struct bench_peer bench_peer_heap = {"zcmem", 0, heap_create, heap_destroy, heap_alloc, heap_free};

uint64_t bench_zcmem_bytes(uint64_t region_bytes, uint32_t max_live) {
  const struct zcmem_region_config region = region_config(region_bytes, BENCH_REGION_BASE, max_live);
  const struct zcmem_heap_config heap = heap_config(region_bytes, BENCH_REGION_BASE, max_live);
  return bench_settings.layer == BENCH_LAYER_HEAP ? zcmem_heap_bytes(&heap) : zcmem_region_bytes(&region);
}
