/* SPDX-License-Identifier: MIT */
/* Counters by tag, and figures for a program whose structures are smaller. */
#include "hal_fixture.h"
#include <zcmem/zcmem.h>

static _Alignas(4096) unsigned char bytes[64 * KB];

static struct zcmem_hal *made_of(const struct zcmem_region_config *region, uint32_t flags) {
  const struct zcmem_hal_config config = {.name = "d", .max_regions = 1, .max_mappings = 2, .flags = flags};
  struct zcmem_hal *hal = NULL;
  assert_ok(zcmem_hal_create(&config, region, 1, &hal));
  return hal;
}

static struct zcmem_hal *one_region(uint32_t flags) {
  struct zcmem_region_config region = plain_region("dram", 0x100000, 64 * KB);
  region.max_blocks = 400;
  return made_of(&region, flags);
}

static hal_addr_t taken(struct zcmem_hal *hal, hal_size_t size, uint32_t tag) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc_tagged(hal, 0, size, 1, tag, &addr));
  return addr;
}

/* The tag's figures; of a tag that is not there all are 0. */
static struct zcmem_tag_stats tag_figures(struct zcmem_hal *hal, uint32_t tag) {
  struct zcmem_tag_stats tags[16];
  uint32_t count = 0;
  tags[0].struct_bytes = sizeof tags[0];
  assert_ok(zcmem_hal_tag_stats(hal, 0, tags, 16, &count));
  for (uint32_t i = 0; i < count; i++) {
    assert_true(i == 0 || tags[i - 1].tag < tags[i].tag);
    if (tags[i].tag == tag) {
      return tags[i];
    }
  }
  return (struct zcmem_tag_stats){.tag = tag};
}

static void test_counters_by_tag(void **state) {
  static uint64_t counters[2][3 * ZCMEM_TAG_BYTES / 8];
  struct zcmem_hal *hal = one_region(0);
  hal_addr_t first = taken(hal, 1000, 5), second, addr = 0;
  struct zcmem_tag_stats of;
  (void)state;
  assert_status(zcmem_hal_count_tags(NULL, 0, counters[0], sizeof counters[0]), ZCMEM_EINVAL);
  assert_status(zcmem_hal_count_tags(hal, 1, counters[0], sizeof counters[0]), ZCMEM_EINVAL);
  assert_status(zcmem_hal_count_tags(hal, 0, counters[0], ZCMEM_TAG_BYTES - 1), ZCMEM_EINVAL);
  assert_status(zcmem_hal_count_tags(hal, 0, (char *)counters[0] + 2, ZCMEM_TAG_BYTES), ZCMEM_EINVAL);
  assert_ok(zcmem_hal_count_tags(hal, 0, counters[0], sizeof counters[0] - 1)); /* two tags */
  of = tag_figures(hal, 5);                                                     /* what was there when counting began */
  assert_true(of.counted == 1 && of.live == 1 && of.peak == 1024 && of.allocations == 0);
  second = taken(hal, 3000, 5);
  (void)taken(hal, 1, 0); /* behind it */
  assert_ok(zcmem_mem_free(hal, first));
  first = taken(hal, 100, 5);
  of = tag_figures(hal, 5);
  assert_true(of.live == 2 && of.in_use == 3072 + 128 && of.requested == 3100 && of.largest == 3072);
  assert_true(of.peak == 4096 && of.allocations == 2);
  /* Refusals, by reason: another tag, of which no block ever lives. */
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 65 * KB, 1, 3, &addr), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 1, 3, 3, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 1, 1, 3, NULL), ZCMEM_EINVAL);
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_true(stats.failed_space == 1 && stats.failed_invalid == 2);
  of = tag_figures(hal, 3);
  assert_true(of.counted == 1 && of.failed_space == 1 && of.failed_invalid == 2 && of.live == 0 && of.peak == 0);
  /* No room for a third: what lives is told, and nothing of what was. */
  addr = taken(hal, 300, 4);
  of = tag_figures(hal, 4);
  assert_true(of.counted == 0 && of.live == 1 && of.peak == 384 && of.allocations == 0);
  /* Resizes. A block that gets another tag, and one that loses its own. */
  assert_ok(zcmem_mem_resize(hal, second, 1));
  assert_status(zcmem_mem_resize(hal, second, 65 * KB), ZCMEM_ENOSPC);
  assert_status(zcmem_mem_resize(hal, second, 16 * KB), ZCMEM_EFRAG);
  of = tag_figures(hal, 5);
  assert_true(of.in_use == 256 && of.peak == 4096 && of.failed_space == 1 && of.failed_fragmented == 1);
  assert_ok(zcmem_mem_resize(hal, second, 256));
  assert_ok(zcmem_mem_set_tag(hal, second, 3));
  of = tag_figures(hal, 3);
  assert_true(of.live == 1 && of.in_use == 256 && of.peak == 256 && of.allocations == 0);
  assert_ok(zcmem_mem_set_tag(hal, second, 0));
  assert_int_equal(tag_figures(hal, 5).in_use, 128);
  assert_true(tag_figures(hal, 3).live == 0 && tag_figures(hal, 3).peak == 256);
  /* Other memory, and none: what was counted is forgotten. */
  assert_ok(zcmem_hal_count_tags(hal, 0, counters[1], sizeof counters[1]));
  of = tag_figures(hal, 5);
  assert_true(of.counted == 1 && of.peak == 128 && of.failed_space == 0);
  assert_ok(zcmem_mem_set_tag(hal, addr, 0)); /* no tag is none, though there is room for a third */
  of = tag_figures(hal, 0);
  assert_true(of.live == 3 && of.counted == 0 && tag_figures(hal, 4).counted == 1);
  assert_ok(zcmem_hal_count_tags(hal, 0, NULL, 0));
  of = tag_figures(hal, 5);
  assert_true(of.counted == 0 && of.peak == 128);
  assert_int_equal(zcmem_hal_destroy(hal), 4);
}

