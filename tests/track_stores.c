/* SPDX-License-Identifier: MIT */
/*
 * One access through a host pointer in a tracked region, named by the argument, for track.sh: all but `right` are
 * wrong, and valgrind or AddressSanitizer has to say so.
 */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <zcmem/zcmem.h>

#define BASE ((hal_addr_t)1 << 32)
#define BYTES ((hal_size_t)101) /* no multiple of what a tool may round to */

#define REGION ((size_t)65536)

static unsigned char *memory;
static struct zcmem_hal *hal;

static void must(enum zcmem_status status) {
  if (status != ZCMEM_OK) {
    fprintf(stderr, "track_stores: %s\n", zcmem_status_string(status));
    exit(3);
  }
}

static hal_addr_t block_of(hal_size_t size) {
  hal_addr_t addr = 0;
  must(zcmem_mem_alloc(hal, 0, size, 1, &addr));
  return addr;
}

static volatile unsigned char *seen(hal_addr_t addr) {
  void *host = NULL;
  must(zcmem_mem_host(hal, addr, 1, &host));
  return host;
}

/* Whatever is allowed, by the facade and through pointers. */
static void all_right(hal_addr_t addr) {
  unsigned char bytes[BYTES];
  volatile unsigned char *at = seen(addr);
  unsigned sum = 0;
  for (hal_size_t i = 0; i < BYTES; i++) {
    at[i] = (unsigned char)i;
  }
  must(zcmem_mem_read(hal, bytes, addr, BYTES));
  must(zcmem_mem_write(hal, addr, bytes, BYTES));
  must(zcmem_mem_resize(hal, addr, 5 * BYTES));
  at[5 * BYTES - 1] = 1;
  must(zcmem_mem_resize(hal, addr, BYTES));
  must(zcmem_hal_check(hal));
  must(zcmem_mem_free(hal, addr));
  for (int round = 0; round < 100; round++) {
    hal_addr_t again = block_of(1000);
    at = seen(again);
    for (hal_size_t i = 0; i < 1000; i++) { /* the device may have stored there: no byte is undefined */
      sum += at[i];
    }
    if (sum == 1) {
      puts("one");
    }
    must(zcmem_mem_pin(hal, again));
    must(zcmem_mem_free_deferred(hal, again));
    at[999] = 1; /* until the last use ends */
    must(zcmem_mem_unpin(hal, again));
  }
}

int main(int argc, char **argv) {
  const char *what = argc == 2 ? argv[1] : "";
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .flags = ZCMEM_HAL_MAGAZINES};
  memory = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags =
                                                 ZCMEM_REGION_COHERENT | ZCMEM_REGION_TRACKED | ZCMEM_REGION_POISON,
                                             .base = BASE,
                                             .size = REGION,
                                             .max_blocks = 64,
                                             .host = memory,
                                             .red_zone = 16,
                                             .quarantine = 4096};
  must(memory == MAP_FAILED ? ZCMEM_ENOMEM : ZCMEM_OK);
  must(zcmem_hal_create(&config, &region, 1, &hal));
  hal_addr_t addr = block_of(BYTES);
  volatile unsigned char *at = seen(addr);
  if (strcmp(what, "right") == 0) {
    all_right(addr);
  } else if (strcmp(what, "store-behind") == 0) {
    at[BYTES] = 1;
  } else if (strcmp(what, "load-behind") == 0) {
    return at[BYTES] == 77;
  } else if (strcmp(what, "store-before") == 0) {
    at[-1] = 1;
  } else if (strcmp(what, "store-after-free") == 0) {
    must(zcmem_mem_free(hal, addr));
    at[50] = 1;
  } else if (strcmp(what, "load-after-free") == 0) {
    must(zcmem_mem_free(hal, addr));
    return at[50] == 77;
  } else if (strcmp(what, "store-after-shrink") == 0) {
    must(zcmem_mem_resize(hal, addr, 10));
    at[10] = 1;
  } else if (strcmp(what, "store-after-last-use") == 0) {
    must(zcmem_mem_pin(hal, addr));
    must(zcmem_mem_free_deferred(hal, addr));
    must(zcmem_mem_unpin(hal, addr));
    at[0] = 1;
  } else {
    fputs("usage: track_stores right|store-behind|load-behind|store-before|store-after-free|load-after-free|"
          "store-after-shrink|store-after-last-use\n",
          stderr);
    return 2;
  }
  (void)zcmem_hal_destroy(hal);
  memset(memory, 1, REGION); /* it is the owner's again */
  puts("done");
  return 0;
}
