/* SPDX-License-Identifier: MIT */
/* Red zones: stores beside a block are found, wherever they are and by every call that may notice. */
#include "hardening_fixture.h"

#define ZONE ((hal_size_t)64)

static void test_bytes_of_a_block_are_its_own(void **state) {
  (void)state;
  for (hal_size_t size = 0; size <= 3 * QUANTUM; size++) {
    open_hardened(0, ZONE, 0);
    hal_addr_t a = block_of(size), b = block_of(size);
    memset(fake_at(&dram, a), 0xff, (size_t)size);
    memset(fake_at(&dram, b), 0, (size_t)size);
    assert_ok(zcmem_hal_check(hal));
    assert_true(b - a >= size + ZONE);
    assert_ok(zcmem_mem_free(hal, a));
    assert_ok(zcmem_mem_free(hal, b));
    close_hardened(0);
  }
}

/* Every byte of the zones, behind and before, and every size of the unused end of a quantum. */
static void test_every_byte_beside_is_seen(void **state) {
  (void)state;
  open_hardened(0, ZONE, 0);
  for (hal_size_t size = 0; size <= 2 * QUANTUM; size += 7) {
    hal_addr_t left = block_of(100), addr = block_of(size), right = block_of(100);
    assert_true(left < addr && addr < right);
    for (hal_size_t i = 0; i < ZONE; i++) {
      spoil(addr + size + i);
      assert_damage(ZCMEM_DAMAGE_BEHIND, addr, addr + size + i, 1);
      assert_status(zcmem_mem_free(hal, addr), ZCMEM_ECORRUPT);
      mend();
      spoil(addr - 1 - i);
      assert_damage(ZCMEM_DAMAGE_BEHIND, left, addr - 1 - i, 1);
      assert_status(zcmem_mem_free(hal, addr), ZCMEM_ECORRUPT);
      mend();
    }
    assert_ok(zcmem_mem_free(hal, left));
    assert_ok(zcmem_mem_free(hal, addr));
    assert_ok(zcmem_mem_free(hal, right));
  }
  close_hardened(0);
}

/* A zone of one byte is one. */
static void test_the_smallest_zone(void **state) {
  (void)state;
  open_hardened(0, 1, 0);
  hal_addr_t addr = block_of(100);
  spoil(addr + 100);
  assert_damage(ZCMEM_DAMAGE_BEHIND, addr, addr + 100, 1);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ECORRUPT);
  mend();
  assert_ok(zcmem_mem_free(hal, addr));
  close_hardened(0);
}

static void test_before_the_first_block_and_behind_the_last(void **state) {
  (void)state;
  open_hardened(0, ZONE, 0);
  struct zcmem_region_info info;
  assert_ok(zcmem_hal_region_info(hal, 0, &info));
  assert_int_equal(info.base, BASE + QUANTUM); /* what is before it belongs to nobody */
  hal_addr_t first = block_of(info.size - ZONE);
  assert_int_equal(first, info.base);
  spoil(first - 1);
  assert_damage(ZCMEM_DAMAGE_BEFORE, first, first - 1, 1);
  mend();
  spoil(BASE + QUANTA * QUANTUM - 1);
  assert_damage(ZCMEM_DAMAGE_BEHIND, first, BASE + QUANTA * QUANTUM - 1, 1);
  mend();
  assert_ok(zcmem_mem_free(hal, first));
  close_hardened(0);
}

/* Where what is before a block is free. */
static void test_before_a_block_behind_a_hole(void **state) {
  (void)state;
  open_hardened(0, ZONE, 0);
  hal_addr_t hole = block_of(300), addr = block_of(100);
  memset(fake_at(&dram, hole), 1, 300);
  assert_ok(zcmem_mem_free(hal, hole));
  spoil(addr - ZONE);
  assert_damage(ZCMEM_DAMAGE_BEFORE, addr, addr - ZONE, 1);
  mend();
  hole = block_of(1); /* takes the beginning of the hole only */
  spoil(addr - 1);
  assert_damage(ZCMEM_DAMAGE_BEFORE, addr, addr - 1, 1);
  mend();
  hal_addr_t aligned = 0;
  assert_ok(zcmem_mem_alloc(hal, 0, 10, 1024, &aligned)); /* a gap that was never anybody's is before it */
  spoil(aligned - 1);
  assert_damage(ZCMEM_DAMAGE_BEFORE, aligned, aligned - 1, 1);
  mend();
  assert_ok(zcmem_mem_free(hal, addr));
  close_hardened(2);
}

