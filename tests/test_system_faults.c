/* SPDX-License-Identifier: MIT */
/*
 * The system's calls that a process makes once, or hardly ever, fail: what magazines and fork need, the barrier of all
 * threads, a mutex whose owner died, the clock, /proc. Each test is a child of its own, since what is found out once is
 * never asked again. What fails at every place of every function is the business of test_faults.c.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "shm_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <time.h>

#include "hal_impl.h"
#include "shm_lock.h"
#include "thread.h"
#include <zcmem/zcmem.h>

enum { BLOCKS = 40, SIZE = 1 << 20 };

/* ------------------------------------------------------------------------------------------------ what can fail -- */

enum source { KEY_CREATE, ATFORK, ONCE, MEMBARRIER, LOCK, TRYLOCK, TIMEDLOCK, CONSISTENT, CLOCK, OPEN, READ, SOURCES };

/* in: 0: never; n: the n-th call from now fails, and so do all after it where `lasting`. */
static struct {
  unsigned in[SOURCES], calls[SOURCES];
  bool lasting;
  int how; /* what a lock answers */
  const void *held[16];
} os;

static bool strikes(enum source source) {
  os.calls[source]++;
  if (os.in[source] == 0 || (os.in[source] > 1 && --os.in[source] > 0)) {
    return false;
  }
  os.in[source] = os.lasting ? 1 : 0;
  return true;
}

int __real_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *));
int __real_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void));
int __real_pthread_once(pthread_once_t *once, void (*call)(void));
int __wrap_pthread_once(pthread_once_t *once, void (*call)(void));
long __real_syscall(long number, long a, long b, long c);
long __wrap_syscall(long number, long a, long b, long c);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __real_open(const char *path, int flags, mode_t mode);
int __wrap_open(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode);
ssize_t __real_read(int file, void *to, size_t bytes);
ssize_t __wrap_read(int file, void *to, size_t bytes);

int __wrap_pthread_key_create(pthread_key_t *key, void (*end)(void *)) {
  return strikes(KEY_CREATE) ? EAGAIN : __real_pthread_key_create(key, end);
}

int __wrap_pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
  return strikes(ATFORK) ? ENOMEM : __real_pthread_atfork(before, parent, child);
}

int __wrap_pthread_once(pthread_once_t *once, void (*call)(void)) {
  return strikes(ONCE) ? EINVAL : __real_pthread_once(once, call);
}

long __wrap_syscall(long number, long a, long b, long c) {
  if (number == SYS_membarrier && strikes(MEMBARRIER)) {
    errno = EPERM;
    return -1;
  }
  return __real_syscall(number, a, b, c);
}

static void note_held(const void *from, const void *to) {
  unsigned i = 0;
  while (os.held[i] != from) {
    SHM_REQUIRE(++i < sizeof os.held / sizeof os.held[0]); /* or somebody gives up a lock that he does not have */
  }
  os.held[i] = to;
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
  int result = strikes(LOCK) ? EINVAL : __real_pthread_mutex_lock(mutex);
  if (result == 0) {
    note_held(NULL, mutex);
  }
  return result;
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex) {
  note_held(mutex, NULL);
  return __real_pthread_mutex_unlock(mutex);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
  int result = strikes(TRYLOCK) ? os.how : __real_pthread_mutex_trylock(mutex);
  if (result == 0 || result == EOWNERDEAD) {
    note_held(NULL, mutex);
  }
  return result;
}

int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
  int result = strikes(TIMEDLOCK) ? ETIMEDOUT : __real_pthread_mutex_timedlock(mutex, until);
  if (result == 0 || result == EOWNERDEAD) {
    note_held(NULL, mutex);
  }
  return result;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now) {
  return strikes(CLOCK) ? -1 : __real_clock_gettime(clock, now);
}

int __wrap_open(const char *path, int flags, mode_t mode) {
  return strncmp(path, "/proc/", 6) == 0 && strikes(OPEN) ? -1 : __real_open(path, flags, mode);
}

