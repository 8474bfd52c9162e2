/* SPDX-License-Identifier: MIT */
/*
 * Makes a trace that shows something as small as it can be: Zeller and Hildebrandt's delta debugging (ddmin,
 * "Simplifying and Isolating Failure-Inducing Input", 2002) over the trace's blocks, then over its frees, then over its
 * sizes.
 */
#include "args.h"
#include "commands.h"
#include "replay_in.h"
#include "report.h"
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static const char *fails_option;
static uint64_t needs_option;
static bool fragmented_option;
static uint64_t quantum_option = 128;
static uint64_t tries_option = 100000;

static const struct bench_option options[] = {
    {"--fails", "CMD", BENCH_TEXT, &fails_option, 0, 0,
     "keep what makes the shell command CMD TRACE end with 1 ... 125"},
    {"--needs", "BYTES", BENCH_NUMBER, &needs_option, 1, UINT64_MAX, "keep what fails in a heap of BYTES bytes"},
    {"--fragmented", NULL, BENCH_FLAG, &fragmented_option, 0, 0, "with --needs: only where enough bytes are free"},
    {"--quantum", "BYTES", BENCH_NUMBER, &quantum_option, 1, BENCH_MAX_QUANTUM, "of the heap of --needs (128)"},
    {"--tries", "N", BENCH_NUMBER, &tries_option, 1, UINT32_MAX, "the most traces to try (100000)"},
};

static const struct bench_command command = {
    .name = "shrink",
    .operands = "TRACE OUT",
    .help =
        "Looks for a smallest trace that still fails, and writes it to OUT (.trace or .ztrace). Fails: the command\n"
        "given with --fails, with the file's name behind it, ends with a status from 1 to 125 (126, 127 and signals\n"
        "end the search); or, with --needs, an allocation is refused in a heap of that size. No block of the result\n"
        "can be left out, none that is freed can stay, and no size be made half, without it failing no more.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 2,
    .max_operands = 2,
};

/* What of the trace is kept. */
struct shrink {
  const struct bench_trace *trace;
  const char *scratch; /* file for the command */
  uint8_t *block;      /* by number: it is there, */
  uint8_t *freed;      /*   and its free is */
  uint64_t *sizes;
  uint64_t tries;
  bool broken; /* a message was printed */
};

/* The part of the trace that is kept, as a trace. */
static bool make_part(const struct shrink *s, struct bench_trace *part) {
  uint32_t *number = malloc(((size_t)s->trace->block_count + 1) * sizeof *number);
  const char *what = number ? NULL : "no memory for a part of the trace";
  bench_trace_init(part);
  for (uint32_t i = 0; i < s->trace->event_count && !what; i++) {
    uint32_t block = s->trace->events[i] >> 1;
    if (!s->block[block]) {
      continue;
    }
    if (!(s->trace->events[i] & BENCH_EVENT_FREE)) {
      number[block] = part->block_count;
      what = bench_trace_add_alloc(part, s->sizes[block]);
    } else if (s->freed[block]) {
      what = bench_trace_add_free(part, number[block]);
    }
  }
  free(number);
  if (what) {
    bench_error("shrink: %s", what);
    bench_trace_destroy(part);
  }
  return !what;
}

static bool command_fails(struct shrink *s, const struct bench_trace *part) {
  char line[8192];
  size_t size;
  if (!bench_trace_save(s->scratch, part, &size) || setenv("ZCMEM_TRACE", s->scratch, 1) != 0) {
    s->broken = true;
    return false;
  }
  int length = snprintf(line, sizeof line, "%s \"$ZCMEM_TRACE\"", fails_option); /* whatever is in its name */
  int status = length > 0 && (size_t)length < sizeof line ? system(line) : -1;
  if (status == -1 || !WIFEXITED(status) || WEXITSTATUS(status) > 125) {
    bench_error("shrink: the command could not be run, or ended with a signal");
    s->broken = true;
    return false;
  }
  return WEXITSTATUS(status) != 0;
}

/* Whether the part that is kept fails. */
static bool fails(struct shrink *s) {
  struct bench_trace part;
  if (s->broken || s->tries == tries_option) {
    return false;
  }
  if (!make_part(s, &part)) {
    s->broken = true;
    return false;
  }
  s->tries++;
  bench_progress("%" PRIu64 " traces tried, %" PRIu32 " of %" PRIu32 " blocks left", s->tries, part.block_count,
                 s->trace->block_count);
  bool failed = false;
  if (part.event_count > 0 && fails_option) {
    failed = command_fails(s, &part);
  } else if (part.event_count > 0) {
    enum bench_replay_result result = bench_replay_in(&part, quantum_option, needs_option / quantum_option);
    s->broken = result == BENCH_REPLAY_IMPOSSIBLE;
    failed = result == BENCH_REPLAY_FRAGMENTED || (result == BENCH_REPLAY_FULL && !fragmented_option);
  }
  bench_trace_destroy(&part);
  return failed;
}

/*
 * ddmin: flags of `count` items are cleared, a chunk at a time, where the rest still fails; chunks become smaller until
 * they are single items of which none can go. `order` names the items that are still there.
 */
