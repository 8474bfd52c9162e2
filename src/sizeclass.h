/* SPDX-License-Identifier: MIT */
/*
 * L1. Size -> bin. Up to 4095 quanta (512 KiB of the default quantum) every size has a bin of its own: the bin's number
 * is the size. Above that TLSF's two levels in one number: fl = which power of two, sl = which 32nd of it.
 *
 *   quanta   1 ... 4095   bin = quanta                  "exact"
 *         4096 ... 8191   bins 4096 ... 4127            "wide", of 128 sizes each
 *         8192 ... 16383  bins 4128 ... 4159            of 256 sizes each, and so on
 */
#ifndef ZCMEM_SRC_SIZECLASS_H
#define ZCMEM_SRC_SIZECLASS_H

#include "bits.h"

#define ZCMEM__FL_SHIFT 12u /* log2 of the first size in a wide bin */
#define ZCMEM__SL_SHIFT 5u
/* The first wide bin, and at the same time the first size that is in one. */
#define ZCMEM__BIN_WIDE (1u << ZCMEM__FL_SHIFT)
/* Bins of the largest possible heap, of 2^32 - 1 quanta. */
#define ZCMEM__BIN_LIMIT (ZCMEM__BIN_WIDE + ((32u - ZCMEM__FL_SHIFT) << ZCMEM__SL_SHIFT))

/* The bin of a size of ZCMEM__BIN_WIDE quanta or more. */
static inline uint32_t zcmem__sizeclass_wide(uint32_t quanta) {
  uint32_t fl = zcmem__bits_high(quanta);
  uint32_t sl = (quanta >> (fl - ZCMEM__SL_SHIFT)) - (1u << ZCMEM__SL_SHIFT);
  return ZCMEM__BIN_WIDE + ((fl - ZCMEM__FL_SHIFT) << ZCMEM__SL_SHIFT) + sl;
}

/* The bin of a block of `quanta` quanta (> 0); grows with quanta. */
static inline uint32_t zcmem__sizeclass_bin(uint32_t quanta) {
  return quanta < ZCMEM__BIN_WIDE ? quanta : zcmem__sizeclass_wide(quanta);
}

/* The least size in quanta that lies in the bin. */
static inline uint32_t zcmem__sizeclass_least(uint32_t bin) {
  if (bin < ZCMEM__BIN_WIDE) {
    return bin;
  }
  uint32_t wide = bin - ZCMEM__BIN_WIDE, fl = ZCMEM__FL_SHIFT + (wide >> ZCMEM__SL_SHIFT);
  return ((1u << ZCMEM__SL_SHIFT) + (wide & ((1u << ZCMEM__SL_SHIFT) - 1u))) << (fl - ZCMEM__SL_SHIFT);
}

#endif
