/* SPDX-License-Identifier: MIT */
/* `zcmem-bench heap`: all allocators run a round of a workload in turn, round after round. */
#include "args.h"
#include "commands.h"
#include "peers.h"
#include "report.h"
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bench_texts peer_option;
static const char *only_option;
static uint64_t rounds_option = 7;
static uint64_t pairs_option;
static uint64_t seed_option = 1;
static bool check_option;
static bool driver_option;

static const struct bench_option options[] = {
    {"--peer", "FILE.so", BENCH_TEXTS, &peer_option, 0, 0, "measure its allocators, too (bench/peer.h); repeatable"},
    {"--only", "NAME,...", BENCH_TEXT, &only_option, 0, 0, "only these allocators"},
    {"--rounds", "N", BENCH_NUMBER, &rounds_option, 1, BENCH_MAX_ROUNDS, "timed rounds (7)"},
    {"--pairs", "N", BENCH_NUMBER, &pairs_option, 1, 1u << 30, "pairs in a round (each workload has its own number)"},
    {"--seed", "N", BENCH_NUMBER, &seed_option, 0, UINT64_MAX, "of the random numbers (1)"},
    {"--driver", NULL, BENCH_FLAG, &driver_option, 0, 0, "measure the empty driver loop, too (nothing is subtracted)"},
    {"--check", NULL, BENCH_FLAG, &check_option, 0, 0, "check all answers (alignment, overlap) instead of timing"},
};

static const struct bench_command command = {
    .name = "heap",
    .operands = "[WORKLOAD]...",
    .help =
        "Nanoseconds per pair of an allocation and a free, one thread, 128-byte aligned blocks freed by address.\n"
        "Every allocator has a region of the same size; its own round is not timed the first time. Medians over\n"
        "the rounds, with the least and the most; ratio: zcmem's median divided by the allocator's.\n\n"
        "workloads (all of them where none is named):\n"
        "  pair-128 pair-4k pair-64k   one block of that size is allocated and freed\n"
        "  steady-1k -32k -1m          a random one of that many blocks is replaced; 64 B to 64 KiB, log-uniform\n"
        "  mixed-1m                    the same with 8k blocks of 64 B to 1 MiB\n"
        "  large                       2k blocks of 128 KiB to 4 MiB\n"
        "  small                       32k blocks of 64 B to 1 KiB\n"
        "  uniform                     32k blocks of 64 B to 64 KiB, uniform\n"
        "  fifo                        32k blocks of 64 B to 64 KiB, the oldest is replaced\n"
        "  ramp                        16k blocks are allocated, then freed in random order; five ranges of sizes\n"
        "                              take turns\n"
        "  load90                      steady-32k in a region that is full to 90 %; failures are counted, the slot\n"
        "                              stays empty until its next turn\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 0,
    .max_operands = -1,
};

/* ------------------------------------------------------------------------------------------- which allocators -- */

static bool in_list(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *at = list; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
    if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == 0)) {
      return true;
    }
  }
  return false;
}

/* Drops what --only does not name. False: it names one that is not there. */
static bool apply_only(struct bench_peers *peers) {
  uint32_t kept = 0;
  uint32_t named = 1;
  for (const char *at = only_option; (at = strchr(at, ',')) != NULL; at++) {
    named++;
  }
  for (uint32_t i = 0; i < peers->count; i++) {
    if (in_list(only_option, peers->peer[i]->name)) {
      peers->peer[kept++] = peers->peer[i];
    }
  }
  peers->count = kept;
  return kept == named;
}

/* ------------------------------------------------------------------------------------------------ one workload -- */

struct contest {
  struct bench_run run;
  struct bench_contender contenders[BENCH_MAX_PEERS];
  struct bench_checked checked[BENCH_MAX_PEERS];
  struct bench_spread spread[BENCH_MAX_PEERS];
  double *samples; /* by contender, rounds_option each */
  uint32_t count;
};

static void close_contest(struct contest *c, const struct bench_peers *peers) {
  for (uint32_t i = 0; i < c->count; i++) {
    struct bench_contender *contender = &c->contenders[i];
    void *self = contender->self;
    if (contender->peer == &bench_peer_checked) {
      self = c->checked[i].self;
      bench_overlap_destroy(&c->checked[i].set);
    }
    peers->peer[i]->destroy(self);
    free(contender->addrs);
  }
  free(c->samples);
  bench_run_destroy(&c->run);
}

