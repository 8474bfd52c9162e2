/* SPDX-License-Identifier: MIT */
#include "hal_impl.h"
#include "map_fixture.h"

static void test_host_translates_within_the_live_block(void **state) {
  void *host = NULL, *untouched = &regions;
  (void)state;
  hal_addr_t addr = alloc(HOST, 1000), copying = alloc(COPYING, 1000);
  assert_ok(zcmem_mem_host(hal, addr, 1000, &host));
  assert_ptr_equal(host, fake_at(&regions[HOST], addr));
  assert_ok(zcmem_mem_host(hal, addr + 400, 600, &host));
  assert_ptr_equal(host, fake_at(&regions[HOST], addr + 400));
  assert_ok(zcmem_mem_host(hal, addr + 1000, 0, &host));
  assert_int_equal(pins_of(addr), 0);
  host = untouched;
  assert_status(zcmem_mem_host(hal, addr, 1001, &host), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(hal, addr + 400, 601, &host), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(hal, addr + 1, UINT64_MAX, &host), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(hal, addr + 1001, 0, &host), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(hal, addr + 1024, 1, &host), ZCMEM_ENOENT);
  assert_status(zcmem_mem_host(hal, 1, 1, &host), ZCMEM_ENOENT);
  assert_status(zcmem_mem_host(hal, copying, 1, &host), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_host(NULL, addr, 1, &host), ZCMEM_EINVAL);
  assert_status(zcmem_mem_host(hal, addr, 1, NULL), ZCMEM_EINVAL);
  unsigned locks = fake.lock_calls;
  void *seen = NULL;
  assert_ok(zcmem_mem_host(hal, addr, 1, &seen)); /* no lock, but where the region is just being changed */
  assert_int_equal(fake.lock_calls, locks);
  zcmem__atomic_change(&hal->regions[HOST].version);
  assert_ok(zcmem_mem_host(hal, addr, 1, &seen));
  assert_int_equal(fake.lock_calls, locks + 1);
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_host(hal, addr, 1, &host), ZCMEM_ELOCK);
  zcmem__atomic_changed(&hal->regions[HOST].version);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_status(zcmem_mem_host(hal, addr, 1, &host), ZCMEM_ENOENT);
  assert_ptr_equal(host, untouched);
  assert_ok(zcmem_mem_free(hal, copying));
}

/* A region that trusts its user: its range is all that is checked, whatever lives there. */
static void test_unchecked_regions(void **state) {
  static unsigned char memory[1 << 16];
  struct zcmem_region_config config = {.name = "trusting",
                                       .kind = ZCMEM_KIND_DRAM,
                                       .flags = ZCMEM_REGION_UNCHECKED,
                                       .base = UINT64_C(1) << 40,
                                       .size = sizeof memory,
                                       .max_blocks = 4,
                                       .host = memory};
  const struct zcmem_hal_config device = {.name = "device", .max_regions = 2};
  struct zcmem_hal *trusting = NULL;
  void *host = NULL;
  hal_addr_t addr = 0;
  hal_size_t rest = 0;
  (void)state;
  assert_ok(zcmem_hal_create(&device, &config, 1, &trusting));
  assert_ok(zcmem_mem_host(trusting, config.base + 5, config.size - 5, &host));
  assert_ptr_equal(host, memory + 5);
  assert_status(zcmem_mem_host(trusting, config.base + 5, config.size - 4, &host), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(trusting, config.base + 5, UINT64_MAX, &host), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(trusting, config.base + config.size, 0, &host), ZCMEM_ENOENT);
  assert_ok(zcmem_mem_device(trusting, memory + 77, &addr, &rest));
  assert_int_equal(addr, config.base + 77);
  assert_int_equal(rest, config.size - 77);
  assert_ok(zcmem_mem_device(trusting, memory, &addr, NULL));
  assert_status(zcmem_mem_device(trusting, memory + sizeof memory, &addr, &rest), ZCMEM_ENOTMAPPED);
  struct zcmem_place place;
  assert_status(zcmem_mem_locate(trusting, memory, &place), ZCMEM_ENOENT); /* it has to name the block */
  assert_status(zcmem_mem_read(trusting, memory, config.base, 1), ZCMEM_ENOENT);
  config = (struct zcmem_region_config){.name = "unmapped",
                                        .kind = ZCMEM_KIND_DRAM,
                                        .flags = ZCMEM_REGION_UNCHECKED,
                                        .base = UINT64_C(1) << 41,
                                        .size = 4096,
                                        .max_blocks = 4};
  assert_ok(zcmem_hal_add_region(trusting, &config, NULL));
  assert_status(zcmem_mem_host(trusting, config.base, 1, &host), ZCMEM_ENOTMAPPED);
  assert_int_equal(zcmem_hal_destroy(trusting), 0);
}

