/* SPDX-License-Identifier: MIT */
/*
 * Prints a dump of a device with some blocks in it, for tools that read dumps: dump [--magazines] >FILE
 * The writer below is all that a program needs for its own.
 */
#include <stdio.h>
#include <string.h>
#include <zcmem/zcmem.h>

#define BLOCKS 200u

static int print_text(void *ctx, const char *text, size_t bytes) {
  return fwrite(text, 1, bytes, ctx) == bytes ? 0 : 1;
}

/* Three tenants that take turns; every third block is given back again. */
static enum zcmem_status fill_with_blocks(struct zcmem_hal *hal) {
  const uint32_t tags[3] = {ZCMEM_TAG('w', 'g', 't', 's'), ZCMEM_TAG('a', 'c', 't', 's'),
                            ZCMEM_TAG('g', 'r', 'a', 'd')};
  hal_addr_t blocks[BLOCKS];
  uint32_t random = 1;
  for (uint32_t i = 0; i < BLOCKS; i++) {
    random = random * 1664525u + 1013904223u;
    hal_size_t size = (random >> 24) % 8u == 0 ? 65536u : 300u + (random >> 18);
    enum zcmem_status status = zcmem_mem_alloc_tagged(hal, 0, size, 128, tags[i % 3u], &blocks[i]);
    if (status != ZCMEM_OK) {
      return status;
    }
  }
  for (uint32_t i = 0; i < BLOCKS; i += 3) {
    enum zcmem_status status = zcmem_mem_free(hal, blocks[(i * 7u) % BLOCKS]);
    if (status != ZCMEM_OK) {
      return status;
    }
  }
  return zcmem_mem_pin(hal, blocks[1]);
}

int main(int argc, char **argv) {
  struct zcmem_host_device_config config = {.dram_bytes = 8u << 20, .msmc_bytes = 1u << 20, .max_blocks = 1024};
  struct zcmem_host_device *device = NULL;
  if (argc > 2 || (argc == 2 && strcmp(argv[1], "--magazines") != 0)) {
    fprintf(stderr, "dump: '%s' is not known\nusage: dump [--magazines]\n", argv[argc - 1]);
    return 2;
  }
  config.flags = argc == 2 ? ZCMEM_HOST_DEVICE_MAGAZINES : 0;
  enum zcmem_status status = zcmem_host_device_create(&config, &device);
  if (status == ZCMEM_OK) {
    status = fill_with_blocks(zcmem_host_device_hal(device));
  }
  if (status == ZCMEM_OK) {
    status = zcmem_hal_dump(zcmem_host_device_hal(device), print_text, stdout);
  }
  if (status == ZCMEM_OK && fflush(stdout) != 0) {
    status = ZCMEM_EIO;
  }
  if (status != ZCMEM_OK) {
    fprintf(stderr, "dump: %s\n", zcmem_status_string(status));
  }
  (void)zcmem_host_device_destroy(device); /* blocks end with it */
  return status == ZCMEM_OK ? 0 : 1;
}
