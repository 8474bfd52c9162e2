/* SPDX-License-Identifier: MIT */
/*
 * malloc for device memory: host pointers into the regions of one default HAL, by kind (ZCMEM_KIND_DRAM, _MSMC, ...).
 * TI's own names for the same calls are in ti_malloc.h.
 *
 * Which HAL: the one given to zcmem_malloc_set_hal. Where none was given, a host device (host_device.h) is made on the
 * first call, with regions as large as the environment says: ZCMEM_DDR_BYTES (256 MiB where not set) and
 * ZCMEM_MSMC_BYTES (4 MiB), decimal with an optional K, M or G. A build with ZCMEM_NO_HOST_DEVICE makes none: every
 * allocation fails until a HAL is set.
 *
 * From which regions: those of the kind, in the order of adding, that have a host pointer; then those that can be
 * mapped by a callback, where each allocation is one mapping on demand (max_mappings bounds their number). So a heap
 * may be larger than what the host sees of it, or than the host's address space. Never from a region of another kind.
 *
 * Failure: an allocation that fails returns NULL. Whatever fails or is wrong is reported to a handler, with a status:
 * by default a line on stderr for a wrong pointer, nothing for an allocation that merely found no room. A wrong pointer
 * changes nothing.
 *
 * Threads: every call from any thread at any time, but see zcmem_malloc_set_hal.
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
 * Makes hal the default (NULL: none, so that the next call makes a host device). It stays the caller's and must outlive
 * its use. A host device that was made here is ended. No other call of this header may run at the same time; blocks of
 * another HAL that was the default can be freed no more through this header.
 * OK. EBUSY iff a host device that was made here has live blocks; then nothing changes.
 */
ZCMEM_API enum zcmem_status zcmem_malloc_set_hal(struct zcmem_hal *hal);

/* The default HAL, made now if there is none; NULL iff it cannot be made. */
ZCMEM_API struct zcmem_hal *zcmem_malloc_hal(void);

/*
 * What is told when a call fails: which status, in which function, for which pointer (NULL for allocations) and size
 * (0 for frees). Called with no lock held; must not call back into this header. handler NULL: the default one.
 */
typedef void (*zcmem_malloc_handler)(void *ctx, enum zcmem_status status, const char *function, const void *ptr,
                                     size_t size);
ZCMEM_API void zcmem_malloc_set_handler(zcmem_malloc_handler handler, void *ctx);

/*
 * Allocates size bytes, aligned to 128 (to `align`, a power of two, if that is more). size 0: a pointer of its own that
 * can be freed. NULL iff it fails; the handler gets EINVAL (align), ENOSPC, EFRAG, ENOMEM, ENOENT (no region of the
 * kind), ENOTMAPPED (none that the host sees), EIO (the map callback failed), ELOCK.
 */
ZCMEM_API void *zcmem_malloc(uint32_t kind, size_t size);
ZCMEM_API void *zcmem_aligned_alloc(uint32_t kind, size_t align, size_t size);

/* count * size zero bytes; NULL also iff the product does not fit a size_t (EINVAL). */
ZCMEM_API void *zcmem_calloc(uint32_t kind, size_t count, size_t size);

/*
 * Resizes in place where possible, else moves; the bytes up to the smaller size are kept. ptr NULL: zcmem_malloc. size
 * 0: a block of no bytes (the pointer is not freed). NULL iff it fails: then ptr is as it was.
 */
ZCMEM_API void *zcmem_realloc(uint32_t kind, void *ptr, size_t size);

/*
 * Frees. NULL: nothing. Reported, and nothing done: ENOENT: no live block of the default HAL starts there (foreign,
 * interior, freed already); EINVAL: the block is of another kind; EBUSY: it is pinned, mapped or in a buffer.
 */
ZCMEM_API void zcmem_free(uint32_t kind, void *ptr);

/* Bytes that were asked for the live block that starts at ptr; 0 iff there is none (nothing is reported). */
ZCMEM_API size_t zcmem_malloc_size(const void *ptr);

#ifdef __cplusplus
}
#endif

#endif
