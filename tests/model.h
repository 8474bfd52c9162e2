/* SPDX-License-Identifier: MIT */
/*
 * The model: what heap.h says, written down as naively as can be. One entry for each quantum names the block that
 * occupies it; every question is answered by looking at all of them. It knows nothing of bins, indices or descriptors,
 * so it shares no mistake with the heap.
 *
 * Where heap.h leaves the heap a choice (the address of a new block; whether an alignment above the quantum is met in
 * a block that might do) the model takes what the heap did and judges it; in all else it predicts the one right
 * status. Statuses that hold at once are answered in the order in which heap.h lists them.
 */
#ifndef ZCMEM_TESTS_MODEL_H
#define ZCMEM_TESTS_MODEL_H

#include <zcmem/heap.h>

#define MODEL_QUANTA 256u

struct model_block {
  uint32_t first; /* quantum */
  uint32_t count; /* quanta; 0: this entry is unused */
  hal_size_t requested;
  enum zcmem_block_state state;
  uint32_t pins, transfers, tag;
};

struct model {
  hal_addr_t base;
  hal_size_t quantum;
  uint32_t quanta;
  uint32_t max_blocks;
  uint32_t live;                /* zombies too */
  uint32_t occupied;            /* quanta */
  uint16_t owner[MODEL_QUANTA]; /* 0: free, else number of the block's entry + 1 */
  struct model_block blocks[MODEL_QUANTA];
};

/* False iff the config gives no heap, or one of more than MODEL_QUANTA quanta. */
bool model_init(struct model *m, const struct zcmem_heap_config *config);

/* What alloc must answer. *open: the heap may answer ZCMEM_OK as well as the status given (ZCMEM_EFRAG). */
enum zcmem_status model_alloc_status(const struct model *m, hal_size_t size, hal_size_t align, bool *open);
/* Enters the block that the heap placed at addr; false iff it could not lie there. */
bool model_place(struct model *m, hal_addr_t addr, hal_size_t size, hal_size_t align);

/* The calls of heap.h, with their statuses. */
enum zcmem_status model_free(struct model *m, hal_addr_t addr);
enum zcmem_status model_free_deferred(struct model *m, hal_addr_t addr, bool *deferred);
enum zcmem_status model_resize(struct model *m, hal_addr_t addr, hal_size_t size);
enum zcmem_status model_reserve(struct model *m, hal_addr_t at, hal_size_t size);
enum zcmem_status model_find(const struct model *m, hal_addr_t any, struct zcmem_block_info *info);
enum zcmem_status model_pin(struct model *m, hal_addr_t any);
enum zcmem_status model_unpin(struct model *m, hal_addr_t any, bool *freed);
enum zcmem_status model_begin_transfer(struct model *m, hal_addr_t any, hal_size_t size);
enum zcmem_status model_end_transfer(struct model *m, hal_addr_t any, bool *freed);
enum zcmem_status model_set_tag(struct model *m, hal_addr_t addr, uint32_t tag);
hal_size_t model_largest(const struct model *m);

/* The block (free run, live block or zombie) that starts at quantum `first`; false iff none starts there. */
bool model_block_at(const struct model *m, uint32_t first, struct zcmem_block_info *info);
uint32_t model_free_runs(const struct model *m);
hal_size_t model_requested(const struct model *m);

#endif
