/* SPDX-License-Identifier: MIT */
/*
 * The HAL facade: one device, its named memory regions, and the calls that a HAL offers on opaque device addresses.
 *
 * Threads: every zcmem_mem_* call and every query may be made from any thread at any time. zcmem_hal_init, _create
 * and _destroy need the HAL to themselves. zcmem_hal_add_region may run beside any other call. Each region has one
 * lock; it is never held while bytes are copied or while a callback of the region runs: the block is pinned instead.
 * So a callback may call the facade again, also for the same region.
 *
 * Cost: allocation, release and look-up take a bounded number of steps (heap.h) plus a look at each region (at most
 * max_regions).
 */
#ifndef ZCMEM_HAL_H
#define ZCMEM_HAL_H

#include <zcmem/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcmem_hal;
struct zcmem_block_info; /* heap.h */

/* What a region is made of. Kinds from ZCMEM_KIND_USER on are the user's own. 0 is no kind. */
enum { ZCMEM_KIND_DRAM = 1, ZCMEM_KIND_MSMC = 2, ZCMEM_KIND_USER = 16 };

/* Longest name of a region or device, without the terminating 0. */
#define ZCMEM_NAME_MAX 31u

/* What mappings of zcmem_mem_map will be used for: an OR of these. */
#define ZCMEM_MAP_READ 0x1u
#define ZCMEM_MAP_WRITE 0x2u

/* Region flags. */
#define ZCMEM_REGION_COHERENT 0x1u     /* host and device see each other's stores without flush and invalidate */
#define ZCMEM_REGION_IMAGE_ZEROED 0x2u /* the image given is zero already: not cleared, so not touched, when added */
/* zcmem_mem_host and zcmem_mem_device check that a range lies in the region, not whether a live block is there. */
#define ZCMEM_REGION_UNCHECKED 0x10u

/*
 * Hardening (hardening.h). A region with one of these flags, a red zone or a quarantine has no magazines. FILL, POISON,
 * TRACKED and red zones need a region with a host pointer; FILL, POISON and red zones, which the facade stores there
 * itself, also one without flush and invalidate callbacks, or that is coherent.
 */
#define ZCMEM_REGION_HANDLES 0x4u /* blocks can be named by handles */
#define ZCMEM_REGION_FILL 0x8u    /* a new block's bytes are 0xcd */
#define ZCMEM_REGION_POISON 0x20u /* a freed block's bytes become 0xdd, but where the free was deferred */
/*
 * valgrind and AddressSanitizer are told what the host may access. In a library built with the option `track`
 * (ZCMEM_TRACK) only, while such a tool is there; it then does the work of red zones and poison, which are not stored.
 */
#define ZCMEM_REGION_TRACKED 0x40u

/*
 * Contexts (context.h) keep blocks of this region, if its magazine_share allows any. What they share lies behind the
 * heap's image in the region's, so zcmem_region_bytes is larger: by 20 to 35 bytes for each of max_blocks. Does nothing
 * in a region with hardening, on a 32-bit host, or with ZCMEM_NO_MAGAZINES.
 */
#define ZCMEM_REGION_CONTEXTS 0x80u

/* The largest red zone there may be, in bytes. */
#define ZCMEM_RED_ZONE_MAX 4096u

/*
 * What the driver of a region can do. Every member may be NULL. Each answers 0 for success, anything else for failure
 * (which the facade reports as ZCMEM_EIO). ctx is the region's. No lock is held during a call and the blocks concerned
 * cannot be freed; calls may come from several threads at once. Ranges lie within one block of the region and are not
 * empty.
 *
 *   map         give the host a pointer (not NULL) to the range in *host; unmap takes it back
 *   flush       make the host's stores to the range visible to the device; write back nothing that it has not stored
 *   invalidate  make the device's stores to the range visible to the host
 *   read        device -> host memory
 *   write       host memory -> device
 *   copy        within the region; the ranges may overlap and the result must be memmove's
 *   fill        repeat the pattern over the range, the last copy cut off where the range ends
 *
 * Where a member is NULL the facade uses the host pointer (memcpy, memmove), and where there is none, the others:
 * copy and fill fall back to read and write, read and write to map. A copy or fill maps each range that it reaches in
 * no other way once, as a whole, both ranges of a copy at the same time, or as one where they overlap; where that
 * fails, it goes in chunks of bounce_bytes. A transfer for which neither is there answers ZCMEM_ENOTMAPPED. Where a
 * transfer goes through a host pointer (or map) of a region that is not ZCMEM_REGION_COHERENT, invalidate is called
 * before bytes are read there and flush after they are written.
 *
 * Ranges for flush and invalidate are rounded to whole cache lines in the region's own host mapping only. In a range
 * that is mapped on demand, or an alias, they are as they are: the host may see nothing beside them there. A transfer
 * whose range begins or ends within a line of the host mapping keeps the line's other bytes: it flushes that line
 * first, also before a read, and before a write invalidates it, too. So flush must only write back what the host has
 * stored, and not whole lines that are clean: the device may have written there. What the facade maps for a read it
 * does not flush; what the user maps it flushes where he puts it into a buffer.
 */
