/* SPDX-License-Identifier: MIT */
/*
 * Sequences that broke other allocators, from their issue trackers: one test each, named after what went wrong, with
 * the source in a comment. Sizes are kept; where the original has no quantum (bytes) the heap here has a quantum of 1.
 */
#include "heap_fixture.h"

static bool overlap(hal_addr_t a, hal_size_t a_size, hal_addr_t b, hal_size_t b_size) {
  return a < b + b_size && b < a + a_size;
}

/*
 * GPUOpen-LibrariesAndSDKs/VulkanMemoryAllocator#231 (and #230): the list index of a free block of 648 + 576 bytes was
 * past the table of lists; the free wrote out of bounds.
 */
static void vma_231_free_list_index_out_of_bounds(void **state) {
  struct fixture f = fixture_make(4096, 48u << 20, 1, 64);
  hal_addr_t a, b, c;
  (void)state;
  a = fixture_alloc(&f, 576, 2);
  b = fixture_alloc(&f, 648, 2);
  fixture_free(&f, a);
  c = fixture_alloc(&f, 720, 2);
  assert_false(overlap(b, 648, c, 720));
  fixture_free(&f, b);
  fixture_free(&f, c);
  assert_int_equal(zcmem_heap_largest(f.heap), 48u << 20);
  fixture_end(&f);
}

/*
 * GPUOpen-LibrariesAndSDKs/VulkanMemoryAllocator#367: InsertFreeBlock's assertion on the index of a list failed for a
 * block of 32400 bytes, because the position of the highest bit was miscounted on one platform.
 */
static void vma_367_bin_of_32400_bytes(void **state) {
  struct fixture f = fixture_make(65536, 1u << 20, 1, 64);
  hal_addr_t a, b;
  (void)state;
  a = fixture_alloc(&f, 32400, 1);
  b = fixture_alloc(&f, 1, 1);
  fixture_free(&f, a);
  a = fixture_alloc(&f, 32400, 1);
  assert_false(overlap(a, 32400, b, 1));
  fixture_end(&f);
}

/*
 * GPUOpen-LibrariesAndSDKs/VulkanMemoryAllocator#323: a crash in the free of an allocation of size zero, which an
 * assertion alone forbade.
 */
static void vma_323_free_of_a_block_of_no_bytes(void **state) {
  struct fixture f = fixture_make(4096, 1u << 20, 16, 64);
  hal_addr_t a, b, c;
  (void)state;
  a = fixture_alloc(&f, 64, 1);
  b = fixture_alloc(&f, 0, 1);
  c = fixture_alloc(&f, 0, 1);
  assert_true(b != c);
  fixture_free(&f, b);
  fixture_free(&f, a);
  fixture_free(&f, c);
  assert_int_equal(zcmem_heap_largest(f.heap), 1u << 20);
  fixture_end(&f);
}

/*
 * GPUOpen-LibrariesAndSDKs/VulkanMemoryAllocator#343: with enough free bytes but no block large enough the search fell
 * back to trying every free block from list 0 on. Here the answer must be right; the step count has its own test.
 */
static void vma_343_request_that_no_free_block_holds(void **state) {
  enum { BLOCKS = 512 };
  struct fixture f = fixture_make(4096, BLOCKS * 256u, 128, BLOCKS);
  hal_addr_t addr[BLOCKS], none = 0;
  (void)state;
  for (unsigned i = 0; i < BLOCKS; i++) {
    addr[i] = fixture_alloc(&f, 256, 1);
  }
  for (unsigned i = 0; i < BLOCKS; i += 2) {
    fixture_free(&f, addr[i]);
  }
  assert_status(zcmem_heap_alloc(f.heap, 257, 1, &none), ZCMEM_EFRAG);
  assert_status(zcmem_heap_alloc(f.heap, BLOCKS / 2 * 256u, 1, &none), ZCMEM_EFRAG);
  assert_status(zcmem_heap_alloc(f.heap, BLOCKS / 2 * 256u + 1, 1, &none), ZCMEM_ENOSPC);
  assert_int_equal(none, 0);
  fixture_end(&f);
}

