/* SPDX-License-Identifier: MIT */
/* L1. The bins' rare and longer paths: pages, the heap order, the search for a fit. See bin.h. */
#include "bin.h"

static uint32_t page_of(uint32_t slot) { return slot / ZCMEM__PAGE; }

uint32_t zcmem__bin_new_page(struct zcmem_heap *heap, uint32_t bin, uint32_t last) {
  uint32_t page = heap->unused_page;
  if (page != ZCMEM__NIL) {
    heap->unused_page = zcmem__bin_page(heap, page)->next;
  } else {
    page = heap->pages++;
  }
  ZCMEM__ASSERT(page < heap->at.pages);

  /* Breadth first: the next parent is the slot behind the last page's parent. The root's is the first page itself. */
  uint32_t before = last == bin ? ZCMEM__NIL : page_of(last);
  uint32_t parent = bin;
  if (before != ZCMEM__NIL) {
    uint32_t previous = zcmem__bin_page(heap, before)->parent;
    if (previous == bin) {
      parent = before * ZCMEM__PAGE;
    } else if (previous % ZCMEM__PAGE != ZCMEM__PAGE - 1u) {
      parent = previous + 1u;
    } else {
      parent = zcmem__bin_page(heap, page_of(previous))->next * ZCMEM__PAGE;
    }
    zcmem__bin_page(heap, before)->next = page;
  }
  *zcmem__bin_page(heap, page) = (struct zcmem__bin_page){.parent = parent, .prev = before};
  zcmem__bin_child(heap)[parent] = page;
  return page * ZCMEM__PAGE;
}

uint32_t zcmem__bin_drop_page(struct zcmem_heap *heap, uint32_t bin, uint32_t slot) {
  uint32_t page = page_of(slot);
  struct zcmem__bin_page *dropped = zcmem__bin_page(heap, page);
  uint32_t before = dropped->prev;
  zcmem__bin_child(heap)[dropped->parent] = ZCMEM__NIL;
  dropped->next = heap->unused_page;
  heap->unused_page = page;
  if (before == ZCMEM__NIL) {
    return bin;
  }
  zcmem__bin_page(heap, before)->next = ZCMEM__NIL;
  return before * ZCMEM__PAGE + ZCMEM__PAGE - 1u;
}

static void swap(struct zcmem_heap *heap, uint32_t a, uint32_t b) {
  uint64_t *entry = zcmem__bin_entries(heap);
  uint64_t held = entry[a];
  entry[a] = entry[b];
  entry[b] = held;
  zcmem__block(heap, zcmem__bin_id(entry[a]))->slot = a;
  zcmem__block(heap, zcmem__bin_id(entry[b]))->slot = b;
}

/* The slot of the page's largest entry. */
static uint32_t largest_of_page(const uint64_t *entry, uint32_t page) {
  uint32_t best = page * ZCMEM__PAGE;
  for (uint32_t slot = best + 1u; slot < (page + 1u) * ZCMEM__PAGE; slot++) {
    best = entry[slot] > entry[best] ? slot : best;
  }
  return best;
}

void zcmem__bin_reorder(struct zcmem_heap *heap, uint32_t bin, uint32_t slot) {
  const uint64_t *entry = zcmem__bin_entries(heap);
  const uint32_t *child = zcmem__bin_child(heap);
  while (slot != bin) {
    ZCMEM__STEP();
    uint32_t parent = zcmem__bin_page(heap, page_of(slot))->parent;
    if (zcmem__bin_size(entry[parent]) >= zcmem__bin_size(entry[slot])) {
      break;
    }
    swap(heap, parent, slot);
    slot = parent;
  }
  while (child[slot] != ZCMEM__NIL) {
    ZCMEM__STEP();
    uint32_t below = largest_of_page(entry, child[slot]);
    if (zcmem__bin_size(entry[below]) <= zcmem__bin_size(entry[slot])) {
      break;
    }
    swap(heap, below, slot);
    slot = below;
  }
}

/*
 * The least of `best` and what is too large by how much in the page: entry - (need << 32) wraps to something huge
 * where an entry is too small or vacant, so that one unsigned comparison does for "fits" and "smaller".
 */
static uint64_t least_excess(const uint64_t *entry, uint64_t need, uint64_t best) {
  for (uint32_t i = 0; i < ZCMEM__PAGE; i++) {
    uint64_t excess = entry[i] - need;
    best = excess < best ? excess : best;
  }
  return best;
}

