/* SPDX-License-Identifier: MIT */
/* Batches: all or nothing, largest first, one hold of the lock; and frees of which some are wrong. */
#define _POSIX_C_SOURCE 200809L
#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

#define QUANTUM ((hal_size_t)128)
#define QUANTA 512u
#define BASE ((hal_addr_t)1 << 32)

enum { REGIONS = 2, MOST = 200 };

static struct zcmem_hal *hal;
static uint64_t seed;

static void open_hal(const struct zcmem_hal_config *config) {
  static const char *const names[REGIONS] = {"low", "high"};
  struct zcmem_region_config regions[REGIONS];
  fake_reset();
  for (unsigned i = 0; i < REGIONS; i++) {
    regions[i] = (struct zcmem_region_config){.name = names[i],
                                              .kind = ZCMEM_KIND_DRAM,
                                              .base = BASE * (i + 1),
                                              .size = QUANTA * QUANTUM,
                                              .max_blocks = MOST};
  }
  assert_ok(zcmem_hal_create(config, regions, REGIONS, &hal));
}

static int setup(void **state) {
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = REGIONS, .lock = &fake_lock, .allocator = &fake_allocator};
  (void)state;
  seed = env_number("ZCMEM_TEST_SEED", 1);
  open_hal(&config);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return 0;
}

static struct zcmem_region_stats stats_of(uint32_t region) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, region, &stats));
  return stats;
}

static void assert_all_null(const hal_addr_t *addrs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    assert_int_equal(addrs[i], HAL_NULLPTR);
  }
}

/* Whether each address is a block of its item. */
static void assert_theirs(const struct zcmem_batch_item *items, const hal_addr_t *addrs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    struct zcmem_block_info info;
    assert_ok(zcmem_mem_info(hal, addrs[i], &info));
    assert_int_equal(info.addr, addrs[i]);
    assert_int_equal(info.requested, items[i].size);
    assert_int_equal(addrs[i] % items[i].align, 0);
  }
}

static void test_each_item_gets_its_block_largest_first(void **state) {
  const struct zcmem_batch_item items[] = {{100, 1}, {1000, 1}, {300, 256}, {1000, 1}, {0, 1}, {300, 1}, {2000, 512}};
  const unsigned order[] = {6, 1, 3, 2, 5, 0, 4};
  hal_addr_t addrs[7];
  (void)state;
  unsigned locks = fake.lock_calls;
  assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 7, addrs));
  assert_int_equal(fake.lock_calls, locks + 1);
  assert_theirs(items, addrs, 7);
  for (unsigned i = 0; i + 1 < 7; i++) { /* in an empty region that is the order of addresses */
    assert_true(addrs[order[i]] < addrs[order[i + 1]]);
  }
  assert_int_equal(stats_of(0).allocations, 7);
  assert_int_equal(stats_of(0).live, 7);
  assert_int_equal(stats_of(0).peak, stats_of(0).in_use);
  uint32_t freed = 0;
  locks = fake.lock_calls;
  assert_ok(zcmem_mem_free_batch(hal, addrs, 7, &freed));
  assert_int_equal(fake.lock_calls, locks + 1);
  assert_int_equal(freed, 7);
  assert_int_equal(stats_of(0).frees, 7);
}

/* In two holes of four quanta; the small ones, if they came first, would take one hole's half. */
static void test_small_items_do_not_take_the_room_of_large_ones(void **state) {
  static const hal_size_t parts[] = {4, 1, 4, QUANTA - 9};
  const struct zcmem_batch_item items[] = {{1, 1}, {QUANTUM, 1}, {3 * QUANTUM, 1}, {2 * QUANTUM + 1, 1}};
  hal_addr_t all[4], addrs[4];
  (void)state;
  for (unsigned i = 0; i < 4; i++) {
    assert_ok(zcmem_mem_alloc(hal, 0, parts[i] * QUANTUM, 1, &all[i]));
  }
  assert_ok(zcmem_mem_free(hal, all[0]));
  assert_ok(zcmem_mem_free(hal, all[2]));
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(zcmem_mem_alloc(hal, 0, items[i].size, 1, &addrs[i]));
  }
  assert_status(zcmem_mem_alloc(hal, 0, items[3].size, 1, &addrs[3]), ZCMEM_EFRAG);
  assert_ok(zcmem_mem_free_batch(hal, addrs, 3, NULL));
  assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 4, addrs));
  assert_theirs(items, addrs, 4);
  assert_int_equal(stats_of(0).available, 0);
  assert_ok(zcmem_mem_free_batch(hal, addrs, 4, NULL));
  assert_ok(zcmem_mem_free(hal, all[1]));
  assert_ok(zcmem_mem_free(hal, all[3]));
}

