/* SPDX-License-Identifier: MIT */
/*
 * Aliases: what the host sees of a region in further places, and where a host pointer leads to, of whatever sight.
 */
#include "map_fixture.h"

/* Two windows of 2048 bytes, with something between and around them. */
static unsigned char space[8192];
static unsigned char *const near_window = space + 1024, *const far_window = space + 5120;

static void add(uint32_t region, hal_addr_t from, hal_size_t size, void *host) {
  assert_ok(zcmem_hal_add_alias(hal, region, from - regions[region].base, size, host));
}

/* What zcmem_mem_locate and zcmem_mem_device say of a pointer is the same, and takes no lock. */
static struct zcmem_place place_of(const void *ptr) {
  struct zcmem_place place;
  hal_addr_t addr = 0;
  hal_size_t rest = 0;
  unsigned locks = fake.lock_calls;
  assert_ok(zcmem_mem_locate(hal, ptr, &place));
  assert_ok(zcmem_mem_device(hal, ptr, &addr, &rest));
  assert_int_equal(fake.lock_calls, locks);
  assert_int_equal(place.addr, addr);
  assert_int_equal(place.remaining, rest);
  return place;
}

static void assert_nowhere(const void *ptr, enum zcmem_status want) {
  struct zcmem_place place = {.region = 77};
  hal_addr_t addr = 77;
  hal_size_t rest = 77;
  assert_status(zcmem_mem_locate(hal, ptr, &place), want);
  assert_status(zcmem_mem_device(hal, ptr, &addr, &rest), want);
  assert_int_equal(place.region, 77);
  assert_int_equal(addr, 77);
  assert_int_equal(rest, 77);
}

/* Several sights of one block each lead to it, from any byte on, whether the region has a host pointer or no way at
 * all. */
static void test_every_sight_of_a_block_leads_to_it(void **state) {
  static const uint32_t of[] = {HOST, NOTHING};
  (void)state;
  for (int i = 0; i < 2; i++) {
    close_hal();
    open_hal(MAPPINGS);
    hal_addr_t first = alloc(of[i], 1000), second = alloc(of[i], 500);
    add(of[i], first, 2048, near_window);
    add(of[i], first, 2048, far_window);
    assert_int_equal(second, first + 1024);
    unsigned char *const sights[] = {near_window, far_window, fake_at(&regions[of[i]], first)};
    for (int sight = 0; sight < (of[i] == HOST ? 3 : 2); sight++) {
      for (hal_size_t at = 0; at < 2048; at += 37) {
        hal_addr_t block = at < 1024 ? first : second;
        hal_size_t end = at < 1024 ? 1000 : 1024 + 500;
        if (at >= 1024 + 512) {
          assert_nowhere(sights[sight] + at, ZCMEM_ENOENT);
          continue;
        }
        struct zcmem_place place = place_of(sights[sight] + at);
        assert_int_equal(place.region, of[i]);
        assert_int_equal(place.addr, first + at);
        assert_int_equal(place.remaining, at < end ? end - at : 0);
        assert_int_equal(place.block, block);
        assert_int_equal(place.requested, at < 1024 ? 1000 : 500);
      }
    }
    assert_nowhere(near_window - 1, ZCMEM_ENOTMAPPED);
    assert_nowhere(far_window + 2048, ZCMEM_ENOTMAPPED);
    assert_ok(zcmem_mem_free(hal, first));
    assert_nowhere(near_window + 5, ZCMEM_ENOENT);
    assert_ok(zcmem_mem_free(hal, second));
  }
}

/* Where the sight ends before the block does, it is what remains. */
static void test_an_alias_of_a_part_of_a_block(void **state) {
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000);
  add(COPYING, addr + 100, 300, near_window);
  add(COPYING, addr + 200, 100, far_window);
  assert_int_equal(place_of(near_window).addr, addr + 100);
  assert_int_equal(place_of(near_window).remaining, 300);
  assert_int_equal(place_of(near_window + 299).remaining, 1);
  assert_int_equal(place_of(near_window).block, addr);
  assert_int_equal(place_of(near_window).requested, 1000);
  assert_int_equal(place_of(far_window + 30).addr, addr + 230);
  assert_int_equal(place_of(far_window + 30).remaining, 70);
  assert_nowhere(near_window + 300, ZCMEM_ENOTMAPPED);
  assert_nowhere(far_window + 100, ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_mem_free(hal, addr));
}

