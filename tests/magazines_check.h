/* SPDX-License-Identifier: MIT */
/*
 * Looks into the magazines of a region: whether every ticket names a block that is kept, every such block has just one
 * ticket, all sums are right, and no more is kept than the region's share allows.
 */
#ifndef ZCMEM_TESTS_MAGAZINES_CHECK_H
#define ZCMEM_TESTS_MAGAZINES_CHECK_H

#include "hal_impl.h"
#include "magazine.h"
#include "unit.h"
#include <zcmem/zcmem.h>

/* What was found: blocks and quanta by the place that keeps them. */
struct magazines_sum {
  uint64_t in_magazines;
  uint64_t in_depot;
  uint64_t blocks; /* of all */
  uint64_t quanta; /* of all */
  uint64_t limit;  /* quanta that may be */
  unsigned owners; /* magazines that are a thread's */
  unsigned made;   /* and those that are there */
};

/* With the magazines stopped meanwhile. NULL, or what is wrong. */
const char *magazines_check(struct zcmem_hal *hal, uint32_t region, struct magazines_sum *sum);

/* The same as an assertion; no other thread may run assertions meanwhile. */
struct magazines_sum magazines_look(struct zcmem_hal *hal, uint32_t region);

/* The region's figures; what is kept is given back by that. */
struct zcmem_region_stats magazines_stats(struct zcmem_hal *hal, uint32_t region);

/* A HAL with one region, 0, of `bytes` bytes from 1 MiB on, and magazines. share: as of the region's config. */
struct zcmem_hal *magazines_hal(hal_size_t bytes, uint32_t max_blocks, uint32_t share);

/* A block there. */
hal_addr_t magazines_alloc(struct zcmem_hal *hal, hal_size_t size);

#endif
