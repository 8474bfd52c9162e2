/* SPDX-License-Identifier: MIT */
/* The loops that run a round of a workload on an allocator. */
#ifndef ZCMEM_BENCH_LOOPS_H
#define ZCMEM_BENCH_LOOPS_H

#include "peer.h"
#include "workload.h"

/* An allocator as one thread uses it. */
struct bench_player {
  const struct bench_peer *peer;
  void *self;
  uint64_t *addrs; /* by slot, `live` of them; BENCH_EMPTY */
  uint64_t failures;
};

#define BENCH_EMPTY UINT64_MAX

/* False: no memory. Nothing is allocated from the peer yet. */
bool bench_player_init(struct bench_player *player, const struct bench_peer *peer, void *self, uint32_t live);
/* Frees what is live, too. */
void bench_player_destroy(struct bench_player *player, const struct bench_run *run);

/* Allocates what is live before the first round. */
void bench_play_fill(const struct bench_run *run, struct bench_player *player);

/* Runs the round's operations. bench/instructions counts the instructions of this function and what it calls. */
BENCH_COUNTED void bench_play(const struct bench_run *run, struct bench_player *player);

/* Fetches a line early, so that a miss which is not the allocator's stays out of the figures as far as possible. */
#if defined(__GNUC__)
#define BENCH_PREFETCH(p) __builtin_prefetch(p)
#else
#define BENCH_PREFETCH(p) ((void)(p))
#endif
/* How many operations ahead. */
enum { BENCH_AHEAD = 8 };

#endif
