/* SPDX-License-Identifier: MIT */
/*
 * The run-time that the compiler's instrumentation for ThreadSanitizer calls: each access goes to the explorer first.
 * The atomic ones are then done here; there is but one thread, so that they need not be atomic.
 */
#include "explore_impl.h"
#include <string.h>

/* The names are the compiler's. */
#pragma GCC diagnostic ignored "-Wmissing-prototypes"

/* As in the compiler's calls. */
enum { RELAXED, CONSUME, ACQUIRE, RELEASE, ACQ_REL, SEQ_CST };

static bool acquires(int order) {
  return order != RELAXED && order != RELEASE;
}

static bool releases(int order) {
  return order >= RELEASE;
}

#define FROM __builtin_return_address(0)

static void plain(void *at, size_t size, bool writes, const void *from) {
  if (explore_current != EXPLORE_MAIN) {
    explore_before(&(struct explore_access){
        .at = at, .size = size, .reads = !writes, .writes = writes, .plain = true, .from = from});
  }
}

#define PLAIN(size)                                                                                                    \
  void __tsan_read##size(void *at) {                                                                                   \
    plain(at, size, false, FROM);                                                                                      \
  }                                                                                                                    \
  void __tsan_write##size(void *at) {                                                                                  \
    plain(at, size, true, FROM);                                                                                       \
  }                                                                                                                    \
  void __tsan_unaligned_read##size(void *at) {                                                                         \
    plain(at, size, false, FROM);                                                                                      \
  }                                                                                                                    \
  void __tsan_unaligned_write##size(void *at) {                                                                        \
    plain(at, size, true, FROM);                                                                                       \
  }

PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_read_range(void *at, size_t size) {
  plain(at, size, false, FROM);
}

void __tsan_write_range(void *at, size_t size) {
  for (size_t done = 0; done < size; done += 16) { /* what is saved is saved in pieces */
    plain((char *)at + done, size - done < 16 ? size - done : 16, true, FROM);
  }
}

/* The bytes that a transfer moves are nobody's business here. */
void *__tsan_memcpy(void *to, const void *from, size_t size) {
  return memcpy(to, from, size);
}

void *__tsan_memmove(void *to, const void *from, size_t size) {
  return memmove(to, from, size);
}

void *__tsan_memset(void *to, int byte, size_t size) {
  return memset(to, byte, size);
}

void __tsan_init(void) {}

void __tsan_func_entry(void *from) {
  (void)from;
}

void __tsan_func_exit(void) {}

void __tsan_atomic_thread_fence(int order) {
  if (explore_current != EXPLORE_MAIN) {
    explore_race_fence(explore_current, acquires(order), releases(order));
    if (order == SEQ_CST) {
      explore_flush(explore_current);
    }
  }
}

void __tsan_atomic_signal_fence(int order) {
  (void)order;
}

/* Before and after an atomic access. */
static struct explore_access begin(const volatile void *at, size_t size, bool reads, bool writes, int order,
                                   const void *from) {
  struct explore_access access = {.at = (void *)(uintptr_t)at,
                                  .size = size,
                                  .reads = reads,
                                  .writes = writes,
                                  .acquires = reads && acquires(order),
                                  .releases = writes && releases(order),
                                  .from = from};
  if (explore_current != EXPLORE_MAIN) {
    explore_before(&access);
  }
  return access;
}

static void end(const struct explore_access *access) {
  if (explore_current != EXPLORE_MAIN) {
    explore_race_follow(access, explore_current);
    if (access->writes) {
      explore_stored(access, NULL);
    }
  }
}

#define UPDATE(bits, name, type, result)                                                                               \
  type __tsan_atomic##bits##_##name(volatile type *at, type value, int order) {                                        \
    struct explore_access access = begin(at, sizeof *at, true, true, order, FROM);                                     \
    type was = *at;                                                                                                    \
    *at = (type)(result);                                                                                              \
    end(&access);                                                                                                      \
    return was;                                                                                                        \
  }

/* A swap that fails is a load. */
#define SWAP(bits, name, type)                                                                                         \
  int __tsan_atomic##bits##_##name(volatile type *at, type *expected, type wanted, int order, int order_if_not) {      \
    struct explore_access access = begin(at, sizeof *at, true, true, order, FROM);                                     \
    bool same = *at == *expected;                                                                                      \
    if (same) {                                                                                                        \
      *at = wanted;                                                                                                    \
    } else {                                                                                                           \
      *expected = *at;                                                                                                 \
      access.writes = false;                                                                                           \
      access.acquires = acquires(order_if_not);                                                                        \
    }                                                                                                                  \
    end(&access);                                                                                                      \
    return same;                                                                                                       \
  }

#define ATOMIC(bits, type)                                                                                             \
  type __tsan_atomic##bits##_load(const volatile type *at, int order) {                                                \
    struct explore_access access = begin(at, sizeof *at, true, false, order, FROM);                                    \
    type value = *at;                                                                                                  \
    end(&access);                                                                                                      \
    return value;                                                                                                      \
  }                                                                                                                    \
  void __tsan_atomic##bits##_store(volatile type *at, type value, int order) {                                         \
    struct explore_access access = begin(at, sizeof *at, false, true, order, FROM);                                    \
    type was = *at;                                                                                                    \
    *at = value;                                                                                                       \
    if (explore_current != EXPLORE_MAIN) {                                                                             \
      explore_race_follow(&access, explore_current);                                                                   \
      explore_stored(&access, &was);                                                                                   \
    }                                                                                                                  \
  }                                                                                                                    \
  UPDATE(bits, exchange, type, value)                                                                                  \
  UPDATE(bits, fetch_add, type, was + value)                                                                           \
  UPDATE(bits, fetch_sub, type, was - value)                                                                           \
  UPDATE(bits, fetch_and, type, was &value)                                                                            \
  UPDATE(bits, fetch_or, type, was | value)                                                                            \
  UPDATE(bits, fetch_xor, type, was ^ value)                                                                           \
  SWAP(bits, compare_exchange_strong, type)                                                                            \
  SWAP(bits, compare_exchange_weak, type)                                                                              \
  type __tsan_atomic##bits##_compare_exchange_val(volatile type *at, type expected, type wanted, int order,            \
                                                  int order_if_not) {                                                  \
    (void)__tsan_atomic##bits##_compare_exchange_strong(at, &expected, wanted, order, order_if_not);                   \
    return expected;                                                                                                   \
  }

ATOMIC(8, uint8_t)
ATOMIC(32, uint32_t)
ATOMIC(64, uint64_t)
