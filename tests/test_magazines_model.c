/* SPDX-License-Identifier: MIT */
/*
 * Random calls of one thread on a HAL with magazines, in regions of random shape, against a map of quanta: every
 * answer, which requests may fail, where blocks lie; the sums of what is kept; and at the end that nothing is lost. The
 * same with contexts that come and go, each call through one of them or none. In a build without magazines the answers
 * are the same.
 */
#include "magazines_check.h"
#include <stdalign.h>
#include <string.h>

enum { SLOTS = 1024, QUANTA = 1 << 15, CONTEXTS = 3 };

struct slot {
  hal_addr_t addr; /* 0: empty */
  hal_size_t requested;
  uint32_t start, quanta;
};

struct model {
  struct zcmem_hal *hal;
  uint64_t seed;
  hal_addr_t base;
  hal_size_t quantum;
  uint32_t quanta, max_blocks;
  uint32_t used, live; /* quanta and blocks */
  uint64_t requested, done, failed;
  bool roomy;                     /* all blocks together leave much of the region free, so magazines work */
  uint64_t kept, bundled, rested; /* looks that found blocks in the depot, or magazines at rest */
  struct slot slots[SLOTS];
  uint16_t owner[QUANTA]; /* slot + 1, 0: free */
  bool with_contexts;
  struct zcmem_context *contexts[CONTEXTS]; /* NULL: not open */
};

static struct model model;
static alignas(64) unsigned char context_memory[CONTEXTS][80 * 1024];

/* The one through which a call goes, or NULL: through none. */
static struct zcmem_context *draw_context(void) {
  uint64_t which = model.with_contexts ? random_below(&model.seed, CONTEXTS + 1) : CONTEXTS;
  return which < CONTEXTS ? model.contexts[which] : NULL;
}

static enum zcmem_status alloc_somehow(hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  struct zcmem_context *context = draw_context();
  return context == NULL ? zcmem_mem_alloc(model.hal, 0, size, align, addr)
                         : zcmem_context_alloc(context, 0, size, align, addr);
}

static enum zcmem_status free_somehow(hal_addr_t addr) {
  struct zcmem_context *context = draw_context();
  return context == NULL ? zcmem_mem_free(model.hal, addr) : zcmem_context_free(context, addr);
}

/* Opens one, ends or drains it. */
static void change_context(void) {
  uint64_t which = random_below(&model.seed, CONTEXTS);
  struct zcmem_context **context = &model.contexts[which];
  const struct zcmem_context_config config = {.hal = model.hal,
                                              .blocks = (uint32_t)random_below(&model.seed, ZCMEM_CONTEXT_BLOCKS + 1)};
  if (*context == NULL) {
    assert_ok(zcmem_context_init(context_memory[which], sizeof context_memory[which], &config, context));
  } else if (random_below(&model.seed, 2) == 0) {
    assert_ok(zcmem_context_drain(*context));
  } else {
    assert_ok(zcmem_context_destroy(*context));
    *context = NULL;
  }
}

static uint32_t quanta_of(hal_size_t size) {
  return (uint32_t)((size + (size == 0) + model.quantum - 1) / model.quantum);
}

static uint32_t largest_gap(void) {
  uint32_t most = 0, run = 0;
  for (uint32_t i = 0; i < model.quanta; i++) {
    run = model.owner[i] == 0 ? run + 1 : 0;
    most = run > most ? run : most;
  }
  return most;
}

static void mark(uint32_t from, uint32_t to, uint16_t before, uint16_t after) {
  for (uint32_t i = from; i < to; i++) {
    assert_int_equal(model.owner[i], before);
    model.owner[i] = after;
  }
}

/* What a request must answer that was refused. */
static enum zcmem_status refusal(uint32_t need) {
  return model.live == model.max_blocks     ? ZCMEM_ENOMEM
         : need > model.quanta - model.used ? ZCMEM_ENOSPC
         : need > largest_gap()             ? ZCMEM_EFRAG
                                            : ZCMEM_OK;
}

