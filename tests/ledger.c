/* SPDX-License-Identifier: MIT */
#include "ledger.h"

#include <string.h>

#include "unit.h"

const char *const ledger_names[LEDGER_KINDS] = {"alloc", "reserve", "free",           "free_deferred", "resize",
                                                "pin",   "unpin",   "begin_transfer", "end_transfer",  "set_tag"};

static bool read_block(void *ctx, const struct zcmem_block_info *info) {
  struct ledger *ledger = ctx;
  if (info->state != ZCMEM_BLOCK_FREE) {
    assert_true(ledger->count < LEDGER_BLOCKS);
    ledger->blocks[ledger->count++] = *info;
  }
  return true;
}

void ledger_read(struct ledger *ledger, const struct zcmem_heap *heap) {
  struct zcmem_heap_info info;
  assert_ok(zcmem_heap_get_info(heap, &info));
  ledger->quantum = info.quantum;
  ledger->count = 0;
  assert_ok(zcmem_heap_walk(heap, read_block, ledger));
}

struct ledger_answer ledger_perform(struct zcmem_heap *heap, const struct ledger_call *call) {
  struct ledger_answer answer = {ZCMEM_EINVAL, 0};
  switch (call->kind) {
  case LEDGER_ALLOC:
    answer.status = zcmem_heap_alloc(heap, call->size, call->align, &answer.addr);
    break;
  case LEDGER_RESERVE:
    answer.status = zcmem_heap_reserve(heap, call->addr, call->size);
    break;
  case LEDGER_FREE:
    answer.status = zcmem_heap_free(heap, call->addr);
    break;
  case LEDGER_FREE_DEFERRED:
    answer.status = zcmem_heap_free_deferred(heap, call->addr, NULL);
    break;
  case LEDGER_RESIZE:
    answer.status = zcmem_heap_resize(heap, call->addr, call->size);
    break;
  case LEDGER_PIN:
    answer.status = zcmem_heap_pin(heap, call->addr);
    break;
  case LEDGER_UNPIN:
    answer.status = zcmem_heap_unpin(heap, call->addr, NULL);
    break;
  case LEDGER_BEGIN_TRANSFER:
    answer.status = zcmem_heap_begin_transfer(heap, call->addr, 0, NULL);
    break;
  case LEDGER_END_TRANSFER:
    answer.status = zcmem_heap_end_transfer(heap, call->addr, NULL);
    break;
  default:
    answer.status = zcmem_heap_set_tag(heap, call->addr, (uint32_t)call->size);
    break;
  }
  return answer;
}

/* The number of the first block at or behind the address. */
static unsigned place_of(const struct ledger *ledger, hal_addr_t addr) {
  unsigned i = 0;
  while (i < ledger->count && ledger->blocks[i].addr < addr) {
    i++;
  }
  return i;
}

static hal_size_t occupied(const struct ledger *ledger, hal_size_t size) {
  return size == 0 ? ledger->quantum : (size + ledger->quantum - 1) / ledger->quantum * ledger->quantum;
}

static void add(struct ledger *ledger, hal_addr_t addr, hal_size_t size) {
  unsigned i = place_of(ledger, addr);
  assert_true(ledger->count < LEDGER_BLOCKS);
  memmove(&ledger->blocks[i + 1], &ledger->blocks[i], (ledger->count - i) * sizeof ledger->blocks[0]);
  ledger->blocks[i] = (struct zcmem_block_info){
      .addr = addr, .size = occupied(ledger, size), .requested = size, .state = ZCMEM_BLOCK_LIVE};
  ledger->count++;
}

static void take_out(struct ledger *ledger, unsigned i) {
  ledger->count--;
  memmove(&ledger->blocks[i], &ledger->blocks[i + 1], (ledger->count - i) * sizeof ledger->blocks[0]);
}

void ledger_enter(struct ledger *ledger, const struct ledger_call *call, const struct ledger_answer *answer) {
  const unsigned i = place_of(ledger, call->addr);
  struct zcmem_block_info *block = &ledger->blocks[i];
  if (answer->status != ZCMEM_OK) {
    return;
  }
  if (call->kind == LEDGER_ALLOC || call->kind == LEDGER_RESERVE) {
    add(ledger, call->kind == LEDGER_ALLOC ? answer->addr : call->addr, call->size);
    return;
  }
  assert_true(i < ledger->count && block->addr == call->addr); /* all other calls are made of blocks of the ledger */
  switch (call->kind) {
  case LEDGER_FREE:
    take_out(ledger, i);
    return;
  case LEDGER_FREE_DEFERRED:
    if (block->pins + block->transfers == 0) {
      take_out(ledger, i);
      return;
    }
    block->state = ZCMEM_BLOCK_ZOMBIE;
    return;
  case LEDGER_RESIZE:
    block->size = occupied(ledger, call->size);
    block->requested = call->size;
    return;
  case LEDGER_PIN:
    block->pins++;
    return;
  case LEDGER_UNPIN:
    block->pins--;
    break;
  case LEDGER_BEGIN_TRANSFER:
    block->transfers++;
    return;
  case LEDGER_END_TRANSFER:
    block->transfers--;
    break;
  default:
    block->tag = (uint32_t)call->size;
    return;
  }
  if (block->state == ZCMEM_BLOCK_ZOMBIE && block->pins + block->transfers == 0) {
    take_out(ledger, i);
  }
}

