/* SPDX-License-Identifier: MIT */
/*
 * zcmem_heap_repair on images of all shapes: whole ones, ones with the damage that the checker knows, with any byte of
 * what is derived changed, with a header that is lost, and with garbage.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<images of garbage of each shape>
 */
#include <string.h>

#include "damage.h"
#include "heap_user.h"
#include "ledger.h"

#define DEFAULT_OPS 40u

static struct image images[IMAGE_SHAPES];
static struct ledger whole[IMAGE_SHAPES]; /* their blocks */
static uint64_t seed, ops;

static const struct damage *const tables[] = {damage_chain, damage_bins, damage_wide, damage_index};
#define TABLES (sizeof tables / sizeof tables[0])

static struct zcmem_heap_config config_of(const struct image *image) {
  const struct zcmem_heap *heap = image->memory;
  return (struct zcmem_heap_config){heap->at.base, zcmem__heap_bytes_of(heap, heap->at.quanta),
                                    zcmem__heap_bytes_of(heap, 1), heap->at.max_blocks, 0};
}

static int make_images(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    images[shape] = image_make((enum image_shape)shape);
    ledger_read(&whole[shape], images[shape].memory);
  }
  return 0;
}

static int drop_images(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    image_drop(&images[shape]);
  }
  return 0;
}

static enum zcmem_status repair(struct image *image, uint32_t flags) {
  return zcmem_heap_repair(image->memory, image->bytes, NULL, flags, NULL);
}

static void expect_whole(const struct image *image) {
  const char *broken = NULL;
  if (zcmem_heap_check_detail(image->memory, image->bytes, &broken) != ZCMEM_OK) {
    print_error("after the repair: %s\n", broken);
    fail();
  }
}

/* ------------------------------------------------------------------------------------------------ whole images -- */

static void whole_images_stay_what_they_are(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    struct image copy = image_copy(&images[shape], images[shape].bytes), again;
    const struct zcmem_heap *before = images[shape].memory, *heap = copy.memory;
    struct zcmem_repair_info info = {99, 99, 99, 99, 99};
    assert_ok(zcmem_heap_repair(copy.memory, copy.bytes, NULL, 0, &info));
    expect_whole(&copy);
    assert_true(ledger_matches(&whole[shape], copy.memory));
    assert_int_equal(info.live, before->live);
    assert_int_equal(info.cached + info.zombies + info.undone + info.dropped, 0);
    assert_int_equal(heap->free_quanta, before->free_quanta);
    assert_int_equal(heap->slack, before->slack);
    assert_int_equal(zcmem_heap_largest(heap), zcmem_heap_largest(before));
    again = image_copy(&copy, copy.bytes);
    assert_ok(repair(&again, 0));
    assert_memory_equal(again.memory, copy.memory, copy.bytes);
    image_drop(&again);
    use_heap(copy.memory, shape);
    image_drop(&copy);
  }
}

