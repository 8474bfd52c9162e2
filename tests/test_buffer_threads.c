/* SPDX-License-Identifier: MIT */
/*
 * Threads on one table of buffers over one block; what they do wrong together, ThreadSanitizer sees and the checks of
 * bytes and counters below.
 */
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 2, ROUNDS = 10000, SIZE = 4096, SHARED = 256, PART = (SIZE - SHARED) / THREADS };

#define RW (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)

/* The block: SHARED bytes that all want, then a part for each thread. */
static struct zcmem_hal *hal;
static struct zcmem_buffers *buffers;
static unsigned char *block;  /* host memory, of the region or not */
static unsigned char *device; /* where the "device" sees byte `base`; NULL: it is not looked at */
static hal_addr_t base;
static unsigned guarded; /* plain: only a view that writes the shared bytes may count it up */

/* What one thread has: nothing is asserted in a thread but its master (CMocka's assertions jump), so it counts. */
struct worker {
  pthread_t thread;
  uint64_t seed;
  unsigned index;
  unsigned wrong, granted, refused, busy;
  zcmem_buffer_t buffer;
  zcmem_view_t view;
};

/* How many have begun: none does anything before all have, or the first would be through when the last one comes. */
static _Atomic unsigned begun;

static void meet(void) {
  atomic_fetch_add(&begun, 1);
  while (atomic_load(&begun) % THREADS != 0) {
    ;
  }
}

static void expect(struct worker *worker, bool good) {
  if (!good) {
    worker->wrong++;
  }
}

static enum zcmem_status make(void *host, hal_size_t size, zcmem_buffer_t *buffer) {
  const struct zcmem_buffer_config config = {.flags = RW | ZCMEM_BUFFER_USE_HOST, .host = host, .size = size};
  return zcmem_buffer_create(buffers, &config, buffer);
}

/* The bytes of a thread's own part, through the device and back; nobody else has them. */
static void use_own(struct worker *worker, zcmem_buffer_t buffer, unsigned char *mine, unsigned char stamp) {
  struct zcmem_view view;
  memset(mine, stamp, PART);
  if (zcmem_buffer_begin(buffers, buffer, 0, PART, RW, NULL, &view) != ZCMEM_OK) {
    worker->wrong++;
    return;
  }
  if (device != NULL) {
    unsigned char *seen = device + (view.addr - base);
    expect(worker, seen[0] == stamp && seen[PART - 1] == stamp);
    memset(seen, stamp ^ 0xff, PART);
  }
  expect(worker, zcmem_buffer_end(buffers, view.id) == ZCMEM_OK);
  expect(worker, device == NULL || (mine[0] == (stamp ^ 0xff) && mine[PART - 1] == (stamp ^ 0xff)));
}

/* The shared bytes: a writer has them alone, readers may meet; who is refused learns by whom. */
static void use_shared(struct worker *worker, zcmem_buffer_t buffer, uint32_t mode, bool of_host) {
  struct zcmem_view view;
  zcmem_buffer_t other = 0;
  enum zcmem_status got = of_host ? zcmem_buffer_map(buffers, buffer, 0, SHARED, mode, &other, &view)
                                  : zcmem_buffer_begin(buffers, buffer, 0, SHARED, mode, &other, &view);
  if (got == ZCMEM_EOVERLAP) {
    expect(worker, other != 0 && other != buffer);
    worker->refused++;
    return;
  }
  if (got == ZCMEM_EBUSY) {
    worker->busy++;
    return;
  }
  expect(worker, got == ZCMEM_OK);
  if (got == ZCMEM_OK) {
    const unsigned char zero = 0;
    if ((mode & ZCMEM_BUFFER_WRITE) != 0) {
      guarded++;
      if (of_host || device != NULL) {
        block[0] ^= 1;
      } else { /* in the shadow, and every byte, as such a view promises */
        expect(worker, zcmem_mem_fill(hal, view.addr, &zero, 1, SHARED) == ZCMEM_OK);
      }
    } else {
      expect(worker, block[0] <= 1);
    }
    worker->granted++;
    expect(worker, (of_host ? zcmem_buffer_unmap(buffers, view.id) : zcmem_buffer_end(buffers, view.id)) == ZCMEM_OK);
  }
}

static void *churn(void *arg) {
  struct worker *worker = arg;
  unsigned char *mine = block + SHARED + worker->index * PART;
  unsigned writes = 0;
  meet();
  for (unsigned round = 0; round < ROUNDS; round++) {
    zcmem_buffer_t own = 0, shared = 0, part = 0;
    expect(worker, make(mine, PART, &own) == ZCMEM_OK);
    expect(worker, make(block, SIZE, &shared) == ZCMEM_OK);
    expect(worker, zcmem_buffer_create_sub(buffers, shared, 0, 0, SHARED, &part) == ZCMEM_OK);
    expect(worker, zcmem_buffer_release(buffers, shared) == ZCMEM_OK); /* the part keeps it */
    use_own(worker, own, mine, (unsigned char)round);
    uint32_t mode = random_below(&worker->seed, 2) == 0 ? ZCMEM_BUFFER_READ : ZCMEM_BUFFER_WRITE;
    unsigned before = worker->granted;
    use_shared(worker, part, mode, random_below(&worker->seed, 2) == 0);
    writes += mode == ZCMEM_BUFFER_WRITE ? worker->granted - before : 0;
    if (device != NULL) {
      expect(worker, zcmem_mem_free(hal, base) == ZCMEM_EBUSY);
    }
    expect(worker, zcmem_buffer_release(buffers, part) == ZCMEM_OK);
    expect(worker, zcmem_buffer_release(buffers, own) == ZCMEM_OK);
    expect(worker, zcmem_buffer_release(buffers, own) == ZCMEM_ENOENT);
  }
  worker->granted = writes;
  return NULL;
}