struct zcmem_region_ops {
  int (*map)(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host);
  int (*unmap)(void *ctx, hal_addr_t addr, hal_size_t size, void *host);
  int (*flush)(void *ctx, hal_addr_t addr, hal_size_t size, void *host);
  int (*invalidate)(void *ctx, hal_addr_t addr, hal_size_t size, void *host);
  int (*read)(void *ctx, void *dst, hal_addr_t src, hal_size_t size);
  int (*write)(void *ctx, hal_addr_t dst, const void *src, hal_size_t size);
  int (*copy)(void *ctx, hal_addr_t dst, hal_addr_t src, hal_size_t size);
  int (*fill)(void *ctx, hal_addr_t dst, const void *pattern, hal_size_t pattern_size, hal_size_t size);
};

/* A region without magazines. */
#define ZCMEM_MAGAZINE_NONE UINT32_MAX

/* What a region is made of, for zcmem_hal_add_region. */
struct zcmem_region_config {
  const char *name;                   /* unique in the HAL, 1 ... ZCMEM_NAME_MAX bytes; copied */
  uint32_t kind;                      /* ZCMEM_KIND_*, not 0 */
  uint32_t flags;                     /* ZCMEM_REGION_* */
  hal_addr_t base;                    /* as zcmem_heap_config */
  hal_size_t size;                    /* as zcmem_heap_config */
  hal_size_t quantum;                 /* as zcmem_heap_config; 0: 128 */
  uint32_t max_blocks;                /* as zcmem_heap_config */
  void *host;                         /* where the host sees byte `base` (the whole region is mapped there), or NULL */
  const struct zcmem_region_ops *ops; /* must outlive the HAL; NULL: none */
  void *ctx;                          /* handed to the ops */
  hal_size_t cache_line;   /* bytes of the host's cache line, a power of two up to the quantum: what flush and
                              invalidate are called for is rounded to it (see there). 0: they take any range */
  uint32_t magazine_share; /* how much of the region magazines may keep, in 1/256: 0 is 32 (an eighth), at most 256;
                              ZCMEM_MAGAZINE_NONE: nothing */
  void *image;             /* memory for the region's heap, 64-byte aligned, zcmem_region_bytes() long; */
  size_t image_bytes;      /*   the caller's, must outlive the HAL. NULL: from the HAL's allocator */
  hal_size_t red_zone;   /* at least so many bytes behind each block (and before the first) are nobody's and checked, up
                            to ZCMEM_RED_ZONE_MAX: so much more of the region each block takes. 0: none */
  hal_size_t quarantine; /* at most so many bytes of freed blocks are not handed out again until others were freed, or
                            until a request would fail without them. 0: none */
};

/*
 * Where the HAL gets host memory: alloc gives `bytes` bytes of zeroed memory aligned to 64, or NULL; free takes it
 * back. Both are called by zcmem_hal_create, _add_region and _destroy, with no lock held; and, for a thread's
 * magazines, by its first allocation in a region or free, where ENOMEM is no failure: so by any thread, unless there
 * are none.
 */
struct zcmem_host_allocator {
  void *(*alloc)(void *ctx, size_t bytes);
  void (*free)(void *ctx, void *memory, size_t bytes);
  void *ctx;
};

