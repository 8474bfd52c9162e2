/* SPDX-License-Identifier: MIT */
/*
 * What allocations and frees of one block and of many share. The region's lock is held.
 */
#ifndef ZCMEM_SRC_MEM_IMPL_H
#define ZCMEM_SRC_MEM_IMPL_H

#include "hal_impl.h"
#include "thread.h"

#ifdef ZCMEM__MAGAZINES
/* Blocks that are taken out of the magazines in one hold of the lock by who needs the space. */
#define ZCMEM__DRAIN_STEP 64u

/* Gives some blocks of magazines, which are revoked, back to the heap. How many: 0, there are none left. */
static inline uint32_t zcmem__mem_drain(struct zcmem__region *region) {
  zcmem__atomic_change(&region->version);
  uint32_t drained = zcmem__magazines_drain(region, ZCMEM__DRAIN_STEP);
  zcmem__atomic_changed(&region->version);
  return drained;
}

/* With magazines revoked, lets others at the lock. ELOCK: it is not held any more, and the magazines are restored. */
static inline enum zcmem_status zcmem__mem_yield(struct zcmem__region *region) {
  zcmem__lock_drop(&region->lock);
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    zcmem__magazines_restore(region);
  }
  return status;
}
#endif

#ifdef ZCMEM__MAGAZINES
/*
 * An allocation and a free that the fast path of magazines did not do; no lock is held. mine: the caller's own, that
 * are not entered, or NULL. Statuses of zcmem_mem_alloc, and of zcmem_mem_free.
 */
enum zcmem_status zcmem__mem_alloc_past(struct zcmem__region *region, struct zcmem__magazines *mine, hal_size_t size,
                                        hal_size_t align, hal_addr_t *addr);
enum zcmem_status zcmem__mem_free_past(struct zcmem__region *region, struct zcmem__magazines *mine, hal_addr_t addr);
#endif

static inline void zcmem__mem_count_free(struct zcmem__region *region, enum zcmem_status status, bool deferred) {
  if (ZCMEM__UNLIKELY(status != ZCMEM_OK)) {
    region->stats.bad_frees++;
  } else if (ZCMEM__UNLIKELY(deferred)) {
    region->stats.deferred_frees++;
  } else {
    region->stats.frees++;
  }
}

#endif
