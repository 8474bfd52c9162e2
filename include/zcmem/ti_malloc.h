/* SPDX-License-Identifier: MIT */
/*
 * The names of TI's OpenCL malloc extension. They are reserved to the C implementation, as TI chose them, and therefore
 * stand in a header and an object file of their own: a program that uses the names of malloc.h links none of these.
 *
 * ddr is ZCMEM_KIND_DRAM, msmc is ZCMEM_KIND_MSMC; all else (128-byte alignment, the default HAL, NULL and 0, wrong
 * pointers, threads) is as in malloc.h: __malloc_ddr(size) is zcmem_malloc(ZCMEM_KIND_DRAM, size), and so on. MSMC that
 * is exhausted gives NULL, never DDR.
 */
#ifndef ZCMEM_TI_MALLOC_H
#define ZCMEM_TI_MALLOC_H

#include <zcmem/types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* zcmem_malloc and zcmem_free of ZCMEM_KIND_DRAM (ddr) and ZCMEM_KIND_MSMC (msmc). */
ZCMEM_API void *__malloc_ddr(size_t size);
ZCMEM_API void __free_ddr(void *ptr);
ZCMEM_API void *__malloc_msmc(size_t size);
ZCMEM_API void __free_msmc(void *ptr);

#ifdef __cplusplus
}
#endif

#endif
