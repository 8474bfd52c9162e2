/* SPDX-License-Identifier: MIT */
#include "region.h"
#include "index.h"
#include <string.h>

#ifdef ZCMEM__THREAD_MAGAZINES
_Thread_local char zcmem__self;
#endif

static const struct zcmem_region_ops no_ops = {0};

bool zcmem__name_valid(const char *name) {
  size_t length = 0;
  if (name == NULL) {
    return false;
  }
  while (length <= ZCMEM_NAME_MAX && name[length] != '\0') {
    length++;
  }
  return length >= 1 && length <= ZCMEM_NAME_MAX;
}

void zcmem__name_copy(char to[ZCMEM_NAME_MAX + 1], const char *name) {
  size_t length = strlen(name);
  memcpy(to, name, length + 1);
}

struct zcmem_heap_config zcmem__region_heap_config(const struct zcmem_region_config *config) {
  /* What the allocator gives is zero. The caller's image may have served another HAL before. */
  bool zeroed = config->image == NULL || (config->flags & ZCMEM_REGION_IMAGE_ZEROED) != 0;
  hal_size_t front = zcmem__guard_front(config);
  return (struct zcmem_heap_config){.base = config->base + front,
                                    .size = config->size > front ? config->size - front : 0,
                                    .quantum = config->quantum,
                                    .max_blocks = config->max_blocks,
                                    .flags = zeroed ? ZCMEM_HEAP_ZEROED : 0};
}

