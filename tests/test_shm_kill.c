/* SPDX-License-Identifier: MIT */
/*
 * Whatever store of a call of the facade, on an area that processes share, is the last one of a process that is killed:
 * the others find each call done that had come to its end, and the one that was interrupted done or never begun. Here
 * every store of each call is the last one once; it is a real death, by SIGKILL, so the kernel's part is real, too.
 * After each the survivor checks, compares with the log of calls, reaps, compares again; another process opens the area
 * and uses it. Now and then that one is killed, too, at stores of the repair.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<kills>
 */
#define _GNU_SOURCE
#include "victim_ledger.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "stepper.h"

/* A fork of a program with AddressSanitizer takes long. */
#if defined(__SANITIZE_ADDRESS__)
#define FORKS_ARE_SLOW
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FORKS_ARE_SLOW
#endif
#endif
#ifdef FORKS_ARE_SLOW
#define DEFAULT_KILLS UINT64_C(800)
#define CREATE_STORES 5u
#else
#define DEFAULT_KILLS UINT64_C(3000)
#define CREATE_STORES 1u
#endif
#define WORK_BYTES ((hal_size_t)65536)
#define WORK_BLOCKS 96u
#define PROCESSES 6u
/* CREATE_STORES: one in so many stores of zcmem_shm_create. One in so many kills is followed by those of whoever
 * repairs, at one in so many of its stores. */
#define REPAIRS 150u
#define REPAIR_STORES 9u

static struct {
  struct zcmem_shm *survivor;
  unsigned char *area, *base, *torn; /* the area as it is, before each script, and after a kill */
  size_t bytes;
  struct victim_log *log;
  struct victim_ledger before_script;
  uint64_t random, kills, calls, done, never, repair_kills, create_kills;
  uint64_t kills_of[VICTIM_KINDS], calls_of[VICTIM_KINDS];
} test;
static uint64_t seed, kills_wanted;
static char name[64]; /* of an area that somebody creates */

/* A case: the last call of a script, and what is there before it and after it. */
struct script {
  struct victim_call calls[VICTIM_CALLS];
  struct victim_answer answers[VICTIM_CALLS];
  uint32_t count;
  struct victim_ledger before, after;
  bool done;    /* from some store on */
  bool changes; /* what is there after the call is not what was there before */
};

static void explain(const struct script *script, uint64_t store, const char *what) {
  const struct victim_call *call = &script->calls[script->count - 1];
  print_error("kill %llu, store %llu of a %s of 0x%llx, %llu bytes: %s\n", (unsigned long long)test.kills,
              (unsigned long long)store, victim_names[call->kind], (unsigned long long)call->addr,
              (unsigned long long)call->size, what);
  print_error("rerun: ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed,
              (unsigned long long)kills_wanted);
  fail();
}

/* ---------------------------------------------------------------------------------------------------- what is seen --
 */

struct looking {
  struct victim_ledger *ledger;
  uint32_t region;
};

static bool look_at_block(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  const struct looking *looking = ctx;
  if (block->state == ZCMEM_BLOCK_LIVE || block->state == ZCMEM_BLOCK_ZOMBIE) {
    struct victim_block seen = {.addr = block->addr,
                                .size = block->requested,
                                .region = looking->region,
                                .owner = owner->state == ZCMEM_SHM_SHARED ? EVERYBODY : owner->slot,
                                .transfers = block->transfers,
                                .zombie = block->state == ZCMEM_BLOCK_ZOMBIE};
    seen.pins[NOBODY] = block->pins; /* nobody knows whose */
    victim_ledger_add(looking->ledger, &seen);
  }
  return true;
}

static void look(struct victim_ledger *seen) {
  struct zcmem_shm_snapshot *snapshot = NULL;
  struct zcmem_shm_snapshot_region region;
  seen->count = 0;
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(test.survivor), &snapshot));
  for (uint32_t i = 0; i < 2; i++) {
    struct looking looking = {seen, i};
    assert_ok(zcmem_shm_snapshot_get_region(snapshot, i, &region));
    assert_true(region.whole);
    assert_ok(zcmem_shm_snapshot_walk(snapshot, i, look_at_block, &looking));
  }
  zcmem_shm_snapshot_close(snapshot);
}

struct sums {
  uint64_t blocks, pins, transfers;
};

