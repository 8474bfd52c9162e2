/* SPDX-License-Identifier: MIT */
/*
 * A region: a named range of device addresses with one heap, one lock and its counters.
 *
 * All but the version, `revoked` and the stats never changes once the region is published, so any thread reads it
 * without the lock. The heap's state and the counters are guarded by the lock, but for what magazine.h says.
 *
 * A look-up takes no lock: the version tells whether blocks changed meanwhile; then it is tried again, and after a few
 * tries under the lock. So a reader waits for nobody but where writers follow each other without a pause.
 *
 * A transfer is three steps: begin (the range is checked and a use of the block counted), move the bytes, end (the use
 * and the counters). While the use is counted the block cannot be handed out again, which is why no lock is needed in
 * the middle; nor, as a rule, for the two ends (use.h). Here are those that take it.
 */
#ifndef ZCMEM_REGION_H
#define ZCMEM_REGION_H

#include "atomic.h"
#include "guard.h"
#include "heap_ops.h"
#include "lock.h"
#include "moved.h"
#include "tally.h"
#include <stdalign.h>
#include <zcmem/heap.h>

/* Magazines need a compare-and-swap of 64 bits; those that belong to a thread by themselves, pthread besides. */
#if defined(__GNUC__) && UINTPTR_MAX > UINT32_MAX && !defined(ZCMEM_NO_MAGAZINES)
#define ZCMEM__MAGAZINES
#endif
#if defined(ZCMEM__MAGAZINES) && !defined(ZCMEM_NO_PTHREAD)
#define ZCMEM__THREAD_MAGAZINES
/* Its address names a thread: no two that run have the same. */
extern _Thread_local char zcmem__self __attribute__((tls_model("initial-exec")));
#endif

struct zcmem__depot;     /* magazine.h */
struct zcmem__recording; /* record.h */

/*
 * What a region has in memory that processes share, instead of its own: the heap, made already; the version; the lock;
 * and this process's uses of blocks, by descriptor, as in `use`: they are what can be taken away when it has died.
 * No use is counted without the lock. Magazines are each process's own; seize.h tells what the others know of them.
 */
struct zcmem__shared {
  struct zcmem_heap *heap;
  struct zcmem__atomic_u32 *version;
  uint32_t *uses; /* changes only when the process becomes another one, in fork */
  struct zcmem__lock lock;
  struct zcmem__atomic_u32 *seized; /* how often everything was taken out of all magazines */
  struct zcmem__kept *kept;         /* of each process, by slot; 0: of all together. Under the lock */
  uint32_t slots;
  uint32_t ids;    /* behind the last descriptor, whatever the heap says */
  uint64_t serial; /* what zcmem__region.serial is elsewhere: the fast path of private regions passes this one by */
  uint32_t (*pid_of)(const struct zcmem__shared *shared, uint32_t owner); /* of a block; 0: nobody's, or everybody's */
};

/* What a process may keep in its magazines, in quanta, and how many threads have some. */
struct zcmem__kept {
  uint32_t quanta;
  uint32_t threads;
};

/* How addresses of a region are translated, where the quick ways will do. */
enum zcmem__region_way {
  ZCMEM__WAY_CHECKED,   /* through the host pointer, if a live block has the range */
  ZCMEM__WAY_UNCHECKED, /* through the host pointer: ZCMEM_REGION_UNCHECKED */
  ZCMEM__WAY_NONE       /* the host is not mapped to it for good */
};

