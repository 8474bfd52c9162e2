/* SPDX-License-Identifier: MIT */
#include "workload.h"

#include "trace.h"

#include <math.h>
#include <stdlib.h>

#define KIB 1024u
#define MIB (1024u * 1024u)

/* load 1/3: a region of three times the live bytes, in which nobody runs out of room. */
#define ROOMY (1.0 / 3.0)

const struct bench_workload bench_workloads[] = {
    {"pair-128", BENCH_PAIR, BENCH_UNIFORM, 1, 128, 128, 2000000, 128.0 / (64 * MIB)},
    {"pair-4k", BENCH_PAIR, BENCH_UNIFORM, 1, 4 * KIB, 4 * KIB, 2000000, 4.0 * KIB / (64 * MIB)},
    {"pair-64k", BENCH_PAIR, BENCH_UNIFORM, 1, 64 * KIB, 64 * KIB, 2000000, 64.0 * KIB / (64 * MIB)},
    {"steady-1k", BENCH_RANDOM, BENCH_LOG_UNIFORM, 1 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"steady-32k", BENCH_RANDOM, BENCH_LOG_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"steady-1m", BENCH_RANDOM, BENCH_LOG_UNIFORM, MIB, 64, 64 * KIB, 1000000, ROOMY},
    {"mixed-1m", BENCH_RANDOM, BENCH_LOG_UNIFORM, 8 * KIB, 64, MIB, 500000, ROOMY},
    {"large", BENCH_RANDOM, BENCH_LOG_UNIFORM, 2 * KIB, 128 * KIB, 4 * MIB, 500000, ROOMY},
    {"small", BENCH_RANDOM, BENCH_LOG_UNIFORM, 32 * KIB, 64, KIB, 500000, ROOMY},
    {"uniform", BENCH_RANDOM, BENCH_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"fifo", BENCH_FIFO, BENCH_LOG_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, ROOMY},
    {"ramp", BENCH_RAMP, BENCH_LOG_UNIFORM, 16 * KIB, 64, 256 * KIB, 16 * 16 * KIB, ROOMY},
    {"load90", BENCH_RANDOM, BENCH_LOG_UNIFORM, 32 * KIB, 64, 64 * KIB, 500000, 0.9},
};
const uint32_t bench_workload_count = sizeof bench_workloads / sizeof bench_workloads[0];

/* A ramp's phases take turns. All lie within the workload's own range. */
static const struct {
  uint32_t min_size, max_size;
} phases[] = {{64, KIB}, {4 * KIB, 64 * KIB}, {512, 8 * KIB}, {64, 64 * KIB}, {32 * KIB, 256 * KIB}};
#define PHASE_COUNT (sizeof phases / sizeof phases[0])

/* What blocks of zcmem and its peers are aligned to, and so rounded to. */
#define ALIGNMENT 128u

static uint32_t draw_size(struct bench_random *r, enum bench_sizes sizes, uint32_t min, uint32_t max) {
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
          draw_size(&run->random, run->workload->sizes, phases[phase].min_size, phases[phase].max_size);
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
    run->pairs[i].size = draw_size(&run->random, w->sizes, w->min_size, w->max_size);
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
    run->fill[i] = (struct bench_pair){.slot = i, .size = draw_size(&run->random, w->sizes, min, w->max_size)};
    bytes += bench_trace_round(run->fill[i].size, ALIGNMENT);
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
  run->region_bytes = bench_trace_round((uint64_t)((double)draw_fill(run) / workload->load), ALIGNMENT);
  return true;
}

void bench_run_destroy(struct bench_run *run) {
  free(run->pairs);
  free(run->fill);
  *run = (struct bench_run){0};
}

/* -------------------------------------------------------------------------------------------------- the loops -- */

void bench_run_fill(const struct bench_run *run, struct bench_contender *c) {
  bool filled = run->workload->kind == BENCH_RANDOM || run->workload->kind == BENCH_FIFO;
  for (uint32_t i = 0; i < run->workload->live; i++) {
    if (!filled || !c->peer->alloc(c->self, run->fill[i].size, &c->addrs[i])) {
      c->addrs[i] = BENCH_EMPTY;
    }
  }
}

