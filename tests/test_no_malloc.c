/* SPDX-License-Identifier: MIT */
/*
 * A HAL in the caller's memory never asks for any. The program is linked with --wrap, so that each call of malloc and
 * its kind from the library or from here arrives below; and from the C library, where it is linked statically, whose
 * pthread_atfork may ask for some, once.
 */
#include "unit.h"
#include <stdalign.h>
#include <string.h>
#include <zcmem/zcmem.h>

static unsigned calls;

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *memory, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
void __real_free(void *memory);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *memory, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
void __wrap_free(void *memory);

void *__wrap_malloc(size_t bytes) {
  calls++;
  return __real_malloc(bytes);
}

void *__wrap_calloc(size_t count, size_t bytes) {
  calls++;
  return __real_calloc(count, bytes);
}

void *__wrap_realloc(void *memory, size_t bytes) {
  calls++;
  return __real_realloc(memory, bytes);
}

void *__wrap_aligned_alloc(size_t align, size_t bytes) {
  calls++;
  return __real_aligned_alloc(align, bytes);
}

void __wrap_free(void *memory) {
  calls++;
  __real_free(memory);
}

#define BYTES 16384u

static alignas(64) unsigned char hal_memory[32768];
static alignas(64) unsigned char images[2][65536];
static unsigned char dram[BYTES], msmc[BYTES];

static int map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)size;
  (void)flags;
  *host = (unsigned char *)ctx + (addr & (BYTES - 1));
  return 0;
}

static void use(struct zcmem_hal *hal) {
  static const char text[] = "to the device and back";
  char back[sizeof text] = "";
  hal_addr_t a = 0, b = 0, device = 0;
  void *host = NULL;
  assert_ok(zcmem_mem_alloc(hal, 0, 1000, 128, &a));
  assert_ok(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_MSMC, 1000, 1024, &b));
  assert_ok(zcmem_mem_write(hal, a, text, sizeof text));
  assert_ok(zcmem_mem_copy(hal, a + 500, a, sizeof text));
  assert_ok(zcmem_mem_copy(hal, b, a + 500, sizeof text));
  assert_ok(zcmem_mem_read(hal, back, b, sizeof text));
  assert_string_equal(back, text);
  assert_ok(zcmem_mem_fill(hal, a, "abc", 3, 1000));
  assert_ok(zcmem_mem_map(hal, a, 100, ZCMEM_MAP_READ, &host));
  assert_memory_equal(host, "abcabc", 6);
  assert_ok(zcmem_mem_device(hal, host, &device, NULL));
  assert_true(device == a);
  assert_ok(zcmem_mem_free_deferred(hal, a));
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_resize(hal, b, 2000));
  assert_ok(zcmem_hal_check(hal));
  assert_ok(zcmem_mem_free(hal, b));
}

static void expect_no_call(const struct zcmem_lock_ops *lock) {
  static const struct zcmem_region_ops ops = {.map = map};
  const struct zcmem_hal_config config = {.name = "static", .max_regions = 2, .max_mappings = 1, .lock = lock};
  struct zcmem_region_config regions[2] = {{.name = "dram",
                                            .kind = ZCMEM_KIND_DRAM,
                                            .base = 0x80000000,
                                            .size = BYTES,
                                            .max_blocks = 64,
                                            .ops = &ops,
                                            .ctx = dram,
                                            .image = images[0],
                                            .image_bytes = sizeof images[0]},
                                           {.name = "msmc",
                                            .kind = ZCMEM_KIND_MSMC,
                                            .base = 0x70000000,
                                            .size = BYTES,
                                            .max_blocks = 64,
                                            .host = msmc,
                                            .image = images[1],
                                            .image_bytes = sizeof images[1]}};
  struct zcmem_hal *hal = NULL;
  calls = 0;
  assert_ok(zcmem_hal_init(hal_memory, sizeof hal_memory, &config, &hal));
  assert_ok(zcmem_hal_add_region(hal, &regions[0], NULL));
  assert_ok(zcmem_hal_add_region(hal, &regions[1], NULL));
  use(hal);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  assert_int_equal(calls, 0);
}

static void test_a_hal_in_the_callers_memory_never_allocates(void **state) {
  const struct zcmem_hal_config config = {.name = "first", .max_regions = 1};
  struct zcmem_hal *hal = NULL;
  (void)state;
  expect_no_call(&zcmem_lock_none);
  assert_ok(zcmem_hal_init(hal_memory, sizeof hal_memory, &config, &hal)); /* fork is to know this one */
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  expect_no_call(NULL);
}

/* That the count above means something: the convenience form does allocate, and frees as often. */
static void test_the_wrapper_sees_what_create_allocates(void **state) {
  const struct zcmem_hal_config config = {.name = "hosted", .max_regions = 1};
  struct zcmem_hal *hal = NULL;
  (void)state;
  calls = 0;
  assert_ok(zcmem_hal_create(&config, NULL, 0, &hal));
  unsigned made = calls; /* a C library's calloc may call its malloc, which is one more */
  assert_true(made > 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  assert_int_equal(calls, made + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_hal_in_the_callers_memory_never_allocates),
      cmocka_unit_test(test_the_wrapper_sees_what_create_allocates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
