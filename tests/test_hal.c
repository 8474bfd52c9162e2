/* SPDX-License-Identifier: MIT */
/* Making and ending a HAL. */
#include "hal_fixture.h"

static void test_init_takes_exactly_the_bytes_it_asks_for(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  size_t bytes = zcmem_hal_bytes(&config);
  (void)state;
  assert_true(bytes > 0 && bytes < sizeof memory);
  memset(memory, 0xa5, sizeof memory);
  assert_status(zcmem_hal_init(memory, bytes - 1, &config, &hal), ZCMEM_ENOMEM);
  assert_null(hal);
  assert_int_equal(fake.locks_made, 0);
  assert_ok(zcmem_hal_init(memory, bytes, &config, &hal));
  assert_string_equal(zcmem_hal_name(hal), "device");
  assert_int_equal(zcmem_hal_region_count(hal), 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  for (size_t i = bytes; i < sizeof memory; i++) {
    assert_int_equal(memory[i], 0xa5);
  }
}

static void assert_invalid(const struct zcmem_hal_config *config) {
  struct zcmem_hal *hal = NULL;
  assert_int_equal(zcmem_hal_bytes(config), 0);
  assert_status(zcmem_hal_init(memory, sizeof memory, config, &hal), ZCMEM_EINVAL);
  assert_status(zcmem_hal_create(config, NULL, 0, &hal), ZCMEM_EINVAL);
  assert_null(hal);
}

static void assert_valid(const struct zcmem_hal_config *config) {
  struct zcmem_hal *hal = NULL;
  assert_true(zcmem_hal_bytes(config) > 0);
  assert_ok(zcmem_hal_create(config, NULL, 0, &hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_the_config_is_checked(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_lock_ops lock = fake_lock;
  struct zcmem_host_allocator allocator = fake_allocator;
  (void)state;
  assert_invalid(NULL);
  assert_valid(&config);
  config.name = NULL;
  assert_invalid(&config);
  config.name = "";
  assert_invalid(&config);
  config.name = "a name of thirty-one characters";
  assert_int_equal(strlen(config.name), ZCMEM_NAME_MAX);
  assert_valid(&config);
  config.name = "a name of thirty-two characters!";
  assert_invalid(&config);
  config = plain_hal();
  config.max_regions = 0;
  assert_invalid(&config);
  config.max_regions = 64;
  assert_valid(&config);
  config.max_regions = 65;
  assert_invalid(&config);
  config = plain_hal();
  config.max_mappings = 0;
  assert_valid(&config);
  config.bounce_bytes = 15;
  assert_invalid(&config);
  config.bounce_bytes = 16;
  assert_valid(&config);
  config.bounce_bytes = 4096;
  assert_valid(&config);
  config.bounce_bytes = 4097;
  assert_invalid(&config);
  config = plain_hal();
  config.lock = &lock;
  lock.bytes = ZCMEM_LOCK_BYTES;
  assert_valid(&config);
  lock.bytes = ZCMEM_LOCK_BYTES + 1;
  assert_invalid(&config);
  lock = fake_lock;
  lock.unlock = NULL;
  assert_invalid(&config);
  config = plain_hal();
  config.allocator = &allocator;
  assert_valid(&config);
  allocator.free = NULL;
  assert_invalid(&config);
}

static void test_init_refuses_null_and_misaligned_memory(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_hal *hal = NULL;
  (void)state;
  assert_status(zcmem_hal_init(NULL, sizeof memory, &config, &hal), ZCMEM_EINVAL);
  assert_status(zcmem_hal_init(memory, sizeof memory, &config, NULL), ZCMEM_EINVAL);
  for (size_t off = 1; off < 64; off++) {
    assert_status(zcmem_hal_init(memory + off, sizeof memory - off, &config, &hal), ZCMEM_EINVAL);
  }
  assert_status(zcmem_hal_create(&config, NULL, 0, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_hal_create(&config, NULL, 1, &hal), ZCMEM_EINVAL);
  assert_null(hal);
}

static void test_a_lock_that_cannot_be_made_undoes_the_others(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = NULL;
  unsigned n = 0;
  (void)state;
  for (;;) {
    fake.fail_lock_init_in = ++n;
    enum zcmem_status status = zcmem_hal_create(&config, NULL, 0, &hal);
    if (status == ZCMEM_OK) {
      break;
    }
    assert_status(status, ZCMEM_ELOCK);
    assert_null(hal);
    assert_int_equal(fake.locks_made, 0);
    assert_int_equal(fake.allocations, 0);
  }
  fake.fail_lock_init_in = 0;
  assert_true(n > config.max_regions);
  assert_int_equal(fake.locks_made, n - 1);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Each allocation and each lock call of a create with three regions fails in turn. */
static void test_a_create_that_fails_gives_everything_back(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_region_config regions[3] = {plain_region("a", 0x1000, 64 * KB), plain_region("b", 0x100000, 64 * KB),
                                           plain_region("c", 0x200000, 64 * KB)};
  struct zcmem_hal *hal = NULL;
  (void)state;
  for (unsigned n = 1; n <= 4; n++) {
    fake.fail_alloc_in = n;
    assert_status(zcmem_hal_create(&config, regions, 3, &hal), ZCMEM_ENOMEM);
    assert_int_equal(fake.fail_alloc_in, 0);
    assert_int_equal(fake.allocations, 0);
    assert_int_equal(fake.locks_made, 0);
  }
  for (unsigned n = 1; n <= 6; n++) {
    fake.fail_lock_in = n;
    assert_status(zcmem_hal_create(&config, regions, 3, &hal), ZCMEM_ELOCK);
    assert_int_equal(fake.fail_lock_in, 0);
    assert_int_equal(fake.allocations, 0);
    assert_int_equal(fake.locks_made, 0);
  }
  regions[2].base = regions[1].base;
  assert_status(zcmem_hal_create(&config, regions, 3, &hal), ZCMEM_EOVERLAP);
  regions[2].name = "b";
  assert_status(zcmem_hal_create(&config, regions, 3, &hal), ZCMEM_EINVAL);
  config.max_regions = 2;
  regions[2] = plain_region("c", 0x200000, 64 * KB);
  assert_status(zcmem_hal_create(&config, regions, 3, &hal), ZCMEM_ENOMEM);
  assert_null(hal);
  config.max_regions = 3;
  assert_ok(zcmem_hal_create(&config, regions, 3, &hal));
  assert_int_equal(fake.allocations, 4);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_create_without_an_allocator_uses_malloc(void **state) {
  struct zcmem_hal_config config = plain_hal();
  struct zcmem_region_config region = plain_region("big", 0, (hal_size_t)64 << 30);
  struct zcmem_hal *hal = NULL;
  hal_addr_t addr = 0;
  (void)state;
  region.max_blocks = 1u << 20;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_mem_alloc(hal, 0, (hal_size_t)60 << 30, 1, &addr));
  assert_int_equal(zcmem_hal_destroy(hal), 1);
}

static void test_destroy_counts_what_is_live(void **state) {
  struct zcmem_hal_config config = allocating_hal();
  struct zcmem_hal *hal = made(&config);
  struct zcmem_region_config a = plain_region("a", 0x1000, 64 * KB), b = plain_region("b", 0x100000, 64 * KB);
  hal_addr_t addr = 0;
  (void)state;
  assert_int_equal(zcmem_hal_destroy(NULL), 0);
  assert_ok(zcmem_hal_add_region(hal, &a, NULL));
  assert_ok(zcmem_hal_add_region(hal, &b, NULL));
  assert_ok(zcmem_mem_alloc(hal, 0, 0, 1, &addr));
  assert_ok(zcmem_mem_alloc(hal, 1, 1, 1, &addr));
  assert_ok(zcmem_mem_alloc(hal, 1, 1, 1, &addr));
  assert_ok(zcmem_mem_pin(hal, addr));
  assert_ok(zcmem_mem_free_deferred(hal, addr)); /* pinned, so it is still there */
  assert_int_equal(zcmem_hal_destroy(hal), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_init_takes_exactly_the_bytes_it_asks_for),
      TEST(test_the_config_is_checked),
      TEST(test_init_refuses_null_and_misaligned_memory),
      TEST(test_a_lock_that_cannot_be_made_undoes_the_others),
      TEST(test_a_create_that_fails_gives_everything_back),
      TEST(test_create_without_an_allocator_uses_malloc),
      TEST(test_destroy_counts_what_is_live),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
