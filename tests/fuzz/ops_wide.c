/* SPDX-License-Identifier: MIT */
#include "ops.h"

#include "../unit.h"
#include <zcmem/heap.h>

enum { MOST = 300 };

/* A live block, in the order of addresses; starts and counts in quanta. */
struct run {
  uint64_t start, count;
  hal_size_t requested;
};

static struct {
  struct fuzz_input *in;
  struct zcmem_heap *heap;
  struct zcmem_heap_info info; /* as init said: base, size, quantum */
  uint64_t quanta, used;
  uint32_t max_blocks, live;
  struct run runs[MOST];
} wide;

static uint64_t quanta_of(hal_size_t size) {
  return size == 0 ? 1 : (size - 1) / wide.info.quantum + 1;
}

/* The free quanta before run i, and where they begin. */
static uint64_t gap_before(uint32_t i, uint64_t *start) {
  uint64_t end = i < wide.live ? wide.runs[i].start : wide.quanta;
  *start = i == 0 ? 0 : wide.runs[i - 1].start + wide.runs[i - 1].count;
  return end - *start;
}

static uint64_t largest_gap(void) {
  uint64_t most = 0, start;
  for (uint32_t i = 0; i <= wide.live; i++) {
    uint64_t gap = gap_before(i, &start);
    most = gap > most ? gap : most;
  }
  return most;
}

static bool fits_aligned(uint64_t need, hal_size_t align) {
  for (uint32_t i = 0; i <= wide.live; i++) {
    uint64_t start, gap = gap_before(i, &start);
    uint64_t skip = ((0 - (wide.info.base + start * wide.info.quantum)) & (align - 1)) / wide.info.quantum;
    if (skip <= gap && gap - skip >= need) {
      return true;
    }
  }
  return false;
}

/* Enters a block that must lie in a gap; false iff it does not. */
static bool enter(hal_addr_t addr, hal_size_t size) {
  uint64_t start = (addr - wide.info.base) / wide.info.quantum, need = quanta_of(size), from;
  if (addr < wide.info.base || (addr - wide.info.base) % wide.info.quantum != 0 || wide.live == MOST) {
    return false;
  }
  uint32_t i = 0;
  while (i < wide.live && wide.runs[i].start < start) {
    i++;
  }
  uint64_t gap = gap_before(i, &from);
  if (start < from || start - from > gap || gap - (start - from) < need) {
    return false;
  }
  memmove(&wide.runs[i + 1], &wide.runs[i], (wide.live - i) * sizeof *wide.runs);
  wide.runs[i] = (struct run){start, need, size};
  wide.live++;
  wide.used += need;
  return true;
}

static void alloc_one(hal_size_t size, hal_size_t align) {
  uint64_t need = quanta_of(size), largest = largest_gap();
  bool loose = align > wide.info.quantum;
  enum zcmem_status want = align == 0 || (align & (align - 1)) != 0 ? ZCMEM_EINVAL
                           : wide.live == wide.max_blocks           ? ZCMEM_ENOMEM
                           : need > wide.quanta - wide.used         ? ZCMEM_ENOSPC
                           : need > largest                         ? ZCMEM_EFRAG
                                                                    : ZCMEM_OK;
  hal_addr_t addr = 0;
  enum zcmem_status got = zcmem_heap_alloc(wide.heap, size, align, &addr);
  if (want == ZCMEM_OK && loose && got != ZCMEM_OK) { /* a block that is too small for any place of it may be missed */
    assert_status(got, ZCMEM_EFRAG);
    assert_true(largest < need + align / wide.info.quantum - 1);
    return;
  }
  assert_status(got, want);
  if (got == ZCMEM_OK) {
    assert_true(!loose || fits_aligned(need, align));
    assert_int_equal(addr & (align - 1), 0);
    assert_true(enter(addr, size));
  }
}

/* The block that the input names; NULL: there is none. */
static struct run *draw_run(void) {
  uint64_t which = fuzz_below(wide.in, MOST);
  return wide.live == 0 ? NULL : &wide.runs[which % wide.live];
}

static hal_addr_t addr_of(const struct run *run) {
  return wide.info.base + run->start * wide.info.quantum;
}

static void free_one(void) {
  struct run *run = draw_run();
  if (run == NULL) {
    return;
  }
  assert_ok(zcmem_heap_free(wide.heap, addr_of(run)));
  assert_status(zcmem_heap_free(wide.heap, addr_of(run)), ZCMEM_ENOENT);
  wide.used -= run->count;
  wide.live--;
  memmove(run, run + 1, (size_t)(&wide.runs[wide.live] - run) * sizeof *run);
}

