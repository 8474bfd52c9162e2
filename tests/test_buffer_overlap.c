/* SPDX-License-Identifier: MIT */
/*
 * Which views exclude each other, case by case, and with ten thousand of them open against a naive model.
 */
#include "buffer_fixture.h"

/* A side's attempt to open a view: mode READ or WRITE or both, of the device or the host. */
static enum zcmem_status try_open(bool of_host, zcmem_buffer_t buffer, hal_size_t offset, hal_size_t size,
                                  uint32_t mode, zcmem_buffer_t *other, struct zcmem_view *view) {
  return of_host ? zcmem_buffer_map(buffers, buffer, offset, size, mode, other, view)
                 : zcmem_buffer_begin(buffers, buffer, offset, size, mode, other, view);
}

static void close_any(bool of_host, struct zcmem_view view) {
  assert_ok(of_host ? zcmem_buffer_unmap(buffers, view.id) : zcmem_buffer_end(buffers, view.id));
}

/* Opens 100 ... 199 of `a`, and then `b` from `at` on: refused iff they share a byte and one of them writes. */
static void check_pair(zcmem_buffer_t a, zcmem_buffer_t b, hal_size_t at, hal_size_t size, bool share) {
  for (uint32_t modes = 0; modes < 9; modes++) {
    for (unsigned sides = 0; sides < 4; sides++) {
      uint32_t first_mode = modes % 3 + 1, second_mode = modes / 3 + 1;
      bool first_host = (sides & 1) != 0, second_host = (sides & 2) != 0;
      bool excluded = share && ((first_mode | second_mode) & WRITE) != 0;
      struct zcmem_view first = {0}, second = {.id = 77};
      zcmem_buffer_t other = 55;
      uint64_t refused = counters().refused_overlap;
      assert_ok(try_open(first_host, a, 100, 100, first_mode, NULL, &first));
      enum zcmem_status got = try_open(second_host, b, at, size, second_mode, &other, &second);
      assert_status(got, excluded ? ZCMEM_EOVERLAP : ZCMEM_OK);
      assert_int_equal(other, excluded ? a : 55);
      assert_int_equal(counters().refused_overlap - refused, excluded ? 1 : 0);
      if (excluded) {
        assert_int_equal(second.id, 77);
        assert_status(try_open(second_host, b, at, size, second_mode, NULL, &second), ZCMEM_EOVERLAP);
        close_any(first_host, first);
        assert_ok(try_open(second_host, b, at, size, second_mode, NULL, &second)); /* now it may */
      } else {
        close_any(first_host, first);
      }
      close_any(second_host, second);
    }
  }
}

/* All ways that a range can lie to 100 ... 199. `shift`: what lies at offset x of one is at x - shift of the other. */
static void check_places(zcmem_buffer_t a, zcmem_buffer_t b, hal_size_t shift) {
  static const struct {
    hal_size_t at, size;
    bool share;
  } places[] = {{100, 100, true}, {99, 2, true},   {199, 2, true},   {120, 10, true}, {60, 200, true},
                {199, 1, true},   {60, 40, false}, {200, 40, false}, {99, 1, false},  {100, 1, true}};
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    check_pair(a, b, places[i].at - shift, places[i].size, places[i].share);
  }
}

static void test_views_of_one_memory(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 1000);
  unsigned char *host = fake_at(&regions[FAKE_HOST], addr);
  zcmem_buffer_t whole = create(RW | USE, NOWHERE, host, 1000), twin = create(RW | USE, NOWHERE, host + 50, 500);
  zcmem_buffer_t part = create_sub(whole, 0, 40, 300), inner = create_sub(part, 0, 20, 200);
  check_places(whole, whole, 0);
  check_places(whole, twin, 50);
  check_places(whole, part, 40);
  check_places(whole, inner, 60);
  check_pair(part, whole, 140, 100, true);
  check_pair(part, inner, 80, 100, true);
  check_pair(inner, twin, 100, 10, false); /* 160 ... 259 and 150 ... 159 of the block */
  check_pair(inner, twin, 100, 11, true);
  release(inner);
  release(part);
  release(twin);
  release(whole);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* Two shadows, in two regions or one: what they share is the host memory. */
