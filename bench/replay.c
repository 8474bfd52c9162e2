/* SPDX-License-Identifier: MIT */
/* Replays traces through the facade: once with every answer checked, then a few times against the clock. */
#include "commands.h"
#include "each_trace.h"
#include "measure.h"
#include "overlap.h"
#include "report.h"

#include <zcmem/hal.h>
#include <zcmem/heap.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t quantum_option = ZCMEM_QUANTUM_DEFAULT;
static uint64_t region_option;
static uint64_t rounds_option = 5;

static const struct bench_option options[] = {
    {"--region", "BYTES", BENCH_NUMBER, &region_option, 1, UINT64_MAX, "of the region (four times the peak)"},
    {"--quantum", "BYTES", BENCH_NUMBER, &quantum_option, 1, BENCH_MAX_QUANTUM, "of the region (128)"},
    {"--rounds", "N", BENCH_NUMBER, &rounds_option, 1, BENCH_MAX_ROUNDS, "timed replays (5)"},
};

static const struct bench_command command = {
    .name = "replay",
    .operands = "TRACE...",
    .help = "Replays each trace through the HAL facade into one region. The first replay checks every address: in the\n"
            "region, aligned, no overlap with a live block; and that each free is accepted and the region is whole\n"
            "again at the end. The replays that are timed check nothing. An allocation that fails is counted and its\n"
            "free left out.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 1,
    .max_operands = -1,
};

struct replay {
  const struct bench_trace *trace;
  uint64_t quantum;
  uint64_t region_bytes;
  struct zcmem_hal *hal; /* of the replay that runs */
  hal_addr_t *addrs;     /* by block number; HAL_NULLPTR: the allocation failed or the block is freed */
  uint64_t operations;   /* allocations tried and frees made by the checked replay */
  uint64_t failures;
};

static bool open_hal(struct replay *r) {
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = 1};
  const struct zcmem_region_config region = {
      .name = "trace",
      .kind = ZCMEM_KIND_DRAM,
      .base = BENCH_REGION_BASE,
      .size = r->region_bytes,
      .quantum = r->quantum,
      .max_blocks = r->trace->peak_blocks,
  };
  enum zcmem_status status = zcmem_hal_create(&config, &region, 1, &r->hal);
  if (status != ZCMEM_OK) {
    bench_error("no region of %" PRIu64 " bytes: %s", r->region_bytes, zcmem_status_string(status));
  }
  return status == ZCMEM_OK;
}

/* ---------------------------------------------------------------------------------------- the checked replay -- */

static const char *check_alloc(const struct replay *r, struct bench_overlap *set, uint64_t addr, uint64_t size) {
  uint64_t bytes = bench_trace_round(size, r->quantum);
  if (addr < BENCH_REGION_BASE || addr - BENCH_REGION_BASE > r->region_bytes ||
      bytes > r->region_bytes - (addr - BENCH_REGION_BASE)) {
    return "a block leaves the region";
  }
  if (addr % r->quantum != 0) {
    return "a block is misaligned";
  }
  return bench_overlap_add(set, addr, bytes);
}

static const char *checked_alloc(struct replay *r, struct bench_overlap *set, uint32_t block) {
  r->operations++;
  uint64_t size = r->trace->sizes[block];
  enum zcmem_status status = zcmem_mem_alloc(r->hal, 0, size, 1, &r->addrs[block]);
  if (status == ZCMEM_OK) {
    return check_alloc(r, set, r->addrs[block], size);
  }
  r->addrs[block] = HAL_NULLPTR;
  r->failures++;
  return status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG ? NULL : zcmem_status_string(status);
}

static const char *checked_free(struct replay *r, struct bench_overlap *set, uint32_t block) {
  if (r->addrs[block] == HAL_NULLPTR) {
    return NULL;
  }
  r->operations++;
  const char *what = bench_overlap_remove(set, r->addrs[block]);
  enum zcmem_status status = zcmem_mem_free(r->hal, r->addrs[block]);
  r->addrs[block] = HAL_NULLPTR;
  return status == ZCMEM_OK ? what : zcmem_status_string(status);
}

/* After everything is freed the region is one free range again. */
static const char *check_end(const struct replay *r) {
  struct zcmem_region_info info;
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  enum zcmem_status status = zcmem_hal_check(r->hal);
  if (status == ZCMEM_OK) {
    status = zcmem_hal_region_info(r->hal, 0, &info);
  }
  if (status == ZCMEM_OK) {
    status = zcmem_hal_region_stats(r->hal, 0, &stats);
  }
  if (status != ZCMEM_OK) {
    return zcmem_status_string(status);
  }
  if (stats.live != 0 || stats.in_use != 0 || stats.available != info.size || stats.largest != info.size) {
    return "the region is not whole after the last free";
  }
  if (r->failures == 0 && stats.peak != bench_trace_peak_bytes(r->trace, r->quantum)) {
    return "the region's peak is not the trace's";
  }
  return NULL;
}

