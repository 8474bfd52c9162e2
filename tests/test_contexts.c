/* SPDX-License-Identifier: MIT */
/*
 * Contexts as one thread meets them, with each kind of lock: how they are made and ended, that pairs take no lock, that
 * nothing fails for what they keep, and what others see of it.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "child.h"
#include "context_impl.h"
#include "contexts_world.h"
#include "fake.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#include <sys/wait.h>
#include <unistd.h>
#endif

static struct contexts_world world;

static const struct zcmem_lock_ops *const locks[] = {
    &zcmem_lock_none,
    &fake_lock,
#ifndef ZCMEM_NO_PTHREAD
    &zcmem_lock_pthread,
#endif
};
enum { LOCKS = sizeof locks / sizeof *locks };

static int reset_fake(void **state) {
  (void)state;
  fake_reset();
  return 0;
}

#ifdef ZCMEM__MAGAZINES
static uint32_t version_now(void) {
  return zcmem__atomic_version(&world.hal->regions[0].version);
}

static struct zcmem__magazines *magazines_of(unsigned context) {
  return world.context[context]->part[0].mine;
}
#endif

/* ------------------------------------------------------------------------------------------- made, and ended -- */

static void test_bytes(void **state) {
  (void)state;
  contexts_open_hal(&world, &zcmem_lock_none);
  struct zcmem_context_config config = {.hal = world.hal};
  size_t most = zcmem_context_bytes(&config);
  config.blocks = ZCMEM_CONTEXT_BLOCKS;
  assert_int_equal(zcmem_context_bytes(&config), most);
  config.blocks = 1;
  size_t least = zcmem_context_bytes(&config);
  config.blocks = ZCMEM_CONTEXT_BLOCKS + 1;
  assert_int_equal(zcmem_context_bytes(&config), 0);
  config = (struct zcmem_context_config){.hal = NULL};
  assert_int_equal(zcmem_context_bytes(&config), 0);
  assert_int_equal(zcmem_context_bytes(NULL), 0);
#ifdef ZCMEM__MAGAZINES
  assert_true(most > 70 * 1024 && most < 80 * 1024); /* what context.h says */
  assert_true(least > 4 * 1024 && least <= 8 * 1024);
#else
  assert_true(most == least && most <= 256);
#endif
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
}

