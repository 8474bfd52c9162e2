/* SPDX-License-Identifier: MIT */
#include "seize.h"
#include "heap_ops.h"

bool zcmem__seize_block(struct zcmem_heap *heap, uint32_t id) {
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t now = ZCMEM__GET(block->use);
  if (now != ZCMEM__CACHED || !zcmem__bits_swap(&block->use, &now, ZCMEM__FREE)) {
    return false;
  }
  zcmem__heap_release(heap, id);
  return true;
}

static uint32_t seize(struct zcmem__shared *shared) {
  struct zcmem_heap *heap = shared->heap;
  uint32_t count = 0;
  (void)zcmem__atomic_count_up(shared->seized);
  atomic_thread_fence(memory_order_seq_cst);
  const uint32_t end = heap->next_id < shared->ids ? heap->next_id : shared->ids;
  for (uint32_t id = ZCMEM__ID; id < end; id += ZCMEM__ID) {
    count += zcmem__seize_block(heap, id);
  }
  for (uint32_t slot = 0; slot <= shared->slots; slot++) {
    if (ZCMEM__GET(shared->kept[slot].quanta) != 0) { /* else it may be memory that was never touched */
      ZCMEM__PUT(shared->kept[slot].quanta, 0u);
    }
  }
  return count;
}

uint32_t zcmem__seize_all(struct zcmem__shared *shared) {
  return ZCMEM__GET(shared->kept[0].quanta) == 0 ? 0 : seize(shared);
}

/* Each process's, then the sum: who is killed in between has the lock, and who repairs counts anew. */
static void set_kept(struct zcmem__shared *shared, uint32_t slot, uint32_t quanta, uint32_t threads) {
  struct zcmem__kept *all = &shared->kept[0], *of = &shared->kept[slot];
  const uint32_t more = quanta - of->quanta, more_threads = threads - of->threads;
  if (more != 0 || more_threads != 0) {
    ZCMEM__PUT(of->quanta, quanta);
    ZCMEM__PUT(of->threads, threads);
    ZCMEM__PUT(all->quanta, all->quanta + more);
    ZCMEM__PUT(all->threads, all->threads + more_threads);
  }
}

void zcmem__seize_tell(struct zcmem__shared *shared, uint32_t quanta, uint32_t threads) {
  const uint32_t slot = ZCMEM__GET(shared->heap->owner) >> ZCMEM__OWNER_SHIFT;
  if (slot != 0 && slot <= shared->slots) {
    set_kept(shared, slot, quanta, threads);
  }
}

void zcmem__seize_leave(struct zcmem__shared *shared, uint32_t slot) {
  set_kept(shared, slot, 0, 0);
}

void zcmem__seize_recover(struct zcmem__shared *shared) {
  uint32_t threads = 0;
  if (shared->heap->shared != ZCMEM__SHARED_PROCESSES) {
    return;
  }
  (void)seize(shared);
  for (uint32_t slot = 1; slot <= shared->slots; slot++) {
    threads += ZCMEM__GET(shared->kept[slot].threads);
  }
  ZCMEM__PUT(shared->kept[0].threads, threads);
}
