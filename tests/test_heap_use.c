/* SPDX-License-Identifier: MIT */
/* Pins, transfers and zombies: a block in use is neither freed nor made smaller. */
#include "heap_fixture.h"

static void pinned_blocks_stay(void **state) {
  struct fixture f = fixture_make(4096, 1 << 20, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1);
  bool freed = true;
  (void)state;
  assert_ok(zcmem_heap_pin(f.heap, a + 999)); /* interior */
  assert_ok(zcmem_heap_pin(f.heap, a));
  assert_int_equal(fixture_find(&f, a).pins, 2);
  assert_int_equal(fixture_find(&f, a).transfers, 0);
  assert_refused(&f, zcmem_heap_free(f.heap, a), ZCMEM_EBUSY);
  assert_refused(&f, zcmem_heap_resize(f.heap, a, 999), ZCMEM_EBUSY); /* one byte in the same quantum counts, too */
  assert_refused(&f, zcmem_heap_resize(f.heap, a, 0), ZCMEM_EBUSY);
  assert_ok(zcmem_heap_resize(f.heap, a, 1000)); /* loses none */
  assert_ok(zcmem_heap_resize(f.heap, a, 3000)); /* grows */
  assert_ok(zcmem_heap_unpin(f.heap, a + 2999, &freed));
  assert_false(freed);
  assert_refused(&f, zcmem_heap_free(f.heap, a), ZCMEM_EBUSY);
  assert_ok(zcmem_heap_unpin(f.heap, a, NULL));
  assert_refused(&f, zcmem_heap_unpin(f.heap, a, &freed), ZCMEM_EBUSY);
  assert_ok(zcmem_heap_resize(f.heap, a, 10));
  fixture_free(&f, a);
  assert_refused(&f, zcmem_heap_pin(f.heap, a), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_unpin(f.heap, a, &freed), ZCMEM_ENOENT);
  assert_status(zcmem_heap_pin(NULL, a), ZCMEM_EINVAL);
  assert_status(zcmem_heap_unpin(NULL, a, &freed), ZCMEM_EINVAL);
  fixture_end(&f);
}

static void pins_have_a_limit(void **state) {
  struct fixture f = fixture_make(4096, 1 << 20, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1);
  (void)state;
  for (uint32_t i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_heap_pin(f.heap, a));
    assert_ok(zcmem_heap_begin_transfer(f.heap, a, 1, NULL));
  }
  assert_int_equal(fixture_find(&f, a).pins, ZCMEM_MAX_PINS);
  assert_int_equal(fixture_find(&f, a).transfers, ZCMEM_MAX_PINS);
  assert_refused(&f, zcmem_heap_pin(f.heap, a), ZCMEM_EBUSY);
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a, 1, NULL), ZCMEM_EBUSY);
  assert_ok(zcmem_heap_check(f.heap));
  for (uint32_t i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_heap_unpin(f.heap, a, NULL));
    assert_ok(zcmem_heap_end_transfer(f.heap, a, NULL));
  }
  fixture_free(&f, a);
  fixture_end(&f);
}

static void transfers_count_apart_from_pins(void **state) {
  struct fixture f = fixture_make(4096, 1 << 20, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1);
  struct zcmem_block_info info;
  bool freed = true;
  (void)state;
  assert_ok(zcmem_heap_begin_transfer(f.heap, a + 10, 990, &info));
  assert_int_equal(info.addr, a);
  assert_int_equal(info.requested, 1000);
  assert_int_equal(info.transfers, 1);
  assert_int_equal(info.pins, 0);
  assert_refused(&f, zcmem_heap_unpin(f.heap, a, &freed), ZCMEM_EBUSY); /* cannot pull the block from under it */
  assert_refused(&f, zcmem_heap_free(f.heap, a), ZCMEM_EBUSY);
  assert_refused(&f, zcmem_heap_resize(f.heap, a, 999), ZCMEM_EBUSY);
  assert_ok(zcmem_heap_end_transfer(f.heap, a + 10, &freed));
  assert_false(freed);
  assert_refused(&f, zcmem_heap_end_transfer(f.heap, a, &freed), ZCMEM_EBUSY);
  fixture_free(&f, a);
  assert_refused(&f, zcmem_heap_end_transfer(f.heap, a, &freed), ZCMEM_ENOENT);
  assert_status(zcmem_heap_begin_transfer(NULL, a, 1, &info), ZCMEM_EINVAL);
  assert_status(zcmem_heap_end_transfer(NULL, a, &freed), ZCMEM_EINVAL);
  fixture_end(&f);
}

static void transfers_stay_within_what_was_requested(void **state) {
  struct fixture f = fixture_make(4096, 1 << 20, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1), none = fixture_alloc(&f, 0, 1);
  struct zcmem_block_info info;
  (void)state;
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a, 1001, &info), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a + 1, 1000, &info), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a + 1000, 1, &info), ZCMEM_EBOUNDS); /* its last quantum's end */
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a, UINT64_MAX, &info), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a + 500, 0 - UINT64_C(500), &info), ZCMEM_EBOUNDS); /* wraps */
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, none, 1, &info), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, 4096 + (1 << 20), 1, &info), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_begin_transfer(f.heap, 4095, 1, &info), ZCMEM_ENOENT);
  assert_ok(zcmem_heap_begin_transfer(f.heap, a + 999, 1, &info));
  assert_ok(zcmem_heap_end_transfer(f.heap, a, NULL));
  fixture_end(&f);
}

