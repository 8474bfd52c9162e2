/* SPDX-License-Identifier: MIT */
/*
 * Look-ups without a lock beside threads that allocate, resize and free in the same region, and beside regions and
 * mappings that come and go: a block that is live throughout is found at every moment, with its own bounds.
 */
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum { STABLE = 64, CHURNING = 256, READERS = 2, WRITERS = 2, ROUNDS = 20000, REGION = 1 << 20 };

struct world {
  struct zcmem_hal *hal;
  hal_addr_t stable[STABLE];
  hal_size_t size[STABLE];
  void *host[STABLE];
  atomic_bool stop;
};

struct worker {
  pthread_t thread;
  struct world *world;
  uint64_t seed;
  unsigned wrong;
  atomic_ulong done;
};

static void expect(struct worker *worker, bool good) {
  worker->wrong += good ? 0 : 1;
}

static void *look_up(void *arg) {
  struct worker *worker = arg;
  struct world *world = worker->world;
  while (!atomic_load(&world->stop)) {
    size_t i = (size_t)random_below(&worker->seed, STABLE);
    hal_size_t at = random_below(&worker->seed, world->size[i]), rest = 0;
    hal_addr_t addr = 0;
    struct zcmem_block_info info;
    struct zcmem_place place;
    void *host = NULL;
    expect(worker, zcmem_mem_host(world->hal, world->stable[i] + at, world->size[i] - at, &host) == ZCMEM_OK);
    expect(worker, host == (char *)world->host[i] + at);
    expect(worker, zcmem_mem_host(world->hal, world->stable[i] + at, world->size[i] - at + 1, &host) == ZCMEM_EBOUNDS);
    expect(worker, zcmem_mem_device(world->hal, host, &addr, &rest) == ZCMEM_OK);
    expect(worker, addr == world->stable[i] + at && rest == world->size[i] - at);
    expect(worker, zcmem_mem_info(world->hal, addr, &info) == ZCMEM_OK);
    expect(worker, info.addr == world->stable[i] && info.requested == world->size[i]);
    expect(worker, zcmem_mem_locate(world->hal, host, &place) == ZCMEM_OK);
    expect(worker, place.block == world->stable[i] && place.requested == world->size[i]);
    atomic_fetch_add(&worker->done, 1);
  }
  return NULL;
}

/* Fills the holes between the stable blocks in all ways: small and large blocks, resized, freed in any order. */
static void *churn(void *arg) {
  struct worker *worker = arg;
  struct zcmem_hal *hal = worker->world->hal;
  hal_addr_t mine[CHURNING] = {0};
  for (int round = 0; round < ROUNDS; round++) {
    hal_addr_t *slot = &mine[random_below(&worker->seed, CHURNING)];
    if (*slot == 0) {
      hal_size_t size = random_below(&worker->seed, round % 4 == 0 ? 60000 : 600);
      (void)zcmem_mem_alloc(hal, 0, size, (hal_size_t)1 << random_below(&worker->seed, 10), slot);
    } else if (random_below(&worker->seed, 3) == 0) {
      (void)zcmem_mem_resize(hal, *slot, random_below(&worker->seed, 2000));
    } else {
      expect(worker, zcmem_mem_free(hal, *slot) == ZCMEM_OK);
      *slot = 0;
    }
  }
  for (size_t i = 0; i < CHURNING; i++) {
    expect(worker, zcmem_mem_free(hal, mine[i]) == ZCMEM_OK);
  }
  return NULL;
}

/* Maps and unmaps on demand, and adds a region, all in address ranges of their own. */
static void *come_and_go(void *arg) {
  struct worker *worker = arg;
  struct zcmem_hal *hal = worker->world->hal;
  static unsigned char alias[4096];
  hal_addr_t addr = 0;
  expect(worker, zcmem_mem_alloc(hal, 1, 4096, 1, &addr) == ZCMEM_OK);
  for (int round = 0; round < ROUNDS / 4; round++) {
    void *host = NULL;
    hal_addr_t found = 0;
    expect(worker, zcmem_mem_map(hal, addr + 64, 64, ZCMEM_MAP_READ, &host) == ZCMEM_OK);
    expect(worker, zcmem_mem_device(hal, host, &found, NULL) == ZCMEM_OK && found == addr + 64);
    expect(worker, zcmem_mem_unmap(hal, host) == ZCMEM_OK);
    expect(worker, zcmem_mem_device(hal, host, &found, NULL) == ZCMEM_ENOTMAPPED);
    if (round == ROUNDS / 8) {
      const struct zcmem_region_config late = {.name = "late",
                                               .kind = ZCMEM_KIND_USER,
                                               .base = 0x1000000,
                                               .size = sizeof alias,
                                               .max_blocks = 4,
                                               .host = alias};
      expect(worker, zcmem_hal_add_region(hal, &late, NULL) == ZCMEM_OK);
    }
  }
  expect(worker, zcmem_mem_free(hal, addr) == ZCMEM_OK);
  return NULL;
}