static void test_init_checks_its_arguments(void **state) {
  struct zcmem_context *context = NULL;
  (void)state;
  contexts_open_all(&world, &fake_lock);
  struct zcmem_context_config config = {.hal = world.hal};
  size_t bytes = zcmem_context_bytes(&config);
  unsigned char *memory = world.memory[0];
  assert_ok(zcmem_context_destroy(world.context[0]));
  assert_status(zcmem_context_init(NULL, bytes, &config, &context), ZCMEM_EINVAL);
  assert_status(zcmem_context_init(memory, bytes, NULL, &context), ZCMEM_EINVAL);
  assert_status(zcmem_context_init(memory, bytes, &config, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_context_init(memory + 8, bytes, &config, &context), ZCMEM_EINVAL);
  assert_status(zcmem_context_init(memory, bytes - 1, &config, &context), ZCMEM_ENOMEM);
  assert_status(zcmem_context_init(memory, 0, &config, &context), ZCMEM_ENOMEM);
  assert_status(zcmem_context_init(world.memory[1], bytes, &config, &context), ZCMEM_EOVERLAP);
  assert_status(zcmem_context_init(world.memory[1] + (bytes - 64), bytes, &config, &context), ZCMEM_EOVERLAP);
  unsigned char *before = memory + (sizeof world.memory[0] - (bytes - 64)); /* its last line is the first of the next */
  assert_status(zcmem_context_init(before, bytes, &config, &context), ZCMEM_EOVERLAP);
  config.blocks = ZCMEM_CONTEXT_BLOCKS + 1;
  assert_status(zcmem_context_init(memory, bytes, &config, &context), ZCMEM_EINVAL);
  config = (struct zcmem_context_config){.hal = NULL};
  assert_status(zcmem_context_init(memory, bytes, &config, &context), ZCMEM_EINVAL);
  assert_null(context);
  contexts_churn(world.context[1], 100, 8, 2); /* it has not suffered */
  config.hal = world.hal;
  memset(memory, 0x55, bytes);
  assert_ok(zcmem_context_init(memory, bytes, &config, &world.context[0])); /* not a byte more is needed */
  memory[bytes] = 0x77;
  contexts_churn(world.context[0], 100, 64, 2);
  for (hal_size_t size = 1; size < 64 * 1024; size += 128) {
    contexts_churn(world.context[0], size, 2, 2);
  }
  assert_int_equal(memory[bytes], 0x77);
  contexts_close_all(&world);
}

static void test_ended_ones_are_told(void **state) {
  hal_addr_t addr = 1;
  (void)state;
  contexts_open_all(&world, &fake_lock);
  hal_addr_t live = contexts_alloc(world.context[0], 100);
  contexts_churn(world.context[0], 100, 8, 4);
  assert_ok(zcmem_context_destroy(world.context[0]));
  assert_status(zcmem_context_destroy(world.context[0]), ZCMEM_EINVAL);
  assert_status(zcmem_context_drain(world.context[0]), ZCMEM_EINVAL);
  assert_status(zcmem_context_alloc(world.context[0], 0, 100, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_context_free(world.context[0], live), ZCMEM_EINVAL);
  assert_status(zcmem_context_destroy(NULL), ZCMEM_EINVAL);
  assert_status(zcmem_context_drain(NULL), ZCMEM_EINVAL);
  assert_status(zcmem_context_alloc(NULL, 0, 100, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_context_free(NULL, live), ZCMEM_EINVAL);
  assert_int_equal(addr, 1);
  struct zcmem_region_stats stats = magazines_stats(world.hal, 0);
  assert_int_equal(stats.live, 1); /* what it allocated lives on */
  assert_int_equal(stats.allocations, 1 + 4 * 8);
  assert_int_equal(stats.frees, 4 * 8);
  assert_ok(zcmem_context_free(world.context[1], live));
  contexts_open(&world, 0, 0);
  contexts_close_all(&world);
}

/* What they keep is not live; from then on every call with them is told so. */
static void test_the_hal_ends_before_them(void **state) {
  hal_addr_t addr = 1;
  (void)state;
  for (size_t lock = 0; lock < LOCKS; lock++) {
    contexts_open_all(&world, locks[lock]);
    (void)contexts_alloc(world.context[1], 200);
    contexts_churn(world.context[0], 100, 16, 4);
    contexts_churn(world.context[1], 100, 16, 4);
    assert_ok(zcmem_context_destroy(world.context[2]));
    assert_int_equal(zcmem_hal_destroy(world.hal), 1);
    for (unsigned i = 0; i < CONTEXTS; i++) {
      assert_status(zcmem_context_alloc(world.context[i], 0, 100, 1, &addr), ZCMEM_EINVAL);
      assert_status(zcmem_context_free(world.context[i], CONTEXTS_BASE), ZCMEM_EINVAL);
      assert_status(zcmem_context_drain(world.context[i]), ZCMEM_EINVAL);
      assert_status(zcmem_context_destroy(world.context[i]), ZCMEM_EINVAL);
    }
  }
}

/* ----------------------------------------------------------------------------------------------- what they do -- */

static void test_all_statuses_of_blocks(void **state) {
  hal_addr_t addr, other;
  (void)state;
  for (size_t lock = 0; lock < LOCKS; lock++) {
    contexts_open_all(&world, locks[lock]);
    struct zcmem_context *context = world.context[0];
    contexts_churn(context, 100, 8, 4);
    addr = 1;
    assert_status(zcmem_context_alloc(context, 1, 100, 1, &addr), ZCMEM_EINVAL);
    assert_status(zcmem_context_alloc(context, 0, 100, 3, &addr), ZCMEM_EINVAL);
    assert_status(zcmem_context_alloc(context, 0, 100, 1, NULL), ZCMEM_EINVAL);
    assert_status(zcmem_context_alloc(context, 0, CONTEXTS_BYTES + 1, 1, &addr), ZCMEM_ENOSPC);
    assert_int_equal(addr, 1);
    addr = contexts_alloc(context, 100);
    assert_ok(zcmem_context_free(context, HAL_NULLPTR));
    assert_status(zcmem_context_free(context, addr + 1), ZCMEM_ENOENT);
    assert_status(zcmem_context_free(context, addr + CONTEXTS_QUANTUM), ZCMEM_ENOENT);
    assert_status(zcmem_context_free(context, 8), ZCMEM_ENOENT);
    assert_ok(zcmem_mem_pin(world.hal, addr));
    assert_status(zcmem_context_free(context, addr), ZCMEM_EBUSY);
    assert_ok(zcmem_mem_unpin(world.hal, addr));
    assert_ok(zcmem_context_free(context, addr));
    /* Kept, it is live for nobody. */
    assert_status(zcmem_context_free(context, addr), ZCMEM_ENOENT);
    assert_status(zcmem_context_free(world.context[1], addr), ZCMEM_ENOENT);
    assert_status(zcmem_mem_free(world.hal, addr), ZCMEM_ENOENT);
    assert_status(zcmem_mem_free_deferred(world.hal, addr), ZCMEM_ENOENT);
    assert_status(zcmem_mem_resize(world.hal, addr, 10), ZCMEM_ENOENT);
    assert_status(zcmem_mem_pin(world.hal, addr), ZCMEM_ENOENT);
    /* Through one, back through another, and past both. */
    addr = contexts_alloc(context, 300);
    assert_ok(zcmem_context_free(world.context[1], addr));
    assert_status(zcmem_context_free(context, addr), ZCMEM_ENOENT);
    addr = contexts_alloc(world.context[1], 300);
    assert_ok(zcmem_mem_free(world.hal, addr));
    assert_ok(zcmem_mem_alloc(world.hal, 0, 300, 1, &addr));
    assert_ok(zcmem_context_free(world.context[2], addr));
    for (hal_size_t align = 1; align <= 4096; align *= 2) {
      assert_ok(zcmem_context_alloc(context, 0, 0, align, &addr));
      assert_ok(zcmem_context_alloc(context, 0, 1000, align, &other));
      assert_int_equal(addr % align + other % align, 0);
      assert_true(addr != other);
      assert_ok(zcmem_context_free(context, addr));
      assert_ok(zcmem_context_free(context, other));
    }
    contexts_close_all(&world);
  }
}

#ifdef ZCMEM__MAGAZINES
/* Once a size goes to and fro, a pair touches neither the lock nor the heap. */
static void test_pairs_take_no_lock(void **state) {
  (void)state;
  for (size_t lock = 0; lock < LOCKS; lock++) {
    contexts_open_all(&world, locks[lock]);
    for (hal_size_t size = 1; size <= 1 << 14; size *= 3) {
      contexts_churn(world.context[0], size, 1, 2);
      uint32_t version = version_now();
      unsigned taken = fake.lock_calls;
      contexts_churn(world.context[0], size, 1, 100);
      assert_int_equal(version_now(), version);
      assert_int_equal(fake.lock_calls, taken);
    }
    struct zcmem_region_stats stats = magazines_stats(world.hal, 0);
    assert_true(stats.magazine_hits >= 900 && stats.magazine_frees >= 900);
    contexts_close_all(&world);
  }
}

/* With zcmem_lock_none claims do not swap; with any other lock they do, since another task may come. */
static void test_who_is_alone(void **state) {
  (void)state;
  for (size_t lock = 0; lock < LOCKS; lock++) {
    contexts_open_all(&world, locks[lock]);
    contexts_churn(world.context[0], 100, 8, 2);
    bool none = locks[lock] == &zcmem_lock_none;
    assert_int_equal(magazines_of(0)->alone, none);
    assert_int_equal(world.hal->regions[0].heap->shared, none ? ZCMEM__SHARED_ONE : ZCMEM__SHARED_MANY);
    contexts_close_all(&world);
  }
}

static void test_fewer_blocks(void **state) {
  static const uint32_t blocks[] = {1, 3, 16};
  (void)state;
  for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
    contexts_open_hal(&world, &zcmem_lock_none);
    contexts_open(&world, 0, blocks[i]);
    contexts_churn(world.context[0], 100, 100, 2); /* one quantum: four times as many */
    assert_int_equal(magazines_of(0)->of[1].most, 4 * blocks[i]);
    assert_true(magazines_of(0)->of[1].count >= 2 * blocks[i]); /* when it is full, half of it goes to the depot */
    contexts_churn(world.context[0], 20 * CONTEXTS_QUANTUM, 20, 2);
    struct magazines_sum sum = magazines_look(world.hal, 0);
    assert_int_equal(magazines_of(0)->of[20].most, blocks[i]);
    assert_true(magazines_of(0)->of[20].count >= 1 && magazines_of(0)->of[20].count <= blocks[i]);
    assert_true(sum.quanta <= sum.limit);
    assert_ok(zcmem_context_destroy(world.context[0]));
    assert_int_equal(zcmem_hal_destroy(world.hal), 0);
  }
}

static void test_the_share_is_bounded(void **state) {
  (void)state;
  contexts_open_hal(&world, &fake_lock);
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .lock = &fake_lock};
  struct zcmem_region_config region = contexts_region(&world);
  region.magazine_share = 4; /* of 8192 quanta 128 */
  assert_ok(zcmem_hal_init(world.hal_memory, sizeof world.hal_memory, &config, &world.hal));
  assert_ok(zcmem_hal_add_region(world.hal, &region, NULL));
  for (unsigned i = 0; i < CONTEXTS; i++) {
    contexts_open(&world, i, 0);
    for (hal_size_t size = 1; size < 10000; size += 300) {
      contexts_churn(world.context[i], size, 8, 2);
      struct magazines_sum sum = magazines_look(world.hal, 0);
      assert_int_equal(sum.limit, 128);
      assert_true(sum.quanta <= 128);
    }
  }
  contexts_close_all(&world);
}

/* What all contexts keep is there for whoever needs it: in bytes, and in blocks. */
static void test_no_request_fails_for_what_is_kept(void **state) {
  hal_addr_t addr, many[CONTEXTS_BLOCKS];
  (void)state;
  for (size_t lock = 0; lock < LOCKS; lock++) {
    for (unsigned who = 0; who < 4; who++) {
      contexts_open_all(&world, locks[lock]);
      for (unsigned i = 0; i < CONTEXTS; i++) {
        contexts_churn(world.context[i], 100 + 400 * (hal_size_t)i, 30, 4);
      }
      assert_true(magazines_look(world.hal, 0).in_magazines > 30);
      if (who == 0) { /* past all of them, then through each */
        assert_ok(zcmem_mem_alloc(world.hal, 0, CONTEXTS_BYTES, 1, &addr));
        assert_ok(zcmem_mem_free(world.hal, addr));
      } else {
        addr = contexts_alloc(world.context[who - 1], CONTEXTS_BYTES);
        assert_ok(zcmem_context_free(world.context[who - 1], addr));
      }
      contexts_churn(world.context[0], 100, 30, 4);
      for (unsigned i = 0; i < CONTEXTS_BLOCKS; i++) {
        many[i] = contexts_alloc(world.context[who % CONTEXTS], 1500);
      }
      assert_status(zcmem_context_alloc(world.context[0], 0, 1, 1, &addr), ZCMEM_ENOMEM);
      for (unsigned i = 0; i < CONTEXTS_BLOCKS; i++) {
        assert_ok(zcmem_context_free(world.context[i % CONTEXTS], many[i]));
      }
      contexts_close_all(&world);
    }
  }
}

static void test_drain(void **state) {
  (void)state;
  contexts_open_all(&world, &fake_lock);
  assert_ok(zcmem_context_drain(world.context[0]));         /* nothing, and no magazines yet */
  for (hal_size_t size = 1; size < 24 * 128; size += 128) { /* more than one hold of the lock gives back */
    contexts_churn(world.context[0], size, 4, 4);
  }
  contexts_churn(world.context[1], 100, 8, 4);
  uint64_t others = 0, kept = magazines_look(world.hal, 0).blocks;
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    others += magazines_of(1)->of[size].count;
  }
  assert_true(kept > others + 64 && others > 0);
  unsigned taken = fake.lock_calls;
  assert_ok(zcmem_context_drain(world.context[0]));
  assert_true(fake.lock_calls - taken > (kept - others) / 64);
  assert_int_equal(magazines_look(world.hal, 0).blocks, others);
  contexts_churn(world.context[0], 100, 8, 4);
  assert_true(magazines_look(world.hal, 0).blocks > others);
  contexts_close_all(&world);
}

