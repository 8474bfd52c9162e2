/* SPDX-License-Identifier: MIT */
#include "magazine.h"

#ifdef ZCMEM__MAGAZINES
#include "heap_ops.h"

/* Blocks that a call that takes the lock gives back at most, of what is not asked for any more, from each place. */
#define CLOCK_BLOCKS 2u
/* Blocks that it takes from the heap at most beside the one asked for. */
#define STOCK_BLOCKS 4u
/* While less than this part of the region is free, no block is handed out that is larger than it need be. */
#define GENEROUS_PART 4u
/* For how many turns of the clock it is remembered that a size ran out, or over. */
#define REMEMBERED 8u
/* A trial ends with so many calls that took the lock; the shortest and the longest rest, in calls. */
#define TRIAL 4096u
#define REST_LEAST 8192u
#define REST_MOST 131072u

_Static_assert(ZCMEM__ORDER_MOST < ZCMEM__ID, "an order fits beside an id");

void zcmem__magazines_init(struct zcmem__magazines *magazines, struct zcmem__region *region, const void *owner) {
  zcmem__atomic_init(&magazines->busy, 0);
  magazines->region = region;
  magazines->heap = region->heap;
  magazines->hints = region->depot->hints;
  magazines->hint_shift = (uint16_t)region->depot->hint_shift;
  magazines->base = region->heap->at.base;
  magazines->quanta = region->heap->at.quanta;
  magazines->quantum_shift = region->heap->at.quantum_shift;
  magazines->next_rest = REST_LEAST;
  magazines->owner = owner;
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    magazines->of[size].most = 1u << ZCMEM__ORDER_LEAST;
  }
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
  return zcmem__depot_unlink(magazines->region, &magazine->loaded);
}

static bool magazine_empty(const struct zcmem__magazine *magazine) {
  return (magazine->loaded | magazine->spare) == ZCMEM__NIL;
}

/* ------------------------------------------------------------------------------------------------- allowances -- */

static uint32_t portion(const struct zcmem__depot *depot) {
  return depot->limit / 32u;
}

/* Whether `size` quanta more may be held; the allowance is raised for it if need be. */
static bool may_hold(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__depot *depot = region->depot;
  if (magazines->held + size <= magazines->allowance) {
    return true;
  }
  uint32_t missing = magazines->held + size - magazines->allowance, left = zcmem__depot_room(region);
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
  magazine->most = 1u << ZCMEM__ORDER_LEAST;
  for (uint32_t i = 0; i < CLOCK_BLOCKS && !magazine_empty(magazine); i++) {
    zcmem__depot_release(region, magazine_pop(magazines, size));
  }
}

static uint32_t next_size(uint32_t *clock) {
  *clock = *clock % ZCMEM__CLASSES + 1u;
  return *clock;
}

/* The clock hand moves on: with each call that takes the lock, a bounded amount of what nobody asks for goes back. */
static void tick(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  visit(region, magazines, next_size(&magazines->clock));
  zcmem__depot_visit(region, next_size(&region->depot->clock));
  (void)zcmem__depot_execute(region, CLOCK_BLOCKS);
}

/* Lengthens the chains of a size of which blocks go to and fro. */
static void adapt(struct zcmem__depot_class *of, struct zcmem__magazine *magazine, uint32_t size) {
  uint32_t longer = 2u * magazine->most;
  if (of->ran_out != 0 && of->ran_over != 0 && longer <= 1u << ZCMEM__ORDER_MOST &&
      longer * size <= ZCMEM__CHAIN_QUANTA) {
    magazine->most = (uint8_t)longer;
    of->ran_over = 0;
  }
}

static bool circulates(const struct zcmem__magazine *magazine) {
  return magazine->most > 1u << ZCMEM__ORDER_LEAST;
}

/* ---------------------------------------------------------------------------------------------- trial and rest -- */

bool zcmem__magazines_rest(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  if (magazines->resting > 0) {
    magazines->resting--;
    if (zcmem__depot_execute(region, CLOCK_BLOCKS) == 0) {
      (void)zcmem__magazines_empty(region, magazines, CLOCK_BLOCKS);
    }
    magazines->emptied = magazines->resting > 0 && magazines->held == 0;
    return true;
  }
  if (++magazines->slow < TRIAL) {
    return false;
  }
  uint64_t quick = magazines->allocations + magazines->frees - magazines->quick;
  if (quick < magazines->slow) {
    magazines->resting = magazines->next_rest;
    magazines->next_rest = magazines->next_rest < REST_MOST ? 2u * magazines->next_rest : REST_MOST;
  } else {
    magazines->next_rest = REST_LEAST;
  }
  magazines->slow = 0;
  magazines->quick = magazines->allocations + magazines->frees;
  return false;
}

/* ------------------------------------------------------------------------------------------------ the slow path -- */

/* Some blocks more, where they are sure to be asked for. */
static void stock_up(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  uint32_t count = magazine->most / 2u < STOCK_BLOCKS ? magazine->most / 2u : STOCK_BLOCKS, id;
  hal_size_t bytes = zcmem__heap_bytes_of(region->heap, size);
  while (count-- > 0 && may_hold(region, magazines, size) && zcmem__magazines_room(magazines, size) &&
         zcmem__heap_take(region->heap, bytes, 1, &id) == ZCMEM_OK) {
    struct zcmem__block *block = zcmem__block(region->heap, id);
    ZCMEM__PUT(block->use, ZCMEM__CACHED);
    zcmem__depot_hint(region->depot, block->start, id);
    zcmem__magazines_push(magazines, block, id, size);
  }
}

