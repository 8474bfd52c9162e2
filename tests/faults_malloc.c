/* SPDX-License-Identifier: MIT */
/* Fault injection: malloc for device memory, and the device that it makes; the answer is what the handler is told. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "faults.h"
#include <zcmem/ti_malloc.h>

#define DRAM ((uint32_t)ZCMEM_KIND_DRAM)
#define DIRECT FAULTS_WAY(FAKE_MAP_DIRECT)
#define NOTHING FAULTS_WAY(FAKE_NOTHING)

/* The told status, or OK with the pointer kept. */
static enum zcmem_status got(void *ptr) {
  if (ptr != NULL) {
    faults.host = ptr;
  } else {
    assert_true(faults.told != ZCMEM_OK);
  }
  return faults.told;
}

static enum zcmem_status alloc(void) {
  return got(zcmem_malloc(DRAM, FAULTS_BYTES));
}

static enum zcmem_status alloc_nothing(void) {
  return got(zcmem_malloc(DRAM, 0));
}

static enum zcmem_status alloc_aligned(void) {
  return got(zcmem_aligned_alloc(DRAM, 1024, FAULTS_BYTES));
}

static enum zcmem_status alloc_zeroed(void) {
  return got(zcmem_calloc(DRAM, 3, 100));
}

static enum zcmem_status alloc_ddr(void) {
  return got(__malloc_ddr(FAULTS_BYTES));
}

static enum zcmem_status alloc_msmc(void) {
  return got(__malloc_msmc(FAULTS_BYTES));
}

static void free_host(void) {
  faults.told = ZCMEM_OK; /* a call may have succeeded and told something */
  zcmem_free(DRAM, faults.host);
  assert_ok(faults.told);
}

static void free_msmc_host(void) {
  __free_msmc(faults.host);
  assert_ok(faults.told);
}

/* Where the target was, so that bytes that are written are the target's. */
static void free_target(void) {
  assert_ok(zcmem_mem_free(faults.hal, faults.addr));
}

static void make(void) {
  free_target();
  assert_ok(alloc());
}

static enum zcmem_status free_it(void) {
  zcmem_free(DRAM, faults.host);
  return faults.told;
}

static enum zcmem_status free_ddr(void) {
  __free_ddr(faults.host);
  return faults.told;
}

static enum zcmem_status free_msmc(void) {
  __free_msmc(faults.host);
  return faults.told;
}

/* ---------------------------------------------------------------------------------------------------- realloc -- */

static bool has_moved;

static enum zcmem_status resize(size_t size) {
  void *ptr = zcmem_realloc(DRAM, faults.host, size);
  has_moved = ptr != NULL; /* which it may have although something is told */
  faults.host = has_moved ? ptr : faults.host;
  return faults.told;
}

static enum zcmem_status grow(void) {
  return resize(1000);
}

static void make_before_another(void) {
  hal_addr_t behind = 0;
  make();
  assert_ok(zcmem_mem_alloc(faults.hal, 0, 100, 1, &behind));
}

static enum zcmem_status size_of(void) {
  size_t size = zcmem_malloc_size(faults.host);
  assert_true(size == FAULTS_BYTES || size == 0);
  return size == 0 ? ZCMEM_ELOCK : ZCMEM_OK; /* it has no status */
}

/* ------------------------------------------------------------------------------------- the device that is made -- */

static void leave_none(void) {
  assert_int_equal(setenv("ZCMEM_DDR_BYTES", "64K", 1), 0);
  assert_int_equal(setenv("ZCMEM_MSMC_BYTES", "64K", 1), 0);
  assert_ok(zcmem_malloc_set_hal(NULL));
}

static void free_and_leave_none(void) {
  free_host();
  assert_ok(zcmem_malloc_set_hal(NULL));
}

static void free_msmc_and_leave_none(void) {
  free_msmc_host();
  assert_ok(zcmem_malloc_set_hal(NULL));
}

static enum zcmem_status make_hal(void) {
  struct zcmem_hal *hal = zcmem_malloc_hal();
  assert_true(hal != NULL || faults.told != ZCMEM_OK);
  return faults.told;
}

static void end_made(void) {
  assert_ok(zcmem_malloc_set_hal(NULL));
}

static void have_made(void) {
  leave_none();
  assert_ok(make_hal());
}

static void have_msmc(void) {
  leave_none();
  assert_ok(alloc_msmc());
}

static void have_ddr(void) {
  leave_none();
  assert_ok(alloc_ddr());
}

static enum zcmem_status set_hal(void) {
  return zcmem_malloc_set_hal(faults.hal);
}

static void on_report(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)function;
  (void)ptr;
  (void)size;
  *(enum zcmem_status *)ctx = status;
}

static enum zcmem_status set_handler(void) {
  zcmem_malloc_set_handler(on_report, &faults.told);
  return ZCMEM_OK;
}

