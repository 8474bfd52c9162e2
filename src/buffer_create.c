/* SPDX-License-Identifier: MIT */
/*
 * Making buffers and sub-buffers: where their memory comes from, and what is refused.
 */
#include "buffer_impl.h"

#define SOURCES (ZCMEM_BUFFER_USE_HOST | ZCMEM_BUFFER_COPY_HOST | ZCMEM_BUFFER_ALLOC_HOST)
#define KNOWN_FLAGS (ZCMEM__BUFFER_MODE | SOURCES | ZCMEM_BUFFER_ALIAS)
#define SUB_FLAGS (ZCMEM__BUFFER_MODE | ZCMEM_BUFFER_ALIAS)

bool zcmem__buffer_owns_lines(const struct zcmem__buffer *buffer, hal_addr_t addr, hal_size_t size) {
  hal_size_t line = zcmem__region_line(buffer->region);
  hal_addr_t end = addr + size;
  return addr % line == 0 && (end % line == 0 || end == buffer->block_end);
}

static bool lines_own(const struct zcmem__buffer *buffer) {
  return buffer->shadow || (buffer->flags & ZCMEM_BUFFER_WRITE) == 0 ||
         zcmem__buffer_owns_lines(buffer, buffer->addr, buffer->size);
}

static bool buffer_config_valid(const struct zcmem_buffer_config *config) {
  bool uses = (config->flags & ZCMEM_BUFFER_USE_HOST) != 0, copies = (config->flags & ZCMEM_BUFFER_COPY_HOST) != 0;
  return (config->flags & ~KNOWN_FLAGS) == 0 && (config->flags & ZCMEM__BUFFER_MODE) != 0 &&
         (!uses || (config->flags & SOURCES) == ZCMEM_BUFFER_USE_HOST) && (uses || copies) == (config->host != NULL) &&
         config->size > 0 && (config->host == NULL || config->size - 1 <= UINTPTR_MAX - (uintptr_t)config->host);
}

/*
 * A buffer that is the memory at config->host. ENOTMAPPED: no region has it. Where the block ends is asked once it is
 * held: from then on it cannot grow beyond the middle of a line (zcmem_mem_resize).
 */
static enum zcmem_status adopt_host(struct zcmem_hal *hal, const struct zcmem_buffer_config *config,
                                    struct zcmem__buffer *made) {
  struct zcmem_place place;
  struct zcmem_block_info block;
  enum zcmem_status status = zcmem_mem_locate(hal, config->host, &place);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (config->size > place.remaining) {
    return ZCMEM_EBOUNDS;
  }
  made->region = &hal->regions[place.region];
  status = zcmem__region_hold(made->region, place.addr, made->size);
  if (status != ZCMEM_OK) {
    return status;
  }
  made->addr = place.addr; /* so that create lets it go */
  status = zcmem__region_look(made->region, made->addr, &block);
  if (status != ZCMEM_OK) {
    return status;
  }
  made->block_end = block.addr + block.requested;
  return lines_own(made) ? ZCMEM_OK : ZCMEM_EINVAL;
}

/*
 * Whether the host memory, whose first byte is in no mapped region, runs into one, or into an alias or a range mapped
 * on demand: its shadow would be a second copy of what buffers over those bytes have without any.
 */
static bool runs_into_mapped(const struct zcmem_hal *hal, const struct zcmem_buffer_config *config) {
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count; i++) {
    if (zcmem__region_overlaps_host(&hal->regions[i], config->host, config->size)) {
      return true;
    }
  }
  return zcmem__map_overlaps(&hal->map, config->host, config->size, false);
}

/* Whether the region offers a way for what begin and end of a shadow copy. */
static bool can_copy(const struct zcmem__region *region, uint32_t flags) {
  return region->host != NULL || region->ops->map != NULL ||
         (((flags & ZCMEM_BUFFER_READ) == 0 || region->ops->write != NULL) &&
          ((flags & ZCMEM_BUFFER_WRITE) == 0 || region->ops->read != NULL));
}

