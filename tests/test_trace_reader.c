/* SPDX-License-Identifier: MIT */
/* The reader of traces: exact round trips, and every damaged file refused with its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../bench/trace.h"
#include <zcmem/debug.h>

static bool parse(const void *bytes, size_t size, struct bench_trace *trace, struct bench_trace_error *error) {
  bench_trace_init(trace);
  *error = (struct bench_trace_error){0};
  return bench_trace_parse(bytes, size, trace, error);
}

static void expect_refusal(const void *bytes, size_t size) {
  struct bench_trace trace;
  struct bench_trace_error error;
  assert_false(parse(bytes, size, &trace, &error));
  assert_non_null(error.what);
  bench_trace_destroy(&trace);
}

static uint64_t next_random(uint64_t *state) {
  *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
  return *state >> 33;
}

static uint64_t seed(void) {
  const char *text = getenv("ZCMEM_TEST_SEED");
  uint64_t value = text ? strtoull(text, NULL, 0) : 20;
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)value);
  return value;
}

/* A trace of `events` events that leaves some blocks live. */
static void make_trace(struct bench_trace *trace, uint32_t events, uint64_t *state) {
  bench_trace_init(trace);
  while (trace->event_count < events) {
    uint64_t r = next_random(state);
    if (trace->live_blocks == 0 || r % 2 == 0) {
      uint64_t size = r % 5 == 0 ? next_random(state) << next_random(state) % 26 : next_random(state) % 8 * 128;
      assert_null(bench_trace_add_alloc(trace, size));
    } else {
      uint32_t block = (uint32_t)(next_random(state) % trace->block_count);
      while (!trace->live[block]) {
        block = (block + 1) % trace->block_count;
      }
      assert_null(bench_trace_add_free(trace, block));
    }
  }
}

static void assert_same(const struct bench_trace *a, const struct bench_trace *b) {
  assert_int_equal(a->event_count, b->event_count);
  assert_int_equal(a->block_count, b->block_count);
  assert_int_equal(a->peak_blocks, b->peak_blocks);
  assert_memory_equal(a->events, b->events, a->event_count * sizeof *a->events);
  assert_memory_equal(a->sizes, b->sizes, a->block_count * sizeof *a->sizes);
}

/* Whatever a reader accepts, its frees meet live blocks. */
static void assert_consistent(const struct bench_trace *trace) {
  uint8_t *live = calloc(trace->block_count, 1);
  assert_non_null(live);
  uint32_t allocated = 0;
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    if (trace->events[i] & BENCH_EVENT_FREE) {
      assert_true(block < allocated);
      assert_int_equal(live[block], 1);
      live[block] = 0;
    } else {
      assert_int_equal(block, allocated++);
      assert_true(trace->sizes[block] <= BENCH_TRACE_MAX_SIZE);
      live[block] = 1;
    }
  }
  assert_int_equal(allocated, trace->block_count);
  assert_memory_equal(live, trace->live, trace->block_count);
  free(live);
}

static void text_is_read(void **state) {
  (void)state;
  static const char text[] =
      "# recorded somewhere\na 7 100\n\na\t9  0 \r\nf 7\na 18446744073709551615 72057594037927936\n";
  struct bench_trace trace;
  struct bench_trace_error error;
  assert_true(parse(text, sizeof text - 1, &trace, &error));
  assert_int_equal(trace.event_count, 4);
  assert_int_equal(trace.block_count, 3);
  assert_int_equal(trace.events[2], 0 << 1 | BENCH_EVENT_FREE);
  assert_int_equal(trace.sizes[0], 100);
  assert_int_equal(trace.sizes[1], 0);
  assert_true(trace.sizes[2] == BENCH_TRACE_MAX_SIZE);
  assert_int_equal(trace.peak_blocks, 2);
  assert_true(bench_trace_peak_bytes(&trace, 0) == BENCH_TRACE_MAX_SIZE);
  assert_true(bench_trace_peak_bytes(&trace, 128) == BENCH_TRACE_MAX_SIZE + 128);
  bench_trace_destroy(&trace);
}

