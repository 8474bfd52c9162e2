/* SPDX-License-Identifier: MIT */
/*
 * Why a use that is counted without the lock is a use of the right block, and why the block stays what it was.
 *
 *      1 the version, even                       acquire
 *      2 the block, its life (use, generation), size and slack, and its tag for a handle; the range is checked
 *      3 the version is the same
 *      4 life -> life with one transfer more     compare-and-swap, 64 bits
 *      5 the slack is the same, or the use is given back
 *
 * By 3, what was read in 2 was true at one moment, and the block was live then: all changes of blocks but those of
 * `use` itself, and what magazines do, stand between two versions. From that moment to 4 the descriptor was of that
 * block all the time, or else its generation would be another: it counts up where a descriptor becomes live, with a
 * resize, and only not where a block goes through a magazine, which is the same place and size, though perhaps another
 * slack: 5. So a use that has to be given back never was in the way of anybody but who has just been handed this very
 * place. Without 3 it could be in the way of anybody: what was read in 2 may be of two blocks, at different places.
 *
 * From 4 on: who frees the block, or shrinks it, goes by what `use` is when it swaps the word itself (SHARED_MANY), so
 * it comes after 4 and is refused, or before. A free before 4 has changed the state, and 4 fails. A resize puts a use
 * of its own there and the next generation, in one swap, and 4 fails, too; so 4 needs no look at the version behind it.
 * A resize after 4 can only make the block longer.
 *
 * The end swaps `use` for one less: release, so what was moved is moved before anybody is handed the block.
 *
 * While one thread alone changes blocks it does without all that: zcmem__use_enter_alone.
 */
#include "use.h"

#ifdef ZCMEM__DIRECT
/* How often a begin is tried without the lock, after the quick way. */
#define TRIES 4u

enum zcmem_status zcmem__use_take_back(struct zcmem__region *region, struct zcmem__block *block) {
  uint32_t now = ZCMEM__GET(block->use);
  do {
    if (ZCMEM__UNLIKELY(now == (ZCMEM__ZOMBIE | ZCMEM__TRANSFER))) {
      uint64_t nothing = 0;
      return zcmem__region_end(region, zcmem__heap_addr(region->heap, ZCMEM__GET(block->start)), &nothing, 0);
    }
  } while (!zcmem__bits_swap(&block->use, &now, now - ZCMEM__TRANSFER));
  return ZCMEM_OK;
}

/* From the first transfer on `use` changes by compare-and-swap also where there are no magazines. */
static enum zcmem_status open_region(struct zcmem__region *region) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status == ZCMEM_OK) {
    if (zcmem__atomic_word_acquire(&region->lone) == 0) {
      region->heap->shared = ZCMEM__SHARED_MANY;
      zcmem__atomic_publish(&region->direct, 1);
    }
    zcmem__lock_drop(&region->lock);
  }
  return status;
}

/* Whatever the quick way was not for. */
static enum zcmem_status begin_direct(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                      const uint32_t *tag, struct zcmem__block **held) {
  enum zcmem_status status = ZCMEM_OK;
  uintptr_t lone = zcmem__atomic_word_acquire(&region->lone);
  *held = NULL;
  if (zcmem__atomic_acquire(&region->direct) == 0 && (lone == 0 || lone != zcmem__region_self())) {
    status = open_region(region);
  }
  for (uint32_t tries = 0; tries < TRIES && status == ZCMEM_OK && *held == NULL; tries++) {
    status = zcmem__use_try(region, addr, size, tag, false, held);
  }
  return status;
}

#endif

enum zcmem_status zcmem__use_begin_thorough(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                            const uint32_t *tag, struct zcmem__use *use) {
  *use = (struct zcmem__use){.region = region, .addr = addr};
#ifdef ZCMEM__DIRECT
  enum zcmem_status status = ZCMEM_OK;
  if (region->shared == NULL) {
    status = begin_direct(region, addr, size, tag, &use->block);
  }
  if (use->block != NULL || status != ZCMEM_OK) {
    return status;
  }
#endif
  return zcmem__region_begin(region, addr, size, tag);
}

enum zcmem_status zcmem__use_end_thorough(const struct zcmem__use *use, enum zcmem__moved counter, uint64_t amount) {
  struct zcmem__region *region = use->region;
#ifdef ZCMEM__DIRECT
  if (use->block != NULL) {
    enum zcmem_status status = zcmem__use_take_back(region, use->block);
    if (status == ZCMEM_OK) {
      zcmem__moved_add(&region->moved, zcmem__region_self(), counter, amount);
    }
    return status;
  }
#endif
  return zcmem__region_end(region, use->addr, zcmem__moved_counter(&region->stats, counter), amount);
}

enum zcmem_status zcmem__use_begin(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                   struct zcmem__use *use) {
  return zcmem__use_begin_here(region, addr, size, use);
}

enum zcmem_status zcmem__use_end(const struct zcmem__use *use, enum zcmem__moved counter, uint64_t amount) {
  return zcmem__use_end_here(use, counter, amount);
}
