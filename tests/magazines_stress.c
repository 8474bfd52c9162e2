/* SPDX-License-Identifier: MIT */
#include "magazines_stress.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { WORKERS = 3, OWN = 200, COMMON = 64, MOST = 1 << 22 };

static _Alignas(128) unsigned char memory[MOST];

/* A block and what it is filled with. Whoever takes it out of the common ones has it for himself. */
struct filled {
  hal_addr_t addr; /* 0: none */
  hal_size_t size;
  unsigned char byte;
};

struct world {
  struct zcmem_hal *hal;
  hal_size_t bytes;
  uint64_t rounds;
  struct filled common[COMMON];
  atomic_flag taken[COMMON];
  atomic_bool stop;
  atomic_uint wrong; /* CMocka's assertions are for the main thread */
  _Atomic(const char *) what;
};

struct worker {
  pthread_t thread;
  struct world *world;
  uint64_t seed;
  unsigned number;
  struct filled own[OWN];
};

static void expect_at(struct world *world, bool good, const char *what) {
  if (!good) {
    atomic_fetch_add(&world->wrong, 1);
    atomic_store(&world->what, what);
  }
}
#define TEXT(line) TEXT2(line)
#define TEXT2(line) #line
#define EXPECT(world, good) expect_at(world, good, __FILE__ ":" TEXT(__LINE__) ": " #good)

/* Fills a block through the host's pointer or by a transfer. */
static void fill_block(struct worker *worker, struct filled *block) {
  struct world *world = worker->world;
  void *host = NULL;
  block->byte = (unsigned char)random_next(&worker->seed);
  if (random_below(&worker->seed, 2) == 0) {
    EXPECT(world, zcmem_mem_fill(world->hal, block->addr, &block->byte, 1, block->size) == ZCMEM_OK);
  } else {
    EXPECT(world, zcmem_mem_host(world->hal, block->addr, block->size, &host) == ZCMEM_OK);
    memset(host, block->byte, (size_t)block->size);
  }
}

/* Nobody else has written there: no two live blocks overlap. */
static void check_block(struct worker *worker, const struct filled *block) {
  struct world *world = worker->world;
  void *host = NULL;
  hal_addr_t back = 0;
  struct zcmem_block_info info;
  EXPECT(world, zcmem_mem_host(world->hal, block->addr, block->size, &host) == ZCMEM_OK);
  const unsigned char *bytes = host;
  for (hal_size_t i = 0; i < block->size; i++) {
    bool unchanged = bytes[i] == block->byte;
    EXPECT(world, unchanged);
    if (!unchanged) {
      break;
    }
  }
  if (block->size > 0) {
    EXPECT(world, zcmem_mem_device(world->hal, host, &back, NULL) == ZCMEM_OK && back == block->addr);
  }
  EXPECT(world, zcmem_mem_info(world->hal, block->addr, &info) == ZCMEM_OK && info.addr == block->addr &&
                    info.requested == block->size);
}

static void make_block(struct worker *worker, struct filled *block) {
  struct world *world = worker->world;
  hal_size_t size = random_below(&worker->seed, 16) == 0  ? random_below(&worker->seed, world->bytes / 8)
                    : random_below(&worker->seed, 4) == 0 ? random_below(&worker->seed, 20000)
                                                          : random_below(&worker->seed, 1000);
  hal_size_t align = random_below(&worker->seed, 16) == 0 ? 1024 : 128;
  enum zcmem_status status = zcmem_mem_alloc(world->hal, 0, size, align, &block->addr);
  if (status == ZCMEM_OK) {
    block->size = size;
    fill_block(worker, block);
  } else {
    EXPECT(world, status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM);
    block->addr = 0;
  }
}

static void free_block(struct worker *worker, struct filled *block) {
  struct world *world = worker->world;
  check_block(worker, block);
  switch (random_below(&worker->seed, 8)) {
  case 0: /* while it is pinned, then for good */
    EXPECT(world, zcmem_mem_pin(world->hal, block->addr) == ZCMEM_OK);
    EXPECT(world, zcmem_mem_free(world->hal, block->addr) == ZCMEM_EBUSY);
    EXPECT(world, zcmem_mem_unpin(world->hal, block->addr) == ZCMEM_OK);
    EXPECT(world, zcmem_mem_free(world->hal, block->addr) == ZCMEM_OK);
    break;
  case 1: /* it goes with the last pin */
    EXPECT(world, zcmem_mem_pin(world->hal, block->addr) == ZCMEM_OK);
    EXPECT(world, zcmem_mem_free_deferred(world->hal, block->addr) == ZCMEM_OK);
    EXPECT(world, zcmem_mem_free(world->hal, block->addr) == ZCMEM_ENOENT);
    EXPECT(world, zcmem_mem_unpin(world->hal, block->addr) == ZCMEM_OK);
    break;
  case 2:
    EXPECT(world, zcmem_mem_free(world->hal, block->addr + 1) == ZCMEM_ENOENT);
    EXPECT(world, zcmem_mem_free_deferred(world->hal, block->addr) == ZCMEM_OK);
    break;
  default:
    EXPECT(world, zcmem_mem_free(world->hal, block->addr) == ZCMEM_OK);
  }
  block->addr = 0;
}

static void resize_block(struct worker *worker, struct filled *block) {
  hal_size_t size = random_below(&worker->seed, 2 * block->size + 300);
  enum zcmem_status status = zcmem_mem_resize(worker->world->hal, block->addr, size);
  if (status == ZCMEM_OK) {
    block->size = size;
    fill_block(worker, block);
  } else {
    EXPECT(worker->world, status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG);
  }
}

