/* SPDX-License-Identifier: MIT */
/*
 * The pthread lock; the one file that knows pthread. With ZCMEM_NO_PTHREAD it is empty.
 */
/* For the adaptive mutex, which is glibc's own. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <zcmem/hal.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>

_Static_assert(sizeof(pthread_mutex_t) <= ZCMEM_LOCK_BYTES, "a pthread mutex fits a lock");
_Static_assert(_Alignof(pthread_mutex_t) <= 16, "a pthread mutex is aligned in a lock");

/* The lock is held for a fraction of a microsecond: it pays to look a few times before going to sleep. */
static int mutex_init(void *lock) {
#ifdef __GLIBC__
  pthread_mutexattr_t how;
  if (pthread_mutexattr_init(&how) != 0) {
    return -1;
  }
  int result = pthread_mutexattr_settype(&how, PTHREAD_MUTEX_ADAPTIVE_NP);
  result = result == 0 ? pthread_mutex_init(lock, &how) : result;
  (void)pthread_mutexattr_destroy(&how);
  return result;
#else
  return pthread_mutex_init(lock, NULL);
#endif
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