/*
 * A kind of lock. `bytes` is its size (at most ZCMEM_LOCK_BYTES, alignment at most 16). init, lock answer 0 or, having
 * done nothing, anything else (the call that needed it answers ZCMEM_ELOCK); destroy and unlock cannot fail. A lock
 * that is taken within a signal handler or a callback of the same region must be recursive; the facade itself never
 * takes one twice.
 *
 * wait (may be NULL) is for contexts (context.h) in a system of tasks with priorities. It is called, with the lock
 * held, by who has to wait for the owner of a context to leave it, again and again: it must let tasks of any priority
 * run for a while (a delay of one tick), keep the lock, and come back. Without it the waiting one yields the processor
 * where pthread is built in, and else spins: so a lock that holds off interrupts, or the scheduler, allows contexts
 * only where each core has its own task.
 */
struct zcmem_lock_ops {
  size_t bytes;
  int (*init)(void *lock);
  void (*destroy)(void *lock);
  int (*lock)(void *lock);
  void (*unlock)(void *lock);
  void (*wait)(void *lock);
};

/* The largest lock there may be, in bytes. */
#define ZCMEM_LOCK_BYTES 128u

/* For a HAL that one thread uses at a time. */
extern ZCMEM_API const struct zcmem_lock_ops zcmem_lock_none;
/* A pthread mutex. Only in hosted builds (option lock=pthread); ZCMEM_NO_PTHREAD leaves it out. */
extern ZCMEM_API const struct zcmem_lock_ops zcmem_lock_pthread;

/*
 * Magazines: each thread keeps some of the blocks of up to 512 quanta that it frees, by size, and allocates from these
 * without the lock. In hosted builds for 64-bit machines, with an allocator and zcmem_lock_pthread; elsewhere the flag
 * does nothing. What is kept is live for no call. Before a request fails that the region could hold, all of it is given
 * back, also what other threads keep; but it has had its say in where other blocks lie, see below. A thread that ends
 * gives back what it has; after a fork the child gets what threads kept that it does not have. No call is to be made
 * from a signal handler that interrupts another one. Blocks are kept, and handed out up to an eighth larger than asked
 * for, while a quarter of the region behind its last block is free; where it is not, allocations and frees go to the
 * heap, as without magazines.
 * What a program gains depends on how soon it asks again for the sizes that it frees; where it does not, they rest.
 * Regions that processes share have them, too, where this flag stands in hal_flags of an area's config: see shm.h.
 * bench/FIGURES.md has figures.
 */
#define ZCMEM_HAL_MAGAZINES 0x1u

/* What a HAL is made of, for zcmem_hal_init and zcmem_hal_create. */
struct zcmem_hal_config {
  const char *name;                             /* the device's name, 1 ... ZCMEM_NAME_MAX bytes; copied */
  uint32_t max_regions;                         /* 1 ... 64 */
  uint32_t max_mappings;                        /* most ranges mapped on demand at once; 0: none */
  size_t bounce_bytes;                          /* the largest chunk (kept on the stack) of a copy through the host:
                                                   0: 4096, else 16 ... 4096 */
  const struct zcmem_lock_ops *lock;            /* NULL: zcmem_lock_pthread, where built in, else zcmem_lock_none */
  const struct zcmem_host_allocator *allocator; /* NULL: none for _init, malloc for _create; copied */
  uint32_t flags;                               /* ZCMEM_HAL_* */
};

/* What region `index` is (zcmem_hal_region_info): the memory map's entry. */
struct zcmem_region_info {
  char name[ZCMEM_NAME_MAX + 1]; /* terminated by a 0 */
  uint32_t index;                /* as zcmem_hal_add_region gave it */
  uint32_t kind;                 /* ZCMEM_KIND_* */
  uint32_t flags;                /* ZCMEM_REGION_*, as configured */
  uint32_t max_blocks;           /* as configured */
  hal_addr_t base;               /* first address that can be handed out */
  hal_size_t size;               /* bytes that can be handed out */
  hal_size_t quantum;            /* bytes */
  hal_size_t cache_line;         /* bytes; 0: none */
  bool mapped;                   /* the host has a pointer to all of it */
};

