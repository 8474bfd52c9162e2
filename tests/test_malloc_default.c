/* SPDX-License-Identifier: MIT */
/*
 * The default HAL that is made on first use, the default handler, and TI's names, which need neither.
 */
/* setenv, dup2 and fileno are POSIX's. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "malloc_default.h"
#include "malloc_fixture.h"
#include <unistd.h>
#include <zcmem/ti_malloc.h>

#define KB ((hal_size_t)1024)

static void set_sizes(const char *ddr, const char *msmc) {
  assert_int_equal(ddr == NULL ? unsetenv("ZCMEM_DDR_BYTES") : setenv("ZCMEM_DDR_BYTES", ddr, 1), 0);
  assert_int_equal(msmc == NULL ? unsetenv("ZCMEM_MSMC_BYTES") : setenv("ZCMEM_MSMC_BYTES", msmc, 1), 0);
}

static int setup_none(void **state) {
  (void)state;
  assert_ok(zcmem_malloc_set_hal(NULL));
  set_sizes("1M", "64K");
  fake_reset();
  memset(&told, 0, sizeof told);
  zcmem_malloc_set_handler(tell, &told);
  return 0;
}

/* Every test frees what it allocated, else the device could not be ended here. */
static int teardown_none(void **state) {
  (void)state;
  assert_nothing_told();
  zcmem_malloc_set_handler(NULL, NULL);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_null(zcmem__malloc_current());
  return 0;
}

static void assert_sizes(hal_size_t ddr, hal_size_t msmc) {
  struct zcmem_hal *made = zcmem_malloc_hal();
  struct zcmem_region_info info;
  uint32_t index = 0;
  assert_non_null(made);
  assert_ok(zcmem_hal_find_kind(made, DRAM, 0, &index));
  assert_ok(zcmem_hal_region_info(made, index, &info));
  assert_true(info.size == ddr);
  assert_ok(zcmem_hal_find_kind(made, MSMC, 0, &index));
  assert_ok(zcmem_hal_region_info(made, index, &info));
  assert_true(info.size == msmc);
}

static void test_the_first_allocation_makes_a_device(void **state) {
  (void)state;
  set_sizes(NULL, NULL);
  assert_null(zcmem__malloc_current());
  unsigned char *ptr = get(DRAM, 1000);
  struct zcmem_hal *made = zcmem__malloc_current();
  assert_non_null(made);
  assert_ptr_equal(zcmem_malloc_hal(), made);
  assert_sizes(256 * KB * KB, 4 * KB * KB);
  hal = made;
  assert_true(address(ptr) >= ZCMEM_HOST_DEVICE_DRAM_BASE);
  put(DRAM, ptr);
  assert_ptr_equal(zcmem_malloc_hal(), made); /* it stays */
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_null(zcmem__malloc_current());
  ptr = zcmem_calloc(MSMC, 1, 1);
  assert_non_null(ptr);
  put(MSMC, ptr);
  assert_ok(zcmem_malloc_set_hal(NULL));
  ptr = zcmem_realloc(MSMC, NULL, 1);
  assert_non_null(ptr);
  put(MSMC, ptr);
}

static void test_what_needs_no_device_makes_none(void **state) {
  char foreign = 0;
  (void)state;
  zcmem_free(DRAM, NULL);
  assert_int_equal(zcmem_malloc_size(&foreign), 0);
  assert_nothing_told();
  zcmem_free(DRAM, &foreign);
  assert_told(ZCMEM_ENOENT, "zcmem_free", &foreign, 0);
  assert_null(zcmem_realloc(DRAM, &foreign, 1));
  assert_told(ZCMEM_ENOENT, "zcmem_realloc", &foreign, 1);
  assert_null(zcmem__malloc_current());
}

static void test_the_environment_says_how_large(void **state) {
  static const struct {
    const char *text;
    hal_size_t bytes;
  } all[] = {{"128", 128}, {"1000000", 999936}, {"0064K", 64 * KB}, {"3M", 3 * KB * KB}, {"1G", KB * KB * KB}};
  (void)state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    set_sizes(all[i].text, "8K");
    assert_sizes(all[i].bytes, 8 * KB);
    assert_ok(zcmem_malloc_set_hal(NULL));
    set_sizes("8K", all[i].text);
    assert_sizes(8 * KB, all[i].bytes);
    assert_ok(zcmem_malloc_set_hal(NULL));
  }
}

