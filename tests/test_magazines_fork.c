/* SPDX-License-Identifier: MIT */
/*
 * A process that forks while its other threads are in their magazines, drain them or add regions: in parent and child
 * the HAL is in order, and the child gets all that the lost threads kept.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "child.h"
#include "magazines_check.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 40, WORKERS = 2, BLOCKS = 32, SIZE = 1 << 20, REGIONS = 40 };

struct worker {
  pthread_t thread;
  struct zcmem_hal *hal;
  uint64_t seed;
  atomic_bool *stop;
  unsigned wrong;
};

/* Allocates and frees; now and then so much that it drains all magazines, or asks for figures. */
static void *work(void *arg) {
  struct worker *worker = arg;
  hal_addr_t blocks[BLOCKS] = {0};
  while (!atomic_load(worker->stop)) {
    size_t at = (size_t)random_below(&worker->seed, BLOCKS);
    if (blocks[at] != 0) {
      worker->wrong += zcmem_mem_free(worker->hal, blocks[at]) != ZCMEM_OK;
      blocks[at] = 0;
    } else if (zcmem_mem_alloc(worker->hal, 0, random_below(&worker->seed, 1500), 1, &blocks[at]) != ZCMEM_OK) {
      worker->wrong++;
      blocks[at] = 0;
    }
    if (random_below(&worker->seed, 64) == 0) {
      hal_addr_t all = 0;
      struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
      worker->wrong += zcmem_mem_alloc(worker->hal, 0, SIZE + 1, 1, &all) != ZCMEM_ENOSPC;
      worker->wrong += zcmem_hal_region_stats(worker->hal, 0, &stats) != ZCMEM_OK;
    }
  }
  for (size_t i = 0; i < BLOCKS; i++) {
    worker->wrong += zcmem_mem_free(worker->hal, blocks[i]) != ZCMEM_OK;
  }
  return NULL;
}

/* What the child does; 0: all is well, else which step is not. Nothing that belongs to CMocka. */
static int be_the_child(struct zcmem_hal *hal, hal_addr_t mine) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  struct magazines_sum sum;
  struct zcmem__region *region = zcmem__hal_region(hal, 0);
  hal_addr_t addr = 0;
  for (int i = 0; i < 200; i++) {
    if (zcmem_mem_alloc(hal, 0, 100, 1, &addr) != ZCMEM_OK || zcmem_mem_free(hal, addr) != ZCMEM_OK ||
        zcmem_mem_free(hal, addr) != ZCMEM_ENOENT) {
      return 1;
    }
  }
  if (zcmem__atomic_acquire(&region->revoked) != 0) {
    return 2; /* who had revoked them is not here any more */
  }
  if (magazines_check(hal, 0, &sum) != NULL || sum.owners != 1) {
    return 3;
  }
  if (zcmem_hal_check(hal) != ZCMEM_OK || zcmem_mem_free(hal, mine) != ZCMEM_OK) {
    return 4;
  }
  /* What is live is what the other threads had in hand, so all the rest can be allocated. */
  if (zcmem_hal_region_stats(hal, 0, &stats) != ZCMEM_OK || stats.live > WORKERS * BLOCKS || stats.largest == 0) {
    return 5;
  }
  if (zcmem_mem_alloc(hal, 0, stats.largest, 1, &addr) != ZCMEM_OK || zcmem_mem_free(hal, addr) != ZCMEM_OK) {
    return 6;
  }
  return zcmem_hal_destroy(hal) == stats.live ? 0 : 7;
}

