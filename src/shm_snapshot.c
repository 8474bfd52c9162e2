/* SPDX-License-Identifier: MIT */
/*
 * Areas as seen by somebody who only reads the file: not even mapped, since a look at a page that nobody has touched
 * would make one. A region's image is read between two equal, even versions, else made whole in the copy.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "host_memory.h"
#include "shm_slots.h"

#ifdef ZCMEM__SHM
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SNAPSHOT_TRIES 64u
#define PAUSE 100000 /* nanoseconds between two, where the region was changing */

struct zcmem_shm_snapshot {
  struct zcmem__shm_plan plan;
  struct zcmem_heap *heap[ZCMEM__SHM_REGIONS];
  bool whole[ZCMEM__SHM_REGIONS];
  struct zcmem_shm_process process[ZCMEM_SHM_MAX_PROCESSES];
};

static enum zcmem_status read_all(int fd, void *to, uint64_t bytes, uint64_t at) {
  unsigned char *into = to;
  while (bytes > 0) {
    ssize_t done = pread(fd, into, (size_t)bytes, (off_t)at);
    if (done < 0 && errno != EINTR) {
      return ZCMEM_EIO;
    }
    if (done == 0) {
      return ZCMEM_ECORRUPT;
    }
    if (done > 0) {
      into += done;
      at += (uint64_t)done;
      bytes -= (uint64_t)done;
    }
  }
  return ZCMEM_OK;
}

static enum zcmem_status read_version(int fd, uint32_t region, uint32_t *version) {
  return read_all(fd, version, sizeof *version,
                  offsetof(struct zcmem__shm_area, live) + region * sizeof(struct zcmem__shm_live) +
                      offsetof(struct zcmem__shm_live, version));
}

static enum zcmem_status read_plan_of(struct zcmem_shm_snapshot *snapshot, int fd) {
  struct stat file;
  uint64_t magic = 0;
  if (fstat(fd, &file) != 0) {
    return errno == ENOMEM ? ZCMEM_ENOMEM : ZCMEM_EIO;
  }
  if (!S_ISREG(file.st_mode)) {
    return ZCMEM_ECORRUPT;
  }
  enum zcmem_status status = read_all(fd, &magic, sizeof magic, 0);
  if (status == ZCMEM_OK && magic != ZCMEM__SHM_MAGIC) {
    return magic == 0 ? ZCMEM_EBUSY : ZCMEM_ECORRUPT;
  }
  if (status == ZCMEM_OK) {
    status = read_all(fd, &snapshot->plan, sizeof snapshot->plan, offsetof(struct zcmem__shm_area, plan));
  }
  if (status == ZCMEM_OK && !zcmem__shm_plan_valid(&snapshot->plan)) {
    status = ZCMEM_ECORRUPT;
  }
  return status;
}

/* After the regions: whoever owns a block there is known by now, unless he has gone and was reaped meanwhile. */
static enum zcmem_status read_processes(struct zcmem_shm_snapshot *snapshot, int fd) {
  struct zcmem__shm_slot slots[ZCMEM_SHM_MAX_PROCESSES];
  enum zcmem_status status = read_all(fd, slots, sizeof slots, offsetof(struct zcmem__shm_area, slot));
  for (uint32_t slot = 1; status == ZCMEM_OK && slot <= snapshot->plan.slots; slot++) {
    snapshot->process[slot - 1] = zcmem__shm_slots_describe(slots, slot);
  }
  return status;
}

