/* SPDX-License-Identifier: MIT */
/*
 * L2. The checker: every invariant of the image, by the numbers of src/DESIGN.md. The bins have a file of their own.
 */
#include "checker.h"
#include "index.h"

/* I1 */
static bool check_header(struct zcmem__checker *check, size_t bytes) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__layout *at = &heap->at;
  if (bytes < sizeof *heap || heap->magic != ZCMEM__MAGIC) {
    return zcmem__check_fail(check, "I1: no heap image of this version and byte order");
  }
  const uint32_t shift = at->quantum_shift & 31u; /* if it is more, the layouts differ */
  const struct zcmem_heap_config config = {at->base, (hal_size_t)at->quanta << shift, (hal_size_t)1 << shift,
                                           at->max_blocks, 0};
  struct zcmem__layout expected;
  if (!zcmem__heap_layout(&config, &expected) || !zcmem__bits_equal(&expected, at, sizeof expected)) {
    return zcmem__check_fail(check, "I1: the layout does not follow from the geometry");
  }
  if (bytes < at->bytes) {
    return zcmem__check_fail(check, "I1: the image is cut short");
  }
  if (heap->next_id < 2u * ZCMEM__ID || heap->next_id % ZCMEM__ID != 0 || heap->next_id / ZCMEM__ID > at->descriptors ||
      heap->pages < at->wide_bins || heap->pages > at->pages || heap->tables < 1u || heap->tables > at->tables ||
      heap->live > at->max_blocks) {
    return zcmem__check_fail(check, "I1: a count is beyond its table");
  }
  if (heap->undo_id != ZCMEM__NIL) {
    return zcmem__check_fail(check, "I1: a resize was interrupted: zcmem_heap_repair undoes it");
  }
  return (heap->shared <= ZCMEM__SHARED_PROCESSES && (heap->owner & ZCMEM__GENERATION) == 0) ||
         zcmem__check_fail(check, "I1: a reserved field is not 0");
}

/* I4: a live block, a zombie, or one that a magazine keeps. Its slack is less than a quantum, or just one if it is a
 * block of no bytes. */
static bool check_live(struct zcmem__checker *check, const struct zcmem__block *block, uint64_t *slack) {
  uint32_t use = ZCMEM__GET(block->use); /* transfers may come and go meanwhile */
  if (use == ZCMEM__TAKEN && check->heap->shared == ZCMEM__SHARED_PROCESSES) {
    return true;
  }
  if (use == ZCMEM__CACHED) {
    return check->heap->shared != ZCMEM__SHARED_NOT ||
           zcmem__check_fail(check, "I4: a cached block in a heap without magazines");
  }
  if ((use & ZCMEM__STATE) != ZCMEM__LIVE && (use & ZCMEM__STATE) != ZCMEM__ZOMBIE) {
    return zcmem__check_fail(check, "I4: a block of the chain has no state");
  }
  /* What a magazine hands out may be larger than it was asked for. */
  if (check->heap->shared != ZCMEM__SHARED_NOT
          ? block->slack > zcmem__heap_bytes_of(check->heap, block->size)
          : block->slack > zcmem__heap_bytes_of(check->heap, 1) - (block->size != 1u)) {
    return zcmem__check_fail(check, "I4: a live block has more slack than a quantum");
  }
  if (use == ZCMEM__ZOMBIE) {
    return zcmem__check_fail(check, "I4: a zombie that nobody uses");
  }
  *slack += block->slack;
  return true;
}

