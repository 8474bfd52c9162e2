/* SPDX-License-Identifier: MIT */
/* What transfers count, and what is left when something in them fails or calls back. */
#include "hal_impl.h"
#include "transfer_fixture.h"

static void test_counters_tell_what_was_moved_and_what_failed(void **state) {
  (void)state;
  hal_addr_t a = alloc(FAKE_OPS, 1000), b = alloc(FAKE_MAP, 1000);
  assert_ok(zcmem_mem_write(hal, a, noise, 100));
  assert_ok(zcmem_mem_read(hal, noise, a, 30));
  assert_ok(zcmem_mem_fill(hal, a, noise, 3, 7));
  assert_ok(zcmem_mem_copy(hal, b, a, 50));
  assert_ok(zcmem_mem_copy(hal, a, a + 1, 11));
  assert_status(zcmem_mem_copy(hal, a, b, 1001), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_copy(hal, a, b + 1000, 1), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_copy(hal, a + 1000, b, 1), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_copy(hal, a, a + 1000, 1), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_copy(hal, a + 1000, a, 1), ZCMEM_EBOUNDS);
  assert_status(zcmem_mem_copy(hal, 1, a, 1), ZCMEM_ENOENT);
  assert_status(zcmem_mem_copy(hal, b, 1, 1), ZCMEM_ENOENT);
  struct zcmem_region_stats of_a = stats_of(FAKE_OPS), of_b = stats_of(FAKE_MAP);
  assert_int_equal(of_a.bytes_written, 100);
  assert_int_equal(of_a.bytes_read, 30);
  assert_int_equal(of_a.bytes_filled, 7);
  assert_int_equal(of_a.bytes_copied_out, 61);
  assert_int_equal(of_a.bytes_copied_in, 11);
  assert_int_equal(of_a.failed_transfers, 6);
  assert_int_equal(of_b.bytes_copied_in, 50);
  assert_int_equal(of_b.bytes_copied_out, 0);
  assert_int_equal(of_b.bytes_written, 0);
  assert_int_equal(of_b.bytes_read, 0);
  assert_int_equal(of_b.failed_transfers, 4);
  assert_ok(zcmem_mem_free(hal, a));
  assert_ok(zcmem_mem_free(hal, b));
}

static enum zcmem_status one_transfer(int kind, hal_addr_t dst, hal_addr_t src) {
  unsigned char bytes[100];
  switch (kind) {
  case 0:
    return zcmem_mem_read(hal, bytes, src, sizeof bytes);
  case 1:
    return zcmem_mem_write(hal, dst, noise, sizeof bytes);
  case 2:
    return zcmem_mem_fill(hal, dst, noise, 3, sizeof bytes);
  default:
    return zcmem_mem_copy(hal, dst, src, sizeof bytes);
  }
}

/* All bytes that a region's counters have seen. */
static uint64_t moved(int way) {
  struct zcmem_region_stats stats = stats_of(way);
  return stats.bytes_read + stats.bytes_written + stats.bytes_filled + stats.bytes_copied_in + stats.bytes_copied_out;
}

static uint64_t moved_in(int a, int b) {
  return moved(a) + (a == b ? 0 : moved(b));
}

static unsigned maps(int from, int to) {
  return regions[from].calls[FAKE_CALL_MAP] + regions[to].calls[FAKE_CALL_MAP];
}

/*
 * Each callback that a transfer makes fails in turn, until one goes through. A copy or a fill that cannot map the whole
 * range does it in chunks, so with more maps than when nothing fails.
 */
