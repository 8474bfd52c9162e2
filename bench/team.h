/* SPDX-License-Identifier: MIT */
/* Threads that stay for a whole contest and run a round together whenever they are told to. */
#ifndef ZCMEM_BENCH_TEAM_H
#define ZCMEM_BENCH_TEAM_H

#include "settings.h"

#include <pthread.h>
#include <stdatomic.h>

struct bench_team;

struct bench_member {
  struct bench_team *team;
  pthread_t thread;
  uint32_t index;
  uint64_t began, ended; /* of the round */
};

struct bench_team {
  uint32_t count;
  struct bench_member member[BENCH_MAX_THREADS];
  pthread_barrier_t gate; /* the members and who tells them */
  atomic_uint ready;
  void (*work)(void *ctx, uint32_t member); /* NULL: the end */
  void *ctx;
};

/*
 * False: a message was printed, nothing to close. The team must not move in memory. Where only some of the threads can
 * be started the program ends.
 */
bool bench_team_open(struct bench_team *team, uint32_t count);
void bench_team_close(struct bench_team *team);

/* All members run work(ctx, 0 ... count - 1) at once; nanoseconds from the first start to the last end. */
double bench_team_run(struct bench_team *team, void (*work)(void *ctx, uint32_t member), void *ctx);

/* For loops that wait for another member: call it with a counter that is 0 before the first turn. */
void bench_team_wait(uint32_t *turns);

#endif
