/* SPDX-License-Identifier: MIT */
/*
 * The heap: hands out ranges of an address space that it never reads or writes.
 *
 * A heap is one image: a run of bytes that the caller provides and that holds all state of the heap, with no pointer
 * in it. The image may be copied or moved (call zcmem_heap_attach at the new place) and has the same content on every
 * host of the same byte order. Nothing is ever allocated behind the caller's back.
 *
 * Threads: the heap has no lock. Calls that take a `const struct zcmem_heap *` may run beside each other; any other
 * call needs the heap to itself. The HAL facade (hal.h) adds the locks.
 *
 * Cost: every call but init, attach, check and walk takes a number of steps that is bounded by a constant, whatever
 * the number of blocks; src/DESIGN.md publishes the bound and a test counts it.
 *
 * Algorithm: after TLSF (Masmano, Ripoll, Crespo, Real: "TLSF: a new dynamic memory allocator for real-time systems",
 * ECRTS 2004), with descriptors out of band, a bin for each size of up to 4095 quanta (the first block found is the
 * best fit), TLSF's two levels above with a bounded look for the best fit, and immediate merging; see src/DESIGN.md.
 */
#ifndef ZCMEM_HEAP_H
#define ZCMEM_HEAP_H

#include <zcmem/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcmem_heap;

/* The quantum used where a config says 0: TI's alignment and the oneAPI Construction Kit's. */
#define ZCMEM_QUANTUM_DEFAULT 128u

/* The most live blocks that a heap can be made for. */
#define ZCMEM_MAX_BLOCKS 0x7ffffffu

/* How often one block can be pinned at the same time, and how many transfers can use it. */
#define ZCMEM_MAX_PINS 0x7fffu

/* The image's bytes are zero already (fresh from calloc, mmap, .bss): init need not clear and so not touch them. */
#define ZCMEM_HEAP_ZEROED 0x1u

/* What a heap is made of, for zcmem_heap_init. */
struct zcmem_heap_config {
  hal_addr_t base;     /* first byte of the managed range; any address */
  hal_size_t size;     /* bytes from base; base + size may be 2^64, not more */
  hal_size_t quantum;  /* smallest unit in bytes: a power of two up to 2^31; 0: ZCMEM_QUANTUM_DEFAULT */
  uint32_t max_blocks; /* most blocks live at once: 1 ... ZCMEM_MAX_BLOCKS */
  uint32_t flags;      /* 0 or ZCMEM_HEAP_ZEROED */
};

/* What a block is, as zcmem_heap_find and zcmem_heap_walk tell it. */
enum zcmem_block_state {
  ZCMEM_BLOCK_FREE = 0,   /* can be handed out */
  ZCMEM_BLOCK_LIVE = 1,   /* handed out */
  ZCMEM_BLOCK_ZOMBIE = 2, /* freed by its owner while in use; becomes free when its last pin or transfer ends */
  ZCMEM_BLOCK_CACHED = 3  /* freed by its owner, and kept in a magazine of the HAL (hal.h) */
};

/* One block, live or not. */
struct zcmem_block_info {
  hal_addr_t addr;              /* first byte */
  hal_size_t size;              /* bytes occupied: a multiple of the quantum */
  hal_size_t requested;         /* bytes asked for; 0 for a free or cached block */
  enum zcmem_block_state state; /* see there */
  uint32_t pins;                /* pins held by users of the block, 0 ... ZCMEM_MAX_PINS */
  uint32_t transfers;           /* pins held by transfers that run and by mappings on demand */
  uint32_t tag;                 /* the owner's 32-bit mark, 0 until set */
};

/* The whole heap. */
struct zcmem_heap_info {
  hal_addr_t base;      /* first address that can be handed out */
  hal_size_t size;      /* bytes that can be handed out: whole quanta */
  hal_size_t quantum;   /* bytes */
  hal_size_t free;      /* free bytes */
  hal_size_t requested; /* bytes asked for by the live blocks (and zombies) */
  uint32_t live;        /* live blocks, zombies included */
  uint32_t free_blocks; /* free blocks */
  uint32_t max_blocks;  /* as configured */
  size_t image_bytes;   /* bytes of the image */
};

