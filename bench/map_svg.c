/* SPDX-License-Identifier: MIT */
/* A map as SVG: with a history first (time to the right, addresses upwards), then each region (addresses to the right).
 */
#include "map.h"

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 1000
#define LEFT 70
#define INNER (WIDTH - LEFT - 20)
#define ROW_HEIGHT 16
#define ROWS 6u
#define ROW_CELLS 465u /* two units each */
#define HISTORY_HEIGHT 360
#define CURVE_HEIGHT 110
#define LEGEND_TITLE 22

static void put_escaped(FILE *to, const char *text) {
  for (; *text; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '<' || c == '>' || c == '&' || c < 0x20 || c > 0x7e) {
      fprintf(to, "&#%u;", c < 0x20 ? '?' : c);
    } else {
      fputc(c, to);
    }
  }
}

static void put_label(FILE *to, double x, double y, const char *style, const char *text) {
  fprintf(to, "<text x=\"%.0f\" y=\"%.0f\" %s>", x, y, style);
  put_escaped(to, text);
  fputs("</text>\n", to);
}

/* A grid of cells as one path a class: runs of equal cells are lines. */
struct grid {
  const uint8_t *cells;
  uint32_t columns, rows;
  uint32_t column_step, row_step; /* in `cells` */
  bool upwards;
  double x, y, width, height;
};

static void put_class(FILE *to, const struct map *map, const struct grid *g, uint8_t class) {
  uint32_t last_x = 0, last_y = 0;
  bool begun = false;
  for (uint32_t row = 0; row < g->rows; row++) {
    for (uint32_t from = 0; from < g->columns;) {
      uint32_t end = from;
      while (end < g->columns && g->cells[(size_t)end * g->column_step + (size_t)row * g->row_step] == class) {
        end++;
      }
      if (end == from) {
        from++;
        continue;
      }
      if (!begun) {
        fprintf(to, "<path stroke=\"%s\" d=\"M0 0", map_colour(map, class));
        begun = true;
      }
      uint32_t y = g->upwards ? g->rows - 1 - row : row;
      fprintf(to, "m%d %dh%u", (int)(from - last_x), (int)(y - last_y), end - from);
      last_x = end;
      last_y = y;
      from = end;
    }
  }
  if (begun) {
    fputs("\"/>\n", to);
  }
}

static void put_grid(FILE *to, const struct map *map, const struct grid *g) {
  fprintf(to, "<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" fill=\"%s\" stroke=\"#999\"/>\n", g->x, g->y,
          g->width, g->height, map_colour(map, MAP_CLASS_FREE));
  fprintf(to,
          "<g transform=\"translate(%.0f %.0f) scale(%.4f %.4f) translate(0 .5)\" shape-rendering=\"crispEdges\">\n",
          g->x, g->y, g->width / g->columns, g->height / g->rows);
  for (uint8_t class = 1; class < MAP_CLASSES; class ++) {
    put_class(to, map, g, class);
  }
  fputs("</g>\n", to);
}

/* --------------------------------------------------------------------------------------------------- history -- */

static void put_curve(FILE *to, const double *values, uint32_t count, double y, const char *style) {
  fprintf(to, "<polyline %s points=\"", style);
  for (uint32_t i = 0; i < count; i++) {
    fprintf(to, "%s%.1f,%.1f", i ? " " : "", LEFT + (i + 0.5) * INNER / count, y + CURVE_HEIGHT * (1 - values[i]));
  }
  fputs("\"/>\n", to);
}

static void put_area(FILE *to, const double *values, uint32_t count, double y, const char *colour) {
  fprintf(to, "<path fill=\"%s\" d=\"M%d %.0f", colour, LEFT, y + CURVE_HEIGHT);
  for (uint32_t i = 0; i < count; i++) {
    fprintf(to, "L%.1f %.1f", LEFT + (i + 0.5) * INNER / count, y + CURVE_HEIGHT * (1 - values[i]));
  }
  fprintf(to, "L%d %.0fz\"/>\n", LEFT + INNER, y + CURVE_HEIGHT);
}

