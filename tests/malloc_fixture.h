/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the malloc-shaped calls share: a handler that writes down what it is told, and a HAL with a region
 * of each kind that makes a difference.
 */
#ifndef ZCMEM_TESTS_MALLOC_FIXTURE_H
#define ZCMEM_TESTS_MALLOC_FIXTURE_H

#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

/* -------------------------------------------------------------------------------------------------- the handler -- */

static struct {
  unsigned count; /* since it was last looked at */
  enum zcmem_status status;
  const char *function;
  const void *ptr;
  size_t size;
} told;

static inline void tell(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  assert_ptr_equal(ctx, &told);
  assert_int_equal(fake.locks_held, 0);
  told.count++;
  told.status = status;
  told.function = function;
  told.ptr = ptr;
  told.size = size;
}

static inline void assert_nothing_told(void) {
  assert_int_equal(told.count, 0);
}

/* Exactly this was told, once. */
static inline void assert_told(enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  assert_int_equal(told.count, 1);
  assert_status(told.status, status);
  assert_string_equal(told.function, function);
  assert_ptr_equal(told.ptr, ptr);
  assert_int_equal(told.size, size);
  told.count = 0;
}

/* ------------------------------------------------------------------------------------------------------ the HAL -- */

#define BYTES ((size_t)65536)
#define MSMC_BYTES ((size_t)8192)
#define MAPPINGS 4u
#define DRAM ((uint32_t)ZCMEM_KIND_DRAM)
#define MSMC ((uint32_t)ZCMEM_KIND_MSMC)

/* Kinds: what the host sees on demand, by pointers to the memory or by copies that are not aligned; and not at all. */
enum { FAR = ZCMEM_KIND_USER, COPYING, BLIND, NO_KIND };

/* Two of kind DRAM, one added after the other. */
enum { DRAM_1, MSMC_1, FAR_1, COPYING_1, BLIND_1, DRAM_2, REGIONS };

static struct zcmem_hal *hal;
static struct fake_region regions[REGIONS];
static unsigned char *images[REGIONS]; /* as they were at keep() */

static inline void open_hal(void) {
  static const struct {
    const char *name;
    enum fake_way way;
    uint32_t kind;
    size_t bytes;
  } all[REGIONS] = {
      [DRAM_1] = {"dram", FAKE_HOST, DRAM, BYTES},       [MSMC_1] = {"msmc", FAKE_HOST, MSMC, MSMC_BYTES},
      [FAR_1] = {"far", FAKE_MAP_DIRECT, FAR, BYTES},    [COPYING_1] = {"copying", FAKE_OPS, COPYING, BYTES},
      [BLIND_1] = {"blind", FAKE_NOTHING, BLIND, BYTES}, [DRAM_2] = {"more", FAKE_HOST, DRAM, BYTES}};
  struct zcmem_region_config configs[REGIONS];
  const struct zcmem_hal_config config = {.name = "fake",
                                          .max_regions = REGIONS,
                                          .max_mappings = MAPPINGS,
                                          .lock = &fake_lock,
                                          .allocator = &fake_allocator};
  fake_reset();
  for (unsigned i = 0; i < REGIONS; i++) {
    configs[i] = fake_region_open(&regions[i], all[i].way, all[i].name, ((hal_addr_t)i + 1) << 32, all[i].bytes);
    configs[i].kind = all[i].kind;
  }
  assert_ok(zcmem_hal_create(&config, configs, REGIONS, &hal));
  assert_ok(zcmem_malloc_set_hal(hal));
  memset(&told, 0, sizeof told);
  zcmem_malloc_set_handler(tell, &told);
}

/* Returns what was still live. */
static inline uint64_t close_hal(void) {
  assert_nothing_told();
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_malloc_set_hal(NULL));
  zcmem_malloc_set_handler(NULL, NULL);
  assert_ok(zcmem_hal_check(hal));
  uint64_t live = zcmem_hal_destroy(hal);
  for (unsigned i = 0; i < REGIONS; i++) {
    fake_region_close(&regions[i]); /* asserts that nothing is mapped */
    free(images[i]);
    images[i] = NULL;
  }
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return live;
}

static inline int setup(void **state) {
  (void)state;
  open_hal();
  return 0;
}

/* Every test frees what it allocated. */
static inline int teardown(void **state) {
  (void)state;
  assert_int_equal(close_hal(), 0);
  return 0;
}

/* Between the two no heap changes, by a single byte. */
static inline void keep(void) {
  for (unsigned i = 0; i < REGIONS; i++) {
    free(images[i]);
    images[i] = malloc(hal->regions[i].image_bytes);
    assert_non_null(images[i]);
    memcpy(images[i], hal->regions[i].heap, hal->regions[i].image_bytes);
  }
}
static inline void assert_unchanged(void) {
  for (unsigned i = 0; i < REGIONS; i++) {
    assert_memory_equal(images[i], hal->regions[i].heap, hal->regions[i].image_bytes);
  }
}

static inline struct zcmem_region_stats stats_of(uint32_t region) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, region, &stats));
  return stats;
}

/* The device address of the pointer. */
static inline hal_addr_t address(const void *ptr) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_device(hal, ptr, &addr, NULL));
  return addr;
}

/* The region that the block is in. */
static inline uint32_t home(const void *ptr) {
  uint32_t region = REGIONS;
  assert_ok(zcmem_hal_region_of(hal, address(ptr), &region));
  return region;
}

/* An allocation that works. */
static inline unsigned char *get(uint32_t kind, size_t size) {
  unsigned char *ptr = zcmem_malloc(kind, size);
  assert_nothing_told();
  assert_non_null(ptr);
  assert_int_equal((uintptr_t)ptr % ZCMEM_MALLOC_ALIGN, 0);
  assert_int_equal(zcmem_malloc_size(ptr), size);
  return ptr;
}

static inline void put(uint32_t kind, void *ptr) {
  zcmem_free(kind, ptr);
  assert_nothing_told();
}

/* A pointer that cannot be freed, nor resized, under this kind: so it is told, and nothing is done. */
static inline void assert_refused(uint32_t kind, void *ptr, enum zcmem_status status) {
  keep();
  zcmem_free(kind, ptr);
  assert_told(status, "zcmem_free", ptr, 0);
  assert_null(zcmem_realloc(kind, ptr, 1));
  assert_told(status, "zcmem_realloc", ptr, 1);
  assert_unchanged();
}

#endif
