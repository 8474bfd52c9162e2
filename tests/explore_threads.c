/* SPDX-License-Identifier: MIT */
/*
 * What the library asks of the system's threads, for fibers: mutexes, a thread's end, thread-local words, and the full
 * barrier of all threads. The library of the explorer is compiled without lock_pthread.c and barrier.c, and with the
 * names of pthread's functions led here (meson.build).
 */
#include "barrier.h"
#include "explore_impl.h"
#include "thread.h"
#include <pthread.h>
#include <string.h>

/* Its address names the thread, as that of zcmem__self does: which is *explore_self in the explorer's library. */
extern _Thread_local char *explore_self __attribute__((tls_model("initial-exec")));

struct words {
  struct zcmem__thread_slot slots[ZCMEM__THREAD_SLOTS];
  const void *value; /* of the key */
  char self;
};

static struct words *words; /* of each thread */
static void (*destructor)(void *value);
static char nobody;

void explore_threads_init(void) {
  words = explore_alloc((EXPLORE_THREADS + 1) * sizeof *words);
  explore_self = &nobody;
  zcmem__barrier_kernel = true;
  memset(zcmem__thread_slots, 0, sizeof zcmem__thread_slots);
}

void explore_threads_enter(unsigned thread) {
  memcpy(zcmem__thread_slots, words[thread].slots, sizeof zcmem__thread_slots);
  explore_self = &words[thread].self;
}

void explore_threads_leave(unsigned thread) {
  memcpy(words[thread].slots, zcmem__thread_slots, sizeof zcmem__thread_slots);
  explore_self = &nobody;
}

void explore_threads_end(void) {
  memset(zcmem__thread_slots, 0, sizeof zcmem__thread_slots);
  explore_self = &nobody;
}

/* The one key that the library makes. */
int explore_key_create(pthread_key_t *key, void (*destroy)(void *value));
int explore_setspecific(pthread_key_t key, const void *value);

int explore_key_create(pthread_key_t *key, void (*destroy)(void *value)) {
  *key = 0;
  destructor = destroy;
  return 0;
}

static struct words *mine(void) {
  struct words *found = words;
  while (&found->self != explore_self && found < words + EXPLORE_THREADS) {
    found++;
  }
  return found;
}

int explore_setspecific(pthread_key_t key, const void *value) {
  (void)key;
  mine()->value = value;
  return 0;
}

void explore_thread_ends(void) {
  struct words *ending = mine();
  if (ending->value != NULL) {
    void *value = (void *)(uintptr_t)ending->value;
    ending->value = NULL;
    destructor(value);
  }
}

/* --------------------------------------------------------------------------------------------------------- locks -- */

int explore_mutex_lock(void *lock);
int explore_mutex_unlock(void *lock);

/* Its first word is 0, or 1 + the thread that holds it. */
int explore_mutex_lock(void *lock) {
  uint32_t *owner = lock;
  if (explore_current == EXPLORE_MAIN) {
    explore_expect(*owner == 0, "a lock is taken twice, or was left held");
    *owner = EXPLORE_MAIN + 1;
    return 0;
  }
  struct explore_access access = {
      .at = owner, .size = sizeof *owner, .reads = true, .writes = true, .acquires = true, .from = lock};
  explore_before(&access);
  explore_expect(*owner != explore_current + 1, "a thread takes a lock that it holds");
  while (*owner != 0) {
    explore_wait_lock(owner);
  }
  *owner = explore_current + 1;
  explore_race_follow(&access, explore_current);
  explore_memory_locked(explore_current, lock, true);
  explore_flush(explore_current);
  return 0;
}

int explore_mutex_unlock(void *lock) {
  uint32_t *owner = lock;
  if (explore_current == EXPLORE_MAIN) {
    explore_expect(*owner == EXPLORE_MAIN + 1, "a lock is dropped that is not held");
    *owner = 0;
    return 0;
  }
  explore_expect(*owner == explore_current + 1, "a thread drops a lock that it does not hold");
  struct explore_access access = {.at = owner, .size = sizeof *owner, .writes = true, .releases = true, .from = lock};
  explore_race_follow(&access, explore_current);
  explore_memory_locked(explore_current, lock, false);
  *owner = 0;
  access.reads = true; /* others see it at once */
  explore_flush(explore_current);
  explore_stored(&access, NULL);
  return 0;
}

static int lock_init(void *lock) {
  memset(lock, 0, sizeof(uint32_t));
  return 0;
}

static void lock_destroy(void *lock) {
  (void)lock;
}

static void lock_unlock(void *lock) {
  (void)explore_mutex_unlock(lock);
}

const struct zcmem_lock_ops zcmem_lock_pthread = {.bytes = sizeof(uint32_t),
                                                  .init = lock_init,
                                                  .destroy = lock_destroy,
                                                  .lock = explore_mutex_lock,
                                                  .unlock = lock_unlock};

/* ------------------------------------------------------------------------------------------------------- barrier -- */

bool zcmem__barrier_kernel = true;

void zcmem__barrier_open(void) {}

/*
 * The kernel's orders nothing in the sense of C11: what it is for is the order of a store and a load of each thread.
 * Without it there is but a fence of this thread.
 */
void zcmem__barrier_all(void) {
  if (zcmem__barrier_kernel) {
    explore_flush_all();
  } else if (explore_current != EXPLORE_MAIN) {
    explore_race_fence(explore_current, true, true);
    explore_flush(explore_current);
  }
}

void zcmem__barrier_pause(void) {
  explore_expect(explore_current != EXPLORE_MAIN, "a thread has ended and is in its magazines");
  explore_wait_store();
}
