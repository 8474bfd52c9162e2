/* SPDX-License-Identifier: MIT */
/*
 * Contexts: which magazines are whose, by a handle. What magazines do is magazine.h's, and what happens past them is
 * mem.c's; the same as for those that a thread has by itself (thread.c).
 */
#include "context_impl.h"
#include "mem_impl.h"
#include "probe.h"
#include <string.h>

/* Blocks that are given back in one hold of the lock. */
#define DRAIN_STEP 64u

/* ------------------------------------------------------------------------------------------- one call at a time -- */

static bool is_open(const struct zcmem_context *context) {
  return context != NULL && context->self == context;
}

/*
 * OK: nobody else was noticed, and others will notice. The owner's own stores, without a read-modify-write: two threads
 * that come at the same moment both get in, which the program has to exclude. Calls on the fast path are noticed by the
 * state of the magazines that they are in.
 */
static enum zcmem_status begin_call(struct zcmem_context *context) {
  if (!is_open(context)) {
    return ZCMEM_EINVAL;
  }
  if (zcmem__atomic_acquire(&context->busy) != 0) {
    return ZCMEM_EBUSY;
  }
  zcmem__atomic_publish(&context->busy, 1);
  return ZCMEM_OK;
}

static void end_call(struct zcmem_context *context) {
  zcmem__atomic_publish(&context->busy, 0);
}

/* ------------------------------------------------------------------------------------------- magazines of a part -- */

#ifdef ZCMEM__MAGAZINES
/* Bytes of the magazines of one region; 0: contexts keep nothing of it. */
static size_t part_bytes(const struct zcmem__region *region, uint32_t blocks) {
  return region->depot == NULL || region->shared != NULL ? 0 : zcmem__magazines_bytes(blocks);
}

/* Makes them, with memory that is there. ELOCK: not yet. */
static struct zcmem__magazines *open_part(struct zcmem_context *context, struct zcmem__region *region,
                                          struct zcmem__context_part *part) {
  struct zcmem__magazines *mine = part->place;
  memset(mine, 0, sizeof *mine);
  zcmem__magazines_init(mine, region, context->blocks, context);
  mine->context = context;
  mine->alone = context->single;
  if (zcmem__region_take(region) != ZCMEM_OK) {
    return NULL;
  }
  if (!context->single) { /* a context goes from thread to thread, so no thread is alone beside it */
    if (zcmem__atomic_word_acquire(&region->lone) != 0) {
      zcmem__magazines_share(region);
    }
    region->heap->shared = ZCMEM__SHARED_MANY;
  }
  zcmem__magazines_join(region, mine);
  zcmem__lock_drop(&region->lock);
  part->mine = mine;
  return mine;
}

/* The part of a region, or NULL: contexts keep nothing of it, or it was added later. */
static struct zcmem__context_part *context_part(struct zcmem_context *context, const struct zcmem__region *region) {
  size_t index = (size_t)(region - context->hal->regions);
  return index < context->count && context->part[index].place != NULL ? &context->part[index] : NULL;
}

/* A region's magazines; NULL: there are none, or not yet. */
ZCMEM__INLINE struct zcmem__magazines *mine_of(struct zcmem_context *context, const struct zcmem__region *region) {
  size_t index = (size_t)(region - context->hal->regions);
  return index < context->count ? context->part[index].mine : NULL;
}

ZCMEM__INLINE bool enter_mine(const struct zcmem_context *context, struct zcmem__magazines *mine,
                              const struct zcmem__region *region) {
  return mine != NULL && zcmem__atomic_acquire(&context->busy) == 0 &&
         zcmem__magazines_enter_as(mine, region, context->single);
}

/* Whether somebody else is in the magazines: then he is on the fast path. */
static bool is_entered(struct zcmem_context *context, const struct zcmem__region *region) {
  const struct zcmem__magazines *mine = mine_of(context, region);
  return mine != NULL && zcmem__atomic_acquire(&mine->state) == ZCMEM__BARRIER_BUSY;
}