/* Regions of which nothing is kept: their calls work all the same. */
static void test_regions_without(void **state) {
  static alignas(64) unsigned char images[2][64 * 1024];
  static unsigned char host[1 << 16];
  (void)state;
  contexts_open_all(&world, &fake_lock);
  struct zcmem_region_config region = contexts_region(&world);
  region.name = "later";
  region.base = 1 << 28;
  region.size = sizeof host;
  region.max_blocks = 64;
  region.image = images[0];
  region.image_bytes = sizeof images[0];
  assert_ok(zcmem_hal_add_region(world.hal, &region, NULL));
  region.name = "hard";
  region.base = 1 << 29;
  region.host = host;
  region.red_zone = 64;
  region.image = images[1];
  assert_ok(zcmem_hal_add_region(world.hal, &region, NULL));
  assert_null(world.hal->regions[2].depot);
  assert_ok(zcmem_context_destroy(world.context[0]));
  contexts_open(&world, 0, 0); /* context 0 is over all three, the others over the first */
  for (uint32_t at = 1; at < 3; at++) {
    for (unsigned i = 0; i < CONTEXTS; i++) {
      hal_addr_t addr = 0;
      for (int round = 0; round < 4; round++) {
        assert_ok(zcmem_context_alloc(world.context[i], at, 100, 1, &addr));
        assert_ok(zcmem_context_free(world.context[i], addr));
        assert_status(zcmem_context_free(world.context[i], addr), ZCMEM_ENOENT);
      }
    }
  }
  assert_int_equal(magazines_look(world.hal, 1).made, 1);
  assert_int_equal(magazines_look(world.hal, 1).blocks, 1);
  assert_int_equal(magazines_stats(world.hal, 2).live, 0);
  contexts_close_all(&world);
}

