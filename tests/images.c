/* SPDX-License-Identifier: MIT */
#include "images.h"

#include <string.h>

#include "heap_impl.h"
#include "index.h"
#include "unit.h"

#define QUANTUM ((hal_size_t)ZCMEM_QUANTUM_DEFAULT)
#define BASE UINT64_C(0x7000000000)

const char *const image_names[IMAGE_SHAPES] = {"empty", "small", "full", "sparse", "mixed", "wide", "tables"};

static void *image_memory(size_t bytes) {
  void *memory = aligned_alloc(ZCMEM__LINE, bytes);
  assert_int_equal(bytes % ZCMEM__LINE, 0);
  assert_non_null(memory);
  return memory;
}

static hal_addr_t get(struct zcmem_heap *heap, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_heap_alloc(heap, size, 1, &addr));
  return addr;
}

static void drop(struct zcmem_heap *heap, hal_addr_t addr) {
  assert_ok(zcmem_heap_free(heap, addr));
}

static void make_zombie(struct zcmem_heap *heap, hal_addr_t addr) {
  bool deferred = false;
  assert_ok(zcmem_heap_pin(heap, addr));
  assert_ok(zcmem_heap_free_deferred(heap, addr, &deferred));
  assert_true(deferred);
}

static void make_small(struct zcmem_heap *heap) {
  hal_addr_t a[14];
  for (unsigned i = 0; i < 14; i++) {
    a[i] = get(heap, 100 + 300 * (i % 3));
  }
  for (unsigned i = 0; i < 12; i += 3) { /* one quantum each: holes of the same size */
    drop(heap, a[i]);
  }
  drop(heap, a[13]);
  drop(heap, a[10]); /* merges: unused descriptors */
  drop(heap, a[1]);
  assert_ok(zcmem_heap_pin(heap, a[2]));
  make_zombie(heap, a[5]);
}

static void make_full(struct zcmem_heap *heap) {
  struct zcmem_heap_info info;
  assert_ok(zcmem_heap_get_info(heap, &info));
  for (unsigned i = 0; i < 40; i++) {
    (void)get(heap, i * QUANTUM);
  }
  (void)get(heap, zcmem_heap_largest(heap));
  assert_int_equal(zcmem_heap_largest(heap), 0);
}

/* Every other quantum, as many as may be live. */
static void make_sparse(struct zcmem_heap *heap) {
  struct zcmem_heap_info info;
  assert_ok(zcmem_heap_get_info(heap, &info));
  for (uint32_t i = 0; i < info.max_blocks; i++) {
    assert_ok(zcmem_heap_reserve(heap, info.base + (2 * i + 1) * QUANTUM, 1));
  }
  assert_int_equal(heap->next_id / ZCMEM__ID, heap->at.descriptors);
}

static void make_mixed(struct zcmem_heap *heap) {
  hal_addr_t a[150];
  uint64_t random = 11;
  for (unsigned i = 0; i < 150; i++) {
    a[i] = get(heap, random_below(&random, (hal_size_t)1 << (7 + i % 12)));
  }
  (void)get(heap, zcmem_heap_largest(heap)); /* the tail */
  for (unsigned i = 0; i < 150; i++) {
    if (i % 5 == 4) {
      make_zombie(heap, a[i]);
    } else if (random_below(&random, 2) == 0) {
      drop(heap, a[i]);
    } else if (i % 4 == 0) {
      assert_ok(zcmem_heap_begin_transfer(heap, a[i], 0, NULL));
    } else if (i % 4 == 1) {
      assert_ok(zcmem_heap_set_tag(heap, a[i], i));
    }
  }
}

/* Blocks of wide bins, each with a live block of one quantum behind it, are freed in random order, and some taken. */
static void make_wide(struct zcmem_heap *heap) {
  hal_addr_t a[160];
  uint64_t random = 12;
  for (unsigned i = 0; i < 160; i++) {
    uint32_t least = i % 8 != 0 ? ZCMEM__BIN_WIDE : ZCMEM__BIN_WIDE * 2;
    a[i] = get(heap, (least + random_below(&random, least / 32)) * QUANTUM);
    (void)get(heap, 1);
  }
  for (unsigned i = 160; i > 0; i--) {
    unsigned j = (unsigned)random_below(&random, i);
    drop(heap, a[j]);
    a[j] = a[i - 1];
  }
  for (unsigned i = 0; i < 30; i++) {
    (void)get(heap, ZCMEM__BIN_WIDE * QUANTUM);
  }
}

/* So many blocks in a page of the index that has none, the last one where there is room. */
static void fill_a_page(struct zcmem_heap *heap, uint32_t count) {
  uint32_t page = heap->at.index_pages - 1u;
  hal_addr_t first = 0;
  do {
    page--;
    first = zcmem__heap_addr(heap, page << heap->at.index_shift);
  } while (zcmem__index(heap)[page] != 0 || zcmem_heap_reserve(heap, first, 1) != ZCMEM_OK);
  for (uint32_t i = 1; i < count; i++) {
    assert_ok(zcmem_heap_reserve(heap, first + 3 * i * QUANTUM, 1));
  }
  assert_int_equal(zcmem__index(heap)[page] & ZCMEM__INDEX_COUNT, count);
}

