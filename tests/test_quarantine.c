/* SPDX-License-Identifier: MIT */
/* Poison and quarantine: what is freed stays away for a while, and who touches it is noticed. */
#include "hardening_fixture.h"

#define KEPT ((hal_size_t)1024) /* 8 quanta */

static void assert_bytes(hal_addr_t addr, hal_size_t size, unsigned char byte) {
  for (hal_size_t i = 0; i < size; i++) {
    assert_int_equal(*fake_at(&dram, addr + i), byte);
  }
}

static void test_new_bytes_and_freed_bytes(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_FILL | ZCMEM_REGION_POISON, 0, 0);
  hal_addr_t addr = block_of(300);
  assert_bytes(addr, 300, 0xcd);
  assert_int_equal(*fake_at(&dram, addr + 300), 0xee); /* what it was */
  assert_ok(zcmem_mem_free(hal, addr));
  assert_bytes(addr, 300, 0xdd);
  assert_int_equal(*fake_at(&dram, addr + 300), 0xee);
  assert_int_equal(block_of(300), addr); /* no quarantine */
  assert_bytes(addr, 300, 0xcd);
  close_hardened(1);
}

/* Bytes are overwritten while no lock is held: it could take long. */
static void test_poison_without_the_lock(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_POISON, 0, KEPT);
  hal_addr_t addr = block_of(300);
  unsigned calls = fake.lock_calls;
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(fake.lock_calls - calls, 2);
  addr = block_of(300);
  fake.fail_lock_in = 2; /* when it is poisoned */
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ELOCK);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  assert_int_equal(stats_now().live, 1); /* its place is lost */
  close_hardened(1);
}

static void test_first_in_first_out(void **state) {
  (void)state;
  enum { BLOCKS = 20 };
  hal_addr_t addrs[BLOCKS];
  open_hardened(0, 0, KEPT);
  for (unsigned i = 0; i < BLOCKS; i++) {
    addrs[i] = block_of(100);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    assert_ok(zcmem_mem_free(hal, addrs[i]));
    assert_status(zcmem_mem_free(hal, addrs[i]), ZCMEM_ENOENT);
    uint64_t kept = i + 1 < KEPT / QUANTUM ? i + 1 : KEPT / QUANTUM;
    assert_int_equal(hal->regions[0].guard->quarantine.blocks, kept);
    assert_int_equal(hal->regions[0].guard->quarantine.kept, kept);
    struct zcmem_region_stats stats = stats_now();
    assert_int_equal(stats.live, BLOCKS - 1 - i);
    assert_int_equal(stats.in_use, (BLOCKS - 1 - i) * QUANTUM);
    assert_int_equal(stats.requested, (BLOCKS - 1 - i) * 100);
    assert_int_equal(stats.available, QUANTA * QUANTUM - stats.in_use);
    assert_ok(zcmem_hal_check(hal));
  }
  for (unsigned i = 0; i < BLOCKS - KEPT / QUANTUM; i++) {
    assert_true(block_of(100) < addrs[BLOCKS - KEPT / QUANTUM]); /* those that came last are not handed out */
  }
  close_hardened(BLOCKS - KEPT / QUANTUM);
}

static void test_what_is_too_large_is_not_kept(void **state) {
  (void)state;
  open_hardened(0, 0, KEPT);
  hal_addr_t small = block_of(100), exact = block_of(KEPT), large = block_of(KEPT + 1);
  assert_ok(zcmem_mem_free(hal, small));
  assert_ok(zcmem_mem_free(hal, large));
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 1);
  assert_ok(zcmem_mem_free(hal, exact)); /* all others leave for it */
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 1);
  assert_int_equal(hal->regions[0].guard->quarantine.kept * QUANTUM, KEPT);
  close_hardened(0);
}

/* One for which more than a bounded number of others would have to leave. */
static void test_one_free_does_bounded_work(void **state) {
  (void)state;
  enum { BLOCKS = 40 };
  hal_addr_t addrs[BLOCKS];
  open_hardened(0, 0, BLOCKS * QUANTUM);
  hal_addr_t large = block_of(20 * QUANTUM);
  for (unsigned i = 0; i < BLOCKS; i++) {
    addrs[i] = block_of(100);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    assert_ok(zcmem_mem_free(hal, addrs[i]));
  }
  assert_ok(zcmem_mem_free(hal, large));
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, BLOCKS - 16);
  assert_status(zcmem_mem_free(hal, large), ZCMEM_ENOENT);
  close_hardened(0);
}

