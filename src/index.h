/* SPDX-License-Identifier: MIT */
/*
 * L1. The index: device address -> descriptor, in the order of addresses and as dense as the blocks are.
 *
 * The address range is cut into equal pages, four to eight for each block that may be live. A page's entry names the
 * first live block that starts in it and how many do; the others follow along the physical chain. More than eight make
 * the page a table of sixteen entries for its sixteenth parts, and so on down: pages of eight quanta never need one. So
 * a look-up takes a bounded number of steps, and the image's size depends on the number of blocks alone, not on the
 * number of quanta.
 *
 *      entry     0                     nothing starts here
 *                first << 1 | count    1 ... 8 live blocks, the id of the first (a multiple of eight)
 *                table << 4 | 15       a table
 *
 * A bitmap over the pages, with levels above, leads from an interior address to the next page where something starts;
 * the block that holds the address stands before that one in the chain.
 */
#ifndef ZCMEM_SRC_INDEX_H
#define ZCMEM_SRC_INDEX_H

#include "heap_impl.h"

#define ZCMEM__INDEX_COUNT 15u /* mask of the count */
#define ZCMEM__INDEX_TABLE 15u /* the count of an entry that is a table */
#define ZCMEM__INDEX_FEW 3u    /* log2 of so many quanta that their entry never needs a table */
#define ZCMEM__INDEX_MOST 8u   /* most live blocks of an entry */
#define ZCMEM__INDEX_LEAST 4u  /* a table of so few becomes an entry again */
#define ZCMEM__INDEX_BITS 4u   /* log2 of a table's entries */

ZCMEM__INLINE uint32_t *zcmem__index(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.index_at);
}

ZCMEM__INLINE const uint32_t *zcmem__index_const(const struct zcmem_heap *heap) {
  return ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.index_at);
}

ZCMEM__INLINE uint32_t zcmem__index_entry(uint32_t first, uint32_t count) {
  return first << 1 | count;
}
ZCMEM__INLINE uint32_t zcmem__index_first(uint32_t entry) {
  return (entry & ~ZCMEM__INDEX_COUNT) >> 1;
}

ZCMEM__INLINE bool zcmem__index_is_table(uint32_t entry) {
  return (entry & ZCMEM__INDEX_COUNT) == ZCMEM__INDEX_TABLE;
}

/* The levels above the bitmap's first, where a word has become something or nothing. */
void zcmem__index_raise(struct zcmem_heap *heap, uint32_t bit);
void zcmem__index_lower(struct zcmem_heap *heap, uint32_t bit);

/* The same for pages that are tables, or become one: the long way. */
uint32_t zcmem__index_descend(const struct zcmem_heap *heap, uint32_t entry, uint32_t quantum);
void zcmem__index_add_deep(struct zcmem_heap *heap, uint32_t id, uint32_t start);
void zcmem__index_remove_deep(struct zcmem_heap *heap, uint32_t id, uint32_t start, uint32_t next);

/* The block, free or live, that holds `quantum`; from a block near it along the chain. */
uint32_t zcmem__index_holder(const struct zcmem_heap *heap, uint32_t quantum);
uint32_t zcmem__index_walk(const struct zcmem_heap *heap, uint32_t id, uint32_t quantum);

/* `id`, or `other` if that block holds the quantum: without a branch. */
ZCMEM__INLINE uint32_t zcmem__index_if_holds(const struct zcmem_heap *heap, uint32_t other, uint32_t quantum,
                                             uint32_t id) {
  const struct zcmem__block *block = zcmem__block_const(heap, other);
  return zcmem__bits_select(quantum - ZCMEM__GET(block->start) < ZCMEM__GET(block->size), other, id);
}

/*
 * The same for a look-up that is to be quick. Which of the blocks around the first live one of a page holds the quantum
 * cannot be predicted, so the two before it and the two behind it are all looked at, without a branch; then look-ups
 * that follow each other overlap, where a branch that goes wrong would make each wait for its own loads.
 */
