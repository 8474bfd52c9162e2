/* SPDX-License-Identifier: MIT */
/*
 * What valgrind's memcheck and AddressSanitizer are told of the host memory of a region: which bytes belong to a block
 * and which to nobody. The only file that knows these tools; in a build without ZCMEM_TRACK, or without their headers,
 * every call does nothing.
 *
 * memcheck sees a region as a pool and its blocks as the pool's, so it also tells next to which block a wrong access
 * is, and who allocated and freed it. ASan is told only if this file is compiled with it. A block's bytes count as
 * written from the beginning on: what the device stores no tool sees.
 */
#ifndef ZCMEM_SRC_TRACK_H
#define ZCMEM_SRC_TRACK_H

#include <stdbool.h>
#include <stddef.h>

/* Whether one of the tools is there to be told now. */
bool zcmem__track_active(void);

/* From now on all of the memory, which the host sees at `pool`, belongs to nobody; and to its owner again. */
void zcmem__track_open(void *pool, size_t size);
void zcmem__track_close(void *pool, size_t size);

/* The bytes are a block's; they are nobody's; a block has changed its size. */
void zcmem__track_alloc(void *pool, void *block, size_t size);
void zcmem__track_free(void *pool, void *block, size_t size);
void zcmem__track_resize(void *pool, void *block, size_t before, size_t size);

#endif