static void free_all_but(hal_addr_t *addrs, unsigned count, unsigned every) {
  for (unsigned i = 0; i < count; i++) {
    if (every == 0 || i % every != 0) {
      assert_ok(zcmem_mem_free(hal, addrs[i]));
    }
  }
}

/* ENOSPC, EFRAG and ENOMEM come only when the quarantine is empty. */
static void test_makes_room_before_a_request_fails(void **state) {
  (void)state;
  hal_addr_t addrs[QUANTA], addr = 0;
  struct zcmem_region_config config = hardened(0, 0, QUANTA * QUANTUM);
  config.max_blocks = QUANTA;
  open_config(&config);
  for (unsigned i = 0; i < QUANTA; i++) {
    addrs[i] = block_of(100);
  }
  assert_status(zcmem_mem_alloc(hal, 0, 1, 1, &addr), ZCMEM_ENOMEM);
  assert_ok(zcmem_mem_free(hal, addrs[3]));
  assert_int_equal(block_of(1), addrs[3]); /* no descriptor, no byte but that block's */
  free_all_but(addrs, QUANTA, 0);
  unsigned calls = fake.lock_calls;
  addr = block_of(QUANTA * QUANTUM);
  assert_int_equal(fake.lock_calls - calls, 2); /* many leave in one hold of the lock */
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 0);
  assert_ok(zcmem_mem_free(hal, addr));
  for (unsigned i = 0; i < QUANTA; i++) {
    addrs[i] = block_of(100);
  }
  free_all_but(addrs, QUANTA, 2);
  assert_status(zcmem_mem_alloc(hal, 0, QUANTUM + 1, 1, &addr), ZCMEM_EFRAG);
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 0);
  /* A resize into what is in quarantine. */
  assert_ok(zcmem_mem_alloc(hal, 0, 1, 1, &addr));
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 1);
  assert_ok(zcmem_mem_resize(hal, addr - QUANTUM, 2 * QUANTUM));
  /* What is larger than the region leaves it alone. */
  assert_ok(zcmem_mem_free(hal, addr - QUANTUM));
  assert_status(zcmem_mem_alloc(hal, 0, QUANTA * QUANTUM + 1, 1, &addr), ZCMEM_ENOSPC);
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 1);
  close_hardened(QUANTA / 2 - 1);
}

/* Found by fuzz_ops: with the last descriptors in quarantine it answered ENOMEM, as if they were live. */
static void test_a_request_larger_than_the_region(void **state) {
  hal_addr_t addr = 0;
  (void)state;
  struct zcmem_region_config config = hardened(0, 16, QUANTA * QUANTUM);
  config.max_blocks = 2;
  open_config(&config);
  assert_ok(zcmem_mem_free(hal, block_of(1)));
  (void)block_of(1);
  assert_status(zcmem_mem_alloc(hal, 0, QUANTA * QUANTUM, 1, &addr), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_alloc(hal, 0, UINT64_MAX, 1, &addr), ZCMEM_ENOSPC);
  assert_int_equal(hal->regions[0].hardening.quarantine.blocks, 1); /* nothing had to leave for that */
  (void)block_of(1);
  assert_int_equal(hal->regions[0].hardening.quarantine.blocks, 0);
  assert_status(zcmem_mem_alloc(hal, 0, 1, 1, &addr), ZCMEM_ENOMEM);
  close_hardened(2);
}

static void test_a_lock_that_fails_while_room_is_made(void **state) {
  (void)state;
  hal_addr_t addr = 0;
  open_hardened(0, 0, QUANTA * QUANTUM);
  hal_addr_t large = block_of(QUANTA * QUANTUM / 2), small = block_of(QUANTUM), rest = block_of(QUANTUM);
  assert_ok(zcmem_mem_free(hal, large));
  fake.fail_lock_in = 2;
  assert_status(zcmem_mem_alloc(hal, 0, QUANTA * QUANTUM / 2, 1, &addr), ZCMEM_ELOCK);
  assert_int_equal(block_of(QUANTA * QUANTUM / 2), large);
  assert_ok(zcmem_mem_free(hal, rest));
  fake.fail_lock_in = 2;
  assert_status(zcmem_mem_resize(hal, small, 2 * QUANTUM), ZCMEM_ELOCK);
  assert_ok(zcmem_mem_resize(hal, small, 2 * QUANTUM));
  close_hardened(2);
}

