/* SPDX-License-Identifier: MIT */
/*
 * A transfer's use of a block: from begin to end the block cannot be freed, so not be handed out again, nor lose bytes.
 *
 * Where the host can (ZCMEM__DIRECT), it is counted without the region's lock: begin looks the block up as a look-up
 * does (region.h) and swaps its `use` for one more, end for one less. Errors, and whatever is not plain, are left to
 * the locked way, which decides. use.c has the proof.
 */
#ifndef ZCMEM_SRC_USE_H
#define ZCMEM_SRC_USE_H

#include "heap_impl.h"
#include "region.h"

struct zcmem__use {
  struct zcmem__region *region;
  hal_addr_t addr;
  struct zcmem__block *block; /* NULL: it was counted under the lock */
};

/*
 * Begins a transfer of `size` (> 0) bytes from addr on, an address of the region. Statuses of
 * zcmem_heap_begin_transfer, ELOCK; a failure is counted.
 */
enum zcmem_status zcmem__use_begin(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                   struct zcmem__use *use);

/* Ends it and adds `amount` to the counter. ELOCK: as zcmem__region_end. */
enum zcmem_status zcmem__use_end(const struct zcmem__use *use, enum zcmem__moved counter, uint64_t amount);

#endif
