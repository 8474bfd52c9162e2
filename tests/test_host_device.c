/* SPDX-License-Identifier: MIT */
#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

#define MB ((hal_size_t)1 << 20)

static struct zcmem_host_device *device;
static struct zcmem_hal *hal;

static void open_device(uint32_t flags) {
  const struct zcmem_host_device_config config = {.flags = flags, .lock = &fake_lock};
  fake_reset();
  device = NULL;
  assert_ok(zcmem_host_device_create(&config, &device));
  hal = zcmem_host_device_hal(device);
}

static int setup_mapped(void **state) {
  (void)state;
  open_device(0);
  return 0;
}

static int setup_unmapped(void **state) {
  (void)state;
  open_device(ZCMEM_HOST_DEVICE_UNMAPPED_DRAM);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_host_device_destroy(device), 0);
  assert_int_equal(fake.locks_made, 0);
  return 0;
}

static void test_the_default_device(void **state) {
  struct zcmem_region_info info;
  (void)state;
  assert_ok(zcmem_host_device_create(NULL, &device));
  hal = zcmem_host_device_hal(device);
  assert_string_equal(zcmem_hal_name(hal), "zcmem host device");
  assert_int_equal(zcmem_hal_region_count(hal), 2);
  assert_ok(zcmem_hal_region_info(hal, 0, &info));
  assert_string_equal(info.name, "dram");
  assert_int_equal(info.kind, ZCMEM_KIND_DRAM);
  assert_true(info.base == ZCMEM_HOST_DEVICE_DRAM_BASE);
  assert_int_equal(info.size, 256 * MB);
  assert_int_equal(info.max_blocks, 65536);
  assert_true(info.mapped);
  assert_ok(zcmem_hal_region_info(hal, 1, &info));
  assert_string_equal(info.name, "msmc");
  assert_int_equal(info.kind, ZCMEM_KIND_MSMC);
  assert_true(info.base == ZCMEM_HOST_DEVICE_MSMC_BASE);
  assert_int_equal(info.size, 4 * MB);
  assert_int_equal(info.max_blocks, 1024);
  assert_true(info.mapped);
  assert_int_equal(zcmem_host_device_destroy(device), 0);
}

static void test_the_config_is_used(void **state) {
  const struct zcmem_host_device_config config = {
      .name = "mine", .dram_bytes = 3 * MB, .msmc_bytes = MB / 2, .max_blocks = 7, .lock = &zcmem_lock_none};
  struct zcmem_region_info info;
  hal_addr_t addr = 0;
  (void)state;
  assert_ok(zcmem_host_device_create(&config, &device));
  hal = zcmem_host_device_hal(device);
  assert_string_equal(zcmem_hal_name(hal), "mine");
  assert_ok(zcmem_hal_region_info(hal, 0, &info));
  assert_int_equal(info.size, 3 * MB);
  assert_int_equal(info.max_blocks, 7);
  assert_ok(zcmem_hal_region_info(hal, 1, &info));
  assert_int_equal(info.size, MB / 2);
  for (int i = 0; i < 7; i++) {
    assert_ok(zcmem_mem_alloc(hal, 1, 1, 1, &addr));
  }
  assert_status(zcmem_mem_alloc(hal, 1, 1, 1, &addr), ZCMEM_ENOMEM);
  assert_int_equal(zcmem_host_device_destroy(device), 7);
}

