/* SPDX-License-Identifier: MIT */
/* A map for the terminal: a line a region, addresses to the right; the height of a cell is how full it is. */
#include "map.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const levels[] = {"\u2581", "\u2582", "\u2583", "\u2584", "\u2585", "\u2586", "\u2587", "\u2588"};

/* Changes the colour, if it is another one; 0: the terminal's own. */
static void set_colour(unsigned *now, unsigned wanted) {
  if (*now == wanted) {
    return;
  }
  *now = wanted;
  if (wanted == 0) {
    fputs("\033[0m", stdout);
  } else {
    printf("\033[38;5;%um", wanted);
  }
}

static void print_cell(const struct map *map, uint8_t class, double used, unsigned *colour, bool coloured) {
  unsigned level = (unsigned)(used * 8 + 0.999);
  if (coloured) {
    set_colour(colour, used > 0 ? map_colour_256(map, class) : 0);
  }
  fputs(used <= 0 ? "\u00b7" : levels[level > 8 ? 7 : level < 1 ? 0 : level - 1], stdout);
}

static void print_cells(const struct map *map, const struct map_region *region, uint32_t width, bool coloured) {
  uint8_t *cells = calloc(width, 1);
  double *used = calloc(width, sizeof *used);
  unsigned colour = 0;
  if (cells && used) {
    map_cells(map, region, cells, used, width);
    for (uint32_t i = 0; i < width; i++) {
      print_cell(map, cells[i], used[i], &colour, coloured);
    }
    set_colour(&colour, 0);
  }
  free(cells);
  free(used);
}

static void print_legend(const struct map *map, bool coloured) {
  char bytes[32];
  printf("  left: lowest address; a cell is as high as it is full, \u00b7 is free%s\n  %s%s:",
         map->history.columns ? "; the moment of the peak" : "", coloured ? "colours are " : "",
         map->by_size ? "sizes of blocks" : "tags");
  for (uint32_t class = 1; class < MAP_CLASSES; class ++) {
    const struct map_class *c = &map->classes[class];
    if (c->blocks == 0) {
      continue;
    }
    if (coloured) {
      printf("  \033[38;5;%um\u2588\033[0m", map_colour_256(map, class));
    }
    printf("  %s: %s in %" PRIu64, c->name, map_bytes(c->bytes, bytes), c->blocks);
  }
  printf("\n");
}

void map_print(const struct map *map, uint32_t width, bool coloured) {
  char total[32], largest[32];
  int longest = 4;
  for (uint32_t i = 0; i < map->count; i++) {
    int length = (int)strlen(map->regions[i].name);
    longest = length > longest ? length : longest;
  }
  for (uint32_t i = 0; i < map->count; i++) {
    const struct map_region *region = &map->regions[i];
    struct map_sums sums = map_sum(region);
    printf("%-*s ", longest, region->name);
    print_cells(map, region, width, coloured);
    printf(" %5.1f %% of %s, %" PRIu64 " blocks, %" PRIu64 " free, largest %s%s\n",
           100.0 * (double)sums.in_use / (double)region->size, map_bytes(region->size, total), sums.live_blocks,
           sums.free_blocks, map_bytes(sums.largest, largest), region->changed ? " (changed meanwhile)" : "");
  }
  print_legend(map, coloured);
}
