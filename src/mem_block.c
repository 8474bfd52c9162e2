/* SPDX-License-Identifier: MIT */
/*
 * What else concerns a live block: resizing it in place, pinning it, asking about it.
 */
#include "guarded.h"
#include "heap_ops.h"
#include "mem_impl.h"
#include "probe.h"
#include "seize.h"

/*
 * Finds the region of addr and takes its lock. OK: *region is locked. EINVAL, ENOENT, ELOCK.
 */
static enum zcmem_status lock_region_of(struct zcmem_hal *hal, hal_addr_t addr, struct zcmem__region **region) {
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  *region = zcmem__hal_region_of(hal, addr);
  return *region == NULL ? ZCMEM_ENOENT : zcmem__region_take(*region);
}

/*
 * With the lock held: whether the block would grow from the middle of a cache line on while it is used. A buffer may
 * end there because nothing of the block is behind it in that line, so nothing may come to be there.
 */
static bool grows_in_a_line(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  hal_size_t line = zcmem__region_line(region);
  struct zcmem_block_info block;
  return line > 1 && zcmem_heap_find(region->heap, addr, &block) == ZCMEM_OK && block.addr == addr &&
         block.transfers > 0 && size > block.requested && (addr + block.requested) % line != 0;
}

static enum zcmem_status resize_locked(struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  if (region->guard != NULL && !grows_in_a_line(region, addr, size)) {
    return zcmem__guarded_resize(region, addr, size);
  }
  zcmem__atomic_change(&region->version);
  enum zcmem_status status =
      grows_in_a_line(region, addr, size) ? ZCMEM_EBUSY : zcmem_heap_resize(region->heap, addr, size);
  zcmem__atomic_changed(&region->version);
  return status;
}

/* The first block behind the one at addr that is not free. */
static uint32_t occupied_behind(struct zcmem_heap *heap, hal_addr_t addr) {
  uint32_t id = zcmem__heap_find(heap, addr);
  do {
    id = zcmem__link_id(zcmem__block(heap, id)->next);
  } while (ZCMEM__GET(zcmem__block(heap, id)->use) == ZCMEM__FREE); /* once: two free blocks are never neighbours */
  return id;
}

/* As alloc_seized (mem.c), for a block that found no room to grow: first only what is behind it. */
static enum zcmem_status resize_seized(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                       enum zcmem_status status) {
  bool seized = true;
  while ((status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) && seized) {
    zcmem__atomic_change(&region->version);
    seized = zcmem__seize_block(region->heap, occupied_behind(region->heap, addr));
    zcmem__atomic_changed(&region->version);
    if (seized) {
      status = resize_locked(region, addr, size);
    }
  }
  /* What is kept elsewhere counts as free, too: is it too little, or only not behind the block? */
  if (status == ZCMEM_ENOSPC && size <= region->grantable) {
    zcmem__atomic_change(&region->version);
    seized = zcmem__seize_all(region->shared) > 0;
    zcmem__atomic_changed(&region->version);
    status = seized ? resize_locked(region, addr, size) : status;
  }
  return status;
}

#ifdef ZCMEM__MAGAZINES
/* With the lock held: whether the block would have more room behind it, but for one that is kept in a magazine. */
static bool kept_behind(struct zcmem__region *region, hal_addr_t addr) {
  struct zcmem_heap *heap = region->heap;
  return ZCMEM__GET(zcmem__block(heap, occupied_behind(heap, addr))->use) == ZCMEM__CACHED;
}
/* As alloc_drained (mem.c), for a block that found no room to grow: as long as what is behind it is kept in a magazine.
 */
static enum zcmem_status resize_drained(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                        enum zcmem_status status) {
  zcmem__magazines_revoke(region);
  while ((status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) && kept_behind(region, addr) &&
         zcmem__mem_drain(region) > 0) {
    if (zcmem__mem_yield(region) != ZCMEM_OK) {
      return ZCMEM_ELOCK;
    }
    status = resize_locked(region, addr, size);
  }
  zcmem__magazines_restore(region);
  return status;
}

/* With the lock held: a status for which what is kept counts as free, too. Only where that may matter all is counted.
 */
static enum zcmem_status see_kept(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                  enum zcmem_status status) {
  const struct zcmem_heap *heap = region->heap;
  uint64_t has = zcmem__block_const(heap, zcmem__heap_find(heap, addr))->size;
  uint64_t more = (size >> heap->at.quantum_shift) + ((size & (region->quantum - 1u)) != 0) - has;
  uint64_t kept = (uint64_t)region->depot->granted + region->depot->held, blocks;
  if (status != ZCMEM_ENOSPC || size > region->grantable || more > heap->free_quanta + kept) {
    return status;
  }
  zcmem__magazines_revoke(region);
  zcmem__magazines_count(region, &blocks, &kept);
  zcmem__magazines_restore(region);
  return more > heap->free_quanta + kept ? ZCMEM_ENOSPC : ZCMEM_EFRAG;
}
#endif

/* With the lock held: what a resize did to the tag's figures. */
static ZCMEM__NOINLINE void tally_resize(struct zcmem__region *region, hal_addr_t addr,
                                         struct zcmem__tally_block before, enum zcmem_status status) {
  if (status == ZCMEM_OK) {
    zcmem__tally_leave(&region->tally, before.tag, before.size);
    zcmem__tally_enter(&region->tally, before.tag, zcmem__tally_look(region->heap, addr).size, false);
  } else {
    zcmem__tally_refuse(&region->tally, before.tag, status);
  }
}

enum zcmem_status zcmem_mem_resize(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = lock_region_of(hal, addr, &region);
  if (status != ZCMEM_OK) {
    return status;
  }
  const struct zcmem__tally_block before = zcmem__tally_before(&region->tally, region->heap, addr);
  status = resize_locked(region, addr, size);
  if (status == ZCMEM_ELOCK) {
    return status;
  }
  if ((status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) && region->shared != NULL) {
    status = resize_seized(region, addr, size, status);
  }
#ifdef ZCMEM__MAGAZINES
  if ((status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) && region->depot != NULL && region->shared == NULL) {
    if (kept_behind(region, addr)) {
      status = resize_drained(region, addr, size, status);
    }
    if (status == ZCMEM_ELOCK) {
      return status;
    }
    status = see_kept(region, addr, size, status);
  }
#endif
  zcmem__region_note_alloc(region, status, &region->stats.resizes);
  if (ZCMEM__UNLIKELY(before.tag != 0)) {
    tally_resize(region, addr, before, status);
  }
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_RESIZE, status, addr, size, sequence);
  ZCMEM__PROBE_RESIZE(addr, size, status);
  return status;
}

enum zcmem_status zcmem_mem_info(struct zcmem_hal *hal, hal_addr_t addr, struct zcmem_block_info *info) {
  if (hal == NULL || info == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  return region == NULL ? ZCMEM_ENOENT : zcmem__region_look(region, addr, info);
}

enum zcmem_status zcmem_mem_pin(struct zcmem_hal *hal, hal_addr_t addr) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = lock_region_of(hal, addr, &region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_pin(region, addr);
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_PIN, status, addr, 0, sequence);
  return status;
}

enum zcmem_status zcmem_mem_unpin(struct zcmem_hal *hal, hal_addr_t addr) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = lock_region_of(hal, addr, &region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_unpin_locked(region, addr);
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_UNPIN, status, addr, 0, sequence);
  return status;
}
