/* SPDX-License-Identifier: MIT */
/* Areas that processes share: making and opening them, whose blocks and uses are whose, and what the dead leave. */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "heap_parts.h"
#include "shm_lock.h"

static char name_of_test[64];

/* ------------------------------------------------------------------------------------------ making and opening -- */

static void an_area_is_seen_from_two_processes(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4), *b = shm_again(a);
  struct zcmem_hal *hal_a = zcmem_shm_hal(a), *hal_b = zcmem_shm_hal(b);
  struct zcmem_region_info info;
  unsigned char got[300];
  void *at_a, *at_b;
  assert_int_equal(zcmem_hal_region_count(hal_b), 2);
  assert_ok(zcmem_hal_region_info(hal_b, 0, &info));
  assert_string_equal(info.name, "near");
  assert_true(info.mapped && info.kind == ZCMEM_KIND_DRAM && info.flags == ZCMEM_REGION_COHERENT);
  assert_ok(zcmem_hal_region_info(hal_b, 1, &info));
  assert_false(info.mapped); /* b was not told where */
  hal_addr_t addr = shm_alloc(a, sizeof got);
  assert_int_equal(addr, NEAR_BASE);
  for (unsigned i = 0; i < sizeof got; i++) {
    const unsigned char byte = (unsigned char)(i * 7);
    assert_ok(zcmem_mem_write(hal_a, addr + i, &byte, 1));
  }
  assert_ok(zcmem_mem_read(hal_b, got, addr, sizeof got));
  for (unsigned i = 0; i < sizeof got; i++) {
    assert_int_equal(got[i], (unsigned char)(i * 7));
  }
  assert_ok(zcmem_mem_host(hal_a, addr, sizeof got, &at_a));
  assert_ok(zcmem_mem_host(hal_b, addr, sizeof got, &at_b));
  assert_ptr_not_equal(at_a, at_b);
  assert_int_equal((uintptr_t)at_a % 4096, addr % 4096); /* so alignments up to a page are the same */
  ((unsigned char *)at_a)[17] = 99;
  assert_int_equal(((unsigned char *)at_b)[17], 99);
  assert_int_equal(shm_alloc(b, 1), NEAR_BASE + 384);
  assert_ok(zcmem_mem_resize(hal_b, addr, 200));
  assert_status(zcmem_mem_host(hal_a, addr, 201, &at_a), ZCMEM_EBOUNDS);
  assert_ok(zcmem_mem_free(hal_b, addr));
  assert_status(zcmem_mem_free(hal_a, addr), ZCMEM_ENOENT);
  assert_status(zcmem_mem_host(hal_a, addr, 1, &at_a), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_check(a));
  assert_ok(zcmem_hal_check(hal_b));
  assert_ok(zcmem_shm_close(b));
  assert_ok(zcmem_shm_close(a));
}

static void memory_elsewhere_is_reached_as_each_process_says(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4), *b = NULL;
  struct zcmem_shm_access access = {.region = "far", .host = shm_far};
  struct zcmem_shm_open_config config = {.fd = zcmem_shm_fd(a), .access = &access, .access_count = 1};
  hal_addr_t addr = 0;
  void *host;
  assert_ok(zcmem_shm_open(&config, &b));
  assert_ok(zcmem_mem_alloc(zcmem_shm_hal(a), 1, 100, 1, &addr));
  assert_ok(zcmem_mem_host(zcmem_shm_hal(b), addr, 100, &host));
  assert_ptr_equal(host, shm_far + (addr - FAR_BASE));
  assert_ok(zcmem_shm_close(b));
  access.region = "near"; /* the area has it itself */
  assert_status(zcmem_shm_open(&config, &b), ZCMEM_EINVAL);
  access.region = "nowhere";
  assert_status(zcmem_shm_open(&config, &b), ZCMEM_EINVAL);
  access.region = NULL;
  assert_status(zcmem_shm_open(&config, &b), ZCMEM_EINVAL);
  config.access = NULL;
  assert_status(zcmem_shm_open(&config, &b), ZCMEM_EINVAL);
  assert_ok(zcmem_shm_close(a));
}