/* Small blocks side by side at the start, in the middle and in between; many of them are freed again. */
static void make_tables(struct zcmem_heap *heap) {
  struct zcmem_heap_info info;
  uint64_t random = 13;
  hal_addr_t middle;
  assert_ok(zcmem_heap_get_info(heap, &info));
  middle = info.base + info.size / QUANTUM / 2 * QUANTUM;
  for (uint32_t i = 0; i < 80; i++) {
    assert_ok(zcmem_heap_reserve(heap, info.base + i * QUANTUM, 1));
  }
  for (uint32_t i = 0; i < 80; i++) {
    assert_ok(zcmem_heap_reserve(heap, middle + 2 * i * QUANTUM, 1));
  }
  for (uint32_t i = 0; i < 300; i++) {
    (void)zcmem_heap_reserve(heap, info.base + random_below(&random, info.size / QUANTUM) * QUANTUM,
                             random_below(&random, 1 << 20));
  }
  fill_a_page(heap, ZCMEM__INDEX_LEAST);
  fill_a_page(heap, ZCMEM__INDEX_MOST);
  for (uint32_t i = 0; i < 70; i++) {
    drop(heap, middle + 2 * i * QUANTUM);
  }
  for (uint32_t i = 0; i < 80; i += 3) {
    drop(heap, info.base + i * QUANTUM);
  }
}

static const struct {
  hal_size_t size;
  uint32_t max_blocks;
  void (*fill)(struct zcmem_heap *heap);
} shapes[IMAGE_SHAPES] = {
    {64 * QUANTUM, 8, NULL},
    {64 * QUANTUM, 16, make_small},
    {1500 * QUANTUM, 41, make_full},
    {200 * QUANTUM, 30, make_sparse},
    {(hal_size_t)1 << 24, 300, make_mixed},
    {200 * ZCMEM__BIN_WIDE * QUANTUM, 400, make_wide},
    {(hal_size_t)1 << 33, 1100, make_tables},
};

struct image image_make(enum image_shape shape) {
  const struct zcmem_heap_config config = {BASE, shapes[shape].size, QUANTUM, shapes[shape].max_blocks, 0};
  struct image image = {NULL, zcmem_heap_bytes(&config)};
  struct zcmem_heap *heap = NULL;
  image.memory = image_memory(image.bytes);
  assert_ok(zcmem_heap_init(image.memory, image.bytes, &config, &heap));
  if (shapes[shape].fill != NULL) {
    shapes[shape].fill(heap);
  }
  assert_ok(zcmem_heap_check(heap));
  return image;
}

struct image image_copy(const struct image *image, size_t bytes) {
  struct image copy = {image_memory(bytes), bytes};
  memcpy(copy.memory, image->memory, bytes);
  return copy;
}

void image_drop(struct image *image) {
  free(image->memory);
  image->memory = NULL;
}

/* ---------------------------------------------------------------------------------- which bits mean something -- */

struct meaning {
  const struct image *image;
  const struct zcmem_heap *heap;
  unsigned char *mask;
};

static void nothing(struct meaning *m, const void *at, size_t bytes) {
  size_t offset = (size_t)((const char *)at - (const char *)m->image->memory);
  assert_true(offset + bytes <= m->image->bytes);
  memset(m->mask + offset, 0, bytes);
}

/* What lies behind a table of `bytes` bytes, up to the next line. */
static void gap(struct meaning *m, const void *table, size_t bytes) {
  nothing(m, (const char *)table + bytes, (0u - bytes) % ZCMEM__LINE);
}

#define NOTHING(m, field) nothing((m), &(field), sizeof(field))
#define TABLE(type, m, offset) ZCMEM__CONST_TABLE(type, (m)->heap, (m)->heap->at.offset)

static void blocks_meaning(struct meaning *m) {
  const struct zcmem_heap *heap = m->heap;
  const struct zcmem__block *blocks = (const struct zcmem__block *)(const void *)(heap + 1);
  for (uint32_t i = 0; i < heap->at.descriptors; i++) {
    const struct zcmem__block *block = &blocks[i];
    NOTHING(m, block->generation);
    if (i >= heap->next_id / ZCMEM__ID) {
      NOTHING(m, *block);
    } else if (block->use == ZCMEM__UNUSED) {
      NOTHING(m, block->slack);
      NOTHING(m, block->tag);
      if (i != 0) { /* the sentinel is unused, too */
        NOTHING(m, block->start);
        NOTHING(m, block->size);
        NOTHING(m, block->prev);
      }
    } else if (block->use != ZCMEM__FREE) {
      uint32_t counts = ~(uint32_t)ZCMEM__STATE, of_use;
      if ((block->use & counts) != 0) { /* in use: live or zombie, nothing else says which */
        counts |= ZCMEM__LIVE ^ ZCMEM__ZOMBIE;
      }
      size_t offset = (size_t)((const char *)&block->use - (const char *)m->image->memory);
      NOTHING(m, block->tag);
      memcpy(&of_use, m->mask + offset, sizeof of_use);
      of_use &= ~counts;
      memcpy(m->mask + offset, &of_use, sizeof of_use);
    } else if (block->next == ZCMEM__NIL) { /* the tail is in no bin */
      NOTHING(m, block->bin_prev);
      NOTHING(m, block->bin_next);
    } else if (block->size >= ZCMEM__BIN_WIDE) {
      NOTHING(m, block->bin_next);
    }
  }
  gap(m, blocks, heap->at.descriptors * sizeof *blocks);
}

