/* SPDX-License-Identifier: MIT */
/* The heap, call by call: what heap.h says of alloc, free, resize, reserve, find, largest and walk. */
#include "heap_fixture.h"

#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)

static void alloc_statuses(void **state) {
  struct fixture f = fixture_make(4096, 1024, 128, 5);
  hal_addr_t a[5], addr = 77;
  (void)state;
  assert_refused(&f, zcmem_heap_alloc(f.heap, 1, 0, &addr), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 1, 3, &addr), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 1, UINT64_MAX, &addr), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 1, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_alloc(NULL, 1, 1, &addr), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 1025, 1, &addr), ZCMEM_ENOSPC);
  for (unsigned i = 0; i < 4; i++) {
    a[i] = fixture_alloc(&f, 256, 1);
  }
  assert_refused(&f, zcmem_heap_alloc(f.heap, 0, 1, &addr), ZCMEM_ENOSPC);
  fixture_free(&f, a[0]);
  fixture_free(&f, a[2]);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 257, 1, &addr), ZCMEM_EFRAG);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 512, 1, &addr), ZCMEM_EFRAG);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 513, 1, &addr), ZCMEM_ENOSPC);
  a[0] = fixture_alloc(&f, 128, 1);
  a[2] = fixture_alloc(&f, 128, 1);
  a[4] = fixture_alloc(&f, 128, 1);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 128, 1, &addr), ZCMEM_ENOMEM);
  assert_int_equal(addr, 77);
  for (unsigned i = 0; i < 5; i++) {
    fixture_free(&f, a[i]);
  }
  fixture_end(&f);
}

static void free_statuses(void **state) {
  struct fixture f = fixture_make(4096, MIB, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1), b = fixture_alloc(&f, 1000, 1);
  (void)state;
  assert_status(zcmem_heap_free(NULL, a), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_free(f.heap, a + 1), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_free(f.heap, a + 128), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_free(f.heap, 4095), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_free(f.heap, 4096 + MIB), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_free(f.heap, UINT64_MAX), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_free(f.heap, a + (UINT64_C(1) << 32) * 128), ZCMEM_ENOENT); /* same low quanta bits */
  assert_refused(&f, zcmem_heap_free(f.heap, a | UINT64_C(1) << 63), ZCMEM_ENOENT);
  fixture_keep(&f);
  assert_ok(zcmem_heap_free(f.heap, HAL_NULLPTR));
  fixture_unchanged(&f);
  fixture_free(&f, a);
  assert_refused(&f, zcmem_heap_free(f.heap, a), ZCMEM_ENOENT);
  fixture_free(&f, b);
  assert_refused(&f, zcmem_heap_free(f.heap, b), ZCMEM_ENOENT);
  assert_int_equal(zcmem_heap_largest(f.heap), MIB);
  fixture_end(&f);
}

static void every_alignment(void **state) {
  static const hal_size_t quanta[] = {1, 128, 65536};
  (void)state;
  for (unsigned q = 0; q < 3; q++) {
    /* An odd number of quanta up: hardly any address is aligned to more by itself. */
    struct fixture f = fixture_make(quanta[q] * 3, quanta[q] << 22, quanta[q], 256);
    hal_addr_t live[128], addr = 0;
    unsigned n = 0;
    for (hal_size_t align = 1; align < quanta[q] << 18; align *= 2) {
      live[n++] = fixture_alloc(&f, 1, align);
      live[n++] = fixture_alloc(&f, align, align);
      live[n++] = fixture_alloc(&f, quanta[q] + 1, align);
    }
    for (unsigned i = 0; i < n; i++) {
      assert_int_equal(fixture_find(&f, live[i]).addr, live[i]);
    }
    /* The only multiple of 2^63 in the address space besides 0 is far outside. */
    assert_refused(&f, zcmem_heap_alloc(f.heap, 1, UINT64_C(1) << 63, &addr), ZCMEM_EFRAG);
    for (unsigned i = 0; i < n; i++) {
      fixture_free(&f, live[i * 7 % n]); /* n is 54, 75, 102: each once */
    }
    assert_int_equal(fixture_info(&f).free_blocks, 1);
    fixture_end(&f);
  }
}

