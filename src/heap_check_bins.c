/* SPDX-License-Identifier: MIT */
/* L2. The checker's part that knows the bins: what is in each, their pages, and the bits that say which are empty. */
#include "bin.h"
#include "checker.h"
#include "wide.h"

/* I5: a block of a bin; `place` is the one before it in the list, or its slot. */
static bool check_member(struct zcmem__checker *check, uint32_t bin, uint32_t id, uint32_t place) {
  if (!zcmem__check_is_id(check, id) || ++check->bin_entries > check->free_blocks) {
    return zcmem__check_fail(check, "I5: a bin names no descriptor, or goes round in a circle");
  }
  const struct zcmem__block *block = zcmem__check_block(check, id);
  if (ZCMEM__GET(block->use) != ZCMEM__FREE || block->next == ZCMEM__NIL || zcmem__sizeclass_bin(block->size) != bin) {
    return zcmem__check_fail(check, "I5: a block in the wrong bin");
  }
  return block->bin_prev == place || zcmem__check_fail(check, "I5: a block does not say where in its bin it stands");
}

/* I5: the list of an exact bin. */
static bool check_exact_bin(struct zcmem__checker *check, uint32_t bin) {
  uint32_t prev = ZCMEM__NIL, id = zcmem__bin_heads_const(check->heap)[bin];
  for (; id != ZCMEM__NIL; prev = id, id = zcmem__check_block(check, id)->bin_next) {
    if (!check_member(check, bin, id, prev)) {
      return false;
    }
  }
  return true;
}

static const struct zcmem__wide_page *page_of(const struct zcmem__checker *check, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_page, check->heap, check->heap->at.pages_at) + page;
}

static const struct zcmem__wide_links *links_of(const struct zcmem__checker *check, uint32_t page) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_links, check->heap, check->heap->at.links_at) + page;
}

static const struct zcmem__wide_page empty_page;

/* An empty page, but for ids, which mean nothing without entries. */
static bool is_empty(const struct zcmem__wide_page *at) {
  return zcmem__bits_equal(at->entry, empty_page.entry, sizeof at->entry) &&
         zcmem__bits_equal(at->child, empty_page.child, sizeof at->child);
}

/* I6: the page's place among the bin's pages, of which `first` is the first; it comes behind `before`. */
static bool check_page_links(struct zcmem__checker *check, uint32_t first, uint32_t page, uint32_t before) {
  const struct zcmem_heap *heap = check->heap;
  if (page < heap->at.wide_bins || page >= heap->pages || ++check->wide_pages > heap->pages - heap->at.wide_bins) {
    return zcmem__check_fail(check, "I6: a page of a wide bin is none");
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
         zcmem__check_fail(check, "I6: a page of a wide bin is not linked with its parent and its neighbours");
}

/* I5, I6, I7: the pages of a wide bin and what is in them. */
static bool check_wide_bin(struct zcmem__checker *check, uint32_t bin) {
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
        return zcmem__check_fail(check, "I6: a wide bin has too many pages or too few");
      }
      children -= children != 0 ? 1u : 0u;
      if (left == 0 && at->entry[i] != 0) {
        return zcmem__check_fail(check, "I5: a vacant entry of a wide bin is not empty");
      }
      if (left == 0) {
        continue;
      }
      left--;
      if (!check_member(check, bin, at->id[i], slot)) {
        return false;
      }
      const struct zcmem__block *block = zcmem__check_block(check, at->id[i]);
      if (zcmem__wide_entry(block->size, block->start, slot) != at->entry[i]) {
        return zcmem__check_fail(check, "I5: an entry of a wide bin does not match its block");
      }
      const uint32_t up = links_of(check, page)->parent; /* of the first page there is none: 0 */
      if (page != first && block->size > zcmem__wide_size(page_of(check, up / ZCMEM__PAGE)->entry[up % ZCMEM__PAGE])) {
        return zcmem__check_fail(check, "I7: a block is larger than its parent in the bin");
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
         zcmem__check_fail(check, "I6: the first or the last page of a wide bin");
}

/* I5: word for word, the bits that say which bins are empty, then these bins: exact ones, wide ones or none. */
bool zcmem__check_bins(struct zcmem__checker *check) {
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
      return zcmem__check_fail(check, "I5: a bit does not say whether its bin is empty");
    }
    if ((heap->summary[word >> 6] >> (word & 63u) & 1u) != (bits != 0 ? 1u : 0u)) {
      return zcmem__check_fail(check, "I5: the summary does not say which words are 0");
    }
    for (uint32_t bin = first; bin < end; bin++) {
      if (exact ? !check_exact_bin(check, bin) : !check_wide_bin(check, bin)) {
        return false;
      }
    }
  }
  uint32_t tail = zcmem__link_free(zcmem__check_block(check, ZCMEM__NIL)->prev) ? 1u : 0u;
  return check->bin_entries + tail == check->free_blocks || zcmem__check_fail(check, "I5: a hole is in no bin");
}

bool zcmem__check_unused_pages(struct zcmem__checker *check) {
  const struct zcmem_heap *heap = check->heap;
  bool empty = true;
  uint32_t page = heap->unused_page, left = heap->pages - heap->at.wide_bins - check->wide_pages;
  for (; left > 0 && page >= heap->at.wide_bins && page < heap->pages; left--) {
    empty = empty && is_empty(page_of(check, page));
    page = links_of(check, page)->next;
  }
  if (left > 0 || page != ZCMEM__NIL) {
    return zcmem__check_fail(check, "I6: the list of unused pages");
  }
  for (page = heap->pages; page < heap->at.pages; page++) {
    empty = empty && is_empty(page_of(check, page));
  }
  return empty || zcmem__check_fail(check, "I6: an unused page is not empty");
}
