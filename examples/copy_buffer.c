/* SPDX-License-Identifier: MIT */
/*
 * Copies bytes host -> device -> device -> host and checks every one of them.
 *
 *   copy_buffer [--unmapped]            a buffer of the program's own
 *   copy_buffer [--unmapped] FILE...    what the files hold; tells bytes and speed of each direction
 *
 * Every byte makes four trips: within each of the two regions, and from each to the other.
 *
 * --unmapped: the device's DRAM is not mapped into the host's memory.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <zcmem/zcmem.h>

#define BUFFER_BYTES ((size_t)1 << 20)
#define ALIGN 128u

/* What went in one direction. */
struct flow {
  uint64_t bytes;
  double seconds;
};

/* Two regions of the device, a block in each, and the host's side of the copies. */
struct run {
  struct zcmem_hal *hal;
  uint32_t region[2];
  hal_addr_t block[2][2]; /* two in each region */
  unsigned char *in, *out;
  struct flow to_device, within, to_host;
};

static double now(void) {
  struct timespec at = {0};
  (void)timespec_get(&at, TIME_UTC);
  return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void count(struct flow *flow, double start, size_t bytes) {
  flow->seconds += now() - start;
  flow->bytes += bytes;
}

static enum zcmem_status transfer(struct run *run, hal_addr_t first, hal_addr_t second, size_t bytes) {
  double start = now();
  enum zcmem_status status = zcmem_mem_write(run->hal, first, run->in, bytes);
  if (status != ZCMEM_OK) {
    return status;
  }
  count(&run->to_device, start, bytes);
  start = now();
  status = zcmem_mem_copy(run->hal, second, first, bytes);
  if (status != ZCMEM_OK) {
    return status;
  }
  count(&run->within, start, bytes);
  start = now();
  status = zcmem_mem_read(run->hal, run->out, second, bytes);
  count(&run->to_host, start, bytes);
  return status;
}

/* One trip of `bytes` bytes of run->in through the blocks at `first` and `second`. */
static bool round_trip(struct run *run, hal_addr_t first, hal_addr_t second, size_t bytes) {
  static const unsigned char blank = 0x5a;
  /* No byte may look right that was not brought there by this trip. */
  for (size_t i = 0; i < bytes; i++) {
    run->out[i] = (unsigned char)~run->in[i];
  }
  enum zcmem_status status = zcmem_mem_fill(run->hal, second, &blank, sizeof blank, bytes);
  if (status == ZCMEM_OK) {
    status = transfer(run, first, second, bytes);
  }
  if (status != ZCMEM_OK) {
    fprintf(stderr, "copy_buffer: %s\n", zcmem_status_string(status));
    return false;
  }
  for (size_t i = 0; i < bytes; i++) {
    if (run->out[i] != run->in[i]) {
      fprintf(stderr, "copy_buffer: byte %zu is %02x, not %02x\n", i, run->out[i], run->in[i]);
      return false;
    }
  }
  return true;
}

/* Within each region and from each to the other. */
static bool all_trips(struct run *run, size_t bytes) {
  for (int from = 0; from < 2; from++) {
    for (int to = 0; to < 2; to++) {
      if (!round_trip(run, run->block[from][0], run->block[to][1], bytes)) {
        return false;
      }
    }
  }
  return true;
}

static bool own_buffer(struct run *run) {
  uint32_t noise = 1;
  for (size_t i = 0; i < BUFFER_BYTES; i++) {
    noise = noise * 1664525u + 1013904223u;
    run->in[i] = (unsigned char)(noise >> 24);
  }
  return all_trips(run, BUFFER_BYTES);
}

static bool file(struct run *run, const char *path) {
  bool good = true;
  size_t bytes;
  FILE *stream = fopen(path, "rb");
  if (stream == NULL) {
    perror(path);
    return false;
  }
  while (good && (bytes = fread(run->in, 1, BUFFER_BYTES, stream)) > 0) {
    good = all_trips(run, bytes);
  }
  if (ferror(stream)) {
    perror(path);
    good = false;
  }
  (void)fclose(stream);
  return good;
}

static void report(const char *direction, const struct flow *flow) {
  double speed = flow->seconds > 0 ? (double)flow->bytes / flow->seconds / 1e6 : 0;
  printf("%-16s %12" PRIu64 " bytes %10.1f MB/s\n", direction, flow->bytes, speed);
}

static bool copy(struct run *run, char **paths, int count) {
  static const char *const names[2] = {"dram", "msmc"};
  bool good = true;
  for (int i = 0; i < 2; i++) {
    enum zcmem_status status = zcmem_hal_find_region(run->hal, names[i], &run->region[i]);
    for (int j = 0; j < 2 && status == ZCMEM_OK; j++) {
      status = zcmem_mem_alloc(run->hal, run->region[i], BUFFER_BYTES, ALIGN, &run->block[i][j]);
    }
    if (status != ZCMEM_OK) {
      fprintf(stderr, "copy_buffer: region %s: %s\n", names[i], zcmem_status_string(status));
      return false;
    }
  }
  if (count == 0) {
    return own_buffer(run);
  }
  for (int i = 0; i < count && good; i++) {
    good = file(run, paths[i]);
  }
  report("host -> device", &run->to_device);
  report("device -> device", &run->within);
  report("device -> host", &run->to_host);
  return good;
}

/* Freeing HAL_NULLPTR, where an allocation failed, is nothing. */
static bool free_blocks(struct run *run) {
  bool good = true;
  for (int i = 0; i < 4; i++) {
    good = zcmem_mem_free(run->hal, run->block[i / 2][i % 2]) == ZCMEM_OK && good;
  }
  return good;
}

int main(int argc, char **argv) {
  struct zcmem_host_device_config config = {0};
  struct zcmem_host_device *device = NULL;
  struct run run = {0};
  int first = 1;
  if (argc > 1 && strcmp(argv[1], "--unmapped") == 0) {
    config.flags = ZCMEM_HOST_DEVICE_UNMAPPED_DRAM;
    first = 2;
  }
  if (argc > first && argv[first][0] == '-') { /* a file of such a name can be given as ./-name */
    fprintf(stderr, "copy_buffer: no option '%s'; usage: copy_buffer [--unmapped] [FILE...]\n", argv[first]);
    return 2;
  }
  enum zcmem_status status = zcmem_host_device_create(&config, &device);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "copy_buffer: no device: %s\n", zcmem_status_string(status));
    return EXIT_FAILURE;
  }
  run.hal = zcmem_host_device_hal(device);
  printf("Using device '%s'\n", zcmem_hal_name(run.hal));
  run.in = malloc(BUFFER_BYTES);
  run.out = malloc(BUFFER_BYTES);
  bool good = run.in != NULL && run.out != NULL;
  if (!good) {
    fprintf(stderr, "copy_buffer: no host memory\n");
  } else {
    good = copy(&run, argv + first, argc - first);
  }
  good = free_blocks(&run) && good;
  free(run.in);
  free(run.out);
  if (zcmem_host_device_destroy(device) != 0) {
    fprintf(stderr, "copy_buffer: blocks are left\n");
    good = false;
  }
  if (good) {
    printf("Results validated successfully.\n");
  }
  /* Who reads the output of a program that says so must have got all of it. */
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "copy_buffer: the output could not be written\n");
    good = false;
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
