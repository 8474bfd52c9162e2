/* SPDX-License-Identifier: MIT */
/* Magazines where the kernel cannot pass a barrier for all threads: each thread's fence has to do. */
#include "explore_scenarios.h"
#include "explore_world.h"

enum { A, B, C, D, E };

static void make_block(void) {
  op_alloc(A, 200);
}

static void fill_up(void) {
  op_alloc(B, WORLD_BYTES - 4 * 128);
}

static void one_alone(void) {
  world_no_kernel_barrier();
  world_make(true);
  explore_as(0, world_attach);
  explore_as(0, make_block);
}

static void two_attached(void) {
  one_alone();
  explore_as(1, world_attach);
}

static void two_in_a_full_region(void) {
  two_attached();
  explore_as(0, fill_up);
}

static void bundle(void) {
  two_attached();
  explore_as(1, world_make_bundle);
}

static void free_a(void) {
  op_free(A);
}

static void free_and_alloc_small(void) {
  op_free(A);
  op_alloc(E, 100);
}

static void free_a_and_alloc(void) {
  op_free(A);
  op_alloc(A, 200);
}

static void alloc_and_free_c(void) {
  op_alloc(C, 200);
  op_free(C);
}

static void alloc_large(void) {
  op_alloc(D, 4 * 128);
}

static void alloc_e(void) {
  op_alloc(E, 200);
}

static void alloc_too_much(void) {
  op_alloc(D, WORLD_BYTES - 128);
}

static void free_and_end(void) {
  op_free(A);
  explore_op();
  explore_thread_ends();
}

static void stats(void) {
  op_stats();
}

const struct explore_scenario explore_fences[] = {
    {"fences, free against figures", two_attached, {free_and_alloc_small, stats}, world_finish},
    {"fences, double free", two_attached, {free_a_and_alloc, free_a}, world_finish},
    {"fences, free and alloc against drain", two_in_a_full_region, {free_and_alloc_small, alloc_large}, world_finish},
    {"fences, free against drain and figures", two_in_a_full_region, {free_a, alloc_large, stats}, world_finish},
    {"fences, a bundle against drain", bundle, {alloc_e, alloc_too_much}, world_finish},
    {"fences, alone, and another comes", one_alone, {free_a_and_alloc, alloc_and_free_c}, world_finish},
    {"fences, alone, and another asks for figures", one_alone, {free_a_and_alloc, stats}, world_finish},
    {"fences, an end against drain", two_in_a_full_region, {free_and_end, alloc_large}, world_finish},
    {"fences, an end against a thread that comes", one_alone, {free_and_end, alloc_and_free_c}, world_finish},
};
const size_t explore_fence_count = sizeof explore_fences / sizeof *explore_fences;
