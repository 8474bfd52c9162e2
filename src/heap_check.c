/* SPDX-License-Identifier: MIT */
/*
 * L2. The checker: every invariant of the image, by the numbers of src/DESIGN.md. It trusts nothing that it has not
 * checked: ids, slots and pages are compared with their bounds before they are used, and every loop is bounded by a
 * count. Reads only.
 */
#include <string.h>

#include "bin.h"
#include "heap_impl.h"

struct checker {
  const struct zcmem_heap *heap;
  const char *broken;
  uint32_t blocks;      /* found along the chain */
  uint32_t free_blocks; /*   of which free */
  uint32_t bin_entries; /* found in the bins */
  uint32_t bin_pages;   /* pages of the bins found */
};

static bool fail(struct checker *check, const char *broken) {
  check->broken = broken;
  return false;
}

static const struct zcmem__block *block_of(const struct checker *check, uint32_t id) {
  return zcmem__block_const(check->heap, id);
}

/* I1 */
static bool check_header(struct checker *check, size_t bytes) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__layout *at = &heap->at;
  if (bytes < sizeof *heap || heap->magic != ZCMEM__MAGIC) {
    return fail(check, "I1: no heap image of this version and byte order");
  }
  if (at->quantum_shift > 31u || at->quanta == 0) {
    return fail(check, "I1: geometry");
  }
  const struct zcmem_heap_config config = {.base = at->base,
                                           .size = (hal_size_t)at->quanta << at->quantum_shift,
                                           .quantum = (hal_size_t)1 << at->quantum_shift,
                                           .max_blocks = at->max_blocks};
  struct zcmem__layout expected;
  if (!zcmem__heap_layout(&config, &expected) || memcmp(&expected, at, sizeof expected) != 0) {
    return fail(check, "I1: the layout does not follow from the geometry");
  }
  if (bytes / ZCMEM__LINE < at->lines) {
    return fail(check, "I1: the image is cut short");
  }
  if (heap->descriptors < 2u || heap->descriptors > at->descriptors || heap->pages < at->first_page ||
      heap->pages > at->pages || heap->live > at->max_blocks) {
    return fail(check, "I1: a count is beyond its table");
  }
  return true;
}

/* I2, I3, I4, I9 */
static bool check_block(struct checker *check, const struct zcmem__block *block, uint64_t *slack) {
  const struct zcmem_heap *heap = check->heap;
  if (block->state == ZCMEM__FREE) {
    check->free_blocks++;
    return true;
  }
  if (block->state != ZCMEM__LIVE && block->state != ZCMEM__ZOMBIE) {
    return fail(check, "I4: a block of the chain has no state");
  }
  if (block->slot > zcmem__heap_bytes_of(heap, 1) ||
      (block->slot == zcmem__heap_bytes_of(heap, 1) && block->size != 1u)) {
    return fail(check, "I4: a live block has more slack than a quantum");
  }
  if (block->state == ZCMEM__ZOMBIE && block->uses == 0) {
    return fail(check, "I4: a zombie that nobody uses");
  }
  *slack += block->slot;
  return true;
}

static bool check_chain(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__block *sentinel = block_of(check, ZCMEM__NIL);
  if (sentinel->start != UINT32_MAX || sentinel->state != ZCMEM__UNUSED || sentinel->size != 0) {
    return fail(check, "I2: the sentinel");
  }
  uint32_t at = 0, free_quanta = 0, before = ZCMEM__NIL;
  bool free_before = false;
  uint64_t slack = 0;
  zcmem__link link = sentinel->next;
  while (zcmem__link_id(link) != ZCMEM__NIL) {
    uint32_t id = zcmem__link_id(link);
    if (id >= heap->descriptors || ++check->blocks >= heap->descriptors) {
      return fail(check, "I2: a link of the chain leads out of the descriptors or round in a circle");
    }
    const struct zcmem__block *block = block_of(check, id);
    bool is_free = block->state == ZCMEM__FREE;
    if (block->start != at || block->size == 0 || block->size > heap->at.quanta - at) {
      return fail(check, "I2: a block does not start where the one before it ends");
    }
    if (block->prev != zcmem__link_to(before, free_before) || zcmem__link_free(link) != is_free) {
      return fail(check, "I2: a link does not name its neighbour and its state");
    }
    if (is_free && free_before) {
      return fail(check, "I3: two free neighbours");
    }
    if (!check_block(check, block, &slack)) {
      return false;
    }
    free_quanta += is_free ? block->size : 0;
    at += block->size;
    before = id;
    free_before = is_free;
    link = block->next;
  }
  if (at != heap->at.quanta || link != ZCMEM__NIL || sentinel->prev != zcmem__link_to(before, free_before)) {
    return fail(check, "I2: the chain does not end where the heap ends");
  }
  if (free_quanta != heap->free_quanta || slack != heap->slack || check->free_blocks != heap->free_blocks ||
      check->blocks - check->free_blocks != heap->live) {
    return fail(check, "I9: a counter differs from what it counts");
  }
  return true;
}

