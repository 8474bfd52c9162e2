/* SPDX-License-Identifier: MIT */
/*
 * The arithmetic that everything else rests on (bits.h, sizeclass.h, and the helpers for lines, alignments and ranges)
 * against definitions that are as naive as can be: for all inputs of 16 bits, for these at every place of a wider word,
 * and around each value where something could wrap or change. ZCMEM_TEST_DEPTH=1: all 2^32 sizes. tests/proof.sh
 * proves that none of it has a run-time error, for any input.
 */
#include <string.h>

#include "heap_impl.h"
#include "heap_parts.h"
#include "region.h"
#include "sizeclass.h"
#include "unit.h"

#define NEAR 260u

/* ------------------------------------------------------------------------------------------------------ bits.h -- */

static uint32_t naive_high(uint64_t x) {
  uint32_t n = 0;
  while (x > 1) {
    x /= 2;
    n++;
  }
  return n;
}

static uint32_t naive_low(uint64_t x) {
  uint32_t n = 0;
  while (x % 2 == 0) {
    x /= 2;
    n++;
  }
  return n;
}

static unsigned bits_set(uint64_t x) {
  unsigned n = 0;
  for (; x != 0; x /= 2) {
    n += (unsigned)(x % 2);
  }
  return n;
}

static void check_bits(uint64_t x) {
  uint32_t half = (uint32_t)x;
  assert_int_equal(zcmem__bits_power_of_two(x), bits_set(x) == 1);
  if (x != 0) {
    assert_int_equal(zcmem__bits_log2(x), naive_high(x));
    assert_int_equal(zcmem__bits_low64(x), naive_low(x));
  }
  if (half != 0) {
    assert_int_equal(zcmem__bits_high(half), naive_high(half));
    assert_int_equal(zcmem__bits_low(half), naive_low(half));
  }
}

/* The values next to each power of two, and to 0 and 2^64. */
static uint64_t near_value(unsigned power, unsigned i) {
  return (power == 64 ? 0 : UINT64_C(1) << power) + i - NEAR;
}

static void test_bits(void **state) {
  (void)state;
  for (uint64_t x = 0; x <= UINT16_MAX; x++) {
    for (unsigned shift = 0; shift <= 48; shift += 4) {
      check_bits(x << shift);
    }
  }
  for (unsigned power = 0; power <= 64; power++) {
    for (unsigned i = 0; i <= 2 * NEAR; i++) {
      check_bits(near_value(power, i));
    }
  }
  for (uint32_t n = 0; n < 64; n++) {
    assert_true(bits_set(zcmem__bits_one(n)) == 1 && naive_high(zcmem__bits_one(n)) == n);
  }
}

static void test_choices(void **state) {
  static const uint64_t values[] = {
      0, 1, 2, INT32_MAX, UINT32_C(1) << 31, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX};
  int place[2];
  (void)state;
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    for (size_t j = 0; j < sizeof values / sizeof values[0]; j++) {
      uint32_t a = (uint32_t)values[i], b = (uint32_t)values[j];
      assert_true(zcmem__bits_min(values[i], values[j]) == (values[i] < values[j] ? values[i] : values[j]));
      assert_true(zcmem__bits_select(true, a, b) == a);
      assert_true(zcmem__bits_select(false, a, b) == b);
    }
  }
  assert_ptr_equal(zcmem__bits_select_pointer(true, &place[0], &place[1]), &place[0]);
  assert_ptr_equal(zcmem__bits_select_pointer(false, &place[0], &place[1]), &place[1]);
  assert_null(zcmem__bits_select_pointer(true, NULL, &place[1]));
}

/* Clear, compare and fill touch their bytes and no other. */
static void test_bytes(void **state) {
  uint64_t words[9], same[9];
  (void)state;
  for (size_t bytes = 0; bytes <= 56; bytes++) {
    memset(words, 0xa5, sizeof words);
    size_t done = zcmem__bits_fill(&words[1], UINT64_C(0x0102030405060708), bytes);
    assert_true(done == 0 || (done <= bytes && bytes - done < 8 && done % 8 == 0));
    for (size_t i = 0; i < 9; i++) {
      assert_true(words[i] ==
                  (i >= 1 && i < 1 + done / 8 ? UINT64_C(0x0102030405060708) : UINT64_C(0xa5a5a5a5a5a5a5a5)));
    }
    memset(words, 0xa5, sizeof words);
    zcmem__bits_clear(&words[1], bytes / 8 * 8);
    for (size_t i = 0; i < 9; i++) {
      assert_true(words[i] == (i >= 1 && i < 1 + bytes / 8 ? 0 : UINT64_C(0xa5a5a5a5a5a5a5a5)));
    }
    for (size_t at = 0; at < 64; at++) {
      memcpy(same, words, sizeof same);
      ((unsigned char *)same)[at] ^= 0x40;
      assert_true(zcmem__bits_equal(same, words, bytes) == (at >= bytes));
    }
    assert_true(zcmem__bits_equal(words, words, bytes));
  }
}

