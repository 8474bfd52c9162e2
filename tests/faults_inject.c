/* SPDX-License-Identifier: MIT */
/*
 * Where faults come from: the fake device's callbacks, locks and allocator; the C library's calls, which the linker
 * leads here (--wrap); and tables that have few entries left.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "faults.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

static const struct {
  const char *name;
  enum zcmem_status status;
} sources[FAULTS_SOURCES] = {[FAULTS_CALLBACK] = {"callbacks", ZCMEM_EIO},
                             [FAULTS_LOCK] = {"locks", ZCMEM_ELOCK},
                             [FAULTS_LOCK_INIT] = {"locks that are made", ZCMEM_ELOCK},
                             [FAULTS_ALLOC] = {"the HAL's allocator", ZCMEM_ENOMEM},
                             [FAULTS_CALLOC] = {"calloc", ZCMEM_ENOMEM},
                             [FAULTS_MMAP] = {"mmap", ZCMEM_ENOMEM},
                             [FAULTS_MUTEX] = {"pthread mutexes", ZCMEM_ELOCK},
                             [FAULTS_MAKE] = {"pthread mutexes that are made", ZCMEM_ELOCK},
                             [FAULTS_THREAD] = {"pthread_setspecific", ZCMEM_OK},
                             [FAULTS_FILE] = {"files", ZCMEM_ENOMEM},
                             [FAULTS_READ] = {"pread", ZCMEM_EIO},
                             [FAULTS_BLOCKS] = {"descriptors", ZCMEM_ENOMEM},
                             [FAULTS_MAPPINGS] = {"mappings", ZCMEM_ENOMEM},
                             [FAULTS_BUFFERS] = {"buffers", ZCMEM_ENOMEM},
                             [FAULTS_VIEWS] = {"views", ZCMEM_ENOMEM}};

enum zcmem_status faults_status(enum faults_source source) {
  return sources[source].status;
}

const char *faults_name(enum faults_source source) {
  return sources[source].name;
}

/* -------------------------------------------------------------------------------------------- the C library -- */

enum { MOST_KEPT = 64 };

static struct {
  unsigned in[FAULTS_SOURCES]; /* as in fake.c */
  bool lasting;
  unsigned struck;
  bool watched;                /* while a world is open */
  void *kept[MOST_KEPT];       /* blocks of calloc and mmap that are the library's */
  const void *made[MOST_KEPT]; /* mutexes; one that is static cannot fail */
} libc;

static bool strikes(enum faults_source source) {
  unsigned *in = &libc.in[source];
  if (*in == 0 || (*in > 1 && --*in > 0)) {
    return false;
  }
  libc.struck++;
  *in = libc.lasting ? 1 : 0;
  return true;
}

void faults_watch(bool watched) {
  libc.watched = watched;
  memset(libc.kept, 0, sizeof libc.kept);
}

static void keep(void *memory) {
  for (unsigned i = 0; i < MOST_KEPT && libc.watched; i++) {
    if (libc.kept[i] == NULL) {
      libc.kept[i] = memory;
      return;
    }
  }
  assert_false(libc.watched); /* or there are more than MOST_KEPT */
}

static void let_go(const void *memory) {
  for (unsigned i = 0; i < MOST_KEPT; i++) {
    if (libc.kept[i] == memory) {
      libc.kept[i] = NULL;
    }
  }
}

unsigned faults_host_memory(void) {
  unsigned count = 0;
  for (unsigned i = 0; i < MOST_KEPT; i++) {
    count += libc.kept[i] != NULL;
  }
  return count;
}

/* What off_t is passed to, where it is longer than a word. */
#if defined(__GLIBC__) && defined(_FILE_OFFSET_BITS) && _FILE_OFFSET_BITS == 64 && LONG_MAX == INT_MAX
#define __real_mmap __real_mmap64
#define __real_ftruncate __real_ftruncate64
#define __real_posix_fallocate __real_posix_fallocate64
#define __real_fstat __real_fstat64
#define __real_fcntl __real_fcntl64
#define __real_pread __real_pread64
#endif

