/* SPDX-License-Identifier: MIT */
/*
 * Random calls in regions with every mix of hardening: blocks keep their bytes, red zones theirs, handles tell, figures
 * are those of the blocks; and a byte that is spoilt beside a block, or in a poisoned one, is found.
 */
#include "hardening_fixture.h"

enum { MOST = 40, SHAPES = 24 };

struct live {
  hal_addr_t addr;
  hal_size_t size;
  struct zcmem_handle handle;
  unsigned char byte; /* all of its bytes */
  unsigned pins;
};

static struct live blocks[MOST];
static unsigned count;
static uint64_t seed;
static bool handles;

static void draw(const struct live *block) {
  memset(fake_at(&dram, block->addr), block->byte, (size_t)block->size);
}

static void assert_bytes(const struct live *block) {
  for (hal_size_t i = 0; i < block->size; i++) {
    assert_int_equal(*fake_at(&dram, block->addr + i), block->byte);
  }
}

static void add_block(hal_addr_t addr, hal_size_t size) {
  struct live *block = &blocks[count++];
  *block = (struct live){.addr = addr, .size = size, .byte = (unsigned char)random_next(&seed)};
  if (handles) {
    assert_ok(zcmem_mem_handle(hal, addr, &block->handle));
  }
  draw(block);
}

static void do_alloc(void) {
  hal_addr_t addr = 0;
  hal_size_t size = random_below(&seed, 4) == 0 ? random_below(&seed, 1500) : random_below(&seed, 200);
  hal_size_t align = (hal_size_t)1 << random_below(&seed, 10);
  if (count < MOST && zcmem_mem_alloc(hal, 0, size, align, &addr) == ZCMEM_OK) {
    assert_int_equal(addr % align, 0);
    add_block(addr, size);
  }
}

static void do_alloc_batch(void) {
  struct zcmem_batch_item items[3];
  hal_addr_t addrs[3];
  for (unsigned i = 0; i < 3; i++) {
    items[i] = (struct zcmem_batch_item){random_below(&seed, 300), 1};
  }
  if (count + 3 <= MOST && zcmem_mem_alloc_batch(hal, 0, items, 3, addrs) == ZCMEM_OK) {
    for (unsigned i = 0; i < 3; i++) {
      add_block(addrs[i], items[i].size);
    }
  }
}

static void forget(struct live *block) {
  struct zcmem_handle handle = block->handle;
  *block = blocks[--count];
  if (handles) {
    assert_status(zcmem_mem_check_handle(hal, handle), ZCMEM_ENOENT);
  }
}

static void do_free(struct live *block) {
  uint64_t way = random_below(&seed, 3);
  assert_bytes(block);
  if (block->pins > 0) {
    assert_status(zcmem_mem_free(hal, block->addr), ZCMEM_EBUSY);
    return;
  }
  if (way == 0 && handles) {
    assert_ok(zcmem_mem_free_handle(hal, block->handle));
  } else if (way == 1) {
    assert_ok(zcmem_mem_free_batch(hal, &block->addr, 1, NULL));
  } else {
    assert_ok(zcmem_mem_free_deferred(hal, block->addr));
  }
  assert_status(zcmem_mem_free(hal, block->addr), ZCMEM_ENOENT);
  forget(block);
}

/* Its last use ends later, with other calls between. */
static void do_free_deferred(struct live *block) {
  hal_addr_t addr = block->addr;
  unsigned pins = block->pins;
  assert_ok(zcmem_mem_free_deferred(hal, addr));
  forget(block);
  if (pins > 0) {
    do_alloc();
    while (pins-- > 0) {
      assert_ok(zcmem_mem_unpin(hal, addr));
    }
  }
}

static void do_resize(struct live *block) {
  hal_size_t size = random_below(&seed, 600);
  enum zcmem_status status = zcmem_mem_resize(hal, block->addr, size);
  if (status == ZCMEM_OK) {
    assert_true(block->pins == 0 || size >= block->size);
    for (hal_size_t i = 0; i < size && i < block->size; i++) {
      assert_int_equal(*fake_at(&dram, block->addr + i), block->byte);
    }
    block->size = size;
    draw(block);
  } else {
    assert_true(status == ZCMEM_EFRAG || status == ZCMEM_ENOSPC || (status == ZCMEM_EBUSY && block->pins > 0));
  }
}

