/* SPDX-License-Identifier: MIT */
#include "fake.h"
#include "unit.h"
#include <string.h>

#define KB ((hal_size_t)1024)
/* The regions: one at 0, one of its kind that ends at 2^64, and one of another kind. */
enum { LOW, TOP, MSMC, REGIONS };
static const hal_addr_t bases[REGIONS] = {0, UINT64_MAX - 64 * 1024 + 1, 0x100000};
static const hal_size_t sizes[REGIONS] = {64 * 1024, 64 * 1024, 4096};
static const char *const names[REGIONS] = {"low", "top", "msmc"};

static struct zcmem_hal *hal;
static struct fake_region regions[REGIONS];

static int setup(void **state) {
  struct zcmem_region_config configs[REGIONS];
  struct zcmem_hal_config config = {
      .name = "fake", .max_regions = REGIONS, .lock = &fake_lock, .allocator = &fake_allocator};
  (void)state;
  fake_reset();
  for (int i = 0; i < REGIONS; i++) {
    configs[i] = fake_region_open(&regions[i], i == TOP ? FAKE_HOST : FAKE_OPS, names[i], bases[i], (size_t)sizes[i]);
  }
  configs[MSMC].kind = ZCMEM_KIND_MSMC;
  configs[MSMC].max_blocks = 4;
  assert_ok(zcmem_hal_create(&config, configs, REGIONS, &hal));
  return 0;
}

/* Every test ends with nothing live. */
static int teardown(void **state) {
  (void)state;
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (int i = 0; i < REGIONS; i++) {
    fake_region_close(&regions[i]);
  }
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return 0;
}

static hal_addr_t alloc(uint32_t region, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, region, size, 1, &addr));
  return addr;
}

static struct zcmem_region_stats stats_of(uint32_t region) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, region, &stats));
  return stats;
}

