/* SPDX-License-Identifier: MIT */
#include "host_block.h"
#include "move.h"

#define READ_WRITE (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

/* A block of no bytes is mapped as well: the first byte of its quantum. */
static hal_size_t mapped_bytes(hal_size_t requested) {
  return requested == 0 ? 1 : requested;
}

/* ------------------------------------------------------------------------------------------------- allocation -- */

/*
 * A block whose host pointer is aligned although the device address is not: the two differ by `skew` modulo `align`,
 * which is a multiple of the quantum. Room for any place of it is allocated, given back, and the part taken that is
 * where it should be, all under one hold of the lock.
 */
static enum zcmem_status alloc_skewed(struct zcmem__region *region, hal_size_t size, hal_size_t align, hal_size_t skew,
                                      hal_addr_t *addr) {
  hal_size_t room = align - region->quantum, wanted = size == 0 ? 1 : size;
  hal_addr_t at = 0;
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = wanted > UINT64_MAX - room ? ZCMEM_ENOSPC : zcmem_heap_alloc(region->heap, wanted + room, 1, &at);
  if (status == ZCMEM_OK) {
    status = zcmem_heap_free(region->heap, at);
  }
  if (status == ZCMEM_OK) {
    at += (0 - (at + skew)) & (align - 1);
    status = zcmem_heap_reserve(region->heap, at, size);
  }
  zcmem__region_note_alloc(region, status, &region->stats.allocations);
  zcmem__lock_drop(&region->lock);
  if (status == ZCMEM_OK) {
    *addr = at;
  }
  return status;
}

static enum zcmem_status alloc_seen(struct zcmem_hal *hal, uint32_t index, size_t size, size_t align, void **host) {
  struct zcmem__region *region = zcmem__hal_region(hal, index);
  hal_size_t skew = (uintptr_t)region->host - region->base;
  hal_size_t common = align < region->quantum ? align : region->quantum;
  enum zcmem_status status;
  hal_addr_t addr = 0;
  if (skew % common != 0) {
    return ZCMEM_ENOTMAPPED;
  }
  if (skew % align == 0) {
    status = zcmem_mem_alloc(hal, index, size, align, &addr);
  } else {
    status = alloc_skewed(region, size, align, skew, &addr);
  }
  if (status == ZCMEM_OK) {
    *host = zcmem__region_pointer(region, addr);
  }
  return status;
}

/*
 * Makes the new block, which was asked for with one byte so that it could be mapped, one of no bytes. Its own mapping
 * forbids that, so the use is taken away and back under one hold of the lock.
 */
static enum zcmem_status shrink_to_nothing(struct zcmem__region *region, hal_addr_t addr) {
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  (void)zcmem_heap_unpin(region->heap, addr, NULL);
  (void)zcmem_heap_end_transfer(region->heap, addr, NULL);
  status = zcmem_heap_resize(region->heap, addr, 0);
  (void)zcmem_heap_begin_transfer(region->heap, addr, 0, NULL);
  (void)zcmem_heap_pin(region->heap, addr);
  zcmem__lock_drop(&region->lock);
  return status;
}

static enum zcmem_status alloc_mapped(struct zcmem_hal *hal, uint32_t index, size_t size, size_t align, void **host) {
  hal_addr_t addr = 0;
  void *mapped = NULL;
  hal_size_t bytes = mapped_bytes(size);
  enum zcmem_status status = zcmem_mem_alloc(hal, index, bytes, align, &addr);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem_mem_map(hal, addr, bytes, READ_WRITE, &mapped);
  if (status == ZCMEM_OK) {
    status = (uintptr_t)mapped % align != 0 ? ZCMEM_ENOTMAPPED
             : size == 0                    ? shrink_to_nothing(zcmem__hal_region(hal, index), addr)
                                            : ZCMEM_OK;
    if (status == ZCMEM_OK) {
      *host = mapped;
      return ZCMEM_OK;
    }
    (void)zcmem_mem_unmap(hal, mapped);
  }
  /* A block that a lock which fails again leaves in use cannot be freed; nothing else keeps it from being free. */
  (void)zcmem_mem_free(hal, addr);
  return status;
}

