/* SPDX-License-Identifier: MIT */
/* Where the bytes go, and which ranges are refused. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "transfer_fixture.h"
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

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
      if (offset > 0) {
        assert_int_equal(*fake_at(&regions[way], addr + offset - 1), 0x11);
      }
      if (offset + size < sizeof out) {
        assert_int_equal(*fake_at(&regions[way], addr + offset + size), 0x11);
      }
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

/* A host's view of the memory may be stale: every transfer looks at what the device sees now. */
static void test_what_the_device_stored_is_seen(void **state) {
  unsigned char out[100];
  (void)state;
  for (int way = 0; way < FAKE_NOTHING; way++) {
    hal_addr_t addr = alloc(way, 300), other = alloc(FAKE_READ_WRITE, 100);
    assert_ok(zcmem_mem_write(hal, addr, noise, 300));
    memset(fake_at(&regions[way], addr), 0x71, 100);
    assert_ok(zcmem_mem_read(hal, out, addr, 100));
    assert_memory_equal(out, fake_at(&regions[way], addr), 100);
    memset(fake_at(&regions[way], addr), 0x72, 100);
    assert_ok(zcmem_mem_copy(hal, addr + 200, addr, 100));
    assert_memory_equal(fake_at(&regions[way], addr + 200), fake_at(&regions[way], addr), 100);
    memset(fake_at(&regions[way], addr), 0x73, 100);
    assert_ok(zcmem_mem_copy(hal, other, addr, 100));
    assert_memory_equal(fake_at(&regions[FAKE_READ_WRITE], other), fake_at(&regions[way], addr), 100);
    assert_int_equal(*fake_at(&regions[way], addr + 99), 0x73);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_ok(zcmem_mem_free(hal, other));
  }
}

static void test_bounced_copies_go_in_bounded_chunks(void **state) {
  (void)state;
  hal_addr_t src = alloc(FAKE_READ_WRITE, 1000), dst = alloc(FAKE_OPS, 1000);
  assert_ok(zcmem_mem_copy(hal, dst, src, 1000));
  assert_int_equal(regions[FAKE_READ_WRITE].calls[FAKE_CALL_READ], (1000 + BOUNCE - 1) / BOUNCE);
  assert_int_equal(regions[FAKE_OPS].calls[FAKE_CALL_WRITE], (1000 + BOUNCE - 1) / BOUNCE);
  assert_int_equal(regions[FAKE_OPS].calls[FAKE_CALL_MAP], 0);
  assert_ok(zcmem_mem_free(hal, src));
  assert_ok(zcmem_mem_free(hal, dst));
}

static void forget_calls(void) {
  for (int way = 0; way < FAKE_WAYS; way++) {
    memset(regions[way].calls, 0, sizeof regions[way].calls);
  }
}

static bool maps_only(int way) {
  return way == FAKE_MAP || way == FAKE_MAP_DIRECT;
}

