/* SPDX-License-Identifier: MIT */
/*
 * Where the kernel makes no thread pass a barrier, the magazines' owners pass one themselves: all the rest is as it is.
 */
#include "magazines_stress.h"

#ifdef ZCMEM__THREAD_MAGAZINES
static void test_stress_without_the_kernels_barrier(void **state) {
  (void)state;
  zcmem__barrier_open(); /* as the first HAL would; what it found out is not looked for again */
  zcmem__barrier_kernel = false;
  magazines_stress(1 << 20, 700, env_number("ZCMEM_TEST_OPS", 30000));
  magazines_stress(1 << 22, 4096, env_number("ZCMEM_TEST_OPS", 30000));
  assert_false(zcmem__barrier_kernel);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_stress_without_the_kernels_barrier)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without magazines");
  return 77; /* Meson: skipped */
}
#endif
