/* SPDX-License-Identifier: MIT */
/*
 * Between device addresses and host pointers: translation, and mapping on demand.
 */
#include "hal_impl.h"
#include "move.h"

#define KNOWN_MAP_FLAGS (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

/*
 * Each direction has a quick way, for what is plain: a region with a host pointer, and bytes of a live block. All else,
 * and what is wrong, goes the thorough one, which has the statuses. The steps are functions of their own that end in
 * each other: so none saves registers that only the next one needs.
 */

/* zcmem_mem_host in a region that trusts its user: addr lies in it. */
ZCMEM__INLINE enum zcmem_status host_unchecked(const struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                               void **host) {
  hal_size_t offset = addr - region->base;
  if (ZCMEM__UNLIKELY(size > region->size - offset)) {
    return ZCMEM_EBOUNDS;
  }
  if (ZCMEM__UNLIKELY(region->host == NULL)) {
    return ZCMEM_ENOTMAPPED;
  }
  *host = region->host + (size_t)offset;
  return ZCMEM_OK;
}

ZCMEM__NOINLINE static enum zcmem_status host_thorough(struct zcmem__region *region, uint64_t offset, hal_size_t size,
                                                       void **host) {
  struct zcmem__extent block;
  hal_addr_t addr = region->first + offset;
  enum zcmem_status status = zcmem__region_extent(region, addr, &block);
  if (status != ZCMEM_OK) {
    return status;
  }
  hal_size_t within = addr - block.addr;
  if (within > block.requested || size > block.requested - within) {
    return ZCMEM_EBOUNDS;
  }
  if (region->host == NULL) {
    return ZCMEM_ENOTMAPPED;
  }
  *host = zcmem__region_pointer(region, addr);
  return ZCMEM_OK;
}

ZCMEM__NOINLINE static enum zcmem_status host_quick(struct zcmem__region *region, uint64_t offset, hal_size_t size,
                                                    void **host) {
  hal_size_t rest;
  if (ZCMEM__LIKELY(zcmem__region_rest_quick(region, offset, &rest)) && ZCMEM__LIKELY(size <= rest)) {
    *host = region->host_first + (size_t)offset;
    return ZCMEM_OK;
  }
  return host_thorough(region, offset, size, host);
}

/* Where no heap has the address. */
ZCMEM__NOINLINE static enum zcmem_status host_outside(const struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size,
                                                      void **host) {
  const struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  return region != NULL && (region->flags & ZCMEM_REGION_UNCHECKED) != 0 ? host_unchecked(region, addr, size, host)
                                                                         : ZCMEM_ENOENT;
}

