/* SPDX-License-Identifier: MIT */
/*
 * Buffers and views where something fails half way: nothing is given back twice, and nothing counted that did not
 * happen.
 */
#include "buffer_fixture.h"

/* The table's lock fails once the view is unmapped: the table's end does not unmap somebody else's range for it. */
static void test_a_view_that_cannot_close_is_unmapped_once(void **state) {
  const struct fake_region *region = &regions[FAKE_MAP_DIRECT];
  void *own = NULL;
  (void)state;
  zcmem_buffer_t buffer = create(RW, FAKE_MAP_DIRECT, NULL, 100);
  struct zcmem_view view = map(buffer, 0, 100, MAP_RW);
  fake.fail_lock_in = 4; /* behind those of the table, the mappings and the region */
  assert_status(zcmem_buffer_unmap(buffers, view.id), ZCMEM_ELOCK);
  assert_int_equal(region->mapped, 0);
  assert_int_equal(counters().views, 1);
  assert_ok(zcmem_mem_map(hal, view.addr, 50, MAP_RW, &own));
  assert_ptr_equal(own, view.host); /* as the view's was */
  assert_int_equal(close_table(), 1);
  assert_int_equal(region->mapped, 1);
  assert_ok(zcmem_mem_unmap(hal, own));
  assert_int_equal(region->mapped, 0);
  open_table(BUFFERS, VIEWS);
}

/* One that is open is. */
static void test_a_view_that_is_left_is_unmapped(void **state) {
  (void)state;
  zcmem_buffer_t buffer = create(RW, FAKE_MAP, NULL, 100);
  (void)map(buffer, 0, 100, MAP_RW);
  assert_int_equal(regions[FAKE_MAP].mapped, 1);
  assert_int_equal(close_table(), 1);
  assert_int_equal(regions[FAKE_MAP].mapped, 0);
  open_table(BUFFERS, VIEWS);
}

/* A begin that fails has avoided no copy. */
static void test_what_fails_is_not_counted(void **state) {
  struct zcmem_view none = {.id = 77};
  (void)state;
  hal_addr_t addr = alloc(FAKE_CACHED, 100);
  unsigned char *host = regions[FAKE_CACHED].view + (size_t)(addr - base_of(FAKE_CACHED));
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, host, 100);
  end(begin(buffer, 0, 10, READ));
  struct zcmem_buffers_stats before = counters();
  fake.fail_callback_in = 1;
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 100, RW, NULL, &none), ZCMEM_EIO);
  struct zcmem_buffers_stats now = counters();
  assert_int_equal(before.copies_avoided, 1);
  assert_int_equal(before.bytes_avoided, 10);
  assert_memory_equal(&now, &before, sizeof now);
  assert_int_equal(none.id, 77);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, addr));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_a_view_that_cannot_close_is_unmapped_once),
      TABLE_TEST(test_a_view_that_is_left_is_unmapped),
      TABLE_TEST(test_what_fails_is_not_counted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
