/* SPDX-License-Identifier: MIT */
/* Areas that processes share: making, opening, closing them. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "host_memory.h"
#include "shm_own.h"

#ifdef ZCMEM__SHM
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE_DEFAULT 0600u
#define NAME_MOST 255u

static enum zcmem_status status_of(int error) {
  switch (error) {
  case EEXIST:
    return ZCMEM_EBUSY;
  case ENOENT:
    return ZCMEM_ENOENT;
  case ENOMEM:
  case ENOSPC:
  case EMFILE:
  case ENFILE:
    return ZCMEM_ENOMEM;
  default:
    return ZCMEM_EIO;
  }
}

static bool is_name(const char *name) {
  const size_t length = strnlen(name, NAME_MOST + 2u);
  return name[0] == '/' && length >= 2 && length <= NAME_MOST && strchr(name + 1, '/') == NULL;
}

/* -------------------------------------------------------------------------------- what open and create share -- */

static void forget_area(struct zcmem_shm *shm) {
  if (shm->area != NULL) {
    (void)munmap(shm->area, shm->bytes);
  }
  if (shm->fd >= 0) {
    (void)close(shm->fd);
  }
  zcmem__host_memory.free(zcmem__host_memory.ctx, shm, sizeof *shm);
}

static struct zcmem_shm *begin_area(void) {
  struct zcmem_shm *shm = zcmem__host_memory.alloc(zcmem__host_memory.ctx, sizeof *shm);
  if (shm != NULL) {
    shm->fd = -1;
  }
  return shm;
}

static enum zcmem_status map_area(struct zcmem_shm *shm, uint64_t bytes) {
  void *memory = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, shm->fd, 0);
  if (memory == MAP_FAILED) {
    return status_of(errno);
  }
  shm->area = memory;
  shm->bytes = (size_t)bytes;
  return ZCMEM_OK;
}

/* For zcmem_hal_dump. The region is the first thing in its part. */
static uint32_t pid_of(const struct zcmem__shared *shared, uint32_t owner) {
  const struct zcmem_shm *shm = ((const struct zcmem__shm_part *)(const void *)shared)->shm;
  return owner == 0 || owner > shm->slots ? 0 : ZCMEM__GET(shm->area->slot[owner - 1].pid);
}

/* Where the parts of each region are in this process. The plan is one that can be relied on. */
static void open_parts(struct zcmem_shm *shm, const struct zcmem__shm_plan *plan) {
  unsigned char *memory = (unsigned char *)shm->area;
  shm->slots = plan->slots;
  shm->regions = plan->regions;
  for (uint32_t i = 0; i < plan->regions; i++) {
    const struct zcmem__shm_place *place = &plan->place[i];
    struct zcmem__shm_part *part = &shm->part[i];
    part->shm = shm;
    part->mutex = &shm->area->live[i].mutex;
    part->uses = (uint32_t *)(void *)(memory + place->uses_at);
    part->row = place->uses_row;
    part->image_bytes = (size_t)place->image_bytes;
    part->shared.heap = (struct zcmem_heap *)(void *)(memory + place->image_at);
    part->shared.version = &shm->area->live[i].version;
    part->shared.uses = part->uses;
    part->shared.seized = &shm->area->live[i].seized;
    part->shared.kept = (struct zcmem__kept *)(void *)(memory + place->kept_at);
    part->shared.slots = plan->slots;
    part->shared.ids = place->uses_row < UINT32_MAX / ZCMEM__ID ? (uint32_t)place->uses_row * ZCMEM__ID
                                                                : UINT32_MAX / ZCMEM__ID * ZCMEM__ID;
    part->shared.pid_of = pid_of;
    zcmem__shm_lock_open(part, &part->shared.lock);
  }
}

/* The HAL, whose regions are the area's. access: how this process reaches those that have their memory elsewhere. */
static enum zcmem_status open_hal(struct zcmem_shm *shm, const struct zcmem__shm_plan *plan, uint32_t max_mappings,
                                  uint32_t hal_flags, const struct zcmem_shm_access *access[ZCMEM__SHM_REGIONS]) {
  const struct zcmem_hal_config config = {
      .name = "shared", .flags = hal_flags, .max_regions = plan->regions, .max_mappings = max_mappings};
  enum zcmem_status status = zcmem_hal_create(&config, NULL, 0, &shm->hal);
  for (uint32_t i = 0; i < plan->regions && status == ZCMEM_OK; i++) {
    struct zcmem_region_config region = zcmem__shm_plan_config(plan, i);
    region.image = shm->part[i].shared.heap;
    region.image_bytes = shm->part[i].image_bytes;
    if (plan->place[i].backed != 0) {
      region.host = (unsigned char *)shm->area + plan->place[i].memory_at;
    } else if (access[i] != NULL) {
      region.host = access[i]->host;
      region.ops = access[i]->ops;
      region.ctx = access[i]->ctx;
    }
    status = zcmem__hal_add_region(shm->hal, &region, &shm->part[i].shared, NULL);
  }
  if (status != ZCMEM_OK) {
    (void)zcmem_hal_destroy(shm->hal);
    shm->hal = NULL;
  }
  return status;
}

