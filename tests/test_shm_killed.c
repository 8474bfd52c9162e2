/* SPDX-License-Identifier: MIT */
/*
 * Processes that use one area at the same time and are killed with SIGKILL, one after the other, at whatever
 * instruction they have come to, while the others go on. Each writes down its calls before it makes them, and their
 * answers. After each kill what the dead one owned is compared with what it has written down, reaped, and compared with
 * what the reap says; another process takes its place. At the end nothing is lost.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<kills with 2 processes, and with 4>
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <time.h>

#define DEFAULT_KILLS UINT64_C(200)
#define MOST_WORKERS 4u /* 2, then 4 */
#define CALLS 40000u    /* that one process makes at most */
#define LATEST 1500000u /* nanoseconds that one lives at most after the last kill */
#define LEAST 400u      /* every other one has made up to so many calls, however slowly it begins */
#define MOST 40u        /* blocks of a process */
#define MOST_SHARES 20u /* blocks that a process shares */
#define COMMON 3u       /* blocks of the parent's that all processes use */
#define LONGEST 2000u

enum kind { ALLOC, FREE, RESIZE, PIN, UNPIN, DEFER, SHARE, WRITE, COMMON_PIN, COMMON_UNPIN, GREED, KINDS };
static const char *const names[KINDS] = {"alloc", "free",  "resize",     "pin",          "unpin", "defer",
                                         "share", "write", "common pin", "common unpin", "greed"};

struct call {
  enum kind kind;
  hal_addr_t addr;
  hal_size_t size;
};

struct answer {
  enum zcmem_status status;
  hal_addr_t addr;
};

/* A call begins when `begun` counts it, and ends with `ended`. */
struct log {
  _Atomic uint32_t begun, ended;
  struct call calls[CALLS];
  struct answer answers[CALLS];
};

struct block {
  hal_addr_t addr;
  hal_size_t size;
  uint32_t pins;
  bool zombie;
};

struct ledger {
  unsigned count, shares;
  uint64_t common_pins;
  struct block blocks[MOST + 1];
  hal_addr_t shared[MOST_SHARES + 1];
};

static struct {
  struct zcmem_shm *shm;
  struct log *logs[MOST_WORKERS];
  pid_t pids[MOST_WORKERS];
  hal_addr_t common[COMMON];
  uint64_t random, kills, calls, good, done, never, cached;
} test;
static uint64_t seed, kills_wanted;

/* ----------------------------------------------------------------------------------------------------- ledger -- */

static struct block *find(struct ledger *ledger, hal_addr_t addr) {
  for (unsigned i = 0; i < ledger->count; i++) {
    if (ledger->blocks[i].addr == addr) {
      return &ledger->blocks[i];
    }
  }
  return NULL;
}

static void drop(struct ledger *ledger, struct block *block) {
  *block = ledger->blocks[--ledger->count];
}

/* What a call has changed that answered OK. */
static void enter(struct ledger *ledger, const struct call *call, hal_addr_t addr) {
  struct block *block = find(ledger, call->addr);
  switch (call->kind) {
  case ALLOC:
    ledger->blocks[ledger->count++] = (struct block){.addr = addr, .size = call->size};
    break;
  case FREE:
    drop(ledger, block);
    break;
  case RESIZE:
    block->size = call->size;
    break;
  case PIN:
    block->pins++;
    break;
  case UNPIN:
    if (--block->pins == 0 && block->zombie) {
      drop(ledger, block);
    }
    break;
  case DEFER:
    block->zombie = block->pins > 0;
    if (!block->zombie) {
      drop(ledger, block);
    }
    break;
  case SHARE:
    ledger->shared[ledger->shares++] = call->addr;
    drop(ledger, block);
    break;
  case COMMON_PIN:
    ledger->common_pins++;
    break;
  case COMMON_UNPIN:
    ledger->common_pins--;
    break;
  default:
    break;
  }
}

/* -------------------------------------------------------------------------------------------- who is killed -- */