struct zcmem__region {
  alignas(64) hal_addr_t base; /* the range as configured: base ... base + size - 1 belongs to no other region */
  hal_size_t size;
  unsigned char *host;              /* where the host sees byte `base`, or NULL */
  struct zcmem_heap *heap;          /* at the beginning of the image */
  struct zcmem__atomic_u32 revoked; /* by so many calls: nobody may enter magazines */
  struct zcmem__atomic_u32 direct;  /* 1: transfers count uses without the lock */
  struct zcmem__atomic_word lone;   /* the thread that changes `use` without the lock and without swapping, or 0 */
  uint64_t serial;                  /* no other region of the process ever has it; 0: no magazines, or shared ones */
  struct zcmem__version version;    /* of the heap's blocks; odd while they change */
  /* What a translation needs beside the version. */
  hal_addr_t first;          /* what the heap can hand out: from here ... */
  hal_size_t grantable;      /*   this many bytes */
  unsigned char *host_first; /* where the host sees byte `first`, or NULL */
  struct zcmem__index_quick quick;
  enum zcmem__region_way way;
  uint32_t flags;
  uint32_t kind;
  struct zcmem__shared *shared;       /* what processes share of it, or NULL */
  const struct zcmem_region_ops *ops; /* never NULL */
  void *ctx;
  struct zcmem__depot *depot;                  /* what magazines share, or NULL */
  struct zcmem__guard *guard;                  /* &hardening, or NULL: there is none, and no depot where there is */
  void (*share)(struct zcmem__region *region); /* with the lock held: ends what `lone` says */
  hal_size_t quantum;
  hal_size_t cache_line; /* 0: none */
  uint32_t max_blocks;
  struct zcmem__recording *recording; /* the HAL's */
  char name[ZCMEM_NAME_MAX + 1];
  bool owns_image; /* it came from the HAL's allocator */
  size_t image_bytes;
  /* From here on all changes often; what stands above is read by threads that take no lock. */
  alignas(64) struct zcmem__atomic_u32 own_version; /* where `version` is, unless processes share the region */
  struct zcmem_region_stats stats; /* the counters; the members from in_use on but peak are filled in when asked for */
  bool recorded;                   /* magazines are revoked as long as it is */
  struct zcmem__lock lock;
  struct zcmem__tally tally;
  struct zcmem__guard hardening;
  struct zcmem__moved_lines moved; /* by transfers that took no lock: to be added to the stats */
};

/* Names this thread; 1, which `lone` never is, where no thread ever changes anything alone. */
ZCMEM__INLINE uintptr_t zcmem__region_self(void) {
#ifdef ZCMEM__THREAD_MAGAZINES
  return (uintptr_t)&zcmem__self;
#else
  return 1;
#endif
}

/*
 * Takes the lock for whatever changes blocks, or relies on what they are: from then on no thread changes `use` without
 * swapping, but perhaps this one.
 */
ZCMEM__INLINE enum zcmem_status zcmem__region_take(struct zcmem__region *region) {
  enum zcmem_status status = zcmem__lock_take(&region->lock);
  uintptr_t lone = zcmem__atomic_word_acquire(&region->lone);
  if (ZCMEM__UNLIKELY(lone != 0 && status == ZCMEM_OK && lone != zcmem__region_self())) {
    region->share(region);
  }
  return status;
}

/* Whether `name` is of 1 ... ZCMEM_NAME_MAX bytes. NULL: no. */
bool zcmem__name_valid(const char *name);

/* Copies a valid name. */
void zcmem__name_copy(char to[ZCMEM_NAME_MAX + 1], const char *name);

/* The heap's config for a region. */
struct zcmem_heap_config zcmem__region_heap_config(const struct zcmem_region_config *config);

/*
 * Fills all of the region but its lock, which is initialized already, and makes the heap, or takes the one that is
 * shared, and its lock. OK, or the statuses of zcmem_heap_init; then the region is not usable.
 */
enum zcmem_status zcmem__region_init(struct zcmem__region *region, const struct zcmem_region_config *config,
                                     void *image, size_t image_bytes, struct zcmem__shared *shared);

/* Whether addr lies in the region's range, and ptr in the host memory that it is mapped to. */
static inline bool zcmem__region_holds(const struct zcmem__region *region, hal_addr_t addr) {
  return addr - region->base < region->size;
}

static inline bool zcmem__region_holds_host(const struct zcmem__region *region, const void *ptr) {
  return region->host != NULL && (uintptr_t)ptr - (uintptr_t)region->host < region->size;
}

/* The host's pointer to addr, which lies in the region, or NULL if it is not mapped. */
static inline unsigned char *zcmem__region_pointer(const struct zcmem__region *region, hal_addr_t addr) {
  return region->host == NULL ? NULL : region->host + (size_t)(addr - region->base);
}

/* How many bytes are flushed or invalidated together: 1 where the host needs neither, or can do it for any byte. */
static inline hal_size_t zcmem__region_line(const struct zcmem__region *region) {
  return (region->flags & ZCMEM_REGION_COHERENT) != 0 || region->cache_line == 0 ? 1 : region->cache_line;
}

