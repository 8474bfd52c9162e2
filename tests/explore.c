/* SPDX-License-Identifier: MIT */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "explore_impl.h"
#include "unit.h"
#include <signal.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum {
  STACK = 1 << 18,
  DECISIONS = 1 << 13,
  OPTIONS = 2 * EXPLORE_THREADS,
  STEPS = 200000, /* of a schedule: more, and it never ends */
  TEXT = 512,
  SEQUENCES = 1024,
  LATER = 8, /* in an option: beside the thread that goes on; what this one stored last is seen later */
  BOUND = 2
};

extern const char __executable_start[];

enum state { READY, LOCKING, WAITING, ENDED };

struct store {
  void *at;
  size_t size; /* 0: none */
  uint64_t value;
};

static struct fiber {
  ucontext_t context;
  enum state state;
  const uint32_t *lock; /* that it waits for */
  uint64_t stores;      /* that there were when it began to wait for one */
  struct store last;    /* its last store, with what was there before, while it may be seen later */
  struct store hidden;  /* that is seen later */
  char text[TEXT];      /* answers */
  size_t length;
} fibers[EXPLORE_THREADS + 1];
static _Alignas(65536) unsigned char stacks[EXPLORE_THREADS][STACK];

static struct decision {
  uint64_t step;
  unsigned count, chosen;
  uint8_t option[OPTIONS];
} decisions[DECISIONS];
static unsigned depth; /* decisions that are there */
static unsigned at;    /* and that were passed in this schedule */

unsigned explore_current = EXPLORE_MAIN;
static const struct explore_scenario *scenario;
static bool in_schedule; /* home is there */
static bool in_sequence; /* operations, one after the other */
static bool replay;
static bool talk;
static uint64_t steps, stores, schedules;
static unsigned bound, spent; /* preemptions */
static const char *script;    /* what is left of the schedule that is repeated */
static void (*at_end)(void);
static ucontext_t home;
static char failure[TEXT];
static char sequences[SEQUENCES][TEXT];
static unsigned sequence_count;

uint64_t explore_schedules(void) {
  return schedules;
}

/* ---------------------------------------------------------------------------------------------------- schedules -- */

/* The decisions that are not the obvious ones, in words that `script` understands. */
static void write_schedule(char *text, size_t bytes) {
  size_t length = 0;
  text[0] = '\0';
  for (unsigned i = 0; i < at && i < depth && length < bytes; i++) {
    const struct decision *decision = &decisions[i];
    if (decision->chosen != 0) {
      unsigned option = decision->option[decision->chosen];
      length += (size_t)snprintf(text + length, bytes - length, "%s%llu:%u%s", length == 0 ? "" : ",",
                                 (unsigned long long)decision->step, option % LATER, option >= LATER ? "l" : "");
    }
  }
}

static void say_line(FILE *to, const char *what) {
  char text[4096];
  write_schedule(text, sizeof text);
  fprintf(to, "%s\n  to repeat it: ZCMEM_TEST_SCENARIO='%s' ZCMEM_TEST_SCHEDULE='%s' tests/test_explore\n", what,
          scenario->name, text[0] == '\0' ? "0" : text);
}

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

static void crashed(int number) {
  if (scenario != NULL && explore_current != EXPLORE_MAIN) {
    explore_current = EXPLORE_MAIN;
    say_line(stderr, number == SIGSEGV ? "a crash" : "a trap");
  }
  _exit(1);
}

void explore_expect(bool good, const char *what) {
  if (!good) {
    explore_fail("%s", what);
  }
}

static void answer(const char *format, const char *what, long long value) {
  struct fiber *fiber = &fibers[explore_current];
  fiber->length += (size_t)snprintf(fiber->text + fiber->length, TEXT - fiber->length, format, what, value);
  if (fiber->length >= TEXT) {
    explore_fail("a thread answers too much");
  }
}

void explore_answer(const char *what, uint64_t value) {
  answer(" %s=%llu", what, (long long)value);
}

void explore_status(const char *what, enum zcmem_status status) {
  answer(" %s=%lld", what, status);
}

/* ------------------------------------------------------------------------------------------------- store buffers -- */

static void put(const struct store *store, uint64_t value) {
  memcpy(store->at, &value, store->size); /* little-endian, or a word of 8 bytes */
}

