/* SPDX-License-Identifier: MIT */
/*
 * The two sides of a lock that one thread takes all the time and others hardly ever: who owns it marks itself busy and
 * then looks whether it is revoked; who revokes sets that word and then waits until the owner is not busy. Each must
 * see the other's store, or both go on; so both need a full barrier between their store and their load. Where the
 * kernel can make every thread of the process pass one (Linux: membarrier), only who revokes pays.
 */
#ifndef ZCMEM_BARRIER_H
#define ZCMEM_BARRIER_H

#include "atomic.h"
#include "bits.h"

/* Whether the kernel can. Set before the first magazines are made, and never again. */
extern bool zcmem__barrier_kernel;

/* Finds out. Safe to call from several threads and often. */
void zcmem__barrier_open(void);

/* The revoking side's: after it, each thread has seen our stores, or we see its. */
void zcmem__barrier_all(void);

/* Lets another thread run. */
void zcmem__barrier_pause(void);

/* What the owner's word says. */
#define ZCMEM__BARRIER_IDLE 0u
#define ZCMEM__BARRIER_BUSY 1u
#define ZCMEM__BARRIER_CLOSED 2u /* by the owner itself: it does not enter */

/*
 * The owner's: from idle to busy. False: the word is something else. single: there is no other thread, so it passes no
 * fence.
 */
ZCMEM__INLINE bool zcmem__barrier_enter(struct zcmem__atomic_u32 *word, bool single) {
  if (ZCMEM__UNLIKELY(atomic_load_explicit(&word->value, memory_order_relaxed) != ZCMEM__BARRIER_IDLE)) {
    return false;
  }
  atomic_store_explicit(&word->value, ZCMEM__BARRIER_BUSY, memory_order_relaxed);
  if (ZCMEM__LIKELY(single || zcmem__barrier_kernel)) {
    atomic_signal_fence(memory_order_seq_cst);
  } else {
    atomic_thread_fence(memory_order_seq_cst);
  }
  return true;
}

#endif
