/* SPDX-License-Identifier: MIT */
/* Reads a dump: JSON, an object a line (src/dump.schema.json). Members and types of lines that are new are passed over.
 */
#include "map.h"

#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool map_is_dump(const char *path) {
  FILE *file = fopen(path, "rb");
  int c = file ? getc(file) : EOF;
  if (file) {
    fclose(file);
  }
  return c == '{';
}

#ifdef ZCMEM_BENCH_JANSSON
#include <jansson.h>

#define LINE_BYTES 65536

static bool number_of(const json_t *line, const char *name, uint64_t *value) {
  const json_t *member = json_object_get(line, name);
  if (!json_is_integer(member) || json_integer_value(member) < 0) {
    return false;
  }
  *value = (uint64_t)json_integer_value(member);
  return true;
}

/* A name goes to a terminal: nothing in it may be a command to that. */
static bool copy_name(const json_t *line, const char *name, char to[MAP_NAME]) {
  const char *text = json_string_value(json_object_get(line, name));
  if (!text) {
    return false;
  }
  snprintf(to, MAP_NAME, "%s", text);
  for (; *to != '\0'; to++) {
    *to = (unsigned char)*to < 0x20 || *to == 0x7f ? '?' : *to;
  }
  return true;
}

static const char *read_header(struct map *map, const json_t *line) {
  uint64_t version;
  const char *what = json_string_value(json_object_get(line, "zcmem"));
  if (!what || strcmp(what, "dump") != 0 || !number_of(line, "version", &version)) {
    return "not the first line of a dump";
  }
  if (version != 1) {
    return "a dump of a version that is not known here";
  }
  return copy_name(line, "device", map->name) ? NULL : "a device without a name";
}

static const char *read_region(struct map *map, const json_t *line) {
  uint64_t index;
  if (!number_of(line, "index", &index) || index != map->count || index >= MAP_MAX_REGIONS) {
    return "a region with a wrong index";
  }
  struct map_region *region = &map->regions[map->count++];
  if (!copy_name(line, "name", region->name) || !number_of(line, "size", &region->size) || region->size == 0) {
    return "a region without name or size";
  }
  return NULL;
}

static const char *read_block(struct map *map, const json_t *line) {
  static const char *const states[] = {"free", "live", "zombie", "cached"};
  struct map_block block = {0};
  uint64_t region, tag, pins, transfers;
  if (!number_of(line, "region", &region) || region + 1 != map->count) {
    return "a block of another region than the last one";
  }
  struct map_region *of = &map->regions[region];
  const struct map_block *last = of->count ? &of->blocks[of->count - 1] : NULL;
  if (!number_of(line, "offset", &block.offset) || !number_of(line, "size", &block.size) || block.size == 0 ||
      block.offset > of->size || block.size > of->size - block.offset ||
      (last && last->offset + last->size > block.offset)) {
    return "a block that is not behind the last one, or leaves the region";
  }
  const char *state = json_string_value(json_object_get(line, "state"));
  while (block.state < 4 && (!state || strcmp(state, states[block.state]) != 0)) {
    block.state++;
  }
  if (block.state == 4 || !number_of(line, "tag", &tag) || tag > UINT32_MAX || !number_of(line, "pins", &pins) ||
      !number_of(line, "transfers", &transfers)) {
    return "a block without state, tag or uses";
  }
  block.tag = (uint32_t)tag;
  block.used = pins > 0 || transfers > 0;
  return map_add_block(of, &block) ? NULL : "no memory";
}

static const char *read_line(struct map *map, const char *text, size_t number) {
  json_error_t error;
  json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);
  const char *what = json_is_object(line) ? NULL : "no JSON object";
  if (!what && number == 1) {
    what = read_header(map, line);
  } else if (!what) {
    const char *type = json_string_value(json_object_get(line, "type"));
    if (!type) {
      what = "a line without a type";
    } else if (strcmp(type, "region") == 0) {
      what = read_region(map, line);
    } else if (strcmp(type, "block") == 0) {
      what = read_block(map, line);
    } else if (strcmp(type, "end") == 0 && map->count > 0) {
      map->regions[map->count - 1].changed = json_is_true(json_object_get(line, "changed"));
    }
  }
  json_decref(line);
  return what;
}

static bool weigh(struct map *map) {
  size_t count = 0, most = 1;
  for (uint32_t r = 0; r < map->count; r++) {
    most += map->regions[r].count;
  }
  struct map_weight *weights = malloc(most * sizeof *weights);
  if (!weights) {
    bench_error("no memory for the blocks");
    return false;
  }
  for (uint32_t r = 0; r < map->count; r++) {
    for (uint32_t i = 0; i < map->regions[r].count; i++) {
      const struct map_block *block = &map->regions[r].blocks[i];
      if (block->state == MAP_LIVE) {
        weights[count++] = (struct map_weight){block->tag, block->size};
      }
    }
  }
  bool good = map_classify(map, weights, count);
  free(weights);
  return good;
}

bool map_read_dump(struct map *map, const char *path) {
  static char text[LINE_BYTES];
  FILE *file = fopen(path, "r");
  size_t number = 0;
  const char *what = NULL;
  memset(map, 0, sizeof *map);
  if (!file) {
    bench_error("%s: %s", path, strerror(errno));
    return false;
  }
  while (!what && fgets(text, sizeof text, file)) {
    number++;
    what = strchr(text, '\n') ? read_line(map, text, number) : "a line that is cut off, or too long";
  }
  if (!what && (ferror(file) || map->count == 0)) {
    what = "no region in the dump";
  }
  fclose(file);
  if (what) {
    bench_error("%s: line %zu: %s", path, number, what);
    return false;
  }
  return weigh(map);
}
#else
bool map_read_dump(struct map *map, const char *path) {
  memset(map, 0, sizeof *map);
  bench_error("%s: dumps cannot be read, since zcmem-bench was built without jansson", path);
  return false;
}
#endif
