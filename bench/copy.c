/* SPDX-License-Identifier: MIT */
/*
 * `copy`: write, read, copy and fill through the facade, and memcpy (memset) on the very same bytes right before or
 * after it. Every thread has blocks and a host buffer of its own.
 */
#include "commands.h"
#include "measure.h"
#include "memory.h"
#include "report.h"
#include "settings.h"
#include "team.h"

#include <zcmem/hal.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_option options[] = {
    BENCH_OPTION_ROUNDS,
    BENCH_OPTION_THREADS,
    BENCH_OPTION_SIZES,
};

static const struct bench_command command = {
    .name = "copy",
    .operands = "",
    .help =
        "Transfers of 64 B to 64 MiB (--sizes) through the facade, in a coherent region that the host is mapped to,\n"
        "by 1 and by 2 threads (--threads) at once, each with its own blocks. In each round the C library does the\n"
        "same on the same bytes, before and after: memcpy for write, read and copy, memset for fill (of 4-byte\n"
        "patterns). ratio: nanoseconds of a call over the C library's in the same round; overhead: their difference.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

static const struct bench_ranges usual_sizes = {
    .count = 11,
    .range = {{64, 64},
              {256, 256},
              {1 << 10, 1 << 10},
              {1 << 12, 1 << 12},
              {1 << 14, 1 << 14},
              {1 << 16, 1 << 16},
              {1 << 18, 1 << 18},
              {1 << 20, 1 << 20},
              {1 << 22, 1 << 22},
              {1 << 24, 1 << 24},
              {1 << 26, 1 << 26}},
};
#ifdef ZCMEM_NO_PTHREAD /* no lock: threads may not share a HAL */
enum { MOST_THREADS = 1 };
#else
enum { MOST_THREADS = BENCH_MAX_THREADS };
#endif
static const struct bench_numbers usual_threads = {.count = MOST_THREADS > 1 ? 2 : 1, .value = {1, 2}};

enum { WRITE, READ, COPY, FILL, KINDS };
static const char *const kind_names[KINDS] = {"write", "read", "copy", "fill"};

/* Of each thread; three ranges with the same place in their pages, so that all kinds meet the same borders. */
struct buffers {
  hal_addr_t from, to;
  char *host_from, *host_to; /* where the host sees those */
  char *host;                /* memory of the host's own */
};

struct copy {
  struct zcmem_hal *hal;
  struct bench_team team;
  struct buffers buffers[BENCH_MAX_THREADS];
  uint32_t threads;
  uint64_t size;
  uint32_t calls; /* that a sample consists of */
  uint32_t kind;
  char *memory; /* of the region */
  size_t bytes;
  atomic_uint failures;
  double ns[KINDS][BENCH_MAX_ROUNDS], base_ns[KINDS][BENCH_MAX_ROUNDS];
};

/* ------------------------------------------------------------------------------------------------- the copies -- */

/* Through pointers that the compiler knows nothing about, or it would leave out what is overwritten. */
static void *(*volatile call_memcpy)(void *to, const void *from, size_t size) = memcpy;
static void *(*volatile call_memset)(void *to, int byte, size_t size) = memset;

static void by_libc(void *ctx, uint32_t member) {
  struct copy *c = ctx;
  const struct buffers *b = &c->buffers[member];
  void *(*copy)(void *to, const void *from, size_t size) = call_memcpy;
  void *(*set)(void *to, int byte, size_t size) = call_memset;
  size_t size = (size_t)c->size;
  for (uint32_t i = 0; i < c->calls; i++) {
    switch (c->kind) {
    case WRITE:
      copy(b->host_to, b->host, size);
      break;
    case READ:
      copy(b->host, b->host_from, size);
      break;
    case COPY:
      copy(b->host_to, b->host_from, size);
      break;
    default:
      set(b->host_to, 0x5a, size);
    }
  }
}

static void by_zcmem(void *ctx, uint32_t member) {
  static const unsigned char pattern[4] = {0x5a, 0xa5, 0x5a, 0xa5};
  struct copy *c = ctx;
  const struct buffers *b = &c->buffers[member];
  enum zcmem_status worst = ZCMEM_OK;
  for (uint32_t i = 0; i < c->calls; i++) {
    enum zcmem_status status;
    switch (c->kind) {
    case WRITE:
      status = zcmem_mem_write(c->hal, b->to, b->host, c->size);
      break;
    case READ:
      status = zcmem_mem_read(c->hal, b->host, b->from, c->size);
      break;
    case COPY:
      status = zcmem_mem_copy(c->hal, b->to, b->from, c->size);
      break;
    default:
      status = zcmem_mem_fill(c->hal, b->to, pattern, sizeof pattern, c->size);
    }
    worst = status == ZCMEM_OK ? worst : status;
  }
  if (worst != ZCMEM_OK) {
    atomic_fetch_add(&c->failures, 1);
  }
}

/*
 * libc, zcmem, zcmem, libc: what one finds in the caches is what the other one left, and a machine that gets slower or
 * faster meanwhile does so for both. The first call, which is not timed, brings the kind's own bytes into the caches.
 */
static void measure(struct copy *c, double *base_ns, double *ns) {
  uint32_t calls = c->calls;
  c->calls = 1;
  bench_team_run(&c->team, by_libc, c);
  c->calls = calls;
  *base_ns = bench_team_run(&c->team, by_libc, c);
  *ns = bench_team_run(&c->team, by_zcmem, c);
  *ns += bench_team_run(&c->team, by_zcmem, c);
  *base_ns += bench_team_run(&c->team, by_libc, c);
  *ns /= 2.0 * calls;
  *base_ns /= 2.0 * calls;
}

static bool run_round(struct copy *c, uint64_t round) {
  for (c->kind = 0; c->kind < KINDS; c->kind++) {
    double base_ns, ns;
    measure(c, &base_ns, &ns);
    if (round > 0) { /* the first one touches the memory */
      c->base_ns[c->kind][round - 1] = base_ns;
      c->ns[c->kind][round - 1] = ns;
    }
  }
  if (atomic_load(&c->failures)) {
    bench_error("copy: a transfer of %" PRIu64 " bytes failed", c->size);
    return false;
  }
  return true;
}

/* ----------------------------------------------------------------------------------------------------- set-up -- */

#define PAGE 4096u

static bool open_blocks(struct copy *c) {
  uint64_t slot = (c->size + PAGE - 1) / PAGE * PAGE;
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = 1};
  struct zcmem_region_config region = {
      .name = "copies",
      .kind = ZCMEM_KIND_DRAM,
      .flags = ZCMEM_REGION_COHERENT,
      .base = BENCH_REGION_BASE,
      .max_blocks = 2 * c->threads,
  };
  region.size = 4 * slot * c->threads + PAGE; /* the heap's bins may want more than what is asked for */
  c->bytes = (size_t)(region.size + slot * c->threads);
  c->memory = bench_map(c->bytes);
  region.host = c->memory;
  enum zcmem_status status = c->memory ? zcmem_hal_create(&config, &region, 1, &c->hal) : ZCMEM_ENOMEM;
  for (uint32_t i = 0; i < c->threads && status == ZCMEM_OK; i++) {
    struct buffers *b = &c->buffers[i];
    status = zcmem_mem_alloc(c->hal, 0, c->size, PAGE, &b->from);
    if (status == ZCMEM_OK) {
      status = zcmem_mem_alloc(c->hal, 0, c->size, PAGE, &b->to);
    }
    if (status == ZCMEM_OK) {
      b->host_from = c->memory + (b->from - BENCH_REGION_BASE);
      b->host_to = c->memory + (b->to - BENCH_REGION_BASE);
      b->host = c->memory + region.size + slot * i;
      memset(b->host_from, 1, (size_t)c->size);
      memset(b->host, 2, (size_t)c->size);
    }
  }
  if (status != ZCMEM_OK) {
    bench_error("copy: no blocks of %" PRIu64 " bytes: %s", c->size, zcmem_status_string(status));
  }
  return status == ZCMEM_OK;
}

