/* SPDX-License-Identifier: MIT */
#include "context_impl.h"
#include "fork.h"
#include "gdb_script.h"
#include "hal_impl.h"
#include "keep.h"
#include "move.h"
#include <string.h>

#define MAX_REGIONS 64u
#define BOUNCE_MIN 16u
#define KNOWN_REGION_FLAGS                                                                                             \
  (ZCMEM_REGION_COHERENT | ZCMEM_REGION_IMAGE_ZEROED | ZCMEM_REGION_UNCHECKED | ZCMEM_REGION_HANDLES |                 \
   ZCMEM_REGION_FILL | ZCMEM_REGION_POISON | ZCMEM_REGION_TRACKED | ZCMEM_REGION_CONTEXTS)

_Static_assert(sizeof(struct zcmem__region) % ZCMEM__LINE == 0, "regions follow each other aligned");

static bool config_valid(const struct zcmem_hal_config *config) {
  return config != NULL && zcmem__name_valid(config->name) && config->max_regions >= 1 &&
         config->max_regions <= MAX_REGIONS && (config->flags & ~ZCMEM_HAL_MAGAZINES) == 0 &&
         (config->bounce_bytes == 0 ||
          (config->bounce_bytes >= BOUNCE_MIN && config->bounce_bytes <= ZCMEM__BOUNCE_MAX)) &&
         (config->lock == NULL || zcmem__lock_valid(config->lock)) &&
         (config->allocator == NULL || (config->allocator->alloc != NULL && config->allocator->free != NULL));
}

size_t zcmem_hal_bytes(const struct zcmem_hal_config *config) {
  if (!config_valid(config)) {
    return 0;
  }
  size_t bytes = zcmem__lines(sizeof(struct zcmem_hal)) + config->max_regions * sizeof(struct zcmem__region);
  if (config->max_mappings > (SIZE_MAX - bytes) / sizeof(struct zcmem__mapping)) {
    return 0;
  }
  return bytes + config->max_mappings * sizeof(struct zcmem__mapping);
}

/* Initializes all locks, or none. */
static enum zcmem_status init_locks(struct zcmem_hal *hal, struct zcmem__mapping *entries, uint32_t max_mappings) {
  uint32_t done = 0;
  enum zcmem_status status = zcmem__lock_init(&hal->adding, &hal->lock_ops);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = zcmem__map_init(&hal->map, entries, max_mappings, &hal->lock_ops);
  if (status != ZCMEM_OK) {
    zcmem__lock_destroy(&hal->adding);
    return status;
  }
  while (done < hal->max_regions && status == ZCMEM_OK) {
    status = zcmem__lock_init(&hal->regions[done].lock, &hal->lock_ops);
    if (status == ZCMEM_OK) {
      done++;
    }
  }
  if (status == ZCMEM_OK) {
    return status;
  }
  while (done-- > 0) {
    zcmem__lock_destroy(&hal->regions[done].lock);
  }
  zcmem__lock_destroy(&hal->map.lock);
  zcmem__lock_destroy(&hal->adding);
  return status;
}

static void destroy_locks(struct zcmem_hal *hal) {
  for (uint32_t i = 0; i < hal->max_regions; i++) {
    zcmem__lock_destroy(&hal->regions[i].lock);
  }
  zcmem__lock_destroy(&hal->map.lock);
  zcmem__lock_destroy(&hal->adding);
}