static void test_nothing_is_lost(void **state) {
  (void)state;
  open_hardened(0, ZONE, 0);
  hal_addr_t addr = block_of(100);
  struct zcmem_region_stats before = stats_now();
  memset(fake_at(&dram, addr), 0x77, 100);
  spoil(addr + 100);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ECORRUPT);
  assert_status(zcmem_mem_free_deferred(hal, addr), ZCMEM_ECORRUPT);
  assert_status(zcmem_mem_resize(hal, addr, 10), ZCMEM_ECORRUPT);
  assert_status(zcmem_mem_resize(hal, addr, 1000), ZCMEM_ECORRUPT);
  struct zcmem_region_stats after = stats_now();
  assert_int_equal(after.live, 1);
  assert_int_equal(after.in_use, before.in_use);
  assert_int_equal(after.requested, 100);
  assert_int_equal(after.bad_frees, 2);
  unsigned char bytes[100];
  assert_ok(zcmem_mem_read(hal, bytes, addr, 100));
  for (unsigned i = 0; i < 100; i++) {
    assert_int_equal(bytes[i], 0x77);
  }
  mend();
  assert_ok(zcmem_mem_free(hal, addr));
  close_hardened(0);
}

/* A transfer past the end is refused as ever: the zone is not the block's. */
static void test_transfers_end_where_the_block_does(void **state) {
  (void)state;
  unsigned char byte = 1;
  void *host = NULL;
  hal_size_t remaining = 0;
  hal_addr_t at = 0;
  open_hardened(0, ZONE, 0);
  hal_addr_t addr = block_of(100);
  assert_status(zcmem_mem_write(hal, addr + 100, &byte, 1), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_host(hal, addr, 101, &host), ZCMEM_EBOUNDS);
  assert_ok(zcmem_mem_host(hal, addr, 100, &host));
  assert_ok(zcmem_mem_device(hal, host, &at, &remaining));
  assert_int_equal(remaining, 100);
  assert_ok(zcmem_mem_free(hal, addr));
  close_hardened(0);
}

static void test_resize_moves_the_zone(void **state) {
  (void)state;
  open_hardened(0, ZONE, 0);
  hal_addr_t addr = block_of(100);
  struct zcmem_block_info block;
  for (hal_size_t size = 0; size <= 1000; size += 50) {
    hal_size_t other = 1000 - size;
    assert_ok(zcmem_mem_resize(hal, addr, other));
    memset(fake_at(&dram, addr), 0xff, (size_t)other);
    assert_ok(zcmem_mem_info(hal, addr, &block));
    assert_int_equal(block.requested, other);
    assert_true(block.size >= other + ZONE);
    assert_ok(zcmem_hal_check(hal));
    spoil(addr + other);
    assert_damage(ZCMEM_DAMAGE_BEHIND, addr, addr + other, 1);
    mend();
    assert_ok(zcmem_mem_resize(hal, addr, size));
    memset(fake_at(&dram, addr), 0xff, (size_t)size);
    assert_ok(zcmem_hal_check(hal));
  }
  hal_addr_t behind = block_of(1);
  assert_status(zcmem_mem_resize(hal, addr, 2000), ZCMEM_EFRAG);
  assert_status(zcmem_mem_resize(hal, addr, UINT64_MAX), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_resize(hal, behind, QUANTA * QUANTUM), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_resize(hal, addr + 1, 1), ZCMEM_ENOENT);
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_status(zcmem_mem_resize(hal, addr, 999), ZCMEM_EBUSY); /* by less than the zone */
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_ok(zcmem_mem_free(hal, addr));
  close_hardened(1);
}

/* What `largest` says can be had, and a byte more cannot: with one hole, with several, with none. */
static void test_the_largest_request(void **state) {
  (void)state;
  for (hal_size_t zone = 1; zone <= 3 * QUANTUM; zone += zone < 3 ? 1 : 61) {
    hal_addr_t held[3];
    open_hardened(0, zone, 0);
    for (unsigned round = 0; round < 4; round++) {
      struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
      hal_addr_t addr = 0;
      assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
      assert_true(stats.largest > 0);
      assert_ok(zcmem_mem_alloc(hal, 0, stats.largest, 1, &addr));
      assert_ok(zcmem_mem_free(hal, addr));
      assert_int_not_equal(zcmem_mem_alloc(hal, 0, stats.largest + 1, 1, &addr), ZCMEM_OK);
      if (round < 3) {
        held[round] = block_of(1 + 7 * QUANTUM * round);
      }
    }
    assert_ok(zcmem_mem_free(hal, held[1]));
    assert_ok(zcmem_mem_free(hal, held[0]));
    assert_ok(zcmem_mem_free(hal, held[2]));
    close_hardened(0);
  }
}

