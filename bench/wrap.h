/* SPDX-License-Identifier: MIT */
/* Allocators around an allocator: one that locks it, one that checks its answers. */
#ifndef ZCMEM_BENCH_WRAP_H
#define ZCMEM_BENCH_WRAP_H

#include "overlap.h"
#include "peer.h"

#include <pthread.h>

/* The calls of these two; create and destroy are not to be called, since `self` is one of the structs below. */
extern const struct bench_peer bench_peer_locked;
extern const struct bench_peer bench_peer_checked;

/* A mutex around an allocator that knows no threads. */
struct bench_locked {
  const struct bench_peer *inner;
  void *self;
  pthread_mutex_t mutex;
};

/* An allocator of which every answer is checked: aligned, and no overlap with what is live. Thread-safe if it is. */
struct bench_checked {
  const struct bench_peer *inner;
  void *self;
  uint32_t alignment; /* that it has to keep, and that sizes are rounded to */
  pthread_mutex_t mutex;
  struct bench_overlap set;
  const char *what; /* the first thing found wrong, or NULL */
};

#endif
