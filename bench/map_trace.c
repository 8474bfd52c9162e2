/* SPDX-License-Identifier: MIT */
/* A trace as a map: it is replayed in a bare heap, which is looked at in equal steps, and most closely at the peak. */
#include "map.h"

#include "replay_in.h"
#include "report.h"
#include "trace.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define COLUMNS 360u
#define ROWS 120u

/* Blocks of the heap become blocks of the map. */
struct look {
  struct map_region *region;
  hal_addr_t base;
  bool good;
};

static bool note_block(void *ctx, const struct zcmem_block_info *block) {
  struct look *look = ctx;
  const struct map_block noted = {.offset = block->addr - look->base,
                                  .size = block->size,
                                  .tag = block->tag,
                                  .state = block->state == ZCMEM_BLOCK_FREE ? MAP_FREE : MAP_LIVE};
  look->good = map_add_block(look->region, &noted);
  return look->good;
}

static bool look_at(const struct bench_heap *heap, struct map_region *region) {
  struct zcmem_heap_info info;
  zcmem_heap_get_info(heap->heap, &info);
  struct look look = {region, info.base, true};
  region->count = 0;
  region->size = info.size;
  zcmem_heap_walk(heap->heap, note_block, &look);
  return look.good;
}

static bool replay_event(const struct bench_trace *trace, uint32_t event, const struct bench_heap *heap,
                         hal_addr_t *addrs) {
  uint32_t block = trace->events[event] >> 1;
  if (trace->events[event] & BENCH_EVENT_FREE) {
    return zcmem_heap_free(heap->heap, addrs[block]) == ZCMEM_OK;
  }
  enum zcmem_status status = zcmem_heap_alloc(heap->heap, trace->sizes[block], 1, &addrs[block]);
  if (status == ZCMEM_OK) {
    status = zcmem_heap_set_tag(heap->heap, addrs[block], bench_trace_tag(trace, block));
  }
  if (status != ZCMEM_OK) {
    bench_error("event %" PRIu32 ": %s", event, zcmem_status_string(status));
  }
  return status == ZCMEM_OK;
}

static void fill_column(const struct map *map, struct map_history *history, uint32_t column,
                        const struct map_region *now) {
  struct map_sums sums = map_sum(now);
  uint64_t end = 0;
  for (uint32_t i = now->count; i > 0 && end == 0; i--) {
    end = now->blocks[i - 1].state == MAP_FREE ? 0 : now->blocks[i - 1].offset + now->blocks[i - 1].size;
  }
  map_cells(map, now, history->cells + (size_t)column * history->rows, NULL, history->rows);
  history->live[column] = (double)sums.in_use / (double)now->size;
  history->extent[column] = (double)end / (double)now->size;
  history->scattered[column] = (double)(end - sums.in_use) / (double)now->size;
}

static uint32_t column_of(const struct map_history *history, uint32_t event) {
  return (uint32_t)((uint64_t)event * history->columns / history->events);
}

/* A column shows the moment at which most bytes are live among its events, so that no peak is lost. */
static void find_moments(struct map_history *history, uint32_t *moments, const struct bench_trace *trace,
                         uint64_t quantum) {
  uint64_t bytes = 0, peak = 0, column_peak = 0;
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint64_t size = bench_trace_round(trace->sizes[trace->events[i] >> 1], quantum);
    uint32_t column = column_of(history, i);
    bool first = i == 0 || column_of(history, i - 1) != column;
    bytes = trace->events[i] & BENCH_EVENT_FREE ? bytes - size : bytes + size;
    if (first || bytes > column_peak) {
      column_peak = bytes;
      moments[column] = i;
    }
    if (bytes > peak) {
      peak = bytes;
      history->peak_event = i;
    }
  }
}

static bool open_history(struct map_history *history, const struct bench_trace *trace) {
  *history = (struct map_history){.columns = trace->event_count < COLUMNS ? trace->event_count : COLUMNS,
                                  .rows = ROWS,
                                  .events = trace->event_count};
  history->cells = calloc(history->columns, ROWS);
  history->live = calloc(history->columns, sizeof *history->live);
  history->extent = calloc(history->columns, sizeof *history->extent);
  history->scattered = calloc(history->columns, sizeof *history->scattered);
  return history->cells && history->live && history->extent && history->scattered;
}

