/* SPDX-License-Identifier: MIT */
/* L2. The image: how large, where its tables lie, how it begins. */
#include "heap_impl.h"
#include "index.h"

static uint64_t min_u64(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* The whole quanta in the configured range, less the one at address 0. */
static bool usable_range(const struct zcmem_heap_config *config, uint64_t quantum, uint64_t *base, uint64_t *quanta) {
  uint64_t last = config->base + (config->size - 1u); /* the last byte: never wraps for a range up to 2^64 */
  if (config->size == 0 || last < config->base) {
    return false;
  }
  uint64_t lead = (0u - config->base) & (quantum - 1u);
  if (config->base == 0) {
    lead = quantum;
  }
  if (lead >= config->size) {
    return false;
  }
  *base = config->base + lead;
  *quanta = (config->size - lead) >> zcmem__bits_log2(quantum);
  return *quanta != 0 && *quanta <= UINT32_MAX;
}

/* A table of `count` elements behind the others, on a line of its own. */
static uint64_t layout_table(struct zcmem__layout *layout, uint64_t count, uint64_t element) {
  uint64_t at = layout->bytes;
  layout->bytes += (count * element + (ZCMEM__LINE - 1)) / ZCMEM__LINE * ZCMEM__LINE;
  return at;
}

bool zcmem__heap_layout(const struct zcmem_heap_config *config, struct zcmem__layout *layout) {
  if (config == NULL || (config->flags & ~ZCMEM_HEAP_ZEROED) != 0 || config->max_blocks == 0 ||
      config->max_blocks > ZCMEM_MAX_BLOCKS) {
    return false;
  }
  uint64_t quantum = config->quantum != 0 ? config->quantum : ZCMEM_QUANTUM_DEFAULT;
  uint64_t base, quanta;
  if (!zcmem__bits_power_of_two(quantum) || quantum > UINT64_C(1) << 31 ||
      !usable_range(config, quantum, &base, &quanta)) {
    return false;
  }
  *layout = (struct zcmem__layout){0};
  layout->base = base;
  layout->quanta = (uint32_t)quanta;
  layout->quantum_shift = (uint8_t)zcmem__bits_log2(quantum);
  layout->max_blocks = config->max_blocks;
  uint32_t most = (uint32_t)min_u64(config->max_blocks, quanta); /* blocks that can be live */
  /* Of n live blocks at most n + 1 free ones lie between them; and a block has a quantum at least. */
  layout->descriptors = (uint32_t)min_u64(2u * (uint64_t)most + 1u, quanta) + 1u;
  uint32_t bins = zcmem__sizeclass_bin(layout->quanta) + 1u;
  layout->exact_bins = bins < ZCMEM__BIN_WIDE ? bins : ZCMEM__BIN_WIDE;
  layout->wide_bins = bins - layout->exact_bins;
  /* A wide bin has its first page, and another for each eight blocks beyond; so many do not fit twice the size. */
  uint64_t free_blocks = min_u64((uint64_t)most + 1u, quanta / ZCMEM__BIN_WIDE);
  layout->pages = layout->wide_bins + (uint32_t)(free_blocks / ZCMEM__PAGE);

  /*
   * Four to eight pages of the index for each block: blocks crowd, and a page of one block is found without a walk.
   * Each level of tables below has a table for more than four blocks.
   */
  uint32_t spacing = zcmem__bits_high(layout->quanta / most);
  uint32_t shift = spacing > 2u ? spacing - 2u : 0;
  layout->index_shift = (uint8_t)shift;
  layout->index_pages = ((layout->quanta - 1u) >> shift) + 1u;
  uint64_t levels = 0;
  for (; shift > ZCMEM__INDEX_FEW; shift -= ZCMEM__INDEX_BITS) {
    levels++;
  }
  uint64_t tables = levels * (most / (ZCMEM__INDEX_LEAST + 1u)) + 1u;
  layout->tables = (uint32_t)tables;

  layout->bytes = sizeof(struct zcmem_heap);
  (void)layout_table(layout, layout->descriptors, sizeof(struct zcmem__block));
  layout->heads_at = layout_table(layout, layout->exact_bins, sizeof(uint32_t));
  layout->wide_at = layout_table(layout, layout->wide_bins, sizeof(struct zcmem__wide_bin));
  layout->pages_at = layout_table(layout, layout->pages, sizeof(struct zcmem__wide_page));
  layout->links_at = layout_table(layout, layout->pages, sizeof(struct zcmem__wide_links));
  layout->index_at = layout_table(layout, layout->index_pages, sizeof(uint32_t));
  uint64_t words = layout->index_pages;
  do {
    words = (words + 63u) / 64u;
    layout->level_at[layout->levels++] = layout_table(layout, words, sizeof(uint64_t));
  } while (words > ZCMEM__TOP_WORDS);
  layout->top_words = (uint32_t)words;
  layout->tables_at = layout_table(layout, tables, sizeof(struct zcmem__index_table));
  layout->table_counts_at = layout_table(layout, tables, sizeof(uint32_t));
  return layout->bytes <= SIZE_MAX;
}

size_t zcmem_heap_bytes(const struct zcmem_heap_config *config) {
  struct zcmem__layout layout;
  return zcmem__heap_layout(config, &layout) ? (size_t)layout.bytes : 0;
}

enum zcmem_status zcmem_heap_init(void *image, size_t bytes, const struct zcmem_heap_config *config,
                                  struct zcmem_heap **heap) {
  struct zcmem__layout layout;
  if (image == NULL || heap == NULL || ((uintptr_t)image & (ZCMEM__LINE - 1)) != 0 ||
      !zcmem__heap_layout(config, &layout)) {
    return ZCMEM_EINVAL;
  }
  size_t needed = (size_t)layout.bytes;
  if (bytes < needed) {
    return ZCMEM_ENOMEM;
  }
  if ((config->flags & ZCMEM_HEAP_ZEROED) == 0) {
    zcmem__bits_clear(image, needed);
  }
  struct zcmem_heap *made = image;
  made->magic = ZCMEM__MAGIC;
  made->at = layout;
  made->pages = layout.wide_bins;
  made->tables = 1;
  made->next_id = 2u * ZCMEM__ID;
  made->free_quanta = layout.quanta;
  made->free_blocks = 1;
  struct zcmem__block *sentinel = zcmem__block(made, ZCMEM__NIL), *all = zcmem__block(made, ZCMEM__ID);
  *sentinel = (struct zcmem__block){
      .start = UINT32_MAX, .prev = zcmem__link_to(ZCMEM__ID, true), .next = zcmem__link_to(ZCMEM__ID, true)};
  *all = (struct zcmem__block){.size = layout.quanta, .use = ZCMEM__FREE}; /* the tail */
  *heap = made;
  return ZCMEM_OK;
}
