/* SPDX-License-Identifier: MIT */
/*
 * ZCMEM_DDR_BYTES and ZCMEM_MSMC_BYTES: the first line of the input, and the second. What reads them is included, with
 * a device in the place of the real one that only notes how large it would be: sizes of 2^60 bytes are good input.
 */
#include "parse.h"

#include <stdlib.h>
#include <zcmem/host_device.h>

static struct {
  struct zcmem_host_device_config config;
  const char *reported[4];
  unsigned reports;
} noted;

static enum zcmem_status note_create(const struct zcmem_host_device_config *config, struct zcmem_host_device **device) {
  (void)device;
  noted.config = *config;
  return ZCMEM_ENOMEM;
}

static struct zcmem_hal *note_hal(struct zcmem_host_device *device) {
  (void)device;
  return NULL;
}

static uint64_t note_destroy(struct zcmem_host_device *device) {
  (void)device;
  return 0;
}

static void note_report(enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)ptr;
  (void)size;
  if (status == ZCMEM_EINVAL && noted.reports < sizeof noted.reported / sizeof *noted.reported) {
    noted.reported[noted.reports++] = function;
  }
}

static uint32_t note_count(const struct zcmem_hal *hal) {
  (void)hal;
  return 0;
}

static enum zcmem_status note_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_region_stats *stats) {
  (void)hal;
  (void)index;
  (void)stats;
  return ZCMEM_EINVAL;
}

#define zcmem_host_device_create note_create
#define zcmem_host_device_hal note_hal
#define zcmem_host_device_destroy note_destroy
#define zcmem__malloc_report note_report
#define zcmem_hal_region_count note_count
#define zcmem_hal_region_stats note_stats
#include "malloc_default.c"

#include "../unit.h"

static bool was_reported(const char *variable) {
  bool was = false;
  for (unsigned i = 0; i < noted.reports; i++) {
    was = was || strcmp(noted.reported[i], variable) == 0;
  }
  return was;
}

/* What the device gets for a value: 0, its default, for none and for one that is no number above 0, which is told. */
static void expect_bytes(const char *variable, const char *text, hal_size_t got) {
  uint64_t number = 0;
  bool valid = text != NULL && fuzz_read_size(text, strlen(text), &number) && number > 0;
  /* 0 with a unit is no number above 0 either. */
  assert_int_equal(got, valid ? number : 0);
  assert_true(was_reported(variable) == (text != NULL && !valid));
}

static void set(const char *variable, const char *text) {
  assert_int_equal(text == NULL ? unsetenv(variable) : setenv(variable, text, 1), 0);
}

void fuzz_environment(const uint8_t *bytes, size_t size) {
  char *text = malloc(size + 1);
  assert_non_null(text);
  memcpy(text, bytes, size);
  text[size] = '\0';
  char *end = strchr(text, '\n');
  if (end != NULL) {
    *end++ = '\0';
  }
  memset(&noted, 0, sizeof noted);
  set("ZCMEM_DDR_BYTES", text);
  set("ZCMEM_MSMC_BYTES", end);
  assert_null(zcmem_malloc_hal());
  expect_bytes("ZCMEM_DDR_BYTES", text, noted.config.dram_bytes);
  expect_bytes("ZCMEM_MSMC_BYTES", end, noted.config.msmc_bytes);
  free(text);
}
