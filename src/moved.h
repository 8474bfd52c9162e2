/* SPDX-License-Identifier: MIT */
/*
 * Counters of what transfers move, for those that take no lock: in a few cache lines, each of which one thread has
 * taken for its own and adds to without a locked instruction. Threads that come when all are taken share one more, and
 * those of a thread that has ended wait for one that is named alike.
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
  uint64_t owner; /* names a thread (region.h), or 0 */
};

/* The last one is everybody's. */
struct zcmem__moved_lines {
  struct zcmem__moved_line line[ZCMEM__MOVED_LINES + 1u];
};

/* The region's own counter of that kind, which the lock guards. */
static inline uint64_t *zcmem__moved_counter(struct zcmem_region_stats *stats, enum zcmem__moved kind) {
  uint64_t *const counters[ZCMEM__MOVED_KINDS] = {&stats->bytes_read,       &stats->bytes_written,
                                                  &stats->bytes_copied_out, &stats->bytes_copied_in,
                                                  &stats->bytes_filled,     &stats->failed_transfers};
  return counters[kind];
}

#ifdef ZCMEM__DIRECT
/* The line that a thread looks at first: threads' names are pages apart. */
ZCMEM__INLINE struct zcmem__moved_line *zcmem__moved_line_of(struct zcmem__moved_lines *lines, uint64_t self) {
  return &lines->line[(self >> 12) * UINT64_C(0x9e3779b97f4a7c15) >> 61];
}

/* The same where that line is not the thread's: another one, or what all share. */
static inline void zcmem__moved_add_elsewhere(struct zcmem__moved_lines *lines, uint64_t self, enum zcmem__moved kind,
                                              uint64_t amount) {
  uint64_t first = (uint64_t)(zcmem__moved_line_of(lines, self) - lines->line);
  for (uint64_t i = first; self != 0 && i < first + ZCMEM__MOVED_LINES; i++) {
    struct zcmem__moved_line *line = &lines->line[i % ZCMEM__MOVED_LINES];
    uint64_t owner = ZCMEM__GET64(line->owner);
    if (owner == self || (owner == 0 && __atomic_compare_exchange_n(&line->owner, &owner, self, false, __ATOMIC_RELAXED,
                                                                    __ATOMIC_RELAXED))) {
      ZCMEM__PUT64(line->of[kind], ZCMEM__GET64(line->of[kind]) + amount);
      return;
    }
  }
  (void)__atomic_fetch_add(&lines->line[ZCMEM__MOVED_LINES].of[kind], amount, __ATOMIC_RELAXED);
}

/* Adds for the thread of that name, which is the calling one; 0: threads have none. */
ZCMEM__INLINE void zcmem__moved_add(struct zcmem__moved_lines *lines, uint64_t self, enum zcmem__moved kind,
                                    uint64_t amount) {
  struct zcmem__moved_line *line = zcmem__moved_line_of(lines, self);
  if (ZCMEM__LIKELY(self != 0) && ZCMEM__LIKELY(ZCMEM__GET64(line->owner) == self)) {
    ZCMEM__PUT64(line->of[kind], ZCMEM__GET64(line->of[kind]) + amount);
  } else {
    zcmem__moved_add_elsewhere(lines, self, kind, amount);
  }
}
#endif

/* Adds all lines to the figures. */
static inline void zcmem__moved_sum(const struct zcmem__moved_lines *lines, struct zcmem_region_stats *stats) {
  for (uint32_t kind = 0; kind < ZCMEM__MOVED_KINDS; kind++) {
    for (uint32_t line = 0; line <= ZCMEM__MOVED_LINES; line++) {
      *zcmem__moved_counter(stats, (enum zcmem__moved)kind) += ZCMEM__GET64(lines->line[line].of[kind]);
    }
  }
}

#endif
