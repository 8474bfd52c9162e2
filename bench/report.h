/* SPDX-License-Identifier: MIT */
/* What zcmem-bench prints: text for people, or with --csv one row a figure. */
#ifndef ZCMEM_BENCH_REPORT_H
#define ZCMEM_BENCH_REPORT_H

#include "measure.h"

#include <stdbool.h>
#include <stdint.h>

#if defined(__GNUC__)
#define BENCH_PRINTF(format_at, first) __attribute__((format(printf, format_at, first)))
#else
#define BENCH_PRINTF(format_at, first)
#endif

/* Once, before all output: csv switches text off and rows on. */
void bench_report_begin(bool csv);
/* Once, after it: false iff something could not be written. */
bool bench_report_end(void);

/* printf without --csv, nothing with it. */
void bench_text(const char *format, ...) BENCH_PRINTF(1, 2);

/* One figure, with --csv only; `digits` after the point. */
void bench_row(const char *workload, const char *parameters, const char *allocator, const char *metric, double value,
               int digits, const char *unit);
void bench_row_count(const char *workload, const char *parameters, const char *allocator, const char *metric,
                     uint64_t value, const char *unit);
/* Three rows: METRIC (the median), METRIC_min and METRIC_max. */
void bench_row_spread(const char *workload, const char *parameters, const char *allocator, const char *metric,
                      const struct bench_spread *spread, int digits, const char *unit);

/*
 * What a long run has come to, on one line of a terminal that is written over and over, at most ten times a second;
 * nothing where stderr is no terminal. What is printed next takes its place.
 */
void bench_progress(const char *format, ...) BENCH_PRINTF(1, 2);

/* One line on stderr: "zcmem-bench: ...". */
void bench_error(const char *format, ...) BENCH_PRINTF(1, 2);

#endif
