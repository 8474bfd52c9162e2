/* SPDX-License-Identifier: MIT */
/*
 * Regions that processes share: an area of shared memory holds the heaps of its regions, a lock for each, who is there,
 * and, where a region is host memory, that memory itself. Each process opens the area, by name or by a file descriptor
 * that it was passed, and gets a HAL of its own (hal.h) over the same regions: device addresses are the same in all,
 * host pointers each process's own. A block may be allocated in one process, its address sent over any channel, and the
 * block read, written and freed in another.
 *
 * A process may be killed at any instruction, also while it holds a lock: whoever takes that lock next repairs the heap
 * first (zcmem_heap_repair). Every call that had come to its end is done then; the one that was interrupted is done, or
 * never began. What the dead process owned, and its pins, stay until zcmem_shm_reap gives them back.
 *
 * Owner: a block belongs to the process that allocated it, until another one takes it over (zcmem_shm_own), or it is
 * declared everybody's (zcmem_shm_share). Any process may use and free any block; the owner matters for who has died.
 * Pins, mappings, transfers and buffers belong to the process that made them, and it alone can end them (EBUSY).
 *
 * A child of fork is a process of its own as soon as it makes a call that takes a lock: blocks that it allocates from
 * then on are its own, what its parent owns and uses stays the parent's. Its copy of the HAL works, if no other thread
 * of the parent was in a call of the HAL at the fork. (A child of vfork, _Fork or clone, which run no fork handlers, is
 * taken for its parent: it is to make no call.) Where there is no slot left for it, calls that take a lock answer
 * ELOCK.
 *
 * Trust: whoever may write to the area can change anything in it at any time, and so do what they like to the processes
 * that use it. Its permissions are the creator's choice; 0600 where nothing else is said. What zcmem_shm_open checks
 * protects from areas that are damaged, torn, of another version, or made up: always the header, sizes and places; the
 * heaps, uses and owners with ZCMEM_SHM_CHECK alone, without which a damaged heap is believed. Names are in one
 * directory for all users: whose area it is fstat of zcmem_shm_fd tells. An area without a name cannot be cut short,
 * nor one that was passed on and is of zcmem_shm_create. One with a name can, by who may write to it: then whoever
 * touches what is gone gets SIGBUS.
 *
 * Magazines: a process whose config asks for them (hal_flags) has them as in a private HAL, each of its threads its own
 * (see ZCMEM_HAL_MAGAZINES); others may do without. magazine_share bounds what all processes keep together. What one
 * keeps is there for all: a request of any process that finds no room, and statistics, take everything out of the
 * magazines of all processes, also of those that sleep, are stopped or have died, without waiting for them. What a
 * process keeps when it dies a reap gives back, and so does closing; a child of fork begins with none.
 *
 * Each transfer takes the region's lock twice. zcmem_hal_region_stats counts what this process did; what is in use and
 * free is of all. The lock is a pthread mutex, robust and shared.
 *
 * Hosted builds for Linux with pthread only; ZCMEM_NO_SHM leaves it out.
 */
#ifndef ZCMEM_SHM_H
#define ZCMEM_SHM_H

#include <zcmem/hal.h>
#include <zcmem/heap.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcmem_shm;

/* Most processes that an area can be made for, and how many it is for where the config says 0. */
#define ZCMEM_SHM_MAX_PROCESSES 254u
#define ZCMEM_SHM_PROCESSES_DEFAULT 32u

/* For zcmem_shm_create: all memory is taken now (ENOMEM if it is not there), not when it is first touched. */
#define ZCMEM_SHM_RESERVE 0x1u

/* For zcmem_shm_open: every invariant of every heap is checked, as zcmem_shm_check does, before the area is used. */
#define ZCMEM_SHM_CHECK 0x2u

