/* SPDX-License-Identifier: MIT */
#include "shm_own.h"
#include "seize.h"

#ifdef ZCMEM__SHM
#include "heap_ops.h"

#define REAP_STEP (UINT64_C(64) * ZCMEM__ID) /* of ids that are looked at in one hold of a region's lock */

/* ------------------------------------------------------------------------------------------------------- owner -- */

/* Finds the live block at addr. OK: the part's lock is held. */
static enum zcmem_status lock_block(struct zcmem_shm *shm, hal_addr_t addr, struct zcmem__shm_part **part,
                                    struct zcmem__block **block) {
  uint32_t index;
  if (shm == NULL) {
    return ZCMEM_EINVAL;
  }
  if (zcmem_hal_region_of(shm->hal, addr, &index) != ZCMEM_OK) {
    return ZCMEM_ENOENT;
  }
  *part = &shm->part[index];
  if (!zcmem__shm_slots_enter(shm) || zcmem__shm_lock_take(*part) != ZCMEM_OK) {
    return ZCMEM_ELOCK;
  }
  struct zcmem_heap *heap = (*part)->shared.heap;
  *block = zcmem__block(heap, zcmem__heap_find(heap, addr));
  if (zcmem__block_state(*block) != ZCMEM__LIVE) {
    zcmem__shm_lock_drop(*part);
    return ZCMEM_ENOENT;
  }
  return ZCMEM_OK;
}

/*
 * One swap: nobody but who has the lock changes the owner of a block that lives; but through a magazine it may have
 * another one at any time.
 */
static bool swap_owner(struct zcmem__block *block, uint32_t owner) {
  const uint32_t now[2] = {ZCMEM__GET(block->use), ZCMEM__GET(block->generation)};
  const uint32_t wanted[2] = {now[0], (now[1] & ZCMEM__GENERATION) | owner << ZCMEM__OWNER_SHIFT};
  return (now[0] & ZCMEM__STATE) == ZCMEM__LIVE && zcmem__bits_swap_pair(&block->use, now, wanted);
}

static enum zcmem_status set_owner(struct zcmem_shm *shm, hal_addr_t addr, bool shared) {
  struct zcmem__shm_part *part;
  struct zcmem__block *block;
  enum zcmem_status status = lock_block(shm, addr, &part, &block);
  if (status == ZCMEM_OK) {
    const uint32_t owner = shared ? ZCMEM__SHM_SHARED : zcmem__atomic_acquire(&shm->slot);
    bool done = swap_owner(block, owner);
    while (!done && zcmem__block_state(block) == ZCMEM__LIVE) {
      done = swap_owner(block, owner);
    }
    zcmem__shm_lock_drop(part);
    status = done ? ZCMEM_OK : ZCMEM_ENOENT;
  }
  return status;
}

enum zcmem_status zcmem_shm_own(struct zcmem_shm *shm, hal_addr_t addr) {
  return set_owner(shm, addr, false);
}

enum zcmem_status zcmem_shm_share(struct zcmem_shm *shm, hal_addr_t addr) {
  return set_owner(shm, addr, true);
}

enum zcmem_status zcmem_shm_get_owner(struct zcmem_shm *shm, hal_addr_t addr, struct zcmem_shm_process *owner) {
  struct zcmem__shm_part *part;
  struct zcmem__block *block;
  enum zcmem_status status = owner == NULL ? ZCMEM_EINVAL : lock_block(shm, addr, &part, &block);
  if (status == ZCMEM_OK) {
    const uint32_t slot = zcmem__shm_owner(block);
    if (slot == 0 || slot > shm->slots) {
      *owner = (struct zcmem_shm_process){.state = slot == 0 ? ZCMEM_SHM_NOBODY : ZCMEM_SHM_SHARED};
    } else {
      *owner = zcmem__shm_slots_describe(shm->area->slot, slot);
    }
    zcmem__shm_lock_drop(part);
  }
  return status;
}

/* -------------------------------------------------------------------------------------------------------- reap -- */