/*
 * Counters of one region since it was added. A snapshot taken under the region's lock: all figures belong together, but
 * that the bytes of a transfer are counted when it ends, which needs no lock.
 * What magazines keep is given back before, so nothing of it is in them, but for `peak`. What a quarantine keeps counts
 * as available, and not as in use, but for `peak`; only `largest` does without it. Nor is a red zone a part of
 * `largest`, which a request brings along.
 * The caller sets struct_bytes to sizeof(struct zcmem_region_stats) before the call; a later version may append.
 */
struct zcmem_region_stats {
  size_t struct_bytes;        /* set by the caller */
  uint64_t bytes_read;        /* device -> host by zcmem_mem_read */
  uint64_t bytes_written;     /* host -> device by zcmem_mem_write */
  uint64_t bytes_copied_out;  /* by zcmem_mem_copy from this region */
  uint64_t bytes_copied_in;   /* by zcmem_mem_copy into this region */
  uint64_t bytes_filled;      /* by zcmem_mem_fill */
  uint64_t allocations;       /* that succeeded */
  uint64_t frees;             /* that succeeded, deferred ones when they took effect */
  uint64_t resizes;           /* that succeeded */
  uint64_t maps;              /* zcmem_mem_map calls that succeeded, or whose callback runs */
  uint64_t deferred_frees;    /* frees that had to wait for an unpin */
  uint64_t failed_space;      /* allocations (a batch is one) and resizes that answered ENOSPC */
  uint64_t failed_fragmented; /*   EFRAG */
  uint64_t failed_blocks;     /*   ENOMEM: max_blocks live */
  uint64_t failed_invalid;    /*   EINVAL, but of batches, which look at their arguments before they take the lock */
  uint64_t bad_frees;         /* frees that answered ENOENT, EBUSY or ECORRUPT */
  uint64_t failed_transfers;  /* transfers into or out of the region that failed; perhaps not, where a lock did */
  uint64_t in_use;            /* bytes occupied now (whole quanta) */
  uint64_t peak;              /* the most that in_use was */
  uint64_t requested;         /* bytes asked for by what is live now */
  uint64_t live;              /* blocks live now */
  uint64_t available;         /* free bytes */
  uint64_t largest;           /* largest request that would succeed now */
  uint64_t free_blocks;       /* free blocks that available is made of */
  uint64_t fragmentation;     /* external: how much of what is free no single request can have, in millionths:
                                 1000000 * (1 - largest / available); 0 where nothing is free */
  uint64_t magazine_hits;     /* of the allocations: served by a thread's magazines without the lock */
  uint64_t magazine_frees;    /* of the frees: taken by a thread's magazines without the lock */
};

/* ------------------------------------------------------------------------------------------------ the device -- */

/* Bytes of memory that zcmem_hal_init needs, 0 iff the config is invalid (see there) or they do not fit a size_t. */
ZCMEM_API size_t zcmem_hal_bytes(const struct zcmem_hal_config *config);

/* Bytes of image that a region of this config needs, 0 iff its heap config is invalid (see zcmem_heap_bytes). */
ZCMEM_API size_t zcmem_region_bytes(const struct zcmem_region_config *config);

/*
 * Makes a HAL without regions in `memory`, aligned to 64 bytes, which stays the caller's and must outlive the HAL.
 * Allocates nothing, but what pthread_atfork does for the first HAL of a process. With zcmem_lock_pthread the HAL is
 * known to fork until zcmem_hal_destroy: a process that forks waits for calls that hold a lock, and both processes have
 * a HAL in order, whatever other threads were doing; where a lock fails at that moment, the child's calls that need it
 * answer ELOCK. What the lost threads had (blocks, pins, mappings, transfers) stays as it was. With another lock that
 * is the caller's care.
 *
 * OK: *hal is the HAL. EINVAL iff a pointer is NULL, memory is misaligned, the name is empty or too long, max_regions
 * or bounce_bytes is out of its range, flags has unknown bits, lock->bytes is above ZCMEM_LOCK_BYTES, or a member
 * function of lock or allocator is NULL. ENOMEM iff bytes is too small. ELOCK iff a lock's init failed.
 */
ZCMEM_API enum zcmem_status zcmem_hal_init(void *memory, size_t bytes, const struct zcmem_hal_config *config,
                                           struct zcmem_hal **hal);

