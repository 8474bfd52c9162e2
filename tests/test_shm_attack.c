/* SPDX-License-Identifier: MIT */
/*
 * Areas as somebody would make them who means harm: each field of the header with the values that hurt, files that are
 * cut short, before and after they are mapped, sizes that wrap, what is no file at all, and words changed anywhere, in
 * mutexes, too. Who opens one with the full check is refused, or has an area that works.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<areas with words changed>
 */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "shm_layout.h"

/* ThreadSanitizer does not know that pthread_mutex_timedlock can take over a mutex from the dead. */
#if defined(__SANITIZE_THREAD__)
#define TAKES_OVER false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TAKES_OVER false
#endif
#endif
#ifndef TAKES_OVER
#define TAKES_OVER true
#endif

#define DEFAULT_TRIES UINT64_C(4000)
#define BLOCKS 24u
#define BYTES ((hal_size_t)65536)
#define NOBODY 65534u /* a user without rights */

static uint64_t seed, tries_wanted;
static char name[64], path[96]; /* of an area, and of its file */

/* A mutex that says that it is taken keeps who opens the area for ten seconds: here they are over at once. */
int __real_clock_gettime(clockid_t clock, struct timespec *time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *time);
static bool impatient;

int __wrap_clock_gettime(clockid_t clock, struct timespec *time) {
  const int result = __real_clock_gettime(clock, time);
  time->tv_sec -= impatient ? 60 : 0;
  return result;
}

/* -------------------------------------------------------------------------------------------------------- areas -- */

/* A small one with some blocks, pins, a zombie, and a block of a process that is gone. */
static struct zcmem_shm *make(const char *with_name, uint32_t mode) {
  const struct zcmem_region_config regions[2] = {
      {.name = "near",
       .kind = ZCMEM_KIND_DRAM,
       .flags = ZCMEM_REGION_COHERENT,
       .base = NEAR_BASE,
       .size = BYTES,
       .max_blocks = BLOCKS},
      {.name = "far", .kind = ZCMEM_KIND_MSMC, .base = FAR_BASE, .size = BYTES, .max_blocks = BLOCKS, .host = shm_far}};
  const struct zcmem_shm_config config = {
      .name = with_name, .mode = mode, .max_processes = 4, .regions = regions, .region_count = 2};
  struct zcmem_shm *shm = NULL;
  assert_ok(zcmem_shm_create(&config, &shm));
  struct zcmem_shm *other = shm_again(shm);
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  const hal_addr_t freed = shm_alloc(shm, 700), zombie = shm_alloc(other, 300);
  assert_ok(zcmem_mem_pin(hal, shm_alloc(other, 1000)));
  assert_ok(zcmem_mem_pin(hal, zombie));
  assert_ok(zcmem_mem_free_deferred(hal, zombie));
  assert_ok(zcmem_mem_free(hal, freed));
  assert_ok(zcmem_shm_close(other));
  return shm;
}

static size_t size_of(const struct zcmem_shm *shm) {
  struct stat file;
  assert_int_equal(fstat(zcmem_shm_fd(shm), &file), 0);
  return (size_t)file.st_size;
}

/* The bytes of an area, and a file that is to be one with bytes like these. */
struct copy {
  unsigned char *bytes;
  size_t length;
  int fd;
};

static struct copy copy_begin(struct zcmem_shm *shm) {
  struct copy copy = {.length = size_of(shm), .fd = memfd_create("copy", MFD_CLOEXEC)};
  copy.bytes = malloc(copy.length);
  assert_true(copy.bytes != NULL && copy.fd >= 0);
  assert_int_equal(pread(zcmem_shm_fd(shm), copy.bytes, copy.length, 0), (ssize_t)copy.length);
  return copy;
}

static void copy_end(struct copy *copy) {
  free(copy->bytes);
  (void)close(copy->fd);
}

