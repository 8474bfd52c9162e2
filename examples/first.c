/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <zcmem/zcmem.h>

int main(void) {
  struct zcmem_host_device *device;
  if (zcmem_host_device_create(NULL, &device) != ZCMEM_OK) /* host memory that stands in for hardware */
    return 1;
  struct zcmem_hal *hal = zcmem_host_device_hal(device);
  char in[] = "Hello, device memory!", out[sizeof in] = "";
  uint32_t order[2] = {0};
  hal_addr_t a = HAL_NULLPTR, b = HAL_NULLPTR; /* device addresses: not for the host to dereference */
  zcmem_hal_find_region(hal, "msmc", &order[0]);
  zcmem_hal_find_region(hal, "dram", &order[1]);
  enum zcmem_status status = zcmem_mem_alloc_preferred(hal, order, 2, sizeof in, 128, &a); /* MSMC, else DRAM */
  if (status == ZCMEM_OK && (status = zcmem_mem_alloc(hal, order[1], sizeof in, 128, &b)) == ZCMEM_OK &&
      (status = zcmem_mem_write(hal, a, in, sizeof in)) == ZCMEM_OK &&
      (status = zcmem_mem_copy(hal, b, a, sizeof in)) == ZCMEM_OK &&
      (status = zcmem_mem_read(hal, out, b, sizeof in)) == ZCMEM_OK)
    printf("%s\n", out);
  else
    printf("%s\n", zcmem_status_string(status));
  zcmem_mem_free(hal, a);
  zcmem_mem_free(hal, b);
  return zcmem_host_device_destroy(device) == 0 && status == ZCMEM_OK ? 0 : 1;
}
