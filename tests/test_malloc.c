/* SPDX-License-Identifier: MIT */
#include "malloc_fixture.h"

static void test_every_block_is_aligned_and_translates(void **state) {
  (void)state;
  for (uint32_t kind = DRAM; kind <= MSMC; kind++) {
    unsigned char *ptrs[40];
    for (size_t i = 0; i < 40; i++) {
      size_t size = i * 5 + 1;
      hal_size_t remaining = 0;
      hal_addr_t addr = 0;
      ptrs[i] = get(kind, size);
      memset(ptrs[i], (int)i, size);
      assert_ok(zcmem_mem_device(hal, ptrs[i], &addr, &remaining));
      assert_int_equal(remaining, size);
      assert_int_equal(addr % 128, 0);
      assert_int_equal(home(ptrs[i]), kind == DRAM ? DRAM_1 : MSMC_1);
      assert_ptr_equal(fake_at(&regions[kind == DRAM ? DRAM_1 : MSMC_1], addr), ptrs[i]);
    }
    for (size_t i = 0; i < 40; i++) {
      assert_int_equal(ptrs[i][0], i);
      assert_int_equal(ptrs[i][i * 5], i);
      put(kind, ptrs[i]);
    }
  }
}

/* The memory of the regions is aligned to 128 bytes only, their device addresses to 2^32. */
static void test_the_pointer_is_what_is_aligned(void **state) {
  static const size_t sizes[] = {0, 1, 127, 128, 129, 4000};
  (void)state;
  for (size_t align = 1; align <= 16384; align *= 2) {
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
      unsigned char *ptrs[2];
      uint64_t allocations = stats_of(DRAM_1).allocations;
      for (int n = 0; n < 2; n++) {
        ptrs[n] = zcmem_aligned_alloc(DRAM, align, sizes[i]);
        assert_non_null(ptrs[n]);
        assert_int_equal((uintptr_t)ptrs[n] % align, 0);
        assert_int_equal((uintptr_t)ptrs[n] % 128, 0);
        assert_int_equal(zcmem_malloc_size(ptrs[n]), sizes[i]);
        memset(ptrs[n], n, sizes[i]);
        assert_ok(zcmem_hal_check(hal));
      }
      assert_ptr_not_equal(ptrs[0], ptrs[1]);
      assert_int_equal(stats_of(DRAM_1).allocations, allocations + 2);
      assert_true(sizes[i] == 0 || (ptrs[0][sizes[i] - 1] == 0 && ptrs[1][sizes[i] - 1] == 1));
      put(DRAM, ptrs[0]);
      put(DRAM, ptrs[1]);
    }
  }
  assert_int_equal(stats_of(DRAM_1).frees, stats_of(DRAM_1).allocations);
  assert_nothing_told();
}

/* Whatever hole is left, a pointer is aligned and in it, or there is none. */
static void test_aligned_blocks_of_no_bytes_in_tight_holes(void **state) {
  unsigned served = 0, refused = 0;
  (void)state;
  for (size_t hole = 1; hole <= 8; hole++) {
    for (size_t before = 0; before < 8; before++) {
      unsigned char *first = get(MSMC, before * 128), *gap = get(MSMC, hole * 128);
      unsigned char *rest = get(MSMC, (size_t)stats_of(MSMC_1).available);
      put(MSMC, gap);
      unsigned char *ptr = zcmem_aligned_alloc(MSMC, 512, 0);
      if (ptr == NULL) {
        assert_true(told.status == ZCMEM_ENOSPC || told.status == ZCMEM_EFRAG);
        assert_told(told.status, "zcmem_aligned_alloc", NULL, 0);
        refused++;
      } else {
        assert_int_equal((uintptr_t)ptr % 512, 0);
        assert_true(ptr >= gap && ptr < gap + hole * 128);
        put(MSMC, ptr);
        served++;
      }
      assert_ok(zcmem_hal_check(hal));
      put(MSMC, first);
      put(MSMC, rest);
    }
  }
  assert_true(served >= 8 * 5); /* a hole of 512 bytes or more always serves */
  assert_true(refused > 0);
}

