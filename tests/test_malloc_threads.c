/* SPDX-License-Identifier: MIT */
/*
 * Threads that allocate and free at once, that free one pointer, that are the first to allocate, and that report while
 * the handler changes; what they do wrong together, ThreadSanitizer sees and the checks below.
 */
#include "unit.h"
#include <zcmem/ti_malloc.h>
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include "atomic.h"
#include "malloc_default.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>

enum {
  THREADS = 3,
  ROUNDS = 10000,
  DOUBLE_FREES = 3000,
  REPORTS = 200000,
  GETS = 4000000,
  FIRSTS = 60,
  HELD = 8,
  MOST = 3000
};

#define DRAM ((uint32_t)ZCMEM_KIND_DRAM)
#define MSMC ((uint32_t)ZCMEM_KIND_MSMC)

/* Nothing is asserted in a thread but its master (CMocka's assertions jump), so it counts what is wrong. */
struct worker {
  pthread_t thread;
  uint64_t seed;
  unsigned wrong;
  void *got;
};

static struct worker workers[THREADS];
static atomic_uint arrived; /* of all barriers so far */
static void *shared;        /* what all of them free */
static uint32_t shared_kind;

/* All threads together, so that they do at once what follows; for the n-th time, counted from 1. */
static void meet(unsigned n) {
  atomic_fetch_add(&arrived, 1);
  while (atomic_load(&arrived) < n * THREADS) {
    (void)sched_yield();
  }
}

static void run(void *(*body)(void *)) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  atomic_store(&arrived, 0);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.seed = seed * THREADS + i};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, body, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].wrong, 0);
  }
}

/* What the handler was told, by all threads. */
static atomic_uint not_found, in_use, no_room, otherwise;

static void tell(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)ctx, (void)function, (void)ptr, (void)size;
  atomic_fetch_add(status == ZCMEM_ENOENT                            ? &not_found
                   : status == ZCMEM_EBUSY                           ? &in_use
                   : status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG ? &no_room
                                                                     : &otherwise,
                   1);
}

static void listen(void) {
  atomic_store(&not_found, 0);
  atomic_store(&in_use, 0);
  atomic_store(&no_room, 0);
  atomic_store(&otherwise, 0);
  zcmem_malloc_set_handler(tell, NULL);
}

/* The default HAL: a device whose DRAM is mapped, or is mapped on demand. */
static struct zcmem_host_device *device;

static void open_device(uint32_t flags) {
  const struct zcmem_host_device_config config = {.dram_bytes = 4 << 20, .msmc_bytes = 64 << 10, .flags = flags};
  assert_ok(zcmem_host_device_create(&config, &device));
  assert_ok(zcmem_malloc_set_hal(zcmem_host_device_hal(device)));
  listen();
}

static void close_device(void) {
  zcmem_malloc_set_handler(NULL, NULL);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_ok(zcmem_hal_check(zcmem_host_device_hal(device)));
  assert_int_equal(zcmem_host_device_destroy(device), 0);
}

/* ------------------------------------------------------------------------------------------------ alloc and free -- */

static void *get(uint32_t kind, unsigned how, size_t size) {
  switch (how) {
  case 0:
    return kind == DRAM ? __malloc_ddr(size) : __malloc_msmc(size);
  case 1:
    return zcmem_calloc(kind, 1, size);
  case 2:
    return zcmem_aligned_alloc(kind, 256, size);
  default:
    return zcmem_malloc(kind, size);
  }
}

static void put(uint32_t kind, unsigned how, void *ptr) {
  if (how == 0 && kind == DRAM) {
    __free_ddr(ptr);
  } else if (how == 0) {
    __free_msmc(ptr);
  } else {
    zcmem_free(kind, ptr);
  }
}

static bool all(const unsigned char *ptr, size_t size, unsigned char value) {
  for (size_t i = 0; i < size; i++) {
    if (ptr[i] != value) {
      return false;
    }
  }
  return true;
}

/* A few blocks at a time, of both kinds, each filled with what only this thread writes there. */
static void *churn(void *arg) {
  struct worker *worker = arg;
  struct {
    unsigned char *ptr;
    size_t size;
    uint32_t kind;
    unsigned char mark;
  } held[HELD] = {0};
  for (int round = 0; round < ROUNDS; round++) {
    size_t i = (size_t)random_below(&worker->seed, HELD), size = (size_t)random_below(&worker->seed, MOST);
    unsigned how = (unsigned)random_below(&worker->seed, 4);
    if (held[i].ptr == NULL) {
      held[i].kind = random_below(&worker->seed, 2) == 0 ? DRAM : MSMC;
      held[i].ptr = get(held[i].kind, how, size);
      if (held[i].ptr == NULL) {
        worker->wrong += held[i].kind == DRAM; /* which has room for all */
        continue;
      }
      worker->wrong += (uintptr_t)held[i].ptr % 128 != 0 || (how == 1 && !all(held[i].ptr, size, 0));
    } else {
      worker->wrong += !all(held[i].ptr, held[i].size, held[i].mark);
      worker->wrong += zcmem_malloc_size(held[i].ptr) != held[i].size;
      if (how < 3) {
        put(held[i].kind, how, held[i].ptr);
        held[i].ptr = NULL;
        continue;
      }
      unsigned char *to = zcmem_realloc(held[i].kind, held[i].ptr, size);
      worker->wrong +=
          to == NULL ? held[i].kind == DRAM : !all(to, size < held[i].size ? size : held[i].size, held[i].mark);
      if (to == NULL) {
        continue;
      }
      held[i].ptr = to;
    }
    held[i].size = size;
    held[i].mark = (unsigned char)random_below(&worker->seed, 256);
    memset(held[i].ptr, held[i].mark, size);
  }
  for (size_t i = 0; i < HELD; i++) {
    put(held[i].kind, 3, held[i].ptr);
  }
  return NULL;
}

