/* SPDX-License-Identifier: MIT */
/*
 * Moves bytes into, out of, within and between regions. Knows no lock and no heap: the caller has begun the transfer,
 * so each range lies within one block that nobody can free meanwhile.
 *
 * The way that each takes: the region's own callback; else the host pointer; else other callbacks (hal.h, "Where a
 * member is NULL"). Through a host pointer of a region that is not coherent, `invalidate` is called before bytes are
 * read and `flush` after they are written.
 *
 * Statuses: OK, ENOTMAPPED (no way there), EIO (a callback failed: a part may have been written).
 */
#ifndef ZCMEM_MOVE_H
#define ZCMEM_MOVE_H

#include "region.h"

/* The most that a copy takes through the host's stack in one go. */
#define ZCMEM__BOUNCE_MAX 4096u

/* Maps the range with the region's callback, which must be there, for the facade or its user. OK or EIO. */
enum zcmem_status zcmem__move_map(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, unsigned flags,
                                  void **host);

/* Undoes it. OK or EIO. */
enum zcmem_status zcmem__move_unmap(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host);

/*
 * Flush the range, which the host sees at `host`, or invalidate it, where the region is not coherent and has the
 * callback; rounded to the region's lines, which stay within the block. A range that is mapped on demand is taken as it
 * is: the host may see nothing beside it. OK or EIO.
 */
enum zcmem_status zcmem__move_flush(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host);
enum zcmem_status zcmem__move_invalidate(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                         void *host);

/* Whether what a region's callback could do, were it there, is nothing but moving bytes through the host pointer. */
ZCMEM__INLINE bool zcmem__move_plain(const struct zcmem__region *region, bool has_callback) {
  return ZCMEM__LIKELY(!has_callback) && ZCMEM__LIKELY((region->flags & ZCMEM_REGION_COHERENT) != 0) &&
         ZCMEM__LIKELY(region->host != NULL);
}

/* The size fits a size_t: there is host memory of that size. */
enum zcmem_status zcmem__move_read(const struct zcmem__region *region, void *dst, hal_addr_t src, hal_size_t size);
enum zcmem_status zcmem__move_write(const struct zcmem__region *region, hal_addr_t dst, const void *src,
                                    hal_size_t size);

/*
 * As memmove within a region. Where a side has no callback of its own for it, it is seen through one window of the
 * whole range: the host pointer, or a mapping for the length of the copy; ranges that overlap through one for both.
 * Else, and where that cannot be mapped, in chunks through the stack, of at most `bounce` bytes (up to
 * ZCMEM__BOUNCE_MAX).
 */
enum zcmem_status zcmem__move_copy(const struct zcmem__region *dst_region, hal_addr_t dst,
                                   const struct zcmem__region *src_region, hal_addr_t src, hal_size_t size,
                                   size_t bounce);

/*
 * 1 <= pattern_size <= size. Windows and chunks as in a copy. Where the pattern may lie in the host's view of the range
 * itself: see zcmem_mem_fill.
 */
enum zcmem_status zcmem__move_fill(const struct zcmem__region *region, hal_addr_t dst, const void *pattern,
                                   size_t pattern_size, hal_size_t size, size_t bounce);

/*
 * Repeats the pattern over `size` bytes of host memory, pattern_size (> 0) of them or more. The pattern is read once,
 * before anything else is written, so it may lie in `to` itself. As fast as memset where 8 is a multiple of
 * pattern_size or all of its bytes are the same (x86-64), else nearly so: what is stored is read from the first 512
 * bytes or so.
 */
void zcmem__move_repeat(unsigned char *to, const void *pattern, size_t pattern_size, size_t size);

#endif
