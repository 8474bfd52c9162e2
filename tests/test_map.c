/* SPDX-License-Identifier: MIT */
#include "map_fixture.h"

static void test_map_refuses_what_it_must(void **state) {
  void *host = &regions;
  (void)state;
  for (uint32_t region = HOST; region <= DIRECT; region++) {
    hal_addr_t addr = alloc(region, 1000);
    assert_status(zcmem_mem_map(NULL, addr, 1, RW, &host), ZCMEM_EINVAL);
    assert_status(zcmem_mem_map(hal, addr, 1, RW, NULL), ZCMEM_EINVAL);
    assert_status(zcmem_mem_map(hal, addr, 0, RW, &host), ZCMEM_EINVAL);
    assert_status(zcmem_mem_map(hal, addr, 1, 0, &host), ZCMEM_EINVAL);
    assert_status(zcmem_mem_map(hal, addr, 1, RW | 4, &host), ZCMEM_EINVAL);
    assert_status(zcmem_mem_map(hal, addr, 1001, RW, &host), ZCMEM_EBOUNDS);
    assert_status(zcmem_mem_map(hal, addr + 1, UINT64_MAX, RW, &host), ZCMEM_EBOUNDS);
    assert_status(zcmem_mem_map(hal, addr + 1024, 1, RW, &host), ZCMEM_ENOENT);
    assert_status(zcmem_mem_map(hal, 1, 1, RW, &host), ZCMEM_ENOENT);
    fake.fail_lock_in = 1;
    assert_status(zcmem_mem_map(hal, addr, 1, RW, &host), ZCMEM_ELOCK);
    assert_int_equal(pins_of(addr), 0);
    assert_int_equal(maps_of(region), 0);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_status(zcmem_mem_map(hal, addr, 1, RW, &host), ZCMEM_ENOENT);
    assert_int_equal(regions[region].calls[FAKE_CALL_MAP], 0);
  }
  hal_addr_t addr = alloc(NOTHING, 1000);
  assert_status(zcmem_mem_map(hal, addr, 1, RW, &host), ZCMEM_ENOTMAPPED);
  assert_int_equal(pins_of(addr), 0);
  assert_int_equal(maps_of(NOTHING), 0);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_ptr_equal(host, &regions);
}

static void test_map_of_a_mapped_region_is_arithmetic_and_pins(void **state) {
  void *host = NULL, *inside = NULL;
  (void)state;
  hal_addr_t addr = alloc(HOST, 1000);
  assert_ok(zcmem_mem_map(hal, addr, 1000, ZCMEM_MAP_READ, &host));
  assert_ok(zcmem_mem_map(hal, addr + 10, 5, ZCMEM_MAP_WRITE, &inside));
  assert_ptr_equal(host, fake_at(&regions[HOST], addr));
  assert_ptr_equal(inside, fake_at(&regions[HOST], addr + 10));
  assert_int_equal(pins_of(addr), 2);
  assert_int_equal(maps_of(HOST), 2);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unmap(hal, inside));
  assert_status(zcmem_mem_unmap(hal, inside), ZCMEM_ENOTMAPPED);
  assert_int_equal(pins_of(addr), 0);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ENOTMAPPED);
}

static void test_unmap_ends_a_zombie(void **state) {
  (void)state;
  for (uint32_t region = HOST; region <= DIRECT; region++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    void *host = NULL;
    hal_addr_t addr = alloc(region, 1000);
    assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
    assert_ok(zcmem_mem_free_deferred(hal, addr));
    assert_status(zcmem_mem_map(hal, addr, 1000, RW, &host), ZCMEM_ENOENT); /* not shared with the old one */
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_ok(zcmem_hal_region_stats(hal, region, &stats));
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.frees, 1);
    assert_int_equal(stats.deferred_frees, 1);
  }
}

