/* SPDX-License-Identifier: MIT */
#include "magazines_check.h"

#ifdef ZCMEM__MAGAZINES
struct walk {
  struct zcmem_heap *heap;
  uint64_t blocks, quanta;
};

/* A chain of at least `least` blocks, all of `size` quanta (0: as the first one): NULL, and *length is its length. */
static const char *walk_chain(struct walk *walk, uint32_t first, uint32_t size, uint32_t *length) {
  *length = 0;
  for (uint32_t id = first; id != ZCMEM__NIL; ++*length) {
    if (id % ZCMEM__ID != 0 || id >= walk->heap->next_id) {
      return "a chain leads out of the descriptors";
    }
    const struct zcmem__block *block = zcmem__block(walk->heap, id);
    if (block->use != ZCMEM__CACHED) {
      return "a block of a chain is not cached";
    }
    size = size == 0 ? block->size : size;
    if (block->size != size) {
      return "a chain has blocks of several sizes";
    }
    if (*length == UINT16_MAX) {
      return "a chain goes round in a circle";
    }
    walk->blocks++;
    walk->quanta += size;
    id = block->tag;
  }
  return NULL;
}

static const char *walk_magazines(const struct zcmem__magazines *of, struct walk *walk) {
  struct walk mine = {.heap = walk->heap};
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    const struct zcmem__magazine *magazine = &of->of[size];
    uint32_t loaded = 0, spares = 0;
    const char *wrong = walk_chain(&mine, magazine->loaded, size, &loaded);
    wrong = wrong == NULL ? walk_chain(&mine, magazine->spare, size, &spares) : wrong;
    if (wrong != NULL) {
      return wrong;
    }
    if (loaded != magazine->count || spares != magazine->spares) {
      return "a magazine's chain is not as long as it says";
    }
  }
  if (mine.blocks != of->blocks || mine.quanta != of->held) {
    return "a thread's magazines have another sum than they say";
  }
  if (of->held > of->allowance) {
    return "a thread keeps more than its allowance";
  }
  walk->blocks += mine.blocks;
  walk->quanta += mine.quanta;
  return NULL;
}

static const char *walk_depot(const struct zcmem__depot *depot, struct walk *walk, uint64_t *condemned) {
  struct walk here = {.heap = walk->heap};
  for (uint32_t size = 1; size <= ZCMEM__CLASSES; size++) {
    for (uint32_t chain = depot->of[size].top; chain != ZCMEM__NIL;) {
      uint32_t length = 0, link = zcmem__block(here.heap, chain)->slack;
      const char *wrong = walk_chain(&here, chain, size, &length);
      if (wrong != NULL || length != 1u << (link & (ZCMEM__ID - 1u))) {
        return wrong != NULL ? wrong : "a chain of the depot is not as long as it says";
      }
      chain = zcmem__link_id(link);
    }
  }
  uint64_t before = here.blocks;
  for (uint32_t chain = depot->condemned; chain != ZCMEM__NIL;) {
    uint32_t length = 0, next = zcmem__block(here.heap, chain)->slack;
    const char *wrong = walk_chain(&here, chain, 0, &length);
    if (wrong != NULL) {
      return wrong;
    }
    chain = next;
  }
  *condemned = here.blocks - before;
  if (here.blocks != depot->blocks || here.quanta != depot->held) {
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
  const char *wrong = walk_depot(depot, &walk, &sum->condemned);
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
    return "a cached block is in no chain, or in two";
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