/* Where less is free than a zone no request succeeds. */
static void test_no_room_but_for_a_zone(void **state) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  hal_addr_t addr = 0;
  (void)state;
  open_hardened(0, 2 * QUANTUM, 0);
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  hal_addr_t all = block_of(stats.largest - 2 * QUANTUM);
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_true(stats.available > 0 && stats.available <= 2 * QUANTUM);
  assert_int_equal(stats.largest, 0);
  assert_int_equal(stats.fragmentation, 1000000);
  assert_status(zcmem_mem_alloc(hal, 0, 1, 1, &addr), ZCMEM_ENOSPC);
  assert_ok(zcmem_mem_free(hal, all));
  close_hardened(0);
}

static void test_sizes_that_wrap(void **state) {
  (void)state;
  hal_addr_t addr = 0;
  open_hardened(0, ZONE, 0);
  assert_status(zcmem_mem_alloc(hal, 0, UINT64_MAX, 1, &addr), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_alloc(hal, 0, UINT64_MAX - ZONE + 1, 1, &addr), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_alloc(hal, 0, 1, 3, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(hal, 0, 1, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(hal, 0, QUANTA * QUANTUM - QUANTUM - ZONE + 1, 1, &addr), ZCMEM_ENOSPC);
  close_hardened(0);
}

/* The two zones of a block whose slack is more than two zones. */
static void test_a_large_quantum(void **state) {
  (void)state;
  struct zcmem_region_config config = hardened(0, 16, 0);
  config.quantum = 1024;
  open_config(&config);
  hal_addr_t a = block_of(10), b = block_of(10);
  assert_int_equal(b - a, 1024);
  spoil(a + 10 + 15);
  assert_damage(ZCMEM_DAMAGE_BEHIND, a, a + 25, 1);
  mend();
  spoil(b - 16);
  assert_damage(ZCMEM_DAMAGE_BEHIND, a, b - 16, 1);
  assert_status(zcmem_mem_free(hal, b), ZCMEM_ECORRUPT);
  mend();
  spoil(a + 10 + 16); /* not of a zone, and nobody's */
  assert_ok(zcmem_hal_check(hal));
  close_hardened(2);
}

static void test_zones_larger_than_a_quantum(void **state) {
  (void)state;
  open_hardened(0, 300, 0);
  hal_addr_t a = block_of(10), b = block_of(10), c = block_of(10);
  assert_ok(zcmem_mem_free(hal, b));
  assert_ok(zcmem_hal_check(hal));
  b = block_of(10); /* the same hole, to the byte */
  spoil(b - 300);
  assert_damage(ZCMEM_DAMAGE_BEHIND, a, b - 300, 1);
  mend();
  spoil(b + 10 + 299);
  assert_damage(ZCMEM_DAMAGE_BEHIND, b, b + 309, 1);
  mend();
  assert_ok(zcmem_mem_free(hal, c));
  close_hardened(2);
}

static void test_damage_is_counted_and_the_first_is_told(void **state) {
  (void)state;
  struct zcmem_damage damage;
  open_hardened(0, ZONE, 0);
  hal_addr_t a = block_of(100), b = block_of(100), c = block_of(100);
  assert_ok(zcmem_hal_check_guards(hal, 0, false, &damage));
  assert_int_equal(damage.count, 0);
  assert_int_equal(damage.kind, ZCMEM_DAMAGE_NONE);
  spoil(c + 100);
  spoil(a + 101);
  assert_damage(ZCMEM_DAMAGE_BEHIND, a, a + 101, 2);
  mend();
  assert_status(zcmem_hal_check_guards(NULL, 0, false, &damage), ZCMEM_EINVAL);
  assert_status(zcmem_hal_check_guards(hal, 1, false, &damage), ZCMEM_EINVAL);
  fake.fail_lock_in = 1;
  assert_status(zcmem_hal_check_guards(hal, 0, false, &damage), ZCMEM_ELOCK);
  assert_ok(zcmem_mem_free(hal, b));
  close_hardened(2);
}

static void test_batches(void **state) {
  (void)state;
  const struct zcmem_batch_item items[3] = {{100, 1}, {1000, 256}, {0, 1}}, many[2] = {{7000, 1}, {7000, 1}};
  hal_addr_t addrs[3], none[2];
  uint32_t freed = 0;
  open_hardened(ZCMEM_REGION_FILL | ZCMEM_REGION_POISON, ZONE, 1024);
  assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 3, addrs));
  for (unsigned i = 0; i < 3; i++) {
    for (hal_size_t k = 0; k < items[i].size; k++) {
      assert_int_equal(*fake_at(&dram, addrs[i] + k), 0xcd);
    }
  }
  assert_status(zcmem_mem_alloc_batch(hal, 0, many, 2, none), ZCMEM_ENOSPC);
  assert_int_equal(stats_now().live, 3);
  spoil(addrs[0] + 100);
  assert_status(zcmem_mem_free_batch(hal, addrs, 3, &freed), ZCMEM_ECORRUPT);
  assert_true(freed >= 1 && freed < 3); /* that one, and the one behind it if there is one */
  mend();
  (void)zcmem_mem_free_batch(hal, addrs, 3, &freed);
  assert_int_equal(stats_now().live, 0);
  assert_ok(zcmem_mem_alloc_batch(hal, 0, many, 1, none)); /* the quarantine makes room */
  assert_ok(zcmem_mem_free(hal, none[0]));
  close_hardened(0);
}