static void test_a_wrong_config_is_refused(void **state) {
  struct zcmem_host_device *none = NULL;
  struct zcmem_host_device_config config = {.flags = 4};
  (void)state;
  assert_status(zcmem_host_device_create(NULL, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_host_device_create(&config, &none), ZCMEM_EINVAL);
  config = (struct zcmem_host_device_config){.name = "a name of thirty-two characters!"};
  assert_status(zcmem_host_device_create(&config, &none), ZCMEM_EINVAL);
  config = (struct zcmem_host_device_config){.dram_bytes = UINT64_MAX};
  assert_status(zcmem_host_device_create(&config, &none), ZCMEM_EINVAL);
  config = (struct zcmem_host_device_config){.msmc_bytes = 1};
  assert_status(zcmem_host_device_create(&config, &none), ZCMEM_EINVAL);
  config = (struct zcmem_host_device_config){.max_blocks = UINT32_MAX};
  assert_status(zcmem_host_device_create(&config, &none), ZCMEM_EINVAL);
  assert_null(none);
  assert_null(zcmem_host_device_hal(NULL));
  assert_int_equal(zcmem_host_device_destroy(NULL), 0);
}

static void test_locks_that_fail_leave_no_device(void **state) {
  const struct zcmem_host_device_config config = {.lock = &fake_lock};
  struct zcmem_host_device *none = NULL;
  (void)state;
  fake_reset();
  for (unsigned n = 1; n <= 4; n++) {
    fake.fail_lock_in = n;
    assert_status(zcmem_host_device_create(&config, &none), ZCMEM_ELOCK);
    fake.fail_lock_init_in = n;
    assert_status(zcmem_host_device_create(&config, &none), ZCMEM_ELOCK);
  }
  assert_null(none);
  assert_int_equal(fake.locks_made, 0);
}

/* Much larger than what may be resident; only what is touched takes memory. */
static void test_a_large_device_costs_little(void **state) {
  const struct zcmem_host_device_config config = {.dram_bytes = (hal_size_t)16 << 30};
  unsigned char byte = 5;
  hal_addr_t addr = 0;
  (void)state;
  if (SIZE_MAX < UINT64_MAX) {
    skip();
  }
  assert_ok(zcmem_host_device_create(&config, &device));
  hal = zcmem_host_device_hal(device);
  assert_ok(zcmem_mem_alloc(hal, 0, (hal_size_t)15 << 30, 1, &addr));
  assert_ok(zcmem_mem_write(hal, addr + ((hal_size_t)14 << 30), &byte, 1));
  byte = 0;
  assert_ok(zcmem_mem_read(hal, &byte, addr + ((hal_size_t)14 << 30), 1));
  assert_int_equal(byte, 5);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_host_device_destroy(device), 0);
}

/* The same in each mode; the regions differ only in how their bytes are reached. */
static void test_bytes_go_round(void **state) {
  enum { SIZE = 100000 };
  static unsigned char in[SIZE], out[SIZE];
  uint64_t seed = 3;
  (void)state;
  for (size_t i = 0; i < SIZE; i++) {
    in[i] = (unsigned char)random_next(&seed);
  }
  for (uint32_t from = 0; from < 2; from++) {
    for (uint32_t to = 0; to < 2; to++) {
      hal_addr_t a = 0, b = 0;
      assert_ok(zcmem_mem_alloc(hal, from, SIZE, 128, &a));
      assert_ok(zcmem_mem_alloc(hal, to, SIZE, 128, &b));
      memset(out, 0, SIZE);
      assert_ok(zcmem_mem_write(hal, a, in, SIZE));
      assert_ok(zcmem_mem_copy(hal, b, a, SIZE));
      assert_ok(zcmem_mem_read(hal, out, b, SIZE));
      assert_memory_equal(in, out, SIZE);
      assert_ok(zcmem_mem_copy(hal, b + 10, b, SIZE - 10));
      assert_ok(zcmem_mem_copy(hal, b + 5, b + 10, SIZE - 10));
      assert_ok(zcmem_mem_read(hal, out, b + 5, SIZE - 10));
      assert_memory_equal(in, out, SIZE - 10);
      assert_ok(zcmem_mem_fill(hal, b + 1, in, 1000, SIZE - 2));
      assert_ok(zcmem_mem_read(hal, out, b, SIZE));
      assert_int_equal(out[0], in[0]);
      assert_int_equal(out[SIZE - 1], in[SIZE - 11]); /* what the first copy brought there */
      for (size_t i = 1; i < SIZE - 1; i++) {
        assert_int_equal(out[i], in[(i - 1) % 1000]);
      }
      assert_status(zcmem_mem_read(hal, out, b, SIZE + 1), ZCMEM_EBOUNDS);
      assert_ok(zcmem_mem_free(hal, a));
      assert_ok(zcmem_mem_free(hal, b));
      assert_status(zcmem_mem_read(hal, out, b, 1), ZCMEM_ENOENT);
    }
  }
}

