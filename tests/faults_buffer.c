/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: buffers and views. Where a call puts bytes into a block of its own, that block takes the place of
 * the target.
 */
#include "buffer_impl.h"
#include "faults.h"
#include <stdalign.h>

#define SEEN (FAULTS_HOST_WAY | FAULTS_WAY(FAKE_CACHED))
#define MAPPABLE (FAULTS_WAY(FAKE_OPS) | FAULTS_WAY(FAKE_MAP) | FAULTS_WAY(FAKE_MAP_DIRECT))
#define MOVING (FAULTS_ALL_WAYS & ~FAULTS_WAY(FAKE_NOTHING))
#define RW (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)
#define USE ZCMEM_BUFFER_USE_HOST

static unsigned char host_memory[FAULTS_BYTES];
static alignas(64) unsigned char table[16384];
static struct zcmem_buffers *another;

static struct zcmem_buffers_config table_config(void) {
  return (struct zcmem_buffers_config){.hal = faults.hal, .max_buffers = 4, .max_views = 4};
}

static struct zcmem_buffers_stats stats_of(struct zcmem_buffers *buffers) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_buffers_get_stats(buffers, &stats));
  return stats;
}

/* -------------------------------------------------------------------------------------------------- the table -- */

static enum zcmem_status bytes(void) {
  struct zcmem_buffers_config config = table_config();
  return zcmem_buffers_bytes(&config) > 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status init(void) {
  struct zcmem_buffers_config config = table_config();
  return zcmem_buffers_init(table, sizeof table, &config, &another);
}

static enum zcmem_status destroy(void) {
  return zcmem_buffers_destroy(another) == 0 ? ZCMEM_OK : ZCMEM_EBUSY;
}

static void destroy_another(void) {
  assert_ok(destroy());
}

static void make_another(void) {
  assert_ok(init());
}

static enum zcmem_status get_stats(void) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  return zcmem_buffers_get_stats(faults.buffers, &stats);
}

/* --------------------------------------------------------------------------------------------------- creating -- */

static enum zcmem_status create_with(uint32_t flags, void *host) {
  const struct zcmem_buffer_config config = {.flags = RW | flags, .region = 0, .host = host, .size = FAULTS_BYTES};
  zcmem_buffer_t made = 0;
  enum zcmem_status status = zcmem_buffer_create(faults.buffers, &config, &made);
  faults.buffer = status == ZCMEM_OK ? made : faults.buffer;
  return status;
}

static enum zcmem_status create_fresh(void) {
  return create_with(0, NULL);
}

static enum zcmem_status create_copied(void) {
  return create_with(ZCMEM_BUFFER_COPY_HOST, faults.bytes);
}

static enum zcmem_status create_visible(void) {
  return create_with(ZCMEM_BUFFER_ALLOC_HOST, NULL);
}

static enum zcmem_status create_shadow(void) {
  return create_with(USE, host_memory);
}

static enum zcmem_status create_over_target(void) {
  return create_with(USE, faults.host);
}

static void see_target(void) {
  assert_ok(zcmem_mem_host(faults.hal, faults.addr, FAULTS_BYTES, &faults.host));
}

/* What is allocated next lies where the target was. */
static void free_target(void) {
  assert_ok(zcmem_mem_free(faults.hal, faults.addr));
}

static void release_buffer(void) {
  assert_ok(zcmem_buffer_release(faults.buffers, faults.buffer));
}

static void assert_in_place_of_target(void) {
  struct zcmem_buffer_info info;
  assert_ok(zcmem_buffer_get_info(faults.buffers, faults.buffer, &info));
  assert_true(info.addr == faults.addr);
}

static void make_fresh(void) {
  free_target();
  assert_ok(create_fresh());
  assert_in_place_of_target();
}

static void make_shadow(void) {
  free_target();
  memset(host_memory, 0x33, sizeof host_memory);
  assert_ok(create_shadow());
  assert_in_place_of_target();
}

static void make_over_target(void) {
  see_target();
  assert_ok(create_over_target());
}

static enum zcmem_status create_sub(void) {
  return zcmem_buffer_create_sub(faults.buffers, faults.buffer, 0, 100, 50, &faults.sub);
}

static void make_fresh_and_sub(void) {
  make_fresh();
  assert_ok(create_sub());
}

static void release_sub(void) {
  assert_ok(zcmem_buffer_release(faults.buffers, faults.sub));
  faults.sub = 0;
}

static void release_both(void) {
  release_sub();
  release_buffer();
}

static enum zcmem_status retain(void) {
  return zcmem_buffer_retain(faults.buffers, faults.buffer);
}

static void release_twice(void) {
  release_buffer();
  release_buffer();
}

static enum zcmem_status release(void) {
  return zcmem_buffer_release(faults.buffers, faults.buffer);
}

