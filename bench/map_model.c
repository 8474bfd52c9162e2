/* SPDX-License-Identifier: MIT */
#include "map.h"

#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void map_destroy(struct map *map) {
  for (uint32_t i = 0; i < map->count; i++) {
    free(map->regions[i].blocks);
  }
  free(map->history.cells);
  free(map->history.live);
  free(map->history.extent);
  free(map->history.scattered);
  memset(map, 0, sizeof *map);
}

bool map_add_block(struct map_region *region, const struct map_block *block) {
  if (region->count == region->capacity) {
    uint32_t capacity = region->capacity ? region->capacity * 2 : 256;
    struct map_block *blocks = capacity ? realloc(region->blocks, capacity * sizeof *blocks) : NULL;
    if (!blocks) {
      bench_error("no memory for the blocks");
      return false;
    }
    region->blocks = blocks;
    region->capacity = capacity;
  }
  region->blocks[region->count++] = *block;
  return true;
}

/* ----------------------------------------------------------------------------------------------------- classes -- */

static int by_tag(const void *a, const void *b) {
  uint32_t x = ((const struct map_weight *)a)->tag;
  uint32_t y = ((const struct map_weight *)b)->tag;
  return (x > y) - (x < y);
}

static int by_bytes(const void *a, const void *b) {
  uint64_t x = ((const struct map_weight *)a)->bytes;
  uint64_t y = ((const struct map_weight *)b)->bytes;
  return x != y ? (x < y) - (x > y) : by_tag(a, b);
}

/* One entry for each tag, those of most bytes first. */
static size_t merge_weights(struct map_weight *weights, size_t count) {
  size_t n = 0;
  qsort(weights, count, sizeof *weights, by_tag);
  for (size_t i = 0; i < count; i++) {
    if (n > 0 && weights[n - 1].tag == weights[i].tag) {
      weights[n - 1].bytes += weights[i].bytes;
    } else {
      weights[n++] = weights[i];
    }
  }
  qsort(weights, n, sizeof *weights, by_bytes);
  return n;
}

static void name_tag(char name[MAP_NAME], uint32_t tag) {
  bool letters = true;
  for (int shift = 24; shift >= 0; shift -= 8) {
    uint32_t c = tag >> shift & 0xff;
    letters = letters && c > 0x20 && c < 0x7f;
  }
  if (letters) {
    snprintf(name, MAP_NAME, "%c%c%c%c", (int)(tag >> 24), (int)(tag >> 16 & 0xff), (int)(tag >> 8 & 0xff),
             (int)(tag & 0xff));
  } else if (tag == 0) {
    snprintf(name, MAP_NAME, "no tag");
  } else {
    snprintf(name, MAP_NAME, tag < 65536 ? "%" PRIu32 : "0x%" PRIx32, tag);
  }
}

/*
 * The end of class 1, from 1 KiB on: such that what is below takes less than a hundredth of the bytes, so that colours
 * are not spent on what cannot be seen. Each further class ends at four times as much.
 */
static uint64_t first_size(const struct map_weight *weights, size_t count) {
  uint64_t limit = 1024;
  double total = 0; /* which does not wrap */
  for (size_t i = 0; i < count; i++) {
    total += (double)weights[i].bytes;
  }
  for (; limit < UINT64_C(1) << 40; limit *= 4) {
    double below = 0;
    for (size_t i = 0; i < count; i++) {
      below += weights[i].bytes <= limit ? (double)weights[i].bytes : 0;
    }
    if (below >= total / 100) {
      break;
    }
  }
  return limit;
}

static uint8_t size_class(const struct map *map, uint64_t size) {
  uint8_t class = 1;
  for (uint64_t limit = map->first_size; size > limit && class < MAP_OWN; limit *= 4) {
    class ++;
  }
  return class;
}

static void name_classes(struct map *map, const struct map_weight *weights, size_t count) {
  char text[32];
  snprintf(map->classes[MAP_CLASS_FREE].name, MAP_NAME, "free");
  snprintf(map->classes[MAP_CLASS_OTHER].name, MAP_NAME, "other tags");
  snprintf(map->classes[MAP_CLASS_ZOMBIE].name, MAP_NAME, "freed in use");
  snprintf(map->classes[MAP_CLASS_CACHED].name, MAP_NAME, "in magazines");
  for (uint32_t i = 1; i <= MAP_OWN; i++) {
    struct map_class *class = &map->classes[i];
    if (map->by_size) {
      uint64_t limit = map->first_size << 2 * (i - 1);
      bool last = i == MAP_OWN;
      snprintf(class->name, MAP_NAME, "%s %s", last ? "above" : "up to", map_bytes(last ? limit / 4 : limit, text));
    } else if (i <= count) {
      class->tag = weights[i - 1].tag;
      name_tag(class->name, class->tag);
    }
  }
}

