/* SPDX-License-Identifier: MIT */
/* Handles: a stale address is told from the block that is there now. */
#include "hardening_fixture.h"

static struct zcmem_handle handle_of(hal_addr_t addr) {
  struct zcmem_handle handle = {0};
  assert_ok(zcmem_mem_handle(hal, addr, &handle));
  assert_int_equal(handle.addr, addr);
  assert_true(handle.generation != 0);
  return handle;
}

/* That every call by handle says so, and that nothing is touched: it is counted that the free and the transfers failed.
 */
static void assert_stale(struct zcmem_handle handle) {
  unsigned char byte = 7;
  struct zcmem_region_stats before = stats_now();
  assert_status(zcmem_mem_check_handle(hal, handle), ZCMEM_ENOENT);
  assert_status(zcmem_mem_free_handle(hal, handle), ZCMEM_ENOENT);
  assert_status(zcmem_mem_pin_handle(hal, handle), ZCMEM_ENOENT);
  assert_status(zcmem_mem_read_handle(hal, &byte, handle, 0, 1), ZCMEM_ENOENT);
  assert_status(zcmem_mem_write_handle(hal, handle, 0, &byte, 1), ZCMEM_ENOENT);
  struct zcmem_region_stats after = stats_now();
  assert_int_equal(before.live, after.live);
  assert_int_equal(before.bytes_read + before.bytes_written, after.bytes_read + after.bytes_written);
  assert_int_equal(after.failed_transfers - before.failed_transfers, handle.addr >= BASE ? 2 : 0); /* no region's */
  assert_int_equal(after.bad_frees - before.bad_frees, handle.addr >= BASE ? 1 : 0);
  assert_int_equal(byte, 7);
}

static void test_reuse_is_noticed(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_HANDLES, 0, 0);
  hal_addr_t addr = block_of(100);
  struct zcmem_handle stale = handle_of(addr);
  assert_ok(zcmem_mem_check_handle(hal, stale));
  assert_ok(zcmem_mem_free_handle(hal, stale));
  assert_stale(stale);
  for (unsigned i = 0; i < 1000; i++) { /* the same place again and again */
    assert_int_equal(block_of(100), addr);
    struct zcmem_handle handle = handle_of(addr);
    assert_stale(stale);
    assert_ok(zcmem_mem_check_handle(hal, handle));
    assert_ok(zcmem_mem_free_handle(hal, handle));
    stale = handle;
  }
  close_hardened(0);
}

static void test_a_handle_outlives_changes_of_size(void **state) {
  (void)state;
  unsigned char bytes[1000];
  open_hardened(ZCMEM_REGION_HANDLES, 32, 0);
  struct zcmem_handle handle = handle_of(block_of(100));
  memset(bytes, 9, sizeof bytes);
  assert_ok(zcmem_mem_write_handle(hal, handle, 0, bytes, 100));
  assert_status(zcmem_mem_write_handle(hal, handle, 1, bytes, 100), ZCMEM_EBOUNDS);
  assert_ok(zcmem_mem_resize(hal, handle.addr, 1000));
  assert_ok(zcmem_mem_write_handle(hal, handle, 1, bytes, 999));
  assert_ok(zcmem_mem_resize(hal, handle.addr, 10));
  memset(bytes, 0, sizeof bytes);
  assert_ok(zcmem_mem_read_handle(hal, bytes, handle, 3, 7));
  assert_int_equal(bytes[6], 9);
  assert_int_equal(bytes[7], 0);
  assert_status(zcmem_mem_read_handle(hal, bytes, handle, 3, 8), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_read_handle(hal, bytes, handle, UINT64_MAX, 2), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_read_handle(hal, bytes, handle, UINT64_MAX - 7, 8), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_read_handle(hal, NULL, handle, 0, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_read_handle(hal, (void *)(UINTPTR_MAX - 3), handle, 0, 5), ZCMEM_EINVAL); /* it wraps */
  assert_status(zcmem_mem_write_handle(hal, handle, 0, (void *)(UINTPTR_MAX - 3), 5), ZCMEM_EINVAL);
  assert_ok(zcmem_mem_read_handle(hal, NULL, handle, 0, 0));
  assert_ok(zcmem_mem_write_handle(hal, handle, 0, NULL, 0));
  assert_ok(zcmem_mem_free_handle(hal, handle));
  close_hardened(0);
}

/* A callback that fails: the transfer is counted as one that failed, and its use ends. */
static void test_transfers_that_fail(void **state) {
  struct zcmem_region_config config;
  struct zcmem_region_stats stats;
  unsigned char byte = 5;
  (void)state;
  config = fake_region_open(&dram, FAKE_READ_WRITE, "dram", BASE, QUANTA * QUANTUM);
  config.flags |= ZCMEM_REGION_HANDLES;
  open_config(&config);
  struct zcmem_handle handle = handle_of(block_of(100));
  for (unsigned i = 0; i < 2; i++) {
    fake.fail_callback_in = 1;
    assert_status(i == 0 ? zcmem_mem_write_handle(hal, handle, 0, &byte, 1)
                         : zcmem_mem_read_handle(hal, &byte, handle, 0, 1),
                  ZCMEM_EIO);
    stats = stats_now();
    assert_int_equal(stats.failed_transfers, i + 1);
    assert_int_equal(stats.bytes_read + stats.bytes_written, 0);
  }
  assert_ok(zcmem_mem_write_handle(hal, handle, 99, &byte, 1));
  assert_int_equal(stats_now().bytes_written, 1);
  assert_ok(zcmem_mem_free_handle(hal, handle));
  close_hardened(0);
}

static void test_pinned_it_stays(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_HANDLES, 0, 0);
  struct zcmem_handle handle = handle_of(block_of(100));
  assert_ok(zcmem_mem_pin_handle(hal, handle));
  assert_status(zcmem_mem_free(hal, handle.addr), ZCMEM_EBUSY);
  assert_status(zcmem_mem_free_handle(hal, handle), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_unpin(hal, handle.addr));
  assert_ok(zcmem_mem_free(hal, handle.addr));
  assert_stale(handle);
  close_hardened(0);
}

