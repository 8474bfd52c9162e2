/* SPDX-License-Identifier: MIT */
/* Buffers and views that are stale, made up, overlapping, or larger than what they are made of. */
#include "misuse.h"

#define READ ZCMEM_BUFFER_READ
#define WRITE ZCMEM_BUFFER_WRITE
#define USE ZCMEM_BUFFER_USE_HOST

static struct zcmem_view none;

static enum zcmem_status create(uint32_t flags, uint32_t region, void *host, hal_size_t size, zcmem_buffer_t *buffer) {
  const struct zcmem_buffer_config config = {.flags = flags, .region = region, .host = host, .size = size};
  return zcmem_buffer_create(world.buffers, &config, buffer);
}

static enum zcmem_status begin(hal_size_t offset, hal_size_t size, uint32_t mode, struct zcmem_view *view) {
  return zcmem_buffer_begin(world.buffers, world.buffer, offset, size, mode, NULL, view);
}

/* A buffer that is `block`. */
static void made(void) {
  assert_ok(create(MISUSE_RW | USE, 0, misuse_host(world.block), MISUSE_BYTES, &world.buffer));
}

static void made_to_read(void) {
  assert_ok(create(READ | USE, 0, misuse_host(world.block), MISUSE_BYTES, &world.buffer));
}

static void released(void) {
  made();
  assert_ok(zcmem_buffer_release(world.buffers, world.buffer));
}

static void made_up(void) {
  world.buffer = 0x123456789abcdef0u;
}

static void opened(void) {
  made();
  assert_ok(begin(0, 500, WRITE, &world.view));
}

static void ended(void) {
  opened();
  assert_ok(zcmem_buffer_end(world.buffers, world.view.id));
}

static void mapped(void) {
  made();
  assert_ok(zcmem_buffer_map(world.buffers, world.buffer, 0, 500, ZCMEM_MAP_WRITE, NULL, &world.view));
}

static void all_views_open(void) {
  made();
  for (unsigned i = 0; i < MISUSE_VIEWS; i++) {
    assert_ok(begin(0, 1, READ, &world.view));
  }
}

static void released_within_a_view(void) {
  opened();
  assert_ok(zcmem_buffer_release(world.buffers, world.buffer));
}

/* ---------------------------------------------------------------------------------------------------- creating -- */

static void freed(void) {
  world.addr = misuse_alloc(MISUSE_DRAM, MISUSE_BYTES);
  assert_ok(zcmem_mem_free(world.hal, world.addr));
}

static enum zcmem_status create_over_freed(void) {
  return create(MISUSE_RW | USE, 0, misuse_host(world.addr), 100, &world.buffer);
}

static enum zcmem_status create_too_long(void) {
  return create(MISUSE_RW | USE, 0, misuse_host(world.block) + 1, MISUSE_BYTES, &world.buffer);
}

static enum zcmem_status create_over_null(void) {
  return create(MISUSE_RW | USE, 0, NULL, 100, &world.buffer);
}

static enum zcmem_status create_of_nothing(void) {
  return create(MISUSE_RW, MISUSE_DRAM, NULL, 0, &world.buffer);
}

static enum zcmem_status create_for_nothing(void) {
  return create(0, MISUSE_DRAM, NULL, 100, &world.buffer);
}

static enum zcmem_status create_nowhere(void) {
  return create(MISUSE_RW, 77, NULL, 100, &world.buffer);
}

static enum zcmem_status create_unseen(void) {
  return create(MISUSE_RW | ZCMEM_BUFFER_ALLOC_HOST, MISUSE_BLIND, NULL, 100, &world.buffer);
}

static enum zcmem_status create_into_region(void) {
  return create(MISUSE_RW | USE, MISUSE_DRAM, world.regions[MISUSE_DRAM].memory - 8, 16, &world.buffer);
}

static void lines_allocated(void) {
  world.addr = misuse_alloc(MISUSE_LINES, MISUSE_BYTES);
}

static enum zcmem_status create_within_a_line(void) {
  struct fake_region *lines = &world.regions[MISUSE_LINES];
  return create(MISUSE_RW | USE, 0, lines->view + (size_t)(world.addr - lines->base) + 8, 64, &world.buffer);
}

static enum zcmem_status sub_too_long(void) {
  zcmem_buffer_t sub = 0;
  return zcmem_buffer_create_sub(world.buffers, world.buffer, 0, 1, MISUSE_BYTES, &sub);
}

static enum zcmem_status sub_wraps(void) {
  zcmem_buffer_t sub = 0;
  return zcmem_buffer_create_sub(world.buffers, world.buffer, 0, UINT64_MAX - 10, 100, &sub);
}

static enum zcmem_status sub_with_more(void) {
  zcmem_buffer_t sub = 0;
  return zcmem_buffer_create_sub(world.buffers, world.buffer, WRITE, 0, 100, &sub);
}

/* ----------------------------------------------------------------------------------------------------- using -- */

static enum zcmem_status release(void) {
  return zcmem_buffer_release(world.buffers, world.buffer);
}

static enum zcmem_status retain(void) {
  return zcmem_buffer_retain(world.buffers, world.buffer);
}

static enum zcmem_status begin_all(void) {
  return begin(0, MISUSE_BYTES, 0, &none);
}

static enum zcmem_status begin_too_long(void) {
  return begin(0, MISUSE_BYTES + 1, 0, &none);
}

