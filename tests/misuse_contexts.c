/* SPDX-License-Identifier: MIT */
/* Contexts that cannot be, that are not there any more, and blocks that a context keeps. */
#include "misuse.h"
#include <stdalign.h>

static alignas(64) unsigned char memory[2][320 * 1024];
static struct zcmem_context *contexts[2];
static hal_addr_t none;

static struct zcmem_context_config context_config(void) {
  return (struct zcmem_context_config){.hal = world.hal};
}

static void open_one(unsigned which) {
  struct zcmem_context_config config = context_config();
  assert_ok(zcmem_context_init(memory[which], sizeof memory[which], &config, &contexts[which]));
}

static void open_context(void) {
  open_one(0);
}

/* Two, of which the first keeps blocks where there are magazines, `world.addr` among them. */
static void open_both(void) {
  open_one(0);
  open_one(1);
  for (int i = 0; i < 4; i++) {
    assert_ok(zcmem_context_alloc(contexts[0], MISUSE_DRAM, MISUSE_BYTES, 1, &world.addr));
    assert_ok(zcmem_context_free(contexts[0], world.addr));
  }
}

static void open_and_end(void) {
  open_both();
  assert_ok(zcmem_context_destroy(contexts[0]));
}

/* ----------------------------------------------------------------------------------------------- that cannot be -- */

static enum zcmem_status init(void *at, size_t bytes, const struct zcmem_context_config *config) {
  struct zcmem_context *context = NULL;
  enum zcmem_status status = zcmem_context_init(at, bytes, config, &context);
  assert_null(context);
  return status;
}

static enum zcmem_status init_too_little(void) {
  struct zcmem_context_config config = context_config();
  return init(memory[0], zcmem_context_bytes(&config) - 1, &config);
}

static enum zcmem_status init_off_a_line(void) {
  struct zcmem_context_config config = context_config();
  return init(memory[0] + 8, sizeof memory[0] - 8, &config);
}

static enum zcmem_status init_nowhere(void) {
  struct zcmem_context_config config = context_config();
  return init(NULL, sizeof memory[0], &config);
}

static enum zcmem_status init_too_many_blocks(void) {
  struct zcmem_context_config config = context_config();
  config.blocks = ZCMEM_CONTEXT_BLOCKS + 1;
  return init(memory[0], sizeof memory[0], &config);
}

static enum zcmem_status init_without_hal(void) {
  const struct zcmem_context_config config = {.hal = NULL};
  return init(memory[0], sizeof memory[0], &config);
}

static enum zcmem_status init_in_an_open_one(void) {
  struct zcmem_context_config config = context_config();
  return init(memory[0], sizeof memory[0], &config);
}

/* -------------------------------------------------------------------------------------------------- not there -- */

static enum zcmem_status alloc_through(struct zcmem_context *context, uint32_t region) {
  return zcmem_context_alloc(context, region, 100, 1, &none);
}

static enum zcmem_status alloc_through_null(void) {
  return alloc_through(NULL, MISUSE_DRAM);
}

static enum zcmem_status alloc_in_no_region(void) {
  return alloc_through(contexts[0], MISUSE_REGIONS);
}

static enum zcmem_status alloc_through_ended(void) {
  return alloc_through(contexts[0], MISUSE_DRAM);
}

static enum zcmem_status free_through_ended(void) {
  return zcmem_context_free(contexts[0], world.block);
}

static enum zcmem_status drain_ended(void) {
  return zcmem_context_drain(contexts[0]);
}

static enum zcmem_status destroy_ended(void) {
  return zcmem_context_destroy(contexts[0]);
}

static enum zcmem_status free_through_a_copy(void) {
  memcpy(memory[1], memory[0], sizeof memory[0]);
  return zcmem_context_free((struct zcmem_context *)(void *)memory[1], world.block);
}

