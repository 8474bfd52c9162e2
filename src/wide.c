/* SPDX-License-Identifier: MIT */
/* L1. Wide bins. See wide.h. */
#include "wide.h"

#include "binmap.h"

/* ------------------------------------------------------------------------------------------ slots and pages -- */

static struct zcmem__wide_bin *bin_at(struct zcmem_heap *heap, uint32_t bin) {
  return ZCMEM__TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at) + (bin - ZCMEM__BIN_WIDE);
}

static const struct zcmem__wide_bin *bin_const(const struct zcmem_heap *heap, uint32_t bin) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at) + (bin - ZCMEM__BIN_WIDE);
}

static struct zcmem__wide_page *page_at(struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__TABLE(struct zcmem__wide_page, heap, heap->at.pages_at) + page;
}

static const struct zcmem__wide_page *page_const(const struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_page, heap, heap->at.pages_at) + page;
}

static struct zcmem__wide_links *links_at(struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__TABLE(struct zcmem__wide_links, heap, heap->at.links_at) + page;
}

static uint32_t page_before(const struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_links, heap, heap->at.links_at)[page].prev;
}

static uint64_t *entry_at(struct zcmem_heap *heap, uint32_t slot) {
  return &page_at(heap, slot / ZCMEM__PAGE)->entry[slot % ZCMEM__PAGE];
}

static uint32_t id_of(struct zcmem_heap *heap, uint32_t slot) {
  return page_at(heap, slot / ZCMEM__PAGE)->id[slot % ZCMEM__PAGE];
}

static uint32_t *child_of(struct zcmem_heap *heap, uint32_t slot) {
  return &page_at(heap, slot / ZCMEM__PAGE)->child[slot % ZCMEM__PAGE];
}

/* The bin's first page. */
static uint32_t first_page(uint32_t bin) {
  return bin - ZCMEM__BIN_WIDE;
}

static uint32_t last_page(const struct zcmem_heap *heap, uint32_t bin) {
  return bin_const(heap, bin)->tail + first_page(bin);
}

/* The slot of the last block of a bin of `count` > 0. */
static uint32_t last_slot(const struct zcmem_heap *heap, uint32_t bin, uint32_t count) {
  return last_page(heap, bin) * ZCMEM__PAGE + ((count - 1u) & (ZCMEM__PAGE - 1u));
}

/* Begins a page behind the bin's last one. */
static void push_page(struct zcmem_heap *heap, uint32_t bin) {
  uint32_t page = heap->unused_page;
  if (page != ZCMEM__NIL) {
    heap->unused_page = links_at(heap, page)->next;
  } else {
    page = heap->pages++;
  }
  ZCMEM__ASSERT(page < heap->at.pages);

  /* Breadth first: the next parent is the slot behind the last page's parent; the first one is the bin's first. */
  uint32_t first = first_page(bin), before = last_page(heap, bin), parent = first * ZCMEM__PAGE;
  if (before != first) {
    parent = links_at(heap, before)->parent;
    parent = parent % ZCMEM__PAGE != ZCMEM__PAGE - 1u ? parent + 1u
                                                      : links_at(heap, parent / ZCMEM__PAGE)->next * ZCMEM__PAGE;
  }
  links_at(heap, before)->next = page;
  *links_at(heap, page) = (struct zcmem__wide_links){.parent = parent, .prev = before};
  *child_of(heap, parent) = page;
  bin_at(heap, bin)->tail = page - first;
}

/* Gives the bin's last page back, which is empty. */
static void pop_page(struct zcmem_heap *heap, uint32_t bin) {
  uint32_t page = last_page(heap, bin);
  struct zcmem__wide_links *popped = links_at(heap, page);
  links_at(heap, popped->prev)->next = ZCMEM__NIL;
  *child_of(heap, popped->parent) = ZCMEM__NIL;
  bin_at(heap, bin)->tail = popped->prev - first_page(bin);
  popped->next = heap->unused_page;
  heap->unused_page = page;
}

/* --------------------------------------------------------------------------------------------- the max-heap -- */

/* Puts the block into the slot; the entry is its own, from whatever slot. */
static void place(struct zcmem_heap *heap, uint32_t slot, uint64_t entry, uint32_t id) {
  struct zcmem__wide_page *page = page_at(heap, slot / ZCMEM__PAGE);
  page->entry[slot % ZCMEM__PAGE] = (entry & ~(uint64_t)(ZCMEM__PAGE - 1u)) | slot % ZCMEM__PAGE;
  page->id[slot % ZCMEM__PAGE] = id;
  ZCMEM__PUT(zcmem__block(heap, id)->bin_prev, slot);
}