static void bad_text_is_refused_with_its_line(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint64_t line;
    const char *what;
  } cases[] = {
      {"", 0, "no event in the trace"},
      {"\n# nothing\n", 2, "no event in the trace"},
      {"a 0 128\na 1 12", 2, "the last line has no end: the trace is cut short"},
      {"a 0 128\nx 1\n", 2, "expected 'a ID SIZE' or 'f ID'"},
      {"a 0\n", 1, "expected 'a ID SIZE' with numbers below 2^64"},
      {"a 0 -1\n", 1, "expected 'a ID SIZE' with numbers below 2^64"},
      {"a 0 18446744073709551616\n", 1, "expected 'a ID SIZE' with numbers below 2^64"},
      {"a0 1\n", 1, "expected 'a ID SIZE' with numbers below 2^64"},
      {"a 0 72057594037927937\n", 1, "a block of more than 2^56 bytes"},
      {"a 0 1 2\n", 1, "something follows the event"},
      {"a 0 1\nf 0 1\n", 2, "something follows the event"},
      {"a 0 1\nf\n", 2, "expected 'f ID' with a number below 2^64"},
      {"f 0\n", 1, "a free of an ID that was not allocated before"},
      {"a 0 1\nf 1\n", 2, "a free of an ID that was not allocated before"},
      {"a 0 1\nf 0\nf 0\n", 3, "a block is freed twice"},
      {"a 0 1\na 0 1\n", 2, "an ID is allocated twice"},
      {"a 0 1\nf 0\na 0 1\n", 3, "an ID is allocated twice"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct bench_trace trace;
    struct bench_trace_error error;
    assert_false(parse(cases[i].text, strlen(cases[i].text), &trace, &error));
    assert_string_equal(error.what, cases[i].what);
    assert_string_equal(error.unit, "line");
    assert_int_equal(error.at, cases[i].line);
    bench_trace_destroy(&trace);
  }
}

static void both_forms_round_trip(void **state) {
  (void)state;
  uint64_t random = seed();
  for (uint32_t events = 1; events < 3000; events = events * 2 + 1) {
    struct bench_trace trace;
    make_trace(&trace, events, &random);
    size_t compact_size = 0;
    size_t text_size = 0;
    uint8_t *compact = bench_trace_format_compact(&trace, &compact_size);
    uint8_t *text = bench_trace_format_text(&trace, &text_size);
    assert_non_null(compact);
    assert_non_null(text);
    struct bench_trace from_compact;
    struct bench_trace from_text;
    struct bench_trace_error error;
    assert_true(parse(compact, compact_size, &from_compact, &error));
    assert_true(parse(text, text_size, &from_text, &error));
    assert_same(&trace, &from_compact);
    assert_same(&trace, &from_text);
    assert_consistent(&from_compact);
    size_t again_size = 0;
    uint8_t *again = bench_trace_format_text(&from_compact, &again_size);
    assert_non_null(again);
    assert_int_equal(again_size, text_size);
    assert_memory_equal(again, text, text_size);
    free(again);
    free(text);
    free(compact);
    bench_trace_destroy(&from_text);
    bench_trace_destroy(&from_compact);
    bench_trace_destroy(&trace);
  }
}

static void every_cut_is_refused(void **state) {
  (void)state;
  uint64_t random = seed();
  struct bench_trace trace;
  make_trace(&trace, 200, &random);
  size_t size = 0;
  uint8_t *compact = bench_trace_format_compact(&trace, &size);
  assert_non_null(compact);
  for (size_t n = 0; n < size; n++) {
    expect_refusal(compact, n);
  }
  uint8_t *text = bench_trace_format_text(&trace, &size);
  assert_non_null(text);
  for (size_t n = 0; n < size; n++) {
    if (n == 0 || text[n - 1] != '\n') {
      expect_refusal(text, n);
    }
  }
  free(text);
  free(compact);
  bench_trace_destroy(&trace);
}

static void every_changed_byte_is_noticed(void **state) {
  (void)state;
  uint64_t random = seed();
  struct bench_trace trace;
  make_trace(&trace, 100, &random);
  size_t size = 0;
  uint8_t *compact = bench_trace_format_compact(&trace, &size);
  assert_non_null(compact);
  for (size_t i = 0; i < size; i++) {
    for (unsigned change = 1; change < 256; change++) {
      compact[i] ^= (uint8_t)change;
      expect_refusal(compact, size);
      compact[i] ^= (uint8_t)change;
    }
  }
  free(compact);
  bench_trace_destroy(&trace);
}

/* ---------------------------------------------------------- compact files with a good check sum and bad content -- */

static size_t seal(uint8_t *bytes, size_t size) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < size; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) {
      crc = crc & 1 ? crc >> 1 ^ UINT32_C(0xedb88320) : crc >> 1;
    }
  }
  for (unsigned i = 0; i < 4; i++) {
    bytes[size + i] = (uint8_t)(~crc >> (8 * i));
  }
  return size + 4;
}