enum zcmem_status zcmem__host_block_alloc(struct zcmem_hal *hal, uint32_t kind, size_t size, size_t align,
                                          void **host) {
  enum zcmem_status status = ZCMEM_ENOENT;
  uint32_t count = zcmem_hal_region_count(hal);
  if (align == 0 || (align & (align - 1)) != 0) {
    return ZCMEM_EINVAL;
  }
  for (int on_demand = 0; on_demand < 2; on_demand++) {
    for (uint32_t i = 0; i < count; i++) {
      const struct zcmem__region *region = zcmem__hal_region(hal, i);
      if (region->kind != kind || (region->host == NULL) != (on_demand == 1)) {
        continue;
      }
      if (on_demand == 0) {
        status = alloc_seen(hal, i, size, align, host);
      } else if (region->ops->map != NULL) {
        status = alloc_mapped(hal, i, size, align, host);
      } else if (status == ZCMEM_ENOENT) {
        status = ZCMEM_ENOTMAPPED;
      }
      if (status == ZCMEM_OK) {
        return ZCMEM_OK;
      }
    }
  }
  return status;
}

/* --------------------------------------------------------------------------------------------------- look-up -- */

/*
 * The live mapping that gave this pointer, of several the longest; copied, and if asked for made BUSY, which is the
 * taking described in the header. ENOENT: there is none. EBUSY: taking, and more than one user has it. ELOCK.
 */
