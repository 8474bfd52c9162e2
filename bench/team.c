/* SPDX-License-Identifier: MIT */
#include "team.h"

#include "report.h"

#include <sched.h>
#include <stdlib.h>

/* Turns that a thread waits for another one without giving its processor away: some microseconds. */
enum { SPINS = 2000 };

void bench_team_wait(uint32_t *turns) {
  if (++*turns >= SPINS) {
    *turns = 0;
    sched_yield();
    return;
  }
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
  __builtin_ia32_pause();
#endif
}

/* A barrier wakes its threads one after the other; those that are awake wait here for the rest. */
static void start_together(struct bench_team *team) {
  uint32_t turns = 0;
  atomic_fetch_add(&team->ready, 1);
  while (atomic_load(&team->ready) < team->count) {
    bench_team_wait(&turns);
  }
}

static void *live(void *memory) {
  struct bench_member *self = memory;
  struct bench_team *team = self->team;
  for (;;) {
    pthread_barrier_wait(&team->gate);
    if (!team->work) {
      return NULL;
    }
    start_together(team);
    self->began = bench_now();
    team->work(team->ctx, self->index);
    self->ended = bench_now();
    pthread_barrier_wait(&team->gate);
  }
}

bool bench_team_open(struct bench_team *team, uint32_t count) {
  team->count = count;
  team->work = NULL;
  if (pthread_barrier_init(&team->gate, NULL, count + 1) != 0) {
    bench_error("no barrier for %u threads", (unsigned)count);
    return false;
  }
  for (uint32_t i = 0; i < count; i++) {
    struct bench_member *member = &team->member[i];
    *member = (struct bench_member){.team = team, .index = i};
    if (pthread_create(&member->thread, NULL, live, member) != 0) {
      /* Those that were started wait at a barrier that will never open, in memory that has to stay. */
      bench_error("only %u of %u threads can be started", (unsigned)i, (unsigned)count);
      exit(BENCH_FAILED);
    }
  }
  return true;
}

void bench_team_close(struct bench_team *team) {
  team->work = NULL;
  pthread_barrier_wait(&team->gate);
  for (uint32_t i = 0; i < team->count; i++) {
    pthread_join(team->member[i].thread, NULL);
  }
  pthread_barrier_destroy(&team->gate);
}

double bench_team_run(struct bench_team *team, void (*work)(void *ctx, uint32_t member), void *ctx) {
  team->work = work;
  team->ctx = ctx;
  atomic_store(&team->ready, 0);
  pthread_barrier_wait(&team->gate);
  pthread_barrier_wait(&team->gate);
  uint64_t began = team->member[0].began;
  uint64_t ended = team->member[0].ended;
  for (uint32_t i = 1; i < team->count; i++) {
    began = team->member[i].began < began ? team->member[i].began : began;
    ended = team->member[i].ended > ended ? team->member[i].ended : ended;
  }
  return (double)(ended - began);
}