static void test_unmap_refuses_what_is_not_mapped(void **state) {
  void *host = NULL;
  (void)state;
  hal_addr_t addr = alloc(DIRECT, 1000);
  assert_status(zcmem_mem_unmap(NULL, &host), ZCMEM_EINVAL);
  assert_status(zcmem_mem_unmap(hal, NULL), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_unmap(hal, &host), ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
  assert_status(zcmem_mem_unmap(hal, (unsigned char *)host + 1), ZCMEM_ENOTMAPPED); /* only what map gave */
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_equal_ranges_are_mapped_once(void **state) {
  void *first = NULL, *again = NULL, *other = NULL;
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000);
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &first));
  for (int i = 0; i < 10; i++) {
    assert_ok(zcmem_mem_map(hal, addr, 1000, i % 2 ? RW : ZCMEM_MAP_READ, &again));
    assert_ptr_equal(again, first);
  }
  assert_int_equal(regions[COPYING].calls[FAKE_CALL_MAP], 1);
  assert_int_equal(pins_of(addr), 11);
  assert_int_equal(maps_of(COPYING), 11);
  assert_ok(zcmem_mem_map(hal, addr, 999, RW, &other));
  assert_ptr_not_equal(other, first);
  assert_int_equal(regions[COPYING].calls[FAKE_CALL_MAP], 2);
  memset(first, 0x5c, 1000);
  for (int i = 0; i < 11; i++) {
    assert_int_equal(regions[COPYING].calls[FAKE_CALL_UNMAP], 0);
    assert_ok(zcmem_mem_unmap(hal, first));
  }
  assert_int_equal(regions[COPYING].calls[FAKE_CALL_UNMAP], 1);
  assert_int_equal(*fake_at(&regions[COPYING], addr + 999), 0x5c); /* the unmap wrote it back */
  assert_status(zcmem_mem_unmap(hal, first), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unmap(hal, other));
  assert_ok(zcmem_mem_free(hal, addr));
}

