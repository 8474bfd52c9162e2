/* SPDX-License-Identifier: MIT */
#include "keep.h"
#include "context_impl.h"
#include "seize.h"
#include "thread.h"
#include <string.h>

#define SHARE_DEFAULT 32u /* of 256 */
#define SHARE_MOST 256u
#define STEP 64u /* blocks that are given back in one hold of the lock */

bool zcmem__keep_valid(const struct zcmem_region_config *config) {
  return config->magazine_share <= SHARE_MOST || config->magazine_share == ZCMEM_MAGAZINE_NONE;
}

/* What other processes keep: given back, if that is to be, and no slack. */
static void settle_others(struct zcmem__region *region, bool give_back) {
  if (region->shared == NULL || !give_back) {
    return;
  }
  zcmem__atomic_change(&region->version);
  (void)zcmem__seize_all(region->shared);
  zcmem__atomic_changed(&region->version);
  zcmem__heap_count_slack(region->heap);
}

#ifdef ZCMEM__MAGAZINES
/* Whether threads may have magazines in the HAL's regions. */
static bool wanted(const struct zcmem_hal *hal) {
#ifdef ZCMEM__THREAD_MAGAZINES
  return (hal->flags & ZCMEM_HAL_MAGAZINES) != 0 && hal->allocator.alloc != NULL &&
         hal->lock_ops.lock == zcmem_lock_pthread.lock;
#else
  (void)hal;
  return false;
#endif
}

void zcmem__keep_open(struct zcmem_hal *hal) {
#ifdef ZCMEM__THREAD_MAGAZINES
  if (wanted(hal)) {
    zcmem__thread_open();
  }
#else
  (void)hal;
#endif
}

static bool may_keep(const struct zcmem_region_config *config) {
  return config->magazine_share != ZCMEM_MAGAZINE_NONE && !zcmem__guard_wanted(config);
}

size_t zcmem__keep_bytes(const struct zcmem_region_config *config) {
  return (config->flags & ZCMEM_REGION_CONTEXTS) != 0 && may_keep(config) ? zcmem__depot_bytes(config->max_blocks) : 0;
}

enum zcmem_status zcmem__keep_alloc(struct zcmem_hal *hal, const struct zcmem_region_config *config, void **depot) {
  *depot = NULL;
  if (zcmem__keep_bytes(config) > 0) {
    zcmem__barrier_open();
    return ZCMEM_OK;
  }
  if (!wanted(hal) || !may_keep(config)) {
    return ZCMEM_OK;
  }
  *depot = hal->allocator.alloc(hal->allocator.ctx, zcmem__depot_bytes(config->max_blocks));
  return *depot == NULL ? ZCMEM_ENOMEM : ZCMEM_OK;
}

void zcmem__keep_free(struct zcmem_hal *hal, const struct zcmem_region_config *config, void *depot) {
  if (depot != NULL) {
    hal->allocator.free(hal->allocator.ctx, depot, zcmem__depot_bytes(config->max_blocks));
  }
}

/* The end of the region's image, zeroed; NULL: it is not for contexts. */
static void *in_image(const struct zcmem__region *region, const struct zcmem_region_config *config) {
  size_t bytes = zcmem__keep_bytes(config);
  if (bytes == 0) {
    return NULL;
  }
  void *depot = (char *)region->heap + (region->image_bytes - bytes);
  if (config->image != NULL && (config->flags & ZCMEM_REGION_IMAGE_ZEROED) == 0) {
    memset(depot, 0, bytes);
  }
  return depot;
}

void zcmem__keep_init(const struct zcmem_hal *hal, struct zcmem__region *region,
                      const struct zcmem_region_config *config, void *depot) {
  void *own = in_image(region, config);
  depot = own != NULL ? own : depot;
  if (depot != NULL) {
#ifdef ZCMEM__THREAD_MAGAZINES
    uint64_t *serial = region->shared == NULL ? &region->serial : &region->shared->serial;
    *serial = wanted(hal) ? zcmem__thread_serial() : 0;
#else
    (void)hal;
#endif
    zcmem__depot_init(depot, region, config->magazine_share == 0 ? SHARE_DEFAULT : config->magazine_share,
                      zcmem__magazines_share);
  }
}

