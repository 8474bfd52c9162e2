/* SPDX-License-Identifier: MIT */
/*
 * On a device that does not see the host's cache: each path on which bytes go from one side to the other, with the
 * cache doing its worst in between. mutate_coherency.sh shows that no flush and no invalidate of the library can be
 * left out without one of these failing.
 */
#include "coherency_fixture.h"

enum { LINES = 6, MOST = LINES * 128 };

/* A block of LINES lines, as both sides see it. */
struct block {
  struct cached_device *device;
  hal_addr_t addr;
  unsigned char *host, *seen;
  size_t line, size;
};

static struct block make_block(int region) {
  struct block block = {.device = &devices[region], .line = lines[region], .size = LINES * lines[region]};
  block.addr = alloc(region, block.size);
  block.host = cached_device_host(block.device, block.addr);
  block.seen = cached_device_at(block.device, block.addr);
  return block;
}

/* Stores bytes that were not there before. */
static void stamp(unsigned char *at, size_t size) {
  static uint64_t random = 1;
  for (size_t i = 0; i < size; i++) {
    at[i] ^= (unsigned char)(1 + random_below(&random, 255));
  }
}

static struct zcmem_view begin(zcmem_buffer_t buffer, hal_size_t offset, hal_size_t size, uint32_t mode) {
  struct zcmem_view view = {0};
  assert_ok(zcmem_buffer_begin(buffers, buffer, offset, size, mode, NULL, &view));
  return view;
}

static void end(struct zcmem_view view) {
  assert_ok(zcmem_buffer_end(buffers, view.id));
}

/* Ranges of a block that begin and end with a line, or within one, or lie within one. */
struct range {
  size_t at, size;
};
enum { RANGES = 6 };

static bool whole_lines(const struct block *block, struct range range) {
  return range.at % block->line == 0 && range.size % block->line == 0;
}

static struct range range_of(const struct block *block, int i) {
  const struct range ranges[RANGES] = {
      {block->line, 2 * block->line},     {block->line, 2 * block->line + 5}, {block->line + 7, 2 * block->line - 7},
      {block->line + 9, 3 * block->line}, {2 * block->line + 3, 11},          {0, block->size},
  };
  return ranges[i];
}

/* -------------------------------------------------------------------------------------- buffers without a copy -- */