enum zcmem_status zcmem_hal_init(void *memory, size_t bytes, const struct zcmem_hal_config *config,
                                 struct zcmem_hal **hal) {
  size_t needed = zcmem_hal_bytes(config);
  if (memory == NULL || hal == NULL || needed == 0 || (uintptr_t)memory % ZCMEM__LINE != 0) {
    return ZCMEM_EINVAL;
  }
  if (bytes < needed) {
    return ZCMEM_ENOMEM;
  }
  zcmem__fork_close(memory); /* one that was made here before, and not ended */
  memset(memory, 0, needed);
  struct zcmem_hal *made = memory;
  unsigned char *tables = (unsigned char *)memory + zcmem__lines(sizeof(struct zcmem_hal));
  void *entries = tables + config->max_regions * sizeof(struct zcmem__region);
  made->regions = (void *)tables;
  made->max_regions = config->max_regions;
  made->bounce_bytes = config->bounce_bytes == 0 ? ZCMEM__BOUNCE_MAX : config->bounce_bytes;
  made->lock_ops = config->lock == NULL ? *zcmem__lock_default() : *config->lock;
  made->flags = config->flags;
  made->recording.regions = made->regions;
  if (config->allocator != NULL) {
    made->allocator = *config->allocator;
  }
  zcmem__name_copy(made->name, config->name);
  zcmem__atomic_init(&made->count, 0);
  enum zcmem_status status = init_locks(made, entries, config->max_mappings);
  if (status == ZCMEM_OK) {
    zcmem__fork_open(made);
    zcmem__keep_open(made);
    *hal = made;
  }
  return status;
}

uint64_t zcmem_hal_destroy(struct zcmem_hal *hal) {
  uint64_t live = 0;
  if (hal == NULL) {
    return 0;
  }
  zcmem__context_close_all(hal);
  zcmem__fork_close(hal);
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count; i++) {
    struct zcmem_heap_info info;
    if (zcmem_heap_get_info(hal->regions[i].heap, &info) == ZCMEM_OK) {
      live += info.live - zcmem__keep_destroy(hal, &hal->regions[i]);
    }
    if (hal->regions[i].guard != NULL) {
      live -= hal->regions[i].guard->quarantine.blocks;
      zcmem__guard_destroy(hal->regions[i].guard);
    }
  }
  for (uint32_t i = 0; i < hal->map.capacity; i++) {
    struct zcmem__mapping *entry = &hal->map.entries[i];
    if (zcmem__mapping_state_of(entry) == ZCMEM__MAPPING_LIVE) {
      (void)zcmem__move_unmap(entry->region, entry->addr, entry->size, entry->host);
    }
  }
  destroy_locks(hal);
  /* Whoever calls it once more, in memory of the caller's, finds no region. */
  zcmem__atomic_publish(&hal->count, 0);
  hal->map.capacity = 0;
  struct zcmem_host_allocator allocator = hal->allocator;
  for (uint32_t i = 0; i < count; i++) {
    if (hal->regions[i].owns_image) {
      allocator.free(allocator.ctx, hal->regions[i].heap, hal->regions[i].image_bytes);
    }
  }
  if (hal->owned != NULL) {
    allocator.free(allocator.ctx, hal->owned, hal->owned_bytes);
  }
  return live;
}

size_t zcmem_region_bytes(const struct zcmem_region_config *config) {
  if (config == NULL) {
    return 0;
  }
  struct zcmem_heap_config heap_config = zcmem__region_heap_config(config);
  size_t bytes = zcmem_heap_bytes(&heap_config), kept = bytes == 0 ? 0 : zcmem__keep_bytes(config);
  return kept == 0 ? bytes : zcmem__lines(bytes) + kept;
}

/* The host's memory for the region ends at most at the end of the host's address space. */
static bool host_range_valid(const struct zcmem_region_config *config) {
  return config->host == NULL || config->size - 1 <= UINTPTR_MAX - (uintptr_t)config->host;
}

/* A cache line is the host's, and within one quantum; so host and device must agree where lines begin. */
static bool lies_alike(hal_size_t line, hal_addr_t addr, const void *host) {
  return line == 0 || (addr - (uintptr_t)host) % line == 0;
}

static bool line_valid(const struct zcmem_region_config *config) {
  hal_size_t line = config->cache_line, quantum = config->quantum == 0 ? ZCMEM_QUANTUM_DEFAULT : config->quantum;
  return (line & (line - 1)) == 0 && line <= quantum &&
         (config->host == NULL || lies_alike(line, config->base, config->host));
}

/* With `adding` held: whether the region may be added to those that are there. Aliases are added under it, too. */
static enum zcmem_status admit(const struct zcmem_hal *hal, const struct zcmem_region_config *config) {
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(hal->regions[i].name, config->name) == 0) {
      return ZCMEM_EINVAL;
    }
  }
  for (uint32_t i = 0; i < count; i++) {
    if (zcmem__region_overlaps(&hal->regions[i], config, zcmem_region_bytes(config))) {
      return ZCMEM_EOVERLAP;
    }
  }
  if (config->host != NULL && zcmem__map_overlaps(&hal->map, config->host, config->size, true)) {
    return ZCMEM_EOVERLAP;
  }
  return count < hal->max_regions ? ZCMEM_OK : ZCMEM_ENOMEM;
}

