/* SPDX-License-Identifier: MIT */
/*
 * All features at once, for ZCMEM_SOAK_SECONDS: threads that come and go allocate, resize, pin, transfer, map, make
 * buffers and views and hand blocks to each other, in a region with magazines, in one that is mapped on demand and in
 * one without magazines, while the process forks and is looked at. Each block is filled with one byte that only its
 * owner knows, so two owners of one place are found.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "child.h"
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  SECONDS = 3,
  WORKERS = 4,
  OWN = 96,
  COMMON = 32,
  REGIONS = 3,
  WINDOWS = 1, /* the region that is mapped on demand */
  BYTES = 1 << 21,
  BASE = 1 << 24,
  BLOCKS = 600,
  PHASES = 3
};

static _Alignas(4096) unsigned char memory[REGIONS][BYTES];
static struct zcmem_hal *hal;
static struct zcmem_buffers *buffers;
static atomic_uint wrong; /* CMocka's assertions are for the main thread */
static _Atomic(const char *) what;
static atomic_ullong calls, threads, forks, views;

struct filled {
  hal_addr_t addr; /* 0: none */
  hal_size_t size;
  unsigned region;
  unsigned char byte;
};

/* Blocks that threads hand to each other. */
static struct filled common[COMMON];
static pthread_mutex_t exchange = PTHREAD_MUTEX_INITIALIZER;

struct worker {
  pthread_t thread;
  uint64_t seed;
  atomic_bool leave; /* its turn is over */
  struct filled own[OWN];
};

static void expect_at(bool good, const char *text) {
  if (!good) {
    atomic_fetch_add(&wrong, 1);
    atomic_store(&what, text);
  }
}
#define TEXT(line) TEXT2(line)
#define TEXT2(line) #line
#define EXPECT(good) expect_at(good, __FILE__ ":" TEXT(__LINE__) ": " #good)

static bool no_room(enum zcmem_status status) {
  return status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM;
}

static int map_window(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)size;
  (void)flags;
  *host = memory[WINDOWS] + (addr - (hal_addr_t)BASE * (WINDOWS + 1));
  return 0;
}

static int unmap_window(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  (void)addr;
  (void)size;
  (void)host;
  return 0;
}

static const struct zcmem_region_ops window_ops = {.map = map_window, .unmap = unmap_window};

/* ------------------------------------------------------------------------------------------------------- blocks -- */

static void fill(struct worker *worker, struct filled *block) {
  block->byte = (unsigned char)random_next(&worker->seed);
  EXPECT(zcmem_mem_fill(hal, block->addr, &block->byte, 1, block->size) == ZCMEM_OK);
}

static void check(const struct filled *block) {
  unsigned char bytes[256];
  struct zcmem_block_info info;
  EXPECT(zcmem_mem_info(hal, block->addr, &info) == ZCMEM_OK && info.addr == block->addr &&
         info.requested == block->size);
  for (hal_size_t done = 0; done < block->size;) {
    size_t step = block->size - done < sizeof bytes ? (size_t)(block->size - done) : sizeof bytes;
    EXPECT(zcmem_mem_read(hal, bytes, block->addr + done, step) == ZCMEM_OK);
    bool mine = true;
    for (size_t i = 0; i < step; i++) {
      mine = mine && bytes[i] == block->byte;
    }
    EXPECT(mine);
    done += step;
  }
}

static void make(struct worker *worker, struct filled *block) {
  unsigned region = (unsigned)random_below(&worker->seed, REGIONS);
  hal_size_t size =
      random_below(&worker->seed, 32) == 0 ? random_below(&worker->seed, BYTES / 8) : random_below(&worker->seed, 1500);
  enum zcmem_status status =
      zcmem_mem_alloc(hal, region, size, random_below(&worker->seed, 16) == 0 ? 4096 : 1, &block->addr);
  EXPECT(status == ZCMEM_OK || no_room(status));
  if (status != ZCMEM_OK) {
    block->addr = 0;
    return;
  }
  block->size = size;
  block->region = region;
  fill(worker, block);
}

