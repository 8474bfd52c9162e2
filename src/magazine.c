/* SPDX-License-Identifier: MIT */
#include "magazine.h"

#ifdef ZCMEM__MAGAZINES
#include "heap_ops.h"
#include "heap_parts.h"
#include <string.h>

/* Blocks that a call that takes the lock gives back at most, of a size that is not asked for any more; */
#define CLOCK_BLOCKS 2u
/* and one where space is short: */
#define SHORT_BLOCKS 4u
/* where what is free behind the last block is less than this part of the region. */
#define SHORT_PART 4u
/* Blocks that a call takes from the heap at most beside the one asked for. */
#define STOCK_BLOCKS 3u
/* Sizes that a call looks at to make room for another, or a bundle; and blocks that a full one gives up. */
#define ROOM_SIZES 4u
#define ROOM_BLOCKS 4u
#define BUNDLE_SIZES 24u
/* For how many calls it is remembered that a thread looked for a bundle; and for how many misses that it had enough. */
#define WANTED 256u
#define SATED 128u
/*
 * A trial ends when what went to the heap comes to so much (more where other threads may need time to come by what they
 * give): a block that might have been kept is the best sign that magazines are of no use; one that was not there may
 * just be an early one; and those of other sizes have no gain to lose. An allocation that took no lock is a gain.
 */
#define TRIAL 4096u
#define TRIAL_SHARED 16384u
#define TRIAL_RELEASED 7u
#define TRIAL_MISSED 1u
#define TRIAL_OTHER 2u
#define TRIAL_GAIN 8u
/* The shortest and the longest rest, in calls. */
#define REST_LEAST 8192u
#define REST_MOST 131072u

void zcmem__magazines_init(struct zcmem__magazines *magazines, struct zcmem__region *region, uint32_t most,
                           const void *owner) {
  zcmem__atomic_init(&magazines->state, ZCMEM__BARRIER_IDLE);
  magazines->region = region;
  magazines->heap = region->heap;
  magazines->hints = region->depot->hints;
  magazines->hint_shift = (uint16_t)region->depot->hint_shift;
  magazines->base = region->heap->at.base;
  magazines->quanta = region->heap->at.quanta;
  magazines->quantum_shift = region->heap->at.quantum_shift;
  magazines->next_rest = REST_LEAST;
  magazines->owner = owner;
  magazines->shared = region->shared != NULL;
  magazines->seized = region->depot->seized;
  magazines->tickets = zcmem__magazines_tickets(most);
  for (uint32_t size = 1, first = 0; size <= ZCMEM__CLASSES; size++) {
    struct zcmem__magazine *magazine = &magazines->of[size];
    magazine->first = (uint16_t)first;
    magazine->most = (uint8_t)(size <= ZCMEM__SMALL ? ZCMEM__MAGAZINE_MOST_SMALL(most) : most);
    first += magazine->most;
  }
}

/* ------------------------------------------------------------------------------------------- sizes with blocks -- */

static void unstock(struct zcmem__magazines *magazines, uint32_t size) {
  ZCMEM__ASSERT(magazines->of[size].count == 0); /* or nobody would find these */
  magazines->stocked[size / 64u] &= ~zcmem__bits_one(size % 64u);
}

/* The first size from `size` on, up to ZCMEM__CLASSES, that may have blocks; 0: there is none. */
static uint32_t first_stocked(const struct zcmem__magazines *magazines, uint32_t size) {
  uint32_t word = size / 64u;
  uint64_t bits = size > ZCMEM__CLASSES ? 0 : magazines->stocked[word] >> size % 64u << size % 64u;
  while (bits == 0 && word < ZCMEM__CLASSES / 64u) {
    bits = magazines->stocked[++word];
  }
  return bits == 0 ? 0 : 64u * word + zcmem__bits_low64(bits);
}

static ZCMEM__NOINLINE bool pop_shared(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size,
                                       hal_addr_t *addr) {
  return zcmem__magazines_pop_shared(magazines, need, size, addr);
}

ZCMEM__INLINE bool pop(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size, hal_addr_t *addr) {
  return ZCMEM__UNLIKELY(magazines->shared) ? pop_shared(magazines, need, size, addr)
                                            : zcmem__magazines_pop(magazines, need, size, addr);
}

bool zcmem__magazines_pop_larger(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size, hal_addr_t *addr) {
  uint32_t most = magazines->quantum_shift > 25u ? need : need + need / 8u; /* slack has 32 bits */
  if (ZCMEM__UNLIKELY(pop(magazines, need, size, addr))) {
    return true;
  }
  unstock(magazines, need);
  if (!magazines->generous) {
    return false;
  }
  for (uint32_t found = need; (found = first_stocked(magazines, found + 1u)) != 0 && found <= most;) {
    if (pop(magazines, found, size, addr)) {
      return true;
    }
    unstock(magazines, found);
  }
  return false;
}

