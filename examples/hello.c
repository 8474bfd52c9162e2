/* SPDX-License-Identifier: MIT */
/* The device writes a greeting into its own memory; the host maps that memory and prints it: nothing is copied. */
#include "device.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define GREETING_BYTES 96u

/* On the device: args[0] is the address of args[1] bytes. */
static bool hello_kernel(const struct device_map *map, const uint64_t *args) {
  char *text = device_map_find(map, args[0], args[1]);
  if (text == NULL) {
    return false;
  }
  (void)snprintf(text, (size_t)args[1], "Hello from the device! To me this text is at 0x%" PRIx64 ".", args[0]);
  return true;
}

static enum zcmem_status let_device_write(struct device *device, zcmem_buffer_t greeting) {
  struct zcmem_buffers *buffers = device_buffers(device);
  struct zcmem_view view;
  enum zcmem_status status = zcmem_buffer_begin(buffers, greeting, 0, GREETING_BYTES, ZCMEM_BUFFER_WRITE, NULL, &view);
  if (status != ZCMEM_OK) {
    return status;
  }
  const uint64_t args[DEVICE_ARGS] = {view.addr, view.size};
  device_submit(device, hello_kernel, args);
  bool good = device_finish(device);
  status = zcmem_buffer_end(buffers, view.id);
  return good ? status : ZCMEM_EIO;
}

static enum zcmem_status print(struct device *device, zcmem_buffer_t greeting) {
  struct zcmem_buffers *buffers = device_buffers(device);
  struct zcmem_view view;
  enum zcmem_status status = zcmem_buffer_map(buffers, greeting, 0, GREETING_BYTES, ZCMEM_MAP_READ, NULL, &view);
  if (status != ZCMEM_OK) {
    return status;
  }
  printf("%.*s\n", (int)GREETING_BYTES, (const char *)view.host);
  return zcmem_buffer_unmap(buffers, view.id);
}

static enum zcmem_status run(struct device *device) {
  const struct zcmem_buffer_config config = {
      .flags = ZCMEM_BUFFER_WRITE | ZCMEM_BUFFER_ALLOC_HOST, .region = device_ddr(device), .size = GREETING_BYTES};
  zcmem_buffer_t greeting;
  enum zcmem_status status = zcmem_buffer_create(device_buffers(device), &config, &greeting);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = let_device_write(device, greeting);
  if (status == ZCMEM_OK) {
    status = print(device, greeting);
  }
  enum zcmem_status released = zcmem_buffer_release(device_buffers(device), greeting);
  return status == ZCMEM_OK ? released : status;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "hello: no argument '%s'; usage: hello\n", argv[1]);
    return 2;
  }
  struct device *device = device_create();
  if (device == NULL) {
    return EXIT_FAILURE;
  }
  printf("Using device '%s'\n", zcmem_hal_name(device_hal(device)));
  enum zcmem_status status = run(device);
  bool good = status == ZCMEM_OK;
  if (!good) {
    fprintf(stderr, "hello: %s\n", zcmem_status_string(status));
  }
  if (!device_destroy(device)) {
    fprintf(stderr, "hello: blocks or buffers are left\n");
    good = false;
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "hello: the output could not be written\n");
    good = false;
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
