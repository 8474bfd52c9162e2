/* SPDX-License-Identifier: MIT */
/*
 * What another thread may do in the middle of a free or a realloc, at each place where it could: a lock that is about
 * to be taken for the n-th time first does it. So each interleaving that matters runs, and always the same.
 */
#include "unit.h"
#include <string.h>
#include <zcmem/zcmem.h>

#define BYTES ((size_t)65536)
#define SIZE ((size_t)1000)
#define LARGE ((size_t)20000)
#define RW (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

/* A kind that the host sees, and one that it sees through windows. */
enum { SEEN = ZCMEM_KIND_USER, FAR, KINDS_END };

static struct zcmem_hal *hal;
static _Alignas(128) unsigned char seen[BYTES];

/*
 * The driver gives the first window that is free: so a pointer comes back for another device address, and an address
 * by another pointer.
 */
#define WINDOWS 8
static _Alignas(128) unsigned char windows[WINDOWS][32768];
static hal_addr_t shown[WINDOWS]; /* what is mapped there; 0: nothing */

static int window_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx, (void)flags;
  assert_true(size <= sizeof windows[0]);
  for (int i = 0; i < WINDOWS; i++) {
    if (shown[i] == 0) {
      shown[i] = addr;
      *host = windows[i];
      return 0;
    }
  }
  return -1;
}

static int window_unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  int i = 0;
  (void)ctx, (void)size;
  while (i < WINDOWS && windows[i] != host) {
    i++;
  }
  assert_true(i < WINDOWS);
  assert_true(shown[i] == addr);
  shown[i] = 0;
  return 0;
}

static const struct zcmem_region_ops window_ops = {.map = window_map, .unmap = window_unmap};

/* ------------------------------------------------------------------------------------------------------ the lock -- */

static struct {
  unsigned in; /* 0: never; n: before the n-th lock from now is taken */
  void (*act)(void);
  unsigned held;
} other;

static int lock_init(void *lock) {
  (void)lock;
  return 0;
}

static void lock_destroy(void *lock) {
  (void)lock;
}

static int lock_take(void *lock) {
  (void)lock;
  assert_int_equal(other.held, 0);
  if (other.in > 0 && --other.in == 0) {
    other.act();
  }
  other.held++;
  return 0;
}

static void lock_drop(void *lock) {
  (void)lock;
  other.held--;
}

static const struct zcmem_lock_ops lock = {
    .bytes = 1, .init = lock_init, .destroy = lock_destroy, .lock = lock_take, .unlock = lock_drop};

/* ---------------------------------------------------------------------------------------------------- the victim -- */

/* The block that both are after, one beside it, and what was told. */
static uint32_t kind;
static unsigned char *victim, *bystander;
static hal_addr_t victim_addr;
static unsigned told;
static enum zcmem_status last_told;

static void tell(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)ctx, (void)function, (void)ptr, (void)size;
  told++;
  last_told = status;
}

static void open_hal(void) {
  const struct zcmem_region_config configs[2] = {
      {.name = "seen", .kind = SEEN, .base = (hal_addr_t)1 << 32, .size = BYTES, .max_blocks = 16, .host = seen},
      {.name = "far", .kind = FAR, .base = (hal_addr_t)2 << 32, .size = BYTES, .max_blocks = 16, .ops = &window_ops}};
  const struct zcmem_hal_config config = {.name = "races", .max_regions = 2, .max_mappings = 8, .lock = &lock};
  memset(&other, 0, sizeof other);
  memset(shown, 0, sizeof shown);
  assert_ok(zcmem_hal_create(&config, configs, 2, &hal));
  assert_ok(zcmem_malloc_set_hal(hal));
  zcmem_malloc_set_handler(tell, NULL);
  victim = zcmem_malloc(kind, SIZE);
  bystander = zcmem_malloc(kind, SIZE);
  assert_non_null(victim);
  assert_non_null(bystander);
  memset(victim, 0x11, SIZE);
  memset(bystander, 0x22, SIZE);
  assert_ok(zcmem_mem_device(hal, victim, &victim_addr, NULL));
  told = 0;
}

static uint64_t live(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, kind == SEEN ? 0 : 1, &stats));
  return stats.live;
}

