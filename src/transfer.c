/* SPDX-License-Identifier: MIT */
/*
 * Transfers: begin a use of the block, move the bytes, end it (use.h).
 */
#include "hal_impl.h"
#include "move.h"
#include "use.h"
#include <string.h>

/* Answers for a transfer that is refused before it begins, and counts it in the region of addr, if there is one. */
static enum zcmem_status refuse(const struct zcmem_hal *hal, hal_addr_t addr, enum zcmem_status status) {
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (region != NULL) {
    zcmem__region_count_failed(region);
  }
  return status;
}

/* Whether `size` bytes of host memory can be there: not NULL, not beyond the host's address space. */
static bool buffer_valid(const void *host, hal_size_t size) {
  return host != NULL && size - 1 <= UINTPTR_MAX - (uintptr_t)host;
}

/* Ends a transfer that moved its bytes with `status`. A lock that fails outweighs any other status: a use is left. */
static enum zcmem_status end(const struct zcmem__use *use, hal_size_t size, enum zcmem__moved counter,
                             enum zcmem_status status) {
  enum zcmem_status ended =
      status == ZCMEM_OK ? zcmem__use_end(use, counter, size) : zcmem__use_end(use, ZCMEM__MOVED_FAILED, 1);
  return ended != ZCMEM_OK ? ended : status;
}

/* Begins a transfer of that kind in the region of addr, and where that is refused tells of it. */
static enum zcmem_status begin_in(const struct zcmem_hal *hal, enum zcmem_event_kind kind, hal_addr_t addr,
                                  hal_size_t size, struct zcmem__use *use) {
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (region == NULL) {
    return ZCMEM_ENOENT;
  }
  enum zcmem_status status = zcmem__use_begin(region, addr, size, use);
  if (status != ZCMEM_OK) {
    zcmem__record(region, kind, status, addr, size);
  }
  return status;
}

/* The same between the host and the region. */
static enum zcmem_status begin(const struct zcmem_hal *hal, enum zcmem_event_kind kind, hal_addr_t addr,
                               hal_size_t size, const void *host, struct zcmem__use *use) {
  return buffer_valid(host, size) ? begin_in(hal, kind, addr, size, use) : refuse(hal, addr, ZCMEM_EINVAL);
}

/*
 * What is plain, to the end: all that is to be done with the bytes is to move them. An address of the region's heap; of
 * the host's memory `host` is known that it can be there. memmove, since it may be the host's view of the same block.
 */
ZCMEM__NOINLINE static enum zcmem_status move_plain(struct zcmem__region *region, uint64_t offset, void *host,
                                                    hal_size_t size, enum zcmem__moved counter) {
  struct zcmem__use use;
  enum zcmem_status status = zcmem__use_begin_here(region, region->first + offset, size, &use);
  bool read = counter == ZCMEM__MOVED_READ;
  if (ZCMEM__LIKELY(status == ZCMEM_OK)) {
    unsigned char *at = region->host_first + (size_t)offset;
    memmove(read ? host : at, read ? at : host, (size_t)size);
    status = zcmem__use_end_here(&use, counter, size);
  }
  zcmem__record(region, read ? ZCMEM_EVENT_READ : ZCMEM_EVENT_WRITE, status, use.addr, size);
  return status;
}

static enum zcmem_status read_thorough(const struct zcmem_hal *hal, void *dst, hal_addr_t src, hal_size_t size) {
  struct zcmem__use use;
  enum zcmem_status status = begin(hal, ZCMEM_EVENT_READ, src, size, dst, &use);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = end(&use, size, ZCMEM__MOVED_READ, zcmem__move_read(use.region, dst, src, size));
  zcmem__record(use.region, ZCMEM_EVENT_READ, status, src, size);
  return status;
}

enum zcmem_status zcmem_mem_read(struct zcmem_hal *hal, void *dst, hal_addr_t src, hal_size_t size) {
  uint64_t offset;
  if (ZCMEM__UNLIKELY(hal == NULL)) {
    return ZCMEM_EINVAL;
  }
  if (ZCMEM__UNLIKELY(size == 0)) {
    return ZCMEM_OK;
  }
  struct zcmem__region *region = zcmem__hal_heap_of(hal, src, &offset);
  if (ZCMEM__LIKELY(region != NULL) && ZCMEM__LIKELY(buffer_valid(dst, size)) &&
      zcmem__move_plain(region, region->ops->read != NULL)) {
    return move_plain(region, offset, dst, size, ZCMEM__MOVED_READ);
  }
  return read_thorough(hal, dst, src, size);
}

static enum zcmem_status write_thorough(const struct zcmem_hal *hal, hal_addr_t dst, const void *src, hal_size_t size) {
  struct zcmem__use use;
  enum zcmem_status status = begin(hal, ZCMEM_EVENT_WRITE, dst, size, src, &use);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = end(&use, size, ZCMEM__MOVED_WRITTEN, zcmem__move_write(use.region, dst, src, size));
  zcmem__record(use.region, ZCMEM_EVENT_WRITE, status, dst, size);
  return status;
}

