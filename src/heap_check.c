/* SPDX-License-Identifier: MIT */
/*
 * L2. The checker: every invariant of the image, by the numbers of src/DESIGN.md. It trusts nothing that it has not
 * checked: ids, slots and pages are compared with their bounds before they are used, each loop is bounded by a count.
 */
#include "bin.h"
#include "heap_impl.h"
#include "index.h"
#include "wide.h"

struct checker {
  const struct zcmem_heap *heap;
  const char *broken;
  uint32_t blocks;      /* found along the chain */
  uint32_t free_blocks; /*   of which free */
  uint32_t bin_entries; /* found in the bins */
  uint32_t wide_pages;  /* pages of the wide bins found, without each bin's first */
  uint32_t tables;      /* tables of the index found */
  uint32_t next_live;   /* the live block that the index must name next */
};

static bool fail(struct checker *check, const char *broken) {
  check->broken = broken;
  return false;
}

static const struct zcmem__block *block_in(const struct checker *check, uint32_t id) {
  return zcmem__block_const(check->heap, id);
}

static bool is_id(const struct checker *check, uint32_t id) {
  return id != ZCMEM__NIL && id < check->heap->next_id && id % ZCMEM__ID == 0;
}

/* I1 */
static bool check_header(struct checker *check, size_t bytes) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__layout *at = &heap->at;
  if (bytes < sizeof *heap || heap->magic != ZCMEM__MAGIC) {
    return fail(check, "I1: no heap image of this version and byte order");
  }
  const uint32_t shift = at->quantum_shift & 31u; /* if it is more, the layouts differ */
  const struct zcmem_heap_config config = {at->base, (hal_size_t)at->quanta << shift, (hal_size_t)1 << shift,
                                           at->max_blocks, 0};
  struct zcmem__layout expected;
  if (!zcmem__heap_layout(&config, &expected) || !zcmem__bits_equal(&expected, at, sizeof expected)) {
    return fail(check, "I1: the layout does not follow from the geometry");
  }
  if (bytes < at->bytes) {
    return fail(check, "I1: the image is cut short");
  }
  if (heap->next_id < 2u * ZCMEM__ID || heap->next_id % ZCMEM__ID != 0 || heap->next_id / ZCMEM__ID > at->descriptors ||
      heap->pages < at->wide_bins || heap->pages > at->pages || heap->tables < 1u || heap->tables > at->tables ||
      heap->live > at->max_blocks) {
    return fail(check, "I1: a count is beyond its table");
  }
  if (heap->undo_id != ZCMEM__NIL) {
    return fail(check, "I1: a resize was interrupted: zcmem_heap_repair undoes it");
  }
  return (heap->shared <= ZCMEM__SHARED_PROCESSES && (heap->owner & ZCMEM__GENERATION) == 0) ||
         fail(check, "I1: a reserved field is not 0");
}

/* I4: a live block, a zombie, or one that a magazine keeps. Its slack is less than a quantum, or just one if it is a
 * block of no bytes. */
static bool check_live(struct checker *check, const struct zcmem__block *block, uint64_t *slack) {
  uint32_t use = ZCMEM__GET(block->use); /* transfers may come and go meanwhile */
  if (use == ZCMEM__TAKEN && check->heap->shared == ZCMEM__SHARED_PROCESSES) {
    return true;
  }
  if (use == ZCMEM__CACHED) {
    return check->heap->shared != ZCMEM__SHARED_NOT || fail(check, "I4: a cached block in a heap without magazines");
  }
  if ((use & ZCMEM__STATE) != ZCMEM__LIVE && (use & ZCMEM__STATE) != ZCMEM__ZOMBIE) {
    return fail(check, "I4: a block of the chain has no state");
  }
  /* What a magazine hands out may be larger than it was asked for. */
  if (check->heap->shared != ZCMEM__SHARED_NOT
          ? block->slack > zcmem__heap_bytes_of(check->heap, block->size)
          : block->slack > zcmem__heap_bytes_of(check->heap, 1) - (block->size != 1u)) {
    return fail(check, "I4: a live block has more slack than a quantum");
  }
  if (use == ZCMEM__ZOMBIE) {
    return fail(check, "I4: a zombie that nobody uses");
  }
  *slack += block->slack;
  return true;
}

