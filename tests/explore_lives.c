/* SPDX-License-Identifier: MIT */
#include "explore_scenarios.h"
#include "explore_world.h"

enum { A, B, C, D };

static void make_block(void) {
  op_alloc(A, 200);
}

static void fill_up(void) {
  op_alloc(B, WORLD_BYTES - 4 * 128);
}

static void one_alone(void) {
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

/* The third thread's magazines are nobody's: for a thread to come. */
static void some_left(void) {
  two_attached();
  explore_as(2, world_attach);
  explore_as(2, explore_thread_ends);
}

static void free_and_end(void) {
  op_free(A);
  explore_op();
  explore_thread_ends();
}

static void end(void) {
  explore_op();
  explore_thread_ends();
}

/* As a destructor of the program's that runs after ours may. */
static void end_and_alloc(void) {
  explore_op();
  explore_thread_ends();
  op_alloc(D, 100);
}

static void alloc_large(void) {
  op_alloc(D, 4 * 128);
}

static void alloc_and_free_c(void) {
  op_alloc(C, 100);
  op_free(C);
}

static void alloc_c_and_end(void) {
  op_alloc(C, 100);
  op_free(C);
  explore_op();
  explore_thread_ends();
}

static void drain_and_end(void) {
  op_alloc(D, 4 * 128);
  explore_op();
  explore_thread_ends();
}

static void alloc_and_free_d(void) {
  op_alloc(D, 100);
  op_free(D);
}

static void free_a(void) {
  op_free(A);
}

static void stats(void) {
  op_stats();
}

const struct explore_scenario explore_lives[] = {
    {"an end against free of the same block", two_attached, {free_and_end, free_a}, world_finish},
    {"an end against drain", two_in_a_full_region, {free_and_end, alloc_large}, world_finish},
    {"an end against figures", two_attached, {free_and_end, stats}, world_finish},
    {"an end against a thread that comes", one_alone, {free_and_end, alloc_and_free_c}, world_finish},
    {"two ends", two_attached, {free_and_end, alloc_c_and_end}, world_finish},
    {"an end, and the thread goes on", two_attached, {end_and_alloc, alloc_and_free_c}, world_finish},
    {"two come for magazines that are left", some_left, {free_a, end, alloc_and_free_d}, world_finish},
    {"an end, one comes, one drains",
     two_in_a_full_region,
     {free_and_end, alloc_large, alloc_and_free_c},
     world_finish},
    {"two ends against drain", two_in_a_full_region, {free_and_end, alloc_c_and_end, alloc_large}, world_finish},
    {"an end against who drains and ends", two_in_a_full_region, {free_and_end, drain_and_end}, world_finish},
    {"three come and go", one_alone, {free_and_end, alloc_c_and_end, alloc_and_free_d}, world_finish},
};
const size_t explore_life_count = sizeof explore_lives / sizeof *explore_lives;
