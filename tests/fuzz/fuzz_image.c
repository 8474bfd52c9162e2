/* SPDX-License-Identifier: MIT */
/*
 * Bytes from anywhere as the image of a heap: attach refuses them, or the heap is safe to use. Either the input is the
 * image; or, since bytes by chance hardly ever are one, it says which real image is to be taken, what is called on it,
 * and what is then changed in it. Attach must answer what zcmem_heap_check_detail does, change nothing, and read
 * nothing outside (the image lies in memory of its size). What it accepts is used: calls that the input names, and for
 * one input in 16 hundreds more that judge the answers (heap_user.h), with zcmem_heap_check after each.
 */
#include "fuzz.h"

#include "../heap_user.h"
#include "../images.h"
#include "../unit.h"
#include "heap_impl.h"

enum { MOST_CALLS = 40, MOST_EDITS = 40, MOST_LIVE = 500, LARGE_BYTES = 16384 };

/* Made once: what the shapes are costs more than all that is done with one. */
static const struct image *shape_image(enum image_shape shape) {
  static struct image made[IMAGE_SHAPES];
  if (made[shape].memory == NULL) {
    made[shape] = image_make(shape);
  }
  return &made[shape];
}

/* ------------------------------------------------------------------------------------------------------ calls -- */

struct blocks {
  uint64_t wanted;
  struct zcmem_block_info block;
  uint32_t count, live;
  hal_addr_t end;
};

static bool visit(void *ctx, const struct zcmem_block_info *info) {
  struct blocks *blocks = ctx;
  assert_true(blocks->count == 0 || info->addr == blocks->end);
  assert_true(info->size > 0 && info->requested <= info->size);
  blocks->end = info->addr + info->size;
  blocks->live += info->state == ZCMEM_BLOCK_LIVE || info->state == ZCMEM_BLOCK_ZOMBIE;
  if (blocks->count++ <= blocks->wanted) {
    blocks->block = *info;
  }
  return true;
}

/* The block of that number, or the last one: of any state. */
static struct blocks walk(struct zcmem_heap *heap, uint64_t wanted) {
  struct blocks blocks = {.wanted = wanted};
  struct zcmem_heap_info info;
  assert_ok(zcmem_heap_walk(heap, visit, &blocks));
  assert_ok(zcmem_heap_get_info(heap, &info));
  assert_int_equal(blocks.live, info.live);
  assert_true(blocks.count > 0 && blocks.end == info.base + info.size);
  return blocks;
}

static void call(struct zcmem_heap *heap, struct fuzz_input *in) {
  uint8_t what = fuzz_byte(in);
  struct zcmem_block_info block = walk(heap, fuzz_byte(in)).block, info;
  hal_addr_t addr = block.addr + (what >= 0xf0 ? fuzz_below(in, block.size) : 0);
  hal_size_t quantum = heap->at.quantum_shift < 60 ? UINT64_C(1) << heap->at.quantum_shift : 1;
  hal_size_t size = fuzz_size(in, quantum, block.size);
  bool flag = false, exact = addr == block.addr && block.state == ZCMEM_BLOCK_LIVE;
  enum zcmem_status status;
  switch (what % 12) {
  case 0:
  case 1:
    if (zcmem_heap_alloc(heap, size, 1, &addr) == ZCMEM_OK) {
      assert_ok(zcmem_heap_find(heap, addr, &info));
      assert_true(info.addr == addr && info.requested == size);
    }
    break;
  case 2:
    if (zcmem_heap_alloc(heap, size, quantum << fuzz_byte(in) % 16, &addr) == ZCMEM_OK) {
      assert_ok(zcmem_heap_find(heap, addr, &info));
    }
    break;
  case 3:
  case 4:
    status = zcmem_heap_free(heap, addr);
    assert_true(addr == 0 || (status == ZCMEM_ENOENT) == !exact);
    break;
  case 5:
    assert_status(zcmem_heap_free_deferred(heap, addr, &flag), exact || addr == 0 ? ZCMEM_OK : ZCMEM_ENOENT);
    break;
  case 6:
    status = zcmem_heap_resize(heap, addr, size);
    assert_true((status == ZCMEM_ENOENT) == !exact);
    break;
  case 7:
    (void)zcmem_heap_reserve(heap, addr, size);
    break;
  case 8:
    status = zcmem_heap_pin(heap, addr);
    assert_status(status, block.state != ZCMEM_BLOCK_LIVE ? ZCMEM_ENOENT
                          : block.pins == ZCMEM_MAX_PINS  ? ZCMEM_EBUSY
                                                          : ZCMEM_OK);
    break;
  case 9:
    status = zcmem_heap_unpin(heap, addr, &flag);
    assert_true((status == ZCMEM_OK) == (block.pins > 0));
    break;
  case 10:
    status = zcmem_heap_begin_transfer(heap, addr, size, &info);
    assert_true(status != ZCMEM_OK || size <= block.requested);
    break;
  default:
    status = zcmem_heap_end_transfer(heap, addr, &flag);
    assert_true((status == ZCMEM_OK) == (block.transfers > 0));
    break;
  }
}

static void call_many(struct zcmem_heap *heap, struct fuzz_input *in, uint32_t most) {
  for (uint32_t i = 0; i < most && fuzz_more(in); i++) {
    call(heap, in);
    assert_ok(zcmem_heap_check(heap));
  }
}

/* ------------------------------------------------------------------------------------------------------ edits -- */

