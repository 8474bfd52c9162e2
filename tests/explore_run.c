/* SPDX-License-Identifier: MIT */
/* One schedule: the threads as fibers, who of them may go on and who does, and how it ends. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "explore_impl.h"
#include "unit.h"
#include <string.h>
#include <ucontext.h>

enum {
  STACK = 1 << 18,
  STEPS = 200000 /* of a schedule: more, and it never ends */
};

extern const char __executable_start[];

enum state { READY, LOCKING, WAITING, ENDED };

static struct fiber {
  ucontext_t context;
  enum state state;
  const uint32_t *lock;    /* that it waits for */
  uint64_t stores;         /* that there were when it began to wait for one */
  char text[EXPLORE_TEXT]; /* answers */
  size_t length;
} fibers[EXPLORE_THREADS + 1];
static _Alignas(65536) unsigned char stacks[EXPLORE_THREADS][STACK];

unsigned explore_current = EXPLORE_MAIN;
static struct explore_how how;
static const struct explore_scenario *scenario;
static bool in_schedule; /* home is there */
static uint64_t steps;
static unsigned spent; /* preemptions */
static unsigned operations;
static ucontext_t home;
static char failure[EXPLORE_TEXT];

/* ------------------------------------------------------------------------------------------------ what it says -- */

_Noreturn void explore_fail(const char *format, ...) {
  va_list list;
  va_start(list, format);
  (void)vsnprintf(failure, sizeof failure, format, list);
  va_end(list);
  explore_current = EXPLORE_MAIN;
  if (in_schedule) {
    (void)setcontext(&home);
  }
  fprintf(stderr, "%s\n", failure);
  abort();
}

void explore_expect(bool good, const char *what) {
  if (!good) {
    explore_fail("%s", what);
  }
}

static void answer(const char *format, const char *what, long long value) {
  struct fiber *fiber = &fibers[explore_current];
  fiber->length += (size_t)snprintf(fiber->text + fiber->length, EXPLORE_TEXT - fiber->length, format, what, value);
  if (fiber->length >= EXPLORE_TEXT) {
    explore_fail("a thread answers too much");
  }
}

void explore_answer(const char *what, uint64_t value) {
  answer(" %s=%llu", what, (long long)value);
}

void explore_status(const char *what, enum zcmem_status status) {
  answer(" %s=%lld", what, status);
}

/* ---------------------------------------------------------------------------------------------------- decisions -- */

static bool can_run(const struct fiber *fiber) {
  switch (fiber->state) {
  case READY:
    return true;
  case LOCKING:
    return *fiber->lock == 0;
  case WAITING:
    return explore_stores_count() > fiber->stores;
  default:
    return false;
  }
}

/* Who may go on: this thread, if it can, first. */
static unsigned find_options(uint8_t *option) {
  unsigned count = 0, current = explore_current;
  bool preempts = current != EXPLORE_MAIN && can_run(&fibers[current]);
  if (preempts) {
    option[count++] = (uint8_t)current;
  }
  if (preempts && !how.sequence && spent == how.bound && !explore_tree_repeating()) {
    return count;
  }
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    if (i != current && can_run(&fibers[i])) {
      option[count++] = (uint8_t)i;
      if (preempts && !how.sequence && explore_stores_can_hide(current)) {
        option[count++] = (uint8_t)(i + EXPLORE_LATER);
      }
    }
  }
  return count;
}

static void run(unsigned thread) {
  unsigned before = explore_current;
  fibers[thread].state = READY;
  if (thread == before) {
    return;
  }
  explore_flush(thread);
  if (how.talk) {
    print_message("  step %llu: thread %u goes on\n", (unsigned long long)steps, thread);
  }
  if (before != EXPLORE_MAIN) {
    explore_threads_leave(before);
  }
  explore_threads_enter(thread);
  explore_current = thread;
  if (before == EXPLORE_MAIN || fibers[before].state == ENDED) {
    (void)setcontext(&fibers[thread].context);
  } else {
    (void)swapcontext(&fibers[before].context, &fibers[thread].context);
  }
}

/* Lets a thread go on. Returns when this one does. */
static void decide(void) {
  uint8_t option[EXPLORE_OPTIONS] = {0};
  unsigned count = find_options(option), current = explore_current;
  bool preempts = current != EXPLORE_MAIN && can_run(&fibers[current]);
  if (count == 0) {
    for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
      if (fibers[i].state != ENDED) {
        explore_fail("a deadlock");
      }
    }
    explore_current = EXPLORE_MAIN;
    (void)setcontext(&home);
  }
  unsigned choice = option[0];
  if (count > 1) {
    choice = explore_tree_choose(steps, option, count);
  }
  if (preempts && choice != current) {
    spent++;
    if (choice >= EXPLORE_LATER) {
      explore_stores_hide(current);
    }
  }
  run(choice % EXPLORE_LATER);
}

