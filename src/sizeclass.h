/* SPDX-License-Identifier: MIT */
/*
 * L1. Size -> bin, TLSF's two levels in one number: fl = which power of two, sl = which 32nd of it.
 *
 *   quanta   1 ... 63   bin = quanta: one size a bin ("narrow")
 *           64 ... 127  bins 64 ... 95, two sizes each ("wide"), and so on: 32 bins for each further power of two
 */
#ifndef ZCMEM_SRC_SIZECLASS_H
#define ZCMEM_SRC_SIZECLASS_H

#include "bits.h"

#define ZCMEM__SL_SHIFT 5u
#define ZCMEM__SL (1u << ZCMEM__SL_SHIFT)
/* The first bin that holds more than one size. */
#define ZCMEM__BIN_WIDE (2u * ZCMEM__SL)
/* Bins of the largest possible heap, of 2^32 - 1 quanta. */
#define ZCMEM__BIN_LIMIT ((32u - ZCMEM__SL_SHIFT + 1u) * ZCMEM__SL)

/* The bin of a block of `quanta` quanta (> 0); grows with quanta. */
static inline uint32_t zcmem__sizeclass_bin(uint32_t quanta) {
  uint32_t shift = zcmem__bits_high(quanta | ZCMEM__SL) - ZCMEM__SL_SHIFT;
  return (shift << ZCMEM__SL_SHIFT) + (quanta >> shift);
}

/* The least size in quanta that lies in the bin. */
static inline uint32_t zcmem__sizeclass_least(uint32_t bin) {
  uint32_t shift = bin < ZCMEM__BIN_WIDE ? 0 : (bin >> ZCMEM__SL_SHIFT) - 1u;
  return (bin - (shift << ZCMEM__SL_SHIFT)) << shift;
}

#endif
