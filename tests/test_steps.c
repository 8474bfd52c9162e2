/* SPDX-License-Identifier: MIT */
/*
 * The published bounds of steps (src/assert.h) hold: for sequences made to break them, for random ones on heaps of
 * different shapes, and for recorded traces (test_steps <trace>...). test_model is built a second time with steps.c,
 * too. And what the derivation of the bounds relies on is so. ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<calls for each
 * shape>
 */
#include <string.h>

#include "../bench/trace.h"
#include "assert.h"
#include "heap_impl.h"
#include "index.h"
#include "steps.h"
#include "steps_adversary.h"
#include "unit.h"
#include "wide.h"

#define DEFAULT_OPS 200000u

static char **trace_files;
static int trace_count;

/* ------------------------------------------------------------------------------------- what the bounds rely on -- */

/* Tables below a page of 1 << shift quanta. */
static uint32_t tables_below(uint32_t shift) {
  uint32_t tables = 0;
  for (; ((uint64_t)1 << shift) > ZCMEM__INDEX_MOST; shift -= ZCMEM__INDEX_BITS) {
    tables++;
  }
  return tables;
}

static void limits_are_what_they_are_said_to_be(void **state) {
  uint32_t tables = 0, levels = 0, words = 0;
  (void)state;
  /* Constants that the sums in assert.h have as numbers. */
  assert_int_equal(ZCMEM__PAGE, 8);
  assert_int_equal(ZCMEM__INDEX_BITS, 4);
  assert_int_equal(2 * ZCMEM__INDEX_MOST, ZCMEM_STEPS_CROWD);
  assert_int_equal(ZCMEM__TOP_WORDS - 1, ZCMEM_STEPS_SCAN);
  assert_int_equal(ZCMEM__BIN_SUMMARIES, ZCMEM_STEPS_SUMMARY);
  /* Layouts of all sizes; the largest heap for each number of blocks has the largest pages. */
  for (uint64_t blocks = 1; blocks <= ZCMEM_MAX_BLOCKS; blocks += 1 + blocks / 16) {
    for (unsigned bits = 0; bits <= 32; bits++) {
      const uint64_t quanta = bits == 32 ? UINT32_MAX : (uint64_t)1 << bits;
      const struct zcmem_heap_config config = {128, quanta * 128, 128, (uint32_t)blocks, 0};
      struct zcmem__layout layout;
      if (!zcmem__heap_layout(&config, &layout)) {
        continue;
      }
      levels = layout.levels > levels ? layout.levels : levels;
      words = layout.top_words > words ? layout.top_words : words;
      if (blocks > ZCMEM__INDEX_MOST && tables_below(layout.index_shift) > tables) {
        tables = tables_below(layout.index_shift);
      }
    }
  }
  assert_int_equal(tables, ZCMEM_STEPS_TABLES);
  assert_int_equal(levels, ZCMEM_STEPS_LEVELS);
  assert_true(words <= ZCMEM__TOP_WORDS);
  /* Pages one below the other that the most blocks of a wide bin need. */
  uint64_t most = UINT32_MAX / (ZCMEM__BIN_WIDE + 1u) + 1u, entries = 0, level = 1;
  uint32_t pages = 0;
  while (entries < most) {
    level *= ZCMEM__PAGE;
    entries += level;
    pages++;
  }
  assert_int_equal(pages - 1, ZCMEM_STEPS_DEPTH);
}

/* ------------------------------------------------------------------------------------------- random sequences -- */

struct shape {
  hal_size_t quanta;
  uint32_t max_blocks;
  uint32_t live;                  /* about so many */
  unsigned least_log2, most_log2; /* of sizes */
};

static const struct shape shapes[] = {
    {1 << 16, 2000, 1000, 0, 13},              /* exact bins, an index of single quanta */
    {1 << 24, 5000, 3000, 7, 20},              /* exact and wide bins */
    {(hal_size_t)1 << 28, 4000, 3000, 17, 24}, /* wide bins */
    {UINT32_MAX, 3000, 2500, 0, 12},           /* crowded at the front, tables */
    {UINT32_MAX, 70000, 40000, 19, 20},        /* full wide bins */
};

static hal_size_t random_size(const struct shape *shape, uint64_t *random) {
  uint64_t bits = shape->least_log2 + random_below(random, shape->most_log2 - shape->least_log2 + 1);
  return random_below(random, ((uint64_t)1 << bits) + 1) + (((uint64_t)1 << bits) >> 1);
}

