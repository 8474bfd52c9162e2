/* SPDX-License-Identifier: MIT */
/*
 * A victim is a child that opens an area, makes the calls of a script, and is killed with SIGKILL after a given store
 * of the last one: each instruction that stores into the area counts, in the library as in pthread's mutex. What it
 * came to is in memory that it shares with its parent.
 */
#ifndef ZCMEM_TESTS_SHM_VICTIM_H
#define ZCMEM_TESTS_SHM_VICTIM_H

#include "shm_fixture.h"

#define VICTIM_BATCH 4u
#define VICTIM_CALLS 24u        /* of a script */
#define VICTIM_BYTES 16u        /* of a transfer */
#define VICTIM_COUNT UINT64_MAX /* instead of a store: the last call comes to its end, and is killed then */

enum victim_kind {
  VICTIM_ALLOC,
  VICTIM_ALLOC_KIND,
  VICTIM_ALLOC_BATCH,
  VICTIM_FREE,
  VICTIM_FREE_DEFERRED,
  VICTIM_FREE_BATCH,
  VICTIM_RESIZE,
  VICTIM_PIN,
  VICTIM_UNPIN,
  VICTIM_MAP,
  VICTIM_UNMAP,
  VICTIM_READ,
  VICTIM_WRITE,
  VICTIM_FILL,
  VICTIM_COPY,
  VICTIM_SHARE,
  VICTIM_OWN,
  VICTIM_GET_OWNER,
  VICTIM_REAP,
  VICTIM_CHECK,
  VICTIM_OPEN,  /* only the first call of a script: of the others it is no part, and not stopped */
  VICTIM_CLOSE, /* only the last one */
  VICTIM_FORK,  /* only the last one: a child of the victim allocates, and is what is killed */
  VICTIM_KINDS
};
extern const char *const victim_names[VICTIM_KINDS];

struct victim_call {
  enum victim_kind kind;
  uint32_t region;                /* of what is allocated; of `addr` */
  hal_addr_t addr;                /* what it is done to */
  hal_addr_t from;                /* of a copy */
  hal_size_t size, align;         /* of what is allocated, or its new size */
  hal_addr_t addrs[VICTIM_BATCH]; /* of a batch to be freed */
};

struct victim_answer {
  enum zcmem_status status;
  hal_addr_t addrs[VICTIM_BATCH]; /* what was allocated */
  uint32_t slot;                  /* whose the caller is */
};

/* What a victim tells its parent. */
struct victim_log {
  uint32_t ended;  /* calls that came to their end */
  uint64_t stores; /* of the last one */
  struct victim_answer answers[VICTIM_CALLS];
};

/* Memory for the log. */
struct victim_log *victim_log_make(void);
void victim_log_drop(struct victim_log *log);

/*
 * Runs a victim on the area of that file descriptor, and waits for its death: after store number `store` (from 1 on) of
 * the last call, or after that call.
 */
void victim_run(int fd, const struct victim_call *script, uint32_t count, uint64_t store, struct victim_log *log);

/* The same for a single call of another kind, which makes the area itself: zcmem_shm_create. */
void victim_create(const struct zcmem_shm_config *config, uint64_t store, struct victim_log *log);

#endif