/* ------------------------------------------------------------------------------------------------- sizeclass.h -- */

/* As the table in sizeclass.h has it. */
static uint32_t naive_bin(uint32_t quanta) {
  if (quanta < 4096) {
    return quanta;
  }
  uint64_t least = 4096;
  uint32_t bin = 4096;
  while (quanta >= 2 * least) {
    least *= 2;
    bin += 32;
  }
  return bin + (uint32_t)((quanta - least) / (least / 32));
}

static void check_size(uint32_t quanta) {
  uint32_t bin = zcmem__sizeclass_bin(quanta);
  assert_int_equal(bin, naive_bin(quanta));
  assert_true(bin > 0 && bin < ZCMEM__BIN_LIMIT);
  assert_true(zcmem__sizeclass_least(bin) <= quanta);
  assert_true(bin + 1 == ZCMEM__BIN_LIMIT || quanta < zcmem__sizeclass_least(bin + 1));
}

static void test_sizeclasses(void **state) {
  (void)state;
  for (uint32_t quanta = 1; quanta <= UINT16_MAX; quanta++) {
    for (unsigned shift = 0; shift <= 16; shift++) {
      check_size(quanta << shift);
    }
  }
  /* Each bin: its least size is in it, the one before is in the bin before. So the bins cut the sizes in pieces. */
  for (uint32_t bin = 1; bin < ZCMEM__BIN_LIMIT; bin++) {
    uint32_t least = zcmem__sizeclass_least(bin);
    assert_int_equal(zcmem__sizeclass_bin(least), bin);
    assert_int_equal(bin == 1 ? 0 : zcmem__sizeclass_bin(least - 1), bin - 1);
    for (uint32_t i = 0; i <= 2 * NEAR; i++) {
      uint32_t quanta = least - NEAR + i; /* wraps near the ends, to sizes as good as others */
      if (quanta != 0) {
        check_size(quanta);
      }
    }
  }
  assert_int_equal(zcmem__sizeclass_bin(UINT32_MAX), ZCMEM__BIN_LIMIT - 1);
}

static void test_all_sizes(void **state) {
  (void)state;
  if (env_number("ZCMEM_TEST_DEPTH", 0) != 1) {
    skip();
  }
  uint32_t bin = 0, next = 1;
  for (uint32_t quanta = 1; quanta != 0; quanta++) {
    if (quanta == next) {
      bin++;
      next = bin + 1 < ZCMEM__BIN_LIMIT ? zcmem__sizeclass_least(bin + 1) : 0;
    }
    if (zcmem__sizeclass_bin(quanta) != bin || zcmem__sizeclass_least(bin) > quanta) {
      fail_msg("size %lu is in bin %lu, not %lu", (unsigned long)quanta, (unsigned long)zcmem__sizeclass_bin(quanta),
               (unsigned long)bin);
    }
  }
  assert_int_equal(bin, ZCMEM__BIN_LIMIT - 1);
}

static void test_entries_of_wide_bins(void **state) {
  static const uint32_t sizes[] = {ZCMEM__BIN_WIDE, 0x12345, UINT32_C(1) << 31, UINT32_MAX};
  (void)state;
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    for (uint32_t start = 0; start < 64; start++) {
      for (uint32_t slot = 0; slot < 32; slot++) {
        uint64_t entry = zcmem__wide_entry(sizes[i], start, slot);
        assert_int_equal(zcmem__wide_size(entry), sizes[i]);
        assert_int_equal((uint32_t)entry / 8, start / 8);
        assert_int_equal(entry % 8, slot % 8);
        /* The larger is the larger entry; of equals the higher address is. */
        assert_true(zcmem__wide_entry(sizes[i] - 1, UINT32_MAX, 7) < entry);
        assert_true(entry < zcmem__wide_entry(sizes[i], start + 8, 0));
      }
    }
  }
}

/* -------------------------------------------------------------------------------------- lines, alignment, ranges -- */

static void test_lines(void **state) {
  (void)state;
  for (size_t bytes = 0; bytes <= UINT16_MAX; bytes++) {
    size_t lines = 0;
    while (lines * ZCMEM__LINE < bytes) {
      lines++;
    }
    assert_true(zcmem__lines(bytes) == lines * ZCMEM__LINE);
  }
  assert_true(zcmem__lines(SIZE_MAX - ZCMEM__LINE + 1) == SIZE_MAX - ZCMEM__LINE + 1);
}

/* Whether some place in the block is aligned and has the room: each one is tried. */
static bool naive_holds(uint32_t start, uint32_t size, uint32_t need, uint64_t offset, uint64_t align) {
  for (uint32_t gap = 0; gap < size && need <= size - gap; gap++) {
    if ((start + gap + offset) % align == 0) {
      return true;
    }
  }
  return false;
}