int __wrap_open64(const char *path, int flags, mode_t mode) {
  return __wrap_open(path, flags, mode);
}

ssize_t __wrap_read(int file, void *to, size_t bytes) {
  return strikes(READ) ? -1 : __real_read(file, to, bytes);
}

/* ---------------------------------------------------------------------------------------------------- magazines -- */

#ifdef ZCMEM__MAGAZINES
static struct zcmem_hal *open_hal(void) {
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 2, .max_mappings = 2, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_region_config regions[2] = {
      {.name = "a", .kind = ZCMEM_KIND_DRAM, .base = SIZE, .size = SIZE, .max_blocks = 1024},
      {.name = "b", .kind = ZCMEM_KIND_DRAM, .base = 4 * SIZE, .size = SIZE, .max_blocks = 1024}};
  struct zcmem_hal *hal = NULL;
  SHM_REQUIRE(zcmem_hal_create(&config, regions, 2, &hal) == ZCMEM_OK);
  return hal;
}

/* Whether calls do what they should; answers how many blocks are kept in magazines then. */
static uint64_t use_hal(struct zcmem_hal *hal) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  struct zcmem__region *region = zcmem__hal_region(hal, 0);
  hal_addr_t blocks[BLOCKS], more;
  uint64_t kept = 0, quanta = 0;
  for (unsigned i = 0; i < BLOCKS; i++) {
    SHM_REQUIRE(zcmem_mem_alloc(hal, 0, 100 + i, 1, &blocks[i]) == ZCMEM_OK);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    SHM_REQUIRE(zcmem_mem_free(hal, blocks[i]) == ZCMEM_OK);
    SHM_REQUIRE(zcmem_mem_free(hal, blocks[i]) == ZCMEM_ENOENT);
  }
  zcmem__magazines_count(region, &kept, &quanta);
  SHM_REQUIRE(zcmem_hal_region_stats(hal, 0, &stats) == ZCMEM_OK && stats.live == 0 && stats.largest == SIZE);
  SHM_REQUIRE(zcmem_mem_alloc(hal, 0, SIZE, 1, &more) == ZCMEM_OK && zcmem_mem_free(hal, more) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_hal_check(hal) == ZCMEM_OK);
  return kept;
}

static void *use_in_thread(void *hal) {
  (void)use_hal(hal);
  return NULL;
}

/* What a thread gave back when it ended is there for this one. */
static void use_in_two_threads(struct zcmem_hal *hal) {
  pthread_t thread;
  SHM_REQUIRE(pthread_create(&thread, NULL, use_in_thread, hal) == 0);
  SHM_REQUIRE(pthread_join(thread, NULL) == 0);
  (void)use_hal(hal);
}

static void nothing_fails(void *ctx) {
  const unsigned keys = os.calls[KEY_CREATE], handlers = os.calls[ATFORK], once = os.calls[ONCE]; /* of sanitizers */
  struct zcmem_hal *hal = open_hal();
  (void)ctx;
  SHM_REQUIRE(use_hal(hal) > 0);
  use_in_two_threads(hal);
  SHM_REQUIRE(os.calls[KEY_CREATE] == keys + 1 && os.calls[ATFORK] == handlers + 1 && os.calls[ONCE] > once);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
}

/* Without the key, or the handlers, there are no magazines, and all else is as it is. */
static void no_magazines(void *ctx) {
  enum source source = *(enum source *)ctx;
  struct zcmem_hal *hal;
  os.in[source] = 1;
  os.lasting = true;
  hal = open_hal();
  SHM_REQUIRE(os.calls[source] > 0);
  SHM_REQUIRE(use_hal(hal) == 0);
  use_in_two_threads(hal);
  SHM_REQUIRE(use_hal(hal) == 0);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
}

