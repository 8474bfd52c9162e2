/* SPDX-License-Identifier: MIT */
/*
 * Magazines on regions that processes share: what one keeps is there for whoever needs it, whether he lives, sleeps or
 * is dead; it is bounded over all processes; and who forks, closes or dies takes nothing with him.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<calls of each process that races>
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "shm_lock.h"

/*
 * ThreadSanitizer sees one process. A block that one thread had, that another process freed, and that this one's next
 * thread meets in the heap, is a race to it: what happened in between was ordered by the other process.
 */
#if defined(__SANITIZE_THREAD__)
#define SEES_ALL_PROCESSES false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SEES_ALL_PROCESSES false
#endif
#endif
#ifndef SEES_ALL_PROCESSES
#define SEES_ALL_PROCESSES true
#endif

#define DEFAULT_OPS UINT64_C(60000)
#define BLOCKS 40u
#define SIZE 1000u
#define RACERS 3u
#define MOST 12u
#define LONGEST 3000u

static uint64_t seed, ops;

/* ------------------------------------------------------------------------------------------------------- helpers -- */

static struct zcmem_shm *make(uint32_t hal_flags) {
  shm_hal_flags = hal_flags;
  return shm_make(NULL, 8);
}

static struct zcmem_shm *again(const struct zcmem_shm *shm, uint32_t hal_flags) {
  shm_hal_flags = hal_flags;
  return shm_again(shm);
}

static hal_addr_t alloc_in(struct zcmem_hal *hal, hal_size_t size) {
  hal_addr_t addr = HAL_NULLPTR;
  assert_ok(zcmem_mem_alloc(hal, 0, size, 1, &addr));
  return addr;
}

static void free_in(struct zcmem_hal *hal, hal_addr_t addr) {
  assert_ok(zcmem_mem_free(hal, addr));
}

/* Allocates blocks and frees them: they are in magazines then. */
static void fill_magazines(struct zcmem_shm *shm) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  hal_addr_t addrs[BLOCKS];
  for (unsigned i = 0; i < BLOCKS; i++) {
    addrs[i] = alloc_in(hal, SIZE);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    free_in(hal, addrs[i]);
  }
}

struct kept {
  uint32_t slot; /* 0: whosever */
  unsigned blocks;
  uint64_t bytes;
};

static bool count_kept(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct kept *kept = ctx;
  if (block->state == ZCMEM_BLOCK_CACHED && (kept->slot == 0 || kept->slot == owner->slot)) {
    assert_true(owner->slot != 0);
    kept->blocks++;
    kept->bytes += block->size;
  }
  return true;
}

/* What magazines keep of region 0, as somebody sees it who disturbs nobody. */
static struct kept kept_by(const struct zcmem_shm *shm, uint32_t slot) {
  struct zcmem_shm_snapshot *snapshot = NULL;
  struct zcmem_shm_snapshot_region region;
  struct kept kept = {.slot = slot};
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(shm), &snapshot));
  assert_ok(zcmem_shm_snapshot_walk(snapshot, 0, count_kept, &kept));
  assert_ok(zcmem_shm_snapshot_get_region(snapshot, 0, &region));
  assert_true(region.heap.requested + kept.bytes <= region.heap.size - region.heap.free);
  zcmem_shm_snapshot_close(snapshot);
  return kept;
}

/* That all of it can be had. */
static void take_it_all(struct zcmem_shm *shm) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  free_in(hal, alloc_in(hal, NEAR_BYTES));
  assert_int_equal(kept_by(shm, 0).blocks, 0);
}

static void end_area(struct zcmem_shm *shm) {
  assert_ok(zcmem_shm_check(shm));
  assert_int_equal(shm_live(shm), 0);
  assert_ok(zcmem_shm_close(shm));
}

/* A process that fills its magazines, and what it does after that. Answers its pid when they are full. */
static pid_t start_keeper(struct zcmem_shm *shm, void (*then)(struct zcmem_shm *own)) {
  int pipes[2];
  char byte = 0;
  assert_int_equal(pipe(pipes), 0);
  pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    struct zcmem_shm *own = again(shm, ZCMEM_HAL_MAGAZINES);
    fill_magazines(own);
    SHM_REQUIRE(write(pipes[1], &byte, 1) == 1);
    then(own);
    child_exit(0);
  }
  assert_int_equal(read(pipes[0], &byte, 1), 1);
  (void)close(pipes[0]);
  (void)close(pipes[1]);
  return pid;
}

