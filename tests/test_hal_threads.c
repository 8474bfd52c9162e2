/* SPDX-License-Identifier: MIT */
/*
 * Threads on one HAL; what they do wrong together, ThreadSanitizer sees and the checks of bytes and counters below.
 */
#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 3, ROUNDS = 3000, MOST = 5000 };

/* What one thread has: nothing is asserted in a thread but its master (CMocka's assertions jump), so it counts. */
struct worker {
  pthread_t thread;
  struct zcmem_hal *hal;
  uint64_t seed;
  unsigned wrong;
  uint64_t written, read, allocations;
  hal_addr_t shared;
  void *(*run)(void *);
};

static void expect(struct worker *worker, bool good) {
  if (!good) {
    worker->wrong++;
  }
}

static void start(struct worker workers[THREADS], struct zcmem_hal *hal, void *(*run)(void *)) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.hal = hal, .seed = seed * THREADS + (uint64_t)i, .run = run};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, run, &workers[i]), 0);
  }
}

static void join(struct worker workers[THREADS]) {
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(workers[i].wrong, 0);
  }
}

/* Two blocks in any two regions, bytes there, over and back, mapped or not, and freed in any of the ways. */
static void *churn(void *arg) {
  struct worker *worker = arg;
  struct zcmem_hal *hal = worker->hal;
  unsigned char in[MOST], out[MOST];
  for (int round = 0; round < ROUNDS; round++) {
    size_t size = (size_t)random_below(&worker->seed, MOST) + 1;
    uint32_t from = (uint32_t)random_below(&worker->seed, 2), to = (uint32_t)random_below(&worker->seed, 2);
    hal_addr_t a = 0, b = 0, device = 0;
    void *host = NULL;
    memset(in, (int)random_below(&worker->seed, 256), size);
    expect(worker, zcmem_mem_alloc(hal, from, size, 1, &a) == ZCMEM_OK);
    expect(worker, zcmem_mem_alloc(hal, to, size, 1, &b) == ZCMEM_OK);
    expect(worker, zcmem_mem_write(hal, a, in, size) == ZCMEM_OK);
    expect(worker, zcmem_mem_copy(hal, b, a, size) == ZCMEM_OK);
    if (random_below(&worker->seed, 2) == 0) {
      expect(worker, zcmem_mem_map(hal, b, size, ZCMEM_MAP_READ, &host) == ZCMEM_OK);
      expect(worker, zcmem_mem_free(hal, b) == ZCMEM_EBUSY);
      expect(worker, zcmem_mem_device(hal, host, &device, NULL) == ZCMEM_OK && device == b);
      expect(worker, memcmp(host, in, size) == 0);
      expect(worker, zcmem_mem_free_deferred(hal, b) == ZCMEM_OK);
      expect(worker, zcmem_mem_unmap(hal, host) == ZCMEM_OK);
    } else {
      expect(worker, zcmem_mem_read(hal, out, b, size) == ZCMEM_OK);
      expect(worker, memcmp(out, in, size) == 0);
      expect(worker, zcmem_mem_free(hal, b) == ZCMEM_OK);
      worker->read += size;
    }
    expect(worker, zcmem_mem_free(hal, a) == ZCMEM_OK);
    worker->written += size;
    worker->allocations += 2;
  }
  return NULL;
}

static void hammer(uint32_t flags) {
  const struct zcmem_host_device_config config = {.flags = flags};
  struct zcmem_host_device *device = NULL;
  struct zcmem_region_stats sum = {0};
  struct worker workers[THREADS], did = {0};
  assert_ok(zcmem_host_device_create(&config, &device));
  struct zcmem_hal *hal = zcmem_host_device_hal(device);
  start(workers, hal, churn);
  join(workers);
  for (int i = 0; i < THREADS; i++) {
    did.written += workers[i].written;
    did.read += workers[i].read;
    did.allocations += workers[i].allocations;
  }
  for (uint32_t region = 0; region < 2; region++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    assert_ok(zcmem_hal_region_stats(hal, region, &stats));
    assert_int_equal(stats.live, 0);
    assert_int_equal(stats.in_use, 0);
    assert_int_equal(stats.allocations, stats.frees);
    sum.allocations += stats.allocations;
    sum.bytes_written += stats.bytes_written;
    sum.bytes_read += stats.bytes_read;
    sum.bytes_copied_in += stats.bytes_copied_in;
    sum.bytes_copied_out += stats.bytes_copied_out;
    sum.failed_transfers += stats.failed_transfers;
  }
  assert_int_equal(sum.allocations, did.allocations);
  assert_int_equal(sum.bytes_written, did.written);
  assert_int_equal(sum.bytes_copied_in, did.written);
  assert_int_equal(sum.bytes_copied_out, did.written);
  assert_int_equal(sum.bytes_read, did.read);
  assert_int_equal(sum.failed_transfers, 0);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_host_device_destroy(device), 0);
}