/* From the first magazines on `use` changes without the lock, so all processes swap it. */
static enum zcmem_status allow_magazines(struct zcmem_shm *shm) {
  enum zcmem_status status = ZCMEM_OK;
  for (uint32_t i = 0; i < shm->regions && status == ZCMEM_OK; i++) {
    struct zcmem__shm_part *part = &shm->part[i];
    if (shm->hal->regions[i].depot == NULL) {
      continue;
    }
    status = zcmem__shm_lock_take(part);
    if (status == ZCMEM_OK) {
      part->shared.heap->shared = ZCMEM__SHARED_PROCESSES;
      zcmem__shm_lock_drop(part);
    }
  }
  return status;
}

/* Takes a slot; where there is none, one of a process that is gone and left nothing. */
static enum zcmem_status join(struct zcmem_shm *shm) {
  struct zcmem_shm_reaped reaped = {0};
  if (!zcmem__shm_slots_lock(shm)) {
    return ZCMEM_ELOCK;
  }
  enum zcmem_status status = zcmem__shm_slots_claim(shm);
  if (status == ZCMEM_ENOMEM) {
    enum zcmem_status left = zcmem__shm_own_leave_gone(shm, ZCMEM__SHM_ENDS, &reaped);
    status = left == ZCMEM_OK ? zcmem__shm_slots_claim(shm) : left;
  }
  if (status == ZCMEM_OK && (status = allow_magazines(shm)) != ZCMEM_OK) {
    zcmem__atomic_publish(&shm->area->slot[zcmem__atomic_acquire(&shm->slot) - 1].state, ZCMEM__SLOT_LEFT);
  }
  zcmem__shm_slots_unlock(shm);
  return status;
}

/* ------------------------------------------------------------------------------------------------------ create -- */