/* The slot of the largest entry of a page. */
static uint32_t largest_of(const struct zcmem_heap *heap, uint32_t page) {
  const uint64_t *entry = page_const(heap, page)->entry;
  uint32_t best = 0;
  for (uint32_t i = 1; i < ZCMEM__PAGE; i++) {
    ZCMEM__STEP();
    best = entry[i] > entry[best] ? i : best;
  }
  return page * ZCMEM__PAGE + best;
}

/* Restores the order from `slot` on, whose entry is new or has changed. */
static ZCMEM__NOINLINE void reorder(struct zcmem_heap *heap, uint32_t slot) {
  const uint64_t entry = *entry_at(heap, slot);
  const uint32_t id = id_of(heap, slot), first = slot;
  while (slot / ZCMEM__PAGE >= heap->at.wide_bins) { /* up, past smaller parents; a bin's first page has none */
    ZCMEM__STEP();
    uint32_t parent = links_at(heap, slot / ZCMEM__PAGE)->parent;
    if (zcmem__wide_size(*entry_at(heap, parent)) >= zcmem__wide_size(entry)) {
      break;
    }
    place(heap, slot, *entry_at(heap, parent), id_of(heap, parent));
    slot = parent;
  }
  for (uint32_t child; (child = *child_of(heap, slot)) != ZCMEM__NIL;) { /* down, past larger children */
    ZCMEM__STEP();
    uint32_t below = largest_of(heap, child);
    if (zcmem__wide_size(*entry_at(heap, below)) <= zcmem__wide_size(entry)) {
      break;
    }
    place(heap, slot, *entry_at(heap, below), id_of(heap, below));
    slot = below;
  }
  if (slot != first) {
    place(heap, slot, entry, id);
  }
}

/* ------------------------------------------------------------------------------------------------- the calls -- */

/* A ninth block and more: pages behind the first, and the order. */
static ZCMEM__NOINLINE void insert_deep(struct zcmem_heap *heap, uint32_t bin, struct zcmem__block *block, uint32_t id,
                                        uint32_t size) {
  uint32_t count = ++bin_at(heap, bin)->count;
  if (count % ZCMEM__PAGE == 1u) {
    push_page(heap, bin);
  }
  uint32_t slot = last_slot(heap, bin, count);
  place(heap, slot, zcmem__wide_entry(size, block->start, slot), id);
  reorder(heap, slot);
}

ZCMEM__HOT void insert(struct zcmem_heap *heap, uint32_t bin, struct zcmem__block *block, uint32_t id, uint32_t size) {
  uint32_t count = bin_at(heap, bin)->count, slot = first_page(bin) * ZCMEM__PAGE + count;
  if (ZCMEM__UNLIKELY(count >= ZCMEM__PAGE)) {
    insert_deep(heap, bin, block, id, size);
    return;
  }
  bin_at(heap, bin)->count = count + 1u;
  place(heap, slot, zcmem__wide_entry(size, block->start, slot), id);
  zcmem__binmap_set(heap, bin);
}

static ZCMEM__NOINLINE void take_out_deep(struct zcmem_heap *heap, uint32_t bin, uint32_t slot) {
  uint32_t left = --bin_at(heap, bin)->count, last = last_slot(heap, bin, left + 1u);
  place(heap, slot, *entry_at(heap, last), id_of(heap, last));
  *entry_at(heap, last) = 0;
  if (left % ZCMEM__PAGE == 0) {
    pop_page(heap, bin);
  }
  if (slot != last) {
    reorder(heap, slot);
  }
}

/* The bin's last block fills the hole; it is put into its own place, if it is the one to take out. */
ZCMEM__HOT void take_out(struct zcmem_heap *heap, uint32_t bin, uint32_t slot) {
  uint32_t left = bin_at(heap, bin)->count - 1u, last = first_page(bin) * ZCMEM__PAGE + left;
  if (ZCMEM__UNLIKELY(left >= ZCMEM__PAGE)) {
    take_out_deep(heap, bin, slot);
    return;
  }
  bin_at(heap, bin)->count = left;
  place(heap, slot, *entry_at(heap, last), id_of(heap, last));
  *entry_at(heap, last) = 0;
  zcmem__binmap_lose(heap, bin, left == 0);
}

void zcmem__wide_insert(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t size) {
  insert(heap, zcmem__sizeclass_wide(size), block, id, size);
}

void zcmem__wide_remove(struct zcmem_heap *heap, const struct zcmem__block *block, uint32_t size) {
  take_out(heap, zcmem__sizeclass_wide(size), block->bin_prev);
}

