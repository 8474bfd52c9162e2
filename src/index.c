/* SPDX-License-Identifier: MIT */
/* L1. The index: pages that are tables, and the way from an interior address to its block. See index.h. */
#include "index.h"

#define ENTRIES (1u << ZCMEM__INDEX_BITS)

static struct zcmem__index_table *table_at(struct zcmem_heap *heap, uint32_t entry) {
  return ZCMEM__TABLE(struct zcmem__index_table, heap, heap->at.tables_at) + (entry >> 4);
}

static const struct zcmem__index_table *table_const(const struct zcmem_heap *heap, uint32_t entry) {
  return ZCMEM__CONST_TABLE(struct zcmem__index_table, heap, heap->at.tables_at) + (entry >> 4);
}

static uint32_t *table_count(struct zcmem_heap *heap, uint32_t entry) {
  return ZCMEM__TABLE(uint32_t, heap, heap->at.table_counts_at) + (entry >> 4);
}

void zcmem__index_raise(struct zcmem_heap *heap, uint32_t bit) {
  for (uint32_t level = 1; level < heap->at.levels; level++, bit >>= 6) {
    ZCMEM__STEP();
    uint64_t *word = ZCMEM__TABLE(uint64_t, heap, heap->at.level_at[level]) + (bit >> 6), bits = *word;
    ZCMEM__PUT64(*word, bits | zcmem__bits_one(bit & 63u));
    if (bits != 0) {
      return;
    }
  }
}

void zcmem__index_lower(struct zcmem_heap *heap, uint32_t bit) {
  for (uint32_t level = 1; level < heap->at.levels; level++, bit >>= 6) {
    ZCMEM__STEP();
    uint64_t *word = ZCMEM__TABLE(uint64_t, heap, heap->at.level_at[level]) + (bit >> 6);
    uint64_t bits = *word & ~zcmem__bits_one(bit & 63u);
    ZCMEM__PUT64(*word, bits);
    if (bits != 0) {
      return;
    }
  }
}

/* The entry for `quantum` of a table whose entries stand for 1 << shift quanta. */
static uint32_t part(uint32_t quantum, uint32_t shift) {
  return quantum >> shift & (ENTRIES - 1u);
}

uint32_t zcmem__index_descend(const struct zcmem_heap *heap, uint32_t entry, uint32_t quantum) {
  for (uint32_t shift = heap->at.index_shift; zcmem__index_is_table(entry);) {
    ZCMEM__STEP();
    shift -= ZCMEM__INDEX_BITS;
    entry = table_const(heap, entry)->entry[part(quantum, shift)];
  }
  return entry;
}

static uint32_t take_table(struct zcmem_heap *heap) {
  uint32_t table = heap->unused_table;
  if (table != ZCMEM__NIL) {
    heap->unused_table = *table_count(heap, table << 4);
  } else {
    table = heap->tables++;
  }
  ZCMEM__ASSERT(table < heap->at.tables);
  return table << 4 | ZCMEM__INDEX_TABLE;
}

/*
 * Makes a table of an entry that has one live block too many; of the one part that has them all, too, if need be.
 * `first` is the first of them.
 */
static void split(struct zcmem_heap *heap, uint32_t *at, uint32_t shift, uint32_t first) {
  uint32_t *crowded = at;
  do {
    ZCMEM__STEP();
    ZCMEM__ASSERT(shift >= ZCMEM__INDEX_BITS);
    shift -= ZCMEM__INDEX_BITS;
    ZCMEM__PUT(*crowded, take_table(heap));
    *table_count(heap, *crowded) = ZCMEM__INDEX_MOST + 1u;
    uint32_t *entries = table_at(heap, *crowded)->entry;
    crowded = NULL;
    uint32_t id = first;
    for (uint32_t left = ZCMEM__INDEX_MOST + 1u; left > 0; id = zcmem__link_id(zcmem__block(heap, id)->next)) {
      const struct zcmem__block *block = zcmem__block(heap, id);
      if (ZCMEM__GET(block->use) == ZCMEM__FREE) {
        continue;
      }
      uint32_t *entry = &entries[part(block->start, shift)];
      ZCMEM__PUT(*entry, *entry == 0 ? zcmem__index_entry(id, 1u) : *entry + 1u);
      crowded = (*entry & ZCMEM__INDEX_COUNT) > ZCMEM__INDEX_MOST ? entry : NULL;
      left--;
    }
  } while (crowded != NULL);
}

