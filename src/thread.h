/* SPDX-License-Identifier: MIT */
/*
 * Which magazines are the calling thread's: found through a few slots of thread-local memory, by the region's serial
 * number, which no other region of the process ever has. Threads that end give their blocks back; what becomes of them
 * in a fork stands in fork.c. With ZCMEM_NO_PTHREAD no thread has any.
 */
#ifndef ZCMEM_THREAD_H
#define ZCMEM_THREAD_H

#include "hal_impl.h"
#include "magazine.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#define ZCMEM__THREAD_SLOTS 8u

struct zcmem__thread_slot {
  uint64_t serial;
  struct zcmem__magazines *magazines;
};

extern _Thread_local struct zcmem__thread_slot zcmem__thread_slots[ZCMEM__THREAD_SLOTS]
    __attribute__((tls_model("initial-exec")));

/*
 * The calling thread's magazines in the region; NULL: none so far, or the region has none, or processes share it, so
 * that calls come to shared.h.
 */
ZCMEM__INLINE struct zcmem__magazines *zcmem__thread_find(const struct zcmem__region *region) {
  struct zcmem__thread_slot *slot = &zcmem__thread_slots[region->serial % ZCMEM__THREAD_SLOTS];
  return slot->serial == region->serial ? slot->magazines : NULL;
}

/* The same where processes share the region. */
ZCMEM__INLINE struct zcmem__magazines *zcmem__thread_find_shared(const struct zcmem__region *region) {
  const uint64_t serial = region->shared->serial;
  struct zcmem__thread_slot *slot = &zcmem__thread_slots[serial % ZCMEM__THREAD_SLOTS];
  return slot->serial == serial ? slot->magazines : NULL;
}

/*
 * Finds them in a longer way, or makes them with memory from the HAL's allocator; NULL: the region has none, or there
 * was no memory. Takes locks.
 */
struct zcmem__magazines *zcmem__thread_attach(struct zcmem_hal *hal, struct zcmem__region *region);

/* Before the first thread of the process has magazines in a HAL, which fork knows: what takes care of threads that end.
 */
void zcmem__thread_open(void);

/* A serial number. */
uint64_t zcmem__thread_serial(void);
#elif defined(ZCMEM__MAGAZINES)
ZCMEM__INLINE struct zcmem__magazines *zcmem__thread_find(const struct zcmem__region *region) {
  (void)region;
  return NULL;
}

ZCMEM__INLINE struct zcmem__magazines *zcmem__thread_find_shared(const struct zcmem__region *region) {
  (void)region;
  return NULL;
}

ZCMEM__INLINE struct zcmem__magazines *zcmem__thread_attach(struct zcmem_hal *hal, struct zcmem__region *region) {
  (void)hal;
  (void)region;
  return NULL;
}
#endif

#endif
