/* SPDX-License-Identifier: MIT */
/* The heap's image: which configs are valid, what range they give, and that the image can be moved. */
#include "heap_fixture.h"

static size_t bytes_of(hal_addr_t base, hal_size_t size, hal_size_t quantum, uint32_t max_blocks, uint32_t flags) {
  const struct zcmem_heap_config config = {base, size, quantum, max_blocks, flags};
  return zcmem_heap_bytes(&config);
}

static void invalid_configs(void **state) {
  (void)state;
  assert_int_equal(zcmem_heap_bytes(NULL), 0);
  assert_int_equal(bytes_of(4096, 4096, 3, 4, 0), 0);
  assert_int_equal(bytes_of(4096, 4096, 129, 4, 0), 0);
  assert_int_equal(bytes_of(0, UINT64_MAX, UINT64_C(1) << 32, 4, 0), 0);
  assert_int_equal(bytes_of(4096, 0, 128, 4, 0), 0);
  assert_int_equal(bytes_of(4096, UINT64_MAX - 4094, 1u << 31, 4, 0), 0); /* one byte past 2^64 */
  assert_int_equal(bytes_of(4096, 127, 128, 4, 0), 0);
  assert_int_equal(bytes_of(4097, 128 + 126, 128, 4, 0), 0); /* 4224 ... 4351 is not whole */
  assert_int_equal(bytes_of(0, 128, 128, 4, 0), 0);
  assert_int_equal(bytes_of(0, 255, 128, 4, 0), 0);
  assert_int_equal(bytes_of(UINT64_MAX, 1, 128, 4, 0), 0);
  assert_int_equal(bytes_of(1, UINT64_C(1) << 32, 1, 4, 0), 0); /* 2^32 quanta */
  assert_int_equal(bytes_of(4096, 4096, 128, 0, 0), 0);
  assert_int_equal(bytes_of(4096, 4096, 128, ZCMEM_MAX_BLOCKS + 1, 0), 0);
  assert_int_equal(bytes_of(4096, 4096, 128, UINT32_MAX, 0), 0);
  assert_int_equal(bytes_of(4096, 4096, 128, 4, 0x2), 0);
  assert_int_equal(bytes_of(4096, 4096, 128, 4, 0x80000000), 0);
}

static void valid_configs(void **state) {
  (void)state;
  assert_true(bytes_of(4096, 4096, 0, 4, 0) > 0);
  assert_int_equal(bytes_of(4096, 4096, 0, 4, 0), bytes_of(4096, 4096, ZCMEM_QUANTUM_DEFAULT, 4, 0));
  assert_true(bytes_of(4096, 4096, 128, 4, ZCMEM_HEAP_ZEROED) > 0);
  assert_true(bytes_of(0, 256, 128, 1, 0) > 0);
  assert_true(bytes_of(4097, 128 + 127, 128, 4, 0) > 0);
  assert_true(bytes_of(0 - UINT64_C(128), 128, 128, 4, 0) > 0); /* ends at 2^64 */
  assert_true(bytes_of(UINT64_MAX, 1, 1, 4, 0) > 0);
  assert_true(bytes_of(0, UINT64_MAX, UINT64_C(1) << 31, 4, 0) == 0); /* 2^33 quanta */
  assert_true(bytes_of(1, UINT32_MAX, 1, 4, 0) > 0);
  assert_true(bytes_of(4096, 4096, 128, ZCMEM_MAX_BLOCKS, 0) > 0);
}

