/* SPDX-License-Identifier: MIT */
/*
 * L2. Repair: makes an image whole again that a process was changing when it was killed, or that was damaged.
 *
 * The truth about a heap is its geometry and its occupied descriptors: start, size, slack, tag, use. A block begins and
 * ends to be with the one store of its `use`. What is free is what no occupied block has; and the chain, the bins, the
 * index, the counters and the lists of unused things are built anew, from the truth alone. src/DESIGN.md (17) has the
 * proof. Repair may be killed itself: all it does to the truth is again one store for each block.
 */
#include "bin.h"
#include "heap_impl.h"
#include "heap_ops.h"
#include "heap_parts.h"
#include "index.h"

#define DIGIT 6u /* bits of a start that one round of sorting looks at */

struct repair {
  struct zcmem_heap *heap;
  uint32_t flags;
  uint32_t blocks;        /* occupied ones */
  uint32_t first;         /* of their list, through `next` */
  uint32_t end;           /* behind the last descriptor that may be occupied, as an id */
  uint32_t spare;         /* all unused descriptors that were used once and stand before this one are taken */
  zcmem__heap_uses *uses; /* NULL: `use` itself says */
  void *ctx;
  struct zcmem_repair_info done;
};

static struct zcmem__block *block_of(const struct repair *r, uint32_t id) {
  return zcmem__block(r->heap, id);
}

/* ------------------------------------------------------------------------------------------------- the header -- */

/* What the image says of itself; false: nothing that can be. */
static bool own_config(const struct zcmem_heap *heap, struct zcmem_heap_config *config) {
  const uint32_t shift = heap->at.quantum_shift & 31u; /* if it is more, the layouts differ */
  *config = (struct zcmem_heap_config){heap->at.base, (hal_size_t)heap->at.quanta << shift, (hal_size_t)1 << shift,
                                       heap->at.max_blocks, 0};
  return heap->magic == ZCMEM__MAGIC;
}

static bool is_mark(const struct zcmem_heap *heap) {
  return heap->next_id >= 2u * ZCMEM__ID && heap->next_id % ZCMEM__ID == 0 &&
         heap->next_id / ZCMEM__ID <= heap->at.descriptors;
}

/* The header but for what is counted. */
static bool repair_header(struct repair *r, size_t bytes, const struct zcmem_heap_config *config) {
  struct zcmem_heap *heap = r->heap;
  const bool damaged = (r->flags & ZCMEM_REPAIR_DAMAGED) != 0;
  struct zcmem_heap_config own;
  struct zcmem__layout layout;
  if (bytes < sizeof *heap || (config == NULL && !own_config(heap, &own)) ||
      !zcmem__heap_layout(config != NULL ? config : &own, &layout) || bytes < layout.bytes ||
      (config == NULL && !zcmem__bits_equal(&layout, &heap->at, sizeof layout))) {
    return false;
  }
  if (config != NULL) {
    heap->at = layout;
    heap->magic = ZCMEM__MAGIC;
  }
  if (!damaged && (!is_mark(heap) || heap->shared > ZCMEM__SHARED_PROCESSES)) {
    return false;
  }
  if (heap->shared > ZCMEM__SHARED_PROCESSES) {
    heap->shared = ZCMEM__SHARED_MANY;
  }
  heap->owner = 0;
  r->end = damaged ? layout.descriptors * ZCMEM__ID : heap->next_id;
  return true;
}

/* ------------------------------------------------------------------------------------------ the occupied blocks -- */

static bool is_occupied(const struct zcmem__block *block) {
  uint32_t use = ZCMEM__GET(block->use), state = use & ZCMEM__STATE;
  return state == ZCMEM__LIVE || state == ZCMEM__ZOMBIE || zcmem__use_cached(use);
}

