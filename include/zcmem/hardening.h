/* SPDX-License-Identifier: MIT */
/*
 * Hardening: what finds mistakes that no argument of a call tells. All of it is off unless a region's config (hal.h)
 * asks for it, and costs nothing then.
 *
 *   red zones    bytes behind each block that belong to nobody and hold a known pattern. What is stored there through a
 *                host pointer is found when the block is freed or resized, or when all are checked.
 *   poison       bytes of a freed block are overwritten, so that who reads them notices; and stores to them are found
 *                as long as the block is in quarantine.
 *   quarantine   a freed block is handed out again only after others. Until then a second free of it, and every other
 *                use, is told ENOENT.
 *   handles      an address with the number of the allocation that gave it. Calls by handle tell a block from the one
 *                that was at its place before.
 *   tracking     valgrind and AddressSanitizer are told which bytes are whose, so that they report such a store, or
 *                load, when it happens.
 *
 * A region with any of these has no magazines. Threads: as hal.h says.
 */
#ifndef ZCMEM_HARDENING_H
#define ZCMEM_HARDENING_H

#include <zcmem/hal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------- red zones and poison -- */

/* What has been stored to. */
enum zcmem_damage_kind {
  ZCMEM_DAMAGE_NONE = 0,   /* nothing was found */
  ZCMEM_DAMAGE_BEFORE = 1, /* the red zone before a live block, behind which no other block is */
  ZCMEM_DAMAGE_BEHIND = 2, /* the red zone behind a live block: past its end, or before the start of the next one */
  ZCMEM_DAMAGE_FREED = 3   /* a block after it was freed, or a red zone of a block that is freed by now */
};

/* What zcmem_hal_check_guards has found. */
struct zcmem_damage {
  uint64_t count;              /* red zones and freed blocks that were stored to; 0: none */
  enum zcmem_damage_kind kind; /* of the first one that was found, as are the next two */
  hal_addr_t block;            /* first byte of the block */
  hal_addr_t at;               /* first byte that is not what it was */
};

/*
 * Looks at the red zones of all blocks of a region, and at the poisoned ones in quarantine. A free or a resize that
 * answered ECORRUPT left the block live: who has mended the region can free it. mend: makes what was found whole again
 * and forgets it, so that the next check finds only what is stored from now on.
 *
 * OK: nothing was found (or there is nothing to look at). ECORRUPT iff something was. EINVAL iff hal is NULL or there
 * is no such region. ELOCK iff the lock failed. *damage (may be NULL) is filled in where the status is OK or ECORRUPT.
 * Cost: O(blocks), and reads every poisoned byte in quarantine; holds the region's lock meanwhile. zcmem_hal_check does
 * this for all regions, and mends nothing.
 */
ZCMEM_API enum zcmem_status zcmem_hal_check_guards(struct zcmem_hal *hal, uint32_t region, bool mend,
                                                   struct zcmem_damage *damage);

/* -------------------------------------------------------------------------------------------------- handles -- */

/*
 * One allocation in a region with ZCMEM_REGION_HANDLES. A value: it may be copied, compared by its members, stored and
 * sent. It is stale once the block is freed, also when another one is at the same address. It would be taken for that
 * one only if exactly 2^32 - 1 allocations (or a multiple) were made in the region between the two.
 */
struct zcmem_handle {
  hal_addr_t addr;     /* first byte of the block */
  uint32_t generation; /* of the region's allocations; never 0 */
  uint32_t reserved;   /* 0 */
};

/*
 * The handle of the live block that starts at addr: to be asked for by the one who has just allocated it.
 * OK: *handle. EINVAL iff hal or handle is NULL or the region has no handles. ENOENT iff no live block starts at addr.
 * ELOCK as for zcmem_mem_host. Cost: a look-up, without the lock.
 */
ZCMEM_API enum zcmem_status zcmem_mem_handle(struct zcmem_hal *hal, hal_addr_t addr, struct zcmem_handle *handle);

/*
 * Whether the block is live. OK; ENOENT iff the handle is stale; EINVAL iff hal is NULL or the region has no handles;
 * ELOCK as for zcmem_mem_host. The answer holds for as long as nobody may free the block: see zcmem_mem_pin_handle.
 * Cost: a look-up, without the lock.
 */
ZCMEM_API enum zcmem_status zcmem_mem_check_handle(struct zcmem_hal *hal, struct zcmem_handle handle);

/* As zcmem_mem_free of handle.addr; ENOENT also iff the handle is stale, EINVAL also iff the region has no handles. */
ZCMEM_API enum zcmem_status zcmem_mem_free_handle(struct zcmem_hal *hal, struct zcmem_handle handle);

/*
 * As zcmem_mem_pin of handle.addr; ENOENT also iff the handle is stale, EINVAL also iff the region has no handles.
 * Until zcmem_mem_unpin(handle.addr) the block is live, so every call by address is about this one: host pointers,
 * copies, mappings, buffers.
 */
ZCMEM_API enum zcmem_status zcmem_mem_pin_handle(struct zcmem_hal *hal, struct zcmem_handle handle);

/*
 * As zcmem_mem_read and zcmem_mem_write of `size` bytes from `offset` bytes after the block's first on. ENOENT also iff
 * the handle is stale, EINVAL also iff the region has no handles; EBOUNDS also iff offset + size wraps. 0 bytes: OK,
 * and the handle is not looked at. Cost: as there.
 */
ZCMEM_API enum zcmem_status zcmem_mem_read_handle(struct zcmem_hal *hal, void *dst, struct zcmem_handle handle,
                                                  hal_size_t offset, hal_size_t size);
ZCMEM_API enum zcmem_status zcmem_mem_write_handle(struct zcmem_hal *hal, struct zcmem_handle handle, hal_size_t offset,
                                                   const void *src, hal_size_t size);

#ifdef __cplusplus
}
#endif

#endif
