/* SPDX-License-Identifier: MIT */
/* Damage to the header, the chain, the counters and the list of unused descriptors. */
#include "damage.h"

#define MAGIC "I1: no heap image of this version and byte order"
#define LAYOUT "I1: the layout does not follow from the geometry"
#define COUNT "I1: a count is beyond its table"
#define RESERVED "I1: a reserved field is not 0"
#define INTERRUPTED "I1: a resize was interrupted: zcmem_heap_repair undoes it"
#define SENTINEL "I2: the sentinel"
#define LEADS_OUT "I2: a link of the chain leads out of the descriptors or round in a circle"
#define START "I2: a block does not start where the one before it ends"
#define LINK "I2: a link does not name its neighbour and its state"
#define END "I2: the chain does not end where the heap ends"
#define NEIGHBOURS "I3: two free neighbours"
#define STATE "I4: a block of the chain has no state"
#define SLACK "I4: a live block has more slack than a quantum"
#define ZOMBIE "I4: a zombie that nobody uses"
#define CACHED "I4: a cached block in a heap without magazines"
#define UNUSED "I8: the list of unused descriptors"
#define COUNTER "I9: a counter differs from what it counts"

static struct zcmem__block *sentinel(struct zcmem_heap *heap) {
  return zcmem__block(heap, ZCMEM__NIL);
}
static struct zcmem__block *first(struct zcmem_heap *heap) {
  return neighbour(heap, sentinel(heap)->next);
}
static struct zcmem__block *second(struct zcmem_heap *heap) {
  return neighbour(heap, first(heap)->next);
}
static struct zcmem__block *unused(struct zcmem_heap *heap) {
  assert_int_not_equal(heap->unused, ZCMEM__NIL);
  return zcmem__block(heap, heap->unused);
}
static struct zcmem__block *of_state(struct zcmem_heap *heap, enum zcmem__state state, uint32_t least) {
  return zcmem__block(heap, find_block(heap, state, least));
}

/* -------------------------------------------------------------------------------------------------- the header -- */

static void magic(struct zcmem_heap *heap) {
  heap->magic++;
}
static void other_byte_order(struct zcmem_heap *heap) {
  uint64_t swapped = 0;
  for (unsigned i = 0; i < 8; i++) {
    swapped = swapped << 8 | (heap->magic >> (8 * i) & 0xff);
  }
  heap->magic = swapped;
}
static void base_off_the_quantum(struct zcmem_heap *heap) {
  heap->at.base++;
}
static void base_0(struct zcmem_heap *heap) {
  heap->at.base = 0;
}
static void base_too_high(struct zcmem_heap *heap) {
  heap->at.base = 0u - zcmem__heap_bytes_of(heap, 1);
}
static void no_quanta(struct zcmem_heap *heap) {
  heap->at.quanta = 0;
}
static void more_quanta(struct zcmem_heap *heap) {
  heap->at.quanta++;
}
static void shift_too_large(struct zcmem_heap *heap) {
  heap->at.quantum_shift = (uint8_t)(heap->at.quantum_shift + 32u);
}
static void no_blocks(struct zcmem_heap *heap) {
  heap->at.max_blocks = 0;
}
static void too_many_blocks(struct zcmem_heap *heap) {
  heap->at.max_blocks = ZCMEM_MAX_BLOCKS + 1u;
}
static void layout_reserved(struct zcmem_heap *heap) {
  heap->at.reserved = 1;
}
static void table_elsewhere(struct zcmem_heap *heap) {
  heap->at.index_at += ZCMEM__LINE;
}
static void longer(struct zcmem_heap *heap) {
  heap->at.bytes += ZCMEM__LINE;
}
static void next_id_too_low(struct zcmem_heap *heap) {
  heap->next_id = ZCMEM__ID;
}
static void next_id_between(struct zcmem_heap *heap) {
  heap->next_id++;
}
static void next_id_too_high(struct zcmem_heap *heap) {
  heap->next_id = (heap->at.descriptors + 1u) * ZCMEM__ID;
}
static void pages_too_few(struct zcmem_heap *heap) {
  heap->pages = heap->at.wide_bins - 1u;
}
static void pages_too_many(struct zcmem_heap *heap) {
  heap->pages = heap->at.pages + 1u;
}
static void no_tables(struct zcmem_heap *heap) {
  heap->tables = 0;
}
static void tables_too_many(struct zcmem_heap *heap) {
  heap->tables = heap->at.tables + 1u;
}
static void live_too_many(struct zcmem_heap *heap) {
  heap->live = heap->at.max_blocks + 1u;
}
static void header_reserved(struct zcmem_heap *heap) {
  heap->shared = ZCMEM__SHARED_PROCESSES + 1u;
}
static void header_reserved_2(struct zcmem_heap *heap) {
  heap->owner = 1;
}