/* A resize that did not come to its end never began. */
static void undo_resize(struct repair *r) {
  struct zcmem_heap *heap = r->heap;
  const uint32_t id = zcmem__link_id(heap->undo_id), how = heap->undo_id & (ZCMEM__ID - 1u);
  if (id != ZCMEM__NIL && id < r->end && is_occupied(block_of(r, id))) {
    struct zcmem__block *block = block_of(r, id);
    if ((how & ZCMEM__UNDO_DONE) == 0) {
      ZCMEM__PUT(block->size, heap->undo_size);
      ZCMEM__PUT(block->slack, heap->undo_slack);
      r->done.undone = 1;
    }
    ZCMEM__PUT_LAST(heap->undo_id, id | how | ZCMEM__UNDO_DONE);
    ZCMEM__ORDER();
    if ((how & ZCMEM__UNDO_HELD) != 0 &&
        zcmem__generation_after(heap->undo_generation) == ZCMEM__GET(block->generation) &&
        (ZCMEM__GET(block->use) / ZCMEM__TRANSFER & ZCMEM__USE_MASK) != 0) {
      zcmem__heap_let_go(block);
    }
  }
  ZCMEM__PUT_LAST(heap->undo_id, ZCMEM__NIL);
  ZCMEM__ORDER();
}

/* No block that was ever handed out looks like this. */
static bool is_wrong(const struct repair *r, const struct zcmem__block *block) {
  const uint32_t use = ZCMEM__GET(block->use), quanta = r->heap->at.quanta;
  if (block->size == 0 || block->start >= quanta || block->size > quanta - block->start) {
    return true;
  }
  /* What a magazine hands out may be larger than it was asked for; what it keeps has no slack. */
  return use == ZCMEM__TAKEN                    ? r->heap->shared != ZCMEM__SHARED_PROCESSES
         : use == ZCMEM__CACHED                 ? r->heap->shared == ZCMEM__SHARED_NOT
         : r->heap->shared != ZCMEM__SHARED_NOT ? block->slack > zcmem__heap_bytes_of(r->heap, block->size)
                                                : block->slack > zcmem__heap_bytes_of(r->heap, 1) - (block->size != 1u);
}

/* Lists the occupied blocks, in whatever order; makes all other descriptors unused. */
static void collect(struct repair *r) {
  uint32_t last = ZCMEM__NIL, used = ZCMEM__ID;
  for (uint32_t id = ZCMEM__ID; id < r->end; id += ZCMEM__ID) {
    struct zcmem__block *block = block_of(r, id);
    bool occupied = is_occupied(block);
    if (occupied && (is_wrong(r, block) || r->blocks == r->heap->at.max_blocks)) {
      r->done.dropped++;
      occupied = (r->flags & ZCMEM_REPAIR_DAMAGED) == 0; /* then nothing comes of it, and the block stays as it is */
    } else if (occupied) {
      ZCMEM__PUT(block->next, ZCMEM__NIL);
      if (last == ZCMEM__NIL) {
        r->first = id;
      } else {
        ZCMEM__PUT(block_of(r, last)->next, id);
      }
      last = id;
      used = id;
      r->blocks++;
    }
    if (!occupied && ZCMEM__GET(block->use) != ZCMEM__UNUSED) { /* else it may be memory that was never touched */
      ZCMEM__PUT(block->use, ZCMEM__UNUSED);
    }
  }
  if ((r->flags & ZCMEM_REPAIR_DAMAGED) != 0) {
    r->heap->next_id = used + ZCMEM__ID;
  }
}

/* Sorts the list by start: by DIGIT bits, from the lowest on; each round keeps the order that it finds. */
static void sort(struct repair *r) {
  for (uint32_t shift = 0; shift < 32u && (r->heap->at.quanta - 1u) >> shift != 0; shift += DIGIT) {
    uint32_t first[1u << DIGIT] = {ZCMEM__NIL}, last[1u << DIGIT];
    for (uint32_t id = r->first, next; id != ZCMEM__NIL; id = next) {
      struct zcmem__block *block = block_of(r, id);
      const uint32_t digit = block->start >> shift & ((1u << DIGIT) - 1u);
      next = block->next;
      ZCMEM__PUT(block->next, ZCMEM__NIL);
      if (first[digit] == ZCMEM__NIL) {
        first[digit] = id;
      } else {
        ZCMEM__PUT(block_of(r, last[digit])->next, id);
      }
      last[digit] = id;
    }
    r->first = ZCMEM__NIL;
    for (uint32_t digit = 1u << DIGIT; digit-- > 0;) {
      if (first[digit] != ZCMEM__NIL) {
        ZCMEM__PUT(block_of(r, last[digit])->next, r->first);
        r->first = first[digit];
      }
    }
  }
}

