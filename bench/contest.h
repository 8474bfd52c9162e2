/* SPDX-License-Identifier: MIT */
/*
 * A contest: all allocators of a line-up do the same thing in turn, round by round, so that what disturbs the machine
 * disturbs all of them. What they do is the command's.
 */
#ifndef ZCMEM_BENCH_CONTEST_H
#define ZCMEM_BENCH_CONTEST_H

#include "measure.h"
#include "peers.h"
#include "wrap.h"

/* One allocator in a contest. */
struct bench_contender {
  const struct bench_entry *entry;
  const struct bench_peer *peer; /* what the loops call: the entry's, or a wrapper of it */
  void *self;
  void *made; /* what the entry's own create gave */
  struct bench_locked locked;
  struct bench_checked checked;
  uint64_t failures; /* allocations that failed in the timed rounds */
  struct bench_spread spread;
};

struct bench_contest {
  struct bench_contender contender[BENCH_MAX_ENTRIES];
  uint32_t count;
  uint64_t region_bytes;
  uint32_t max_live;
  uint64_t operations;  /* of a round: what the failures are divided by */
  char parameters[256]; /* of the rows */
  const char *command;  /* of the rows */
  double *samples;      /* by contender, bench_settings.rounds each */
};

/* How a figure is reported. */
struct bench_figure {
  const char *metric; /* rows are METRIC, METRIC_min, METRIC_max */
  const char *unit;
  int digits;
  bool more_is_better;
};

/*
 * Makes the allocators. A malloc of the host that cannot take part is left out with a word; false (after a message,
 * nothing to close) iff another one cannot, or memory ran out. command, region_bytes, max_live, operations and
 * parameters are set by the caller before.
 */
bool bench_contest_open(struct bench_contest *c, const struct bench_lineup *lineup);
void bench_contest_close(struct bench_contest *c);

/*
 * A first round that is not timed, then those of bench_settings.rounds: prepare draws the operations of a round, play
 * has one contender run them and answers the figure (and adds to contender->failures).
 */
void bench_contest_run(struct bench_contest *c, void *ctx, void (*prepare)(void *ctx),
                       double (*play)(void *ctx, uint32_t contender));

/* Prints the figures, or with --check what was found; false: one was found out. */
bool bench_contest_report(struct bench_contest *c, const struct bench_figure *figure);

#endif
