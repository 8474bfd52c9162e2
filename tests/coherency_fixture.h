/* SPDX-License-Identifier: MIT */
/*
 * What the tests of coherency share: a HAL with two regions behind a cache, of lines of two sizes, and one that only
 * its callbacks reach; and a table of buffers.
 */
#ifndef ZCMEM_TESTS_COHERENCY_FIXTURE_H
#define ZCMEM_TESTS_COHERENCY_FIXTURE_H

#include "cached_device.h"
#include "fake.h"
#include "unit.h"
#include <string.h>

#define BYTES ((size_t)16384)
#define READ ZCMEM_BUFFER_READ
#define WRITE ZCMEM_BUFFER_WRITE
#define RW (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)
#define USE ZCMEM_BUFFER_USE_HOST
#define VIEWS 8u

enum { SHORT_LINES, LONG_LINES, REMOTE, REGIONS, CACHED = REMOTE };
static const size_t lines[CACHED] = {32, 128};

static struct zcmem_hal *hal;
static struct cached_device devices[CACHED];
static struct fake_region remote;
static struct zcmem_buffers *buffers;
static void *table;

static inline int setup(void **state) {
  const struct zcmem_hal_config config = {.name = "cached",
                                          .max_regions = REGIONS,
                                          .max_mappings = 2,
                                          .bounce_bytes = 48, /* copies in parts that end within lines */
                                          .lock = &fake_lock,
                                          .allocator = &fake_allocator};
  struct zcmem_region_config regions[REGIONS];
  (void)state;
  fake_reset();
  regions[SHORT_LINES] = cached_device_open(&devices[SHORT_LINES], "short", 0x10000, BYTES, lines[SHORT_LINES]);
  regions[LONG_LINES] = cached_device_open(&devices[LONG_LINES], "long", 0x20000, BYTES, lines[LONG_LINES]);
  regions[REMOTE] = fake_region_open(&remote, FAKE_OPS, "remote", 0x30000, BYTES);
  assert_ok(zcmem_hal_create(&config, regions, REGIONS, &hal));
  for (int i = 0; i < CACHED; i++) {
    devices[i].hal = hal;
  }
  const struct zcmem_buffers_config tables = {.hal = hal, .max_buffers = 32, .max_views = VIEWS};
  size_t bytes = zcmem_buffers_bytes(&tables);
  table = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(table);
  assert_ok(zcmem_buffers_init(table, bytes, &tables, &buffers));
  return 0;
}

static inline int teardown(void **state) {
  (void)state;
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  free(table);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (int i = 0; i < CACHED; i++) {
    cached_device_close(&devices[i]);
  }
  fake_region_close(&remote);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return 0;
}

static inline hal_addr_t alloc(int region, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, (uint32_t)region, size, 1, &addr));
  return addr;
}

static inline enum zcmem_status try_create(uint32_t flags, int region, void *host, hal_size_t size,
                                           zcmem_buffer_t *buffer) {
  const struct zcmem_buffer_config config = {.flags = flags, .region = (uint32_t)region, .host = host, .size = size};
  return zcmem_buffer_create(buffers, &config, buffer);
}

static inline zcmem_buffer_t create(uint32_t flags, int region, void *host, hal_size_t size) {
  zcmem_buffer_t buffer = 0;
  assert_ok(try_create(flags, region, host, size, &buffer));
  return buffer;
}

static inline void release(zcmem_buffer_t buffer) {
  assert_ok(zcmem_buffer_release(buffers, buffer));
}

/* Where the device sees addr, in whatever region. */
static inline unsigned char *device_at(hal_addr_t addr) {
  for (int i = 0; i < CACHED; i++) {
    if (addr - devices[i].base < BYTES) {
      return cached_device_at(&devices[i], addr);
    }
  }
  return fake_at(&remote, addr);
}

#endif
