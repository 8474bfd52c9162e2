/* SPDX-License-Identifier: MIT */
/*
 * Metadata is touched only where blocks are: the pages of an image that are resident after init, and after some blocks
 * in a huge region, are counted with mincore.
 */
#define _DEFAULT_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "heap_fixture.h"

static size_t resident_bytes(void *image, size_t bytes) {
  size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, resident = 0;
  unsigned char *map = malloc(pages);
  assert_non_null(map);
  assert_int_equal(mincore(image, bytes, map), 0);
  for (size_t i = 0; i < pages; i++) {
    resident += map[i] & 1u;
  }
  free(map);
  return resident * page;
}

static void a_huge_region_with_few_blocks_is_cheap(void **state) {
  const struct zcmem_heap_config config = {UINT64_C(1) << 36, UINT64_C(1) << 36, 128, 1 << 20, ZCMEM_HEAP_ZEROED};
  size_t bytes = zcmem_heap_bytes(&config);
  hal_addr_t addr[100];
  struct zcmem_heap *heap = NULL;
  void *image = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  (void)state;
  assert_ptr_not_equal(image, MAP_FAILED);
  (void)madvise(image, bytes, MADV_NOHUGEPAGE);
  assert_int_equal(resident_bytes(image, bytes), 0);
  assert_ok(zcmem_heap_init(image, bytes, &config, &heap));
  print_message("image %zu bytes, touched by init %zu\n", bytes, resident_bytes(image, bytes));
  assert_true(resident_bytes(image, bytes) <= 64 * 1024);
  for (unsigned i = 0; i < 100; i++) {
    assert_ok(zcmem_heap_alloc(heap, UINT64_C(300) << (i % 20), 1, &addr[i]));
  }
  for (unsigned i = 0; i < 100; i += 2) {
    assert_ok(zcmem_heap_free(heap, addr[i]));
  }
  print_message("touched with 100 blocks %zu\n", resident_bytes(image, bytes));
  assert_true(resident_bytes(image, bytes) <= 512 * 1024);
  (void)munmap(image, bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_huge_region_with_few_blocks_is_cheap)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
