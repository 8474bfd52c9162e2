/* SPDX-License-Identifier: MIT */
/*
 * What can be asked about a region's state: figures that belong together, and whether all invariants hold.
 */
#include "stats.h"
#include "hal_impl.h"
#include "keep.h"
#include <string.h>

uint64_t zcmem__fragmentation(uint64_t available, uint64_t largest) {
  while (available >> 40 != 0) { /* a fraction keeps its value, and a product its 64 bits */
    available >>= 1;
    largest >>= 1;
  }
  return available == 0 ? 0 : (available - largest) * 1000000u / available;
}

static enum zcmem_status snapshot(struct zcmem__region *region, struct zcmem_region_stats *stats) {
  struct zcmem_heap_info info = {0};
  uint64_t kept = 0;
  uint32_t kept_blocks = 0;
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status == ZCMEM_OK) {
    status = zcmem__keep_settle(region, true);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  *stats = region->stats;
  zcmem__moved_sum(&region->moved, stats);
  status = zcmem_heap_get_info(region->heap, &info);
  stats->largest = zcmem_heap_largest(region->heap);
  if (region->guard != NULL) {
    stats->largest = zcmem__guard_largest(region->guard);
    kept = zcmem__heap_bytes_of(region->heap, (uint32_t)region->guard->quarantine.kept);
    kept_blocks = region->guard->quarantine.blocks;
  }
  zcmem__keep_resume(region);
  zcmem__lock_drop(&region->lock);
  stats->in_use = info.size - info.free;
  stats->requested = info.requested;
  stats->live = info.live;
  stats->available = info.free;
  stats->in_use -= kept;
  stats->requested -= kept; /* what is in quarantine has no slack */
  stats->live -= kept_blocks;
  stats->available += kept;
  stats->free_blocks = info.free_blocks;
  stats->fragmentation = zcmem__fragmentation(stats->available, stats->largest);
  return status;
}

enum zcmem_status zcmem_hal_region_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_region_stats *stats) {
  struct zcmem__region *region = hal == NULL ? NULL : zcmem__hal_region(hal, index);
  struct zcmem_region_stats now;
  if (region == NULL || stats == NULL || stats->struct_bytes == 0 || stats->struct_bytes > sizeof now) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = snapshot(region, &now);
  if (status != ZCMEM_OK) {
    return status;
  }
  now.struct_bytes = stats->struct_bytes;
  memcpy(stats, &now, stats->struct_bytes);
  return ZCMEM_OK;
}

static enum zcmem_status check_region(struct zcmem__region *region) {
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status == ZCMEM_OK) {
    status = zcmem__keep_settle(region, false);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem_heap_check(region->heap);
  if (status == ZCMEM_OK && region->guard != NULL) {
    struct zcmem_damage damage;
    status = zcmem__guard_check(region->guard, false, &damage);
  }
  zcmem__keep_resume(region);
  zcmem__lock_drop(&region->lock);
  return status;
}

static enum zcmem_status check_guards(struct zcmem__region *region, bool mend, struct zcmem_damage *damage) {
  enum zcmem_status status = region->guard == NULL ? ZCMEM_OK : zcmem__lock_take(&region->lock);
  if (status == ZCMEM_OK && region->guard != NULL) {
    status = zcmem__guard_check(region->guard, mend, damage);
    zcmem__lock_drop(&region->lock);
  }
  return status;
}

enum zcmem_status zcmem_hal_check(struct zcmem_hal *hal) {
  enum zcmem_status status = hal == NULL ? ZCMEM_EINVAL : ZCMEM_OK;
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count && status == ZCMEM_OK; i++) {
    status = check_region(&hal->regions[i]);
  }
  return status;
}

enum zcmem_status zcmem_hal_check_guards(struct zcmem_hal *hal, uint32_t region, bool mend,
                                         struct zcmem_damage *damage) {
  struct zcmem__region *of = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  struct zcmem_damage found = {.count = 0};
  if (of == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = check_guards(of, mend, &found);
  if (damage != NULL && status != ZCMEM_ELOCK) {
    *damage = found;
  }
  return status;
}
