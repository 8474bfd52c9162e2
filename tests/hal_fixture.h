/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the HAL and its regions share: configs, and memory of the caller's.
 */
#ifndef ZCMEM_TESTS_HAL_FIXTURE_H
#define ZCMEM_TESTS_HAL_FIXTURE_H

#include "fake.h"
#include "unit.h"
#include <stdalign.h>
#include <string.h>

#define KB ((hal_size_t)1024)

static alignas(64) unsigned char memory[64 * 1024];
static alignas(64) unsigned char image[64 * 1024];
static alignas(64) unsigned char image_2[64 * 1024];

static inline int setup(void **state) {
  (void)state;
  fake_reset();
  memset(image, 0, sizeof image);
  memset(image_2, 0, sizeof image_2);
  return 0;
}

/* Whatever a test did: all locks destroyed, all memory given back. */
static inline int teardown(void **state) {
  (void)state;
  assert_int_equal(fake.locks_held, 0);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return 0;
}

static inline struct zcmem_hal_config plain_hal(void) {
  return (struct zcmem_hal_config){.name = "device", .max_regions = 3, .max_mappings = 2, .lock = &fake_lock};
}

static inline struct zcmem_hal_config allocating_hal(void) {
  struct zcmem_hal_config config = plain_hal();
  config.allocator = &fake_allocator;
  return config;
}

static inline struct zcmem_region_config plain_region(const char *name, hal_addr_t base, hal_size_t size) {
  return (struct zcmem_region_config){
      .name = name, .kind = ZCMEM_KIND_DRAM, .base = base, .size = size, .max_blocks = 16};
}

static inline struct zcmem_region_config region_in(const char *name, hal_addr_t base, hal_size_t size,
                                                   unsigned char *where) {
  struct zcmem_region_config config = plain_region(name, base, size);
  config.image = where;
  config.image_bytes = sizeof image;
  return config;
}

static inline struct zcmem_hal *made(const struct zcmem_hal_config *config) {
  struct zcmem_hal *hal = NULL;
  assert_ok(zcmem_hal_create(config, NULL, 0, &hal));
  return hal;
}

#endif