/*
 * The convenience form: as zcmem_hal_init with memory from config->allocator (NULL: malloc), then adds the `count`
 * regions, whose images come from there too where they have none. On failure everything is given back.
 * Statuses: those of zcmem_hal_init and zcmem_hal_add_region; ENOMEM also iff the allocator gave nothing.
 */
ZCMEM_API enum zcmem_status zcmem_hal_create(const struct zcmem_hal_config *config,
                                             const struct zcmem_region_config *regions, uint32_t count,
                                             struct zcmem_hal **hal);

/*
 * Ends a HAL made by _init or _create: unmaps what is mapped on demand, gives host memory back to where it came from.
 * Blocks that are live end with it. Returns the number of blocks that were still live (or pinned), over all regions:
 * 0 in a program that frees all. NULL: nothing is done, 0. No other call may run or follow.
 */
ZCMEM_API uint64_t zcmem_hal_destroy(struct zcmem_hal *hal);

/*
 * Adds a region. Indices count from 0 in the order of adding and never change.
 *
 * OK: *index (may be NULL) is the region's. EINVAL iff hal or config is NULL, the name is empty, too long or taken,
 * kind is 0, flags has unknown bits, the heap's config is invalid, magazine_share is above 256, cache_line is no power
 * of two, above the quantum or such that base and host differ in their place in a line, the host memory would reach
 * beyond the host's address space, image is misaligned, image is NULL and the HAL has no allocator, red_zone is above
 * ZCMEM_RED_ZONE_MAX, or what the flags and it ask for needs a host pointer or coherency that is not there. EOVERLAP
 * iff its addresses, the host memory it is mapped to, or the image given, overlap another region's, or that host memory
 * an alias. ENOMEM iff max_regions are there, image_bytes is too small, or the allocator gave nothing. ELOCK iff a lock
 * failed.
 */
ZCMEM_API enum zcmem_status zcmem_hal_add_region(struct zcmem_hal *hal, const struct zcmem_region_config *config,
                                                 uint32_t *index);

/*
 * Tells the HAL that the host sees `size` bytes (> 0) of the region from `offset` bytes after its base also at `host`:
 * an alias, of a region with or without a host pointer of its own. It holds until the HAL ends and takes one of
 * max_mappings. Host -> device translation finds it. It may be added beside any other call, zcmem_hal_add_region too.
 * OK. EINVAL iff hal or host is NULL, there is no such region, size is 0, the range leaves the region, the region has a
 * cache_line in which host and address differ in their place, or the host memory would reach beyond the host's address
 * space. ENOMEM iff max_mappings ranges are mapped. EOVERLAP iff the host memory overlaps a region's or another
 * alias's. ELOCK.
 */
ZCMEM_API enum zcmem_status zcmem_hal_add_alias(struct zcmem_hal *hal, uint32_t region, hal_size_t offset,
                                                hal_size_t size, void *host);

/* The device's name; "" iff hal is NULL. */
ZCMEM_API const char *zcmem_hal_name(const struct zcmem_hal *hal);

/* Number of regions; 0 iff hal is NULL or there are none. */
ZCMEM_API uint32_t zcmem_hal_region_count(const struct zcmem_hal *hal);

/* OK: *index is the region of that name. EINVAL iff a pointer is NULL. ENOENT iff there is none. */
ZCMEM_API enum zcmem_status zcmem_hal_find_region(const struct zcmem_hal *hal, const char *name, uint32_t *index);

/* OK: *index is the first region of that kind at or after index `from`. EINVAL: a pointer is NULL. ENOENT: none. */
ZCMEM_API enum zcmem_status zcmem_hal_find_kind(const struct zcmem_hal *hal, uint32_t kind, uint32_t from,
                                                uint32_t *index);

/* OK: *index is the region whose range holds addr. EINVAL iff a pointer is NULL. ENOENT iff none does. */
ZCMEM_API enum zcmem_status zcmem_hal_region_of(const struct zcmem_hal *hal, hal_addr_t addr, uint32_t *index);

/* Fills *info. EINVAL iff a pointer is NULL or there is no such region. */
ZCMEM_API enum zcmem_status zcmem_hal_region_info(const struct zcmem_hal *hal, uint32_t index,
                                                  struct zcmem_region_info *info);