static enum zcmem_status admit_locked(struct zcmem_hal *hal, const struct zcmem_region_config *config) {
  enum zcmem_status status = zcmem__lock_take(&hal->adding);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = admit(hal, config);
  zcmem__lock_drop(&hal->adding);
  return status;
}

static enum zcmem_status publish(struct zcmem_hal *hal, const struct zcmem_region_config *config, void *image,
                                 size_t image_bytes, struct zcmem__shared *shared, void *depot, uint32_t *index) {
  enum zcmem_status status = zcmem__lock_take(&hal->adding);
  if (status != ZCMEM_OK) {
    return status;
  }
  uint32_t count = zcmem_hal_region_count(hal);
  status = admit(hal, config);
  if (status == ZCMEM_OK) {
    status = zcmem__region_init(&hal->regions[count], config, image, image_bytes, shared);
  }
  if (status == ZCMEM_OK) {
    hal->regions[count].image_bytes = zcmem_region_bytes(config);
    zcmem__keep_init(hal, &hal->regions[count], config, depot);
    hal->regions[count].recording = &hal->recording;
    if (hal->recorded && hal->regions[count].depot != NULL) {
      hal->regions[count].recorded = zcmem__keep_settle(&hal->regions[count], false) == ZCMEM_OK;
    }
    zcmem__atomic_publish(&hal->count, count + 1);
  }
  zcmem__lock_drop(&hal->adding);
  if (status == ZCMEM_OK && index != NULL) {
    *index = count;
  }
  return status;
}

enum zcmem_status zcmem__hal_add_region(struct zcmem_hal *hal, const struct zcmem_region_config *config,
                                        struct zcmem__shared *shared, uint32_t *index) {
  size_t needed = zcmem_region_bytes(config);
  if (hal == NULL || needed == 0 || !zcmem__name_valid(config->name) || config->kind == 0 ||
      (config->flags & ~KNOWN_REGION_FLAGS) != 0 || !host_range_valid(config) || !line_valid(config) ||
      !zcmem__keep_valid(config) || !zcmem__guard_valid(config) || (uintptr_t)config->image % ZCMEM__LINE != 0 ||
      (config->image == NULL && hal->allocator.alloc == NULL)) {
    return ZCMEM_EINVAL;
  }
  if (config->image != NULL && config->image_bytes < needed) {
    return ZCMEM_ENOMEM;
  }
  /* The allocator is called without the lock, so what was admitted before is admitted again after. */
  void *image = config->image, *depot = NULL;
  enum zcmem_status status = admit_locked(hal, config);
  if (status == ZCMEM_OK) {
    status = zcmem__keep_alloc(hal, config, &depot);
  }
  if (status == ZCMEM_OK && image == NULL) {
    image = hal->allocator.alloc(hal->allocator.ctx, needed);
    status = image == NULL ? ZCMEM_ENOMEM : ZCMEM_OK;
  }
  if (status == ZCMEM_OK) {
    status = publish(hal, config, image, config->image == NULL ? needed : config->image_bytes, shared, depot, index);
  }
  if (status != ZCMEM_OK) {
    zcmem__keep_free(hal, config, depot);
    if (config->image == NULL && image != NULL) {
      hal->allocator.free(hal->allocator.ctx, image, needed);
    }
  }
  return status;
}

enum zcmem_status zcmem_hal_add_region(struct zcmem_hal *hal, const struct zcmem_region_config *config,
                                       uint32_t *index) {
  return zcmem__hal_add_region(hal, config, NULL, index);
}

/*
 * Regions and aliases are checked against each other under one lock, so that of two that overlap one is refused. The
 * entry in the table of mappings is taken before, under that table's lock: no two locks are held at once.
 */
