/* SPDX-License-Identifier: MIT */
/*
 * The device adds two vectors. Three buffers: both addends are copied to the device when their buffers are made, the
 * sum is made on the device and looked at by the host where it lies. Every element is checked.
 */
#include "device.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ELEMENTS ((size_t)1 << 16)
#define BYTES (ELEMENTS * sizeof(int32_t))

enum { FIRST, SECOND, SUM, BUFFERS };

/* On the device: args[0] and args[1] are the addends, args[2] is the sum, args[3] the number of elements. */
static bool add_kernel(const struct device_map *map, const uint64_t *args) {
  hal_size_t bytes = args[3] * sizeof(int32_t);
  const int32_t *a = device_map_find(map, args[0], bytes), *b = device_map_find(map, args[1], bytes);
  int32_t *sum = device_map_find(map, args[2], bytes);
  if (a == NULL || b == NULL || sum == NULL) {
    return false;
  }
  for (size_t i = 0; i < args[3]; i++) {
    sum[i] = a[i] + b[i];
  }
  return true;
}

static int32_t addend(int which, size_t i) {
  return which == FIRST ? (int32_t)i : (int32_t)(3 * i + 1);
}

static enum zcmem_status create(struct device *device, zcmem_buffer_t buffer[BUFFERS]) {
  struct zcmem_buffer_config config = {.region = device_ddr(device), .size = BYTES};
  int32_t *values = malloc(BYTES);
  if (values == NULL) {
    return ZCMEM_ENOMEM;
  }
  enum zcmem_status status = ZCMEM_OK;
  config.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_COPY_HOST;
  config.host = values;
  for (int which = FIRST; which <= SECOND && status == ZCMEM_OK; which++) {
    for (size_t i = 0; i < ELEMENTS; i++) {
      values[i] = addend(which, i);
    }
    status = zcmem_buffer_create(device_buffers(device), &config, &buffer[which]);
  }
  free(values);
  if (status == ZCMEM_OK) {
    config.flags = ZCMEM_BUFFER_WRITE | ZCMEM_BUFFER_ALLOC_HOST;
    config.host = NULL;
    status = zcmem_buffer_create(device_buffers(device), &config, &buffer[SUM]);
  }
  return status;
}

static enum zcmem_status compute(struct device *device, const zcmem_buffer_t buffer[BUFFERS]) {
  struct zcmem_buffers *buffers = device_buffers(device);
  struct zcmem_view view[BUFFERS];
  uint64_t args[DEVICE_ARGS] = {0, 0, 0, ELEMENTS};
  enum zcmem_status status = ZCMEM_OK;
  int begun = 0;
  for (; begun < BUFFERS; begun++) {
    status = zcmem_buffer_begin(buffers, buffer[begun], 0, BYTES, 0, NULL, &view[begun]);
    if (status != ZCMEM_OK) {
      break;
    }
    args[begun] = view[begun].addr;
  }
  if (status == ZCMEM_OK) {
    device_submit(device, add_kernel, args);
    status = device_finish(device) ? ZCMEM_OK : ZCMEM_EIO;
  }
  while (begun-- > 0) {
    enum zcmem_status ended = zcmem_buffer_end(buffers, view[begun].id);
    status = status == ZCMEM_OK ? ended : status;
  }
  return status;
}

static enum zcmem_status validate(struct device *device, zcmem_buffer_t sum, bool *right) {
  struct zcmem_view view;
  enum zcmem_status status = zcmem_buffer_map(device_buffers(device), sum, 0, BYTES, ZCMEM_MAP_READ, NULL, &view);
  if (status != ZCMEM_OK) {
    return status;
  }
  const int32_t *got = view.host;
  *right = true;
  for (size_t i = 0; i < ELEMENTS && *right; i++) {
    int32_t wanted = addend(FIRST, i) + addend(SECOND, i);
    if (got[i] != wanted) {
      fprintf(stderr, "vector_add: element %zu is %" PRId32 ", not %" PRId32 "\n", i, got[i], wanted);
      *right = false;
    }
  }
  return zcmem_buffer_unmap(device_buffers(device), view.id);
}

int main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "vector_add: no argument '%s'; usage: vector_add\n", argv[1]);
    return 2;
  }
  struct device *device = device_create();
  zcmem_buffer_t buffer[BUFFERS] = {0};
  bool right = false;
  if (device == NULL) {
    return EXIT_FAILURE;
  }
  printf("Using device '%s'\n", zcmem_hal_name(device_hal(device)));
  enum zcmem_status status = create(device, buffer);
  if (status == ZCMEM_OK) {
    status = compute(device, buffer);
  }
  if (status == ZCMEM_OK) {
    status = validate(device, buffer[SUM], &right);
  }
  if (status != ZCMEM_OK) {
    fprintf(stderr, "vector_add: %s\n", zcmem_status_string(status));
    right = false;
  }
  for (int i = 0; i < BUFFERS; i++) {
    if (buffer[i] != 0 && zcmem_buffer_release(device_buffers(device), buffer[i]) != ZCMEM_OK) {
      right = false;
    }
  }
  if (!device_destroy(device)) {
    fprintf(stderr, "vector_add: blocks or buffers are left\n");
    right = false;
  }
  if (right) {
    printf("Results validated successfully.\n");
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "vector_add: the output could not be written\n");
    right = false;
  }
  return right ? EXIT_SUCCESS : EXIT_FAILURE;
}
