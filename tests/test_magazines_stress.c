/* SPDX-License-Identifier: MIT */
/* Threads that do everything at once, in regions that run full, of space or of blocks, and in one that does not. */
#include "magazines_stress.h"

#ifdef ZCMEM__THREAD_MAGAZINES
static void test_stress_where_space_is_short(void **state) {
  (void)state;
  magazines_stress(1 << 18, 4096, env_number("ZCMEM_TEST_OPS", 30000));
}

static void test_stress_where_blocks_are_short(void **state) {
  (void)state;
  magazines_stress(1 << 22, 300, env_number("ZCMEM_TEST_OPS", 30000));
}

static void test_stress_with_room(void **state) {
  (void)state;
  magazines_stress(1 << 22, 4096, env_number("ZCMEM_TEST_OPS", 30000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stress_where_space_is_short),
      cmocka_unit_test(test_stress_where_blocks_are_short),
      cmocka_unit_test(test_stress_with_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without magazines");
  return 77; /* Meson: skipped */
}
#endif