static void alignment_of_2_to_the_63(void **state) {
  const hal_addr_t middle = UINT64_C(1) << 63;
  struct fixture f = fixture_make(middle - 16 * MIB, 32 * MIB, 128, 16);
  hal_addr_t addr = 0;
  (void)state;
  addr = fixture_alloc(&f, 128, middle); /* 2^63 is inside, but no block of 2^63 bytes that would guarantee it */
  assert_int_equal(addr, middle);
  assert_refused(&f, zcmem_heap_alloc(f.heap, 128, middle, &addr), ZCMEM_EFRAG);
  fixture_end(&f);
}

static void an_aligned_request_is_granted_where_heap_h_promises_it(void **state) {
  (void)state;
  for (hal_size_t align = 256; align <= 65536; align *= 2) {
    for (hal_size_t size = 1; size <= 5000; size += 777) {
      hal_size_t need = (size + 127) / 128 * 128;
      /* A heap that is one free block of just the promised size, at every offset. */
      for (hal_size_t offset = 128; offset <= 128 * 9; offset += 128) {
        struct fixture f = fixture_make(align * 4 + offset, need + align - 128, 128, 4);
        fixture_free(&f, fixture_alloc(&f, size, align));
        fixture_end(&f);
      }
    }
  }
}

static void blocks_of_no_bytes_differ(void **state) {
  struct fixture f = fixture_make(128, 128 * 64, 128, 64);
  hal_addr_t addr[64];
  struct zcmem_block_info info;
  (void)state;
  for (unsigned i = 0; i < 64; i++) {
    addr[i] = fixture_alloc(&f, 0, 1);
    for (unsigned j = 0; j < i; j++) {
      assert_true(addr[i] != addr[j]);
    }
    info = fixture_find(&f, addr[i]);
    assert_int_equal(info.requested, 0);
    assert_int_equal(info.size, 128);
  }
  assert_int_equal(fixture_info(&f).free, 0);
  assert_int_equal(fixture_info(&f).requested, 0);
  for (unsigned i = 0; i < 64; i++) {
    fixture_free(&f, addr[i]);
  }
  fixture_end(&f);
}

static void sizes_are_rounded_to_the_quantum(void **state) {
  static const hal_size_t quanta[] = {1, 2, 128, 65536, UINT64_C(1) << 31};
  (void)state;
  for (unsigned q = 0; q < sizeof quanta / sizeof quanta[0]; q++) {
    struct fixture f = fixture_make(quanta[q], quanta[q] * 64, quanta[q], 32);
    const hal_size_t sizes[] = {0, 1, quanta[q], quanta[q] + 1, 3 * quanta[q] - 1, 3 * quanta[q]};
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
      hal_size_t whole = sizes[i] == 0 ? quanta[q] : (sizes[i] + quanta[q] - 1) / quanta[q] * quanta[q];
      hal_addr_t addr = fixture_alloc(&f, sizes[i], 1);
      assert_int_equal(addr % quanta[q], 0);
      assert_int_equal(fixture_find(&f, addr).size, whole);
      assert_int_equal(fixture_find(&f, addr).requested, sizes[i]);
    }
    fixture_end(&f);
  }
}

