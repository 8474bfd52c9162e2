/* SPDX-License-Identifier: MIT */
#include "steps.h"

#include <inttypes.h>

#include <zcmem/heap.h>

#include "assert.h"
#include "heap_impl.h"
#include "unit.h"

uint64_t zcmem_steps;

static const struct {
  const char *name;
  uint64_t bound;
} published[STEPS_CALLS] = {
    [STEPS_ALLOC] = {"alloc", ZCMEM_STEPS_ALLOC},
    [STEPS_ALLOC_ALIGNED] = {"alloc, aligned", ZCMEM_STEPS_ALLOC_ALIGNED},
    [STEPS_FREE] = {"free", ZCMEM_STEPS_FREE},
    [STEPS_FREE_DEFERRED] = {"free_deferred", ZCMEM_STEPS_FREE},
    [STEPS_RESIZE] = {"resize", ZCMEM_STEPS_RESIZE},
    [STEPS_RESERVE] = {"reserve", ZCMEM_STEPS_RESERVE},
    [STEPS_FIND] = {"find", ZCMEM_STEPS_FIND},
    [STEPS_PIN] = {"pin", ZCMEM_STEPS_USE},
    [STEPS_UNPIN] = {"unpin", ZCMEM_STEPS_UNUSE},
    [STEPS_BEGIN_TRANSFER] = {"begin_transfer", ZCMEM_STEPS_USE},
    [STEPS_END_TRANSFER] = {"end_transfer", ZCMEM_STEPS_UNUSE},
    [STEPS_SET_TAG] = {"set_tag", ZCMEM_STEPS_SET_TAG},
    [STEPS_LARGEST] = {"largest", ZCMEM_STEPS_LARGEST},
    [STEPS_GET_INFO] = {"get_info", ZCMEM_STEPS_GET_INFO},
};

static struct { uint64_t calls, most, last; } seen[STEPS_CALLS];

uint64_t steps_most(enum steps_call call) {
  return seen[call].most;
}
uint64_t steps_last(enum steps_call call) {
  return seen[call].last;
}
uint64_t steps_calls(enum steps_call call) {
  return seen[call].calls;
}

static void report(void) {
  fprintf(stderr, "%-16s %12s %6s %6s\n", "steps", "calls", "most", "bound");
  for (unsigned call = 0; call < STEPS_CALLS; call++) {
    if (seen[call].calls > 0) {
      fprintf(stderr, "%-16s %12" PRIu64 " %6" PRIu64 " %6" PRIu64 "\n", published[call].name, seen[call].calls,
              seen[call].most, published[call].bound);
    }
  }
}

static void count(enum steps_call call, uint64_t before) {
  static bool at_exit;
  uint64_t steps = zcmem_steps - before;
  if (!at_exit) {
    at_exit = true;
    (void)atexit(report);
  }
  seen[call].calls++;
  seen[call].last = steps;
  if (steps > seen[call].most) {
    seen[call].most = steps;
  }
  if (steps > published[call].bound) {
    print_error("%s: %" PRIu64 " steps; the published bound is %" PRIu64 "\n", published[call].name, steps,
                published[call].bound);
    fail();
  }
}

/* __real_<call> is the library's; __wrap_<call> is what everybody else's calls arrive at. The names are the linker's.
 */
#define WRAP(result, name, parameters, arguments, call)                                                                \
  result __real_##name parameters;                                                                                     \
  result __wrap_##name parameters;                                                                                     \
  result __wrap_##name parameters {                                                                                    \
    const uint64_t before = zcmem_steps;                                                                               \
    const result answer = __real_##name arguments;                                                                     \
    count((call), before);                                                                                             \
    return answer;                                                                                                     \
  }

typedef enum zcmem_status status;

WRAP(status, zcmem_heap_alloc, (struct zcmem_heap * heap, hal_size_t size, hal_size_t align, hal_addr_t *addr),
     (heap, size, align, addr),
     heap != NULL && align >> heap->at.quantum_shift > 1u ? STEPS_ALLOC_ALIGNED : STEPS_ALLOC)
WRAP(status, zcmem_heap_free, (struct zcmem_heap * heap, hal_addr_t addr), (heap, addr), STEPS_FREE)
WRAP(status, zcmem_heap_free_deferred, (struct zcmem_heap * heap, hal_addr_t addr, bool *deferred),
     (heap, addr, deferred), STEPS_FREE_DEFERRED)
WRAP(status, zcmem_heap_resize, (struct zcmem_heap * heap, hal_addr_t addr, hal_size_t size), (heap, addr, size),
     STEPS_RESIZE)
WRAP(status, zcmem_heap_reserve, (struct zcmem_heap * heap, hal_addr_t at, hal_size_t size), (heap, at, size),
     STEPS_RESERVE)
WRAP(status, zcmem_heap_find, (const struct zcmem_heap *heap, hal_addr_t any, struct zcmem_block_info *info),
     (heap, any, info), STEPS_FIND)
WRAP(status, zcmem_heap_pin, (struct zcmem_heap * heap, hal_addr_t any), (heap, any), STEPS_PIN)
WRAP(status, zcmem_heap_unpin, (struct zcmem_heap * heap, hal_addr_t any, bool *freed), (heap, any, freed), STEPS_UNPIN)
WRAP(status, zcmem_heap_begin_transfer,
     (struct zcmem_heap * heap, hal_addr_t any, hal_size_t size, struct zcmem_block_info *info),
     (heap, any, size, info), STEPS_BEGIN_TRANSFER)
WRAP(status, zcmem_heap_end_transfer, (struct zcmem_heap * heap, hal_addr_t any, bool *freed), (heap, any, freed),
     STEPS_END_TRANSFER)
WRAP(status, zcmem_heap_set_tag, (struct zcmem_heap * heap, hal_addr_t addr, uint32_t tag), (heap, addr, tag),
     STEPS_SET_TAG)
WRAP(status, zcmem_heap_get_info, (const struct zcmem_heap *heap, struct zcmem_heap_info *info), (heap, info),
     STEPS_GET_INFO)
WRAP(hal_size_t, zcmem_heap_largest, (const struct zcmem_heap *heap), (heap), STEPS_LARGEST)
