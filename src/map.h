/* SPDX-License-Identifier: MIT */
/*
 * The table of ranges that are mapped on demand, of a fixed size. Linear: max_mappings bounds a look-up.
 *
 * An alias is there for good. Any other entry is FREE, BUSY (its range is being mapped or unmapped by one thread, no
 * lock held; nobody else sees it) or LIVE. Under the table's lock FREE and LIVE become BUSY and `users` changes; out of
 * BUSY the one thread that owns the entry publishes LIVE or FREE without the lock. So a lock that fails never leaves an
 * entry in between.
 *
 * A look-up takes no lock: above the state stands a version, which each taking of the entry counts up, so what was read
 * of a live entry between two equal words belongs together.
 *
 * Two threads that map equal ranges at once do not wait for each other: each maps, each has its entry, and each entry
 * is unmapped by a callback of its own; also where the driver gave both the same pointer. A range that is being
 * unmapped is not shared either, so a driver can be asked to map a range anew before the unmap of it has ended.
 *
 * Where several entries have the same host pointer (a driver whose pointer depends on the address only), unmap takes
 * the smallest: what stays mapped then covers what its users were given, in whatever order they unmap.
 */
#ifndef ZCMEM_MAP_H
#define ZCMEM_MAP_H

#include "atomic.h"
#include "region.h"

struct zcmem__mapping {
  struct zcmem__atomic_u32 state; /* enum zcmem__mapping_state, and the version: see zcmem__mapping_state_of */
  uint32_t users;                 /* maps less unmaps, so 0 unless LIVE; each also holds a pin of the block */
  uint32_t flags;                 /* ZCMEM_MAP_* */
  struct zcmem__region *region;
  hal_addr_t addr;
  hal_size_t size;
  void *host;
};

enum zcmem__mapping_state {
  ZCMEM__MAPPING_FREE = 0,
  ZCMEM__MAPPING_BUSY = 1,
  ZCMEM__MAPPING_LIVE = 2,
  ZCMEM__MAPPING_ALIAS = 3 /* made by the user for good: found, but neither shared nor unmapped */
};

#define ZCMEM__MAPPING_STATE 3u /* mask; the version counts in fours */

static inline enum zcmem__mapping_state zcmem__mapping_state_of(const struct zcmem__mapping *entry) {
  return (enum zcmem__mapping_state)(zcmem__atomic_acquire(&entry->state) & ZCMEM__MAPPING_STATE);
}

struct zcmem__map {
  struct zcmem__mapping *entries;
  uint32_t capacity;
  struct zcmem__lock lock;
};

/* The entries are zero. OK or ELOCK. */
enum zcmem_status zcmem__map_init(struct zcmem__map *map, struct zcmem__mapping *entries, uint32_t capacity,
                                  const struct zcmem_lock_ops *lock);

/*
 * Counts up a live entry of the same range that allows what is asked (*shared is true, *host its pointer), or takes a
 * free entry, which the caller maps and then publishes or abandons. ENOMEM: no entry is free. ELOCK.
 */
enum zcmem_status zcmem__map_acquire(struct zcmem__map *map, const struct zcmem__mapping *wanted,
                                     struct zcmem__mapping **entry, bool *shared, void **host);

/*
 * Takes a free entry and stores the alias in it; the caller, who alone sees the entry, makes it an alias for good, or
 * abandons it. So that may wait for what another lock guards. ENOMEM: no entry is free. ELOCK.
 */
enum zcmem_status zcmem__map_prepare_alias(struct zcmem__map *map, const struct zcmem__mapping *alias,
                                           struct zcmem__mapping **entry);
void zcmem__map_publish_alias(struct zcmem__mapping *entry);

/*
 * Whether an alias, or also a range mapped on demand, has some of that host memory, which is not empty. No lock: it is
 * sure of what is mapped before the call and stays so.
 */
bool zcmem__map_overlaps(const struct zcmem__map *map, const void *host, hal_size_t size, bool only_aliases);

/* Makes the acquired entry live with one user. */
void zcmem__map_publish(struct zcmem__mapping *entry, void *host);

/* Gives a BUSY entry back. */
void zcmem__map_abandon(struct zcmem__mapping *entry);

/*
 * Takes one user from an entry with that host pointer; *copy is the entry as it is now. If users is 0 then, *entry is
 * BUSY and the caller unmaps and abandons it. ENOTMAPPED: there is none. ELOCK.
 */
enum zcmem_status zcmem__map_release(struct zcmem__map *map, const void *host, struct zcmem__mapping **entry,
                                     struct zcmem__mapping *copy);

/*
 * A live entry that gave this very pointer; *copy is its region and range. If `take`, it has no user any more and is
 * BUSY: the caller publishes it again, or unmaps and abandons it. ENOTMAPPED: there is none.
 * EBUSY: it should be taken and has more than one user. ELOCK.
 */
enum zcmem_status zcmem__map_given(struct zcmem__map *map, const void *host, bool take, struct zcmem__mapping **entry,
                                   struct zcmem__mapping *copy);

/* The live mapping or alias that holds ptr; of several the one that reaches farthest. ENOTMAPPED. No lock. */
enum zcmem_status zcmem__map_find(const struct zcmem__map *map, const void *ptr, struct zcmem__region **region,
                                  hal_addr_t *addr, hal_size_t *remaining);

#endif
