/* SPDX-License-Identifier: MIT */
/*
 * Several threads with magazines: what idle ones keep is there for whoever needs it, of two calls that race for one
 * block one succeeds, and threads that end leave nothing behind.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* pthread_barrier_t */
#endif

#include "magazines_check.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#include <pthread.h>
#include <stdatomic.h>

enum { QUANTUM = 128, BASE = 0x100000, BLOCKS = 64 };

/* ----------------------------------------------------------------------------------------------- idle threads -- */

/* A thread that fills its magazines, waits, and ends. Nothing is asserted in it: CMocka's assertions jump. */
struct idler {
  pthread_t thread;
  struct zcmem_hal *hal;
  pthread_barrier_t *filled, *end;
  hal_size_t size;
  unsigned wrong;
};

static void churn(struct zcmem_hal *hal, hal_size_t size, int rounds, unsigned *wrong) {
  hal_addr_t blocks[BLOCKS] = {0};
  for (int round = 0; round < rounds; round++) {
    for (int i = 0; i < BLOCKS; i++) {
      *wrong += zcmem_mem_alloc(hal, 0, size, 1, &blocks[i]) != ZCMEM_OK;
    }
    for (int i = 0; i < BLOCKS; i++) {
      *wrong += zcmem_mem_free(hal, blocks[i]) != ZCMEM_OK;
    }
  }
}

static void *idle(void *arg) {
  struct idler *idler = arg;
  churn(idler->hal, idler->size, 16, &idler->wrong);
  (void)pthread_barrier_wait(idler->filled);
  (void)pthread_barrier_wait(idler->end);
  return NULL;
}

enum { IDLERS = 2 };

static void with_idle_threads(struct zcmem_hal *hal, void (*call)(struct zcmem_hal *hal)) {
  pthread_barrier_t filled, end;
  struct idler idlers[IDLERS];
  unsigned wrong = 0;
  assert_int_equal(pthread_barrier_init(&filled, NULL, IDLERS + 1), 0);
  assert_int_equal(pthread_barrier_init(&end, NULL, IDLERS + 1), 0);
  churn(hal, 700, 16, &wrong);
  for (int i = 0; i < IDLERS; i++) {
    idlers[i] = (struct idler){.hal = hal, .filled = &filled, .end = &end, .size = 100 + 300 * (hal_size_t)i};
    assert_int_equal(pthread_create(&idlers[i].thread, NULL, idle, &idlers[i]), 0);
  }
  (void)pthread_barrier_wait(&filled);
  struct magazines_sum sum = magazines_look(hal, 0);
  assert_true(sum.in_magazines > 20);
  assert_int_equal(sum.owners, IDLERS + 1);
  call(hal);
  (void)pthread_barrier_wait(&end);
  for (int i = 0; i < IDLERS; i++) {
    assert_int_equal(pthread_join(idlers[i].thread, NULL), 0);
    assert_int_equal(idlers[i].wrong, 0);
  }
  assert_int_equal(wrong, 0);
  assert_int_equal(magazines_look(hal, 0).owners, 1);
  (void)pthread_barrier_destroy(&filled);
  (void)pthread_barrier_destroy(&end);
}

static void ask_for_all_bytes(struct zcmem_hal *hal) {
  hal_addr_t all = magazines_alloc(hal, 1 << 20);
  assert_int_equal(magazines_look(hal, 0).blocks, 0);
  assert_ok(zcmem_mem_free(hal, all));
}

static void ask_for_all_blocks(struct zcmem_hal *hal) {
  hal_addr_t blocks[400];
  for (size_t i = 0; i < 400; i++) {
    blocks[i] = magazines_alloc(hal, 1500); /* a size that no magazine has */
  }
  for (size_t i = 0; i < 400; i++) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
}

static void ask_for_figures(struct zcmem_hal *hal) {
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.largest, 1 << 20);
  assert_int_equal(stats.allocations, 3 * 16 * BLOCKS);
  assert_int_equal(stats.frees, 3 * 16 * BLOCKS);
}

static void ask_the_checker(struct zcmem_hal *hal) {
  uint64_t kept = magazines_look(hal, 0).blocks;
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(magazines_look(hal, 0).blocks, kept);
}

