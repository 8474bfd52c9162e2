/* SPDX-License-Identifier: MIT */
/* zcmem-bench: measures zcmem on recorded traces and on synthetic workloads, beside other allocators. */
#include "args.h"
#include "commands.h"
#include "peers.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  bool hosts; /* measures the host's mallocs, too */
  const char *help;
} commands[] = {
    {"pair", bench_command_pair, true, "one block of a size, allocated and freed"},
    {"steady", bench_command_steady, true, "a random one of many live blocks is replaced"},
    {"sizes", bench_command_sizes, true, "the same for small, mixed and large sizes"},
    {"fifo", bench_command_fifo, true, "the oldest block is replaced"},
    {"ramp", bench_command_ramp, true, "many blocks allocated, then freed; the sizes change from phase to phase"},
    {"load90", bench_command_load90, true, "steady, in a region that is full to 90 %"},
    {"threads", bench_command_threads, true, "steady in several threads that share a region"},
    {"handoff", bench_command_handoff, true, "one thread allocates, another one frees"},
    {"shm", bench_command_shm, false, "processes that share a region"},
    {"translate", bench_command_translate, false, "device to host address and back"},
    {"buffer", bench_command_buffer, false, "begin and end of a device's access to a zero-copy buffer"},
    {"copy", bench_command_copy, false, "transfers through the facade, beside memcpy on the same bytes"},
    {"latency", bench_command_latency, true, "the time of single calls, up to the slowest"},
    {"metadata", bench_command_metadata, false, "the memory that an allocator takes for itself"},
    {"heap", bench_command_heap, false, "the bare heap on all of the single-threaded workloads"},
    {"replay", bench_command_replay, false, "traces through the facade; check that no two blocks overlap; time it"},
    {"fit", bench_command_fit, false, "the smallest region in which a trace replays, over its peak of live bytes"},
    {"convert", bench_command_convert, false, "convert a trace between the text and the compact form"},
    {"map", bench_command_map, false, "draw a dump, or a heap while a trace is replayed in it"},
    {"shrink", bench_command_shrink, false, "make a trace that fails as small as it can be"},
};
#define COMMAND_COUNT (sizeof commands / sizeof commands[0])

static void print_help(void) {
  printf("usage: zcmem-bench COMMAND [OPTION]... [OPERAND]...\n\ncommands:\n");
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    printf("  %-10s %s\n", commands[i].name, commands[i].help);
  }
  printf("\n--csv, anywhere, prints rows instead of text; zcmem-bench COMMAND --help tells more.\n"
         "Exit status: 0 done, 1 a bad input or a wrong result, 2 wrong arguments.\n");
}

/* Takes every "--csv" before a "--" out of argv. */
static bool take_csv(int *argc, char **argv) {
  bool found = false;
  bool options_ended = false;
  int kept = 0;
  for (int i = 0; i < *argc; i++) {
    options_ended = options_ended || strcmp(argv[i], "--") == 0;
    if (!options_ended && strcmp(argv[i], "--csv") == 0) {
      found = true;
    } else {
      argv[kept++] = argv[i];
    }
  }
  *argc = kept;
  return found;
}

static bool asks_for_help(int argc, char **argv) {
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0) {
      return true;
    }
  }
  return false;
}

static bool needs_hosts(int argc, char **argv) {
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    for (int k = 1; k < argc && commands[i].hosts; k++) {
      if (strcmp(argv[k], commands[i].name) == 0) {
        return !asks_for_help(argc, argv);
      }
    }
  }
  return false;
}

int main(int argc, char **argv) {
  if (needs_hosts(argc, argv)) {
    bench_host_prepare(argv);
  }
  bool csv = take_csv(&argc, argv);
  if (argc < 2) {
    fputs("zcmem-bench: usage: zcmem-bench COMMAND [OPTION]... (try --help)\n", stderr);
    return BENCH_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0) {
    print_help();
    return BENCH_OK;
  }
  for (size_t i = 0; i < COMMAND_COUNT; i++) {
    if (strcmp(argv[1], commands[i].name) != 0) {
      continue;
    }
    bench_report_begin(csv && !asks_for_help(argc, argv));
    int status = commands[i].run(argc - 2, argv + 2);
    if (!bench_report_end()) {
      bench_error("the output could not be written");
      return BENCH_FAILED;
    }
    return status;
  }
  fprintf(stderr, "zcmem-bench: no command '%s' (try --help)\n", argv[1]);
  return BENCH_USAGE;
}
