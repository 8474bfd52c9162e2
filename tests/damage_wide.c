/* SPDX-License-Identifier: MIT */
/* Damage to the wide bins: their entries, pages and the order. */
#include "damage.h"

#define BIT "I5: a bit does not say whether its bin is empty"
#define NONE "I5: a bin names no descriptor, or goes round in a circle"
#define WRONG "I5: a block in the wrong bin"
#define PLACE "I5: a block does not say where in its bin it stands"
#define VACANT "I5: a vacant entry of a wide bin is not empty"
#define ENTRY "I5: an entry of a wide bin does not match its block"
#define NO_PAGE "I6: a page of a wide bin is none"
#define PAGE_LINKS "I6: a page of a wide bin is not linked with its parent and its neighbours"
#define PAGES "I6: a wide bin has too many pages or too few"
#define ENDS "I6: the first or the last page of a wide bin"
#define LIST "I6: the list of unused pages"
#define NOT_EMPTY "I6: an unused page is not empty"
#define ORDER "I7: a block is larger than its parent in the bin"

static struct zcmem__wide_page *page_at(struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__TABLE(struct zcmem__wide_page, heap, heap->at.pages_at) + page;
}
static struct zcmem__wide_links *links_at(struct zcmem_heap *heap, uint32_t page) {
  return ZCMEM__TABLE(struct zcmem__wide_links, heap, heap->at.links_at) + page;
}
static struct zcmem__wide_bin *wide_at(struct zcmem_heap *heap, uint32_t bin) {
  return ZCMEM__TABLE(struct zcmem__wide_bin, heap, heap->at.wide_at) + bin;
}

/* The wide bin, and so its first page, with the most blocks; of more than 72, so that it has three levels of pages. */
static uint32_t big(struct zcmem_heap *heap) {
  uint32_t best = 0;
  for (uint32_t bin = 1; bin < heap->at.wide_bins; bin++) {
    if (wide_at(heap, bin)->count > wide_at(heap, best)->count) {
      best = bin;
    }
  }
  assert_true(wide_at(heap, best)->count > 72);
  return best;
}
static uint32_t big_last(struct zcmem_heap *heap) {
  return big(heap) + wide_at(heap, big(heap))->tail;
}
static uint32_t big_second(struct zcmem_heap *heap) {
  return links_at(heap, big(heap))->next;
}
static uint32_t unused_page(struct zcmem_heap *heap) {
  assert_int_not_equal(heap->unused_page, ZCMEM__NIL);
  assert_int_not_equal(links_at(heap, heap->unused_page)->next, ZCMEM__NIL);
  return heap->unused_page;
}
static uint32_t no_bin(struct zcmem_heap *heap) {
  uint32_t bin = 0;
  while (wide_at(heap, bin)->count != 0) {
    bin++;
  }
  assert_true(bin < heap->at.wide_bins);
  return bin;
}

static void wide_bit_missing(struct zcmem_heap *heap) {
  flip_bit(heap, ZCMEM__BIN_WIDE + big(heap));
}
static void wide_bit_too_many(struct zcmem_heap *heap) {
  flip_bit(heap, ZCMEM__BIN_WIDE + no_bin(heap));
}
static void count_0(struct zcmem_heap *heap) {
  wide_at(heap, big(heap))->count = 0;
}
static void id_0(struct zcmem_heap *heap) {
  page_at(heap, big(heap))->id[3] = ZCMEM__NIL;
}
static void id_out(struct zcmem_heap *heap) {
  page_at(heap, big_last(heap))->id[0] = heap->next_id;
}
static void id_twice(struct zcmem_heap *heap) {
  page_at(heap, big(heap))->id[1] = page_at(heap, big(heap))->id[0];
}
static void slot_of_a_block(struct zcmem_heap *heap) {
  zcmem__block(heap, page_at(heap, big(heap))->id[2])->bin_prev++;
}
static void id_of_another_bin(struct zcmem_heap *heap) {
  uint32_t other = 0;
  while (other == big(heap) || wide_at(heap, other)->count == 0) {
    other++;
  }
  page_at(heap, big(heap))->id[1] = page_at(heap, other)->id[0];
}
static void vacant_in_the_last_page(struct zcmem_heap *heap) {
  page_at(heap, big_last(heap))->entry[7] = 1;
}
static void vacant_in_an_empty_bin(struct zcmem_heap *heap) {
  page_at(heap, no_bin(heap))->entry[0] = 1;
}
static void count_too_low(struct zcmem_heap *heap) {
  wide_at(heap, big(heap))->count--;
}
static void entry_size(struct zcmem_heap *heap) {
  page_at(heap, big(heap))->entry[4] += UINT64_C(1) << 32;
}
static void entry_start(struct zcmem_heap *heap) {
  page_at(heap, big_second(heap))->entry[0] ^= ZCMEM__PAGE;
}
static void entry_place(struct zcmem_heap *heap) {
  page_at(heap, big_last(heap))->entry[0] ^= 1u;
}
static void entry_0(struct zcmem_heap *heap) {
  page_at(heap, big_second(heap))->entry[1] = 0;
}