static void init_statuses(void **state) {
  const struct zcmem_heap_config good = {4096, 1 << 20, 128, 64, 0}, bad = {4096, 1 << 20, 127, 64, 0};
  size_t bytes = zcmem_heap_bytes(&good);
  struct zcmem_heap *heap = NULL;
  unsigned char *image = image_memory(bytes + 64);
  (void)state;
  memset(image, 0x5a, bytes + 64);
  assert_status(zcmem_heap_init(NULL, bytes, &good, &heap), ZCMEM_EINVAL);
  assert_status(zcmem_heap_init(image, bytes, NULL, &heap), ZCMEM_EINVAL);
  assert_status(zcmem_heap_init(image, bytes, &good, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_init(image, bytes, &bad, &heap), ZCMEM_EINVAL);
  assert_status(zcmem_heap_init(image + 8, bytes, &good, &heap), ZCMEM_EINVAL);
  assert_status(zcmem_heap_init(image + 32, bytes, &good, &heap), ZCMEM_EINVAL);
  assert_status(zcmem_heap_init(image, bytes - 1, &good, &heap), ZCMEM_ENOMEM);
  assert_status(zcmem_heap_init(image, 0, &good, &heap), ZCMEM_ENOMEM);
  assert_null(heap);
  for (size_t i = 0; i < bytes + 64; i++) {
    assert_int_equal(image[i], 0x5a); /* a refused init writes nothing */
  }
  assert_ok(zcmem_heap_init(image, bytes, &good, &heap));
  for (size_t i = bytes; i < bytes + 64; i++) {
    assert_int_equal(image[i], 0x5a); /* and a good one nothing behind its end */
  }
  assert_ok(zcmem_heap_check(heap));
  free(image);
}

static void managed_range(void **state) {
  static const struct {
    hal_addr_t base;
    hal_size_t size, quantum;
    hal_addr_t first;
    hal_size_t whole;
  } ranges[] = {
      {4096, 4096, 128, 4096, 4096},
      {4097, 4096, 128, 4224, 3968}, /* 4224 ... 8191, then one byte */
      {4000, 4096, 128, 4096, 3968}, /* 96 bytes before, 32 behind */
      {0, 4096, 128, 128, 3968},
      {1, 4096, 128, 128, 3968},
      {0, 2, 1, 1, 1},
      {UINT64_MAX, 1, 1, UINT64_MAX, 1},
      {0 - UINT64_C(4096), 4096, 128, 0 - UINT64_C(4096), 4096},
      {0 - UINT64_C(4100), 4100, 128, 0 - UINT64_C(4096), 4096},
      {0 - UINT64_C(4096), 4095, 128, 0 - UINT64_C(4096), 3968},
      {(UINT64_C(1) << 32) - 4096, 4096, 4096, (UINT64_C(1) << 32) - 4096, 4096},
      {(UINT64_C(1) << 32) - 4096, 8192, 4096, (UINT64_C(1) << 32) - 4096, 8192},
  };
  (void)state;
  for (unsigned i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    struct fixture f = fixture_make(ranges[i].base, ranges[i].size, ranges[i].quantum, 8);
    struct zcmem_heap_info info = fixture_info(&f);
    assert_int_equal(info.base, ranges[i].first);
    assert_int_equal(info.size, ranges[i].whole);
    assert_int_equal(info.quantum, ranges[i].quantum);
    assert_int_equal(info.free, ranges[i].whole);
    assert_int_equal(zcmem_heap_largest(f.heap), ranges[i].whole);
    assert_int_equal(fixture_alloc(&f, ranges[i].whole, 1), ranges[i].first);
    fixture_end(&f);
  }
}

/* Fresh memory that is zero gives the same image as memory that init had to clear. */
static void zeroed_or_cleared_is_the_same(void **state) {
  struct zcmem_heap_config config = {4096, 1 << 24, 128, 500, 0};
  size_t bytes = zcmem_heap_bytes(&config);
  void *cleared = image_memory(bytes), *fresh = image_memory(bytes);
  struct zcmem_heap *a, *b;
  (void)state;
  memset(cleared, 0xff, bytes);
  memset(fresh, 0, bytes);
  assert_ok(zcmem_heap_init(cleared, bytes, &config, &a));
  config.flags = ZCMEM_HEAP_ZEROED;
  assert_int_equal(zcmem_heap_bytes(&config), bytes);
  assert_ok(zcmem_heap_init(fresh, bytes, &config, &b));
  assert_memory_equal(cleared, fresh, bytes);
  free(cleared);
  free(fresh);
}

/* Half of a random history here, the other half in a copy at another place, beside the original: both do the same. */
static void image_moves(void **state) {
  struct fixture f = fixture_make(UINT64_C(0xfff) << 40, 1 << 22, 128, 300);
  uint64_t random = env_number("ZCMEM_TEST_SEED", 2), again;
  void *copy = image_memory(f.bytes);
  struct zcmem_heap *moved = NULL;
  hal_addr_t live[200] = {0}, mirror[200] = {0};
  (void)state;
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)random);
  for (unsigned round = 0; round < 6; round++) {
    memcpy(copy, f.image, f.bytes);
    memcpy(mirror, live, sizeof live);
    assert_ok(zcmem_heap_attach(copy, f.bytes, &moved));
    assert_ptr_not_equal(moved, f.heap);
    again = random;
    for (unsigned pass = 0; pass < 2; pass++) {
      struct zcmem_heap *heap = pass == 0 ? f.heap : moved;
      hal_addr_t *blocks = pass == 0 ? live : mirror;
      random = again;
      for (unsigned i = 0; i < 1500; i++) {
        unsigned slot = (unsigned)random_below(&random, 200);
        hal_size_t size = random_next(&random) >> (44 + random_below(&random, 20));
        if (blocks[slot] == 0) {
          hal_addr_t addr = 0;
          if (zcmem_heap_alloc(heap, size, UINT64_C(1) << random_below(&random, 12), &addr) == ZCMEM_OK) {
            blocks[slot] = addr;
          }
        } else if (size % 4 != 0 || zcmem_heap_resize(heap, blocks[slot], size) != ZCMEM_OK) {
          assert_ok(zcmem_heap_free(heap, blocks[slot]));
          blocks[slot] = 0;
        }
      }
    }
    assert_memory_equal(live, mirror, sizeof live);
    assert_memory_equal(f.image, copy, f.bytes);
    assert_ok(zcmem_heap_check(f.heap));
  }
  free(copy);
  fixture_end(&f);
}

