/* SPDX-License-Identifier: MIT */
/* Wrong pointers and sizes in malloc for device memory; the answer is what the handler is told. */
#include "misuse.h"
#include <zcmem/ti_malloc.h>

static enum zcmem_status free_host(void) {
  zcmem_free(ZCMEM_KIND_DRAM, world.host);
  return world.told;
}

static enum zcmem_status realloc_host(void) {
  assert_null(zcmem_realloc(ZCMEM_KIND_DRAM, world.host, 5000));
  return world.told;
}

static void freed(void) {
  world.host = zcmem_malloc(ZCMEM_KIND_DRAM, MISUSE_BYTES);
  assert_non_null(world.host);
  zcmem_free(ZCMEM_KIND_DRAM, world.host);
  assert_ok(world.told);
}

static void interior(void) {
  world.host = misuse_host(world.block) + ZCMEM_QUANTUM_DEFAULT;
}

static void on_the_stack(void) {
  static unsigned char mine[64];
  world.host = mine;
}

static void of_libc(void) {
  world.host = world.table; /* this is malloc's */
}

static void pinned(void) {
  world.host = misuse_host(world.block);
  assert_ok(zcmem_mem_pin(world.hal, world.block));
}

static void mapped_alias(void) {
  static unsigned char sight[MISUSE_BYTES];
  world.host = sight;
  assert_ok(
      zcmem_hal_add_alias(world.hal, MISUSE_DRAM, world.block - world.regions[MISUSE_DRAM].base, MISUSE_BYTES, sight));
}

static void of_ddr(void) {
  world.host = misuse_host(world.block);
}

static enum zcmem_status free_msmc(void) {
  __free_msmc(world.host);
  return world.told;
}

static enum zcmem_status free_null(void) {
  zcmem_free(ZCMEM_KIND_DRAM, NULL);
  return world.told;
}

static enum zcmem_status calloc_wraps(void) {
  assert_null(zcmem_calloc(ZCMEM_KIND_DRAM, SIZE_MAX / 2, 4));
  return world.told;
}

static enum zcmem_status malloc_most(void) {
  assert_null(zcmem_malloc(ZCMEM_KIND_DRAM, SIZE_MAX));
  return world.told;
}

static enum zcmem_status align_3(void) {
  assert_null(zcmem_aligned_alloc(ZCMEM_KIND_DRAM, 3, 100));
  return world.told;
}

static enum zcmem_status align_0(void) {
  assert_null(zcmem_aligned_alloc(ZCMEM_KIND_DRAM, 0, 100));
  return world.told;
}

static enum zcmem_status no_such_kind(void) {
  assert_null(zcmem_malloc(MISUSE_KIND_NONE, 100));
  return world.told;
}

static enum zcmem_status never_seen(void) {
  assert_null(zcmem_malloc(MISUSE_KIND_BLIND, 100));
  return world.told;
}

static enum zcmem_status size_of_freed(void) {
  assert_int_equal(zcmem_malloc_size(world.host), 0);
  return world.told;
}

const struct misuse misuse_malloc[] = {
    MISUSE("double free of a pointer", "zcmem_free", ZCMEM_ENOENT, freed, free_host),
    MISUSE("free of a pointer into a block", "zcmem_free", ZCMEM_ENOENT, interior, free_host),
    MISUSE("free of a pointer that is not the allocator's", "zcmem_free", ZCMEM_ENOENT, on_the_stack, free_host),
    MISUSE("free of a pointer of libc's malloc", "zcmem_free", ZCMEM_ENOENT, of_libc, free_host),
    MISUSE("free of an alias of a block", "zcmem_free", ZCMEM_ENOENT, mapped_alias, free_host),
    MISUSE("free of a pinned block's pointer", "zcmem_free", ZCMEM_EBUSY, pinned, free_host),
    MISUSE("free of DDR as MSMC", "__free_msmc", ZCMEM_EINVAL, of_ddr, free_msmc),
    MISUSE_NOTED("free of NULL", "zcmem_free", ZCMEM_OK, NULL, free_null, "nothing is done"),
    MISUSE("realloc of a freed pointer", "zcmem_realloc", ZCMEM_ENOENT, freed, realloc_host),
    MISUSE("realloc of a pointer into a block", "zcmem_realloc", ZCMEM_ENOENT, interior, realloc_host),
    MISUSE("calloc of a product that wraps", "zcmem_calloc", ZCMEM_EINVAL, NULL, calloc_wraps),
    MISUSE("malloc of the largest size there is", "zcmem_malloc", ZCMEM_ENOSPC, NULL, malloc_most),
    MISUSE("aligned_alloc with an alignment of 3", "zcmem_aligned_alloc", ZCMEM_EINVAL, NULL, align_3),
    MISUSE("aligned_alloc with an alignment of 0", "zcmem_aligned_alloc", ZCMEM_EINVAL, NULL, align_0),
    MISUSE("malloc of a kind that no region has", "zcmem_malloc", ZCMEM_ENOENT, NULL, no_such_kind),
    MISUSE("malloc of memory that the host cannot see", "zcmem_malloc", ZCMEM_ENOTMAPPED, NULL, never_seen),
    MISUSE_NOTED("size of a freed pointer's block", "zcmem_malloc_size", ZCMEM_OK, freed, size_of_freed,
                 "the size is 0"),
    MISUSE_END,
};
