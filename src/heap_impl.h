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

#define ZCMEM__MAGIC 0x31706d656d637aU /* "zcmemp1" read as little-endian: tells byte order, too */
#define ZCMEM__LINE 64
#define ZCMEM__NIL 0u

/* Bytes of as many whole lines: what follows is on a line of its own. */
static inline size_t zcmem__lines(size_t bytes) {
  return (bytes + ZCMEM__LINE - 1) / ZCMEM__LINE * ZCMEM__LINE;
}

/* Words of the bins' bits; more than there are bins for, since a search may start behind the last bin. */
#define ZCMEM__BIN_WORDS (ZCMEM__BIN_LIMIT / 64u + 1u)
#define ZCMEM__BIN_SUMMARIES ((ZCMEM__BIN_WORDS + 63u) / 64u)

/*
 * The bitmap over the index: a level has a bit for each word of the one below; the last is the first that has no more
 * than ZCMEM__TOP_WORDS words, which are looked at one by one. 64^5 * 64 > 2^32.
 */
#define ZCMEM__TOP_WORDS 64u
#define ZCMEM__LEVELS 5u

/*
 * A descriptor's id is its place in the table in words of 32 bits, so that an id is an address but for one scaled
 * addition; it is a multiple of ZCMEM__ID and leaves three bits for other use.
 */
#define ZCMEM__ID 8u

/*
 * A link names a physical neighbour and tells whether it is free, so that a block is merged, or left alone, without a
 * look at the neighbour: id | free.
 */
typedef uint32_t zcmem__link;

static inline zcmem__link zcmem__link_to(uint32_t id, bool is_free) {
  return id | (is_free ? 1u : 0u);
}
static inline uint32_t zcmem__link_id(zcmem__link link) {
  return link & ~(ZCMEM__ID - 1u);
}
static inline bool zcmem__link_free(zcmem__link link) {
  return (link & 1u) != 0;
}

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
  union {
    uint32_t slack;    /* live: the bytes occupied but not requested */
    uint32_t bin_prev; /* free: the one before in its bin's list, or its slot in a wide bin */
  };
  union {
    uint32_t tag;      /* live: the owner's mark */
    uint32_t bin_next; /* free: the one behind in its bin's list */
  };
  /* These two are one word of 64 bits to a thread that takes a block without the lock: see magazine.h. */
  _Alignas(8) uint32_t use; /* enum zcmem__state; and of a live block its pins and transfers, see below */
  uint32_t generation;      /* ZCMEM__GENERATION counts what the descriptor has stood for: live blocks, and their sizes;
                               above: the process that owns the live block, see shm_layout.h; 0 where none shares */
};

#define ZCMEM__GENERATION 0xffffffu
#define ZCMEM__OWNER_SHIFT 24u

/* The next generation; the owner stays. */
ZCMEM__INLINE uint32_t zcmem__generation_after(uint32_t generation) {
  return (generation & ~ZCMEM__GENERATION) | ((generation + 1u) & ZCMEM__GENERATION);
}

/* In `use`, so that one comparison with ZCMEM__LIVE tells a live block that nobody uses. */
#define ZCMEM__STATE 0x3u        /* mask of the state */
#define ZCMEM__PIN 0x4u          /* one pin: 15 bits for their count */
#define ZCMEM__TRANSFER 0x20000u /* one transfer: 15 bits, too */
#define ZCMEM__USE_MASK 0x7fffu
#define ZCMEM__CACHED ZCMEM__PIN       /* of state unused, though in the chain: kept in a magazine, live for nobody */
#define ZCMEM__TAKEN (2u * ZCMEM__PIN) /* the same, and on its way out: nobody else may take it (seize.h) */

ZCMEM__INLINE enum zcmem__state zcmem__block_state(const struct zcmem__block *block) {
  return (enum zcmem__state)(ZCMEM__GET(block->use) & ZCMEM__STATE);
}