/* The file: exclusive, of the mode asked for whatever the umask, as long as the area, all zero. */
static enum zcmem_status make_file(struct zcmem_shm *shm, const struct zcmem_shm_config *config, uint64_t bytes) {
  const mode_t mode = (mode_t)(config->mode == 0 ? MODE_DEFAULT : config->mode);
  int error = 0;
  shm->fd = config->name == NULL ? memfd_create("zcmem", MFD_CLOEXEC | MFD_ALLOW_SEALING)
                                 : shm_open(config->name, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (shm->fd < 0) {
    return status_of(errno);
  }
  if (fchmod(shm->fd, mode) != 0 || ftruncate(shm->fd, (off_t)bytes) != 0) {
    error = errno;
  } else if ((config->flags & ZCMEM_SHM_RESERVE) != 0) {
    error = posix_fallocate(shm->fd, 0, (off_t)bytes);
  }
  if (error == 0 && config->name == NULL) { /* nobody can take the memory from under those who have it mapped */
    (void)fcntl(shm->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
  }
  return error == 0 ? ZCMEM_OK : status_of(error);
}

static enum zcmem_status make_area(struct zcmem_shm *shm, const struct zcmem__shm_plan *plan) {
  struct zcmem__shm_area *area = shm->area;
  area->plan = *plan;
  enum zcmem_status status = zcmem__shm_lock_make(&area->mutex);
  for (uint32_t i = 0; i < plan->regions && status == ZCMEM_OK; i++) {
    const struct zcmem_region_config region = zcmem__shm_plan_config(plan, i);
    struct zcmem_heap_config config = zcmem__region_heap_config(&region);
    struct zcmem_heap *heap;
    config.flags = ZCMEM_HEAP_ZEROED;
    status = zcmem_heap_init(shm->part[i].shared.heap, shm->part[i].image_bytes, &config, &heap);
    if (status == ZCMEM_OK) {
      status = zcmem__shm_lock_make(&area->live[i].mutex);
    }
  }
  return status;
}

static enum zcmem_status create_area(struct zcmem_shm *shm, const struct zcmem_shm_config *config,
                                     const struct zcmem__shm_plan *plan) {
  const struct zcmem_shm_access *access[ZCMEM__SHM_REGIONS] = {NULL};
  struct zcmem_shm_access own[ZCMEM__SHM_REGIONS];
  for (uint32_t i = 0; i < plan->regions; i++) {
    const struct zcmem_region_config *region = &config->regions[i];
    own[i] = (struct zcmem_shm_access){region->name, region->host, region->ops, region->ctx};
    access[i] = &own[i];
  }
  enum zcmem_status status = map_area(shm, plan->bytes);
  if (status == ZCMEM_OK) {
    open_parts(shm, plan);
    status = make_area(shm, plan);
  }
  if (status == ZCMEM_OK) {
    status = open_hal(shm, plan, config->max_mappings, config->hal_flags, access);
  }
  if (status == ZCMEM_OK) {
    status = join(shm);
  }
  if (status == ZCMEM_OK) { /* from here on others may open it */
    __atomic_store_n(&shm->area->magic, ZCMEM__SHM_MAGIC, __ATOMIC_RELEASE);
  }
  return status;
}

enum zcmem_status zcmem_shm_create(const struct zcmem_shm_config *config, struct zcmem_shm **shm) {
  struct zcmem__shm_plan plan;
  if (config == NULL || shm == NULL || config->regions == NULL || (config->flags & ~ZCMEM_SHM_RESERVE) != 0 ||
      (config->hal_flags & ~ZCMEM_HAL_MAGAZINES) != 0 || (config->mode & ~0777u) != 0 ||
      (config->name != NULL && !is_name(config->name))) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status =
      zcmem__shm_plan_make(config->regions, config->region_count,
                           config->max_processes == 0 ? ZCMEM_SHM_PROCESSES_DEFAULT : config->max_processes, &plan);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem_shm *made = begin_area();
  if (made == NULL) {
    return ZCMEM_ENOMEM;
  }
  status = make_file(made, config, plan.bytes);
  const bool named = made->fd >= 0 && config->name != NULL;
  if (status == ZCMEM_OK) {
    status = create_area(made, config, &plan);
  }
  if (status == ZCMEM_OK) {
    *shm = made;
    return ZCMEM_OK;
  }
  if (named) {
    (void)shm_unlink(config->name);
  }
  (void)zcmem_hal_destroy(made->hal);
  forget_area(made);
  return status;
}

/* -------------------------------------------------------------------------------------------------------- open -- */

/* Copies the header and compares it with what it should be: what counts from here on is the copy. */
static enum zcmem_status read_plan(struct zcmem_shm *shm, struct zcmem__shm_plan *plan) {
  struct stat file;
  if (fstat(shm->fd, &file) != 0) {
    return status_of(errno);
  }
  if (!S_ISREG(file.st_mode)) {
    return ZCMEM_ECORRUPT;
  }
  if (file.st_size < (off_t)sizeof(struct zcmem__shm_area)) {
    return file.st_size == 0 ? ZCMEM_EBUSY : ZCMEM_ECORRUPT;
  }
  enum zcmem_status status = map_area(shm, sizeof(struct zcmem__shm_area));
  if (status != ZCMEM_OK) {
    return status;
  }
  const uint64_t magic = __atomic_load_n(&shm->area->magic, __ATOMIC_ACQUIRE);
  memcpy(plan, &shm->area->plan, sizeof *plan);
  if (magic != ZCMEM__SHM_MAGIC) {
    return magic == 0 ? ZCMEM_EBUSY : ZCMEM_ECORRUPT;
  }
  if (!zcmem__shm_plan_valid(plan) || (uint64_t)file.st_size < plan->bytes) {
    return ZCMEM_ECORRUPT;
  }
  (void)munmap(shm->area, shm->bytes);
  shm->area = NULL;
  return map_area(shm, plan->bytes);
}

static enum zcmem_status check_area(const struct zcmem_shm *shm, const struct zcmem__shm_plan *plan) {
  enum zcmem_status status = zcmem__shm_lock_check(&shm->area->mutex);
  for (uint32_t i = 0; i < shm->regions && status == ZCMEM_OK; i++) {
    status = zcmem__shm_lock_check(shm->part[i].mutex);
    if (status == ZCMEM_OK && !zcmem__shm_heap_valid(plan, i, shm->part[i].shared.heap)) {
      status = ZCMEM_ECORRUPT;
    }
  }
  return status;
}

/* Which access is which region's. */
static enum zcmem_status sort_access(const struct zcmem_shm_open_config *config, const struct zcmem__shm_plan *plan,
                                     const struct zcmem_shm_access *access[ZCMEM__SHM_REGIONS]) {
  for (uint32_t k = 0; k < config->access_count; k++) {
    const struct zcmem_shm_access *given = &config->access[k];
    uint32_t i = 0;
    while (i < plan->regions && (given->region == NULL || strcmp(plan->place[i].name, given->region) != 0)) {
      i++;
    }
    if (i == plan->regions || plan->place[i].backed != 0) {
      return ZCMEM_EINVAL;
    }
    access[i] = given;
  }
  return ZCMEM_OK;
}

static enum zcmem_status open_area(struct zcmem_shm *shm, const struct zcmem_shm_open_config *config) {
  const struct zcmem_shm_access *access[ZCMEM__SHM_REGIONS] = {NULL};
  struct zcmem__shm_plan plan;
  enum zcmem_status status = read_plan(shm, &plan);
  if (status == ZCMEM_OK) {
    open_parts(shm, &plan);
    status = check_area(shm, &plan);
  }
  if (status == ZCMEM_OK) {
    status = sort_access(config, &plan, access);
  }
  if (status == ZCMEM_OK) {
    status = open_hal(shm, &plan, config->max_mappings, config->hal_flags, access);
    if (status == ZCMEM_EINVAL || status == ZCMEM_EOVERLAP) { /* of what the access says there is nothing wrong */
      status = config->access_count == 0 ? ZCMEM_ECORRUPT : status;
    }
  }
  return status;
}

enum zcmem_status zcmem_shm_open(const struct zcmem_shm_open_config *config, struct zcmem_shm **shm) {
  if (config == NULL || shm == NULL || (config->flags & ~ZCMEM_SHM_CHECK) != 0 ||
      (config->hal_flags & ~ZCMEM_HAL_MAGAZINES) != 0 ||
      (config->name == NULL ? config->fd < 0 : !is_name(config->name)) ||
      (config->access_count > 0 && config->access == NULL)) {
    return ZCMEM_EINVAL;
  }
  struct zcmem_shm *made = begin_area();
  if (made == NULL) {
    return ZCMEM_ENOMEM;
  }
  made->fd = config->name == NULL ? fcntl(config->fd, F_DUPFD_CLOEXEC, 0) : shm_open(config->name, O_RDWR, 0);
  enum zcmem_status status = made->fd >= 0 ? open_area(made, config) : status_of(errno);
  if (status == ZCMEM_OK && (config->flags & ZCMEM_SHM_CHECK) != 0) {
    status = zcmem__shm_own_check(made);
  }
  if (status == ZCMEM_OK) {
    status = join(made);
  }
  if (status == ZCMEM_OK) {
    *shm = made;
    return ZCMEM_OK;
  }
  (void)zcmem_hal_destroy(made->hal);
  forget_area(made);
  return status;
}

/* ----------------------------------------------------------------------------------------------- close, unlink -- */

enum zcmem_status zcmem_shm_close(struct zcmem_shm *shm) {
  enum zcmem_status status = ZCMEM_OK;
  if (shm == NULL) {
    return ZCMEM_OK;
  }
  /* A child of fork that made no call has nothing, and what is its parent's is not its to end. */
  const bool forked = zcmem__shm_slots_forked(shm);
  if (!forked) {
    struct zcmem_shm_reaped reaped = {0};
    const uint32_t slot = zcmem__atomic_acquire(&shm->slot);
    (void)zcmem_hal_destroy(shm->hal);
    if (zcmem__shm_slots_lock(shm)) {
      status = zcmem__shm_own_leave(shm, slot, ZCMEM__SHM_ENDS, &reaped);
      zcmem__shm_slots_unlock(shm);
    } else {
      status = ZCMEM_ELOCK;
      zcmem__atomic_publish(&shm->area->slot[slot - 1].state, ZCMEM__SLOT_LEFT);
    }
  } else {
    (void)zcmem_hal_destroy(shm->hal);
  }
  forget_area(shm);
  return status;
}

enum zcmem_status zcmem_shm_unlink(const char *name) {
  if (name == NULL || !is_name(name)) {
    return ZCMEM_EINVAL;
  }
  return shm_unlink(name) == 0 ? ZCMEM_OK : status_of(errno);
}

struct zcmem_hal *zcmem_shm_hal(const struct zcmem_shm *shm) {
  return shm == NULL ? NULL : shm->hal;
}

int zcmem_shm_fd(const struct zcmem_shm *shm) {
  return shm == NULL ? -1 : shm->fd;
}
#else
typedef int zcmem__shm_empty; /* ISO C wants something in each file */
#endif