static bool alloc_into(uint16_t at, hal_size_t size, hal_size_t align) {
  struct slot *slot = &model.slots[at];
  uint32_t need = quanta_of(size);
  hal_addr_t addr = 0;
  enum zcmem_status status = alloc_somehow(size, align, &addr);
  if (status != ZCMEM_OK) {
    model.failed++;
    if (align <= model.quantum) {
      assert_status(refusal(need), status);
    } else { /* such a request may be refused although there is room, but not if it fits wherever the gap begins */
      assert_true(refusal(need + (uint32_t)(align / model.quantum) - 1) != ZCMEM_OK);
    }
    return false;
  }
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_info(model.hal, addr, &info));
  assert_int_equal(info.addr, addr);
  assert_int_equal(info.requested, size);
  assert_int_equal(info.size % model.quantum, 0);
  assert_true(info.size >= need * model.quantum && info.size <= (need + need / 8) * model.quantum);
  need = (uint32_t)(info.size / model.quantum); /* what a magazine gives may be an eighth larger */
  assert_int_equal(addr % align, 0);
  assert_int_equal((addr - model.base) % model.quantum, 0);
  *slot = (struct slot){addr, size, (uint32_t)((addr - model.base) / model.quantum), need};
  assert_true(slot->start < model.quanta && need <= model.quanta - slot->start);
  mark(slot->start, slot->start + need, 0, (uint16_t)(at + 1));
  model.used += need;
  model.requested += size;
  model.live++;
  return true;
}

static void free_slot(uint16_t at) {
  struct slot *slot = &model.slots[at];
  if (random_below(&model.seed, 16) == 0) {
    assert_ok(zcmem_mem_pin(model.hal, slot->addr));
    assert_status(free_somehow(slot->addr), ZCMEM_EBUSY);
    assert_ok(zcmem_mem_unpin(model.hal, slot->addr));
  }
  assert_ok(random_below(&model.seed, 8) == 0 ? zcmem_mem_free_deferred(model.hal, slot->addr)
                                              : free_somehow(slot->addr));
  if (random_below(&model.seed, 8) == 0) {
    assert_status(free_somehow(slot->addr), ZCMEM_ENOENT);
  }
  mark(slot->start, slot->start + slot->quanta, (uint16_t)(at + 1), 0);
  model.used -= slot->quanta;
  model.requested -= slot->requested;
  model.live--;
  slot->addr = 0;
}

static void resize_slot(uint16_t at, hal_size_t size) {
  struct slot *slot = &model.slots[at];
  uint32_t need = quanta_of(size), end = slot->start + slot->quanta;
  enum zcmem_status status = zcmem_mem_resize(model.hal, slot->addr, size);
  if (status != ZCMEM_OK) {
    assert_true(status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG);
    bool room = need <= model.quanta - slot->start;
    for (uint32_t i = end; room && i < slot->start + need; i++) {
      room = model.owner[i] == 0;
    }
    assert_false(room);
    return;
  }
  uint32_t now = slot->start + need;
  if (now > end) {
    assert_true(now <= model.quanta);
    mark(end, now, 0, (uint16_t)(at + 1));
  } else {
    mark(now, end, (uint16_t)(at + 1), 0);
  }
  model.used = model.used - slot->quanta + need;
  model.requested = model.requested - slot->requested + size;
  slot->quanta = need;
  slot->requested = size;
}

/* Sizes of a phase: some that come again and again, or anything up to a limit, small ones more often. */
static hal_size_t draw_size(uint64_t phase) {
  uint64_t most = model.quantum * (model.roomy ? 24 : model.quanta);
  if (phase % 3 == 0) {
    return model.quantum * random_below(&model.seed, phase % 2 == 0 ? 8 : 2) + random_below(&model.seed, 2);
  }
  for (int i = 0; i < (phase % 3 == 1 ? 2 : 3); i++) {
    most = random_below(&model.seed, most / (phase % 3 == 1 ? 8 : 1) + 2);
  }
  return most;
}

static void compare(void) {
  struct zcmem_region_stats stats = magazines_stats(model.hal, 0);
  assert_int_equal(stats.live, model.live);
  assert_int_equal(stats.requested, model.requested);
  assert_int_equal(stats.in_use, model.used * model.quantum);
  assert_int_equal(stats.available, (model.quanta - model.used) * model.quantum);
  assert_int_equal(stats.largest, model.live == model.max_blocks ? 0 : largest_gap() * model.quantum);
  assert_int_equal(stats.allocations, stats.frees + stats.live);
  assert_ok(zcmem_hal_check(model.hal));
}

/* One phase: replaces blocks at random, or fills and empties, up to so many of the slots. */
static void run_phase(uint64_t phase, uint64_t ops) {
  uint16_t slots = (uint16_t)(1 + random_below(&model.seed, phase % 4 == 1 ? 32 : SLOTS));
  for (uint64_t op = 0; op < ops; op++) {
    bool filling = phase % 4 == 3 ? op / slots % 2 == 0 : true;
    uint16_t at = (uint16_t)random_below(&model.seed, slots);
    struct slot *slot = &model.slots[at];
    uint64_t what = random_below(&model.seed, 32);
    if (slot->addr != 0 && what == 0) {
      resize_slot(at, draw_size(phase));
    } else if (slot->addr != 0) {
      free_slot(at);
      if (what < 20 && filling) {
        (void)alloc_into(at, draw_size(phase), 1);
      }
    } else if (filling) {
      (void)alloc_into(at, draw_size(phase), what == 1 ? model.quantum << random_below(&model.seed, 4) : 1);
    }
    model.done++;
    if (model.with_contexts && random_below(&model.seed, 2048) == 0) {
      change_context();
    }
#ifdef ZCMEM__MAGAZINES
    const struct zcmem__depot *depot = zcmem__hal_region(model.hal, 0)->depot;
    if (op % 16 == 0 && depot != NULL) {
      struct magazines_sum sum = magazines_look(model.hal, 0);
      model.kept += sum.in_magazines > 0;
      model.bundled += sum.in_depot > 0;
      model.rested += depot->all != NULL && depot->all->emptied;
    }
#endif
    if (op % 1024 == 512) {
      assert_ok(zcmem_hal_check(model.hal));
    }
  }
}

