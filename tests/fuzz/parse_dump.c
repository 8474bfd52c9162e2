/* SPDX-License-Identifier: MIT */
/*
 * Dumps of heaps as `zcmem-bench map` reads them: what is accepted are regions with blocks in order, within their
 * region, and they can be drawn. The reader is included, so that it reads from memory and its messages are dropped.
 */
#include "parse.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
  const uint8_t *bytes;
  size_t size;
} dump;

static FILE *open_dump(void) {
  return fmemopen((void *)(uintptr_t)dump.bytes, dump.size, "r");
}

__attribute__((format(printf, 1, 2))) static void drop_error(const char *format, ...) {
  char text[1000];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
}

#include "../../bench/report.h"
#define bench_error drop_error
#define fopen(path, mode) ((void)(path), open_dump())
#include "../../bench/map_dump.c"
#undef fopen
#undef bench_error

#include "../unit.h"

enum { CELLS = 61 };

static void expect_drawn(const struct map *map, const struct map_region *region) {
  uint8_t cells[CELLS];
  double used[CELLS];
  uint64_t end = 0, live = 0;
  for (uint32_t i = 0; i < region->count; i++) {
    const struct map_block *block = &region->blocks[i];
    assert_true(block->size > 0 && block->offset >= end && block->size <= region->size - block->offset);
    assert_true(map_class_of(map, block) < MAP_CLASSES);
    end = block->offset + block->size;
    live += block->state == MAP_LIVE || block->state == MAP_ZOMBIE;
  }
  struct map_sums sums = map_sum(region);
  assert_true(sums.live_blocks == live && sums.largest <= sums.available && sums.in_use <= region->size);
  map_cells(map, region, cells, NULL, CELLS);
  map_cells(map, region, cells, used, CELLS);
  for (unsigned i = 0; i < CELLS; i++) {
    assert_true(cells[i] < MAP_CLASSES && used[i] >= 0 && used[i] < 1.001);
  }
}

void fuzz_dump(const uint8_t *bytes, size_t size) {
  static struct map map;
  dump.bytes = bytes;
  dump.size = size;
  if (size > 0 && map_read_dump(&map, "dump")) {
    assert_true(map_is_dump("dump"));
    assert_true(map.count > 0 && map.count <= MAP_MAX_REGIONS);
    for (uint32_t i = 0; i < map.count; i++) {
      expect_drawn(&map, &map.regions[i]);
      for (const char *c = map.regions[i].name; *c != '\0'; c++) { /* it goes to a terminal */
        assert_true((unsigned char)*c >= 0x20 && *c != 0x7f);
      }
    }
  }
  map_destroy(&map);
}
