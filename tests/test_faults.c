/* SPDX-License-Identifier: MIT */
/*
 * The driver: each operation of the tables with each source of faults, at every place, once and from then on. `--list`
 * prints the functions that the tables name.
 */
#define _GNU_SOURCE
#include "faults.h"
#include "magazine.h"
#include "shm_fixture.h"

static const struct faults_operation *const tables[] = {faults_mem,  faults_hal,       faults_buffer,    faults_malloc,
                                                        faults_heap, faults_magazines, faults_hardening, faults_debug,
                                                        faults_shm,  faults_context};
enum { TABLES = sizeof tables / sizeof *tables, MOST_FAULTS = 200, NAME_BYTES = 120, MOST_TESTS = 300 };

/* What has been injected, by source; and that is told at the end. */
static unsigned injected[FAULTS_SOURCES];
static bool has_areas;

/* Which fault is on its way, for whoever has to find out why a test has failed. */
static char where[NAME_BYTES];

/* One operation in one world, and what it is like when nothing fails. */
struct course {
  const struct faults_operation *operation;
  enum fake_way way, other_way;
  struct faults_look before, after, undone;
};

/* What magazines keep decides which block is taken, and whether anything has to be asked for at all. */
static unsigned rules_of(const struct course *course) {
  unsigned rules = course->operation->rules;
  return (rules & FAULTS_MAGAZINES) != 0 ? rules | FAULTS_BACK | FAULTS_ELSEWHERE : rules;
}

static bool has_few(enum faults_source source) {
  return source >= FAULTS_BLOCKS;
}

/* ---------------------------------------------------------------------------------------------------- one run -- */

static void begin(const struct course *course) {
  const struct faults_operation *operation = course->operation;
  faults_open(course->way, course->other_way, (operation->rules & FAULTS_MAGAZINES) != 0);
  faults.virgin = (operation->rules & FAULTS_VIRGIN) != 0;
  if (!faults.virgin) {
    faults_transfer_once();
  }
  if (operation->prepare != NULL) {
    operation->prepare();
  }
}

static enum zcmem_status call(const struct faults_operation *operation) {
  faults.told = ZCMEM_OK;
  if ((operation->rules & FAULTS_DISTURB) == 0) {
    return operation->call();
  }
  for (unsigned i = 0; i < 2; i++) {
    zcmem__atomic_change(&faults.hal->regions[i].version);
  }
  enum zcmem_status status = operation->call();
  for (unsigned i = 0; i < 2; i++) {
    zcmem__atomic_changed(&faults.hal->regions[i].version);
  }
  return status;
}

static void undo(const struct faults_operation *operation) {
  if (operation->undo != NULL) {
    operation->undo();
  }
}

static void assert_same(const struct faults_look *a, const struct faults_look *b, unsigned parts, const char *when) {
  const char *wrong = faults_compare(a, b, parts);
  if (wrong != NULL) {
    fail_msg("%s: %s", when, wrong);
  }
}

static void look_once_more(const struct faults_look *want, unsigned parts, const char *when) {
  struct faults_look now;
  faults_look(&now);
  assert_same(want, &now, parts, when);
  faults_look_away(&now);
}

static void run_without_faults(struct course *course) {
  begin(course);
  faults_look(&course->before);
  assert_ok(call(course->operation));
  faults_look(&course->after);
  undo(course->operation);
  faults_look(&course->undone);
  faults_close(false);
}

/* -------------------------------------------------------------------------------------------- with a fault -- */

/* What became of a call that met a fault. */
enum outcome {
  NOTHING_DONE,
  ALL_DONE,
  SPOILT /* the header says what is left, and it was that */
};

/* What does not depend on how the heap came to be what it is. */
#define LOOSE (FAULTS_FIGURES | FAULTS_MEMORY | FAULTS_WITNESS | FAULTS_TABLES)

/* The parts that must be as before after a failure. */
static unsigned parts_after_failure(unsigned rules) {
  unsigned parts = FAULTS_ALL;
  parts &= (rules & FAULTS_MOVES) != 0 ? ~(unsigned)FAULTS_TARGET : parts;
  return (rules & FAULTS_BACK) != 0 ? parts & ~(unsigned)(FAULTS_IMAGES | FAULTS_COUNTERS | FAULTS_MEMORY) : parts;
}