/* ---------------------------------------------------------------------------------------------------- reports -- */

static void report(struct copy *c) {
  uint32_t rounds = (uint32_t)bench_settings.rounds;
  for (uint32_t kind = 0; kind < KINDS; kind++) {
    static double ratios[BENCH_MAX_ROUNDS], overheads[BENCH_MAX_ROUNDS];
    const char *base = kind == FILL ? "memset" : "memcpy";
    char parameters[128];
    char metric[32];
    for (uint32_t i = 0; i < rounds; i++) {
      ratios[i] = c->ns[kind][i] / c->base_ns[kind][i];
      overheads[i] = c->ns[kind][i] - c->base_ns[kind][i];
    }
    struct bench_spread ns = bench_spread_of(c->ns[kind], rounds);
    struct bench_spread base_ns = bench_spread_of(c->base_ns[kind], rounds);
    struct bench_spread ratio = bench_spread_of(ratios, rounds);
    struct bench_spread overhead = bench_spread_of(overheads, rounds);
    snprintf(parameters, sizeof parameters, "%s;size=%" PRIu64 ";threads=%" PRIu32, kind_names[kind], c->size,
             c->threads);
    snprintf(metric, sizeof metric, "ratio_to_%s", base);
    bench_row_spread("copy", parameters, "zcmem", metric, &ratio, 3, "");
    bench_row_spread("copy", parameters, "zcmem", "overhead_ns", &overhead, 1, "ns");
    bench_row_spread("copy", parameters, "zcmem", "ns", &ns, 1, "ns");
    bench_row_spread("copy", parameters, base, "ns", &base_ns, 1, "ns");
    bench_text("  %-5s %9" PRIu64 " bytes, threads %" PRIu32 ": %11.1f ns  %s %11.1f ns  ratio %6.3f (%.3f to %.3f)  "
               "overhead %9.1f ns\n",
               kind_names[kind], c->size, c->threads, ns.median, base, base_ns.median, ratio.median, ratio.min,
               ratio.max, overhead.median);
  }
}