static void test_the_device_reads_what_the_host_stored(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    zcmem_buffer_t buffer = create(RW | USE, region, block.host, block.size);
    for (int i = 0; i < RANGES; i++) {
      struct range range = range_of(&block, i);
      unsigned char before[MOST], *at = block.host + range.at;
      memcpy(before, block.seen, block.size);
      stamp(at, range.size);
      struct zcmem_view view = begin(buffer, range.at, range.size, READ);
      assert_memory_equal(device_at(view.addr), at, range.size);
      assert_memory_equal(block.seen, before, range.at);
      assert_memory_equal(block.seen + range.at + range.size, before + range.at + range.size,
                          block.size - range.at - range.size);
      end(view);
    }
    release(buffer);
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

/* A dirty line must not be written back, nor a clean one stay, after the device has written. */
static void test_the_host_reads_what_the_device_wrote(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    zcmem_buffer_t buffer = create(RW | USE, region, block.host, block.size);
    for (int i = 0; i < RANGES; i++) {
      for (uint32_t mode = WRITE; mode <= RW; mode++) {
        struct range range = range_of(&block, i);
        unsigned char want[MOST];
        if (!whole_lines(&block, range)) { /* the end would take back what the host stores beside it: not given */
          continue;
        }
        stamp(block.host, block.size);
        memcpy(want, block.host, block.size);
        struct zcmem_view view = begin(buffer, range.at, range.size, mode);
        cached_device_refetch(block.device);
        stamp(device_at(view.addr), range.size);
        memcpy(want + range.at, device_at(view.addr), range.size);
        cached_device_evict(block.device);
        assert_memory_equal(device_at(view.addr), want + range.at, range.size);
        end(view);
        assert_memory_equal(block.host, want, block.size);
        cached_device_evict(block.device);
        cached_device_refetch(block.device);
        assert_memory_equal(block.host, want, block.size);
        assert_memory_equal(block.seen, want, block.size);
      }
    }
    release(buffer);
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

/* What the device only reads may lie in one line with what the host goes on storing. */
static void test_neighbours_of_what_the_device_reads(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    zcmem_buffer_t buffer = create(READ | USE, region, block.host + 5, 50);
    unsigned char want[MOST];
    struct zcmem_view view = {0};
    stamp(block.host, block.size);
    memcpy(want, block.host, block.size);
    assert_ok(zcmem_buffer_map(buffers, buffer, 0, 50, ZCMEM_MAP_READ, NULL, &view));
    assert_memory_equal(block.host, want, block.size); /* a map takes nothing back */
    assert_ok(zcmem_buffer_unmap(buffers, view.id));
    view = begin(buffer, 0, 50, READ);
    stamp(block.host, 5);
    stamp(block.host + 55, block.size - 55);
    memcpy(want, block.host, block.size);
    end(view);
    assert_memory_equal(block.host, want, block.size);
    cached_device_evict(block.device);
    assert_memory_equal(block.seen, want, block.size);
    release(buffer);
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

/* A buffer that the device writes has its lines for itself; else the host's stores beside it would be lost. */
static void test_no_line_is_written_by_both(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    size_t line = block.line, rest = block.size - 3 * line;
    hal_addr_t odd = alloc(region, 3 * line + 5);
    unsigned char *odd_host = cached_device_host(block.device, odd);
    zcmem_buffer_t none = 77;
    assert_status(try_create(WRITE | USE, region, block.host + 1, line - 1, &none), ZCMEM_EINVAL);
    assert_status(try_create(WRITE | USE, region, block.host, line - 1, &none), ZCMEM_EINVAL);
    assert_status(try_create(RW | USE, region, block.host + line / 2, block.size - line / 2, &none), ZCMEM_EINVAL);
    release(create(READ | USE, region, block.host + 1, line - 2));
    release(create(RW | USE, region, odd_host + line, 2 * line + 5)); /* nothing of the block is behind it */
    assert_status(try_create(RW | USE, region, odd_host + line, 2 * line + 4, &none), ZCMEM_EINVAL);
    zcmem_buffer_t parent = create(RW | USE, region, block.host + line, block.size - line), sub = 77;
    assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 1, line - 1, &sub), ZCMEM_EINVAL);
    assert_status(zcmem_buffer_create_sub(buffers, parent, WRITE, line, line + 1, &sub), ZCMEM_EINVAL);
    assert_int_equal(sub, 77);
    assert_ok(zcmem_buffer_create_sub(buffers, parent, READ, 1, line - 1, &sub));
    release(sub);
    assert_ok(zcmem_buffer_create_sub(buffers, parent, 0, 2 * line, rest, &sub));
    release(sub);
    assert_int_equal(none, 77);
    release(parent);
    assert_ok(zcmem_mem_free(hal, odd));
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

/* Nor is a view of it, and for the same reason; the host's and those of shadows may lie anywhere. */
static void test_no_line_is_written_by_both_through_views(void **state) {
  static unsigned char mine[MOST];
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    size_t line = lines[region], size = 3 * line + 5;
    hal_addr_t addr = alloc(region, size);
    zcmem_buffer_t buffer = create(RW | USE, region, cached_device_host(&devices[region], addr), size);
    zcmem_buffer_t shadow = create(RW | USE, region, mine, size);
    const struct range partial[] = {{0, 1}, {1, line - 1}, {line, line + 5}, {line - 1, line + 1}, {3 * line, 4}},
                       whole[] = {{0, line}, {line, 2 * line}, {0, size}, {3 * line, 5}};
    for (uint32_t mode = WRITE; mode <= RW; mode++) {
      for (size_t i = 0; i < sizeof partial / sizeof partial[0]; i++) {
        struct range range = partial[i];
        struct zcmem_view view = {.id = 77};
        unsigned calls = devices[region].flushes + devices[region].invalidates;
        assert_status(zcmem_buffer_begin(buffers, buffer, range.at, range.size, mode, NULL, &view), ZCMEM_EINVAL);
        assert_int_equal(view.id, 77);
        assert_int_equal(devices[region].flushes + devices[region].invalidates, calls);
        end(begin(buffer, range.at, range.size, READ));
        end(begin(shadow, range.at, range.size, mode));
        assert_ok(zcmem_buffer_map(buffers, buffer, range.at, range.size, mode, NULL, &view));
        assert_ok(zcmem_buffer_unmap(buffers, view.id));
      }
      for (size_t i = 0; i < sizeof whole / sizeof whole[0]; i++) {
        end(begin(buffer, whole[i].at, whole[i].size, mode));
      }
    }
    release(shadow);
    release(buffer);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

/* What ends with the block owns its last line only as long as the block ends there. */
static void test_a_block_in_use_does_not_grow_within_a_line(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    size_t line = lines[region];
    for (size_t odd = 0; odd < 2; odd++) {
      size_t size = 3 * line + odd;
      struct zcmem_block_info info;
      hal_addr_t addr = alloc(region, size);
      zcmem_buffer_t buffer = create(RW | USE, region, cached_device_host(&devices[region], addr), size);
      assert_status(zcmem_mem_resize(hal, addr, size + 1), odd != 0 ? ZCMEM_EBUSY : ZCMEM_OK);
      assert_ok(zcmem_mem_info(hal, addr, &info));
      assert_int_equal(info.requested, odd != 0 ? size : size + 1);
      assert_ok(zcmem_mem_resize(hal, addr, info.requested));
      end(begin(buffer, 0, size, RW));
      release(buffer);
      assert_ok(zcmem_mem_pin(hal, addr)); /* a pin alone does not hold it back */
      assert_ok(zcmem_mem_resize(hal, addr, size + 2));
      assert_ok(zcmem_mem_unpin(hal, addr));
      assert_ok(zcmem_mem_free(hal, addr));
    }
  }
}

/* Opens a view, of whichever side; it must be refused iff `excluded`, and is closed again. */
static void try_view(zcmem_buffer_t buffer, struct range range, uint32_t mode, bool of_host, bool excluded) {
  struct zcmem_view view;
  zcmem_buffer_t by = 0;
  enum zcmem_status got = of_host ? zcmem_buffer_map(buffers, buffer, range.at, range.size, mode, &by, &view)
                                  : zcmem_buffer_begin(buffers, buffer, range.at, range.size, mode, &by, &view);
  assert_status(got, excluded ? ZCMEM_EOVERLAP : ZCMEM_OK);
  assert_int_equal(by, excluded ? buffer : 0);
  if (got == ZCMEM_OK) {
    assert_ok(of_host ? zcmem_buffer_unmap(buffers, view.id) : zcmem_buffer_end(buffers, view.id));
  }
}

/* Two views that share no byte, but a line: excluded iff one of them writes. The device writes whole lines only, but in
 * shadows, whose host memory is no part of the region. */
static void test_views_exclude_each_other_by_lines(void **state) {
  static unsigned char mine[MOST];
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    size_t line = block.line;
    const struct range far[] = {{0, line}, {3 * line, line}},
                       near[] = {{0, line + 1}, {line, 3}, {line + 9, 1}, {2 * line - 1, 1}, {2 * line - 1, line}};
    for (uint32_t i = 0; i < 18; i++) {
      bool shadow = i / 9 != 0;
      uint32_t first = i % 3 + 1, second = i / 3 % 3 + 1;
      bool excluded = ((first | second) & WRITE) != 0;
      zcmem_buffer_t buffer = create(RW | USE, region, shadow ? mine : block.host, block.size);
      struct zcmem_view view = {0};
      assert_ok(shadow ? zcmem_buffer_begin(buffers, buffer, line + 4, 5, first, NULL, &view)
                       : zcmem_buffer_map(buffers, buffer, line + 4, 5, first, NULL, &view));
      for (size_t k = 0; k < sizeof near / sizeof near[0]; k++) {
        if (shadow || second == READ) {
          try_view(buffer, near[k], second, false, excluded);
        }
        try_view(buffer, near[k], second, true, !shadow && excluded);
      }
      for (size_t k = 0; k < sizeof far / sizeof far[0]; k++) {
        try_view(buffer, far[k], second, false, false);
        try_view(buffer, far[k], second, true, false);
      }
      assert_ok(shadow ? zcmem_buffer_end(buffers, view.id) : zcmem_buffer_unmap(buffers, view.id));
      release(buffer);
    }
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

/* ------------------------------------------------------------------------------------------- buffers with one -- */

static void test_shadows_behind_a_cache(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    size_t size = LINES * lines[region];
    unsigned char host[MOST], want[MOST];
    memset(host, 0, sizeof host);
    zcmem_buffer_t buffer = create(RW | USE, region, host, size);
    struct block block = {.line = lines[region], .size = size};
    for (int round = 0; round < 2 * RANGES; round++) {
      struct range range = range_of(&block, round % RANGES);
      for (uint32_t mode = READ; mode <= RW; mode++) {
        stamp(host, size);
        memcpy(want, host, size);
        struct zcmem_view view = begin(buffer, range.at, range.size, mode);
        if ((mode & READ) != 0) {
          assert_memory_equal(device_at(view.addr), host + range.at, range.size);
        }
        cached_device_refetch(&devices[region]);
        if ((mode & WRITE) != 0) {
          stamp(device_at(view.addr), range.size);
          memcpy(want + range.at, device_at(view.addr), range.size);
        }
        cached_device_evict(&devices[region]);
        end(view);
        assert_memory_equal(host, want, size);
      }
    }
    release(buffer);
  }
}

/* A second view brings in its bytes beside those of the first, in the same line, without a change to them. */
static void test_shadows_of_which_two_views_share_a_line(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    unsigned char host[MOST];
    memset(host, 0, sizeof host);
    stamp(host, sizeof host);
    zcmem_buffer_t buffer = create(READ | USE, region, host, MOST);
    struct zcmem_view first = begin(buffer, 3, 10, READ);
    cached_device_refetch(&devices[region]);
    struct zcmem_view second = begin(buffer, 5, 200, READ);
    cached_device_evict(&devices[region]);
    assert_memory_equal(device_at(first.addr), host + 3, 10);
    assert_memory_equal(device_at(second.addr), host + 5, 200);
    end(second);
    end(first);
    release(buffer);
  }
}

/* In the middle of a begin that brings in bytes of the second line, another one wants bytes beside these. */
struct rival {
  zcmem_buffer_t buffer;
  size_t line;
  bool seen;
};

static void begin_inside(void *arg) {
  struct rival *rival = arg;
  struct zcmem_view view = {.id = 77};
  size_t line = rival->line;
  assert_status(zcmem_buffer_begin(buffers, rival->buffer, line, 3, READ, NULL, &view), ZCMEM_EBUSY);
  assert_status(zcmem_buffer_begin(buffers, rival->buffer, 2 * line - 1, 1, READ, NULL, &view), ZCMEM_EBUSY);
  assert_status(zcmem_buffer_begin(buffers, rival->buffer, 0, line + 1, READ, NULL, &view), ZCMEM_EBUSY);
  assert_int_equal(view.id, 77);
  end(begin(rival->buffer, 0, line, READ));
  end(begin(rival->buffer, 2 * line, line, READ));
  rival->seen = true;
}

/* Two threads must not write one line of the host's cache: who comes while another one fills it has to wait. */
static void test_shadows_of_which_two_begins_share_a_line(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    unsigned char host[MOST];
    memset(host, 0, sizeof host);
    stamp(host, sizeof host);
    struct rival rival = {.buffer = create(READ | USE, region, host, MOST), .line = lines[region]};
    devices[region].arg = &rival;
    devices[region].inside = begin_inside;
    struct zcmem_view view = begin(rival.buffer, rival.line + 5, 9, READ);
    assert_true(rival.seen);
    assert_memory_equal(device_at(view.addr), host + rival.line + 5, 9);
    struct zcmem_view beside = begin(rival.buffer, rival.line, 3, READ); /* now it is in */
    assert_memory_equal(device_at(beside.addr), host + rival.line, 3);
    end(beside);
    end(view);
    release(rival.buffer);
  }
}