static void test_threads_on_a_mapped_device(void **state) {
  (void)state;
  hammer(0);
}

static void test_threads_on_an_unmapped_device(void **state) {
  (void)state;
  hammer(ZCMEM_HOST_DEVICE_UNMAPPED_DRAM);
}

/* All map, unmap, pin and read one block, and nobody may free it until the last has let go. */
static _Atomic hal_addr_t common;

static void *share(void *arg) {
  struct worker *worker = arg;
  struct zcmem_hal *hal = worker->hal;
  hal_addr_t addr = atomic_load(&common);
  unsigned char byte = 0;
  for (int round = 0; round < ROUNDS; round++) {
    void *host = NULL;
    expect(worker, zcmem_mem_map(hal, addr, 1000, ZCMEM_MAP_READ, &host) == ZCMEM_OK);
    expect(worker, zcmem_mem_pin(hal, addr + 5) == ZCMEM_OK);
    expect(worker, zcmem_mem_free(hal, addr) == ZCMEM_EBUSY);
    expect(worker, zcmem_mem_read(hal, &byte, addr + 999, 1) == ZCMEM_OK && byte == 0x42);
    expect(worker, host != NULL && ((unsigned char *)host)[7] == 0x42);
    expect(worker, zcmem_mem_unpin(hal, addr) == ZCMEM_OK);
    expect(worker, zcmem_mem_unmap(hal, host) == ZCMEM_OK);
  }
  return NULL;
}

static void test_threads_share_a_block(void **state) {
  (void)state;
  for (uint32_t region = 0; region < 2; region++) {
    const struct zcmem_host_device_config config = {.flags = ZCMEM_HOST_DEVICE_UNMAPPED_DRAM};
    struct zcmem_host_device *device = NULL;
    struct worker workers[THREADS];
    hal_addr_t addr = 0;
    const unsigned char byte = 0x42;
    assert_ok(zcmem_host_device_create(&config, &device));
    struct zcmem_hal *hal = zcmem_host_device_hal(device);
    assert_ok(zcmem_mem_alloc(hal, region, 1000, 1, &addr));
    assert_ok(zcmem_mem_fill(hal, addr, &byte, 1, 1000));
    atomic_store(&common, addr);
    start(workers, hal, share);
    join(workers);
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    assert_ok(zcmem_hal_region_stats(hal, region, &stats));
    assert_int_equal(stats.maps, THREADS * ROUNDS);
    assert_int_equal(stats.bad_frees, THREADS * ROUNDS);
    assert_ok(zcmem_mem_free(hal, addr)); /* every pin is gone */
    assert_int_equal(zcmem_host_device_destroy(device), 0);
  }
}

/*
 * One block's address changes hands; who uses it may come too late. Bytes that one thread writes while another reads
 * are the users' race, not zcmem's, so these transfers move none: they take their time instead.
 */
static int dawdle(void) {
  for (volatile int i = 0; i < 100; i++) {
    ;
  }
  return 0;
}

static int dawdling_read(void *ctx, void *dst, hal_addr_t src, hal_size_t size) {
  (void)ctx;
  (void)dst;
  (void)src;
  (void)size;
  return dawdle();
}

static int dawdling_write(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  (void)ctx;
  (void)dst;
  (void)src;
  (void)size;
  return dawdle();
}

static void *publish_and_free(void *arg) {
  struct worker *worker = arg;
  for (int round = 0; round < ROUNDS; round++) {
    hal_addr_t addr = 0;
    const unsigned char bytes[256] = {0};
    expect(worker, zcmem_mem_alloc(worker->hal, 0, 256, 1, &addr) == ZCMEM_OK);
    expect(worker, zcmem_mem_write(worker->hal, addr, bytes, 256) == ZCMEM_OK);
    addr = atomic_exchange(&common, addr);
    expect(worker, zcmem_mem_free_deferred(worker->hal, addr) == ZCMEM_OK);
  }
  return NULL;
}

static void *pin_what_is_published(void *arg) {
  struct worker *worker = arg;
  for (int round = 0; round < ROUNDS; round++) {
    hal_addr_t addr = atomic_load(&common);
    unsigned char bytes[256] = {0};
    enum zcmem_status status = zcmem_mem_pin(worker->hal, addr);
    if (status == ZCMEM_OK) {
      /* Freed already by its owner or not: while it is pinned nobody gets it. */
      status = zcmem_mem_read(worker->hal, bytes, addr, sizeof bytes);
      expect(worker, status == ZCMEM_OK || status == ZCMEM_ENOENT);
      expect(worker, zcmem_mem_unpin(worker->hal, addr) == ZCMEM_OK);
      worker->read++;
    } else {
      expect(worker, status == ZCMEM_ENOENT);
    }
  }
  return NULL;
}

