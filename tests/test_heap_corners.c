/* SPDX-License-Identifier: MIT */
/*
 * Corners of the heap that no other test looks into: what tests/coverage.py and tests/mutate.py found to be untold.
 */
#include "heap_fixture.h"
#include "heap_impl.h"

/* Two large holes, far from the end of the heap; each begins where an alignment of 256 wants it. */
static void test_an_aligned_request_takes_the_smaller_large_hole(void **state) {
  const hal_size_t quantum = 128, small = 5000 * quantum, large = 5002 * quantum;
  (void)state;
  for (unsigned order = 0; order < 2; order++) {
    struct fixture f = fixture_make(0x1000000, 20000 * quantum, quantum, 16);
    hal_addr_t first = fixture_alloc(&f, order == 0 ? small : large, 256);
    (void)fixture_alloc(&f, 2 * quantum, 1);
    hal_addr_t second = fixture_alloc(&f, order == 0 ? large : small, 256);
    (void)fixture_alloc(&f, zcmem_heap_largest(f.heap), 1);
    assert_ok(zcmem_heap_free(f.heap, first));
    assert_ok(zcmem_heap_free(f.heap, second));
    /* As large as the hole, which leaves no room for an alignment but its own. */
    assert_int_equal(fixture_alloc(&f, small, 256), order == 0 ? first : second);
    assert_int_equal(fixture_alloc(&f, large, 256), order == 0 ? second : first);
    fixture_end(&f);
  }
}

/* The bin of the request has a hole that lies wrong; that of the next size one that lies right, and no room to spare.
 */
static void test_an_aligned_request_looks_into_the_next_bin(void **state) {
  const hal_size_t quantum = 128, align = 8 * quantum;
  (void)state;
  struct fixture f = fixture_make(0x1000000, 100 * quantum, quantum, 16);
  (void)fixture_alloc(&f, quantum, 1);
  hal_addr_t wrong = fixture_alloc(&f, 5 * quantum, 1);
  (void)fixture_alloc(&f, 2 * quantum, 1);
  hal_addr_t right = fixture_alloc(&f, 6 * quantum, 1);
  assert_true(right % align == 0 && wrong % align != 0);
  (void)fixture_alloc(&f, zcmem_heap_largest(f.heap), 1);
  assert_ok(zcmem_heap_free(f.heap, wrong));
  assert_ok(zcmem_heap_free(f.heap, right));
  assert_int_equal(fixture_alloc(&f, 5 * quantum, align), right);
  fixture_end(&f);
}

/* Holes of sizes that share a bin, on three pages of it: the one that fits best is taken, wherever it stands. */
static void test_the_best_of_a_crowd_of_large_holes(void **state) {
  enum { HOLES = 20 };
  const hal_size_t quantum = 128;
  hal_addr_t hole[HOLES];
  (void)state;
  struct fixture f = fixture_make(0x1000000, HOLES * 4200 * quantum, quantum, 64);
  for (unsigned i = 0; i < HOLES; i++) {
    hole[i] = fixture_alloc(&f, (4100 + i * 7 % HOLES) * quantum, 1);
    (void)fixture_alloc(&f, quantum, 1);
  }
  while (zcmem_heap_largest(f.heap) > 0) {
    (void)fixture_alloc(&f, zcmem_heap_largest(f.heap), 1);
  }
  for (unsigned i = 0; i < HOLES; i++) {
    assert_ok(zcmem_heap_free(f.heap, hole[i]));
  }
  for (unsigned size = 0; size < HOLES; size++) {
    unsigned i = size * 3 % HOLES; /* 3 * 7 is 1 more than HOLES */
    assert_int_equal(fixture_alloc(&f, (4100 + size) * quantum, 1), hole[i]);
  }
  fixture_end(&f);
}

/* Of a bin with two pages of holes, one lies as an alignment wants it: it is found on either page. */
static void test_an_aligned_request_among_a_crowd_of_large_holes(void **state) {
  enum { HOLES = 12 };
  const hal_size_t quantum = 128, align = 8192 * quantum;
  (void)state;
  for (unsigned right = 0; right < HOLES; right++) {
    struct fixture f = fixture_make(align, HOLES * align, quantum, 64);
    hal_addr_t hole[HOLES];
    for (unsigned i = 0; i < HOLES; i++) {
      hole[i] = (i + 1) * align + (i == right ? 0 : quantum);
      assert_ok(zcmem_heap_reserve(f.heap, hole[i], (4100 + i) * quantum));
    }
    while (zcmem_heap_largest(f.heap) > 0) {
      (void)fixture_alloc(&f, zcmem_heap_largest(f.heap), 1);
    }
    for (unsigned i = 0; i < HOLES; i++) {
      assert_ok(zcmem_heap_free(f.heap, hole[i]));
    }
    assert_int_equal(fixture_alloc(&f, (4100 + right) * quantum, align), hole[right]);
    fixture_end(&f);
  }
}