/* The pointer is a block that is all there: it translates, is mapped and can be freed. */
static void assert_whole(unsigned char *ptr, size_t size) {
  hal_size_t remaining = 0;
  hal_addr_t addr = 0;
  assert_int_equal(zcmem_malloc_size(ptr), size);
  assert_ok(zcmem_mem_device(hal, ptr, &addr, &remaining));
  assert_int_equal(remaining, size);
  told = 0;
  zcmem_free(kind, ptr);
  assert_int_equal(told, 0);
}

/* Nothing is left but the one that nobody touched. */
static void close_hal(void) {
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(live(), 1);
  for (size_t i = 0; i < SIZE; i++) {
    assert_int_equal(bystander[i], 0x22);
  }
  assert_whole(bystander, SIZE);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (int i = 0; i < WINDOWS; i++) {
    assert_true(shown[i] == 0);
  }
}

/*
 * Runs `call` once for each place that `act` can happen at, in both kinds of region, with `check` after each; the last
 * run is one that act is too late for.
 */
static void at_every_lock(void (*call)(void), void (*act)(void), void (*check)(void)) {
  for (kind = SEEN; kind < KINDS_END; kind++) {
    unsigned n = 0;
    bool happened = true;
    while (happened) {
      open_hal();
      other.act = act;
      other.in = ++n;
      call();
      happened = other.in == 0;
      other.in = 0;
      if (happened) {
        check();
      } else {
        assert_int_equal(told, 0);
        assert_int_equal(zcmem_malloc_size(victim), 0);
      }
      close_hal();
    }
    assert_true(n > (kind == SEEN ? 1u : 5u)); /* it did happen: far, before each of find, judge, take, zombie, end */
  }
}

static void do_free(void) {
  zcmem_free(kind, victim);
}

/* Where it succeeds the new block is freed, so that nothing of the victim is left wherever it went. */
static void do_realloc(void) {
  unsigned char *moved = zcmem_realloc(kind, victim, LARGE);
  if (moved == NULL) {
    assert_int_equal(told, 1);
    return;
  }
  for (size_t i = 0; i < SIZE; i++) {
    assert_int_equal(moved[i], 0x11);
  }
  unsigned before = told;
  zcmem_free(kind, moved);
  assert_true(told == before || other.in == 0); /* what is told then is told the other */
}

/* The same for the other, whose failure is told. */
static void realloc_too(void) {
  unsigned char *moved = zcmem_realloc(kind, victim, LARGE);
  if (moved != NULL) {
    assert_int_equal(moved[SIZE - 1], 0x11);
    zcmem_free(kind, moved);
  }
}

/* ------------------------------------------------------------------------------------------------ what may happen --
 */

/* Of two that free, one succeeds. */
static void check_once_told(void) {
  assert_int_equal(told, 1);
  assert_status(last_told, ZCMEM_ENOENT);
}

static void test_two_frees(void **state) {
  (void)state;
  at_every_lock(do_free, do_free, check_once_told);
}

/* The old pointer may be handed out again; then either free may have been meant for the new block. */
static unsigned char *again, *elsewhere;

static void free_and_reuse(void) {
  zcmem_free(kind, victim);
  again = zcmem_malloc(kind, SIZE);
}

static void check_reuse(void) {
  assert_non_null(again);
  if (told == 0) {
    assert_ptr_equal(again, victim);
    assert_int_equal(zcmem_malloc_size(again), 0);
  } else {
    check_once_told();
    assert_whole(again, SIZE);
  }
}

static void test_a_free_and_a_new_block_at_the_same_place(void **state) {
  (void)state;
  at_every_lock(do_free, free_and_reuse, check_reuse);
}

/* Or be that of a block at another address, while the old address is that of a block with another pointer. */
static void free_and_swap(void) {
  zcmem_free(kind, victim);
  again = zcmem_malloc(kind, 2 * SIZE); /* far: by the old pointer, since its window is free */
  elsewhere = zcmem_malloc(kind, SIZE); /* at the old address, which was too small for the other */
}