static void resize_in_place(void **state) {
  struct fixture f = fixture_make(4096, 128 * 100, 128, 8);
  hal_addr_t a = fixture_alloc(&f, 1000, 1), wall;
  (void)state;
  assert_status(zcmem_heap_resize(NULL, a, 1), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_resize(f.heap, a + 128, 1), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_resize(f.heap, 0, 1), ZCMEM_ENOENT);
  assert_ok(zcmem_heap_resize(f.heap, a, 1024)); /* within its last quantum */
  assert_int_equal(fixture_find(&f, a).requested, 1024);
  assert_int_equal(fixture_find(&f, a).size, 1024);
  assert_ok(zcmem_heap_resize(f.heap, a, 5000));
  assert_int_equal(fixture_find(&f, a + 4999).addr, a);
  assert_ok(zcmem_heap_resize(f.heap, a, 128 * 100)); /* all there is */
  assert_int_equal(zcmem_heap_largest(f.heap), 0);
  assert_refused(&f, zcmem_heap_resize(f.heap, a, 128 * 100 + 1), ZCMEM_ENOSPC);
  assert_refused(&f, zcmem_heap_resize(f.heap, a, UINT64_MAX - 9), ZCMEM_ENOSPC);
  assert_ok(zcmem_heap_resize(f.heap, a, 0));
  assert_int_equal(fixture_find(&f, a).size, 128);
  assert_int_equal(fixture_info(&f).free_blocks, 1);
  wall = a + 10 * 128;
  assert_ok(zcmem_heap_reserve(f.heap, wall, 1));
  assert_refused(&f, zcmem_heap_resize(f.heap, a, 10 * 128 + 1), ZCMEM_EFRAG);
  assert_ok(zcmem_heap_resize(f.heap, a, 10 * 128));
  assert_ok(zcmem_heap_resize(f.heap, a, 9 * 128)); /* a gap before a live block */
  assert_int_equal(fixture_info(&f).free_blocks, 2);
  assert_ok(zcmem_heap_check(f.heap));
  fixture_free(&f, a);
  fixture_free(&f, wall);
  assert_int_equal(zcmem_heap_largest(f.heap), 128 * 100);
  fixture_end(&f);
}

/* Shrinking makes a free block where none was: with all blocks live, and as many as there can be. */
static void shrink_never_runs_out(void **state) {
  (void)state;
  for (uint32_t blocks = 1; blocks <= 20; blocks++) {
    struct fixture f = fixture_make(4096, blocks * UINT64_C(1024), 128, blocks);
    hal_addr_t addr[20];
    for (unsigned i = 0; i < blocks; i++) {
      addr[i] = fixture_alloc(&f, 1024, 1);
    }
    for (hal_size_t size = 1024 - 128; size >= 128; size -= 128) {
      for (unsigned i = 0; i < blocks; i++) {
        assert_ok(zcmem_heap_resize(f.heap, addr[i], size));
        assert_ok(zcmem_heap_check(f.heap));
      }
    }
    assert_int_equal(fixture_info(&f).free_blocks, blocks);
    fixture_end(&f);
  }
}

static void reserve_exactly_there(void **state) {
  struct fixture f = fixture_make(4096, 128 * 100, 128, 4);
  (void)state;
  assert_status(zcmem_heap_reserve(NULL, 4096, 1), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4097, 1), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 - 128, 1), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 + 128 * 100, 0), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096, 128 * 100 + 1), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096, UINT64_MAX), ZCMEM_EBOUNDS);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 + 128, 0 - UINT64_C(128)), ZCMEM_EBOUNDS); /* wraps to 4096 */
  assert_ok(zcmem_heap_reserve(f.heap, 4096 + 128 * 50, 128 * 10));                             /* the middle */
  assert_ok(zcmem_heap_reserve(f.heap, 4096, 0));                                               /* the start */
  assert_ok(zcmem_heap_reserve(f.heap, 4096 + 128 * 99, 128));                                  /* the end */
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096, 1), ZCMEM_EOVERLAP);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 + 128 * 49, 129), ZCMEM_EOVERLAP);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 + 128 * 59, 1), ZCMEM_EOVERLAP);
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 + 128, 128 * 99), ZCMEM_EOVERLAP);
  assert_ok(zcmem_heap_reserve(f.heap, 4096 + 128, 128 * 49)); /* just the gap */
  assert_refused(&f, zcmem_heap_reserve(f.heap, 4096 + 128 * 60, 1), ZCMEM_ENOMEM);
  assert_int_equal(fixture_info(&f).live, 4);
  assert_int_equal(fixture_info(&f).free, 39 * 128);
  fixture_free(&f, 4096 + 128);
  fixture_free(&f, 4096);
  fixture_free(&f, 4096 + 128 * 99);
  fixture_free(&f, 4096 + 128 * 50);
  assert_int_equal(zcmem_heap_largest(f.heap), 128 * 100);
  fixture_end(&f);
}

