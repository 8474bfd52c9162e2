/* SPDX-License-Identifier: MIT */
/* Writing traces to files, in the form that the name asks for. */
#include "trace.h"

#include "report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool ends_in(const char *path, const char *ending) {
  size_t n = strlen(path);
  size_t m = strlen(ending);
  return n > m && strcmp(path + n - m, ending) == 0;
}

bool bench_trace_is_savable(const char *path) {
  return ends_in(path, ".ztrace") || ends_in(path, ".trace");
}

static bool write_file(const char *path, const uint8_t *bytes, size_t size) {
  FILE *file = fopen(path, "wb");
  if (!file) {
    bench_error("%s: %s", path, strerror(errno));
    return false;
  }
  bool good = fwrite(bytes, 1, size, file) == size;
  good = fclose(file) == 0 && good;
  if (!good) {
    bench_error("%s: could not be written", path);
  }
  return good;
}

static bool equal(const struct bench_trace *a, const struct bench_trace *b) {
  return a->event_count == b->event_count && a->block_count == b->block_count &&
         memcmp(a->events, b->events, a->event_count * sizeof *a->events) == 0 &&
         memcmp(a->sizes, b->sizes, a->block_count * sizeof *a->sizes) == 0;
}

/* A trace that reads back differently would make every later figure wrong, so it is read back here. */
static bool reads_back(const uint8_t *bytes, size_t size, const struct bench_trace *trace) {
  struct bench_trace copy;
  struct bench_trace_error error;
  bench_trace_init(&copy);
  bool good = bench_trace_parse(bytes, size, &copy, &error) && equal(trace, &copy);
  bench_trace_destroy(&copy);
  return good;
}

bool bench_trace_save(const char *path, const struct bench_trace *trace, size_t *size) {
  uint8_t *bytes =
      ends_in(path, ".ztrace") ? bench_trace_format_compact(trace, size) : bench_trace_format_text(trace, size);
  bool good = false;
  if (!bytes) {
    bench_error("%s: no memory to write the trace", path);
  } else if (!reads_back(bytes, *size, trace)) {
    bench_error("%s: the trace would read back differently", path);
  } else {
    good = write_file(path, bytes, *size);
  }
  free(bytes);
  return good;
}