void zcmem__index_add_deep(struct zcmem_heap *heap, uint32_t id, uint32_t start) {
  uint32_t shift = heap->at.index_shift;
  uint32_t *at = &zcmem__index(heap)[start >> shift];
  while (zcmem__index_is_table(*at)) {
    ZCMEM__STEP();
    (*table_count(heap, *at))++;
    shift -= ZCMEM__INDEX_BITS;
    at = &table_at(heap, *at)->entry[part(start, shift)];
  }
  uint32_t entry = *at;
  bool first = entry == 0 || start < zcmem__block(heap, zcmem__index_first(entry))->start;
  if ((entry & ZCMEM__INDEX_COUNT) == ZCMEM__INDEX_MOST) {
    split(heap, at, shift, first ? id : zcmem__index_first(entry));
  } else {
    ZCMEM__PUT(*at, (first ? zcmem__index_entry(id, entry & ZCMEM__INDEX_COUNT) : entry) + 1u);
  }
}

/* The entry that a table of few live blocks becomes; the tables below it, which have no more, go with it. */
static uint32_t fold(struct zcmem_heap *heap, uint32_t entry) {
  uint32_t count = *table_count(heap, entry), first = ZCMEM__NIL;
  while (zcmem__index_is_table(entry)) {
    ZCMEM__STEP();
    uint32_t *entries = table_at(heap, entry)->entry, below = 0;
    for (uint32_t i = 0; i < ENTRIES; i++) {
      ZCMEM__STEP();
      if (entries[i] != 0 && below == 0) {
        below = entries[i];
      }
      ZCMEM__PUT(entries[i], 0);
    }
    *table_count(heap, entry) = heap->unused_table;
    heap->unused_table = entry >> 4;
    entry = below;
    first = zcmem__index_first(entry);
  }
  return zcmem__index_entry(first, count);
}

void zcmem__index_remove_deep(struct zcmem_heap *heap, uint32_t id, uint32_t start, uint32_t next) {
  uint32_t shift = heap->at.index_shift;
  uint32_t *at = &zcmem__index(heap)[start >> shift], *few = NULL;
  while (zcmem__index_is_table(*at)) {
    ZCMEM__STEP();
    if (--*table_count(heap, *at) <= ZCMEM__INDEX_LEAST && few == NULL) {
      few = at;
    }
    shift -= ZCMEM__INDEX_BITS;
    at = &table_at(heap, *at)->entry[part(start, shift)];
  }
  uint32_t entry = *at;
  if (entry == zcmem__index_entry(id, 1u)) {
    ZCMEM__PUT(*at, 0);
  } else {
    ZCMEM__PUT(*at,
               (zcmem__index_first(entry) == id ? zcmem__index_entry(next, entry & ZCMEM__INDEX_COUNT) : entry) - 1u);
  }
  if (few != NULL) {
    ZCMEM__PUT(*few, fold(heap, *few));
  }
}

/*
 * From here on: what a look-up without the lock may run while another thread changes the index. Whatever it reads is a
 * number that some word of that type once held, so it stays within the tables; but numbers of different moments may
 * not fit together. So no loop relies on that to end. What is found then, the caller throws away.
 */

/* The most steps along the chain that a look-up with the lock takes: eight live blocks and as many free, and some. */
#define HOPS 40u

static const uint64_t *level_of(const struct zcmem_heap *heap, uint32_t level) {
  return ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[level]);
}

