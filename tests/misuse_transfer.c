/* SPDX-License-Identifier: MIT */
/* Transfers, translation, and what the host stores itself: freed blocks, and ranges that leave theirs. */
#include "misuse.h"

static unsigned char bytes[2 * 1024 * 1024];

/* ------------------------------------------------------------------------------------------------ after free -- */

static void freed(void) {
  world.addr = misuse_alloc(MISUSE_DRAM, MISUSE_BYTES);
  assert_ok(zcmem_mem_free(world.hal, world.addr));
}

static enum zcmem_status read_addr(void) {
  return zcmem_mem_read(world.hal, bytes, world.addr, 100);
}

static enum zcmem_status write_addr(void) {
  return zcmem_mem_write(world.hal, world.addr, bytes, 100);
}

static enum zcmem_status fill_addr(void) {
  return zcmem_mem_fill(world.hal, world.addr, "x", 1, 100);
}

static enum zcmem_status copy_from_addr(void) {
  return zcmem_mem_copy(world.hal, world.block, world.addr, 100);
}

static enum zcmem_status copy_to_addr(void) {
  return zcmem_mem_copy(world.hal, world.addr, world.block, 100);
}

static enum zcmem_status read_nothing(void) {
  return zcmem_mem_read(world.hal, bytes, world.addr, 0);
}

/* ---------------------------------------------------------------------------------------------- out of bounds -- */

static enum zcmem_status write_over(hal_size_t by) {
  return zcmem_mem_write(world.hal, world.block, bytes, MISUSE_BYTES + by);
}

static enum zcmem_status write_over_1(void) {
  return write_over(1);
}

static enum zcmem_status write_over_32(void) {
  return write_over(32);
}

static enum zcmem_status write_over_mib(void) {
  return write_over(MISUSE_MIB);
}

static enum zcmem_status write_under(hal_size_t by) {
  return zcmem_mem_write(world.hal, world.block - by, bytes, by + 1);
}

static enum zcmem_status write_under_1(void) {
  return write_under(1);
}

static enum zcmem_status write_under_32(void) {
  return write_under(32);
}

static enum zcmem_status write_under_mib(void) {
  return write_under(MISUSE_MIB);
}

static enum zcmem_status read_over_1(void) {
  return zcmem_mem_read(world.hal, bytes, world.block, MISUSE_BYTES + 1);
}

static enum zcmem_status read_over_mib(void) {
  return zcmem_mem_read(world.hal, bytes, world.block, MISUSE_BYTES + MISUSE_MIB);
}

static enum zcmem_status read_slack(void) {
  return zcmem_mem_read(world.hal, bytes, world.block + MISUSE_BYTES, 1);
}

static enum zcmem_status fill_over_32(void) {
  return zcmem_mem_fill(world.hal, world.block, "abc", 3, MISUSE_BYTES + 32);
}

static enum zcmem_status copy_over_source(void) {
  return zcmem_mem_copy(world.hal, world.left, world.block, MISUSE_BYTES + 1);
}

static enum zcmem_status copy_over_destination(void) {
  return zcmem_mem_copy(world.hal, world.block, world.left, MISUSE_BYTES + 1);
}

static enum zcmem_status copy_over_far(void) {
  return zcmem_mem_copy(world.hal, world.far, world.left, MISUSE_BYTES + 32);
}

static enum zcmem_status write_over_far(void) {
  return zcmem_mem_write(world.hal, world.far, bytes, MISUSE_BYTES + 1);
}

static enum zcmem_status fill_wraps(void) {
  return zcmem_mem_fill(world.hal, world.block, "x", 1, UINT64_MAX);
}

static enum zcmem_status copy_wraps(void) {
  return zcmem_mem_copy(world.hal, world.left, world.block, UINT64_MAX - 10);
}

static enum zcmem_status read_wraps(void) {
  return zcmem_mem_read(world.hal, bytes, world.block, UINT64_MAX);
}

/* -------------------------------------------------------------------------------------------------- arguments -- */

static void in_no_region(void) {
  world.addr = 0x1234560000000000u;
}

static enum zcmem_status read_to_null(void) {
  return zcmem_mem_read(world.hal, NULL, world.block, 100);
}

static enum zcmem_status write_from_null(void) {
  return zcmem_mem_write(world.hal, world.block, NULL, 100);
}