static struct call choose(struct ledger *ledger, uint64_t *random) {
  struct call call = {.kind = (enum kind)random_below(random, KINDS), .size = random_below(random, LONGEST)};
  struct block *block = ledger->count == 0 ? NULL : &ledger->blocks[random_below(random, ledger->count)];
  if (call.kind == GREED && random_below(random, 16) == 0) { /* seldom, so that there is something in magazines */
    return call;
  }
  call.kind = call.kind == GREED ? FREE : call.kind;
  if (call.kind == COMMON_PIN || call.kind == COMMON_UNPIN) {
    call.addr = test.common[random_below(random, COMMON)];
    return call;
  }
  if (block == NULL || (call.kind != UNPIN && block->zombie) ||
      (call.kind == SHARE && (block->pins > 0 || ledger->shares == MOST_SHARES)) ||
      (ledger->count < MOST / 2 && call.kind == FREE)) {
    call.kind = ALLOC;
  }
  if (call.kind == ALLOC && ledger->count == MOST) {
    call.kind = block->zombie ? UNPIN : FREE;
  }
  if (call.kind != ALLOC) {
    call.addr = block->addr;
  }
  return call;
}

static struct answer perform(struct zcmem_shm *shm, const struct call *call) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  struct answer answer = {.status = ZCMEM_EINVAL};
  const unsigned char bytes[16] = {1, 2, 3};
  switch (call->kind) {
  case ALLOC:
    answer.status = zcmem_mem_alloc(hal, 0, call->size, 1, &answer.addr);
    break;
  case FREE:
    answer.status = zcmem_mem_free(hal, call->addr);
    break;
  case RESIZE:
    answer.status = zcmem_mem_resize(hal, call->addr, call->size);
    break;
  case PIN:
  case COMMON_PIN:
    answer.status = zcmem_mem_pin(hal, call->addr);
    break;
  case UNPIN:
  case COMMON_UNPIN:
    answer.status = zcmem_mem_unpin(hal, call->addr);
    break;
  case DEFER:
    answer.status = zcmem_mem_free_deferred(hal, call->addr);
    break;
  case SHARE:
    answer.status = zcmem_shm_share(shm, call->addr);
    break;
  case GREED: /* there is no room for it, so all magazines are emptied */
    answer.status = zcmem_mem_alloc(hal, 0, NEAR_BYTES, 1, &answer.addr);
    break;
  default:
    answer.status = zcmem_mem_write(hal, call->addr, bytes, sizeof bytes);
    break;
  }
  return answer;
}

/* All bytes of the block but those that are written tell whose it is and where, so that one that two have is noticed.
 */
static void mark(struct zcmem_shm *shm, hal_addr_t addr, hal_size_t size, bool fresh) {
  const uint64_t me = (uint64_t)getpid();
  void *host = NULL;
  if (size == 0 || zcmem_mem_host(zcmem_shm_hal(shm), addr, size, &host) != ZCMEM_OK) {
    return;
  }
  for (hal_size_t i = 16; i + sizeof(uint64_t) <= size; i += sizeof(uint64_t)) {
    const uint64_t mine = me << 40 ^ (addr + i);
    if (fresh) {
      memcpy((char *)host + i, &mine, sizeof mine);
    } else {
      SHM_REQUIRE(memcmp((char *)host + i, &mine, sizeof mine) == 0);
    }
  }
}

static void live(struct log *log, uint64_t random) {
  static struct ledger ledger;
  memset(&ledger, 0, sizeof ledger);
  for (uint32_t i = 0; i < CALLS; i++) {
    struct call call = choose(&ledger, &random);
    struct block *block = find(&ledger, call.addr);
    if (block != NULL && !block->zombie) {
      mark(test.shm, block->addr, block->size, call.kind == RESIZE);
    }
    log->calls[i] = call;
    atomic_store(&log->begun, i + 1);
    const struct answer answer = perform(test.shm, &call);
    log->answers[i] = answer;
    atomic_store(&log->ended, i + 1);
    if (answer.status == ZCMEM_OK) {
      enter(&ledger, &call, answer.addr);
      block = find(&ledger, call.kind == ALLOC ? answer.addr : call.addr);
      if (block != NULL && (call.kind == ALLOC || call.kind == RESIZE)) {
        mark(test.shm, block->addr, block->size, true);
      }
    }
  }
  for (;;) {
    (void)pause();
  }
}

