/* SPDX-License-Identifier: MIT */
/* Snapshots: of areas that live, that are dead, that change all the time, of copies; and areas that are damaged. */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shm_layout.h"

#define DEFAULT_TRIES UINT64_C(3000)
static uint64_t seed, tries_wanted;

struct listing {
  unsigned live, shared, dead, alive, free_blocks;
  hal_addr_t last;
};

static bool list_block(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  struct listing *listing = ctx;
  assert_true(block->addr >= listing->last);
  listing->last = block->addr + block->size;
  listing->live += block->state == ZCMEM_BLOCK_LIVE;
  listing->free_blocks += block->state == ZCMEM_BLOCK_FREE;
  listing->shared += owner->state == ZCMEM_SHM_SHARED;
  listing->dead += owner->state == ZCMEM_SHM_GONE;
  listing->alive += owner->state == ZCMEM_SHM_ALIVE;
  return true;
}

static struct listing list_region(const struct zcmem_shm_snapshot *snapshot, uint32_t region) {
  struct listing listing = {0};
  assert_ok(zcmem_shm_snapshot_walk(snapshot, region, list_block, &listing));
  return listing;
}

static void assert_is_what_was_made(const struct zcmem_shm_snapshot *snapshot, bool whole) {
  struct zcmem_shm_snapshot_region region;
  struct zcmem_shm_process process;
  assert_int_equal(zcmem_shm_snapshot_regions(snapshot), 2);
  assert_int_equal(zcmem_shm_snapshot_processes(snapshot), 3);
  assert_ok(zcmem_shm_snapshot_get_region(snapshot, 0, &region));
  assert_string_equal(region.info.name, "near");
  assert_true(region.info.mapped && region.info.base == NEAR_BASE && region.info.size == NEAR_BYTES);
  assert_int_equal(region.heap.live, 3);
  assert_int_equal(region.heap.requested, 1000 + 1 + 1);
  assert_int_equal(region.largest, NEAR_BYTES - 1024 - 128 - 128);
  assert_int_equal(region.whole, whole);
  assert_ok(zcmem_shm_snapshot_get_region(snapshot, 1, &region));
  assert_string_equal(region.info.name, "far");
  assert_true(!region.info.mapped && region.whole && region.heap.live == 0);
  assert_status(zcmem_shm_snapshot_get_region(snapshot, 2, &region), ZCMEM_EINVAL);
  assert_ok(zcmem_shm_snapshot_get_process(snapshot, 1, &process));
  assert_true(process.state == ZCMEM_SHM_ALIVE && process.pid == (uint32_t)getpid() && process.start != 0);
  assert_ok(zcmem_shm_snapshot_get_process(snapshot, 2, &process));
  assert_true(process.state == ZCMEM_SHM_GONE && process.slot == 2);
  assert_ok(zcmem_shm_snapshot_get_process(snapshot, 3, &process));
  assert_true(process.state == ZCMEM_SHM_NOBODY && process.pid == 0);
  assert_status(zcmem_shm_snapshot_get_process(snapshot, 0, &process), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_get_process(snapshot, 4, &process), ZCMEM_EINVAL);
  struct listing listing = list_region(snapshot, 0);
  assert_true(listing.live == 3 && listing.shared == 1 && listing.dead == 1 && listing.alive == 1);
  assert_int_equal(listing.free_blocks, 1);
}

/* Three blocks: one alive, one shared, one of a process that has closed the area. */
static struct zcmem_shm *make_some(void) {
  struct zcmem_shm *shm = shm_make(NULL, 3), *other = shm_again(shm);
  (void)shm_alloc(shm, 1000);
  assert_ok(zcmem_shm_share(other, shm_alloc(other, 1)));
  (void)shm_alloc(other, 1);
  assert_ok(zcmem_shm_close(other));
  return shm;
}

