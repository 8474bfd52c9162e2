/* SPDX-License-Identifier: MIT */
/*
 * Setting a recorder: the magazines of all regions are revoked for as long as there is one, so that no call goes by
 * without the lock, behind which the hooks are.
 */
#include "hal_impl.h"
#include "keep.h"

/* Revokes a region's magazines and gives back what they keep, or lets them go on. ELOCK: as it was. */
static enum zcmem_status set_recorded(struct zcmem__region *region, bool recorded) {
  if (region->depot == NULL) {
    return ZCMEM_OK;
  }
  enum zcmem_status status = zcmem__region_take(region);
  if (status == ZCMEM_OK && recorded && !region->recorded) {
    status = zcmem__keep_settle(region, true);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  if (!recorded && region->recorded) {
    zcmem__keep_resume(region);
  }
  region->recorded = recorded;
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem_hal_set_recorder(struct zcmem_hal *hal, const struct zcmem_recorder *recorder) {
  if (hal == NULL || (recorder != NULL && recorder->event == NULL)) {
    return ZCMEM_EINVAL;
  }
  if (recorder == NULL) {
    zcmem__atomic_word_publish(&hal->recording.recorder, 0);
  }
  /* A region is added under this lock, so it is among those here, or finds what is said here. */
  enum zcmem_status status = zcmem__lock_take(&hal->adding);
  if (status != ZCMEM_OK) {
    zcmem__atomic_word_publish(&hal->recording.recorder, 0);
    return status;
  }
  hal->recorded = recorder != NULL;
  uint32_t count = zcmem_hal_region_count(hal);
  zcmem__lock_drop(&hal->adding);
  for (uint32_t i = 0; i < count && status == ZCMEM_OK; i++) {
    status = set_recorded(&hal->regions[i], recorder != NULL);
  }
  zcmem__atomic_word_publish(&hal->recording.recorder, status == ZCMEM_OK ? (uintptr_t)recorder : 0);
  return status;
}