static void start(unsigned worker) {
  struct log *log = test.logs[worker];
  const uint64_t random = random_next(&test.random);
  atomic_store(&log->begun, 0);
  atomic_store(&log->ended, 0);
  test.pids[worker] = shm_fork();
  assert_true(test.pids[worker] >= 0);
  if (test.pids[worker] == 0) {
    live(log, random);
  }
}

/* ---------------------------------------------------------------------------------------------------- judging -- */

struct seen {
  uint32_t pid;
  unsigned count;
  struct block blocks[MOST + 2];
};

static bool see(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct seen *seen = ctx;
  if (owner->pid == seen->pid && block->state != ZCMEM_BLOCK_CACHED) {
    assert_int_equal(owner->state, ZCMEM_SHM_GONE);
    assert_true(seen->count < MOST + 2);
    seen->blocks[seen->count++] = (struct block){.addr = block->addr, .size = block->requested, .pins = block->pins};
  }
  return true;
}

static const char *compare(struct ledger *ledger, const struct seen *seen, const struct zcmem_shm_reaped *reaped) {
  unsigned live_blocks = 0;
  uint64_t pins = ledger->common_pins;
  for (unsigned i = 0; i < ledger->count; i++) {
    live_blocks += !ledger->blocks[i].zombie;
    pins += ledger->blocks[i].pins;
  }
  for (unsigned i = 0; i < seen->count; i++) {
    const struct block *block = find(ledger, seen->blocks[i].addr);
    if (block == NULL || block->zombie || block->size != seen->blocks[i].size || block->pins != seen->blocks[i].pins) {
      return "a block that is another one, or should not be there";
    }
  }
  return live_blocks != seen->count        ? "a block is lost"
         : reaped->blocks != ledger->count ? "how many blocks were reaped"
         : reaped->pins != pins            ? "how many pins were reaped"
                                           : NULL;
}

static hal_addr_t surplus(struct ledger *ledger, const struct seen *seen) {
  for (unsigned i = 0; i < seen->count; i++) {
    if (find(ledger, seen->blocks[i].addr) == NULL) {
      return seen->blocks[i].addr;
    }
  }
  return HAL_NULLPTR;
}

static void judge(const struct log *log, pid_t pid) {
  static struct ledger ledger;
  const uint32_t begun = atomic_load(&log->begun), ended = atomic_load(&log->ended);
  struct zcmem_shm_snapshot *snapshot = NULL;
  struct zcmem_shm_reaped reaped;
  struct seen seen = {.pid = (uint32_t)pid};
  memset(&ledger, 0, sizeof ledger);
  for (uint32_t i = 0; i < ended; i++) {
    if (log->answers[i].status == ZCMEM_OK) {
      enter(&ledger, &log->calls[i], log->answers[i].addr);
      test.good++;
    }
  }
  test.calls += ended;
  assert_ok(zcmem_shm_check(test.shm)); /* takes the lock, so it repairs */
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(test.shm), &snapshot));
  assert_ok(zcmem_shm_snapshot_walk(snapshot, 0, see, &seen));
  zcmem_shm_snapshot_close(snapshot);
  assert_ok(zcmem_shm_reap(test.shm, &reaped));
  assert_int_equal(reaped.refused, 0);
  test.cached += reaped.cached;
  const char *wrong = compare(&ledger, &seen, &reaped);
  if (wrong != NULL && begun == ended + 1) {
    const struct call *call = &log->calls[ended];
    const hal_addr_t addr = call->kind == ALLOC ? surplus(&ledger, &seen) : HAL_NULLPTR;
    if (call->kind != ALLOC || addr != HAL_NULLPTR) {
      enter(&ledger, call, addr);
    }
    wrong = compare(&ledger, &seen, &reaped);
    test.done++;
  } else {
    test.never += begun != ended;
  }
  if (wrong != NULL) {
    fail_msg("kill %llu, in a %s: %s", (unsigned long long)test.kills,
             begun == ended ? "pause" : names[log->calls[ended].kind], wrong);
  }
  assert_true(reaped.transfers <= (begun != ended && log->calls[ended].kind == WRITE ? 1u : 0u));
  for (unsigned i = 0; i < ledger.shares; i++) {
    assert_ok(zcmem_mem_free(zcmem_shm_hal(test.shm), ledger.shared[i]));
  }
}