static void next_page_0(struct zcmem_heap *heap) {
  links_at(heap, big(heap))->next = ZCMEM__NIL;
}
static void next_page_of_a_bin(struct zcmem_heap *heap) {
  links_at(heap, big_second(heap))->next = big(heap) + 1u;
}
static void next_page_out(struct zcmem_heap *heap) {
  links_at(heap, big_second(heap))->next = heap->pages;
}
static void next_page_itself(struct zcmem_heap *heap) {
  links_at(heap, big_second(heap))->next = links_at(heap, big(heap))->next;
}
static void prev_page(struct zcmem_heap *heap) {
  links_at(heap, big_last(heap))->prev = big(heap);
}
static void parent(struct zcmem_heap *heap) {
  links_at(heap, big_last(heap))->parent++;
}
static void parent_of_the_second(struct zcmem_heap *heap) {
  links_at(heap, big_second(heap))->parent++;
}
static void links_reserved(struct zcmem_heap *heap) {
  links_at(heap, big_second(heap))->reserved = 1;
}
static void children_swapped(struct zcmem_heap *heap) {
  uint32_t *child = page_at(heap, big(heap))->child, first = child[0];
  child[0] = child[1];
  child[1] = first;
}
static void child_missing(struct zcmem_heap *heap) {
  page_at(heap, big(heap))->child[7] = ZCMEM__NIL;
}
static void child_of_a_leaf(struct zcmem_heap *heap) {
  page_at(heap, big_last(heap))->child[0] = big_last(heap);
}
static void child_of_an_empty_bin(struct zcmem_heap *heap) {
  page_at(heap, no_bin(heap))->child[7] = big_last(heap);
}
static void count_of_a_page_more(struct zcmem_heap *heap) {
  wide_at(heap, big(heap))->count += ZCMEM__PAGE;
}
static void count_huge(struct zcmem_heap *heap) {
  wide_at(heap, big(heap))->count = UINT32_MAX;
}
static void tail_is_another(struct zcmem_heap *heap) {
  wide_at(heap, big(heap))->tail = 0;
}
static void tail_of_an_empty_bin(struct zcmem_heap *heap) {
  wide_at(heap, no_bin(heap))->tail = 1;
}
static void last_page_has_a_next(struct zcmem_heap *heap) {
  links_at(heap, big_last(heap))->next = unused_page(heap);
}
static void empty_bin_has_a_next(struct zcmem_heap *heap) {
  links_at(heap, no_bin(heap))->next = unused_page(heap);
}
static void first_page_has_a_parent(struct zcmem_heap *heap) {
  links_at(heap, big(heap))->parent = 1;
}
static void first_page_has_a_prev(struct zcmem_heap *heap) {
  links_at(heap, no_bin(heap))->prev = 1;
}
static void first_page_reserved(struct zcmem_heap *heap) {
  links_at(heap, big(heap))->reserved = 1;
}

/* Swaps a block with its parent, all else as it should be. */
static void larger_than_its_parent(struct zcmem_heap *heap) {
  uint32_t page = big_last(heap), up = links_at(heap, page)->parent;
  struct zcmem__wide_page *below = page_at(heap, page), *above = page_at(heap, up / ZCMEM__PAGE);
  uint32_t lower = below->id[0], upper = above->id[up % ZCMEM__PAGE], slot = page * ZCMEM__PAGE;
  struct zcmem__block *small = zcmem__block(heap, lower), *large = zcmem__block(heap, upper);
  assert_true(small->size < large->size);
  below->id[0] = upper;
  below->entry[0] = zcmem__wide_entry(large->size, large->start, slot);
  large->bin_prev = slot;
  above->id[up % ZCMEM__PAGE] = lower;
  above->entry[up % ZCMEM__PAGE] = zcmem__wide_entry(small->size, small->start, up);
  small->bin_prev = up;
}

static void pages_forgotten(struct zcmem_heap *heap) {
  heap->unused_page = ZCMEM__NIL;
}
static void first_page_forgotten(struct zcmem_heap *heap) {
  heap->unused_page = links_at(heap, unused_page(heap))->next;
}
static void pages_in_a_circle(struct zcmem_heap *heap) {
  links_at(heap, unused_page(heap))->next = heap->unused_page;
}
static void page_out(struct zcmem_heap *heap) {
  heap->unused_page = heap->pages;
}
static void page_not_listed(struct zcmem_heap *heap) {
  heap->pages++;
}
static void page_of_a_bin_listed(struct zcmem_heap *heap) {
  links_at(heap, unused_page(heap))->next = big(heap);
}
/* The last page of a bin, instead of the last page of the list. */
static void used_page_listed(struct zcmem_heap *heap) {
  uint32_t page = unused_page(heap);
  while (links_at(heap, links_at(heap, page)->next)->next != ZCMEM__NIL) {
    page = links_at(heap, page)->next;
  }
  links_at(heap, page)->next = big_last(heap);
}
static void unused_page_entry(struct zcmem_heap *heap) {
  page_at(heap, unused_page(heap))->entry[5] = 1;
}
static void unused_page_child(struct zcmem_heap *heap) {
  page_at(heap, unused_page(heap))->child[0] = big_last(heap);
}
static void new_page_entry(struct zcmem_heap *heap) {
  page_at(heap, heap->at.pages - 1u)->entry[7] = 1;
}
static void new_page_child(struct zcmem_heap *heap) {
  page_at(heap, heap->pages)->child[7] = big_last(heap);
}