enum zcmem_status zcmem_mem_host(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size, void **host) {
  uint64_t offset;
  if (ZCMEM__UNLIKELY(hal == NULL) || ZCMEM__UNLIKELY(host == NULL)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_heap_of(hal, addr, &offset);
  if (ZCMEM__UNLIKELY(region == NULL)) {
    return host_outside(hal, addr, size, host);
  }
  if (ZCMEM__LIKELY(region->way == ZCMEM__WAY_CHECKED)) {
    return host_quick(region, offset, size, host);
  }
  return (region->flags & ZCMEM_REGION_UNCHECKED) != 0 ? host_unchecked(region, addr, size, host)
                                                       : host_thorough(region, offset, size, host);
}

/* How many of the block's bytes are left from an address in it on: in the unused end of its last quantum none. */
static hal_size_t rest_of(const struct zcmem__extent *block, hal_addr_t addr) {
  return addr - block->addr < block->requested ? block->requested - (addr - block->addr) : 0;
}

enum zcmem_status zcmem_mem_locate(struct zcmem_hal *hal, const void *ptr, struct zcmem_place *place) {
  struct zcmem__extent block;
  hal_addr_t found = 0;
  hal_size_t mapped = UINT64_MAX, rest;
  if (hal == NULL || place == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, ptr);
  if (region != NULL) {
    found = region->base + ((uintptr_t)ptr - (uintptr_t)region->host);
  } else {
    enum zcmem_status status =
        hal->map.capacity == 0 ? ZCMEM_ENOTMAPPED : zcmem__map_find(&hal->map, ptr, &region, &found, &mapped);
    if (status != ZCMEM_OK) {
      return status;
    }
  }
  enum zcmem_status status = zcmem__region_extent(region, found, &block);
  if (status != ZCMEM_OK) {
    return status;
  }
  rest = rest_of(&block, found);
  *place = (struct zcmem_place){.region = (uint32_t)(region - hal->regions),
                                .addr = found,
                                .remaining = rest < mapped ? rest : mapped,
                                .block = block.addr,
                                .requested = block.requested};
  return ZCMEM_OK;
}

ZCMEM__INLINE enum zcmem_status give_place(hal_addr_t found, hal_size_t rest, hal_addr_t *addr, hal_size_t *remaining) {
  *addr = found;
  if (remaining != NULL) {
    *remaining = rest;
  }
  return ZCMEM_OK;
}

ZCMEM__NOINLINE static enum zcmem_status device_thorough(struct zcmem__region *region, uint64_t offset,
                                                         hal_addr_t *addr, hal_size_t *remaining) {
  struct zcmem__extent block;
  hal_addr_t found = region->first + offset;
  enum zcmem_status status = zcmem__region_extent(region, found, &block);
  return status == ZCMEM_OK ? give_place(found, rest_of(&block, found), addr, remaining) : status;
}

ZCMEM__NOINLINE static enum zcmem_status device_quick(struct zcmem__region *region, uint64_t offset, hal_addr_t *addr,
                                                      hal_size_t *remaining) {
  hal_size_t rest;
  if (ZCMEM__LIKELY(zcmem__region_rest_quick(region, offset, &rest))) {
    return give_place(region->first + offset, rest, addr, remaining);
  }
  return device_thorough(region, offset, addr, remaining);
}

/* Where the host sees no heap's memory, but perhaps the ends of an unchecked region, or something mapped on demand. */
ZCMEM__NOINLINE static enum zcmem_status device_outside(struct zcmem_hal *hal, const void *ptr, hal_addr_t *addr,
                                                        hal_size_t *remaining) {
  struct zcmem_place place;
  const struct zcmem__region *region = zcmem__hal_region_of_host(hal, ptr);
  if (region != NULL && (region->flags & ZCMEM_REGION_UNCHECKED) != 0) {
    uintptr_t offset = (uintptr_t)ptr - (uintptr_t)region->host;
    return give_place(region->base + offset, region->size - offset, addr, remaining);
  }
  enum zcmem_status status = zcmem_mem_locate(hal, ptr, &place);
  return status == ZCMEM_OK ? give_place(place.addr, place.remaining, addr, remaining) : status;
}

enum zcmem_status zcmem_mem_device(struct zcmem_hal *hal, const void *ptr, hal_addr_t *addr, hal_size_t *remaining) {
  uint64_t offset;
  if (ZCMEM__UNLIKELY(hal == NULL) || ZCMEM__UNLIKELY(addr == NULL)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_heap_of_host(hal, ptr, &offset);
  if (ZCMEM__UNLIKELY(region == NULL) || ZCMEM__UNLIKELY(region->way == ZCMEM__WAY_NONE)) {
    return device_outside(hal, ptr, addr, remaining);
  }
  if (ZCMEM__LIKELY(region->way == ZCMEM__WAY_CHECKED)) {
    return device_quick(region, offset, addr, remaining);
  }
  hal_addr_t found = region->first + offset;
  return give_place(found, region->base + region->size - found, addr, remaining);
}

/*
 * Checks the range, pins its block and counts the map, all in one hold of the lock. What a driver maps counts as a
 * transfer, too: an unpin too many must not let the block go to somebody else whose bytes the driver would then write.
 */
static enum zcmem_status pin_range(struct zcmem__region *region, hal_addr_t addr, hal_size_t size) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__region_begin_transfer(region, addr, size, NULL);
  if (status == ZCMEM_OK) {
    status = zcmem__region_pin(region, addr);
    if (status != ZCMEM_OK || region->host != NULL) {
      (void)zcmem__region_end_locked(region, addr);
    }
  }
  if (status == ZCMEM_OK) {
    region->stats.maps++;
  }
  zcmem__lock_drop(&region->lock);
  return status;
}

/* With the lock held: ends what pin_range began. */
static enum zcmem_status unpin_locked(struct zcmem__region *region, hal_addr_t addr) {
  enum zcmem_status status = zcmem__region_unpin_locked(region, addr);
  if (region->host == NULL) {
    (void)zcmem__region_end_locked(region, addr);
  }
  return status;
}

/* Undoes pin_range for a map that failed with `status`. ELOCK: the block stays in use and the map counted. */
static enum zcmem_status unpin_failed(struct zcmem__region *region, hal_addr_t addr, enum zcmem_status status) {
  if (zcmem__region_take(region) != ZCMEM_OK) {
    return ZCMEM_ELOCK;
  }
  (void)unpin_locked(region, addr);
  region->stats.maps--;
  zcmem__lock_drop(&region->lock);
  return status;
}

static enum zcmem_status map_on_demand(struct zcmem_hal *hal, const struct zcmem__mapping *wanted, void **host) {
  struct zcmem__mapping *entry = NULL;
  bool shared = false;
  void *mapped = NULL;
  /* A range larger than the host's address space cannot be mapped either. */
  if (wanted->region->ops->map == NULL || wanted->size > SIZE_MAX) {
    return ZCMEM_ENOTMAPPED;
  }
  enum zcmem_status status = zcmem__map_acquire(&hal->map, wanted, &entry, &shared, &mapped);
  if (status == ZCMEM_OK && !shared) {
    status = zcmem__move_map(wanted->region, wanted->addr, wanted->size, wanted->flags, &mapped);
    if (status == ZCMEM_OK) {
      zcmem__map_publish(entry, mapped);
    } else {
      zcmem__map_abandon(entry);
    }
  }
  if (status == ZCMEM_OK) {
    *host = mapped;
  }
  return status;
}

enum zcmem_status zcmem_mem_map(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  if (hal == NULL || host == NULL || size == 0 || flags == 0 || (flags & ~KNOWN_MAP_FLAGS) != 0) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (region == NULL) {
    return ZCMEM_ENOENT;
  }
  enum zcmem_status status = pin_range(region, addr, size);
  if (status == ZCMEM_OK && region->host != NULL) {
    *host = zcmem__region_pointer(region, addr);
  } else if (status == ZCMEM_OK) {
    const struct zcmem__mapping wanted = {.flags = flags, .region = region, .addr = addr, .size = size};
    status = map_on_demand(hal, &wanted, host);
    status = status == ZCMEM_OK ? ZCMEM_OK : unpin_failed(region, addr, status);
  }
  zcmem__record(region, ZCMEM_EVENT_MAP, status, addr, size);
  return status;
}

/* What is mapped on demand has been unmapped, which answered that. ELOCK: the block stays in use. */
static enum zcmem_status unpin_unmapped(struct zcmem__region *region, hal_addr_t addr, enum zcmem_status unmapped) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = unpin_locked(region, addr);
  if (region->host == NULL) { /* an unpin too many may have taken the pin before */
    status = unmapped;
  } else if (status == ZCMEM_EBUSY || status == ZCMEM_ENOENT) {
    status = ZCMEM_ENOTMAPPED;
  }
  uint32_t sequence = zcmem__record_sequence(region);
  zcmem__lock_drop(&region->lock);
  zcmem__record_ranged(region, ZCMEM_EVENT_UNMAP, status, addr, 0, sequence);
  return status;
}

static enum zcmem_status unpin(struct zcmem__region *region, hal_addr_t addr) {
  return unpin_unmapped(region, addr, ZCMEM_OK);
}

enum zcmem_status zcmem_mem_unmap(struct zcmem_hal *hal, void *host) {
  struct zcmem__mapping *entry = NULL, was;
  enum zcmem_status unmapped = ZCMEM_OK;
  if (hal == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__region *region = zcmem__hal_region_of_host(hal, host);
  if (region != NULL) {
    return unpin(region, region->base + ((uintptr_t)host - (uintptr_t)region->host));
  }
  if (hal->map.capacity == 0 || host == NULL) {
    return ZCMEM_ENOTMAPPED;
  }
  enum zcmem_status status = zcmem__map_release(&hal->map, host, &entry, &was);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (was.users == 0) {
    unmapped = zcmem__move_unmap(was.region, was.addr, was.size, was.host);
    zcmem__map_abandon(entry);
  }
  /* The pin goes last: until the driver has let go of the range its block must not be handed out again. */
  return unpin_unmapped(was.region, was.addr, unmapped);
}