static void resize_interrupted(struct zcmem_heap *heap) {
  heap->undo_id = find_block(heap, ZCMEM__LIVE, 1);
  heap->undo_size = zcmem__block(heap, heap->undo_id)->size;
  heap->undo_slack = zcmem__block(heap, heap->undo_id)->slack;
}

/* --------------------------------------------------------------------------------------------------- the chain -- */

static void sentinel_start(struct zcmem_heap *heap) {
  sentinel(heap)->start--;
}
static void sentinel_size(struct zcmem_heap *heap) {
  sentinel(heap)->size = 1;
}
static void sentinel_live(struct zcmem_heap *heap) {
  sentinel(heap)->use = ZCMEM__LIVE;
}

static void link_out(struct zcmem_heap *heap) {
  first(heap)->next = heap->next_id;
}
static void link_far_out(struct zcmem_heap *heap) {
  first(heap)->next = ~(ZCMEM__ID - 1u);
}
static void link_between(struct zcmem_heap *heap) {
  first(heap)->next |= 2u;
}
static void first_link_out(struct zcmem_heap *heap) {
  sentinel(heap)->next = heap->next_id;
}
static void last_id_unknown(struct zcmem_heap *heap) {
  while (zcmem__block(heap, heap->next_id - ZCMEM__ID)->use == ZCMEM__UNUSED) {
    heap->next_id -= ZCMEM__ID;
  }
  heap->next_id -= ZCMEM__ID;
}

static void starts_late(struct zcmem_heap *heap) {
  second(heap)->start++;
}
static void first_starts_late(struct zcmem_heap *heap) {
  first(heap)->start++;
}
static void ends_late(struct zcmem_heap *heap) {
  first(heap)->size++;
}
static void no_size(struct zcmem_heap *heap) {
  last_block(heap)->size = 0;
}
static void ends_behind_the_heap(struct zcmem_heap *heap) {
  last_block(heap)->size++;
}
static void size_wraps(struct zcmem_heap *heap) {
  last_block(heap)->size = 0u - last_block(heap)->start;
}
static void circle(struct zcmem_heap *heap) {
  last_block(heap)->next = sentinel(heap)->next;
}
static void block_left_out(struct zcmem_heap *heap) {
  first(heap)->next = second(heap)->next;
}

static void prev_is_another(struct zcmem_heap *heap) {
  second(heap)->prev = ZCMEM__NIL;
}
static void prev_is_free(struct zcmem_heap *heap) {
  second(heap)->prev ^= 1u;
}
static void prev_between(struct zcmem_heap *heap) {
  second(heap)->prev ^= 4u;
}
static void next_is_free(struct zcmem_heap *heap) {
  first(heap)->next ^= 1u;
}
static void first_is_free(struct zcmem_heap *heap) {
  sentinel(heap)->next ^= 1u;
}
static void free_but_in_use(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__FREE, 1)->use |= ZCMEM__PIN;
}
static void free_but_live(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__FREE, 1)->use = ZCMEM__LIVE;
}
static void live_but_free(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 1)->use = ZCMEM__FREE;
}

static void ends_early(struct zcmem_heap *heap) {
  neighbour(heap, last_block(heap)->prev)->next = ZCMEM__NIL;
}
static void no_chain(struct zcmem_heap *heap) {
  sentinel(heap)->next = ZCMEM__NIL;
}
static void ends_before_the_heap(struct zcmem_heap *heap) {
  last_block(heap)->size--;
}
static void ends_at_a_free_sentinel(struct zcmem_heap *heap) {
  last_block(heap)->next = 1u;
}
static void last_is_another(struct zcmem_heap *heap) {
  sentinel(heap)->prev = sentinel(heap)->next;
}
static void last_is_free(struct zcmem_heap *heap) {
  sentinel(heap)->prev ^= 1u;
}

/* Cuts a free block in two, and links both as they should be. */
static void free_neighbours(struct zcmem_heap *heap) {
  uint32_t id = find_block(heap, ZCMEM__FREE, 2), made = heap->next_id;
  struct zcmem__block *block = zcmem__block(heap, id), *rest = zcmem__block(heap, made);
  heap->next_id += ZCMEM__ID;
  *rest = *block;
  rest->start++;
  rest->size--;
  rest->prev = zcmem__link_to(id, true);
  neighbour(heap, block->next)->prev = zcmem__link_to(made, true);
  block->next = zcmem__link_to(made, true);
  block->size = 1;
}