/* Whatever is asked: all of it is there, or the region is as it was; and it is there if one by one would do. */
static void test_random_batches_are_all_or_nothing(void **state) {
  struct zcmem_batch_item items[MOST + 10];
  hal_addr_t addrs[MOST + 10], kept[MOST];
  uint32_t done = 0, refused = 0, keep = 0;
  (void)state;
  for (unsigned round = 0; round < 3000; round++) {
    struct zcmem_region_stats before = stats_of(0);
    uint32_t count = 1 + (uint32_t)random_below(&seed, random_below(&seed, 4) == 0 ? MOST + 10 : 12);
    hal_size_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
      items[i].size = random_below(&seed, 1 + QUANTA * QUANTUM / (count + 4));
      items[i].align = (hal_size_t)1 << random_below(&seed, 11);
      sum += items[i].size;
    }
    enum zcmem_status status = zcmem_mem_alloc_batch(hal, 0, items, count, addrs);
    struct zcmem_region_stats after = stats_of(0);
    assert_ok(zcmem_hal_check(hal));
    if (status == ZCMEM_OK) {
      done++;
      assert_theirs(items, addrs, count);
      assert_int_equal(after.live, before.live + count);
      assert_int_equal(after.requested, before.requested + sum);
      for (uint32_t i = 0; i < count; i++) { /* keeps one now and then, so that there are holes */
        if (keep < MOST && random_below(&seed, 16) == 0) {
          kept[keep++] = addrs[i];
          addrs[i] = HAL_NULLPTR;
        }
      }
      assert_ok(zcmem_mem_free_batch(hal, addrs, count, NULL));
    } else {
      refused++;
      assert_true(status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM);
      assert_all_null(addrs, count);
      assert_int_equal(after.live, before.live);
      assert_int_equal(after.requested, before.requested);
      assert_int_equal(after.largest, before.largest);
      assert_int_equal(after.peak, before.peak);
      assert_int_equal(after.allocations, before.allocations);
      assert_int_equal(after.frees, before.frees);
      assert_int_equal(after.failed_space + after.failed_fragmented + after.failed_blocks,
                       before.failed_space + before.failed_fragmented + before.failed_blocks + 1);
    }
    if (keep == MOST || random_below(&seed, 20) == 0) {
      uint32_t freed = 0;
      assert_ok(zcmem_mem_free_batch(hal, kept, keep, &freed));
      assert_int_equal(freed, keep);
      keep = 0;
    }
  }
  assert_ok(zcmem_mem_free_batch(hal, kept, keep, NULL));
  assert_true(done > 100 && refused > 100);
}

static void test_what_is_refused_at_once_leaves_the_addresses(void **state) {
  struct zcmem_batch_item items[] = {{100, 1}, {100, 0}};
  hal_addr_t addrs[] = {7, 8};
  (void)state;
  unsigned locks = fake.lock_calls;
  assert_status(zcmem_mem_alloc_batch(NULL, 0, items, 1, addrs), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_batch(hal, REGIONS, items, 1, addrs), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_batch(hal, 0, NULL, 1, addrs), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_batch(hal, 0, items, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_batch(hal, 0, items, 2, addrs), ZCMEM_EINVAL);
  items[1].align = 3;
  assert_status(zcmem_mem_alloc_batch(hal, 0, items, 2, addrs), ZCMEM_EINVAL);
  assert_ok(zcmem_mem_alloc_batch(hal, 0, NULL, 0, NULL));
  assert_status(zcmem_mem_alloc_batch(hal, REGIONS, NULL, 0, NULL), ZCMEM_EINVAL);
  assert_int_equal(addrs[0], 7);
  assert_int_equal(addrs[1], 8);
  uint32_t freed = 9;
  assert_status(zcmem_mem_free_batch(NULL, addrs, 1, &freed), ZCMEM_EINVAL);
  assert_status(zcmem_mem_free_batch(hal, NULL, 1, &freed), ZCMEM_EINVAL);
  assert_int_equal(freed, 9);
  assert_ok(zcmem_mem_free_batch(hal, NULL, 0, &freed));
  assert_int_equal(freed, 0);
  assert_int_equal(fake.lock_calls, locks);
}

static void test_a_size_that_wraps_is_refused(void **state) {
  const struct zcmem_batch_item items[] = {{100, 1}, {UINT64_MAX, 1}, {UINT64_MAX - 1, QUANTUM}};
  hal_addr_t addrs[3];
  (void)state;
  assert_status(zcmem_mem_alloc_batch(hal, 0, items, 3, addrs), ZCMEM_ENOSPC);
  assert_all_null(addrs, 3);
  assert_int_equal(stats_of(0).live, 0);
}

static void test_each_address_is_judged_alone(void **state) {
  const struct zcmem_batch_item items[] = {{500, 1}, {400, 1}, {300, 1}, {200, 1}};
  hal_addr_t low[4], high[4];
  uint32_t freed = 0;
  (void)state;
  assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 4, low));
  assert_ok(zcmem_mem_alloc_batch(hal, 1, items, 4, high));
  assert_ok(zcmem_mem_pin(hal, low[1]));
  const hal_addr_t mixed[] = {HAL_NULLPTR, low[0],  low[1], HAL_NULLPTR, low[2], low[0], /* one run: EBUSY, ENOENT */
                              high[0],     high[1], 5,      high[2],                     /* two: 5 is in no region */
                              low[3] + 1,  low[3],  high[3]};
  unsigned locks = fake.lock_calls;
  assert_status(zcmem_mem_free_batch(hal, mixed, sizeof mixed / sizeof *mixed, &freed), ZCMEM_EBUSY);
  assert_int_equal(fake.lock_calls, locks + 5);
  assert_int_equal(freed, 7);
  assert_int_equal(stats_of(0).frees, 3);
  assert_int_equal(stats_of(0).bad_frees, 3);
  assert_int_equal(stats_of(1).frees, 4);
  assert_int_equal(stats_of(1).bad_frees, 0);
  assert_status(zcmem_mem_free_batch(hal, mixed, 2, &freed), ZCMEM_ENOENT);
  assert_int_equal(freed, 0);
  assert_ok(zcmem_mem_unpin(hal, low[1]));
  assert_ok(zcmem_mem_free(hal, low[1]));
}