/* Then who enters passes a barrier himself, and the magazines are what they are. */
static void no_barrier(void *ctx) {
  struct zcmem_hal *hal;
  os.in[MEMBARRIER] = *(unsigned *)ctx; /* asking for it, or the first one */
  hal = open_hal();
  SHM_REQUIRE(os.in[MEMBARRIER] == 0 && !zcmem__barrier_kernel);
  SHM_REQUIRE(use_hal(hal) > 0);
  use_in_two_threads(hal);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
}

/* A kernel that a child of fork has to ask anew. */
static void barrier_asked_anew(void *ctx) {
  struct zcmem_hal *hal = open_hal();
  (void)ctx;
  if (!zcmem__barrier_kernel) { /* qemu-user, or a kernel before 4.14 */
    child_exit(0);
  }
  SHM_REQUIRE(use_hal(hal) > 0);
  const unsigned calls = os.calls[MEMBARRIER];
  os.in[MEMBARRIER] = 1;
  zcmem__barrier_all();
  SHM_REQUIRE(os.in[MEMBARRIER] == 0 && os.calls[MEMBARRIER] == calls + 3);
  zcmem__barrier_all();
  SHM_REQUIRE(os.calls[MEMBARRIER] == calls + 4);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
}

/* --------------------------------------------------------------------------------------------------------- fork -- */

/*
 * What the child must answer, where lock `which` of fork's failed: 1 is the list of HALs, which cannot fail; 2 that of
 * adding regions, 3 that of the mappings, 4 and 5 those of the regions.
 */
static void after_fork(struct zcmem_hal *hal, unsigned which, hal_addr_t mine[2]) {
  const struct zcmem_region_config more = {
      .name = "c", .kind = ZCMEM_KIND_DRAM, .base = 16 * SIZE, .size = SIZE, .max_blocks = 8};
  hal_addr_t addr = 0;
  for (uint32_t i = 0; i < 2; i++) {
    const bool lost = which == 4 + i;
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    struct zcmem_block_info info;
    SHM_REQUIRE(zcmem_mem_info(hal, mine[i], &info) == ZCMEM_OK && info.addr == mine[i]); /* asks for no lock */
    SHM_REQUIRE(zcmem_mem_alloc(hal, i, 100, 1, &addr) == (lost ? ZCMEM_ELOCK : ZCMEM_OK));
    SHM_REQUIRE(zcmem_mem_free(hal, mine[i]) == (lost ? ZCMEM_ELOCK : ZCMEM_OK));
    SHM_REQUIRE(zcmem_mem_pin(hal, mine[i]) == (lost ? ZCMEM_ELOCK : ZCMEM_ENOENT));
    SHM_REQUIRE(zcmem_hal_region_stats(hal, i, &stats) == (lost ? ZCMEM_ELOCK : ZCMEM_OK));
  }
  SHM_REQUIRE(zcmem_hal_add_region(hal, &more, NULL) == (which == 2 ? ZCMEM_ELOCK : ZCMEM_ENOMEM)); /* there are two */
  SHM_REQUIRE(zcmem__lock_take(&hal->map.lock) == (which == 3 ? ZCMEM_ELOCK : ZCMEM_OK));
  zcmem__lock_drop(&hal->map.lock);
  SHM_REQUIRE(zcmem_hal_check(hal) == (which >= 4 ? ZCMEM_ELOCK : ZCMEM_OK));
  (void)zcmem_hal_destroy(hal);
}

