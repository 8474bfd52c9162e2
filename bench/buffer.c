/* SPDX-License-Identifier: MIT */
/* `buffer`: begin and end of a device's access to a zero-copy buffer, while other views are open. */
#include "commands.h"
#include "measure.h"
#include "memory.h"
#include "report.h"
#include "settings.h"

#include <zcmem/buffer.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t calls_option = 200000;
static struct bench_numbers views_option = {.count = 3, .value = {0, 100, 10000}};

static const struct bench_option options[] = {
    BENCH_OPTION_ROUNDS,
    BENCH_OPTION_SIZES,
    {"--views", "N,...", BENCH_NUMBERS, &views_option, 0, 1000000, "other views that are open (0,100,10000)"},
    {"--calls", "N", BENCH_NUMBER, &calls_option, 1, 1u << 28, "begin and end, in a round (200000)"},
};

static const struct bench_command command = {
    .name = "buffer",
    .operands = "",
    .help = "Nanoseconds of zcmem_buffer_begin and zcmem_buffer_end on a whole buffer of 64 B, 4 KiB, 1 MiB, 64 MiB\n"
            "(--sizes) over host memory of a coherent region, for reading and writing, one thread. The views that are\n"
            "open meanwhile are for reading, half of them below it, half of them above. All rows take turns.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
};

static const struct bench_ranges usual_sizes = {
    .count = 4, .range = {{64, 64}, {4096, 4096}, {1 << 20, 1 << 20}, {1 << 26, 1 << 26}}};

#define OTHER_BYTES 4096u
#define MODE (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)

/* A row: a table of its own, so that rows can take turns. */
struct row {
  struct zcmem_hal *hal;
  struct zcmem_buffers *buffers;
  void *table;
  void *memory;
  size_t bytes;
  uint64_t size;
  uint32_t views;
  zcmem_buffer_t buffer;
  double samples[BENCH_MAX_ROUNDS];
};

static enum zcmem_status open_hal(struct row *row) {
  const struct zcmem_hal_config config = {.name = "zcmem-bench", .max_regions = 1};
  struct zcmem_region_config region = {
      .name = "buffers",
      .kind = ZCMEM_KIND_DRAM,
      .flags = ZCMEM_REGION_COHERENT,
      .base = BENCH_REGION_BASE,
      .max_blocks = row->views + 1,
  };
  row->bytes = (size_t)(2 * row->size + (uint64_t)row->views * OTHER_BYTES + (1u << 20));
  row->memory = bench_map(row->bytes);
  region.size = row->bytes;
  region.host = row->memory;
  return row->memory ? zcmem_hal_create(&config, &region, 1, &row->hal) : ZCMEM_ENOMEM;
}

static enum zcmem_status open_table(struct row *row) {
  const struct zcmem_buffers_config config = {
      .hal = row->hal, .max_buffers = row->views + 1, .max_views = row->views + 1};
  const size_t align = 64;
  size_t bytes = zcmem_buffers_bytes(&config);
  row->table = bytes ? aligned_alloc(align, (bytes + align - 1) / align * align) : NULL;
  return row->table ? zcmem_buffers_init(row->table, bytes, &config, &row->buffers) : ZCMEM_ENOMEM;
}

/* A block that is mapped, and a buffer that is this block. */
static enum zcmem_status add_buffer(struct row *row, uint64_t size, zcmem_buffer_t *buffer) {
  hal_addr_t addr;
  struct zcmem_buffer_config config = {.flags = MODE | ZCMEM_BUFFER_USE_HOST, .size = size};
  enum zcmem_status status = zcmem_mem_alloc(row->hal, 0, size, BENCH_ALIGNMENT, &addr);
  if (status == ZCMEM_OK) {
    status = zcmem_mem_host(row->hal, addr, size, &config.host);
  }
  return status == ZCMEM_OK ? zcmem_buffer_create(row->buffers, &config, buffer) : status;
}

static enum zcmem_status add_views(struct row *row, uint32_t count) {
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t i = 0; i < count && status == ZCMEM_OK; i++) {
    zcmem_buffer_t other;
    struct zcmem_view view;
    status = add_buffer(row, OTHER_BYTES, &other);
    if (status == ZCMEM_OK) {
      status = zcmem_buffer_begin(row->buffers, other, 0, OTHER_BYTES, ZCMEM_BUFFER_READ, NULL, &view);
    }
  }
  return status;
}

