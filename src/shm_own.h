/* SPDX-License-Identifier: MIT */
/* What processes own and use of an area's blocks, and what becomes of it when they are gone. */
#ifndef ZCMEM_SHM_OWN_H
#define ZCMEM_SHM_OWN_H

#include "shm_lock.h"

#ifdef ZCMEM__SHM
/* What reaping a slot is to do. ENDS: ends its uses. FREES: and frees its blocks that nobody uses. */
enum zcmem__shm_reap { ZCMEM__SHM_ENDS, ZCMEM__SHM_FREES };

/*
 * With the lock of the slots: takes from the process of the slot, which makes no call any more, what it has, and says
 * that it is gone; or that the slot is free, if nothing is left. ELOCK: part of it is done.
 */
enum zcmem_status zcmem__shm_own_leave(struct zcmem_shm *shm, uint32_t slot, enum zcmem__shm_reap how,
                                       struct zcmem_shm_reaped *reaped);

/* With the lock of the slots: leaves for all processes that are gone. */
enum zcmem_status zcmem__shm_own_leave_gone(struct zcmem_shm *shm, enum zcmem__shm_reap how,
                                            struct zcmem_shm_reaped *reaped);

/* As zcmem_shm_check, of a process that has entered, or has no slot yet. */
enum zcmem_status zcmem__shm_own_check(struct zcmem_shm *shm);
#endif

#endif
