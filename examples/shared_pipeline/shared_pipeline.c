/* SPDX-License-Identifier: MIT */
/*
 * A camera, a filter and a display, three processes that pass frames of 1 MiB by address: no byte is copied. The filter
 * is killed now and then, at whatever instruction it has come to; what it used is given back, and another filter takes
 * over. With --kills 0 it is left to you: its pid is printed, and `kill -9` is what it is for.
 */
#include "stages.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USAGE "usage: shared_pipeline [--frames N] [--kills N]\n"
#define LOOK 1000000 /* nanoseconds between two looks at the processes */
#define MOST 100000000u

enum { CAMERA, FILTER, DISPLAY, STAGES };

static int (*const runs[STAGES])(struct stage *stage) = {camera_run, filter_run, display_run};

struct supervisor {
  struct pipeline pipeline;
  struct zcmem_shm *shm;
  struct zcmem_hal *hal;
  struct board *board;
  pid_t pids[STAGES]; /* 0: it has ended */
  uint64_t kills, killed;
};

static enum zcmem_status open_area(struct supervisor *s) {
  const struct zcmem_region_config region = {.name = "frames",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT,
                                             .base = UINT64_C(0x80000000),
                                             .size = (FRAMES_UNDERWAY + 4u) * FRAME_BYTES,
                                             .max_blocks = FRAMES_UNDERWAY + 4u};
  const struct zcmem_shm_config config = {.max_processes = 8, .regions = &region, .region_count = 1};
  void *board = NULL;
  enum zcmem_status status = zcmem_shm_create(&config, &s->shm);
  if (status == ZCMEM_OK) {
    s->hal = zcmem_shm_hal(s->shm);
    s->pipeline.area = zcmem_shm_fd(s->shm);
    status = zcmem_mem_alloc(s->hal, 0, sizeof(struct board), 64, &s->pipeline.board);
  }
  if (status == ZCMEM_OK) {
    status = zcmem_mem_host(s->hal, s->pipeline.board, sizeof(struct board), &board);
  }
  if (status == ZCMEM_OK) {
    s->board = board;
    memset(board, 0, sizeof(struct board));
  }
  return status;
}

static bool start(struct supervisor *s, int stage) {
  fflush(stdout);
  s->pids[stage] = fork();
  if (s->pids[stage] == 0) {
    fclose(stdin);
    _exit(stage_live(&s->pipeline, runs[stage]));
  }
  if (s->pids[stage] < 0) {
    perror("fork");
    return false;
  }
  if (stage == FILTER && s->kills == 0) {
    printf("the filter is process %ld\n", (long)s->pids[FILTER]);
    fflush(stdout); /* for who is to kill it */
  }
  return true;
}

/* A filter that was killed has left its pins, and perhaps the region's lock in the middle of a call. */
static bool take_over(struct supervisor *s, pid_t pid) {
  struct zcmem_shm_reaped reaped;
  enum zcmem_status status = zcmem_shm_reap(s->shm, &reaped);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "shared_pipeline: reap: %s\n", zcmem_status_string(status));
    return false;
  }
  printf("filter %ld was killed: %" PRIu64 " pins given back, another one takes over\n", (long)pid, reaped.pins);
  return start(s, FILTER);
}

/* Sees who has ended. False: somebody who should not have. */
static bool look_at_processes(struct supervisor *s) {
  int how;
  for (pid_t pid; (pid = waitpid(-1, &how, WNOHANG)) > 0;) {
    const bool well = WIFEXITED(how) && WEXITSTATUS(how) == 0;
    for (int stage = 0; stage < STAGES; stage++) {
      if (s->pids[stage] != pid) {
        continue;
      }
      s->pids[stage] = 0;
      if (!well && !(stage == FILTER && WIFSIGNALED(how) && take_over(s, pid))) {
        fprintf(stderr, "shared_pipeline: stage %d has ended with %d\n", stage, how);
        return false;
      }
    }
  }
  return true;
}

