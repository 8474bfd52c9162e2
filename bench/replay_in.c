/* SPDX-License-Identifier: MIT */
#include "replay_in.h"

#include "commands.h"
#include "report.h"

#include <inttypes.h>
#include <stdlib.h>

#define LINE 64u

bool bench_heap_open(const struct bench_trace *trace, uint64_t quantum, uint64_t quanta, struct bench_heap *made) {
  const struct zcmem_heap_config config = {
      .base = BENCH_REGION_BASE,
      .size = quanta * quantum,
      .quantum = quantum,
      .max_blocks = trace->peak_blocks,
      .flags = ZCMEM_HEAP_ZEROED,
  };
  size_t bytes = zcmem_heap_bytes(&config);
  char *memory = bytes ? calloc(1, bytes + LINE) : NULL;
  *made = (struct bench_heap){.memory = memory};
  void *image = memory ? memory + (LINE - (uintptr_t)memory % LINE) % LINE : NULL;
  enum zcmem_status status = !bytes    ? ZCMEM_EINVAL
                             : !memory ? ZCMEM_ENOMEM
                                       : zcmem_heap_init(image, bytes, &config, &made->heap);
  if (status != ZCMEM_OK) {
    bench_error("no heap of %" PRIu64 " quanta of %" PRIu64 " bytes: %s", quanta, quantum, zcmem_status_string(status));
    bench_heap_close(made);
  }
  return status == ZCMEM_OK;
}

void bench_heap_close(struct bench_heap *heap) {
  free(heap->memory);
  *heap = (struct bench_heap){.memory = NULL};
}

enum bench_replay_result bench_replay_in(const struct bench_trace *trace, uint64_t quantum, uint64_t quanta) {
  struct bench_heap heap;
  hal_addr_t *addrs = malloc(((size_t)trace->block_count + 1) * sizeof *addrs);
  if (!addrs || !bench_heap_open(trace, quantum, quanta, &heap)) {
    free(addrs);
    return BENCH_REPLAY_IMPOSSIBLE;
  }
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t i = 0; i < trace->event_count && status == ZCMEM_OK; i++) {
    uint32_t block = trace->events[i] >> 1;
    status = trace->events[i] & BENCH_EVENT_FREE ? zcmem_heap_free(heap.heap, addrs[block])
                                                 : zcmem_heap_alloc(heap.heap, trace->sizes[block], 1, &addrs[block]);
  }
  bench_heap_close(&heap);
  free(addrs);
  if (status == ZCMEM_OK) {
    return BENCH_REPLAY_DONE;
  }
  if (status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) {
    return status == ZCMEM_EFRAG ? BENCH_REPLAY_FRAGMENTED : BENCH_REPLAY_FULL;
  }
  bench_error("replay: %s", zcmem_status_string(status));
  return BENCH_REPLAY_IMPOSSIBLE;
}