/* Whatever is on the other side, a range that only map can reach is mapped once. */
static void test_a_range_is_mapped_as_a_whole(void **state) {
  (void)state;
  for (int from = 0; from < FAKE_NOTHING; from++) {
    for (int to = 0; to < FAKE_NOTHING; to++) {
      hal_addr_t src = alloc(from, 1000), dst = alloc(to, 1000);
      assert_ok(zcmem_mem_write(hal, src, noise, 1000));
      forget_calls();
      assert_ok(zcmem_mem_copy(hal, dst, src, 1000));
      assert_memory_equal(fake_at(&regions[to], dst), noise, 1000);
      unsigned maps = regions[from].calls[FAKE_CALL_MAP] + (from == to ? 0 : regions[to].calls[FAKE_CALL_MAP]);
      unsigned unmaps = regions[from].calls[FAKE_CALL_UNMAP] + (from == to ? 0 : regions[to].calls[FAKE_CALL_UNMAP]);
      assert_int_equal(maps, maps_only(from) + maps_only(to));
      assert_int_equal(unmaps, maps);
      assert_ok(zcmem_mem_free(hal, src));
      assert_ok(zcmem_mem_free(hal, dst));
    }
  }
  hal_addr_t addr = alloc(FAKE_MAP, 1000);
  forget_calls();
  assert_ok(zcmem_mem_fill(hal, addr, noise, 3, 1000));
  assert_int_equal(regions[FAKE_MAP].calls[FAKE_CALL_MAP], 1);
  assert_int_equal(regions[FAKE_MAP].last_flags, ZCMEM_MAP_WRITE);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* A driver whose window is too small for the whole, as the one whose first map fails, is asked for parts. */
static void test_what_cannot_be_mapped_as_a_whole_goes_in_chunks(void **state) {
  const unsigned chunks = (1000 + BOUNCE - 1) / BOUNCE;
  (void)state;
  for (int way = FAKE_MAP; way <= FAKE_MAP_DIRECT; way++) {
    hal_addr_t src = alloc(way, 1000), dst = alloc(way, 1000);
    for (unsigned n = 1; n <= 2; n++) { /* the map of the source, and of the destination */
      assert_ok(zcmem_mem_write(hal, src, noise + n, 1000));
      forget_calls();
      fake.fail_callback_in = n;
      assert_ok(zcmem_mem_copy(hal, dst, src, 1000));
      assert_int_equal(fake.fail_callback_in, 0);
      assert_memory_equal(fake_at(&regions[way], dst), noise + n, 1000);
      assert_int_equal(regions[way].calls[FAKE_CALL_MAP], n + 2 * chunks);
      assert_int_equal(regions[way].calls[FAKE_CALL_UNMAP], n - 1 + 2 * chunks);
      assert_int_equal(stats_of(way).failed_transfers, 0);
    }
    forget_calls();
    fake.fail_callback_in = 1;
    assert_ok(zcmem_mem_fill(hal, dst, noise, BOUNCE, 1000));
    assert_int_equal(regions[way].calls[FAKE_CALL_MAP], 1 + chunks);
    for (size_t i = 0; i < 1000; i++) {
      assert_int_equal(*fake_at(&regions[way], dst + i), noise[i % BOUNCE]);
    }
    assert_ok(zcmem_mem_free(hal, src));
    assert_ok(zcmem_mem_free(hal, dst));
  }
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
        for (size_t i = 0; i < size; i++) {
          assert_int_equal(*fake_at(&regions[way], addr + 1 + i), noise[i % pattern_sizes[p]]);
        }
        assert_int_equal(*fake_at(&regions[way], addr), 0x44);
        assert_int_equal(*fake_at(&regions[way], addr + 1 + size), 0x44);
      }
    }
    assert_unused(addr);
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

/* Each way to store a pattern: of equal bytes, of 2, 4 or 8, of any number; around what each is best for. */
static void test_fill_of_every_size_and_pattern(void **state) {
  static const size_t pattern_sizes[] = {1, 2, 3, 4, 5, 8, 12, 16, 24, 100, 511, 512, 513, 3000};
  static unsigned char plain[4096];
  (void)state;
  hal_addr_t addr = alloc(FAKE_HOST, 4200);
  for (int kind = 0; kind < 4; kind++) { /* noise; equal bytes; equal bytes but the last; every second byte equal */
    for (size_t p = 0; p < sizeof pattern_sizes / sizeof *pattern_sizes; p++) {
      const unsigned char *pattern = kind == 0 ? noise : plain;
      memset(plain, 0x5a, sizeof plain);
      plain[pattern_sizes[p] - 1] ^= kind == 2 ? 1 : 0;
      for (size_t i = 1; kind == 3 && i < sizeof plain; i += 2) {
        plain[i] = 0x5b;
      }
      for (size_t size = 1; size <= 4100; size += 1 + size / 9 + size % 3) {
        unsigned char *at = fake_at(&regions[FAKE_HOST], addr + size % 9);
        memset(fake_at(&regions[FAKE_HOST], addr), 0x44, 4200);
        assert_ok(zcmem_mem_fill(hal, addr + size % 9, pattern, pattern_sizes[p], size));
        for (size_t i = 0; i < size; i++) {
          if (at[i] != pattern[i % pattern_sizes[p]]) {
            fail_msg("kind %d, a pattern of %zu bytes over %zu: byte %zu", kind, pattern_sizes[p], size, i);
          }
        }
        assert_int_equal(at[size], 0x44);
      }
    }
  }
  assert_ok(zcmem_mem_free(hal, addr));
}

