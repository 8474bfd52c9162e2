/* SPDX-License-Identifier: MIT */
/*
 * `shm`: every process replaces random blocks of its own; all share one region of an area. Beside it the same with
 * threads of one process, and with a bare heap in shared memory that has nothing but a mutex.
 */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#endif

#include "commands.h"
#include "contest.h"
#include "loops.h"
#include "report.h"
#include "settings.h"
#include "team.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__linux__) && !defined(ZCMEM_NO_PTHREAD)
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcmem/heap.h>
#include <zcmem/shm.h>

static const struct bench_option options[] = {
    BENCH_OPTION_THREADS, BENCH_OPTION_ROUNDS, BENCH_OPTION_PAIRS,  BENCH_OPTION_SEED,
    BENCH_OPTION_LIVE,    BENCH_OPTION_SIZES,  BENCH_OPTION_REGION,
};

static const struct bench_command command = {
    .name = "shm",
    .operands = "",
    .help = "As `threads`, with processes that share a region of an area (--threads of them, 2), without magazines\n"
            "(zcmem) and with (zcmem+magazines). Beside it threads of one process that share a region, without "
            "magazines (threads) and with (threads+magazines); and\n"
            "processes that share a bare heap behind a plain mutex (heap+mutex), which knows no owner and survives no\n"
            "death. Million pairs of an allocation and a free a second, all together.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

static const struct bench_workload defaults = {
    .name = "shm",
    .command = "shm",
    .kind = BENCH_RANDOM,
    .sizes = BENCH_LOG_UNIFORM,
    .live = 32 * 1024,
    .min_size = 64,
    .max_size = 64 * 1024,
    .pairs = 300000,
    .load = 1.0 / 3.0,
};

/* ------------------------------------------------------------------------------------------------- contenders -- */

static void *make_area(uint64_t bytes, uint64_t base, uint32_t max_live, uint32_t hal_flags) {
  static const struct zcmem_region_ops elsewhere = {0}; /* nobody touches the memory, so the area has none */
  const struct zcmem_region_config region = {.name = "bench",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .base = base,
                                             .size = bytes,
                                             .quantum = BENCH_ALIGNMENT,
                                             .max_blocks = 2 * max_live,
                                             .ops = &elsewhere};
  const struct zcmem_shm_config config = {
      .max_processes = ZCMEM_SHM_MAX_PROCESSES, .regions = &region, .region_count = 1, .hal_flags = hal_flags};
  struct zcmem_shm *shm = NULL;
  return zcmem_shm_create(&config, &shm) == ZCMEM_OK ? shm : NULL;
}

static void *area_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  return make_area(bytes, base, max_live, ZCMEM_HAL_MAGAZINES);
}

static void *area_create_off(uint64_t bytes, uint64_t base, uint32_t max_live) {
  return make_area(bytes, base, max_live, 0);
}

static void area_destroy(void *self) {
  (void)zcmem_shm_close(self);
}

static bool area_alloc(void *self, uint64_t size, uint64_t align, uint64_t *addr) {
  return zcmem_mem_alloc(zcmem_shm_hal(self), 0, size, align, addr) == ZCMEM_OK;
}

/* Figures of an allocator that refuses a correct free would mean nothing. */
static void area_free(void *self, uint64_t addr) {
  if (zcmem_mem_free(zcmem_shm_hal(self), addr) != ZCMEM_OK) {
    bench_error("shm: a correct free was refused");
    abort();
  }
}

struct plain {
  pthread_mutex_t mutex;
  size_t bytes;
  struct zcmem_heap *heap; /* processes are made by fork, so it is the same in all */
};

static void *plain_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  const struct zcmem_heap_config config = {base, bytes, BENCH_ALIGNMENT, 2 * max_live, ZCMEM_HEAP_ZEROED};
  const size_t image = zcmem_heap_bytes(&config), header = 4096;
  pthread_mutexattr_t how;
  void *memory = mmap(NULL, header + image, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (image == 0 || memory == MAP_FAILED || pthread_mutexattr_init(&how) != 0) {
    return NULL;
  }
  struct plain *self = memory;
  self->bytes = header + image;
  bool made = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED) == 0 &&
              pthread_mutex_init(&self->mutex, &how) == 0 &&
              zcmem_heap_init((char *)memory + header, image, &config, &self->heap) == ZCMEM_OK;
  pthread_mutexattr_destroy(&how);
  return made ? self : NULL;
}

static void plain_destroy(void *memory) {
  struct plain *self = memory;
  (void)munmap(self, self->bytes);
}

