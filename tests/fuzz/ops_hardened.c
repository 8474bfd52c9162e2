/* SPDX-License-Identifier: MIT */
/*
 * A region with hardening as the input says (red zones, fill, poison, quarantine, handles), or with tags, and a list of
 * its blocks. Which place a block gets is the heap's choice; whether there is one, what it tells, and every byte that
 * the blocks, the zones and freed blocks hold is not.
 */
#include "ops.h"

#include "../fake.h"
#include "../unit.h"
#include "hal_impl.h"
#include <zcmem/zcmem.h>

enum { MOST = 48, STALE = 8, MOST_BATCH = 4, TAGS = 5, NEW_BYTE = 0xcd, FREED_BYTE = 0xdd };

struct block {
  hal_addr_t addr;
  hal_size_t size, whole; /* asked for; what it takes in the heap */
  uint32_t pins, tag;
  bool zombie;
  unsigned char byte; /* all of its bytes */
  struct zcmem_handle handle;
};

static struct {
  struct fuzz_input *in;
  struct zcmem_hal *hal;
  struct zcmem__region *region;
  struct fake_region fake;
  uint32_t flags, max_blocks, count;
  hal_size_t zone, quantum;
  struct block blocks[MOST]; /* in the order of addresses */
  struct zcmem_handle stale[STALE];
  uint32_t stales;
} h;

static bool has(uint32_t flag) {
  return (h.flags & flag) != 0;
}

static unsigned char *bytes_of(hal_addr_t addr) {
  return fake_at(&h.fake, addr);
}

static void assert_bytes(hal_addr_t addr, hal_size_t size, unsigned char byte) {
  for (hal_size_t i = 0; i < size; i++) {
    assert_int_equal(*bytes_of(addr + i), byte);
  }
}

/* ------------------------------------------------------------------------------------------------------ the list -- */

/* Where the room before block i begins (i may be h.count), and where it ends. */
static hal_addr_t gap_start(uint32_t i) {
  return i == 0 ? h.region->first : h.blocks[i - 1].addr + h.blocks[i - 1].whole;
}

static hal_addr_t gap_end(uint32_t i) {
  return i == h.count ? h.region->first + h.region->grantable : h.blocks[i].addr;
}

static hal_size_t quanta_bytes(hal_size_t size) {
  hal_size_t all = size + h.zone;
  return all < size || all > UINT64_MAX - h.quantum ? UINT64_MAX
         : all == 0                                 ? h.quantum
                                                    : (all + h.quantum - 1) / h.quantum * h.quantum;
}

static hal_size_t free_bytes(void) {
  hal_size_t sum = 0;
  for (uint32_t i = 0; i <= h.count; i++) {
    sum += gap_end(i) - gap_start(i);
  }
  return sum;
}

/* Whether a block of `whole` bytes fits somewhere; aligned, with room to spare for any alignment, if `surely`. */
static bool fits(hal_size_t whole, hal_size_t align, bool surely) {
  for (uint32_t i = 0; i <= h.count; i++) {
    hal_addr_t start = gap_start(i), skip = align <= h.quantum ? 0 : surely ? align - h.quantum : (0 - start) % align;
    hal_size_t room = gap_end(i) - start;
    if (skip <= room && whole <= room - skip) {
      return true;
    }
  }
  return false;
}

static struct block *enter(hal_addr_t addr, hal_size_t size, uint32_t tag) {
  struct zcmem_block_info info;
  uint32_t at = h.count;
  assert_ok(zcmem_mem_info(h.hal, addr, &info));
  for (; at > 0 && h.blocks[at - 1].addr > addr; at--) {
    h.blocks[at] = h.blocks[at - 1];
  }
  h.count++;
  struct block *block = &h.blocks[at];
  *block = (struct block){.addr = addr, .size = size, .whole = info.size, .tag = tag, .byte = fuzz_byte(h.in)};
  assert_int_equal(info.addr, addr);
  assert_int_equal(info.size, quanta_bytes(size));
  assert_true(addr >= gap_start(at) && addr + info.size <= (at + 1 == h.count ? gap_end(h.count) : gap_end(at + 1)));
  if (has(ZCMEM_REGION_FILL)) {
    assert_bytes(addr, size, NEW_BYTE);
  }
  if (has(ZCMEM_REGION_HANDLES)) {
    assert_ok(zcmem_mem_handle(h.hal, addr, &block->handle));
    assert_true(block->handle.addr == addr && block->handle.generation != 0);
  }
  memset(bytes_of(addr), block->byte, (size_t)size);
  return block;
}

