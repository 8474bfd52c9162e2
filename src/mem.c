/* SPDX-License-Identifier: MIT */
/*
 * Allocation and free: in what order magazines, the heap, and what others keep are asked.
 */
#include "guarded.h"
#include "heap_ops.h"
#include "mem_impl.h"
#include "probe.h"
#include "seize.h"
#include "shared.h"

/* ------------------------------------------------------------------------------------------- with the lock -- */

#ifdef ZCMEM__MAGAZINES
/* The thread's magazines, unless the call that a signal interrupted is in them. */
ZCMEM__INLINE struct zcmem__magazines *own_magazines(struct zcmem_hal *hal, struct zcmem__region *region) {
  struct zcmem__magazines *mine =
      ZCMEM__LIKELY(region->shared == NULL) ? zcmem__thread_find(region) : zcmem__thread_find_shared(region);
  if (mine == NULL && region->depot != NULL) {
    mine = zcmem__thread_attach(hal, region);
  }
  return mine != NULL && zcmem__atomic_acquire(&mine->state) != ZCMEM__BARRIER_BUSY ? mine : NULL;
}

/*
 * With the lock held, for a request that found no room: takes blocks out of all magazines, step by step, until there is
 * room or they are empty. Others get at the lock between the steps, and none of them puts anything into a magazine.
 */
static enum zcmem_status alloc_drained(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                       hal_addr_t *addr, enum zcmem_status status) {
  zcmem__magazines_revoke(region);
  while (status != ZCMEM_OK && zcmem__mem_drain(region) > 0) {
    zcmem__atomic_change(&region->version);
    status = zcmem_heap_alloc(region->heap, size, align, addr);
    zcmem__atomic_changed(&region->version);
    if (status != ZCMEM_OK && zcmem__mem_yield(region) != ZCMEM_OK) {
      return ZCMEM_ELOCK;
    }
  }
  zcmem__magazines_restore(region);
  return status;
}

#endif

/*
 * Of a request that found no room in a region that processes share: takes what is in the magazines of all of them, of
 * those that have died, too, in one hold of the lock.
 */
static enum zcmem_status alloc_seized(struct zcmem__region *region, hal_size_t size, hal_size_t align, hal_addr_t *addr,
                                      enum zcmem_status status) {
  zcmem__atomic_change(&region->version);
  if (zcmem__seize_all(region->shared) > 0) {
    status = zcmem_heap_alloc(region->heap, size, align, addr);
  }
  zcmem__atomic_changed(&region->version);
  return status;
}

