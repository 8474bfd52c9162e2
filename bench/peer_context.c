/* SPDX-License-Identifier: MIT */
/* zcmem's facade through a context, with no lock: as a program of one thread would use it. */
#include "peers.h"
#include "report.h"

#include <zcmem/context.h>

#include <inttypes.h>
#include <stdlib.h>

struct context_peer {
  struct zcmem_hal *hal;
  struct zcmem_context *context;
  void *memory;
};

static void close_context(void *memory) {
  struct context_peer *self = memory;
  (void)zcmem_hal_destroy(self->hal);
  free(self->memory);
  free(self);
}

static bool open_context(struct context_peer *self) {
  const struct zcmem_context_config config = {.hal = self->hal};
  const size_t align = 64;
  size_t bytes = (zcmem_context_bytes(&config) + align - 1) / align * align;
  self->memory = aligned_alloc(align, bytes);
  return self->memory != NULL && zcmem_context_init(self->memory, bytes, &config, &self->context) == ZCMEM_OK;
}

static void *create_context(uint64_t bytes, uint64_t base, uint32_t max_live) {
  struct context_peer *self = calloc(1, sizeof *self);
  if (self == NULL) {
    return NULL;
  }
  self->hal = bench_zcmem_hal(&zcmem_lock_none, ZCMEM_REGION_CONTEXTS, bytes, base, max_live);
  if (self->hal == NULL || !open_context(self)) {
    close_context(self);
    return NULL;
  }
  return self;
}

static bool context_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  const struct context_peer *self = memory;
  return zcmem_context_alloc(self->context, 0, size, align, addr) == ZCMEM_OK;
}

static void context_free(void *memory, uint64_t addr) {
  const struct context_peer *self = memory;
  enum zcmem_status status = zcmem_context_free(self->context, addr);
  if (status != ZCMEM_OK) {
    bench_error("zcmem: free of 0x%" PRIx64 ": %s", addr, zcmem_status_string(status));
    abort();
  }
}

const struct bench_peer bench_peer_context = {"zcmem", 0, create_context, close_context, context_alloc, context_free};
