/* SPDX-License-Identifier: MIT */
/*
 * Transfers beside threads that resize and free their blocks: no byte goes to a place that is not the block's any more.
 * Nothing is asserted in a thread but its master (CMocka's assertions jump): the others count.
 */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "hal_impl.h"
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 2, ROUNDS = 5000, BYTES = 4096, QUANTUM = 128, BASE = 1 << 20, SHRUNK = 100 };

static unsigned char memory[8 * BYTES];

struct worker {
  pthread_t thread;
  struct zcmem_hal *hal;
  hal_addr_t addr;
  uint64_t seed;
  unsigned wrong;
  uint64_t written, read, failed;
  atomic_uint rounds;
  atomic_uint moved; /* writes that succeeded */
};

static atomic_bool stop;

static struct zcmem_hal *made(uint32_t flags, size_t bytes) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = flags};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT,
                                             .base = BASE,
                                             .size = bytes,
                                             .max_blocks = 64,
                                             .host = memory};
  struct zcmem_hal *hal = NULL;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  return hal;
}

/*
 * From somewhere in the first quantum, which is never another block's unless the whole block is gone, as far as it
 * may be; so what goes beyond the block is refused, and may not be stored.
 */
static void *transfer(void *arg) {
  struct worker *worker = arg;
  unsigned char in[BYTES], out[BYTES];
  while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
    size_t offset = (size_t)random_below(&worker->seed, QUANTUM);
    size_t size = 1 + (size_t)random_below(&worker->seed, BYTES - offset);
    memset(in, (int)random_below(&worker->seed, 128), size);
    enum zcmem_status status = zcmem_mem_write(worker->hal, worker->addr + offset, in, size);
    worker->wrong += status != ZCMEM_OK && status != ZCMEM_EBOUNDS && status != ZCMEM_ENOENT;
    worker->written += status == ZCMEM_OK ? size : 0;
    atomic_fetch_add_explicit(&worker->moved, status == ZCMEM_OK ? 1 : 0, memory_order_relaxed);
    worker->failed += status == ZCMEM_OK ? 0 : 1;
    status = zcmem_mem_read(worker->hal, out, worker->addr + offset, size);
    worker->wrong += status != ZCMEM_OK && status != ZCMEM_EBOUNDS && status != ZCMEM_ENOENT;
    worker->read += status == ZCMEM_OK ? size : 0;
    worker->failed += status == ZCMEM_OK ? 0 : 1;
    atomic_fetch_add_explicit(&worker->rounds, 1, memory_order_relaxed);
  }
  return NULL;
}

/* Whether each worker has done its part. */
static bool enough(struct worker workers[THREADS]) {
  bool all = true;
  for (unsigned i = 0; i < THREADS; i++) {
    all = all && atomic_load_explicit(&workers[i].rounds, memory_order_relaxed) >= ROUNDS &&
          atomic_load_explicit(&workers[i].moved, memory_order_relaxed) > 0;
  }
  return all;
}

static void start(struct worker workers[THREADS], struct zcmem_hal *hal, const hal_addr_t addrs[THREADS]) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  atomic_store(&stop, false);
  for (unsigned i = 0; i < THREADS; i++) {
    memset(&workers[i], 0, sizeof workers[i]);
    workers[i].hal = hal;
    workers[i].addr = addrs[i];
    workers[i].seed = seed * THREADS + i;
    atomic_init(&workers[i].rounds, 0);
    atomic_init(&workers[i].moved, 0);
    assert_int_equal(pthread_create(&workers[i].thread, NULL, transfer, &workers[i]), 0);
  }
}

static void join(struct worker workers[THREADS], struct zcmem_hal *hal) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  uint64_t written = 0, read = 0, failed = 0;
  atomic_store(&stop, true);
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  }
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].wrong, 0);
    written += workers[i].written;
    read += workers[i].read;
    failed += workers[i].failed;
  }
  assert_true(written > 0);
  assert_int_equal(stats.bytes_written, written);
  assert_int_equal(stats.bytes_read, read);
  assert_int_equal(stats.failed_transfers, failed);
  assert_ok(zcmem_hal_check(hal));
}

