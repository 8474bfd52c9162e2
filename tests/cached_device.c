/* SPDX-License-Identifier: MIT */
#include "cached_device.h"
#include "fake.h"
#include "unit.h"
#include <string.h>

unsigned char *cached_device_at(const struct cached_device *device, hal_addr_t addr) {
  return device->memory + (size_t)(addr - device->base);
}

unsigned char *cached_device_host(const struct cached_device *device, hal_addr_t addr) {
  return device->host + (size_t)(addr - device->base);
}

static void write_back(struct cached_device *device, size_t at) {
  if (memcmp(device->host + at, device->fetched + at, device->line) != 0) {
    memcpy(device->memory + at, device->host + at, device->line);
    memcpy(device->fetched + at, device->host + at, device->line);
  }
}

static void fetch(struct cached_device *device, size_t at) {
  memcpy(device->host + at, device->memory + at, device->line);
  memcpy(device->fetched + at, device->memory + at, device->line);
}

static void fetch_if_clean(struct cached_device *device, size_t at) {
  if (memcmp(device->host + at, device->fetched + at, device->line) == 0) {
    fetch(device, at);
  }
}

void cached_device_evict(struct cached_device *device) {
  for (size_t at = 0; at < device->bytes; at += device->line) {
    write_back(device, at);
  }
}

void cached_device_refetch(struct cached_device *device) {
  for (size_t at = 0; at < device->bytes; at += device->line) {
    fetch_if_clean(device, at);
  }
}

void cached_device_stir(struct cached_device *device, uint64_t *random) {
  for (size_t at = 0; at < device->bytes; at += device->line) {
    switch (random_below(random, 3)) {
    case 0:
      write_back(device, at);
      break;
    case 1:
      fetch_if_clean(device, at);
      break;
    default:
      break;
    }
  }
}

static void enter(struct cached_device *device, hal_addr_t addr, hal_size_t size, const void *host) {
  struct zcmem_block_info first = {0}, last = {0};
  assert_int_equal(fake.locks_held, 0);
  assert_int_equal(addr % device->line, 0);
  assert_int_equal(size % device->line, 0);
  assert_true(size > 0);
  assert_true(addr - device->base < device->bytes && size <= device->bytes - (addr - device->base));
  assert_ptr_equal(host, cached_device_host(device, addr));
  assert_ok(zcmem_mem_info(device->hal, addr, &first));
  assert_ok(zcmem_mem_info(device->hal, addr + (size - 1), &last));
  assert_int_equal(first.addr, last.addr);
  if (device->inside != NULL) {
    void (*inside)(void *) = device->inside;
    device->inside = NULL;
    inside(device->arg);
  }
  if (device->restless != NULL) {
    cached_device_stir(device, device->restless);
  }
}

static int on_flush(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  struct cached_device *device = ctx;
  enter(device, addr, size, host);
  device->flushes++;
  for (hal_size_t done = 0; done < size; done += device->line) {
    write_back(device, (size_t)(addr - device->base + done));
  }
  return 0;
}

static int on_invalidate(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  struct cached_device *device = ctx;
  enter(device, addr, size, host);
  device->invalidates++;
  for (hal_size_t done = 0; done < size; done += device->line) {
    fetch(device, (size_t)(addr - device->base + done)); /* whatever the host had stored there */
  }
  return 0;
}

struct zcmem_region_config cached_device_open(struct cached_device *device, const char *name, hal_addr_t base,
                                              size_t bytes, size_t line) {
  static const struct zcmem_region_ops ops = {.flush = on_flush, .invalidate = on_invalidate};
  *device = (struct cached_device){.base = base, .bytes = bytes, .line = line};
  device->memory = malloc(bytes);
  device->host = aligned_alloc(128, bytes); /* base and host must lie alike in a line */
  device->fetched = malloc(bytes);
  assert_non_null(device->memory);
  assert_non_null(device->host);
  assert_non_null(device->fetched);
  uint64_t state = base;
  for (size_t i = 0; i < bytes; i++) {
    device->memory[i] = (unsigned char)random_next(&state);
  }
  memcpy(device->host, device->memory, bytes);
  memcpy(device->fetched, device->memory, bytes);
  return (struct zcmem_region_config){.name = name,
                                      .kind = ZCMEM_KIND_DRAM,
                                      .base = base,
                                      .size = bytes,
                                      .max_blocks = 64,
                                      .host = device->host,
                                      .ops = &ops,
                                      .ctx = device,
                                      .cache_line = line};
}

void cached_device_close(struct cached_device *device) {
  free(device->memory);
  free(device->host);
  free(device->fetched);
}