static void test_alignments_that_are_none(void **state) {
  static const size_t wrong[] = {0, 3, 127, 129, SIZE_MAX};
  (void)state;
  keep();
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_null(zcmem_aligned_alloc(DRAM, wrong[i], 10));
    assert_told(ZCMEM_EINVAL, "zcmem_aligned_alloc", NULL, 10);
  }
  /* More than the region has: only by chance is a place in it aligned so, and none needs to be found. */
  for (size_t align = 65536; align != 0; align *= 2) {
    if ((uintptr_t)regions[MSMC_1].memory % align != 0) {
      assert_null(zcmem_aligned_alloc(MSMC, align, 10));
      assert_told(ZCMEM_ENOSPC, "zcmem_aligned_alloc", NULL, 10);
    }
  }
  assert_null(zcmem_aligned_alloc(DRAM, (size_t)1 << 20, SIZE_MAX));
  assert_told(ZCMEM_ENOSPC, "zcmem_aligned_alloc", NULL, SIZE_MAX);
  assert_unchanged();
}

/* Where base and host pointer differ within a quantum, no pointer is aligned to it. */
static void test_a_region_that_cannot_be_aligned_is_passed_over(void **state) {
  static _Alignas(128) unsigned char odd[4096 + 64], even[4096];
  struct zcmem_region_config configs[2] = {
      {.name = "odd", .kind = DRAM, .base = 4096, .size = 4096, .max_blocks = 8, .host = odd + 64},
      {.name = "even", .kind = DRAM, .base = 8192, .size = 4096, .max_blocks = 8, .host = even}};
  const struct zcmem_hal_config config = {.name = "odd", .max_regions = 2, .lock = &zcmem_lock_none};
  struct zcmem_hal *other = NULL;
  (void)state;
  assert_ok(zcmem_hal_create(&config, configs, 2, &other));
  assert_ok(zcmem_malloc_set_hal(other));
  unsigned char *ptr = get(DRAM, 100);
  assert_true(ptr >= even && ptr < even + sizeof even);
  put(DRAM, ptr);
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_int_equal(zcmem_hal_destroy(other), 0);

  assert_ok(zcmem_hal_create(&config, configs, 1, &other));
  assert_ok(zcmem_malloc_set_hal(other));
  assert_null(zcmem_malloc(DRAM, 100));
  assert_told(ZCMEM_ENOTMAPPED, "zcmem_malloc", NULL, 100);
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_int_equal(zcmem_hal_destroy(other), 0);

  configs[0].quantum = 64; /* then every second quantum's is */
  assert_ok(zcmem_hal_create(&config, configs, 1, &other));
  assert_ok(zcmem_malloc_set_hal(other));
  unsigned char *ptrs[6];
  for (int i = 0; i < 6; i++) {
    ptrs[i] = get(DRAM, 65);
    assert_true(ptrs[i] >= odd + 64 && ptrs[i] + 65 <= odd + sizeof odd);
  }
  for (int i = 0; i < 6; i++) {
    put(DRAM, ptrs[i]);
  }
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_int_equal(zcmem_hal_destroy(other), 0);
}

static void test_size_0_is_a_pointer_of_its_own(void **state) {
  (void)state;
  for (uint32_t kind = DRAM; kind <= MSMC; kind++) {
    hal_size_t remaining = 1;
    hal_addr_t addr = 0;
    void *first = get(kind, 0), *second = get(kind, 0);
    assert_ptr_not_equal(first, second);
    assert_ok(zcmem_mem_device(hal, first, &addr, &remaining));
    assert_int_equal(remaining, 0);
    put(kind, first);
    assert_refused(kind, first, ZCMEM_ENOENT);
    put(kind, second);
  }
}

static void test_null_is_nothing(void **state) {
  (void)state;
  keep();
  zcmem_free(DRAM, NULL);
  zcmem_free(MSMC, NULL);
  zcmem_free(NO_KIND, NULL);
  assert_int_equal(zcmem_malloc_size(NULL), 0);
  assert_nothing_told();
  assert_unchanged();
}