static void of_a_live_area(void **state) {
  (void)state;
  struct zcmem_shm *shm = make_some();
  struct zcmem_shm_snapshot *snapshot = NULL;
  struct stat before, after;
  assert_int_equal(fstat(zcmem_shm_fd(shm), &before), 0);
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(shm), &snapshot));
  assert_int_equal(fstat(zcmem_shm_fd(shm), &after), 0);
  assert_int_equal(after.st_blocks, before.st_blocks); /* no page came to be by looking at it */
  assert_is_what_was_made(snapshot, true);
  zcmem_shm_snapshot_close(snapshot);
  zcmem_shm_snapshot_close(NULL);
  assert_int_equal(zcmem_shm_snapshot_regions(NULL), 0);
  assert_int_equal(zcmem_shm_snapshot_processes(NULL), 0);
  assert_status(zcmem_shm_snapshot_walk(NULL, 0, list_block, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_take(zcmem_shm_fd(shm), NULL), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_take(-1, &snapshot), ZCMEM_EIO);
  assert_status(zcmem_shm_snapshot_open(NULL, &snapshot), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_open("/any", NULL), ZCMEM_EINVAL);
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(shm), &snapshot));
  assert_status(zcmem_shm_snapshot_get_region(snapshot, 0, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_get_process(snapshot, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_walk(snapshot, 0, NULL, NULL), ZCMEM_EINVAL);
  zcmem_shm_snapshot_close(snapshot);
  assert_status(zcmem_shm_snapshot_open("/no/name", &snapshot), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_get_region(NULL, 0, &(struct zcmem_shm_snapshot_region){.largest = 0}),
                ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_get_process(NULL, 1, &(struct zcmem_shm_process){.slot = 0}), ZCMEM_EINVAL);
  assert_status(zcmem_shm_snapshot_open("/no-area-of-this-name", &snapshot), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_close(shm));
}

static struct zcmem__shm_area *map(struct zcmem_shm *shm, size_t *bytes) {
  struct stat file;
  assert_int_equal(fstat(zcmem_shm_fd(shm), &file), 0);
  *bytes = (size_t)file.st_size;
  void *area = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, zcmem_shm_fd(shm), 0);
  assert_true(area != MAP_FAILED);
  return area;
}

static void of_one_that_is_torn(void **state) {
  (void)state;
  struct zcmem_shm *shm = make_some();
  struct zcmem_shm_snapshot *snapshot = NULL;
  size_t bytes;
  struct zcmem__shm_area *area = map(shm, &bytes);
  struct zcmem_heap *heap = (struct zcmem_heap *)(void *)((char *)area + area->plan.place[0].image_at);
  area->live[0].version.value |= 1; /* as if somebody were in the middle, for ever */
  heap->free_quanta = 3;
  assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(shm), &snapshot));
  assert_is_what_was_made(snapshot, false);
  zcmem_shm_snapshot_close(snapshot);
  assert_int_equal(heap->free_quanta, 3); /* in the area nothing has changed */
  area->live[0].version.value++;          /* else nobody could take the lock */
  assert_int_equal(munmap(area, bytes), 0);
  assert_ok(zcmem_shm_close(shm));
}

static void allocate_and_free(void *ctx) {
  struct zcmem_shm *shm = ctx;
  for (;;) {
    hal_addr_t addr[3];
    for (unsigned i = 0; i < 3; i++) {
      SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, 300 * (i + 1), 1, &addr[i]) == ZCMEM_OK);
    }
    for (unsigned i = 0; i < 3; i++) {
      SHM_REQUIRE(zcmem_mem_free(zcmem_shm_hal(shm), addr[i]) == ZCMEM_OK);
    }
  }
}

static void of_one_that_changes_all_the_time(void **state) {
  (void)state;
  if (!shm_knows_the_dead() || !shm_agrees_on_starts()) {
    print_message("SKIP: no mutex survives its owner here, or who is alive cannot be told of another process\n");
    skip();
  }
  struct zcmem_shm *shm = shm_make(NULL, 3);
  (void)shm_alloc(shm, 1000);
  pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    allocate_and_free(shm);
  }
  for (unsigned i = 0; i < 30; i++) {
    struct zcmem_shm_snapshot *snapshot = NULL;
    assert_ok(zcmem_shm_snapshot_take(zcmem_shm_fd(shm), &snapshot));
    struct listing listing = list_region(snapshot, 0);
    assert_true(listing.live >= 1 && listing.live <= 4 && listing.live == listing.alive);
    assert_int_equal(listing.last, NEAR_BASE + NEAR_BYTES);
    zcmem_shm_snapshot_close(snapshot);
  }
  int status;
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFSIGNALED(status));
  assert_ok(zcmem_shm_reap(shm, NULL));
  assert_int_equal(shm_live(shm), 1);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