static void leave(struct block *block) {
  uint32_t at = (uint32_t)(block - h.blocks);
  h.count--;
  memmove(block, block + 1, (h.count - at) * sizeof *block);
}

/* ----------------------------------------------------------------------------------------------------- allocate -- */

static void judge_alloc(enum zcmem_status got, hal_size_t whole, hal_size_t align, uint32_t more) {
  const bool no_blocks = h.count + more > h.max_blocks;
  if (got == ZCMEM_OK) {
    assert_true(!no_blocks && fits(whole, more == 1 ? align : 1, false));
  } else if (got == ZCMEM_ENOMEM) {
    assert_true(no_blocks);
  } else {
    assert_true(got == ZCMEM_ENOSPC || got == ZCMEM_EFRAG);
    assert_true(no_blocks || !fits(whole, align, true));
    assert_true(no_blocks || more > 1 || (got == ZCMEM_ENOSPC) == (whole > free_bytes()));
  }
}

static void alloc_one(void) {
  hal_size_t size = fuzz_size(h.in, h.quantum, h.region->grantable / 2), align = (hal_size_t)1 << fuzz_byte(h.in) % 12u;
  uint32_t tag = fuzz_byte(h.in) % TAGS;
  hal_addr_t addr = 1;
  if (h.count == MOST) {
    return;
  }
  enum zcmem_status got = tag == 0 ? zcmem_mem_alloc(h.hal, 0, size, align, &addr)
                                   : zcmem_mem_alloc_tagged(h.hal, 0, size, align, tag, &addr);
  if (tag != 0 && has(ZCMEM_REGION_HANDLES)) {
    assert_status(got, ZCMEM_EINVAL);
  } else {
    judge_alloc(got, quanta_bytes(size), align, 1);
  }
  if (got == ZCMEM_OK) {
    assert_int_equal(addr % align, 0);
    (void)enter(addr, size, tag);
  } else {
    assert_int_equal(addr, 1);
  }
}

static void alloc_batch(void) {
  struct zcmem_batch_item items[MOST_BATCH];
  hal_addr_t addrs[MOST_BATCH];
  uint32_t count = 1 + fuzz_byte(h.in) % MOST_BATCH;
  hal_size_t sum = 0;
  for (uint32_t i = 0; i < count; i++) {
    items[i] = (struct zcmem_batch_item){fuzz_below(h.in, h.region->grantable / 2), 1};
    sum += quanta_bytes(items[i].size);
  }
  if (h.count + count > MOST) {
    return;
  }
  enum zcmem_status got = zcmem_mem_alloc_batch(h.hal, 0, items, count, addrs);
  if (got == ZCMEM_OK) {
    assert_true(sum <= free_bytes());
  } else {
    judge_alloc(got, sum, 1, count);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (got == ZCMEM_OK) {
      (void)enter(addrs[i], items[i].size, 0);
    } else {
      assert_int_equal(addrs[i], HAL_NULLPTR);
    }
  }
}

/* --------------------------------------------------------------------------------------------------------- free -- */

static void forget(struct block *block) {
  if (has(ZCMEM_REGION_HANDLES)) {
    h.stale[h.stales++ % STALE] = block->handle;
  }
  if (block->pins > 0) {
    block->zombie = true;
  } else {
    leave(block);
  }
}

