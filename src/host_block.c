/* SPDX-License-Identifier: MIT */
#include "host_block.h"
#include "guarded.h"
#include "move.h"
#include <string.h>

#define READ_WRITE (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

/* A block of no bytes is mapped as well: the first byte of its quantum. */
static hal_size_t mapped_bytes(hal_size_t requested) {
  return requested == 0 ? 1 : requested;
}

/* ------------------------------------------------------------------------------------------------- allocation -- */

/*
 * A block whose host pointer is aligned although the device address is not: the two differ by `skew` modulo `align`,
 * which is a multiple of the quantum. A block with room for any place of it is allocated, given back, and the part
 * reserved that is where it should be: the latter two under one hold of the lock, which whoever takes from the heap
 * needs.
 */
static enum zcmem_status alloc_skewed(struct zcmem_hal *hal, uint32_t index, hal_size_t size, hal_size_t align,
                                      hal_size_t skew, hal_addr_t *addr) {
  struct zcmem__region *region = zcmem__hal_region_at(hal, index);
  hal_size_t room = align - region->quantum, wanted = size == 0 ? 1 : size;
  hal_addr_t at = 0;
  enum zcmem_status status =
      wanted > UINT64_MAX - room ? ZCMEM_ENOSPC : zcmem_mem_alloc(hal, index, wanted + room, 1, &at);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    (void)zcmem_mem_free(hal, at);
    return status;
  }
  zcmem__atomic_change(&region->version);
  hal_addr_t whole = at;
  status = zcmem_heap_free(region->heap, at);
  if (status == ZCMEM_OK) {
    at += (0 - (at + skew)) & (align - 1);
    status = zcmem_heap_reserve(region->heap, at, size);
  }
  zcmem__atomic_changed(&region->version);
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_FREE, ZCMEM_OK, whole, 0, sequence);
  if (zcmem__record_on(region)) {
    zcmem__record_alloc(region, status, size, align, &at);
  }
  if (status == ZCMEM_OK) {
    *addr = at;
  }
  return status;
}