/* Kills the filter when the next part of the frames has been shown. */
static void kill_now_and_then(struct supervisor *s) {
  const uint64_t shown = atomic_load(&s->board->shown);
  if (s->killed < s->kills && s->pids[FILTER] > 0 && shown > (s->killed + 1) * s->pipeline.frames / (s->kills + 2)) {
    (void)kill(s->pids[FILTER], SIGKILL);
    s->killed++;
  }
}

static bool run(struct supervisor *s) {
  int *pipes[] = {s->pipeline.to_filter, s->pipeline.to_display, s->pipeline.to_camera};
  for (unsigned i = 0; i < sizeof pipes / sizeof pipes[0]; i++) {
    if (pipe(pipes[i]) != 0) {
      perror("pipe");
      return false;
    }
  }
  bool well = start(s, DISPLAY) && start(s, FILTER) && start(s, CAMERA);
  while (well && (s->pids[CAMERA] > 0 || s->pids[DISPLAY] > 0)) {
    (void)nanosleep(&(struct timespec){0, LOOK}, NULL);
    well = look_at_processes(s);
    kill_now_and_then(s);
  }
  for (int stage = 0; stage < STAGES; stage++) { /* a filter that came too late for the end, or all after a failure */
    if (s->pids[stage] > 0 && (!well || stage == FILTER)) {
      (void)kill(s->pids[stage], SIGKILL);
      (void)waitpid(s->pids[stage], NULL, 0);
    }
  }
  return well;
}

/* All is given back: but for the board nothing is live. */
static bool is_clean(struct supervisor *s) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  return zcmem_shm_reap(s->shm, NULL) == ZCMEM_OK && zcmem_shm_check(s->shm) == ZCMEM_OK &&
         zcmem_hal_region_stats(s->hal, 0, &stats) == ZCMEM_OK && stats.live == 1;
}

static bool take_number(const char *text, uint64_t least, uint64_t *number) {
  char *end = NULL;
  errno = 0;
  const unsigned long long value = text == NULL ? 0 : strtoull(text, &end, 10);
  *number = value;
  return text != NULL && end != text && *end == '\0' && errno == 0 && value >= least && value <= MOST;
}

int main(int argc, char **argv) {
  static struct supervisor s = {.pipeline = {.frames = 600}, .kills = 3};
  struct timespec begin, end;
  for (int i = 1; i < argc; i += 2) {
    uint64_t *number = strcmp(argv[i], "--frames") == 0  ? &s.pipeline.frames
                       : strcmp(argv[i], "--kills") == 0 ? &s.kills
                                                         : NULL;
    if (number == NULL || !take_number(argv[i + 1], number == &s.kills ? 0 : 1, number)) {
      fprintf(stderr, "shared_pipeline: what is '%s'? " USAGE, argv[i]);
      return 2;
    }
  }
  enum zcmem_status status = open_area(&s);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "shared_pipeline: %s\n", zcmem_status_string(status));
    return EXIT_FAILURE;
  }
  (void)clock_gettime(CLOCK_MONOTONIC, &begin);
  bool well = run(&s);
  (void)clock_gettime(CLOCK_MONOTONIC, &end);
  const double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
  const uint64_t shown = atomic_load(&s.board->shown), lost = atomic_load(&s.board->lost),
                 copied = atomic_load(&s.board->bytes_copied);
  if (well &&
      !(well = is_clean(&s) && shown + lost == s.pipeline.frames && lost <= s.killed + (s.kills == 0 ? MOST : 0))) {
    fprintf(stderr, "shared_pipeline: something is left, or lost\n");
  }
  printf("%" PRIu64 " frames of %" PRIu64 " bytes shown, %" PRIu64 " lost with a filter, %" PRIu64
         " bytes copied, %.0f frames/s\n",
         shown, FRAME_BYTES, lost, copied, (double)shown / seconds);
  (void)zcmem_shm_close(s.shm);
  if (fflush(stdout) != 0) {
    perror("shared_pipeline");
    return EXIT_FAILURE;
  }
  return well && copied == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
