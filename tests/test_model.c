/* SPDX-License-Identifier: MIT */
/*
 * Random calls on heaps of random shape against the model, everything compared after every call.
 *
 * The run is cut into rounds. A round has a seed of its own, from which its heap, its mix of sizes and its calls
 * follow, so that a failure can be shown again from the round's seed without the rounds before it:
 *   ZCMEM_TEST_SEED=<seed of the first round> ZCMEM_TEST_OPS=<number of calls> test_model
 */
#include <inttypes.h>
#include <string.h>

#include "twin.h"
#include "unit.h"

#define DEFAULT_SEED UINT64_C(0x7a636d656d)
#define DEFAULT_OPS UINT64_C(200000)
#define ROUND_OPS UINT64_C(10000)

static const char *program;

enum size_mix { SIZES_TINY, SIZES_UNIFORM, SIZES_LOGARITHMIC, SIZES_FEW, SIZES_EDGES, SIZE_MIXES };

struct round {
  uint64_t seed;   /* as it was when the round began */
  uint64_t random; /* the generator's state */
  uint64_t op;     /* calls made */
  struct zcmem_heap_config config;
  enum size_mix mix;
  hal_size_t few[4];
  uint32_t fill; /* of 100 calls that allocate or free, how many allocate; drifts */
  struct twin twin;
};

static void explain(void *ctx) {
  const struct round *r = ctx;
  print_error("heap: base 0x%" PRIx64 " size 0x%" PRIx64 " quantum 0x%" PRIx64 " max_blocks %" PRIu32 "\n",
              r->config.base, r->config.size, r->config.quantum, r->config.max_blocks);
  print_error("rerun: ZCMEM_TEST_SEED=0x%" PRIx64 " ZCMEM_TEST_OPS=%" PRIu64 " %s\n", r->seed, r->op + 1, program);
}

static uint64_t below(struct round *r, uint64_t limit) {
  return random_below(&r->random, limit);
}
static bool chance(struct round *r, uint64_t one_in) {
  return below(r, one_in) == 0;
}

/* A heap of at most MODEL_QUANTA quanta, at one of the places where arithmetic goes wrong. */
static void choose_heap(struct round *r) {
  static const unsigned quantum_log2[] = {0, 1, 4, 7, 7, 7, 12, 16, 24, 31};
  hal_size_t quantum = UINT64_C(1) << quantum_log2[below(r, sizeof quantum_log2 / sizeof quantum_log2[0])];
  uint64_t quanta = chance(r, 3) ? 1 + below(r, 12) : 1 + below(r, MODEL_QUANTA - 1);
  hal_size_t size = quanta * quantum;
  hal_size_t ragged = chance(r, 3) ? below(r, quantum) : 0;
  struct zcmem_heap_config *c = &r->config;
  c->quantum = quantum == ZCMEM_QUANTUM_DEFAULT && chance(r, 2) ? 0 : quantum;
  switch (below(r, 5)) {
  case 0: /* base 0: the first quantum is not handed out */
    c->base = 0;
    size += quantum + ragged;
    break;
  case 1: /* ends at 2^64 */
    c->base = 0 - size - ragged;
    size += ragged;
    break;
  case 2: /* ends at 2^32, where it fits below */
    c->base = size + ragged < UINT64_C(1) << 32 ? (UINT64_C(1) << 32) - size - ragged : quantum;
    size += ragged;
    break;
  case 3: /* a multiple of the quantum, and of nothing more */
    c->base = quantum * (2 * below(r, 64) + 1);
    size += ragged;
    break;
  default: /* anywhere below 2^62 */
    c->base = random_next(&r->random) >> 2;
    size += ragged;
    break;
  }
  c->size = size;
  switch (below(r, 4)) { /* few descriptors: the counts at their limits */
  case 0:
    c->max_blocks = 1 + (uint32_t)below(r, 4);
    break;
  case 1:
    c->max_blocks = 1 + (uint32_t)below(r, quanta);
    break;
  default:
    c->max_blocks = (uint32_t)(quanta + below(r, 100));
    break;
  }
  c->flags = chance(r, 2) ? ZCMEM_HEAP_ZEROED : 0;
}

static void begin_round(struct round *r, uint64_t seed) {
  memset(r, 0, sizeof *r);
  r->seed = seed;
  r->random = seed;
  do {
    choose_heap(r);
  } while (!twin_init(&r->twin, &r->config, chance(r, 4)));
  r->twin.explain = explain;
  r->twin.ctx = r;
  r->mix = (enum size_mix)below(r, SIZE_MIXES);
  for (unsigned i = 0; i < 4; i++) {
    r->few[i] = (1 + below(r, r->twin.model.quanta / 4 + 1)) * r->twin.model.quantum - below(r, 2);
  }
}

static hal_size_t choose_size(struct round *r) {
  const struct model *m = &r->twin.model;
  hal_size_t whole = m->quanta * m->quantum;
  hal_size_t largest = model_largest(m);
  if (chance(r, 40)) { /* the edges that no mix would find */
    switch (below(r, 6)) {
    case 0:
      return UINT64_MAX - below(r, 2 * m->quantum);
    case 1:
      return largest;
    case 2:
      return largest + 1;
    case 3:
      return (m->quanta - m->occupied) * m->quantum + below(r, 2);
    case 4:
      return random_next(&r->random);
    default:
      return 0;
    }
  }
  switch (r->mix) {
  case SIZES_TINY:
    return below(r, 3 * m->quantum + 1);
  case SIZES_UNIFORM:
    return below(r, whole / 3 + 1);
  case SIZES_LOGARITHMIC:
    return 1 + below(r, 1 + (whole >> below(r, 9)));
  case SIZES_FEW:
    return r->few[below(r, 4)];
  default: /* SIZES_EDGES: a byte around whole quanta */
    return below(r, m->quanta / 6 + 2) * m->quantum + below(r, 3);
  }
}