static void bad_content_is_refused(void **state) {
  (void)state;
  static const char start[] = "ZCTR\1";
  /* allocs, frees, sizes; the sizes; the events */
  static const struct {
    uint8_t body[24];
    size_t size;
    const char *what;
  } cases[] = {
      {{1, 1, 1, 5, 0, 1}, 6, NULL},
      {{0, 0, 0}, 3, "no event in the trace"},
      {{1, 2, 1, 5, 0, 1, 1}, 7, "counts that the file is too short for"},
      {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 0}, 12, "counts that the file is too short for"},
      {{9, 0, 1, 5, 0, 0}, 6, "counts that the file is too short for"},
      {{1, 1, 1, 0x80}, 4, "counts that the file is too short for"},
      {{1, 0, 1, 0x80, 0x80}, 5, "the trace is cut short"},
      {{1, 0, 1, 0x85, 0x00, 0}, 6, "a number with superfluous bytes"},
      {{1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0}, 14, "a number of more than 64 bits"},
      {{1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x81, 0}, 14, "a number of more than 64 bits"},
      {{1, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0}, 14, "a block of more than 2^56 bytes"},
      {{1, 0, 1, 5, 2}, 5, "a size that is not in the table"},
      {{1, 0, 0, 0, 0}, 5, "a size that is not in the table"},
      {{1, 1, 1, 5, 1, 0}, 6, "a free of a block that was not allocated before"},
      {{1, 1, 1, 5, 0, 3}, 6, "a free of a block that was not allocated before"},
      {{2, 2, 1, 5, 0, 0, 1, 1}, 8, "a block is freed twice"},
      {{2, 1, 1, 5, 0, 1, 1}, 7, "a block is freed twice"},
      {{2, 1, 1, 5, 0, 0, 0}, 7, "the counts do not match the events"},
      {{1, 1, 1, 5, 0, 1, 0}, 7, "something follows the last event"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    uint8_t bytes[64];
    memcpy(bytes, start, 5);
    memcpy(bytes + 5, cases[i].body, cases[i].size);
    size_t size = seal(bytes, 5 + cases[i].size);
    struct bench_trace trace;
    struct bench_trace_error error;
    bool good = parse(bytes, size, &trace, &error);
    assert_int_equal(good, cases[i].what == NULL);
    if (cases[i].what) {
      assert_string_equal(error.what, cases[i].what);
    }
    bench_trace_destroy(&trace);
  }
}

/* Random bodies under a good check sum: most are refused, none is misread. */
static void random_content_is_never_misread(void **state) {
  (void)state;
  uint64_t random = seed();
  unsigned accepted = 0;
  unsigned refused = 0;
  for (unsigned i = 0; i < 200000; i++) {
    uint8_t bytes[64] = {'Z', 'C', 'T', 'R', 1};
    size_t size = 5 + next_random(&random) % 20;
    for (size_t k = 5; k < size; k++) {
      bytes[k] = (uint8_t)(next_random(&random) % (k < 8 || i % 2 ? 4 : 256));
    }
    size = seal(bytes, size);
    struct bench_trace trace;
    struct bench_trace_error error;
    if (parse(bytes, size, &trace, &error)) {
      assert_consistent(&trace);
      accepted++;
    } else {
      assert_non_null(error.what);
      refused++;
    }
    bench_trace_destroy(&trace);
  }
  assert_true(accepted > 0);
  assert_true(refused > accepted);
}

