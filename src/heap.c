/* SPDX-License-Identifier: MIT */
/* L2. The heap: alloc, free, reserve; split and merge. Every path is decided before the first store. */
#include "bin.h"
#include "heap_impl.h"
#include "heap_ops.h"
#include "heap_parts.h"
#include "index.h"

/* ------------------------------------------------------------------------------------------- split and merge -- */

/*
 * Makes the whole of a block that is in no bin, `quanta` from `start` on, a live one for `size` bytes, or with `use`
 * CACHED one that nobody has. Its links are right already.
 */
ZCMEM__HOT void make_live(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t start,
                          uint32_t quanta, hal_size_t size, uint32_t use) {
  uint32_t slack = (uint32_t)(zcmem__heap_bytes_of(heap, quanta) - size);
  ZCMEM__PUT(block->slack, slack);
  ZCMEM__PUT(block->tag, 0u);
  ZCMEM__PUT(block->generation, ((ZCMEM__GET(block->generation) + 1u) & ZCMEM__GENERATION) | heap->owner);
  ZCMEM__PUT_LAST(block->use, use);
  heap->slack += slack;
  heap->free_quanta -= quanta;
  heap->live++;
  zcmem__index_add(heap, id, start);
}

/*
 * Gives `need` quanta from the start of a free block to a live one.
 *
 *   [ ------- free ------- ]  =>  [ made ][ -- free -- ]     the rest keeps its descriptor and, if it can, its bin
 *   [ free ]                  =>  [ made ]                   nothing left: the block itself is handed out
 */
ZCMEM__HOT uint32_t carve(struct zcmem_heap *heap, uint32_t id, uint32_t need, hal_size_t size, uint32_t use) {
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t before = block->size, start = block->start;
  if (before == need) {
    zcmem__heap_hole_remove(heap, block, before);
    heap->free_blocks--;
    zcmem__heap_link_neighbours(heap, block, id, false);
    make_live(heap, block, id, start, need, size, use);
    return id;
  }
  uint32_t made_id = zcmem__heap_take_descriptor(heap);
  struct zcmem__block *made = zcmem__block(heap, made_id);
  ZCMEM__PUT(made->start, start);
  ZCMEM__PUT(made->size, need);
  ZCMEM__PUT(made->prev, block->prev);
  ZCMEM__PUT(made->next, zcmem__link_to(id, true));
  ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(block->prev))->next, zcmem__link_to(made_id, false));
  ZCMEM__PUT(block->start, start + need);
  ZCMEM__PUT(block->size, before - need);
  ZCMEM__PUT(block->prev, zcmem__link_to(made_id, false));
  zcmem__heap_hole_resize(heap, block, id, before, before - need);
  make_live(heap, made, made_id, start, need, size, use);
  return made_id;
}

/*
 * Cuts a free block in two free ones, so that the second starts at an aligned place; the caller makes that one live
 * at once, since two free neighbours may not last.
 *
 *   [ -------- free -------- ]  =>  [ free ][ --- free --- ]
 */
static uint32_t split_free(struct zcmem_heap *heap, uint32_t id, uint32_t gap) {
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t before = block->size;
  uint32_t rest_id = zcmem__heap_take_descriptor(heap);
  struct zcmem__block *rest = zcmem__block(heap, rest_id);
  ZCMEM__PUT(rest->start, block->start + gap);
  ZCMEM__PUT(rest->size, before - gap);
  ZCMEM__PUT(rest->prev, zcmem__link_to(id, true));
  ZCMEM__PUT(rest->next, block->next);
  ZCMEM__PUT(rest->use, ZCMEM__FREE);
  ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(block->next))->prev, zcmem__link_to(rest_id, true));
  ZCMEM__PUT(block->next, zcmem__link_to(rest_id, true));
  ZCMEM__PUT(block->size, gap);
  heap->free_blocks++;
  if (zcmem__heap_is_last(rest)) { /* it was the tail; what is before its rest is a hole now */
    zcmem__bin_insert(heap, block, id, gap);
  } else {
    zcmem__bin_resize(heap, block, id, before, gap);
    zcmem__bin_insert(heap, rest, rest_id, rest->size);
  }
  return rest_id;
}
/*
 * Makes a block that is neither live nor free a free one and merges it with its free neighbours. Which there are its
 * own links say; a neighbour that is not free is only stored to, never read.
 *
 *   [ live ][ this ][ live ]  =>  [ live ][ this ][ live ]
 *   [ prev ][ this ][ live ]  =>  [ ---- prev --- ][ live ]
 *   [ live ][ this ][ next ]  =>  [ live ][ --- next ---- ]
 *   [ prev ][ this ][ next ]  =>  [ -------- prev ------- ]
 */