static void test_stores_after_free(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_POISON, 64, KEPT);
  hal_addr_t a = block_of(400), b = block_of(100);
  assert_ok(zcmem_mem_free(hal, a));
  spoil(a + 399);
  assert_damage(ZCMEM_DAMAGE_FREED, a, a + 399, 1);
  mend();
  spoil(a);
  spoil(a + 400); /* its red zone */
  assert_damage(ZCMEM_DAMAGE_FREED, a, a, 2);
  /* It leaves: what the beginning of it, and its zone, tell is told from then on. */
  hal_addr_t none = 0;
  assert_status(zcmem_mem_alloc(hal, 0, 58 * QUANTUM, 1, &none), ZCMEM_EFRAG);
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 0);
  assert_damage(ZCMEM_DAMAGE_FREED, a, a, 2);
  mend();
  assert_ok(zcmem_mem_free(hal, b)); /* the zone between the two is whole */
  close_hardened(0);
}

/* The last use of a block that was freed meanwhile: in quarantine, not poisoned. */
/* One byte beside the block, and the last one of the quantum. */
static void test_stores_after_free_into_the_smallest_zone(void **state) {
  (void)state;
  open_hardened(0, 1, KEPT);
  hal_addr_t a = block_of(100);
  assert_ok(zcmem_mem_free(hal, a));
  spoil(a + 100);
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 1);
  for (unsigned i = 0; i < KEPT / QUANTUM; i++) {
    assert_ok(zcmem_mem_free(hal, block_of(100)));
  }
  assert_damage(ZCMEM_DAMAGE_FREED, a, a + 100, 1); /* it has left, and that is when it was seen */
  assert_status(zcmem_hal_check_guards(hal, 0, true, NULL), ZCMEM_ECORRUPT);
  close_hardened(0);
}

/* It keeps nothing, since that is less than a quantum; but the region is one with a quarantine. */
static void test_the_smallest_quarantine(void **state) {
  (void)state;
  open_hardened(0, 0, 1);
  assert_non_null(hal->regions[0].guard);
  hal_addr_t a = block_of(100);
  assert_ok(zcmem_mem_free(hal, a));
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 0);
  assert_int_equal(block_of(100), a);
  close_hardened(1);
}

static void test_deferred_frees(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_POISON, 64, KEPT);
  hal_addr_t addr = block_of(100);
  memset(fake_at(&dram, addr), 1, 100);
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_free_deferred(hal, addr));
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 0);
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 1);
  assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_ENOENT);
  assert_bytes(addr, 100, 1);
  struct zcmem_region_stats stats = stats_now();
  assert_int_equal(stats.live, 0);
  assert_int_equal(stats.frees, 1);
  assert_int_equal(stats.deferred_frees, 1);
  addr = block_of(100); /* not in use */
  assert_ok(zcmem_mem_free_deferred(hal, addr));
  assert_bytes(addr, 100, 0xdd);
  assert_int_equal(hal->regions[0].guard->quarantine.blocks, 2);
  close_hardened(0);
}

/* A buffer's own block: nobody else knows it, so it is freed even where its red zone is broken. */
static void test_blocks_of_buffers(void **state) {
  (void)state;
  static _Alignas(64) unsigned char table[16384];
  struct zcmem_buffers *buffers = NULL;
  zcmem_buffer_t buffer = 0;
  struct zcmem_buffer_info info;
  open_hardened(0, 64, KEPT);
  const struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 2, .max_views = 2};
  assert_ok(zcmem_buffers_init(table, sizeof table, &config, &buffers));
  const struct zcmem_buffer_config wanted = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, .size = 100};
  assert_ok(zcmem_buffer_create(buffers, &wanted, &buffer));
  assert_ok(zcmem_buffer_get_info(buffers, buffer, &info));
  spoil(info.addr + 100);
  assert_ok(zcmem_buffer_release(buffers, buffer));
  assert_int_equal(stats_now().live, 0);
  assert_damage(ZCMEM_DAMAGE_FREED, info.addr, info.addr + 100, 1);
  mend();
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  close_hardened(0);
}

