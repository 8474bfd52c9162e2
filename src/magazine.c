/* SPDX-License-Identifier: MIT */
#include "magazine.h"

#ifdef ZCMEM__MAGAZINES
#include "heap_ops.h"

/* What a visit of the clock gives back at most, and how many sizes it visits. */
#define CLOCK_BLOCKS 8u
#define CLOCK_SIZES 2u

_Static_assert(ZCMEM__CHAIN_MOST >= ZCMEM__CHAIN_LEAST, "a chain of some length");

/* A region of n blocks has as many buckets of two hints, at least; so most blocks have a hint, even when all live. */
static uint32_t bucket_bits(uint32_t max_blocks) {
  return max_blocks <= 2 ? 1 : zcmem__bits_high(max_blocks - 1u) + 1u;
}

/* Blocks of a full chain. */
static uint32_t chain_length(uint32_t size) {
  uint32_t most = ZCMEM__CHAIN_QUANTA / size;
  return most > ZCMEM__CHAIN_MOST ? ZCMEM__CHAIN_MOST : most < ZCMEM__CHAIN_LEAST ? ZCMEM__CHAIN_LEAST : most;
}

static size_t head_bytes(void) {
  return (sizeof(struct zcmem__depot) + ZCMEM__LINE - 1) / ZCMEM__LINE * ZCMEM__LINE;
}

size_t zcmem__depot_bytes(uint32_t max_blocks) {
  return head_bytes() + ((size_t)2 * sizeof(uint32_t) << bucket_bits(max_blocks));
}

void zcmem__depot_init(struct zcmem__depot *depot, struct zcmem__region *region, uint32_t share) {
  depot->hints = (void *)((char *)depot + head_bytes());
  depot->hint_shift = 64u - bucket_bits(region->max_blocks);
  depot->limit = (uint32_t)((uint64_t)region->heap->at.quanta * share / 256u);
  region->heap->shared = 1;
  region->depot = depot;
}

void zcmem__magazines_init(struct zcmem__magazines *magazines, struct zcmem__region *region, const void *owner) {
  zcmem__atomic_init(&magazines->busy, 0);
  magazines->region = region;
  magazines->heap = region->heap;
  magazines->hints = region->depot->hints;
  magazines->hint_shift = region->depot->hint_shift;
  magazines->base = region->heap->at.base;
  magazines->quanta = region->heap->at.quanta;
  magazines->quantum_shift = region->heap->at.quantum_shift;
  magazines->owner = owner;
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    magazines->of[size].most = (uint16_t)chain_length(size);
    magazines->of[size].batch = 1;
  }
}

/* ------------------------------------------------------------------------------------------------------- hints -- */

/* Where both places are taken the older hint goes: its block is freed the slow way. */
static void hint_put(struct zcmem__depot *depot, uint32_t start, uint32_t id) {
  uint32_t *bucket = depot->hints + zcmem__hint_bucket(start, depot->hint_shift);
  if (bucket[0] != ZCMEM__NIL && bucket[0] != id) {
    ZCMEM__PUT(bucket[1], bucket[0]);
  }
  ZCMEM__PUT(bucket[0], id);
}

static void hint_drop(struct zcmem__depot *depot, uint32_t start, uint32_t id) {
  uint32_t *bucket = depot->hints + zcmem__hint_bucket(start, depot->hint_shift);
  if (bucket[0] == id) {
    ZCMEM__PUT(bucket[0], bucket[1]);
    ZCMEM__PUT(bucket[1], ZCMEM__NIL);
  } else if (bucket[1] == id) {
    ZCMEM__PUT(bucket[1], ZCMEM__NIL);
  }
}

/* ---------------------------------------------------------------------------------------- blocks in and out -- */

