/* SPDX-License-Identifier: MIT */
/*
 * What lies in an area that processes share, and where. The layout is a pure function of what the area was made of,
 * and stands in its header, so that who opens an area can compute it anew and compare.
 *
 *      struct zcmem__shm_area     what it is, who is there, each region's lock and version
 *      image of each region       its heap
 *      uses of each region        uint32_t[processes][descriptors]: pins and transfers of each process, as in `use`
 *      kept of each region        struct zcmem__kept[1 + processes]: what all and each keep in magazines (seize.h)
 *      memory of each region      where it is host memory
 *
 * The owner of a live block, and of one in a magazine, is a slot's number in the upper bits of its generation
 * (heap_impl.h).
 */
#ifndef ZCMEM_SHM_LAYOUT_H
#define ZCMEM_SHM_LAYOUT_H

#include <zcmem/shm.h>

#if defined(__linux__) && !defined(ZCMEM_NO_PTHREAD) && !defined(ZCMEM_NO_SHM)
#define ZCMEM__SHM
#endif

#ifdef ZCMEM__SHM
#include "hal_impl.h"
#include <pthread.h>

#define ZCMEM__SHM_MAGIC UINT64_C(0x32306d6873636d7a) /* "zmcshm02" read as little-endian: tells byte order, too */
#define ZCMEM__SHM_REGIONS 64u
#define ZCMEM__SHM_SHARED 255u /* as an owner: nobody's and everybody's */

/* A region as it was configured, and where its parts are. Nothing here ever changes. */
struct zcmem__shm_place {
  char name[ZCMEM_NAME_MAX + 1];
  uint32_t kind;
  uint32_t flags;
  uint32_t max_blocks;
  uint32_t backed; /* 1: the area has its memory */
  uint32_t magazine_share;
  uint32_t reserved;
  uint64_t base;
  uint64_t size;
  uint64_t quantum;
  uint64_t cache_line;
  uint64_t image_at;
  uint64_t image_bytes;
  uint64_t uses_at;
  uint64_t uses_row; /* descriptors in the row of one process */
  uint64_t kept_at;
  uint64_t memory_at; /* of byte `base`; 0: none */
};

/* What the area is, but for its magic. */
struct zcmem__shm_plan {
  uint32_t area_bytes; /* sizes of what a compiler, a C library or a version may lay out otherwise */
  uint32_t mutex_bytes;
  uint32_t heap_bytes;
  uint32_t block_bytes;
  uint32_t slots;
  uint32_t regions;
  uint64_t bytes;
  struct zcmem__shm_place place[ZCMEM__SHM_REGIONS];
};

/* A process. */
enum { ZCMEM__SLOT_FREE = 0, ZCMEM__SLOT_USED = 1, ZCMEM__SLOT_LEFT = 2 };
struct zcmem__shm_slot {
  struct zcmem__atomic_u32 state; /* stored last */
  uint32_t pid;
  uint64_t start;
};

/* What changes of a region, beside its heap. */
struct zcmem__shm_live {
  alignas(64) pthread_mutex_t mutex;
  alignas(64) struct zcmem__atomic_u32 version; /* odd while blocks change */
  alignas(64) struct zcmem__atomic_u32 seized;  /* how often all magazines were emptied; read by each free */
};

struct zcmem__shm_area {
  uint64_t magic; /* stored when all else is made */
  struct zcmem__shm_plan plan;
  alignas(64) pthread_mutex_t mutex; /* guards the slots; taken before any region's */
  struct zcmem__shm_slot slot[ZCMEM_SHM_MAX_PROCESSES];
  struct zcmem__shm_live live[ZCMEM__SHM_REGIONS];
};

/*
 * Fills the plan from these configs. EINVAL: they are not such that there could be an area, in one file that this host
 * can map. What a HAL finds wrong with a region is its affair.
 */
enum zcmem_status zcmem__shm_plan_make(const struct zcmem_region_config *regions, uint32_t count, uint32_t slots,
                                       struct zcmem__shm_plan *plan);

/* The config of a region of a plan, without what is each process's own. */
struct zcmem_region_config zcmem__shm_plan_config(const struct zcmem__shm_plan *plan, uint32_t region);

/* Whether a plan, copied from an area that nobody trusts, is the one that its own configs make. */
bool zcmem__shm_plan_valid(const struct zcmem__shm_plan *plan);

/* Whether an image has the header of the region's heap: enough for calls to stay in it, if blocks are in order. */
bool zcmem__shm_heap_valid(const struct zcmem__shm_plan *plan, uint32_t region, const struct zcmem_heap *heap);

/* Owner of a block, as a slot's number. */
static inline uint32_t zcmem__shm_owner(const struct zcmem__block *block) {
  return ZCMEM__GET(block->generation) >> ZCMEM__OWNER_SHIFT;
}
#endif

#endif
