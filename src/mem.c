/* SPDX-License-Identifier: MIT */
/*
 * Allocation and what else concerns whole blocks.
 */
#include "hal_impl.h"

static enum zcmem_status alloc_in(struct zcmem__region *region, hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  status = zcmem_heap_alloc(region->heap, size, align, addr);
  zcmem__atomic_changed(&region->version);
  zcmem__region_note_alloc(region, status, &region->stats.allocations);
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem_mem_alloc(struct zcmem_hal *hal, uint32_t region, hal_size_t size, hal_size_t align,
                                  hal_addr_t *addr) {
  struct zcmem__region *in = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  return in == NULL ? ZCMEM_EINVAL : alloc_in(in, size, align, addr);
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
    status = alloc_in(&hal->regions[regions[i]], size, align, addr);
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
    status = alloc_in(&hal->regions[i], size, align, addr);
    if (status == ZCMEM_OK) {
      break;
    }
  }
  return status;
}

static enum zcmem_status free_in(struct zcmem_hal *hal, hal_addr_t addr, bool may_defer) {
  bool deferred = false;
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  if (addr == HAL_NULLPTR) {
    return ZCMEM_OK;
  }
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (region == NULL) {
    return ZCMEM_ENOENT;
  }
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  status = may_defer ? zcmem_heap_free_deferred(region->heap, addr, &deferred) : zcmem_heap_free(region->heap, addr);
  zcmem__atomic_changed(&region->version);
  if (status != ZCMEM_OK) {
    region->stats.bad_frees++;
  } else if (deferred) {
    region->stats.deferred_frees++;
  } else {
    region->stats.frees++;
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem_mem_free(struct zcmem_hal *hal, hal_addr_t addr) {
  return free_in(hal, addr, false);
}

enum zcmem_status zcmem_mem_free_deferred(struct zcmem_hal *hal, hal_addr_t addr) {
  return free_in(hal, addr, true);
}

/*
 * Finds the region of addr and takes its lock. OK: *region is locked. EINVAL, ENOENT, ELOCK.
 */
static enum zcmem_status lock_region_of(struct zcmem_hal *hal, hal_addr_t addr, struct zcmem__region **region) {
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  *region = zcmem__hal_region_of(hal, addr);
  return *region == NULL ? ZCMEM_ENOENT : zcmem__lock_take(&(*region)->lock);
}

enum zcmem_status zcmem_mem_resize(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = lock_region_of(hal, addr, &region);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  status = zcmem_heap_resize(region->heap, addr, size);
  zcmem__atomic_changed(&region->version);
  zcmem__region_note_alloc(region, status, &region->stats.resizes);
  zcmem__lock_drop(&region->lock);
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
  status = zcmem_heap_pin(region->heap, addr);
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem_mem_unpin(struct zcmem_hal *hal, hal_addr_t addr) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = lock_region_of(hal, addr, &region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_unpin_locked(region, addr);
  zcmem__lock_drop(&region->lock);
  return status;
}
