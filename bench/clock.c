/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SHORT_TICKS 65536u

double bench_ticks_ns(void) {
  static double known;
  const uint64_t while_ns = 20000000;
  if (known > 0) {
    return known;
  }
  uint64_t start_ns = bench_now();
  uint64_t start = bench_ticks();
  uint64_t end_ns = start_ns;
  while (end_ns - start_ns < while_ns) {
    end_ns = bench_now();
  }
  known = (double)(end_ns - start_ns) / (double)(bench_ticks() - start);
  return known;
}

bool bench_histogram_init(struct bench_histogram *h) {
  const size_t first_capacity = 1024;
  *h = (struct bench_histogram){.long_capacity = first_capacity};
  h->counts = calloc(SHORT_TICKS, sizeof *h->counts);
  h->long_times = malloc(first_capacity * sizeof *h->long_times);
  return h->counts && h->long_times;
}

void bench_histogram_destroy(struct bench_histogram *h) {
  free(h->counts);
  free(h->long_times);
  *h = (struct bench_histogram){.counts = NULL};
}

void bench_histogram_clear(struct bench_histogram *h) {
  memset(h->counts, 0, SHORT_TICKS * sizeof *h->counts);
  h->long_count = 0;
  h->total = 0;
}

static void add_long(struct bench_histogram *h, uint64_t ticks) {
  if (h->long_count == h->long_capacity) {
    uint64_t *larger = realloc(h->long_times, 2 * h->long_capacity * sizeof *larger);
    if (!larger) {
      abort(); /* percentiles without the slowest calls would be wrong */
    }
    h->long_times = larger;
    h->long_capacity *= 2;
  }
  h->long_times[h->long_count++] = ticks;
}

void bench_histogram_add(struct bench_histogram *h, uint64_t ticks) {
  h->total++;
  if (ticks < SHORT_TICKS) {
    h->counts[ticks]++;
  } else {
    add_long(h, ticks);
  }
}

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a;
  uint64_t y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

uint64_t bench_histogram_at(struct bench_histogram *h, double share) {
  uint64_t rank = (uint64_t)ceil(share * (double)h->total); /* of the time that is looked for, from 1 */
  uint64_t seen = 0;
  for (uint32_t ticks = 0; ticks < SHORT_TICKS; ticks++) {
    seen += h->counts[ticks];
    if (seen >= rank) {
      return ticks;
    }
  }
  qsort(h->long_times, h->long_count, sizeof *h->long_times, by_value);
  return h->long_times[rank - seen - 1];
}
