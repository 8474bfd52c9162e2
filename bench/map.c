/* SPDX-License-Identifier: MIT */
/* Draws what a dump or a trace has; see map.h. */
#include "map.h"

#include "args.h"
#include "commands.h"
#include "report.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *out_option;
static uint64_t region_option;
static uint64_t quantum_option = 128;
static uint64_t width_option;
static uint32_t colour_option;

static const struct bench_option options[] = {
    {"-o", "FILE.svg", BENCH_TEXT, &out_option, 0, 0, "draw to a file (a line a region, for the terminal)"},
    {"--region", "BYTES", BENCH_NUMBER, &region_option, 1, UINT64_MAX, "of a trace's heap (the least it fits in)"},
    {"--quantum", "BYTES", BENCH_NUMBER, &quantum_option, 1, BENCH_MAX_QUANTUM, "of a trace's heap (128)"},
    {"--width", "N", BENCH_NUMBER, &width_option, 10, 10000, "characters of a region's line (what the terminal has)"},
    {"--color", "auto|always|never", BENCH_CHOICE, &colour_option, 0, 0, "of the terminal (auto)"},
};

static const struct bench_command command = {
    .name = "map",
    .operands = "DUMP|TRACE",
    .help =
        "Draws the regions of a dump (zcmem_hal_dump), or a heap while a trace is replayed in it: addresses to the\n"
        "right, each part in the colour of the tag, or where there are no tags of the size, that takes most of\n"
        "it. Of a trace the moment at which most bytes are live is shown; a file also shows all of it over time.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 1,
    .max_operands = 1,
};

static uint32_t width_of_terminal(void) {
  const char *columns = getenv("COLUMNS");
  long width = columns ? strtol(columns, NULL, 10) : 0;
  return width_option ? (uint32_t)width_option : width >= 100 && width < 10000 ? (uint32_t)width - 80 : 60;
}

int bench_command_map(int argc, char **argv) {
  static struct map map;
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  if ((quantum_option & (quantum_option - 1)) != 0) {
    bench_error("map: --quantum %" PRIu64 " is no power of two", quantum_option);
    return BENCH_USAGE;
  }
  bool good = map_is_dump(argv[0]) ? map_read_dump(&map, argv[0])
                                   : map_read_trace(&map, argv[0], region_option, quantum_option);
  if (good && out_option) {
    good = map_write_svg(&map, out_option);
  } else if (good) {
    map_print(&map, width_of_terminal(), colour_option == 1 || (colour_option == 0 && isatty(STDOUT_FILENO)));
  }
  map_destroy(&map);
  return good ? BENCH_OK : BENCH_FAILED;
}
