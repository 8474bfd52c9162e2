/* SPDX-License-Identifier: MIT */
/*
 * LD_PRELOAD recorder: what an ordinary program asks of malloc, as a file of events (zcmem/debug.h).
 *
 *      ZCMEM_RECORD=FILE.zev LD_PRELOAD=libzcmem-record.so PROGRAM ...
 *
 * Without ZCMEM_RECORD nothing is recorded. "%p" in FILE becomes the process's number; a file that is there already is
 * not written to, so that of a program that starts others each needs a "%p" or only the first is recorded. A child of
 * fork records nothing. The tag of a block is the place that asked for it, counted from the program's first byte on.
 *
 * A free is recorded before it is done and an allocation after it, so that their order in the file is one that memory
 * could have. A realloc is a free and an allocation. Nothing here allocates but through the functions that are wrapped.
 */
#define _GNU_SOURCE
#include <zcmem/debug.h>

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES 65536u
#define EARLY_BYTES 32768u /* for what dlsym itself asks for, before the functions are known */

static struct {
  void *(*malloc)(size_t size);
  void *(*calloc)(size_t count, size_t size);
  void *(*realloc)(void *ptr, size_t size);
  void (*free)(void *ptr);
  int (*posix_memalign)(void **ptr, size_t align, size_t size);
  void *(*aligned_alloc)(size_t align, size_t size);
  void *(*memalign)(size_t align, size_t size);
  void *(*valloc)(size_t size);
  void *(*pvalloc)(size_t size);
} real;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int file = -1;
static uint32_t sequence;
static uintptr_t program;
static size_t used;
static uint8_t buffer[BUFFER_BYTES];

static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;
static __thread uint64_t thread_number __attribute__((tls_model("initial-exec")));

/* ------------------------------------------------------------------------------------------------------ writing -- */

/* With the lock held. A file that cannot be written any more is given up. */
static void write_buffer(void) {
  for (size_t at = 0; at < used && file >= 0;) {
    ssize_t n = write(file, buffer + at, used - at);
    if (n < 0 && errno != EINTR) {
      dprintf(2, "zcmem-record: the file could not be written: %s\n", strerror(errno));
      close(file);
      file = -1;
    }
    at += n > 0 ? (size_t)n : 0;
  }
  used = 0;
}

static uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * UINT64_C(1000000000) + (uint64_t)t.tv_nsec;
}

static void record(uint32_t kind, const void *ptr, size_t size, size_t align, const void *caller) {
  int saved = errno;
  if (file < 0) { /* set before there are threads, and then only to stop */
    return;
  }
  if (thread_number == 0) {
    thread_number = (uint64_t)syscall(SYS_gettid);
  }
  struct zcmem_event event = {.kind = kind,
                              .thread = thread_number,
                              .tag = caller == NULL ? 0 : (uint32_t)((uintptr_t)caller - program),
                              .addr = (uintptr_t)ptr,
                              .size = size,
                              .align = align};
  pthread_mutex_lock(&lock);
  event.sequence = sequence++;
  event.time = now_ns();
  used += zcmem_event_encode(&event, buffer + used);
  if (used > BUFFER_BYTES - ZCMEM_EVENT_BYTES) {
    write_buffer();
  }
  pthread_mutex_unlock(&lock);
  errno = saved;
}

static void *allocated(void *ptr, size_t size, size_t align, const void *caller) {
  if (ptr != NULL) {
    record(ZCMEM_EVENT_ALLOC, ptr, size, align, caller);
  }
  return ptr;
}

/* -------------------------------------------------------------------------------------------- beginning and end -- */

static void find_functions(void) {
#define FIND(name) *(void **)&real.name = dlsym(RTLD_NEXT, #name)
  FIND(malloc);
  FIND(calloc);
  FIND(realloc);
  FIND(free);
  FIND(posix_memalign);
  FIND(aligned_alloc);
  FIND(memalign);
  FIND(valloc);
  FIND(pvalloc);
#undef FIND
}

static int note_program(struct dl_phdr_info *info, size_t size, void *ctx) {
  (void)size;
  (void)ctx;
  program = info->dlpi_addr;
  return 1; /* the first one is the program */
}

static void before_fork(void) {
  pthread_mutex_lock(&lock);
}

static void after_fork(void) {
  pthread_mutex_unlock(&lock);
}

static void in_child(void) {
  file = -1; /* the parent's; closing it here would not hurt, nor help */
  used = 0;
  pthread_mutex_unlock(&lock);
}

