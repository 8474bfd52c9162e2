/* SPDX-License-Identifier: MIT */
/*
 * Telling a recorder of calls. All regions of a HAL share one struct zcmem__recording; where it names no recorder the
 * cost is the look at that word.
 *
 * A number of the sequence is taken by a free while the region's lock is held, so before anybody can get the block, and
 * by an allocation after it, before the caller knows the address. Pins and tags take theirs as frees do: what another
 * thread does to the block behind them has a larger one.
 */
#ifndef ZCMEM_SRC_RECORD_H
#define ZCMEM_SRC_RECORD_H

#include "atomic.h"
#include "region.h"
#include <zcmem/debug.h>

struct zcmem__recording {
  struct zcmem__atomic_word recorder; /* const struct zcmem_recorder *, or 0 */
  struct zcmem__atomic_u32 sequence;
  const struct zcmem__region *regions; /* of the HAL */
};

static inline bool zcmem__record_on(const struct zcmem__region *region) {
  return zcmem__atomic_word_acquire(&region->recording->recorder) != 0;
}

/* A number of the sequence; none is taken where nobody is told. */
static inline uint32_t zcmem__record_sequence(const struct zcmem__region *region) {
  return ZCMEM__UNLIKELY(zcmem__record_on(region)) ? zcmem__atomic_count_up(&region->recording->sequence) : 0;
}

/* Tells the recorder, if there is one: the event but for its region, time and thread. */
void zcmem__record_tell(const struct zcmem__region *region, const struct zcmem_event *event);

/* No lock is held. Tells of a call whose number of the sequence was taken before. */
static inline void zcmem__record_ranged(const struct zcmem__region *region, enum zcmem_event_kind kind,
                                        enum zcmem_status status, hal_addr_t addr, hal_size_t size, uint32_t sequence) {
  if (ZCMEM__UNLIKELY(zcmem__record_on(region))) {
    const struct zcmem_event event = {.kind = kind, .status = status, .sequence = sequence, .addr = addr, .size = size};
    zcmem__record_tell(region, &event);
  }
}

/* The same of a call that takes its number now. */
static inline void zcmem__record(const struct zcmem__region *region, enum zcmem_event_kind kind,
                                 enum zcmem_status status, hal_addr_t addr, hal_size_t size) {
  if (ZCMEM__UNLIKELY(zcmem__record_on(region))) {
    zcmem__record_ranged(region, kind, status, addr, size, zcmem__record_sequence(region));
  }
}

/* The same of an allocation that takes its number now. */
void zcmem__record_alloc(const struct zcmem__region *region, enum zcmem_status status, hal_size_t size,
                         hal_size_t align, const hal_addr_t *addr);

/*
 * The end of an allocation or a free that holds the region's lock, where a recorder is to be told: lets go of the lock
 * and tells. They answer `status`: so their callers end with them, and have nothing to keep meanwhile.
 */
enum zcmem_status zcmem__record_alloc_and_drop(struct zcmem__region *region, enum zcmem_status status, hal_size_t size,
                                               hal_size_t align, const hal_addr_t *addr);
enum zcmem_status zcmem__record_free_and_drop(struct zcmem__region *region, enum zcmem_status status, hal_addr_t addr,
                                              bool deferred);

#endif