/* Copies one block to another of ours. */
static void copy_block(struct worker *worker, const struct filled *from, struct filled *to) {
  if (from->size >= to->size) {
    EXPECT(worker->world, zcmem_mem_copy(worker->world->hal, to->addr, from->addr, to->size) == ZCMEM_OK);
    to->byte = from->byte;
  }
}

/* Swaps a block of one's own with a common one. */
static void hand_over(struct worker *worker, struct filled *block) {
  size_t at = (size_t)random_below(&worker->seed, COMMON);
  if (!atomic_flag_test_and_set_explicit(&worker->world->taken[at], memory_order_acquire)) {
    struct filled other = worker->world->common[at];
    worker->world->common[at] = *block;
    *block = other;
    atomic_flag_clear_explicit(&worker->world->taken[at], memory_order_release);
  }
}

/* Addresses that are nobody's, or that may be anybody's and are only asked about. */
static void try_nonsense(struct worker *worker) {
  struct world *world = worker->world;
  struct zcmem_block_info info;
  hal_addr_t addr = 0x100000 + random_below(&worker->seed, world->bytes), got = 0;
  enum zcmem_status status = zcmem_mem_info(world->hal, addr, &info);
  EXPECT(world, status == ZCMEM_ENOENT || (status == ZCMEM_OK && addr - info.addr < info.size));
  EXPECT(world, zcmem_mem_free(world->hal, addr | 1) == ZCMEM_ENOENT);
  EXPECT(world, zcmem_mem_alloc(world->hal, 0, world->bytes + 1, 1, &got) == ZCMEM_ENOSPC ||
                    zcmem__hal_region(world->hal, 0)->max_blocks < 1000);
}

static void *work(void *arg) {
  struct worker *worker = arg;
  for (uint64_t round = 0; round < worker->world->rounds; round++) {
    /* Phases: many slots or few, so that magazines are of use, rest, run over and run out. */
    size_t most = round / 4096 % 2 == 0 ? OWN : 8;
    struct filled *block = &worker->own[random_below(&worker->seed, most)];
    uint64_t what = random_below(&worker->seed, 64);
    if (what < 4) {
      hand_over(worker, block);
    } else if (block->addr == 0) {
      make_block(worker, block);
    } else if (what < 8) {
      resize_block(worker, block);
    } else if (what < 12) {
      struct filled *other = &worker->own[random_below(&worker->seed, most)];
      if (other != block && other->addr != 0) {
        copy_block(worker, other, block);
      }
    } else if (what == 12) {
      try_nonsense(worker);
    } else {
      free_block(worker, block);
      if (what < 50) {
        make_block(worker, block);
      }
    }
  }
  for (size_t i = 0; i < OWN; i++) {
    if (worker->own[i].addr != 0) {
      free_block(worker, &worker->own[i]);
    }
  }
  return NULL;
}

/* Statistics, the checker and the magazines, now and then. */
static void *watch(void *arg) {
  struct worker *worker = arg;
  struct world *world = worker->world;
  while (!atomic_load(&world->stop)) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    struct magazines_sum sum;
    switch (worker->number++ % 4) {
    case 0:
      EXPECT(world, zcmem_hal_region_stats(world->hal, 0, &stats) == ZCMEM_OK);
      EXPECT(world, stats.in_use + stats.available == world->bytes && stats.requested <= stats.in_use);
      EXPECT(world, stats.allocations == stats.frees + stats.live);
      break;
    case 1:
      EXPECT(world, zcmem_hal_check(world->hal) == ZCMEM_OK);
      break;
    default: {
      const char *wrong = magazines_check(world->hal, 0, &sum);
      expect_at(world, wrong == NULL, wrong);
    }
    }
    for (int i = 0; i < 20; i++) {
      zcmem__barrier_pause();
    }
  }
  return NULL;
}

void magazines_stress(hal_size_t bytes, uint32_t max_blocks, uint64_t rounds) {
  static struct worker workers[WORKERS + 1];
  static struct world world;
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT,
                                             .base = 0x100000,
                                             .size = bytes,
                                             .max_blocks = max_blocks,
                                             .magazine_share = 128,
                                             .host = memory};
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  assert_true(bytes <= MOST);
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  memset(&world, 0, sizeof world);
  world.bytes = bytes;
  world.rounds = rounds;
  for (size_t i = 0; i < COMMON; i++) {
    atomic_flag_clear(&world.taken[i]);
  }
  assert_ok(zcmem_hal_create(&config, &region, 1, &world.hal));
  for (unsigned i = 0; i <= WORKERS; i++) {
    workers[i] = (struct worker){.world = &world, .seed = seed * 8 + i};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, i < WORKERS ? work : watch, &workers[i]), 0);
  }
  for (unsigned i = 0; i < WORKERS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  }
  atomic_store(&world.stop, true);
  assert_int_equal(pthread_join(workers[WORKERS].thread, NULL), 0);
  if (atomic_load(&world.wrong) != 0) {
    fail_msg("%u times wrong, last: %s", atomic_load(&world.wrong), atomic_load(&world.what));
  }
  assert_int_equal(magazines_look(world.hal, 0).in_magazines, 0); /* the threads have ended */
  for (size_t i = 0; i < COMMON; i++) {
    if (world.common[i].addr != 0) {
      assert_ok(zcmem_mem_free(world.hal, world.common[i].addr));
    }
  }
  struct zcmem_region_stats stats = magazines_stats(world.hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.largest, bytes);
  assert_int_equal(stats.allocations, stats.frees);
  assert_ok(zcmem_hal_check(world.hal));
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
}
#else
typedef int magazines_stress_empty; /* ISO C wants something in each file */
#endif