/* A byte at a time would be as right, and a write of the driver for each. */
static void test_fill_writes_as_many_patterns_at_a_time_as_bounce(void **state) {
  (void)state;
  hal_addr_t addr = alloc(FAKE_READ_WRITE, 100);
  regions[FAKE_READ_WRITE].calls[FAKE_CALL_WRITE] = 0;
  assert_ok(zcmem_mem_fill(hal, addr, noise, 3, 31));
  assert_int_equal(regions[FAKE_READ_WRITE].calls[FAKE_CALL_WRITE], 3); /* 5 patterns in 16 bytes: 15 + 15 + 1 */
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_pattern_may_lie_in_the_range_that_is_filled(void **state) {
  const int ways[] = {FAKE_HOST, FAKE_MAP_DIRECT};
  (void)state;
  for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
    void *host = NULL;
    hal_addr_t addr = alloc(ways[w], 100);
    assert_ok(zcmem_mem_write(hal, addr, noise, 100));
    assert_ok(zcmem_mem_map(hal, addr + 5, BOUNCE, ZCMEM_MAP_READ, &host));
    assert_ok(zcmem_mem_fill(hal, addr, host, 7, 100));
    for (size_t i = 0; i < 100; i++) {
      assert_int_equal(*fake_at(&regions[ways[w]], addr + i), noise[5 + i % 7]);
    }
    assert_ok(zcmem_mem_write(hal, addr, noise, 100));
    assert_ok(zcmem_mem_fill(hal, addr, host, BOUNCE, 100));
    for (size_t i = 0; i < 100; i++) {
      assert_int_equal(*fake_at(&regions[ways[w]], addr + i), noise[5 + i % BOUNCE]);
    }
    assert_ok(zcmem_mem_unmap(hal, host));
    assert_ok(zcmem_mem_free(hal, addr));
  }
}

/* Of a region with a host pointer and a few callbacks: what has no callback of its own takes the pointer. */
static void test_what_has_no_callback_goes_through_the_host_pointer(void **state) {
  static unsigned char bytes[4096];
  struct fake_region device;
  struct zcmem_hal_config config = {
      .name = "mixed", .max_regions = 1, .lock = &fake_lock, .allocator = &fake_allocator};
  struct zcmem_region_config region = fake_region_open(&device, FAKE_READ_WRITE, "mixed", 1 << 16, sizeof bytes);
  struct zcmem_hal *mixed = NULL;
  hal_addr_t addr = 0;
  (void)state;
  region.host = bytes;
  assert_ok(zcmem_hal_create(&config, &region, 1, &mixed));
  assert_ok(zcmem_mem_alloc(mixed, 0, 200, 1, &addr));
  assert_ok(zcmem_mem_fill(mixed, addr, "abc", 3, 100));
  assert_ok(zcmem_mem_copy(mixed, addr + 100, addr, 100));
  for (size_t i = 0; i < 200; i++) {
    assert_int_equal(bytes[i], "abc"[i % 100 % 3]);
  }
  assert_int_equal(device.calls[FAKE_CALL_READ] + device.calls[FAKE_CALL_WRITE], 0);
  assert_ok(zcmem_mem_write(mixed, addr, noise, 200));
  assert_ok(zcmem_mem_read(mixed, bytes, addr, 200));
  assert_int_equal(device.calls[FAKE_CALL_WRITE], 1);
  assert_int_equal(device.calls[FAKE_CALL_READ], 1);
  assert_ok(zcmem_mem_free(mixed, addr));
  assert_int_equal(zcmem_hal_destroy(mixed), 0);
  fake_region_close(&device);
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
    for (size_t i = 0; i < 8192; i++) {
      assert_int_equal(*fake_at(&regions[FAKE_MAP], to + i), noise[i % size]);
    }
    assert_ok(zcmem_mem_free(hal, addr));
    assert_ok(zcmem_mem_free(hal, to));
  }
}