/* What an area is made of. */
struct zcmem_shm_config {
  const char *name;                          /* "/name" for shm_open; NULL: none, see zcmem_shm_fd */
  uint32_t mode;                             /* permissions, as for open, whatever the umask; 0: 0600 */
  uint32_t flags;                            /* ZCMEM_SHM_RESERVE */
  uint32_t max_processes;                    /* that have it open at once, or died and were not reaped; 0: default */
  uint32_t max_mappings;                     /* of the creator's HAL */
  const struct zcmem_region_config *regions; /* image must be NULL; neither host nor ops: the area has the memory.
                                                Flags: COHERENT and UNCHECKED; no hardening. magazine_share is
                                                for all processes together */
  uint32_t region_count;                     /* 1 ... 64 */
  uint32_t hal_flags;                        /* of the creator's HAL: ZCMEM_HAL_MAGAZINES, or 0 */
};

/* How a process reaches a region whose memory is not in the area. */
struct zcmem_shm_access {
  const char *region;                 /* its name */
  void *host;                         /* these as in zcmem_region_config */
  const struct zcmem_region_ops *ops; /* must outlive the HAL; NULL: none */
  void *ctx;                          /* for the ops */
};

/* Which area, for zcmem_shm_open, and how. */
struct zcmem_shm_open_config {
  const char *name;                      /* as it was created; NULL: fd says */
  int fd;                                /* of the area, open for reading and writing; it stays the caller's */
  uint32_t flags;                        /* ZCMEM_SHM_CHECK */
  uint32_t max_mappings;                 /* of this process's HAL */
  const struct zcmem_shm_access *access; /* of the regions whose memory is not in the area; others have none */
  uint32_t access_count;                 /* of these */
  uint32_t hal_flags;                    /* of this process's HAL: ZCMEM_HAL_MAGAZINES, or 0 */
};

/*
 * Makes an area and opens it. A name that is taken is refused; the area is complete before others can open it.
 *
 * OK: *shm is the area. EINVAL iff an argument is NULL, the name is too long or not "/" and more without another "/",
 * mode, flags, hal_flags, max_processes or region_count is out of its range, or a region's config is invalid (see
 * zcmem_hal_add_region). EOVERLAP as there. EBUSY iff the name is taken. ENOMEM iff memory, file descriptors or address
 * space ran out. ELOCK iff a lock could not be made or taken. EIO iff the system refused for another reason. On failure
 * nothing is left. Cost: as zcmem_heap_init for each region, of memory that is zero.
 */
ZCMEM_API enum zcmem_status zcmem_shm_create(const struct zcmem_shm_config *config, struct zcmem_shm **shm);

/*
 * Opens an area that was made by this version of the library for this kind of machine. Its header is not trusted: all
 * in it is copied, checked and computed anew before it is used.
 *
 * OK: *shm is the area, of which this process is one of max_processes now. EINVAL iff an argument is NULL or out of its
 * range, or `access` names a region that is not there, or that the area has itself. ENOENT iff there is no area of that
 * name. EIO iff the system does not let this process at it, or refused for another reason. EBUSY iff it is not complete
 * yet, or its creator died before it was. ECORRUPT iff it is no area of this version, byte order and machine, is cut
 * short, or breaks a rule that was checked. ENOMEM iff host memory, file descriptors or address space ran out, or
 * max_processes have it open or are not reaped yet. ELOCK iff a lock failed.
 * Cost: a look at each region; with ZCMEM_SHM_CHECK that of zcmem_shm_check.
 */
ZCMEM_API enum zcmem_status zcmem_shm_open(const struct zcmem_shm_open_config *config, struct zcmem_shm **shm);

/*
 * Ends the process's HAL, mappings, pins and transfers, and lets the area go. Its blocks live on: whom they are not to
 * die with, who owns them must say before (zcmem_shm_share, or another's zcmem_shm_own); the next reap frees the
 * others. Buffers of the HAL are to be destroyed before. No other call of the process on the area may run or follow.
 * The area itself ends with its name and the last process that has it open.
 *
 * OK, also for NULL. ELOCK iff a lock failed: the area is closed all the same, and the next reap gives back what is
 * left. Cost: a look at each descriptor of each region, under its lock in steps.
 */