static void no_state(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 1)->use = ZCMEM__UNUSED;
}
static void no_state_but_used(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 1)->use = 2u * ZCMEM__PIN;
}
static void free_state_but_used(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 1)->use = ZCMEM__FREE | ZCMEM__PIN;
}
static void slack_of_a_quantum(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 2)->slack = (uint32_t)zcmem__heap_bytes_of(heap, 1);
}
static void slack_of_more(struct zcmem_heap *heap) {
  struct zcmem__block *block = of_state(heap, ZCMEM__LIVE, 1);
  while (block->size != 1u || zcmem__block_state(block) != ZCMEM__LIVE) {
    block = neighbour(heap, block->next);
  }
  block->slack = (uint32_t)zcmem__heap_bytes_of(heap, 1) + 1u;
}
static void cached_without_magazines(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 1)->use = ZCMEM__CACHED;
}
static void zombie_without_use(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__ZOMBIE, 1)->use = ZCMEM__ZOMBIE;
}

/* ------------------------------------------------------------------------------------- counters, unused blocks -- */

static void free_quanta(struct zcmem_heap *heap) {
  heap->free_quanta++;
}
static void slack(struct zcmem_heap *heap) {
  heap->slack--;
}
static void free_blocks(struct zcmem_heap *heap) {
  heap->free_blocks++;
}
static void live(struct zcmem_heap *heap) {
  heap->live--;
}
static void slack_of_a_block(struct zcmem_heap *heap) {
  of_state(heap, ZCMEM__LIVE, 1)->slack ^= 1u;
}

static void unused_forgotten(struct zcmem_heap *heap) {
  heap->unused = ZCMEM__NIL;
}
static void unused_first_forgotten(struct zcmem_heap *heap) {
  heap->unused = unused(heap)->next;
}
static void unused_never_used(struct zcmem_heap *heap) {
  heap->unused = heap->next_id;
}
static void unused_between(struct zcmem_heap *heap) {
  heap->unused++;
}
static void unused_in_the_chain(struct zcmem_heap *heap) {
  heap->unused = zcmem__link_id(sentinel(heap)->next);
}
static void unused_in_a_circle(struct zcmem_heap *heap) {
  unused(heap)->next = heap->unused;
}
static void unused_but_live(struct zcmem_heap *heap) {
  unused(heap)->use = ZCMEM__LIVE;
}
static void unused_but_pinned(struct zcmem_heap *heap) {
  unused(heap)->use = ZCMEM__PIN;
}
static void unused_not_listed(struct zcmem_heap *heap) {
  heap->next_id += ZCMEM__ID;
}
static void unused_goes_on(struct zcmem_heap *heap) {
  uint32_t id = heap->unused;
  while (zcmem__block(heap, id)->next != ZCMEM__NIL) {
    id = zcmem__block(heap, id)->next;
  }
  zcmem__block(heap, id)->next = heap->unused;
}

