/* SPDX-License-Identifier: MIT */
/*
 * Red zones: bytes beside the blocks of a region whose pattern is drawn, looked at and drawn again. A red zone is
 * slack: the block is `bytes` bytes larger in the heap than it was asked for, and told to be as large as asked for. So
 * every check of bounds is what it is without. All zones hold their pattern:
 *
 *   G1  the first and the last `bytes` bytes of a live block's slack
 *   G2  the `bytes` bytes before a live block: the last ones of the slack of the block before it, or free ones that
 *       hold the pattern since the block was made. Before the first block lie as many that the heap does not have.
 *
 * G2 lasts since free bytes are only changed where a block is made of them, and that has a zone of its own at its end.
 * The region's lock is held.
 */
#ifndef ZCMEM_SRC_ZONE_H
#define ZCMEM_SRC_ZONE_H

#include "heap_ops.h"
#include <zcmem/hardening.h>

struct zcmem__zones {
  struct zcmem_heap *heap;
  hal_addr_t base;     /* of the region, and where the host sees it: */
  unsigned char *host; /*   NULL where that does not matter */
  hal_size_t bytes;    /* of one zone; 0: there are none */
};

/* A block as its owner sees it, and where it ends. */
struct zcmem__zone_extent {
  hal_addr_t addr, end, rest; /* first byte; behind all of it; behind what was asked for */
};

struct zcmem__zone_extent zcmem__zone_extent(const struct zcmem__zones *zones, const struct zcmem__block *block);

/* Where the host sees the byte. */
static inline unsigned char *zcmem__zone_host(const struct zcmem__zones *zones, hal_addr_t addr) {
  return zones->host + (size_t)(addr - zones->base);
}

/* For regions that have zones. Draws those behind a block, or as much of the one before it as is no other block's. */
void zcmem__zone_draw_behind(const struct zcmem__zones *zones, const struct zcmem__block *block);
void zcmem__zone_draw_before(const struct zcmem__zones *zones, const struct zcmem__block *block);

/* Adds damage at the byte `at`; the first that was found is what is told. */
void zcmem__zone_note(struct zcmem_damage *damage, enum zcmem_damage_kind kind, hal_addr_t block, hal_addr_t at);

/* Look at what was drawn. `own`: without what is the end of another block. */
void zcmem__zone_look_behind(const struct zcmem__zones *zones, const struct zcmem__block *block,
                             enum zcmem_damage_kind kind, struct zcmem_damage *damage);
void zcmem__zone_look_before(const struct zcmem__zones *zones, const struct zcmem__block *block, bool own,
                             struct zcmem_damage *damage);

#endif
