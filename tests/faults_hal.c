/* SPDX-License-Identifier: MIT */
/* Fault injection: making HALs and host devices, adding to them, and asking about them. */
#include "faults.h"
#include <stdalign.h>

#define HAL faults.hal
#define MAPPABLE (FAULTS_WAY(FAKE_OPS) | FAULTS_WAY(FAKE_MAP))

static alignas(64) unsigned char memory[32768];
static alignas(64) unsigned char image[FAULTS_IMAGE];
static struct zcmem_hal *another;
static struct zcmem_host_device *device;
static uint32_t index_of;

static struct zcmem_hal_config hal_config(const struct zcmem_host_allocator *allocator) {
  return (struct zcmem_hal_config){
      .name = "another", .max_regions = 2, .max_mappings = 2, .lock = &fake_lock, .allocator = allocator};
}

static struct zcmem_region_config region_config(const char *name, hal_addr_t base) {
  return (struct zcmem_region_config){
      .name = name, .kind = ZCMEM_KIND_DRAM, .base = base, .size = FAULTS_REGION, .max_blocks = 4};
}

/* ----------------------------------------------------------------------------------------------------- making -- */

static enum zcmem_status hal_bytes(void) {
  struct zcmem_hal_config config = hal_config(NULL);
  return zcmem_hal_bytes(&config) > 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status region_bytes(void) {
  struct zcmem_region_config config = region_config("third", UINT64_C(3) << 32);
  return zcmem_region_bytes(&config) > 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status init(void) {
  struct zcmem_hal_config config = hal_config(NULL);
  return zcmem_hal_init(memory, sizeof memory, &config, &another);
}

static enum zcmem_status create_with(const struct zcmem_host_allocator *allocator) {
  struct zcmem_hal_config config = hal_config(allocator);
  const struct zcmem_region_config configs[2] = {region_config("a", 4096), region_config("b", 65536)};
  return zcmem_hal_create(&config, configs, 2, &another);
}

static enum zcmem_status create(void) {
  return create_with(&fake_allocator);
}

static enum zcmem_status create_hosted(void) {
  return create_with(NULL);
}

static void make_another(void) {
  assert_ok(create());
}

static enum zcmem_status destroy(void) {
  return zcmem_hal_destroy(another) == 0 ? ZCMEM_OK : ZCMEM_EBUSY;
}

static void destroy_another(void) {
  assert_ok(destroy());
}

/* With a block that is mapped on demand: so there is a callback to fail. */
static void make_another_with_a_mapping(void) {
  struct zcmem_hal_config config = hal_config(&fake_allocator);
  struct zcmem_region_config region = region_config("a", faults.regions[0].base);
  hal_addr_t addr = 0;
  region.ops = HAL->regions[0].ops;
  region.ctx = &faults.regions[0];
  assert_ok(zcmem_hal_create(&config, &region, 1, &another));
  assert_ok(zcmem_mem_alloc(another, 0, 100, 1, &addr));
  assert_ok(zcmem_mem_map(another, addr, 100, ZCMEM_MAP_READ, &faults.host));
}

static enum zcmem_status destroy_with_one_live(void) {
  return zcmem_hal_destroy(another) == 1 ? ZCMEM_OK : ZCMEM_EBUSY;
}

static enum zcmem_status add_region(void) {
  struct zcmem_region_config config = region_config("b", 65536);
  return zcmem_hal_add_region(another, &config, &index_of);
}

static enum zcmem_status add_region_with_image(void) {
  struct zcmem_region_config config = region_config("b", 65536);
  config.image = image;
  config.image_bytes = sizeof image;
  return zcmem_hal_add_region(another, &config, &index_of);
}

/* Indices go up, so each call has a HAL of its own to add to. */
static void make_one_of_one_region(void) {
  struct zcmem_hal_config config = hal_config(&fake_allocator);
  const struct zcmem_region_config region = region_config("a", 4096);
  assert_ok(zcmem_hal_create(&config, &region, 1, &another));
}

static enum zcmem_status add_alias(void) {
  static unsigned char sight[FAULTS_BYTES];
  return zcmem_hal_add_alias(HAL, 0, 0, sizeof sight, sight);
}

/* ----------------------------------------------------------------------------------------------------- asking -- */

static enum zcmem_status name(void) {
  return strcmp(zcmem_hal_name(HAL), "fake") == 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status region_count(void) {
  return zcmem_hal_region_count(HAL) == 2 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status find_region(void) {
  return zcmem_hal_find_region(HAL, "second", &index_of);
}

static enum zcmem_status find_kind(void) {
  return zcmem_hal_find_kind(HAL, ZCMEM_KIND_DRAM, 1, &index_of);
}

static enum zcmem_status region_of(void) {
  return zcmem_hal_region_of(HAL, faults.addr, &index_of);
}

static enum zcmem_status region_info(void) {
  struct zcmem_region_info info;
  return zcmem_hal_region_info(HAL, 1, &info);
}

static enum zcmem_status region_stats(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  return zcmem_hal_region_stats(HAL, 1, &stats);
}

static enum zcmem_status check(void) {
  return zcmem_hal_check(HAL);
}

static enum zcmem_status status_string(void) {
  return zcmem_status_string(ZCMEM_EIO) != NULL ? ZCMEM_OK : ZCMEM_EINVAL;
}

/* ------------------------------------------------------------------------------------------- the host device -- */

static enum zcmem_status create_device_with(uint32_t flags, const struct zcmem_lock_ops *lock) {
  const struct zcmem_host_device_config config = {
      .dram_bytes = 65536, .msmc_bytes = 65536, .max_blocks = 16, .flags = flags, .lock = lock};
  return zcmem_host_device_create(&config, &device);
}

static enum zcmem_status create_device(void) {
  return create_device_with(0, &fake_lock);
}

static enum zcmem_status create_unmapped_device(void) {
  return create_device_with(ZCMEM_HOST_DEVICE_UNMAPPED_DRAM, NULL);
}

static void make_device(void) {
  assert_ok(create_device());
}

static enum zcmem_status destroy_device(void) {
  return zcmem_host_device_destroy(device) == 0 ? ZCMEM_OK : ZCMEM_EBUSY;
}

static void end_device(void) {
  assert_ok(destroy_device());
}

static enum zcmem_status hal_of_device(void) {
  return zcmem_host_device_hal(device) != NULL ? ZCMEM_OK : ZCMEM_EINVAL;
}

#define OP(function, variant, rules, prepare, call, undo)                                                              \
  { function, variant, FAULTS_HOST_WAY, FAULTS_HOST_WAY, rules, prepare, call, undo, NULL }

const struct faults_operation faults_hal[] = {
    OP("zcmem_hal_bytes", "", 0, NULL, hal_bytes, NULL),
    OP("zcmem_region_bytes", "", 0, NULL, region_bytes, NULL),
    OP("zcmem_hal_init", "", 0, NULL, init, destroy_another),
    OP("zcmem_hal_create", "", 0, NULL, create, destroy_another),
    OP("zcmem_hal_create", "with memory of calloc", 0, NULL, create_hosted, destroy_another),
    OP("zcmem_hal_destroy", "", 0, make_another, destroy, NULL),
    {"zcmem_hal_destroy", "with a range mapped on demand", MAPPABLE, FAULTS_HOST_WAY, FAULTS_IGNORED | FAULTS_MOVES,
     make_another_with_a_mapping, destroy_with_one_live, NULL, NULL},
    OP("zcmem_hal_add_region", "", 0, make_one_of_one_region, add_region, destroy_another),
    OP("zcmem_hal_add_region", "with the caller's image", 0, make_one_of_one_region, add_region_with_image,
       destroy_another),
    OP("zcmem_hal_add_alias", "", 0, NULL, add_alias, NULL),
    OP("zcmem_hal_name", "", 0, NULL, name, NULL),
    OP("zcmem_hal_region_count", "", 0, NULL, region_count, NULL),
    OP("zcmem_hal_find_region", "", 0, NULL, find_region, NULL),
    OP("zcmem_hal_find_kind", "", 0, NULL, find_kind, NULL),
    OP("zcmem_hal_region_of", "", 0, NULL, region_of, NULL),
    OP("zcmem_hal_region_info", "", 0, NULL, region_info, NULL),
    OP("zcmem_hal_region_stats", "", 0, NULL, region_stats, NULL),
    OP("zcmem_hal_check", "", 0, NULL, check, NULL),
    OP("zcmem_status_string", "", 0, NULL, status_string, NULL),
    OP("zcmem_host_device_create", "", 0, NULL, create_device, end_device),
    OP("zcmem_host_device_create", "unmapped, with mutexes", 0, NULL, create_unmapped_device, end_device),
    OP("zcmem_host_device_destroy", "", 0, make_device, destroy_device, NULL),
    OP("zcmem_host_device_hal", "", 0, make_device, hal_of_device, end_device),
    FAULTS_END};