static bool add_contender(struct contest *c, const struct bench_peer *peer) {
  uint32_t live = c->run.workload->live;
  uint64_t *addrs = malloc(live * sizeof *addrs);
  void *self = addrs ? peer->create(c->run.region_bytes, live) : NULL;
  if (!self) {
    bench_error("%s: no region of %" PRIu64 " bytes", peer->name, c->run.region_bytes);
    free(addrs);
    return false;
  }
  struct bench_contender *contender = &c->contenders[c->count];
  *contender = (struct bench_contender){.peer = peer, .self = self, .addrs = addrs};
  if (check_option) {
    c->checked[c->count] = (struct bench_checked){.inner = peer, .self = self};
    bench_overlap_init(&c->checked[c->count].set);
    contender->peer = &bench_peer_checked;
    contender->self = &c->checked[c->count];
  }
  c->count++;
  bench_run_fill(&c->run, contender);
  return true;
}

static bool open_contest(struct contest *c, const struct bench_workload *workload, const struct bench_peers *peers) {
  memset(c, 0, sizeof *c);
  if (!bench_run_init(&c->run, workload, seed_option, (uint32_t)pairs_option)) {
    bench_error("%s: no memory for its operations", workload->name);
    return false;
  }
  c->samples = calloc(peers->count, (size_t)rounds_option * sizeof *c->samples);
  bool good = c->samples != NULL;
  for (uint32_t i = 0; i < peers->count && good; i++) {
    good = add_contender(c, peers->peer[i]);
  }
  if (!good) {
    close_contest(c, peers);
  }
  return good;
}

static void run_rounds(struct contest *c) {
  bench_run_draw(&c->run);
  for (uint32_t i = 0; i < c->count; i++) { /* untimed: touches the memory, spreads what the fill left in order */
    bench_run_round(&c->run, &c->contenders[i]);
    c->contenders[i].failures = 0;
  }
  for (uint32_t round = 0; round < rounds_option; round++) {
    bench_run_draw(&c->run);
    for (uint32_t k = 0; k < c->count; k++) {
      uint32_t i = (k + round) % c->count; /* nobody is always the one who comes after the slowest */
      c->samples[i * rounds_option + round] = bench_run_round(&c->run, &c->contenders[i]);
    }
  }
}

/* ---------------------------------------------------------------------------------------------------- reports -- */

static uint32_t find_zcmem(const struct bench_peers *peers) {
  uint32_t i = 0;
  while (i < peers->count && peers->peer[i] != &bench_peer_zcmem) {
    i++;
  }
  return i;
}

/* The fastest of the others; count: there is none. */
static uint32_t find_best(const struct contest *c, const struct bench_peers *peers) {
  uint32_t best = c->count;
  for (uint32_t i = 0; i < c->count; i++) {
    if (peers->peer[i] != &bench_peer_zcmem && peers->peer[i] != &bench_peer_driver &&
        (best == c->count || c->spread[i].median < c->spread[best].median)) {
      best = i;
    }
  }
  return best;
}

static void report_contender(const struct contest *c, const struct bench_peers *peers, uint32_t i, uint32_t zcmem) {
  const struct bench_spread *s = &c->spread[i];
  const char *workload = c->run.workload->name;
  const char *name = peers->peer[i]->name;
  double failed = 100.0 * (double)c->contenders[i].failures / ((double)rounds_option * c->run.pair_count);
  bench_row("heap", workload, name, "time", s->median, 2, "ns/pair");
  bench_row("heap", workload, name, "time_min", s->min, 2, "ns/pair");
  bench_row("heap", workload, name, "time_max", s->max, 2, "ns/pair");
  bench_row("heap", workload, name, "failed", failed, 3, "%");
  bench_text("  %-18s %9.1f  %9.1f  %9.1f  %7.3f", name, s->median, s->min, s->max, failed);
  if (zcmem < c->count && i != zcmem && peers->peer[i] != &bench_peer_driver) {
    double ratio = c->spread[zcmem].median / s->median;
    char metric[96];
    snprintf(metric, sizeof metric, "ratio_to_%s", name);
    bench_row("heap", workload, "zcmem", metric, ratio, 3, "");
    bench_text("  %7.3f", ratio);
  }
  bench_text("\n");
}

