/* SPDX-License-Identifier: MIT */
#include "each_trace.h"

#include "report.h"

#include <inttypes.h>

int bench_each_trace(const struct bench_command *command, int argc, char **argv, const uint64_t *quantum,
                     bool (*run)(const char *path, const struct bench_trace *trace)) {
  int operands;
  int status;
  if (!bench_args_parse(command, argc, argv, &operands, &status)) {
    return status;
  }
  if (*quantum & (*quantum - 1)) {
    bench_error("%s: --quantum %" PRIu64 " is no power of two", command->name, *quantum);
    return BENCH_USAGE;
  }
  status = BENCH_OK;
  for (int i = 0; i < operands; i++) {
    struct bench_trace trace;
    if (!bench_trace_load(argv[i], &trace)) {
      status = BENCH_FAILED;
      continue;
    }
    if (!run(argv[i], &trace)) {
      status = BENCH_FAILED;
    }
    bench_trace_destroy(&trace);
  }
  return status;
}
