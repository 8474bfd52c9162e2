/* SPDX-License-Identifier: MIT */
/*
 * Fault injection: every public function is an operation of a table, and whatever it calls (a callback, the allocator,
 * a lock, the C library) or takes (a descriptor, an entry of a table) is made to fail at its first use, its second, and
 * so on until the function needs no more of it; once, or from then on. After each fault the state of the world must be
 * the one of before, or the one that the function brings about when nothing fails, or what its header says is left.
 */
#ifndef ZCMEM_TESTS_FAULTS_H
#define ZCMEM_TESTS_FAULTS_H

#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

/* What fails. */
enum faults_source {
  FAULTS_CALLBACK,  /* a callback of a region */
  FAULTS_LOCK,      /* taking a lock of the HAL or the table of buffers */
  FAULTS_LOCK_INIT, /* making one */
  FAULTS_ALLOC,     /* the HAL's allocator */
  FAULTS_CALLOC,    /* calloc, where the library calls it itself */
  FAULTS_MMAP,      /* mmap */
  FAULTS_MUTEX,     /* pthread_mutex_lock */
  FAULTS_MAKE,      /* pthread_mutex_init and what makes its attributes */
  FAULTS_THREAD,    /* pthread_setspecific */
  FAULTS_FILE,      /* what makes a file that processes share, asks about it or makes it longer */
  FAULTS_READ,      /* pread */
  FAULTS_BLOCKS,    /* descriptors: only n - 1 are left in each heap. From here on nothing fails, but there are few. */
  FAULTS_MAPPINGS,  /* entries of the table of mappings */
  FAULTS_BUFFERS,   /* slots of buffers */
  FAULTS_VIEWS,     /* slots of views */
  FAULTS_SOURCES
};

/* What a fault may leave but the state of before and the status of its source. */
enum {
  FAULTS_MOVES = 0x1,     /* part of the target's bytes may be there */
  FAULTS_DETOUR = 0x2,    /* a callback that fails may be done without: OK, and all is complete */
  FAULTS_ELSEWHERE = 0x4, /* OK, with a block in another place than without the fault */
  FAULTS_USE = 0x8,       /* ELOCK may leave blocks in use for good */
  FAULTS_AGAIN = 0x800,   /* the same, but only where all is done, or where the lock fails again */
  FAULTS_CLOSED = 0x10,   /* the function completes although it answers the fault */
  FAULTS_IGNORED = 0x20,  /* it has no status for the fault, and completes */
  FAULTS_CUSTOM = 0x40,   /* `left` judges first; it changes nothing where it says no */
  FAULTS_BACK = 0x80,     /* what was taken is given back: image, free bytes, and what counts both may differ */
  /* How it is called. */
  FAULTS_VIRGIN = 0x100,    /* no transfer was made in the regions before */
  FAULTS_DISTURB = 0x200,   /* as if other threads changed blocks all the time: look-ups and transfers take the lock */
  FAULTS_MAGAZINES = 0x400, /* on a HAL with magazines, whose allocations and frees depend on what these keep */
};

/* Of a transfer: where uses are not counted without the lock (use.h), each is one with it. */
#ifdef ZCMEM__DIRECT
#define FAULTS_TRANSFER 0
#else
#define FAULTS_TRANSFER FAULTS_USE
#endif

#define FAULTS_WAY(way) (1u << (way))
#define FAULTS_ALL_WAYS ((1u << FAKE_WAYS) - 1u)
#define FAULTS_HOST_WAY FAULTS_WAY(FAKE_HOST)

struct faults_operation {
  const char *function; /* the public name */
  const char *variant;  /* "" or what tells it from another operation of the same function */
  unsigned ways;        /* FAULTS_WAY: those of region 0 that it is run with; those of region 1 are `others` */
  unsigned others;
  unsigned rules;
  void (*prepare)(void); /* NULL: nothing */
  enum zcmem_status (*call)(void);
  void (*undo)(void); /* gives back what the call took; NULL: nothing to give back */
  bool (*left)(
      enum zcmem_status status); /* FAULTS_CUSTOM: whether what is left is what the header says; it tidies up */
};
/* Each ends with an entry whose function is NULL. */
extern const struct faults_operation faults_mem[], faults_hal[], faults_buffer[], faults_malloc[], faults_heap[],
    faults_magazines[], faults_hardening[], faults_debug[], faults_shm[], faults_context[];