static void random_history(const struct shape *shape, uint64_t calls, uint64_t *random) {
  struct zcmem_heap *heap = adversary_heap(shape->quanta, shape->max_blocks);
  hal_addr_t *live = calloc(shape->live, sizeof *live);
  struct zcmem_heap_info info;
  struct zcmem_block_info block;
  bool freed;
  assert_non_null(heap);
  assert_non_null(live);
  assert_ok(zcmem_heap_get_info(heap, &info));
  for (uint64_t call = 0; call < calls; call++) {
    hal_addr_t *slot = &live[random_below(random, shape->live)], any = info.base + random_below(random, info.size);
    hal_size_t size = random_size(shape, random), align = (hal_size_t)1 << random_below(random, 24);
    uint64_t dice = random_below(random, 100);
    if (*slot == 0 && dice < 90) {
      (void)zcmem_heap_alloc(heap, size, dice < 10 ? align : 1, slot);
    } else if (*slot == 0) {
      any -= any % info.quantum;
      if (zcmem_heap_reserve(heap, any, size) == ZCMEM_OK) {
        *slot = any;
      }
    } else if (dice < 50) {
      assert_ok(zcmem_heap_free(heap, *slot));
      *slot = 0;
    } else if (dice < 65) {
      (void)zcmem_heap_resize(heap, *slot, size);
    } else if (dice < 75) {
      (void)zcmem_heap_find(heap, dice < 70 ? any : *slot + random_below(random, size + 1), &block);
    } else if (dice < 85) {
      assert_ok(zcmem_heap_set_tag(heap, *slot, (uint32_t)dice));
      assert_ok(zcmem_heap_pin(heap, *slot));
      assert_ok(zcmem_heap_begin_transfer(heap, *slot, 0, NULL));
      assert_ok(zcmem_heap_end_transfer(heap, *slot, &freed));
      assert_ok(zcmem_heap_unpin(heap, *slot, &freed));
    } else if (dice < 90) {
      assert_ok(zcmem_heap_pin(heap, *slot));
      assert_ok(zcmem_heap_free_deferred(heap, *slot, NULL));
      assert_ok(zcmem_heap_unpin(heap, *slot, &freed));
      *slot = 0;
    } else {
      (void)zcmem_heap_largest(heap);
    }
  }
  assert_ok(zcmem_heap_check(heap));
  free(live);
  adversary_drop(heap);
}

static void random_histories(void **state) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 0x57e9), ops = env_number("ZCMEM_TEST_OPS", DEFAULT_OPS);
  (void)state;
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)ops);
  for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    random_history(&shapes[i], ops, &seed);
  }
}

/* ------------------------------------------------------------------------------------------------------ traces -- */

/* In a region of `percent` of the trace's peak; what has no room is left out. */
static void replay(const struct bench_trace *trace, uint64_t percent) {
  uint64_t peak = bench_trace_peak_bytes(trace, 128) / 128;
  struct zcmem_heap *heap = adversary_heap(peak * percent / 100 + 1, trace->peak_blocks);
  hal_addr_t *addrs = calloc(trace->block_count + 1u, sizeof *addrs);
  assert_non_null(heap);
  assert_non_null(addrs);
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    if ((trace->events[i] & BENCH_EVENT_FREE) == 0) {
      (void)zcmem_heap_alloc(heap, trace->sizes[block], 1, &addrs[block]);
    } else if (addrs[block] != 0) {
      assert_ok(zcmem_heap_free(heap, addrs[block]));
    }
  }
  assert_ok(zcmem_heap_check(heap));
  free(addrs);
  adversary_drop(heap);
}

static void traces(void **state) {
  (void)state;
  if (trace_count == 0) {
    skip();
  }
  for (int i = 0; i < trace_count; i++) {
    struct bench_trace trace;
    uint64_t calls = steps_calls(STEPS_ALLOC);
    assert_true(bench_trace_load(trace_files[i], &trace));
    replay(&trace, 300);
    replay(&trace, 102);
    assert_true(steps_calls(STEPS_ALLOC) >= calls + 2u * trace.block_count);
    bench_trace_destroy(&trace);
  }
}

static void every_call_was_counted(void **state) {
  (void)state;
  for (unsigned call = 0; call < STEPS_CALLS; call++) {
    assert_true(steps_calls((enum steps_call)call) > 0);
    assert_true(call == STEPS_GET_INFO || steps_most((enum steps_call)call) > 0);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(limits_are_what_they_are_said_to_be),
      cmocka_unit_test(random_histories),
      cmocka_unit_test(traces),
      cmocka_unit_test(adversary_deep_index),
      cmocka_unit_test(adversary_bitmaps),
      cmocka_unit_test(adversary_wide_bins),
      cmocka_unit_test(adversary_aligned),
      cmocka_unit_test(adversary_use),
      cmocka_unit_test(every_call_was_counted),
  };
  trace_files = argv + 1;
  trace_count = argc - 1;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
