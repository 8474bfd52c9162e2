/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "victim_ledger.h"

#define LONGEST 1500u
#define MOST 40u    /* live blocks that a script lets there be */
#define TRIES 50u   /* to find what a call of the kind wanted can be made of */
#define REFUSED 12u /* one in so many calls is a mistake */

struct victim_block *victim_ledger_find(struct victim_ledger *ledger, hal_addr_t addr) {
  for (unsigned i = 0; i < ledger->count; i++) {
    if (ledger->blocks[i].addr == addr) {
      return &ledger->blocks[i];
    }
  }
  return NULL;
}

void victim_ledger_add(struct victim_ledger *ledger, const struct victim_block *block) {
  assert_true(ledger->count < VICTIM_BLOCKS);
  ledger->blocks[ledger->count++] = *block;
}

uint32_t victim_block_pins(const struct victim_block *block) {
  uint32_t sum = 0;
  for (unsigned who = 0; who < WHO; who++) {
    sum += block->pins[who];
  }
  return sum;
}

static bool is_used(const struct victim_block *block) {
  return victim_block_pins(block) + block->transfers > 0;
}

static void take_out(struct victim_ledger *ledger, struct victim_block *block) {
  *block = ledger->blocks[--ledger->count];
}

/* Ends all uses of one process. Whether the block went with them. */
static bool end_uses(struct victim_ledger *ledger, struct victim_block *block, uint32_t slot) {
  block->pins[slot] = 0;
  block->transfers = slot == VICTIM ? 0 : block->transfers;
  if (block->zombie && !is_used(block)) {
    take_out(ledger, block);
    return true;
  }
  return false;
}

void victim_ledger_reap(struct victim_ledger *ledger, uint32_t slot) {
  for (unsigned i = ledger->count; i-- > 0;) {
    struct victim_block *block = &ledger->blocks[i];
    if (!end_uses(ledger, block, slot) && !block->zombie && block->owner == slot && !is_used(block)) {
      take_out(ledger, block);
    }
  }
}

static void enter_batch(struct victim_ledger *ledger, const struct victim_call *call,
                        const struct victim_answer *answer) {
  for (unsigned i = 0; i < VICTIM_BATCH; i++) {
    if (call->kind == VICTIM_FREE_BATCH) {
      take_out(ledger, victim_ledger_find(ledger, call->addrs[i]));
    } else {
      victim_ledger_add(
          ledger, &(struct victim_block){
                      .addr = answer->addrs[i], .size = call->size + 100 * i, .region = call->region, .owner = VICTIM});
    }
  }
}

static void use(struct victim_ledger *ledger, struct victim_block *block, const struct victim_call *call) {
  const uint32_t mapped = call->region == 1 && (call->kind == VICTIM_MAP || call->kind == VICTIM_UNMAP);
  if (call->kind == VICTIM_PIN || call->kind == VICTIM_MAP) {
    block->pins[VICTIM]++;
    block->transfers += mapped;
    return;
  }
  block->pins[VICTIM]--;
  block->transfers -= mapped;
  if (block->zombie && !is_used(block)) {
    take_out(ledger, block);
  }
}

static void change(struct victim_ledger *ledger, struct victim_block *block, const struct victim_call *call) {
  switch (call->kind) {
  case VICTIM_FREE:
  case VICTIM_FREE_DEFERRED:
    block->zombie = is_used(block);
    if (!block->zombie) {
      take_out(ledger, block);
    }
    break;
  case VICTIM_RESIZE:
    block->size = call->size;
    break;
  case VICTIM_SHARE:
    block->owner = EVERYBODY;
    break;
  case VICTIM_OWN:
    block->owner = VICTIM;
    break;
  default:
    use(ledger, block, call);
    break;
  }
}

