/* SPDX-License-Identifier: MIT */
#include "track.h"
#include <stdint.h>

#if defined(ZCMEM_TRACK) && defined(__has_include)
#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define MEMCHECK(request)                                                                                              \
  do {                                                                                                                 \
    request;                                                                                                           \
  } while (0)
#define MEMCHECK_RUNS (RUNNING_ON_VALGRIND != 0)
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN
#endif
#if defined(WITH_ASAN) && __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h>
#define ASAN_KNOWS(bytes, size) __asan_unpoison_memory_region((bytes), (size))
#define ASAN_FORGETS(bytes, size) __asan_poison_memory_region((bytes), (size))
#define ASAN_RUNS true
#endif
#endif

#ifndef MEMCHECK
#define MEMCHECK(request) ((void)0)
#define MEMCHECK_RUNS false
#endif
#ifndef ASAN_RUNS
#define ASAN_KNOWS(bytes, size) ((void)(bytes), (void)(size))
#define ASAN_FORGETS(bytes, size) ((void)(bytes), (void)(size))
#define ASAN_RUNS false
#endif

/* How far beside a block memcheck still says which block it is; it takes that for red zones, which need not be there.
 */
#define NEAR 16

bool zcmem__track_active(void) {
  return ASAN_RUNS || MEMCHECK_RUNS;
}

void zcmem__track_open(void *pool, size_t size) {
  MEMCHECK(VALGRIND_CREATE_MEMPOOL(pool, NEAR, 0));
  MEMCHECK((void)VALGRIND_MAKE_MEM_NOACCESS(pool, size));
  ASAN_FORGETS(pool, size);
}

void zcmem__track_close(void *pool, size_t size) {
  MEMCHECK(VALGRIND_DESTROY_MEMPOOL(pool));
  MEMCHECK((void)VALGRIND_MAKE_MEM_DEFINED(pool, size));
  ASAN_KNOWS(pool, size);
}

void zcmem__track_alloc(void *pool, void *block, size_t size) {
  (void)pool;
  MEMCHECK(VALGRIND_MEMPOOL_ALLOC(pool, block, size));
  MEMCHECK((void)VALGRIND_MAKE_MEM_DEFINED(block, size));
  ASAN_KNOWS(block, size);
}

void zcmem__track_free(void *pool, void *block, size_t size) {
  (void)pool;
  MEMCHECK(VALGRIND_MEMPOOL_FREE(pool, block));
  ASAN_FORGETS(block, size);
}

void zcmem__track_resize(void *pool, void *block, size_t before, size_t size) {
  unsigned char *bytes = block;
  (void)pool;
  MEMCHECK(VALGRIND_MEMPOOL_CHANGE(pool, block, block, size));
  if (size > before) {
    MEMCHECK((void)VALGRIND_MAKE_MEM_DEFINED(bytes + before, size - before));
    ASAN_KNOWS(bytes + before, size - before);
  } else {
    MEMCHECK((void)VALGRIND_MAKE_MEM_NOACCESS(bytes + size, before - size));
    ASAN_FORGETS(bytes + size, before - size);
  }
}