static bool replay_checked(struct replay *r) {
  const struct bench_trace *trace = r->trace;
  if (!open_hal(r)) {
    return false;
  }
  struct bench_overlap set;
  bench_overlap_init(&set);
  const char *what = NULL;
  uint32_t i = 0;
  for (; i < trace->event_count && !what; i++) {
    uint32_t block = trace->events[i] >> 1;
    what = trace->events[i] & BENCH_EVENT_FREE ? checked_free(r, &set, block) : checked_alloc(r, &set, block);
  }
  for (uint32_t block = 0; block < trace->block_count && !what; block++) {
    if (trace->live[block]) {
      what = checked_free(r, &set, block);
    }
  }
  if (!what) {
    what = check_end(r);
  }
  if (what) {
    bench_error("after event %" PRIu32 ": %s", i, what);
  }
  bench_overlap_destroy(&set);
  uint64_t left = zcmem_hal_destroy(r->hal);
  if (!what && left != 0) {
    bench_error("%" PRIu64 " blocks live after the last free", left);
  }
  return !what && left == 0;
}

/* ------------------------------------------------------------------------------------------ the timed replay -- */

static bool replay_timed(struct replay *r, double *nanoseconds) {
  if (!open_hal(r)) {
    return false;
  }
  const struct bench_trace *trace = r->trace;
  struct zcmem_hal *hal = r->hal;
  hal_addr_t *addrs = r->addrs;
  uint64_t operations = 0;
  uint64_t start = bench_now();
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    if (!(trace->events[i] & BENCH_EVENT_FREE)) {
      operations++;
      if (zcmem_mem_alloc(hal, 0, trace->sizes[block], 1, &addrs[block]) != ZCMEM_OK) {
        addrs[block] = HAL_NULLPTR;
      }
    } else if (addrs[block] != HAL_NULLPTR) {
      operations++;
      zcmem_mem_free(hal, addrs[block]);
    }
  }
  *nanoseconds = (double)(bench_now() - start) / (double)operations;
  zcmem_hal_destroy(hal);
  return true;
}

static bool measure(struct replay *r, struct bench_spread *spread) {
  double samples[BENCH_MAX_ROUNDS];
  for (uint64_t i = 0; i < rounds_option; i++) {
    if (!replay_timed(r, &samples[i])) {
      return false;
    }
  }
  *spread = bench_spread_of(samples, (uint32_t)rounds_option);
  return true;
}

/* --------------------------------------------------------------------------------------------------- reports -- */

static void print(const struct replay *r, const char *path, const struct bench_spread *ns) {
  char name[128];
  char parameters[256];
  bench_trace_name(path, name, sizeof name);
  snprintf(parameters, sizeof parameters, "%s", name);
  if (quantum_option != ZCMEM_QUANTUM_DEFAULT) {
    snprintf(parameters + strlen(parameters), 64, ";quantum=%" PRIu64, quantum_option);
  }
  if (region_option != 0) {
    snprintf(parameters + strlen(parameters), 64, ";region=%" PRIu64, region_option);
  }
  uint64_t peak = bench_trace_peak_bytes(r->trace, 0);
  bench_text("%-24s %" PRIu64 " operations  peak live %" PRIu64 " bytes in %" PRIu32 " blocks  failures %" PRIu64
             "  %.1f ns per operation (%.1f to %.1f)\n",
             name, r->operations, peak, r->trace->peak_blocks, r->failures, ns->median, ns->min, ns->max);
  bench_row_count("replay", parameters, "zcmem", "operations", r->operations, "");
  bench_row_count("replay", parameters, "zcmem", "peak_live", peak, "bytes");
  bench_row_count("replay", parameters, "zcmem", "peak_blocks", r->trace->peak_blocks, "");
  bench_row_count("replay", parameters, "zcmem", "failures", r->failures, "");
  bench_row("replay", parameters, "zcmem", "time", ns->median, 2, "ns/operation");
  bench_row("replay", parameters, "zcmem", "time_min", ns->min, 2, "ns/operation");
  bench_row("replay", parameters, "zcmem", "time_max", ns->max, 2, "ns/operation");
}

/* Four times the peak, or what 2^32 - 1 quanta leave of that. */
static uint64_t generous_region(uint64_t peak, uint64_t quantum) {
  const uint64_t most = UINT32_MAX * quantum;
  return peak > most / 4 ? most : peak * 4;
}

static bool run(const char *path, const struct bench_trace *trace) {
  uint64_t peak = bench_trace_peak_bytes(trace, quantum_option);
  if (peak == UINT64_MAX) {
    bench_error("%s: more than 2^63 bytes are live at once", path);
    return false;
  }
  if (region_option == 0 && peak / quantum_option > UINT32_MAX) {
    bench_error("%s: its peak takes more than 2^32 - 1 quanta; give a larger --quantum", path);
    return false;
  }
  struct replay r = {.trace = trace, .quantum = quantum_option};
  r.region_bytes = region_option ? region_option : generous_region(peak, quantum_option);
  r.addrs = calloc(trace->block_count, sizeof *r.addrs);
  if (!r.addrs) {
    bench_error("%s: no memory to replay it", path);
    return false;
  }
  struct bench_spread spread;
  bool good = replay_checked(&r) && measure(&r, &spread);
  if (good) {
    print(&r, path, &spread);
  } else {
    bench_error("%s: the replay failed", path);
  }
  free(r.addrs);
  return good;
}

int bench_command_replay(int argc, char **argv) {
  return bench_each_trace(&command, argc, argv, &quantum_option, run);
}
