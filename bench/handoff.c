/* SPDX-License-Identifier: MIT */
/*
 * `handoff`: one thread of a couple allocates, the other one frees. The addresses go through a queue of fixed length
 * with one writer and one reader. A thread without a partner does both, a queue's length at a time.
 */
#include "commands.h"
#include "contest.h"
#include "loops.h"
#include "report.h"
#include "settings.h"
#include "team.h"

#include <inttypes.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>

static const struct bench_option options[] = {
    BENCH_OPTION_THREADS, BENCH_OPTION_PEER,  BENCH_OPTION_ONLY,      BENCH_OPTION_ROUNDS,
    BENCH_OPTION_PAIRS,   BENCH_OPTION_SEED,  BENCH_OPTION_LIVE,      BENCH_OPTION_SIZES,
    BENCH_OPTION_REGION,  BENCH_OPTION_LAYER, BENCH_OPTION_MAGAZINES, BENCH_OPTION_CHECK,
};

static const struct bench_command command = {
    .name = "handoff",
    .operands = "",
    .help =
        "Couples of threads share one region: one thread allocates blocks of 64 B to 64 KiB, log-uniform, and hands\n"
        "them to the other one through a queue of 1024 (--live) addresses, which frees them. A thread without a\n"
        "partner does both. Million blocks handed over a second, all couples together. ratio: zcmem's median\n"
        "divided by the other's.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

enum { LINE = 64, PAIRS = 300000, QUEUE = 1024 };

/* Counters run freely; what each side last saw of the other's spares it the other's cache line. */
struct couple {
  alignas(LINE) atomic_uint written;
  uint32_t seen_read;
  uint64_t failures;
  struct bench_random random;
  alignas(LINE) atomic_uint read;
  uint32_t seen_written;
  alignas(LINE) uint64_t *queue; /* length entries */
  uint32_t *sizes;               /* of the round */
};

struct handoff {
  struct bench_contest contest;
  struct bench_team team;
  uint32_t threads;
  uint32_t couples; /* of which the last may be a single */
  uint32_t length;  /* of a queue, a power of two */
  uint32_t pairs;   /* of a couple and round */
  uint32_t min_size, max_size;
  struct couple *couple;
  uint32_t playing;
};

static uint64_t take_block(const struct handoff *h, struct couple *couple, uint32_t i) {
  const struct bench_contender *contender = &h->contest.contender[h->playing];
  uint64_t addr;
  if (contender->peer->alloc(contender->self, couple->sizes[i], BENCH_ALIGNMENT, &addr)) {
    return addr;
  }
  couple->failures++;
  return BENCH_EMPTY; /* goes through the queue, too, so that both sides count alike */
}

static void give_block(const struct handoff *h, uint64_t addr) {
  const struct bench_contender *contender = &h->contest.contender[h->playing];
  if (addr != BENCH_EMPTY) {
    contender->peer->free(contender->self, addr);
  }
}

static void write_all(const struct handoff *h, struct couple *couple) {
  uint32_t at = atomic_load_explicit(&couple->written, memory_order_relaxed);
  for (uint32_t i = 0; i < h->pairs; i++, at++) {
    uint64_t addr = take_block(h, couple, i);
    for (uint32_t turns = 0; at - couple->seen_read >= h->length;) {
      couple->seen_read = atomic_load_explicit(&couple->read, memory_order_acquire);
      if (at - couple->seen_read >= h->length) {
        bench_team_wait(&turns);
      }
    }
    couple->queue[at & (h->length - 1)] = addr;
    atomic_store_explicit(&couple->written, at + 1, memory_order_release);
  }
}

static void read_all(const struct handoff *h, struct couple *couple) {
  uint32_t at = atomic_load_explicit(&couple->read, memory_order_relaxed);
  for (uint32_t i = 0; i < h->pairs; i++, at++) {
    for (uint32_t turns = 0; at == couple->seen_written;) {
      couple->seen_written = atomic_load_explicit(&couple->written, memory_order_acquire);
      if (at == couple->seen_written) {
        bench_team_wait(&turns);
      }
    }
    uint64_t addr = couple->queue[at & (h->length - 1)];
    atomic_store_explicit(&couple->read, at + 1, memory_order_release);
    give_block(h, addr);
  }
}

static void do_both(const struct handoff *h, struct couple *couple) {
  for (uint32_t done = 0; done < h->pairs;) {
    uint32_t n = h->pairs - done < h->length ? h->pairs - done : h->length;
    for (uint32_t i = 0; i < n; i++) {
      couple->queue[i] = take_block(h, couple, done + i);
    }
    for (uint32_t i = 0; i < n; i++) {
      give_block(h, couple->queue[i]);
    }
    done += n;
  }
}

static void work(void *ctx, uint32_t member) {
  struct handoff *h = ctx;
  struct couple *couple = &h->couple[member / 2];
  if (member + 1 == h->threads && member % 2 == 0) {
    do_both(h, couple);
  } else if (member % 2 == 0) {
    write_all(h, couple);
  } else {
    read_all(h, couple);
  }
}

/* ------------------------------------------------------------------------------------------------------ rounds -- */

static void prepare(void *ctx) {
  struct handoff *h = ctx;
  for (uint32_t c = 0; c < h->couples; c++) {
    for (uint32_t i = 0; i < h->pairs; i++) {
      h->couple[c].sizes[i] = bench_draw_size(&h->couple[c].random, BENCH_LOG_UNIFORM, h->min_size, h->max_size);
    }
  }
}

static double play(void *ctx, uint32_t contender) {
  struct handoff *h = ctx;
  h->playing = contender;
  double nanoseconds = bench_team_run(&h->team, work, h);
  for (uint32_t c = 0; c < h->couples; c++) {
    h->contest.contender[contender].failures += h->couple[c].failures;
    h->couple[c].failures = 0;
  }
  return 1000.0 * (double)h->contest.operations / nanoseconds;
}

static bool open_couples(struct handoff *h) {
  size_t bytes = h->couples * sizeof *h->couple;
  h->couple = aligned_alloc(LINE, bytes);
  if (!h->couple) {
    return false;
  }
  bool good = true;
  for (uint32_t c = 0; c < h->couples; c++) {
    struct couple *couple = &h->couple[c];
    *couple = (struct couple){.random = {bench_settings.seed + ((uint64_t)c << 32)}};
    couple->queue = malloc(h->length * sizeof *couple->queue);
    couple->sizes = malloc(h->pairs * sizeof *couple->sizes);
    good = good && couple->queue && couple->sizes;
  }
  return good;
}

static void close_couples(struct handoff *h) {
  for (uint32_t c = 0; c < h->couples && h->couple; c++) {
    free(h->couple[c].queue);
    free(h->couple[c].sizes);
  }
  free(h->couple);
}

static bool run_contest(struct handoff *h, const struct bench_lineup *lineup) {
  static const struct bench_figure figure = {
      .metric = "mpairs_per_s", .unit = "M/s", .digits = 2, .more_is_better = true};
  if (!open_couples(h)) {
    bench_error("handoff: no memory for the queues");
    return false;
  }
  if (!bench_contest_open(&h->contest, lineup)) {
    return false;
  }
  bool good = bench_team_open(&h->team, h->threads);
  if (good) {
    bench_contest_run(&h->contest, h, prepare, play);
    bench_team_close(&h->team);
    good = bench_contest_report(&h->contest, &figure);
  }
  bench_contest_close(&h->contest);
  return good;
}

static uint32_t power_of_two_from(uint32_t n) {
  uint32_t power = 1;
  while (power < n) {
    power *= 2;
  }
  return power;
}

static bool run(uint32_t threads, const struct bench_lineup *lineup) {
  const struct bench_numbers *live = &bench_settings.live;
  const struct bench_range *range = bench_settings.sizes.count ? &bench_settings.sizes.range[0] : NULL;
  struct handoff *h = calloc(1, sizeof *h);
  if (!h) {
    bench_error("handoff: no memory");
    return false;
  }
  h->threads = threads;
  h->couples = (threads + 1) / 2;
  h->length = power_of_two_from(live->count ? (uint32_t)live->value[0] : QUEUE);
  h->pairs = bench_settings.pairs ? (uint32_t)bench_settings.pairs : PAIRS;
  h->min_size = range ? (uint32_t)range->min : 64;
  h->max_size = range ? (uint32_t)range->max : 64 * 1024;
  h->contest.command = "handoff";
  h->contest.operations = (uint64_t)h->couples * h->pairs;
  h->contest.max_live = h->couples * (h->length + 2); /* one in each hand */
  /* Enough for all queues full of the largest blocks: nobody runs out of room. */
  h->contest.region_bytes = (uint64_t)h->contest.max_live * (h->max_size + BENCH_ALIGNMENT);
  if (bench_settings.region) {
    h->contest.region_bytes = bench_settings.region;
  }
  snprintf(h->contest.parameters, sizeof h->contest.parameters,
           "threads=%" PRIu32 ";queue=%" PRIu32 ";sizes=%" PRIu32 "-%" PRIu32, threads, h->length, h->min_size,
           h->max_size);
  bench_settings_append(h->contest.parameters, sizeof h->contest.parameters);
  bool good = run_contest(h, lineup);
  close_couples(h);
  free(h);
  return good;
}

int bench_command_handoff(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  bench_settings_default_threads();
  struct bench_lineup lineup;
  status = bench_lineup_gather(&lineup, BENCH_THREADED, "handoff");
  if (status != BENCH_OK) {
    return status;
  }
  for (uint32_t i = 0; i < bench_settings.threads.count; i++) {
    if (!run((uint32_t)bench_settings.threads.value[i], &lineup)) {
      status = BENCH_FAILED;
    }
  }
  return status;
}