static bool plain_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  struct plain *self = memory;
  pthread_mutex_lock(&self->mutex);
  bool good = zcmem_heap_alloc(self->heap, size, align, addr) == ZCMEM_OK;
  pthread_mutex_unlock(&self->mutex);
  return good;
}

static void plain_free(void *memory, uint64_t addr) {
  struct plain *self = memory;
  pthread_mutex_lock(&self->mutex);
  enum zcmem_status status = zcmem_heap_free(self->heap, addr);
  pthread_mutex_unlock(&self->mutex);
  if (status != ZCMEM_OK) {
    abort();
  }
}

static const struct bench_peer area_peer = {
    "zcmem+magazines", BENCH_PEER_THREAD_SAFE, area_create, area_destroy, area_alloc, area_free};
static const struct bench_peer area_off_peer = {
    "zcmem", BENCH_PEER_THREAD_SAFE, area_create_off, area_destroy, area_alloc, area_free};
static const struct bench_peer plain_peer = {
    "heap+mutex", BENCH_PEER_THREAD_SAFE, plain_create, plain_destroy, plain_alloc, plain_free};

static const struct bench_lineup lineup = {.entry = {{"zcmem", &area_off_peer, false},
                                                     {"zcmem+magazines", &area_peer, false},
                                                     {"threads", &bench_peer_hal_off, false},
                                                     {"threads+magazines", &bench_peer_hal, false},
                                                     {"heap+mutex", &plain_peer, false}},
                                           .count = 5};

static bool uses_area(const struct bench_contender *contender) {
  return contender->peer == &area_peer || contender->peer == &area_off_peer;
}

static bool uses_processes(const struct bench_contender *contender) {
  return uses_area(contender) || contender->peer == &plain_peer;
}

/* ------------------------------------------------------------------------------------------------------ rounds -- */

/* What the workers of a round tell, in memory that they share. */
struct told {
  atomic_uint ready, done;
  uint64_t began[BENCH_MAX_THREADS], ended[BENCH_MAX_THREADS], failures[BENCH_MAX_THREADS];
};

struct shm_bench {
  struct bench_contest contest;
  struct bench_workload workload; /* of one worker */
  uint32_t count, runs;
  struct bench_run run[BENCH_MAX_THREADS];
  struct told *told;
  uint32_t playing;
};

struct worker {
  struct shm_bench *bench;
  uint32_t index;
  pthread_t thread;
};

static void meet(atomic_uint *counter, uint32_t count) {
  uint32_t turns = 0;
  atomic_fetch_add(counter, 1);
  while (atomic_load(counter) < count) {
    bench_team_wait(&turns);
  }
}

/* Fills its part, replaces blocks when all are there, and frees what it has when all have done. */
static void *work(void *memory) {
  struct worker *self = memory;
  struct shm_bench *b = self->bench;
  const struct bench_contender *contender = &b->contest.contender[b->playing];
  struct bench_player player;
  if (!bench_player_init(&player, contender->peer, contender->self, b->workload.live)) {
    bench_error("shm: no memory for the addresses");
    abort();
  }
  bench_play_fill(&b->run[self->index], &player);
  meet(&b->told->ready, b->count);
  b->told->began[self->index] = bench_now();
  bench_play(&b->run[self->index], &player);
  b->told->ended[self->index] = bench_now();
  b->told->failures[self->index] = player.failures;
  meet(&b->told->done, b->count);
  bench_player_destroy(&player, &b->run[self->index]);
  return NULL;
}

static void run_processes(struct shm_bench *b, struct worker *workers) {
  pid_t pids[BENCH_MAX_THREADS];
  for (uint32_t i = 0; i < b->count; i++) {
    fflush(stdout);
    pids[i] = fork();
    if (pids[i] == 0) {
      work(&workers[i]);
      _exit(0);
    }
    if (pids[i] < 0) {
      bench_error("shm: only %" PRIu32 " of %" PRIu32 " processes can be started", i, b->count);
      exit(BENCH_FAILED);
    }
  }
  for (uint32_t i = 0; i < b->count; i++) {
    int status = -1;
    if (waitpid(pids[i], &status, 0) != pids[i] || status != 0) {
      bench_error("shm: a process has failed");
      exit(BENCH_FAILED);
    }
  }
  if (uses_area(&b->contest.contender[b->playing])) { /* they have freed all, but not closed the area */
    (void)zcmem_shm_reap(b->contest.contender[b->playing].self, NULL);
  }
}

static void run_threads(struct shm_bench *b, struct worker *workers) {
  for (uint32_t i = 0; i < b->count; i++) {
    if (pthread_create(&workers[i].thread, NULL, work, &workers[i]) != 0) {
      bench_error("shm: only %" PRIu32 " of %" PRIu32 " threads can be started", i, b->count);
      exit(BENCH_FAILED);
    }
  }
  for (uint32_t i = 0; i < b->count; i++) {
    pthread_join(workers[i].thread, NULL);
  }
}