static void test_msmc_that_is_exhausted_gives_null(void **state) {
  unsigned char *ptrs[8];
  (void)state;
  for (int i = 0; i < 8; i++) {
    ptrs[i] = get(MSMC, 1024);
  }
  keep();
  assert_null(zcmem_malloc(MSMC, 1));
  assert_told(ZCMEM_ENOSPC, "zcmem_malloc", NULL, 1);
  assert_null(zcmem_malloc(MSMC, 0));
  assert_told(ZCMEM_ENOSPC, "zcmem_malloc", NULL, 0);
  assert_unchanged(); /* no other region either */
  put(MSMC, ptrs[3]);
  put(MSMC, ptrs[5]);
  assert_null(zcmem_malloc(MSMC, 1025));
  assert_told(ZCMEM_EFRAG, "zcmem_malloc", NULL, 1025);
  ptrs[3] = get(MSMC, 1024);
  ptrs[5] = get(MSMC, 1);
  for (int i = 0; i < 8; i++) {
    put(MSMC, ptrs[i]);
  }
}

static void test_regions_of_a_kind_serve_in_order(void **state) {
  (void)state;
  unsigned char *first = get(DRAM, BYTES), *second = get(DRAM, 1);
  assert_int_equal(home(first), DRAM_1);
  assert_int_equal(home(second), DRAM_2);
  assert_null(zcmem_malloc(DRAM, BYTES));
  assert_told(ZCMEM_ENOSPC, "zcmem_malloc", NULL, BYTES);
  put(DRAM, first);
  first = get(DRAM, 1);
  assert_int_equal(home(first), DRAM_1);
  put(DRAM, first);
  put(DRAM, second);
}

static void test_requests_that_fail(void **state) {
  static const size_t large[] = {MSMC_BYTES + 1, SIZE_MAX, SIZE_MAX - 1, SIZE_MAX - 127, SIZE_MAX / 2 + 1};
  unsigned char *ptrs[128];
  (void)state;
  keep();
  for (size_t i = 0; i < sizeof large / sizeof *large; i++) {
    assert_null(zcmem_malloc(MSMC, large[i]));
    assert_told(ZCMEM_ENOSPC, "zcmem_malloc", NULL, large[i]);
  }
  assert_null(zcmem_malloc(NO_KIND, 1));
  assert_told(ZCMEM_ENOENT, "zcmem_malloc", NULL, 1);
  assert_null(zcmem_malloc(0, 1));
  assert_told(ZCMEM_ENOENT, "zcmem_malloc", NULL, 1);
  assert_null(zcmem_malloc(BLIND, 1));
  assert_told(ZCMEM_ENOTMAPPED, "zcmem_malloc", NULL, 1);
  fake.fail_lock_in = 1;
  assert_null(zcmem_malloc(MSMC, 1));
  assert_told(ZCMEM_ELOCK, "zcmem_malloc", NULL, 1);
  fake.fail_lock_in = 1;
  assert_null(zcmem_aligned_alloc(MSMC, 65536, 1));
  assert_told(ZCMEM_ELOCK, "zcmem_aligned_alloc", NULL, 1);
  assert_unchanged();
  for (int i = 0; i < 128; i++) { /* max_blocks, of both regions */
    ptrs[i] = get(DRAM, 1);
  }
  assert_null(zcmem_malloc(DRAM, 1));
  assert_told(ZCMEM_ENOMEM, "zcmem_malloc", NULL, 1);
  for (int i = 0; i < 128; i++) {
    put(DRAM, ptrs[i]);
  }
}

