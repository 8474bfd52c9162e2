/* SPDX-License-Identifier: MIT */
/*
 * An image comes from anywhere. Whatever is in it, zcmem_heap_attach answers ECORRUPT or OK, within the time that a
 * whole image takes, reads nothing outside of it and writes nothing (meant for ASan and valgrind, too: the image lies
 * in memory of exactly its size). Where it answers OK, the heap must work: hundreds of calls, checked after each.
 *   ZCMEM_TEST_SEED=<number>, ZCMEM_TEST_OPS=<damaged images of each kind and shape>
 */
#include <string.h>
#include <time.h>

#include "heap_impl.h"
#include "heap_user.h"
#include "images.h"
#include "unit.h"

#define DEFAULT_OPS 200u
/* How much longer than of a whole image an attach may take; clocks are not exact. */
#define SLOWEST 5.0

static struct image images[IMAGE_SHAPES];
static double clean_seconds[IMAGE_SHAPES];
static uint64_t seed, ops;

static struct {
  unsigned long refused, accepted, used;
  double slowest; /* relative to a whole image */
} sums;

/* ---------------------------------------------------------------------------------------------------- attach -- */

static double attach_seconds(struct image *image, enum zcmem_status *status, struct zcmem_heap **heap) {
  clock_t before = clock();
  *status = zcmem_heap_attach(image->memory, image->bytes, heap);
  return (double)(clock() - before) / CLOCKS_PER_SEC;
}

/* Attaches to a damaged image; one in `one_in` that are accepted is used. */
static void try_image(struct image *image, enum image_shape shape, unsigned one_in) {
  struct zcmem_heap *heap = NULL;
  struct image before = image_copy(image, image->bytes);
  enum zcmem_status status, again;
  double seconds = attach_seconds(image, &status, &heap), clean = clean_seconds[shape];
  for (unsigned i = 0; i < 10 && seconds > 1.5 * clean; i++) { /* it may have been the clock, or an interrupt */
    double repeated = attach_seconds(image, &again, &heap);
    assert_int_equal(again, status);
    seconds = repeated < seconds ? repeated : seconds;
  }
  assert_true(seconds <= SLOWEST * clean);
  sums.slowest = seconds / clean > sums.slowest ? seconds / clean : sums.slowest;
  assert_memory_equal(before.memory, image->memory, image->bytes);
  image_drop(&before);
  if (status == ZCMEM_OK) {
    assert_ptr_equal(heap, image->memory);
    sums.accepted++;
    if (sums.accepted % one_in == 0) {
      use_heap(heap, random_next(&seed));
      sums.used++;
    }
  } else {
    assert_status(status, ZCMEM_ECORRUPT);
    assert_null(heap);
    sums.refused++;
  }
}

static int make_images(void **state) {
  (void)state;
  seed = env_number("ZCMEM_TEST_SEED", 0x756e74);
  ops = env_number("ZCMEM_TEST_OPS", DEFAULT_OPS);
  print_message("ZCMEM_TEST_SEED=0x%llx ZCMEM_TEST_OPS=%llu\n", (unsigned long long)seed, (unsigned long long)ops);
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    images[shape] = image_make((enum image_shape)shape);
    clean_seconds[shape] = 20e-6; /* shorter times are not measured well */
    for (unsigned i = 0; i < 3; i++) {
      struct zcmem_heap *heap = NULL;
      enum zcmem_status status;
      double seconds = attach_seconds(&images[shape], &status, &heap);
      assert_ok(status);
      if (seconds > clean_seconds[shape]) {
        clean_seconds[shape] = seconds;
      }
    }
    print_message("%s: %zu bytes, attach %.0f us\n", image_names[shape], images[shape].bytes,
                  clean_seconds[shape] * 1e6);
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

static int clear_sums(void **state) {
  (void)state;
  memset(&sums, 0, sizeof sums);
  return 0;
}

static int print_sums(void **state) {
  (void)state;
  print_message("%lu refused, %lu accepted, of which %lu used; the slowest attach took %.1f times a whole image's\n",
                sums.refused, sums.accepted, sums.used, sums.slowest);
  return 0;
}

/* -------------------------------------------------------------------------------------------- kinds of damage -- */

static void whole_images_work(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    struct image copy = image_copy(&images[shape], images[shape].bytes);
    try_image(&copy, (enum image_shape)shape, 1);
    image_drop(&copy);
  }
  assert_int_equal(sums.used, IMAGE_SHAPES);
}

