/* SPDX-License-Identifier: MIT */
/*
 * What another thread may do between the look-up of a transfer's begin and its compare-and-swap, step by step: use.c is
 * compiled once more, with a call in the middle.
 */
#include "hal_impl.h"
#include "magazine.h"
#include "unit.h"
#include <string.h>
#include <zcmem/zcmem.h>

#ifdef ZCMEM__DIRECT
static void (*meanwhile)(void);

/* Once: what the other thread does must not happen to the next try. */
static uint64_t interrupted(uint64_t life) {
  void (*now)(void) = meanwhile;
  meanwhile = NULL;
  if (now != NULL) {
    now();
  }
  return life;
}

#define zcmem__use_begin begin_interrupted
#define zcmem__use_end end_interrupted
#define zcmem__use_begin_thorough begin_thorough_interrupted
#define zcmem__use_end_thorough end_thorough_interrupted
#define zcmem__use_take_back take_back_interrupted
#define zcmem__life_with(life, use) (zcmem__life_with)(interrupted(life), use)
#include "use.c"
#undef zcmem__life_with

enum { BASE = 1 << 20, BYTES = 1000 };

static unsigned char memory[1 << 16];
static struct zcmem_hal *hal;
static struct zcmem__region *region;
static hal_addr_t addr;
static struct zcmem__use other; /* another thread's transfer */

static int setup(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1};
  const struct zcmem_region_config dram = {.name = "dram",
                                           .kind = ZCMEM_KIND_DRAM,
                                           .flags = ZCMEM_REGION_COHERENT,
                                           .base = BASE,
                                           .size = sizeof memory,
                                           .max_blocks = 16,
                                           .host = memory};
  (void)state;
  assert_ok(zcmem_hal_create(&config, &dram, 1, &hal));
  assert_ok(zcmem_mem_alloc(hal, 0, BYTES, 1, &addr));
  assert_ok(zcmem_mem_fill(hal, addr, "x", 1, BYTES)); /* opens the region */
  region = &hal->regions[0];
  meanwhile = NULL;
  return 0;
}

static int teardown(void **state) {
  (void)state;
  assert_null(meanwhile); /* it did happen */
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  return 0;
}

static struct zcmem__block *block_at(hal_addr_t at) {
  uint32_t quantum = 0;
  assert_true(zcmem__heap_quantum(region->heap, at, &quantum));
  return zcmem__block(region->heap, zcmem__index_holder(region->heap, quantum));
}

static uint32_t transfers(hal_addr_t at) {
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(hal, at, &info));
  return info.transfers;
}

static void test_undisturbed(void **state) {
  struct zcmem__use use;
  (void)state;
  assert_ok(begin_interrupted(region, addr, BYTES, &use));
  assert_ptr_equal(use.block, block_at(addr));
  assert_int_equal(transfers(addr), 1);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_ok(end_interrupted(&use, ZCMEM__MOVED_READ, BYTES));
  assert_ok(zcmem_mem_free(hal, addr));
}