/* malloc's shapes, in whose regions the device's addresses are aligned otherwise than the host's. */
static void test_blocks_of_malloc(void **state) {
  (void)state;
  open_hardened(ZCMEM_REGION_POISON, ZONE, 4096);
  assert_ok(zcmem_malloc_set_hal(hal));
  unsigned char *bytes = zcmem_malloc(ZCMEM_KIND_DRAM, 100);
  assert_non_null(bytes);
  memset(bytes, 0x3c, 100);
  /* An alignment that host and device do not share would need a block in a place of its own. */
  size_t align = 2 * QUANTUM;
  while (((uintptr_t)dram.memory - BASE) % align == 0) {
    align *= 2;
  }
  assert_null(zcmem_aligned_alloc(ZCMEM_KIND_DRAM, align, 100));
  assert_int_equal(stats_now().live, 1);
  bytes = zcmem_realloc(ZCMEM_KIND_DRAM, bytes, 900);
  assert_non_null(bytes);
  hal_addr_t behind = block_of(1);
  unsigned char *old = bytes;
  bytes = zcmem_realloc(ZCMEM_KIND_DRAM, bytes, 3000); /* moved */
  assert_non_null(bytes);
  assert_ptr_not_equal(bytes, old);
  assert_true(old[0] == 0xdd && old[899] == 0xdd);
  old[7] = 1;
  assert_status(zcmem_hal_check_guards(hal, 0, true, NULL), ZCMEM_ECORRUPT);
  assert_int_equal(stats_now().frees, 1);
  assert_int_equal(bytes[99], 0x3c);
  assert_int_equal(zcmem_malloc_size(bytes), 3000);
  zcmem_free(ZCMEM_KIND_DRAM, bytes);
  zcmem_free(ZCMEM_KIND_DRAM, bytes);
  assert_int_equal(stats_now().live, 1);
  assert_int_equal(bytes[99], 0xdd);
  assert_ok(zcmem_mem_free(hal, behind));
  assert_ok(zcmem_malloc_set_hal(NULL));
  close_hardened(0);
}

static enum zcmem_status add(const struct zcmem_region_config *config) {
  struct zcmem_region_config another = *config;
  another.name = "another";
  another.base = 2 * BASE;
  return zcmem_hal_add_region(hal, &another, NULL);
}

