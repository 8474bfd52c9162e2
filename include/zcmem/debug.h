/* SPDX-License-Identifier: MIT */
/*
 * Seeing inside: what a HAL's regions hold, by size and by tag; a dump of all blocks; a record of what is called.
 *
 * A tag is 32 bits that say whose a block is: a number, or four letters. What the live blocks of each tag take is
 * counted when it is asked for, and costs nothing before. What has been (a peak, refusals) is kept in memory that the
 * program gives: see zcmem_hal_count_tags.
 *
 * Threads: every call may be made from any thread at any time, unless it says otherwise. No lock is held while a
 * callback of this header runs.
 */
#ifndef ZCMEM_DEBUG_H
#define ZCMEM_DEBUG_H

#include <zcmem/hal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ------------------------------------------------------------------------------------------------------- tags -- */

/* Four letters as a tag: ZCMEM_TAG('w', 'g', 't', 's') reads as such in dumps and pictures. */
#define ZCMEM_TAG(a, b, c, d)                                                                                          \
  ((uint32_t)(unsigned char)(a) << 24 | (uint32_t)(unsigned char)(b) << 16 | (uint32_t)(unsigned char)(c) << 8 |       \
   (uint32_t)(unsigned char)(d))

/*
 * Sets the tag of the live block that starts at addr; it stays until the block is freed. EINVAL iff hal is NULL, or
 * the region has handles (ZCMEM_REGION_HANDLES), whose numbers are where tags are. ENOENT iff no live block starts
 * there. ELOCK. One hold of the region's lock.
 */
ZCMEM_API enum zcmem_status zcmem_mem_set_tag(struct zcmem_hal *hal, hal_addr_t addr, uint32_t tag);

/*
 * zcmem_mem_alloc of a block with that tag. Statuses: as there; EINVAL also iff tag is not 0 and the region has
 * handles. If the lock fails between the allocation and the setting of the tag, the block is given back (ELOCK); if it
 * fails again then, it stays live for good. Cost: that of zcmem_mem_alloc and zcmem_mem_set_tag; with tag 0, of
 * zcmem_mem_alloc.
 */
ZCMEM_API enum zcmem_status zcmem_mem_alloc_tagged(struct zcmem_hal *hal, uint32_t region, hal_size_t size,
                                                   hal_size_t align, uint32_t tag, hal_addr_t *addr);

/* Bytes of memory that zcmem_hal_count_tags needs for each tag. */
#define ZCMEM_TAG_BYTES 64u

/*
 * From now on keeps counters by tag in the region: the peak, and what was refused for which reason, for the first
 * bytes / ZCMEM_TAG_BYTES tags that come (never for tag 0); of a further one nothing is kept. They begin with the
 * blocks that are live now. `memory`, aligned as for uint64_t, stays the caller's and must outlive the HAL, or its use:
 * given NULL, or other memory, the region lets it go, and what was counted is forgotten.
 *
 * OK. EINVAL iff hal is NULL, there is no such region, processes share it, it has handles (ZCMEM_REGION_HANDLES), or
 * memory is misaligned, or is not NULL and has no room for one tag. ELOCK.
 * Cost: O(blocks * log(tags)) in one hold of the region's lock. Then a look-up of the tag, O(log(tags)), for each block
 * that gets one, is resized or freed, and once for each new tag a move of those above it. A block with a tag is freed
 * with the lock, not into a magazine without it. Blocks without a tag pay for nothing of this.
 */
ZCMEM_API enum zcmem_status zcmem_hal_count_tags(struct zcmem_hal *hal, uint32_t index, void *memory, size_t bytes);

/* What is known of one tag. The caller sets struct_bytes of the first one to sizeof(struct zcmem_tag_stats). */
struct zcmem_tag_stats {
  size_t struct_bytes;        /* set by the caller in the first: from one to the next; then in all */
  uint32_t tag;               /* 0: blocks that nobody has set a tag of */
  uint32_t counted;           /* 1: counters are kept for it, from `peak` on; else these are 0, but peak is in_use */
  uint64_t used;              /* of these blocks: that are pinned, mapped, in a transfer or in a buffer */
  uint64_t live;              /* blocks */
  uint64_t in_use;            /* bytes occupied (whole quanta) */
  uint64_t requested;         /* bytes asked for */
  uint64_t largest;           /* bytes occupied by the largest of these blocks */
  uint64_t peak;              /* the most that in_use was; blocks whose free is deferred may be missing in it */
  uint64_t allocations;       /* blocks that got this tag from zcmem_mem_alloc_tagged */
  uint64_t failed_space;      /* calls of it, and resizes of blocks with this tag, that answered ENOSPC */
  uint64_t failed_fragmented; /*   EFRAG */
  uint64_t failed_blocks;     /*   ENOMEM: max_blocks live */
  uint64_t failed_invalid;    /*   EINVAL */
};