static enum zcmem_status fill_with_nothing(void) {
  return zcmem_mem_fill(world.hal, world.block, "x", 0, 100);
}

static void blind(void) {
  world.addr = misuse_alloc(MISUSE_BLIND, MISUSE_BYTES);
}

static void failing(void) {
  world.addr = world.far;
  fake.fail_callback_in = 1;
}

static void alloc_inside(void *arg) {
  (void)arg;
  hal_addr_t addr = misuse_alloc(MISUSE_FAR, 100);
  world.answered = zcmem_mem_free(world.hal, addr);
}

/* Not wrong here; elsewhere it is a dead lock. */
static enum zcmem_status call_within_a_callback(void) {
  unsigned char byte = 0;
  world.answered = ZCMEM_EIO;
  world.regions[MISUSE_FAR].inside = alloc_inside;
  assert_ok(zcmem_mem_read(world.hal, &byte, world.far, 1));
  return world.answered;
}

/* ------------------------------------------------------------------------------------------------ translation -- */

static enum zcmem_status host_of_addr(void) {
  return zcmem_mem_host(world.hal, world.addr, 1, &world.host);
}

static enum zcmem_status host_past_the_end(void) {
  return zcmem_mem_host(world.hal, world.block, MISUSE_BYTES + 1, &world.host);
}

static enum zcmem_status host_of_far(void) {
  return zcmem_mem_host(world.hal, world.far, 1, &world.host);
}

static enum zcmem_status device_of_own(void) {
  return zcmem_mem_device(world.hal, bytes, &world.addr, NULL);
}

static enum zcmem_status device_of_freed(void) {
  hal_addr_t addr = 0;
  return zcmem_mem_device(world.hal, misuse_host(world.addr), &addr, NULL);
}

/* ----------------------------------------------------------------------------------------------------- stores -- */

/*
 * What a program stores through a host pointer no library sees. But no metadata is there to be hit: the checker and all
 * that is done after it find everything in order.
 */
static enum zcmem_status store_at(hal_addr_t addr, hal_size_t size) {
  memset(misuse_host(addr), 0xff, (size_t)size);
  return zcmem_hal_check(world.hal);
}

static enum zcmem_status store_over_1(void) {
  return store_at(world.block, MISUSE_BYTES + 25); /* the first byte that is another block's */
}

static enum zcmem_status store_over_32(void) {
  return store_at(world.block, MISUSE_BYTES + 24 + 32);
}

static enum zcmem_status store_over_mib(void) {
  return store_at(world.block, MISUSE_BYTES + MISUSE_MIB);
}

static enum zcmem_status store_under_1(void) {
  return store_at(world.block - 1, 1);
}

static enum zcmem_status store_under_32(void) {
  return store_at(world.block - 32, 32);
}

static enum zcmem_status store_under_mib(void) {
  return store_at(world.block - MISUSE_MIB, MISUSE_MIB);
}

static enum zcmem_status store_after_free(void) {
  return store_at(world.addr, MISUSE_BYTES);
}

#define STORED "not seen; no metadata is there"