static void names_and_permissions(void **state) {
  (void)state;
  struct zcmem_region_config region = {
      .name = "r", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 65536, .max_blocks = 10};
  struct zcmem_shm_config config = {.name = name_of_test, .regions = &region, .region_count = 1};
  struct zcmem_shm_open_config open_config = {.name = name_of_test};
  struct zcmem_shm *shm = NULL, *other = NULL;
  struct stat file;
  assert_status(zcmem_shm_open(&open_config, &shm), ZCMEM_ENOENT);
  assert_status(zcmem_shm_unlink(name_of_test), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_create(&config, &shm));
  assert_int_equal(fstat(zcmem_shm_fd(shm), &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  assert_status(zcmem_shm_create(&config, &other), ZCMEM_EBUSY);
  assert_ok(zcmem_shm_open(&open_config, &other));
  assert_ok(zcmem_shm_unlink(name_of_test));
  assert_status(zcmem_shm_open(&open_config, &other), ZCMEM_ENOENT);
  hal_addr_t addr = shm_alloc(other, 10); /* who has it open keeps it */
  assert_ok(zcmem_mem_free(zcmem_shm_hal(shm), addr));
  assert_ok(zcmem_shm_close(other));
  assert_ok(zcmem_shm_close(shm));
  const mode_t mask = umask(0777);
  config.mode = 0640;
  config.flags = ZCMEM_SHM_RESERVE;
  assert_ok(zcmem_shm_create(&config, &shm));
  (void)umask(mask);
  assert_int_equal(fstat(zcmem_shm_fd(shm), &file), 0);
  assert_int_equal(file.st_mode & 0777, 0640);
  assert_true((hal_size_t)file.st_blocks * 512 >= (hal_size_t)file.st_size);
  assert_ok(zcmem_shm_unlink(name_of_test));
  assert_ok(zcmem_shm_close(shm));
  assert_ok(zcmem_shm_close(NULL));
}

static void wrong_arguments(void **state) {
  (void)state;
  struct zcmem_region_config region = {
      .name = "r", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 65536, .max_blocks = 10};
  const struct zcmem_shm_config good = {.regions = &region, .region_count = 1};
  struct zcmem_shm_config config = good;
  struct zcmem_shm_open_config open_config = {.fd = -1};
  struct zcmem_shm *shm = NULL;
  struct zcmem_shm_process owner;
  assert_status(zcmem_shm_create(NULL, &shm), ZCMEM_EINVAL);
  assert_status(zcmem_shm_create(&good, NULL), ZCMEM_EINVAL);
  static const char *const names[] = {"", "/", "name", "/a/b", "//"};
  for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
    config = good;
    config.name = names[i];
    assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
    assert_status(zcmem_shm_unlink(names[i]), ZCMEM_EINVAL);
    open_config.name = names[i];
    assert_status(zcmem_shm_open(&open_config, &shm), ZCMEM_EINVAL);
  }
  char long_name[300];
  memset(long_name, 'x', sizeof long_name);
  long_name[0] = '/';
  long_name[sizeof long_name - 1] = '\0';
  assert_status(zcmem_shm_unlink(long_name), ZCMEM_EINVAL);
  assert_status(zcmem_shm_unlink(NULL), ZCMEM_EINVAL);
  config = good;
  config.flags = 2;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  config = good;
  config.mode = 01000;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  config = good;
  config.hal_flags = ~ZCMEM_HAL_MAGAZINES;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  config = good;
  config.max_processes = ZCMEM_SHM_MAX_PROCESSES + 1;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  config = good;
  config.region_count = 0;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  config.region_count = 65;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  config = good;
  config.regions = NULL;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  region.image = &region;
  assert_status(zcmem_shm_create(&good, &shm), ZCMEM_EINVAL);
  region.image = NULL;
  region.flags = ZCMEM_REGION_HANDLES;
  assert_status(zcmem_shm_create(&good, &shm), ZCMEM_EINVAL);
  region.flags = 0;
  region.red_zone = 16;
  assert_status(zcmem_shm_create(&good, &shm), ZCMEM_EINVAL);
  region.red_zone = 0;
  region.kind = 0;
  assert_status(zcmem_shm_create(&good, &shm), ZCMEM_EINVAL);
  region.kind = ZCMEM_KIND_DRAM;
  region.size = UINT64_MAX;
  assert_status(zcmem_shm_create(&good, &shm), ZCMEM_EINVAL);
  static const char *const letters[3] = {"a", "b", "c"};
  struct zcmem_region_config huge[3] = {region, region, region}; /* one that is too large for a file, and three */
  for (unsigned i = 0; i < 3; i++) {
    huge[i] = (struct zcmem_region_config){.name = letters[i],
                                           .kind = ZCMEM_KIND_DRAM,
                                           .base = (hal_addr_t)(i + 1) << 62,
                                           .size = (hal_size_t)1 << 62,
                                           .quantum = (hal_size_t)1 << 31,
                                           .max_blocks = 4};
  }
  config = good;
  config.regions = huge;
  config.region_count = 3;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL); /* their sum is more */
  config.region_count = 1;
  huge[0].base = 0;
  huge[0].size = (hal_size_t)3 << 62;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EINVAL);
  open_config = (struct zcmem_shm_open_config){.fd = -1};
  assert_status(zcmem_shm_open(&open_config, &shm), ZCMEM_EINVAL);
  assert_status(zcmem_shm_open(NULL, &shm), ZCMEM_EINVAL);
  open_config.fd = 0;
  assert_status(zcmem_shm_open(&open_config, NULL), ZCMEM_EINVAL);
  open_config.hal_flags = ~ZCMEM_HAL_MAGAZINES;
  assert_status(zcmem_shm_open(&open_config, &shm), ZCMEM_EINVAL);
  open_config.hal_flags = 0;
  open_config.fd = 12345;
  assert_status(zcmem_shm_open(&open_config, &shm), ZCMEM_EIO);
  open_config.flags = 1;
  assert_status(zcmem_shm_open(&open_config, &shm), ZCMEM_EINVAL);
  assert_null(zcmem_shm_hal(NULL));
  assert_int_equal(zcmem_shm_fd(NULL), -1);
  assert_status(zcmem_shm_own(NULL, 1), ZCMEM_EINVAL);
  assert_status(zcmem_shm_share(NULL, 1), ZCMEM_EINVAL);
  assert_status(zcmem_shm_get_owner(NULL, 1, &owner), ZCMEM_EINVAL);
  assert_status(zcmem_shm_reap(NULL, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_shm_check(NULL), ZCMEM_EINVAL);
  assert_null(shm);
}

