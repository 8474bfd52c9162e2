/* SPDX-License-Identifier: MIT */
#include "shm_layout.h"

#ifdef ZCMEM__SHM
#include <string.h>

#define PAGE UINT64_C(4096) /* parts begin on pages of their own; where pages are larger they just share some */
#define KNOWN_AREA_FLAGS (ZCMEM_REGION_COHERENT | ZCMEM_REGION_UNCHECKED)
#define MOST (SIZE_MAX / 2) /* of an area; sums of two such numbers do not wrap */

/* Takes `bytes` bytes, which begin `skew` bytes after a page's beginning, from *end on. */
static bool take_part(uint64_t *end, uint64_t bytes, uint64_t skew, uint64_t *at) {
  if (bytes > MOST || *end > MOST) {
    return false;
  }
  *at = (*end + PAGE - 1u) / PAGE * PAGE + skew;
  *end = *at + bytes;
  return *end <= MOST;
}

static bool plan_region(struct zcmem__shm_plan *plan, struct zcmem__shm_place *place) {
  const struct zcmem_heap_config config = {place->base, place->size, place->quantum, place->max_blocks, 0};
  struct zcmem__layout layout;
  if (!zcmem__heap_layout(&config, &layout)) {
    return false;
  }
  place->image_bytes = layout.bytes;
  place->uses_row = ((uint64_t)layout.descriptors + 15u) / 16u * 16u;
  return take_part(&plan->bytes, place->image_bytes, 0, &place->image_at) &&
         take_part(&plan->bytes, place->uses_row * sizeof(uint32_t) * plan->slots, 0, &place->uses_at) &&
         take_part(&plan->bytes, sizeof(struct zcmem__kept) * (plan->slots + 1u), 0, &place->kept_at) &&
         (place->backed == 0 || take_part(&plan->bytes, place->size, place->base % PAGE, &place->memory_at));
}

enum zcmem_status zcmem__shm_plan_make(const struct zcmem_region_config *regions, uint32_t count, uint32_t slots,
                                       struct zcmem__shm_plan *plan) {
  memset(plan, 0, sizeof *plan);
  if (count == 0 || count > ZCMEM__SHM_REGIONS || slots == 0 || slots > ZCMEM_SHM_MAX_PROCESSES) {
    return ZCMEM_EINVAL;
  }
  plan->area_bytes = sizeof(struct zcmem__shm_area);
  plan->mutex_bytes = sizeof(pthread_mutex_t);
  plan->heap_bytes = sizeof(struct zcmem_heap);
  plan->block_bytes = sizeof(struct zcmem__block);
  plan->slots = slots;
  plan->regions = count;
  plan->bytes = sizeof(struct zcmem__shm_area);
  for (uint32_t i = 0; i < count; i++) {
    const struct zcmem_region_config *config = &regions[i];
    struct zcmem__shm_place *place = &plan->place[i];
    /* What hardening keeps of a block is in the memory of one process. */
    if (!zcmem__name_valid(config->name) || config->image != NULL || (config->flags & ~KNOWN_AREA_FLAGS) != 0 ||
        zcmem__guard_wanted(config)) {
      return ZCMEM_EINVAL;
    }
    zcmem__name_copy(place->name, config->name);
    place->kind = config->kind;
    place->flags = config->flags;
    place->max_blocks = config->max_blocks;
    place->backed = config->host == NULL && config->ops == NULL ? 1 : 0;
    place->base = config->base;
    place->size = config->size;
    place->quantum = config->quantum;
    place->cache_line = config->cache_line;
    place->magazine_share = config->magazine_share;
    if (!plan_region(plan, place)) {
      return ZCMEM_EINVAL;
    }
  }
  plan->bytes = (plan->bytes + PAGE - 1u) / PAGE * PAGE;
  return ZCMEM_OK;
}

struct zcmem_region_config zcmem__shm_plan_config(const struct zcmem__shm_plan *plan, uint32_t region) {
  const struct zcmem__shm_place *place = &plan->place[region];
  return (struct zcmem_region_config){.name = place->name,
                                      .kind = place->kind,
                                      .flags = place->flags,
                                      .base = place->base,
                                      .size = place->size,
                                      .quantum = place->quantum,
                                      .max_blocks = place->max_blocks,
                                      .cache_line = place->cache_line,
                                      .magazine_share = place->magazine_share};
}

bool zcmem__shm_plan_valid(const struct zcmem__shm_plan *plan) {
  static const struct zcmem_region_ops none = {0};
  struct zcmem_region_config configs[ZCMEM__SHM_REGIONS];
  struct zcmem__shm_plan anew;
  if (plan->regions == 0 || plan->regions > ZCMEM__SHM_REGIONS) {
    return false;
  }
  for (uint32_t i = 0; i < plan->regions; i++) {
    if (plan->place[i].name[ZCMEM_NAME_MAX] != '\0') {
      return false;
    }
    configs[i] = zcmem__shm_plan_config(plan, i);
    configs[i].ops = plan->place[i].backed == 0 ? &none : NULL;
  }
  return zcmem__shm_plan_make(configs, plan->regions, plan->slots, &anew) == ZCMEM_OK &&
         memcmp(&anew, plan, sizeof anew) == 0;
}

bool zcmem__shm_heap_valid(const struct zcmem__shm_plan *plan, uint32_t region, const struct zcmem_heap *heap) {
  const struct zcmem__shm_place *place = &plan->place[region];
  const struct zcmem_heap_config config = {place->base, place->size, place->quantum, place->max_blocks, 0};
  struct zcmem__layout layout;
  return zcmem__heap_layout(&config, &layout) && heap->magic == ZCMEM__MAGIC &&
         memcmp(&layout, &heap->at, sizeof layout) == 0 &&
         (heap->shared == ZCMEM__SHARED_NOT || heap->shared == ZCMEM__SHARED_PROCESSES);
}
#else
typedef int zcmem__shm_layout_empty; /* ISO C wants something in each file */
#endif
