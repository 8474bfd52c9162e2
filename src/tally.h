/* SPDX-License-Identifier: MIT */
/*
 * Counters by tag of one region, in memory of the caller's: what live blocks of a tag take, the most that was, and what
 * was refused. There are none until somebody gives memory for them; until then each free looks at one word more.
 *
 * A block is counted from when it gets its tag until its owner frees it, also where the free is deferred. Such a block
 * is freed with the lock, never by the fast path of magazines (zcmem__keep_notice), so the lock is held in any case.
 */
#ifndef ZCMEM_TALLY_H
#define ZCMEM_TALLY_H

#include "heap_ops.h"

/* What is kept of a tag. */
struct zcmem__tally_entry {
  uint64_t tag;
  uint64_t in_use;
  uint64_t peak;
  uint64_t allocations;
  uint64_t failed_space;
  uint64_t failed_fragmented;
  uint64_t failed_blocks;
  uint64_t failed_invalid;
};

struct zcmem__tally {
  struct zcmem__tally_entry *entries; /* in the order of tags; NULL: nothing is counted */
  uint32_t count;
  uint32_t capacity;
};

/* A block that may be freed or resized now. */
struct zcmem__tally_block {
  uint64_t size; /* bytes occupied */
  uint32_t tag;  /* 0: it is not counted */
};

/* The tag's entry; NULL: there is none. */
struct zcmem__tally_entry *zcmem__tally_find(const struct zcmem__tally *tally, uint32_t tag);

/* The block that starts at addr, before something is done to it. */
struct zcmem__tally_block zcmem__tally_look(const struct zcmem_heap *heap, hal_addr_t addr);

/* So many bytes more, or less, are the tag's. A tag that is new gets an entry, as long as there is room. */
void zcmem__tally_enter(struct zcmem__tally *tally, uint32_t tag, uint64_t bytes, bool allocated);
void zcmem__tally_leave(struct zcmem__tally *tally, uint32_t tag, uint64_t bytes);

/* A request of the tag's was refused. */
void zcmem__tally_refuse(struct zcmem__tally *tally, uint32_t tag, enum zcmem_status status);

/* As zcmem__tally_look where blocks are counted; else nothing. */
ZCMEM__INLINE struct zcmem__tally_block zcmem__tally_before(const struct zcmem__tally *tally,
                                                            const struct zcmem_heap *heap, hal_addr_t addr) {
  return ZCMEM__UNLIKELY(tally->entries != NULL) ? zcmem__tally_look(heap, addr) : (struct zcmem__tally_block){0, 0};
}

/* And after the free that answered `status`. */
ZCMEM__INLINE void zcmem__tally_freed(struct zcmem__tally *tally, struct zcmem__tally_block block,
                                      enum zcmem_status status) {
  if (ZCMEM__UNLIKELY(block.tag != 0) && status == ZCMEM_OK) {
    zcmem__tally_leave(tally, block.tag, block.size);
  }
}

#endif
