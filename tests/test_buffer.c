/* SPDX-License-Identifier: MIT */
/*
 * Buffers and sub-buffers: what they are made of, which are refused, and how long they live.
 */
#include "buffer_impl.h" /* before the fixture, whose names its parameters would shadow */

#include "buffer_fixture.h"

static void test_the_table_is_made_in_the_callers_memory(void **state) {
  static alignas(64) unsigned char memory[4096];
  struct zcmem_buffers *made = NULL;
  struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 2, .max_views = 2};
  (void)state;
  size_t bytes = zcmem_buffers_bytes(&config);
  assert_in_range(bytes, 1, sizeof memory);
  memory[bytes] = 0x5a;
  assert_status(zcmem_buffers_init(NULL, bytes, &config, &made), ZCMEM_EINVAL);
  assert_status(zcmem_buffers_init(memory, bytes, &config, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_buffers_init(memory, bytes, NULL, &made), ZCMEM_EINVAL);
  assert_status(zcmem_buffers_init(memory + 32, sizeof memory - 32, &config, &made), ZCMEM_EINVAL);
  assert_status(zcmem_buffers_init(memory, bytes - 1, &config, &made), ZCMEM_ENOMEM);
  unsigned locks = fake.locks_made;
  fake.fail_lock_init_in = 1;
  assert_status(zcmem_buffers_init(memory, bytes, &config, &made), ZCMEM_ELOCK);
  assert_int_equal(fake.locks_made, locks);
  assert_null(made);
  unsigned allocations = fake.allocations;
  assert_ok(zcmem_buffers_init(memory, bytes, &config, &made));
  assert_int_equal(fake.allocations, allocations);
  assert_int_equal(fake.locks_made, locks + 1);
  assert_int_equal(zcmem_buffers_destroy(made), 0);
  assert_int_equal(fake.locks_made, locks);
  assert_int_equal(memory[bytes], 0x5a);
  assert_int_equal(zcmem_buffers_destroy(NULL), 0);
}

static void test_a_table_of_no_size_is_refused(void **state) {
  struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 2, .max_views = 2};
  static const uint32_t numbers[][2] = {{0, 2}, {2, 0}, {(1u << 24) + 1, 2}, {2, (1u << 24) + 1}, {UINT32_MAX, 2}};
  static alignas(64) unsigned char memory[4096];
  struct zcmem_buffers *made = NULL;
  (void)state;
  assert_int_equal(zcmem_buffers_bytes(NULL), 0);
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    config.max_buffers = numbers[i][0];
    config.max_views = numbers[i][1];
    assert_int_equal(zcmem_buffers_bytes(&config), 0);
    assert_status(zcmem_buffers_init(memory, sizeof memory, &config, &made), ZCMEM_EINVAL);
  }
  config = (struct zcmem_buffers_config){.hal = NULL, .max_buffers = 2, .max_views = 2};
  assert_int_equal(zcmem_buffers_bytes(&config), 0);
  config = (struct zcmem_buffers_config){.hal = hal, .max_buffers = 1u << 24, .max_views = 1u << 24};
  assert_true(SIZE_MAX < UINT64_MAX || zcmem_buffers_bytes(&config) > 1u << 24);
}

/* The rule that TI documents: the size may be what remains of the block from the pointer on, and not a byte more. */
static void test_over_mapped_memory_the_buffer_is_that_memory(void **state) {
  (void)state;
  for (int way = FAKE_HOST; way <= FAKE_CACHED; way++) {
    hal_addr_t addr = alloc(way, 1000), next = alloc(way, 1000);
    unsigned char *seen = way == FAKE_CACHED ? regions[way].view : regions[way].memory;
    unsigned char *host = seen + (size_t)(addr - base_of(way));
    for (hal_size_t i = 0; i < 1000; i += 111) {
      zcmem_buffer_t buffer = create(RW | USE, NOWHERE, host + i, 1000 - i), none = 77;
      struct zcmem_buffer_info info = info_of(buffer);
      assert_int_equal(info.flags, RW | USE);
      assert_true(info.zero_copy);
      assert_int_equal(info.references, 1);
      assert_int_equal(info.views, 0);
      assert_int_equal(info.parent, 0);
      assert_int_equal(info.offset, 0);
      assert_int_equal(info.size, 1000 - i);
      assert_int_equal(info.region, way);
      assert_int_equal(info.addr, addr + i);
      assert_ptr_equal(info.host, host + i);
      assert_status(try_create(RW | USE, NOWHERE, host + i, 1001 - i, &none), ZCMEM_EBOUNDS);
      assert_status(try_create(RW | USE, NOWHERE, host + i, (UINTPTR_MAX - (uintptr_t)host) / 2, &none), ZCMEM_EBOUNDS);
      assert_int_equal(none, 77);
      release(buffer);
    }
    zcmem_buffer_t none = 77;
    assert_status(try_create(READ | USE, NOWHERE, host + 1000, 1, &none), ZCMEM_EBOUNDS); /* the last quantum's end */
    assert_int_equal(stats_of(way).live, 2);
    assert_ok(zcmem_mem_free(hal, next));
    assert_status(try_create(READ | USE, way, host + 1024, 1, &none), ZCMEM_ENOENT);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_status(try_create(READ | USE, way, host, 1, &none), ZCMEM_ENOENT);
    assert_int_equal(none, 77);
    assert_int_equal(regions[way].calls[FAKE_CALL_FLUSH] + regions[way].calls[FAKE_CALL_INVALIDATE], 0);
  }
}

