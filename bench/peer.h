/* SPDX-License-Identifier: MIT */
/*
 * The interface between zcmem-bench and an allocator that it measures. zcmem's own heap is one; others come as shared
 * objects that live outside of this project (zcmem-bench --peer FILE.so) and export ZCMEM_BENCH_PEERS.
 */
#ifndef ZCMEM_BENCH_PEER_H
#define ZCMEM_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bench_peer {
  const char *name;
  /* An allocator over `bytes` bytes of device memory for at most max_live blocks; 128-byte aligned blocks, freed by
     address alone. NULL: not possible. */
  void *(*create)(uint64_t bytes, uint32_t max_live);
  void (*destroy)(void *self);
  bool (*alloc)(void *self, uint64_t size, uint64_t *addr);
  void (*free)(void *self, uint64_t addr);
};

struct bench_peer_list {
  uint32_t version; /* 1 */
  uint32_t count;
  const struct bench_peer *peers;
};

/* The symbol that a shared object exports: `const struct bench_peer_list zcmem_bench_peers`. */
#define ZCMEM_BENCH_PEERS "zcmem_bench_peers"

#endif
