/* SPDX-License-Identifier: MIT */
/*
 * Many blocks in one hold of the lock.
 *
 * An allocation needs an order, largest first, and no memory for it: the caller's array of addresses is all there is.
 * First it holds the order (numbers of items, sorted by heapsort); when block k of that order is made, entry k holds
 * the item's number and the block's first quantum, 32 bits each; at the end each entry goes to its item's place, where
 * it is known by that number, and becomes the address.
 */
#include "guarded.h"
#include "heap_ops.h"
#include "mem_impl.h"
#include "seize.h"

/* ------------------------------------------------------------------------------------------------- the order -- */

/* Whether item a is to have its block before item b: of equal ones the first. */
static bool comes_before(const struct zcmem_batch_item *items, uint64_t a, uint64_t b) {
  if (items[a].size != items[b].size) {
    return items[a].size > items[b].size;
  }
  return items[a].align != items[b].align ? items[a].align > items[b].align : a < b;
}

/* Below `at` the first `count` entries are a heap, in which nothing stands above what comes after it. */
static void sift_items(const struct zcmem_batch_item *items, uint64_t *order, size_t at, size_t count) {
  uint64_t moved = order[at];
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && comes_before(items, order[child], order[child + 1])) {
      child++;
    }
    if (!comes_before(items, moved, order[child])) {
      break;
    }
    order[at] = order[child];
  }
  order[at] = moved;
}

static void swap(uint64_t *a, uint64_t *b) {
  uint64_t was = *a;
  *a = *b;
  *b = was;
}

static void sort_items(const struct zcmem_batch_item *items, uint64_t *order, size_t count) {
  for (size_t i = 0; i < count; i++) {
    order[i] = i;
  }
  for (size_t i = count / 2; i-- > 0;) {
    sift_items(items, order, i, count);
  }
  for (size_t i = count; i-- > 1;) {
    swap(&order[0], &order[i]);
    sift_items(items, order, 0, i);
  }
}

/* ------------------------------------------------------------------------------------------------ allocation -- */

static uint64_t pack(const struct zcmem_heap *heap, uint64_t item, hal_addr_t addr) {
  return (addr - heap->at.base) >> heap->at.quantum_shift << 32 | item;
}

static uint64_t item_of(uint64_t entry) {
  return entry & UINT32_MAX;
}

static hal_addr_t addr_of(const struct zcmem_heap *heap, uint64_t entry) {
  return zcmem__heap_addr(heap, (uint32_t)(entry >> 32));
}

/* Frees the first `count` blocks, the last one first; the order is as it was. */
static void undo(struct zcmem__region *region, uint64_t *order, size_t count) {
  while (count-- > 0) {
    zcmem__atomic_change(&region->version);
    if (region->guard != NULL) {
      zcmem__guard_undo(region->guard, addr_of(region->heap, order[count]));
    } else {
      (void)zcmem_heap_free(region->heap, addr_of(region->heap, order[count]));
    }
    zcmem__atomic_changed(&region->version);
    order[count] = item_of(order[count]);
  }
}

/* With the lock held: all blocks in that order, or none. */
static enum zcmem_status take_all(struct zcmem__region *region, const struct zcmem_batch_item *items, uint64_t *order,
                                  size_t count) {
  enum zcmem_status status = ZCMEM_OK;
  for (size_t i = 0; i < count && status == ZCMEM_OK; i++) {
    const struct zcmem_batch_item *item = &items[order[i]];
    hal_addr_t addr = HAL_NULLPTR;
    zcmem__atomic_change(&region->version);
    status = region->guard != NULL ? zcmem__guard_alloc(region->guard, item->size, item->align, &addr)
                                   : zcmem_heap_alloc(region->heap, item->size, item->align, &addr);
    zcmem__atomic_changed(&region->version);
    if (status == ZCMEM_OK) {
      order[i] = pack(region->heap, order[i], addr);
    } else {
      undo(region, order, i);
    }
  }
  return status;
}

/* The same, when there was no room, without magazines: all that they keep is given back before. ELOCK: not locked. */
static enum zcmem_status take_all_drained(struct zcmem__region *region, const struct zcmem_batch_item *items,
                                          uint64_t *order, size_t count, enum zcmem_status status) {
  if (region->guard != NULL) {
    enum zcmem_status room = ZCMEM_OK;
    while (room == ZCMEM_OK) {
      room = zcmem__guarded_make_room(region);
    }
    return room == ZCMEM_ELOCK ? ZCMEM_ELOCK : take_all(region, items, order, count);
  }
  if (region->shared != NULL) {
    zcmem__atomic_change(&region->version);
    const bool seized = zcmem__seize_all(region->shared) > 0;
    zcmem__atomic_changed(&region->version);
    return seized ? take_all(region, items, order, count) : status;
  }
#ifdef ZCMEM__MAGAZINES
  if (region->depot == NULL) {
    return status;
  }
  zcmem__magazines_revoke(region);
  while (zcmem__mem_drain(region) > 0) {
    if (zcmem__mem_yield(region) != ZCMEM_OK) {
      return ZCMEM_ELOCK;
    }
  }
  status = take_all(region, items, order, count);
  zcmem__magazines_restore(region);
#endif
  return status;
}