/* What a program does, and a bit more. */
static void use(struct zcmem_shm *shm) {
  struct zcmem_hal *hal = zcmem_shm_hal(shm);
  hal_addr_t addr[BLOCKS];
  unsigned made = 0;
  for (uint32_t region = 0; region < zcmem_hal_region_count(hal); region++) {
    for (unsigned i = 0; i < BLOCKS / 2 && zcmem_mem_alloc(hal, region, 100 + i, 1, &addr[made]) == ZCMEM_OK; i++) {
      struct zcmem_block_info info;
      assert_ok(zcmem_mem_pin(hal, addr[made]));
      assert_ok(zcmem_mem_info(hal, addr[made], &info));
      assert_true(info.addr == addr[made] && info.pins == 1);
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

static bool look_on(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner) {
  uint64_t *seen = ctx;
  *seen += block->size + owner->slot;
  return true;
}

static void look_at_snapshot(int fd) {
  struct zcmem_shm_snapshot *snapshot = NULL;
  const enum zcmem_status status = zcmem_shm_snapshot_take(fd, &snapshot);
  uint64_t seen = 0;
  if (status != ZCMEM_OK) {
    assert_true(status == ZCMEM_ECORRUPT || status == ZCMEM_EBUSY || status == ZCMEM_ENOMEM);
    return;
  }
  for (uint32_t i = 0; i < zcmem_shm_snapshot_regions(snapshot); i++) {
    assert_ok(zcmem_shm_snapshot_walk(snapshot, i, look_on, &seen));
  }
  zcmem_shm_snapshot_close(snapshot);
}

/* Writes the copy, opens it, and uses it if that was allowed. */
static enum zcmem_status try_copy(const struct copy *copy) {
  struct zcmem_shm *shm = NULL;
  assert_int_equal(pwrite(copy->fd, copy->bytes, copy->length, 0), (ssize_t)copy->length);
  look_at_snapshot(copy->fd);
  const enum zcmem_status status = shm_open_fd(copy->fd, ZCMEM_SHM_CHECK, &shm);
  if (status == ZCMEM_OK) {
    use(shm);
    assert_ok(zcmem_shm_close(shm));
  }
  return status;
}

/* ------------------------------------------------------------------------------------------------------- headers -- */

static void each_field_with_values_that_hurt(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(NULL, 0);
  struct copy copy = copy_begin(shm);
  const size_t end = offsetof(struct zcmem__shm_area, plan.place) + 3 * sizeof(struct zcmem__shm_place);
  unsigned tried = 0, opened = 0;
  for (size_t at = 0; at < end; at += 4) {
    uint64_t was = 0;
    const size_t width = at % 8 == 0 ? 8 : 4;
    memcpy(&was, copy.bytes + at, width);
    const uint64_t values[] = {0,         1,         was - 1,    was + 1,           was * 2,   was ^ 0xff00000000,
                               0 - was,   INT32_MAX, UINT32_MAX, UINT64_C(1) << 32, INT64_MAX, UINT64_MAX - 4095,
                               UINT64_MAX};
    for (unsigned i = 0; i < sizeof values / sizeof values[0]; i++) {
      memcpy(copy.bytes + at, &values[i], width);
      if (memcmp(copy.bytes + at, &was, width) != 0) {
        const enum zcmem_status status = try_copy(&copy);
        assert_true(status == ZCMEM_OK || status == ZCMEM_ECORRUPT || status == ZCMEM_EBUSY);
        opened += status == ZCMEM_OK;
        tried++;
      }
      memcpy(copy.bytes + at, &was, width);
    }
  }
  print_message("%u headers, of which %u are another area that could be\n", tried, opened);
  assert_true(tried > 900 && opened < tried / 10); /* another kind, name, flag: nothing says what it was */
  assert_ok(try_copy(&copy));
  copy_end(&copy);
  assert_ok(zcmem_shm_close(shm));
}

/* With nobody in a change: as a heap that no repair made whole, which is locked for good. */
static void an_odd_version(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(NULL, 0);
  struct copy copy = copy_begin(shm);
  struct zcmem__shm_area *area = (struct zcmem__shm_area *)(void *)copy.bytes;
  assert_ok(try_copy(&copy));
  for (uint32_t region = 0; region < 2; region++) {
    area->live[region].version.value ^= 1u;
    assert_status(try_copy(&copy), ZCMEM_ELOCK);
    area->live[region].version.value ^= 1u;
  }
  assert_ok(try_copy(&copy));
  copy_end(&copy);
  assert_ok(zcmem_shm_close(shm));
}

static void files_that_are_cut_short(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(NULL, 0), *other = NULL;
  struct copy copy = copy_begin(shm);
  assert_ok(try_copy(&copy));
  for (size_t length = copy.length; length-- > 0; length = length < 512 ? length : length - length % 512) {
    assert_int_equal(ftruncate(copy.fd, (off_t)length), 0);
    assert_status(shm_open_fd(copy.fd, 0, &other), length == 0 ? ZCMEM_EBUSY : ZCMEM_ECORRUPT);
    look_at_snapshot(copy.fd);
  }
  copy_end(&copy);
  assert_ok(zcmem_shm_close(shm));
}

static void words_changed_anywhere(void **state) {
  (void)state;
  if (!TAKES_OVER) {
    print_message("SKIP: mutexes of the dead are unknown to this sanitizer\n");
    skip();
  }
  static const uint64_t words[] = {0, 1, 2, 0x40000000, 0x7fffffff, 0x80000001, UINT32_MAX, UINT64_MAX};
  struct zcmem_shm *shm = make(NULL, 0);
  struct copy copy = copy_begin(shm);
  const struct zcmem__shm_area *area = (const struct zcmem__shm_area *)(const void *)copy.bytes;
  const struct zcmem__shm_plan plan = area->plan;
  unsigned char *whole = malloc(copy.length);
  uint64_t random = seed, opened = 0, refused[4] = {0};
  assert_non_null(whole);
  memcpy(whole, copy.bytes, copy.length);
  impatient = true;
  for (uint64_t i = 0; i < tries_wanted; i++) {
    for (uint64_t changes = 1 + random_below(&random, 4); changes > 0; changes--) {
      const struct zcmem__shm_place *place = &plan.place[random_below(&random, 2)];
      const uint64_t from[] = {0, offsetof(struct zcmem__shm_area, mutex), offsetof(struct zcmem__shm_area, live),
                               place->image_at, place->uses_at};
      const uint64_t lengths[] = {sizeof *area, sizeof(pthread_mutex_t) + 4 * sizeof(struct zcmem__shm_slot),
                                  2 * sizeof(struct zcmem__shm_live), place->image_bytes,
                                  place->uses_row * sizeof(uint32_t) * plan.slots};
      const uint64_t part = random_below(&random, 5);
      const uint64_t at = from[part] + random_below(&random, lengths[part] - 7) / 4 * 4;
      const uint64_t word = random_below(&random, 2) == 0 ? words[random_below(&random, 8)] : random_next(&random);
      memcpy(copy.bytes + at, &word, random_below(&random, 2) == 0 ? 4 : 8);
    }
    const enum zcmem_status status = try_copy(&copy);
    assert_true(status == ZCMEM_OK || status == ZCMEM_ECORRUPT || status == ZCMEM_EBUSY || status == ZCMEM_ELOCK ||
                status == ZCMEM_ENOMEM); /* all slots taken */
    opened += status == ZCMEM_OK;
    refused[status == ZCMEM_ECORRUPT ? 0 : status == ZCMEM_EBUSY ? 1 : status == ZCMEM_ELOCK ? 2 : 3]++;
    memcpy(copy.bytes, whole, copy.length);
  }
  impatient = false;
  refused[3] -= opened;
  print_message("ZCMEM_TEST_SEED=0x%llx: %llu areas: %llu corrupt, %llu not complete, %llu with a lock that is taken, "
                "%llu without a slot; %llu opened, and work\n",
                (unsigned long long)seed, (unsigned long long)tries_wanted, (unsigned long long)refused[0],
                (unsigned long long)refused[1], (unsigned long long)refused[2], (unsigned long long)refused[3],
                (unsigned long long)opened);
  assert_true(opened > 0 && refused[0] > tries_wanted / 8);
  free(whole);
  copy_end(&copy);
  assert_ok(zcmem_shm_close(shm));
}

/* --------------------------------------------------------------------------------------------------------- files -- */

static void touch_block(void *ctx) {
  const hal_addr_t *addr = ctx;
  struct zcmem_shm *shm = NULL;
  const struct zcmem_shm_open_config config = {.name = name};
  void *host = NULL;
  SHM_REQUIRE(zcmem_shm_open(&config, &shm) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_mem_host(zcmem_shm_hal(shm), *addr, 1, &host) == ZCMEM_OK);
  SHM_REQUIRE(ftruncate(zcmem_shm_fd(shm), 0) == 0);
  (void)signal(SIGBUS, SIG_DFL); /* whatever a sanitizer makes of it */
  *(volatile unsigned char *)host = 1;
}

/* What shm.h promises: the area of a memfd cannot be cut short. A named one can, and that is SIGBUS for its users. */
static void a_file_that_shrinks_under_its_users(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(NULL, 0), *other = NULL;
  const struct zcmem_shm_open_config config = {.name = name};
  struct zcmem_shm_snapshot *snapshot = NULL;
  assert_int_equal(ftruncate(zcmem_shm_fd(shm), 4096), -1);
  assert_int_equal(ftruncate(zcmem_shm_fd(shm), (off_t)size_of(shm) * 2), -1);
  assert_ok(zcmem_shm_close(shm));
  shm = make(name, 0);
  hal_addr_t addr = shm_alloc(shm, 1);
  const int how = shm_child(touch_block, &addr);
  assert_true(WIFSIGNALED(how) && WTERMSIG(how) == SIGBUS);
  assert_status(zcmem_shm_open(&config, &other), ZCMEM_EBUSY); /* as one whose maker has not come far */
  assert_int_equal(ftruncate(zcmem_shm_fd(shm), 8192), 0);
  assert_status(zcmem_shm_open(&config, &other), ZCMEM_ECORRUPT);
  assert_status(zcmem_shm_snapshot_open(name, &snapshot), ZCMEM_EBUSY); /* zeros */
  assert_ok(zcmem_shm_unlink(name));
  assert_int_equal(ftruncate(zcmem_shm_fd(shm), 1 << 20), 0); /* for close, which is one of its users */
  (void)zcmem_shm_close(shm);
}

static void assert_refused(enum zcmem_status open_status, enum zcmem_status snapshot_status) {
  const struct zcmem_shm_open_config config = {.name = name};
  struct zcmem_shm *shm = NULL;
  struct zcmem_shm_snapshot *snapshot = NULL;
  assert_status(zcmem_shm_open(&config, &shm), open_status);
  assert_status(zcmem_shm_snapshot_open(name, &snapshot), snapshot_status);
}

/* Where others may make names, too, one that is taken may be anything. */
static void names_that_are_no_area(void **state) {
  (void)state;
  const struct zcmem_region_config region = {
      .name = "r", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 65536, .max_blocks = 10};
  const struct zcmem_shm_config config = {.name = name, .regions = &region, .region_count = 1};
  struct zcmem_shm *shm = NULL;
  char other_path[128];
  struct stat file;
  (void)snprintf(other_path, sizeof other_path, "%s-other", path);
  if (stat("/dev/shm", &file) != 0 || !S_ISDIR(file.st_mode)) {
    print_message("SKIP: names are not in /dev/shm here\n");
    skip();
  }
  /* A link, even to an area: whoever made the link does not choose which. */
  shm = make(name, 0);
  assert_int_equal(rename(path, other_path), 0);
  assert_int_equal(symlink(other_path, path), 0);
  assert_refused(ZCMEM_EIO, ZCMEM_EIO);
  assert_ok(zcmem_shm_close(shm));
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EBUSY);
  assert_ok(zcmem_shm_unlink(name));
  assert_int_equal(symlink("/nowhere/at/all", path), 0); /* nor is anything made where a link points to */
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EBUSY);
  assert_ok(zcmem_shm_unlink(name));
  assert_int_equal(unlink(other_path), 0);
  assert_int_equal(mkdir(path, 0700), 0);
  assert_refused(ZCMEM_EIO, ZCMEM_ECORRUPT);
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EBUSY);
  assert_int_equal(rmdir(path), 0);
  assert_int_equal(mkfifo(path, 0600), 0); /* who opens it to read waits for a writer, as a rule */
  assert_refused(ZCMEM_ECORRUPT, ZCMEM_ECORRUPT);
  assert_ok(zcmem_shm_unlink(name));
}

