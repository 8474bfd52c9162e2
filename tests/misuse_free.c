/* SPDX-License-Identifier: MIT */
/* Wrong frees, resizes, pins and mappings: of what is not there, not one's own, or in use. */
#include "misuse.h"

static enum zcmem_status free_addr(void) {
  return zcmem_mem_free(world.hal, world.addr);
}

static enum zcmem_status free_block(void) {
  return zcmem_mem_free(world.hal, world.block);
}

static enum zcmem_status free_addr_elsewhere(void) {
  return misuse_elsewhere(free_addr);
}

/* ------------------------------------------------------------------------------------------------- twice -- */

static void freed(void) {
  world.addr = misuse_alloc(MISUSE_DRAM, MISUSE_BYTES);
  assert_ok(free_addr());
}

/* Much has happened since, but at other addresses. */
static void freed_long_ago(void) {
  hal_addr_t others[64];
  for (unsigned i = 0; i < 64; i++) {
    others[i] = misuse_alloc(MISUSE_DRAM, 7000);
  }
  world.addr = misuse_alloc(MISUSE_DRAM, MISUSE_BYTES);
  (void)misuse_alloc(MISUSE_DRAM, MISUSE_BYTES); /* keeps it from merging */
  assert_ok(free_addr());
  for (unsigned i = 0; i < 64; i++) {
    assert_ok(zcmem_mem_resize(world.hal, others[i], 6900));
    assert_ok(zcmem_mem_free(world.hal, others[i]));
  }
}

static void freed_and_merged(void) {
  world.addr = world.block;
  assert_ok(zcmem_mem_free(world.hal, world.left));
  assert_ok(zcmem_mem_free(world.hal, world.block));
  assert_ok(zcmem_mem_free(world.hal, world.right));
}

/* The address lies within a larger block now. */
static void freed_and_built_over(void) {
  freed_and_merged();
  hal_addr_t large = misuse_alloc(MISUSE_DRAM, 2 * MISUSE_MIB + 512 * MISUSE_KIB);
  assert_true(large < world.addr && world.addr < large + 2 * MISUSE_MIB);
}

/* The address is handed out again, to somebody else. */
static void freed_and_reused(void) {
  freed();
  assert_int_equal(misuse_alloc(MISUSE_DRAM, MISUSE_BYTES), world.addr);
}

static enum zcmem_status free_another_ones(void) {
  struct zcmem_block_info info;
  enum zcmem_status status = free_addr();
  assert_status(zcmem_mem_info(world.hal, world.addr, &info), ZCMEM_ENOENT); /* it hit the new block */
  return status;
}

static enum zcmem_status free_twice_in_a_batch(void) {
  const hal_addr_t addrs[] = {world.block, world.block};
  struct zcmem_block_info info;
  uint32_t count = 0;
  enum zcmem_status status = zcmem_mem_free_batch(world.hal, addrs, 2, &count);
  assert_int_equal(count, 1);
  assert_status(zcmem_mem_info(world.hal, world.block, &info), ZCMEM_ENOENT);
  return status;
}

/* Pinned, so that the free has to wait. */
static void freed_deferred(void) {
  world.addr = world.block;
  assert_ok(zcmem_mem_pin(world.hal, world.addr));
  assert_ok(zcmem_mem_free_deferred(world.hal, world.addr));
}

static enum zcmem_status free_deferred_addr(void) {
  return zcmem_mem_free_deferred(world.hal, world.addr);
}

/* ---------------------------------------------------------------------------------------------- elsewhere -- */

static void interior_quantum(void) {
  world.addr = world.block + ZCMEM_QUANTUM_DEFAULT;
}

static void unaligned(void) {
  world.addr = world.block + 1;
}

static void before_the_block(void) {
  world.addr = world.block - 1;
}

static void never_allocated(void) {
  struct zcmem_region_info info;
  assert_ok(zcmem_hal_region_info(world.hal, MISUSE_DRAM, &info));
  world.addr = info.base + info.size - 64 * MISUSE_KIB;
}

static void behind_the_region(void) {
  struct zcmem_region_info info;
  assert_ok(zcmem_hal_region_info(world.hal, MISUSE_DRAM, &info));
  world.addr = info.base + info.size;
}

static void in_no_region(void) {
  world.addr = 0x1234560000000000u;
}

static void the_last_address(void) {
  world.addr = UINT64_MAX;
}

static void a_host_pointer(void) {
  world.addr = (hal_addr_t)(uintptr_t)misuse_host(world.block);
}

static enum zcmem_status free_null(void) {
  return zcmem_mem_free(world.hal, HAL_NULLPTR);
}

static enum zcmem_status free_in_another_hal(void) {
  struct zcmem_host_device *device = NULL;
  const struct zcmem_host_device_config config = {
      .dram_bytes = 64 * MISUSE_KIB, .msmc_bytes = 64 * MISUSE_KIB, .max_blocks = 16};
  assert_ok(zcmem_host_device_create(&config, &device));
  enum zcmem_status status = zcmem_mem_free(zcmem_host_device_hal(device), world.block);
  assert_int_equal(zcmem_host_device_destroy(device), 0);
  return status;
}

