/* SPDX-License-Identifier: MIT */
#include "seize.h"
#include "heap_ops.h"

/* Of the process that has the lock; 0: none, it is about to open the area. */
static uint32_t slot_of(const struct zcmem__shared *shared) {
  return ZCMEM__GET(shared->heap->owner) >> ZCMEM__OWNER_SHIFT;
}

uint64_t zcmem__seize_others(const struct zcmem__shared *shared) {
  const uint32_t mine = slot_of(shared);
  uint64_t quanta = 0;
  for (uint32_t slot = 1; slot <= shared->slots; slot++) {
    quanta += slot == mine ? 0 : ZCMEM__GET(shared->kept[slot - 1].quanta);
  }
  return quanta;
}

uint32_t zcmem__seize_threads(const struct zcmem__shared *shared) {
  uint32_t threads = 0;
  for (uint32_t slot = 0; slot < shared->slots; slot++) {
    threads += ZCMEM__GET(shared->kept[slot].threads);
  }
  return threads;
}

static bool is_kept(const struct zcmem__shared *shared) {
  uint32_t slot = 0;
  while (slot < shared->slots && ZCMEM__GET(shared->kept[slot].quanta) == 0) {
    slot++;
  }
  return slot < shared->slots;
}

bool zcmem__seize_block(struct zcmem_heap *heap, uint32_t id) {
  struct zcmem__block *block = zcmem__block(heap, id);
  uint32_t now = ZCMEM__GET(block->use);
  if (now != ZCMEM__CACHED || !zcmem__bits_swap(&block->use, &now, ZCMEM__FREE)) {
    return false;
  }
  zcmem__heap_release(heap, id);
  return true;
}

uint32_t zcmem__seize_all(struct zcmem__shared *shared, bool force) {
  struct zcmem_heap *heap = shared->heap;
  uint32_t count = 0;
  if (!force && !is_kept(shared)) {
    return 0;
  }
  (void)zcmem__atomic_count_up(shared->seized);
  atomic_thread_fence(memory_order_seq_cst);
  const uint32_t end = heap->next_id < shared->ids ? heap->next_id : shared->ids;
  for (uint32_t id = ZCMEM__ID; id < end; id += ZCMEM__ID) {
    count += zcmem__seize_block(heap, id);
  }
  for (uint32_t slot = 0; slot < shared->slots; slot++) {
    if (ZCMEM__GET(shared->kept[slot].quanta) != 0) { /* else it may be memory that was never touched */
      ZCMEM__PUT(shared->kept[slot].quanta, 0u);
    }
  }
  return count;
}

void zcmem__seize_tell(struct zcmem__shared *shared, uint32_t quanta, uint32_t threads) {
  const uint32_t slot = slot_of(shared);
  if (slot == 0 || slot > shared->slots) {
    return;
  }
  ZCMEM__PUT(shared->kept[slot - 1].quanta, quanta);
  ZCMEM__PUT(shared->kept[slot - 1].threads, threads);
}
