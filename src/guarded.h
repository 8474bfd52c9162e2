/* SPDX-License-Identifier: MIT */
/*
 * Allocations and frees in regions with hardening (guard.h), with their locks. A free that poisons takes the lock
 * twice: between the two the block is a zombie in whose use the caller is, so that its bytes are overwritten while no
 * lock is held and nobody else can have them.
 */
#ifndef ZCMEM_SRC_GUARDED_H
#define ZCMEM_SRC_GUARDED_H

#include "hal_impl.h"

/* Blocks that leave a quarantine in one hold of the lock for a request that has no room. */
#define ZCMEM__GUARDED_STEP 64u

/* As zcmem_mem_alloc. */
enum zcmem_status zcmem__guarded_alloc(struct zcmem__region *region, hal_size_t size, hal_size_t align,
                                       hal_addr_t *addr);

/* As zcmem_mem_free, or _free_deferred; ENOENT also iff there is a `generation` and it is not the block's. */
enum zcmem_status zcmem__guarded_free(struct zcmem__region *region, hal_addr_t addr, const uint32_t *generation,
                                      bool may_defer);

/*
 * The second half of a free that poisons: of a zombie in whose use the caller alone is, and of which `size` bytes were
 * asked for. ELOCK: it stays a zombie.
 */
enum zcmem_status zcmem__guarded_end(struct zcmem__region *region, hal_addr_t addr, hal_size_t size);

/* With the lock held: as zcmem_heap_resize; the quarantine is emptied before there is no room. ELOCK: not locked. */
enum zcmem_status zcmem__guarded_resize(struct zcmem__region *region, hal_addr_t addr, hal_size_t size);

/*
 * With the lock held: some blocks leave the quarantine, and others get at the lock. OK; ENOSPC: there was none in it;
 * ELOCK: the lock is not held.
 */
enum zcmem_status zcmem__guarded_make_room(struct zcmem__region *region);

#endif
