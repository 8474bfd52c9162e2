/* SPDX-License-Identifier: MIT */
/*
 * Threads that do everything at once on one region with magazines: allocate, free, hand blocks to each other, transfer,
 * pin, resize, translate, ask for more than there is; while one looks at statistics and one at the magazines.
 */
#ifndef ZCMEM_TESTS_MAGAZINES_STRESS_H
#define ZCMEM_TESTS_MAGAZINES_STRESS_H

#include "magazines_check.h"

#ifdef ZCMEM__THREAD_MAGAZINES
/* Fails where anything is wrong. `rounds` calls in each of some threads; `bytes`: of the region, up to 4 MiB. */
void magazines_stress(hal_size_t bytes, uint32_t max_blocks, uint64_t rounds);
#endif

#endif
