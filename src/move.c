/* SPDX-License-Identifier: MIT */
#include "move.h"
#include <string.h>

static enum zcmem_status answer(int result) {
  return result == 0 ? ZCMEM_OK : ZCMEM_EIO;
}

enum zcmem_status zcmem__move_map(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, unsigned flags,
                                  void **host) {
  void *mapped = NULL;
  /* A driver that succeeds without a pointer has failed: nobody could tell its range apart from an unmapped one. */
  if (region->ops->map(region->ctx, addr, size, flags, &mapped) != 0 || mapped == NULL) {
    return ZCMEM_EIO;
  }
  *host = mapped;
  return ZCMEM_OK;
}

enum zcmem_status zcmem__move_unmap(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host) {
  return region->ops->unmap == NULL ? ZCMEM_OK : answer(region->ops->unmap(region->ctx, addr, size, host));
}

typedef int (*maintain)(void *ctx, hal_addr_t addr, hal_size_t size, void *host);

/* Calls flush or invalidate for the lines of the range. */
static enum zcmem_status for_lines(const struct zcmem__region *region, maintain call, hal_addr_t addr, hal_size_t size,
                                   void *host) {
  if ((region->flags & ZCMEM_REGION_COHERENT) != 0 || call == NULL) {
    return ZCMEM_OK;
  }
  if (!zcmem__region_holds_host(region, host)) {
    return answer(call(region->ctx, addr, size, host));
  }
  hal_size_t mask = zcmem__region_line(region) - 1, before = addr & mask;
  return answer(
      call(region->ctx, addr - before, (before + size + mask) & ~mask, (unsigned char *)host - (size_t)before));
}

enum zcmem_status zcmem__move_flush(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host) {
  return for_lines(region, region->ops->flush, addr, size, host);
}

enum zcmem_status zcmem__move_invalidate(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                         void *host) {
  return for_lines(region, region->ops->invalidate, addr, size, host);
}

/*
 * A line at an end of the range that has other bytes, too: what the host stored there is written back, so that an
 * invalidate does not lose it; and before a write the line is fetched anew, so that a flush does not put the host's old
 * bytes over the device's. A window that is mapped on demand has no bytes beside the range.
 */
static enum zcmem_status settle_line(const struct zcmem__region *region, hal_addr_t addr, unsigned char *host,
                                     bool to_write) {
  enum zcmem_status status = zcmem__move_flush(region, addr, 1, host);
  return status == ZCMEM_OK && to_write ? zcmem__move_invalidate(region, addr, 1, host) : status;
}

static enum zcmem_status settle_ends(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host,
                                     bool to_write) {
  hal_size_t line = region->host == NULL ? 1 : zcmem__region_line(region);
  enum zcmem_status status = ZCMEM_OK;
  if (addr % line != 0) {
    status = settle_line(region, addr, host, to_write);
  }
  if (status == ZCMEM_OK && (addr + size) % line != 0) {
    status = settle_line(region, addr + (size - 1), (unsigned char *)host + (size_t)(size - 1), to_write);
  }
  return status;
}

/* What comes before bytes are read, or written, through the host pointer. After a write comes a flush. */
static enum zcmem_status before_read(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host) {
  enum zcmem_status status = settle_ends(region, addr, size, host, false);
  return status == ZCMEM_OK ? zcmem__move_invalidate(region, addr, size, host) : status;
}

static enum zcmem_status before_write(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                      void *host) {
  return settle_ends(region, addr, size, host, true);
}

/* Makes the range visible at *host, through the region's host pointer or for the length of this transfer. */
static enum zcmem_status open_window(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                     unsigned flags, void **host) {
  if (region->host == NULL && region->ops->map == NULL) {
    return ZCMEM_ENOTMAPPED;
  }
  if (region->host == NULL) {
    return zcmem__move_map(region, addr, size, flags, host);
  }
  *host = zcmem__region_pointer(region, addr);
  return ZCMEM_OK;
}

/* The first failure is the transfer's. */
static enum zcmem_status close_window(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size, void *host,
                                      enum zcmem_status status) {
  enum zcmem_status unmapped = ZCMEM_OK;
  if (region->host == NULL) {
    unmapped = zcmem__move_unmap(region, addr, size, host);
  }
  return status != ZCMEM_OK ? status : unmapped;
}

/* memmove, since the user's buffer may be the host's view of the same block. */
enum zcmem_status zcmem__move_read(const struct zcmem__region *region, void *dst, hal_addr_t src, hal_size_t size) {
  void *host = NULL;
  if (region->ops->read != NULL) {
    return answer(region->ops->read(region->ctx, dst, src, size));
  }
  enum zcmem_status status = open_window(region, src, size, ZCMEM_MAP_READ, &host);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = before_read(region, src, size, host);
  if (status == ZCMEM_OK) {
    memmove(dst, host, (size_t)size);
  }
  return close_window(region, src, size, host, status);
}

