/* SPDX-License-Identifier: MIT */
/*
 * Counts the steps of every call of heap.h: the program is linked with the core compiled with ZCMEM_COUNT_STEPS, and
 * the linker leads the calls (--wrap) through steps.c, which compares each with its published bound (src/assert.h) and
 * ends the test where it is passed. So any test becomes one of the bounds. At the end the most that was seen is
 * printed.
 */
#ifndef ZCMEM_TESTS_STEPS_H
#define ZCMEM_TESTS_STEPS_H

#include <stdint.h>

enum steps_call {
  STEPS_ALLOC,         /* of an alignment up to the quantum */
  STEPS_ALLOC_ALIGNED, /* above */
  STEPS_FREE,
  STEPS_FREE_DEFERRED,
  STEPS_RESIZE,
  STEPS_RESERVE,
  STEPS_FIND,
  STEPS_PIN,
  STEPS_UNPIN,
  STEPS_BEGIN_TRANSFER,
  STEPS_END_TRANSFER,
  STEPS_SET_TAG,
  STEPS_LARGEST,
  STEPS_GET_INFO,
  STEPS_CALLS
};

/* The most steps of one such call so far, the steps of the last one, and how many there were. */
uint64_t steps_most(enum steps_call call);
uint64_t steps_last(enum steps_call call);
uint64_t steps_calls(enum steps_call call);

#endif