static void test_wrong_pointers(void **state) {
  unsigned char foreign[256];
  void *alias = NULL;
  (void)state;
  unsigned char *ptr = get(DRAM, 1000), *other = get(MSMC, 1000), *freed = get(DRAM, 10);
  memset(ptr, 0x5a, 1000);
  put(DRAM, freed);
  assert_refused(DRAM, foreign, ZCMEM_ENOENT);
  assert_refused(DRAM, ptr + 1, ZCMEM_ENOENT);
  assert_refused(DRAM, ptr + 128, ZCMEM_ENOENT);
  assert_refused(DRAM, ptr + 999, ZCMEM_ENOENT);
  assert_refused(DRAM, ptr + 1000, ZCMEM_ENOENT); /* the unused end of the last quantum */
  assert_refused(DRAM, freed, ZCMEM_ENOENT);
  assert_refused(DRAM, regions[DRAM_1].memory + BYTES - 1, ZCMEM_ENOENT); /* never allocated */
  assert_refused(MSMC, freed, ZCMEM_ENOENT);
  assert_refused(MSMC, ptr + 1, ZCMEM_ENOENT);
  assert_refused(MSMC, ptr, ZCMEM_EINVAL);
  assert_refused(DRAM, other, ZCMEM_EINVAL);
  assert_refused(NO_KIND, other, ZCMEM_EINVAL);
  assert_int_equal(zcmem_malloc_size(foreign), 0);
  assert_int_equal(zcmem_malloc_size(ptr + 1), 0);
  assert_int_equal(zcmem_malloc_size(freed), 0);
  assert_nothing_told();
  /* The same memory by another pointer: it translates, but it is not the one that was given. */
  alias = aligned_alloc(128, BYTES);
  assert_non_null(alias);
  assert_ok(zcmem_hal_add_alias(hal, DRAM_1, 0, BYTES, alias));
  unsigned char *again = (unsigned char *)alias + (ptr - regions[DRAM_1].memory);
  assert_int_equal(address(again), address(ptr));
  assert_refused(DRAM, again, ZCMEM_ENOENT);
  assert_int_equal(zcmem_malloc_size(again), 0);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(ptr[i], 0x5a);
  }
  put(DRAM, ptr);
  put(MSMC, other);
  assert_refused(DRAM, ptr, ZCMEM_ENOENT);
  assert_refused(MSMC, other, ZCMEM_ENOENT);
  free(alias);
}

/* The first byte of a region based at 0 is at address 0, which zcmem_mem_free takes for no address. */
static void test_the_pointer_to_address_0(void **state) {
  static _Alignas(128) unsigned char bytes[4096];
  const struct zcmem_region_config region = {
      .name = "low", .kind = DRAM, .base = 0, .size = sizeof bytes, .max_blocks = 8, .host = bytes};
  const struct zcmem_hal_config config = {.name = "low", .max_regions = 1, .lock = &zcmem_lock_none};
  struct zcmem_hal *low = NULL;
  (void)state;
  assert_ok(zcmem_hal_create(&config, &region, 1, &low));
  assert_ok(zcmem_malloc_set_hal(low));
  unsigned char *ptr = get(DRAM, 1);
  assert_ptr_equal(ptr, bytes + 128);
  zcmem_free(DRAM, bytes);
  assert_told(ZCMEM_ENOENT, "zcmem_free", bytes, 0);
  assert_null(zcmem_realloc(DRAM, bytes, 1));
  assert_told(ZCMEM_ENOENT, "zcmem_realloc", bytes, 1);
  put(DRAM, ptr);
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_int_equal(zcmem_hal_destroy(low), 0);
}

static void test_a_block_in_use_stays(void **state) {
  void *host = NULL;
  (void)state;
  unsigned char *ptr = get(DRAM, 1000);
  hal_addr_t addr = address(ptr);
  assert_ok(zcmem_mem_pin(hal, addr + 500));
  assert_refused(DRAM, ptr, ZCMEM_EBUSY);
  assert_refused(MSMC, ptr, ZCMEM_EINVAL);
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_ok(zcmem_mem_map(hal, addr, 10, ZCMEM_MAP_READ, &host));
  assert_refused(DRAM, ptr, ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unmap(hal, host));
  put(DRAM, ptr);
}

static void test_a_lock_that_fails_frees_nothing(void **state) {
  (void)state;
  unsigned char *ptr = get(DRAM, 1000);
  keep();
  fake.fail_lock_in = 1;
  zcmem_free(DRAM, ptr);
  assert_told(ZCMEM_ELOCK, "zcmem_free", ptr, 0);
  fake.fail_lock_in = 1;
  zcmem_free(MSMC, ptr);
  assert_told(ZCMEM_ELOCK, "zcmem_free", ptr, 0);
  fake.fail_lock_in = 1;
  assert_int_equal(zcmem_malloc_size(ptr), 1000); /* takes none */
  fake.fail_lock_in = 0;
  assert_unchanged();
  put(DRAM, ptr);
}

