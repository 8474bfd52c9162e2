/* SPDX-License-Identifier: MIT */
/*
 * malloc from regions that the host sees only where a callback maps them: each block has one mapping, as long as it
 * lives, and whatever fails gives back all that was taken.
 */
#include "malloc_fixture.h"

static unsigned calls(enum fake_call call) {
  return regions[FAR_1].calls[call];
}

static struct zcmem_block_info block_at(hal_addr_t addr) {
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(hal, addr, &info));
  return info;
}

static void test_a_block_has_one_mapping(void **state) {
  hal_size_t remaining = 0;
  hal_addr_t addr = 0;
  (void)state;
  unsigned char *ptr = get(FAR, 1000);
  assert_int_equal(home(ptr), FAR_1);
  assert_int_equal(calls(FAKE_CALL_MAP), 1);
  assert_int_equal(regions[FAR_1].last_flags, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE);
  assert_ok(zcmem_mem_device(hal, ptr + 400, &addr, &remaining));
  assert_int_equal(remaining, 600);
  assert_ptr_equal(fake_at(&regions[FAR_1], addr), ptr + 400);
  memset(ptr, 0x11, 1000);
  unsigned char *other = get(FAR, 128);
  assert_int_equal(regions[FAR_1].mapped, 2);
  put(FAR, ptr);
  assert_int_equal(regions[FAR_1].mapped, 1);
  assert_int_equal(regions[FAR_1].last_unmapped, 1000);
  assert_status(zcmem_mem_device(hal, ptr, &addr, NULL), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_info(hal, addr - 400, &(struct zcmem_block_info){0}), ZCMEM_ENOENT);
  assert_refused(FAR, ptr, ZCMEM_ENOENT);
  put(FAR, other);
  assert_int_equal(calls(FAKE_CALL_MAP), 2);
  assert_int_equal(calls(FAKE_CALL_UNMAP), 2);
  assert_int_equal(stats_of(FAR_1).frees, 2);
  assert_int_equal(stats_of(FAR_1).deferred_frees, 0);
}

static void test_size_0(void **state) {
  hal_size_t remaining = 1;
  hal_addr_t addr = 0;
  (void)state;
  unsigned char *ptr = get(FAR, 0), *other = get(FAR, 0);
  assert_ptr_not_equal(ptr, other);
  assert_ok(zcmem_mem_device(hal, ptr, &addr, &remaining));
  assert_int_equal(remaining, 0);
  assert_int_equal(block_at(addr).requested, 0);
  assert_int_equal(stats_of(FAR_1).requested, 0);
  put(FAR, ptr);
  assert_int_equal(regions[FAR_1].mapped, 1);
  assert_refused(FAR, ptr, ZCMEM_ENOENT);
  put(FAR, other);
}

static void test_calloc_and_realloc(void **state) {
  (void)state;
  unsigned char *ptr = get(FAR, 1000);
  memset(ptr, 0xff, 1000);
  put(FAR, ptr);
  ptr = zcmem_calloc(FAR, 10, 100);
  assert_non_null(ptr);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(ptr[i], 0);
    ptr[i] = (unsigned char)i;
  }
  assert_ptr_equal(zcmem_realloc(FAR, ptr, 1000), ptr);
  assert_int_equal(calls(FAKE_CALL_MAP), 2);
  for (size_t size = 5000; size > 0; size = size == 5000 ? 500 : 0) {
    unsigned char *to = zcmem_realloc(FAR, ptr, size); /* a new mapping, so a new place */
    assert_nothing_told();
    assert_non_null(to);
    assert_ptr_not_equal(to, ptr);
    assert_int_equal(zcmem_malloc_size(to), size);
    assert_int_equal(regions[FAR_1].mapped, 1);
    assert_refused(FAR, ptr, ZCMEM_ENOENT);
    for (size_t i = 0; i < (size < 1000 ? size : 1000); i++) {
      assert_int_equal(to[i], (unsigned char)i);
    }
    ptr = to;
  }
  unsigned char *none = zcmem_realloc(FAR, ptr, 0);
  assert_non_null(none);
  assert_int_equal(zcmem_malloc_size(none), 0);
  put(FAR, none);
}