static double largest_of(const double *values, uint32_t count) {
  double most = 0;
  for (uint32_t i = 0; i < count; i++) {
    most = values[i] > most ? values[i] : most;
  }
  return most;
}

static double put_history(FILE *to, const struct map *map, double y) {
  const struct map_history *h = &map->history;
  char text[200], size[32];
  put_label(to, LEFT, y, "font-weight=\"bold\"",
            map->by_size
                ? "Every address over time: coloured where a block lies, the darker the larger; light where free"
                : "Every address over time: coloured where a block lies, by its tag; light where free");
  y += 10;
  const struct grid grid = {h->cells, h->columns, h->rows, h->rows, 1, true, LEFT, y, INNER, HISTORY_HEIGHT};
  put_grid(to, map, &grid);
  put_label(to, LEFT - 6, y + 10, "text-anchor=\"end\"", map_bytes(map->regions[0].size, size));
  put_label(to, LEFT - 6, y + HISTORY_HEIGHT, "text-anchor=\"end\"", "0");
  put_label(to, LEFT - 6, y + HISTORY_HEIGHT / 2.0, "text-anchor=\"end\"", "address");
  double peak = LEFT + (double)h->peak_event / (double)h->events * INNER;
  fprintf(to, "<path d=\"M%.1f %.0fv%d\" stroke=\"#d00\" stroke-width=\"1.5\" stroke-dasharray=\"5 3\"/>\n", peak,
          y - 4, HISTORY_HEIGHT + 4);
  put_label(to, peak, y - 6, peak > LEFT + INNER / 2 ? "text-anchor=\"end\" fill=\"#d00\"" : "fill=\"#d00\"", "peak");
  y += HISTORY_HEIGHT + 16;
  snprintf(text, sizeof text, "time: %" PRIu64 " allocations and frees, one after the other", h->events);
  put_label(to, LEFT + INNER / 2.0, y, "text-anchor=\"middle\"", text);
  y += 26;
  snprintf(text, sizeof text,
           "Share of the heap over time: in use (grey, at most %.0f %%), and holes between blocks, the cost of "
           "fragmentation (red, at most %.0f %%)",
           100 * largest_of(h->live, h->columns), 100 * largest_of(h->scattered, h->columns));
  put_label(to, LEFT, y, "font-weight=\"bold\"", text);
  y += 10;
  fprintf(to, "<rect x=\"%d\" y=\"%.0f\" width=\"%d\" height=\"%d\" fill=\"#fff\" stroke=\"#999\"/>\n", LEFT, y, INNER,
          CURVE_HEIGHT);
  put_area(to, h->live, h->columns, y, "#c8ccd4");
  put_curve(to, h->scattered, h->columns, y, "fill=\"none\" stroke=\"#d00\" stroke-width=\"1.5\"");
  put_label(to, LEFT - 6, y + 10, "text-anchor=\"end\"", "100 %");
  put_label(to, LEFT - 6, y + CURVE_HEIGHT, "text-anchor=\"end\"", "0");
  return y + CURVE_HEIGHT + 32;
}

/* --------------------------------------------------------------------------------------------------- regions -- */

static void put_title(FILE *to, const struct map *map, const struct map_region *region, double y) {
  struct map_sums sums = map_sum(region);
  char text[400], total[32], used[32], largest[32];
  snprintf(text, sizeof text,
           "%s: %s of %s in use (%.1f %%) in %" PRIu64 " blocks; %" PRIu64 " free blocks, the largest %s%s",
           map->history.columns ? "At the peak" : region->name, map_bytes(sums.in_use, used),
           map_bytes(region->size, total), 100.0 * (double)sums.in_use / (double)region->size, sums.live_blocks,
           sums.free_blocks, map_bytes(sums.largest, largest), region->changed ? " (changed while it was dumped)" : "");
  put_label(to, LEFT, y, "font-weight=\"bold\"", text);
}

