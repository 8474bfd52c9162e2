/* SPDX-License-Identifier: MIT */
#include "depot.h"

#ifdef ZCMEM__MAGAZINES
#include "heap_ops.h"

/*
 * A region of n blocks has room for twice as many hints, at least: so even where all of them live less than one in a
 * hundred finds its bucket full of others that live.
 */
static uint32_t bucket_bits(uint32_t max_blocks) {
  return max_blocks <= ZCMEM__HINTS ? 1 : zcmem__bits_high(max_blocks - 1u) - 1u;
}

static size_t hint_bytes(uint32_t max_blocks) {
  return zcmem__lines(ZCMEM__HINTS * sizeof(uint64_t) << bucket_bits(max_blocks));
}

/* Bundles for an eighth of the blocks, and a few for a small region. */
static uint32_t bundle_count(uint32_t max_blocks) {
  return max_blocks / (8u * ZCMEM__BUNDLE) + 64u;
}

size_t zcmem__depot_bytes(uint32_t max_blocks) {
  return zcmem__lines(sizeof(struct zcmem__depot)) + hint_bytes(max_blocks) +
         zcmem__lines(bundle_count(max_blocks) * sizeof(struct zcmem__bundle));
}

void zcmem__depot_init(struct zcmem__depot *depot, struct zcmem__region *region, uint32_t limit,
                       void (*share)(struct zcmem__region *region)) {
  char *at = (char *)depot + zcmem__lines(sizeof(struct zcmem__depot));
  depot->hints = (void *)at;
  depot->hint_shift = 64u - bucket_bits(region->max_blocks);
  depot->bundles = (void *)(at + hint_bytes(region->max_blocks));
  depot->bundle_count = bundle_count(region->max_blocks);
  depot->bundle_next = 1;
  depot->limit = (uint32_t)((uint64_t)region->heap->at.quanta * limit / 256u);
  region->share = share;
  if (region->shared == NULL) {
    region->heap->shared = ZCMEM__SHARED_ONE;
  } else {
    depot->seized = zcmem__atomic_acquire(region->shared->seized);
  }
  region->depot = depot;
}

/* ------------------------------------------------------------------------------------------------------- hints -- */

/* The youngest comes first and the oldest goes: a stale one, as a rule, or that of a block which is then freed the slow
   way and so becomes the youngest. */
void zcmem__depot_hint(struct zcmem__depot *depot, uint32_t start, uint32_t id) {
  uint64_t *bucket = depot->hints + zcmem__hint_bucket(start, depot->hint_shift);
  uint32_t place = 0;
  while (place < ZCMEM__HINTS - 1u && bucket[place] >> 32 != start) {
    place++;
  }
  for (; place > 0; place--) {
    ZCMEM__PUT64(bucket[place], bucket[place - 1u]);
  }
  ZCMEM__PUT64(bucket[0], (uint64_t)start << 32 | id);
}

void zcmem__depot_forget(struct zcmem__depot *depot, uint32_t start) {
  uint64_t *bucket = depot->hints + zcmem__hint_bucket(start, depot->hint_shift);
  for (uint32_t i = 0; i < ZCMEM__HINTS; i++) {
    if (bucket[i] >> 32 == start) {
      ZCMEM__PUT64(bucket[i], UINT64_MAX << 32); /* no block starts there; 0 would look like the first place */
    }
  }
}

/* ---------------------------------------------------------------------------------------- blocks in and out -- */

void zcmem__depot_release(struct zcmem__region *region, uint32_t id) {
  struct zcmem__block *block = zcmem__block(region->heap, id);
  ZCMEM__PUT(block->slack, 0u); /* what it was stands in another's account already */
  zcmem__heap_release(region->heap, id);
}

/* While the lock is held nobody but who has the ticket takes the block out. */
void zcmem__depot_redeem_shared(struct zcmem__region *region, struct zcmem__ticket ticket) {
  const struct zcmem__block *block = zcmem__block(region->heap, ticket.id);
  if (ZCMEM__GET(block->use) == ZCMEM__CACHED && ZCMEM__GET(block->generation) == ticket.start) {
    zcmem__depot_release(region, ticket.id);
  }
}

void zcmem__depot_void(struct zcmem__region *region) {
  struct zcmem__depot *depot = region->depot;
  depot->granted = 0;
  depot->held = 0;
  depot->top = 0;
  depot->unused = 0;
  depot->bundle_next = 1;
  depot->seized = zcmem__atomic_acquire(region->shared->seized);
}

struct zcmem__bundle *zcmem__depot_top(struct zcmem__depot *depot) {
  return depot->top == 0 ? NULL : &depot->bundles[depot->top];
}

struct zcmem__bundle *zcmem__depot_open(struct zcmem__depot *depot) {
  uint32_t number = depot->unused;
  if (depot->top != 0 && depot->bundles[depot->top].count < ZCMEM__BUNDLE) {
    return &depot->bundles[depot->top];
  }
  if (number != 0) {
    depot->unused = depot->bundles[number].next;
  } else if (depot->bundle_next < depot->bundle_count) {
    number = depot->bundle_next++;
  } else {
    return NULL;
  }
  depot->bundles[number].count = 0;
  depot->bundles[number].next = depot->top;
  depot->top = number;
  return &depot->bundles[number];
}

void zcmem__depot_drop(struct zcmem__depot *depot) {
  uint32_t number = depot->top;
  depot->top = depot->bundles[number].next;
  depot->bundles[number].next = depot->unused;
  depot->unused = number;
}

uint32_t zcmem__depot_give_back(struct zcmem__region *region, uint32_t most) {
  struct zcmem__bundle *top;
  uint32_t given = 0;
  while (given < most && (top = zcmem__depot_top(region->depot)) != NULL) {
    uint32_t size;
    zcmem__depot_redeem(region, zcmem__bundle_pop(region->depot, top, &size));
    given++;
    if (top->count == 0) {
      zcmem__depot_drop(region->depot);
    }
  }
  return given;
}

uint32_t zcmem__depot_room(const struct zcmem__region *region) {
  const struct zcmem__depot *depot = region->depot;
  uint64_t taken = (uint64_t)depot->granted + depot->held;
  taken += region->shared == NULL ? 0 : zcmem__seize_others(region->shared);
  uint64_t limit = depot->limit, unused = region->heap->free_quanta + taken;
  limit = limit < unused / 4u ? limit : unused / 4u;
  return taken < limit ? (uint32_t)(limit - taken) : 0;
}

#else
typedef int zcmem__depot_empty; /* ISO C wants something in each file */
#endif
