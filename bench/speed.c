/* SPDX-License-Identifier: MIT */
/*
 * The workloads of one thread: `pair`, `steady`, `sizes`, `fifo`, `ramp` and `load90` at the facade, and `heap`, all of
 * them on the bare heap.
 */
#include "commands.h"
#include "contest.h"
#include "loops.h"
#include "report.h"
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMON                                                                                                         \
  BENCH_OPTION_PEER, BENCH_OPTION_ONLY, BENCH_OPTION_ROUNDS, BENCH_OPTION_PAIRS, BENCH_OPTION_SEED,                    \
      BENCH_OPTION_REGION, BENCH_OPTION_DRIVER, BENCH_OPTION_CHECK

static const struct bench_option pair_options[] = {COMMON, BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES,
                                                   BENCH_OPTION_SIZES};
static const struct bench_option live_options[] = {COMMON, BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES,
                                                   BENCH_OPTION_LIVE};
static const struct bench_option all_options[] = {COMMON, BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES, BENCH_OPTION_LIVE,
                                                  BENCH_OPTION_SIZES};
static const struct bench_option heap_options[] = {COMMON};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ------------------------------------------------------------------------------------------------ one workload -- */

struct speed {
  struct bench_contest contest;
  struct bench_run run;
  struct bench_player player[BENCH_MAX_ENTRIES]; /* by contender */
};

static void prepare(void *ctx) {
  struct speed *s = ctx;
  bench_run_draw(&s->run);
}

static double play(void *ctx, uint32_t contender) {
  struct speed *s = ctx;
  struct bench_player *player = &s->player[contender];
  uint64_t start = bench_now();
  bench_play(&s->run, player);
  double nanoseconds = (double)(bench_now() - start);
  s->contest.contender[contender].failures += player->failures;
  player->failures = 0;
  return nanoseconds / s->run.pair_count;
}

static bool add_players(struct speed *s, uint32_t *made) {
  for (*made = 0; *made < s->contest.count; ++*made) {
    const struct bench_contender *contender = &s->contest.contender[*made];
    struct bench_player *player = &s->player[*made];
    if (!bench_player_init(player, contender->peer, contender->self, s->run.workload->live)) {
      bench_error("%s: no memory for its addresses", s->contest.command);
      return false;
    }
    bench_play_fill(&s->run, player);
  }
  return true;
}

static bool run_contest(struct speed *s, const struct bench_lineup *lineup) {
  static const struct bench_figure figure = {.metric = "ns_per_pair", .unit = "ns", .digits = 2};
  if (!bench_contest_open(&s->contest, lineup)) {
    return false;
  }
  uint32_t players;
  bool good = add_players(s, &players);
  if (good) {
    bench_contest_run(&s->contest, s, prepare, play);
    good = bench_contest_report(&s->contest, &figure);
  }
  for (uint32_t i = 0; i < players; i++) {
    bench_player_destroy(&s->player[i], &s->run);
  }
  bench_contest_close(&s->contest);
  return good;
}

/* `command` and the parameters are for the rows. */
static bool run_workload(const struct bench_workload *workload, const struct bench_lineup *lineup, const char *command,
                         const char *parameters) {
  struct speed *s = calloc(1, sizeof *s);
  if (!s || !bench_run_init(&s->run, workload, bench_settings.seed, (uint32_t)bench_settings.pairs)) {
    bench_error("%s: no memory for its operations", workload->name);
    free(s);
    return false;
  }
  s->contest.command = command;
  s->contest.region_bytes = bench_settings.region ? bench_settings.region : s->run.region_bytes;
  s->contest.max_live = workload->live;
  s->contest.operations = s->run.pair_count;
  snprintf(s->contest.parameters, sizeof s->contest.parameters, "%s", parameters);
  bench_settings_append(s->contest.parameters, sizeof s->contest.parameters);
  bool good = run_contest(s, lineup);
  bench_run_destroy(&s->run);
  free(s);
  return good;
}

/* -------------------------------------------------------------------------------------------- at either layer -- */

static bool run_with_parameters(const struct bench_workload *workload, const struct bench_lineup *lineup) {
  char parameters[128];
  bench_workload_parameters(workload, parameters, sizeof parameters);
  return run_workload(workload, lineup, workload->command, parameters);
}

/* The workload with the numbers of live blocks and the sizes that the user asked for. */
static bool run_variants(const struct bench_workload *workload, const struct bench_lineup *lineup) {
  const struct bench_numbers *live = &bench_settings.live;
  const struct bench_ranges *sizes = &bench_settings.sizes;
  bool good = true;
  for (uint32_t i = 0; i < (live->count ? live->count : 1); i++) {
    for (uint32_t k = 0; k < (sizes->count ? sizes->count : 1); k++) {
      struct bench_workload variant = *workload;
      if (live->count) {
        variant.live = (uint32_t)live->value[i];
        /* Rounds that replace each block about once: a region that was just filled is not yet what it will be. */
        variant.pairs = variant.live > variant.pairs ? variant.live : variant.pairs;
      }
      if (sizes->count) {
        variant.min_size = (uint32_t)sizes->range[k].min;
        variant.max_size = (uint32_t)sizes->range[k].max;
      }
      good = run_with_parameters(&variant, lineup) && good;
    }
  }
  return good;
}

