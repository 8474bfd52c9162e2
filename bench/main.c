/* SPDX-License-Identifier: MIT */
/* zcmem-bench: measures zcmem on recorded traces and on synthetic workloads, beside other allocators. */
#include "args.h"
#include "commands.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *help;
} commands[] = {
    {"replay", bench_command_replay, "replay traces through the HAL facade; check that no two blocks overlap; time it"},
    {"fit", bench_command_fit, "the smallest region in which a trace replays, relative to its peak of live bytes"},
    {"heap", bench_command_heap, "speed of the bare heap on synthetic workloads, beside other allocators"},
    {"convert", bench_command_convert, "convert a trace between the text and the compact form"},
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

int main(int argc, char **argv) {
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
