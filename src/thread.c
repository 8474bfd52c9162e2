/* SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "thread.h"
#include "context_impl.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#include <pthread.h>

/* Blocks that a thread that ends gives back in one hold of the lock. */
#define STEP 64u

_Thread_local struct zcmem__thread_slot zcmem__thread_slots[ZCMEM__THREAD_SLOTS];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its value is set in threads that have magazines, so that its destructor runs */
static bool have_key;
/* Guards the list of HALs. Taken before any lock of a HAL, so never by who holds one. */
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static struct zcmem_hal *hals;
static uint64_t serials; /* handed out so far; a region gets its own while `adding` is held, so without the registry */

static const void *self(void) {
  return &zcmem__self;
}

/* -------------------------------------------------------------------------------------------------- each region -- */

static void for_regions(struct zcmem_hal *hal, void (*call)(struct zcmem__region *region)) {
  uint32_t count = zcmem__atomic_acquire(&hal->count);
  for (uint32_t i = 0; i < count; i++) {
    call(&hal->regions[i]);
  }
}

/* The magazines of a thread in the region's list, which the lock guards. */
static struct zcmem__magazines *of_owner(const struct zcmem__region *region, const void *owner) {
  struct zcmem__magazines *at = region->depot->all;
  while (at != NULL && at->owner != owner) {
    at = at->next;
  }
  return at;
}

/* ------------------------------------------------------------------------------------------------ threads that end --
 */

/* A lock that fails leaves the blocks where they are; whoever needs space takes them from there. */
static void leave_region(struct zcmem__region *region) {
  uint32_t given = region->depot == NULL ? 0 : STEP;
  while (given == STEP && zcmem__region_take(region) == ZCMEM_OK) {
    struct zcmem__magazines *mine = of_owner(region, self());
    given = 0;
    if (mine != NULL) {
      zcmem__atomic_change(&region->version);
      given = zcmem__magazines_empty(region, mine, STEP);
      zcmem__atomic_changed(&region->version);
      if (given < STEP) {
        mine->owner = NULL; /* for a thread to come */
        zcmem__magazines_set_lone(region, mine, false);
      }
    }
    zcmem__lock_drop(&region->lock);
  }
}

static void end_thread(void *value) {
  (void)value;
  for (uint32_t i = 0; i < ZCMEM__THREAD_SLOTS; i++) {
    zcmem__thread_slots[i] = (struct zcmem__thread_slot){.serial = 0};
  }
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    for_regions(hal, leave_region);
  }
  (void)pthread_mutex_unlock(&registry);
}

/* ------------------------------------------------------------------------------------------------------------ fork --
 */

/* A lock that fails stays with who has it. The child does not have that thread, so there it is lost. */
static void hold(struct zcmem__lock *lock) {
  lock->forking = zcmem__lock_take(lock) == ZCMEM_OK;
}

static void let_go(struct zcmem__lock *lock, bool child) {
  if (lock->forking) {
    lock->forking = false;
    zcmem__lock_drop(lock);
  } else if (child) {
    lock->ops = &zcmem__lock_lost;
  }
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
  if (region->lock.forking && region->depot != NULL) {
    zcmem__magazines_revoke(region);
  }
}

static void let_go_region(struct zcmem__region *region) {
  if (region->shared != NULL) {
    return;
  }
  if (region->lock.forking && region->depot != NULL) {
    zcmem__magazines_restore(region);
  }
  let_go(&region->lock, false);
}

/*
 * In the child: what other threads had is nobody's now; a context stays what it is. Those that had revoked magazines
 * will not restore them; and one that was just about to enter its own, and would have found them revoked, will not
 * leave them.
 */
