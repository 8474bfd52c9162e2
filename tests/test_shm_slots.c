/* SPDX-License-Identifier: MIT */
/* Who is alive, and who is not: pids that come again, processes of other users, forks, and more than there are slots.
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "shm_slots.h"

#define SLOTS 3u

/* The area as anybody has it who maps it. */
static struct zcmem__shm_area *map_header(struct zcmem_shm *shm) {
  void *area = mmap(NULL, sizeof(struct zcmem__shm_area), PROT_READ | PROT_WRITE, MAP_SHARED, zcmem_shm_fd(shm), 0);
  assert_true(area != MAP_FAILED);
  return area;
}

static enum zcmem_shm_state state_of(struct zcmem_shm *shm, hal_addr_t addr) {
  struct zcmem_shm_process owner;
  assert_ok(zcmem_shm_get_owner(shm, addr, &owner));
  return owner.state;
}

/* The second slot's pid and start, and what is thought of it then. */
static void a_pid_that_came_again(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, SLOTS), *other = shm_again(shm);
  struct zcmem__shm_area *area = map_header(shm);
  struct zcmem__shm_slot *slot = &area->slot[1];
  struct zcmem_shm_reaped reaped;
  const uint64_t start = slot->start;
  const hal_addr_t addr = shm_alloc(other, 100);
  assert_true(slot->pid == (uint32_t)getpid() && start != 0);
  assert_int_equal(state_of(shm, addr), ZCMEM_SHM_ALIVE);
  slot->start = 0; /* could not be read when it came: the pid alone counts */
  assert_int_equal(state_of(shm, addr), ZCMEM_SHM_ALIVE);
  slot->start = start;
  slot->pid = (uint32_t)getppid(); /* somebody has that pid, who began earlier */
  slot->start = start + 1;
  assert_int_equal(state_of(shm, addr), ZCMEM_SHM_GONE);
  slot->pid = (uint32_t)getpid();
  slot->start = start - 1; /* even we are not who had our pid before */
  assert_int_equal(state_of(shm, addr), ZCMEM_SHM_GONE);
  slot->pid = 0;
  assert_int_equal(state_of(shm, addr), ZCMEM_SHM_GONE);
  slot->pid = UINT32_MAX; /* kill(-1) would be a signal to everybody */
  assert_int_equal(state_of(shm, addr), ZCMEM_SHM_GONE);
  slot->pid = (uint32_t)getpid();
  slot->start = start;
  assert_ok(zcmem_shm_reap(shm, &reaped)); /* nothing has happened to it meanwhile */
  assert_int_equal(reaped.blocks + reaped.processes, 0);
  slot->start = start - 1;
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(reaped.processes, 1);
  assert_ok(zcmem_shm_check(shm));
  assert_int_equal(munmap(area, sizeof *area), 0);
  assert_ok(zcmem_shm_close(other));
  assert_ok(zcmem_shm_close(shm));
}

static void stay(void *ctx) {
  const int *pipes = ctx;
  char byte;
  (void)close(pipes[1]);
  (void)!read(pipes[0], &byte, 1); /* ends with the parent's end */
}

/* A zombie is dead as far as an area goes: its parent may never look at it. */
static void a_process_that_waits_for_its_parent(void **state) {
  (void)state;
  if (!shm_agrees_on_starts()) {
    print_message("SKIP: who is alive cannot be told of another process here\n");
    skip();
  }
  struct zcmem_shm *shm = shm_make(NULL, SLOTS);
  struct zcmem_shm_reaped reaped;
  int pipes[2], status;
  assert_int_equal(pipe(pipes), 0);
  const pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    hal_addr_t addr = 0;
    SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, 100, 1, &addr) == ZCMEM_OK);
    stay(pipes);
    _exit(0);
  }
  while (shm_live(shm) == 0) {
    (void)usleep(1000);
  }
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.processes, 0);
  (void)close(pipes[0]);
  (void)close(pipes[1]);
  siginfo_t info;
  assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.processes, 1);
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_ok(zcmem_shm_close(shm));
}

