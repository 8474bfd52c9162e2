/* SPDX-License-Identifier: MIT */
/*
 * What processes that share a region know of each other's magazines, which are in each one's own memory: for a request
 * that finds no room, and for what is left of a process that died.
 *
 * A block in a magazine is ZCMEM__CACHED, and the owner in its generation is the process whose magazine it is in. With
 * the region's lock anybody may take it, by compare-and-swap; so its owner, who has no lock, takes it out by
 * compare-and-swap, too: to ZCMEM__TAKEN, with which he alone goes on. The ticket that he has of a block that was
 * seized names a generation that is no more.
 *
 * `kept` bounds what the processes keep. It is raised, under the lock, before a process may keep more. A seizure takes
 * everything, and then nobody may keep anything any more. It counts `seized` up before it looks; and who has put a
 * block into a magazine looks afterwards whether `seized` is still what it was when he was granted that. Of the two one
 * sees the other: either the block is found, or it is brought back. So where all of `kept` is 0 there is nothing to
 * look for.
 */
#ifndef ZCMEM_SEIZE_H
#define ZCMEM_SEIZE_H

#include "region.h"

/* All under the lock, with the version odd where blocks may change. */

/* Quanta that the other processes may keep, and threads of all that have magazines. */
ZCMEM__INLINE uint32_t zcmem__seize_others(const struct zcmem__shared *shared) {
  const uint32_t slot = ZCMEM__GET(shared->heap->owner) >> ZCMEM__OWNER_SHIFT;
  return ZCMEM__GET(shared->kept[0].quanta) - (slot == 0 || slot > shared->slots ? 0 : shared->kept[slot].quanta);
}

ZCMEM__INLINE uint32_t zcmem__seize_threads(const struct zcmem__shared *shared) {
  return ZCMEM__GET(shared->kept[0].threads);
}

/*
 * Gives all that is in magazines back to the heap. How many blocks. Cost: where somebody may keep something, a look at
 * each descriptor.
 */
uint32_t zcmem__seize_all(struct zcmem__shared *shared);

/*
 * The same whatever `kept` says, and that is counted anew: after one who died with the lock. He may have been seizing,
 * and those whose magazines these are do not look for what he left of them any more.
 */
void zcmem__seize_recover(struct zcmem__shared *shared);

/* The same with the block `id` alone, if it is in a magazine. */
bool zcmem__seize_block(struct zcmem_heap *heap, uint32_t id);

/* What this process keeps now. */
void zcmem__seize_tell(struct zcmem__shared *shared, uint32_t quanta, uint32_t threads);

/* A process has left. */
void zcmem__seize_leave(struct zcmem__shared *shared, uint32_t slot);

#endif