uint8_t map_class_of(const struct map *map, const struct map_block *block) {
  if (block->state != MAP_LIVE) {
    return block->state == MAP_FREE ? MAP_CLASS_FREE : block->state == MAP_ZOMBIE ? MAP_CLASS_ZOMBIE : MAP_CLASS_CACHED;
  }
  if (map->by_size) {
    return size_class(map, block->size);
  }
  for (uint8_t i = 1; i <= MAP_OWN; i++) {
    if (map->classes[i].tag == block->tag && map->classes[i].name[0]) {
      return i;
    }
  }
  return MAP_CLASS_OTHER;
}

bool map_classify(struct map *map, struct map_weight *weights, size_t count) {
  map->first_size = first_size(weights, count);
  map->by_size = true;
  for (size_t i = 0; i < count; i++) {
    map->by_size = map->by_size && weights[i].tag == 0;
    map->classes[size_class(map, weights[i].bytes)].seen = true;
  }
  if (!map->by_size) {
    count = merge_weights(weights, count);
    for (uint8_t i = 1; i <= MAP_OWN; i++) {
      map->classes[i].seen = i <= count;
    }
  }
  name_classes(map, weights, count);
  for (uint32_t r = 0; r < map->count; r++) {
    for (uint32_t i = 0; i < map->regions[r].count; i++) {
      struct map_class *class = &map->classes[map_class_of(map, &map->regions[r].blocks[i])];
      class->bytes += map->regions[r].blocks[i].size;
      class->blocks++;
    }
  }
  return true;
}

/* ------------------------------------------------------------------------------------------------------- cells -- */

/* Where cell `at` of `count` begins. In floating point, since the product may have more than 64 bits. */
static double cell_start(const struct map_region *region, uint32_t at, uint32_t count) {
  return (double)region->size * at / count;
}

void map_cells(const struct map *map, const struct map_region *region, uint8_t *cells, double *used, uint32_t count) {
  uint32_t block = 0;
  for (uint32_t i = 0; i < count; i++) {
    double from = cell_start(region, i, count), to = cell_start(region, i + 1, count), bytes[MAP_CLASSES] = {0};
    for (; block < region->count; block++) {
      const struct map_block *b = &region->blocks[block];
      double start = (double)b->offset, end = start + (double)b->size;
      double low = start > from ? start : from, high = end < to ? end : to;
      bytes[map_class_of(map, b)] += high > low ? high - low : 0;
      if (end > to) {
        break;
      }
    }
    uint8_t most = MAP_CLASS_FREE;
    double taken = 0;
    for (uint8_t class = 1; class < MAP_CLASSES; class ++) {
      taken += bytes[class];
      if (most == MAP_CLASS_FREE || bytes[class] > bytes[most]) {
        most = bytes[class] > 0 ? class : most;
      }
    }
    cells[i] = used || taken * 2 >= to - from ? most : MAP_CLASS_FREE;
    if (used) {
      used[i] = to > from ? taken / (to - from) : 0;
    }
  }
}

/* ----------------------------------------------------------------------------------------------------- figures -- */

struct map_sums map_sum(const struct map_region *region) {
  struct map_sums sums = {0};
  for (uint32_t i = 0; i < region->count; i++) {
    const struct map_block *block = &region->blocks[i];
    if (block->state == MAP_FREE) {
      sums.free_blocks++;
      sums.available += block->size;
      sums.largest = block->size > sums.largest ? block->size : sums.largest;
    } else {
      sums.live_blocks += block->state != MAP_CACHED;
      sums.in_use += block->size;
    }
  }
  return sums;
}

const char *map_bytes(uint64_t bytes, char text[32]) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = (double)bytes;
  unsigned unit = 0;
  for (; value >= 1023.5 && unit < 6; unit++) {
    value /= 1024;
  }
  bool whole = value == (double)(uint64_t)value || value >= 100;
  snprintf(text, 32, whole ? "%.0f %s" : "%.3g %s", value, units[unit]);
  return text;
}

struct colour {
  const char *rgb;
  unsigned of_256;
};

/* Tags: of a palette made to be told apart by people who see colours differently (Paul Tol's "muted"). */
static const struct colour of_tags[MAP_CLASSES] = {
    {"#f4f4f2", 255}, {"#332288", 54},  {"#88ccee", 117}, {"#44aa99", 73}, {"#117733", 28},
    {"#ddcc77", 186}, {"#cc6677", 168}, {"#aa4499", 133}, {"#882255", 89}, {"#999933", 100},
    {"#ee7733", 209}, {"#111111", 233}, {"#bbbbbb", 250}};

/* Sizes: the larger the darker ("viridis", from its light end). */
static const struct colour of_sizes[MAP_CLASSES] = {
    {"#f4f4f2", 255}, {"#fde725", 220}, {"#addc30", 148}, {"#5ec962", 77}, {"#28ae80", 36},
    {"#21918c", 30},  {"#2c728e", 24},  {"#3b528b", 61},  {"#472d7b", 55}, {"#440154", 53},
    {"#ee7733", 209}, {"#111111", 233}, {"#bbbbbb", 250}};

const char *map_colour(const struct map *map, uint32_t class) {
  return (map->by_size ? of_sizes : of_tags)[class].rgb;
}

unsigned map_colour_256(const struct map *map, uint32_t class) {
  return (map->by_size ? of_sizes : of_tags)[class].of_256;
}
