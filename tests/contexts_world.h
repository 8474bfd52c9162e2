/* SPDX-License-Identifier: MIT */
/*
 * A HAL all of whose memory is the test's, with one region for contexts, and contexts over it.
 */
#ifndef ZCMEM_TESTS_CONTEXTS_WORLD_H
#define ZCMEM_TESTS_CONTEXTS_WORLD_H

#include "magazines_check.h"
#include <stdalign.h>
#include <string.h>

enum { CONTEXTS = 3, CONTEXTS_QUANTUM = 128, CONTEXTS_BLOCKS = 512, CONTEXTS_BASE = 0x100000 };
#define CONTEXTS_BYTES ((hal_size_t)1 << 20)

struct contexts_world {
  struct zcmem_hal *hal;
  struct zcmem_context *context[CONTEXTS];
  alignas(64) unsigned char memory[CONTEXTS][200 * 1024];
  alignas(64) unsigned char hal_memory[16 * 1024];
  alignas(64) unsigned char image[256 * 1024];
};

static inline struct zcmem_region_config contexts_region(struct contexts_world *world) {
  return (struct zcmem_region_config){.name = "dram",
                                      .kind = ZCMEM_KIND_DRAM,
                                      .flags = ZCMEM_REGION_CONTEXTS,
                                      .base = CONTEXTS_BASE,
                                      .size = CONTEXTS_BYTES,
                                      .max_blocks = CONTEXTS_BLOCKS,
                                      .magazine_share = 256,
                                      .image = world->image,
                                      .image_bytes = sizeof world->image};
}

/* All memory is dirty before: nothing relies on zeros that nobody promised. */
static inline void contexts_open_hal(struct contexts_world *world, const struct zcmem_lock_ops *lock) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 3, .max_mappings = 2, .lock = lock};
  const struct zcmem_region_config region = contexts_region(world);
  memset(world, 0xee, sizeof *world);
  assert_ok(zcmem_hal_init(world->hal_memory, sizeof world->hal_memory, &config, &world->hal));
  assert_ok(zcmem_hal_add_region(world->hal, &region, NULL));
}

static inline void contexts_open(struct contexts_world *world, unsigned i, uint32_t blocks) {
  const struct zcmem_context_config config = {.hal = world->hal, .blocks = blocks};
  assert_ok(zcmem_context_init(world->memory[i], sizeof world->memory[i], &config, &world->context[i]));
}

static inline void contexts_open_all(struct contexts_world *world, const struct zcmem_lock_ops *lock) {
  contexts_open_hal(world, lock);
  for (unsigned i = 0; i < CONTEXTS; i++) {
    contexts_open(world, i, 0);
  }
}

/* Ends the contexts; nothing may be left of them, nor live. */
static inline void contexts_close_all(struct contexts_world *world) {
  for (unsigned i = 0; i < CONTEXTS; i++) {
    assert_ok(zcmem_context_destroy(world->context[i]));
  }
#ifdef ZCMEM__MAGAZINES
  assert_int_equal(magazines_look(world->hal, 0).blocks, 0);
  assert_int_equal(magazines_look(world->hal, 0).made, 0);
#endif
  assert_ok(zcmem_hal_check(world->hal));
  struct zcmem_region_stats stats = magazines_stats(world->hal, 0);
  assert_int_equal(stats.live + stats.in_use + stats.requested, 0);
  assert_int_equal(stats.allocations, stats.frees);
  assert_int_equal(stats.largest, CONTEXTS_BYTES);
  assert_int_equal(zcmem_hal_destroy(world->hal), 0);
}

static inline hal_addr_t contexts_alloc(struct zcmem_context *context, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_context_alloc(context, 0, size, 1, &addr));
  return addr;
}

/* Allocates `count` blocks of a size and frees them again, `rounds` times. */
static inline void contexts_churn(struct zcmem_context *context, hal_size_t size, unsigned count, unsigned rounds) {
  hal_addr_t blocks[CONTEXTS_BLOCKS];
  for (unsigned round = 0; round < rounds; round++) {
    for (unsigned i = 0; i < count; i++) {
      blocks[i] = contexts_alloc(context, size);
    }
    for (unsigned i = 0; i < count; i++) {
      assert_ok(zcmem_context_free(context, blocks[i]));
    }
  }
}

#endif