static int wait_for(pid_t pid) {
  int status = -1;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return status;
}

/* ------------------------------------------------------------------------------------------- one for another one -- */

static void calls_take_no_lock(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(ZCMEM_HAL_MAGAZINES);
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  struct zcmem_block_info info;
  fill_magazines(shm);
  fill_magazines(shm);
  const hal_addr_t addr = alloc_in(zcmem_shm_hal(shm), SIZE - 3);
  assert_ok(zcmem_mem_info(zcmem_shm_hal(shm), addr, &info));
  assert_int_equal(info.requested, SIZE - 3);
  assert_int_equal(info.tag, 0);
  assert_ok(zcmem_hal_region_stats(zcmem_shm_hal(shm), 0, &stats));
  assert_int_equal(stats.allocations, 2 * BLOCKS + 1);
  assert_int_equal(stats.frees, 2 * BLOCKS);
  assert_true(stats.magazine_hits >= BLOCKS && stats.magazine_frees >= BLOCKS);
  assert_int_equal(stats.live, 1);
  assert_int_equal(stats.requested, SIZE - 3);
  assert_int_equal(stats.in_use, 1024);
  assert_int_equal(stats.largest, NEAR_BYTES - 1024);
  free_in(zcmem_shm_hal(shm), addr);
  assert_status(zcmem_mem_free(zcmem_shm_hal(shm), addr), ZCMEM_ENOENT);
  assert_ok(zcmem_hal_check(zcmem_shm_hal(shm)));
  end_area(shm);
}

static void what_one_keeps_is_there_for_another(void **state) {
  (void)state;
  for (unsigned magazines = 0; magazines < 2; magazines++) {
    struct zcmem_shm *b = make(magazines), *a = again(b, ZCMEM_HAL_MAGAZINES);
    fill_magazines(a);
    assert_true(kept_by(a, 2).blocks > BLOCKS / 2);
    take_it_all(b);
    /* Who had it does not have it any more, and works on. */
    fill_magazines(a);
    assert_true(kept_by(a, 2).blocks > BLOCKS / 2);
    take_it_all(a);
    fill_magazines(a);
    assert_ok(zcmem_shm_close(a));
    assert_int_equal(kept_by(b, 0).blocks, 0); /* closing gives back */
    end_area(b);
  }
}

static void void_tickets_are_found_one_by_one(void **state) {
  (void)state;
  struct zcmem_shm *b = make(0), *a = again(b, ZCMEM_HAL_MAGAZINES);
  hal_addr_t addrs[BLOCKS];
  fill_magazines(a);
  take_it_all(b);
  for (unsigned i = 0; i < BLOCKS; i++) { /* of the same sizes, where a has tickets for */
    addrs[i] = i % 2 == 0 ? alloc_in(zcmem_shm_hal(a), SIZE) : alloc_in(zcmem_shm_hal(b), SIZE);
    for (unsigned k = 0; k < i; k++) {
      assert_true(addrs[k] != addrs[i]);
    }
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    free_in(zcmem_shm_hal(i % 3 == 0 ? a : b), addrs[i]);
    assert_status(zcmem_mem_free(zcmem_shm_hal(i % 3 == 0 ? b : a), addrs[i]), ZCMEM_ENOENT);
  }
  assert_ok(zcmem_shm_close(a));
  end_area(b);
}

