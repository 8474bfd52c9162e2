/* SPDX-License-Identifier: MIT */
/* L2. Resizing in place: the border between a live block and what is free behind it. Decided before the first store. */
#include "heap_ops.h"
#include "heap_parts.h"

/*
 * Moves the border between a live block and the free space behind it.
 *
 *   shrink  [ ---- this ---- ][ live ]  =>  [ this ][ --- free --- ][ live ]
 *           [ ---- this ---- ][ free ]  =>  [ this ][ ------- free ------- ]
 *   grow    [ this ][ ---- free ---- ]  =>  [ ----- this ----- ][ -- free -- ]   (or all of it)
 */
static void shrink(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t less) {
  heap->free_quanta += less;
  ZCMEM__PUT(block->size, block->size - less);
  if (zcmem__link_free(block->next)) {
    uint32_t next_id = zcmem__link_id(block->next);
    struct zcmem__block *next = zcmem__block(heap, next_id);
    ZCMEM__PUT(next->start, next->start - less);
    ZCMEM__PUT(next->size, next->size + less);
    zcmem__heap_hole_resize(heap, next, next_id, next->size - less, next->size);
    return;
  }
  uint32_t rest_id = zcmem__heap_take_descriptor(heap);
  struct zcmem__block *rest = zcmem__block(heap, rest_id);
  ZCMEM__PUT(rest->start, block->start + block->size);
  ZCMEM__PUT(rest->size, less);
  ZCMEM__PUT(rest->prev, zcmem__link_to(id, false));
  ZCMEM__PUT(rest->next, block->next);
  zcmem__heap_make_free(heap, rest, rest_id, less);
}

static void grow(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t more) {
  uint32_t next_id = zcmem__link_id(block->next);
  struct zcmem__block *next = zcmem__block(heap, next_id);
  uint32_t before = next->size;
  ZCMEM__PUT(block->size, block->size + more);
  heap->free_quanta -= more;
  if (before == more) {
    zcmem__heap_hole_remove(heap, next, before);
    heap->free_blocks--;
    ZCMEM__PUT(block->next, next->next);
    ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(next->next))->prev, zcmem__link_to(id, false));
    zcmem__heap_drop_descriptor(heap, next, next_id);
  } else {
    ZCMEM__PUT(next->start, next->start + more);
    ZCMEM__PUT(next->size, before - more);
    zcmem__heap_hole_resize(heap, next, next_id, before, before - more);
  }
}

/*
 * Size and slack are two words, and a block that a killed process leaves behind must have both as they were, or both
 * new (src/DESIGN.md, 17). So what they were is written down before the first of them changes. held: 0 or
 * ZCMEM__UNDO_HELD.
 */
ZCMEM__INLINE void begin_change(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t id, uint32_t held) {
  heap->undo_size = block->size;
  heap->undo_slack = block->slack;
  ZCMEM__PUT_LAST(heap->undo_id, id | held);
  ZCMEM__ORDER();
}

/* What was changed holds. Where the block is held, there is still that to be undone. */
ZCMEM__INLINE void end_change(struct zcmem_heap *heap, uint32_t id, uint32_t held) {
  ZCMEM__PUT_LAST(heap->undo_id, held == 0 ? ZCMEM__NIL : id | held | ZCMEM__UNDO_DONE);
}

/* As zcmem_heap_resize, of a live block that nobody else may take or free meanwhile; `use` is what it was. */
ZCMEM__HOT enum zcmem_status resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t use,
                                    hal_size_t size, uint32_t held) {
  uint32_t need;
  if (!zcmem__heap_quanta_of(heap, size, &need)) {
    return ZCMEM_ENOSPC;
  }
  if (use != ZCMEM__LIVE && size < zcmem__heap_bytes_of(heap, block->size) - block->slack) {
    return ZCMEM_EBUSY;
  }
  if (need > block->size) {
    uint32_t more = need - block->size;
    if (!zcmem__link_free(block->next) || zcmem__block(heap, zcmem__link_id(block->next))->size < more) {
      return zcmem__heap_no_room(heap, more);
    }
    begin_change(heap, block, id, held);
    grow(heap, block, id, more);
  } else if (need < block->size) {
    begin_change(heap, block, id, held);
    shrink(heap, block, id, block->size - need);
  }
  uint32_t slack = (uint32_t)(zcmem__heap_bytes_of(heap, need) - size);
  heap->slack += (uint64_t)slack - block->slack;
  ZCMEM__PUT(block->slack, slack);
  end_change(heap, id, held);
  return ZCMEM_OK;
}

/* One transfer more or less, and a new generation, in one swap: the generation tells a repair whether it was done. */
static bool swap_hold(struct zcmem__block *block, uint32_t use, uint32_t change) {
  const uint32_t generation = ZCMEM__GET(block->generation), now[2] = {use, generation},
                 wanted[2] = {use + change, zcmem__generation_after(generation)};
  return zcmem__bits_swap_pair(&block->use, now, wanted);
}

void zcmem__heap_let_go(struct zcmem__block *block) {
  while (!swap_hold(block, ZCMEM__GET(block->use), 0u - ZCMEM__TRANSFER)) {
  }
}

#ifdef ZCMEM__PAIRS
/* A use, and a new generation, keep those away that take a block by what they saw of it before. */
static enum zcmem_status resize_shared(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id,
                                       hal_size_t size) {
  uint32_t use;
  heap->undo_generation = ZCMEM__GET(block->generation);
  ZCMEM__PUT_LAST(heap->undo_id, id | ZCMEM__UNDO_HELD | ZCMEM__UNDO_DONE);
  ZCMEM__ORDER();
  enum zcmem_status status = ZCMEM_OK;
  do {
    use = ZCMEM__GET(block->use);
    if ((use & ZCMEM__STATE) != ZCMEM__LIVE) {
      status = ZCMEM_ENOENT;
    } else if ((use / ZCMEM__TRANSFER & ZCMEM__USE_MASK) == ZCMEM_MAX_PINS) {
      status = ZCMEM_EBUSY;
    }
  } while (status == ZCMEM_OK && !swap_hold(block, use, ZCMEM__TRANSFER));
  if (status == ZCMEM_OK) {
    status = resize(heap, block, id, use, size, ZCMEM__UNDO_HELD);
    ZCMEM__ORDER();
    zcmem__heap_let_go(block);
  }
  ZCMEM__PUT_LAST(heap->undo_id, ZCMEM__NIL);
  return status;
}
#else
/* Nobody uses a block without the lock, so none has to be kept away. */
static enum zcmem_status resize_shared(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id,
                                       hal_size_t size) {
  const uint32_t use = ZCMEM__GET(block->use);
  if ((use & ZCMEM__STATE) != ZCMEM__LIVE) {
    return ZCMEM_ENOENT;
  }
  return (use / ZCMEM__TRANSFER & ZCMEM__USE_MASK) == ZCMEM_MAX_PINS ? ZCMEM_EBUSY
                                                                     : resize(heap, block, id, use, size, 0);
}
#endif

enum zcmem_status zcmem_heap_resize(struct zcmem_heap *heap, hal_addr_t addr, hal_size_t size) {
  if (heap == NULL) {
    return ZCMEM_EINVAL;
  }
  uint32_t id = zcmem__heap_find(heap, addr);
  struct zcmem__block *block = zcmem__block(heap, id);
  if (heap->shared == ZCMEM__SHARED_NOT) {
    return zcmem__block_state(block) == ZCMEM__LIVE ? resize(heap, block, id, block->use, size, 0) : ZCMEM_ENOENT;
  }
  return resize_shared(heap, block, id, size);
}
