/* SPDX-License-Identifier: MIT */
/*
 * What malloc.h's names and TI's are both made of. `function` is the name that a failure is reported under.
 */
#ifndef ZCMEM_MALLOC_IMPL_H
#define ZCMEM_MALLOC_IMPL_H

#include <zcmem/types.h>

void *zcmem__malloc_alloc(const char *function, uint32_t kind, size_t align, size_t size);
void zcmem__malloc_free(const char *function, uint32_t kind, void *ptr);

#endif