static void cut_short(void **state) {
  (void)state;
  for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
    for (size_t bytes = ZCMEM__LINE; bytes < images[shape].bytes; bytes += ZCMEM__LINE) {
      struct image copy = image_copy(&images[shape], bytes);
      try_image(&copy, (enum image_shape)shape, 1);
      image_drop(&copy);
    }
  }
  assert_int_equal(sums.accepted, 0);
}

static void each_bit_of_a_small_image(void **state) {
  const size_t bytes = images[IMAGE_SMALL].bytes;
  (void)state;
  for (size_t bit = (size_t)random_below(&seed, 8), step = ops < DEFAULT_OPS ? 61 : 1; bit < 8 * bytes; bit += step) {
    struct image copy = image_copy(&images[IMAGE_SMALL], bytes);
    ((unsigned char *)copy.memory)[bit / 8] ^= (unsigned char)(1u << bit % 8);
    try_image(&copy, IMAGE_SMALL, 13);
    image_drop(&copy);
  }
  assert_true(sums.refused > 0 && sums.used > 0);
}

/* Where damage goes: mostly where something is, the front of a table; lines that are 0 are the most by far. */
static size_t some_word(const struct image *image, size_t bytes) {
  for (unsigned tries = 0; tries < 20; tries++) {
    size_t at = (size_t)random_below(&seed, image->bytes / bytes) * bytes;
    for (size_t i = 0; i < bytes; i++) {
      if (((const unsigned char *)image->memory)[at + i] != 0) {
        return at;
      }
    }
  }
  return (size_t)random_below(&seed, image->bytes / bytes) * bytes;
}

static void flip_some(struct image *image) {
  for (uint64_t left = 1 + random_below(&seed, 3); left > 0; left--) {
    size_t at = some_word(image, 4);
    ((unsigned char *)image->memory)[at + random_below(&seed, 4)] ^= (unsigned char)(1u << random_below(&seed, 8));
  }
}

static void put_bytes(struct image *image) {
  for (uint64_t left = 1 + random_below(&seed, 4); left > 0; left--) {
    ((unsigned char *)image->memory)[random_below(&seed, image->bytes)] = (unsigned char)random_next(&seed);
  }
}

/* Values that may be there: an id, a link, a number of pages or of tables; 0, 1 and the largest. */
static void put_words(struct image *image) {
  const struct zcmem_heap *heap = image->memory;
  const uint32_t ids = heap->at.descriptors, choice[] = {0,
                                                         1,
                                                         UINT32_MAX,
                                                         (uint32_t)random_below(&seed, ids + 1u) * ZCMEM__ID,
                                                         (uint32_t)random_below(&seed, ids + 1u) * ZCMEM__ID | 1u,
                                                         (uint32_t)random_below(&seed, ids + 1u) << 4 | 1u,
                                                         (uint32_t)random_below(&seed, heap->at.pages + 1u),
                                                         (uint32_t)random_below(&seed, heap->at.tables + 1u) << 4 | 15u,
                                                         (uint32_t)random_next(&seed)};
  memcpy((char *)image->memory + some_word(image, 4), &choice[random_below(&seed, sizeof choice / sizeof *choice)], 4);
}

