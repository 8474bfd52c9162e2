/* SPDX-License-Identifier: MIT */
/*
 * What the tests of buffers share: the HAL of transfer_fixture.h, with one region for each way that bytes can be
 * reached, and a table of buffers over it.
 */
#ifndef ZCMEM_TESTS_BUFFER_FIXTURE_H
#define ZCMEM_TESTS_BUFFER_FIXTURE_H

#include "transfer_fixture.h"
#include <stdalign.h>

#define BUFFERS 16u
#define VIEWS 8u
#define READ ZCMEM_BUFFER_READ
#define WRITE ZCMEM_BUFFER_WRITE
#define RW (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)
#define USE ZCMEM_BUFFER_USE_HOST
#define MAP_RW (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)
#define NOWHERE 99 /* no such region: where none is looked at */

static struct zcmem_buffers *buffers;
static void *table;

static inline void open_table(uint32_t max_buffers, uint32_t max_views) {
  const struct zcmem_buffers_config config = {.hal = hal, .max_buffers = max_buffers, .max_views = max_views};
  size_t bytes = zcmem_buffers_bytes(&config);
  assert_true(bytes > 0);
  table = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(table);
  memset(table, 0xa5, bytes);
  assert_ok(zcmem_buffers_init(table, bytes, &config, &buffers));
}

/* Answers how many buffers were still there. */
static inline uint64_t close_table(void) {
  assert_int_equal(fake.locks_held, 0);
  uint64_t left = zcmem_buffers_destroy(buffers);
  free(table);
  return left;
}

static inline int setup_table(void **state) {
  setup(state);
  open_table(BUFFERS, VIEWS);
  return 0;
}

/* Every test releases what it made; then no block is in use or live either (transfer_fixture.h). */
static inline int teardown_table(void **state) {
  assert_int_equal(close_table(), 0);
  return teardown(state);
}

static inline enum zcmem_status try_create(uint32_t flags, int region, void *host, hal_size_t size,
                                           zcmem_buffer_t *buffer) {
  const struct zcmem_buffer_config config = {.flags = flags, .region = (uint32_t)region, .host = host, .size = size};
  return zcmem_buffer_create(buffers, &config, buffer);
}

static inline zcmem_buffer_t create(uint32_t flags, int region, void *host, hal_size_t size) {
  zcmem_buffer_t buffer = 0;
  assert_ok(try_create(flags, region, host, size, &buffer));
  assert_int_not_equal(buffer, 0);
  return buffer;
}

static inline zcmem_buffer_t create_sub(zcmem_buffer_t parent, uint32_t flags, hal_size_t offset, hal_size_t size) {
  zcmem_buffer_t buffer = 0;
  assert_ok(zcmem_buffer_create_sub(buffers, parent, flags, offset, size, &buffer));
  assert_int_not_equal(buffer, 0);
  assert_int_not_equal(buffer, parent);
  return buffer;
}

static inline void release(zcmem_buffer_t buffer) {
  assert_ok(zcmem_buffer_release(buffers, buffer));
}

static inline struct zcmem_buffer_info info_of(zcmem_buffer_t buffer) {
  struct zcmem_buffer_info info;
  assert_ok(zcmem_buffer_get_info(buffers, buffer, &info));
  return info;
}

static inline struct zcmem_buffers_stats counters(void) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_buffers_get_stats(buffers, &stats));
  return stats;
}

/* Callbacks of all kinds that the region had. */
static inline unsigned calls_of(int way) {
  unsigned calls = 0;
  for (int call = 0; call < FAKE_CALLS; call++) {
    calls += regions[way].calls[call];
  }
  return calls;
}

/* Opens a view for the device; it says what it was asked for. */
static inline struct zcmem_view begin(zcmem_buffer_t buffer, hal_size_t offset, hal_size_t size, uint32_t mode) {
  struct zcmem_view view = {0};
  struct zcmem_buffer_info info = info_of(buffer);
  assert_ok(zcmem_buffer_begin(buffers, buffer, offset, size, mode, NULL, &view));
  assert_int_not_equal(view.id, 0);
  assert_int_equal(view.addr, info.addr + offset);
  assert_int_equal(view.size, size);
  assert_null(view.host);
  return view;
}

static inline void end(struct zcmem_view view) {
  assert_ok(zcmem_buffer_end(buffers, view.id));
}

static inline struct zcmem_view map(zcmem_buffer_t buffer, hal_size_t offset, hal_size_t size, unsigned flags) {
  struct zcmem_view view = {0};
  struct zcmem_buffer_info info = info_of(buffer);
  assert_ok(zcmem_buffer_map(buffers, buffer, offset, size, flags, NULL, &view));
  assert_int_not_equal(view.id, 0);
  assert_int_equal(view.addr, info.addr + offset);
  assert_int_equal(view.size, size);
  assert_non_null(view.host);
  return view;
}

static inline void unmap(struct zcmem_view view) {
  assert_ok(zcmem_buffer_unmap(buffers, view.id));
}

/* A view that is refused since `by` has an open one; nothing but *other is written. */
static inline void assert_excluded(zcmem_buffer_t buffer, hal_size_t offset, hal_size_t size, uint32_t mode,
                                   zcmem_buffer_t by) {
  struct zcmem_view view = {.id = 77};
  zcmem_buffer_t other = 0;
  uint64_t refused = counters().refused_overlap;
  assert_status(zcmem_buffer_begin(buffers, buffer, offset, size, mode, &other, &view), ZCMEM_EOVERLAP);
  assert_int_equal(other, by);
  assert_int_equal(view.id, 77);
  assert_int_equal(counters().refused_overlap, refused + 1);
}

#define TABLE_TEST(name) cmocka_unit_test_setup_teardown(name, setup_table, teardown_table)

#endif
