/* SPDX-License-Identifier: MIT */
/*
 * Sub-buffers, and what keeps what: a buffer its block, a sub-buffer and a view what they are a part of.
 */
#include "buffer_fixture.h"

static void test_sub_buffers_share_the_memory(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 1000);
  unsigned char *host = fake_at(&regions[FAKE_HOST], addr);
  zcmem_buffer_t of[2] = {create(RW | USE, NOWHERE, host + 8, 992), create(RW | USE, FAKE_OPS, noise, 992)};
  for (int i = 0; i < 2; i++) {
    struct zcmem_buffer_info whole = info_of(of[i]), info;
    zcmem_buffer_t parent = of[i], chain[4];
    hal_size_t offset = 0;
    for (unsigned depth = 0; depth < 4; depth++) { /* each 100 bytes further in, and 200 shorter */
      chain[depth] = create_sub(parent, depth == 0 ? ZCMEM_BUFFER_ALIAS : 0, 100, 992 - 200 * (depth + 1));
      offset += 100;
      info = info_of(chain[depth]);
      assert_int_equal(info.flags, RW | USE | ZCMEM_BUFFER_ALIAS); /* and so on downwards */
      assert_int_equal(info.zero_copy, i == 0);
      assert_int_equal(info.parent, parent);
      assert_int_equal(info.offset, 100);
      assert_int_equal(info.size, 992 - 200 * (depth + 1));
      assert_int_equal(info.references, 1);
      assert_int_equal(info.region, whole.region);
      assert_int_equal(info.addr, whole.addr + offset);
      assert_ptr_equal(info.host, (unsigned char *)whole.host + offset);
      parent = chain[depth];
    }
    assert_int_equal(info_of(of[i]).flags, RW | USE);
    assert_int_equal(info_of(of[i]).references, 1);
    end(begin(chain[3], 0, info.size, RW));
    for (int depth = 0; depth < 4; depth++) {
      release(chain[depth]);
    }
    release(of[i]);
  }
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_a_sub_buffer_may_do_less_not_more(void **state) {
  static const uint32_t modes[] = {READ, WRITE, RW};
  (void)state;
  for (int i = 0; i < 3; i++) {
    zcmem_buffer_t parent = create(modes[i], FAKE_HOST, NULL, 100);
    for (uint32_t mode = 0; mode <= RW; mode++) {
      zcmem_buffer_t made = 77;
      bool can = (mode & ~modes[i]) == 0;
      assert_status(zcmem_buffer_create_sub(buffers, parent, mode, 0, 50, &made), can ? ZCMEM_OK : ZCMEM_EINVAL);
      if (can) {
        assert_int_equal(info_of(made).flags, mode == 0 ? modes[i] : mode);
        release(made);
      } else {
        assert_int_equal(made, 77);
      }
    }
    release(parent);
  }
}

static void test_which_sub_buffers_are_refused(void **state) {
  zcmem_buffer_t made = 77;
  (void)state;
  zcmem_buffer_t parent = create(RW, FAKE_HOST, NULL, 100), child = create_sub(parent, 0, 50, 40);
  assert_status(zcmem_buffer_create_sub(NULL, parent, 0, 0, 1, &made), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 0, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 0, 0, &made), ZCMEM_EINVAL);
  for (uint32_t bit = 2; bit < 32; bit++) {
    uint32_t flag = UINT32_C(1) << bit;
    if (flag != ZCMEM_BUFFER_ALIAS) {
      assert_status(zcmem_buffer_create_sub(buffers, parent, flag, 0, 1, &made), ZCMEM_EINVAL);
    }
  }
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 0, 101, &made), ZCMEM_EBOUNDS);
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 100, 1, &made), ZCMEM_EBOUNDS);
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 99, 2, &made), ZCMEM_EBOUNDS);
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, 2, UINT64_MAX, &made), ZCMEM_EBOUNDS); /* wraps */
  assert_status(zcmem_buffer_create_sub(buffers, parent, 0, UINT64_MAX, 1, &made), ZCMEM_EBOUNDS);
  assert_status(zcmem_buffer_create_sub(buffers, child, 0, 0, 41, &made), ZCMEM_EBOUNDS); /* the parent would do */
  assert_status(zcmem_buffer_create_sub(buffers, child, 0, 40, 1, &made), ZCMEM_EBOUNDS);
  assert_int_equal(made, 77);
  assert_int_equal(counters().buffers, 2);
  zcmem_buffer_t last = create_sub(child, 0, 39, 1);
  release(last);
  release(child);
  release(parent);
}