static uint64_t get(const struct store *store) {
  uint64_t value = 0;
  memcpy(&value, store->at, store->size);
  return value;
}

void explore_flush(unsigned thread) {
  struct fiber *fiber = &fibers[thread];
  if (fiber->hidden.size != 0) {
    put(&fiber->hidden, fiber->hidden.value);
    explore_race_show(thread, fiber->hidden.at);
    stores++;
  }
  fiber->hidden.size = 0;
  fiber->last.size = 0;
}

void explore_flush_all(void) {
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    explore_flush(i);
  }
}

void explore_stored(const struct explore_access *access, uint64_t old) {
  struct fiber *fiber = &fibers[explore_current];
  stores++;
  fiber->last = (struct store){.at = access->at, .size = access->reads ? 0 : access->size, .value = old};
}

/* What this thread stored last nobody has seen yet. */
static void hide(struct fiber *fiber) {
  fiber->hidden = fiber->last;
  fiber->hidden.value = get(&fiber->last);
  put(&fiber->last, fiber->last.value);
  explore_race_hide(explore_current, fiber->last.at);
  fiber->last.size = 0;
}

/* ---------------------------------------------------------------------------------------------------- decisions -- */

static bool can_run(const struct fiber *fiber) {
  switch (fiber->state) {
  case READY:
    return true;
  case LOCKING:
    return *fiber->lock == 0;
  case WAITING:
    return stores > fiber->stores;
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
  if (preempts && !in_sequence && spent == bound && !replay) {
    return count;
  }
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    if (i != current && can_run(&fibers[i])) {
      option[count++] = (uint8_t)i;
      if (preempts && !in_sequence && fibers[current].last.size != 0) {
        option[count++] = (uint8_t)(i + LATER);
      }
    }
  }
  return count;
}

/* What a replay chooses: what its script says for this step, if it says anything. */
static unsigned scripted(const struct decision *decision) {
  char *end = NULL;
  if (script == NULL || strtoull(script, &end, 10) != decision->step || *end != ':') {
    return 0;
  }
  unsigned option = (unsigned)strtoul(end + 1, &end, 10);
  if (*end == 'l') {
    option += LATER;
    end++;
  }
  script = *end == ',' ? end + 1 : NULL;
  for (unsigned i = 0; i < decision->count; i++) {
    if (decision->option[i] == option) {
      return i;
    }
  }
  explore_fail("the schedule is none of this program's: it has no such step");
}

static struct decision *next_decision(const uint8_t *option, unsigned count) {
  if (at == depth) {
    if (depth == DECISIONS) {
      explore_fail("too many decisions");
    }
    struct decision *made = &decisions[depth++];
    *made = (struct decision){.step = steps, .count = count};
    memcpy(made->option, option, OPTIONS);
    made->chosen = replay ? scripted(made) : 0;
  }
  struct decision *decision = &decisions[at++];
  if (decision->step != steps || decision->count != count) {
    explore_fail("the same decisions lead elsewhere: the scenario has state outside of its world");
  }
  return decision;
}

