/* SPDX-License-Identifier: MIT */
#include "report.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool csv_wanted;

void bench_report_begin(bool csv) {
  csv_wanted = csv;
  if (csv) {
    printf("workload,parameters,allocator,metric,value,unit\n");
  }
}

static bool progress_shown;

void bench_progress(const char *format, ...) {
  static int is_terminal = -1;
  static struct timespec last;
  struct timespec now;
  if (is_terminal < 0) {
    is_terminal = isatty(STDERR_FILENO);
  }
  if (!is_terminal || clock_gettime(CLOCK_MONOTONIC, &now) != 0 ||
      (progress_shown && (now.tv_sec - last.tv_sec) * 1000 + (now.tv_nsec - last.tv_nsec) / 1000000 < 100)) {
    return;
  }
  va_list list;
  va_start(list, format);
  fputs("\r\033[K", stderr);
  vfprintf(stderr, format, list);
  va_end(list);
  fflush(stderr);
  progress_shown = true;
  last = now;
}

/* Takes the progress line away. */
static void end_progress(void) {
  if (progress_shown) {
    fputs("\r\033[K", stderr);
    fflush(stderr);
    progress_shown = false;
  }
}

bool bench_report_end(void) {
  end_progress();
  return fflush(stdout) == 0 && !ferror(stdout);
}

void bench_text(const char *format, ...) {
  end_progress();
  if (csv_wanted) {
    return;
  }
  va_list list;
  va_start(list, format);
  vprintf(format, list);
  va_end(list);
  fflush(stdout);
}

void bench_error(const char *format, ...) {
  va_list list;
  end_progress();
  fflush(stdout);
  fputs("zcmem-bench: ", stderr);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fputc('\n', stderr);
}

/* Names come from files and peers, so they may hold anything. */
static void print_field(const char *text) {
  if (!strpbrk(text, ",\"\r\n")) {
    fputs(text, stdout);
    return;
  }
  putchar('"');
  for (; *text; text++) {
    if (*text == '"') {
      putchar('"');
    }
    putchar(*text);
  }
  putchar('"');
}

static void print_row_start(const char *workload, const char *parameters, const char *allocator, const char *metric) {
  const char *fields[] = {workload, parameters, allocator, metric};
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    print_field(fields[i]);
    putchar(',');
  }
}

void bench_row(const char *workload, const char *parameters, const char *allocator, const char *metric, double value,
               int digits, const char *unit) {
  if (!csv_wanted) {
    return;
  }
  print_row_start(workload, parameters, allocator, metric);
  printf("%.*f,%s\n", digits, value, unit);
  fflush(stdout);
}

void bench_row_count(const char *workload, const char *parameters, const char *allocator, const char *metric,
                     uint64_t value, const char *unit) {
  if (!csv_wanted) {
    return;
  }
  print_row_start(workload, parameters, allocator, metric);
  printf("%" PRIu64 ",%s\n", value, unit);
  fflush(stdout);
}

void bench_row_spread(const char *workload, const char *parameters, const char *allocator, const char *metric,
                      const struct bench_spread *spread, int digits, const char *unit) {
  char name[64];
  bench_row(workload, parameters, allocator, metric, spread->median, digits, unit);
  snprintf(name, sizeof name, "%s_min", metric);
  bench_row(workload, parameters, allocator, name, spread->min, digits, unit);
  snprintf(name, sizeof name, "%s_max", metric);
  bench_row(workload, parameters, allocator, name, spread->max, digits, unit);
}