void victim_ledger_enter(struct victim_ledger *ledger, const struct victim_call *call,
                         const struct victim_answer *answer) {
  if (answer->status != ZCMEM_OK) {
    return;
  }
  switch (call->kind) {
  case VICTIM_ALLOC:
  case VICTIM_ALLOC_KIND:
  case VICTIM_FORK:
    victim_ledger_add(ledger, &(struct victim_block){.addr = answer->addrs[0],
                                                     .size = call->size,
                                                     .region = call->region,
                                                     .owner = call->kind == VICTIM_FORK ? answer->slot : VICTIM});
    break;
  case VICTIM_ALLOC_BATCH:
  case VICTIM_FREE_BATCH:
    enter_batch(ledger, call, answer);
    break;
  case VICTIM_REAP:
    victim_ledger_reap(ledger, DEAD);
    break;
  case VICTIM_CLOSE:
    for (unsigned i = ledger->count; i-- > 0;) {
      (void)end_uses(ledger, &ledger->blocks[i], VICTIM);
    }
    break;
  case VICTIM_READ:
  case VICTIM_WRITE:
  case VICTIM_FILL:
  case VICTIM_COPY:
  case VICTIM_GET_OWNER:
  case VICTIM_CHECK:
  case VICTIM_OPEN:
    break;
  default:
    change(ledger, victim_ledger_find(ledger, call->addr), call);
    break;
  }
}

/* ------------------------------------------------------------------------------------------------------ choice -- */

static bool is_free_to_go(const struct victim_block *block) {
  return !block->zombie && !is_used(block);
}

static bool choose_batch(struct victim_ledger *ledger, struct victim_call *call, uint64_t *random) {
  unsigned found = 0;
  const unsigned first = (unsigned)random_below(random, ledger->count);
  for (unsigned i = 0; i < ledger->count && found < VICTIM_BATCH; i++) {
    const struct victim_block *block = &ledger->blocks[(first + i) % ledger->count];
    if (is_free_to_go(block)) {
      call->addrs[found++] = block->addr;
    }
  }
  return found == VICTIM_BATCH;
}

/* Whether the call can be made of that block. */
static bool fits(enum victim_kind kind, const struct victim_block *block) {
  switch (kind) {
  case VICTIM_UNPIN:
    return block->pins[VICTIM] > block->transfers; /* a mapping has a pin of its own */
  case VICTIM_UNMAP:
    return block->region == 0 ? block->pins[VICTIM] > 0 && !block->zombie && block->size >= VICTIM_BYTES
                              : block->transfers > 0;
  case VICTIM_MAP:
    return !block->zombie && block->size >= VICTIM_BYTES && block->transfers == 0;
  case VICTIM_READ:
  case VICTIM_WRITE:
  case VICTIM_FILL:
  case VICTIM_COPY:
    return !block->zombie && block->size >= VICTIM_BYTES;
  default:
    return !block->zombie;
  }
}

static bool makes_blocks(enum victim_kind kind) {
  return kind == VICTIM_ALLOC || kind == VICTIM_ALLOC_KIND || kind == VICTIM_ALLOC_BATCH || kind == VICTIM_FORK;
}

static bool has_blocks(enum victim_kind kind) {
  return !makes_blocks(kind) && kind != VICTIM_FREE_BATCH && kind != VICTIM_REAP && kind != VICTIM_CHECK;
}

static bool choose_of_kind(struct victim_ledger *ledger, struct victim_call *call, uint64_t *random) {
  const struct victim_block *block = &ledger->blocks[random_below(random, ledger->count)];
  if (makes_blocks(call->kind)) {
    return ledger->count < MOST;
  }
  if (call->kind == VICTIM_FREE_BATCH) {
    return ledger->count > 2 * VICTIM_BATCH && choose_batch(ledger, call, random);
  }
  if (!has_blocks(call->kind)) {
    return true;
  }
  call->addr = block->addr;
  call->region = block->region;
  block = &ledger->blocks[random_below(random, ledger->count)];
  call->from = block->addr;
  if (call->kind == VICTIM_COPY && !fits(call->kind, block)) {
    return false;
  }
  return fits(call->kind, victim_ledger_find(ledger, call->addr));
}

struct victim_call victim_ledger_choose(struct victim_ledger *ledger, enum victim_kind kind, uint64_t *random) {
  struct victim_call call;
  unsigned tries = 0;
  do {
    const enum victim_kind any = (enum victim_kind)random_below(random, VICTIM_OPEN);
    const struct victim_call chosen = {.kind = tries++ < TRIES ? kind : any,
                                       .region = (uint32_t)random_below(random, 2),
                                       .size = random_below(random, LONGEST),
                                       .align = (hal_size_t)1 << random_below(random, 10)};
    call = chosen;
  } while (!choose_of_kind(ledger, &call, random));
  if (random_below(random, REFUSED) == 0 && (call.kind == VICTIM_FREE || call.kind == VICTIM_RESIZE ||
                                             call.kind == VICTIM_SHARE || call.kind == VICTIM_FREE_DEFERRED)) {
    call.addr++; /* no block starts there */
  }
  return call;
}