static void find_interior(void **state) {
  struct fixture f = fixture_make(4096, 64 * MIB, 128, 64);
  hal_addr_t large = fixture_alloc(&f, 40 * MIB - 5, 1), small = fixture_alloc(&f, 1, 1);
  struct zcmem_block_info info = {0};
  (void)state;
  assert_status(zcmem_heap_find(NULL, large, &info), ZCMEM_EINVAL);
  assert_status(zcmem_heap_find(f.heap, large, NULL), ZCMEM_EINVAL);
  for (hal_size_t at = 0; at < 40 * MIB; at += 4096 * 7 + 1) {
    info = fixture_find(&f, large + at);
    assert_int_equal(info.addr, large);
    assert_int_equal(info.size, 40 * MIB);
    assert_int_equal(info.requested, 40 * MIB - 5);
    assert_int_equal(info.state, ZCMEM_BLOCK_LIVE);
  }
  assert_int_equal(fixture_find(&f, large + 40 * MIB - 1).addr, large);
  assert_int_equal(fixture_find(&f, small + 127).addr, small);
  memset(&info, 0x5a, sizeof info);
  assert_status(zcmem_heap_find(f.heap, 4095, &info), ZCMEM_ENOENT);
  assert_status(zcmem_heap_find(f.heap, 4096 + 64 * MIB, &info), ZCMEM_ENOENT);
  assert_status(zcmem_heap_find(f.heap, 4096 + 64 * MIB - 1, &info), ZCMEM_ENOENT);
  assert_status(zcmem_heap_find(f.heap, 0, &info), ZCMEM_ENOENT);
  assert_status(zcmem_heap_find(f.heap, UINT64_MAX, &info), ZCMEM_ENOENT);
  fixture_free(&f, large);
  assert_status(zcmem_heap_find(f.heap, large + MIB, &info), ZCMEM_ENOENT);
  assert_int_equal(((unsigned char *)&info)[0], 0x5a); /* written on success only */
  fixture_end(&f);
}

/* After any history: the largest request is granted, one byte more is not. */
static void largest_is_exact(void **state) {
  struct fixture f = fixture_make(64 * 1024, 3 * GIB + 128 * 7, 128, 4096);
  uint64_t random = env_number("ZCMEM_TEST_SEED", 1);
  hal_addr_t live[512] = {0}, addr = 0;
  (void)state;
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)random);
  for (unsigned i = 0; i < 20000; i++) {
    unsigned slot = (unsigned)random_below(&random, 512);
    hal_size_t size = random_next(&random) >> (32 + random_below(&random, 25));
    if (live[slot] != 0) {
      assert_ok(zcmem_heap_free(f.heap, live[slot]));
      live[slot] = 0;
    } else if (zcmem_heap_alloc(f.heap, size, UINT64_C(1) << random_below(&random, 20), &addr) == ZCMEM_OK) {
      live[slot] = addr;
    }
    if (i % 50 == 0) {
      hal_size_t largest = zcmem_heap_largest(f.heap);
      enum zcmem_status status;
      assert_ok(zcmem_heap_check(f.heap));
      fixture_keep(&f);
      status = zcmem_heap_alloc(f.heap, largest + 1, 1, &addr);
      fixture_unchanged(&f);
      assert_true(status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG);
      assert_int_equal(status == ZCMEM_ENOSPC, largest == fixture_info(&f).free);
      if (largest > 0) {
        assert_ok(zcmem_heap_alloc(f.heap, largest, 128, &addr));
        assert_ok(zcmem_heap_free(f.heap, addr));
        assert_int_equal(zcmem_heap_largest(f.heap), largest);
      }
    }
  }
  assert_int_equal(zcmem_heap_largest(NULL), 0);
  fixture_end(&f);
}

struct seen {
  unsigned blocks, stop_after;
  hal_addr_t next;
  hal_size_t free, used;
};

static bool see(void *ctx, const struct zcmem_block_info *info) {
  struct seen *s = ctx;
  if (s->blocks > 0) {
    assert_int_equal(info->addr, s->next);
  }
  s->next = info->addr + info->size;
  s->blocks++;
  *(info->state == ZCMEM_BLOCK_FREE ? &s->free : &s->used) += info->size;
  return s->blocks != s->stop_after;
}

