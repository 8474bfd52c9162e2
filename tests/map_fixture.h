/* SPDX-License-Identifier: MIT */
/*
 * What the tests of mapping and translation share: a HAL with a region that is mapped, two that are mapped on demand
 * and one that cannot be.
 */
#ifndef ZCMEM_TESTS_MAP_FIXTURE_H
#define ZCMEM_TESTS_MAP_FIXTURE_H

#include "fake.h"
#include "unit.h"
#include <string.h>

#define BYTES ((size_t)65536)
#define MAPPINGS 4u
#define RW (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

enum { HOST, COPYING, DIRECT, NOTHING, REGIONS };
static const enum fake_way ways[REGIONS] = {FAKE_HOST, FAKE_OPS, FAKE_MAP_DIRECT, FAKE_NOTHING};
static const char *const names[REGIONS] = {"host", "copying", "direct", "nothing"};

static struct zcmem_hal *hal;
static struct fake_region regions[REGIONS];

static inline void open_hal(uint32_t max_mappings) {
  struct zcmem_region_config configs[REGIONS];
  struct zcmem_hal_config config = {.name = "fake",
                                    .max_regions = REGIONS,
                                    .max_mappings = max_mappings,
                                    .lock = &fake_lock,
                                    .allocator = &fake_allocator};
  fake_reset();
  for (unsigned i = 0; i < REGIONS; i++) {
    configs[i] = fake_region_open(&regions[i], ways[i], names[i], ((hal_addr_t)i + 1) << 32, BYTES);
  }
  assert_ok(zcmem_hal_create(&config, configs, REGIONS, &hal));
}

static inline uint64_t close_hal(void) {
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(hal));
  uint64_t live = zcmem_hal_destroy(hal);
  for (unsigned i = 0; i < REGIONS; i++) {
    fake_region_close(&regions[i]); /* asserts that nothing is mapped */
  }
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return live;
}

static inline int setup(void **state) {
  (void)state;
  open_hal(MAPPINGS);
  return 0;
}

static inline int teardown(void **state) {
  (void)state;
  assert_int_equal(close_hal(), 0);
  return 0;
}

static inline hal_addr_t alloc(uint32_t region, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, region, size, 1, &addr));
  return addr;
}

/* All by maps; those on demand count as transfers, too. */
static inline uint32_t pins_of(hal_addr_t addr) {
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(hal, addr, &info));
  assert_int_equal(info.transfers, addr >> 32 == HOST + 1 ? 0 : info.pins);
  return info.pins;
}

static inline uint64_t maps_of(uint32_t region) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, region, &stats));
  return stats.maps;
}

#endif