ZCMEM_API enum zcmem_status zcmem_shm_close(struct zcmem_shm *shm);

/*
 * Takes the name away; who has the area open keeps it. OK. EINVAL iff name is NULL or none (see zcmem_shm_create).
 * ENOENT iff there is none of that name. EIO iff the system refused.
 */
ZCMEM_API enum zcmem_status zcmem_shm_unlink(const char *name);

/* The process's HAL over the area; it lives as long as shm. NULL iff shm is NULL. Regions are as in the config. */
ZCMEM_API struct zcmem_hal *zcmem_shm_hal(const struct zcmem_shm *shm);

/*
 * The file descriptor of the area, to be passed to another process (over a socket, or by fork) for its
 * zcmem_shm_open_config; it is shm's, and closed with it and with exec. -1 iff shm is NULL.
 */
ZCMEM_API int zcmem_shm_fd(const struct zcmem_shm *shm);

/* --------------------------------------------------------------------------------------------------- owners -- */

/*
 * Makes this process the owner of the live block at addr; declares it everybody's, so that it outlives all processes
 * until somebody frees it. Who hands a block over and may die before the other one has taken it over shares it first.
 * OK. EINVAL iff shm is NULL. ENOENT iff no live block starts there. ELOCK iff the lock failed.
 */
ZCMEM_API enum zcmem_status zcmem_shm_own(struct zcmem_shm *shm, hal_addr_t addr);
ZCMEM_API enum zcmem_status zcmem_shm_share(struct zcmem_shm *shm, hal_addr_t addr);

/* A process of the area. */
enum zcmem_shm_state {
  ZCMEM_SHM_NOBODY = 0, /* no process: a slot that is free */
  ZCMEM_SHM_ALIVE = 1,  /* or nobody can tell */
  ZCMEM_SHM_GONE = 2,   /* closed the area, or died, and is not reaped yet */
  ZCMEM_SHM_SHARED = 3  /* of a block: declared everybody's */
};

/* A process that is attached to an area, or was. */
struct zcmem_shm_process {
  uint32_t slot;              /* its number in the area, from 1 on */
  uint32_t pid;               /* its process id */
  uint64_t start;             /* when it began, in the clock ticks of /proc/PID/stat; 0: not known */
  enum zcmem_shm_state state; /* whether it lives */
};

/* Who owns the live block at addr. Statuses as zcmem_shm_own; EINVAL also iff owner is NULL. */
ZCMEM_API enum zcmem_status zcmem_shm_get_owner(struct zcmem_shm *shm, hal_addr_t addr,
                                                struct zcmem_shm_process *owner);

/* What a reap gave back. */
struct zcmem_shm_reaped {
  uint32_t processes; /* that are gone and of which nothing is left */
  uint32_t blocks;    /* that became free */
  uint64_t bytes;     /*   bytes that they occupied */
  uint64_t pins;      /* that had not ended */
  uint64_t transfers; /*   and transfers, mappings on demand and buffers */
  uint32_t refused;   /* blocks of processes that are gone which others use: they stay, for a later reap */
  uint32_t cached;    /* blocks, not among the above, that were in magazines and are free now */
};

/*
 * Gives back what processes left that are gone: their pins and transfers end, their blocks are freed unless others use
 * them, and what was in their magazines is free. Gone is a process that closed the area, one whose pid nobody has or
 * somebody has who began at another time, and a zombie that waits for its parent. One of which nothing can be told is
 * not gone. All processes of an area are to be in one pid namespace: who is in another one is not seen, and taken for
 * gone.
 *
 * OK: *reaped (may be NULL) is what was done. EINVAL iff shm is NULL. ELOCK iff a lock failed: then part of it is done.
 * Cost: for each process that is gone a look at each descriptor of each region, in steps of 64 under its lock. One reap
 * at a time; zcmem_shm_open and _close wait for it.
 */
