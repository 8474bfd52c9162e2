/* SPDX-License-Identifier: MIT */
/*
 * Buffers: OpenCL's memory objects over the regions of a HAL.
 *
 * A buffer over a host pointer that lies in a mapped region (or in a range mapped on demand) *is* that memory: nothing
 * is ever copied. A buffer over any other host memory has a shadow in a region of the device: what the device is going
 * to read is copied in when an access begins, what it has written is copied out when the access ends. The caller's code
 * is the same for both.
 *
 *      zcmem_buffer_create                 the buffer holds its block: it cannot be freed
 *        zcmem_buffer_begin                a view: the device may use these bytes, at this device address
 *        ... the device runs ...
 *        zcmem_buffer_end                  the host may use them again
 *        zcmem_buffer_map ... _unmap       a view of the host's
 *      zcmem_buffer_release
 *
 * A view is a range with an access mode, open from begin (map) to end (unmap). Two open views that share a byte, one of
 * them writing, are refused, unless one belongs to a buffer made with ZCMEM_BUFFER_ALIAS. Overlap means the same bytes
 * of a region, or the same bytes of the host memory that is shadowed; in a region that is not coherent, the same cache
 * line. There what the device writes must be whole lines, buffers and views alike, but for shadows: see
 * zcmem_buffer_create.
 *
 * Buffers and views are named by numbers that are never used twice (until 2^32 were made in the same place), so that a
 * stale or made-up one gets ENOENT.
 *
 * Threads: every call may be made from any thread at any time, but init, create and destroy of the table. One lock
 * guards a table; it is not held while bytes are copied or a callback of a region runs.
 *
 * Cost: with n views open, begin and end take O(log n) steps, and no more where nothing has to be copied or flushed,
 * however large the buffer is. Begin of a shadow that the device reads takes O(k log n), where k other views of the
 * same shadow are open in its range: between these it copies part by part. Nothing is allocated but what a buffer
 * itself is made of.
 *
 * A lock that fails (ELOCK) half way leaves what nobody may touch any more without it: a view that could not be closed
 * stays open for good, without a number that anybody knows or could end; what shares bytes with it is refused for good,
 * and its buffer stays until the table is destroyed.
 */
#ifndef ZCMEM_BUFFER_H
#define ZCMEM_BUFFER_H

#include <zcmem/hal.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcmem_buffers;            /* a table of buffers over one HAL */
typedef uint64_t zcmem_buffer_t; /* a buffer; 0 is none */
typedef uint64_t zcmem_view_t;   /* an open view; 0 is none */

/* What the device does with a buffer; at least one. A sub-buffer may have less than its parent, not more. */
#define ZCMEM_BUFFER_READ 0x1u
#define ZCMEM_BUFFER_WRITE 0x2u
/* Where its bytes come from: USE_HOST alone, or COPY_HOST and/or ALLOC_HOST. None: fresh device memory, of which the
 * host need not see anything. */
#define ZCMEM_BUFFER_USE_HOST 0x4u    /* the host memory given is the buffer (CL_MEM_USE_HOST_PTR) */
#define ZCMEM_BUFFER_COPY_HOST 0x8u   /* fresh device memory, filled from the host memory given (COPY_HOST_PTR) */
#define ZCMEM_BUFFER_ALLOC_HOST 0x10u /* fresh memory that the host can map without a copy (ALLOC_HOST_PTR) */
/* Views of this buffer may overlap views of any other (TI's "-a"); the caller orders the accesses. */
#define ZCMEM_BUFFER_ALIAS 0x20u

/* What a table of buffers is made of, for zcmem_buffers_init. */
struct zcmem_buffers_config {
  struct zcmem_hal *hal; /* must outlive the table */
  uint32_t max_buffers;  /* buffers and sub-buffers at once: 1 ... 2^24 */
  uint32_t max_views;    /* views open at once: 1 ... 2^24 */
};

/* What a buffer is made of, for zcmem_buffer_create. */
struct zcmem_buffer_config {
  uint32_t flags;  /* ZCMEM_BUFFER_* */
  uint32_t region; /* where the shadow or the fresh memory is allocated; not looked at for zero-copy buffers */
  void *host; /* USE_HOST, COPY_HOST: the memory; else NULL. USE_HOST: stays the caller's, must outlive the buffer */
  hal_size_t size; /* bytes, not 0 */
};

/* What a buffer is, as zcmem_buffer_get_info tells it. */
struct zcmem_buffer_info {
  uint32_t flags;        /* as created; a sub-buffer: its own mode, the rest its parent's */
  bool zero_copy;        /* begin and end never copy */
  uint32_t references;   /* of the caller: 1 + retains - releases */
  uint32_t views;        /* open ones, of this buffer itself */
  zcmem_buffer_t parent; /* 0: it is no sub-buffer */
  hal_size_t offset;     /* of a sub-buffer in its parent */
  hal_size_t size;       /* bytes */
  uint32_t region;       /* that its device memory lies in */
  hal_addr_t addr;       /* its first byte there */
  void *host;            /* where the host sees that byte: the host memory given or the region's mapping; or NULL */
};

