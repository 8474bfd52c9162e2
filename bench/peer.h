/* SPDX-License-Identifier: MIT */
/*
 * The interface between zcmem-bench and an allocator that it measures. zcmem's facade and bare heap are two; others
 * come as shared objects that live outside of this project (zcmem-bench --peer FILE.so) and export ZCMEM_BENCH_PEERS.
 */
#ifndef ZCMEM_BENCH_PEER_H
#define ZCMEM_BENCH_PEER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* May be called from several threads at once. Without it the bench puts a mutex around the allocator. */
#define BENCH_PEER_THREAD_SAFE 0x1u
/* Manages host memory: knows no region, has a flat alignment of 16 bytes, and its blocks are real. */
#define BENCH_PEER_HOST 0x2u

struct bench_peer {
  const char *name;
  uint32_t flags;
  /* An allocator over the `bytes` bytes of device memory from `base` on, for at most max_live blocks that are freed by
     address alone. One that manages memory of its own may ignore base. NULL: not possible. */
  void *(*create)(uint64_t bytes, uint64_t base, uint32_t max_live);
  void (*destroy)(void *self);
  /* A block of `size` bytes aligned to `align`, a power of two (the bench asks for 128). False: no room. */
  bool (*alloc)(void *self, uint64_t size, uint64_t align, uint64_t *addr);
  void (*free)(void *self, uint64_t addr);
};

#define BENCH_PEER_VERSION 2u

struct bench_peer_list {
  uint32_t version; /* BENCH_PEER_VERSION */
  uint32_t count;
  const struct bench_peer *peers;
};

/* The symbol that a shared object exports: `const struct bench_peer_list zcmem_bench_peers`. */
#define ZCMEM_BENCH_PEERS "zcmem_bench_peers"

#endif