/* What it is made of stays until the last part of it is released, in whatever order. */
static void test_a_sub_buffer_outlives_its_parent(void **state) {
  static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  (void)state;
  for (int i = 0; i < 6; i++) {
    for (int shadow = 0; shadow < 2; shadow++) {
      hal_addr_t addr = alloc(FAKE_HOST, 1000), mine = addr;
      void *host = shadow != 0 ? (void *)noise : fake_at(&regions[FAKE_HOST], addr);
      zcmem_buffer_t chain[3] = {create(RW | USE, FAKE_OPS, host, 1000)};
      chain[1] = create_sub(chain[0], 0, 500, 500);
      chain[2] = create_sub(chain[1], 0, 250, 250);
      hal_addr_t first = info_of(chain[0]).addr;
      for (int n = 0; n < 3; n++) {
        for (int rest = n; rest < 3; rest++) {
          zcmem_buffer_t at = chain[orders[i][rest]];
          struct zcmem_view view = begin(at, 0, 250, RW);
          assert_in_range(view.addr, first, first + 750);
          end(view);
        }
        assert_status(zcmem_mem_free(hal, shadow != 0 ? first : mine), ZCMEM_EBUSY);
        zcmem_buffer_t gone = chain[orders[i][n]];
        release(gone);
        assert_status(zcmem_buffer_release(buffers, gone), ZCMEM_ENOENT);
        assert_status(zcmem_buffer_create_sub(buffers, gone, 0, 0, 1, &gone), ZCMEM_ENOENT);
      }
      assert_int_equal(stats_of(FAKE_OPS).live, 0);
      assert_unused(addr);
      assert_ok(zcmem_mem_free(hal, addr));
    }
  }
}

/* Released within a view: the number is dead, the view ends as ever, and only then is the memory let go. */
static void test_a_view_outlives_its_buffer(void **state) {
  unsigned char host[100];
  (void)state;
  for (int of_host = 0; of_host < 2; of_host++) {
    for (int sub = 0; sub < 2; sub++) {
      memset(host, 1, sizeof host);
      zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, 100), part = create_sub(buffer, 0, 10, 90), other = 0;
      hal_addr_t addr = info_of(buffer).addr;
      zcmem_buffer_t of = sub != 0 ? part : buffer;
      struct zcmem_view view = of_host != 0 ? map(of, 0, 90, MAP_RW) : begin(of, 0, 90, RW), none;
      release(buffer);
      release(part);
      assert_status(zcmem_buffer_begin(buffers, of, 0, 1, 0, NULL, &none), ZCMEM_ENOENT);
      assert_status(zcmem_buffer_release(buffers, of), ZCMEM_ENOENT);
      assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
      zcmem_buffer_t rival = create(RW | USE, FAKE_OPS, host, 100); /* the same host memory */
      assert_status(zcmem_buffer_begin(buffers, rival, 0, 100, RW, &other, &none), ZCMEM_EOVERLAP);
      assert_int_equal(other, of); /* it is named although it is dead */
      release(rival);
      assert_int_equal(counters().views, 1);
      if (of_host != 0) {
        unmap(view);
      } else {
        memset(fake_at(&regions[FAKE_OPS], view.addr), 2, 90);
        end(view);
        assert_int_equal(host[50], 2);
      }
      assert_int_equal(counters().views, 0);
      assert_int_equal(counters().buffers, 0);
      assert_int_equal(stats_of(FAKE_OPS).live, 0);
    }
  }
}

