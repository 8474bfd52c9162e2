/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "shm_slots.h"

#ifdef ZCMEM__SHM
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAT_BYTES 1024u
#define STAT_THREADS 20 /* fields of /proc/PID/stat, counted from 1 */
#define STAT_START 22
#define CHUNK 1024u /* entries of a row that are read at once */
#define SPINS 5u    /* looks at a lock before going to sleep, each after twice as long */
#define PATIENCE 10 /* seconds */

static pthread_mutex_t watching = PTHREAD_MUTEX_INITIALIZER;
static bool watched;                   /* forks are counted */
static struct zcmem__atomic_u32 forks; /* that lie between the first process and this one */

static void count_fork(void) {
  (void)zcmem__atomic_count_up(&forks);
}

/* False: a child would not know that it is one, and take its parent's slot for its own. */
static bool watch_forks(void) {
  (void)pthread_mutex_lock(&watching);
  watched = watched || pthread_atfork(NULL, NULL, count_fork) == 0;
  const bool result = watched;
  (void)pthread_mutex_unlock(&watching);
  return result;
}

/* ---------------------------------------------------------------------------------------------- who is alive -- */

struct stat_line {
  uint64_t start;
  uint64_t threads;
  char state;
};

/* Field `number` (> 2) of a line of /proc/PID/stat. The name, field 2, may have anything in it, also ")". */
static const char *stat_field(const char *line, int number) {
  const char *at = strrchr(line, ')');
  for (int field = 2; at != NULL && field < number; field++) {
    at = strchr(at + 1, ' ');
  }
  return at == NULL ? NULL : at + 1;
}

/* False: it cannot be read, whyever. */
static bool read_stat(uint32_t pid, struct stat_line *stat) {
  char path[32], line[STAT_BYTES];
  (void)snprintf(path, sizeof path, "/proc/%lu/stat", (unsigned long)pid);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  ssize_t length = read(fd, line, sizeof line - 1);
  (void)close(fd);
  if (length <= 0) {
    return false;
  }
  line[length] = '\0';
  const char *state = stat_field(line, 3), *threads = stat_field(line, STAT_THREADS),
             *start = stat_field(line, STAT_START);
  if (state == NULL || threads == NULL || start == NULL) {
    return false;
  }
  *stat =
      (struct stat_line){.start = strtoull(start, NULL, 10), .threads = strtoull(threads, NULL, 10), .state = *state};
  return true;
}

/*
 * EPERM is not death, nor is a /proc that cannot be read. A zombie is dead, but where its first thread alone has ended.
 */
static bool is_gone(const struct zcmem__shm_slot *slot) {
  struct stat_line stat;
  const uint32_t pid = slot->pid;
  if (pid == 0 || pid > INT32_MAX || (kill((pid_t)pid, 0) != 0 && errno == ESRCH)) {
    return true;
  }
  return read_stat(pid, &stat) && ((slot->start != 0 && stat.start != slot->start) ||
                                   ((stat.state == 'Z' || stat.state == 'X') && stat.threads <= 1));
}

struct zcmem_shm_process zcmem__shm_slots_describe(const struct zcmem__shm_slot *slots, uint32_t slot) {
  const struct zcmem__shm_slot *of = &slots[slot - 1];
  const uint32_t state = zcmem__atomic_acquire(&of->state);
  if (state == ZCMEM__SLOT_FREE) {
    return (struct zcmem_shm_process){.slot = slot, .state = ZCMEM_SHM_NOBODY};
  }
  return (struct zcmem_shm_process){.slot = slot,
                                    .pid = of->pid,
                                    .start = of->start,
                                    .state =
                                        state != ZCMEM__SLOT_USED || is_gone(of) ? ZCMEM_SHM_GONE : ZCMEM_SHM_ALIVE};
}

/* --------------------------------------------------------------------------------------------------- the slots -- */

/* As glibc's adaptive mutexes, none of which is robust: the lock is held so shortly that it pays to look again. */
static int lock_soon(pthread_mutex_t *mutex) {
  int result = pthread_mutex_trylock(mutex);
  for (uint32_t turn = 0; result == EBUSY && turn < SPINS; turn++) {
    for (uint32_t i = 0; i < 8u << turn; i++) {
      zcmem__bits_pause();
    }
    result = pthread_mutex_trylock(mutex);
  }
  return result == EBUSY ? pthread_mutex_lock(mutex) : result;
}

