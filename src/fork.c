/* SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "fork.h"
#include "context_impl.h"

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>

static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static bool fork_watched;
/* Guards the list of HALs, and of each the locks beside its own. Taken before any lock of a HAL. */
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct zcmem_hal *hals;

static void of_regions(struct zcmem_hal *hal, void (*call)(struct zcmem__region *region)) {
  uint32_t count = zcmem__atomic_acquire(&hal->count);
  for (uint32_t i = 0; i < count; i++) {
    call(&hal->regions[i]);
  }
}

/* ---------------------------------------------------------------------------------------------------------- before --
 */

/* A lock that fails stays with who has it. The child does not have that thread, so there it is lost. */
static void hold(struct zcmem__lock *lock) {
  lock->forking = zcmem__lock_take(lock) == ZCMEM_OK;
}

/*
 * All locks are taken and all magazines left, so that the child, where no other thread goes on, finds all in order;
 * also the locks of regions that have no magazines. Not those that processes share: what is in magazines there stays
 * the parent's, and so does the lock.
 */
static void hold_region(struct zcmem__region *region) {
  if (region->shared != NULL) {
    return;
  }
  hold(&region->lock);
#ifdef ZCMEM__MAGAZINES
  if (region->lock.forking && region->depot != NULL) {
    zcmem__magazines_revoke(region);
  }
#endif
}

static void before_fork(void) {
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    hold(&hal->adding);
    hold(&hal->map.lock);
    for (struct zcmem__lock *lock = hal->locks; lock != NULL; lock = lock->next) {
      hold(lock);
    }
    of_regions(hal, hold_region);
  }
}

/* ----------------------------------------------------------------------------------------------------------- after --
 */

static void let_go(struct zcmem__lock *lock, bool child) {
  if (lock->forking) {
    lock->forking = false;
    zcmem__lock_drop(lock);
  } else if (child) {
    lock->ops = &zcmem__lock_lost;
  }
}

static void let_go_region(struct zcmem__region *region) {
  if (region->shared != NULL) {
    return;
  }
#ifdef ZCMEM__MAGAZINES
  if (region->lock.forking && region->depot != NULL) {
    zcmem__magazines_restore(region);
  }
#endif
  let_go(&region->lock, false);
}

#ifdef ZCMEM__MAGAZINES
/*
 * In the child: what other threads had is nobody's now; a context stays what it is. Those that had revoked magazines
 * will not restore them; and one that was just about to enter its own, and would have found them revoked, will not
 * leave them.
 */
static void inherit_magazines(struct zcmem__region *region) {
  zcmem__atomic_publish(&region->revoked, (region->recorded ? 1u : 0u) + (region->shared == NULL ? 1u : 0u));
  for (struct zcmem__magazines *at = region->depot->all; at != NULL; at = at->next) {
    if (at->context != NULL) {
      if (zcmem__atomic_acquire(&at->state) == ZCMEM__BARRIER_BUSY) {
        zcmem__magazines_leave(at);
      }
    } else if ((uintptr_t)at->owner != zcmem__region_self()) {
      at->owner = NULL;
      zcmem__magazines_set_lone(region, at, false);
      at->resting = 0;
      at->emptied = false;
      zcmem__atomic_publish(&at->state, ZCMEM__BARRIER_IDLE);
    }
  }
  if (region->shared != NULL) {
    zcmem__magazines_forget(region);
  }
}
#endif

/* Nobody enters magazines of a heap that another thread may have been changing: those stay revoked. */
static void inherit_region(struct zcmem__region *region) {
#ifdef ZCMEM__MAGAZINES
  if (region->depot != NULL) {
    inherit_magazines(region);
  }
#endif
  if (region->shared == NULL && !region->lock.forking) {
    let_go(&region->lock, true);
  } else {
    let_go_region(region);
  }
}

static void after_fork(void (*call)(struct zcmem__region *region), bool child) {
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    of_regions(hal, call);
    for (struct zcmem__lock *lock = hal->locks; lock != NULL; lock = lock->next) {
      let_go(lock, child);
    }
    let_go(&hal->map.lock, child);
    let_go(&hal->adding, child);
  }
  (void)pthread_mutex_unlock(&registry);
}

static void after_fork_in_parent(void) {
  after_fork(let_go_region, false);
}

static void after_fork_in_child(void) {
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    zcmem__context_inherit(hal);
  }
  after_fork(inherit_region, true);
}

/* -------------------------------------------------------------------------------------------------------- the list --
 */

static void watch(void) {
  fork_watched = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0;
}

bool zcmem__fork_watched(void) {
  return fork_watched;
}

void zcmem__fork_open(struct zcmem_hal *hal) {
  if (hal->lock_ops.lock != zcmem_lock_pthread.lock) {
    return;
  }
  (void)pthread_once(&fork_once, watch);
  (void)pthread_mutex_lock(&registry);
  hal->next = hals;
  hals = hal;
  (void)pthread_mutex_unlock(&registry);
}

void zcmem__fork_close(struct zcmem_hal *hal) {
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem_hal **at = &hals; *at != NULL; at = &(*at)->next) {
    if (*at == hal) {
      *at = hal->next;
      break;
    }
  }
  (void)pthread_mutex_unlock(&registry);
}

void zcmem__fork_open_lock(struct zcmem_hal *hal, struct zcmem__lock *lock) {
  (void)pthread_mutex_lock(&registry);
  lock->next = hal->locks;
  hal->locks = lock;
  (void)pthread_mutex_unlock(&registry);
}

void zcmem__fork_close_lock(struct zcmem_hal *hal, struct zcmem__lock *lock) {
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem__lock **at = &hal->locks; *at != NULL; at = &(*at)->next) {
    if (*at == lock) {
      *at = lock->next;
      break;
    }
  }
  (void)pthread_mutex_unlock(&registry);
}

void zcmem__fork_for_regions(void (*call)(struct zcmem__region *region)) {
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    of_regions(hal, call);
  }
  (void)pthread_mutex_unlock(&registry);
}
#else
typedef int zcmem__fork_empty; /* ISO C wants something in each file */
#endif
