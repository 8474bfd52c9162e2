/* SPDX-License-Identifier: MIT */
/*
 * Magazines: whole blocks that a thread keeps, by size, so that most allocations and frees take no lock; after Bonwick
 * and Adams, "Magazines and Vmem" (USENIX 2001). src/DESIGN.md tells the whole story.
 *
 *      a thread's magazines                          the region's depot (under its lock)
 *      size 1   loaded -> [ ][ ][ ]  spare -> [ ]    full chains: [ ][ ][ ] -> [ ][ ][ ]        heap
 *      size 2   loaded -> [ ]        spare ->        full chains:                         <->
 *       ...
 *
 * A cached block is occupied as far as the heap knows; its `use` word is ZCMEM__CACHED, so that it is live for nobody.
 * The chains go through the descriptors: from block to block by `tag`, from chain to chain of the depot by `slack`.
 *
 * Who may touch what:
 * - `use`, with the generation beside it, changes by compare-and-swap. Whoever makes LIVE into CACHED has the block:
 *   of two frees of one block, in whatever threads, one fails.
 * - A thread's magazines belong to the thread between enter and leave, and at any time to who holds the region's lock
 *   and has revoked them: revoked is set, every thread has left, and none enters again until it is unset. With the lock
 *   the thread itself needs no enter, since nobody else can revoke then.
 * - All else of the depot is guarded by the region's lock.
 */
#ifndef ZCMEM_MAGAZINE_H
#define ZCMEM_MAGAZINE_H

#include "barrier.h"
#include "depot.h"

/*
 * A full chain has 1 << order blocks: two at first, and twice as many each time that a size both ran out and ran over
 * of late, since then a longer chain would have helped; up to 32, or what is 2048 quanta.
 */
#define ZCMEM__ORDER_LEAST 1u
#define ZCMEM__ORDER_MOST 5u
#define ZCMEM__CHAIN_QUANTA 2048u

struct zcmem__magazine {
  uint32_t loaded; /* chain that is pushed to and popped from; ZCMEM__NIL: empty */
  uint32_t spare;  /* a full chain, or empty */
  uint8_t count;   /* blocks of the loaded chain */
  uint8_t spares;  /* of the spare one: it may have become full when full chains were shorter */
  uint8_t most;    /* blocks of a full chain */
  uint8_t used;    /* since the last visit of the clock: ZCMEM__USED_* */
};

#define ZCMEM__USED_PUSH 1u /* blocks were put in, or asked for in vain */
#define ZCMEM__USED_POP 2u  /* blocks were handed out */

struct zcmem__magazines {
  _Alignas(64) struct zcmem__atomic_u32 busy; /* the thread is between enter and leave */
  uint32_t resting;                           /* calls that go to the heap right away, since these are of no use */
  struct zcmem_heap *heap;                    /* copies of what the region has, for the fast path */
  const uint32_t *hints;
  struct zcmem__region *region;
  hal_addr_t base;
  uint32_t quanta;
  uint16_t quantum_shift;
  uint16_t hint_shift;
  uint32_t held;      /* quanta in all magazines here */
  uint32_t allowance; /* and how many there may be */
  bool emptied;       /* these rest, and nothing is in them: only the thread itself ever looks at this and `resting` */
  /* What has happened here since the figures were last settled: to be added to the heap's and the region's. */
  _Alignas(64) uint64_t slack;
  uint64_t allocations;
  uint64_t frees;
  uint64_t blocks; /* in all magazines here */
  const void *owner;
  struct zcmem__magazines *next; /* in the region's list */
  uint32_t clock;
  uint32_t slow;      /* calls that took the lock in this trial */
  uint64_t quick;     /* allocations and frees that did not, at its beginning */
  uint32_t next_rest; /* how long the next rest is */
  bool generous;      /* space is not short: a block may be handed out that is larger than asked for */
  uint64_t stocked[ZCMEM__CLASSES / 64u + 1u]; /* bit s: there are blocks of s quanta, or there were */
  struct zcmem__magazine of[ZCMEM__CLASSES + 1];
};

/* ------------------------------------------------------------------------------------------------ making them -- */

/* Makes a thread's magazines in zeroed memory, not in the region's list yet. */
void zcmem__magazines_init(struct zcmem__magazines *magazines, struct zcmem__region *region, const void *owner);

/* -------------------------------------------------------------------------------------------- without the lock -- */

/*
 * Enters one's own magazines. False: they are revoked, or entered already (by what a signal interrupted): the lock is
 * needed.
 */
ZCMEM__INLINE bool zcmem__magazines_enter(struct zcmem__magazines *magazines) {
  if (ZCMEM__UNLIKELY(!zcmem__barrier_enter(&magazines->busy))) {
    return false;
  }
  if (ZCMEM__UNLIKELY(zcmem__atomic_acquire(&magazines->region->revoked) != 0)) {
    zcmem__atomic_publish(&magazines->busy, 0);
    return false;
  }
  return true;
}