static enum zcmem_status alloc_seen(struct zcmem_hal *hal, uint32_t index, size_t size, size_t align, void **host) {
  struct zcmem__region *region = zcmem__hal_region_at(hal, index);
  hal_size_t skew = (uintptr_t)region->host - region->base;
  hal_size_t common = align < region->quantum ? align : region->quantum;
  enum zcmem_status status;
  hal_addr_t addr = 0;
  if (skew % common != 0) {
    return ZCMEM_ENOTMAPPED;
  }
  if (skew % align != 0 && region->guard != NULL) {
    return ZCMEM_ENOTMAPPED; /* reserving has no hardening */
  }
  if (skew % align == 0) {
    status = zcmem_mem_alloc(hal, index, size, align, &addr);
  } else {
    status = alloc_skewed(hal, index, size, align, skew, &addr);
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
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  zcmem__atomic_change(&region->version);
  (void)zcmem__region_unpin(region, addr, NULL);
  (void)zcmem__region_end_transfer(region, addr, NULL);
  status = zcmem_heap_resize(region->heap, addr, 0);
  (void)zcmem__region_begin_transfer(region, addr, 0, NULL);
  (void)zcmem__region_pin(region, addr);
  zcmem__atomic_changed(&region->version);
  zcmem__lock_drop(&region->lock);
  zcmem__record(region, ZCMEM_EVENT_RESIZE, status, addr, 0);
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
             : size == 0                    ? shrink_to_nothing(zcmem__hal_region_at(hal, index), addr)
                                            : ZCMEM_OK;
    if (status == ZCMEM_OK) {
      *host = mapped;
      return ZCMEM_OK;
    }
    (void)zcmem_mem_unmap(hal, mapped);
  }
  /* A lock that fails again leaves the block in use. ENOENT: a stray free of its address came first. */
  if (status != ZCMEM_ENOENT) {
    (void)zcmem_mem_free(hal, addr);
  }
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
      const struct zcmem__region *region = zcmem__hal_region_at(hal, i);
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
 * With the lock held: whether the block that was found for addr starts there and is used by nobody but its owner, with
 * the mapping that gave its pointer, and, `held` times, by the caller. See the header.
 */
static enum zcmem_status judge(const struct zcmem__region *region, hal_addr_t addr, uint32_t kind, uint32_t held,
                               const struct zcmem_block_info *block) {
  if (block->addr != addr) {
    return ZCMEM_ENOENT;
  }
  if (region->kind != kind) {
    return ZCMEM_EINVAL;
  }
  bool in_use = block->pins != own_uses(region) || block->transfers != own_uses(region) + held;
  return in_use ? ZCMEM_EBUSY : ZCMEM_OK;
}

enum step { LOOK, HOLD, DOOM };

/*
 * With the lock held. The block is held before it is judged: until then a thread may free it that needs no lock for it.
 */
static enum zcmem_status advance_locked(struct zcmem__host_block *block, uint32_t kind, enum step step) {
  struct zcmem__region *region = block->region;
  struct zcmem_block_info info;
  bool begin = step != LOOK && block->held == 0;
  enum zcmem_status status = begin ? zcmem__region_begin_transfer(region, block->addr, 0, &info)
                                   : zcmem_heap_find(region->heap, block->addr, &info);
  if (status != ZCMEM_OK) {
    return status == ZCMEM_EBOUNDS ? ZCMEM_ENOENT : status; /* the unused end of a block is not its start */
  }
  block->held += begin;
  block->requested = info.requested;
  status = judge(region, block->addr, kind, block->held, &info);
  if (status == ZCMEM_OK && step == DOOM) {
    const struct zcmem__tally_block counted = zcmem__tally_before(&region->tally, region->heap, block->addr);
    zcmem__atomic_change(&region->version);
    status = zcmem_heap_free_deferred(region->heap, block->addr, NULL);
    zcmem__atomic_changed(&region->version);
    zcmem__tally_freed(&region->tally, counted, status);
  }
  if (status != ZCMEM_OK && begin) {
    block->held = 0;
    (void)zcmem__region_end_locked(region, block->addr);
  }
  return status;
}

/* Judges, and if nobody else uses the block, holds it, or makes it a zombie in whose use the caller is. ELOCK. */
static enum zcmem_status advance(struct zcmem__host_block *block, uint32_t kind, enum step step) {
  enum zcmem_status status = zcmem__region_take(block->region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = advance_locked(block, kind, step);
  if (status == ZCMEM_ENOENT || status == ZCMEM_EBUSY) {
    block->region->stats.bad_frees++;
  }
  zcmem__lock_drop(&block->region->lock);
  return status;
}

/*
 * Whoever looks the pointer up while its mapping is taken finds nothing there. So that this happens to nobody whose
 * block then turns out to be in use, what can be refused is refused before.
 */
static enum zcmem_status take_mapped(struct zcmem__map *map, uint32_t kind, struct zcmem__host_block *block,
                                     enum step step) {
  struct zcmem__mapping copy;
  enum zcmem_status status = ZCMEM_OK;
  for (int taken = 0; taken < 2 && status == ZCMEM_OK; taken++) {
    status = find_mapping(map, block->host, taken != 0, &block->entry, &copy);
    if (status == ZCMEM_OK) {
      block->region = copy.region;
      block->addr = copy.addr;
      block->mapped = copy.size;
      status = advance(block, kind, taken != 0 ? step : LOOK);
      if (status != ZCMEM_OK && taken != 0) {
        zcmem__map_publish(block->entry, block->host);
      }
    }
  }
  return status;
}

static enum zcmem_status take_at(struct zcmem_hal *hal, uint32_t kind, void *host, enum step step,
                                 struct zcmem__host_block *block) {
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  *block = (struct zcmem__host_block){.region = region, .host = host};
  if (region == NULL) {
    return take_mapped(&hal->map, kind, block, step);
  }
  block->addr = region->base + ((uintptr_t)host - (uintptr_t)region->host);
  return advance(block, kind, step);
}

enum zcmem_status zcmem__host_block_hold(struct zcmem_hal *hal, uint32_t kind, void *host,
                                         struct zcmem__host_block *held) {
  return take_at(hal, kind, host, HOLD, held);
}

enum zcmem_status zcmem__host_block_let_go(const struct zcmem__host_block *held) {
  enum zcmem_status status = zcmem__region_let_go(held->region, held->addr);
  if (held->entry != NULL) {
    zcmem__map_publish(held->entry, held->host);
  }
  return status;
}

enum zcmem_status zcmem__host_block_copy(struct zcmem_hal *hal, const struct zcmem__host_block *held, void *to,
                                         size_t size) {
  size_t seen = held->entry != NULL && held->mapped < size ? (size_t)held->mapped : size;
  memcpy(to, held->host, seen);
  return seen == size ? ZCMEM_OK
                      : zcmem_mem_read(hal, (unsigned char *)to + seen, held->addr + seen, (hal_size_t)(size - seen));
}

enum zcmem_status zcmem__host_block_doom(struct zcmem__host_block *held) {
  return advance(held, held->region->kind, DOOM);
}

enum zcmem_status zcmem__host_block_end(const struct zcmem__host_block *doomed) {
  struct zcmem__region *region = doomed->region;
  enum zcmem_status unmapped = ZCMEM_OK;
  if (zcmem__guard_poisons(region->guard)) { /* where there is a host pointer, so no mapping */
    uint32_t number = zcmem__record_sequence(region);
    enum zcmem_status freed = zcmem__guarded_end(region, doomed->addr, doomed->requested);
    zcmem__record_ranged(region, ZCMEM_EVENT_FREE, freed, doomed->addr, 0, number);
    return freed;
  }
  if (doomed->entry != NULL) {
    unmapped = zcmem__move_unmap(region, doomed->addr, doomed->mapped, doomed->host);
    zcmem__map_abandon(doomed->entry);
  }
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (doomed->entry != NULL) { /* the mapping's own uses */
    (void)zcmem__region_unpin_locked(region, doomed->addr);
    (void)zcmem__region_end_locked(region, doomed->addr);
  }
  (void)zcmem__region_end_locked(region, doomed->addr);
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_FREE, ZCMEM_OK, doomed->addr, 0, sequence);
  return unmapped;
}

enum zcmem_status zcmem__host_block_free(struct zcmem_hal *hal, uint32_t kind, void *host) {
  struct zcmem__host_block block;
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  if (region != NULL && region->kind == kind) {
    /* Address 0, which is in no block, means nothing to do to zcmem_mem_free. */
    hal_addr_t addr = region->base + ((uintptr_t)host - (uintptr_t)region->host);
    return addr == HAL_NULLPTR ? ZCMEM_ENOENT : zcmem_mem_free(hal, addr);
  }
  enum zcmem_status status = take_at(hal, kind, host, DOOM, &block);
  return status == ZCMEM_OK ? zcmem__host_block_end(&block) : status;
}

/* ----------------------------------------------------------------------------------------------------- resize -- */

static enum zcmem_status resize_mapped(struct zcmem__map *map, uint32_t kind, const void *host, size_t size) {
  struct zcmem__mapping *entry = NULL, copy;
  struct zcmem_block_info block;
  enum zcmem_status status = find_mapping(map, host, false, &entry, &copy);
  if (status == ZCMEM_OK) {
    status = zcmem__region_take(copy.region);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem_heap_find(copy.region->heap, copy.addr, &block);
  if (status == ZCMEM_OK) {
    status = judge(copy.region, copy.addr, kind, 0, &block);
  }
  zcmem__lock_drop(&copy.region->lock);
  if (status != ZCMEM_OK && status != ZCMEM_EBUSY) {
    return status;
  }
  bool fits = block.requested == size && copy.size == mapped_bytes(size); /* it may have grown beyond its mapping */
  return fits ? ZCMEM_OK : status == ZCMEM_EBUSY ? status : ZCMEM_EFRAG;
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
