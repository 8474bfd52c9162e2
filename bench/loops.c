/* SPDX-License-Identifier: MIT */
#include "loops.h"

#include "settings.h"

#include <stdlib.h>

bool bench_player_init(struct bench_player *player, const struct bench_peer *peer, void *self, uint32_t live) {
  *player = (struct bench_player){.peer = peer, .self = self};
  player->addrs = malloc(live * sizeof *player->addrs);
  for (uint32_t i = 0; player->addrs && i < live; i++) {
    player->addrs[i] = BENCH_EMPTY;
  }
  return player->addrs != NULL;
}

/* Are there live blocks between the rounds? */
static bool keeps_blocks(const struct bench_run *run) {
  return run->workload->kind == BENCH_RANDOM || run->workload->kind == BENCH_FIFO;
}

void bench_player_destroy(struct bench_player *player, const struct bench_run *run) {
  for (uint32_t i = 0; player->addrs && keeps_blocks(run) && i < run->workload->live; i++) {
    if (player->addrs[i] != BENCH_EMPTY) {
      player->peer->free(player->self, player->addrs[i]);
    }
  }
  free(player->addrs);
  player->addrs = NULL;
}

void bench_play_fill(const struct bench_run *run, struct bench_player *p) {
  for (uint32_t i = 0; keeps_blocks(run) && i < run->workload->live; i++) {
    if (!p->peer->alloc(p->self, run->fill[i].size, BENCH_ALIGNMENT, &p->addrs[i])) {
      p->addrs[i] = BENCH_EMPTY;
    }
  }
}

/*
 * An allocation that fails is tried again after each of the next pairs until there is room, so that the pressure stays;
 * it counts once. One at a time: a further one that fails meanwhile leaves its slot empty until that slot's next turn.
 */
static bool retry(struct bench_player *p, const struct bench_pair *pending) {
  uint64_t *addr = &p->addrs[pending->slot];
  if (*addr != BENCH_EMPTY || p->peer->alloc(p->self, pending->size, BENCH_ALIGNMENT, addr)) {
    return true;
  }
  *addr = BENCH_EMPTY; /* a peer may have written something */
  return false;
}

static uint64_t replace(const struct bench_run *run, struct bench_player *p) {
  const struct bench_peer *peer = p->peer;
  void *self = p->self;
  uint64_t *addrs = p->addrs;
  const struct bench_pair *pairs = run->pairs;
  uint32_t count = run->pair_count;
  const struct bench_pair *pending = NULL;
  uint64_t failures = 0;
  for (uint32_t i = 0; i < count; i++) {
    BENCH_PREFETCH(&addrs[pairs[i + BENCH_AHEAD < count ? i + BENCH_AHEAD : i].slot]);
    uint32_t slot = pairs[i].slot;
    if (addrs[slot] != BENCH_EMPTY) {
      peer->free(self, addrs[slot]);
    }
    bool good = peer->alloc(self, pairs[i].size, BENCH_ALIGNMENT, &addrs[slot]);
    if (!good) {
      addrs[slot] = BENCH_EMPTY;
      failures++;
    }
    if (pending) {
      if (retry(p, pending)) {
        pending = NULL;
      }
    } else if (!good) {
      pending = &pairs[i];
    }
  }
  return failures;
}

static uint64_t pair(const struct bench_run *run, struct bench_player *p) {
  const struct bench_peer *peer = p->peer;
  void *self = p->self;
  uint64_t failures = 0;
  for (uint32_t i = 0; i < run->pair_count; i++) {
    uint64_t addr;
    if (peer->alloc(self, run->pairs[i].size, BENCH_ALIGNMENT, &addr)) {
      peer->free(self, addr);
    } else {
      failures++;
    }
  }
  return failures;
}

static uint64_t ramp(const struct bench_run *run, struct bench_player *p) {
  const struct bench_peer *peer = p->peer;
  void *self = p->self;
  uint64_t *addrs = p->addrs;
  uint32_t live = run->workload->live;
  uint64_t failures = 0;
  for (uint32_t at = 0; at < run->pair_count; at += live) {
    const struct bench_pair *pairs = run->pairs + at;
    for (uint32_t i = 0; i < live; i++) {
      if (!peer->alloc(self, pairs[i].size, BENCH_ALIGNMENT, &addrs[i])) {
        addrs[i] = BENCH_EMPTY;
        failures++;
      }
    }
    for (uint32_t i = 0; i < live; i++) {
      BENCH_PREFETCH(&addrs[pairs[i + BENCH_AHEAD < live ? i + BENCH_AHEAD : i].slot]);
      if (addrs[pairs[i].slot] != BENCH_EMPTY) {
        peer->free(self, addrs[pairs[i].slot]);
      }
    }
  }
  return failures;
}

void bench_play(const struct bench_run *run, struct bench_player *p) {
  switch (run->workload->kind) {
  case BENCH_PAIR:
    p->failures += pair(run, p);
    break;
  case BENCH_RANDOM:
  case BENCH_FIFO:
    p->failures += replace(run, p);
    break;
  case BENCH_RAMP:
    p->failures += ramp(run, p);
    break;
  }
}
