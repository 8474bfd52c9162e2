/* SPDX-License-Identifier: MIT */
#include "depot.h"

#ifdef ZCMEM__MAGAZINES
#include "heap_ops.h"

/* A region of n blocks has as many buckets of two hints, at least; so most blocks have a hint, even when all live. */
static uint32_t bucket_bits(uint32_t max_blocks) {
  return max_blocks <= 2 ? 1 : zcmem__bits_high(max_blocks - 1u) + 1u;
}

size_t zcmem__depot_bytes(uint32_t max_blocks) {
  return zcmem__lines(sizeof(struct zcmem__depot)) + ((size_t)2 * sizeof(uint32_t) << bucket_bits(max_blocks));
}

void zcmem__depot_init(struct zcmem__depot *depot, struct zcmem__region *region, uint32_t share) {
  depot->hints = (void *)((char *)depot + zcmem__lines(sizeof(struct zcmem__depot)));
  depot->hint_shift = 64u - bucket_bits(region->max_blocks);
  depot->limit = (uint32_t)((uint64_t)region->heap->at.quanta * share / 256u);
  region->heap->shared = ZCMEM__SHARED_ONE;
  region->depot = depot;
}

/* ------------------------------------------------------------------------------------------------------- hints -- */

/* Where both places are taken the older hint goes: stale ones do, in the end, or that of a block which is then freed
   the slow way. */
void zcmem__depot_hint(struct zcmem__depot *depot, uint32_t start, uint32_t id) {
  uint32_t *bucket = depot->hints + zcmem__hint_bucket(start, depot->hint_shift);
  if (bucket[0] != id) {
    ZCMEM__PUT(bucket[1], bucket[0]);
    ZCMEM__PUT(bucket[0], id);
  }
}

/* ---------------------------------------------------------------------------------------- blocks in and out -- */

void zcmem__depot_release(struct zcmem__region *region, uint32_t id) {
  struct zcmem__block *block = zcmem__block(region->heap, id);
  /* What was its slack stands in another's account already, and the word may have been a chain's link. */
  ZCMEM__PUT(block->slack, 0u);
  zcmem__heap_release(region->heap, id);
}

uint32_t zcmem__depot_pop(struct zcmem__region *region, uint32_t size, uint32_t *count) {
  struct zcmem__depot *depot = region->depot;
  uint32_t chain = depot->of[size].top, link = zcmem__block(region->heap, chain)->slack;
  depot->of[size].top = zcmem__link_id(link);
  *count = 1u << (link & (ZCMEM__ID - 1u));
  depot->held -= *count * size;
  depot->blocks -= *count;
  return chain;
}

void zcmem__depot_push(struct zcmem__region *region, uint32_t size, uint32_t chain, uint32_t count) {
  struct zcmem__depot *depot = region->depot;
  ZCMEM__PUT(zcmem__block(region->heap, chain)->slack, depot->of[size].top | zcmem__bits_high(count));
  depot->of[size].top = chain;
  depot->held += count * size;
  depot->blocks += count;
}

/* They count as the depot's until they are gone. */
void zcmem__depot_condemn(struct zcmem__region *region, uint32_t size, uint32_t chain, uint32_t count) {
  struct zcmem__depot *depot = region->depot;
  ZCMEM__PUT(zcmem__block(region->heap, chain)->slack, depot->condemned);
  depot->condemned = chain;
  depot->held += count * size;
  depot->blocks += count;
}

uint32_t zcmem__depot_execute(struct zcmem__region *region, uint32_t most) {
  struct zcmem__depot *depot = region->depot;
  uint32_t count = 0;
  for (; count < most && depot->condemned != ZCMEM__NIL; count++) {
    uint32_t id = depot->condemned, next_chain = zcmem__block(region->heap, id)->slack;
    uint32_t rest = id;
    depot->held -= zcmem__block(region->heap, id)->size;
    depot->blocks--;
    (void)zcmem__depot_unlink(region, &rest);
    if (rest != ZCMEM__NIL) {
      ZCMEM__PUT(zcmem__block(region->heap, rest)->slack, next_chain);
    }
    depot->condemned = rest != ZCMEM__NIL ? rest : next_chain;
    zcmem__depot_release(region, id);
  }
  return count;
}

uint32_t zcmem__depot_room(const struct zcmem__region *region) {
  const struct zcmem__depot *depot = region->depot;
  uint64_t taken = (uint64_t)depot->granted + depot->held;
  uint64_t limit = depot->limit, unused = region->heap->free_quanta + taken;
  limit = limit < unused / 4u ? limit : unused / 4u;
  return taken < limit ? (uint32_t)(limit - taken) : 0;
}

void zcmem__depot_visit(struct zcmem__region *region, uint32_t size) {
  struct zcmem__depot_class *of = &region->depot->of[size];
  if (of->ran_out == 0 && of->top != ZCMEM__NIL) {
    uint32_t count, chain = zcmem__depot_pop(region, size, &count);
    zcmem__depot_condemn(region, size, chain, count);
  }
  of->ran_out = (uint8_t)(of->ran_out - (of->ran_out > 0));
  of->ran_over = (uint8_t)(of->ran_over - (of->ran_over > 0));
}
#else
typedef int zcmem__depot_empty; /* ISO C wants something in each file */
#endif