static void walk_shows_each_block_once(void **state) {
  struct fixture f = fixture_make(4096, 128 * 100, 128, 16);
  struct seen all = {0}, some = {0};
  hal_addr_t a = fixture_alloc(&f, 300, 1);
  (void)state;
  (void)fixture_alloc(&f, 300, 1);
  fixture_free(&f, a);
  some.stop_after = 2;
  assert_status(zcmem_heap_walk(NULL, see, &all), ZCMEM_EINVAL);
  assert_status(zcmem_heap_walk(f.heap, NULL, &all), ZCMEM_EINVAL);
  assert_ok(zcmem_heap_walk(f.heap, see, &all));
  assert_int_equal(all.blocks, 3);
  assert_int_equal(all.used, 384);
  assert_int_equal(all.free, 128 * 100 - 384);
  assert_int_equal(all.next, 4096 + 128 * 100);
  assert_ok(zcmem_heap_walk(f.heap, see, &some));
  assert_int_equal(some.blocks, 2);
  fixture_end(&f);
}

static void tags(void **state) {
  struct fixture f = fixture_make(4096, MIB, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 1000, 1);
  (void)state;
  assert_int_equal(fixture_find(&f, a).tag, 0);
  assert_ok(zcmem_heap_set_tag(f.heap, a, UINT32_MAX));
  assert_int_equal(fixture_find(&f, a + 5).tag, UINT32_MAX);
  assert_status(zcmem_heap_set_tag(NULL, a, 1), ZCMEM_EINVAL);
  assert_refused(&f, zcmem_heap_set_tag(f.heap, a + 128, 1), ZCMEM_ENOENT);
  assert_refused(&f, zcmem_heap_set_tag(f.heap, 0, 1), ZCMEM_ENOENT);
  assert_ok(zcmem_heap_resize(f.heap, a, 5000));
  assert_int_equal(fixture_find(&f, a).tag, UINT32_MAX);
  fixture_free(&f, a);
  assert_refused(&f, zcmem_heap_set_tag(f.heap, a, 1), ZCMEM_ENOENT);
  a = fixture_alloc(&f, 1000, 1);
  assert_int_equal(fixture_find(&f, a).tag, 0); /* the new owner's, not the old one's */
  fixture_end(&f);
}

static void counters(void **state) {
  struct fixture f = fixture_make(4096, 128 * 100, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 100, 1), b = fixture_alloc(&f, 200, 1);
  struct zcmem_heap_info info;
  (void)state;
  assert_status(zcmem_heap_get_info(NULL, &info), ZCMEM_EINVAL);
  assert_status(zcmem_heap_get_info(f.heap, NULL), ZCMEM_EINVAL);
  info = fixture_info(&f);
  assert_int_equal(info.requested, 300);
  assert_int_equal(info.free, 97 * 128);
  assert_int_equal(info.live, 2);
  assert_int_equal(info.max_blocks, 16);
  assert_int_equal(info.image_bytes, f.bytes);
  fixture_free(&f, a);
  fixture_free(&f, b);
  info = fixture_info(&f);
  assert_int_equal(info.requested, 0);
  assert_int_equal(info.free, 100 * 128);
  assert_int_equal(info.live, 0);
  assert_int_equal(info.free_blocks, 1);
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alloc_statuses),
      cmocka_unit_test(free_statuses),
      cmocka_unit_test(every_alignment),
      cmocka_unit_test(alignment_of_2_to_the_63),
      cmocka_unit_test(an_aligned_request_is_granted_where_heap_h_promises_it),
      cmocka_unit_test(blocks_of_no_bytes_differ),
      cmocka_unit_test(sizes_are_rounded_to_the_quantum),
      cmocka_unit_test(resize_in_place),
      cmocka_unit_test(shrink_never_runs_out),
      cmocka_unit_test(reserve_exactly_there),
      cmocka_unit_test(find_interior),
      cmocka_unit_test(largest_is_exact),
      cmocka_unit_test(walk_shows_each_block_once),
      cmocka_unit_test(tags),
      cmocka_unit_test(counters),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
