/* SPDX-License-Identifier: MIT */
/* L1. The bins' longer paths: aligned requests, the largest block. See bin.h. */
#include "bin.h"

#define CANDIDATES 16u /* blocks of an exact bin that are looked at for an aligned request */

static uint32_t fit_aligned(const struct zcmem_heap *heap, uint32_t bin, uint32_t need, uint64_t offset,
                            uint64_t mask) {
  if (bin >= ZCMEM__BIN_WIDE) {
    return zcmem__wide_take_aligned(heap, bin, need, offset, mask);
  }
  uint32_t id = zcmem__bin_heads_const(heap)[bin];
  for (uint32_t looked = 0; looked < CANDIDATES && id != ZCMEM__NIL; looked++) {
    const struct zcmem__block *block = zcmem__block_const(heap, id);
    if (zcmem__block_holds(block, need, offset, mask)) {
      return id;
    }
    id = block->bin_next;
  }
  return ZCMEM__NIL;
}

uint32_t zcmem__bin_fit_aligned(const struct zcmem_heap *heap, uint32_t need, uint64_t offset, uint64_t mask) {
  /* Candidates as they are: the request's own bin or the next that is not empty, and the one after that. */
  uint32_t bin = zcmem__binmap_next(heap, zcmem__sizeclass_bin(need)), id = ZCMEM__NIL;
  for (uint32_t tries = 0; tries < 2u && bin != ZCMEM__NIL && id == ZCMEM__NIL; tries++) {
    ZCMEM__STEP();
    id = fit_aligned(heap, bin, need, offset, mask);
    bin = zcmem__binmap_next(heap, bin + 1u);
  }
  if (id == ZCMEM__NIL && need + mask <= heap->at.quanta) {
    id = zcmem__bin_fit(heap, (uint32_t)(need + mask)); /* whatever its start, this one holds it */
  }
  return id;
}

uint32_t zcmem__bin_largest(const struct zcmem_heap *heap) {
  uint32_t bin = zcmem__binmap_last(heap);
  return bin < ZCMEM__BIN_WIDE ? bin : zcmem__wide_largest(heap, bin);
}