/* The first page behind `page` where something starts; false: none. */
static bool page_after(const struct zcmem_heap *heap, uint32_t page, uint32_t *found) {
  uint32_t level = 0, at = page, top = heap->at.levels - 1u;
  uint64_t bits;
  for (;; level++) { /* up, to a level where the word has something behind */
    ZCMEM__STEP();
    bits = ZCMEM__GET64(level_of(heap, level)[at >> 6]) & ~((zcmem__bits_one(at & 63u) << 1) - 1u);
    if (bits != 0 || level == top) {
      break;
    }
    at >>= 6;
  }
  uint32_t word = at >> 6;
  while (bits == 0) { /* the last level, word by word */
    ZCMEM__STEP();
    if (++word == heap->at.top_words) {
      return false;
    }
    bits = ZCMEM__GET64(level_of(heap, level)[word]);
  }
  at = word << 6 | zcmem__bits_low64(bits);
  while (level-- > 0) { /* down, to the first one each */
    ZCMEM__STEP();
    bits = ZCMEM__GET64(level_of(heap, level)[at]);
    if (bits == 0) {
      return false;
    }
    at = at << 6 | zcmem__bits_low64(bits);
  }
  *found = at;
  return true;
}

/* The first live block under an entry of parts of 1 << shift quanta; the sentinel where there is none. */
static uint32_t first_of(const struct zcmem_heap *heap, uint32_t entry, uint32_t shift) {
  for (; zcmem__index_is_table(entry) && shift >= ZCMEM__INDEX_BITS; shift -= ZCMEM__INDEX_BITS) {
    ZCMEM__STEP();
    const uint32_t *entries = table_const(heap, entry)->entry;
    entry = 0;
    for (uint32_t i = 0; entry == 0 && i < ENTRIES; i++) {
      ZCMEM__STEP();
      entry = ZCMEM__GET(entries[i]);
    }
  }
  return zcmem__index_is_table(entry) ? ZCMEM__NIL : zcmem__index_first(entry);
}

/*
 * A live block near `quantum`: one that starts before it in the same part of a page, or else the first behind it, or
 * the sentinel where there is none.
 */
static uint32_t live_near(const struct zcmem_heap *heap, uint32_t quantum) {
  uint32_t shift = heap->at.index_shift, page = quantum >> shift, behind = 0, behind_shift = shift;
  uint32_t entry = ZCMEM__GET(zcmem__index_const(heap)[page]);
  while (zcmem__index_is_table(entry) && shift >= ZCMEM__INDEX_BITS) {
    ZCMEM__STEP();
    const uint32_t *entries = table_const(heap, entry)->entry;
    shift -= ZCMEM__INDEX_BITS;
    uint32_t i = part(quantum, shift);
    entry = ZCMEM__GET(entries[i]);
    if (entry != 0 && !zcmem__index_is_table(entry)) {
      break;
    }
    while (++i < ENTRIES) { /* the nearest part behind that has something, of the innermost table that knows one */
      ZCMEM__STEP();
      uint32_t later = ZCMEM__GET(entries[i]);
      if (later != 0) {
        behind = later;
        behind_shift = shift;
        break;
      }
    }
  }
  if (entry != 0) {
    return first_of(heap, entry, 0);
  }
  if (behind == 0 && page_after(heap, page, &page)) {
    behind = ZCMEM__GET(zcmem__index_const(heap)[page]);
    behind_shift = heap->at.index_shift;
  }
  return first_of(heap, behind, behind_shift);
}

static uint32_t walk_to(const struct zcmem_heap *heap, uint32_t id, uint32_t quantum) {
  uint32_t hops = 0;
  const struct zcmem__block *block = zcmem__block_const(heap, id);
  while (ZCMEM__GET(block->start) >
         quantum) { /* two steps at most: only one free block can lie between two live ones */
    if (++hops > HOPS) {
      return ZCMEM__NIL;
    }
    id = zcmem__link_id(ZCMEM__GET(block->prev));
    block = zcmem__block_const(heap, id);
  }
  while (quantum - ZCMEM__GET(block->start) >= ZCMEM__GET(block->size)) {
    if (++hops > HOPS) {
      return ZCMEM__NIL;
    }
    id = zcmem__link_id(ZCMEM__GET(block->next));
    block = zcmem__block_const(heap, id);
  }
  return id;
}

uint32_t zcmem__index_holder(const struct zcmem_heap *heap, uint32_t quantum) {
  return walk_to(heap, live_near(heap, quantum), quantum);
}
