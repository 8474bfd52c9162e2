/* SPDX-License-Identifier: MIT */
/* Wrong arguments of allocations, regions and HALs that cannot be, and images that cannot be trusted. */
#include "misuse.h"
#include <stdalign.h>

static alignas(64) unsigned char image[64 * 1024];
static alignas(64) unsigned char memory[64 * 1024];
static hal_addr_t none;

/* ------------------------------------------------------------------------------------------------ allocations -- */

static enum zcmem_status alloc(uint32_t region, hal_size_t size, hal_size_t align) {
  return zcmem_mem_alloc(world.hal, region, size, align, &none);
}

static enum zcmem_status alloc_no_region(void) {
  return alloc(MISUSE_REGIONS, 100, 1);
}

static enum zcmem_status alloc_no_kind(void) {
  return zcmem_mem_alloc_kind(world.hal, MISUSE_KIND_NONE, 100, 1, &none);
}

static enum zcmem_status alloc_of_no_region(void) {
  const uint32_t list[] = {MISUSE_DRAM, 77};
  return zcmem_mem_alloc_preferred(world.hal, list, 2, 100, 1, &none);
}

static enum zcmem_status alloc_align_0(void) {
  return alloc(MISUSE_DRAM, 100, 0);
}

static enum zcmem_status alloc_align_3(void) {
  return alloc(MISUSE_DRAM, 100, 3);
}

static enum zcmem_status alloc_align_huge(void) {
  return alloc(MISUSE_DRAM, 100, UINT64_C(1) << 63);
}

static enum zcmem_status alloc_most(void) {
  return alloc(MISUSE_DRAM, UINT64_MAX, 1);
}

/* Rounded up to the quantum it would be 0. */
static enum zcmem_status alloc_wraps(void) {
  return alloc(MISUSE_DRAM, UINT64_MAX - ZCMEM_QUANTUM_DEFAULT + 2, 1);
}

/* 2^32 bytes and one: 1 in 32 bits. */
static enum zcmem_status alloc_wraps_32(void) {
  return alloc(MISUSE_DRAM, (UINT64_C(1) << 32) + 1, 1);
}

static enum zcmem_status alloc_to_null(void) {
  return zcmem_mem_alloc(world.hal, MISUSE_DRAM, 100, 1, NULL);
}

static enum zcmem_status alloc_without_hal(void) {
  return zcmem_mem_alloc(NULL, MISUSE_DRAM, 100, 1, &none);
}

static void all_blocks_taken(void) {
  for (unsigned i = 0; i < MISUSE_FEW_BLOCKS; i++) {
    (void)misuse_alloc(MISUSE_BLIND, 1);
  }
}

static enum zcmem_status alloc_one_more(void) {
  return alloc(MISUSE_BLIND, 1, 1);
}

/* -------------------------------------------------------------------------------------------------- regions -- */

static struct zcmem_region_config region_at(hal_addr_t base) {
  return (struct zcmem_region_config){
      .name = "more", .kind = ZCMEM_KIND_DRAM, .base = base, .size = 16 * MISUSE_KIB, .max_blocks = 16};
}

static enum zcmem_status add(const struct zcmem_region_config *config) {
  uint32_t count = zcmem_hal_region_count(world.hal);
  enum zcmem_status status = zcmem_hal_add_region(world.hal, config, NULL);
  assert_int_equal(zcmem_hal_region_count(world.hal), count);
  return status;
}

static enum zcmem_status add_overlapping(void) {
  struct zcmem_region_config config = region_at(world.regions[MISUSE_FAR].base - 8 * MISUSE_KIB);
  return add(&config);
}

static enum zcmem_status add_over_host_memory(void) {
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.host = misuse_host(world.block);
  return add(&config);
}

static enum zcmem_status add_over_image(void) {
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.image = world.hal->regions[MISUSE_DRAM].heap;
  config.image_bytes = sizeof image;
  return add(&config);
}