/* Gives a cached block, which no chain has any more, back to the heap. */
static void to_heap(struct zcmem__region *region, uint32_t id) {
  struct zcmem__block *block = zcmem__block(region->heap, id);
  /* What was its slack stands in another's account already, and the word may have been a chain's link. */
  ZCMEM__PUT(block->slack, 0u);
  hint_drop(region->depot, block->start, id);
  zcmem__heap_release(region->heap, id);
}

/* The first block of a chain of cached blocks, and the chain without it. */
static uint32_t chain_pop(struct zcmem__region *region, uint32_t *chain) {
  uint32_t id = *chain;
  *chain = zcmem__block(region->heap, id)->tag;
  return id;
}

/* Takes one block out of a magazine that has one. */
static uint32_t magazine_pop(struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  if (magazine->loaded == ZCMEM__NIL) {
    magazine->loaded = magazine->spare;
    magazine->count = magazine->spares;
    magazine->spare = ZCMEM__NIL;
    magazine->spares = 0;
  }
  magazine->count--;
  magazines->held -= size;
  magazines->blocks--;
  return chain_pop(magazines->region, &magazine->loaded);
}

static bool magazine_empty(const struct zcmem__magazine *magazine) {
  return (magazine->loaded | magazine->spare) == ZCMEM__NIL;
}

/* Takes a chain out of the depot, which has one of that size. */
static uint32_t depot_pop(struct zcmem__region *region, uint32_t size, uint32_t count) {
  struct zcmem__depot *depot = region->depot;
  struct zcmem__depot_class *of = &depot->of[size];
  uint32_t chain = of->top;
  of->top = zcmem__block(region->heap, chain)->slack;
  of->chains--;
  depot->held -= count * size;
  depot->blocks -= count;
  return chain;
}

static void depot_push(struct zcmem__region *region, uint32_t size, uint32_t count, uint32_t chain) {
  struct zcmem__depot *depot = region->depot;
  struct zcmem__depot_class *of = &depot->of[size];
  ZCMEM__PUT(zcmem__block(region->heap, chain)->slack, of->top);
  of->top = chain;
  of->chains++;
  of->used = 1;
  depot->held += count * size;
  depot->blocks += count;
}

/* ------------------------------------------------------------------------------------------------- allowances -- */

static uint32_t room(const struct zcmem__depot *depot) {
  uint64_t taken = (uint64_t)depot->granted + depot->held;
  return taken < depot->limit ? (uint32_t)(depot->limit - taken) : 0;
}

static uint32_t portion(const struct zcmem__depot *depot) {
  return depot->limit / 32u;
}

/* Whether `size` quanta more may be held; the allowance is raised for it if need be. */
static bool may_hold(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__depot *depot = region->depot;
  if (magazines->held + size <= magazines->allowance) {
    return true;
  }
  uint32_t missing = magazines->held + size - magazines->allowance, left = room(depot);
  uint32_t more = missing > portion(depot) ? missing : portion(depot);
  more = more > left ? left : more;
  if (more < missing) {
    return false;
  }
  magazines->allowance += more;
  depot->granted += more;
  return true;
}

/* Gives up allowance that has not been needed. */
static void trim(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t keep) {
  uint32_t idle = magazines->allowance > magazines->held ? magazines->allowance - magazines->held : 0;
  if (idle > keep) {
    magazines->allowance -= idle - keep;
    region->depot->granted -= idle - keep;
  }
}

/* --------------------------------------------------------------------------------------------------- the clock -- */

/* Gives back some of what one thread keeps of a size that it did not use since the last visit. */
static void visit(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  if (magazine->used != 0) {
    magazine->used = 0;
    return;
  }
  magazine->batch = 1;
  for (uint32_t i = 0; i < CLOCK_BLOCKS && !magazine_empty(magazine); i++) {
    to_heap(region, magazine_pop(magazines, size));
  }
}

static void visit_depot(struct zcmem__region *region, uint32_t size) {
  struct zcmem__depot_class *of = &region->depot->of[size];
  if (of->used != 0) {
    of->used = 0;
  } else if (of->chains > 0) {
    uint32_t chain = depot_pop(region, size, chain_length(size));
    while (chain != ZCMEM__NIL) {
      to_heap(region, chain_pop(region, &chain));
    }
  }
}