static void two_regions_that_overlap_are_refused(void **state) {
  (void)state;
  const struct zcmem_region_config regions[2] = {
      {.name = "a", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 65536, .max_blocks = 10},
      {.name = "b", .kind = ZCMEM_KIND_DRAM, .base = 8192, .size = 65536, .max_blocks = 10}};
  const struct zcmem_shm_config config = {.name = name_of_test, .regions = regions, .region_count = 2};
  struct zcmem_shm *shm = NULL;
  assert_status(zcmem_shm_create(&config, &shm), ZCMEM_EOVERLAP);
  assert_status(zcmem_shm_unlink(name_of_test), ZCMEM_ENOENT); /* nothing is left */
}

/* ---------------------------------------------------------------------------------------------- whose is what -- */

static void uses_belong_to_their_process(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4), *b = shm_again(a);
  struct zcmem_hal *hal_a = zcmem_shm_hal(a), *hal_b = zcmem_shm_hal(b);
  struct zcmem_block_info info;
  hal_addr_t addr = shm_alloc(a, 1000);
  void *host;
  assert_ok(zcmem_mem_pin(hal_a, addr + 5));
  assert_status(zcmem_mem_unpin(hal_b, addr), ZCMEM_EBUSY);
  assert_status(zcmem_mem_free(hal_b, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_mem_pin(hal_b, addr));
  assert_ok(zcmem_mem_map(hal_b, addr, 10, ZCMEM_MAP_READ, &host));
  assert_ok(zcmem_mem_info(hal_a, addr, &info));
  assert_int_equal(info.pins, 3);
  assert_ok(zcmem_mem_unpin(hal_a, addr));
  assert_status(zcmem_mem_unpin(hal_a, addr), ZCMEM_EBUSY);
  assert_ok(zcmem_shm_check(a));
  assert_ok(zcmem_mem_unmap(hal_b, host));
  assert_ok(zcmem_mem_free_deferred(hal_a, addr));
  assert_status(zcmem_mem_unpin(hal_a, addr), ZCMEM_EBUSY);
  assert_int_equal(shm_live(a), 1);
  assert_ok(zcmem_mem_unpin(hal_b, addr)); /* the last one frees it */
  assert_status(zcmem_mem_unpin(hal_b, addr), ZCMEM_ENOENT);
  assert_int_equal(shm_live(a), 0);
  assert_status(zcmem_mem_unpin(hal_b, NEAR_BASE - 64), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_check(b));
  assert_ok(zcmem_shm_close(a));
  assert_ok(zcmem_shm_close(b));
}