static void wait_for_calls(const struct log *log, uint32_t calls) {
  for (unsigned tries = 0; atomic_load(&log->ended) < calls && tries < 10000; tries++) {
    (void)nanosleep(&(struct timespec){0, 100000}, NULL);
  }
}

static void end(unsigned worker) {
  int status;
  assert_int_equal(kill(test.pids[worker], SIGKILL), 0);
  assert_int_equal(waitpid(test.pids[worker], &status, 0), test.pids[worker]);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* no mistake of its own was faster */
  judge(test.logs[worker], test.pids[worker]);
}

static void kill_processes(unsigned workers, uint32_t hal_flags) {
  struct zcmem_block_info info;
  memset(&test, 0, sizeof test);
  shm_hal_flags = hal_flags;
  test.random = seed;
  test.shm = shm_make(NULL, workers + 2);
  for (unsigned i = 0; i < COMMON; i++) {
    test.common[i] = shm_alloc(test.shm, 100);
  }
  for (unsigned i = 0; i < workers; i++) {
    void *memory = mmap(NULL, sizeof(struct log), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(memory != MAP_FAILED);
    test.logs[i] = memory;
    start(i);
  }
  for (; test.kills < kills_wanted; test.kills++) {
    const struct timespec life = {0, (long)random_below(&test.random, LATEST)};
    const unsigned worker = (unsigned)random_below(&test.random, workers);
    (void)nanosleep(&life, NULL);
    if (test.kills % 2 != 0) {
      wait_for_calls(test.logs[worker], (uint32_t)random_below(&test.random, LEAST));
    }
    end(worker);
    start(worker);
  }
  for (unsigned i = 0; i < workers; i++) {
    end(i);
    assert_int_equal(munmap(test.logs[i], sizeof(struct log)), 0);
  }
  for (unsigned i = 0; i < COMMON; i++) {
    assert_ok(zcmem_mem_info(zcmem_shm_hal(test.shm), test.common[i], &info));
    assert_int_equal(info.pins + info.transfers, 0);
    assert_ok(zcmem_mem_free(zcmem_shm_hal(test.shm), test.common[i]));
  }
  assert_int_equal(shm_live(test.shm), 0);
  assert_ok(zcmem_shm_check(test.shm));
  assert_ok(zcmem_shm_close(test.shm));
  print_message(
      "%u processes: %llu kills, %llu calls, of which %llu succeeded; %llu were interrupted and are done, %llu never "
      "began; %llu blocks were in magazines; nothing lost, none twice\n",
      workers, (unsigned long long)test.kills, (unsigned long long)test.calls, (unsigned long long)test.good,
      (unsigned long long)test.done, (unsigned long long)test.never, (unsigned long long)test.cached);
  assert_true(test.good > test.calls / 2 && test.done + test.never > 0);
  assert_true((test.cached > 0) == (hal_flags != 0));
}

static void one_of_two_is_killed(void **state) {
  (void)state;
  kill_processes(2, 0);
}

static void one_of_four_is_killed(void **state) {
  (void)state;
  kill_processes(4, 0);
}

/* What they have in magazines is given back, too; and calls that take no lock are interrupted. */
static void one_of_three_with_magazines_is_killed(void **state) {
  (void)state;
  if (!shm_has_magazines()) {
    skip();
  }
  kill_processes(3, ZCMEM_HAL_MAGAZINES);
}

int main(void) {
  if (!shm_knows_the_dead()) {
    print_message("SKIP: no mutex survives its owner here\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(one_of_two_is_killed), cmocka_unit_test(one_of_four_is_killed),
                                     cmocka_unit_test(one_of_three_with_magazines_is_killed)};
  seed = env_number("ZCMEM_TEST_SEED", 0x6b696c);
  kills_wanted = env_number("ZCMEM_TEST_OPS", DEFAULT_KILLS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed,
                (unsigned long long)kills_wanted);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
