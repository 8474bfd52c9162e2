/* SPDX-License-Identifier: MIT */
/* `threads`: every thread replaces random blocks of its own; all share one allocator, and so its region. */
#include "commands.h"
#include "contest.h"
#include "loops.h"
#include "report.h"
#include "settings.h"
#include "team.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct bench_option options[] = {
    BENCH_OPTION_THREADS, BENCH_OPTION_PEER,  BENCH_OPTION_ONLY,      BENCH_OPTION_ROUNDS,
    BENCH_OPTION_PAIRS,   BENCH_OPTION_SEED,  BENCH_OPTION_LIVE,      BENCH_OPTION_SIZES,
    BENCH_OPTION_REGION,  BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES, BENCH_OPTION_CHECK,
};

static const struct bench_command command = {
    .name = "threads",
    .operands = "",
    .help =
        "Each thread replaces a random one of its live blocks by one of 64 B to 64 KiB, log-uniform. The blocks of\n"
        "all threads together are 32k (--live), in one region of three times their bytes. Million pairs of an\n"
        "allocation and a free a second, all threads together, from the first start to the last end. What is not\n"
        "thread-safe is measured with a mutex around it (+mutex). ratio: zcmem's median divided by the other's.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

/* What --live, --sizes and --pairs change. pairs: of each thread. */
static const struct bench_workload defaults = {
    .name = "threads",
    .command = "threads",
    .kind = BENCH_RANDOM,
    .sizes = BENCH_LOG_UNIFORM,
    .live = 32 * 1024,
    .min_size = 64,
    .max_size = 64 * 1024,
    .pairs = 300000,
    .load = 1.0 / 3.0,
};

struct threads {
  struct bench_contest contest;
  struct bench_team team;
  struct bench_workload workload; /* of one thread */
  uint32_t count;
  uint32_t runs; /* that are initialised */
  struct bench_run run[BENCH_MAX_THREADS];
  struct bench_player (*player)[BENCH_MAX_THREADS]; /* by contender and thread */
  uint32_t playing;                                 /* the contender whose turn it is */
};

static void draw(void *ctx, uint32_t thread) {
  struct threads *t = ctx;
  bench_run_draw(&t->run[thread]);
}

static void prepare(void *ctx) {
  struct threads *t = ctx;
  bench_team_run(&t->team, draw, t);
}

static void fill(void *ctx, uint32_t thread) {
  struct threads *t = ctx;
  bench_play_fill(&t->run[thread], &t->player[t->playing][thread]);
}

static void replace(void *ctx, uint32_t thread) {
  struct threads *t = ctx;
  bench_play(&t->run[thread], &t->player[t->playing][thread]);
}

/* Million pairs a second. */
static double play(void *ctx, uint32_t contender) {
  struct threads *t = ctx;
  t->playing = contender;
  double nanoseconds = bench_team_run(&t->team, replace, t);
  for (uint32_t i = 0; i < t->count; i++) {
    t->contest.contender[contender].failures += t->player[contender][i].failures;
    t->player[contender][i].failures = 0;
  }
  return 1000.0 * (double)t->contest.operations / nanoseconds;
}

/* ------------------------------------------------------------------------------------------------------ set-up -- */

static bool open_runs(struct threads *t) {
  for (t->runs = 0; t->runs < t->count; t->runs++) {
    struct bench_run *run = &t->run[t->runs];
    /* Seeds that are far apart, and not the next one's user's. */
    uint64_t seed = bench_settings.seed + ((uint64_t)t->runs << 32);
    if (!bench_run_init(run, &t->workload, seed, (uint32_t)bench_settings.pairs)) {
      bench_error("threads: no memory for the operations");
      return false;
    }
    t->contest.region_bytes += run->region_bytes;
    t->contest.operations += run->pair_count;
  }
  if (bench_settings.region) {
    t->contest.region_bytes = bench_settings.region;
  }
  return true;
}

static bool open_players(struct threads *t) {
  t->player = calloc(t->contest.count, sizeof *t->player);
  for (uint32_t c = 0; c < t->contest.count && t->player; c++) {
    const struct bench_contender *contender = &t->contest.contender[c];
    for (uint32_t i = 0; i < t->count; i++) {
      if (!bench_player_init(&t->player[c][i], contender->peer, contender->self, t->workload.live)) {
        bench_error("threads: no memory for the addresses");
        return false;
      }
    }
  }
  return t->player != NULL;
}

static void close_players(struct threads *t) {
  for (uint32_t c = 0; c < t->contest.count && t->player; c++) {
    for (uint32_t i = 0; i < t->count; i++) {
      bench_player_destroy(&t->player[c][i], &t->run[i]);
    }
  }
  free(t->player);
}

static bool run_contest(struct threads *t) {
  static const struct bench_figure figure = {
      .metric = "mpairs_per_s", .unit = "M/s", .digits = 2, .more_is_better = true};
  if (!bench_team_open(&t->team, t->count)) {
    return false;
  }
  for (t->playing = 0; t->playing < t->contest.count; t->playing++) {
    bench_team_run(&t->team, fill, t);
  }
  bench_contest_run(&t->contest, t, prepare, play);
  bench_team_close(&t->team);
  return bench_contest_report(&t->contest, &figure);
}

static bool run(const struct bench_workload *workload, uint32_t count, const struct bench_lineup *lineup) {
  struct threads *t = calloc(1, sizeof *t);
  if (!t) {
    bench_error("threads: no memory");
    return false;
  }
  t->count = count;
  t->workload = *workload;
  t->workload.live = workload->live < count ? 1 : workload->live / count;
  t->contest.command = "threads";
  t->contest.max_live = t->workload.live * count;
  snprintf(t->contest.parameters, sizeof t->contest.parameters,
           "threads=%" PRIu32 ";live=%" PRIu32 ";sizes=%" PRIu32 "-%" PRIu32, count, workload->live, workload->min_size,
           workload->max_size);
  bench_settings_append(t->contest.parameters, sizeof t->contest.parameters);
  bool good = open_runs(t) && bench_contest_open(&t->contest, lineup);
  if (good) {
    good = open_players(t) && run_contest(t);
    close_players(t);
    bench_contest_close(&t->contest);
  }
  while (t->runs > 0) {
    bench_run_destroy(&t->run[--t->runs]);
  }
  free(t);
  return good;
}

int bench_command_threads(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  bench_settings_default_threads();
  struct bench_lineup lineup;
  status = bench_lineup_gather(&lineup, BENCH_THREADED, "threads");
  if (status != BENCH_OK) {
    return status;
  }
  struct bench_workload workload = defaults;
  if (bench_settings.sizes.count) {
    workload.min_size = (uint32_t)bench_settings.sizes.range[0].min;
    workload.max_size = (uint32_t)bench_settings.sizes.range[0].max;
  }
  for (uint32_t i = 0; i < bench_settings.threads.count; i++) {
    for (uint32_t k = 0; k < (bench_settings.live.count ? bench_settings.live.count : 1); k++) {
      if (bench_settings.live.count) {
        workload.live = (uint32_t)bench_settings.live.value[k];
      }
      if (!run(&workload, (uint32_t)bench_settings.threads.value[i], &lineup)) {
        status = BENCH_FAILED;
      }
    }
  }
  return status;
}