/* Ends the slot's uses of a block: first in the table, which counts when somebody repairs. */
static void end_uses(struct zcmem__shm_part *part, uint32_t slot, uint32_t id, struct zcmem_shm_reaped *reaped) {
  uint32_t *uses = &part->uses[(slot - 1u) * part->row + id / ZCMEM__ID];
  const uint32_t had = ZCMEM__GET(*uses);
  if (had == 0) {
    return;
  }
  struct zcmem_heap *heap = part->shared.heap;
  struct zcmem__block *block = zcmem__block(heap, id);
  const uint32_t state = ZCMEM__GET(block->use) & ZCMEM__STATE;
  ZCMEM__PUT(*uses, 0u);
  ZCMEM__ORDER();
  if (state != ZCMEM__LIVE && state != ZCMEM__ZOMBIE) { /* an area that was not checked: the table says nothing */
    return;
  }
  reaped->pins += had / ZCMEM__PIN & ZCMEM__USE_MASK;
  reaped->transfers += had / ZCMEM__TRANSFER & ZCMEM__USE_MASK;
  ZCMEM__PUT(block->use, state | zcmem__shm_uses(part, id));
  if (ZCMEM__GET(block->use) == ZCMEM__ZOMBIE) {
    reaped->blocks++;
    reaped->bytes += zcmem__heap_bytes_of(heap, block->size);
    zcmem__heap_release(heap, id);
  }
}

/* What the process had in its magazines, or was about to hand out. */
static void free_cached_of(struct zcmem__shm_part *part, uint32_t slot, uint32_t id, struct zcmem_shm_reaped *reaped) {
  struct zcmem_heap *heap = part->shared.heap;
  const struct zcmem__block *block = zcmem__block(heap, id);
  if (zcmem__use_cached(ZCMEM__GET(block->use)) && zcmem__shm_owner(block) == slot) {
    reaped->cached++;
    zcmem__heap_release(heap, id);
  }
}

static bool is_live_of(const struct zcmem__block *block, uint32_t slot) {
  return zcmem__block_state(block) == ZCMEM__LIVE && zcmem__shm_owner(block) == slot;
}

static void free_block_of(struct zcmem__shm_part *part, uint32_t slot, uint32_t id, enum zcmem__shm_reap how,
                          struct zcmem_shm_reaped *reaped, uint32_t *left) {
  struct zcmem_heap *heap = part->shared.heap;
  const struct zcmem__block *block = zcmem__block(heap, id);
  if (!is_live_of(block, slot)) {
    return;
  }
  const uint64_t bytes = zcmem__heap_bytes_of(heap, block->size);
  if (how == ZCMEM__SHM_FREES && zcmem_heap_free(heap, zcmem__heap_addr(heap, block->start)) == ZCMEM_OK) {
    reaped->blocks++;
    reaped->bytes += bytes;
    return;
  }
  if (is_live_of(block, slot)) { /* else another process has freed it just now */
    reaped->refused += how == ZCMEM__SHM_FREES;
    ++*left;
  }
}

/* One region, some descriptors in a hold of the lock. New blocks of the slot's cannot come to be. */
static enum zcmem_status reap_part(struct zcmem__shm_part *part, uint32_t slot, enum zcmem__shm_reap how,
                                   struct zcmem_shm_reaped *reaped, uint32_t *left) {
  struct zcmem_heap *heap = part->shared.heap;
  struct zcmem__version version = {part->shared.version};
  const uint64_t most = part->row * ZCMEM__ID; /* whatever the heap says */
  uint64_t next = ZCMEM__ID, end = REAP_STEP;
  while (next < end) {
    if (zcmem__shm_lock_take(part) != ZCMEM_OK) {
      return ZCMEM_ELOCK;
    }
    end = heap->next_id < most ? heap->next_id : most;
    zcmem__atomic_change(&version);
    for (uint64_t last = next + REAP_STEP; next < end && next < last; next += ZCMEM__ID) {
      end_uses(part, slot, (uint32_t)next, reaped);
      free_cached_of(part, slot, (uint32_t)next, reaped);
      free_block_of(part, slot, (uint32_t)next, how, reaped, left);
    }
    if (next >= end) {
      zcmem__seize_leave(&part->shared, slot);
    }
    zcmem__atomic_changed(&version);
    zcmem__shm_lock_drop(part);
  }
  return ZCMEM_OK;
}

