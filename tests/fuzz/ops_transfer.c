/* SPDX-License-Identifier: MIT */
/* Transfers, and calls of the facade within their callbacks. */
#include "world.h"

/* A call within the next callback: the block that is in use must not go, and the heap must be whole. */
struct within {
  struct world *w;
  hal_addr_t addr;
  bool called;
};

static void look_within(void *arg) {
  struct within *within = arg;
  hal_addr_t other = 0;
  struct zcmem_block_info info;
  within->called = true;
  assert_ok(zcmem_hal_check(within->w->hal));
  assert_ok(zcmem_mem_info(within->w->hal, within->addr, &info));
  assert_true(info.transfers > 0);
  assert_status(zcmem_mem_free(within->w->hal, info.addr), ZCMEM_EBUSY);
  if (zcmem_mem_alloc(within->w->hal, 0, 1, 1, &other) == ZCMEM_OK) {
    assert_true(other != info.addr);
    assert_ok(zcmem_mem_free(within->w->hal, other));
  }
}

static void begin(struct world *w, struct world_region *r, hal_addr_t addr, struct within *within) {
  *within = (struct within){w, addr, false};
  if (r != NULL && fuzz_byte(w->in) % 4 == 0) {
    r->fake.inside = look_within;
    r->fake.arg = within;
  }
  world_begin(w);
}

/* Also forgets the call within, where there was no callback. */
static bool struck(struct world *w, struct world_region *r) {
  if (r != NULL) {
    r->fake.inside = NULL;
  }
  return world_struck(w);
}

/* Whether `size` bytes cannot be host memory from there on. */
static bool beyond_host(const void *host, hal_size_t size) {
  return size > 0 && size - 1 > UINTPTR_MAX - (uintptr_t)host;
}