static void test_what_idle_threads_keep(void **state) {
  void (*const calls[])(struct zcmem_hal * hal) = {ask_for_all_bytes, ask_for_all_blocks, ask_for_figures,
                                                   ask_the_checker};
  (void)state;
  for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
    struct zcmem_hal *hal = magazines_hal(1 << 20, 400, 256);
    with_idle_threads(hal, calls[i]);
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

/* ------------------------------------------------------------------------------------------------------ races -- */

enum { RACES = 3000 };

/* One call for one block. The statuses tell what it did. */
typedef enum zcmem_status contestant(struct zcmem_hal *hal, hal_addr_t addr);

struct racer {
  pthread_t thread;
  struct zcmem_hal *hal;
  pthread_barrier_t *go, *done;
  contestant *call;
  _Atomic hal_addr_t *addr;
  enum zcmem_status status;
};

static void *race(void *arg) {
  struct racer *racer = arg;
  unsigned wrong = 0;
  churn(racer->hal, 100, 16, &wrong); /* its magazines are in use */
  for (int i = 0; i < RACES; i++) {
    (void)pthread_barrier_wait(racer->go);
    racer->status = racer->call(racer->hal, atomic_load(racer->addr));
    (void)pthread_barrier_wait(racer->done);
  }
  return NULL;
}

static enum zcmem_status free_it(struct zcmem_hal *hal, hal_addr_t addr) {
  return zcmem_mem_free(hal, addr);
}

static enum zcmem_status free_it_deferred(struct zcmem_hal *hal, hal_addr_t addr) {
  return zcmem_mem_free_deferred(hal, addr);
}

/*
 * Gives it back, and whatever it is given next goes back as well. That must not be where the first block was, or the
 * other call, which comes late, frees it with every right: its alignment is one that addr does not have.
 */
static enum zcmem_status free_and_use_again(struct zcmem_hal *hal, hal_addr_t addr) {
  hal_addr_t other = 0, alignment = (addr & (0 - addr)) << 1;
  enum zcmem_status status = zcmem_mem_free(hal, addr);
  if (alignment > 1 << 18) {
    return status; /* the region has too few such addresses */
  }
  enum zcmem_status made = zcmem_mem_alloc(hal, 0, 5000, alignment, &other);
  return made != ZCMEM_OK || zcmem_mem_free(hal, other) != ZCMEM_OK ? ZCMEM_ECORRUPT : status;
}

static enum zcmem_status pin_it(struct zcmem_hal *hal, hal_addr_t addr) {
  return zcmem_mem_pin(hal, addr);
}

static enum zcmem_status shrink_it(struct zcmem_hal *hal, hal_addr_t addr) {
  return zcmem_mem_resize(hal, addr, 50);
}

static enum zcmem_status cut_it(struct zcmem_hal *hal, hal_addr_t addr) {
  return zcmem_mem_resize(hal, addr, QUANTUM);
}

static enum zcmem_status read_it(struct zcmem_hal *hal, hal_addr_t addr) {
  struct zcmem_block_info info;
  enum zcmem_status status = zcmem_mem_info(hal, addr, &info);
  return status == ZCMEM_OK && (info.addr != addr || info.size > 3 * QUANTUM) ? ZCMEM_ECORRUPT : status;
}

/* What may come of two calls for a live block of three quanta, and what remains to be done. */
static void settle(struct zcmem_hal *hal, hal_addr_t addr, contestant *call, enum zcmem_status one,
                   enum zcmem_status other) {
  if (call == pin_it) {
    assert_true((one == ZCMEM_OK && other == ZCMEM_ENOENT) || (one == ZCMEM_EBUSY && other == ZCMEM_OK));
    if (other == ZCMEM_OK) {
      assert_ok(zcmem_mem_unpin(hal, addr));
      assert_ok(zcmem_mem_free(hal, addr));
    }
  } else if (call == shrink_it || call == cut_it || call == read_it) {
    assert_status(one, ZCMEM_OK);
    assert_true(other == ZCMEM_OK || other == ZCMEM_ENOENT);
  } else {
    assert_true((one == ZCMEM_OK && other == ZCMEM_ENOENT) || (one == ZCMEM_ENOENT && other == ZCMEM_OK));
  }
}

static void contest(contestant *first, contestant *second) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 1024, 0);
  pthread_barrier_t go, done;
  _Atomic hal_addr_t addr = 0;
  contestant *calls[] = {first, second};
  struct racer racers[2];
  assert_int_equal(pthread_barrier_init(&go, NULL, 3), 0);
  assert_int_equal(pthread_barrier_init(&done, NULL, 3), 0);
  for (int i = 0; i < 2; i++) {
    racers[i] = (struct racer){.hal = hal, .go = &go, .done = &done, .call = calls[i], .addr = &addr};
    assert_int_equal(pthread_create(&racers[i].thread, NULL, race, &racers[i]), 0);
  }
  for (int i = 0; i < RACES; i++) {
    atomic_store(&addr, magazines_alloc(hal, 3 * QUANTUM));
    (void)pthread_barrier_wait(&go);
    (void)pthread_barrier_wait(&done);
    settle(hal, atomic_load(&addr), second, racers[0].status, racers[1].status);
    if (i % 256 == 0) {
      (void)magazines_look(hal, 0);
      assert_ok(zcmem_hal_check(hal));
    }
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_join(racers[i].thread, NULL), 0);
  }
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.largest, 1 << 20);
  assert_int_equal(stats.allocations, stats.frees);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  (void)pthread_barrier_destroy(&go);
  (void)pthread_barrier_destroy(&done);
}

