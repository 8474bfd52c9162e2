/* SPDX-License-Identifier: MIT */
/*
 * One library, three kinds of memory. The same call of fft_lib.h transforms data that malloc, __malloc_ddr and
 * __malloc_msmc gave. For each: one line with the largest error and with the bytes that were copied between host and
 * device, both ways together: twice the data for malloc, none for the device's own memory.
 *
 * Exit status 0 only if all results are right and exactly these bytes were copied.
 */
#include "../spectrum.h"
#include "fft_lib.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <zcmem/ti_malloc.h>

#define POINTS ((size_t)4096)
#define BYTES (POINTS * 2 * sizeof(float))

struct memory {
  const char *name;
  void *(*allocate)(size_t);
  void (*release)(void *);
  uint64_t copied; /* bytes that must be copied */
};

static const struct memory memories[] = {
    {"malloc", malloc, free, 2 * BYTES},
    {"__malloc_ddr", __malloc_ddr, __free_ddr, 0},
    {"__malloc_msmc", __malloc_msmc, __free_msmc, 0},
};

static bool count_copied(struct device *device, uint64_t *bytes) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  enum zcmem_status status = zcmem_buffers_get_stats(device_buffers(device), &stats);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "fft: no counters: %s\n", zcmem_status_string(status));
    return false;
  }
  *bytes = stats.bytes_copied_in + stats.bytes_copied_out;
  return true;
}

static bool try_data(struct device *device, const struct memory *memory, const struct spectrum *spectrum, float *data) {
  uint64_t before, after;
  spectrum_signal(data, POINTS);
  if (!count_copied(device, &before)) {
    return false;
  }
  enum zcmem_status status = fft_lib_forward(device, data, POINTS);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "fft: %s: %s\n", memory->name, zcmem_status_string(status));
    return false;
  }
  if (!count_copied(device, &after)) {
    return false;
  }
  double error = spectrum_error(spectrum, data);
  uint64_t copied = after - before;
  printf("%-14s n = %zu bytes, error %.1e, copied %" PRIu64 " bytes\n", memory->name, BYTES, error, copied);
  if (!(error < SPECTRUM_TOLERANCE)) {
    fprintf(stderr, "fft: %s: the result is wrong\n", memory->name);
  }
  if (copied != memory->copied) {
    fprintf(stderr, "fft: %s: %" PRIu64 " bytes should have been copied\n", memory->name, memory->copied);
  }
  return error < SPECTRUM_TOLERANCE && copied == memory->copied;
}

static bool try_all(struct device *device, const struct spectrum *spectrum) {
  bool good = true;
  for (size_t i = 0; i < sizeof memories / sizeof *memories; i++) {
    float *data = memories[i].allocate(BYTES);
    if (data == NULL) {
      fprintf(stderr, "fft: %s: no memory\n", memories[i].name);
      good = false;
      continue;
    }
    good = try_data(device, &memories[i], spectrum, data) && good;
    memories[i].release(data);
  }
  return good;
}

static bool run(struct device *device) {
  struct spectrum spectrum;
  enum zcmem_status status = zcmem_malloc_set_hal(device_hal(device));
  if (status != ZCMEM_OK) {
    fprintf(stderr, "fft: %s\n", zcmem_status_string(status));
    return false;
  }
  if (!spectrum_create(&spectrum, POINTS)) {
    fprintf(stderr, "fft: no memory for the reference\n");
    return false;
  }
  bool good = try_all(device, &spectrum);
  spectrum_destroy(&spectrum);
  return zcmem_malloc_set_hal(NULL) == ZCMEM_OK && good;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "fft: no argument '%s'; usage: fft\n", argv[1]);
    return 2;
  }
  struct device *device = device_create();
  bool good = device != NULL && run(device);
  if (!device_destroy(device)) {
    fprintf(stderr, "fft: blocks or buffers are left\n");
    good = false;
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "fft: the output could not be written\n");
    good = false;
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
