/* SPDX-License-Identifier: MIT */
/*
 * Every sequence of calls up to a length, on heaps so small that all that can happen happens: each state is copied to
 * another place and attached there, every call that the group of calls allows is made, and everything is compared with
 * the model. A call that fails or leaves the image byte for byte as it was leads to a state that has been tried
 * already, with more calls to go, so no sequence is continued from there.
 *
 * ZCMEM_TEST_DEPTH=<n> makes all sequences n calls longer than the default (each step takes 5 to 13 times the time);
 * n may be negative.
 */
#include <inttypes.h>
#include <string.h>

#include "twin.h"
#include "unit.h"

#define QUANTUM 128u
#define DEEPEST 16u

/* Which calls are tried. */
#define TRY_ALIGN 0x1u
#define TRY_RESIZE 0x2u
#define TRY_RESERVE 0x4u
#define TRY_PIN 0x8u

struct search {
  unsigned calls; /* TRY_* beside alloc and free */
  unsigned depth;
  unsigned largest; /* quanta of the largest block asked for */
  uint64_t steps;
  struct twin twins[DEEPEST + 1];
  char path[DEEPEST + 1][40]; /* the calls that led here */
};

static void explain(void *ctx) {
  const struct search *s = ctx;
  print_error("sequence:");
  for (unsigned i = 0; i < DEEPEST && s->path[i][0] != '\0'; i++) {
    print_error(" %s;", s->path[i]);
  }
  print_error("\n");
}

static void extend(struct search *s, unsigned level);

/* Copies the state of a level to the next, where the call named by the arguments is to be made. */
static struct twin *enter(struct search *s, unsigned level, const char *call, unsigned a, unsigned b) {
  snprintf(s->path[level], sizeof s->path[level], "%s(%u,%u)", call, a, b);
  s->path[level + 1][0] = '\0';
  twin_copy(&s->twins[level + 1], &s->twins[level]);
  s->steps++;
  return &s->twins[level + 1];
}

static void leave(struct search *s, unsigned level, enum zcmem_status status) {
  const struct twin *from = &s->twins[level], *to = &s->twins[level + 1];
  if (status == ZCMEM_OK && memcmp(from->image, to->image, from->bytes) != 0) {
    extend(s, level + 1);
  }
  s->path[level][0] = '\0';
}

static void try_allocations(struct search *s, unsigned level) {
  hal_addr_t addr;
  for (unsigned n = 1; n <= s->largest; n++) {
    leave(s, level, twin_alloc(enter(s, level, "alloc", n, 1), n * QUANTUM, 1, &addr));
  }
  for (unsigned n = 1; n <= 2 && (s->calls & TRY_ALIGN) != 0; n++) {
    for (unsigned a = 2; a <= 4; a *= 2) {
      leave(s, level, twin_alloc(enter(s, level, "alloc", n, a), n * QUANTUM, a * QUANTUM, &addr));
    }
  }
}

static void try_block(struct search *s, unsigned level, unsigned at, hal_addr_t addr) {
  leave(s, level, twin_free(enter(s, level, "free", at, 0), addr));
  for (unsigned n = 1; n <= s->largest && (s->calls & TRY_RESIZE) != 0; n++) {
    leave(s, level, twin_resize(enter(s, level, "resize", at, n), addr, n * QUANTUM));
  }
  if ((s->calls & TRY_PIN) != 0) {
    leave(s, level, twin_free_deferred(enter(s, level, "free_deferred", at, 0), addr));
    leave(s, level, twin_pin(enter(s, level, "pin", at, 0), addr));
    leave(s, level, twin_unpin(enter(s, level, "unpin", at, 0), addr));
    leave(s, level, twin_begin_transfer(enter(s, level, "begin_transfer", at, 1), addr, 1));
    leave(s, level, twin_end_transfer(enter(s, level, "end_transfer", at, 0), addr));
  }
}

static void extend(struct search *s, unsigned level) {
  const struct model *m = &s->twins[level].model;
  if (level == s->depth) {
    return;
  }
  try_allocations(s, level);
  for (unsigned i = 0; i < m->quanta; i++) {
    hal_addr_t addr = m->base + i * QUANTUM;
    /* A wrong address is tried too: each quantum counts as the start of a block, whether it is or not. */
    try_block(s, level, i, addr);
    for (unsigned n = 1; n <= 2 && (s->calls & TRY_RESERVE) != 0; n++) {
      leave(s, level, twin_reserve(enter(s, level, "reserve", i, n), addr, n * QUANTUM));
    }
  }
}

static void search(unsigned quanta, uint32_t max_blocks, unsigned calls, unsigned largest, unsigned depth) {
  /* Five quanta up: blocks are aligned to two or four quanta at other places than the heap's start. */
  const struct zcmem_heap_config config = {5 * QUANTUM, quanta * QUANTUM, QUANTUM, max_blocks, 0};
  struct search *s = calloc(1, sizeof *s);
  assert_non_null(s);
  s->calls = calls;
  s->largest = largest;
  s->depth = (unsigned)((int64_t)depth + (int64_t)env_number("ZCMEM_TEST_DEPTH", 0));
  assert_in_range(s->depth, 1, DEEPEST);
  for (unsigned i = 0; i <= s->depth; i++) {
    assert_true(twin_init(&s->twins[i], &config, true));
    s->twins[i].explain = explain;
    s->twins[i].ctx = s;
  }
  extend(s, 0);
  print_message("%" PRIu64 " calls in all sequences of up to %u\n", s->steps, s->depth);
  for (unsigned i = 0; i <= s->depth; i++) {
    twin_end(&s->twins[i]);
  }
  free(s);
}

static void alloc_and_free(void **state) {
  (void)state;
  search(8, 8, 0, 4, 8);
}

static void all_that_places_blocks(void **state) {
  (void)state;
  search(6, 6, TRY_ALIGN | TRY_RESIZE | TRY_RESERVE, 6, 5);
}

static void few_descriptors(void **state) {
  (void)state;
  search(7, 2, TRY_ALIGN | TRY_RESIZE | TRY_RESERVE, 4, 4);
}

static void pins_and_zombies(void **state) {
  (void)state;
  search(4, 4, TRY_PIN | TRY_RESIZE, 2, 6);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(alloc_and_free),
      cmocka_unit_test(all_that_places_blocks),
      cmocka_unit_test(few_descriptors),
      cmocka_unit_test(pins_and_zombies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