static void test_over_a_range_mapped_on_demand_too(void **state) {
  void *host = NULL;
  zcmem_buffer_t none = 77;
  (void)state;
  hal_addr_t addr = alloc(FAKE_MAP_DIRECT, 1000);
  assert_ok(zcmem_mem_map(hal, addr + 100, 500, MAP_RW, &host));
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, (unsigned char *)host + 20, 480);
  struct zcmem_buffer_info info = info_of(buffer);
  assert_true(info.zero_copy);
  assert_int_equal(info.addr, addr + 120);
  assert_int_equal(info.region, FAKE_MAP_DIRECT);
  assert_ptr_equal(info.host, (unsigned char *)host + 20);
  assert_status(try_create(RW | USE, NOWHERE, (unsigned char *)host + 20, 481, &none), ZCMEM_EBOUNDS);
  release(buffer);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, addr));
}

/* An alias of a region that the host does not see otherwise, and a second sight of one that it does. */
static void test_over_an_alias_too(void **state) {
  static unsigned char window[2048], second[2048];
  (void)state;
  hal_addr_t addr = alloc(FAKE_OPS, 1000), mapped = alloc(FAKE_HOST, 1000);
  assert_ok(zcmem_hal_add_alias(hal, FAKE_OPS, addr - base_of(FAKE_OPS), sizeof window, window));
  assert_ok(zcmem_hal_add_alias(hal, FAKE_HOST, mapped - base_of(FAKE_HOST), sizeof second, second));
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, window + 10, 990);
  assert_true(info_of(buffer).zero_copy);
  assert_int_equal(info_of(buffer).addr, addr + 10);
  assert_ptr_equal(info_of(buffer).host, window + 10);
  zcmem_buffer_t here = create(RW | USE, NOWHERE, second + 500, 100);
  zcmem_buffer_t there = create(RW | USE, NOWHERE, fake_at(&regions[FAKE_HOST], mapped + 599), 10);
  assert_int_equal(info_of(here).addr, mapped + 500);
  assert_ptr_equal(info_of(here).host, second + 500);
  struct zcmem_view view = begin(here, 0, 100, READ);
  assert_excluded(there, 0, 1, WRITE, here); /* one memory, whichever way the host sees it */
  end(view);
  release(there);
  release(here);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, mapped));
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_over_other_host_memory_it_has_a_shadow(void **state) {
  (void)state;
  for (int way = FAKE_HOST; way < FAKE_NOTHING; way++) {
    zcmem_buffer_t buffer = create(RW | USE, way, noise + 5, 1000);
    struct zcmem_buffer_info info = info_of(buffer);
    struct zcmem_block_info block;
    assert_false(info.zero_copy);
    assert_int_equal(info.region, way);
    assert_ptr_equal(info.host, noise + 5);
    assert_ok(zcmem_mem_info(hal, info.addr, &block));
    assert_int_equal(block.addr, info.addr);
    assert_true(block.requested >= 1000);
    for (int call = 0; call < FAKE_CALLS; call++) {
      assert_int_equal(regions[way].calls[call], 0); /* nothing moves before it must */
    }
    release(buffer);
    assert_int_equal(stats_of(way).live, 0);
  }
  assert_int_equal(counters().bytes_copied_in, 0);
}