/*
 * Bytes of image that a heap of this config needs; 0 iff the config is invalid, that is: config is NULL, the quantum
 * is no power of two or above 2^31, size is 0 or base + size is beyond 2^64, the range holds no whole quantum (a range
 * based at 0 gives up its first one) or more than 2^32 - 1 of them, max_blocks is 0 or above ZCMEM_MAX_BLOCKS, flags
 * has unknown bits, or the image would not fit a size_t.
 *
 * For each of max_blocks 70 to 100 bytes where the range has up to 1024 quanta for each, less than 200 in any case; and
 * 3 to 125 KB for header and bins, growing with the size up to 4096 quanta and with its logarithm beyond. So, with
 * quanta of 128 bytes, 1000 blocks in 4 MiB take 113 KB, 64 Ki blocks in 256 MiB 5.3 MB, 1 Mi blocks in 64 GiB 101 MB.
 * O(1), thread-safe.
 */
ZCMEM_API size_t zcmem_heap_bytes(const struct zcmem_heap_config *config);

/*
 * Makes an empty heap in image, which must be aligned to 64 bytes and stays the caller's; it must outlive the heap.
 * The managed range is made of whole quanta: if base is no multiple of the quantum the first partial quantum is left
 * out, and so is a last partial one, and so is the first quantum of a range based at 0.
 *
 * OK: *heap is the heap (it lies in the image). EINVAL iff an argument is NULL, image is misaligned or the config is
 * invalid (see zcmem_heap_bytes). ENOMEM iff bytes < zcmem_heap_bytes(config).
 * Cost: clears the whole image, unless ZCMEM_HEAP_ZEROED says that it is zero: then only the header and two
 * descriptors are touched, less than a kilobyte.
 */
ZCMEM_API enum zcmem_status zcmem_heap_init(void *image, size_t bytes, const struct zcmem_heap_config *config,
                                            struct zcmem_heap **heap);

/*
 * Finds the heap in an image that was made by zcmem_heap_init, here or in another place, and copied, mapped or read
 * from a file. The image is not trusted: its whole content is checked first (as zcmem_heap_check does), so that what
 * is handed out here is safe to use.
 *
 * OK: *heap is the heap. EINVAL iff an argument is NULL or image is not aligned to 64 bytes. ECORRUPT iff the image
 * is not a heap of this version and byte order, is cut short, or breaks an invariant. Cost: as zcmem_heap_check.
 */
ZCMEM_API enum zcmem_status zcmem_heap_attach(void *image, size_t bytes, struct zcmem_heap **heap);

/*
 * Allocates size bytes (0 is a legal block of no bytes that occupies one quantum) whose address is a multiple of
 * align bytes, a power of two; the quantum is the least alignment in any case.
 *
 * OK: *addr is the address. EINVAL iff heap or addr is NULL or align is no power of two. ENOMEM iff max_blocks blocks
 * are live. ENOSPC iff less than size bytes (rounded up to the quantum) are free. EFRAG iff enough bytes are free but
 * no free block holds the request: for an align up to the quantum that is exact (a block that is large enough is
 * always found); for a larger one a block of size + align - quantum bytes is always found, a smaller one that
 * happens to fit may be missed.
 */
ZCMEM_API enum zcmem_status zcmem_heap_alloc(struct zcmem_heap *heap, hal_size_t size, hal_size_t align,
                                             hal_addr_t *addr);

/*
 * Frees the block at addr, which must be an address that alloc or reserve gave. Freeing 0 does nothing.
 *
 * OK: freed (and merged with its free neighbours). EINVAL iff heap is NULL. ENOENT iff no live block starts at addr:
 * already freed, foreign or interior. EBUSY iff the block is pinned or in a transfer. A correct free never fails.
 */
ZCMEM_API enum zcmem_status zcmem_heap_free(struct zcmem_heap *heap, hal_addr_t addr);

/*
 * As zcmem_heap_free, but a block that is pinned or in a transfer becomes a zombie: no longer live for any call but
 * unpin and end_transfer, and freed by the last of these. *deferred (may be NULL) tells which. Never EBUSY.
 */
