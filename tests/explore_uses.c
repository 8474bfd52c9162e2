/* SPDX-License-Identifier: MIT */
#include "explore_scenarios.h"
#include "explore_world.h"

enum { A, B, C, D };

static void make_block(void) {
  op_alloc(A, 500);
}

static void pin_it(void) {
  op_pin(A);
}

static void fill_it(void) {
  op_fill(A, 100);
}

static void one_alone(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(0, make_block);
}

/* Two have magazines, and transfers count their uses without the lock. */
static void two_attached(void) {
  one_alone();
  explore_as(1, world_attach);
  explore_as(1, fill_it);
}

static void fill_up(void) {
  op_alloc(C, WORLD_BYTES - 8 * 128);
}

/* All is in use: what is freed is needed. */
static void two_in_a_full_region(void) {
  two_attached();
  explore_as(0, fill_up);
}

static void two_pinned(void) {
  two_attached();
  explore_as(0, pin_it);
}

static void alone_pinned(void) {
  one_alone();
  explore_as(0, pin_it);
}

/* No magazines: frees are all under the lock, transfers are not. */
static void plain(void) {
  world_make(false);
  explore_as(0, make_block);
  explore_as(1, fill_it);
}

/* And no transfer so far. */
static void plain_new(void) {
  world_make(false);
  explore_as(0, make_block);
}

/* There is a hole before A, so that a free of A takes away its descriptor; and a block behind it. */
static void make_hole(void) {
  op_alloc(B, 200);
  op_alloc(A, 500);
  op_alloc(C, 200);
  op_free(B);
}

static void plain_and_hole(void) {
  world_make(false);
  explore_as(0, make_hole);
  explore_as(1, fill_it);
}

/* A driver has it mapped, and its pin is lost: what is left is one transfer. */
static void map_and_unpin(void) {
  op_map(A, 500);
  op_unpin(A);
}

static void half_mapped(void) {
  world_make_windows(false);
  explore_as(0, make_block);
  explore_as(1, fill_it);
  explore_as(0, map_and_unpin);
}

static void plain_pinned(void) {
  plain();
  explore_as(0, pin_it);
}

static void free_a(void) {
  op_free(A);
}

static void fill_a(void) {
  op_fill(A, 500);
}

static void fill_a_little(void) {
  op_fill(A, 10);
}

static void fill_twice(void) {
  op_fill(A, 300);
  op_fill(A, 500);
}

/* Ends that another thread is alone, and does nothing else. */
static void come_by(void) {
  explore_op();
  world_come_by();
}

static void alloc_b(void) {
  op_alloc(B, 400);
}

/* Needs what is kept, of whomever. */
static void drain(void) {
  op_alloc(D, 6 * 128);
}

static void drain_and_free(void) {
  op_alloc(D, 6 * 128);
  op_free(D);
}

static void free_and_alloc_less(void) {
  op_free(A);
  op_alloc(B, 400); /* the same quanta */
}

static void free_and_alloc_small(void) {
  op_free(A);
  op_alloc(B, 100);
}

static void resize_less(void) {
  op_resize(A, 100);
}

/* As much slack. */
static void resize_a_quantum(void) {
  op_resize(A, 372);
}

static void unmap(void) {
  op_unmap(A);
}

static void resize_a_little(void) {
  op_resize(A, 450); /* as many quanta */
}

static void resize_more(void) {
  op_resize(A, 600);
}

/* Beyond the block before and after it became longer. */
static void fill_too_much(void) {
  op_fill(A, 620);
}

/* Where the second thread has it: from behind the block. */
static void alloc_kept(void) {
  op_alloc(D, 100);
}

/* Behind all others. */
static void free_and_alloc_behind(void) {
  op_free(A);
  op_alloc(D, 2000);
}

static void free_d(void) {
  op_free(D);
}

static void resize_and_free(void) {
  op_resize(A, 600);
  op_free(A);
}

static void resize_back(void) {
  op_resize(A, 100);
  op_resize(A, 500);
}

static void pin_and_unpin(void) {
  op_pin(A);
  op_unpin(A);
}

static void unpin(void) {
  op_unpin(A);
}

static void defer(void) {
  op_free_deferred(A);
}

