/* SPDX-License-Identifier: MIT */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

/* Events hold a block number and one bit in 32. */
#define MAX_EVENTS 0x7fffffffu

void bench_trace_init(struct bench_trace *trace) {
  memset(trace, 0, sizeof *trace);
}

void bench_trace_destroy(struct bench_trace *trace) {
  free(trace->events);
  free(trace->sizes);
  free(trace->live);
  free(trace->tags);
  bench_trace_init(trace);
}

static const char no_memory[] = "no memory for the trace";

/* realloc for arrays: on a 32-bit host a product of 32-bit counts may wrap. */
static void *resize_array(void *array, uint32_t count, size_t item_bytes) {
  return count > SIZE_MAX / item_bytes ? NULL : realloc(array, count * item_bytes);
}

static const char *reserve_event(struct bench_trace *trace) {
  if (trace->event_count == MAX_EVENTS) {
    return "more than 2^31 - 1 events";
  }
  if (trace->event_count < trace->event_capacity) {
    return NULL;
  }
  uint32_t capacity = trace->event_capacity ? trace->event_capacity * 2 : 1024;
  uint32_t *events = resize_array(trace->events, capacity, sizeof *events);
  if (!events) {
    return no_memory;
  }
  trace->events = events;
  trace->event_capacity = capacity;
  return NULL;
}

static const char *reserve_block(struct bench_trace *trace) {
  if (trace->block_count < trace->block_capacity) {
    return NULL;
  }
  uint32_t capacity = trace->block_capacity ? trace->block_capacity * 2 : 1024;
  uint64_t *sizes = resize_array(trace->sizes, capacity, sizeof *sizes);
  if (!sizes) {
    return no_memory;
  }
  trace->sizes = sizes;
  uint8_t *live = resize_array(trace->live, capacity, sizeof *live);
  if (!live) {
    return no_memory;
  }
  trace->live = live;
  if (trace->tags) {
    uint32_t *tags = resize_array(trace->tags, capacity, sizeof *tags);
    if (!tags) {
      return no_memory;
    }
    trace->tags = tags;
  }
  trace->block_capacity = capacity;
  return NULL;
}

const char *bench_trace_add_alloc(struct bench_trace *trace, uint64_t size) {
  if (size > BENCH_TRACE_MAX_SIZE) {
    return "a block of more than 2^56 bytes";
  }
  const char *what = reserve_event(trace);
  if (!what) {
    what = reserve_block(trace);
  }
  if (what) {
    return what;
  }
  uint32_t block = trace->block_count++;
  trace->sizes[block] = size;
  trace->live[block] = 1;
  if (trace->tags) {
    trace->tags[block] = 0;
  }
  trace->events[trace->event_count++] = block << 1;
  if (++trace->live_blocks > trace->peak_blocks) {
    trace->peak_blocks = trace->live_blocks;
  }
  return NULL;
}

const char *bench_trace_add_free(struct bench_trace *trace, uint64_t block) {
  if (block >= trace->block_count) {
    return "a free of a block that was not allocated before";
  }
  if (!trace->live[block]) {
    return "a block is freed twice";
  }
  const char *what = reserve_event(trace);
  if (what) {
    return what;
  }
  trace->live[block] = 0;
  trace->live_blocks--;
  trace->events[trace->event_count++] = (uint32_t)block << 1 | BENCH_EVENT_FREE;
  return NULL;
}

const char *bench_trace_set_tag(struct bench_trace *trace, uint32_t block, uint32_t tag) {
  if (!trace->tags && tag) {
    trace->tags = calloc(trace->block_capacity, sizeof *trace->tags);
    if (!trace->tags) {
      return no_memory;
    }
  }
  if (trace->tags) {
    trace->tags[block] = tag;
  }
  return NULL;
}

uint32_t bench_trace_tag(const struct bench_trace *trace, uint32_t block) {
  return trace->tags ? trace->tags[block] : 0;
}

uint64_t bench_trace_round(uint64_t size, uint64_t quantum) {
  if (quantum == 0) {
    return size;
  }
  if (size == 0) {
    return quantum;
  }
  return (size + quantum - 1) / quantum * quantum;
}

uint64_t bench_trace_peak_bytes(const struct bench_trace *trace, uint64_t quantum) {
  uint64_t bytes = 0;
  uint64_t peak = 0;
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t event = trace->events[i];
    uint64_t size = bench_trace_round(trace->sizes[event >> 1], quantum);
    if (event & BENCH_EVENT_FREE) {
      bytes -= size;
      continue;
    }
    bytes += size; /* cannot wrap: both are below 2^63 */
    if (bytes >> 63) {
      return UINT64_MAX;
    }
    if (bytes > peak) {
      peak = bytes;
    }
  }
  return peak;
}
