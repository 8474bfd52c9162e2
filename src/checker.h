/* SPDX-License-Identifier: MIT */
/*
 * What the files of the checker share: what is checked, and how far. They trust nothing that has not been checked: ids,
 * slots and pages are compared with their bounds before they are used, each loop is bounded by a count.
 */
#ifndef ZCMEM_CHECKER_H
#define ZCMEM_CHECKER_H

#include "heap_impl.h"

struct zcmem__checker {
  const struct zcmem_heap *heap;
  const char *broken;
  uint32_t blocks;      /* found along the chain */
  uint32_t free_blocks; /*   of which free */
  uint32_t bin_entries; /* found in the bins */
  uint32_t wide_pages;  /* pages of the wide bins found, without each bin's first */
  uint32_t tables;      /* tables of the index found */
  uint32_t next_live;   /* the live block that the index must name next */
};

static inline bool zcmem__check_fail(struct zcmem__checker *check, const char *broken) {
  check->broken = broken;
  return false;
}

static inline const struct zcmem__block *zcmem__check_block(const struct zcmem__checker *check, uint32_t id) {
  return zcmem__block_const(check->heap, id);
}

static inline bool zcmem__check_is_id(const struct zcmem__checker *check, uint32_t id) {
  return id != ZCMEM__NIL && id < check->heap->next_id && id % ZCMEM__ID == 0;
}

/* I5, I6, I7: the bins, and what is in them. The chain has been checked. */
bool zcmem__check_bins(struct zcmem__checker *check);

/* I6: the pages that no bin has, and those that none ever had. The bins have been checked. */
bool zcmem__check_unused_pages(struct zcmem__checker *check);

#endif