/* It stays: neither an unmap nor a free of the block ends it. */
static void test_an_alias_is_there_for_good(void **state) {
  (void)state;
  hal_addr_t addr = alloc(COPYING, 1000);
  add(COPYING, addr, 1000, near_window);
  assert_status(zcmem_mem_unmap(hal, near_window), ZCMEM_ENOTMAPPED);
  assert_int_equal(pins_of(addr), 0);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(alloc(COPYING, 100), addr);
  assert_int_equal(place_of(near_window + 10).remaining, 90);
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_which_aliases_are_refused(void **state) {
  (void)state;
  assert_ok(zcmem_hal_add_alias(hal, NOTHING, 100, 200, near_window + 100));
  assert_status(zcmem_hal_add_alias(NULL, NOTHING, 0, 1, far_window), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, REGIONS, 0, 1, far_window), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 0, far_window), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, BYTES + 1, far_window), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, BYTES, 1, far_window), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 2, UINT64_MAX, far_window), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 100, (void *)(UINTPTR_MAX - 98)), ZCMEM_EINVAL);
  unsigned char *seen = regions[HOST].memory;
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 1, seen), ZCMEM_EOVERLAP);
  assert_status(zcmem_hal_add_alias(hal, HOST, 0, 2, seen + BYTES - 1), ZCMEM_EOVERLAP);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 101, near_window), ZCMEM_EOVERLAP);
  assert_status(zcmem_hal_add_alias(hal, HOST, 0, 10, near_window + 299), ZCMEM_EOVERLAP);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 10, near_window + 150), ZCMEM_EOVERLAP);
  fake.fail_lock_in = 1;
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 1, far_window), ZCMEM_ELOCK);
  assert_nowhere(far_window, ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_hal_add_alias(hal, NOTHING, 0, 100, near_window));
  assert_ok(zcmem_hal_add_alias(hal, NOTHING, 0, 100, near_window + 300));
}

/* Aliases and ranges mapped on demand share max_mappings; a HAL that has none can have no alias. */
static void test_as_many_as_agreed(void **state) {
  void *host = NULL;
  (void)state;
  hal_addr_t addr = alloc(DIRECT, 100);
  for (unsigned i = 1; i < MAPPINGS; i++) {
    assert_ok(zcmem_hal_add_alias(hal, NOTHING, 0, 10, near_window + 10 * i));
  }
  assert_ok(zcmem_mem_map(hal, addr, 100, RW, &host));
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 10, far_window), ZCMEM_ENOMEM);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_hal_add_alias(hal, NOTHING, 0, 10, far_window));
  assert_status(zcmem_mem_map(hal, addr, 100, RW, &host), ZCMEM_ENOMEM);
  assert_ok(zcmem_mem_free(hal, addr));
  close_hal();
  open_hal(0);
  assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 10, far_window), ZCMEM_ENOMEM);
}

/* An alias that lies differently in a cache line than its region would have lines end elsewhere. */
static void test_an_alias_lies_in_lines_as_its_region_does(void **state) {
  static _Alignas(64) unsigned char window[256];
  const struct zcmem_region_config config = {
      .name = "lines", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 4096, .max_blocks = 4, .cache_line = 64};
  const struct zcmem_hal_config of = {
      .name = "lines", .max_regions = 1, .max_mappings = 2, .lock = &fake_lock, .allocator = &fake_allocator};
  struct zcmem_hal *lines = NULL;
  (void)state;
  assert_ok(zcmem_hal_create(&of, &config, 1, &lines));
  assert_status(zcmem_hal_add_alias(lines, 0, 0, 64, window + 32), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_alias(lines, 0, 1, 64, window), ZCMEM_EINVAL);
  assert_ok(zcmem_hal_add_alias(lines, 0, 96, 64, window + 32));
  assert_ok(zcmem_hal_add_alias(lines, 0, 128, 1, window + 128));
  assert_int_equal(zcmem_hal_destroy(lines), 0);
}

