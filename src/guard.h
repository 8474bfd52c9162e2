/* SPDX-License-Identifier: MIT */
/*
 * The hardening of one region: red zones, poison, quarantine, numbers for handles, and what the tools are told. Knows
 * the heap and the host's memory, and neither lock nor region: every call is made with the region's lock held and, if
 * it changes blocks, between two versions. What fills or poisons all bytes of a block is done without the lock
 * (guarded.h).
 */
#ifndef ZCMEM_SRC_GUARD_H
#define ZCMEM_SRC_GUARD_H

#include "quarantine.h"
#include "zone.h"

struct zcmem__guard {
  struct zcmem__zones zones; /* none where a tool does it */
  hal_size_t size;           /* of the region */
  uint32_t flags;            /* of ZCMEM_REGION_*, those that are hardening; without what a tool does */
  uint32_t generation;       /* of the latest allocation */
  struct zcmem__quarantine quarantine;
  struct zcmem_damage late; /* found when there was nobody to be told */
};

/* Whether the config asks for hardening; and whether what it asks for can be. */
bool zcmem__guard_wanted(const struct zcmem_region_config *config);
bool zcmem__guard_valid(const struct zcmem_region_config *config);

/* Bytes at the beginning of the region that the heap must not have: whole quanta. */
hal_size_t zcmem__guard_front(const struct zcmem_region_config *config);

/* For a valid config and its heap, in which nothing is live. And gives the host's memory back to its owner. */
void zcmem__guard_init(struct zcmem__guard *guard, const struct zcmem_region_config *config, struct zcmem_heap *heap);
void zcmem__guard_destroy(struct zcmem__guard *guard);

/* With the lock held: the largest request that would succeed now, with nothing taken out of the quarantine. */
hal_size_t zcmem__guard_largest(const struct zcmem__guard *guard);

/* As zcmem_heap_alloc of a zone more. */
enum zcmem_status zcmem__guard_alloc(struct zcmem__guard *guard, hal_size_t size, hal_size_t align, hal_addr_t *addr);

/* Frees a block that zcmem__guard_alloc has just made and that nobody knows. */
void zcmem__guard_undo(struct zcmem__guard *guard, hal_addr_t addr);

/* As zcmem_heap_resize, with the zone; ECORRUPT: a red zone is broken, and nothing has changed. */
enum zcmem_status zcmem__guard_resize(struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size);

/*
 * What becomes of a block that its owner frees. FREE: it goes into quarantine, or to the heap. DOOM: it becomes a
 * zombie in whose use (a transfer) the caller is, who poisons it and calls zcmem__guard_end. Beside one of these,
 * DEFER: a block in use becomes a zombie; INSIST: also one whose red zones are broken is freed, and the damage noted.
 */
enum { ZCMEM__GUARD_FREE = 0, ZCMEM__GUARD_DOOM = 1, ZCMEM__GUARD_DEFER = 2, ZCMEM__GUARD_INSIST = 4 };

/* What was freed. */
struct zcmem__guard_freed {
  bool deferred; /* it waits for its last use to end */
  hal_size_t requested;
};

/*
 * OK. ENOENT: no live block starts at addr, or another than that of `generation` (NULL: any). EBUSY. ECORRUPT: a red
 * zone is broken. Then nothing has changed.
 */
enum zcmem_status zcmem__guard_free(struct zcmem__guard *guard, hal_addr_t addr, const uint32_t *generation,
                                    unsigned how, struct zcmem__guard_freed *freed);

/*
 * If `one` (a pin or a transfer) is the last use of a zombie that holds the address: ends it and frees the block.
 * false: it is not, and nothing has changed.
 */
bool zcmem__guard_end(struct zcmem__guard *guard, hal_addr_t any, uint32_t one, bool poisoned);

/* Gives up to `most` blocks of the quarantine to the heap. How many: 0, it is empty. */
uint32_t zcmem__guard_drain(struct zcmem__guard *guard, uint32_t most);

/* See zcmem_hal_check_guards. Changes no block. OK or ECORRUPT. */
enum zcmem_status zcmem__guard_check(struct zcmem__guard *guard, bool mend, struct zcmem_damage *damage);

/* Whether freed bytes are to be overwritten. guard: or NULL, then not. */
static inline bool zcmem__guard_poisons(const struct zcmem__guard *guard) {
  return guard != NULL && (guard->flags & ZCMEM_REGION_POISON) != 0;
}

/* Without the lock: stores the pattern for new bytes, or for freed ones, where the region wants that. */
void zcmem__guard_fill(const struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size);
void zcmem__guard_poison(const struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size);

#endif
