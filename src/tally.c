/* SPDX-License-Identifier: MIT */
#include "tally.h"
#include <string.h>

/* Where the tag's entry is, or belongs. */
static uint32_t place_of(const struct zcmem__tally *tally, uint32_t tag) {
  uint32_t low = 0, high = tally->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2u;
    if (tally->entries[middle].tag < tag) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  return low;
}

struct zcmem__tally_entry *zcmem__tally_find(const struct zcmem__tally *tally, uint32_t tag) {
  uint32_t place = place_of(tally, tag);
  return place < tally->count && tally->entries[place].tag == tag ? &tally->entries[place] : NULL;
}

/* The same, of a new one where there is room. */
static struct zcmem__tally_entry *find_or_add(struct zcmem__tally *tally, uint32_t tag) {
  uint32_t place = place_of(tally, tag);
  struct zcmem__tally_entry *at = tally->entries + place;
  if (place < tally->count && at->tag == tag) {
    return at;
  }
  if (tag == 0 || tally->count == tally->capacity) {
    return NULL;
  }
  memmove(at + 1, at, (tally->count - place) * sizeof *at);
  *at = (struct zcmem__tally_entry){.tag = tag};
  tally->count++;
  return at;
}

struct zcmem__tally_block zcmem__tally_look(const struct zcmem_heap *heap, hal_addr_t addr) {
  struct zcmem__tally_block found = {0, 0};
  const struct zcmem__block *block = zcmem__block_const(heap, zcmem__heap_find(heap, addr));
  if (zcmem__block_state(block) == ZCMEM__LIVE) {
    found.size = zcmem__heap_bytes_of(heap, ZCMEM__GET(block->size));
    found.tag = ZCMEM__GET(block->tag);
  }
  return found;
}

void zcmem__tally_enter(struct zcmem__tally *tally, uint32_t tag, uint64_t bytes, bool allocated) {
  struct zcmem__tally_entry *entry = find_or_add(tally, tag);
  if (entry != NULL) {
    entry->in_use += bytes;
    entry->peak = entry->in_use > entry->peak ? entry->in_use : entry->peak;
    entry->allocations += allocated;
  }
}

/* Less may be there where one thread set a tag while another one freed the block, which is a mistake. */
void zcmem__tally_leave(struct zcmem__tally *tally, uint32_t tag, uint64_t bytes) {
  struct zcmem__tally_entry *entry = zcmem__tally_find(tally, tag);
  if (entry != NULL) {
    entry->in_use -= bytes < entry->in_use ? bytes : entry->in_use;
  }
}

void zcmem__tally_refuse(struct zcmem__tally *tally, uint32_t tag, enum zcmem_status status) {
  struct zcmem__tally_entry *entry = find_or_add(tally, tag);
  if (entry != NULL) {
    entry->failed_space += status == ZCMEM_ENOSPC;
    entry->failed_fragmented += status == ZCMEM_EFRAG;
    entry->failed_blocks += status == ZCMEM_ENOMEM;
    entry->failed_invalid += status == ZCMEM_EINVAL;
  }
}
