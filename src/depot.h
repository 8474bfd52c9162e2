/* SPDX-License-Identifier: MIT */
/*
 * What the magazines of a region share: chains of cached blocks of one size, chains that are on their way to the heap,
 * how much may be cached, and hints where blocks are. All under the region's lock, but for the hints, which are read
 * without it. See magazine.h.
 */
#ifndef ZCMEM_DEPOT_H
#define ZCMEM_DEPOT_H

#include "heap_impl.h"
#include "region.h"

/* A compare-and-swap of 64 bits and threads are what they are made for. */
#if defined(__GNUC__) && UINTPTR_MAX > UINT32_MAX && !defined(ZCMEM_NO_PTHREAD) && !defined(ZCMEM_NO_MAGAZINES)
#define ZCMEM__MAGAZINES
#endif

/* Blocks of up to so many quanta are cached: 64 KiB at 128 bytes. */
#define ZCMEM__CLASSES 512u

struct zcmem__magazines;

/* A chain of the depot leads to the next one by the first block's slack, in whose low bits its order stands. */
struct zcmem__depot_class {
  uint32_t top;     /* first chain */
  uint8_t ran_out;  /* turns of the clock until it is forgotten that a thread found no block of this size, */
  uint8_t ran_over; /*   and that one had no room for one */
};

struct zcmem__depot {
  struct zcmem__magazines *all; /* of every thread that was here */
  uint32_t limit;               /* quanta that may be cached, over all */
  uint32_t granted;             /* allowances given */
  uint32_t held;                /* quanta in the depot */
  uint32_t clock;
  uint64_t blocks; /* in the depot */
  uint32_t *hints; /* start of a block -> descriptor, see zcmem__hint_find */
  uint32_t hint_shift;
  uint32_t condemned; /* first of the chains that are to go to the heap */
  uint32_t revokers;  /* threads that have revoked all magazines */
  struct zcmem__depot_class of[ZCMEM__CLASSES + 1];
};

/* Bytes of a depot for a region with so many blocks. */
size_t zcmem__depot_bytes(uint32_t max_blocks);

/* Makes a depot in zeroed memory, for a region whose heap is there. share: of the region, in 1/256. */
void zcmem__depot_init(struct zcmem__depot *depot, struct zcmem__region *region, uint32_t share);

/*
 * A hint leads from a block's first quantum to its descriptor: a bucket of two ids. It may be stale or missing; the
 * descriptor tells.
 */
ZCMEM__INLINE size_t zcmem__hint_bucket(uint32_t quantum, uint32_t shift) {
  return 2u * (size_t)(quantum * UINT64_C(0x9e3779b97f4a7c15) >> shift);
}

/* Remembers where a block is. */
void zcmem__depot_hint(struct zcmem__depot *depot, uint32_t start, uint32_t id);

/* Gives a cached block, which no chain has any more, back to the heap. */
void zcmem__depot_release(struct zcmem__region *region, uint32_t id);

/* The first block of a chain of cached blocks, and the chain without it. */
static inline uint32_t zcmem__depot_unlink(struct zcmem__region *region, uint32_t *chain) {
  uint32_t id = *chain;
  *chain = zcmem__block(region->heap, id)->tag;
  return id;
}

/* Takes a chain of *count blocks out of the depot, which has one of that size. */
uint32_t zcmem__depot_pop(struct zcmem__region *region, uint32_t size, uint32_t *count);

/* Adds one; `count` is a power of two. */
void zcmem__depot_push(struct zcmem__region *region, uint32_t size, uint32_t chain, uint32_t count);

/* Chains that are to go to the heap, a few blocks with each call that takes the lock. */
void zcmem__depot_condemn(struct zcmem__region *region, uint32_t size, uint32_t chain, uint32_t count);

/* Gives up to `most` blocks of these back. Returns how many there were. */
uint32_t zcmem__depot_execute(struct zcmem__region *region, uint32_t most);

/* Quanta more that may be cached: of the region, and of what is not in use, so that where space is short little is. */
uint32_t zcmem__depot_room(const struct zcmem__region *region);

/* The clock hand passes a size: a chain goes back if nobody ran out of it of late. */
void zcmem__depot_visit(struct zcmem__region *region, uint32_t size);

#endif