/* A region with a host pointer serves first, also where it was added last. */
static void test_what_is_mapped_serves_first(void **state) {
  static _Alignas(128) unsigned char bytes[1024];
  const struct zcmem_hal_config config = {.name = "two", .max_regions = 2, .max_mappings = 8, .lock = &fake_lock};
  struct fake_region far;
  struct zcmem_region_config configs[2] = {
      fake_region_open(&far, FAKE_MAP_DIRECT, "far", 4096, 4096),
      {.name = "near", .kind = DRAM, .base = 65536, .size = sizeof bytes, .max_blocks = 4, .host = bytes}};
  struct zcmem_hal *two = NULL;
  (void)state;
  assert_ok(zcmem_hal_create(&config, configs, 2, &two));
  assert_ok(zcmem_malloc_set_hal(two));
  unsigned char *first = get(DRAM, 1000), *second = get(DRAM, 1000);
  assert_ptr_equal(first, bytes);
  assert_ptr_equal(second, far.memory);
  unsigned char *third = zcmem_realloc(DRAM, first, 1500); /* from one to the other */
  assert_true(third > far.memory && third < far.memory + 4096);
  first = get(DRAM, 1000);
  assert_ptr_equal(first, bytes);
  put(DRAM, first);
  put(DRAM, second);
  put(DRAM, third);
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_int_equal(zcmem_hal_destroy(two), 0);
  fake_region_close(&far);
}

static void test_a_full_table_is_enomem(void **state) {
  unsigned char *ptrs[MAPPINGS];
  (void)state;
  for (unsigned i = 0; i < MAPPINGS; i++) {
    ptrs[i] = get(FAR, 100);
  }
  assert_null(zcmem_malloc(FAR, 100));
  assert_told(ZCMEM_ENOMEM, "zcmem_malloc", NULL, 100);
  assert_null(zcmem_realloc(FAR, ptrs[0], 200));
  assert_told(ZCMEM_ENOMEM, "zcmem_realloc", ptrs[0], 200);
  assert_int_equal(stats_of(FAR_1).live, MAPPINGS);
  assert_int_equal(zcmem_malloc_size(ptrs[0]), 100);
  put(FAR, ptrs[0]);
  ptrs[0] = get(FAR, 100);
  for (unsigned i = 0; i < MAPPINGS; i++) {
    put(FAR, ptrs[i]);
  }
}

static void test_callbacks_that_fail(void **state) {
  (void)state;
  unsigned char *kept = get(FAR, 300);
  memset(kept, 0x77, 300);
  for (int way = 0; way < 2; way++) {
    regions[FAR_1].forgetful = way == 1;
    fake.fail_callback_in = way == 1 ? 0 : 1;
    assert_null(zcmem_malloc(FAR, 100));
    assert_told(ZCMEM_EIO, "zcmem_malloc", NULL, 100);
    fake.fail_callback_in = way == 1 ? 0 : 1;
    assert_null(zcmem_realloc(FAR, kept, 400));
    assert_told(ZCMEM_EIO, "zcmem_realloc", kept, 400);
    assert_int_equal(stats_of(FAR_1).live, 1);
    assert_int_equal(stats_of(FAR_1).maps, 1);
    assert_int_equal(kept[299], 0x77);
  }
  regions[FAR_1].forgetful = false;
  fake.fail_callback_in = 2; /* the unmap of the old block, after the map of the new one */
  unsigned char *moved = zcmem_realloc(FAR, kept, 400);
  assert_told(ZCMEM_EIO, "zcmem_realloc", kept, 400);
  assert_non_null(moved);
  assert_int_equal(moved[299], 0x77);
  assert_int_equal(stats_of(FAR_1).live, 1);
  fake.fail_callback_in = 1;
  zcmem_free(FAR, moved);
  assert_told(ZCMEM_EIO, "zcmem_free", moved, 0);
  assert_int_equal(stats_of(FAR_1).live, 0); /* free all the same */
  assert_refused(FAR, moved, ZCMEM_ENOENT);
  for (unsigned i = 0; i < 2 * MAPPINGS; i++) { /* and no entry of the table is lost */
    put(FAR, get(FAR, 100));
  }
}

/* A driver whose pointers are not aligned cannot serve; nothing of the attempt is left. */
static void test_pointers_that_are_not_aligned(void **state) {
  (void)state;
  keep();
  assert_null(zcmem_malloc(COPYING, 100));
  assert_told(ZCMEM_ENOTMAPPED, "zcmem_malloc", NULL, 100);
  assert_int_equal(regions[COPYING_1].calls[FAKE_CALL_MAP], 1);
  assert_int_equal(regions[COPYING_1].mapped, 0);
  assert_int_equal(stats_of(COPYING_1).live, 0);
  assert_null(zcmem_aligned_alloc(COPYING, 3, 100));
  assert_told(ZCMEM_EINVAL, "zcmem_aligned_alloc", NULL, 100);
}