/* I2, I3, I9 */
static bool check_chain(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__block *sentinel = block_in(check, ZCMEM__NIL);
  if (sentinel->start != UINT32_MAX || sentinel->use != ZCMEM__UNUSED || sentinel->size != 0) {
    return fail(check, "I2: the sentinel");
  }
  uint32_t at = 0, free_quanta = 0;
  uint64_t slack = 0;
  zcmem__link before = ZCMEM__NIL, link = sentinel->next;
  while (zcmem__link_id(link) != ZCMEM__NIL) {
    uint32_t id = zcmem__link_id(link);
    if (!is_id(check, id) || (link & (ZCMEM__ID - 2u)) != 0 || ++check->blocks >= heap->next_id / ZCMEM__ID) {
      return fail(check, "I2: a link of the chain leads out of the descriptors or round in a circle");
    }
    const struct zcmem__block *block = block_in(check, id);
    bool is_free = ZCMEM__GET(block->use) == ZCMEM__FREE;
    if (block->start != at || block->size == 0 || block->size > heap->at.quanta - at) {
      return fail(check, "I2: a block does not start where the one before it ends");
    }
    if (block->prev != before || zcmem__link_free(link) != is_free) {
      return fail(check, "I2: a link does not name its neighbour and its state");
    }
    if (is_free && zcmem__link_free(before)) {
      return fail(check, "I3: two free neighbours");
    }
    if (!is_free && !check_live(check, block, &slack)) {
      return false;
    }
    check->free_blocks += is_free ? 1u : 0u;
    free_quanta += is_free ? block->size : 0;
    at += block->size;
    before = link;
    link = block->next;
  }
  if (at != heap->at.quanta || link != ZCMEM__NIL || sentinel->prev != before) {
    return fail(check, "I2: the chain does not end where the heap ends");
  }
  return (free_quanta == heap->free_quanta && (slack == heap->slack || heap->shared == ZCMEM__SHARED_PROCESSES) &&
          check->free_blocks == heap->free_blocks && check->blocks - check->free_blocks == heap->live) ||
         fail(check, "I9: a counter differs from what it counts");
}

/* I5: a block of a bin; `place` is the one before it in the list, or its slot. */
static bool check_member(struct checker *check, uint32_t bin, uint32_t id, uint32_t place) {
  if (!is_id(check, id) || ++check->bin_entries > check->free_blocks) {
    return fail(check, "I5: a bin names no descriptor, or goes round in a circle");
  }
  const struct zcmem__block *block = block_in(check, id);
  if (ZCMEM__GET(block->use) != ZCMEM__FREE || block->next == ZCMEM__NIL || zcmem__sizeclass_bin(block->size) != bin) {
    return fail(check, "I5: a block in the wrong bin");
  }
  return block->bin_prev == place || fail(check, "I5: a block does not say where in its bin it stands");
}

/* I5: the list of an exact bin. */
static bool check_exact_bin(struct checker *check, uint32_t bin) {
  uint32_t prev = ZCMEM__NIL, id = zcmem__bin_heads_const(check->heap)[bin];
  for (; id != ZCMEM__NIL; prev = id, id = block_in(check, id)->bin_next) {
    if (!check_member(check, bin, id, prev)) {
      return false;
    }
  }
  return true;
}

static const struct zcmem__wide_page *page_of(const struct checker *check, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_page, check->heap, check->heap->at.pages_at) + page;
}

static const struct zcmem__wide_links *links_of(const struct checker *check, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_links, check->heap, check->heap->at.links_at) + page;
}

static const struct zcmem__index_table empty_table;
_Static_assert(sizeof empty_table >= sizeof((struct zcmem__wide_page *)0)->entry,
               "as long as what it is compared with");

/* An empty page, but for ids, which mean nothing without entries. */
static bool is_empty(const struct zcmem__wide_page *at) {
  return zcmem__bits_equal(at->entry, &empty_table, sizeof at->entry) &&
         zcmem__bits_equal(at->child, &empty_table, sizeof at->child);
}