/* What becomes of the block's `use`. */
static uint32_t settled(struct repair *r, uint32_t id, uint32_t use) {
  const bool abandoned = (r->flags & ZCMEM_REPAIR_ABANDONED) != 0;
  if (zcmem__use_cached(use)) {
    r->done.cached += abandoned ? 1u : 0u;
    return abandoned ? ZCMEM__UNUSED : use;
  }
  if (abandoned) {
    use &= ZCMEM__STATE;
  } else if (r->uses != NULL) {
    use = (use & ZCMEM__STATE) | r->uses(r->ctx, id);
  }
  if (use == ZCMEM__ZOMBIE) { /* who took the last use away was to free it */
    r->done.zombies++;
    return ZCMEM__UNUSED;
  }
  return use;
}

/* Takes those out of the list that are not to be there: blocks that lie in others, and what nobody has any more. */
static void sift(struct repair *r, bool settle) {
  uint32_t end = 0, last = ZCMEM__NIL;
  for (uint32_t id = r->first, next; id != ZCMEM__NIL; id = next) {
    struct zcmem__block *block = block_of(r, id);
    const uint32_t use = ZCMEM__GET(block->use);
    uint32_t wanted = use;
    next = block->next;
    if (block->start < end) {
      r->done.dropped++;
      wanted = ZCMEM__UNUSED;
    } else if (settle) {
      wanted = settled(r, id, use);
    }
    if (settle && wanted != use) {
      ZCMEM__PUT(block->use, wanted);
    }
    if (settle && wanted == ZCMEM__UNUSED) {
      if (last == ZCMEM__NIL) {
        r->first = next;
      } else {
        ZCMEM__PUT(block_of(r, last)->next, next);
      }
      r->blocks--;
      continue;
    }
    end = block->start < end ? end : block->start + block->size;
    last = id;
  }
}

/* --------------------------------------------------------------------------------------------- what is derived -- */

/* As init left it. Nothing is stored to where that is so already, which may be memory that was never touched. */
static void clear(void *at, uint64_t bytes) {
  uint64_t *word = at;
  for (uint64_t i = 0; i < bytes / sizeof *word; i++) {
    if (word[i] != 0) {
      ZCMEM__PUT64(word[i], 0);
    }
  }
}

static void clear_derived(struct zcmem_heap *heap) {
  clear((char *)(void *)heap + heap->at.heads_at, heap->at.bytes - heap->at.heads_at); /* all behind the descriptors */
  clear(heap->summary, sizeof heap->summary);
  clear(heap->words, sizeof heap->words);
  heap->pages = heap->at.wide_bins;
  heap->unused_page = ZCMEM__NIL;
  heap->tables = 1;
  heap->unused_table = ZCMEM__NIL;
  heap->free_quanta = 0;
  heap->free_blocks = 0;
  heap->live = 0;
  heap->slack = 0;
  struct zcmem__block *sentinel = zcmem__block(heap, ZCMEM__NIL);
  ZCMEM__PUT(sentinel->start, UINT32_MAX);
  ZCMEM__PUT(sentinel->size, 0u);
  ZCMEM__PUT(sentinel->use, ZCMEM__UNUSED);
}

/* A descriptor for a free block. Two of these are never neighbours, so there are enough. */
static uint32_t take_spare(struct repair *r) {
  struct zcmem_heap *heap = r->heap;
  for (; r->spare < heap->next_id; r->spare += ZCMEM__ID) {
    if (ZCMEM__GET(block_of(r, r->spare)->use) == ZCMEM__UNUSED) {
      break;
    }
  }
  uint32_t id = r->spare;
  ZCMEM__ASSERT(id < heap->at.descriptors * ZCMEM__ID);
  r->spare += ZCMEM__ID;
  if (id == heap->next_id) {
    heap->next_id += ZCMEM__ID;
  }
  return id;
}

/* Puts the block behind the last one, to which the link is given; its own is the answer. */
static zcmem__link append(struct repair *r, zcmem__link last, uint32_t id, bool is_free) {
  zcmem__link link = zcmem__link_to(id, is_free);
  ZCMEM__PUT(block_of(r, zcmem__link_id(last))->next, link);
  ZCMEM__PUT(block_of(r, id)->prev, last);
  return link;
}