static bool run(uint64_t size, uint32_t threads) {
  const uint64_t sample_bytes = UINT64_C(16) << 20;
  const uint64_t most_calls = 20000;
  struct copy *c = calloc(1, sizeof *c);
  if (!c) {
    bench_error("copy: no memory");
    return false;
  }
  uint64_t calls = sample_bytes / size;
  c->size = size;
  c->threads = threads;
  c->calls = calls == 0 ? 1 : (uint32_t)(calls < most_calls ? calls : most_calls);
  bool good = open_blocks(c) && bench_team_open(&c->team, threads);
  if (good) {
    for (uint64_t round = 0; good && round <= bench_settings.rounds; round++) {
      good = run_round(c, round);
    }
    bench_team_close(&c->team);
  }
  if (good) {
    report(c);
  }
  zcmem_hal_destroy(c->hal);
  bench_unmap(c->memory, c->bytes);
  free(c);
  return good;
}

int bench_command_copy(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  const struct bench_ranges *sizes = bench_settings.sizes.count ? &bench_settings.sizes : &usual_sizes;
  const struct bench_numbers *threads = bench_settings.threads.count ? &bench_settings.threads : &usual_threads;
  bench_text("copy: %" PRIu64 " rounds\n", bench_settings.rounds);
  for (uint32_t i = 0; i < threads->count; i++) {
    if (threads->value[i] > MOST_THREADS) {
      bench_error("copy: zcmem was built without a lock: one thread only");
      return BENCH_USAGE;
    }
    for (uint32_t k = 0; k < sizes->count; k++) {
      if (!run(sizes->range[k].min, (uint32_t)threads->value[i])) {
        status = BENCH_FAILED;
      }
    }
  }
  return status;
}