static void wrong_arguments_are_refused(void **state) {
  struct image copy = image_copy(&images[IMAGE_SMALL], images[IMAGE_SMALL].bytes);
  const struct zcmem_heap_config good = config_of(&copy);
  struct zcmem_heap_config bad = good;
  (void)state;
  bad.quantum = 3;
  assert_status(zcmem_heap_repair(NULL, copy.bytes, NULL, 0, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_repair((char *)copy.memory + 8, copy.bytes - 8, NULL, 0, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_repair(copy.memory, copy.bytes, NULL, 4, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_repair(copy.memory, copy.bytes, &bad, 0, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_heap_repair(copy.memory, copy.bytes - 1, NULL, 0, NULL), ZCMEM_ECORRUPT);
  assert_status(zcmem_heap_repair(copy.memory, copy.bytes - 1, &good, 0, NULL), ZCMEM_ECORRUPT);
  assert_status(zcmem_heap_repair(copy.memory, 0, NULL, 0, NULL), ZCMEM_ECORRUPT);
  assert_memory_equal(copy.memory, images[IMAGE_SMALL].memory, copy.bytes);
  image_drop(&copy);
}

/* ---------------------------------------------------------------------------------------------- what is derived -- */

static bool occupied(uint32_t use) {
  return (use & ZCMEM__STATE) == ZCMEM__LIVE || (use & ZCMEM__STATE) == ZCMEM__ZOMBIE || use == ZCMEM__CACHED;
}

/*
 * A mask as long as the image, of what repair relies on: the geometry, what says which descriptors were used, each
 * state, and all that an occupied descriptor says of its block.
 */
static unsigned char *truth_of(const struct image *image) {
  const struct zcmem_heap *heap = image->memory;
  unsigned char *mask = calloc(1, image->bytes);
  assert_non_null(mask);
  memset(mask + offsetof(struct zcmem_heap, magic), 1, sizeof heap->magic);
  memset(mask + offsetof(struct zcmem_heap, at), 1, sizeof heap->at);
  memset(mask + offsetof(struct zcmem_heap, next_id), 1, sizeof heap->next_id);
  memset(mask + offsetof(struct zcmem_heap, shared), 1, sizeof heap->shared);
  memset(mask + offsetof(struct zcmem_heap, undo_id), 1, sizeof heap->undo_id);
  for (uint32_t id = ZCMEM__ID; id < heap->at.descriptors * ZCMEM__ID; id += ZCMEM__ID) {
    const struct zcmem__block *block = zcmem__block_const(heap, id);
    unsigned char *at = mask + ((const char *)block - (const char *)image->memory);
    memset(at + offsetof(struct zcmem__block, use), 1, sizeof block->use);
    if (id < heap->next_id && occupied(block->use)) {
      memset(at + offsetof(struct zcmem__block, start), 1, sizeof block->start);
      memset(at + offsetof(struct zcmem__block, size), 1, sizeof block->size);
      memset(at + offsetof(struct zcmem__block, slack), 1, sizeof block->slack);
      memset(at + offsetof(struct zcmem__block, tag), 1, sizeof block->tag);
    }
  }
  return mask;
}

/* Whether they differ in what repair relies on. */
static bool truth_differs(const struct image *a, const struct image *b) {
  unsigned char *mask = truth_of(a);
  bool differ = false;
  for (size_t i = 0; i < a->bytes && !differ; i++) {
    differ = mask[i] && ((unsigned char *)a->memory)[i] != ((unsigned char *)b->memory)[i];
  }
  free(mask);
  return differ;
}

static void damage_is_repaired(void **state) {
  unsigned exact = 0, others = 0;
  (void)state;
  for (unsigned table = 0; table < TABLES; table++) {
    for (const struct damage *damage = tables[table]; damage->apply != NULL; damage++) {
      const struct image *image = &images[damage->shape];
      const struct zcmem_heap_config config = config_of(image);
      struct image copy = image_copy(image, image->bytes), damaged;
      damage->apply(copy.memory);
      damaged = image_copy(&copy, copy.bytes);
      enum zcmem_status status = repair(&copy, 0);
      if (!truth_differs(image, &damaged)) { /* then all comes back */
        assert_ok(status);
        assert_true(ledger_matches(&whole[damage->shape], copy.memory));
        exact++;
      } else { /* whatever it says, it says no nonsense, and nothing is beyond repair */
        assert_true(status == ZCMEM_OK || status == ZCMEM_ECORRUPT);
        others++;
      }
      if (status == ZCMEM_OK) {
        expect_whole(&copy);
      }
      assert_ok(zcmem_heap_repair(damaged.memory, damaged.bytes, &config, ZCMEM_REPAIR_DAMAGED, NULL));
      expect_whole(&damaged);
      use_heap(damaged.memory, table);
      image_drop(&damaged);
      image_drop(&copy);
    }
  }
  print_message("%u kinds of damage repaired exactly, %u others\n", exact, others);
  assert_true(exact > 100 && others > 20);
}

static void any_derived_byte_is_repaired(void **state) {
  size_t changed = 0;
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    const struct image *image = &images[shape];
    unsigned char *truth = truth_of(image);
    const size_t step = image->bytes < 32768 ? 1 : 251; /* of large images some bytes, all of them at once below */
    struct image all = image_copy(image, image->bytes);
    for (size_t i = 0; i < image->bytes; i++) {
      if (truth[i]) {
        continue;
      }
      ((unsigned char *)all.memory)[i] ^= (unsigned char)(i | 1u);
      if (i % step == 0) {
        struct image copy = image_copy(image, image->bytes);
        ((unsigned char *)copy.memory)[i] ^= 0xff;
        assert_ok(repair(&copy, 0));
        expect_whole(&copy);
        assert_true(ledger_matches(&whole[shape], copy.memory));
        image_drop(&copy);
        changed++;
      }
    }
    assert_ok(repair(&all, 0));
    expect_whole(&all);
    assert_true(ledger_matches(&whole[shape], all.memory));
    image_drop(&all);
    free(truth);
  }
  print_message("%zu bytes changed\n", changed);
  assert_true(changed > 1000);
}

/* ---------------------------------------------------------------------------------------- users that are no more -- */

static void what_nobody_uses_is_given_back(void **state) {
  struct image copy = image_copy(&images[IMAGE_MIXED], images[IMAGE_MIXED].bytes);
  struct zcmem_heap *heap = copy.memory;
  struct zcmem_repair_info info;
  struct ledger expected = {.quantum = whole[IMAGE_MIXED].quantum};
  unsigned zombies = 0, cached = 0;
  (void)state;
  heap->shared = ZCMEM__SHARED_MANY;
  for (unsigned i = 0; i < whole[IMAGE_MIXED].count; i++) {
    struct zcmem_block_info block = whole[IMAGE_MIXED].blocks[i];
    if (block.state == ZCMEM_BLOCK_ZOMBIE) {
      zombies++;
    } else if (block.pins + block.transfers == 0 && i % 3 == 0) { /* what a magazine keeps has neither slack nor tag */
      uint32_t id = zcmem__index_holder(heap, (uint32_t)((block.addr - heap->at.base) >> heap->at.quantum_shift));
      zcmem__block(heap, id)->use = ZCMEM__CACHED;
      zcmem__block(heap, id)->slack = UINT32_MAX;
      zcmem__block(heap, id)->tag = UINT32_MAX;
      cached++;
    } else {
      block.pins = 0;
      block.transfers = 0;
      expected.blocks[expected.count++] = block;
    }
  }
  assert_true(zombies > 0 && cached > 0 && expected.count > 0);
  assert_ok(zcmem_heap_repair(copy.memory, copy.bytes, NULL, 0, &info)); /* others may be there */
  expect_whole(&copy);
  assert_int_equal(info.live, whole[IMAGE_MIXED].count);
  assert_int_equal(info.cached + info.zombies, 0);
  assert_ok(zcmem_heap_repair(copy.memory, copy.bytes, NULL, ZCMEM_REPAIR_ABANDONED, &info));
  expect_whole(&copy);
  assert_true(ledger_matches(&expected, heap));
  assert_int_equal(info.live, expected.count);
  assert_int_equal(info.cached, cached);
  assert_int_equal(info.zombies, zombies);
  image_drop(&copy);
}

/* ------------------------------------------------------------------------------------------------------- damage -- */

static void a_lost_header_comes_from_the_config(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    for (int fill = 0; fill <= 0xff; fill += 0xff) {
      const struct zcmem_heap_config config = config_of(&images[shape]);
      struct image copy = image_copy(&images[shape], images[shape].bytes);
      memset(copy.memory, fill, sizeof(struct zcmem_heap));
      assert_status(repair(&copy, 0), ZCMEM_ECORRUPT);
      assert_status(repair(&copy, ZCMEM_REPAIR_DAMAGED), ZCMEM_ECORRUPT);
      assert_ok(zcmem_heap_repair(copy.memory, copy.bytes, &config, ZCMEM_REPAIR_DAMAGED, NULL));
      expect_whole(&copy);
      assert_true(ledger_matches(&whole[shape], copy.memory));
      image_drop(&copy);
    }
  }
}

static void blocks_that_cannot_be_are_dropped(void **state) {
  struct image copy = image_copy(&images[IMAGE_FULL], images[IMAGE_FULL].bytes);
  struct zcmem_heap *heap = copy.memory;
  struct zcmem__block *first = zcmem__block(heap, find_block(heap, ZCMEM__LIVE, 2));
  struct zcmem__block *second = neighbour(heap, first->next), *last = last_block(heap);
  const hal_addr_t start = zcmem__heap_addr(heap, first->start);
  struct zcmem_repair_info info;
  (void)state;
  assert_int_not_equal(last, second);
  first->size += second->size; /* two that overlap, */
  last->size++;                /* and one that reaches out of the heap */
  assert_status(repair(&copy, 0), ZCMEM_ECORRUPT);
  assert_ok(zcmem_heap_repair(copy.memory, copy.bytes, NULL, ZCMEM_REPAIR_DAMAGED, &info));
  expect_whole(&copy);
  assert_int_equal(info.dropped, 2);
  assert_int_equal(info.live, whole[IMAGE_FULL].count - 2);
  struct zcmem_block_info block;
  assert_ok(zcmem_heap_find(heap, zcmem__heap_addr(heap, second->start), &block));
  assert_true(block.addr == start);
  image_drop(&copy);
}

/* More blocks than there may be: those that are found last are dropped, or all stays as it is. */
static void blocks_beyond_the_most_are_dropped(void **state) {
  const struct zcmem_heap_config config = {4096, 64 * 128, 128, 3, 0};
  struct zcmem_repair_info info;
  struct zcmem_heap *heap = NULL;
  hal_addr_t addr = 0;
  (void)state;
  size_t bytes = zcmem_heap_bytes(&config);
  unsigned char *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64), behind[64];
  assert_non_null(memory);
  memset(behind, 0xa5, sizeof behind); /* what is no image stays as it is */
  memcpy(memory + bytes, behind, sizeof behind);
  assert_ok(zcmem_heap_init(memory, bytes, &config, &heap));
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(zcmem_heap_alloc(heap, 100, 1, &addr));
  }
  struct zcmem__block *hole = last_block(heap);
  assert_int_equal(hole->use, ZCMEM__FREE);
  hole->use = ZCMEM__LIVE;
  hole->size = 1;
  hole->slack = 0;
  assert_status(zcmem_heap_repair(memory, bytes, NULL, 0, NULL), ZCMEM_ECORRUPT);
  assert_ok(zcmem_heap_repair(memory, bytes, NULL, ZCMEM_REPAIR_DAMAGED, &info));
  assert_memory_equal(memory + bytes, behind, sizeof behind);
  assert_int_equal(info.live, 3);
  assert_int_equal(info.dropped, 1);
  assert_ok(zcmem_heap_check(heap));
  assert_ok(zcmem_heap_free(heap, 4096));
  assert_ok(zcmem_heap_alloc(heap, 1, 1, &addr));
  assert_int_equal(addr, 4096);
  free(memory);
}

