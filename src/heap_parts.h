/* SPDX-License-Identifier: MIT */
/*
 * L2. What allocation and resizing are both made of: descriptors, the tail and the holes before it, and the neighbours'
 * links.
 */
#ifndef ZCMEM_SRC_HEAP_PARTS_H
#define ZCMEM_SRC_HEAP_PARTS_H

#include "bin.h"
#include "heap_impl.h"

/* ---------------------------------------------------------------------------------------------- descriptors -- */

/* Cannot run out: see descriptors in heap_image.c; max_blocks is what is checked. */
ZCMEM__INLINE uint32_t zcmem__heap_take_descriptor(struct zcmem_heap *heap) {
  uint32_t id = heap->unused;
  if (ZCMEM__LIKELY(id != ZCMEM__NIL)) {
    heap->unused = zcmem__block(heap, id)->next;
    return id;
  }
  ZCMEM__ASSERT(heap->next_id < heap->at.descriptors * ZCMEM__ID);
  id = heap->next_id;
  heap->next_id = id + ZCMEM__ID;
  return id;
}

ZCMEM__INLINE void zcmem__heap_drop_descriptor(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id) {
  ZCMEM__PUT(block->use, ZCMEM__UNUSED);
  ZCMEM__PUT(block->next, heap->unused);
  heap->unused = id;
}

/*
 * The last block of the heap. Where it is free it is the tail, which is in no bin: the bins are for holes, and the tail
 * is cut only where no hole fits. What is allocated and freed at the end of the heap touches no bin at all.
 */
ZCMEM__INLINE bool zcmem__heap_is_last(const struct zcmem__block *block) {
  return block->next == ZCMEM__NIL;
}

/* The tail, ZCMEM__NIL: the last block is live. */
ZCMEM__INLINE uint32_t zcmem__heap_tail_of(const struct zcmem_heap *heap) {
  zcmem__link last = zcmem__block_const(heap, ZCMEM__NIL)->prev;
  return zcmem__link_free(last) ? zcmem__link_id(last) : ZCMEM__NIL;
}

/* As zcmem__bin_insert, _remove and _resize of a free block that may be the tail. */
ZCMEM__INLINE void zcmem__heap_hole_insert(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id,
                                           uint32_t size) {
  if (!zcmem__heap_is_last(block)) {
    zcmem__bin_insert(heap, block, id, size);
  }
}

ZCMEM__INLINE void zcmem__heap_hole_remove(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t size) {
  if (!zcmem__heap_is_last(block)) {
    zcmem__bin_remove(heap, block, size);
  }
}

ZCMEM__INLINE void zcmem__heap_hole_resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id,
                                           uint32_t before, uint32_t size) {
  if (!zcmem__heap_is_last(block)) {
    zcmem__bin_resize(heap, block, id, before, size);
  }
}

/* Tells both neighbours who stands beside them, and whether it is free. */
ZCMEM__INLINE void zcmem__heap_link_neighbours(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t id,
                                               bool is_free) {
  zcmem__link link = zcmem__link_to(id, is_free);
  ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(block->prev))->next, link);
  ZCMEM__PUT(zcmem__block(heap, zcmem__link_id(block->next))->prev, link);
}

/* Makes a block of `size` quanta between two live ones, whose links are right already, a free one. */
ZCMEM__INLINE void zcmem__heap_make_free(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id,
                                         uint32_t size) {
  ZCMEM__PUT(block->use, ZCMEM__FREE);
  ZCMEM__ORDER(); /* slack and tag may go only when the block is no more */
  heap->free_blocks++;
  zcmem__heap_link_neighbours(heap, block, id, true);
  zcmem__heap_hole_insert(heap, block, id, size);
}

/* Quanta for `size` bytes, one at least; false iff the heap, were it empty, would not have as many. */
ZCMEM__INLINE bool zcmem__heap_quanta_of(const struct zcmem_heap *heap, hal_size_t size, uint32_t *quanta) {
  uint64_t last = (size - (size != 0)) >> heap->at.quantum_shift;
  *quanta = (uint32_t)last + 1u;
  return last < heap->at.quanta;
}

static inline enum zcmem_status zcmem__heap_no_room(const struct zcmem_heap *heap, uint32_t need) {
  return need > heap->free_quanta ? ZCMEM_ENOSPC : ZCMEM_EFRAG;
}

#endif
