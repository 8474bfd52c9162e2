/* SPDX-License-Identifier: MIT */
#include "guard.h"
#include "track.h"
#include <string.h>

#define HARDENING (ZCMEM_REGION_HANDLES | ZCMEM_REGION_FILL | ZCMEM_REGION_POISON | ZCMEM_REGION_TRACKED)
#define NEW_BYTE 0xcd
#define FREED_BYTE 0xdd
/* Blocks that leave the quarantine for one that comes, and bytes of each that are looked at then. */
#define LEAVE_MOST 16u
#define LEAVE_LOOK 256u

/* ------------------------------------------------------------------------------------------------ the config -- */

bool zcmem__guard_wanted(const struct zcmem_region_config *config) {
  return (config->flags & HARDENING) != 0 || config->red_zone > 0 || config->quarantine > 0;
}

bool zcmem__guard_valid(const struct zcmem_region_config *config) {
  const struct zcmem_region_ops *ops = config->ops;
  bool stores = (config->flags & (ZCMEM_REGION_FILL | ZCMEM_REGION_POISON)) != 0 || config->red_zone > 0;
  bool coherent =
      (config->flags & ZCMEM_REGION_COHERENT) != 0 || ops == NULL || (ops->flush == NULL && ops->invalidate == NULL);
  return config->red_zone <= ZCMEM_RED_ZONE_MAX && (!stores || coherent) &&
         ((!stores && (config->flags & ZCMEM_REGION_TRACKED) == 0) || config->host != NULL);
}

hal_size_t zcmem__guard_front(const struct zcmem_region_config *config) {
  hal_size_t quantum = config->quantum == 0 ? ZCMEM_QUANTUM_DEFAULT : config->quantum;
  if (config->red_zone == 0 || !zcmem__bits_power_of_two(quantum) || config->red_zone > ZCMEM_RED_ZONE_MAX) {
    return 0;
  }
  return (config->red_zone + quantum - 1u) & ~(quantum - 1u);
}

/* ----------------------------------------------------------------------------------------------------- bytes -- */

/* How many bytes of a poisoned block are as they were poisoned, from the first one on. */
static hal_size_t still_poisoned(const struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size) {
  const unsigned char *bytes = zcmem__zone_host(&guard->zones, addr);
  hal_size_t i = 0;
  while (i < size && bytes[i] == FREED_BYTE) {
    i++;
  }
  return i;
}

void zcmem__guard_fill(const struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size) {
  if ((guard->flags & ZCMEM_REGION_FILL) != 0) {
    memset(zcmem__zone_host(&guard->zones, addr), NEW_BYTE, (size_t)size);
  }
}

void zcmem__guard_poison(const struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size) {
  memset(zcmem__zone_host(&guard->zones, addr), FREED_BYTE, (size_t)size);
}

static enum zcmem_status judge_zones(const struct zcmem__guard *guard, const struct zcmem__block *block) {
  struct zcmem_damage damage = {.count = 0};
  if (guard->zones.bytes > 0) {
    zcmem__zone_look_behind(&guard->zones, block, ZCMEM_DAMAGE_BEHIND, &damage);
    zcmem__zone_look_before(&guard->zones, block, false, &damage);
  }
  return damage.count == 0 ? ZCMEM_OK : ZCMEM_ECORRUPT;
}

/* ----------------------------------------------------------------------------------------------------- tools -- */

static bool tracked(const struct zcmem__guard *guard) {
  return (guard->flags & ZCMEM_REGION_TRACKED) != 0;
}

static void tell_alloc(const struct zcmem__guard *guard, const struct zcmem__block *block) {
  const struct zcmem__zone_extent of = zcmem__zone_extent(&guard->zones, block);
  if (tracked(guard)) {
    zcmem__track_alloc(guard->zones.host, zcmem__zone_host(&guard->zones, of.addr), (size_t)(of.rest - of.addr));
  }
}

static void tell_free(const struct zcmem__guard *guard, const struct zcmem__block *block) {
  const struct zcmem__zone_extent of = zcmem__zone_extent(&guard->zones, block);
  if (tracked(guard)) {
    zcmem__track_free(guard->zones.host, zcmem__zone_host(&guard->zones, of.addr), (size_t)(of.rest - of.addr));
  }
}

