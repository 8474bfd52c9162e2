/* SPDX-License-Identifier: MIT */
#include "explore_scenarios.h"
#include "explore_world.h"
#include "hal_impl.h"

enum { A, B, C, D };

static void make_blocks(void) {
  op_alloc(A, 500);
  op_alloc(B, 200);
}

static void one_alone(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(0, make_blocks);
}

static void two_attached(void) {
  one_alone();
  explore_as(1, world_attach);
}

static void make_a(void) {
  op_alloc(A, 500);
}

static void make_b(void) {
  op_alloc(B, 100);
}

static void free_b(void) {
  op_free(B);
}

static void make_d(void) {
  op_alloc(D, 200);
}

static void free_d(void) {
  op_free(D);
}

/* What is behind A the second thread keeps. */
static void two_and_kept(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(1, world_attach);
  explore_as(0, make_a);
  explore_as(1, make_b);
  explore_as(1, free_b);
}

static void plain(void) {
  world_make(false);
  explore_as(0, make_blocks);
}

/* There is room behind A. */
static void plain_a(void) {
  world_make(false);
  explore_as(0, make_a);
}

/* And before it, so that a free of A takes away its descriptor. */
static void plain_and_hole(void) {
  world_make(false);
  explore_as(0, make_d);
  explore_as(0, make_blocks);
  explore_as(0, free_d);
}

static void windows(void) {
  world_make_windows(true);
  explore_as(0, world_attach);
  explore_as(0, make_blocks);
  explore_as(1, world_attach);
}

static void map_a(void) {
  op_map(A, 500);
}

static void windows_mapped(void) {
  windows();
  explore_as(0, map_a);
}

static void info_a(void) {
  op_info(A);
}

static void host_a(void) {
  op_host(A, 500);
}

/* Of a place in the middle of the block. */
static void device_a(void) {
  op_device((size_t)(world->slot[A] - WORLD_BASE) + 200);
}

static void rest_a(void) {
  op_rest((size_t)(world->slot[A] - WORLD_BASE) + 200);
}

static void rest_twice(void) {
  rest_a();
  rest_a();
}

static void info_twice(void) {
  op_info(A);
  op_info(A);
}

static void device_twice(void) {
  device_a();
  device_a();
}

static void info_and_device(void) {
  op_info(B);
  op_device((size_t)(world->slot[A] - WORLD_BASE) + 200);
}

static void free_a(void) {
  op_free(A);
}

static void free_and_alloc(void) {
  op_free(A);
  op_alloc(C, 100);
}

/* As many quanta: where it was kept, the same block. */
static void free_and_alloc_less(void) {
  op_free(A);
  op_alloc(C, 400);
}

static void alloc_less(void) {
  op_alloc(C, 400);
}

/* The first thread keeps A. */
static void two_and_a_kept(void) {
  two_attached();
  explore_as(0, free_a);
}

static void tag_a(void) {
  op_tag(A, 7);
}

static void two_and_tagged(void) {
  two_attached();
  explore_as(0, tag_a);
}

static void free_b_and_a(void) {
  op_free(B);
  op_free(A);
}

static void resize_a(void) {
  op_resize(A, 200);
}

/* Into what is behind, which the other thread keeps. */
static void resize_more(void) {
  op_resize(A, 600);
}

/* A quantum more. */
static void resize_a_quantum(void) {
  op_resize(A, 520);
}

/* Into the hole before A, and A's; and behind B. */
static void free_and_alloc_before(void) {
  op_free(A);
  op_alloc(C, 600);
}

static void free_and_alloc_behind(void) {
  op_free(A);
  op_alloc(C, 2000);
}

static void resize_back(void) {
  op_resize(A, 200);
  op_resize(A, 500);
}

/* As many quanta. */
static void resize_a_little(void) {
  op_resize(A, 450);
}

static void host_more(void) {
  op_host(A, 600);
}

static void host_last(void) {
  op_host(A, 480);
}

static void alloc_c(void) {
  op_alloc(C, 300);
}

static void map_and_unmap(void) {
  op_map(A, 500);
  op_unmap(A);
}

static void unmap_a(void) {
  op_unmap(A);
}

/* The same range for another thread, who has a slot of his own for it. */
static void map_and_unmap_too(void) {
  world->slot[C] = world->slot[A];
  op_map(C, 500);
  op_unmap(C);
}

static void locate_a(void) {
  op_locate(A);
}

static void map_other(void) {
  op_map(B, 200);
}

static void defer_a(void) {
  op_free_deferred(A);
}

/* --------------------------------------------------------------------------------------------- add a region -- */

static void no_next(void) {
  world_make(true);
  explore_as(0, world_attach);
}

static void add_region(void) {
  struct zcmem_region_config config = world_next_region();
  uint32_t index = 9;
  explore_op();
  explore_status("add", zcmem_hal_add_region(world->hal, &config, &index));
  explore_answer("index", index);
}