/*
 * sebbbi/OffsetAllocator#14: an allocator of 699050 refused 664908, because the search rounded the size up to the bin
 * after the one where the free space stood.
 */
static void offsetallocator_14_request_in_the_bin_of_the_free_block(void **state) {
  struct fixture f = fixture_make(1, 699050, 1, 43690);
  (void)state;
  assert_int_equal(fixture_alloc(&f, 664908, 1), 1);
  assert_int_equal(zcmem_heap_largest(f.heap), 699050 - 664908);
  fixture_end(&f);
}

/* sebbbi/OffsetAllocator#11: 256 + 68 bytes; after 255 of them 67 were refused although 69 were free. */
static void offsetallocator_11_remainder_in_the_lower_bin(void **state) {
  struct fixture f = fixture_make(1, 256 + 68, 1, 16);
  hal_addr_t a, b;
  (void)state;
  a = fixture_alloc(&f, 255, 1);
  b = fixture_alloc(&f, 67, 1);
  assert_false(overlap(a, 255, b, 67));
  assert_int_equal(zcmem_heap_largest(f.heap), 2);
  fixture_end(&f);
}

/*
 * The comments to sebbbi/OffsetAllocator#11 and #14: rounding both sides up "fixed" the refusals and handed out ranges
 * that overlapped. Every size of a row of bins is split off, freed and asked for again beside a live neighbour.
 */
static void offsetallocator_11_no_overlap_after_reuse(void **state) {
  struct fixture f = fixture_make(1, 1u << 16, 1, 64);
  (void)state;
  for (hal_size_t size = 1; size < 1200; size++) {
    hal_addr_t a = fixture_alloc(&f, size, 1), wall = fixture_alloc(&f, 1, 1), again, smaller;
    fixture_free(&f, a);
    smaller = fixture_alloc(&f, size - size / 3, 1);
    again = fixture_alloc(&f, size, 1);
    assert_false(overlap(smaller, size - size / 3, again, size));
    assert_false(overlap(smaller, size - size / 3, wall, 1));
    assert_false(overlap(again, size, wall, 1));
    fixture_free(&f, smaller);
    fixture_free(&f, again);
    fixture_free(&f, wall);
    assert_int_equal(zcmem_heap_largest(f.heap), 1u << 16);
  }
  fixture_end(&f);
}

/*
 * sebbbi/OffsetAllocator#3: with maxAllocs = 2 the second (or, freeing in another order, the first) allocation failed:
 * the free space used one of the nodes.
 */
static void offsetallocator_3_max_blocks_is_exact(void **state) {
  (void)state;
  for (uint32_t max_blocks = 1; max_blocks <= 9; max_blocks++) {
    struct fixture f = fixture_make(128, 36864, 1, max_blocks);
    hal_addr_t addr[9], none = 0;
    for (unsigned order = 0; order < 2; order++) {
      for (unsigned i = 0; i < max_blocks; i++) {
        addr[i] = fixture_alloc(&f, 32, 64); /* aligned: free space in between, too */
      }
      assert_status(zcmem_heap_alloc(f.heap, 32, 1, &none), ZCMEM_ENOMEM);
      assert_status(zcmem_heap_reserve(f.heap, 128 + 36863, 1), ZCMEM_ENOMEM);
      assert_int_equal(zcmem_heap_largest(f.heap), 0);
      for (unsigned i = 0; i < max_blocks; i++) {
        fixture_free(&f, addr[order == 0 ? i : max_blocks - 1 - i]);
      }
    }
    assert_int_equal(zcmem_heap_largest(f.heap), 36864);
    fixture_end(&f);
  }
}