static void test_a_copy_at_creation(void **state) {
  (void)state;
  for (int region = 0; region < REGIONS; region++) {
    unsigned char host[MOST - 3];
    memset(host, 0, sizeof host);
    stamp(host, sizeof host);
    zcmem_buffer_t buffer = create(READ | ZCMEM_BUFFER_COPY_HOST, region, host, sizeof host);
    struct zcmem_view view = begin(buffer, 0, sizeof host, READ);
    assert_memory_equal(device_at(view.addr), host, sizeof host);
    end(view);
    release(buffer);
  }
}

/* --------------------------------------------------------------------------------------------------- transfers -- */

enum kind { WRITING, FILLING, COPY_WITHIN, COPY_FROM_CACHED, COPY_FROM_REMOTE, KINDS };

/* Puts new bytes into the range of the block, by a transfer of that kind; `want` is what they are. */
static void put(enum kind kind, const struct block *block, int region, struct range range, unsigned char *want) {
  int from = kind == COPY_FROM_REMOTE ? REMOTE : kind == COPY_WITHIN ? region : 1 - region;
  hal_addr_t dst = block->addr + range.at, src = 0;
  unsigned char text[MOST];
  memset(text, 0, sizeof text);
  stamp(text, sizeof text);
  memcpy(want, text, range.size);
  if (kind == WRITING) {
    assert_ok(zcmem_mem_write(hal, dst, text, range.size));
    return;
  }
  if (kind == FILLING) {
    for (size_t i = 7; i < range.size; i++) {
      want[i] = want[i - 7];
    }
    assert_ok(zcmem_mem_fill(hal, dst, text, 7, range.size));
    return;
  }
  src = alloc(from, MOST + 13);
  memcpy(device_at(src + 13), want, range.size); /* the device wrote it, and the host's cache has something older */
  assert_ok(zcmem_mem_copy(hal, dst, src + 13, range.size));
  assert_memory_equal(device_at(src + 13), want, range.size);
  assert_ok(zcmem_mem_free(hal, src));
}

