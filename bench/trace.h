/* SPDX-License-Identifier: MIT */
/*
 * Allocation traces: read, checked and written. bench/README.md describes the formats. Files are not trusted: whatever
 * the bytes are, the reader gives a trace whose every free meets a live block, or an error.
 */
#ifndef ZCMEM_BENCH_TRACE_H
#define ZCMEM_BENCH_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The largest block that a trace may hold: sums of rounded sizes stay far from wrapping. */
#define BENCH_TRACE_MAX_SIZE ((uint64_t)1 << 56)

/* An event is the block's number (blocks count from 0 in the order of allocation), shifted by one, and this bit. */
#define BENCH_EVENT_FREE 1u

struct bench_trace {
  uint32_t *events;
  uint32_t event_count;
  uint32_t event_capacity;
  uint64_t *sizes; /* by block number */
  uint8_t *live;   /* by block number, as of the last event */
  uint32_t *tags;  /* by block number; NULL: none has been set */
  uint32_t block_count;
  uint32_t block_capacity;
  uint32_t live_blocks; /* as of the last event */
  uint32_t peak_blocks; /* most blocks live at once */
};

struct bench_trace_error {
  const char *what; /* constant text */
  const char *unit; /* "line", "byte", or NULL where the place means nothing */
  uint64_t at;
};

void bench_trace_init(struct bench_trace *trace);
void bench_trace_destroy(struct bench_trace *trace);

/* Append an event. NULL, or what is wrong with it (then nothing was appended). */
const char *bench_trace_add_alloc(struct bench_trace *trace, uint64_t size);
const char *bench_trace_add_free(struct bench_trace *trace, uint64_t block);

/* The tag of a block, 0 where none was set. A trace of events has them (zcmem/debug.h); .trace and .ztrace have not. */
const char *bench_trace_set_tag(struct bench_trace *trace, uint32_t block, uint32_t tag);
uint32_t bench_trace_tag(const struct bench_trace *trace, uint32_t block);

/* Bytes that a block of `size` bytes occupies: whole quanta, at least one. quantum 0: size itself. */
uint64_t bench_trace_round(uint64_t size, uint64_t quantum);
/* The most bytes live at once, sizes rounded as above; UINT64_MAX iff the sum reaches 2^63. */
uint64_t bench_trace_peak_bytes(const struct bench_trace *trace, uint64_t quantum);

/* Parse `size` bytes in memory into an initialised trace. False: *error says why. */
bool bench_trace_parse_text(const uint8_t *bytes, size_t size, struct bench_trace *trace,
                            struct bench_trace_error *error);
bool bench_trace_parse_compact(const uint8_t *bytes, size_t size, struct bench_trace *trace,
                               struct bench_trace_error *error);
bool bench_trace_parse_events(const uint8_t *bytes, size_t size, struct bench_trace *trace,
                              struct bench_trace_error *error);
/* Looks at the first bytes and parses text, compact, events or (where built in) any of them in xz. */
bool bench_trace_parse(const uint8_t *bytes, size_t size, struct bench_trace *trace, struct bench_trace_error *error);

bool bench_trace_is_compact(const uint8_t *bytes, size_t size);
bool bench_trace_is_events(const uint8_t *bytes, size_t size);

/* malloc'd bytes of the trace in either format; NULL: no memory. */
uint8_t *bench_trace_format_text(const struct bench_trace *trace, size_t *size);
uint8_t *bench_trace_format_compact(const struct bench_trace *trace, size_t *size);

/* Reads a file into a trace, initialising it. False: a message was printed, and the trace need not be destroyed. */
bool bench_trace_load(const char *path, struct bench_trace *trace);

/*
 * Writes the trace to a file, in the compact form if its name ends in .ztrace, as text if in .trace (savable: it does
 * either), and reads it back. False: a message was printed.
 */
bool bench_trace_is_savable(const char *path);
bool bench_trace_save(const char *path, const struct bench_trace *trace, size_t *size);

/* The trace's name for reports: the file's, without directory and .trace, .ztrace, .zev, .xz. name holds at least 64
 * bytes.
 */
void bench_trace_name(const char *path, char *name, size_t size);

/* xz: decompress to malloc'd memory. False: *what says why (also: not built in). */
bool bench_xz_recognise(const uint8_t *bytes, size_t size);
bool bench_xz_decompress(const uint8_t *bytes, size_t size, uint8_t **out, size_t *out_size, const char **what);

#endif