static enum zcmem_status take_all_locked(struct zcmem__region *region, const struct zcmem_batch_item *items,
                                         uint64_t *order, size_t count) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = take_all(region, items, order, count);
  if (status != ZCMEM_OK) {
    status = take_all_drained(region, items, order, count, status);
  }
  if (status == ZCMEM_ELOCK) {
    return status;
  }
  zcmem__region_note_alloc(region, status, &region->stats.allocations);
  region->stats.allocations += status == ZCMEM_OK ? count - 1 : 0;
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem_mem_alloc_batch(struct zcmem_hal *hal, uint32_t region, const struct zcmem_batch_item *items,
                                        uint32_t count, hal_addr_t *addrs) {
  struct zcmem__region *in = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  if (in == NULL || (count > 0 && (items == NULL || addrs == NULL))) {
    return ZCMEM_EINVAL;
  }
  for (uint32_t i = 0; i < count; i++) {
    if (!zcmem__bits_power_of_two(items[i].align)) {
      return ZCMEM_EINVAL;
    }
  }
  if (count == 0) {
    return ZCMEM_OK;
  }
  sort_items(items, addrs, count);
  enum zcmem_status status = take_all_locked(in, items, addrs, count);
  for (size_t i = 0; i < count; i++) {
    if (status != ZCMEM_OK) {
      addrs[i] = HAL_NULLPTR;
      continue;
    }
    while (item_of(addrs[i]) != i) { /* each swap brings one entry home */
      swap(&addrs[i], &addrs[item_of(addrs[i])]);
    }
  }
  for (size_t i = 0; i < count && status == ZCMEM_OK; i++) {
    addrs[i] = addr_of(in->heap, addrs[i]);
    if (in->guard != NULL) {
      zcmem__guard_fill(in->guard, addrs[i], items[i].size);
    }
  }
  for (size_t i = 0; i < count && status != ZCMEM_ELOCK && zcmem__record_on(in); i++) {
    zcmem__record_alloc(in, status, items[i].size, items[i].align, &addrs[i]);
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------------ free -- */

/* What has become of a batch so far. */
struct tally {
  enum zcmem_status first; /* that was not OK */
  uint32_t freed;
};

static void note_answer(struct tally *tally, enum zcmem_status status) {
  tally->first = tally->first == ZCMEM_OK ? status : tally->first;
}

/* Frees addresses of one region, one after the other, up to the first that is not in it. How many it has looked at. */
static uint32_t free_run(struct zcmem__region *region, const hal_addr_t *addrs, uint32_t count, struct tally *tally) {
  enum zcmem_status locked = zcmem__region_take(region);
  uint32_t done = 0;
  for (; done < count && (addrs[done] == HAL_NULLPTR || zcmem__region_holds(region, addrs[done])); done++) {
    if (addrs[done] == HAL_NULLPTR || locked != ZCMEM_OK) {
      continue;
    }
    const struct zcmem__tally_block block = zcmem__tally_before(&region->tally, region->heap, addrs[done]);
    zcmem__atomic_change(&region->version);
    enum zcmem_status status = zcmem_heap_free(region->heap, addrs[done]);
    zcmem__atomic_changed(&region->version);
    zcmem__tally_freed(&region->tally, block, status);
    zcmem__mem_count_free(region, status, false);
    tally->freed += status == ZCMEM_OK;
    note_answer(tally, status);
  }
  note_answer(tally, locked);
  if (locked == ZCMEM_OK) {
    zcmem__lock_drop(&region->lock);
  }
  return done;
}

enum zcmem_status zcmem_mem_free_batch(struct zcmem_hal *hal, const hal_addr_t *addrs, uint32_t count,
                                       uint32_t *freed) {
  struct tally tally = {.first = ZCMEM_OK};
  if (hal == NULL || (addrs == NULL && count > 0)) {
    return ZCMEM_EINVAL;
  }
  for (uint32_t i = 0; i < count;) {
    struct zcmem__region *region = zcmem__hal_region_of(hal, addrs[i]);
    if (addrs[i] == HAL_NULLPTR) {
      i++;
    } else if (region == NULL) {
      note_answer(&tally, ZCMEM_ENOENT);
      i++;
    } else if (ZCMEM__UNLIKELY(zcmem__record_on(region))) { /* one by one: each has its place in the sequence */
      enum zcmem_status status = zcmem_mem_free(hal, addrs[i++]);
      tally.freed += status == ZCMEM_OK;
      note_answer(&tally, status);
    } else if (region->guard != NULL) {
      enum zcmem_status status = zcmem__guarded_free(region, addrs[i++], NULL, false);
      note_answer(&tally, status);
      tally.freed += status == ZCMEM_OK;
    } else {
      i += free_run(region, addrs + i, count - i, &tally);
    }
  }
  if (freed != NULL) {
    *freed = tally.freed;
  }
  return tally.first;
}