static void fork_with_lock_lost(void *ctx) {
  const unsigned which = *(unsigned *)ctx;
  struct zcmem_hal *hal = open_hal();
  hal_addr_t mine[2];
  int status = -1;
  SHM_REQUIRE(use_hal(hal) > 0);
  for (uint32_t i = 0; i < 2; i++) {
    SHM_REQUIRE(zcmem_mem_alloc(hal, i, 100, 1, &mine[i]) == ZCMEM_OK);
  }
  os.in[LOCK] = which;
  pid_t child = fork();
  SHM_REQUIRE(os.in[LOCK] == 0); /* it struck */
  if (child == 0) {
    after_fork(hal, which, mine);
    child_exit(0);
  }
  SHM_REQUIRE(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
  for (uint32_t i = 0; i < 2; i++) { /* for the parent nothing has happened */
    SHM_REQUIRE(zcmem_mem_free(hal, mine[i]) == ZCMEM_OK);
    SHM_REQUIRE(zcmem__atomic_acquire(&zcmem__hal_region(hal, i)->revoked) == 0);
  }
  SHM_REQUIRE(use_hal(hal) > 0);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
}

static void hear_nothing(void *ctx, const struct zcmem_event *event) {
  *(uint64_t *)ctx += event->size;
}

/* As long as a recorder is set magazines are revoked once more, in the child, too. */
static void fork_while_recorded(void *ctx) {
  static uint64_t heard;
  static const struct zcmem_recorder recorder = {.event = hear_nothing, .ctx = &heard};
  struct zcmem_hal *hal = open_hal();
  int status = -1;
  (void)ctx;
  SHM_REQUIRE(use_hal(hal) > 0 && zcmem_hal_set_recorder(hal, &recorder) == ZCMEM_OK);
  pid_t child = fork();
  SHM_REQUIRE(use_hal(hal) == 0 && heard > 0);
  SHM_REQUIRE(zcmem_hal_set_recorder(hal, NULL) == ZCMEM_OK);
  SHM_REQUIRE(zcmem__atomic_acquire(&zcmem__hal_region(hal, 0)->revoked) == 0 && use_hal(hal) > 0);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
  if (child == 0) {
    child_exit(0);
  }
  SHM_REQUIRE(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A thread that ends while its region's lock fails leaves its blocks to whoever needs the space. */
static void *end_without_lock(void *hal) {
  SHM_REQUIRE(use_hal(hal) > 0);
  hal_addr_t blocks[BLOCKS];
  for (unsigned i = 0; i < BLOCKS; i++) {
    SHM_REQUIRE(zcmem_mem_alloc(hal, 0, 100, 1, &blocks[i]) == ZCMEM_OK);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    SHM_REQUIRE(zcmem_mem_free(hal, blocks[i]) == ZCMEM_OK);
  }
  os.in[LOCK] = 2; /* the first is the list's */
  return NULL;
}

static void thread_ends_without_lock(void *ctx) {
  struct zcmem_hal *hal = open_hal();
  pthread_t thread;
  uint64_t kept = 0, quanta = 0;
  (void)ctx;
  SHM_REQUIRE(pthread_create(&thread, NULL, end_without_lock, hal) == 0);
  SHM_REQUIRE(pthread_join(thread, NULL) == 0);
  SHM_REQUIRE(os.in[LOCK] == 0);
  zcmem__magazines_count(zcmem__hal_region(hal, 0), &kept, &quanta);
  SHM_REQUIRE(kept > 0);
  (void)use_hal(hal);
  SHM_REQUIRE(zcmem_hal_destroy(hal) == 0);
}
#endif

/* ---------------------------------------------------------------------------------------- memory that is shared -- */

/* Nobody would know a child of fork: there is no area then, until the handler is there. */
static void areas_need_the_handler(void *ctx) {
  struct zcmem_shm *shm = NULL;
  const struct zcmem_region_config region = {
      .name = "near", .kind = ZCMEM_KIND_DRAM, .base = NEAR_BASE, .size = NEAR_BYTES, .max_blocks = 8};
  const struct zcmem_shm_config config = {.max_processes = 2, .regions = &region, .region_count = 1};
  (void)ctx;
  os.in[ATFORK] = 1;
  os.lasting = true;
  SHM_REQUIRE(zcmem_shm_create(&config, &shm) == ZCMEM_ENOMEM && shm == NULL);
  os.in[ATFORK] = 0;
  SHM_REQUIRE(zcmem_shm_create(&config, &shm) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
}

/* In the middle of a change, with a heap of which no repair makes anything. */
static void die_with_a_ruin(void *ctx) {
  struct zcmem_shm *shm = ctx;
  SHM_REQUIRE(zcmem__shm_slots_enter(shm) && zcmem__shm_lock_take(&shm->part[0]) == ZCMEM_OK);
  shm->part[0].shared.heap->magic = 0;
  shm->part[0].shared.heap->next_id = UINT32_MAX - 15u; /* more descriptors than there are */
  (void)raise(SIGKILL);
}

/* It is locked for good, for everybody, however often they ask; nobody waits. */
static void not_repairable(void *ctx) {
  struct zcmem_shm *shm = shm_make(NULL, 4), *other = shm_again(shm), *late = NULL;
  struct zcmem_shm_snapshot *snapshot = NULL;
  hal_addr_t mine = shm_alloc(shm, 100), addr = 0;
  (void)ctx;
  SHM_REQUIRE(WIFSIGNALED(shm_child(die_with_a_ruin, shm)));
  for (unsigned i = 0; i < 6; i++) {
    struct zcmem_hal *hal = zcmem_shm_hal(i % 2 == 0 ? shm : other);
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    struct zcmem_block_info info;
    SHM_REQUIRE(zcmem_mem_alloc(hal, 0, 100, 1, &addr) == ZCMEM_ELOCK);
    SHM_REQUIRE(zcmem_mem_free(hal, mine) == ZCMEM_ELOCK);
    SHM_REQUIRE(zcmem_mem_info(hal, mine, &info) == ZCMEM_ELOCK);
    SHM_REQUIRE(zcmem_hal_region_stats(hal, 0, &stats) == ZCMEM_ELOCK);
    SHM_REQUIRE(zcmem_mem_alloc(hal, 1, 100, 1, &addr) == ZCMEM_OK); /* another region has another lock */
    SHM_REQUIRE(zcmem_shm_own(i % 2 == 0 ? shm : other, mine) == ZCMEM_ELOCK);
  }
  SHM_REQUIRE(zcmem_shm_check(other) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_reap(other, NULL) == ZCMEM_ELOCK);
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(shm), 0, &late) == ZCMEM_ECORRUPT);
  SHM_REQUIRE(zcmem_shm_snapshot_take(zcmem_shm_fd(other), &snapshot) == ZCMEM_OK); /* by the config that is known */
  zcmem_shm_snapshot_close(snapshot);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_close(other) == ZCMEM_ELOCK);
}

static void die_with_the_areas_lock(void *ctx) {
  SHM_REQUIRE(zcmem__shm_slots_lock(ctx));
  (void)raise(SIGKILL);
}

/* The area's own mutex guards single stores: there is nothing to be made whole, and a failure is only the call's. */
static void area_not_recoverable(void *ctx) {
  struct zcmem_shm *shm = shm_make(NULL, 4), *other = NULL;
  (void)ctx;
  os.in[TRYLOCK] = os.in[TIMEDLOCK] = 1;
  os.how = ENOTRECOVERABLE;
  SHM_REQUIRE(zcmem_shm_reap(shm, NULL) == ZCMEM_ELOCK); /* who has a slot */
  SHM_REQUIRE(os.in[TRYLOCK] == 0 && os.in[TIMEDLOCK] == 1);
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(shm), 0, &other) == ZCMEM_ELOCK && other == NULL); /* who comes */
  SHM_REQUIRE(os.in[TIMEDLOCK] == 0);
  SHM_REQUIRE(WIFSIGNALED(shm_child(die_with_the_areas_lock, shm)));
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(shm), 0, &other) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(other) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
}