static void swap_some(struct image *image) {
  static const size_t sizes[] = {4, 8, 32, 64, 128};
  size_t bytes = sizes[random_below(&seed, sizeof sizes / sizeof *sizes)];
  char *one = (char *)image->memory + some_word(image, bytes), *other = (char *)image->memory + some_word(image, bytes);
  char kept[128];
  memcpy(kept, one, bytes);
  memmove(one, other, bytes);
  memcpy(other, kept, bytes);
}

/* A word is what another one is. */
static void copy_some(struct image *image) {
  size_t from = some_word(image, 4), to = some_word(image, 4);
  memmove((char *)image->memory + to, (char *)image->memory + from, 4);
}

static void random_from(struct image *image, size_t first) {
  for (size_t i = first; i < image->bytes; i++) {
    ((unsigned char *)image->memory)[i] = (unsigned char)random_next(&seed);
  }
}
static void random_all(struct image *image) {
  random_from(image, 0);
}
static void random_behind_the_magic(struct image *image) {
  random_from(image, 8);
}
static void random_behind_the_header(struct image *image) {
  random_from(image, sizeof(struct zcmem_heap));
}
/* Some lines behind the header. */
static void random_lines(struct image *image) {
  size_t lines = (image->bytes - sizeof(struct zcmem_heap)) / ZCMEM__LINE, first = (size_t)random_below(&seed, lines);
  size_t bytes = (size_t)(1 + random_below(&seed, lines - first < 20 ? lines - first : 20)) * ZCMEM__LINE;
  unsigned char *at = (unsigned char *)image->memory + sizeof(struct zcmem_heap) + first * ZCMEM__LINE;
  for (size_t i = 0; i < bytes; i++) {
    at[i] = (unsigned char)random_next(&seed);
  }
}
static void random_rest(struct image *image) {
  random_from(image, (size_t)random_below(&seed, image->bytes));
}

/* Lines of what the heap was some calls later: what a crash or two writers leave. */
static void torn(struct image *image) {
  struct image later = image_copy(image, image->bytes);
  hal_addr_t addr;
  for (uint64_t left = 1 + random_below(&seed, 3); left > 0; left--) {
    (void)zcmem_heap_alloc(later.memory, random_below(&seed, 1 << 16), 1, &addr);
  }
  for (size_t line = 0; line < image->bytes; line += ZCMEM__LINE) {
    if (random_below(&seed, 2) == 0) {
      memcpy((char *)image->memory + line, (char *)later.memory + line, ZCMEM__LINE);
    }
  }
  image_drop(&later);
}

static const struct {
  const char *name;
  void (*apply)(struct image *image);
} kinds[] = {
    {"bits", flip_some},
    {"bytes", put_bytes},
    {"words", put_words},
    {"words swapped", swap_some},
    {"words copied", copy_some},
    {"torn", torn},
    {"all random", random_all},
    {"random behind the magic", random_behind_the_magic},
    {"random behind the header", random_behind_the_header},
    {"random lines", random_lines},
    {"random from somewhere on", random_rest},
};

static void random_damage(void **state) {
  (void)state;
  for (unsigned kind = 0; kind < sizeof kinds / sizeof *kinds; kind++) {
    (void)clear_sums(NULL);
    for (unsigned shape = 0; shape < IMAGE_SHAPES; shape++) {
      for (uint64_t op = 0; op < ops; op++) {
        struct image copy = image_copy(&images[shape], images[shape].bytes);
        kinds[kind].apply(&copy);
        try_image(&copy, (enum image_shape)shape, 5);
        image_drop(&copy);
      }
    }
    print_message("%s: ", kinds[kind].name);
    (void)print_sums(NULL);
    assert_true(sums.refused > 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(whole_images_work, clear_sums, print_sums),
      cmocka_unit_test_setup_teardown(cut_short, clear_sums, print_sums),
      cmocka_unit_test_setup_teardown(each_bit_of_a_small_image, clear_sums, print_sums),
      cmocka_unit_test(random_damage),
  };
  return cmocka_run_group_tests(tests, make_images, drop_images);
}
