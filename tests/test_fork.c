/* SPDX-License-Identifier: MIT */
/*
 * A process that forks while its other threads hold locks of a HAL without magazines, or of a table of buffers: in
 * parent and child all is in order. (Magazines: test_magazines_fork.c.)
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "child.h"
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 40, WORKERS = 3, SIZE = 1 << 20, BASE = 1 << 24 };

static _Alignas(4096) unsigned char memory[SIZE];
static struct zcmem_hal *hal;
static struct zcmem_buffers *buffers;
static atomic_bool stop;
static atomic_uint wrong;

static int map_window(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)size;
  (void)flags;
  *host = memory + (addr - BASE);
  return 0;
}

static int unmap_window(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  (void)addr;
  (void)size;
  (void)host;
  return 0;
}

static const struct zcmem_region_ops ops = {.map = map_window, .unmap = unmap_window};

/* A call or two with each lock: of the region, of the mappings, of the buffers. False: one of them went wrong. */
static bool use_all(void) {
  const struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, .size = 100};
  hal_addr_t addr = 0;
  zcmem_buffer_t buffer = 0;
  void *host = NULL;
  bool good = zcmem_mem_alloc(hal, 0, 100, 1, &addr) == ZCMEM_OK &&
              zcmem_mem_map(hal, addr, 100, ZCMEM_MAP_READ, &host) == ZCMEM_OK &&
              zcmem_mem_unmap(hal, host) == ZCMEM_OK && zcmem_mem_free(hal, addr) == ZCMEM_OK;
  return good && zcmem_buffer_create(buffers, &config, &buffer) == ZCMEM_OK &&
         zcmem_buffer_release(buffers, buffer) == ZCMEM_OK;
}

static void *work(void *arg) {
  (void)arg;
  while (!atomic_load(&stop)) {
    atomic_fetch_add(&wrong, use_all() ? 0u : 1u);
  }
  return NULL;
}

static void fork_once(void) {
  int status = -1;
  pid_t child = fork();
  if (child == 0) {
    (void)alarm(20); /* a lock that is never let go would be waited for */
    bool good = zcmem_hal_check(hal) == ZCMEM_OK;
    for (int i = 0; i < 10; i++) {
      good = good && use_all();
    }
    child_exit(good ? 0 : 1);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_fork_beside_busy_threads(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 2, .max_mappings = 64};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT,
                                             .base = BASE,
                                             .size = SIZE,
                                             .max_blocks = 256,
                                             .ops = &ops};
  pthread_t threads[WORKERS];
  (void)state;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  const struct zcmem_buffers_config table = {.hal = hal, .max_buffers = 64, .max_views = 8};
  size_t bytes = zcmem_buffers_bytes(&table);
  void *place = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(place);
  assert_ok(zcmem_buffers_init(place, bytes, &table, &buffers));
  for (unsigned i = 0; i < WORKERS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
  }
  for (int i = 0; i < FORKS; i++) {
    fork_once();
  }
  atomic_store(&stop, true);
  for (unsigned i = 0; i < WORKERS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
  }
  assert_int_equal(atomic_load(&wrong), 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  free(place);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* One that was not ended is forgotten where another one is made in its memory: fork does not go round in a circle. */
static void test_fork_after_a_hal_that_was_not_ended(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1};
  static _Alignas(64) unsigned char place[16384];
  struct zcmem_hal *made = NULL;
  int status = -1;
  (void)state;
  for (int i = 0; i < 3; i++) {
    assert_ok(zcmem_hal_init(place, sizeof place, &config, &made));
  }
  (void)alarm(20);
  pid_t child = fork();
  if (child == 0) {
    child_exit(zcmem_hal_check(made) == ZCMEM_OK ? 0 : 1);
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  (void)alarm(0);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_int_equal(zcmem_hal_destroy(made), 0);
}

/* Tables of buffers end in any order, and fork holds the locks of those that are there. */
static void test_fork_with_several_tables(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1};
  static _Alignas(64) unsigned char place[16384], places[3][8192];
  struct zcmem_hal *made = NULL;
  struct zcmem_buffers *tables[3];
  (void)state;
  assert_ok(zcmem_hal_init(place, sizeof place, &config, &made));
  const struct zcmem_buffers_config table = {.hal = made, .max_buffers = 2, .max_views = 2};
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(zcmem_buffers_init(places[i], sizeof places[i], &table, &tables[i]));
  }
  const unsigned order[3] = {1, 0, 2}; /* the middle, the first, the last one */
  for (unsigned ended = 0; ended <= 3; ended++) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
      struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
      bool good = true;
      (void)alarm(20);
      for (unsigned i = ended; i < 3; i++) {
        good = good && zcmem_buffers_get_stats(tables[order[i]], &stats) == ZCMEM_OK && stats.buffers == 0;
      }
      child_exit(good ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
    if (ended < 3) {
      assert_int_equal(zcmem_buffers_destroy(tables[order[ended]]), 0);
      memset(places[order[ended]], 0xff, sizeof places[0]); /* nobody looks there any more */
    }
  }
  assert_int_equal(zcmem_hal_destroy(made), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fork_with_several_tables),
      cmocka_unit_test(test_fork_beside_busy_threads),
      cmocka_unit_test(test_fork_after_a_hal_that_was_not_ended),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("there are no threads in this build");
  return 77; /* Meson: skipped */
}
#endif
