/* SPDX-License-Identifier: MIT */
/*
 * Areas for tests: "near" is memory of the area, "far" memory of each process's own, which the tests reach by its host
 * pointer. A process of a test is a function that runs in a child of fork and whose assertions end it with a status.
 */
#ifndef ZCMEM_TESTS_SHM_FIXTURE_H
#define ZCMEM_TESTS_SHM_FIXTURE_H

#include "child.h"
#include "unit.h"
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zcmem/shm.h>

#define NEAR_BASE UINT64_C(0x80000080)
#define NEAR_BYTES ((hal_size_t)1 << 20)
#define FAR_BASE UINT64_C(0xf000000000)
#define FAR_BYTES ((hal_size_t)65536)
#define SHM_BLOCKS 256u

/* Whether a mutex of who dies goes to the next one; qemu-user knows no such mutexes. */
static inline bool shm_knows_the_dead(void) {
  pthread_mutex_t *mutex = mmap(NULL, sizeof *mutex, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pthread_mutexattr_t how;
  if (mutex == MAP_FAILED || pthread_mutexattr_init(&how) != 0 ||
      pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED) != 0 ||
      pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST) != 0 || pthread_mutex_init(mutex, &how) != 0) {
    return false;
  }
  const pid_t pid = fork();
  if (pid == 0) {
    _exit(pthread_mutex_lock(mutex));
  }
  const bool knows = pid > 0 && waitpid(pid, NULL, 0) == pid && pthread_mutex_trylock(mutex) == EOWNERDEAD;
  if (knows) {
    (void)pthread_mutex_consistent(mutex);
    (void)pthread_mutex_unlock(mutex);
  }
  (void)munmap(mutex, sizeof *mutex);
  (void)pthread_mutexattr_destroy(&how);
  return knows;
}

/* Whether there are mutexes for areas at all; where qemu-user runs them some C libraries refuse to make one. */
static inline bool shm_has_mutexes(void) {
  pthread_mutex_t mutex;
  pthread_mutexattr_t how;
  const bool made =
      pthread_mutexattr_init(&how) == 0 && pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED) == 0 &&
      pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(&mutex, &how) == 0;
  if (made) {
    (void)pthread_mutex_destroy(&mutex);
  }
  return made;
}

/* Says so where there are none; for the beginning of main. */
static inline bool shm_cannot(void) {
  const bool has = shm_has_mutexes();
  if (!has) {
    print_message("SKIP: no mutex of several processes is robust here\n");
  }
  return !has;
}

/* When a process began, as the system says; 0: it does not. */
static inline unsigned long long shm_start_of(pid_t pid) {
  char path[32], line[1024] = "";
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pid);
  FILE *file = fopen(path, "r");
  const char *at = file != NULL && fgets(line, sizeof line, file) != NULL ? strrchr(line, ')') : NULL;
  for (int field = 2; at != NULL && field < 22; field++) {
    at = strchr(at + 1, ' ');
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  return at == NULL ? 0 : strtoull(at, NULL, 10);
}

/* Whether others read of a process what it reads of itself; qemu-user writes a process's own /proc/PID/stat anew. */
static inline bool shm_agrees_on_starts(void) {
  int pipes[2], status;
  unsigned long long own = 0;
  if (pipe(pipes) != 0) {
    return false;
  }
  const pid_t pid = fork();
  if (pid == 0) {
    own = shm_start_of(getpid());
    _exit(write(pipes[1], &own, sizeof own) == (ssize_t)sizeof own ? 0 : 1);
  }
  const bool agrees = pid > 0 && read(pipes[0], &own, sizeof own) == (ssize_t)sizeof own && own != 0 &&
                      shm_start_of(pid) == own; /* a process keeps it until somebody waits for it */
  (void)close(pipes[0]);
  (void)close(pipes[1]);
  return pid > 0 && waitpid(pid, &status, 0) == pid && agrees;
}

/* On 32-bit hosts there are no magazines. */
static inline bool shm_has_magazines(void) {
  return sizeof(void *) == 8;
}

/* Of the HALs that are made from here on: 0, or ZCMEM_HAL_MAGAZINES. */
static uint32_t shm_hal_flags;

/* What stands for the memory that a driver maps. */
static unsigned char shm_far[FAR_BYTES];

/* The one that was made last: in a child that ends without it, it is not lost. */
static struct zcmem_shm *volatile shm_made;

static inline struct zcmem_shm *shm_make(const char *name, uint32_t processes) {
  const struct zcmem_region_config regions[2] = {{.name = "near",
                                                  .kind = ZCMEM_KIND_DRAM,
                                                  .flags = ZCMEM_REGION_COHERENT,
                                                  .base = NEAR_BASE,
                                                  .size = NEAR_BYTES,
                                                  .max_blocks = SHM_BLOCKS},
                                                 {.name = "far",
                                                  .kind = ZCMEM_KIND_MSMC,
                                                  .flags = ZCMEM_REGION_COHERENT,
                                                  .base = FAR_BASE,
                                                  .size = FAR_BYTES,
                                                  .max_blocks = SHM_BLOCKS,
                                                  .host = shm_far}};
  const struct zcmem_shm_config config = {
      .name = name, .max_processes = processes, .regions = regions, .region_count = 2, .hal_flags = shm_hal_flags};
  struct zcmem_shm *shm = NULL;
  assert_ok(zcmem_shm_create(&config, &shm));
  shm_made = shm;
  return shm;
}

static inline enum zcmem_status shm_open_fd(int fd, uint32_t flags, struct zcmem_shm **shm) {
  const struct zcmem_shm_open_config config = {.fd = fd, .flags = flags, .hal_flags = shm_hal_flags};
  return zcmem_shm_open(&config, shm);
}

/* The same area once more, as another process would have it. */
static inline struct zcmem_shm *shm_again(const struct zcmem_shm *shm) {
  struct zcmem_shm *again = NULL;
  assert_ok(shm_open_fd(zcmem_shm_fd(shm), ZCMEM_SHM_CHECK, &again));
  return again;
}

static inline hal_addr_t shm_alloc(struct zcmem_shm *shm, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, size, 1, &addr));
  return addr;
}

static inline uint64_t shm_live(struct zcmem_shm *shm) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(zcmem_shm_hal(shm), 0, &stats));
  return stats.live;
}

/* A child that goes on and on ends with the test, also with one that fails. Answers as fork does. */
static inline pid_t shm_fork(void) {
  const pid_t parent = getpid(), pid = fork();
  if (pid == 0 && (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)) {
    _exit(1);
  }
  return pid;
}

/* Runs it in a child, which ends by itself with 0, or by a signal of its own. Answers how, as waitpid does. */
static inline int shm_child(void (*run)(void *ctx), void *ctx) {
  int status = 0;
  pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    run(ctx);
    child_exit(0);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

#define SHM_REQUIRE CHILD_REQUIRE

#endif