static unsigned char memory[REGION], unseen[65536];

static int on_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx, (void)size, (void)flags;
  *host = unseen + (size_t)(addr - 0x2000000);
  return 0;
}

static void test_live_blocks_are_found_at_every_moment(void **state) {
  (void)state;
  static const struct zcmem_region_ops ops = {.map = on_map};
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 3, .max_mappings = 4};
  const struct zcmem_region_config regions[] = {{.name = "dram",
                                                 .kind = ZCMEM_KIND_DRAM,
                                                 .flags = ZCMEM_REGION_COHERENT,
                                                 .base = 0x100000,
                                                 .size = REGION,
                                                 .max_blocks = 1024,
                                                 .host = memory},
                                                {.name = "unseen",
                                                 .kind = ZCMEM_KIND_USER,
                                                 .base = 0x2000000,
                                                 .size = sizeof unseen,
                                                 .max_blocks = 4,
                                                 .ops = &ops}};
  struct world world = {.hal = NULL};
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  assert_ok(zcmem_hal_create(&config, regions, 2, &world.hal));
  hal_addr_t gaps[STABLE];
  for (size_t i = 0; i < STABLE; i++) {
    world.size[i] = random_below(&seed, i % 8 == 0 ? 20000 : 700) + 1;
    assert_ok(zcmem_mem_alloc(world.hal, 0, world.size[i], 1, &world.stable[i]));
    assert_ok(zcmem_mem_alloc(world.hal, 0, random_below(&seed, 5000), 1, &gaps[i]));
    assert_ok(zcmem_mem_host(world.hal, world.stable[i], world.size[i], &world.host[i]));
  }
  for (size_t i = 0; i < STABLE; i++) {
    assert_ok(zcmem_mem_free(world.hal, gaps[i]));
  }
  struct worker readers[READERS], writers[WRITERS], mapper;
  mapper.world = &world;
  mapper.seed = seed;
  mapper.wrong = 0;
  for (size_t i = 0; i < READERS; i++) {
    readers[i].world = &world;
    readers[i].seed = seed + 10 + i;
    readers[i].wrong = 0;
    atomic_init(&readers[i].done, 0);
    assert_int_equal(pthread_create(&readers[i].thread, NULL, look_up, &readers[i]), 0);
  }
  for (size_t i = 0; i < WRITERS; i++) {
    writers[i].world = &world;
    writers[i].seed = seed + 20 + i;
    writers[i].wrong = 0;
    assert_int_equal(pthread_create(&writers[i].thread, NULL, churn, &writers[i]), 0);
  }
  assert_int_equal(pthread_create(&mapper.thread, NULL, come_and_go, &mapper), 0);
  for (size_t i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
    assert_int_equal(writers[i].wrong, 0);
  }
  assert_int_equal(pthread_join(mapper.thread, NULL), 0);
  assert_int_equal(mapper.wrong, 0);
  for (size_t i = 0; i < READERS; i++) { /* on a busy machine one may not have run yet */
    while (atomic_load(&readers[i].done) == 0) {
      (void)sched_yield();
    }
  }
  atomic_store(&world.stop, true);
  for (size_t i = 0; i < READERS; i++) {
    assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
    assert_int_equal(readers[i].wrong, 0);
  }
  assert_ok(zcmem_hal_check(world.hal));
  for (size_t i = 0; i < STABLE; i++) {
    assert_ok(zcmem_mem_free(world.hal, world.stable[i]));
  }
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_live_blocks_are_found_at_every_moment)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without pthread: no threads to test");
  return 77;
}
#endif