/*
 * Whether the block was live when `use` was loaded, by ZCMEM__GET_FIRST, and is: then the slack that was loaded
 * meanwhile is that of a block which was live meanwhile, too, as far as the version can tell. The version is not
 * enough, since a magazine hands out a block without it: slack and tag are stored while nobody has the block, and
 * then `use`. Where the answer is no, there was a moment at which no live block was there.
 */
ZCMEM__INLINE bool zcmem__block_stays_live(const struct zcmem__block *block, uint32_t use) {
  ZCMEM__GET_NEXT();
  return (use & ZCMEM__GET(block->use) & ZCMEM__STATE) == ZCMEM__LIVE;
}

/* Whether `use` is that of a block which is neither free nor anybody's. */
ZCMEM__INLINE bool zcmem__use_cached(uint32_t use) {
  return use == ZCMEM__CACHED || use == ZCMEM__TAKEN;
}

#define ZCMEM__PAGE 8u /* entries of a page of a wide bin */

/* A wide bin. Zero bytes are an empty one. */
struct zcmem__wide_bin {
  uint32_t count; /* blocks in it */
  uint32_t tail;  /* its last page less its first, whose number is the bin's own */
};

/* A page of a wide bin: two lines, of which the second is only needed for the one entry that is taken, put or moved. */
struct zcmem__wide_page {
  uint64_t entry[ZCMEM__PAGE]; /* size and start of a block, see wide.h; 0: vacant */
  uint32_t id[ZCMEM__PAGE];    /* of the block */
  uint32_t child[ZCMEM__PAGE]; /* page of the entry's children, ZCMEM__NIL: none */
};

/* How a page stands among those of its bin; unused for bins of one page. */
struct zcmem__wide_links {
  uint32_t parent; /* slot whose children these are; not of a bin's first page */
  uint32_t prev;   /* the page before, breadth first */
  uint32_t next;   /* the page after, ZCMEM__NIL: none; of an unused page: the next unused one */
  uint32_t reserved;
};

/* A table of the index, see index.h. */
struct zcmem__index_table {
  uint32_t entry[16];
};

/* Where the tables lie, in bytes from the image's start; a pure function of the config. */
struct zcmem__layout {
  uint64_t base;         /* first address */
  uint32_t quanta;       /* size of the heap */
  uint32_t max_blocks;   /* live blocks */
  uint8_t quantum_shift; /* quantum = 1 << quantum_shift bytes */
  uint8_t index_shift;   /* an entry of the index stands for 1 << index_shift quanta */
  uint8_t levels;        /* of the bitmap over the index */
  uint8_t reserved;
  uint32_t descriptors;             /* with the sentinel */
  uint64_t heads_at;                /* uint32_t[exact_bins]: first of each bin's list */
  uint64_t index_at;                /* uint32_t[index_pages] */
  uint64_t level_at[ZCMEM__LEVELS]; /* uint64_t[], the bitmap over the index from its first level on */
  uint64_t wide_at;                 /* struct zcmem__wide_bin[wide_bins] */
  uint64_t pages_at;                /* struct zcmem__wide_page[pages] */
  uint64_t links_at;                /* struct zcmem__wide_links[pages] */
  uint64_t tables_at;               /* struct zcmem__index_table[tables] */
  uint64_t table_counts_at;         /* uint32_t[tables]: live blocks; of an unused table: the next unused one */
  uint64_t bytes;                   /* the whole image */
  uint32_t exact_bins;              /* bins 1 ... exact_bins - 1 are in use */
  uint32_t wide_bins;               /* bins ZCMEM__BIN_WIDE ... ZCMEM__BIN_WIDE + wide_bins - 1 are in use */
  uint32_t pages;                   /* of all wide bins; the first ones are the bins' own */
  uint32_t index_pages;             /* entries of the index */
  uint32_t tables;                  /* of the index; table 0 is none */
  uint32_t top_words;               /* words of the bitmap's last level */
};

