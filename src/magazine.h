/* SPDX-License-Identifier: MIT */
/*
 * Magazines: whole blocks that a thread keeps, by size, so that most allocations and frees take no lock; after Bonwick
 * and Adams, "Magazines and Vmem" (USENIX 2001). src/DESIGN.md tells the whole story.
 *
 *      an owner's magazines                    the region's depot (under its lock)
 *      size 1   [ticket][ticket][ticket]       bundles of tickets of all sizes:
 *      size 2   [ticket]                       [ ][ ][ ][ ] -> [ ][ ][ ][ ] -> [ ][ ][ ]            <->      heap
 *       ...
 *
 * A *ticket* names a cached block: its descriptor and where it starts, which is all that handing it out needs to read.
 * A cached block is occupied as far as the heap knows; its `use` word is ZCMEM__CACHED, so that it is live for nobody.
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
 * How many blocks of a size are kept: of a thread's two lines of tickets, and four times as many of small sizes, which
 * are asked for often and for which nothing a little larger will do. A context may have fewer.
 */
#define ZCMEM__MAGAZINE_MOST 16u
#define ZCMEM__MAGAZINE_MOST_SMALL(most) (4u * (most))
#define ZCMEM__SMALL 16u /* quanta */

ZCMEM__INLINE uint32_t zcmem__magazines_tickets(uint32_t most) {
  return ZCMEM__SMALL * ZCMEM__MAGAZINE_MOST_SMALL(most) + (ZCMEM__CLASSES - ZCMEM__SMALL) * most;
}

struct zcmem__magazine {
  uint16_t first; /* of its tickets */
  uint8_t count;
  uint8_t most;
  uint8_t used;   /* since the last visit of the clock: ZCMEM__USED_* */
  uint8_t missed; /* allocations of late that found none here */
};

#define ZCMEM__USED_PUSH 1u /* blocks were put in, or asked for in vain */
#define ZCMEM__USED_POP 2u  /* blocks were handed out */

struct zcmem__magazines {
  _Alignas(64) struct zcmem__atomic_u32 state; /* ZCMEM__BARRIER_*: busy between enter and leave, closed at rest */
  uint32_t resting;                            /* calls that go to the heap right away, since these are of no use */
  struct zcmem_heap *heap;                     /* copies of what the region has, for the fast path */
  const uint64_t *hints;
  struct zcmem__region *region;
  hal_addr_t base;
  uint32_t quanta;
  uint16_t quantum_shift;
  uint16_t hint_shift;
  uint32_t room;      /* quanta that may be put in yet */
  uint32_t allowance; /* and that may be here altogether */
  bool alone;         /* no other thread changes `use` of any block: region->lone is the owner */
  bool emptied;       /* these rest, and nothing is in them: only the thread itself ever looks at this and `resting` */
  bool generous;      /* space is not short: a block may be handed out that is larger than asked for */
  bool shared;        /* processes share the region */
  uint32_t own;       /* then: this process, as the owner in a generation */
  /* What has happened here since the figures were last settled: to be added to the heap's and the region's. */
  _Alignas(64) uint64_t slack;
  uint64_t allocations;
  uint64_t frees;
  uint64_t stocked[ZCMEM__CLASSES / 64u + 1u]; /* bit s: there are blocks of s quanta, or there were */
  const void *owner;             /* a thread, by its zcmem__self, or a context; NULL: a thread that has ended */
  struct zcmem__magazines *next; /* in the region's list */
  uint32_t seized;               /* as the depot's: what is newer voids all that is here */
  struct zcmem_context *context; /* whose they are, in memory of its own; NULL: a thread's, from the HAL's allocator */
  uint32_t tickets;
  uint32_t clock;
  uint32_t slow;      /* what calls that went to the heap come to in this trial */
  uint32_t given;     /* blocks that went to other threads in it */
  uint32_t sated;     /* allocations that find no block and do not look for a bundle, since there was no room lately */
  uint64_t quick;     /* allocations that did not, at its beginning */
  uint32_t next_rest; /* how long the next rest is */
  struct zcmem__magazine of[ZCMEM__CLASSES + 1];
  _Alignas(64) struct zcmem__ticket ticket[]; /* as many as `tickets` says */
};

/* Bytes of magazines that keep `most` blocks of a size. */
ZCMEM__INLINE size_t zcmem__magazines_bytes(uint32_t most) {
  return zcmem__lines(sizeof(struct zcmem__magazines) + zcmem__magazines_tickets(most) * sizeof(struct zcmem__ticket));
}

/* Quanta that are kept here. */
ZCMEM__INLINE uint32_t zcmem__magazines_held(const struct zcmem__magazines *magazines) {
  return magazines->allowance - magazines->room;
}

