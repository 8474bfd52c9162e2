/* SPDX-License-Identifier: MIT */
/*
 * Wrong frees where magazines are, by one thread: whatever place keeps the block, and whoever uses it. Each has the
 * status that it has without magazines, is counted, and changes nothing.
 */
#include "magazines_check.h"

#ifdef ZCMEM__THREAD_MAGAZINES
enum { QUANTUM = 128, COUNT = 600, BASE = 0x100000 };

static hal_addr_t blocks[COUNT];
static struct zcmem_hal *hal;

static int setup(void **state) {
  (void)state;
  hal = magazines_hal(1 << 22, 2048, 256);
  return 0;
}

/* Every test ends with nothing live. */
static int teardown(void **state) {
  (void)state;
  (void)magazines_look(hal, 0);
  assert_ok(zcmem_hal_check(hal));
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.largest, 1 << 22);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  return 0;
}

/* Makes a size go to and fro, so that its chains are long and its blocks have hints. */
static void warm_up(hal_size_t size, int rounds) {
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < COUNT; i++) {
      blocks[i] = magazines_alloc(hal, size);
    }
    for (int i = 0; i < COUNT; i++) {
      assert_ok(zcmem_mem_free(hal, blocks[i]));
    }
  }
}

/* Frees that are refused, and counted. */
static void assert_no_block(hal_addr_t addr) {
  uint64_t before = zcmem__hal_region(hal, 0)->stats.bad_frees;
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  assert_status(zcmem_mem_free_deferred(hal, addr), ZCMEM_ENOENT);
  assert_int_equal(zcmem__hal_region(hal, 0)->stats.bad_frees, before + 2);
}

static void test_free_at_once_again(void **state) {
  (void)state;
  for (int i = 0; i < 100; i++) {
    hal_addr_t addr = magazines_alloc(hal, 100);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_no_block(addr);
    hal_addr_t same = magazines_alloc(hal, 100), other = magazines_alloc(hal, 100);
    assert_true(same != other); /* a block that was freed twice would be handed out twice */
    assert_ok(zcmem_mem_free(hal, same));
    assert_ok(zcmem_mem_free(hal, other));
  }
}

/* After it there are some in each place that keeps blocks, and all are freed once more. */
static void test_free_again_whatever_keeps_the_block(void **state) {
  uint64_t in_magazines = 0, in_depot = 0;
  (void)state;
  for (int round = 0; round < 6; round++) {
    warm_up((hal_size_t)(round % 3) * 1000, 4);
    struct magazines_sum before = magazines_look(hal, 0);
    in_magazines += before.in_magazines;
    in_depot += before.in_depot;
    for (int i = 0; i < COUNT; i++) {
      assert_no_block(blocks[i]);
      assert_status(zcmem_mem_pin(hal, blocks[i]), ZCMEM_ENOENT);
      assert_status(zcmem_mem_unpin(hal, blocks[i]), ZCMEM_ENOENT);
      assert_status(zcmem_mem_resize(hal, blocks[i], 1), ZCMEM_ENOENT);
    }
    assert_int_equal(magazines_stats(hal, 0).live, 0);
    (void)magazines_look(hal, 0);
  }
  assert_true(in_magazines > 0 && in_depot > 0);
}

static void test_foreign_and_interior_addresses(void **state) {
  (void)state;
  warm_up(3 * QUANTUM, 4);
  hal_addr_t addr = magazines_alloc(hal, 3 * QUANTUM), before = magazines_look(hal, 0).blocks;
  const hal_addr_t inside[] = {addr + 1, addr + QUANTUM - 1, addr + QUANTUM, addr + 2 * QUANTUM,
                               addr + 2 * QUANTUM + 5};
  for (size_t i = 0; i < sizeof inside / sizeof *inside; i++) {
    assert_no_block(inside[i]);
    assert_status(zcmem_mem_resize(hal, inside[i], 1), ZCMEM_ENOENT);
  }
  const hal_addr_t outside[] = {1, BASE - 1, BASE + (1 << 22), UINT64_MAX, UINT64_MAX - QUANTUM + 1};
  for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
    assert_status(zcmem_mem_free(hal, outside[i]), ZCMEM_ENOENT);
    assert_status(zcmem_mem_free_deferred(hal, outside[i]), ZCMEM_ENOENT);
  }
  assert_ok(zcmem_mem_free(hal, HAL_NULLPTR));
  assert_status(zcmem_mem_free(NULL, addr), ZCMEM_EINVAL);
  assert_int_equal(magazines_look(hal, 0).blocks, before);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* A hint outlives its block: where another one lies over its start, or a smaller one starts there, nothing is taken. */