/* A block that becomes smaller: what comes after it is another's at once, and stays as that one wrote it. */
static void shrink_and_grow(uint32_t flags) {
  struct zcmem_hal *hal = made(flags, THREADS * BYTES); /* so there is no other place */
  struct worker workers[THREADS];
  hal_addr_t addrs[THREADS], guard = 0;
  unsigned shrunk = 0, held = 0;
  for (unsigned i = 0; i < THREADS; i++) {
    assert_ok(zcmem_mem_alloc(hal, 0, BYTES, 1, &addrs[i]));
  }
  start(workers, hal, addrs);
  /* On a busy machine the blocks may be in use at every look for a while; that they never come free is a failure. */
  for (unsigned round = 0; round < ROUNDS || !enough(workers) || shrunk < SHRUNK; round++) {
    hal_addr_t addr = addrs[round % THREADS];
    size_t rest = QUANTUM * (1 + round % (BYTES / QUANTUM - 1));
    enum zcmem_status status = zcmem_mem_resize(hal, addr, rest);
    if (status != ZCMEM_OK) {
      assert_status(status, ZCMEM_EBUSY);
      held++;
      continue;
    }
    shrunk++;
    assert_ok(zcmem_mem_alloc(hal, 0, BYTES - rest, 1, &guard));
    unsigned char *at = memory + (guard - BASE);
    memset(at, 0xa5, BYTES - rest);
    for (unsigned again = 0; again < 4; again++) {
      for (size_t i = 0; i < BYTES - rest; i++) {
        if (at[i] != 0xa5) {
          fail_msg("round %u: byte %zu of another block was written", round, i);
        }
      }
    }
    assert_ok(zcmem_mem_free(hal, guard));
    assert_int_equal(guard, addr + rest); /* the very bytes that the block gave up */
    assert_ok(zcmem_mem_resize(hal, addr, BYTES));
  }
  join(workers, hal);
  print_message("shrunk %u times, in use %u times\n", shrunk, held);
  assert_true(shrunk >= SHRUNK);
  for (unsigned i = 0; i < THREADS; i++) {
    assert_ok(zcmem_mem_free(hal, addrs[i]));
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_no_byte_goes_beyond_a_block_that_shrinks(void **state) {
  (void)state;
  shrink_and_grow(0);
}

static void test_the_same_with_magazines(void **state) {
  (void)state;
  shrink_and_grow(ZCMEM_HAL_MAGAZINES);
}

/*
 * Blocks freed under the transfers, at once or when the last one ends; each is whole again when all is over. There is
 * no room but their own places, so each comes back where it was, and a worker's address is its block's again.
 */
static void free_and_allocate(uint32_t flags) {
  struct zcmem_hal *hal = made(flags, (size_t)THREADS * BYTES);
  struct worker workers[THREADS];
  hal_addr_t addrs[THREADS];
  uint64_t allocations = THREADS;
  for (unsigned i = 0; i < THREADS; i++) {
    assert_ok(zcmem_mem_alloc(hal, 0, BYTES, 1, &addrs[i]));
  }
  start(workers, hal, addrs);
  for (unsigned round = 0; round < ROUNDS || !enough(workers); round++) {
    unsigned i = round % THREADS;
    hal_addr_t got = 0;
    enum zcmem_status status = zcmem_mem_free(hal, addrs[i]);
    if (status != ZCMEM_OK) {
      assert_status(status, ZCMEM_EBUSY);
      assert_ok(zcmem_mem_free_deferred(hal, addrs[i]));
      assert_status(zcmem_mem_free(hal, addrs[i]), ZCMEM_ENOENT);
    }
    hal_size_t size = BYTES - round % 3 * QUANTUM / 4; /* of as many quanta */
    while ((status = zcmem_mem_alloc(hal, 0, size, 1, &got)) == ZCMEM_ENOSPC) {
      (void)sched_yield(); /* the last transfer of the zombie has not ended */
    }
    assert_ok(status);
    assert_int_equal(got, addrs[i]);
    addrs[i] = got;
    allocations++;
  }
  join(workers, hal);
  for (unsigned i = 0; i < THREADS; i++) {
    assert_ok(zcmem_mem_free(hal, addrs[i]));
  }
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.allocations, allocations);
  assert_int_equal(stats.frees, allocations);
  assert_int_equal(stats.in_use, 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_blocks_are_freed_once_whoever_ends_last(void **state) {
  (void)state;
  free_and_allocate(0);
}

static void test_blocks_are_freed_once_with_magazines(void **state) {
  (void)state;
  free_and_allocate(ZCMEM_HAL_MAGAZINES);
}

#if defined(ZCMEM__DIRECT) && defined(ZCMEM__THREAD_MAGAZINES)
static pthread_barrier_t all_have_written;

static void *write_once(void *arg) {
  struct worker *worker = arg;
  worker->wrong = zcmem_mem_write(worker->hal, worker->addr + worker->seed, "bytes", 5) != ZCMEM_OK;
  (void)pthread_barrier_wait(&all_have_written);
  return NULL;
}

/*
 * As many threads as there are lines of figures, all of them at a time: each finds a line of its own, whichever it
 * looks at first, which differs from group to group. Who comes then finds none.
 */
static void test_each_thread_counts_in_a_line_of_its_own(void **state) {
  enum { GROUPS = 5, WRITERS = GROUPS * ZCMEM__MOVED_LINES };
  struct worker workers[WRITERS] = {0};
  struct zcmem_hal *hals[GROUPS];
  hal_addr_t addr = 0;
  (void)state;
  assert_int_equal(pthread_barrier_init(&all_have_written, NULL, WRITERS), 0);
  for (unsigned i = 0; i < GROUPS; i++) {
    hals[i] = made(0, sizeof memory);
    assert_ok(zcmem_mem_alloc(hals[i], 0, BYTES, 1, &addr)); /* the same one in each */
  }
  for (unsigned i = 0; i < WRITERS; i++) {
    workers[i].hal = hals[i / ZCMEM__MOVED_LINES];
    workers[i].addr = addr;
    workers[i].seed = 8 * i; /* where it writes: the memory is the same, too */
    assert_int_equal(pthread_create(&workers[i].thread, NULL, write_once, &workers[i]), 0);
  }
  for (unsigned i = 0; i < WRITERS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    assert_int_equal(workers[i].wrong, 0);
  }
  for (unsigned group = 0; group < GROUPS; group++) {
    const struct zcmem__moved_line *line = zcmem__hal_region(hals[group], 0)->moved.line;
    for (unsigned i = 0; i < ZCMEM__MOVED_LINES; i++) {
      assert_int_equal(line[i].of[ZCMEM__MOVED_WRITTEN], 5);
    }
    assert_int_equal(line[ZCMEM__MOVED_LINES].of[ZCMEM__MOVED_WRITTEN], 0);
    assert_ok(zcmem_mem_write(hals[group], addr, "more bytes", 10));
    assert_int_equal(line[ZCMEM__MOVED_LINES].of[ZCMEM__MOVED_WRITTEN], 10);
    assert_ok(zcmem_mem_free(hals[group], addr));
    assert_int_equal(zcmem_hal_destroy(hals[group]), 0);
  }
  assert_int_equal(pthread_barrier_destroy(&all_have_written), 0);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
#if defined(ZCMEM__DIRECT) && defined(ZCMEM__THREAD_MAGAZINES)
    cmocka_unit_test(test_each_thread_counts_in_a_line_of_its_own),
#endif
    cmocka_unit_test(test_no_byte_goes_beyond_a_block_that_shrinks),
    cmocka_unit_test(test_the_same_with_magazines),
    cmocka_unit_test(test_blocks_are_freed_once_whoever_ends_last),
    cmocka_unit_test(test_blocks_are_freed_once_with_magazines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without pthread: the facade has no lock that threads could test");
  return 77; /* Meson: skipped */
}
#endif
