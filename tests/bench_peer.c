/* SPDX-License-Identifier: MIT */
/*
 * Allocators for zcmem-bench --peer: "slots" is right (blocks of 64 KiB from a stack). What is wrong with the others
 * --check has to notice: "same" always answers one address, "odd" misaligned ones, and "alone", which says that threads
 * may share it, gives every thread the same addresses.
 */
#include "../bench/peer.h"

#include <stdlib.h>

#define SLOT_BYTES 65536u

struct slots {
  uint64_t count;
  uint64_t next[]; /* free slots, count of them */
};

static void *slots_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  (void)base;
  (void)max_live;
  uint64_t count = bytes / SLOT_BYTES;
  struct slots *self = malloc(sizeof *self + (size_t)count * sizeof self->next[0]);
  if (self) {
    self->count = count;
    for (uint64_t i = 0; i < count; i++) {
      self->next[i] = i;
    }
  }
  return self;
}

static bool slots_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  struct slots *self = memory;
  (void)align;
  if (self->count == 0 || size > SLOT_BYTES) {
    return false;
  }
  *addr = self->next[--self->count] * SLOT_BYTES;
  return true;
}

static void slots_free(void *memory, uint64_t addr) {
  struct slots *self = memory;
  self->next[self->count++] = addr / SLOT_BYTES;
}

static bool same_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  (void)align;
  (void)memory;
  (void)size;
  *addr = 128;
  return true;
}

static bool odd_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  bool good = slots_alloc(memory, size, align, addr);
  *addr += 64;
  return good;
}

static _Thread_local uint64_t alone_next;

static bool alone_alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  (void)memory;
  (void)size;
  (void)align;
  *addr = ++alone_next * SLOT_BYTES;
  return true;
}

static void nothing_freed(void *memory, uint64_t addr) {
  (void)memory;
  (void)addr;
}

static const struct bench_peer peers[] = {
    {"slots", 0, slots_create, free, slots_alloc, slots_free},
    {"same", 0, slots_create, free, same_alloc, nothing_freed},
    {"alone", BENCH_PEER_THREAD_SAFE, slots_create, free, alone_alloc, nothing_freed},
    {"odd", 0, slots_create, free, odd_alloc, slots_free},
};

extern const struct bench_peer_list zcmem_bench_peers;
const struct bench_peer_list zcmem_bench_peers = {BENCH_PEER_VERSION, sizeof peers / sizeof peers[0], peers};