/* The name with each %p as the process's number. False: it is too long. */
static bool expand(const char *name, char *path, size_t size) {
  size_t at = 0;
  for (; *name != '\0' && at < size; name++) {
    if (name[0] == '%' && name[1] == 'p') {
      at += (size_t)snprintf(path + at, size - at, "%ld", (long)getpid());
      name++;
    } else {
      path[at++] = *name;
    }
  }
  if (at >= size) {
    return false;
  }
  path[at] = '\0';
  return true;
}

__attribute__((constructor)) static void begin_record(void) {
  char path[4096];
  const char *name = getenv("ZCMEM_RECORD");
  find_functions();
  if (name == NULL || *name == '\0') {
    return;
  }
  if (!expand(name, path, sizeof path)) {
    dprintf(2, "zcmem-record: ZCMEM_RECORD is too long\n");
    return;
  }
  dl_iterate_phdr(note_program, NULL);
  pthread_atfork(before_fork, after_fork, in_child);
  bool first = getenv("ZCMEM_RECORD_BY") == NULL;
  setenv("ZCMEM_RECORD_BY", "a process", 1); /* programs that this one starts need not say that the file is there */
  int made = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (made < 0 && errno == EEXIST && !first) {
    return;
  }
  if (made < 0) {
    dprintf(2, "zcmem-record: %s: %s: nothing is recorded\n", path, strerror(errno));
    return;
  }
  memcpy(buffer, ZCMEM_EVENT_MAGIC, sizeof ZCMEM_EVENT_MAGIC - 1);
  used = sizeof ZCMEM_EVENT_MAGIC - 1;
  file = made;
}

__attribute__((destructor)) static void end_record(void) {
  pthread_mutex_lock(&lock);
  write_buffer();
  if (file >= 0) {
    close(file);
    file = -1;
  }
  pthread_mutex_unlock(&lock);
}

/* -------------------------------------------------------------------------------------------- what is wrapped -- */

/* Memory for those who ask before the functions are known: one thread, a few times. It is never given back. */
static void *early_alloc(size_t size) {
  size_t rounded = (size + 15u) & ~(size_t)15u;
  if (rounded < size || rounded > EARLY_BYTES - early_used) {
    return NULL;
  }
  void *ptr = early + early_used;
  early_used += rounded;
  return ptr;
}

static bool is_early(const void *ptr) {
  return (uintptr_t)ptr - (uintptr_t)early < EARLY_BYTES;
}

void *malloc(size_t size) {
  return real.malloc == NULL ? early_alloc(size) : allocated(real.malloc(size), size, 0, __builtin_return_address(0));
}

void *calloc(size_t count, size_t size) {
  if (real.calloc == NULL) {
    return size != 0 && count > SIZE_MAX / size ? NULL : early_alloc(count * size);
  }
  return allocated(real.calloc(count, size), count * size, 0, __builtin_return_address(0));
}

void free(void *ptr) {
  if (ptr == NULL || is_early(ptr)) {
    return;
  }
  record(ZCMEM_EVENT_FREE, ptr, 0, 0, NULL);
  real.free(ptr);
}

void *realloc(void *ptr, size_t size) {
  const void *caller = __builtin_return_address(0);
  if (is_early(ptr)) {
    void *moved = malloc(size);
    size_t rest = EARLY_BYTES - (size_t)((char *)ptr - early);
    return moved == NULL ? NULL : memcpy(moved, ptr, size < rest ? size : rest);
  }
  size_t before = ptr == NULL ? 0 : malloc_usable_size(ptr);
  if (ptr != NULL) {
    record(ZCMEM_EVENT_FREE, ptr, 0, 0, NULL);
  }
  void *moved = real.realloc(ptr, size);
  if (moved == NULL && ptr != NULL && size != 0) { /* it is still there */
    return record(ZCMEM_EVENT_ALLOC, ptr, before, 0, caller), NULL;
  }
  return allocated(moved, size, 0, caller);
}

void *reallocarray(void *ptr, size_t count, size_t size) {
  if (size != 0 && count > SIZE_MAX / size) {
    errno = ENOMEM;
    return NULL;
  }
  return realloc(ptr, count * size);
}

int posix_memalign(void **ptr, size_t align, size_t size) {
  int failed = real.posix_memalign(ptr, align, size);
  if (failed == 0) {
    (void)allocated(*ptr, size, align, __builtin_return_address(0));
  }
  return failed;
}

void *aligned_alloc(size_t align, size_t size) {
  return allocated(real.aligned_alloc(align, size), size, align, __builtin_return_address(0));
}

void *memalign(size_t align, size_t size) {
  return allocated(real.memalign(align, size), size, align, __builtin_return_address(0));
}

void *valloc(size_t size) {
  return allocated(real.valloc(size), size, 0, __builtin_return_address(0));
}

void *pvalloc(size_t size) {
  return allocated(real.pvalloc(size), size, 0, __builtin_return_address(0));
}