ZCMEM__HOT uint32_t zcmem__index_holder_quick(const struct zcmem_heap *heap, uint32_t quantum) {
  const uint64_t *bits = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[0]);
  uint32_t page = quantum >> heap->at.index_shift;
  uint64_t behind = ZCMEM__GET64(bits[page >> 6]) >> (page & 63u); /* this page, if it has any */
  if (ZCMEM__UNLIKELY(behind == 0)) {
    return zcmem__index_holder(heap, quantum);
  }
  uint32_t entry = ZCMEM__GET(zcmem__index_const(heap)[page + zcmem__bits_low64(behind)]);
  if (ZCMEM__UNLIKELY(zcmem__index_is_table(entry))) {
    return zcmem__index_holder(heap, quantum);
  }
  uint32_t first = zcmem__index_first(entry), id = ZCMEM__NIL;
  const struct zcmem__block *block = zcmem__block_const(heap, first);
  uint32_t prev = zcmem__link_id(ZCMEM__GET(block->prev)), next = zcmem__link_id(ZCMEM__GET(block->next));
  uint32_t before = zcmem__link_id(ZCMEM__GET(zcmem__block_const(heap, prev)->prev));
  uint32_t after = zcmem__link_id(ZCMEM__GET(zcmem__block_const(heap, next)->next));
  id = zcmem__index_if_holds(heap, before, quantum, id);
  id = zcmem__index_if_holds(heap, prev, quantum, id);
  id = zcmem__index_if_holds(heap, after, quantum, id);
  id = zcmem__index_if_holds(heap, next, quantum, id);
  id = zcmem__index_if_holds(heap, first, quantum, id);
  return ZCMEM__LIKELY(id != ZCMEM__NIL) ? id : zcmem__index_walk(heap, first, quantum);
}

/* The block that starts exactly at `quantum`, ZCMEM__NIL: none. It may be free (the chain leads through those). */
ZCMEM__HOT uint32_t zcmem__index_at(const struct zcmem_heap *heap, uint32_t quantum) {
  uint32_t entry = zcmem__index_const(heap)[quantum >> heap->at.index_shift];
  if (ZCMEM__UNLIKELY(zcmem__index_is_table(entry))) {
    entry = zcmem__index_descend(heap, entry, quantum);
  }
  uint32_t id = zcmem__index_first(entry);
  const struct zcmem__block *block = zcmem__block_const(heap, id);
  while (block->start < quantum) { /* ends at the sentinel, which is behind everything */
    id = zcmem__link_id(block->next);
    block = zcmem__block_const(heap, id);
  }
  return block->start == quantum ? id : ZCMEM__NIL;
}

/*
 * Live block `id` now starts at `start`; it is in the chain already. Whether the page has blocks, and whether this is
 * its first, cannot be predicted, so there is no branch: of an empty page the sentinel is the first block, which is
 * behind everything. Where a page is one quantum, always or never, there is nothing to find out.
 */
ZCMEM__HOT void zcmem__index_add(struct zcmem_heap *heap, uint32_t id, uint32_t start) {
  uint32_t page = start >> heap->at.index_shift, *at = &zcmem__index(heap)[page];
  if (heap->at.index_shift == 0) {
    ZCMEM__PUT(*at, zcmem__index_entry(id, 1u));
  } else {
    uint32_t entry = *at, count = entry & ZCMEM__INDEX_COUNT;
    if (ZCMEM__UNLIKELY(count >= ZCMEM__INDEX_MOST)) {
      zcmem__index_add_deep(heap, id, start);
      return;
    }
    bool first = zcmem__block_const(heap, zcmem__index_first(entry))->start > start;
    ZCMEM__PUT(*at, zcmem__bits_select(first, zcmem__index_entry(id, count), entry) + 1u);
  }
  uint64_t *word = ZCMEM__TABLE(uint64_t, heap, heap->at.level_at[0]) + (page >> 6), bits = *word;
  ZCMEM__PUT64(*word, bits | zcmem__bits_one(page & 63u));
  if (ZCMEM__UNLIKELY(bits == 0)) {
    zcmem__index_raise(heap, page >> 6);
  }
}

/* The live block `id` that starts at `start` is no more; `next` is the live one after it (ZCMEM__NIL: none). */
ZCMEM__HOT void zcmem__index_remove(struct zcmem_heap *heap, uint32_t id, uint32_t start, uint32_t next) {
  uint32_t page = start >> heap->at.index_shift, *at = &zcmem__index(heap)[page];
  bool empty = true;
  if (heap->at.index_shift == 0) {
    ZCMEM__PUT(*at, 0);
  } else {
    uint32_t entry = *at, count = entry & ZCMEM__INDEX_COUNT;
    if (ZCMEM__UNLIKELY(count == ZCMEM__INDEX_TABLE)) {
      zcmem__index_remove_deep(heap, id, start, next);
      return;
    }
    uint32_t rest = zcmem__bits_select(zcmem__index_first(entry) == id, zcmem__index_entry(next, count), entry) - 1u;
    empty = count == 1u;
    ZCMEM__PUT(*at, zcmem__bits_select(empty, 0, rest));
  }
  uint64_t *word = ZCMEM__TABLE(uint64_t, heap, heap->at.level_at[0]) + (page >> 6);
  uint64_t bits = *word & ~((uint64_t)empty << (page & 63u));
  ZCMEM__PUT64(*word, bits);
  if (ZCMEM__UNLIKELY(bits == 0)) {
    zcmem__index_lower(heap, page >> 6);
  }
}

#endif