/*
 * Looks at the last two pages of a wide bin: the newest and, in a max-heap, the smaller blocks. The root is a fit at
 * hand in case that none is there. The caller knows that the root fits.
 */
static uint32_t probe(struct zcmem_heap *heap, uint32_t bin, uint32_t need) {
  const uint64_t *entry = zcmem__bin_entries(heap);
  uint64_t key = zcmem__bin_key(need, 0);
  uint64_t best = entry[bin] - key;
  uint32_t last = zcmem__bin_last(heap)[bin];
  if (last != bin) {
    uint32_t page = page_of(last);
    ZCMEM__STEP();
    best = least_excess(entry + page * ZCMEM__PAGE, key, best);
    uint32_t before = zcmem__bin_page(heap, page)->prev;
    if (before != ZCMEM__NIL && zcmem__bin_size(best) != 0) {
      ZCMEM__STEP();
      best = least_excess(entry + before * ZCMEM__PAGE, key, best);
    }
  }
  return zcmem__bin_id(best);
}

uint32_t zcmem__bin_fit(struct zcmem_heap *heap, uint32_t need) {
  uint32_t bin = zcmem__sizeclass_bin(need);
  if (bin >= ZCMEM__BIN_WIDE) {
    if (zcmem__bin_size(zcmem__bin_entries(heap)[bin]) >= need) {
      return probe(heap, bin, need);
    }
    bin++;
  }
  bin = zcmem__bin_next(heap, bin);
  if (bin == ZCMEM__NIL) {
    return ZCMEM__NIL;
  }
  if (bin < ZCMEM__BIN_WIDE) {
    return zcmem__bin_id(zcmem__bin_entries(heap)[zcmem__bin_last(heap)[bin]]);
  }
  return probe(heap, bin, need);
}

/* Whether the free block holds `need` quanta from an aligned start on. */
static bool holds_aligned(const struct zcmem__block *block, uint32_t need, uint64_t offset, uint64_t mask) {
  uint64_t gap = (0u - (block->start + offset)) & mask;
  return gap + need <= block->size;
}

static uint32_t probe_aligned(struct zcmem_heap *heap, uint32_t bin, uint32_t need, uint64_t offset, uint64_t mask) {
  const uint64_t *entry = zcmem__bin_entries(heap);
  uint32_t last = zcmem__bin_last(heap)[bin];
  uint64_t best = ~(uint64_t)0;
  for (uint32_t slot = last, looked = 0; looked < 2u * ZCMEM__PAGE && slot != ZCMEM__NIL; looked++) {
    ZCMEM__STEP();
    uint64_t key = entry[slot];
    if (zcmem__bin_size(key) >= need && key < best &&
        holds_aligned(zcmem__block_const(heap, zcmem__bin_id(key)), need, offset, mask)) {
      best = key;
    }
    if (slot == bin) {
      break;
    }
    if (slot % ZCMEM__PAGE != 0) {
      slot--;
    } else {
      uint32_t before = zcmem__bin_page(heap, page_of(slot))->prev;
      slot = before == ZCMEM__NIL ? bin : before * ZCMEM__PAGE + ZCMEM__PAGE - 1u;
    }
  }
  return best == ~(uint64_t)0 ? ZCMEM__NIL : zcmem__bin_id(best);
}

uint32_t zcmem__bin_fit_aligned(struct zcmem_heap *heap, uint32_t need, uint64_t offset, uint64_t mask) {
  uint32_t bin = zcmem__sizeclass_bin(need), id = ZCMEM__NIL;
  /* Candidates as they are: the request's own bin, then the next that is not empty. */
  bin = zcmem__bin_next(heap, bin);
  for (uint32_t tries = 0; tries < 2u && bin != ZCMEM__NIL && id == ZCMEM__NIL; tries++) {
    id = probe_aligned(heap, bin, need, offset, mask);
    bin = zcmem__bin_next(heap, bin + 1u);
  }
  if (id == ZCMEM__NIL && need + mask <= heap->at.quanta) {
    id = zcmem__bin_fit(heap, (uint32_t)(need + mask)); /* whatever its start, this one holds it */
  }
  return id;
}

uint32_t zcmem__bin_largest(const struct zcmem_heap *heap) {
  if (heap->summary == 0) {
    return 0;
  }
  uint32_t word = zcmem__bits_high(heap->summary);
  uint32_t bin = word << 5 | zcmem__bits_high(heap->words[word]);
  return zcmem__bin_size(ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.entry_at)[bin]);
}