enum zcmem_status zcmem__shm_own_leave(struct zcmem_shm *shm, uint32_t slot, enum zcmem__shm_reap how,
                                       struct zcmem_shm_reaped *reaped) {
  uint32_t left = 0;
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t i = 0; i < shm->regions && status == ZCMEM_OK; i++) {
    status = reap_part(&shm->part[i], slot, how, reaped, &left);
  }
  const bool empty = status == ZCMEM_OK && left == 0;
  reaped->processes += empty;
  zcmem__atomic_publish(&shm->area->slot[slot - 1].state, empty ? ZCMEM__SLOT_FREE : ZCMEM__SLOT_LEFT);
  return status;
}

enum zcmem_status zcmem__shm_own_leave_gone(struct zcmem_shm *shm, enum zcmem__shm_reap how,
                                            struct zcmem_shm_reaped *reaped) {
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t slot = 1; slot <= shm->slots && status == ZCMEM_OK; slot++) {
    if (zcmem__shm_slots_describe(shm->area->slot, slot).state == ZCMEM_SHM_GONE) {
      status = zcmem__shm_own_leave(shm, slot, how, reaped);
    }
  }
  return status;
}

enum zcmem_status zcmem_shm_reap(struct zcmem_shm *shm, struct zcmem_shm_reaped *reaped) {
  struct zcmem_shm_reaped done = {0};
  if (shm == NULL) {
    return ZCMEM_EINVAL;
  }
  if (!zcmem__shm_slots_enter(shm) || !zcmem__shm_slots_lock(shm)) {
    return ZCMEM_ELOCK;
  }
  enum zcmem_status status = zcmem__shm_own_leave_gone(shm, ZCMEM__SHM_FREES, &done);
  zcmem__shm_slots_unlock(shm);
  if (status == ZCMEM_OK && reaped != NULL) {
    *reaped = done;
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------------- check -- */

static bool check_block(const struct zcmem__shm_part *part, uint32_t id) {
  const struct zcmem_shm *shm = part->shm;
  const struct zcmem__block *block = zcmem__block_const(part->shared.heap, id);
  const uint32_t use = ZCMEM__GET(block->use), owner = zcmem__shm_owner(block), uses = zcmem__shm_uses(part, id);
  const bool known =
      owner >= 1 && owner <= shm->slots && zcmem__atomic_acquire(&shm->area->slot[owner - 1].state) != ZCMEM__SLOT_FREE;
  if ((use & ZCMEM__STATE) != ZCMEM__LIVE && (use & ZCMEM__STATE) != ZCMEM__ZOMBIE) {
    return uses == 0 && (known || !zcmem__use_cached(use));
  }
  bool owned = known || owner == ZCMEM__SHM_SHARED || (use & ZCMEM__STATE) == ZCMEM__ZOMBIE;
  return owned && use == ((use & ZCMEM__STATE) | uses);
}

static enum zcmem_status check_part(struct zcmem__shm_part *part) {
  enum zcmem_status status = zcmem__shm_lock_take(part);
  if (status != ZCMEM_OK) {
    return status;
  }
  const struct zcmem_heap *heap = part->shared.heap;
  status = zcmem_heap_check_detail(heap, part->image_bytes, NULL);
  for (uint32_t id = ZCMEM__ID; status == ZCMEM_OK && id < heap->next_id; id += ZCMEM__ID) {
    status = check_block(part, id) ? ZCMEM_OK : ZCMEM_ECORRUPT;
  }
  for (uint32_t slot = 1; status == ZCMEM_OK && slot <= part->shm->slots; slot++) {
    if (zcmem__atomic_acquire(&part->shm->area->slot[slot - 1].state) != ZCMEM__SLOT_FREE &&
        !zcmem__shm_slots_unused(part, slot, heap->next_id / ZCMEM__ID, false)) {
      status = ZCMEM_ECORRUPT;
    }
  }
  zcmem__shm_lock_drop(part);
  return status;
}

enum zcmem_status zcmem_shm_check(struct zcmem_shm *shm) {
  if (shm == NULL) {
    return ZCMEM_EINVAL;
  }
  return zcmem__shm_slots_enter(shm) ? zcmem__shm_own_check(shm) : ZCMEM_ELOCK;
}

enum zcmem_status zcmem__shm_own_check(struct zcmem_shm *shm) {
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t i = 0; i < shm->regions && status == ZCMEM_OK; i++) {
    status = check_part(&shm->part[i]);
  }
  return status;
}
#else
typedef int zcmem__shm_own_empty; /* ISO C wants something in each file */
#endif