void *__real_calloc(size_t count, size_t bytes);
void __real_free(void *memory);
void *__real_mmap(void *addr, size_t bytes, int protection, int flags, int file, off_t offset);
int __real_munmap(void *addr, size_t bytes);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *how);
int __real_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __real_pthread_mutexattr_init(pthread_mutexattr_t *how);
int __real_pthread_mutexattr_settype(pthread_mutexattr_t *how, int type);
int __real_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
void *__wrap_calloc(size_t count, size_t bytes);
void __wrap_free(void *memory);
void *__wrap_mmap(void *addr, size_t bytes, int protection, int flags, int file, off_t offset);
void *__wrap_mmap64(void *addr, size_t bytes, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *addr, size_t bytes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *how);
int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex);
int __wrap_pthread_mutexattr_init(pthread_mutexattr_t *how);
int __wrap_pthread_mutexattr_settype(pthread_mutexattr_t *how, int type);
int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex);
int __real_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex);
int __real_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __real_pthread_mutexattr_setpshared(pthread_mutexattr_t *how, int shared);
int __wrap_pthread_mutexattr_setpshared(pthread_mutexattr_t *how, int shared);
int __real_pthread_mutexattr_setrobust(pthread_mutexattr_t *how, int robust);
int __wrap_pthread_mutexattr_setrobust(pthread_mutexattr_t *how, int robust);
int __real_memfd_create(const char *name, unsigned flags);
int __wrap_memfd_create(const char *name, unsigned flags);
int __real_shm_open(const char *name, int flags, mode_t mode);
int __wrap_shm_open(const char *name, int flags, mode_t mode);
int __real_fchmod(int file, mode_t mode);
int __wrap_fchmod(int file, mode_t mode);
int __real_ftruncate(int file, off_t bytes);
int __wrap_ftruncate(int file, off_t bytes);
int __wrap_ftruncate64(int file, off_t bytes);
int __real_posix_fallocate(int file, off_t at, off_t bytes);
int __wrap_posix_fallocate(int file, off_t at, off_t bytes);
int __wrap_posix_fallocate64(int file, off_t at, off_t bytes);
int __real_fstat(int file, struct stat *is);
int __wrap_fstat(int file, struct stat *is);
int __wrap_fstat64(int file, struct stat *is);
int __real_fcntl(int file, int command, intptr_t argument);
int __wrap_fcntl(int file, int command, intptr_t argument);
int __wrap_fcntl64(int file, int command, intptr_t argument);
ssize_t __real_pread(int file, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread(int file, void *to, size_t bytes, off_t at);
ssize_t __wrap_pread64(int file, void *to, size_t bytes, off_t at);

/* The tests use malloc, so these are the library's. */
void *__wrap_calloc(size_t count, size_t bytes) {
  if (strikes(FAULTS_CALLOC)) {
    return NULL;
  }
  void *memory = __real_calloc(count, bytes);
  assert_non_null(memory);
  keep(memory);
  return memory;
}

void __wrap_free(void *memory) {
  if (memory != NULL) {
    let_go(memory);
  }
  __real_free(memory);
}

static void *map_memory(void *memory) {
  assert_true(memory != MAP_FAILED);
  keep(memory);
  return memory;
}

void *__wrap_mmap(void *addr, size_t bytes, int protection, int flags, int file, off_t offset) {
  if (strikes(FAULTS_MMAP)) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  return map_memory(__real_mmap(addr, bytes, protection, flags, file, offset));
}

/* Its name where files may be large. */
void *__wrap_mmap64(void *addr, size_t bytes, int protection, int flags, int file, off_t offset) {
  return __wrap_mmap(addr, bytes, protection, flags, file, offset);
}

/* The mutexes in memory that other processes share end with the memory, for this one. */
int __wrap_munmap(void *addr, size_t bytes) {
  for (unsigned i = 0; i < MOST_KEPT; i++) {
    if ((uintptr_t)libc.made[i] - (uintptr_t)addr < bytes) {
      libc.made[i] = NULL;
    }
  }
  let_go(addr);
  return __real_munmap(addr, bytes);
}

static const void **made_place(const void *mutex) {
  unsigned i = 0;
  while (libc.made[i] != mutex) {
    assert_true(++i < MOST_KEPT);
  }
  return &libc.made[i];
}

static bool was_made(const void *mutex) {
  unsigned i = 0;
  while (i < MOST_KEPT && libc.made[i] != mutex) {
    i++;
  }
  return i < MOST_KEPT;
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *how) {
  if (strikes(FAULTS_MAKE)) {
    return -1;
  }
  *made_place(NULL) = mutex;
  return __real_pthread_mutex_init(mutex, how);
}

int __wrap_pthread_mutex_destroy(pthread_mutex_t *mutex) {
  *made_place(mutex) = NULL;
  return __real_pthread_mutex_destroy(mutex);
}

int __wrap_pthread_mutexattr_init(pthread_mutexattr_t *how) {
  return strikes(FAULTS_MAKE) ? -1 : __real_pthread_mutexattr_init(how);
}

int __wrap_pthread_mutexattr_settype(pthread_mutexattr_t *how, int type) {
  return strikes(FAULTS_MAKE) ? -1 : __real_pthread_mutexattr_settype(how, type);
}

int __wrap_pthread_mutex_lock(pthread_mutex_t *mutex) {
  return was_made(mutex) && strikes(FAULTS_MUTEX) ? -1 : __real_pthread_mutex_lock(mutex);
}

int __wrap_pthread_mutex_trylock(pthread_mutex_t *mutex) {
  return was_made(mutex) && strikes(FAULTS_MUTEX) ? -1 : __real_pthread_mutex_trylock(mutex);
}

int __wrap_pthread_mutex_timedlock(pthread_mutex_t *mutex, const struct timespec *until) {
  return strikes(FAULTS_MUTEX) ? -1 : __real_pthread_mutex_timedlock(mutex, until);
}

int __wrap_pthread_mutexattr_setpshared(pthread_mutexattr_t *how, int shared) {
  return strikes(FAULTS_MAKE) ? -1 : __real_pthread_mutexattr_setpshared(how, shared);
}

int __wrap_pthread_mutexattr_setrobust(pthread_mutexattr_t *how, int robust) {
  return strikes(FAULTS_MAKE) ? -1 : __real_pthread_mutexattr_setrobust(how, robust);
}

static bool file_fails(int error) {
  bool fails = strikes(FAULTS_FILE);
  errno = fails ? error : errno;
  return fails;
}

int __wrap_memfd_create(const char *name, unsigned flags) {
  return file_fails(EMFILE) ? -1 : __real_memfd_create(name, flags);
}

int __wrap_shm_open(const char *name, int flags, mode_t mode) {
  return file_fails(ENFILE) ? -1 : __real_shm_open(name, flags, mode);
}

int __wrap_fchmod(int file, mode_t mode) {
  return file_fails(ENOMEM) ? -1 : __real_fchmod(file, mode);
}

int __wrap_ftruncate(int file, off_t bytes) {
  return file_fails(ENOSPC) ? -1 : __real_ftruncate(file, bytes);
}

int __wrap_ftruncate64(int file, off_t bytes) {
  return __wrap_ftruncate(file, bytes);
}

int __wrap_posix_fallocate(int file, off_t at, off_t bytes) {
  return file_fails(0) ? ENOSPC : __real_posix_fallocate(file, at, bytes);
}

int __wrap_posix_fallocate64(int file, off_t at, off_t bytes) {
  return __wrap_posix_fallocate(file, at, bytes);
}

int __wrap_fstat(int file, struct stat *is) {
  return file_fails(ENOMEM) ? -1 : __real_fstat(file, is);
}

int __wrap_fstat64(int file, struct stat *is) {
  return __wrap_fstat(file, is);
}

/* Of its commands the one that makes a file descriptor. */
int __wrap_fcntl(int file, int command, intptr_t argument) {
  return command == F_DUPFD_CLOEXEC && file_fails(EMFILE) ? -1 : __real_fcntl(file, command, argument);
}

int __wrap_fcntl64(int file, int command, intptr_t argument) {
  return __wrap_fcntl(file, command, argument);
}

ssize_t __wrap_pread(int file, void *to, size_t bytes, off_t at) {
  if (strikes(FAULTS_READ)) {
    errno = EIO;
    return -1;
  }
  return __real_pread(file, to, bytes, at);
}

ssize_t __wrap_pread64(int file, void *to, size_t bytes, off_t at) {
  return __wrap_pread(file, to, bytes, at);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value) {
  return strikes(FAULTS_THREAD) ? -1 : __real_pthread_setspecific(key, value);
}

/* ------------------------------------------------------------------------------------------------- few left -- */

/* What takes all but a few entries of a table. */
static struct {
  hal_addr_t blocks[3][FAULTS_MAX_BLOCKS]; /* in the regions, and in the bare heap */
  unsigned block_count[3];
  struct zcmem__mapping *mappings[FAULTS_MAX_MAPPINGS];
  unsigned mapping_count;
  zcmem_buffer_t buffers[FAULTS_MAX_BUFFERS];
  unsigned buffer_count;
  struct zcmem_view views[FAULTS_MAX_VIEWS];
  unsigned view_count;
} filler;

/* From the end of the heap, so that there is room behind the targets as before. */
static unsigned reserve_until(struct zcmem_heap *heap, unsigned leave, hal_addr_t *blocks) {
  struct zcmem_heap_info info;
  unsigned count = 0;
  while (zcmem_heap_get_info(heap, &info) == ZCMEM_OK && info.live + leave < info.max_blocks) {
    blocks[count] = info.base + info.size - (count + 1) * info.quantum;
    assert_ok(zcmem_heap_reserve(heap, blocks[count], 1));
    count++;
  }
  return count;
}

static void fill_blocks(unsigned leave) {
  for (unsigned i = 0; i < 2; i++) {
    filler.block_count[i] = reserve_until(faults.hal->regions[i].heap, leave, filler.blocks[i]);
  }
  filler.block_count[2] = reserve_until(faults.heap, leave, filler.blocks[2]);
}

static void fill_mappings(unsigned leave) {
  const struct zcmem__mapping none = {.region = &faults.hal->regions[0], .size = 1};
  unsigned used = 0;
  for (unsigned i = 0; i < FAULTS_MAX_MAPPINGS; i++) {
    used += zcmem__mapping_state_of(&faults.hal->map.entries[i]) != ZCMEM__MAPPING_FREE;
  }
  for (; used + leave < FAULTS_MAX_MAPPINGS; used++) {
    assert_ok(zcmem__map_prepare_alias(&faults.hal->map, &none, &filler.mappings[filler.mapping_count++]));
  }
}

static uint64_t count_of(bool views) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_buffers_get_stats(faults.buffers, &stats));
  return views ? stats.views : stats.buffers;
}