static uint32_t next_size(uint32_t *clock) {
  *clock = *clock % ZCMEM__CLASSES + 1u;
  return *clock;
}

/* A turn of the clock hand: with each call that takes the lock, a bounded amount of what nobody asks for goes back. */
static void tick(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  for (uint32_t i = 0; i < CLOCK_SIZES; i++) {
    visit(region, magazines, next_size(&magazines->clock));
  }
  visit_depot(region, next_size(&region->depot->clock));
  trim(region, magazines, 2u * portion(region->depot));
}

/* ------------------------------------------------------------------------------------------------ the slow path -- */

/* A block from the heap, with its hint. */
static enum zcmem_status from_heap(struct zcmem__region *region, hal_size_t size, uint32_t *id) {
  enum zcmem_status status = zcmem__heap_take(region->heap, size, 1, id);
  if (status == ZCMEM_OK) {
    hint_put(region->depot, zcmem__block(region->heap, *id)->start, *id);
  }
  return status;
}

/* Some blocks more, since this size has run out before; twice as many the next time. */
static void stock_up(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  uint32_t count = magazine->batch - 1u, id;
  hal_size_t bytes = zcmem__heap_bytes_of(region->heap, size);
  while (count-- > 0 && may_hold(region, magazines, size) && zcmem__magazines_room(magazines, size) &&
         from_heap(region, bytes, &id) == ZCMEM_OK) {
    struct zcmem__block *block = zcmem__block(region->heap, id);
    ZCMEM__PUT(block->use, ZCMEM__CACHED);
    zcmem__magazines_push(magazines, block, id, size);
  }
  if (magazine->batch < magazine->most / 4u) {
    magazine->batch = (uint8_t)(2u * magazine->batch);
  }
}

enum zcmem_status zcmem__magazines_refill(struct zcmem__region *region, struct zcmem__magazines *magazines,
                                          uint32_t need, hal_size_t size, hal_addr_t *addr) {
  struct zcmem__depot *depot = region->depot;
  uint32_t id;
  bool cached = magazines != NULL && depot->revokers == 0 && need <= ZCMEM__CLASSES;
  if (cached) {
    struct zcmem__magazine *magazine = &magazines->of[need];
    tick(region, magazines);
    if (magazine_empty(magazine) && depot->of[need].chains > 0) {
      uint32_t count = magazine->most;
      magazine->loaded = depot_pop(region, need, count);
      magazine->count = (uint16_t)count;
      magazines->held += count * need;
      magazines->blocks += count;
      depot->of[need].used = 1;
      (void)may_hold(region, magazines, 0); /* the room that the depot has given up is there */
    }
    if (zcmem__magazines_pop(magazines, need, size, addr)) {
      return ZCMEM_OK;
    }
  }
  enum zcmem_status status = from_heap(region, size, &id);
  if (status != ZCMEM_OK) {
    return status;
  }
  *addr = zcmem__heap_addr(region->heap, zcmem__block(region->heap, id)->start);
  if (cached) {
    magazines->of[need].used = 1;
    stock_up(region, magazines, need);
  }
  return ZCMEM_OK;
}

/* Finds a home for a cached block. */
static void keep(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t id) {
  struct zcmem__block *block = zcmem__block(region->heap, id);
  uint32_t size = block->size;
  struct zcmem__magazine *magazine = &magazines->of[size];
  tick(region, magazines);
  if (magazine->count == magazine->most && magazine->spare != ZCMEM__NIL) {
    uint32_t chain = magazine->spare, quanta = magazine->spares * size;
    magazines->held -= quanta;
    magazines->blocks -= magazine->spares;
    magazine->spare = ZCMEM__NIL;
    magazine->spares = 0;
    trim(region, magazines, portion(region->depot));
    if (room(region->depot) >= quanta) {
      depot_push(region, size, chain_length(size), chain);
    } else {
      while (chain != ZCMEM__NIL) {
        to_heap(region, chain_pop(region, &chain));
      }
    }
  }
  if (may_hold(region, magazines, size) && zcmem__magazines_room(magazines, size)) {
    hint_put(region->depot, block->start, id); /* for want of it we may be here */
    zcmem__magazines_push(magazines, block, id, size);
  } else {
    to_heap(region, id);
  }
}

