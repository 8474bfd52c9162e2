/* SPDX-License-Identifier: MIT */
#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

#define BYTES ((size_t)32768)
#define BOUNCE 16u

static const char *const names[FAKE_WAYS] = {"host", "cached", "ops", "read-write", "map", "direct", "nothing"};

/* A HAL with one region of each way, and what the test thinks of it. */
static struct zcmem_hal *hal;
static struct fake_region regions[FAKE_WAYS];
static unsigned char noise[8192];

static hal_addr_t base_of(int way) {
  return ((hal_addr_t)way + 1) << 32;
}

static void open_hal(size_t bounce) {
  struct zcmem_region_config configs[FAKE_WAYS];
  struct zcmem_hal_config config = {.name = "fake",
                                    .max_regions = FAKE_WAYS,
                                    .max_mappings = 2,
                                    .bounce_bytes = bounce,
                                    .lock = &fake_lock,
                                    .allocator = &fake_allocator};
  uint64_t state = 1;
  fake_reset();
  for (int way = 0; way < FAKE_WAYS; way++)
    configs[way] = fake_region_open(&regions[way], (enum fake_way)way, names[way], base_of(way), BYTES);
  assert_ok(zcmem_hal_create(&config, configs, FAKE_WAYS, &hal));
  for (size_t i = 0; i < sizeof noise; i++)
    noise[i] = (unsigned char)random_next(&state);
}

static int setup(void **state) {
  (void)state;
  open_hal(BOUNCE);
  return 0;
}

/* Every test frees what it allocated, and whatever it did, no use and no lock is left. */
static int teardown(void **state) {
  (void)state;
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (int way = 0; way < FAKE_WAYS; way++)
    fake_region_close(&regions[way]);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return 0;
}

static hal_addr_t alloc(int way, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, (uint32_t)way, size, 1, &addr));
  return addr;
}

static struct zcmem_region_stats stats_of(int way) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, (uint32_t)way, &stats));
  return stats;
}

static void assert_unused(hal_addr_t addr) {
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(hal, addr, &info));
  assert_int_equal(info.pins, 0);
  assert_int_equal(info.transfers, 0);
}

static void test_read_brings_back_what_write_took(void **state) {
  unsigned char out[1000];
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, sizeof out);
    for (size_t offset = 0; offset < 300; offset += 37) {
      size_t size = sizeof out - offset - offset % 5;
      memset(fake_at(&regions[way], addr), 0x11, sizeof out);
      memset(out, 0x22, sizeof out);
      assert_ok(zcmem_mem_write(hal, addr + offset, noise, size));
      assert_memory_equal(fake_at(&regions[way], addr + offset), noise, size);
      assert_ok(zcmem_mem_read(hal, out + 1, addr + offset, size - 1));
      assert_memory_equal(out + 1, noise, size - 1);
      assert_int_equal(out[0], 0x22);
      if (offset > 0)
        assert_int_equal(*fake_at(&regions[way], addr + offset - 1), 0x11);
      if (offset + size < sizeof out)
        assert_int_equal(*fake_at(&regions[way], addr + offset + size), 0x11);
    }
    assert_unused(addr);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

/* Every distance around the bounce buffer's size, in both directions, against memmove. */
static void test_overlapping_copy_within_a_region_is_memmove(void **state) {
  unsigned char model[300];
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, sizeof model);
    for (size_t dst = 0; dst <= 80; dst++) {
      for (size_t size = 1; size < 200; size += 1 + size / 3) {
        memcpy(model, noise, sizeof model);
        assert_ok(zcmem_mem_write(hal, addr, noise, sizeof model));
        memmove(model + dst, model + 40, size);
        assert_ok(zcmem_mem_copy(hal, addr + dst, addr + 40, size));
        assert_memory_equal(fake_at(&regions[way], addr), model, sizeof model);
      }
    }
    assert_unused(addr);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