/*
 * Threads make LIVE blocks CACHED without the lock (magazine.h), so `use` changes by compare-and-swap. While there is
 * but one such thread, its own frees need none when they take the lock. PROCESSES: other processes do so, too, and the
 * sum of slack is made when somebody asks for it.
 */
#define ZCMEM__SHARED_NOT 0u
#define ZCMEM__SHARED_ONE 1u
#define ZCMEM__SHARED_MANY 2u
#define ZCMEM__SHARED_PROCESSES 3u

/*
 * In `undo_id`. HELD: other threads may use the block meanwhile, so a transfer keeps them away, if the generation is
 * not undo_generation any more. DONE: size and slack are to stay as they are.
 */
#define ZCMEM__UNDO_HELD 1u
#define ZCMEM__UNDO_DONE 2u

/* The counters on the first line and what every call needs of the layout on the second. */
struct zcmem_heap {
  _Alignas(ZCMEM__LINE) uint64_t magic;
  /* Counters that change together stand apart: a compiler that joins them reads behind its own narrower stores. */
  uint32_t free_quanta;
  uint32_t unused;  /* list of descriptors that were used once */
  uint32_t live;    /* live blocks and zombies */
  uint32_t next_id; /* of the descriptor to use next that never was; all ids below are, or were, in use */
  uint32_t free_blocks;
  uint32_t unused_page; /* the same two for the wide bins' pages */
  uint32_t pages;
  uint32_t unused_table; /* and for the index's tables */
  uint32_t tables;
  uint32_t shared;  /* ZCMEM__SHARED_*: what other threads may do without the lock */
  uint64_t slack;   /* sum of the live blocks' slack */
  uint32_t undo_id; /* of the block that is being resized, and ZCMEM__UNDO_*; ZCMEM__NIL: none is */
  uint32_t owner;   /* of the blocks that are made, << ZCMEM__OWNER_SHIFT */
  struct zcmem__layout at;
  uint64_t summary[ZCMEM__BIN_SUMMARIES]; /* bit w: words[w] is not 0 */
  uint64_t words[ZCMEM__BIN_WORDS];       /* bit b: bin b is not empty */
  /* What the block was before that is being resized. */
  uint32_t undo_size;
  uint32_t undo_slack;
  uint32_t undo_generation;
};

_Static_assert(sizeof(struct zcmem__block) == 32, "two descriptors a line");
_Static_assert(sizeof(struct zcmem__layout) == 152, "no padding that a 32-bit host would lay out otherwise");
_Static_assert(sizeof(struct zcmem_heap) % ZCMEM__LINE == 0, "the descriptors follow the header, on a line");

/* Computes the layout; false iff the config is invalid (see zcmem_heap_bytes). */
bool zcmem__heap_layout(const struct zcmem_heap_config *config, struct zcmem__layout *layout);

/* The table `at` bytes from the start of the image. Its elements' alignment divides a line. */
#define ZCMEM__TABLE(type, heap, at) ((type *)(void *)((char *)(heap) + (size_t)(at)))
#define ZCMEM__CONST_TABLE(type, heap, at) ((const type *)(const void *)((const char *)(heap) + (size_t)(at)))

/* Descriptors come right behind the header: no offset to load. */
ZCMEM__INLINE struct zcmem__block *zcmem__block(struct zcmem_heap *heap, uint32_t id) {
  ZCMEM__STEP();
  return (struct zcmem__block *)(void *)((uint32_t *)(void *)(heap + 1) + id);
}

ZCMEM__INLINE const struct zcmem__block *zcmem__block_const(const struct zcmem_heap *heap, uint32_t id) {
  ZCMEM__STEP();
  return (const struct zcmem__block *)(const void *)((const uint32_t *)(const void *)(heap + 1) + id);
}

/* Whether a free block holds `need` quanta from an aligned start on; see zcmem__bin_fit_aligned. */
static inline bool zcmem__block_holds(const struct zcmem__block *block, uint32_t need, uint64_t offset, uint64_t mask) {
  uint64_t gap = (0u - (block->start + offset)) & mask;
  return gap + need <= block->size;
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
