/* SPDX-License-Identifier: MIT */
/*
 * What people do wrong, and what is answered: rows of a table, each of which is a test. The world that they happen in
 * is a HAL with four regions and a few blocks; after each mistake nothing of it may have changed, unless the row says
 * so.
 */
#ifndef ZCMEM_TESTS_MISUSE_H
#define ZCMEM_TESTS_MISUSE_H

#include "fake.h"
#include "hal_impl.h"
#include "unit.h"
#include <string.h>

#define MISUSE_KIB ((hal_size_t)1024)
#define MISUSE_MIB ((hal_size_t)1024 * 1024)
/* Bytes of `block` and `far`: less than they occupy. */
#define MISUSE_BYTES ((hal_size_t)1000)
#define MISUSE_RW (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)

/* The regions: mapped; reached by callbacks only; mapped, not coherent, with cache lines; not reached at all. */
enum { MISUSE_DRAM, MISUSE_FAR, MISUSE_LINES, MISUSE_BLIND, MISUSE_REGIONS };
enum { MISUSE_KIND_FAR = ZCMEM_KIND_USER, MISUSE_KIND_BLIND, MISUSE_KIND_NONE };
/* Of FAR, LINES and BLIND; DRAM's is large enough for three blocks of 1 MiB. */
#define MISUSE_SMALL ((size_t)32768)
#define MISUSE_MAX_BLOCKS 256u
#define MISUSE_FEW_BLOCKS 32u /* of BLIND */
#define MISUSE_VIEWS 2u

struct misuse_world {
  struct zcmem_hal *hal;
  struct fake_region regions[MISUSE_REGIONS];
  struct zcmem_buffers *buffers;
  void *table;
  hal_addr_t left, block, right; /* neighbours in DRAM: more than 1 MiB, MISUSE_BYTES, more than 1 MiB */
  hal_addr_t far;                /* MISUSE_BYTES in FAR */
  bool magazines;
  /* What `prepare` leaves for `act`. */
  hal_addr_t addr;
  void *host;
  zcmem_buffer_t buffer;
  struct zcmem_view view;
  enum zcmem_status told;     /* by the handler of malloc.h */
  enum zcmem_status answered; /* to a call within a callback */
};
extern struct misuse_world world;

struct misuse {
  const char *what;
  const char *call;       /* the public function */
  enum zcmem_status want; /* exactly */
  void (*prepare)(void);  /* the correct calls before the mistake; NULL: none */
  enum zcmem_status (*act)(void);
  const char *note; /* for the table: what the status alone does not tell; NULL: nothing */
  bool changes;     /* the mistake has an effect on blocks or bytes, which `note` names and `act` checks */
};

/* Rows; of the same with a note, and with an effect. */
#define MISUSE(what, call, want, prepare, act)                                                                         \
  { what, call, want, prepare, act, NULL, false }
#define MISUSE_NOTED(what, call, want, prepare, act, note)                                                             \
  { what, call, want, prepare, act, note, false }
#define MISUSE_CHANGES(what, call, want, prepare, act, note)                                                           \
  { what, call, want, prepare, act, note, true }
#define MISUSE_END                                                                                                     \
  { NULL, NULL, ZCMEM_OK, NULL, NULL, NULL, false }

/* Each ends with MISUSE_END. */
extern const struct misuse misuse_free[];      /* frees, resizes, pins, mappings */
extern const struct misuse misuse_malloc[];    /* the malloc-shaped calls */
extern const struct misuse misuse_transfer[];  /* transfers, translation, stores */
extern const struct misuse misuse_setup[];     /* allocations, regions, HALs, images */
extern const struct misuse misuse_buffer[];    /* buffers and views */
extern const struct misuse misuse_contexts[];  /* contexts, and blocks that one keeps */
extern const struct misuse misuse_hardening[]; /* what is noticed with hardening only */

/* A correct allocation of `size` bytes. */
hal_addr_t misuse_alloc(uint32_t region, hal_size_t size);

/* Where the host sees byte `addr` of DRAM. */
unsigned char *misuse_host(hal_addr_t addr);

/* Calls act in another thread, where there are threads, and answers what it answered. */
enum zcmem_status misuse_elsewhere(enum zcmem_status (*act)(void));

#endif