/*
 * The address table is random access as well; fetching its line early keeps that miss, which is not the allocator's,
 * out of the figures as far as possible.
 */
#if defined(__GNUC__)
#define PREFETCH(p) __builtin_prefetch(p)
#else
#define PREFETCH(p) ((void)(p))
#endif
enum { AHEAD = 8 };

/*
 * An allocation that fails is tried again after each of the next pairs until there is room, so that the pressure stays;
 * it counts once. One at a time: a further one that fails meanwhile leaves its slot empty until that slot's next turn.
 */
static bool retry(struct bench_contender *c, const struct bench_pair *pending) {
  uint64_t *addr = &c->addrs[pending->slot];
  if (*addr != BENCH_EMPTY || c->peer->alloc(c->self, pending->size, addr)) {
    return true;
  }
  *addr = BENCH_EMPTY; /* a peer may have written something */
  return false;
}

static uint64_t replace(const struct bench_run *run, struct bench_contender *c) {
  const struct bench_peer *peer = c->peer;
  void *self = c->self;
  uint64_t *addrs = c->addrs;
  const struct bench_pair *pairs = run->pairs;
  uint32_t count = run->pair_count;
  const struct bench_pair *pending = NULL;
  uint64_t failures = 0;
  for (uint32_t i = 0; i < count; i++) {
    PREFETCH(&addrs[pairs[i + AHEAD < count ? i + AHEAD : i].slot]);
    uint32_t slot = pairs[i].slot;
    if (addrs[slot] != BENCH_EMPTY) {
      peer->free(self, addrs[slot]);
    }
    bool good = peer->alloc(self, pairs[i].size, &addrs[slot]);
    if (!good) {
      addrs[slot] = BENCH_EMPTY;
      failures++;
    }
    if (pending) {
      if (retry(c, pending)) {
        pending = NULL;
      }
    } else if (!good) {
      pending = &pairs[i];
    }
  }
  return failures;
}

static uint64_t pair(const struct bench_run *run, struct bench_contender *c) {
  const struct bench_peer *peer = c->peer;
  void *self = c->self;
  uint64_t failures = 0;
  for (uint32_t i = 0; i < run->pair_count; i++) {
    uint64_t addr;
    if (peer->alloc(self, run->pairs[i].size, &addr)) {
      peer->free(self, addr);
    } else {
      failures++;
    }
  }
  return failures;
}

static uint64_t ramp(const struct bench_run *run, struct bench_contender *c) {
  const struct bench_peer *peer = c->peer;
  void *self = c->self;
  uint64_t *addrs = c->addrs;
  uint32_t live = run->workload->live;
  uint64_t failures = 0;
  for (uint32_t at = 0; at < run->pair_count; at += live) {
    const struct bench_pair *pairs = run->pairs + at;
    for (uint32_t i = 0; i < live; i++) {
      if (!peer->alloc(self, pairs[i].size, &addrs[i])) {
        addrs[i] = BENCH_EMPTY;
        failures++;
      }
    }
    for (uint32_t i = 0; i < live; i++) {
      PREFETCH(&addrs[pairs[i + AHEAD < live ? i + AHEAD : i].slot]);
      if (addrs[pairs[i].slot] != BENCH_EMPTY) {
        peer->free(self, addrs[pairs[i].slot]);
      }
    }
  }
  return failures;
}

double bench_run_round(const struct bench_run *run, struct bench_contender *c) {
  uint64_t start = bench_now();
  switch (run->workload->kind) {
  case BENCH_PAIR:
    c->failures += pair(run, c);
    break;
  case BENCH_RANDOM:
  case BENCH_FIFO:
    c->failures += replace(run, c);
    break;
  case BENCH_RAMP:
    c->failures += ramp(run, c);
    break;
  }
  return (double)(bench_now() - start) / run->pair_count;
}