enum zcmem_status zcmem_mem_write(struct zcmem_hal *hal, hal_addr_t dst, const void *src, hal_size_t size) {
  uint64_t offset;
  if (ZCMEM__UNLIKELY(hal == NULL)) {
    return ZCMEM_EINVAL;
  }
  if (ZCMEM__UNLIKELY(size == 0)) {
    return ZCMEM_OK;
  }
  struct zcmem__region *region = zcmem__hal_heap_of(hal, dst, &offset);
  if (ZCMEM__LIKELY(region != NULL) && ZCMEM__LIKELY(buffer_valid(src, size)) &&
      zcmem__move_plain(region, region->ops->write != NULL)) {
    return move_plain(region, offset, (void *)(uintptr_t)src, size, ZCMEM__MOVED_WRITTEN);
  }
  return write_thorough(hal, dst, src, size);
}

enum zcmem_status zcmem_mem_fill(struct zcmem_hal *hal, hal_addr_t dst, const void *pattern, hal_size_t pattern_size,
                                 hal_size_t size) {
  struct zcmem__use use;
  /* Of a pattern longer than the range only the beginning is looked at. */
  hal_size_t used = pattern_size < size ? pattern_size : size;
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  if (pattern_size == 0) {
    return refuse(hal, dst, ZCMEM_EINVAL);
  }
  if (size == 0) {
    return ZCMEM_OK;
  }
  /* `used` bytes of the pattern are host memory, so they fit a size_t; the range itself need not. */
  if (!buffer_valid(pattern, used)) {
    return refuse(hal, dst, ZCMEM_EINVAL);
  }
  enum zcmem_status status = begin_in(hal, ZCMEM_EVENT_FILL, dst, size, &use);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__move_fill(use.region, dst, pattern, (size_t)used, size, hal->bounce_bytes);
  status = end(&use, size, ZCMEM__MOVED_FILLED, status);
  zcmem__record(use.region, ZCMEM_EVENT_FILL, status, dst, size);
  return status;
}

static enum zcmem_status copy_in_one(const struct zcmem_hal *hal, struct zcmem__region *region, hal_addr_t dst,
                                     hal_addr_t src, hal_size_t size) {
  struct zcmem__use from, to;
  enum zcmem_status status = zcmem__use_begin(region, src, size, &from);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__use_begin(region, dst, size, &to);
  if (status != ZCMEM_OK) {
    /* The failure is counted already. */
    enum zcmem_status ended = zcmem__use_end(&from, ZCMEM__MOVED_FAILED, 0);
    return ended != ZCMEM_OK ? ended : status;
  }
  status = zcmem__move_copy(region, dst, region, src, size, hal->bounce_bytes);
  /* Both ends are tried, whatever becomes of the first; one copy is at most one failure. */
  enum zcmem_status dst_ended = end(&to, size, ZCMEM__MOVED_COPIED_IN, status);
  enum zcmem_status src_ended = zcmem__use_end(&from, ZCMEM__MOVED_COPIED_OUT, status == ZCMEM_OK ? size : 0);
  return src_ended != ZCMEM_OK ? src_ended : dst_ended;
}

static enum zcmem_status copy_between(const struct zcmem_hal *hal, struct zcmem__region *dst_region, hal_addr_t dst,
                                      struct zcmem__region *src_region, hal_addr_t src, hal_size_t size) {
  struct zcmem__use from, to;
  enum zcmem_status status = zcmem__use_begin(src_region, src, size, &from);
  if (status != ZCMEM_OK) {
    zcmem__region_count_failed(dst_region);
    return status;
  }
  status = zcmem__use_begin(dst_region, dst, size, &to);
  if (status != ZCMEM_OK) {
    return end(&from, size, ZCMEM__MOVED_COPIED_OUT, status);
  }
  status = zcmem__move_copy(dst_region, dst, src_region, src, size, hal->bounce_bytes);
  enum zcmem_status dst_ended = end(&to, size, ZCMEM__MOVED_COPIED_IN, status);
  enum zcmem_status src_ended = end(&from, size, ZCMEM__MOVED_COPIED_OUT, status);
  return dst_ended != ZCMEM_OK ? dst_ended : src_ended;
}

enum zcmem_status zcmem_mem_copy(struct zcmem_hal *hal, hal_addr_t dst, hal_addr_t src, hal_size_t size) {
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  if (size == 0) {
    return ZCMEM_OK;
  }
  struct zcmem__region *dst_region = zcmem__hal_region_of(hal, dst);
  struct zcmem__region *src_region = zcmem__hal_region_of(hal, src);
  if (src_region == NULL) {
    return refuse(hal, dst, ZCMEM_ENOENT);
  }
  if (dst_region == NULL) {
    return refuse(hal, src, ZCMEM_ENOENT);
  }
  enum zcmem_status status = dst_region == src_region ? copy_in_one(hal, dst_region, dst, src, size)
                                                      : copy_between(hal, dst_region, dst, src_region, src, size);
  if (ZCMEM__UNLIKELY(zcmem__record_on(dst_region))) {
    const struct zcmem_event event = {.kind = ZCMEM_EVENT_COPY,
                                      .status = status,
                                      .sequence = zcmem__record_sequence(dst_region),
                                      .addr = dst,
                                      .other = src,
                                      .size = size};
    zcmem__record_tell(dst_region, &event);
  }
  return status;
}
