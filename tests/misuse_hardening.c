/* SPDX-License-Identifier: MIT */
/*
 * The mistakes that are not noticed without hardening, in a region with all of it: red zones, poison, quarantine,
 * handles. It lies beside the others of the world, with three neighbours, and is mended after each store.
 */
#include "misuse.h"
#include <zcmem/hardening.h>

#define BASE ((hal_addr_t)9 << 32)
#define BYTES (3 * MISUSE_MIB)

static unsigned char memory[BYTES];
static uint32_t region;
static hal_addr_t left, block, right;
static struct zcmem_handle stale;

static unsigned char *seen(hal_addr_t addr) {
  return memory + (addr - BASE);
}

static void open_with_quarantine(hal_size_t quarantine) {
  const struct zcmem_region_config config = {.name = "hardened",
                                             .kind = MISUSE_KIND_NONE,
                                             .flags = ZCMEM_REGION_COHERENT | ZCMEM_REGION_HANDLES | ZCMEM_REGION_FILL |
                                                      ZCMEM_REGION_POISON,
                                             .base = BASE,
                                             .size = BYTES,
                                             .max_blocks = 16,
                                             .host = memory,
                                             .red_zone = 128,
                                             .quarantine = quarantine};
  assert_ok(zcmem_hal_add_region(world.hal, &config, &region));
  left = misuse_alloc(region, MISUSE_MIB + MISUSE_BYTES);
  block = misuse_alloc(region, MISUSE_BYTES);
  right = misuse_alloc(region, MISUSE_MIB + MISUSE_BYTES);
  assert_true(left < block && block < right);
}

static void hardened(void) {
  open_with_quarantine(64 * MISUSE_KIB);
}

static void hardened_freed(void) {
  hardened();
  assert_ok(zcmem_mem_handle(world.hal, block, &stale));
  assert_ok(zcmem_mem_free(world.hal, block));
}

/* Without a quarantine the address is handed out at once; only its handle tells. */
static void hardened_reused(void) {
  open_with_quarantine(0);
  assert_ok(zcmem_mem_handle(world.hal, block, &stale));
  assert_ok(zcmem_mem_free(world.hal, block));
  assert_int_equal(misuse_alloc(region, MISUSE_BYTES), block);
}

static void assert_live(uint64_t count) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(world.hal, region, &stats));
  assert_int_equal(stats.live, count);
}

/* ----------------------------------------------------------------------------------------------------- stores -- */

static enum zcmem_status after_a_store(void) {
  enum zcmem_status status = zcmem_hal_check(world.hal);
  assert_status(zcmem_hal_check_guards(world.hal, region, true, NULL), status);
  assert_ok(zcmem_hal_check(world.hal));
  return status;
}

static enum zcmem_status store_in(hal_addr_t addr, hal_size_t size) {
  memset(seen(addr), 0xff, (size_t)size);
  return after_a_store();
}

static enum zcmem_status over_1(void) {
  return store_in(block, MISUSE_BYTES + 1);
}

static enum zcmem_status over_32(void) {
  return store_in(block, MISUSE_BYTES + 32);
}

static enum zcmem_status over_mib(void) {
  return store_in(block, MISUSE_BYTES + MISUSE_MIB);
}

static enum zcmem_status under_1(void) {
  return store_in(block - 1, 1);
}

static enum zcmem_status under_32(void) {
  return store_in(block - 32, 32);
}

static enum zcmem_status under_mib(void) {
  return store_in(block - MISUSE_MIB, MISUSE_MIB);
}

static enum zcmem_status after_free(void) {
  assert_int_equal(*seen(block), 0xdd);
  return store_in(block + 500, 1);
}

/* ------------------------------------------------------------------------------------------------------ calls -- */

/* The block stays until its region is mended. */
static enum zcmem_status free_damaged(void) {
  *seen(block + MISUSE_BYTES) = 0;
  enum zcmem_status status = zcmem_mem_free(world.hal, block);
  assert_live(3);
  (void)after_a_store();
  assert_ok(zcmem_mem_free(world.hal, block));
  return status;
}

static enum zcmem_status resize_damaged(void) {
  *seen(block - 1) = 0;
  enum zcmem_status status = zcmem_mem_resize(world.hal, block, 10);
  (void)after_a_store();
  assert_ok(zcmem_mem_resize(world.hal, block, 10));
  return status;
}

static enum zcmem_status free_again_after_others(void) {
  for (unsigned i = 0; i < 8; i++) { /* the address is not handed out */
    assert_true(misuse_alloc(region, MISUSE_BYTES) != block);
  }
  enum zcmem_status status = zcmem_mem_free(world.hal, block);
  assert_live(10);
  return status;
}

static enum zcmem_status free_stale(void) {
  enum zcmem_status status = zcmem_mem_free_handle(world.hal, stale);
  assert_live(3);
  return status;
}

static enum zcmem_status write_stale(void) {
  unsigned char byte = 1;
  enum zcmem_status status = zcmem_mem_write_handle(world.hal, stale, 0, &byte, 1);
  assert_int_equal(*seen(block), 0xcd);
  return status;
}

static enum zcmem_status read_stale(void) {
  unsigned char byte = 1;
  return zcmem_mem_read_handle(world.hal, &byte, stale, 0, 1);
}

static enum zcmem_status pin_stale(void) {
  return zcmem_mem_pin_handle(world.hal, stale);
}

const struct misuse misuse_hardening[] = {
    MISUSE("hardened: double free, after the address was reused", "zcmem_mem_free_handle", ZCMEM_ENOENT,
           hardened_reused, free_stale),
    MISUSE("hardened: double free, after allocations of the same size", "zcmem_mem_free", ZCMEM_ENOENT, hardened_freed,
           free_again_after_others),
    MISUSE("hardened: read after the address was reused", "zcmem_mem_read_handle", ZCMEM_ENOENT, hardened_reused,
           read_stale),
    MISUSE("hardened: write after the address was reused", "zcmem_mem_write_handle", ZCMEM_ENOENT, hardened_reused,
           write_stale),
    MISUSE("hardened: pin after the address was reused", "zcmem_mem_pin_handle", ZCMEM_ENOENT, hardened_reused,
           pin_stale),
    MISUSE("hardened: store 1 byte past the end", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened, over_1),
    MISUSE("hardened: store 32 bytes past the end", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened, over_32),
    MISUSE("hardened: store 1 MiB past the end", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened, over_mib),
    MISUSE("hardened: store 1 byte before the block", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened, under_1),
    MISUSE("hardened: store 32 bytes before the block", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened, under_32),
    MISUSE("hardened: store 1 MiB before the block", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened, under_mib),
    MISUSE("hardened: store after free", "zcmem_hal_check", ZCMEM_ECORRUPT, hardened_freed, after_free),
    MISUSE("hardened: free after a store past the end", "zcmem_mem_free", ZCMEM_ECORRUPT, hardened, free_damaged),
    MISUSE("hardened: resize after a store before the block", "zcmem_mem_resize", ZCMEM_ECORRUPT, hardened,
           resize_damaged),
    MISUSE_END};