static void test_configs(void **state) {
  (void)state;
  static const struct zcmem_region_ops flushing = {.flush = NULL};
  static unsigned char other[QUANTA * QUANTUM];
  struct zcmem_region_ops ops = flushing;
  open_hardened(0, ZONE, 0);
  struct zcmem_region_config config = {
      .kind = ZCMEM_KIND_DRAM, .size = sizeof other, .max_blocks = 16, .red_zone = 1, .host = other};
  config.red_zone = ZCMEM_RED_ZONE_MAX + 1;
  assert_status(add(&config), ZCMEM_EINVAL);
  config.red_zone = UINT64_MAX;
  assert_status(add(&config), ZCMEM_EINVAL);
  config.red_zone = sizeof other; /* nothing would be left */
  assert_status(add(&config), ZCMEM_EINVAL);
  config.red_zone = 1;
  config.quantum = 100; /* no power of two: it is the heap that says so */
  assert_status(add(&config), ZCMEM_EINVAL);
  config.quantum = 0;
  config.host = NULL;
  assert_status(add(&config), ZCMEM_EINVAL);
  config.red_zone = 0;
  static const uint32_t flags[3] = {ZCMEM_REGION_FILL, ZCMEM_REGION_POISON, ZCMEM_REGION_TRACKED};
  for (unsigned i = 0; i < 3; i++) {
    config.flags = flags[i];
    assert_status(add(&config), ZCMEM_EINVAL);
  }
  config.flags = ZCMEM_REGION_CONTEXTS << 1;
  assert_status(add(&config), ZCMEM_EINVAL);
  /* A region that is not coherent: the facade does not flush what it stores there itself. */
  config.host = other;
  config.ops = &ops;
  config.flags = ZCMEM_REGION_POISON;
  ops.invalidate = (int (*)(void *, hal_addr_t, hal_size_t, void *))(uintptr_t)1; /* never called */
  assert_status(add(&config), ZCMEM_EINVAL);
  ops.flush = ops.invalidate;
  ops.invalidate = NULL;
  assert_status(add(&config), ZCMEM_EINVAL);
  config.flags |= ZCMEM_REGION_COHERENT;
  assert_ok(add(&config));
  close_hardened(0);
  open_hardened(0, ZONE, 0); /* nobody has to flush where there is nothing to flush */
  ops.flush = NULL;
  config.flags = ZCMEM_REGION_POISON;
  assert_ok(add(&config));
  close_hardened(0);
}

static void test_nothing_to_look_at(void **state) {
  struct zcmem_damage damage = {.count = 9};
  (void)state;
  open_hardened(0, 0, 0);
  assert_ok(zcmem_hal_check_guards(hal, 0, true, &damage));
  assert_int_equal(damage.count, 0);
  close_hardened(0);
}

/* Without the lock nothing is looked at, and nothing told. */
static void test_a_check_without_the_lock(void **state) {
  struct zcmem_damage damage = {.count = 9};
  (void)state;
  open_hardened(0, ZONE, 0);
  fake.fail_lock_in = 1;
  assert_status(zcmem_hal_check_guards(hal, 0, true, &damage), ZCMEM_ELOCK);
  assert_int_equal(damage.count, 9);
  close_hardened(0);
}

static void test_no_magazines(void **state) {
  (void)state;
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES};
  struct zcmem_region_config region = hardened(ZCMEM_REGION_HANDLES, 0, 0);
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_null(hal->regions[0].depot);
  hal_addr_t addr = block_of(100);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  fake_region_close(&dram);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bytes_of_a_block_are_its_own),
      cmocka_unit_test(test_every_byte_beside_is_seen),
      cmocka_unit_test(test_the_smallest_zone),
      cmocka_unit_test(test_before_the_first_block_and_behind_the_last),
      cmocka_unit_test(test_before_a_block_behind_a_hole),
      cmocka_unit_test(test_nothing_is_lost),
      cmocka_unit_test(test_transfers_end_where_the_block_does),
      cmocka_unit_test(test_resize_moves_the_zone),
      cmocka_unit_test(test_the_largest_request),
      cmocka_unit_test(test_no_room_but_for_a_zone),
      cmocka_unit_test(test_sizes_that_wrap),
      cmocka_unit_test(test_a_large_quantum),
      cmocka_unit_test(test_zones_larger_than_a_quantum),
      cmocka_unit_test(test_damage_is_counted_and_the_first_is_told),
      cmocka_unit_test(test_batches),
      cmocka_unit_test(test_blocks_of_malloc),
      cmocka_unit_test(test_configs),
      cmocka_unit_test(test_nothing_to_look_at),
      cmocka_unit_test(test_a_check_without_the_lock),
      cmocka_unit_test(test_no_magazines),
  };
  return cmocka_run_group_tests_name("red zones", tests, NULL, NULL);
}
