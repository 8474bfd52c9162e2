/* SPDX-License-Identifier: MIT */
/*
 * L1. The index: device address -> descriptor. One entry for each page of 2^index_shift quanta names the first live
 * block that starts in it; the others of the page follow along the physical chain, at most 2^index_shift - 1 steps. A
 * bitmap of the entries that are not empty, with levels above it, leads from an interior address back to the page
 * where its block starts.
 */
#ifndef ZCMEM_SRC_INDEX_H
#define ZCMEM_SRC_INDEX_H

#include "heap_impl.h"

ZCMEM__INLINE uint32_t *zcmem__index(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.index_at);
}

ZCMEM__INLINE const uint32_t *zcmem__index_const(const struct zcmem_heap *heap) {
  return ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.index_at);
}

/* Set and clear the levels above the first, whose word has just become something or nothing. */
void zcmem__index_raise(struct zcmem_heap *heap, uint32_t word);
void zcmem__index_lower(struct zcmem_heap *heap, uint32_t word);

/* The last block, free ones included, that starts at or before `quantum`; that is, the one that holds it. */
uint32_t zcmem__index_holder(const struct zcmem_heap *heap, uint32_t quantum);

/* The block that starts exactly at `quantum`, ZCMEM__NIL: none. It may be free (the chain leads through those). */
ZCMEM__INLINE uint32_t zcmem__index_at(const struct zcmem_heap *heap, uint32_t quantum) {
  uint32_t id = zcmem__index_const(heap)[quantum >> heap->at.index_shift];
  const struct zcmem__block *block = zcmem__block_const(heap, id);
  while (block->start < quantum) {
    id = zcmem__link_id(block->next);
    block = zcmem__block_const(heap, id);
  }
  return block->start == quantum ? id : ZCMEM__NIL;
}

/* A live block now starts at `start`. */
ZCMEM__INLINE void zcmem__index_add(struct zcmem_heap *heap, uint32_t id, uint32_t start) {
  uint32_t page = start >> heap->at.index_shift;
  uint32_t *entry = &zcmem__index(heap)[page];
  uint32_t first = *entry;
  if (first == ZCMEM__NIL) {
    uint32_t *word = ZCMEM__TABLE(uint32_t, heap, heap->at.bitmap_at) + (page >> 5);
    uint32_t bits = *word;
    *word = bits | 1u << (page & 31u);
    *entry = id;
    if (bits == 0) {
      zcmem__index_raise(heap, page >> 5);
    }
  } else if (start < zcmem__block_const(heap, first)->start) {
    *entry = id;
  }
}

/* The live block that starts at `start` is no more; `next`, which starts at `next_start`, is the next live one. */
ZCMEM__INLINE void zcmem__index_remove(struct zcmem_heap *heap, uint32_t id, uint32_t start, uint32_t next,
                                       uint32_t next_start) {
  uint32_t page = start >> heap->at.index_shift;
  uint32_t *entry = &zcmem__index(heap)[page];
  if (*entry != id) {
    return;
  }
  if (next != ZCMEM__NIL && next_start >> heap->at.index_shift == page) {
    *entry = next;
    return;
  }
  *entry = ZCMEM__NIL;
  uint32_t *word = ZCMEM__TABLE(uint32_t, heap, heap->at.bitmap_at) + (page >> 5);
  uint32_t bits = *word & ~(1u << (page & 31u));
  *word = bits;
  if (bits == 0) {
    zcmem__index_lower(heap, page >> 5);
  }
}

#endif