static struct sums sum_up(const struct victim_ledger *ledger) {
  struct sums sums = {.blocks = ledger->count};
  for (unsigned i = 0; i < ledger->count; i++) {
    sums.pins += victim_block_pins(&ledger->blocks[i]);
    sums.transfers += ledger->blocks[i].transfers;
  }
  return sums;
}

/* The survivor reaps, twice: a block of one who died may have had a pin of another one, whose turn came later. */
static const char *reap(struct victim_ledger *now) {
  static struct victim_ledger seen;
  static const struct victim_call nothing = {.kind = VICTIM_CHECK};
  static struct victim_ledger same;
  const struct sums had = sum_up(now);
  struct zcmem_shm_reaped first, second;
  bool done;
  assert_ok(zcmem_shm_reap(test.survivor, &first));
  assert_ok(zcmem_shm_reap(test.survivor, &second));
  for (unsigned turn = 0; turn < 2; turn++) {
    for (uint32_t slot = DEAD; slot <= VICTIMS_CHILD; slot++) {
      victim_ledger_reap(now, slot);
    }
  }
  const struct sums left = sum_up(now);
  assert_ok(zcmem_shm_check(test.survivor));
  look(&seen);
  if (first.blocks + second.blocks != had.blocks - left.blocks || first.pins + second.pins != had.pins - left.pins ||
      first.transfers + second.transfers != had.transfers - left.transfers) {
    return "the reap has counted something else";
  }
  return victim_ledger_judge(&seen, now, now, &nothing, &same, &done);
}

/* Somebody new can open the area and use it. */
static void use_anew(void) {
  const struct zcmem_shm_open_config config = {.fd = zcmem_shm_fd(test.survivor), .flags = ZCMEM_SHM_CHECK};
  struct zcmem_shm *shm = NULL;
  assert_ok(zcmem_shm_open(&config, &shm));
  for (uint32_t region = 0; region < 2; region++) {
    hal_addr_t addr = 0;
    assert_ok(zcmem_mem_alloc(zcmem_shm_hal(shm), region, 200, 1, &addr));
    assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), addr));
    assert_ok(zcmem_mem_unpin(zcmem_shm_hal(shm), addr));
    assert_ok(zcmem_mem_free(zcmem_shm_hal(shm), addr));
  }
  assert_ok(zcmem_shm_close(shm));
}

/* After a death: `now` becomes what was found before the reap. */
static void judge(struct script *script, uint64_t store, struct victim_ledger *now) {
  static struct victim_ledger seen, rest;
  bool done;
  if (zcmem_shm_check(test.survivor) != ZCMEM_OK) { /* takes the locks, so it repairs */
    explain(script, store, "what is left is broken");
  }
  look(&seen);
  const char *wrong =
      victim_ledger_judge(&seen, &script->before, &script->after, &script->calls[script->count - 1], now, &done);
  if (wrong == NULL && script->done && !done && script->changes) {
    wrong = "what was done is undone by a later store";
  }
  script->done = done;
  rest = *now;
  wrong = wrong == NULL ? reap(&rest) : wrong;
  if (wrong != NULL) {
    explain(script, store, wrong);
  }
  use_anew();
}

/* ---------------------------------------------------------------------------------------------------- the cases -- */

static void restore(const void *bytes) {
  memcpy(test.area, bytes, test.bytes);
}

/* The next process repairs what is torn and dies over it. */
static void kill_who_repairs(const struct victim_ledger *found) {
  struct script script = {.calls = {{.kind = VICTIM_OPEN}}, .count = 1, .before = *found, .after = *found};
  static struct victim_ledger now;
  memcpy(test.torn, test.area, test.bytes);
  victim_run(zcmem_shm_fd(test.survivor), script.calls, 1, VICTIM_COUNT, test.log);
  assert_ok(test.log->answers[0].status);
  const uint64_t stores = test.log->stores;
  for (uint64_t store = 1; store <= stores; store += REPAIR_STORES) {
    restore(test.torn);
    victim_run(zcmem_shm_fd(test.survivor), script.calls, 1, store, test.log);
    judge(&script, store, &now);
    test.repair_kills++;
  }
}

/* The calls before the one that was interrupted have answered as they always do. */
static void compare_log(const struct script *script, uint64_t store) {
  if (test.log->ended != script->count - 1) {
    explain(script, store, "a call that should not have come to its end, or the other way round");
  }
  for (uint32_t i = 0; i + 1 < script->count; i++) {
    if (memcmp(&test.log->answers[i], &script->answers[i], sizeof script->answers[i]) != 0) {
      explain(script, store, "an earlier call answers otherwise");
    }
  }
}