/* For what the fast path did not do: they are made if they are not there. */
static struct zcmem__magazines *mine_or_new(struct zcmem_context *context, struct zcmem__region *region,
                                            struct zcmem__context_part *part) {
  if (part != NULL && part->mine == NULL) {
    return open_part(context, region, part);
  }
  return part == NULL ? NULL : part->mine;
}

/*
 * With the lock: gives back some of what a part keeps, and where nobody else has magazines, of what lies in the depot.
 * Less than DRAIN_STEP: that was all.
 */
static uint32_t drain_some(struct zcmem__region *region, struct zcmem__magazines *mine) {
  zcmem__atomic_change(&region->version);
  uint32_t given = zcmem__magazines_empty(region, mine, DRAIN_STEP);
  if (region->depot->threads == 1) {
    given += zcmem__depot_give_back(region, DRAIN_STEP - given);
  }
  zcmem__atomic_changed(&region->version);
  return given;
}

/* Gives back all that one part keeps; last: and takes it out of the region's list. */
static enum zcmem_status drain_part(struct zcmem__region *region, struct zcmem__context_part *part, bool last) {
  uint32_t given = DRAIN_STEP;
  while (given == DRAIN_STEP) {
    enum zcmem_status status = zcmem__region_take(region);
    if (status != ZCMEM_OK) {
      return status;
    }
    given = drain_some(region, part->mine);
    if (last && given < DRAIN_STEP) {
      zcmem__magazines_part(region, part->mine);
      part->mine = NULL;
    }
    zcmem__lock_drop(&region->lock);
  }
  return ZCMEM_OK;
}

static enum zcmem_status drain_all(struct zcmem_context *context, bool last) {
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t i = 0; i < context->count; i++) {
    if (is_entered(context, zcmem__hal_region_at(context->hal, i))) {
      return ZCMEM_EBUSY;
    }
  }
  for (uint32_t i = 0; i < context->count && status == ZCMEM_OK; i++) {
    if (context->part[i].mine != NULL) {
      status = drain_part(zcmem__hal_region_at(context->hal, i), &context->part[i], last);
    }
  }
  return status;
}

/* From what is kept, without the lock. False: it is not done. */
ZCMEM__INLINE bool alloc_kept(struct zcmem_context *context, const struct zcmem__region *region, hal_size_t size,
                              hal_size_t align, hal_addr_t *addr) {
  struct zcmem__magazines *mine = mine_of(context, region);
  uint32_t need;
  if (ZCMEM__UNLIKELY(addr == NULL || !enter_mine(context, mine, region))) {
    return false;
  }
  bool done = zcmem__magazines_keep(mine, size, align, &need) && zcmem__magazines_pop(mine, need, size, addr);
  zcmem__magazines_leave(mine);
  return done;
}

ZCMEM__INLINE bool free_kept(struct zcmem_context *context, const struct zcmem__region *region, hal_addr_t addr) {
  struct zcmem__magazines *mine = mine_of(context, region);
  if (ZCMEM__UNLIKELY(!enter_mine(context, mine, region))) {
    return false;
  }
  bool done = zcmem__magazines_free(mine, addr);
  zcmem__magazines_leave(mine);
  return done;
}

/* The same of a size a little larger. */
static bool alloc_larger(struct zcmem_context *context, const struct zcmem__region *region, hal_size_t size,
                         hal_size_t align, hal_addr_t *addr) {
  struct zcmem__magazines *mine = mine_of(context, region);
  uint32_t need;
  if (addr == NULL || mine == NULL || !zcmem__magazines_keep(mine, size, align, &need) ||
      !zcmem__magazines_enter_as(mine, region, context->single)) {
    return false;
  }
  bool done = zcmem__magazines_pop_larger(mine, need, size, addr);
  zcmem__magazines_leave(mine);
  return done;
}

static enum zcmem_status alloc_from(struct zcmem_context *context, struct zcmem__region *region, hal_size_t size,
                                    hal_size_t align, hal_addr_t *addr) {
  if (is_entered(context, region)) {
    return ZCMEM_EBUSY;
  }
  if (alloc_larger(context, region, size, align, addr)) {
    return ZCMEM_OK;
  }
  struct zcmem__context_part *part = context_part(context, region);
  return zcmem__mem_alloc_past(region, mine_or_new(context, region, part), size, align, addr);
}