static void free_it(void) {
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_the_block_is_freed(void **state) {
  struct zcmem__use use;
  (void)state;
  meanwhile = free_it;
  assert_status(begin_interrupted(region, addr, BYTES, &use), ZCMEM_ENOENT);
}

static hal_addr_t next;

/* The same descriptor, for the same place, and a block that is smaller. */
static void free_and_allocate(void) {
  const struct zcmem__block *was = block_at(addr);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_ok(zcmem_mem_alloc(hal, 0, 100, 1, &next));
  assert_int_equal(next, addr);
  assert_ptr_equal(block_at(next), was);
}

static void test_the_descriptor_is_anothers(void **state) {
  struct zcmem__use use;
  (void)state;
  meanwhile = free_and_allocate;
  assert_status(begin_interrupted(region, addr, BYTES, &use), ZCMEM_EBOUNDS);
  assert_int_equal(transfers(next), 0);
  assert_ok(zcmem_mem_free(hal, next));
}

static void shrink(void) {
  assert_ok(zcmem_mem_resize(hal, addr, 100));
}

static void test_the_block_shrinks(void **state) {
  struct zcmem__use use;
  (void)state;
  meanwhile = shrink;
  assert_status(begin_interrupted(region, addr, BYTES, &use), ZCMEM_EBOUNDS);
  assert_int_equal(transfers(addr), 0);
  assert_ok(zcmem_mem_free(hal, addr));
}

/*
 * The use of a resize in the place of a use that has just ended: `use` is as it was. The resize has seen no use before
 * its own, so it may shrink the block; therefore the begin must not hold it. The generation that comes with it tells.
 */
static void end_other_and_begin_to_shrink(void) {
  struct zcmem__block *block = block_at(addr);
  assert_ok(end_interrupted(&other, ZCMEM__MOVED_READ, 1));
  assert_int_equal(block->use, ZCMEM__LIVE);
  zcmem__atomic_change(&region->version);
  block->use += ZCMEM__TRANSFER;
  block->generation = zcmem__generation_after(block->generation);
}

static void test_a_resize_takes_the_place_of_a_use(void **state) {
  struct zcmem__use use;
  (void)state;
  assert_ok(begin_interrupted(region, addr, 1, &other));
  meanwhile = end_other_and_begin_to_shrink;
  assert_ok(begin_interrupted(region, addr, BYTES, &use));
  assert_null(use.block); /* begun under the lock, which the resize would have held */
  zcmem__atomic_changed(&region->version);
  block_at(addr)->use -= ZCMEM__TRANSFER;
  assert_int_equal(transfers(addr), 1);
  assert_ok(end_interrupted(&use, ZCMEM__MOVED_READ, BYTES));
  assert_ok(zcmem_mem_free(hal, addr));
}

/*
 * What a magazine hands out again has the generation that it had; only its slack is another. As if this block, of 8
 * quanta, had been freed and handed out for 100 bytes less.
 */
static void pass_through_a_magazine(void) {
  block_at(addr)->slack += 100;
  region->heap->slack += 100;
}

static void test_the_block_comes_out_of_a_magazine_for_less(void **state) {
  struct zcmem__use use;
  (void)state;
  meanwhile = pass_through_a_magazine;
  assert_status(begin_interrupted(region, addr, BYTES, &use), ZCMEM_EBOUNDS);
  assert_int_equal(transfers(addr), 0);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void defer(void) {
  assert_ok(zcmem_mem_free_deferred(hal, addr));
}

static void test_the_block_becomes_a_zombie(void **state) {
  struct zcmem__use use;
  (void)state;
  assert_ok(begin_interrupted(region, addr, 1, &other));
  meanwhile = defer;
  assert_status(begin_interrupted(region, addr, BYTES, &use), ZCMEM_ENOENT);
  assert_ok(end_interrupted(&other, ZCMEM__MOVED_READ, 1));
}

static void pin(void) {
  assert_ok(zcmem_mem_pin(hal, addr));
}

static void test_others_use_the_block_as_well(void **state) {
  struct zcmem__use use;
  (void)state;
  meanwhile = pin;
  assert_ok(begin_interrupted(region, addr, BYTES, &use));
  assert_non_null(use.block); /* with the second try */
  assert_ok(end_interrupted(&use, ZCMEM__MOVED_READ, BYTES));
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_ok(zcmem_mem_free(hal, addr));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_undisturbed),
      TEST(test_the_block_is_freed),
      TEST(test_the_descriptor_is_anothers),
      TEST(test_the_block_shrinks),
      TEST(test_a_resize_takes_the_place_of_a_use),
      TEST(test_the_block_comes_out_of_a_magazine_for_less),
      TEST(test_the_block_becomes_a_zombie),
      TEST(test_others_use_the_block_as_well),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("on this host all uses are counted under the lock");
  return 77; /* Meson: skipped */
}
#endif
