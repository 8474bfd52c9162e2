/* SPDX-License-Identifier: MIT */
/*
 * What the tests of transfers share: a HAL with one region for each way that bytes can be reached.
 */
#ifndef ZCMEM_TESTS_TRANSFER_FIXTURE_H
#define ZCMEM_TESTS_TRANSFER_FIXTURE_H

#include "fake.h"
#include "unit.h"
#include <string.h>

#define BYTES ((size_t)32768)
#define BOUNCE 16u

static const char *const names[FAKE_WAYS] = {"host", "cached", "ops", "read-write", "map", "direct", "nothing"};

/* A HAL with one region of each way, and what the test thinks of it. */
static struct zcmem_hal *hal;
static struct fake_region regions[FAKE_WAYS];
static unsigned char noise[8192];

static inline hal_addr_t base_of(int way) {
  return ((hal_addr_t)way + 1) << 32;
}

static inline void open_hal(size_t bounce) {
  struct zcmem_region_config configs[FAKE_WAYS];
  struct zcmem_hal_config config = {.name = "fake",
                                    .max_regions = FAKE_WAYS,
                                    .max_mappings = 2,
                                    .bounce_bytes = bounce,
                                    .lock = &fake_lock,
                                    .allocator = &fake_allocator};
  uint64_t state = 1;
  fake_reset();
  for (int way = 0; way < FAKE_WAYS; way++) {
    configs[way] = fake_region_open(&regions[way], (enum fake_way)way, names[way], base_of(way), BYTES);
  }
  assert_ok(zcmem_hal_create(&config, configs, FAKE_WAYS, &hal));
  for (size_t i = 0; i < sizeof noise; i++) {
    noise[i] = (unsigned char)random_next(&state);
  }
}

static inline int setup(void **state) {
  (void)state;
  open_hal(BOUNCE);
  return 0;
}

/* Every test frees what it allocated, and whatever it did, no use and no lock is left. */
static inline int teardown(void **state) {
  (void)state;
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (int way = 0; way < FAKE_WAYS; way++) {
    fake_region_close(&regions[way]);
  }
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return 0;
}

static inline hal_addr_t alloc(int way, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, (uint32_t)way, size, 1, &addr));
  return addr;
}

static inline struct zcmem_region_stats stats_of(int way) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, (uint32_t)way, &stats));
  return stats;
}

static inline void assert_unused(hal_addr_t addr) {
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(hal, addr, &info));
  assert_int_equal(info.pins, 0);
  assert_int_equal(info.transfers, 0);
}

/* The four transfers with one address each; a copy from and to `good`. */
static inline void assert_all_answer(hal_addr_t addr, hal_size_t size, hal_addr_t good, enum zcmem_status want) {
  assert_status(zcmem_mem_read(hal, noise, addr, size), want);
  assert_status(zcmem_mem_write(hal, addr, noise, size), want);
  assert_status(zcmem_mem_copy(hal, good, addr, size), want);
  assert_status(zcmem_mem_copy(hal, addr, good, size), want);
  assert_status(zcmem_mem_fill(hal, addr, noise, 1, size), want);
}

#endif
