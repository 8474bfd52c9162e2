/* SPDX-License-Identifier: MIT */
/* Damage to the bits of the bins and to the lists of exact ones. */
#include "damage.h"

#define BIT "I5: a bit does not say whether its bin is empty"
#define SUMMARY "I5: the summary does not say which words are 0"
#define NONE "I5: a bin names no descriptor, or goes round in a circle"
#define WRONG "I5: a block in the wrong bin"
#define PLACE "I5: a block does not say where in its bin it stands"
#define HOLE "I5: a hole is in no bin"

static uint32_t *heads(struct zcmem_heap *heap) {
  return zcmem__bin_heads(heap);
}

/* An exact bin that has, or has not, `count` blocks or more. */
static uint32_t bin_with(struct zcmem_heap *heap, uint32_t count, bool has) {
  for (uint32_t bin = 1; bin < heap->at.exact_bins; bin++) {
    uint32_t members = 0;
    for (uint32_t id = heads(heap)[bin]; id != ZCMEM__NIL; id = zcmem__block(heap, id)->bin_next) {
      members++;
    }
    if ((members >= count) == has) {
      return bin;
    }
  }
  fail_msg("no bin for the damage");
  return 0;
}

static struct zcmem__block *first_of_two(struct zcmem_heap *heap) {
  return zcmem__block(heap, heads(heap)[bin_with(heap, 2, true)]);
}
static struct zcmem__block *second_of_two(struct zcmem_heap *heap) {
  return zcmem__block(heap, first_of_two(heap)->bin_next);
}

static void bit_missing(struct zcmem_heap *heap) {
  flip_bit(heap, bin_with(heap, 1, true));
}
static void bit_too_many(struct zcmem_heap *heap) {
  flip_bit(heap, bin_with(heap, 1, false));
}
static void bit_of_bin_0(struct zcmem_heap *heap) {
  flip_bit(heap, 0);
}
static void bit_of_no_bin(struct zcmem_heap *heap) {
  flip_bit(heap, heap->at.exact_bins);
}
static void bit_behind_all(struct zcmem_heap *heap) {
  flip_bit(heap, 64u * ZCMEM__BIN_WORDS - 1u);
}
static void head_missing(struct zcmem_heap *heap) {
  heads(heap)[bin_with(heap, 1, true)] = ZCMEM__NIL;
}
static void head_of_bin_0(struct zcmem_heap *heap) {
  heads(heap)[0] = heads(heap)[bin_with(heap, 1, true)];
}
static void summary_bit_missing(struct zcmem_heap *heap) {
  heap->summary[0] &= heap->summary[0] - 1u;
}
static void summary_bit_too_many(struct zcmem_heap *heap) {
  heap->summary[(ZCMEM__BIN_WORDS - 1u) / 64u] ^= zcmem__bits_one((ZCMEM__BIN_WORDS - 1u) % 64u);
}
static void summary_bit_of_no_word(struct zcmem_heap *heap) {
  assert_int_not_equal(ZCMEM__BIN_WORDS % 64u, 0);
  heap->summary[ZCMEM__BIN_SUMMARIES - 1u] ^= zcmem__bits_one(63);
}

static void head_out(struct zcmem_heap *heap) {
  heads(heap)[bin_with(heap, 1, true)] = heap->next_id;
}
static void head_between(struct zcmem_heap *heap) {
  heads(heap)[bin_with(heap, 1, true)] += 1u;
}
static void list_leads_out(struct zcmem_heap *heap) {
  second_of_two(heap)->bin_next = heap->next_id;
}
static void list_between(struct zcmem_heap *heap) {
  first_of_two(heap)->bin_next |= 1u;
}
/* A descriptor that is not in the chain, but looks as if it were; there are more entries than free blocks, then. */
static void one_too_many(struct zcmem_heap *heap) {
  uint32_t bin = bin_with(heap, 1, true), id = heap->unused;
  struct zcmem__block *block = zcmem__block(heap, id), *head = zcmem__block(heap, heads(heap)[bin]);
  assert_int_not_equal(id, ZCMEM__NIL);
  heap->unused = block->next;
  *block = *head;
  head->bin_prev = id;
  block->bin_next = heads(heap)[bin];
  heads(heap)[bin] = id;
}

