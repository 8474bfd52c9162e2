/* SPDX-License-Identifier: MIT */
/*
 * Processes in a ring: each allocates blocks, fills them, sends their addresses through a pipe to the next one, takes
 * what the one before it sent, compares every byte, and frees it. Each has opened the area by itself. At the end
 * nothing is live and the checker finds nothing.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<allocations and frees of all processes together>
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#define DEFAULT_OPS UINT64_C(200000)
#define MOST_PROCESSES 4u
#define ROUND 32u /* blocks of one message: it fits a pipe, so that nobody waits for the others to read */
#define LONGEST 3000u
#define HELD 8u /* messages that a process keeps before it looks at the oldest */

struct message {
  hal_addr_t addr[ROUND];
  uint32_t size[ROUND];
  uint64_t random[ROUND]; /* what the bytes are */
};

static struct {
  struct zcmem_shm *shm;
  int pipes[MOST_PROCESSES][2];
  unsigned processes;
  uint64_t rounds;
} test;
static uint64_t seed, ops;

static void fill(unsigned char *at, uint32_t size, uint64_t random) {
  for (uint32_t i = 0; i < size; i += 8) {
    const uint64_t word = random_next(&random);
    memcpy(at + i, &word, size - i < 8 ? size - i : 8);
  }
}

static bool is_filled(const unsigned char *at, uint32_t size, uint64_t random) {
  for (uint32_t i = 0; i < size; i += 8) {
    const uint64_t word = random_next(&random);
    if (memcmp(at + i, &word, size - i < 8 ? size - i : 8) != 0) {
      return false;
    }
  }
  return true;
}

static void make(struct zcmem_shm *shm, struct message *message, uint64_t *random) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  for (unsigned i = 0; i < ROUND; i++) {
    void *host = NULL;
    message->size[i] = 1u + (uint32_t)random_below(random, LONGEST);
    message->random[i] = random_next(random);
    SHM_REQUIRE(zcmem_mem_alloc(hal, 0, message->size[i], 1, &message->addr[i]) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_mem_host(hal, message->addr[i], message->size[i], &host) == ZCMEM_OK);
    fill(host, message->size[i], message->random[i]);
  }
}

static void consume(struct zcmem_shm *shm, const struct message *message) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  for (unsigned i = 0; i < ROUND; i++) {
    void *host = NULL;
    SHM_REQUIRE(zcmem_mem_host(hal, message->addr[i], message->size[i], &host) == ZCMEM_OK);
    SHM_REQUIRE(is_filled(host, message->size[i], message->random[i]));
    SHM_REQUIRE(zcmem_shm_own(shm, message->addr[i]) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_mem_free(hal, message->addr[i]) == ZCMEM_OK);
  }
}

static void live(unsigned me) {
  static struct message out, in[HELD];
  uint64_t random = seed + me;
  struct zcmem_shm *shm = NULL;
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(test.shm), 0, &shm) == ZCMEM_OK); /* with magazines or without, as the test */
  for (uint64_t round = 0; round < test.rounds + HELD; round++) {
    if (round >= HELD) {
      consume(shm, &in[round % HELD]);
    }
    if (round < test.rounds) {
      make(shm, &out, &random);
      SHM_REQUIRE(write(test.pipes[(me + 1) % test.processes][1], &out, sizeof out) == sizeof out);
      for (size_t got = 0; got < sizeof out;) {
        ssize_t more = read(test.pipes[me][0], (char *)&in[round % HELD] + got, sizeof out - got);
        SHM_REQUIRE(more > 0);
        got += (size_t)more;
      }
    }
  }
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
  child_exit(0);
}

static void processes_pass_blocks(unsigned processes, uint32_t hal_flags) {
  const struct zcmem_region_config region = {.name = "near",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT,
                                             .base = NEAR_BASE,
                                             .size = 2 * MOST_PROCESSES * (HELD + 2) * ROUND * LONGEST,
                                             .max_blocks = 2 * MOST_PROCESSES * (HELD + 2) * ROUND};
  const struct zcmem_shm_config config = {.regions = &region, .region_count = 1, .hal_flags = hal_flags};
  struct zcmem_shm_reaped reaped;
  pid_t pids[MOST_PROCESSES];
  shm_hal_flags = hal_flags;
  test.processes = processes;
  test.rounds = ops / processes / (2 * ROUND) + 1;
  assert_ok(zcmem_shm_create(&config, &test.shm));
  for (unsigned i = 0; i < processes; i++) {
    assert_int_equal(pipe(test.pipes[i]), 0);
  }
  for (unsigned i = 0; i < processes; i++) {
    pids[i] = shm_fork();
    assert_true(pids[i] >= 0);
    if (pids[i] == 0) {
      live(i);
    }
  }
  for (unsigned i = 0; i < processes; i++) {
    int status = -1;
    assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
    assert_int_equal(status, 0);
  }
  for (unsigned i = 0; i < processes; i++) {
    (void)close(test.pipes[i][0]);
    (void)close(test.pipes[i][1]);
  }
  assert_ok(zcmem_shm_check(test.shm));
  assert_int_equal(shm_live(test.shm), 0);
  assert_ok(zcmem_shm_reap(test.shm, &reaped));
  assert_int_equal(reaped.blocks + reaped.refused + reaped.pins + reaped.transfers, 0);
  assert_ok(zcmem_shm_close(test.shm));
  print_message("%u processes, %llu allocations and frees\n", processes,
                (unsigned long long)(test.rounds * ROUND * 2 * processes));
}

static void two_processes_pass_blocks(void **state) {
  (void)state;
  processes_pass_blocks(2, 0);
}

static void four_processes_pass_blocks(void **state) {
  (void)state;
  processes_pass_blocks(4, 0);
}

static void two_processes_with_magazines_pass_blocks(void **state) {
  (void)state;
  processes_pass_blocks(2, ZCMEM_HAL_MAGAZINES);
}

static void four_processes_with_magazines_pass_blocks(void **state) {
  (void)state;
  processes_pass_blocks(4, ZCMEM_HAL_MAGAZINES);
}

int main(void) {
  if (shm_cannot()) {
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(two_processes_pass_blocks),
                                     cmocka_unit_test(four_processes_pass_blocks),
                                     cmocka_unit_test(two_processes_with_magazines_pass_blocks),
                                     cmocka_unit_test(four_processes_with_magazines_pass_blocks)};
  seed = env_number("ZCMEM_TEST_SEED", 0x70726f63);
  ops = env_number("ZCMEM_TEST_OPS", DEFAULT_OPS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)ops);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