/* ----------------------------------------------------------------------------------------------------- damage -- */

/* A copy of the area in a file of its own, as it is, or cut short. */
static int copy_of(const void *area, size_t bytes, size_t length) {
  int fd = memfd_create("copy", MFD_CLOEXEC);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, area, bytes, 0), (ssize_t)bytes);
  assert_int_equal(ftruncate(fd, (off_t)length), 0);
  return fd;
}

/* An area that could be opened is used as a program would. */
static void use(struct zcmem_shm *shm) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  hal_addr_t addr[8];
  unsigned made = 0;
  for (uint32_t region = 0; region < zcmem_hal_region_count(hal); region++) {
    while (made < 8 && zcmem_mem_alloc(hal, region, 100 + made, 1, &addr[made]) == ZCMEM_OK) {
      (void)zcmem_mem_pin(hal, addr[made]);
      made++;
    }
  }
  while (made-- > 0) {
    assert_ok(zcmem_mem_unpin(hal, addr[made]));
    assert_ok(zcmem_mem_free(hal, addr[made]));
  }
  (void)zcmem_shm_reap(shm, NULL);
  assert_ok(zcmem_shm_check(shm));
}

static void assert_not_opened(int fd, enum zcmem_status want) {
  struct zcmem_shm *shm = NULL;
  struct zcmem_shm_snapshot *snapshot = NULL;
  assert_status(shm_open_fd(fd, 0, &shm), want);
  assert_status(zcmem_shm_snapshot_take(fd, &snapshot), want);
  (void)close(fd);
}

static void what_is_no_area_is_refused(void **state) {
  (void)state;
  struct zcmem_shm *shm = make_some(), *other = NULL;
  size_t bytes;
  struct zcmem__shm_area *area = map(shm, &bytes);
  static const unsigned char garbage[65536] = {1, 2, 3};
  struct zcmem_shm_snapshot *snapshot = NULL;
  assert_not_opened(copy_of(garbage, sizeof garbage, sizeof garbage), ZCMEM_ECORRUPT);
  int fd = copy_of(garbage, 0, 0);
  assert_status(shm_open_fd(fd, 0, &other), ZCMEM_EBUSY); /* its maker has not come so far */
  assert_status(zcmem_shm_snapshot_take(fd, &snapshot), ZCMEM_ECORRUPT);
  (void)close(fd);
  assert_not_opened(copy_of(garbage, 0, bytes), ZCMEM_EBUSY);
  fd = copy_of(area, bytes, bytes - 4096); /* the end is memory of nobody: snapshots do not need it */
  assert_status(shm_open_fd(fd, 0, &other), ZCMEM_ECORRUPT);
  (void)close(fd);
  assert_not_opened(copy_of(area, bytes, sizeof *area / 2), ZCMEM_ECORRUPT);
  fd = open("/dev/null", O_RDWR | O_CLOEXEC);
  assert_status(shm_open_fd(fd, 0, &other), ZCMEM_ECORRUPT);
  (void)close(fd);
  fd = copy_of(area, bytes, bytes); /* as it is, it is one */
  other = NULL;
  assert_ok(shm_open_fd(fd, ZCMEM_SHM_CHECK, &other));
  use(other);
  assert_ok(zcmem_shm_close(other));
  (void)close(fd);
  assert_int_equal(munmap(area, bytes), 0);
  assert_ok(zcmem_shm_close(shm));
}

