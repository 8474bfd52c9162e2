/* SPDX-License-Identifier: MIT */
/* Fault injection: areas that processes share, and snapshots of them. */
#define _GNU_SOURCE
#include "faults.h"
#include <unistd.h>
#include <zcmem/shm.h>

static struct zcmem_shm *area, *opened;
static struct zcmem_shm_snapshot *snapshot;
static hal_addr_t block;

static const char *area_name(void) {
  static char name[64];
  (void)snprintf(name, sizeof name, "/zcmem-faults-%ld", (long)getpid());
  return name;
}

static enum zcmem_status create_with(const char *name, uint32_t flags) {
  const struct zcmem_region_config regions[2] = {
      {.name = "a", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = FAULTS_REGION, .max_blocks = 4},
      {.name = "b", .kind = ZCMEM_KIND_MSMC, .base = 65536, .size = FAULTS_REGION, .max_blocks = 4}};
  const struct zcmem_shm_config config = {
      .name = name, .flags = flags, .max_processes = 3, .max_mappings = 2, .regions = regions, .region_count = 2};
  return zcmem_shm_create(&config, &area);
}

static enum zcmem_status create(void) {
  return create_with(area_name(), ZCMEM_SHM_RESERVE);
}

static enum zcmem_status create_without_name(void) {
  return create_with(NULL, 0);
}

static void make_area(void) {
  assert_ok(create_without_name());
  assert_ok(zcmem_mem_alloc(zcmem_shm_hal(area), 0, 100, 1, &block));
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(area), block));
}

static void make_named_area(void) {
  assert_ok(create());
}

static enum zcmem_status close_area(void) {
  return zcmem_shm_close(area);
}

static void end_area(void) {
  assert_ok(close_area());
}

static enum zcmem_status unlink_area(void) {
  return zcmem_shm_unlink(area_name());
}

static void end_named_area(void) {
  assert_ok(unlink_area());
  end_area();
}

static enum zcmem_status open_area(void) {
  const struct zcmem_shm_open_config config = {.fd = zcmem_shm_fd(area), .flags = ZCMEM_SHM_CHECK};
  return zcmem_shm_open(&config, &opened);
}

static void open_and_leave_a_block(void) {
  hal_addr_t left = 0;
  make_area();
  assert_ok(open_area());
  assert_ok(zcmem_mem_alloc(zcmem_shm_hal(opened), 1, 100, 1, &left));
  assert_ok(zcmem_shm_close(opened));
}

static void close_opened_too(void) {
  assert_ok(zcmem_shm_close(opened));
  end_area();
}

static enum zcmem_status hal_of(void) {
  return zcmem_shm_hal(area) != NULL ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status fd_of(void) {
  return zcmem_shm_fd(area) >= 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status own(void) {
  return zcmem_shm_own(area, block);
}

static enum zcmem_status share(void) {
  return zcmem_shm_share(area, block);
}

static enum zcmem_status get_owner(void) {
  struct zcmem_shm_process owner;
  return zcmem_shm_get_owner(area, block, &owner);
}

static enum zcmem_status reap(void) {
  struct zcmem_shm_reaped reaped;
  return zcmem_shm_reap(area, &reaped);
}

static enum zcmem_status check(void) {
  return zcmem_shm_check(area);
}

/* ------------------------------------------------------------------------------------------------- snapshots -- */

static enum zcmem_status take(void) {
  return zcmem_shm_snapshot_take(zcmem_shm_fd(area), &snapshot);
}

static enum zcmem_status take_by_name(void) {
  return zcmem_shm_snapshot_open(area_name(), &snapshot);
}

static void end_snapshot(void) {
  zcmem_shm_snapshot_close(snapshot);
  end_area();
}

static void end_snapshot_of_name(void) {
  zcmem_shm_snapshot_close(snapshot);
  end_named_area();
}

static void make_snapshot(void) {
  make_area();
  assert_ok(take());
}

static enum zcmem_status close_snapshot(void) {
  zcmem_shm_snapshot_close(snapshot);
  return ZCMEM_OK;
}

static enum zcmem_status regions_of_snapshot(void) {
  return zcmem_shm_snapshot_regions(snapshot) == 2 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status processes_of_snapshot(void) {
  return zcmem_shm_snapshot_processes(snapshot) == 3 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status get_region(void) {
  struct zcmem_shm_snapshot_region region;
  return zcmem_shm_snapshot_get_region(snapshot, 1, &region);
}

static enum zcmem_status get_process(void) {
  struct zcmem_shm_process process;
  return zcmem_shm_snapshot_get_process(snapshot, 1, &process);
}

static bool see_block(void *ctx, const struct zcmem_block_info *info, const struct zcmem_shm_process *owner) {
  *(unsigned *)ctx += info->state == ZCMEM_BLOCK_LIVE && owner->state == ZCMEM_SHM_ALIVE;
  return true;
}

static enum zcmem_status walk(void) {
  unsigned live = 0;
  enum zcmem_status status = zcmem_shm_snapshot_walk(snapshot, 0, see_block, &live);
  return live == 1 ? status : ZCMEM_EINVAL;
}

#define OP(function, variant, rules, prepare, call, undo)                                                              \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, rules, prepare, call, undo, NULL }

/* What pread does not tell of a row of uses is read where it is mapped. */
const struct faults_operation faults_shm[] = {
    OP("zcmem_shm_create", "", FAULTS_DETOUR, NULL, create, end_named_area),
    OP("zcmem_shm_create", "without a name", FAULTS_DETOUR, NULL, create_without_name, end_area),
    OP("zcmem_shm_open", "", FAULTS_DETOUR, make_area, open_area, close_opened_too),
    OP("zcmem_shm_close", "", FAULTS_CLOSED, make_area, close_area, NULL),
    OP("zcmem_shm_unlink", "", 0, make_named_area, unlink_area, end_area),
    OP("zcmem_shm_hal", "", 0, make_area, hal_of, end_area),
    OP("zcmem_shm_fd", "", 0, make_area, fd_of, end_area),
    OP("zcmem_shm_own", "", 0, make_area, own, end_area),
    OP("zcmem_shm_share", "", 0, make_area, share, end_area),
    OP("zcmem_shm_get_owner", "", 0, make_area, get_owner, end_area),
    OP("zcmem_shm_reap", "", 0, open_and_leave_a_block, reap, end_area),
    OP("zcmem_shm_check", "", FAULTS_DETOUR, make_area, check, end_area),
    OP("zcmem_shm_snapshot_take", "", 0, make_area, take, end_snapshot),
    OP("zcmem_shm_snapshot_open", "", 0, make_named_area, take_by_name, end_snapshot_of_name),
    OP("zcmem_shm_snapshot_close", "", 0, make_snapshot, close_snapshot, end_area),
    OP("zcmem_shm_snapshot_regions", "", 0, make_snapshot, regions_of_snapshot, end_snapshot),
    OP("zcmem_shm_snapshot_processes", "", 0, make_snapshot, processes_of_snapshot, end_snapshot),
    OP("zcmem_shm_snapshot_get_region", "", 0, make_snapshot, get_region, end_snapshot),
    OP("zcmem_shm_snapshot_get_process", "", 0, make_snapshot, get_process, end_snapshot),
    OP("zcmem_shm_snapshot_walk", "", 0, make_snapshot, walk, end_snapshot),
    FAULTS_END};