static void assert_owner(struct zcmem_shm *shm, hal_addr_t addr, enum zcmem_shm_state state, uint32_t slot) {
  struct zcmem_shm_process owner;
  assert_ok(zcmem_shm_get_owner(shm, addr, &owner));
  assert_int_equal(owner.state, state);
  assert_int_equal(owner.slot, slot);
  assert_int_equal(owner.pid, slot == 0 ? 0 : (uint32_t)getpid());
}

static void blocks_have_owners(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4), *b = shm_again(a);
  struct zcmem_shm_process owner;
  hal_addr_t addr = shm_alloc(a, 1000), other = shm_alloc(b, 1);
  assert_owner(b, addr, ZCMEM_SHM_ALIVE, 1);
  assert_owner(a, other, ZCMEM_SHM_ALIVE, 2);
  assert_ok(zcmem_shm_own(b, addr));
  assert_owner(a, addr, ZCMEM_SHM_ALIVE, 2);
  assert_ok(zcmem_shm_share(a, other));
  assert_owner(a, other, ZCMEM_SHM_SHARED, 0);
  assert_status(zcmem_shm_own(a, addr + 1), ZCMEM_ENOENT);
  assert_status(zcmem_shm_share(a, 1), ZCMEM_ENOENT);
  assert_status(zcmem_shm_get_owner(a, addr, NULL), ZCMEM_EINVAL);
  assert_ok(zcmem_mem_resize(zcmem_shm_hal(a), addr, 10)); /* is no handover */
  assert_owner(a, addr, ZCMEM_SHM_ALIVE, 2);
  /* Whose that is nobody can say: only an area that was not checked has it. */
  struct zcmem_heap *heap = b->part[0].shared.heap;
  struct zcmem__block *block = zcmem__block(heap, zcmem__heap_find(heap, addr));
  block->generation &= ZCMEM__GENERATION;
  assert_owner(a, addr, ZCMEM_SHM_NOBODY, 0);
  assert_status(zcmem_shm_check(a), ZCMEM_ECORRUPT);
  assert_ok(zcmem_mem_free(zcmem_shm_hal(a), addr));
  assert_status(zcmem_shm_get_owner(a, addr, &owner), ZCMEM_ENOENT);
  assert_ok(zcmem_shm_close(b));
  assert_ok(zcmem_shm_close(a));
}

static char dumped[8192];