static void step(void) {
  if (++steps > STEPS) {
    explore_fail("a schedule that does not end");
  }
}

void explore_before(const struct explore_access *access) {
  uintptr_t offset = (uintptr_t)access->at - (uintptr_t)stacks;
  if (offset < sizeof stacks) {
    return;
  }
  step();
  if (access->plain) {
    explore_race_follow(access, explore_current);
  } else if (explore_memory_shared(access, explore_current) && !how.sequence) {
    if (how.talk) {
      print_message("  step %llu: thread %u %s %zu bytes at %#zx, code %#zx\n", (unsigned long long)steps,
                    explore_current,
                    !access->writes ? "loads"
                    : access->reads ? "swaps"
                                    : "stores",
                    access->size, (size_t)((uintptr_t)access->at - (uintptr_t)explore_arena),
                    (size_t)((uintptr_t)access->from - (uintptr_t)__executable_start));
    }
    decide();
  }
  if (access->writes) {
    if (!access->plain) {
      explore_flush(explore_current);
    }
    if ((uintptr_t)access->at - (uintptr_t)explore_arena >= explore_arena_bytes) {
      explore_memory_save(access->at, access->size);
    }
  }
}

void explore_wait_lock(const uint32_t *lock) {
  struct fiber *fiber = &fibers[explore_current];
  fiber->state = LOCKING;
  fiber->lock = lock;
  step();
  decide();
}

void explore_wait_store(void) {
  struct fiber *fiber = &fibers[explore_current];
  explore_flush(explore_current);
  fiber->state = WAITING;
  fiber->stores = explore_stores_count();
  step();
  decide();
}

bool explore_running(void) {
  return explore_current != EXPLORE_MAIN;
}

void explore_op(void) {
  if (explore_current != EXPLORE_MAIN) {
    step();
    operations++;
    if (how.sequence) {
      decide();
    }
  }
}

void explore_yield(void) {
  if (explore_current != EXPLORE_MAIN) {
    step();
    decide();
  }
}

void explore_quietly(void (*call)(void *ctx), void *ctx) {
  unsigned current = explore_current;
  explore_current = EXPLORE_MAIN;
  call(ctx);
  explore_current = current;
}

void explore_as(unsigned thread, void (*call)(void)) {
  explore_threads_enter(thread);
  call();
  explore_threads_leave(thread);
}

/* ----------------------------------------------------------------------------------------------- one schedule -- */

static void fiber_main(void) {
  scenario->thread[explore_current]();
  explore_flush(explore_current);
  if (explore_memory_locks(explore_current) != 0) {
    explore_fail("a thread ends and holds a lock");
  }
  fibers[explore_current].state = ENDED;
  step();
  decide();
}

static void start(unsigned thread) {
  struct fiber *fiber = &fibers[thread];
  fiber->length = 0;
  fiber->text[0] = '\0';
  fiber->state = thread == EXPLORE_MAIN || scenario->thread[thread] == NULL ? ENDED : READY;
  if (fiber->state == READY) {
    (void)getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = stacks[thread];
    fiber->context.uc_stack.ss_size = STACK;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, fiber_main, 0);
  }
}

/* All answers, in the order of the threads, and what is left at the end. */
static void write_outcome(char *text) {
  size_t length = 0;
  text[0] = '\0';
  for (unsigned i = 0; i <= EXPLORE_THREADS && length < EXPLORE_TEXT; i++) {
    if (i == EXPLORE_MAIN || scenario->thread[i] != NULL) {
      length += (size_t)snprintf(text + length, EXPLORE_TEXT - length, "%s%s", i == 0 ? "" : " |", fibers[i].text);
    }
  }
}

bool explore_run(const struct explore_scenario *which, struct explore_how its_how, char *outcome) {
  scenario = which;
  how = its_how;
  explore_memory_restore();
  explore_race_begin();
  explore_stores_begin();
  explore_tree_begin();
  steps = 0;
  spent = 0;
  operations = 0;
  failure[0] = '\0';
  for (unsigned i = 0; i <= EXPLORE_THREADS; i++) {
    start(i);
  }
  volatile bool begun = false;
  in_schedule = true;
  (void)getcontext(&home); /* comes back when all threads have ended, and when something goes wrong */
  if (!begun) {
    begun = true;
    decide();
  }
  explore_threads_end();
  if (failure[0] == '\0') {
    scenario->finish();
    write_outcome(outcome);
  }
  in_schedule = false;
  return failure[0] == '\0';
}

const char *explore_run_failure(void) {
  return failure;
}

unsigned explore_run_operations(void) {
  return operations;
}
