/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: regions with hardening. They belong to a HAL of their own, made by `prepare`; what is left of it the
 * operations look at themselves.
 */
#include "faults.h"
#include <zcmem/hardening.h>

enum { REGION_BYTES = 8192, BLOCK_BYTES = 300 };
#define BASE (UINT64_C(7) << 32)

static unsigned char memory[REGION_BYTES];
static unsigned char before[REGION_BYTES];
static struct zcmem_hal *own;
static hal_addr_t addr, made, many[2];
static struct zcmem_handle handle;

static void make(uint32_t flags, hal_size_t red_zone, hal_size_t quarantine) {
  const struct zcmem_hal_config config = {
      .name = "hardened", .max_regions = 1, .lock = &fake_lock, .allocator = &fake_allocator};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT | flags,
                                             .base = BASE,
                                             .size = REGION_BYTES,
                                             .max_blocks = 8,
                                             .host = memory,
                                             .red_zone = red_zone,
                                             .quarantine = quarantine};
  assert_ok(zcmem_hal_create(&config, &region, 1, &own));
  assert_ok(zcmem_mem_alloc(own, 0, BLOCK_BYTES, 1, &addr));
  memset(memory + (addr - BASE), 0x5a, BLOCK_BYTES);
  memcpy(before, memory, sizeof memory);
}

static void make_plain(void) {
  make(ZCMEM_REGION_HANDLES, 64, 0);
  assert_ok(zcmem_mem_handle(own, addr, &handle));
}

static void make_with_all(void) {
  make(ZCMEM_REGION_HANDLES | ZCMEM_REGION_FILL | ZCMEM_REGION_POISON, 64, 1024);
  assert_ok(zcmem_mem_handle(own, addr, &handle));
}

/* Nearly all of it is in quarantine. */
static void make_full(void) {
  make(0, 64, REGION_BYTES);
  hal_addr_t large = 0;
  assert_ok(zcmem_mem_alloc(own, 0, 7000, 1, &large));
  assert_ok(zcmem_mem_free(own, large));
}

static void destroy(void) {
  assert_ok(zcmem_hal_check(own));
  (void)zcmem_hal_destroy(own);
}

/* ------------------------------------------------------------------------------------------------------ calls -- */

static enum zcmem_status alloc_when_full(void) {
  return zcmem_mem_alloc(own, 0, 7000, 1, &made);
}

static enum zcmem_status alloc_many_when_full(void) {
  static const struct zcmem_batch_item items[2] = {{3000, 1}, {3500, 1}};
  return zcmem_mem_alloc_batch(own, 0, items, 2, many);
}

static enum zcmem_status grow_when_full(void) {
  return zcmem_mem_resize(own, addr, 7000);
}

static enum zcmem_status free_plain(void) {
  return zcmem_mem_free(own, addr);
}

static enum zcmem_status free_by_handle(void) {
  return zcmem_mem_free_handle(own, handle);
}

static enum zcmem_status check_guards(void) {
  return zcmem_hal_check_guards(own, 0, true, NULL);
}

static enum zcmem_status get_handle(void) {
  struct zcmem_handle got;
  return zcmem_mem_handle(own, addr, &got);
}

static enum zcmem_status check_handle(void) {
  return zcmem_mem_check_handle(own, handle);
}

static enum zcmem_status pin_handle(void) {
  return zcmem_mem_pin_handle(own, handle);
}

static enum zcmem_status read_handle(void) {
  unsigned char bytes[BLOCK_BYTES];
  return zcmem_mem_read_handle(own, bytes, handle, 0, sizeof bytes);
}

static enum zcmem_status write_handle(void) {
  return zcmem_mem_write_handle(own, handle, 0, faults.bytes, BLOCK_BYTES);
}

/* Look-ups and transfers take the lock, as if other threads changed blocks all the time. */
static enum zcmem_status disturbed(enum zcmem_status (*call)(void)) {
  zcmem__atomic_change(&own->regions[0].version);
  enum zcmem_status status = call();
  zcmem__atomic_changed(&own->regions[0].version);
  return status;
}

static enum zcmem_status get_handle_locked(void) {
  return disturbed(get_handle);
}

static enum zcmem_status check_handle_locked(void) {
  return disturbed(check_handle);
}

/* ------------------------------------------------------------------------------------------------ what is left -- */

/* Either nothing has changed, or the block is poisoned and nobody's: the lock failed in between. */
static bool half_freed(enum zcmem_status status) {
  struct zcmem_block_info block;
  assert_status(status, ZCMEM_ELOCK);
  if (zcmem_mem_info(own, addr, &block) == ZCMEM_OK) {
    assert_memory_equal(memory, before, sizeof memory);
    return false;
  }
  for (unsigned i = 0; i < BLOCK_BYTES; i++) {
    assert_int_equal(memory[addr - BASE + i], 0xdd);
  }
  assert_status(zcmem_mem_free(own, addr), ZCMEM_ENOENT);
  assert_int_equal(zcmem_hal_destroy(own), 1);
  return true;
}

/* The transfer is done, or not begun; the block may be in use for good. */
static bool transferred(enum zcmem_status status) {
  assert_status(status, ZCMEM_ELOCK);
  assert_ok(zcmem_mem_check_handle(own, handle));
  destroy();
  return true;
}

static enum zcmem_status read_handle_locked(void) {
  return disturbed(read_handle);
}

static enum zcmem_status write_handle_locked(void) {
  return disturbed(write_handle);
}

#define OP(function, variant, prepare, call)                                                                           \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, 0, prepare, call, destroy, NULL }
#define OP_LEFT(function, variant, prepare, call, left)                                                                \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, FAULTS_CUSTOM, prepare, call, destroy, left }

const struct faults_operation faults_hardening[] = {
    OP("zcmem_mem_alloc", "out of a quarantine", make_full, alloc_when_full),
    OP("zcmem_mem_alloc_batch", "out of a quarantine", make_full, alloc_many_when_full),
    OP("zcmem_mem_resize", "into a quarantine", make_full, grow_when_full),
    OP("zcmem_mem_free", "with red zones", make_plain, free_plain),
    OP_LEFT("zcmem_mem_free", "with poison", make_with_all, free_plain, half_freed),
    OP("zcmem_mem_free_handle", "", make_plain, free_by_handle),
    OP_LEFT("zcmem_mem_free_handle", "with poison", make_with_all, free_by_handle, half_freed),
    OP("zcmem_hal_check_guards", "", make_with_all, check_guards),
    OP("zcmem_mem_handle", "", make_plain, get_handle),
    OP("zcmem_mem_handle", "with the lock", make_plain, get_handle_locked),
    OP("zcmem_mem_check_handle", "", make_plain, check_handle),
    OP("zcmem_mem_check_handle", "with the lock", make_plain, check_handle_locked),
    OP("zcmem_mem_pin_handle", "", make_plain, pin_handle),
    OP_LEFT("zcmem_mem_read_handle", "", make_plain, read_handle, transferred),
    OP_LEFT("zcmem_mem_read_handle", "with the lock", make_plain, read_handle_locked, transferred),
    OP_LEFT("zcmem_mem_write_handle", "", make_plain, write_handle, transferred),
    OP_LEFT("zcmem_mem_write_handle", "with the lock", make_plain, write_handle_locked, transferred),
    FAULTS_END};
