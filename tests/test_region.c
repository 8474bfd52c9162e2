/* SPDX-License-Identifier: MIT */
/* Adding regions and asking about them. */
#include "hal_fixture.h"

static void test_add_region_checks_its_config(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config good = plain_region("a", 0x1000, 64 * KB), bad = good;
  uint32_t index = 77;
  (void)state;
  assert_status(zcmem_hal_add_region(NULL, &good, &index), ZCMEM_EINVAL);
  assert_status(zcmem_hal_add_region(hal, NULL, &index), ZCMEM_EINVAL);
#define REFUSED(change)                                                                                                \
  do {                                                                                                                 \
    bad = good;                                                                                                        \
    change;                                                                                                            \
    assert_status(zcmem_hal_add_region(hal, &bad, &index), ZCMEM_EINVAL);                                              \
  } while (0)
  REFUSED(bad.name = NULL);
  REFUSED(bad.name = "");
  REFUSED(bad.name = "a name of thirty-two characters!");
  REFUSED(bad.kind = 0);
  REFUSED(bad.flags = 0x100);
  REFUSED(bad.size = 0);
  REFUSED(bad.quantum = 100);
  REFUSED(bad.max_blocks = 0);
  REFUSED(bad.base = UINT64_MAX - 64 * KB + 2);
  REFUSED(bad.host = (void *)(UINTPTR_MAX - 64 * KB + 2));
  REFUSED(bad.image = image + 32; bad.image_bytes = sizeof image - 32);
#undef REFUSED
  assert_int_equal(index, 77);
  assert_int_equal(zcmem_hal_region_count(hal), 0);
  assert_int_equal(fake.allocations, 1);
  assert_ok(zcmem_hal_add_region(hal, &good, &index));
  assert_int_equal(index, 0);
  bad = plain_region("a", 0x100000, 64 * KB);
  fake.fail_alloc_in = 1; /* what is refused does not cost the allocator an image first */
  assert_status(zcmem_hal_add_region(hal, &bad, &index), ZCMEM_EINVAL);
  assert_int_equal(fake.fail_alloc_in, 1);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_add_region_takes_images_of_the_size_it_tells(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_config region = region_in("a", 0x1000, 64 * KB, image);
  (void)state;
  assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
  assert_int_equal(zcmem_region_bytes(NULL), 0);
  size_t bytes = zcmem_region_bytes(&region);
  assert_true(bytes > 0 && bytes < sizeof image);
  region.image_bytes = bytes - 1;
  assert_status(zcmem_hal_add_region(hal, &region, NULL), ZCMEM_ENOMEM);
  region.image_bytes = bytes;
  assert_ok(zcmem_hal_add_region(hal, &region, NULL));
  for (size_t i = bytes; i < sizeof image; i++) {
    assert_int_equal(image[i], 0);
  }
  /* There is no allocator for a region without an image. */
  struct zcmem_region_config other = plain_region("b", 0x100000, 64 * KB);
  assert_status(zcmem_hal_add_region(hal, &other, NULL), ZCMEM_EINVAL);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Regions with an image of the caller's take another way through the same checks. */
static void test_a_region_with_an_image_is_checked_against_the_others(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_config a = region_in("a", 0x1000, 64 * KB, image), b = region_in("b", 0x2000, 64 * KB, image_2);
  (void)state;
  config.max_regions = 1;
  assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EOVERLAP);
  b.base = 0x100000;
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_ENOMEM);
  b.name = "a";
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EINVAL);
  assert_int_equal(zcmem_hal_region_count(hal), 1);
  for (size_t i = 0; i < sizeof image_2; i++) {
    assert_int_equal(image_2[i], 0);
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* As a program that makes its HAL a second time in the same static memory does. */
static void test_an_image_that_was_used_before_is_as_good_as_new(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_config region = region_in("a", 0x1000, 64 * KB, image);
  hal_addr_t addr = 0;
  (void)state;
  for (int round = 0; round < 2; round++) {
    assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
    assert_ok(zcmem_hal_add_region(hal, &region, NULL));
    assert_ok(zcmem_hal_check(hal));
    for (hal_addr_t i = 0; i < 8; i++) {
      assert_ok(zcmem_mem_alloc(hal, 0, 1024, 1, &addr));
      assert_int_equal(addr, 0x1000 + i * 1024);
    }
    assert_ok(zcmem_mem_free(hal, 0x1000));
    assert_ok(zcmem_hal_check(hal));
    assert_int_equal(zcmem_hal_destroy(hal), 7);
  }
}

static void test_an_image_that_is_said_to_be_zero_is_not_cleared(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_config region = region_in("a", 0x1000, 64 * KB, image);
  unsigned char *last = &image[zcmem_region_bytes(&region) - 1];
  (void)state;
  for (int said = 1; said >= 0; said--) {
    region.flags = said ? ZCMEM_REGION_IMAGE_ZEROED : 0;
    memset(image, 0, sizeof image);
    *last = 0x5a;
    assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
    assert_ok(zcmem_hal_add_region(hal, &region, NULL));
    assert_int_equal(*last, said ? 0x5a : 0);
    assert_int_equal(zcmem_hal_destroy(hal), 0);
  }
}

static void test_two_regions_in_one_image_are_refused(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_config a = region_in("a", 0x1000, 8 * KB, image), b = region_in("b", 0x100000, 8 * KB, image);
  (void)state;
  a.max_blocks = b.max_blocks = 8;
  size_t bytes = (zcmem_region_bytes(&a) + 63) / 64 * 64;
  assert_true(2 * bytes <= sizeof image);
  assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EOVERLAP);
  b.image = image + bytes - 64;
  b.image_bytes = sizeof image - (bytes - 64);
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EOVERLAP);
  assert_ok(zcmem_hal_check(hal));
  b.image = image + bytes;
  b.image_bytes = sizeof image - bytes;
  assert_ok(zcmem_hal_add_region(hal, &b, NULL));
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_no_more_than_max_regions(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_region_config regions[4] = {plain_region("a", 0x1000, 4 * KB), plain_region("b", 0x2000, 4 * KB),
                                           plain_region("c", 0x3000, 4 * KB), plain_region("d", 0x4000, 4 * KB)};
  struct zcmem_hal *hal = made(&config);
  (void)state;
  for (uint32_t i = 0; i < 3; i++) {
    uint32_t index = 77;
    assert_ok(zcmem_hal_add_region(hal, &regions[i], &index));
    assert_int_equal(index, i);
  }
  assert_status(zcmem_hal_add_region(hal, &regions[3], NULL), ZCMEM_ENOMEM);
  assert_int_equal(zcmem_hal_region_count(hal), 3);
  assert_int_equal(fake.allocations, 4);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_regions_that_overlap_are_refused(void **state) {
  const hal_addr_t top = UINT64_MAX - 64 * KB + 1, quantum = (hal_addr_t)1 << 31;
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  const struct zcmem_region_config a = plain_region("a", 0x100000, 64 * KB), b = plain_region("b", top, 64 * KB);
  (void)state;
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  assert_ok(zcmem_hal_add_region(hal, &b, NULL));
  struct zcmem_region_config huge = plain_region("c", UINT64_MAX / 2 + 1 + quantum, UINT64_MAX / 2 + 1 - quantum);
  huge.quantum = quantum;
  const struct zcmem_region_config overlapping[] = {
      plain_region("c", 0x100000, 64 * KB),     plain_region("c", 0x100000 - 4 * KB, 4 * KB + 1),
      plain_region("c", 0x10fc00, 4 * KB),      plain_region("c", 0x104000, 4 * KB),
      plain_region("c", 0x10000, 0x200000),     huge,
      plain_region("c", top + 60 * KB, 4 * KB), plain_region("c", top - 4 * KB, 8 * KB),
      plain_region("c", top - 4 * KB, 68 * KB),
  };
  for (size_t i = 0; i < sizeof overlapping / sizeof *overlapping; i++) {
    assert_status(zcmem_hal_add_region(hal, &overlapping[i], NULL), ZCMEM_EOVERLAP);
  }
  /* Neighbours on both sides are none, nor is a region at 0 one of a region that ends at 2^64. */
  const struct zcmem_region_config at_0 = plain_region("c", 0, 0x100000);
  assert_ok(zcmem_hal_add_region(hal, &at_0, NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_host_memory_that_overlaps_is_refused(void **state) {
  static unsigned char host[12 * 1024];
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config a = plain_region("a", 0x100000, 4 * KB), b = plain_region("b", 0x200000, 4 * KB);
  (void)state;
  a.host = host + 4 * KB;
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  b.host = host + 1;
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EOVERLAP);
  b.host = host + 8 * KB - 1;
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EOVERLAP);
  b.host = host + 4 * KB;
  assert_status(zcmem_hal_add_region(hal, &b, NULL), ZCMEM_EOVERLAP);
  b.host = host;
  assert_ok(zcmem_hal_add_region(hal, &b, NULL));
  struct zcmem_region_config c = plain_region("c", 0x300000, 4 * KB);
  c.host = (void *)(UINTPTR_MAX - 4 * KB + 1); /* up to the very end of the host's address space */
  assert_ok(zcmem_hal_add_region(hal, &c, NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_add_region_survives_a_lock_that_fails(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("a", 0x1000, 64 * KB);
  (void)state;
  for (unsigned n = 1; n <= 2; n++) {
    fake.fail_lock_in = n;
    assert_status(zcmem_hal_add_region(hal, &region, NULL), ZCMEM_ELOCK);
    assert_int_equal(zcmem_hal_region_count(hal), 0);
    assert_int_equal(fake.allocations, 1);
  }
  assert_ok(zcmem_hal_add_region(hal, &region, NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_queries(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config a = plain_region("dram", 0, 64 * KB), b = plain_region("msmc", 0x100064, 4 * KB),
                             c = plain_region("more", UINT64_MAX - 4 * KB + 1, 4 * KB);
  char name[] = "dram";
  uint32_t index = 77;
  (void)state;
  a.name = name;
  b.kind = ZCMEM_KIND_MSMC;
  b.quantum = 256;
  b.host = memory;
  b.flags = ZCMEM_REGION_COHERENT;
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  assert_ok(zcmem_hal_add_region(hal, &b, NULL));
  assert_ok(zcmem_hal_add_region(hal, &c, NULL));
  memset(name, 'x', sizeof name - 1); /* the name was copied */

  assert_int_equal(zcmem_hal_region_count(hal), 3);
  assert_int_equal(zcmem_hal_region_count(NULL), 0);
  assert_string_equal(zcmem_hal_name(NULL), "");

  assert_ok(zcmem_hal_find_region(hal, "dram", &index));
  assert_int_equal(index, 0);
  assert_ok(zcmem_hal_find_region(hal, "more", &index));
  assert_int_equal(index, 2);
  assert_status(zcmem_hal_find_region(hal, "dra", &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_find_region(hal, "dramm", &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_find_region(hal, "", &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_find_region(NULL, "dram", &index), ZCMEM_EINVAL);
  assert_status(zcmem_hal_find_region(hal, NULL, &index), ZCMEM_EINVAL);
  assert_status(zcmem_hal_find_region(hal, "dram", NULL), ZCMEM_EINVAL);

  assert_ok(zcmem_hal_find_kind(hal, ZCMEM_KIND_DRAM, 0, &index));
  assert_int_equal(index, 0);
  assert_ok(zcmem_hal_find_kind(hal, ZCMEM_KIND_DRAM, 1, &index));
  assert_int_equal(index, 2);
  assert_status(zcmem_hal_find_kind(hal, ZCMEM_KIND_DRAM, 3, &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_find_kind(hal, ZCMEM_KIND_DRAM, UINT32_MAX, &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_find_kind(hal, ZCMEM_KIND_USER, 0, &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_find_kind(NULL, ZCMEM_KIND_DRAM, 0, &index), ZCMEM_EINVAL);
  assert_status(zcmem_hal_find_kind(hal, ZCMEM_KIND_DRAM, 0, NULL), ZCMEM_EINVAL);

  assert_ok(zcmem_hal_region_of(hal, 0, &index));
  assert_int_equal(index, 0);
  assert_ok(zcmem_hal_region_of(hal, 64 * KB - 1, &index));
  assert_status(zcmem_hal_region_of(hal, 64 * KB, &index), ZCMEM_ENOENT);
  assert_status(zcmem_hal_region_of(hal, 0x100063, &index), ZCMEM_ENOENT);
  assert_ok(zcmem_hal_region_of(hal, 0x100064, &index));
  assert_int_equal(index, 1);
  assert_ok(zcmem_hal_region_of(hal, UINT64_MAX, &index));
  assert_int_equal(index, 2);
  assert_status(zcmem_hal_region_of(NULL, 0, &index), ZCMEM_EINVAL);
  assert_status(zcmem_hal_region_of(hal, 0, NULL), ZCMEM_EINVAL);

  struct zcmem_region_info info;
  assert_ok(zcmem_hal_region_info(hal, 0, &info));
  assert_string_equal(info.name, "dram");
  assert_int_equal(info.index, 0);
  assert_int_equal(info.kind, ZCMEM_KIND_DRAM);
  assert_int_equal(info.base, 128); /* address 0 is never handed out */
  assert_int_equal(info.size, 64 * KB - 128);
  assert_int_equal(info.quantum, 128);
  assert_int_equal(info.max_blocks, 16);
  assert_false(info.mapped);
  assert_ok(zcmem_hal_region_info(hal, 1, &info));
  assert_int_equal(info.base, 0x100100);
  assert_int_equal(info.size, 0x100064 + 4 * KB - 0x64 - 0x100100);
  assert_int_equal(info.quantum, 256);
  assert_int_equal(info.flags, ZCMEM_REGION_COHERENT);
  assert_true(info.mapped);
  assert_status(zcmem_hal_region_info(hal, 3, &info), ZCMEM_EINVAL);
  assert_status(zcmem_hal_region_info(hal, 0, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_hal_region_info(NULL, 0, &info), ZCMEM_EINVAL);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_stats_fill_exactly_the_bytes_they_are_given(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config region = plain_region("a", 0x1000, 64 * KB);
  struct zcmem_region_stats stats, all = {.struct_bytes = sizeof all};
  hal_addr_t addr = 0;
  (void)state;
  assert_ok(zcmem_hal_add_region(hal, &region, NULL));
  assert_ok(zcmem_mem_alloc(hal, 0, 1000, 1, &addr));
  assert_ok(zcmem_hal_region_stats(hal, 0, &all));
  assert_int_equal(all.allocations, 1);
  assert_int_equal(all.in_use, 1024);
  assert_int_equal(all.peak, 1024);
  assert_int_equal(all.requested, 1000);
  assert_int_equal(all.live, 1);
  assert_int_equal(all.available, 63 * KB);
  assert_int_equal(all.largest, 63 * KB);
  for (size_t bytes = sizeof(size_t); bytes < sizeof stats; bytes += 8) {
    memset(&stats, 0xa5, sizeof stats);
    stats.struct_bytes = bytes;
    assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
    assert_int_equal(stats.struct_bytes, bytes);
    assert_memory_equal((char *)&stats + sizeof(size_t), (char *)&all + sizeof(size_t), bytes - sizeof(size_t));
    for (size_t i = bytes; i < sizeof stats; i++) {
      assert_int_equal(((unsigned char *)&stats)[i], 0xa5);
    }
  }
  stats.struct_bytes = 0;
  assert_status(zcmem_hal_region_stats(hal, 0, &stats), ZCMEM_EINVAL);
  stats.struct_bytes = sizeof stats + 1;
  assert_status(zcmem_hal_region_stats(hal, 0, &stats), ZCMEM_EINVAL);
  stats.struct_bytes = sizeof stats;
  assert_status(zcmem_hal_region_stats(hal, 1, &stats), ZCMEM_EINVAL);
  assert_status(zcmem_hal_region_stats(NULL, 0, &stats), ZCMEM_EINVAL);
  assert_status(zcmem_hal_region_stats(hal, 0, NULL), ZCMEM_EINVAL);
  fake.fail_lock_in = 1;
  assert_status(zcmem_hal_region_stats(hal, 0, &stats), ZCMEM_ELOCK);
  assert_int_equal(zcmem_hal_destroy(hal), 1);
}

static void test_check_looks_at_every_region(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_config a = region_in("a", 0x1000, 64 * KB, image), b = region_in("b", 0x100000, 64 * KB, image_2);
  (void)state;
  assert_ok(zcmem_hal_init(memory, sizeof memory, &config, &hal));
  assert_ok(zcmem_hal_check(hal));
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  assert_ok(zcmem_hal_add_region(hal, &b, NULL));
  assert_ok(zcmem_hal_check(hal));
  assert_status(zcmem_hal_check(NULL), ZCMEM_EINVAL);
  for (unsigned n = 1; n <= 2; n++) {
    fake.fail_lock_in = n;
    assert_status(zcmem_hal_check(hal), ZCMEM_ELOCK);
  }
  unsigned char was = image_2[0];
  image_2[0] ^= 0xff;
  assert_status(zcmem_hal_check(hal), ZCMEM_ECORRUPT);
  assert_int_equal(fake.locks_held, 0);
  image_2[0] = was;
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_add_region_checks_its_config),
      TEST(test_add_region_takes_images_of_the_size_it_tells),
      TEST(test_a_region_with_an_image_is_checked_against_the_others),
      TEST(test_an_image_that_was_used_before_is_as_good_as_new),
      TEST(test_an_image_that_is_said_to_be_zero_is_not_cleared),
      TEST(test_two_regions_in_one_image_are_refused),
      TEST(test_no_more_than_max_regions),
      TEST(test_regions_that_overlap_are_refused),
      TEST(test_host_memory_that_overlaps_is_refused),
      TEST(test_add_region_survives_a_lock_that_fails),
      TEST(test_queries),
      TEST(test_stats_fill_exactly_the_bytes_they_are_given),
      TEST(test_check_looks_at_every_region),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