static zcmem__link append_free(struct repair *r, zcmem__link last, uint32_t start, uint32_t end) {
  if (start == end) {
    return last;
  }
  uint32_t id = take_spare(r);
  struct zcmem__block *block = block_of(r, id);
  ZCMEM__PUT(block->start, start);
  ZCMEM__PUT(block->size, end - start);
  ZCMEM__PUT(block->use, ZCMEM__FREE);
  return append(r, last, id, true);
}

/* The chain: the occupied blocks, and free ones between them. */
static void link_blocks(struct repair *r) {
  zcmem__link last = ZCMEM__NIL;
  uint32_t end = 0;
  for (uint32_t id = r->first, next; id != ZCMEM__NIL; id = next) {
    const struct zcmem__block *block = block_of(r, id);
    next = block->next;
    last = append_free(r, last, end, block->start);
    last = append(r, last, id, false);
    end = block->start + block->size;
  }
  last = append_free(r, last, end, r->heap->at.quanta);
  ZCMEM__PUT(block_of(r, zcmem__link_id(last))->next, ZCMEM__NIL);
  ZCMEM__PUT(block_of(r, ZCMEM__NIL)->prev, last);
}

/* Bins, index and counters, in the order of addresses. */
static void enter_blocks(struct repair *r) {
  struct zcmem_heap *heap = r->heap;
  for (zcmem__link link = block_of(r, ZCMEM__NIL)->next; link != ZCMEM__NIL;) {
    const uint32_t id = zcmem__link_id(link);
    struct zcmem__block *block = block_of(r, id);
    if (zcmem__link_free(link)) {
      heap->free_blocks++;
      heap->free_quanta += block->size;
      zcmem__heap_hole_insert(heap, block, id, block->size);
    } else {
      heap->live++;
      heap->slack += zcmem__use_cached(ZCMEM__GET(block->use)) ? 0 : block->slack;
      zcmem__index_add(heap, id, block->start);
    }
    link = block->next;
  }
}

/* The list of unused descriptors, the lowest first. */
static void list_unused(struct repair *r) {
  struct zcmem_heap *heap = r->heap;
  uint32_t list = ZCMEM__NIL;
  for (uint32_t id = heap->next_id - ZCMEM__ID; id >= ZCMEM__ID; id -= ZCMEM__ID) {
    if (ZCMEM__GET(block_of(r, id)->use) == ZCMEM__UNUSED) {
      ZCMEM__PUT(block_of(r, id)->next, list);
      list = id;
    }
  }
  heap->unused = list;
}

enum zcmem_status zcmem_heap_repair(void *image, size_t bytes, const struct zcmem_heap_config *config, uint32_t flags,
                                    struct zcmem_repair_info *info) {
  return zcmem__heap_repair_with(image, bytes, config, flags, NULL, NULL, info);
}

enum zcmem_status zcmem__heap_repair_with(void *image, size_t bytes, const struct zcmem_heap_config *config,
                                          uint32_t flags, zcmem__heap_uses *uses, void *ctx,
                                          struct zcmem_repair_info *info) {
  struct zcmem__layout layout;
  if (image == NULL || ((uintptr_t)image & (ZCMEM__LINE - 1)) != 0 ||
      (flags & ~(ZCMEM_REPAIR_ABANDONED | ZCMEM_REPAIR_DAMAGED)) != 0 ||
      (config != NULL && !zcmem__heap_layout(config, &layout))) {
    return ZCMEM_EINVAL;
  }
  struct repair r = {.heap = image, .flags = flags, .spare = ZCMEM__ID, .uses = uses, .ctx = ctx};
  if (!repair_header(&r, bytes, config)) {
    return ZCMEM_ECORRUPT;
  }
  undo_resize(&r);
  collect(&r);
  sort(&r);
  if ((flags & ZCMEM_REPAIR_DAMAGED) == 0) {
    sift(&r, false);
    if (r.done.dropped != 0) {
      return ZCMEM_ECORRUPT;
    }
  }
  sift(&r, true);
  clear_derived(r.heap);
  link_blocks(&r);
  enter_blocks(&r);
  list_unused(&r);
  r.done.live = r.heap->live;
  if (info != NULL) {
    *info = r.done;
  }
  return ZCMEM_OK;
}