/* ----------------------------------------------------------------------------------------------------- judging -- */

static bool is_same(const struct victim_block *a, const struct victim_block *b) {
  return a->size == b->size && a->zombie == b->zombie && (a->zombie || a->owner == b->owner) &&
         victim_block_pins(a) == victim_block_pins(b) && a->transfers == b->transfers;
}

/* NULL: no block. */
static bool is_as(const struct victim_block *seen, const struct victim_block *wanted) {
  return seen == NULL || wanted == NULL ? seen == wanted : is_same(seen, wanted);
}

static bool has_steps(const struct victim_call *call) {
  switch (call->kind) {
  case VICTIM_ALLOC_BATCH:
  case VICTIM_FREE_BATCH:
  case VICTIM_REAP:
  case VICTIM_CLOSE:
  case VICTIM_READ:
  case VICTIM_WRITE:
  case VICTIM_FILL:
  case VICTIM_COPY:
    return true;
  default:
    return call->kind == VICTIM_MAP || (call->kind == VICTIM_UNMAP && call->region == 1);
  }
}

/*
 * In the middle of a transfer, a map or an unmap: a pin of the victim's and `most` transfers, which may be there or
 * not, whatever comes first.
 */
static bool is_between(const struct victim_block *seen, const struct victim_block *before,
                       const struct victim_block *after, uint32_t most, struct victim_block *now) {
  if (seen == NULL || before == NULL || seen->size != before->size || seen->zombie != before->zombie ||
      (!seen->zombie && seen->owner != before->owner)) {
    return false;
  }
  const uint32_t pins = victim_block_pins(seen), had = victim_block_pins(before);
  const uint32_t gets = after == NULL ? 0 : victim_block_pins(after);
  if ((pins != had && pins != gets) || seen->transfers > before->transfers + most ||
      seen->transfers + 1 < before->transfers) {
    return false;
  }
  *now = *before;
  now->pins[VICTIM] = before->pins[VICTIM] + pins - had;
  now->transfers = seen->transfers;
  return true;
}

static const char *judge_block(hal_addr_t addr, struct victim_ledger *seen, struct victim_ledger *before,
                               struct victim_ledger *after, const struct victim_call *call, struct victim_ledger *now) {
  const struct victim_block *is = victim_ledger_find(seen, addr), *was = victim_ledger_find(before, addr);
  const struct victim_block *becomes = victim_ledger_find(after, addr);
  const uint32_t most = call->kind == VICTIM_COPY && call->from == call->addr ? 2 : 1;
  struct victim_block between;
  if (victim_ledger_find(now, addr) != NULL) {
    return NULL;
  }
  if (is_as(is, was) || is_as(is, becomes)) {
    const struct victim_block *version = is_as(is, becomes) ? becomes : was;
    if (version != NULL) {
      victim_ledger_add(now, version);
    }
    return NULL;
  }
  if (has_steps(call) && is_between(is, was, becomes, most, &between)) {
    victim_ledger_add(now, &between);
    return NULL;
  }
  return is == NULL ? "a block is lost" : was == NULL && becomes == NULL ? "a block from nowhere" : "another block";
}

bool victim_ledger_same(struct victim_ledger *seen, struct victim_ledger *wanted) {
  bool same = seen->count == wanted->count;
  for (unsigned i = 0; i < seen->count && same; i++) {
    same = is_as(&seen->blocks[i], victim_ledger_find(wanted, seen->blocks[i].addr));
  }
  return same;
}

const char *victim_ledger_judge(struct victim_ledger *seen, struct victim_ledger *before, struct victim_ledger *after,
                                const struct victim_call *call, struct victim_ledger *now, bool *done) {
  struct victim_ledger *const ledgers[] = {seen, before, after};
  const char *wrong = NULL;
  now->count = 0;
  *done = victim_ledger_same(seen, after);
  if (!has_steps(call) && !*done && !victim_ledger_same(seen, before)) {
    wrong = "the blocks are neither those before the call nor those after it";
  }
  for (unsigned k = 0; k < 3; k++) {
    for (unsigned i = 0; i < ledgers[k]->count && wrong == NULL; i++) {
      wrong = judge_block(ledgers[k]->blocks[i].addr, seen, before, after, call, now);
    }
  }
  return wrong;
}