/* ------------------------------------------------------------------------------------------------- allowances -- */

static uint32_t portion(const struct zcmem__depot *depot) {
  return depot->limit / 32u;
}

static void grant(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t quanta) {
  region->depot->granted += quanta;
  magazines->allowance += quanta;
  magazines->room += quanta;
}

/* What each thread may have at most, so that there is as much for the next one. */
static uint32_t fair(const struct zcmem__region *region) {
  return region->depot->limit / zcmem__depot_threads(region);
}

/* Raises the allowance so that there is room for `size` quanta, which there is not; false: it may not be. */
static bool make_allowance(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  const struct zcmem__depot *depot = region->depot;
  uint32_t missing = size - magazines->room, left = zcmem__depot_room(region);
  uint32_t mine = fair(region) > magazines->allowance ? fair(region) - magazines->allowance : 0;
  left = left < mine ? left : mine;
  uint32_t more = missing > portion(depot) ? missing : portion(depot);
  more = more > left ? left : more;
  if (more < missing) {
    return false;
  }
  grant(region, magazines, more);
  return true;
}

/* Whether `size` quanta more may be kept. */
ZCMEM__INLINE bool may_hold(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  return ZCMEM__LIKELY(size <= magazines->room) || make_allowance(region, magazines, size);
}

/* Gives up allowance that has not been needed, but for `keep` quanta. */
static void trim(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t keep) {
  if (magazines->room > keep) {
    uint32_t idle = magazines->room - keep;
    region->depot->granted -= idle;
    magazines->allowance -= idle;
    magazines->room = keep;
  }
}

/* ------------------------------------------------------------------------------------------- back to the heap -- */

static void drop(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__ticket ticket = zcmem__magazine_pop(magazines, &magazines->of[size]);
  magazines->room += size;
  zcmem__depot_redeem(region, ticket);
}

/* Begins where it left off, so that all sizes have their turn. */
uint32_t zcmem__magazines_empty(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t most) {
  uint32_t count = 0;
  while (count < most && zcmem__magazines_held(magazines) > 0) {
    uint32_t size = first_stocked(magazines, magazines->clock + 1u);
    magazines->clock = size; /* 0: from the beginning */
    while (size != 0 && magazines->of[size].count > 0 && count < most) {
      drop(region, magazines, size);
      count++;
    }
    if (size != 0 && magazines->of[size].count == 0) {
      unstock(magazines, size);
    }
  }
  trim(region, magazines, 0);
  zcmem__depot_tell(region);
  return count;
}

/* Gives some of them back. */
static void give_back(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  uint32_t count = zcmem__depot_give_back(region, SHORT_BLOCKS);
  if (count < SHORT_BLOCKS) {
    (void)zcmem__magazines_empty(region, magazines, SHORT_BLOCKS - count);
  }
}

/* ------------------------------------------------------------------------------------------------------- space -- */

/*
 * Whether space is so short that nothing is kept: what is kept does not merge, and hands out places that are not the
 * best. Behind the last block there is no hole, so as long as much is left there neither matters.
 */
static bool is_short(const struct zcmem__region *region) {
  const struct zcmem_heap *heap = region->heap;
  return zcmem__block_const(heap, zcmem__heap_tail_of(heap))->size < heap->at.quanta / SHORT_PART; /* 0: no tail */
}

/* --------------------------------------------------------------------------------------------------- the clock -- */

/* Gives back some of what one thread keeps of a size that it did not use since the last visit. */
static void visit_size(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  magazine->missed /= 2u;
  if (magazine->used != 0) {
    magazine->used = 0;
    return;
  }
  for (uint32_t i = 0; i < CLOCK_BLOCKS && magazine->count > 0; i++) {
    drop(region, magazines, size);
  }
}

static uint32_t next_size(uint32_t *clock) {
  *clock = *clock % ZCMEM__CLASSES + 1u;
  return *clock;
}

/* The clock hand moves on: with each call that takes the lock, a bounded amount of what nobody asks for goes back. */
static void tick(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  visit_size(region, magazines, next_size(&magazines->clock));
  if (region->depot->wanted > 0) {
    ZCMEM__PUT(region->depot->wanted, region->depot->wanted - 1u);
  } else {
    (void)zcmem__depot_give_back(region, CLOCK_BLOCKS);
  }
  if (magazines->allowance > fair(region)) { /* others came since */
    (void)zcmem__magazines_empty(region, magazines, CLOCK_BLOCKS);
  }
}