const struct misuse misuse_transfer[] = {
    MISUSE("read after free", "zcmem_mem_read", ZCMEM_ENOENT, freed, read_addr),
    MISUSE("write after free", "zcmem_mem_write", ZCMEM_ENOENT, freed, write_addr),
    MISUSE("fill after free", "zcmem_mem_fill", ZCMEM_ENOENT, freed, fill_addr),
    MISUSE("copy from a freed block", "zcmem_mem_copy", ZCMEM_ENOENT, freed, copy_from_addr),
    MISUSE("copy into a freed block", "zcmem_mem_copy", ZCMEM_ENOENT, freed, copy_to_addr),
    MISUSE("write 1 byte past the end", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_over_1),
    MISUSE("write 32 bytes past the end", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_over_32),
    MISUSE("write 1 MiB past the end", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_over_mib),
    MISUSE("write from 1 byte before the block", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_under_1),
    MISUSE("write from 32 bytes before the block", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_under_32),
    MISUSE("write from 1 MiB before the block", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_under_mib),
    MISUSE("read 1 byte past the end", "zcmem_mem_read", ZCMEM_EBOUNDS, NULL, read_over_1),
    MISUSE("read 1 MiB past the end", "zcmem_mem_read", ZCMEM_EBOUNDS, NULL, read_over_mib),
    MISUSE("read of bytes occupied but not asked for", "zcmem_mem_read", ZCMEM_EBOUNDS, NULL, read_slack),
    MISUSE("fill 32 bytes past the end", "zcmem_mem_fill", ZCMEM_EBOUNDS, NULL, fill_over_32),
    MISUSE("copy past the end of the source", "zcmem_mem_copy", ZCMEM_EBOUNDS, NULL, copy_over_source),
    MISUSE("copy past the end of the destination", "zcmem_mem_copy", ZCMEM_EBOUNDS, NULL, copy_over_destination),
    MISUSE("copy to another region, past the end", "zcmem_mem_copy", ZCMEM_EBOUNDS, NULL, copy_over_far),
    MISUSE("write past the end, through callbacks", "zcmem_mem_write", ZCMEM_EBOUNDS, NULL, write_over_far),
    MISUSE("fill of a range that wraps", "zcmem_mem_fill", ZCMEM_EBOUNDS, NULL, fill_wraps),
    MISUSE("copy of a range that wraps", "zcmem_mem_copy", ZCMEM_EBOUNDS, NULL, copy_wraps),
    MISUSE("read into host memory that wraps", "zcmem_mem_read", ZCMEM_EINVAL, NULL, read_wraps),
    MISUSE("read of an address in no region", "zcmem_mem_read", ZCMEM_ENOENT, in_no_region, read_addr),
    MISUSE("copy from an address in no region", "zcmem_mem_copy", ZCMEM_ENOENT, in_no_region, copy_from_addr),
    MISUSE("read into NULL", "zcmem_mem_read", ZCMEM_EINVAL, NULL, read_to_null),
    MISUSE("write from NULL", "zcmem_mem_write", ZCMEM_EINVAL, NULL, write_from_null),
    MISUSE("fill with a pattern of no bytes", "zcmem_mem_fill", ZCMEM_EINVAL, NULL, fill_with_nothing),
    MISUSE_NOTED("read of no bytes after free", "zcmem_mem_read", ZCMEM_OK, freed, read_nothing, "nothing is done"),
    MISUSE("transfer in a region without any way", "zcmem_mem_read", ZCMEM_ENOTMAPPED, blind, read_addr),
    MISUSE("transfer whose callback fails", "zcmem_mem_read", ZCMEM_EIO, failing, read_addr),
    MISUSE_CHANGES("calls of the facade within a callback", "zcmem_mem_alloc", ZCMEM_OK, NULL, call_within_a_callback,
                   "no lock is held there"),
    MISUSE("pointer to a freed block", "zcmem_mem_host", ZCMEM_ENOENT, freed, host_of_addr),
    MISUSE("pointer to a range past the end", "zcmem_mem_host", ZCMEM_EBOUNDS, NULL, host_past_the_end),
    MISUSE("pointer to memory that is not mapped", "zcmem_mem_host", ZCMEM_ENOTMAPPED, NULL, host_of_far),
    MISUSE("address of a pointer that is not the region's", "zcmem_mem_device", ZCMEM_ENOTMAPPED, NULL, device_of_own),
    MISUSE("address of a pointer to a freed block", "zcmem_mem_device", ZCMEM_ENOENT, freed, device_of_freed),
    MISUSE_CHANGES("store 1 byte past the end", "zcmem_hal_check", ZCMEM_OK, NULL, store_over_1, STORED),
    MISUSE_CHANGES("store 32 bytes past the end", "zcmem_hal_check", ZCMEM_OK, NULL, store_over_32, STORED),
    MISUSE_CHANGES("store 1 MiB past the end", "zcmem_hal_check", ZCMEM_OK, NULL, store_over_mib, STORED),
    MISUSE_CHANGES("store 1 byte before the block", "zcmem_hal_check", ZCMEM_OK, NULL, store_under_1, STORED),
    MISUSE_CHANGES("store 32 bytes before the block", "zcmem_hal_check", ZCMEM_OK, NULL, store_under_32, STORED),
    MISUSE_CHANGES("store 1 MiB before the block", "zcmem_hal_check", ZCMEM_OK, NULL, store_under_mib, STORED),
    MISUSE_CHANGES("store after free", "zcmem_hal_check", ZCMEM_OK, freed, store_after_free, STORED),
    MISUSE_END,
};
