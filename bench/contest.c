/* SPDX-License-Identifier: MIT */
#include "contest.h"

#include "commands.h"
#include "report.h"
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ------------------------------------------------------------------------------------------------- contenders -- */

static bool wrap(struct bench_contender *contender) {
  const struct bench_entry *entry = contender->entry;
  contender->peer = entry->peer;
  contender->self = contender->made;
  if (entry->locked) {
    contender->locked = (struct bench_locked){.inner = contender->peer, .self = contender->self};
    if (pthread_mutex_init(&contender->locked.mutex, NULL) != 0) {
      return false;
    }
    contender->peer = &bench_peer_locked;
    contender->self = &contender->locked;
  }
  if (bench_settings.check) {
    contender->checked = (struct bench_checked){
        .inner = contender->peer,
        .self = contender->self,
        .alignment = entry->peer->flags & BENCH_PEER_HOST ? 16 : BENCH_ALIGNMENT,
    };
    if (pthread_mutex_init(&contender->checked.mutex, NULL) != 0) {
      return false;
    }
    bench_overlap_init(&contender->checked.set);
    contender->peer = &bench_peer_checked;
    contender->self = &contender->checked;
  }
  return true;
}

static void remove_contender(struct bench_contender *contender) {
  if (contender->entry->locked) {
    pthread_mutex_destroy(&contender->locked.mutex);
  }
  if (bench_settings.check) {
    pthread_mutex_destroy(&contender->checked.mutex);
    bench_overlap_destroy(&contender->checked.set);
  }
  contender->entry->peer->destroy(contender->made);
}

static bool add_contender(struct bench_contest *c, const struct bench_entry *entry) {
  struct bench_contender *contender = &c->contender[c->count];
  *contender = (struct bench_contender){.entry = entry};
  contender->made = entry->peer->create(c->region_bytes, BENCH_REGION_BASE, c->max_live);
  if (!contender->made && entry->peer->flags & BENCH_PEER_HOST) {
    bench_error("%s: %s is left out: %" PRIu32 " blocks may touch more memory than is free", c->command, entry->name,
                c->max_live);
    return true;
  }
  if (!contender->made) {
    bench_error("%s: no region of %" PRIu64 " bytes for %" PRIu32 " blocks", entry->name, c->region_bytes, c->max_live);
    return false;
  }
  if (!wrap(contender)) {
    bench_error("%s: no mutex", entry->name);
    entry->peer->destroy(contender->made);
    return false;
  }
  c->count++;
  return true;
}

bool bench_contest_open(struct bench_contest *c, const struct bench_lineup *lineup) {
  c->count = 0;
  c->samples = calloc(lineup->count, (size_t)bench_settings.rounds * sizeof *c->samples);
  bool good = c->samples != NULL;
  if (!good) {
    bench_error("%s: no memory for the samples", c->command);
  }
  for (uint32_t i = 0; i < lineup->count && good; i++) {
    good = add_contender(c, &lineup->entry[i]);
  }
  if (!good) {
    bench_contest_close(c);
  }
  return good;
}

void bench_contest_close(struct bench_contest *c) {
  for (uint32_t i = 0; i < c->count; i++) {
    remove_contender(&c->contender[i]);
  }
  free(c->samples);
  c->count = 0;
  c->samples = NULL;
}

/* ----------------------------------------------------------------------------------------------------- rounds -- */

void bench_contest_run(struct bench_contest *c, void *ctx, void (*prepare)(void *ctx),
                       double (*play)(void *ctx, uint32_t contender)) {
  uint32_t rounds = (uint32_t)bench_settings.rounds;
  prepare(ctx);
  for (uint32_t i = 0; i < c->count; i++) { /* touches the memory, spreads what the fill left in order */
    play(ctx, i);
    c->contender[i].failures = 0;
  }
  for (uint32_t round = 0; round < rounds; round++) {
    prepare(ctx);
    for (uint32_t k = 0; k < c->count; k++) {
      uint32_t i = (k + round) % c->count; /* nobody is always the one who comes after the slowest */
      c->samples[i * rounds + round] = play(ctx, i);
    }
  }
  for (uint32_t i = 0; i < c->count; i++) {
    c->contender[i].spread = bench_spread_of(c->samples + i * rounds, rounds);
  }
}

/* ---------------------------------------------------------------------------------------------------- reports -- */

static bool is_driver(const struct bench_contender *contender) {
  return contender->entry->peer == &bench_peer_driver;
}