/* A free in the middle is refused, or waits, and the region's counters say which. */
static void test_a_block_in_use_is_not_freed(void **state) {
  (void)state;
  for (int inside = 0; inside < 2; inside++) {
    for (int deferred = 0; deferred < 2; deferred++) {
      struct zcmem_region_stats before = stats_of(FAKE_HOST);
      hal_addr_t addr = alloc(FAKE_HOST, 1000);
      unsigned char *host = fake_at(&regions[FAKE_HOST], addr);
      zcmem_buffer_t buffer = create(RW | USE, NOWHERE, host + 200, 100), none = 77;
      struct zcmem_view view = {0};
      if (inside != 0) {
        view = begin(buffer, 0, 100, RW);
      }
      if (deferred != 0) {
        assert_ok(zcmem_mem_free_deferred(hal, addr));
        assert_status(try_create(READ | USE, NOWHERE, host, 10, &none), ZCMEM_ENOENT); /* dead for all others */
      } else {
        assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
        assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
      }
      struct zcmem_region_stats now = stats_of(FAKE_HOST);
      assert_int_equal(now.bad_frees - before.bad_frees, deferred != 0 ? 0 : 2);
      assert_int_equal(now.deferred_frees - before.deferred_frees, deferred);
      assert_int_equal(now.frees, before.frees);
      assert_int_equal(now.live, 1);
      if (inside != 0) {
        end(view);
        assert_int_equal(stats_of(FAKE_HOST).live, 1); /* the buffer holds it, not the view */
      }
      end(begin(buffer, 0, 100, RW)); /* the memory is there as long as the buffer is */
      release(buffer);
      assert_int_equal(stats_of(FAKE_HOST).live, deferred != 0 ? 0 : 1);
      if (deferred == 0) {
        assert_ok(zcmem_mem_free(hal, addr));
      }
      assert_int_equal(stats_of(FAKE_HOST).frees, before.frees + 1);
    }
  }
}

/* Nobody can take a buffer's hold of its block away by undoing too much. */
static void test_an_unpin_too_many_leaves_the_buffer_its_block(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 100);
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, fake_at(&regions[FAKE_HOST], addr), 100);
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_ok(zcmem_mem_unpin(hal, addr));
  assert_status(zcmem_mem_unpin(hal, addr), ZCMEM_EBUSY);
  assert_status(zcmem_mem_unmap(hal, fake_at(&regions[FAKE_HOST], addr)), ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_what_is_left_ends_with_the_table(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_CACHED, 1000);
  unsigned char *host = regions[FAKE_CACHED].view + (size_t)(addr - base_of(FAKE_CACHED));
  unsigned char mine[100];
  memset(mine, 1, sizeof mine);
  zcmem_buffer_t over = create(RW | USE, NOWHERE, host, 1000), shadow = create(RW | USE, FAKE_OPS, mine, 100);
  zcmem_buffer_t fresh = create(RW, FAKE_MAP, NULL, 100), part = create_sub(over, 0, 100, 100);
  struct zcmem_view view = begin(shadow, 0, 100, RW);
  (void)begin(over, 0, 50, WRITE);
  (void)begin(part, 0, 50, READ);
  (void)map(fresh, 0, 50, MAP_RW);
  assert_int_equal(regions[FAKE_MAP].mapped, 1);
  memset(fake_at(&regions[FAKE_OPS], view.addr), 2, 100);
  unsigned invalidates = regions[FAKE_CACHED].calls[FAKE_CALL_INVALIDATE];
  assert_int_equal(close_table(), 4);
  assert_int_equal(mine[0], 1); /* without a copy */
  assert_int_equal(regions[FAKE_CACHED].calls[FAKE_CALL_INVALIDATE], invalidates);
  assert_int_equal(regions[FAKE_MAP].mapped, 0);
  assert_int_equal(stats_of(FAKE_OPS).live, 0);
  assert_int_equal(stats_of(FAKE_MAP).live, 0);
  assert_unused(addr);
  assert_ok(zcmem_mem_free(hal, addr));
  open_table(BUFFERS, VIEWS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      TABLE_TEST(test_sub_buffers_share_the_memory),
      TABLE_TEST(test_a_sub_buffer_may_do_less_not_more),
      TABLE_TEST(test_which_sub_buffers_are_refused),
      TABLE_TEST(test_a_sub_buffer_outlives_its_parent),
      TABLE_TEST(test_a_view_outlives_its_buffer),
      TABLE_TEST(test_a_block_in_use_is_not_freed),
      TABLE_TEST(test_an_unpin_too_many_leaves_the_buffer_its_block),
      TABLE_TEST(test_what_is_left_ends_with_the_table),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
