/* SPDX-License-Identifier: MIT */
/*
 * A process that is killed at any instruction of any call leaves an image that zcmem_heap_repair makes whole. Each call
 * is stopped after each of its stores; a copy of what is there then is repaired, checked, and compared with the ledger
 * of the calls that came to their end: without the call that
 * was interrupted, and from some store on with it. Now and then the repair is interrupted in the same way.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<kills of each shape of heap>
 */
#include <string.h>

#include "heap_impl.h"
#include "ledger.h"
#include "stepper.h"
#include "unit.h"

#define DEFAULT_KILLS UINT64_C(3500)
/* One in so many kills is of the repair, too, at one in so many of its stores. */
#define REPAIRS 200u
#define REPAIR_STORES 7u

struct shape {
  const char *name;
  hal_size_t quanta;
  uint32_t max_blocks;
  unsigned blocks;    /* that many are live, about */
  hal_size_t longest; /* quanta of a request */
  bool shared;        /* as if other threads used it, too */
};

static const struct shape shapes[] = {
    {"small", 64, 16, 12, 12, false},
    {"shared", 64, 16, 12, 12, true},
    {"wide", 60 * ZCMEM__BIN_WIDE, 60, 40, 3 * ZCMEM__BIN_WIDE, false}, /* wide bins of several pages */
    {"crowded", 1 << 18, 120, 100, 3, true},                            /* the index has tables */
};

struct bench {
  const struct shape *shape;
  struct zcmem_heap *heap;
  size_t bytes;
  void *scratch;               /* a copy to repair */
  void *repairing;             /* a copy whose repair is interrupted */
  struct ledger before, after; /* the call that is interrupted */
  struct ledger_call call;
  bool done; /* it counts as done from some store on */
  uint64_t random, kills, repair_kills, calls, stores, done_kills;
};

static uint64_t seed, kills_wanted;

static void explain(const struct bench *b, const char *what) {
  print_error("%s heap, call %llu (%s of 0x%llx, %llu bytes): %s\n", b->shape->name, (unsigned long long)b->calls,
              ledger_names[b->call.kind], (unsigned long long)b->call.addr, (unsigned long long)b->call.size, what);
  print_error("rerun: ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed,
              (unsigned long long)kills_wanted);
  fail();
}

/* Repairs the image in scratch; whether the interrupted call is done in it. */
static bool repair_scratch(const struct bench *b) {
  struct zcmem_heap *heap = NULL;
  const char *broken = NULL;
  if (zcmem_heap_repair(b->scratch, b->bytes, NULL, 0, NULL) != ZCMEM_OK) {
    explain(b, "repair refuses what the kill has left");
  }
  if (zcmem_heap_check_detail(b->scratch, b->bytes, &broken) != ZCMEM_OK) {
    explain(b, broken);
  }
  assert_ok(zcmem_heap_attach(b->scratch, b->bytes, &heap));
  if (ledger_matches(&b->after, heap)) {
    return true;
  }
  if (!ledger_matches(&b->before, heap)) {
    explain(b, "the blocks are neither those before the call nor those after it");
  }
  return false;
}

static void repair_body(void *ctx) {
  struct bench *b = ctx;
  (void)zcmem_heap_repair(b->repairing, b->bytes, NULL, 0, NULL);
}

static void repair_seen(void *ctx) {
  struct bench *b = ctx;
  if (b->stores++ % REPAIR_STORES == 0) {
    memcpy(b->scratch, b->repairing, b->bytes);
    (void)repair_scratch(b);
    b->repair_kills++;
  }
}

static void call_body(void *ctx) {
  struct bench *b = ctx;
  (void)ledger_perform(b->heap, &b->call);
}

static void call_seen(void *ctx) {
  struct bench *b = ctx;
  memcpy(b->scratch, b->heap, b->bytes);
  bool done = repair_scratch(b);
  if (b->done && !done) {
    explain(b, "what was done is undone by a later store");
  }
  b->done = done;
  b->done_kills += done ? 1u : 0u;
  if (++b->kills % REPAIRS == 0) {
    const struct stepper stepper = {repair_body, repair_seen, b, b->repairing, b->bytes};
    memcpy(b->repairing, b->heap, b->bytes);
    stepper_run(&stepper);
  }
}

/* The heap, with blocks of all kinds already; nothing is interrupted yet. */
static void begin(struct bench *b, const struct shape *shape) {
  const struct zcmem_heap_config config = {UINT64_C(0x40000000), shape->quanta * ZCMEM_QUANTUM_DEFAULT, 0,
                                           shape->max_blocks, 0};
  *b = (struct bench){.shape = shape, .bytes = zcmem_heap_bytes(&config), .random = seed};
  b->before.quantum = ZCMEM_QUANTUM_DEFAULT;
  assert_ok(zcmem_heap_init(stepper_memory(b->bytes), b->bytes, &config, &b->heap));
  b->repairing = stepper_memory(b->bytes);
  b->scratch = aligned_alloc(ZCMEM__LINE, b->bytes);
  assert_non_null(b->scratch);
  b->heap->shared = shape->shared ? ZCMEM__SHARED_MANY : ZCMEM__SHARED_NOT;
  for (unsigned i = 0; i < 20 * shape->blocks; i++) {
    struct ledger_call call = ledger_choose(&b->before, b->heap, shape->blocks, shape->longest, &b->random);
    struct ledger_answer answer = ledger_perform(b->heap, &call);
    ledger_enter(&b->before, &call, &answer);
  }
  assert_ok(zcmem_heap_check(b->heap));
  assert_true(ledger_matches(&b->before, b->heap));
}

static void end(struct bench *b) {
  print_message("%s: %llu kills in %llu calls, after %llu the call is done; %llu kills of the repair\n", b->shape->name,
                (unsigned long long)b->kills, (unsigned long long)b->calls, (unsigned long long)b->done_kills,
                (unsigned long long)b->repair_kills);
  stepper_memory_drop(b->heap, b->bytes);
  stepper_memory_drop(b->repairing, b->bytes);
  free(b->scratch);
}

static void any_store_may_be_the_last(void **state) {
  struct bench b;
  (void)state;
  for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    begin(&b, &shapes[i]);
    const struct stepper stepper = {call_body, call_seen, &b, b.heap, b.bytes};
    for (; b.kills < kills_wanted; b.calls++) {
      b.call = ledger_choose(&b.before, b.heap, shapes[i].blocks, shapes[i].longest, &b.random);
      memcpy(b.scratch, b.heap, b.bytes); /* what the call will answer: the heap has no chance in it */
      struct ledger_answer answer = ledger_perform(b.scratch, &b.call);
      b.after = b.before;
      ledger_enter(&b.after, &b.call, &answer);
      b.done = false;
      stepper_run(&stepper);
      assert_ok(zcmem_heap_check(b.heap));
      assert_true(ledger_matches(&b.after, b.heap));
      b.before = b.after;
    }
    assert_true(b.done_kills > 0 && b.done_kills < b.kills && b.repair_kills > 0);
    end(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_store_may_be_the_last)};
  seed = env_number("ZCMEM_TEST_SEED", 0x6b696c6c);
  kills_wanted = env_number("ZCMEM_TEST_OPS", DEFAULT_KILLS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed,
                (unsigned long long)kills_wanted);
  if (!stepper_can()) {
    print_message("SKIP: no store can be stopped at on this host\n");
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