static void attach_statuses(void **state) {
  struct fixture f = fixture_make(4096, 1 << 20, 128, 64);
  unsigned char *copy = image_memory(f.bytes + 64);
  struct zcmem_heap *heap = NULL;
  const char *broken = NULL;
  (void)state;
  (void)fixture_alloc(&f, 1000, 4096);
  memset(copy, 0, f.bytes + 64);
  assert_status(zcmem_heap_attach(NULL, f.bytes, &heap), ZCMEM_EINVAL);
  assert_status(zcmem_heap_attach(f.image, f.bytes, NULL), ZCMEM_EINVAL);
  memcpy(copy + 8, f.image, f.bytes);
  assert_status(zcmem_heap_attach(copy + 8, f.bytes, &heap), ZCMEM_EINVAL);
  memset(copy, 0, f.bytes + 64);
  assert_status(zcmem_heap_attach(copy, f.bytes, &heap), ZCMEM_ECORRUPT); /* nothing there */
  memcpy(copy, f.image, f.bytes);
  assert_status(zcmem_heap_attach(copy, f.bytes - 1, &heap), ZCMEM_ECORRUPT); /* cut short */
  assert_status(zcmem_heap_attach(copy, 16, &heap), ZCMEM_ECORRUPT);
  assert_status(zcmem_heap_attach(copy, 0, &heap), ZCMEM_ECORRUPT);
  assert_status(zcmem_heap_check_detail(copy, f.bytes - 1, &broken), ZCMEM_ECORRUPT);
  assert_non_null(broken);
  assert_null(heap);
  assert_ok(zcmem_heap_attach(copy, f.bytes + 64, &heap)); /* room behind it does no harm */
  assert_non_null(heap);
  assert_ok(zcmem_heap_check_detail(copy, f.bytes, &broken));
  assert_null(broken);
  assert_status(zcmem_heap_check(NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_check_detail(NULL, f.bytes, &broken), ZCMEM_EINVAL);
  free(copy);
  fixture_end(&f);
}

/* Whatever bytes are in an image, attach answers; and what it accepts, every call may work on. */
static void attach_survives_any_single_byte(void **state) {
  struct fixture f = fixture_make(4096, 1 << 14, 128, 16);
  uint64_t random = env_number("ZCMEM_TEST_SEED", 3);
  hal_addr_t a[8];
  size_t refused = 0;
  (void)state;
  for (unsigned i = 0; i < 8; i++) {
    a[i] = fixture_alloc(&f, 100 * i, 128u << (i % 3));
  }
  for (unsigned i = 0; i < 8; i += 3) {
    fixture_free(&f, a[i]);
  }
  fixture_keep(&f);
  for (size_t i = 0; i < f.bytes; i++) {
    unsigned char *byte = (unsigned char *)f.image + i;
    struct zcmem_heap *heap = NULL;
    hal_addr_t addr = 0;
    *byte = (unsigned char)(*byte ^ (1u + random_below(&random, 255)));
    if (zcmem_heap_attach(f.image, f.bytes, &heap) == ZCMEM_OK) {
      (void)zcmem_heap_alloc(heap, 300, 1, &addr);
      (void)zcmem_heap_free(heap, a[1]);
      assert_ok(zcmem_heap_check(heap));
    } else {
      refused++;
    }
    memcpy(f.image, f.before, f.bytes);
  }
  assert_true(refused > 0);
  fixture_end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(invalid_configs),
      cmocka_unit_test(valid_configs),
      cmocka_unit_test(init_statuses),
      cmocka_unit_test(managed_range),
      cmocka_unit_test(zeroed_or_cleared_is_the_same),
      cmocka_unit_test(image_moves),
      cmocka_unit_test(attach_statuses),
      cmocka_unit_test(attach_survives_any_single_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