/* I6: the page's place among the bin's pages, of which `first` is the first; it comes behind `before`. */
static bool check_page_links(struct checker *check, uint32_t first, uint32_t page, uint32_t before) {
  const struct zcmem_heap *heap = check->heap;
  if (page < heap->at.wide_bins || page >= heap->pages || ++check->wide_pages > heap->pages - heap->at.wide_bins) {
    return fail(check, "I6: a page of a wide bin is none");
  }
  const struct zcmem__wide_links *at = links_of(check, page);
  uint32_t expected = first * ZCMEM__PAGE;
  if (before != first) {
    uint32_t parent = links_of(check, before)->parent; /* checked in the turn before */
    expected = parent % ZCMEM__PAGE != ZCMEM__PAGE - 1u ? parent + 1u
                                                        : links_of(check, parent / ZCMEM__PAGE)->next * ZCMEM__PAGE;
  }
  return (at->prev == before && at->parent == expected && at->reserved == 0 &&
          page_of(check, expected / ZCMEM__PAGE)->child[expected % ZCMEM__PAGE] == page) ||
         fail(check, "I6: a page of a wide bin is not linked with its parent and its neighbours");
}

/* I5, I6, I7: the pages of a wide bin and what is in them. */
static bool check_wide_bin(struct checker *check, uint32_t bin) {
  const struct zcmem_heap *heap = check->heap;
  const uint32_t first = bin - ZCMEM__BIN_WIDE;
  const struct zcmem__wide_bin *wide = ZCMEM__CONST_TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at) + first;
  uint32_t left = wide->count, page = first;
  uint32_t children = left == 0 ? 0 : (left - 1u) / ZCMEM__PAGE; /* pages but the first */
  for (;;) {
    const struct zcmem__wide_page *at = page_of(check, page);
    for (uint32_t i = 0; i < ZCMEM__PAGE; i++) {
      uint32_t slot = page * ZCMEM__PAGE + i;
      if ((at->child[i] != ZCMEM__NIL) != (children != 0)) {
        return fail(check, "I6: a wide bin has too many pages or too few");
      }
      children -= children != 0 ? 1u : 0u;
      if (left == 0 && at->entry[i] != 0) {
        return fail(check, "I5: a vacant entry of a wide bin is not empty");
      }
      if (left == 0) {
        continue;
      }
      left--;
      if (!check_member(check, bin, at->id[i], slot)) {
        return false;
      }
      const struct zcmem__block *block = block_in(check, at->id[i]);
      if (zcmem__wide_entry(block->size, block->start, slot) != at->entry[i]) {
        return fail(check, "I5: an entry of a wide bin does not match its block");
      }
      const uint32_t up = links_of(check, page)->parent; /* of the first page there is none: 0 */
      if (page != first && block->size > zcmem__wide_size(page_of(check, up / ZCMEM__PAGE)->entry[up % ZCMEM__PAGE])) {
        return fail(check, "I7: a block is larger than its parent in the bin");
      }
    }
    if (left == 0) {
      break;
    }
    uint32_t before = page;
    page = links_of(check, before)->next;
    if (!check_page_links(check, first, page, before)) {
      return false;
    }
  }
  const struct zcmem__wide_links *ends = links_of(check, first);
  return (ends->parent == 0 && ends->prev == ZCMEM__NIL && ends->reserved == 0 &&
          links_of(check, page)->next == ZCMEM__NIL && wide->tail + first == page) ||
         fail(check, "I6: the first or the last page of a wide bin");
}

