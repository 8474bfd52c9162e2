/* SPDX-License-Identifier: MIT */
/*
 * A region whose device does not see the host's cache: the host has a second copy of the memory, which only flush and
 * invalidate reconcile, whole lines at a time. What a real cache may do on its own at any moment, the test does when it
 * hurts most: write a dirty line back over what the device has written, fetch a clean line before the device writes it.
 *
 * A line is dirty where the host's copy differs from what it was when the line was last fetched or written back. (A
 * store of the value that is there already goes unnoticed; tests store new values.)
 *
 * Both callbacks assert that no lock is held, that the range is made of whole lines, and that it lies in one block.
 */
#ifndef ZCMEM_TESTS_CACHED_DEVICE_H
#define ZCMEM_TESTS_CACHED_DEVICE_H

#include <zcmem/zcmem.h>

struct cached_device {
  hal_addr_t base;
  size_t bytes, line;
  struct zcmem_hal *hal;  /* for the test to set: is asked for blocks */
  unsigned char *memory;  /* what the device sees */
  unsigned char *host;    /* what the host sees */
  unsigned char *fetched; /* what the host's copy was when it was last in line with the memory */
  uint64_t *restless;     /* NULL, or the state of the random numbers: each callback stirs first */
  unsigned flushes, invalidates;
  void (*inside)(void *arg); /* called within the next callback, once */
  void *arg;
};

/* Makes the memory, all of it different from byte to byte, and the config of a region with an image of the HAL's. */
struct zcmem_region_config cached_device_open(struct cached_device *device, const char *name, hal_addr_t base,
                                              size_t bytes, size_t line);
void cached_device_close(struct cached_device *device);

/* The byte at addr as the device sees it, and as the host does. */
unsigned char *cached_device_at(const struct cached_device *device, hal_addr_t addr);
unsigned char *cached_device_host(const struct cached_device *device, hal_addr_t addr);

/* The cache writes all dirty lines back. */
void cached_device_evict(struct cached_device *device);

/* The cache fetches all clean lines anew. */
void cached_device_refetch(struct cached_device *device);

/* It does either, or nothing, with each line. */
void cached_device_stir(struct cached_device *device, uint64_t *random);

#endif