/* An open view, as begin and map tell it. */
struct zcmem_view {
  zcmem_view_t id; /* for end or unmap */
  hal_addr_t addr; /* device address of its first byte */
  hal_size_t size; /* bytes */
  void *host;      /* map: where the host sees it; begin: NULL */
};

/* Counters since the table was made. The caller sets struct_bytes to sizeof(struct zcmem_buffers_stats). */
struct zcmem_buffers_stats {
  size_t struct_bytes;       /* set by the caller */
  uint64_t buffers;          /* there now: sub-buffers, and those released that open views or sub-buffers keep */
  uint64_t views;            /* open now */
  uint64_t begins;           /* zcmem_buffer_begin calls that succeeded */
  uint64_t maps;             /* zcmem_buffer_map calls that succeeded */
  uint64_t bytes_copied_in;  /* host -> device, by COPY_HOST and by begin */
  uint64_t bytes_copied_out; /* device -> host, by end */
  uint64_t copies_avoided;   /* copies that a shadow would have taken and that zero copy did not */
  uint64_t bytes_avoided;    /*   and their bytes */
  uint64_t refused_overlap;  /* views that answered EOVERLAP */
};

/* ------------------------------------------------------------------------------------------------- the table -- */

/* Bytes of memory that zcmem_buffers_init needs; 0 iff config or its hal is NULL or a number is out of its range. */
ZCMEM_API size_t zcmem_buffers_bytes(const struct zcmem_buffers_config *config);

/*
 * Makes an empty table in `memory`, aligned to 64 bytes, which stays the caller's and must outlive the table. Its lock
 * is of the HAL's kind, and fork knows it as it knows the HAL's (zcmem_hal_init).
 * OK: *buffers is the table. EINVAL iff a pointer is NULL, memory is misaligned or the config is invalid. ENOMEM iff
 * bytes is too small. ELOCK iff the lock could not be made.
 */
ZCMEM_API enum zcmem_status zcmem_buffers_init(void *memory, size_t bytes, const struct zcmem_buffers_config *config,
                                               struct zcmem_buffers **buffers);

/*
 * Ends the table. Buffers and views that are still there end with it, without a copy; their blocks are let go (and
 * freed, where they were the buffers' own). Returns the number of buffers that were there (as stats.buffers counts
 * them). NULL: nothing, 0. No other call may run or follow. A lock that fails is not told: then a block stays in use
 * for good, or a range mapped until the HAL ends.
 */
ZCMEM_API uint64_t zcmem_buffers_destroy(struct zcmem_buffers *buffers);

/*
 * Fills the first stats->struct_bytes bytes of *stats. EINVAL iff a pointer is NULL or struct_bytes is 0 or larger than
 * this version's. ELOCK.
 */
ZCMEM_API enum zcmem_status zcmem_buffers_get_stats(struct zcmem_buffers *buffers, struct zcmem_buffers_stats *stats);

/* --------------------------------------------------------------------------------------------------- buffers -- */

/*
 * Makes a buffer with one reference. While it is there its block cannot be freed (EBUSY; or deferred).
 *
 * OK: *buffer is the buffer. EINVAL iff a pointer is NULL; flags are unknown, have neither READ nor WRITE, or USE_HOST
 * and another source; host is NULL where it is needed or not NULL where it is not, or its range reaches beyond the
 * host's address space; size is 0; or the region is needed and not there. Over memory of a region that is not coherent
 * and has a cache line, EINVAL also iff the device may write and the range shares a line with other bytes of its block:
 * host and device cannot both write one line (OpenCL: CL_MISALIGNED_SUB_BUFFER_OFFSET). So it begins on a line and ends
 * on one or with the bytes requested for the block, which cannot grow within that line meanwhile (zcmem_mem_resize).
 * USE_HOST of memory whose first byte is in no mapped region: EINVAL also iff it runs into one, an alias or a range
 * mapped on demand: these bytes would be in two places. (What is mapped later is not looked at.) USE_HOST within a
 * mapped region: ENOENT iff no live block is there; EBOUNDS iff size is more than what remains of the block (or of the
 * mapping) from that pointer on; EBUSY iff ZCMEM_MAX_PINS uses are there. Else: the statuses of zcmem_mem_alloc;
 * ENOTMAPPED iff ALLOC_HOST and the host cannot see or map the region, or iff the region offers no way to copy what
 * must be copied; EIO iff the copy of COPY_HOST failed. ENOMEM also iff max_buffers are there. ELOCK.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_create(struct zcmem_buffers *buffers, const struct zcmem_buffer_config *config,
                                                zcmem_buffer_t *buffer);

/*
 * Makes a sub-buffer: `size` bytes of the parent (which may be a sub-buffer itself, to any depth) from `offset` on. It
 * shares the parent's memory, and keeps it after the parent's last release.
 *
 * OK: *buffer is the sub-buffer. EINVAL iff a pointer is NULL, size is 0, flags has bits other than ZCMEM_BUFFER_READ,
 * _WRITE and _ALIAS, or a mode that the parent has not (neither: the parent's mode; ALIAS is inherited), or the range
 * shares a cache line (as in zcmem_buffer_create). ENOENT iff there is no such parent. EBOUNDS iff the range leaves it.
 * ENOMEM iff max_buffers are there. ELOCK.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_create_sub(struct zcmem_buffers *buffers, zcmem_buffer_t parent,
                                                    uint32_t flags, hal_size_t offset, hal_size_t size,
                                                    zcmem_buffer_t *buffer);

/*
 * One reference more. EINVAL iff buffers is NULL. ENOENT iff there is no such buffer. EBUSY iff 2^32 - 1 are there.
 * ELOCK.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_retain(struct zcmem_buffers *buffers, zcmem_buffer_t buffer);

/*
 * One reference less. After the last one the number is dead; what the buffer is made of stays until its open views have
 * ended and its sub-buffers are released. EINVAL iff buffers is NULL. ENOENT iff there is no such buffer. ELOCK: of the
 * table: nothing happened; of the region: the buffer is gone, and its block stays in use for good.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_release(struct zcmem_buffers *buffers, zcmem_buffer_t buffer);

/* Fills *info. EINVAL iff a pointer is NULL. ENOENT iff there is no such buffer. ELOCK. */
ZCMEM_API enum zcmem_status zcmem_buffer_get_info(struct zcmem_buffers *buffers, zcmem_buffer_t buffer,
                                                  struct zcmem_buffer_info *info);