static void free_one(struct block *block) {
  const struct block was = *block;
  uint8_t how = fuzz_byte(h.in) % 4u;
  const bool may = was.pins == 0 || how == 3;
  uint32_t freed = 0;
  enum zcmem_status want = may ? ZCMEM_OK : ZCMEM_EBUSY;
  if (was.zombie) {
    want = ZCMEM_ENOENT;
  }
  if (how == 0) {
    assert_status(zcmem_mem_free(h.hal, was.addr), want);
  } else if (how == 1) {
    assert_status(zcmem_mem_free_batch(h.hal, &was.addr, 1, &freed), want);
    assert_int_equal(freed, want == ZCMEM_OK);
  } else if (how == 2) {
    assert_status(zcmem_mem_free_handle(h.hal, was.handle), has(ZCMEM_REGION_HANDLES) ? want
                                                            : zcmem__hal_region_of(h.hal, was.handle.addr) == NULL
                                                                ? ZCMEM_ENOENT
                                                                : ZCMEM_EINVAL);
    want = has(ZCMEM_REGION_HANDLES) ? want : ZCMEM_EINVAL;
  } else {
    assert_status(zcmem_mem_free_deferred(h.hal, was.addr), want);
  }
  if (want != ZCMEM_OK) {
    return;
  }
  forget(block);
  if (was.pins == 0 && has(ZCMEM_REGION_POISON)) {
    assert_bytes(was.addr, was.size, FREED_BYTE);
  }
  assert_status(zcmem_mem_free(h.hal, was.addr), ZCMEM_ENOENT);
}

static void pin_one(struct block *block) {
  if (block->pins > 0 && fuzz_byte(h.in) % 2 == 0) {
    assert_ok(zcmem_mem_unpin(h.hal, block->addr));
    if (--block->pins == 0 && block->zombie) {
      leave(block);
    }
    return;
  }
  enum zcmem_status want = block->zombie ? ZCMEM_ENOENT : ZCMEM_OK;
  assert_status(
      has(ZCMEM_REGION_HANDLES) ? zcmem_mem_pin_handle(h.hal, block->handle) : zcmem_mem_pin(h.hal, block->addr), want);
  block->pins += want == ZCMEM_OK;
}

/* ------------------------------------------------------------------------------------------------------- resize -- */

static void resize_one(struct block *block) {
  hal_size_t size = fuzz_size(h.in, h.quantum, 2 * block->size + h.quantum), whole = quanta_bytes(size);
  hal_size_t room = gap_end((uint32_t)(block - h.blocks) + 1) - block->addr;
  enum zcmem_status want = ZCMEM_OK, got = zcmem_mem_resize(h.hal, block->addr, size);
  if (block->zombie) {
    want = ZCMEM_ENOENT;
  } else if (size < block->size && block->pins > 0) {
    want = ZCMEM_EBUSY;
  } else if (whole > room) {
    want = whole - block->whole > free_bytes() ? ZCMEM_ENOSPC : ZCMEM_EFRAG;
  }
  assert_status(got, want);
  if (got == ZCMEM_OK) {
    assert_bytes(block->addr, size < block->size ? size : block->size, block->byte);
    block->size = size;
    block->whole = whole;
    memset(bytes_of(block->addr), block->byte, (size_t)size);
  }
}

/* ------------------------------------------------------------------------------------------- handles and tags -- */

static void transfer_one(struct block *block) {
  unsigned char bytes[64];
  hal_size_t offset = fuzz_size(h.in, h.quantum, block->size), size = 1 + fuzz_byte(h.in) % sizeof bytes;
  bool inside = offset <= block->size && size <= block->size - offset;
  enum zcmem_status want = !has(ZCMEM_REGION_HANDLES) ? ZCMEM_EINVAL
                           : block->zombie            ? ZCMEM_ENOENT
                           : inside                   ? ZCMEM_OK
                                                      : ZCMEM_EBOUNDS;
  struct zcmem_handle handle = {block->addr, block->handle.generation, 0};
  memset(bytes, block->byte, sizeof bytes);
  assert_status(zcmem_mem_write_handle(h.hal, handle, offset, bytes, size), want);
  memset(bytes, ~block->byte, sizeof bytes);
  assert_status(zcmem_mem_read_handle(h.hal, bytes, handle, offset, size), want);
  for (hal_size_t i = 0; i < size && want == ZCMEM_OK; i++) {
    assert_int_equal(bytes[i], block->byte);
  }
}