/*
 * Each lock of an allocation in turn fails. What is allocated and mapped is given back, unless a lock that is needed
 * for that fails, too, which one failure alone does not do.
 */
static void test_locks_that_fail_in_an_allocation(void **state) {
  (void)state;
  for (size_t size = 0; size < 200; size += 100) {
    unsigned n = 1;
    for (;; n++) {
      fake.fail_lock_in = n;
      void *ptr = zcmem_malloc(FAR, size);
      if (fake.fail_lock_in != 0) {
        fake.fail_lock_in = 0;
        put(FAR, ptr);
        break;
      }
      assert_null(ptr);
      assert_told(ZCMEM_ELOCK, "zcmem_malloc", NULL, size);
      assert_int_equal(regions[FAR_1].mapped, 0);
      assert_int_equal(stats_of(FAR_1).live, 0);
      assert_ok(zcmem_hal_check(hal));
    }
    assert_true(n > (size == 0 ? 4u : 3u)); /* allocation, pin, table; and the shrinking to nothing */
    assert_int_equal(close_hal(), 0);
    open_hal();
  }
}

static void test_locks_that_fail_in_a_free(void **state) {
  unsigned n, kept = 0, gone = 0;
  (void)state;
  for (n = 1;; n++) {
    unsigned char *ptr = get(FAR, 100);
    uint64_t live = stats_of(FAR_1).live;
    hal_addr_t addr = address(ptr);
    fake.fail_lock_in = n;
    zcmem_free(FAR, ptr);
    if (fake.fail_lock_in != 0) {
      fake.fail_lock_in = 0;
      break;
    }
    assert_told(ZCMEM_ELOCK, "zcmem_free", ptr, 0);
    assert_ok(zcmem_hal_check(hal));
    assert_int_equal(stats_of(FAR_1).live, live); /* it is either as it was, */
    if (zcmem_malloc_size(ptr) == 100) {
      assert_int_equal(address(ptr), addr);
      assert_int_equal(regions[FAR_1].mapped, 1);
      put(FAR, ptr);
      kept++;
    } else { /* or unmapped, and occupied for good */
      assert_int_equal(regions[FAR_1].mapped, 0);
      assert_refused(FAR, ptr, ZCMEM_ENOENT);
      assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
      gone++;
    }
  }
  assert_true(kept >= 3);
  assert_int_equal(gone, 1);
}

/* The one that is left over above. */
static int teardown_leaving_one(void **state) {
  (void)state;
  assert_int_equal(close_hal(), 1);
  return 0;
}

static void test_wrong_pointers(void **state) {
  (void)state;
  unsigned char *ptr = get(FAR, 1000), *host_seen = get(DRAM, 10);
  void *part = NULL;
  assert_refused(FAR, ptr + 1, ZCMEM_ENOENT);
  assert_refused(FAR, ptr + 128, ZCMEM_ENOENT);
  assert_refused(DRAM, ptr, ZCMEM_EINVAL);
  assert_refused(FAR, host_seen, ZCMEM_EINVAL);
  assert_refused(FAR, &part, ZCMEM_ENOENT);
  assert_int_equal(calls(FAKE_CALL_UNMAP), 0);
  /* The mapping of a part that a program made is no block, and stays. */
  assert_ok(zcmem_mem_map(hal, address(ptr) + 256, 100, ZCMEM_MAP_READ, &part));
  assert_refused(FAR, part, ZCMEM_ENOENT);
  assert_int_equal(zcmem_malloc_size(part), 0);
  assert_refused(FAR, ptr, ZCMEM_EBUSY);
  assert_int_equal(calls(FAKE_CALL_UNMAP), 0);
  assert_ok(zcmem_mem_unmap(hal, part));
  put(FAR, ptr);
  put(DRAM, host_seen);
  assert_refused(FAR, ptr, ZCMEM_ENOENT);
}

