/* SPDX-License-Identifier: MIT */
#include "args.h"
#include "commands.h"
#include "report.h"
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct bench_command command = {
    .name = "convert",
    .operands = "IN OUT",
    .help = "Writes the trace IN (text, compact, xz) to OUT: in the text form if OUT ends in .trace, in the compact\n"
            "form if it ends in .ztrace. Blocks are numbered 0, 1, 2, ... in the order of allocation.\n",
    .min_operands = 2,
    .max_operands = 2,
};

static bool ends_in(const char *path, const char *ending) {
  size_t n = strlen(path);
  size_t m = strlen(ending);
  return n > m && strcmp(path + n - m, ending) == 0;
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

int bench_command_convert(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  bool compact = ends_in(argv[1], ".ztrace");
  if (!compact && !ends_in(argv[1], ".trace")) {
    bench_error("convert: '%s' ends neither in .trace nor in .ztrace", argv[1]);
    return BENCH_USAGE;
  }
  struct bench_trace trace;
  if (!bench_trace_load(argv[0], &trace)) {
    return BENCH_FAILED;
  }
  size_t size = 0;
  uint8_t *bytes = compact ? bench_trace_format_compact(&trace, &size) : bench_trace_format_text(&trace, &size);
  bool good = false;
  if (!bytes) {
    bench_error("%s: no memory to convert it", argv[0]);
  } else if (!reads_back(bytes, size, &trace)) {
    bench_error("%s: the converted trace reads back differently", argv[0]);
  } else {
    good = write_file(argv[1], bytes, size);
  }
  if (good) {
    bench_text("%s: %" PRIu32 " events in %zu bytes\n", argv[1], trace.event_count, size);
    bench_row_count("convert", argv[1], "zcmem", "size", size, "bytes");
  }
  free(bytes);
  bench_trace_destroy(&trace);
  return good ? BENCH_OK : BENCH_FAILED;
}