ZCMEM_API enum zcmem_status zcmem_shm_reap(struct zcmem_shm *shm, struct zcmem_shm_reaped *reaped);

/*
 * Checks every invariant of each region's heap, that its pins and transfers are those of processes that are known, and
 * that each block has an owner; each region under its lock. OK. EINVAL iff shm is NULL. ELOCK. ECORRUPT: one is broken.
 * Cost: that of zcmem_heap_check for each region, and a look at each descriptor for each process.
 */
ZCMEM_API enum zcmem_status zcmem_shm_check(struct zcmem_shm *shm);

/* ------------------------------------------------------------------------------------------------ inspection -- */

/*
 * A snapshot of an area, live or dead, or of a copy of one in a file: taken by reading alone, without a lock, and
 * without being one of its processes, so that it disturbs nobody. Each region is as it was at one moment, unless it
 * changed all the time: then as it was found, made whole in the copy.
 */
struct zcmem_shm_snapshot;

/* One region of a snapshot. */
struct zcmem_shm_snapshot_region {
  struct zcmem_region_info info; /* `mapped`: the area has the memory */
  struct zcmem_heap_info heap;   /* its counters */
  hal_size_t largest;            /* largest request that would succeed */
  bool whole;                    /* it was whole as it was found; false: a repair was needed, in the copy */
};

/*
 * Takes it from a file descriptor open for reading, which stays the caller's. OK: *snapshot is it. EINVAL iff snapshot
 * is NULL. EIO iff it could not be read. EBUSY, ECORRUPT: as zcmem_shm_open; ECORRUPT also iff a heap cannot be
 * repaired. ENOMEM iff host memory, or file descriptors, ran out. Memory and cost: the images of all regions.
 */
ZCMEM_API enum zcmem_status zcmem_shm_snapshot_take(int fd, struct zcmem_shm_snapshot **snapshot);

/* The same by the name of the area. EINVAL also iff name is none. ENOENT iff there is none of that name. */
ZCMEM_API enum zcmem_status zcmem_shm_snapshot_open(const char *name, struct zcmem_shm_snapshot **snapshot);

/* Gives it back. NULL: nothing. */
ZCMEM_API void zcmem_shm_snapshot_close(struct zcmem_shm_snapshot *snapshot);

/* Number of regions, and of slots for processes; 0 iff snapshot is NULL. */
ZCMEM_API uint32_t zcmem_shm_snapshot_regions(const struct zcmem_shm_snapshot *snapshot);
ZCMEM_API uint32_t zcmem_shm_snapshot_processes(const struct zcmem_shm_snapshot *snapshot);

/* Fills *region, or *process for slot 1 ... zcmem_shm_snapshot_processes(). EINVAL iff a pointer is NULL or there is no
 * such region or slot. */
ZCMEM_API enum zcmem_status zcmem_shm_snapshot_get_region(const struct zcmem_shm_snapshot *snapshot, uint32_t index,
                                                          struct zcmem_shm_snapshot_region *region);
ZCMEM_API enum zcmem_status zcmem_shm_snapshot_get_process(const struct zcmem_shm_snapshot *snapshot, uint32_t slot,
                                                           struct zcmem_shm_process *process);

/*
 * Calls visit(ctx, block, owner) for each block of the region, free ones too, in the order of addresses, until it
 * returns false. The owner of a block in a magazine (ZCMEM_BLOCK_CACHED) is the process whose magazine it is;
 * owner->state of one that is neither live nor there is ZCMEM_SHM_NOBODY. EINVAL iff snapshot or visit is NULL or
 * there is no such region.
 */
ZCMEM_API enum zcmem_status zcmem_shm_snapshot_walk(const struct zcmem_shm_snapshot *snapshot, uint32_t index,
                                                    bool (*visit)(void *ctx, const struct zcmem_block_info *block,
                                                                  const struct zcmem_shm_process *owner),
                                                    void *ctx);

#ifdef __cplusplus
}
#endif

#endif
