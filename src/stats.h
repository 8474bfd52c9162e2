/* SPDX-License-Identifier: MIT */
#ifndef ZCMEM_SRC_STATS_H
#define ZCMEM_SRC_STATS_H

#include <zcmem/types.h>

/* Millionths of the free bytes that are not in the largest free block; see zcmem_region_stats. */
uint64_t zcmem__fragmentation(uint64_t available, uint64_t largest);

#endif