static void fill_buffers(unsigned leave) {
  const struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ, .region = 1, .size = 1};
  while (count_of(false) + leave < FAULTS_MAX_BUFFERS) {
    assert_ok(zcmem_buffer_create(faults.buffers, &config, &filler.buffers[filler.buffer_count++]));
  }
}

static void fill_views(unsigned leave) {
  const struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ, .region = 1, .size = 1};
  assert_ok(zcmem_buffer_create(faults.buffers, &config, &filler.buffers[filler.buffer_count++]));
  while (count_of(true) + leave < FAULTS_MAX_VIEWS) {
    assert_ok(zcmem_buffer_begin(faults.buffers, filler.buffers[0], 0, 1, 0, NULL, &filler.views[filler.view_count++]));
  }
}

static void empty(void) {
  for (unsigned i = 0; i < 3; i++) {
    struct zcmem_heap *heap = i == 2 ? faults.heap : faults.hal->regions[i].heap;
    while (filler.block_count[i] > 0) {
      assert_ok(zcmem_heap_free(heap, filler.blocks[i][--filler.block_count[i]]));
    }
  }
  while (filler.mapping_count > 0) {
    zcmem__map_abandon(filler.mappings[--filler.mapping_count]);
  }
  while (filler.view_count > 0) {
    assert_ok(zcmem_buffer_end(faults.buffers, filler.views[--filler.view_count].id));
  }
  while (filler.buffer_count > 0) {
    assert_ok(zcmem_buffer_release(faults.buffers, filler.buffers[--filler.buffer_count]));
  }
}