static void bins_meaning(struct meaning *m) {
  const struct zcmem_heap *heap = m->heap;
  const struct zcmem__wide_page *pages = TABLE(struct zcmem__wide_page, m, pages_at);
  const struct zcmem__wide_links *links = TABLE(struct zcmem__wide_links, m, links_at);
  unsigned char *unused = calloc(heap->at.pages + 1u, 1);
  assert_non_null(unused);
  for (uint32_t page = heap->unused_page; page != ZCMEM__NIL; page = links[page].next) {
    unused[page] = 1;
  }
  for (uint32_t page = 0; page < heap->at.pages; page++) {
    for (uint32_t i = 0; i < ZCMEM__PAGE; i++) {
      if (pages[page].entry[i] == 0) {
        NOTHING(m, pages[page].id[i]);
      }
    }
    if (page >= heap->pages) {
      NOTHING(m, links[page]);
    } else if (unused[page]) {
      NOTHING(m, links[page].parent);
      NOTHING(m, links[page].prev);
      NOTHING(m, links[page].reserved);
    }
  }
  free(unused);
  gap(m, TABLE(uint32_t, m, heads_at), heap->at.exact_bins * sizeof(uint32_t));
  gap(m, TABLE(struct zcmem__wide_bin, m, wide_at), heap->at.wide_bins * sizeof(struct zcmem__wide_bin));
  gap(m, pages, heap->at.pages * sizeof *pages);
  gap(m, links, heap->at.pages * sizeof *links);
}

static void index_meaning(struct meaning *m) {
  const struct zcmem_heap *heap = m->heap;
  const struct zcmem__index_table *tables = TABLE(struct zcmem__index_table, m, tables_at);
  const uint32_t *counts = TABLE(uint32_t, m, table_counts_at);
  size_t words = heap->at.index_pages;
  gap(m, TABLE(uint32_t, m, index_at), words * sizeof(uint32_t));
  for (uint32_t level = 0; level < heap->at.levels; level++) {
    words = (words + 63) / 64;
    gap(m, TABLE(uint64_t, m, level_at[level]), words * sizeof(uint64_t));
  }
  NOTHING(m, tables[0]);
  NOTHING(m, counts[0]);
  nothing(m, counts + heap->tables, (heap->at.tables - heap->tables) * sizeof *counts);
  gap(m, tables, heap->at.tables * sizeof *tables);
  gap(m, counts, heap->at.tables * sizeof *counts);
}

unsigned char *image_meaning(const struct image *image) {
  struct meaning m = {image, image->memory, malloc(image->bytes)};
  const size_t header = offsetof(struct zcmem_heap, words) + sizeof m.heap->words; /* its last field */
  assert_non_null(m.mask);
  memset(m.mask, 0xff, image->bytes);
  nothing(&m, (const char *)m.heap + header, sizeof *m.heap - header);
  NOTHING(&m, m.heap->at.base);
  NOTHING(&m, m.heap->at.quantum_shift);
  /* How it is shared nothing else says: any value but those beyond the last is right, whichever byte comes first. */
  uint32_t shared;
  memcpy(&shared, m.mask + offsetof(struct zcmem_heap, shared), sizeof shared);
  shared &= ~(m.heap->shared == ZCMEM__SHARED_NOT ? 3u : 0u);
  memcpy(m.mask + offsetof(struct zcmem_heap, shared), &shared, sizeof shared);
  /* Nor whose the next block is. */
  const uint32_t counted = ZCMEM__GENERATION;
  memcpy(m.mask + offsetof(struct zcmem_heap, owner), &counted, sizeof counted);
  blocks_meaning(&m);
  bins_meaning(&m);
  index_meaning(&m);
  return m.mask;
}

bool image_said_once(const struct image *image, size_t byte) {
  const struct zcmem_heap *heap = image->memory;
  const size_t blocks = sizeof *heap, each = sizeof(struct zcmem__block);
  const size_t base = offsetof(struct zcmem_heap, at.base), shift = offsetof(struct zcmem_heap, at.quantum_shift);
  const size_t use = offsetof(struct zcmem__block, use);
  if (byte < blocks) {
    return (byte >= base && byte < base + sizeof heap->at.base) || byte == shift;
  }
  return byte < blocks + heap->at.descriptors * each && (byte - blocks) % each / 4 == use / 4;
}