static void test_fresh_buffers(void **state) {
  static const uint32_t sources[] = {0, ZCMEM_BUFFER_ALLOC_HOST, ZCMEM_BUFFER_COPY_HOST,
                                     ZCMEM_BUFFER_ALLOC_HOST | ZCMEM_BUFFER_COPY_HOST};
  (void)state;
  for (int way = FAKE_HOST; way < FAKE_WAYS; way++) {
    for (int i = 0; i < 4; i++) {
      bool sees = regions[way].way <= FAKE_CACHED, can_map = sees || way == FAKE_OPS || way >= FAKE_MAP;
      bool can = way == FAKE_NOTHING ? sources[i] == 0 : (sources[i] & ZCMEM_BUFFER_ALLOC_HOST) == 0 || can_map;
      void *host = (sources[i] & ZCMEM_BUFFER_COPY_HOST) != 0 ? noise + 3 : NULL;
      uint64_t before = counters().bytes_copied_in;
      zcmem_buffer_t buffer = 77;
      assert_status(try_create(READ | sources[i], way, host, 700, &buffer), can ? ZCMEM_OK : ZCMEM_ENOTMAPPED);
      if (!can) {
        assert_int_equal(buffer, 77);
        assert_int_equal(stats_of(way).live, 0);
        continue;
      }
      struct zcmem_buffer_info info = info_of(buffer);
      assert_int_equal(info.flags, READ | sources[i]);
      assert_true(info.zero_copy);
      assert_int_equal(info.size, 700);
      if (sees) {
        unsigned char *seen = way == FAKE_CACHED ? regions[way].view : regions[way].memory;
        assert_ptr_equal(info.host, seen + (size_t)(info.addr - base_of(way)));
      }
      if (host != NULL) {
        assert_memory_equal(fake_at(&regions[way], info.addr), host, 700);
        assert_int_equal(*fake_at(&regions[way], info.addr + 700), 0xee);
      }
      assert_int_equal(counters().bytes_copied_in - before, host == NULL ? 0 : 700);
      end(begin(buffer, 0, 700, READ));
      assert_int_equal(counters().bytes_copied_in - before, host == NULL ? 0 : 700);
      release(buffer);
      assert_int_equal(stats_of(way).live, 0);
    }
  }
  assert_int_equal(counters().bytes_copied_out, 0);
}

static void test_what_no_buffer_can_be_made_of(void **state) {
  static const struct {
    uint32_t flags;
    int region;
    uintptr_t host; /* 1: some memory */
    hal_size_t size;
    enum zcmem_status want;
  } bad[] = {
      {0, FAKE_HOST, 0, 10, ZCMEM_EINVAL},
      {USE, FAKE_HOST, 1, 10, ZCMEM_EINVAL},
      {READ | 0x40u, FAKE_HOST, 0, 10, ZCMEM_EINVAL},
      {READ | 0x80000000u, FAKE_HOST, 0, 10, ZCMEM_EINVAL},
      {READ | USE | ZCMEM_BUFFER_COPY_HOST, FAKE_HOST, 1, 10, ZCMEM_EINVAL},
      {READ | USE | ZCMEM_BUFFER_ALLOC_HOST, FAKE_HOST, 1, 10, ZCMEM_EINVAL},
      {READ | USE | ZCMEM_BUFFER_COPY_HOST | ZCMEM_BUFFER_ALLOC_HOST, FAKE_HOST, 1, 10, ZCMEM_EINVAL},
      {READ | ZCMEM_BUFFER_COPY_HOST | ZCMEM_BUFFER_ALLOC_HOST, FAKE_HOST, 0, 10, ZCMEM_EINVAL},
      {READ | USE, FAKE_HOST, 0, 10, ZCMEM_EINVAL},
      {READ | ZCMEM_BUFFER_COPY_HOST, FAKE_HOST, 0, 10, ZCMEM_EINVAL},
      {READ, FAKE_HOST, 1, 10, ZCMEM_EINVAL},
      {READ | ZCMEM_BUFFER_ALLOC_HOST, FAKE_HOST, 1, 10, ZCMEM_EINVAL},
      {READ | USE, FAKE_HOST, UINTPTR_MAX - 8, 10, ZCMEM_EINVAL},
      {READ | ZCMEM_BUFFER_COPY_HOST, FAKE_HOST, UINTPTR_MAX - 8, 10, ZCMEM_EINVAL},
      {READ | USE, FAKE_HOST, 1, UINT64_MAX, ZCMEM_EINVAL},
      {READ, FAKE_HOST, 0, 0, ZCMEM_EINVAL},
      {READ | USE, FAKE_HOST, 1, 0, ZCMEM_EINVAL},
      {READ, NOWHERE, 0, 10, ZCMEM_EINVAL},
      {READ | USE, NOWHERE, 1, 10, ZCMEM_EINVAL},
      {READ | ZCMEM_BUFFER_COPY_HOST, NOWHERE, 1, 10, ZCMEM_EINVAL},
      {READ, FAKE_HOST, 0, BYTES + 1, ZCMEM_ENOSPC},
      {READ, FAKE_HOST, 0, UINT64_MAX, ZCMEM_ENOSPC},
      {READ | USE, FAKE_NOTHING, 1, 10, ZCMEM_ENOTMAPPED},
      {WRITE | USE, FAKE_NOTHING, 1, 10, ZCMEM_ENOTMAPPED},
  };
  (void)state;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    zcmem_buffer_t buffer = 77;
    void *host = bad[i].host == 0 ? NULL : bad[i].host == 1 ? noise : (void *)bad[i].host;
    enum zcmem_status got = try_create(bad[i].flags, bad[i].region, host, bad[i].size, &buffer);
    if (got != bad[i].want) {
      print_error("case %u\n", (unsigned)i);
    }
    assert_status(got, bad[i].want);
    assert_int_equal(buffer, 77);
  }
  zcmem_buffer_t buffer = 77;
  const struct zcmem_buffer_config good = {.flags = READ, .region = FAKE_HOST, .size = 10};
  assert_status(zcmem_buffer_create(NULL, &good, &buffer), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_create(buffers, NULL, &buffer), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_create(buffers, &good, NULL), ZCMEM_EINVAL);
  assert_int_equal(buffer, 77);
  assert_int_equal(counters().buffers, 0);
}