static void test_frees_through_stale_hints(void **state) {
  (void)state;
  warm_up(QUANTUM, 8);
  hal_addr_t all = magazines_alloc(hal, 1 << 22); /* every block of before lies within this one */
  for (int i = 0; i < COUNT; i++) {
    if (blocks[i] != all) {
      assert_no_block(blocks[i]);
    }
  }
  assert_ok(zcmem_mem_resize(hal, all, 1));
  assert_no_block(all + QUANTUM);
  hal_addr_t next = magazines_alloc(hal, 5 * QUANTUM);
  assert_ok(zcmem_mem_free(hal, all));
  assert_no_block(all);
  assert_no_block(next + QUANTUM);
  assert_ok(zcmem_mem_free(hal, next));
}

static void test_free_while_in_use(void **state) {
  (void)state;
  warm_up(100, 8);
  for (int pins = 1; pins <= 3; pins++) {
    hal_addr_t addr = magazines_alloc(hal, 100);
    for (int i = 0; i < pins; i++) {
      assert_ok(zcmem_mem_pin(hal, addr));
    }
    for (int i = 0; i < pins; i++) {
      uint64_t before = zcmem__hal_region(hal, 0)->stats.bad_frees;
      assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
      assert_int_equal(zcmem__hal_region(hal, 0)->stats.bad_frees, before + 1);
      assert_ok(zcmem_mem_unpin(hal, addr));
    }
    assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_EBUSY);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_no_block(addr);
  }
}

/* A deferred free of a block that nobody uses is a free, into a magazine; of one in use it waits. */
static void test_deferred_frees(void **state) {
  (void)state;
  warm_up(100, 8);
  for (int i = 0; i < 100; i++) {
    struct zcmem_block_info info;
    hal_addr_t addr = magazines_alloc(hal, 100);
    if (i % 2 == 0) {
      assert_ok(zcmem_mem_free_deferred(hal, addr));
      assert_no_block(addr);
      continue;
    }
    assert_ok(zcmem_mem_pin(hal, addr));
    assert_ok(zcmem_mem_pin(hal, addr + 99));
    assert_ok(zcmem_mem_free_deferred(hal, addr));
    assert_no_block(addr);
    assert_status(zcmem_mem_info(hal, addr, &info), ZCMEM_ENOENT);
    assert_ok(zcmem_mem_unpin(hal, addr));
    hal_addr_t other = magazines_alloc(hal, 100);
    assert_true(other != addr); /* it is still used */
    assert_ok(zcmem_mem_unpin(hal, addr));
    assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_ENOENT);
    assert_ok(zcmem_mem_free(hal, other));
  }
  assert_int_equal(magazines_stats(hal, 0).deferred_frees, 50);
}

/* A block that was resized goes where its new size is kept. */
static void test_free_after_resize(void **state) {
  uint64_t seed = 3;
  (void)state;
  warm_up(5 * QUANTUM, 8);
  for (int round = 0; round < 50; round++) {
    for (int i = 0; i < COUNT; i++) {
      blocks[i] = magazines_alloc(hal, 5 * QUANTUM);
    }
    for (int i = 0; i < COUNT; i++) {
      enum zcmem_status status = zcmem_mem_resize(hal, blocks[i], random_below(&seed, 8 * QUANTUM));
      assert_true(status == ZCMEM_OK || status == ZCMEM_EFRAG || status == ZCMEM_ENOSPC);
      assert_ok(zcmem_mem_free(hal, blocks[i]));
      assert_no_block(blocks[i]);
    }
    (void)magazines_look(hal, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_free_at_once_again, setup, teardown),
      cmocka_unit_test_setup_teardown(test_free_again_whatever_keeps_the_block, setup, teardown),
      cmocka_unit_test_setup_teardown(test_foreign_and_interior_addresses, setup, teardown),
      cmocka_unit_test_setup_teardown(test_frees_through_stale_hints, setup, teardown),
      cmocka_unit_test_setup_teardown(test_free_while_in_use, setup, teardown),
      cmocka_unit_test_setup_teardown(test_deferred_frees, setup, teardown),
      cmocka_unit_test_setup_teardown(test_free_after_resize, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without magazines");
  return 77; /* Meson: skipped */
}
#endif