/* Who frees without the lock, and does not know yet that all was seized, brings the block back. */
static void what_comes_after_a_seizure_is_not_kept(void **state) {
  (void)state;
  struct zcmem_shm *b = make(0), *a = again(b, ZCMEM_HAL_MAGAZINES);
  hal_addr_t addr;
  fill_magazines(a);
  const hal_addr_t late = alloc_in(zcmem_shm_hal(a), SIZE);
  assert_status(zcmem_mem_alloc(zcmem_shm_hal(b), 0, NEAR_BYTES, 1, &addr), ZCMEM_ENOSPC);
  assert_int_equal(kept_by(b, 0).blocks, 0);
  /* As long as nobody keeps anything, who finds no room looks no further. */
  const uint32_t seized = zcmem__atomic_acquire(b->part[0].shared.seized);
  assert_status(zcmem_mem_alloc(zcmem_shm_hal(b), 0, NEAR_BYTES, 1, &addr), ZCMEM_ENOSPC);
  assert_int_equal(zcmem__atomic_acquire(b->part[0].shared.seized), seized);
  free_in(zcmem_shm_hal(a), late);
  take_it_all(b);
  assert_ok(zcmem_shm_close(a));
  end_area(b);
}

static void batches_find_room_in_magazines(void **state) {
  (void)state;
  struct zcmem_shm *b = make(0), *a = again(b, ZCMEM_HAL_MAGAZINES);
  const struct zcmem_batch_item items[2] = {{.size = NEAR_BYTES / 2, .align = 1}, {.size = NEAR_BYTES / 2, .align = 1}};
  hal_addr_t addrs[2];
  uint32_t freed = 0;
  fill_magazines(a);
  assert_ok(zcmem_mem_alloc_batch(zcmem_shm_hal(b), 0, items, 2, addrs));
  assert_ok(zcmem_mem_free_batch(zcmem_shm_hal(b), addrs, 2, &freed));
  assert_int_equal(freed, 2);
  assert_ok(zcmem_shm_close(a));
  end_area(b);
}

static void a_block_grows_over_what_is_kept_behind_it(void **state) {
  (void)state;
  struct zcmem_shm *b = make(0), *a = again(b, ZCMEM_HAL_MAGAZINES);
  const hal_addr_t grows = alloc_in(zcmem_shm_hal(b), SIZE);
  fill_magazines(a);
  const struct kept before = kept_by(b, 0);
  assert_ok(zcmem_mem_resize(zcmem_shm_hal(b), grows, 2 * SIZE));
  assert_int_equal(kept_by(b, 0).blocks, before.blocks - 1); /* no more than is needed */
  assert_status(zcmem_mem_resize(zcmem_shm_hal(b), grows, NEAR_BYTES + 1), ZCMEM_ENOSPC);
  fill_magazines(a);
  assert_ok(zcmem_mem_resize(zcmem_shm_hal(b), grows, NEAR_BYTES));
  free_in(zcmem_shm_hal(b), grows);
  assert_ok(zcmem_shm_close(a));
  end_area(b);
}

/* Behind it is no kept block, and nothing is free; but enough is kept elsewhere. */
static void a_block_that_cannot_grow_is_told_why(void **state) {
  (void)state;
  struct zcmem_shm *b = make(0), *a = again(b, ZCMEM_HAL_MAGAZINES);
  const hal_addr_t grows = alloc_in(zcmem_shm_hal(b), SIZE), behind = alloc_in(zcmem_shm_hal(b), SIZE);
  fill_magazines(a);
  const struct zcmem_heap *heap = zcmem__hal_region(zcmem_shm_hal(b), 0)->heap;
  hal_addr_t rest[MOST];
  unsigned count = 0;
  for (hal_size_t largest; (largest = zcmem_heap_largest(heap)) > 0;) {
    assert_true(count < MOST);
    rest[count++] = alloc_in(zcmem_shm_hal(b), largest);
  }
  assert_true(kept_by(b, 0).blocks > 2);
  assert_status(zcmem_mem_resize(zcmem_shm_hal(b), grows, 3 * SIZE), ZCMEM_EFRAG);
  assert_int_equal(kept_by(b, 0).blocks, 0);
  while (count > 0) {
    free_in(zcmem_shm_hal(b), rest[--count]);
  }
  free_in(zcmem_shm_hal(b), behind);
  free_in(zcmem_shm_hal(b), grows);
  assert_ok(zcmem_shm_close(a));
  end_area(b);
}