/* A mapping for reading is no mapping for writing. */
static void test_ranges_are_shared_only_where_the_flags_allow(void **state) {
  void *reading = NULL, *writing = NULL;
  (void)state;
  hal_addr_t addr = alloc(COPYING, 100);
  assert_ok(zcmem_mem_map(hal, addr, 100, ZCMEM_MAP_READ, &reading));
  assert_int_equal(regions[COPYING].last_flags, ZCMEM_MAP_READ);
  assert_ok(zcmem_mem_map(hal, addr, 100, ZCMEM_MAP_WRITE, &writing));
  assert_int_equal(regions[COPYING].last_flags, ZCMEM_MAP_WRITE);
  assert_ptr_not_equal(reading, writing);
  memset(writing, 0x5d, 100);
  assert_ok(zcmem_mem_unmap(hal, writing));
  assert_ok(zcmem_mem_unmap(hal, reading));
  assert_int_equal(*fake_at(&regions[COPYING], addr + 99), 0x5d);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* Where pointers are equal and sizes are not, what stays mapped covers what its user was given. */
static void test_of_equal_pointers_the_smallest_range_is_unmapped_first(void **state) {
  void *small = NULL, *large = NULL, *middle = NULL;
  (void)state;
  hal_addr_t addr = alloc(DIRECT, 1000);
  assert_ok(zcmem_mem_map(hal, addr, 500, RW, &middle));
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &large));
  assert_ok(zcmem_mem_map(hal, addr, 10, RW, &small));
  assert_ptr_equal(small, large);
  const hal_size_t order[] = {10, 500, 1000};
  for (int i = 0; i < 3; i++) {
    assert_ok(zcmem_mem_unmap(hal, large));
    assert_int_equal(regions[DIRECT].last_unmapped, order[i]);
  }
  assert_status(zcmem_mem_unmap(hal, large), ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* And of equal ranges that with fewer rights, so that who still has the other one can go on; in whatever order. */
static void test_of_equal_ranges_that_with_fewer_rights_is_unmapped_first(void **state) {
  (void)state;
  for (int order = 0; order < 2; order++) {
    hal_addr_t addr = alloc(DIRECT, 1000);
    void *host = NULL, *again = NULL;
    assert_ok(zcmem_mem_map(hal, addr, 1000, order == 0 ? ZCMEM_MAP_READ : ZCMEM_MAP_WRITE, &host));
    assert_ok(zcmem_mem_map(hal, addr, 1000, order == 0 ? ZCMEM_MAP_WRITE : ZCMEM_MAP_READ, &again));
    assert_ptr_equal(host, again);
    assert_ok(zcmem_mem_unmap(hal, host));
    unsigned calls = regions[DIRECT].calls[FAKE_CALL_MAP];
    assert_ok(zcmem_mem_map(hal, addr, 1000, ZCMEM_MAP_WRITE, &again)); /* there is still one that may write */
    assert_int_equal(regions[DIRECT].calls[FAKE_CALL_MAP], calls);
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ENOTMAPPED);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

static void test_no_more_than_max_mappings(void **state) {
  void *host[MAPPINGS], *more = &regions;
  (void)state;
  hal_addr_t addr = alloc(DIRECT, 1000);
  for (unsigned i = 0; i < MAPPINGS; i++) {
    assert_ok(zcmem_mem_map(hal, addr + i, 100, RW, &host[i]));
  }
  assert_status(zcmem_mem_map(hal, addr + MAPPINGS, 100, RW, &more), ZCMEM_ENOMEM);
  assert_ptr_equal(more, &regions);
  assert_int_equal(pins_of(addr), MAPPINGS);
  assert_int_equal(maps_of(DIRECT), MAPPINGS);
  assert_ok(zcmem_mem_map(hal, addr, 100, RW, &more)); /* an equal one needs no entry */
  assert_ok(zcmem_mem_unmap(hal, more));
  assert_ok(zcmem_mem_unmap(hal, host[2]));
  assert_ok(zcmem_mem_map(hal, addr + MAPPINGS, 100, RW, &host[2]));
  for (unsigned i = 0; i < MAPPINGS; i++) {
    assert_ok(zcmem_mem_unmap(hal, host[i]));
  }
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_a_hal_without_mappings(void **state) {
  void *host = NULL;
  hal_addr_t found = 0;
  (void)teardown(state);
  open_hal(0);
  hal_addr_t addr = alloc(DIRECT, 1000), mapped = alloc(HOST, 1000);
  assert_status(zcmem_mem_map(hal, addr, 1, RW, &host), ZCMEM_ENOMEM);
  assert_status(zcmem_mem_unmap(hal, &host), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_device(hal, &host, &found, NULL), ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_mem_map(hal, mapped, 1, RW, &host));
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, addr));
  assert_ok(zcmem_mem_free(hal, mapped));
}

static void test_a_map_callback_that_fails_leaves_nothing(void **state) {
  void *host = &regions;
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000);
  for (unsigned i = 0; i < 2 * MAPPINGS; i++) {
    fake.fail_callback_in = 1;
    assert_status(zcmem_mem_map(hal, addr, 1000, RW, &host), ZCMEM_EIO);
  }
  assert_ptr_equal(host, &regions);
  assert_int_equal(pins_of(addr), 0);
  assert_int_equal(maps_of(COPYING), 0);
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_a_map_callback_without_a_pointer_has_failed(void **state) {
  void *host = &regions;
  unsigned char byte = 0;
  (void)state;
  hal_addr_t addr = alloc(DIRECT, 1000);
  regions[DIRECT].forgetful = true;
  assert_status(zcmem_mem_map(hal, addr, 1000, RW, &host), ZCMEM_EIO);
  assert_status(zcmem_mem_read(hal, &byte, addr, 1), ZCMEM_EIO);
  assert_ptr_equal(host, &regions);
  assert_int_equal(pins_of(addr), 0);
  assert_int_equal(regions[DIRECT].calls[FAKE_CALL_UNMAP], 0);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_an_unmap_callback_that_fails_unmaps_all_the_same(void **state) {
  void *host = NULL;
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000);
  for (unsigned i = 0; i < 2 * MAPPINGS; i++) {
    assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
    fake.fail_callback_in = 1;
    assert_status(zcmem_mem_unmap(hal, host), ZCMEM_EIO);
    assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ENOTMAPPED);
    assert_int_equal(pins_of(addr), 0);
  }
  assert_ok(zcmem_mem_free(hal, addr));
}

