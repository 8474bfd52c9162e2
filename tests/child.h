/* SPDX-License-Identifier: MIT */
/*
 * How a child of fork ends: without what the test would do at its end; but what it ran through is counted where
 * coverage is measured (coverage.py), which only exit would do by itself.
 */
#ifndef ZCMEM_TESTS_CHILD_H
#define ZCMEM_TESTS_CHILD_H

#include <stdio.h>
#include <unistd.h>

#ifdef ZCMEM_TEST_COVERAGE
void __gcov_dump(void);
#endif

static inline _Noreturn void child_exit(int status) {
#ifdef ZCMEM_TEST_COVERAGE
  __gcov_dump();
#endif
  _exit(status);
}

/* An assertion for children, which are not CMocka's. */
#define CHILD_REQUIRE(condition)                                                                                       \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: process %ld: not so: %s\n", __FILE__, __LINE__, (long)getpid(), #condition);             \
      _exit(1);                                                                                                        \
    }                                                                                                                  \
  } while (0)

#endif
