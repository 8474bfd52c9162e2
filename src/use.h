/* SPDX-License-Identifier: MIT */
/*
 * A transfer's use of a block: from begin to end the block cannot be freed, so not be handed out again, nor lose bytes.
 *
 * Where the host can (ZCMEM__DIRECT), it is counted without the region's lock: begin looks the block up as a look-up
 * does (region.h) and swaps its `use` for one more, end for one less. Errors, and whatever is not plain, are left to
 * the locked way, which decides. use.c has the proof, and all but the quick way.
 */
#ifndef ZCMEM_SRC_USE_H
#define ZCMEM_SRC_USE_H

#include "heap_impl.h"
#include "index.h"
#include "magazine.h"
#include "region.h"
#include "thread.h"

struct zcmem__use {
  struct zcmem__region *region;
  hal_addr_t addr;
  struct zcmem__block *block; /* NULL: it was counted under the lock */
};

/*
 * Begins a transfer of `size` (> 0) bytes from addr on, an address of the region. Statuses of
 * zcmem_heap_begin_transfer, ELOCK; a failure is counted.
 */
enum zcmem_status zcmem__use_begin(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                   struct zcmem__use *use);

/* Ends it and adds `amount` to the counter. ELOCK: as zcmem__region_end. */
enum zcmem_status zcmem__use_end(const struct zcmem__use *use, enum zcmem__moved counter, uint64_t amount);

/*
 * What these do where the quick way is not the one. With a tag: ENOENT also iff the block does not start there, or has
 * another one; for a region in which blocks keep theirs (ZCMEM_REGION_HANDLES).
 */
enum zcmem_status zcmem__use_begin_thorough(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                            const uint32_t *tag, struct zcmem__use *use);
enum zcmem_status zcmem__use_end_thorough(const struct zcmem__use *use, enum zcmem__moved counter, uint64_t amount);

#ifdef ZCMEM__DIRECT
/*
 * Takes a use back. The last one of a zombie is left to the lock: it frees the block, and no zombie is ever without
 * use.
 */
enum zcmem_status zcmem__use_take_back(struct zcmem__region *region, struct zcmem__block *block);

/* The block that has the offset into the heap, or another one (see zcmem__index_holder_quick, and zcmem__index_holder).
 */
ZCMEM__HOT struct zcmem__block *zcmem__use_block(const struct zcmem__region *region, uint64_t offset, bool quick) {
  return quick ? (struct zcmem__block *)zcmem__index_holder_quick(&region->quick, offset)
               : zcmem__block(region->heap,
                              zcmem__index_holder(region->heap, (uint32_t)(offset >> region->quick.quantum_shift)));
}

/* Whether a transfer of that size can use the block as well, of which `rest` bytes are left from its beginning on. */
ZCMEM__HOT bool zcmem__use_may(uint32_t use, hal_size_t rest, hal_size_t size) {
  return ZCMEM__LIKELY((use & ZCMEM__STATE) == ZCMEM__LIVE) && ZCMEM__LIKELY((int64_t)rest > 0) &&
         ZCMEM__LIKELY(size <= rest) && ZCMEM__LIKELY((use / ZCMEM__TRANSFER & ZCMEM__USE_MASK) != ZCMEM_MAX_PINS);
}

