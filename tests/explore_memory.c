/* SPDX-License-Identifier: MIT */
/*
 * The world's memory, which goes back to what it was before each schedule, and what is known of its words: which thread
 * loads and stores them, holding which locks. Where two threads can never meet, no other schedule need be tried.
 */
#include "explore_impl.h"
#include <string.h>

enum {
  ARENA = 1 << 19,
  GRANULE = 4,       /* bytes */
  OUTSIDE = 1 << 12, /* places for what is not in the world */
  PLACES = ARENA / GRANULE + OUTSIDE,
  UNDO = 4096,
  LOCKS = 8
};

_Alignas(4096) unsigned char explore_arena[ARENA];
const size_t explore_arena_bytes = ARENA;
static _Alignas(4096) unsigned char kept[ARENA];
static size_t used, kept_used;

static const void *locks[LOCKS];
static unsigned held[EXPLORE_THREADS + 1]; /* a bit for each */

/* ----------------------------------------------------------------------------------------------------- the world -- */

void *explore_alloc(size_t bytes) {
  size_t at = (used + 127) / 128 * 128;
  if (bytes > ARENA - at) {
    explore_fail("the world is too small");
  }
  used = at + bytes;
  return explore_arena + at;
}

static struct {
  void *at;
  size_t size;
  uint64_t old[2];
} undo[UNDO];
static unsigned undone;

void explore_memory_save(void *at, size_t size) {
  if (undone == UNDO || size > sizeof undo[0].old) {
    explore_fail("too much is stored outside of the world");
  }
  undo[undone].at = at;
  undo[undone].size = size;
  memcpy(undo[undone++].old, at, size);
}

void explore_memory_keep(void) {
  memcpy(kept, explore_arena, used);
  kept_used = used;
}

void explore_memory_restore(void) {
  memcpy(explore_arena, kept, kept_used);
  memset(explore_arena + kept_used, 0, used - kept_used);
  used = kept_used;
  memset(held, 0, sizeof held);
  while (undone > 0) {
    undone--;
    memcpy(undo[undone].at, undo[undone].old, undo[undone].size);
  }
}

/* ------------------------------------------------------------------------------------------------ who meets where --
 */

static struct place {
  uint8_t readers, writers;       /* a bit for each thread */
  uint8_t locks[EXPLORE_THREADS]; /* that it always held */
  bool shared, learned;
} places[PLACES];
static bool news;

static size_t place_of(const void *at) {
  uintptr_t offset = (uintptr_t)at - (uintptr_t)explore_arena;
  return offset < ARENA ? offset / GRANULE
                        : ARENA / GRANULE + (size_t)((uintptr_t)at / GRANULE * UINT64_C(0x9e3779b97f4a7c15) >> 52);
}

static bool meet(const struct place *place, unsigned thread) {
  unsigned both = place->readers | place->writers;
  for (unsigned other = 0; other < EXPLORE_THREADS; other++) {
    if (other != thread && (both >> other & 1) != 0 &&
        ((place->writers >> other & 1) != 0 || (place->writers >> thread & 1) != 0) &&
        (place->locks[other] & place->locks[thread]) == 0) {
      return true;
    }
  }
  return false;
}

static bool note(struct place *place, const struct explore_access *access, unsigned thread) {
  uint8_t bit = (uint8_t)(1u << thread);
  bool first = ((place->readers | place->writers) & bit) == 0;
  place->readers |= access->reads ? bit : 0;
  place->writers |= access->writes ? bit : 0;
  place->locks[thread] = (uint8_t)(first ? held[thread] : place->locks[thread] & held[thread]);
  if (!place->shared && meet(place, thread)) {
    place->shared = true;
    news = true;
  }
  return place->learned;
}

bool explore_memory_shared(const struct explore_access *access, unsigned thread) {
  size_t first = place_of(access->at), count = (access->size + GRANULE - 1) / GRANULE;
  bool shared = false;
  for (size_t i = 0; i < count && first + i < PLACES; i++) {
    shared = note(&places[first + i], access, thread) || shared;
  }
  return shared;
}

bool explore_memory_learn(void) {
  bool any = news;
  for (size_t i = 0; any && i < PLACES; i++) {
    places[i].learned = places[i].shared;
  }
  news = false;
  return any;
}

void explore_memory_locked(unsigned thread, const void *lock, bool is_held) {
  unsigned i = 0;
  while (locks[i] != NULL && locks[i] != lock) {
    if (++i == LOCKS) {
      explore_fail("too many locks");
    }
  }
  locks[i] = lock;
  held[thread] = is_held ? held[thread] | 1u << i : held[thread] & ~(1u << i);
}

unsigned explore_memory_locks(unsigned thread) {
  return held[thread];
}

void explore_memory_reset(void) {
  memset(explore_arena, 0, used);
  memset(places, 0, sizeof places);
  memset(locks, 0, sizeof locks);
  memset(held, 0, sizeof held);
  used = 0;
  kept_used = 0;
  undone = 0;
  news = false;
}
