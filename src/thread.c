/* SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "thread.h"
#include "fork.h"

#ifdef ZCMEM__THREAD_MAGAZINES
#include <pthread.h>

/* Blocks that a thread that ends gives back in one hold of the lock. */
#define STEP 64u

_Thread_local struct zcmem__thread_slot zcmem__thread_slots[ZCMEM__THREAD_SLOTS];

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its value is set in threads that have magazines, so that its destructor runs */
static bool have_key;
static uint64_t serials; /* handed out so far; a region gets its own while `adding` is held, so without the registry */

static const void *self(void) {
  return &zcmem__self;
}

/* -------------------------------------------------------------------------------------------------- each region -- */

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
  zcmem__fork_for_regions(leave_region);
}

/* ------------------------------------------------------------------------------------------------------------ open --
 */

static void set_up(void) {
  /* A thread without a destructor could not give back what it has, and a child of fork not find out whose that is. */
  have_key = zcmem__fork_watched() && pthread_key_create(&key, end_thread) == 0;
}

void zcmem__thread_open(void) {
  (void)pthread_once(&once, set_up);
  zcmem__barrier_open();
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