/* I2, I3, I9 */
static bool check_chain(struct zcmem__checker *check) {
  const struct zcmem_heap *heap = check->heap;
  const struct zcmem__block *sentinel = zcmem__check_block(check, ZCMEM__NIL);
  if (sentinel->start != UINT32_MAX || sentinel->use != ZCMEM__UNUSED || sentinel->size != 0) {
    return zcmem__check_fail(check, "I2: the sentinel");
  }
  uint32_t at = 0, free_quanta = 0;
  uint64_t slack = 0;
  zcmem__link before = ZCMEM__NIL, link = sentinel->next;
  while (zcmem__link_id(link) != ZCMEM__NIL) {
    uint32_t id = zcmem__link_id(link);
    if (!zcmem__check_is_id(check, id) || (link & (ZCMEM__ID - 2u)) != 0 ||
        ++check->blocks >= heap->next_id / ZCMEM__ID) {
      return zcmem__check_fail(check, "I2: a link of the chain leads out of the descriptors or round in a circle");
    }
    const struct zcmem__block *block = zcmem__check_block(check, id);
    bool is_free = ZCMEM__GET(block->use) == ZCMEM__FREE;
    if (block->start != at || block->size == 0 || block->size > heap->at.quanta - at) {
      return zcmem__check_fail(check, "I2: a block does not start where the one before it ends");
    }
    if (block->prev != before || zcmem__link_free(link) != is_free) {
      return zcmem__check_fail(check, "I2: a link does not name its neighbour and its state");
    }
    if (is_free && zcmem__link_free(before)) {
      return zcmem__check_fail(check, "I3: two free neighbours");
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
    return zcmem__check_fail(check, "I2: the chain does not end where the heap ends");
  }
  return (free_quanta == heap->free_quanta && (slack == heap->slack || heap->shared == ZCMEM__SHARED_PROCESSES) &&
          check->free_blocks == heap->free_blocks && check->blocks - check->free_blocks == heap->live) ||
         zcmem__check_fail(check, "I9: a counter differs from what it counts");
}

/* I8: the descriptors that are not in use are in their list, and all of them. One of the right length has no circle. */
static bool check_unused(struct zcmem__checker *check) {
  const struct zcmem_heap *heap = check->heap;
  uint32_t id = heap->unused, left = heap->next_id / ZCMEM__ID - 1u - check->blocks;
  for (; left > 0 && zcmem__check_is_id(check, id) && ZCMEM__GET(zcmem__check_block(check, id)->use) == ZCMEM__UNUSED;
       left--) {
    id = zcmem__check_block(check, id)->next;
  }
  return (left == 0 && id == ZCMEM__NIL) || zcmem__check_fail(check, "I8: the list of unused descriptors");
}

static const struct zcmem__index_table empty_table;

/* The live block behind `id` in the chain, which has been checked. */
static uint32_t live_after(const struct zcmem__checker *check, uint32_t id) {
  do {
    id = zcmem__link_id(zcmem__check_block(check, id)->next);
  } while (id != ZCMEM__NIL && ZCMEM__GET(zcmem__check_block(check, id)->use) == ZCMEM__FREE);
  return id;
}

static const struct zcmem__index_table *table_of(const struct zcmem__checker *check, uint32_t table) {
  return ZCMEM__CONST_TABLE(struct zcmem__index_table, check->heap, check->heap->at.tables_at) + table;
}

static const uint32_t *blocks_under(const struct zcmem__checker *check, uint32_t table) {
  return ZCMEM__CONST_TABLE(uint32_t, check->heap, check->heap->at.table_counts_at) + table;
}

/*
 * I10: an entry for the quanta from `start` to `last` names the first live block that starts there and their number,
 * or is a table of such entries; the blocks are taken from the chain, one after the other.
 */
/* NOLINTNEXTLINE(misc-no-recursion): ends at a shift of 0, and no table twice (ZCMEM_STEPS_TABLES) */
static bool check_index_entry(struct zcmem__checker *check, uint32_t entry, uint32_t shift, uint64_t start,
                              uint32_t *count) {
  const struct zcmem_heap *heap = check->heap;
  *count = 0;
  if (!zcmem__index_is_table(entry)) {
    uint32_t first = check->next_live;
    while (check->next_live != ZCMEM__NIL &&
           zcmem__check_block(check, check->next_live)->start < start + zcmem__bits_one(shift)) {
      check->next_live = live_after(check, check->next_live);
      ++*count;
    }
    return (*count <= ZCMEM__INDEX_MOST && entry == (*count == 0 ? 0 : zcmem__index_entry(first, *count))) ||
           zcmem__check_fail(check,
                             "I10: an entry of the index does not name the first live block and how many there are");
  }
  uint32_t table = entry >> 4;
  if (shift < ZCMEM__INDEX_BITS || table == ZCMEM__NIL || table >= heap->tables || ++check->tables >= heap->tables) {
    return zcmem__check_fail(check, "I10: a table of the index is none");
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
         zcmem__check_fail(check, "I10: the count of a table of the index");
}

/* I10: the pages of the index, and its tables that are not in use, or never were: as I6 and I8. */
static bool check_index(struct zcmem__checker *check) {
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
    return zcmem__check_fail(check, "I10: the list of unused tables");
  }
  for (table = heap->tables; table < heap->at.tables; table++) {
    empty = empty && zcmem__bits_equal(table_of(check, table), &empty_table, sizeof empty_table);
  }
  return empty || zcmem__check_fail(check, "I10: an unused table is not empty");
}

/* I11: each level of the bitmap says which words of the one below are not 0, and nothing beyond them. */
static bool check_levels(struct zcmem__checker *check) {
  const struct zcmem_heap *heap = check->heap;
  uint64_t bits = heap->at.index_pages;
  for (uint32_t level = 0; level < heap->at.levels; level++) {
    const uint64_t *words = ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[level]);
    const uint64_t *below = level == 0 ? NULL : ZCMEM__CONST_TABLE(uint64_t, heap, heap->at.level_at[level - 1u]);
    uint64_t next = (bits + 63u) / 64u;
    for (uint64_t bit = 0; bit < next * 64u; bit++) {
      bool expected = bit < bits && (below == NULL ? zcmem__index_const(heap)[bit] != 0 : below[bit] != 0);
      if (((words[bit / 64u] >> (bit % 64u) & 1u) != 0) != expected) {
        return zcmem__check_fail(check, "I11: a bit of the index's bitmap");
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
  struct zcmem__checker check = {.heap = image};
  bool ok = check_header(&check, bytes) && check_chain(&check) && zcmem__check_bins(&check) && check_unused(&check) &&
            zcmem__check_unused_pages(&check) && check_index(&check) && check_levels(&check);
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
