/* SPDX-License-Identifier: MIT */
/* What the files of the explorer share. */
#ifndef ZCMEM_TESTS_EXPLORE_IMPL_H
#define ZCMEM_TESTS_EXPLORE_IMPL_H

#include "explore.h"

#define EXPLORE_MAIN EXPLORE_THREADS

/* What an access does and how it orders others. */
struct explore_access {
  void *at;
  size_t size;
  bool reads, writes, plain;
  bool acquires, releases;
  const void *from; /* code */
};

/* What a thread answers, and a failure, in characters. */
#define EXPLORE_TEXT 512

/* --------------------------------------------------------------------------------------------------- explore_run.c --
 */

struct explore_how {
  bool sequence;  /* operations, one after the other; else: */
  unsigned bound; /* preemptions */
  bool talk;      /* each step that others could notice is printed */
};

/*
 * Runs the threads by the decisions that are there, and further ones that are obvious. False: it went wrong. `outcome`,
 * of EXPLORE_TEXT: all answers, in the order of the threads, and what is left at the end.
 */
bool explore_run(const struct explore_scenario *which, struct explore_how how, char *outcome);

/* Of the last run: what went wrong; operations of all threads. */
const char *explore_run_failure(void);
unsigned explore_run_operations(void);

/* The thread that runs now; EXPLORE_MAIN: none, and nothing is explored. */
extern unsigned explore_current;

/* Before an access. */
void explore_before(const struct explore_access *access);

/* Lets another thread run until the lock is free, or until somebody stores something. */
void explore_wait_lock(const uint32_t *lock);
void explore_wait_store(void);

/* The schedule goes wrong, and ends here. */
_Noreturn void explore_fail(const char *format, ...);

/* -------------------------------------------------------------------------------------------------- explore_tree.c --
 */

/* Each thread may be an option, and again with EXPLORE_LATER: what the present one stored last is seen later. */
enum { EXPLORE_OPTIONS = 2 * EXPLORE_THREADS, EXPLORE_LATER = 8 };

/* No decisions; and a schedule begins. */
void explore_tree_clear(void);
void explore_tree_begin(void);

/* Which option this schedule takes: the first, where it is new here. */
uint8_t explore_tree_choose(uint64_t step, const uint8_t *option, unsigned count);

/* The next decisions, depth first. False: there are no more. */
bool explore_tree_advance(void);

/* Writes the decisions that are not the obvious ones. */
void explore_tree_write(char *text, size_t bytes);

/* From now on schedules go by such a text; NULL: no longer. */
void explore_tree_repeat(const char *text);
bool explore_tree_repeating(void);

/* ------------------------------------------------------------------------------------------------ explore_stores.c --
 */

/* A new schedule. */
void explore_stores_begin(void);

/* Stores that others could see so far. */
uint64_t explore_stores_count(void);

/*
 * After a store to what others look at: of it they may hear later. `old` is what was there, or NULL where the access
 * reads as well: others see that at once.
 */
void explore_stored(const struct explore_access *access, const void *old);

/* Whether there is such a store; nobody sees it from now on. */
bool explore_stores_can_hide(unsigned thread);
void explore_stores_hide(unsigned thread);

/* What thread `thread` stored has been seen by all: of a lock, a read-modify-write, a full barrier; or of all threads.
 */
void explore_flush(unsigned thread);
void explore_flush_all(void);

/* ----------------------------------------------------------------------------------------------- explore_memory.c --
 */

/* Takes the world as it is for the beginning of each schedule; and makes it that again. */
void explore_memory_keep(void);
void explore_memory_restore(void);

/* Forgets all, for another scenario. */
void explore_memory_reset(void);

/* Remembers what is at a place outside of the world, which is about to be stored to. */
void explore_memory_save(void *at, size_t size);

/*
 * Notes an atomic access. Whether the schedule may make a difference there: another thread accesses the place, too, one
 * of the two stores to it, and no lock is held by both. What is found out now counts from explore_memory_learn on.
 */
bool explore_memory_shared(const struct explore_access *access, unsigned thread);

/* Whether there is anything new. */
bool explore_memory_learn(void);

/* Locks that a thread holds. */
void explore_memory_locked(unsigned thread, const void *lock, bool held);
unsigned explore_memory_locks(unsigned thread);

/* ------------------------------------------------------------------------------------------------- explore_race.c --
 */

/* A new schedule: all that was before happened before. */
void explore_race_begin(void);

/* Follows an access; fails the schedule where it is not ordered to another one. */
void explore_race_follow(const struct explore_access *access, unsigned thread);

/* What the thread stored last, at a place, is seen later; and now. */
void explore_race_hide(unsigned thread, const void *at);
void explore_race_show(unsigned thread, const void *at);

void explore_race_fence(unsigned thread, bool acquires, bool releases);

/* ---------------------------------------------------------------------------------------------- explore_threads.c --
 */

/* The thread-local words of the library, for the thread that goes on. */
void explore_threads_leave(unsigned thread);
void explore_threads_enter(unsigned thread);
void explore_threads_end(void);

/* Makes room for them in the world. */
void explore_threads_init(void);

extern unsigned char explore_arena[];
extern const size_t explore_arena_bytes;

#endif
