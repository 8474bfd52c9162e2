/* SPDX-License-Identifier: MIT */
/*
 * `translate`: device address to host pointer and back, at random among live blocks. Throughput: the calls of a row do
 * not depend on each other. Latency: each one's argument is made from the answer of the last.
 */
#include "commands.h"
#include "measure.h"
#include "memory.h"
#include "report.h"
#include "settings.h"
#include "workload.h"

#include <zcmem/hal.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t regions_option = 1;
static uint64_t calls_option = 500000;
static bool unchecked_option;

static const struct bench_option options[] = {
    BENCH_OPTION_ROUNDS,
    {"--calls", "N", BENCH_NUMBER, &calls_option, 1, 1u << 28, "translations in a round (500000)"},
    {"--regions", "N", BENCH_NUMBER, &regions_option, 1, 64, "that the blocks are spread over (1)"},
    {"--unchecked", NULL, BENCH_FLAG, &unchecked_option, 0, 0, "regions that are ZCMEM_REGION_UNCHECKED"},
    BENCH_OPTION_LIVE,
    BENCH_OPTION_SIZES,
    BENCH_OPTION_SEED,
};

static const struct bench_command command = {
    .name = "translate",
    .operands = "",
    .help =
        "Nanoseconds of zcmem_mem_host (the range has to lie in one live block) and zcmem_mem_device, for addresses\n"
        "drawn among 32k (--live) live blocks of 64 B to 64 KiB (--sizes), log-uniform. `start`: of whole blocks;\n"
        "`interior`: one byte anywhere in them. throughput: calls that do not wait for each other; latency: the\n"
        "argument of each is made from the last one's answer. The loop that draws is part of the figures; its own\n"
        "cost is the allocator `driver`.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

struct query {
  hal_addr_t addr;
  hal_size_t size;
  char *host; /* what addr has to translate to */
};

struct translate {
  struct zcmem_hal *hal;
  char *memory; /* of all regions; never touched */
  size_t bytes;
  struct query *start, *interior; /* calls_option each */
  uint64_t zero;                  /* 0, but the compiler does not know */
  uint64_t wrong;                 /* answers */
};

/* ------------------------------------------------------------------------------------------------------- loops -- */

/*
 * Each loop comes in two forms: with `chain` a call's argument is made from the last answer, without it there must be
 * no trace of that in the code, or the processor would wait all the same.
 */
typedef void loop(struct translate *t, const struct query *query);

static inline void driver(struct translate *t, const struct query *query, bool chain) {
  uint64_t last = 0;
  for (uint64_t i = 0; i < calls_option; i++) {
    hal_addr_t addr = query[i].addr + (chain ? last & t->zero : 0);
    last = addr ^ query[i].size;
    t->wrong += addr == 0;
  }
}

static inline void to_host(struct translate *t, const struct query *query, bool chain) {
  uint64_t last = 0;
  for (uint64_t i = 0; i < calls_option; i++) {
    void *host = NULL;
    zcmem_mem_host(t->hal, query[i].addr + (chain ? last & t->zero : 0), query[i].size, &host);
    last = (uint64_t)(uintptr_t)host;
    t->wrong += host != query[i].host;
  }
}

static inline void to_device(struct translate *t, const struct query *query, bool chain) {
  uint64_t last = 0;
  for (uint64_t i = 0; i < calls_option; i++) {
    hal_addr_t addr = HAL_NULLPTR;
    hal_size_t remaining = 0;
    zcmem_mem_device(t->hal, query[i].host + (chain ? last & t->zero : 0), &addr, &remaining);
    last = addr;
    t->wrong += addr != query[i].addr || remaining < query[i].size;
  }
}

static void driver_free(struct translate *t, const struct query *query) {
  driver(t, query, false);
}

static void driver_chained(struct translate *t, const struct query *query) {
  driver(t, query, true);
}

/* bench/instructions counts the instructions of the two without a chain and what they call. */
BENCH_COUNTED loop bench_play_to_host, bench_play_to_device;

void bench_play_to_host(struct translate *t, const struct query *query) {
  to_host(t, query, false);
}

static void to_host_chained(struct translate *t, const struct query *query) {
  to_host(t, query, true);
}

void bench_play_to_device(struct translate *t, const struct query *query) {
  to_device(t, query, false);
}

static void to_device_chained(struct translate *t, const struct query *query) {
  to_device(t, query, true);
}

/* ------------------------------------------------------------------------------------------------------ set-up -- */

static bool open_hal(struct translate *t, uint64_t live, uint64_t most_bytes) {
  uint32_t regions = (uint32_t)regions_option;
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = regions};
  enum zcmem_status status = zcmem_hal_create(&config, NULL, 0, &t->hal);
  uint64_t size = (most_bytes / regions + 4096) / 4096 * 4096;
  t->bytes = (size_t)(size * regions);
  t->memory = bench_map(t->bytes);
  status = status == ZCMEM_OK && !t->memory ? ZCMEM_ENOMEM : status;
  for (uint32_t i = 0; i < regions && status == ZCMEM_OK; i++) {
    char name[32];
    snprintf(name, sizeof name, "region-%" PRIu32, i);
    /* A gap between them: neither side's ranges touch the next region's. */
    const struct zcmem_region_config region = {
        .name = name,
        .kind = ZCMEM_KIND_DRAM,
        .flags = ZCMEM_REGION_COHERENT | (unchecked_option ? ZCMEM_REGION_UNCHECKED : 0),
        .base = BENCH_REGION_BASE + i * 2 * size,
        .size = size,
        .max_blocks = (uint32_t)(live / regions + 1),
        .host = t->memory + i * size,
    };
    status = zcmem_hal_add_region(t->hal, &region, NULL);
  }
  if (status != ZCMEM_OK) {
    bench_error("translate: no regions: %s", zcmem_status_string(status));
  }
  return status == ZCMEM_OK;
}

