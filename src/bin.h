/* SPDX-License-Identifier: MIT */
/*
 * L1. The bins: free blocks by size.
 *
 * An exact bin (sizeclass.h) is a doubly linked list through its blocks' descriptors. All sizes in it are equal, so the
 * first bin that is not empty is the best fit; and a block is put first or, if the first one has the lower address,
 * second: low addresses are taken first, which keeps the high ones together (fragmentation) at no search. Wide bins,
 * whose blocks differ in size, are another structure: wide.h.
 */
#ifndef ZCMEM_SRC_BIN_H
#define ZCMEM_SRC_BIN_H

#include "binmap.h"
#include "heap_impl.h"
#include "wide.h"

ZCMEM__INLINE uint32_t *zcmem__bin_heads(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.heads_at);
}

ZCMEM__INLINE const uint32_t *zcmem__bin_heads_const(const struct zcmem_heap *heap) {
  return ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.heads_at);
}

/* Adds block `id` of `size` quanta. */
ZCMEM__HOT void zcmem__bin_insert(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t size) {
  if (ZCMEM__UNLIKELY(size >= ZCMEM__BIN_WIDE)) {
    zcmem__wide_insert(heap, block, id, size);
    return;
  }
  uint32_t *head = &zcmem__bin_heads(heap)[size], first = *head;
  struct zcmem__block *first_block = zcmem__block(heap, first);
  bool second = first_block->start < block->start; /* the sentinel, in an empty bin, is behind every block */
  uint32_t next = zcmem__bits_select(second, first_block->bin_next, first);
  ZCMEM__PUT(block->bin_prev, zcmem__bits_select(second, first, ZCMEM__NIL));
  ZCMEM__PUT(block->bin_next, next);
  ZCMEM__PUT(zcmem__block(heap, next)->bin_prev, id); /* maybe the sentinel's, which nobody reads */
  ZCMEM__PUT(*(uint32_t *)zcmem__bits_select_pointer(second, &first_block->bin_next, head), id);
  zcmem__binmap_set(heap, size);
}

/* Takes the block of `size` quanta out. */
ZCMEM__HOT void zcmem__bin_remove(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t size) {
  if (ZCMEM__UNLIKELY(size >= ZCMEM__BIN_WIDE)) {
    zcmem__wide_remove(heap, block, size);
    return;
  }
  uint32_t next = block->bin_next, prev = block->bin_prev;
  uint32_t *from_head = &zcmem__bin_heads(heap)[size], *from_prev = &zcmem__block(heap, prev)->bin_next;
  ZCMEM__PUT(zcmem__block(heap, next)->bin_prev, prev);
  ZCMEM__PUT(*(uint32_t *)zcmem__bits_select_pointer(prev == ZCMEM__NIL, from_head, from_prev), next);
  zcmem__binmap_lose(heap, size, (prev | next) == ZCMEM__NIL);
}

/* The block in the bins, of `before` quanta, is of `size` quanta now: moves it where it belongs. */
ZCMEM__HOT void zcmem__bin_resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t before,
                                  uint32_t size) {
  if (ZCMEM__UNLIKELY((before >= ZCMEM__BIN_WIDE) & (size >= ZCMEM__BIN_WIDE))) {
    zcmem__wide_resize(heap, block, id, before, size);
    return;
  }
  zcmem__bin_remove(heap, block, before);
  zcmem__bin_insert(heap, block, id, size);
}

/*
 * The block to take for a request of `need` quanta whose alignment is no more than the quantum: the smallest that fits
 * (of those in wide bins, among the bounded number looked at); ZCMEM__NIL iff no free block is large enough.
 */
ZCMEM__HOT uint32_t zcmem__bin_fit(const struct zcmem_heap *heap, uint32_t need) {
  if (ZCMEM__UNLIKELY(need >= ZCMEM__BIN_WIDE)) {
    return zcmem__wide_fit(heap, need);
  }
  uint32_t bin = zcmem__binmap_next(heap, need);
  if (ZCMEM__LIKELY(bin < ZCMEM__BIN_WIDE)) {
    return zcmem__bin_heads_const(heap)[bin]; /* of bin 0, where there is none: ZCMEM__NIL */
  }
  return zcmem__wide_take(heap, bin, need);
}

/*
 * The same where the start must be aligned: offset is the base's distance from a multiple of the alignment, mask the
 * alignment - 1, both in quanta.
 */
uint32_t zcmem__bin_fit_aligned(const struct zcmem_heap *heap, uint32_t need, uint64_t offset, uint64_t mask);

/* Size of the largest free block in quanta, 0: none. */
uint32_t zcmem__bin_largest(const struct zcmem_heap *heap);

#endif