/* ------------------------------------------------------------------------------------------------- an image -- */

/* What contexts share lies in the region's image: it is told, asked for, and no other region's. */
static void test_the_image_is_larger(void **state) {
  (void)state;
  struct zcmem_region_config region = contexts_region(&world);
  size_t with = zcmem_region_bytes(&region);
  region.flags = 0;
  size_t without = zcmem_region_bytes(&region);
  assert_true(with > without + 20 * CONTEXTS_BLOCKS);
  region.flags = ZCMEM_REGION_CONTEXTS;
  region.magazine_share = ZCMEM_MAGAZINE_NONE;
  assert_int_equal(zcmem_region_bytes(&region), without);
  region.magazine_share = 0;
  region.quarantine = 100;
  assert_int_equal(zcmem_region_bytes(&region), without);
  contexts_open_hal(&world, &fake_lock);
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 2, .lock = &fake_lock, .allocator = &fake_allocator};
  assert_ok(zcmem_hal_init(world.hal_memory, sizeof world.hal_memory, &config, &world.hal));
  region = contexts_region(&world);
  region.image_bytes = with - 1;
  assert_status(zcmem_hal_add_region(world.hal, &region, NULL), ZCMEM_ENOMEM);
  region.image_bytes = with;
  world.image[with] = 0x77;
  assert_ok(zcmem_hal_add_region(world.hal, &region, NULL));
  region.name = "more";
  region.base = 1 << 28;
  region.image = world.image + (with - 64);
  region.image_bytes = sizeof world.image - with;
  assert_status(zcmem_hal_add_region(world.hal, &region, NULL), ZCMEM_EOVERLAP);
  region.image = NULL; /* from the allocator, which gets back what it gave */
  assert_ok(zcmem_hal_add_region(world.hal, &region, NULL));
  contexts_open(&world, 0, 1);
  contexts_churn(world.context[0], 100, 8, 4);
  for (int i = 0; i < 8; i++) {
    hal_addr_t addr;
    assert_ok(zcmem_context_alloc(world.context[0], 1, 100, 1, &addr));
    assert_ok(zcmem_context_free(world.context[0], addr));
  }
  assert_int_equal(world.image[with], 0x77);
  assert_ok(zcmem_context_destroy(world.context[0]));
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
  assert_int_equal(fake.allocations, 0);
}

