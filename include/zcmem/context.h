/* SPDX-License-Identifier: MIT */
/*
 * Contexts: magazines (hal.h) that do not belong to a thread by themselves but to who holds a handle. A task of an
 * RTOS, an event loop or a program of one thread makes a context in memory of its own; allocations and frees through it
 * take no lock in the common case. They need no pthread and no allocator.
 *
 *   regions   those with ZCMEM_REGION_CONTEXTS, and in a HAL with ZCMEM_HAL_MAGAZINES the others whose threads have
 *             magazines. In all others, and in those that were added after the context was made, its calls go to the
 *             heap as zcmem_mem_alloc and zcmem_mem_free do.
 *   blocks    are the HAL's: who frees or uses one need not know of the context. Each may be freed through any context
 *             or through none, also in another thread.
 *   promises  as for magazines of threads: what is kept is live for no call. Before a request fails that the region
 *             could hold, all of it is given back, also what other contexts and threads keep. How much may be kept
 *             altogether is bounded by the region's magazine_share. Statistics and checks see through it.
 *
 * Threads: a context is used by one thread, or task, at a time; which one may change, if the program orders the calls.
 * A call that notices another one in the same context answers EBUSY and does nothing, but not each can be noticed.
 * Several contexts of one HAL may be used at the same time, beside any other call, if the HAL's lock allows several
 * threads at all (zcmem_lock_none does not). Who needs what a context keeps waits for its owner to leave it, which
 * takes that one some instructions and no lock: where tasks have priorities, by the `wait` of zcmem_lock_ops. No call
 * is to be made from an interrupt or signal handler that interrupts another one.
 *
 * The host needs C11's atomic loads, stores and fences of 32 bits, and a compare-and-swap of 64 bits; with
 * zcmem_lock_none no call of a context swaps, or passes a fence, but to wait for others. On a 32-bit host, and with
 * ZCMEM_NO_MAGAZINES, all functions are there and each call goes to the heap.
 *
 * zcmem_hal_destroy closes contexts that are open. In a child of fork the contexts of a HAL with zcmem_lock_pthread are
 * there as in the parent, also those of threads that are not.
 */
#ifndef ZCMEM_CONTEXT_H
#define ZCMEM_CONTEXT_H

#include <zcmem/hal.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcmem_context;

/* The most blocks of a size that a context can keep. */
#define ZCMEM_CONTEXT_BLOCKS 16u

/* What a context is made of, for zcmem_context_init. */
struct zcmem_context_config {
  struct zcmem_hal *hal; /* whose end is the context's */
  uint32_t blocks;       /* of each size it keeps at most so many (of sizes up to 16 quanta four times as many), up to
                            ZCMEM_CONTEXT_BLOCKS; 0: that. 1 needs 8 KB of memory for each region, 16 needs 75 KB */
};

/*
 * Bytes of memory for a context over the regions that the HAL has now. 0 iff config or its hal is NULL, or blocks is
 * too large. Thread safety: any thread, at any time.
 */
ZCMEM_API size_t zcmem_context_bytes(const struct zcmem_context_config *config);

/*
 * Makes a context in `memory` (64-byte aligned, zeroed or not), which belongs to it until zcmem_context_destroy, or
 * until the end of the HAL; it keeps nothing yet. Takes one lock; the regions' own first by calls through the context.
 * OK. EINVAL iff a pointer is NULL, memory is not aligned, or zcmem_context_bytes answers 0. ENOMEM iff `bytes` is less
 * than zcmem_context_bytes answers now. EOVERLAP iff the memory overlaps an open context of the HAL. ELOCK. Thread
 * safety: any thread, at any time. Cost: O(regions + open contexts).
 */
ZCMEM_API enum zcmem_status zcmem_context_init(void *memory, size_t bytes, const struct zcmem_context_config *config,
                                               struct zcmem_context **context);

/*
 * Ends the context: all that it keeps goes back to the heap, in holds of a region's lock for 64 blocks each. Blocks
 * that were allocated through it live on. From then on the memory is the caller's again; as long as it is left as it
 * is, calls with the context answer EINVAL. OK. EINVAL iff context is NULL or not open. EBUSY iff another call was
 * noticed in it. ELOCK iff a lock failed: then it is open as before, though it may keep less.
 */
ZCMEM_API enum zcmem_status zcmem_context_destroy(struct zcmem_context *context);

/*
 * As zcmem_mem_alloc in the context's HAL, from what the context keeps if it has such a block: then without the lock.
 * Statuses: those of zcmem_mem_alloc; EINVAL also iff context is NULL or not open. EBUSY iff another call was noticed
 * in the context. Cost: constant; in the common case about as long as a free list would take.
 */
ZCMEM_API enum zcmem_status zcmem_context_alloc(struct zcmem_context *context, uint32_t region, hal_size_t size,
                                                hal_size_t align, hal_addr_t *addr);

/*
 * As zcmem_mem_free of any block of the context's HAL, into the context if there is room. Statuses: those of
 * zcmem_mem_free; EINVAL also iff context is NULL or not open. EBUSY also iff another call was noticed in the context.
 */
ZCMEM_API enum zcmem_status zcmem_context_free(struct zcmem_context *context, hal_addr_t addr);

/*
 * Gives all that the context keeps back to the heap, as zcmem_context_destroy does, and goes on: for a task that will
 * make no call for some time. Nobody has to: who needs the space takes it.
 * OK. EINVAL iff context is NULL or not open. EBUSY iff another call was noticed in it. ELOCK iff a lock failed: the
 * rest is kept.
 */
ZCMEM_API enum zcmem_status zcmem_context_drain(struct zcmem_context *context);

#ifdef __cplusplus
}
#endif

#endif
