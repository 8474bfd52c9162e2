/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include "settings.h"
#include "trace.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define KIB 1024u
#define MIB (1024u * 1024u)

/* load 1/3: a region of three times the live bytes, in which nobody runs out of room. */
#define ROOMY (1.0 / 3.0)

/* A pair has a region that does not depend on its size, if that is not too large for it. */
#define PAIR_REGION ((uint64_t)64 * MIB)

const struct bench_workload bench_workloads[] = {
    {"pair-128", "pair", BENCH_PAIR, BENCH_UNIFORM, 1, 128, 128, 2000000, 1},
    {"pair-4k", "pair", BENCH_PAIR, BENCH_UNIFORM, 1, 4 * KIB, 4 * KIB, 2000000, 1},
    {"pair-64k", "pair", BENCH_PAIR, BENCH_UNIFORM, 1, 64 * KIB, 64 * KIB, 2000000, 1},
    {"steady-1k", "steady", BENCH_RANDOM, BENCH_LOG_UNIFORM, 1 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"steady-32k", "steady", BENCH_RANDOM, BENCH_LOG_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"steady-1m", "steady", BENCH_RANDOM, BENCH_LOG_UNIFORM, MIB, 64, 64 * KIB, 1000000, ROOMY},
    {"small", "sizes", BENCH_RANDOM, BENCH_LOG_UNIFORM, 32 * KIB, 64, KIB, 500000, ROOMY},
    {"mixed-1m", "sizes", BENCH_RANDOM, BENCH_LOG_UNIFORM, 8 * KIB, 64, MIB, 500000, ROOMY},
    {"large", "sizes", BENCH_RANDOM, BENCH_LOG_UNIFORM, 2 * KIB, 128 * KIB, 4 * MIB, 500000, ROOMY},
    {"uniform", "sizes", BENCH_RANDOM, BENCH_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"fifo", "fifo", BENCH_FIFO, BENCH_LOG_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"ramp", "ramp", BENCH_RAMP, BENCH_LOG_UNIFORM, 16 * KIB, 64, 256 * KIB, 16 * 16 * KIB, ROOMY},
    {"load90", "load90", BENCH_RANDOM, BENCH_LOG_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, 0.9},
};
const uint32_t bench_workload_count = sizeof bench_workloads / sizeof bench_workloads[0];

/* A ramp's phases take turns. All lie within the workload's own range. */
static const struct {
  uint32_t min_size, max_size;
} phases[] = {{64, KIB}, {4 * KIB, 64 * KIB}, {512, 8 * KIB}, {64, 64 * KIB}, {32 * KIB, 256 * KIB}};
#define PHASE_COUNT (sizeof phases / sizeof phases[0])

uint32_t bench_draw_size(struct bench_random *r, enum bench_sizes sizes, uint32_t min, uint32_t max) {
  if (sizes == BENCH_UNIFORM) {
    return min + bench_random_below(r, max - min + 1);
  }
  double low = log2((double)min);
  double high = log2((double)max);
  return (uint32_t)exp2(low + (high - low) * bench_random_unit(r));
}

static void shuffle_slots(struct bench_random *r, struct bench_pair *pairs, uint32_t count) {
  for (uint32_t i = 0; i < count; i++) {
    pairs[i].slot = i;
  }
  for (uint32_t i = count; i > 1; i--) {
    uint32_t j = bench_random_below(r, i);
    uint32_t slot = pairs[i - 1].slot;
    pairs[i - 1].slot = pairs[j].slot;
    pairs[j].slot = slot;
  }
}

static void draw_ramp(struct bench_run *run) {
  for (uint32_t at = 0; at < run->pair_count; at += run->workload->live) {
    uint32_t phase = run->phase++ % PHASE_COUNT;
    for (uint32_t i = 0; i < run->workload->live; i++) {
      run->pairs[at + i].size =
          bench_draw_size(&run->random, run->workload->sizes, phases[phase].min_size, phases[phase].max_size);
    }
    shuffle_slots(&run->random, run->pairs + at, run->workload->live);
  }
}

void bench_run_draw(struct bench_run *run) {
  const struct bench_workload *w = run->workload;
  if (w->kind == BENCH_RAMP) {
    draw_ramp(run);
    return;
  }
  for (uint32_t i = 0; i < run->pair_count; i++) {
    run->pairs[i].size = bench_draw_size(&run->random, w->sizes, w->min_size, w->max_size);
    if (w->kind == BENCH_RANDOM) {
      run->pairs[i].slot = bench_random_below(&run->random, w->live);
    } else {
      run->pairs[i].slot = run->oldest;
      run->oldest = (run->oldest + 1) % w->live;
    }
  }
}

/* Fills the slots and answers the bytes that they take. A ramp's are those of its largest phase. */
static uint64_t draw_fill(struct bench_run *run) {
  const struct bench_workload *w = run->workload;
  uint32_t min = w->kind == BENCH_RAMP ? phases[PHASE_COUNT - 1].min_size : w->min_size;
  uint64_t bytes = 0;
  for (uint32_t i = 0; i < w->live; i++) {
    run->fill[i] = (struct bench_pair){.slot = i, .size = bench_draw_size(&run->random, w->sizes, min, w->max_size)};
    bytes += bench_trace_round(run->fill[i].size, BENCH_ALIGNMENT);
  }
  return bytes;
}

bool bench_run_init(struct bench_run *run, const struct bench_workload *workload, uint64_t seed, uint32_t pairs) {
  *run = (struct bench_run){.workload = workload, .random = {seed}, .pair_count = pairs ? pairs : workload->pairs};
  if (workload->kind == BENCH_RAMP) { /* whole phases */
    run->pair_count += (workload->live - run->pair_count % workload->live) % workload->live;
  }
  run->pairs = calloc(run->pair_count, sizeof *run->pairs);
  run->fill = calloc(workload->live, sizeof *run->fill);
  if (!run->pairs || !run->fill) {
    bench_run_destroy(run);
    return false;
  }
  uint64_t bytes = draw_fill(run);
  uint64_t few = bench_trace_round(workload->max_size, BENCH_ALIGNMENT) * 4;
  if (workload->kind == BENCH_PAIR) {
    run->region_bytes = few > PAIR_REGION ? few : PAIR_REGION;
  } else {
    run->region_bytes = bench_trace_round((uint64_t)((double)bytes / workload->load), BENCH_ALIGNMENT);
  }
  return true;
}

void bench_run_destroy(struct bench_run *run) {
  free(run->pairs);
  free(run->fill);
  *run = (struct bench_run){0};
}

void bench_workload_parameters(const struct bench_workload *w, char *parameters, size_t size) {
  if (w->kind == BENCH_PAIR && w->min_size == w->max_size) {
    snprintf(parameters, size, "size=%" PRIu32, w->min_size);
  } else if (w->kind == BENCH_PAIR) {
    snprintf(parameters, size, "sizes=%" PRIu32 "-%" PRIu32, w->min_size, w->max_size);
  } else {
    snprintf(parameters, size, "live=%" PRIu32 ";sizes=%" PRIu32 "-%" PRIu32 "%s", w->live, w->min_size, w->max_size,
             w->sizes == BENCH_UNIFORM ? ";uniform" : "");
  }
}