static void test_every_callback_may_fail(void **state) {
  unsigned failures = 0, detours = 0;
  (void)state;
  for (int from = 0; from < FAKE_NOTHING; from++) {
    for (int to = 0; to < FAKE_NOTHING; to++) {
      hal_addr_t src = alloc(from, 100), dst = alloc(to, 100);
      for (int kind = 0; kind < 4; kind++) {
        unsigned usual = maps(from, to);
        assert_ok(one_transfer(kind, dst, src));
        usual = maps(from, to) - usual;
        for (unsigned n = 1;; n++) {
          uint64_t failed = stats_of(from).failed_transfers + stats_of(to).failed_transfers;
          uint64_t before = moved_in(from, to);
          unsigned mapped = maps(from, to);
          fake.fail_callback_in = n;
          enum zcmem_status status = one_transfer(kind, dst, src);
          bool struck = fake.fail_callback_in == 0;
          bool detour = struck && kind >= 2 && maps(from, to) - mapped > usual;
          fake.fail_callback_in = 0;
          assert_status(status, struck && !detour ? ZCMEM_EIO : ZCMEM_OK);
          assert_unused(src);
          assert_unused(dst);
          assert_int_equal(regions[from].mapped + regions[to].mapped, 0);
          if (!struck) {
            break;
          }
          if (detour) {
            detours++;
            continue;
          }
          assert_int_equal(moved_in(from, to), before);
          assert_true(stats_of(from).failed_transfers + stats_of(to).failed_transfers > failed);
          failures++;
        }
      }
      assert_ok(zcmem_mem_free(hal, src));
      assert_ok(zcmem_mem_free(hal, dst));
    }
  }
  assert_true(failures > 100);
  assert_true(detours > 20);
}

/* Ends what a lock that failed has left in use: what no user can, for the teardown to find nothing live. */
static uint32_t end_transfers(int way, hal_addr_t addr) {
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(hal, addr, &info));
  for (uint32_t i = 0; i < info.transfers; i++) {
    assert_ok(zcmem_heap_end_transfer(hal->regions[way].heap, addr, NULL));
  }
  return info.transfers;
}

/*
 * As if another thread were changing blocks of the regions all the time: no transfer can do without the lock. Nothing
 * is as it seems to those that look without it; so only transfers are made meanwhile.
 */
static void disturb(int a, int b) {
  zcmem__atomic_change(&hal->regions[a].version);
  if (a != b) {
    zcmem__atomic_change(&hal->regions[b].version);
  }
}

static void settle(int a, int b) {
  zcmem__atomic_changed(&hal->regions[a].version);
  if (a != b) {
    zcmem__atomic_changed(&hal->regions[b].version);
  }
}

/* What hal.h says of a lock that fails: before the move nothing has happened, after it the block stays in use. */
static void fail_each_lock(int kind, int from, int to) {
  unsigned locks = kind == 3 ? 4 : 2;
  for (unsigned n = 1; n <= locks; n++) {
    hal_addr_t src = alloc(from, 100), dst = alloc(to, 100);
    assert_ok(one_transfer(kind, dst, src)); /* the region's first one takes a lock of its own */
    uint64_t before = moved_in(from, to);
    unsigned calls = regions[from].calls[FAKE_CALL_READ] + regions[from].calls[FAKE_CALL_COPY];
    disturb(from, to);
    fake.fail_lock_in = n;
    enum zcmem_status status = one_transfer(kind, dst, src);
    settle(from, to);
    assert_status(status, ZCMEM_ELOCK);
    assert_int_equal(fake.fail_lock_in, 0);
    assert_int_equal(fake.locks_held, 0);
    /* A copy has two uses to end: one lock that fails leaves one of them, and does not count its bytes. */
    assert_int_equal(moved_in(from, to), before + (n > 2 ? 100 : 0));
    if (n <= locks / 2) {
      assert_int_equal(regions[from].calls[FAKE_CALL_READ] + regions[from].calls[FAKE_CALL_COPY], calls);
    }
    assert_int_equal(end_transfers(from, src) + end_transfers(to, dst), n > locks / 2 ? 1 : 0);
    assert_ok(zcmem_mem_free(hal, src));
    assert_ok(zcmem_mem_free(hal, dst));
  }
}

static void test_a_lock_that_fails_loses_nothing_else(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    fail_each_lock(kind, FAKE_OPS, FAKE_HOST);
    fail_each_lock(kind, FAKE_OPS, FAKE_OPS);
  }
}