static enum zcmem_status free_into(struct zcmem_context *context, struct zcmem__region *region, hal_addr_t addr) {
  if (is_entered(context, region)) {
    return ZCMEM_EBUSY;
  }
  struct zcmem__context_part *part = context_part(context, region);
  return zcmem__mem_free_past(region, mine_or_new(context, region, part), addr);
}
#else
static size_t part_bytes(const struct zcmem__region *region, uint32_t blocks) {
  (void)region;
  (void)blocks;
  return 0;
}

static bool alloc_kept(struct zcmem_context *context, const struct zcmem__region *region, hal_size_t size,
                       hal_size_t align, hal_addr_t *addr) {
  (void)context;
  (void)region;
  (void)size;
  (void)align;
  (void)addr;
  return false;
}

static bool free_kept(struct zcmem_context *context, const struct zcmem__region *region, hal_addr_t addr) {
  (void)context;
  (void)region;
  (void)addr;
  return false;
}

static enum zcmem_status drain_all(struct zcmem_context *context, bool last) {
  (void)context;
  (void)last;
  return ZCMEM_OK;
}

static enum zcmem_status alloc_from(struct zcmem_context *context, const struct zcmem__region *region, hal_size_t size,
                                    hal_size_t align, hal_addr_t *addr) {
  return zcmem_mem_alloc(context->hal, (uint32_t)(region - context->hal->regions), size, align, addr);
}

static enum zcmem_status free_into(struct zcmem_context *context, struct zcmem__region *region, hal_addr_t addr) {
  (void)region;
  return zcmem_mem_free(context->hal, addr);
}
#endif

/* ------------------------------------------------------------------------------------------------- making them -- */

static uint32_t blocks_of(const struct zcmem_context_config *config) {
  return config->blocks == 0 ? ZCMEM_CONTEXT_BLOCKS : config->blocks;
}

static size_t head_bytes(uint32_t count) {
  return zcmem__lines(sizeof(struct zcmem_context) + count * sizeof(struct zcmem__context_part));
}

static size_t bytes_for(const struct zcmem_context_config *config, uint32_t count) {
  size_t bytes = head_bytes(count);
  for (uint32_t i = 0; i < count; i++) {
    bytes += part_bytes(zcmem__hal_region_at(config->hal, i), blocks_of(config));
  }
  return bytes;
}

static bool context_config_valid(const struct zcmem_context_config *config) {
  return config != NULL && config->hal != NULL && config->blocks <= ZCMEM_CONTEXT_BLOCKS;
}

size_t zcmem_context_bytes(const struct zcmem_context_config *config) {
  return context_config_valid(config) ? bytes_for(config, zcmem_hal_region_count(config->hal)) : 0;
}

/* Puts it into the HAL's list, unless its memory is another one's. */
static enum zcmem_status publish_context(struct zcmem_hal *hal, struct zcmem_context *made,
                                         const struct zcmem_context *like) {
  uintptr_t from = (uintptr_t)made;
  enum zcmem_status status = zcmem__lock_take(&hal->adding);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (const struct zcmem_context *at = hal->contexts; at != NULL && status == ZCMEM_OK; at = at->next) {
    uintptr_t other = (uintptr_t)at;
    if (from < other ? other - from < like->bytes : from - other < at->bytes) {
      status = ZCMEM_EOVERLAP;
    }
  }
  if (status == ZCMEM_OK) { /* before this not a byte is stored there */
    memset(made, 0, head_bytes(like->count));
    *made = *like;
    made->self = made;
    zcmem__atomic_init(&made->busy, 0);
    made->next = hal->contexts;
    hal->contexts = made;
  }
  zcmem__lock_drop(&hal->adding);
  return status;
}