static enum zcmem_status publish_alias(struct zcmem_hal *hal, struct zcmem__mapping *entry) {
  enum zcmem_status status = zcmem__lock_take(&hal->adding);
  if (status != ZCMEM_OK) {
    zcmem__map_abandon(entry);
    return status;
  }
  uint32_t count = zcmem_hal_region_count(hal);
  bool overlaps = zcmem__map_overlaps(&hal->map, entry->host, entry->size, true);
  for (uint32_t i = 0; i < count && !overlaps; i++) {
    overlaps = zcmem__region_overlaps_host(&hal->regions[i], entry->host, entry->size);
  }
  if (overlaps) {
    zcmem__map_abandon(entry);
  } else {
    zcmem__map_publish_alias(entry);
  }
  zcmem__lock_drop(&hal->adding);
  return overlaps ? ZCMEM_EOVERLAP : ZCMEM_OK;
}

enum zcmem_status zcmem_hal_add_alias(struct zcmem_hal *hal, uint32_t region, hal_size_t offset, hal_size_t size,
                                      void *host) {
  struct zcmem__region *of = hal == NULL ? NULL : zcmem__hal_region(hal, region);
  struct zcmem__mapping *entry = NULL;
  if (of == NULL || host == NULL || size == 0 || offset > of->size || size > of->size - offset ||
      size - 1 > UINTPTR_MAX - (uintptr_t)host || !lies_alike(of->cache_line, of->base + offset, host)) {
    return ZCMEM_EINVAL;
  }
  const struct zcmem__mapping alias = {.region = of, .addr = of->base + offset, .size = size, .host = host};
  enum zcmem_status status = zcmem__map_prepare_alias(&hal->map, &alias, &entry);
  return status == ZCMEM_OK ? publish_alias(hal, entry) : status;
}

const char *zcmem_hal_name(const struct zcmem_hal *hal) {
  return hal == NULL ? "" : hal->name;
}

uint32_t zcmem_hal_region_count(const struct zcmem_hal *hal) {
  return hal == NULL ? 0 : zcmem__atomic_acquire(&hal->count);
}

enum zcmem_status zcmem_hal_find_region(const struct zcmem_hal *hal, const char *name, uint32_t *index) {
  if (hal == NULL || name == NULL || index == NULL) {
    return ZCMEM_EINVAL;
  }
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = 0; i < count; i++) {
    if (strcmp(hal->regions[i].name, name) == 0) {
      *index = i;
      return ZCMEM_OK;
    }
  }
  return ZCMEM_ENOENT;
}

enum zcmem_status zcmem_hal_find_kind(const struct zcmem_hal *hal, uint32_t kind, uint32_t from, uint32_t *index) {
  if (hal == NULL || index == NULL) {
    return ZCMEM_EINVAL;
  }
  uint32_t count = zcmem_hal_region_count(hal);
  for (uint32_t i = from; i < count; i++) {
    if (hal->regions[i].kind == kind) {
      *index = i;
      return ZCMEM_OK;
    }
  }
  return ZCMEM_ENOENT;
}

enum zcmem_status zcmem_hal_region_of(const struct zcmem_hal *hal, hal_addr_t addr, uint32_t *index) {
  if (hal == NULL || index == NULL) {
    return ZCMEM_EINVAL;
  }
  const struct zcmem__region *region = zcmem__hal_region_of(hal, addr);
  if (region == NULL) {
    return ZCMEM_ENOENT;
  }
  *index = (uint32_t)(region - hal->regions);
  return ZCMEM_OK;
}

enum zcmem_status zcmem_hal_region_info(const struct zcmem_hal *hal, uint32_t index, struct zcmem_region_info *info) {
  const struct zcmem__region *region = hal == NULL ? NULL : zcmem__hal_region(hal, index);
  if (region == NULL || info == NULL) {
    return ZCMEM_EINVAL;
  }
  memset(info, 0, sizeof *info);
  zcmem__name_copy(info->name, region->name);
  info->index = index;
  info->kind = region->kind;
  info->flags = region->flags;
  info->max_blocks = region->max_blocks;
  info->base = region->first;
  info->size = region->grantable;
  info->quantum = region->quantum;
  info->cache_line = region->cache_line;
  info->mapped = region->host != NULL;
  return ZCMEM_OK;
}
