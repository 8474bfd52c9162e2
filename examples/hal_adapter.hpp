/* SPDX-License-Identifier: MIT */
/*
 * The memory half of the oneAPI Construction Kit's hal_device_t over a region of zcmem: what a port of the kit to new
 * hardware puts between the two. In a real port the class derives from hal::hal_device_t and the methods override.
 */
#ifndef HAL_ADAPTER_HPP
#define HAL_ADAPTER_HPP

#include <zcmem/hal.h>

class hal_adapter {
public:
  /* Allocates in `region` of `hal`; both outlive the adapter. */
  hal_adapter(zcmem_hal *hal, uint32_t region) : hal(hal), region(region) {}

  hal_addr_t mem_alloc(hal_size_t size, hal_size_t alignment) {
    hal_addr_t addr = HAL_NULLPTR;
    return zcmem_mem_alloc(hal, region, size, alignment, &addr) == ZCMEM_OK ? addr : HAL_NULLPTR;
  }

  bool mem_free(hal_addr_t addr) { return zcmem_mem_free(hal, addr) == ZCMEM_OK; }

  bool mem_read(void *dst, hal_addr_t src, hal_size_t size) { return zcmem_mem_read(hal, dst, src, size) == ZCMEM_OK; }

  bool mem_write(hal_addr_t dst, const void *src, hal_size_t size) {
    return zcmem_mem_write(hal, dst, src, size) == ZCMEM_OK;
  }

  bool mem_copy(hal_addr_t dst, hal_addr_t src, hal_size_t size) {
    return zcmem_mem_copy(hal, dst, src, size) == ZCMEM_OK;
  }

  bool mem_fill(hal_addr_t dst, const void *pattern, hal_size_t pattern_size, hal_size_t size) {
    return zcmem_mem_fill(hal, dst, pattern, pattern_size, size) == ZCMEM_OK;
  }

private:
  zcmem_hal *hal;
  uint32_t region;
};

#endif