/* ------------------------------------------------------------------------------------------ an odd device -- */

static unsigned char odd_memory[4096];

static int odd_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)size;
  (void)flags;
  *host = odd_memory + (size_t)(addr - ((hal_addr_t)1 << 40));
  return 0;
}

static int odd_unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  (void)addr;
  (void)size;
  (void)host;
  return 0;
}

/* From the last byte to the first: it need not mind that `dst` may be what it reads from. */
static int read_backwards(void *ctx, void *dst, hal_addr_t src, hal_size_t size) {
  (void)ctx;
  while (size-- > 0) {
    ((unsigned char *)dst)[size] = odd_memory[(size_t)(src + size - ((hal_addr_t)1 << 40))];
  }
  return 0;
}

static int write_backwards(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  (void)ctx;
  while (size-- > 0) {
    odd_memory[(size_t)(dst + size - ((hal_addr_t)1 << 40))] = ((const unsigned char *)src)[size];
  }
  return 0;
}

/* A device with one callback whose other direction is mapped: the callback is never given its own memory to work on. */
static void test_overlapping_copies_where_one_side_is_a_callback(void **state) {
  static const struct zcmem_region_ops reading = {.map = odd_map, .unmap = odd_unmap, .read = read_backwards};
  static const struct zcmem_region_ops writing = {.map = odd_map, .unmap = odd_unmap, .write = write_backwards};
  unsigned char model[300];
  (void)state;
  for (int way = 0; way < 2; way++) {
    const struct zcmem_hal_config config = {
        .name = "odd", .max_regions = 1, .max_mappings = 2, .bounce_bytes = BOUNCE, .lock = &fake_lock};
    const struct zcmem_region_config region = {.name = "odd",
                                               .kind = ZCMEM_KIND_DRAM,
                                               .base = (hal_addr_t)1 << 40,
                                               .size = sizeof odd_memory,
                                               .max_blocks = 4,
                                               .ops = way == 0 ? &reading : &writing};
    struct zcmem_hal *odd = NULL;
    hal_addr_t addr = 0;
    assert_ok(zcmem_hal_create(&config, &region, 1, &odd));
    assert_ok(zcmem_mem_alloc(odd, 0, sizeof model, 1, &addr));
    for (size_t dst = 0; dst <= 100; dst += 5) {
      for (size_t src = 0; src <= 100; src += 5) {
        memcpy(model, noise, sizeof model);
        memcpy(odd_memory, noise, sizeof model);
        memmove(model + dst, model + src, 150);
        assert_ok(zcmem_mem_copy(odd, addr + dst, addr + src, 150));
        assert_memory_equal(odd_memory, model, sizeof model);
      }
    }
    assert_ok(zcmem_mem_free(odd, addr));
    assert_int_equal(zcmem_hal_destroy(odd), 0);
  }
}

/* A driver that maps each window anew: a byte that two of them show is at two places of the host's. */
struct window_device {
  int file;
  unsigned maps, unmaps;
};

static size_t place_in_page(hal_addr_t addr) {
  return (size_t)(addr % (hal_addr_t)sysconf(_SC_PAGESIZE));
}

