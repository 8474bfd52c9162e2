/* SPDX-License-Identifier: MIT */
#include "host_block.h"
#include "malloc_default.h"
#include "malloc_impl.h"
#include "malloc_report.h"
#include <string.h>
#include <zcmem/malloc.h>

void *zcmem__malloc_alloc(const char *function, uint32_t kind, size_t align, size_t size) {
  struct zcmem_hal *hal = NULL;
  void *ptr = NULL;
  enum zcmem_status status = zcmem__malloc_need(&hal);
  if (status == ZCMEM_OK) {
    /* An align of 0 stays wrong. */
    align = align > 0 && align < ZCMEM_MALLOC_ALIGN && (align & (align - 1)) == 0 ? ZCMEM_MALLOC_ALIGN : align;
    status = zcmem__host_block_alloc(hal, kind, size, align, &ptr);
  }
  if (status != ZCMEM_OK) {
    zcmem__malloc_report(status, function, NULL, size);
    return NULL;
  }
  return ptr;
}

void zcmem__malloc_free(const char *function, uint32_t kind, void *ptr) {
  struct zcmem_hal *hal = zcmem__malloc_current();
  if (ptr == NULL) {
    return;
  }
  enum zcmem_status status = hal == NULL ? ZCMEM_ENOENT : zcmem__host_block_free(hal, kind, ptr);
  if (status != ZCMEM_OK) {
    zcmem__malloc_report(status, function, ptr, 0);
  }
}

void *zcmem_malloc(uint32_t kind, size_t size) {
  return zcmem__malloc_alloc("zcmem_malloc", kind, ZCMEM_MALLOC_ALIGN, size);
}

void *zcmem_aligned_alloc(uint32_t kind, size_t align, size_t size) {
  return zcmem__malloc_alloc("zcmem_aligned_alloc", kind, align, size);
}

void *zcmem_calloc(uint32_t kind, size_t count, size_t size) {
  static const char function[] = "zcmem_calloc";
  if (size != 0 && count > SIZE_MAX / size) {
    zcmem__malloc_report(ZCMEM_EINVAL, function, NULL, size);
    return NULL;
  }
  void *ptr = zcmem__malloc_alloc(function, kind, ZCMEM_MALLOC_ALIGN, count * size);
  if (ptr != NULL) {
    memset(ptr, 0, count * size);
  }
  return ptr;
}

/*
 * Into a new block. The old one is held meanwhile, so that nobody frees it and gets its place; whatever fails before it
 * is doomed leaves it as it was.
 */
static enum zcmem_status move(struct zcmem_hal *hal, uint32_t kind, void **ptr, size_t size) {
  struct zcmem__host_block old;
  void *to = NULL;
  enum zcmem_status status = zcmem__host_block_hold(hal, kind, *ptr, &old);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__host_block_alloc(hal, kind, size, ZCMEM_MALLOC_ALIGN, &to);
  if (status == ZCMEM_OK) {
    status = zcmem__host_block_copy(hal, &old, to, old.requested < size ? (size_t)old.requested : size);
    if (status == ZCMEM_OK) {
      status = zcmem__host_block_doom(&old);
    }
    if (status != ZCMEM_OK) {
      (void)zcmem__host_block_free(hal, kind, to);
    }
  }
  if (status != ZCMEM_OK) {
    enum zcmem_status let_go = zcmem__host_block_let_go(&old);
    return let_go != ZCMEM_OK ? let_go : status;
  }
  *ptr = to;
  return zcmem__host_block_end(&old);
}

void *zcmem_realloc(uint32_t kind, void *ptr, size_t size) {
  static const char function[] = "zcmem_realloc";
  struct zcmem_hal *hal = zcmem__malloc_current();
  void *at = ptr;
  if (ptr == NULL) {
    return zcmem__malloc_alloc(function, kind, ZCMEM_MALLOC_ALIGN, size);
  }
  enum zcmem_status status = hal == NULL ? ZCMEM_ENOENT : zcmem__host_block_resize(hal, kind, ptr, size);
  if (status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG) {
    status = move(hal, kind, &at, size);
  }
  if (status != ZCMEM_OK) {
    zcmem__malloc_report(status, function, ptr, size);
  }
  /* A block that has moved has, even if the old one could not be given back. */
  return status == ZCMEM_OK || at != ptr ? at : NULL;
}

void zcmem_free(uint32_t kind, void *ptr) {
  zcmem__malloc_free("zcmem_free", kind, ptr);
}

size_t zcmem_malloc_size(const void *ptr) {
  struct zcmem_hal *hal = zcmem__malloc_current();
  struct zcmem__region *region = NULL;
  struct zcmem_block_info block;
  if (hal == NULL || ptr == NULL || zcmem__host_block_find(hal, ptr, &region, &block) != ZCMEM_OK) {
    return 0;
  }
  return block.requested > SIZE_MAX ? SIZE_MAX : (size_t)block.requested;
}
