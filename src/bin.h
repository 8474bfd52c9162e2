/* SPDX-License-Identifier: MIT */
/*
 * L1. The bins: free blocks by size.
 *
 * A bin is an 8-ary max-heap by size, laid out in pages of eight entries (a cache line). Entry = size << 32 | id. The
 * bin's own slot is the root, so that a bin with one block, the most common one, needs no page and the largest block
 * of every bin is known. The children of a slot are one page. Slots are numbered through: slot b < bins is the root of
 * bin b, page p is slots 8p ... 8p + 7.
 *
 *      root of bin b         [ 90 ]
 *                              |  child[]
 *      first page            [ 88 | 71 | 90 | .. ]       filled from left to right; vacant entries are 0
 *                              |    |
 *      further pages         [ .. ][ .. ]                in the order of their parents' slots (breadth first)
 *
 * In a narrow bin all sizes are equal and the order holds by itself. Why a heap and not a list: a list cannot tell
 * within a bounded number of steps whether one of its blocks is large enough; here the root says it.
 */
#ifndef ZCMEM_SRC_BIN_H
#define ZCMEM_SRC_BIN_H

#include "heap_impl.h"

#define ZCMEM__PAGE 8u /* entries of a page */

struct zcmem__bin_page {
  uint32_t parent; /* slot whose children these are */
  uint32_t prev;   /* page before this one, breadth first; ZCMEM__NIL: none */
  uint32_t next;   /* the page after; of an unused page: the next unused one */
  uint32_t reserved;
};

ZCMEM__INLINE uint64_t *zcmem__bin_entries(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint64_t, heap, heap->at.entry_at);
}

/* The last slot in use of each bin, 0: the bin is empty (no block is in bin 0). */
ZCMEM__INLINE uint32_t *zcmem__bin_last(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.last_at);
}

ZCMEM__INLINE uint32_t *zcmem__bin_child(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.child_at);
}

ZCMEM__INLINE struct zcmem__bin_page *zcmem__bin_page(struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__TABLE(struct zcmem__bin_page, heap, heap->at.page_at) + (page - heap->at.first_page);
}

ZCMEM__INLINE uint64_t zcmem__bin_key(uint32_t size, uint32_t id) { return (uint64_t)size << 32 | id; }
ZCMEM__INLINE uint32_t zcmem__bin_size(uint64_t entry) { return (uint32_t)(entry >> 32); }
ZCMEM__INLINE uint32_t zcmem__bin_id(uint64_t entry) { return (uint32_t)entry; }

/* A slot for one more block at the end of a bin whose last page is full (or that has none). */
uint32_t zcmem__bin_new_page(struct zcmem_heap *heap, uint32_t bin, uint32_t last);
/* Gives the page back whose only entry was `slot`; the slot that is the last one now. */
uint32_t zcmem__bin_drop_page(struct zcmem_heap *heap, uint32_t bin, uint32_t slot);
/* Restore the order of the heap from `slot` on, whose entry is new or has changed. */
void zcmem__bin_reorder(struct zcmem_heap *heap, uint32_t bin, uint32_t slot);

/* Adds block `id` of `size` quanta to `bin`, its size's bin. */
ZCMEM__INLINE void zcmem__bin_insert(struct zcmem_heap *heap, uint32_t bin, struct zcmem__block *block, uint32_t id,
                                     uint32_t size) {
  uint32_t *end = &zcmem__bin_last(heap)[bin];
  uint32_t last = *end, slot;
  if (last == ZCMEM__NIL) {
    slot = bin;
    heap->words[bin >> 5] |= 1u << (bin & 31u);
    heap->summary |= 1u << (bin >> 5);
  } else if (last == bin || (last & (ZCMEM__PAGE - 1u)) == ZCMEM__PAGE - 1u) {
    slot = zcmem__bin_new_page(heap, bin, last);
  } else {
    slot = last + 1u;
  }
  zcmem__bin_entries(heap)[slot] = zcmem__bin_key(size, id);
  block->slot = slot;
  *end = slot;
  if (bin >= ZCMEM__BIN_WIDE && slot != bin) {
    zcmem__bin_reorder(heap, bin, slot);
  }
}

/* Takes the block out that is in `slot` of `bin`: the last one fills the hole. */
ZCMEM__INLINE void zcmem__bin_remove(struct zcmem_heap *heap, uint32_t bin, uint32_t slot) {
  uint64_t *entry = zcmem__bin_entries(heap);
  uint32_t *end = &zcmem__bin_last(heap)[bin];
  uint32_t last = *end;
  uint64_t moved = entry[last];
  entry[last] = 0;
  if (last == bin) {
    *end = ZCMEM__NIL;
    if ((heap->words[bin >> 5] &= ~(1u << (bin & 31u))) == 0) {
      heap->summary &= ~(1u << (bin >> 5));
    }
    return;
  }
  *end = (last & (ZCMEM__PAGE - 1u)) != 0 ? last - 1u : zcmem__bin_drop_page(heap, bin, last);
  if (slot != last) {
    entry[slot] = moved;
    zcmem__block(heap, zcmem__bin_id(moved))->slot = slot;
    if (bin >= ZCMEM__BIN_WIDE) {
      zcmem__bin_reorder(heap, bin, slot);
    }
  }
}

/* The block in the bins has changed its size from `before` to `size`: moves it where it belongs now. */
ZCMEM__INLINE void zcmem__bin_resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t before,
                                     uint32_t size) {
  uint32_t old_bin = zcmem__sizeclass_bin(before), bin = zcmem__sizeclass_bin(size);
  uint32_t slot = block->slot;
  if (old_bin != bin) {
    zcmem__bin_remove(heap, old_bin, slot);
    zcmem__bin_insert(heap, bin, block, id, size);
    return;
  }
  zcmem__bin_entries(heap)[slot] = zcmem__bin_key(size, id);
  if (bin >= ZCMEM__BIN_WIDE && zcmem__bin_last(heap)[bin] != bin) {
    zcmem__bin_reorder(heap, bin, slot);
  }
}

/* The first bin at or above `bin` that is not empty; ZCMEM__NIL: none. */
ZCMEM__INLINE uint32_t zcmem__bin_next(const struct zcmem_heap *heap, uint32_t bin) {
  uint32_t word = bin >> 5;
  uint32_t bits = heap->words[word] & (~0u << (bin & 31u));
  if (bits == 0) {
    uint32_t words = heap->summary & (~1u << word);
    if (words == 0) {
      return ZCMEM__NIL;
    }
    word = zcmem__bits_low(words);
    bits = heap->words[word];
  }
  return word << 5 | zcmem__bits_low(bits);
}

/*
 * The block to take for a request of `need` quanta whose alignment is no more than the quantum: the smallest that fits
 * among the bounded number looked at; ZCMEM__NIL iff no free block is large enough.
 */
uint32_t zcmem__bin_fit(struct zcmem_heap *heap, uint32_t need);

/*
 * The same where the start must be aligned: offset is the base's distance from a multiple of the alignment, mask the
 * alignment - 1, both in quanta.
 */
uint32_t zcmem__bin_fit_aligned(struct zcmem_heap *heap, uint32_t need, uint64_t offset, uint64_t mask);

/* Size of the largest free block in quanta, 0: none. */
uint32_t zcmem__bin_largest(const struct zcmem_heap *heap);

#endif
