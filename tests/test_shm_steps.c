/* SPDX-License-Identifier: MIT */
/*
 * A process with magazines is killed before each single instruction of its calls on a shared region: it is stepped
 * there with ptrace. Whoever comes then finds the region whole, and of the dead one's blocks those that it had been
 * told of: the call that was interrupted is done, or never began; what it had in magazines is nobody's. And at each
 * instruction of the calls that take no lock somebody else empties its magazines.
 *   ZCMEM_TEST_OPS=<most kills in each scenario>
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

#include "shm_lock.h"

/* A fork of a program with AddressSanitizer takes long. */
#if defined(__SANITIZE_ADDRESS__)
#define DEFAULT_KILLS UINT64_C(12)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define DEFAULT_KILLS UINT64_C(12)
#endif
#endif
#ifndef DEFAULT_KILLS
#define DEFAULT_KILLS UINT64_C(60)
#endif
#define SKIPPED 77
#define SIZE 1000u
#define WARM 12u
#define AT_ONCE 12u /* kills in one area */
#define OTHER 7040u /* bytes of a block that is of no size in magazines */
#define CALLS 4u    /* of a scenario, at most */

enum kind { NONE, ALLOC, FREE, GREED };
struct call {
  enum kind kind;
  hal_size_t size; /* ALLOC */
  unsigned which;  /* FREE: the warm block; it is live, and of WARM_SIZE */
};

struct scenario {
  const char *name;
  struct call calls[CALLS];
};

/* The first WARM / 2 blocks are live, the others are in magazines. */
static const struct scenario scenarios[] = {
    {"from and into a magazine", {{ALLOC, SIZE, 0}, {FREE, 0, 0}, {ALLOC, SIZE - 8, 0}}},
    {"with the lock", {{ALLOC, 5000, 0}, {FREE, 0, 1}, {ALLOC, 300000, 0}}},
    {"empties all magazines", {{FREE, 0, 2}, {GREED, 0, 0}, {ALLOC, SIZE, 0}, {FREE, 0, 3}}},
};

struct log {
  _Atomic unsigned begun, ended;
  hal_addr_t warm[WARM];
  hal_addr_t made[CALLS];
};

static struct {
  struct zcmem_shm *shm;
  struct log *log;
  uint64_t most, seizures;
} test;

/* ------------------------------------------------------------------------------------------------ who is stepped -- */

static hal_addr_t alloc_of(struct zcmem_hal *hal, hal_size_t size) {
  hal_addr_t addr = HAL_NULLPTR;
  SHM_REQUIRE(zcmem_mem_alloc(hal, 0, size, 1, &addr) == ZCMEM_OK);
  return addr;
}

static void live(const struct scenario *scenario) {
  struct zcmem_hal *hal = zcmem_shm_hal(test.shm);
  struct log *log = test.log;
  for (unsigned i = 0; i < WARM; i++) {
    log->warm[i] = alloc_of(hal, SIZE);
  }
  for (unsigned i = WARM / 2; i < WARM; i++) {
    SHM_REQUIRE(zcmem_mem_free(hal, log->warm[i]) == ZCMEM_OK);
  }
  SHM_REQUIRE(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0);
  for (unsigned i = 0; i < CALLS && scenario->calls[i].kind != NONE; i++) {
    const struct call *call = &scenario->calls[i];
    hal_addr_t addr = HAL_NULLPTR;
    atomic_store(&log->begun, i + 1);
    if (call->kind == FREE) {
      SHM_REQUIRE(zcmem_mem_free(hal, log->warm[call->which]) == ZCMEM_OK);
    } else if (call->kind == ALLOC) {
      addr = alloc_of(hal, call->size);
    } else {
      SHM_REQUIRE(zcmem_mem_alloc(hal, 0, NEAR_BYTES, 1, &addr) == ZCMEM_ENOSPC);
    }
    log->made[i] = addr;
    atomic_store(&log->ended, i + 1);
  }
  (void)raise(SIGSTOP);
  _exit(1);
}