static void check_swapped(void) {
  unsigned char *same = kind == SEEN ? elsewhere : again, *innocent = kind == SEEN ? again : elsewhere;
  if (told == 0) {
    assert_ptr_equal(same, victim);
    assert_int_equal(zcmem_malloc_size(same), 0);
  } else {
    check_once_told();
    assert_whole(same, kind == SEEN ? SIZE : 2 * SIZE);
  }
  assert_whole(innocent, kind == SEEN ? 2 * SIZE : SIZE);
}

static void test_a_free_and_blocks_that_swap_places(void **state) {
  (void)state;
  at_every_lock(do_free, free_and_swap, check_swapped);
}

/* A pin comes in time, and all of the block stays, or too late, and finds nothing. */
static enum zcmem_status answer;

static void pin(void) {
  answer = zcmem_mem_pin(hal, victim_addr);
}

static void check_pinned(void) {
  if (answer == ZCMEM_OK) {
    assert_int_equal(told, 1);
    assert_status(last_told, ZCMEM_EBUSY);
    assert_int_equal(victim[SIZE - 1], 0x11);
    assert_ok(zcmem_mem_unpin(hal, victim_addr));
    assert_whole(victim, SIZE);
  } else {
    assert_status(answer, ZCMEM_ENOENT);
    assert_int_equal(told, 0);
  }
}

static void test_a_pin(void **state) {
  (void)state;
  at_every_lock(do_free, pin, check_pinned);
}

/* The same by a mapping of the same range, which shares the block's own (or not, while that is taken). */
static void *mapping;

static void map(void) {
  answer = zcmem_mem_map(hal, victim_addr, SIZE, RW, &mapping);
}

static void check_mapped(void) {
  if (answer == ZCMEM_OK) {
    assert_int_equal(told, 1);
    assert_status(last_told, ZCMEM_EBUSY);
    assert_int_equal(victim[SIZE - 1], 0x11);
    assert_ok(zcmem_mem_unmap(hal, mapping));
    assert_whole(victim, SIZE);
  } else {
    assert_status(answer, ZCMEM_ENOENT);
    assert_int_equal(told, 0);
  }
}

static void test_a_mapping(void **state) {
  (void)state;
  at_every_lock(do_free, map, check_mapped);
}

/* Who uses a block can translate its pointer at any time, also while a free of it is being refused. */
static void translate(void) {
  hal_addr_t addr = 0;
  answer = zcmem_mem_device(hal, victim, &addr, NULL);
}

static void test_a_refused_free_never_hides_the_block(void **state) {
  unsigned n = 0;
  (void)state;
  for (kind = SEEN; kind < KINDS_END; kind++) {
    bool happened = true;
    for (n = 0; happened; n++) {
      open_hal();
      assert_ok(zcmem_mem_pin(hal, victim_addr));
      answer = ZCMEM_OK;
      other.act = translate;
      other.in = n + 1;
      do_free();
      happened = other.in == 0;
      other.in = 0;
      assert_ok(answer);
      assert_int_equal(told, 1);
      assert_status(last_told, ZCMEM_EBUSY);
      assert_ok(zcmem_mem_unpin(hal, victim_addr));
      assert_whole(victim, SIZE);
      close_hal();
    }
    assert_true(n > 1);
  }
}

/* A reallocation that moves uses the block first, then frees it. */
static void check_one_succeeded(void) {
  assert_int_equal(told, 1);
  assert_true(last_told == ZCMEM_ENOENT || last_told == ZCMEM_EBUSY);
}

static void test_a_free_in_a_realloc(void **state) {
  (void)state;
  at_every_lock(do_realloc, do_free, check_one_succeeded);
}

static void test_two_reallocs(void **state) {
  (void)state;
  at_every_lock(do_realloc, realloc_too, check_one_succeeded);
}

static void test_a_pin_in_a_realloc(void **state) {
  (void)state;
  at_every_lock(do_realloc, pin, check_pinned);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_two_frees),
      cmocka_unit_test(test_a_free_and_a_new_block_at_the_same_place),
      cmocka_unit_test(test_a_free_and_blocks_that_swap_places),
      cmocka_unit_test(test_a_pin),
      cmocka_unit_test(test_a_mapping),
      cmocka_unit_test(test_a_refused_free_never_hides_the_block),
      cmocka_unit_test(test_a_free_in_a_realloc),
      cmocka_unit_test(test_two_reallocs),
      cmocka_unit_test(test_a_pin_in_a_realloc),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
