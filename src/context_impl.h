/* SPDX-License-Identifier: MIT */
/*
 * The state of a context. It lies in the caller's memory in this order: struct zcmem_context, a part for each region,
 * magazines for each region that has a depot. Magazines are made, and put into the region's list, by the first call
 * that needs the region's lock.
 */
#ifndef ZCMEM_SRC_CONTEXT_IMPL_H
#define ZCMEM_SRC_CONTEXT_IMPL_H

#include "hal_impl.h"
#include "magazine.h"
#include <zcmem/context.h>

/* A region's part of a context. */
struct zcmem__context_part {
  struct zcmem__magazines *place; /* memory for its magazines; NULL: it has none */
  struct zcmem__magazines *mine;  /* there, once they are made; else NULL */
};

struct zcmem_context {
  const struct zcmem_context *self; /* itself, as long as it is open */
  struct zcmem_hal *hal;
  struct zcmem__atomic_u32 busy; /* a call is in it */
  uint32_t blocks;               /* most of a size */
  uint32_t count;                /* of the parts */
  bool single;                   /* the HAL is used by one thread at a time */
  size_t bytes;
  struct zcmem_context *next; /* of the HAL's open ones */
  struct zcmem__context_part part[];
};

/* The HAL ends, and nobody uses it any more. */
static inline void zcmem__context_close_all(struct zcmem_hal *hal) {
  for (struct zcmem_context *at = hal->contexts; at != NULL; at = at->next) {
    at->self = NULL;
  }
  hal->contexts = NULL;
}

/* In the child of a fork: calls that other threads were in do not go on. */
static inline void zcmem__context_inherit(struct zcmem_hal *hal) {
  for (struct zcmem_context *at = hal->contexts; at != NULL; at = at->next) {
    zcmem__atomic_publish(&at->busy, 0);
  }
}

#endif