ZCMEM__HOT void merge(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id) {
  zcmem__link prev_link = block->prev, next_link = block->next;
  uint32_t size = block->size;
  if (zcmem__link_free(prev_link)) {
    uint32_t prev_id = zcmem__link_id(prev_link);
    struct zcmem__block *prev = zcmem__block(heap, prev_id);
    uint32_t before = prev->size;
    zcmem__heap_drop_descriptor(heap, block, id);
    if (zcmem__link_free(next_link)) {
      uint32_t next_id = zcmem__link_id(next_link);
      struct zcmem__block *next = zcmem__block(heap, next_id);
      zcmem__heap_hole_remove(heap, next, next->size);
      heap->free_blocks--;
      size += next->size;
      next_link = next->next;
      zcmem__heap_drop_descriptor(heap, next, next_id);
    }
    size += before;
    ZCMEM__PUT(prev->size, size);
    ZCMEM__PUT(prev->next, next_link);
    ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(next_link))->prev, prev_link);
    if (zcmem__heap_is_last(prev)) { /* a hole no more */
      zcmem__bin_remove(heap, prev, before);
    } else {
      zcmem__bin_resize(heap, prev, prev_id, before, size);
    }
  } else if (zcmem__link_free(next_link)) {
    uint32_t next_id = zcmem__link_id(next_link);
    struct zcmem__block *next = zcmem__block(heap, next_id);
    uint32_t before = next->size;
    ZCMEM__PUT(next->start, block->start);
    ZCMEM__PUT(next->size, before + size);
    ZCMEM__PUT(next->prev, prev_link);
    ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(prev_link))->next, next_link);
    zcmem__heap_drop_descriptor(heap, block, id);
    zcmem__heap_hole_resize(heap, next, next_id, before, before + size);
  } else {
    zcmem__heap_make_free(heap, block, id, size);
  }
}

/* Makes block `id`, which is live (or a zombie) and starts at `start`, a free one. */
ZCMEM__HOT void release(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t start) {
  uint32_t next = zcmem__link_id(block->next);
  if (zcmem__link_free(block->next)) { /* the next live one, for the index, stands behind it */
    next = zcmem__link_id(zcmem__block(heap, next)->next);
  }
  zcmem__index_remove(heap, id, start, next);
  heap->slack -= block->slack;
  heap->free_quanta += block->size;
  heap->live--;
  merge(heap, block, id);
}

void zcmem__heap_release(struct zcmem_heap *heap, uint32_t id) {
  struct zcmem__block *block = zcmem__block(heap, id);
  release(heap, block, id, block->start);
}

/* ------------------------------------------------------------------------------------------------- the calls -- */

/* An alignment above the quantum: the gap before the aligned start stays free. */
static ZCMEM__NOINLINE enum zcmem_status take_aligned(struct zcmem_heap *heap, hal_size_t size, uint32_t need,
                                                      hal_size_t align, uint32_t *taken) {
  uint64_t mask = (align >> heap->at.quantum_shift) - 1u;
  uint64_t offset = heap->at.base >> heap->at.quantum_shift;
  uint32_t id = zcmem__bin_fit_aligned(heap, need, offset, mask);
  if (id == ZCMEM__NIL) {
    id = zcmem__heap_tail_of(heap);
    if (id == ZCMEM__NIL || !zcmem__block_holds(zcmem__block(heap, id), need, offset, mask)) {
      return zcmem__heap_no_room(heap, need);
    }
  }
  uint32_t gap = (uint32_t)((0u - (offset + zcmem__block(heap, id)->start)) & mask);
  if (gap != 0) {
    id = split_free(heap, id, gap);
  }
  *taken = carve(heap, id, need, size, ZCMEM__LIVE);
  return ZCMEM_OK;
}