static enum zcmem_status add_wrapping(void) {
  struct zcmem_region_config config = region_at(UINT64_MAX - 8 * MISUSE_KIB + 1);
  return add(&config);
}

static enum zcmem_status add_same_name(void) {
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.name = "far";
  return add(&config);
}

static enum zcmem_status add_odd_quantum(void) {
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.quantum = 100;
  return add(&config);
}

static enum zcmem_status add_misaligned_image(void) {
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.image = image + 8;
  config.image_bytes = sizeof image - 8;
  return add(&config);
}

static enum zcmem_status add_small_image(void) {
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.image = image;
  config.image_bytes = zcmem_region_bytes(&config) - 1;
  return add(&config);
}

static enum zcmem_status add_one_too_many(void) {
  static alignas(64) unsigned char last[64 * 1024];
  struct zcmem_region_config config = region_at(0x5000000000u);
  config.name = "the last";
  config.image = image;
  config.image_bytes = sizeof image;
  assert_ok(zcmem_hal_add_region(world.hal, &config, NULL));
  config = region_at(0x6000000000u);
  config.image = last;
  config.image_bytes = sizeof last;
  return add(&config);
}

static enum zcmem_status alias_over_region(void) {
  return zcmem_hal_add_alias(world.hal, MISUSE_FAR, 0, MISUSE_BYTES, misuse_host(world.block));
}

static enum zcmem_status alias_out_of_region(void) {
  return zcmem_hal_add_alias(world.hal, MISUSE_FAR, MISUSE_SMALL - 10, 20, memory);
}

/* ----------------------------------------------------------------------------------------------------- HALs -- */

static struct zcmem_hal_config hal_config(void) {
  return (struct zcmem_hal_config){.name = "another", .max_regions = 1, .lock = &zcmem_lock_none};
}

static enum zcmem_status init_in(unsigned char *at, size_t bytes) {
  struct zcmem_hal_config config = hal_config();
  struct zcmem_hal *hal = NULL;
  enum zcmem_status status = zcmem_hal_init(at, bytes, &config, &hal);
  assert_null(hal);
  return status;
}

static enum zcmem_status init_too_small(void) {
  struct zcmem_hal_config config = hal_config();
  return init_in(memory, zcmem_hal_bytes(&config) - 1);
}

static enum zcmem_status init_misaligned(void) {
  return init_in(memory + 4, sizeof memory - 4);
}

/* In the caller's memory, with a region that holds a block. */
static struct zcmem_hal *another(hal_addr_t *addr) {
  struct zcmem_hal_config config = hal_config();
  struct zcmem_region_config region = region_at(0x5000000000u);
  struct zcmem_hal *hal = NULL;
  region.image = image;
  region.image_bytes = sizeof image;
  assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
  assert_ok(zcmem_hal_add_region(hal, &region, NULL));
  assert_ok(zcmem_mem_alloc(hal, 0, 100, 1, addr));
  return hal;
}

static enum zcmem_status destroy_with_live_blocks(void) {
  hal_addr_t addr = 0;
  assert_int_equal(zcmem_hal_destroy(another(&addr)), 1);
  return ZCMEM_OK;
}

static enum zcmem_status alloc_in_destroyed(void) {
  hal_addr_t addr = 0;
  struct zcmem_hal *hal = another(&addr);
  assert_int_equal(zcmem_hal_destroy(hal), 1);
  return zcmem_mem_alloc(hal, 0, 100, 1, &addr);
}

static enum zcmem_status free_in_destroyed(void) {
  hal_addr_t addr = 0;
  struct zcmem_hal *hal = another(&addr);
  assert_int_equal(zcmem_hal_destroy(hal), 1);
  return zcmem_mem_free(hal, addr);
}

static enum zcmem_status stats_of_another_version(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats + 8};
  return zcmem_hal_region_stats(world.hal, MISUSE_DRAM, &stats);
}

