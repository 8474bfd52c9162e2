/* SPDX-License-Identifier: MIT */
/* L2. What is asked of live blocks, and who uses them: find, walk, pins, transfers, deferred free. */
#include "heap_impl.h"
#include "heap_ops.h"
#include "index.h"

/* Loads each word once: a look-up without the lock comes here, too (see zcmem_heap_find). */
static void fill_info(const struct zcmem_heap *heap, uint32_t id, struct zcmem_block_info *info) {
  const struct zcmem__block *block = zcmem__block_const(heap, id);
  uint32_t use = ZCMEM__GET_FIRST(block->use), state = use & ZCMEM__STATE;
  bool is_owned = state == ZCMEM__LIVE || state == ZCMEM__ZOMBIE;
  info->tag = is_owned ? ZCMEM__GET_FIRST(block->tag) : 0; /* before the slack: see zcmem_heap_find */
  info->addr = zcmem__heap_addr(heap, ZCMEM__GET(block->start));
  info->size = zcmem__heap_bytes_of(heap, ZCMEM__GET(block->size));
  info->requested = is_owned ? info->size - ZCMEM__GET(block->slack) : 0;
  info->state = state == ZCMEM__LIVE     ? ZCMEM_BLOCK_LIVE
                : state == ZCMEM__FREE   ? ZCMEM_BLOCK_FREE
                : state == ZCMEM__ZOMBIE ? ZCMEM_BLOCK_ZOMBIE
                                         : ZCMEM_BLOCK_CACHED;
  info->pins = is_owned ? use / ZCMEM__PIN & ZCMEM__USE_MASK : 0;
  info->transfers = is_owned ? use / ZCMEM__TRANSFER & ZCMEM__USE_MASK : 0;
}

/* The block, free or not, that holds the address; ZCMEM__NIL: the heap does not manage it. */
static uint32_t holder(const struct zcmem_heap *heap, hal_addr_t any) {
  uint32_t quantum;
  return zcmem__heap_quantum(heap, any, &quantum) ? zcmem__index_holder(heap, quantum) : ZCMEM__NIL;
}

bool zcmem__heap_extent(const struct zcmem_heap *heap, hal_addr_t any, struct zcmem__extent *extent) {
  const struct zcmem__block *block = zcmem__block_const(heap, holder(heap, any));
  uint32_t use = ZCMEM__GET_FIRST(block->use);
  extent->addr = zcmem__heap_addr(heap, ZCMEM__GET(block->start));
  extent->requested = zcmem__heap_bytes_of(heap, ZCMEM__GET(block->size)) - ZCMEM__GET(block->slack);
  return zcmem__block_stays_live(block, use); /* the sentinel's is unused */
}