ZCMEM__INLINE void zcmem__magazines_leave(struct zcmem__magazines *magazines) {
  zcmem__atomic_publish(&magazines->busy, 0);
}

/* The descriptor of the block that starts at `start`, if a hint knows it; NULL: none does. */
ZCMEM__INLINE struct zcmem__block *zcmem__hint_find(const struct zcmem__magazines *magazines, uint32_t start,
                                                    uint32_t *id) {
  const uint32_t *bucket = magazines->hints + zcmem__hint_bucket(start, magazines->hint_shift);
  *id = ZCMEM__GET(bucket[0]);
  struct zcmem__block *block = zcmem__block(magazines->heap, *id);
  if (ZCMEM__UNLIKELY(ZCMEM__GET(block->start) != start)) { /* the sentinel's is no block's */
    *id = ZCMEM__GET(bucket[1]);
    block = zcmem__block(magazines->heap, *id);
    return ZCMEM__GET(block->start) == start ? block : NULL;
  }
  return block;
}

/* `use` and the generation, which counts the blocks that a descriptor stood for, as one word. */
ZCMEM__INLINE uint64_t *zcmem__block_life(struct zcmem__block *block) {
  return (uint64_t *)(void *)&block->use;
}

/* `use` of a word of both, and the word with another `use`. */
ZCMEM__INLINE uint32_t zcmem__life_use(uint64_t life) {
  struct zcmem__life {
    uint32_t use, generation;
  } parts;
  __builtin_memcpy(&parts, &life, sizeof parts);
  return parts.use;
}

ZCMEM__INLINE uint64_t zcmem__life_with(uint64_t life, uint32_t use) {
  struct zcmem__life {
    uint32_t use, generation;
  } parts;
  __builtin_memcpy(&parts, &life, sizeof parts);
  parts.use = use;
  __builtin_memcpy(&life, &parts, sizeof life);
  return life;
}

/*
 * Takes the block that starts at `start`, and was live and used by nobody when `life` was loaded, from its owner: now
 * it is cached. False: it is another one by now, or another thread has it. What was read since `life` was loaded holds.
 */
