/* SPDX-License-Identifier: MIT */
/* A scenario: what its operations can do one after the other, then all schedules, and a judgement of each. */
#ifndef _XOPEN_SOURCE
#define _XOPEN_SOURCE 700
#endif
#include "explore_impl.h"
#include "unit.h"
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { SEQUENCES = 1024, BOUND = 2 };

static const struct explore_scenario *scenario;
static void (*at_end)(void);
static uint64_t schedules;
static char sequences[SEQUENCES][EXPLORE_TEXT];
static unsigned sequence_count, operations;

uint64_t explore_schedules(void) {
  return schedules;
}

static void say_line(FILE *to, const char *what) {
  char text[4096];
  explore_tree_write(text, sizeof text);
  fprintf(to, "%s\n  to repeat it: ZCMEM_TEST_SCENARIO='%s' ZCMEM_TEST_SCHEDULE='%s' tests/test_explore\n", what,
          scenario->name, text[0] == '\0' ? "0" : text);
}

static void crashed(int number) {
  if (scenario != NULL && explore_current != EXPLORE_MAIN) {
    explore_current = EXPLORE_MAIN;
    say_line(stderr, number == SIGSEGV ? "a crash" : "a trap");
  }
  _exit(1);
}

static bool run_schedule(struct explore_how how, char *outcome) {
  schedules++;
  return explore_run(scenario, how, outcome);
}

/* ---------------------------------------------------------------------------------------------------- sequences -- */

static void add_sequence(const char *outcome) {
  unsigned i = 0;
  while (i < sequence_count && strcmp(sequences[i], outcome) != 0) {
    i++;
  }
  if (i == SEQUENCES) {
    explore_fail("too many outcomes");
  }
  if (i == sequence_count) {
    memcpy(sequences[sequence_count++], outcome, EXPLORE_TEXT);
  }
}

/* The outcomes of all sequences of operations. */
static void find_sequences(void) {
  static char outcome[EXPLORE_TEXT];
  sequence_count = 0;
  operations = 0;
  explore_tree_clear();
  do {
    if (!run_schedule((struct explore_how){.sequence = true}, outcome)) {
      fail_msg("one operation after the other: %s", explore_run_failure());
    }
    add_sequence(outcome);
    operations = explore_run_operations() > operations ? explore_run_operations() : operations;
  } while (explore_tree_advance());
}

/* ------------------------------------------------------------------------------------------------- all schedules -- */

static void judge(bool good, const char *outcome, bool *met) {
  char text[2 * EXPLORE_TEXT];
  for (unsigned i = 0; good && i < sequence_count; i++) {
    if (strcmp(sequences[i], outcome) == 0) {
      met[i] = true;
      return;
    }
  }
  (void)snprintf(text, sizeof text, "%s%s",
                 good ? "an outcome that no sequence of the operations has: " : explore_run_failure(),
                 good ? outcome : "");
  for (unsigned i = 0; i < sequence_count; i++) {
    print_error("  a sequence has: %s\n", sequences[i]);
  }
  say_line(stderr, text);
  fail_msg("%s", text);
}

/* All schedules with up to `most` preemptions. How many; 0: words turned out to be shared that were not known to be. */
static uint64_t explore_all(unsigned most, bool *met) {
  static char outcome[EXPLORE_TEXT];
  uint64_t count = 0;
  explore_tree_clear();
  do {
    bool good = run_schedule((struct explore_how){.bound = most}, outcome);
    judge(good, outcome, met);
    count++;
    if (explore_memory_learn()) {
      return 0;
    }
  } while (explore_tree_advance());
  return count;
}

static void repeat_schedule(const char *schedule) {
  static char outcome[EXPLORE_TEXT];
  bool met[SEQUENCES] = {false};
  for (unsigned pass = 0; pass < 2; pass++) { /* in the second one it is known what is shared */
    explore_tree_repeat(schedule);
    bool good = run_schedule((struct explore_how){.talk = pass == 1}, outcome);
    if (pass == 1) {
      judge(good, outcome, met);
      print_message("%s\n", outcome);
    }
  }
  explore_tree_repeat(NULL);
}

/* --------------------------------------------------------------------------------------------------- a scenario -- */

void explore_at_end(void (*call)(void)) {
  at_end = call;
}

/* Makes its world, in place of that of the scenario before, however that ended. */
static void begin(const struct explore_scenario *which) {
  if (at_end != NULL) {
    explore_memory_restore();
    at_end();
    at_end = NULL;
  }
  explore_memory_reset();
  explore_threads_init();
  scenario = which;
  which->prepare();
  explore_memory_keep();
}

static void catch_crashes(void) {
  const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};
  for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
    (void)signal(fatal[i], crashed);
  }
}

struct explore_sum explore(const struct explore_scenario *which) {
  bool met[SEQUENCES] = {false};
  struct explore_sum sum = {.bound = (unsigned)env_number("ZCMEM_TEST_BOUND", BOUND)};
  const char *schedule = getenv("ZCMEM_TEST_SCHEDULE");
  catch_crashes();
  begin(which);
  find_sequences();
  for (unsigned bound = schedule == NULL ? 0 : 1; bound <= sum.bound; bound++) {
    while ((sum.schedules = explore_all(bound, met)) == 0) {
    }
    if (schedule != NULL) {
      repeat_schedule(schedule);
      break;
    }
  }
  for (unsigned i = 0; i < sequence_count; i++) {
    sum.reached += met[i];
  }
  for (unsigned i = 0; i < EXPLORE_THREADS; i++) {
    sum.threads += which->thread[i] != NULL;
  }
  sum.outcomes = sequence_count;
  sum.operations = operations;
  explore_memory_restore();
  scenario = NULL;
  return sum;
}
