/* SPDX-License-Identifier: MIT */
/*
 * All interleavings of a few threads with a few calls each, with at most so many preemptions (Musuvathi and Qadeer,
 * CHESS), and whatever they do compared with what the same calls can do one after the other.
 *
 * The library is compiled as for ThreadSanitizer, so that each of its accesses to memory calls us, but with a run-time
 * of our own (explore_tsan.c): the threads are fibers of one thread, and before each access that another thread can
 * notice the explorer decides who goes on. It runs all decisions, depth first, each time from the beginning.
 *
 * What it explores is sequentially consistent, but for one store of a thread that the others may see later (what a
 * store buffer does to Dekker's algorithm). Beside that each pair of accesses of which one is no atomic must be ordered
 * by what C11 calls happens-before: vector clocks follow the memory orders that the code asks for.
 */
#ifndef ZCMEM_TESTS_EXPLORE_H
#define ZCMEM_TESTS_EXPLORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zcmem/types.h>

enum { EXPLORE_THREADS = 3 };

struct explore_scenario {
  const char *name;
  void (*prepare)(void);                 /* once: makes the world; may act as any of the threads */
  void (*thread[EXPLORE_THREADS])(void); /* NULL: one thread less */
  void (*finish)(void);                  /* after each schedule, when all threads have ended */
};

struct explore_sum {
  unsigned threads, operations; /* of all threads */
  unsigned bound;               /* preemptions, */
  uint64_t schedules;           /* and how many schedules there are with up to so many */
  unsigned outcomes, reached;   /* of sequences of the operations */
};

/* Explores a scenario; a schedule that goes wrong fails the CMocka test, and prints the line that repeats it. */
struct explore_sum explore(const struct explore_scenario *scenario);

/* How many schedules were run so far, also to find out what is shared, and with fewer preemptions. */
uint64_t explore_schedules(void);

/* ------------------------------------------------------------------------------------------------- for scenarios -- */

/* Memory of the world, zeroed: what a schedule changes there is undone before the next one. All state must be here. */
void *explore_alloc(size_t bytes);

/* In prepare: what undoes it, before the next scenario. */
void explore_at_end(void (*call)(void));

/* In prepare: does this as if the thread did. */
void explore_as(unsigned thread, void (*call)(void));

/* Whether this is in a thread. */
bool explore_running(void);

/* In a thread: the calls up to the next one of these are one operation, for the comparison with sequences of them. */
void explore_op(void);

/* In a thread, where it holds no lock: it is somewhere in an operation of which the rest is one by itself. */
void explore_yield(void);

/* In a thread: does this with nobody going on meanwhile. */
void explore_quietly(void (*call)(void *ctx), void *ctx);

/* In a thread, or in finish: what a call answered. */
void explore_status(const char *what, enum zcmem_status status);
void explore_answer(const char *what, uint64_t answer);

/* Anywhere: what must hold. */
void explore_expect(bool good, const char *what);

/* The last thing of a thread: what the system does when it ends. */
void explore_thread_ends(void);

#endif