static void wrong_calls_are_told_so(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(ZCMEM_HAL_MAGAZINES);
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  fill_magazines(shm);
  const hal_addr_t addr = alloc_in(hal, SIZE);
  assert_status(zcmem_mem_alloc(hal, 0, SIZE, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_free(hal, addr + 1), ZCMEM_ENOENT);
  assert_status(zcmem_mem_free(hal, addr + 128), ZCMEM_ENOENT);
  free_in(hal, addr);
  end_area(shm);
}

/* All descriptors may be kept, and none live: that is no ENOMEM, also of a request that no region could hold. */
static void a_request_larger_than_the_region_has_no_space(void **state) {
  const struct zcmem_region_config region = {.name = "r",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .base = 1u << 20,
                                             .size = 64u << 10,
                                             .max_blocks = 8,
                                             .magazine_share = 256};
  const struct zcmem_shm_config config = {.regions = &region, .region_count = 1, .hal_flags = ZCMEM_HAL_MAGAZINES};
  struct zcmem_shm *shm = NULL;
  hal_addr_t addrs[8];
  (void)state;
  assert_ok(zcmem_shm_create(&config, &shm));
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  for (unsigned round = 0; round < 20; round++) {
    for (unsigned i = 0; i < 8; i++) {
      addrs[i] = alloc_in(hal, 128);
    }
    for (unsigned i = 0; i < 8; i++) {
      free_in(hal, addrs[i]);
    }
  }
  assert_int_equal(kept_by(shm, 0).blocks, 8);
  assert_status(zcmem_mem_alloc(hal, 0, (64u << 10) + 1, 1, &addrs[0]), ZCMEM_ENOSPC);
  assert_int_equal(kept_by(shm, 0).blocks, 8); /* nobody had to give anything back for it */
  free_in(hal, alloc_in(hal, 64u << 10));
  end_area(shm);
}

/* Processes with magazines, one after the other, keep no more together than one may. */
static void the_share_is_of_all_processes(void **state) {
  (void)state;
  struct zcmem_shm *shm[6] = {make(ZCMEM_HAL_MAGAZINES)};
  uint64_t bytes = 0;
  for (unsigned i = 1; i < 6; i++) {
    shm[i] = again(shm[0], ZCMEM_HAL_MAGAZINES);
  }
  for (unsigned round = 0; round < 3; round++) {
    for (unsigned i = 0; i < 6; i++) {
      fill_magazines(shm[i]);
      bytes = kept_by(shm[0], 0).bytes;
      assert_true(bytes <= NEAR_BYTES / 8);
    }
  }
  assert_true(bytes > NEAR_BYTES / 16); /* and it is used */
  take_it_all(shm[3]);
  for (unsigned i = 1; i < 6; i++) {
    assert_ok(zcmem_shm_close(shm[i]));
  }
  end_area(shm[0]);
}

static void owners_go_with_the_blocks(void **state) {
  (void)state;
  struct zcmem_shm *a = make(ZCMEM_HAL_MAGAZINES), *b = again(a, ZCMEM_HAL_MAGAZINES);
  struct zcmem_shm_process owner;
  fill_magazines(a);
  fill_magazines(b);
  const hal_addr_t addr = alloc_in(zcmem_shm_hal(a), SIZE);
  assert_ok(zcmem_shm_get_owner(b, addr, &owner));
  assert_int_equal(owner.slot, 1);
  assert_ok(zcmem_shm_share(b, addr));
  assert_ok(zcmem_shm_own(b, addr));
  assert_ok(zcmem_shm_get_owner(a, addr, &owner));
  assert_int_equal(owner.slot, 2);
  const unsigned before = kept_by(a, 1).blocks;
  free_in(zcmem_shm_hal(a), addr); /* through a's magazines: then it is a's */
  assert_int_equal(kept_by(a, 1).blocks, before + 1);
  assert_status(zcmem_shm_own(b, addr), ZCMEM_ENOENT);
  assert_status(zcmem_shm_get_owner(b, addr, &owner), ZCMEM_ENOENT);
  assert_status(zcmem_mem_pin(zcmem_shm_hal(b), addr), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_close(b));
  end_area(a);
}

static void used_blocks_go_into_no_magazine(void **state) {
  (void)state;
  struct zcmem_shm *a = make(ZCMEM_HAL_MAGAZINES), *b = again(a, ZCMEM_HAL_MAGAZINES);
  fill_magazines(a);
  fill_magazines(b);
  const hal_addr_t addr = alloc_in(zcmem_shm_hal(a), SIZE);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(b), addr));
  assert_status(zcmem_mem_free(zcmem_shm_hal(a), addr), ZCMEM_EBUSY);
  assert_status(zcmem_mem_unpin(zcmem_shm_hal(a), addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_free_deferred(zcmem_shm_hal(a), addr));
  assert_ok(zcmem_shm_check(a));
  assert_ok(zcmem_mem_unpin(zcmem_shm_hal(b), addr));
  assert_status(zcmem_mem_free(zcmem_shm_hal(a), addr), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_close(b));
  end_area(a);
}

