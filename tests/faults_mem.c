/* SPDX-License-Identifier: MIT */
/* Fault injection: the memory calls of hal.h. */
#include "faults.h"

#define HAL faults.hal
#define SEEN (FAULTS_HOST_WAY | FAULTS_WAY(FAKE_CACHED))
#define MAPPABLE (FAULTS_WAY(FAKE_OPS) | FAULTS_WAY(FAKE_MAP) | FAULTS_WAY(FAKE_MAP_DIRECT))
#define MOVING (FAULTS_ALL_WAYS & ~FAULTS_WAY(FAKE_NOTHING))
#define RW (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

static struct zcmem_block_info info;
static hal_addr_t found;

/* ------------------------------------------------------------------------------------------------- allocation -- */

static enum zcmem_status alloc(void) {
  return zcmem_mem_alloc(HAL, 0, 500, 1, &faults.made[0]);
}

static enum zcmem_status alloc_aligned(void) {
  return zcmem_mem_alloc(HAL, 0, 500, 2048, &faults.made[0]);
}

static enum zcmem_status alloc_preferred(void) {
  const uint32_t list[] = {1, 0};
  return zcmem_mem_alloc_preferred(HAL, list, 2, 500, 1, &faults.made[0]);
}

static enum zcmem_status alloc_kind(void) {
  return zcmem_mem_alloc_kind(HAL, ZCMEM_KIND_DRAM, 500, 1, &faults.made[0]);
}

static void free_made(void) {
  assert_ok(zcmem_mem_free(HAL, faults.made[0]));
}

static enum zcmem_status alloc_batch(void) {
  const struct zcmem_batch_item items[3] = {{100, 1}, {1000, 1}, {300, 256}};
  return zcmem_mem_alloc_batch(HAL, 0, items, 3, faults.made);
}

static void free_made_batch(void) {
  uint32_t freed = 0;
  assert_ok(zcmem_mem_free_batch(HAL, faults.made, 3, &freed));
  assert_int_equal(freed, 3);
}

static void make_batch(void) {
  assert_ok(alloc_batch());
}

static enum zcmem_status free_batch(void) {
  uint32_t freed = 7;
  enum zcmem_status status = zcmem_mem_free_batch(HAL, faults.made, 3, &freed);
  assert_int_equal(freed, status == ZCMEM_OK ? 3 : 0);
  return status;
}

/* A run of addresses in each region, so two holds of a lock. */
static enum zcmem_status free_batch_of_two(void) {
  const hal_addr_t addrs[2] = {faults.addr, faults.other};
  return zcmem_mem_free_batch(HAL, addrs, 2, NULL);
}

/* The run whose lock failed is as it was, the other one is freed. */
static bool freed_the_others(enum zcmem_status status) {
  enum zcmem_status first = zcmem_mem_free(HAL, faults.addr), second = zcmem_mem_free(HAL, faults.other);
  assert_status(status, ZCMEM_ELOCK);
  assert_true(first == ZCMEM_OK || second == ZCMEM_OK);
  assert_true((first == ZCMEM_OK || first == ZCMEM_ENOENT) && (second == ZCMEM_OK || second == ZCMEM_ENOENT));
  return true;
}

static enum zcmem_status free_addr(void) {
  return zcmem_mem_free(HAL, faults.addr);
}

static enum zcmem_status free_deferred(void) {
  return zcmem_mem_free_deferred(HAL, faults.addr);
}

static void pin_target(void) {
  assert_ok(zcmem_mem_pin(HAL, faults.addr));
}

static void unpin_target(void) {
  assert_ok(zcmem_mem_unpin(HAL, faults.addr));
}

static enum zcmem_status grow(void) {
  return zcmem_mem_resize(HAL, faults.addr, 1000);
}

static enum zcmem_status shrink(void) {
  return zcmem_mem_resize(HAL, faults.addr, 1);
}

static void resize_back(void) {
  assert_ok(zcmem_mem_resize(HAL, faults.addr, FAULTS_BYTES));
}

static enum zcmem_status pin(void) {
  return zcmem_mem_pin(HAL, faults.addr);
}

