/* SPDX-License-Identifier: MIT */
#include "host_memory.h"
#include <stdlib.h>

#define ALIGN 64u

/*
 * calloc and not aligned_alloc with memset: calloc knows that fresh pages are zero and leaves them untouched, and most
 * of the image of a large region never gets used. What calloc gave stands in the word before the aligned memory.
 */
static void *allocate(void *ctx, size_t bytes) {
  (void)ctx;
  const size_t slack = ALIGN + sizeof(void *);
  if (bytes > SIZE_MAX - slack) {
    return NULL;
  }
  unsigned char *raw = calloc(1, bytes + slack);
  if (raw == NULL) {
    return NULL;
  }
  size_t skip = sizeof(void *);
  skip += (ALIGN - ((uintptr_t)raw + skip) % ALIGN) % ALIGN;
  void **memory = (void *)(raw + skip);
  memory[-1] = raw;
  return memory;
}

static void deallocate(void *ctx, void *memory, size_t bytes) {
  (void)ctx;
  (void)bytes;
  if (memory != NULL) {
    free(((void **)memory)[-1]);
  }
}

const struct zcmem_host_allocator zcmem__host_memory = {.alloc = allocate, .free = deallocate, .ctx = NULL};