/* Who has no slot waits no longer than some seconds: a clock that cannot be read is no reason to wait for ever. */
static void no_clock(void *ctx) {
  struct zcmem_shm *shm = shm_make(NULL, 4), *other = NULL;
  (void)ctx;
  os.in[CLOCK] = 1;
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(shm), 0, &other) == ZCMEM_ELOCK && other == NULL);
  SHM_REQUIRE(os.in[CLOCK] == 0);
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(shm), 0, &other) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(other) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
}

/* A process that /proc tells nothing of is alive as long as there is one of its number. */
static void no_proc(void *ctx) {
  const enum source source = *(enum source *)ctx;
  struct zcmem_shm *shm, *other = NULL;
  struct zcmem_shm_process owner;
  struct zcmem_shm_reaped reaped = {0};
  os.in[source] = 1;
  os.lasting = true;
  shm = shm_make(NULL, 4);
  SHM_REQUIRE(shm_open_fd(zcmem_shm_fd(shm), 0, &other) == ZCMEM_OK);
  hal_addr_t addr = shm_alloc(shm, 100);
  SHM_REQUIRE(zcmem_shm_get_owner(other, addr, &owner) == ZCMEM_OK);
  SHM_REQUIRE(owner.state == ZCMEM_SHM_ALIVE && owner.pid == (uint32_t)getpid() && owner.start == 0);
  SHM_REQUIRE(zcmem_shm_reap(other, &reaped) == ZCMEM_OK && reaped.processes == 0 && reaped.blocks == 0);
  SHM_REQUIRE(os.calls[source] > 2);
  SHM_REQUIRE(zcmem_shm_close(other) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
}

/* -------------------------------------------------------------------------------------------------- the tests -- */

/* What a trial is given that needs a mutex that survives its owner, and one that needs a mutex of several processes. */
#define OF_THE_DEAD 1000u
#define OF_AREAS 1001u

struct trial {
  const char *name;
  void (*run)(void *ctx);
  unsigned number; /* what it is given */
};

static const struct trial trials[] = {
#ifdef ZCMEM__MAGAZINES
    {"magazines: nothing fails", nothing_fails, 0},
    {"magazines: pthread_key_create", no_magazines, KEY_CREATE},
    {"magazines: pthread_atfork", no_magazines, ATFORK},
    {"magazines: pthread_once", no_magazines, ONCE},
    {"magazines: membarrier is not there", no_barrier, 1},
    {"magazines: membarrier does nothing", no_barrier, 2},
    {"magazines: membarrier is to be asked for anew", barrier_asked_anew, 0},
    {"magazines: the lock, when a thread ends", thread_ends_without_lock, 0},
    {"fork: the lock of adding", fork_with_lock_lost, 2},
    {"fork: the lock of the mappings", fork_with_lock_lost, 3},
    {"fork: the lock of a region", fork_with_lock_lost, 4},
    {"fork: the lock of the last region", fork_with_lock_lost, 5},
    {"fork: nothing fails, while a recorder is set", fork_while_recorded, 0},
#endif
    {"shared: pthread_atfork", areas_need_the_handler, OF_AREAS},
    {"shared: a heap that cannot be repaired", not_repairable, OF_THE_DEAD},
    {"shared: the area's mutex is ENOTRECOVERABLE", area_not_recoverable, OF_THE_DEAD},
    {"shared: clock_gettime", no_clock, OF_AREAS},
    {"shared: open of /proc", no_proc, OPEN},
    {"shared: read of /proc", no_proc, READ},
};
enum { TRIALS = sizeof trials / sizeof trials[0] };

static void test_trial(void **state) {
  const struct trial *trial = *state;
  const bool of_areas = trial->number == OF_AREAS || trial->run == no_proc;
  if ((trial->number == OF_THE_DEAD && !shm_knows_the_dead()) || (of_areas && !shm_has_mutexes())) {
    print_message("SKIP: no mutex survives its owner here, or there is none for areas\n");
    skip();
  }
  unsigned number = trial->number;
  const int status = shm_child(trial->run, &number);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void) {
  static struct CMUnitTest tests[TRIALS];
  for (unsigned i = 0; i < TRIALS; i++) {
    tests[i] = (struct CMUnitTest){
        .name = trials[i].name, .test_func = test_trial, .initial_state = (void *)(uintptr_t)&trials[i]};
  }
  return _cmocka_run_group_tests("system faults", tests, TRIALS, NULL, NULL);
}
