/* SPDX-License-Identifier: MIT */
/* The text form of a trace: `a ID SIZE` and `f ID`, one event a line. */
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * IDs -> block numbers. IDs are normally 0, 1, 2, ..., but a trace cut out of a longer one starts later, and one
 * merged from several threads is out of order. Open addressing, never more than half full; a slot holds number + 1.
 */
struct id_map {
  uint64_t *ids;
  uint32_t *numbers;
  size_t capacity; /* a power of two, or 0 */
  size_t count;
};

static size_t find_slot(const struct id_map *map, uint64_t id) {
  size_t mask = map->capacity - 1;
  size_t slot = (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & mask;
  while (map->numbers[slot] != 0 && map->ids[slot] != id) {
    slot = (slot + 1) & mask;
  }
  return slot;
}

static bool grow(struct id_map *map) {
  struct id_map larger = {.capacity = map->capacity ? map->capacity * 2 : 1024, .count = map->count};
  larger.ids = malloc(larger.capacity * sizeof *larger.ids);
  larger.numbers = calloc(larger.capacity, sizeof *larger.numbers);
  if (!larger.ids || !larger.numbers) {
    free(larger.ids);
    free(larger.numbers);
    return false;
  }
  for (size_t i = 0; i < map->capacity; i++) {
    if (map->numbers[i] == 0) {
      continue;
    }
    size_t slot = find_slot(&larger, map->ids[i]);
    larger.ids[slot] = map->ids[i];
    larger.numbers[slot] = map->numbers[i];
  }
  free(map->ids);
  free(map->numbers);
  *map = larger;
  return true;
}

struct parser {
  const uint8_t *at;
  const uint8_t *line_end; /* at the newline */
};

static bool is_blank(uint8_t c) {
  return c == ' ' || c == '\t' || c == '\r';
}

static bool skip_blanks(struct parser *p) {
  const uint8_t *start = p->at;
  while (p->at < p->line_end && is_blank(*p->at)) {
    p->at++;
  }
  return p->at > start;
}

/* Blanks and a decimal number. */
static bool read_number(struct parser *p, uint64_t *value) {
  if (!skip_blanks(p)) {
    return false;
  }
  const uint8_t *start = p->at;
  uint64_t n = 0;
  for (; p->at < p->line_end && *p->at >= '0' && *p->at <= '9'; p->at++) {
    uint64_t digit = (uint64_t)(*p->at - '0');
    if (n > (UINT64_MAX - digit) / 10) {
      return false;
    }
    n = n * 10 + digit;
  }
  *value = n;
  return p->at > start;
}

static const char *parse_alloc(struct parser *p, struct bench_trace *trace, struct id_map *map) {
  uint64_t id;
  uint64_t size;
  if (!read_number(p, &id) || !read_number(p, &size)) {
    return "expected 'a ID SIZE' with numbers below 2^64";
  }
  if (map->count >= map->capacity / 2 && !grow(map)) {
    return "no memory for the trace";
  }
  size_t slot = find_slot(map, id);
  if (map->numbers[slot] != 0) {
    return "an ID is allocated twice";
  }
  const char *what = bench_trace_add_alloc(trace, size);
  if (what) {
    return what;
  }
  map->ids[slot] = id;
  map->numbers[slot] = trace->block_count;
  map->count++;
  return NULL;
}

static const char *parse_free(struct parser *p, struct bench_trace *trace, const struct id_map *map) {
  uint64_t id;
  if (!read_number(p, &id)) {
    return "expected 'f ID' with a number below 2^64";
  }
  size_t slot = map->capacity ? find_slot(map, id) : 0;
  if (map->capacity == 0 || map->numbers[slot] == 0) {
    return "a free of an ID that was not allocated before";
  }
  return bench_trace_add_free(trace, map->numbers[slot] - 1);
}

static const char *parse_line(struct parser *p, struct bench_trace *trace, struct id_map *map) {
  skip_blanks(p);
  if (p->at == p->line_end || *p->at == '#') {
    return NULL;
  }
  const char *what = "expected 'a ID SIZE' or 'f ID'";
  uint8_t kind = *p->at++;
  if (kind == 'a') {
    what = parse_alloc(p, trace, map);
  } else if (kind == 'f') {
    what = parse_free(p, trace, map);
  }
  if (what) {
    return what;
  }
  skip_blanks(p);
  return p->at == p->line_end ? NULL : "something follows the event";
}

bool bench_trace_parse_text(const uint8_t *bytes, size_t size, struct bench_trace *trace,
                            struct bench_trace_error *error) {
  struct id_map map = {0};
  const uint8_t *at = bytes;
  const uint8_t *end = bytes + size;
  const char *what = NULL;
  uint64_t line = 0;
  while (at < end && !what) {
    line++;
    const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline) {
      /* "a 7 4096" may have been "a 7 40960": a file that was cut short must not pass. */
      what = "the last line has no end: the trace is cut short";
      break;
    }
    struct parser p = {.at = at, .line_end = newline};
    what = parse_line(&p, trace, &map);
    at = newline + 1;
  }
  free(map.ids);
  free(map.numbers);
  if (!what && trace->event_count == 0) {
    what = "no event in the trace";
  }
  *error = (struct bench_trace_error){.what = what, .unit = "line", .at = line};
  return !what;
}

uint8_t *bench_trace_format_text(const struct bench_trace *trace, size_t *size) {
  /* "a " + 10 digits + " " + 17 digits (sizes end at 2^56) + newline and the terminating 0 */
  const size_t line_max = 32;
  char *text = calloc((size_t)trace->event_count + 1, line_max); /* which notices a product that wraps */
  if (!text) {
    return NULL;
  }
  size_t used = 0;
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    int n;
    if (trace->events[i] & BENCH_EVENT_FREE) {
      n = snprintf(text + used, line_max, "f %" PRIu32 "\n", block);
    } else {
      n = snprintf(text + used, line_max, "a %" PRIu32 " %" PRIu64 "\n", block, trace->sizes[block]);
    }
    used += (size_t)n;
  }
  *size = used;
  return (uint8_t *)text;
}