static enum zcmem_status find_mapping(struct zcmem__map *map, const void *host, bool take,
                                      struct zcmem__mapping **entry, struct zcmem__mapping *copy) {
  struct zcmem__mapping *found = NULL;
  if (map->capacity == 0 || host == NULL) {
    return ZCMEM_ENOENT;
  }
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (uint32_t i = 0; i < map->capacity; i++) {
    struct zcmem__mapping *at = &map->entries[i];
    if (zcmem__atomic_acquire(&at->state) == ZCMEM__MAPPING_LIVE && at->host == host &&
        (found == NULL || at->size > found->size)) {
      found = at;
    }
  }
  if (found == NULL) {
    status = ZCMEM_ENOENT;
  } else if (take && found->users != 1) {
    status = ZCMEM_EBUSY;
  } else {
    copy->region = found->region;
    copy->addr = found->addr;
    copy->size = found->size;
    *entry = found;
    if (take) {
      found->users = 0;
      zcmem__atomic_publish(&found->state, ZCMEM__MAPPING_BUSY);
    }
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

/* The region and the address that the pointer stands for, whatever is there. ENOENT, ELOCK. */
static enum zcmem_status resolve(struct zcmem_hal *hal, const void *host, struct zcmem__region **region,
                                 hal_addr_t *addr) {
  struct zcmem__mapping *entry = NULL, copy;
  *region = zcmem__hal_region_of_host(hal, host);
  if (*region != NULL) {
    *addr = (*region)->base + ((uintptr_t)host - (uintptr_t)(*region)->host);
    return ZCMEM_OK;
  }
  enum zcmem_status status = find_mapping(&hal->map, host, false, &entry, &copy);
  if (status == ZCMEM_OK) {
    *region = copy.region;
    *addr = copy.addr;
  }
  return status;
}

/* With the lock held: the live block that starts at addr. */
static enum zcmem_status find_locked(const struct zcmem__region *region, hal_addr_t addr,
                                     struct zcmem_block_info *block) {
  enum zcmem_status status = zcmem_heap_find(region->heap, addr, block);
  return status == ZCMEM_OK && block->addr != addr ? ZCMEM_ENOENT : status;
}

enum zcmem_status zcmem__host_block_find(struct zcmem_hal *hal, const void *host, struct zcmem__region **region,
                                         struct zcmem_block_info *block) {
  hal_addr_t addr = 0;
  enum zcmem_status status = resolve(hal, host, region, &addr);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__lock_take(&(*region)->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = find_locked(*region, addr, block);
  zcmem__lock_drop(&(*region)->lock);
  return status;
}

/* ---------------------------------------------------------------------------------------------------- release -- */

/* How often a block is in use that nobody uses but its own mapping: pins, and as many transfers. */
static uint32_t own_uses(const struct zcmem__region *region) {
  return region->host == NULL ? 1 : 0;
}

/* With the lock held: whether the block that starts at addr can be taken from its owner. See the header. */
static enum zcmem_status judge(struct zcmem__region *region, hal_addr_t addr, uint32_t kind,
                               struct zcmem_block_info *block) {
  enum zcmem_status status = find_locked(region, addr, block);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (region->kind != kind) {
    return ZCMEM_EINVAL;
  }
  return block->pins != own_uses(region) || block->transfers != own_uses(region) ? ZCMEM_EBUSY : ZCMEM_OK;
}

/* Judges and, if the block can be taken, makes it a zombie with a use of the taker's. ELOCK. */
static enum zcmem_status make_zombie(struct zcmem__region *region, hal_addr_t addr, uint32_t kind, hal_size_t mapped,
                                     struct zcmem__host_block *taken) {
  struct zcmem_block_info block;
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = judge(region, addr, kind, &block);
  if (status == ZCMEM_OK && region->host == NULL && mapped != mapped_bytes(block.requested)) {
    status = ZCMEM_EBUSY; /* somebody else's mapping, of a part */
  }
  if (status == ZCMEM_OK && region->host != NULL) {
    status = zcmem_heap_begin_transfer(region->heap, addr, 0, NULL);
  }
  if (status == ZCMEM_OK) {
    status = zcmem_heap_free_deferred(region->heap, addr, NULL);
  }
  if (status == ZCMEM_OK) {
    taken->region = region;
    taken->addr = addr;
    taken->requested = block.requested;
  } else if (status == ZCMEM_ENOENT || status == ZCMEM_EBUSY) {
    region->stats.bad_frees++;
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

/*
 * Whoever looks the pointer up while its mapping is taken finds nothing there. So that this happens to nobody whose
 * block then turns out to be in use, what can be refused is refused before.
 */
static enum zcmem_status refuse_mapped(struct zcmem_hal *hal, uint32_t kind, const void *host) {
  struct zcmem__region *region = NULL;
  struct zcmem_block_info block;
  hal_addr_t addr = 0;
  enum zcmem_status status = resolve(hal, host, &region, &addr);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = judge(region, addr, kind, &block);
  if (status == ZCMEM_ENOENT || status == ZCMEM_EBUSY) {
    region->stats.bad_frees++;
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

enum zcmem_status zcmem__host_block_take(struct zcmem_hal *hal, uint32_t kind, void *host,
                                         struct zcmem__host_block *taken) {
  struct zcmem__mapping *entry = NULL, copy;
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  if (region != NULL) {
    *taken = (struct zcmem__host_block){.host = host};
    return make_zombie(region, region->base + ((uintptr_t)host - (uintptr_t)region->host), kind, 0, taken);
  }
  enum zcmem_status status = refuse_mapped(hal, kind, host);
  if (status == ZCMEM_OK) {
    status = find_mapping(&hal->map, host, true, &entry, &copy);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  *taken = (struct zcmem__host_block){.entry = entry, .mapped = copy.size, .host = host};
  status = make_zombie(copy.region, copy.addr, kind, copy.size, taken);
  if (status != ZCMEM_OK) {
    zcmem__map_publish(entry, host);
  }
  return status;
}

enum zcmem_status zcmem__host_block_end(struct zcmem_hal *hal, const struct zcmem__host_block *taken) {
  enum zcmem_status unmapped = ZCMEM_OK;
  (void)hal;
  if (taken->entry != NULL) {
    unmapped = zcmem__move_unmap(taken->region, taken->addr, taken->mapped, taken->host);
    zcmem__map_abandon(taken->entry);
  }
  enum zcmem_status status = zcmem__lock_take(&taken->region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (taken->entry != NULL) {
    (void)zcmem__region_unpin_locked(taken->region, taken->addr);
  }
  (void)zcmem__region_end_locked(taken->region, taken->addr);
  zcmem__lock_drop(&taken->region->lock);
  return unmapped;
}

enum zcmem_status zcmem__host_block_free(struct zcmem_hal *hal, uint32_t kind, void *host) {
  struct zcmem__host_block taken;
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  if (region != NULL && region->kind == kind) {
    /* Address 0, which is in no block, means nothing to do to zcmem_mem_free. */
    hal_addr_t addr = region->base + ((uintptr_t)host - (uintptr_t)region->host);
    return addr == HAL_NULLPTR ? ZCMEM_ENOENT : zcmem_mem_free(hal, addr);
  }
  enum zcmem_status status = zcmem__host_block_take(hal, kind, host, &taken);
  return status == ZCMEM_OK ? zcmem__host_block_end(hal, &taken) : status;
}

/* ----------------------------------------------------------------------------------------------------- resize -- */

enum zcmem_status zcmem__host_block_resize(struct zcmem_hal *hal, uint32_t kind, void *host, size_t size) {
  struct zcmem__region *region = NULL;
  struct zcmem_block_info block;
  enum zcmem_status status = zcmem__host_block_find(hal, host, &region, &block);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (region->kind != kind) {
    return ZCMEM_EINVAL;
  }
  if (region->host != NULL) {
    return zcmem_mem_resize(hal, block.addr, size);
  }
  return size == block.requested ? ZCMEM_OK : ZCMEM_EFRAG;
}