static int map_window(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  struct window_device *device = ctx;
  size_t before = place_in_page(addr);
  (void)flags;
  void *page = mmap(NULL, before + (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, device->file,
                    (off_t)(addr - ((hal_addr_t)1 << 40) - before));
  if (page == MAP_FAILED) {
    return -1;
  }
  device->maps++;
  *host = (unsigned char *)page + before;
  return 0;
}

static int unmap_window(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  size_t before = place_in_page(addr);
  ((struct window_device *)ctx)->unmaps++;
  return munmap((unsigned char *)host - before, before + (size_t)size);
}

/* However far apart, and also so large that memmove goes by what it thinks is apart. */
static void test_overlapping_copies_where_each_window_is_another_place(void **state) {
  static const struct zcmem_region_ops ops = {.map = map_window, .unmap = unmap_window};
  static unsigned char before[100000], model[sizeof before], after[sizeof before];
  const size_t sizes[] = {100, 5000, 30000}, distances[] = {0, 1, 16, 500, 4096, 29999};
  FILE *file = tmpfile();
  (void)state;
  assert_non_null(file);
  struct window_device device = {.file = fileno(file)};
  const struct zcmem_hal_config config = {.name = "windows", .max_regions = 1, .lock = &fake_lock};
  const struct zcmem_region_config region = {.name = "windows",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .base = (hal_addr_t)1 << 40,
                                             .size = (hal_size_t)1 << 20,
                                             .max_blocks = 4,
                                             .ops = &ops,
                                             .ctx = &device};
  struct zcmem_hal *far = NULL;
  hal_addr_t addr = 0;
  assert_int_equal(ftruncate(device.file, (off_t)1 << 20), 0);
  assert_ok(zcmem_hal_create(&config, &region, 1, &far));
  assert_ok(zcmem_mem_alloc(far, 0, sizeof before, 1, &addr));
  for (size_t i = 0; i < sizeof before; i++) {
    before[i] = (unsigned char)(i * 7 + i / 251);
  }
  for (size_t i = 0; i < 2 * 3 * 6; i++) {
    size_t size = sizes[i / 2 % 3], distance = distances[i / 6], dst = i % 2 == 0 ? distance : 0, src = distance - dst;
    memcpy(model, before, sizeof before);
    memmove(model + dst, model + src, size);
    assert_ok(zcmem_mem_write(far, addr, before, sizeof before));
    unsigned maps = device.maps;
    assert_ok(zcmem_mem_copy(far, addr + dst, addr + src, size));
    assert_int_equal(device.maps - maps, distance < size ? 1 : 2);
    assert_ok(zcmem_mem_read(far, after, addr, sizeof after));
    assert_memory_equal(after, model, sizeof after);
  }
  assert_int_equal(device.maps, device.unmaps);
  assert_ok(zcmem_mem_free(far, addr));
  assert_int_equal(zcmem_hal_destroy(far), 0);
  assert_int_equal(fclose(file), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_read_brings_back_what_write_took),
      TEST(test_overlapping_copy_within_a_region_is_memmove),
      TEST(test_copy_between_two_blocks_of_a_region),
      TEST(test_copy_between_two_regions_of_any_kind),
      TEST(test_what_the_device_stored_is_seen),
      TEST(test_bounced_copies_go_in_bounded_chunks),
      TEST(test_a_range_is_mapped_as_a_whole),
      TEST(test_what_cannot_be_mapped_as_a_whole_goes_in_chunks),
      TEST(test_a_mapped_side_needs_no_bounce),
      TEST(test_fill_repeats_the_pattern_and_cuts_the_tail),
      TEST(test_fill_of_every_size_and_pattern),
      TEST(test_fill_writes_as_many_patterns_at_a_time_as_bounce),
      TEST(test_pattern_may_lie_in_the_range_that_is_filled),
      TEST(test_what_has_no_callback_goes_through_the_host_pointer),
      TEST(test_pattern_size_0_is_refused),
      TEST(test_transfers_of_0_bytes_succeed_and_look_at_no_address),
      TEST(test_null_is_refused),
      TEST(test_freed_and_foreign_addresses_are_refused),
      TEST(test_ranges_that_leave_their_block_are_refused),
      TEST(test_ranges_that_wrap_are_refused),
      TEST(test_a_region_without_a_way_answers_enotmapped),
      TEST(test_copies_around_the_largest_bounce_buffer),
      TEST(test_overlapping_copies_where_one_side_is_a_callback),
      TEST(test_overlapping_copies_where_each_window_is_another_place),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