/* Whoever uses the block, in whatever way, keeps its mapping. */
static void test_a_block_in_use_stays_mapped(void **state) {
  void *host = NULL;
  (void)state;
  unsigned char *ptr = get(FAR, 1000);
  hal_addr_t addr = address(ptr);
  assert_ok(zcmem_mem_pin(hal, addr + 1));
  assert_refused(FAR, ptr, ZCMEM_EBUSY);
  assert_int_equal(address(ptr), addr);
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_ok(zcmem_mem_map(hal, addr, 1000, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE, &host)); /* the same mapping, shared */
  assert_ptr_equal(host, ptr);
  assert_refused(FAR, ptr, ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_map(hal, addr, 10, ZCMEM_MAP_READ, &host)); /* another one, at the same pointer */
  assert_ptr_equal(host, ptr);
  assert_refused(FAR, ptr, ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_int_equal(zcmem_malloc_size(ptr), 1000);
  assert_int_equal(regions[FAR_1].mapped, 1);
  put(FAR, ptr);
}

static void free_inside(void *ptr) {
  zcmem_free(FAR, ptr);
}

static void test_a_free_during_a_transfer(void **state) {
  unsigned char byte = 7;
  (void)state;
  unsigned char *ptr = get(FAR, 1000);
  regions[FAR_1].inside = free_inside;
  regions[FAR_1].arg = ptr;
  assert_ok(zcmem_mem_write(hal, address(ptr), &byte, 1));
  assert_told(ZCMEM_EBUSY, "zcmem_free", ptr, 0);
  assert_int_equal(ptr[0], 7);
  put(FAR, ptr);
}

/* While the driver unmaps it the block is nobody's. */
static void test_a_free_during_the_free(void **state) {
  (void)state;
  unsigned char *ptr = get(FAR, 1000);
  regions[FAR_1].inside = free_inside;
  regions[FAR_1].arg = ptr;
  zcmem_free(FAR, ptr);
  assert_told(ZCMEM_ENOENT, "zcmem_free", ptr, 0); /* the inner one */
  assert_int_equal(stats_of(FAR_1).frees, 1);
  assert_int_equal(calls(FAKE_CALL_UNMAP), 1);
}

/* Blocks of the facade that a program mapped from their first byte on are the same as blocks from here. */
static void test_blocks_that_the_program_mapped(void **state) {
  hal_addr_t addr = 0;
  void *host = NULL, *also = NULL;
  (void)state;
  for (hal_size_t mapped = 500; mapped <= 1000; mapped += 500) {
    assert_ok(zcmem_mem_alloc(hal, FAR_1, 1000, 1, &addr));
    assert_ok(zcmem_mem_map(hal, addr, mapped, ZCMEM_MAP_READ, &host));
    assert_int_equal(zcmem_malloc_size(host), 1000);
    assert_int_equal(address(host), addr);
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_refused(FAR, host, ZCMEM_ENOENT);
    assert_ok(zcmem_mem_map(hal, addr, mapped, ZCMEM_MAP_READ, &host));
    assert_ok(zcmem_mem_map(hal, addr, 700, ZCMEM_MAP_READ, &also)); /* a second use of it */
    assert_refused(FAR, host, ZCMEM_EBUSY);
    assert_ok(zcmem_mem_unmap(hal, also));
    put(FAR, host);
    assert_int_equal(regions[FAR_1].mapped, 0);
    assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  }
}

/* A block that has grown beyond its mapping is its owner's as before, and moves with all of its bytes. */
static void test_a_block_that_has_grown(void **state) {
  (void)state;
  for (size_t size = 0; size <= 1000; size += 1000) {
    unsigned char *ptr = get(FAR, size), text[1500];
    hal_addr_t addr = address(ptr);
    assert_ok(zcmem_mem_resize(hal, addr, 1500));
    put(FAR, ptr);
    assert_int_equal(regions[FAR_1].mapped, 0);
    assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
    ptr = get(FAR, size);
    addr = address(ptr);
    assert_ok(zcmem_mem_resize(hal, addr, 1500));
    for (int i = 0; i < 1500; i++) {
      text[i] = (unsigned char)(i * 7);
    }
    assert_ok(zcmem_mem_write(hal, addr, text, sizeof text));
    assert_int_equal(zcmem_malloc_size(ptr), 1500);
    unsigned maps = calls(FAKE_CALL_MAP);
    unsigned char *to = zcmem_realloc(FAR, ptr, 1500); /* not in place: not all of it is mapped there */
    assert_nothing_told();
    assert_ptr_not_equal(to, ptr);
    assert_memory_equal(to, text, sizeof text);
    assert_int_equal(calls(FAKE_CALL_MAP), maps + 2); /* the new block, and what was not mapped of the old one */
    assert_int_equal(regions[FAR_1].mapped, 1);
    assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
    put(FAR, to);
  }
}

/* ------------------------------------------------------------------------ more than the host can see at any time -- */

#define WINDOW ((size_t)4096)
#define WINDOWS 3

static _Alignas(128) unsigned char windows[WINDOWS][WINDOW];
static hal_addr_t shown[WINDOWS]; /* what is mapped there; 0: nothing */

static int window_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx, (void)flags;
  for (int i = 0; i < WINDOWS && size <= WINDOW; i++) {
    if (shown[i] == 0) {
      shown[i] = addr;
      *host = windows[i];
      return 0;
    }
  }
  return -1;
}

