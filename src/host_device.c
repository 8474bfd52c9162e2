/* SPDX-License-Identifier: MIT */
/* MAP_NORESERVE is no POSIX. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE
#endif

#include "host_memory.h"
#include "move.h"
#include <string.h>
#include <zcmem/host_device.h>

#if defined(__unix__) || defined(__APPLE__)
#define HAVE_MMAP
#include <sys/mman.h>
#ifndef MAP_NORESERVE
#define MAP_NORESERVE 0
#endif
#endif

#define DRAM_DEFAULT ((hal_size_t)256 << 20)
#define MSMC_DEFAULT ((hal_size_t)4 << 20)
#define BYTES_PER_BLOCK 4096u
#define BLOCKS_MIN 1024u
#define BLOCKS_MAX (1u << 20)
#define MAPPINGS 256u
#define KNOWN_DEVICE_FLAGS (ZCMEM_HOST_DEVICE_UNMAPPED_DRAM | ZCMEM_HOST_DEVICE_MAGAZINES)

/* The memory that stands in for a region's: `bytes` bytes of it are at device address `base`. */
struct backing {
  unsigned char *memory;
  hal_addr_t base;
  size_t bytes;
};

struct zcmem_host_device {
  struct zcmem_hal *hal;
  struct backing dram, msmc;
};

/* A device does not trust its driver: the memory at the range, or NULL if it leaves the device's. */
static unsigned char *locate(const struct backing *backing, hal_addr_t addr, hal_size_t size) {
  hal_size_t offset = addr - backing->base;
  if (offset > backing->bytes || size > backing->bytes - offset) {
    return NULL;
  }
  return backing->memory + (size_t)offset;
}

static int device_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  unsigned char *at = locate(ctx, addr, size);
  (void)flags;
  if (at == NULL) {
    return -1;
  }
  *host = at;
  return 0;
}

static int device_unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  unsigned char *at = locate(ctx, addr, size);
  return at == NULL || at != host ? -1 : 0;
}

/* memmove throughout: a buffer of the host may be a mapping of the same memory. */
static int device_read(void *ctx, void *dst, hal_addr_t src, hal_size_t size) {
  const unsigned char *at = locate(ctx, src, size);
  if (at == NULL) {
    return -1;
  }
  memmove(dst, at, (size_t)size);
  return 0;
}

static int device_write(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  unsigned char *at = locate(ctx, dst, size);
  if (at == NULL) {
    return -1;
  }
  memmove(at, src, (size_t)size);
  return 0;
}

static int device_copy(void *ctx, hal_addr_t dst, hal_addr_t src, hal_size_t size) {
  unsigned char *to = locate(ctx, dst, size);
  const unsigned char *from = locate(ctx, src, size);
  if (to == NULL || from == NULL) {
    return -1;
  }
  memmove(to, from, (size_t)size);
  return 0;
}

static int device_fill(void *ctx, hal_addr_t dst, const void *pattern, hal_size_t pattern_size, hal_size_t size) {
  unsigned char *at = locate(ctx, dst, size);
  size_t first = (size_t)(pattern_size < size ? pattern_size : size);
  if (at == NULL || pattern_size == 0) {
    return -1;
  }
  zcmem__move_repeat(at, pattern, first, (size_t)size);
  return 0;
}

static const struct zcmem_region_ops unmapped_ops = {.map = device_map,
                                                     .unmap = device_unmap,
                                                     .read = device_read,
                                                     .write = device_write,
                                                     .copy = device_copy,
                                                     .fill = device_fill};