/* ----------------------------------------------------------------------------------------- heaps and images -- */

enum { HEAP_BASE = 0x10000, HEAP_BYTES = 16 * 1024 };

static struct zcmem_heap *heap_with_a_block(size_t *bytes, hal_addr_t *addr) {
  const struct zcmem_heap_config config = {.base = HEAP_BASE, .size = HEAP_BYTES, .max_blocks = 16};
  struct zcmem_heap *heap = NULL;
  *bytes = zcmem_heap_bytes(&config);
  assert_ok(zcmem_heap_init(image, sizeof image, &config, &heap));
  assert_ok(zcmem_heap_alloc(heap, 1000, 1, addr));
  return heap;
}

static enum zcmem_status attach_damaged(void) {
  struct zcmem_heap *heap = NULL;
  hal_addr_t addr = 0;
  size_t bytes = 0;
  (void)heap_with_a_block(&bytes, &addr);
  ((struct zcmem_heap *)(void *)image)->free_quanta++;
  return zcmem_heap_attach(image, bytes, &heap);
}

static enum zcmem_status attach_cut_short(void) {
  struct zcmem_heap *heap = NULL;
  hal_addr_t addr = 0;
  size_t bytes = 0;
  (void)heap_with_a_block(&bytes, &addr);
  return zcmem_heap_attach(image, bytes - 64, &heap);
}

static enum zcmem_status attach_noise(void) {
  struct zcmem_heap *heap = NULL;
  uint64_t seed = 1;
  for (size_t i = 0; i < sizeof image; i++) {
    image[i] = (unsigned char)random_next(&seed);
  }
  return zcmem_heap_attach(image, sizeof image, &heap);
}

static enum zcmem_status check_overwritten(void) {
  hal_addr_t addr = 0;
  size_t bytes = 0;
  struct zcmem_heap *heap = heap_with_a_block(&bytes, &addr);
  memset(image + bytes / 2, 0xff, bytes / 4);
  return zcmem_heap_check(heap);
}

static enum zcmem_status reserve_live(void) {
  hal_addr_t addr = 0;
  size_t bytes = 0;
  struct zcmem_heap *heap = heap_with_a_block(&bytes, &addr);
  enum zcmem_status status = zcmem_heap_reserve(heap, addr, 100);
  assert_ok(zcmem_heap_check(heap));
  return status;
}

static enum zcmem_status reserve_outside(void) {
  hal_addr_t addr = 0;
  size_t bytes = 0;
  struct zcmem_heap *heap = heap_with_a_block(&bytes, &addr);
  enum zcmem_status status = zcmem_heap_reserve(heap, HEAP_BASE + HEAP_BYTES - 128, 129);
  assert_ok(zcmem_heap_check(heap));
  return status;
}

