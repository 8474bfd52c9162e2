/* SPDX-License-Identifier: MIT */
/*
 * One lock of whatever kind the HAL was made with. A lock of the facade is a leaf: who holds one takes no second one
 * and calls nothing but the heap, so that no order of locks exists that could be broken.
 */
#ifndef ZCMEM_LOCK_H
#define ZCMEM_LOCK_H

#include <stdalign.h>
#include <stdbool.h>
#include <zcmem/hal.h>

struct zcmem__lock {
  const struct zcmem_lock_ops *ops; /* lives as long as the lock */
  bool forking;                     /* it is held by who forks (fork.c) */
  struct zcmem__lock *next;         /* of the HAL's list */
  alignas(16) unsigned char state[ZCMEM_LOCK_BYTES];
};

/* Of a lock that cannot be taken any more: who held it is not there. It is given up as it is. */
extern const struct zcmem_lock_ops zcmem__lock_lost;

/* The lock used where a config names none. */
const struct zcmem_lock_ops *zcmem__lock_default(void);

/* Whether the ops can be used: all there, and not too large. */
bool zcmem__lock_valid(const struct zcmem_lock_ops *ops);

/* OK or ELOCK. */
enum zcmem_status zcmem__lock_init(struct zcmem__lock *lock, const struct zcmem_lock_ops *ops);

static inline void zcmem__lock_destroy(struct zcmem__lock *lock) {
  lock->ops->destroy(lock->state);
}

/* OK or ELOCK: then it is not held. */
static inline enum zcmem_status zcmem__lock_take(struct zcmem__lock *lock) {
  return lock->ops->lock(lock->state) == 0 ? ZCMEM_OK : ZCMEM_ELOCK;
}

static inline void zcmem__lock_drop(struct zcmem__lock *lock) {
  lock->ops->unlock(lock->state);
}

#endif
