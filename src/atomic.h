/* SPDX-License-Identifier: MIT */
/*
 * The only atomics: words that one side publishes and others read. Everything else is guarded by a lock.
 */
#ifndef ZCMEM_ATOMIC_H
#define ZCMEM_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
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

/* The same, before words are changed that others read: who sees one of these changed sees `value`, or a later one. */
static inline void zcmem__atomic_announce(struct zcmem__atomic_u32 *word, uint32_t value) {
  atomic_store_explicit(&word->value, value, memory_order_release);
  atomic_thread_fence(memory_order_release);
}

/*
 * The word as the version of data that one thread changes, under a lock, while others read them without it (a seqlock;
 * the data's words are accessed with ZCMEM__GET and ZCMEM__PUT, bits.h): odd while they are changed. A reader whose
 * first version was even and is still there at the end has seen all of one state.
 */
struct zcmem__version {
  struct zcmem__atomic_u32 *at; /* beside what it is the version of: in memory that processes share, where they do */
};

static inline uint32_t zcmem__atomic_version(const struct zcmem__version *version) {
  return zcmem__atomic_acquire(version->at);
}

static inline void zcmem__atomic_change(struct zcmem__version *version) {
  uint32_t now = atomic_load_explicit(&version->at->value, memory_order_relaxed);
  atomic_store_explicit(&version->at->value, now + 1u, memory_order_relaxed);
  atomic_thread_fence(memory_order_release);
}

static inline void zcmem__atomic_changed(struct zcmem__version *version) {
  uint32_t now = atomic_load_explicit(&version->at->value, memory_order_relaxed);
  atomic_store_explicit(&version->at->value, now + 1u, memory_order_release);
}

/* Whether the word is still `since`, which was acquired before all that was loaded meanwhile. */
static inline bool zcmem__atomic_same(const struct zcmem__atomic_u32 *word, uint32_t since) {
  atomic_thread_fence(memory_order_acquire);
  return atomic_load_explicit(&word->value, memory_order_relaxed) == since;
}

static inline bool zcmem__atomic_unchanged(const struct zcmem__version *version, uint32_t since) {
  return (since & 1u) == 0 && zcmem__atomic_same(version->at, since);
}

/*
 * The same for one comparison: the version without the bit that makes it odd, which an odd one never equals, nor any
 * later one.
 */
static inline uint32_t zcmem__atomic_version_even(const struct zcmem__version *version) {
  return zcmem__atomic_acquire(version->at) & ~UINT32_C(1);
}

static inline bool zcmem__atomic_still(const struct zcmem__version *version, uint32_t even) {
  return zcmem__atomic_same(version->at, even);
}

/* Counts up, or down: what was counted before. Down is a publish. */
static inline uint32_t zcmem__atomic_count_up(struct zcmem__atomic_u32 *word) {
  return atomic_fetch_add_explicit(&word->value, 1, memory_order_relaxed);
}

static inline uint32_t zcmem__atomic_count_down(struct zcmem__atomic_u32 *word) {
  return atomic_fetch_sub_explicit(&word->value, 1, memory_order_release);
}

/* For memory that no other thread knows yet. */
static inline void zcmem__atomic_init(struct zcmem__atomic_u32 *word, uint32_t value) {
  atomic_init(&word->value, value);
}

/* A word that holds a pointer, of data or of a function. Zero where it lies in static memory. */
struct zcmem__atomic_word {
  _Atomic uintptr_t value;
};

static inline uintptr_t zcmem__atomic_word_acquire(const struct zcmem__atomic_word *word) {
  return atomic_load_explicit(&word->value, memory_order_acquire);
}

static inline void zcmem__atomic_word_publish(struct zcmem__atomic_word *word, uintptr_t value) {
  atomic_store_explicit(&word->value, value, memory_order_release);
}

/* Publishes the value iff the word is `expected`; of several threads that expect the same one succeeds. */
static inline bool zcmem__atomic_word_replace(struct zcmem__atomic_word *word, uintptr_t expected, uintptr_t value) {
  return atomic_compare_exchange_strong_explicit(&word->value, &expected, value, memory_order_acq_rel,
                                                 memory_order_acquire);
}

/*
 * Two words that belong together. The version is odd while they are being set. A reader that saw one word of a later
 * set (acquire) sees that set's version, too, and tries again: so it never returns words of different sets.
 */
struct zcmem__atomic_pair {
  struct zcmem__atomic_u32 version;
  struct zcmem__atomic_word first, second;
};

static inline void zcmem__atomic_pair_set(struct zcmem__atomic_pair *pair, uintptr_t first, uintptr_t second) {
  uint32_t version;
  do { /* an odd version is never the expected one: one thread sets at a time */
    version = zcmem__atomic_acquire(&pair->version) & ~UINT32_C(1);
  } while (!atomic_compare_exchange_strong_explicit(&pair->version.value, &version, version + 1, memory_order_acq_rel,
                                                    memory_order_relaxed));
  zcmem__atomic_word_publish(&pair->first, first);
  zcmem__atomic_word_publish(&pair->second, second);
  zcmem__atomic_publish(&pair->version, version + 2);
}

static inline void zcmem__atomic_pair_get(const struct zcmem__atomic_pair *pair, uintptr_t *first, uintptr_t *second) {
  uint32_t version;
  do {
    version = zcmem__atomic_acquire(&pair->version);
    *first = zcmem__atomic_word_acquire(&pair->first);
    *second = zcmem__atomic_word_acquire(&pair->second);
  } while (version % 2 != 0 || zcmem__atomic_acquire(&pair->version) != version);
}

#endif