static bool reduce(struct shrink *s, uint8_t *flags, uint32_t *order, uint32_t count) {
  uint32_t chunk = count / 2 ? count / 2 : 1;
  bool any = false;
  while (count > 0 && !s->broken) {
    bool gone = false;
    for (uint32_t at = 0; at < count;) {
      uint32_t n = chunk < count - at ? chunk : count - at;
      for (uint32_t i = 0; i < n; i++) {
        flags[order[at + i]] = 0;
      }
      if (fails(s)) {
        memmove(order + at, order + at + n, (count - at - n) * sizeof *order);
        count -= n;
        gone = any = true;
        continue;
      }
      for (uint32_t i = 0; i < n; i++) {
        flags[order[at + i]] = 1;
      }
      at += n;
    }
    if (chunk == 1 && !gone) {
      break;
    }
    if (!gone || chunk > count) {
      chunk = chunk / 2 ? chunk / 2 : 1;
    }
  }
  return any;
}

/* The numbers of the blocks that are there, and freed, too, if only those are wanted. */
static uint32_t list(const struct shrink *s, const uint8_t *freed, uint32_t *order) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < s->trace->block_count; i++) {
    if (s->block[i] && (!freed || freed[i])) {
      order[count++] = i;
    }
  }
  return count;
}

/* Halves sizes as long as that fails. */
static bool halve(struct shrink *s) {
  bool any = false;
  for (uint32_t i = 0; i < s->trace->block_count && !s->broken; i++) {
    while (s->block[i] && s->sizes[i] > 1) {
      uint64_t before = s->sizes[i];
      s->sizes[i] /= 2;
      if (!fails(s)) {
        s->sizes[i] = before;
        break;
      }
      any = true;
    }
  }
  return any;
}

static bool shrink_all(struct shrink *s) {
  uint32_t *order = malloc(((size_t)s->trace->block_count + 1) * sizeof *order);
  if (!order) {
    bench_error("shrink: no memory");
    return false;
  }
  if (!fails(s)) {
    if (!s->broken) {
      bench_error("shrink: the trace does not fail");
    }
    s->broken = true;
  }
  for (bool again = true; again && !s->broken;) { /* what one pass leaves out may let another leave out more */
    again = reduce(s, s->block, order, list(s, NULL, order));
    again = reduce(s, s->freed, order, list(s, s->freed, order)) || again;
    again = halve(s) || again;
  }
  free(order);
  return !s->broken;
}

/* The trace's own: which blocks are freed. */
static bool open_shrink(struct shrink *s) {
  size_t blocks = s->trace->block_count;
  s->block = malloc(blocks + 1);
  s->freed = calloc(blocks + 1, 1);
  s->sizes = malloc((blocks + 1) * sizeof *s->sizes);
  if (!s->block || !s->freed || !s->sizes) {
    bench_error("shrink: no memory");
    return false;
  }
  memset(s->block, 1, blocks);
  memcpy(s->sizes, s->trace->sizes, blocks * sizeof *s->sizes);
  for (uint32_t i = 0; i < s->trace->event_count; i++) {
    s->freed[s->trace->events[i] >> 1] |= s->trace->events[i] & BENCH_EVENT_FREE;
  }
  return true;
}

static void report(const struct shrink *s, const char *path, const struct bench_trace *part) {
  bench_text("%s: %" PRIu32 " of %" PRIu32 " blocks, %" PRIu32 " of %" PRIu32 " events, %" PRIu64 " traces tried%s\n",
             path, part->block_count, s->trace->block_count, part->event_count, s->trace->event_count, s->tries,
             s->tries == tries_option ? ": given up there (--tries)" : "");
  bench_row_count("shrink", path, "zcmem", "blocks", part->block_count, "");
  bench_row_count("shrink", path, "zcmem", "events", part->event_count, "");
  bench_row_count("shrink", path, "zcmem", "tries", s->tries, "");
}

static bool shrink_file(const struct bench_trace *trace, const char *out, const char *scratch) {
  struct shrink s = {.trace = trace, .scratch = scratch};
  struct bench_trace part;
  bool good = open_shrink(&s) && shrink_all(&s);
  if (good) {
    good = make_part(&s, &part);
  }
  size_t size;
  if (good) {
    good = bench_trace_save(out, &part, &size);
    if (good) {
      report(&s, out, &part);
    }
    bench_trace_destroy(&part);
  }
  free(s.block);
  free(s.freed);
  free(s.sizes);
  return good;
}

int bench_command_shrink(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  if ((fails_option != NULL) == (needs_option != 0)) {
    bench_error("shrink: one of --fails and --needs is wanted");
    return BENCH_USAGE;
  }
  if ((quantum_option & (quantum_option - 1)) != 0 || (needs_option != 0 && needs_option < quantum_option)) {
    bench_error("shrink: --quantum is no power of two, or --needs is less than that");
    return BENCH_USAGE;
  }
  if (!bench_trace_is_savable(argv[1])) {
    bench_error("shrink: '%s' ends neither in .trace nor in .ztrace", argv[1]);
    return BENCH_USAGE;
  }
  struct bench_trace trace;
  if (!bench_trace_load(argv[0], &trace)) {
    return BENCH_FAILED;
  }
  /* In the file that is written at the end, so the command finds it where it is going to be. */
  bool good = shrink_file(&trace, argv[1], argv[1]);
  if (!good && fails_option) {
    (void)remove(argv[1]); /* what is there is some try */
  }
  bench_trace_destroy(&trace);
  return good ? BENCH_OK : BENCH_FAILED;
}