static void test_a_malformed_size_is_told_and_ignored(void **state) {
  static const char *const all[] = {"",
                                    " ",
                                    "K",
                                    "0",
                                    "00M",
                                    "-1",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1k",
                                    "1KB",
                                    "1KK",
                                    "1.5",
                                    "0x10",
                                    "1e3",
                                    "eight",
                                    "1M\n",
                                    "1T",
                                    "18446744073709551616",
                                    "18446744073709551615K",
                                    "17179869184G",
                                    "18446744073709551617",
                                    "99999999999999999999"};
  (void)state;
  for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
    set_sizes(all[i], "8K");
    assert_sizes(256 * KB * KB, 8 * KB);
    assert_told(ZCMEM_EINVAL, "ZCMEM_DDR_BYTES", NULL, 0);
    assert_ok(zcmem_malloc_set_hal(NULL));
    set_sizes("8K", all[i]);
    assert_sizes(8 * KB, 4 * KB * KB);
    assert_told(ZCMEM_EINVAL, "ZCMEM_MSMC_BYTES", NULL, 0);
    assert_ok(zcmem_malloc_set_hal(NULL));
  }
}

static void test_a_device_that_cannot_be(void **state) {
  (void)state;
  set_sizes("127", NULL); /* less than a quantum */
  assert_null(zcmem_malloc(DRAM, 1));
  assert_told(ZCMEM_EINVAL, "zcmem_malloc", NULL, 1);
  assert_null(zcmem_malloc_hal());
  assert_told(ZCMEM_EINVAL, "zcmem_malloc_hal", NULL, 0);
  set_sizes(NULL, "18446744073709551615"); /* beyond the end of the address space */
  assert_null(zcmem_calloc(MSMC, 1, 1));
  assert_told(ZCMEM_EINVAL, "zcmem_calloc", NULL, 1);
  if (SIZE_MAX < UINT64_MAX) {
    set_sizes("8G", NULL); /* more than such a host can map */
    assert_null(zcmem_malloc(DRAM, 1));
    assert_told(ZCMEM_ENOMEM, "zcmem_malloc", NULL, 1);
  }
  assert_null(zcmem__malloc_current());
  set_sizes("8K", "8K"); /* and as soon as it can it is */
  put(DRAM, get(DRAM, 1));
}

static void test_a_device_in_use_is_not_ended(void **state) {
  struct zcmem_host_device *other = NULL;
  (void)state;
  assert_ok(zcmem_host_device_create(NULL, &other));
  for (uint32_t kind = DRAM; kind <= MSMC; kind++) {
    unsigned char *ptr = get(kind, 100);
    struct zcmem_hal *made = zcmem_malloc_hal();
    assert_status(zcmem_malloc_set_hal(NULL), ZCMEM_EBUSY);
    assert_status(zcmem_malloc_set_hal(zcmem_host_device_hal(other)), ZCMEM_EBUSY);
    assert_ptr_equal(zcmem_malloc_hal(), made);
    assert_int_equal(zcmem_malloc_size(ptr), 100);
    assert_ok(zcmem_malloc_set_hal(made)); /* it is the default already */
    assert_ptr_equal(zcmem_malloc_hal(), made);
    put(kind, ptr);
  }
  assert_ok(zcmem_malloc_set_hal(zcmem_host_device_hal(other)));
  assert_ptr_equal(zcmem_malloc_hal(), zcmem_host_device_hal(other));
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_null(zcmem__malloc_current());
  assert_int_equal(zcmem_host_device_destroy(other), 0);
}

/* ------------------------------------------------------------------------------------------- the default handler -- */

/* What is written to stderr between the two calls, in a text of at most 999 bytes. */
static struct {
  FILE *file;
  int saved;
  char text[1000];
} captured;

static void capture(void) {
  captured.file = tmpfile();
  assert_non_null(captured.file);
  assert_int_equal(fflush(stderr), 0);
  captured.saved = dup(2);
  assert_true(captured.saved >= 0);
  assert_true(dup2(fileno(captured.file), 2) >= 0);
}

static const char *release(void) {
  (void)fflush(stderr);
  (void)dup2(captured.saved, 2);
  (void)close(captured.saved);
  rewind(captured.file);
  captured.text[fread(captured.text, 1, sizeof captured.text - 1, captured.file)] = '\0';
  (void)fclose(captured.file);
  return captured.text;
}

static void assert_one_line(const char *text, const char *function, const void *ptr, enum zcmem_status status) {
  char wanted[500];
  int n = ptr == NULL
              ? snprintf(wanted, sizeof wanted, "zcmem: %s: %s\n", function, zcmem_status_string(status))
              : snprintf(wanted, sizeof wanted, "zcmem: %s(%p): %s\n", function, ptr, zcmem_status_string(status));
  assert_true(n > 0 && (size_t)n < sizeof wanted);
  assert_string_equal(text, wanted);
}

