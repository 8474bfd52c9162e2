/* SPDX-License-Identifier: MIT */
/*
 * Corners that no other test looks into: what tests/coverage.py and tests/mutate.py found to be untold.
 */
#include "heap_fixture.h"

#include "hal_fixture.h"

/* Look-ups begin at the first live block of a page of the index; whatever stands behind it must be found, too. */
static void test_each_block_of_a_crowd_is_found(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("crowd", 0x10000, sizeof memory);
  hal_addr_t addr[8];
  uint32_t in;
  void *host;
  (void)state;
  region.host = memory;
  region.max_blocks = 8;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  for (unsigned i = 0; i < 8; i++) {
    assert_ok(zcmem_mem_alloc(hal, in, 100, 1, &addr[i]));
  }
  for (unsigned without = 0; without < 8; without++) {
    for (unsigned i = 0; i < 8; i++) {
      for (hal_size_t inside = 0; inside < 100; inside += 33) {
        struct zcmem_place place;
        assert_ok(zcmem_mem_host(hal, addr[i] + inside, 100 - inside, &host));
        assert_ptr_equal(host, memory + (addr[i] - 0x10000) + inside);
        assert_ok(zcmem_mem_locate(hal, host, &place));
        assert_int_equal(place.addr, addr[i] + inside);
        assert_int_equal(place.remaining, 100 - inside);
      }
    }
    assert_ok(zcmem_mem_free(hal, addr[without])); /* a hole, here and there */
    assert_status(zcmem_mem_host(hal, addr[without], 1, &host), ZCMEM_ENOENT);
    assert_ok(zcmem_mem_alloc(hal, in, 100, 1, &addr[without]));
  }
  for (unsigned i = 0; i < 8; i++) {
    assert_ok(zcmem_mem_free(hal, addr[i]));
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* An address that the region has, but the heap has not: the quantum at 0, and what is left of the last one. */
static void test_addresses_between_region_and_heap(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("ragged", 0, 10 * 128 + 5);
  const hal_addr_t outside[] = {1, 127, 10 * 128, 10 * 128 + 4};
  hal_addr_t addr;
  uint32_t in;
  void *host;
  unsigned char byte = 0;
  (void)state;
  region.host = memory;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_ok(zcmem_mem_alloc(hal, in, 9 * 128, 1, &addr)); /* all that there is */
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    struct zcmem_place place;
    assert_status(zcmem_mem_host(hal, outside[i], 1, &host), ZCMEM_ENOENT);
    assert_status(zcmem_mem_locate(hal, memory + outside[i], &place), ZCMEM_ENOENT);
    assert_status(zcmem_mem_write(hal, outside[i], &byte, 1), ZCMEM_ENOENT);
    assert_status(zcmem_mem_read(hal, &byte, outside[i], 1), ZCMEM_ENOENT);
    assert_status(zcmem_mem_pin(hal, outside[i]), ZCMEM_ENOENT);
    assert_status(zcmem_mem_free(hal, outside[i]), ZCMEM_ENOENT);
  }
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

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

/* Writes, reads, fills and copies some bytes within lines, of which each callback fails in turn. */
static enum zcmem_status move_bytes(struct zcmem_hal *hal, unsigned what, hal_addr_t addr) {
  unsigned char bytes[100] = {0}, pattern = 7;
  return what == 0   ? zcmem_mem_write(hal, addr + 3, bytes, sizeof bytes)
         : what == 1 ? zcmem_mem_read(hal, bytes, addr + 3, sizeof bytes)
         : what == 2 ? zcmem_mem_fill(hal, addr + 3, &pattern, 1, sizeof bytes)
         : what == 3 ? zcmem_mem_copy(hal, addr + 3, addr + 503, sizeof bytes)
                     : zcmem_mem_copy(hal, addr + 3, addr + 40, sizeof bytes);
}

static void test_lines_whose_callbacks_fail(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct fake_region fake_one;
  struct zcmem_region_config region = fake_region_open(&fake_one, FAKE_CACHED, "lines", 0x10000, 8 * KB);
  hal_addr_t addr;
  uint32_t in;
  (void)state;
  region.base = fake_one.base += (uintptr_t)fake_one.view % 64;
  region.cache_line = 64;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_ok(zcmem_mem_alloc(hal, in, 1024, 1, &addr));
  for (unsigned what = 0; what < 5; what++) {
    unsigned n = 0;
    do {
      fake.fail_callback_in = ++n;
      enum zcmem_status status = move_bytes(hal, what, addr);
      assert_status(status, fake.fail_callback_in == 0 ? ZCMEM_EIO : ZCMEM_OK);
    } while (fake.fail_callback_in == 0);
    assert_true(n > 2); /* more than one callback */
    fake.fail_callback_in = 0;
    assert_ok(move_bytes(hal, what, addr));
  }
  assert_ok(zcmem_mem_free(hal, addr)); /* nobody uses it any more */
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  fake_region_close(&fake_one);
}

static void test_wrong_lines_and_host_ranges(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  const struct zcmem_region_config good = plain_region("lines", 0x10000, 32 * KB);
  unsigned char *near_the_end = (unsigned char *)(UINTPTR_MAX - 4095);
  uint32_t in;
  (void)state;
  struct zcmem_region_config region = good;
  region.cache_line = 48;
  assert_status(zcmem_hal_add_region(hal, &region, &in), ZCMEM_EINVAL);
  region.cache_line = 2 * ZCMEM_QUANTUM_DEFAULT;
  assert_status(zcmem_hal_add_region(hal, &region, &in), ZCMEM_EINVAL);
  region.cache_line = 64;
  region.host = memory + 1;
  assert_status(zcmem_hal_add_region(hal, &region, &in), ZCMEM_EINVAL);
  region.host = near_the_end;
  assert_status(zcmem_hal_add_region(hal, &region, &in), ZCMEM_EINVAL);
  region.host = memory;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_status(zcmem_hal_add_alias(hal, in, 0, 8 * KB, near_the_end), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, in, 1, 8 * KB, image), ZCMEM_EINVAL); /* lines lie otherwise */
  assert_ok(zcmem_hal_add_alias(hal, in, 0, 8 * KB, image));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_arguments_that_are_not_there(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("host", 0x10000, 32 * KB);
  struct zcmem_place place;
  hal_addr_t addr;
  uint32_t in;
  (void)state;
  region.host = memory;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_ok(zcmem_mem_alloc(hal, in, 1000, 1, &addr));
  assert_ok(zcmem_mem_locate(hal, memory + (addr - 0x10000), &place));
  assert_status(zcmem_mem_locate(hal, memory, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_locate(NULL, memory, &place), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, in, 32 * KB + 1, 1, image), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, in, 32 * KB, 1, image), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write(hal, addr, NULL, 5), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write(hal, 0x77, NULL, 5), ZCMEM_EINVAL); /* an address of no region, to count nothing in */
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Two mappings of one range for different ends have one pointer, and are unmapped one by one, whichever came first. */
static void test_mappings_that_differ_in_what_they_are_for(void **state) {
  const unsigned ends[] = {ZCMEM_MAP_READ, ZCMEM_MAP_WRITE};
  (void)state;
  for (unsigned order = 0; order < 2; order++) {
    struct zcmem_hal_config config = allocating_hal();
    struct zcmem_hal *hal = made(&config);
    struct fake_region fake_one;
    struct zcmem_region_config region = fake_region_open(&fake_one, FAKE_MAP_DIRECT, "direct", 0x10000, 8 * KB);
    hal_addr_t addr;
    uint32_t in;
    void *one = NULL, *two = NULL;
    assert_ok(zcmem_hal_add_region(hal, &region, &in));
    assert_ok(zcmem_mem_alloc(hal, in, 1024, 1, &addr));
    assert_ok(zcmem_mem_map(hal, addr, 1024, ends[order], &one));
    assert_ok(zcmem_mem_map(hal, addr, 1024, ends[1 - order], &two));
    assert_ptr_equal(one, two);
    assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
    assert_int_equal(fake_one.mapped, 2);
    assert_ok(zcmem_mem_unmap(hal, one));
    assert_ok(zcmem_mem_unmap(hal, two));
    assert_status(zcmem_mem_unmap(hal, two), ZCMEM_ENOTMAPPED);
    assert_int_equal(fake_one.mapped, 0);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_int_equal(zcmem_hal_destroy(hal), 0);
    fake_region_close(&fake_one);
  }
}

static void test_an_allocator_of_one_half(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_host_allocator half = fake_allocator;
  struct zcmem_hal *hal = NULL;
  (void)state;
  config.allocator = &half;
  half.free = NULL;
  assert_status(zcmem_hal_create(&config, NULL, 0, &hal), ZCMEM_EINVAL);
  half = fake_allocator;
  half.alloc = NULL;
  assert_status(zcmem_hal_create(&config, NULL, 0, &hal), ZCMEM_EINVAL);
  assert_null(hal);
}

/* A name is cut nowhere, and one byte more is refused. */
static void test_the_longest_name(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  char name[ZCMEM_NAME_MAX + 2];
  uint32_t in, found;
  (void)state;
  memset(name, 'n', sizeof name);
  name[ZCMEM_NAME_MAX + 1] = '\0';
  struct zcmem_region_config region = plain_region(name, 0x10000, 32 * KB);
  assert_status(zcmem_hal_add_region(hal, &region, &in), ZCMEM_EINVAL);
  name[ZCMEM_NAME_MAX] = '\0';
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_ok(zcmem_hal_find_region(hal, name, &found));
  assert_int_equal(found, in);
  name[ZCMEM_NAME_MAX - 1] = '\0';
  assert_status(zcmem_hal_find_region(hal, name, &found), ZCMEM_ENOENT);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_each_block_of_a_crowd_is_found, setup, teardown),
      cmocka_unit_test_setup_teardown(test_addresses_between_region_and_heap, setup, teardown),
      cmocka_unit_test(test_an_aligned_request_takes_the_smaller_large_hole),
      cmocka_unit_test(test_an_aligned_request_looks_into_the_next_bin),
      cmocka_unit_test(test_the_largest_of_a_bin_of_many_sizes),
      cmocka_unit_test_setup_teardown(test_an_image_on_any_wrong_place, setup, teardown),
      cmocka_unit_test_setup_teardown(test_lines_whose_callbacks_fail, setup, teardown),
      cmocka_unit_test_setup_teardown(test_wrong_lines_and_host_ranges, setup, teardown),
      cmocka_unit_test_setup_teardown(test_arguments_that_are_not_there, setup, teardown),
      cmocka_unit_test_setup_teardown(test_mappings_that_differ_in_what_they_are_for, setup, teardown),
      cmocka_unit_test_setup_teardown(test_an_allocator_of_one_half, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_longest_name, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
