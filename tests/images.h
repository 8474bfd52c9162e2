/* SPDX-License-Identifier: MIT */
/*
 * Real images of heaps of different shapes, for tests that damage them; and which bits of an image mean something.
 * Each image lies in an allocation of exactly its size, so that a sanitizer sees a read behind it.
 */
#ifndef ZCMEM_TESTS_IMAGES_H
#define ZCMEM_TESTS_IMAGES_H

#include <zcmem/heap.h>

enum image_shape {
  IMAGE_EMPTY,  /* a heap as init makes it */
  IMAGE_SMALL,  /* a few blocks: lists of two, a zombie, unused descriptors, a tail */
  IMAGE_FULL,   /* no free block at all */
  IMAGE_SPARSE, /* as many free blocks as there can be: all descriptors are in use */
  IMAGE_MIXED,  /* blocks of all sizes; the last one is live, so there is no tail; pins, transfers, a zombie */
  IMAGE_WIDE,   /* wide bins of more than 72 and of more than 8 blocks, and unused pages */
  IMAGE_TABLES, /* an index with tables three deep, unused ones, and full entries; two levels of bitmaps */
  IMAGE_SHAPES
};

extern const char *const image_names[IMAGE_SHAPES];

struct image {
  void *memory; /* aligned as an image must be */
  size_t bytes;
};

/* The image of that shape; every invariant holds. It comes from malloc. */
struct image image_make(enum image_shape shape);
/* The first `bytes` bytes of it elsewhere. */
struct image image_copy(const struct image *image, size_t bytes);
void image_drop(struct image *image);

/*
 * A mask as long as the image: a bit that is 0 means nothing to the heap now, and the checker does not look at it; one
 * that is 1 is part of an invariant. What is said once only is neither, and 0 here: image_said_once.
 */
unsigned char *image_meaning(const struct image *image);

/* Whether the byte belongs to the heap's base, to its quantum, or to a block's state, pins and transfers. */
bool image_said_once(const struct image *image, size_t byte);

#endif