enum zcmem_status zcmem_heap_find(const struct zcmem_heap *heap, hal_addr_t any, struct zcmem_block_info *info) {
  if (heap == NULL || info == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_block_info found;
  uint32_t id = holder(heap, any);
  const struct zcmem__block *block = zcmem__block_const(heap, id);
  fill_info(heap, id, &found);
  if (found.state != ZCMEM_BLOCK_LIVE) { /* the sentinel's is unused, which is told as cached */
    return ZCMEM_ENOENT;
  }
  /* Where a block comes out of a magazine its tag becomes 0; another one comes only with another version. */
  bool stays = zcmem__block_stays_live(block, ZCMEM__LIVE);
  ZCMEM__GET_NEXT();
  if (!stays || ZCMEM__GET(block->tag) != found.tag) {
    return ZCMEM_ENOENT;
  }
  *info = found;
  return ZCMEM_OK;
}

enum zcmem_status zcmem_heap_get_info(const struct zcmem_heap *heap, struct zcmem_heap_info *info) {
  if (heap == NULL || info == NULL) {
    return ZCMEM_EINVAL;
  }
  info->base = heap->at.base;
  info->size = zcmem__heap_bytes_of(heap, heap->at.quanta);
  info->quantum = zcmem__heap_bytes_of(heap, 1);
  info->free = zcmem__heap_bytes_of(heap, heap->free_quanta);
  info->requested = info->size - info->free - heap->slack;
  info->live = heap->live;
  info->free_blocks = heap->free_blocks;
  info->max_blocks = heap->at.max_blocks;
  info->image_bytes = (size_t)heap->at.bytes;
  return ZCMEM_OK;
}

static uint32_t next_of(const struct zcmem_heap *heap, uint32_t id) {
  return zcmem__link_id(zcmem__block_const(heap, id)->next);
}

enum zcmem_status zcmem_heap_walk(const struct zcmem_heap *heap,
                                  bool (*visit)(void *ctx, const struct zcmem_block_info *info), void *ctx) {
  if (heap == NULL || visit == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_block_info info;
  for (uint32_t id = next_of(heap, ZCMEM__NIL); id != ZCMEM__NIL; id = next_of(heap, id)) {
    fill_info(heap, id, &info);
    if (!visit(ctx, &info)) {
      break;
    }
  }
  return ZCMEM_OK;
}

void zcmem__heap_count_slack(struct zcmem_heap *heap) {
  uint64_t slack = 0;
  if (heap->shared != ZCMEM__SHARED_PROCESSES) {
    return;
  }
  for (uint32_t id = next_of(heap, ZCMEM__NIL); id != ZCMEM__NIL; id = next_of(heap, id)) {
    const struct zcmem__block *block = zcmem__block_const(heap, id);
    const uint32_t use = ZCMEM__GET(block->use);
    slack += zcmem__use_cached(use) ? zcmem__heap_bytes_of(heap, block->size)
             : use == ZCMEM__FREE   ? 0
                                    : ZCMEM__GET(block->slack);
  }
  heap->slack = slack;
}

uint32_t zcmem__heap_list(const struct zcmem_heap *heap, hal_addr_t from, struct zcmem_block_info *infos,
                          uint8_t *owners, uint32_t most) {
  uint32_t id = holder(heap, from), count = 0;
  if (id != ZCMEM__NIL && zcmem__heap_addr(heap, zcmem__block_const(heap, id)->start) < from) {
    id = next_of(heap, id);
  }
  for (; id != ZCMEM__NIL && count < most; id = next_of(heap, id)) {
    fill_info(heap, id, &infos[count]);
    bool is_owned = infos[count].state == ZCMEM_BLOCK_LIVE || infos[count].state == ZCMEM_BLOCK_ZOMBIE;
    uint32_t generation = ZCMEM__GET(zcmem__block_const(heap, id)->generation);
    owners[count++] = (uint8_t)(is_owned ? generation >> ZCMEM__OWNER_SHIFT : 0);
  }
  return count;
}

enum zcmem_status zcmem_heap_set_tag(struct zcmem_heap *heap, hal_addr_t addr, uint32_t tag) {
  if (heap == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem__block *block = zcmem__block(heap, zcmem__heap_find(heap, addr));
  if (zcmem__block_state(block) != ZCMEM__LIVE) {
    return ZCMEM_ENOENT;
  }
  ZCMEM__PUT(block->tag, tag);
  return ZCMEM_OK;
}

/* The count of pins or transfers, whose unit in `use` is `one`. */
static uint32_t count_of(uint32_t use, uint32_t one) {
  return use / one & ZCMEM__USE_MASK;
}

static enum zcmem_status use_block(struct zcmem_heap *heap, uint32_t id, uint32_t one) {
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t now = ZCMEM__GET(block->use);
  do {
    if ((now & ZCMEM__STATE) != ZCMEM__LIVE) {
      return ZCMEM_ENOENT;
    }
    if (count_of(now, one) == ZCMEM_MAX_PINS) {
      return ZCMEM_EBUSY;
    }
  } while (!zcmem__heap_swap(heap, &block->use, &now, now + one));
  return ZCMEM_OK;
}

static enum zcmem_status unuse(struct zcmem_heap *heap, hal_addr_t any, uint32_t one, bool *freed) {
  if (heap == NULL) {
    return ZCMEM_EINVAL;
  }
  uint32_t id = holder(heap, any);
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t now = ZCMEM__GET(block->use);
  do {
    if ((now & ZCMEM__STATE) != ZCMEM__LIVE && (now & ZCMEM__STATE) != ZCMEM__ZOMBIE) {
      return ZCMEM_ENOENT;
    }
    if (count_of(now, one) == 0) {
      return ZCMEM_EBUSY;
    }
  } while (!zcmem__heap_swap(heap, &block->use, &now, now - one));
  bool last = now - one == ZCMEM__ZOMBIE;
  if (last) {
    zcmem__heap_release(heap, id);
  }
  if (freed != NULL) {
    *freed = last;
  }
  return ZCMEM_OK;
}

enum zcmem_status zcmem_heap_pin(struct zcmem_heap *heap, hal_addr_t any) {
  return heap == NULL ? ZCMEM_EINVAL : use_block(heap, holder(heap, any), ZCMEM__PIN);
}

enum zcmem_status zcmem_heap_unpin(struct zcmem_heap *heap, hal_addr_t any, bool *freed) {
  return unuse(heap, any, ZCMEM__PIN, freed);
}

/* Whether the range, whose beginning is in the block, is in the bytes that were requested for it. */
static bool in_bounds(const struct zcmem_heap *heap, const struct zcmem__block *block, hal_addr_t any,
                      hal_size_t size) {
  uint64_t requested = zcmem__heap_bytes_of(heap, block->size) - ZCMEM__GET(block->slack);
  uint64_t offset = any - zcmem__heap_addr(heap, block->start);
  return offset <= requested && size <= requested - offset;
}

enum zcmem_status zcmem_heap_begin_transfer(struct zcmem_heap *heap, hal_addr_t any, hal_size_t size,
                                            struct zcmem_block_info *info) {
  if (heap == NULL) {
    return ZCMEM_EINVAL;
  }
  uint32_t id = holder(heap, any);
  const struct zcmem__block *block = zcmem__block(heap, id);
  if (zcmem__block_state(block) != ZCMEM__LIVE) {
    return ZCMEM_ENOENT;
  }
  if (!in_bounds(heap, block, any, size)) {
    return ZCMEM_EBOUNDS;
  }
  enum zcmem_status status = use_block(heap, id, ZCMEM__TRANSFER);
  /* Through a magazine it may have become another's meanwhile, who asked for less. */
  if (status == ZCMEM_OK && heap->shared != ZCMEM__SHARED_NOT && !in_bounds(heap, block, any, size)) {
    (void)unuse(heap, any, ZCMEM__TRANSFER, NULL);
    return ZCMEM_EBOUNDS;
  }
  if (status == ZCMEM_OK && info != NULL) {
    fill_info(heap, id, info);
  }
  return status;
}

enum zcmem_status zcmem_heap_end_transfer(struct zcmem_heap *heap, hal_addr_t any, bool *freed) {
  return unuse(heap, any, ZCMEM__TRANSFER, freed);
}

enum zcmem_status zcmem_heap_free_deferred(struct zcmem_heap *heap, hal_addr_t addr, bool *deferred) {
  enum zcmem_status status;
  bool waits = false;
  /* Whoever else ends the last use, or frees the block, between the two looks makes the second one fail. */
  while ((status = zcmem_heap_free(heap, addr)) == ZCMEM_EBUSY && !waits) {
    struct zcmem__block *block = zcmem__block(heap, zcmem__heap_find(heap, addr));
    uint32_t now = ZCMEM__GET(block->use);
    waits = (now & ZCMEM__STATE) == ZCMEM__LIVE && now != ZCMEM__LIVE &&
            zcmem__heap_swap(heap, &block->use, &now, now ^ ZCMEM__LIVE ^ ZCMEM__ZOMBIE);
    if (waits) {
      status = ZCMEM_OK;
      break;
    }
  }
  if (status == ZCMEM_OK && deferred != NULL) {
    *deferred = waits;
  }
  return status;
}
