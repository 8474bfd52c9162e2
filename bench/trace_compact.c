/* SPDX-License-Identifier: MIT */
/*
 * The compact form of a trace: a table of the sizes that occur, one variable-length number an event, a check sum.
 * bench/README.md has the layout. About 1.3 bytes an event where few sizes are common.
 */
#include "trace.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t magic[] = {'Z', 'C', 'T', 'R', 1};

#define CHECKSUM_BYTES 4u
#define VARINT_MAX 10u

static uint32_t crc32(const uint8_t *bytes, size_t size) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc >> 1 ^ (UINT32_C(0xedb88320) & (0u - (crc & 1u)));
    }
  }
  return ~crc;
}

struct reader {
  const uint8_t *start, *at, *end;
};

/* Little-endian groups of seven bits, the top bit says that more follow; each number has one spelling only. */
static const char *read_varint(struct reader *r, uint64_t *value) {
  uint64_t n = 0;
  for (unsigned i = 0; i < VARINT_MAX; i++) {
    if (r->at == r->end) {
      return "the trace is cut short";
    }
    uint8_t byte = *r->at++;
    if (i == VARINT_MAX - 1 && byte > 1) {
      break;
    }
    n |= (uint64_t)(byte & 0x7f) << (7 * i);
    if (!(byte & 0x80)) {
      if (byte == 0 && i > 0) {
        return "a number with superfluous bytes";
      }
      *value = n;
      return NULL;
    }
  }
  return "a number of more than 64 bits";
}

struct header {
  uint64_t allocs, frees, sizes;
};

static const char *read_header(struct reader *r, struct header *h) {
  const char *what = read_varint(r, &h->allocs);
  if (!what) {
    what = read_varint(r, &h->frees);
  }
  if (!what) {
    what = read_varint(r, &h->sizes);
  }
  if (what) {
    return what;
  }
  if (h->allocs == 0) {
    return "no event in the trace";
  }
  /* Each event and each size takes a byte at least: so no count makes us reserve more than the file is worth. */
  uint64_t left = (uint64_t)(r->end - r->at);
  if (h->allocs > left || h->frees > h->allocs || h->sizes > h->allocs || h->allocs + h->frees + h->sizes > left) {
    return "counts that the file is too short for";
  }
  return NULL;
}

static const char *read_events(struct reader *r, const struct header *h, const uint64_t *sizes,
                               struct bench_trace *trace) {
  for (uint64_t i = 0; i < h->allocs + h->frees; i++) {
    uint64_t n;
    const char *what = read_varint(r, &n);
    if (what) {
      return what;
    }
    uint64_t operand = n >> 1;
    if (n & BENCH_EVENT_FREE) {
      if (operand >= trace->block_count) {
        return "a free of a block that was not allocated before";
      }
      what = bench_trace_add_free(trace, trace->block_count - 1 - operand);
    } else {
      if (operand >= h->sizes) {
        return "a size that is not in the table";
      }
      what = bench_trace_add_alloc(trace, sizes[operand]);
    }
    if (what) {
      return what;
    }
  }
  return trace->block_count == h->allocs ? NULL : "the counts do not match the events";
}

static const char *read_body(struct reader *r, struct bench_trace *trace) {
  struct header h;
  const char *what = read_header(r, &h);
  if (what) {
    return what;
  }
  uint64_t *sizes = malloc(((size_t)h.sizes + 1) * sizeof *sizes);
  if (!sizes) {
    return "no memory for the trace";
  }
  for (uint64_t i = 0; i < h.sizes && !what; i++) {
    what = read_varint(r, &sizes[i]);
  }
  if (!what) {
    what = read_events(r, &h, sizes, trace);
  }
  free(sizes);
  return what;
}

