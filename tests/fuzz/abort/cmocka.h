/* SPDX-License-Identifier: MIT */
/*
 * CMocka's assertions for a fuzz target: what does not hold aborts, which is what every fuzzer takes for a finding. So
 * the models, fixtures and users of the tests serve here as they are, and a fuzz target needs no library.
 */
#ifndef ZCMEM_TESTS_FUZZ_ABORT_CMOCKA_H
#define ZCMEM_TESTS_FUZZ_ABORT_CMOCKA_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define print_error(...) ((void)fprintf(stderr, __VA_ARGS__))
#define print_message(...) ((void)fprintf(stderr, __VA_ARGS__))

_Noreturn static inline void _fail(const char *file, int line) {
  fprintf(stderr, "%s:%d: does not hold\n", file, line);
  abort();
}
#define fail() _fail(__FILE__, __LINE__)

static inline void fuzz_check(int holds, const char *what, const char *file, int line) {
  if (!holds) {
    fprintf(stderr, "%s\n", what);
    _fail(file, line);
  }
}

static inline void fuzz_check_equal(uintmax_t got, uintmax_t want, const char *what, const char *file, int line) {
  if (got != want) {
    fprintf(stderr, "%s: %ju (0x%jx), expected %ju (0x%jx)\n", what, got, got, want, want);
    _fail(file, line);
  }
}

#define assert_true(holds) fuzz_check(!!(holds), #holds, __FILE__, __LINE__)
#define assert_false(holds) fuzz_check(!(holds), "not " #holds, __FILE__, __LINE__)
#define assert_null(pointer) fuzz_check((pointer) == NULL, #pointer " is NULL", __FILE__, __LINE__)
#define assert_non_null(pointer) fuzz_check((pointer) != NULL, #pointer " is not NULL", __FILE__, __LINE__)
#define assert_ptr_equal(got, want) fuzz_check((got) == (want), #got " is " #want, __FILE__, __LINE__)
#define assert_int_equal(got, want) fuzz_check_equal((uintmax_t)(got), (uintmax_t)(want), #got, __FILE__, __LINE__)
#define assert_memory_equal(got, want, bytes)                                                                          \
  fuzz_check(memcmp((got), (want), (bytes)) == 0, #got " holds what " #want " does", __FILE__, __LINE__)
#define assert_string_equal(got, want) fuzz_check(strcmp((got), (want)) == 0, #got " is " #want, __FILE__, __LINE__)

#endif