/* Each way in which a block ends must be noticed: then the peak is that of one block, however many there were. */
static void test_counters_by_tag_see_every_free(void **state) {
  static uint64_t counters[4 * ZCMEM_TAG_BYTES / 8];
  (void)state;
  for (uint32_t flags = 0; flags <= ZCMEM_HAL_MAGAZINES; flags++) {
    struct zcmem_hal *hal = one_region(flags);
    assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
    for (int i = 0; i < 200; i++) {
      hal_addr_t addr = taken(hal, 512, 9), other = taken(hal, 512, 0);
      if (i % 4 == 0) {
        assert_ok(zcmem_mem_free(hal, addr));
      } else if (i % 4 == 1) {
        uint32_t freed = 0;
        assert_ok(zcmem_mem_free_batch(hal, &addr, 1, &freed));
      } else if (i % 4 == 2) {
        assert_ok(zcmem_mem_pin(hal, addr));
        assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
        assert_ok(zcmem_mem_free_deferred(hal, addr));
        assert_ok(zcmem_mem_unpin(hal, addr));
      } else {
        assert_ok(zcmem_mem_free_deferred(hal, addr));
        assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
      }
      assert_ok(zcmem_mem_free(hal, other));
    }
    struct zcmem_tag_stats of = tag_figures(hal, 9);
    assert_true(of.counted == 1 && of.live == 0 && of.peak == 512 && of.allocations == 200);
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

/* Blocks that got their tag before counting began, of threads that keep blocks. */
static void test_counters_by_tag_begin_late(void **state) {
  static uint64_t counters[2 * ZCMEM_TAG_BYTES / 8];
  struct zcmem_hal *hal = one_region(ZCMEM_HAL_MAGAZINES);
  hal_addr_t blocks[8];
  (void)state;
  for (int i = 0; i < 8; i++) {
    blocks[i] = taken(hal, 512, 9);
  }
  assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
  assert_int_equal(tag_figures(hal, 9).peak, 8 * 512);
  for (int i = 0; i < 8; i++) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
  for (int i = 0; i < 8; i++) {
    blocks[i] = taken(hal, 512, 9);
  }
  assert_int_equal(tag_figures(hal, 9).peak, 8 * 512);
  assert_int_equal(zcmem_hal_destroy(hal), 8);
}

/* A tag that no block has any more needs its place in the answer, too. */
static void test_no_room_for_what_is_kept_of_a_tag(void **state) {
  static uint64_t counters[2 * ZCMEM_TAG_BYTES / 8];
  struct zcmem_hal *hal = one_region(0);
  struct zcmem_tag_stats tags[2] = {{.struct_bytes = sizeof tags[0]}};
  uint32_t count = 77;
  (void)state;
  assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
  assert_ok(zcmem_mem_free(hal, taken(hal, 512, 9)));
  hal_addr_t addr = taken(hal, 512, 4), none = 0;
  assert_status(zcmem_mem_set_tag(hal, addr + 128, 9), ZCMEM_ENOENT);
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 65 * KB, 1, 5, &none), ZCMEM_ENOSPC); /* of which nothing is kept */
  assert_status(zcmem_hal_tag_stats(hal, 0, tags, 1, &count), ZCMEM_ENOMEM);
  assert_int_equal(count, 77);
  tags[0].struct_bytes = sizeof tags[0];
  assert_ok(zcmem_hal_tag_stats(hal, 0, tags, 2, &count));
  assert_int_equal(count, 2);
  assert_int_equal(zcmem_hal_destroy(hal), 1);
}

