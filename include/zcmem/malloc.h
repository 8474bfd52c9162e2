/* SPDX-License-Identifier: MIT */
/*
 * malloc for device memory: host pointers into the regions of one default HAL, by kind (ZCMEM_KIND_DRAM, _MSMC, ...).
 * TI's own names for the same calls are in ti_malloc.h.
 *
 * Which HAL: the one given to zcmem_malloc_set_hal. Where none was given, the first allocation makes a host device
 * (host_device.h), with regions as large as the environment says: ZCMEM_DDR_BYTES (256 MiB where not set) and
 * ZCMEM_MSMC_BYTES (4 MiB), each a decimal number above 0 with nothing or K, M or G (2^10, 2^20, 2^30) behind it. A
 * value that is no such number is reported (EINVAL, with the variable's name for the function's), and the default used;
 * with sizes that no host device can have, none is made and the call fails. A build with ZCMEM_NO_HOST_DEVICE makes
 * none: every allocation fails (ENOENT) until a HAL is set.
 *
 * From which regions: those of the kind, in the order of adding, that have a host pointer; then those that can be
 * mapped by a callback, where each allocation is one mapping on demand (max_mappings bounds their number), made and
 * undone with it. So a heap may be larger than what the host sees of it, or than the host's address space. Never from a
 * region of another kind. A block is one like any other: any address in it can be translated, read, pinned, put into a
 * buffer.
 *
 * Failure: an allocation that fails returns NULL. Whatever fails or is wrong is reported to a handler, with a status:
 * by default a line on stderr for a wrong pointer or argument, nothing for an allocation that merely failed. A wrong
 * pointer changes nothing. A pointer that was freed is wrong until it is handed out again.
 *
 * Threads: every call from any thread at any time, but see zcmem_malloc_set_hal. Of several threads that free one
 * pointer one succeeds. A pin taken at the very moment of a free may find the block gone, or, where the block is mapped
 * on demand, for a moment no mapping at the pointer; never a part of it.
 *
 * Cost: that of zcmem_mem_alloc and zcmem_mem_free; for a block mapped on demand also of the map and unmap callbacks,
 * and of a look at each of max_mappings.
 */
#ifndef ZCMEM_MALLOC_H
#define ZCMEM_MALLOC_H

#include <zcmem/hal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The least alignment of every block, and the one where none is asked for. */
#define ZCMEM_MALLOC_ALIGN 128u

/*
 * Makes hal the default (NULL: none, so that the next allocation makes a host device). It stays the caller's and must
 * outlive its use. A host device that was made here is ended, unless hal is its own. No other call of this header may
 * run at the same time; blocks of another HAL that was the default can be freed no more through this header.
 * OK. EBUSY iff a host device that was made here has live blocks; ELOCK iff a lock of its failed; then nothing changes.
 */
ZCMEM_API enum zcmem_status zcmem_malloc_set_hal(struct zcmem_hal *hal);

/* The default HAL, made now if there is none; NULL iff it cannot be made, which is reported. */
ZCMEM_API struct zcmem_hal *zcmem_malloc_hal(void);

/*
 * What is told when a call fails: which status, in which function (as the caller named it: "__free_ddr"), for which
 * pointer (NULL for allocations) and size (0 for frees). Called in the thread of the call, with no lock held; must not
 * call back into this header. handler NULL: the default one.
 * Handler and ctx change together: no call is told to a handler with another's ctx. A call that began to report before
 * may still reach the old handler afterwards.
 */
typedef void (*zcmem_malloc_handler)(void *ctx, enum zcmem_status status, const char *function, const void *ptr,
                                     size_t size);
ZCMEM_API void zcmem_malloc_set_handler(zcmem_malloc_handler handler, void *ctx);

/*
 * Allocates size bytes; the pointer is a multiple of 128 (and of `align`, a power of two, if that is more; the device
 * address then need not be). size 0: a pointer of its own, to no bytes, that can be freed. NULL iff it fails; the
 * handler gets EINVAL (align), ENOENT (no region of the kind), ENOTMAPPED (none that the host sees, or none at that
 * alignment); else why the last region tried could not: ENOSPC, EFRAG, ENOMEM (max_blocks are live, max_mappings
 * ranges are mapped), EIO (the map callback failed), ELOCK; or why no host device could be made: EINVAL, ENOMEM, ELOCK.
 * What a failed call has taken it gives back; but if the lock fails again then, a block stays in use for good.
 */
ZCMEM_API void *zcmem_malloc(uint32_t kind, size_t size);
ZCMEM_API void *zcmem_aligned_alloc(uint32_t kind, size_t align, size_t size);

/* count * size zero bytes; NULL also iff the product does not fit a size_t (EINVAL). */
ZCMEM_API void *zcmem_calloc(uint32_t kind, size_t count, size_t size);

/*
 * Resizes in place where possible, else moves to a block of any region of the kind (one mapped on demand always moves,
 * unless size and mapping stay); the bytes up to the smaller size are kept. ptr NULL: zcmem_malloc. size 0: a block of
 * no bytes (the pointer is not freed). A block that was aligned to more than 128 may move to one that is not. NULL iff
 * it fails: then ptr is as it was. Reported: what zcmem_malloc and zcmem_free report (and zcmem_mem_read, of a block
 * that zcmem_mem_resize has made larger than its mapping). A pinned block may grow in place (but see zcmem_mem_resize),
 * no more (EBUSY). If the block has moved and the old one could not be given back (EIO, ELOCK: see zcmem_free) that is
 * reported, and the new pointer returned.
 */
ZCMEM_API void *zcmem_realloc(uint32_t kind, void *ptr, size_t size);

/*
 * Frees. NULL: nothing. Reported, and nothing done: ENOENT: no live block of the default HAL starts there (foreign,
 * interior, freed already; an alias of zcmem_hal_add_alias is foreign, too, and so is anything where there is no
 * default HAL yet); EINVAL: the block is of another kind; EBUSY: it is pinned, mapped (by others than this header) or
 * in a buffer; ECORRUPT: see zcmem_mem_free; ELOCK: a lock failed before anything was done. Reported, and done: EIO:
 * the unmap callback failed. A block mapped on demand is named by the pointer of any mapping from its first byte on, if
 * that is the only use of it: so one that zcmem_mem_resize has made larger than its mapping is freed as any other, and
 * so is one of zcmem_mem_alloc that the program mapped itself. ELOCK of a block mapped on demand: if a lock fails after
 * the unmapping, the block is gone, but never free again.
 */
ZCMEM_API void zcmem_free(uint32_t kind, void *ptr);

/*
 * Bytes that were asked for the live block that starts at ptr (SIZE_MAX if it is larger); of one mapped on demand that
 * zcmem_mem_resize has made larger, not all of these are at ptr. 0 where there is none, as for a block of no bytes, or
 * where a lock fails; nothing is reported.
 */
ZCMEM_API size_t zcmem_malloc_size(const void *ptr);

#ifdef __cplusplus
}
#endif

#endif