static void test_aligned_places(void **state) {
  static const uint64_t offsets[] = {0, 1, 5, 31, UINT32_MAX, (UINT64_C(1) << 57) - 64};
  (void)state;
  for (uint32_t start = 0; start < 40; start++) {
    for (uint32_t size = 1; size < 40; size++) {
      const struct zcmem__block block = {.start = start, .size = size};
      for (uint32_t need = 1; need <= size + 1; need++) {
        for (uint64_t align = 1; align <= 32; align *= 2) {
          for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
            assert_true(zcmem__block_holds(&block, need, offsets[i], align - 1) ==
                        naive_holds(start, size, need, offsets[i], align));
          }
        }
      }
    }
  }
  /* An alignment of half of all addresses: the gap is no number of quanta any more, and not to be cut to 32 bits. */
  const struct zcmem__block large = {.start = 1, .size = UINT32_MAX - 1};
  assert_false(zcmem__block_holds(&large, 1, 0, (UINT64_C(1) << 56) - 1));
  assert_true(zcmem__block_holds(&large, UINT32_MAX - 1, UINT64_MAX, UINT64_MAX));
}

/* A heap whose geometry is all that is looked at. */
static void test_quanta(void **state) {
  static const uint64_t bases[] = {0, 128, UINT64_C(1) << 32, UINT64_MAX - (UINT64_C(1) << 40) + 1};
  struct zcmem_heap *heap = calloc(1, sizeof *heap);
  (void)state;
  assert_non_null(heap);
  for (uint8_t shift = 0; shift <= 31; shift++) {
    const uint64_t quantum = UINT64_C(1) << shift;
    heap->at.quantum_shift = shift;
    for (uint32_t quanta = 1; quanta < 200; quanta += 3) {
      heap->at.quanta = quanta;
      for (uint64_t i = 0; i < 220; i++) { /* i quanta, a byte less, a byte more */
        for (uint64_t size = i * quantum - (i != 0); size <= i * quantum + 1; size++) {
          uint32_t got = 77;
          uint64_t want = size / quantum + (size % quantum != 0);
          want = want == 0 ? 1 : want;
          assert_true(zcmem__heap_quanta_of(heap, size, &got) == (want <= quanta));
          assert_true(want > quanta || got == want);
        }
      }
      uint32_t got = 77;
      assert_true(zcmem__heap_quanta_of(heap, UINT64_MAX, &got) == false);
      assert_true(zcmem__heap_quanta_of(heap, UINT64_MAX - quantum, &got) == false);
      for (size_t b = 0; b < sizeof bases / sizeof bases[0]; b++) {
        heap->at.base = bases[b];
        for (uint64_t i = 0; i < quanta; i += 7) {
          assert_true(zcmem__heap_addr(heap, (uint32_t)i) == bases[b] + i * quantum);
          assert_true(zcmem__heap_quantum(heap, bases[b] + i * quantum, &got) && got == i);
          assert_true(zcmem__heap_quantum(heap, bases[b] + i * quantum + (quantum - 1), &got) && got == i);
        }
        assert_false(zcmem__heap_quantum(heap, bases[b] + quanta * quantum, &got));
        assert_false(zcmem__heap_quantum(heap, bases[b] - 1, &got));
      }
    }
  }
  free(heap);
}

static void test_ranges(void **state) {
  static const uint64_t sizes[] = {1, 2, 127, 128, UINT32_MAX, UINT64_C(1) << 32, UINT64_C(1) << 63, UINT64_MAX};
  struct zcmem__region *region = aligned_alloc(64, sizeof *region);
  (void)state;
  assert_non_null(region);
  memset(region, 0, sizeof *region);
  for (unsigned power = 0; power <= 64; power++) {
    for (unsigned i = 0; i <= 2 * NEAR; i += 10) {
      for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        uint64_t first = near_value(power, i), last = first + (sizes[s] - 1);
        if (last < first) { /* such a region is refused */
          continue;
        }
        region->base = first;
        region->size = sizes[s];
        assert_true(zcmem__region_holds(region, first) && zcmem__region_holds(region, last));
        assert_true(zcmem__region_holds(region, first + (last - first) / 2));
        assert_true(first == 0 || !zcmem__region_holds(region, first - 1));
        assert_true(last == UINT64_MAX || !zcmem__region_holds(region, last + 1));
        assert_true(first == 0 || !zcmem__region_holds(region, 0));
        assert_true(last == UINT64_MAX || !zcmem__region_holds(region, UINT64_MAX));
      }
    }
  }
  free(region);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_bits),      cmocka_unit_test(test_choices),
      cmocka_unit_test(test_bytes),     cmocka_unit_test(test_sizeclasses),
      cmocka_unit_test(test_all_sizes), cmocka_unit_test(test_entries_of_wide_bins),
      cmocka_unit_test(test_lines),     cmocka_unit_test(test_aligned_places),
      cmocka_unit_test(test_quanta),    cmocka_unit_test(test_ranges),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
