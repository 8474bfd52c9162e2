/* SPDX-License-Identifier: MIT */
/*
 * What every unit test includes: CMocka with the headers it wants before it, an assertion that names statuses, and the
 * two numbers that a random test takes from the environment.
 */
#ifndef ZCMEM_TESTS_UNIT_H
#define ZCMEM_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <zcmem/types.h>

static inline void assert_status_at(enum zcmem_status got, enum zcmem_status want, const char *call, const char *file,
                                    int line) {
  if (got != want) {
    print_error("%s\n  answered  %s\n  expected  %s\n", call, zcmem_status_string(got), zcmem_status_string(want));
    _fail(file, line);
  }
}

/* assert_status(zcmem_heap_free(heap, addr), ZCMEM_ENOENT) */
#define assert_status(call, want) assert_status_at((call), (want), #call, __FILE__, __LINE__)
#define assert_ok(call) assert_status((call), ZCMEM_OK)

/* A number from the environment (decimal, 0x..., octal), or `otherwise` where the variable is not set. */
static inline uint64_t env_number(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  char *end = NULL;
  uint64_t value;
  if (text == NULL || *text == '\0') {
    return otherwise;
  }
  value = strtoull(text, &end, 0);
  if (*end != '\0') {
    fprintf(stderr, "%s=%s is no number\n", name, text);
    exit(1);
  }
  return value;
}

/* splitmix64 (Steele, Lea, Flood 2014): small, good enough, and the same sequence on every host. */
static inline uint64_t random_next(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* 0 ... limit - 1; limit > 0 */
static inline uint64_t random_below(uint64_t *state, uint64_t limit) {
  return random_next(state) % limit;
}

#endif
