/* SPDX-License-Identifier: MIT */
#include "explore_scenarios.h"
#include "explore_world.h"
#include "unit.h"

enum { A, B, C, ROOM = 8 * 128 };

/* The context is used: it keeps a block of one quantum, and has room for some more. */
static void use_context(unsigned context) {
  hal_addr_t addr = 0;
  world_open_context(context);
  assert_ok(zcmem_context_alloc(world->context[context], 0, ROOM, 1, &addr)); /* kept once it may be kept again */
  assert_ok(zcmem_context_free(world->context[context], addr));
  assert_ok(zcmem_context_alloc(world->context[context], 0, ROOM, 1, &addr));
  assert_ok(zcmem_mem_free_batch(world->hal, &addr, 1, NULL)); /* to the heap */
  op_context_alloc(context, C, 100);
  op_context_free(context, C);
}

static void use_0(void) {
  use_context(0);
}

static void use_1(void) {
  use_context(1);
}

static void make_block(void) {
  op_context_alloc(0, A, 200);
}

/* Each of two threads has one, in a HAL whose threads have no magazines of their own; A is a block of the first's. */
static void two_contexts(void) {
  world_make_for_contexts(false);
  explore_as(0, use_0);
  explore_as(1, use_1);
  explore_as(0, make_block);
}

/* All is in use but what is kept. */
static void fill_up(void) {
  op_alloc(B, WORLD_BYTES - 4 * 128);
}

static void two_in_a_full_region(void) {
  two_contexts();
  explore_as(0, fill_up);
}

static void alone_with_a_block(void) {
  op_alloc(A, 200);
}

/* One thread has magazines, the other one a context that was never used. */
static void one_alone_with_a_block(void) {
  world_make_for_contexts(true);
  explore_as(0, world_attach);
  explore_as(0, alone_with_a_block);
  world_open_context(1);
}

/* The thread that is alone has used a context, which goes to the other one. */
static void one_alone_made_it(void) {
  world_make_for_contexts(true);
  explore_as(0, world_attach);
  explore_as(0, alone_with_a_block);
  explore_as(0, use_1);
}

static void free_through_0(void) {
  op_context_free(0, A);
}

static void free_through_1(void) {
  op_context_free(1, A);
}

static void free_and_alloc_through_0(void) {
  op_context_free(0, A);
  op_context_alloc(0, A, 200);
}

static void free_past(void) {
  op_free(A);
}

static void free_past_and_alloc(void) {
  op_free(A);
  op_alloc(A, 200);
}

static void alloc_large_through_1(void) {
  op_context_alloc(1, C, 4 * 128);
}

static void pair_through_1(void) {
  op_context_alloc(1, C, 200);
  op_context_free(1, C);
}

static void end_0(void) {
  op_context_free(0, A);
  op_context_destroy(0);
}

static void stats(void) {
  op_stats();
}

const struct explore_scenario explore_contexts[] = {
    {"double free, through two contexts", two_contexts, {free_through_0, free_through_1}, world_finish},
    {"double free, through a context and past it", two_contexts, {free_through_0, free_past}, world_finish},
    {"context against drain", two_in_a_full_region, {free_through_0, alloc_large_through_1}, world_finish},
    {"context against figures", two_contexts, {free_and_alloc_through_0, stats}, world_finish},
    {"double free, through two contexts, and the first gets it again",
     two_contexts,
     {free_and_alloc_through_0, free_through_1},
     world_finish},
    {"context that ends against drain", two_in_a_full_region, {end_0, alloc_large_through_1}, world_finish},
    {"context that ends against figures", two_contexts, {end_0, stats}, world_finish},
    {"context that comes beside one alone",
     one_alone_with_a_block,
     {free_past_and_alloc, free_through_1},
     world_finish},
    {"context that one alone has made", one_alone_made_it, {free_past_and_alloc, free_through_1}, world_finish},
    {"context that comes beside one alone, with a pair",
     one_alone_with_a_block,
     {free_past_and_alloc, pair_through_1},
     world_finish},
};
const size_t explore_context_count = sizeof explore_contexts / sizeof *explore_contexts;