static void report(struct contest *c, const struct bench_peers *peers) {
  const struct bench_workload *w = c->run.workload;
  uint32_t zcmem = find_zcmem(peers);
  for (uint32_t i = 0; i < c->count; i++) {
    c->spread[i] = bench_spread_of(c->samples + i * rounds_option, (uint32_t)rounds_option);
  }
  uint32_t best = find_best(c, peers);
  bench_text("%s: %" PRIu32 " blocks, region of %" PRIu64 " MiB, %" PRIu64 " rounds of %" PRIu32 " pairs\n", w->name,
             w->live, c->run.region_bytes >> 20, rounds_option, c->run.pair_count);
  bench_text("  %-18s %9s  %9s  %9s  %7s  %7s\n", "", "ns/pair", "min", "max", "failed%", "ratio");
  for (uint32_t i = 0; i < c->count; i++) {
    report_contender(c, peers, i, zcmem);
  }
  if (zcmem < c->count && best < c->count) {
    double ratio = c->spread[zcmem].median / c->spread[best].median;
    bench_row("heap", w->name, "zcmem", "ratio_to_best", ratio, 3, "");
    bench_text("  zcmem / best (%s): %.3f\n", peers->peer[best]->name, ratio);
  }
}

static bool report_check(const struct contest *c, const struct bench_peers *peers) {
  bool good = true;
  uint64_t pairs = (rounds_option + 1) * c->run.pair_count;
  for (uint32_t i = 0; i < c->count; i++) {
    const char *name = peers->peer[i]->name;
    const char *what = c->checked[i].what;
    uint64_t span = c->checked[i].set.highest - c->checked[i].set.lowest + 1;
    /* Allocators with headers in the memory itself may need an alignment's worth a block more. */
    if (!what && span > c->run.region_bytes + (uint64_t)c->run.workload->live * 256) {
      what = "the blocks span more than the region";
    }
    if (what) {
      bench_error("%s: %s: %s", c->run.workload->name, name, what);
    }
    bench_text("%s: %s: %" PRIu64 " pairs checked, %s\n", c->run.workload->name, name, pairs, what ? what : "good");
    bench_row_count("heap", c->run.workload->name, name, "checked", what ? 0 : pairs, "pairs");
    good = good && !what;
  }
  return good;
}

static bool run_workload(const struct bench_workload *workload, const struct bench_peers *peers) {
  struct contest contest;
  if (!open_contest(&contest, workload, peers)) {
    return false;
  }
  run_rounds(&contest);
  bool good = true;
  if (check_option) {
    good = report_check(&contest, peers);
  } else {
    report(&contest, peers);
  }
  close_contest(&contest, peers);
  return good;
}

/* ---------------------------------------------------------------------------------------------------- command -- */

static const struct bench_workload *find_workload(const char *name) {
  for (uint32_t i = 0; i < bench_workload_count; i++) {
    if (strcmp(bench_workloads[i].name, name) == 0) {
      return &bench_workloads[i];
    }
  }
  return NULL;
}

/* What is wrong with the arguments is said before anything runs. */
static int gather(struct bench_peers *peers, int names, char **argv) {
  for (int i = 0; i < names; i++) {
    if (!find_workload(argv[i])) {
      bench_error("heap: no workload '%s' (try --help)", argv[i]);
      return BENCH_USAGE;
    }
  }
  peers->peer[peers->count++] = &bench_peer_zcmem;
  for (uint32_t i = 0; i < peer_option.count; i++) {
    if (!bench_peers_load(peers, peer_option.text[i])) {
      return BENCH_FAILED;
    }
  }
  if (only_option && !apply_only(peers)) {
    bench_error("heap: --only %s names an allocator that is not there", only_option);
    return BENCH_USAGE;
  }
  if (driver_option && !check_option && peers->count < BENCH_MAX_PEERS) {
    peers->peer[peers->count++] = &bench_peer_driver;
  }
  return BENCH_OK;
}

int bench_command_heap(int argc, char **argv) {
  int names;
  int status;
  if (!bench_args_parse(&command, argc, argv, &names, &status)) {
    return status;
  }
  struct bench_peers peers = {.count = 0};
  status = gather(&peers, names, argv);
  if (status != BENCH_OK) {
    return status;
  }
  for (uint32_t i = 0; i < (names ? (uint32_t)names : bench_workload_count); i++) {
    const struct bench_workload *workload = names ? find_workload(argv[i]) : &bench_workloads[i];
    if (!run_workload(workload, &peers)) {
      status = BENCH_FAILED;
    }
  }
  return status;
}
