/* SPDX-License-Identifier: MIT */
#include "map.h"
#include "bits.h"

enum zcmem_status zcmem__map_init(struct zcmem__map *map, struct zcmem__mapping *entries, uint32_t capacity,
                                  const struct zcmem_lock_ops *lock) {
  map->entries = entries;
  map->capacity = capacity;
  for (uint32_t i = 0; i < capacity; i++) {
    zcmem__atomic_init(&entries[i].state, ZCMEM__MAPPING_FREE);
  }
  return zcmem__lock_init(&map->lock, lock);
}

/* A new state. Out of FREE it is a new version, which a look-up that reads what is stored next must not miss. */
static void set_state(struct zcmem__mapping *entry, enum zcmem__mapping_state state) {
  uint32_t now = zcmem__atomic_acquire(&entry->state);
  uint32_t version = now & ~ZCMEM__MAPPING_STATE;
  if ((now & ZCMEM__MAPPING_STATE) == ZCMEM__MAPPING_FREE) {
    version += ZCMEM__MAPPING_STATE + 1u;
  }
  if (state == ZCMEM__MAPPING_BUSY) {
    zcmem__atomic_announce(&entry->state, version | (uint32_t)state);
  } else {
    zcmem__atomic_publish(&entry->state, version | (uint32_t)state);
  }
}

/* What a look-up reads without the lock. The entry is BUSY. */
static void set_entry(struct zcmem__mapping *entry, const struct zcmem__mapping *wanted) {
  ZCMEM__PUT_POINTER(entry->region, wanted->region);
  ZCMEM__PUT64(entry->addr, wanted->addr);
  ZCMEM__PUT64(entry->size, wanted->size);
}

static bool can_share(const struct zcmem__mapping *entry, const struct zcmem__mapping *wanted) {
  /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): there are `capacity` entries */
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
    enum zcmem__mapping_state state = zcmem__mapping_state_of(at);
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
    set_state(spare, ZCMEM__MAPPING_BUSY);
    spare->flags = wanted->flags;
    set_entry(spare, wanted);
    *entry = spare;
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

enum zcmem_status zcmem__map_prepare_alias(struct zcmem__map *map, const struct zcmem__mapping *alias,
                                           struct zcmem__mapping **entry) {
  struct zcmem__mapping *spare = NULL;
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (uint32_t i = 0; i < map->capacity && spare == NULL; i++) {
    if (zcmem__mapping_state_of(&map->entries[i]) == ZCMEM__MAPPING_FREE) {
      spare = &map->entries[i];
    }
  }
  if (spare == NULL) {
    status = ZCMEM_ENOMEM;
  } else {
    set_state(spare, ZCMEM__MAPPING_BUSY);
    set_entry(spare, alias);
    ZCMEM__PUT_POINTER(spare->host, alias->host);
    *entry = spare;
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

void zcmem__map_publish_alias(struct zcmem__mapping *entry) {
  set_state(entry, ZCMEM__MAPPING_ALIAS);
}

void zcmem__map_publish(struct zcmem__mapping *entry, void *host) {
  ZCMEM__PUT_POINTER(entry->host, host);
  entry->users = 1;
  set_state(entry, ZCMEM__MAPPING_LIVE);
}

void zcmem__map_abandon(struct zcmem__mapping *entry) {
  set_state(entry, ZCMEM__MAPPING_FREE);
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
    if (zcmem__mapping_state_of(at) == ZCMEM__MAPPING_LIVE && at->host == host &&
        (found == NULL || smaller(at, found))) {
      found = at;
    }
  }
  if (found == NULL) {
    status = ZCMEM_ENOTMAPPED;
  } else {
    if (--found->users == 0) {
      set_state(found, ZCMEM__MAPPING_BUSY);
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

enum zcmem_status zcmem__map_given(struct zcmem__map *map, const void *host, bool take, struct zcmem__mapping **entry,
                                   struct zcmem__mapping *copy) {
  struct zcmem__mapping *found = NULL;
  enum zcmem_status status = zcmem__lock_take(&map->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  for (uint32_t i = 0; i < map->capacity; i++) {
    struct zcmem__mapping *at = &map->entries[i];
    if (zcmem__mapping_state_of(at) == ZCMEM__MAPPING_LIVE && at->host == host) {
      found = at;
      break;
    }
  }
  if (found == NULL) {
    status = ZCMEM_ENOTMAPPED;
  } else if (take && found->users != 1) {
    status = ZCMEM_EBUSY;
  } else {
    copy->region = found->region;
    copy->addr = found->addr;
    copy->size = found->size;
    *entry = found;
    if (take) {
      found->users = 0;
      set_state(found, ZCMEM__MAPPING_BUSY);
    }
  }
  zcmem__lock_drop(&map->lock);
  return status;
}

/*
 * What a look-up, without the lock, sees of an entry that is an alias or, unless only these count, live; false: it is
 * not. One that is taken or let go in this very moment cannot be what a correct caller asks for.
 */
static bool see(const struct zcmem__mapping *entry, bool only_aliases, struct zcmem__mapping *seen) {
  uint32_t version = zcmem__atomic_acquire(&entry->state);
  enum zcmem__mapping_state least = only_aliases ? ZCMEM__MAPPING_ALIAS : ZCMEM__MAPPING_LIVE;
  if ((enum zcmem__mapping_state)(version & ZCMEM__MAPPING_STATE) < least) {
    return false;
  }
  seen->region = ZCMEM__GET_POINTER(entry->region);
  seen->addr = ZCMEM__GET64(entry->addr);
  seen->size = ZCMEM__GET64(entry->size);
  seen->host = ZCMEM__GET_POINTER(entry->host);
  return zcmem__atomic_same(&entry->state, version);
}

enum zcmem_status zcmem__map_find(const struct zcmem__map *map, const void *ptr, struct zcmem__region **region,
                                  hal_addr_t *addr, hal_size_t *remaining) {
  hal_size_t best = 0;
  for (uint32_t i = 0; i < map->capacity; i++) {
    struct zcmem__mapping seen;
    if (!see(&map->entries[i], false, &seen)) {
      continue;
    }
    hal_size_t offset = (uintptr_t)ptr - (uintptr_t)seen.host;
    if (offset < seen.size && seen.size - offset > best) {
      best = seen.size - offset;
      *region = seen.region;
      *addr = seen.addr + offset;
    }
  }
  if (best == 0) {
    return ZCMEM_ENOTMAPPED;
  }
  *remaining = best;
  return ZCMEM_OK;
}

/* Whether two ranges of host memory, neither empty, overlap. */
static bool same_memory(uintptr_t a, hal_size_t a_size, uintptr_t b, hal_size_t b_size) {
  return a >= b ? a - b < b_size : b - a < a_size;
}

bool zcmem__map_overlaps(const struct zcmem__map *map, const void *host, hal_size_t size, bool only_aliases) {
  for (uint32_t i = 0; i < map->capacity; i++) {
    struct zcmem__mapping seen;
    if (see(&map->entries[i], only_aliases, &seen) &&
        same_memory((uintptr_t)host, size, (uintptr_t)seen.host, seen.size)) {
      return true;
    }
  }
  return false;
}