/* ----------------------------------------------------------------------------------------------------- processes -- */

static void sleep_for_ever(struct zcmem_shm *own) {
  (void)own;
  for (;;) {
    (void)pause();
  }
}

static void stop_and_work_on(struct zcmem_shm *own) {
  SHM_REQUIRE(raise(SIGSTOP) == 0);
  fill_magazines(own);
  SHM_REQUIRE(zcmem_shm_check(own) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(own) == ZCMEM_OK);
}

static void who_sleeps_keeps_nothing_from_others(void **state) {
  (void)state;
  int status;
  struct zcmem_shm *shm = make(ZCMEM_HAL_MAGAZINES);
  pid_t pid = start_keeper(shm, stop_and_work_on);
  assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
  assert_true(WIFSTOPPED(status));
  assert_true(kept_by(shm, 2).blocks > BLOCKS / 2);
  take_it_all(shm);
  const hal_addr_t addr = alloc_in(zcmem_shm_hal(shm), NEAR_BYTES / 2);
  assert_int_equal(kill(pid, SIGCONT), 0);
  assert_int_equal(wait_for(pid), 0);
  free_in(zcmem_shm_hal(shm), addr);
  end_area(shm);
}

static void what_the_dead_keep_is_there_before_a_reap(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(0);
  struct zcmem_shm_reaped reaped;
  pid_t pid = start_keeper(shm, sleep_for_ever);
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_true(WIFSIGNALED(wait_for(pid)));
  assert_true(kept_by(shm, 2).blocks > BLOCKS / 2);
  take_it_all(shm);
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.processes, 1);
  assert_int_equal(reaped.cached, 0);
  end_area(shm);
}

static void a_reap_gives_back_what_the_dead_keep(void **state) {
  (void)state;
  if (!shm_agrees_on_starts()) {
    print_message("SKIP: who is alive cannot be told of another process here\n");
    skip();
  }
  struct zcmem_shm *shm = make(ZCMEM_HAL_MAGAZINES);
  struct zcmem_shm_reaped reaped;
  fill_magazines(shm);
  pid_t pid = start_keeper(shm, sleep_for_ever), other = start_keeper(shm, sleep_for_ever);
  const unsigned kept = kept_by(shm, 2).blocks, mine = kept_by(shm, 1).blocks, others = kept_by(shm, 3).blocks;
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_true(WIFSIGNALED(wait_for(pid)));
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.cached, kept);
  assert_int_equal(reaped.processes, 1);
  assert_int_equal(reaped.blocks + reaped.pins + reaped.refused, 0);
  assert_int_equal(kept_by(shm, 1).blocks, mine); /* nothing but what was the dead one's */
  assert_int_equal(kept_by(shm, 3).blocks, others);
  assert_int_equal(kill(other, SIGKILL), 0);
  assert_true(WIFSIGNALED(wait_for(other)));
  assert_ok(zcmem_shm_reap(shm, &reaped));
  end_area(shm);
}

struct exchange {
  struct zcmem_shm *shm;
  int pipe[2];
};

static void allocate_and_tell(void *ctx) {
  struct exchange *with = ctx;
  hal_addr_t addrs[BLOCKS];
  for (unsigned i = 0; i < BLOCKS; i++) {
    SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(with->shm), 0, SIZE, 1, &addrs[i]) == ZCMEM_OK);
  }
  SHM_REQUIRE(write(with->pipe[1], addrs, sizeof addrs) == sizeof addrs);
  for (unsigned i = 0; i < BLOCKS; i += 2) { /* the others are for the reap */
    SHM_REQUIRE(zcmem_mem_free(zcmem_shm_hal(with->shm), addrs[i]) == ZCMEM_OK);
  }
}