/*
 * Fills the first stats->struct_bytes bytes of *stats. EINVAL iff a pointer is NULL, there is no such region, or
 * struct_bytes is 0 or larger than this version's. ELOCK iff the lock failed.
 */
ZCMEM_API enum zcmem_status zcmem_hal_region_stats(struct zcmem_hal *hal, uint32_t index,
                                                   struct zcmem_region_stats *stats);

/*
 * Runs zcmem_heap_check on every region under its lock, and looks at its red zones and poisoned bytes, if it has any
 * (zcmem_hal_check_guards). EINVAL, ELOCK, ECORRUPT: as there.
 */
ZCMEM_API enum zcmem_status zcmem_hal_check(struct zcmem_hal *hal);

/* ----------------------------------------------------------------------------------------------------- memory -- */

/*
 * Allocates size bytes, aligned to `align` (a power of two; the region's quantum is the least), in region `region`.
 * Statuses: those of zcmem_heap_alloc; EINVAL also iff there is no such region; ELOCK iff the lock failed.
 */
ZCMEM_API enum zcmem_status zcmem_mem_alloc(struct zcmem_hal *hal, uint32_t region, hal_size_t size, hal_size_t align,
                                            hal_addr_t *addr);

/*
 * Allocates in the first of the `count` regions listed that has room (memkind's PREFERRED): e.g. {msmc, dram}.
 * EINVAL also iff the list is NULL or empty or names a region that does not exist (then none is tried). Where all
 * fail: the status of the last one.
 */
ZCMEM_API enum zcmem_status zcmem_mem_alloc_preferred(struct zcmem_hal *hal, const uint32_t *regions, uint32_t count,
                                                      hal_size_t size, hal_size_t align, hal_addr_t *addr);

/* Allocates in the first region of that kind that has room, in the order of adding. EINVAL also iff there is none. */
ZCMEM_API enum zcmem_status zcmem_mem_alloc_kind(struct zcmem_hal *hal, uint32_t kind, hal_size_t size,
                                                 hal_size_t align, hal_addr_t *addr);

/*
 * Frees the block at addr. Freeing 0 (HAL_NULLPTR) succeeds and does nothing. ENOENT iff no live block starts there.
 * EBUSY iff it is pinned, mapped or in a transfer. EINVAL iff hal is NULL. ELOCK iff the lock failed. In a region with
 * red zones, ECORRUPT iff the one behind the block or the bytes before it were stored to: then it stays live, see
 * zcmem_hal_check_guards. In one with ZCMEM_REGION_POISON, ELOCK also iff the lock failed after the block was poisoned:
 * then it is live for nobody, and its place lost until the HAL ends.
 */
ZCMEM_API enum zcmem_status zcmem_mem_free(struct zcmem_hal *hal, hal_addr_t addr);

/* As zcmem_mem_free, but a block in use is no longer live from now on and freed when its last use ends. Never EBUSY. */
ZCMEM_API enum zcmem_status zcmem_mem_free_deferred(struct zcmem_hal *hal, hal_addr_t addr);

/*
 * Batches: many blocks in one hold of the region's lock. It is held for as many allocations or frees as the batch has
 * (an allocation that fails half way frees what it has, and may try again without magazines), and others wait
 * meanwhile: who cannot have that makes smaller batches. Magazines are neither used nor filled.
 */
struct zcmem_batch_item {
  hal_size_t size;  /* bytes */
  hal_size_t align; /* bytes, as for zcmem_mem_alloc */
};

/*
 * Allocates all `count` blocks in region `region`, or none. addrs[i] becomes the address of items[i]. The largest are
 * allocated first, whatever their place, so that small ones do not take the room of large ones; of equal ones the
 * first.
 *
 * Statuses: those of zcmem_mem_alloc, of the item that had no room; EINVAL iff hal is NULL, there is no such region, an
 * align is no power of two, or count is not 0 and a pointer is NULL. On failure the addrs are HAL_NULLPTR, but as they
 * were where it is EINVAL. Cost: count allocations; and before, without the lock, the order: O(count * log(count)). The
 * addrs serve as memory for that; no other is needed.
 */
ZCMEM_API enum zcmem_status zcmem_mem_alloc_batch(struct zcmem_hal *hal, uint32_t region,
                                                  const struct zcmem_batch_item *items, uint32_t count,
                                                  hal_addr_t *addrs);

