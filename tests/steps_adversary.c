/* SPDX-License-Identifier: MIT */
#include "steps_adversary.h"

#include "assert.h"
#include "heap_impl.h"
#include "index.h"
#include "steps.h"
#include "unit.h"
#include "wide.h"

#define QUANTUM ((hal_size_t)128)
#define BASE (UINT64_C(1) << 40) /* a multiple of every alignment here */
#define MOST_QUANTA ((hal_size_t)UINT32_MAX)

struct zcmem_heap *adversary_heap(hal_size_t quanta, uint32_t max_blocks) {
  const struct zcmem_heap_config config = {BASE, quanta * QUANTUM, QUANTUM, max_blocks, ZCMEM_HEAP_ZEROED};
  struct zcmem_heap *heap = NULL;
  size_t bytes = zcmem_heap_bytes(&config);
  char *memory = calloc(1, bytes + ZCMEM__LINE);
  if (memory == NULL) {
    print_message("no %zu bytes for a heap of %u blocks\n", bytes, (unsigned)max_blocks);
    return NULL;
  }
  /* Where the memory began stands in front of the image. */
  char *image = memory + ZCMEM__LINE - (uintptr_t)memory % ZCMEM__LINE;
  ((char **)(void *)image)[-1] = memory;
  assert_ok(zcmem_heap_init(image, bytes, &config, &heap));
  return heap;
}

void adversary_drop(struct zcmem_heap *heap) {
  assert_ok(zcmem_heap_check(heap));
  free(((char **)(void *)heap)[-1]);
}

static hal_addr_t at(hal_size_t quantum) {
  return BASE + quantum * QUANTUM;
}
static void reserve(struct zcmem_heap *heap, hal_size_t quantum, hal_size_t quanta) {
  assert_ok(zcmem_heap_reserve(heap, at(quantum), quanta * QUANTUM));
}
static void release(struct zcmem_heap *heap, hal_size_t quantum) {
  assert_ok(zcmem_heap_free(heap, at(quantum)));
}
static void find(const struct zcmem_heap *heap, hal_size_t quantum, enum zcmem_status status) {
  struct zcmem_block_info info;
  assert_status(zcmem_heap_find(heap, at(quantum), &info), status);
}

/* -------------------------------------------------------------------------------------------------- the index -- */

/* Nine blocks of a quantum, `step` apart: side by side, or with a free one between any two. */
static void crowd(struct zcmem_heap *heap, hal_size_t first, hal_size_t step) {
  for (hal_size_t i = 0; i < 9; i++) {
    reserve(heap, first + step * i, 1);
  }
}

/* Exact look-ups and others in all of it. */
static void look_up(struct zcmem_heap *heap, hal_size_t first, hal_size_t step) {
  for (hal_size_t i = 0; i < 8 * step + 1; i++) {
    find(heap, first + i, i % step == 0 ? ZCMEM_OK : ZCMEM_ENOENT);
    assert_status(zcmem_heap_set_tag(heap, at(first + i), 7), i % step == 0 ? ZCMEM_OK : ZCMEM_ENOENT);
    assert_status(zcmem_heap_free(heap, at(first + i) + 1), ZCMEM_ENOENT);
    assert_status(zcmem_heap_reserve(heap, at(first + i), 2 * QUANTUM),
                  first + i == MOST_QUANTA - 1 ? ZCMEM_EBOUNDS : ZCMEM_EOVERLAP);
  }
}

static void thin_out(struct zcmem_heap *heap, hal_size_t first, hal_size_t step, hal_size_t from, hal_size_t to) {
  for (hal_size_t i = from; i > to; i--) {
    release(heap, first + step * (i - 1));
  }
}

/*
 * Two crowds, in the first page and in the last one, each of which needs so many tables. A look behind the first one
 * finds nothing in any of its tables, goes through the bitmap, and down through the tables of the other one, where the
 * blocks are in the last parts.
 */