/* A copy whose destination is refused has begun at the source: if ending that fails, the lock is what is answered. */
static void test_a_lock_that_fails_after_a_refusal(void **state) {
  (void)state;
  for (int to = FAKE_OPS; to <= FAKE_READ_WRITE; to++) {
    hal_addr_t src = alloc(FAKE_OPS, 100), dst = alloc(to, 100);
    assert_ok(zcmem_mem_copy(hal, dst, src, 100));
    disturb(FAKE_OPS, to);
    fake.fail_lock_in = 3;
    enum zcmem_status status = zcmem_mem_copy(hal, dst + 50, src, 100);
    settle(FAKE_OPS, to);
    assert_status(status, ZCMEM_ELOCK);
    assert_int_equal(fake.fail_lock_in, 0);
    assert_int_equal(end_transfers(FAKE_OPS, src), 1);
    assert_unused(dst);
    assert_ok(zcmem_mem_free(hal, src));
    assert_ok(zcmem_mem_free(hal, dst));
  }
}

/* What the locked way moves is counted, and refused, as what the other one does. */
static void test_with_the_lock_all_is_the_same(void **state) {
  unsigned char out[100];
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, 100);
    for (int locked = 0; locked < 2; locked++) {
      uint64_t moved_before = moved(way), failed = stats_of(way).failed_transfers;
      assert_ok(zcmem_mem_write(hal, addr, noise, 1)); /* the first one */
      unsigned locks = fake.lock_calls;
      if (locked != 0) {
        disturb(way, way);
      }
      enum zcmem_status wrote = zcmem_mem_write(hal, addr, noise + locked, 100);
      enum zcmem_status read = zcmem_mem_read(hal, out, addr, 100);
      enum zcmem_status copied = zcmem_mem_copy(hal, addr + 50, addr, 50);
      enum zcmem_status filled = zcmem_mem_fill(hal, addr, noise, 5, 7);
#ifdef ZCMEM__DIRECT
      assert_int_equal(fake.lock_calls - locks, locked != 0 ? 10 : 0);
#else
      assert_int_equal(fake.lock_calls - locks, 10);
#endif
      enum zcmem_status beyond = zcmem_mem_read(hal, out, addr + 1, 100);
      if (locked != 0) {
        settle(way, way);
      }
      assert_ok(wrote);
      assert_ok(read);
      assert_ok(copied);
      assert_ok(filled);
      assert_status(beyond, ZCMEM_EBOUNDS);
      assert_memory_equal(out, noise + locked, 100);
      assert_memory_equal(fake_at(&regions[way], addr + 50), noise + locked, 50);
      assert_memory_equal(fake_at(&regions[way], addr), noise, 5);
      assert_int_equal(moved(way), moved_before + 1 + 100 + 100 + 50 + 50 + 7);
      assert_int_equal(stats_of(way).failed_transfers, failed + 1);
      assert_unused(addr);
    }
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

#ifdef ZCMEM__DIRECT
static void test_the_first_transfer_of_a_region_may_find_no_lock(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_OPS, 100);
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_write(hal, addr, noise, 100), ZCMEM_ELOCK);
  assert_int_equal(regions[FAKE_OPS].calls[FAKE_CALL_WRITE], 0);
  assert_unused(addr);
  assert_ok(zcmem_mem_write(hal, addr, noise, 100));
  assert_ok(zcmem_mem_free(hal, addr));
}

static void free_deferred(void *arg) {
  assert_ok(zcmem_mem_free_deferred(hal, *(hal_addr_t *)arg));
  fake.fail_lock_in = 1;
}

/* A zombie's last use takes the lock to end, and stays where it cannot. */
static void test_a_lock_that_fails_keeps_a_zombie(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_OPS, 100);
  assert_ok(zcmem_mem_write(hal, addr, noise, 100));
  uint64_t moved_before = moved(FAKE_OPS);
  regions[FAKE_OPS].inside = free_deferred;
  regions[FAKE_OPS].arg = &addr;
  assert_status(zcmem_mem_write(hal, addr, noise, 100), ZCMEM_ELOCK);
  assert_int_equal(fake.fail_lock_in, 0);
  assert_int_equal(moved(FAKE_OPS), moved_before);
  assert_int_equal(stats_of(FAKE_OPS).live, 1);
  assert_ok(zcmem_hal_check(hal));
  bool freed = false;
  assert_ok(zcmem_heap_end_transfer(hal->regions[FAKE_OPS].heap, addr, &freed));
  assert_true(freed);
}
#endif

