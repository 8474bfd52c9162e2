/* SPDX-License-Identifier: MIT */
/* The options that several commands share: one place for their names, limits and defaults. */
#ifndef ZCMEM_BENCH_SETTINGS_H
#define ZCMEM_BENCH_SETTINGS_H

#include "args.h"
#include "measure.h"

/* What blocks are aligned to, and so rounded to, in the workloads. */
#define BENCH_ALIGNMENT 128u

#define BENCH_MAX_THREADS 256u
#define BENCH_MAX_LIVE (1u << 24)
#define BENCH_MAX_SIZE (1u << 30)

enum bench_magazines { BENCH_MAGAZINES_ON, BENCH_MAGAZINES_OFF, BENCH_MAGAZINES_BOTH, BENCH_MAGAZINES_CONTEXT };

enum bench_layer { BENCH_LAYER_HAL, BENCH_LAYER_HEAP };

struct bench_settings {
  struct bench_texts peers;
  const char *only;             /* NULL: all */
  uint64_t rounds;              /* timed ones */
  uint64_t pairs;               /* 0: the workload's own */
  uint64_t seed;                /* of the random numbers */
  uint64_t region;              /* bytes; 0: the workload's own */
  struct bench_numbers live;    /* none: the workload's own */
  struct bench_numbers threads; /* none: 1 and its doubles up to the processors there are */
  struct bench_ranges sizes;    /* none: the workload's own */
  uint32_t layer;               /* enum bench_layer */
  uint32_t magazines;           /* enum bench_magazines, of the facade */
  bool driver;
  bool check;
};

extern struct bench_settings bench_settings;

/* Entries for a command's table of options. */
#define BENCH_OPTION_PEER                                                                                              \
  { "--peer", "FILE.so", BENCH_TEXTS, &bench_settings.peers, 0, 0, "measure its allocators, too (peer.h); repeatable" }
#define BENCH_OPTION_ONLY                                                                                              \
  { "--only", "NAME,...", BENCH_TEXT, &bench_settings.only, 0, 0, "only these allocators" }
#define BENCH_OPTION_ROUNDS                                                                                            \
  { "--rounds", "N", BENCH_NUMBER, &bench_settings.rounds, 1, BENCH_MAX_ROUNDS, "timed rounds (7)" }
#define BENCH_OPTION_PAIRS                                                                                             \
  { "--pairs", "N", BENCH_NUMBER, &bench_settings.pairs, 1, 1u << 30, "pairs in a round (each workload has a number)" }
#define BENCH_OPTION_SEED                                                                                              \
  { "--seed", "N", BENCH_NUMBER, &bench_settings.seed, 0, UINT64_MAX, "of the random numbers (1)" }
#define BENCH_OPTION_REGION                                                                                            \
  { "--region", "BYTES", BENCH_NUMBER, &bench_settings.region, 1, UINT64_C(1) << 48, "of the region" }
#define BENCH_OPTION_LIVE                                                                                              \
  { "--live", "N,...", BENCH_NUMBERS, &bench_settings.live, 1, BENCH_MAX_LIVE, "live blocks" }
#define BENCH_OPTION_SIZES                                                                                             \
  { "--sizes", "N-M,...", BENCH_RANGES, &bench_settings.sizes, 1, BENCH_MAX_SIZE, "bytes of a block: N, or N to M" }
#define BENCH_OPTION_THREADS                                                                                           \
  {                                                                                                                    \
    "--threads", "N,...", BENCH_NUMBERS, &bench_settings.threads, 1, BENCH_MAX_THREADS,                                \
        "that many (1, 2, 4 ... the processors)"                                                                       \
  }
#define BENCH_OPTION_LAYER                                                                                             \
  { "--layer", "hal|heap", BENCH_CHOICE, &bench_settings.layer, 0, 0, "zcmem's facade (hal) or its bare heap" }
#define BENCH_OPTION_MAGAZINES                                                                                         \
  {                                                                                                                    \
    "--magazines", "on|off|both|context", BENCH_CHOICE, &bench_settings.magazines, 0, 0,                               \
        "zcmem's; both: beside each other; context: one context, no lock"                                              \
  }
#define BENCH_OPTION_DRIVER                                                                                            \
  { "--driver", NULL, BENCH_FLAG, &bench_settings.driver, 0, 0, "measure the driver's empty loop, too" }
#define BENCH_OPTION_CHECK                                                                                             \
  { "--check", NULL, BENCH_FLAG, &bench_settings.check, 0, 0, "check all answers (alignment, overlap), not the time" }

/* Appends ";seed=7;layer=heap" and the like to the parameters of a row: the shared options that are not the default. */
void bench_settings_append(char *parameters, size_t size);
/* The same without the region's size. */
void bench_settings_append_variant(char *parameters, size_t size);

/* Where --threads is not given: 1, 2, 4 ... and the number of processors. */
void bench_settings_default_threads(void);

#endif