static enum zcmem_status free_without_hal(void) {
  return zcmem_mem_free(NULL, world.block);
}

/* ------------------------------------------------------------------------------------------------- in use -- */

static void pinned(void) {
  assert_ok(zcmem_mem_pin(world.hal, world.block));
}

static void mapped(void) {
  assert_ok(zcmem_mem_map(world.hal, world.block, MISUSE_BYTES, ZCMEM_MAP_READ, &world.host));
}

static void far_mapped(void) {
  world.addr = world.far;
  assert_ok(zcmem_mem_map(world.hal, world.far, 100, ZCMEM_MAP_READ, &world.host));
}

static void in_a_buffer(void) {
  const struct zcmem_buffer_config config = {
      .flags = MISUSE_RW | ZCMEM_BUFFER_USE_HOST, .host = misuse_host(world.block), .size = MISUSE_BYTES};
  assert_ok(zcmem_buffer_create(world.buffers, &config, &world.buffer));
}

static void free_far_inside(void *arg) {
  (void)arg;
  world.answered = zcmem_mem_free(world.hal, world.far);
}

/* Its own answer is that of the call that runs within a callback of a transfer. */
static enum zcmem_status free_within_a_transfer(void) {
  unsigned char byte = 0;
  world.regions[MISUSE_FAR].inside = free_far_inside;
  assert_ok(zcmem_mem_read(world.hal, &byte, world.far, 1));
  return world.answered;
}

static enum zcmem_status shrink_block(void) {
  return zcmem_mem_resize(world.hal, world.block, 100);
}

static enum zcmem_status resize_addr(void) {
  return zcmem_mem_resize(world.hal, world.addr, 100);
}

static enum zcmem_status grow_into_the_neighbour(void) {
  return zcmem_mem_resize(world.hal, world.block, 2 * MISUSE_BYTES);
}

static enum zcmem_status grow_beyond_everything(void) {
  return zcmem_mem_resize(world.hal, world.block, UINT64_MAX);
}

/* ---------------------------------------------------------------------------------------- pins and mappings -- */

static enum zcmem_status pin_addr(void) {
  return zcmem_mem_pin(world.hal, world.addr);
}

static void pinned_to_the_last(void) {
  world.addr = world.block;
  for (unsigned i = 0; i < ZCMEM_MAX_PINS; i++) {
    assert_ok(pin_addr());
  }
}

static enum zcmem_status unpin_block(void) {
  return zcmem_mem_unpin(world.hal, world.block);
}

static enum zcmem_status unpin_addr(void) {
  return zcmem_mem_unpin(world.hal, world.addr);
}

static enum zcmem_status unmap_host(void) {
  return zcmem_mem_unmap(world.hal, world.host);
}

/* The unpin takes the pin of the mapping, which holds the block besides. */
static void far_mapped_and_unpinned(void) {
  far_mapped();
  assert_ok(zcmem_mem_unpin(world.hal, world.far));
}

static void far_unmapped(void) {
  far_mapped();
  assert_ok(unmap_host());
}

static void inside_a_mapping(void) {
  far_mapped();
  world.host = (unsigned char *)world.host + 1;
}

static void on_the_stack(void) {
  static unsigned char mine;
  world.host = &mine;
}

static void unmapped_in_a_mapped_region(void) {
  mapped();
  assert_ok(unmap_host());
}

static enum zcmem_status map_nothing(void) {
  return zcmem_mem_map(world.hal, world.block, 0, ZCMEM_MAP_READ, &world.host);
}

static enum zcmem_status map_for_nothing(void) {
  return zcmem_mem_map(world.hal, world.block, 1, 0, &world.host);
}

static enum zcmem_status map_too_much(void) {
  return zcmem_mem_map(world.hal, world.far, MISUSE_BYTES + 1, ZCMEM_MAP_WRITE, &world.host);
}

static enum zcmem_status map_addr(void) {
  return zcmem_mem_map(world.hal, world.addr, 1, ZCMEM_MAP_READ, &world.host);
}

