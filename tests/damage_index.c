/* SPDX-License-Identifier: MIT */
/* Damage to the index, its tables and its bitmaps. */
#include "damage.h"

#define ENTRY "I10: an entry of the index does not name the first live block and how many there are"
#define NO_TABLE "I10: a table of the index is none"
#define COUNT "I10: the count of a table of the index"
#define LIST "I10: the list of unused tables"
#define NOT_EMPTY "I10: an unused table is not empty"
#define BIT "I11: a bit of the index's bitmap"

#define PARTS (1u << ZCMEM__INDEX_BITS)

static uint32_t *table_at(struct zcmem_heap *heap, uint32_t table) {
  return ZCMEM__TABLE(struct zcmem__index_table, heap, heap->at.tables_at)[table].entry;
}
static uint32_t *counts(struct zcmem_heap *heap) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.table_counts_at);
}
static uint64_t *level(struct zcmem_heap *heap, uint32_t n) {
  assert_true(n < heap->at.levels);
  return ZCMEM__TABLE(uint64_t, heap, heap->at.level_at[n]);
}

/* A page of the index, by what its entry is. */
static uint32_t page_with(struct zcmem_heap *heap, uint32_t least, uint32_t most) {
  uint32_t page = 0;
  while ((zcmem__index(heap)[page] & ZCMEM__INDEX_COUNT) < least ||
         (zcmem__index(heap)[page] & ZCMEM__INDEX_COUNT) > most) {
    page++;
    assert_true(page < heap->at.index_pages);
  }
  return page;
}
static uint32_t *empty(struct zcmem_heap *heap) {
  return &zcmem__index(heap)[page_with(heap, 0, 0)];
}
static uint32_t *some(struct zcmem_heap *heap) {
  return &zcmem__index(heap)[page_with(heap, 1, ZCMEM__INDEX_MOST)];
}
static uint32_t *table(struct zcmem_heap *heap) {
  return &zcmem__index(heap)[page_with(heap, ZCMEM__INDEX_TABLE, ZCMEM__INDEX_TABLE)];
}

/* The innermost table that is first in its page, and the shift of its entries. */
static uint32_t innermost(struct zcmem_heap *heap, uint32_t *shift) {
  uint32_t entry = *table(heap), number = 0;
  *shift = heap->at.index_shift;
  for (uint32_t i = 0; zcmem__index_is_table(entry); *shift -= ZCMEM__INDEX_BITS) {
    number = entry >> 4;
    for (i = 0; table_at(heap, number)[i] == 0; i++) {
      continue;
    }
    entry = table_at(heap, number)[i];
  }
  assert_int_not_equal(number, *table(heap) >> 4); /* there are tables in tables */
  return number;
}
static uint32_t *inner(struct zcmem_heap *heap) {
  uint32_t shift, *entry = table_at(heap, innermost(heap, &shift));
  while (*entry == 0) {
    entry++;
  }
  return entry;
}

static void entry_missing(struct zcmem_heap *heap) {
  *some(heap) = 0;
}
static void entry_of_an_empty_page(struct zcmem_heap *heap) {
  *empty(heap) = *some(heap);
}
static void entry_counts_more(struct zcmem_heap *heap) {
  ++*some(heap);
}
static void entry_of_another_block(struct zcmem_heap *heap) {
  *some(heap) += ZCMEM__INDEX_COUNT + 1u;
}
static void entry_counts_none(struct zcmem_heap *heap) {
  *some(heap) &= ~ZCMEM__INDEX_COUNT;
}
static void inner_missing(struct zcmem_heap *heap) {
  *inner(heap) = 0;
}
static void inner_counts_more(struct zcmem_heap *heap) {
  ++*inner(heap);
}
static void table_twice(struct zcmem_heap *heap) {
  *empty(heap) = *table(heap);
}
static void tables_swapped(struct zcmem_heap *heap) {
  uint32_t *one = table(heap), *other = one + 1, entry = *one;
  while (!zcmem__index_is_table(*other)) {
    other++;
  }
  *one = *other;
  *other = entry;
}

