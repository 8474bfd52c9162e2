/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "shm_lock.h"
#include "seize.h"

#ifdef ZCMEM__SHM
#include <string.h>

enum zcmem_status zcmem__shm_lock_make(pthread_mutex_t *mutex) {
  pthread_mutexattr_t how;
  if (pthread_mutexattr_init(&how) != 0) {
    return ZCMEM_ELOCK;
  }
  bool made = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED) == 0 &&
              pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST) == 0 && pthread_mutex_init(mutex, &how) == 0;
  (void)pthread_mutexattr_destroy(&how);
  return made ? ZCMEM_OK : ZCMEM_ELOCK;
}

enum zcmem_status zcmem__shm_lock_check(const pthread_mutex_t *mutex) {
#ifdef __GLIBC__
  /* What tells its kind never changes; a mutex of another kind could wait for ever, or not exclude anybody. */
  pthread_mutex_t model;
  enum zcmem_status status = zcmem__shm_lock_make(&model);
  if (status == ZCMEM_OK) {
    status = mutex->__data.__kind == model.__data.__kind ? ZCMEM_OK : ZCMEM_ECORRUPT;
    (void)pthread_mutex_destroy(&model);
  }
  return status;
#else
  (void)mutex;
  return ZCMEM_OK;
#endif
}

/* ------------------------------------------------------------------------------------------------------ repair -- */

static uint32_t add_uses(uint32_t a, uint32_t b, uint32_t one) {
  const uint32_t sum = (a / one & ZCMEM__USE_MASK) + (b / one & ZCMEM__USE_MASK);
  return (sum < ZCMEM_MAX_PINS ? sum : ZCMEM_MAX_PINS) * one;
}

uint32_t zcmem__shm_uses(const struct zcmem__shm_part *part, uint32_t id) {
  uint32_t sum = 0;
  for (uint32_t slot = 1; slot <= part->shm->slots; slot++) {
    if (zcmem__atomic_acquire(&part->shm->area->slot[slot - 1].state) != ZCMEM__SLOT_FREE) {
      const uint32_t uses = ZCMEM__GET(part->uses[(slot - 1u) * part->row + id / ZCMEM__ID]);
      sum = add_uses(sum, uses, ZCMEM__PIN) | add_uses(sum, uses, ZCMEM__TRANSFER);
    }
  }
  return sum;
}

static uint32_t uses_for_repair(void *ctx, uint32_t id) {
  return zcmem__shm_uses(ctx, id);
}

/* A call that ended the last use of a block may have freed the block, but not come to ending the use in the table. */
static void forget_uses(const struct zcmem__shm_part *part) {
  struct zcmem_heap *heap = part->shared.heap;
  const uint32_t end = heap->next_id < part->row * ZCMEM__ID ? heap->next_id : 0; /* repair refuses more */
  for (uint32_t slot = 1; slot <= part->shm->slots; slot++) {
    uint32_t *row = part->uses + (slot - 1u) * part->row;
    if (zcmem__atomic_acquire(&part->shm->area->slot[slot - 1].state) == ZCMEM__SLOT_FREE) {
      continue;
    }
    for (uint32_t id = 0; id < end; id += ZCMEM__ID) {
      const enum zcmem__state state = zcmem__block_state(zcmem__block(heap, id));
      if (state != ZCMEM__LIVE && state != ZCMEM__ZOMBIE && ZCMEM__GET(row[id / ZCMEM__ID]) != 0) {
        ZCMEM__PUT(row[id / ZCMEM__ID], 0u);
      }
    }
  }
}

/* Look-ups see an odd version until the heap is whole, also where the dead had not begun to change blocks. */
static void recover(struct zcmem__shm_part *part) {
  struct zcmem__version version = {part->shared.version};
  if ((zcmem__atomic_version(&version) & 1u) == 0) {
    zcmem__atomic_change(&version);
  }
  forget_uses(part);
  if (zcmem__heap_repair_with(part->shared.heap, part->image_bytes, NULL, 0, uses_for_repair, part, NULL) == ZCMEM_OK) {
    zcmem__seize_recover(&part->shared);
    zcmem__atomic_changed(&version);
  }
}

/* ---------------------------------------------------------------------------------------------------- the lock -- */

enum zcmem_status zcmem__shm_lock_take(struct zcmem__shm_part *part) {
  bool repair;
  if (ZCMEM__UNLIKELY(!zcmem__shm_slots_take(part->shm, part->mutex, &repair))) {
    return ZCMEM_ELOCK;
  }
  if (ZCMEM__UNLIKELY(repair)) {
    recover(part);
    (void)pthread_mutex_consistent(part->mutex);
  }
  /*
   * A heap that cannot be repaired is locked for good: its version stays odd, which it is for nobody else who gets the
   * lock. A mutex that is not made consistent would say so, too; but glibc's trylock answers ENOTRECOVERABLE with the
   * mutex taken (2.36), so who comes next would wait for ever.
   */
  if (ZCMEM__UNLIKELY((zcmem__atomic_acquire(part->shared.version) & 1u) != 0)) {
    (void)pthread_mutex_unlock(part->mutex);
    return ZCMEM_ELOCK;
  }
  ZCMEM__PUT(part->shared.heap->owner, zcmem__atomic_acquire(&part->shm->slot) << ZCMEM__OWNER_SHIFT);
  return ZCMEM_OK;
}

void zcmem__shm_lock_drop(struct zcmem__shm_part *part) {
  (void)pthread_mutex_unlock(part->mutex);
}

/* A lock's state is where its part is. */
static struct zcmem__shm_part *part_of(const void *lock) {
  struct zcmem__shm_part *part;
  /* NOLINTNEXTLINE(bugprone-sizeof-expression): what is kept there is the pointer */
  memcpy(&part, lock, sizeof part);
  return part;
}

static int shared_init(void *lock) {
  (void)lock;
  return -1; /* locks of shared regions are opened */
}

static void shared_destroy(void *lock) {
  (void)lock; /* other processes have it still */
}

static int shared_lock(void *lock) {
  struct zcmem__shm_part *part = part_of(lock);
  return zcmem__shm_slots_enter(part->shm) && zcmem__shm_lock_take(part) == ZCMEM_OK ? 0 : -1;
}

static void shared_unlock(void *lock) {
  zcmem__shm_lock_drop(part_of(lock));
}

static const struct zcmem_lock_ops shared_ops = {.bytes = sizeof(struct zcmem__shm_part *),
                                                 .init = shared_init,
                                                 .destroy = shared_destroy,
                                                 .lock = shared_lock,
                                                 .unlock = shared_unlock};

void zcmem__shm_lock_open(struct zcmem__shm_part *part, struct zcmem__lock *lock) {
  memset(lock, 0, sizeof *lock);
  lock->ops = &shared_ops;
  /* NOLINTNEXTLINE(bugprone-sizeof-expression): the pointer */
  memcpy(lock->state, &part, sizeof part);
}
#else
typedef int zcmem__shm_lock_empty; /* ISO C wants something in each file */
#endif