/*
 * mattconte/tlsf#22 ("BadAlloc"): a size near the top of size_t became 0 when it was rounded up, and the request was
 * granted with the smallest block. The same holds for the resize.
 */
static void tlsf_22_size_that_wraps_when_rounded(void **state) {
  static const hal_size_t sizes[] = {UINT64_MAX,
                                     UINT64_MAX - 9,
                                     UINT64_MAX - 10,
                                     UINT64_MAX - 126,
                                     UINT64_MAX - 127,
                                     UINT64_MAX - 128,
                                     UINT64_MAX / 2,
                                     (UINT64_MAX / 2) + 1,
                                     UINT32_MAX,
                                     UINT32_MAX - 9,
                                     (UINT64_C(1) << 32) * 128,
                                     (UINT64_C(1) << 32) * 128 - 1,
                                     (UINT64_C(1) << 32) * 128 + 1};
  struct fixture f = fixture_make(4096, 1u << 20, 128, 16);
  hal_addr_t a = fixture_alloc(&f, 100, 1), none = 0;
  struct zcmem_block_info info;
  (void)state;
  for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    assert_status(zcmem_heap_alloc(f.heap, sizes[i], 1, &none), ZCMEM_ENOSPC);
    assert_status(zcmem_heap_alloc(f.heap, sizes[i], UINT64_C(1) << 63, &none), ZCMEM_ENOSPC);
    assert_status(zcmem_heap_resize(f.heap, a, sizes[i]), ZCMEM_ENOSPC);
    assert_status(zcmem_heap_reserve(f.heap, 8192, sizes[i]), ZCMEM_EBOUNDS);
    assert_ok(zcmem_heap_check(f.heap));
  }
  assert_int_equal(none, 0);
  assert_ok(zcmem_heap_find(f.heap, a, &info));
  assert_int_equal(info.requested, 100);
  fixture_end(&f);
}

/*
 * mattconte/tlsf pull requests 2 and 3, issues 9 and 28; lvgl/lvgl#10385: sizes from block_size_max - ALIGN to
 * block_size_max, as a request or as a pool of exactly that size, indexed one past the last second-level bitmap. Here
 * every size around a power of two, up to the largest heap, is made, asked for and given back.
 */
static void tlsf_9_heap_and_request_at_the_edge_of_a_bin(void **state) {
  (void)state;
  for (unsigned shift = 1; shift <= 20; shift++) {
    for (unsigned around = 0; around < 3; around++) {
      hal_size_t size = (UINT64_C(1) << shift) - 1 + around;
      struct fixture f = fixture_make(UINT64_C(1) << 40, size, 1, 4);
      hal_addr_t a = fixture_alloc(&f, size, 1), none = 0;
      assert_status(zcmem_heap_alloc(f.heap, 1, 1, &none), ZCMEM_ENOSPC);
      fixture_free(&f, a);
      assert_status(zcmem_heap_alloc(f.heap, size + 1, 1, &none), ZCMEM_ENOSPC);
      fixture_end(&f);
    }
  }
}

