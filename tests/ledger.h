/* SPDX-License-Identifier: MIT */
/*
 * A ledger: the blocks that a heap must have, written down from the calls that came to their end and their answers. For
 * tests in which a call may not come to its end: then the heap has the blocks of the ledger without the call, or with
 * it. Calls are data, so that one process can make them and another one judge.
 */
#ifndef ZCMEM_TESTS_LEDGER_H
#define ZCMEM_TESTS_LEDGER_H

#include <zcmem/heap.h>

#define LEDGER_BLOCKS 1024u

enum ledger_kind {
  LEDGER_ALLOC,
  LEDGER_RESERVE,
  LEDGER_FREE,
  LEDGER_FREE_DEFERRED,
  LEDGER_RESIZE,
  LEDGER_PIN,
  LEDGER_UNPIN,
  LEDGER_BEGIN_TRANSFER,
  LEDGER_END_TRANSFER,
  LEDGER_SET_TAG,
  LEDGER_KINDS
};

extern const char *const ledger_names[LEDGER_KINDS];

struct ledger_call {
  enum ledger_kind kind;
  hal_addr_t addr; /* not of an alloc */
  hal_size_t size; /* alloc, reserve, resize; of a set_tag the tag */
  hal_size_t align;
};

struct ledger_answer {
  enum zcmem_status status;
  hal_addr_t addr; /* of an alloc */
};

struct ledger {
  hal_size_t quantum;
  unsigned count;
  struct zcmem_block_info blocks[LEDGER_BLOCKS]; /* occupied ones, in the order of addresses */
};

/* What the heap has now. */
void ledger_read(struct ledger *ledger, const struct zcmem_heap *heap);

/* Makes the call. */
struct ledger_answer ledger_perform(struct zcmem_heap *heap, const struct ledger_call *call);

/* Writes down what the call, so answered, has changed. */
void ledger_enter(struct ledger *ledger, const struct ledger_call *call, const struct ledger_answer *answer);

/* Whether the heap's occupied blocks are the ledger's, with all that is known of each. */
bool ledger_matches(const struct ledger *ledger, const struct zcmem_heap *heap);

/* What the heap has and the ledger has not, if that is just one block more: its address, else 0. */
hal_addr_t ledger_surplus(const struct ledger *ledger, const struct zcmem_heap *heap);

/*
 * A call that may well succeed, by the blocks there are: up to `most` of them, of up to `longest` quanta, and one in
 * four where another one ends, so that neighbours, holes and crowds come to be.
 */
struct ledger_call ledger_choose(const struct ledger *ledger, const struct zcmem_heap *heap, unsigned most,
                                 hal_size_t longest, uint64_t *random);

#endif
