/* SPDX-License-Identifier: MIT */
/*
 * Random uses of buffers and transfers on a device that does not see the host's cache, while the cache writes back and
 * fetches lines as it likes, also within the library's calls. A plain array says what each byte must be, for whoever
 * looks.
 */
#include "coherency_fixture.h"

enum { THINGS = 9, MOST = 1500 };

/* A piece of memory that both sides use through one buffer. */
struct thing {
  zcmem_buffer_t buffer;
  hal_addr_t block;    /* of the user's; 0: the buffer has its own */
  unsigned char *host; /* where the host sees it outside of views; NULL: nowhere */
  int region;
  size_t size;
  uint32_t mode;
  unsigned char want[MOST]; /* what is there */
};

/* An open view of it. */
struct use {
  struct thing *of;
  struct zcmem_view view;
  size_t at, size;
  uint32_t mode;
  bool of_host;
};

static struct thing things[THINGS];
static struct use uses[VIEWS];
static size_t use_count;
static unsigned char user_memory[THINGS][MOST];
static uint64_t random_state;

static size_t random_size(size_t limit) {
  return (size_t)random_below(&random_state, limit);
}

static void fill_randomly(unsigned char *at, size_t size) {
  for (size_t i = 0; i < size; i++) {
    at[i] = (unsigned char)random_next(&random_state);
  }
}

static void stir(void) {
  for (int i = 0; i < CACHED; i++) {
    cached_device_stir(&devices[i], &random_state);
  }
}

static void make_things(void) {
  for (int i = 0; i < THINGS; i++) {
    struct thing *thing = &things[i];
    *thing = (struct thing){.region = i % REGIONS, .size = 200 + random_size(MOST - 200), .mode = i < 6 ? RW : READ};
    fill_randomly(thing->want, thing->size);
    if (i >= 3 && i < 6) { /* a shadow */
      thing->host = user_memory[i];
      memcpy(thing->host, thing->want, thing->size);
      thing->buffer = create(RW | USE, thing->region, thing->host, thing->size);
    } else if (thing->region == REMOTE) {
      thing->buffer = create(RW | ZCMEM_BUFFER_COPY_HOST, REMOTE, thing->want, thing->size);
      thing->mode = RW;
    } else { /* a user's block, all of it or, for reading, any part */
      size_t before = thing->mode == READ ? random_size(200) : 0;
      thing->block = alloc(thing->region, before + thing->size + before);
      assert_ok(zcmem_mem_write(hal, thing->block + before, thing->want, thing->size));
      thing->host = cached_device_host(&devices[thing->region], thing->block + before);
      thing->buffer = create(thing->mode | USE, thing->region, thing->host, thing->size);
    }
  }
}

static bool writes(uint32_t mode) {
  return (mode & WRITE) != 0;
}

/* Whether an open view of the thing comes near the range: nobody may use it without a view of his own then. */
static bool in_use(const struct thing *thing, size_t at, size_t size) {
  for (size_t i = 0; i < use_count; i++) {
    if (uses[i].of == thing && at < uses[i].at + uses[i].size + 128 && uses[i].at < at + size + 128) {
      return true;
    }
  }
  return false;
}

static void range_in(const struct thing *thing, size_t *at, size_t *size) {
  *at = random_size(thing->size);
  *size = 1 + random_size(thing->size - *at);
  if (random_below(&random_state, 2) == 0) {
    *size = *size < 40 ? *size : 40;
  }
}

/* Often one that a device may write, too: of whole lines, perhaps up to the end. */
static void range_of_lines_in(const struct thing *thing, size_t *at, size_t *size) {
  size_t line = 128, last;
  range_in(thing, at, size);
  if (random_below(&random_state, 2) == 0) {
    last = (*at + *size + line - 1) / line * line;
    *at = *at / line * line;
    *size = (last < thing->size ? last : thing->size) - *at;
  }
}

/* The host stores without a view; what it stores must be there when a view opens. */
static void store(struct thing *thing, size_t at, size_t size) {
  if (thing->host != NULL && !in_use(thing, at, size)) {
    fill_randomly(thing->want + at, size);
    memcpy(thing->host + at, thing->want + at, size);
    stir();
  }
}

static void open_use(struct thing *thing) {
  struct use use = {.of = thing, .of_host = random_below(&random_state, 3) == 0};
  range_of_lines_in(thing, &use.at, &use.size);
  if (random_below(&random_state, 2) == 0) {
    store(thing, use.at, use.size);
  }
  do {
    use.mode = (uint32_t)random_below(&random_state, 3) + 1;
  } while (!use.of_host && (use.mode & ~thing->mode) != 0);
  enum zcmem_status got = use.of_host
                              ? zcmem_buffer_map(buffers, thing->buffer, use.at, use.size, use.mode, NULL, &use.view)
                              : zcmem_buffer_begin(buffers, thing->buffer, use.at, use.size, use.mode, NULL, &use.view);
  if (got == ZCMEM_EOVERLAP) { /* when that is right is test_buffer_overlap.c's */
    assert_true(in_use(thing, use.at, use.size));
    return;
  }
  if (got == ZCMEM_EINVAL) { /* the device writes whole lines of what is not shadowed */
    size_t line = thing->region == REMOTE ? 1 : lines[thing->region], last = use.at + use.size;
    assert_true(!use.of_host && writes(use.mode) && (use.at % line != 0 || (last % line != 0 && last != thing->size)));
    return;
  }
  if (got == ZCMEM_ENOMEM) { /* no view is left, or no mapping */
    assert_true(use_count >= 2);
    return;
  }
  assert_ok(got);
  stir();
  unsigned char *seen = use.of_host ? use.view.host : device_at(use.view.addr);
  if ((use.mode & READ) != 0) {
    assert_memory_equal(seen, thing->want + use.at, use.size);
  }
  if (writes(use.mode)) {
    bool all = use.mode == WRITE; /* such a view of a shadow promises to write every byte */
    size_t from = all ? 0 : random_size(use.size), many = all ? use.size : random_size(use.size - from + 1);
    fill_randomly(thing->want + use.at + from, many);
    memcpy(seen + from, thing->want + use.at + from, many);
  }
  stir();
  uses[use_count++] = use;
}