/* ----------------------------------------------------------------------------------------------------- views -- */

/*
 * Opens a view for the device: `size` bytes of the buffer from `offset` on, which the device reads and/or writes as
 * `mode` says (ZCMEM_BUFFER_READ, _WRITE; 0: the buffer's own mode). Zero copy: flushes the host's stores to these
 * bytes, where the region is not coherent. Shadow: copies them in, if the device reads. (A view of mode WRITE promises
 * to write every byte, since all of them are copied out.) Bytes that an open view of the same shadow has brought in are
 * not copied again.
 *
 * OK: *view is the view. EINVAL iff buffers or view is NULL, size is 0, mode is unknown or one that the buffer has not,
 * or the device would write a cache line that other bytes of the block share (as in zcmem_buffer_create; not of a
 * shadow): its end invalidates whole lines, and would lose what the host stored beside the view. ENOENT iff there is no
 * such buffer. EBOUNDS iff the range leaves it. ENOMEM iff max_views are open. EOVERLAP iff an open view excludes this
 * one; then, and only then, *other (may be NULL) is that view's buffer. EBUSY iff the device reads a shadow and a begin
 * that came before is just copying in some of the same bytes (in a region that is not coherent: of the same lines): try
 * again. ENOTMAPPED, EIO: the copy or flush failed; no view is open. ELOCK: no view is open; or, if the lock failed
 * again when this was to be closed after a failure, one that nobody can end: it stays for good (see above; stats.views
 * tells), and a begin that reads any of its bytes answers EBUSY for good where it was copying in.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_begin(struct zcmem_buffers *buffers, zcmem_buffer_t buffer, hal_size_t offset,
                                               hal_size_t size, uint32_t mode, zcmem_buffer_t *other,
                                               struct zcmem_view *view);

/*
 * Ends a view of the device's. Where the device wrote: zero copy: invalidates the host's view of the bytes, if the
 * region is not coherent; shadow: copies them out. Then the view is closed.
 *
 * EINVAL iff buffers is NULL. ENOENT iff no such view of the device's is open (another thread may be ending it).
 * ENOTMAPPED, EIO: the copy or invalidate failed: the host's bytes may be partly old; the view is closed all the same.
 * ELOCK: of the table, before: nothing happened; after: the view stays open for good. Of the region, where this was the
 * last use of a released buffer: view and buffer are gone, and the block stays in use for good.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_end(struct zcmem_buffers *buffers, zcmem_view_t view);

/*
 * Opens a view for the host: flags ZCMEM_MAP_READ and/or ZCMEM_MAP_WRITE, whatever the buffer's mode is for the device.
 * A buffer over host memory maps to that very memory. Nothing is copied, flushed or invalidated: begin and end have
 * done it. Memory that the host does not see is mapped by the region's callback.
 *
 * Statuses: as zcmem_buffer_begin, but that any range will do, and never EBUSY for a copy; EINVAL also iff flags is 0
 * or unknown; and those of zcmem_mem_map for memory that is mapped by a callback.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_map(struct zcmem_buffers *buffers, zcmem_buffer_t buffer, hal_size_t offset,
                                             hal_size_t size, unsigned flags, zcmem_buffer_t *other,
                                             struct zcmem_view *view);

/*
 * Ends a view of the host's. Statuses: as zcmem_buffer_end; for memory mapped by a callback also those of
 * zcmem_mem_unmap, and then the view is closed all the same. Where that was ELOCK of the mappings, the range is still
 * mapped at the view's host pointer and in use: zcmem_mem_unmap of the pointer ends it. Where it was ELOCK of the
 * region, it is unmapped and its block in use for good.
 */
ZCMEM_API enum zcmem_status zcmem_buffer_unmap(struct zcmem_buffers *buffers, zcmem_view_t view);

#ifdef __cplusplus
}
#endif

#endif