static void a_zombie_lives_until_its_last_use_ends(void **state) {
  (void)state;
  for (unsigned order = 0; order < 2; order++) { /* the pin first, or the transfer */
    struct fixture f = fixture_make(4096, 1 << 20, 128, 1);
    hal_addr_t a = fixture_alloc(&f, 1000, 1), addr = 0;
    struct zcmem_block_info info;
    bool deferred = false, freed = true;
    assert_ok(zcmem_heap_pin(f.heap, a));
    assert_ok(zcmem_heap_begin_transfer(f.heap, a, 1000, NULL));
    assert_ok(zcmem_heap_free_deferred(f.heap, a, &deferred));
    assert_true(deferred);
    assert_ok(zcmem_heap_check(f.heap));
    /* Not live for any call but the ends of its uses ... */
    assert_refused(&f, zcmem_heap_find(f.heap, a, &info), ZCMEM_ENOENT);
    assert_refused(&f, zcmem_heap_free(f.heap, a), ZCMEM_ENOENT);
    assert_refused(&f, zcmem_heap_free_deferred(f.heap, a, &deferred), ZCMEM_ENOENT);
    assert_refused(&f, zcmem_heap_resize(f.heap, a, 5000), ZCMEM_ENOENT);
    assert_refused(&f, zcmem_heap_pin(f.heap, a), ZCMEM_ENOENT);
    assert_refused(&f, zcmem_heap_begin_transfer(f.heap, a, 1, NULL), ZCMEM_ENOENT);
    assert_refused(&f, zcmem_heap_set_tag(f.heap, a, 1), ZCMEM_ENOENT);
    /* ... but its memory and its descriptor are taken. */
    assert_refused(&f, zcmem_heap_reserve(f.heap, a, 1), ZCMEM_ENOMEM);
    assert_int_equal(fixture_info(&f).live, 1);
    assert_int_equal(fixture_info(&f).requested, 1000);
    if (order == 0) {
      assert_ok(zcmem_heap_unpin(f.heap, a + 999, &freed));
    } else {
      assert_ok(zcmem_heap_end_transfer(f.heap, a + 999, &freed));
    }
    assert_false(freed);
    assert_int_equal(fixture_info(&f).live, 1);
    if (order == 0) {
      assert_ok(zcmem_heap_end_transfer(f.heap, a, &freed));
    } else {
      assert_ok(zcmem_heap_unpin(f.heap, a, &freed));
    }
    assert_true(freed);
    assert_int_equal(fixture_info(&f).live, 0);
    assert_int_equal(zcmem_heap_largest(f.heap), 1 << 20);
    assert_ok(zcmem_heap_alloc(f.heap, 1 << 20, 1, &addr));
    fixture_end(&f);
  }
}

static void a_deferred_free_of_an_idle_block_is_a_free(void **state) {
  struct fixture f = fixture_make(4096, 1 << 20, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1);
  bool deferred = true;
  (void)state;
  assert_status(zcmem_heap_free_deferred(NULL, a, &deferred), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_free_deferred(f.heap, a + 1, &deferred), ZCMEM_ENOENT);
  assert_ok(zcmem_heap_free_deferred(f.heap, HAL_NULLPTR, NULL));
  assert_ok(zcmem_heap_free_deferred(f.heap, a, &deferred));
  assert_false(deferred);
  assert_int_equal(zcmem_heap_largest(f.heap), 1 << 20);
  a = fixture_alloc(&f, 1000, 1);
  assert_ok(zcmem_heap_free_deferred(f.heap, a, NULL));
  assert_int_equal(zcmem_heap_largest(f.heap), 1 << 20);
  fixture_end(&f);
}

/* A zombie between two free blocks: they merge with it when it goes, not before. */
static void a_zombie_does_not_merge(void **state) {
  struct fixture f = fixture_make(4096, 3 * 128, 128, 3);
  hal_addr_t a[3];
  bool freed = false;
  (void)state;
  for (unsigned i = 0; i < 3; i++) {
    a[i] = fixture_alloc(&f, 128, 1);
  }
  assert_ok(zcmem_heap_pin(f.heap, 4096 + 128));
  assert_ok(zcmem_heap_free_deferred(f.heap, 4096 + 128, NULL));
  for (unsigned i = 0; i < 3; i++) {
    if (a[i] != 4096 + 128) {
      fixture_free(&f, a[i]);
    }
  }
  assert_int_equal(fixture_info(&f).free_blocks, 2);
  assert_int_equal(zcmem_heap_largest(f.heap), 128);
  assert_ok(zcmem_heap_unpin(f.heap, 4096 + 255, &freed));
  assert_true(freed);
  assert_int_equal(fixture_info(&f).free_blocks, 1);
  assert_int_equal(zcmem_heap_largest(f.heap), 3 * 128);
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(pinned_blocks_stay),
      cmocka_unit_test(pins_have_a_limit),
      cmocka_unit_test(transfers_count_apart_from_pins),
      cmocka_unit_test(transfers_stay_within_what_was_requested),
      cmocka_unit_test(a_zombie_lives_until_its_last_use_ends),
      cmocka_unit_test(a_deferred_free_of_an_idle_block_is_a_free),
      cmocka_unit_test(a_zombie_does_not_merge),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