static bool draw(struct translate *t, uint32_t live, const struct bench_range *sizes) {
  struct bench_random random = {bench_settings.seed};
  struct query *blocks = calloc(live, sizeof *blocks);
  t->start = calloc(calls_option, sizeof *t->start);
  t->interior = calloc(calls_option, sizeof *t->interior);
  bool good = blocks && t->start && t->interior;
  for (uint32_t i = 0; i < live && good; i++) {
    struct query *q = &blocks[i];
    q->size = bench_draw_size(&random, BENCH_LOG_UNIFORM, (uint32_t)sizes->min, (uint32_t)sizes->max);
    void *host = NULL;
    good = zcmem_mem_alloc(t->hal, i % (uint32_t)regions_option, q->size, 1, &q->addr) == ZCMEM_OK &&
           zcmem_mem_host(t->hal, q->addr, q->size, &host) == ZCMEM_OK;
    q->host = host;
  }
  for (uint64_t i = 0; i < calls_option && good; i++) {
    t->start[i] = t->interior[i] = blocks[bench_random_below(&random, live)];
    uint32_t offset = bench_random_below(&random, (uint32_t)t->interior[i].size);
    t->interior[i].addr += offset;
    t->interior[i].host += offset;
    t->interior[i].size = 1;
  }
  free(blocks);
  if (!good) {
    bench_error("translate: no memory for the blocks");
  }
  return good;
}

/* ------------------------------------------------------------------------------------------------------- rows --- */

static const struct {
  const char *what;
  const char *allocator;
  loop *run;
  bool interior;
} rows[] = {
    {"to_host;start;throughput", "zcmem", bench_play_to_host, false},
    {"to_host;start;latency", "zcmem", to_host_chained, false},
    {"to_host;interior;throughput", "zcmem", bench_play_to_host, true},
    {"to_host;interior;latency", "zcmem", to_host_chained, true},
    {"to_device;start;throughput", "zcmem", bench_play_to_device, false},
    {"to_device;start;latency", "zcmem", to_device_chained, false},
    {"to_device;interior;throughput", "zcmem", bench_play_to_device, true},
    {"to_device;interior;latency", "zcmem", to_device_chained, true},
    {"throughput", "driver", driver_free, true},
    {"latency", "driver", driver_chained, true},
};
enum { ROWS = sizeof rows / sizeof rows[0] };

static double play(struct translate *t, uint32_t row) {
  const struct query *query = rows[row].interior ? t->interior : t->start;
  uint64_t start = bench_now();
  rows[row].run(t, query);
  return (double)(bench_now() - start) / (double)calls_option;
}

static bool measure(struct translate *t, const char *suffix) {
  static double samples[ROWS][BENCH_MAX_ROUNDS];
  for (uint64_t round = 0; round <= bench_settings.rounds; round++) {
    for (uint32_t row = 0; row < ROWS; row++) {
      double ns = play(t, row);
      if (round > 0) { /* the first one is not timed */
        samples[row][round - 1] = ns;
      }
    }
  }
  if (t->wrong) {
    bench_error("translate: %" PRIu64 " wrong answers", t->wrong);
    return false;
  }
  bench_text("translate: %s, %" PRIu64 " rounds of %" PRIu64 " calls\n", suffix, bench_settings.rounds, calls_option);
  for (uint32_t row = 0; row < ROWS; row++) {
    char parameters[256];
    struct bench_spread s = bench_spread_of(samples[row], (uint32_t)bench_settings.rounds);
    snprintf(parameters, sizeof parameters, "%s;%s", rows[row].what, suffix);
    bench_settings_append(parameters, sizeof parameters);
    bench_row_spread("translate", parameters, rows[row].allocator, "ns", &s, 2, "ns");
    bench_text("  %-8s %-30s %8.2f ns  (%.2f to %.2f)\n", rows[row].allocator, rows[row].what, s.median, s.min, s.max);
  }
  return true;
}

static bool run(uint32_t live, const struct bench_range *sizes) {
  static volatile uint64_t zero;
  struct translate t = {.zero = zero};
  char suffix[128];
  snprintf(suffix, sizeof suffix, "live=%" PRIu32 ";sizes=%" PRIu64 "-%" PRIu64 ";regions=%" PRIu64, live, sizes->min,
           sizes->max, regions_option);
  strcat(suffix, unchecked_option ? ";unchecked" : "");
  bool good = open_hal(&t, live, (uint64_t)live * (sizes->max + BENCH_ALIGNMENT)) && draw(&t, live, sizes) &&
              measure(&t, suffix);
  if (t.hal) {
    zcmem_hal_destroy(t.hal);
  }
  bench_unmap(t.memory, t.bytes);
  free(t.start);
  free(t.interior);
  return good;
}

int bench_command_translate(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  const struct bench_range usual = {.min = 64, .max = 64 * 1024};
  const struct bench_range *sizes = bench_settings.sizes.count ? &bench_settings.sizes.range[0] : &usual;
  const struct bench_numbers *live = &bench_settings.live;
  for (uint32_t i = 0; i < (live->count ? live->count : 1); i++) {
    if (!run(live->count ? (uint32_t)live->value[i] : 32 * 1024, sizes)) {
      status = BENCH_FAILED;
    }
  }
  return status;
}