static void names_lose_their_endings(void **state) {
  (void)state;
  static const char *const cases[][2] = {{"a/b/gpt.trace.xz", "gpt"}, {"gpt.ztrace", "gpt"},
                                         {"x.y/gpt.trace", "gpt"},    {"gpt", "gpt"},
                                         {".trace", ".trace"},        {"a.ztrace.xz", "a"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char name[64];
    bench_trace_name(cases[i][0], name, sizeof name);
    assert_string_equal(name, cases[i][1]);
  }
}

/* ------------------------------------------------------------------------------------------------------ events -- */

struct file {
  uint8_t bytes[1 << 17];
  size_t size;
};
static struct file file;

static void begin_file(void) {
  memcpy(file.bytes, ZCMEM_EVENT_MAGIC, 5);
  file.size = 5;
}

static void put_event(uint32_t kind, uint32_t sequence, uint32_t region, uint64_t addr, uint64_t size, uint32_t tag) {
  const struct zcmem_event event = {
      .kind = kind, .sequence = sequence, .region = region, .addr = addr, .size = size, .tag = tag};
  assert_true(file.size + ZCMEM_EVENT_BYTES <= sizeof file.bytes);
  file.size += zcmem_event_encode(&event, file.bytes + file.size);
}

static void expect_text(const char *text) {
  struct bench_trace trace;
  struct bench_trace_error error;
  size_t size = 0;
  assert_true(parse(file.bytes, file.size, &trace, &error));
  uint8_t *written = bench_trace_format_text(&trace, &size);
  assert_non_null(written);
  assert_int_equal(size, strlen(text));
  assert_memory_equal(written, text, size);
  free(written);
  bench_trace_destroy(&trace);
}

static void events_become_a_trace(void **state) {
  struct bench_trace trace;
  struct bench_trace_error error;
  struct zcmem_event refused = {.kind = ZCMEM_EVENT_ALLOC, .status = ZCMEM_ENOSPC, .sequence = 9, .size = 7};
  (void)state;
  begin_file();
  expect_refusal(file.bytes, file.size);                      /* nothing in it */
  put_event(ZCMEM_EVENT_FREE, UINT32_MAX - 3, 0, 4096, 0, 0); /* of a block from before the recording */
  expect_refusal(file.bytes, file.size);
  /* Threads write in another order than things happened, and the sequence wraps. */
  put_event(ZCMEM_EVENT_ALLOC, 1, 0, 4096, 300, 0);
  put_event(ZCMEM_EVENT_FREE, 0, 0, 4096, 0, 0);
  put_event(ZCMEM_EVENT_ALLOC, UINT32_MAX - 1, 0, 4096, 100, 0);
  put_event(ZCMEM_EVENT_ALLOC, UINT32_MAX, 1, 4096, 200, 0); /* the same address in another region */
  expect_text("a 0 100\na 1 200\nf 0\na 2 300\n");
  put_event(ZCMEM_EVENT_TAG, 2, 0, 4096, 0, 77);
  put_event(ZCMEM_EVENT_RESIZE, 3, 0, 4096, 300, 0); /* to the size that it has: nothing */
  put_event(ZCMEM_EVENT_RESIZE, 4, 0, 4096, 400, 0);
  put_event(ZCMEM_EVENT_PIN, 5, 0, 4096, 0, 0);
  put_event(ZCMEM_EVENT_FREE_DEFERRED, 6, 1, 4096, 0, 0);
  put_event(ZCMEM_EVENT_ALLOC, 7, 0, 4096, 500, 0); /* a free that was not seen */
  put_event(99, 8, 0, 4096, 0, 0);                  /* a kind of a later version */
  file.size += zcmem_event_encode(&refused, file.bytes + file.size);
  expect_text("a 0 100\na 1 200\nf 0\na 2 300\nf 2\na 3 400\nf 1\nf 3\na 4 500\n");
  assert_true(parse(file.bytes, file.size, &trace, &error));
  assert_int_equal(bench_trace_tag(&trace, 0), 0);
  assert_int_equal(bench_trace_tag(&trace, 2), 77);
  assert_int_equal(bench_trace_tag(&trace, 3), 77); /* a resize keeps it */
  bench_trace_destroy(&trace);
  file.size--; /* the last one is cut: all others are good */
  expect_text("a 0 100\na 1 200\nf 0\na 2 300\nf 2\na 3 400\nf 1\nf 3\na 4 500\n");
  file.bytes[20] ^= 1;
  assert_false(parse(file.bytes, file.size, &trace, &error));
  assert_string_equal(error.what, "not an event");
  assert_string_equal(error.unit, "byte");
  bench_trace_destroy(&trace);
}

/* Of many blocks, at random places that are used again and again, each is freed as the one that it is. */
static void many_events_become_a_trace(void **state) {
  enum { PLACES = 300, EVENTS = 5000 };
  static uint32_t block_at[PLACES];
  static char text[EVENTS * 24];
  size_t used = 0;
  uint32_t blocks = 0;
  uint64_t random = seed();
  (void)state;
  begin_file();
  memset(block_at, 0, sizeof block_at);
  for (uint32_t i = 0; i < EVENTS; i++) {
    uint32_t place = (uint32_t)(next_random(&random) % PLACES), size = (uint32_t)(next_random(&random) % 5000);
    uint64_t addr = UINT64_C(0x7f0000000000) + place / 2 * UINT64_C(0x10000);
    if (block_at[place] != 0) {
      put_event(ZCMEM_EVENT_FREE, i, place % 2, addr, 0, 0);
      used += (size_t)snprintf(text + used, sizeof text - used, "f %u\n", (unsigned)block_at[place] - 1);
      block_at[place] = 0;
    } else {
      put_event(ZCMEM_EVENT_ALLOC, i, place % 2, addr, size, 0);
      used += (size_t)snprintf(text + used, sizeof text - used, "a %u %u\n", (unsigned)blocks, (unsigned)size);
      block_at[place] = ++blocks;
    }
  }
  expect_text(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_read),
      cmocka_unit_test(bad_text_is_refused_with_its_line),
      cmocka_unit_test(both_forms_round_trip),
      cmocka_unit_test(every_cut_is_refused),
      cmocka_unit_test(every_changed_byte_is_noticed),
      cmocka_unit_test(bad_content_is_refused),
      cmocka_unit_test(random_content_is_never_misread),
      cmocka_unit_test(events_become_a_trace),
      cmocka_unit_test(many_events_become_a_trace),
      cmocka_unit_test(names_lose_their_endings),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