const struct misuse misuse_setup[] = {
    MISUSE("allocation in a region that is not there", "zcmem_mem_alloc", ZCMEM_EINVAL, NULL, alloc_no_region),
    MISUSE("allocation of a kind that is not there", "zcmem_mem_alloc_kind", ZCMEM_EINVAL, NULL, alloc_no_kind),
    MISUSE("a list of regions, one of which is not there", "zcmem_mem_alloc_preferred", ZCMEM_EINVAL, NULL,
           alloc_of_no_region),
    MISUSE("alignment of 0", "zcmem_mem_alloc", ZCMEM_EINVAL, NULL, alloc_align_0),
    MISUSE("alignment of 3", "zcmem_mem_alloc", ZCMEM_EINVAL, NULL, alloc_align_3),
    MISUSE("alignment larger than the region", "zcmem_mem_alloc", ZCMEM_EFRAG, NULL, alloc_align_huge),
    MISUSE("allocation of the largest size there is", "zcmem_mem_alloc", ZCMEM_ENOSPC, NULL, alloc_most),
    MISUSE("a size that wraps when rounded up", "zcmem_mem_alloc", ZCMEM_ENOSPC, NULL, alloc_wraps),
    MISUSE("a size that is small in 32 bits", "zcmem_mem_alloc", ZCMEM_ENOSPC, NULL, alloc_wraps_32),
    MISUSE("allocation with nowhere to put the address", "zcmem_mem_alloc", ZCMEM_EINVAL, NULL, alloc_to_null),
    MISUSE("allocation without an allocator", "zcmem_mem_alloc", ZCMEM_EINVAL, NULL, alloc_without_hal),
    MISUSE("one block more than can be live", "zcmem_mem_alloc", ZCMEM_ENOMEM, all_blocks_taken, alloc_one_more),
    MISUSE("overlapping regions", "zcmem_hal_add_region", ZCMEM_EOVERLAP, NULL, add_overlapping),
    MISUSE("regions over the same host memory", "zcmem_hal_add_region", ZCMEM_EOVERLAP, NULL, add_over_host_memory),
    MISUSE("regions with the same image", "zcmem_hal_add_region", ZCMEM_EOVERLAP, NULL, add_over_image),
    MISUSE("a region that wraps", "zcmem_hal_add_region", ZCMEM_EINVAL, NULL, add_wrapping),
    MISUSE("regions of the same name", "zcmem_hal_add_region", ZCMEM_EINVAL, NULL, add_same_name),
    MISUSE("a quantum that is no power of two", "zcmem_hal_add_region", ZCMEM_EINVAL, NULL, add_odd_quantum),
    MISUSE("a misaligned image", "zcmem_hal_add_region", ZCMEM_EINVAL, NULL, add_misaligned_image),
    MISUSE("an image that is too small", "zcmem_hal_add_region", ZCMEM_ENOMEM, NULL, add_small_image),
    MISUSE("one region too many", "zcmem_hal_add_region", ZCMEM_ENOMEM, NULL, add_one_too_many),
    MISUSE("an alias over a region", "zcmem_hal_add_alias", ZCMEM_EOVERLAP, NULL, alias_over_region),
    MISUSE("an alias that leaves its region", "zcmem_hal_add_alias", ZCMEM_EINVAL, NULL, alias_out_of_region),
    MISUSE("memory too small for the allocator itself", "zcmem_hal_init", ZCMEM_ENOMEM, NULL, init_too_small),
    MISUSE("misaligned memory for the allocator itself", "zcmem_hal_init", ZCMEM_EINVAL, NULL, init_misaligned),
    MISUSE_NOTED("destroyed with live blocks", "zcmem_hal_destroy", ZCMEM_OK, NULL, destroy_with_live_blocks,
                 "tells how many"),
    MISUSE("allocation after destroy, in the caller's memory", "zcmem_mem_alloc", ZCMEM_EINVAL, NULL,
           alloc_in_destroyed),
    MISUSE("free after destroy, in the caller's memory", "zcmem_mem_free", ZCMEM_ENOENT, NULL, free_in_destroyed),
    MISUSE("statistics of another version", "zcmem_hal_region_stats", ZCMEM_EINVAL, NULL, stats_of_another_version),
    MISUSE("attach to a damaged image", "zcmem_heap_attach", ZCMEM_ECORRUPT, NULL, attach_damaged),
    MISUSE("attach to an image cut short", "zcmem_heap_attach", ZCMEM_ECORRUPT, NULL, attach_cut_short),
    MISUSE("attach to arbitrary bytes", "zcmem_heap_attach", ZCMEM_ECORRUPT, NULL, attach_noise),
    MISUSE("metadata overwritten", "zcmem_heap_check", ZCMEM_ECORRUPT, NULL, check_overwritten),
    MISUSE("allocation at an address that is live", "zcmem_heap_reserve", ZCMEM_EOVERLAP, NULL, reserve_live),
    MISUSE("allocation at an address, past the end", "zcmem_heap_reserve", ZCMEM_EBOUNDS, NULL, reserve_outside),
    MISUSE_END,
};