/* ------------------------------------------------------------------------------------------ begin and end -- */

void zcmem__guard_init(struct zcmem__guard *guard, const struct zcmem_region_config *config, struct zcmem_heap *heap) {
  bool told = (config->flags & ZCMEM_REGION_TRACKED) != 0 && zcmem__track_active();
  uint32_t done_by_tool = ZCMEM_REGION_POISON | (told ? 0 : ZCMEM_REGION_TRACKED);
  *guard = (struct zcmem__guard){
      .zones = {.heap = heap, .base = config->base, .host = config->host, .bytes = told ? 0 : config->red_zone},
      .size = config->size,
      .flags = config->flags & HARDENING & ~(told ? done_by_tool : ZCMEM_REGION_TRACKED),
      .quarantine = {.most = config->quarantine >> heap->at.quantum_shift}};
  heap->shared = ZCMEM__SHARED_MANY; /* slack may be more than a quantum, and blocks be CACHED */
  if (told) {
    zcmem__track_open(guard->zones.host, (size_t)guard->size);
  }
}

void zcmem__guard_destroy(struct zcmem__guard *guard) {
  if (tracked(guard)) {
    zcmem__track_close(guard->zones.host, (size_t)guard->size);
  }
}

/* With the zone; what does not fit 64 bits fits no heap either. */
static hal_size_t with_zone(const struct zcmem__guard *guard, hal_size_t size) {
  return size > UINT64_MAX - guard->zones.bytes ? UINT64_MAX : size + guard->zones.bytes;
}

/* Moves the end of what the block's owner may use: `zone` bytes are slack, or not. */
static void change_slack(struct zcmem__guard *guard, struct zcmem__block *block, uint32_t more) {
  ZCMEM__PUT(block->slack, block->slack + more);
  guard->zones.heap->slack += (uint64_t)(int64_t)(int32_t)more;
}

hal_size_t zcmem__guard_largest(const struct zcmem__guard *guard) {
  hal_size_t largest = zcmem_heap_largest(guard->zones.heap);
  return largest > guard->zones.bytes ? largest - guard->zones.bytes : 0;
}

