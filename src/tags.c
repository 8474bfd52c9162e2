/* SPDX-License-Identifier: MIT */
/*
 * Tags of blocks, and the counters by tag. The lock is held while one is set: in a block that is freed meanwhile the
 * word is another thing's.
 */
#include "hal_impl.h"
#include "keep.h"
#include <zcmem/debug.h>

static enum zcmem_status set_locked(struct zcmem__region *region, hal_addr_t addr, uint32_t tag, bool allocated) {
  struct zcmem__tally *tally = &region->tally;
  const struct zcmem__tally_block block = zcmem__tally_before(tally, region->heap, addr);
  zcmem__atomic_change(&region->version); /* or a look-up would believe that the block has become another one */
  enum zcmem_status status = zcmem_heap_set_tag(region->heap, addr, tag);
  zcmem__atomic_changed(&region->version);
  if (tally->entries != NULL && status == ZCMEM_OK) {
    zcmem__tally_leave(tally, block.tag, block.size);
    zcmem__tally_enter(tally, tag, block.size, allocated);
    zcmem__keep_notice(region, addr);
  }
  return status;
}

static enum zcmem_status set_tag(struct zcmem_hal *hal, hal_addr_t addr, uint32_t tag, bool allocated) {
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (region == NULL) {
    return ZCMEM_ENOENT;
  }
  if ((region->flags & ZCMEM_REGION_HANDLES) != 0) {
    return ZCMEM_EINVAL; /* where the word is the handle's */
  }
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = set_locked(region, addr, tag, allocated);
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  if (ZCMEM__UNLIKELY(zcmem__record_on(region))) {
    const struct zcmem_event event = {
        .kind = ZCMEM_EVENT_TAG, .status = status, .tag = tag, .sequence = sequence, .addr = addr};
    zcmem__record_tell(region, &event);
  }
  return status;
}

enum zcmem_status zcmem_mem_set_tag(struct zcmem_hal *hal, hal_addr_t addr, uint32_t tag) {
  return set_tag(hal, addr, tag, false);
}

/* Where no lock can be had it is not counted. */
static void count_refused(struct zcmem__region *region, uint32_t tag, enum zcmem_status status) {
  if (zcmem__lock_take(&region->lock) != ZCMEM_OK) {
    return;
  }
  if (region->tally.entries != NULL) {
    zcmem__tally_refuse(&region->tally, tag, status);
  }
  zcmem__lock_drop(&region->lock);
}

enum zcmem_status zcmem_mem_alloc_tagged(struct zcmem_hal *hal, uint32_t region, hal_size_t size, hal_size_t align,
                                         uint32_t tag, hal_addr_t *addr) {
  hal_addr_t made = HAL_NULLPTR;
  struct zcmem__region *in = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  if (in == NULL || (tag != 0 && (in->flags & ZCMEM_REGION_HANDLES) != 0)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem_mem_alloc(hal, region, size, align, addr == NULL ? NULL : &made);
  if (status == ZCMEM_OK && tag != 0) {
    status = set_tag(hal, made, tag, true);
    if (status != ZCMEM_OK) {
      (void)zcmem_mem_free(hal, made);
      return status;
    }
  } else if (tag != 0 && status != ZCMEM_ELOCK) {
    count_refused(in, tag, status);
  }
  if (status == ZCMEM_OK) {
    *addr = made;
  }
  return status;
}