/* Lets it do so many instructions; how many it has done before its end. */
static uint64_t step(pid_t pid, uint64_t most) {
  uint64_t done = 0;
  int status;
  while (done < most) {
    assert_int_equal(ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSTOPPED(status));
    if (WSTOPSIG(status) == SIGSTOP) {
      break;
    }
    assert_int_equal(WSTOPSIG(status), SIGTRAP);
    done++;
  }
  return done;
}

/* ------------------------------------------------------------------------------------------------------- judging -- */

struct seen {
  uint32_t pid;
  unsigned blocks;
  hal_size_t requested;
  uint64_t sum; /* of their addresses */
};

static bool see(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct seen *seen = ctx;
  if (block->state == ZCMEM_BLOCK_LIVE && owner->pid == seen->pid) {
    seen->blocks++;
    seen->requested += block->requested;
    seen->sum += block->addr;
  }
  return true;
}

static void add(struct seen *seen, hal_addr_t addr, hal_size_t size, bool live_now) {
  seen->blocks += live_now ? 1u : 0u - 1u;
  seen->requested += live_now ? size : 0 - size;
  seen->sum += live_now ? addr : 0 - addr;
}

/* What the first `calls` calls leave. */
static struct seen expected(const struct scenario *scenario, unsigned calls) {
  struct seen wanted = {.pid = 0};
  for (unsigned i = 0; i < WARM / 2; i++) {
    add(&wanted, test.log->warm[i], SIZE, true);
  }
  for (unsigned i = 0; i < calls; i++) {
    const struct call *call = &scenario->calls[i];
    if (call->kind != GREED) {
      add(&wanted, call->kind == ALLOC ? test.log->made[i] : test.log->warm[call->which],
          call->kind == ALLOC ? call->size : SIZE, call->kind == ALLOC);
    }
  }
  return wanted;
}

static bool agrees(const struct scenario *scenario, const struct seen *seen, unsigned calls, bool told) {
  const struct seen wanted = expected(scenario, calls);
  return seen->blocks == wanted.blocks && seen->requested == wanted.requested && (seen->sum == wanted.sum || !told);
}

/* So that there is something to seize which is not the dead one's. */
static void keep_some(void) {
  hal_addr_t addrs[WARM];
  for (unsigned i = 0; i < WARM; i++) {
    addrs[i] = shm_alloc(test.shm, SIZE);
  }
  for (unsigned i = 0; i < WARM; i++) {
    assert_ok(zcmem_mem_free(zcmem_shm_hal(test.shm), addrs[i]));
  }
}

static void judge(const struct scenario *scenario, pid_t pid, uint64_t at) {
  struct zcmem_shm_snapshot *snapshot = NULL;
  struct zcmem_shm_reaped reaped;
  struct seen seen = {.pid = (uint32_t)pid};
  const unsigned begun = atomic_load(&test.log->begun), ended = atomic_load(&test.log->ended);
  assert_ok(zcmem_shm_check(test.shm)); /* takes the lock, so it repairs */
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(test.shm), &snapshot));
  assert_ok(zcmem_shm_snapshot_walk(snapshot, 0, see, &seen));
  zcmem_shm_snapshot_close(snapshot);
  /* Where an interrupted allocation is done nobody was told its address. */
  if (!agrees(scenario, &seen, ended, true) && !(begun > ended && agrees(scenario, &seen, begun, false))) {
    fail_msg("%s, killed after %llu instructions, in call %u: %u blocks of %llu bytes", scenario->name,
             (unsigned long long)at, begun, seen.blocks, (unsigned long long)seen.requested);
  }
  assert_ok(zcmem_shm_reap(test.shm, &reaped));
  assert_int_equal(reaped.blocks, seen.blocks);
  assert_int_equal(reaped.refused, 0);
  assert_int_equal(reaped.processes, 1);
  assert_ok(zcmem_shm_check(test.shm));
  /* This process forgets what was seized; and then there is nothing that nobody has. */
  const hal_addr_t other = shm_alloc(test.shm, OTHER);
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(zcmem_shm_hal(test.shm), 0, &stats));
  assert_int_equal(stats.in_use, 128 + OTHER);
  assert_int_equal(stats.live, 2);
  assert_ok(zcmem_mem_free(zcmem_shm_hal(test.shm), other));
}

