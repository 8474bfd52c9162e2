/* SPDX-License-Identifier: MIT */
#include "args.h"
#include "commands.h"
#include "report.h"
#include "trace.h"

#include <inttypes.h>

static const struct bench_command command = {
    .name = "convert",
    .operands = "IN OUT",
    .help = "Writes the trace IN (text, compact, events, xz) to OUT: in the text form if OUT ends in .trace, in the\n"
            "compact form if it ends in .ztrace. Blocks are numbered 0, 1, 2, ... in the order of allocation.\n",
    .min_operands = 2,
    .max_operands = 2,
};

int bench_command_convert(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  if (!bench_trace_is_savable(argv[1])) {
    bench_error("convert: '%s' ends neither in .trace nor in .ztrace", argv[1]);
    return BENCH_USAGE;
  }
  struct bench_trace trace;
  if (!bench_trace_load(argv[0], &trace)) {
    return BENCH_FAILED;
  }
  size_t size = 0;
  bool good = bench_trace_save(argv[1], &trace, &size);
  if (good) {
    bench_text("%s: %" PRIu32 " events in %zu bytes\n", argv[1], trace.event_count, size);
    bench_row_count("convert", argv[1], "zcmem", "size", size, "bytes");
  }
  bench_trace_destroy(&trace);
  return good ? BENCH_OK : BENCH_FAILED;
}
