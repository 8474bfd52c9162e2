/* SPDX-License-Identifier: MIT */
#include "fake.h"
#include "unit.h"
#include <stdalign.h>
#include <string.h>

struct fake_state fake;

void fake_reset(void) {
  fake = (struct fake_state){0};
}

/* Whether the fault that counts down in *in strikes now. */
static bool strikes(unsigned *in) {
  if (*in == 0 || (*in > 1 && --*in > 0)) {
    return false;
  }
  fake.struck++;
  *in = fake.lasting ? 1 : 0;
  return true;
}

/* A lock's memory: what it is in is checked by each call. */
enum { LOCK_FREE = 0x10c4, LOCK_HELD = 0x10c5 };

static int fake_lock_init(void *lock) {
  unsigned *state = lock;
  assert_int_equal((uintptr_t)lock % 16, 0);
  if (strikes(&fake.fail_lock_init_in)) {
    return -1;
  }
  *state = LOCK_FREE;
  fake.locks_made++;
  return 0;
}

static void fake_lock_destroy(void *lock) {
  unsigned *state = lock;
  assert_int_equal(*state, LOCK_FREE);
  *state = 0;
  fake.locks_made--;
}

static int fake_lock_lock(void *lock) {
  unsigned *state = lock;
  assert_int_equal(*state, LOCK_FREE);
  assert_int_equal(fake.locks_held, 0);
  fake.lock_calls++;
  if (strikes(&fake.fail_lock_in)) {
    return -1;
  }
  *state = LOCK_HELD;
  fake.locks_held++;
  return 0;
}

static void fake_lock_unlock(void *lock) {
  unsigned *state = lock;
  assert_int_equal(*state, LOCK_HELD);
  *state = LOCK_FREE;
  fake.locks_held--;
}

const struct zcmem_lock_ops fake_lock = {.bytes = sizeof(unsigned),
                                         .init = fake_lock_init,
                                         .destroy = fake_lock_destroy,
                                         .lock = fake_lock_lock,
                                         .unlock = fake_lock_unlock};

/* What the allocator gives lies behind a line that says how long it is. */
enum { ALLOC_LINE = 64 };

/* What the memory of a region is aligned to. */
enum { MEMORY_ALIGN = 128 };

static void *fake_alloc(void *ctx, size_t bytes) {
  assert_ptr_equal(ctx, &fake);
  assert_int_equal(fake.locks_held, 0);
  if (strikes(&fake.fail_alloc_in)) {
    return NULL;
  }
  unsigned char *line = aligned_alloc(ALLOC_LINE, ALLOC_LINE + (bytes + ALLOC_LINE - 1) / ALLOC_LINE * ALLOC_LINE);
  assert_non_null(line);
  memcpy(line, &bytes, sizeof bytes);
  memset(line + ALLOC_LINE, 0, bytes);
  fake.allocations++;
  return line + ALLOC_LINE;
}

static void fake_free(void *ctx, void *memory, size_t bytes) {
  assert_ptr_equal(ctx, &fake);
  assert_int_equal(fake.locks_held, 0);
  unsigned char *line = (unsigned char *)memory - ALLOC_LINE;
  assert_memory_equal(line, &bytes, sizeof bytes);
  memset(memory, 0xdb, bytes);
  free(line);
  fake.allocations--;
}

const struct zcmem_host_allocator fake_allocator = {.alloc = fake_alloc, .free = fake_free, .ctx = &fake};

unsigned char *fake_at(const struct fake_region *region, hal_addr_t addr) {
  return region->memory + (size_t)(addr - region->base);
}

/* What each callback does first. */
static int enter(struct fake_region *region, enum fake_call call, hal_addr_t addr, hal_size_t size) {
  assert_int_equal(fake.locks_held, 0);
  assert_true(size > 0);
  assert_true(addr - region->base < region->bytes);
  assert_true(size <= region->bytes - (addr - region->base));
  region->calls[call]++;
  if (region->inside != NULL) {
    void (*inside)(void *) = region->inside;
    region->inside = NULL;
    inside(region->arg);
  }
  return strikes(&fake.fail_callback_in) ? -1 : 0;
}

static int on_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  struct fake_region *region = ctx;
  if (enter(region, FAKE_CALL_MAP, addr, size) != 0) {
    return -1;
  }
  if (region->forgetful) {
    return 0;
  }
  region->mapped++;
  region->last_flags = flags;
  *host = fake_at(region, addr);
  if (region->way == FAKE_MAP_DIRECT) {
    return 0;
  }
  /* A copy, behind a word that says what it is for. A write mapping without read shows no old bytes. */
  unsigned *copy = malloc(sizeof *copy + (size_t)size);
  assert_non_null(copy);
  *copy = flags;
  memset(copy + 1, 0x77, (size_t)size);
  if ((flags & ZCMEM_MAP_READ) != 0) {
    memcpy(copy + 1, fake_at(region, addr), (size_t)size);
  }
  *host = copy + 1;
  return 0;
}