static void tag_one(struct block *block) {
  uint32_t tag = fuzz_byte(h.in) % TAGS;
  enum zcmem_status want = has(ZCMEM_REGION_HANDLES) ? ZCMEM_EINVAL : block->zombie ? ZCMEM_ENOENT : ZCMEM_OK;
  assert_status(zcmem_mem_set_tag(h.hal, block->addr, tag), want);
  block->tag = want == ZCMEM_OK ? tag : block->tag;
}

static void sum_tags(void) {
  struct zcmem_tag_stats tags[TAGS], want[TAGS] = {{0}};
  uint32_t capacity = 1 + fuzz_byte(h.in) % TAGS, count = 0, some = 0;
  if (has(ZCMEM_REGION_HANDLES)) {
    return; /* there the numbers of handles are where tags would be */
  }
  for (uint32_t i = 0; i < h.count; i++) {
    struct zcmem_tag_stats *of = &want[h.blocks[i].tag];
    some += of->live == 0;
    of->live++;
    of->used += h.blocks[i].pins > 0;
    of->in_use += h.blocks[i].whole;
    of->requested += h.blocks[i].size;
  }
  assert_status(zcmem_hal_tag_stats(h.hal, 0, tags, capacity, &count), some > capacity ? ZCMEM_ENOMEM : ZCMEM_OK);
  for (uint32_t i = 0; i < count; i++) {
    const struct zcmem_tag_stats *of = &want[tags[i].tag];
    assert_true(tags[i].live == of->live && tags[i].used == of->used);
    assert_true(tags[i].in_use == of->in_use && tags[i].requested == of->requested);
  }
  assert_true(some > capacity || count == some);
}

/* ------------------------------------------------------------------------------------------------------- damage -- */

static void mend(hal_addr_t at) {
  struct zcmem_damage damage;
  assert_status(zcmem_hal_check_guards(h.hal, 0, false, &damage), ZCMEM_ECORRUPT);
  assert_true(damage.count == 1 && damage.at == at);
  assert_status(zcmem_hal_check(h.hal), ZCMEM_ECORRUPT);
  assert_status(zcmem_hal_check_guards(h.hal, 0, true, &damage), ZCMEM_ECORRUPT);
}

/* A byte beside a live block is stored to: no call that would take it for granted goes on. */
static void spoil_zone(const struct block *block) {
  hal_size_t i = fuzz_below(h.in, 2 * h.zone);
  hal_addr_t at = i < h.zone ? block->addr - 1 - i : block->addr + block->size + (i - h.zone);
  if (h.zone == 0 || block->zombie) {
    return;
  }
  *bytes_of(at) ^= (unsigned char)(1 + fuzz_byte(h.in) % 255u);
  assert_status(zcmem_mem_free(h.hal, block->addr), block->pins > 0 ? ZCMEM_EBUSY : ZCMEM_ECORRUPT);
  assert_status(zcmem_mem_resize(h.hal, block->addr, block->size), ZCMEM_ECORRUPT);
  mend(at);
}

/* A byte of what was freed last is stored to, as long as it is kept. */
static void spoil_freed(void) {
  const struct zcmem__quarantine *quarantine = &h.region->hardening.quarantine;
  const struct zcmem__block *block = zcmem__block(h.region->heap, quarantine->last);
  if (quarantine->blocks == 0 || !zcmem__quarantine_poisoned(block)) {
    return;
  }
  hal_addr_t addr = zcmem__heap_addr(h.region->heap, block->start);
  hal_size_t size = zcmem__heap_bytes_of(h.region->heap, block->size) - block->slack;
  if (size > 0) {
    addr += fuzz_below(h.in, size);
    *bytes_of(addr) ^= (unsigned char)(1 + fuzz_byte(h.in) % 255u);
    mend(addr);
  }
}

/* ----------------------------------------------------------------------------------------------- begin and end -- */