/* ------------------------------------------------------------------------------------------------ making them -- */

/*
 * Makes magazines for `most` blocks of a size, up to ZCMEM__MAGAZINE_MOST, in zeroed memory; not in the region's list
 * yet. Tickets need not be zeroed.
 */
void zcmem__magazines_init(struct zcmem__magazines *magazines, struct zcmem__region *region, uint32_t most,
                           const void *owner);

/* With the region's lock: puts them into the list; and takes them, which are empty and the caller's own, out of it. */
void zcmem__magazines_join(struct zcmem__region *region, struct zcmem__magazines *magazines);
void zcmem__magazines_part(struct zcmem__region *region, struct zcmem__magazines *magazines);

/* -------------------------------------------------------------------------------------------- without the lock -- */

/*
 * Enters one's own magazines. False: they are revoked, at rest, or entered already (by what a signal interrupted): the
 * lock is needed. single: as for zcmem__barrier_enter.
 */
ZCMEM__INLINE bool zcmem__magazines_enter_as(struct zcmem__magazines *magazines, const struct zcmem__region *region,
                                             bool single) {
  if (ZCMEM__UNLIKELY(!zcmem__barrier_enter(&magazines->state, single))) {
    return false;
  }
  if (ZCMEM__UNLIKELY(zcmem__atomic_acquire(&region->revoked) != 0)) {
    zcmem__atomic_publish(&magazines->state, ZCMEM__BARRIER_IDLE);
    return false;
  }
  return true;
}

ZCMEM__INLINE bool zcmem__magazines_enter(struct zcmem__magazines *magazines, const struct zcmem__region *region) {
  return zcmem__magazines_enter_as(magazines, region, false);
}

ZCMEM__INLINE void zcmem__magazines_leave(struct zcmem__magazines *magazines) {
  zcmem__atomic_publish(&magazines->state, ZCMEM__BARRIER_IDLE);
}

/* Whether a block for such a request may be in magazines, and of how many quanta. */
ZCMEM__INLINE bool zcmem__magazines_keep(const struct zcmem__magazines *magazines, hal_size_t size, hal_size_t align,
                                         uint32_t *need) {
  uint64_t last = (size - (size != 0)) >> magazines->quantum_shift;
  *need = (uint32_t)last + 1u;
  return last < ZCMEM__CLASSES && (align - 1u) >> magazines->quantum_shift == 0 && (align & (align - 1u)) == 0;
}

/* Of four hints the first one for `start`, or 0: without a branch. Unused ones, behind all others, look like start 0.
 */
ZCMEM__INLINE uint64_t zcmem__hint_among(const uint64_t *hints, uint32_t start) {
  uint64_t first = ZCMEM__GET64(hints[0]), second = ZCMEM__GET64(hints[1]);
  uint64_t third = ZCMEM__GET64(hints[2]), fourth = ZCMEM__GET64(hints[3]);
  uint64_t found = fourth >> 32 == start ? fourth : 0;
  found = third >> 32 == start ? third : found;
  found = second >> 32 == start ? second : found;
  return first >> 32 == start ? first : found;
}

