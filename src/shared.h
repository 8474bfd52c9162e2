/* SPDX-License-Identifier: MIT */
/*
 * Magazines of regions that processes share: the calls that take no lock. What is different there from magazine.h is
 * that another process may take a block out of a magazine (seize.h); so it is not only put in by compare-and-swap, but
 * also handed out.
 */
#ifndef ZCMEM_SRC_SHARED_H
#define ZCMEM_SRC_SHARED_H

#include "thread.h"

#ifdef ZCMEM__THREAD_MAGAZINES
/* Allocates from the thread's magazines. False: the lock is needed. */
ZCMEM__INLINE bool zcmem__shared_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                       hal_addr_t *addr) {
  struct zcmem__magazines *mine = zcmem__thread_find_shared(region);
  uint32_t need;
  if (ZCMEM__UNLIKELY(mine == NULL || !zcmem__magazines_enter(mine, region))) {
    return false;
  }
  bool done =
      addr != NULL && zcmem__magazines_keep(mine, size, align, &need) &&
      (zcmem__magazines_pop_shared(mine, need, size, addr) || zcmem__magazines_pop_larger(mine, need, size, addr));
  zcmem__magazines_leave(mine);
  return done;
}

/*
 * Brings back a block that was put into a magazine when all had just been emptied. Whoever has seized it since, or
 * after the lock has failed will, has done the same.
 */
void zcmem__shared_bring_back(struct zcmem__region *region, uint32_t id, uint32_t claimed);

/* What is put in after all was emptied, without a look at that, would be found by nobody: see seize.h. */
ZCMEM__INLINE bool zcmem__shared_seized(const struct zcmem__region *region, const struct zcmem__magazines *magazines) {
  return atomic_load_explicit(&region->shared->seized->value, memory_order_seq_cst) != magazines->seized;
}

/* Frees into the thread's magazines. False, and nothing is done: the lock is needed. */
ZCMEM__INLINE bool zcmem__shared_free(struct zcmem__region *region, hal_addr_t addr) {
  struct zcmem__magazines *mine = zcmem__thread_find_shared(region);
  bool done = false, seized = false;
  uint32_t claimed = 0;
  if (ZCMEM__UNLIKELY(mine == NULL || !zcmem__magazines_enter(mine, region))) {
    return false;
  }
  uint64_t offset = addr - mine->base, start = offset >> mine->quantum_shift;
  if (ZCMEM__UNLIKELY(start >= mine->quanta || start << mine->quantum_shift != offset)) {
    zcmem__magazines_leave(mine);
    return false;
  }
  uint32_t id = zcmem__hint_find(mine, (uint32_t)start);
  struct zcmem__block *block = zcmem__block(mine->heap, id);
  uint64_t life = __atomic_load_n(zcmem__block_life(block), __ATOMIC_ACQUIRE);
  uint32_t size = ZCMEM__GET(block->size);
  if (ZCMEM__LIKELY(zcmem__life_use(life) == ZCMEM__LIVE && size - 1u < ZCMEM__CLASSES &&
                    zcmem__magazines_room(mine, size) &&
                    zcmem__block_claim_shared(mine, block, (uint32_t)start, life, &claimed))) {
    done = true;
    mine->frees++;
    seized = zcmem__shared_seized(region, mine);
    if (ZCMEM__LIKELY(!seized)) {
      zcmem__magazines_push(mine, claimed, id, size);
    }
  }
  zcmem__magazines_leave(mine);
  if (ZCMEM__UNLIKELY(seized)) {
    zcmem__shared_bring_back(region, id, claimed);
  }
  return done;
}
#elif defined(ZCMEM__MAGAZINES)
/* No process shares regions without pthread. */
ZCMEM__INLINE bool zcmem__shared_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                       hal_addr_t *addr) {
  (void)region;
  (void)size;
  (void)align;
  (void)addr;
  return false;
}

ZCMEM__INLINE bool zcmem__shared_free(struct zcmem__region *region, hal_addr_t addr) {
  (void)region;
  (void)addr;
  return false;
}
#endif

#endif