static int keep_text(void *ctx, const char *text, size_t bytes) {
  size_t *used = ctx;
  assert_true(*used + bytes < sizeof dumped);
  memcpy(dumped + *used, text, bytes);
  *used += bytes;
  dumped[*used] = '\0';
  return 0;
}

static void a_dump_names_owners(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4), *b = shm_again(a);
  const char *const owners[] = {"\"state\":\"live\",\"tag\":0,\"pins\":0,\"transfers\":0,\"owner\":1,\"pid\":%u}",
                                "\"state\":\"live\",\"tag\":0,\"pins\":1,\"transfers\":0,\"owner\":2,\"pid\":%u}",
                                "\"state\":\"live\",\"tag\":0,\"pins\":0,\"transfers\":0,\"owner\":255,\"pid\":0}"};
  size_t used = 0;
  (void)shm_alloc(a, 1000);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(b), shm_alloc(b, 1)));
  assert_ok(zcmem_shm_share(a, shm_alloc(a, 1)));
  assert_ok(zcmem_hal_dump(zcmem_shm_hal(a), keep_text, &used));
  for (int i = 0; i < 3; i++) {
    char line[160];
    (void)snprintf(line, sizeof line, owners[i], (unsigned)getpid());
    assert_non_null(strstr(dumped, line));
  }
  assert_non_null(strstr(dumped, "\"state\":\"free\",\"tag\":0,\"pins\":0,\"transfers\":0,\"owner\":0,\"pid\":0}"));
  assert_ok(zcmem_shm_close(b));
  assert_ok(zcmem_shm_close(a));
}

/* What one process counts another one would not see. */
static void tags_are_not_counted(void **state) {
  static uint64_t memory[ZCMEM_TAG_BYTES / 8];
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4);
  assert_status(zcmem_hal_count_tags(zcmem_shm_hal(a), 0, memory, sizeof memory), ZCMEM_EINVAL);
  assert_ok(zcmem_shm_close(a));
}

static void closing_leaves_blocks_for_a_reap(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 4), *b = shm_again(a);
  struct zcmem_shm_reaped reaped;
  hal_addr_t kept = shm_alloc(b, 1000), pinned = shm_alloc(b, 300), shared = shm_alloc(b, 1), taken = shm_alloc(b, 1);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(b), kept));
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(a), pinned));
  assert_ok(zcmem_shm_share(b, shared));
  assert_ok(zcmem_shm_own(a, taken));
  assert_ok(zcmem_shm_reap(a, &reaped)); /* all are there */
  assert_int_equal(reaped.processes + reaped.blocks + reaped.refused, 0);
  assert_ok(zcmem_shm_close(b));
  assert_int_equal(shm_live(a), 4);
  assert_ok(zcmem_shm_reap(a, &reaped));
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(reaped.bytes, 1024);
  assert_int_equal(reaped.refused, 1);
  assert_int_equal(reaped.processes, 0);
  assert_int_equal(reaped.pins, 0); /* which ended with close */
  assert_status(zcmem_mem_free(zcmem_shm_hal(a), kept), ZCMEM_ENOENT);
  assert_owner(a, pinned, ZCMEM_SHM_GONE, 2);
  b = shm_again(a); /* the slot is not free yet */
  assert_owner(b, shm_alloc(b, 1), ZCMEM_SHM_ALIVE, 3);
  assert_ok(zcmem_mem_unpin(zcmem_shm_hal(a), pinned));
  assert_ok(zcmem_shm_reap(b, &reaped));
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(reaped.processes, 1);
  assert_int_equal(shm_live(a), 3);
  assert_ok(zcmem_shm_check(a));
  assert_ok(zcmem_shm_close(a));
  assert_ok(zcmem_shm_close(b));
}

/* ------------------------------------------------------------------------------------------------------ deaths -- */

struct life {
  struct zcmem_shm *shm;
  hal_addr_t addr;
};

