/* SPDX-License-Identifier: MIT */
/* L1. Wide bins. See wide.h. */
#include "wide.h"

#include "bin.h"

static struct zcmem__wide_bin *bin_at(struct zcmem_heap *heap, uint32_t bin) {
  return ZCMEM__TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at) + (bin - ZCMEM__BIN_WIDE);
}

static const struct zcmem__wide_bin *bin_const(const struct zcmem_heap *heap, uint32_t bin) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at) + (bin - ZCMEM__BIN_WIDE);
}

static uint64_t *entries_of(struct zcmem_heap *heap) { return ZCMEM__TABLE(uint64_t, heap, heap->at.entries_at); }

static const uint64_t *entries_const(const struct zcmem_heap *heap) {
  return ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.entries_at);
}

/* The bin's first page. */
static uint32_t first_page(uint32_t bin) { return bin - ZCMEM__BIN_WIDE; }

/* The slot of the bin's newest block; it has one. */
static uint32_t newest(const struct zcmem_heap *heap, uint32_t bin) {
  const struct zcmem__wide_bin *at = bin_const(heap, bin);
  return (at->tail + first_page(bin)) * ZCMEM__PAGE + ((at->count - 1u) & (ZCMEM__PAGE - 1u));
}

static uint32_t page_of(uint32_t slot) { return slot / ZCMEM__PAGE; }

static struct zcmem__wide_page *page_at(struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__TABLE(struct zcmem__wide_page, heap, heap->at.pages_at) + page;
}

static const struct zcmem__wide_page *page_const(const struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_page, heap, heap->at.pages_at) + page;
}

/* Where the page of children of a slot is named. */
static uint32_t *child_of(struct zcmem_heap *heap, uint32_t slot) {
  return &page_at(heap, page_of(slot))->child[slot % ZCMEM__PAGE];
}

/* Begins a page behind the bin's last one. */
static void push_page(struct zcmem_heap *heap, uint32_t bin) {
  uint32_t page = heap->unused_page;
  if (page != ZCMEM__NIL) {
    heap->unused_page = page_at(heap, page)->next;
  } else {
    page = heap->pages++;
  }
  ZCMEM__ASSERT(page < heap->at.pages);

  /* Breadth first: the next parent is the slot behind the last page's parent; the first one is the bin's first. */
  struct zcmem__wide_bin *at = bin_at(heap, bin);
  uint32_t first = first_page(bin), before = at->tail + first, parent = first * ZCMEM__PAGE;
  if (before != first) {
    parent = page_at(heap, before)->parent;
    parent = parent % ZCMEM__PAGE != ZCMEM__PAGE - 1u ? parent + 1u
                                                      : page_at(heap, page_of(parent))->next * ZCMEM__PAGE;
  }
  page_at(heap, before)->next = page;
  *page_at(heap, page) = (struct zcmem__wide_page){.parent = parent, .prev = before};
  *child_of(heap, parent) = page;
  at->tail = page - first;
}

/* Gives the bin's last page back, which is empty. */
static void pop_page(struct zcmem_heap *heap, uint32_t bin) {
  struct zcmem__wide_bin *at = bin_at(heap, bin);
  uint32_t page = at->tail + first_page(bin);
  struct zcmem__wide_page *popped = page_at(heap, page);
  page_at(heap, popped->prev)->next = ZCMEM__NIL;
  *child_of(heap, popped->parent) = ZCMEM__NIL;
  at->tail = popped->prev - first_page(bin);
  popped->next = heap->unused_page;
  heap->unused_page = page;
}

/* Puts the entry, a block's, into the slot. */
static void place(struct zcmem_heap *heap, uint32_t slot, uint64_t entry) {
  entries_of(heap)[slot] = entry;
  zcmem__block(heap, zcmem__wide_id(entry))->bin_prev = slot;
}

/* Restores the order of the max-heap from `slot` on, whose entry is new or has changed. */
static void reorder(struct zcmem_heap *heap, uint32_t slot) {
  const uint64_t *entries = entries_of(heap);
  const uint64_t entry = entries[slot];
  const uint32_t first = slot;
  while (page_of(slot) >= heap->at.wide_bins) { /* up, past smaller parents; a bin's first page has none */
    ZCMEM__STEP();
    uint32_t parent = page_at(heap, page_of(slot))->parent;
    if (zcmem__wide_size(entries[parent]) >= zcmem__wide_size(entry)) {
      break;
    }
    place(heap, slot, entries[parent]);
    slot = parent;
  }
  for (uint32_t child; (child = *child_of(heap, slot)) != ZCMEM__NIL;) { /* down, past larger children */
    ZCMEM__STEP();
    uint32_t best = child * ZCMEM__PAGE;
    for (uint32_t i = best + 1u, end = best + ZCMEM__PAGE; i < end; i++) {
      best = entries[i] > entries[best] ? i : best;
    }
    if (zcmem__wide_size(entries[best]) <= zcmem__wide_size(entry)) {
      break;
    }
    place(heap, slot, entries[best]);
    slot = best;
  }
  if (slot != first) {
    place(heap, slot, entry);
  }
}

/* Whether the order matters: there is more than the first page, which is searched as it is. */
static bool ordered(const struct zcmem_heap *heap, uint32_t bin) { return bin_const(heap, bin)->count > ZCMEM__PAGE; }

static void insert(struct zcmem_heap *heap, uint32_t bin, struct zcmem__block *block, uint32_t id, uint32_t size) {
  uint32_t count = bin_at(heap, bin)->count++;
  if (count % ZCMEM__PAGE == 0 && count != 0) {
    push_page(heap, bin);
  }
  uint32_t slot = newest(heap, bin);
  entries_of(heap)[slot] = zcmem__wide_entry(size, id);
  block->bin_prev = slot;
  zcmem__bin_mark(heap, bin);
  if (ordered(heap, bin)) {
    reorder(heap, slot);
  }
}