/* A buffer with a block of its own: a shadow, or fresh memory. */
static enum zcmem_status furnish(struct zcmem_hal *hal, const struct zcmem_buffer_config *config,
                                 struct zcmem__buffer *made) {
  struct zcmem__region *region = zcmem__hal_region(hal, config->region);
  if (region == NULL) {
    return ZCMEM_EINVAL;
  }
  made->region = region;
  made->shadow = (config->flags & ZCMEM_BUFFER_USE_HOST) != 0;
  made->owned = true;
  if ((made->shadow && !can_copy(region, config->flags)) ||
      ((config->flags & ZCMEM_BUFFER_ALLOC_HOST) != 0 && region->host == NULL && region->ops->map == NULL)) {
    return ZCMEM_ENOTMAPPED;
  }
  enum zcmem_status status = zcmem_mem_alloc(hal, config->region, config->size, 1, &made->addr);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_hold(region, made->addr, made->size);
  if (status != ZCMEM_OK) {
    (void)zcmem_mem_free(hal, made->addr);
    made->addr = HAL_NULLPTR;
    return status;
  }
  made->block_end = made->addr + made->size;
  if (!made->shadow) {
    made->host = zcmem__region_pointer(region, made->addr);
  }
  if ((config->flags & ZCMEM_BUFFER_COPY_HOST) != 0) {
    status = zcmem_mem_write(hal, made->addr, config->host, config->size);
  }
  return status;
}

enum zcmem_status zcmem_buffer_create(struct zcmem_buffers *buffers, const struct zcmem_buffer_config *config,
                                      zcmem_buffer_t *buffer) {
  if (buffers == NULL || config == NULL || buffer == NULL || !buffer_config_valid(config)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__buffer made = {.flags = config->flags, .size = config->size};
  enum zcmem_status status = ZCMEM_ENOTMAPPED;
  if ((config->flags & ZCMEM_BUFFER_USE_HOST) != 0) {
    made.host = config->host;
    status = adopt_host(buffers->hal, config, &made);
    if (status == ZCMEM_ENOTMAPPED && runs_into_mapped(buffers->hal, config)) {
      return ZCMEM_EINVAL;
    }
  }
  if (status == ZCMEM_ENOTMAPPED) {
    status = furnish(buffers->hal, config, &made);
  }
  if (status == ZCMEM_OK) {
    status = zcmem__lock_take(&buffers->lock);
    if (status == ZCMEM_OK) {
      status = zcmem__buffer_enter(buffers, &made, true, buffer);
      if (status == ZCMEM_OK && (config->flags & ZCMEM_BUFFER_COPY_HOST) != 0) {
        buffers->stats.bytes_copied_in += config->size;
      }
      zcmem__lock_drop(&buffers->lock);
    }
  }
  if (status != ZCMEM_OK && made.addr != HAL_NULLPTR) {
    struct zcmem__buffer_rest rest = {.region = made.region, .addr = made.addr, .owned = made.owned};
    (void)zcmem__buffer_finish(&rest);
  }
  return status;
}

/* With the lock held. */
static enum zcmem_status create_sub(struct zcmem_buffers *buffers, zcmem_buffer_t parent, uint32_t flags,
                                    hal_size_t offset, hal_size_t size, zcmem_buffer_t *buffer) {
  const struct zcmem__buffer *of = zcmem__buffer_find(buffers, parent);
  if (of == NULL) {
    return ZCMEM_ENOENT;
  }
  uint32_t mode = flags & ZCMEM__BUFFER_MODE;
  if ((mode & ~of->flags) != 0) {
    return ZCMEM_EINVAL;
  }
  if (offset > of->size || size > of->size - offset) {
    return ZCMEM_EBOUNDS;
  }
  struct zcmem__buffer made = *of;
  if (mode != 0) {
    made.flags = (of->flags & ~ZCMEM__BUFFER_MODE) | mode;
  }
  made.flags |= flags & ZCMEM_BUFFER_ALIAS;
  made.parent = parent;
  made.offset = offset;
  made.size = size;
  made.addr += offset;
  made.host = made.host == NULL ? NULL : made.host + (size_t)offset;
  if (!lines_own(&made)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__buffer_enter(buffers, &made, false, buffer);
  if (status == ZCMEM_OK) {
    buffers->buffers[made.root].uses++;
  }
  return status;
}

enum zcmem_status zcmem_buffer_create_sub(struct zcmem_buffers *buffers, zcmem_buffer_t parent, uint32_t flags,
                                          hal_size_t offset, hal_size_t size, zcmem_buffer_t *buffer) {
  if (buffers == NULL || buffer == NULL || size == 0 || (flags & ~SUB_FLAGS) != 0) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = create_sub(buffers, parent, flags, offset, size, buffer);
  zcmem__lock_drop(&buffers->lock);
  return status;
}
