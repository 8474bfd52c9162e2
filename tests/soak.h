/* SPDX-License-Identifier: MIT */
/*
 * All features at once: what test_soak.c (the world, and the main thread) and soak_work.c (the other threads) share.
 */
#ifndef ZCMEM_TESTS_SOAK_H
#define ZCMEM_TESTS_SOAK_H

#include "unit.h"
#include <zcmem/zcmem.h>

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <stdatomic.h>

enum soak_region {
  SOAK_MAGAZINES,
  SOAK_WINDOWS,  /* mapped on demand, with magazines */
  SOAK_PLAIN,    /* without, and with counters by tag */
  SOAK_CONTEXTS, /* contexts, and magazines of threads */
  SOAK_HARDENED, /* handles, red zones, poison, a quarantine */
  SOAK_REGIONS
};

enum { SOAK_OWN = 96, SOAK_COMMON = 32, SOAK_BYTES = 1 << 21, SOAK_BASE = 1 << 24, SOAK_TAGS = 8 };

/* A block whose bytes are all the same one, that only its owner knows. */
struct soak_block {
  hal_addr_t addr; /* 0: none */
  hal_size_t size;
  unsigned region;
  struct zcmem_handle handle; /* where the region has them */
  unsigned char byte;
};

struct soak_worker {
  pthread_t thread;
  uint64_t seed;
  atomic_bool leave; /* its turn is over */
  struct soak_block own[SOAK_OWN];
  struct zcmem_handle stale;     /* of a block that is no more; generation 0: none */
  struct zcmem_context *context; /* NULL: none; the thread before may have left it open */
  _Alignas(64) unsigned char place[SOAK_REGIONS * 80 * 1024];
};

extern struct zcmem_hal *soak_hal;
extern struct zcmem_buffers *soak_buffers;
extern hal_size_t soak_bytes[SOAK_REGIONS]; /* that a heap has to hand out */
/* Blocks that threads hand to each other. */
extern struct soak_block soak_common[SOAK_COMMON];
extern atomic_ullong soak_calls, soak_views;

/* CMocka's assertions are for the main thread: others count what is wrong, and the last of it. */
extern atomic_uint soak_wrong;
extern _Atomic(const char *) soak_what;
void soak_expect_at(bool good, const char *text);
#define SOAK_TEXT(line) SOAK_TEXT2(line)
#define SOAK_TEXT2(line) #line
#define EXPECT(good) soak_expect_at(good, __FILE__ ":" SOAK_TEXT(__LINE__) ": " #good)

static inline bool soak_no_room(enum zcmem_status status) {
  return status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM;
}

/* A thread, until its worker is to leave. */
void *soak_work(void *worker);

/* The bytes of a block, and what the HAL says of it. */
void soak_check(const struct soak_block *block);
#endif

#endif