static void test_shadows_of_one_host_memory(void **state) {
  (void)state;
  for (int way = FAKE_HOST; way <= FAKE_OPS; way++) {
    zcmem_buffer_t one = create(RW | USE, FAKE_OPS, noise, 1000), two = create(RW | USE, way, noise + 30, 500);
    zcmem_buffer_t part = create_sub(two, 0, 10, 300);
    check_places(one, one, 0);
    check_places(one, two, 30);
    check_places(one, part, 40);
    release(part);
    release(two);
    release(one);
  }
}

static void test_memory_of_their_own_never_overlaps(void **state) {
  (void)state;
  zcmem_buffer_t one = create(RW, FAKE_OPS, NULL, 300), two = create(RW, FAKE_OPS, NULL, 300);
  zcmem_buffer_t shadow = create(RW | USE, FAKE_OPS, noise, 300), beside = create(RW | USE, FAKE_OPS, noise + 300, 300);
  check_pair(one, two, 100, 100, false);
  check_pair(one, shadow, 100, 100, false);
  check_pair(shadow, beside, 0, 300, false);
  release(beside);
  release(shadow);
  release(two);
  release(one);
}

/* TI's "-a": of either buffer, and inherited by sub-buffers, or given to one alone. */
static void test_an_alias_is_never_refused(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 1000);
  unsigned char *host = fake_at(&regions[FAKE_HOST], addr);
  zcmem_buffer_t plain = create(RW | USE, NOWHERE, host, 1000);
  zcmem_buffer_t alias = create(RW | USE | ZCMEM_BUFFER_ALIAS, NOWHERE, host, 1000);
  zcmem_buffer_t of_alias = create_sub(alias, 0, 50, 300), of_plain = create_sub(plain, ZCMEM_BUFFER_ALIAS, 50, 300);
  check_pair(plain, alias, 100, 100, false);
  check_pair(alias, plain, 100, 100, false);
  check_pair(alias, alias, 100, 100, false);
  check_pair(plain, of_alias, 50, 100, false);
  check_pair(of_alias, plain, 150, 100, false);
  check_pair(plain, of_plain, 50, 100, false);
  check_pair(plain, plain, 150, 100, true); /* and no other is freed of the rule */
  release(of_plain);
  release(of_alias);
  release(alias);
  release(plain);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* ------------------------------------------------------------------------------------------- against a model -- */

enum { MANY = 10000, SPAN = 1 << 20, LONGEST = 64 };

struct open_view {
  zcmem_buffer_t buffer;
  struct zcmem_view view;
  hal_size_t at, size; /* in the block */
  uint32_t mode;
  bool of_host, alias;
};

static struct open_view *opened;
static size_t open_count;

static bool excludes(const struct open_view *a, const struct open_view *b) {
  return !a->alias && !b->alias && ((a->mode | b->mode) & WRITE) != 0 && a->at < b->at + b->size &&
         b->at < a->at + a->size;
}

/* What the model says of a view: the number of those that exclude it, and whether `named` is the buffer of one. */
static size_t excluders(const struct open_view *wanted, zcmem_buffer_t named, bool *is_named) {
  size_t count = 0;
  *is_named = false;
  for (size_t i = 0; i < open_count; i++) {
    if (excludes(&opened[i], wanted)) {
      count++;
      *is_named |= opened[i].buffer == named;
    }
  }
  return count;
}

static bool open_like_the_model(struct open_view *wanted, hal_size_t offset) {
  zcmem_buffer_t other = 0;
  bool named = false;
  enum zcmem_status got =
      try_open(wanted->of_host, wanted->buffer, offset, wanted->size, wanted->mode, &other, &wanted->view);
  size_t count = excluders(wanted, other, &named);
  assert_status(got, count > 0 ? ZCMEM_EOVERLAP : ZCMEM_OK);
  assert_true(named == (count > 0));
  if (count == 0) {
    opened[open_count++] = *wanted;
  }
  return count == 0;
}

