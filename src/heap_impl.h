/* SPDX-License-Identifier: MIT */
/*
 * L1. The image of a heap: its header, its descriptors, and where its tables lie. src/DESIGN.md has the picture.
 */
#ifndef ZCMEM_SRC_HEAP_IMPL_H
#define ZCMEM_SRC_HEAP_IMPL_H

#include <zcmem/heap.h>

#include "assert.h"
#include "bits.h"
#include "sizeclass.h"

#define ZCMEM__MAGIC 0x30706d656d637aU /* "zcmemp0" read as little-endian: tells byte order, too */
#define ZCMEM__LINE 64
#define ZCMEM__NIL 0u

/* More than there are bins for, and 0 there: a search may start behind the last bin. (Two, for an even number.) */
#define ZCMEM__BIN_WORDS (ZCMEM__BIN_LIMIT / 32u + 2u)

/* Levels of the bitmap over the index: 32^7 > 2^32. */
#define ZCMEM__LEVELS 7u

/* Most quanta under one entry of the index is 2^3: so many blocks are walked at most to find one by its address. */
#define ZCMEM__INDEX_SHIFT_MAX 3u

/*
 * A link names a physical neighbour and tells whether it is free, so that a block is merged, or left alone, without a
 * look at the neighbour: descriptor id << 1 | free.
 */
typedef uint32_t zcmem__link;

static inline zcmem__link zcmem__link_to(uint32_t id, bool is_free) { return id << 1 | (is_free ? 1u : 0u); }
static inline uint32_t zcmem__link_id(zcmem__link link) { return link >> 1; }
static inline bool zcmem__link_free(zcmem__link link) { return (link & 1u) != 0; }

enum zcmem__state { ZCMEM__UNUSED = 0, ZCMEM__FREE = 1, ZCMEM__LIVE = 2, ZCMEM__ZOMBIE = 3 };

/*
 * A descriptor: 32 bytes, two a cache line, never across one. Descriptor 0 is the sentinel: it closes the physical
 * chain to a ring (its next is the first block, its prev the last), its start is beyond every address so that a walk
 * along the chain ends there, and it takes the stores that would go to the neighbour of the first and last block.
 */
struct zcmem__block {
  uint32_t start;   /* quanta from the heap's base */
  uint32_t size;    /* quanta */
  zcmem__link prev; /* physical neighbours */
  zcmem__link next; /* of an unused descriptor: the next one in the list of those, as an id */
  uint32_t slot;    /* free: where the bins hold it; live: slack, the bytes occupied but not requested */
  uint32_t tag;     /* live: the owner's mark */
  uint32_t state;   /* enum zcmem__state */
  uint32_t uses;    /* live: pins (low half) and transfers (high half) */
};

#define ZCMEM__PIN 1u
#define ZCMEM__TRANSFER 0x10000u
#define ZCMEM__USE_MASK 0xffffu

/* Where the tables lie, in lines of 64 bytes from the image's start; a pure function of the config. */
struct zcmem__layout {
  uint64_t base;         /* first address */
  uint32_t quanta;       /* size of the heap */
  uint32_t max_blocks;   /* live blocks */
  uint32_t descriptors;  /* with the sentinel */
  uint32_t bins;         /* bins 1 ... bins - 1 are in use */
  uint32_t pages;        /* bin pages, page 0 ... are the bins' own slots: see bin.h */
  uint32_t first_page;   /* the first page that is not */
  uint32_t index_pages;  /* entries of the index */
  uint8_t quantum_shift; /* quantum = 1 << quantum_shift bytes */
  uint8_t index_shift;   /* an entry of the index stands for 1 << index_shift quanta */
  uint8_t levels;        /* of the bitmap over the index */
  uint8_t reserved[9];
  uint32_t level[ZCMEM__LEVELS]; /* first word of each level, in words from the bitmap's start */
  uint32_t index_at;             /* uint32_t[index_pages] */
  uint32_t bitmap_at;            /* uint32_t[], levels one behind the other */
  uint32_t last_at;              /* uint32_t[bins] */
  uint32_t entry_at;             /* uint64_t[8 * pages] */
  uint32_t child_at;             /* uint32_t[8 * pages] */
  uint32_t page_at;              /* struct zcmem__bin_page[pages - first_page] */
  uint32_t lines;                /* the whole image */
};

struct zcmem_heap {
  _Alignas(ZCMEM__LINE) uint64_t magic;
  uint32_t free_quanta;
  uint32_t live;            /* live blocks and zombies */
  uint32_t unused;          /* list of descriptors that were used once */
  uint32_t descriptors;     /* descriptors below are, or were, used */
  uint32_t unused_page;     /* the same for the bins' pages */
  uint32_t pages;
  uint64_t slack;           /* sum of the live blocks' slack */
  uint32_t free_blocks;
  uint32_t summary;         /* bit w: words[w] is not 0 */
  uint32_t words[ZCMEM__BIN_WORDS]; /* bit b: bin b is not empty */
  struct zcmem__layout at;
};

_Static_assert(sizeof(struct zcmem__block) == 32, "two descriptors a line");
_Static_assert(sizeof(struct zcmem__layout) == 104, "no padding that a 32-bit host would lay out otherwise");
_Static_assert(sizeof(struct zcmem_heap) % ZCMEM__LINE == 0, "the descriptors follow the header, on a line");

/* Computes the layout; false iff the config is invalid (see zcmem_heap_bytes). */
bool zcmem__heap_layout(const struct zcmem_heap_config *config, struct zcmem__layout *layout);

/* The table `at` lines from the start of the image. Its elements' alignment divides a line. */
#define ZCMEM__TABLE(type, heap, at) ((type *)(void *)((char *)(heap) + (size_t)(at) * ZCMEM__LINE))
#define ZCMEM__CONST_TABLE(type, heap, at)                                                                             \
  ((const type *)(const void *)((const char *)(heap) + (size_t)(at) * ZCMEM__LINE))

/* Descriptors come right behind the header: no offset to load. */
ZCMEM__INLINE struct zcmem__block *zcmem__block(struct zcmem_heap *heap, uint32_t id) {
  ZCMEM__STEP();
  return (struct zcmem__block *)(void *)(heap + 1) + id;
}

ZCMEM__INLINE const struct zcmem__block *zcmem__block_const(const struct zcmem_heap *heap, uint32_t id) {
  ZCMEM__STEP();
  return (const struct zcmem__block *)(const void *)(heap + 1) + id;
}

static inline uint64_t zcmem__heap_bytes_of(const struct zcmem_heap *heap, uint32_t quanta) {
  return (uint64_t)quanta << heap->at.quantum_shift;
}

static inline uint64_t zcmem__heap_addr(const struct zcmem_heap *heap, uint32_t start) {
  return heap->at.base + zcmem__heap_bytes_of(heap, start);
}

/* The quantum that holds an address; false iff the heap does not manage it. */
ZCMEM__INLINE bool zcmem__heap_quantum(const struct zcmem_heap *heap, hal_addr_t addr, uint32_t *quantum) {
  uint64_t offset = addr - heap->at.base; /* wraps to something large for an address below */
  *quantum = (uint32_t)(offset >> heap->at.quantum_shift);
  return (offset >> heap->at.quantum_shift) < heap->at.quanta;
}

#endif