/* Kills at each store of the last call, and behind it. */
static void kill_at_each_store(struct script *script) {
  const uint32_t last = script->count - 1;
  const enum victim_kind kind = script->calls[last].kind;
  static struct victim_ledger now;
  restore(test.base);
  victim_run(zcmem_shm_fd(test.survivor), script->calls, script->count, VICTIM_COUNT, test.log);
  assert_int_equal(test.log->ended, script->count);
  script->answers[last] = test.log->answers[last];
  script->after = script->before;
  victim_ledger_enter(&script->after, &script->calls[last], &script->answers[last]);
  script->changes = true;
  script->done = true; /* it has come to its end */
  judge(script, 0, &now);
  script->changes = !victim_ledger_same(&script->before, &script->after);
  script->done = false;
  const uint64_t stores = test.log->stores;
  assert_true(stores > 0);
  for (uint64_t store = 1; store <= stores; store++) {
    restore(test.base);
    victim_run(zcmem_shm_fd(test.survivor), script->calls, script->count, store, test.log);
    compare_log(script, store);
    const bool repairs = ++test.kills % REPAIRS == 0;
    if (repairs) {
      memcpy(test.torn, test.area, test.bytes);
    }
    judge(script, store, &now);
    test.done += script->done;
    test.never += !script->done;
    if (repairs) {
      restore(test.torn);
      kill_who_repairs(&now);
    }
  }
  test.kills_of[kind] += stores;
  test.calls_of[kind]++;
}

static void run_case(struct script *script, const struct victim_call *call) {
  script->calls[script->count++] = *call;
  kill_at_each_store(script);
  script->before = script->after;
  test.calls++;
}

/* ------------------------------------------------------------------------------------------------------ the area -- */

static void take_over(struct victim_ledger *ledger) {
  for (unsigned i = 0; i < ledger->count; i++) {
    struct victim_block *block = &ledger->blocks[i];
    block->owner = block->owner == VICTIM ? DEAD : block->owner;
    block->pins[DEAD] = block->pins[VICTIM];
    block->pins[VICTIM] = 0;
  }
}

static hal_addr_t survivor_block(uint32_t region, hal_size_t size, uint32_t pins) {
  struct victim_block block = {.size = size, .region = region, .owner = SURVIVOR};
  assert_ok(zcmem_mem_alloc(zcmem_shm_hal(test.survivor), region, size, 1, &block.addr));
  for (block.pins[SURVIVOR] = 0; block.pins[SURVIVOR] < pins; block.pins[SURVIVOR]++) {
    assert_ok(zcmem_mem_pin(zcmem_shm_hal(test.survivor), block.addr));
  }
  victim_ledger_add(&test.before_script, &block);
  return block.addr;
}

/* Somebody has died before, and was not reaped: it has blocks, a zombie, and pins of what is the survivor's. */
static void let_one_die(hal_addr_t near, hal_addr_t far) {
  struct victim_call calls[] = {
      {.kind = VICTIM_ALLOC, .size = 700, .align = 1},
      {.kind = VICTIM_ALLOC, .size = 300, .align = 1},
      {.kind = VICTIM_ALLOC, .size = 1000, .align = 1},
      {.kind = VICTIM_ALLOC, .region = 1, .size = 90, .align = 1},
      {.kind = VICTIM_PIN, .addr = near},
      {.kind = VICTIM_PIN, .region = 1, .addr = far},
      {.kind = VICTIM_PIN},
      {.kind = VICTIM_FREE_DEFERRED},
  };
  const uint32_t count = sizeof calls / sizeof calls[0];
  const int fd = zcmem_shm_fd(test.survivor);
  victim_run(fd, calls, 4, VICTIM_COUNT, test.log);
  const hal_addr_t zombie = test.log->answers[0].addrs[0], pinned = test.log->answers[1].addrs[0];
  assert_ok(zcmem_shm_reap(test.survivor, NULL));
  calls[6].addr = calls[7].addr = zombie; /* the next one gets the same */
  victim_run(fd, calls, count, VICTIM_COUNT, test.log);
  for (uint32_t i = 0; i < count; i++) {
    assert_ok(test.log->answers[i].status);
    victim_ledger_enter(&test.before_script, &calls[i], &test.log->answers[i]);
  }
  take_over(&test.before_script);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(test.survivor), pinned));
  victim_ledger_find(&test.before_script, pinned)->pins[SURVIVOR]++;
}