/* All of them on one buffer and one view: each end, retain and release counts once. */
static void *share(void *arg) {
  struct worker *worker = arg;
  meet();
  for (unsigned round = 0; round < ROUNDS; round++) {
    struct zcmem_view view;
    struct zcmem_buffer_info info;
    expect(worker, zcmem_buffer_retain(buffers, worker->buffer) == ZCMEM_OK);
    enum zcmem_status got =
        zcmem_buffer_begin(buffers, worker->buffer, round % 100, 100, ZCMEM_BUFFER_READ, NULL, &view);
    worker->busy += got == ZCMEM_EBUSY;
    expect(worker, got == ZCMEM_OK || got == ZCMEM_EBUSY);
    expect(worker, zcmem_buffer_get_info(buffers, worker->buffer, &info) == ZCMEM_OK && info.references >= 2);
    expect(worker, got != ZCMEM_OK || zcmem_buffer_end(buffers, view.id) == ZCMEM_OK);
    expect(worker, zcmem_buffer_release(buffers, worker->buffer) == ZCMEM_OK);
  }
  if (zcmem_buffer_end(buffers, worker->view) == ZCMEM_OK) {
    worker->granted++;
  }
  return NULL;
}

static void run(struct worker workers[THREADS], void *(*job)(void *), struct worker like) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i] = like;
    workers[i].seed = seed * THREADS + i;
    workers[i].index = i;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, job, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].wrong, 0);
  }
}

static struct zcmem_host_device *host_device;
static void *table;

static void open_table(uint32_t max_buffers, uint32_t max_views) {
  const struct zcmem_buffers_config tables = {.hal = hal, .max_buffers = max_buffers, .max_views = max_views};
  size_t bytes = zcmem_buffers_bytes(&tables);
  table = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(table);
  assert_ok(zcmem_buffers_init(table, bytes, &tables, &buffers));
}

static void open_all(uint32_t flags) {
  const struct zcmem_host_device_config config = {.dram_bytes = 1 << 20, .msmc_bytes = 1 << 16, .flags = flags};
  assert_ok(zcmem_host_device_create(&config, &host_device));
  hal = zcmem_host_device_hal(host_device);
  open_table(64, 64);
  guarded = 0;
}

static struct zcmem_buffers_stats close_table(void) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_buffers_get_stats(buffers, &stats));
  assert_int_equal(stats.buffers, 0);
  assert_int_equal(stats.views, 0);
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  free(table);
  return stats;
}

static struct zcmem_buffers_stats close_all(void) {
  struct zcmem_buffers_stats stats = close_table();
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_host_device_destroy(host_device), 0);
  return stats;
}

static void check_churn(void) {
  struct worker workers[THREADS];
  unsigned writes = 0, refused = 0;
  block[0] = 0;
  run(workers, churn, (struct worker){.index = 0});
  for (int i = 0; i < THREADS; i++) {
    writes += workers[i].granted;
    refused += workers[i].refused;
  }
  assert_int_equal(guarded, writes);
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_buffers_get_stats(buffers, &stats));
  assert_int_equal(stats.refused_overlap, refused);
  print_message("%u refused\n", refused);
}

static void test_zero_copy_buffers_over_one_block(void **state) {
  void *host = NULL;
  (void)state;
  open_all(0);
  assert_ok(zcmem_mem_alloc(hal, 0, SIZE, 1, &base));
  assert_ok(zcmem_mem_host(hal, base, SIZE, &host));
  block = device = host;
  check_churn();
  assert_ok(zcmem_mem_free(hal, base)); /* every hold is gone */
  struct zcmem_buffers_stats stats = close_all();
  assert_int_equal(stats.bytes_copied_in + stats.bytes_copied_out, 0);
  assert_true(stats.bytes_avoided >= (uint64_t)2 * THREADS * ROUNDS * PART);
}

/* The same code over memory that no region has. */
static void test_shadows_of_one_host_memory(void **state) {
  static unsigned char host[SIZE];
  (void)state;
  open_all(ZCMEM_HOST_DEVICE_UNMAPPED_DRAM);
  block = host;
  device = NULL;
  check_churn();
  struct zcmem_buffers_stats stats = close_all();
  assert_true(stats.bytes_copied_in >= (uint64_t)THREADS * ROUNDS * PART);
  assert_int_equal(stats.copies_avoided, 0);
}

