/* SPDX-License-Identifier: MIT */
/*
 * Exercises the adapter as the kit does: allocate, write, copy, fill, read, free, and the refusals it relies on.
 */
#include "hal_adapter.hpp"
#include <cstdio>
#include <cstring>
#include <zcmem/host_device.h>

static bool exercise(hal_adapter &device) {
  unsigned char in[1000], out[1000];
  for (unsigned i = 0; i < sizeof in; i++)
    in[i] = static_cast<unsigned char>(i * 7 + 1);
  const hal_addr_t a = device.mem_alloc(sizeof in, 128);
  const hal_addr_t b = device.mem_alloc(sizeof in, 4096);
  bool good = a != HAL_NULLPTR && b != HAL_NULLPTR && a % 128 == 0 && b % 4096 == 0;
  good = good && device.mem_write(a, in, sizeof in) && device.mem_copy(b, a, sizeof in);
  good = good && device.mem_read(out, b, sizeof out) && std::memcmp(in, out, sizeof in) == 0;
  good = good && device.mem_fill(b + 10, "abc", 3, 8) && device.mem_read(out, b + 9, 10);
  good = good && std::memcmp(out + 1, "abcabcab", 8) == 0 && out[0] == in[9] && out[9] == in[18];
  good = good && !device.mem_write(a, in, sizeof in + 1) && device.mem_alloc(~hal_size_t{9}, 128) == HAL_NULLPTR;
  good = device.mem_free(a) && device.mem_free(b) && good;
  return good && !device.mem_free(a) && !device.mem_read(out, a, 1) && device.mem_free(HAL_NULLPTR);
}

int main() {
  zcmem_host_device_config config = {};
  config.flags = ZCMEM_HOST_DEVICE_UNMAPPED_DRAM;
  zcmem_host_device *device = nullptr;
  if (zcmem_host_device_create(&config, &device) != ZCMEM_OK)
    return 1;
  zcmem_hal *hal = zcmem_host_device_hal(device);
  bool good = true;
  for (uint32_t region = 0; region < zcmem_hal_region_count(hal); region++) {
    hal_adapter adapter(hal, region);
    good = exercise(adapter) && good;
  }
  good = zcmem_host_device_destroy(device) == 0 && good;
  std::printf("%s\n", good ? "The adapter works in every region." : "The adapter failed.");
  return good ? 0 : 1;
}