static void two_crowds(uint32_t max_blocks, hal_size_t step, uint32_t tables) {
  struct zcmem_heap *heap = adversary_heap(MOST_QUANTA, max_blocks);
  const hal_size_t last = MOST_QUANTA - (8 * step + 1);
  const uint64_t all_at_once = tables * (1u + 2u * (step == 1 ? 9u : 17u)); /* the crowd, touched twice for a table */
  uint64_t most = 0;
  if (heap == NULL) {
    return;
  }
  crowd(heap, 0, step);
  assert_true(heap->tables == tables + 1 && steps_last(STEPS_RESERVE) >= all_at_once);
  look_up(heap, 0, step);
  thin_out(heap, 0, step, 9, 5); /* five are the least that a table is for */
  crowd(heap, last, step);
  assert_true(heap->tables == 2 * tables + 1 && steps_last(STEPS_RESERVE) >= all_at_once);
  look_up(heap, last, step);
  for (hal_size_t i = 0; i < 4; i++) {
    release(heap, last + step * i);
  }
  for (hal_size_t quantum = 4 * step + 1; quantum < 64; quantum++) {
    find(heap, quantum, ZCMEM_ENOENT);
    most = steps_last(STEPS_FIND) > most ? steps_last(STEPS_FIND) : most;
  }
  print_message("%u blocks: tables %u deep, look-up behind a crowd %u steps\n", (unsigned)max_blocks, (unsigned)tables,
                (unsigned)most);
  assert_true(most >= tables * 29u);
  thin_out(heap, 0, step, 5, 4);
  assert_true(steps_last(STEPS_FREE) >= tables * 18u); /* folds all tables at once */
  thin_out(heap, 0, step, 4, 0);
  adversary_drop(heap);
}

/* The ninth block of a crowd by alloc: the one hole of this size is there. */
static void crowd_by_alloc(hal_size_t align) {
  struct zcmem_heap *heap = adversary_heap(MOST_QUANTA, 15);
  const hal_size_t quanta = align > QUANTUM ? 3 : 1;
  hal_addr_t addr = 0;
  if (heap == NULL) {
    return;
  }
  for (hal_size_t i = 0; i < 7; i++) {
    reserve(heap, 64 + 2 * i, 1);
  }
  reserve(heap, 64 + 14 + quanta, 1); /* the hole begins at 64 + 13, the only one longer than a quantum, if aligned */
  assert_ok(zcmem_heap_alloc(heap, 1, align, &addr));
  assert_true(addr >= at(64) && addr < at(64 + 18));
  assert_true(steps_last(align > QUANTUM ? STEPS_ALLOC_ALIGNED : STEPS_ALLOC) >= 6u * 31u);
  adversary_drop(heap);
}

void adversary_deep_index(void **state) {
  (void)state;
  two_crowds(15, 2, 6);
  two_crowds(15, 1, 6);
  two_crowds(18, 2, 6);
  two_crowds(1000, 2, 4);
  two_crowds(1000, 1, 5); /* the innermost part has sixteen quanta */
  two_crowds(2047, 2, 4);
  two_crowds(16000, 1, 4);
  two_crowds(260000, 1, 3);
  two_crowds(1u << 21, 1, 2);
  two_crowds(1u << 22, 2, 1);
  crowd_by_alloc(QUANTUM);
  crowd_by_alloc(2 * QUANTUM);
}

/* One block at the far end, one at the near: between them each level is empty. And blocks alone on a page each. */
static void far_ends(uint32_t max_blocks, uint32_t levels) {
  struct zcmem_heap *heap = adversary_heap(MOST_QUANTA, max_blocks);
  if (heap == NULL) {
    return;
  }
  assert_int_equal(heap->at.levels, levels);
  const hal_size_t page = (hal_size_t)1 << heap->at.index_shift;
  find(heap, 0, ZCMEM_ENOENT); /* nothing at all */
  reserve(heap, MOST_QUANTA - 1, 1);
  find(heap, 0, ZCMEM_ENOENT);
  assert_true(steps_last(STEPS_FIND) >= 2 * levels + heap->at.top_words - 1u);
  reserve(heap, 0, 1);
  find(heap, 2, ZCMEM_ENOENT);
  find(heap, MOST_QUANTA - 2, ZCMEM_ENOENT);
  assert_status(zcmem_heap_reserve(heap, at(1), MOST_QUANTA / 2 * QUANTUM), ZCMEM_OK);
  release(heap, 1);
  for (hal_size_t step = page; step < MOST_QUANTA / 4; step *= 64) {
    reserve(heap, 2 * step, 1); /* words of all levels up to this one's become something, and nothing again */
    find(heap, 2 * step - 1, ZCMEM_ENOENT);
    release(heap, 2 * step);
  }
  release(heap, MOST_QUANTA - 1);
  find(heap, page, ZCMEM_ENOENT);
  adversary_drop(heap);
}

void adversary_bitmaps(void **state) {
  (void)state;
  far_ends(15, 1);
  far_ends(1000, 1);
  far_ends(1030, 2);
  far_ends(32000, 2);
  far_ends(70000, 3);
  far_ends(1u << 21, 3);
  far_ends(1u << 22, 4);
}

/* -------------------------------------------------------------------------------------------------- wide bins -- */

