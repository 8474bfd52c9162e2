/* SPDX-License-Identifier: MIT */
/*
 * zcmem-bench map: pictures of heaps, from a dump (zcmem_hal_dump) or from a trace that is replayed.
 *
 *      dump  -> map_dump.c  -+                        +-> map_svg.c    SVG
 *                            +-> struct map ----------+
 *      trace -> map_trace.c -+   (and its history)    +-> map_text.c   a line a region
 *
 * What is drawn are cells: equal parts of a region, each in the colour of what takes most of it.
 */
#ifndef ZCMEM_BENCH_MAP_H
#define ZCMEM_BENCH_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MAP_MAX_REGIONS 64u
#define MAP_NAME 64u

enum map_state { MAP_FREE, MAP_LIVE, MAP_ZOMBIE, MAP_CACHED };

struct map_block {
  uint64_t offset, size;
  uint32_t tag;
  uint8_t state; /* enum map_state */
  bool used;     /* pinned or in a transfer */
};

struct map_region {
  char name[MAP_NAME];
  uint64_t size;
  struct map_block *blocks; /* in the order of addresses */
  uint32_t count, capacity;
  bool changed; /* while it was dumped */
};

/*
 * Classes: colours. 0 is free; then the tags that take most bytes, in the order of bytes, one for all others, and two
 * for what is no block of anybody. Where no tag was set classes are sizes instead.
 */
#define MAP_OWN 9u /* tags, or sizes, that have a colour of their own */
#define MAP_CLASSES (MAP_OWN + 4u)
#define MAP_CLASS_FREE 0u
#define MAP_CLASS_OTHER (MAP_OWN + 1u)
#define MAP_CLASS_ZOMBIE (MAP_OWN + 2u)
#define MAP_CLASS_CACHED (MAP_OWN + 3u)

struct map_class {
  char name[MAP_NAME];
  uint32_t tag;
  uint64_t bytes, blocks; /* in what is shown */
  bool seen;              /* at any time */
};

/* A trace over time, in columns of equally many events. */
struct map_history {
  uint32_t columns, rows;
  uint8_t *cells;    /* [column * rows + row]: class; row 0 is the lowest address */
  double *live;      /* [column]: share of the region that is live, */
  double *extent;    /*   from the first byte to the end of the last block, */
  double *scattered; /*   and that is free below that end */
  uint64_t events;
  uint64_t peak_event; /* the moment that the map shows */
};

struct map {
  char name[MAP_NAME];
  struct map_region regions[MAP_MAX_REGIONS];
  uint32_t count;
  bool by_size;        /* classes are sizes: */
  uint64_t first_size; /*   the first one up to so many bytes, each further one four times as many */
  struct map_class classes[MAP_CLASSES];
  struct map_history history; /* columns 0: none */
};

/* --------------------------------------------------------------------------------------------------- the model -- */

void map_destroy(struct map *map);
/* False: no memory (a message was printed). */
bool map_add_block(struct map_region *region, const struct map_block *block);
/* Which classes there are; after all blocks are there. `tags`: of blocks over time; NULL: those that are there now. */
struct map_weight {
  uint32_t tag;
  uint64_t bytes;
};
bool map_classify(struct map *map, struct map_weight *weights, size_t count);
uint8_t map_class_of(const struct map *map, const struct map_block *block);
/*
 * The class that takes most of each of `count` equal parts of the region, free where more than half is. With `used`:
 * the share of each part that is not free, and the class that takes most of that.
 */
void map_cells(const struct map *map, const struct map_region *region, uint8_t *cells, double *used, uint32_t count);

/* Figures of a region. */
struct map_sums {
  uint64_t live_blocks, free_blocks, in_use, available, largest;
};
struct map_sums map_sum(const struct map_region *region);
/* "1.50 MiB" */
const char *map_bytes(uint64_t bytes, char text[32]);

/* ------------------------------------------------------------------------------------------- readers and writers -- */

/* False: a message was printed. */
bool map_read_dump(struct map *map, const char *path);
bool map_read_trace(struct map *map, const char *path, uint64_t region_bytes, uint64_t quantum);
bool map_is_dump(const char *path);

bool map_write_svg(const struct map *map, const char *path);
void map_print(const struct map *map, uint32_t width, bool coloured);

/* "#rrggbb" of a class, and its number among a terminal's 256. */
const char *map_colour(const struct map *map, uint32_t class);
unsigned map_colour_256(const struct map *map, uint32_t class);

#endif