static void test_calloc_clears_what_is_recycled(void **state) {
  (void)state;
  unsigned char *ptr = get(DRAM, 3000);
  memset(ptr, 0xff, 3000);
  put(DRAM, ptr);
  unsigned char *again = zcmem_calloc(DRAM, 100, 30);
  assert_ptr_equal(again, ptr); /* else nothing is shown */
  assert_int_equal(zcmem_malloc_size(again), 3000);
  for (int i = 0; i < 3000; i++) {
    assert_int_equal(again[i], 0);
  }
  put(DRAM, again);
  for (int i = 0; i < 3; i++) {
    void *none = zcmem_calloc(DRAM, i == 1 ? SIZE_MAX : 0, i == 2 ? SIZE_MAX : 0);
    assert_non_null(none);
    assert_int_equal(zcmem_malloc_size(none), 0);
    put(DRAM, none);
  }
  keep();
  assert_null(zcmem_calloc(DRAM, SIZE_MAX / 2 + 1, 2));
  assert_told(ZCMEM_EINVAL, "zcmem_calloc", NULL, 2);
  assert_null(zcmem_calloc(DRAM, 3, SIZE_MAX / 2));
  assert_told(ZCMEM_EINVAL, "zcmem_calloc", NULL, SIZE_MAX / 2);
  assert_null(zcmem_calloc(DRAM, 1, SIZE_MAX));
  assert_told(ZCMEM_ENOSPC, "zcmem_calloc", NULL, SIZE_MAX);
  assert_unchanged();
}

/* The handler is told who called, and by nobody else's ctx; none is the default one. */
static void other_handler(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)function, (void)ptr, (void)size;
  assert_status(status, ZCMEM_ENOENT);
  ++*(int *)ctx;
}

static void test_handler_and_ctx_change_together(void **state) {
  int calls = 0;
  (void)state;
  zcmem_malloc_set_handler(other_handler, &calls);
  zcmem_free(DRAM, &calls);
  assert_int_equal(calls, 1);
  assert_nothing_told();
  zcmem_malloc_set_handler(tell, &told);
  zcmem_free(DRAM, &calls);
  assert_int_equal(calls, 1);
  assert_told(ZCMEM_ENOENT, "zcmem_free", &calls, 0);
}

static void test_blocks_of_a_former_default_are_foreign(void **state) {
  struct zcmem_host_device *device = NULL;
  (void)state;
  unsigned char *ptr = get(DRAM, 100);
  assert_ok(zcmem_host_device_create(NULL, &device));
  assert_ok(zcmem_malloc_set_hal(zcmem_host_device_hal(device)));
  assert_ptr_equal(zcmem_malloc_hal(), zcmem_host_device_hal(device));
  assert_refused(DRAM, ptr, ZCMEM_ENOENT);
  assert_int_equal(zcmem_malloc_size(ptr), 0);
  unsigned char *here = get(DRAM, 100);
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_ptr_equal(zcmem_malloc_hal(), hal);
  assert_refused(DRAM, here, ZCMEM_ENOENT);
  put(DRAM, ptr);
  assert_int_equal(zcmem_host_device_destroy(device), 1); /* it stayed the caller's */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_every_block_is_aligned_and_translates),
      TEST(test_the_pointer_is_what_is_aligned),
      TEST(test_aligned_blocks_of_no_bytes_in_tight_holes),
      TEST(test_alignments_that_are_none),
      TEST(test_a_region_that_cannot_be_aligned_is_passed_over),
      TEST(test_size_0_is_a_pointer_of_its_own),
      TEST(test_null_is_nothing),
      TEST(test_msmc_that_is_exhausted_gives_null),
      TEST(test_regions_of_a_kind_serve_in_order),
      TEST(test_requests_that_fail),
      TEST(test_wrong_pointers),
      TEST(test_the_pointer_to_address_0),
      TEST(test_a_block_in_use_stays),
      TEST(test_a_lock_that_fails_frees_nothing),
      TEST(test_calloc_clears_what_is_recycled),
      TEST(test_handler_and_ctx_change_together),
      TEST(test_blocks_of_a_former_default_are_foreign),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
