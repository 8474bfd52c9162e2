/* SPDX-License-Identifier: MIT */
/*
 * Translations against the thorough look-up, at every quantum of heaps of many shapes: crowded pages of the index and
 * tables below them, empty pages, free blocks before and between, blocks of no bytes, ends of regions that no heap has.
 */
#include "hal_impl.h"
#include "unit.h"
#include <string.h>
#include <zcmem/zcmem.h>

enum { BLOCKS = 2048, QUANTUM = 64 };
#define BASE (UINT64_C(3) << 40)

static unsigned char memory[1 << 22];
static struct zcmem_hal *hal;
static struct zcmem__region *region;
static hal_addr_t live[BLOCKS];
static uint64_t looked, quick, found;
static uint64_t plain;  /* per cent of what was found that the quick way found, before the end was filled */
static uint32_t filled; /* heaps, to their end */
static uint32_t tables; /* of the index that the last run made, and the one that is none */

/* Not a multiple of the quantum at either end, so there are bytes that belong to the region and to no heap. */
static void make(hal_size_t size, uint32_t max_blocks) {
  const struct zcmem_hal_config device = {.name = "device", .max_regions = 2};
  const struct zcmem_region_config regions[] = {{.name = "other",
                                                 .kind = ZCMEM_KIND_DRAM,
                                                 .base = BASE + sizeof memory,
                                                 .size = QUANTUM,
                                                 .quantum = QUANTUM,
                                                 .max_blocks = 1},
                                                {.name = "dram",
                                                 .kind = ZCMEM_KIND_DRAM,
                                                 .base = BASE + 1,
                                                 .size = size,
                                                 .quantum = QUANTUM,
                                                 .max_blocks = max_blocks,
                                                 .host = memory + 1}};
  assert_true(size < sizeof memory);
  assert_ok(zcmem_hal_create(&device, regions, 2, &hal));
  region = &hal->regions[1];
  memset(live, 0, sizeof live);
}

/* Of `size` bytes at addr: what the block's info says is the answer. */
static void look(hal_addr_t addr, hal_size_t size) {
  struct zcmem_block_info info;
  void *host = NULL;
  hal_addr_t back = 0;
  hal_size_t rest = 0, more = 0;
  enum zcmem_status known = zcmem_mem_info(hal, addr, &info), status = zcmem_mem_host(hal, addr, size, &host);
  unsigned char *at = memory + (size_t)(addr - BASE);
  looked++;
  if (known != ZCMEM_OK) {
    assert_status(status, ZCMEM_ENOENT);
    assert_int_equal(zcmem_mem_device(hal, at, &back, &rest) == ZCMEM_OK, 0);
    return;
  }
  found++;
  hal_size_t within = addr - info.addr, left = within < info.requested ? info.requested - within : 0;
  assert_status(status, within <= info.requested && size <= left ? ZCMEM_OK : ZCMEM_EBOUNDS);
  if (status == ZCMEM_OK) {
    assert_ptr_equal(host, at);
  }
  assert_ok(zcmem_mem_device(hal, at, &back, &rest));
  assert_int_equal(back, addr);
  assert_int_equal(rest, left);
  bool by_quick = zcmem__region_rest_quick(region, addr - region->first, &more);
  if (by_quick) {
    assert_int_equal(more, left);
    quick++;
  }
  if (within == 0 && left > 0 && region->heap->at.index_shift <= ZCMEM__INDEX_FEW + ZCMEM__INDEX_BITS) {
    assert_true(by_quick); /* something starts there, and no table of the index is below another one */
  }
}

/* All quanta, and both ends of the region. */
static void look_everywhere(void) {
  uint64_t random = looked;
  for (hal_addr_t at = region->base; at < region->base + region->size; at += QUANTUM) {
    uint64_t drawn = random_next(&random);
    look(at, drawn % (4 * QUANTUM));
    look(at + QUANTUM - 1 < region->base + region->size ? at + QUANTUM - 1 : at, drawn >> 63);
  }
  look(region->base + region->size - 1, 1);
}

/* Of sizes up to `most` bytes, in runs of small ones and of others, where `keep` in 16 stay. */
static void fill(uint32_t count, uint32_t most, uint32_t keep) {
  uint64_t random = most;
  for (uint32_t i = 0; i < 4 * count; i++) {
    uint64_t drawn = random_next(&random);
    uint32_t slot = (uint32_t)(drawn >> 40) % count, bits = (uint32_t)drawn;
    hal_size_t size = (bits & 0x30) == 0 ? bits % most : bits % (QUANTUM + 1);
    if (live[slot] != 0 && (bits & 15) >= keep) {
      assert_ok(zcmem_mem_free(hal, live[slot]));
      live[slot] = 0;
    } else if (live[slot] == 0 && zcmem_mem_alloc(hal, 1, size, 1, &live[slot]) != ZCMEM_OK) {
      live[slot] = 0;
    }
  }
}