/* As many quanta as there can be: where a block starts needs all 32 bits. */
static void a_heap_of_all_quanta_is_repaired(void **state) {
  const struct zcmem_heap_config config = {0, (hal_size_t)UINT32_MAX * 128, 128, 4, 0};
  struct zcmem_heap *heap = NULL;
  hal_addr_t addrs[3] = {(hal_addr_t)0xfffffff0 * 128, 128, (hal_addr_t)0x80000000 * 128};
  (void)state;
  size_t bytes = zcmem_heap_bytes(&config);
  assert_in_range(bytes, 1, 1 << 24);
  void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(memory);
  assert_ok(zcmem_heap_init(memory, bytes, &config, &heap));
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(zcmem_heap_reserve(heap, addrs[i], 1000));
  }
  heap->free_quanta = 7;
  assert_ok(zcmem_heap_repair(memory, bytes, NULL, 0, NULL));
  assert_ok(zcmem_heap_check(heap));
  for (unsigned i = 0; i < 3; i++) {
    assert_ok(zcmem_heap_free(heap, addrs[i]));
  }
  assert_int_equal(zcmem_heap_largest(heap), ((hal_size_t)UINT32_MAX - 1) * 128);
  free(memory);
}

/* Without what some garbage says that magazines keep. */
static void use_repaired(struct image *image, uint64_t random) {
  assert_ok(repair(image, ZCMEM_REPAIR_ABANDONED));
  expect_whole(image);
  use_heap(image->memory, random);
}