struct comparison {
  const struct ledger *ledger;
  unsigned at;
  unsigned surplus;   /* blocks that only the heap has */
  hal_addr_t another; /* the first of them */
  bool equal;         /* the other ones are the ledger's */
};

static bool compare(void *ctx, const struct zcmem_block_info *info) {
  struct comparison *c = ctx;
  if (info->state == ZCMEM_BLOCK_FREE) {
    return true;
  }
  const struct zcmem_block_info *block = &c->ledger->blocks[c->at];
  if (c->at == c->ledger->count || block->addr != info->addr) {
    c->another = c->surplus++ == 0 ? info->addr : c->another;
    return true;
  }
  c->equal = c->equal && block->size == info->size && block->requested == info->requested &&
             block->state == info->state && block->pins == info->pins && block->transfers == info->transfers &&
             block->tag == info->tag;
  c->at++;
  return c->equal;
}

static struct comparison compared(const struct ledger *ledger, const struct zcmem_heap *heap) {
  struct comparison c = {.ledger = ledger, .equal = true};
  assert_ok(zcmem_heap_walk(heap, compare, &c));
  c.equal = c.equal && c.at == ledger->count;
  return c;
}

bool ledger_matches(const struct ledger *ledger, const struct zcmem_heap *heap) {
  struct comparison c = compared(ledger, heap);
  return c.equal && c.surplus == 0;
}

hal_addr_t ledger_surplus(const struct ledger *ledger, const struct zcmem_heap *heap) {
  struct comparison c = compared(ledger, heap);
  return c.equal && c.surplus == 1 ? c.another : 0;
}

static hal_size_t some_size(const struct ledger *ledger, hal_size_t longest, uint64_t *random) {
  hal_size_t most = longest * ledger->quantum;
  while (most > ledger->quantum && random_below(random, 3) == 0) { /* smaller ones more often */
    most /= 4;
  }
  return random_below(random, most + 1);
}

static enum ledger_kind some_kind(const struct zcmem_block_info *block, uint64_t *random) {
  static const enum ledger_kind kinds[] = {LEDGER_FREE,    LEDGER_FREE,           LEDGER_FREE,   LEDGER_FREE,
                                           LEDGER_RESIZE,  LEDGER_RESIZE,         LEDGER_RESIZE, LEDGER_FREE_DEFERRED,
                                           LEDGER_SET_TAG, LEDGER_BEGIN_TRANSFER, LEDGER_PIN};
  if (block->pins + block->transfers != 0 && (block->state != ZCMEM_BLOCK_LIVE || random_below(random, 2) == 0)) {
    return block->pins != 0 ? LEDGER_UNPIN : LEDGER_END_TRANSFER;
  }
  return kinds[random_below(random, sizeof kinds / sizeof kinds[0])];
}

struct ledger_call ledger_choose(const struct ledger *ledger, const struct zcmem_heap *heap, unsigned most,
                                 hal_size_t longest, uint64_t *random) {
  struct ledger_call call = {.kind = LEDGER_ALLOC, .align = 1};
  if (ledger->count == 0 || (ledger->count < most && random_below(random, 2) == 0)) {
    call.size = some_size(ledger, longest, random);
    if (random_below(random, 4) == 0) {
      struct zcmem_heap_info info;
      assert_ok(zcmem_heap_get_info(heap, &info));
      const struct zcmem_block_info *block = &ledger->blocks[random_below(random, ledger->count + 1u)];
      call.kind = LEDGER_RESERVE;
      call.addr = block < &ledger->blocks[ledger->count] ? block->addr + block->size : info.base;
      call.addr += random_below(random, 3) * ledger->quantum;
    } else if (random_below(random, 4) == 0) {
      call.align = ledger->quantum << random_below(random, 5);
    }
    return call;
  }
  const struct zcmem_block_info *block = &ledger->blocks[random_below(random, ledger->count)];
  call.kind = some_kind(block, random);
  call.addr = block->addr;
  call.size =
      random_below(random, 2) == 0 ? random_below(random, 2 * block->size + 1) : some_size(ledger, longest, random);
  return call;
}