static void drop(struct worker *worker, struct filled *block) {
  check(block);
  switch (random_below(&worker->seed, 6)) {
  case 0:
    EXPECT(zcmem_mem_pin(hal, block->addr) == ZCMEM_OK);
    EXPECT(zcmem_mem_free(hal, block->addr) == ZCMEM_EBUSY);
    EXPECT(zcmem_mem_free_deferred(hal, block->addr) == ZCMEM_OK);
    EXPECT(zcmem_mem_unpin(hal, block->addr) == ZCMEM_OK);
    break;
  case 1:
    EXPECT(zcmem_mem_free_deferred(hal, block->addr) == ZCMEM_OK);
    break;
  case 2: {
    uint32_t freed = 0;
    EXPECT(zcmem_mem_free_batch(hal, &block->addr, 1, &freed) == ZCMEM_OK && freed == 1);
    break;
  }
  default:
    EXPECT(zcmem_mem_free(hal, block->addr) == ZCMEM_OK);
  }
  block->addr = 0;
}

static void resize(struct worker *worker, struct filled *block) {
  hal_size_t size = random_below(&worker->seed, 2 * block->size + 2);
  enum zcmem_status status = zcmem_mem_resize(hal, block->addr, size);
  EXPECT(status == ZCMEM_OK || no_room(status));
  if (status == ZCMEM_OK) {
    block->size = size;
    fill(worker, block);
  }
}

/* ------------------------------------------------------------------------------------------ mapped, and buffers -- */

static void map_block(struct worker *worker, struct filled *block) {
  void *host = NULL;
  struct zcmem_place place;
  if (block->size == 0) { /* there is nothing to map */
    return;
  }
  enum zcmem_status status = zcmem_mem_map(hal, block->addr, block->size, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE, &host);
  EXPECT(status == ZCMEM_OK || status == ZCMEM_ENOMEM); /* the table of mappings is small */
  if (status != ZCMEM_OK) {
    return;
  }
  unsigned char *bytes = host;
  EXPECT(bytes[0] == block->byte && bytes[block->size - 1] == block->byte);
  EXPECT(zcmem_mem_locate(hal, host, &place) == ZCMEM_OK && place.addr == block->addr && place.block == block->addr);
  block->byte = (unsigned char)random_next(&worker->seed);
  memset(bytes, block->byte, (size_t)block->size);
  EXPECT(zcmem_mem_free(hal, block->addr) == ZCMEM_EBUSY);
  EXPECT(zcmem_mem_unmap(hal, host) == ZCMEM_OK);
}

/* A buffer over fresh memory, or over host memory that no region has; a part of it; and views of both. */
static void use_buffer(struct worker *worker) {
  unsigned char bytes[512];
  bool shadow = random_below(&worker->seed, 2) == 0;
  unsigned char byte = (unsigned char)random_next(&worker->seed);
  const struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE |
                                                      (shadow ? ZCMEM_BUFFER_USE_HOST : ZCMEM_BUFFER_COPY_HOST),
                                             .host = bytes,
                                             .size = sizeof bytes};
  zcmem_buffer_t buffer = 0, part = 0;
  struct zcmem_view view;
  memset(bytes, byte, sizeof bytes);
  enum zcmem_status status = zcmem_buffer_create(buffers, &config, &buffer);
  EXPECT(status == ZCMEM_OK || no_room(status));
  if (status != ZCMEM_OK) {
    return;
  }
  status = zcmem_buffer_create_sub(buffers, buffer, 0, 128, 256, &part);
  EXPECT(status == ZCMEM_OK || status == ZCMEM_ENOMEM);
  zcmem_buffer_t seen = status == ZCMEM_OK ? part : buffer;
  status = zcmem_buffer_begin(buffers, seen, 0, 256, ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, NULL, &view);
  EXPECT(status == ZCMEM_OK || status == ZCMEM_ENOMEM);
  if (status == ZCMEM_OK) {
    unsigned char there[256];
    EXPECT(zcmem_mem_read(hal, there, view.addr, sizeof there) == ZCMEM_OK);
    EXPECT(there[0] == byte && there[255] == byte);
    byte ^= 0x55;
    EXPECT(zcmem_mem_fill(hal, view.addr, &byte, 1, sizeof there) == ZCMEM_OK);
    EXPECT(zcmem_buffer_end(buffers, view.id) == ZCMEM_OK);
    EXPECT(!shadow || bytes[seen == part ? 128 : 0] == byte);
    atomic_fetch_add(&views, 1);
  }
  EXPECT(part == 0 || zcmem_buffer_release(buffers, part) == ZCMEM_OK);
  EXPECT(zcmem_buffer_release(buffers, buffer) == ZCMEM_OK);
}