static void heads_swapped(struct zcmem_heap *heap) {
  uint32_t one = bin_with(heap, 1, true), other = one + 1u;
  while (heads(heap)[other] == ZCMEM__NIL) {
    other++;
  }
  assert_true(other < heap->at.exact_bins);
  uint32_t head = heads(heap)[one];
  heads(heap)[one] = heads(heap)[other];
  heads(heap)[other] = head;
}
static void live_in_a_bin(struct zcmem_heap *heap) {
  uint32_t id = find_block(heap, ZCMEM__LIVE, 1);
  while (zcmem__block(heap, id)->size != 1u || zcmem__block_state(zcmem__block(heap, id)) != ZCMEM__LIVE) {
    id = zcmem__link_id(zcmem__block(heap, id)->next);
  }
  heads(heap)[1] = id;
}
static void tail_in_a_bin(struct zcmem_heap *heap) {
  uint32_t tail = zcmem__link_id(zcmem__block(heap, ZCMEM__NIL)->prev), size = zcmem__block(heap, tail)->size;
  assert_int_equal(heads(heap)[size], ZCMEM__NIL);
  heads(heap)[size] = tail;
  zcmem__block(heap, tail)->bin_prev = zcmem__block(heap, tail)->bin_next = ZCMEM__NIL;
  flip_bit(heap, size);
}
static void list_does_not_lead_back(struct zcmem_heap *heap) {
  second_of_two(heap)->bin_prev = ZCMEM__NIL;
}
static void first_has_one_before(struct zcmem_heap *heap) {
  first_of_two(heap)->bin_prev = first_of_two(heap)->bin_next;
}
static void circle_of_one(struct zcmem_heap *heap) {
  second_of_two(heap)->bin_next = first_of_two(heap)->bin_next;
}
static void circle_of_all(struct zcmem_heap *heap) {
  second_of_two(heap)->bin_next = heads(heap)[bin_with(heap, 2, true)];
}
static void second_left_out(struct zcmem_heap *heap) {
  struct zcmem__block *second = second_of_two(heap), *first = first_of_two(heap);
  first->bin_next = second->bin_next;
  if (second->bin_next != ZCMEM__NIL) {
    zcmem__block(heap, second->bin_next)->bin_prev = heads(heap)[bin_with(heap, 1, true)];
  }
}

const struct damage damage_bins[] = {
    DAMAGE(IMAGE_SMALL, bit_missing, BIT),
    DAMAGE(IMAGE_SMALL, bit_too_many, BIT),
    DAMAGE(IMAGE_SMALL, bit_of_bin_0, BIT),
    DAMAGE(IMAGE_SMALL, bit_of_no_bin, BIT),
    DAMAGE(IMAGE_MIXED, bit_of_no_bin, BIT),
    DAMAGE(IMAGE_SMALL, bit_behind_all, BIT),
    DAMAGE(IMAGE_SMALL, head_missing, BIT),
    DAMAGE(IMAGE_SMALL, head_of_bin_0, BIT),
    DAMAGE(IMAGE_SMALL, summary_bit_missing, SUMMARY),
    DAMAGE(IMAGE_SMALL, summary_bit_too_many, SUMMARY),
    DAMAGE(IMAGE_SMALL, summary_bit_of_no_word, SUMMARY),
    DAMAGE(IMAGE_SMALL, head_out, NONE),
    DAMAGE(IMAGE_SMALL, head_between, NONE),
    DAMAGE(IMAGE_SMALL, list_leads_out, NONE),
    DAMAGE(IMAGE_SMALL, list_between, NONE),
    DAMAGE(IMAGE_MIXED, one_too_many, NONE),
    DAMAGE(IMAGE_MIXED, heads_swapped, WRONG),
    DAMAGE(IMAGE_SMALL, live_in_a_bin, WRONG),
    DAMAGE(IMAGE_SMALL, tail_in_a_bin, WRONG),
    DAMAGE(IMAGE_SMALL, list_does_not_lead_back, PLACE),
    DAMAGE(IMAGE_SMALL, first_has_one_before, PLACE),
    DAMAGE(IMAGE_SMALL, circle_of_one, PLACE),
    DAMAGE(IMAGE_SMALL, circle_of_all, PLACE),
    DAMAGE(IMAGE_SMALL, second_left_out, HOLE),
    DAMAGE(IMAGE_SMALL, one_too_many, HOLE), /* beside a tail, which is in no bin */
    {0},
};
