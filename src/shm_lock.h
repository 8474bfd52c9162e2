/* SPDX-License-Identifier: MIT */
/*
 * The lock of a shared region: who takes it after one who died with it repairs the heap first. And the walks over a
 * region's blocks that need it.
 */
#ifndef ZCMEM_SHM_LOCK_H
#define ZCMEM_SHM_LOCK_H

#include "shm_slots.h"

#ifdef ZCMEM__SHM
/* Makes a mutex in the area: shared between processes, robust. ELOCK. */
enum zcmem_status zcmem__shm_lock_make(pthread_mutex_t *mutex);

/* Whether it looks like one that zcmem__shm_lock_make made, as far as anybody can tell: else ECORRUPT. ELOCK. */
enum zcmem_status zcmem__shm_lock_check(const pthread_mutex_t *mutex);

/* The lock of the part, for its region of the HAL. */
void zcmem__shm_lock_open(struct zcmem__shm_part *part, struct zcmem__lock *lock);

/* The same lock, for the area's own calls; the process has entered. */
enum zcmem_status zcmem__shm_lock_take(struct zcmem__shm_part *part);
void zcmem__shm_lock_drop(struct zcmem__shm_part *part);

/* Uses of a block by all processes, as in `use`. */
uint32_t zcmem__shm_uses(const struct zcmem__shm_part *part, uint32_t id);
#endif

#endif
