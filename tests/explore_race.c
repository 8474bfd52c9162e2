/* SPDX-License-Identifier: MIT */
/*
 * Happens-before: a vector clock for each thread, and one for each word that was stored with release order. A pair of
 * accesses to one byte, of which one stores and one is no atomic, must be ordered.
 */
#include "explore_impl.h"
#include <string.h>

enum { BYTES = 1 << 19, WORDS = BYTES / 4, KINDS = 4 };

struct clock {
  uint32_t of[EXPLORE_THREADS];
};

static uint32_t run;
static struct clock now[EXPLORE_THREADS];     /* what each thread knows of each */
static struct clock fence[EXPLORE_THREADS];   /* and knew at its last release fence */
static struct clock to_come[EXPLORE_THREADS]; /* and will, with its next acquire fence */

/* When a byte was last accessed: kinds 0 load, 1 store, 2 atomic load, 3 atomic store. */
static struct {
  uint32_t run;
  uint32_t threads; /* a bit for each that was here */
  struct clock of[KINDS];
} bytes[BYTES];
static struct {
  uint32_t run;
  struct clock released;
} words[WORDS];

/* What a thread's last store handed over, and what the one before it had. */
static struct clock after[EXPLORE_THREADS], before[EXPLORE_THREADS];

static const char *const names[KINDS] = {"load", "store", "atomic load", "atomic store"};

static void join(struct clock *into, const struct clock *from) {
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    into->of[i] = into->of[i] > from->of[i] ? into->of[i] : from->of[i];
  }
}

void explore_race_begin(void) {
  run++;
  memset(now, 0, sizeof now);
  memset(fence, 0, sizeof fence);
  memset(to_come, 0, sizeof to_come);
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    now[i].of[i] = 1;
  }
}

void explore_race_fence(unsigned thread, bool acquires, bool releases) {
  if (acquires) {
    join(&now[thread], &to_come[thread]);
  }
  if (releases) {
    fence[thread] = now[thread];
    now[thread].of[thread]++;
  }
}

static void look(const struct explore_access *access, size_t byte, unsigned thread, unsigned kind) {
  for (unsigned with = 0; with < KINDS; with++) {
    bool stores = (kind | with) & 1u, plain = kind < 2 || with < 2;
    for (unsigned other = 0; stores && plain && other < EXPLORE_THREADS; other++) {
      if (other != thread && bytes[byte].of[with].of[other] > now[thread].of[other]) {
        explore_fail("a data race: %s of %zu bytes by thread %u, not ordered to the %s by thread %u", names[kind],
                     access->size, thread, names[with], other);
      }
    }
  }
}

static void touch(const struct explore_access *access, size_t at, unsigned thread, unsigned kind) {
  for (size_t byte = at; byte < at + access->size; byte++) {
    if (bytes[byte].run != run) {
      memset(&bytes[byte], 0, sizeof bytes[byte]);
      bytes[byte].run = run;
    }
    if ((bytes[byte].threads & ~(1u << thread)) != 0) {
      look(access, byte, thread, kind);
    }
    bytes[byte].threads |= 1u << thread;
    bytes[byte].of[kind].of[thread] = now[thread].of[thread];
  }
}

/* A word of 8 bytes is known by its first 4, as is the one of 4 that its first half is. */
static void synchronize(const struct explore_access *access, size_t word, unsigned thread) {
  if (words[word].run != run) {
    memset(&words[word], 0, sizeof words[word]);
    words[word].run = run;
  }
  if (access->reads) {
    join(access->acquires ? &now[thread] : &to_come[thread], &words[word].released);
  }
  if (access->writes) {
    const struct clock *released = access->releases ? &now[thread] : &fence[thread];
    before[thread] = words[word].released;
    if (!access->reads) { /* else the release sequence goes on */
      memset(&words[word].released, 0, sizeof words[word].released);
    }
    join(&words[word].released, released);
    after[thread] = words[word].released;
  }
}

static size_t offset_of(const void *at) {
  return (size_t)((uintptr_t)at - (uintptr_t)explore_arena);
}

void explore_race_hide(unsigned thread, const void *at) {
  if (offset_of(at) < BYTES) {
    words[offset_of(at) / 4].released = before[thread];
  }
}

void explore_race_show(unsigned thread, const void *at) {
  if (offset_of(at) < BYTES) {
    words[offset_of(at) / 4].released = after[thread];
  }
}

void explore_race_follow(const struct explore_access *access, unsigned thread) {
  size_t at = offset_of(access->at);
  if (at >= BYTES || access->size > BYTES - at) {
    return;
  }
  if (access->reads) {
    touch(access, at, thread, access->plain ? 0 : 2);
  }
  if (access->writes) {
    touch(access, at, thread, access->plain ? 1 : 3);
  }
  if (!access->plain) {
    synchronize(access, at / 4, thread);
    if (access->writes && access->releases) {
      now[thread].of[thread]++;
    }
  }
}