const struct misuse misuse_free[] = {
    MISUSE("double free, at once", "zcmem_mem_free", ZCMEM_ENOENT, freed, free_addr),
    MISUSE("double free, from another thread", "zcmem_mem_free", ZCMEM_ENOENT, freed, free_addr_elsewhere),
    MISUSE("double free, after 128 other calls", "zcmem_mem_free", ZCMEM_ENOENT, freed_long_ago, free_addr),
    MISUSE("double free, after the block has merged", "zcmem_mem_free", ZCMEM_ENOENT, freed_and_merged, free_addr),
    MISUSE("double free, within a larger block", "zcmem_mem_free", ZCMEM_ENOENT, freed_and_built_over, free_addr),
    MISUSE_CHANGES("double free, after the address was reused", "zcmem_mem_free", ZCMEM_OK, freed_and_reused,
                   free_another_ones, "not noticed, the new block is free"),
    MISUSE_CHANGES("double free, in one batch", "zcmem_mem_free_batch", ZCMEM_ENOENT, NULL, free_twice_in_a_batch,
                   "freed once"),
    MISUSE("free after a deferred free", "zcmem_mem_free", ZCMEM_ENOENT, freed_deferred, free_addr),
    MISUSE("deferred free twice", "zcmem_mem_free_deferred", ZCMEM_ENOENT, freed_deferred, free_deferred_addr),
    MISUSE("free of an interior address", "zcmem_mem_free", ZCMEM_ENOENT, interior_quantum, free_addr),
    MISUSE("free of an unaligned address", "zcmem_mem_free", ZCMEM_ENOENT, unaligned, free_addr),
    MISUSE("free of the byte before a block", "zcmem_mem_free", ZCMEM_ENOENT, before_the_block, free_addr),
    MISUSE("free of an address never handed out", "zcmem_mem_free", ZCMEM_ENOENT, never_allocated, free_addr),
    MISUSE("free of the address behind the region", "zcmem_mem_free", ZCMEM_ENOENT, behind_the_region, free_addr),
    MISUSE("free of an address in no region", "zcmem_mem_free", ZCMEM_ENOENT, in_no_region, free_addr),
    MISUSE("free of the last address there is", "zcmem_mem_free", ZCMEM_ENOENT, the_last_address, free_addr),
    MISUSE("free of a host pointer as an address", "zcmem_mem_free", ZCMEM_ENOENT, a_host_pointer, free_addr),
    MISUSE("free of another allocator's block", "zcmem_mem_free", ZCMEM_ENOENT, NULL, free_in_another_hal),
    MISUSE_NOTED("free of the null address", "zcmem_mem_free", ZCMEM_OK, NULL, free_null, "nothing is done"),
    MISUSE("free without an allocator", "zcmem_mem_free", ZCMEM_EINVAL, NULL, free_without_hal),
    MISUSE("free while pinned", "zcmem_mem_free", ZCMEM_EBUSY, pinned, free_block),
    MISUSE("free while mapped", "zcmem_mem_free", ZCMEM_EBUSY, mapped, free_block),
    MISUSE("free while mapped on demand", "zcmem_mem_free", ZCMEM_EBUSY, far_mapped, free_addr),
    MISUSE("free while in a buffer", "zcmem_mem_free", ZCMEM_EBUSY, in_a_buffer, free_block),
    MISUSE("free within a callback, of the block in transfer", "zcmem_mem_free", ZCMEM_EBUSY, NULL,
           free_within_a_transfer),
    MISUSE("resize of a freed block", "zcmem_mem_resize", ZCMEM_ENOENT, freed, resize_addr),
    MISUSE("resize of an interior address", "zcmem_mem_resize", ZCMEM_ENOENT, interior_quantum, resize_addr),
    MISUSE("resize that takes bytes from a pinned block", "zcmem_mem_resize", ZCMEM_EBUSY, pinned, shrink_block),
    MISUSE("resize into the neighbour", "zcmem_mem_resize", ZCMEM_EFRAG, NULL, grow_into_the_neighbour),
    MISUSE("resize to the largest size there is", "zcmem_mem_resize", ZCMEM_ENOSPC, NULL, grow_beyond_everything),
    MISUSE("pin of a freed block", "zcmem_mem_pin", ZCMEM_ENOENT, freed, pin_addr),
    MISUSE("one pin more than can be counted", "zcmem_mem_pin", ZCMEM_EBUSY, pinned_to_the_last, pin_addr),
    MISUSE("one unpin too many", "zcmem_mem_unpin", ZCMEM_EBUSY, NULL, unpin_block),
    MISUSE("unpin of a freed block", "zcmem_mem_unpin", ZCMEM_ENOENT, freed, unpin_addr),
    MISUSE("free after a mapping's own pin was taken", "zcmem_mem_free", ZCMEM_EBUSY, far_mapped_and_unpinned,
           free_addr),
    MISUSE("unmap twice", "zcmem_mem_unmap", ZCMEM_ENOTMAPPED, far_unmapped, unmap_host),
    MISUSE("unmap twice, in a region that is always mapped", "zcmem_mem_unmap", ZCMEM_ENOTMAPPED,
           unmapped_in_a_mapped_region, unmap_host),
    MISUSE("unmap of a pointer into a mapping", "zcmem_mem_unmap", ZCMEM_ENOTMAPPED, inside_a_mapping, unmap_host),
    MISUSE("unmap of a foreign pointer", "zcmem_mem_unmap", ZCMEM_ENOTMAPPED, on_the_stack, unmap_host),
    MISUSE("map of no bytes", "zcmem_mem_map", ZCMEM_EINVAL, NULL, map_nothing),
    MISUSE("map for neither reading nor writing", "zcmem_mem_map", ZCMEM_EINVAL, NULL, map_for_nothing),
    MISUSE("map one byte past the end", "zcmem_mem_map", ZCMEM_EBOUNDS, NULL, map_too_much),
    MISUSE("map of a freed block", "zcmem_mem_map", ZCMEM_ENOENT, freed, map_addr),
    MISUSE_END,
};
