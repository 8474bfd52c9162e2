/* SPDX-License-Identifier: MIT */
/*
 * What the magazines of a region share: bundles of cached blocks, how much may be cached, and hints where blocks are.
 * All under the region's lock, but for the hints, which are read without it. See magazine.h.
 */
#ifndef ZCMEM_DEPOT_H
#define ZCMEM_DEPOT_H

#include "heap_impl.h"
#include "region.h"
#include "seize.h"

/* Blocks of up to so many quanta are cached: 64 KiB at 128 bytes. */
#define ZCMEM__CLASSES 512u

struct zcmem__magazines;

/*
 * A cached block: where it starts, in quanta, and its descriptor. In a region that processes share `start` is instead
 * the generation that it had when it came here, with its owner: whoever takes the block meanwhile makes it another one.
 */
struct zcmem__ticket {
  uint32_t start;
  uint32_t id;
};

/* Tickets go through the depot by so many at most, of whatever sizes: two cache lines. */
#define ZCMEM__BUNDLE 12u

struct zcmem__bundle {
  struct zcmem__ticket ticket[ZCMEM__BUNDLE];
  uint16_t size[ZCMEM__BUNDLE]; /* quanta of their blocks */
  uint32_t count;
  uint32_t next; /* bundle below, or next unused one; numbers from 1 on, 0: none */
};

struct zcmem__depot {
  struct zcmem__magazines *all; /* of every thread that was here, and of open contexts */
  uint32_t threads;             /* how many these are */
  uint32_t limit;               /* quanta that may be cached, over all */
  uint32_t granted;             /* allowances given */
  uint32_t held;                /* quanta in bundles */
  uint32_t seized;              /* as zcmem__shared.seized was when what is kept here was granted */
  uint32_t wanted;              /* calls until it is forgotten that a thread looked for a bundle */
  uint64_t *hints;              /* start of a block -> descriptor, see zcmem__hint_bucket */
  uint32_t hint_shift;
  uint32_t bundle_count; /* there is a number 0, which is not used */
  uint32_t bundle_next;  /* numbers from here on have never been used */
  uint32_t unused;       /* first of those that are not any more */
  uint32_t top;          /* the bundle that came last */
  struct zcmem__bundle *bundles;
};

/* Bytes of a depot for a region with so many blocks. */
size_t zcmem__depot_bytes(uint32_t max_blocks);

/*
 * Makes a depot in zeroed memory, for a region whose heap is there. limit: of the region, in 1/256; share: what ends
 * that one thread changes blocks without swapping.
 */
void zcmem__depot_init(struct zcmem__depot *depot, struct zcmem__region *region, uint32_t limit,
                       void (*share)(struct zcmem__region *region));

/*
 * A hint leads from a block's first quantum to its descriptor: start << 32 | id, never 0. It may be stale or missing;
 * the descriptor tells. A bucket is a cache line, the youngest hint first, so that a look-up seldom needs more than
 * its first half.
 */
#define ZCMEM__HINTS 8u

ZCMEM__INLINE size_t zcmem__hint_bucket(uint32_t quantum, uint32_t shift) {
  return ZCMEM__HINTS * (size_t)(quantum * UINT64_C(0x9e3779b97f4a7c15) >> shift);
}

/* Remembers where a block is. */
void zcmem__depot_hint(struct zcmem__depot *depot, uint32_t start, uint32_t id);

/* Forgets it, so that the block's free comes by the lock. A live block gets no other hint. */
void zcmem__depot_forget(struct zcmem__depot *depot, uint32_t start);

/* Gives a cached block, which nobody has a ticket of any more, back to the heap. */
void zcmem__depot_release(struct zcmem__region *region, uint32_t id);

/* The same with the block of a ticket, unless another process has seized it. */
void zcmem__depot_redeem_shared(struct zcmem__region *region, struct zcmem__ticket ticket);

ZCMEM__INLINE void zcmem__depot_redeem(struct zcmem__region *region, struct zcmem__ticket ticket) {
  if (ZCMEM__LIKELY(region->shared == NULL)) {
    zcmem__depot_release(region, ticket.id);
  } else {
    zcmem__depot_redeem_shared(region, ticket);
  }
}

/* What a ticket for a cached block says beside its descriptor. */
ZCMEM__INLINE uint32_t zcmem__depot_mark(const struct zcmem__region *region, const struct zcmem__block *block) {
  return region->shared == NULL ? block->start : ZCMEM__GET(block->generation);
}

/* Nothing is kept any more, and nothing may be, in the depot itself: other processes have seized it. */
void zcmem__depot_void(struct zcmem__region *region);

/* Tells other processes what is kept, unless it has been seized. */
ZCMEM__INLINE void zcmem__depot_tell(const struct zcmem__region *region) {
  const struct zcmem__depot *depot = region->depot;
  if (ZCMEM__UNLIKELY(region->shared != NULL) && zcmem__atomic_acquire(region->shared->seized) == depot->seized) {
    zcmem__seize_tell(region->shared, depot->granted + depot->held, depot->threads);
  }
}

/* Threads that share what may be kept; those of this process may not be told yet. */
ZCMEM__INLINE uint32_t zcmem__depot_threads(const struct zcmem__region *region) {
  const uint32_t own = region->depot->threads;
  const uint32_t all = ZCMEM__LIKELY(region->shared == NULL) ? own : zcmem__seize_threads(region->shared);
  return all < own ? own : all;
}

/* The bundle that came last, which is to be emptied and then dropped; NULL: there is none. */
struct zcmem__bundle *zcmem__depot_top(struct zcmem__depot *depot);

/* Takes a ticket out of a bundle that has some. */
ZCMEM__INLINE struct zcmem__ticket zcmem__bundle_pop(struct zcmem__depot *depot, struct zcmem__bundle *bundle,
                                                     uint32_t *size) {
  *size = bundle->size[--bundle->count];
  depot->held -= *size;
  return bundle->ticket[bundle->count];
}

/* Puts one into a bundle that is not full. */
ZCMEM__INLINE void zcmem__bundle_push(struct zcmem__depot *depot, struct zcmem__bundle *bundle,
                                      struct zcmem__ticket ticket, uint32_t size) {
  bundle->size[bundle->count] = (uint16_t)size;
  bundle->ticket[bundle->count++] = ticket;
  depot->held += size;
}

/* The bundle on top, which is not full; a new, empty one if need be; NULL: there are no more. */
struct zcmem__bundle *zcmem__depot_open(struct zcmem__depot *depot);

/* Takes the top one, which is empty, away. */
void zcmem__depot_drop(struct zcmem__depot *depot);

/* Gives up to `most` blocks of bundles back to the heap. Returns how many there were. */
uint32_t zcmem__depot_give_back(struct zcmem__region *region, uint32_t most);

/* Quanta more that may be cached: of the region, and of what is not in use, so that where space is short little is. */
uint32_t zcmem__depot_room(const struct zcmem__region *region);

#endif