static void run(unsigned thread) {
  unsigned before = explore_current;
  fibers[thread].state = READY;
  if (thread == before) {
    return;
  }
  explore_flush(thread);
  if (talk) {
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
  uint8_t option[OPTIONS] = {0};
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
    const struct decision *decision = next_decision(option, count);
    choice = decision->option[decision->chosen];
  }
  if (preempts && choice != current) {
    spent++;
    if (choice >= LATER) {
      hide(&fibers[current]);
    }
  }
  run(choice % LATER);
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
  } else if (explore_memory_shared(access, explore_current) && !in_sequence) {
    if (talk) {
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
  fiber->stores = stores;
  step();
  decide();
}

bool explore_running(void) {
  return explore_current != EXPLORE_MAIN;
}

void explore_op(void) {
  if (explore_current != EXPLORE_MAIN) {
    step();
    if (in_sequence) {
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

/* ------------------------------------------------------------------------------------------------- one schedule -- */

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
  fiber->last.size = 0;
  fiber->hidden.size = 0;
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
  for (unsigned i = 0; i <= EXPLORE_THREADS && length < TEXT; i++) {
    if (i == EXPLORE_MAIN || scenario->thread[i] != NULL) {
      length += (size_t)snprintf(text + length, TEXT - length, "%s%s", i == 0 ? "" : " |", fibers[i].text);
    }
  }
}

/* Runs the threads by the decisions that are there, and further ones that are obvious. False: it went wrong. */
static bool run_schedule(char *outcome) {
  explore_memory_restore();
  explore_race_begin();
  steps = 0;
  stores = 0;
  spent = 0;
  at = 0;
  schedules++;
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

/* The next decisions, depth first. False: there are no more. */
static bool advance(void) {
  while (depth > 0 && decisions[depth - 1].chosen + 1 >= decisions[depth - 1].count) {
    depth--;
  }
  if (depth == 0) {
    return false;
  }
  decisions[depth - 1].chosen++;
  return true;
}

/* --------------------------------------------------------------------------------------------------- a scenario -- */

static void add_sequence(const char *outcome) {
  unsigned i = 0;
  while (i < sequence_count && strcmp(sequences[i], outcome) != 0) {
    i++;
  }
  if (i == SEQUENCES) {
    explore_fail("too many outcomes");
  }
  if (i == sequence_count) {
    memcpy(sequences[sequence_count++], outcome, TEXT);
  }
}

/* The outcomes of all sequences of operations. */
static void find_sequences(void) {
  static char outcome[TEXT];
  in_sequence = true;
  sequence_count = 0;
  depth = 0;
  do {
    if (!run_schedule(outcome)) {
      fail_msg("one operation after the other: %s", failure);
    }
    add_sequence(outcome);
  } while (advance());
  in_sequence = false;
}

static void judge(bool good, const char *outcome, bool *met) {
  if (good) {
    for (unsigned i = 0; i < sequence_count; i++) {
      if (strcmp(sequences[i], outcome) == 0) {
        met[i] = true;
        return;
      }
    }
    (void)snprintf(failure, sizeof failure, "an outcome that no sequence of the operations has: %s", outcome);
  }
  for (unsigned i = 0; i < sequence_count; i++) {
    print_error("  a sequence has: %s\n", sequences[i]);
  }
  say_line(stderr, failure);
  fail_msg("%s", failure);
}

/* All schedules with up to `most` preemptions. How many; 0: words turned out to be shared that were not known to be. */
static uint64_t explore_all(unsigned most, bool *met) {
  static char outcome[TEXT];
  uint64_t count = 0;
  bound = most;
  depth = 0;
  do {
    bool good = run_schedule(outcome);
    judge(good, outcome, met);
    count++;
    if (explore_memory_learn()) {
      return 0;
    }
  } while (advance());
  return count;
}

static void repeat_schedule(const char *schedule) {
  static char outcome[TEXT];
  bool met[SEQUENCES] = {false};
  for (unsigned pass = 0; pass < 2; pass++) { /* in the second one it is known what is shared */
    script = schedule;
    replay = true;
    talk = pass == 1;
    depth = 0;
    bool good = run_schedule(outcome);
    if (talk) {
      judge(good, outcome, met);
      print_message("%s\n", outcome);
    }
    replay = false;
    talk = false;
  }
}

void explore_at_end(void (*call)(void)) {
  at_end = call;
}

void explore(const struct explore_scenario *which) {
  bool met[SEQUENCES] = {false};
  unsigned most = (unsigned)env_number("ZCMEM_TEST_BOUND", BOUND), reached = 0;
  const char *schedule = getenv("ZCMEM_TEST_SCHEDULE");
  uint64_t count = 0;
  const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    (void)signal(fatal[i], crashed);
  }
  if (at_end != NULL) { /* of the scenario before, however that ended */
    explore_memory_restore();
    at_end();
    at_end = NULL;
  }
  explore_memory_reset();
  explore_threads_init();
  scenario = which;
  which->prepare();
  explore_memory_keep();
  find_sequences();
  for (unsigned preemptions = schedule == NULL ? 0 : 1; preemptions <= most; preemptions++) {
    while ((count = explore_all(preemptions, met)) == 0) {
    }
    if (schedule != NULL) {
      repeat_schedule(schedule);
      break;
    }
  }
  for (unsigned i = 0; i < sequence_count; i++) {
    reached += met[i];
  }
  explore_memory_restore();
  scenario = NULL;
  print_message("  %llu schedules of up to %u preemptions, %u of %u outcomes of sequences\n", (unsigned long long)count,
                most, reached, sequence_count);
}