static void prepare(void *ctx) {
  struct shm_bench *b = ctx;
  for (uint32_t i = 0; i < b->count; i++) {
    bench_run_draw(&b->run[i]);
  }
}

/* Million pairs a second, from the first start to the last end. */
static double play(void *ctx, uint32_t contender) {
  struct shm_bench *b = ctx;
  struct worker workers[BENCH_MAX_THREADS];
  b->playing = contender;
  memset(b->told, 0, sizeof *b->told);
  for (uint32_t i = 0; i < b->count; i++) {
    workers[i] = (struct worker){.bench = b, .index = i};
  }
  if (uses_processes(&b->contest.contender[contender])) {
    run_processes(b, workers);
  } else {
    run_threads(b, workers);
  }
  uint64_t began = b->told->began[0], ended = b->told->ended[0];
  for (uint32_t i = 0; i < b->count; i++) {
    began = b->told->began[i] < began ? b->told->began[i] : began;
    ended = b->told->ended[i] > ended ? b->told->ended[i] : ended;
    b->contest.contender[contender].failures += b->told->failures[i];
  }
  return 1000.0 * (double)b->contest.operations / (double)(ended - began);
}

static bool open_bench(struct shm_bench *b) {
  for (b->runs = 0; b->runs < b->count; b->runs++) {
    const uint64_t seed = bench_settings.seed + ((uint64_t)b->runs << 32);
    if (!bench_run_init(&b->run[b->runs], &b->workload, seed, (uint32_t)bench_settings.pairs)) {
      bench_error("shm: no memory for the operations");
      return false;
    }
    b->contest.region_bytes += b->run[b->runs].region_bytes;
    b->contest.operations += b->run[b->runs].pair_count;
  }
  if (bench_settings.region) {
    b->contest.region_bytes = bench_settings.region;
  }
  void *memory = mmap(NULL, sizeof *b->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    bench_error("shm: no shared memory");
    return false;
  }
  b->told = memory;
  return true;
}

static bool run(const struct bench_workload *workload, uint32_t count) {
  static const struct bench_figure figure = {
      .metric = "mpairs_per_s", .unit = "M/s", .digits = 2, .more_is_better = true};
  struct shm_bench *b = calloc(1, sizeof *b);
  if (!b) {
    bench_error("shm: no memory");
    return false;
  }
  b->count = count;
  b->workload = *workload;
  b->workload.live = workload->live < count ? 1 : workload->live / count;
  b->contest.command = "shm";
  b->contest.max_live = b->workload.live * count;
  snprintf(b->contest.parameters, sizeof b->contest.parameters,
           "processes=%" PRIu32 ";live=%" PRIu32 ";sizes=%" PRIu32 "-%" PRIu32, count, workload->live,
           workload->min_size, workload->max_size);
  bench_settings_append(b->contest.parameters, sizeof b->contest.parameters);
  bool good = open_bench(b) && bench_contest_open(&b->contest, &lineup);
  if (good) {
    bench_contest_run(&b->contest, b, prepare, play);
    good = bench_contest_report(&b->contest, &figure);
    bench_contest_close(&b->contest);
  }
  while (b->runs > 0) {
    bench_run_destroy(&b->run[--b->runs]);
  }
  if (b->told) {
    (void)munmap(b->told, sizeof *b->told);
  }
  free(b);
  return good;
}

int bench_command_shm(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  if (!bench_settings.threads.count) {
    bench_settings.threads.value[bench_settings.threads.count++] = 2;
  }
  struct bench_workload workload = defaults;
  if (bench_settings.sizes.count) {
    workload.min_size = (uint32_t)bench_settings.sizes.range[0].min;
    workload.max_size = (uint32_t)bench_settings.sizes.range[0].max;
  }
  if (bench_settings.live.count) {
    workload.live = (uint32_t)bench_settings.live.value[0];
  }
  for (uint32_t i = 0; i < bench_settings.threads.count; i++) {
    if (bench_settings.threads.value[i] >= ZCMEM_SHM_MAX_PROCESSES) {
      bench_error("shm: at most %u processes", ZCMEM_SHM_MAX_PROCESSES - 1);
      return BENCH_USAGE;
    }
    if (!run(&workload, (uint32_t)bench_settings.threads.value[i])) {
      status = BENCH_FAILED;
    }
  }
  return status;
}
#else
int bench_command_shm(int argc, char **argv) {
  (void)argc;
  (void)argv;
  bench_error("shm: no processes that share memory here");
  return BENCH_FAILED;
}
#endif