/* ------------------------------------------------------------------------------------------------------ threads -- */

static void hand_over(struct worker *worker, struct filled *block) {
  size_t at = (size_t)random_below(&worker->seed, COMMON);
  (void)pthread_mutex_lock(&exchange);
  struct filled other = common[at];
  common[at] = *block;
  *block = other;
  (void)pthread_mutex_unlock(&exchange);
}

static void look(struct worker *worker) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  unsigned region = (unsigned)random_below(&worker->seed, REGIONS);
  EXPECT(zcmem_hal_region_stats(hal, region, &stats) == ZCMEM_OK);
  EXPECT(stats.in_use + stats.available == BYTES && stats.requested <= stats.in_use);
  EXPECT(stats.allocations == stats.frees + stats.live);
  EXPECT(random_below(&worker->seed, 4) != 0 || zcmem_hal_check(hal) == ZCMEM_OK);
}

static void copy(struct worker *worker, const struct filled *from, struct filled *to) {
  (void)worker;
  if (from->addr != 0 && from != to && from->size >= to->size) {
    EXPECT(zcmem_mem_copy(hal, to->addr, from->addr, to->size) == ZCMEM_OK);
    to->byte = from->byte;
  }
}

static void act(struct worker *worker, struct filled *block) {
  uint64_t which = random_below(&worker->seed, 64);
  if (which == 0) {
    look(worker);
  } else if (which < 4) {
    hand_over(worker, block);
  } else if (which < 6) {
    use_buffer(worker);
  } else if (block->addr == 0) {
    make(worker, block);
  } else if (which < 12) {
    resize(worker, block);
  } else if (which < 16) {
    map_block(worker, block);
  } else if (which < 20) {
    copy(worker, &worker->own[random_below(&worker->seed, OWN)], block);
  } else {
    drop(worker, block);
    if (which < 50) {
      make(worker, block);
    }
  }
}

static void *work(void *arg) {
  struct worker *worker = arg;
  for (uint64_t i = 0; !atomic_load(&worker->leave); i++) {
    size_t most = i / 2048 % PHASES == 0 ? 4 : OWN; /* magazines that are of use, that rest, that run over */
    act(worker, &worker->own[random_below(&worker->seed, most)]);
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
  }
  for (size_t i = 0; i < OWN; i++) {
    if (worker->own[i].addr != 0) {
      drop(worker, &worker->own[i]);
    }
  }
  return NULL;
}

static void start(struct worker *worker) {
  atomic_store(&worker->leave, false);
  assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
  atomic_fetch_add(&threads, 1);
}

static void end(struct worker *worker) {
  atomic_store(&worker->leave, true);
  assert_int_equal(pthread_join(worker->thread, NULL), 0);
}