/* ------------------------------------------------------------------------------------------ two at a time -- */

static struct {
  struct zcmem_context *context;
  enum zcmem_status alloc, free, drain, destroy;
  unsigned calls, waits;
  struct zcmem__magazines *busy;
} intruder;

/* A lock in which the context is called that is just calling. */
static int lock_and_intrude(void *lock) {
  hal_addr_t addr;
  if (intruder.context != NULL) {
    struct zcmem_context *context = intruder.context;
    intruder.context = NULL;
    intruder.alloc = zcmem_context_alloc(context, 0, 100, 1, &addr);
    intruder.free = zcmem_context_free(context, CONTEXTS_BASE);
    intruder.drain = zcmem_context_drain(context);
    intruder.destroy = zcmem_context_destroy(context);
    intruder.calls++;
  }
  return fake_lock.lock(lock);
}

/* The owner runs, and leaves its magazines. */
static void wait_for_owner(void *lock) {
  (void)lock;
  assert_int_equal(fake.locks_held, 1);
  if (++intruder.waits == 3) {
    zcmem__magazines_leave(intruder.busy);
  }
}

static void test_a_second_call_is_told(void **state) {
  struct zcmem_lock_ops ops = fake_lock;
  hal_addr_t addr;
  (void)state;
  ops.lock = lock_and_intrude;
  memset(&intruder, 0, sizeof intruder);
  contexts_open_all(&world, &ops);
  for (unsigned call = 0; call < 3; call++) {
    contexts_churn(world.context[0], 100, 8, 1);
    intruder.context = world.context[0];
    if (call == 0) {
      addr = contexts_alloc(world.context[0], 5000);
      assert_ok(zcmem_mem_free(world.hal, addr));
    } else {
      assert_ok(call == 1 ? zcmem_context_drain(world.context[0]) : zcmem_context_destroy(world.context[0]));
    }
    assert_int_equal(intruder.calls, call + 1);
    assert_status(intruder.alloc, ZCMEM_EBUSY);
    assert_status(intruder.free, ZCMEM_EBUSY);
    assert_status(intruder.drain, ZCMEM_EBUSY);
    assert_status(intruder.destroy, ZCMEM_EBUSY);
  }
  contexts_open(&world, 0, 0);
  contexts_churn(world.context[0], 100, 8, 1);
  zcmem__atomic_publish(&magazines_of(0)->state, ZCMEM__BARRIER_BUSY); /* the other one is on the fast path */
  assert_status(zcmem_context_alloc(world.context[0], 0, 100, 1, &addr), ZCMEM_EBUSY);
  assert_status(zcmem_context_free(world.context[0], CONTEXTS_BASE), ZCMEM_EBUSY);
  assert_status(zcmem_context_drain(world.context[0]), ZCMEM_EBUSY);
  assert_status(zcmem_context_destroy(world.context[0]), ZCMEM_EBUSY);
  zcmem__magazines_leave(magazines_of(0));
  contexts_close_all(&world);
}

