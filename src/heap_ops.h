/* SPDX-License-Identifier: MIT */
/* L2. What the files of the heap share. */
#ifndef ZCMEM_SRC_HEAP_OPS_H
#define ZCMEM_SRC_HEAP_OPS_H

#include "heap_impl.h"

/* The block that starts at addr, free or live; ZCMEM__NIL: none. */
uint32_t zcmem__heap_find_start(const struct zcmem_heap *heap, hal_addr_t addr);

/* Makes a live block or zombie that nobody uses free. */
void zcmem__heap_release(struct zcmem_heap *heap, uint32_t id);

#endif