static void resize_one(hal_size_t size) {
  struct run *run = draw_run();
  uint64_t start, need = quanta_of(size);
  if (run == NULL) {
    return;
  }
  uint64_t more = need > run->count ? need - run->count : 0;
  uint64_t gap = gap_before((uint32_t)(run - wide.runs) + 1, &start);
  assert_status(zcmem_heap_resize(wide.heap, addr_of(run), size), more > wide.quanta - wide.used ? ZCMEM_ENOSPC
                                                                  : more > gap                   ? ZCMEM_EFRAG
                                                                                                 : ZCMEM_OK);
  if (more <= gap) {
    wide.used = wide.used - run->count + need;
    run->count = need;
    run->requested = size;
  }
}

static void reserve_one(hal_size_t size) {
  hal_addr_t at = wide.info.base + fuzz_below(wide.in, wide.quanta + 1) * wide.info.quantum;
  uint64_t need = quanta_of(size), left = wide.quanta - (at - wide.info.base) / wide.info.quantum;
  enum zcmem_status got = zcmem_heap_reserve(wide.heap, at, size);
  if (left < need) {
    assert_status(got, ZCMEM_EBOUNDS);
  } else if (wide.live == wide.max_blocks) {
    assert_status(got, ZCMEM_ENOMEM);
  } else {
    assert_status(got, enter(at, size) ? ZCMEM_OK : ZCMEM_EOVERLAP);
  }
}

static void verify(void) {
  struct zcmem_heap_info info;
  struct zcmem_block_info block;
  hal_size_t requested = 0;
  uint64_t start;
  uint32_t gaps = 0;
  assert_ok(zcmem_heap_check(wide.heap));
  for (uint32_t i = 0; i <= wide.live; i++) {
    if (gap_before(i, &start) > 0) {
      gaps++;
      assert_status(zcmem_heap_find(wide.heap, wide.info.base + start * wide.info.quantum, &block), ZCMEM_ENOENT);
    }
    if (i < wide.live) {
      const struct run *run = &wide.runs[i];
      assert_ok(zcmem_heap_find(wide.heap, addr_of(run) + run->count * wide.info.quantum - 1, &block));
      assert_int_equal(block.addr, addr_of(run));
      assert_int_equal(block.size, run->count * wide.info.quantum);
      assert_int_equal(block.requested, run->requested);
      requested += run->requested;
    }
  }
  assert_ok(zcmem_heap_get_info(wide.heap, &info));
  assert_int_equal(info.free, (wide.quanta - wide.used) * wide.info.quantum);
  assert_int_equal(info.live, wide.live);
  assert_int_equal(info.free_blocks, gaps);
  assert_int_equal(info.requested, requested);
  assert_int_equal(zcmem_heap_largest(wide.heap), wide.live == wide.max_blocks ? 0 : largest_gap() * wide.info.quantum);
}

static void call(void) {
  uint8_t what = fuzz_byte(wide.in);
  /* In the sizes where bins are wide, and where the next size class begins. */
  uint64_t quanta = (UINT64_C(1) << what % 24) + fuzz_below(wide.in, 512) - 256;
  hal_size_t size = what % 32 < 24 ? (quanta % wide.quanta) * wide.info.quantum + what / 128
                                   : fuzz_size(wide.in, wide.info.quantum, largest_gap() * wide.info.quantum);
  switch (fuzz_byte(wide.in) % 8) {
  case 0:
    alloc_one(size, wide.info.quantum << fuzz_below(wide.in, 20));
    break;
  case 1:
    reserve_one(size);
    break;
  case 2:
    resize_one(size);
    break;
  case 3:
  case 4:
  case 5:
    free_one();
    break;
  default:
    alloc_one(size, 1);
    break;
  }
}

void fuzz_wide(struct fuzz_input *in) {
  uint8_t shape = fuzz_byte(in);
  const hal_size_t quantum = (hal_size_t)1 << shape % 8 * 2;
  const struct zcmem_heap_config config = {.base = quantum * (1u + fuzz_byte(in)),
                                           .size = quantum * (1 + fuzz_below(in, (UINT64_C(1) << (14 + shape / 32)))),
                                           .quantum = quantum,
                                           .max_blocks = 1 + (uint32_t)fuzz_below(in, MOST - 1)};
  size_t bytes = zcmem_heap_bytes(&config);
  assert_true(bytes > 0);
  void *image = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(image);
  memset(&wide, 0, sizeof wide);
  wide.in = in;
  assert_ok(zcmem_heap_init(image, bytes, &config, &wide.heap));
  assert_ok(zcmem_heap_get_info(wide.heap, &wide.info));
  wide.quanta = wide.info.size / wide.info.quantum;
  wide.max_blocks = config.max_blocks;
  for (unsigned calls = 0; calls < FUZZ_MOST_CALLS && fuzz_more(in); calls++) {
    call();
    verify();
  }
  free(image);
}