static void test_threads_allocate_and_free(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= ZCMEM_HOST_DEVICE_UNMAPPED_DRAM; flags++) {
    open_device(flags);
    run(churn);
    assert_int_equal(not_found + in_use + otherwise, 0);
    close_device();
  }
}

/* ---------------------------------------------------------------------------------------------------- one pointer --
 */

static void *free_shared(void *arg) {
  struct worker *worker = arg;
  for (unsigned round = 0; round < DOUBLE_FREES; round++) {
    if (worker == &workers[0]) {
      shared = zcmem_malloc(shared_kind, 500);
    }
    meet(2 * round + 1);
    if (worker == &workers[1] && round % 2 == 0) {
      worker->got = zcmem_realloc(shared_kind, shared, 5000);
      zcmem_free(shared_kind, worker->got);
    } else {
      zcmem_free(shared_kind, shared);
    }
    meet(2 * round + 2);
  }
  return NULL;
}

/* One frees it or moves it; the others are told that it is not there, or, while it moves, in use. Nothing is lost. */
static void test_threads_free_one_pointer(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= ZCMEM_HOST_DEVICE_UNMAPPED_DRAM; flags++) {
    open_device(flags);
    shared_kind = DRAM;
    run(free_shared);
    assert_int_equal(not_found + in_use, DOUBLE_FREES * (THREADS - 1));
    assert_int_equal(otherwise, 0);
    close_device();
  }
}

/* ------------------------------------------------------------------------------------------------------ first use --
 */

static void *first_use(void *arg) {
  struct worker *worker = arg;
  unsigned char *ptr = NULL;
  meet(1);
  ptr = zcmem_malloc(MSMC, 100);
  worker->got = zcmem_malloc_hal();
  worker->wrong += ptr == NULL || zcmem_malloc_size(ptr) != 100;
  zcmem_free(MSMC, ptr);
  return NULL;
}

static void test_all_are_first(void **state) {
  (void)state;
  listen();
  for (int i = 0; i < FIRSTS; i++) {
    assert_ok(zcmem_malloc_set_hal(NULL));
    assert_null(zcmem__malloc_current());
    run(first_use);
    for (int n = 0; n < THREADS; n++) {
      assert_non_null(workers[n].got);
      assert_ptr_equal(workers[n].got, workers[0].got);
    }
  }
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_int_equal(not_found + in_use + no_room + otherwise, 0);
  zcmem_malloc_set_handler(NULL, NULL);
}

/* ---------------------------------------------------------------------------------------------------- the handler --
 */

/* Two handlers, each of which knows its own ctx. */
static atomic_uint calls, strangers;
static char ctx_a, ctx_b;
static atomic_bool reported;

static void handler_a(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)status, (void)function, (void)ptr, (void)size;
  atomic_fetch_add(&calls, 1);
  atomic_fetch_add(&strangers, ctx != &ctx_a);
}

static void handler_b(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)status, (void)function, (void)ptr, (void)size;
  atomic_fetch_add(&calls, 1);
  atomic_fetch_add(&strangers, ctx != &ctx_b);
}

static void *report(void *arg) {
  struct worker *worker = arg;
  meet(1);
  if (worker == &workers[0]) {
    for (int i = 0; i < REPORTS; i++) {
      zcmem_free(DRAM, &ctx_a); /* a pointer that is nobody's */
    }
    atomic_store(&reported, true);
    return NULL;
  }
  for (bool a = true; !atomic_load(&reported); a = !a) {
    zcmem_malloc_set_handler(a ? handler_a : handler_b, a ? &ctx_a : &ctx_b);
  }
  return NULL;
}

/* What keeps the two together, where it is hard: with a cache line's end between them. */
static struct {
  _Alignas(64) unsigned char before[64 - offsetof(struct zcmem__atomic_pair, second)];
  struct zcmem__atomic_pair pair;
} split;

static void *set_and_get(void *arg) {
  struct worker *worker = arg;
  meet(1);
  if (worker == &workers[0]) {
    for (int i = 0; i < GETS; i++) {
      uintptr_t first = 0, second = 0;
      zcmem__atomic_pair_get(&split.pair, &first, &second);
      worker->wrong += first != second;
    }
    atomic_store(&reported, true);
    return NULL;
  }
  for (uintptr_t i = 1; !atomic_load(&reported); i++) {
    zcmem__atomic_pair_set(&split.pair, i, i);
  }
  return NULL;
}

static void test_two_words_change_together(void **state) {
  (void)state;
  assert_int_equal((uintptr_t)&split.pair.second % 64, 0);
  atomic_store(&reported, false);
  run(set_and_get);
}

static void test_handlers_change_while_threads_report(void **state) {
  (void)state;
  atomic_store(&reported, false);
  zcmem_malloc_set_handler(handler_a, &ctx_a);
  run(report);
  assert_int_equal(calls, REPORTS);
  assert_int_equal(strangers, 0);
  zcmem_malloc_set_handler(NULL, NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_allocate_and_free),
      cmocka_unit_test(test_threads_free_one_pointer),
      cmocka_unit_test(test_all_are_first),
      cmocka_unit_test(test_two_words_change_together),
      cmocka_unit_test(test_handlers_change_while_threads_report),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void) {
  printf("SKIP: built without pthread\n");
  return 77;
}

#endif
