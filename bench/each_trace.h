/* SPDX-License-Identifier: MIT */
/* What the sub-commands share that do something with each of the traces they are given. */
#ifndef ZCMEM_BENCH_EACH_TRACE_H
#define ZCMEM_BENCH_EACH_TRACE_H

#include "args.h"
#include "trace.h"

/*
 * Parses the arguments, loads each trace and runs it; answers the exit status. `quantum` is where the command keeps its
 * --quantum. `run` answers false after a message; the traces after it are run all the same.
 */
int bench_each_trace(const struct bench_command *command, int argc, char **argv, const uint64_t *quantum,
                     bool (*run)(const char *path, const struct bench_trace *trace));

#endif
