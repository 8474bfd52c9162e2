/* SPDX-License-Identifier: MIT */
/*
 * Recorded events (zcmem/debug.h) as a trace: allocations and frees that succeeded, in the order of their sequence; a
 * resize is a free and an allocation. Of a file whose writer was killed the last event may be cut; what is before it
 * is good. A free of a block from before the recording has no allocation here, and is left out.
 */
#include "trace.h"

#include <zcmem/debug.h>

#include <stdlib.h>
#include <string.h>

#define MAGIC_BYTES (sizeof ZCMEM_EVENT_MAGIC - 1)

struct numbered {
  struct zcmem_event event;
  uint32_t order; /* from the first event's sequence on */
  uint32_t place; /* in the file */
};

struct events {
  struct numbered *at;
  uint32_t count, capacity;
};

/* Where a live block is: open addressing, at most half full. */
struct live {
  uint32_t region;
  uint32_t block; /* number + 1; 0: vacant */
  uint64_t addr;
};

struct live_table {
  struct live *at;
  uint32_t mask;
};

bool bench_trace_is_events(const uint8_t *bytes, size_t size) {
  return size >= MAGIC_BYTES && memcmp(bytes, ZCMEM_EVENT_MAGIC, MAGIC_BYTES) == 0;
}

static const char *add_event(struct events *events, const struct zcmem_event *event) {
  if (events->count == UINT32_MAX / 2) {
    return "more than 2^31 - 1 events";
  }
  if (events->count == events->capacity) {
    uint32_t capacity = events->capacity ? events->capacity * 2 : 1024;
    uint64_t bytes = (uint64_t)capacity * sizeof *events->at;
    struct numbered *at = (size_t)bytes == bytes ? realloc(events->at, (size_t)bytes) : NULL;
    if (!at) {
      return "no memory for the events";
    }
    events->at = at;
    events->capacity = capacity;
  }
  uint32_t first = events->count ? events->at[0].event.sequence : event->sequence;
  /* Threads may have written a few events before the one with the first number. */
  events->at[events->count] = (struct numbered){*event, event->sequence - first + (UINT32_C(1) << 31), events->count};
  events->count++;
  return NULL;
}

static const char *read_all(const uint8_t *bytes, size_t size, struct events *events, size_t *at) {
  *at = MAGIC_BYTES;
  while (*at < size) {
    struct zcmem_event event;
    size_t used = 0;
    enum zcmem_status status = zcmem_event_decode(bytes + *at, size - *at, &event, &used);
    if (status == ZCMEM_EBOUNDS) {
      break;
    }
    if (status != ZCMEM_OK) {
      return "not an event";
    }
    const char *what = add_event(events, &event);
    if (what) {
      return what;
    }
    *at += used;
  }
  return NULL;
}

static int by_order(const void *a, const void *b) {
  const struct numbered *x = a;
  const struct numbered *y = b;
  return x->order != y->order ? (x->order > y->order) - (x->order < y->order)
                              : (x->place > y->place) - (x->place < y->place);
}

static uint32_t home(const struct live_table *table, uint32_t region, uint64_t addr) {
  return (uint32_t)((addr * UINT64_C(0x9e3779b97f4a7c15) + region * UINT64_C(0xff51afd7ed558ccd)) >> 32) & table->mask;
}

/* The block's place, or the vacant one where it would be. */
static struct live *find(const struct live_table *table, uint32_t region, uint64_t addr) {
  uint32_t i = home(table, region, addr);
  while (table->at[i].block && (table->at[i].addr != addr || table->at[i].region != region)) {
    i = (i + 1) & table->mask;
  }
  return &table->at[i];
}

/* Vacates a place; those behind it that would not be found any more move up. */
static void vacate(struct live_table *table, struct live *place) {
  uint32_t hole = (uint32_t)(place - table->at);
  for (uint32_t i = (hole + 1) & table->mask; table->at[i].block; i = (i + 1) & table->mask) {
    uint32_t from = home(table, table->at[i].region, table->at[i].addr);
    if (((i - from) & table->mask) >= ((i - hole) & table->mask)) {
      table->at[hole] = table->at[i];
      hole = i;
    }
  }
  table->at[hole].block = 0;
}

static const char *end_block(struct bench_trace *trace, struct live_table *table, struct live *place) {
  uint32_t block = place->block - 1;
  vacate(table, place);
  return bench_trace_add_free(trace, block);
}

static const char *begin_block(struct bench_trace *trace, struct live_table *table, const struct zcmem_event *event,
                               uint32_t tag) {
  struct live *place = find(table, event->region, event->addr);
  const char *what = place->block ? end_block(trace, table, place) : NULL; /* its free was not seen */
  what = what ? what : bench_trace_add_alloc(trace, event->size);
  what = what ? what : bench_trace_set_tag(trace, trace->block_count - 1, tag);
  if (!what) {
    *find(table, event->region, event->addr) = (struct live){event->region, trace->block_count, event->addr};
  }
  return what;
}

static const char *add_to_trace(struct bench_trace *trace, struct live_table *table, const struct zcmem_event *event) {
  struct live *place = find(table, event->region, event->addr);
  if (event->status != ZCMEM_OK) {
    return NULL;
  }
  if (event->kind == ZCMEM_EVENT_ALLOC) {
    return begin_block(trace, table, event, event->tag);
  }
  if (!place->block) {
    return NULL;
  }
  if (event->kind == ZCMEM_EVENT_FREE || event->kind == ZCMEM_EVENT_FREE_DEFERRED) {
    return end_block(trace, table, place);
  }
  if (event->kind == ZCMEM_EVENT_RESIZE && event->size != trace->sizes[place->block - 1]) {
    return begin_block(trace, table, event, bench_trace_tag(trace, place->block - 1));
  }
  if (event->kind == ZCMEM_EVENT_TAG) {
    return bench_trace_set_tag(trace, place->block - 1, event->tag);
  }
  return NULL;
}

static const char *make_trace(struct events *events, struct bench_trace *trace) {
  uint32_t places = 16;
  while (places / 2 < events->count) {
    places *= 2;
  }
  struct live_table table = {calloc(places, sizeof(struct live)), places - 1};
  if (!table.at) {
    return "no memory for the blocks";
  }
  const char *what = NULL;
  for (uint32_t i = 0; i < events->count && !what; i++) {
    what = add_to_trace(trace, &table, &events->at[i].event);
  }
  free(table.at);
  return what ? what : trace->event_count ? NULL : "no allocation among the events";
}

bool bench_trace_parse_events(const uint8_t *bytes, size_t size, struct bench_trace *trace,
                              struct bench_trace_error *error) {
  struct events events = {NULL, 0, 0};
  size_t at = 0;
  *error = (struct bench_trace_error){.unit = "byte"};
  if (!bench_trace_is_events(bytes, size)) {
    error->what = "not a file of events of this version";
    return false;
  }
  error->what = read_all(bytes, size, &events, &at);
  error->at = at;
  if (!error->what) {
    if (events.count) {
      qsort(events.at, events.count, sizeof *events.at, by_order);
    }
    error->unit = NULL;
    error->what = make_trace(&events, trace);
  }
  free(events.at);
  return !error->what;
}