/* ---------------------------------------------------------------------------------------------- trial and rest -- */

/* Adds to what the trial comes to. */
static void weigh(struct zcmem__magazines *magazines, uint32_t slow) {
  magazines->slow += slow;
  if (magazines->slow < (zcmem__depot_threads(magazines->region) > 1 ? TRIAL_SHARED : TRIAL)) {
    return;
  }
  if ((magazines->allocations - magazines->quick + magazines->given) * TRIAL_GAIN < magazines->slow) {
    magazines->resting = magazines->next_rest;
    zcmem__atomic_publish(&magazines->state, ZCMEM__BARRIER_CLOSED);
    ZCMEM__PUT(magazines->region->depot->wanted, 0u);
    magazines->next_rest = magazines->next_rest < REST_MOST ? 2u * magazines->next_rest : REST_MOST;
  } else {
    magazines->next_rest = REST_LEAST;
  }
  magazines->slow = 0;
  magazines->given = 0;
  magazines->quick = magazines->allocations;
}

void zcmem__magazines_try(struct zcmem__magazines *magazines) {
  weigh(magazines, TRIAL_OTHER);
}

void zcmem__magazines_rest(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  (void)zcmem__magazines_empty(region, magazines, CLOCK_BLOCKS);
  magazines->emptied = zcmem__magazines_held(magazines) == 0;
  zcmem__magazines_count_rest(magazines);
}

/* Where space is short the call gives back some of what is kept, and keeps nothing. */
static bool give_way(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  magazines->generous = !is_short(region);
  if (magazines->generous) {
    return false;
  }
  give_back(region, magazines);
  trim(region, magazines, 0);
  return true;
}

/* ------------------------------------------------------------------------------------------------ the slow path -- */

/* Some blocks more, from holes, where they are likely to be asked for. */
static void stock_up(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  uint32_t count = magazine->missed - 1u < STOCK_BLOCKS ? magazine->missed - 1u : STOCK_BLOCKS, id;
  while (count-- > 0 && may_hold(region, magazines, size) &&
         zcmem__heap_take_cached(region->heap, size, &id) == ZCMEM_OK) {
    const struct zcmem__block *block = zcmem__block(region->heap, id);
    zcmem__depot_hint(region->depot, block->start, id);
    zcmem__magazines_push(magazines, zcmem__depot_mark(region, block), id, size);
    magazines->slow += TRIAL_GAIN; /* when it is handed out that is no gain */
  }
}

/*
 * Loads a bundle from the depot, and the allowance that goes with it. What finds no place goes back. Where there are
 * several threads, one that had more than it may keep a while ago does not: it has as much to give as to take, only not
 * of this size, and with each bundle it would be short of room for the next free.
 */
static void load(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  struct zcmem__bundle *bundle = zcmem__depot_top(region->depot);
  if (magazines->sated > 0 && region->depot->threads > 1) {
    magazines->sated--;
    return;
  }
  ZCMEM__PUT(region->depot->wanted, WANTED);
  if (bundle == NULL) {
    return;
  }
  while (bundle->count > 0) {
    uint32_t size;
    struct zcmem__ticket ticket = zcmem__bundle_pop(region->depot, bundle, &size);
    if (magazines->of[size].count < magazines->of[size].most) {
      grant(region, magazines, size);
      zcmem__magazines_push(magazines, ticket.start, ticket.id, size);
    } else {
      zcmem__depot_redeem(region, ticket);
    }
  }
  zcmem__depot_drop(region->depot);
}

static enum zcmem_status refill(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t need,
                                hal_size_t size, hal_addr_t *addr) {
  struct zcmem__magazine *magazine = &magazines->of[need];
  uint32_t id;
  bool open = zcmem__atomic_acquire(&region->revoked) == 0 && !give_way(region, magazines);
  if (open) {
    tick(region, magazines);
    load(region, magazines);
    if (zcmem__magazines_pop_larger(magazines, need, size, addr)) {
      magazines->allocations--; /* as all calls with the lock it is counted in the region's figures */
      return ZCMEM_OK;
    }
  }
  weigh(magazines, TRIAL_MISSED);
  enum zcmem_status status = zcmem__heap_take(region->heap, size, 1, &id);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem__block *block = zcmem__block(region->heap, id);
  *addr = zcmem__heap_addr(region->heap, block->start);
  if (open) {
    zcmem__depot_hint(region->depot, block->start, id);
    magazine->used |= ZCMEM__USED_PUSH;
    magazine->missed = (uint8_t)(magazine->missed + (magazine->missed <= STOCK_BLOCKS));
    stock_up(region, magazines, need);
  }
  return status;
}