static void make_two_references(void) {
  make_fresh();
  assert_ok(retain());
}

static enum zcmem_status get_info(void) {
  struct zcmem_buffer_info info;
  return zcmem_buffer_get_info(faults.buffers, faults.buffer, &info);
}

/* ELOCK of the region: the buffer is gone, and its block in use for good. */
static bool block_is_left(enum zcmem_status status) {
  struct zcmem_block_info block;
  if (stats_of(faults.buffers).buffers != 0 || zcmem_mem_info(faults.hal, faults.addr, &block) != ZCMEM_OK ||
      block.transfers != 1) {
    return false;
  }
  assert_status(status, ZCMEM_ELOCK);
  assert_ok(zcmem_heap_end_transfer(faults.hal->regions[0].heap, faults.addr, NULL));
  assert_ok(zcmem_mem_free(faults.hal, faults.addr));
  return true;
}

/* ----------------------------------------------------------------------------------------------------- views -- */

static enum zcmem_status begin(void) {
  return zcmem_buffer_begin(faults.buffers, faults.buffer, 0, FAULTS_BYTES, 0, NULL, &faults.view);
}

static enum zcmem_status end(void) {
  return zcmem_buffer_end(faults.buffers, faults.view.id);
}

static enum zcmem_status map(void) {
  return zcmem_buffer_map(faults.buffers, faults.buffer, 0, FAULTS_BYTES, ZCMEM_MAP_READ, NULL, &faults.view);
}

static enum zcmem_status unmap(void) {
  return zcmem_buffer_unmap(faults.buffers, faults.view.id);
}

static void end_and_release(void) {
  assert_ok(end());
  release_buffer();
}

static void unmap_and_release(void) {
  assert_ok(unmap());
  release_buffer();
}

static void begin_shadow(void) {
  make_shadow();
  assert_ok(begin());
}

static void begin_over_target(void) {
  make_over_target();
  assert_ok(begin());
}

/* The view is the last that has the buffer. */
static void begin_and_release(void) {
  make_fresh();
  assert_ok(begin());
  release_buffer();
}

static void map_fresh(void) {
  make_fresh();
  assert_ok(map());
}

static void map_over_target(void) {
  make_over_target();
  assert_ok(map());
}

/* A view that could not be closed: it is neither open nor unused, and nobody can end it. */
static bool view_is_left(enum zcmem_status status) {
  for (uint32_t i = 0; i < FAULTS_MAX_VIEWS; i++) {
    uint32_t state = zcmem__atomic_acquire(&faults.buffers->views[i].state);
    if (state == ZCMEM__VIEW_COPYING || state == ZCMEM__VIEW_ENDING) {
      assert_status(status, ZCMEM_ELOCK);
      assert_int_equal(stats_of(faults.buffers).views, 1);
      assert_true(faults.view.id == 0 || (end() == ZCMEM_ENOENT && unmap() == ZCMEM_ENOENT));
      return true;
    }
  }
  return false;
}

/* The same of a begin, where the lock must have failed once, and again when the view was to be closed. */
static bool begun_view_is_left(enum zcmem_status status) {
  return faults.lasting && view_is_left(status);
}

/* ELOCK of the mappings: the view is closed, and the range still mapped. */
static bool mapping_is_left(enum zcmem_status status) {
  hal_addr_t addr = 0;
  if (view_is_left(status)) {
    return true;
  }
  if (stats_of(faults.buffers).views != 0 || zcmem_mem_device(faults.hal, faults.view.host, &addr, NULL) != ZCMEM_OK) {
    return false;
  }
  assert_status(status, ZCMEM_ELOCK);
  assert_ok(zcmem_mem_unmap(faults.hal, faults.view.host));
  release_buffer();
  return true;
}

/* Destroy has no status: the range may be mapped still, and the block in use for good. */
static bool block_of_destroyed_is_left(enum zcmem_status status) {
  struct zcmem_heap *heap = faults.hal->regions[0].heap;
  assert_ok(status);
  if (zcmem_mem_unmap(faults.hal, faults.view.host) == ZCMEM_OK) {
    return true;
  }
  (void)zcmem_heap_unpin(heap, faults.addr, NULL);
  return zcmem_heap_end_transfer(heap, faults.addr, NULL) == ZCMEM_OK;
}

static void make_another_with_a_mapping(void) {
  const struct zcmem_buffer_config config = {.flags = RW, .region = 0, .size = FAULTS_BYTES};
  zcmem_buffer_t buffer = 0;
  free_target();
  make_another();
  assert_ok(zcmem_buffer_create(another, &config, &buffer));
  assert_ok(zcmem_buffer_map(another, buffer, 0, 100, ZCMEM_MAP_READ, NULL, &faults.view));
}

