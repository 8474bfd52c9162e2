/* SPDX-License-Identifier: MIT */
/*
 * Blocks by the host pointer to their first byte: what the malloc-shaped calls are made of.
 *
 * In a region with a host pointer that is arithmetic. In one that is mapped on demand each block has one mapping from
 * its first byte on, made with it, of all of it then, and undone with it. There a block goes in these steps, no lock
 * held between them: its mapping is taken, which names the block beyond doubt for as long as it is taken; under the
 * region's lock the block becomes a zombie iff nobody else uses it; it is unmapped; its uses end, and so it is free. So
 * of several threads that free one pointer exactly one succeeds, and no stale pointer tears down the mapping of another
 * block.
 *
 * Who moves a block first holds it, which can be undone: until the new one is there nobody can free the old one, so
 * that its pointer is not handed out again meanwhile.
 *
 * An alias (zcmem_hal_add_alias) is not the pointer that was given and names no block here.
 */
#ifndef ZCMEM_HOST_BLOCK_H
#define ZCMEM_HOST_BLOCK_H

#include "hal_impl.h"

/* A block that one thread holds, or that is doomed: a zombie that lives for that thread alone. */
struct zcmem__host_block {
  struct zcmem__region *region;
  hal_addr_t addr;
  hal_size_t requested;
  uint32_t held;                /* 1: in use by the holder, counted as a transfer */
  struct zcmem__mapping *entry; /* its mapping on demand, taken; NULL in a region with a host pointer */
  hal_size_t mapped;            /*   bytes that it maps */
  void *host;
};

/*
 * Allocates from the regions of the kind: those with a host pointer, then those with a map callback, each in the order
 * of adding. *host is a multiple of `align`, a power of two. A failure is that of the last region tried; ENOENT: no
 * region of the kind; ENOTMAPPED: none that the host sees, or none at such an alignment; EINVAL: align; EIO, ELOCK.
 */
enum zcmem_status zcmem__host_block_alloc(struct zcmem_hal *hal, uint32_t kind, size_t size, size_t align, void **host);

/*
 * Holds a block that nobody else uses: until it is let go nobody can free it, and its bytes are at *host. ENOENT: no
 * live block starts there. EINVAL: it is of another kind. EBUSY: it is pinned, mapped or in a transfer. ELOCK. Then
 * nothing has changed.
 */
enum zcmem_status zcmem__host_block_hold(struct zcmem_hal *hal, uint32_t kind, void *host,
                                         struct zcmem__host_block *held);

/*
 * Copies the first `size` bytes of a held block, which has as many. Those that are not mapped with it, since the block
 * has grown, are read as zcmem_mem_read does. OK, or its statuses.
 */
enum zcmem_status zcmem__host_block_copy(struct zcmem_hal *hal, const struct zcmem__host_block *held, void *to,
                                         size_t size);

/* Lets it go. ELOCK: then it stays in use for good. */
enum zcmem_status zcmem__host_block_let_go(const struct zcmem__host_block *held);

/* Takes the block that is held from its owner, if still nobody else uses it. EBUSY, ENOENT, ELOCK: it is held as
 * before. */
enum zcmem_status zcmem__host_block_doom(struct zcmem__host_block *held);

/*
 * Unmaps and frees a doomed block. EIO: the unmap callback failed; the block is free all the same. ELOCK: it is
 * unmapped, and in use for good.
 */
enum zcmem_status zcmem__host_block_end(const struct zcmem__host_block *doomed);

/* All of it. Statuses of _hold and _end. */
enum zcmem_status zcmem__host_block_free(struct zcmem_hal *hal, uint32_t kind, void *host);

/*
 * Resizes in place. Statuses of zcmem__host_block_hold; ENOSPC, EFRAG: not in place. A block mapped on demand keeps its
 * size: its mapping could neither grow nor, where unmapping writes back, be left longer than the block.
 */
enum zcmem_status zcmem__host_block_resize(struct zcmem_hal *hal, uint32_t kind, const void *host, size_t size);

/* The live block that starts at the pointer, and its region. ENOENT, ELOCK. */
enum zcmem_status zcmem__host_block_find(struct zcmem_hal *hal, const void *host, struct zcmem__region **region,
                                         struct zcmem_block_info *block);

#endif