/* Whether the copy is whole, or could be made so. */
static enum zcmem_status make_whole(struct zcmem_shm_snapshot *snapshot, uint32_t region) {
  const struct zcmem__shm_place *place = &snapshot->plan.place[region];
  const struct zcmem_heap_config config = {place->base, place->size, place->quantum, place->max_blocks, 0};
  struct zcmem_heap *heap = snapshot->heap[region];
  snapshot->whole[region] = zcmem__shm_heap_valid(&snapshot->plan, region, heap) &&
                            zcmem_heap_check_detail(heap, (size_t)place->image_bytes, NULL) == ZCMEM_OK;
  enum zcmem_status status = ZCMEM_OK;
  if (!snapshot->whole[region]) {
    status = zcmem_heap_repair(heap, (size_t)place->image_bytes, &config, 0, NULL);
  }
  if (status != ZCMEM_OK) {
    status = zcmem_heap_repair(heap, (size_t)place->image_bytes, &config, ZCMEM_REPAIR_DAMAGED, NULL);
  }
  if (status == ZCMEM_OK) {
    zcmem__heap_count_slack(heap);
  }
  return status;
}

static enum zcmem_status read_region(struct zcmem_shm_snapshot *snapshot, int fd, uint32_t region) {
  const struct zcmem__shm_place *place = &snapshot->plan.place[region];
  enum zcmem_status status = ZCMEM_OK;
  bool settled = false;
  snapshot->heap[region] = zcmem__host_memory.alloc(zcmem__host_memory.ctx, (size_t)place->image_bytes);
  if (snapshot->heap[region] == NULL) {
    return ZCMEM_ENOMEM;
  }
  for (uint32_t tries = 0; tries < SNAPSHOT_TRIES && status == ZCMEM_OK && !settled; tries++) {
    uint32_t before = 0, after = 0;
    if (tries > 0) {
      (void)nanosleep(&(struct timespec){0, PAUSE}, NULL);
    }
    status = read_version(fd, region, &before);
    if (status == ZCMEM_OK) {
      status = read_all(fd, snapshot->heap[region], place->image_bytes, place->image_at);
    }
    if (status == ZCMEM_OK) {
      status = read_version(fd, region, &after);
    }
    settled = before == after && (before & 1u) == 0;
  }
  return status == ZCMEM_OK ? make_whole(snapshot, region) : status;
}

enum zcmem_status zcmem_shm_snapshot_take(int fd, struct zcmem_shm_snapshot **snapshot) {
  if (snapshot == NULL) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_shm_snapshot *taken = zcmem__host_memory.alloc(zcmem__host_memory.ctx, sizeof *taken);
  if (taken == NULL) {
    return ZCMEM_ENOMEM;
  }
  enum zcmem_status status = read_plan_of(taken, fd);
  for (uint32_t i = 0; status == ZCMEM_OK && i < taken->plan.regions; i++) {
    status = read_region(taken, fd, i);
  }
  if (status == ZCMEM_OK) {
    status = read_processes(taken, fd);
  }
  if (status == ZCMEM_OK) {
    *snapshot = taken;
  } else {
    zcmem_shm_snapshot_close(taken);
  }
  return status;
}

enum zcmem_status zcmem_shm_snapshot_open(const char *name, struct zcmem_shm_snapshot **snapshot) {
  if (name == NULL || snapshot == NULL) {
    return ZCMEM_EINVAL;
  }
  int fd = shm_open(name, O_RDONLY | O_NONBLOCK, 0); /* a pipe of that name, which anybody may make, keeps nobody */
  if (fd < 0) {
    switch (errno) {
    case ENOENT:
      return ZCMEM_ENOENT;
    case EINVAL:
      return ZCMEM_EINVAL;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ZCMEM_ENOMEM;
    default:
      return ZCMEM_EIO;
    }
  }
  enum zcmem_status status = zcmem_shm_snapshot_take(fd, snapshot);
  (void)close(fd);
  return status;
}

void zcmem_shm_snapshot_close(struct zcmem_shm_snapshot *snapshot) {
  for (uint32_t i = 0; snapshot != NULL && i < ZCMEM__SHM_REGIONS; i++) {
    zcmem__host_memory.free(zcmem__host_memory.ctx, snapshot->heap[i], 0);
  }
  zcmem__host_memory.free(zcmem__host_memory.ctx, snapshot, sizeof *snapshot);
}