static double put_region(FILE *to, const struct map *map, const struct map_region *region, double y) {
  static uint8_t cells[ROWS * ROW_CELLS];
  char text[32];
  put_title(to, map, region, y);
  y += 10;
  map_cells(map, region, cells, NULL, ROWS * ROW_CELLS);
  for (uint32_t row = 0; row < ROWS; row++) {
    const struct grid grid = {cells + row * ROW_CELLS, ROW_CELLS, 1, 1, 0, false, LEFT, y, INNER, ROW_HEIGHT};
    put_grid(to, map, &grid);
    put_label(to, LEFT - 6, y + ROW_HEIGHT - 4, "text-anchor=\"end\"",
              map_bytes((uint64_t)((double)region->size * row / ROWS), text));
    y += ROW_HEIGHT + 4;
  }
  return y + 26;
}

/* Whether the legend has the class: what is there, and of a trace what has a colour at other moments. */
static bool in_legend(const struct map *map, uint32_t class) {
  const struct map_class *c = &map->classes[class];
  return class == MAP_CLASS_FREE || c->blocks > 0 || c->seen;
}

static void put_legend(FILE *to, const struct map *map, double y) {
  char text[160], bytes[32];
  uint32_t place = 0;
  snprintf(text, sizeof text, "Colours: %s%s. Addresses go from left to right, then to the next row.",
           map->by_size ? "sizes of blocks" : "tags of blocks",
           map->history.columns ? ", with their figures at the peak" : "");
  put_label(to, LEFT, y, "font-weight=\"bold\"", text);
  y += LEGEND_TITLE;
  for (uint32_t class = 0; class < MAP_CLASSES; class ++) {
    const struct map_class *c = &map->classes[class];
    if (!in_legend(map, class)) {
      continue;
    }
    double x = LEFT + place % 4 * (INNER / 4.0), at = y + place / 4 * 20.0;
    fprintf(to, "<rect x=\"%.0f\" y=\"%.0f\" width=\"12\" height=\"12\" fill=\"%s\" stroke=\"#999\"/>\n", x, at - 10,
            map_colour(map, class));
    snprintf(text, sizeof text, "%s: %s, %" PRIu64 " block%s", c->name, map_bytes(c->bytes, bytes), c->blocks,
             c->blocks == 1 ? "" : "s");
    put_label(to, x + 18, at, "", text);
    place++;
  }
}

static double legend_height(const struct map *map) {
  uint32_t places = 3;
  for (uint32_t class = 0; class < MAP_CLASSES; class ++) {
    places += in_legend(map, class);
  }
  return LEGEND_TITLE + places / 4 * 20.0;
}

static void put_picture(FILE *to, const struct map *map, double height) {
  fprintf(to,
          "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %.0f\" width=\"%d\" height=\"%.0f\" "
          "font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n<rect width=\"100%%\" height=\"100%%\" "
          "fill=\"#fff\"/>\n",
          WIDTH, height, WIDTH, height);
  put_label(to, LEFT, 28, "font-size=\"18\" font-weight=\"bold\"", map->name);
  double y = 58;
  if (map->history.columns) {
    y = put_history(to, map, y);
  }
  for (uint32_t i = 0; i < map->count; i++) {
    y = put_region(to, map, &map->regions[i], y);
  }
  put_legend(to, map, y);
  fputs("</svg>\n", to);
}

bool map_write_svg(const struct map *map, const char *path) {
  double height = 58 + map->count * (10.0 + ROWS * (ROW_HEIGHT + 4) + 26) + legend_height(map) +
                  (map->history.columns ? 10 + HISTORY_HEIGHT + 16 + 26 + 10 + CURVE_HEIGHT + 32 : 0);
  FILE *file = fopen(path, "w");
  if (!file) {
    bench_error("%s: %s", path, strerror(errno));
    return false;
  }
  put_picture(file, map, height);
  bool good = !ferror(file);
  good = fclose(file) == 0 && good;
  if (!good) {
    bench_error("%s: could not be written", path);
  }
  return good;
}
