/* SPDX-License-Identifier: MIT */
/*
 * Figures that a look at every block gives: by tag, with what is kept of tags, and of the free blocks by size. They
 * cost nothing until somebody asks.
 */
#include "hal_impl.h"
#include "keep.h"
#include "stats.h"
#include <string.h>
#include <zcmem/debug.h>

_Static_assert(sizeof(struct zcmem__tally_entry) == ZCMEM_TAG_BYTES, "as promised to who gives memory for them");

/* Takes the region's lock and stops its magazines; and the reverse. */
static enum zcmem_status stop(struct zcmem__region *region) {
  enum zcmem_status status = zcmem__region_take(region);
  return status == ZCMEM_OK ? zcmem__keep_settle(region, false) : status;
}

static void go_on(struct zcmem__region *region) {
  zcmem__keep_resume(region);
  zcmem__lock_drop(&region->lock);
}

/* ------------------------------------------------------------------------------------------------------- by tag -- */

/* The caller's array. Its elements may be smaller than ours, so each is made in a whole one and copied. */
struct tag_table {
  unsigned char *tags;
  size_t stride;
  uint32_t capacity;
  uint32_t count;
  bool full; /* there was one tag more */
};

static struct zcmem_tag_stats load_entry(const struct tag_table *table, uint32_t place) {
  struct zcmem_tag_stats entry = {.struct_bytes = 0};
  memcpy(&entry, table->tags + table->stride * place, table->stride);
  return entry;
}

static void store_entry(const struct tag_table *table, uint32_t place, const struct zcmem_tag_stats *entry) {
  memcpy(table->tags + table->stride * place, entry, table->stride);
}

/* The place of the tag's entry, which is put where it belongs if it is new; false: there is none. */
static bool place_entry(struct tag_table *table, uint32_t tag, uint32_t *place) {
  uint32_t low = 0, high = table->count;
  while (low < high) {
    uint32_t middle = low + (high - low) / 2u;
    if (load_entry(table, middle).tag < tag) {
      low = middle + 1u;
    } else {
      high = middle;
    }
  }
  *place = low;
  if (low < table->count && load_entry(table, low).tag == tag) {
    return true;
  }
  if (table->count == table->capacity) {
    table->full = true;
    return false;
  }
  unsigned char *at = table->tags + table->stride * low;
  memmove(at + table->stride, at, (table->count - low) * table->stride);
  const struct zcmem_tag_stats entry = {.struct_bytes = table->stride, .tag = tag};
  store_entry(table, low, &entry);
  table->count++;
  return true;
}

static bool count_tag(void *ctx, const struct zcmem_block_info *block) {
  struct tag_table *table = ctx;
  uint32_t place;
  if (block->state != ZCMEM_BLOCK_LIVE && block->state != ZCMEM_BLOCK_ZOMBIE) {
    return true;
  }
  if (!place_entry(table, block->tag, &place)) {
    return false;
  }
  struct zcmem_tag_stats entry = load_entry(table, place);
  entry.live++;
  entry.used += block->pins > 0 || block->transfers > 0;
  entry.in_use += block->size;
  entry.requested += block->requested;
  entry.largest = block->size > entry.largest ? block->size : entry.largest;
  entry.peak = entry.in_use;
  store_entry(table, place, &entry);
  return true;
}

/* With the lock held: what is kept of tags. */
static void add_kept(struct tag_table *table, const struct zcmem__tally *tally) {
  for (uint32_t i = 0; i < tally->count && !table->full; i++) {
    const struct zcmem__tally_entry *kept = &tally->entries[i];
    uint32_t place;
    if (!place_entry(table, (uint32_t)kept->tag, &place)) {
      return;
    }
    struct zcmem_tag_stats entry = load_entry(table, place);
    entry.counted = 1;
    entry.peak = kept->peak > entry.in_use ? kept->peak : entry.in_use;
    entry.allocations = kept->allocations;
    entry.failed_space = kept->failed_space;
    entry.failed_fragmented = kept->failed_fragmented;
    entry.failed_blocks = kept->failed_blocks;
    entry.failed_invalid = kept->failed_invalid;
    store_entry(table, place, &entry);
  }
}

enum zcmem_status zcmem_hal_tag_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_tag_stats *tags,
                                      uint32_t capacity, uint32_t *count) {
  struct zcmem__region *region = hal == NULL ? NULL : zcmem__hal_region(hal, index);
  if (region == NULL || tags == NULL || count == NULL) {
    return ZCMEM_EINVAL;
  }
  struct tag_table table = {.tags = (unsigned char *)tags, .capacity = capacity};
  table.stride = capacity == 0 ? sizeof *tags : tags->struct_bytes;
  if (table.stride > sizeof *tags || table.stride % _Alignof(struct zcmem_tag_stats) != 0 ||
      table.stride < offsetof(struct zcmem_tag_stats, used)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = stop(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  (void)zcmem_heap_walk(region->heap, count_tag, &table);
  add_kept(&table, &region->tally);
  go_on(region);
  if (table.full) {
    return ZCMEM_ENOMEM;
  }
  *count = table.count;
  return ZCMEM_OK;
}

static bool enter_block(void *ctx, const struct zcmem_block_info *block) {
  struct zcmem__region *region = ctx;
  if (block->state == ZCMEM_BLOCK_LIVE && block->tag != 0) {
    zcmem__tally_enter(&region->tally, block->tag, block->size, false);
    zcmem__keep_notice(region, block->addr);
  }
  return true;
}

enum zcmem_status zcmem_hal_count_tags(struct zcmem_hal *hal, uint32_t index, void *memory, size_t bytes) {
  struct zcmem__region *region = hal == NULL ? NULL : zcmem__hal_region(hal, index);
  size_t capacity = memory == NULL ? 0 : bytes / ZCMEM_TAG_BYTES;
  if (region == NULL || region->shared != NULL || (region->flags & ZCMEM_REGION_HANDLES) != 0 ||
      (memory != NULL && (capacity == 0 || (uintptr_t)memory % _Alignof(struct zcmem__tally_entry) != 0))) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = stop(region); /* so that nobody frees a block without the lock meanwhile */
  if (status != ZCMEM_OK) {
    return status;
  }
  region->tally =
      (struct zcmem__tally){.entries = memory, .capacity = capacity < UINT32_MAX ? (uint32_t)capacity : UINT32_MAX};
  if (memory != NULL) {
    (void)zcmem_heap_walk(region->heap, enter_block, region);
  }
  go_on(region);
  return ZCMEM_OK;
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
  enum zcmem_status status = stop(region);
  if (status != ZCMEM_OK) {
    return status;
  }
  (void)zcmem_heap_walk(region->heap, count_free, &now);
  go_on(region);
  now.stats.struct_bytes = stats->struct_bytes;
  now.stats.fragmentation = zcmem__fragmentation(now.stats.bytes, now.stats.largest);
  memcpy(stats, &now.stats, stats->struct_bytes);
  return ZCMEM_OK;
}
