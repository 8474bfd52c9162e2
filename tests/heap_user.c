/* SPDX-License-Identifier: MIT */
#include "heap_user.h"

#include "unit.h"

#define MAX_LIVE 600u
#define CALLS 300u

struct user {
  struct zcmem_heap *heap;
  struct zcmem_heap_info info;
  uint64_t random;
  uint32_t live; /* in `blocks`: not the zombies */
  uint32_t zombies;
  struct zcmem_block_info blocks[MAX_LIVE];
};

static bool enter_block(void *ctx, const struct zcmem_block_info *block) {
  struct user *u = ctx;
  if (block->state == ZCMEM_BLOCK_LIVE) {
    assert_true(u->live < MAX_LIVE);
    u->blocks[u->live++] = *block;
  }
  u->zombies += block->state == ZCMEM_BLOCK_ZOMBIE;
  return true;
}

static void expect_block(const struct user *u, const struct zcmem_block_info *want) {
  struct zcmem_block_info got;
  assert_ok(zcmem_heap_find(u->heap, want->addr + random_next(&(uint64_t){want->addr}) % want->size, &got));
  assert_true(got.addr == want->addr && got.size == want->size && got.requested == want->requested);
}

static void one_alloc(struct user *u) {
  hal_size_t largest = zcmem_heap_largest(u->heap), quantum = u->info.quantum, size;
  hal_size_t align = random_below(&u->random, 4) != 0 ? 1 : quantum << random_below(&u->random, 5);
  hal_addr_t addr = 0;
  switch (random_below(&u->random, 4)) {
  case 0:
    size = largest + random_below(&u->random, 2);
    break;
  case 1:
    size = random_below(&u->random, largest + 1);
    break;
  default:
    size = random_below(&u->random, 6 * quantum);
    break;
  }
  enum zcmem_status status = zcmem_heap_alloc(u->heap, size, align, &addr);
  if (align == 1) {
    assert_int_equal(status == ZCMEM_OK, largest != 0 && size <= largest);
  }
  if (status == ZCMEM_OK) {
    struct zcmem_block_info *block = &u->blocks[u->live];
    assert_true(addr % align == 0 && addr >= u->info.base && addr - u->info.base < u->info.size);
    assert_ok(zcmem_heap_find(u->heap, addr, block));
    assert_true(block->addr == addr && block->requested == size && block->size >= size);
    u->live++;
  }
}

static void one_free(struct user *u, uint32_t which) {
  struct zcmem_block_info *block = &u->blocks[which];
  bool in_use = block->pins != 0 || block->transfers != 0;
  assert_status(zcmem_heap_free(u->heap, block->addr), in_use ? ZCMEM_EBUSY : ZCMEM_OK);
  if (!in_use) {
    assert_status(zcmem_heap_free(u->heap, block->addr), ZCMEM_ENOENT);
    *block = u->blocks[--u->live];
  }
}

static void one_resize(struct user *u, uint32_t which) {
  struct zcmem_block_info *block = &u->blocks[which];
  hal_size_t size = random_below(&u->random, block->size * 2 + 1);
  if (zcmem_heap_resize(u->heap, block->addr, size) == ZCMEM_OK) {
    assert_ok(zcmem_heap_find(u->heap, block->addr, block));
    assert_true(block->requested == size);
  }
}

static void one_reserve(struct user *u) {
  hal_addr_t at = u->info.base + random_below(&u->random, u->info.size / u->info.quantum) * u->info.quantum;
  struct zcmem_block_info *block = &u->blocks[u->live];
  if (zcmem_heap_reserve(u->heap, at, 3 * u->info.quantum) == ZCMEM_OK) {
    assert_ok(zcmem_heap_find(u->heap, at, block));
    assert_true(block->addr == at);
    u->live++;
  }
}

void use_heap(struct zcmem_heap *heap, uint64_t random) {
  static struct user u;
  u = (struct user){.heap = heap, .random = random};
  assert_ok(zcmem_heap_get_info(heap, &u.info));
  assert_ok(zcmem_heap_walk(heap, enter_block, &u));
  for (unsigned call = 0; call < CALLS; call++) {
    uint64_t dice = random_below(&u.random, 10);
    uint32_t which = u.live > 0 ? (uint32_t)random_below(&u.random, u.live) : 0;
    bool grow = u.live == 0 || (u.live < MAX_LIVE - 1 && call / 50 % 2 == 0);
    if (dice < 3) {
      grow = !grow && u.live < MAX_LIVE - 1;
    }
    if (dice == 9 && u.live < MAX_LIVE - 1) {
      one_reserve(&u);
    } else if (grow || u.live == 0) {
      one_alloc(&u);
    } else if (dice == 8) {
      one_resize(&u, which);
    } else {
      one_free(&u, which);
    }
    assert_ok(zcmem_heap_check(heap));
    assert_ok(zcmem_heap_get_info(heap, &u.info));
    assert_int_equal(u.info.live, u.live + u.zombies);
    if (u.live > 0) {
      expect_block(&u, &u.blocks[random_below(&u.random, u.live)]);
    }
  }
  for (uint32_t i = u.live; i > 0; i--) {
    one_free(&u, i - 1);
  }
  assert_ok(zcmem_heap_check(heap));
}
