/* SPDX-License-Identifier: MIT */
#include "malloc_fixture.h"

static void number(unsigned char *ptr, size_t size) {
  for (size_t i = 0; i < size; i++) {
    ptr[i] = (unsigned char)(i * 7 + 1);
  }
}

static void assert_numbered(const unsigned char *ptr, size_t size) {
  for (size_t i = 0; i < size; i++) {
    assert_int_equal(ptr[i], (unsigned char)(i * 7 + 1));
  }
}

static unsigned char *resized(uint32_t kind, void *ptr, size_t size) {
  unsigned char *to = zcmem_realloc(kind, ptr, size);
  assert_nothing_told();
  assert_non_null(to);
  assert_int_equal((uintptr_t)to % 128, 0);
  assert_int_equal(zcmem_malloc_size(to), size);
  return to;
}

static void test_null_is_malloc(void **state) {
  (void)state;
  put(DRAM, resized(DRAM, NULL, 100));
  put(MSMC, resized(MSMC, NULL, 0));
  assert_null(zcmem_realloc(MSMC, NULL, MSMC_BYTES + 1));
  assert_told(ZCMEM_ENOSPC, "zcmem_realloc", NULL, MSMC_BYTES + 1);
}

static void test_in_place_where_possible(void **state) {
  (void)state;
  unsigned char *ptr = get(DRAM, 1000);
  number(ptr, 1000);
  assert_ptr_equal(resized(DRAM, ptr, 1024), ptr);
  assert_ptr_equal(resized(DRAM, ptr, 30000), ptr);
  assert_numbered(ptr, 1000);
  assert_ptr_equal(resized(DRAM, ptr, 500), ptr);
  assert_numbered(ptr, 500);
  assert_ptr_equal(resized(DRAM, ptr, 0), ptr); /* not a free */
  assert_int_equal(stats_of(DRAM_1).allocations, 1);
  assert_int_equal(stats_of(DRAM_1).resizes, 4);
  put(DRAM, ptr);
}

static void test_moves_where_not(void **state) {
  (void)state;
  unsigned char *ptr = get(DRAM, 1000), *wall = get(DRAM, 1);
  number(ptr, 1000);
  unsigned char *to = resized(DRAM, ptr, 1025);
  assert_ptr_not_equal(to, ptr);
  assert_numbered(to, 1000);
  assert_refused(DRAM, ptr, ZCMEM_ENOENT); /* the old one is free */
  assert_int_equal(stats_of(DRAM_1).live, 2);
  /* Nothing is left in this region: to the other one, and back. */
  unsigned char *far = resized(DRAM, to, BYTES);
  assert_int_equal(home(far), DRAM_2);
  assert_numbered(far, 1000);
  assert_int_equal(stats_of(DRAM_1).live, 1);
  put(DRAM, far);
  put(DRAM, wall);
}

static void test_failing_leaves_the_block(void **state) {
  static const size_t large[] = {MSMC_BYTES + 1, SIZE_MAX, SIZE_MAX - 127};
  (void)state;
  unsigned char *ptr = get(MSMC, 1000);
  number(ptr, 1000);
  keep();
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    assert_null(zcmem_realloc(MSMC, ptr, large[i]));
    assert_told(ZCMEM_ENOSPC, "zcmem_realloc", ptr, large[i]);
  }
  assert_unchanged();
  assert_numbered(ptr, 1000);
  unsigned char *wall = get(MSMC, 1);
  keep();
  assert_null(zcmem_realloc(MSMC, ptr, MSMC_BYTES - 1024)); /* one quantum of it is the wall's */
  assert_told(ZCMEM_ENOSPC, "zcmem_realloc", ptr, MSMC_BYTES - 1024);
  assert_unchanged();
  put(MSMC, wall);
  put(MSMC, ptr);
}

/* It may grow where it is, and neither shrink nor move. */
static void test_a_block_in_use(void **state) {
  (void)state;
  unsigned char *ptr = get(DRAM, 1000);
  number(ptr, 1000);
  assert_ok(zcmem_mem_pin(hal, address(ptr)));
  assert_ptr_equal(resized(DRAM, ptr, 2000), ptr);
  unsigned char *wall = get(DRAM, 1);
  for (size_t size = 100; size <= 3000; size += 2900) {
    keep();
    assert_null(zcmem_realloc(DRAM, ptr, size));
    assert_told(ZCMEM_EBUSY, "zcmem_realloc", ptr, size);
    assert_int_equal(stats_of(DRAM_1).live, 2);
    assert_int_equal(zcmem_malloc_size(ptr), 2000);
    assert_numbered(ptr, 1000);
  }
  assert_ok(zcmem_mem_unpin(hal, address(ptr)));
  put(DRAM, wall);
  put(DRAM, ptr);
}

/*
 * Each lock in turn fails. Before the old block is taken nothing has happened; after it the block has moved, and the
 * old one, whose lock it was, stays occupied for good.
 */
static void test_locks_that_fail(void **state) {
  unsigned n, moved = 0, kept = 0;
  (void)state;
  for (n = 1;; n++) {
    unsigned char *ptr = get(MSMC, 1000), *wall = get(MSMC, 1);
    uint64_t live = stats_of(MSMC_1).live;
    number(ptr, 1000);
    fake.fail_lock_in = n;
    unsigned char *to = zcmem_realloc(MSMC, ptr, 2000);
    bool failed = fake.fail_lock_in == 0;
    fake.fail_lock_in = 0;
    if (failed) {
      assert_told(ZCMEM_ELOCK, "zcmem_realloc", ptr, 2000);
    }
    assert_nothing_told();
    if (to == NULL) {
      assert_true(failed);
      assert_int_equal(zcmem_malloc_size(ptr), 1000);
      to = ptr;
      kept++;
    } else if (failed) {
      assert_int_equal(zcmem_malloc_size(ptr), 0);
      assert_int_equal(zcmem_malloc_size(to), 2000);
      assert_int_equal(stats_of(MSMC_1).live, live + 1);
      moved++;
    }
    assert_numbered(to, 1000);
    assert_ok(zcmem_hal_check(hal));
    put(MSMC, to);
    put(MSMC, wall);
    if (!failed) {
      break;
    }
  }
  assert_true(kept >= 3);
  assert_int_equal(moved, 1);
}

/* The one that is left over above. */
static int teardown_leaving_one(void **state) {
  (void)state;
  assert_int_equal(close_hal(), 1);
  return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_null_is_malloc),  TEST(test_in_place_where_possible),
      TEST(test_moves_where_not), TEST(test_failing_leaves_the_block),
      TEST(test_a_block_in_use),  cmocka_unit_test_setup_teardown(test_locks_that_fail, setup, teardown_leaving_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