static void test_copy_between_two_blocks_of_a_region(void **state) {
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t low = alloc(way, 1000), high = alloc(way, 1000);
    assert_ok(zcmem_mem_write(hal, low, noise, 1000));
    assert_ok(zcmem_mem_copy(hal, high + 3, low, 997));
    assert_memory_equal(fake_at(&regions[way], high + 3), noise, 997);
    assert_ok(zcmem_mem_write(hal, high, noise + 500, 1000));
    assert_ok(zcmem_mem_copy(hal, low, high, 1000));
    assert_memory_equal(fake_at(&regions[way], low), noise + 500, 1000);
    assert_ok(zcmem_mem_free(hal, low));
    assert_ok(zcmem_mem_free(hal, high));
  }
}

static void test_copy_between_two_regions_of_any_kind(void **state) {
  (void)state;
  for (int from = 0; from < FAKE_NOTHING; from++) {
    for (int to = 0; to < FAKE_NOTHING; to++) {
      hal_addr_t src = alloc(from, 1000), dst = alloc(to, 1000);
      assert_ok(zcmem_mem_write(hal, src, noise, 1000));
      memset(fake_at(&regions[to], dst), 0x33, 1000);
      assert_ok(zcmem_mem_copy(hal, dst + 1, src + 2, 990));
      assert_memory_equal(fake_at(&regions[to], dst + 1), noise + 2, 990);
      assert_int_equal(*fake_at(&regions[to], dst), 0x33);
      assert_int_equal(*fake_at(&regions[to], dst + 991), 0x33);
      assert_unused(src);
      assert_unused(dst);
      assert_ok(zcmem_mem_free(hal, src));
      assert_ok(zcmem_mem_free(hal, dst));
    }
  }
}

static void test_bounced_copies_go_in_bounded_chunks(void **state) {
  (void)state;
  hal_addr_t src = alloc(FAKE_READ_WRITE, 1000), dst = alloc(FAKE_MAP, 1000);
  assert_ok(zcmem_mem_copy(hal, dst, src, 1000));
  assert_int_equal(regions[FAKE_READ_WRITE].calls[FAKE_CALL_READ], (1000 + BOUNCE - 1) / BOUNCE);
  assert_int_equal(regions[FAKE_MAP].calls[FAKE_CALL_MAP], (1000 + BOUNCE - 1) / BOUNCE);
  assert_int_equal(regions[FAKE_MAP].calls[FAKE_CALL_UNMAP], (1000 + BOUNCE - 1) / BOUNCE);
  assert_ok(zcmem_mem_free(hal, src));
  assert_ok(zcmem_mem_free(hal, dst));
}

static void test_a_mapped_side_needs_no_bounce(void **state) {
  (void)state;
  hal_addr_t host = alloc(FAKE_HOST, 1000), device = alloc(FAKE_READ_WRITE, 1000);
  assert_ok(zcmem_mem_copy(hal, device, host, 1000));
  assert_ok(zcmem_mem_copy(hal, host, device, 1000));
  assert_int_equal(regions[FAKE_READ_WRITE].calls[FAKE_CALL_READ], 1);
  assert_int_equal(regions[FAKE_READ_WRITE].calls[FAKE_CALL_WRITE], 1);
  assert_ok(zcmem_mem_free(hal, host));
  assert_ok(zcmem_mem_free(hal, device));
}

static void test_fill_repeats_the_pattern_and_cuts_the_tail(void **state) {
  static const size_t pattern_sizes[] = {1, 2, 3, 7, 15, 16, 17, 31, 128, 999, 1000, 5000};
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, 1002);
    for (size_t p = 0; p < sizeof pattern_sizes / sizeof *pattern_sizes; p++) {
      for (size_t size = 1; size <= 1000; size += 111) {
        memset(fake_at(&regions[way], addr), 0x44, 1002);
        assert_ok(zcmem_mem_fill(hal, addr + 1, noise, pattern_sizes[p], size));
        for (size_t i = 0; i < size; i++)
          assert_int_equal(*fake_at(&regions[way], addr + 1 + i), noise[i % pattern_sizes[p]]);
        assert_int_equal(*fake_at(&regions[way], addr), 0x44);
        assert_int_equal(*fake_at(&regions[way], addr + 1 + size), 0x44);
      }
    }
    assert_unused(addr);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