/* All workloads of a command, or what the user asks for in place of the first one. */
static int run_command(const struct bench_command *command, int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(command, argc, argv, &operands, &status)) {
    return status;
  }
  struct bench_lineup lineup;
  status = bench_lineup_gather(&lineup, BENCH_FACADE, command->name);
  if (status != BENCH_OK) {
    return status;
  }
  bool varied = bench_settings.live.count || bench_settings.sizes.count;
  for (uint32_t i = 0; i < bench_workload_count; i++) {
    const struct bench_workload *workload = &bench_workloads[i];
    if (strcmp(workload->command, command->name) != 0) {
      continue;
    }
    if (!(varied ? run_variants(workload, &lineup) : run_with_parameters(workload, &lineup))) {
      status = BENCH_FAILED;
    }
    if (varied) {
      break;
    }
  }
  return status;
}

#define FIGURES                                                                                                        \
  "Nanoseconds per pair of an allocation and a free by address, one thread, 128-byte aligned blocks (the host's\n"     \
  "mallocs: as they come). All have a region of the same size. Medians over the rounds, with the least and the\n"      \
  "most; ratio: zcmem's median divided by the allocator's.\n"

int bench_command_pair(int argc, char **argv) {
  static const struct bench_command command = {
      .name = "pair",
      .operands = "",
      .help = "One block is allocated and freed, in an empty region of 64 MiB: 128 B, 4 KiB, 64 KiB.\n" FIGURES,
      .options = pair_options,
      .option_count = COUNT(pair_options),
  };
  return run_command(&command, argc, argv);
}

int bench_command_steady(int argc, char **argv) {
  static const struct bench_command command = {
      .name = "steady",
      .operands = "",
      .help = "A random one of 1k, 32k, 1M live blocks is replaced by one of 64 B to 64 KiB, log-uniform. The region\n"
              "is three times the live bytes.\n" FIGURES,
      .options = all_options,
      .option_count = COUNT(all_options),
  };
  return run_command(&command, argc, argv);
}

int bench_command_sizes(int argc, char **argv) {
  static const struct bench_command command = {
      .name = "sizes",
      .operands = "",
      .help = "As `steady`: 32k blocks of 64 B to 1 KiB, 8k of 64 B to 1 MiB, 2k of 128 KiB to 4 MiB, all\n"
              "log-uniform, and 32k of 64 B to 64 KiB, uniform.\n" FIGURES,
      .options = all_options,
      .option_count = COUNT(all_options),
  };
  return run_command(&command, argc, argv);
}

int bench_command_fifo(int argc, char **argv) {
  static const struct bench_command command = {
      .name = "fifo",
      .operands = "",
      .help = "The oldest of 32k live blocks is replaced by one of 64 B to 64 KiB, log-uniform.\n" FIGURES,
      .options = all_options,
      .option_count = COUNT(all_options),
  };
  return run_command(&command, argc, argv);
}

int bench_command_ramp(int argc, char **argv) {
  static const struct bench_command command = {
      .name = "ramp",
      .operands = "",
      .help =
          "16k blocks are allocated, then freed in random order. Five ranges of sizes take turns, between 64 B and\n"
          "256 KiB: the program changes its phase.\n" FIGURES,
      .options = live_options,
      .option_count = COUNT(live_options),
  };
  return run_command(&command, argc, argv);
}

int bench_command_load90(int argc, char **argv) {
  static const struct bench_command command = {
      .name = "load90",
      .operands = "",
      .help = "`steady` with 32k blocks in a region that is full to 90 %. An allocation that fails counts once and is\n"
              "tried again after the next pairs.\n" FIGURES,
      .options = all_options,
      .option_count = COUNT(all_options),
  };
  return run_command(&command, argc, argv);
}

/* ---------------------------------------------------------------------------------------------- the bare heap -- */

static const struct bench_workload *find_workload(const char *name) {
  for (uint32_t i = 0; i < bench_workload_count; i++) {
    if (strcmp(bench_workloads[i].name, name) == 0) {
      return &bench_workloads[i];
    }
  }
  return NULL;
}

static const struct bench_command heap_command = {
    .name = "heap",
    .operands = "[WORKLOAD]...",
    .help = "All of those workloads on the bare heap, without lock and facade.\n" FIGURES
            "\nworkloads (all of them where none is named):\n"
            "  pair-128 pair-4k pair-64k   `pair`\n"
            "  steady-1k -32k -1m          `steady`\n"
            "  small mixed-1m large        `sizes`: 64 B to 1 KiB, 64 B to 1 MiB, 128 KiB to 4 MiB\n"
            "  uniform                     `sizes`: 64 B to 64 KiB, uniform\n"
            "  fifo ramp load90\n",
    .options = heap_options,
    .option_count = COUNT(heap_options),
    .max_operands = -1,
};

int bench_command_heap(int argc, char **argv) {
  int names;
  int status;
  if (!bench_args_parse(&heap_command, argc, argv, &names, &status)) {
    return status;
  }
  for (int i = 0; i < names; i++) { /* what is wrong is said before anything runs */
    if (!find_workload(argv[i])) {
      bench_error("heap: no workload '%s' (try --help)", argv[i]);
      return BENCH_USAGE;
    }
  }
  bench_settings.layer = BENCH_LAYER_HEAP;
  struct bench_lineup lineup;
  status = bench_lineup_gather(&lineup, BENCH_BARE, "heap");
  if (status != BENCH_OK) {
    return status;
  }
  bench_settings.layer = BENCH_LAYER_HAL; /* of no interest in the parameters: it is the command's */
  for (uint32_t i = 0; i < (names ? (uint32_t)names : bench_workload_count); i++) {
    const struct bench_workload *workload = names ? find_workload(argv[i]) : &bench_workloads[i];
    if (!run_workload(workload, &lineup, "heap", workload->name)) {
      status = BENCH_FAILED;
    }
  }
  return status;
}