/* A fault of the copy leaves neither a buffer nor a block. */
static void test_a_copy_that_fails(void **state) {
  zcmem_buffer_t buffer = 77;
  (void)state;
  fake.fail_callback_in = 1;
  assert_status(try_create(READ | ZCMEM_BUFFER_COPY_HOST, FAKE_OPS, noise, 100, &buffer), ZCMEM_EIO);
  assert_int_equal(buffer, 77);
  assert_int_equal(counters().buffers, 0);
  assert_int_equal(counters().bytes_copied_in, 0);
  assert_int_equal(stats_of(FAKE_OPS).live, 0);
}

static void test_references(void **state) {
  struct zcmem_buffer_info info = {.size = 77};
  struct zcmem_view view = {.id = 77};
  (void)state;
  zcmem_buffer_t buffer = create(READ, FAKE_HOST, NULL, 100);
  assert_ok(zcmem_buffer_retain(buffers, buffer));
  assert_ok(zcmem_buffer_retain(buffers, buffer));
  assert_int_equal(info_of(buffer).references, 3);
  release(buffer);
  release(buffer);
  assert_int_equal(info_of(buffer).references, 1);
  assert_int_equal(stats_of(FAKE_HOST).live, 1);
  release(buffer);
  assert_int_equal(stats_of(FAKE_HOST).live, 0);
  /* Stale, though its place is taken again; of another buffer's future; none; made up. */
  zcmem_buffer_t heir = create(READ, FAKE_HOST, NULL, 100), bad[6] = {buffer, heir + 1, 0, UINT64_MAX, heir << 32};
  bad[5] = (heir & UINT32_MAX) | UINT64_C(0xffffffff00000000);
  assert_int_not_equal(heir, buffer);
  for (int i = 0; i < 6; i++) {
    assert_status(zcmem_buffer_retain(buffers, bad[i]), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_release(buffers, bad[i]), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_get_info(buffers, bad[i], &info), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_begin(buffers, bad[i], 0, 1, 0, NULL, &view), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_map(buffers, bad[i], 0, 1, ZCMEM_MAP_READ, NULL, &view), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_create_sub(buffers, bad[i], 0, 0, 1, &buffer), ZCMEM_ENOENT);
  }
  assert_status(zcmem_buffer_retain(NULL, heir), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_release(NULL, heir), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_get_info(NULL, heir, &info), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_get_info(buffers, heir, NULL), ZCMEM_EINVAL);
  assert_int_equal(info.size, 77);
  assert_int_equal(view.id, 77);
  assert_int_equal(info_of(heir).references, 1);
  release(heir);
}