static int on_unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  struct fake_region *region = ctx;
  int result = enter(region, FAKE_CALL_UNMAP, addr, size);
  assert_true(region->mapped > 0);
  region->mapped--;
  region->last_unmapped = size;
  if (region->way == FAKE_MAP_DIRECT) {
    assert_ptr_equal(host, fake_at(region, addr));
    return result;
  }
  unsigned *copy = (unsigned *)host - 1;
  if (result == 0 && (*copy & ZCMEM_MAP_WRITE) != 0) {
    memcpy(fake_at(region, addr), host, (size_t)size);
  }
  free(copy);
  return result;
}

static int on_flush(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  struct fake_region *region = ctx;
  if (enter(region, FAKE_CALL_FLUSH, addr, size) != 0) {
    return -1;
  }
  assert_ptr_equal(host, region->view + (size_t)(addr - region->base));
  memcpy(fake_at(region, addr), host, (size_t)size);
  return 0;
}

static int on_invalidate(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  struct fake_region *region = ctx;
  if (enter(region, FAKE_CALL_INVALIDATE, addr, size) != 0) {
    return -1;
  }
  assert_ptr_equal(host, region->view + (size_t)(addr - region->base));
  memcpy(host, fake_at(region, addr), (size_t)size);
  return 0;
}

static int on_read(void *ctx, void *dst, hal_addr_t src, hal_size_t size) {
  struct fake_region *region = ctx;
  if (enter(region, FAKE_CALL_READ, src, size) != 0) {
    return -1;
  }
  memcpy(dst, fake_at(region, src), (size_t)size);
  return 0;
}

static int on_write(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  struct fake_region *region = ctx;
  if (enter(region, FAKE_CALL_WRITE, dst, size) != 0) {
    return -1;
  }
  memcpy(fake_at(region, dst), src, (size_t)size);
  return 0;
}

static int on_copy(void *ctx, hal_addr_t dst, hal_addr_t src, hal_size_t size) {
  struct fake_region *region = ctx;
  assert_true(src - region->base < region->bytes && size <= region->bytes - (src - region->base));
  if (enter(region, FAKE_CALL_COPY, dst, size) != 0) {
    return -1;
  }
  memmove(fake_at(region, dst), fake_at(region, src), (size_t)size);
  return 0;
}

static int on_fill(void *ctx, hal_addr_t dst, const void *pattern, hal_size_t pattern_size, hal_size_t size) {
  struct fake_region *region = ctx;
  assert_true(pattern_size > 0);
  if (enter(region, FAKE_CALL_FILL, dst, size) != 0) {
    return -1;
  }
  for (hal_size_t i = 0; i < size; i++) {
    *fake_at(region, dst + i) = ((const unsigned char *)pattern)[i % pattern_size];
  }
  return 0;
}

static const struct zcmem_region_ops ops_of[FAKE_WAYS] = {
    [FAKE_CACHED] = {.flush = on_flush, .invalidate = on_invalidate},
    [FAKE_OPS] =
        {.map = on_map, .unmap = on_unmap, .read = on_read, .write = on_write, .copy = on_copy, .fill = on_fill},
    [FAKE_READ_WRITE] = {.read = on_read, .write = on_write},
    [FAKE_MAP] = {.map = on_map, .unmap = on_unmap},
    [FAKE_MAP_DIRECT] = {.map = on_map, .unmap = on_unmap},
};

struct zcmem_region_config fake_region_open(struct fake_region *region, enum fake_way way, const char *name,
                                            hal_addr_t base, size_t bytes) {
  /* Aligned as device memory is; the size is one of whole alignments, or the rest is lost. */
  size_t whole = (bytes + MEMORY_ALIGN - 1) / MEMORY_ALIGN * MEMORY_ALIGN;
  *region =
      (struct fake_region){.way = way, .base = base, .bytes = bytes, .memory = aligned_alloc(MEMORY_ALIGN, whole)};
  assert_non_null(region->memory);
  memset(region->memory, 0xee, bytes);
  struct zcmem_region_config config = {.name = name,
                                       .kind = ZCMEM_KIND_DRAM,
                                       .base = base,
                                       .size = bytes,
                                       .max_blocks = 64,
                                       .ops = way == FAKE_HOST ? NULL : &ops_of[way],
                                       .ctx = region};
  if (way == FAKE_CACHED) {
    region->view = malloc(bytes);
    assert_non_null(region->view);
    memset(region->view, 0xcc, bytes);
    config.host = region->view;
  } else if (way == FAKE_HOST) {
    config.host = region->memory;
    config.flags = ZCMEM_REGION_COHERENT;
  }
  return config;
}

void fake_region_close(struct fake_region *region) {
  assert_int_equal(region->mapped, 0);
  free(region->memory);
  free(region->view);
}
