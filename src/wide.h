/* SPDX-License-Identifier: MIT */
/*
 * L1. Wide bins: free blocks of 4096 quanta or more, by size.
 *
 * A wide bin keeps its blocks in pages of eight entries, a cache line each, filled from left to right; page b is the
 * first of wide bin b. Up to eight blocks, the usual number, are simply there, and one look at the line finds the best
 * fit. More blocks make the bin an 8-ary max-heap by size: every entry of a page may have a page of children, added
 * breadth first.
 *
 *      page b, of the bin        [ 90 | 71 | 88 | 93 | 80 | 75 | 91 | 77 ]
 *                                   |    |
 *      further pages             [ 64 | 89 | .. ][ 70 | vacant: 0 | .. ]
 *
 * So the largest block of every bin is in its first page, and the bins know within a bounded number of steps whether
 * a request can be met: a list could not tell.
 */
#ifndef ZCMEM_SRC_WIDE_H
#define ZCMEM_SRC_WIDE_H

#include "heap_impl.h"

/*
 * Slot 8p + i is entry i of page p: size << 32 | start, with i in place of the start's last three bits, which do not
 * tell blocks of this size apart. Entries compare as sizes and, of equal sizes, as addresses: the least that fits is
 * the best fit with the lowest address, and says itself where it stands.
 */
static inline uint64_t zcmem__wide_entry(uint32_t size, uint32_t start, uint32_t slot) {
  return (uint64_t)size << 32 | (start & ~(ZCMEM__PAGE - 1u)) | (slot & (ZCMEM__PAGE - 1u));
}
static inline uint32_t zcmem__wide_size(uint64_t entry) {
  return (uint32_t)(entry >> 32);
}

/* As the functions of the same names in bin.h, for sizes of ZCMEM__BIN_WIDE or more. */
void zcmem__wide_insert(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t size);
void zcmem__wide_remove(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t size);
void zcmem__wide_resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t before,
                        uint32_t size);
uint32_t zcmem__wide_fit(const struct zcmem_heap *heap, uint32_t need);

/* The smallest that fits among the blocks looked at in a wide bin that is not empty; ZCMEM__NIL: none fits. */
uint32_t zcmem__wide_take(const struct zcmem_heap *heap, uint32_t bin, uint32_t need);

/* The smallest that holds an aligned request among the blocks looked at, see zcmem__bin_fit_aligned. */
uint32_t zcmem__wide_take_aligned(const struct zcmem_heap *heap, uint32_t bin, uint32_t need, uint64_t offset,
                                  uint64_t mask);

/* Size of the largest block of a wide bin. */
uint32_t zcmem__wide_largest(const struct zcmem_heap *heap, uint32_t bin);

#endif
