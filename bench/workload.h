/* SPDX-License-Identifier: MIT */
/*
 * The synthetic workloads: what they are, and their operations, which are drawn before the clock starts so that the
 * driver costs little. loops.h runs them.
 */
#ifndef ZCMEM_BENCH_WORKLOAD_H
#define ZCMEM_BENCH_WORKLOAD_H

#include "measure.h"

#include <stdbool.h>
#include <stddef.h>

enum bench_workload_kind {
  BENCH_PAIR,   /* alloc and free of one size in an empty region */
  BENCH_RANDOM, /* a random one of `live` blocks is replaced by one of a new size */
  BENCH_FIFO,   /* the oldest one is */
  BENCH_RAMP    /* `live` blocks are allocated, then freed in random order; each time in another range of sizes */
};

enum bench_sizes { BENCH_LOG_UNIFORM, BENCH_UNIFORM };

struct bench_workload {
  const char *name;    /* among those of `heap` */
  const char *command; /* that runs it at the facade, too */
  enum bench_workload_kind kind;
  enum bench_sizes sizes;
  uint32_t live;
  uint32_t min_size, max_size;
  uint32_t pairs; /* per round, where the user does not say */
  double load;    /* live bytes (rounded to 128) / bytes of the region */
};

extern const struct bench_workload bench_workloads[];
extern const uint32_t bench_workload_count;

/* What the rows of its command say about it: "size=128", "live=32768;sizes=64-65536". */
void bench_workload_parameters(const struct bench_workload *workload, char *parameters, size_t size);

/* One pair: free what is in the slot, put a block of `size` bytes there. */
struct bench_pair {
  uint32_t slot;
  uint32_t size;
};

/* A workload being run, by one thread. */
struct bench_run {
  const struct bench_workload *workload;
  struct bench_random random;
  uint32_t pair_count;
  struct bench_pair *pairs; /* of the round */
  struct bench_pair *fill;  /* the first `live` blocks */
  uint64_t region_bytes;    /* that suit it */
  uint32_t phase;           /* of a ramp */
  uint32_t oldest;          /* slot of a fifo */
};

/* pairs 0: the workload's own number. False: no memory (nothing to destroy). */
bool bench_run_init(struct bench_run *run, const struct bench_workload *workload, uint64_t seed, uint32_t pairs);
void bench_run_destroy(struct bench_run *run);

/* Draws the operations of the next round. */
void bench_run_draw(struct bench_run *run);

/* A size between the two, both included. */
uint32_t bench_draw_size(struct bench_random *r, enum bench_sizes sizes, uint32_t min, uint32_t max);

#endif