static enum zcmem_status begin_wraps(void) {
  return begin(UINT64_MAX, 2, 0, &none);
}

static enum zcmem_status begin_nothing(void) {
  return begin(0, 0, 0, &none);
}

static enum zcmem_status begin_to_write(void) {
  return begin(0, 100, WRITE, &none);
}

static enum zcmem_status begin_one_more(void) {
  return begin(0, 1, READ, &none);
}

static enum zcmem_status map_overlapping(void) {
  return zcmem_buffer_map(world.buffers, world.buffer, 499, 10, ZCMEM_MAP_READ, NULL, &none);
}

static enum zcmem_status end_view(void) {
  return zcmem_buffer_end(world.buffers, world.view.id);
}

static enum zcmem_status unmap_view(void) {
  return zcmem_buffer_unmap(world.buffers, world.view.id);
}

static enum zcmem_status end_made_up(void) {
  return zcmem_buffer_end(world.buffers, 0xfedcba9876543210u);
}

static enum zcmem_status free_block(void) {
  return zcmem_mem_free(world.hal, world.block);
}

const struct misuse misuse_buffer[] = {
    MISUSE("a buffer over a freed block", "zcmem_buffer_create", ZCMEM_ENOENT, freed, create_over_freed),
    MISUSE("a buffer longer than what remains of the block", "zcmem_buffer_create", ZCMEM_EBOUNDS, NULL,
           create_too_long),
    MISUSE("a buffer over NULL", "zcmem_buffer_create", ZCMEM_EINVAL, NULL, create_over_null),
    MISUSE("a buffer of no bytes", "zcmem_buffer_create", ZCMEM_EINVAL, NULL, create_of_nothing),
    MISUSE("a buffer for neither reading nor writing", "zcmem_buffer_create", ZCMEM_EINVAL, NULL, create_for_nothing),
    MISUSE("a buffer in a region that is not there", "zcmem_buffer_create", ZCMEM_EINVAL, NULL, create_nowhere),
    MISUSE("a buffer to be mapped where nothing can be", "zcmem_buffer_create", ZCMEM_ENOTMAPPED, NULL, create_unseen),
    MISUSE("a buffer that begins before the region it runs into", "zcmem_buffer_create", ZCMEM_EINVAL, NULL,
           create_into_region),
    MISUSE("a buffer within a cache line of others", "zcmem_buffer_create", ZCMEM_EINVAL, lines_allocated,
           create_within_a_line),
    MISUSE("a sub-buffer that leaves its parent", "zcmem_buffer_create_sub", ZCMEM_EBOUNDS, made, sub_too_long),
    MISUSE("a sub-buffer at an offset that wraps", "zcmem_buffer_create_sub", ZCMEM_EBOUNDS, made, sub_wraps),
    MISUSE("a sub-buffer of a released buffer", "zcmem_buffer_create_sub", ZCMEM_ENOENT, released, sub_too_long),
    MISUSE("a sub-buffer that may do more than its parent", "zcmem_buffer_create_sub", ZCMEM_EINVAL, made_to_read,
           sub_with_more),
    MISUSE("release twice", "zcmem_buffer_release", ZCMEM_ENOENT, released, release),
    MISUSE("release of a made-up buffer", "zcmem_buffer_release", ZCMEM_ENOENT, made_up, release),
    MISUSE("release twice, a view being open", "zcmem_buffer_release", ZCMEM_ENOENT, released_within_a_view, release),
    MISUSE("retain of a released buffer", "zcmem_buffer_retain", ZCMEM_ENOENT, released, retain),
    MISUSE("a view of a released buffer", "zcmem_buffer_begin", ZCMEM_ENOENT, released, begin_all),
    MISUSE("a view that leaves its buffer", "zcmem_buffer_begin", ZCMEM_EBOUNDS, made, begin_too_long),
    MISUSE("a view at an offset that wraps", "zcmem_buffer_begin", ZCMEM_EBOUNDS, made, begin_wraps),
    MISUSE("a view of no bytes", "zcmem_buffer_begin", ZCMEM_EINVAL, made, begin_nothing),
    MISUSE("a view that writes a buffer to be read", "zcmem_buffer_begin", ZCMEM_EINVAL, made_to_read, begin_to_write),
    MISUSE("a view over one that writes", "zcmem_buffer_begin", ZCMEM_EOVERLAP, opened, begin_all),
    MISUSE("a map over a view that writes", "zcmem_buffer_map", ZCMEM_EOVERLAP, opened, map_overlapping),
    MISUSE("one view more than can be open", "zcmem_buffer_begin", ZCMEM_ENOMEM, all_views_open, begin_one_more),
    MISUSE("end of a view twice", "zcmem_buffer_end", ZCMEM_ENOENT, ended, end_view),
    MISUSE("end of a made-up view", "zcmem_buffer_end", ZCMEM_ENOENT, made, end_made_up),
    MISUSE("end of the host's view as the device's", "zcmem_buffer_end", ZCMEM_ENOENT, mapped, end_view),
    MISUSE("unmap of the device's view", "zcmem_buffer_unmap", ZCMEM_ENOENT, opened, unmap_view),
    MISUSE("free of a block whose buffer's view is open", "zcmem_mem_free", ZCMEM_EBUSY, opened, free_block),
    MISUSE_END,
};