static void test_who_has_to_wait_lets_others_run(void **state) {
  struct zcmem_lock_ops ops = fake_lock;
  (void)state;
  ops.wait = wait_for_owner;
  memset(&intruder, 0, sizeof intruder);
  contexts_open_all(&world, &ops);
  contexts_churn(world.context[0], 100, 8, 4);
  intruder.busy = magazines_of(0);
  zcmem__atomic_publish(&intruder.busy->state, ZCMEM__BARRIER_BUSY); /* as if it were interrupted there */
  assert_int_equal(magazines_stats(world.hal, 0).live, 0);
  assert_int_equal(intruder.waits, 3);
  contexts_close_all(&world);
}

/* While calls are recorded each takes the lock; then it is as before. */
static void count_event(void *ctx, const struct zcmem_event *event) {
  (void)event;
  ++*(unsigned *)ctx;
}

static void test_calls_are_recorded(void **state) {
  unsigned events = 0;
  const struct zcmem_recorder recorder = {.event = count_event, .ctx = &events};
  (void)state;
  contexts_open_all(&world, &zcmem_lock_none);
  contexts_churn(world.context[0], 100, 8, 4);
  assert_ok(zcmem_hal_set_recorder(world.hal, &recorder));
  assert_int_equal(magazines_look(world.hal, 0).blocks, 0);
  contexts_churn(world.context[0], 100, 8, 4);
  contexts_churn(world.context[1], 100, 8, 4); /* its first calls */
  assert_int_equal(events, 2 * 2 * 8 * 4);
  assert_int_equal(magazines_look(world.hal, 0).blocks, 0);
  assert_ok(zcmem_hal_set_recorder(world.hal, NULL));
  contexts_churn(world.context[0], 100, 8, 4);
  assert_int_equal(magazines_look(world.hal, 0).blocks, 8);
  contexts_close_all(&world);
}
#else
static void test_without_magazines(void **state) {
  (void)state;
  struct zcmem_region_config region = contexts_region(&world);
  size_t with = zcmem_region_bytes(&region);
  region.flags = 0;
  assert_int_equal(zcmem_region_bytes(&region), with);
  contexts_open_all(&world, &fake_lock);
  unsigned taken = fake.lock_calls;
  contexts_churn(world.context[0], 100, 8, 4);
  assert_int_equal(fake.lock_calls - taken, 2 * 8 * 4);
  assert_ok(zcmem_context_drain(world.context[0]));
  contexts_close_all(&world);
}
#endif