enum zcmem_status zcmem__guard_alloc(struct zcmem__guard *guard, hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  uint32_t id;
  if (addr == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__heap_take(guard->zones.heap, with_zone(guard, size), align, &id);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem__block *block = zcmem__block(guard->zones.heap, id);
  change_slack(guard, block, (uint32_t)guard->zones.bytes);
  if ((guard->flags & ZCMEM_REGION_HANDLES) != 0) {
    guard->generation += guard->generation == UINT32_MAX ? 2u : 1u; /* 0 is none */
    ZCMEM__PUT(block->tag, guard->generation);
  }
  if (guard->zones.bytes > 0) {
    zcmem__zone_draw_before(&guard->zones, block);
    zcmem__zone_draw_behind(&guard->zones, block);
  }
  tell_alloc(guard, block);
  *addr = zcmem__heap_addr(guard->zones.heap, block->start);
  return ZCMEM_OK;
}

void zcmem__guard_undo(struct zcmem__guard *guard, hal_addr_t addr) {
  tell_free(guard, zcmem__block(guard->zones.heap, zcmem__heap_find(guard->zones.heap, addr)));
  (void)zcmem_heap_free(guard->zones.heap, addr);
}

enum zcmem_status zcmem__guard_resize(struct zcmem__guard *guard, hal_addr_t addr, hal_size_t size) {
  struct zcmem__block *block = zcmem__block(guard->zones.heap, zcmem__heap_find(guard->zones.heap, addr));
  if (zcmem__block_state(block) != ZCMEM__LIVE) {
    return ZCMEM_ENOENT;
  }
  enum zcmem_status status = judge_zones(guard, block);
  if (status != ZCMEM_OK) {
    return status;
  }
  const struct zcmem__zone_extent was = zcmem__zone_extent(&guard->zones, block);
  change_slack(guard, block, 0u - (uint32_t)guard->zones.bytes);
  status = zcmem_heap_resize(guard->zones.heap, addr, with_zone(guard, size));
  change_slack(guard, block, (uint32_t)guard->zones.bytes);
  if (status == ZCMEM_OK && guard->zones.bytes > 0) {
    zcmem__zone_draw_behind(&guard->zones, block);
  }
  if (status == ZCMEM_OK && tracked(guard)) {
    zcmem__track_resize(guard->zones.host, zcmem__zone_host(&guard->zones, addr), (size_t)(was.rest - was.addr),
                        (size_t)size);
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------------ free -- */

/* Gives a CACHED block, whose slack is in no sum, to the heap. */
static void give_to_heap(struct zcmem__guard *guard, uint32_t id) {
  ZCMEM__PUT(zcmem__block(guard->zones.heap, id)->slack, 0u);
  zcmem__heap_release(guard->zones.heap, id);
}

/* The zone of a block that goes to the heap is made whole, since the next block relies on it (G2). */
static void look_at_last(struct zcmem__guard *guard, const struct zcmem__block *block) {
  uint64_t count = guard->late.count;
  if (guard->zones.bytes > 0) {
    zcmem__zone_look_behind(&guard->zones, block, ZCMEM_DAMAGE_FREED, &guard->late);
    if (guard->late.count != count) {
      zcmem__zone_draw_behind(&guard->zones, block);
    }
  }
}

/* Of what leaves the quarantine a bounded part is looked at, since others wait for the lock. */
static void let_out(struct zcmem__guard *guard) {
  uint32_t id = zcmem__quarantine_pop(&guard->quarantine, guard->zones.heap);
  const struct zcmem__block *block = zcmem__block(guard->zones.heap, id);
  const struct zcmem__zone_extent of = zcmem__zone_extent(&guard->zones, block);
  if (zcmem__quarantine_poisoned(block)) {
    hal_size_t size = of.rest - of.addr < LEAVE_LOOK ? of.rest - of.addr : LEAVE_LOOK;
    hal_size_t good = still_poisoned(guard, of.addr, size);
    if (good < size) {
      zcmem__zone_note(&guard->late, ZCMEM_DAMAGE_FREED, of.addr, of.addr + good);
    }
  }
  look_at_last(guard, block);
  give_to_heap(guard, id);
}

uint32_t zcmem__guard_drain(struct zcmem__guard *guard, uint32_t most) {
  uint32_t count = 0;
  while (count < most && guard->quarantine.blocks > 0) {
    let_out(guard);
    count++;
  }
  return count;
}

/* A block that has become CACHED. One for which too many others would have to leave does not come in. */
static void retire(struct zcmem__guard *guard, uint32_t id, bool poisoned) {
  struct zcmem__quarantine *quarantine = &guard->quarantine;
  const struct zcmem__block *block = zcmem__block(guard->zones.heap, id);
  tell_free(guard, block);
  guard->zones.heap->slack -= block->slack;
  if (block->size <= quarantine->most) {
    for (uint32_t left = 0; left < LEAVE_MOST && quarantine->kept > quarantine->most - block->size; left++) {
      let_out(guard);
    }
    if (quarantine->kept <= quarantine->most - block->size) {
      zcmem__quarantine_push(quarantine, guard->zones.heap, id, poisoned);
      return;
    }
  }
  look_at_last(guard, block);
  give_to_heap(guard, id);
}

/* What `use` becomes; ZCMEM__LIVE: the block stays, in use. */
static uint32_t use_after(uint32_t now, unsigned how) {
  if (now == ZCMEM__LIVE) {
    return (how & ZCMEM__GUARD_DOOM) != 0 ? ZCMEM__ZOMBIE | ZCMEM__TRANSFER : ZCMEM__CACHED;
  }
  return (how & ZCMEM__GUARD_DEFER) != 0 ? now ^ ZCMEM__LIVE ^ ZCMEM__ZOMBIE : ZCMEM__LIVE;
}

enum zcmem_status zcmem__guard_free(struct zcmem__guard *guard, hal_addr_t addr, const uint32_t *generation,
                                    unsigned how, struct zcmem__guard_freed *freed) {
  uint32_t id = zcmem__heap_find(guard->zones.heap, addr), wanted;
  struct zcmem__block *block = zcmem__block(guard->zones.heap, id);
  uint32_t now = ZCMEM__GET(block->use);
  if ((now & ZCMEM__STATE) != ZCMEM__LIVE || (generation != NULL && block->tag != *generation)) {
    return ZCMEM_ENOENT;
  }
  if (now != ZCMEM__LIVE && (how & ZCMEM__GUARD_DEFER) == 0) {
    return ZCMEM_EBUSY;
  }
  enum zcmem_status status = judge_zones(guard, block);
  if (status != ZCMEM_OK && (how & ZCMEM__GUARD_INSIST) == 0) {
    return status;
  }
  do { /* transfers may begin and end meanwhile; nobody else makes it anything but live */
    wanted = use_after(now, how);
    if (wanted == ZCMEM__LIVE) {
      return ZCMEM_EBUSY;
    }
  } while (!zcmem__heap_swap(guard->zones.heap, &block->use, &now, wanted));
  const struct zcmem__zone_extent of = zcmem__zone_extent(&guard->zones, block);
  *freed = (struct zcmem__guard_freed){.deferred = now != ZCMEM__LIVE, .requested = of.rest - of.addr};
  if (wanted == ZCMEM__CACHED) {
    retire(guard, id, false);
  }
  return ZCMEM_OK;
}

bool zcmem__guard_end(struct zcmem__guard *guard, hal_addr_t any, uint32_t one, bool poisoned) {
  uint32_t quantum;
  if (!zcmem__heap_quantum(guard->zones.heap, any, &quantum)) {
    return false;
  }
  uint32_t id = zcmem__index_holder(guard->zones.heap, quantum), now = ZCMEM__ZOMBIE + one;
  struct zcmem__block *block = zcmem__block(guard->zones.heap, id);
  if (ZCMEM__GET(block->use) != now || !zcmem__heap_swap(guard->zones.heap, &block->use, &now, ZCMEM__CACHED)) {
    return false;
  }
  retire(guard, id, poisoned);
  return true;
}

/* ---------------------------------------------------------------------------------------------------- checks -- */

static void check_live_zones(const struct zcmem__guard *guard, bool mend, struct zcmem_damage *damage) {
  uint32_t id = ZCMEM__NIL;
  while ((id = zcmem__link_id(zcmem__block(guard->zones.heap, id)->next)) != ZCMEM__NIL) {
    const struct zcmem__block *block = zcmem__block(guard->zones.heap, id);
    uint32_t state = ZCMEM__GET(block->use) & ZCMEM__STATE;
    if (state != ZCMEM__LIVE && state != ZCMEM__ZOMBIE) {
      continue;
    }
    zcmem__zone_look_before(&guard->zones, block, true, damage);
    zcmem__zone_look_behind(&guard->zones, block, ZCMEM_DAMAGE_BEHIND, damage);
    if (mend) {
      zcmem__zone_draw_before(&guard->zones, block);
      zcmem__zone_draw_behind(&guard->zones, block);
    }
  }
}

static void check_kept(const struct zcmem__guard *guard, bool mend, struct zcmem_damage *damage) {
  const struct zcmem__block *block;
  for (uint32_t id = guard->quarantine.first; id != ZCMEM__NIL; id = zcmem__quarantine_next(block)) {
    block = zcmem__block(guard->zones.heap, id);
    const struct zcmem__zone_extent of = zcmem__zone_extent(&guard->zones, block);
    if (zcmem__quarantine_poisoned(block)) { /* so the region has a host pointer */
      hal_size_t size = of.rest - of.addr, good = still_poisoned(guard, of.addr, size);
      if (good < size) {
        zcmem__zone_note(damage, ZCMEM_DAMAGE_FREED, of.addr, of.addr + good);
        if (mend) {
          zcmem__guard_poison(guard, of.addr, size);
        }
      }
    }
    if (guard->zones.bytes > 0) {
      zcmem__zone_look_behind(&guard->zones, block, ZCMEM_DAMAGE_FREED, damage);
      if (mend) {
        zcmem__zone_draw_behind(&guard->zones, block);
      }
    }
  }
}

enum zcmem_status zcmem__guard_check(struct zcmem__guard *guard, bool mend, struct zcmem_damage *damage) {
  *damage = guard->late;
  if (guard->zones.bytes > 0) {
    check_live_zones(guard, mend, damage);
  }
  check_kept(guard, mend, damage);
  if (mend) {
    guard->late = (struct zcmem_damage){.count = 0};
  }
  return damage->count == 0 ? ZCMEM_OK : ZCMEM_ECORRUPT;
}