/* Whether the region is mapped to some of that host memory, which is not empty. */
bool zcmem__region_overlaps_host(const struct zcmem__region *region, const void *host, hal_size_t size);

/*
 * Whether the two regions share an address, a byte of host memory or of their images. The config is valid, and wants
 * image_bytes.
 */
bool zcmem__region_overlaps(const struct zcmem__region *region, const struct zcmem_region_config *config,
                            size_t image_bytes);

/* Under the lock: counts an allocation or a resize that answered `status`. */
void zcmem__region_note_alloc(struct zcmem__region *region, enum zcmem_status status, uint64_t *succeeded);

/*
 * With the lock held: as zcmem_heap_pin, _unpin, _begin_transfer and _end_transfer, which are for the heap alone. In a
 * region that processes share they also count whose uses these are: nobody can end another one's (EBUSY).
 */
enum zcmem_status zcmem__region_pin(struct zcmem__region *region, hal_addr_t addr);
enum zcmem_status zcmem__region_unpin(struct zcmem__region *region, hal_addr_t addr, bool *freed);
enum zcmem_status zcmem__region_begin_transfer(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                               struct zcmem_block_info *info);
enum zcmem_status zcmem__region_end_transfer(struct zcmem__region *region, hal_addr_t addr, bool *freed);

/*
 * The live block that holds addr: the whole of it, or just where it is. OK, ENOENT, ELOCK. Without the lock, but where
 * it is unlucky. What it tells of uses may be a moment old.
 */
enum zcmem_status zcmem__region_extent(struct zcmem__region *region, hal_addr_t addr, struct zcmem__extent *extent);
enum zcmem_status zcmem__region_look(struct zcmem__region *region, hal_addr_t addr, struct zcmem_block_info *info);

/*
 * The quick way of the first: how many of the bytes that were requested for a live block there are from an offset into
 * what the heap can hand out. False: none, or it was unlucky; the other one tells.
 */
ZCMEM__HOT bool zcmem__region_rest_quick(const struct zcmem__region *region, uint64_t offset, hal_size_t *rest) {
  uint32_t version = zcmem__atomic_version_even(&region->version);
  bool found = zcmem__heap_rest_quick(&region->quick, offset, rest);
  return ZCMEM__LIKELY(found) && ZCMEM__LIKELY(zcmem__atomic_still(&region->version, version));
}

/* With the lock held: whether a live block starts there, and has this tag. */
bool zcmem__region_has(const struct zcmem__region *region, hal_addr_t addr, uint32_t tag);

/*
 * Begins a transfer (see above), with a tag only of the block that starts there and has it. Statuses of
 * zcmem_heap_begin_transfer, ELOCK; a failure is counted.
 */
enum zcmem_status zcmem__region_begin(struct zcmem__region *region, hal_addr_t addr, hal_size_t size,
                                      const uint32_t *tag);

/*
 * Ends it and adds `amount` to the counter. ELOCK: the lock failed, which nobody can make good: the use stays counted,
 * so the block can never be freed nor shrunk (but for a deferred free, which will not take effect); what was moved is
 * moved, and not counted.
 */
enum zcmem_status zcmem__region_end(struct zcmem__region *region, hal_addr_t addr, uint64_t *counter, uint64_t amount);

/*
 * The same for something that holds the block longer than a call, and counts nothing: hold it, if `size` bytes from
 * addr on are in it; let it go.
 */
enum zcmem_status zcmem__region_hold(struct zcmem__region *region, hal_addr_t addr, hal_size_t size);
enum zcmem_status zcmem__region_let_go(struct zcmem__region *region, hal_addr_t addr);

/* Counts a transfer that failed before it began. A lock that fails leaves it uncounted. */
void zcmem__region_count_failed(struct zcmem__region *region);

/* End a transfer or a pin with the lock held; count the free of a zombie that was only held by it. */
enum zcmem_status zcmem__region_end_locked(struct zcmem__region *region, hal_addr_t addr);
enum zcmem_status zcmem__region_unpin_locked(struct zcmem__region *region, hal_addr_t addr);

#endif