static void a_child_has_none_of_its_parents(void **state) {
  (void)state;
  struct exchange with = {.shm = make(ZCMEM_HAL_MAGAZINES)};
  struct zcmem_shm_reaped reaped;
  hal_addr_t theirs[BLOCKS], mine[BLOCKS];
  assert_int_equal(pipe(with.pipe), 0);
  fill_magazines(with.shm);
  const unsigned kept = kept_by(with.shm, 1).blocks;
  assert_int_equal(shm_child(allocate_and_tell, &with), 0);
  assert_int_equal(read(with.pipe[0], theirs, sizeof theirs), sizeof theirs);
  assert_int_equal(kept_by(with.shm, 1).blocks, kept);
  for (unsigned i = 0; i < BLOCKS; i++) {
    mine[i] = alloc_in(zcmem_shm_hal(with.shm), SIZE);
    for (unsigned k = 1; k < BLOCKS; k += 2) {
      assert_true(mine[i] != theirs[k]);
    }
  }
  assert_ok(zcmem_shm_reap(with.shm, &reaped));
  assert_int_equal(reaped.blocks, BLOCKS / 2);
  assert_true(reaped.cached > 0);
  for (unsigned i = 0; i < BLOCKS; i++) {
    free_in(zcmem_shm_hal(with.shm), mine[i]);
  }
  (void)close(with.pipe[0]);
  (void)close(with.pipe[1]);
  end_area(with.shm);
}

/* --------------------------------------------------------------------------------------------------------- races -- */

/* How often somebody has taken all that is kept; all processes see it, and race on until that was often enough. */
static _Atomic uint32_t *seizures;
#define SEIZURES 11u

struct racer {
  struct zcmem_shm *shm;
  uint64_t random;
  pthread_t thread;
};

/* Replaces blocks of its own, each marked at both ends; what another one has written there is a block that two have. */
static void *race(void *memory) {
  const struct racer *self = memory;
  struct zcmem_hal *hal = zcmem_shm_hal(self->shm);
  uint64_t random = self->random;
  struct {
    hal_addr_t addr;
    uint64_t *first, *last;
    uint64_t mark;
  } own[MOST] = {{.addr = HAL_NULLPTR}};
  for (uint64_t i = 0; i < ops || atomic_load(seizures) < SEIZURES; i++) {
    const unsigned k = (unsigned)random_below(&random, MOST);
    if (own[k].addr != HAL_NULLPTR) {
      SHM_REQUIRE(*own[k].first == own[k].mark && *own[k].last == own[k].mark);
      SHM_REQUIRE(zcmem_mem_free(hal, own[k].addr) == ZCMEM_OK);
      own[k].addr = HAL_NULLPTR;
      continue;
    }
    const hal_size_t size = 8 * (2 + random_below(&random, LONGEST / 8));
    void *host = NULL;
    SHM_REQUIRE(zcmem_mem_alloc(hal, 0, size, 1, &own[k].addr) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_mem_host(hal, own[k].addr, size, &host) == ZCMEM_OK);
    own[k].first = host;
    own[k].last = own[k].first + size / 8 - 1;
    own[k].mark = ((uint64_t)getpid() << 32 ^ i) * UINT64_C(0x9e3779b97f4a7c15);
    *own[k].first = own[k].mark;
    *own[k].last = own[k].mark;
  }
  for (unsigned k = 0; k < MOST; k++) {
    SHM_REQUIRE(own[k].addr == HAL_NULLPTR || zcmem_mem_free(hal, own[k].addr) == ZCMEM_OK);
  }
  return NULL;
}

static void start_racer(struct racer *racer, struct zcmem_shm *shm, uint64_t random) {
  racer->shm = shm;
  racer->random = random;
  SHM_REQUIRE(pthread_create(&racer->thread, NULL, race, racer) == 0);
}

static void race_in_two_threads(struct zcmem_shm *own, uint64_t random) {
  struct racer racers[2];
  for (unsigned i = 0; i < 2; i++) {
    start_racer(&racers[i], own, random + i);
  }
  for (unsigned i = 0; i < 2; i++) {
    SHM_REQUIRE(pthread_join(racers[i].thread, NULL) == 0);
  }
}