static void run_region(uint64_t ops) {
  static const uint32_t shares[] = {0, 256, 256, 1, ZCMEM_MAGAZINE_NONE};
  memset(model.slots, 0, sizeof model.slots);
  memset(model.owner, 0, sizeof model.owner);
  model.used = model.live = 0;
  model.requested = 0;
  model.quantum = (hal_size_t)32 << random_below(&model.seed, 9);
  model.roomy = random_below(&model.seed, 4) != 0;
  model.quanta = model.roomy
                     ? QUANTA
                     : (uint32_t)(1 + random_below(&model.seed, (uint64_t)QUANTA >> random_below(&model.seed, 12)));
  model.max_blocks = (uint32_t)(1 + random_below(&model.seed, random_below(&model.seed, 2) == 0 ? SLOTS : 64));
  model.base = model.quantum * (1 + random_below(&model.seed, 1 << 20));
  bool threads = !model.with_contexts || random_below(&model.seed, 2) == 0;
  const struct zcmem_hal_config config = {.name = "device",
                                          .max_regions = 1,
                                          .lock = threads ? NULL : &zcmem_lock_none,
                                          .flags = threads ? ZCMEM_HAL_MAGAZINES : 0};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = model.with_contexts ? ZCMEM_REGION_CONTEXTS : 0,
                                             .base = model.base,
                                             .size = model.quanta * model.quantum,
                                             .quantum = model.quantum,
                                             .max_blocks = model.max_blocks,
                                             .magazine_share =
                                                 shares[random_below(&model.seed, sizeof shares / sizeof *shares)]};
  assert_ok(zcmem_hal_create(&config, &region, 1, &model.hal));
  memset(model.contexts, 0, sizeof model.contexts);
  if (model.with_contexts) {
    change_context();
  }
  while (ops > 0) {
    uint64_t part = ops < 4000 ? ops : 1 + random_below(&model.seed, 4000);
    run_phase(random_next(&model.seed), part);
    ops -= part;
    if (random_below(&model.seed, 4) == 0) { /* it gives back what is kept: not all the time */
      compare();
    }
  }
  for (uint16_t at = 0; at < SLOTS; at++) {
    if (model.slots[at].addr != 0) {
      free_slot(at);
    }
  }
  compare();
  assert_int_equal(largest_gap(), model.quanta);
  hal_addr_t all = 0;
  assert_ok(zcmem_mem_alloc(model.hal, 0, model.quanta * model.quantum, 1, &all));
  assert_ok(zcmem_mem_free(model.hal, all));
  assert_int_equal(zcmem_hal_destroy(model.hal), 0);
}

/* magazines: in this build there are some. */
static void run(bool with_contexts, bool magazines) {
  uint64_t ops = env_number("ZCMEM_TEST_OPS", 1000000);
  model = (struct model){.with_contexts = with_contexts, .seed = env_number("ZCMEM_TEST_SEED", 1)};
  for (model.done = 0; model.done < ops;) {
    print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)model.seed);
    run_region(UINT64_C(5000) << random_below(&model.seed, 6));
  }
  assert_true(model.failed > 0 || ops < 1000000);
  print_message("kept %llu bundled %llu rested %llu\n", (unsigned long long)model.kept,
                (unsigned long long)model.bundled, (unsigned long long)model.rested);
  if (ops >= 1000000 && magazines) { /* a shorter run may miss some of it */
    assert_true(model.kept > 0 && model.bundled > 0 && model.rested > 0);
  }
}

static void test_random_calls(void **state) {
  (void)state;
#ifdef ZCMEM__THREAD_MAGAZINES
  run(false, true);
#else
  run(false, false);
#endif
}

static void test_random_calls_with_contexts(void **state) {
  (void)state;
#ifdef ZCMEM__MAGAZINES
  run(true, true);
#else
  run(true, false);
#endif
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_calls),
                                     cmocka_unit_test(test_random_calls_with_contexts)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