struct reentry {
  hal_addr_t busy; /* the block in the transfer */
  int way;
  enum zcmem_status freed, shrunk, deferred;
  bool defer;
};

static void reenter(void *arg) {
  struct reentry *reentry = arg;
  unsigned char byte = 0;
  struct zcmem_block_info info;
  hal_addr_t other = alloc(reentry->way, 100);
  assert_ok(zcmem_mem_write(hal, other, noise, 100));
  assert_ok(zcmem_mem_copy(hal, other, reentry->busy, 1));
  assert_ok(zcmem_mem_read(hal, &byte, other, 1));
  assert_ok(zcmem_mem_free(hal, other));
  assert_ok(zcmem_mem_info(hal, reentry->busy, &info));
  assert_int_equal(info.transfers, 1);
  assert_int_equal(info.pins, 0);
  reentry->freed = zcmem_mem_free(hal, reentry->busy);
  reentry->shrunk = zcmem_mem_resize(hal, reentry->busy, 1);
  assert_status(zcmem_mem_unpin(hal, reentry->busy), ZCMEM_EBUSY); /* an unpin too many cannot end a transfer */
  if (reentry->defer) {
    reentry->deferred = zcmem_mem_free_deferred(hal, reentry->busy);
  }
}

static void test_callbacks_may_call_the_facade(void **state) {
  (void)state;
  for (int way = FAKE_CACHED; way < FAKE_NOTHING; way++) {
    for (int defer = 0; defer < 2; defer++) {
      hal_addr_t addr = alloc(way, 1000);
      struct reentry reentry = {.busy = addr, .way = way, .defer = defer != 0, .deferred = ZCMEM_EIO};
      uint64_t frees = stats_of(way).frees;
      regions[way].inside = reenter;
      regions[way].arg = &reentry;
      assert_ok(zcmem_mem_write(hal, addr, noise, 1000));
      assert_null(regions[way].inside);
      assert_status(reentry.freed, ZCMEM_EBUSY);
      assert_status(reentry.shrunk, ZCMEM_EBUSY);
      if (defer != 0) {
        /* The block lived until the transfer ended, and was then freed. */
        assert_ok(reentry.deferred);
        assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
        assert_int_equal(stats_of(way).deferred_frees, 1);
        assert_int_equal(stats_of(way).frees, frees + 2);
        assert_int_equal(stats_of(way).live, 0);
      } else {
        assert_ok(zcmem_mem_free(hal, addr));
      }
    }
  }
}

static void test_the_number_of_transfers_of_a_block_is_bounded(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 100);
  struct zcmem_heap *heap = hal->regions[FAKE_HOST].heap;
  for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_heap_begin_transfer(heap, addr, 1, NULL));
  }
  assert_all_answer(addr, 1, addr, ZCMEM_EBUSY);
  assert_ok(zcmem_heap_end_transfer(heap, addr, NULL));
  assert_ok(zcmem_mem_write(hal, addr, noise, 1));
  assert_status(zcmem_mem_copy(hal, addr, addr, 1), ZCMEM_EBUSY); /* the second of its two uses */
  for (unsigned i = 1; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(zcmem_heap_end_transfer(heap, addr, NULL));
  }
  assert_unused(addr);
  assert_ok(zcmem_mem_free(hal, addr));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_counters_tell_what_was_moved_and_what_failed),
      TEST(test_every_callback_may_fail),
      TEST(test_a_lock_that_fails_loses_nothing_else),
      TEST(test_a_lock_that_fails_after_a_refusal),
      TEST(test_with_the_lock_all_is_the_same),
#ifdef ZCMEM__DIRECT
      TEST(test_the_first_transfer_of_a_region_may_find_no_lock),
      TEST(test_a_lock_that_fails_keeps_a_zombie),
#endif
      TEST(test_callbacks_may_call_the_facade),
      TEST(test_the_number_of_transfers_of_a_block_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