static void fork_once(struct zcmem_hal *hal) {
  int status = -1;
  hal_addr_t mine = magazines_alloc(hal, 300);
  pid_t child = fork();
  if (child == 0) {
    (void)alarm(20); /* a lock that is never let go would be waited for */
    child_exit(be_the_child(hal, mine));
  }
  assert_true(child > 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
  assert_ok(zcmem_mem_free(hal, mine));
}

static void test_fork_with_one_thread(void **state) {
  struct zcmem_hal *hal = magazines_hal(SIZE, 1024, 256);
  (void)state;
  for (int i = 0; i < 5; i++) {
    fork_once(hal);
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_fork_beside_busy_threads(void **state) {
  struct zcmem_hal *hal = magazines_hal(SIZE, 1024, 256);
  struct worker workers[WORKERS];
  atomic_bool stop = false;
  (void)state;
  for (unsigned i = 0; i < WORKERS; i++) {
    workers[i] = (struct worker){.hal = hal, .seed = i, .stop = &stop};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < FORKS; i++) {
    fork_once(hal);
    assert_ok(zcmem_hal_check(hal));
  }
  atomic_store(&stop, true);
  for (unsigned i = 0; i < WORKERS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    assert_int_equal(workers[i].wrong, 0);
  }
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live + stats.in_use, 0);
  assert_int_equal(stats.largest, SIZE);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Its lock is taken most of the time. */
static void *work_without_magazines(void *arg) {
  struct worker *worker = arg;
  while (!atomic_load(worker->stop)) {
    hal_addr_t addr = 0;
    worker->wrong += zcmem_mem_alloc(worker->hal, 1, 100, 1, &addr) != ZCMEM_OK;
    worker->wrong += zcmem_mem_free(worker->hal, addr) != ZCMEM_OK;
  }
  return NULL;
}

/* Found by test_soak: fork took no lock of a region without magazines, and the child waited for it for ever. */
static void test_fork_beside_a_region_without_magazines(void **state) {
  struct zcmem_hal *hal = magazines_hal(SIZE, 1024, 256);
  const struct zcmem_region_config plain = {.name = "plain",
                                            .kind = ZCMEM_KIND_DRAM,
                                            .base = 2 * SIZE,
                                            .size = SIZE,
                                            .max_blocks = 16,
                                            .magazine_share = ZCMEM_MAGAZINE_NONE};
  atomic_bool stop = false;
  struct worker worker = {.hal = hal, .stop = &stop};
  (void)state;
  assert_ok(zcmem_hal_add_region(hal, &plain, NULL));
  assert_int_equal(pthread_create(&worker.thread, NULL, work_without_magazines, &worker), 0);
  for (int i = 0; i < FORKS; i++) {
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
      hal_addr_t addr = 0;
      (void)alarm(20);
      child_exit(zcmem_mem_alloc(hal, 1, 100, 1, &addr) == ZCMEM_OK && zcmem_hal_check(hal) == ZCMEM_OK ? 0 : 1);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
  }
  atomic_store(&stop, true);
  assert_int_equal(pthread_join(worker.thread, NULL), 0);
  assert_int_equal(worker.wrong, 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/*
 * Regions are added to one HAL after the other, until the other thread has forked often enough. Fork takes the locks of
 * all of them; ThreadSanitizer knows of no more than 64 at once.
 */
static void *add_regions(void *arg) {
  struct worker *worker = arg;
  while (!atomic_load(worker->stop)) {
    const struct zcmem_hal_config config = {.name = "more", .max_regions = REGIONS, .flags = ZCMEM_HAL_MAGAZINES};
    struct zcmem_hal *hal = NULL;
    worker->wrong += zcmem_hal_create(&config, NULL, 0, &hal) != ZCMEM_OK;
    for (unsigned i = 0; i < REGIONS && hal != NULL; i++) {
      char name[ZCMEM_NAME_MAX + 1];
      (void)snprintf(name, sizeof name, "%u", i);
      const struct zcmem_region_config region = {
          .name = name, .kind = ZCMEM_KIND_DRAM, .base = (hal_addr_t)(i + 1) << 20, .size = 4096, .max_blocks = 8};
      worker->wrong += zcmem_hal_add_region(hal, &region, NULL) != ZCMEM_OK;
    }
    worker->wrong += zcmem_hal_destroy(hal) != 0;
  }
  return NULL;
}

static void test_fork_while_regions_are_added(void **state) {
  struct zcmem_hal *hal = magazines_hal(SIZE, 1024, 0);
  atomic_bool stop = false;
  struct worker worker = {.stop = &stop};
  (void)state;
  assert_int_equal(pthread_create(&worker.thread, NULL, add_regions, &worker), 0);
  for (int i = 0; i < FORKS; i++) {
    fork_once(hal);
  }
  atomic_store(&stop, true);
  assert_int_equal(pthread_join(worker.thread, NULL), 0);
  assert_int_equal(worker.wrong, 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fork_with_one_thread),
      cmocka_unit_test(test_fork_beside_busy_threads),
      cmocka_unit_test(test_fork_beside_a_region_without_magazines),
      cmocka_unit_test(test_fork_while_regions_are_added),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without magazines");
  return 77; /* Meson: skipped */
}
#endif