static enum zcmem_status destroy_with_a_buffer(void) {
  return zcmem_buffers_destroy(another) == 1 ? ZCMEM_OK : ZCMEM_EBUSY;
}

#define OP(function, variant, ways, rules, prepare, call, undo, left)                                                  \
  { function, variant, ways, FAULTS_HOST_WAY, rules, prepare, call, undo, left }

const struct faults_operation faults_buffer[] = {
    OP("zcmem_buffers_bytes", "", FAULTS_HOST_WAY, 0, NULL, bytes, NULL, NULL),
    OP("zcmem_buffers_init", "", FAULTS_HOST_WAY, 0, NULL, init, destroy_another, NULL),
    OP("zcmem_buffers_destroy", "", FAULTS_HOST_WAY, 0, make_another, destroy, NULL, NULL),
    OP("zcmem_buffers_get_stats", "", FAULTS_HOST_WAY, 0, NULL, get_stats, NULL, NULL),
    OP("zcmem_buffer_create", "fresh", FAULTS_HOST_WAY, FAULTS_AGAIN | FAULTS_BACK, free_target, create_fresh,
       release_buffer, NULL),
    OP("zcmem_buffer_create", "copied", MOVING, FAULTS_AGAIN | FAULTS_BACK | FAULTS_MOVES | FAULTS_TRANSFER,
       free_target, create_copied, release_buffer, NULL),
    OP("zcmem_buffer_create", "visible", SEEN | MAPPABLE, FAULTS_AGAIN | FAULTS_BACK, free_target, create_visible,
       release_buffer, NULL),
    OP("zcmem_buffer_create", "with a shadow", MOVING, FAULTS_AGAIN | FAULTS_BACK, free_target, create_shadow,
       release_buffer, NULL),
    OP("zcmem_buffer_create", "over a block", SEEN, FAULTS_AGAIN, see_target, create_over_target, release_buffer, NULL),
    OP("zcmem_buffer_create_sub", "", FAULTS_HOST_WAY, 0, make_fresh, create_sub, release_both, NULL),
    OP("zcmem_buffer_retain", "", FAULTS_HOST_WAY, 0, make_fresh, retain, release_twice, NULL),
    OP("zcmem_buffer_release", "not the last", FAULTS_HOST_WAY, 0, make_two_references, release, release_buffer, NULL),
    OP("zcmem_buffer_release", "the parent", FAULTS_HOST_WAY, 0, make_fresh_and_sub, release, release_sub, NULL),
    OP("zcmem_buffer_release", "the last", FAULTS_HOST_WAY, FAULTS_CUSTOM, make_fresh, release, NULL, block_is_left),
    OP("zcmem_buffer_get_info", "", FAULTS_HOST_WAY, 0, make_fresh, get_info, release_buffer, NULL),
    OP("zcmem_buffer_begin", "of a shadow", MOVING, FAULTS_MOVES | FAULTS_CUSTOM, make_shadow, begin, end_and_release,
       begun_view_is_left),
    OP("zcmem_buffer_begin", "of a block", SEEN, FAULTS_CUSTOM, make_over_target, begin, end_and_release,
       begun_view_is_left),
    OP("zcmem_buffer_end", "of a shadow", MOVING, FAULTS_MOVES | FAULTS_CLOSED | FAULTS_CUSTOM, begin_shadow, end,
       release_buffer, view_is_left),
    OP("zcmem_buffer_end", "of a block", SEEN, FAULTS_CLOSED | FAULTS_CUSTOM, begin_over_target, end, release_buffer,
       view_is_left),
    OP("zcmem_buffer_end", "of the last that has the buffer", FAULTS_HOST_WAY, FAULTS_CUSTOM, begin_and_release, end,
       NULL, block_is_left),
    OP("zcmem_buffer_map", "", MAPPABLE, FAULTS_AGAIN | FAULTS_CUSTOM, make_fresh, map, unmap_and_release,
       begun_view_is_left),
    OP("zcmem_buffer_map", "of a block", SEEN, FAULTS_CUSTOM, make_over_target, map, unmap_and_release,
       begun_view_is_left),
    OP("zcmem_buffer_unmap", "", MAPPABLE, FAULTS_AGAIN | FAULTS_CLOSED | FAULTS_CUSTOM, map_fresh, unmap,
       release_buffer, mapping_is_left),
    OP("zcmem_buffer_unmap", "of a block", SEEN, FAULTS_CUSTOM, map_over_target, unmap, release_buffer, view_is_left),
    OP("zcmem_buffers_destroy", "with a mapping", MAPPABLE, FAULTS_IGNORED | FAULTS_CUSTOM, make_another_with_a_mapping,
       destroy_with_a_buffer, NULL, block_of_destroyed_is_left),
    FAULTS_END};
