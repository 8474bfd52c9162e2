/* SPDX-License-Identifier: MIT */
/*
 * Images broken in one known way each, and what the checker must say about it. The tables are by topic, a file each.
 */
#ifndef ZCMEM_TESTS_DAMAGE_H
#define ZCMEM_TESTS_DAMAGE_H

#include "images.h"

#include "bin.h"
#include "heap_impl.h"
#include "index.h"
#include "unit.h"

struct damage {
  enum image_shape shape;
  void (*apply)(struct zcmem_heap *heap);
  const char *name;
  const char *broken; /* what zcmem_heap_check_detail names */
};

#define DAMAGE(shape, apply, broken)                                                                                   \
  { shape, apply, #apply, broken }

/* Each ends with an entry whose `apply` is NULL. */
extern const struct damage damage_chain[]; /* the header, the chain, what is counted: I1 ... I4, I8, I9 */
extern const struct damage damage_bins[];  /* bits and exact bins: I5 */
extern const struct damage damage_wide[];  /* wide bins: I5 ... I7 */
extern const struct damage damage_index[]; /* I10, I11 */

/* Of a descriptor's link. */
static inline struct zcmem__block *neighbour(struct zcmem_heap *heap, zcmem__link link) {
  return zcmem__block(heap, zcmem__link_id(link));
}

/* The first block of the chain in that state, of `least` quanta at least and not the last one; its id. */
static inline uint32_t find_block(struct zcmem_heap *heap, enum zcmem__state state, uint32_t least) {
  uint32_t id = zcmem__link_id(zcmem__block(heap, ZCMEM__NIL)->next);
  while (zcmem__block_state(zcmem__block(heap, id)) != state || zcmem__block(heap, id)->size < least) {
    id = zcmem__link_id(zcmem__block(heap, id)->next);
    assert_int_not_equal(id, ZCMEM__NIL);
  }
  assert_int_not_equal(zcmem__block(heap, id)->next, ZCMEM__NIL);
  return id;
}

/* Of a bin. */
static inline void flip_bit(struct zcmem_heap *heap, uint32_t bin) {
  heap->words[bin >> 6] ^= zcmem__bits_one(bin & 63u);
}

static inline struct zcmem__block *last_block(struct zcmem_heap *heap) {
  return neighbour(heap, zcmem__block(heap, ZCMEM__NIL)->prev);
}

#endif
