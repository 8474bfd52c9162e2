/* SPDX-License-Identifier: MIT */
/*
 * What tests/proof.sh lets Frama-C's Eva run for all inputs at once: the arithmetic of bits.h and sizeclass.h, and the
 * helpers for lines, alignments and ranges, as a compiler without GCC's builtins compiles them. Eva proves that there
 * is no run-time error (no shift by too much, no overflow of a signed number, no access outside of an object), that
 * each assertion below holds, and that each loop ends.
 *
 * Sizes are taken from one power of two at a time: the bounds of a bin follow from that of the size.
 */
#include "__fc_builtin.h"

/* What Frama-C 25 does not know. The header is shorter by its padding then, of which nothing here depends. */
#define _Alignas(bytes)
#define _Atomic
#define _Static_assert(condition, text) extern int zcmem_proof_asserts

#include "heap_impl.h"
#include "heap_parts.h"
#include "region.h"
#include "sizeclass.h"

#include "heap_image.c"

static uint32_t any32(uint32_t least, uint32_t most) {
  return Frama_C_unsigned_int_interval(least, most);
}

static uint64_t any64(uint64_t least, uint64_t most) {
  return Frama_C_unsigned_long_long_interval(least, most);
}

static void prove_bits(void) {
  for (uint32_t n = 0; n < 32; n++) {
    uint32_t low = 1u << n, x = any32(low, low + (low - 1u));
    uint32_t high = zcmem__bits_high(x);
    /*@ assert high == n; */
  }
  uint32_t x = any32(1, UINT32_MAX);
  uint32_t first = zcmem__bits_low(x);
  /*@ assert first < 32; */
  for (uint32_t n = 0; n < 64; n++) {
    uint64_t low = zcmem__bits_one(n), y = any64(low, low + (low - 1u));
    uint32_t log2 = zcmem__bits_log2(y);
    /*@ assert log2 == n; */
  }
  uint64_t y = any64(1, UINT64_MAX), z = any64(0, UINT64_MAX);
  uint32_t lowest = zcmem__bits_low64(y);
  /*@ assert lowest < 64; */
  (void)zcmem__bits_power_of_two(z);
  uint64_t least = zcmem__bits_min(y, z);
  (void)least;
  (void)zcmem__bits_select(any32(0, 1) != 0, any32(0, UINT32_MAX), x);
}

/* Each size: its bin is one that there is; the least size of the bin is no more, that of the next bin is more. */
static void prove_sizeclasses(void) {
  for (uint32_t quanta = 1; quanta < ZCMEM__BIN_WIDE; quanta++) {
    uint32_t bin = zcmem__sizeclass_bin(quanta), least = zcmem__sizeclass_least(bin);
    /*@ assert bin == quanta && least == quanta; */
  }
  for (uint32_t fl = ZCMEM__FL_SHIFT; fl < 32u; fl++) {
    for (uint32_t sl = 0; sl < 1u << ZCMEM__SL_SHIFT; sl++) {
      uint32_t width = 1u << (fl - ZCMEM__SL_SHIFT), first = (1u << fl) + sl * width;
      uint32_t quanta = any32(first, first + (width - 1u));
      uint32_t bin = zcmem__sizeclass_bin(quanta), least = zcmem__sizeclass_least(bin);
      /*@ assert bin == ZCMEM__BIN_WIDE + ((fl - ZCMEM__FL_SHIFT) << ZCMEM__SL_SHIFT) + sl; */
      /*@ assert bin < ZCMEM__BIN_LIMIT; */
      /*@ assert least == first; */
    }
  }
}

static void prove_entries(void) {
  uint32_t size = any32(ZCMEM__BIN_WIDE, UINT32_MAX);
  uint64_t entry = zcmem__wide_entry(size, any32(0, UINT32_MAX), any32(0, UINT32_MAX));
  uint32_t got = zcmem__wide_size(entry);
  /*@ assert got >= ZCMEM__BIN_WIDE; */
}

static void prove_ranges(void) {
  struct zcmem__block block = {.start = any32(0, UINT32_MAX), .size = any32(0, UINT32_MAX)};
  (void)zcmem__block_holds(&block, any32(0, UINT32_MAX), any64(0, UINT64_MAX), any64(0, UINT64_MAX));
  size_t lines = zcmem__lines(any64(0, SIZE_MAX - ZCMEM__LINE)), rest = lines % ZCMEM__LINE;
  /*@ assert rest == 0; */
  static struct zcmem_heap heap;
  uint32_t quanta;
  for (uint8_t shift = 0; shift < 32; shift++) {
    heap.at.base = any64(0, UINT64_MAX);
    heap.at.quantum_shift = shift;
    heap.at.quanta = any32(1, UINT32_MAX);
    uint32_t in = any32(0, UINT32_MAX);
    (void)zcmem__heap_addr(&heap, in);
    (void)zcmem__heap_quantum(&heap, any64(0, UINT64_MAX), &quanta);
    (void)zcmem__heap_quanta_of(&heap, any64(0, UINT64_MAX), &quanta);
  }
  static struct zcmem__region region;
  region.base = any64(0, UINT64_MAX);
  region.size = any64(0, UINT64_MAX);
  (void)zcmem__region_holds(&region, any64(0, UINT64_MAX));
}

/* Any config: a layout, or a refusal. The bound of the loops over levels comes with the sizes. */
static void prove_layout(void) {
  const struct zcmem_heap_config config = {.base = any64(0, UINT64_MAX),
                                           .size = any64(0, UINT64_MAX),
                                           .quantum = any64(0, UINT64_MAX),
                                           .max_blocks = any32(0, UINT32_MAX),
                                           .flags = any32(0, UINT32_MAX)};
  (void)zcmem_heap_bytes(&config);
}

int main(void) {
  prove_bits();
  prove_sizeclasses();
  prove_entries();
  prove_ranges();
  prove_layout();
  return 0;
}