/* Nothing but a claim, and uses, can change `use` while the lock is held. */
enum zcmem_status zcmem__magazines_spill(struct zcmem__region *region, struct zcmem__magazines *magazines,
                                         hal_addr_t addr) {
  uint32_t start, id = zcmem__heap_find_start(region->heap, addr, &start);
  struct zcmem__block *block = zcmem__block(region->heap, id);
  uint64_t life;
  do {
    life = __atomic_load_n(zcmem__block_life(block), __ATOMIC_ACQUIRE);
    if (zcmem__life_use(life) != ZCMEM__LIVE) {
      return (zcmem__life_use(life) & ZCMEM__STATE) == ZCMEM__LIVE ? ZCMEM_EBUSY : ZCMEM_ENOENT;
    }
  } while (!zcmem__block_claim(block, start, life));
  region->heap->slack -= block->slack;
  if (magazines != NULL && region->depot->revokers == 0 && block->size <= ZCMEM__CLASSES) {
    keep(region, magazines, id);
  } else {
    to_heap(region, id);
  }
  return ZCMEM_OK;
}

/* --------------------------------------------------------------------------------------------- all magazines -- */

void zcmem__magazines_revoke(struct zcmem__region *region) {
  if (region->depot->revokers++ > 0) {
    return;
  }
  zcmem__atomic_publish(&region->revoked, 1);
  zcmem__barrier_all();
  for (struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    while (zcmem__atomic_acquire(&at->busy) != 0) {
      zcmem__barrier_pause();
    }
  }
}

void zcmem__magazines_restore(struct zcmem__region *region) {
  if (--region->depot->revokers == 0) {
    zcmem__atomic_publish(&region->revoked, 0);
  }
}

uint32_t zcmem__magazines_empty(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t most) {
  uint32_t count = 0;
  for (uint32_t size = 1; size <= ZCMEM__CLASSES && count < most && magazines->held > 0; size++) {
    while (count < most && !magazine_empty(&magazines->of[size])) {
      to_heap(region, magazine_pop(magazines, size));
      count++;
    }
  }
  trim(region, magazines, 0);
  return count;
}

uint32_t zcmem__magazines_drain(struct zcmem__region *region, uint32_t most) {
  struct zcmem__depot *depot = region->depot;
  uint32_t count = 0;
  for (struct zcmem__magazines *at = depot->all; at != NULL && count < most; at = at->next) {
    count += zcmem__magazines_empty(region, at, most - count);
  }
  for (uint32_t size = 1; size <= ZCMEM__CLASSES && count < most && depot->held > 0; size++) {
    while (count < most && depot->of[size].chains > 0) {
      uint32_t chain = depot_pop(region, size, chain_length(size));
      for (; chain != ZCMEM__NIL; count++) {
        to_heap(region, chain_pop(region, &chain));
      }
    }
  }
  return count;
}

void zcmem__magazines_settle(struct zcmem__region *region) {
  for (struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    region->heap->slack += at->slack;
    region->stats.allocations += at->allocations;
    region->stats.frees += at->frees;
    at->slack = 0;
    at->allocations = 0;
    at->frees = 0;
  }
}

void zcmem__magazines_count(const struct zcmem__region *region, uint64_t *blocks, uint64_t *quanta) {
  *blocks = region->depot->blocks;
  *quanta = region->depot->held;
  for (const struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    *blocks += at->blocks;
    *quanta += at->held;
  }
}
#endif