/* A map takes the region's lock, then the table's; one that fails after that takes the region's again. */
static void test_locks_that_fail_while_mapping(void **state) {
  void *host = &regions;
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000);
  for (unsigned n = 1; n <= 2; n++) {
    fake.fail_lock_in = n;
    assert_status(zcmem_mem_map(hal, addr, 1000, RW, &host), ZCMEM_ELOCK);
    assert_int_equal(pins_of(addr), 0);
    assert_int_equal(maps_of(COPYING), 0);
    assert_int_equal(regions[COPYING].calls[FAKE_CALL_MAP], 0);
  }
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
  fake.fail_lock_in = 1; /* the table's: nothing has happened */
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ELOCK);
  assert_int_equal(pins_of(addr), 1);
  assert_int_equal(regions[COPYING].mapped, 1);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, addr));
  hal_addr_t mapped = alloc(HOST, 10);
  assert_ok(zcmem_mem_map(hal, mapped, 10, RW, &host));
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ELOCK);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, mapped));
}

/* Where nobody is left to end the use of a block, it is never handed out again. */
static void test_locks_that_fail_and_leave_a_use(void **state) {
  void *host = &regions;
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000), other = alloc(COPYING, 1000);
  fake.fail_callback_in = 1;
  fake.fail_lock_in = 3; /* the region's, after the callback has failed */
  assert_status(zcmem_mem_map(hal, addr, 1000, RW, &host), ZCMEM_ELOCK);
  assert_int_equal(fake.fail_lock_in, 0);
  assert_ptr_equal(host, &regions);
  assert_int_equal(pins_of(addr), 1);
  assert_ok(zcmem_mem_map(hal, other, 1000, RW, &host));
  fake.fail_lock_in = 2; /* the region's, after the range was unmapped */
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ELOCK);
  assert_int_equal(regions[COPYING].mapped, 0);
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ENOTMAPPED);
  assert_int_equal(pins_of(other), 1);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_status(zcmem_mem_free(hal, other), ZCMEM_EBUSY);
  assert_int_equal(close_hal(), 2);
  open_hal(MAPPINGS);
}

/* The driver's unmap writes to the block: whatever its users do to the pins, it must still be theirs. */
static void test_an_unpin_too_many_frees_nothing_that_a_driver_maps(void **state) {
  (void)state;
  for (uint32_t region = COPYING; region <= DIRECT; region++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    void *host = NULL;
    hal_addr_t addr = alloc(region, 1000);
    assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
    assert_ok(zcmem_mem_unpin(hal, addr));
    assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_EBUSY);
    assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
    assert_status(zcmem_mem_resize(hal, addr, 1), ZCMEM_EBUSY);
    assert_ok(zcmem_mem_free_deferred(hal, addr));
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_ok(zcmem_hal_region_stats(hal, region, &stats));
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.frees, 1);
  }
}

static void test_pins_run_out_for_maps_too(void **state) {
  void *host = &regions;
  (void)state;
  for (uint32_t region = HOST; region <= DIRECT; region++) {
    hal_addr_t addr = alloc(region, 100);
    for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++) {
      assert_ok(zcmem_mem_pin(hal, addr));
    }
    assert_status(zcmem_mem_map(hal, addr, 100, RW, &host), ZCMEM_EBUSY);
    assert_int_equal(maps_of(region), 0);
    for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++) {
      assert_ok(zcmem_mem_unpin(hal, addr));
    }
    assert_ok(zcmem_mem_free(hal, addr));
  }
  assert_ptr_equal(host, &regions);
}

struct race {
  hal_addr_t addr;
  void *host;
};

static void map_the_same(void *arg) {
  struct race *race = arg;
  assert_ok(zcmem_mem_map(hal, race->addr, 100, RW, &race->host));
}