static uint64_t begins(void) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_buffers_get_stats(buffers, &stats));
  return stats.begins;
}

static void check_share(void *host) {
  struct worker workers[THREADS], like = {.index = 0};
  uint64_t before = begins();
  struct zcmem_view view;
  unsigned ended = 0, busy = 0;
  assert_ok(make(host, SIZE, &like.buffer));
  assert_ok(zcmem_buffer_begin(buffers, like.buffer, 1000, 100, ZCMEM_BUFFER_WRITE, NULL, &view));
  like.view = view.id;
  run(workers, share, like);
  for (int i = 0; i < THREADS; i++) {
    ended += workers[i].granted;
    busy += workers[i].busy;
  }
  assert_int_equal(ended, 1);
  assert_int_equal(begins() - before, 1 + THREADS * ROUNDS - busy);
  assert_ok(zcmem_buffer_release(buffers, like.buffer));
}

static void test_threads_share_a_buffer(void **state) {
  static unsigned char host[SIZE];
  void *mapped = NULL;
  (void)state;
  open_all(0);
  assert_ok(zcmem_mem_alloc(hal, 0, SIZE, 1, &base));
  assert_ok(zcmem_mem_host(hal, base, SIZE, &mapped));
  check_share(mapped);
  assert_ok(zcmem_mem_free(hal, base));
  check_share(host);
  (void)close_all();
}

/* ------------------------------------------------------------------------------------- two begins at one time -- */

/*
 * A lock that each of two threads takes the second and the third time, within one begin, only when the other one is
 * there as well, or through. So both have entered their views before either looks for what it is to copy, and both have
 * looked before either goes on.
 */
static struct {
  pthread_mutex_t mutex;
  pthread_cond_t all_there;
  unsigned there;
} rendezvous = {.mutex = PTHREAD_MUTEX_INITIALIZER, .all_there = PTHREAD_COND_INITIALIZER};

static _Thread_local bool within; /* a begin */
static _Thread_local unsigned takes;

/* Counts, and waits until there were so many. */
static void arrive(unsigned all) {
  (void)pthread_mutex_lock(&rendezvous.mutex);
  rendezvous.there++;
  (void)pthread_cond_broadcast(&rendezvous.all_there);
  while (rendezvous.there < all) {
    (void)pthread_cond_wait(&rendezvous.all_there, &rendezvous.mutex);
  }
  (void)pthread_mutex_unlock(&rendezvous.mutex);
}

static int take_together(void *lock) {
  if (within && (++takes == 2 || takes == 3)) {
    arrive(takes == 2 ? 2 : 4);
  }
  return zcmem_lock_pthread.lock(lock);
}

struct beginner {
  pthread_t thread;
  zcmem_buffer_t buffer;
  struct zcmem_view view;
  enum zcmem_status got;
};

static void *begin_once(void *arg) {
  struct beginner *beginner = arg;
  within = true;
  beginner->got = zcmem_buffer_begin(buffers, beginner->buffer, 0, SHARED, ZCMEM_BUFFER_READ, NULL, &beginner->view);
  within = false;
  for (; takes < 3; takes++) { /* it was refused at once */
    arrive(0);
  }
  return NULL;
}

/* Of two that want the same bytes of a shadow at once one yields; not both. */
static void test_two_begins_at_one_time(void **state) {
  static _Alignas(128) unsigned char memory[4096];
  static unsigned char host[SHARED];
  struct zcmem_lock_ops lock = zcmem_lock_pthread;
  const struct zcmem_region_config region = {
      .name = "region", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 4096, .max_blocks = 4, .host = memory};
  const struct zcmem_hal_config config = {.name = "two", .max_regions = 1, .lock = &lock};
  struct beginner two[2] = {{.buffer = 0}};
  (void)state;
  lock.lock = take_together;
  memset(host, 0x5a, sizeof host);
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  open_table(4, 4);
  for (int i = 0; i < 2; i++) {
    assert_ok(make(host, SHARED, &two[0].buffer));
    two[1].buffer = two[0].buffer;
    rendezvous.there = 0;
    for (int k = 0; k < 2; k++) {
      assert_int_equal(pthread_create(&two[k].thread, NULL, begin_once, &two[k]), 0);
    }
    for (int k = 0; k < 2; k++) {
      assert_int_equal(pthread_join(two[k].thread, NULL), 0);
    }
    int first = two[0].got == ZCMEM_OK ? 0 : 1;
    assert_ok(two[first].got);
    assert_status(two[1 - first].got, ZCMEM_EBUSY);
    assert_memory_equal(memory + (two[first].view.addr - 4096), host, SHARED);
    assert_ok(zcmem_buffer_end(buffers, two[first].view.id));
    assert_ok(zcmem_buffer_release(buffers, two[0].buffer));
  }
  (void)close_table();
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_zero_copy_buffers_over_one_block),
      cmocka_unit_test(test_shadows_of_one_host_memory),
      cmocka_unit_test(test_threads_share_a_buffer),
      cmocka_unit_test(test_two_begins_at_one_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without pthread: the table has no lock that threads could test");
  return 77; /* Meson: skipped */
}
#endif
