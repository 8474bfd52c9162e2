/* SPDX-License-Identifier: MIT */
/* The smallest region that a trace fits in: the price of fragmentation in bytes of memory. */
#include "commands.h"
#include "each_trace.h"
#include "report.h"
#include "settings.h"

#include <zcmem/hal.h>
#include <zcmem/heap.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t quantum_option = ZCMEM_QUANTUM_DEFAULT;
static bool facade_option;

static const struct bench_option options[] = {
    {"--quantum", "BYTES", BENCH_NUMBER, &quantum_option, 1, BENCH_MAX_QUANTUM, "of the heap; a power of two (128)"},
    {"--facade", NULL, BENCH_FLAG, &facade_option, 0, 0, "through the facade, one thread, with its magazines"},
    {"--magazines", "on|off", BENCH_CHOICE, &bench_settings.magazines, 0, 0, "with --facade"},
};

static const struct bench_command command = {
    .name = "fit",
    .operands = "TRACE...",
    .help =
        "Finds, by binary search to one quantum, a region in which the bare heap replays the whole trace without a\n"
        "failed allocation while one quantum less fails, and divides it by the peak of live bytes (sizes rounded\n"
        "up to the quantum). Whether a trace fits does not depend on the region's size monotonously: a smaller\n"
        "region that fits may exist, the search takes the same one every time. --magazines has a meaning with\n"
        "--facade only.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .min_operands = 1,
    .max_operands = -1,
};

/* What all replays of one trace share. */
struct fit {
  const struct bench_trace *trace;
  uint64_t quantum;
  uint64_t *addrs; /* by block number */
  uint32_t replays;
};

enum fit_result { FITS, FITS_NOT, FIT_IMPOSSIBLE };

/* The region that is tried: of one of the two layers. */
struct target {
  struct zcmem_hal *hal;
  struct zcmem_heap *heap;
  void *memory; /* of the heap */
};

static enum fit_result replay(const struct fit *fit, const struct target *target) {
  const struct bench_trace *trace = fit->trace;
  for (uint32_t i = 0; i < trace->event_count; i++) {
    uint32_t block = trace->events[i] >> 1;
    hal_addr_t *addr = &fit->addrs[block];
    enum zcmem_status status;
    if (trace->events[i] & BENCH_EVENT_FREE) {
      status = target->hal ? zcmem_mem_free(target->hal, *addr) : zcmem_heap_free(target->heap, *addr);
    } else {
      hal_size_t size = trace->sizes[block];
      status =
          target->hal ? zcmem_mem_alloc(target->hal, 0, size, 1, addr) : zcmem_heap_alloc(target->heap, size, 1, addr);
    }
    if (status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) {
      return FITS_NOT;
    }
    if (status != ZCMEM_OK) {
      bench_error("event %" PRIu32 ": %s", i, zcmem_status_string(status));
      return FIT_IMPOSSIBLE;
    }
  }
  return FITS;
}

static enum zcmem_status open_hal(const struct fit *fit, uint64_t quanta, struct target *target) {
  const struct zcmem_hal_config config = {
      .name = "zcmem-bench",
      .max_regions = 1,
      .flags = bench_settings.magazines == BENCH_MAGAZINES_OFF ? 0 : ZCMEM_HAL_MAGAZINES,
  };
  const struct zcmem_region_config region = {
      .name = "trace",
      .kind = ZCMEM_KIND_DRAM,
      .base = BENCH_REGION_BASE,
      .size = quanta * fit->quantum,
      .quantum = fit->quantum,
      .max_blocks = fit->trace->peak_blocks,
  };
  return zcmem_hal_create(&config, &region, 1, &target->hal);
}

static enum zcmem_status open_heap(const struct fit *fit, uint64_t quanta, struct target *target) {
  const struct zcmem_heap_config config = {
      .base = BENCH_REGION_BASE,
      .size = quanta * fit->quantum,
      .quantum = fit->quantum,
      .max_blocks = fit->trace->peak_blocks,
      .flags = ZCMEM_HEAP_ZEROED,
  };
  const size_t align = 64;
  size_t bytes = zcmem_heap_bytes(&config);
  char *memory = bytes ? calloc(1, bytes + align) : NULL;
  if (!memory) {
    return bytes ? ZCMEM_ENOMEM : ZCMEM_EINVAL;
  }
  target->memory = memory;
  void *image = memory + (align - (uintptr_t)memory % align) % align;
  return zcmem_heap_init(image, bytes, &config, &target->heap);
}

