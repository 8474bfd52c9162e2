/* SPDX-License-Identifier: MIT */
/*
 * L0. The only place for compiler builtins and for tricks with bits. Words are 32 bits wide, so that a 32-bit target
 * needs no helper function of its compiler's run-time library.
 */
#ifndef ZCMEM_SRC_BITS_H
#define ZCMEM_SRC_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * ZCMEM__INLINE: accessors. ZCMEM__HOT: the steps of an allocation and a free, one copy for each caller where speed
 * counts, one for all where size does. ZCMEM__UNROLL: in front of a short loop of theirs.
 */
#if defined(__GNUC__)
#define ZCMEM__LIKELY(x) __builtin_expect(!!(x), 1)
#define ZCMEM__UNLIKELY(x) __builtin_expect(!!(x), 0)
#define ZCMEM__NOINLINE __attribute__((noinline))
#else
#define ZCMEM__LIKELY(x) (x)
#define ZCMEM__UNLIKELY(x) (x)
#define ZCMEM__NOINLINE
#endif

#if defined(__GNUC__) && defined(__OPTIMIZE_SIZE__)
#define ZCMEM__INLINE static inline
#define ZCMEM__HOT __attribute__((noinline, unused)) static
#elif defined(__GNUC__)
#define ZCMEM__INLINE static inline __attribute__((always_inline))
#define ZCMEM__HOT static inline __attribute__((always_inline))
#else
#define ZCMEM__INLINE static inline
#define ZCMEM__HOT static inline
#endif

#if defined(__OPTIMIZE_SIZE__) || !defined(__GNUC__)
#define ZCMEM__UNROLL
#elif defined(__clang__)
#define ZCMEM__UNROLL _Pragma("clang loop unroll(full)")
#else
#define ZCMEM__UNROLL _Pragma("GCC unroll 8")
#endif

/* A sanitizer cannot see what assembly stores. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ZCMEM__SANITIZED
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define ZCMEM__SANITIZED
#endif
#endif

/*
 * Words that a look-up reads without the lock while another thread changes them (index.h): each is loaded and stored
 * whole, and in no order; whether what was read belongs together is for the region's version to tell (region.h).
 * A 64-bit word may be torn where the machine has none.
 */
#if defined(__GNUC__) && __GCC_ATOMIC_INT_LOCK_FREE == 2
#define ZCMEM__GET(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define ZCMEM__PUT(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#else
#define ZCMEM__GET(place) (*(const volatile uint32_t *)&(place))
#define ZCMEM__PUT(place, value) (void)(*(volatile uint32_t *)&(place) = (value))
#endif
/*
 * The compiler moves no store from before this to behind it, or the other way round; no instruction. That is all it
 * takes against a process that is killed (src/DESIGN.md, 17): what it leaves behind are its stores up to some
 * instruction. Without the builtin ZCMEM__PUT is volatile, and in order anyway.
 */
#if defined(__GNUC__)
#define ZCMEM__ORDER() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#else
#define ZCMEM__ORDER() ((void)0)
#endif
/*
 * Stores the word after all that was stored before: one by which a thread that takes no lock knows a block. On hosts
 * whose words are too small for that (magazine.h) there are no such threads.
 */
#if defined(__GNUC__) && __GCC_ATOMIC_INT_LOCK_FREE == 2 && UINTPTR_MAX > UINT32_MAX
#define ZCMEM__PUT_LAST(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
#else
#define ZCMEM__PUT_LAST(place, value) (ZCMEM__ORDER(), ZCMEM__PUT(place, value))
#endif
/*
 * Loads the word before all that is loaded next; and what is loaded next is loaded after all before. For words of one
 * block that change while the region's version does not.
 */
#if defined(__GNUC__) && __GCC_ATOMIC_INT_LOCK_FREE == 2 && UINTPTR_MAX > UINT32_MAX
#define ZCMEM__GET_FIRST(place) __atomic_load_n(&(place), __ATOMIC_ACQUIRE)
#define ZCMEM__GET_NEXT() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#else
#define ZCMEM__GET_FIRST(place) ZCMEM__GET(place)
#define ZCMEM__GET_NEXT() ((void)0)
#endif
#if defined(__GNUC__) && __GCC_ATOMIC_POINTER_LOCK_FREE == 2
#define ZCMEM__GET_POINTER(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define ZCMEM__PUT_POINTER(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#else
#define ZCMEM__GET_POINTER(place) (place)
#define ZCMEM__PUT_POINTER(place, value) (void)((place) = (value))
#endif
#if defined(__GNUC__) && __GCC_ATOMIC_POINTER_LOCK_FREE == 2 && UINTPTR_MAX > UINT32_MAX
#define ZCMEM__GET64(place) __atomic_load_n(&(place), __ATOMIC_RELAXED)
#define ZCMEM__PUT64(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELAXED)
#else
#define ZCMEM__GET64(place) (*(const volatile uint64_t *)&(place))
#define ZCMEM__PUT64(place, value) (void)(*(volatile uint64_t *)&(place) = (value))
#endif

