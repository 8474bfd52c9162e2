/* SPDX-License-Identifier: MIT */
#include "quarantine.h"

void zcmem__quarantine_push(struct zcmem__quarantine *quarantine, struct zcmem_heap *heap, uint32_t id, bool poisoned) {
  struct zcmem__block *block = zcmem__block(heap, id);
  ZCMEM__PUT(block->tag, poisoned ? ZCMEM__QUARANTINE_POISONED : 0u);
  if (quarantine->last == ZCMEM__NIL) {
    quarantine->first = id;
  } else {
    struct zcmem__block *last = zcmem__block(heap, quarantine->last);
    ZCMEM__PUT(last->tag, last->tag | id);
  }
  quarantine->last = id;
  quarantine->blocks++;
  quarantine->kept += block->size;
}

uint32_t zcmem__quarantine_pop(struct zcmem__quarantine *quarantine, struct zcmem_heap *heap) {
  uint32_t id = quarantine->first;
  const struct zcmem__block *block = zcmem__block(heap, id);
  quarantine->first = zcmem__quarantine_next(block);
  if (quarantine->first == ZCMEM__NIL) {
    quarantine->last = ZCMEM__NIL;
  }
  quarantine->blocks--;
  quarantine->kept -= block->size;
  return id;
}