/* A HAL that ends while a context of it is open. */
static enum zcmem_status alloc_without_its_hal(void) {
  static alignas(64) unsigned char small[256];
  const struct zcmem_hal_config config = {.name = "another", .max_regions = 1, .lock = &zcmem_lock_none};
  struct zcmem_context_config how = {.hal = NULL};
  assert_ok(zcmem_hal_create(&config, NULL, 0, &how.hal));
  assert_ok(zcmem_context_init(small, sizeof small, &how, &contexts[0]));
  assert_int_equal(zcmem_hal_destroy(how.hal), 0);
  return alloc_through(contexts[0], 0);
}

/* ----------------------------------------------------------------------------------------------------- blocks -- */

static enum zcmem_status free_kept(void) {
  return zcmem_context_free(contexts[0], world.addr);
}

static enum zcmem_status free_kept_by_another(void) {
  return zcmem_context_free(contexts[1], world.addr);
}

static enum zcmem_status free_kept_past_it(void) {
  return zcmem_mem_free(world.hal, world.addr);
}

static enum zcmem_status read_kept(void) {
  char byte;
  return zcmem_mem_read(world.hal, &byte, world.addr, 1);
}

static enum zcmem_status free_of_another_hal(void) {
  return zcmem_context_free(contexts[0], (hal_addr_t)77 << 40);
}

static enum zcmem_status free_interior(void) {
  return zcmem_context_free(contexts[0], world.block + ZCMEM_QUANTUM_DEFAULT);
}

const struct misuse misuse_contexts[] = {
    MISUSE("memory too small for a context", "zcmem_context_init", ZCMEM_ENOMEM, NULL, init_too_little),
    MISUSE("misaligned memory for a context", "zcmem_context_init", ZCMEM_EINVAL, NULL, init_off_a_line),
    MISUSE("no memory for a context", "zcmem_context_init", ZCMEM_EINVAL, NULL, init_nowhere),
    MISUSE("a context that is to keep too much", "zcmem_context_init", ZCMEM_EINVAL, NULL, init_too_many_blocks),
    MISUSE("a context without an allocator", "zcmem_context_init", ZCMEM_EINVAL, NULL, init_without_hal),
    MISUSE("a context in the memory of an open one", "zcmem_context_init", ZCMEM_EOVERLAP, open_context,
           init_in_an_open_one),
    MISUSE("allocation through no context", "zcmem_context_alloc", ZCMEM_EINVAL, NULL, alloc_through_null),
    MISUSE("allocation through a context in a region that is not there", "zcmem_context_alloc", ZCMEM_EINVAL,
           open_context, alloc_in_no_region),
    MISUSE("allocation through a context that has ended", "zcmem_context_alloc", ZCMEM_EINVAL, open_and_end,
           alloc_through_ended),
    MISUSE("free through a context that has ended", "zcmem_context_free", ZCMEM_EINVAL, open_and_end,
           free_through_ended),
    MISUSE("drain of a context that has ended", "zcmem_context_drain", ZCMEM_EINVAL, open_and_end, drain_ended),
    MISUSE("a context ended twice", "zcmem_context_destroy", ZCMEM_EINVAL, open_and_end, destroy_ended),
    MISUSE("free through a copy of a context", "zcmem_context_free", ZCMEM_EINVAL, open_context, free_through_a_copy),
    MISUSE("allocation through a context whose HAL has ended", "zcmem_context_alloc", ZCMEM_EINVAL, NULL,
           alloc_without_its_hal),
    MISUSE("double free through a context", "zcmem_context_free", ZCMEM_ENOENT, open_both, free_kept),
    MISUSE("double free through another context", "zcmem_context_free", ZCMEM_ENOENT, open_both, free_kept_by_another),
    MISUSE("double free past the context that keeps the block", "zcmem_mem_free", ZCMEM_ENOENT, open_both,
           free_kept_past_it),
    MISUSE("read of a block that a context keeps", "zcmem_mem_read", ZCMEM_ENOENT, open_both, read_kept),
    MISUSE("free through a context of another HAL", "zcmem_context_free", ZCMEM_ENOENT, open_context,
           free_of_another_hal),
    MISUSE("free of an interior address through a context", "zcmem_context_free", ZCMEM_ENOENT, open_context,
           free_interior),
    MISUSE_END,
};