static void test_frees_race(void **state) {
  (void)state;
  contest(free_it, free_it);
  contest(free_it, free_it_deferred);
  contest(free_it_deferred, free_it_deferred);
  contest(free_and_use_again, free_it);
  contest(free_and_use_again, free_and_use_again);
}

static void test_frees_race_with_pins(void **state) {
  (void)state;
  contest(free_it, pin_it);
}

static void test_frees_race_with_resizes(void **state) {
  (void)state;
  contest(free_it, shrink_it);
  contest(free_it, cut_it);
  contest(free_it_deferred, cut_it);
}

static void test_frees_race_with_look_ups(void **state) {
  (void)state;
  contest(free_it, read_it);
}

/*
 * A buffer's block is freed by who only knows its address, while another thread, which never allocated or freed here,
 * releases the buffer: one of the two gives the block back.
 */
struct release {
  pthread_t thread;
  struct zcmem_buffers *buffers;
  pthread_barrier_t *go, *done;
  _Atomic zcmem_buffer_t *buffer;
  unsigned wrong;
};

static void *release_buffers(void *arg) {
  struct release *release = arg;
  for (int i = 0; i < RACES; i++) {
    (void)pthread_barrier_wait(release->go);
    release->wrong += zcmem_buffer_release(release->buffers, atomic_load(release->buffer)) != ZCMEM_OK;
    (void)pthread_barrier_wait(release->done);
  }
  return NULL;
}

static void test_frees_race_with_the_end_of_a_buffer(void **state) {
  static _Alignas(64) unsigned char memory[1 << 16];
  struct zcmem_hal *hal = magazines_hal(1 << 20, 64, 0);
  const struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 4, .max_views = 4};
  const struct zcmem_buffer_config fresh = {
      .flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, .region = 0, .size = 3 * QUANTUM};
  struct zcmem_buffers *buffers = NULL;
  pthread_barrier_t go, done;
  _Atomic zcmem_buffer_t buffer = 0;
  unsigned wrong = 0;
  (void)state;
  assert_true(zcmem_buffers_bytes(&config) <= sizeof memory);
  assert_ok(zcmem_buffers_init(memory, sizeof memory, &config, &buffers));
  assert_int_equal(pthread_barrier_init(&go, NULL, 2), 0);
  assert_int_equal(pthread_barrier_init(&done, NULL, 2), 0);
  struct release release = {.buffers = buffers, .go = &go, .done = &done, .buffer = &buffer};
  churn(hal, 3 * QUANTUM, 1, &wrong);
  assert_int_equal(pthread_create(&release.thread, NULL, release_buffers, &release), 0);
  for (int i = 0; i < RACES; i++) {
    zcmem_buffer_t made;
    struct zcmem_buffer_info info;
    assert_ok(zcmem_buffer_create(buffers, &fresh, &made));
    assert_ok(zcmem_buffer_get_info(buffers, made, &info));
    atomic_store(&buffer, made);
    (void)pthread_barrier_wait(&go);
    enum zcmem_status status = ZCMEM_EBUSY;
    for (int k = 0; status == ZCMEM_EBUSY && k < 200; k++) {
      status = zcmem_mem_free(hal, info.addr);
    }
    (void)pthread_barrier_wait(&done);
    assert_true(status == ZCMEM_OK || status == ZCMEM_ENOENT || status == ZCMEM_EBUSY);
    if (i % 64 == 0) {
      (void)magazines_look(hal, 0);
      assert_ok(zcmem_hal_check(hal));
      assert_int_equal(magazines_stats(hal, 0).live, 0);
    }
  }
  assert_int_equal(pthread_join(release.thread, NULL), 0);
  assert_int_equal(release.wrong + wrong, 0);
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.allocations, stats.frees);
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  (void)pthread_barrier_destroy(&go);
  (void)pthread_barrier_destroy(&done);
}

