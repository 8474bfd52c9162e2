/* SPDX-License-Identifier: MIT */
/* The blocks that an area has after the calls of a victim's script: whose they are, and who uses them. */
#ifndef ZCMEM_TESTS_VICTIM_LEDGER_H
#define ZCMEM_TESTS_VICTIM_LEDGER_H

#include "shm_victim.h"

#define VICTIM_BLOCKS 80u

/* Slots of the area, whose pins are counted apart. As an owner also EVERYBODY. */
enum { NOBODY, SURVIVOR, DEAD, VICTIM, VICTIMS_CHILD, WHO, EVERYBODY = 255 };

struct victim_block {
  hal_addr_t addr;
  hal_size_t size; /* requested */
  uint32_t region, owner;
  uint32_t pins[WHO];
  uint32_t transfers; /* of the victim's */
  bool zombie;        /* then its owner does not matter any more */
};

struct victim_ledger {
  unsigned count;
  struct victim_block blocks[VICTIM_BLOCKS];
};

/* NULL: there is none. */
struct victim_block *victim_ledger_find(struct victim_ledger *ledger, hal_addr_t addr);
void victim_ledger_add(struct victim_ledger *ledger, const struct victim_block *block);

/* Pins of all. */
uint32_t victim_block_pins(const struct victim_block *block);

/* What a call has changed; nothing where its answer is not OK. */
void victim_ledger_enter(struct victim_ledger *ledger, const struct victim_call *call,
                         const struct victim_answer *answer);

/* As a reap leaves it that finds the process of this slot gone. */
void victim_ledger_reap(struct victim_ledger *ledger, uint32_t slot);

/* A call of that kind that these blocks allow, or else of another kind; now and then one that is to be refused. */
struct victim_call victim_ledger_choose(struct victim_ledger *ledger, enum victim_kind kind, uint64_t *random);

/* Whether the same blocks are in both, whoever has their pins. */
bool victim_ledger_same(struct victim_ledger *a, struct victim_ledger *b);

/*
 * What is wrong with the blocks that were seen after a victim was killed in the call; NULL: nothing. All must be as
 * before it, or all as after it; only in a call that is made of several, each for itself. *now is the version that was
 * found, with what is known of it; *done: it is the one after the call.
 */
const char *victim_ledger_judge(struct victim_ledger *seen, struct victim_ledger *before, struct victim_ledger *after,
                                const struct victim_call *call, struct victim_ledger *now, bool *done);

#endif