/* Every bit of the plan is compared with what it should be. */
static void every_bit_of_the_plan_counts(void **state) {
  (void)state;
  struct zcmem_shm *shm = make_some();
  size_t bytes;
  struct zcmem__shm_area *area = map(shm, &bytes);
  const size_t begin = 0, end = offsetof(struct zcmem__shm_area, plan.place) + 2 * sizeof(struct zcmem__shm_place);
  unsigned opened = 0;
  for (size_t bit = begin * 8; bit < end * 8; bit++) {
    unsigned char *byte = (unsigned char *)area + bit / 8;
    struct zcmem_shm *other = NULL;
    *byte ^= (unsigned char)(1u << bit % 8);
    enum zcmem_status status = shm_open_fd(zcmem_shm_fd(shm), ZCMEM_SHM_CHECK, &other);
    if (status == ZCMEM_OK) { /* another name, kind, flag, cache line: nothing else says what it was */
      opened++;
      assert_ok(zcmem_shm_close(other));
    } else {
      assert_true(status == ZCMEM_ECORRUPT || status == ZCMEM_ENOMEM); /* fewer slots, all of them taken */
    }
    *byte ^= (unsigned char)(1u << bit % 8);
  }
  print_message("%zu bits, of which %u mean another area that could be\n", (end - begin) * 8, opened);
  assert_true(opened < 200);
  assert_int_equal(munmap(area, bytes), 0);
  assert_ok(zcmem_shm_close(shm));
}

/* Bytes anywhere, but in the mutexes, which no check can know: what opens with the check can be used. */
static void damaged_areas_are_refused_or_work(void **state) {
  (void)state;
  struct zcmem_shm *shm = make_some();
  size_t bytes, refused = 0, opened = 0;
  struct zcmem__shm_area *area = map(shm, &bytes);
  uint64_t random = seed;
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), NEAR_BASE));
  for (uint64_t i = 0; i < tries_wanted; i++) {
    const unsigned changes = 1 + (unsigned)random_below(&random, 3);
    struct zcmem_shm *other = NULL;
    struct zcmem_shm_snapshot *snapshot = NULL;
    int fd = copy_of(area, bytes, bytes);
    for (unsigned k = 0; k < changes; k++) {
      const struct zcmem__shm_place *place = &area->plan.place[random_below(&random, 2)];
      const uint64_t from[4] = {offsetof(struct zcmem__shm_area, plan), offsetof(struct zcmem__shm_area, slot),
                                place->image_at, place->uses_at};
      const uint64_t lengths[4] = {1024, 3 * sizeof(struct zcmem__shm_slot), 2048, 64};
      const uint64_t part = random_below(&random, 4);
      const uint64_t at = from[part] + random_below(&random, lengths[part]) / 4 * 4;
      static const uint32_t values[] = {0, 1, 2, 8, 9, 0x7fffffff, UINT32_MAX};
      const uint32_t value =
          random_below(&random, 2) == 0 ? values[random_below(&random, 7)] : (uint32_t)random_next(&random);
      assert_int_equal(pwrite(fd, &value, sizeof value, (off_t)at), sizeof value);
    }
    if (zcmem_shm_snapshot_take(fd, &snapshot) == ZCMEM_OK) {
      (void)list_region(snapshot, 0);
      zcmem_shm_snapshot_close(snapshot);
    }
    enum zcmem_status status = shm_open_fd(fd, ZCMEM_SHM_CHECK, &other);
    if (status == ZCMEM_OK) {
      opened++;
      use(other);
      assert_ok(zcmem_shm_close(other));
    } else {
      assert_true(status == ZCMEM_ECORRUPT || status == ZCMEM_ENOMEM); /* all slots taken */
      refused++;
    }
    (void)close(fd);
  }
  print_message("ZCMEM_TEST_SEED=0x%llx: %zu refused, %zu opened\n", (unsigned long long)seed, refused, opened);
  assert_true(refused > tries_wanted / 4 && opened > 0);
  assert_int_equal(munmap(area, bytes), 0);
  assert_ok(zcmem_shm_close(shm));
}

int main(void) {
  if (shm_cannot()) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(of_a_live_area),
      cmocka_unit_test(of_one_that_is_torn),
      cmocka_unit_test(of_one_that_changes_all_the_time),
      cmocka_unit_test(what_is_no_area_is_refused),
      cmocka_unit_test(every_bit_of_the_plan_counts),
      cmocka_unit_test(damaged_areas_are_refused_or_work),
  };
  seed = env_number("ZCMEM_TEST_SEED", 0x736e6170);
  tries_wanted = env_number("ZCMEM_TEST_OPS", DEFAULT_TRIES);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
