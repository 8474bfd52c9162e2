/* SPDX-License-Identifier: MIT */
/*
 * Calls by handle. The number in a handle is the block's tag, which only guard.c writes in such a region; it is the
 * same for as long as the block lives, whatever becomes of its size.
 */
#include "guarded.h"
#include "move.h"
#include "use.h"

/* The region of the address, which must have handles. OK, EINVAL, ENOENT. */
static enum zcmem_status region_with_handles(const struct zcmem_hal *hal, hal_addr_t addr,
                                             struct zcmem__region **region) {
  *region = hal == NULL ? NULL : zcmem__hal_region_of(hal, addr);
  if (*region == NULL) {
    return hal == NULL ? ZCMEM_EINVAL : ZCMEM_ENOENT;
  }
  return ((*region)->flags & ZCMEM_REGION_HANDLES) != 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

/* The live block that starts there. OK, ENOENT, ELOCK. */
static enum zcmem_status look_at_start(struct zcmem__region *region, hal_addr_t addr, struct zcmem_block_info *block) {
  enum zcmem_status status = zcmem__region_look(region, addr, block);
  return status == ZCMEM_OK && block->addr != addr ? ZCMEM_ENOENT : status;
}

enum zcmem_status zcmem_mem_handle(struct zcmem_hal *hal, hal_addr_t addr, struct zcmem_handle *handle) {
  struct zcmem__region *region = NULL;
  struct zcmem_block_info block;
  enum zcmem_status status = handle == NULL ? ZCMEM_EINVAL : region_with_handles(hal, addr, &region);
  if (status == ZCMEM_OK) {
    status = look_at_start(region, addr, &block);
  }
  if (status == ZCMEM_OK) {
    *handle = (struct zcmem_handle){.addr = addr, .generation = block.tag};
  }
  return status;
}

enum zcmem_status zcmem_mem_check_handle(struct zcmem_hal *hal, struct zcmem_handle handle) {
  struct zcmem__region *region = NULL;
  struct zcmem_block_info block = {0};
  enum zcmem_status status = region_with_handles(hal, handle.addr, &region);
  if (status == ZCMEM_OK) {
    status = look_at_start(region, handle.addr, &block);
  }
  return status == ZCMEM_OK && block.tag != handle.generation ? ZCMEM_ENOENT : status;
}

enum zcmem_status zcmem_mem_free_handle(struct zcmem_hal *hal, struct zcmem_handle handle) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = region_with_handles(hal, handle.addr, &region);
  return status == ZCMEM_OK ? zcmem__guarded_free(region, handle.addr, &handle.generation, false) : status;
}

enum zcmem_status zcmem_mem_pin_handle(struct zcmem_hal *hal, struct zcmem_handle handle) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = region_with_handles(hal, handle.addr, &region);
  if (status == ZCMEM_OK) {
    status = zcmem__region_take(region);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  status =
      zcmem__region_has(region, handle.addr, handle.generation) ? zcmem__region_pin(region, handle.addr) : ZCMEM_ENOENT;
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_PIN, status, handle.addr, 0, sequence);
  return status;
}

/* ------------------------------------------------------------------------------------------------- transfers -- */

/* Begins a transfer of the handle's block, from its first byte on, and where the block refuses it tells of it. */
static enum zcmem_status begin_use(const struct zcmem_hal *hal, enum zcmem_event_kind kind, struct zcmem_handle handle,
                                   hal_size_t offset, const void *host, hal_size_t size, struct zcmem__use *use) {
  struct zcmem__region *region = NULL;
  enum zcmem_status status = region_with_handles(hal, handle.addr, &region);
  if (host == NULL || size - 1 > UINTPTR_MAX - (uintptr_t)host) {
    status = ZCMEM_EINVAL;
  }
  if (status != ZCMEM_OK) {
    if (region != NULL) {
      zcmem__region_count_failed(region);
    }
    return status;
  }
  hal_size_t used = size > UINT64_MAX - offset ? UINT64_MAX : offset + size; /* more than any block has */
  status = zcmem__use_begin_thorough(region, handle.addr, used, &handle.generation, use);
  if (status != ZCMEM_OK) {
    zcmem__record(region, kind, status, handle.addr + offset, size);
  }
  return status;
}

static enum zcmem_status end_transfer(const struct zcmem__use *use, hal_size_t size, enum zcmem__moved counter,
                                      enum zcmem_status status) {
  enum zcmem_status ended =
      status == ZCMEM_OK ? zcmem__use_end(use, counter, size) : zcmem__use_end(use, ZCMEM__MOVED_FAILED, 1);
  return ended != ZCMEM_OK ? ended : status;
}

enum zcmem_status zcmem_mem_read_handle(struct zcmem_hal *hal, void *dst, struct zcmem_handle handle, hal_size_t offset,
                                        hal_size_t size) {
  struct zcmem__use use;
  if (hal == NULL || size == 0) {
    return hal == NULL ? ZCMEM_EINVAL : ZCMEM_OK;
  }
  enum zcmem_status status = begin_use(hal, ZCMEM_EVENT_READ, handle, offset, dst, size, &use);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = end_transfer(&use, size, ZCMEM__MOVED_READ, zcmem__move_read(use.region, dst, handle.addr + offset, size));
  zcmem__record(use.region, ZCMEM_EVENT_READ, status, handle.addr + offset, size);
  return status;
}

enum zcmem_status zcmem_mem_write_handle(struct zcmem_hal *hal, struct zcmem_handle handle, hal_size_t offset,
                                         const void *src, hal_size_t size) {
  struct zcmem__use use;
  if (hal == NULL || size == 0) {
    return hal == NULL ? ZCMEM_EINVAL : ZCMEM_OK;
  }
  enum zcmem_status status = begin_use(hal, ZCMEM_EVENT_WRITE, handle, offset, src, size, &use);
  if (status != ZCMEM_OK) {
    return status;
  }
  status =
      end_transfer(&use, size, ZCMEM__MOVED_WRITTEN, zcmem__move_write(use.region, handle.addr + offset, src, size));
  zcmem__record(use.region, ZCMEM_EVENT_WRITE, status, handle.addr + offset, size);
  return status;
}