/* It is poisoned, too, unless others use it; and where the lock fails behind that, its place is lost. */
static void test_blocks_of_buffers_are_poisoned(void **state) {
  (void)state;
  static _Alignas(64) unsigned char table[16384];
  struct zcmem_buffers *buffers = NULL;
  const struct zcmem_buffer_config wanted = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, .size = 100};
  open_hardened(ZCMEM_REGION_POISON, 0, KEPT);
  const struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 2, .max_views = 2};
  assert_ok(zcmem_buffers_init(table, sizeof table, &config, &buffers));
  for (unsigned way = 0; way < 3; way++) { /* alone; with another use; without the lock in the end */
    zcmem_buffer_t buffer = 0;
    struct zcmem_buffer_info info;
    assert_ok(zcmem_buffer_create(buffers, &wanted, &buffer));
    assert_ok(zcmem_buffer_get_info(buffers, buffer, &info));
    memset(fake_at(&dram, info.addr), 1, 100);
    if (way == 1) {
      assert_ok(zcmem_mem_pin(hal, info.addr));
    }
    fake.fail_lock_in = way == 2 ? 3 : 0; /* behind the table's and the region's first */
    assert_status(zcmem_buffer_release(buffers, buffer), way == 2 ? ZCMEM_ELOCK : ZCMEM_OK);
    assert_int_equal(fake.fail_lock_in, 0);
    assert_bytes(info.addr, 100, way == 1 ? 1 : 0xdd);
    if (way == 1) {
      assert_ok(zcmem_mem_unpin(hal, info.addr));
    }
    assert_status(zcmem_mem_free(hal, info.addr), ZCMEM_ENOENT);
    assert_int_equal(stats_now().frees, way == 2 ? 2 : way + 1);
    assert_int_equal(stats_now().deferred_frees, way == 0 ? 0 : 1);
    assert_int_equal(stats_now().live, way == 2 ? 1 : 0);
    *fake_at(&dram, info.addr + 50) = 0;
    assert_status(zcmem_hal_check_guards(hal, 0, true, NULL), way == 0 ? ZCMEM_ECORRUPT : ZCMEM_OK);
  }
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  close_hardened(1);
}

/* A region that the host does not see can have a quarantine, too. */
static void test_in_a_region_without_a_host_pointer(void **state) {
  (void)state;
  struct zcmem_region_config config = fake_region_open(&dram, FAKE_OPS, "dram", BASE, QUANTA * QUANTUM);
  config.quarantine = KEPT;
  open_config(&config);
  hal_addr_t addr = block_of(100);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_true(block_of(100) != addr);
  unsigned char byte = 0;
  assert_status(zcmem_mem_read(hal, &byte, addr, 1), ZCMEM_ENOENT);
  assert_ok(zcmem_hal_check_guards(hal, 0, false, NULL));
  close_hardened(1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_new_bytes_and_freed_bytes),
      cmocka_unit_test(test_poison_without_the_lock),
      cmocka_unit_test(test_first_in_first_out),
      cmocka_unit_test(test_what_is_too_large_is_not_kept),
      cmocka_unit_test(test_one_free_does_bounded_work),
      cmocka_unit_test(test_makes_room_before_a_request_fails),
      cmocka_unit_test(test_a_request_larger_than_the_region),
      cmocka_unit_test(test_a_lock_that_fails_while_room_is_made),
      cmocka_unit_test(test_stores_after_free),
      cmocka_unit_test(test_stores_after_free_into_the_smallest_zone),
      cmocka_unit_test(test_the_smallest_quarantine),
      cmocka_unit_test(test_deferred_frees),
      cmocka_unit_test(test_blocks_of_buffers),
      cmocka_unit_test(test_blocks_of_buffers_are_poisoned),
      cmocka_unit_test(test_in_a_region_without_a_host_pointer),
  };
  return cmocka_run_group_tests_name("quarantine", tests, NULL, NULL);
}
