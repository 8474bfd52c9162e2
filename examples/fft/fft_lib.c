/* SPDX-License-Identifier: MIT */
#include "fft_lib.h"
#include "fft_kernel.h"

static enum zcmem_status transform(struct device *device, zcmem_buffer_t buffer, size_t points, size_t bytes) {
  struct zcmem_buffers *buffers = device_buffers(device);
  struct zcmem_view view;
  enum zcmem_status status = zcmem_buffer_begin(buffers, buffer, 0, bytes, 0, NULL, &view);
  if (status != ZCMEM_OK) {
    return status;
  }
  const uint64_t args[DEVICE_ARGS] = {view.addr, points};
  device_submit(device, fft_kernel, args);
  bool good = device_finish(device);
  status = zcmem_buffer_end(buffers, view.id);
  return good ? status : ZCMEM_EIO;
}

enum zcmem_status fft_lib_forward(struct device *device, float *data, size_t points) {
  struct zcmem_buffers *buffers = device_buffers(device);
  if (points == 0 || (points & (points - 1)) != 0 || points > SIZE_MAX / (2 * sizeof *data)) {
    return ZCMEM_EINVAL;
  }
  size_t bytes = points * 2 * sizeof *data;
  /* The region counts only where data is not the device's memory already: there the shadow goes. */
  const struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE | ZCMEM_BUFFER_USE_HOST,
                                             .region = device_ddr(device),
                                             .host = data,
                                             .size = bytes};
  zcmem_buffer_t buffer;
  enum zcmem_status status = zcmem_buffer_create(buffers, &config, &buffer);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = transform(device, buffer, points, bytes);
  enum zcmem_status released = zcmem_buffer_release(buffers, buffer);
  return status == ZCMEM_OK ? released : status;
}