uint32_t zcmem_shm_snapshot_regions(const struct zcmem_shm_snapshot *snapshot) {
  return snapshot == NULL ? 0 : snapshot->plan.regions;
}

uint32_t zcmem_shm_snapshot_processes(const struct zcmem_shm_snapshot *snapshot) {
  return snapshot == NULL ? 0 : snapshot->plan.slots;
}

enum zcmem_status zcmem_shm_snapshot_get_region(const struct zcmem_shm_snapshot *snapshot, uint32_t index,
                                                struct zcmem_shm_snapshot_region *region) {
  if (region == NULL || index >= zcmem_shm_snapshot_regions(snapshot)) {
    return ZCMEM_EINVAL;
  }
  const struct zcmem__shm_place *place = &snapshot->plan.place[index];
  memset(region, 0, sizeof *region);
  zcmem__name_copy(region->info.name, place->name);
  (void)zcmem_heap_get_info(snapshot->heap[index], &region->heap);
  region->info.index = index;
  region->info.kind = place->kind;
  region->info.flags = place->flags;
  region->info.max_blocks = region->heap.max_blocks;
  region->info.base = region->heap.base;
  region->info.size = region->heap.size;
  region->info.quantum = region->heap.quantum;
  region->info.cache_line = place->cache_line;
  region->info.mapped = place->backed != 0;
  region->largest = zcmem_heap_largest(snapshot->heap[index]);
  region->whole = snapshot->whole[index];
  return ZCMEM_OK;
}

enum zcmem_status zcmem_shm_snapshot_get_process(const struct zcmem_shm_snapshot *snapshot, uint32_t slot,
                                                 struct zcmem_shm_process *process) {
  if (process == NULL || slot == 0 || slot > zcmem_shm_snapshot_processes(snapshot)) {
    return ZCMEM_EINVAL;
  }
  *process = snapshot->process[slot - 1];
  return ZCMEM_OK;
}

struct walk {
  const struct zcmem_shm_snapshot *snapshot;
  const struct zcmem_heap *heap;
  bool (*visit)(void *ctx, const struct zcmem_block_info *block, const struct zcmem_shm_process *owner);
  void *ctx;
};

static bool visit_with_owner(void *ctx, const struct zcmem_block_info *block) {
  const struct walk *walk = ctx;
  struct zcmem_shm_process owner = {.state = ZCMEM_SHM_NOBODY};
  if (block->state == ZCMEM_BLOCK_LIVE || block->state == ZCMEM_BLOCK_CACHED) {
    const uint32_t slot = zcmem__shm_owner(zcmem__block_const(walk->heap, zcmem__heap_find(walk->heap, block->addr)));
    if (slot == ZCMEM__SHM_SHARED) {
      owner.state = ZCMEM_SHM_SHARED;
    } else if (slot != 0 && slot <= walk->snapshot->plan.slots) {
      owner = walk->snapshot->process[slot - 1];
      if (owner.state == ZCMEM_SHM_NOBODY) {
        owner.state = ZCMEM_SHM_GONE;
      }
    }
  }
  return walk->visit(walk->ctx, block, &owner);
}

enum zcmem_status zcmem_shm_snapshot_walk(const struct zcmem_shm_snapshot *snapshot, uint32_t index,
                                          bool (*visit)(void *ctx, const struct zcmem_block_info *block,
                                                        const struct zcmem_shm_process *owner),
                                          void *ctx) {
  if (visit == NULL || index >= zcmem_shm_snapshot_regions(snapshot)) {
    return ZCMEM_EINVAL;
  }
  struct walk walk = {snapshot, snapshot->heap[index], visit, ctx};
  return zcmem_heap_walk(walk.heap, visit_with_owner, &walk);
}
#else
typedef int zcmem__shm_snapshot_empty; /* ISO C wants something in each file */
#endif
