/* SPDX-License-Identifier: MIT */
/*
 * Processes that use a heap in shared memory and are killed with SIGKILL, at whatever instruction they have come to;
 * each of them writes down its calls before it makes them and their answers afterwards. After each kill the heap is
 * repaired, checked and compared with what was written down, and the next process goes on with it.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<kills>
 */
#define _GNU_SOURCE
#include "ledger.h"
#include "unit.h"

#ifdef __linux__
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "heap_impl.h"

#define DEFAULT_KILLS UINT64_C(400)
#define CALLS 100000u  /* that one process makes at most */
#define LATEST 2000000 /* nanoseconds that one lives */

/* What a process has written down when it is killed. A call begins when `begun` counts it, and ends with `ended`. */
struct log {
  _Atomic uint32_t begun, ended;
  struct ledger_call calls[CALLS];
  struct ledger_answer answers[CALLS];
};

static struct {
  struct zcmem_heap *heap;
  size_t bytes;
  struct log *log;
  struct ledger ledger;
  uint64_t random, kills, calls, done, never;
} test;
static uint64_t seed, kills_wanted;

static const struct {
  hal_size_t quanta;
  uint32_t max_blocks;
  unsigned blocks;
  hal_size_t longest;
  bool shared;
} shapes[] = {
    {200, 60, 50, 20, false},
    {200, 60, 50, 20, true},
    {100 * ZCMEM__BIN_WIDE, 200, 150, 2 * ZCMEM__BIN_WIDE, false},
    {1 << 20, 300, 250, 4, true},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static void *shared_memory(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  return memory;
}

/* The process that is killed. */
static void child(unsigned shape) {
  struct log *log = test.log;
  for (uint32_t i = 0; i < CALLS; i++) {
    log->calls[i] = ledger_choose(&test.ledger, test.heap, shapes[shape].blocks, shapes[shape].longest, &test.random);
    atomic_store(&log->begun, i + 1);
    log->answers[i] = ledger_perform(test.heap, &log->calls[i]);
    atomic_store(&log->ended, i + 1);
    ledger_enter(&test.ledger, &log->calls[i], &log->answers[i]);
  }
  for (;;) {
    (void)pause();
  }
}

static void kill_one(unsigned shape) {
  struct timespec life = {0, (long)random_below(&test.random, LATEST)};
  atomic_store(&test.log->begun, 0);
  atomic_store(&test.log->ended, 0);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    child(shape);
  }
  /* Every other one has come to the end of a call, however slowly it runs. */
  for (unsigned tries = 0; test.kills % 2 != 0 && atomic_load(&test.log->ended) == 0 && tries < 10000; tries++) {
    (void)nanosleep(&(struct timespec){0, 100000}, NULL);
  }
  (void)nanosleep(&life, NULL);
  int status;
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* no mistake of its own was faster */
}

/* The calls that came to their end, and the one that did not: either it is done, or it never began. */
static void judge(void) {
  const struct log *log = test.log;
  const uint32_t begun = atomic_load(&log->begun), ended = atomic_load(&log->ended);
  const char *broken = NULL;
  for (uint32_t i = 0; i < ended; i++) {
    ledger_enter(&test.ledger, &log->calls[i], &log->answers[i]);
  }
  test.calls += ended;
  assert_ok(zcmem_heap_repair(test.heap, test.bytes, NULL, 0, NULL));
  if (zcmem_heap_check_detail(test.heap, test.bytes, &broken) != ZCMEM_OK) {
    print_error("kill %llu: %s\n", (unsigned long long)test.kills, broken);
    fail();
  }
  if (ledger_matches(&test.ledger, test.heap)) {
    test.never += begun != ended ? 1u : 0u;
    return;
  }
  assert_int_equal(begun, ended + 1);
  const struct ledger_answer answer = {ZCMEM_OK, ledger_surplus(&test.ledger, test.heap)};
  ledger_enter(&test.ledger, &log->calls[ended], &answer);
  if (!ledger_matches(&test.ledger, test.heap)) {
    print_error("kill %llu, of a %s of 0x%llx, %llu bytes: the blocks are neither those before the call nor after it\n",
                (unsigned long long)test.kills, ledger_names[log->calls[ended].kind],
                (unsigned long long)log->calls[ended].addr, (unsigned long long)log->calls[ended].size);
    fail();
  }
  test.done++;
}

static void killed_processes_lose_nothing(void **state) {
  (void)state;
  test.log = shared_memory(sizeof *test.log);
  test.random = seed;
  for (unsigned shape = 0; shape < SHAPES; shape++) {
    const struct zcmem_heap_config config = {UINT64_C(0x40000000), shapes[shape].quanta * ZCMEM_QUANTUM_DEFAULT, 0,
                                             shapes[shape].max_blocks, ZCMEM_HEAP_ZEROED};
    test.bytes = zcmem_heap_bytes(&config);
    test.ledger = (struct ledger){.quantum = ZCMEM_QUANTUM_DEFAULT};
    assert_ok(zcmem_heap_init(shared_memory(test.bytes), test.bytes, &config, &test.heap));
    test.heap->shared = shapes[shape].shared ? ZCMEM__SHARED_MANY : ZCMEM__SHARED_NOT;
    for (uint64_t i = 0; i < kills_wanted / SHAPES; i++, test.kills++) {
      kill_one(shape);
      judge();
    }
    assert_int_equal(munmap(test.heap, test.bytes), 0);
  }
  assert_int_equal(munmap(test.log, sizeof *test.log), 0);
  print_message("%llu kills, %llu calls; %llu were interrupted and are done, %llu never began\n",
                (unsigned long long)test.kills, (unsigned long long)test.calls, (unsigned long long)test.done,
                (unsigned long long)test.never);
  assert_true(test.calls > 0 && test.done + test.never > 0);
}
#else
static uint64_t seed, kills_wanted;
#define DEFAULT_KILLS 0

static void killed_processes_lose_nothing(void **state) {
  (void)state;
  print_message("no processes that share memory here\n");
  skip();
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(killed_processes_lose_nothing)};
  seed = env_number("ZCMEM_TEST_SEED", 0x6b696c);
  kills_wanted = env_number("ZCMEM_TEST_OPS", DEFAULT_KILLS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed,
                (unsigned long long)kills_wanted);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
