/* SPDX-License-Identifier: MIT */
#include "lock.h"

static int none_init(void *lock) {
  (void)lock;
  return 0;
}

static void none_destroy(void *lock) {
  (void)lock;
}

static int none_lock(void *lock) {
  (void)lock;
  return 0;
}

static void none_unlock(void *lock) {
  (void)lock;
}

const struct zcmem_lock_ops zcmem_lock_none = {
    .bytes = 0, .init = none_init, .destroy = none_destroy, .lock = none_lock, .unlock = none_unlock};

static int lost_init(void *lock) {
  (void)lock;
  return -1;
}

static int lost_lock(void *lock) {
  (void)lock;
  return -1;
}

const struct zcmem_lock_ops zcmem__lock_lost = {
    .bytes = 0, .init = lost_init, .destroy = none_destroy, .lock = lost_lock, .unlock = none_unlock};

const struct zcmem_lock_ops *zcmem__lock_default(void) {
#ifdef ZCMEM_NO_PTHREAD
  return &zcmem_lock_none;
#else
  return &zcmem_lock_pthread;
#endif
}

bool zcmem__lock_valid(const struct zcmem_lock_ops *ops) {
  return ops->bytes <= ZCMEM_LOCK_BYTES && ops->init != NULL && ops->destroy != NULL && ops->lock != NULL &&
         ops->unlock != NULL;
}

enum zcmem_status zcmem__lock_init(struct zcmem__lock *lock, const struct zcmem_lock_ops *ops) {
  lock->ops = ops;
  return ops->init(lock->state) == 0 ? ZCMEM_OK : ZCMEM_ELOCK;
}