/*
 * Frees each of the `count` addresses as zcmem_mem_free would, in one hold of the lock for each run of addresses in the
 * same region (HAL_NULLPTRs, which are passed over, do not end one). One that cannot be freed keeps none of the others
 * from it: *freed (may be NULL) is the number of blocks that were freed.
 * Statuses: of the first address that could not be freed, those of zcmem_mem_free; a lock that fails does so for the
 * whole run. EINVAL iff hal is NULL, or addrs is NULL and count is not 0: then *freed is not written.
 */
ZCMEM_API enum zcmem_status zcmem_mem_free_batch(struct zcmem_hal *hal, const hal_addr_t *addrs, uint32_t count,
                                                 uint32_t *freed);

/*
 * Resizes in place or refuses; statuses of zcmem_heap_resize, ELOCK. EBUSY also where ZCMEM_MAX_PINS transfers use the
 * block. In a region that is not coherent and has a cache line, EBUSY also iff the block would grow, its end is within
 * a line, and a buffer, a mapping on demand or a transfer uses it: what ends with the block has that line for itself.
 * ECORRUPT as for zcmem_mem_free; then nothing has changed.
 */
ZCMEM_API enum zcmem_status zcmem_mem_resize(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size);

/* The block that holds addr (interior too); statuses of zcmem_heap_find; ELOCK as for zcmem_mem_host. */
ZCMEM_API enum zcmem_status zcmem_mem_info(struct zcmem_hal *hal, hal_addr_t addr, struct zcmem_block_info *info);

/*
 * Transfers. An address may be interior to its block; the range must lie in the bytes that were requested for it.
 *
 * read: device -> host. write: host -> device. copy: device -> device, within a region or between two, as memmove where
 * the ranges overlap. fill: repeats the pattern over size bytes; if size is no multiple of pattern_size the tail gets
 * the first bytes of the pattern. In a region that is not coherent two transfers in two threads cannot use one cache
 * line at the same time if one of them writes there, nor can host and device, not even different bytes of it: the
 * caller orders the transfers, stores and uses by the device that share a line. The pattern may lie in the host's view
 * of what is filled if the region has a host pointer or the pattern is at most bounce_bytes long (a fill callback has
 * rules of its own).
 *
 * Cost: beside the move of the bytes a look-up and, on 64-bit hosts, three atomic operations; no lock, unless other
 * threads allocate or free at every one of a few tries, or something fails. From the first transfer in a region on a
 * free that takes the lock has one atomic operation more. On other hosts two holds of the lock.
 *
 * A transfer of 0 bytes succeeds and looks at no address. OK: all bytes are there. EINVAL iff hal is NULL, a host
 * pointer is NULL or its range reaches beyond the host's address space (size > 0), or pattern_size is 0. ENOENT iff an
 * address is in no live block. EBOUNDS iff a range leaves its block (also by wrapping). ENOTMAPPED iff the region
 * offers no way to do it. EIO iff a callback failed: then part of the destination may have been written. EBUSY iff
 * ZCMEM_MAX_PINS transfers use the block. ELOCK iff the lock was needed and failed: before the transfer, then nothing
 * has happened; or after it, then all or part of the bytes are there, uncounted, and the block stays in use for good,
 * since nobody is left to end its use.
 */
ZCMEM_API enum zcmem_status zcmem_mem_read(struct zcmem_hal *hal, void *dst, hal_addr_t src, hal_size_t size);
ZCMEM_API enum zcmem_status zcmem_mem_write(struct zcmem_hal *hal, hal_addr_t dst, const void *src, hal_size_t size);
ZCMEM_API enum zcmem_status zcmem_mem_copy(struct zcmem_hal *hal, hal_addr_t dst, hal_addr_t src, hal_size_t size);
ZCMEM_API enum zcmem_status zcmem_mem_fill(struct zcmem_hal *hal, hal_addr_t dst, const void *pattern,
                                           hal_size_t pattern_size, hal_size_t size);