/* The bin's newest block fills the hole. */
static void remove_at(struct zcmem_heap *heap, uint32_t bin, uint32_t slot) {
  uint64_t *entries = entries_of(heap);
  uint32_t last = newest(heap, bin), count = --bin_at(heap, bin)->count;
  place(heap, slot, entries[last]); /* its own place, if it is the newest itself */
  entries[last] = 0;
  zcmem__bin_unmark(heap, bin, count == 0);
  if (count >= ZCMEM__PAGE) {
    if (count % ZCMEM__PAGE == 0) {
      pop_page(heap, bin);
    }
    if (slot != last && ordered(heap, bin)) {
      reorder(heap, slot);
    }
  }
}

void zcmem__wide_insert(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t size) {
  insert(heap, zcmem__sizeclass_wide(size), block, id, size);
}

void zcmem__wide_remove(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t size) {
  remove_at(heap, zcmem__sizeclass_wide(size), block->bin_prev);
}

void zcmem__wide_resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t before,
                        uint32_t size) {
  uint32_t old_bin = zcmem__sizeclass_wide(before), bin = zcmem__sizeclass_wide(size), slot = block->bin_prev;
  if (old_bin != bin) {
    remove_at(heap, old_bin, slot);
    insert(heap, bin, block, id, size);
    return;
  }
  entries_of(heap)[slot] = zcmem__wide_entry(size, id);
  if (ordered(heap, bin)) {
    reorder(heap, slot);
  }
}

/*
 * The least of `best` and of what is too large by how much in the page: entry - need wraps to something huge where an
 * entry is too small or vacant, so that one unsigned comparison does for "fits" and "smaller".
 */
ZCMEM__INLINE uint64_t least_excess(const uint64_t *page, uint64_t need, uint64_t best) {
  uint64_t excess[ZCMEM__PAGE / 2u];
  ZCMEM__UNROLL
  for (uint32_t i = 0; i < ZCMEM__PAGE / 2u; i++) { /* pairs first: no chain of eight comparisons */
    excess[i] = zcmem__bits_min(page[2u * i] - need, page[2u * i + 1u] - need);
  }
  uint64_t low = zcmem__bits_min(excess[0], excess[1]), high = zcmem__bits_min(excess[2], excess[3]);
  return zcmem__bits_min(best, zcmem__bits_min(low, high));
}

uint32_t zcmem__wide_take(const struct zcmem_heap *heap, uint32_t bin, uint32_t need) {
  const uint64_t key = zcmem__wide_entry(need, 0), none = (uint64_t)0 - key;
  const uint64_t *entries = entries_const(heap);
  uint32_t first = first_page(bin);
  uint64_t best = least_excess(entries + first * ZCMEM__PAGE, key, none);
  if (best != none && ordered(heap, bin)) { /* the first page has the largest; the last two, the newest */
    uint32_t page = bin_const(heap, bin)->tail + first;
    for (uint32_t looked = 0; looked < 2u && page != first && zcmem__wide_size(best) != 0; looked++) {
      ZCMEM__STEP();
      best = least_excess(entries + page * ZCMEM__PAGE, key, best);
      page = page_const(heap, page)->prev;
    }
  }
  return zcmem__wide_id(best); /* of none: ZCMEM__NIL */
}

uint32_t zcmem__wide_fit(const struct zcmem_heap *heap, uint32_t need) {
  uint32_t own = zcmem__sizeclass_wide(need), bin = zcmem__bin_next(heap, own);
  if (bin == ZCMEM__NIL) {
    return ZCMEM__NIL;
  }
  uint32_t id = zcmem__wide_take(heap, bin, need);
  if (id == ZCMEM__NIL && (bin = zcmem__bin_next(heap, own + 1u)) != ZCMEM__NIL) {
    id = zcmem__wide_take(heap, bin, need); /* the own bin's blocks are too small; in any other all fit */
  }
  return id;
}

uint32_t zcmem__wide_take_aligned(const struct zcmem_heap *heap, uint32_t bin, uint32_t need, uint64_t offset,
                                  uint64_t mask) {
  const uint64_t *entries = entries_const(heap);
  uint64_t best = ~(uint64_t)0;
  uint32_t first = first_page(bin), page = bin_const(heap, bin)->tail + first;
  for (uint32_t looked = 0; looked < 2u; looked++) {
    for (uint32_t slot = page * ZCMEM__PAGE, end = slot + ZCMEM__PAGE; slot < end; slot++) {
      ZCMEM__STEP();
      uint64_t entry = entries[slot];
      if (zcmem__wide_size(entry) >= need && entry < best &&
          zcmem__block_holds(zcmem__block_const(heap, zcmem__wide_id(entry)), need, offset, mask)) {
        best = entry;
      }
    }
    if (page == first) {
      break;
    }
    page = page_const(heap, page)->prev;
  }
  return best == ~(uint64_t)0 ? ZCMEM__NIL : zcmem__wide_id(best);
}

uint32_t zcmem__wide_largest(const struct zcmem_heap *heap, uint32_t bin) {
  uint32_t largest = 0;
  for (uint32_t slot = first_page(bin) * ZCMEM__PAGE, end = slot + ZCMEM__PAGE; slot < end; slot++) {
    uint32_t size = zcmem__wide_size(entries_const(heap)[slot]);
    largest = size > largest ? size : largest;
  }
  return largest;
}