static void allocate_and_end(void *ctx) {
  struct life *life = ctx;
  struct zcmem_hal *hal = zcmem_shm_hal(life->shm);
  struct zcmem_shm_process owner;
  hal_addr_t addr = 0;
  void *host;
  SHM_REQUIRE(zcmem_mem_alloc(hal, 0, 5000, 1, &addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_shm_get_owner(life->shm, addr, &owner) == ZCMEM_OK);
  SHM_REQUIRE(owner.slot == 2 && owner.pid == (uint32_t)getpid() && owner.state == ZCMEM_SHM_ALIVE);
  SHM_REQUIRE(zcmem_mem_pin(hal, addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_mem_pin(hal, life->addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_mem_map(hal, life->addr, 10, ZCMEM_MAP_WRITE, &host) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_mem_unpin(hal, life->addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_mem_free_deferred(hal, life->addr) == ZCMEM_OK);
}

static void what_a_child_of_fork_leaves_is_reaped(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, 4);
  struct life life = {shm, shm_alloc(shm, 100)};
  struct zcmem_shm_reaped reaped;
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), life.addr));
  assert_int_equal(shm_child(allocate_and_end, &life), 0);
  assert_int_equal(shm_live(shm), 2);
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.processes, 1);
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(reaped.bytes, 5120);
  assert_int_equal(reaped.pins, 2);
  assert_int_equal(reaped.transfers, 0);
  assert_int_equal(reaped.refused, 0);
  assert_int_equal(shm_live(shm), 1); /* our pin keeps the zombie */
  assert_ok(zcmem_mem_unpin(zcmem_shm_hal(shm), life.addr));
  assert_int_equal(shm_live(shm), 0);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

static void die_as_the_last_user_of_a_zombie(void *ctx) {
  struct life *life = ctx;
  SHM_REQUIRE(zcmem_mem_pin(zcmem_shm_hal(life->shm), life->addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_mem_free_deferred(zcmem_shm_hal(life->shm), life->addr) == ZCMEM_OK);
  (void)raise(SIGKILL);
}

/* A child of fork that gets no slot of its own can do nothing, and its parent's things stay what they are. */
static void call_without_a_slot(void *ctx) {
  struct zcmem_shm *shm = ctx;
  struct zcmem_shm_process owner;
  hal_addr_t addr = 0;
  SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(shm), 0, 100, 1, &addr) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_mem_free(zcmem_shm_hal(shm), NEAR_BASE) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_own(shm, NEAR_BASE) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_get_owner(shm, NEAR_BASE, &owner) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_reap(shm, NULL) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_check(shm) == ZCMEM_ELOCK);
  SHM_REQUIRE(zcmem_shm_close(shm) == ZCMEM_OK);
}

static void a_child_without_a_slot(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, 1);
  hal_addr_t addr = shm_alloc(shm, 100);
  assert_int_equal(addr, NEAR_BASE);
  assert_int_equal(shm_child(call_without_a_slot, shm), 0);
  assert_owner(shm, addr, ZCMEM_SHM_ALIVE, 1);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

/* Rows of uses that are longer than what is read of them at once, and say what cannot be. */
static void uses_of_nothing(void **state) {
  (void)state;
  const struct zcmem_region_config region = {
      .name = "r", .kind = ZCMEM_KIND_DRAM, .base = NEAR_BASE, .size = NEAR_BYTES, .max_blocks = 4096};
  const struct zcmem_shm_config config = {.max_processes = 3, .regions = &region, .region_count = 1};
  struct zcmem_shm *shm = NULL, *other = NULL;
  assert_ok(zcmem_shm_create(&config, &shm));
  const uint64_t row = shm->part[0].row;
  uint32_t *uses = shm->part[0].uses;
  assert_true(row > 2048);
  for (uint64_t at = 100; at < row; at += 1023) { /* of the slot in use, of blocks that never were */
    uses[at] = ZCMEM__PIN;
    assert_status(zcmem_shm_check(shm), ZCMEM_ECORRUPT);
    uses[at] = 0;
  }
  assert_ok(zcmem_shm_check(shm));
  for (uint64_t at = 0; at < row; at++) { /* of one that is free: cleared when it is taken */
    uses[row + at] = ZCMEM__PIN;
  }
  assert_ok(shm_open_fd(zcmem_shm_fd(shm), 0, &other));
  for (uint64_t at = 0; at < row; at++) {
    assert_int_equal(uses[row + at], 0);
  }
  assert_ok(zcmem_shm_check(other));
  assert_ok(zcmem_shm_close(other));
  assert_ok(zcmem_shm_close(shm));
}