static void test_alloc_in_a_region_that_does_not_exist(void **state) {
  hal_addr_t addr = 77;
  (void)state;
  assert_status(zcmem_mem_alloc(hal, REGIONS, 1, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(hal, UINT32_MAX, 1, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(NULL, LOW, 1, 1, &addr), ZCMEM_EINVAL);
  assert_int_equal(addr, 77);
}

static void test_alloc_in_a_kind_that_does_not_exist(void **state) {
  hal_addr_t addr = 77;
  (void)state;
  assert_status(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_USER, 1, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_kind(hal, 0, 1, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_kind(NULL, ZCMEM_KIND_DRAM, 1, 1, &addr), ZCMEM_EINVAL);
  assert_int_equal(addr, 77);
}

static void test_address_0_is_never_handed_out(void **state) {
  (void)state;
  hal_addr_t addr = alloc(LOW, 64 * KB - 128);
  assert_int_equal(addr, 128);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_a_region_may_end_at_2_to_the_64(void **state) {
  unsigned char bytes[256] = {1, 2, 3};
  struct zcmem_block_info info;
  void *host = NULL;
  (void)state;
  hal_addr_t addr = alloc(TOP, 64 * KB), found = 0;
  hal_size_t rest = 0;
  assert_int_equal(addr, bases[TOP]);
  assert_ok(zcmem_mem_write(hal, UINT64_MAX - 255, bytes, 256));
  assert_int_equal(*fake_at(&regions[TOP], UINT64_MAX - 255), 1);
  assert_status(zcmem_mem_write(hal, UINT64_MAX - 254, bytes, 256), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_read(hal, bytes, UINT64_MAX, 2), ZCMEM_EBOUNDS);
  assert_ok(zcmem_mem_fill(hal, addr, bytes, 3, 64 * KB));
  assert_status(zcmem_mem_fill(hal, addr, bytes, 3, 64 * KB + 1), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_copy(hal, addr + 1, addr, 64 * KB), ZCMEM_EBOUNDS);
  assert_ok(zcmem_mem_copy(hal, addr + 1, addr, 64 * KB - 1));
  assert_ok(zcmem_mem_info(hal, UINT64_MAX, &info));
  assert_int_equal(info.addr, addr);
  assert_ok(zcmem_mem_host(hal, UINT64_MAX, 1, &host));
  assert_ptr_equal(host, regions[TOP].memory + 64 * KB - 1);
  assert_status(zcmem_mem_host(hal, UINT64_MAX, 2, &host), ZCMEM_EBOUNDS);
  assert_ok(zcmem_mem_device(hal, host, &found, &rest));
  assert_true(found == UINT64_MAX);
  assert_int_equal(rest, 1);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_huge_sizes_do_not_wrap(void **state) {
  hal_addr_t addr = 77;
  (void)state;
  for (uint32_t region = 0; region < REGIONS; region++) {
    for (hal_size_t less = 1; less < 300; less += 9) {
      assert_status(zcmem_mem_alloc(hal, region, 0 - less, 1, &addr), ZCMEM_ENOSPC);
    }
  }
  assert_int_equal(addr, 77);
}

static void test_zero_bytes_are_a_block(void **state) {
  struct zcmem_block_info info;
  (void)state;
  hal_addr_t a = alloc(LOW, 0), b = alloc(LOW, 0);
  assert_true(a != b && a != 0 && b != 0);
  assert_ok(zcmem_mem_info(hal, a, &info));
  assert_int_equal(info.requested, 0);
  assert_int_equal(info.size, 128);
  assert_ok(zcmem_mem_free(hal, a));
  assert_ok(zcmem_mem_free(hal, b));
}

static void test_failures_are_counted_by_reason(void **state) {
  hal_addr_t addr = 0, blocks[4];
  (void)state;
  assert_status(zcmem_mem_alloc(hal, MSMC, 4097, 1, &addr), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_alloc(hal, MSMC, 10, 3, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(hal, MSMC, 10, 1, NULL), ZCMEM_EINVAL);
  for (int i = 0; i < 4; i++) {
    blocks[i] = alloc(MSMC, 512);
  }
  assert_status(zcmem_mem_alloc(hal, MSMC, 10, 1, &addr), ZCMEM_ENOMEM);
  assert_ok(zcmem_mem_free(hal, blocks[1]));
  assert_status(zcmem_mem_alloc(hal, MSMC, 2500, 1, &addr), ZCMEM_EFRAG);
  assert_status(zcmem_mem_resize(hal, blocks[0], 2500), ZCMEM_EFRAG);
  assert_status(zcmem_mem_resize(hal, blocks[0], 10000), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_free(hal, blocks[1]), ZCMEM_ENOENT);
  assert_ok(zcmem_mem_pin(hal, blocks[0]));
  assert_status(zcmem_mem_free(hal, blocks[0]), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unpin(hal, blocks[0]));
  assert_status(zcmem_mem_free(hal, blocks[0] + 1), ZCMEM_ENOENT);
  struct zcmem_region_stats stats = stats_of(MSMC);
  assert_int_equal(stats.failed_space, 2);
  assert_int_equal(stats.failed_invalid, 2);
  assert_int_equal(stats.failed_blocks, 1);
  assert_int_equal(stats.failed_fragmented, 2);
  assert_int_equal(stats.bad_frees, 3);
  assert_int_equal(stats.allocations, 4);
  assert_int_equal(stats.frees, 1);
  assert_int_equal(stats.in_use, 1536);
  assert_int_equal(stats.peak, 2048);
  assert_ok(zcmem_mem_resize(hal, blocks[0], 1024));
  stats = stats_of(MSMC);
  assert_int_equal(stats.resizes, 1);
  assert_int_equal(stats.in_use, 2048);
  assert_ok(zcmem_mem_resize(hal, blocks[3], 1024));
  assert_int_equal(stats_of(MSMC).peak, 2560);
  assert_ok(zcmem_mem_free(hal, blocks[0]));
  assert_ok(zcmem_mem_free(hal, blocks[2]));
  assert_ok(zcmem_mem_free(hal, blocks[3]));
  stats = stats_of(MSMC);
  assert_int_equal(stats.in_use, 0);
  assert_int_equal(stats.live, 0);
  assert_int_equal(stats.requested, 0);
  assert_int_equal(stats.frees, 4);
  assert_int_equal(stats.available, 4096);
  assert_int_equal(stats.largest, 4096);
  assert_ok(zcmem_mem_free(hal, alloc(MSMC, 10)));
  assert_int_equal(stats_of(MSMC).peak, 2560);
}

static void test_preferred_goes_to_the_first_region_with_room(void **state) {
  const uint32_t order[] = {MSMC, LOW}, wrong[] = {MSMC, REGIONS};
  hal_addr_t first = 0, second = 0, none = 77;
  uint32_t index = 77;
  (void)state;
  assert_ok(zcmem_mem_alloc_preferred(hal, order, 2, 4096, 1, &first));
  assert_ok(zcmem_hal_region_of(hal, first, &index));
  assert_int_equal(index, MSMC);
  assert_ok(zcmem_mem_alloc_preferred(hal, order, 2, 4096, 1, &second));
  assert_ok(zcmem_hal_region_of(hal, second, &index));
  assert_int_equal(index, LOW);
  assert_int_equal(stats_of(MSMC).failed_space, 1);
  /* Where all fail: the last one's status. */
  assert_status(zcmem_mem_alloc_preferred(hal, order, 2, 70000, 1, &none), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_alloc_preferred(hal, order, 2, 1, 6, &none), ZCMEM_EINVAL);
  /* A list that is wrong anywhere tries nothing. */
  uint64_t allocations = stats_of(MSMC).allocations;
  assert_status(zcmem_mem_alloc_preferred(hal, wrong, 2, 1, 1, &none), ZCMEM_EINVAL);
  assert_int_equal(stats_of(MSMC).allocations, allocations);
  assert_status(zcmem_mem_alloc_preferred(hal, order, 0, 1, 1, &none), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_preferred(hal, NULL, 1, 1, 1, &none), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_preferred(NULL, order, 2, 1, 1, &none), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_preferred(hal, order, 2, 1, 1, NULL), ZCMEM_EINVAL);
  assert_int_equal(none, 77);
  assert_ok(zcmem_mem_free(hal, first));
  assert_ok(zcmem_mem_free(hal, second));
}

static void test_preferred_answers_the_last_regions_status(void **state) {
  const uint32_t order[] = {LOW, MSMC};
  hal_addr_t blocks[4], all = alloc(LOW, 64 * KB - 128), none = 77;
  (void)state;
  for (int i = 0; i < 4; i++) {
    blocks[i] = alloc(MSMC, 1);
  }
  assert_status(zcmem_mem_alloc_preferred(hal, order, 2, 1, 1, &none), ZCMEM_ENOMEM);
  for (int i = 0; i < 4; i++) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
  assert_ok(zcmem_mem_free(hal, all));
  assert_int_equal(none, 77);
}

static void test_kind_goes_through_the_regions_of_that_kind(void **state) {
  hal_addr_t first = 0, second = 0, none = 77;
  (void)state;
  assert_ok(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_DRAM, 60 * KB, 1, &first));
  assert_ok(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_DRAM, 60 * KB, 1, &second));
  assert_int_equal(first, 128);
  assert_true(second >= bases[TOP]);
  assert_status(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_DRAM, 60 * KB, 1, &none), ZCMEM_ENOSPC);
  assert_int_equal(none, 77);
  assert_int_equal(stats_of(MSMC).allocations, 0);
  assert_int_equal(stats_of(MSMC).failed_space, 0);
  assert_ok(zcmem_mem_free(hal, first));
  assert_ok(zcmem_mem_free(hal, second));
}

static void test_free_of_0_succeeds_and_does_nothing(void **state) {
  (void)state;
  unsigned locks = fake.lock_calls;
  assert_ok(zcmem_mem_free(hal, HAL_NULLPTR));
  assert_ok(zcmem_mem_free_deferred(hal, HAL_NULLPTR));
  assert_int_equal(fake.lock_calls, locks);
  assert_int_equal(stats_of(LOW).frees, 0);
  assert_int_equal(stats_of(LOW).bad_frees, 0);
  assert_status(zcmem_mem_free(NULL, HAL_NULLPTR), ZCMEM_EINVAL);
  assert_status(zcmem_mem_free_deferred(NULL, HAL_NULLPTR), ZCMEM_EINVAL);
}

static void test_a_wrong_free_is_refused_and_loses_nothing(void **state) {
  (void)state;
  hal_addr_t addr = alloc(LOW, 1000);
  for (int deferred = 0; deferred < 2; deferred++) {
    enum zcmem_status (*wrong)(struct zcmem_hal *, hal_addr_t) = deferred ? zcmem_mem_free_deferred : zcmem_mem_free;
    assert_status(wrong(hal, addr + 1), ZCMEM_ENOENT);
    assert_status(wrong(hal, addr + 128), ZCMEM_ENOENT);
    assert_status(wrong(hal, addr + 1024), ZCMEM_ENOENT);
    assert_status(wrong(hal, 64 * KB), ZCMEM_ENOENT); /* in no region */
    assert_status(wrong(hal, UINT64_MAX), ZCMEM_ENOENT);
    assert_status(wrong(hal, (hal_addr_t)(uintptr_t)regions[LOW].memory), ZCMEM_ENOENT);
  }
  assert_int_equal(stats_of(LOW).bad_frees, 6);
  assert_int_equal(stats_of(LOW).live, 1);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  assert_status(zcmem_mem_free_deferred(hal, addr), ZCMEM_ENOENT);
}

static void test_free_while_pinned_is_refused(void **state) {
  struct zcmem_block_info info;
  (void)state;
  hal_addr_t addr = alloc(LOW, 1000);
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_ok(zcmem_mem_pin(hal, addr + 999));
  assert_ok(zcmem_mem_info(hal, addr + 500, &info));
  assert_int_equal(info.pins, 2);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unpin(hal, addr + 1));
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_status(zcmem_mem_resize(hal, addr, 10), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_resize(hal, addr, 2000));
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_resize(hal, addr, 10));
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_free_while_pinned_can_be_deferred(void **state) {
  struct zcmem_block_info info;
  unsigned char byte = 0;
  (void)state;
  hal_addr_t addr = alloc(LOW, 1000);
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_ok(zcmem_mem_free_deferred(hal, addr));
  /* From now on it is no longer live for any call but unpin ... */
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  assert_status(zcmem_mem_free_deferred(hal, addr), ZCMEM_ENOENT);
  assert_status(zcmem_mem_info(hal, addr, &info), ZCMEM_ENOENT);
  assert_status(zcmem_mem_pin(hal, addr), ZCMEM_ENOENT);
  assert_status(zcmem_mem_resize(hal, addr, 2000), ZCMEM_ENOENT);
  assert_status(zcmem_mem_read(hal, &byte, addr, 1), ZCMEM_ENOENT);
  /* ... but still occupied. */
  struct zcmem_region_stats stats = stats_of(LOW);
  assert_int_equal(stats.deferred_frees, 1);
  assert_int_equal(stats.frees, 0);
  assert_int_equal(stats.in_use, 1024);
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_int_equal(stats_of(LOW).in_use, 1024);
  assert_ok(zcmem_mem_unpin(hal, addr + 999));
  stats = stats_of(LOW);
  assert_int_equal(stats.frees, 1);
  assert_int_equal(stats.in_use, 0);
  assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_ENOENT);
}

static void test_a_deferred_free_of_an_unused_block_frees_it(void **state) {
  (void)state;
  hal_addr_t addr = alloc(LOW, 1000);
  assert_ok(zcmem_mem_free_deferred(hal, addr));
  assert_int_equal(stats_of(LOW).frees, 1);
  assert_int_equal(stats_of(LOW).deferred_frees, 0);
  assert_int_equal(stats_of(LOW).in_use, 0);
}

static void test_calls_about_blocks_refuse_what_is_none(void **state) {
  struct zcmem_block_info info;
  (void)state;
  hal_addr_t addr = alloc(LOW, 1000);
  const hal_addr_t wrong[] = {0, addr + 1024, 64 * KB, bases[TOP], UINT64_MAX};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_status(zcmem_mem_info(hal, wrong[i], &info), ZCMEM_ENOENT);
    assert_status(zcmem_mem_pin(hal, wrong[i]), ZCMEM_ENOENT);
    assert_status(zcmem_mem_unpin(hal, wrong[i]), ZCMEM_ENOENT);
    assert_status(zcmem_mem_resize(hal, wrong[i], 1), ZCMEM_ENOENT);
  }
  assert_status(zcmem_mem_resize(hal, addr + 1, 1), ZCMEM_ENOENT);
  assert_status(zcmem_mem_info(hal, addr, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_info(NULL, addr, &info), ZCMEM_EINVAL);
  assert_status(zcmem_mem_pin(NULL, addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_unpin(NULL, addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_resize(NULL, addr, 1), ZCMEM_EINVAL);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_the_number_of_pins_is_bounded(void **state) {
  (void)state;
  hal_addr_t addr = alloc(LOW, 1);
  for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_mem_pin(hal, addr));
  }
  assert_status(zcmem_mem_pin(hal, addr), ZCMEM_EBUSY);
  for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_mem_unpin(hal, addr));
  }
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_a_lock_that_fails_changes_nothing(void **state) {
  const uint32_t order[] = {MSMC, LOW};
  hal_addr_t none = 77;
  (void)state;
  hal_addr_t addr = alloc(LOW, 1000);
  struct zcmem_region_stats before = stats_of(LOW), after;
#define LOCKED_OUT(call)                                                                                               \
  do {                                                                                                                 \
    fake.fail_lock_in = 1;                                                                                             \
    assert_status(call, ZCMEM_ELOCK);                                                                                  \
    assert_int_equal(fake.fail_lock_in, 0);                                                                            \
    assert_int_equal(fake.locks_held, 0);                                                                              \
  } while (0)
  LOCKED_OUT(zcmem_mem_alloc(hal, LOW, 1, 1, &none));
  LOCKED_OUT(zcmem_mem_alloc_preferred(hal, order + 1, 1, 1, 1, &none));
  LOCKED_OUT(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_MSMC, 1, 1, &none));
  LOCKED_OUT(zcmem_mem_free(hal, addr));
  LOCKED_OUT(zcmem_mem_free_deferred(hal, addr));
  LOCKED_OUT(zcmem_mem_resize(hal, addr, 1));
  LOCKED_OUT(zcmem_mem_pin(hal, addr));
  LOCKED_OUT(zcmem_mem_unpin(hal, addr));
#undef LOCKED_OUT
  assert_int_equal(none, 77);
  after = stats_of(LOW);
  assert_memory_equal(&before, &after, sizeof before);
  /* A region that cannot be locked is one without room: the next one is tried. */
  fake.fail_lock_in = 1;
  assert_ok(zcmem_mem_alloc_preferred(hal, order, 2, 1, 1, &none));
  assert_true(none < 64 * KB);
  assert_ok(zcmem_mem_free(hal, none));
  assert_ok(zcmem_mem_free(hal, addr));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_alloc_in_a_region_that_does_not_exist),
      TEST(test_alloc_in_a_kind_that_does_not_exist),
      TEST(test_address_0_is_never_handed_out),
      TEST(test_a_region_may_end_at_2_to_the_64),
      TEST(test_huge_sizes_do_not_wrap),
      TEST(test_zero_bytes_are_a_block),
      TEST(test_failures_are_counted_by_reason),
      TEST(test_preferred_goes_to_the_first_region_with_room),
      TEST(test_preferred_answers_the_last_regions_status),
      TEST(test_kind_goes_through_the_regions_of_that_kind),
      TEST(test_free_of_0_succeeds_and_does_nothing),
      TEST(test_a_wrong_free_is_refused_and_loses_nothing),
      TEST(test_free_while_pinned_is_refused),
      TEST(test_free_while_pinned_can_be_deferred),
      TEST(test_a_deferred_free_of_an_unused_block_frees_it),
      TEST(test_calls_about_blocks_refuse_what_is_none),
      TEST(test_the_number_of_pins_is_bounded),
      TEST(test_a_lock_that_fails_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