static void test_what_is_no_handle(void **state) {
  (void)state;
  struct zcmem_handle handle = {0};
  unsigned char byte = 0;
  open_hardened(ZCMEM_REGION_HANDLES, 0, 0);
  hal_addr_t addr = block_of(300);
  assert_status(zcmem_mem_handle(hal, addr + 1, &handle), ZCMEM_ENOENT);
  assert_status(zcmem_mem_handle(hal, addr + QUANTUM, &handle), ZCMEM_ENOENT);
  assert_status(zcmem_mem_handle(hal, 17, &handle), ZCMEM_ENOENT);
  assert_status(zcmem_mem_handle(hal, addr, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_handle(NULL, addr, &handle), ZCMEM_EINVAL);
  handle = handle_of(addr);
  assert_stale((struct zcmem_handle){.addr = addr});
  assert_stale((struct zcmem_handle){.addr = addr + QUANTUM, .generation = handle.generation});
  assert_stale((struct zcmem_handle){.addr = addr, .generation = handle.generation + 1});
  assert_stale((struct zcmem_handle){.addr = 17, .generation = handle.generation});
  assert_stale((struct zcmem_handle){.addr = 0, .generation = handle.generation});
  assert_status(zcmem_mem_check_handle(NULL, handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_free_handle(NULL, handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_pin_handle(NULL, handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_read_handle(NULL, &byte, handle, 0, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write_handle(NULL, handle, 0, &byte, 1), ZCMEM_EINVAL);
  /* The host's pointer comes first, as in transfers by address, wherever the handle is of. */
  const uint64_t failed = stats_now().failed_transfers;
  assert_status(zcmem_mem_read_handle(hal, NULL, handle, 0, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write_handle(hal, handle, 0, NULL, 1), ZCMEM_EINVAL);
  assert_int_equal(stats_now().failed_transfers, failed + 2);
  handle.addr = 17;
  assert_status(zcmem_mem_read_handle(hal, NULL, handle, 0, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_read(hal, NULL, handle.addr, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write_handle(hal, handle, 0, NULL, 1), ZCMEM_EINVAL);
  assert_int_equal(stats_now().failed_transfers, failed + 2);
  close_hardened(1);
}

static void test_a_region_without_handles(void **state) {
  (void)state;
  struct zcmem_handle handle = {.generation = 1};
  unsigned char byte = 0;
  open_hardened(0, 0, QUANTUM);
  handle.addr = block_of(100);
  assert_status(zcmem_mem_handle(hal, handle.addr, &handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_check_handle(hal, handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_free_handle(hal, handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_pin_handle(hal, handle), ZCMEM_EINVAL);
  assert_status(zcmem_mem_read_handle(hal, &byte, handle, 0, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write_handle(hal, handle, 0, &byte, 1), ZCMEM_EINVAL);
  assert_int_equal(stats_now().failed_transfers, 2);
  close_hardened(1);
}

/* 0 is no generation, also when they come round. */
static void test_generations_wrap(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_HANDLES, 0, 0);
  hal->regions[0].guard->generation = UINT32_MAX - 1;
  assert_int_equal(handle_of(block_of(1)).generation, UINT32_MAX);
  assert_int_equal(handle_of(block_of(1)).generation, 1);
  close_hardened(2);
}

/* A zombie is its owner's no more, and what is in quarantine nobody's. */
static void test_zombies_and_quarantine(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_HANDLES, 0, QUANTA * QUANTUM);
  struct zcmem_handle handle = handle_of(block_of(100));
  assert_ok(zcmem_mem_pin(hal, handle.addr));
  assert_ok(zcmem_mem_free_deferred(hal, handle.addr));
  assert_stale(handle);
  assert_ok(zcmem_mem_unpin(hal, handle.addr));
  assert_stale(handle);
  close_hardened(0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_reuse_is_noticed),    cmocka_unit_test(test_a_handle_outlives_changes_of_size),
      cmocka_unit_test(test_transfers_that_fail), cmocka_unit_test(test_pinned_it_stays),
      cmocka_unit_test(test_what_is_no_handle),   cmocka_unit_test(test_a_region_without_handles),
      cmocka_unit_test(test_generations_wrap),    cmocka_unit_test(test_zombies_and_quarantine),
  };
  return cmocka_run_group_tests_name("handles", tests, NULL, NULL);
}
