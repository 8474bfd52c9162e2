/* SPDX-License-Identifier: MIT */
#include <zcmem/ti_malloc.h>

#include "malloc_impl.h"
#include <zcmem/malloc.h>

void *__malloc_ddr(size_t size) {
  return zcmem__malloc_alloc("__malloc_ddr", ZCMEM_KIND_DRAM, ZCMEM_MALLOC_ALIGN, size);
}

void __free_ddr(void *ptr) {
  zcmem__malloc_free("__free_ddr", ZCMEM_KIND_DRAM, ptr);
}

void *__malloc_msmc(size_t size) {
  return zcmem__malloc_alloc("__malloc_msmc", ZCMEM_KIND_MSMC, ZCMEM_MALLOC_ALIGN, size);
}

void __free_msmc(void *ptr) {
  zcmem__malloc_free("__free_msmc", ZCMEM_KIND_MSMC, ptr);
}
