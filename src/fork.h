/* SPDX-License-Identifier: MIT */
/*
 * The HALs that fork knows: those with zcmem_lock_pthread, from zcmem_hal_init to zcmem_hal_destroy. A process that
 * forks has all their locks, and no thread in its magazines, at that moment; so both processes find all in order.
 */
#ifndef ZCMEM_SRC_FORK_H
#define ZCMEM_SRC_FORK_H

#include "hal_impl.h"

#ifndef ZCMEM_NO_PTHREAD
/* Makes the HAL known, if it is one of those; and forgets it, also one that is not known. */
void zcmem__fork_open(struct zcmem_hal *hal);
void zcmem__fork_close(struct zcmem_hal *hal);

/* The same for a lock that is made with the HAL's ops, beside its own. */
void zcmem__fork_open_lock(struct zcmem_hal *hal, struct zcmem__lock *lock);
void zcmem__fork_close_lock(struct zcmem_hal *hal, struct zcmem__lock *lock);

/* Calls it for each region of each HAL that is known; none comes or goes meanwhile. No lock of a HAL is held. */
void zcmem__fork_for_regions(void (*call)(struct zcmem__region *region));

/* Whether the process tells of forks, once a HAL is known. */
bool zcmem__fork_watched(void);
#else
static inline void zcmem__fork_open(struct zcmem_hal *hal) {
  (void)hal;
}

static inline void zcmem__fork_close(struct zcmem_hal *hal) {
  (void)hal;
}

static inline void zcmem__fork_open_lock(struct zcmem_hal *hal, struct zcmem__lock *lock) {
  (void)hal;
  (void)lock;
}

static inline void zcmem__fork_close_lock(struct zcmem_hal *hal, struct zcmem__lock *lock) {
  (void)hal;
  (void)lock;
}
#endif

#endif
