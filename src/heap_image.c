/* SPDX-License-Identifier: MIT */
/* L2. The image: how large, where its tables lie, how it begins. */
#include <string.h>

#include "bin.h"
#include "heap_impl.h"

static uint64_t min_u64(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint32_t lines_of(uint64_t bytes) { return (uint32_t)((bytes + ZCMEM__LINE - 1) / ZCMEM__LINE); }

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

/* Pages that the bins need at worst: a page holds one block or more; beyond the first of a bin, eight (DESIGN.md). */
static uint64_t pages_needed(uint64_t free_blocks, uint64_t bins) {
  return min_u64(free_blocks / 2u, (free_blocks + 6u * bins) / 8u) + 1u;
}

static void layout_bitmap(struct zcmem__layout *layout, uint64_t *words) {
  uint64_t bits = layout->index_pages;
  uint32_t level = 0;
  *words = 0;
  do {
    layout->level[level++] = (uint32_t)*words;
    bits = (bits + 31u) / 32u;
    *words += bits;
  } while (bits > 1u);
  layout->levels = (uint8_t)level;
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
  memset(layout, 0, sizeof *layout);
  layout->base = base;
  layout->quanta = (uint32_t)quanta;
  layout->quantum_shift = (uint8_t)zcmem__bits_log2(quantum);
  layout->max_blocks = (uint32_t)min_u64(config->max_blocks, quanta);
  /* Of n live blocks at most n + 1 free ones lie between them; and a block has a quantum at least. */
  layout->descriptors = (uint32_t)min_u64(2u * (uint64_t)layout->max_blocks + 1u, quanta) + 1u;
  layout->bins = zcmem__sizeclass_bin(layout->quanta) + 1u;
  layout->first_page = (layout->bins + ZCMEM__PAGE - 1u) / ZCMEM__PAGE;
  layout->pages =
      layout->first_page +
      (uint32_t)pages_needed(min_u64((uint64_t)layout->max_blocks + 1u, (quanta + 1u) / 2u), layout->bins);

  /* As many quanta an entry as there are for a block, so that most pages hold one block and few hold none. */
  uint32_t spacing = layout->quanta / layout->max_blocks;
  uint32_t shift = zcmem__bits_high(spacing);
  layout->index_shift = (uint8_t)(shift < ZCMEM__INDEX_SHIFT_MAX ? shift : ZCMEM__INDEX_SHIFT_MAX);
  layout->index_pages = ((layout->quanta - 1u) >> layout->index_shift) + 1u;

  uint64_t bitmap_words;
  layout_bitmap(layout, &bitmap_words);
  uint64_t slots = (uint64_t)layout->pages * ZCMEM__PAGE;
  uint64_t at = sizeof(struct zcmem_heap) / ZCMEM__LINE + lines_of((uint64_t)layout->descriptors * 32u);
  layout->index_at = (uint32_t)at;
  at += lines_of((uint64_t)layout->index_pages * 4u);
  layout->bitmap_at = (uint32_t)at;
  at += lines_of(bitmap_words * 4u);
  layout->last_at = (uint32_t)at;
  at += lines_of((uint64_t)layout->bins * 4u);
  layout->entry_at = (uint32_t)at;
  at += lines_of(slots * 8u);
  layout->child_at = (uint32_t)at;
  at += lines_of(slots * 4u);
  layout->page_at = (uint32_t)at;
  at += lines_of((uint64_t)(layout->pages - layout->first_page) * sizeof(struct zcmem__bin_page));
  layout->lines = (uint32_t)at;
  return at <= UINT32_MAX && at <= SIZE_MAX / ZCMEM__LINE;
}

size_t zcmem_heap_bytes(const struct zcmem_heap_config *config) {
  struct zcmem__layout layout;
  return zcmem__heap_layout(config, &layout) ? (size_t)layout.lines * ZCMEM__LINE : 0;
}

enum zcmem_status zcmem_heap_init(void *image, size_t bytes, const struct zcmem_heap_config *config,
                                  struct zcmem_heap **heap) {
  struct zcmem__layout layout;
  if (image == NULL || heap == NULL || ((uintptr_t)image & (ZCMEM__LINE - 1)) != 0 ||
      !zcmem__heap_layout(config, &layout)) {
    return ZCMEM_EINVAL;
  }
  size_t needed = (size_t)layout.lines * ZCMEM__LINE;
  if (bytes < needed) {
    return ZCMEM_ENOMEM;
  }
  if ((config->flags & ZCMEM_HEAP_ZEROED) == 0) {
    memset(image, 0, needed);
  }
  struct zcmem_heap *made = image;
  made->magic = ZCMEM__MAGIC;
  made->at = layout;
  made->pages = layout.first_page;
  made->descriptors = 2;
  made->free_quanta = layout.quanta;
  made->free_blocks = 1;
  struct zcmem__block *sentinel = zcmem__block(made, ZCMEM__NIL), *all = zcmem__block(made, 1);
  *sentinel = (struct zcmem__block){
      .start = UINT32_MAX, .prev = zcmem__link_to(1, true), .next = zcmem__link_to(1, true)};
  *all = (struct zcmem__block){.size = layout.quanta, .state = ZCMEM__FREE};
  zcmem__bin_insert(made, zcmem__sizeclass_bin(layout.quanta), all, 1, layout.quanta);
  *heap = made;
  return ZCMEM_OK;
}
