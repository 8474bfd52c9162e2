/* SPDX-License-Identifier: MIT */
#include "device.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME "zcmem example device"
#define MEMORIES 2u
#define QUEUE 16u
#define PAGE 4096u

/* The memory map is that of a KeyStone II: DDR3 and MSMC at their places in its 36-bit addresses. */
#define DDR_BASE 0x800000000u
#define DDR_BYTES ((size_t)8 << 20)
#define MSMC_BASE 0x0c000000u
#define MSMC_BYTES ((size_t)1 << 20)

struct device_map {
  struct {
    hal_addr_t base;
    size_t bytes;
    unsigned char *memory;
  } at[MEMORIES];
};

struct command {
  device_kernel kernel;
  uint64_t args[DEVICE_ARGS];
};

struct device {
  struct device_map map; /* not changed while the thread runs */
  struct zcmem_hal *hal;
  struct zcmem_buffers *buffers;
  void *buffers_memory;
  uint32_t ddr;
  pthread_t thread;
  bool has_thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t changed;
  struct command queue[QUEUE];
  unsigned first, count; /* a command that runs is still counted */
  bool fault, stop;
};

void *device_map_find(const struct device_map *map, hal_addr_t addr, hal_size_t size) {
  for (unsigned i = 0; i < MEMORIES; i++) {
    hal_addr_t offset = addr - map->at[i].base; /* wraps, and so is too large, for an address below the base */
    if (offset < map->at[i].bytes && size <= map->at[i].bytes - offset) {
      return map->at[i].memory + (size_t)offset;
    }
  }
  return NULL;
}

static void *run(void *argument) {
  struct device *device = argument;
  (void)pthread_mutex_lock(&device->mutex);
  for (;;) {
    while (device->count == 0 && !device->stop) {
      (void)pthread_cond_wait(&device->changed, &device->mutex);
    }
    if (device->count == 0) {
      break;
    }
    struct command command = device->queue[device->first];
    (void)pthread_mutex_unlock(&device->mutex);
    bool good = command.kernel(&device->map, command.args);
    (void)pthread_mutex_lock(&device->mutex);
    device->fault = device->fault || !good;
    device->first = (device->first + 1) % QUEUE;
    device->count--;
    (void)pthread_cond_broadcast(&device->changed);
  }
  (void)pthread_mutex_unlock(&device->mutex);
  return NULL;
}

void device_submit(struct device *device, device_kernel kernel, const uint64_t args[DEVICE_ARGS]) {
  (void)pthread_mutex_lock(&device->mutex);
  while (device->count == QUEUE) {
    (void)pthread_cond_wait(&device->changed, &device->mutex);
  }
  struct command *command = &device->queue[(device->first + device->count) % QUEUE];
  command->kernel = kernel;
  memcpy(command->args, args, sizeof command->args);
  device->count++;
  (void)pthread_cond_broadcast(&device->changed);
  (void)pthread_mutex_unlock(&device->mutex);
}

bool device_finish(struct device *device) {
  (void)pthread_mutex_lock(&device->mutex);
  while (device->count > 0) {
    (void)pthread_cond_wait(&device->changed, &device->mutex);
  }
  bool good = !device->fault;
  device->fault = false;
  (void)pthread_mutex_unlock(&device->mutex);
  return good;
}

/* The device's memories, and the HAL that hands them out. The host sees them at addresses of its own. */
static enum zcmem_status make_hal(struct device *device) {
  struct zcmem_region_config regions[MEMORIES] = {
      {.name = "ddr", .kind = ZCMEM_KIND_DRAM, .base = DDR_BASE, .size = DDR_BYTES},
      {.name = "msmc", .kind = ZCMEM_KIND_MSMC, .base = MSMC_BASE, .size = MSMC_BYTES},
  };
  const struct zcmem_hal_config config = {.name = NAME, .max_regions = MEMORIES};
  for (unsigned i = 0; i < MEMORIES; i++) {
    device->map.at[i].base = regions[i].base;
    device->map.at[i].bytes = (size_t)regions[i].size;
    device->map.at[i].memory = aligned_alloc(PAGE, (size_t)regions[i].size);
    if (device->map.at[i].memory == NULL) {
      return ZCMEM_ENOMEM;
    }
    regions[i].flags = ZCMEM_REGION_COHERENT;
    regions[i].max_blocks = 1024;
    regions[i].host = device->map.at[i].memory;
  }
  enum zcmem_status status = zcmem_hal_create(&config, regions, MEMORIES, &device->hal);
  return status == ZCMEM_OK ? zcmem_hal_find_region(device->hal, "ddr", &device->ddr) : status;
}

static enum zcmem_status make_buffers(struct device *device) {
  const struct zcmem_buffers_config config = {.hal = device->hal, .max_buffers = 16, .max_views = 16};
  size_t bytes = (zcmem_buffers_bytes(&config) + 63) / 64 * 64;
  device->buffers_memory = aligned_alloc(64, bytes);
  if (device->buffers_memory == NULL) {
    return ZCMEM_ENOMEM;
  }
  return zcmem_buffers_init(device->buffers_memory, bytes, &config, &device->buffers);
}

struct device *device_create(void) {
  struct device *device = calloc(1, sizeof *device);
  if (device == NULL) {
    perror("device");
    return NULL;
  }
  if (pthread_mutex_init(&device->mutex, NULL) != 0) {
    fprintf(stderr, "device: no mutex\n");
    free(device);
    return NULL;
  }
  if (pthread_cond_init(&device->changed, NULL) != 0) {
    fprintf(stderr, "device: no condition variable\n");
    (void)pthread_mutex_destroy(&device->mutex);
    free(device);
    return NULL;
  }
  enum zcmem_status status = make_hal(device);
  if (status == ZCMEM_OK) {
    status = make_buffers(device);
  }
  if (status != ZCMEM_OK) {
    fprintf(stderr, "device: %s\n", zcmem_status_string(status));
  } else if (pthread_create(&device->thread, NULL, run, device) != 0) {
    fprintf(stderr, "device: no thread\n");
  } else {
    device->has_thread = true;
    return device;
  }
  (void)device_destroy(device);
  return NULL;
}

bool device_destroy(struct device *device) {
  if (device == NULL) {
    return true;
  }
  if (device->has_thread) {
    (void)pthread_mutex_lock(&device->mutex);
    device->stop = true;
    (void)pthread_cond_broadcast(&device->changed);
    (void)pthread_mutex_unlock(&device->mutex);
    (void)pthread_join(device->thread, NULL);
  }
  uint64_t left = zcmem_buffers_destroy(device->buffers);
  left += zcmem_hal_destroy(device->hal);
  for (unsigned i = 0; i < MEMORIES; i++) {
    free(device->map.at[i].memory);
  }
  free(device->buffers_memory);
  (void)pthread_cond_destroy(&device->changed);
  (void)pthread_mutex_destroy(&device->mutex);
  free(device);
  return left == 0;
}

struct zcmem_hal *device_hal(struct device *device) {
  return device->hal;
}
struct zcmem_buffers *device_buffers(struct device *device) {
  return device->buffers;
}
uint32_t device_ddr(const struct device *device) {
  return device->ddr;
}
