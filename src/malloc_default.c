/* SPDX-License-Identifier: MIT */
#include "malloc_default.h"
#include "atomic.h"
#include "malloc_report.h"
#include <stdlib.h>
#include <zcmem/host_device.h>
#include <zcmem/malloc.h>

/* The HAL that the program gave, a struct zcmem_hal *. */
static struct zcmem__atomic_word given;

#ifdef ZCMEM_NO_HOST_DEVICE

static struct zcmem_hal *made_hal(void) {
  return NULL;
}

static enum zcmem_status make(struct zcmem_hal **hal) {
  (void)hal;
  return ZCMEM_ENOENT;
}

static enum zcmem_status end_made(void) {
  return ZCMEM_OK;
}

#else

/* The device made here, a struct zcmem_host_device *. It ends in zcmem_malloc_set_hal or with the process. */
static struct zcmem__atomic_word made;

static struct zcmem_hal *made_hal(void) {
  return zcmem_host_device_hal((struct zcmem_host_device *)zcmem__atomic_word_acquire(&made));
}

/* "64M": a decimal number above 0, then nothing or one of K, M and G, within 64 bits. */
static bool parse_bytes(const char *text, hal_size_t *bytes) {
  hal_size_t number = 0;
  unsigned shift = 0;
  const char *at = text;
  for (; *at >= '0' && *at <= '9'; at++) {
    unsigned digit = (unsigned)(*at - '0');
    if (number > (UINT64_MAX - digit) / 10) {
      return false;
    }
    number = number * 10 + digit;
  }
  if (*at == 'K' || *at == 'M' || *at == 'G') {
    shift = *at == 'K' ? 10 : *at == 'M' ? 20 : 30;
    at++;
  }
  if (*at != '\0' || number == 0 || number > UINT64_MAX >> shift) {
    return false;
  }
  *bytes = number << shift;
  return true;
}

/* What the variable says; 0, for the device's own default, where it is not set or says nothing that can be read. */
static hal_size_t bytes_of(const char *variable) {
  /* NOLINTNEXTLINE(concurrency-mt-unsafe): a program that changes its environment beside threads has lost anyway */
  const char *text = getenv(variable);
  hal_size_t bytes = 0;
  if (text != NULL && !parse_bytes(text, &bytes)) {
    zcmem__malloc_report(ZCMEM_EINVAL, variable, NULL, 0);
  }
  return bytes;
}

/* Several threads may each make a device; the first to publish its own wins, and the others end theirs. */
static enum zcmem_status make(struct zcmem_hal **hal) {
  const struct zcmem_host_device_config config = {.name = "zcmem default device",
                                                  .dram_bytes = bytes_of("ZCMEM_DDR_BYTES"),
                                                  .msmc_bytes = bytes_of("ZCMEM_MSMC_BYTES")};
  struct zcmem_host_device *device = NULL;
  enum zcmem_status status = zcmem_host_device_create(&config, &device);
  if (status != ZCMEM_OK) {
    return status;
  }
  if (!zcmem__atomic_word_replace(&made, 0, (uintptr_t)device)) {
    (void)zcmem_host_device_destroy(device);
  }
  *hal = made_hal();
  return ZCMEM_OK;
}

/* Ends the device made here, unless it is in use. */
static enum zcmem_status end_made(void) {
  struct zcmem_hal *hal = made_hal();
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count; i++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    enum zcmem_status status = zcmem_hal_region_stats(hal, i, &stats);
    if (status != ZCMEM_OK) {
      return status;
    }
    if (stats.live != 0) {
      return ZCMEM_EBUSY;
    }
  }
  (void)zcmem_host_device_destroy((struct zcmem_host_device *)zcmem__atomic_word_acquire(&made));
  zcmem__atomic_word_publish(&made, 0);
  return ZCMEM_OK;
}

#endif

struct zcmem_hal *zcmem__malloc_current(void) {
  struct zcmem_hal *hal = (struct zcmem_hal *)zcmem__atomic_word_acquire(&given);
  return hal != NULL ? hal : made_hal();
}

enum zcmem_status zcmem__malloc_need(struct zcmem_hal **hal) {
  *hal = zcmem__malloc_current();
  return *hal != NULL ? ZCMEM_OK : make(hal);
}

enum zcmem_status zcmem_malloc_set_hal(struct zcmem_hal *hal) {
  if (hal != NULL && hal == made_hal()) { /* what is the default anyway, if none was given */
    return ZCMEM_OK;
  }
  enum zcmem_status status = end_made();
  if (status == ZCMEM_OK) {
    zcmem__atomic_word_publish(&given, (uintptr_t)hal);
  }
  return status;
}

struct zcmem_hal *zcmem_malloc_hal(void) {
  struct zcmem_hal *hal = NULL;
  enum zcmem_status status = zcmem__malloc_need(&hal);
  if (status != ZCMEM_OK) {
    zcmem__malloc_report(status, "zcmem_malloc_hal", NULL, 0);
    return NULL;
  }
  return hal;
}