static void test_deferred_frees_race_with_pins(void **state) {
  static const struct zcmem_region_ops ops = {.read = dawdling_read, .write = dawdling_write};
  const struct zcmem_hal_config config = {.name = "dawdling", .max_regions = 1};
  const struct zcmem_region_config region = {
      .name = "dram", .kind = ZCMEM_KIND_DRAM, .base = 1 << 20, .size = 1 << 20, .max_blocks = 16, .ops = &ops};
  struct zcmem_hal *hal = NULL;
  struct worker workers[THREADS];
  hal_addr_t addr = 0;
  (void)state;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_mem_alloc(hal, 0, 256, 1, &addr));
  atomic_store(&common, addr);
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.hal = hal, .run = i == 0 ? publish_and_free : pin_what_is_published};
    assert_int_equal(pthread_create(&workers[i].thread, NULL, workers[i].run, &workers[i]), 0);
  }
  join(workers);
  assert_ok(zcmem_mem_free(hal, atomic_load(&common)));
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* Regions are added by two threads while a third uses what is there. */
enum { ADDED = 60 };
static atomic_bool adding;

static void *add_regions(void *arg) {
  struct worker *worker = arg;
  for (unsigned i = 0; i < ADDED / 2; i++) {
    char name[ZCMEM_NAME_MAX + 1];
    uint32_t index = 0;
    (void)snprintf(name, sizeof name, "%llu.%u", (unsigned long long)worker->seed, i);
    const struct zcmem_region_config config = {.name = name,
                                               .kind = ZCMEM_KIND_DRAM,
                                               .base = ((worker->seed << 32) + i) << 20,
                                               .size = 1 << 20,
                                               .max_blocks = 16};
    expect(worker, zcmem_hal_add_region(worker->hal, &config, &index) == ZCMEM_OK);
    struct zcmem_region_info info;
    expect(worker, zcmem_hal_region_info(worker->hal, index, &info) == ZCMEM_OK && strcmp(info.name, name) == 0);
  }
  return NULL;
}

static void *use_regions(void *arg) {
  struct worker *worker = arg;
  while (atomic_load(&adding)) {
    uint32_t count = zcmem_hal_region_count(worker->hal), found = 0;
    for (uint32_t i = 0; i < count; i++) {
      struct zcmem_region_info info;
      hal_addr_t addr = 0;
      expect(worker, zcmem_hal_region_info(worker->hal, i, &info) == ZCMEM_OK && info.index == i);
      expect(worker, zcmem_hal_find_region(worker->hal, info.name, &found) == ZCMEM_OK && found == i);
      expect(worker, zcmem_hal_region_of(worker->hal, info.base, &found) == ZCMEM_OK && found == i);
      expect(worker, zcmem_mem_alloc(worker->hal, i, 1000, 1, &addr) == ZCMEM_OK);
      expect(worker, zcmem_mem_free(worker->hal, addr) == ZCMEM_OK);
    }
  }
  return NULL;
}

static void test_regions_are_added_beside_other_calls(void **state) {
  const struct zcmem_hal_config config = {.name = "growing", .max_regions = ADDED};
  struct zcmem_hal *hal = NULL;
  struct worker adders[2] = {{.seed = 1, .run = add_regions}, {.seed = 2, .run = add_regions}};
  struct worker user = {.run = use_regions};
  (void)state;
  assert_ok(zcmem_hal_create(&config, NULL, 0, &hal));
  atomic_store(&adding, true);
  user.hal = adders[0].hal = adders[1].hal = hal;
  assert_int_equal(pthread_create(&user.thread, NULL, user.run, &user), 0);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_create(&adders[i].thread, NULL, adders[i].run, &adders[i]), 0);
  }
  for (int i = 0; i < 2; i++) {
    assert_int_equal(pthread_join(adders[i].thread, NULL), 0);
  }
  atomic_store(&adding, false);
  assert_int_equal(pthread_join(user.thread, NULL), 0);
  assert_int_equal(user.wrong + adders[0].wrong + adders[1].wrong, 0);
  assert_int_equal(zcmem_hal_region_count(hal), ADDED);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_on_a_mapped_device),
      cmocka_unit_test(test_threads_on_an_unmapped_device),
      cmocka_unit_test(test_threads_share_a_block),
      cmocka_unit_test(test_deferred_frees_race_with_pins),
      cmocka_unit_test(test_regions_are_added_beside_other_calls),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
#else
int main(void) {
  puts("built without pthread: the facade has no lock that threads could test");
  return 77; /* Meson: skipped */
}
#endif