ZCMEM_API enum zcmem_status zcmem_heap_free_deferred(struct zcmem_heap *heap, hal_addr_t addr, bool *deferred);

/*
 * Makes the block at addr size bytes long without moving it.
 *
 * OK: done; what the block gave up is free. EINVAL iff heap is NULL. ENOENT iff no live block starts at addr. EBUSY
 * iff the block is pinned or in a transfer and would lose bytes. ENOSPC iff it must grow by more than all free bytes;
 * EFRAG iff it must grow by more than is free right behind it. Making a block smaller never fails for want of memory.
 */
ZCMEM_API enum zcmem_status zcmem_heap_resize(struct zcmem_heap *heap, hal_addr_t addr, hal_size_t size);

/*
 * Allocates exactly at address `at`, a multiple of the quantum.
 *
 * OK: the block is at `at`. EINVAL iff heap is NULL or `at` is no multiple of the quantum. EBOUNDS iff the range (at
 * least one quantum) leaves the heap. ENOMEM iff max_blocks blocks are live. EOVERLAP iff a part of the range is
 * occupied.
 */
ZCMEM_API enum zcmem_status zcmem_heap_reserve(struct zcmem_heap *heap, hal_addr_t at, hal_size_t size);

/*
 * Finds the live block that holds address `any`, interior too (the unused end of its last quantum counts as its own).
 *
 * OK: *info is the block. EINVAL iff a pointer is NULL. ENOENT iff no live block occupies the address.
 */
ZCMEM_API enum zcmem_status zcmem_heap_find(const struct zcmem_heap *heap, hal_addr_t any,
                                            struct zcmem_block_info *info);

/*
 * The largest size that zcmem_heap_alloc would grant now for an align up to the quantum: asking for it succeeds, for
 * one byte more fails. 0 when nothing can be allocated. (With room left but 0 bytes the answer would be ambiguous;
 * there is none, since the least block is one quantum.) heap NULL: 0.
 */
ZCMEM_API hal_size_t zcmem_heap_largest(const struct zcmem_heap *heap);

/* Fills *info. EINVAL iff a pointer is NULL. */
ZCMEM_API enum zcmem_status zcmem_heap_get_info(const struct zcmem_heap *heap, struct zcmem_heap_info *info);

/*
 * Counts a pin of the live block that holds address `any` up or down. A pinned block is not freed and not made
 * smaller. `addr` of the unpin may be any address of the block that was pinned, zombies included.
 *
 * OK. EINVAL iff heap is NULL. ENOENT iff no live block (unpin: or zombie) is there. EBUSY iff it is pinned
 * ZCMEM_MAX_PINS times (pin) or not at all (unpin). *freed (may be NULL): the unpin was the last of a zombie, which is
 * free now.
 */
ZCMEM_API enum zcmem_status zcmem_heap_pin(struct zcmem_heap *heap, hal_addr_t any);
ZCMEM_API enum zcmem_status zcmem_heap_unpin(struct zcmem_heap *heap, hal_addr_t any, bool *freed);

/*
 * The same for a transfer of `size` bytes from `any` on, counted apart from the users' pins so that an unpin too many
 * cannot pull the block from under a copy that runs. EBOUNDS iff the range leaves the bytes that were requested for
 * the block. EBUSY iff ZCMEM_MAX_PINS transfers use it (begin) or none (end). *info (may be NULL) is the block, as it
 * is after the call.
 */
ZCMEM_API enum zcmem_status zcmem_heap_begin_transfer(struct zcmem_heap *heap, hal_addr_t any, hal_size_t size,
                                                      struct zcmem_block_info *info);
ZCMEM_API enum zcmem_status zcmem_heap_end_transfer(struct zcmem_heap *heap, hal_addr_t any, bool *freed);

/* Sets the tag of the live block at addr. EINVAL iff heap is NULL, ENOENT iff no live block starts there. */
ZCMEM_API enum zcmem_status zcmem_heap_set_tag(struct zcmem_heap *heap, hal_addr_t addr, uint32_t tag);

