/* SPDX-License-Identifier: MIT */
/*
 * Corners that no other test looks into: what tests/coverage.py and tests/mutate.py found to be untold.
 */
#include "hal_fixture.h"
#include "moved.h"

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

static unsigned called[4];

static int call_read(void *ctx, void *dst, hal_addr_t src, hal_size_t size) {
  (void)ctx, (void)src;
  memset(dst, 9, (size_t)size);
  called[0]++;
  return 0;
}

static int call_write(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  (void)ctx, (void)dst, (void)src, (void)size;
  called[1]++;
  return 0;
}

static int call_fill(void *ctx, hal_addr_t dst, const void *pattern, hal_size_t pattern_size, hal_size_t size) {
  (void)ctx, (void)dst, (void)pattern, (void)pattern_size, (void)size;
  called[2]++;
  return 0;
}

static int call_copy(void *ctx, hal_addr_t dst, hal_addr_t src, hal_size_t size) {
  (void)ctx, (void)dst, (void)src, (void)size;
  called[3]++;
  return 0;
}

/* A region that the host sees, and that has callbacks as well: it is they that move the bytes, not the host. */
static void test_callbacks_beside_a_host_pointer(void **state) {
  const struct zcmem_region_ops ops = {.read = call_read, .write = call_write, .copy = call_copy, .fill = call_fill};
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("both", 0x10000, 32 * KB);
  unsigned char bytes[4] = {1, 1, 1, 1};
  hal_addr_t addr;
  uint32_t in;
  (void)state;
  memset(memory, 5, sizeof memory);
  memset(called, 0, sizeof called);
  region.flags = ZCMEM_REGION_COHERENT;
  region.host = memory;
  region.ops = &ops;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_ok(zcmem_mem_alloc(hal, in, 1000, 1, &addr));
  assert_ok(zcmem_mem_write(hal, addr, bytes, 4));
  assert_ok(zcmem_mem_fill(hal, addr, bytes, 1, 4));
  assert_ok(zcmem_mem_copy(hal, addr, addr + 500, 4));
  assert_ok(zcmem_mem_read(hal, bytes, addr, 4));
  for (unsigned i = 0; i < 4; i++) {
    assert_int_equal(called[i], 1);
    assert_int_equal(bytes[i], 9);
    assert_int_equal(memory[addr - 0x10000 + i], 5);
  }
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

#ifdef ZCMEM__DIRECT
/* Each thread counts in a line of its own as long as there are lines, wherever it looks first; a name of 0 is none. */
static void test_lines_of_moved_bytes(void **state) {
  static struct zcmem__moved_lines lines;
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  (void)state;
  memset(&lines, 0, sizeof lines);
  zcmem__moved_add(&lines, 0, ZCMEM__MOVED_READ, 100);
  assert_int_equal(lines.line[ZCMEM__MOVED_LINES].of[ZCMEM__MOVED_READ], 100);
  for (uint64_t round = 1; round <= 2; round++) {
    for (uint64_t self = 1; self <= ZCMEM__MOVED_LINES; self++) { /* all of them look at the same one first */
      zcmem__moved_add(&lines, self, ZCMEM__MOVED_READ, self);
    }
    for (uint64_t i = 0; i < ZCMEM__MOVED_LINES; i++) {
      assert_int_equal(lines.line[i].of[ZCMEM__MOVED_READ], round * (i + 1));
    }
  }
  assert_int_equal(lines.line[ZCMEM__MOVED_LINES].of[ZCMEM__MOVED_READ], 100);
  zcmem__moved_add(&lines, 77, ZCMEM__MOVED_READ, 1000);
  assert_int_equal(lines.line[ZCMEM__MOVED_LINES].of[ZCMEM__MOVED_READ], 1100);
  zcmem__moved_sum(&lines, &stats);
  assert_int_equal(stats.bytes_read, 1100 + 2 * 36);
}
#endif

/* The same where the region trusts its user: what no heap has is translated as well. */
static void test_unchecked_addresses_between_region_and_heap(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("ragged", 0, 10 * 128 + 5);
  const hal_addr_t outside[] = {1, 127, 10 * 128, 10 * 128 + 4};
  uint32_t in;
  (void)state;
  region.host = memory;
  region.flags = ZCMEM_REGION_UNCHECKED;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    void *host = NULL;
    hal_addr_t addr = 0;
    hal_size_t rest = 0, left = region.size - outside[i];
    assert_ok(zcmem_mem_host(hal, outside[i], left, &host));
    assert_ptr_equal(host, memory + outside[i]);
    assert_status(zcmem_mem_host(hal, outside[i], left + 1, &host), ZCMEM_EBOUNDS);
    assert_ok(zcmem_mem_device(hal, host, &addr, &rest));
    assert_int_equal(addr, outside[i]);
    assert_int_equal(rest, left);
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_look_ups_without_a_region(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  void *host = NULL;
  hal_addr_t addr = 0;
  (void)state;
  assert_status(zcmem_mem_host(hal, 0x10000, 1, &host), ZCMEM_ENOENT);
  assert_status(zcmem_mem_device(hal, memory, &addr, NULL), ZCMEM_ENOTMAPPED);
  assert_null(host);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Patterns that are no words, and of which neighbours differ by one, or by nothing. */
static void test_patterns_of_almost_equal_bytes(void **state) {
  const unsigned char patterns[][5] = {
      {2, 1, 1, 1, 1}, {1, 1, 1, 1, 2}, {1, 2, 2, 2, 2}, {5, 4, 3, 2, 1}, {7, 7, 7, 7, 7}};
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("fill", 0x10000, 32 * KB);
  hal_addr_t addr;
  uint32_t in;
  (void)state;
  region.host = memory;
  region.flags = ZCMEM_REGION_COHERENT;
  assert_ok(zcmem_hal_add_region(hal, &region, &in));
  assert_ok(zcmem_mem_alloc(hal, in, 1000, 1, &addr));
  for (size_t which = 0; which < sizeof patterns / sizeof patterns[0]; which++) {
    for (size_t size = 3; size <= 5; size += 2) {
      assert_ok(zcmem_mem_fill(hal, addr, patterns[which], size, 999));
      for (size_t i = 0; i < 999; i++) {
        assert_int_equal(memory[addr - 0x10000 + i], patterns[which][i % size]);
      }
    }
  }
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
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
      cmocka_unit_test_setup_teardown(test_unchecked_addresses_between_region_and_heap, setup, teardown),
      cmocka_unit_test_setup_teardown(test_look_ups_without_a_region, setup, teardown),
      cmocka_unit_test_setup_teardown(test_patterns_of_almost_equal_bytes, setup, teardown),
      cmocka_unit_test_setup_teardown(test_callbacks_beside_a_host_pointer, setup, teardown),
#ifdef ZCMEM__DIRECT
      cmocka_unit_test(test_lines_of_moved_bytes),
#endif
      cmocka_unit_test_setup_teardown(test_lines_whose_callbacks_fail, setup, teardown),
      cmocka_unit_test_setup_teardown(test_wrong_lines_and_host_ranges, setup, teardown),
      cmocka_unit_test_setup_teardown(test_arguments_that_are_not_there, setup, teardown),
      cmocka_unit_test_setup_teardown(test_mappings_that_differ_in_what_they_are_for, setup, teardown),
      cmocka_unit_test_setup_teardown(test_an_allocator_of_one_half, setup, teardown),
      cmocka_unit_test_setup_teardown(test_the_longest_name, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