static void do_pin(struct live *block) {
  if (block->pins > 0) {
    assert_ok(zcmem_mem_unpin(hal, block->addr));
    block->pins--;
  } else {
    assert_ok(handles ? zcmem_mem_pin_handle(hal, block->handle) : zcmem_mem_pin(hal, block->addr));
    block->pins++;
  }
}

/* A byte of the block's zones is spoilt, found and mended. */
static void do_spoil(const struct live *block, hal_size_t zone) {
  hal_size_t i = random_below(&seed, 2 * zone);
  hal_addr_t at = i < zone ? block->addr - 1 - i : block->addr + block->size + (i - zone);
  struct zcmem_damage damage;
  spoil(at);
  assert_status(zcmem_hal_check_guards(hal, 0, false, &damage), ZCMEM_ECORRUPT);
  assert_int_equal(damage.at, at);
  assert_true(damage.count == 1);
  assert_status(zcmem_mem_free(hal, block->addr), block->pins > 0 ? ZCMEM_EBUSY : ZCMEM_ECORRUPT);
  mend();
}

static void assert_world(void) {
  struct zcmem_region_stats stats = stats_now();
  uint64_t requested = 0;
  for (unsigned i = 0; i < count; i++) {
    struct zcmem_block_info info;
    assert_ok(zcmem_mem_info(hal, blocks[i].addr, &info));
    assert_int_equal(info.requested, blocks[i].size);
    requested += blocks[i].size;
    if (handles) {
      assert_ok(zcmem_mem_check_handle(hal, blocks[i].handle));
    }
  }
  assert_int_equal(stats.live, count);
  assert_int_equal(stats.requested, requested);
  assert_int_equal(stats.in_use + stats.available, hal->regions[0].grantable);
  assert_ok(zcmem_hal_check(hal));
}

static void step(hal_size_t zone) {
  struct live *block = count > 0 ? &blocks[random_below(&seed, count)] : NULL;
  uint64_t what = random_below(&seed, 16);
  if (block == NULL || what < 5) {
    do_alloc();
  } else if (what < 6) {
    do_alloc_batch();
  } else if (what < 10) {
    do_free(block);
  } else if (what < 11) {
    do_free_deferred(block);
  } else if (what < 14) {
    do_resize(block);
  } else if (what < 15) {
    do_pin(block);
  } else if (zone > 0) {
    do_spoil(block, zone);
  }
}

/* A shape: a zone, a quarantine, and the flags. */
static void test_shape(void **state) {
  static const hal_size_t zones[4] = {0, 1, 64, 300}, quarantines[3] = {0, 1000, QUANTA * QUANTUM};
  unsigned shape = (unsigned)(uintptr_t)*state;
  hal_size_t zone = zones[shape % 4];
  uint64_t ops = env_number("ZCMEM_TEST_OPS", 1500);
  seed = env_number("ZCMEM_TEST_SEED", 1) + shape;
  count = 0;
  handles = shape / 12 == 0;
  open_hardened(handles ? ZCMEM_REGION_HANDLES | ZCMEM_REGION_POISON : ZCMEM_REGION_FILL, zone,
                quarantines[shape / 4 % 3]);
  for (uint64_t i = 0; i < ops; i++) {
    step(zone);
    assert_world();
  }
  for (unsigned i = 0; i < count; i++) {
    assert_bytes(&blocks[i]);
  }
  close_hardened(count);
}

int main(void) {
  static struct CMUnitTest tests[SHAPES];
  static char names[SHAPES][32];
  for (unsigned i = 0; i < SHAPES; i++) {
    (void)snprintf(names[i], sizeof names[i], "shape %u", i);
    tests[i] = (struct CMUnitTest){.name = names[i], .test_func = test_shape, .initial_state = (void *)(uintptr_t)i};
  }
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)env_number("ZCMEM_TEST_SEED", 1));
  return _cmocka_run_group_tests("hardening, at random", tests, SHAPES, NULL, NULL);
}