/* Where: in the header, in a descriptor that is in use, in the tables behind, or anywhere. */
static size_t draw_place(const struct image *image, struct fuzz_input *in) {
  const struct zcmem_heap *heap = image->memory;
  const size_t header = sizeof *heap;
  size_t descriptors = heap->next_id / ZCMEM__ID * sizeof(struct zcmem__block), tables = (size_t)heap->at.heads_at;
  uint8_t what = fuzz_byte(in);
  if (descriptors == 0 || descriptors > image->bytes - header || tables > image->bytes - 8) { /* edited already */
    return (size_t)fuzz_below(in, image->bytes - 7);
  }
  switch (what % 4) {
  case 0:
    return (size_t)fuzz_below(in, offsetof(struct zcmem_heap, words)) & ~(size_t)3;
  case 1:
  case 2:
    return header + ((size_t)fuzz_below(in, descriptors) & ~(size_t)3);
  default:
    return what < 128 ? (tables + (size_t)fuzz_below(in, image->bytes - tables - 7)) & ~(size_t)3
                      : (size_t)fuzz_below(in, image->bytes - 7);
  }
}

static void edit(struct image *image, struct fuzz_input *in) {
  unsigned char *bytes = image->memory;
  uint8_t how = fuzz_byte(in);
  size_t at = draw_place(image, in);
  uint32_t word;
  memcpy(&word, bytes + at, sizeof word);
  switch (how % 6) {
  case 0:
    word ^= UINT32_C(1) << how / 8;
    break;
  case 1:
    word += (uint32_t)(how / 6) - 21u;
    break;
  case 2: /* an id, with the lowest bit or without */
    word = (uint32_t)fuzz_below(in, 65536) * ZCMEM__ID + (how >> 7);
    break;
  case 3:
    word = (uint32_t)fuzz_word(in, 4);
    break;
  case 4:
    memcpy(&word, bytes + draw_place(image, in), sizeof word);
    break;
  default:
    word = how < 128 ? 0 : UINT32_MAX;
    break;
  }
  memcpy(bytes + at, &word, sizeof word);
}

/* The real image that the input names, after the calls and the changes that follow there; perhaps cut short. */
static struct image changed_image(struct fuzz_input *in) {
  /* Small ones more often: what is in 100 KB takes a hundred times as long to check. */
  static const enum image_shape shapes[16] = {
      IMAGE_EMPTY,  IMAGE_SMALL,  IMAGE_SMALL, IMAGE_SMALL, IMAGE_SMALL, IMAGE_SMALL, IMAGE_SPARSE, IMAGE_SPARSE,
      IMAGE_SPARSE, IMAGE_SPARSE, IMAGE_FULL,  IMAGE_FULL,  IMAGE_MIXED, IMAGE_MIXED, IMAGE_WIDE,   IMAGE_TABLES};
  uint8_t what = fuzz_byte(in);
  const struct image *shape = shape_image(shapes[what / 16]);
  struct image image = image_copy(shape, shape->bytes);
  call_many(image.memory, in, fuzz_byte(in) % (image.bytes > LARGE_BYTES ? 4u : 16u));
  for (uint32_t edits = fuzz_byte(in) % MOST_EDITS; edits > 0 && fuzz_more(in); edits--) {
    edit(&image, in);
  }
  if (what % 16 == 15) {
    struct image cut = image_copy(&image, (size_t)(1 + fuzz_below(in, image.bytes / 64)) * 64);
    image_drop(&image);
    return cut;
  }
  return image;
}

/* ------------------------------------------------------------------------------------------------------- entry -- */

static struct image raw_image(struct fuzz_input *in) {
  size_t bytes = (size_t)(in->end - in->at), lines = bytes == 0 ? 1 : (bytes + 63) / 64;
  struct image image = {aligned_alloc(64, lines * 64), bytes};
  assert_non_null(image.memory);
  memset(image.memory, 0xee, lines * 64);
  memcpy(image.memory, in->at, bytes);
  in->at = in->end;
  return image;
}

static void try_image(struct image *image, struct fuzz_input *in, uint64_t seed) {
  struct zcmem_heap *heap = NULL;
  struct zcmem_heap_info info;
  const char *broken = NULL;
  unsigned char *before = malloc(image->bytes + 1);
  assert_non_null(before);
  memcpy(before, image->memory, image->bytes);
  enum zcmem_status status = zcmem_heap_attach(image->memory, image->bytes, &heap);
  assert_status(zcmem_heap_check_detail(image->memory, image->bytes, &broken), status);
  assert_memory_equal(before, image->memory, image->bytes);
  assert_true((status == ZCMEM_OK) == (broken == NULL));
  if (status == ZCMEM_OK) {
    assert_ptr_equal(heap, image->memory);
    assert_ok(zcmem_heap_check(heap));
    bool large = image->bytes > LARGE_BYTES; /* each check of which takes long */
    call_many(heap, in, large ? MOST_CALLS / 8 : MOST_CALLS);
    assert_ok(zcmem_heap_get_info(heap, &info));
    if (seed % (large ? 1024 : 16) == 0 && info.live < MOST_LIVE) {
      use_heap(heap, seed);
    }
  } else {
    assert_status(status, ZCMEM_ECORRUPT);
    assert_null(heap);
  }
  free(before);
}

/* FNV-1a */
static uint64_t hash(const uint8_t *bytes, size_t size) {
  uint64_t sum = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < size; i++) {
    sum = (sum ^ bytes[i]) * UINT64_C(0x100000001b3);
  }
  return sum ^ sum >> 32;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct fuzz_input in = {bytes, bytes + size};
  struct image image = fuzz_byte(&in) % 8 == 0 ? raw_image(&in) : changed_image(&in);
  try_image(&image, &in, hash(bytes, size));
  image_drop(&image);
  return 0;
}