static void test_pattern_may_lie_in_the_range_that_is_filled(void **state) {
  void *host = NULL;
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 100);
  assert_ok(zcmem_mem_write(hal, addr, noise, 100));
  assert_ok(zcmem_mem_host(hal, addr + 5, 7, &host));
  assert_ok(zcmem_mem_fill(hal, addr, host, 7, 100));
  for (size_t i = 0; i < 100; i++)
    assert_int_equal(*fake_at(&regions[FAKE_HOST], addr + i), noise[5 + i % 7]);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_pattern_size_0_is_refused(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_OPS, 100);
  assert_status(zcmem_mem_fill(hal, addr, noise, 0, 100), ZCMEM_EINVAL);
  assert_status(zcmem_mem_fill(hal, addr, noise, 0, 0), ZCMEM_EINVAL);
  assert_int_equal(stats_of(FAKE_OPS).failed_transfers, 2);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_transfers_of_0_bytes_succeed_and_look_at_no_address(void **state) {
  (void)state;
  assert_ok(zcmem_mem_read(hal, NULL, 5, 0));
  assert_ok(zcmem_mem_write(hal, 5, NULL, 0));
  assert_ok(zcmem_mem_copy(hal, 5, UINT64_MAX, 0));
  assert_ok(zcmem_mem_fill(hal, 5, NULL, 1, 0));
  assert_status(zcmem_mem_read(NULL, NULL, 5, 0), ZCMEM_EINVAL);
  assert_int_equal(fake.lock_calls, FAKE_WAYS * 2); /* none but those of adding the regions */
}