ZCMEM__INLINE bool zcmem__block_claim(struct zcmem__block *block, uint32_t start, uint64_t life) {
  return ZCMEM__GET(block->start) == start &&
         __atomic_compare_exchange_n(zcmem__block_life(block), &life, zcmem__life_with(life, ZCMEM__CACHED), false,
                                     __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

/*
 * The next size after `need` of which there are blocks, up to an eighth more: what such a block has too much is given
 * up until it is freed, so that fewer requests need the lock. 0: there is none.
 */
ZCMEM__INLINE uint32_t zcmem__magazines_larger(const struct zcmem__magazines *magazines, uint32_t need) {
  uint32_t most = need + need / 8u, from = need + 1u;
  most = magazines->quantum_shift > 25u ? need : most < ZCMEM__CLASSES ? most : ZCMEM__CLASSES; /* slack has 32 bits */
  uint64_t bits = magazines->stocked[from / 64u] >> from % 64u;
  if (from % 64u != 0) { /* what of the next word belongs to the 64 sizes from `from` on */
    bits |= from / 64u < ZCMEM__CLASSES / 64u ? magazines->stocked[from / 64u + 1u] << (64u - from % 64u) : 0;
  }
  uint32_t size = bits == 0 ? most + 1u : from + zcmem__bits_low64(bits);
  return size <= most ? size : 0;
}

/* Hands out a block of `need` quanta, or a few more, for `size` bytes from the magazines, which are entered. */
ZCMEM__INLINE bool zcmem__magazines_pop(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size,
                                        hal_addr_t *addr) {
  struct zcmem__magazine *magazine = &magazines->of[need];
  uint32_t id = magazine->loaded;
  if (ZCMEM__UNLIKELY(id == ZCMEM__NIL)) {
    id = magazine->spare;
    if (id == ZCMEM__NIL) {
      magazines->stocked[need / 64u] &= ~zcmem__bits_one(need % 64u);
      need = magazines->generous ? zcmem__magazines_larger(magazines, need) : 0;
      magazine = &magazines->of[need];
      id = magazine->loaded != ZCMEM__NIL ? magazine->loaded : magazine->spare; /* of size 0 there is none */
      if (id == ZCMEM__NIL) {
        magazines->stocked[need / 64u] &= ~zcmem__bits_one(need % 64u);
        return false;
      }
    }
    if (magazine->loaded == ZCMEM__NIL) {
      magazine->spare = ZCMEM__NIL;
      magazine->count = magazine->spares;
      magazine->spares = 0;
    }
  }
  struct zcmem__block *block = zcmem__block(magazines->heap, id);
  magazine->loaded = ZCMEM__GET(block->tag);
  magazine->count--;
  magazine->used |= ZCMEM__USED_POP;
  uint32_t slack = (uint32_t)(((uint64_t)need << magazines->quantum_shift) - size);
  ZCMEM__PUT(block->slack, slack);
  ZCMEM__PUT(block->tag, 0u);
  __atomic_store_n(&block->use, (uint32_t)ZCMEM__LIVE, __ATOMIC_RELEASE);
  magazines->slack += slack;
  magazines->held -= need;
  magazines->blocks--;
  magazines->allocations++;
  *addr = magazines->base + ((uint64_t)ZCMEM__GET(block->start) << magazines->quantum_shift);
  return true;
}

/* Makes room for a block of `size` quanta, 1 ... ZCMEM__CLASSES, without the lock. False: it cannot be made. */
ZCMEM__INLINE bool zcmem__magazines_room(struct zcmem__magazines *magazines, uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  if (ZCMEM__UNLIKELY(magazines->held + size > magazines->allowance)) {
    return false;
  }
  if (ZCMEM__UNLIKELY(magazine->count >= magazine->most)) {
    if (magazine->spare != ZCMEM__NIL) {
      return false;
    }
    magazine->spare = magazine->loaded;
    magazine->spares = magazine->count;
    magazine->loaded = ZCMEM__NIL;
    magazine->count = 0;
  }
  return true;
}

/* Puts a cached block into the magazines, where there is room for it. */
ZCMEM__INLINE void zcmem__magazines_push(struct zcmem__magazines *magazines, struct zcmem__block *block, uint32_t id,
                                         uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  magazines->stocked[size / 64u] |= zcmem__bits_one(size % 64u);
  ZCMEM__PUT(block->tag, magazine->loaded);
  magazine->loaded = id;
  magazine->count++;
  magazine->used |= ZCMEM__USED_PUSH;
  magazines->held += size;
  magazines->blocks++;
}

/*
 * Frees the block at addr into the magazines, which are entered. False, and nothing is done: no hint knows the block,
 * it cannot be freed, it is too large, or there is no room; the slow path tells which.
 */
ZCMEM__INLINE bool zcmem__magazines_free(struct zcmem__magazines *magazines, hal_addr_t addr) {
  uint64_t offset = addr - magazines->base, start = offset >> magazines->quantum_shift;
  uint32_t id, size;
  if (ZCMEM__UNLIKELY(start >= magazines->quanta || start << magazines->quantum_shift != offset)) {
    return false;
  }
  struct zcmem__block *block = zcmem__hint_find(magazines, (uint32_t)start, &id);
  if (ZCMEM__UNLIKELY(block == NULL)) {
    return false;
  }
  uint64_t life = __atomic_load_n(zcmem__block_life(block), __ATOMIC_ACQUIRE);
  size = ZCMEM__GET(block->size);
  if (ZCMEM__UNLIKELY(zcmem__life_use(life) != ZCMEM__LIVE || size - 1u >= ZCMEM__CLASSES ||
                      !zcmem__magazines_room(magazines, size) || !zcmem__block_claim(block, (uint32_t)start, life))) {
    return false;
  }
  magazines->slack -= ZCMEM__GET(block->slack);
  magazines->frees++;
  zcmem__magazines_push(magazines, block, id, size);
  return true;
}

/* --------------------------------------------------------------------------------------- with the region's lock -- */

/*
 * Counts a call that takes the lock. True: the magazines rest, and it is to go to the heap. They do after a trial in
 * which they served fewer calls than they did not; each time longer, until a trial goes well.
 */
bool zcmem__magazines_rest(struct zcmem__region *region, struct zcmem__magazines *magazines);

/*
 * A block of `need` quanta for `size` bytes: from the depot, or from the heap with some more for next time. magazines:
 * the thread's own, or NULL. Statuses of zcmem_heap_alloc.
 */
enum zcmem_status zcmem__magazines_refill(struct zcmem__region *region, struct zcmem__magazines *magazines,
                                          uint32_t need, hal_size_t size, hal_addr_t *addr);

/*
 * Frees the block at addr that the fast path did not: into the magazines (may be NULL), the depot or the heap. Statuses
 * of zcmem_heap_free.
 */
enum zcmem_status zcmem__magazines_spill(struct zcmem__region *region, struct zcmem__magazines *magazines,
                                         hal_addr_t addr);

/*
 * Revokes all magazines of the region: until zcmem__magazines_restore everybody goes through the lock. The lock may be
 * dropped and taken in between.
 */
void zcmem__magazines_revoke(struct zcmem__region *region);
void zcmem__magazines_restore(struct zcmem__region *region);

/* With magazines revoked: gives up to `most` blocks back to the heap. Returns how many there were. */
uint32_t zcmem__magazines_drain(struct zcmem__region *region, uint32_t most);

/* The same for those of one thread, which are the caller's: revoked, its own, or of a thread that is gone. */
uint32_t zcmem__magazines_empty(struct zcmem__region *region, struct zcmem__magazines *magazines, uint32_t most);

/* With magazines revoked: adds what was counted in them to the heap's and the region's figures. */
void zcmem__magazines_settle(struct zcmem__region *region);

/* With magazines revoked: blocks and quanta that are cached. */
void zcmem__magazines_count(const struct zcmem__region *region, uint64_t *blocks, uint64_t *quanta);

#endif
