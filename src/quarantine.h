/* SPDX-License-Identifier: MIT */
/*
 * A quarantine: blocks that their owners have freed, kept out of the heap for a while, so that their places are handed
 * out late. The one that came first leaves first. A block in it is CACHED in its descriptor, as one in a magazine: in
 * the chain and the index, occupied, and live for no call. Its slack stays what it was and is in no sum; its tag is the
 * link to the block that came next.
 *
 * The region's lock is held.
 */
#ifndef ZCMEM_SRC_QUARANTINE_H
#define ZCMEM_SRC_QUARANTINE_H

#include "heap_ops.h"

struct zcmem__quarantine {
  uint32_t first, last; /* ids; ZCMEM__NIL: there is none */
  uint32_t blocks;
  uint64_t kept; /* quanta */
  uint64_t most; /* quanta */
};

/* In a block's tag, beside the link: its bytes are poisoned. */
#define ZCMEM__QUARANTINE_POISONED 1u

static inline uint32_t zcmem__quarantine_next(const struct zcmem__block *block) {
  return block->tag & ~(ZCMEM__ID - 1u);
}

static inline bool zcmem__quarantine_poisoned(const struct zcmem__block *block) {
  return (block->tag & ZCMEM__QUARANTINE_POISONED) != 0;
}

/* Puts a CACHED block, for which there is room, behind all others. */
void zcmem__quarantine_push(struct zcmem__quarantine *quarantine, struct zcmem_heap *heap, uint32_t id, bool poisoned);

/* Takes the block out that came first; there is one. */
uint32_t zcmem__quarantine_pop(struct zcmem__quarantine *quarantine, struct zcmem_heap *heap);

#endif
