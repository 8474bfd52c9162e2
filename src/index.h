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

/* The block, free or live, that holds `quantum`. */
uint32_t zcmem__index_holder(const struct zcmem_heap *heap, uint32_t quantum);

/* What a quick look-up needs of a heap that stays where it is: pointers, so not part of the image. */
struct zcmem__index_quick {
  const uint64_t *bits; /* the bitmap's first level */
  const uint32_t *entries;
  const struct zcmem__block *blocks; /* the sentinel is the first */
  uint8_t quantum_shift;             /* of an address in the heap, from its base on: its quantum */
  uint8_t page_shift;                /*   and its page in the index */
};

/* The entry of a table for `quantum`, whose page it is (own), if it is not a table again; else 0. */
ZCMEM__INLINE uint32_t zcmem__index_part(const struct zcmem__index_quick *quick, uint32_t entry, uint32_t quantum,
                                         bool own) {
  const struct zcmem_heap *heap = (const struct zcmem_heap *)(const void *)quick->blocks - 1;
  const struct zcmem__index_table *table =
      ZCMEM__CONST_TABLE(struct zcmem__index_table, heap, heap->at.tables_at) + (entry >> 4);
  uint32_t shift = heap->at.index_shift - ZCMEM__INDEX_BITS;
  entry = own ? ZCMEM__GET(table->entry[quantum >> shift & ((1u << ZCMEM__INDEX_BITS) - 1u)]) : 0;
  return zcmem__index_is_table(entry) ? 0 : entry;
}

/* How many steps forward a quick look-up takes along the chain; one in twenty needs more where blocks crowd. */
#define ZCMEM__INDEX_HOPS 2u

ZCMEM__INLINE const struct zcmem__block *zcmem__index_link(const struct zcmem__index_quick *quick, zcmem__link link) {
  ZCMEM__STEP();
  return (const struct zcmem__block *)(const void *)((const uint32_t *)(const void *)quick->blocks +
                                                     zcmem__link_id(link));
}

/*
 * The next word of the bitmap's first level that is not 0, if the word that tells so for this one knows it, or where
 * there is no second level, if it is the next of all; else 0.
 */
ZCMEM__INLINE uint32_t zcmem__index_word_after(const struct zcmem__index_quick *quick, uint32_t word) {
  const struct zcmem_heap *heap = (const struct zcmem_heap *)(const void *)quick->blocks - 1;
  if (heap->at.levels == 1) {
    return word + 1u < heap->at.top_words ? word + 1u : 0;
  }
  const uint64_t *bits = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[1]);
  uint64_t behind = ZCMEM__GET64(bits[word >> 6]) & ~((zcmem__bits_one(word & 63u) << 1) - 1u);
  return behind == 0 ? 0 : (word & ~UINT32_C(63)) | zcmem__bits_low64(behind);
}

/* From a block along the chain, where the way that is left is longer than it. */
ZCMEM__HOT const struct zcmem__block *zcmem__index_onward(const struct zcmem__index_quick *quick,
                                                          const struct zcmem__block *block, uint32_t left) {
  uint32_t size = ZCMEM__GET(block->size);
  for (uint32_t hops = 0; left >= size && hops < 16u; hops++) {
    left -= size;
    block = zcmem__index_link(quick, ZCMEM__GET(block->next));
    size = ZCMEM__GET(block->size);
  }
  return block;
}

/*
 * For a look-up that is to be quick: the block that holds the quantum, unless that is far away; or else one that starts
 * before it, or one that is not live. In a page of the index each of several blocks may be the one, which nobody can
 * predict: so there is no branch on the way, and the loads of look-ups that follow each other overlap, where a branch
 * that goes wrong would make each wait for its own. No block is touched that need not be: from the first of the page
 * the way leads to the one before it, or forward, as long as the way that is left is longer than the block.
 */
ZCMEM__HOT const struct zcmem__block *zcmem__index_holder_quick(const struct zcmem__index_quick *quick,
                                                                uint64_t offset) {
  uint32_t quantum = (uint32_t)(offset >> quick->quantum_shift), page = (uint32_t)(offset >> quick->page_shift);
  uint64_t behind = ZCMEM__GET64(quick->bits[page >> 6]) >> (page & 63u); /* this page, if it has any */
  uint32_t own = page;
  if (ZCMEM__UNLIKELY(behind == 0)) {
    page = zcmem__index_word_after(quick, page >> 6) << 6;
    behind = ZCMEM__GET64(quick->bits[page >> 6]);
    if (page == 0 || behind == 0) {
      return quick->blocks;
    }
  }
  page += zcmem__bits_low64(behind);
  uint32_t entry = ZCMEM__GET(quick->entries[page]);
  if (ZCMEM__UNLIKELY(((entry + 1u) & ZCMEM__INDEX_COUNT) == 0)) {
    entry = zcmem__index_part(quick, entry, quantum, page == own);
    if (entry == 0) {
      return quick->blocks;
    }
  }
  /* The entry has twice the id, which counts words. */
  const struct zcmem__block *block =
      (const struct zcmem__block *)(const void *)((const char *)quick->blocks +
                                                  (size_t)(entry & ~ZCMEM__INDEX_COUNT) * (sizeof(uint32_t) / 2));
  ZCMEM__STEP();
  const void *at = zcmem__index_link(quick, ZCMEM__GET(block->prev));
  uint32_t left = 0; /* to the one before: it ends where the first begins */
  zcmem__bits_pass(quantum, ZCMEM__GET(block->start), block, &left, &at);
  ZCMEM__UNROLL
  for (uint32_t i = 0; i < ZCMEM__INDEX_HOPS; i++) {
    block = at;
    zcmem__bits_pass(left, ZCMEM__GET(block->size), zcmem__index_link(quick, ZCMEM__GET(block->next)), &left, &at);
  }
  block = at;
  if (ZCMEM__UNLIKELY(left >= ZCMEM__GET(block->size))) {
    block = zcmem__index_onward(quick, block, left);
  }
  return block;
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
