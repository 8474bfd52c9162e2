/* SPDX-License-Identifier: MIT */
/*
 * All features at once, for ZCMEM_SOAK_SECONDS: threads that come and go allocate, resize, pin, transfer, map, make
 * buffers and views, use handles, tags and contexts, and hand blocks to each other, in a region with magazines, in one
 * that is mapped on demand, in one without magazines, in one for contexts and in a hardened one, while the process
 * forks, is recorded now and then, dumped and looked at. Each block is filled with one byte that only its owner knows,
 * so two owners of one place are found.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "child.h"
#include "soak.h"

#ifndef ZCMEM_NO_PTHREAD
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { SECONDS = 3, WORKERS = 4, BLOCKS = 600, TURNS = 16 };

static _Alignas(4096) unsigned char memory[SOAK_REGIONS][SOAK_BYTES];
static _Alignas(8) unsigned char tag_memory[SOAK_TAGS * ZCMEM_TAG_BYTES];
static hal_size_t largest[SOAK_REGIONS]; /* with nothing in use */
static atomic_ullong threads, forks, events;

struct zcmem_hal *soak_hal;
struct zcmem_buffers *soak_buffers;
hal_size_t soak_bytes[SOAK_REGIONS];
struct soak_block soak_common[SOAK_COMMON];
atomic_ullong soak_calls, soak_views;
atomic_uint soak_wrong;
_Atomic(const char *) soak_what;

void soak_expect_at(bool good, const char *text) {
  if (!good) {
    atomic_fetch_add(&soak_wrong, 1);
    atomic_store(&soak_what, text);
  }
}

static int map_window(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)size;
  (void)flags;
  *host = memory[SOAK_WINDOWS] + (addr - (hal_addr_t)SOAK_BASE * (SOAK_WINDOWS + 1));
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

/* ------------------------------------------------------------------------------------------------- threads, forks --
 */

static void start(struct soak_worker *worker) {
  atomic_store(&worker->leave, false);
  assert_int_equal(pthread_create(&worker->thread, NULL, soak_work, worker), 0);
  atomic_fetch_add(&threads, 1);
}

static void end(struct soak_worker *worker) {
  atomic_store(&worker->leave, true);
  assert_int_equal(pthread_join(worker->thread, NULL), 0);
}

/* In a child all is in order, but what the lost threads had in hand; their buffers are not looked at. */
static void fork_once(void) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    (void)alarm(60);
    for (uint32_t region = 0; region < SOAK_REGIONS; region++) {
      hal_addr_t addr = 0;
      for (int i = 0; i < 100; i++) {
        enum zcmem_status got = zcmem_mem_alloc(soak_hal, region, 100, 1, &addr);
        if (got == ZCMEM_OK ? zcmem_mem_free(soak_hal, addr) != ZCMEM_OK : !soak_no_room(got)) {
          _exit(2);
        }
      }
    }
    child_exit(zcmem_hal_check(soak_hal) == ZCMEM_OK ? 0 : 3);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  atomic_fetch_add(&forks, 1);
}

/* ---------------------------------------------------------------------------------------- seen from outside -- */

/* Each event is written as bytes and read again. */
static void note_event(void *ctx, const struct zcmem_event *event) {
  uint8_t bytes[ZCMEM_EVENT_BYTES];
  struct zcmem_event again;
  size_t used = 0, size = zcmem_event_encode(event, bytes);
  (void)ctx;
  EXPECT(zcmem_event_decode(bytes, size, &again, &used) == ZCMEM_OK && used == size && again.kind == event->kind &&
         again.addr == event->addr && again.sequence == event->sequence);
  atomic_fetch_add(&events, 1);
}

/* For one turn of sixteen the HAL is recorded; for another one no tags are counted. */
static void look_on(unsigned turn) {
  static const struct zcmem_recorder recorder = {.event = note_event};
  if (turn % TURNS == 4 || turn % TURNS == 5) {
    EXPECT(zcmem_hal_set_recorder(soak_hal, turn % TURNS == 4 ? &recorder : NULL) == ZCMEM_OK);
  }
  if (turn % TURNS == 10 || turn % TURNS == 11) {
    EXPECT(zcmem_hal_count_tags(soak_hal, SOAK_PLAIN, turn % TURNS == 10 ? NULL : tag_memory,
                                turn % TURNS == 10 ? 0 : sizeof tag_memory) == ZCMEM_OK);
  }
}

/* ------------------------------------------------------------------------------------------------------- the world --
 */

