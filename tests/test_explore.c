/* SPDX-License-Identifier: MIT */
/*
 * The scenarios of the explorer (explore.h), each a test. ZCMEM_TEST_BOUND: preemptions, ZCMEM_TEST_SCENARIO: only the
 * scenarios that have this in their names; with ZCMEM_TEST_SCHEDULE only that schedule. With --table a table of the
 * scenarios instead of tests.
 */
#include "explore_scenarios.h"
#include "unit.h"
#include <string.h>
#include <time.h>

enum { MOST = 256 };

static void test_scenario(void **state) {
  struct explore_sum sum = explore(*state);
  print_message("  %llu schedules of up to %u preemptions, %u of %u outcomes of sequences\n",
                (unsigned long long)sum.schedules, sum.bound, sum.reached, sum.outcomes);
}

/* One line a scenario, in Markdown: threads, operations of all of them, schedules, milliseconds of processor time. */
static void print_table(const struct CMUnitTest *tests, size_t count) {
  puts("| scenario | threads | operations | schedules | ms |\n|---|---|---|---|---|");
  uint64_t schedules = 0;
  for (size_t i = 0; i < count; i++) {
    clock_t begin = clock();
    struct explore_sum sum = explore(tests[i].initial_state);
    schedules += sum.schedules;
    printf("| %s | %u | %u | %llu | %.0f |\n", tests[i].name, sum.threads, sum.operations,
           (unsigned long long)sum.schedules, (double)(clock() - begin) * 1e3 / CLOCKS_PER_SEC);
  }
  printf("| %zu scenarios | | | %llu | %.0f |\n", count, (unsigned long long)schedules,
         (double)clock() * 1e3 / CLOCKS_PER_SEC);
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

int main(int argc, char **argv) {
  struct CMUnitTest tests[MOST];
  size_t count = add(tests, 0, explore_frees, explore_free_count);
  count = add(tests, count, explore_bundles, explore_bundle_count);
  count = add(tests, count, explore_fences, explore_fence_count);
  count = add(tests, count, explore_uses, explore_use_count);
  count = add(tests, count, explore_lookups, explore_lookup_count);
  count = add(tests, count, explore_lives, explore_life_count);
  count = add(tests, count, explore_contexts, explore_context_count);
  count = add(tests, count, explore_handles, explore_handle_count);
  if (count == 0) {
    fputs("no scenario has such a name\n", stderr);
    return 1;
  }
  if (argc == 2 && strcmp(argv[1], "--table") == 0) {
    print_table(tests, count);
    return 0;
  }
  int failed = _cmocka_run_group_tests("explore", tests, count, NULL, NULL);
  printf("%llu schedules\n", (unsigned long long)explore_schedules());
  return failed;
}