/* I5: the entry in `slot` of `bin`. */
static bool check_entry(struct checker *check, uint32_t bin, uint32_t slot) {
  const struct zcmem_heap *heap = check->heap;
  uint64_t entry = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.entry_at)[slot];
  uint32_t id = zcmem__bin_id(entry);
  if (id == ZCMEM__NIL || id >= heap->descriptors) {
    return fail(check, "I5: an entry of a bin names no descriptor");
  }
  const struct zcmem__block *block = block_of(check, id);
  if (block->state != ZCMEM__FREE || block->slot != slot || block->size != zcmem__bin_size(entry) ||
      block->size == 0 || zcmem__sizeclass_bin(block->size) != bin) {
    return fail(check, "I5: an entry of a bin does not match its block");
  }
  check->bin_entries++;
  return true;
}

static const struct zcmem__bin_page *page_of(const struct checker *check, uint32_t page) {
  const struct zcmem_heap *heap = check->heap;
  return ZCMEM__CONST_TABLE(struct zcmem__bin_page, heap, heap->at.page_at) + (page - heap->at.first_page);
}

/* I5, I6: the pages of a bin, breadth first from the last slot back. */
static bool check_bin_pages(struct checker *check, uint32_t bin, uint32_t last) {
  const struct zcmem_heap *heap = check->heap;
  const uint64_t *entry = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.entry_at);
  const uint32_t *child = ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.child_at);
  uint32_t page = last / ZCMEM__PAGE, after = ZCMEM__NIL, parent_after = ZCMEM__NIL;
  for (; page != ZCMEM__NIL; after = page, page = page_of(check, page)->prev) {
    if (page < heap->at.first_page || page >= heap->pages || ++check->bin_pages > heap->pages) {
      return fail(check, "I6: a page of a bin is none");
    }
    const struct zcmem__bin_page *info = page_of(check, page);
    uint32_t parent = info->parent;
    bool of_root = parent == bin;
    if (of_root != (info->prev == ZCMEM__NIL) || parent >= heap->pages * ZCMEM__PAGE ||
        (!of_root && parent / ZCMEM__PAGE < heap->at.first_page) || child[parent] != page || info->next != after) {
      return fail(check, "I6: a page of a bin is not linked with its parent and its neighbours");
    }
    if (after != ZCMEM__NIL && info->prev != ZCMEM__NIL) {
      /* Parents follow one another: slot by slot, page by page. */
      uint32_t successor = parent % ZCMEM__PAGE != ZCMEM__PAGE - 1u
                               ? parent + 1u
                               : page_of(check, parent / ZCMEM__PAGE)->next * ZCMEM__PAGE;
      if (parent_after != successor) {
        return fail(check, "I6: the pages of a bin are not in breadth-first order");
      }
    } else if (after != ZCMEM__NIL && parent_after != page * ZCMEM__PAGE) {
      return fail(check, "I6: the second page of a bin does not hang on the first");
    }
    parent_after = parent;
    for (uint32_t i = 0; i < ZCMEM__PAGE; i++) {
      uint32_t slot = page * ZCMEM__PAGE + i;
      if (after == ZCMEM__NIL && slot > last) {
        if (entry[slot] != 0 || child[slot] != ZCMEM__NIL) {
          return fail(check, "I5: a vacant entry of a bin is not empty");
        }
      } else if (!check_entry(check, bin, slot)) {
        return false;
      } else if (zcmem__bin_size(entry[slot]) > zcmem__bin_size(entry[parent])) {
        return fail(check, "I7: a block is larger than its parent in the bin");
      }
    }
  }
  return true;
}

/* I5: each bin, and the bits that say which are empty. */
static bool check_bins(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  const uint64_t *entry = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.entry_at);
  const uint32_t *child = ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.child_at);
  const uint32_t *last = ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.last_at);
  for (uint32_t bin = 0; bin < 32u * ZCMEM__BIN_WORDS; bin++) {
    bool occupied = bin < heap->at.bins && last[bin] != ZCMEM__NIL;
    if (occupied != ((heap->words[bin >> 5] >> (bin & 31u) & 1u) != 0)) {
      return fail(check, "I5: a bit does not say whether its bin is empty");
    }
    if (!occupied) {
      if (bin < heap->at.bins && (entry[bin] != 0 || child[bin] != ZCMEM__NIL)) {
        return fail(check, "I5: the root of an empty bin is not empty");
      }
      continue;
    }
    if (bin == 0 || (last[bin] == bin) != (child[bin] == ZCMEM__NIL)) {
      return fail(check, "I6: the root of a bin and its last slot do not agree");
    }
    if (!check_entry(check, bin, bin) || (last[bin] != bin && !check_bin_pages(check, bin, last[bin]))) {
      return false;
    }
  }
  for (uint32_t word = 0; word < 32u; word++) {
    bool any = word < ZCMEM__BIN_WORDS && heap->words[word] != 0;
    if (any != ((heap->summary >> word & 1u) != 0)) {
      return fail(check, "I5: the summary does not say which words are empty");
    }
  }
  return check->bin_entries == check->free_blocks ? true : fail(check, "I5: a free block is in no bin");
}