ZCMEM__HOT enum zcmem_status take(struct zcmem_heap *heap, hal_size_t size, hal_size_t align, uint32_t use,
                                  uint32_t *taken) {
  if (ZCMEM__UNLIKELY(!zcmem__bits_power_of_two(align))) {
    return ZCMEM_EINVAL;
  }
  if (ZCMEM__UNLIKELY(heap->live == heap->at.max_blocks)) {
    return ZCMEM_ENOMEM;
  }
  uint32_t need;
  if (ZCMEM__UNLIKELY(!zcmem__heap_quanta_of(heap, size, &need))) {
    return ZCMEM_ENOSPC;
  }
  if (ZCMEM__UNLIKELY(align >> heap->at.quantum_shift > 1u)) {
    return take_aligned(heap, size, need, align, taken);
  }
  uint32_t id = zcmem__bin_fit(heap, need);
  if (id == ZCMEM__NIL) {
    id = zcmem__heap_tail_of(heap);
    if (ZCMEM__UNLIKELY(zcmem__block(heap, id)->size < need)) { /* the sentinel's is 0 */
      return zcmem__heap_no_room(heap, need);
    }
  }
  *taken = carve(heap, id, need, size, use);
  return ZCMEM_OK;
}

enum zcmem_status zcmem__heap_take(struct zcmem_heap *heap, hal_size_t size, hal_size_t align, uint32_t *id) {
  return take(heap, size, align, ZCMEM__LIVE, id);
}

enum zcmem_status zcmem__heap_take_cached(struct zcmem_heap *heap, uint32_t quanta, uint32_t *id) {
  return take(heap, zcmem__heap_bytes_of(heap, quanta), 1, ZCMEM__CACHED, id);
}

enum zcmem_status zcmem_heap_alloc(struct zcmem_heap *heap, hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  uint32_t id;
  if (ZCMEM__UNLIKELY(heap == NULL || addr == NULL)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = take(heap, size, align, ZCMEM__LIVE, &id);
  if (ZCMEM__LIKELY(status == ZCMEM_OK)) {
    *addr = zcmem__heap_addr(heap, zcmem__block(heap, id)->start);
  }
  return status;
}

/* alone: nobody but this thread takes blocks without the lock, and it is here. */
ZCMEM__HOT enum zcmem_status free_block(struct zcmem_heap *heap, hal_addr_t addr, bool alone) {
  uint32_t start, id = zcmem__heap_find_start(heap, addr, &start);
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t now = ZCMEM__GET(block->use);
  while (ZCMEM__UNLIKELY(now != ZCMEM__LIVE || (!alone && !zcmem__bits_swap(&block->use, &now, ZCMEM__FREE)))) {
    if (now != ZCMEM__LIVE) {
      return (now & ZCMEM__STATE) == ZCMEM__LIVE ? ZCMEM_EBUSY : addr == HAL_NULLPTR ? ZCMEM_OK : ZCMEM_ENOENT;
    }
  }
  release(heap, block, id, start);
  return ZCMEM_OK;
}

enum zcmem_status zcmem_heap_free(struct zcmem_heap *heap, hal_addr_t addr) {
  return ZCMEM__UNLIKELY(heap == NULL) ? ZCMEM_EINVAL : free_block(heap, addr, heap->shared == ZCMEM__SHARED_NOT);
}

#if UINTPTR_MAX > UINT32_MAX
enum zcmem_status zcmem__heap_free_own(struct zcmem_heap *heap, hal_addr_t addr) {
  return free_block(heap, addr, heap->shared < ZCMEM__SHARED_MANY);
}
#endif

enum zcmem_status zcmem_heap_reserve(struct zcmem_heap *heap, hal_addr_t at, hal_size_t size) {
  if (heap == NULL || (at & (zcmem__heap_bytes_of(heap, 1) - 1u)) != 0) {
    return ZCMEM_EINVAL;
  }
  uint32_t start, need;
  if (!zcmem__heap_quantum(heap, at, &start) || !zcmem__heap_quanta_of(heap, size, &need) ||
      need > heap->at.quanta - start) {
    return ZCMEM_EBOUNDS;
  }
  if (heap->live == heap->at.max_blocks) {
    return ZCMEM_ENOMEM;
  }
  uint32_t id = zcmem__index_holder(heap, start);
  const struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t gap = start - block->start;
  if (ZCMEM__GET(block->use) != ZCMEM__FREE || need > block->size - gap) {
    return ZCMEM_EOVERLAP;
  }
  if (gap != 0) {
    id = split_free(heap, id, gap);
  }
  (void)carve(heap, id, need, size, ZCMEM__LIVE);
  return ZCMEM_OK;
}

hal_size_t zcmem_heap_largest(const struct zcmem_heap *heap) {
  if (heap == NULL || heap->live == heap->at.max_blocks) {
    return 0;
  }
  uint32_t hole = zcmem__bin_largest(heap), tail = zcmem__block_const(heap, zcmem__heap_tail_of(heap))->size;
  return zcmem__heap_bytes_of(heap, hole > tail ? hole : tail);
}
