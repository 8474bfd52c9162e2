/* SPDX-License-Identifier: MIT */
/*
 * The HAL's own state. It lies in the caller's memory in this order: struct zcmem_hal, max_regions regions,
 * max_mappings mappings.
 *
 * Regions are only ever added: a region is complete before `count` is published with release order, and below the
 * count nothing moves, so a look-up takes no lock. Every lock is initialized by zcmem_hal_init, also those of regions
 * that are not there yet, so that adding one cannot fail there.
 */
#ifndef ZCMEM_HAL_IMPL_H
#define ZCMEM_HAL_IMPL_H

#include "atomic.h"
#include "map.h"
#include "record.h"
#include "region.h"

struct zcmem_hal {
  struct zcmem__atomic_u32 count; /* regions that are there */
  uint32_t max_regions;
  struct zcmem__region *regions;
  size_t bounce_bytes;
  struct zcmem__map map;
  struct zcmem__lock adding; /* held while a region, or an alias, is checked against the others and published */
  struct zcmem_lock_ops lock_ops;
  struct zcmem_host_allocator allocator; /* alloc is NULL: none */
  void *owned;                           /* this memory itself, where it came from the allocator, or NULL */
  size_t owned_bytes;
  struct zcmem__recording recording;
  bool recorded;                  /* regions that are added are recorded, too */
  uint32_t flags;                 /* ZCMEM_HAL_* */
  struct zcmem_hal *next;         /* of those that fork.c knows */
  struct zcmem__lock *locks;      /* made with lock_ops, beside the HAL's own; fork.c's lock guards the list */
  struct zcmem_context *contexts; /* open ones; `adding` guards the list */
  char name[ZCMEM_NAME_MAX + 1];
};

/* As zcmem_hal_add_region; shared: NULL, or what processes share of the region, whose heap is in the config's image. */
enum zcmem_status zcmem__hal_add_region(struct zcmem_hal *hal, const struct zcmem_region_config *config,
                                        struct zcmem__shared *shared, uint32_t *index);

/* Region `index`, or NULL. */
static inline struct zcmem__region *zcmem__hal_region(const struct zcmem_hal *hal, uint32_t index) {
  return index < zcmem__atomic_acquire(&hal->count) ? &hal->regions[index] : NULL;
}

/* Region `index`, which is there: regions are never taken away. */
static inline struct zcmem__region *zcmem__hal_region_at(const struct zcmem_hal *hal, uint32_t index) {
  return &hal->regions[index];
}

/* The region whose range holds addr, or NULL. */
static inline struct zcmem__region *zcmem__hal_region_of(const struct zcmem_hal *hal, hal_addr_t addr) {
  uint32_t count = zcmem__atomic_acquire(&hal->count);
  for (uint32_t i = 0; i < count; i++) {
    if (zcmem__region_holds(&hal->regions[i], addr)) {
      return &hal->regions[i];
    }
  }
  return NULL;
}

/* The region whose heap manages addr, *offset into it; or NULL. As a rule it is the first one. */
ZCMEM__HOT struct zcmem__region *zcmem__hal_heap_of(const struct zcmem_hal *hal, hal_addr_t addr, uint64_t *offset) {
  struct zcmem__region *region = hal->regions;
  uint32_t count = zcmem__atomic_acquire(&hal->count);
  if (ZCMEM__UNLIKELY(count == 0)) {
    return NULL;
  }
  *offset = addr - region->first;
  for (uint32_t i = 1; ZCMEM__UNLIKELY(*offset >= region->grantable); i++) {
    if (i == count) {
      return NULL;
    }
    region = &hal->regions[i];
    *offset = addr - region->first;
  }
  return region;
}

/* The region whose heap manages what the host sees at ptr, *offset into it; or one that is not mapped; or NULL. */
ZCMEM__HOT struct zcmem__region *zcmem__hal_heap_of_host(const struct zcmem_hal *hal, const void *ptr,
                                                         uint64_t *offset) {
  struct zcmem__region *region = hal->regions;
  uint32_t count = zcmem__atomic_acquire(&hal->count);
  if (ZCMEM__UNLIKELY(count == 0)) {
    return NULL;
  }
  *offset = (uintptr_t)ptr - (uintptr_t)region->host_first;
  for (uint32_t i = 1; ZCMEM__UNLIKELY(*offset >= region->grantable); i++) {
    if (i == count) {
      return NULL;
    }
    region = &hal->regions[i];
    *offset = (uintptr_t)ptr - (uintptr_t)region->host_first;
  }
  return region;
}

/* The region whose host memory holds ptr, or NULL. */
static inline struct zcmem__region *zcmem__hal_region_of_host(const struct zcmem_hal *hal, const void *ptr) {
  uint32_t count = zcmem__atomic_acquire(&hal->count);
  for (uint32_t i = 0; i < count; i++) {
    if (zcmem__region_holds_host(&hal->regions[i], ptr)) {
      return &hal->regions[i];
    }
  }
  return NULL;
}

#endif