#define FAULTS_END                                                                                                     \
  { NULL, NULL, 0, 0, 0, NULL, NULL, NULL, NULL }

/* ------------------------------------------------------------------------------------------------- the world -- */

#define FAULTS_BYTES ((hal_size_t)300) /* of the blocks that calls are about */
#define FAULTS_REGION ((size_t)8192)
#define FAULTS_MAX_BLOCKS 12u
#define FAULTS_MAX_MAPPINGS 3u
#define FAULTS_MAX_BUFFERS 5u
#define FAULTS_MAX_VIEWS 3u
#define FAULTS_IMAGE 16384u

struct faults_world {
  struct zcmem_hal *hal;
  struct fake_region regions[2];
  struct zcmem_buffers *buffers;
  void *table;
  hal_addr_t addr, other;  /* FAULTS_BYTES in region 0, and in 1; what transfers write */
  struct zcmem_heap *heap; /* for heap.h, with a block at `addr_in_heap` and room behind it */
  hal_addr_t addr_in_heap;
  /* What the operation keeps. */
  hal_addr_t made[4];
  void *host;
  zcmem_buffer_t buffer, sub;
  struct zcmem_view view;
  bool magazines;
  bool lasting;           /* faults last */
  bool virgin;            /* no look at the mark that the first transfer leaves */
  enum zcmem_status told; /* by the handler of malloc.h; OK: nothing */
  unsigned char bytes[512];
};
extern struct faults_world faults;

void faults_open(enum fake_way way, enum fake_way other_way, bool magazines);
/* The first transfers of the regions, which leave a mark in the images. */
void faults_transfer_once(void);
/* `spoilt`: blocks may be in use or live for good. Asserts that no host memory, lock or mapping is left. */
void faults_close(bool spoilt);

/* Parts of the state. */
enum {
  FAULTS_IMAGES = 0x1,   /* the heaps, byte for byte */
  FAULTS_FIGURES = 0x2,  /* what is live, in use, free: sums, and block by block */
  FAULTS_COUNTERS = 0x4, /* what has succeeded so far */
  FAULTS_MEMORY = 0x8,   /* the regions' bytes but the targets' */
  FAULTS_TARGET = 0x10,  /* the targets' */
  FAULTS_TABLES = 0x20,  /* buffers, views, mappings, locks and host memory */
  FAULTS_WITNESS = 0x40, /* the bytes of the witnesses: those that are somebody's in any case */
  FAULTS_ALL = 0x7f
};

struct faults_look {
  unsigned char *images[3];
  struct zcmem_region_stats stats[2];
  unsigned char *memory[2], *view[2];
  struct zcmem_buffers_stats buffers;
  struct zcmem_buffer_info infos[2]; /* of buffer and sub */
  unsigned mapped[2], mappings, mapping_users, allocations, locks_made, host_memory;
  struct zcmem_block_info blocks[2][FAULTS_MAX_BLOCKS];
};
void faults_look(struct faults_look *look);
void faults_look_away(struct faults_look *look);
/* NULL, or which part of `parts` differs. */
const char *faults_compare(const struct faults_look *a, const struct faults_look *b, unsigned parts);
/* Whether a block is no longer live that is so in `before` and not in `after`: it was moved, not copied. */
bool faults_has_moved(const struct faults_look *before, const struct faults_look *after, const struct faults_look *now);
/* Ends the uses of blocks that are more than in the look, and frees blocks that are not in it. Answers how many. */
unsigned faults_end_uses(const struct faults_look *look);

/* ------------------------------------------------------------------------------------------------ the faults -- */

/* The n-th from now on. */
void faults_arm(enum faults_source source, unsigned n, bool lasting);
/* How many have struck. */
unsigned faults_disarm(void);
enum zcmem_status faults_status(enum faults_source source);
const char *faults_name(enum faults_source source);
/* Begins, or ends, to count the library's calls of the C library. */
void faults_watch(bool watched);
/* Host memory that the library has got of the C library itself: blocks of calloc and mmap. */
unsigned faults_host_memory(void);

#endif
