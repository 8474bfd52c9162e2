/* SPDX-License-Identifier: MIT */
/*
 * The set of ranges that are live now, kept apart from any allocator so that it can tell when one hands out bytes that
 * are in use. It shares no code with the library.
 */
#ifndef ZCMEM_BENCH_OVERLAP_H
#define ZCMEM_BENCH_OVERLAP_H

#include <stdbool.h>
#include <stdint.h>

struct bench_overlap {
  void *root;
  uint64_t lowest, highest; /* first and last byte that any range ever covered */
};

void bench_overlap_init(struct bench_overlap *set);
void bench_overlap_destroy(struct bench_overlap *set);

/* Adds the `size` bytes (> 0) at start. NULL, or what is wrong: they overlap a live range, wrap, or memory ran out. */
const char *bench_overlap_add(struct bench_overlap *set, uint64_t start, uint64_t size);

/* Removes the range that starts at `start`. NULL, or what is wrong. */
const char *bench_overlap_remove(struct bench_overlap *set, uint64_t start);

#endif
