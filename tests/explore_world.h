/* SPDX-License-Identifier: MIT */
/*
 * What the scenarios of the explorer have in common: a HAL with a region of 256 quanta, slots for addresses, and the
 * calls of the facade as operations whose answers are noted.
 */
#ifndef ZCMEM_TESTS_EXPLORE_WORLD_H
#define ZCMEM_TESTS_EXPLORE_WORLD_H

#include "explore.h"
#include <zcmem/zcmem.h>

enum { WORLD_BASE = 1 << 20, WORLD_BYTES = 256 * 128, WORLD_SLOTS = 8, WORLD_MOVES = 32, WORLD_CONTEXTS = 3 };

struct world {
  struct zcmem_hal *hal;
  hal_addr_t slot[WORLD_SLOTS];
  hal_addr_t allocated[WORLD_MOVES]; /* what was handed out, and what was freed */
  hal_addr_t freed[WORLD_MOVES];
  unsigned allocations, frees;
  void *host[WORLD_SLOTS]; /* what was mapped */
  struct zcmem_handle handle[WORLD_SLOTS];
  unsigned char *memory; /* the host's sight of region 0 */
  unsigned windows;      /* ranges that the driver has mapped */
  struct zcmem_context *context[WORLD_CONTEXTS];
};
extern struct world *world;

/* A HAL with region 0, which the host sees; with magazines, or without. */
void world_make(bool magazines);

/* The same with a region that is mapped on demand. */
void world_make_windows(bool magazines);

/* The same with a region that contexts keep blocks of; and a context for it, which has no magazines yet. */
void world_make_for_contexts(bool magazines);
void world_open_context(unsigned context);

/* The same with handles, and a region that the host does not see: op_write_handle is all that moves bytes there. */
void world_make_for_handles(void);

/* Another region for it, behind region 0. */
struct zcmem_region_config world_next_region(void);

/* Gives the thread magazines with a block of one quantum in them, and room for some more. */
void world_attach(void);

/*
 * Fills a bundle with blocks, as a thread that has magazines: of one or two quanta, and slot 1 has the address of the
 * one that is handed out first.
 */
void world_make_bundle(void);

/* Before the world is made: the kernel cannot pass a barrier for all threads. */
void world_no_kernel_barrier(void);

/* Takes the lock as a thread that has no magazines does: from now on blocks are shared. */
void world_come_by(void);

/* Operations, of the address in a slot. Those that answer an address put it there. */
void op_alloc(unsigned slot, hal_size_t size);
void op_free(unsigned slot);
void op_free_deferred(unsigned slot);
/* The same through a context. */
void op_context_alloc(unsigned context, unsigned slot, hal_size_t size);
void op_context_free(unsigned context, unsigned slot);
void op_context_destroy(unsigned context);
void op_resize(unsigned slot, hal_size_t size);
void op_pin(unsigned slot);
void op_unpin(unsigned slot);
/* A transfer into the block: while it lasts its block must be there. */
void op_fill(unsigned slot, hal_size_t size);
/* Of the block in a slot now; and of the one that it was of then. */
void op_handle(unsigned slot);
void op_check_handle(unsigned slot);
void op_write_handle(unsigned slot, hal_size_t size);
void op_free_handle(unsigned slot);
void op_pin_handle(unsigned slot);
void op_info(unsigned slot);
void op_tag(unsigned slot, uint32_t tag);
void op_host(unsigned slot, hal_size_t size);
/* Of the host's pointer to offset `offset` of the region: with the block; and the quick way, without. */
void op_device(hal_size_t offset);
void op_rest(hal_size_t offset);
void op_map(unsigned slot, hal_size_t size);
void op_unmap(unsigned slot);
/* Of the pointer that a map put into the slot. */
void op_locate(unsigned slot);
void op_alloc_batch(unsigned slot, hal_size_t size, hal_size_t other_size);
void op_free_batch(unsigned slot, unsigned other);
void op_stats(void);
void op_check(void);

/*
 * After a schedule: the checkers find nothing wrong; what was handed out and not freed is there, each once; and what
 * the region counts is one of the answers.
 */
void world_finish(void);

#endif