/* One try. OK: *held is the block, or NULL: this is not the way, now or at all. ELOCK: a use is left. */
ZCMEM__HOT enum zcmem_status zcmem__use_try(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                            const uint32_t *tag, bool quick, struct zcmem__block **held) {
  uint64_t offset = addr - region->first;
  uint32_t version = zcmem__atomic_version_even(&region->version);
  *held = NULL;
  if (ZCMEM__UNLIKELY(offset >= region->grantable)) {
    return ZCMEM_OK;
  }
  struct zcmem__block *block = zcmem__use_block(region, offset, quick);
  uint64_t life = __atomic_load_n(zcmem__block_life(block), __ATOMIC_ACQUIRE);
  uint32_t use = zcmem__life_use(life), slack = ZCMEM__GET(block->slack);
  hal_size_t rest = zcmem__heap_rest(block, region->quick.quantum_shift, slack, offset);
  bool other = tag != NULL &&
               (ZCMEM__GET(block->tag) != *tag || zcmem__heap_addr(region->heap, ZCMEM__GET(block->start)) != addr);
  if (!zcmem__atomic_still(&region->version, version) || other || !zcmem__use_may(use, rest, size)) {
    return ZCMEM_OK;
  }
  if (!__atomic_compare_exchange_n(zcmem__block_life(block), &life, zcmem__life_with(life, use + ZCMEM__TRANSFER),
                                   false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    return ZCMEM_OK;
  }
  /* Another block of the same place and size that came out of a magazine. */
  if (ZCMEM__UNLIKELY(ZCMEM__GET(block->slack) != slack)) {
    return zcmem__use_take_back(region, block);
  }
  *held = block;
  return ZCMEM_OK;
}

/* Takes a use back, if nobody interferes. The last one of a zombie never is. */
ZCMEM__HOT bool zcmem__use_swap_back(struct zcmem__block *block) {
  uint32_t now = ZCMEM__GET(block->use);
  return ZCMEM__LIKELY(now != (ZCMEM__ZOMBIE | ZCMEM__TRANSFER)) &&
         ZCMEM__LIKELY(zcmem__bits_swap(&block->use, &now, now - ZCMEM__TRANSFER));
}

#ifdef ZCMEM__MAGAZINES
/*
 * The one thread that changes blocks (magazine.h) need not swap either, as long as it is in its magazines: whoever else
 * is to change any waits until it has left, and then it is not alone any more. Its magazines, entered; NULL: it is not
 * alone.
 */
ZCMEM__HOT struct zcmem__magazines *zcmem__use_enter_alone(const struct zcmem__region *region) {
  if (zcmem__atomic_word_acquire(&region->lone) != zcmem__region_self()) {
    return NULL;
  }
  struct zcmem__magazines *mine = zcmem__thread_find(region);
  if (ZCMEM__UNLIKELY(mine == NULL) || ZCMEM__UNLIKELY(!zcmem__magazines_enter(mine, region))) {
    return NULL;
  }
  if (ZCMEM__LIKELY(mine->alone)) {
    return mine;
  }
  zcmem__magazines_leave(mine);
  return NULL;
}

/* NULL: this is not the way. */
ZCMEM__HOT struct zcmem__block *zcmem__use_begin_alone(const struct zcmem__region *region, hal_addr_t addr,
                                                       hal_size_t size) {
  uint64_t offset = addr - region->first;
  struct zcmem__magazines *mine = zcmem__use_enter_alone(region);
  if (ZCMEM__UNLIKELY(mine == NULL)) {
    return NULL;
  }
  struct zcmem__block *block = NULL;
  if (ZCMEM__LIKELY(offset < region->grantable)) {
    block = zcmem__use_block(region, offset, true);
    uint32_t use = ZCMEM__GET(block->use);
    hal_size_t rest = zcmem__heap_rest(block, region->quick.quantum_shift, ZCMEM__GET(block->slack), offset);
    if (zcmem__use_may(use, rest, size)) {
      ZCMEM__PUT(block->use, use + ZCMEM__TRANSFER);
    } else {
      block = NULL;
    }
  }
  zcmem__magazines_leave(mine);
  return block;
}

/* False: this is not the way. */
ZCMEM__HOT bool zcmem__use_end_alone(const struct zcmem__region *region, struct zcmem__block *block) {
  struct zcmem__magazines *mine = zcmem__use_enter_alone(region);
  if (ZCMEM__UNLIKELY(mine == NULL)) {
    return false;
  }
  uint32_t now = ZCMEM__GET(block->use);
  bool ends = ZCMEM__LIKELY(now != (ZCMEM__ZOMBIE | ZCMEM__TRANSFER));
  if (ends) {
    ZCMEM__PUT(block->use, now - ZCMEM__TRANSFER);
  }
  zcmem__magazines_leave(mine);
  return ends;
}
#endif

#endif

/* zcmem__use_begin where it stands; for who has to be quick. */
ZCMEM__HOT enum zcmem_status zcmem__use_begin_here(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                                   struct zcmem__use *use) {
  struct zcmem__use made = {.region = region, .addr = addr};
  enum zcmem_status status = ZCMEM_OK;
#ifdef ZCMEM__DIRECT
  if (ZCMEM__LIKELY(region->shared == NULL)) {
    if (ZCMEM__LIKELY(zcmem__atomic_acquire(&region->direct) != 0)) {
      status = zcmem__use_try(region, addr, size, NULL, true, &made.block);
#ifdef ZCMEM__MAGAZINES
    } else {
      made.block = zcmem__use_begin_alone(region, addr, size);
#endif
    }
  }
#endif
  *use = made;
  if (ZCMEM__UNLIKELY(made.block == NULL) && ZCMEM__LIKELY(status == ZCMEM_OK)) {
    struct zcmem__use other;
    status = zcmem__use_begin_thorough(region, addr, size, NULL, &other);
    *use = other;
  }
  return status;
}

/* And zcmem__use_end. */
ZCMEM__HOT enum zcmem_status zcmem__use_end_here(const struct zcmem__use *use, enum zcmem__moved counter,
                                                 uint64_t amount) {
#ifdef ZCMEM__DIRECT
  struct zcmem__region *region = use->region;
  if (ZCMEM__LIKELY(use->block != NULL)) {
    bool ended = false;
    if (ZCMEM__LIKELY(zcmem__atomic_acquire(&region->direct) != 0)) {
      ended = zcmem__use_swap_back(use->block);
#ifdef ZCMEM__MAGAZINES
    } else {
      ended = zcmem__use_end_alone(region, use->block);
#endif
    }
    if (ZCMEM__LIKELY(ended)) {
      zcmem__moved_add(&region->moved, zcmem__region_self(), counter, amount);
      return ZCMEM_OK;
    }
  }
#endif
  const struct zcmem__use other = *use;
  return zcmem__use_end_thorough(&other, counter, amount);
}

#endif