/* Ends an allocation that holds the lock: a request that found no room is tried again without magazines. */
ZCMEM__INLINE enum zcmem_status end_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                          hal_addr_t *addr, enum zcmem_status status) {
  zcmem__atomic_changed(&region->version);
  /* What is larger than the region would have no room in it empty. */
  if (ZCMEM__UNLIKELY(status != ZCMEM_OK && status != ZCMEM_EINVAL && region->shared != NULL)) {
    status = size <= region->grantable ? alloc_seized(region, size, align, addr, status) : ZCMEM_ENOSPC;
  }
#ifdef ZCMEM__MAGAZINES
  if (ZCMEM__UNLIKELY(status != ZCMEM_OK && status != ZCMEM_EINVAL && region->depot != NULL &&
                      region->shared == NULL)) {
    /* The heap may have said ENOMEM, since it counts blocks that magazines keep. */
    status = size <= region->grantable ? alloc_drained(region, size, align, addr, status) : ZCMEM_ENOSPC;
    if (status == ZCMEM_ELOCK) {
      return status;
    }
  }
#endif
  zcmem__region_note_alloc(region, status, &region->stats.allocations);
  if (ZCMEM__UNLIKELY(zcmem__record_on(region))) {
    return zcmem__record_alloc_and_drop(region, status, size, align, addr);
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

/* From the heap. */
static ZCMEM__NOINLINE enum zcmem_status alloc_plain(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                                     hal_addr_t *addr) {
  if (ZCMEM__UNLIKELY(region->guard != NULL)) {
    return zcmem__guarded_alloc(region, size, align, addr);
  }
  enum zcmem_status status = zcmem__region_take(region);
  if (ZCMEM__UNLIKELY(status != ZCMEM_OK)) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  status = zcmem_heap_alloc(region->heap, size, align, addr);
  return end_alloc(region, size, align, addr, status);
}

/* Ends a free that holds the lock, of what was this block before. */
ZCMEM__INLINE enum zcmem_status end_counted(struct zcmem__region *region, hal_addr_t addr, bool may_defer,
                                            enum zcmem_status status, struct zcmem__tally_block block) {
  bool deferred = false;
  if (ZCMEM__UNLIKELY(status == ZCMEM_EBUSY && may_defer)) {
    status = zcmem_heap_free_deferred(region->heap, addr, &deferred);
  }
  zcmem__atomic_changed(&region->version);
  zcmem__tally_freed(&region->tally, block, status);
  zcmem__mem_count_free(region, status, deferred);
  if (ZCMEM__UNLIKELY(zcmem__record_on(region))) {
    return zcmem__record_free_and_drop(region, status, addr, deferred);
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

/* The same of one that is not counted by its tag. */
static ZCMEM__NOINLINE enum zcmem_status end_free(struct zcmem__region *region, hal_addr_t addr, bool may_defer,
                                                  enum zcmem_status status) {
  return end_counted(region, addr, may_defer, status, (struct zcmem__tally_block){0, 0});
}

/* With the lock held: a free in a region that counts by tag. */
static ZCMEM__NOINLINE enum zcmem_status free_counted(struct zcmem__region *region, hal_addr_t addr, bool may_defer,
                                                      struct zcmem__magazines *mine) {
  const struct zcmem__tally_block block = zcmem__tally_look(region->heap, addr);
  zcmem__atomic_change(&region->version);
#ifdef ZCMEM__MAGAZINES
  enum zcmem_status status =
      mine != NULL ? zcmem__magazines_spill(region, mine, addr) : zcmem__heap_free_own(region->heap, addr);
#else
  enum zcmem_status status = zcmem__heap_free_own(region->heap, addr);
  (void)mine;
#endif
  return end_counted(region, addr, may_defer, status, block);
}

/* Into the heap. */
static ZCMEM__NOINLINE enum zcmem_status free_plain(struct zcmem__region *region, hal_addr_t addr, bool may_defer) {
  if (ZCMEM__UNLIKELY(region->guard != NULL)) {
    return zcmem__guarded_free(region, addr, NULL, may_defer);
  }
  enum zcmem_status status = zcmem__region_take(region);
  if (ZCMEM__UNLIKELY(status != ZCMEM_OK)) {
    return status;
  }
  if (ZCMEM__UNLIKELY(region->tally.entries != NULL)) {
    return free_counted(region, addr, may_defer, NULL);
  }
  zcmem__atomic_change(&region->version);
  return end_free(region, addr, may_defer, zcmem__heap_free_own(region->heap, addr));
}

#ifdef ZCMEM__MAGAZINES
/* --------------------------------------------------------------------------------------- through magazines -- */

/* With the lock, of a thread that has no block in its magazines, or has no magazines. */
ZCMEM__INLINE enum zcmem_status alloc_missed(struct zcmem__region *region, struct zcmem__magazines *mine,
                                             hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  uint32_t need;
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  zcmem__magazines_begin(region, mine);
  if (mine != NULL && mine->resting > 0) {
    zcmem__magazines_rest(region, mine);
    mine = NULL;
  }
  if (mine != NULL && addr != NULL && zcmem__magazines_keep(mine, size, align, &need)) {
    status = zcmem__magazines_refill(region, mine, need, size, addr);
  } else {
    if (mine != NULL) {
      zcmem__magazines_try(mine);
    }
    status = zcmem_heap_alloc(region->heap, size, align, addr);
  }
  return end_alloc(region, size, align, addr, status);
}

/* What the fast path did not do. */
static ZCMEM__NOINLINE enum zcmem_status alloc_slow(struct zcmem_hal *hal, struct zcmem__region *region,
                                                    struct zcmem__magazines *mine, hal_size_t size, hal_size_t align,
                                                    hal_addr_t *addr) {
  uint32_t need;
  if (mine != NULL && addr != NULL && zcmem__magazines_keep(mine, size, align, &need) &&
      zcmem__magazines_enter(mine, region)) {
    bool done = zcmem__magazines_pop_larger(mine, need, size, addr);
    zcmem__magazines_leave(mine);
    if (done) {
      return ZCMEM_OK;
    }
  }
  return alloc_missed(region, own_magazines(hal, region), size, align, addr);
}

ZCMEM__INLINE enum zcmem_status free_missed(struct zcmem__region *region, struct zcmem__magazines *mine,
                                            hal_addr_t addr, bool may_defer) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  zcmem__magazines_begin(region, mine);
  if (mine != NULL && mine->resting > 0) {
    zcmem__magazines_rest(region, mine);
    mine = NULL;
  }
  if (ZCMEM__UNLIKELY(region->tally.entries != NULL)) {
    zcmem__atomic_changed(&region->version);
    return free_counted(region, addr, may_defer, mine);
  }
  status = mine == NULL ? zcmem__heap_free_own(region->heap, addr) : zcmem__magazines_spill(region, mine, addr);
  return end_free(region, addr, may_defer, status);
}

static ZCMEM__NOINLINE enum zcmem_status free_slow(struct zcmem_hal *hal, struct zcmem__region *region, hal_addr_t addr,
                                                   bool may_defer) {
  return free_missed(region, own_magazines(hal, region), addr, may_defer);
}

/* Where processes share the region: the fast path of others has not found magazines, and is not longer for these. */
static ZCMEM__NOINLINE enum zcmem_status alloc_shared(struct zcmem_hal *hal, struct zcmem__region *region,
                                                      hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  return ZCMEM__LIKELY(zcmem__shared_alloc(region, size, align, addr))
             ? ZCMEM_OK
             : alloc_slow(hal, region, NULL, size, align, addr);
}

static ZCMEM__NOINLINE enum zcmem_status free_shared(struct zcmem_hal *hal, struct zcmem__region *region,
                                                     hal_addr_t addr, bool may_defer) {
  return ZCMEM__LIKELY(zcmem__shared_free(region, addr)) ? ZCMEM_OK : free_slow(hal, region, addr, may_defer);
}

/* Ends the rest of magazines into which a block is freed while others are short of blocks. */
ZCMEM__INLINE void wake(const struct zcmem__region *region, struct zcmem__magazines *mine) {
  if (mine != NULL && mine->emptied && ZCMEM__GET(region->depot->wanted) != 0) {
    mine->resting = 1;
  }
}

/* Whether the call goes to the heap at once, since the magazines rest and are empty; counts it. */
ZCMEM__INLINE bool rests(struct zcmem__magazines *mine) {
  if (mine == NULL || !mine->emptied) {
    return false;
  }
  zcmem__magazines_count_rest(mine);
  return true;
}
#endif

#ifdef ZCMEM__MAGAZINES
enum zcmem_status zcmem__mem_alloc_past(struct zcmem__region *region, struct zcmem__magazines *mine, hal_size_t size,
                                        hal_size_t align, hal_addr_t *addr) {
  return region->depot == NULL || rests(mine) ? alloc_plain(region, size, align, addr)
                                              : alloc_missed(region, mine, size, align, addr);
}

enum zcmem_status zcmem__mem_free_past(struct zcmem__region *region, struct zcmem__magazines *mine, hal_addr_t addr) {
  wake(region, mine);
  return region->depot == NULL || rests(mine) ? free_plain(region, addr, false)
                                              : free_missed(region, mine, addr, false);
}
#endif

/* From the thread's magazines, where the alignment asks for no more than every block has. */
ZCMEM__INLINE enum zcmem_status alloc_in(struct zcmem_hal *hal, struct zcmem__region *region, hal_size_t size,
                                         hal_size_t align, hal_addr_t *addr) {
#ifdef ZCMEM__MAGAZINES
  struct zcmem__magazines *mine = zcmem__thread_find(region);
  uint32_t need;
  if (ZCMEM__LIKELY(mine != NULL && zcmem__magazines_enter(mine, region))) {
    bool done =
        addr != NULL && zcmem__magazines_keep(mine, size, align, &need) && zcmem__magazines_pop(mine, need, size, addr);
    zcmem__magazines_leave(mine);
    if (ZCMEM__LIKELY(done)) {
      return ZCMEM_OK;
    }
  }
  if (region->depot != NULL && region->shared != NULL) {
    return alloc_shared(hal, region, size, align, addr);
  }
  if (region->depot != NULL && !rests(mine)) {
    return alloc_slow(hal, region, mine, size, align, addr);
  }
#else
  (void)hal;
#endif
  return alloc_plain(region, size, align, addr);
}

static enum zcmem_status free_in(struct zcmem_hal *hal, hal_addr_t addr, bool may_defer) {
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (ZCMEM__UNLIKELY(addr == HAL_NULLPTR || region == NULL)) {
    return addr == HAL_NULLPTR ? ZCMEM_OK : ZCMEM_ENOENT;
  }
#ifdef ZCMEM__MAGAZINES
  struct zcmem__magazines *mine = zcmem__thread_find(region);
  if (ZCMEM__LIKELY(mine != NULL && zcmem__magazines_enter(mine, region))) {
    bool done = zcmem__magazines_free(mine, addr);
    zcmem__magazines_leave(mine);
    if (ZCMEM__LIKELY(done)) {
      return ZCMEM_OK;
    }
  }
  if (region->depot != NULL) {
    if (region->shared != NULL) {
      return free_shared(hal, region, addr, may_defer);
    }
    wake(region, mine);
    if (!rests(mine)) {
      return free_slow(hal, region, addr, may_defer);
    }
  }
#endif
  return free_plain(region, addr, may_defer);
}

/* --------------------------------------------------------------------------------------------- the calls -- */

enum zcmem_status zcmem_mem_alloc(struct zcmem_hal *hal, uint32_t region, hal_size_t size, hal_size_t align,
                                  hal_addr_t *addr) {
  struct zcmem__region *in = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  enum zcmem_status status = in == NULL ? ZCMEM_EINVAL : alloc_in(hal, in, size, align, addr);
  ZCMEM__PROBE_ALLOC(in, size, align, status, addr);
  return status;
}

enum zcmem_status zcmem_mem_alloc_preferred(struct zcmem_hal *hal, const uint32_t *regions, uint32_t count,
                                            hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  enum zcmem_status status = ZCMEM_EINVAL;
  if (hal == NULL || regions == NULL) {
    return ZCMEM_EINVAL;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (zcmem__hal_region(hal, regions[i]) == NULL) {
      return ZCMEM_EINVAL;
    }
  }
  for (uint32_t i = 0; i < count; i++) {
    status = alloc_in(hal, &hal->regions[regions[i]], size, align, addr);
    ZCMEM__PROBE_ALLOC(&hal->regions[regions[i]], size, align, status, addr);
    if (status == ZCMEM_OK) {
      break;
    }
  }
  return status;
}

enum zcmem_status zcmem_mem_alloc_kind(struct zcmem_hal *hal, uint32_t kind, hal_size_t size, hal_size_t align,
                                       hal_addr_t *addr) {
  enum zcmem_status status = ZCMEM_EINVAL;
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count; i++) {
    if (hal->regions[i].kind != kind) {
      continue;
    }
    status = alloc_in(hal, &hal->regions[i], size, align, addr);
    ZCMEM__PROBE_ALLOC(&hal->regions[i], size, align, status, addr);
    if (status == ZCMEM_OK) {
      break;
    }
  }
  return status;
}

enum zcmem_status zcmem_mem_free(struct zcmem_hal *hal, hal_addr_t addr) {
  enum zcmem_status status = free_in(hal, addr, false);
  ZCMEM__PROBE_FREE(addr, status);
  return status;
}

enum zcmem_status zcmem_mem_free_deferred(struct zcmem_hal *hal, hal_addr_t addr) {
  enum zcmem_status status = free_in(hal, addr, true);
  ZCMEM__PROBE_FREE(addr, status);
  return status;
}