#ifdef ZCMEM__DIRECT
/* Not about contexts, but about tasks: also where no thread has a name transfers without the lock make frees swap. */
static void test_a_transfer_is_counted_beside_frees(void **state) {
  static unsigned char host[1 << 16];
  hal_addr_t addr;
  (void)state;
  contexts_open_hal(&world, &fake_lock);
  struct zcmem_region_config region = contexts_region(&world);
  static alignas(64) unsigned char image[64 * 1024];
  region.name = "plain";
  region.flags = ZCMEM_REGION_COHERENT;
  region.base = 1 << 28;
  region.size = sizeof host;
  region.host = host;
  region.max_blocks = 64;
  region.image = image;
  region.image_bytes = sizeof image;
  assert_ok(zcmem_hal_add_region(world.hal, &region, NULL));
  assert_ok(zcmem_mem_alloc(world.hal, 1, 100, 1, &addr));
  assert_int_equal(world.hal->regions[1].heap->shared, ZCMEM__SHARED_NOT);
  assert_ok(zcmem_mem_write(world.hal, addr, "x", 1));
  assert_int_equal(world.hal->regions[1].heap->shared, ZCMEM__SHARED_MANY);
  assert_ok(zcmem_mem_free(world.hal, addr));
  assert_int_equal(zcmem_hal_destroy(world.hal), 0);
}
#endif

/* ------------------------------------------------------------------------------------------ beside threads -- */