void zcmem__wide_resize(struct zcmem_heap *heap, struct zcmem__block *block, uint32_t id, uint32_t before,
                        uint32_t size) {
  uint32_t old_bin = zcmem__sizeclass_wide(before), bin = zcmem__sizeclass_wide(size), slot = block->bin_prev;
  if (old_bin != bin) {
    take_out(heap, old_bin, slot);
    insert(heap, bin, block, id, size);
    return;
  }
  *entry_at(heap, slot) = zcmem__wide_entry(size, block->start, slot);
  if (ZCMEM__UNLIKELY(bin_at(heap, bin)->count > ZCMEM__PAGE)) {
    reorder(heap, slot);
  }
}

/*
 * The least excess over `need` in the page: entry - need wraps to something huge where an entry is too small or vacant,
 * so that one unsigned comparison does for "fits" and "smaller". In pairs: no chain of eight comparisons.
 */
ZCMEM__HOT uint64_t least_excess(const uint64_t *entry, uint64_t need) {
  uint64_t pair[ZCMEM__PAGE / 2u];
  ZCMEM__UNROLL
  for (size_t i = 0; i < ZCMEM__PAGE / 2u; i++) {
    ZCMEM__STEP();
    pair[i] = zcmem__bits_min(entry[2 * i] - need, entry[2 * i + 1] - need);
  }
  return zcmem__bits_min(zcmem__bits_min(pair[0], pair[1]), zcmem__bits_min(pair[2], pair[3]));
}

uint32_t zcmem__wide_take(const struct zcmem_heap *heap, uint32_t bin, uint32_t need) {
  const uint64_t key = zcmem__wide_entry(need, 0, 0),
                 most = (uint64_t)0 - key; /* of 0, and of what is too small, more */
  const struct zcmem__wide_page *found = page_const(heap, first_page(bin));
  uint64_t best = least_excess(found->entry, key);
  if (best >= most) {
    return ZCMEM__NIL;
  }
  if (ZCMEM__UNLIKELY(bin_const(heap, bin)->count > ZCMEM__PAGE)) {
    /* The first page has the largest; the last two, the newest and smaller ones. */
    uint32_t page = last_page(heap, bin);
    for (uint32_t looked = 0; looked < 2u && page != first_page(bin); looked++) {
      ZCMEM__STEP();
      uint64_t excess = least_excess(page_const(heap, page)->entry, key);
      if (excess < best) {
        best = excess;
        found = page_const(heap, page);
      }
      page = page_before(heap, page);
    }
  }
  return found->id[best % ZCMEM__PAGE];
}

uint32_t zcmem__wide_fit(const struct zcmem_heap *heap, uint32_t need) {
  uint32_t own = zcmem__sizeclass_wide(need), bin = zcmem__binmap_next(heap, own);
  if (bin == ZCMEM__NIL) {
    return ZCMEM__NIL;
  }
  uint32_t id = zcmem__wide_take(heap, bin, need);
  if (id == ZCMEM__NIL && (bin = zcmem__binmap_next(heap, own + 1u)) != ZCMEM__NIL) {
    id = zcmem__wide_take(heap, bin, need); /* the own bin's blocks are too small; in any other all fit */
  }
  return id;
}

uint32_t zcmem__wide_take_aligned(const struct zcmem_heap *heap, uint32_t bin, uint32_t need, uint64_t offset,
                                  uint64_t mask) {
  uint64_t best = ~(uint64_t)0;
  uint32_t id = ZCMEM__NIL, page = last_page(heap, bin);
  for (uint32_t looked = 0; looked < 2u; looked++) {
    ZCMEM__STEP();
    const struct zcmem__wide_page *at = page_const(heap, page);
    for (uint32_t i = 0; i < ZCMEM__PAGE; i++) {
      ZCMEM__STEP();
      if (zcmem__wide_size(at->entry[i]) >= need && at->entry[i] < best &&
          zcmem__block_holds(zcmem__block_const(heap, at->id[i]), need, offset, mask)) {
        best = at->entry[i];
        id = at->id[i];
      }
    }
    if (page == first_page(bin)) {
      break;
    }
    page = page_before(heap, page);
  }
  return id;
}

uint32_t zcmem__wide_largest(const struct zcmem_heap *heap, uint32_t bin) {
  uint32_t slot = largest_of(heap, first_page(bin));
  return zcmem__wide_size(page_const(heap, slot / ZCMEM__PAGE)->entry[slot % ZCMEM__PAGE]);
}
