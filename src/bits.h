/* SPDX-License-Identifier: MIT */
/*
 * L0. The only place for compiler builtins and for tricks with bits. Words are 32 bits wide, so that a 32-bit target
 * needs no helper function of its compiler's run-time library.
 */
#ifndef ZCMEM_SRC_BITS_H
#define ZCMEM_SRC_BITS_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ZCMEM__LIKELY(x) __builtin_expect(!!(x), 1)
#define ZCMEM__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ZCMEM__NOINLINE __attribute__((noinline))
#define ZCMEM__INLINE static inline __attribute__((always_inline))
#else
#define ZCMEM__LIKELY(x) (x)
#define ZCMEM__UNLIKELY(x) (x)
#define ZCMEM__NOINLINE
#define ZCMEM__INLINE static inline
#endif

/* Index of the highest set bit; x is not 0. */
static inline uint32_t zcmem__bits_high(uint32_t x) {
#if defined(__GNUC__)
  return 31u ^ (uint32_t)__builtin_clz(x);
#else
  uint32_t n = 0;
  for (uint32_t step = 16; step != 0; step >>= 1) {
    if ((x >> step) != 0) {
      x >>= step;
      n += step;
    }
  }
  return n;
#endif
}

/* Index of the lowest set bit; x is not 0. */
static inline uint32_t zcmem__bits_low(uint32_t x) {
#if defined(__GNUC__)
  return (uint32_t)__builtin_ctz(x);
#else
  return zcmem__bits_high(x & (0u - x));
#endif
}

static inline bool zcmem__bits_power_of_two(uint64_t x) { return x != 0 && (x & (x - 1)) == 0; }

/* Index of the only set bit of a power of two. */
static inline uint32_t zcmem__bits_log2(uint64_t x) {
  uint32_t high = (uint32_t)(x >> 32);
  return high != 0 ? 32u + zcmem__bits_high(high) : zcmem__bits_high((uint32_t)x);
}

#endif