/* The same with as many quanta as a heap can have: 2^32 - 1 of them in one block, and not one more. */
static void tlsf_9_heap_of_the_most_quanta(void **state) {
  const hal_size_t quantum = UINT64_C(1) << 24, most = UINT32_MAX;
  struct zcmem_heap_config config = {quantum, (most + 1) * quantum - 1, quantum, 4, ZCMEM_HEAP_ZEROED};
  size_t bytes = zcmem_heap_bytes(&config);
  struct zcmem_heap *heap = NULL;
  hal_addr_t addr = 0;
  void *image, *raw;
  (void)state;
  config.base = 2 * quantum;
  config.size = (most - 1) * quantum; /* ends at 2^56 exactly */
  assert_true(bytes > 0);
  assert_true(zcmem_heap_bytes(&config) > 0);
  config.base = quantum;
  config.size = (most + 1) * quantum;
  assert_int_equal(zcmem_heap_bytes(&config), 0);
  config.size -= 1;
  raw = calloc(1, bytes + 64); /* address space only: pages come where they are touched */
  if (raw == NULL) {
    print_message("no %zu bytes of address space here\n", bytes);
    skip();
  }
  image = (void *)(((uintptr_t)raw + 63) & ~(uintptr_t)63);
  assert_ok(zcmem_heap_init(image, bytes, &config, &heap));
  assert_int_equal(zcmem_heap_largest(heap), most * quantum);
  assert_ok(zcmem_heap_alloc(heap, most * quantum, 1, &addr));
  assert_int_equal(addr, quantum);
  assert_status(zcmem_heap_alloc(heap, 0, 1, &addr), ZCMEM_ENOSPC);
  assert_ok(zcmem_heap_resize(heap, addr, 1));
  assert_int_equal(zcmem_heap_largest(heap), (most - 1) * quantum);
  assert_ok(zcmem_heap_free(heap, addr));
  assert_int_equal(zcmem_heap_largest(heap), most * quantum);
  free(raw);
}

/*
 * espressif/tlsf#2, sysprog21/tlsf-bsd#4: the block was cut to the size asked for but searched for with the size
 * rounded up, so that freeing a block and asking for the same size again failed when nothing else was free.
 */
static void tlsf_2_same_size_again_after_free(void **state) {
  static const hal_size_t sizes[] = {1, 129, 1000, 4097, 65535, 65537, 100000, 262145};
  (void)state;
  for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct fixture f = fixture_make(1, 1u << 19, 1, 8);
    hal_addr_t a = fixture_alloc(&f, sizes[i], 1);
    hal_addr_t rest = fixture_alloc(&f, zcmem_heap_largest(f.heap), 1);
    fixture_free(&f, a);
    assert_int_equal(fixture_alloc(&f, sizes[i], 1), a);
    fixture_free(&f, a);
    fixture_free(&f, rest);
    fixture_end(&f);
  }
}

/*
 * mattconte/tlsf#36: a block of 128-byte alignment lost it in a realloc that moved. Here a resize never moves, so the
 * alignment stays or the call is refused.
 */
static void tlsf_36_resize_keeps_the_alignment(void **state) {
  struct fixture f = fixture_make(128 * 3, 1u << 20, 128, 16);
  struct zcmem_block_info info;
  hal_addr_t a, wall;
  (void)state;
  a = fixture_alloc(&f, 1000, 4096);
  assert_ok(zcmem_heap_resize(f.heap, a, 5000));
  assert_ok(zcmem_heap_find(f.heap, a, &info));
  assert_int_equal(info.addr, a);
  assert_int_equal(info.requested, 5000);
  wall = a + info.size;
  assert_ok(zcmem_heap_reserve(f.heap, wall, 128));
  assert_status(zcmem_heap_resize(f.heap, a, 50000), ZCMEM_EFRAG);
  assert_ok(zcmem_heap_find(f.heap, a + 4999, &info));
  assert_int_equal(info.addr, a);
  assert_int_equal(info.requested, 5000);
  fixture_end(&f);
}

/*
 * seL4/musllibc#17: two memalign(0x40, 0x1000) in a row gave the same address; odin-lang/Odin#4820: the gap before an
 * aligned block was smaller than a block's header and corrupted its neighbour. Gaps of every size are made.
 */
static void musllibc_17_aligned_blocks_differ(void **state) {
  struct fixture f = fixture_make(16, 1u << 20, 16, 256);
  hal_addr_t addr[100];
  (void)state;
  for (unsigned i = 0; i < 100; i++) {
    addr[i] = i % 2 == 0 ? fixture_alloc(&f, 1 + i * 16, 1) : fixture_alloc(&f, 0x1000, 0x40);
    for (unsigned j = 0; j < i; j++) {
      assert_false(overlap(addr[i], i % 2 == 0 ? 1 + i * 16 : 0x1000, addr[j], j % 2 == 0 ? 1 + j * 16 : 0x1000));
    }
  }
  for (unsigned i = 0; i < 100; i++) {
    fixture_free(&f, addr[(i * 37) % 100]);
  }
  assert_int_equal(zcmem_heap_largest(f.heap), 1u << 20);
  fixture_end(&f);
}

