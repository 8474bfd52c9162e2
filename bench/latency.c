/* SPDX-License-Identifier: MIT */
/* `latency`: how long single calls take, allocations and frees apart, up to the slowest one. */
#include "clock.h"
#include "commands.h"
#include "contest.h"
#include "loops.h"
#include "report.h"
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_option options[] = {
    BENCH_OPTION_PEER, BENCH_OPTION_ONLY,  BENCH_OPTION_ROUNDS, BENCH_OPTION_PAIRS, BENCH_OPTION_SEED,
    BENCH_OPTION_LIVE, BENCH_OPTION_SIZES, BENCH_OPTION_REGION, BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES,
};

static const struct bench_command command = {
    .name = "latency",
    .operands = "",
    .help =
        "The time of each single call, allocations and frees apart, while a random one of 32k (--live) live blocks\n"
        "is replaced by one of 64 B to 64 KiB (--sizes), log-uniform. Percentiles of each round; medians over the\n"
        "rounds, with the least and the most; max is the slowest call of all rounds. The time of reading the clock\n"
        "is part of every figure: nothing is subtracted; the allocator `clock` is what it takes when nothing is\n"
        "called, and whose highest figures are the machine's interruptions.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

/* What --live, --sizes and --pairs change. */
static const struct bench_workload defaults = {
    .name = "latency",
    .command = "latency",
    .kind = BENCH_RANDOM,
    .sizes = BENCH_LOG_UNIFORM,
    .live = 32 * 1024,
    .min_size = 64,
    .max_size = 64 * 1024,
    .pairs = 500000,
    .load = 1.0 / 3.0,
};

enum { ALLOC, FREE, CALLS };
enum { P50, P99, P999, P9999, MAX, FIGURES };
static const char *const figure_names[FIGURES] = {"p50", "p99", "p999", "p9999", "max"};
static const double shares[FIGURES] = {0.5, 0.99, 0.999, 0.9999, 1};

/* One contender's; the last of all is the clock's own. */
struct record {
  double figure[CALLS][FIGURES][BENCH_MAX_ROUNDS]; /* ns */
};

struct latency {
  struct bench_contest contest;
  struct bench_workload workload;
  struct bench_run run;
  struct bench_player player[BENCH_MAX_ENTRIES];
  struct record *records;                 /* by contender, and one more */
  struct bench_histogram times[CALLS];    /* of the round that runs */
  uint64_t played[BENCH_MAX_ENTRIES + 1]; /* rounds, the untimed one included */
};

/* ------------------------------------------------------------------------------------------------------ rounds -- */

static void keep(struct latency *l, uint32_t contender) {
  uint64_t round = l->played[contender]++;
  for (uint32_t call = 0; call < CALLS; call++) {
    for (uint32_t f = 0; f < FIGURES && round > 0; f++) {
      double ticks = (double)bench_histogram_at(&l->times[call], shares[f]);
      l->records[contender].figure[call][f][round - 1] = ticks * bench_ticks_ns();
    }
    bench_histogram_clear(&l->times[call]);
  }
}

static void replace(struct latency *l, struct bench_player *p) {
  for (uint32_t i = 0; i < l->run.pair_count; i++) {
    uint64_t *addr = &p->addrs[l->run.pairs[i].slot];
    uint64_t start = bench_ticks();
    if (*addr != BENCH_EMPTY) {
      p->peer->free(p->self, *addr);
    }
    uint64_t middle = bench_ticks();
    bool good = p->peer->alloc(p->self, l->run.pairs[i].size, BENCH_ALIGNMENT, addr);
    uint64_t end = bench_ticks();
    bench_histogram_add(&l->times[FREE], middle - start);
    bench_histogram_add(&l->times[ALLOC], end - middle);
    if (!good) {
      *addr = BENCH_EMPTY;
      p->failures++;
    }
  }
}

/* The same without the calls. */
static void read_clock(struct latency *l) {
  for (uint32_t i = 0; i < l->run.pair_count; i++) {
    uint64_t start = bench_ticks();
    uint64_t middle = bench_ticks();
    uint64_t end = bench_ticks();
    bench_histogram_add(&l->times[FREE], middle - start);
    bench_histogram_add(&l->times[ALLOC], end - middle);
  }
}

static void prepare(void *ctx) {
  struct latency *l = ctx;
  bench_run_draw(&l->run);
  read_clock(l);
  keep(l, l->contest.count);
}

static double play(void *ctx, uint32_t contender) {
  struct latency *l = ctx;
  replace(l, &l->player[contender]);
  keep(l, contender);
  l->contest.contender[contender].failures += l->player[contender].failures;
  l->player[contender].failures = 0;
  return 0; /* the figures are in the records */
}

/* ----------------------------------------------------------------------------------------------------- reports -- */

/* `prefix` is "alloc_", "free_" or "". */
static void report_call(const struct latency *l, const char *name, const char *prefix,
                        double (*figure)[BENCH_MAX_ROUNDS]) {
  bench_text("  %-22s %-6.*s", name, (int)strcspn(prefix, "_"), prefix);
  for (uint32_t f = 0; f < FIGURES; f++) {
    char metric[32];
    struct bench_spread s = bench_spread_of(figure[f], (uint32_t)bench_settings.rounds);
    snprintf(metric, sizeof metric, "%s%s_ns", prefix, figure_names[f]);
    if (f == MAX) {
      bench_row("latency", l->contest.parameters, name, metric, s.max, 0, "ns");
      bench_text(" %9.0f\n", s.max);
    } else {
      bench_row_spread("latency", l->contest.parameters, name, metric, &s, 1, "ns");
      bench_text(" %9.1f", s.median);
    }
  }
}

static void report(const struct latency *l) {
  const struct bench_contest *c = &l->contest;
  bench_text("latency %s: %" PRIu64 " rounds of %" PRIu32 " pairs, ns of a call\n", c->parameters,
             bench_settings.rounds, l->run.pair_count);
  bench_text("  %-22s %-6s %9s %9s %9s %9s %9s\n", "", "call", "p50", "p99", "p99.9", "p99.99", "max");
  for (uint32_t i = 0; i < c->count; i++) {
    double tried = (double)bench_settings.rounds * l->run.pair_count;
    const char *name = c->contender[i].entry->name;
    report_call(l, name, "alloc_", l->records[i].figure[ALLOC]);
    report_call(l, name, "free_", l->records[i].figure[FREE]);
    bench_row("latency", c->parameters, name, "failed", 100.0 * (double)c->contender[i].failures / tried, 3, "%");
  }
  report_call(l, "clock", "", l->records[c->count].figure[ALLOC]);
}

/* ------------------------------------------------------------------------------------------------------ set-up -- */

static bool run_contest(struct latency *l, const struct bench_lineup *lineup) {
  struct bench_contest *c = &l->contest;
  if (!bench_contest_open(c, lineup)) {
    return false;
  }
  l->records = calloc(c->count + 1, sizeof *l->records);
  bool good = l->records && bench_histogram_init(&l->times[ALLOC]) && bench_histogram_init(&l->times[FREE]);
  for (uint32_t i = 0; i < c->count && good; i++) {
    good = bench_player_init(&l->player[i], c->contender[i].peer, c->contender[i].self, l->workload.live);
    if (good) {
      bench_play_fill(&l->run, &l->player[i]);
    }
  }
  if (good) {
    bench_contest_run(c, l, prepare, play);
    report(l);
  } else {
    bench_error("latency: no memory for the times");
  }
  for (uint32_t i = 0; i < c->count; i++) {
    bench_player_destroy(&l->player[i], &l->run);
  }
  bench_histogram_destroy(&l->times[ALLOC]);
  bench_histogram_destroy(&l->times[FREE]);
  free(l->records);
  bench_contest_close(c);
  return good;
}

static bool run(uint32_t live, const struct bench_lineup *lineup) {
  struct latency *l = calloc(1, sizeof *l);
  if (!l) {
    bench_error("latency: no memory");
    return false;
  }
  l->workload = defaults;
  l->workload.live = live;
  if (bench_settings.sizes.count) {
    l->workload.min_size = (uint32_t)bench_settings.sizes.range[0].min;
    l->workload.max_size = (uint32_t)bench_settings.sizes.range[0].max;
  }
  if (!bench_run_init(&l->run, &l->workload, bench_settings.seed, (uint32_t)bench_settings.pairs)) {
    bench_error("latency: no memory for the operations");
    free(l);
    return false;
  }
  l->contest.command = "latency";
  l->contest.region_bytes = bench_settings.region ? bench_settings.region : l->run.region_bytes;
  l->contest.max_live = live;
  l->contest.operations = l->run.pair_count;
  bench_workload_parameters(&l->workload, l->contest.parameters, sizeof l->contest.parameters);
  bench_settings_append(l->contest.parameters, sizeof l->contest.parameters);
  bool good = run_contest(l, lineup);
  bench_run_destroy(&l->run);
  free(l);
  return good;
}

int bench_command_latency(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  struct bench_lineup lineup;
  status = bench_lineup_gather(&lineup, BENCH_FACADE, "latency");
  if (status != BENCH_OK) {
    return status;
  }
  const struct bench_numbers *live = &bench_settings.live;
  for (uint32_t i = 0; i < (live->count ? live->count : 1); i++) {
    if (!run(live->count ? (uint32_t)live->value[i] : defaults.live, &lineup)) {
      status = BENCH_FAILED;
    }
  }
  return status;
}