static void test_ten_thousand_open_buffers(void **state) {
  static alignas(64) unsigned char host[SPAN];
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1), random = seed, turns = env_number("ZCMEM_TEST_OPS", 20000);
  const struct zcmem_region_config region = {.name = "big",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT,
                                             .base = UINT64_MAX - SPAN + 1, /* up to the last address there is */
                                             .size = SPAN,
                                             .max_blocks = 4,
                                             .host = host};
  zcmem_buffer_t *made = calloc(MANY, sizeof *made);
  struct open_view *sought = calloc(MANY, sizeof *sought);
  hal_addr_t block = 0;
  uint64_t granted = 0, refused = 0;
  struct zcmem_hal *usual = hal;
  const struct zcmem_hal_config config = {
      .name = "big", .max_regions = 1, .lock = &fake_lock, .allocator = &fake_allocator};
  (void)state;
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  opened = calloc(MANY, sizeof *opened);
  assert_non_null(made);
  assert_non_null(sought);
  assert_non_null(opened);
  open_count = 0;
  assert_int_equal(close_table(), 0);
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  open_table(MANY, MANY);
  assert_ok(zcmem_mem_alloc(hal, 0, SPAN, 1, &block));
  for (size_t i = 0; i < MANY; i++) {
    uint32_t alias = random_below(&random, 50) == 0 ? ZCMEM_BUFFER_ALIAS : 0;
    struct open_view *one = &sought[i];
    one->size = 1 + random_below(&random, LONGEST);
    one->at = random_below(&random, SPAN - one->size + 1);
    if (i > 0 && random_below(&random, 4) == 0) {
      one->at = sought[i - 1].at; /* of the same place, as a tree likes it least */
      one->size = SPAN - one->at < one->size ? SPAN - one->at : one->size;
    }
    one->alias = alias != 0;
    one->mode = random_below(&random, 4) == 0 ? WRITE : READ;
    one->of_host = random_below(&random, 3) == 0;
    made[i] = create(RW | USE | alias, NOWHERE, host + one->at, one->size);
    one->buffer = made[i];
  }
  assert_int_equal(counters().buffers, MANY);
  for (size_t i = 0; i < MANY; i++) {
    granted += open_like_the_model(&sought[i], 0);
  }
  assert_in_range(granted, MANY / 2, MANY - 1); /* now almost all of them are open */
  for (uint64_t turn = 0; turn < turns; turn++) {
    struct open_view one = sought[random_below(&random, MANY)];
    size_t gone = (size_t)random_below(&random, open_count);
    if (random_below(&random, 2) == 0 || open_count == MANY) {
      close_any(opened[gone].of_host, opened[gone].view);
      opened[gone] = opened[--open_count];
      continue;
    }
    hal_size_t offset = random_below(&random, one.size);
    one.at += offset;
    one.size = 1 + random_below(&random, one.size - offset);
    one.mode = (uint32_t)random_below(&random, 3) + 1;
    one.of_host = random_below(&random, 2) == 0;
    if (open_like_the_model(&one, offset)) {
      granted++;
    } else {
      refused++;
    }
  }
  assert_true(refused > turns / 50);
  struct zcmem_buffers_stats now = counters();
  assert_int_equal(now.views, open_count);
  assert_int_equal(now.begins + now.maps, granted);
  while (open_count > 0) {
    open_count--;
    close_any(opened[open_count].of_host, opened[open_count].view);
  }
  for (size_t i = 0; i < MANY; i++) {
    release(made[i]);
  }
  assert_ok(zcmem_mem_free(hal, block));
  assert_int_equal(close_table(), 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  hal = usual;
  open_table(BUFFERS, VIEWS);
  free(opened);
  free(sought);
  free(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_views_of_one_memory),
      TABLE_TEST(test_shadows_of_one_host_memory),
      TABLE_TEST(test_memory_of_their_own_never_overlaps),
      TABLE_TEST(test_an_alias_is_never_refused),
      TABLE_TEST(test_ten_thousand_open_buffers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
