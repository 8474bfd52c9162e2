/* SPDX-License-Identifier: MIT */
#include "shared.h"

#ifdef ZCMEM__MAGAZINES
bool zcmem__shared_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align, hal_addr_t *addr) {
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
static ZCMEM__NOINLINE void bring_back(struct zcmem__region *region, uint32_t id, uint32_t claimed) {
  if (zcmem__region_take(region) != ZCMEM_OK) {
    return;
  }
  zcmem__atomic_change(&region->version);
  zcmem__depot_redeem(region, (struct zcmem__ticket){.start = claimed, .id = id});
  zcmem__atomic_changed(&region->version);
  zcmem__lock_drop(&region->lock);
}

/* What is put in after all was emptied, without a look at that, would be found by nobody: see seize.h. */
static bool is_seized(const struct zcmem__region *region, const struct zcmem__magazines *magazines) {
  return atomic_load_explicit(&region->shared->seized->value, memory_order_seq_cst) != magazines->seized;
}

bool zcmem__shared_free(struct zcmem__region *region, hal_addr_t addr) {
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
    seized = is_seized(region, mine);
    if (ZCMEM__LIKELY(!seized)) {
      zcmem__magazines_push(mine, claimed, id, size);
    }
  }
  zcmem__magazines_leave(mine);
  if (ZCMEM__UNLIKELY(seized)) {
    bring_back(region, id, claimed);
  }
  return done;
}
#else
typedef int zcmem__shared_empty; /* ISO C wants something in each file */
#endif
