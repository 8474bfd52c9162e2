/* SPDX-License-Identifier: MIT */
/*
 * Tags of blocks. The lock is held while one is set: in a block that is freed meanwhile the word is another thing's.
 */
#include "hal_impl.h"
#include <zcmem/debug.h>

enum zcmem_status zcmem_mem_set_tag(struct zcmem_hal *hal, hal_addr_t addr, uint32_t tag) {
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
  status = zcmem_heap_set_tag(region->heap, addr, tag);
  zcmem__lock_drop(&region->lock);
  if (ZCMEM__UNLIKELY(zcmem__record_on(region))) {
    const struct zcmem_event event = {.kind = ZCMEM_EVENT_TAG,
                                      .status = status,
                                      .tag = tag,
                                      .sequence = zcmem__record_sequence(region),
                                      .addr = addr};
    zcmem__record_tell(region, &event);
  }
  return status;
}

enum zcmem_status zcmem_mem_alloc_tagged(struct zcmem_hal *hal, uint32_t region, hal_size_t size, hal_size_t align,
                                         uint32_t tag, hal_addr_t *addr) {
  hal_addr_t made = HAL_NULLPTR;
  const struct zcmem__region *in = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  if (addr == NULL || in == NULL || (tag != 0 && (in->flags & ZCMEM_REGION_HANDLES) != 0)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem_mem_alloc(hal, region, size, align, &made);
  if (status == ZCMEM_OK && tag != 0) {
    status = zcmem_mem_set_tag(hal, made, tag);
    if (status != ZCMEM_OK) {
      (void)zcmem_mem_free(hal, made);
      return status;
    }
  }
  if (status == ZCMEM_OK) {
    *addr = made;
  }
  return status;
}