/* I5: word for word, the bits that say which bins are empty, then these bins: exact ones, wide ones or none. */
static bool check_bins(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__wide_bin *wide = ZCMEM__CONST_TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at);
  for (uint32_t word = 0; word < 64u * ZCMEM__BIN_SUMMARIES; word++) {
    const bool exact = word < ZCMEM__BIN_WIDE / 64u;
    const uint32_t first = word * 64u, bins = exact ? heap->at.exact_bins : ZCMEM__BIN_WIDE + heap->at.wide_bins;
    const uint32_t end = bins < first + 64u ? bins : first + 64u;
    uint64_t bits = 0;
    for (uint32_t bin = first; bin < end; bin++) {
      uint32_t some = exact ? zcmem__bin_heads_const(heap)[bin] : wide[bin - ZCMEM__BIN_WIDE].count;
      bits |= (uint64_t)(some != 0) << (bin & 63u);
    }
    if (word < ZCMEM__BIN_WORDS && heap->words[word] != bits) {
      return fail(check, "I5: a bit does not say whether its bin is empty");
    }
    if ((heap->summary[word >> 6] >> (word & 63u) & 1u) != (bits != 0 ? 1u : 0u)) {
      return fail(check, "I5: the summary does not say which words are 0");
    }
    for (uint32_t bin = first; bin < end; bin++) {
      if (exact ? !check_exact_bin(check, bin) : !check_wide_bin(check, bin)) {
        return false;
      }
    }
  }
  uint32_t tail = zcmem__link_free(block_in(check, ZCMEM__NIL)->prev) ? 1u : 0u;
  return check->bin_entries + tail == check->free_blocks || fail(check, "I5: a hole is in no bin");
}

/*
 * I6, I8: what is not in use is in its list, and all of it. A list of the right length that ends has no circle. What
 * was never in use is taken without a look at it, so it is as empty.
 */
static bool check_unused(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  uint32_t id = heap->unused, left = heap->next_id / ZCMEM__ID - 1u - check->blocks;
  for (; left > 0 && is_id(check, id) && ZCMEM__GET(block_in(check, id)->use) == ZCMEM__UNUSED; left--) {
    id = block_in(check, id)->next;
  }
  if (left > 0 || id != ZCMEM__NIL) {
    return fail(check, "I8: the list of unused descriptors");
  }
  bool empty = true;
  uint32_t page = heap->unused_page;
  left = heap->pages - heap->at.wide_bins - check->wide_pages;
  for (; left > 0 && page >= heap->at.wide_bins && page < heap->pages; left--) {
    empty = empty && is_empty(page_of(check, page));
    page = links_of(check, page)->next;
  }
  if (left > 0 || page != ZCMEM__NIL) {
    return fail(check, "I6: the list of unused pages");
  }
  for (page = heap->pages; page < heap->at.pages; page++) {
    empty = empty && is_empty(page_of(check, page));
  }
  return empty || fail(check, "I6: an unused page is not empty");
}

/* The live block behind `id` in the chain, which has been checked. */
static uint32_t live_after(const struct checker *check, uint32_t id) {
  do {
    id = zcmem__link_id(block_in(check, id)->next);
  } while (id != ZCMEM__NIL && ZCMEM__GET(block_in(check, id)->use) == ZCMEM__FREE);
  return id;
}

static const struct zcmem__index_table *table_of(const struct checker *check, uint32_t table) {
  return ZCMEM__CONST_TABLE(struct zcmem__index_table, check->heap, check->heap->at.tables_at) + table;
}

static const uint32_t *blocks_under(const struct checker *check, uint32_t table) {
  return ZCMEM__CONST_TABLE(uint32_t, check->heap, check->heap->at.table_counts_at) + table;
}

/*
 * I10: an entry for the quanta from `start` to `last` names the first live block that starts there and their number,
 * or is a table of such entries; the blocks are taken from the chain, one after the other.
 */
