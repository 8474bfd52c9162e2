/* SPDX-License-Identifier: MIT */
/*
 * Buffers: what they are made of, and how long they live.
 */
#include "buffer_impl.h"
#include <string.h>

#define MEMORY_ALIGN 64u
#define MOST_SLOTS (1u << 24)
#define SOURCES (ZCMEM_BUFFER_USE_HOST | ZCMEM_BUFFER_COPY_HOST | ZCMEM_BUFFER_ALLOC_HOST)
#define KNOWN_FLAGS (ZCMEM__BUFFER_MODE | SOURCES | ZCMEM_BUFFER_ALIAS)
#define SUB_FLAGS (ZCMEM__BUFFER_MODE | ZCMEM_BUFFER_ALIAS)

/* ------------------------------------------------------------------------------------------------- the table -- */

static size_t aligned(size_t bytes) {
  return (bytes + MEMORY_ALIGN - 1) / MEMORY_ALIGN * MEMORY_ALIGN;
}

size_t zcmem_buffers_bytes(const struct zcmem_buffers_config *config) {
  if (config == NULL || config->hal == NULL || config->max_buffers == 0 || config->max_buffers > MOST_SLOTS ||
      config->max_views == 0 || config->max_views > MOST_SLOTS) {
    return 0;
  }
  uint64_t bytes = aligned(sizeof(struct zcmem_buffers)) +
                   (uint64_t)config->max_buffers * sizeof(struct zcmem__buffer) +
                   (uint64_t)config->max_views * sizeof(struct zcmem__view) + MEMORY_ALIGN;
  return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

enum zcmem_status zcmem_buffers_init(void *memory, size_t bytes, const struct zcmem_buffers_config *config,
                                     struct zcmem_buffers **buffers) {
  size_t needed = zcmem_buffers_bytes(config);
  if (memory == NULL || buffers == NULL || needed == 0 || (uintptr_t)memory % MEMORY_ALIGN != 0) {
    return ZCMEM_EINVAL;
  }
  if (bytes < needed) {
    return ZCMEM_ENOMEM;
  }
  memset(memory, 0, needed);
  struct zcmem_buffers *made = memory;
  unsigned char *tables = (unsigned char *)memory + aligned(sizeof *made);
  made->hal = config->hal;
  made->max_buffers = config->max_buffers;
  made->max_views = config->max_views;
  made->buffers = (void *)tables;
  made->views = (void *)(tables + aligned(config->max_buffers * sizeof(struct zcmem__buffer)));
  for (uint32_t i = 0; i < made->max_buffers; i++) {
    made->buffers[i].next = i + 1 < made->max_buffers ? i + 1 : ZCMEM__NO_SLOT;
  }
  for (uint32_t i = 0; i < made->max_views; i++) {
    zcmem__atomic_init(&made->views[i].state, ZCMEM__VIEW_UNUSED);
    made->views[i].next = i + 1 < made->max_views ? i + 1 : ZCMEM__NO_SLOT;
  }
  enum zcmem_status status = zcmem__lock_init(&made->lock, &config->hal->lock_ops);
  if (status == ZCMEM_OK) {
    *buffers = made;
  }
  return status;
}

uint64_t zcmem_buffers_destroy(struct zcmem_buffers *buffers) {
  uint64_t count = 0;
  if (buffers == NULL) {
    return 0;
  }
  for (uint32_t i = 0; i < buffers->max_views; i++) {
    struct zcmem__view *view = &buffers->views[i];
    /* One that is ENDING for good, since the lock failed after it, is unmapped already. */
    if (zcmem__atomic_acquire(&view->state) == ZCMEM__VIEW_OPEN && view->mapped != NULL) {
      (void)zcmem_mem_unmap(buffers->hal, view->mapped);
    }
  }
  for (uint32_t i = 0; i < buffers->max_buffers; i++) {
    const struct zcmem__buffer *buffer = &buffers->buffers[i];
    if (buffer->references == 0 && buffer->uses == 0) {
      continue;
    }
    count++;
    if (buffer->root == i) {
      struct zcmem__buffer_rest rest = {.region = buffer->region, .addr = buffer->addr, .owned = buffer->owned};
      (void)zcmem__buffer_finish(&rest);
    }
  }
  zcmem__lock_destroy(&buffers->lock);
  return count;
}

enum zcmem_status zcmem_buffers_get_stats(struct zcmem_buffers *buffers, struct zcmem_buffers_stats *stats) {
  if (buffers == NULL || stats == NULL || stats->struct_bytes == 0 || stats->struct_bytes > sizeof *stats) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem_buffers_stats now = buffers->stats;
  zcmem__lock_drop(&buffers->lock);
  now.struct_bytes = stats->struct_bytes;
  memcpy(stats, &now, stats->struct_bytes);
  return ZCMEM_OK;
}

/* --------------------------------------------------------------------------------------------------- numbers -- */

zcmem_buffer_t zcmem__buffer_number(const struct zcmem_buffers *buffers, uint32_t slot) {
  return (zcmem_buffer_t)buffers->buffers[slot].generation << 32 | (slot + 1u);
}

struct zcmem__buffer *zcmem__buffer_find(const struct zcmem_buffers *buffers, zcmem_buffer_t buffer) {
  uint32_t slot = (uint32_t)buffer - 1u; /* 0 wraps to a slot that is not there */
  if (slot >= buffers->max_buffers) {
    return NULL;
  }
  struct zcmem__buffer *found = &buffers->buffers[slot];
  return found->references > 0 && found->generation == (uint32_t)(buffer >> 32) ? found : NULL;
}

/* With the lock held: puts what `like` says in an unused slot. ENOMEM: there is none. */
static enum zcmem_status enter(struct zcmem_buffers *buffers, const struct zcmem__buffer *like, bool is_root,
                               zcmem_buffer_t *number) {
  uint32_t slot = buffers->unused_buffer;
  if (slot == ZCMEM__NO_SLOT) {
    return ZCMEM_ENOMEM;
  }
  struct zcmem__buffer *buffer = &buffers->buffers[slot];
  uint32_t generation = buffer->generation;
  buffers->unused_buffer = buffer->next;
  *buffer = *like;
  buffer->generation = generation;
  buffer->references = 1;
  buffer->uses = 0;
  buffer->views = 0;
  if (is_root) {
    buffer->root = slot;
  }
  buffers->stats.buffers++;
  *number = zcmem__buffer_number(buffers, slot);
  return ZCMEM_OK;
}

/* With the lock held: gives the slot back if nobody has the buffer any more. */
static struct zcmem__buffer_rest leave(struct zcmem_buffers *buffers, uint32_t slot) {
  struct zcmem__buffer_rest rest = {.region = NULL};
  struct zcmem__buffer *buffer = &buffers->buffers[slot];
  if (buffer->references > 0 || buffer->uses > 0) {
    return rest;
  }
  uint32_t root = buffer->root;
  if (root == slot) {
    rest = (struct zcmem__buffer_rest){.region = buffer->region, .addr = buffer->addr, .owned = buffer->owned};
  }
  buffer->generation++;
  buffer->next = buffers->unused_buffer;
  buffers->unused_buffer = slot;
  buffers->stats.buffers--;
  return root == slot ? rest : zcmem__buffer_unuse(buffers, root);
}

struct zcmem__buffer_rest zcmem__buffer_unuse(struct zcmem_buffers *buffers, uint32_t slot) {
  buffers->buffers[slot].uses--;
  return leave(buffers, slot);
}

enum zcmem_status zcmem__buffer_finish(const struct zcmem__buffer_rest *rest) {
  return rest->region == NULL ? ZCMEM_OK : zcmem__region_let_go(rest->region, rest->addr, rest->owned);
}

/* ---------------------------------------------------------------------------------------------------- making -- */

bool zcmem__buffer_owns_lines(const struct zcmem__buffer *buffer, hal_addr_t addr, hal_size_t size) {
  hal_size_t line = zcmem__region_line(buffer->region);
  hal_addr_t end = addr + size;
  return addr % line == 0 && (end % line == 0 || end == buffer->block_end);
}

static bool lines_own(const struct zcmem__buffer *buffer) {
  return buffer->shadow || (buffer->flags & ZCMEM_BUFFER_WRITE) == 0 ||
         zcmem__buffer_owns_lines(buffer, buffer->addr, buffer->size);
}

static bool config_valid(const struct zcmem_buffer_config *config) {
  bool uses = (config->flags & ZCMEM_BUFFER_USE_HOST) != 0, copies = (config->flags & ZCMEM_BUFFER_COPY_HOST) != 0;
  return (config->flags & ~KNOWN_FLAGS) == 0 && (config->flags & ZCMEM__BUFFER_MODE) != 0 &&
         (!uses || (config->flags & SOURCES) == ZCMEM_BUFFER_USE_HOST) && (uses || copies) == (config->host != NULL) &&
         config->size > 0 && (config->host == NULL || config->size - 1 <= UINTPTR_MAX - (uintptr_t)config->host);
}

/*
 * A buffer that is the memory at config->host. ENOTMAPPED: no region has it. Where the block ends is asked once it is
 * held: from then on it cannot grow beyond the middle of a line (zcmem_mem_resize).
 */
static enum zcmem_status adopt(struct zcmem_hal *hal, const struct zcmem_buffer_config *config,
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
  if (buffers == NULL || config == NULL || buffer == NULL || !config_valid(config)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__buffer made = {.flags = config->flags, .size = config->size};
  enum zcmem_status status = ZCMEM_ENOTMAPPED;
  if ((config->flags & ZCMEM_BUFFER_USE_HOST) != 0) {
    made.host = config->host;
    status = adopt(buffers->hal, config, &made);
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
      status = enter(buffers, &made, true, buffer);
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
  enum zcmem_status status = enter(buffers, &made, false, buffer);
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

/* ------------------------------------------------------------------------------------------------- its life -- */

enum zcmem_status zcmem_buffer_retain(struct zcmem_buffers *buffers, zcmem_buffer_t buffer) {
  if (buffers == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem__buffer *found = zcmem__buffer_find(buffers, buffer);
  if (found == NULL) {
    status = ZCMEM_ENOENT;
  } else if (found->references == UINT32_MAX) {
    status = ZCMEM_EBUSY;
  } else {
    found->references++;
  }
  zcmem__lock_drop(&buffers->lock);
  return status;
}

enum zcmem_status zcmem_buffer_release(struct zcmem_buffers *buffers, zcmem_buffer_t buffer) {
  struct zcmem__buffer_rest rest = {.region = NULL};
  if (buffers == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem__buffer *found = zcmem__buffer_find(buffers, buffer);
  if (found == NULL) {
    status = ZCMEM_ENOENT;
  } else {
    found->references--;
    rest = leave(buffers, (uint32_t)(found - buffers->buffers));
  }
  zcmem__lock_drop(&buffers->lock);
  return status == ZCMEM_OK ? zcmem__buffer_finish(&rest) : status;
}

enum zcmem_status zcmem_buffer_get_info(struct zcmem_buffers *buffers, zcmem_buffer_t buffer,
                                        struct zcmem_buffer_info *info) {
  if (buffers == NULL || info == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  const struct zcmem__buffer *found = zcmem__buffer_find(buffers, buffer);
  if (found == NULL) {
    status = ZCMEM_ENOENT;
  } else {
    *info = (struct zcmem_buffer_info){.flags = found->flags,
                                       .zero_copy = !found->shadow,
                                       .references = found->references,
                                       .views = found->views,
                                       .parent = found->parent,
                                       .offset = found->offset,
                                       .size = found->size,
                                       .region = (uint32_t)(found->region - buffers->hal->regions),
                                       .addr = found->addr,
                                       .host = found->host};
  }
  zcmem__lock_drop(&buffers->lock);
  return status;
}
