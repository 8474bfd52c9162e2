/* SPDX-License-Identifier: MIT */
#include "move.h"
#include "bits.h"
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
  hal_size_t within = region->host == NULL ? 0 : zcmem__region_line(region) - 1; /* mask */
  enum zcmem_status status = ZCMEM_OK;
  if ((addr & within) != 0) {
    status = settle_line(region, addr, host, to_write);
  }
  if (status == ZCMEM_OK && ((addr + size) & within) != 0) {
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
  if (zcmem__move_plain(region, region->ops->read != NULL)) {
    memmove(dst, zcmem__region_pointer(region, src), (size_t)size);
    return ZCMEM_OK;
  }
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
  if (zcmem__move_plain(region, region->ops->write != NULL)) {
    memmove(zcmem__region_pointer(region, dst), src, (size_t)size);
    return ZCMEM_OK;
  }
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

/* Whether the host can see ranges of the region, and should where `call`, which would do without, is not there. */
static bool has_window(const struct zcmem__region *region, bool call) {
  return !call && (region->host != NULL || region->ops->map != NULL);
}

/* With the windows of both sides, or of one where the other side has a callback (its pointer is NULL here). */
static enum zcmem_status copy_seen(const struct zcmem__region *dst_region, hal_addr_t dst, void *to,
                                   const struct zcmem__region *src_region, hal_addr_t src, void *from,
                                   hal_size_t size) {
  enum zcmem_status status = from == NULL ? ZCMEM_OK : before_read(src_region, src, size, from);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (to == NULL) {
    return zcmem__move_write(dst_region, dst, from, size);
  }
  status = before_write(dst_region, dst, size, to);
  if (status == ZCMEM_OK && from == NULL) {
    status = zcmem__move_read(src_region, to, src, size);
  } else if (status == ZCMEM_OK) {
    memmove(to, from, (size_t)size);
  }
  return status == ZCMEM_OK ? zcmem__move_flush(dst_region, dst, size, to) : status;
}

/*
 * All at once, each range through one window, if there is one. A map that fails is no failure: the driver may have no
 * window of that size, or none to spare; then *done is false and nothing has happened.
 */
static enum zcmem_status copy_through_windows(const struct zcmem__region *dst_region, hal_addr_t dst, bool dst_window,
                                              const struct zcmem__region *src_region, hal_addr_t src, bool src_window,
                                              hal_size_t size, bool *done) {
  void *to = NULL, *from = NULL;
  enum zcmem_status status = ZCMEM_OK;
  *done = false;
  if (src_window && open_window(src_region, src, size, ZCMEM_MAP_READ, &from) != ZCMEM_OK) {
    return ZCMEM_OK;
  }
  if (!dst_window || open_window(dst_region, dst, size, ZCMEM_MAP_WRITE, &to) == ZCMEM_OK) {
    *done = true;
    status = copy_seen(dst_region, dst, to, src_region, src, from, size);
  }
  if (from != NULL) {
    enum zcmem_status closed = close_window(src_region, src, size, from, status);
    status = *done ? closed : status;
  }
  return to == NULL ? status : close_window(dst_region, dst, size, to, status);
}

/*
 * The same where the ranges overlap, through one window for both: in two a byte could be at two places of the host's,
 * and memmove would not know that it is one.
 */
static enum zcmem_status copy_through_one_window(const struct zcmem__region *region, hal_addr_t dst, hal_addr_t src,
                                                 hal_size_t size, bool *done) {
  hal_addr_t low = dst < src ? dst : src;
  hal_size_t span = size + (dst - low) + (src - low);
  void *window = NULL;
  *done = span <= SIZE_MAX && open_window(region, low, span, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE, &window) == ZCMEM_OK;
  if (!*done) {
    return ZCMEM_OK;
  }
  unsigned char *to = (unsigned char *)window + (size_t)(dst - low);
  unsigned char *from = (unsigned char *)window + (size_t)(src - low);
  return close_window(region, low, span, window, copy_seen(region, dst, to, region, src, from, size));
}

enum zcmem_status zcmem__move_copy(const struct zcmem__region *dst_region, hal_addr_t dst,
                                   const struct zcmem__region *src_region, hal_addr_t src, hal_size_t size,
                                   size_t bounce) {
  bool within = dst_region == src_region, done = false;
  if (within && zcmem__move_plain(dst_region, dst_region->ops->copy != NULL)) {
    memmove(zcmem__region_pointer(dst_region, dst), zcmem__region_pointer(dst_region, src), (size_t)size);
    return ZCMEM_OK;
  }
  if (within && dst_region->ops->copy != NULL) {
    return answer(dst_region->ops->copy(dst_region->ctx, dst, src, size));
  }
  bool pointer = within && dst_region->host != NULL;
  bool src_window = has_window(src_region, src_region->ops->read != NULL && !pointer);
  bool dst_window = has_window(dst_region, dst_region->ops->write != NULL && !pointer);
  /* A callback need not mind that its host memory is the device's: then both sides are seen, or copied in chunks. */
  bool apart = !within || (dst > src ? dst - src : src - dst) >= size;
  enum zcmem_status status = ZCMEM_OK;
  if (!apart && src_window && dst_window) {
    status = copy_through_one_window(dst_region, dst, src, size, &done);
  } else if (apart && size <= SIZE_MAX && (src_window || dst_window)) {
    status = copy_through_windows(dst_region, dst, dst_window, src_region, src, src_window, size, &done);
  }
  if (done) {
    return status;
  }
  return copy_bounced(dst_region, dst, src_region, src, size, bounce);
}

/* What is stored over and over again comes from a part of this size, or not twice of it: it stays in the cache. */
#define REPEAT_BYTES ((size_t)512)
/* From so many bytes on the machine's instruction is faster than a loop. */
#define INSTRUCTION_BYTES ((size_t)1024)

/* The pattern as often as eight bytes hold it; false: not a whole number of times. */
static bool make_word(const void *pattern, size_t pattern_size, uint64_t *word) {
  uint16_t two;
  uint32_t four;
  switch (pattern_size) {
  case 1:
    *word = *(const unsigned char *)pattern * UINT64_C(0x0101010101010101);
    return true;
  case sizeof two:
    memcpy(&two, pattern, sizeof two);
    *word = two * UINT64_C(0x0001000100010001);
    return true;
  case sizeof four:
    memcpy(&four, pattern, sizeof four);
    *word = four * UINT64_C(0x0000000100000001);
    return true;
  case sizeof *word:
    memcpy(word, pattern, sizeof *word);
    return true;
  default:
    return false;
  }
}

/* The word over and over again, and at the end as much of it as there is room for. */
static void repeat_word(unsigned char *to, uint64_t word, size_t size) {
  const uint64_t words[4] = {word, word, word, word};
  size_t done = size >= INSTRUCTION_BYTES ? zcmem__bits_fill(to, word, size) : 0;
  for (; done + sizeof words <= size; done += sizeof words) {
    memcpy(to + done, words, sizeof words);
  }
  memcpy(to + done, words, size - done);
}

/* Doubles what is there, and when that is enough stores it again and again. */
static void repeat_bytes(unsigned char *to, size_t pattern_size, size_t size) {
  size_t unit = pattern_size;
  for (size_t done = unit; done < size;) {
    size_t step = size - done < unit ? size - done : unit;
    memcpy(to + done, to, step);
    done += step;
    unit = unit < REPEAT_BYTES ? done : unit;
  }
}

void zcmem__move_repeat(unsigned char *to, const void *pattern, size_t pattern_size, size_t size) {
  const unsigned char *bytes = pattern;
  uint64_t word;
  bool is_word = make_word(pattern, pattern_size, &word);
  if (is_word ? word == bytes[0] * UINT64_C(0x0101010101010101) : memcmp(bytes, bytes + 1, pattern_size - 1) == 0) {
    memset(to, bytes[0], size);
  } else if (is_word) {
    repeat_word(to, word, size);
  } else {
    memmove(to, pattern, pattern_size);
    repeat_bytes(to, pattern_size, size);
  }
}

/* Writes as many whole patterns as the bounce buffer holds at a time; a pattern that is larger goes as it is. */
static enum zcmem_status fill_bounced(const struct zcmem__region *region, hal_addr_t dst, const void *pattern,
                                      size_t pattern_size, hal_size_t size, size_t bounce) {
  unsigned char bytes[ZCMEM__BOUNCE_MAX];
  const void *unit = pattern;
  size_t unit_size = pattern_size;
  enum zcmem_status status = ZCMEM_OK;
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

enum zcmem_status zcmem__move_fill(const struct zcmem__region *region, hal_addr_t dst, const void *pattern,
                                   size_t pattern_size, hal_size_t size, size_t bounce) {
  void *to = NULL;
  if (zcmem__move_plain(region, region->ops->fill != NULL)) {
    zcmem__move_repeat(zcmem__region_pointer(region, dst), pattern, pattern_size, (size_t)size);
    return ZCMEM_OK;
  }
  if (region->ops->fill != NULL) {
    return answer(region->ops->fill(region->ctx, dst, pattern, pattern_size, size));
  }
  bool pointer = region->host != NULL;
  /* As in a copy, a range that cannot be mapped as a whole goes in chunks. */
  if (size > SIZE_MAX || !has_window(region, region->ops->write != NULL && !pointer) ||
      open_window(region, dst, size, ZCMEM_MAP_WRITE, &to) != ZCMEM_OK) {
    return fill_bounced(region, dst, pattern, pattern_size, size, bounce);
  }
  enum zcmem_status status = before_write(region, dst, size, to);
  if (status == ZCMEM_OK) {
    zcmem__move_repeat(to, pattern, pattern_size, (size_t)size);
    status = zcmem__move_flush(region, dst, size, to);
  }
  return close_window(region, dst, size, to, status);
}
