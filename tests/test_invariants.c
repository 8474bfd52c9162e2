/* SPDX-License-Identifier: MIT */
/*
 * The checker notices whatever is broken, and names it:
 *   - each kind of damage in the tables of damage.h, by its message; and there is one for each message of the checker
 *     (test_invariants <src/heap_check.c> <src/heap_check_bins.c> looks them up there)
 *   - each bit of an image that means something, whichever it is; and no other bit
 */
#include <string.h>

#include "damage.h"

static struct image images[IMAGE_SHAPES];
static char *const *checker_sources; /* paths, up to NULL: none is given where the first one is */

static const struct damage *const tables[] = {damage_chain, damage_bins, damage_wide, damage_index};
#define TABLES (sizeof tables / sizeof tables[0])

static int make_images(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    images[shape] = image_make((enum image_shape)shape);
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

static void expect_broken(const struct damage *damage, const struct image *image) {
  struct zcmem_heap *heap = NULL;
  const char *broken = NULL;
  enum zcmem_status status = zcmem_heap_check_detail(image->memory, image->bytes, &broken);
  if (status != ZCMEM_ECORRUPT || broken == NULL || strcmp(broken, damage->broken) != 0) {
    print_error("%s, %s: %s, %s\n", image_names[damage->shape], damage->name, zcmem_status_string(status),
                broken != NULL ? broken : "nothing is said to be broken");
    print_error("expected: %s\n", damage->broken);
    fail();
  }
  assert_status(zcmem_heap_attach(image->memory, image->bytes, &heap), ZCMEM_ECORRUPT);
  assert_null(heap);
}

static void damage_is_named(void **state) {
  (void)state;
  for (unsigned table = 0; table < TABLES; table++) {
    for (const struct damage *damage = tables[table]; damage->apply != NULL; damage++) {
      const struct image *whole = &images[damage->shape];
      struct image copy = image_copy(whole, whole->bytes);
      assert_ok(zcmem_heap_check(copy.memory));
      damage->apply(copy.memory);
      assert_memory_not_equal(copy.memory, whole->memory, whole->bytes);
      expect_broken(damage, &copy);
      image_drop(&copy);
    }
  }
}

static void cut_short_is_named(void **state) {
  const struct damage header = {IMAGE_SMALL, NULL, "cut", "I1: no heap image of this version and byte order"};
  const struct damage tables_cut = {IMAGE_SMALL, NULL, "cut", "I1: the image is cut short"};
  struct image copy = image_copy(&images[IMAGE_SMALL], images[IMAGE_SMALL].bytes);
  const size_t whole = copy.bytes;
  (void)state;
  copy.bytes = whole - 1;
  expect_broken(&tables_cut, &copy);
  copy.bytes = sizeof(struct zcmem_heap);
  expect_broken(&tables_cut, &copy);
  copy.bytes--;
  expect_broken(&header, &copy);
  copy.bytes = 0;
  expect_broken(&header, &copy);
  image_drop(&copy);
}

/* Whether a kind of damage, or cut_short_is_named, expects this message. */
static bool is_expected(const char *message, size_t length) {
  static const char cut[] = "I1: the image is cut short";
  if (length == strlen(cut) && memcmp(message, cut, length) == 0) {
    return true;
  }
  for (unsigned table = 0; table < TABLES; table++) {
    for (const struct damage *damage = tables[table]; damage->apply != NULL; damage++) {
      if (strlen(damage->broken) == length && memcmp(message, damage->broken, length) == 0) {
        return true;
      }
    }
  }
  return false;
}

/* How many messages there are in one of the checker's files. */
static size_t check_messages(const char *path) {
  static char source[65536];
  static const char call[] = "fail(check, \"";
  size_t bytes, messages = 0;
  FILE *file = fopen(path, "rb");
  assert_non_null(file);
  bytes = fread(source, 1, sizeof source - 1, file);
  assert_true(bytes > 0 && bytes < sizeof source - 1);
  source[bytes] = '\0';
  (void)fclose(file);
  for (const char *at = source; (at = strstr(at, call)) != NULL; messages++) {
    at += strlen(call);
    size_t length = strcspn(at, "\"");
    if (!is_expected(at, length)) {
      print_error("no damage makes the checker say: %.*s\n", (int)length, at);
      fail();
    }
  }
  return messages;
}

static void every_message_has_its_damage(void **state) {
  size_t messages = 0;
  (void)state;
  if (*checker_sources == NULL) {
    skip();
  }
  for (char *const *path = checker_sources; *path != NULL; path++) {
    size_t count = check_messages(*path);
    assert_true(count > 8);
    messages += count;
  }
  print_message("%zu places where the checker fails\n", messages);
  assert_true(messages > 20);
}

/* Flips bits, `step` apart and `first` the first, one after the other. */
static void flip_bits(enum image_shape shape, size_t first, size_t step) {
  const size_t bytes = images[shape].bytes;
  struct image copy = image_copy(&images[shape], bytes);
  unsigned char *mask = image_meaning(&images[shape]), *at = copy.memory;
  size_t noticed = 0, ignored = 0;
  for (size_t bit = first; bit < 8 * bytes; bit += step) {
    const size_t byte = bit / 8;
    const unsigned char flip = (unsigned char)(1u << bit % 8);
    const bool means_something = (mask[byte] & flip) != 0;
    const char *broken = NULL;
    at[byte] ^= flip;
    enum zcmem_status status = zcmem_heap_check_detail(copy.memory, bytes, &broken);
    if (means_something ? status != ZCMEM_ECORRUPT : status != ZCMEM_OK && !image_said_once(&images[shape], byte)) {
      print_error("%s, byte %zu, bit %zu: %s, %s\n", image_names[shape], byte, bit % 8, zcmem_status_string(status),
                  broken != NULL ? broken : "nothing is said to be broken");
      fail();
    }
    noticed += means_something;
    ignored += !means_something;
    at[byte] ^= flip;
  }
  print_message("%s: %zu bits noticed, %zu mean nothing\n", image_names[shape], noticed, ignored);
  assert_true(noticed > 0 && ignored > 0);
  assert_memory_equal(copy.memory, images[shape].memory, bytes);
  free(mask);
  image_drop(&copy);
}

static void every_bit_of_small_images(void **state) {
  (void)state;
  flip_bits(IMAGE_EMPTY, 0, 1);
  flip_bits(IMAGE_SMALL, 0, 1);
  flip_bits(IMAGE_SPARSE, 0, 1);
}

/* A prime step, so that all bits of a word have their turn; ZCMEM_TEST_STEP=1 tries each. */
static void bits_of_large_images(void **state) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1), step = env_number("ZCMEM_TEST_STEP", 251);
  (void)state;
  print_message("ZCMEM_TEST_SEED=%llu ZCMEM_TEST_STEP=%llu\n", (unsigned long long)seed, (unsigned long long)step);
  for (unsigned shape = IMAGE_FULL; shape < IMAGE_SHAPES; shape++) {
    flip_bits((enum image_shape)shape, (size_t)random_below(&seed, step), (size_t)step);
  }
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(damage_is_named),
      cmocka_unit_test(cut_short_is_named),
      cmocka_unit_test(every_message_has_its_damage),
      cmocka_unit_test(every_bit_of_small_images),
      cmocka_unit_test(bits_of_large_images),
  };
  checker_sources = argv + (argc > 0);
  return cmocka_run_group_tests(tests, make_images, drop_images);
}