/* The descriptor of the block that starts at `start`, if a hint knows it; else some other one. */
ZCMEM__INLINE uint32_t zcmem__hint_find(const struct zcmem__magazines *magazines, uint32_t start) {
  const uint64_t *bucket = magazines->hints + zcmem__hint_bucket(start, magazines->hint_shift);
  uint64_t found = zcmem__hint_among(bucket, start);
  if (ZCMEM__UNLIKELY(found == 0)) {
    found = zcmem__hint_among(bucket + ZCMEM__HINTS / 2u, start);
  }
  return (uint32_t)found;
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

ZCMEM__INLINE uint32_t zcmem__life_generation(uint64_t life) {
  struct zcmem__life {
    uint32_t use, generation;
  } parts;
  __builtin_memcpy(&parts, &life, sizeof parts);
  return parts.generation;
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

/* The same of a thread that is alone, and in its magazines: nothing changes meanwhile, so it need not swap. */
ZCMEM__INLINE bool zcmem__block_claim_alone(struct zcmem__block *block, uint32_t start) {
  if (ZCMEM__UNLIKELY(ZCMEM__GET(block->start) != start)) {
    return false;
  }
  ZCMEM__PUT(block->use, ZCMEM__CACHED);
  return true;
}

/* Hands out the block of a ticket, of `quanta` quanta, for `size` bytes. */
ZCMEM__INLINE hal_addr_t zcmem__magazines_hand_out(struct zcmem__magazines *magazines, struct zcmem__ticket ticket,
                                                   uint32_t quanta, hal_size_t size) {
  struct zcmem__block *block = zcmem__block(magazines->heap, ticket.id);
  uint32_t shift = magazines->quantum_shift, slack = (uint32_t)(((uint64_t)quanta << shift) - size);
  hal_addr_t addr = magazines->base + ((uint64_t)ticket.start << shift);
  ZCMEM__PUT(block->slack, slack);
  ZCMEM__PUT(block->tag, 0u);
  __atomic_store_n(&block->use, (uint32_t)ZCMEM__LIVE, __ATOMIC_RELEASE);
  magazines->slack += slack;
  magazines->room += quanta;
  return addr;
}

/* `use` and generation as one word. */
ZCMEM__INLINE uint64_t zcmem__life_of(uint32_t use, uint32_t generation) {
  return zcmem__life_with((uint64_t)generation << 32 | generation, use); /* in whichever half */
}

/*
 * As zcmem__block_claim, in a region that processes share: the block becomes this process's. *claimed is the generation
 * that it has now. Who has claimed without the lock looks at zcmem__shared.seized after it.
 */
ZCMEM__INLINE bool zcmem__block_claim_shared(const struct zcmem__magazines *magazines, struct zcmem__block *block,
                                             uint32_t start, uint64_t life, uint32_t *claimed) {
  *claimed = (zcmem__life_generation(life) & ZCMEM__GENERATION) | magazines->own;
  return ZCMEM__GET(block->start) == start &&
         __atomic_compare_exchange_n(zcmem__block_life(block), &life, zcmem__life_of(ZCMEM__CACHED, *claimed), false,
                                     __ATOMIC_SEQ_CST, __ATOMIC_RELAXED);
}

/*
 * As zcmem__magazines_hand_out, there. False: another process has seized the block. Slack and tag of a block that is in
 * a magazine are not written, since it may be free at any time.
 */
ZCMEM__INLINE bool zcmem__magazines_hand_out_shared(struct zcmem__magazines *magazines, struct zcmem__ticket ticket,
                                                    uint32_t quanta, hal_size_t size, hal_addr_t *addr) {
  struct zcmem__block *block = zcmem__block(magazines->heap, ticket.id);
  uint64_t life = zcmem__life_of(ZCMEM__CACHED, ticket.start);
  uint32_t shift = magazines->quantum_shift;
  magazines->room += quanta;
  if (ZCMEM__UNLIKELY(!__atomic_compare_exchange_n(zcmem__block_life(block), &life,
                                                   zcmem__life_of(ZCMEM__TAKEN, ticket.start), false, __ATOMIC_ACQ_REL,
                                                   __ATOMIC_RELAXED))) {
    return false;
  }
  *addr = magazines->base + ((uint64_t)ZCMEM__GET(block->start) << shift);
  ZCMEM__PUT(block->slack, (uint32_t)(((uint64_t)quanta << shift) - size));
  ZCMEM__PUT(block->tag, 0u);
  __atomic_store_n(&block->use, (uint32_t)ZCMEM__LIVE, __ATOMIC_RELEASE);
  return true;
}

/* The last ticket of a magazine that has one. */
ZCMEM__INLINE struct zcmem__ticket zcmem__magazine_pop(struct zcmem__magazines *magazines,
                                                       struct zcmem__magazine *magazine) {
  return magazines->ticket[magazine->first + --magazine->count];
}

/* Hands out a block of `need` quanta for `size` bytes from the magazines, which are entered. False: there is none. */
ZCMEM__INLINE bool zcmem__magazines_pop(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size,
                                        hal_addr_t *addr) {
  struct zcmem__magazine *magazine = &magazines->of[need];
  if (ZCMEM__UNLIKELY(magazine->count == 0)) {
    return false;
  }
  magazine->used |= ZCMEM__USED_POP;
  magazines->allocations++;
  *addr = zcmem__magazines_hand_out(magazines, zcmem__magazine_pop(magazines, magazine), need, size);
  return true;
}

/* As zcmem__magazines_pop, where processes share the region: the first block that nobody has seized. */
ZCMEM__INLINE bool zcmem__magazines_pop_shared(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size,
                                               hal_addr_t *addr) {
  struct zcmem__magazine *magazine = &magazines->of[need];
  while (magazine->count > 0) {
    if (ZCMEM__LIKELY(
            zcmem__magazines_hand_out_shared(magazines, zcmem__magazine_pop(magazines, magazine), need, size, addr))) {
      magazine->used |= ZCMEM__USED_POP;
      magazines->allocations++;
      if (ZCMEM__LIKELY(magazine->count > 0)) { /* a swap has to wait for the line; it can be here by then */
        __builtin_prefetch(zcmem__block(magazines->heap, magazines->ticket[magazine->first + magazine->count - 1u].id),
                           1);
      }
      return true;
    }
  }
  return false;
}

/*
 * The same, or of the next size, up to an eighth more, of which there are blocks. What such a block has too much is
 * given up until it is freed, so that fewer requests need the lock. There may be blocks of `need` quanta: who comes
 * here could not enter a moment ago, since the magazines were revoked, and did not look.
 */
bool zcmem__magazines_pop_larger(struct zcmem__magazines *magazines, uint32_t need, hal_size_t size, hal_addr_t *addr);

/* Whether there is room for a block of `size` quanta, 1 ... ZCMEM__CLASSES. */
ZCMEM__INLINE bool zcmem__magazines_room(const struct zcmem__magazines *magazines, uint32_t size) {
  return size <= magazines->room && magazines->of[size].count < magazines->of[size].most;
}

/* Puts a cached block into the magazines, where there is room for it. */
ZCMEM__INLINE void zcmem__magazines_push(struct zcmem__magazines *magazines, uint32_t start, uint32_t id,
                                         uint32_t size) {
  struct zcmem__magazine *magazine = &magazines->of[size];
  magazines->stocked[size / 64u] |= zcmem__bits_one(size % 64u);
  magazines->ticket[magazine->first + magazine->count++] = (struct zcmem__ticket){.start = start, .id = id};
  magazine->used |= ZCMEM__USED_PUSH;
  magazines->room -= size;
}

/*
 * Frees the block at addr into the magazines, which are entered. False, and nothing is done: no hint knows the block,
 * it cannot be freed, it is too large, or there is no room; the slow path tells which.
 */
ZCMEM__INLINE bool zcmem__magazines_free(struct zcmem__magazines *magazines, hal_addr_t addr) {
  uint64_t offset = addr - magazines->base, start = offset >> magazines->quantum_shift;
  if (ZCMEM__UNLIKELY(start >= magazines->quanta || start << magazines->quantum_shift != offset)) {
    return false;
  }
  uint32_t id = zcmem__hint_find(magazines, (uint32_t)start);
  struct zcmem__block *block = zcmem__block(magazines->heap, id);
  uint64_t life = __atomic_load_n(zcmem__block_life(block), __ATOMIC_ACQUIRE);
  uint32_t size = ZCMEM__GET(block->size);
  if (ZCMEM__UNLIKELY(zcmem__life_use(life) != ZCMEM__LIVE || size - 1u >= ZCMEM__CLASSES ||
                      !zcmem__magazines_room(magazines, size))) {
    return false;
  }
  if (ZCMEM__UNLIKELY(!(magazines->alone ? zcmem__block_claim_alone(block, (uint32_t)start)
                                         : zcmem__block_claim(block, (uint32_t)start, life)))) {
    return false;
  }
  magazines->slack -= ZCMEM__GET(block->slack);
  magazines->frees++;
  zcmem__magazines_push(magazines, (uint32_t)start, id, size);
  return true;
}

/* --------------------------------------------------------------------------------------- with the region's lock -- */

/*
 * Where processes share the region, before all else of a call: what they have seized is forgotten, and this process is
 * the one that it is. magazines: the thread's own, or NULL.
 */
void zcmem__magazines_begin_shared(struct zcmem__region *region, struct zcmem__magazines *magazines);

ZCMEM__INLINE void zcmem__magazines_begin(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  if (ZCMEM__UNLIKELY(region->shared != NULL)) {
    zcmem__magazines_begin_shared(region, magazines);
  }
}

/* What that forgets, with all threads out of their magazines. */
void zcmem__magazines_forget(struct zcmem__region *region);

/*
 * Counts an allocation that goes to the heap since magazines do not keep such ones. They rest after a trial in which
 * they were of too little use; each time longer, until a trial goes well.
 */
void zcmem__magazines_try(struct zcmem__magazines *magazines);

/* Counts a call of resting ones, which goes to the heap; ends the rest. */
ZCMEM__INLINE void zcmem__magazines_count_rest(struct zcmem__magazines *magazines) {
  if (--magazines->resting == 0) {
    magazines->emptied = false;
    zcmem__atomic_publish(&magazines->state, ZCMEM__BARRIER_IDLE);
  }
}

/* The same, and empties them by some blocks. */
void zcmem__magazines_rest(struct zcmem__region *region, struct zcmem__magazines *magazines);

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
 * Makes these the only ones that change `use` without the lock, and so without swapping, if they are: until another
 * thread takes the lock for what changes blocks. Or ends that, for magazines that nobody is in.
 */
void zcmem__magazines_set_lone(struct zcmem__region *region, struct zcmem__magazines *magazines, bool lone);

/* Ends it from another thread, for good: from now on blocks are shared. */
void zcmem__magazines_share(struct zcmem__region *region);

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