/*
 * espressif/esp-idf#7808: the largest free block was told rounded down to a power of two; espressif/esp-idf#9087: a
 * request just above what was there hit an assertion instead of failing.
 */
static void esp_idf_7808_largest_is_exact(void **state) {
  struct fixture f = fixture_make(128, 110592 + 128 * 7, 128, 64);
  (void)state;
  for (unsigned i = 0; i < 40; i++) {
    hal_size_t largest = zcmem_heap_largest(f.heap);
    hal_addr_t addr = 0;
    enum zcmem_status status = zcmem_heap_alloc(f.heap, largest + 1, 1, &addr);
    assert_true(status == ZCMEM_EFRAG || status == ZCMEM_ENOSPC);
    addr = fixture_alloc(&f, largest, 1);
    fixture_free(&f, addr);
    (void)fixture_alloc(&f, 128 * (1 + i % 5), 128 * 4);
  }
  fixture_end(&f);
}

/* espressif/esp-idf#8270: the heap told tens of KB free when malloc(4) failed: what a block costs was not counted. */
static void esp_idf_8270_free_bytes_when_full(void **state) {
  struct fixture f = fixture_make(128, 512 * 128, 128, 600);
  struct zcmem_heap_info info;
  hal_addr_t addr = 0;
  unsigned n = 0;
  (void)state;
  while (zcmem_heap_alloc(f.heap, 4, 1, &addr) == ZCMEM_OK) {
    n++;
  }
  assert_int_equal(n, 512);
  assert_ok(zcmem_heap_get_info(f.heap, &info));
  assert_int_equal(info.free, 0);
  assert_int_equal(info.requested, 4 * 512);
  assert_int_equal(zcmem_heap_largest(f.heap), 0);
  fixture_end(&f);
}

/* yvt/rlsf#15: the one free block of a fresh heap could not be allocated as a whole (2 MiB less a header). */
static void rlsf_15_all_of_a_fresh_heap(void **state) {
  struct fixture f = fixture_make(64, 2097152, 64, 4);
  hal_addr_t a;
  (void)state;
  a = fixture_alloc(&f, 2097152, 1);
  fixture_free(&f, a);
  a = fixture_alloc(&f, 2097152 - 63, 1);
  assert_int_equal(zcmem_heap_largest(f.heap), 0);
  fixture_free(&f, a);
  fixture_end(&f);
}

/* pmem/issues#220: fill with blocks of one size, free all, and a block of another size was refused. */
static void pmem_220_all_of_it_after_fill_and_free(void **state) {
  struct fixture f = fixture_make(128, 8u << 20, 128, 1024);
  hal_addr_t addr[1024];
  unsigned n = 0;
  (void)state;
  while (n < 1024 && zcmem_heap_alloc(f.heap, 8320, 1, &addr[n]) == ZCMEM_OK) {
    n++;
  }
  assert_int_equal(n, (8u << 20) / 8320);
  for (unsigned i = 0; i < n; i++) {
    fixture_free(&f, addr[i * 11 % n]); /* 11 and 1008 have no common factor: each once */
  }
  fixture_free(&f, fixture_alloc(&f, 8u << 20, 1));
  fixture_end(&f);
}

