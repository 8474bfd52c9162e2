/* SPDX-License-Identifier: MIT */
#include "record.h"

void zcmem__record_tell(const struct zcmem__region *region, const struct zcmem_event *event) {
  const struct zcmem_recorder *recorder =
      (const struct zcmem_recorder *)zcmem__atomic_word_acquire(&region->recording->recorder);
  /* Not any more; or a call that met a lock that failed, which is not told. */
  if (recorder == NULL || event->status == ZCMEM_ELOCK) {
    return;
  }
  struct zcmem_event told = *event;
  told.region = (uint32_t)(region - region->recording->regions);
  told.time = recorder->clock == NULL ? 0 : recorder->clock(recorder->ctx);
  told.thread = recorder->thread == NULL ? 0 : recorder->thread(recorder->ctx);
  recorder->event(recorder->ctx, &told);
}

void zcmem__record_alloc(const struct zcmem__region *region, enum zcmem_status status, hal_size_t size,
                         hal_size_t align, const hal_addr_t *addr) {
  const struct zcmem_event event = {.kind = ZCMEM_EVENT_ALLOC,
                                    .status = status,
                                    .sequence = zcmem__record_sequence(region),
                                    .addr = status == ZCMEM_OK ? *addr : HAL_NULLPTR,
                                    .size = size,
                                    .align = align};
  zcmem__record_tell(region, &event);
}

enum zcmem_status zcmem__record_alloc_and_drop(struct zcmem__region *region, enum zcmem_status status, hal_size_t size,
                                               hal_size_t align, const hal_addr_t *addr) {
  zcmem__lock_drop(&region->lock);
  zcmem__record_alloc(region, status, size, align, addr);
  return status;
}

enum zcmem_status zcmem__record_free_and_drop(struct zcmem__region *region, enum zcmem_status status, hal_addr_t addr,
                                              bool deferred) {
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, deferred ? ZCMEM_EVENT_FREE_DEFERRED : ZCMEM_EVENT_FREE, status, addr, 0, sequence);
  return status;
}