/* Weighs tags by all that was ever allocated with them. */
static bool weigh_tags(struct map *map, const struct bench_trace *trace) {
  struct map_weight *weights = malloc(((size_t)trace->block_count + 1) * sizeof *weights);
  if (!weights) {
    return false;
  }
  for (uint32_t i = 0; i < trace->block_count; i++) {
    weights[i] = (struct map_weight){bench_trace_tag(trace, i), trace->sizes[i]};
  }
  map_classify(map, weights, trace->block_count);
  free(weights);
  return true;
}

/* The classes' figures, of the moment that is shown. */
static void count_classes(struct map *map) {
  for (uint32_t i = 0; i < map->regions[0].count; i++) {
    const struct map_block *block = &map->regions[0].blocks[i];
    struct map_class *class = &map->classes[map_class_of(map, block)];
    class->bytes += block->size;
    class->blocks++;
  }
}

static bool replay_all(struct map *map, const struct bench_trace *trace, const struct bench_heap *heap,
                       hal_addr_t *addrs, const uint32_t *moments) {
  struct map_history *history = &map->history;
  struct map_region now = {.size = 0};
  uint32_t column = 0;
  bool good = true;
  for (uint32_t i = 0; i < trace->event_count && good; i++) {
    good = replay_event(trace, i, heap, addrs);
    if (i % 4096 == 0) {
      bench_progress("%u %% replayed", (unsigned)((uint64_t)i * 100 / trace->event_count));
    }
    if (good && i == history->peak_event) {
      good = look_at(heap, &map->regions[0]);
    }
    if (good && column < history->columns && i == moments[column]) {
      good = look_at(heap, &now);
      if (good) {
        fill_column(map, history, column++, &now);
      }
    }
  }
  free(now.blocks);
  return good;
}

static bool draw_trace(struct map *map, const struct bench_trace *trace, uint64_t region_bytes, uint64_t quantum) {
  struct bench_heap heap;
  uint32_t moments[COLUMNS];
  hal_addr_t *addrs = malloc(((size_t)trace->block_count + 1) * sizeof *addrs);
  if (!addrs || !open_history(&map->history, trace) || !weigh_tags(map, trace)) {
    bench_error("no memory to replay the trace");
    free(addrs);
    return false;
  }
  find_moments(&map->history, moments, trace, quantum);
  map->count = 1;
  bool good = bench_heap_open(trace, quantum, region_bytes / quantum, &heap);
  if (good) {
    good = replay_all(map, trace, &heap, addrs, moments);
    bench_heap_close(&heap);
  }
  count_classes(map);
  free(addrs);
  return good;
}

/* A region in which the trace fits, near the least one. 0: a message was printed. */
static uint64_t find_region(const struct bench_trace *trace, uint64_t quantum, uint64_t peak) {
  uint64_t low = peak / quantum - 1, high = peak / quantum, step = high / 64 + 1;
  enum bench_replay_result result;
  while ((result = bench_replay_in(trace, quantum, high)) == BENCH_REPLAY_FULL || result == BENCH_REPLAY_FRAGMENTED) {
    low = high;
    high += step;
    step *= 2;
  }
  while (result != BENCH_REPLAY_IMPOSSIBLE && high - low > high / 1024 + 1) {
    uint64_t middle = low + (high - low) / 2;
    result = bench_replay_in(trace, quantum, middle);
    if (result == BENCH_REPLAY_DONE) {
      high = middle;
    } else {
      low = middle;
    }
  }
  return result == BENCH_REPLAY_IMPOSSIBLE ? 0 : high * quantum;
}

bool map_read_trace(struct map *map, const char *path, uint64_t region_bytes, uint64_t quantum) {
  struct bench_trace trace;
  if (!bench_trace_load(path, &trace)) {
    return false;
  }
  memset(map, 0, sizeof *map);
  bench_trace_name(path, map->name, sizeof map->name);
  uint64_t peak = bench_trace_peak_bytes(&trace, quantum);
  if (peak == UINT64_MAX) {
    bench_error("%s: more than 2^63 bytes are live at once", path);
  } else if (region_bytes == 0) {
    region_bytes = find_region(&trace, quantum, peak);
  }
  memcpy(map->regions[0].name, map->name, MAP_NAME);
  bool good = peak != UINT64_MAX && region_bytes != 0 && draw_trace(map, &trace, region_bytes, quantum);
  bench_trace_destroy(&trace);
  return good;
}
