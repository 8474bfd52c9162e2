/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: what needs the lock, or memory, where magazines are. Memory for magazines that is not there, and
 * threads that cannot have any, are no failure.
 */
#include "faults.h"

#define HAL faults.hal

enum { WARM = 6 };

static enum zcmem_status alloc(void) {
  return zcmem_mem_alloc(HAL, 0, FAULTS_BYTES, 1, &faults.made[0]);
}

static enum zcmem_status alloc_large(void) {
  return zcmem_mem_alloc(HAL, 0, FAULTS_REGION / 2, 1, &faults.made[0]);
}

static void free_made(void) {
  assert_ok(zcmem_mem_free(HAL, faults.made[0]));
}

static enum zcmem_status free_addr(void) {
  return zcmem_mem_free(HAL, faults.addr);
}

static enum zcmem_status free_deferred(void) {
  return zcmem_mem_free_deferred(HAL, faults.addr);
}

/* Then blocks of that size, and of another, are kept. */
static void warm_up(void) {
  hal_addr_t blocks[WARM];
  for (int i = 0; i < WARM; i++) {
    assert_ok(zcmem_mem_alloc(HAL, 0, i % 2 == 0 ? FAULTS_BYTES : 100, 1, &blocks[i]));
  }
  for (int i = 0; i < WARM; i++) {
    assert_ok(zcmem_mem_free(HAL, blocks[i]));
  }
}

/* All space that is not live is kept: a larger request finds none until it is given back. */
static void warm_up_all(void) {
  hal_addr_t blocks[FAULTS_MAX_BLOCKS];
  unsigned count = 0;
  while (count < FAULTS_MAX_BLOCKS && zcmem_mem_alloc(HAL, 0, 600, 1, &blocks[count]) == ZCMEM_OK) {
    count++;
  }
  while (count > 0) {
    assert_ok(zcmem_mem_free(HAL, blocks[--count]));
  }
}

static enum zcmem_status alloc_batch(void) {
  const struct zcmem_batch_item items[2] = {{FAULTS_REGION / 2, 1}, {1000, 1}};
  return zcmem_mem_alloc_batch(HAL, 0, items, 2, faults.made);
}

static void free_batch(void) {
  assert_ok(zcmem_mem_free_batch(HAL, faults.made, 2, NULL));
}

static enum zcmem_status grow(void) {
  return zcmem_mem_resize(HAL, faults.addr, 2000);
}

static void resize_back(void) {
  assert_ok(zcmem_mem_resize(HAL, faults.addr, FAULTS_BYTES));
}

static enum zcmem_status region_stats(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  return zcmem_hal_region_stats(HAL, 0, &stats);
}

static enum zcmem_status check(void) {
  return zcmem_hal_check(HAL);
}

static struct zcmem_hal *another;

static enum zcmem_status create(void) {
  const struct zcmem_hal_config config = {
      .name = "another", .max_regions = 2, .allocator = &fake_allocator, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_region_config regions[2] = {
      {.name = "a", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 4096, .max_blocks = 4},
      {.name = "b", .kind = ZCMEM_KIND_DRAM, .base = 65536, .size = 4096, .max_blocks = 4}};
  return zcmem_hal_create(&config, regions, 2, &another);
}

static void destroy(void) {
  assert_int_equal(zcmem_hal_destroy(another), 0);
}

/* A HAL in which this thread has made no call yet but a batch, which asks for no magazines. */
static void create_with_a_block(void) {
  const struct zcmem_batch_item item = {100, 1};
  assert_ok(create());
  assert_ok(zcmem_mem_alloc_batch(another, 0, &item, 1, &faults.made[1]));
}

static enum zcmem_status first_alloc(void) {
  return zcmem_mem_alloc(another, 0, 100, 1, &faults.made[0]);
}

static enum zcmem_status first_free(void) {
  return zcmem_mem_free(another, faults.made[1]);
}

static void free_both_and_destroy(void) {
  assert_ok(zcmem_mem_free(another, faults.made[0]));
  assert_ok(first_free());
  destroy();
}

#define OP(function, variant, prepare, call, undo)                                                                     \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, FAULTS_MAGAZINES, prepare, call, undo, NULL }

const struct faults_operation faults_magazines[] = {
    OP("zcmem_mem_alloc", "magazines, the thread's first call", create_with_a_block, first_alloc,
       free_both_and_destroy),
    OP("zcmem_mem_alloc", "magazines that have the block", warm_up, alloc, free_made),
    OP("zcmem_mem_alloc", "magazines that must give back", warm_up_all, alloc_large, free_made),
    OP("zcmem_mem_free", "magazines, the thread's first call", create_with_a_block, first_free, destroy),
    OP("zcmem_mem_free", "magazines that take the block", warm_up, free_addr, NULL),
    OP("zcmem_mem_free_deferred", "magazines that take the block", warm_up, free_deferred, NULL),
    OP("zcmem_mem_alloc_batch", "magazines that must give back", warm_up_all, alloc_batch, free_batch),
    OP("zcmem_mem_resize", "magazines that must give back", warm_up_all, grow, resize_back),
    OP("zcmem_hal_region_stats", "magazines", warm_up, region_stats, NULL),
    OP("zcmem_hal_check", "magazines", warm_up, check, NULL),
    {"zcmem_hal_create", "magazines", FAULTS_HOST_WAY, FAULTS_HOST_WAY, 0, NULL, create, destroy, NULL},
    FAULTS_END};