#ifdef ZCMEM__THREAD_MAGAZINES
/* A thread that has magazines was alone until now; from the context's first block on it is not. */
static void test_beside_a_thread_with_magazines(void **state) {
  static alignas(64) unsigned char memory[100 * 1024];
  const uint32_t flags[] = {0, ZCMEM_REGION_CONTEXTS};
  (void)state;
  for (size_t i = 0; i < 2; i++) {
    const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES};
    struct zcmem_region_config region = contexts_region(&world);
    region.flags = flags[i];
    region.image = NULL;
    struct zcmem_hal *hal = NULL;
    struct zcmem_context *context = NULL;
    assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
    hal_addr_t addr = magazines_alloc(hal, 100);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_true(zcmem__atomic_word_acquire(&hal->regions[0].lone) != 0);
    const struct zcmem_context_config how = {.hal = hal};
    assert_ok(zcmem_context_init(memory, sizeof memory, &how, &context));
    assert_true(zcmem__atomic_word_acquire(&hal->regions[0].lone) != 0);
    contexts_churn(context, 100, 8, 4);
    assert_true(zcmem__atomic_word_acquire(&hal->regions[0].lone) == 0);
    assert_int_equal(hal->regions[0].heap->shared, ZCMEM__SHARED_MANY);
    assert_int_equal(magazines_look(hal, 0).owners, 2);
    assert_true(magazines_look(hal, 0).blocks >= 8);
    addr = magazines_alloc(hal, CONTEXTS_BYTES); /* the thread gets what the context keeps */
    assert_ok(zcmem_context_free(context, addr));
    addr = contexts_alloc(context, 300);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_status(zcmem_context_free(context, addr), ZCMEM_ENOENT);
    assert_ok(zcmem_context_destroy(context));
    assert_int_equal(magazines_look(hal, 0).owners, 1);
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

/* In the child contexts are as they were, also one in which a thread was that is not there. 0: all is well. */
static int be_the_child(hal_addr_t live) {
  struct magazines_sum sum;
  hal_addr_t addr = 0;
  for (unsigned i = 0; i < CONTEXTS; i++) {
    for (int round = 0; round < 100; round++) {
      if (zcmem_context_alloc(world.context[i], 0, 100, 1, &addr) != ZCMEM_OK ||
          zcmem_context_free(world.context[i], addr) != ZCMEM_OK ||
          zcmem_context_free(world.context[i], addr) != ZCMEM_ENOENT) {
        return 1;
      }
    }
  }
  if (zcmem_context_free(world.context[1], live) != ZCMEM_OK) {
    return 2;
  }
  if (magazines_check(world.hal, 0, &sum) != NULL || sum.owners != CONTEXTS || sum.blocks == 0) {
    return 3;
  }
  for (unsigned i = 0; i < CONTEXTS; i++) {
    if (zcmem_context_destroy(world.context[i]) != ZCMEM_OK) {
      return 4;
    }
  }
  return zcmem_hal_check(world.hal) != ZCMEM_OK ? 5 : zcmem_hal_destroy(world.hal) != 0 ? 6 : 0;
}

static void test_fork(void **state) {
  int status = 0;
  (void)state;
  contexts_open_all(&world, &zcmem_lock_pthread);
  for (unsigned i = 0; i < CONTEXTS; i++) {
    contexts_churn(world.context[i], 100, 8, 4);
  }
  hal_addr_t live = contexts_alloc(world.context[0], 100);
  zcmem__atomic_publish(&world.context[2]->busy, 1); /* a call of another thread, which waits for the lock */
  pid_t child = fork();
  if (child == 0) {
    child_exit(be_the_child(live));
  }
  assert_true(child > 0);
  zcmem__atomic_publish(&world.context[2]->busy, 0);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_ok(zcmem_context_free(world.context[0], live));
  contexts_close_all(&world);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_bytes, reset_fake),
      cmocka_unit_test_setup(test_init_checks_its_arguments, reset_fake),
      cmocka_unit_test_setup(test_ended_ones_are_told, reset_fake),
      cmocka_unit_test_setup(test_the_hal_ends_before_them, reset_fake),
      cmocka_unit_test_setup(test_all_statuses_of_blocks, reset_fake),
#ifdef ZCMEM__MAGAZINES
      cmocka_unit_test_setup(test_pairs_take_no_lock, reset_fake),
      cmocka_unit_test_setup(test_who_is_alone, reset_fake),
      cmocka_unit_test_setup(test_fewer_blocks, reset_fake),
      cmocka_unit_test_setup(test_the_share_is_bounded, reset_fake),
      cmocka_unit_test_setup(test_no_request_fails_for_what_is_kept, reset_fake),
      cmocka_unit_test_setup(test_drain, reset_fake),
      cmocka_unit_test_setup(test_regions_without, reset_fake),
      cmocka_unit_test_setup(test_the_image_is_larger, reset_fake),
      cmocka_unit_test_setup(test_a_second_call_is_told, reset_fake),
      cmocka_unit_test_setup(test_who_has_to_wait_lets_others_run, reset_fake),
      cmocka_unit_test_setup(test_calls_are_recorded, reset_fake),
#else
      cmocka_unit_test_setup(test_without_magazines, reset_fake),
#endif
#ifdef ZCMEM__DIRECT
      cmocka_unit_test_setup(test_a_transfer_is_counted_beside_frees, reset_fake),
#endif
#ifdef ZCMEM__THREAD_MAGAZINES
      cmocka_unit_test_setup(test_beside_a_thread_with_magazines, reset_fake),
      cmocka_unit_test_setup(test_fork, reset_fake),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
