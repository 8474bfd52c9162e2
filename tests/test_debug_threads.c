/* SPDX-License-Identifier: MIT */
/* Recording, dumping and counting beside threads that allocate and free. */
#include "unit.h"
#include <pthread.h>
#include <string.h>
#include <zcmem/zcmem.h>

#include "hal_impl.h"

#define THREADS 3
#define PAIRS 3000u
#define KEPT 16u
#define SPACE ((hal_size_t)1 << 20)
#define BASE ((hal_addr_t)0x100000)
#define EVENTS (THREADS * 3u * PAIRS)

static struct zcmem_hal *hal;
static struct zcmem_event events[EVENTS];
static uint32_t event_count;
static pthread_mutex_t events_lock = PTHREAD_MUTEX_INITIALIZER;

static void add_event(void *ctx, const struct zcmem_event *event) {
  (void)ctx;
  pthread_mutex_lock(&events_lock);
  if (event_count < EVENTS) {
    events[event_count] = *event;
  }
  event_count++;
  pthread_mutex_unlock(&events_lock);
}

static const struct zcmem_recorder recorder = {add_event, NULL, NULL, NULL};

/* Replaces one of its blocks again and again. Asserts nothing: CMocka's assertions are for one thread. */
static void *replace(void *seed_of) {
  uint64_t random = *(const uint64_t *)seed_of;
  hal_addr_t blocks[KEPT] = {0};
  uintptr_t failed = 0;
  for (uint32_t i = 0; i < PAIRS; i++) {
    hal_addr_t *block = &blocks[random_below(&random, KEPT)];
    failed += zcmem_mem_free(hal, *block) != ZCMEM_OK;
    failed += zcmem_mem_alloc_tagged(hal, 0, 1 + random_below(&random, 1000), 1, i % 8 == 0 ? i : 0, block) != ZCMEM_OK;
  }
  for (uint32_t i = 0; i < KEPT; i++) {
    failed += zcmem_mem_free(hal, blocks[i]) != ZCMEM_OK;
  }
  return (void *)failed;
}

static void make_hal(void) {
  const struct zcmem_hal_config config = {.name = "d", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_region_config region = {
      .name = "r", .kind = ZCMEM_KIND_DRAM, .base = BASE, .size = SPACE, .max_blocks = 4096};
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  event_count = 0;
}

static void run_beside(void (*call)(void)) {
  pthread_t threads[THREADS];
  uint64_t seeds[THREADS];
  for (int i = 0; i < THREADS; i++) {
    seeds[i] = env_number("ZCMEM_TEST_SEED", 7) + (uint64_t)i;
    assert_int_equal(pthread_create(&threads[i], NULL, replace, &seeds[i]), 0);
  }
  call();
  for (int i = 0; i < THREADS; i++) {
    void *failed = NULL;
    assert_int_equal(pthread_join(threads[i], &failed), 0);
    assert_null(failed);
  }
}

static void nothing(void) {}

static int by_sequence(const void *a, const void *b) {
  uint32_t x = ((const struct zcmem_event *)a)->sequence, y = ((const struct zcmem_event *)b)->sequence;
  return (x > y) - (x < y);
}

/* In the order of the sequence each allocation finds its bytes free, and each free a block. */
static void test_events_have_an_order_that_a_heap_could_have_had(void **state) {
  static unsigned char taken[SPACE / 128];
  static uint32_t quanta_at[SPACE / 128];
  uint32_t allocs = 0, frees = 0;
  (void)state;
  make_hal();
  assert_ok(zcmem_hal_set_recorder(hal, &recorder));
  run_beside(nothing);
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  assert_true(event_count <= EVENTS);
  qsort(events, event_count, sizeof *events, by_sequence);
  memset(taken, 0, sizeof taken);
  for (uint32_t i = 0; i < event_count; i++) {
    const struct zcmem_event *event = &events[i];
    size_t start = (size_t)((event->addr - BASE) / 128);
    assert_int_equal(event->sequence, events[0].sequence + i);
    assert_int_equal(event->status, ZCMEM_OK);
    if (event->kind == ZCMEM_EVENT_ALLOC) {
      quanta_at[start] = (uint32_t)((event->size + 127) / 128);
      allocs++;
    } else if (event->kind == ZCMEM_EVENT_FREE) {
      assert_int_equal(taken[start], 1);
      frees++;
    } else {
      assert_int_equal(event->kind, ZCMEM_EVENT_TAG);
      assert_int_equal(taken[start], 1);
      continue;
    }
    for (uint32_t k = 0; k < quanta_at[start]; k++) {
      assert_int_equal(taken[start + k], event->kind == ZCMEM_EVENT_FREE);
      taken[start + k] = event->kind == ZCMEM_EVENT_ALLOC;
    }
  }
  assert_int_equal(allocs, THREADS * PAIRS);
  assert_int_equal(frees, allocs);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static int drop_text(void *ctx, const char *text, size_t bytes) {
  *(size_t *)ctx += bytes;
  return text == NULL;
}

static void look_and_record(void) {
  struct zcmem_tag_stats tags[PAIRS / 8 + 1];
  for (int i = 0; i < 20; i++) {
    struct zcmem_free_stats stats = {.struct_bytes = sizeof stats};
    struct zcmem_region_stats region = {.struct_bytes = sizeof region};
    uint32_t count = 0;
    size_t bytes = 0;
    uint64_t live = 0;
    assert_ok(zcmem_hal_set_recorder(hal, &recorder));
    assert_ok(zcmem_hal_dump(hal, drop_text, &bytes));
    assert_true(bytes > 0);
    assert_ok(zcmem_hal_free_stats(hal, 0, &stats));
    assert_true(stats.bytes + stats.cached_bytes <= SPACE && stats.largest <= stats.bytes);
    assert_ok(zcmem_hal_set_recorder(hal, NULL));
    tags[0].struct_bytes = sizeof tags[0];
    assert_ok(zcmem_hal_tag_stats(hal, 0, tags, PAIRS / 8 + 1, &count));
    for (uint32_t k = 0; k < count; k++) {
      live += tags[k].live;
      assert_true(tags[k].requested <= tags[k].in_use && (k == 0 || tags[k].tag > tags[k - 1].tag));
    }
    assert_true(live <= THREADS * KEPT);
    assert_ok(zcmem_hal_region_stats(hal, 0, &region));
    assert_true(region.magazine_hits <= region.allocations && region.magazine_frees <= region.frees);
  }
}

static void test_recording_and_looking_beside_threads(void **state) {
  static uint64_t counters[PAIRS / 8][ZCMEM_TAG_BYTES / 8];
  (void)state;
  make_hal();
  assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
  run_beside(look_and_record);
  const struct zcmem__tally *tally = &hal->regions[0].tally;
  assert_int_equal(tally->count, PAIRS / 8 - 1);
  for (uint32_t i = 0; i < tally->count; i++) { /* each free was noticed, also those into magazines */
    assert_int_equal(tally->entries[i].in_use, 0);
    assert_int_equal(tally->entries[i].allocations, THREADS);
    assert_in_range(tally->entries[i].peak, 128, THREADS * 1024);
  }
  assert_ok(zcmem_hal_check(hal));
  struct zcmem_region_stats region = {.struct_bytes = sizeof region};
  assert_ok(zcmem_hal_region_stats(hal, 0, &region));
  assert_int_equal(region.allocations, THREADS * PAIRS);
  assert_int_equal(region.frees, THREADS * PAIRS);
  assert_int_equal(region.in_use, 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_events_have_an_order_that_a_heap_could_have_had),
      cmocka_unit_test(test_recording_and_looking_beside_threads),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