static void test_the_default_handler_writes_a_line(void **state) {
  char foreign = 0;
  (void)state;
  unsigned char *ptr = get(DRAM, 100);
  zcmem_malloc_set_handler(NULL, &told);
  capture();
  zcmem_free(DRAM, &foreign);
  assert_one_line(release(), "zcmem_free", &foreign, ZCMEM_ENOENT);
  capture();
  zcmem_free(MSMC, ptr);
  assert_one_line(release(), "zcmem_free", ptr, ZCMEM_EINVAL);
  capture();
  assert_null(zcmem_realloc(DRAM, ptr + 1, 5));
  assert_one_line(release(), "zcmem_realloc", ptr + 1, ZCMEM_ENOENT);
  capture();
  assert_null(zcmem_aligned_alloc(DRAM, 3, 1));
  assert_one_line(release(), "zcmem_aligned_alloc", NULL, ZCMEM_EINVAL);
  capture();
  put(DRAM, ptr);
  __free_msmc(ptr);
  assert_one_line(release(), "__free_msmc", ptr, ZCMEM_ENOENT);
  assert_ok(zcmem_malloc_set_hal(NULL));
  set_sizes("lots", NULL);
  capture();
  assert_non_null(zcmem_malloc_hal());
  assert_one_line(release(), "ZCMEM_DDR_BYTES", NULL, ZCMEM_EINVAL);
}

static void test_the_default_handler_says_nothing_of_full_regions(void **state) {
  (void)state;
  unsigned char *ptr = get(MSMC, 100);
  zcmem_malloc_set_handler(NULL, NULL);
  capture();
  void *none[4] = {zcmem_malloc(MSMC, 65 * 1024), zcmem_realloc(MSMC, ptr, 65 * 1024), zcmem_malloc(NO_KIND, 1),
                   zcmem_calloc(MSMC, 65, 1024)};
  zcmem_free(MSMC, NULL);
  zcmem_free(MSMC, ptr);
  assert_string_equal(release(), "");
  for (int i = 0; i < 4; i++) {
    assert_null(none[i]);
  }
}

/* ---------------------------------------------------------------------------------------------------- TI's names -- */

static void test_ti_names_serve_their_kinds(void **state) {
  (void)state;
  unsigned char *ddr = __malloc_ddr(1000), *msmc = __malloc_msmc(1000);
  hal = zcmem_malloc_hal();
  assert_int_equal((uintptr_t)ddr % 128, 0);
  assert_int_equal((uintptr_t)msmc % 128, 0);
  assert_true(address(ddr) - ZCMEM_HOST_DEVICE_DRAM_BASE < KB * KB);
  assert_true(address(msmc) - ZCMEM_HOST_DEVICE_MSMC_BASE < 64 * KB);
  memset(ddr, 1, 1000);
  memset(msmc, 2, 1000);
  assert_int_equal(ddr[999], 1);
  assert_int_equal(zcmem_malloc_size(msmc), 1000);
  __free_ddr(msmc);
  assert_told(ZCMEM_EINVAL, "__free_ddr", msmc, 0);
  __free_msmc(ddr);
  assert_told(ZCMEM_EINVAL, "__free_msmc", ddr, 0);
  __free_ddr(ddr + 8);
  assert_told(ZCMEM_ENOENT, "__free_ddr", ddr + 8, 0);
  __free_ddr(&ddr);
  assert_told(ZCMEM_ENOENT, "__free_ddr", &ddr, 0);
  __free_ddr(NULL);
  __free_msmc(NULL);
  assert_nothing_told();
  __free_ddr(ddr);
  __free_msmc(msmc);
  assert_nothing_told();
  __free_ddr(ddr);
  assert_told(ZCMEM_ENOENT, "__free_ddr", ddr, 0);
  __free_msmc(msmc);
  assert_told(ZCMEM_ENOENT, "__free_msmc", msmc, 0);
}

static void test_ti_names_give_null_and_nothing_else(void **state) {
  (void)state;
  void *empty = __malloc_ddr(0), *other = __malloc_ddr(0), *all = __malloc_msmc(64 * 1024);
  assert_non_null(empty);
  assert_non_null(other);
  assert_ptr_not_equal(empty, other);
  assert_non_null(all);
  assert_null(__malloc_msmc(1));
  assert_told(ZCMEM_ENOSPC, "__malloc_msmc", NULL, 1);
  assert_null(__malloc_msmc(0));
  assert_told(ZCMEM_ENOSPC, "__malloc_msmc", NULL, 0);
  assert_null(__malloc_ddr(SIZE_MAX));
  assert_told(ZCMEM_ENOSPC, "__malloc_ddr", NULL, SIZE_MAX);
  __free_msmc(all);
  __free_ddr(empty);
  __free_ddr(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_none, teardown_none)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_the_first_allocation_makes_a_device),
      TEST(test_what_needs_no_device_makes_none),
      TEST(test_the_environment_says_how_large),
      TEST(test_a_malformed_size_is_told_and_ignored),
      TEST(test_a_device_that_cannot_be),
      TEST(test_a_device_in_use_is_not_ended),
      TEST(test_the_default_handler_writes_a_line),
      TEST(test_the_default_handler_says_nothing_of_full_regions),
      TEST(test_ti_names_serve_their_kinds),
      TEST(test_ti_names_give_null_and_nothing_else),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
