/* SPDX-License-Identifier: MIT */
/*
 * Buffers over host memory that no region has: which bytes are copied when a view opens and when it ends.
 */
#include "buffer_fixture.h"

/* In only what the device reads, out only what it writes, and no byte besides. */
static void check_shadow(int way, uint32_t own, uint32_t mode) {
  enum { SIZE = 1000, FROM = 123, MANY = 456 };
  unsigned char host[SIZE];
  struct fake_region *region = &regions[way];
  uint32_t does = mode == 0 ? own : mode;
  memset(host, 0x11, sizeof host);
  zcmem_buffer_t buffer = create(own | USE, way, host, SIZE);
  unsigned char *device = fake_at(region, info_of(buffer).addr);
  memset(device, 0x22, SIZE);
  struct zcmem_buffers_stats before = counters();
  unsigned calls = calls_of(way);
  struct zcmem_view view = begin(buffer, FROM, MANY, mode);
  for (int i = 0; i < SIZE; i++) {
    bool in = (does & READ) != 0 && i >= FROM && i < FROM + MANY;
    assert_int_equal(device[i], in ? 0x11 : 0x22);
  }
  assert_true((does & READ) != 0 || calls_of(way) == calls);
  assert_int_equal(region->calls[FAKE_CALL_READ], 0);
  memset(device, 0x33, SIZE);
  calls = calls_of(way);
  unsigned writes = region->calls[FAKE_CALL_WRITE];
  end(view);
  for (int i = 0; i < SIZE; i++) {
    bool out = (does & WRITE) != 0 && i >= FROM && i < FROM + MANY;
    assert_int_equal(host[i], out ? 0x33 : 0x11);
    assert_int_equal(device[i], 0x33);
  }
  assert_true((does & WRITE) != 0 || calls_of(way) == calls);
  assert_int_equal(region->calls[FAKE_CALL_WRITE], writes);
  struct zcmem_buffers_stats now = counters();
  assert_int_equal(now.bytes_copied_in - before.bytes_copied_in, (does & READ) != 0 ? MANY : 0);
  assert_int_equal(now.bytes_copied_out - before.bytes_copied_out, (does & WRITE) != 0 ? MANY : 0);
  assert_int_equal(now.copies_avoided, before.copies_avoided);
  assert_int_equal(now.bytes_avoided, before.bytes_avoided);
  release(buffer);
  memset(region->calls, 0, sizeof region->calls);
}

static void test_a_shadow_copies_what_the_mode_needs(void **state) {
  (void)state;
  for (int way = FAKE_HOST; way < FAKE_NOTHING; way++) {
    for (uint32_t own = READ; own <= RW; own++) {
      for (uint32_t mode = 0; mode <= RW; mode++) {
        if ((mode & ~own) == 0) {
          check_shadow(way, own, mode);
        }
      }
    }
  }
}

/* Bytes that are in already are not fetched again; those that no open view has any more are. */
static void test_what_an_open_view_brought_in_stays(void **state) {
  unsigned char host[1000];
  (void)state;
  memset(host, 1, sizeof host);
  zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, sizeof host);
  unsigned char *device = fake_at(&regions[FAKE_OPS], info_of(buffer).addr);
  struct zcmem_view first = begin(buffer, 100, 200, READ), second = begin(buffer, 200, 200, READ);
  assert_int_equal(counters().bytes_copied_in, 300);
  struct zcmem_view third = begin(buffer, 150, 200, READ), around = begin(buffer, 50, 400, READ);
  assert_int_equal(counters().bytes_copied_in, 400);
  for (int i = 0; i < 1000; i++) {
    assert_int_equal(device[i], i >= 50 && i < 450 ? 1 : 0xee);
  }
  end(around);
  end(first);
  end(third);
  memset(host, 2, 200); /* nobody has these now */
  struct zcmem_view again = begin(buffer, 100, 200, READ);
  assert_int_equal(counters().bytes_copied_in, 500);
  assert_memory_equal(device + 100, host + 100, 200);
  end(second);
  end(again);
  assert_int_equal(counters().bytes_copied_out, 0);
  release(buffer);
}

/* Also where views may overlap: what the device has written to a shadow is not lost by a second view. */
static void test_an_alias_brings_nothing_in_twice(void **state) {
  unsigned char host[1000];
  (void)state;
  for (int sub = 0; sub < 2; sub++) { /* of a plain parent, or all of one kind */
    memset(host, 1, sizeof host);
    zcmem_buffer_t buffer = create(RW | USE | (sub != 0 ? 0 : ZCMEM_BUFFER_ALIAS), FAKE_OPS, host, sizeof host);
    zcmem_buffer_t alias = create_sub(buffer, ZCMEM_BUFFER_ALIAS, 0, sizeof host);
    unsigned char *device = fake_at(&regions[FAKE_OPS], info_of(buffer).addr);
    uint64_t before = counters().bytes_copied_in;
    struct zcmem_view writer = begin(buffer, 100, 300, RW), other = begin(alias, 600, 100, RW);
    memset(device + 100, 2, 300);
    memset(device + 600, 3, 100);
    struct zcmem_view all = begin(alias, 0, 1000, READ);
    assert_int_equal(counters().bytes_copied_in - before, 1000);
    for (int i = 0; i < 1000; i++) {
      assert_int_equal(device[i], i >= 100 && i < 400 ? 2 : i >= 600 && i < 700 ? 3 : 1);
    }
    end(all);
    end(other);
    end(writer);
    assert_int_equal(host[99] + host[100] + host[399] + host[400] + host[600], 1 + 2 + 2 + 1 + 3);
    release(alias);
    release(buffer);
  }
}

/* A view of the host's has brought in nothing. */
static void test_what_the_host_maps_is_not_in_yet(void **state) {
  unsigned char host[1000];
  (void)state;
  memset(host, 1, sizeof host);
  zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, sizeof host), part = create_sub(buffer, 0, 100, 200);
  unsigned char *device = fake_at(&regions[FAKE_OPS], info_of(buffer).addr);
  struct zcmem_view mapped = map(buffer, 0, 500, ZCMEM_MAP_READ), also = map(part, 0, 200, ZCMEM_MAP_READ);
  struct zcmem_view view = begin(buffer, 50, 500, READ);
  assert_int_equal(counters().bytes_copied_in, 500);
  assert_memory_equal(device + 50, host + 50, 500);
  unmap(also);
  unmap(mapped);
  end(view);
  release(part);
  release(buffer);
}

/* The host's view of a shadowed buffer is the host memory itself. */
static void test_the_host_maps_its_own_memory(void **state) {
  unsigned char host[100];
  (void)state;
  for (int way = FAKE_HOST; way < FAKE_NOTHING; way++) {
    zcmem_buffer_t buffer = create(READ | USE, way, host, sizeof host);
    struct zcmem_view view = map(buffer, 10, 80, MAP_RW);
    assert_ptr_equal(view.host, host + 10);
    unmap(view);
    assert_int_equal(calls_of(way), 0);
    release(buffer);
  }
  assert_int_equal(counters().bytes_copied_in + counters().bytes_copied_out, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_a_shadow_copies_what_the_mode_needs), TABLE_TEST(test_what_an_open_view_brought_in_stays),
      TABLE_TEST(test_an_alias_brings_nothing_in_twice),    TABLE_TEST(test_what_the_host_maps_is_not_in_yet),
      TABLE_TEST(test_the_host_maps_its_own_memory),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
