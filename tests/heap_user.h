/* SPDX-License-Identifier: MIT */
/*
 * Uses a heap of which nothing is known but that attach has accepted it: hundreds of random calls, each judged by what
 * the heap says before and after it, and zcmem_heap_check after each. At the end all is freed that nobody uses.
 */
#ifndef ZCMEM_TESTS_HEAP_USER_H
#define ZCMEM_TESTS_HEAP_USER_H

#include <zcmem/heap.h>

/* `random` is the seed. */
void use_heap(struct zcmem_heap *heap, uint64_t random);

#endif