static void test_device_translates_interior_pointers(void **state) {
  (void)state;
  hal_addr_t addr = alloc(HOST, 1000), found = 77;
  hal_size_t rest = 77;
  unsigned char *host = fake_at(&regions[HOST], addr);
  for (hal_size_t i = 0; i < 1000; i += 111) {
    assert_ok(zcmem_mem_device(hal, host + i, &found, &rest));
    assert_int_equal(found, addr + i);
    assert_int_equal(rest, 1000 - i);
  }
  assert_ok(zcmem_mem_device(hal, host + 1010, &found, &rest)); /* the unused end of the last quantum */
  assert_int_equal(found, addr + 1010);
  assert_int_equal(rest, 0);
  assert_ok(zcmem_mem_device(hal, host, &found, NULL));
  found = rest = 77;
  assert_status(zcmem_mem_device(hal, host + 1024, &found, &rest), ZCMEM_ENOENT);
  assert_status(zcmem_mem_device(hal, &rest, &found, &rest), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_device(hal, NULL, &found, &rest), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_device(hal, regions[HOST].memory + BYTES, &found, &rest), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_device(NULL, host, &found, &rest), ZCMEM_EINVAL);
  assert_status(zcmem_mem_device(hal, host, NULL, &rest), ZCMEM_EINVAL);
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_device(hal, &rest, &found, &rest), ZCMEM_ENOTMAPPED);
  assert_int_equal(fake.fail_lock_in, 1); /* no lock */
  zcmem__atomic_change(&hal->regions[HOST].version);
  assert_status(zcmem_mem_device(hal, host, &found, &rest), ZCMEM_ELOCK);
  zcmem__atomic_changed(&hal->regions[HOST].version);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_status(zcmem_mem_device(hal, host, &found, &rest), ZCMEM_ENOENT);
  assert_int_equal(found, 77);
  assert_int_equal(rest, 77);
}

static void test_device_finds_ranges_mapped_on_demand(void **state) {
  void *small = NULL, *large = NULL, *behind = NULL;
  hal_addr_t found = 0;
  hal_size_t rest = 0;
  (void)state;
  hal_addr_t addr = alloc(DIRECT, 1000);
  assert_ok(zcmem_mem_map(hal, addr + 100, 50, RW, &small));
  assert_ok(zcmem_mem_device(hal, (unsigned char *)small + 20, &found, &rest));
  assert_int_equal(found, addr + 120);
  assert_int_equal(rest, 30);
  assert_status(zcmem_mem_device(hal, (unsigned char *)small + 50, &found, &rest), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_device(hal, (unsigned char *)small - 1, &found, &rest), ZCMEM_ENOTMAPPED);
  /* Of two that hold it, the one that reaches farther; never beyond what was requested. */
  assert_ok(zcmem_mem_map(hal, addr, 1000, RW, &large));
  assert_ok(zcmem_mem_device(hal, (unsigned char *)small + 20, &found, &rest));
  assert_int_equal(found, addr + 120);
  assert_int_equal(rest, 880);
  assert_ok(zcmem_mem_unmap(hal, small));
  assert_ok(zcmem_mem_map(hal, addr + 100, 50, RW, &small));  /* in front of the large one in the table, as before, */
  assert_ok(zcmem_mem_map(hal, addr + 110, 50, RW, &behind)); /* and behind it */
  assert_ok(zcmem_mem_device(hal, (unsigned char *)small + 20, &found, &rest));
  assert_int_equal(rest, 880);
  assert_ok(zcmem_mem_unmap(hal, behind));
  assert_ok(zcmem_mem_free_deferred(hal, addr));
  assert_status(zcmem_mem_device(hal, small, &found, &rest), ZCMEM_ENOENT);
  assert_ok(zcmem_mem_unmap(hal, small));
  assert_ok(zcmem_mem_unmap(hal, large));
  assert_status(zcmem_mem_device(hal, small, &found, &rest), ZCMEM_ENOTMAPPED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_host_translates_within_the_live_block),
      TEST(test_unchecked_regions),
      TEST(test_device_translates_interior_pointers),
      TEST(test_device_finds_ranges_mapped_on_demand),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