/* I6, I8: what is not in use is in its list, and all of it. A list of the right length that ends has no circle. */
static bool check_unused(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  uint32_t id = heap->unused;
  for (uint32_t left = heap->descriptors - 1u - check->blocks; left > 0; left--) {
    if (id == ZCMEM__NIL || id >= heap->descriptors || block_of(check, id)->state != ZCMEM__UNUSED) {
      return fail(check, "I8: the list of unused descriptors");
    }
    id = block_of(check, id)->next;
  }
  if (id != ZCMEM__NIL) {
    return fail(check, "I8: the list of unused descriptors");
  }
  uint32_t page = heap->unused_page;
  for (uint32_t left = heap->pages - heap->at.first_page - check->bin_pages; left > 0; left--) {
    if (page < heap->at.first_page || page >= heap->pages) {
      return fail(check, "I6: the list of unused pages");
    }
    for (uint32_t slot = page * ZCMEM__PAGE; slot < (page + 1u) * ZCMEM__PAGE; slot++) {
      if (ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.entry_at)[slot] != 0 ||
          ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.child_at)[slot] != ZCMEM__NIL) {
        return fail(check, "I6: an unused page is not empty");
      }
    }
    page = page_of(check, page)->next;
  }
  return page == ZCMEM__NIL ? true : fail(check, "I6: the list of unused pages");
}

/* I10: the entries are right where blocks start; there are as many as bits, level by level; and no others. */
static bool check_index(struct checker *check) {
  const struct zcmem_heap *heap = check->heap;
  const uint32_t *index = ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.index_at);
  const uint32_t *bitmap = ZCMEM__CONST_TABLE(uint32_t, heap, heap->at.bitmap_at);
  uint32_t page = UINT32_MAX, entries = 0, seen = 0;
  for (uint32_t id = ZCMEM__NIL; (id = zcmem__link_id(block_of(check, id)->next)) != ZCMEM__NIL;) {
    const struct zcmem__block *block = block_of(check, id);
    if (block->state == ZCMEM__FREE || block->start >> heap->at.index_shift == page) {
      continue;
    }
    page = block->start >> heap->at.index_shift;
    entries++;
    if (index[page] != id) {
      return fail(check, "I10: an entry of the index is not the first live block of its page");
    }
  }
  for (page = 0; page < heap->at.index_pages; page++) {
    bool bit = (bitmap[page >> 5] >> (page & 31u) & 1u) != 0;
    if (bit != (index[page] != ZCMEM__NIL)) {
      return fail(check, "I10: a bit does not say whether its entry of the index is empty");
    }
    seen += bit ? 1u : 0u;
  }
  if (seen != entries) {
    return fail(check, "I10: an entry of the index for a page where nothing live starts");
  }
  uint32_t words = (heap->at.index_pages + 31u) / 32u;
  if ((heap->at.index_pages & 31u) != 0 && bitmap[words - 1u] >> (heap->at.index_pages & 31u) != 0) {
    return fail(check, "I10: a bit beyond the index");
  }
  for (uint32_t level = 1; level < heap->at.levels; level++) {
    const uint32_t *below = bitmap + heap->at.level[level - 1u], *above = bitmap + heap->at.level[level];
    for (uint32_t word = 0; word < (words + 31u) / 32u * 32u; word++) {
      bool bit = (above[word >> 5] >> (word & 31u) & 1u) != 0;
      if (bit != (word < words && below[word] != 0)) {
        return fail(check, "I10: a level of the bitmap does not sum up the one below");
      }
    }
    words = (words + 31u) / 32u;
  }
  return true;
}

enum zcmem_status zcmem_heap_check_detail(const void *image, size_t bytes, const char **broken) {
  if (image == NULL || ((uintptr_t)image & (ZCMEM__LINE - 1)) != 0) {
    return ZCMEM_EINVAL;
  }
  struct checker check = {.heap = image};
  bool ok = check_header(&check, bytes) && check_chain(&check) && check_bins(&check) && check_unused(&check) &&
            check_index(&check);
  if (broken != NULL) {
    *broken = check.broken;
  }
  return ok ? ZCMEM_OK : ZCMEM_ECORRUPT;
}

enum zcmem_status zcmem_heap_check(const struct zcmem_heap *heap) {
  return heap == NULL ? ZCMEM_EINVAL : zcmem_heap_check_detail(heap, (size_t)heap->at.lines * ZCMEM__LINE, NULL);
}

enum zcmem_status zcmem_heap_attach(void *image, size_t bytes, struct zcmem_heap **heap) {
  if (heap == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem_heap_check_detail(image, bytes, NULL);
  if (status == ZCMEM_OK) {
    *heap = image;
  }
  return status;
}
