/* SPDX-License-Identifier: MIT */
/* Clock, spread of repeated measurements, reproducible random numbers. */
#ifndef ZCMEM_BENCH_MEASURE_H
#define ZCMEM_BENCH_MEASURE_H

#include <stdint.h>

#define BENCH_MAX_ROUNDS 1000u

/* For the functions whose instructions bench/instructions counts: they have to be there under their names. */
#if defined(__GNUC__)
#define BENCH_COUNTED __attribute__((noinline))
#else
#define BENCH_COUNTED
#endif

/* Nanoseconds of a clock that never goes back. */
uint64_t bench_now(void);

struct bench_spread {
  double median, min, max;
};

/* Sorts the samples; count > 0. */
struct bench_spread bench_spread_of(double *samples, uint32_t count);

/* SplitMix64: the state is the seed, any value is good. */
struct bench_random {
  uint64_t state;
};

uint64_t bench_random_next(struct bench_random *r);
/* 0 ... bound - 1; bound > 0. */
uint32_t bench_random_below(struct bench_random *r, uint32_t bound);
/* 0 ... 1, 1 excluded. */
double bench_random_unit(struct bench_random *r);

#endif
