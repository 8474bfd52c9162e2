/* SPDX-License-Identifier: MIT */
/* Fault injection: heap.h, where nothing but a descriptor can be missing, and only an allocation needs one. */
#include "faults.h"
#include <stdalign.h>

#define HEAP faults.heap

static alignas(64) unsigned char image[FAULTS_IMAGE], copy[FAULTS_IMAGE];
static const struct zcmem_heap_config config = {.base = 0x100000, .size = 4096, .max_blocks = 8};
static struct zcmem_heap *another;
static struct zcmem_block_info info;

static enum zcmem_status bytes(void) {
  return zcmem_heap_bytes(&config) > 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status init(void) {
  return zcmem_heap_init(image, sizeof image, &config, &another);
}

static void make_copy(void) {
  assert_ok(init());
  memcpy(copy, image, sizeof copy);
}

static enum zcmem_status attach(void) {
  return zcmem_heap_attach(copy, zcmem_heap_bytes(&config), &another);
}

static enum zcmem_status alloc(void) {
  return zcmem_heap_alloc(HEAP, 200, 1, &faults.made[0]);
}

/* What is left before and behind it takes descriptors of its own, which max_blocks does not count. */
static enum zcmem_status alloc_aligned(void) {
  return zcmem_heap_alloc(HEAP, 200, 1024, &faults.made[0]);
}

static void free_made(void) {
  assert_ok(zcmem_heap_free(HEAP, faults.made[0]));
}

static enum zcmem_status free_block(void) {
  return zcmem_heap_free(HEAP, faults.addr_in_heap);
}

static enum zcmem_status free_deferred(void) {
  return zcmem_heap_free_deferred(HEAP, faults.addr_in_heap, NULL);
}

static enum zcmem_status grow(void) {
  return zcmem_heap_resize(HEAP, faults.addr_in_heap, 1000);
}

static enum zcmem_status shrink(void) {
  return zcmem_heap_resize(HEAP, faults.addr_in_heap, 1);
}

static void resize_back(void) {
  assert_ok(zcmem_heap_resize(HEAP, faults.addr_in_heap, FAULTS_BYTES));
}

/* Shorter, with a live block behind: what is given up is a free block of its own. */
static void make_neighbour(void) {
  assert_ok(alloc());
}

static void resize_back_and_free(void) {
  resize_back();
  free_made();
}

static enum zcmem_status reserve(void) {
  faults.made[0] = 0x10000 + 2048;
  return zcmem_heap_reserve(HEAP, faults.made[0], 100);
}

static enum zcmem_status find(void) {
  return zcmem_heap_find(HEAP, faults.addr_in_heap + 1, &info);
}

static enum zcmem_status largest(void) {
  return zcmem_heap_largest(HEAP) <= 4096 ? ZCMEM_OK : ZCMEM_ECORRUPT;
}

static enum zcmem_status get_info(void) {
  struct zcmem_heap_info heap_info;
  return zcmem_heap_get_info(HEAP, &heap_info);
}

static enum zcmem_status pin(void) {
  return zcmem_heap_pin(HEAP, faults.addr_in_heap);
}

static enum zcmem_status unpin(void) {
  return zcmem_heap_unpin(HEAP, faults.addr_in_heap, NULL);
}

static enum zcmem_status begin_transfer(void) {
  return zcmem_heap_begin_transfer(HEAP, faults.addr_in_heap, 10, &info);
}

static enum zcmem_status end_transfer(void) {
  return zcmem_heap_end_transfer(HEAP, faults.addr_in_heap, NULL);
}

static void pin_block(void) {
  assert_ok(pin());
}

static void unpin_block(void) {
  assert_ok(unpin());
}

static void begin_on_block(void) {
  assert_ok(begin_transfer());
}

static void end_on_block(void) {
  assert_ok(end_transfer());
}

static enum zcmem_status set_tag(void) {
  return zcmem_heap_set_tag(HEAP, faults.addr_in_heap, 77);
}

static bool visit(void *ctx, const struct zcmem_block_info *block) {
  (void)ctx;
  return block->size > 0;
}

static enum zcmem_status walk(void) {
  return zcmem_heap_walk(HEAP, visit, NULL);
}

static enum zcmem_status check(void) {
  return zcmem_heap_check(HEAP);
}

static enum zcmem_status check_detail(void) {
  const char *broken = NULL;
  return zcmem_heap_check_detail(copy, zcmem_heap_bytes(&config), &broken);
}

/* Of the copy, so that the heap's bins and free descriptors stay in their order. */
static enum zcmem_status repair(void) {
  struct zcmem_repair_info done;
  return zcmem_heap_repair(copy, zcmem_heap_bytes(&config), &config, 0, &done);
}

#define OP(function, variant, prepare, call, undo)                                                                     \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, 0, prepare, call, undo, NULL }

const struct faults_operation faults_heap[] = {
    OP("zcmem_heap_bytes", "", NULL, bytes, NULL),
    OP("zcmem_heap_init", "", NULL, init, NULL),
    OP("zcmem_heap_attach", "", make_copy, attach, NULL),
    OP("zcmem_heap_alloc", "", NULL, alloc, free_made),
    OP("zcmem_heap_alloc", "aligned", NULL, alloc_aligned, free_made),
    OP("zcmem_heap_free", "", NULL, free_block, NULL),
    OP("zcmem_heap_free_deferred", "", NULL, free_deferred, NULL),
    OP("zcmem_heap_free_deferred", "of a pinned block", pin_block, free_deferred, unpin_block),
    OP("zcmem_heap_resize", "longer", NULL, grow, resize_back),
    OP("zcmem_heap_resize", "shorter", NULL, shrink, resize_back),
    OP("zcmem_heap_resize", "shorter, before a live block", make_neighbour, shrink, resize_back_and_free),
    OP("zcmem_heap_reserve", "", NULL, reserve, free_made),
    OP("zcmem_heap_find", "", NULL, find, NULL),
    OP("zcmem_heap_largest", "", NULL, largest, NULL),
    OP("zcmem_heap_get_info", "", NULL, get_info, NULL),
    OP("zcmem_heap_pin", "", NULL, pin, unpin_block),
    OP("zcmem_heap_unpin", "", pin_block, unpin, NULL),
    OP("zcmem_heap_begin_transfer", "", NULL, begin_transfer, end_on_block),
    OP("zcmem_heap_end_transfer", "", begin_on_block, end_transfer, NULL),
    OP("zcmem_heap_set_tag", "", NULL, set_tag, NULL),
    OP("zcmem_heap_walk", "", NULL, walk, NULL),
    OP("zcmem_heap_check", "", NULL, check, NULL),
    OP("zcmem_heap_check_detail", "", make_copy, check_detail, NULL),
    OP("zcmem_heap_repair", "", make_copy, repair, NULL),
    FAULTS_END};
