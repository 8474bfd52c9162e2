/* SPDX-License-Identifier: MIT */
/*
 * Views: which callbacks run when one opens and when it ends, and what is refused. Which views exclude each other is
 * test_buffer_overlap.c's, what is copied for shadows test_buffer_shadow.c's.
 */
#include "buffer_fixture.h"

/* A block of `size` bytes and where the host sees it. */
static unsigned char *alloc_seen(int way, hal_size_t size, hal_addr_t *addr) {
  *addr = alloc(way, size);
  return (way == FAKE_CACHED ? regions[way].view : regions[way].memory) + (size_t)(*addr - base_of(way));
}

static void test_zero_copy_takes_no_call_in_a_coherent_region(void **state) {
  hal_addr_t addr = 0;
  (void)state;
  unsigned char *host = alloc_seen(FAKE_HOST, 1000, &addr);
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, host + 100, 900);
  for (uint32_t mode = 0; mode <= RW; mode++) {
    struct zcmem_buffers_stats before = counters();
    struct zcmem_view view = begin(buffer, 50, 600, mode);
    assert_int_equal(view.addr, addr + 150);
    assert_int_equal(info_of(buffer).views, 1);
    assert_int_equal(counters().views, 1);
    end(view);
    struct zcmem_buffers_stats now = counters();
    unsigned copies = mode == READ || mode == WRITE ? 1 : 2; /* what a shadow would have taken */
    assert_int_equal(now.begins - before.begins, 1);
    assert_int_equal(now.copies_avoided - before.copies_avoided, copies);
    assert_int_equal(now.bytes_avoided - before.bytes_avoided, copies * 600);
    assert_int_equal(now.views, 0);
  }
  struct zcmem_view view = map(buffer, 50, 600, MAP_RW);
  assert_ptr_equal(view.host, host + 150);
  unmap(view);
  struct zcmem_buffers_stats now = counters();
  assert_int_equal(now.maps, 1);
  assert_int_equal(now.bytes_copied_in + now.bytes_copied_out, 0);
  assert_int_equal(calls_of(FAKE_HOST), 0);
  assert_int_equal(host[150], 0xee);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* Exactly the bytes of the view become visible, and those of neighbours stay as they are on either side. */
static void test_zero_copy_flushes_and_invalidates_these_bytes_only(void **state) {
  hal_addr_t addr = 0;
  struct fake_region *region = &regions[FAKE_CACHED];
  (void)state;
  unsigned char *host = alloc_seen(FAKE_CACHED, 1000, &addr);
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, host, 1000);
  for (uint32_t mode = READ; mode <= RW; mode++) {
    unsigned char *device = fake_at(region, addr);
    memset(host, 0x11, 1000);
    memset(device, 0x22, 1000);
    unsigned flushes = region->calls[FAKE_CALL_FLUSH], invalidates = region->calls[FAKE_CALL_INVALIDATE];
    struct zcmem_view view = begin(buffer, 300, 200, mode);
    assert_int_equal(region->calls[FAKE_CALL_FLUSH], flushes + 1);
    assert_int_equal(region->calls[FAKE_CALL_INVALIDATE], invalidates);
    for (int i = 0; i < 1000; i++) {
      assert_int_equal(device[i], i >= 300 && i < 500 ? 0x11 : 0x22);
    }
    memset(device, 0x33, 1000);
    end(view);
    assert_int_equal(region->calls[FAKE_CALL_FLUSH], flushes + 1);
    assert_int_equal(region->calls[FAKE_CALL_INVALIDATE], invalidates + (mode == READ ? 0 : 1));
    for (int i = 0; i < 1000; i++) {
      assert_int_equal(host[i], mode != READ && i >= 300 && i < 500 ? 0x33 : 0x11);
    }
  }
  assert_int_equal(counters().bytes_copied_in + counters().bytes_copied_out, 0);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* A host's view moves nothing: what the host stored goes to the device when the device's view opens. */
