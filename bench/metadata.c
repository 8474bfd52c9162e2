/* SPDX-License-Identifier: MIT */
/*
 * `metadata`: the memory that an allocator takes for itself. Each one is measured in a process of its own that does
 * nothing else, so that no memory of another's that was given back is used again unnoticed.
 */
#include "commands.h"
#include "contest.h"
#include "loops.h"
#include "memory.h"
#include "report.h"
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct bench_option options[] = {
    BENCH_OPTION_PEER,  BENCH_OPTION_ONLY,   BENCH_OPTION_PAIRS, BENCH_OPTION_SEED,      BENCH_OPTION_LIVE,
    BENCH_OPTION_SIZES, BENCH_OPTION_REGION, BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES,
};

static const struct bench_command command = {
    .name = "metadata",
    .operands = "",
    .help = "Bytes that an allocator takes for itself: what of the process's memory has become resident from its\n"
            "creation on, after 32k and 1M (--live) blocks of 64 B to 64 KiB (--sizes), log-uniform, were allocated\n"
            "and two random ones were replaced for each (--pairs), in a region of three times their bytes; and after\n"
            "1000 blocks in one of 64 GiB. For zcmem also its image, of which the rest was never touched. An\n"
            "allocator that keeps its headers in the memory it manages is charged for the pages that they touch.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

/* What --live, --sizes and --pairs change. */
static const struct bench_workload defaults = {
    .name = "metadata",
    .command = "metadata",
    .kind = BENCH_RANDOM,
    .sizes = BENCH_LOG_UNIFORM,
    .min_size = 64,
    .max_size = 64 * 1024,
    .load = 1.0 / 3.0,
};

static const struct {
  uint32_t live;
  uint64_t region; /* 0: three times the bytes */
} usual[] = {{32 * 1024, 0}, {1024 * 1024, 0}, {1000, UINT64_C(64) << 30}};

struct result {
  uint64_t resident;
  uint64_t failures; /* allocations that failed */
  bool done;
};

/* In the process of its own. */
static struct result measure(const struct bench_entry *entry, struct bench_run *run, uint64_t region) {
  struct result result = {.done = false};
  struct bench_player player;
  uint64_t before, after;
  if (!bench_player_init(&player, entry->peer, NULL, run->workload->live) || !bench_resident(&before)) {
    return result;
  }
  player.self = entry->peer->create(region, BENCH_REGION_BASE, run->workload->live);
  if (!player.self) {
    return result;
  }
  bench_play_fill(run, &player);
  for (uint32_t i = 0; i < run->workload->live; i++) {
    result.failures += player.addrs[i] == BENCH_EMPTY;
  }
  bench_play(run, &player);
  result.failures += player.failures;
  result.done = bench_resident(&after);
  result.resident = after > before ? after - before : 0;
  return result;
}

static bool measure_apart(const struct bench_entry *entry, struct bench_run *run, uint64_t region,
                          struct result *result) {
  int ends[2];
  result->done = false;
  if (pipe(ends) != 0) {
    return false;
  }
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    *result = measure(entry, run, region);
    _exit(write(ends[1], result, sizeof *result) == (ssize_t)sizeof *result ? 0 : 1);
  }
  close(ends[1]);
  bool good = child > 0 && read(ends[0], result, sizeof *result) == (ssize_t)sizeof *result;
  close(ends[0]);
  if (child > 0) {
    waitpid(child, NULL, 0);
  }
  return good && result->done;
}

static void report(const struct bench_entry *entry, uint32_t live, uint64_t region, const char *parameters,
                   const struct result *result) {
  double bytes_per_block = (double)result->resident / live;
  bench_row("metadata", parameters, entry->name, "bytes_per_block", bytes_per_block, 1, "bytes");
  bench_row_count("metadata", parameters, entry->name, "resident", result->resident, "bytes");
  bench_text("  %-22s %9.1f bytes a block  %12" PRIu64 " bytes resident", entry->name, bytes_per_block,
             result->resident);
  uint64_t reserved = bench_entry_is_zcmem(entry) ? bench_zcmem_bytes(region, live) : 0;
  if (reserved) {
    bench_row_count("metadata", parameters, entry->name, "image", reserved, "bytes");
    bench_text(" of %12" PRIu64 " of the image", reserved);
  }
  bench_text("\n");
}

static bool run(uint32_t live, uint64_t region, const struct bench_lineup *lineup) {
  struct bench_workload workload = defaults;
  struct bench_run run;
  char parameters[256];
  workload.live = live;
  workload.pairs = 2 * live;
  if (bench_settings.sizes.count) {
    workload.min_size = (uint32_t)bench_settings.sizes.range[0].min;
    workload.max_size = (uint32_t)bench_settings.sizes.range[0].max;
  }
  if (!bench_run_init(&run, &workload, bench_settings.seed, (uint32_t)bench_settings.pairs)) {
    bench_error("metadata: no memory for the operations");
    return false;
  }
  bench_run_draw(&run);
  region = bench_settings.region ? bench_settings.region : region ? region : run.region_bytes;
  bench_workload_parameters(&workload, parameters, sizeof parameters);
  size_t used = strlen(parameters);
  snprintf(parameters + used, sizeof parameters - used, ";region=%" PRIu64, region);
  bench_settings_append_variant(parameters, sizeof parameters);
  bench_text("metadata %s\n", parameters);
  bool good = true;
  for (uint32_t i = 0; i < lineup->count; i++) {
    struct result result;
    if (!measure_apart(&lineup->entry[i], &run, region, &result)) {
      bench_error("metadata: %s could not be measured", lineup->entry[i].name);
      good = false;
    } else if (result.failures) {
      bench_error("metadata: %s: %" PRIu64 " allocations failed", lineup->entry[i].name, result.failures);
      good = false;
    } else {
      report(&lineup->entry[i], live, region, parameters, &result);
    }
  }
  bench_run_destroy(&run);
  return good;
}

int bench_command_metadata(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  struct bench_lineup lineup;
  status = bench_lineup_gather(&lineup, BENCH_BARE, "metadata");
  if (status != BENCH_OK) {
    return status;
  }
  const struct bench_numbers *live = &bench_settings.live;
  uint32_t count = live->count ? live->count : sizeof usual / sizeof usual[0];
  for (uint32_t i = 0; i < count; i++) {
    bool good = live->count ? run((uint32_t)live->value[i], 0, &lineup) : run(usual[i].live, usual[i].region, &lineup);
    status = good ? status : BENCH_FAILED;
  }
  return status;
}