static enum fit_result try_quanta(struct fit *fit, uint64_t quanta) {
  struct target target = {.hal = NULL};
  enum fit_result result = FIT_IMPOSSIBLE;
  enum zcmem_status status = facade_option ? open_hal(fit, quanta, &target) : open_heap(fit, quanta, &target);
  fit->replays++;
  bench_progress("replay %" PRIu32 ", in %" PRIu64 " bytes", fit->replays, quanta * fit->quantum);
  if (status == ZCMEM_OK) {
    result = replay(fit, &target);
  } else {
    bench_error("no region of %" PRIu64 " quanta of %" PRIu64 " bytes: %s", quanta, fit->quantum,
                zcmem_status_string(status));
  }
  zcmem_hal_destroy(target.hal);
  free(target.memory);
  return result;
}

/* Quanta of the region found, given the quanta that any allocator needs; 0: a message was printed. */
static uint64_t search(struct fit *fit, uint64_t peak) {
  /* too_small < answer <= enough, and too_small + 1 <= enough */
  uint64_t too_small = peak - 1;
  uint64_t enough = peak;
  enum fit_result result = try_quanta(fit, enough);
  for (uint64_t step = peak / 64 + 1; result == FITS_NOT; step *= 2) {
    too_small = enough;
    enough += step;
    result = try_quanta(fit, enough);
  }
  while (result != FIT_IMPOSSIBLE && enough - too_small > 1) {
    uint64_t middle = too_small + (enough - too_small) / 2;
    result = try_quanta(fit, middle);
    if (result == FITS) {
      enough = middle;
    } else {
      too_small = middle;
    }
  }
  return result == FIT_IMPOSSIBLE ? 0 : enough;
}

static bool run(const char *path, const struct bench_trace *trace) {
  char name[128];
  char parameters[160];
  bench_trace_name(path, name, sizeof name);
  snprintf(parameters, sizeof parameters, "%s", name);
  if (quantum_option != ZCMEM_QUANTUM_DEFAULT) {
    snprintf(parameters, sizeof parameters, "%s;quantum=%" PRIu64, name, quantum_option);
  }
  size_t used = strlen(parameters);
  if (facade_option) {
    snprintf(parameters + used, sizeof parameters - used, ";facade");
    bench_settings_append_variant(parameters, sizeof parameters);
  }
  uint64_t peak = bench_trace_peak_bytes(trace, quantum_option);
  if (peak == UINT64_MAX) {
    bench_error("%s: more than 2^63 bytes are live at once", path);
    return false;
  }
  struct fit fit = {.trace = trace, .quantum = quantum_option};
  fit.addrs = calloc(trace->block_count, sizeof *fit.addrs);
  if (!fit.addrs) {
    bench_error("%s: no memory to replay it", path);
    return false;
  }
  uint64_t quanta = search(&fit, peak / fit.quantum);
  free(fit.addrs);
  if (quanta == 0) {
    bench_error("%s: no figure", path);
    return false;
  }
  uint64_t region = quanta * fit.quantum;
  double ratio = (double)region / (double)peak;
  bench_text("%-24s ratio %.4f  region %" PRIu64 "  peak %" PRIu64 " bytes  (%" PRIu32 " replays)\n", name, ratio,
             region, peak, fit.replays);
  bench_row("fit", parameters, "zcmem", "ratio", ratio, 4, "");
  bench_row_count("fit", parameters, "zcmem", "region", region, "bytes");
  bench_row_count("fit", parameters, "zcmem", "peak", peak, "bytes");
  return true;
}

int bench_command_fit(int argc, char **argv) {
  return bench_each_trace(&command, argc, argv, &quantum_option, run);
}
