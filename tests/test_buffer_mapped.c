/* SPDX-License-Identifier: MIT */
/*
 * Buffers over memory that the host sees by a mapping on demand, or by an alias, of a region that is not coherent:
 * flush and invalidate are told where the host sees the bytes.
 */
#include "buffer_fixture.h"

/* A region whose driver maps, flushes and invalidates, and what it was last called for. */
static struct {
  alignas(64) unsigned char memory[4096]; /* what the host sees; nobody else looks */
  hal_addr_t addr;
  hal_size_t size;
  void *host;
  unsigned flushes, invalidates;
} driver;

#define BASE ((hal_addr_t)0x500000)

static int on_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)flags;
  assert_true(addr >= BASE && size <= sizeof driver.memory - (addr - BASE));
  *host = driver.memory + (size_t)(addr - BASE);
  return 0;
}

static void note(hal_addr_t addr, hal_size_t size, void *host) {
  assert_int_equal(fake.locks_held, 0);
  driver.addr = addr;
  driver.size = size;
  driver.host = host;
}

static int on_flush(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  note(addr, size, host);
  driver.flushes++;
  return 0;
}

static int on_invalidate(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  note(addr, size, host);
  driver.invalidates++;
  return 0;
}

static const struct zcmem_region_ops ops = {.map = on_map, .flush = on_flush, .invalidate = on_invalidate};

static struct zcmem_hal *usual;

static int setup_mapped(void **state) {
  const struct zcmem_hal_config config = {
      .name = "mapped", .max_regions = 1, .max_mappings = 2, .lock = &fake_lock, .allocator = &fake_allocator};
  const struct zcmem_region_config region = {.name = "mapped",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .base = BASE,
                                             .size = 4096,
                                             .max_blocks = 8,
                                             .ops = &ops,
                                             .cache_line = 64};
  setup(state);
  usual = hal;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  open_table(BUFFERS, VIEWS);
  driver.flushes = driver.invalidates = 0;
  return 0;
}

static int teardown_mapped(void **state) {
  assert_int_equal(close_table(), 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  hal = usual;
  return teardown(state);
}

/* Begin and end of views of the buffer, which the host sees at `seen`; of no byte beside them, whatever the lines. */
static void check_view(zcmem_buffer_t buffer, unsigned char *seen) {
  hal_addr_t addr = info_of(buffer).addr + 64;
  unsigned flushes = driver.flushes, invalidates = driver.invalidates;
  struct zcmem_view view = begin(buffer, 50, 300, READ);
  assert_int_equal(driver.addr, addr - 14);
  assert_int_equal(driver.size, 300);
  assert_ptr_equal(driver.host, seen + 50);
  end(view);
  assert_int_equal(driver.flushes, ++flushes);
  assert_int_equal(driver.invalidates, invalidates);
  view = begin(buffer, 64, 256, RW);
  assert_int_equal(driver.flushes, flushes + 1);
  assert_int_equal(driver.addr, addr);
  assert_int_equal(driver.size, 256);
  assert_ptr_equal(driver.host, seen + 64);
  driver.addr = driver.size = 0;
  driver.host = NULL;
  end(view);
  assert_int_equal(driver.flushes, flushes + 1);
  assert_int_equal(driver.invalidates, invalidates + 1);
  assert_int_equal(driver.addr, addr);
  assert_int_equal(driver.size, 256);
  assert_ptr_equal(driver.host, seen + 64);
  view = map(buffer, 50, 300, MAP_RW); /* the host has it already */
  assert_ptr_equal(view.host, seen + 50);
  unmap(view);
  assert_int_equal(driver.flushes + driver.invalidates, flushes + invalidates + 2);
}

static void test_over_a_mapping_on_demand(void **state) {
  void *host = NULL;
  (void)state;
  hal_addr_t addr = alloc(0, 1000);
  assert_ok(zcmem_mem_map(hal, addr, 1000, MAP_RW, &host));
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, (unsigned char *)host + 128, 872);
  check_view(buffer, (unsigned char *)host + 128);
  assert_int_equal(counters().bytes_copied_in + counters().bytes_copied_out, 0);
  release(buffer);
  assert_ok(zcmem_mem_unmap(hal, host));
  assert_ok(zcmem_mem_free(hal, addr));
}

static void test_over_an_alias(void **state) {
  static alignas(64) unsigned char window[2000];
  (void)state;
  hal_addr_t addr = alloc(0, 1000);
  assert_ok(zcmem_hal_add_alias(hal, 0, addr - BASE, sizeof window, window));
  zcmem_buffer_t buffer = create(RW | USE, NOWHERE, window, 1000);
  check_view(buffer, window);
  release(buffer);
  assert_ok(zcmem_mem_free(hal, addr));
}

/*
 * A transfer maps no byte beside its range, so there is nothing to keep there: what is mapped for reading is never
 * flushed, which a driver may refuse, and what is mapped for writing never invalidated.
 */
static void test_transfers_through_windows(void **state) {
  unsigned char bytes[100];
  (void)state;
  hal_addr_t addr = alloc(0, 1000), at = addr + 7;
  memset(driver.memory + 7, 5, sizeof bytes);
  assert_ok(zcmem_mem_read(hal, bytes, at, sizeof bytes));
  assert_int_equal(bytes[99], 5);
  assert_int_equal(driver.flushes, 0);
  assert_int_equal(driver.invalidates, 1);
  assert_int_equal(driver.addr, at);
  assert_int_equal(driver.size, sizeof bytes);
  driver.addr = 0;
  assert_ok(zcmem_mem_write(hal, at, bytes, sizeof bytes));
  assert_int_equal(driver.flushes, 1);
  assert_int_equal(driver.invalidates, 1);
  assert_int_equal(driver.addr, at);
  assert_int_equal(driver.size, sizeof bytes);
  assert_ok(zcmem_mem_free(hal, addr));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_over_a_mapping_on_demand, setup_mapped, teardown_mapped),
      cmocka_unit_test_setup_teardown(test_over_an_alias, setup_mapped, teardown_mapped),
      cmocka_unit_test_setup_teardown(test_transfers_through_windows, setup_mapped, teardown_mapped),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
