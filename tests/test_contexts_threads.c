/* SPDX-License-Identifier: MIT */
/*
 * Threads each with a context, as tasks of an RTOS would have them: they allocate, fill, pass on, compare and free
 * through contexts and past them, beside drains, figures and contexts that come, go and change hands. With the
 * library's lock and with one that the test brings along, since a library without pthread knows no other.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* pthread_barrier_t */
#endif

#include "magazines_check.h"
#include <pthread.h>
#include <sched.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 3, POOL = 4, BLOCKS = 24, MAILBOX = 8, QUANTUM = 128, MAX_BLOCKS = 256, RACES = 2000 };
#define BASE ((hal_addr_t)0x100000)
#define BYTES ((size_t)512 * 1024)

/* ---------------------------------------------------------------------------------------- a lock from outside -- */

static atomic_uint waits;

static int own_init(void *lock) {
  return pthread_mutex_init(lock, NULL);
}

static void own_destroy(void *lock) {
  (void)pthread_mutex_destroy(lock);
}

static int own_lock(void *lock) {
  return pthread_mutex_lock(lock);
}

static void own_unlock(void *lock) {
  (void)pthread_mutex_unlock(lock);
}

static void own_wait(void *lock) {
  (void)lock;
  atomic_fetch_add(&waits, 1);
  (void)sched_yield();
}

static const struct zcmem_lock_ops own = {.bytes = sizeof(pthread_mutex_t),
                                          .init = own_init,
                                          .destroy = own_destroy,
                                          .lock = own_lock,
                                          .unlock = own_unlock,
                                          .wait = own_wait};

/* -------------------------------------------------------------------------------------------------- the world -- */

struct slot {
  hal_addr_t addr; /* 0: empty */
  hal_size_t size;
  unsigned char fill;
};

static struct {
  struct zcmem_hal *hal;
  pthread_mutex_t pool_lock;
  struct zcmem_context *pool[POOL]; /* NULL: somebody has it */
  struct slot mail[MAILBOX];        /* under the same lock */
  alignas(64) unsigned char contexts[POOL][80 * 1024];
  unsigned char host[BYTES];
} world;

static struct zcmem_hal *open_hal(const struct zcmem_lock_ops *lock, uint32_t flags) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .lock = lock, .flags = flags};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_CONTEXTS | ZCMEM_REGION_COHERENT,
                                             .base = BASE,
                                             .size = BYTES,
                                             .max_blocks = MAX_BLOCKS,
                                             .magazine_share = 256,
                                             .host = world.host};
  struct zcmem_hal *hal = NULL;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  return hal;
}

static enum zcmem_status open_context(unsigned i, struct zcmem_context **context) {
  const struct zcmem_context_config config = {.hal = world.hal, .blocks = i % 2 == 0 ? 0 : 2};
  return zcmem_context_init(world.contexts[i], sizeof world.contexts[i], &config, context);
}

/* ------------------------------------------------------------------------------------------------- the threads -- */

/* Nothing is asserted in a thread: CMocka's assertions jump. */
struct worker {
  pthread_t thread;
  uint64_t seed;
  uint64_t ops;
  struct slot slots[BLOCKS];
  struct zcmem_context *context;
  unsigned at; /* place of the context in the pool */
  unsigned wrong, full;
};

static unsigned char *host_of(hal_addr_t addr) {
  return world.host + (addr - BASE);
}

/* A context from the pool, and the last one back; each is with one thread at a time, now with this one, now that. */
static void change_context(struct worker *w) {
  (void)pthread_mutex_lock(&world.pool_lock);
  if (w->context != NULL) {
    world.pool[w->at] = w->context;
  }
  do {
    w->at = (unsigned)random_below(&w->seed, POOL);
  } while (world.pool[w->at] == NULL); /* there are more than threads */
  w->context = world.pool[w->at];
  world.pool[w->at] = NULL;
  (void)pthread_mutex_unlock(&world.pool_lock);
}

/* Puts the block into the mailbox and takes out what is there. */
static void exchange(struct worker *w, struct slot *slot) {
  struct slot *mail = &world.mail[random_below(&w->seed, MAILBOX)];
  (void)pthread_mutex_lock(&world.pool_lock);
  struct slot was = *mail;
  *mail = *slot;
  (void)pthread_mutex_unlock(&world.pool_lock);
  *slot = was;
}

