/* SPDX-License-Identifier: MIT */
/*
 * L0. Our own invariants (never a caller's mistake: that gets a status). Off unless ZCMEM_DEBUG is set: the core has no
 * way to report, so a broken invariant traps.
 *
 * ZCMEM_COUNT_STEPS: a test build counts loop iterations and descriptor touches, which is what the published step
 * bounds, below, speak of.
 */
#ifndef ZCMEM_SRC_ASSERT_H
#define ZCMEM_SRC_ASSERT_H

#include <stdint.h>

#if defined(ZCMEM_DEBUG) && defined(__GNUC__)
#define ZCMEM__ASSERT(x) ((x) ? (void)0 : __builtin_trap())
#else
#define ZCMEM__ASSERT(x) ((void)sizeof((x) ? 1 : 0))
#endif

#if defined(ZCMEM_COUNT_STEPS)
extern uint64_t zcmem_steps;
#define ZCMEM__STEP() ((void)zcmem_steps++)
#else
#define ZCMEM__STEP() ((void)0)
#endif

/*
 * The bounds: the most steps of each call, whatever is in the heap and however large it is. A step is one iteration of
 * any loop (unrolled ones, too) or one touch of a descriptor. What limits the loops:
 *
 *   TABLES    tables on the way down the index. They need a page with nine blocks, so max_blocks > 8, so pages of 2^26
 *             quanta at most; each table has pages a sixteenth as large, and 2^2 quanta need none: 26 22 18 14 10 6.
 *   LEVELS    levels of the bitmap: at most eight pages for each of 2^27 blocks; 64^4 * 64 = 2^30.
 *   SCAN      words of the last level, less the first one looked at.
 *   DEPTH     moves between the pages of a wide bin: 8 + 8^2 + ... + 8^7 entries are more than there can be blocks of
 *             BIN_WIDE quanta in 2^32, with a live one between any two: seven pages from the first to the last.
 *   CROWD     blocks of an entry: eight live ones, and eight free ones, each behind one of them.
 *   SUMMARY   words of the bins' summary.
 *
 * The sums below take each part's worst case, though not all can come together: tables are deep only where blocks are
 * few, a wide bin is deep only where they are many.
 */
#define ZCMEM_STEPS_TABLES 6u
#define ZCMEM_STEPS_LEVELS 4u
#define ZCMEM_STEPS_SCAN 63u
#define ZCMEM_STEPS_DEPTH 6u
#define ZCMEM_STEPS_CROWD 16u
#define ZCMEM_STEPS_SUMMARY 2u

/* Index. Descend, along the crowd, and one behind it. */
#define ZCMEM_STEPS_INDEX_AT (ZCMEM_STEPS_TABLES + ZCMEM_STEPS_CROWD + 1u)
/* Look at all parts behind, in each table; up, along and down the bitmap; down to the first, again; along the crowd. */
#define ZCMEM_STEPS_INDEX_HOLDER                                                                                       \
  (16u * ZCMEM_STEPS_TABLES + 2u * ZCMEM_STEPS_LEVELS - 1u + ZCMEM_STEPS_SCAN + 17u * ZCMEM_STEPS_TABLES +             \
   ZCMEM_STEPS_CROWD)
/* The first block of the entry; then a table for each level, with two touches for each of the crowd and the new one. */
#define ZCMEM_STEPS_INDEX_ADD (1u + ZCMEM_STEPS_TABLES * (1u + 2u * (ZCMEM_STEPS_CROWD + 1u)))
/* Descend; fold a table of sixteen entries for each level. */
#define ZCMEM_STEPS_INDEX_REMOVE (ZCMEM_STEPS_TABLES * (1u + 1u + 16u))

/* Bins. Down: a page of eight to compare, and a move; the other way a comparison less, so down is the longer one. */
#define ZCMEM_STEPS_BIN_ORDER (ZCMEM_STEPS_DEPTH * (1u + 7u + 1u) + 1u)
#define ZCMEM_STEPS_BIN_REMOVE (1u + ZCMEM_STEPS_BIN_ORDER)
/* A new block comes in at the end: up, a look at the children there, and its own place. Exact bins: two touches. */
#define ZCMEM_STEPS_BIN_INSERT (1u + ZCMEM_STEPS_DEPTH * 2u + 8u + 1u)
#define ZCMEM_STEPS_BIN_RESIZE (ZCMEM_STEPS_BIN_REMOVE + ZCMEM_STEPS_BIN_INSERT)
/* The first page of the own bin, in vain; then three pages of the next one, four pairs of entries each. */
#define ZCMEM_STEPS_BIN_FIT (2u * ZCMEM_STEPS_SUMMARY + 4u + 4u + 2u * (1u + 4u))
/* Two bins, of each two pages of eight entries, with a look at the block; then one that is large enough anyway. */
#define ZCMEM_STEPS_BIN_FIT_ALIGNED                                                                                    \
  (ZCMEM_STEPS_SUMMARY + 2u * (1u + 2u * (1u + 8u * 2u) + ZCMEM_STEPS_SUMMARY) + ZCMEM_STEPS_BIN_FIT)

/* Heap. The block, its rest's new descriptor, a neighbour; cut a free block in two before that. */
#define ZCMEM_STEPS_CARVE (4u + ZCMEM_STEPS_BIN_RESIZE + ZCMEM_STEPS_INDEX_ADD)
#define ZCMEM_STEPS_SPLIT (4u + ZCMEM_STEPS_BIN_RESIZE + ZCMEM_STEPS_BIN_INSERT)
/* The one behind; then both neighbours and the one behind them, one out of its bin, the other into another bin. */
#define ZCMEM_STEPS_RELEASE (1u + ZCMEM_STEPS_INDEX_REMOVE + 3u + ZCMEM_STEPS_BIN_REMOVE + ZCMEM_STEPS_BIN_RESIZE)

/* The calls. */
#define ZCMEM_STEPS_ALLOC (ZCMEM_STEPS_BIN_FIT + 2u + ZCMEM_STEPS_CARVE)
#define ZCMEM_STEPS_ALLOC_ALIGNED (ZCMEM_STEPS_BIN_FIT_ALIGNED + 3u + ZCMEM_STEPS_SPLIT + ZCMEM_STEPS_CARVE)
#define ZCMEM_STEPS_FREE (ZCMEM_STEPS_INDEX_AT + 1u + ZCMEM_STEPS_RELEASE)
#define ZCMEM_STEPS_RESIZE (ZCMEM_STEPS_INDEX_AT + 3u + ZCMEM_STEPS_BIN_RESIZE)
#define ZCMEM_STEPS_RESERVE (ZCMEM_STEPS_INDEX_HOLDER + 1u + ZCMEM_STEPS_SPLIT + ZCMEM_STEPS_CARVE)
#define ZCMEM_STEPS_FIND (ZCMEM_STEPS_INDEX_HOLDER + 2u)
#define ZCMEM_STEPS_USE (ZCMEM_STEPS_INDEX_HOLDER + 3u)                         /* pin, begin_transfer */
#define ZCMEM_STEPS_UNUSE (ZCMEM_STEPS_INDEX_HOLDER + 2u + ZCMEM_STEPS_RELEASE) /* unpin, end_transfer */
#define ZCMEM_STEPS_SET_TAG (ZCMEM_STEPS_INDEX_AT + 1u)
#define ZCMEM_STEPS_LARGEST (ZCMEM_STEPS_SUMMARY + 7u + 2u)
#define ZCMEM_STEPS_GET_INFO 0u

#endif
