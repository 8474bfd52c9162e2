/* SPDX-License-Identifier: MIT */
#include "guarded.h"
#include "mem_impl.h"

enum zcmem_status zcmem__guarded_make_room(struct zcmem__region *region) {
  zcmem__atomic_change(&region->version);
  uint32_t count = zcmem__guard_drain(region->guard, ZCMEM__GUARDED_STEP);
  zcmem__atomic_changed(&region->version);
  if (count == 0) {
    return ZCMEM_ENOSPC;
  }
  zcmem__lock_drop(&region->lock);
  return zcmem__region_take(region);
}

/* Whether a block less in quarantine could help. */
static bool lacks_room(enum zcmem_status status) {
  return status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM;
}

static enum zcmem_status alloc_once(struct zcmem__region *region, hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  zcmem__atomic_change(&region->version);
  enum zcmem_status status = zcmem__guard_alloc(region->guard, size, align, addr);
  zcmem__atomic_changed(&region->version);
  return status;
}

enum zcmem_status zcmem__guarded_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                       hal_addr_t *addr) {
  enum zcmem_status status = zcmem__region_take(region), room = ZCMEM_OK;
  if (status != ZCMEM_OK) {
    return status;
  }
  status = alloc_once(region, size, align, addr);
  while (lacks_room(status) && size <= region->grantable && (room = zcmem__guarded_make_room(region)) == ZCMEM_OK) {
    status = alloc_once(region, size, align, addr);
  }
  if (room == ZCMEM_ELOCK) {
    return ZCMEM_ELOCK;
  }
  if (lacks_room(status) && size > region->grantable) { /* whatever the quarantine keeps */
    status = ZCMEM_ENOSPC;
  }
  zcmem__region_note_alloc(region, status, &region->stats.allocations);
  zcmem__lock_drop(&region->lock);
  if (status == ZCMEM_OK) {
    zcmem__guard_fill(region->guard, *addr, size);
  }
  if (zcmem__record_on(region)) {
    zcmem__record_alloc(region, status, size, align, addr);
  }
  return status;
}

enum zcmem_status zcmem__guarded_end(struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  zcmem__guard_poison(region->guard, addr, size);
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  bool ended = zcmem__guard_end(region->guard, addr, ZCMEM__TRANSFER, true);
  zcmem__atomic_changed(&region->version);
  ZCMEM__ASSERT(ended); /* nobody else can use a zombie that had no use */
  region->stats.frees += ended;
  zcmem__lock_drop(&region->lock);
  return ZCMEM_OK;
}

enum zcmem_status zcmem__guarded_free(struct zcmem__region *region, hal_addr_t addr, const uint32_t *generation,
                                      bool may_defer) {
  struct zcmem__guard_freed freed = {.deferred = false};
  bool poisons = zcmem__guard_poisons(region->guard);
  unsigned how =
      (poisons ? ZCMEM__GUARD_DOOM : ZCMEM__GUARD_FREE) | (may_defer ? ZCMEM__GUARD_DEFER : ZCMEM__GUARD_FREE);
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  const struct zcmem__tally_block block = zcmem__tally_before(&region->tally, region->heap, addr);
  zcmem__atomic_change(&region->version);
  status = zcmem__guard_free(region->guard, addr, generation, how, &freed);
  zcmem__atomic_changed(&region->version);
  zcmem__tally_freed(&region->tally, block, status);
  poisons = poisons && status == ZCMEM_OK && !freed.deferred;
  if (!poisons) {
    zcmem__mem_count_free(region, status, freed.deferred);
  }
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  if (poisons) {
    status = zcmem__guarded_end(region, addr, freed.requested);
  }
  if (status != ZCMEM_ELOCK) {
    enum zcmem_event_kind kind = freed.deferred ? ZCMEM_EVENT_FREE_DEFERRED : ZCMEM_EVENT_FREE;
    zcmem__record_ranged(region, kind, status, addr, 0, sequence);
  }
  return status;
}

static enum zcmem_status resize_once(struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  zcmem__atomic_change(&region->version);
  enum zcmem_status status = zcmem__guard_resize(region->guard, addr, size);
  zcmem__atomic_changed(&region->version);
  return status;
}

enum zcmem_status zcmem__guarded_resize(struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  enum zcmem_status status = resize_once(region, addr, size), room = ZCMEM_OK;
  while (lacks_room(status) && size <= region->grantable && (room = zcmem__guarded_make_room(region)) == ZCMEM_OK) {
    status = resize_once(region, addr, size);
  }
  return room == ZCMEM_ELOCK ? ZCMEM_ELOCK : status;
}
