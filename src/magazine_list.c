/* SPDX-License-Identifier: MIT */
/* All magazines of a region: the list of them, who may enter, what they keep together. */
#include "magazine.h"

#ifdef ZCMEM__MAGAZINES
#include <string.h>

/* ------------------------------------------------------------------------------------------------- who may enter -- */

/* So that it leaves its magazines: it does not need the lock for that, but the processor. */
static void let_owner_run(struct zcmem__lock *lock) {
  if (lock->ops->wait != NULL) {
    lock->ops->wait(lock->state);
  } else {
    zcmem__barrier_pause();
  }
}

void zcmem__magazines_revoke(struct zcmem__region *region) {
  if (zcmem__atomic_count_up(&region->revoked) > 0) {
    return;
  }
  zcmem__barrier_all();
  for (struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    while (zcmem__atomic_acquire(&at->state) == ZCMEM__BARRIER_BUSY) {
      let_owner_run(&region->lock);
    }
  }
}

void zcmem__magazines_restore(struct zcmem__region *region) {
  (void)zcmem__atomic_count_down(&region->revoked);
}

void zcmem__magazines_set_lone(struct zcmem__region *region, struct zcmem__magazines *magazines, bool lone) {
  magazines->alone = lone && region->depot->threads == 1 && region->heap->shared == ZCMEM__SHARED_ONE;
  zcmem__atomic_word_publish(&region->lone, magazines->alone ? (uintptr_t)magazines->owner : 0);
}

/* Its owner sees that the next time that it enters, and is not in them now. */
void zcmem__magazines_share(struct zcmem__region *region) {
  zcmem__magazines_revoke(region);
  region->heap->shared = ZCMEM__SHARED_MANY;
  zcmem__magazines_set_lone(region, region->depot->all, false);
  zcmem__magazines_restore(region);
}

uint32_t zcmem__magazines_drain(struct zcmem__region *region, uint32_t most) {
  uint32_t count = zcmem__depot_give_back(region, most);
  for (struct zcmem__magazines *at = region->depot->all; at != NULL && count < most; at = at->next) {
    count += zcmem__magazines_empty(region, at, most - count);
  }
  return count;
}

static void settle_one(struct zcmem__region *region, struct zcmem__magazines *at) {
  region->heap->slack += at->slack;
  region->stats.allocations += at->allocations;
  region->stats.frees += at->frees;
  region->stats.magazine_hits += at->allocations;
  region->stats.magazine_frees += at->frees;
  at->slack = 0;
  at->quick -= at->allocations;
  at->allocations = 0;
  at->frees = 0;
}

void zcmem__magazines_settle(struct zcmem__region *region) {
  for (struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    settle_one(region, at);
  }
}

/* --------------------------------------------------------------------------------------------- other processes -- */

static void void_tickets(struct zcmem__magazines *magazines, uint32_t seized) {
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    magazines->of[size].count = 0;
  }
  memset(magazines->stocked, 0, sizeof magazines->stocked);
  magazines->room = 0;
  magazines->allowance = 0;
  magazines->seized = seized;
}

void zcmem__magazines_forget(struct zcmem__region *region) {
  zcmem__depot_void(region);
  for (struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    void_tickets(at, region->depot->seized);
  }
}

void zcmem__magazines_begin_shared(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  if (ZCMEM__UNLIKELY(zcmem__atomic_acquire(region->shared->seized) != region->depot->seized)) {
    zcmem__magazines_revoke(region);
    zcmem__magazines_forget(region);
    zcmem__magazines_restore(region);
  }
  if (magazines != NULL) {
    magazines->own = region->heap->owner;
  }
}

/* ---------------------------------------------------------------------------------------------------- the list -- */

void zcmem__magazines_join(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  magazines->next = region->depot->all;
  region->depot->all = magazines;
  region->depot->threads++;
}

void zcmem__magazines_part(struct zcmem__region *region, struct zcmem__magazines *magazines) {
  struct zcmem__magazines **at = &region->depot->all;
  settle_one(region, magazines);
  while (*at != magazines) {
    at = &(*at)->next;
  }
  *at = magazines->next;
  region->depot->threads--;
}

void zcmem__magazines_count(const struct zcmem__region *region, uint64_t *blocks, uint64_t *quanta) {
  const struct zcmem__depot *depot = region->depot;
  *blocks = 0;
  *quanta = depot->held;
  for (uint32_t number = depot->top; number != 0; number = depot->bundles[number].next) {
    *blocks += depot->bundles[number].count;
  }
  for (const struct zcmem__magazines *at = depot->all; at != NULL; at = at->next) {
    *quanta += zcmem__magazines_held(at);
    for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
      *blocks += at->of[size].count;
    }
  }
}
#endif
