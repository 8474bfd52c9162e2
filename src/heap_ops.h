/* SPDX-License-Identifier: MIT */
/* L2. What the files of the heap share. */
#ifndef ZCMEM_SRC_HEAP_OPS_H
#define ZCMEM_SRC_HEAP_OPS_H

#include "heap_impl.h"
#include "index.h"

/* The block that starts at addr, free or live; ZCMEM__NIL: none. *start is its quantum, where there is one. */
ZCMEM__HOT uint32_t zcmem__heap_find_start(const struct zcmem_heap *heap, hal_addr_t addr, uint32_t *start) {
  uint64_t offset = addr - heap->at.base; /* wraps to something large for an address below */
  uint64_t quantum = offset >> heap->at.quantum_shift;
  *start = (uint32_t)quantum;
  if (ZCMEM__UNLIKELY(quantum >= heap->at.quanta || quantum << heap->at.quantum_shift != offset)) {
    return ZCMEM__NIL;
  }
  return zcmem__index_at(heap, *start);
}

ZCMEM__INLINE uint32_t zcmem__heap_find(const struct zcmem_heap *heap, hal_addr_t addr) {
  uint32_t start;
  return zcmem__heap_find_start(heap, addr, &start);
}

/* Makes a block that is in the chain but not free, and that nobody uses, free. */
void zcmem__heap_release(struct zcmem_heap *heap, uint32_t id);

/* The end of what keeps other threads from a block that is resized. */
void zcmem__heap_let_go(struct zcmem__block *block);

/*
 * As zcmem_heap_repair, where who uses a block is known from elsewhere: uses(ctx, id) is what `use` of the occupied
 * block has beside its state.
 */
typedef uint32_t zcmem__heap_uses(void *ctx, uint32_t id);
enum zcmem_status zcmem__heap_repair_with(void *image, size_t bytes, const struct zcmem_heap_config *config,
                                          uint32_t flags, zcmem__heap_uses *uses, void *ctx,
                                          struct zcmem_repair_info *info);

/* What a look-up needs of a live block. */
struct zcmem__extent {
  hal_addr_t addr;
  hal_size_t requested;
};

/* The live block that holds the address, as zcmem_heap_find; false: none. */
bool zcmem__heap_extent(const struct zcmem_heap *heap, hal_addr_t any, struct zcmem__extent *extent);

/* For the quick way, as long as the heap stays where it is. */
ZCMEM__INLINE struct zcmem__index_quick zcmem__heap_quick(const struct zcmem_heap *heap) {
  return (struct zcmem__index_quick){.bits = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[0]),
                                     .entries = zcmem__index_const(heap),
                                     .blocks = zcmem__block_const(heap, ZCMEM__NIL),
                                     .quantum_shift = heap->at.quantum_shift,
                                     .page_shift = (uint8_t)(heap->at.quantum_shift + heap->at.index_shift)};
}

/*
 * How many of the bytes that were requested for a live block, which starts where the offset is or before, there are
 * from the offset on: where it ends decides. Less than one, as a signed number: none.
 */
ZCMEM__HOT hal_size_t zcmem__heap_rest(const struct zcmem__block *block, uint32_t shift, uint32_t slack,
                                       uint64_t offset) {
  return ((uint64_t)(ZCMEM__GET(block->start) + ZCMEM__GET(block->size)) << shift) - slack - offset;
}

/*
 * The quick way, for an offset into the heap: how many of the bytes that were requested there are from it on, at least
 * one. False: none, or the quick way does not find them; zcmem__heap_extent tells.
 */
ZCMEM__HOT bool zcmem__heap_rest_quick(const struct zcmem__index_quick *quick, uint64_t offset, hal_size_t *rest) {
  const struct zcmem__block *block = zcmem__index_holder_quick(quick, offset);
  uint32_t use = ZCMEM__GET_FIRST(block->use);
  *rest = zcmem__heap_rest(block, quick->quantum_shift, ZCMEM__GET(block->slack), offset);
  return ZCMEM__LIKELY((int64_t)*rest > 0) && ZCMEM__LIKELY(zcmem__block_stays_live(block, use));
}

/*
 * The blocks that start at `from` or behind it, free ones too, in the order of addresses, and whose each is (the number
 * in its generation; 0 of one that is not live): how many, at most `most`, and 0 from the heap's end on.
 */
uint32_t zcmem__heap_list(const struct zcmem_heap *heap, hal_addr_t from, struct zcmem_block_info *infos,
                          uint8_t *owners, uint32_t most);

/*
 * Sums up the slack of all live blocks, where it is not kept up to date (ZCMEM__SHARED_PROCESSES); of what magazines
 * keep all is slack.
 */
void zcmem__heap_count_slack(struct zcmem_heap *heap);

/* Bytes that are not free. */
ZCMEM__INLINE hal_size_t zcmem__heap_in_use(const struct zcmem_heap *heap) {
  return zcmem__heap_bytes_of(heap, heap->at.quanta - heap->free_quanta);
}

/* As zcmem_heap_alloc; the answer is the descriptor. */
enum zcmem_status zcmem__heap_take(struct zcmem_heap *heap, hal_size_t size, hal_size_t align, uint32_t *id);

/* The same of a block for a magazine: CACHED with the store that makes it, so that it never was anybody's. */
enum zcmem_status zcmem__heap_take_cached(struct zcmem_heap *heap, uint32_t quanta, uint32_t *id);

/*
 * As zcmem_heap_free, of a thread that frees without the lock, too: while no other one does (ZCMEM__SHARED_ONE) it need
 * not swap. All that others do under the lock has to. On hosts whose words are too small for that (magazine.h) there
 * are no such threads.
 */
#if UINTPTR_MAX > UINT32_MAX
enum zcmem_status zcmem__heap_free_own(struct zcmem_heap *heap, hal_addr_t addr);
#else
ZCMEM__INLINE enum zcmem_status zcmem__heap_free_own(struct zcmem_heap *heap, hal_addr_t addr) {
  return zcmem_heap_free(heap, addr);
}
#endif

/* Makes *use, which was *now, `wanted`; false: it has changed, and *now is what it is. */
ZCMEM__INLINE bool zcmem__heap_swap(const struct zcmem_heap *heap, uint32_t *use, uint32_t *now, uint32_t wanted) {
  if (ZCMEM__UNLIKELY(heap->shared != ZCMEM__SHARED_NOT)) {
    return zcmem__bits_swap(use, now, wanted);
  }
  ZCMEM__PUT(*use, wanted);
  return true;
}

#endif