static void test_null_is_refused(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 100);
  assert_status(zcmem_mem_read(NULL, noise, addr, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write(NULL, addr, noise, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_copy(NULL, addr, addr, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_fill(NULL, addr, noise, 1, 1), ZCMEM_EINVAL);
  assert_int_equal(stats_of(FAKE_HOST).failed_transfers, 0);
  assert_status(zcmem_mem_read(hal, NULL, addr, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_write(hal, addr, NULL, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_fill(hal, addr, NULL, 1, 1), ZCMEM_EINVAL);
  assert_int_equal(stats_of(FAKE_HOST).failed_transfers, 3);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* The four transfers with one address each; a copy from and to `good`. */
static void assert_all_answer(hal_addr_t addr, hal_size_t size, hal_addr_t good, enum zcmem_status want) {
  assert_status(zcmem_mem_read(hal, noise, addr, size), want);
  assert_status(zcmem_mem_write(hal, addr, noise, size), want);
  assert_status(zcmem_mem_copy(hal, good, addr, size), want);
  assert_status(zcmem_mem_copy(hal, addr, good, size), want);
  assert_status(zcmem_mem_fill(hal, addr, noise, 1, size), want);
}

static void test_freed_and_foreign_addresses_are_refused(void **state) {
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, 1000), good = alloc(FAKE_HOST, 2000), same = alloc(way, 2000);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_all_answer(addr, 10, good, ZCMEM_ENOENT);
    assert_all_answer(addr + 1, 10, same, ZCMEM_ENOENT);
    assert_all_answer(0, 10, good, ZCMEM_ENOENT);
    assert_all_answer(UINT64_MAX, 10, good, ZCMEM_ENOENT);
    assert_all_answer(base_of(way) - 1, 10, good, ZCMEM_ENOENT);
    assert_all_answer((hal_addr_t)(uintptr_t)regions[way].memory, 10, good, ZCMEM_ENOENT);
    assert_unused(good);
    assert_unused(same);
    assert_ok(zcmem_mem_free(hal, good));
    assert_ok(zcmem_mem_free(hal, same));
  }
}

static void test_ranges_that_leave_their_block_are_refused(void **state) {
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    /* The range of `good` is large enough for what can be in range of `addr`. */
    hal_addr_t addr = alloc(way, 1000), good = alloc(FAKE_HOST, 2000), next = alloc(way, 1000);
    assert_all_answer(addr, 1001, good, ZCMEM_EBOUNDS);
    assert_all_answer(addr, 1001, next, ZCMEM_EBOUNDS);
    assert_all_answer(addr + 999, 2, good, ZCMEM_EBOUNDS);
    assert_all_answer(addr + 1000, 1, good, ZCMEM_EBOUNDS); /* in the last quantum, behind what was requested */
    assert_status(zcmem_mem_copy(hal, addr, good + 1, 2000), ZCMEM_EBOUNDS);
    assert_ok(zcmem_mem_write(hal, addr + 999, noise, 1));
    assert_ok(zcmem_mem_write(hal, addr, noise, 1000));
    assert_unused(addr);
    assert_unused(good);
    assert_unused(next);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_ok(zcmem_mem_free(hal, good));
    assert_ok(zcmem_mem_free(hal, next));
  }
}

static void test_ranges_that_wrap_are_refused(void **state) {
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, 1000);
    /* The host's range wraps as well; with the pattern's one byte only the device's does. */
    assert_status(zcmem_mem_fill(hal, addr + 8, noise, 1, UINT64_MAX), ZCMEM_EBOUNDS);
    assert_status(zcmem_mem_fill(hal, addr + 8, noise, 1, UINT64_MAX - addr), ZCMEM_EBOUNDS);
    assert_status(zcmem_mem_fill(hal, addr, noise, 1, UINT64_MAX - 9), ZCMEM_EBOUNDS);
    assert_status(zcmem_mem_copy(hal, addr, addr + 8, UINT64_MAX - 7), ZCMEM_EBOUNDS);
    assert_status(zcmem_mem_read(hal, noise, addr, UINT64_MAX), ZCMEM_EINVAL);
    assert_status(zcmem_mem_write(hal, addr, noise, UINT64_MAX), ZCMEM_EINVAL);
    assert_unused(addr);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

static void test_a_region_without_a_way_answers_enotmapped(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_NOTHING, 1000), good = alloc(FAKE_HOST, 1000);
  assert_all_answer(addr, 1000, good, ZCMEM_ENOTMAPPED);
  assert_status(zcmem_mem_copy(hal, addr, addr, 10), ZCMEM_ENOTMAPPED);
  assert_int_equal(stats_of(FAKE_NOTHING).failed_transfers, 6);
  assert_unused(addr);
  assert_unused(good);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_ok(zcmem_mem_free(hal, good));
}

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

/* Counts the calls that a transfer makes, then makes each of them fail in turn: first callbacks, then locks. */
static void test_every_callback_may_fail(void **state) {
  unsigned failures = 0;
  (void)state;
  for (int from = 0; from < FAKE_NOTHING; from++) {
    for (int to = 0; to < FAKE_NOTHING; to++) {
      hal_addr_t src = alloc(from, 100), dst = alloc(to, 100);
      for (int kind = 0; kind < 4; kind++) {
        for (unsigned n = 1;; n++) {
          uint64_t failed = stats_of(from).failed_transfers + stats_of(to).failed_transfers;
          fake.fail_callback_in = n;
          enum zcmem_status status = one_transfer(kind, dst, src);
          bool struck = fake.fail_callback_in == 0;
          fake.fail_callback_in = 0;
          assert_status(status, struck ? ZCMEM_EIO : ZCMEM_OK);
          assert_unused(src);
          assert_unused(dst);
          assert_int_equal(regions[from].mapped + regions[to].mapped, 0);
          if (!struck)
            break;
          assert_true(stats_of(from).failed_transfers + stats_of(to).failed_transfers > failed);
          failures++;
        }
      }
      assert_ok(zcmem_mem_free(hal, src));
      assert_ok(zcmem_mem_free(hal, dst));
    }
  }
  assert_true(failures > 100);
}

/* What hal.h says of a lock that fails: before the move nothing has happened, after it the block stays in use. */
static void test_a_lock_that_fails_loses_nothing_else(void **state) {
  (void)state;
  for (int kind = 0; kind < 4; kind++) {
    unsigned locks = kind == 3 ? 4 : 2;
    for (unsigned n = 1; n <= locks; n++) {
      struct zcmem_block_info of_src, of_dst;
      hal_addr_t src = alloc(FAKE_OPS, 100), dst = alloc(FAKE_HOST, 100);
      hal_addr_t read_from = src, write_to = dst;
      uint64_t moved = stats_of(FAKE_OPS).bytes_read + stats_of(FAKE_HOST).bytes_written;
      fake.fail_lock_in = n;
      assert_status(one_transfer(kind, dst, src), ZCMEM_ELOCK);
      assert_int_equal(fake.fail_lock_in, 0);
      assert_int_equal(fake.locks_held, 0);
      assert_int_equal(stats_of(FAKE_OPS).bytes_read + stats_of(FAKE_HOST).bytes_written, moved);
      assert_ok(zcmem_mem_info(hal, src, &of_src));
      assert_ok(zcmem_mem_info(hal, dst, &of_dst));
      assert_int_equal(of_src.transfers + of_dst.transfers, n > locks / 2 ? 1 : 0);
      /* Put right what no user can, for the teardown to find nothing live. */
      if (of_src.transfers > 0)
        assert_ok(zcmem_heap_end_transfer(hal->regions[FAKE_OPS].heap, read_from, NULL));
      if (of_dst.transfers > 0)
        assert_ok(zcmem_heap_end_transfer(hal->regions[FAKE_HOST].heap, write_to, NULL));
      assert_ok(zcmem_mem_free(hal, src));
      assert_ok(zcmem_mem_free(hal, dst));
    }
  }
}

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
  if (reentry->defer)
    reentry->deferred = zcmem_mem_free_deferred(hal, reentry->busy);
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
  for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++)
    assert_ok(zcmem_heap_begin_transfer(heap, addr, 1, NULL));
  assert_all_answer(addr, 1, addr, ZCMEM_EBUSY);
  assert_ok(zcmem_heap_end_transfer(heap, addr, NULL));
  assert_ok(zcmem_mem_write(hal, addr, noise, 1));
  assert_status(zcmem_mem_copy(hal, addr, addr, 1), ZCMEM_EBUSY); /* the second of its two uses */
  for (unsigned i = 1; i < ZCMEM_MAX_PINS; i++)
    assert_ok(zcmem_heap_end_transfer(heap, addr, NULL));
  assert_unused(addr);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* With the largest bounce buffer, sizes around it. */