bool zcmem__shm_slots_take(struct zcmem_shm *shm, pthread_mutex_t *mutex, bool *repair) {
  struct timespec until;
  int result;
  if (ZCMEM__LIKELY(zcmem__atomic_acquire(&shm->slot) != 0)) {
    result = lock_soon(mutex);
  } else if (clock_gettime(CLOCK_REALTIME, &until) == 0) {
    until.tv_sec += PATIENCE;
    result = pthread_mutex_timedlock(mutex, &until);
  } else {
    result = -1;
  }
  *repair = result == EOWNERDEAD;
  return result == 0 || result == EOWNERDEAD;
}

bool zcmem__shm_slots_lock(struct zcmem_shm *shm) {
  bool repair;
  if (!zcmem__shm_slots_take(shm, &shm->area->mutex, &repair)) {
    return false;
  }
  if (repair) { /* one store takes a slot, and one gives it back */
    (void)pthread_mutex_consistent(&shm->area->mutex);
  }
  return true;
}

void zcmem__shm_slots_unlock(struct zcmem_shm *shm) {
  (void)pthread_mutex_unlock(&shm->area->mutex);
}

bool zcmem__shm_slots_unused(const struct zcmem__shm_part *part, uint32_t slot, uint64_t from, bool clear) {
  uint32_t *row = part->uses + (slot - 1u) * part->row;
  uint32_t chunk[CHUNK];
  bool empty = true;
  for (uint64_t done = from, count; done < part->row && (empty || clear); done += count) {
    count = part->row - done < CHUNK ? part->row - done : CHUNK;
    const size_t bytes = (size_t)count * sizeof chunk[0];
    const off_t at = (off_t)((char *)(row + done) - (char *)part->shm->area);
    if (pread(part->shm->fd, chunk, bytes, at) != (ssize_t)bytes) {
      memcpy(chunk, row + done, bytes);
    }
    for (uint64_t i = 0; i < count; i++) {
      empty = empty && chunk[i] == 0;
      if (clear && chunk[i] != 0) {
        ZCMEM__PUT(row[done + i], 0u);
      }
    }
  }
  return empty;
}

/* The row of a slot that is free is empty, but in an area that nobody checked. */
static void take_uses(struct zcmem_shm *shm, uint32_t slot) {
  for (uint32_t i = 0; i < shm->regions; i++) {
    (void)zcmem__shm_slots_unused(&shm->part[i], slot, 0, true);
    shm->part[i].shared.uses = shm->part[i].uses + (slot - 1u) * shm->part[i].row;
  }
}

enum zcmem_status zcmem__shm_slots_claim(struct zcmem_shm *shm) {
  struct zcmem__shm_slot *slots = shm->area->slot;
  struct stat_line stat = {.start = 0};
  uint32_t slot = 1;
  if (!watch_forks()) {
    return ZCMEM_ENOMEM;
  }
  while (slot <= shm->slots && zcmem__atomic_acquire(&slots[slot - 1].state) != ZCMEM__SLOT_FREE) {
    slot++;
  }
  if (slot > shm->slots) {
    return ZCMEM_ENOMEM;
  }
  const uint32_t pid = (uint32_t)getpid();
  (void)read_stat(pid, &stat);
  slots[slot - 1].pid = pid;
  slots[slot - 1].start = stat.start;
  take_uses(shm, slot);
  zcmem__atomic_publish(&slots[slot - 1].state, ZCMEM__SLOT_USED);
  zcmem__atomic_publish(&shm->slot, slot);
  zcmem__atomic_publish(&shm->forks, zcmem__atomic_acquire(&forks));
  return ZCMEM_OK;
}

bool zcmem__shm_slots_forked(const struct zcmem_shm *shm) {
  return zcmem__atomic_acquire(&shm->forks) != zcmem__atomic_acquire(&forks);
}

bool zcmem__shm_slots_enter(struct zcmem_shm *shm) {
  if (ZCMEM__LIKELY(!zcmem__shm_slots_forked(shm))) {
    return true;
  }
  if (!zcmem__shm_slots_lock(shm)) {
    return false;
  }
  /* Another thread of the child may have come first. */
  const bool has = !zcmem__shm_slots_forked(shm) || zcmem__shm_slots_claim(shm) == ZCMEM_OK;
  zcmem__shm_slots_unlock(shm);
  return has;
}
#else
typedef int zcmem__shm_slots_empty; /* ISO C wants something in each file */
#endif