static void open_hardened(void) {
  static const hal_size_t zones[8] = {0, 0, 1, 7, 16, 64, 100, 300};
  uint8_t shape = fuzz_byte(h.in), more = fuzz_byte(h.in);
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 1, .max_mappings = 1, .lock = &fake_lock, .allocator = &fake_allocator};
  h.quantum = (hal_size_t)16 << more % 5;
  const size_t bytes = (size_t)h.quantum * (32u + fuzz_byte(h.in));
  struct zcmem_region_config region =
      fake_region_open(&h.fake, FAKE_HOST, "hard", (hal_addr_t)0x10000 << more / 8 % 32, bytes);
  region.quantum = h.quantum;
  h.flags = (shape & 1 ? ZCMEM_REGION_HANDLES : 0) | (shape & 2 ? ZCMEM_REGION_FILL : 0) |
            (shape & 4 ? ZCMEM_REGION_POISON : 0);
  region.flags |= h.flags;
  h.zone = region.red_zone = zones[shape / 8 % 8];
  region.quarantine = shape < 64 ? 0 : shape < 128 ? bytes / 8 : bytes;
  h.max_blocks = region.max_blocks = 1u + fuzz_byte(h.in) % MOST;
  assert_ok(zcmem_hal_create(&config, &region, 1, &h.hal));
  h.region = zcmem__hal_region(h.hal, 0);
}

static void verify(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  hal_size_t requested = 0;
  assert_ok(zcmem_hal_check(h.hal));
  for (uint32_t i = 0; i < h.count; i++) {
    const struct block *block = &h.blocks[i];
    struct zcmem_block_info info;
    requested += block->size;
    assert_bytes(block->addr, block->size, block->byte);
    assert_status(zcmem_mem_info(h.hal, block->addr, &info), block->zombie ? ZCMEM_ENOENT : ZCMEM_OK);
    if (!block->zombie) {
      assert_true(info.addr == block->addr && info.size == block->whole && info.requested == block->size);
      assert_int_equal(info.pins, block->pins);
      assert_int_equal(info.tag, has(ZCMEM_REGION_HANDLES) ? block->handle.generation : block->tag);
    }
    if (has(ZCMEM_REGION_HANDLES)) {
      assert_status(zcmem_mem_check_handle(h.hal, block->handle), block->zombie ? ZCMEM_ENOENT : ZCMEM_OK);
    }
  }
  for (uint32_t i = 0; i < STALE && i < h.stales; i++) {
    assert_status(zcmem_mem_check_handle(h.hal, h.stale[i]), ZCMEM_ENOENT);
  }
  assert_ok(zcmem_hal_region_stats(h.hal, 0, &stats));
  assert_int_equal(stats.live, h.count);
  assert_int_equal(stats.requested, requested);
  assert_int_equal(stats.available, free_bytes());
  assert_int_equal(stats.in_use + stats.available, h.region->grantable);
}

static void close_hardened(void) {
  while (h.count > 0) {
    struct block *block = &h.blocks[0];
    const hal_addr_t addr = block->addr;
    for (; block->pins > 0; block->pins--) {
      assert_ok(zcmem_mem_unpin(h.hal, addr));
    }
    assert_status(zcmem_mem_free(h.hal, addr), block->zombie ? ZCMEM_ENOENT : ZCMEM_OK);
    leave(block);
  }
  verify();
  assert_int_equal(zcmem_hal_destroy(h.hal), 0);
  fake_region_close(&h.fake);
  assert_int_equal(fake.allocations, 0);
  assert_int_equal(fake.locks_made, 0);
}

void fuzz_hardened(struct fuzz_input *in) {
  memset(&h, 0, sizeof h);
  fake_reset();
  h.in = in;
  open_hardened();
  for (unsigned calls = 0; calls < FUZZ_MOST_CALLS && fuzz_more(in); calls++) {
    uint8_t what = fuzz_byte(in);
    struct block *block = h.count == 0 ? NULL : &h.blocks[what / 16u * h.count / 16u];
    if (block == NULL || what % 16 < 4) {
      alloc_one();
    } else if (what % 16 == 4) {
      alloc_batch();
    } else if (what % 16 < 8) {
      free_one(block);
    } else if (what % 16 < 10) {
      resize_one(block);
    } else if (what % 16 == 10) {
      pin_one(block);
    } else if (what % 16 == 11) {
      transfer_one(block);
    } else if (what % 16 == 12) {
      tag_one(block);
    } else if (what % 16 == 13) {
      sum_tags();
    } else if (what % 16 == 14) {
      spoil_zone(block);
    } else {
      spoil_freed();
    }
    verify();
  }
  close_hardened();
}
