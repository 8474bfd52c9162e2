/* SPDX-License-Identifier: MIT */
/*
 * Magazines as one thread meets them: what they keep and how much, that nothing fails because of it, that they give
 * back what is not asked for any more, and what statistics, the checker and the end of a HAL see of them.
 */
#include "magazines_check.h"
#include <string.h>

#ifdef ZCMEM__THREAD_MAGAZINES
enum { QUANTUM = 128, MANY = 4096 };

static hal_addr_t blocks[MANY];

/* Allocates `count` blocks of a size and frees them again, `rounds` times. */
static void churn(struct zcmem_hal *hal, hal_size_t size, int count, int rounds) {
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < count; i++) {
      blocks[i] = magazines_alloc(hal, size);
    }
    for (int i = 0; i < count; i++) {
      assert_ok(zcmem_mem_free(hal, blocks[i]));
    }
  }
}

static uint32_t version_of(struct zcmem_hal *hal) {
  return zcmem__atomic_version(&hal->regions[0].version);
}

/* ---------------------------------------------------------------------------------------------- what there is -- */

static void test_share_of_the_region(void **state) {
  static const struct {
    uint32_t share;
    uint64_t limit; /* of 1024 quanta */
  } shares[] = {{0, 128}, {1, 4}, {32, 128}, {64, 256}, {255, 1020}, {256, 1024}};
  (void)state;
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    struct zcmem_hal *hal = magazines_hal(1024 * QUANTUM, 256, shares[i].share);
    assert_int_equal(magazines_look(hal, 0).limit, shares[i].limit);
    churn(hal, 100, 200, 4);
    assert_true(magazines_look(hal, 0).quanta <= shares[i].limit);
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

static void test_share_that_cannot_be(void **state) {
  static const uint32_t shares[] = {257, 1000, UINT32_MAX - 1};
  struct zcmem_hal *hal = magazines_hal(1 << 20, 16, 0);
  struct zcmem_region_config region = {
      .name = "more", .kind = ZCMEM_KIND_DRAM, .base = 1 << 30, .size = 1 << 20, .max_blocks = 16};
  (void)state;
  for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
    region.magazine_share = shares[i];
    assert_status(zcmem_hal_add_region(hal, &region, NULL), ZCMEM_EINVAL);
  }
  assert_int_equal(zcmem_hal_region_count(hal), 1);
  region.magazine_share = 256;
  assert_ok(zcmem_hal_add_region(hal, &region, NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Everything that says that there are to be none; the calls work all the same, and each takes the lock. */
static void test_without_magazines(void **state) {
  (void)state;
  for (int how = 0; how < 3; how++) {
    const struct zcmem_hal_config config = {.name = "device",
                                            .max_regions = 1,
                                            .flags = how == 0 ? 0 : ZCMEM_HAL_MAGAZINES,
                                            .lock = how == 1 ? &zcmem_lock_none : NULL};
    const struct zcmem_region_config region = {.name = "dram",
                                               .kind = ZCMEM_KIND_DRAM,
                                               .base = 1 << 20,
                                               .size = 1 << 20,
                                               .max_blocks = 16,
                                               .magazine_share = how == 2 ? ZCMEM_MAGAZINE_NONE : 0};
    struct zcmem_hal *hal = NULL;
    assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
    assert_null(zcmem__hal_region(hal, 0)->depot);
    uint32_t version = version_of(hal);
    churn(hal, 100, 10, 10);
    assert_int_equal(version_of(hal) - version, 2 * 2 * 10 * 10);
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

static void test_flags_that_are_not_known(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES | 2u};
  struct zcmem_hal *hal = NULL;
  (void)state;
  assert_int_equal(zcmem_hal_bytes(&config), 0);
  assert_status(zcmem_hal_create(&config, NULL, 0, &hal), ZCMEM_EINVAL);
}

static void test_host_device_with_magazines(void **state) {
  (void)state;
  for (uint32_t with = 0; with < 2; with++) {
    const struct zcmem_host_device_config config = {.flags = with * ZCMEM_HOST_DEVICE_MAGAZINES};
    struct zcmem_host_device *device = NULL;
    assert_ok(zcmem_host_device_create(&config, &device));
    struct zcmem_hal *hal = zcmem_host_device_hal(device);
    for (uint32_t region = 0; region < 2; region++) {
      hal_addr_t addr = 0;
      assert_int_equal(zcmem__hal_region(hal, region)->depot != NULL, with);
      assert_ok(zcmem_mem_alloc(hal, region, 100, 1, &addr));
      assert_ok(zcmem_mem_free(hal, addr));
    }
    assert_int_equal(zcmem_host_device_destroy(device), 0);
  }
}

/* ---------------------------------------------------------------------------------------------- what they do -- */

/* Once its size goes to and fro, a pair touches neither the lock nor the heap, and a block that is kept is not live. */
static void test_pairs_take_no_lock(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 256, 0);
  (void)state;
  for (hal_size_t size = 0; size <= 512 * QUANTUM; size = size == 0 ? 1 : size * 7) {
    if (size > 1 << 14) { /* the share is not enough for larger ones */
      break;
    }
    churn(hal, size, 4, 16);
    uint32_t version = version_of(hal);
    for (int i = 0; i < 100; i++) {
      struct zcmem_block_info info;
      hal_addr_t addr = magazines_alloc(hal, size);
      assert_int_equal(addr % QUANTUM, 0);
      assert_ok(zcmem_mem_info(hal, addr, &info));
      assert_int_equal(info.addr, addr);
      assert_int_equal(info.requested, size);
      assert_int_equal(info.tag, 0);
      assert_ok(zcmem_mem_free(hal, addr));
      assert_status(zcmem_mem_info(hal, addr, &info), ZCMEM_ENOENT);
    }
    assert_int_equal(version_of(hal), version);
    assert_true(magazines_look(hal, 0).in_magazines > 0);
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* An alignment up to the quantum is everybody's; a larger one goes to the heap, and is kept. */
static void test_alignments(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 256, 0);
  hal_addr_t addr = 0;
  (void)state;
  churn(hal, 300, 4, 16);
  for (hal_size_t align = 1; align <= 8192; align *= 2) {
    for (int i = 0; i < 10; i++) {
      assert_ok(zcmem_mem_alloc(hal, 0, 300, align, &addr));
      assert_int_equal(addr % align, 0);
      assert_ok(zcmem_mem_free(hal, addr));
    }
  }
  addr = 77;
  assert_status(zcmem_mem_alloc(hal, 0, 300, 0, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(hal, 0, 300, 96, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc(hal, 0, 300, 1, NULL), ZCMEM_EINVAL);
  assert_int_equal(addr, 77);
  assert_int_equal(magazines_stats(hal, 0).failed_invalid, 3);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Bundles go through the depot, back and forth. */
static void test_bundles_go_through_the_depot(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 22, MANY, 256);
  uint64_t most = 0;
  (void)state;
  for (int round = 0; round < 20; round++) {
    churn(hal, 100, 500, 1);
    struct magazines_sum sum = magazines_look(hal, 0);
    most = sum.in_depot > most ? sum.in_depot : most;
  }
  assert_true(most > 100);
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.allocations, 20 * 500);
  assert_int_equal(stats.frees, 20 * 500);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* ------------------------------------------------------------------------------------ what may not fail for it -- */

/* Keeps blocks of a few sizes; returns how many there are. */
static uint64_t fill(struct zcmem_hal *hal) {
  for (hal_size_t size = 1; size < 1200; size += 150) {
    churn(hal, size, 40, 8);
  }
  return magazines_look(hal, 0).blocks;
}

static void test_all_of_the_region_can_be_had(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 512, 256);
  (void)state;
  assert_true(fill(hal) > 20);
  hal_addr_t all = magazines_alloc(hal, 1 << 20), addr = 0;
  assert_int_equal(magazines_look(hal, 0).blocks, 0);
  assert_ok(zcmem_mem_free(hal, all));
  assert_true(fill(hal) > 20);
  assert_ok(zcmem_mem_alloc(hal, 0, 1 << 19, 1 << 19, &addr));
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_all_blocks_can_be_had(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 512, 256);
  (void)state;
  assert_true(fill(hal) > 20);
  for (int i = 0; i < 512; i++) { /* of a size that nobody kept */
    blocks[i] = magazines_alloc(hal, 1300);
  }
  hal_addr_t addr = 0;
  assert_status(zcmem_mem_alloc(hal, 0, 1, 1, &addr), ZCMEM_ENOMEM);
  for (int i = 0; i < 512; i++) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.failed_blocks, 1);
  assert_int_equal(stats.failed_space + stats.failed_fragmented, 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* A block grows over neighbours that are kept, also where free space lies between, but never over a live one. */
static void test_blocks_grow_over_what_is_kept(void **state) {
  enum { REGION = 256, BLOCKS = 64 };
  (void)state;
  for (int live = 0; live < 2; live++) {
    struct zcmem_hal *hal = magazines_hal(REGION * QUANTUM, REGION, 256);
    for (int i = 0; i < BLOCKS; i++) {
      blocks[i] = magazines_alloc(hal, QUANTUM);
    }
    for (int i = 0; i < BLOCKS; i++) {
      if (blocks[i] != 0x100000 && (live == 0 || blocks[i] != 0x100000 + 40 * QUANTUM)) {
        assert_ok(zcmem_mem_free(hal, blocks[i]));
      }
    }
    assert_true(magazines_look(hal, 0).blocks > BLOCKS / 2);
    if (live == 0) {
      assert_ok(zcmem_mem_resize(hal, 0x100000, REGION * QUANTUM));
      assert_status(zcmem_mem_resize(hal, 0x100000, REGION * QUANTUM + 1), ZCMEM_ENOSPC);
    } else {
      assert_status(zcmem_mem_resize(hal, 0x100000, 41 * QUANTUM), ZCMEM_EFRAG);
      assert_ok(zcmem_mem_resize(hal, 0x100000, 40 * QUANTUM));
      assert_ok(zcmem_mem_free(hal, 0x100000 + 40 * QUANTUM));
    }
    assert_ok(zcmem_mem_free(hal, 0x100000));
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

/* Where little is free behind the last block nothing is kept. */
static void test_nothing_is_kept_where_space_is_short(void **state) {
  enum { REGION = 256 };
  (void)state;
  struct zcmem_hal *hal = magazines_hal(REGION * QUANTUM, REGION, 256);
  churn(hal, QUANTUM, 32, 4);
  assert_true(magazines_look(hal, 0).blocks > 0);
  hal_addr_t large = magazines_alloc(hal, (REGION - 64) * QUANTUM); /* now the tail is at most a quarter */
  churn(hal, 2 * QUANTUM, 20, 4);                                   /* calls that take the lock */
  assert_int_equal(magazines_look(hal, 0).blocks, 0);
  uint32_t version = version_of(hal);
  churn(hal, QUANTUM, 20, 1);
  assert_true(version_of(hal) - version >= 2 * 2 * 20);
  assert_ok(zcmem_mem_free(hal, large));
  churn(hal, QUANTUM, 20, 2);
  assert_true(magazines_look(hal, 0).blocks > 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* The first region that has room is taken, even if its room is in magazines. */
static void test_preferred_regions_are_drained_first(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 512, 256);
  const struct zcmem_region_config second = {
      .name = "second", .kind = ZCMEM_KIND_DRAM, .base = 1 << 30, .size = 1 << 20, .max_blocks = 16};
  const uint32_t order[] = {0, 1};
  hal_addr_t addr = 0;
  (void)state;
  assert_ok(zcmem_hal_add_region(hal, &second, NULL));
  assert_true(fill(hal) > 20);
  assert_ok(zcmem_mem_alloc_preferred(hal, order, 2, 1 << 20, 1, &addr));
  assert_int_equal(addr, 0x100000);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_true(fill(hal) > 20);
  assert_ok(zcmem_mem_alloc_kind(hal, ZCMEM_KIND_DRAM, 1 << 20, 1, &addr));
  assert_int_equal(addr, 0x100000);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* ----------------------------------------------------------------------------------------- who sees through it -- */

static void test_figures_see_through_magazines(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 512, 256);
  (void)state;
  for (int round = 0; round < 3; round++) {
    assert_true(fill(hal) > 20);
    hal_addr_t a = magazines_alloc(hal, 100), b = magazines_alloc(hal, 0), c = magazines_alloc(hal, 1000);
    struct zcmem_region_stats stats = magazines_stats(hal, 0);
    assert_int_equal(stats.live, 3);
    assert_int_equal(stats.requested, 1100);
    assert_int_equal(stats.in_use, (1 + 1 + 8) * QUANTUM);
    assert_int_equal(stats.available, (1 << 20) - (1 + 1 + 8) * QUANTUM);
    assert_int_equal(stats.allocations, stats.frees + 3);
    assert_int_equal(stats.bad_frees, 0);
    assert_true(stats.peak >= stats.in_use && stats.peak <= 1 << 20);
    assert_ok(zcmem_mem_free(hal, a));
    assert_ok(zcmem_mem_free(hal, b));
    assert_ok(zcmem_mem_free(hal, c));
    stats = magazines_stats(hal, 0);
    assert_int_equal(stats.live + stats.requested + stats.in_use, 0);
    assert_int_equal(stats.largest, 1 << 20);
    assert_int_equal(stats.available, 1 << 20);
    assert_int_equal(stats.allocations, stats.frees);
    assert_ok(zcmem_hal_check(hal));
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* The checker leaves what is kept where it is. */
static void test_the_checker_sees_through_magazines(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 512, 256);
  (void)state;
  uint64_t kept = fill(hal);
  assert_true(kept > 20);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(magazines_look(hal, 0).blocks, kept);
  struct zcmem__region *region = zcmem__hal_region(hal, 0);
  struct zcmem__block *block = zcmem__block(region->heap, zcmem__link_id(zcmem__block(region->heap, 0)->next));
  uint32_t size = block->size;
  block->size = size + 1;
  assert_status(zcmem_hal_check(hal), ZCMEM_ECORRUPT);
  block->size = size;
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_the_end_counts_what_is_live(void **state) {
  (void)state;
  for (uint64_t live = 0; live < 5; live++) {
    struct zcmem_hal *hal = magazines_hal(1 << 20, 512, 256);
    assert_true(fill(hal) > 20);
    for (uint64_t i = 0; i < live; i++) {
      (void)magazines_alloc(hal, 150 * i + 1);
    }
    assert_int_equal(zcmem_hal_destroy(hal), live);
  }
}

/* ------------------------------------------------------------------------------------------------- the clock -- */

/*
 * A size that is asked for no more goes back to the heap, a few blocks with each call that takes the lock. Those that
 * do so here are frees of blocks that no magazine ever hands out again, since they are asked for with an alignment.
 */
static void test_sizes_age_out(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 22, MANY, 256);
  uint64_t most = 0;
  int calls = 0;
  (void)state;
  churn(hal, 100, 500, 60); /* the first rounds bring a rest */
  uint64_t before = magazines_look(hal, 0).blocks;
  assert_true(before > 100);
  for (uint64_t now = before; now >= 100; before = now) {
    hal_addr_t addr = 0;
    assert_ok(zcmem_mem_alloc(hal, 0, 300, 256, &addr));
    assert_ok(zcmem_mem_free(hal, addr));
    now = magazines_look(hal, 0).blocks;
    most = before > now && before - now > most ? before - now : most;
    assert_true(++calls < 100000);
  }
  assert_true(most <= 10);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* What not even an empty region would have room for empties no magazine. */
static void test_too_large_empties_nothing(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 256, 0);
  hal_addr_t none = 77;
  (void)state;
  churn(hal, 100, 4, 3);
  uint64_t kept = magazines_look(hal, 0).blocks;
  assert_true(kept > 0);
  assert_status(zcmem_mem_alloc(hal, 0, (1 << 20) + 1, 1, &none), ZCMEM_ENOSPC);
  assert_int_equal(none, 77);
  assert_int_equal(magazines_look(hal, 0).blocks, kept);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Nor is it said that blocks are lacking, which magazines keep: they are live for no call. */
static void test_too_large_is_too_large(void **state) {
  enum { LIVE = 16 };
  struct zcmem_hal *hal = magazines_hal(1 << 20, LIVE, 256);
  hal_addr_t addr = 0;
  (void)state;
  churn(hal, 100, LIVE, 4);
  assert_int_equal(magazines_look(hal, 0).blocks, LIVE);
  assert_status(zcmem_mem_alloc(hal, 0, (1 << 20) + 1, 1, &addr), ZCMEM_ENOSPC);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Where sizes hardly come again magazines rest, and what they had goes back; where they do again, they serve. */
static void test_rest_and_trial(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 25, MANY, 0);
  uint64_t seed = 1;
  uint32_t rests = 0;
  (void)state;
  struct zcmem__region *region = zcmem__hal_region(hal, 0);
  for (int round = 0; round < 12; round++) {
    for (int i = 0; i < MANY; i++) {
      blocks[i] = magazines_alloc(hal, random_below(&seed, UINT64_C(14000) >> (round % 4)));
      rests += region->depot->all->emptied;
      assert_true(!region->depot->all->emptied || zcmem__magazines_held(region->depot->all) == 0);
    }
    for (int i = MANY - 1; i >= 0; i--) {
      size_t at = (size_t)random_below(&seed, (uint64_t)i + 1);
      assert_ok(zcmem_mem_free(hal, blocks[at]));
      blocks[at] = blocks[i];
    }
    (void)magazines_look(hal, 0);
  }
  assert_true(rests > 1000);
  for (int i = 0; i < 50; i++) { /* longer than any rest */
    churn(hal, 100, 16, 200);
  }
  uint32_t version = version_of(hal);
  churn(hal, 100, 16, 200);
  assert_true(version_of(hal) - version < 2 * 200 * 2);
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.largest, 1 << 25);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* ------------------------------------------------------------------------------------------- no memory for them -- */

struct allocator {
  unsigned fails; /* so many of the next calls */
  unsigned calls, live;
};

static void *give(void *ctx, size_t bytes) {
  struct allocator *allocator = ctx;
  allocator->calls++;
  if (allocator->fails > 0) {
    allocator->fails--;
    return NULL;
  }
  void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(memory);
  memset(memory, 0, bytes);
  allocator->live++;
  return memory;
}

static void take_back(void *ctx, void *memory, size_t bytes) {
  struct allocator *allocator = ctx;
  memset(memory, 0xdb, bytes);
  allocator->live--;
  free(memory);
}

static void test_a_thread_without_memory_for_magazines(void **state) {
  struct allocator allocator = {0};
  const struct zcmem_host_allocator from = {.alloc = give, .free = take_back, .ctx = &allocator};
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES, .allocator = &from};
  const struct zcmem_region_config region = {
      .name = "dram", .kind = ZCMEM_KIND_DRAM, .base = 0x100000, .size = 1 << 20, .max_blocks = 64};
  struct zcmem_hal *hal = NULL;
  (void)state;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  allocator.fails = 1000;
  unsigned calls = allocator.calls;
  churn(hal, 100, 10, 10);
  assert_true(allocator.calls > calls);
  hal_addr_t addr = magazines_alloc(hal, 100);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  assert_null(zcmem__hal_region(hal, 0)->depot->all);
  allocator.fails = 0;
  churn(hal, 100, 10, 10);
  assert_int_equal(magazines_look(hal, 0).owners, 1);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  assert_int_equal(allocator.live, 0);
}

/* Whichever of the allocations for a HAL with magazines fails, the rest is given back. */
static void test_a_hal_without_memory(void **state) {
  struct allocator allocator = {0};
  const struct zcmem_host_allocator from = {.alloc = give, .free = take_back, .ctx = &allocator};
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES, .allocator = &from};
  const struct zcmem_region_config region = {
      .name = "dram", .kind = ZCMEM_KIND_DRAM, .base = 0x100000, .size = 1 << 20, .max_blocks = 64};
  struct zcmem_hal *hal = NULL;
  (void)state;
  for (unsigned good = 0; good < 3; good++) { /* the HAL, the depot, the image */
    struct zcmem_hal_config one = config;
    assert_int_equal(allocator.live, 0);
    allocator.fails = good == 0 ? 1 : 0;
    if (good == 0) {
      assert_status(zcmem_hal_create(&one, &region, 1, &hal), ZCMEM_ENOMEM);
      continue;
    }
    assert_ok(zcmem_hal_create(&one, NULL, 0, &hal));
    struct zcmem_region_config imaged = region;
    static _Alignas(64) unsigned char image[1 << 17];
    imaged.image = good == 1 ? image : NULL; /* else the depot is there already when the image fails */
    imaged.image_bytes = sizeof image;
    allocator.fails = 1;
    assert_status(zcmem_hal_add_region(hal, &imaged, NULL), ZCMEM_ENOMEM);
    assert_int_equal(allocator.live, 1);
    assert_ok(zcmem_hal_add_region(hal, &imaged, NULL));
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
  assert_int_equal(allocator.live, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_share_of_the_region),
      cmocka_unit_test(test_share_that_cannot_be),
      cmocka_unit_test(test_without_magazines),
      cmocka_unit_test(test_flags_that_are_not_known),
      cmocka_unit_test(test_host_device_with_magazines),
      cmocka_unit_test(test_pairs_take_no_lock),
      cmocka_unit_test(test_alignments),
      cmocka_unit_test(test_bundles_go_through_the_depot),
      cmocka_unit_test(test_all_of_the_region_can_be_had),
      cmocka_unit_test(test_all_blocks_can_be_had),
      cmocka_unit_test(test_blocks_grow_over_what_is_kept),
      cmocka_unit_test(test_nothing_is_kept_where_space_is_short),
      cmocka_unit_test(test_preferred_regions_are_drained_first),
      cmocka_unit_test(test_figures_see_through_magazines),
      cmocka_unit_test(test_the_checker_sees_through_magazines),
      cmocka_unit_test(test_the_end_counts_what_is_live),
      cmocka_unit_test(test_sizes_age_out),
      cmocka_unit_test(test_too_large_empties_nothing),
      cmocka_unit_test(test_too_large_is_too_large),
      cmocka_unit_test(test_rest_and_trial),
      cmocka_unit_test(test_a_thread_without_memory_for_magazines),
      cmocka_unit_test(test_a_hal_without_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without magazines");
  return 77; /* Meson: skipped */
}
#endif
