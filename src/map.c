/* SPDX-License-Identifier: MIT */
#include "map.h"

enum zcmem_status zcmem__map_init(struct zcmem__map *map, struct zcmem__mapping *entries, uint32_t capacity,
                                  const struct zcmem_lock_ops *lock) {
  map->entries = entries;
  map->capacity = capacity;
  for (uint32_t i = 0; i < capacity; i++) {
    zcmem__atomic_init(&entries[i].state, ZCMEM__MAPPING_FREE);
  }
  return zcmem__lock_init(&map->lock, lock);
}

static bool can_share(const struct zcmem__mapping *entry, const struct zcmem__mapping *wanted) {
  return entry->region == wanted->region && entry->addr == wanted->addr && entry->size == wanted->size &&
         (entry->flags & wanted->flags) == wanted->flags;
}

enum zcmem_status zcmem__map_acquire(struct zcmem__map *map, const struct zcmem__mapping *wanted,
                                     struct zcmem__mapping **entry, bool *shared, void **host) {
  struct zcmem__mapping *spare = NULL;
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  *shared = false;
  for (uint32_t i = 0; i < map->capacity && !*shared; i++) {
    struct zcmem__mapping *at = &map->entries[i];
    uint32_t state = zcmem__atomic_acquire(&at->state);
    if (state == ZCMEM__MAPPING_LIVE && can_share(at, wanted)) {
      at->users++;
      *host = at->host;
      *shared = true;
    } else if (state == ZCMEM__MAPPING_FREE && spare == NULL) {
      spare = at;
    }
  }
  if (!*shared && spare == NULL) {
    status = ZCMEM_ENOMEM;
  } else if (!*shared) {
    zcmem__atomic_publish(&spare->state, ZCMEM__MAPPING_BUSY);
    spare->flags = wanted->flags;
    spare->region = wanted->region;
    spare->addr = wanted->addr;
    spare->size = wanted->size;
    *entry = spare;
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

/* Whether the host memory of the two, neither empty, overlaps. */
static bool same_memory(const struct zcmem__mapping *a, const struct zcmem__mapping *b) {
  uintptr_t at = (uintptr_t)a->host, other = (uintptr_t)b->host;
  return at >= other ? at - other < b->size : other - at < a->size;
}

enum zcmem_status zcmem__map_add_alias(struct zcmem__map *map, const struct zcmem__mapping *alias) {
  struct zcmem__mapping *spare = NULL;
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (uint32_t i = 0; i < map->capacity && status == ZCMEM_OK; i++) {
    struct zcmem__mapping *at = &map->entries[i];
    uint32_t state = zcmem__atomic_acquire(&at->state);
    if (state == ZCMEM__MAPPING_ALIAS && same_memory(at, alias)) {
      status = ZCMEM_EOVERLAP;
    } else if (state == ZCMEM__MAPPING_FREE && spare == NULL) {
      spare = at;
    }
  }
  if (status == ZCMEM_OK && spare == NULL) {
    status = ZCMEM_ENOMEM;
  } else if (status == ZCMEM_OK) {
    spare->region = alias->region;
    spare->addr = alias->addr;
    spare->size = alias->size;
    spare->host = alias->host;
    zcmem__atomic_publish(&spare->state, ZCMEM__MAPPING_ALIAS);
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

void zcmem__map_publish(struct zcmem__mapping *entry, void *host) {
  entry->host = host;
  entry->users = 1;
  zcmem__atomic_publish(&entry->state, ZCMEM__MAPPING_LIVE);
}

void zcmem__map_abandon(struct zcmem__mapping *entry) {
  zcmem__atomic_publish(&entry->state, ZCMEM__MAPPING_FREE);
}

/* Whether to unmap a before b: see map.h. */
static bool smaller(const struct zcmem__mapping *a, const struct zcmem__mapping *b) {
  return a->size < b->size || (a->size == b->size && a->flags < b->flags);
}

enum zcmem_status zcmem__map_release(struct zcmem__map *map, const void *host, struct zcmem__mapping **entry,
                                     struct zcmem__mapping *copy) {
  struct zcmem__mapping *found = NULL;
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (uint32_t i = 0; i < map->capacity; i++) {
    struct zcmem__mapping *at = &map->entries[i];
    if (zcmem__atomic_acquire(&at->state) == ZCMEM__MAPPING_LIVE && at->host == host &&
        (found == NULL || smaller(at, found))) {
      found = at;
    }
  }
  if (found == NULL) {
    status = ZCMEM_ENOTMAPPED;
  } else {
    if (--found->users == 0) {
      zcmem__atomic_publish(&found->state, ZCMEM__MAPPING_BUSY);
    }
    copy->users = found->users;
    copy->flags = found->flags;
    copy->region = found->region;
    copy->addr = found->addr;
    copy->size = found->size;
    copy->host = found->host;
    *entry = found;
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

enum zcmem_status zcmem__map_find(struct zcmem__map *map, const void *ptr, struct zcmem__region **region,
                                  hal_addr_t *addr, hal_size_t *remaining) {
  hal_size_t best = 0;
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (uint32_t i = 0; i < map->capacity; i++) {
    struct zcmem__mapping *at = &map->entries[i];
    if (zcmem__atomic_acquire(&at->state) < ZCMEM__MAPPING_LIVE) {
      continue;
    }
    hal_size_t offset = (uintptr_t)ptr - (uintptr_t)at->host;
    if (offset >= at->size || at->size - offset <= best) {
      continue;
    }
    best = at->size - offset;
    *region = at->region;
    *addr = at->addr + offset;
  }
  zcmem__lock_drop(&map->lock);
  if (best == 0) {
    return ZCMEM_ENOTMAPPED;
  }
  *remaining = best;
  return ZCMEM_OK;
}
