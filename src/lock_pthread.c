/* SPDX-License-Identifier: MIT */
/*
 * The pthread lock; the one file that knows pthread. With ZCMEM_NO_PTHREAD it is empty.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <zcmem/hal.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>

_Static_assert(sizeof(pthread_mutex_t) <= ZCMEM_LOCK_BYTES, "a pthread mutex fits a lock");
_Static_assert(_Alignof(pthread_mutex_t) <= 16, "a pthread mutex is aligned in a lock");

static int mutex_init(void *lock) {
  return pthread_mutex_init(lock, NULL);
}

static void mutex_destroy(void *lock) {
  (void)pthread_mutex_destroy(lock);
}

static int mutex_lock(void *lock) {
  return pthread_mutex_lock(lock);
}

static void mutex_unlock(void *lock) {
  (void)pthread_mutex_unlock(lock);
}

const struct zcmem_lock_ops zcmem_lock_pthread = {.bytes = sizeof(pthread_mutex_t),
                                                  .init = mutex_init,
                                                  .destroy = mutex_destroy,
                                                  .lock = mutex_lock,
                                                  .unlock = mutex_unlock};
#endif