static void test_copies_around_the_largest_bounce_buffer(void **state) {
  (void)teardown(state);
  open_hal(0);
  for (size_t size = 4090; size <= 4100; size++) {
    hal_addr_t addr = alloc(FAKE_READ_WRITE, 8192), to = alloc(FAKE_MAP, 8192);
    unsigned char model[8192];
    memcpy(model, noise, sizeof model);
    assert_ok(zcmem_mem_write(hal, addr, noise, 8192));
    memmove(model + 100, model, size);
    assert_ok(zcmem_mem_copy(hal, addr + 100, addr, size));
    assert_memory_equal(fake_at(&regions[FAKE_READ_WRITE], addr), model, sizeof model);
    assert_ok(zcmem_mem_copy(hal, to, addr, 8192));
    assert_memory_equal(fake_at(&regions[FAKE_MAP], to), model, sizeof model);
    assert_ok(zcmem_mem_fill(hal, to, noise, size, 8192));
    for (size_t i = 0; i < 8192; i++)
      assert_int_equal(*fake_at(&regions[FAKE_MAP], to + i), noise[i % size]);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_ok(zcmem_mem_free(hal, to));
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_read_brings_back_what_write_took),
      TEST(test_overlapping_copy_within_a_region_is_memmove),
      TEST(test_copy_between_two_blocks_of_a_region),
      TEST(test_copy_between_two_regions_of_any_kind),
      TEST(test_bounced_copies_go_in_bounded_chunks),
      TEST(test_a_mapped_side_needs_no_bounce),
      TEST(test_fill_repeats_the_pattern_and_cuts_the_tail),
      TEST(test_pattern_may_lie_in_the_range_that_is_filled),
      TEST(test_pattern_size_0_is_refused),
      TEST(test_transfers_of_0_bytes_succeed_and_look_at_no_address),
      TEST(test_null_is_refused),
      TEST(test_freed_and_foreign_addresses_are_refused),
      TEST(test_ranges_that_leave_their_block_are_refused),
      TEST(test_ranges_that_wrap_are_refused),
      TEST(test_a_region_without_a_way_answers_enotmapped),
      TEST(test_counters_tell_what_was_moved_and_what_failed),
      TEST(test_every_callback_may_fail),
      TEST(test_a_lock_that_fails_loses_nothing_else),
      TEST(test_callbacks_may_call_the_facade),
      TEST(test_the_number_of_transfers_of_a_block_is_bounded),
      TEST(test_copies_around_the_largest_bounce_buffer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
