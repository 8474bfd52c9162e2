/* SPDX-License-Identifier: MIT */
/* Blocks that go from thread to thread in bundles: loaded, filled, drained, counted; and frees of blocks that are
 * there. */
#include "explore_scenarios.h"
#include "explore_world.h"

enum { A, B, C, D, E, F, G };

/* The third thread has put blocks into a bundle; B's place is one of them. */
static void bundle(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(1, world_attach);
  explore_as(2, world_attach);
  explore_as(2, world_make_bundle);
}

/* A, and so many others in the magazines that it finds no place there. */
static void make_block_and_stock(void) {
  op_alloc(A, 200);
  op_alloc(C, 200);
  op_alloc(D, 200);
  op_alloc(E, 200);
  op_free(C);
  op_free(D);
  op_free(E);
}

/* And the second a block that it may free into it. */
static void bundle_and_block(void) {
  world_make(true);
  explore_as(0, world_attach);
  explore_as(1, world_attach);
  explore_as(1, make_block_and_stock);
  explore_as(2, world_attach);
  explore_as(2, world_make_bundle);
}

/* The second thread's magazines are nobody's, and all its blocks are in the heap. */
static void bundle_left(void) {
  bundle();
  explore_as(1, explore_thread_ends);
}

static void alloc_e(void) {
  op_alloc(E, 200);
}

static void alloc_f(void) {
  op_alloc(F, 200);
}

static void alloc_and_free_e(void) {
  op_alloc(E, 200);
  op_free(E);
}

/* More than is left while anything is kept. */
static void alloc_all(void) {
  op_alloc(G, WORLD_BYTES - 12 * 128);
}

/* More than there will ever be. */
static void alloc_too_much(void) {
  op_alloc(G, WORLD_BYTES - 128);
}

static void drain_and_end(void) {
  op_alloc(G, WORLD_BYTES - 128);
  explore_op();
  explore_thread_ends();
}

static void free_a(void) {
  op_free(A);
}

/* Of a block that is freed already and lies in the bundle. */
static void free_stale(void) {
  op_free(B);
}

static void free_a_and_end(void) {
  op_free(A);
  explore_op();
  explore_thread_ends();
}

static void stats(void) {
  op_stats();
}

static void check(void) {
  op_check();
}

/* Drains; then the place of what was in the bundle is another block's. */
static void drain_and_reuse(void) {
  op_alloc(G, WORLD_BYTES - 128);
  op_alloc_batch(E, 900, 100);
}

static void end(void) {
  explore_op();
  explore_thread_ends();
}

const struct explore_scenario explore_bundles[] = {
    {"two look for one bundle", bundle, {alloc_e, alloc_f}, world_finish},
    {"a bundle against drain", bundle, {alloc_e, alloc_all}, world_finish},
    {"a bundle against drain in vain", bundle, {alloc_and_free_e, alloc_too_much}, world_finish},
    {"a bundle against two that drain", bundle, {alloc_e, alloc_all, alloc_too_much}, world_finish},
    {"a bundle against a free into it", bundle_and_block, {alloc_e, free_a}, world_finish},
    {"a free into a bundle against drain", bundle_and_block, {alloc_too_much, free_a}, world_finish},
    {"a free into a bundle, one looks for it, one drains",
     bundle_and_block,
     {alloc_e, free_a, alloc_too_much},
     world_finish},
    {"a bundle against figures", bundle, {alloc_e, stats}, world_finish},
    {"a bundle, one drains, one checks", bundle, {alloc_e, alloc_too_much, check}, world_finish},
    {"a bundle against the end of who filled it", bundle, {alloc_e, alloc_f, end}, world_finish},
    {"an end against a bundle and drain", bundle_and_block, {alloc_e, free_a_and_end, alloc_too_much}, world_finish},
    {"who drains ends", bundle_and_block, {drain_and_end, free_a_and_end}, world_finish},
    {"who comes finds a bundle, one drains", bundle_left, {alloc_too_much, alloc_e}, world_finish},
    {"free of what is in a bundle", bundle, {free_stale, alloc_e}, world_finish},
    {"two frees of what is in a bundle", bundle, {free_stale, alloc_e, free_stale}, world_finish},
    {"free of what was in a bundle, and is another's", bundle, {free_stale, drain_and_reuse}, world_finish},
};
const size_t explore_bundle_count = sizeof explore_bundles / sizeof *explore_bundles;