/*
 * Device -> host: *host is where the host sees addr, valid for size bytes as long as the block lives. Pins nothing.
 * Takes no lock and stores nothing, unless other threads change the region's blocks at every one of a few tries: then
 * it looks under the lock.
 * EINVAL iff a pointer is NULL. ENOENT iff addr is in no live block. EBOUNDS iff the range leaves it. ENOTMAPPED iff
 * the region has no host pointer (use zcmem_mem_map). ELOCK iff the lock was needed and failed. In a region that is
 * ZCMEM_REGION_UNCHECKED the region's range takes the block's place in all of this, and no lock is needed.
 */
ZCMEM_API enum zcmem_status zcmem_mem_host(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size, void **host);

/*
 * Host -> device: *addr is the device address of the byte at ptr, which may point anywhere into a block of a mapped
 * region or into a range mapped on demand; *remaining (may be NULL) is the number of bytes from there to the end of
 * what was requested for the block (or of the mapping, if that ends first).
 * Takes a lock no more than zcmem_mem_host does; looks at each region, and where ptr is in none at max_mappings ranges.
 * EINVAL iff hal or addr is NULL. ENOTMAPPED iff ptr is in no mapped region or mapping. ENOENT iff no live block is
 * there. ELOCK as there. By the host pointer of a region that is ZCMEM_REGION_UNCHECKED: never ENOENT or ELOCK, and
 * *remaining goes to the end of the region.
 */
ZCMEM_API enum zcmem_status zcmem_mem_device(struct zcmem_hal *hal, const void *ptr, hal_addr_t *addr,
                                             hal_size_t *remaining);

/*
 * The same, with the block: what zcmem_mem_device and zcmem_mem_info tell, at one moment. Same statuses, but in a
 * region that is ZCMEM_REGION_UNCHECKED those of any other one: it tells of a block. EINVAL iff hal or place is NULL.
 */
struct zcmem_place {
  uint32_t region;      /* index */
  hal_addr_t addr;      /* device address of the byte */
  hal_size_t remaining; /* bytes from there on, as zcmem_mem_device tells */
  hal_addr_t block;     /* first byte of its block */
  hal_size_t requested; /* bytes asked for the block */
};
ZCMEM_API enum zcmem_status zcmem_mem_locate(struct zcmem_hal *hal, const void *ptr, struct zcmem_place *place);

/*
 * Maps `size` (> 0) bytes from addr for the host and pins the block until zcmem_mem_unmap(*host). In a region with a
 * host pointer that is arithmetic; else its map callback is called, and an equal range that is mapped already is
 * counted up instead; then the block also counts as in a transfer, so that no unpin too many can end its use. flags:
 * ZCMEM_MAP_READ and/or _WRITE.
 * EINVAL iff hal or host is NULL, size is 0 or flags is 0 or unknown. ENOENT, EBOUNDS as for transfers. ENOTMAPPED
 * iff the region has neither a host pointer nor a map callback, or the range is larger than the host's address space.
 * ENOMEM iff max_mappings ranges are mapped. EBUSY iff ZCMEM_MAX_PINS pins are there, or as many transfers use the
 * block. EIO iff the callback failed.
 * ELOCK; if the lock fails only after another failure, the block stays in use for good (see transfers).
 */
ZCMEM_API enum zcmem_status zcmem_mem_map(struct zcmem_hal *hal, hal_addr_t addr, hal_size_t size, unsigned flags,
                                          void **host);

/*
 * Undoes one zcmem_mem_map that gave `host`. EINVAL iff hal is NULL. ENOTMAPPED iff nothing is mapped there; in a
 * region with a host pointer, where a map is but a pin: iff no pinned block is there, so an unmap too many takes
 * another's pin, as an unpin too many does. EIO iff the unmap callback failed; the range counts as unmapped all the
 * same. ELOCK iff a lock failed: the mapping is as it was, or, if the region's lock failed for a range mapped on
 * demand, gone and its block in use for good.
 */
ZCMEM_API enum zcmem_status zcmem_mem_unmap(struct zcmem_hal *hal, void *host);

/* Pins of the block that holds addr; statuses of zcmem_heap_pin and _unpin, ELOCK. */
ZCMEM_API enum zcmem_status zcmem_mem_pin(struct zcmem_hal *hal, hal_addr_t addr);
ZCMEM_API enum zcmem_status zcmem_mem_unpin(struct zcmem_hal *hal, hal_addr_t addr);

#ifdef __cplusplus
}
#endif

#endif