/* The lock failed, and again when what was taken was to be given back: the block stays mapped, or in use. */
static bool mapping_is_left(enum zcmem_status status) {
  if (!faults.lasting) {
    return false;
  }
  for (uint32_t i = 0; i < FAULTS_MAX_MAPPINGS; i++) {
    const struct zcmem__mapping *entry = &faults.hal->map.entries[i];
    if (zcmem__mapping_state_of(entry) == ZCMEM__MAPPING_LIVE && entry->host != faults.host) {
      hal_addr_t addr = entry->addr;
      assert_status(status, ZCMEM_ELOCK);
      assert_ok(zcmem_mem_unmap(faults.hal, entry->host));
      assert_ok(zcmem_mem_free(faults.hal, addr));
      return true;
    }
  }
  return false;
}

/* The same of the new block, where the old one stays. */
static bool new_mapping_is_left(enum zcmem_status status) {
  return !has_moved && mapping_is_left(status);
}

/* The device was made, and the lock of its region failed: it stays, for the next call. */
static bool device_is_left(enum zcmem_status status) {
  if (faults_host_memory() == 0) {
    return false;
  }
  assert_status(status, ZCMEM_ELOCK);
  faults.told = ZCMEM_OK;
  assert_ok(alloc());
  free_and_leave_none();
  return true;
}

#define OP(function, variant, ways, others, rules, prepare, call, undo)                                                \
  { function, variant, ways, others, rules, prepare, call, undo, NULL }
#define ALLOC(function, variant, rules, call)                                                                          \
  {                                                                                                                    \
    function, variant, FAULTS_HOST_WAY | DIRECT, NOTHING, FAULTS_AGAIN | FAULTS_BACK | FAULTS_CUSTOM | (rules),        \
        free_target, call, free_host, mapping_is_left                                                                  \
  }
#define FIRST(function, call, undo)                                                                                    \
  { function, "makes a device", FAULTS_HOST_WAY, NOTHING, FAULTS_CUSTOM, leave_none, call, undo, device_is_left }

const struct faults_operation faults_malloc[] = {
    ALLOC("zcmem_malloc", "", 0, alloc),
    ALLOC("zcmem_malloc", "of no bytes", 0, alloc_nothing),
    OP("zcmem_malloc", "from two regions", FAULTS_HOST_WAY | DIRECT, FAULTS_HOST_WAY | DIRECT,
       FAULTS_AGAIN | FAULTS_BACK | FAULTS_ELSEWHERE, free_target, alloc, free_host),
    FIRST("zcmem_malloc", alloc, free_and_leave_none),
    OP("zcmem_aligned_alloc", "", FAULTS_HOST_WAY, NOTHING, FAULTS_AGAIN | FAULTS_BACK | FAULTS_ELSEWHERE, free_target,
       alloc_aligned, free_host),
    ALLOC("zcmem_calloc", "", FAULTS_MOVES, alloc_zeroed),
    OP("zcmem_realloc", "longer, in place", FAULTS_HOST_WAY, NOTHING, 0, make, grow, free_host),
    {"zcmem_realloc", "moves", FAULTS_HOST_WAY | DIRECT, NOTHING,
     FAULTS_AGAIN | FAULTS_BACK | FAULTS_CLOSED | FAULTS_MOVES | FAULTS_CUSTOM, make_before_another, grow, free_host,
     new_mapping_is_left},
    OP("zcmem_free", "", FAULTS_HOST_WAY | DIRECT, NOTHING, FAULTS_AGAIN | FAULTS_CLOSED, make, free_it, NULL),
    OP("zcmem_malloc_size", "", FAULTS_HOST_WAY | DIRECT, NOTHING, 0, make, size_of, free_host),
    OP("zcmem_malloc_size", "with the lock", FAULTS_HOST_WAY | DIRECT, NOTHING, FAULTS_DISTURB, make, size_of,
       free_host),
    OP("zcmem_malloc_hal", "", FAULTS_HOST_WAY, NOTHING, 0, leave_none, make_hal, end_made),
    OP("zcmem_malloc_set_hal", "", FAULTS_HOST_WAY, NOTHING, 0, have_made, set_hal, NULL),
    OP("zcmem_malloc_set_handler", "", FAULTS_HOST_WAY, NOTHING, 0, NULL, set_handler, NULL),
    ALLOC("__malloc_ddr", "", 0, alloc_ddr),
    OP("__free_ddr", "", FAULTS_HOST_WAY | DIRECT, NOTHING, FAULTS_AGAIN | FAULTS_CLOSED, make, free_ddr, NULL),
    OP("__free_ddr", "with a mutex", FAULTS_HOST_WAY, NOTHING, 0, have_ddr, free_ddr, end_made),
    FIRST("__malloc_msmc", alloc_msmc, free_msmc_and_leave_none),
    OP("__free_msmc", "", FAULTS_HOST_WAY, NOTHING, 0, have_msmc, free_msmc, end_made),
    FAULTS_END};