static const struct bench_contender *find_zcmem(const struct bench_contest *c) {
  for (uint32_t i = 0; i < c->count; i++) {
    if (bench_entry_is_zcmem(c->contender[i].entry)) {
      return &c->contender[i];
    }
  }
  return NULL;
}

/* The best that is not zcmem; NULL: there is none. */
static const struct bench_contender *find_best(const struct bench_contest *c, bool more_is_better) {
  const struct bench_contender *best = NULL;
  for (uint32_t i = 0; i < c->count; i++) {
    const struct bench_contender *contender = &c->contender[i];
    if (bench_entry_is_zcmem(contender->entry) || contender->entry->peer == &bench_peer_hal_beside ||
        is_driver(contender)) {
      continue;
    }
    if (!best || (contender->spread.median > best->spread.median) == more_is_better) {
      best = contender;
    }
  }
  return best;
}

static void report_ratio(const struct bench_contest *c, const char *to, double ratio) {
  char metric[BENCH_MAX_NAME + 16];
  snprintf(metric, sizeof metric, "ratio_to_%s", to);
  bench_row(c->command, c->parameters, "zcmem", metric, ratio, 3, "");
}

static void report_contender(const struct bench_contest *c, const struct bench_contender *contender,
                             const struct bench_contender *zcmem, const struct bench_figure *figure) {
  const struct bench_spread *s = &contender->spread;
  const char *name = contender->entry->name;
  double tried = (double)bench_settings.rounds * (double)c->operations;
  double failed = 100.0 * (double)contender->failures / tried;
  bench_row_spread(c->command, c->parameters, name, figure->metric, s, figure->digits, figure->unit);
  bench_row(c->command, c->parameters, name, "failed", failed, 3, "%");
  bench_text("  %-22s %9.*f  %9.*f  %9.*f  %7.3f", name, figure->digits, s->median, figure->digits, s->min,
             figure->digits, s->max, failed);
  if (zcmem && zcmem != contender && !is_driver(contender)) {
    double ratio = zcmem->spread.median / s->median;
    report_ratio(c, name, ratio);
    bench_text("  %7.3f", ratio);
  }
  bench_text("\n");
}

static void report_figures(const struct bench_contest *c, const struct bench_figure *figure) {
  const struct bench_contender *zcmem = find_zcmem(c);
  const struct bench_contender *best = find_best(c, figure->more_is_better);
  bench_text("%s %s: region of %" PRIu64 " MiB, %" PRIu64 " rounds of %" PRIu64 " pairs\n", c->command, c->parameters,
             c->region_bytes >> 20, bench_settings.rounds, c->operations);
  bench_text("  %-22s %9s  %9s  %9s  %7s  %7s\n", figure->unit, "median", "min", "max", "failed%", "ratio");
  for (uint32_t i = 0; i < c->count; i++) {
    report_contender(c, &c->contender[i], zcmem, figure);
  }
  if (zcmem && best) {
    double ratio = zcmem->spread.median / best->spread.median;
    report_ratio(c, "best", ratio);
    bench_text("  zcmem / best of the others (%s): %.3f\n", best->entry->name, ratio);
  }
}

/* Allocators with headers in the memory itself may need an alignment's worth a block more; a host's malloc has none. */
static const char *leaves_region(const struct bench_contest *c, const struct bench_contender *contender) {
  const struct bench_overlap *set = &contender->checked.set;
  bool spans = set->highest - set->lowest + 1 > c->region_bytes + (uint64_t)c->max_live * 256;
  return !(contender->entry->peer->flags & BENCH_PEER_HOST) && spans ? "the blocks span more than the region" : NULL;
}

static bool report_checks(const struct bench_contest *c) {
  bool good = true;
  uint64_t pairs = (bench_settings.rounds + 1) * c->operations;
  for (uint32_t i = 0; i < c->count; i++) {
    const struct bench_contender *contender = &c->contender[i];
    const char *name = contender->entry->name;
    const char *what = contender->checked.what ? contender->checked.what : leaves_region(c, contender);
    if (what) {
      bench_error("%s %s: %s: %s", c->command, c->parameters, name, what);
    }
    bench_text("%s %s: %s: %" PRIu64 " pairs checked, %s\n", c->command, c->parameters, name, pairs,
               what ? what : "good");
    bench_row_count(c->command, c->parameters, name, "checked", what ? 0 : pairs, "pairs");
    good = good && !what;
  }
  return good;
}

bool bench_contest_report(struct bench_contest *c, const struct bench_figure *figure) {
  if (bench_settings.check) {
    return report_checks(c);
  }
  report_figures(c, figure);
  return true;
}