#define LEAST ((hal_size_t)ZCMEM__BIN_WIDE)
#define SIZES (LEAST >> ZCMEM__SL_SHIFT) /* of the first wide bin */
#define PAIRS 4u

static const struct zcmem__wide_page *first_page(const struct zcmem_heap *heap, uint32_t bin) {
  return ZCMEM__CONST_TABLE(struct zcmem__wide_page, heap, heap->at.pages_at) + (bin - ZCMEM__BIN_WIDE);
}

/* The quantum where the largest block of the bin starts; it is in the first page. */
static hal_size_t largest_of(const struct zcmem_heap *heap, uint32_t bin, hal_size_t *size) {
  const struct zcmem__wide_page *page = first_page(heap, bin);
  uint32_t best = 0;
  for (uint32_t i = 1; i < ZCMEM__PAGE; i++) {
    best = zcmem__wide_size(page->entry[i]) > zcmem__wide_size(page->entry[best]) ? i : best;
  }
  *size = zcmem__wide_size(page->entry[best]);
  return zcmem__block_const(heap, page->id[best])->start;
}

/*
 * `count` holes of the first wide bin and `doubles` of another, for blocks twice as large, each with a live block of a
 * quantum in front. Some two neighbours are the largest of the first bin: `pairs` says which quantum lies between them.
 */
static void fill_bins(struct zcmem_heap *heap, uint32_t count, uint32_t doubles, uint64_t *random,
                      hal_size_t pairs[PAIRS]) {
  hal_size_t quantum = 0;
  for (uint32_t i = 0; i < count + doubles; i++) {
    uint32_t pair = i / (count / PAIRS), in_pair = i % (count / PAIRS);
    hal_size_t size = LEAST + 1 + random_below(random, SIZES - 4);
    if (i >= count) {
      size = 2 * LEAST + 1 + random_below(random, 2 * SIZES - 4);
    } else if (in_pair < 2 && pair < PAIRS) {
      size = LEAST + SIZES - 1;
    }
    if (i < count && in_pair == 1 && pair < PAIRS) {
      pairs[pair] = quantum;
    }
    reserve(heap, quantum, 1);
    quantum += 1 + size;
  }
  reserve(heap, quantum, 1);
}

/* The largest becomes the smallest and so goes down, the smallest the largest and goes up. */
static void down_and_up(struct zcmem_heap *heap, uint32_t bin, hal_size_t least) {
  hal_size_t size, start = largest_of(heap, bin, &size);
  assert_ok(zcmem_heap_resize(heap, at(start - 1), (1 + size - least) * QUANTUM));
  assert_ok(zcmem_heap_resize(heap, at(start - 1), QUANTUM));
}

/* The largest leaves its bin, and a part of it is the largest of the other one, or the smallest; and comes back. */
static void change_bins(struct zcmem_heap *heap, hal_size_t rest) {
  hal_size_t size, start = largest_of(heap, zcmem__sizeclass_wide((uint32_t)(2 * LEAST)), &size);
  reserve(heap, start, size - rest);
  release(heap, start);
  reserve(heap, start + rest, size - rest);
  release(heap, start + rest);
  reserve(heap, start + rest, 3); /* in two, of which one is the other bin's */
  release(heap, start + rest);
  hal_addr_t addr = 0;
  assert_ok(zcmem_heap_alloc(heap, (size - rest) * QUANTUM, 1, &addr));
  assert_ok(zcmem_heap_free(heap, addr));
  assert_ok(zcmem_heap_alloc(heap, 2 * QUANTUM, LEAST / 2 * QUANTUM, &addr));
  assert_ok(zcmem_heap_free(heap, addr));
}

static void many_blocks(uint32_t count, uint32_t doubles, uint64_t random) {
  struct zcmem_heap *heap = adversary_heap(MOST_QUANTA, count + doubles + 20);
  const uint32_t bin = zcmem__sizeclass_wide((uint32_t)LEAST),
                 double_bin = zcmem__sizeclass_wide((uint32_t)(2 * LEAST));
  hal_size_t pairs[PAIRS] = {0};
  if (heap == NULL) {
    return;
  }
  fill_bins(heap, count, doubles, &random, pairs);
  assert_true(zcmem_heap_largest(heap) > LEAST * QUANTUM);
  for (unsigned i = 0; i < 2000; i++) {
    /* Two of the largest leave their bin for the largest place of the other one; and come back. */
    release(heap, pairs[i % PAIRS]);
    reserve(heap, pairs[i % PAIRS], 1);
    down_and_up(heap, bin, LEAST);
    down_and_up(heap, double_bin, 2 * LEAST);
    change_bins(heap, LEAST + (i % 2 == 0 ? SIZES - 1 : 0));
    if (i % 500 == 0) {
      assert_ok(zcmem_heap_check(heap));
    }
  }
  adversary_drop(heap);
}

