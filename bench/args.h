/* SPDX-License-Identifier: MIT */
/* Command lines of zcmem-bench: a table of options per command, one message for what does not fit it. */
#ifndef ZCMEM_BENCH_ARGS_H
#define ZCMEM_BENCH_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BENCH_OK = 0, BENCH_FAILED = 1, BENCH_USAGE = 2 };

enum bench_option_kind {
  BENCH_FLAG,    /* bool */
  BENCH_NUMBER,  /* uint64_t, at most `max`; K, M, G behind it mean 2^10, 2^20, 2^30 */
  BENCH_NUMBERS, /* struct bench_numbers: as BENCH_NUMBER, with commas between them */
  BENCH_RANGES,  /* struct bench_ranges: N or N-M, with commas between them */
  BENCH_CHOICE,  /* uint32_t: which of the words of `value`, which stand there as in "on|off" */
  BENCH_TEXT,    /* const char * */
  BENCH_TEXTS    /* struct bench_texts: the option may be given several times */
};

/* The most texts, numbers or ranges that an option takes. */
#define BENCH_MAX_LIST 16u

struct bench_texts {
  uint32_t count;
  const char *text[BENCH_MAX_LIST];
};

struct bench_numbers {
  uint32_t count;
  uint64_t value[BENCH_MAX_LIST];
};

struct bench_range {
  uint64_t min, max;
};

struct bench_ranges {
  uint32_t count;
  struct bench_range range[BENCH_MAX_LIST];
};

struct bench_option {
  const char *name;  /* with the dashes */
  const char *value; /* what stands for the value in the help; NULL for a flag */
  enum bench_option_kind kind;
  void *to;
  uint64_t min, max; /* of each number */
  const char *help;
};

struct bench_command {
  const char *name;
  const char *operands; /* as the usage line shows them */
  const char *help;
  const struct bench_option *options;
  uint32_t option_count;
  int min_operands, max_operands; /* max -1: any number */
};

/*
 * Reads argv[0 ... argc - 1] (what follows the command's name). True: go on; the operands are the first *operands
 * entries of argv, *exit_status is BENCH_OK. False: *exit_status is what to end with (help was printed, or one line
 * that says what is wrong).
 */
bool bench_args_parse(const struct bench_command *command, int argc, char **argv, int *operands, int *exit_status);

#endif
