/* SPDX-License-Identifier: MIT */
/*
 * The only atomics: one 32-bit word that one side publishes and others read. Everything else is guarded by a lock.
 */
#ifndef ZCMEM_ATOMIC_H
#define ZCMEM_ATOMIC_H

#include <stdatomic.h>
#include <stdint.h>

struct zcmem__atomic_u32 {
  _Atomic uint32_t value;
};

/* Sees all that was stored before the matching publish. */
static inline uint32_t zcmem__atomic_acquire(const struct zcmem__atomic_u32 *word) {
  return atomic_load_explicit(&word->value, memory_order_acquire);
}

static inline void zcmem__atomic_publish(struct zcmem__atomic_u32 *word, uint32_t value) {
  atomic_store_explicit(&word->value, value, memory_order_release);
}

/* For memory that no other thread knows yet. */
static inline void zcmem__atomic_init(struct zcmem__atomic_u32 *word, uint32_t value) {
  atomic_init(&word->value, value);
}

#endif
