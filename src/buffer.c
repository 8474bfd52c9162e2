/* SPDX-License-Identifier: MIT */
/*
 * Buffers: their table, their numbers, and how long they live.
 */
#include "buffer_impl.h"
#include "fork.h"
#include "guarded.h"
#include "mem_impl.h"
#include <string.h>

#define MOST_SLOTS (1u << 24)

/* ------------------------------------------------------------------------------------------------- the table -- */

size_t zcmem_buffers_bytes(const struct zcmem_buffers_config *config) {
  if (config == NULL || config->hal == NULL || config->max_buffers == 0 || config->max_buffers > MOST_SLOTS ||
      config->max_views == 0 || config->max_views > MOST_SLOTS) {
    return 0;
  }
  uint64_t bytes = zcmem__lines(sizeof(struct zcmem_buffers)) +
                   (uint64_t)config->max_buffers * sizeof(struct zcmem__buffer) +
                   (uint64_t)config->max_views * sizeof(struct zcmem__view) + ZCMEM__LINE;
  return bytes > SIZE_MAX ? 0 : (size_t)bytes;
}

enum zcmem_status zcmem_buffers_init(void *memory, size_t bytes, const struct zcmem_buffers_config *config,
                                     struct zcmem_buffers **buffers) {
  size_t needed = zcmem_buffers_bytes(config);
  if (memory == NULL || buffers == NULL || needed == 0 || (uintptr_t)memory % ZCMEM__LINE != 0) {
    return ZCMEM_EINVAL;
  }
  if (bytes < needed) {
    return ZCMEM_ENOMEM;
  }
  memset(memory, 0, needed);
  struct zcmem_buffers *made = memory;
  unsigned char *tables = (unsigned char *)memory + zcmem__lines(sizeof *made);
  made->hal = config->hal;
  made->max_buffers = config->max_buffers;
  made->max_views = config->max_views;
  made->buffers = (void *)tables;
  made->views = (void *)(tables + zcmem__lines(config->max_buffers * sizeof(struct zcmem__buffer)));
  for (uint32_t i = 0; i < made->max_buffers; i++) {
    made->buffers[i].next = i + 1 < made->max_buffers ? i + 1 : ZCMEM__NO_SLOT;
  }
  for (uint32_t i = 0; i < made->max_views; i++) {
    zcmem__atomic_init(&made->views[i].state, ZCMEM__VIEW_UNUSED);
    made->views[i].next = i + 1 < made->max_views ? i + 1 : ZCMEM__NO_SLOT;
  }
  enum zcmem_status status = zcmem__lock_init(&made->lock, &config->hal->lock_ops);
  if (status == ZCMEM_OK) {
    zcmem__fork_open_lock(made->hal, &made->lock);
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
  zcmem__fork_close_lock(buffers->hal, &buffers->lock);
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

enum zcmem_status zcmem__buffer_enter(struct zcmem_buffers *buffers, const struct zcmem__buffer *like, bool is_root,
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
/* NOLINTNEXTLINE(misc-no-recursion): a sub-buffer's root is its own root */
static struct zcmem__buffer_rest forget(struct zcmem_buffers *buffers, uint32_t slot) {
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

/* NOLINTNEXTLINE(misc-no-recursion): once more, for the root */
struct zcmem__buffer_rest zcmem__buffer_unuse(struct zcmem_buffers *buffers, uint32_t slot) {
  buffers->buffers[slot].uses--;
  return forget(buffers, slot);
}

/* The block is the buffer's own, so it is freed in any case: deferred, if others use it, too. */
static enum zcmem_status free_locked(struct zcmem__region *region, hal_addr_t addr, struct zcmem__guard_freed *freed) {
  unsigned how = zcmem__guard_poisons(region->guard) ? ZCMEM__GUARD_DOOM : ZCMEM__GUARD_FREE;
  how |= ZCMEM__GUARD_DEFER | ZCMEM__GUARD_INSIST;
  const struct zcmem__tally_block block = zcmem__tally_before(&region->tally, region->heap, addr);
  zcmem__atomic_change(&region->version);
  enum zcmem_status status = region->guard == NULL ? zcmem_heap_free_deferred(region->heap, addr, &freed->deferred)
                                                   : zcmem__guard_free(region->guard, addr, NULL, how, freed);
  zcmem__atomic_changed(&region->version);
  zcmem__tally_freed(&region->tally, block, status);
  return status;
}

/* Lets the block go and frees it. If somebody has freed it already, deferred, that is no failure, and not told. */
static enum zcmem_status let_go_and_free(struct zcmem__region *region, hal_addr_t addr) {
  struct zcmem__guard_freed how = {.deferred = false};
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_end_locked(region, addr);
  bool freed = status == ZCMEM_OK && free_locked(region, addr, &how) == ZCMEM_OK;
  bool poisons = freed && !how.deferred && zcmem__guard_poisons(region->guard);
  if (freed && !poisons) {
    zcmem__mem_count_free(region, ZCMEM_OK, how.deferred);
  }
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  if (poisons) {
    status = zcmem__guarded_end(region, addr, how.requested);
  }
  if (freed) {
    enum zcmem_event_kind kind = how.deferred ? ZCMEM_EVENT_FREE_DEFERRED : ZCMEM_EVENT_FREE;
    zcmem__record_ranged(region, kind, status, addr, 0, sequence);
  }
  return status;
}

enum zcmem_status zcmem__buffer_finish(const struct zcmem__buffer_rest *rest) {
  if (rest->region == NULL) {
    return ZCMEM_OK;
  }
  return rest->owned ? let_go_and_free(rest->region, rest->addr) : zcmem__region_let_go(rest->region, rest->addr);
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
    rest = forget(buffers, (uint32_t)(found - buffers->buffers));
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