static const struct zcmem_region_config work_regions[2] = {{.name = "near",
                                                            .kind = ZCMEM_KIND_DRAM,
                                                            .flags = ZCMEM_REGION_COHERENT,
                                                            .base = NEAR_BASE,
                                                            .size = WORK_BYTES,
                                                            .max_blocks = WORK_BLOCKS},
                                                           {.name = "far",
                                                            .kind = ZCMEM_KIND_MSMC,
                                                            .flags = ZCMEM_REGION_COHERENT,
                                                            .base = FAR_BASE,
                                                            .size = FAR_BYTES,
                                                            .max_blocks = WORK_BLOCKS,
                                                            .host = shm_far}};

static void make_work(void) {
  const struct zcmem_shm_config config = {.max_processes = PROCESSES, .regions = work_regions, .region_count = 2};
  struct victim_ledger seen, now;
  struct stat file;
  bool done;
  assert_ok(zcmem_shm_create(&config, &test.survivor));
  assert_int_equal(fstat(zcmem_shm_fd(test.survivor), &file), 0);
  test.bytes = (size_t)file.st_size;
  test.area = mmap(NULL, test.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, zcmem_shm_fd(test.survivor), 0);
  test.base = malloc(test.bytes);
  test.torn = malloc(test.bytes);
  test.log = victim_log_make();
  assert_true(test.area != MAP_FAILED && test.base != NULL && test.torn != NULL);
  const hal_addr_t near = survivor_block(0, 500, 2), far = survivor_block(1, 300, 1);
  (void)survivor_block(0, 100, 0);
  const hal_addr_t zombie = survivor_block(0, 260, 1), shared = survivor_block(0, 200, 0);
  assert_ok(zcmem_mem_free_deferred(zcmem_shm_hal(test.survivor), zombie));
  victim_ledger_find(&test.before_script, zombie)->zombie = true;
  assert_ok(zcmem_shm_share(test.survivor, shared));
  victim_ledger_find(&test.before_script, shared)->owner = EVERYBODY;
  let_one_die(near, far);
  look(&seen);
  const struct victim_call nothing = {.kind = VICTIM_CHECK};
  assert_null(victim_ledger_judge(&seen, &test.before_script, &test.before_script, &nothing, &now, &done));
  memcpy(test.base, test.area, test.bytes);
}

static void drop_work(void) {
  restore(test.base);
  assert_int_equal(munmap(test.area, test.bytes), 0);
  assert_ok(zcmem_shm_close(test.survivor));
  victim_log_drop(test.log);
  free(test.base);
  free(test.torn);
}

/* ------------------------------------------------------------------------------------------------------ the tests --
 */

static void say(void) {
  print_message("%llu kills in %llu calls: %llu done, %llu not; %llu kills of who repairs; nothing lost, none twice\n",
                (unsigned long long)test.kills, (unsigned long long)test.calls, (unsigned long long)test.done,
                (unsigned long long)test.never, (unsigned long long)test.repair_kills);
  for (unsigned kind = 0; kind < VICTIM_KINDS; kind++) {
    print_message("  %s: %llu kills, %llu calls\n", victim_names[kind], (unsigned long long)test.kills_of[kind],
                  (unsigned long long)test.calls_of[kind]);
  }
}

/* A block that its last use takes along when it ends: a pin, or a mapping. */
static void run_last_use(struct script *script, uint32_t region) {
  const struct victim_call alloc = {.kind = VICTIM_ALLOC, .region = region, .size = 300, .align = 1};
  *script = (struct script){.before = test.before_script};
  run_case(script, &alloc);
  struct victim_call call = {.region = region, .addr = script->answers[0].addrs[0]};
  const enum victim_kind kinds[] = {region == 0 ? VICTIM_PIN : VICTIM_MAP, VICTIM_FREE_DEFERRED,
                                    region == 0 ? VICTIM_UNPIN : VICTIM_UNMAP};
  for (unsigned i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    call.kind = kinds[i];
    run_case(script, &call);
    assert_ok(script->answers[script->count - 1].status);
  }
}