static void test_a_lock_that_fails(void **state) {
  const struct zcmem_batch_item items[] = {{500, 1}, {400, 1}};
  hal_addr_t low[2], high[2];
  uint32_t freed = 0;
  (void)state;
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_alloc_batch(hal, 0, items, 2, low), ZCMEM_ELOCK);
  assert_all_null(low, 2);
  assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 2, low));
  assert_ok(zcmem_mem_alloc_batch(hal, 1, items, 2, high));
  const hal_addr_t mixed[] = {low[0], low[1], high[0], high[1]};
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_free_batch(hal, mixed, 4, &freed), ZCMEM_ELOCK);
  assert_int_equal(freed, 2);
  assert_int_equal(stats_of(0).live, 2);
  assert_int_equal(stats_of(1).live, 0);
  assert_ok(zcmem_mem_free_batch(hal, low, 2, NULL));
}

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>

/* Frees a thread's blocks into magazines that it takes along, and waits for the end of the test. */
static pthread_barrier_t step;
static hal_addr_t cached[MOST];

static void *keep_blocks(void *arg) {
  (void)arg;
  for (unsigned i = 0; i < MOST; i++) {
    (void)zcmem_mem_alloc(hal, 0, 2 * QUANTUM, 1, &cached[i]);
  }
  for (unsigned i = 0; i < MOST; i++) {
    (void)zcmem_mem_free(hal, cached[i]);
  }
  (void)pthread_barrier_wait(&step);
  (void)pthread_barrier_wait(&step);
  return NULL;
}

/* What another thread keeps is there for a batch that needs it, and is live for nobody. */
static void test_magazines_give_way_to_a_batch(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = REGIONS, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_batch_item items[] = {
      {QUANTA * QUANTUM / 4, 1}, {QUANTA * QUANTUM / 2, 1}, {QUANTA * QUANTUM / 4, 1}};
  hal_addr_t addrs[3];
  pthread_t thread;
  uint32_t freed = 0;
  (void)teardown(state);
  open_hal(&config);
  assert_int_equal(pthread_barrier_init(&step, NULL, 2), 0);
  assert_int_equal(pthread_create(&thread, NULL, keep_blocks, NULL), 0);
  (void)pthread_barrier_wait(&step);
  struct zcmem_heap_info info;
  assert_ok(zcmem_heap_get_info(hal->regions[0].heap, &info));
  print_message("%u blocks are kept\n", (unsigned)info.live);
  assert_status(zcmem_mem_free_batch(hal, cached, MOST, &freed), ZCMEM_ENOENT);
  assert_int_equal(freed, 0);
  assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 3, addrs)); /* all that there is */
  assert_theirs(items, addrs, 3);
  assert_ok(zcmem_mem_free_batch(hal, addrs, 3, &freed));
  assert_int_equal(freed, 3);
  const struct zcmem_batch_item beyond[] = {items[0], items[1], {QUANTA * QUANTUM / 4 + 1, 1}};
  assert_status(zcmem_mem_alloc_batch(hal, 0, beyond, 3, addrs), ZCMEM_ENOSPC);
  assert_all_null(addrs, 3);
  (void)pthread_barrier_wait(&step);
  assert_int_equal(pthread_join(thread, NULL), 0);
  (void)pthread_barrier_destroy(&step);
  assert_int_equal(stats_of(0).live, 0);
  assert_int_equal(stats_of(0).frees, stats_of(0).allocations);
}
#endif

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_each_item_gets_its_block_largest_first),
      TEST(test_small_items_do_not_take_the_room_of_large_ones),
      TEST(test_random_batches_are_all_or_nothing),
      TEST(test_what_is_refused_at_once_leaves_the_addresses),
      TEST(test_a_size_that_wraps_is_refused),
      TEST(test_each_address_is_judged_alone),
      TEST(test_a_lock_that_fails),
#ifndef ZCMEM_NO_PTHREAD
      TEST(test_magazines_give_way_to_a_batch),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