static void test_as_many_references_as_can_be_counted(void **state) {
  (void)state;
  zcmem_buffer_t buffer = create(READ, FAKE_HOST, NULL, 100);
  zcmem__buffer_find(buffers, buffer)->references = UINT32_MAX - 1; /* as after so many retains */
  assert_ok(zcmem_buffer_retain(buffers, buffer));
  assert_status(zcmem_buffer_retain(buffers, buffer), ZCMEM_EBUSY);
  assert_int_equal(info_of(buffer).references, UINT32_MAX);
  zcmem__buffer_find(buffers, buffer)->references = 1;
  release(buffer);
}

static void test_numbers_are_not_used_twice(void **state) {
  enum { ROUNDS = 1000 };
  static zcmem_buffer_t seen[ROUNDS];
  (void)state;
  for (int i = 0; i < ROUNDS; i++) {
    seen[i] = create(READ, FAKE_HOST, NULL, 1);
    release(seen[i]);
    for (int j = 0; j < i; j++) {
      assert_int_not_equal(seen[i], seen[j]);
    }
  }
}

static void test_as_many_buffers_as_agreed(void **state) {
  zcmem_buffer_t made[BUFFERS], one_more = 77;
  (void)state;
  for (unsigned i = 0; i < BUFFERS; i++) {
    made[i] = i % 2 == 0 ? create(RW, FAKE_HOST, NULL, 100) : create_sub(made[i - 1], 0, 10, 10);
  }
  assert_int_equal(counters().buffers, BUFFERS);
  uint64_t live = stats_of(FAKE_HOST).live;
  assert_status(try_create(READ, FAKE_HOST, NULL, 100, &one_more), ZCMEM_ENOMEM);
  assert_status(try_create(READ | USE, FAKE_OPS, noise, 100, &one_more), ZCMEM_ENOMEM);
  assert_status(try_create(READ | ZCMEM_BUFFER_COPY_HOST, FAKE_OPS, noise, 100, &one_more), ZCMEM_ENOMEM);
  assert_status(zcmem_buffer_create_sub(buffers, made[0], 0, 0, 1, &one_more), ZCMEM_ENOMEM);
  assert_int_equal(one_more, 77);
  assert_int_equal(stats_of(FAKE_HOST).live, live);
  assert_int_equal(stats_of(FAKE_OPS).live, 0);
  release(made[1]);
  made[1] = create_sub(made[0], 0, 20, 10);
  for (unsigned i = 0; i < BUFFERS; i++) {
    release(made[i]);
  }
  assert_int_equal(counters().buffers, 0);
}

static void test_as_many_uses_of_a_block_as_there_can_be(void **state) {
  enum { MOST = ZCMEM_MAX_PINS };
  zcmem_buffer_t *made = malloc(MOST * sizeof *made), none = 77;
  (void)state;
  assert_non_null(made);
  assert_int_equal(close_table(), 0);
  open_table(MOST + 1, 1);
  hal_addr_t addr = alloc(FAKE_HOST, 100);
  for (int i = 0; i < MOST; i++) {
    made[i] = create(READ | USE, NOWHERE, fake_at(&regions[FAKE_HOST], addr), 100);
  }
  assert_status(try_create(READ | USE, FAKE_HOST, fake_at(&regions[FAKE_HOST], addr), 1, &none), ZCMEM_EBUSY);
  assert_int_equal(none, 77);
  for (int i = 0; i < MOST; i++) {
    release(made[i]);
  }
  assert_unused(addr);
  assert_ok(zcmem_mem_free(hal, addr));
  free(made);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_the_table_is_made_in_the_callers_memory),
      TABLE_TEST(test_a_table_of_no_size_is_refused),
      TABLE_TEST(test_over_mapped_memory_the_buffer_is_that_memory),
      TABLE_TEST(test_over_a_range_mapped_on_demand_too),
      TABLE_TEST(test_over_an_alias_too),
      TABLE_TEST(test_over_other_host_memory_it_has_a_shadow),
      TABLE_TEST(test_fresh_buffers),
      TABLE_TEST(test_what_no_buffer_can_be_made_of),
      TABLE_TEST(test_a_copy_that_fails),
      TABLE_TEST(test_references),
      TABLE_TEST(test_as_many_references_as_can_be_counted),
      TABLE_TEST(test_numbers_are_not_used_twice),
      TABLE_TEST(test_as_many_buffers_as_agreed),
      TABLE_TEST(test_as_many_uses_of_a_block_as_there_can_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
