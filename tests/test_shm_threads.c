/* SPDX-License-Identifier: MIT */
/*
 * Two processes on one area, with several threads each that share a handle: they allocate, fill, pin, look up without
 * the lock, resize, hand over and free, beside one that reaps, checks and takes snapshots. Meant for ThreadSanitizer,
 * too, which sees what the threads of one process do. At the end nothing is live.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<rounds of each thread>
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <pthread.h>

#define DEFAULT_ROUNDS UINT64_C(3000)
#define THREADS 3u
#define KEPT 8u /* blocks of a thread */
#define LONGEST 2000u

static uint64_t seed, rounds;

/* What the threads of a process have. */
struct crew {
  struct zcmem_shm *shm;
  hal_addr_t common; /* a block that all use */
  uint64_t random;
};

struct block {
  hal_addr_t addr;
  hal_size_t size;
};

static unsigned char byte_of(hal_addr_t addr) {
  return (unsigned char)(addr >> 7 ^ addr >> 15);
}

static void make(struct zcmem_shm *shm, struct block *block, uint64_t *random) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  unsigned char bytes[LONGEST];
  block->size = 1 + random_below(random, LONGEST);
  SHM_REQUIRE(zcmem_mem_alloc(hal, 0, block->size, 1, &block->addr) == ZCMEM_OK);
  memset(bytes, byte_of(block->addr), sizeof bytes);
  SHM_REQUIRE(zcmem_mem_write(hal, block->addr, bytes, block->size) == ZCMEM_OK);
}

static void end(struct zcmem_shm *shm, struct block *block) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  unsigned char bytes[LONGEST];
  SHM_REQUIRE(zcmem_mem_read(hal, bytes, block->addr, block->size) == ZCMEM_OK);
  for (hal_size_t i = 0; i < block->size; i++) {
    SHM_REQUIRE(bytes[i] == byte_of(block->addr));
  }
  SHM_REQUIRE(zcmem_mem_free(hal, block->addr) == ZCMEM_OK);
  block->addr = HAL_NULLPTR;
}

static void look(const struct crew *crew, const struct block *block, uint64_t *random) {
  struct zcmem_hal *hal = zcmem_shm_hal(crew->shm);
  struct zcmem_shm_process owner;
  struct zcmem_block_info info;
  void *host = NULL;
  switch (random_below(random, 6)) {
  case 0:
    SHM_REQUIRE(zcmem_mem_host(hal, block->addr, block->size, &host) == ZCMEM_OK);
    SHM_REQUIRE(((unsigned char *)host)[block->size - 1] == byte_of(block->addr));
    break;
  case 1:
    SHM_REQUIRE(zcmem_mem_info(hal, block->addr, &info) == ZCMEM_OK && info.requested == block->size);
    break;
  case 2:
    SHM_REQUIRE(zcmem_mem_pin(hal, crew->common) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_mem_info(hal, crew->common, &info) == ZCMEM_OK && info.pins >= 1);
    SHM_REQUIRE(zcmem_mem_unpin(hal, crew->common) == ZCMEM_OK);
    break;
  case 3:
    SHM_REQUIRE(zcmem_shm_share(crew->shm, block->addr) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_shm_own(crew->shm, block->addr) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_shm_get_owner(crew->shm, block->addr, &owner) == ZCMEM_OK);
    SHM_REQUIRE(owner.pid == (uint32_t)getpid() && owner.state == ZCMEM_SHM_ALIVE);
    break;
  case 4: /* anywhere: what others have, or nobody */
    (void)zcmem_mem_info(hal, NEAR_BASE + random_below(random, NEAR_BYTES), &info);
    break;
  default:
    SHM_REQUIRE(zcmem_mem_resize(hal, block->addr, block->size) == ZCMEM_OK);
    break;
  }
}

static void *work(void *ctx) {
  struct crew *crew = ctx;
  struct block blocks[KEPT] = {{0}};
  uint64_t random = crew->random;
  for (uint64_t i = 0; i < rounds; i++) {
    struct block *block = &blocks[random_below(&random, KEPT)];
    if (block->addr == HAL_NULLPTR) {
      make(crew->shm, block, &random);
    } else if (random_below(&random, 3) == 0) {
      end(crew->shm, block);
    } else {
      look(crew, block, &random);
    }
  }
  for (unsigned i = 0; i < KEPT; i++) {
    if (blocks[i].addr != HAL_NULLPTR) {
      end(crew->shm, &blocks[i]);
    }
  }
  return NULL;
}

static void *watch(void *ctx) {
  struct crew *crew = ctx;
  for (uint64_t i = 0; i < rounds / 50; i++) {
    struct zcmem_shm_snapshot *snapshot = NULL;
    struct zcmem_shm_reaped reaped;
    SHM_REQUIRE(zcmem_shm_reap(crew->shm, &reaped) == ZCMEM_OK && reaped.blocks + reaped.processes == 0);
    SHM_REQUIRE(zcmem_shm_check(crew->shm) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_shm_snapshot_take(zcmem_shm_fd(crew->shm), &snapshot) == ZCMEM_OK);
    zcmem_shm_snapshot_close(snapshot);
  }
  return NULL;
}

static void run_crew(struct crew *crew) {
  struct crew of[THREADS + 1];
  pthread_t threads[THREADS + 1];
  for (unsigned i = 0; i <= THREADS; i++) {
    of[i] = *crew;
    of[i].random = crew->random + i;
    SHM_REQUIRE(pthread_create(&threads[i], NULL, i < THREADS ? work : watch, &of[i]) == 0);
  }
  for (unsigned i = 0; i <= THREADS; i++) {
    SHM_REQUIRE(pthread_join(threads[i], NULL) == 0);
  }
}

/* By a handle of its own, and by the one that it has from its parent: then the threads race for the first call. */
static void threads_of_two_processes(bool inherited) {
  struct zcmem_shm *shm = shm_make(NULL, 3);
  struct crew crew = {.shm = shm, .common = shm_alloc(shm, 100), .random = seed};
  int status = 0;
  const pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    crew.random += 100;
    SHM_REQUIRE(inherited || shm_open_fd(zcmem_shm_fd(shm), ZCMEM_SHM_CHECK, &crew.shm) == ZCMEM_OK);
    run_crew(&crew);
    SHM_REQUIRE(zcmem_shm_close(crew.shm) == ZCMEM_OK);
    _exit(0);
  }
  run_crew(&crew);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_ok(zcmem_mem_free(zcmem_shm_hal(shm), crew.common));
  assert_int_equal(shm_live(shm), 0);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

static void each_has_opened_the_area(void **state) {
  (void)state;
  threads_of_two_processes(false);
}

static void one_has_it_from_its_parent(void **state) {
  (void)state;
  threads_of_two_processes(true);
}

int main(void) {
  if (!shm_agrees_on_starts()) {
    print_message("SKIP: who is alive cannot be told of another process here\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_has_opened_the_area),
                                     cmocka_unit_test(one_has_it_from_its_parent)};
  seed = env_number("ZCMEM_TEST_SEED", 0x74687264);
  rounds = env_number("ZCMEM_TEST_OPS", DEFAULT_ROUNDS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)rounds);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