static void test_addresses_are_no_host_pointers(void **state) {
  (void)state;
  for (uint32_t region = 0; region < 2; region++) {
    void *host = NULL;
    hal_addr_t addr = 0, found = 0;
    assert_ok(zcmem_mem_alloc(hal, region, 1000, 1, &addr));
    assert_ok(zcmem_mem_map(hal, addr, 1000, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE, &host));
    assert_true(addr != (uintptr_t)host);
    assert_true(addr >> 47 != 0 && ~addr >> 47 != 0); /* in neither half of a 48-bit host's address space */
    assert_status(zcmem_mem_free(hal, (hal_addr_t)(uintptr_t)host), ZCMEM_ENOENT);
    assert_status(zcmem_mem_read(hal, &found, (hal_addr_t)(uintptr_t)host, 1), ZCMEM_ENOENT);
    memset(host, 0x66, 1000);
    assert_ok(zcmem_mem_read(hal, &found, addr + 992, 8));
    assert_int_equal(found, 0x6666666666666666);
    assert_ok(zcmem_mem_device(hal, (unsigned char *)host + 9, &found, NULL));
    assert_true(found == addr + 9);
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

static void test_unmapped_dram_has_no_host_pointer(void **state) {
  struct zcmem_region_info info;
  void *host = NULL;
  hal_addr_t addr = 0;
  (void)state;
  assert_ok(zcmem_hal_region_info(hal, 0, &info));
  assert_false(info.mapped);
  assert_ok(zcmem_hal_region_info(hal, 1, &info));
  assert_true(info.mapped);
  assert_ok(zcmem_mem_alloc(hal, 0, 1000, 1, &addr));
  assert_status(zcmem_mem_host(hal, addr, 1, &host), ZCMEM_ENOTMAPPED);
  assert_null(host);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* What no call of the facade can make the driver do: its callbacks look at their ranges themselves. */
static void test_the_callbacks_refuse_ranges_out_of_the_device(void **state) {
  const struct zcmem__region *dram = &hal->regions[0];
  const struct zcmem_region_ops *ops = dram->ops;
  const hal_addr_t base = dram->base, end = base + dram->size;
  unsigned char bytes[16] = {0};
  void *host = NULL;
  (void)state;
  const struct {
    hal_addr_t addr;
    hal_size_t size;
  } wrong[] = {{base - 1, 1},          {base - 1, 2},         {end, 1},           {end - 1, 2}, {0, 1},
               {base, dram->size + 1}, {end - 8, UINT64_MAX}, {end - 8, 0 - base}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_int_not_equal(ops->map(dram->ctx, wrong[i].addr, wrong[i].size, ZCMEM_MAP_READ, &host), 0);
    assert_int_not_equal(ops->unmap(dram->ctx, wrong[i].addr, wrong[i].size, bytes), 0);
    assert_int_not_equal(ops->read(dram->ctx, bytes, wrong[i].addr, wrong[i].size), 0);
    assert_int_not_equal(ops->write(dram->ctx, wrong[i].addr, bytes, wrong[i].size), 0);
    assert_int_not_equal(ops->copy(dram->ctx, base, wrong[i].addr, wrong[i].size), 0);
    assert_int_not_equal(ops->copy(dram->ctx, wrong[i].addr, base, wrong[i].size), 0);
    assert_int_not_equal(ops->fill(dram->ctx, wrong[i].addr, bytes, 1, wrong[i].size), 0);
  }
  assert_int_not_equal(ops->fill(dram->ctx, base, bytes, 0, 1), 0);
  assert_null(host);
  assert_int_equal(ops->map(dram->ctx, base, dram->size, ZCMEM_MAP_READ, &host), 0);
  assert_int_not_equal(ops->unmap(dram->ctx, base + 1, 1, host), 0);
  assert_int_equal(ops->unmap(dram->ctx, base, dram->size, host), 0);
  assert_int_equal(ops->write(dram->ctx, end - 16, bytes, 16), 0);
}

#define MAPPED(name)                                                                                                   \
  { #name " (mapped)", name, setup_mapped, teardown, NULL }
#define UNMAPPED(name)                                                                                                 \
  { #name " (unmapped)", name, setup_unmapped, teardown, NULL }

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_default_device),
      cmocka_unit_test(test_the_config_is_used),
      cmocka_unit_test(test_a_wrong_config_is_refused),
      cmocka_unit_test(test_locks_that_fail_leave_no_device),
      cmocka_unit_test(test_a_large_device_costs_little),
      MAPPED(test_bytes_go_round),
      UNMAPPED(test_bytes_go_round),
      MAPPED(test_addresses_are_no_host_pointers),
      UNMAPPED(test_addresses_are_no_host_pointers),
      UNMAPPED(test_unmapped_dram_has_no_host_pointer),
      UNMAPPED(test_the_callbacks_refuse_ranges_out_of_the_device),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
