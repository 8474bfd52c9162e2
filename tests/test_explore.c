/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of the explorer (explore.h), each a test. ZCMEM_TEST_BOUND: preemptions, ZCMEM_TEST_SCENARIO: only the
 * scenarios that have this in their names; with ZCMEM_TEST_SCHEDULE only that schedule.
 */
#include "explore_scenarios.h"
#include "unit.h"
#include <string.h>

enum { MOST = 128 };

static void test_scenario(void **state) {
  explore(*state);
}

static size_t add(struct CMUnitTest *tests, size_t count, const struct explore_scenario *scenarios, size_t more) {
  const char *only = getenv("ZCMEM_TEST_SCENARIO");
  for (size_t i = 0; i < more; i++) {
    if (only == NULL || strstr(scenarios[i].name, only) != NULL) {
      if (count == MOST) {
        fputs("too many scenarios\n", stderr);
        exit(1);
      }
      tests[count++] = (struct CMUnitTest){
          .name = scenarios[i].name, .test_func = test_scenario, .initial_state = (void *)(uintptr_t)&scenarios[i]};
    }
  }
  return count;
}

int main(void) {
  struct CMUnitTest tests[MOST];
  size_t count = add(tests, 0, explore_frees, explore_free_count);
  count = add(tests, count, explore_uses, explore_use_count);
  count = add(tests, count, explore_lookups, explore_lookup_count);
  count = add(tests, count, explore_lives, explore_life_count);
  count = add(tests, count, explore_contexts, explore_context_count);
  if (count == 0) {
    fputs("no scenario has such a name\n", stderr);
    return 1;
  }
  int failed = _cmocka_run_group_tests("explore", tests, count, NULL, NULL);
  printf("%llu schedules\n", (unsigned long long)explore_schedules());
  return failed;
}
