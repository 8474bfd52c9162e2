/* SPDX-License-Identifier: MIT */
/*
 * The convenience form of making a HAL. Apart from hal.c, so that a program without malloc leaves it out.
 */
#include "hal_impl.h"
#include "host_memory.h"

enum zcmem_status zcmem_hal_create(const struct zcmem_hal_config *config, const struct zcmem_region_config *regions,
                                   uint32_t count, struct zcmem_hal **hal) {
  if (config == NULL || hal == NULL || (regions == NULL && count > 0)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_hal_config full = *config;
  if (full.allocator == NULL) {
    full.allocator = &zcmem__host_memory;
  }
  size_t bytes = zcmem_hal_bytes(&full);
  if (bytes == 0) {
    return ZCMEM_EINVAL;
  }
  void *memory = full.allocator->alloc(full.allocator->ctx, bytes);
  if (memory == NULL) {
    return ZCMEM_ENOMEM;
  }
  struct zcmem_hal *made = NULL;
  enum zcmem_status status = zcmem_hal_init(memory, bytes, &full, &made);
  if (status != ZCMEM_OK) {
    full.allocator->free(full.allocator->ctx, memory, bytes);
    return status;
  }
  made->owned = memory;
  made->owned_bytes = bytes;
  for (uint32_t i = 0; i < count && status == ZCMEM_OK; i++) {
    status = zcmem_hal_add_region(made, &regions[i], NULL);
  }
  if (status == ZCMEM_OK) {
    *hal = made;
  } else {
    (void)zcmem_hal_destroy(made);
  }
  return status;
}