enum zcmem_status zcmem__region_init(struct zcmem__region *region, const struct zcmem_region_config *config,
                                     void *image, size_t image_bytes, struct zcmem__shared *shared) {
  struct zcmem_heap_config heap_config = zcmem__region_heap_config(config);
  struct zcmem_heap_info info;
  enum zcmem_status status = ZCMEM_OK;
  if (shared != NULL) {
    region->heap = shared->heap;
    zcmem__lock_destroy(&region->lock);
    region->lock = shared->lock;
  } else {
    status = zcmem_heap_init(image, image_bytes, &heap_config, &region->heap);
  }
  if (status == ZCMEM_OK) {
    status = zcmem_heap_get_info(region->heap, &info);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  region->base = config->base;
  region->size = config->size;
  region->host = config->host;
  region->ops = config->ops != NULL ? config->ops : &no_ops;
  region->ctx = config->ctx;
  region->kind = config->kind;
  region->flags = config->flags;
  region->first = info.base;
  region->grantable = info.size;
  region->host_first = zcmem__region_pointer(region, region->first);
  region->quick = zcmem__heap_quick(region->heap);
  region->way = region->host == NULL                            ? ZCMEM__WAY_NONE
                : (region->flags & ZCMEM_REGION_UNCHECKED) != 0 ? ZCMEM__WAY_UNCHECKED
                                                                : ZCMEM__WAY_CHECKED;
  region->quantum = info.quantum;
  region->cache_line = config->cache_line;
  region->max_blocks = info.max_blocks;
  zcmem__name_copy(region->name, config->name);
  region->owns_image = config->image == NULL;
  region->image_bytes = info.image_bytes;
  zcmem__atomic_init(&region->own_version, 0);
  region->version.at = shared != NULL ? shared->version : &region->own_version;
  region->shared = shared;
  zcmem__atomic_init(&region->revoked, 0);
  zcmem__atomic_init(&region->direct, 0);
  region->serial = 0;
  region->depot = NULL;
  region->guard = NULL;
  if (zcmem__guard_wanted(config)) {
    zcmem__guard_init(&region->hardening, config, region->heap);
    region->guard = &region->hardening;
  }
  region->recorded = false;
  region->tally = (struct zcmem__tally){.entries = NULL};
  memset(&region->stats, 0, sizeof region->stats);
  memset(&region->moved, 0, sizeof region->moved);
  return ZCMEM_OK;
}

/* Neither range is empty nor ends beyond 2^64, so one of the two differences is the distance and does not wrap. */
static bool ranges_overlap(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a >= b ? a - b < b_size : b - a < a_size;
}

bool zcmem__region_overlaps_host(const struct zcmem__region *region, const void *host, hal_size_t size) {
  return region->host != NULL && ranges_overlap((uintptr_t)region->host, region->size, (uintptr_t)host, size);
}

bool zcmem__region_overlaps(const struct zcmem__region *region, const struct zcmem_region_config *config,
                            size_t image_bytes) {
  if (ranges_overlap(region->base, region->size, config->base, config->size)) {
    return true;
  }
  if (config->image != NULL &&
      ranges_overlap((uintptr_t)region->heap, region->image_bytes, (uintptr_t)config->image, image_bytes)) {
    return true;
  }
  return config->host != NULL && zcmem__region_overlaps_host(region, config->host, config->size);
}

/* How often a look-up is tried without the lock. Changes are short, so the second time is lucky in most cases. */
#define LOOKS 4u

enum zcmem_status zcmem__region_look(struct zcmem__region *region, hal_addr_t addr, struct zcmem_block_info *info) {
  struct zcmem_block_info seen;
  for (uint32_t tries = 0; tries < LOOKS; tries++) {
    uint32_t version = zcmem__atomic_version(&region->version);
    enum zcmem_status status = zcmem_heap_find(region->heap, addr, &seen);
    if (zcmem__atomic_unchanged(&region->version, version)) {
      if (status == ZCMEM_OK) {
        *info = seen;
      }
      return status;
    }
  }
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem_heap_find(region->heap, addr, info);
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem__region_extent(struct zcmem__region *region, hal_addr_t addr, struct zcmem__extent *extent) {
  for (uint32_t tries = 0; tries < LOOKS; tries++) {
    uint32_t version = zcmem__atomic_version(&region->version);
    bool found = zcmem__heap_extent(region->heap, addr, extent);
    if (zcmem__atomic_unchanged(&region->version, version)) {
      return found ? ZCMEM_OK : ZCMEM_ENOENT;
    }
  }
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__heap_extent(region->heap, addr, extent) ? ZCMEM_OK : ZCMEM_ENOENT;
  zcmem__lock_drop(&region->lock);
  return status;
}

void zcmem__region_note_alloc(struct zcmem__region *region, enum zcmem_status status, uint64_t *succeeded) {
  if (status == ZCMEM_OK) {
    hal_size_t now = zcmem__heap_in_use(region->heap);
    ++*succeeded;
    if (now > region->stats.peak) {
      region->stats.peak = now;
    }
  } else if (status == ZCMEM_ENOSPC) {
    region->stats.failed_space++;
  } else if (status == ZCMEM_EFRAG) {
    region->stats.failed_fragmented++;
  } else if (status == ZCMEM_ENOMEM) {
    region->stats.failed_blocks++;
  } else if (status == ZCMEM_EINVAL) {
    region->stats.failed_invalid++;
  }
}

/* ------------------------------------------------------------------------------------------------ whose uses -- */

/* This process's uses of the block that holds addr; NULL: the region is not shared. */
static uint32_t *own_uses_of(const struct zcmem__region *region, hal_addr_t addr) {
  uint32_t quantum;
  if (ZCMEM__LIKELY(region->shared == NULL) || !zcmem__heap_quantum(region->heap, addr, &quantum)) {
    return NULL;
  }
  return region->shared->uses + zcmem__index_holder(region->heap, quantum) / ZCMEM__ID;
}

/*
 * The heap counts before the table, and the table forgets before the heap: so a block that the table says is used is
 * used in the heap, too, and nobody takes it into a magazine. A process that is killed between the two did not come to
 * the end of its call, and whoever repairs goes by the table.
 */
static void note_use(uint32_t *uses, enum zcmem_status status, uint32_t one) {
  if (uses != NULL && status == ZCMEM_OK) {
    ZCMEM__ORDER();
    ZCMEM__PUT(*uses, *uses + one);
  }
}

static void forget_use(uint32_t *uses, uint32_t one) {
  if (uses != NULL) {
    ZCMEM__PUT(*uses, *uses - one);
    ZCMEM__ORDER();
  }
}

/* The heap knew of no such use, in an area that nobody checked: all is as before. */
static void keep_use(uint32_t *uses, enum zcmem_status status, uint32_t one) {
  if (uses != NULL && status != ZCMEM_OK) {
    ZCMEM__PUT(*uses, *uses + one);
  }
}

/* Whether the process has such a use to end. What the heap answers for none is ENOENT where no block is. */
static bool may_end(const struct zcmem__region *region, hal_addr_t addr, const uint32_t *uses, uint32_t one,
                    enum zcmem_status *status) {
  uint32_t quantum;
  if (uses == NULL || (*uses / one & ZCMEM__USE_MASK) != 0) {
    return true;
  }
  (void)zcmem__heap_quantum(region->heap, addr, &quantum);
  const struct zcmem__block *block = zcmem__block_const(region->heap, zcmem__index_holder(region->heap, quantum));
  const enum zcmem__state state = zcmem__block_state(block);
  *status = state == ZCMEM__LIVE || state == ZCMEM__ZOMBIE ? ZCMEM_EBUSY : ZCMEM_ENOENT;
  return false;
}

enum zcmem_status zcmem__region_pin(struct zcmem__region *region, hal_addr_t addr) {
  uint32_t *uses = own_uses_of(region, addr);
  enum zcmem_status status = zcmem_heap_pin(region->heap, addr);
  note_use(uses, status, ZCMEM__PIN);
  return status;
}

enum zcmem_status zcmem__region_unpin(struct zcmem__region *region, hal_addr_t addr, bool *freed) {
  uint32_t *uses = own_uses_of(region, addr);
  enum zcmem_status status;
  if (may_end(region, addr, uses, ZCMEM__PIN, &status)) {
    forget_use(uses, ZCMEM__PIN);
    status = zcmem_heap_unpin(region->heap, addr, freed);
    keep_use(uses, status, ZCMEM__PIN);
  }
  return status;
}

enum zcmem_status zcmem__region_begin_transfer(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                               struct zcmem_block_info *info) {
  uint32_t *uses = own_uses_of(region, addr);
  enum zcmem_status status = zcmem_heap_begin_transfer(region->heap, addr, size, info);
  note_use(uses, status, ZCMEM__TRANSFER);
  return status;
}

enum zcmem_status zcmem__region_end_transfer(struct zcmem__region *region, hal_addr_t addr, bool *freed) {
  uint32_t *uses = own_uses_of(region, addr);
  enum zcmem_status status;
  if (may_end(region, addr, uses, ZCMEM__TRANSFER, &status)) {
    forget_use(uses, ZCMEM__TRANSFER);
    status = zcmem_heap_end_transfer(region->heap, addr, freed);
    keep_use(uses, status, ZCMEM__TRANSFER);
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------- transfers -- */

bool zcmem__region_has(const struct zcmem__region *region, hal_addr_t addr, uint32_t tag) {
  const struct zcmem__block *block = zcmem__block_const(region->heap, zcmem__heap_find(region->heap, addr));
  return zcmem__block_state(block) == ZCMEM__LIVE && ZCMEM__GET(block->tag) == tag;
}

enum zcmem_status zcmem__region_begin(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                      const uint32_t *tag) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  bool found = tag == NULL || zcmem__region_has(region, addr, *tag);
  status = found ? zcmem__region_begin_transfer(region, addr, size, NULL) : ZCMEM_ENOENT;
  if (status != ZCMEM_OK) {
    region->stats.failed_transfers++;
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem__region_hold(struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_begin_transfer(region, addr, size, NULL);
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem__region_let_go(struct zcmem__region *region, hal_addr_t addr) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_end_locked(region, addr);
  zcmem__lock_drop(&region->lock);
  return status;
}

/* Whether it was the last use of a zombie in a region with hardening, and has ended. */
static bool end_guarded(struct zcmem__region *region, hal_addr_t addr, uint32_t one, bool *freed) {
  *freed = region->guard != NULL && zcmem__guard_end(region->guard, addr, one, false);
  return *freed;
}

enum zcmem_status zcmem__region_end_locked(struct zcmem__region *region, hal_addr_t addr) {
  bool freed = false;
  zcmem__atomic_change(&region->version);
  enum zcmem_status status =
      end_guarded(region, addr, ZCMEM__TRANSFER, &freed) ? ZCMEM_OK : zcmem__region_end_transfer(region, addr, &freed);
  zcmem__atomic_changed(&region->version);
  if (status == ZCMEM_OK && freed) {
    region->stats.frees++;
  }
  return status;
}

enum zcmem_status zcmem__region_end(struct zcmem__region *region, hal_addr_t addr, uint64_t *counter, uint64_t amount) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_end_locked(region, addr);
  *counter += amount;
  zcmem__lock_drop(&region->lock);
  return status;
}

void zcmem__region_count_failed(struct zcmem__region *region) {
  if (zcmem__lock_take(&region->lock) != ZCMEM_OK) {
    return;
  }
  region->stats.failed_transfers++;
  zcmem__lock_drop(&region->lock);
}

enum zcmem_status zcmem__region_unpin_locked(struct zcmem__region *region, hal_addr_t addr) {
  bool freed = false;
  zcmem__atomic_change(&region->version);
  enum zcmem_status status =
      end_guarded(region, addr, ZCMEM__PIN, &freed) ? ZCMEM_OK : zcmem__region_unpin(region, addr, &freed);
  zcmem__atomic_changed(&region->version);
  if (status == ZCMEM_OK && freed) {
    region->stats.frees++;
  }
  return status;
}
