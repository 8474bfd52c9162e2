/* SPDX-License-Identifier: MIT */
/*
 * Stands in for a real-time operating system where src/doc/rtos.md is compiled: a mutex for a program of one thread,
 * which notices when it is taken twice or given back by nobody.
 */
#ifndef TESTS_RTOS_H
#define TESTS_RTOS_H

#include <stdint.h>

struct rtos_mutex {
  uint32_t made; /* a mark that no zeroed or stray memory has */
  uint32_t taken;
};

#define RTOS_MUTEX_MADE 0x6d757478u

static inline int rtos_mutex_create(struct rtos_mutex *mutex) {
  mutex->made = RTOS_MUTEX_MADE;
  mutex->taken = 0;
  return 0;
}

static inline int rtos_mutex_take(struct rtos_mutex *mutex) {
  if (mutex->made != RTOS_MUTEX_MADE || mutex->taken != 0) {
    return -1;
  }
  mutex->taken = 1;
  return 0;
}

static inline void rtos_mutex_give(struct rtos_mutex *mutex) {
  mutex->taken -= 1; /* given back by nobody, the next take fails */
}

static inline void rtos_mutex_delete(struct rtos_mutex *mutex) {
  mutex->made = 0;
}

/* Other tasks run meanwhile. */
static inline void rtos_delay(unsigned ticks) {
  (void)ticks;
}

#endif