static void run(hal_size_t size, uint32_t max_blocks, uint32_t count, uint32_t most, uint32_t keep) {
  make(size, max_blocks);
  assert_true(count <= BLOCKS && count <= max_blocks);
  looked = quick = found = 0;
  look_everywhere();
  assert_int_equal(found, 0);
  fill(count, most, keep);
  look_everywhere();
  assert_true(found > 0 && looked > found);
  tables = region->heap->tables;
  plain = quick * 100 / found;
  hal_size_t largest = zcmem_heap_largest(region->heap);
  hal_addr_t last = 0;
  if (zcmem_mem_alloc(hal, 1, largest, 1, &last) == ZCMEM_OK) { /* now a live block is the last one */
    filled++;
    look_everywhere();
  }
  (void)zcmem_hal_destroy(hal);
}

static void test_spread_blocks(void **state) {
  (void)state;
  run(1 << 20, BLOCKS, 512, 2000, 16);
  run(1 << 20, BLOCKS, 512, 2000, 8);
  assert_true(plain > 75);
}

/* Far more quanta than blocks: pages are large, small blocks crowd in them, and tables are made. */
static void test_crowded_pages(void **state) {
  (void)state;
  filled = 0;
  run((1 << 22) - 200, 20, 16, 4 * QUANTUM, 15);
  assert_true(tables > 1);
  run((1 << 22) - 200, 204, 200, 40000, 15);
  run((1 << 22) - 200, 204, 200, 200, 8);
  assert_int_equal(filled, 3);
}

/* A block a page, all of it: the quick way finds every one. */
static void test_equal_blocks(void **state) {
  (void)state;
  make(512 * 1024, 1024);
  looked = quick = found = 0;
  for (uint32_t i = 0; i < 1000; i++) {
    assert_ok(zcmem_mem_alloc(hal, 1, 8 * QUANTUM, 1, &live[i]));
  }
  look_everywhere();
  assert_int_equal(found, 2 * 8 * 1000);
  assert_true(quick + 4 * 8 >= found);     /* but for the last ones, behind which nothing starts */
  for (uint32_t i = 0; i < 1000; i += 2) { /* holes: a block behind each is the first of its page */
    assert_ok(zcmem_mem_free(hal, live[i]));
  }
  look_everywhere();
  (void)zcmem_hal_destroy(hal);
}

/*
 * Behind the place that is asked for nothing starts in its word of the bitmap, so the next word has to tell; or the
 * level above, which one that is.
 */
static void test_blocks_longer_than_a_word(void **state) {
  (void)state;
  for (uint32_t levels = 1; levels <= 2; levels++) {
    make(levels == 1 ? 64 * 4096 + 100 : (1 << 22) - 200, levels == 1 ? 256 : BLOCKS);
    const struct zcmem__layout *at = &region->heap->at;
    const hal_size_t word = (hal_size_t)64 * QUANTUM << at->index_shift;
    assert_int_equal(at->levels, levels);
    assert_true(levels > 1 || at->top_words > 3);
    hal_addr_t first = 0, second = 0, last = 0;
    hal_size_t rest = 0;
    assert_ok(zcmem_mem_alloc(hal, 1, word + QUANTUM, 1, &first));
    assert_ok(zcmem_mem_alloc(hal, 1, word, 1, &second));
    assert_ok(zcmem_mem_alloc(hal, 1, 1, 1, &last));
    for (hal_size_t offset = 0; offset < 2 * word + QUANTUM; offset += QUANTUM) {
      assert_true(zcmem__region_rest_quick(region, offset, &rest));
      assert_int_equal(rest, offset < word + QUANTUM ? word + QUANTUM - offset : 2 * word + QUANTUM - offset);
    }
    (void)zcmem_hal_destroy(hal);
  }
}

static void test_small_pages(void **state) {
  (void)state;
  run(2000 * QUANTUM + 5, BLOCKS, 1500, 100, 16);
  run(64 * QUANTUM, 8, 8, 10 * QUANTUM, 12);
  run(3 * QUANTUM, 4, 4, 20, 12);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_spread_blocks), cmocka_unit_test(test_crowded_pages),
      cmocka_unit_test(test_equal_blocks),  cmocka_unit_test(test_blocks_longer_than_a_word),
      cmocka_unit_test(test_small_pages),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
