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
  zcmem__atomic_change(&region->version);
  status = wanted > UINT64_MAX - room ? ZCMEM_ENOSPC : zcmem_heap_alloc(region->heap, wanted + room, 1, &at);
  if (status == ZCMEM_OK) {
    status = zcmem_heap_free(region->heap, at);
  }
  if (status == ZCMEM_OK) {
    at += (0 - (at + skew)) & (align - 1);
    status = zcmem_heap_reserve(region->heap, at, size);
  }
  zcmem__atomic_changed(&region->version);
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
  zcmem__atomic_change(&region->version);
  (void)zcmem_heap_unpin(region->heap, addr, NULL);
  (void)zcmem_heap_end_transfer(region->heap, addr, NULL);
  status = zcmem_heap_resize(region->heap, addr, 0);
  (void)zcmem_heap_begin_transfer(region->heap, addr, 0, NULL);
  (void)zcmem_heap_pin(region->heap, addr);
  zcmem__atomic_changed(&region->version);
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

/* The mapping on demand that gave this pointer, if asked for taken: see the header and map.h. ENOENT, EBUSY, ELOCK. */
static enum zcmem_status find_mapping(struct zcmem__map *map, const void *host, bool take,
                                      struct zcmem__mapping **entry, struct zcmem__mapping *copy) {
  enum zcmem_status status = map->capacity == 0 ? ZCMEM_ENOTMAPPED : zcmem__map_given(map, host, take, entry, copy);
  return status == ZCMEM_ENOTMAPPED ? ZCMEM_ENOENT : status;
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

enum zcmem_status zcmem__host_block_find(struct zcmem_hal *hal, const void *host, struct zcmem__region **region,
                                         struct zcmem_block_info *block) {
  hal_addr_t addr = 0;
  enum zcmem_status status = resolve(hal, host, region, &addr);
  if (status == ZCMEM_OK) {
    status = zcmem__region_look(*region, addr, block);
  }
  return status == ZCMEM_OK && block->addr != addr ? ZCMEM_ENOENT : status;
}

/* ---------------------------------------------------------------------------------------------------- release -- */

/* How often a block is in use that nobody uses but its own mapping: pins, and as many transfers. */
static uint32_t own_uses(const struct zcmem__region *region) {
  return region->host == NULL ? 1 : 0;
}

/*
 * With the lock held: whether the block that starts at addr, of which `mapped` bytes are mapped on demand, can be taken
 * from its owner. See the header.
 */
static enum zcmem_status judge(const struct zcmem__region *region, hal_addr_t addr, uint32_t kind, hal_size_t mapped,
                               struct zcmem_block_info *block) {
  enum zcmem_status status = zcmem_heap_find(region->heap, addr, block);
  if (status != ZCMEM_OK || block->addr != addr) {
    return ZCMEM_ENOENT;
  }
  if (region->kind != kind) {
    return ZCMEM_EINVAL;
  }
  bool whole = region->host != NULL || mapped == mapped_bytes(block->requested); /* else the mapping is another's */
  return !whole || block->pins != own_uses(region) || block->transfers != own_uses(region) ? ZCMEM_EBUSY : ZCMEM_OK;
}

/* Judges, and if the block can be taken and `taken` is given, makes it a zombie that is in use by the taker. ELOCK. */
static enum zcmem_status judge_or_take(struct zcmem__region *region, hal_addr_t addr, uint32_t kind, hal_size_t mapped,
                                       struct zcmem__host_block *taken) {
  struct zcmem_block_info block;
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = judge(region, addr, kind, mapped, &block);
  if (status == ZCMEM_OK && taken != NULL) {
    taken->region = region;
    taken->addr = addr;
    taken->requested = block.requested;
    taken->mapped = mapped;
    if (region->host != NULL) {
      (void)zcmem_heap_begin_transfer(region->heap, addr, 0, NULL);
    }
    zcmem__atomic_change(&region->version);
    status = zcmem_heap_free_deferred(region->heap, addr, NULL);
    zcmem__atomic_changed(&region->version);
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
static enum zcmem_status take_mapped(struct zcmem__map *map, uint32_t kind, void *host,
                                     struct zcmem__host_block *taken) {
  struct zcmem__mapping copy;
  enum zcmem_status status = find_mapping(map, host, false, &taken->entry, &copy);
  if (status == ZCMEM_OK) {
    status = judge_or_take(copy.region, copy.addr, kind, copy.size, NULL);
  }
  if (status == ZCMEM_OK) {
    status = find_mapping(map, host, true, &taken->entry, &copy);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  status = judge_or_take(copy.region, copy.addr, kind, copy.size, taken);
  if (status != ZCMEM_OK) {
    zcmem__map_publish(taken->entry, host);
  }
  return status;
}

enum zcmem_status zcmem__host_block_take(struct zcmem_hal *hal, uint32_t kind, void *host,
                                         struct zcmem__host_block *taken) {
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  *taken = (struct zcmem__host_block){.host = host};
  if (region == NULL) {
    return take_mapped(&hal->map, kind, host, taken);
  }
  return judge_or_take(region, region->base + ((uintptr_t)host - (uintptr_t)region->host), kind, 0, taken);
}

enum zcmem_status zcmem__host_block_end(const struct zcmem__host_block *taken) {
  enum zcmem_status unmapped = ZCMEM_OK;
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
  return status == ZCMEM_OK ? zcmem__host_block_end(&taken) : status;
}

/* ----------------------------------------------------------------------------------------------------- resize -- */

static enum zcmem_status resize_mapped(struct zcmem__map *map, uint32_t kind, const void *host, size_t size) {
  struct zcmem__mapping *entry = NULL, copy;
  struct zcmem_block_info block;
  enum zcmem_status status = find_mapping(map, host, false, &entry, &copy);
  if (status == ZCMEM_OK) {
    status = zcmem__lock_take(&copy.region->lock);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  status = judge(copy.region, copy.addr, kind, copy.size, &block);
  zcmem__lock_drop(&copy.region->lock);
  if (status != ZCMEM_OK && status != ZCMEM_EBUSY) {
    return status;
  }
  return block.requested == size ? ZCMEM_OK : status == ZCMEM_EBUSY ? status : ZCMEM_EFRAG;
}

enum zcmem_status zcmem__host_block_resize(struct zcmem_hal *hal, uint32_t kind, const void *host, size_t size) {
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  if (region == NULL) {
    return resize_mapped(&hal->map, kind, host, size);
  }
  hal_addr_t addr = region->base + ((uintptr_t)host - (uintptr_t)region->host);
  if (region->kind == kind) {
    return zcmem_mem_resize(hal, addr, size);
  }
  struct zcmem_block_info block;
  enum zcmem_status status = zcmem__region_look(region, addr, &block);
  return status != ZCMEM_OK ? status : block.addr == addr ? ZCMEM_EINVAL : ZCMEM_ENOENT;
}