static void close_use(size_t i) {
  struct use use = uses[i];
  const unsigned char *seen = use.of_host ? use.view.host : device_at(use.view.addr);
  assert_memory_equal(seen, use.of->want + use.at, use.size); /* nothing else has touched it */
  assert_ok(use.of_host ? zcmem_buffer_unmap(buffers, use.view.id) : zcmem_buffer_end(buffers, use.view.id));
  uses[i] = uses[--use_count];
  if (use.of->host != NULL) {
    assert_memory_equal(use.of->host + use.at, use.of->want + use.at, use.size);
    stir();
    assert_memory_equal(use.of->host + use.at, use.of->want + use.at, use.size);
  }
}

/* A view of all of it, so that both sides see the same. */
static void settle(const struct thing *thing) {
  struct zcmem_view view = {0};
  assert_ok(zcmem_buffer_begin(buffers, thing->buffer, 0, thing->size, READ, NULL, &view));
  assert_ok(zcmem_buffer_end(buffers, view.id));
  stir();
}

/*
 * A transfer by address, where no view is near. Before it the device may have written to the whole thing, unknown to
 * the host's cache, or the host beside the range, unknown to the device.
 */
static void transfer(struct thing *thing, struct thing *other) {
  unsigned char text[MOST];
  size_t at, size, from;
  range_in(thing, &at, &size);
  if (thing->block == 0 || in_use(thing, 0, thing->size)) {
    return;
  }
  hal_addr_t addr = thing->block + (size_t)(thing->host - cached_device_host(&devices[thing->region], thing->block));
  struct zcmem_view view = {0};
  settle(thing);
  bool by_device = random_below(&random_state, 2) == 0;
  if (by_device) {
    fill_randomly(thing->want, thing->size);
    memcpy(device_at(addr), thing->want, thing->size);
  } else {
    store(thing, 0, at);
    store(thing, at + size, thing->size - at - size);
  }
  switch (random_below(&random_state, 4)) {
  case 0:
    assert_ok(zcmem_mem_read(hal, text, addr + at, size));
    assert_memory_equal(text, thing->want + at, size);
    break;
  case 1:
    fill_randomly(thing->want + at, size);
    assert_ok(zcmem_mem_write(hal, addr + at, thing->want + at, size));
    break;
  case 2:
    fill_randomly(text, 1);
    memset(thing->want + at, text[0], size);
    assert_ok(zcmem_mem_fill(hal, addr + at, text, 1, size));
    break;
  default:
    from = random_size(other->size);
    size = size < other->size - from ? size : other->size - from;
    assert_ok(zcmem_buffer_begin(buffers, other->buffer, from, size, READ, NULL, &view));
    assert_ok(zcmem_mem_copy(hal, addr + at, view.addr, size));
    assert_ok(zcmem_buffer_end(buffers, view.id));
    memmove(thing->want + at, other->want + from, size);
    break;
  }
  if (by_device) { /* all of it into the host's cache, too */
    assert_ok(zcmem_mem_read(hal, text, addr, thing->size));
    assert_memory_equal(text, thing->want, thing->size);
  } else {
    settle(thing);
  }
  assert_memory_equal(device_at(addr), thing->want, thing->size);
  assert_memory_equal(thing->host, thing->want, thing->size);
}

static void test_random_uses(void **state) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1), steps = env_number("ZCMEM_TEST_OPS", 3000);
  (void)state;
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  random_state = seed;
  use_count = 0;
  for (int i = 0; i < CACHED; i++) {
    devices[i].restless = &random_state;
  }
  make_things();
  for (uint64_t step = 0; step < steps; step++) {
    struct thing *thing = &things[random_size(THINGS)], *other = &things[random_size(THINGS)];
    if (random_below(&random_state, 4) == 0) {
      if (use_count < VIEWS && !in_use(other, 0, other->size)) {
        transfer(thing, other);
      }
    } else if (use_count < VIEWS && random_below(&random_state, 2) == 0) {
      open_use(thing);
    } else if (use_count > 0) {
      close_use(random_size(use_count));
    }
  }
  while (use_count > 0) {
    close_use(use_count - 1);
  }
  for (int i = 0; i < THINGS; i++) {
    release(things[i].buffer);
    assert_ok(zcmem_mem_free(hal, things[i].block)); /* of none: nothing */
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_random_uses, setup, teardown)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
