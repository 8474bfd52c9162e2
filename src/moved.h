/* SPDX-License-Identifier: MIT */
/*
 * Counters of what transfers move, for those that take no lock: relaxed additions in a few cache lines, of which each
 * thread uses one, as a rule one of its own.
 */
#ifndef ZCMEM_SRC_MOVED_H
#define ZCMEM_SRC_MOVED_H

#include "bits.h"
#include <stdalign.h>
#include <zcmem/hal.h>

/* Whether uses of blocks can be counted without the lock: it takes a compare-and-swap of 64 bits. */
#if defined(__GNUC__) && UINTPTR_MAX > UINT32_MAX
#define ZCMEM__DIRECT
#endif

enum zcmem__moved {
  ZCMEM__MOVED_READ,
  ZCMEM__MOVED_WRITTEN,
  ZCMEM__MOVED_COPIED_OUT,
  ZCMEM__MOVED_COPIED_IN,
  ZCMEM__MOVED_FILLED,
  ZCMEM__MOVED_FAILED,
  ZCMEM__MOVED_KINDS
};

#define ZCMEM__MOVED_LINES 8u

struct zcmem__moved_line {
  alignas(64) uint64_t of[ZCMEM__MOVED_KINDS];
};

/* The region's own counter of that kind, which the lock guards. */
static inline uint64_t *zcmem__moved_counter(struct zcmem_region_stats *stats, enum zcmem__moved kind) {
  uint64_t *const counters[ZCMEM__MOVED_KINDS] = {&stats->bytes_read,       &stats->bytes_written,
                                                  &stats->bytes_copied_out, &stats->bytes_copied_in,
                                                  &stats->bytes_filled,     &stats->failed_transfers};
  return counters[kind];
}

/* Adds in the calling thread's line: threads have stacks far from each other, and stay on theirs. */
static inline void zcmem__moved_add(struct zcmem__moved_line *lines, enum zcmem__moved kind, uint64_t amount) {
#ifdef ZCMEM__DIRECT
  uint64_t place = (uint64_t)(uintptr_t)&lines >> 16;
  (void)__atomic_fetch_add(&lines[place * UINT64_C(0x9e3779b97f4a7c15) >> 61].of[kind], amount, __ATOMIC_RELAXED);
#else
  (void)lines;
  (void)kind;
  (void)amount;
#endif
}

/* Adds all lines to the figures. */
static inline void zcmem__moved_sum(const struct zcmem__moved_line *lines, struct zcmem_region_stats *stats) {
  for (uint32_t kind = 0; kind < ZCMEM__MOVED_KINDS; kind++) {
    for (uint32_t line = 0; line < ZCMEM__MOVED_LINES; line++) {
      *zcmem__moved_counter(stats, (enum zcmem__moved)kind) += ZCMEM__GET64(lines[line].of[kind]);
    }
  }
}

#endif
