/* SPDX-License-Identifier: MIT */
#include "measure.h"

#include <stdlib.h>
#include <time.h>

uint64_t bench_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a;
  double y = *(const double *)b;
  return (x > y) - (x < y);
}

struct bench_spread bench_spread_of(double *samples, uint32_t count) {
  qsort(samples, count, sizeof *samples, by_value);
  double middle = samples[count / 2];
  if (count % 2 == 0) {
    middle = (middle + samples[count / 2 - 1]) / 2;
  }
  return (struct bench_spread){.median = middle, .min = samples[0], .max = samples[count - 1]};
}

uint64_t bench_random_next(struct bench_random *r) {
  uint64_t z = r->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
  return z ^ z >> 31;
}

uint32_t bench_random_below(struct bench_random *r, uint32_t bound) {
  return (uint32_t)((bench_random_next(r) >> 32) * bound >> 32);
}

double bench_random_unit(struct bench_random *r) {
  return (double)(bench_random_next(r) >> 11) * 0x1p-53;
}
