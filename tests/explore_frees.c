/* SPDX-License-Identifier: MIT */
#include "explore_scenarios.h"
#include "explore_world.h"

enum { A, B, C, D, E };

/* Slot A has a block of two quanta; of the first thread, or of nobody in particular. */
static void make_block(void) {
  op_alloc(A, 200);
}

/* One thread has magazines, and no other one was ever here. */
static void one_alone(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(0, make_block);
}

/* The first two have magazines. */
static void two_attached(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(0, make_block);
  explore_as(1, world_attach);
}

static void three_attached(void) {
  two_attached();
  explore_as(2, world_attach);
}

/* The first has magazines, another thread was here and has none. */
static void one_attached(void) {
  one_alone();
  explore_as(1, world_come_by);
}

/* All is in use: what fits only fits into what is freed. */
static void fill_up(void) {
  op_alloc(B, WORLD_BYTES - 4 * 128);
}

static void two_in_a_full_region(void) {
  two_attached();
  explore_as(0, fill_up);
}

static void one_in_a_full_region(void) {
  one_alone();
  explore_as(0, fill_up);
}

/* Blocks of one size that the second thread may hand over in a bundle. */
static void make_blocks(void) {
  op_alloc(B, 200);
  op_alloc(C, 200);
  op_alloc(D, 200);
}

static void two_with_blocks(void) {
  two_attached();
  explore_as(1, make_blocks);
}

static void free_a(void) {
  op_free(A);
}

static void free_a_and_alloc(void) {
  op_free(A);
  op_alloc(A, 200);
}

static void free_a_and_check(void) {
  op_free(A);
  op_check();
}

static void alloc_c(void) {
  op_alloc(C, 200);
}

static void alloc_and_free_c(void) {
  op_alloc(C, 200);
  op_free(C);
}

static void alloc_and_free_d(void) {
  op_alloc(D, 100);
  op_free(D);
}

static void free_and_alloc_small(void) {
  op_free(A);
  op_alloc(E, 100);
}

/* Needs what is kept, of whomever. */
static void alloc_large(void) {
  op_alloc(D, 4 * 128);
}

static void stats(void) {
  op_stats();
}

static void free_three(void) {
  op_free(B);
  op_free(C);
  op_free(D);
}

static void alloc_two(void) {
  op_alloc(E, 200);
  op_alloc(E + 1, 200);
}

/* A's descriptor stands for a shorter block at A's place; and for a longer one. */
static void shorter_again(void) {
  op_free_batch(E, A);
  op_alloc_batch(C, 100, 50);
}

static void longer_again(void) {
  op_free_batch(E, A);
  op_alloc_batch(C, 300, 50);
}

/*
 * Behind A is nothing but the tail. What is freed in a batch goes to the heap: A is merged into the tail, its
 * descriptor is the next one to be used, and A's place the first.
 */
static void two_and_the_tail(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(1, world_attach);
  explore_as(0, make_block);
}

static void batch(void) {
  op_alloc_batch(C, 200, 100);
}

static void free_batch(void) {
  op_free_batch(A, B);
}

const struct explore_scenario explore_frees[] = {
    {"double free, both fast", two_attached, {free_a, free_a}, world_finish},
    {"double free, fast and locked", one_attached, {free_a, free_a}, world_finish},
    {"double free, one alone so far", one_alone, {free_a, free_a}, world_finish},
    {"double free, and another gets it", three_attached, {free_a, free_a, alloc_c}, world_finish},
    {"double free, and the first gets it again", two_attached, {free_a_and_alloc, free_a}, world_finish},
    {"double free, alone so far, and gets it again", one_alone, {free_a_and_alloc, free_a}, world_finish},
    {"alone, and another comes with a pair", one_alone, {free_a_and_alloc, alloc_and_free_c}, world_finish},
    {"alone, and two others come", one_alone, {free_and_alloc_small, alloc_and_free_c, alloc_and_free_d}, world_finish},
    {"alone, and another asks for figures", one_alone, {free_a_and_alloc, stats}, world_finish},
    {"alone, and another drains", one_in_a_full_region, {free_and_alloc_small, alloc_large}, world_finish},
    {"alone, and a batch", one_alone, {free_a_and_alloc, batch}, world_finish},
    {"free against drain", two_in_a_full_region, {free_a, alloc_large}, world_finish},
    {"free and alloc against drain", two_in_a_full_region, {free_and_alloc_small, alloc_large}, world_finish},
    {"free against drain and figures", two_in_a_full_region, {free_a, alloc_large, stats}, world_finish},
    {"two drain", two_in_a_full_region, {alloc_large, alloc_large, free_a}, world_finish},
    {"free against figures", two_attached, {free_and_alloc_small, stats}, world_finish},
    {"free against the checker", two_attached, {free_a_and_check, free_a_and_check}, world_finish},
    {"blocks from thread to thread", two_with_blocks, {alloc_two, free_three}, world_finish},
    {"batch against pair", two_attached, {batch, free_a_and_alloc}, world_finish},
    {"free against a shorter block in its place", two_and_the_tail, {free_a, shorter_again}, world_finish},
    {"free against a longer block in its place", two_and_the_tail, {free_a, longer_again}, world_finish},
    {"batch of frees against free", two_in_a_full_region, {free_batch, free_a}, world_finish},
};
const size_t explore_free_count = sizeof explore_frees / sizeof *explore_frees;