/*
 * Others have their magazines emptied again and again, and so has another thread of this process: by requests that have
 * no room, and by looks at them.
 */
static void processes_race_with_one_who_takes_all(void **state) {
  (void)state;
  if (!SEES_ALL_PROCESSES) {
    print_message("SKIP: what other processes order looks like a race to ThreadSanitizer\n");
    skip();
  }
  struct zcmem_shm *shm = make(ZCMEM_HAL_MAGAZINES);
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  struct racer beside;
  pid_t pids[RACERS];
  unsigned running = RACERS;
  uint64_t random = seed;
  const hal_addr_t mine = alloc_in(zcmem_shm_hal(shm), 1); /* so that there is never room for all */
  seizures = mmap(NULL, sizeof *seizures, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  assert_true(seizures != MAP_FAILED);
  for (unsigned i = 0; i < RACERS; i++) {
    pids[i] = shm_fork();
    assert_true(pids[i] >= 0);
    if (pids[i] == 0) {
      struct zcmem_shm *own = again(shm, ZCMEM_HAL_MAGAZINES);
      race_in_two_threads(own, seed + 2 * i);
      SHM_REQUIRE(zcmem_shm_close(own) == ZCMEM_OK);
      child_exit(0);
    }
  }
  start_racer(&beside, shm, seed + 2 * RACERS);
  while (running > 0) {
    int status;
    hal_addr_t addr;
    assert_status(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, NEAR_BYTES, 1, &addr), ZCMEM_ENOSPC);
    atomic_fetch_add(seizures, 1);
    if (random_below(&random, 8) == 0) {
      assert_ok(zcmem_hal_region_stats(zcmem_shm_hal(shm), 0, &stats));
      assert_ok(zcmem_shm_check(shm));
      assert_ok(zcmem_hal_check(zcmem_shm_hal(shm)));
    }
    for (unsigned i = 0; i < RACERS; i++) {
      if (pids[i] != 0 && waitpid(pids[i], &status, WNOHANG) == pids[i]) {
        assert_int_equal(status, 0);
        pids[i] = 0;
        running--;
      }
    }
  }
  assert_int_equal(pthread_join(beside.thread, NULL), 0);
  free_in(zcmem_shm_hal(shm), mine);
  print_message("everything was taken out of the magazines %u times\n", (unsigned)atomic_load(seizures));
  assert_int_equal(munmap((void *)seizures, sizeof *seizures), 0);
  end_area(shm);
}

int main(void) {
  if (!shm_has_magazines()) {
    print_message("SKIP: no magazines on this host\n");
    return 77;
  }
  if (shm_cannot()) {
    return 77;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(calls_take_no_lock),
                                     cmocka_unit_test(what_one_keeps_is_there_for_another),
                                     cmocka_unit_test(void_tickets_are_found_one_by_one),
                                     cmocka_unit_test(what_comes_after_a_seizure_is_not_kept),
                                     cmocka_unit_test(batches_find_room_in_magazines),
                                     cmocka_unit_test(a_block_grows_over_what_is_kept_behind_it),
                                     cmocka_unit_test(a_block_that_cannot_grow_is_told_why),
                                     cmocka_unit_test(wrong_calls_are_told_so),
                                     cmocka_unit_test(a_request_larger_than_the_region_has_no_space),
                                     cmocka_unit_test(the_share_is_of_all_processes),
                                     cmocka_unit_test(owners_go_with_the_blocks),
                                     cmocka_unit_test(used_blocks_go_into_no_magazine),
                                     cmocka_unit_test(who_sleeps_keeps_nothing_from_others),
                                     cmocka_unit_test(what_the_dead_keep_is_there_before_a_reap),
                                     cmocka_unit_test(a_reap_gives_back_what_the_dead_keep),
                                     cmocka_unit_test(a_child_has_none_of_its_parents),
                                     cmocka_unit_test(processes_race_with_one_who_takes_all)};
  seed = env_number("ZCMEM_TEST_SEED", 0x6d6167);
  ops = env_number("ZCMEM_TEST_OPS", DEFAULT_OPS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)ops);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