/*
 * Calls visit(ctx, info) for each block, free ones too, in the order of addresses, until it returns false. visit must
 * not change the heap. EINVAL iff heap or visit is NULL. O(blocks).
 */
ZCMEM_API enum zcmem_status zcmem_heap_walk(const struct zcmem_heap *heap,
                                            bool (*visit)(void *ctx, const struct zcmem_block_info *info), void *ctx);

/*
 * Checks every invariant of the heap (src/DESIGN.md numbers them). Reads only, and never loops, whatever is in the
 * image. How long the image is it takes from the image itself; zcmem_heap_check_detail does not.
 *
 * OK: all hold. EINVAL iff heap is NULL. ECORRUPT: zcmem_heap_check_detail names the first one that is broken.
 * Cost: O(max_blocks), whatever is in use.
 */
ZCMEM_API enum zcmem_status zcmem_heap_check(const struct zcmem_heap *heap);

/*
 * As zcmem_heap_check, of an image of `bytes` bytes, and reads nothing outside of these; *broken (may be NULL) becomes
 * the name of the first broken invariant, a constant string such as "I3: two free neighbours", or NULL. EINVAL iff
 * image is NULL or not aligned to 64 bytes.
 */
ZCMEM_API enum zcmem_status zcmem_heap_check_detail(const void *image, size_t bytes, const char **broken);

/*
 * For zcmem_heap_repair. ABANDONED: nobody uses the heap any more; so all pins and transfers end, zombies become free,
 * and so does what magazines keep. DAMAGED: bytes of the image may have been lost, and calls did not leave it as it is;
 * so every descriptor is looked at, and of blocks that contradict each other, or themselves, all are dropped but the
 * one that starts first.
 */
#define ZCMEM_REPAIR_ABANDONED 0x1u
#define ZCMEM_REPAIR_DAMAGED 0x2u

/* What a repair did. */
struct zcmem_repair_info {
  uint32_t live;    /* blocks that are live now, as in zcmem_heap_info */
  uint32_t cached;  /* blocks that were given back to the heap since only a magazine had kept them */
  uint32_t zombies; /* zombies that became free since nobody uses them any more */
  uint32_t undone;  /* 1: a resize had been interrupted, and the block is as it was before; else 0 */
  uint32_t dropped; /* blocks that cannot be; 0 without ZCMEM_REPAIR_DAMAGED */
};

/*
 * Makes an image whole again: one that a process was changing when it was killed, at whatever instruction, or whose
 * bytes were damaged. Afterwards every call on the heap that had come to its end is done, the one that was interrupted
 * is done or never began, and zcmem_heap_check answers OK: no byte is lost, none belongs to two blocks. It relies on
 * the occupied blocks' descriptors (address, size, tag, pins) and the heap's geometry; all else it builds anew. It
 * may be interrupted itself, and called again. The image of a whole heap may be repaired, too.
 *
 * config: NULL, or the config that the heap was made with, if the image's header is not to be relied on. flags: 0 or
 * ZCMEM_REPAIR_*. *info (may be NULL): what was done. Nobody else may use the heap meanwhile.
 *
 * OK: the heap is in the image, as zcmem_heap_attach would find it. EINVAL iff image is NULL or not aligned to 64
 * bytes, config is invalid (zcmem_heap_bytes), or flags has unknown bits. ECORRUPT iff the image is shorter than the
 * heap; or, without a config, its header is no heap's of this version and byte order; or, without
 * ZCMEM_REPAIR_DAMAGED, blocks overlap, reach out of the heap, or cannot have been handed out, or how many descriptors
 * are in use cannot be. Then no block has changed, and the image is still to be repaired. What an interrupted call left
 * is never answered with ECORRUPT.
 *
 * Cost: as zcmem_heap_check, O(max_blocks); a bounded number of steps for each block.
 */
ZCMEM_API enum zcmem_status zcmem_heap_repair(void *image, size_t bytes, const struct zcmem_heap_config *config,
                                              uint32_t flags, struct zcmem_repair_info *info);

#ifdef __cplusplus
}
#endif

#endif
