/* SPDX-License-Identifier: MIT */
/*
 * Buffers and views where something fails half way, and where the same bytes can be met in two ways: nothing is given
 * back twice, counted that did not happen, or taken for what it is not.
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

/* The table of mappings cannot be locked: the view ends, and the range is still mapped for who asks for it. */
static void test_an_unmap_without_the_lock_of_mappings(void **state) {
  const struct fake_region *region = &regions[FAKE_MAP];
  (void)state;
  zcmem_buffer_t buffer = create(RW, FAKE_MAP, NULL, 100);
  struct zcmem_view view = map(buffer, 0, 100, MAP_RW);
  fake.fail_lock_in = 2;
  assert_status(zcmem_buffer_unmap(buffers, view.id), ZCMEM_ELOCK);
  assert_int_equal(counters().views, 0);
  assert_status(zcmem_buffer_unmap(buffers, view.id), ZCMEM_ENOENT);
  assert_int_equal(region->mapped, 1);
  release(buffer);
  assert_int_equal(stats_of(FAKE_MAP).live, 1); /* a zombie */
  assert_ok(zcmem_mem_unmap(hal, view.host));
  assert_int_equal(region->mapped, 0);
  assert_int_equal(stats_of(FAKE_MAP).live, 0);
}

static void fail_next_lock(void *unused) {
  (void)unused;
  fake.fail_lock_in = 1;
  fake.fail_callback_in = 1; /* this callback */
}

/* A begin that can neither go on nor close: its bytes stay refused, all others do not. */
static void test_a_begin_that_cannot_close(void **state) {
  unsigned char host[100] = {0};
  struct zcmem_view none = {.id = 77};
  (void)state;
  zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, sizeof host);
  regions[FAKE_OPS].inside = fail_next_lock;
  assert_status(zcmem_buffer_begin(buffers, buffer, 10, 20, READ, NULL, &none), ZCMEM_ELOCK);
  assert_int_equal(none.id, 77);
  assert_int_equal(counters().views, 1);
  assert_status(zcmem_buffer_begin(buffers, buffer, 20, 20, READ, NULL, &none), ZCMEM_EBUSY);
  assert_excluded(buffer, 20, 20, WRITE, buffer);
  end(begin(buffer, 30, 70, RW));
  release(buffer);
  assert_int_equal(counters().buffers, 1); /* by its view */
  assert_int_equal(close_table(), 1);
  assert_int_equal(stats_of(FAKE_OPS).live, 0);
  open_table(BUFFERS, VIEWS);
}

/* Where a shadow lies another buffer may be made, whose views bring nothing in. */
static void test_a_gap_is_the_shadows_own(void **state) {
  unsigned char host[1000];
  (void)state;
  for (uint32_t alias = 0; alias <= ZCMEM_BUFFER_ALIAS; alias += ZCMEM_BUFFER_ALIAS) {
    memset(host, 1, sizeof host);
    zcmem_buffer_t shadow = create(READ | USE | alias, FAKE_HOST, host, sizeof host);
    unsigned char *device = fake_at(&regions[FAKE_HOST], info_of(shadow).addr);
    memset(device, 2, sizeof host);
    zcmem_buffer_t over = create(READ | USE, NOWHERE, device, sizeof host);
    assert_true(info_of(over).zero_copy);
    uint64_t before = counters().bytes_copied_in;
    struct zcmem_view whole = begin(over, 0, 1000, READ), part = begin(over, 100, 200, READ);
    struct zcmem_view view = begin(shadow, 50, 900, READ);
    assert_int_equal(counters().bytes_copied_in - before, 900);
    assert_memory_equal(device + 50, host + 50, 900);
    assert_int_equal(device[49] + device[950], 4);
    end(view);
    end(part);
    end(whole);
    release(over);
    release(shadow);
  }
}

static void assert_no_shadow(uintptr_t at, hal_size_t size) {
  zcmem_buffer_t none = 77;
  uint64_t live = stats_of(FAKE_OPS).live;
  assert_status(try_create(READ | USE, FAKE_OPS, (void *)at, size, &none), ZCMEM_EINVAL);
  assert_int_equal(none, 77);
  assert_int_equal(stats_of(FAKE_OPS).live, live);
}

/* Host memory that begins outside of all that is mapped and runs into it would be in two places. */
static void test_no_shadow_of_what_is_mapped(void **state) {
  static unsigned char space[400];
  void *mapped = NULL;
  (void)state;
  uintptr_t seen = (uintptr_t)regions[FAKE_HOST].memory, at = (uintptr_t)space;
  assert_no_shadow(seen - 10, 11);
  assert_no_shadow(seen - 10, BYTES + 20); /* around all of it */
  assert_ok(zcmem_hal_add_alias(hal, FAKE_NOTHING, 0, 100, space + 100));
  assert_no_shadow(at + 90, 20);
  assert_no_shadow(at, sizeof space);
  release(create(READ | USE, FAKE_OPS, space, 100)); /* up to it */
  release(create(READ | USE, FAKE_OPS, space + 200, 200));
  release(create(READ | ZCMEM_BUFFER_COPY_HOST, FAKE_OPS, space + 90, 20)); /* a copy is one anyway */
  hal_addr_t addr = alloc(FAKE_MAP_DIRECT, 100);
  assert_ok(zcmem_mem_map(hal, addr, 100, MAP_RW, &mapped));
  assert_no_shadow((uintptr_t)mapped - 10, 11);
  assert_ok(zcmem_mem_unmap(hal, mapped));
  release(create(WRITE | USE, FAKE_OPS, (void *)((uintptr_t)mapped - 10), 11)); /* now it is host memory as any other */
  assert_ok(zcmem_mem_free(hal, addr));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_a_view_that_cannot_close_is_unmapped_once),
      TABLE_TEST(test_a_view_that_is_left_is_unmapped),
      TABLE_TEST(test_what_fails_is_not_counted),
      TABLE_TEST(test_an_unmap_without_the_lock_of_mappings),
      TABLE_TEST(test_a_begin_that_cannot_close),
      TABLE_TEST(test_a_gap_is_the_shadows_own),
      TABLE_TEST(test_no_shadow_of_what_is_mapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