static void inherit_region(struct zcmem__region *region) {
  zcmem__atomic_publish(&region->revoked, (region->recorded ? 1u : 0u) + (region->shared == NULL ? 1u : 0u));
  for (struct zcmem__magazines *at = region->depot == NULL ? NULL : region->depot->all; at != NULL; at = at->next) {
    if (at->context != NULL) {
      if (zcmem__atomic_acquire(&at->state) == ZCMEM__BARRIER_BUSY) {
        zcmem__magazines_leave(at);
      }
    } else if (at->owner != self()) {
      at->owner = NULL;
      zcmem__magazines_set_lone(region, at, false);
      at->resting = 0;
      at->emptied = false;
      zcmem__atomic_publish(&at->state, ZCMEM__BARRIER_IDLE);
    }
  }
  if (region->shared != NULL) {
    if (region->depot != NULL) {
      zcmem__magazines_forget(region);
    }
    return;
  }
  if (region->lock.forking) {
    let_go_region(region);
  } else { /* nobody enters magazines of a heap that another thread may have been changing */
    let_go(&region->lock, true);
  }
}

static void before_fork(void) {
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    hold(&hal->adding);
    hold(&hal->map.lock);
    for_regions(hal, hold_region);
  }
}

static void after_fork(void (*call)(struct zcmem__region *region), bool child) {
  for (struct zcmem_hal *hal = hals; hal != NULL; hal = hal->next) {
    for_regions(hal, call);
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

/* ------------------------------------------------------------------------------------------------------------ open --
 */

static void set_up(void) {
  /* A thread without a destructor could not give back what it has, and a child of fork not find out whose that is. */
  have_key = pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0 &&
             pthread_key_create(&key, end_thread) == 0;
}

void zcmem__thread_open(struct zcmem_hal *hal) {
  (void)pthread_once(&once, set_up);
  zcmem__barrier_open();
  (void)pthread_mutex_lock(&registry);
  if (!hal->known) {
    hal->known = true;
    hal->next = hals;
    hals = hal;
  }
  (void)pthread_mutex_unlock(&registry);
}

void zcmem__thread_close(struct zcmem_hal *hal) {
  (void)pthread_mutex_lock(&registry);
  for (struct zcmem_hal **at = &hals; *at != NULL; at = &(*at)->next) {
    if (*at == hal) {
      *at = hal->next;
      break;
    }
  }
  (void)pthread_mutex_unlock(&registry);
}

uint64_t zcmem__thread_serial(void) {
  return __atomic_add_fetch(&serials, 1, __ATOMIC_RELAXED);
}

/* ---------------------------------------------------------------------------------------------------------- attach --
 */

/* With the lock held: magazines that are this thread's, or that nobody has any more. */
static struct zcmem__magazines *adopt(struct zcmem__region *region) {
  struct zcmem__magazines *found = of_owner(region, self());
  if (found == NULL) {
    found = of_owner(region, NULL);
  }
  if (found != NULL) {
    found->owner = self();
    zcmem__magazines_set_lone(region, found, true);
  }
  return found;
}

struct zcmem__magazines *zcmem__thread_attach(struct zcmem_hal *hal, struct zcmem__region *region) {
  const uint64_t serial = region->shared == NULL ? region->serial : region->shared->serial;
  /* Without a destructor a thread could not give back what it has. */
  if (serial == 0 || !have_key || pthread_setspecific(key, self()) != 0 || zcmem__region_take(region) != ZCMEM_OK) {
    return NULL;
  }
  struct zcmem__magazines *mine = adopt(region);
  zcmem__lock_drop(&region->lock);
  if (mine == NULL) {
    mine = hal->allocator.alloc(hal->allocator.ctx, zcmem__magazines_bytes(ZCMEM__MAGAZINE_MOST));
    if (mine == NULL) {
      return NULL;
    }
    zcmem__magazines_init(mine, region, ZCMEM__MAGAZINE_MOST, self());
    if (zcmem__region_take(region) != ZCMEM_OK) {
      hal->allocator.free(hal->allocator.ctx, mine, zcmem__magazines_bytes(ZCMEM__MAGAZINE_MOST));
      return NULL;
    }
    zcmem__magazines_join(region, mine);
    zcmem__magazines_set_lone(region, mine, true);
    zcmem__depot_tell(region);
    zcmem__lock_drop(&region->lock);
  }
  zcmem__thread_slots[serial % ZCMEM__THREAD_SLOTS] = (struct zcmem__thread_slot){.serial = serial, .magazines = mine};
  return mine;
}
#else
typedef int zcmem__thread_empty; /* ISO C wants something in each file */
#endif