/* Gives memory as fake_allocator does; within the call another thread adds an alias. */
static void *alloc_beside_an_alias(void *ctx, size_t bytes) {
  assert_ok(zcmem_hal_add_alias(*(struct zcmem_hal **)ctx, 0, 0, 100, near_window));
  return fake_allocator.alloc(fake_allocator.ctx, bytes);
}

static void free_all(void *ctx, void *memory, size_t bytes) {
  (void)ctx;
  fake_allocator.free(fake_allocator.ctx, memory, bytes);
}

/* What an alias has no region gets, also where both come at once. */
static void test_a_region_over_an_alias_is_refused(void **state) {
  static struct zcmem_hal *other;
  static _Alignas(64) unsigned char image[16384], memory[16384];
  const struct zcmem_host_allocator allocator = {.alloc = alloc_beside_an_alias, .free = free_all, .ctx = &other};
  const struct zcmem_hal_config of = {
      .name = "other",
      .max_regions = 4,
      .max_mappings = 2,
      .lock = &fake_lock,
      .allocator = &allocator,
  };
  unsigned allocations = fake.allocations;
  struct zcmem_region_config config = {
      .name = "first", .kind = ZCMEM_KIND_DRAM, .base = 4096, .size = 2048, .max_blocks = 4, .image = image};
  (void)state;
  config.image_bytes = sizeof image;
  assert_ok(zcmem_hal_init(memory, sizeof memory, &of, &other));
  assert_ok(zcmem_hal_add_region(other, &config, NULL));
  assert_ok(zcmem_hal_add_alias(other, 0, 0, 100, far_window));
  config = (struct zcmem_region_config){.name = "second",
                                        .kind = ZCMEM_KIND_DRAM,
                                        .base = 65536,
                                        .size = 1024,
                                        .max_blocks = 4,
                                        .host = far_window - 1023};
  assert_status(zcmem_hal_add_region(other, &config, NULL), ZCMEM_EOVERLAP);
  config.host = far_window + 99;
  assert_status(zcmem_hal_add_region(other, &config, NULL), ZCMEM_EOVERLAP);
  config.host = near_window + 99;
  assert_status(zcmem_hal_add_region(other, &config, NULL), ZCMEM_EOVERLAP); /* admitted, and then the alias came */
  assert_int_equal(zcmem_hal_region_count(other), 1);
  assert_int_equal(fake.allocations, allocations);
  assert_int_equal(zcmem_hal_destroy(other), 0);
}

/* Whatever refuses an alias, its entry in the table is there for the next one. */
static void test_a_refused_alias_takes_no_entry(void **state) {
  (void)state;
  for (unsigned i = 0; i < 2 * MAPPINGS; i++) {
    assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 1, regions[HOST].memory), ZCMEM_EOVERLAP);
    fake.fail_lock_in = 1 + i % 2; /* of the mappings, of the regions */
    assert_status(zcmem_hal_add_alias(hal, NOTHING, 0, 1, far_window), ZCMEM_ELOCK);
    assert_int_equal(fake.fail_lock_in, 0);
    assert_nowhere(far_window, ZCMEM_ENOTMAPPED);
  }
  for (unsigned i = 0; i < MAPPINGS; i++) {
    add(NOTHING, regions[NOTHING].base, 1, near_window + i);
  }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_every_sight_of_a_block_leads_to_it),
      TEST(test_an_alias_of_a_part_of_a_block),
      TEST(test_an_alias_is_there_for_good),
      TEST(test_which_aliases_are_refused),
      TEST(test_as_many_as_agreed),
      TEST(test_an_alias_lies_in_lines_as_its_region_does),
      TEST(test_a_region_over_an_alias_is_refused),
      TEST(test_a_refused_alias_takes_no_entry),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
