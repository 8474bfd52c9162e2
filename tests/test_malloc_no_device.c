/* SPDX-License-Identifier: MIT */
/*
 * A library without the host device (ZCMEM_NO_HOST_DEVICE, and no host_device.c): it serves once there is a HAL.
 */
#include "unit.h"
#include <zcmem/hal.h>
#include <zcmem/malloc.h>
#include <zcmem/ti_malloc.h>

#define DRAM ((uint32_t)ZCMEM_KIND_DRAM)

static unsigned told;

static void tell(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)ctx, (void)function, (void)ptr, (void)size;
  assert_status(status, ZCMEM_ENOENT);
  told++;
}

static void test_nothing_without_a_hal(void **state) {
  char foreign = 0;
  (void)state;
  assert_null(zcmem_malloc(DRAM, 1));
  assert_null(zcmem_aligned_alloc(DRAM, 128, 1));
  assert_null(zcmem_calloc(DRAM, 1, 1));
  assert_null(zcmem_realloc(DRAM, NULL, 1));
  assert_null(__malloc_ddr(1));
  assert_null(__malloc_msmc(1));
  assert_null(zcmem_malloc_hal());
  zcmem_free(DRAM, &foreign);
  assert_null(zcmem_realloc(DRAM, &foreign, 1));
  assert_int_equal(told, 9);
  zcmem_free(DRAM, NULL);
  assert_int_equal(zcmem_malloc_size(&foreign), 0);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_int_equal(told, 9);
}

static void test_a_hal_that_is_set_serves(void **state) {
  static _Alignas(128) unsigned char bytes[4096];
  const struct zcmem_region_config region = {
      .name = "dram", .kind = DRAM, .base = 4096, .size = sizeof bytes, .max_blocks = 4, .host = bytes};
  const struct zcmem_hal_config config = {.name = "mine", .max_regions = 1, .lock = &zcmem_lock_none};
  struct zcmem_hal *hal = NULL;
  (void)state;
  told = 0;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_ptr_equal(zcmem_malloc_hal(), hal);
  unsigned char *ptr = __malloc_ddr(4096);
  assert_ptr_equal(ptr, bytes);
  zcmem_free(DRAM, ptr);
  assert_int_equal(told, 0);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_null(zcmem_malloc(DRAM, 1));
  assert_int_equal(told, 1);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_nothing_without_a_hal),
      cmocka_unit_test(test_a_hal_that_is_set_serves),
  };
  zcmem_malloc_set_handler(tell, NULL);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