static void any_store_may_be_the_last(void **state) {
  static struct script script;
  unsigned kind = 0;
  (void)state;
  test.random = seed;
  make_work();
  while (test.kills < kills_wanted) {
    const struct victim_call open_call = {.kind = VICTIM_OPEN};
    const struct victim_call fork_call = {.kind = VICTIM_FORK, .size = 300, .align = 1};
    const struct victim_call close_call = {.kind = VICTIM_CLOSE};
    script = (struct script){.before = test.before_script};
    run_case(&script, &open_call);
    run_last_use(&script, kind % 2);
    script = (struct script){.before = test.before_script};
    while (script.count < VICTIM_CALLS - 1) {
      const struct victim_call call = victim_ledger_choose(&script.before, kind++ % VICTIM_OPEN, &test.random);
      run_case(&script, &call);
    }
    const struct script before_end = script;
    run_case(&script, &fork_call);
    script = before_end;
    run_case(&script, &close_call);
  }
  say();
  for (kind = 0; kind < VICTIM_KINDS; kind++) {
    assert_true(test.kills_of[kind] > 0);
  }
  assert_true(test.done > 0 && test.never > 0 && test.repair_kills > 0);
  drop_work();
}

/* An area whose creator died is there for all, or for nobody: and then its name can be taken away. */
static void a_creator_may_die_at_any_store(void **state) {
  const struct zcmem_shm_config config = {
      .name = name, .max_processes = PROCESSES, .regions = work_regions, .region_count = 2};
  const struct zcmem_shm_open_config open_config = {.name = name, .flags = ZCMEM_SHM_CHECK};
  struct victim_log *log = victim_log_make();
  uint64_t complete = 0;
  (void)state;
  victim_create(&config, VICTIM_COUNT, log);
  assert_ok(log->answers[0].status);
  assert_ok(zcmem_shm_unlink(name));
  const uint64_t stores = log->stores;
  for (uint64_t store = 1; store <= stores; store += store + CREATE_STORES < stores ? CREATE_STORES : 1) {
    struct zcmem_shm *shm = NULL;
    struct zcmem_shm_reaped reaped;
    victim_create(&config, store, log);
    assert_int_equal(log->ended, 0);
    assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EBUSY);
    const enum zcmem_status status = zcmem_shm_open(&open_config, &shm);
    if (status == ZCMEM_OK) {
      complete++;
      assert_ok(zcmem_shm_reap(shm, &reaped));
      assert_int_equal(reaped.processes, 1);
      assert_ok(zcmem_mem_free(zcmem_shm_hal(shm), shm_alloc(shm, 100)));
      assert_ok(zcmem_shm_close(shm));
    } else {
      assert_status(status, ZCMEM_EBUSY);
      assert_int_equal(complete, 0);
    }
    assert_ok(zcmem_shm_unlink(name));
    test.create_kills++;
  }
  assert_int_equal(complete, 1); /* the store of the magic is the last one */
  print_message("%llu kills of who creates an area\n", (unsigned long long)test.create_kills);
  victim_log_drop(log);
}

/* What a test that fails leaves behind. */
static int take_name_away(void **state) {
  (void)state;
  (void)zcmem_shm_unlink(name);
  return 0;
}

/*
 * With `rep movsb` in memcpy each byte is a stop of the stepper, and as many stores. glibc asks at the program's start
 * from what size on it is to be used.
 */
static void begin_without_string_stores(char **argv) {
  char path[4096];
  const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
  path[length < 0 ? 0 : length] = '\0';
  if (strstr(path, "test_shm_kill") != NULL && getenv("GLIBC_TUNABLES") == NULL) { /* not a loader, nor an emulator */
    (void)setenv("GLIBC_TUNABLES",
                 "glibc.cpu.x86_rep_movsb_threshold=0x10000000:glibc.cpu.x86_rep_stosb_threshold=0x10000000", 1);
    (void)execv("/proc/self/exe", argv); /* where it cannot: the same, only slowly */
  }
}

int main(int argc, char **argv) {
  (void)argc;
  begin_without_string_stores(argv);
  const struct CMUnitTest tests[] = {cmocka_unit_test(any_store_may_be_the_last),
                                     cmocka_unit_test(a_creator_may_die_at_any_store)};
  seed = env_number("ZCMEM_TEST_SEED", 0x73746f72);
  kills_wanted = env_number("ZCMEM_TEST_OPS", DEFAULT_KILLS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed,
                (unsigned long long)kills_wanted);
  if (!stepper_can()) {
    print_message("SKIP: no store can be stopped at on this host\n");
    return 77;
  }
  (void)snprintf(name, sizeof name, "/zcmem-kill-%ld", (long)getpid());
  return cmocka_run_group_tests(tests, NULL, take_name_away);
}