/*
 * The tags of a region, in order: tags[0 ... *count - 1], those of live blocks and those that counters are kept for.
 * Zombies count as what they were. Of an older program, whose structure is smaller, the first bytes of each are filled.
 *
 * OK: *count tags are there. EINVAL iff a pointer is NULL, there is no such region, or capacity is not 0 and
 * tags[0].struct_bytes is larger than this version's, not aligned, or has no room for `counted`. ENOMEM iff there
 * are more than `capacity` tags; what is in the array then means nothing. ELOCK.
 * Cost: O(blocks * log(capacity)) in one hold of the region's lock, and each new tag moves those above it. Magazines
 * wait meanwhile, and keep what they have.
 */
ZCMEM_API enum zcmem_status zcmem_hal_tag_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_tag_stats *tags,
                                                uint32_t capacity, uint32_t *count);

/* ------------------------------------------------------------------------------------------------ free blocks -- */

/* Classes of free blocks: one for each power of two of quanta. */
#define ZCMEM_FREE_CLASSES 32u

/* The free blocks of a region by size. The caller sets struct_bytes to sizeof(struct zcmem_free_stats). */
struct zcmem_free_stats {
  size_t struct_bytes;                    /* set by the caller */
  uint64_t blocks;                        /* free blocks */
  uint64_t bytes;                         /* free bytes */
  uint64_t largest;                       /* bytes of the largest free block */
  uint64_t cached_blocks;                 /* blocks that magazines keep, or a quarantine: neither live nor free */
  uint64_t cached_bytes;                  /*   and their bytes */
  uint64_t fragmentation;                 /* millionths of `bytes` that are not in the largest block: 0 none, see
                                             zcmem_region_stats */
  uint64_t blocks_of[ZCMEM_FREE_CLASSES]; /* [i]: blocks of 2^i ... 2^(i+1) - 1 quanta */
  uint64_t bytes_of[ZCMEM_FREE_CLASSES];  /*   and their bytes */
};

/*
 * Fills the first stats->struct_bytes bytes of *stats. EINVAL iff a pointer is NULL, there is no such region, or
 * struct_bytes is 0 or larger than this version's. ELOCK. Cost: O(blocks) in one hold of the region's lock. Magazines
 * wait meanwhile, and keep what they have.
 */
ZCMEM_API enum zcmem_status zcmem_hal_free_stats(struct zcmem_hal *hal, uint32_t index, struct zcmem_free_stats *stats);

/* ------------------------------------------------------------------------------------------------------- dump -- */

/* Takes `bytes` bytes of text, whole lines. 0: go on; anything else: the dump ends with EIO. */
typedef int (*zcmem_dump_writer)(void *ctx, const char *text, size_t bytes);

/*
 * Writes all regions and blocks as JSON, an object a line; src/dump.schema.json says what is in them. The first has
 * {"zcmem":"dump","version":1, ...}; a reader refuses a version that it does not know, and passes over members and
 * types of lines that it does not know. Then for each region a line {"type":"region", ...}, its blocks in the order of
 * addresses {"type":"block", ...}, free ones and those that magazines keep too, and {"type":"end", ...}.
 *
 * The region's lock is held for 32 blocks at a time and not while the writer runs. If blocks have changed meanwhile,
 * the region's last line says so ("changed":true): what it lists is then not of one moment, and blocks may be missing;
 * none is listed twice, and no two overlap. (What goes into and out of magazines meanwhile is not noticed.)
 *
 * OK: all was written. EINVAL iff hal or write is NULL. EIO iff the writer answered anything but 0. ELOCK.
 */
ZCMEM_API enum zcmem_status zcmem_hal_dump(struct zcmem_hal *hal, zcmem_dump_writer write, void *ctx);

/* -------------------------------------------------------------------------------------------------- recording -- */

/* What an event tells of. The numbers are fixed: they are in files. */
enum zcmem_event_kind {
  ZCMEM_EVENT_ALLOC = 1,         /* zcmem_mem_alloc, each block of a batch, and a buffer's own memory */
  ZCMEM_EVENT_FREE = 2,          /* zcmem_mem_free and the like */
  ZCMEM_EVENT_FREE_DEFERRED = 3, /* a free that waits for the last use to end */
  ZCMEM_EVENT_RESIZE = 4,        /* zcmem_mem_resize */
  ZCMEM_EVENT_TAG = 5,           /* zcmem_mem_set_tag */
  ZCMEM_EVENT_PIN = 6,
  ZCMEM_EVENT_UNPIN = 7,
  ZCMEM_EVENT_MAP = 8,
  ZCMEM_EVENT_UNMAP = 9,
  ZCMEM_EVENT_READ = 10, /* transfers */
  ZCMEM_EVENT_WRITE = 11,
  ZCMEM_EVENT_COPY = 12,
  ZCMEM_EVENT_FILL = 13
};

