/* SPDX-License-Identifier: MIT */
/*
 * Magazines as the HAL sees them: where their memory comes from, and what they keep as one figure. In a build without
 * magazines all of this is there and does nothing.
 */
#ifndef ZCMEM_KEEP_H
#define ZCMEM_KEEP_H

#include "hal_impl.h"

/* Whether the share asked for can be. */
bool zcmem__keep_valid(const struct zcmem_region_config *config);

/* For a new HAL, which fork knows: prepares for its threads' magazines, if it may have some. */
void zcmem__keep_open(struct zcmem_hal *hal);

/* Bytes behind the heap in a region's image for what magazines share: with ZCMEM_REGION_CONTEXTS, else 0. */
size_t zcmem__keep_bytes(const struct zcmem_region_config *config);

/*
 * Memory for what a region's magazines share in *depot: NULL if it has none, or has it in its image. ENOMEM. And gives
 * it back.
 */
enum zcmem_status zcmem__keep_alloc(struct zcmem_hal *hal, const struct zcmem_region_config *config, void **depot);
void zcmem__keep_free(struct zcmem_hal *hal, const struct zcmem_region_config *config, void *depot);

/* Makes it, before the region is published. */
void zcmem__keep_init(const struct zcmem_hal *hal, struct zcmem__region *region,
                      const struct zcmem_region_config *config, void *depot);

/* Gives all memory back; nobody uses the HAL any more. Returns how many of the heap's live blocks were but kept. */
uint64_t zcmem__keep_destroy(struct zcmem_hal *hal, struct zcmem__region *region);

/*
 * With the lock held: stops all magazines of the region until zcmem__keep_resume and makes the heap's and the region's
 * figures complete. give_back: empties them, too, with the lock let go now and then. ELOCK: the lock is not held, and
 * the magazines go on.
 */
enum zcmem_status zcmem__keep_settle(struct zcmem__region *region, bool give_back);
void zcmem__keep_resume(struct zcmem__region *region);

/* With the lock held: from now on the live block that starts at addr is freed with the lock, not into a magazine. */
void zcmem__keep_notice(struct zcmem__region *region, hal_addr_t addr);

#endif