void faults_arm(enum faults_source source, unsigned n, bool lasting) {
  static void (*const fill[FAULTS_SOURCES])(unsigned) = {[FAULTS_BLOCKS] = fill_blocks,
                                                         [FAULTS_MAPPINGS] = fill_mappings,
                                                         [FAULTS_BUFFERS] = fill_buffers,
                                                         [FAULTS_VIEWS] = fill_views};
  if (fill[source] != NULL) {
    fill[source](n - 1);
    return;
  }
  fake.struck = libc.struck = 0;
  fake.lasting = libc.lasting = lasting;
  switch (source) {
  case FAULTS_CALLBACK:
    fake.fail_callback_in = n;
    break;
  case FAULTS_LOCK:
    fake.fail_lock_in = n;
    break;
  case FAULTS_LOCK_INIT:
    fake.fail_lock_init_in = n;
    break;
  case FAULTS_ALLOC:
    fake.fail_alloc_in = n;
    break;
  default:
    libc.in[source] = n;
  }
}

unsigned faults_disarm(void) {
  unsigned struck = fake.struck + libc.struck;
  fake.fail_callback_in = fake.fail_lock_in = fake.fail_lock_init_in = fake.fail_alloc_in = 0;
  fake.lasting = libc.lasting = false;
  fake.struck = libc.struck = 0;
  memset(libc.in, 0, sizeof libc.in);
  empty();
  return struck;
}