/* One call. */
struct zcmem_event {
  uint32_t kind;     /* ZCMEM_EVENT_* */
  uint32_t region;   /* index; of a copy: the destination's */
  int32_t status;    /* enum zcmem_status: what was answered */
  uint32_t tag;      /* TAG: the tag; else 0 */
  uint32_t sequence; /* counts the HAL's events, wrapping; see zcmem_hal_set_recorder */
  uint32_t reserved; /* 0 */
  uint64_t time;     /* of the recorder's clock */
  uint64_t thread;   /* as the recorder names it */
  hal_addr_t addr;   /* the block or range; ALLOC: what was answered, 0 where it failed */
  hal_addr_t other;  /* COPY: the source; else 0 */
  hal_size_t size;   /* bytes asked for: ALLOC, RESIZE, MAP and transfers; else 0 */
  hal_size_t align;  /* ALLOC: as asked for; else 0 */
};

/* Who is told of events. */
struct zcmem_recorder {
  void (*event)(void *ctx, const struct zcmem_event *event); /* in the thread of the call */
  uint64_t (*clock)(void *ctx);                              /* NULL: time is 0 */
  uint64_t (*thread)(void *ctx);                             /* which thread this is; NULL: 0 */
  void *ctx;                                                 /* handed to all of them */
};

/*
 * From now on each call on the HAL's memory is told to the recorder when it is done; NULL: no more. *recorder stays the
 * caller's and must outlive its use: calls that began before this one ends may still be told to the old one.
 *
 * An event comes when its call is done, so events of several threads may come in another order than things happened.
 * `sequence` is the right one: of two events of one block the later one has the larger number (by the difference, which
 * wraps), and a block's free a smaller one than the next allocation there. Calls that were refused without a look at a
 * region (a NULL, no such region), and those that met a lock that failed, are not told.
 *
 * While a recorder is set no magazines are used: what they keep is given back, and each call takes the region's lock;
 * for a batch of frees once for each. So a program is slower meanwhile, and its blocks may lie elsewhere. Without a
 * recorder a call that takes the lock, and a transfer, looks at one word more; allocations and frees through magazines
 * do not.
 *
 * One thread calls this at a time; others may use the HAL meanwhile. Callbacks must not call this function, and what
 * they call of the same HAL is told, too.
 *
 * OK. EINVAL iff hal is NULL, or recorder is not and its event is. ELOCK: nothing is recorded from now on; magazines of
 * some regions may be out of use until a later call succeeds.
 */
ZCMEM_API enum zcmem_status zcmem_hal_set_recorder(struct zcmem_hal *hal, const struct zcmem_recorder *recorder);

/* The most bytes that an event takes in a file, and what a file of events begins with (5 bytes). */
#define ZCMEM_EVENT_BYTES 96u
#define ZCMEM_EVENT_MAGIC "ZCEV\1"

/*
 * Writes the event as it stands in a file to `bytes` (room for ZCMEM_EVENT_BYTES), and returns how many bytes these
 * are; 0 iff a pointer is NULL. Each stands for itself: events may be written in any order, by several threads.
 *
 * A file of events is ZCMEM_EVENT_MAGIC, and then for each event: a byte that says how many follow; the numbers kind,
 * status (negated), sequence, time, thread, region, tag, addr, other, size, align, each in groups of seven bits, lowest
 * first, the top bit of a byte saying that another follows, numbers that are 0 at the end left out; and a byte that
 * makes the sum of all these bytes, the first one included, 0 modulo 256. Thread-safe.
 */
ZCMEM_API size_t zcmem_event_encode(const struct zcmem_event *event, uint8_t *bytes);

/*
 * Reads an event from the `size` bytes: *used is how many it took. EINVAL iff a pointer is NULL. EBOUNDS iff it is cut
 * short. ECORRUPT iff the bytes are no event. Thread-safe.
 */
ZCMEM_API enum zcmem_status zcmem_event_decode(const uint8_t *bytes, size_t size, struct zcmem_event *event,
                                               size_t *used);

#ifdef __cplusplus
}
#endif

#endif