static enum zcmem_status unpin(void) {
  return zcmem_mem_unpin(HAL, faults.addr + 1);
}

/* The last use of a block that was freed. */
static void doom_target(void) {
  pin_target();
  assert_ok(free_deferred());
}

/* ------------------------------------------------------------------------------------------------ translation -- */

static enum zcmem_status look_at_block(void) {
  return zcmem_mem_info(HAL, faults.addr + 1, &info);
}

static enum zcmem_status to_host(void) {
  return zcmem_mem_host(HAL, faults.addr, 10, &faults.host);
}

static void see_target(void) {
  assert_ok(to_host());
}

static enum zcmem_status to_device(void) {
  enum zcmem_status status = zcmem_mem_device(HAL, faults.host, &found, NULL);
  assert_true(status != ZCMEM_OK || found == faults.addr);
  return status;
}

static enum zcmem_status locate(void) {
  struct zcmem_place place;
  return zcmem_mem_locate(HAL, faults.host, &place);
}

static enum zcmem_status map(void) {
  return zcmem_mem_map(HAL, faults.addr, 100, RW, &faults.host);
}

static void map_target(void) {
  assert_ok(map());
}

static void map_target_twice(void) {
  map_target();
  map_target();
}

static enum zcmem_status unmap(void) {
  return zcmem_mem_unmap(HAL, faults.host);
}

static void unmap_target(void) {
  assert_ok(unmap());
}

static void unmap_target_twice(void) {
  unmap_target();
  unmap_target();
}

/* ------------------------------------------------------------------------------------------------- transfers -- */

static enum zcmem_status read(void) {
  unsigned char to[FAULTS_BYTES];
  return zcmem_mem_read(HAL, to, faults.addr, FAULTS_BYTES);
}

static enum zcmem_status write(void) {
  return zcmem_mem_write(HAL, faults.addr, faults.bytes, FAULTS_BYTES);
}

static enum zcmem_status fill(void) {
  return zcmem_mem_fill(HAL, faults.addr, "abcdefg", 7, FAULTS_BYTES);
}

static enum zcmem_status copy(void) {
  return zcmem_mem_copy(HAL, faults.addr, faults.other, FAULTS_BYTES);
}

/* Within a block: where the ranges overlap a second one must do what the first one did, so not by shifting bytes. */
static enum zcmem_status copy_within(void) {
  return zcmem_mem_copy(HAL, faults.addr + 150, faults.addr, 150);
}

#define WITH(function, variant, ways, rules, prepare, call, undo)                                                      \
  { function, variant, ways, FAULTS_HOST_WAY, rules, prepare, call, undo, NULL }
#define TRANSFER(function, call)                                                                                       \
  WITH(function, "", MOVING, FAULTS_MOVES | FAULTS_DETOUR | FAULTS_TRANSFER, NULL, call, NULL),                        \
      WITH(function, "the first one", MOVING, FAULTS_MOVES | FAULTS_DETOUR | FAULTS_VIRGIN | FAULTS_TRANSFER, NULL,    \
           call, NULL),                                                                                                \
      WITH(function, "with the lock", MOVING, FAULTS_MOVES | FAULTS_DETOUR | FAULTS_DISTURB | FAULTS_USE, NULL, call,  \
           NULL)