static void defer_and_alloc(void) {
  op_free_deferred(A);
  op_alloc(B, 500);
}

static void alloc_and_free_b(void) {
  op_alloc(B, 500);
  op_free(B);
}

const struct explore_scenario explore_uses[] = {
    {"alone, free against pin", one_alone, {free_a, pin_and_unpin}, world_finish},
    {"alone, free against transfer", one_alone, {free_a, fill_a}, world_finish},
    {"alone, free and alloc against transfer", one_alone, {free_and_alloc_less, fill_a}, world_finish},
    {"alone, free against resize", one_alone, {free_a, resize_less}, world_finish},
    {"alone, free against deferred free", one_alone, {free_and_alloc_less, defer}, world_finish},
    {"alone, transfer against free", one_alone, {fill_a, free_a}, world_finish},
    {"alone, transfer against transfer", one_alone, {fill_twice, fill_a}, world_finish},
    {"alone, deferred free against unpin", alone_pinned, {defer_and_alloc, unpin}, world_finish},
    {"alone, another comes, transfer against free", one_alone, {fill_a, come_by, free_a}, world_finish},
    {"alone, another comes, transfer against deferred free", one_alone, {fill_a, come_by, defer}, world_finish},
    {"free against pin", two_attached, {free_a, pin_and_unpin}, world_finish},
    {"free against transfer", two_attached, {free_a, fill_a}, world_finish},
    {"free against transfer, and another gets it", two_attached, {free_a, fill_a, alloc_b}, world_finish},
    {"transfer, and the block comes again for less", two_attached, {free_and_alloc_less, fill_a}, world_finish},
    {"transfer, and another block comes there", two_attached, {free_and_alloc_small, fill_a}, world_finish},
    {"free and drain against transfer", two_in_a_full_region, {free_a, fill_a, drain}, world_finish},
    {"deferred free and drain against transfer", two_in_a_full_region, {defer, fill_a, drain_and_free}, world_finish},
    {"drain against transfers", two_in_a_full_region, {fill_a, drain, fill_a_little}, world_finish},
    {"resize and drain against transfer", two_in_a_full_region, {resize_less, fill_a, drain}, world_finish},
    {"resize against transfer", two_attached, {resize_less, fill_a}, world_finish},
    {"resize to more against transfer beyond", two_attached, {resize_more, fill_too_much}, world_finish},
    {"resize of the slack against transfer", two_attached, {resize_a_little, fill_a}, world_finish},
    {"resize against transfer and another one", two_attached, {resize_less, fill_a, fill_a_little}, world_finish},
    {"resize there and back against transfer", two_attached, {resize_back, fill_a}, world_finish},
    {"resize against free", two_attached, {resize_and_free, free_a}, world_finish},
    {"resize that drains against alloc", two_attached, {resize_more, alloc_kept}, world_finish},
    {"deferred free against unpin", two_pinned, {defer, unpin}, world_finish},
    {"deferred free against unpin and alloc", two_pinned, {defer, unpin, alloc_and_free_b}, world_finish},
    {"deferred free against transfer", two_attached, {defer_and_alloc, fill_a}, world_finish},
    {"two deferred frees against transfer", two_attached, {defer, defer, fill_a}, world_finish},
    {"deferred free against free", two_attached, {defer, free_and_alloc_less}, world_finish},
    {"no magazines, first transfers", plain_new, {fill_a, fill_a, free_a}, world_finish},
    {"no magazines, free against transfer", plain, {free_and_alloc_small, fill_a}, world_finish},
    {"no magazines, transfer against a block behind",
     plain_and_hole,
     {free_and_alloc_behind, fill_it, free_d},
     world_finish},
    {"resize against the end of a use and transfer", half_mapped, {resize_a_quantum, unmap, fill_a}, world_finish},
    {"no magazines, resize against transfers", plain, {resize_less, fill_a, fill_a_little}, world_finish},
    {"no magazines, resizes against transfer", plain, {resize_back, fill_a}, world_finish},
    {"no magazines, deferred free against unpin", plain_pinned, {defer_and_alloc, unpin, fill_a_little}, world_finish},
};
const size_t explore_use_count = sizeof explore_uses / sizeof *explore_uses;