/* -------------------------------------------------------------------------------------------- threads that end -- */

static pthread_key_t late_key;

static void free_late(void *value) {
  struct idler *idler = value;
  hal_addr_t addr = 0;
  idler->wrong += zcmem_mem_alloc(idler->hal, 0, idler->size, 1, &addr) != ZCMEM_OK;
  idler->wrong += zcmem_mem_free(idler->hal, addr) != ZCMEM_OK;
}

static void *come_and_go(void *arg) {
  struct idler *idler = arg;
  churn(idler->hal, idler->size, 16, &idler->wrong);
  (void)pthread_setspecific(late_key, idler); /* runs before our destructor or after it: it may come to be used again */
  return NULL;
}

static void test_threads_that_end(void **state) {
  struct zcmem_hal *hal = magazines_hal(1 << 20, 1024, 256);
  (void)state;
  assert_int_equal(pthread_key_create(&late_key, free_late), 0);
  for (int round = 0; round < 100; round++) {
    struct idler idlers[IDLERS];
    for (int i = 0; i < IDLERS; i++) {
      idlers[i] = (struct idler){.hal = hal, .size = 100 + 40 * (hal_size_t)(round % 8)};
      assert_int_equal(pthread_create(&idlers[i].thread, NULL, come_and_go, &idlers[i]), 0);
    }
    for (int i = 0; i < IDLERS; i++) {
      assert_int_equal(pthread_join(idlers[i].thread, NULL), 0);
      assert_int_equal(idlers[i].wrong, 0);
    }
    struct magazines_sum sum = magazines_look(hal, 0);
    assert_int_equal(sum.in_magazines, 0);
    assert_int_equal(sum.owners, 0);
    assert_true(sum.made <= IDLERS); /* those of threads that have ended are used again */
  }
  (void)pthread_key_delete(late_key);
  hal_addr_t all = magazines_alloc(hal, 1 << 20);
  assert_ok(zcmem_mem_free(hal, all));
  struct zcmem_region_stats stats = magazines_stats(hal, 0);
  assert_int_equal(stats.live, 0);
  assert_int_equal(stats.allocations, stats.frees);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* A thread that outlives a HAL, or uses more regions than it has slots for, finds its own magazines, and no others'. */
static void *use_many(void *arg) {
  struct idler *idler = arg;
  for (int round = 0; round < 40; round++) {
    for (uint32_t region = 0; region < 20; region++) {
      hal_addr_t addr = 0;
      idler->wrong += zcmem_mem_alloc(idler->hal, region, 100, 1, &addr) != ZCMEM_OK;
      idler->wrong += zcmem_mem_free(idler->hal, addr) != ZCMEM_OK;
      idler->wrong += zcmem_mem_free(idler->hal, addr) != ZCMEM_ENOENT;
    }
  }
  return NULL;
}

static void test_many_regions(void **state) {
  (void)state;
  for (int time = 0; time < 3; time++) {
    struct zcmem_hal *hal = magazines_hal(1 << 20, 64, 0);
    struct idler here = {.hal = hal}, there = {.hal = hal};
    for (unsigned i = 1; i < 20; i++) {
      char name[ZCMEM_NAME_MAX + 1];
      (void)snprintf(name, sizeof name, "%u", i);
      const struct zcmem_region_config region = {
          .name = name, .kind = ZCMEM_KIND_DRAM, .base = (hal_addr_t)(i + 1) << 24, .size = 1 << 20, .max_blocks = 64};
      assert_ok(zcmem_hal_add_region(hal, &region, NULL));
    }
    assert_int_equal(pthread_create(&there.thread, NULL, use_many, &there), 0);
    (void)use_many(&here);
    assert_int_equal(pthread_join(there.thread, NULL), 0);
    assert_int_equal(here.wrong + there.wrong, 0);
    for (uint32_t i = 0; i < 20; i++) {
      struct magazines_sum sum = magazines_look(hal, i);
      assert_int_equal(sum.owners, 1);
      assert_true(sum.made <= 2);
      assert_int_equal(magazines_stats(hal, i).live, 0);
    }
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_what_idle_threads_keep),   cmocka_unit_test(test_frees_race),
      cmocka_unit_test(test_frees_race_with_pins),     cmocka_unit_test(test_frees_race_with_resizes),
      cmocka_unit_test(test_frees_race_with_look_ups), cmocka_unit_test(test_frees_race_with_the_end_of_a_buffer),
      cmocka_unit_test(test_threads_that_end),         cmocka_unit_test(test_many_regions),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without magazines");
  return 77; /* Meson: skipped */
}
#endif
