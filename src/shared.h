/* SPDX-License-Identifier: MIT */
/*
 * Magazines of regions that processes share: the calls that take no lock. What is different there from magazine.h is
 * that another process may take a block out of a magazine (seize.h); so it is not only put in by compare-and-swap, but
 * also handed out.
 */
#ifndef ZCMEM_SRC_SHARED_H
#define ZCMEM_SRC_SHARED_H

#include "thread.h"

#ifdef ZCMEM__MAGAZINES
/* Allocates from the thread's magazines. False: the lock is needed. */
bool zcmem__shared_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align, hal_addr_t *addr);

/* Frees into the thread's magazines. False, and nothing is done: the lock is needed. */
bool zcmem__shared_free(struct zcmem__region *region, hal_addr_t addr);
#endif

#endif
