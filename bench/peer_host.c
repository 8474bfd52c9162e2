/* SPDX-License-Identifier: MIT */
/*
 * Mallocs of the host, for scale: the C library's, and jemalloc and mimalloc where the system has them. They are loaded
 * beside the C library's malloc, which stays the process's own.
 */
#include "peers.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef void *malloc_function(size_t size);
typedef void free_function(void *memory);

struct host_malloc {
  malloc_function *alloc;
  free_function *free;
};

static struct host_malloc glibc = {malloc, free};
static struct host_malloc jemalloc;
static struct host_malloc mimalloc;

/* ------------------------------------------------------------------------------------------------ the calls ---- */

/*
 * Most mallocs touch at least a page of each block that is larger than one. So that a million of them do not end the
 * process, what may be touched has to fit in half of the memory that is there.
 */
static bool fits(uint32_t max_live) {
  FILE *file = fopen("/proc/meminfo", "r");
  unsigned long long available = 0;
  char line[128];
  bool known = false;
  while (file && !known && fgets(line, sizeof line, file)) {
    known = sscanf(line, "MemAvailable: %llu kB", &available) == 1;
  }
  if (file) {
    fclose(file);
  }
  return !known || (unsigned long long)max_live * 4 <= available / 2;
}

static void *create(struct host_malloc *self, uint32_t max_live) {
  return fits(max_live) ? self : NULL;
}

static void *glibc_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  (void)bytes;
  (void)base;
  return create(&glibc, max_live);
}

static void *jemalloc_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  (void)bytes;
  (void)base;
  return create(&jemalloc, max_live);
}

static void *mimalloc_create(uint64_t bytes, uint64_t base, uint32_t max_live) {
  (void)bytes;
  (void)base;
  return create(&mimalloc, max_live);
}

static void destroy(void *self) {
  (void)self;
}

/* `align` is left out: their fast path is the one without it. */
static bool alloc(void *memory, uint64_t size, uint64_t align, uint64_t *addr) {
  const struct host_malloc *self = memory;
  (void)align;
  void *block = self->alloc((size_t)size);
  *addr = (uint64_t)(uintptr_t)block;
  return block != NULL;
}

static void release(void *memory, uint64_t addr) {
  const struct host_malloc *self = memory;
  self->free((void *)(uintptr_t)addr);
}

#define FLAGS (BENCH_PEER_THREAD_SAFE | BENCH_PEER_HOST)
static const struct bench_peer peer_glibc = {"glibc", FLAGS, glibc_create, destroy, alloc, release};
static const struct bench_peer peer_jemalloc = {"jemalloc", FLAGS, jemalloc_create, destroy, alloc, release};
static const struct bench_peer peer_mimalloc = {"mimalloc", FLAGS, mimalloc_create, destroy, alloc, release};

/* ------------------------------------------------------------------------------------------------- loading ----- */

/* ISO C has no conversion from an object's to a function's pointer; POSIX has. */
static void find(void *object, const char *name, void *to) {
  void *symbol = dlsym(object, name);
  memcpy(to, &symbol, sizeof symbol);
}

static bool load(struct host_malloc *host, const char *library, const char *alloc_name, const char *free_name) {
  void *object = dlopen(library, RTLD_NOW | RTLD_LOCAL);
  if (!object) {
    return false;
  }
  find(object, alloc_name, &host->alloc);
  find(object, free_name, &host->free);
  return host->alloc && host->free;
}

#define JEMALLOC "libjemalloc.so.2"
#define MIMALLOC "libmimalloc.so.2"

/*
 * glibc keeps 512 bytes for thread-local variables of libraries that are loaded late and want them at a fixed place;
 * jemalloc wants some 2,600. The room is set by the environment and read once, when a program starts.
 */
void bench_host_prepare(char **argv) {
  static const char tunables[] = "GLIBC_TUNABLES";
  static const char name[] = "glibc.rtld.optional_static_tls";
  const char *old = getenv(tunables);
  char value[1024];
  if (old && strstr(old, name)) {
    return;
  }
  int n = snprintf(value, sizeof value, "%s%s%s=16384", old ? old : "", old ? ":" : "", name);
  if (n > 0 && (size_t)n < sizeof value && setenv(tunables, value, 1) == 0) {
    execv("/proc/self/exe", argv); /* if it fails, we go on without jemalloc */
  }
}

uint32_t bench_host_peers(const struct bench_peer **peers) {
  uint32_t count = 0;
  peers[count++] = &peer_glibc;
  if (load(&jemalloc, JEMALLOC, "malloc", "free")) {
    peers[count++] = &peer_jemalloc;
  }
  if (load(&mimalloc, MIMALLOC, "mi_malloc", "mi_free")) {
    peers[count++] = &peer_mimalloc;
  }
  return count;
}