/* Whether the one that is stopped has not got it. */
static bool is_lock_free(void) {
  pthread_mutex_t *mutex = test.shm->part[0].mutex;
  return pthread_mutex_trylock(mutex) == 0 && pthread_mutex_unlock(mutex) == 0;
}

/* While it is stopped there everything is seized, if nobody has the lock; then it works on. */
static void seize_and_go_on(pid_t pid) {
  hal_addr_t addr;
  int status;
  if (is_lock_free()) {
    assert_ok(zcmem_shm_check(test.shm));
    assert_status(zcmem_mem_alloc(zcmem_shm_hal(test.shm), 0, NEAR_BYTES, 1, &addr), ZCMEM_ENOSPC);
    keep_some();
    test.seizures++;
  }
  assert_int_equal(ptrace(PTRACE_CONT, pid, NULL, NULL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
}

/*
 * Starts one, lets it do `most` instructions, and kills it, or seizes what it keeps and kills it at its end. Answers
 * how many it has done.
 */
static uint64_t kill_at(const struct scenario *scenario, uint64_t most, bool seize) {
  int status;
  memset(test.log, 0, sizeof *test.log);
  keep_some();
  pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    live(scenario);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSTOPPED(status));
  assert_true(test.shm->part[0].shared.kept[1].quanta > 0 && test.shm->part[0].shared.kept[2].quanta > 0);
  const uint64_t done = step(pid, most);
  if (seize) {
    seize_and_go_on(pid);
  }
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  judge(scenario, pid, done);
  return done;
}

static bool can_step(void) {
  int status = 0;
  pid_t pid = fork();
  if (pid == 0) {
    _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 && raise(SIGSTOP) == 0 ? 0 : 1);
  }
  bool stopped = pid > 0 && waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
  bool steps = stopped && ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) == 0 && waitpid(pid, &status, 0) == pid &&
               WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP;
  if (stopped) {
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, &status, 0);
  }
  return steps;
}

static void begin(void) {
  void *memory = mmap(NULL, sizeof *test.log, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  test.log = memory;
  shm_hal_flags = ZCMEM_HAL_MAGAZINES;
  test.shm = shm_make(NULL, 4);
  (void)shm_alloc(test.shm, 1); /* so that there is no room for the greedy */
}

static void end(void) {
  assert_ok(zcmem_shm_close(test.shm));
  assert_int_equal(munmap(test.log, sizeof *test.log), 0);
}

/* Where blocks are seized all the time magazines rest, in the end: then there would be nothing to see. */
static void begin_anew(uint64_t kills) {
  if (kills % AT_ONCE == AT_ONCE - 1u) {
    end();
    begin();
  }
}

static void killed_at_each_instruction(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scenarios / sizeof scenarios[0]; i++) {
    begin();
    const uint64_t all = kill_at(&scenarios[i], UINT64_MAX, false);
    uint64_t kills = 0;
    assert_true(all > 100);
    for (uint64_t at = i; at < all; at += all / test.most + 1, kills++) {
      begin_anew(kills);
      (void)kill_at(&scenarios[i], at, false);
    }
    end();
    print_message("%s: %llu kills in %llu instructions\n", scenarios[i].name, (unsigned long long)kills,
                  (unsigned long long)all);
  }
}

/* The calls of the first scenario take no lock, as a rule: between two instructions of theirs others may have it. */
static void seized_at_each_instruction(void **state) {
  (void)state;
  begin();
  const uint64_t all = kill_at(&scenarios[0], UINT64_MAX, false);
  uint64_t kills = 0;
  test.seizures = 0;
  for (uint64_t at = 0; at < all; at += all / (2 * test.most) + 1, kills++) {
    begin_anew(kills);
    (void)kill_at(&scenarios[0], at, true);
  }
  print_message("%llu seizures in %llu instructions\n", (unsigned long long)test.seizures, (unsigned long long)all);
  assert_true(test.seizures > test.most / 2);
  end();
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(killed_at_each_instruction),
                                     cmocka_unit_test(seized_at_each_instruction)};
  test.most = env_number("ZCMEM_TEST_OPS", DEFAULT_KILLS);
  if (!shm_has_magazines() || !can_step()) {
    printf("SKIP: no magazines on this host, or no process can be stepped\n");
    return SKIPPED;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
