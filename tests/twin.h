/* SPDX-License-Identifier: MIT */
/*
 * A twin: a heap and its model, driven by the same calls. Each call here makes the call on both, compares the answers
 * and then the whole state: zcmem_heap_check, every block in the order of addresses, the counters, the largest
 * request. Anything that differs ends the test, after `explain` has said how to come here again.
 */
#ifndef ZCMEM_TESTS_TWIN_H
#define ZCMEM_TESTS_TWIN_H

#include "model.h"

struct twin {
  struct zcmem_heap *heap;
  void *image;
  void *before; /* room for a copy of the image; NULL: a failed call's image is not compared */
  size_t bytes;
  struct model model;
  void (*explain)(void *ctx);
  void *ctx;
};

/* Makes both; the memory comes from malloc. False iff the config is out of the model's reach. */
bool twin_init(struct twin *t, const struct zcmem_heap_config *config, bool compare_failed);
void twin_end(struct twin *t);

/* Makes `to` (of the same config) what `from` is: the image is copied to another place and attached there. */
void twin_copy(struct twin *to, const struct twin *from);

enum zcmem_status twin_alloc(struct twin *t, hal_size_t size, hal_size_t align, hal_addr_t *addr);
enum zcmem_status twin_free(struct twin *t, hal_addr_t addr);
enum zcmem_status twin_free_deferred(struct twin *t, hal_addr_t addr);
enum zcmem_status twin_resize(struct twin *t, hal_addr_t addr, hal_size_t size);
enum zcmem_status twin_reserve(struct twin *t, hal_addr_t at, hal_size_t size);
enum zcmem_status twin_find(struct twin *t, hal_addr_t any);
enum zcmem_status twin_pin(struct twin *t, hal_addr_t any);
enum zcmem_status twin_unpin(struct twin *t, hal_addr_t any);
enum zcmem_status twin_begin_transfer(struct twin *t, hal_addr_t any, hal_size_t size);
enum zcmem_status twin_end_transfer(struct twin *t, hal_addr_t any);
enum zcmem_status twin_set_tag(struct twin *t, hal_addr_t addr, uint32_t tag);

#endif