/* In a child all is in order, but what the lost threads had in hand; their buffers are not looked at. */
static void fork_once(void) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    (void)alarm(60);
    for (uint32_t region = 0; region < REGIONS; region++) {
      hal_addr_t addr = 0;
      for (int i = 0; i < 100; i++) {
        enum zcmem_status got = zcmem_mem_alloc(hal, region, 100, 1, &addr);
        if (got == ZCMEM_OK ? zcmem_mem_free(hal, addr) != ZCMEM_OK : !no_room(got)) {
          _exit(2);
        }
      }
    }
    child_exit(zcmem_hal_check(hal) == ZCMEM_OK ? 0 : 3);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  atomic_fetch_add(&forks, 1);
}

static void open_world(void) {
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = REGIONS, .max_mappings = 16, .flags = ZCMEM_HAL_MAGAZINES};
  struct zcmem_region_config regions[REGIONS];
  const char *const names[REGIONS] = {"magazines", "windows", "plain"};
  for (unsigned i = 0; i < REGIONS; i++) {
    regions[i] = (struct zcmem_region_config){.name = names[i],
                                              .kind = ZCMEM_KIND_DRAM,
                                              .flags = ZCMEM_REGION_COHERENT,
                                              .base = (hal_addr_t)BASE * (i + 1),
                                              .size = BYTES,
                                              .max_blocks = BLOCKS,
                                              .magazine_share = i == 2 ? ZCMEM_MAGAZINE_NONE : 128,
                                              .host = i == WINDOWS ? NULL : memory[i],
                                              .ops = i == WINDOWS ? &window_ops : NULL};
  }
  assert_ok(zcmem_hal_create(&config, regions, REGIONS, &hal));
  const struct zcmem_buffers_config table = {.hal = hal, .max_buffers = 16, .max_views = 8};
  size_t bytes = zcmem_buffers_bytes(&table);
  void *place = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(place);
  assert_ok(zcmem_buffers_init(place, bytes, &table, &buffers));
}

static void close_world(void) {
  for (size_t i = 0; i < COMMON; i++) {
    if (common[i].addr != 0) {
      check(&common[i]);
      assert_ok(zcmem_mem_free(hal, common[i].addr));
    }
  }
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  free(buffers);
  for (uint32_t region = 0; region < REGIONS; region++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    assert_ok(zcmem_hal_region_stats(hal, region, &stats));
    assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
    assert_int_equal(stats.largest, BYTES);
    assert_int_equal(stats.allocations, stats.frees);
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static double now(void) {
  struct timespec time;
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* CMocka's handlers jump into the main thread's test, from whatever thread; a crash is to be seen where it happens. */
static void let_crash(void) {
  const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGSYS};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    (void)signal(fatal[i], SIG_DFL);
  }
}

static void test_soak(void **state) {
  static struct worker workers[WORKERS];
  double until = now() + (double)env_number("ZCMEM_SOAK_SECONDS", SECONDS);
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};
  (void)state;
  let_crash();
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  open_world();
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i].seed = seed * 64 + i;
    start(&workers[i]);
  }
  /* One thread after the other ends, and another one comes. */
  for (unsigned turn = 0; now() < until && atomic_load(&wrong) == 0; turn++) {
    struct worker *worker = &workers[turn % WORKERS];
    (void)nanosleep(&pause, NULL);
    if (turn % 16 == 0) {
      fork_once();
    }
    end(worker);
    start(worker);
  }
  for (unsigned i = 0; i < WORKERS; i++) {
    end(&workers[i]);
  }
  if (atomic_load(&wrong) != 0) {
    fail_msg("%u times wrong, last: %s", atomic_load(&wrong), atomic_load(&what));
  }
  close_world();
  print_message("%llu calls or groups of calls, %llu threads, %llu forks, %llu views\n",
                (unsigned long long)atomic_load(&calls), (unsigned long long)atomic_load(&threads),
                (unsigned long long)atomic_load(&forks), (unsigned long long)atomic_load(&views));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_soak)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("there are no threads in this build");
  return 77; /* Meson: skipped */
}
#endif