/* Compare-and-swap of a word that other threads change as well; *now is what it was expected to be, or is. */
static inline bool zcmem__bits_swap(uint32_t *word, uint32_t *now, uint32_t wanted) {
#if defined(__GNUC__) && __GCC_ATOMIC_INT_LOCK_FREE == 2
  return __atomic_compare_exchange_n(word, now, wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
#else
  *now = *word; /* no such threads here */
  *word = wanted;
  return true;
#endif
}

/* Where two words side by side can be swapped as one, so that no other thread, and no death, comes between them. */
#if defined(__GNUC__) && UINTPTR_MAX > UINT32_MAX
#define ZCMEM__PAIRS
#endif

/* The same for two words. Without ZCMEM__PAIRS who dies may leave the first one alone changed. */
static inline bool zcmem__bits_swap_pair(void *pair, const uint32_t now[2], const uint32_t wanted[2]) {
#ifdef ZCMEM__PAIRS
  uint64_t before, after;
  __builtin_memcpy(&before, now, sizeof before);
  __builtin_memcpy(&after, wanted, sizeof after);
  return __atomic_compare_exchange_n((uint64_t *)pair, &before, after, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
#else
  (void)now; /* no such threads here */
  ZCMEM__PUT(((uint32_t *)pair)[0], wanted[0]);
  ZCMEM__ORDER();
  ZCMEM__PUT(((uint32_t *)pair)[1], wanted[1]);
  return true;
#endif
}

/* Index of the highest set bit; x is not 0. */
static inline uint32_t zcmem__bits_high(uint32_t x) {
#if defined(__GNUC__)
  return 31u ^ (uint32_t)__builtin_clz(x);
#else
  uint32_t n = 0;
  for (uint32_t step = 16; step != 0; step >>= 1) {
    if ((x >> step) != 0) {
      x >>= step;
      n += step;
    }
  }
  return n;
#endif
}

/* Index of the lowest set bit; x is not 0. */
static inline uint32_t zcmem__bits_low(uint32_t x) {
#if defined(__GNUC__)
  return (uint32_t)__builtin_ctz(x);
#else
  return zcmem__bits_high(x & (0u - x));
#endif
}

static inline bool zcmem__bits_power_of_two(uint64_t x) {
  return x != 0 && (x & (x - 1)) == 0;
}

static inline uint64_t zcmem__bits_min(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* a where the condition holds, else b; for conditions that cannot be predicted: never a branch. */
static inline uint32_t zcmem__bits_select(bool condition, uint32_t a, uint32_t b) {
  return b ^ ((a ^ b) & (0u - (uint32_t)condition));
}

static inline void *zcmem__bits_select_pointer(bool condition, void *a, void *b) {
  return (void *)((uintptr_t)b ^ (((uintptr_t)a ^ (uintptr_t)b) & ((uintptr_t)0 - (uintptr_t)condition)));
}

/*
 * The same for a step of a search: where `way` is `size` or more, *left becomes what is more of it, and *at `next`.
 * Compilers would rather guess.
 */
static inline void zcmem__bits_pass(uint32_t way, uint32_t size, const void *next, uint32_t *left, const void **at) {
#if defined(__GNUC__) && defined(__x86_64__) && UINTPTR_MAX > UINT32_MAX
  uint32_t rest = *left;
  const void *now = *at;
  __asm__("subl %[size], %[way]\n\tcmovael %[way], %[rest]\n\tcmovaeq %[next], %[now]"
          : [way] "+&r"(way), [rest] "+&r"(rest), [now] "+&r"(now)
          : [size] "r"(size), [next] "r"(next)
          : "cc");
  *left = rest;
  *at = now;
#else
  bool passed = way >= size;
  uintptr_t other = (uintptr_t)next ^ (uintptr_t)*at;
  *left = zcmem__bits_select(passed, way - size, *left);
  *at = (const void *)((uintptr_t)*at ^ (other & ((uintptr_t)0 - (uintptr_t)passed)));
#endif
}

/* Bit n < 64 of a 64-bit word. */
static inline uint64_t zcmem__bits_one(uint32_t n) {
  return (uint64_t)1 << n;
}

/* Index of the highest set bit; x is not 0. */
static inline uint32_t zcmem__bits_log2(uint64_t x) {
  uint32_t high = (uint32_t)(x >> 32);
  return high != 0 ? 32u + zcmem__bits_high(high) : zcmem__bits_high((uint32_t)x);
}

/* Index of the lowest set bit; x is not 0. */
static inline uint32_t zcmem__bits_low64(uint64_t x) {
#if defined(__GNUC__) && UINTPTR_MAX > UINT32_MAX
  return (uint32_t)__builtin_ctzll(x);
#else
  uint32_t low = (uint32_t)x;
  return low != 0 ? zcmem__bits_low(low) : 32u + zcmem__bits_low((uint32_t)(x >> 32));
#endif
}

/*
 * Stores the eight bytes of `word` over and over again, where the machine has an instruction for it that is as fast as
 * memset. How many bytes are done: all of them but less than eight, or none.
 */
static inline size_t zcmem__bits_fill(void *to, uint64_t word, size_t bytes) {
#if defined(__GNUC__) && defined(__x86_64__) && !defined(ZCMEM__SANITIZED)
  size_t words = bytes / sizeof word, left = words;
  __asm__ volatile("rep stosq" : "+D"(to), "+c"(left) : "a"(word) : "memory");
  return words * sizeof word;
#else
  (void)to;
  (void)word;
  (void)bytes;
  return 0;
#endif
}

/* In a loop that waits for another processor. */
static inline void zcmem__bits_pause(void) {
#if defined(__GNUC__) && (defined(__x86_64__) || defined(__i386__))
  __builtin_ia32_pause();
#endif
}

/* memset and memcmp without the header, which a freestanding compiler need not have. */
static inline void zcmem__bits_clear(void *at, size_t bytes) {
  uint64_t *word = at;
  for (size_t i = 0; i < bytes / sizeof *word; i++) {
    word[i] = 0;
  }
}

static inline bool zcmem__bits_equal(const void *a, const void *b, size_t bytes) {
  const unsigned char *x = a, *y = b;
  size_t i = 0;
  while (i < bytes && x[i] == y[i]) {
    i++;
  }
  return i == bytes;
}

#endif
