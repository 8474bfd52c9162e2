/* SPDX-License-Identifier: MIT */
/*
 * Sequences of calls made from the code, to take as many steps as can be: what each loop of the core is limited by
 * happens. Each asserts that it came near to it, so that a bound that nothing reaches is noticed, too.
 */
#ifndef ZCMEM_TESTS_STEPS_ADVERSARY_H
#define ZCMEM_TESTS_STEPS_ADVERSARY_H

#include <zcmem/heap.h>

/* A heap in memory from calloc, so that only what is touched takes memory; NULL: there is not that much. */
struct zcmem_heap *adversary_heap(hal_size_t quanta, uint32_t max_blocks);
/* Checks and gives back. */
void adversary_drop(struct zcmem_heap *heap);

void adversary_deep_index(void **state); /* crowds where all tables are needed, far away from each other */
void adversary_bitmaps(void **state);    /* levels that rise, fall and are searched */
void adversary_wide_bins(void **state);  /* heaps of many pages, entries that go all the way up or down */
void adversary_aligned(void **state);    /* candidates that are large enough and do not fit */
void adversary_use(void **state);        /* pins and transfers in crowds; the last one frees a zombie */

#endif