static void table_0(struct zcmem_heap *heap) {
  *table(heap) = ZCMEM__INDEX_TABLE;
}
static void table_out(struct zcmem_heap *heap) {
  *table(heap) = heap->tables << 4 | ZCMEM__INDEX_TABLE;
}
static void table_in_itself(struct zcmem_heap *heap) {
  table_at(heap, *table(heap) >> 4)[0] = *table(heap);
}
/* Where the parts of a table are too small for another. */
static void table_too_deep(struct zcmem_heap *heap) {
  uint32_t shift;
  (void)innermost(heap, &shift);
  assert_true(shift < ZCMEM__INDEX_BITS);
  *inner(heap) = *table(heap);
}

static void count_of_a_table(struct zcmem_heap *heap) {
  counts(heap)[*table(heap) >> 4]++;
}
static void count_of_an_inner_table(struct zcmem_heap *heap) {
  uint32_t shift;
  counts(heap)[innermost(heap, &shift)]--;
}
/* A table for as few blocks as should be an entry, all else as it should be. */
static void table_of_few(struct zcmem_heap *heap) {
  uint32_t page = page_with(heap, ZCMEM__INDEX_LEAST, ZCMEM__INDEX_LEAST), made = heap->tables++;
  uint32_t entry = zcmem__index(heap)[page], id = zcmem__index_first(entry);
  assert_true(made < heap->at.tables);
  counts(heap)[made] = entry & ZCMEM__INDEX_COUNT;
  for (uint32_t left = entry & ZCMEM__INDEX_COUNT; left > 0; id = zcmem__link_id(zcmem__block(heap, id)->next)) {
    const struct zcmem__block *block = zcmem__block(heap, id);
    uint32_t *part = &table_at(heap, made)[block->start >> (heap->at.index_shift - ZCMEM__INDEX_BITS) & (PARTS - 1u)];
    if (block->use == ZCMEM__FREE) {
      continue;
    }
    *part = *part == 0 ? zcmem__index_entry(id, 1) : *part + 1u;
    left--;
  }
  zcmem__index(heap)[page] = made << 4 | ZCMEM__INDEX_TABLE;
}

static uint32_t unused(struct zcmem_heap *heap) {
  assert_int_not_equal(heap->unused_table, ZCMEM__NIL);
  assert_int_not_equal(counts(heap)[heap->unused_table], ZCMEM__NIL);
  return heap->unused_table;
}
static void tables_forgotten(struct zcmem_heap *heap) {
  heap->unused_table = ZCMEM__NIL;
}
static void first_table_forgotten(struct zcmem_heap *heap) {
  heap->unused_table = counts(heap)[unused(heap)];
}
static void tables_in_a_circle(struct zcmem_heap *heap) {
  counts(heap)[unused(heap)] = heap->unused_table;
}
static void unused_table_out(struct zcmem_heap *heap) {
  heap->unused_table = heap->tables;
}
static void table_not_listed(struct zcmem_heap *heap) {
  heap->tables++;
}
static void used_table_listed(struct zcmem_heap *heap) {
  heap->unused_table = *table(heap) >> 4;
}
/* The last of the list is one that never was in use, though as empty as the right one. */
static void unused_table_last_out(struct zcmem_heap *heap) {
  uint32_t before = unused(heap);
  assert_true(heap->tables < heap->at.tables);
  while (counts(heap)[counts(heap)[before]] != ZCMEM__NIL) {
    before = counts(heap)[before];
  }
  counts(heap)[before] = heap->tables;
}
static void unused_table_entry(struct zcmem_heap *heap) {
  table_at(heap, unused(heap))[15] = 1;
}
static void new_table_entry(struct zcmem_heap *heap) {
  table_at(heap, heap->tables)[0] = 1;
}
static void last_table_entry(struct zcmem_heap *heap) {
  table_at(heap, heap->at.tables - 1u)[15] = 1;
}

