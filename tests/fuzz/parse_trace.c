/* SPDX-License-Identifier: MIT */
/*
 * Trace files. Whatever a reader accepts is a trace: each free meets a live block, and written in either form and read
 * again it is the same trace.
 */
#include "parse.h"

#include "../../bench/trace.h"
#include "../unit.h"
#ifdef ZCMEM_BENCH_LZMA
#include <lzma.h>
#endif

static void expect_consistent(const struct bench_trace *trace) {
  uint8_t *live = calloc((size_t)trace->block_count + 1, 1);
  uint32_t allocated = 0, now = 0, peak = 0;
  assert_non_null(live);
  assert_true(trace->event_count > 0);
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    if ((trace->events[i] & BENCH_EVENT_FREE) != 0) {
      assert_true(block < allocated && live[block]);
      live[block] = 0;
      now--;
    } else {
      assert_int_equal(block, allocated++);
      assert_true(trace->sizes[block] <= BENCH_TRACE_MAX_SIZE);
      live[block] = 1;
      peak = ++now > peak ? now : peak;
    }
  }
  assert_int_equal(allocated, trace->block_count);
  assert_int_equal(now, trace->live_blocks);
  assert_int_equal(peak, trace->peak_blocks);
  assert_memory_equal(live, trace->live, trace->block_count);
  assert_true(bench_trace_peak_bytes(trace, 0) <= bench_trace_peak_bytes(trace, 128));
  free(live);
}

static void expect_same(const struct bench_trace *a, const struct bench_trace *b) {
  assert_int_equal(a->event_count, b->event_count);
  assert_int_equal(a->block_count, b->block_count);
  assert_memory_equal(a->events, b->events, a->event_count * sizeof *a->events);
  assert_memory_equal(a->sizes, b->sizes, a->block_count * sizeof *a->sizes);
}

static void expect_round_trip(const struct bench_trace *trace, uint8_t *bytes, size_t size, bool compact) {
  struct bench_trace again;
  struct bench_trace_error error;
  assert_non_null(bytes);
  assert_true(bench_trace_is_compact(bytes, size) == compact);
  bench_trace_init(&again);
  assert_true(bench_trace_parse(bytes, size, &again, &error));
  expect_same(trace, &again);
  bench_trace_destroy(&again);
  free(bytes);
}

void fuzz_trace(const uint8_t *bytes, size_t size) {
  struct bench_trace trace;
  struct bench_trace_error error = {0};
  bench_trace_init(&trace);
  if (bench_trace_parse(bytes, size, &trace, &error)) {
    size_t written = 0;
    expect_consistent(&trace);
    uint8_t *text = bench_trace_format_text(&trace, &written);
    expect_round_trip(&trace, text, written, false);
    uint8_t *compact = bench_trace_format_compact(&trace, &written);
    expect_round_trip(&trace, compact, written, true);
  } else {
    assert_non_null(error.what);
    assert_true(error.unit == NULL || error.at <= size || bench_xz_recognise(bytes, size));
  }
  bench_trace_destroy(&trace);
}

static uint32_t crc32(const uint8_t *bytes, size_t size) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < 8 * size; i++) {
    uint32_t bit = (crc ^ (uint32_t)bytes[i / 8] >> i % 8) & 1u;
    crc = crc >> 1 ^ (bit != 0 ? UINT32_C(0xedb88320) : 0);
  }
  return ~crc;
}

void fuzz_trace_sealed(const uint8_t *bytes, size_t size) {
  static const uint8_t start[] = {'Z', 'C', 'T', 'R', 1};
  uint8_t *sealed = malloc(sizeof start + size + 4);
  assert_non_null(sealed);
  memcpy(sealed, start, sizeof start);
  memcpy(sealed + sizeof start, bytes, size);
  uint32_t crc = crc32(sealed, sizeof start + size);
  for (unsigned i = 0; i < 4; i++) {
    sealed[sizeof start + size + i] = (uint8_t)(crc >> (8 * i));
  }
  fuzz_trace(sealed, sizeof start + size + 4);
  free(sealed);
}

/* The first byte: how many of the packed bytes are changed, which follow it as pairs of place and value. */
void fuzz_trace_xz(const uint8_t *bytes, size_t size) {
#ifdef ZCMEM_BENCH_LZMA
  struct fuzz_input in = {bytes, bytes + size};
  uint8_t changes[16][3], count = fuzz_byte(&in) % 16u;
  for (unsigned i = 0; i < 3u * count; i++) {
    changes[i / 3][i % 3] = fuzz_byte(&in);
  }
  size_t plain = (size_t)(in.end - in.at), packed = 0, bound = lzma_stream_buffer_bound(plain);
  uint8_t *out = malloc(bound);
  assert_non_null(out);
  assert_int_equal(lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, NULL, in.at, plain, out, &packed, bound), LZMA_OK);
  for (unsigned i = 0; i < count; i++) {
    out[(changes[i][0] | (size_t)changes[i][1] << 8) % packed] ^= changes[i][2];
  }
  fuzz_trace(out, packed);
  free(out);
#else
  fuzz_trace(bytes, size);
#endif
}

void fuzz_trace_name(const uint8_t *bytes, size_t size) {
  char name[64], *path = malloc(size + 1);
  assert_non_null(path);
  memcpy(path, bytes, size);
  path[size] = '\0';
  bench_trace_name(path, name, sizeof name);
  assert_true(strlen(name) < sizeof name);
  const char *base = strrchr(path, '/') == NULL ? path : strrchr(path, '/') + 1;
  assert_memory_equal(name, base, strlen(name)); /* the beginning of the file's name, and not nothing of it */
  assert_true(strlen(name) > 0 || strlen(base) == 0);
  free(path);
}