/* What no call of the library makes, in an area that a process opens. */
static void areas_that_are_no_good_are_refused(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, 3), *other = NULL;
  struct zcmem_heap *heap = shm->part[0].shared.heap;
  heap->shared = ZCMEM__SHARED_ONE;
  assert_status(shm_open_fd(zcmem_shm_fd(shm), 0, &other), ZCMEM_ECORRUPT);
  heap->shared = ZCMEM__SHARED_NOT;
#ifdef __GLIBC__
  pthread_mutex_t *mutexes[2] = {&shm->area->mutex, shm->part[1].mutex};
  for (unsigned i = 0; i < 2; i++) { /* one that is not robust would be waited for for ever */
    const int kind = mutexes[i]->__data.__kind;
    mutexes[i]->__data.__kind = 0;
    assert_status(shm_open_fd(zcmem_shm_fd(shm), 0, &other), ZCMEM_ECORRUPT);
    mutexes[i]->__data.__kind = kind;
  }
#endif
  assert_null(other);
  assert_ok(shm_open_fd(zcmem_shm_fd(shm), 0, &other));
  assert_ok(zcmem_shm_close(other));
  assert_ok(zcmem_shm_close(shm));
}

static void a_zombie_that_only_the_dead_used_becomes_free(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, 4);
  struct life life = {shm, shm_alloc(shm, 100)};
  struct zcmem_shm_reaped reaped;
  assert_true(WIFSIGNALED(shm_child(die_as_the_last_user_of_a_zombie, &life)));
  assert_int_equal(shm_live(shm), 1);
  assert_ok(zcmem_shm_reap(shm, &reaped));
  assert_int_equal(reaped.pins, 1);
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(shm_live(shm), 0);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

/* With the lock held, in the middle of an allocation, and of two counts of uses. */
static void die_with_the_lock(void *ctx) {
  struct life *life = ctx;
  struct zcmem__shm_part *part = &life->shm->part[0];
  struct zcmem__version version = {part->shared.version};
  SHM_REQUIRE(zcmem__shm_slots_enter(life->shm) && zcmem__shm_lock_take(part) == ZCMEM_OK);
  struct zcmem_heap *heap = part->shared.heap;
  zcmem__atomic_change(&version);
  hal_addr_t addr = 0;
  SHM_REQUIRE(zcmem_heap_alloc(heap, 100, 1, &addr) == ZCMEM_OK);
  SHM_REQUIRE(zcmem_heap_pin(heap, addr) == ZCMEM_OK);              /* not in the table yet */
  part->shared.uses[zcmem__heap_tail_of(heap) / ZCMEM__ID] = 12345; /* of a free block: not forgotten yet */
  heap->free_quanta = 7;
  heap->summary[0] = ~UINT64_C(0);
  zcmem__block(heap, ZCMEM__NIL)->prev = 0;
  (void)raise(SIGKILL);
}