static bool backing_open(struct backing *backing, hal_addr_t base, hal_size_t bytes) {
  if (bytes > SIZE_MAX) {
    return false;
  }
  backing->base = base;
  backing->bytes = (size_t)bytes;
#ifdef HAVE_MMAP
  void *memory = mmap(NULL, backing->bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  backing->memory = memory == MAP_FAILED ? NULL : memory;
#else
  backing->memory = zcmem__host_memory.alloc(zcmem__host_memory.ctx, backing->bytes);
#endif
  return backing->memory != NULL;
}

static void backing_close(struct backing *backing) {
  if (backing->memory == NULL) {
    return;
  }
#ifdef HAVE_MMAP
  (void)munmap(backing->memory, backing->bytes);
#else
  zcmem__host_memory.free(zcmem__host_memory.ctx, backing->memory, backing->bytes);
#endif
  backing->memory = NULL;
}

static uint32_t blocks_for(uint32_t wanted, hal_size_t bytes) {
  if (wanted != 0) {
    return wanted;
  }
  if (bytes / BYTES_PER_BLOCK < BLOCKS_MIN) {
    return BLOCKS_MIN;
  }
  return bytes / BYTES_PER_BLOCK > BLOCKS_MAX ? BLOCKS_MAX : (uint32_t)(bytes / BYTES_PER_BLOCK);
}

static enum zcmem_status open_device(struct zcmem_host_device *device, const struct zcmem_host_device_config *config) {
  hal_size_t dram_bytes = config->dram_bytes == 0 ? DRAM_DEFAULT : config->dram_bytes;
  hal_size_t msmc_bytes = config->msmc_bytes == 0 ? MSMC_DEFAULT : config->msmc_bytes;
  struct zcmem_region_config regions[2] = {
      {.name = "dram",
       .kind = ZCMEM_KIND_DRAM,
       .flags = ZCMEM_REGION_COHERENT,
       .base = ZCMEM_HOST_DEVICE_DRAM_BASE,
       .size = dram_bytes,
       .max_blocks = blocks_for(config->max_blocks, dram_bytes)},
      {.name = "msmc",
       .kind = ZCMEM_KIND_MSMC,
       .flags = ZCMEM_REGION_COHERENT,
       .base = ZCMEM_HOST_DEVICE_MSMC_BASE,
       .size = msmc_bytes,
       .max_blocks = blocks_for(config->max_blocks, msmc_bytes)},
  };
  const struct zcmem_hal_config hal_config = {
      .name = config->name == NULL ? "zcmem host device" : config->name,
      .max_regions = 2,
      .max_mappings = MAPPINGS,
      .lock = config->lock,
      .flags = (config->flags & ZCMEM_HOST_DEVICE_MAGAZINES) != 0 ? ZCMEM_HAL_MAGAZINES : 0};
  if ((config->flags & ~KNOWN_DEVICE_FLAGS) != 0 || zcmem_region_bytes(&regions[0]) == 0 ||
      zcmem_region_bytes(&regions[1]) == 0) {
    return ZCMEM_EINVAL;
  }
  if (!backing_open(&device->dram, regions[0].base, dram_bytes) ||
      !backing_open(&device->msmc, regions[1].base, msmc_bytes)) {
    return ZCMEM_ENOMEM;
  }
  regions[1].host = device->msmc.memory;
  if ((config->flags & ZCMEM_HOST_DEVICE_UNMAPPED_DRAM) == 0) {
    regions[0].host = device->dram.memory;
  } else {
    regions[0].ops = &unmapped_ops;
    regions[0].ctx = &device->dram;
  }
  return zcmem_hal_create(&hal_config, regions, 2, &device->hal);
}

enum zcmem_status zcmem_host_device_create(const struct zcmem_host_device_config *config,
                                           struct zcmem_host_device **device) {
  static const struct zcmem_host_device_config defaults = {0};
  if (device == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_host_device *made = zcmem__host_memory.alloc(zcmem__host_memory.ctx, sizeof *made);
  if (made == NULL) {
    return ZCMEM_ENOMEM;
  }
  enum zcmem_status status = open_device(made, config == NULL ? &defaults : config);
  if (status == ZCMEM_OK) {
    *device = made;
  } else {
    (void)zcmem_host_device_destroy(made);
  }
  return status;
}

uint64_t zcmem_host_device_destroy(struct zcmem_host_device *device) {
  if (device == NULL) {
    return 0;
  }
  uint64_t live = zcmem_hal_destroy(device->hal);
  backing_close(&device->dram);
  backing_close(&device->msmc);
  zcmem__host_memory.free(zcmem__host_memory.ctx, device, sizeof *device);
  return live;
}

struct zcmem_hal *zcmem_host_device_hal(struct zcmem_host_device *device) {
  return device == NULL ? NULL : device->hal;
}