const struct damage damage_wide[] = {
    DAMAGE(IMAGE_WIDE, wide_bit_missing, BIT),
    DAMAGE(IMAGE_WIDE, wide_bit_too_many, BIT),
    DAMAGE(IMAGE_WIDE, count_0, BIT),
    DAMAGE(IMAGE_WIDE, id_0, NONE),
    DAMAGE(IMAGE_WIDE, id_out, NONE),
    DAMAGE(IMAGE_WIDE, id_of_another_bin, WRONG),
    DAMAGE(IMAGE_WIDE, id_twice, PLACE),
    DAMAGE(IMAGE_WIDE, slot_of_a_block, PLACE),
    DAMAGE(IMAGE_WIDE, vacant_in_the_last_page, VACANT),
    DAMAGE(IMAGE_WIDE, vacant_in_an_empty_bin, VACANT),
    DAMAGE(IMAGE_WIDE, count_too_low, VACANT),
    DAMAGE(IMAGE_WIDE, entry_size, ENTRY),
    DAMAGE(IMAGE_WIDE, entry_start, ENTRY),
    DAMAGE(IMAGE_WIDE, entry_place, ENTRY),
    DAMAGE(IMAGE_WIDE, entry_0, ENTRY),
    DAMAGE(IMAGE_WIDE, next_page_0, NO_PAGE),
    DAMAGE(IMAGE_WIDE, next_page_of_a_bin, NO_PAGE),
    DAMAGE(IMAGE_WIDE, next_page_out, NO_PAGE),
    DAMAGE(IMAGE_WIDE, next_page_itself, PAGE_LINKS),
    DAMAGE(IMAGE_WIDE, prev_page, PAGE_LINKS),
    DAMAGE(IMAGE_WIDE, parent, PAGE_LINKS),
    DAMAGE(IMAGE_WIDE, parent_of_the_second, PAGE_LINKS),
    DAMAGE(IMAGE_WIDE, links_reserved, PAGE_LINKS),
    DAMAGE(IMAGE_WIDE, children_swapped, PAGE_LINKS),
    DAMAGE(IMAGE_WIDE, child_missing, PAGES),
    DAMAGE(IMAGE_WIDE, child_of_a_leaf, PAGES),
    DAMAGE(IMAGE_WIDE, child_of_an_empty_bin, PAGES),
    DAMAGE(IMAGE_WIDE, count_of_a_page_more, PAGES),
    DAMAGE(IMAGE_WIDE, count_huge, PAGES),
    DAMAGE(IMAGE_WIDE, tail_is_another, ENDS),
    DAMAGE(IMAGE_WIDE, tail_of_an_empty_bin, ENDS),
    DAMAGE(IMAGE_WIDE, last_page_has_a_next, ENDS),
    DAMAGE(IMAGE_WIDE, empty_bin_has_a_next, ENDS),
    DAMAGE(IMAGE_WIDE, first_page_has_a_parent, ENDS),
    DAMAGE(IMAGE_WIDE, first_page_has_a_prev, ENDS),
    DAMAGE(IMAGE_WIDE, first_page_reserved, ENDS),
    DAMAGE(IMAGE_WIDE, larger_than_its_parent, ORDER),
    DAMAGE(IMAGE_WIDE, pages_forgotten, LIST),
    DAMAGE(IMAGE_WIDE, first_page_forgotten, LIST),
    DAMAGE(IMAGE_WIDE, pages_in_a_circle, LIST),
    DAMAGE(IMAGE_WIDE, page_out, LIST),
    DAMAGE(IMAGE_WIDE, page_not_listed, LIST),
    DAMAGE(IMAGE_WIDE, page_of_a_bin_listed, LIST),
    DAMAGE(IMAGE_WIDE, used_page_listed, NOT_EMPTY),
    DAMAGE(IMAGE_WIDE, unused_page_entry, NOT_EMPTY),
    DAMAGE(IMAGE_WIDE, unused_page_child, NOT_EMPTY),
    DAMAGE(IMAGE_WIDE, new_page_entry, NOT_EMPTY),
    DAMAGE(IMAGE_WIDE, new_page_child, NOT_EMPTY),
    {0},
};