/* Asks for a block in the next region, and for what the host's pointer to its first byte leads to. */
static void use_next(void) {
  hal_addr_t addr = 0;
  void *host = NULL;
  explore_op();
  enum zcmem_status status = zcmem_mem_alloc(world->hal, 1, 100, 1, &addr);
  explore_status("alloc in next", status);
  if (status == ZCMEM_OK) {
    explore_expect(addr == WORLD_BASE + WORLD_BYTES, "the next region's first block is elsewhere");
    explore_op();
    explore_status("host", zcmem_mem_host(world->hal, addr, 100, &host));
    explore_expect(host == world->memory + WORLD_BYTES, "the next region's first byte is elsewhere");
  }
}

static void end(void) {
  explore_op();
  explore_thread_ends();
}

static void translate_next(void) {
  op_device(WORLD_BYTES + 10);
  op_device(WORLD_BYTES + 10);
}

static void map_next(void) {
  void *host = NULL;
  explore_op();
  explore_status("map next", zcmem_mem_map(world->hal, WORLD_BASE + WORLD_BYTES, 1, ZCMEM_MAP_READ, &host));
}

const struct explore_scenario explore_lookups[] = {
    {"look-up against free and alloc", two_attached, {free_and_alloc, info_a}, world_finish},
    {"look-up of an alone thread's", one_alone, {free_and_alloc, info_a, device_a}, world_finish},
    {"translation against free and alloc", two_attached, {free_and_alloc, host_a}, world_finish},
    {"back translation against frees", two_attached, {free_b_and_a, device_a}, world_finish},
    {"look-ups against frees, no magazines", plain, {free_b_and_a, info_and_device}, world_finish},
    {"look-up against resize and alloc, no magazines", plain, {resize_a, device_a, alloc_c}, world_finish},
    {"look-up against the alloc of a kept block", two_and_a_kept, {alloc_less, info_a}, world_finish},
    {"translation against the alloc of a kept block", two_and_a_kept, {alloc_less, host_a}, world_finish},
    {"back translation against the alloc of a kept block", two_and_a_kept, {alloc_less, rest_a}, world_finish},
    {"place against the alloc of a kept block", two_and_a_kept, {alloc_less, device_a}, world_finish},
    {"look-ups, and the block comes again for less", two_attached, {free_and_alloc_less, info_twice}, world_finish},
    {"look-up of a tag, and the block comes again for less",
     two_and_tagged,
     {free_and_alloc_less, info_a},
     world_finish},
    {"look-up against a tag", two_attached, {tag_a, info_a}, world_finish},
    {"back translations, and the block comes again for less",
     two_attached,
     {free_and_alloc_less, rest_twice},
     world_finish},
    {"places, and the block comes again for less", two_attached, {free_and_alloc_less, device_twice}, world_finish},
    {"look-up against resize", two_attached, {resize_a, info_a}, world_finish},
    {"translation against resize", two_attached, {resize_a, host_a}, world_finish},
    {"translation against resizes", two_attached, {resize_back, host_a}, world_finish},
    {"translation against resize of the slack", two_attached, {resize_a_little, host_last}, world_finish},
    {"translation against resize and alloc", two_attached, {resize_a, host_a, alloc_c}, world_finish},
    {"translation against resize that drains", two_and_kept, {resize_more, host_more}, world_finish},
    {"translation against resize to more", plain_a, {resize_a_quantum, host_more}, world_finish},
    {"back translation against resize to more", plain_a, {resize_a_quantum, rest_a}, world_finish},
    {"back translation against a block before", plain_and_hole, {free_and_alloc_before, rest_a}, world_finish},
    {"back translation against a block behind", plain_and_hole, {free_and_alloc_behind, rest_a}, world_finish},
    {"translation against a block before", plain_and_hole, {free_and_alloc_before, host_a}, world_finish},
    {"translation against a block behind", plain_and_hole, {free_and_alloc_behind, host_a}, world_finish},
    {"back translation against resize", two_attached, {resize_back, device_a}, world_finish},
    {"back translation against resize that drains", two_and_kept, {resize_more, device_a}, world_finish},
    {"translation against resizes, no magazines", plain, {resize_back, host_a, device_a}, world_finish},
    {"map against resize", windows, {map_and_unmap, resize_a}, world_finish},
    {"map against free", windows, {map_and_unmap, free_a}, world_finish},
    {"map, and the block comes again for less", windows, {free_and_alloc_less, map_and_unmap}, world_finish},
    {"map against deferred free", windows, {map_and_unmap, defer_a}, world_finish},
    {"map against map", windows, {map_and_unmap, map_and_unmap_too}, world_finish},
    {"map against back translation", windows, {map_and_unmap, locate_a}, world_finish},
    {"unmap against back translation and map", windows_mapped, {unmap_a, locate_a, map_other}, world_finish},
    {"unmap against free", windows_mapped, {unmap_a, free_a}, world_finish},
    {"a new region against its use", no_next, {add_region, use_next}, world_finish},
    {"a new region against translation", no_next, {add_region, translate_next, map_next}, world_finish},
    {"a new region against an end", no_next, {end, add_region, use_next}, world_finish},
    {"a new region against free and look-up", two_attached, {add_region, free_and_alloc, device_a}, world_finish},
    {"two new regions in one place", no_next, {add_region, add_region, use_next}, world_finish},
};
const size_t explore_lookup_count = sizeof explore_lookups / sizeof *explore_lookups;