/* The status of a transfer between the host and one range; what is wrong first is told first. */
static enum zcmem_status wanted(struct world *w, hal_addr_t addr, hal_size_t size, hal_size_t host_size,
                                struct world_region **r) {
  *r = world_region_of(w, addr);
  if (size == 0) {
    return ZCMEM_OK;
  }
  if (beyond_host(w->scratch, host_size)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = world_reach(w, addr, size, r);
  return status == ZCMEM_OK && !world_can_move(*r) ? ZCMEM_ENOTMAPPED : status;
}

static void scribble(struct world *w, hal_size_t size) {
  uint8_t value = fuzz_byte(w->in);
  for (hal_size_t i = 0; i < size && i < WORLD_MOST; i++) {
    w->scratch[i] = (unsigned char)(value + i * 7);
  }
}

static void read_one(struct world *w) {
  struct world_region *r = NULL;
  struct within within;
  hal_addr_t addr = world_addr(w);
  hal_size_t size = world_size(w, addr);
  enum zcmem_status want = wanted(w, addr, size, size, &r);
  scribble(w, size);
  begin(w, r, addr, &within);
  enum zcmem_status got = zcmem_mem_read(w->hal, w->scratch, addr, size);
  if (struck(w, r)) {
    assert_status(got, ZCMEM_EIO);
    world_adopt(r, addr, 0);
    return;
  }
  assert_status(got, want);
  if (got == ZCMEM_OK && size > 0) {
    world_fetch(r, addr, (size_t)size);
    assert_memory_equal(w->scratch, world_want(r, addr), (size_t)size);
    r->read += size;
  }
}

static void write_one(struct world *w) {
  struct world_region *r = NULL;
  struct within within;
  hal_addr_t addr = world_addr(w);
  hal_size_t size = world_size(w, addr);
  enum zcmem_status want = wanted(w, addr, size, size, &r);
  scribble(w, size);
  begin(w, r, addr, &within);
  enum zcmem_status got = zcmem_mem_write(w->hal, addr, w->scratch, size);
  if (struck(w, r)) {
    assert_status(got, ZCMEM_EIO);
    world_adopt(r, addr, (size_t)size);
    return;
  }
  assert_status(got, want);
  if (got == ZCMEM_OK && size > 0) {
    world_put(r, addr, w->scratch, (size_t)size);
    r->written += size;
  }
}

static void fill_one(struct world *w) {
  struct world_region *r = NULL;
  struct within within;
  hal_addr_t addr = world_addr(w);
  hal_size_t size = world_size(w, addr), pattern = fuzz_size(w->in, 8, 300);
  pattern = pattern > 600 ? UINT64_MAX : pattern;
  enum zcmem_status want = pattern == 0 ? ZCMEM_EINVAL : wanted(w, addr, size, pattern < size ? pattern : size, &r);
  scribble(w, pattern);
  begin(w, r, addr, &within);
  enum zcmem_status got = zcmem_mem_fill(w->hal, addr, w->scratch, pattern, size);
  if (struck(w, r)) { /* a map that failed may have been made up for */
    assert_true(got == ZCMEM_EIO || (got == ZCMEM_OK && world_can_map(r)));
    if (got != ZCMEM_OK) {
      world_adopt(r, addr, (size_t)size);
      return;
    }
  } else {
    assert_status(got, want);
  }
  if (got == ZCMEM_OK && size > 0) {
    for (hal_size_t i = 0; i < size; i++) {
      *world_want(r, addr + i) = w->scratch[i % pattern];
    }
    world_fetch(r, addr, (size_t)size);
    r->filled += size;
  }
}

/* What a copy has done that failed half way: nothing to the source's bytes, anything to the destination. */
static void copy_failed(struct world_region *to, hal_addr_t dst, struct world_region *from, hal_addr_t src,
                        size_t size) {
  if (from != to) {
    assert_memory_equal(fake_at(&from->fake, src), world_want(from, src), size);
  }
  world_adopt(to, dst, size);
  if (from->seen != NULL) { /* perhaps fetched */
    memcpy(world_seen(from, src), from->fake.view + (size_t)(src - from->fake.base), size);
  }
}

static void copy_one(struct world *w) {
  struct world_region *from = NULL, *to = NULL;
  struct within within;
  hal_addr_t src = world_addr(w), dst = world_addr(w);
  hal_size_t size = world_size(w, src);
  uint8_t how = fuzz_byte(w->in), by = fuzz_byte(w->in);
  if (how % 4 < 2) { /* within one block: overlapping, in either direction */
    dst = src + by;
    size = size > by ? size - by : size;
    if (how % 4 == 1) {
      hal_addr_t was = src;
      src = dst;
      dst = was;
    }
  }
  enum zcmem_status of_src = world_reach(w, src, size, &from), of_dst = world_reach(w, dst, size, &to);
  begin(w, from, src, &within);
  enum zcmem_status got = zcmem_mem_copy(w->hal, dst, src, size);
  bool failed = struck(w, from);
  if (size == 0 || of_src != ZCMEM_OK || of_dst != ZCMEM_OK) {
    assert_true(size == 0 ? got == ZCMEM_OK : got != ZCMEM_OK && (got == of_src || got == of_dst));
    return;
  }
  bool possible = world_can_move(from) && world_can_move(to), may_map = world_can_map(from) || world_can_map(to);
  if (!possible) {
    assert_true(got == ZCMEM_ENOTMAPPED || (failed && got == ZCMEM_EIO));
  } else if (failed) {
    assert_true(got == ZCMEM_EIO || (got == ZCMEM_OK && may_map));
  } else {
    assert_ok(got);
  }
  if (got != ZCMEM_OK) {
    copy_failed(to, dst, from, src, (size_t)size);
    return;
  }
  world_fetch(from, src, (size_t)size);
  memcpy(w->scratch, world_want(from, src), (size_t)size);
  world_put(to, dst, w->scratch, (size_t)size);
  from->copied_out += size;
  to->copied_in += size;
}

void world_call_transfer(struct world *w) {
  switch (fuzz_byte(w->in) % 4) {
  case 0:
    read_one(w);
    break;
  case 1:
    write_one(w);
    break;
  case 2:
    fill_one(w);
    break;
  default:
    copy_one(w);
    break;
  }
}
