/* SPDX-License-Identifier: MIT */
/* A trace in a bare heap of a given size. */
#ifndef ZCMEM_BENCH_REPLAY_IN_H
#define ZCMEM_BENCH_REPLAY_IN_H

#include "trace.h"

#include <zcmem/heap.h>

/* A heap in memory of its own, for `trace`. */
struct bench_heap {
  struct zcmem_heap *heap;
  void *memory;
};

/* Makes the heap, of `quanta` quanta; false: a message was printed. Its memory is to be freed. */
bool bench_heap_open(const struct bench_trace *trace, uint64_t quantum, uint64_t quanta, struct bench_heap *made);
void bench_heap_close(struct bench_heap *heap);

enum bench_replay_result {
  BENCH_REPLAY_DONE,
  BENCH_REPLAY_FULL,       /* an allocation was refused: not enough bytes were free */
  BENCH_REPLAY_FRAGMENTED, /* or enough, but in pieces */
  BENCH_REPLAY_IMPOSSIBLE  /* a message was printed */
};

/* Replays the whole trace, up to the first allocation that is refused. */
enum bench_replay_result bench_replay_in(const struct bench_trace *trace, uint64_t quantum, uint64_t quanta);

#endif
