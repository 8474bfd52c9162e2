/* SPDX-License-Identifier: MIT */
/*
 * A heap in memory of its own, for tests that need nothing but one. fixture_end checks every invariant once more.
 */
#ifndef ZCMEM_TESTS_HEAP_FIXTURE_H
#define ZCMEM_TESTS_HEAP_FIXTURE_H

#include <string.h>

#include <zcmem/heap.h>

#include "unit.h"

struct fixture {
  void *image;
  size_t bytes;
  void *before; /* the image as fixture_keep found it */
  struct zcmem_heap *heap;
};

static inline void *image_memory(size_t bytes) {
  void *image = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(image);
  return image;
}

static inline struct fixture fixture_make(hal_addr_t base, hal_size_t size, hal_size_t quantum, uint32_t max_blocks) {
  const struct zcmem_heap_config config = {base, size, quantum, max_blocks, 0};
  struct fixture f = {NULL, zcmem_heap_bytes(&config), NULL, NULL};
  assert_true(f.bytes > 0);
  f.image = image_memory(f.bytes);
  f.before = image_memory(f.bytes);
  memset(f.image, 0xa5, f.bytes);
  assert_ok(zcmem_heap_init(f.image, f.bytes, &config, &f.heap));
  assert_ok(zcmem_heap_check(f.heap));
  return f;
}

static inline void fixture_end(struct fixture *f) {
  assert_ok(zcmem_heap_check(f->heap));
  free(f->image);
  free(f->before);
}

/* Between the two the image must not change. */
static inline void fixture_keep(struct fixture *f) {
  memcpy(f->before, f->image, f->bytes);
}
static inline void fixture_unchanged(struct fixture *f) {
  assert_memory_equal(f->before, f->image, f->bytes);
}

static inline hal_addr_t fixture_alloc(struct fixture *f, hal_size_t size, hal_size_t align) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_heap_alloc(f->heap, size, align, &addr));
  assert_true(addr != 0);
  assert_int_equal(addr % align, 0);
  assert_ok(zcmem_heap_check(f->heap));
  return addr;
}

static inline void fixture_free(struct fixture *f, hal_addr_t addr) {
  assert_ok(zcmem_heap_free(f->heap, addr));
  assert_ok(zcmem_heap_check(f->heap));
}

static inline struct zcmem_block_info fixture_find(struct fixture *f, hal_addr_t any) {
  struct zcmem_block_info info;
  assert_ok(zcmem_heap_find(f->heap, any, &info));
  return info;
}

static inline struct zcmem_heap_info fixture_info(struct fixture *f) {
  struct zcmem_heap_info info;
  assert_ok(zcmem_heap_get_info(f->heap, &info));
  return info;
}

/* A call that must fail with this status and leave the image byte for byte as it was. */
#define assert_refused(f, call, status)                                                                                \
  do {                                                                                                                 \
    fixture_keep(f);                                                                                                   \
    assert_status((call), (status));                                                                                   \
    fixture_unchanged(f);                                                                                              \
  } while (0)

#endif