enum zcmem_status zcmem__move_write(const struct zcmem__region *region, hal_addr_t dst, const void *src,
                                    hal_size_t size) {
  void *host = NULL;
  if (region->ops->write != NULL) {
    return answer(region->ops->write(region->ctx, dst, src, size));
  }
  enum zcmem_status status = open_window(region, dst, size, ZCMEM_MAP_WRITE, &host);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = before_write(region, dst, size, host);
  if (status == ZCMEM_OK) {
    memmove(host, src, (size_t)size);
    status = zcmem__move_flush(region, dst, size, host);
  }
  return close_window(region, dst, size, host, status);
}

/*
 * Through the stack. Within a region the ranges may overlap: going from the end that the other range does not reach,
 * no byte is overwritten before it was read.
 */
static enum zcmem_status copy_bounced(const struct zcmem__region *dst_region, hal_addr_t dst,
                                      const struct zcmem__region *src_region, hal_addr_t src, hal_size_t size,
                                      size_t bounce) {
  unsigned char bytes[ZCMEM__BOUNCE_MAX];
  bool backward = dst_region == src_region && dst > src;
  enum zcmem_status status = ZCMEM_OK;
  for (hal_size_t done = 0; done < size && status == ZCMEM_OK;) {
    hal_size_t step = size - done < bounce ? size - done : bounce;
    hal_size_t at = backward ? size - done - step : done;
    status = zcmem__move_read(src_region, bytes, src + at, step);
    if (status == ZCMEM_OK) {
      status = zcmem__move_write(dst_region, dst + at, bytes, step);
    }
    done += step;
  }
  return status;
}

static enum zcmem_status copy_within(const struct zcmem__region *region, hal_addr_t dst, hal_addr_t src,
                                     hal_size_t size, size_t bounce) {
  if (region->ops->copy != NULL) {
    return answer(region->ops->copy(region->ctx, dst, src, size));
  }
  if (region->host == NULL) {
    return copy_bounced(region, dst, region, src, size, bounce);
  }
  unsigned char *to = zcmem__region_pointer(region, dst), *from = zcmem__region_pointer(region, src);
  enum zcmem_status status = before_read(region, src, size, from);
  if (status == ZCMEM_OK) {
    status = before_write(region, dst, size, to);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  memmove(to, from, (size_t)size);
  return zcmem__move_flush(region, dst, size, to);
}

enum zcmem_status zcmem__move_copy(const struct zcmem__region *dst_region, hal_addr_t dst,
                                   const struct zcmem__region *src_region, hal_addr_t src, hal_size_t size,
                                   size_t bounce) {
  if (dst_region == src_region) {
    return copy_within(dst_region, dst, src, size, bounce);
  }
  if (src_region->ops->read == NULL && src_region->host != NULL) {
    unsigned char *from = zcmem__region_pointer(src_region, src);
    enum zcmem_status status = before_read(src_region, src, size, from);
    return status != ZCMEM_OK ? status : zcmem__move_write(dst_region, dst, from, size);
  }
  if (dst_region->ops->write == NULL && dst_region->host != NULL) {
    unsigned char *to = zcmem__region_pointer(dst_region, dst);
    enum zcmem_status status = before_write(dst_region, dst, size, to);
    if (status == ZCMEM_OK) {
      status = zcmem__move_read(src_region, to, src, size);
    }
    return status != ZCMEM_OK ? status : zcmem__move_flush(dst_region, dst, size, to);
  }
  return copy_bounced(dst_region, dst, src_region, src, size, bounce);
}

void zcmem__move_repeat(unsigned char *to, const void *pattern, size_t pattern_size, size_t size) {
  memmove(to, pattern, pattern_size);
  for (size_t done = pattern_size; done < size;) {
    size_t step = size - done < done ? size - done : done;
    memcpy(to + done, to, step);
    done += step;
  }
}

enum zcmem_status zcmem__move_fill(const struct zcmem__region *region, hal_addr_t dst, const void *pattern,
                                   size_t pattern_size, hal_size_t size, size_t bounce) {
  unsigned char bytes[ZCMEM__BOUNCE_MAX];
  const void *unit = pattern;
  size_t unit_size = pattern_size;
  enum zcmem_status status = ZCMEM_OK;
  if (region->ops->fill != NULL) {
    return answer(region->ops->fill(region->ctx, dst, pattern, pattern_size, size));
  }
  if (region->host != NULL) {
    unsigned char *to = zcmem__region_pointer(region, dst);
    status = before_write(region, dst, size, to);
    if (status != ZCMEM_OK) {
      return status;
    }
    zcmem__move_repeat(to, pattern, pattern_size, (size_t)size);
    return zcmem__move_flush(region, dst, size, to);
  }
  /* Whole patterns, as many as the bounce buffer holds, at a time; a pattern that is larger goes as it is. */
  if (pattern_size <= bounce) {
    unit_size = bounce - bounce % pattern_size;
    zcmem__move_repeat(bytes, pattern, pattern_size, unit_size);
    unit = bytes;
  }
  for (hal_size_t done = 0; done < size && status == ZCMEM_OK;) {
    hal_size_t step = size - done < unit_size ? size - done : unit_size;
    status = zcmem__move_write(region, dst + done, unit, step);
    done += step;
  }
  return status;
}
