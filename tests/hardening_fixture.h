/* SPDX-License-Identifier: MIT */
/*
 * What the tests of hardening share: a HAL with one region that is mapped, made as each test wants it.
 */
#ifndef ZCMEM_TESTS_HARDENING_FIXTURE_H
#define ZCMEM_TESTS_HARDENING_FIXTURE_H

#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

#define QUANTUM ((hal_size_t)128)
#define QUANTA 64u
#define BASE ((hal_addr_t)1 << 32)

static struct zcmem_hal *hal;
static struct fake_region dram;

static inline struct zcmem_region_config hardened(uint32_t flags, hal_size_t red_zone, hal_size_t quarantine) {
  struct zcmem_region_config config = fake_region_open(&dram, FAKE_HOST, "dram", BASE, QUANTA * QUANTUM);
  config.flags |= flags;
  config.red_zone = red_zone;
  config.quarantine = quarantine;
  return config;
}

static inline void open_config(const struct zcmem_region_config *region) {
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 2, .max_mappings = 2, .lock = &fake_lock, .allocator = &fake_allocator};
  fake_reset();
  assert_ok(zcmem_hal_create(&config, region, 1, &hal));
}

static inline void open_hardened(uint32_t flags, hal_size_t red_zone, hal_size_t quarantine) {
  struct zcmem_region_config region = hardened(flags, red_zone, quarantine);
  open_config(&region);
}

/* With so many blocks live. */
static inline void close_hardened(uint64_t live) {
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), live);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  fake_region_close(&dram);
}

static inline hal_addr_t block_of(hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, 0, size, 1, &addr));
  return addr;
}

static inline struct zcmem_region_stats stats_now(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  return stats;
}

/* Stores another byte than is there, as a program does through a host pointer. */
static inline void spoil(hal_addr_t addr) {
  *fake_at(&dram, addr) ^= 0x55;
}

static inline void assert_damage(enum zcmem_damage_kind kind, hal_addr_t block, hal_addr_t at, uint64_t count) {
  struct zcmem_damage damage;
  assert_status(zcmem_hal_check_guards(hal, 0, false, &damage), ZCMEM_ECORRUPT);
  assert_status(zcmem_hal_check(hal), ZCMEM_ECORRUPT);
  assert_int_equal(damage.kind, kind);
  assert_int_equal(damage.block, block);
  assert_int_equal(damage.at, at);
  assert_int_equal(damage.count, count);
}

static inline void mend(void) {
  assert_status(zcmem_hal_check_guards(hal, 0, true, NULL), ZCMEM_ECORRUPT);
  assert_ok(zcmem_hal_check_guards(hal, 0, false, NULL));
  assert_ok(zcmem_hal_check(hal));
}

#endif
