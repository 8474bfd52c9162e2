/* SPDX-License-Identifier: MIT */
/*
 * The processes that have an area open, and an area as one of them has it open. A process is known by its pid and by
 * when it began, since pids come again.
 */
#ifndef ZCMEM_SHM_SLOTS_H
#define ZCMEM_SHM_SLOTS_H

#include "shm_layout.h"

#ifdef ZCMEM__SHM
/* A region as this process has it. */
struct zcmem__shm_part {
  struct zcmem__shared shared; /* for the HAL */
  struct zcmem_shm *shm;
  pthread_mutex_t *mutex;
  uint32_t *uses; /* of all processes: a row for each slot */
  uint64_t row;   /* descriptors in it */
  size_t image_bytes;
};

struct zcmem_shm {
  struct zcmem__shm_area *area;
  int fd;
  struct zcmem_hal *hal;
  struct zcmem__atomic_u32 slot;  /* 0: none */
  struct zcmem__atomic_u32 forks; /* of this process, when it took the slot */
  uint32_t slots;                 /* these as they were checked */
  uint32_t regions;
  size_t bytes;
  struct zcmem__shm_part part[ZCMEM__SHM_REGIONS];
};

/*
 * Takes a mutex of the area, whose holder may have died: then *repair becomes true, and the mutex is to be made
 * consistent. Who is opening the area does not wait for ever, since the mutex may be damaged. False: not taken.
 */
bool zcmem__shm_slots_take(struct zcmem_shm *shm, pthread_mutex_t *mutex, bool *repair);

/* Takes the lock of the slots; false: it failed. What a dead process was doing there is as if it never began. */
bool zcmem__shm_slots_lock(struct zcmem_shm *shm);
void zcmem__shm_slots_unlock(struct zcmem_shm *shm);

/* With the lock of the slots: takes a free slot for this process. ENOMEM: there is none. */
enum zcmem_status zcmem__shm_slots_claim(struct zcmem_shm *shm);

/*
 * Before a call that takes a lock: a child of fork takes a slot of its own. Not with the lock of the slots held. False:
 * there is none, or a lock failed.
 */
bool zcmem__shm_slots_enter(struct zcmem_shm *shm);

/* Whether this is a child of the process that opened the area, and has made no call since. */
bool zcmem__shm_slots_forked(const struct zcmem_shm *shm);

/*
 * Whether the slot's row says of no descriptor from number `from` on that it is used; clear: from then on it does not.
 * It is read from the file, since a look at memory that nobody has touched would take pages.
 */
bool zcmem__shm_slots_unused(const struct zcmem__shm_part *part, uint32_t slot, uint64_t from, bool clear);

/* The process of a slot. */
struct zcmem_shm_process zcmem__shm_slots_describe(const struct zcmem__shm_slot *slots, uint32_t slot);
#endif

#endif
