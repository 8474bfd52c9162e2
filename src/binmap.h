/* SPDX-License-Identifier: MIT */
/* L1. Which bins are empty: a bit for each bin, and a summary that says which words of bits are 0. */
#ifndef ZCMEM_SRC_BINMAP_H
#define ZCMEM_SRC_BINMAP_H

#include "heap_impl.h"

/* The bin has a block. */
ZCMEM__HOT void zcmem__binmap_set(struct zcmem_heap *heap, uint32_t bin) {
  heap->words[bin >> 6] |= zcmem__bits_one(bin & 63u);
  heap->summary[bin >> 12] |= zcmem__bits_one(bin >> 6 & 63u);
}

/* The bin has lost a block; no branch on whether it is empty now, which cannot be predicted. */
ZCMEM__HOT void zcmem__binmap_lose(struct zcmem_heap *heap, uint32_t bin, bool empty) {
  uint64_t bits = heap->words[bin >> 6] & ~((uint64_t)empty << (bin & 63u));
  heap->words[bin >> 6] = bits;
  heap->summary[bin >> 12] &= ~((uint64_t)(bits == 0) << (bin >> 6 & 63u));
}

/* The first bin at or above `bin` that is not empty; ZCMEM__NIL: none. */
ZCMEM__HOT uint32_t zcmem__binmap_next(const struct zcmem_heap *heap, uint32_t bin) {
  uint32_t word = bin >> 6;
  uint64_t bits = heap->words[word] & (~UINT64_C(0) << (bin & 63u));
  if (bits == 0) {
    uint32_t group = word >> 6;
    uint64_t words = heap->summary[group] & (~UINT64_C(1) << (word & 63u));
    while (words == 0) {
      ZCMEM__STEP();
      if (++group == ZCMEM__BIN_SUMMARIES) {
        return ZCMEM__NIL;
      }
      words = heap->summary[group];
    }
    word = group << 6 | zcmem__bits_low64(words);
    bits = heap->words[word];
  }
  return word << 6 | zcmem__bits_low64(bits);
}

/* The last bin that is not empty; ZCMEM__NIL: none. */
static inline uint32_t zcmem__binmap_last(const struct zcmem_heap *heap) {
  for (uint32_t group = ZCMEM__BIN_SUMMARIES; group-- > 0;) {
    ZCMEM__STEP();
    if (heap->summary[group] != 0) {
      uint32_t word = group << 6 | zcmem__bits_log2(heap->summary[group]);
      return word << 6 | zcmem__bits_log2(heap->words[word]);
    }
  }
  return ZCMEM__NIL;
}

#endif