const struct faults_operation faults_mem[] = {
    WITH("zcmem_mem_alloc", "", FAULTS_HOST_WAY, 0, NULL, alloc, free_made),
    WITH("zcmem_mem_alloc", "aligned", FAULTS_HOST_WAY, 0, NULL, alloc_aligned, free_made),
    WITH("zcmem_mem_alloc_preferred", "", FAULTS_HOST_WAY, FAULTS_ELSEWHERE, NULL, alloc_preferred, free_made),
    WITH("zcmem_mem_alloc_kind", "", FAULTS_HOST_WAY, FAULTS_ELSEWHERE, NULL, alloc_kind, free_made),
    WITH("zcmem_mem_alloc_batch", "", FAULTS_HOST_WAY, 0, NULL, alloc_batch, free_made_batch),
    WITH("zcmem_mem_free_batch", "", FAULTS_HOST_WAY, 0, make_batch, free_batch, NULL),
    {"zcmem_mem_free_batch", "in two regions", FAULTS_HOST_WAY, FAULTS_HOST_WAY, FAULTS_CUSTOM, NULL, free_batch_of_two,
     NULL, freed_the_others},
    WITH("zcmem_mem_free", "", FAULTS_HOST_WAY, 0, NULL, free_addr, NULL),
    WITH("zcmem_mem_free_deferred", "", FAULTS_HOST_WAY, 0, NULL, free_deferred, NULL),
    WITH("zcmem_mem_free_deferred", "of a pinned block", FAULTS_HOST_WAY, 0, pin_target, free_deferred, unpin_target),
    WITH("zcmem_mem_resize", "longer", FAULTS_HOST_WAY, 0, NULL, grow, resize_back),
    WITH("zcmem_mem_resize", "shorter", FAULTS_HOST_WAY, 0, NULL, shrink, resize_back),
    WITH("zcmem_mem_pin", "", FAULTS_HOST_WAY, 0, NULL, pin, unpin_target),
    WITH("zcmem_mem_unpin", "", FAULTS_HOST_WAY, 0, pin_target, unpin, NULL),
    WITH("zcmem_mem_unpin", "of a zombie", FAULTS_HOST_WAY, 0, doom_target, unpin, NULL),
    WITH("zcmem_mem_info", "", FAULTS_HOST_WAY, 0, NULL, look_at_block, NULL),
    WITH("zcmem_mem_info", "with the lock", FAULTS_HOST_WAY, FAULTS_DISTURB, NULL, look_at_block, NULL),
    WITH("zcmem_mem_host", "", SEEN, 0, NULL, to_host, NULL),
    WITH("zcmem_mem_host", "with the lock", SEEN, FAULTS_DISTURB, NULL, to_host, NULL),
    WITH("zcmem_mem_device", "", SEEN, 0, see_target, to_device, NULL),
    WITH("zcmem_mem_device", "with the lock", SEEN, FAULTS_DISTURB, see_target, to_device, NULL),
    WITH("zcmem_mem_device", "of a mapping, with the lock", MAPPABLE, FAULTS_DISTURB, map_target, to_device,
         unmap_target),
    WITH("zcmem_mem_locate", "", SEEN, 0, see_target, locate, NULL),
    WITH("zcmem_mem_locate", "with the lock", SEEN, FAULTS_DISTURB, see_target, locate, NULL),
    WITH("zcmem_mem_map", "", SEEN | MAPPABLE, FAULTS_AGAIN, NULL, map, unmap_target),
    WITH("zcmem_mem_map", "of a range that is mapped", SEEN | MAPPABLE, FAULTS_AGAIN, map_target, map,
         unmap_target_twice),
    WITH("zcmem_mem_unmap", "", SEEN | MAPPABLE, FAULTS_AGAIN | FAULTS_CLOSED, map_target, unmap, NULL),
    WITH("zcmem_mem_unmap", "of one that is mapped twice", SEEN | MAPPABLE, FAULTS_AGAIN | FAULTS_CLOSED,
         map_target_twice, unmap, unmap_target),
    TRANSFER("zcmem_mem_read", read),
    TRANSFER("zcmem_mem_write", write),
    TRANSFER("zcmem_mem_fill", fill),
    TRANSFER("zcmem_mem_copy", copy_within),
    {"zcmem_mem_copy", "between regions", MOVING, MOVING, FAULTS_MOVES | FAULTS_DETOUR | FAULTS_TRANSFER, NULL, copy,
     NULL, NULL},
    {"zcmem_mem_copy", "between regions, with the lock", MOVING, FAULTS_HOST_WAY | FAULTS_WAY(FAKE_OPS),
     FAULTS_MOVES | FAULTS_DETOUR | FAULTS_DISTURB | FAULTS_USE, NULL, copy, NULL, NULL},
    FAULTS_END};
