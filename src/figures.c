/* SPDX-License-Identifier: MIT */
/*
 * Figures that a look at every block gives: by tag, and of the free blocks by size. They cost nothing until somebody
 * asks.
 */
#include "hal_impl.h"
#include "keep.h"
#include "stats.h"
#include <string.h>
#include <zcmem/debug.h>

/* A look at each block of a region. */
typedef bool (*visitor)(void *ctx, const struct zcmem_block_info *block);

static enum zcmem_status visit_blocks(struct zcmem__region *region, visitor each_block, void *ctx) {
  enum zcmem_status status = zcmem__region_take(region);
  if (status == ZCMEM_OK) {
    status = zcmem__keep_settle(region, false);
  }
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem_heap_walk(region->heap, each_block, ctx);
  zcmem__keep_resume(region);
  zcmem__lock_drop(&region->lock);
  return status;
}

/* ------------------------------------------------------------------------------------------------------- by tag -- */

struct tag_table {
  struct zcmem_tag_stats *tags;
  uint32_t capacity;
  uint32_t count;
  bool full; /* there was one tag more */
};

/* The tag's entry, put where it belongs if it is new; NULL: there is no place for it. */
static struct zcmem_tag_stats *entry_of(struct tag_table *table, uint32_t tag) {
  uint32_t low = 0, high = table->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2u;
    if (table->tags[middle].tag < tag) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  struct zcmem_tag_stats *at = &table->tags[low];
  if (low < table->count && at->tag == tag) {
    return at;
  }
  if (table->count == table->capacity) {
    return NULL;
  }
  memmove(at + 1, at, (table->count - low) * sizeof *at);
  *at = (struct zcmem_tag_stats){.tag = tag};
  table->count++;
  return at;
}

static bool count_tag(void *ctx, const struct zcmem_block_info *block) {
  struct tag_table *table = ctx;
  if (block->state != ZCMEM_BLOCK_LIVE && block->state != ZCMEM_BLOCK_ZOMBIE) {
    return true;
  }
  struct zcmem_tag_stats *entry = entry_of(table, block->tag);
  if (entry == NULL) {
    table->full = true;
    return false;
  }
  entry->live++;
  entry->used += block->pins > 0 || block->transfers > 0;
  entry->in_use += block->size;
  entry->requested += block->requested;
  entry->largest = block->size > entry->largest ? block->size : entry->largest;
  return true;
}

enum zcmem_status zcmem_hal_tag_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_tag_stats *tags,
                                      uint32_t capacity, uint32_t *count) {
  struct zcmem__region *region = hal == NULL ? NULL : zcmem__hal_region(hal, index);
  struct tag_table table = {.tags = tags, .capacity = capacity};
  if (region == NULL || tags == NULL || count == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = visit_blocks(region, count_tag, &table);
  if (status == ZCMEM_OK && table.full) {
    status = ZCMEM_ENOMEM;
  }
  if (status == ZCMEM_OK) {
    *count = table.count;
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------- free blocks -- */

struct free_count {
  struct zcmem_free_stats stats;
  hal_size_t quantum;
};

static bool count_free(void *ctx, const struct zcmem_block_info *block) {
  struct free_count *count = ctx;
  struct zcmem_free_stats *stats = &count->stats;
  if (block->state == ZCMEM_BLOCK_CACHED) {
    stats->cached_blocks++;
    stats->cached_bytes += block->size;
  }
  if (block->state == ZCMEM_BLOCK_FREE) {
    uint32_t class = zcmem__bits_high((uint32_t)(block->size / count->quantum));
    stats->blocks++;
    stats->bytes += block->size;
    stats->blocks_of[class]++;
    stats->bytes_of[class] += block->size;
    stats->largest = block->size > stats->largest ? block->size : stats->largest;
  }
  return true;
}

enum zcmem_status zcmem_hal_free_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_free_stats *stats) {
  struct zcmem__region *region = hal == NULL ? NULL : zcmem__hal_region(hal, index);
  struct free_count now = {.quantum = 0};
  if (region == NULL || stats == NULL || stats->struct_bytes == 0 || stats->struct_bytes > sizeof now.stats) {
    return ZCMEM_EINVAL;
  }
  now.quantum = region->quantum;
  enum zcmem_status status = visit_blocks(region, count_free, &now);
  if (status != ZCMEM_OK) {
    return status;
  }
  now.stats.struct_bytes = stats->struct_bytes;
  now.stats.fragmentation = zcmem__fragmentation(now.stats.bytes, now.stats.largest);
  memcpy(stats, &now.stats, stats->struct_bytes);
  return ZCMEM_OK;
}