static hal_size_t choose_align(struct round *r) {
  const struct model *m = &r->twin.model;
  if (chance(r, 50)) {
    return random_next(&r->random) >> below(r, 64); /* mostly no power of two, 0 too */
  }
  if (chance(r, 60)) {
    return UINT64_C(1) << below(r, 64);
  }
  if (chance(r, 4)) {
    return m->quantum << below(r, 6); /* no bit is lost */
  }
  return 1;
}

/* Mostly the start of an occupied block; sometimes interior, free, outside, or 0. */
static hal_addr_t choose_address(struct round *r, uint64_t wrong_one_in) {
  const struct model *m = &r->twin.model;
  uint32_t start = (uint32_t)below(r, m->quanta);
  if (chance(r, wrong_one_in)) {
    switch (below(r, 5)) {
    case 0:
      return 0;
    case 1:
      return random_next(&r->random);
    case 2:
      return m->base - 1 - below(r, m->quantum);
    case 3:
      return m->base + m->quanta * m->quantum + below(r, 2 * m->quantum);
    default:
      return m->base + below(r, m->quanta * m->quantum);
    }
  }
  for (uint32_t i = 0; i < m->quanta; i++) {
    uint16_t owner = m->owner[(start + i) % m->quanta];
    if (owner != 0) {
      return m->base + m->blocks[owner - 1].first * m->quantum;
    }
  }
  return m->base;
}

static hal_addr_t interior(struct round *r, hal_addr_t addr) {
  return addr + below(r, 2 * r->twin.model.quantum);
}

static void one_call(struct round *r) {
  struct twin *t = &r->twin;
  const struct model *m = &t->model;
  hal_addr_t addr = 0;
  uint64_t dice = below(r, 100);
  if (r->op % 500 == 0) {
    r->fill = 20 + (uint32_t)below(r, 61);
  }
  if (dice < 60) {
    if (below(r, 100) < r->fill) {
      (void)twin_alloc(t, choose_size(r), choose_align(r), &addr);
    } else if (chance(r, 8)) {
      (void)twin_free_deferred(t, choose_address(r, 20));
    } else {
      (void)twin_free(t, choose_address(r, 20));
    }
  } else if (dice < 72) {
    (void)twin_resize(t, choose_address(r, 20), choose_size(r));
  } else if (dice < 79) {
    hal_addr_t at = m->base + below(r, m->quanta) * m->quantum + (chance(r, 20) ? below(r, m->quantum) : 0);
    (void)twin_reserve(t, chance(r, 30) ? choose_address(r, 1) : at, choose_size(r));
  } else if (dice < 84) {
    (void)twin_find(t, interior(r, choose_address(r, 6)));
  } else if (dice < 86) {
    (void)twin_set_tag(t, choose_address(r, 10), (uint32_t)random_next(&r->random));
  } else if (dice < 89) {
    (void)twin_pin(t, interior(r, choose_address(r, 10)));
  } else if (dice < 93) {
    (void)twin_unpin(t, interior(r, choose_address(r, 10)));
  } else if (dice < 96) {
    (void)twin_begin_transfer(t, choose_address(r, 10), below(r, 2 * m->quantum + 1));
  } else {
    (void)twin_end_transfer(t, interior(r, choose_address(r, 10)));
  }
}

/* Frees all that is left and sees that one block fills the heap again. */
static void end_round(struct round *r) {
  struct twin *t = &r->twin;
  struct model *m = &t->model;
  hal_addr_t addr = 0;
  for (uint32_t i = 0; i < m->quanta; i++) {
    hal_addr_t at = m->base + i * m->quantum;
    while (m->owner[i] != 0 && m->blocks[m->owner[i] - 1].pins > 0) {
      assert_ok(twin_unpin(t, at));
    }
    while (m->owner[i] != 0 && m->blocks[m->owner[i] - 1].transfers > 0) {
      assert_ok(twin_end_transfer(t, at));
    }
    if (m->owner[i] != 0) {
      assert_ok(twin_free(t, at));
    }
  }
  assert_ok(twin_alloc(t, m->quanta * m->quantum, 1, &addr));
  assert_int_equal(addr, m->base);
  assert_ok(twin_free(t, addr));
  twin_end(t);
}

static void random_calls(void **state) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", DEFAULT_SEED);
  uint64_t ops = env_number("ZCMEM_TEST_OPS", DEFAULT_OPS);
  uint64_t done = 0;
  struct round *r = malloc(sizeof *r);
  (void)state;
  assert_non_null(r);
  assert_true(ops > 0);
  print_message("ZCMEM_TEST_SEED=0x%" PRIx64 " ZCMEM_TEST_OPS=%" PRIu64 "\n", seed, ops);
  while (done < ops) {
    begin_round(r, seed);
    for (r->op = 0; r->op < ROUND_OPS && done < ops; r->op++, done++) {
      one_call(r);
      if (done % UINT64_C(10000000) == UINT64_C(9999999)) {
        print_message("%" PRIu64 " calls\n", done + 1);
      }
    }
    end_round(r);
    (void)random_next(&seed);
  }
  free(r);
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(random_calls)};
  (void)argc;
  program = argv[0];
  return cmocka_run_group_tests(tests, NULL, NULL);
}