/* Beside the range are bytes that the device wrote, and of which the host's cache does not know. */
static void test_transfers_leave_the_devices_bytes_beside_them(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    for (int i = 0; i < RANGES * KINDS; i++) {
      struct range range = range_of(&block, i % RANGES);
      unsigned char want[MOST];
      cached_device_refetch(block.device);
      stamp(block.seen, block.size);
      memcpy(want, block.seen, block.size);
      put((enum kind)(i / RANGES), &block, region, range, want + range.at);
      assert_memory_equal(block.seen, want, block.size);
      cached_device_evict(block.device);
      assert_memory_equal(block.seen, want, block.size);
    }
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

/* Beside the range are bytes that the host stored, and which the device has not seen yet. */
static void test_transfers_leave_the_hosts_bytes_beside_them(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    for (int i = 0; i < RANGES * KINDS; i++) {
      struct range range = range_of(&block, i % RANGES);
      unsigned char want[MOST];
      stamp(block.host, range.at);
      stamp(block.host + range.at + range.size, block.size - range.at - range.size);
      memcpy(want, block.host, block.size);
      put((enum kind)(i / RANGES), &block, region, range, want + range.at);
      assert_memory_equal(block.seen + range.at, want + range.at, range.size);
      assert_memory_equal(block.host, want, block.size);
      cached_device_evict(block.device);
      assert_memory_equal(block.seen, want, block.size);
    }
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

static void test_a_read_sees_the_devices_bytes_and_keeps_the_hosts(void **state) {
  (void)state;
  for (int region = 0; region < CACHED; region++) {
    struct block block = make_block(region);
    for (int i = 0; i < RANGES; i++) {
      struct range range = range_of(&block, i);
      unsigned char got[MOST], want[MOST];
      cached_device_refetch(block.device);
      stamp(block.seen, block.size);
      assert_ok(zcmem_mem_read(hal, got, block.addr + range.at, range.size));
      assert_memory_equal(got, block.seen + range.at, range.size);
      cached_device_refetch(block.device);
      stamp(block.host, range.at);
      stamp(block.host + range.at + range.size, block.size - range.at - range.size);
      memcpy(want, block.host, block.size);
      assert_ok(zcmem_mem_read(hal, got, block.addr + range.at, range.size));
      assert_memory_equal(got, want + range.at, range.size);
      assert_memory_equal(block.host, want, block.size);
      cached_device_evict(block.device);
      assert_memory_equal(block.seen, want, block.size);
    }
    assert_ok(zcmem_mem_free(hal, block.addr));
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_the_device_reads_what_the_host_stored),
      TEST(test_the_host_reads_what_the_device_wrote),
      TEST(test_neighbours_of_what_the_device_reads),
      TEST(test_no_line_is_written_by_both),
      TEST(test_no_line_is_written_by_both_through_views),
      TEST(test_a_block_in_use_does_not_grow_within_a_line),
      TEST(test_views_exclude_each_other_by_lines),
      TEST(test_shadows_behind_a_cache),
      TEST(test_shadows_of_which_two_views_share_a_line),
      TEST(test_shadows_of_which_two_begins_share_a_line),
      TEST(test_a_copy_at_creation),
      TEST(test_transfers_leave_the_devices_bytes_beside_them),
      TEST(test_transfers_leave_the_hosts_bytes_beside_them),
      TEST(test_a_read_sees_the_devices_bytes_and_keeps_the_hosts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