static void who_takes_the_lock_of_the_dead_repairs(void **state) {
  (void)state;
  struct zcmem_shm *shm = shm_make(NULL, 8), *other = shm_again(shm);
  struct life life = {shm, 0};
  struct zcmem_shm_reaped reaped;
  struct zcmem_block_info info;
  hal_addr_t pinned = shm_alloc(shm, 100), freed = shm_alloc(shm, 100);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(other), pinned));
  assert_ok(zcmem_mem_free(zcmem_shm_hal(shm), freed));
  for (unsigned i = 0; i < 3; i++) {
    assert_true(WIFSIGNALED(shm_child(die_with_the_lock, &life)));
    assert_ok(zcmem_mem_info(zcmem_shm_hal(other), pinned, &info)); /* the version is odd: it takes the lock */
    assert_int_equal(info.pins, 1);
    assert_ok(zcmem_shm_check(other));
    assert_int_equal(shm_live(shm), 2 + i);
  }
  assert_ok(zcmem_shm_reap(other, &reaped));
  assert_int_equal(reaped.processes, 3);
  assert_int_equal(reaped.blocks, 3);
  assert_int_equal(reaped.pins, 0);
  assert_int_equal(shm_live(shm), 1);
  assert_ok(zcmem_shm_close(shm));
  assert_ok(zcmem_shm_close(other));
}

static void die(void *ctx) {
  struct life *life = ctx;
  SHM_REQUIRE(zcmem_mem_alloc(zcmem_shm_hal(life->shm), 0, 100, 1, &life->addr) == ZCMEM_OK);
  if (life->addr == NEAR_BASE) {
    SHM_REQUIRE(zcmem_mem_free(zcmem_shm_hal(life->shm), life->addr) == ZCMEM_OK);
  }
  (void)raise(SIGKILL);
}

static void slots_run_out_and_come_back(void **state) {
  (void)state;
  struct zcmem_shm *a = shm_make(NULL, 2), *b = NULL;
  struct life life = {a, 0};
  struct zcmem_shm_reaped reaped;
  assert_true(WIFSIGNALED(shm_child(die, &life))); /* has nothing when it dies */
  b = shm_again(a);
  struct zcmem_shm *c = NULL;
  assert_status(shm_open_fd(zcmem_shm_fd(a), 0, &c), ZCMEM_ENOMEM);
  assert_ok(zcmem_shm_close(b));
  hal_addr_t block = shm_alloc(a, 1);
  assert_true(WIFSIGNALED(shm_child(die, &life))); /* has a block */
  assert_status(shm_open_fd(zcmem_shm_fd(a), 0, &c), ZCMEM_ENOMEM);
  assert_ok(zcmem_shm_reap(a, &reaped));
  assert_int_equal(reaped.blocks, 1);
  assert_int_equal(reaped.processes, 1);
  c = shm_again(a);
  assert_ok(zcmem_mem_free(zcmem_shm_hal(c), block));
  assert_ok(zcmem_shm_close(c));
  assert_ok(zcmem_shm_close(a));
}

static int name_the_test(void **state) {
  (void)state;
  (void)snprintf(name_of_test, sizeof name_of_test, "/zcmem-test-%ld", (long)getpid());
  return 0;
}

int main(void) {
  if (!shm_knows_the_dead()) {
    print_message("SKIP: no mutex survives its owner here\n");
    return 77;
  }
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_area_is_seen_from_two_processes),
      cmocka_unit_test(memory_elsewhere_is_reached_as_each_process_says),
      cmocka_unit_test(names_and_permissions),
      cmocka_unit_test(wrong_arguments),
      cmocka_unit_test(two_regions_that_overlap_are_refused),
      cmocka_unit_test(uses_belong_to_their_process),
      cmocka_unit_test(blocks_have_owners),
      cmocka_unit_test(a_dump_names_owners),
      cmocka_unit_test(tags_are_not_counted),
      cmocka_unit_test(closing_leaves_blocks_for_a_reap),
      cmocka_unit_test(what_a_child_of_fork_leaves_is_reaped),
      cmocka_unit_test(a_child_without_a_slot),
      cmocka_unit_test(uses_of_nothing),
      cmocka_unit_test(areas_that_are_no_good_are_refused),
      cmocka_unit_test(a_zombie_that_only_the_dead_used_becomes_free),
      cmocka_unit_test(who_takes_the_lock_of_the_dead_repairs),
      cmocka_unit_test(slots_run_out_and_come_back),
  };
  return cmocka_run_group_tests(tests, name_the_test, NULL);
}