/* A few bytes of garbage anywhere, or everywhere. */
static void garbage_is_survived(void **state) {
  uint64_t random = seed, accepted = 0, dropped = 0;
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    const struct zcmem_heap_config config = config_of(&images[shape]);
    for (uint64_t i = 0; i < ops; i++) {
      struct image copy = image_copy(&images[shape], images[shape].bytes), plain;
      unsigned char *bytes = copy.memory;
      const size_t first = random_below(&random, 2) == 0 ? sizeof(struct zcmem_heap) : 0;
      const uint64_t most = random_below(&random, 4) == 0 ? copy.bytes : 64;
      struct zcmem_repair_info info;
      for (uint64_t n = 1 + random_below(&random, most); n > 0; n--) {
        bytes[first + random_below(&random, copy.bytes - first)] = (unsigned char)random_next(&random);
      }
      plain = image_copy(&copy, copy.bytes);
      if (repair(&plain, 0) == ZCMEM_OK) {
        expect_whole(&plain);
        use_repaired(&plain, random_next(&random));
        accepted++;
      }
      image_drop(&plain);
      assert_ok(zcmem_heap_repair(copy.memory, copy.bytes, &config, ZCMEM_REPAIR_DAMAGED, &info));
      expect_whole(&copy);
      use_repaired(&copy, random_next(&random));
      dropped += info.dropped;
      image_drop(&copy);
    }
  }
  print_message("%llu repaired without a config, %llu blocks dropped\n", (unsigned long long)accepted,
                (unsigned long long)dropped);
  assert_true(accepted > 0 && dropped > 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(whole_images_stay_what_they_are),
      cmocka_unit_test(wrong_arguments_are_refused),
      cmocka_unit_test(damage_is_repaired),
      cmocka_unit_test(any_derived_byte_is_repaired),
      cmocka_unit_test(what_nobody_uses_is_given_back),
      cmocka_unit_test(a_lost_header_comes_from_the_config),
      cmocka_unit_test(blocks_that_cannot_be_are_dropped),
      cmocka_unit_test(blocks_beyond_the_most_are_dropped),
      cmocka_unit_test(a_heap_of_all_quanta_is_repaired),
      cmocka_unit_test(garbage_is_survived),
  };
  seed = env_number("ZCMEM_TEST_SEED", 0x726570);
  ops = env_number("ZCMEM_TEST_OPS", DEFAULT_OPS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)ops);
  return cmocka_run_group_tests(tests, make_images, drop_images);
}