/* Who was given the area to read cannot be one of its processes; it may look. */
static void a_descriptor_to_read(void **state) {
  (void)state;
  struct zcmem_shm *shm = make(NULL, 0), *other = NULL;
  char of_it[64];
  (void)snprintf(of_it, sizeof of_it, "/proc/self/fd/%d", zcmem_shm_fd(shm));
  const int fd = open(of_it, O_RDONLY | O_CLOEXEC);
  assert_true(fd >= 0);
  assert_status(shm_open_fd(fd, 0, &other), ZCMEM_EIO);
  look_at_snapshot(fd);
  (void)close(fd);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

struct stranger {
  struct zcmem_shm *shm;
  enum zcmem_status open_status, unlink_status, snapshot_status;
};

static void be_a_stranger(void *ctx) {
  const struct stranger *stranger = ctx;
  const struct zcmem_shm_open_config config = {.name = name};
  struct zcmem_shm *shm = NULL;
  struct zcmem_shm_snapshot *snapshot = NULL;
  SHM_REQUIRE(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
  SHM_REQUIRE(zcmem_shm_open(&config, &shm) == stranger->open_status);
  SHM_REQUIRE(zcmem_shm_snapshot_open(name, &snapshot) == stranger->snapshot_status);
  SHM_REQUIRE(zcmem_shm_unlink(name) == stranger->unlink_status);
  zcmem_shm_snapshot_close(snapshot);
  if (shm != NULL) { /* EPERM is not death */
    struct zcmem_shm_reaped reaped;
    SHM_REQUIRE(kill(getppid(), 0) != 0);
    SHM_REQUIRE(zcmem_shm_reap(shm, &reaped) == ZCMEM_OK && reaped.processes + reaped.blocks + reaped.pins == 0);
    SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
  }
}

static void another_user(void **state) {
  (void)state;
  if (!shm_agrees_on_starts()) {
    print_message("SKIP: who is alive cannot be told of another process here\n");
    skip();
  }
  struct stranger stranger = {.open_status = ZCMEM_EIO, .snapshot_status = ZCMEM_EIO, .unlink_status = ZCMEM_EIO};
  if (geteuid() != 0) {
    print_message("SKIP: only root can be another user\n");
    skip();
  }
  stranger.shm = make(name, 0);
  assert_ok(
      zcmem_shm_reap(stranger.shm, NULL)); /* of whom `make` has left something, so that there is no more to reap */
  assert_int_equal(shm_child(be_a_stranger, &stranger), 0);
  assert_int_equal(chmod(path, 0644), 0); /* who may read may look */
  stranger.snapshot_status = ZCMEM_OK;
  assert_int_equal(shm_child(be_a_stranger, &stranger), 0);
  assert_int_equal(chmod(path, 0666), 0);
  stranger.open_status = ZCMEM_OK;
  assert_int_equal(shm_child(be_a_stranger, &stranger), 0);
  assert_ok(zcmem_shm_check(stranger.shm));
  assert_ok(zcmem_shm_unlink(name));
  assert_ok(zcmem_shm_close(stranger.shm));
}

int main(void) {
  if (shm_cannot()) {
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_field_with_values_that_hurt),
      cmocka_unit_test(an_odd_version),
      cmocka_unit_test(files_that_are_cut_short),
      cmocka_unit_test(words_changed_anywhere),
      cmocka_unit_test(a_file_that_shrinks_under_its_users),
      cmocka_unit_test(names_that_are_no_area),
      cmocka_unit_test(a_descriptor_to_read),
      cmocka_unit_test(another_user),
  };
  seed = env_number("ZCMEM_TEST_SEED", 0x61747461636b);
  tries_wanted = env_number("ZCMEM_TEST_OPS", DEFAULT_TRIES);
  (void)snprintf(name, sizeof name, "/zcmem-attack-%ld", (long)getpid());
  (void)snprintf(path, sizeof path, "/dev/shm%s", name);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
