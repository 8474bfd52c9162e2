/* SPDX-License-Identifier: MIT */
/*
 * Command lines: arguments are what stands between the lines' ends. The parser is included, so that what it prints,
 * which is much, can be formatted and dropped.
 */
#include "parse.h"

#include <stdarg.h>
#include <stdio.h>

static int drop(const char *format, va_list arguments) {
  char text[1000];
  return vsnprintf(text, sizeof text, format, arguments);
}

__attribute__((format(printf, 1, 2))) static int drop_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int written = drop(format, arguments);
  va_end(arguments);
  return written;
}

__attribute__((format(printf, 2, 3))) static int drop_fprintf(FILE *file, const char *format, ...) {
  va_list arguments;
  (void)file;
  va_start(arguments, format);
  int written = drop(format, arguments);
  va_end(arguments);
  return written;
}

#define printf drop_printf
#define fprintf drop_fprintf
#include "../../bench/args.c"
#undef printf
#undef fprintf

#include "../unit.h"

enum { MOST_ARGUMENTS = 48 };

static struct {
  bool flag;
  uint64_t number;
  struct bench_numbers numbers;
  struct bench_ranges ranges;
  uint32_t choice;
  const char *text;
  struct bench_texts texts;
} got;

static const struct bench_option options[] = {
    {"--flag", NULL, BENCH_FLAG, &got.flag, 0, 0, "a flag"},
    {"-n", "N", BENCH_NUMBER, &got.number, 1, UINT64_C(1) << 40, "a number"},
    {"--any", "N", BENCH_NUMBER, &got.number, 0, UINT64_MAX, "any number"},
    {"-l", "N,...", BENCH_NUMBERS, &got.numbers, 0, 1000000, "numbers"},
    {"-r", "N-M,...", BENCH_RANGES, &got.ranges, 1, 1 << 20, "sizes"},
    {"-c", "on|off|only", BENCH_CHOICE, &got.choice, 0, 0, "one of these"},
    {"-t", "TEXT", BENCH_TEXT, &got.text, 0, 0, "a text"},
    {"-m", "TEXT", BENCH_TEXTS, &got.texts, 0, 0, "texts"},
};
static const struct bench_command command = {
    "fuzz", "FILE...", "What it does.\n", options, sizeof options / sizeof *options, 0, 5};

static void expect_values(int count, int operands) {
  assert_true(operands >= 0 && operands <= command.max_operands && operands <= count);
  assert_true(got.choice < 3);
  assert_true(got.numbers.count <= BENCH_MAX_LIST && got.ranges.count <= BENCH_MAX_LIST);
  for (uint32_t i = 0; i < got.numbers.count; i++) {
    assert_true(got.numbers.value[i] <= 1000000);
  }
  for (uint32_t i = 0; i < got.ranges.count; i++) {
    const struct bench_range *range = &got.ranges.range[i];
    assert_true(range->min >= 1 && range->min <= range->max && range->max <= 1 << 20);
  }
  assert_true(got.texts.count <= BENCH_MAX_LIST);
  for (uint32_t i = 0; i < got.texts.count; i++) {
    assert_non_null(got.texts.text[i]);
  }
}

/* One number alone: taken iff it is one within the limits, and then as what it is. */
static void expect_one_number(const char *text) {
  char name[] = "-n", *copy = malloc(strlen(text) + 1), *arguments[] = {name, copy};
  uint64_t want = 0;
  int operands = -1, exit_status = -1;
  assert_non_null(copy);
  memcpy(copy, text, strlen(text) + 1);
  bool valid = fuzz_read_size(text, strlen(text), &want) && want >= 1 && want <= UINT64_C(1) << 40;
  got.number = 0;
  assert_true(bench_args_parse(&command, 2, arguments, &operands, &exit_status) == valid);
  assert_int_equal(got.number, valid ? want : 0);
  assert_int_equal(exit_status, valid ? BENCH_OK : BENCH_USAGE);
  free(copy);
}

void fuzz_args(const uint8_t *bytes, size_t size) {
  char *text = malloc(size + 1), *arguments[MOST_ARGUMENTS];
  int count = 0, operands = -1, exit_status = -1;
  assert_non_null(text);
  memcpy(text, bytes, size);
  text[size] = '\0';
  for (char *at = text; at != NULL && count < MOST_ARGUMENTS;) {
    char *end = strchr(at, '\n');
    arguments[count++] = at;
    if (end != NULL) {
      *end++ = '\0';
    }
    at = end;
  }
  memset(&got, 0, sizeof got);
  if (bench_args_parse(&command, count, arguments, &operands, &exit_status)) {
    assert_int_equal(exit_status, BENCH_OK);
    expect_values(count, operands);
  } else {
    assert_true(exit_status == BENCH_OK || exit_status == BENCH_USAGE);
  }
  expect_one_number(text);
  free(text);
}