static void open_world(void) {
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = SOAK_REGIONS, .max_mappings = 16, .flags = ZCMEM_HAL_MAGAZINES};
  struct zcmem_region_config regions[SOAK_REGIONS];
  const char *const names[SOAK_REGIONS] = {"magazines", "windows", "plain", "contexts", "hardened"};
  for (unsigned i = 0; i < SOAK_REGIONS; i++) {
    regions[i] = (struct zcmem_region_config){.name = names[i],
                                              .kind = ZCMEM_KIND_DRAM,
                                              .flags = ZCMEM_REGION_COHERENT,
                                              .base = (hal_addr_t)SOAK_BASE * (i + 1),
                                              .size = SOAK_BYTES,
                                              .max_blocks = BLOCKS,
                                              .magazine_share = i == SOAK_PLAIN ? ZCMEM_MAGAZINE_NONE : 128,
                                              .host = i == SOAK_WINDOWS ? NULL : memory[i],
                                              .ops = i == SOAK_WINDOWS ? &window_ops : NULL};
  }
  regions[SOAK_CONTEXTS].flags |= ZCMEM_REGION_CONTEXTS;
  regions[SOAK_HARDENED].flags |= ZCMEM_REGION_HANDLES | ZCMEM_REGION_POISON;
  regions[SOAK_HARDENED].red_zone = 64;
  regions[SOAK_HARDENED].quarantine = SOAK_BYTES / 64;
  assert_ok(zcmem_hal_create(&config, regions, SOAK_REGIONS, &soak_hal));
  const struct zcmem_buffers_config table = {.hal = soak_hal, .max_buffers = 16, .max_views = 8};
  size_t bytes = zcmem_buffers_bytes(&table);
  void *place = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(place);
  assert_ok(zcmem_buffers_init(place, bytes, &table, &soak_buffers));
  for (uint32_t region = 0; region < SOAK_REGIONS; region++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    assert_ok(zcmem_hal_region_stats(soak_hal, region, &stats));
    largest[region] = stats.largest;
    soak_bytes[region] = stats.available;
  }
  assert_ok(zcmem_hal_count_tags(soak_hal, SOAK_PLAIN, tag_memory, sizeof tag_memory));
}

static void close_world(void) {
  for (size_t i = 0; i < SOAK_COMMON; i++) {
    if (soak_common[i].addr != 0) {
      soak_check(&soak_common[i]);
      assert_ok(zcmem_mem_free(soak_hal, soak_common[i].addr));
    }
  }
  assert_ok(zcmem_hal_check(soak_hal));
  assert_int_equal(zcmem_buffers_destroy(soak_buffers), 0);
  free(soak_buffers);
  for (uint32_t region = 0; region < SOAK_REGIONS; region++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    assert_ok(zcmem_hal_region_stats(soak_hal, region, &stats));
    assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
    assert_true(region == SOAK_HARDENED || stats.largest == largest[region]); /* there a quarantine keeps blocks, ... */
    assert_int_equal(stats.allocations, stats.frees);
    hal_addr_t all = 0;
    assert_ok(zcmem_mem_alloc(soak_hal, region, largest[region], 1, &all)); /* ... until they are needed */
    assert_ok(zcmem_mem_free(soak_hal, all));
  }
  assert_int_equal(zcmem_hal_destroy(soak_hal), 0);
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
  static struct soak_worker workers[WORKERS];
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
  for (unsigned turn = 0; now() < until && atomic_load(&soak_wrong) == 0; turn++) {
    struct soak_worker *worker = &workers[turn % WORKERS];
    (void)nanosleep(&pause, NULL);
    if (turn % TURNS == 0) {
      fork_once();
    }
    look_on(turn);
    end(worker);
    start(worker);
  }
  for (unsigned i = 0; i < WORKERS; i++) {
    end(&workers[i]);
    if (workers[i].context != NULL) {
      assert_ok(zcmem_context_destroy(workers[i].context));
    }
  }
  assert_ok(zcmem_hal_set_recorder(soak_hal, NULL));
  if (atomic_load(&soak_wrong) != 0) {
    fail_msg("%u times wrong, last: %s", atomic_load(&soak_wrong), atomic_load(&soak_what));
  }
  close_world();
  print_message("%llu calls or groups of calls, %llu threads, %llu forks, %llu views, %llu events\n",
                (unsigned long long)atomic_load(&soak_calls), (unsigned long long)atomic_load(&threads),
                (unsigned long long)atomic_load(&forks), (unsigned long long)atomic_load(&soak_views),
                (unsigned long long)atomic_load(&events));
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
