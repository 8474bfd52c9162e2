/* SPDX-License-Identifier: MIT */
#include "explore_scenarios.h"
#include "explore_world.h"

enum { A, B, C };

static void make_block(void) {
  op_alloc(A, 500);
  op_handle(A);
}

static void write_a(void) {
  op_write_handle(A, 100);
}

/* And no transfer so far: the first one opens the region. */
static void one_block(void) {
  world_make_for_handles();
  explore_as(0, make_block);
}

static void one_written(void) {
  one_block();
  explore_as(1, write_a);
}

static void free_a(void) {
  op_free_handle(A);
}

static void pin_a(void) {
  op_pin_handle(A);
}

static void check_a(void) {
  op_check_handle(A);
}

/* At the same place: another block of the same address and size, which a stale handle is not of. */
static void free_and_alloc(void) {
  op_free_handle(A);
  op_alloc(B, 500);
}

static void free_and_alloc_twice(void) {
  op_free_handle(A);
  op_alloc(B, 500);
  op_free(B);
  op_alloc(C, 500);
}

/* Nobody else knows the new block, so nobody keeps it from being freed. */
static void free_alloc_and_free(void) {
  op_free_handle(A);
  op_alloc(B, 500);
  op_free(B);
}

static void free_alloc_and_resize(void) {
  op_free_handle(A);
  op_alloc(B, 500);
  op_resize(B, 100);
}

static void resize_a(void) {
  op_resize(A, 600);
}

const struct explore_scenario explore_handles[] = {
    {"handles, two frees", one_block, {free_and_alloc, free_a}, world_finish},
    {"handles, free against pin", one_block, {free_and_alloc, pin_a}, world_finish},
    {"handles, free against check", one_block, {free_and_alloc, check_a}, world_finish},
    {"handles, first writes", one_block, {write_a, write_a, free_a}, world_finish},
    {"handles, free against write", one_written, {free_and_alloc, write_a}, world_finish},
    {"handles, frees against write", one_written, {free_and_alloc_twice, write_a}, world_finish},
    {"handles, write and a free of the next block", one_written, {free_alloc_and_free, write_a}, world_finish},
    {"handles, write and a resize of the next block", one_written, {free_alloc_and_resize, write_a}, world_finish},
    {"handles, free against two writes", one_written, {free_and_alloc, write_a, write_a}, world_finish},
    {"handles, resize against write", one_written, {resize_a, write_a}, world_finish},
};
const size_t explore_handle_count = sizeof explore_handles / sizeof *explore_handles;