static bool open_row(struct row *row) {
  enum zcmem_status status = open_hal(row);
  if (status == ZCMEM_OK) {
    status = open_table(row);
  }
  if (status == ZCMEM_OK) {
    status = add_views(row, row->views / 2);
  }
  if (status == ZCMEM_OK) {
    status = add_buffer(row, row->size, &row->buffer);
  }
  if (status == ZCMEM_OK) {
    status = add_views(row, row->views - row->views / 2);
  }
  struct zcmem_buffer_info info;
  if (status == ZCMEM_OK) {
    status = zcmem_buffer_get_info(row->buffers, row->buffer, &info);
  }
  if (status != ZCMEM_OK || !info.zero_copy) {
    bench_error("buffer: no zero-copy buffer: %s", zcmem_status_string(status));
    return false;
  }
  return true;
}

static void close_row(struct row *row) {
  zcmem_buffers_destroy(row->buffers);
  free(row->table);
  zcmem_hal_destroy(row->hal);
  bench_unmap(row->memory, row->bytes);
}

/* bench/instructions counts the instructions of this function and what it calls. Answers the calls that failed. */
BENCH_COUNTED uint64_t bench_play_buffer(struct zcmem_buffers *buffers, zcmem_buffer_t buffer, uint64_t size,
                                         uint64_t calls);
uint64_t bench_play_buffer(struct zcmem_buffers *buffers, zcmem_buffer_t buffer, uint64_t size, uint64_t calls) {
  uint64_t failures = 0;
  for (uint64_t i = 0; i < calls; i++) {
    struct zcmem_view view;
    if (zcmem_buffer_begin(buffers, buffer, 0, size, MODE, NULL, &view) != ZCMEM_OK ||
        zcmem_buffer_end(buffers, view.id) != ZCMEM_OK) {
      failures++;
    }
  }
  return failures;
}

static bool measure(struct row *row, uint64_t round) {
  uint64_t start = bench_now();
  uint64_t failures = bench_play_buffer(row->buffers, row->buffer, row->size, calls_option);
  double nanoseconds = (double)(bench_now() - start);
  if (round > 0) { /* the first one is not timed */
    row->samples[round - 1] = nanoseconds / (double)calls_option;
  }
  if (failures) {
    bench_error("buffer: %" PRIu64 " of %" PRIu64 " accesses failed", failures, calls_option);
  }
  return failures == 0;
}

static void report(struct row *row) {
  char parameters[128];
  struct bench_spread s = bench_spread_of(row->samples, (uint32_t)bench_settings.rounds);
  snprintf(parameters, sizeof parameters, "size=%" PRIu64 ";views=%" PRIu32, row->size, row->views);
  bench_settings_append(parameters, sizeof parameters);
  bench_row_spread("buffer", parameters, "zcmem", "ns", &s, 2, "ns");
  bench_text("  %12" PRIu64 " bytes, %7" PRIu32 " other views %9.2f ns  (%.2f to %.2f)\n", row->size, row->views,
             s.median, s.min, s.max);
}

int bench_command_buffer(int argc, char **argv) {
  int operands;
  int status;
  if (!bench_args_parse(&command, argc, argv, &operands, &status)) {
    return status;
  }
  const struct bench_ranges *sizes = bench_settings.sizes.count ? &bench_settings.sizes : &usual_sizes;
  uint32_t count = sizes->count * views_option.count;
  struct row *rows = calloc(count, sizeof *rows);
  bool good = rows != NULL;
  uint32_t made = 0;
  for (; good && made < count; made++) {
    rows[made].size = sizes->range[made / views_option.count].min;
    rows[made].views = (uint32_t)views_option.value[made % views_option.count];
    good = open_row(&rows[made]);
  }
  for (uint64_t round = 0; good && round <= bench_settings.rounds; round++) {
    for (uint32_t i = 0; good && i < count; i++) {
      good = measure(&rows[i], round);
    }
  }
  bench_text("buffer: begin and end, %" PRIu64 " rounds of %" PRIu64 "\n", bench_settings.rounds, calls_option);
  for (uint32_t i = 0; good && i < count; i++) {
    report(&rows[i]);
  }
  while (made > 0) {
    close_row(&rows[--made]);
  }
  free(rows);
  return good ? BENCH_OK : BENCH_FAILED;
}