static int window_unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx, (void)size;
  for (int i = 0; i < WINDOWS; i++) {
    if (windows[i] == host && shown[i] == addr) {
      shown[i] = 0;
      return 0;
    }
  }
  return -1;
}

static void test_a_heap_larger_than_what_is_mapped(void **state) {
  static const struct zcmem_region_ops ops = {.map = window_map, .unmap = window_unmap};
  const hal_size_t huge = (hal_size_t)256 << 30, base = (hal_size_t)1 << 40;
  const struct zcmem_region_config region = {
      .name = "huge", .kind = DRAM, .base = base, .size = huge, .max_blocks = 64, .ops = &ops};
  const struct zcmem_hal_config config = {.name = "huge", .max_regions = 1, .max_mappings = 8, .lock = &fake_lock};
  struct zcmem_hal *small = hal;
  hal_addr_t filler = 0;
  (void)state;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_malloc_set_hal(hal));
  unsigned char *low = get(DRAM, 1000);
  assert_int_equal(address(low), base);
  assert_ok(zcmem_mem_alloc(hal, 0, (hal_size_t)200 << 30, 1, &filler)); /* no pointer reaches as far on 32 bits */
  unsigned char *high = get(DRAM, WINDOW);
  assert_true(address(high) - base > (hal_size_t)200 << 30);
  assert_true(low != high);
  memset(low, 1, 1000);
  memset(high, 2, WINDOW);
  assert_int_equal(low[999], 1);
  /* The heap has room for more, the host sees no more of it. */
  assert_null(zcmem_malloc(DRAM, WINDOW + 1));
  assert_told(ZCMEM_EIO, "zcmem_malloc", NULL, WINDOW + 1);
  unsigned char *third = get(DRAM, 1);
  assert_null(zcmem_malloc(DRAM, 1));
  assert_told(ZCMEM_EIO, "zcmem_malloc", NULL, 1);
  assert_null(zcmem_malloc(DRAM, SIZE_MAX));
  assert_told(SIZE_MAX > huge ? ZCMEM_ENOSPC : ZCMEM_EIO, "zcmem_malloc", NULL, SIZE_MAX);
  /* A block larger than any pointer's range has a size that fits no size_t there. */
  void *host = NULL;
  put(DRAM, third);
  assert_ok(zcmem_mem_map(hal, filler, 100, ZCMEM_MAP_READ, &host));
  assert_true(zcmem_malloc_size(host) == (SIZE_MAX > huge ? (size_t)((hal_size_t)200 << 30 & SIZE_MAX) : SIZE_MAX));
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, filler));
  put(DRAM, low);
  put(DRAM, high);
  assert_ok(zcmem_malloc_set_hal(small));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  hal = small;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_a_block_has_one_mapping),
      TEST(test_size_0),
      TEST(test_calloc_and_realloc),
      TEST(test_what_is_mapped_serves_first),
      TEST(test_a_full_table_is_enomem),
      TEST(test_callbacks_that_fail),
      TEST(test_pointers_that_are_not_aligned),
      TEST(test_locks_that_fail_in_an_allocation),
      cmocka_unit_test_setup_teardown(test_locks_that_fail_in_a_free, setup, teardown_leaving_one),
      TEST(test_wrong_pointers),
      TEST(test_a_block_in_use_stays_mapped),
      TEST(test_a_free_during_a_transfer),
      TEST(test_a_free_during_the_free),
      TEST(test_blocks_that_the_program_mapped),
      TEST(test_a_block_that_has_grown),
      TEST(test_a_heap_larger_than_what_is_mapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