const struct damage damage_chain[] = {
    DAMAGE(IMAGE_SMALL, magic, MAGIC),
    DAMAGE(IMAGE_SMALL, other_byte_order, MAGIC),
    DAMAGE(IMAGE_SMALL, base_off_the_quantum, LAYOUT),
    DAMAGE(IMAGE_SMALL, base_0, LAYOUT),
    DAMAGE(IMAGE_SMALL, base_too_high, LAYOUT),
    DAMAGE(IMAGE_SMALL, no_quanta, LAYOUT),
    DAMAGE(IMAGE_SMALL, more_quanta, LAYOUT),
    DAMAGE(IMAGE_SMALL, shift_too_large, LAYOUT),
    DAMAGE(IMAGE_SMALL, no_blocks, LAYOUT),
    DAMAGE(IMAGE_SMALL, too_many_blocks, LAYOUT),
    DAMAGE(IMAGE_SMALL, layout_reserved, LAYOUT),
    DAMAGE(IMAGE_SMALL, table_elsewhere, LAYOUT),
    DAMAGE(IMAGE_SMALL, longer, LAYOUT),
    DAMAGE(IMAGE_SMALL, next_id_too_low, COUNT),
    DAMAGE(IMAGE_SMALL, next_id_between, COUNT),
    DAMAGE(IMAGE_SMALL, next_id_too_high, COUNT),
    DAMAGE(IMAGE_WIDE, pages_too_few, COUNT),
    DAMAGE(IMAGE_WIDE, pages_too_many, COUNT),
    DAMAGE(IMAGE_TABLES, no_tables, COUNT),
    DAMAGE(IMAGE_TABLES, tables_too_many, COUNT),
    DAMAGE(IMAGE_SMALL, live_too_many, COUNT),
    DAMAGE(IMAGE_SMALL, header_reserved, RESERVED),
    DAMAGE(IMAGE_SMALL, header_reserved_2, RESERVED),
    DAMAGE(IMAGE_SMALL, resize_interrupted, INTERRUPTED),

    DAMAGE(IMAGE_SMALL, sentinel_start, SENTINEL),
    DAMAGE(IMAGE_SMALL, sentinel_size, SENTINEL),
    DAMAGE(IMAGE_SMALL, sentinel_live, SENTINEL),
    DAMAGE(IMAGE_SMALL, link_out, LEADS_OUT),
    DAMAGE(IMAGE_SMALL, link_far_out, LEADS_OUT),
    DAMAGE(IMAGE_SMALL, link_between, LEADS_OUT),
    DAMAGE(IMAGE_SMALL, first_link_out, LEADS_OUT),
    DAMAGE(IMAGE_SMALL, last_id_unknown, LEADS_OUT),
    DAMAGE(IMAGE_SMALL, starts_late, START),
    DAMAGE(IMAGE_FULL, first_starts_late, START),
    DAMAGE(IMAGE_SMALL, ends_late, START),
    DAMAGE(IMAGE_SMALL, no_size, START),
    DAMAGE(IMAGE_FULL, no_size, START),
    DAMAGE(IMAGE_SMALL, ends_behind_the_heap, START),
    DAMAGE(IMAGE_FULL, ends_behind_the_heap, START),
    DAMAGE(IMAGE_MIXED, size_wraps, START),
    DAMAGE(IMAGE_MIXED, circle, START),
    DAMAGE(IMAGE_MIXED, block_left_out, START),
    DAMAGE(IMAGE_SMALL, prev_is_another, LINK),
    DAMAGE(IMAGE_SMALL, prev_is_free, LINK),
    DAMAGE(IMAGE_SMALL, prev_between, LINK),
    DAMAGE(IMAGE_SMALL, next_is_free, LINK),
    DAMAGE(IMAGE_SMALL, first_is_free, LINK),
    DAMAGE(IMAGE_SMALL, free_but_in_use, LINK),
    DAMAGE(IMAGE_SMALL, free_but_live, LINK),
    DAMAGE(IMAGE_SMALL, live_but_free, LINK),
    DAMAGE(IMAGE_FULL, live_but_free, LINK),
    DAMAGE(IMAGE_MIXED, ends_early, END),
    DAMAGE(IMAGE_EMPTY, no_chain, END),
    DAMAGE(IMAGE_MIXED, ends_before_the_heap, END),
    DAMAGE(IMAGE_SMALL, ends_before_the_heap, END),
    DAMAGE(IMAGE_MIXED, ends_at_a_free_sentinel, END),
    DAMAGE(IMAGE_MIXED, last_is_another, END),
    DAMAGE(IMAGE_MIXED, last_is_free, END),
    DAMAGE(IMAGE_SMALL, last_is_free, END),
    DAMAGE(IMAGE_MIXED, free_neighbours, NEIGHBOURS),
    DAMAGE(IMAGE_SMALL, no_state, STATE),
    DAMAGE(IMAGE_SMALL, no_state_but_used, STATE),
    DAMAGE(IMAGE_FULL, free_state_but_used, STATE),
    DAMAGE(IMAGE_MIXED, slack_of_a_quantum, SLACK),
    DAMAGE(IMAGE_MIXED, slack_of_more, SLACK),
    DAMAGE(IMAGE_SMALL, zombie_without_use, ZOMBIE),
    DAMAGE(IMAGE_SMALL, cached_without_magazines, CACHED),

    DAMAGE(IMAGE_SMALL, free_quanta, COUNTER),
    DAMAGE(IMAGE_SMALL, slack, COUNTER),
    DAMAGE(IMAGE_SMALL, free_blocks, COUNTER),
    DAMAGE(IMAGE_SMALL, live, COUNTER),
    DAMAGE(IMAGE_MIXED, slack_of_a_block, COUNTER),
    DAMAGE(IMAGE_SMALL, unused_forgotten, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_first_forgotten, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_never_used, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_between, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_in_the_chain, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_in_a_circle, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_but_live, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_but_pinned, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_not_listed, UNUSED),
    DAMAGE(IMAGE_SMALL, unused_goes_on, UNUSED),
    {0},
};
