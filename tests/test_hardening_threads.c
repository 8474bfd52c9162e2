/* SPDX-License-Identifier: MIT */
/*
 * Threads in one region with all of the hardening, beside one that checks it all the time: no damage where nobody does
 * any, and a handle is never taken for another block's. Nothing is asserted in a thread but its master (CMocka's
 * assertions jump): the others count.
 */
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 3, ROUNDS = 20000, MINE = 8, BASE = 1 << 20 };

static unsigned char memory[1 << 18];
static struct zcmem_hal *hal;
static atomic_bool stop;

struct worker {
  pthread_t thread;
  uint64_t seed;
  unsigned wrong;
  struct zcmem_handle mine[MINE];
  hal_size_t size[MINE]; /* 0: none */
};

/* The handle that everybody tries to use though it is another thread's. */
static struct zcmem_handle shown;
static pthread_mutex_t showing = PTHREAD_MUTEX_INITIALIZER;

static struct zcmem_handle show(struct zcmem_handle handle) {
  (void)pthread_mutex_lock(&showing);
  struct zcmem_handle was = shown;
  shown = handle;
  (void)pthread_mutex_unlock(&showing);
  return was;
}

static bool one_of(enum zcmem_status status, enum zcmem_status a, enum zcmem_status b, enum zcmem_status c) {
  return status == a || status == b || status == c;
}

static void make(struct worker *worker, unsigned slot) {
  unsigned char bytes[600];
  hal_addr_t addr = 0;
  hal_size_t size = 1 + random_below(&worker->seed, sizeof bytes);
  if (zcmem_mem_alloc(hal, 0, size, 1, &addr) != ZCMEM_OK) {
    return;
  }
  worker->wrong += zcmem_mem_handle(hal, addr, &worker->mine[slot]) != ZCMEM_OK;
  memset(bytes, (int)(addr >> 7 & 0xff), sizeof bytes);
  worker->wrong += zcmem_mem_write_handle(hal, worker->mine[slot], 0, bytes, size) != ZCMEM_OK;
  worker->size[slot] = size;
}

/* Others pin it now and then, and read it. */
static void end(struct worker *worker, unsigned slot) {
  unsigned char bytes[600];
  struct zcmem_handle handle = worker->mine[slot];
  hal_size_t size = worker->size[slot];
  worker->wrong += zcmem_mem_read_handle(hal, bytes, handle, 0, size) != ZCMEM_OK;
  for (hal_size_t i = 0; i < size; i++) {
    worker->wrong += bytes[i] != (unsigned char)(handle.addr >> 7 & 0xff);
  }
  enum zcmem_status status = zcmem_mem_free_handle(hal, handle);
  while (status == ZCMEM_EBUSY) {
    status = zcmem_mem_free_handle(hal, handle);
  }
  worker->wrong += status != ZCMEM_OK;
  worker->wrong += zcmem_mem_check_handle(hal, handle) != ZCMEM_ENOENT;
  worker->size[slot] = 0;
}

static void try_other(struct worker *worker, struct zcmem_handle other) {
  unsigned char byte = 0;
  if (other.generation == 0) {
    return;
  }
  enum zcmem_status status = zcmem_mem_read_handle(hal, &byte, other, 0, 1);
  worker->wrong += !one_of(status, ZCMEM_OK, ZCMEM_ENOENT, ZCMEM_EBOUNDS);
  worker->wrong += status == ZCMEM_OK && byte != (unsigned char)(other.addr >> 7 & 0xff);
  status = zcmem_mem_pin_handle(hal, other);
  worker->wrong += !one_of(status, ZCMEM_OK, ZCMEM_ENOENT, ZCMEM_OK);
  if (status == ZCMEM_OK) {
    worker->wrong += zcmem_mem_check_handle(hal, other) != ZCMEM_OK;
    worker->wrong += zcmem_mem_unpin(hal, other.addr) != ZCMEM_OK;
  }
}

static void *work(void *arg) {
  struct worker *worker = arg;
  for (unsigned round = 0; round < ROUNDS; round++) {
    unsigned slot = (unsigned)random_below(&worker->seed, MINE);
    if (worker->size[slot] == 0) {
      make(worker, slot);
    } else {
      try_other(worker, show(worker->mine[slot]));
      end(worker, slot);
    }
  }
  for (unsigned slot = 0; slot < MINE; slot++) {
    if (worker->size[slot] != 0) {
      end(worker, slot);
    }
  }
  return NULL;
}

static void *check(void *arg) {
  unsigned *wrong = arg;
  do {
    *wrong += zcmem_hal_check(hal) != ZCMEM_OK;
    *wrong += zcmem_hal_check_guards(hal, 0, true, NULL) != ZCMEM_OK;
  } while (!atomic_load_explicit(&stop, memory_order_relaxed));
  return NULL;
}

static void test_threads(void **state) {
  (void)state;
  static struct worker workers[THREADS];
  pthread_t checker;
  unsigned wrong = 0;
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags =
                                                 ZCMEM_REGION_COHERENT | ZCMEM_REGION_HANDLES | ZCMEM_REGION_POISON,
                                             .base = BASE,
                                             .size = sizeof memory,
                                             .max_blocks = 256,
                                             .host = memory,
                                             .red_zone = 64,
                                             .quarantine = 16384};
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  atomic_store(&stop, false);
  assert_int_equal(pthread_create(&checker, NULL, check, &wrong), 0);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.seed = env_number("ZCMEM_TEST_SEED", 1) + i};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  }
  atomic_store(&stop, true);
  assert_int_equal(pthread_join(checker, NULL), 0);
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].wrong, 0);
  }
  assert_int_equal(wrong, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}
#else
static void test_threads(void **state) {
  (void)state;
  skip();
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
  return cmocka_run_group_tests_name("hardening, with threads", tests, NULL, NULL);
}