/* A block is in use for good: without that use, is all as before, or as after? */
static enum outcome judge_use(const struct course *course, const char *unlike, bool is_after) {
  const unsigned loose = parts_after_failure(course->operation->rules) & LOOSE;
  const struct faults_look *want = is_after ? &course->after : &course->before;
  if (faults_end_uses(want) == 0) {
    fail_msg("has changed %s", unlike);
  }
  look_once_more(want, loose, is_after ? "done but for a use, but not" : "not done but for a use, but");
  return is_after ? ALL_DONE : NOTHING_DONE;
}

static enum outcome judge_failure(const struct course *course, enum zcmem_status status, bool *loosely) {
  const struct faults_operation *operation = course->operation;
  const unsigned rules = rules_of(course), most = FAULTS_ALL & ~(unsigned)(FAULTS_COUNTERS | FAULTS_TARGET);
  struct faults_look now;
  *loosely = (rules & FAULTS_BACK) != 0;
  if ((rules & FAULTS_CUSTOM) != 0 && operation->left(status)) {
    return SPOILT;
  }
  faults_look(&now);
  const char *unlike = faults_compare(&course->before, &now, parts_after_failure(rules));
  bool is_after = faults_compare(&course->after, &now, most) == NULL;
  bool towards_after = (rules & FAULTS_CLOSED) != 0 && (faults_compare(&course->before, &now, FAULTS_TABLES) != NULL ||
                                                        faults_has_moved(&course->before, &course->after, &now));
  faults_look_away(&now);
  if (unlike == NULL) {
    return NOTHING_DONE;
  }
  if ((rules & FAULTS_CLOSED) != 0 && is_after) {
    return ALL_DONE;
  }
  bool may_stay = (rules & FAULTS_USE) != 0 || ((rules & FAULTS_AGAIN) != 0 && (faults.lasting || towards_after));
  if (!may_stay || status != ZCMEM_ELOCK) {
    fail_msg("has changed %s", unlike);
  }
  *loosely = true;
  return judge_use(course, unlike, towards_after);
}

/* Of a call that answered OK although something failed. */
static enum outcome judge_success(const struct course *course) {
  const struct faults_operation *operation = course->operation;
  assert_true((rules_of(course) & (FAULTS_DETOUR | FAULTS_ELSEWHERE | FAULTS_IGNORED)) != 0);
  if ((operation->rules & FAULTS_CUSTOM) != 0 && operation->left(ZCMEM_OK)) {
    return SPOILT;
  }
  if ((rules_of(course) & FAULTS_ELSEWHERE) == 0) {
    look_once_more(&course->after, FAULTS_ALL, "done all the same, but not");
  }
  return ALL_DONE;
}

/* Answers whether the fault struck. */
static bool run_with_fault(const struct course *course, enum faults_source source, unsigned n, bool lasting) {
  const struct faults_operation *operation = course->operation;
  enum outcome outcome = ALL_DONE;
  bool loosely = has_few(source);
  (void)snprintf(where, sizeof where, "regions of way %d and %d, %s, from number %u%s", (int)course->way,
                 (int)course->other_way, faults_name(source), n, lasting ? " on" : ", once");
  begin(course);
  faults.lasting = lasting;
  faults_arm(source, n, lasting);
  enum zcmem_status status = call(operation);
  /* What was taken is given back by the disarming, after a success only when that is undone. */
  bool struck = has_few(source) ? status != ZCMEM_OK : faults_disarm() > 0;
  assert_int_equal(fake.locks_held, 0);
  if (status != ZCMEM_OK) {
    (void)(has_few(source) ? faults_disarm() : 0);
    assert_true(struck);
    assert_status(status, faults_status(source));
    /* Magazines can be done without. */
    assert_true((operation->rules & FAULTS_MAGAZINES) == 0 || (source != FAULTS_ALLOC && source != FAULTS_THREAD));
    if (has_few(source)) { /* those that were taken meanwhile have moved what the image is like */
      look_once_more(&course->before, parts_after_failure(operation->rules | FAULTS_BACK), "failed, but");
      outcome = NOTHING_DONE;
    } else {
      outcome = judge_failure(course, status, &loosely);
    }
  } else if (struck) {
    outcome = judge_success(course);
  }
  if (outcome == NOTHING_DONE) {
    assert_ok(call(operation));
    unsigned parts = loosely ? LOOSE | FAULTS_TARGET : FAULTS_ALL;
    parts &= (rules_of(course) & FAULTS_ELSEWHERE) != 0 ? FAULTS_WITNESS | FAULTS_TABLES : FAULTS_ALL;
    look_once_more(&course->after, parts, "done when nothing fails any more, but not");
  }
  if (outcome != SPOILT) {
    undo(operation);
    if (has_few(source)) {
      (void)faults_disarm();
    }
    look_once_more(&course->undone, LOOSE & ~(unsigned)FAULTS_MEMORY, "undone, but not");
  }
  faults_close(outcome == SPOILT);
  injected[source] += struck;
  where[0] = '\0';
  return struck;
}

