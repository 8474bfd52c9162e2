/* SPDX-License-Identifier: MIT */
/* The allocators that `zcmem-bench heap` measures: zcmem's heap, those of shared objects, and helpers around them. */
#ifndef ZCMEM_BENCH_PEERS_H
#define ZCMEM_BENCH_PEERS_H

#include "overlap.h"
#include "peer.h"

#define BENCH_MAX_PEERS 32u

struct bench_peers {
  const struct bench_peer *peer[BENCH_MAX_PEERS];
  uint32_t count;
};

/* zcmem's heap. Always called "zcmem". */
extern const struct bench_peer bench_peer_zcmem;

/* No allocator: counts addresses up. What it takes is what the driver's loops cost. */
extern const struct bench_peer bench_peer_driver;

/* Appends those that a shared object exports; it stays loaded. False: a message was printed. */
bool bench_peers_load(struct bench_peers *peers, const char *path);

/* An allocator of which every answer is checked: aligned, and no overlap with what is live. */
struct bench_checked {
  const struct bench_peer *inner;
  void *self;
  struct bench_overlap set;
  const char *what; /* the first thing found wrong, or NULL */
};

/* Its create is not to be called: self is a struct bench_checked whose inner and self are set. */
extern const struct bench_peer bench_peer_checked;

#endif