static void flip(struct zcmem_heap *heap, uint32_t n, uint32_t bit) {
  level(heap, n)[bit >> 6] ^= zcmem__bits_one(bit & 63u);
}
static void bit_missing(struct zcmem_heap *heap) {
  flip(heap, 0, page_with(heap, 1, ZCMEM__INDEX_MOST));
}
static void bit_too_many(struct zcmem_heap *heap) {
  flip(heap, 0, page_with(heap, 0, 0));
}
static void bit_of_a_table_missing(struct zcmem_heap *heap) {
  flip(heap, 0, page_with(heap, ZCMEM__INDEX_TABLE, ZCMEM__INDEX_TABLE));
}
static void bit_above_missing(struct zcmem_heap *heap) {
  flip(heap, 1, page_with(heap, 1, 15) >> 6);
}
static void bit_above_too_many(struct zcmem_heap *heap) {
  uint32_t word = 0;
  while (level(heap, 0)[word] != 0) {
    word++;
  }
  assert_true(word < (heap->at.index_pages + 63u) / 64u);
  flip(heap, 1, word);
}
static void bit_behind_all(struct zcmem_heap *heap) {
  assert_int_not_equal(heap->at.index_pages % 64u, 0);
  flip(heap, 0, heap->at.index_pages);
}

const struct damage damage_index[] = {
    DAMAGE(IMAGE_TABLES, entry_missing, ENTRY),
    DAMAGE(IMAGE_SMALL, entry_missing, ENTRY),
    DAMAGE(IMAGE_TABLES, entry_of_an_empty_page, ENTRY),
    DAMAGE(IMAGE_TABLES, entry_counts_more, ENTRY),
    DAMAGE(IMAGE_TABLES, entry_of_another_block, ENTRY),
    DAMAGE(IMAGE_TABLES, entry_counts_none, ENTRY),
    DAMAGE(IMAGE_TABLES, inner_missing, ENTRY),
    DAMAGE(IMAGE_TABLES, inner_counts_more, ENTRY),
    DAMAGE(IMAGE_TABLES, table_twice, ENTRY),
    DAMAGE(IMAGE_TABLES, tables_swapped, ENTRY),
    DAMAGE(IMAGE_TABLES, table_0, NO_TABLE),
    DAMAGE(IMAGE_TABLES, table_out, NO_TABLE),
    DAMAGE(IMAGE_TABLES, table_in_itself, NO_TABLE),
    DAMAGE(IMAGE_TABLES, table_too_deep, NO_TABLE),
    DAMAGE(IMAGE_TABLES, count_of_a_table, COUNT),
    DAMAGE(IMAGE_TABLES, count_of_an_inner_table, COUNT),
    DAMAGE(IMAGE_TABLES, table_of_few, COUNT),
    DAMAGE(IMAGE_TABLES, tables_forgotten, LIST),
    DAMAGE(IMAGE_TABLES, first_table_forgotten, LIST),
    DAMAGE(IMAGE_TABLES, tables_in_a_circle, LIST),
    DAMAGE(IMAGE_TABLES, unused_table_out, LIST),
    DAMAGE(IMAGE_TABLES, unused_table_last_out, LIST),
    DAMAGE(IMAGE_TABLES, table_not_listed, LIST),
    DAMAGE(IMAGE_TABLES, used_table_listed, LIST),
    DAMAGE(IMAGE_TABLES, unused_table_entry, NOT_EMPTY),
    DAMAGE(IMAGE_TABLES, new_table_entry, NOT_EMPTY),
    DAMAGE(IMAGE_TABLES, last_table_entry, NOT_EMPTY),
    DAMAGE(IMAGE_TABLES, bit_missing, BIT),
    DAMAGE(IMAGE_TABLES, bit_too_many, BIT),
    DAMAGE(IMAGE_TABLES, bit_of_a_table_missing, BIT),
    DAMAGE(IMAGE_TABLES, bit_above_missing, BIT),
    DAMAGE(IMAGE_TABLES, bit_above_too_many, BIT),
    DAMAGE(IMAGE_EMPTY, bit_behind_all, BIT),
    {0},
};