/* ------------------------------------------------------------------------------------------------- the tests -- */

static void run_course(struct course *course) {
  run_without_faults(course);
  /* Buffers and views are taken by their own calls only. */
  bool of_buffers = strncmp(course->operation->function, "zcmem_buffer", strlen("zcmem_buffer")) == 0;
  for (unsigned source = 0; source < (of_buffers ? FAULTS_SOURCES : FAULTS_BUFFERS); source++) {
    for (int lasting = 0; lasting < (has_few((enum faults_source)source) ? 1 : 2); lasting++) {
      unsigned n = 1;
      while (run_with_fault(course, (enum faults_source)source, n, lasting != 0)) {
        assert_true(++n < MOST_FAULTS);
      }
    }
  }
  faults_look_away(&course->before);
  faults_look_away(&course->after);
  faults_look_away(&course->undone);
}

static void test_operation(void **state) {
  static struct course course;
  course.operation = *state;
  for (unsigned way = 0; way < FAKE_WAYS; way++) {
    for (unsigned other_way = 0; other_way < FAKE_WAYS; other_way++) {
      if ((course.operation->ways & FAULTS_WAY(way)) != 0 && (course.operation->others & FAULTS_WAY(other_way)) != 0) {
        course.way = (enum fake_way)way;
        course.other_way = (enum fake_way)other_way;
        run_course(&course);
      }
    }
  }
}

static int tell_where(void **state) {
  (void)state;
  if (where[0] != '\0') {
    print_error("it was with %s\n", where);
    where[0] = '\0';
  }
  return 0;
}

static void test_every_source_had_its_faults(void **state) {
  (void)state;
  for (unsigned source = 0; source < FAULTS_SOURCES; source++) {
    print_message("%u faults of %s\n", injected[source], faults_name((enum faults_source)source));
    bool can = has_areas || (source != FAULTS_FILE && source != FAULTS_READ);
#ifndef ZCMEM__THREAD_MAGAZINES
    can = can && source != FAULTS_THREAD;
#endif
    assert_true(injected[source] >= 3 || !can);
  }
}

int main(int argc, char **argv) {
  static struct CMUnitTest tests[MOST_TESTS];
  static char names[MOST_TESTS][NAME_BYTES];
  bool list = argc == 2 && strcmp(argv[1], "--list") == 0;
  size_t count = 0;
  has_areas = list || !shm_cannot();
  for (unsigned i = 0; i < TABLES; i++) {
    if (tables[i] == faults_shm && !has_areas) {
      continue;
    }
    for (const struct faults_operation *at = tables[i]; at->function != NULL && count + 1 < MOST_TESTS; at++) {
      if (list) {
        puts(at->function);
        continue;
      }
      (void)snprintf(names[count], NAME_BYTES, "%s%s%s", at->function, *at->variant == '\0' ? "" : ": ", at->variant);
      tests[count] = (struct CMUnitTest){.name = names[count],
                                         .test_func = test_operation,
                                         .teardown_func = tell_where,
                                         .initial_state = (void *)(uintptr_t)at};
      count++;
    }
  }
  if (list) {
    return 0;
  }
  tests[count++] =
      (struct CMUnitTest){.name = "every source had its faults", .test_func = test_every_source_had_its_faults};
  return _cmocka_run_group_tests("faults", tests, count, NULL, NULL);
}