enum zcmem_status zcmem_context_init(void *memory, size_t bytes, const struct zcmem_context_config *config,
                                     struct zcmem_context **context) {
  if (memory == NULL || context == NULL || (uintptr_t)memory % ZCMEM__LINE != 0 || !context_config_valid(config)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_context like = {.hal = config->hal,
                               .blocks = blocks_of(config),
                               .count = zcmem_hal_region_count(config->hal),
                               .single = config->hal->lock_ops.lock == zcmem_lock_none.lock};
  like.bytes = bytes_for(config, like.count);
  if (bytes < like.bytes) {
    return ZCMEM_ENOMEM;
  }
  struct zcmem_context *made = memory;
  enum zcmem_status status = publish_context(config->hal, made, &like);
  if (status != ZCMEM_OK) {
    return status;
  }
  unsigned char *at = (unsigned char *)memory + head_bytes(like.count);
  for (uint32_t i = 0; i < like.count; i++) {
    size_t needed = part_bytes(zcmem__hal_region_at(config->hal, i), like.blocks);
    made->part[i].place = needed == 0 ? NULL : (void *)at;
    at += needed;
  }
  *context = made;
  return ZCMEM_OK;
}

/* Out of the HAL's list. */
static enum zcmem_status unlist(struct zcmem_context *context) {
  struct zcmem_hal *hal = context->hal;
  enum zcmem_status status = zcmem__lock_take(&hal->adding);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem_context **at = &hal->contexts;
  while (*at != context) {
    at = &(*at)->next;
  }
  *at = context->next;
  zcmem__lock_drop(&hal->adding);
  return ZCMEM_OK;
}

enum zcmem_status zcmem_context_destroy(struct zcmem_context *context) {
  enum zcmem_status status = begin_call(context);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = drain_all(context, true);
  if (status == ZCMEM_OK) {
    status = unlist(context);
  }
  if (status == ZCMEM_OK) {
    context->self = NULL;
  }
  end_call(context);
  return status;
}

/* --------------------------------------------------------------------------------------------- blocks through it -- */

static ZCMEM__NOINLINE enum zcmem_status alloc_slowly(struct zcmem_context *context, struct zcmem__region *region,
                                                      hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  enum zcmem_status status = begin_call(context);
  if (status == ZCMEM_OK) {
    status = region == NULL ? ZCMEM_EINVAL : alloc_from(context, region, size, align, addr);
    end_call(context);
  }
  return status;
}

static ZCMEM__NOINLINE enum zcmem_status free_slowly(struct zcmem_context *context, struct zcmem__region *region,
                                                     hal_addr_t addr) {
  enum zcmem_status status = begin_call(context);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (addr == HAL_NULLPTR || region == NULL) {
    status = addr == HAL_NULLPTR ? ZCMEM_OK : ZCMEM_ENOENT;
  } else {
    status = free_into(context, region, addr);
  }
  end_call(context);
  return status;
}

enum zcmem_status zcmem_context_alloc(struct zcmem_context *context, uint32_t region, hal_size_t size, hal_size_t align,
                                      hal_addr_t *addr) {
  if (ZCMEM__UNLIKELY(!is_open(context))) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *in = zcmem__hal_region(context->hal, region);
  enum zcmem_status status = ZCMEM_OK;
  if (ZCMEM__UNLIKELY(in == NULL || !alloc_kept(context, in, size, align, addr))) {
    status = alloc_slowly(context, in, size, align, addr);
  }
  ZCMEM__PROBE_ALLOC(in, size, align, status, addr);
  return status;
}

enum zcmem_status zcmem_context_free(struct zcmem_context *context, hal_addr_t addr) {
  if (ZCMEM__UNLIKELY(!is_open(context))) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of(context->hal, addr);
  enum zcmem_status status = ZCMEM_OK;
  if (ZCMEM__UNLIKELY(region == NULL || addr == HAL_NULLPTR || !free_kept(context, region, addr))) {
    status = free_slowly(context, region, addr);
  }
  ZCMEM__PROBE_FREE(addr, status);
  return status;
}

enum zcmem_status zcmem_context_drain(struct zcmem_context *context) {
  enum zcmem_status status = begin_call(context);
  if (status == ZCMEM_OK) {
    status = drain_all(context, false);
    end_call(context);
  }
  return status;
}