enum zcmem_status zcmem__magazines_refill(struct zcmem__region *region, struct zcmem__magazines *magazines,
                                          uint32_t need, hal_size_t size, hal_addr_t *addr) {
  enum zcmem_status status = refill(region, magazines, need, size, addr);
  zcmem__depot_tell(region);
  return status;
}

/* Moves half of what there is of a size into the bundle, as far as that goes, and the allowance for it. */
static void give(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size,
                 struct zcmem__bundle *bundle) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  for (uint32_t half = (magazine->count + 1u) / 2u; half > 0 && bundle->count < ZCMEM__BUNDLE; half--) {
    zcmem__bundle_push(region->depot, bundle, zcmem__magazine_pop(magazines, magazine), size);
    magazines->allowance -= size;
    region->depot->granted -= size;
  }
}

/* Makes room for a block of `size` quanta, where threads are short of blocks: for these. */
static void make_bundle(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__bundle *bundle = zcmem__depot_open(region->depot);
  if (bundle == NULL) {
    return;
  }
  uint32_t before = bundle->count;
  give(region, magazines, size, bundle);
  for (uint32_t looked = 0; looked < BUNDLE_SIZES && bundle->count < ZCMEM__BUNDLE; looked++) {
    magazines->clock = first_stocked(magazines, magazines->clock + 1u);
    give(region, magazines, magazines->clock, bundle); /* 0: none, the hand goes round */
  }
  magazines->given += bundle->count - before;
  if (bundle->count == 0) {
    zcmem__depot_drop(region->depot);
  }
}

/*
 * The same where nobody is: some sizes give up a block; and where it is of this size that there are too many, some at
 * once, or the next free would find it full again.
 */
static void make_room(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t size) {
  const struct zcmem__magazine *magazine = &magazines->of[size];
  if (magazine->count == magazine->most && region->depot->wanted == 0) {
    for (uint32_t i = 0; i < ROOM_BLOCKS && 2u * magazine->count > magazine->most; i++) {
      drop(region, magazines, size);
    }
  }
  for (uint32_t looked = 0; looked < ROOM_SIZES && !may_hold(region, magazines, size); looked++) {
    magazines->clock = first_stocked(magazines, magazines->clock + 1u);
    if (magazines->of[magazines->clock].count > 1) {
      drop(region, magazines, magazines->clock);
    }
  }
}

/* Whether a block of `size` quanta that is freed should rather bring some to other threads than be kept. */
static bool should_give(const struct zcmem__depot *depot, const struct zcmem__magazines *magazines, uint32_t size) {
  bool full = magazines->of[size].count == magazines->of[size].most;
  return depot->wanted > 0 && (full || (depot->threads > 1 && size > magazines->room));
}

/* Finds a home for a cached block. */
static void keep(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t id) {
  const struct zcmem__block *block = zcmem__block(region->heap, id);
  uint32_t size = block->size;
  const struct zcmem__magazine *magazine = &magazines->of[size];
  if (!give_way(region, magazines)) {
    tick(region, magazines);
    if (magazine->count == magazine->most || size > magazines->room) {
      magazines->sated = SATED;
    }
    if (should_give(region->depot, magazines, size)) {
      make_bundle(region, magazines, size);
    }
    make_room(region, magazines, size);
    if (magazine->count < magazine->most && may_hold(region, magazines, size)) {
      zcmem__depot_hint(region->depot, block->start, id); /* for want of it we may be here */
      zcmem__magazines_push(magazines, zcmem__depot_mark(region, block), id, size);
      return;
    }
  }
  weigh(magazines, TRIAL_RELEASED);
  zcmem__depot_release(region, id);
}

static bool claim(const struct zcmem__magazines *magazines, struct zcmem__block *block, uint32_t start, uint64_t life) {
  uint32_t claimed;
  return magazines->shared ? zcmem__block_claim_shared(magazines, block, start, life, &claimed)
                           : zcmem__block_claim(block, start, life);
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
  } while (!claim(magazines, block, start, life));
  region->heap->slack -= block->slack;
  if (zcmem__atomic_acquire(&region->revoked) == 0 && block->size <= ZCMEM__CLASSES) {
    keep(region, magazines, id);
  } else {
    weigh(magazines, TRIAL_OTHER);
    zcmem__depot_release(region, id);
  }
  zcmem__depot_tell(region);
  return ZCMEM_OK;
}
#endif