uint64_t zcmem__keep_destroy(struct zcmem_hal *hal, struct zcmem__region *region) {
  uint64_t blocks = 0, quanta = 0;
  if (region->depot == NULL) {
    return 0;
  }
  zcmem__magazines_count(region, &blocks, &quanta);
  for (struct zcmem__magazines *at = region->depot->all, *next; at != NULL; at = next) {
    next = at->next;
    if (at->context == NULL) {
      hal->allocator.free(hal->allocator.ctx, at, zcmem__magazines_bytes(ZCMEM__MAGAZINE_MOST));
    }
  }
  if ((region->flags & ZCMEM_REGION_CONTEXTS) == 0) { /* else it lies in the image */
    hal->allocator.free(hal->allocator.ctx, region->depot, zcmem__depot_bytes(region->max_blocks));
  }
  return blocks;
}

enum zcmem_status zcmem__keep_settle(struct zcmem__region *region, bool give_back) {
  settle_others(region, give_back);
  if (region->depot == NULL) {
    return ZCMEM_OK;
  }
  zcmem__magazines_revoke(region);
  if (region->shared != NULL && zcmem__atomic_acquire(region->shared->seized) != region->depot->seized) {
    zcmem__magazines_forget(region);
  }
  while (give_back && region->shared == NULL) {
    zcmem__atomic_change(&region->version);
    give_back = zcmem__magazines_drain(region, STEP) == STEP;
    zcmem__atomic_changed(&region->version);
    /* Others get at the lock between the steps; while the magazines are revoked nobody puts anything into them. */
    if (give_back) {
      zcmem__lock_drop(&region->lock);
      if (zcmem__lock_take(&region->lock) != ZCMEM_OK) {
        zcmem__magazines_restore(region);
        return ZCMEM_ELOCK;
      }
    }
  }
  zcmem__magazines_settle(region);
  return ZCMEM_OK;
}

void zcmem__keep_resume(struct zcmem__region *region) {
  if (region->depot != NULL) {
    zcmem__magazines_restore(region);
  }
}

void zcmem__keep_notice(struct zcmem__region *region, hal_addr_t addr) {
  if (region->depot != NULL) {
    zcmem__depot_forget(region->depot, (uint32_t)((addr - region->first) / region->quantum));
  }
}
#else
void zcmem__keep_open(struct zcmem_hal *hal) {
  (void)hal;
}

size_t zcmem__keep_bytes(const struct zcmem_region_config *config) {
  (void)config;
  return 0;
}

enum zcmem_status zcmem__keep_alloc(struct zcmem_hal *hal, const struct zcmem_region_config *config, void **depot) {
  (void)hal;
  (void)config;
  *depot = NULL;
  return ZCMEM_OK;
}

void zcmem__keep_free(struct zcmem_hal *hal, const struct zcmem_region_config *config, void *depot) {
  (void)hal;
  (void)config;
  (void)depot;
}

void zcmem__keep_init(const struct zcmem_hal *hal, struct zcmem__region *region,
                      const struct zcmem_region_config *config, void *depot) {
  (void)hal;
  (void)region;
  (void)config;
  (void)depot;
}

uint64_t zcmem__keep_destroy(struct zcmem_hal *hal, struct zcmem__region *region) {
  (void)hal;
  (void)region;
  return 0;
}

enum zcmem_status zcmem__keep_settle(struct zcmem__region *region, bool give_back) {
  settle_others(region, give_back);
  return ZCMEM_OK;
}

void zcmem__keep_resume(struct zcmem__region *region) {
  (void)region;
}

void zcmem__keep_notice(struct zcmem__region *region, hal_addr_t addr) {
  (void)region;
  (void)addr;
}
#endif