/* As many as can be counted: a resize needs to count one more. */
static void test_a_resize_of_a_block_with_all_transfers(void **state) {
  (void)state;
  struct fixture f = fixture_make(0x10000, 0x4000, 128, 8);
  f.heap->shared = ZCMEM__SHARED_MANY;
  hal_addr_t addr = fixture_alloc(&f, 100, 1);
  for (uint32_t i = 1; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_heap_begin_transfer(f.heap, addr, 1, NULL));
  }
  assert_ok(zcmem_heap_resize(f.heap, addr, 1000));
  assert_ok(zcmem_heap_begin_transfer(f.heap, addr, 1, NULL));
  assert_status(zcmem_heap_resize(f.heap, addr, 2000), ZCMEM_EBUSY);
  for (uint32_t i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_heap_end_transfer(f.heap, addr, NULL));
  }
  assert_ok(zcmem_heap_resize(f.heap, addr, 100));
  assert_ok(zcmem_heap_free(f.heap, addr));
  fixture_end(&f);
}

/* The checker knows four ways, and no owner but in the bits that are for it. */
static void test_who_shares_a_heap(void **state) {
  (void)state;
  struct fixture f = fixture_make(0x10000, 0x4000, 128, 8);
  const uint32_t owner = f.heap->owner;
  hal_addr_t addr = fixture_alloc(&f, 100, 1);
  for (uint32_t shared = 0; shared <= ZCMEM__SHARED_PROCESSES; shared++) {
    f.heap->shared = shared;
    assert_ok(zcmem_heap_check(f.heap));
  }
  f.heap->shared = ZCMEM__SHARED_PROCESSES + 1u;
  assert_status(zcmem_heap_check(f.heap), ZCMEM_ECORRUPT);
  f.heap->shared = ZCMEM__SHARED_NOT;
  f.heap->owner = owner | 1u;
  assert_status(zcmem_heap_check(f.heap), ZCMEM_ECORRUPT);
  f.heap->owner = owner;
  assert_ok(zcmem_heap_free(f.heap, addr));
  fixture_end(&f);
}

/* "Largest" is exact where sizes share a bin, from the first such bin on. */
static void test_the_largest_of_a_bin_of_many_sizes(void **state) {
  const hal_size_t quantum = 128;
  (void)state;
  for (hal_size_t quanta = 4094; quanta < 4260; quanta += 3) {
    struct fixture f = fixture_make(0x1000000, 10000 * quantum, quantum, 16);
    hal_addr_t hole = fixture_alloc(&f, quanta * quantum, 1), addr = 77;
    (void)fixture_alloc(&f, zcmem_heap_largest(f.heap), 1);
    assert_ok(zcmem_heap_free(f.heap, hole));
    assert_int_equal(zcmem_heap_largest(f.heap), quanta * quantum);
    assert_status(zcmem_heap_alloc(f.heap, quanta * quantum + 1, 1, &addr), ZCMEM_ENOSPC);
    assert_int_equal(fixture_alloc(&f, quanta * quantum, 1), hole);
    fixture_end(&f);
  }
}

static void test_an_image_on_any_wrong_place(void **state) {
  const struct zcmem_heap_config config = {0x1000, 0x10000, 0, 16, 0};
  size_t bytes = zcmem_heap_bytes(&config);
  unsigned char *image_at = image_memory(bytes + 64);
  struct zcmem_heap *heap = NULL;
  (void)state;
  for (unsigned wrong = 1; wrong < 64; wrong++) {
    assert_status(zcmem_heap_init(image_at + wrong, bytes, &config, &heap), ZCMEM_EINVAL);
  }
  assert_null(heap);
  assert_ok(zcmem_heap_init(image_at, bytes, &config, &heap));
  free(image_at);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_an_aligned_request_takes_the_smaller_large_hole),
      cmocka_unit_test(test_an_aligned_request_looks_into_the_next_bin),
      cmocka_unit_test(test_the_best_of_a_crowd_of_large_holes),
      cmocka_unit_test(test_an_aligned_request_among_a_crowd_of_large_holes),
      cmocka_unit_test(test_a_resize_of_a_block_with_all_transfers),
      cmocka_unit_test(test_who_shares_a_heap),
      cmocka_unit_test(test_the_largest_of_a_bin_of_many_sizes),
      cmocka_unit_test(test_an_image_on_any_wrong_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
