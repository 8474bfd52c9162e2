/* SPDX-License-Identifier: MIT */
/* Files of traces: reading, telling the formats apart, names. */
#include "trace.h"

#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool parse_plain(const uint8_t *bytes, size_t size, struct bench_trace *trace, struct bench_trace_error *error) {
  if (bench_trace_is_compact(bytes, size)) {
    return bench_trace_parse_compact(bytes, size, trace, error);
  }
  if (bench_trace_is_events(bytes, size)) {
    return bench_trace_parse_events(bytes, size, trace, error);
  }
  return bench_trace_parse_text(bytes, size, trace, error);
}

bool bench_trace_parse(const uint8_t *bytes, size_t size, struct bench_trace *trace, struct bench_trace_error *error) {
  if (bench_xz_recognise(bytes, size)) {
    uint8_t *plain;
    size_t plain_size;
    const char *what = NULL;
    if (!bench_xz_decompress(bytes, size, &plain, &plain_size, &what)) {
      *error = (struct bench_trace_error){.what = what};
      return false;
    }
    /* One layer only: xz in xz is no trace. */
    bool good = parse_plain(plain, plain_size, trace, error);
    free(plain);
    return good;
  }
  return parse_plain(bytes, size, trace, error);
}

static uint8_t *read_file(const char *path, size_t *size) {
  FILE *file = fopen(path, "rb");
  if (!file) {
    bench_error("%s: %s", path, strerror(errno));
    return NULL;
  }
  size_t capacity = 1u << 16;
  size_t used = 0;
  uint8_t *bytes = malloc(capacity);
  while (bytes) {
    size_t n = fread(bytes + used, 1, capacity - used, file);
    used += n;
    if (n == 0) {
      break;
    }
    if (used == capacity) {
      uint8_t *larger = capacity <= SIZE_MAX / 2 ? realloc(bytes, capacity * 2) : NULL;
      if (!larger) {
        free(bytes);
      }
      bytes = larger;
      capacity *= 2;
    }
  }
  if (!bytes) {
    bench_error("%s: no memory to read it", path);
  } else if (ferror(file)) {
    bench_error("%s: %s", path, strerror(errno));
    free(bytes);
    bytes = NULL;
  }
  fclose(file);
  *size = used;
  return bytes;
}

bool bench_trace_load(const char *path, struct bench_trace *trace) {
  size_t size;
  uint8_t *bytes = read_file(path, &size);
  if (!bytes) {
    return false;
  }
  bench_trace_init(trace);
  struct bench_trace_error error = {0};
  bool good = bench_trace_parse(bytes, size, trace, &error);
  free(bytes);
  if (good) {
    return true;
  }
  if (error.unit) {
    bench_error("%s: %s %" PRIu64 ": %s", path, error.unit, error.at, error.what);
  } else {
    bench_error("%s: %s", path, error.what);
  }
  bench_trace_destroy(trace);
  return false;
}

static void strip_ending(char *name, const char *ending) {
  size_t n = strlen(name);
  size_t m = strlen(ending);
  if (n > m && strcmp(name + n - m, ending) == 0) {
    name[n - m] = 0;
  }
}

void bench_trace_name(const char *path, char *name, size_t size) {
  const char *slash = strrchr(path, '/');
  snprintf(name, size, "%s", slash ? slash + 1 : path);
  strip_ending(name, ".xz");
  strip_ending(name, ".trace");
  strip_ending(name, ".ztrace");
  strip_ending(name, ".zev");
}