static void make(struct worker *w, struct slot *slot) {
  hal_size_t size = random_below(&w->seed, 6) == 0 ? random_below(&w->seed, 20000) : random_below(&w->seed, 1500);
  uint64_t how = random_below(&w->seed, 8);
  hal_addr_t addr = 0;
  enum zcmem_status status = how == 0 ? zcmem_mem_alloc(world.hal, 0, size, 1, &addr)
                                      : zcmem_context_alloc(w->context, 0, size, how == 1 ? 512 : 1, &addr);
  if (status != ZCMEM_OK) {
    w->full += status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM;
    w->wrong += status != ZCMEM_ENOSPC && status != ZCMEM_EFRAG && status != ZCMEM_ENOMEM;
    return;
  }
  *slot = (struct slot){addr, size, (unsigned char)random_next(&w->seed)};
  if (how == 2) { /* a transfer, which uses the block without the lock */
    w->wrong += zcmem_mem_fill(world.hal, addr, &slot->fill, 1, size) != ZCMEM_OK;
  } else {
    memset(host_of(addr), slot->fill, (size_t)size);
  }
}

static void end(struct worker *w, struct slot *slot) {
  uint64_t how = random_below(&w->seed, 8);
  const unsigned char *bytes = host_of(slot->addr);
  for (hal_size_t i = 0; i < slot->size; i += slot->size < 256 ? 1 : 97) {
    w->wrong += bytes[i] != slot->fill;
  }
  if (how == 1) {
    unsigned char byte = slot->fill;
    w->wrong += slot->size > 0 && zcmem_mem_read(world.hal, &byte, slot->addr, 1) != ZCMEM_OK;
    w->wrong += byte != slot->fill;
  }
  w->wrong +=
      (how == 0 ? zcmem_mem_free(world.hal, slot->addr) : zcmem_context_free(w->context, slot->addr)) != ZCMEM_OK;
  slot->addr = 0;
}

static void look(struct worker *w) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  hal_addr_t addr;
  switch (random_below(&w->seed, 5)) {
  case 0:
    w->wrong += zcmem_hal_region_stats(world.hal, 0, &stats) != ZCMEM_OK;
    break;
  case 1:
    w->wrong += zcmem_hal_check(world.hal) != ZCMEM_OK;
    break;
  case 2: /* takes all that is kept */
    if (zcmem_context_alloc(w->context, 0, BYTES - QUANTUM, 1, &addr) == ZCMEM_OK) {
      w->wrong += zcmem_context_free(w->context, addr) != ZCMEM_OK;
    }
    break;
  case 3:
    w->wrong += zcmem_context_drain(w->context) != ZCMEM_OK;
    break;
  default:
    w->wrong += zcmem_context_destroy(w->context) != ZCMEM_OK;
    w->wrong += open_context(w->at, &w->context) != ZCMEM_OK;
  }
}

static void *work(void *arg) {
  struct worker *w = arg;
  for (uint64_t op = 0; op < w->ops; op++) {
    struct slot *slot = &w->slots[random_below(&w->seed, BLOCKS)];
    if (op % 64 == 0) {
      change_context(w);
    }
    if (slot->addr == 0) {
      make(w, slot);
    } else if (random_below(&w->seed, 4) == 0) {
      exchange(w, slot);
    } else {
      end(w, slot);
    }
    if (random_below(&w->seed, 256) == 0) {
      look(w);
    }
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    if (w->slots[i].addr != 0) {
      end(w, &w->slots[i]);
    }
  }
  (void)pthread_mutex_lock(&world.pool_lock);
  world.pool[w->at] = w->context;
  (void)pthread_mutex_unlock(&world.pool_lock);
  return NULL;
}