/* Where no lock can be had a request that was refused is not counted, but refused all the same. */
static void test_a_refusal_that_cannot_be_counted(void **state) {
  static uint64_t counters[2 * ZCMEM_TAG_BYTES / 8];
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_region_config region = plain_region("dram", 0x100000, 64 * KB);
  struct zcmem_hal *hal = NULL;
  hal_addr_t addr = 0;
  (void)state;
  fake_reset();
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
  (void)taken(hal, 512, 9);
  for (unsigned fails = 0; fails < 2; fails++) {
    fake.fail_lock_in = fails == 0 ? 0 : 2; /* that of the allocation is had, the next one is not */
    assert_status(zcmem_mem_alloc_tagged(hal, 0, 65 * KB, 1, 9, &addr), ZCMEM_ENOSPC);
    assert_int_equal(tag_figures(hal, 9).failed_space, 1);
  }
  assert_int_equal(zcmem_hal_destroy(hal), 1);
}

/* Red zones, poison and a quarantine change who frees a block, and when its place is free. */
static void test_counters_by_tag_with_hardening(void **state) {
  static uint64_t counters[2 * ZCMEM_TAG_BYTES / 8];
  struct zcmem_region_config region = plain_region("dram", 0x100000, 64 * KB);
  (void)state;
  region.max_blocks = 64;
  region.host = bytes;
  region.flags = ZCMEM_REGION_COHERENT | ZCMEM_REGION_HANDLES;
  struct zcmem_hal *hal = made_of(&region, 0);
  assert_status(zcmem_hal_count_tags(hal, 0, counters, sizeof counters), ZCMEM_EINVAL);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (int poison = 0; poison < 2; poison++) {
    region.flags = ZCMEM_REGION_COHERENT | (poison ? ZCMEM_REGION_POISON : 0);
    region.red_zone = 100;
    region.quarantine = 8 * KB;
    hal = made_of(&region, 0);
    assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
    for (int i = 0; i < 40; i++) {
      hal_addr_t addr = taken(hal, 1000, 9);
      if (i % 2 == 0) {
        assert_ok(zcmem_mem_pin(hal, addr));
        assert_ok(zcmem_mem_free_deferred(hal, addr));
        assert_ok(zcmem_mem_unpin(hal, addr));
      } else {
        assert_ok(zcmem_mem_free(hal, addr));
      }
    }
    hal_addr_t addr = taken(hal, 1000, 9);
    assert_ok(zcmem_mem_resize(hal, addr, 10));
    struct zcmem_tag_stats of = tag_figures(hal, 9);
    assert_true(of.live == 1 && of.requested == 10 && of.in_use == 128 && of.peak == 1152 && of.allocations == 41);
    assert_ok(zcmem_mem_free(hal, addr));
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

static int map_bytes(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)size;
  (void)flags;
  *host = bytes + (addr - 0x100000);
  return 0;
}

/* A region whose blocks zcmem_malloc maps one by one. */
static void test_counters_by_tag_of_mapped_blocks(void **state) {
  static uint64_t counters[2 * ZCMEM_TAG_BYTES / 8];
  const struct zcmem_region_ops ops = {.map = map_bytes};
  struct zcmem_region_config region = plain_region("dram", 0x100000, 64 * KB);
  (void)state;
  region.max_blocks = 64;
  region.flags = ZCMEM_REGION_COHERENT;
  region.ops = &ops;
  struct zcmem_hal *hal = made_of(&region, 0);
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
  for (int i = 0; i < 10; i++) {
    unsigned char *ptr = zcmem_malloc(ZCMEM_KIND_DRAM, 500);
    assert_non_null(ptr);
    assert_ok(zcmem_mem_set_tag(hal, 0x100000 + (hal_addr_t)(ptr - bytes), 9));
    zcmem_free(ZCMEM_KIND_DRAM, ptr);
  }
  struct zcmem_tag_stats of = tag_figures(hal, 9);
  assert_true(of.counted == 1 && of.live == 0 && of.peak == 512);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Blocks that get a tag although zcmem_malloc or a buffer made them. */
static void test_counters_by_tag_of_other_owners(void **state) {
  static uint64_t counters[2 * ZCMEM_TAG_BYTES / 8];
  struct zcmem_region_config region = plain_region("dram", 0x100000, 64 * KB);
  (void)state;
  region.max_blocks = 64;
  region.host = bytes;
  region.flags = ZCMEM_REGION_COHERENT;
  struct zcmem_hal *hal = made_of(&region, 0);
  const struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 2, .max_views = 2};
  struct zcmem_buffers *buffers = NULL;
  assert_ok(zcmem_buffers_init(memory, sizeof memory, &config, &buffers));
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_ok(zcmem_hal_count_tags(hal, 0, counters, sizeof counters));
  for (int i = 0; i < 10; i++) {
    unsigned char *ptr = zcmem_malloc(ZCMEM_KIND_DRAM, 500);
    assert_non_null(ptr);
    assert_ok(zcmem_mem_set_tag(hal, 0x100000 + (hal_addr_t)(ptr - bytes), 9));
    zcmem_free(ZCMEM_KIND_DRAM, ptr);
    const struct zcmem_buffer_config fresh = {.flags = ZCMEM_BUFFER_READ, .size = 500};
    struct zcmem_buffer_info info;
    zcmem_buffer_t buffer;
    assert_ok(zcmem_buffer_create(buffers, &fresh, &buffer));
    assert_ok(zcmem_buffer_get_info(buffers, buffer, &info));
    assert_ok(zcmem_mem_set_tag(hal, info.addr, 9));
    assert_ok(zcmem_buffer_release(buffers, buffer));
  }
  struct zcmem_tag_stats of = tag_figures(hal, 9);
  assert_true(of.counted == 1 && of.live == 0 && of.peak == 512 && of.allocations == 0);
  assert_ok(zcmem_malloc_set_hal(NULL));
  (void)zcmem_buffers_destroy(buffers);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_figures_of_an_older_program_are_a_part(void **state) {
  struct zcmem_hal *hal = one_region(0);
  struct { /* as it may once have been */
    size_t struct_bytes;
    uint32_t tag, counted;
    uint64_t used;
  } older[4];
  struct zcmem_free_stats free_stats;
  uint32_t count = 0;
  (void)state;
  memset(older, 0x5a, sizeof older);
  for (uint32_t i = 0; i < 3; i++) {
    assert_ok(zcmem_mem_pin(hal, taken(hal, 100, 3 - i)));
  }
  older[0].struct_bytes = sizeof older[0];
  assert_ok(zcmem_hal_tag_stats(hal, 0, (struct zcmem_tag_stats *)(void *)older, 3, &count));
  assert_int_equal(count, 3);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(older[i].struct_bytes, sizeof older[0]);
    assert_int_equal(older[i].tag, i + 1);
    assert_int_equal(older[i].used, 1);
  }
  assert_int_equal(older[3].used, UINT64_C(0x5a5a5a5a5a5a5a5a));
  memset(&free_stats, 0x5a, sizeof free_stats);
  free_stats.struct_bytes = offsetof(struct zcmem_free_stats, largest);
  assert_ok(zcmem_hal_free_stats(hal, 0, &free_stats));
  assert_int_equal(free_stats.bytes, 64 * KB - 3 * 128);
  assert_int_equal(free_stats.largest, UINT64_C(0x5a5a5a5a5a5a5a5a));
  assert_int_equal(zcmem_hal_destroy(hal), 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_counters_by_tag),
      cmocka_unit_test(test_counters_by_tag_see_every_free),
      cmocka_unit_test(test_counters_by_tag_with_hardening),
      cmocka_unit_test(test_counters_by_tag_begin_late),
      cmocka_unit_test(test_no_room_for_what_is_kept_of_a_tag),
      cmocka_unit_test(test_a_refusal_that_cannot_be_counted),
      cmocka_unit_test(test_counters_by_tag_of_other_owners),
      cmocka_unit_test(test_counters_by_tag_of_mapped_blocks),
      cmocka_unit_test(test_figures_of_an_older_program_are_a_part),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