static void more_than_there_are_slots(void **state) {
  (void)state;
  struct zcmem_shm *first = shm_make(NULL, SLOTS), *all[SLOTS] = {first}, *more = NULL;
  const struct zcmem_region_config region = {
      .name = "r", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 65536, .max_blocks = 10};
  const struct zcmem_shm_config most = {
      .max_processes = ZCMEM_SHM_MAX_PROCESSES, .regions = &region, .region_count = 1};
  struct zcmem_shm *many[ZCMEM_SHM_MAX_PROCESSES];
  for (unsigned i = 1; i < SLOTS; i++) {
    all[i] = shm_again(first);
  }
  assert_status(shm_open_fd(zcmem_shm_fd(first), ZCMEM_SHM_CHECK, &more), ZCMEM_ENOMEM);
  assert_null(more);
  for (unsigned i = 0; i < SLOTS; i++) { /* who is there notices nothing */
    assert_ok(zcmem_mem_free(zcmem_shm_hal(all[i]), shm_alloc(all[i], 100)));
  }
  assert_ok(zcmem_shm_close(all[1]));
  all[1] = shm_again(first);
  for (unsigned i = 0; i < SLOTS; i++) {
    assert_ok(zcmem_shm_close(all[i]));
  }
  assert_ok(zcmem_shm_create(&most, &many[0])); /* and as many as there can be */
  for (unsigned i = 1; i < ZCMEM_SHM_MAX_PROCESSES; i++) {
    assert_ok(shm_open_fd(zcmem_shm_fd(many[0]), 0, &many[i]));
    (void)shm_alloc(many[i], 100);
    assert_int_equal(shm_live(many[0]), 1);
    assert_ok(zcmem_shm_own(many[0], 4096));
    assert_ok(zcmem_mem_free(zcmem_shm_hal(many[i]), 4096));
  }
  assert_status(shm_open_fd(zcmem_shm_fd(many[0]), 0, &more), ZCMEM_ENOMEM);
  assert_ok(zcmem_shm_check(many[ZCMEM_SHM_MAX_PROCESSES - 1]));
  for (unsigned i = 0; i < ZCMEM_SHM_MAX_PROCESSES; i++) {
    assert_ok(zcmem_shm_close(many[i]));
  }
}

/* ---------------------------------------------------------------------------------------------- fork without exec --
 */

static void find_no_slot(void *ctx) {
  struct zcmem_shm *shm = ctx;
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  hal_addr_t addr = 0;
  void *host = NULL;
  SHM_REQUIRE(zcmem_mem_alloc(hal, 0, 100, 1, &addr) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_mem_pin(hal, NEAR_BASE) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_mem_host(hal, NEAR_BASE, 1, &host) == ZCMEM_OK); /* takes no lock */
  SHM_REQUIRE(zcmem_shm_reap(shm, NULL) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK); /* and ends nothing of its parent's */
}

static void children_of_fork_without_a_slot(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, 1);
  const hal_addr_t addr = shm_alloc(shm, 100);
  struct zcmem_block_info info;
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), addr));
  assert_int_equal(shm_child(find_no_slot, shm), 0);
  assert_ok(zcmem_mem_info(zcmem_shm_hal(shm), addr, &info));
  assert_int_equal(info.pins, 1);
  assert_ok(zcmem_mem_unpin(zcmem_shm_hal(shm), addr));
  assert_ok(zcmem_mem_free(zcmem_shm_hal(shm), addr));
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

static void be_a_grandchild(void *ctx) {
  struct zcmem_shm *shm = ctx;
  struct zcmem_shm_process owner;
  SHM_REQUIRE(zcmem_mem_unpin(zcmem_shm_hal(shm), NEAR_BASE) == ZCMEM_EBUSY); /* the pin is not its own */
  hal_addr_t addr = 0;
  SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, 100, 1, &addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_get_owner(shm, addr, &owner) == ZCMEM_OK && owner.slot == 3);
  SHM_REQUIRE(owner.pid == (uint32_t)getpid());
}

static void fork_again(void *ctx) {
  struct zcmem_shm *shm = ctx;
  hal_addr_t addr = 0;
  int status = 0;
  SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, 100, 1, &addr) == ZCMEM_OK); /* slot 2 */
  const pid_t pid = shm_fork();
  if (pid == 0) {
    be_a_grandchild(shm);
    _exit(0);
  }
  SHM_REQUIRE(waitpid(pid, &status, 0) == pid && status == 0);
  SHM_REQUIRE(zcmem_mem_free(zcmem_shm_hal(shm), addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
}

static void each_generation_is_a_process(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, SLOTS);
  struct zcmem_shm_reaped reaped;
  const hal_addr_t addr = shm_alloc(shm, 100);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), addr));
  assert_int_equal(shm_child(fork_again, shm), 0);
  assert_ok(zcmem_shm_reap(shm, &reaped)); /* the child has closed; the grandchild just ended */
  assert_int_equal(reaped.processes, 1);
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(shm_live(shm), 1);
  assert_ok(zcmem_mem_unpin(zcmem_shm_hal(shm), addr));
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

int main(void) {
  if (shm_cannot()) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pid_that_came_again),        cmocka_unit_test(a_process_that_waits_for_its_parent),
      cmocka_unit_test(more_than_there_are_slots),    cmocka_unit_test(children_of_fork_without_a_slot),
      cmocka_unit_test(each_generation_is_a_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