/* rmind/tlsf#1: a block at the very end of the space; whether the one behind it exists was asked past the end. */
static void rmind_tlsf_1_blocks_that_end_the_region(void **state) {
  static const struct {
    hal_addr_t base;
    hal_size_t size;
  } regions[] = {
      {(UINT64_C(1) << 32) - (1u << 20), 1u << 20},  /* ends at 2^32 */
      {0 - (UINT64_C(1) << 20), 1u << 20},           /* ends at 2^64 */
      {0 - (UINT64_C(1) << 20) - 5, (1u << 20) + 5}, /* the same, base no multiple of the quantum */
  };
  (void)state;
  for (unsigned i = 0; i < sizeof regions / sizeof regions[0]; i++) {
    struct fixture f = fixture_make(regions[i].base, regions[i].size, 128, 16);
    hal_addr_t last = regions[i].base + regions[i].size - 128;
    hal_addr_t a, all;
    struct zcmem_block_info info;
    assert_ok(zcmem_heap_reserve(f.heap, last, 128));
    assert_ok(zcmem_heap_find(f.heap, last + 127, &info));
    assert_int_equal(info.addr, last);
    assert_status(zcmem_heap_find(f.heap, last + 128, &info), ZCMEM_ENOENT);
    assert_status(zcmem_heap_resize(f.heap, last, 129), ZCMEM_EFRAG);
    assert_status(zcmem_heap_reserve(f.heap, last, 129), ZCMEM_EBOUNDS);
    a = fixture_alloc(&f, (1u << 20) - 128, 1);
    assert_int_equal(a + ((1u << 20) - 128), last);
    fixture_free(&f, last);
    assert_ok(zcmem_heap_resize(f.heap, a, 1u << 20));
    fixture_free(&f, a);
    all = fixture_alloc(&f, 1u << 20, 1);
    assert_int_equal(all, last - ((1u << 20) - 128));
    fixture_end(&f);
  }
}

/* A region based at 0 whose first block had address 0: the caller could not tell it from a failure. */
static void base_0_never_hands_out_address_0(void **state) {
  struct fixture f = fixture_make(0, 1024, 128, 16);
  hal_addr_t addr, none = 0;
  (void)state;
  for (unsigned i = 0; i < 7; i++) {
    addr = fixture_alloc(&f, 128, 1);
    assert_true(addr >= 128 && addr < 1024);
  }
  assert_status(zcmem_heap_alloc(f.heap, 0, 1, &none), ZCMEM_ENOSPC);
  assert_status(zcmem_heap_reserve(f.heap, 0, 128), ZCMEM_EBOUNDS);
  assert_ok(zcmem_heap_free(f.heap, 0));
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vma_231_free_list_index_out_of_bounds),
      cmocka_unit_test(vma_367_bin_of_32400_bytes),
      cmocka_unit_test(vma_323_free_of_a_block_of_no_bytes),
      cmocka_unit_test(vma_343_request_that_no_free_block_holds),
      cmocka_unit_test(offsetallocator_14_request_in_the_bin_of_the_free_block),
      cmocka_unit_test(offsetallocator_11_remainder_in_the_lower_bin),
      cmocka_unit_test(offsetallocator_11_no_overlap_after_reuse),
      cmocka_unit_test(offsetallocator_3_max_blocks_is_exact),
      cmocka_unit_test(tlsf_22_size_that_wraps_when_rounded),
      cmocka_unit_test(tlsf_9_heap_and_request_at_the_edge_of_a_bin),
      cmocka_unit_test(tlsf_9_heap_of_the_most_quanta),
      cmocka_unit_test(tlsf_2_same_size_again_after_free),
      cmocka_unit_test(tlsf_36_resize_keeps_the_alignment),
      cmocka_unit_test(musllibc_17_aligned_blocks_differ),
      cmocka_unit_test(esp_idf_7808_largest_is_exact),
      cmocka_unit_test(esp_idf_8270_free_bytes_when_full),
      cmocka_unit_test(rlsf_15_all_of_a_fresh_heap),
      cmocka_unit_test(pmem_220_all_of_it_after_fill_and_free),
      cmocka_unit_test(rmind_tlsf_1_blocks_that_end_the_region),
      cmocka_unit_test(base_0_never_hands_out_address_0),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
