/* SPDX-License-Identifier: MIT */
#include "magazines_check.h"

#ifdef ZCMEM__MAGAZINES
struct walk {
  struct zcmem_heap *heap;
  uint64_t blocks, quanta;
};

/* One ticket of a block of `size` quanta: NULL, or what is wrong with it. */
static const char *walk_ticket(struct walk *walk, struct zcmem__ticket ticket, uint32_t size) {
  if (ticket.id == ZCMEM__NIL || ticket.id % ZCMEM__ID != 0 || ticket.id >= walk->heap->next_id) {
    return "a ticket leads out of the descriptors";
  }
  const struct zcmem__block *block = zcmem__block(walk->heap, ticket.id);
  if (block->use != ZCMEM__CACHED) {
    return "the block of a ticket is not cached";
  }
  if (block->start != ticket.start || block->size != size) {
    return "the block of a ticket is another one";
  }
  walk->blocks++;
  walk->quanta += size;
  return NULL;
}

static const char *walk_magazines(const struct zcmem__magazines *of, struct walk *walk) {
  struct walk mine = {.heap = walk->heap};
  uint32_t first = 0;
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    const struct zcmem__magazine *magazine = &of->of[size];
    if (magazine->first != first || magazine->count > magazine->most) {
      return "a magazine has more tickets than it may, or has them elsewhere";
    }
    first += magazine->most;
    if (magazine->count > 0 && (of->stocked[size / 64] >> size % 64 & 1) == 0) {
      return "there are blocks of a size of which there are said to be none";
    }
    for (uint32_t i = 0; i < magazine->count; i++) {
      const char *wrong = walk_ticket(&mine, of->ticket[magazine->first + i], size);
      if (wrong != NULL) {
        return wrong;
      }
    }
  }
  if (first != of->tickets) {
    return "there is another number of tickets than there should be";
  }
  if (mine.quanta != zcmem__magazines_held(of)) {
    return "a thread's magazines have another sum than they say";
  }
  if (of->room > of->allowance) {
    return "a thread keeps more than its allowance";
  }
  walk->blocks += mine.blocks;
  walk->quanta += mine.quanta;
  return NULL;
}

static const char *walk_depot(const struct zcmem__depot *depot, struct walk *walk) {
  struct walk here = {.heap = walk->heap};
  uint32_t used = 0, unused = 0;
  for (uint32_t number = depot->top; number != 0; number = depot->bundles[number].next) {
    const struct zcmem__bundle *bundle = &depot->bundles[number];
    if (number >= depot->bundle_next || bundle->count == 0 || bundle->count > ZCMEM__BUNDLE ||
        ++used >= depot->bundle_count) {
      return "a bundle is empty or too full, or none at all, or they go round in a circle";
    }
    for (uint32_t i = 0; i < bundle->count; i++) {
      const char *wrong = walk_ticket(&here, bundle->ticket[i], bundle->size[i]);
      if (wrong != NULL) {
        return wrong;
      }
    }
  }
  for (uint32_t number = depot->unused; number != 0; number = depot->bundles[number].next) {
    if (number >= depot->bundle_next || ++unused >= depot->bundle_count) {
      return "an unused bundle is none, or they go round in a circle";
    }
  }
  if (used + unused + 1 != depot->bundle_next) {
    return "a bundle is lost";
  }
  if (here.quanta != depot->held) {
    return "the depot has another sum than it says";
  }
  walk->blocks += here.blocks;
  walk->quanta += here.quanta;
  return NULL;
}

/* Blocks that are cached as far as the heap knows. */
static uint64_t cached_blocks(struct zcmem_heap *heap) {
  uint64_t count = 0;
  uint32_t id = ZCMEM__NIL;
  while ((id = zcmem__link_id(zcmem__block(heap, id)->next)) != ZCMEM__NIL) {
    count += ZCMEM__GET(zcmem__block(heap, id)->use) == ZCMEM__CACHED; /* transfers use others */
  }
  return count;
}

static const char *check_stopped(struct zcmem__region *region, struct magazines_sum *sum) {
  struct zcmem__depot *depot = region->depot;
  struct walk walk = {.heap = region->heap};
  uint64_t granted = 0, blocks = 0, quanta = 0;
  *sum = (struct magazines_sum){.limit = depot->limit};
  for (const struct zcmem__magazines *at = depot->all; at != NULL; at = at->next) {
    const char *wrong = walk_magazines(at, &walk);
    if (wrong != NULL) {
      return wrong;
    }
    granted += at->allowance;
    sum->made++;
    sum->owners += at->owner != NULL;
  }
  sum->in_magazines = walk.blocks;
  const char *wrong = walk_depot(depot, &walk);
  if (wrong != NULL) {
    return wrong;
  }
  sum->in_depot = walk.blocks - sum->in_magazines;
  sum->blocks = walk.blocks;
  sum->quanta = walk.quanta;
  zcmem__magazines_count(region, &blocks, &quanta);
  if (blocks != walk.blocks || quanta != walk.quanta || granted != depot->granted) {
    return "the sums over all magazines are wrong";
  }
  if (cached_blocks(region->heap) != walk.blocks) {
    return "a cached block has no ticket, or two";
  }
  if ((uint64_t)depot->granted + depot->held > depot->limit || walk.quanta > depot->limit) {
    return "more is kept, or may be, than the region's share";
  }
  return NULL;
}

const char *magazines_check(struct zcmem_hal *hal, uint32_t region, struct magazines_sum *sum) {
  struct zcmem__region *at = zcmem__hal_region(hal, region);
  if (at == NULL || at->depot == NULL) {
    return "no region with magazines";
  }
  if (zcmem__lock_take(&at->lock) != ZCMEM_OK) {
    return "the lock failed";
  }
  zcmem__magazines_revoke(at);
  const char *wrong = check_stopped(at, sum);
  zcmem__magazines_restore(at);
  zcmem__lock_drop(&at->lock);
  return wrong;
}

struct magazines_sum magazines_look(struct zcmem_hal *hal, uint32_t region) {
  struct magazines_sum sum;
  const char *wrong = magazines_check(hal, region, &sum);
  if (wrong != NULL) {
    fail_msg("%s", wrong);
  }
  return sum;
}
#endif

struct zcmem_region_stats magazines_stats(struct zcmem_hal *hal, uint32_t region) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, region, &stats));
  return stats;
}

struct zcmem_hal *magazines_hal(hal_size_t bytes, uint32_t max_blocks, uint32_t share) {
  const struct zcmem_hal_config config = {
      .name = "device", .max_regions = 64, .max_mappings = 2, .flags = ZCMEM_HAL_MAGAZINES};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .base = 0x100000,
                                             .size = bytes,
                                             .max_blocks = max_blocks,
                                             .magazine_share = share};
  struct zcmem_hal *hal = NULL;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  return hal;
}

hal_addr_t magazines_alloc(struct zcmem_hal *hal, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(hal, 0, size, 1, &addr));
  return addr;
}