/* NOLINTNEXTLINE(misc-no-recursion): ends at a shift of 0, and no table twice (ZCMEM_STEPS_TABLES) */
static bool check_index_entry(struct checker *check, uint32_t entry, uint32_t shift, uint64_t start, uint32_t *count) {
  const struct zcmem_heap *heap = check->heap;
  *count = 0;
  if (!zcmem__index_is_table(entry)) {
    uint32_t first = check->next_live;
    while (check->next_live != ZCMEM__NIL &&
           block_in(check, check->next_live)->start < start + zcmem__bits_one(shift)) {
      check->next_live = live_after(check, check->next_live);
      ++*count;
    }
    return (*count <= ZCMEM__INDEX_MOST && entry == (*count == 0 ? 0 : zcmem__index_entry(first, *count))) ||
           fail(check, "I10: an entry of the index does not name the first live block and how many there are");
  }
  uint32_t table = entry >> 4;
  if (shift < ZCMEM__INDEX_BITS || table == ZCMEM__NIL || table >= heap->tables || ++check->tables >= heap->tables) {
    return fail(check, "I10: a table of the index is none");
  }
  shift -= ZCMEM__INDEX_BITS;
  for (uint32_t i = 0; i < 1u << ZCMEM__INDEX_BITS; i++) {
    uint32_t part;
    if (!check_index_entry(check, table_of(check, table)->entry[i], shift, start + ((uint64_t)i << shift), &part)) {
      return false;
    }
    *count += part;
  }
  return (*count > ZCMEM__INDEX_LEAST && *count == *blocks_under(check, table)) ||
         fail(check, "I10: the count of a table of the index");
}

/* I10: the pages of the index, and its tables that are not in use, or never were: as I6 and I8. */
static bool check_index(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  check->next_live = live_after(check, ZCMEM__NIL);
  for (uint32_t page = 0, count; page < heap->at.index_pages; page++) {
    uint32_t shift = heap->at.index_shift;
    if (!check_index_entry(check, zcmem__index_const(heap)[page], shift, (uint64_t)page << shift, &count)) {
      return false;
    }
  }
  bool empty = true;
  uint32_t table = heap->unused_table, left = heap->tables - 1u - check->tables;
  for (; left > 0 && table != ZCMEM__NIL && table < heap->tables; left--) {
    empty = empty && zcmem__bits_equal(table_of(check, table), &empty_table, sizeof empty_table);
    table = *blocks_under(check, table);
  }
  if (left > 0 || table != ZCMEM__NIL) {
    return fail(check, "I10: the list of unused tables");
  }
  for (table = heap->tables; table < heap->at.tables; table++) {
    empty = empty && zcmem__bits_equal(table_of(check, table), &empty_table, sizeof empty_table);
  }
  return empty || fail(check, "I10: an unused table is not empty");
}

/* I11: each level of the bitmap says which words of the one below are not 0, and nothing beyond them. */
static bool check_levels(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  uint64_t bits = heap->at.index_pages;
  for (uint32_t level = 0; level < heap->at.levels; level++) {
    const uint64_t *words = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[level]);
    const uint64_t *below = level == 0 ? NULL : ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[level - 1u]);
    uint64_t next = (bits + 63u) / 64u;
    for (uint64_t bit = 0; bit < next * 64u; bit++) {
      bool expected = bit < bits && (below == NULL ? zcmem__index_const(heap)[bit] != 0 : below[bit] != 0);
      if (((words[bit / 64u] >> (bit % 64u) & 1u) != 0) != expected) {
        return fail(check, "I11: a bit of the index's bitmap");
      }
    }
    bits = next;
  }
  return true;
}

enum zcmem_status zcmem_heap_check_detail(const void *image, size_t bytes, const char **broken) {
  if (image == NULL || ((uintptr_t)image & (ZCMEM__LINE - 1)) != 0) {
    return ZCMEM_EINVAL;
  }
  struct checker check = {.heap = image};
  bool ok = check_header(&check, bytes) && check_chain(&check) && check_bins(&check) && check_unused(&check) &&
            check_index(&check) && check_levels(&check);
  if (broken != NULL) {
    *broken = check.broken;
  }
  return ok ? ZCMEM_OK : ZCMEM_ECORRUPT;
}

enum zcmem_status zcmem_heap_check(const struct zcmem_heap *heap) {
  return heap == NULL ? ZCMEM_EINVAL : zcmem_heap_check_detail(heap, (size_t)heap->at.bytes, NULL);
}

enum zcmem_status zcmem_heap_attach(void *image, size_t bytes, struct zcmem_heap **heap) {
  enum zcmem_status status = heap == NULL ? ZCMEM_EINVAL : zcmem_heap_check_detail(image, bytes, NULL);
  if (status == ZCMEM_OK) {
    *heap = image;
  }
  return status;
}
