/* SPDX-License-Identifier: MIT */
/* L1. The index's bitmap above its first level, and the way back from an interior address. See index.h. */
#include "index.h"

void zcmem__index_raise(struct zcmem_heap *heap, uint32_t word) {
  uint32_t *bitmap = ZCMEM__TABLE(uint32_t, heap, heap->at.bitmap_at);
  for (uint32_t level = 1; level < heap->at.levels; level++) {
    ZCMEM__STEP();
    uint32_t *above = bitmap + heap->at.level[level] + (word >> 5);
    uint32_t bits = *above;
    *above = bits | 1u << (word & 31u);
    if (bits != 0) {
      return;
    }
    word >>= 5;
  }
}

void zcmem__index_lower(struct zcmem_heap *heap, uint32_t word) {
  uint32_t *bitmap = ZCMEM__TABLE(uint32_t, heap, heap->at.bitmap_at);
  for (uint32_t level = 1; level < heap->at.levels; level++) {
    ZCMEM__STEP();
    uint32_t *above = bitmap + heap->at.level[level] + (word >> 5);
    *above &= ~(1u << (word & 31u));
    if (*above != 0) {
      return;
    }
    word >>= 5;
  }
}

/* The last entry before `page` that is not empty; false: none. */
static bool page_before(const struct zcmem_heap *heap, uint32_t page, uint32_t *found) {
  const uint32_t *bitmap = ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.bitmap_at);
  uint32_t level = 0, at = page, bits = 0;
  for (; level < heap->at.levels; level++) {
    ZCMEM__STEP();
    bits = bitmap[heap->at.level[level] + (at >> 5)] & ((1u << (at & 31u)) - 1u);
    if (bits != 0) {
      break;
    }
    at >>= 5;
  }
  if (bits == 0) {
    return false;
  }
  at = (at & ~31u) | zcmem__bits_high(bits);
  while (level-- > 0) {
    ZCMEM__STEP();
    bits = bitmap[heap->at.level[level] + at];
    at = at << 5 | zcmem__bits_high(bits);
  }
  *found = at;
  return true;
}

uint32_t zcmem__index_holder(const struct zcmem_heap *heap, uint32_t quantum) {
  const uint32_t *index = zcmem__index_const(heap);
  uint32_t page = quantum >> heap->at.index_shift;
  uint32_t id = index[page];
  if (id == ZCMEM__NIL) {
    /* Nothing live starts in its page: on from the last page where something does, or from the heap's first block. */
    id = page_before(heap, page, &page) ? index[page] : zcmem__link_id(zcmem__block_const(heap, ZCMEM__NIL)->next);
  }
  const struct zcmem__block *block = zcmem__block_const(heap, id);
  while (block->start > quantum) { /* two steps at most: only a free block can lie between two live ones */
    id = zcmem__link_id(block->prev);
    block = zcmem__block_const(heap, id);
  }
  while (quantum - block->start >= block->size) {
    id = zcmem__link_id(block->next);
    block = zcmem__block_const(heap, id);
  }
  return id;
}
