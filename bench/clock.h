/* SPDX-License-Identifier: MIT */
/* A clock for single calls, and how often which time was measured. */
#ifndef ZCMEM_BENCH_CLOCK_H
#define ZCMEM_BENCH_CLOCK_H

#include "measure.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Ticks of a clock that is cheap and fine: the processor's counter, where it is known, else bench_now. All that stands
 * before the call in the program is done before it is read, and nothing behind it has begun.
 */
static inline uint64_t bench_ticks(void) {
#if defined(__GNUC__) && defined(__x86_64__)
  __builtin_ia32_lfence();
  uint64_t ticks = __builtin_ia32_rdtsc();
  __builtin_ia32_lfence();
  return ticks;
#else
  return bench_now();
#endif
}

/* Nanoseconds of a tick. The first call measures it for some 20 ms. */
double bench_ticks_ns(void);

/* Times in ticks: counted one by one, the rare long ones kept as they are. */
struct bench_histogram {
  uint32_t *counts;
  uint64_t *long_times;
  size_t long_count, long_capacity;
  uint64_t total;
};

/* False: no memory. */
bool bench_histogram_init(struct bench_histogram *h);
void bench_histogram_destroy(struct bench_histogram *h);
void bench_histogram_clear(struct bench_histogram *h);

void bench_histogram_add(struct bench_histogram *h, uint64_t ticks);

/* The least time that `share` (0 to 1) of all times do not exceed; something was added before. */
uint64_t bench_histogram_at(struct bench_histogram *h, double share);

#endif