bool bench_trace_is_compact(const uint8_t *bytes, size_t size) {
  return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

bool bench_trace_parse_compact(const uint8_t *bytes, size_t size, struct bench_trace *trace,
                               struct bench_trace_error *error) {
  *error = (struct bench_trace_error){.unit = "byte"};
  if (!bench_trace_is_compact(bytes, size) || size < sizeof magic + CHECKSUM_BYTES) {
    error->what = "not a compact trace of this version";
    return false;
  }
  struct reader r = {.start = bytes, .at = bytes + sizeof magic, .end = bytes + size - CHECKSUM_BYTES};
  error->what = read_body(&r, trace);
  if (!error->what && r.at != r.end) {
    error->what = "something follows the last event";
  }
  error->at = (uint64_t)(r.at - r.start);
  if (!error->what) {
    uint32_t expected = 0;
    for (unsigned i = 0; i < CHECKSUM_BYTES; i++) {
      expected |= (uint32_t)r.end[i] << (8 * i);
    }
    if (crc32(bytes, (size_t)(r.end - bytes)) != expected) {
      error->what = "the check sum does not match: the trace is damaged";
    }
  }
  return !error->what;
}

/* ---------------------------------------------------------------------------------------------------- writing -- */

static uint8_t *put_varint(uint8_t *at, uint64_t value) {
  for (; value >= 0x80; value >>= 7) {
    *at++ = (uint8_t)(value | 0x80);
  }
  *at++ = (uint8_t)value;
  return at;
}

struct size_use {
  uint64_t size;
  uint32_t uses;
  uint32_t rank;
};

static int by_size(const void *a, const void *b) {
  uint64_t x = ((const struct size_use *)a)->size;
  uint64_t y = ((const struct size_use *)b)->size;
  return (x > y) - (x < y);
}

/* Common sizes first: their numbers take one byte. */
static int by_uses(const void *a, const void *b) {
  uint32_t x = ((const struct size_use *)a)->uses;
  uint32_t y = ((const struct size_use *)b)->uses;
  return x != y ? (x < y) - (x > y) : by_size(a, b);
}

/* The distinct sizes of the trace at the front of an array of block_count entries; NULL: no memory. */
static struct size_use *count_sizes(const struct bench_trace *trace, uint32_t *distinct) {
  struct size_use *uses = calloc(trace->block_count, sizeof *uses);
  if (!uses) {
    return NULL;
  }
  for (uint32_t i = 0; i < trace->block_count; i++) {
    uses[i] = (struct size_use){.size = trace->sizes[i], .uses = 1};
  }
  qsort(uses, trace->block_count, sizeof *uses, by_size);
  uint32_t n = 0;
  for (uint32_t i = 0; i < trace->block_count; i++) {
    if (n > 0 && uses[n - 1].size == uses[i].size) {
      uses[n - 1].uses++;
    } else {
      uses[n++] = uses[i];
    }
  }
  *distinct = n;
  return uses;
}

/* The rank of a size that is among them; they are in the order of sizes. */
static uint32_t find_rank(const struct size_use *uses, uint32_t distinct, uint64_t size) {
  uint32_t low = 0;
  for (uint32_t n = distinct; n > 1;) {
    uint32_t half = n / 2;
    if (uses[low + half].size <= size) {
      low += half;
    }
    n -= half;
  }
  return uses[low].rank;
}

static uint8_t *put_all(uint8_t *at, const struct bench_trace *trace, struct size_use *uses, uint32_t distinct) {
  memcpy(at, magic, sizeof magic);
  at = put_varint(at + sizeof magic, trace->block_count);
  at = put_varint(at, trace->event_count - trace->block_count);
  at = put_varint(at, distinct);
  qsort(uses, distinct, sizeof *uses, by_uses);
  for (uint32_t i = 0; i < distinct; i++) {
    uses[i].rank = i;
    at = put_varint(at, uses[i].size);
  }
  qsort(uses, distinct, sizeof *uses, by_size);
  uint32_t blocks = 0;
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    if (trace->events[i] & BENCH_EVENT_FREE) {
      at = put_varint(at, (uint64_t)(blocks - 1 - block) << 1 | BENCH_EVENT_FREE);
      continue;
    }
    at = put_varint(at, (uint64_t)find_rank(uses, distinct, trace->sizes[block]) << 1);
    blocks++;
  }
  return at;
}

uint8_t *bench_trace_format_compact(const struct bench_trace *trace, size_t *size) {
  uint32_t distinct;
  struct size_use *uses = count_sizes(trace, &distinct);
  if (!uses) {
    return NULL;
  }
  /* An event's number stays below 2^33: five bytes. */
  uint64_t most =
      sizeof magic + CHECKSUM_BYTES + (3 + (uint64_t)distinct) * VARINT_MAX + 5 * (uint64_t)trace->event_count;
  uint8_t *bytes = (size_t)most == most ? malloc((size_t)most) : NULL;
  if (bytes) {
    uint8_t *end = put_all(bytes, trace, uses, distinct);
    uint32_t crc = crc32(bytes, (size_t)(end - bytes));
    for (unsigned i = 0; i < CHECKSUM_BYTES; i++) {
      *end++ = (uint8_t)(crc >> (8 * i));
    }
    *size = (size_t)(end - bytes);
  }
  free(uses);
  return bytes;
}