static void stress(const struct zcmem_lock_ops *lock, uint32_t flags) {
  static struct worker workers[THREADS];
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  memset(&world, 0, sizeof world);
  memset(workers, 0, sizeof workers);
  world.hal = open_hal(lock, flags);
  assert_int_equal(pthread_mutex_init(&world.pool_lock, NULL), 0);
  for (unsigned i = 0; i < POOL; i++) {
    assert_ok(open_context(i, &world.pool[i]));
  }
  for (unsigned i = 0; i < THREADS; i++) {
    workers[i].seed = seed + i;
    workers[i].ops = env_number("ZCMEM_TEST_OPS", 60000) / THREADS;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (unsigned i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
    assert_int_equal(workers[i].wrong, 0);
  }
  for (unsigned i = 0; i < MAILBOX; i++) {
    assert_ok(zcmem_context_free(world.pool[0], world.mail[i].addr));
  }
#ifdef ZCMEM__MAGAZINES
  struct magazines_sum sum = magazines_look(world.hal, 0);
  assert_true(sum.blocks > 0 && sum.quanta <= sum.limit);
#endif
  for (unsigned i = 0; i < POOL; i++) {
    assert_ok(zcmem_context_destroy(world.pool[i]));
  }
  assert_ok(zcmem_hal_check(world.hal));
  struct zcmem_region_stats stats = magazines_stats(world.hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.allocations, stats.frees);
  assert_int_equal(stats.largest, BYTES);
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
  (void)pthread_mutex_destroy(&world.pool_lock);
}

static void test_a_lock_from_outside(void **state) {
  (void)state;
  atomic_store(&waits, 0);
  stress(&own, 0);
  print_message("waited %u times for an owner\n", atomic_load(&waits));
}

#ifndef ZCMEM_NO_PTHREAD
static void test_the_library_s_lock(void **state) {
  (void)state;
  stress(&zcmem_lock_pthread, 0);
}

static void test_beside_magazines_of_threads(void **state) {
  (void)state;
  stress(&zcmem_lock_pthread, ZCMEM_HAL_MAGAZINES);
}
#endif

/* ------------------------------------------------------------------------------------------------------- races -- */

struct racer {
  pthread_t thread;
  pthread_barrier_t *go, *done;
  _Atomic hal_addr_t *addr;
  struct zcmem_context *context;
  enum zcmem_status status;
};

static void *race(void *arg) {
  struct racer *racer = arg;
  for (int i = 0; i < RACES; i++) {
    (void)pthread_barrier_wait(racer->go);
    racer->status = zcmem_context_free(racer->context, atomic_load(racer->addr));
    (void)pthread_barrier_wait(racer->done);
  }
  return NULL;
}

/* Of two frees of one block through two contexts one succeeds. */
static void test_frees_race(void **state) {
  struct racer racers[2];
  pthread_barrier_t go, done;
  _Atomic hal_addr_t addr = 0;
  (void)state;
  memset(&world, 0, sizeof world);
  world.hal = open_hal(&own, 0);
  assert_int_equal(pthread_barrier_init(&go, NULL, 3), 0);
  assert_int_equal(pthread_barrier_init(&done, NULL, 3), 0);
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(open_context(i, &world.pool[i]));
  }
  for (unsigned i = 0; i < 2; i++) {
    racers[i] = (struct racer){.go = &go, .done = &done, .addr = &addr, .context = world.pool[i]};
    assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
  }
  for (int i = 0; i < RACES; i++) {
    hal_addr_t made = 0;
    assert_ok(zcmem_context_alloc(world.pool[2], 0, 300, 1, &made));
    atomic_store(&addr, made);
    (void)pthread_barrier_wait(&go);
    (void)pthread_barrier_wait(&done);
    enum zcmem_status one = racers[0].status, other = racers[1].status;
    assert_true((one == ZCMEM_OK && other == ZCMEM_ENOENT) || (one == ZCMEM_ENOENT && other == ZCMEM_OK));
  }
  for (unsigned i = 0; i < 2; i++) {
    assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
  }
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(zcmem_context_destroy(world.pool[i]));
  }
  struct zcmem_region_stats stats = magazines_stats(world.hal, 0);
  assert_int_equal(stats.live, 0);
  assert_int_equal(stats.allocations, stats.frees);
  assert_ok(zcmem_hal_check(world.hal));
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
  (void)pthread_barrier_destroy(&go);
  (void)pthread_barrier_destroy(&done);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_a_lock_from_outside),
#ifndef ZCMEM_NO_PTHREAD
      cmocka_unit_test(test_the_library_s_lock),
      cmocka_unit_test(test_beside_magazines_of_threads),
#endif
      cmocka_unit_test(test_frees_race),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