void adversary_wide_bins(void **state) {
  uint64_t before = steps_most(STEPS_RESIZE);
  (void)state;
  many_blocks(9, 9, 1);
  many_blocks(80, 80, 2);
  many_blocks(5000, 5000, 3);
  many_blocks(480000, 270000, 4); /* seven pages deep, and six */
  print_message("resize: %u steps before, %u in wide bins\n", (unsigned)before, (unsigned)steps_most(STEPS_RESIZE));
  assert_true(steps_most(STEPS_RESIZE) >= ZCMEM_STEPS_BIN_ORDER + 4u); /* all the way down */
}

/* ---------------------------------------------------------------------------------------------------- aligned -- */

/* `count` holes of `size` quanta, each a quantum behind a multiple of `apart`; what lies between is live. */
static hal_size_t misaligned(struct zcmem_heap *heap, hal_size_t first, hal_size_t apart, uint32_t count,
                             hal_size_t size) {
  for (uint32_t i = 0; i < count; i++, first += apart) {
    reserve(heap, first, 1);
    reserve(heap, first + 1 + size, apart - 1 - size);
  }
  return first;
}

static void no_candidate(hal_size_t size, hal_size_t next_size) {
  const hal_size_t apart = 4 * (next_size > LEAST ? 16 * LEAST : LEAST);
  struct zcmem_heap *heap = adversary_heap(MOST_QUANTA, 300);
  hal_addr_t addr = 0;
  if (heap == NULL) {
    return;
  }
  hal_size_t behind = misaligned(heap, 0, apart, 40, size);
  behind = misaligned(heap, behind, apart, 40, next_size);
  /* No hole holds it and the tail does; then a hole that does; then nothing. */
  assert_ok(zcmem_heap_alloc(heap, (size - 1) * QUANTUM, apart * QUANTUM, &addr));
  assert_true(addr >= at(behind));
  assert_true(steps_last(STEPS_ALLOC_ALIGNED) >= 2 * 16);
  assert_ok(zcmem_heap_free(heap, addr));
  reserve(heap, behind, 1);
  reserve(heap, behind + 4 * apart, MOST_QUANTA - behind - 4 * apart);
  assert_ok(zcmem_heap_alloc(heap, (size - 1) * QUANTUM, apart * QUANTUM, &addr));
  assert_status(zcmem_heap_alloc(heap, (size - 1) * QUANTUM, 8 * apart * QUANTUM, &addr), ZCMEM_EFRAG);
  assert_true(steps_last(STEPS_ALLOC_ALIGNED) >= 2 * 16);
  adversary_drop(heap);
}

void adversary_aligned(void **state) {
  (void)state;
  no_candidate(7, 9);
  no_candidate(7, LEAST);
  no_candidate(LEAST + 3, LEAST + 3 + SIZES);
  no_candidate(4 * LEAST + 3, 9 * LEAST);
  assert_true(steps_most(STEPS_ALLOC_ALIGNED) >= 2 * (1 + 2 * 17)); /* two bins, two pages of each */
}

/* ------------------------------------------------------------------------------------------- pins, transfers -- */

void adversary_use(void **state) {
  struct zcmem_heap *heap = adversary_heap(MOST_QUANTA, 15);
  (void)state;
  assert_non_null(heap);
  crowd(heap, 0, 2);
  for (hal_size_t i = 0; i < 9; i++) {
    bool freed = false, deferred = false;
    hal_addr_t block = at(2 * (8 - i));
    assert_ok(zcmem_heap_pin(heap, block + 1));
    assert_ok(zcmem_heap_begin_transfer(heap, block, 1, NULL));
    assert_ok(zcmem_heap_free_deferred(heap, block, &deferred));
    assert_true(deferred);
    if (i % 2 == 0) {
      assert_ok(zcmem_heap_unpin(heap, block, &freed));
    }
    assert_ok(zcmem_heap_end_transfer(heap, block, &freed));
    if (i % 2 != 0) {
      assert_ok(zcmem_heap_unpin(heap, block, &freed));
    }
    assert_true(freed);
  }
  assert_true(steps_most(STEPS_UNPIN) >= 6 * 18 || steps_most(STEPS_END_TRANSFER) >= 6 * 18); /* folds all tables */
  adversary_drop(heap);
}