/* Loads a chain from the depot. False: it has none. */
static bool load(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  uint32_t count;
  if (region->depot->of[size].top == ZCMEM__NIL) {
    return false;
  }
  magazine->loaded = zcmem__depot_pop(region, size, &count);
  magazines->stocked[size / 64u] |= zcmem__bits_one(size % 64u);
  magazine->count = (uint8_t)count;
  magazines->held += count * size;
  magazines->blocks += count;
  if (!may_hold(region, magazines, 0)) { /* there is less room than before: what the depot has given up, and no more */
    region->depot->granted += magazines->held - magazines->allowance;
    magazines->allowance = magazines->held;
  }
  return true;
}

enum zcmem_status zcmem__magazines_refill(struct zcmem__region *region, struct zcmem__magazines *magazines,
                                          uint32_t need, hal_size_t size, hal_addr_t *addr) {
  struct zcmem__magazine *magazine = NULL;
  uint32_t id;
  if (magazines != NULL && region->depot->revokers == 0) {
    magazine = &magazines->of[need];
    magazines->generous = region->heap->free_quanta > region->heap->at.quanta / GENEROUS_PART;
    tick(region, magazines);
    region->depot->of[need].ran_out = REMEMBERED;
    adapt(&region->depot->of[need], magazine, need);
    if ((!magazine_empty(magazine) || load(region, magazines, need)) &&
        zcmem__magazines_pop(magazines, need, size, addr)) {
      magazines->allocations--; /* as all calls with the lock it is counted in the region's figures */
      return ZCMEM_OK;
    }
  }
  enum zcmem_status status = zcmem__heap_take(region->heap, size, 1, &id);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem__block *block = zcmem__block(region->heap, id);
  *addr = zcmem__heap_addr(region->heap, block->start);
  if (magazine != NULL) {
    magazine->used |= ZCMEM__USED_PUSH;
    if (circulates(magazine)) {
      zcmem__depot_hint(region->depot, block->start, id);
      stock_up(region, magazines, need);
    }
  }
  return status;
}

/* Where a magazine is full: its spare chain goes to the depot if somebody ran out of this size, else to the heap. */
static void unload(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  uint32_t chain = magazine->spare, count = magazine->spares;
  magazine->spare = ZCMEM__NIL;
  magazine->spares = 0;
  magazines->held -= count * size;
  magazines->blocks -= count;
  trim(region, magazines, portion(region->depot));
  /* A chain that became full when full chains had just been made shorter has any length. */
  if (region->depot->of[size].ran_out != 0 && zcmem__depot_room(region) >= count * size &&
      zcmem__bits_power_of_two(count)) {
    zcmem__depot_push(region, size, chain, count);
  } else {
    uint32_t idle = magazines->allowance - magazines->held; /* condemned blocks take up room until they are gone */
    trim(region, magazines, idle > count * size ? idle - count * size : 0);
    zcmem__depot_condemn(region, size, chain, count);
  }
}

/* Finds a home for a cached block. */
static void keep(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t id) {
  struct zcmem__block *block = zcmem__block(region->heap, id);
  uint32_t size = block->size;
  struct zcmem__magazine *magazine = &magazines->of[size];
  struct zcmem__depot_class *of = &region->depot->of[size];
  tick(region, magazines);
  if (magazine->count >= magazine->most && magazine->spare != ZCMEM__NIL) {
    of->ran_over = REMEMBERED;
    adapt(of, magazine, size);
    if (of->ran_out != 0) {
      unload(region, magazines, size);
    }
  }
  if (may_hold(region, magazines, size) && zcmem__magazines_room(magazines, size)) {
    zcmem__depot_hint(region->depot, block->start, id); /* for want of it we may be here */
    if ((magazine->used & ZCMEM__USED_POP) != 0) {
      magazines->next_rest = REST_LEAST;
    }
    zcmem__magazines_push(magazines, block, id, size);
  } else {
    zcmem__depot_release(region, id);
  }
}

/* While the lock is held nothing but a claim, and uses, can change `use`, so the loop ends. */
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
    zcmem__depot_release(region, id);
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

/* Begins where it left off, so that a series of calls looks at each size once. */
uint32_t zcmem__magazines_empty(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t most) {
  uint32_t count = 0;
  for (uint32_t looked = 0; looked < ZCMEM__CLASSES && count < most && magazines->held > 0; looked++) {
    uint32_t size = next_size(&magazines->clock);
    while (count < most && !magazine_empty(&magazines->of[size])) {
      zcmem__depot_release(region, magazine_pop(magazines, size));
      count++;
    }
  }
  trim(region, magazines, 0);
  return count;
}

uint32_t zcmem__magazines_drain(struct zcmem__region *region, uint32_t most) {
  struct zcmem__depot *depot = region->depot;
  uint32_t count = zcmem__depot_execute(region, most);
  for (struct zcmem__magazines *at = depot->all; at != NULL && count < most; at = at->next) {
    count += zcmem__magazines_empty(region, at, most - count);
  }
  for (uint32_t size = 1; size <= ZCMEM__CLASSES && count < most && depot->held > 0; size++) {
    while (count < most && depot->of[size].top != ZCMEM__NIL) {
      uint32_t length, chain = zcmem__depot_pop(region, size, &length);
      zcmem__depot_condemn(region, size, chain, length);
      count += zcmem__depot_execute(region, most - count);
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
    at->quick -= at->allocations + at->frees;
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