/* Two that map the same range at once, made certain by a callback that maps what is being mapped. */
static void test_equal_ranges_mapped_at_once_are_two_mappings(void **state) {
  (void)state;
  for (uint32_t region = COPYING; region <= DIRECT; region++) {
    struct race race = {.addr = alloc(region, 100), .host = NULL};
    void *host = NULL;
    regions[region].inside = map_the_same;
    regions[region].arg = &race;
    assert_ok(zcmem_mem_map(hal, race.addr, 100, RW, &host));
    assert_non_null(race.host);
    assert_int_equal(regions[region].mapped, 2);
    assert_int_equal(pins_of(race.addr), 2);
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_ok(zcmem_mem_unmap(hal, race.host));
    assert_int_equal(regions[region].mapped, 0);
    assert_status(zcmem_mem_unmap(hal, host), ZCMEM_ENOTMAPPED);
    assert_ok(zcmem_mem_free(hal, race.addr));
  }
}

/* A range that is being unmapped is not handed out again. */
static void test_a_range_mapped_during_its_unmap_is_a_new_mapping(void **state) {
  (void)state;
  struct race race = {.addr = alloc(DIRECT, 100), .host = NULL};
  void *host = NULL;
  assert_ok(zcmem_mem_map(hal, race.addr, 100, RW, &host));
  regions[DIRECT].inside = map_the_same;
  regions[DIRECT].arg = &race;
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_int_equal(regions[DIRECT].calls[FAKE_CALL_MAP], 2);
  assert_int_equal(regions[DIRECT].mapped, 1);
  assert_int_equal(pins_of(race.addr), 1);
  assert_ok(zcmem_mem_unmap(hal, race.host));
  assert_ok(zcmem_mem_free(hal, race.addr));
}

static void test_destroy_unmaps_what_is_mapped(void **state) {
  void *host = NULL;
  hal_addr_t addr = alloc(COPYING, 1000), zombie = alloc(DIRECT, 1000), freed = alloc(COPYING, 10);
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &host));
  assert_ok(zcmem_mem_map(hal, addr, 10, RW, &host));
  assert_ok(zcmem_mem_map(hal, zombie, 10, RW, &host));
  assert_ok(zcmem_mem_free_deferred(hal, zombie));
  assert_ok(zcmem_mem_free(hal, freed));
  assert_int_equal(regions[COPYING].mapped, 2);
  assert_int_equal(close_hal(), 2);
  assert_int_equal(regions[COPYING].calls[FAKE_CALL_UNMAP], 2);
  assert_int_equal(regions[DIRECT].calls[FAKE_CALL_UNMAP], 1);
  (void)setup(state);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_map_refuses_what_it_must),
      TEST(test_map_of_a_mapped_region_is_arithmetic_and_pins),
      TEST(test_unmap_ends_a_zombie),
      TEST(test_unmap_refuses_what_is_not_mapped),
      TEST(test_equal_ranges_are_mapped_once),
      TEST(test_ranges_are_shared_only_where_the_flags_allow),
      TEST(test_of_equal_pointers_the_smallest_range_is_unmapped_first),
      TEST(test_of_equal_ranges_that_with_fewer_rights_is_unmapped_first),
      TEST(test_no_more_than_max_mappings),
      TEST(test_a_hal_without_mappings),
      TEST(test_a_map_callback_that_fails_leaves_nothing),
      TEST(test_a_map_callback_without_a_pointer_has_failed),
      TEST(test_an_unmap_callback_that_fails_unmaps_all_the_same),
      TEST(test_locks_that_fail_while_mapping),
      TEST(test_locks_that_fail_and_leave_a_use),
      TEST(test_an_unpin_too_many_frees_nothing_that_a_driver_maps),
      TEST(test_pins_run_out_for_maps_too),
      TEST(test_equal_ranges_mapped_at_once_are_two_mappings),
      TEST(test_a_range_mapped_during_its_unmap_is_a_new_mapping),
      TEST(test_destroy_unmaps_what_is_mapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