static void test_a_host_view_takes_no_call(void **state) {
  hal_addr_t addr = 0;
  struct fake_region *region = &regions[FAKE_CACHED];
  (void)state;
  unsigned char *host = alloc_seen(FAKE_CACHED, 1000, &addr);
  zcmem_buffer_t buffer = create(READ | USE, NOWHERE, host, 1000); /* READ is the device's, not the host's */
  for (unsigned flags = 1; flags <= MAP_RW; flags++) {
    unsigned char stored = (unsigned char)(0x44 + flags);
    memset(host + 300, stored, 200); /* before the map: what the host stores without one is not lost by it either */
    unsigned calls = calls_of(FAKE_CACHED);
    struct zcmem_view view = map(buffer, 300, 200, flags);
    assert_ptr_equal(view.host, host + 300);
    assert_int_equal(host[300], stored);
    memset(host + 300, stored + 0x11, 100);
    unmap(view);
    assert_int_equal(calls_of(FAKE_CACHED), calls);
    end(begin(buffer, 300, 200, READ));
    assert_memory_equal(fake_at(region, addr + 300), host + 300, 200);
  }
  assert_int_equal(counters().maps, MAP_RW);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_the_host_maps_device_memory(void **state) {
  static const unsigned char text[] = "written by the host";
  zcmem_buffer_t none = 0;
  struct zcmem_view view = {.id = 77};
  (void)state;
  for (int way = FAKE_HOST; way < FAKE_NOTHING; way++) {
    zcmem_buffer_t buffer = create(RW, way, NULL, 1000);
    hal_addr_t addr = info_of(buffer).addr;
    if (way == FAKE_READ_WRITE) {
      assert_status(zcmem_buffer_map(buffers, buffer, 0, 10, MAP_RW, &none, &view), ZCMEM_ENOTMAPPED);
      release(buffer);
      continue;
    }
    view = map(buffer, 500, sizeof text, ZCMEM_MAP_WRITE);
    memcpy(view.host, text, sizeof text);
    assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
    unmap(view);
    struct zcmem_view device = begin(buffer, 500, sizeof text, READ);
    assert_memory_equal(fake_at(&regions[way], device.addr), text, sizeof text);
    end(device);
    view = map(buffer, 500, sizeof text, ZCMEM_MAP_READ);
    assert_memory_equal(view.host, text, sizeof text);
    unmap(view);
    assert_int_equal(regions[way].mapped, 0);
    release(buffer);
  }
  zcmem_buffer_t nothing = create(RW, FAKE_NOTHING, NULL, 10);
  assert_status(zcmem_buffer_map(buffers, nothing, 0, 10, MAP_RW, &none, &view), ZCMEM_ENOTMAPPED);
  assert_int_equal(counters().views, 0);
  end(begin(nothing, 0, 10, RW)); /* the device needs no way of the host's */
  release(nothing);
}

static void test_which_views_are_refused(void **state) {
  zcmem_buffer_t other = 55;
  struct zcmem_view view = {.id = 77};
  static const hal_size_t outside[][2] = {
      {0, 101}, {100, 1}, {99, 2}, {UINT64_MAX, 1}, {UINT64_MAX, 2}, {1, UINT64_MAX}, {50, UINT64_MAX - 49}};
  (void)state;
  zcmem_buffer_t parent = create(RW, FAKE_HOST, NULL, 200), buffer = create_sub(parent, READ, 50, 100);
  for (size_t i = 0; i < sizeof outside / sizeof outside[0]; i++) {
    hal_size_t at = outside[i][0], size = outside[i][1];
    assert_status(zcmem_buffer_begin(buffers, buffer, at, size, 0, &other, &view), ZCMEM_EBOUNDS);
    assert_status(zcmem_buffer_map(buffers, buffer, at, size, MAP_RW, &other, &view), ZCMEM_EBOUNDS);
  }
  assert_status(zcmem_buffer_begin(NULL, buffer, 0, 1, 0, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 1, 0, &other, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 0, 0, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 1, WRITE, &other, &view), ZCMEM_EINVAL); /* the parent could */
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 1, RW, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 1, USE | READ, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 1, 0x80000000u, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_map(NULL, buffer, 0, 1, MAP_RW, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_map(buffers, buffer, 0, 1, MAP_RW, &other, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_map(buffers, buffer, 0, 0, MAP_RW, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_map(buffers, buffer, 0, 1, 0, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_map(buffers, buffer, 0, 1, 4, &other, &view), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_end(NULL, 1), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_unmap(NULL, 1), ZCMEM_EINVAL);
  assert_int_equal(view.id, 77);
  assert_int_equal(other, 55);
  struct zcmem_buffers_stats now = counters();
  assert_int_equal(now.begins + now.maps + now.views + now.refused_overlap, 0);
  release(buffer);
  release(parent);
}

/* Each kind of view has an end of its own, once. */
static void test_a_view_ends_once(void **state) {
  (void)state;
  zcmem_buffer_t buffer = create(RW, FAKE_HOST, NULL, 100);
  struct zcmem_view device = begin(buffer, 0, 10, RW), host = map(buffer, 10, 10, MAP_RW), later;
  assert_int_not_equal(device.id, host.id);
  assert_status(zcmem_buffer_unmap(buffers, device.id), ZCMEM_ENOENT);
  assert_status(zcmem_buffer_end(buffers, host.id), ZCMEM_ENOENT);
  assert_int_equal(counters().views, 2);
  end(device);
  unmap(host);
  for (int i = 0; i < 3; i++) {
    static const zcmem_view_t odd[] = {0, UINT64_MAX, 1000};
    assert_status(zcmem_buffer_end(buffers, odd[i]), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_unmap(buffers, odd[i]), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_end(buffers, device.id), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_unmap(buffers, host.id), ZCMEM_ENOENT);
    later = begin(buffer, 0, 10, RW); /* in the place of one of them */
    assert_int_not_equal(later.id, device.id);
    assert_int_not_equal(later.id, host.id);
    assert_status(zcmem_buffer_end(buffers, device.id), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_end(buffers, host.id), ZCMEM_ENOENT);
    end(later);
  }
  release(buffer);
}

static void test_as_many_views_as_agreed(void **state) {
  struct zcmem_view views[VIEWS], none = {.id = 77};
  (void)state;
  zcmem_buffer_t buffer = create(RW, FAKE_MAP, NULL, 100);
  for (unsigned i = 0; i < VIEWS; i++) {
    views[i] = begin(buffer, i, 1, RW);
  }
  assert_int_equal(info_of(buffer).views, VIEWS);
  assert_status(zcmem_buffer_begin(buffers, buffer, 50, 1, RW, NULL, &none), ZCMEM_ENOMEM);
  assert_status(zcmem_buffer_map(buffers, buffer, 50, 1, MAP_RW, NULL, &none), ZCMEM_ENOMEM);
  assert_int_equal(none.id, 77);
  assert_int_equal(regions[FAKE_MAP].mapped, 0);
  end(views[3]);
  views[3] = begin(buffer, 50, 1, RW);
  for (unsigned i = 0; i < VIEWS; i++) {
    end(views[i]);
  }
  release(buffer);
}

static void test_stats_of_this_version_and_older_ones(void **state) {
  struct zcmem_buffers_stats stats = {.struct_bytes = 0};
  (void)state;
  assert_status(zcmem_buffers_get_stats(buffers, &stats), ZCMEM_EINVAL);
  stats.struct_bytes = sizeof stats + 1;
  assert_status(zcmem_buffers_get_stats(buffers, &stats), ZCMEM_EINVAL);
  stats.struct_bytes = sizeof stats;
  assert_status(zcmem_buffers_get_stats(NULL, &stats), ZCMEM_EINVAL);
  assert_status(zcmem_buffers_get_stats(buffers, NULL), ZCMEM_EINVAL);
  zcmem_buffer_t buffer = create(RW, FAKE_HOST, NULL, 10);
  struct zcmem_buffer_info info = {.size = 77};
  stats.views = 77;
  fake.fail_lock_in = 1;
  assert_status(zcmem_buffers_get_stats(buffers, &stats), ZCMEM_ELOCK);
  fake.fail_lock_in = 1;
  assert_status(zcmem_buffer_get_info(buffers, buffer, &info), ZCMEM_ELOCK);
  assert_int_equal(stats.views, 77);
  assert_int_equal(info.size, 77);
  stats = (struct zcmem_buffers_stats){.struct_bytes = offsetof(struct zcmem_buffers_stats, views), .views = 77};
  assert_ok(zcmem_buffers_get_stats(buffers, &stats));
  assert_int_equal(stats.struct_bytes, offsetof(struct zcmem_buffers_stats, views));
  assert_int_equal(stats.buffers, 1);
  assert_int_equal(stats.views, 77);
  release(buffer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_zero_copy_takes_no_call_in_a_coherent_region),
      TABLE_TEST(test_zero_copy_flushes_and_invalidates_these_bytes_only),
      TABLE_TEST(test_a_host_view_takes_no_call),
      TABLE_TEST(test_the_host_maps_device_memory),
      TABLE_TEST(test_which_views_are_refused),
      TABLE_TEST(test_a_view_ends_once),
      TABLE_TEST(test_as_many_views_as_agreed),
      TABLE_TEST(test_stats_of_this_version_and_older_ones),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
