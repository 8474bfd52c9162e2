/* SPDX-License-Identifier: MIT */
/*
 * A table of buffers. It lies in the caller's memory in this order: struct zcmem_buffers, max_buffers buffers,
 * max_views views.
 *
 * One lock guards all of it. Slow work (copies, callbacks, the regions' own locks) is done without it: a view is
 * COPYING or ENDING meanwhile, so that nobody else touches it, and it excludes others as any open view does; the one
 * thread that owns it then publishes OPEN without the lock, or takes the view out with it.
 *
 * Life: a buffer is there while it has references (of the caller) or uses (open views of it, and, at a root, its
 * sub-buffers). Sub-buffers refer to the root, the buffer that has the memory, whatever their depth. The root holds its
 * block by a use of the kind that transfers have, so that no unpin too many can take it.
 */
#ifndef ZCMEM_BUFFER_IMPL_H
#define ZCMEM_BUFFER_IMPL_H

#include "hal_impl.h"
#include "interval.h"
#include "move.h"
#include <zcmem/buffer.h>

#define ZCMEM__BUFFER_MODE (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)
#define ZCMEM__NO_SLOT UINT32_MAX

struct zcmem__buffer {
  uint32_t generation; /* counts the buffers that had this slot */
  uint32_t references;
  uint32_t uses;
  uint32_t views;
  uint32_t flags;
  uint32_t root; /* slot of the buffer that has the memory; its own where it is that */
  uint32_t next; /* of an unused slot: the next one, or ZCMEM__NO_SLOT */
  bool shadow;   /* `host` is copied to and from `addr` */
  bool owned;    /* the block is the buffer's own, to be freed with it */
  zcmem_buffer_t parent;
  hal_size_t offset; /* in the parent */
  hal_size_t size;
  struct zcmem__region *region;
  hal_addr_t addr;
  hal_addr_t block_end;
  unsigned char *host; /* where the host sees the bytes (or their original, for a shadow), or NULL */
};

enum zcmem__view_state { ZCMEM__VIEW_UNUSED = 0, ZCMEM__VIEW_COPYING, ZCMEM__VIEW_OPEN, ZCMEM__VIEW_ENDING };

struct zcmem__view {
  struct zcmem__interval device;  /* the bytes in the region */
  struct zcmem__interval host;    /* of a shadow's view: the bytes of host memory */
  struct zcmem__interval shadow;  /* of a shadow's view of the device's: the bytes in the region once more */
  struct zcmem__atomic_u32 state; /* enum zcmem__view_state */
  uint32_t generation;
  uint32_t buffer; /* slot */
  uint32_t mode;   /* what the device does, or the host */
  uint32_t next;   /* as of a buffer */
  bool of_host;    /* made by map */
  bool in_sets;    /* not of an alias */
  bool filled;     /* of a shadow, the device's: all that it reads is in */
  void *mapped;    /* by the region's callback, or NULL */
};

struct zcmem_buffers {
  struct zcmem_hal *hal;
  struct zcmem__buffer *buffers;
  struct zcmem__view *views;
  uint32_t max_buffers;
  uint32_t max_views;
  uint32_t unused_buffer; /* lists of slots */
  uint32_t unused_view;
  struct zcmem__interval_set device;  /* open views by device address: no byte is written that another one has */
  struct zcmem__interval_set host;    /* the same for the host memory that shadows copy */
  struct zcmem__interval_set filling; /* the device's views of shadows, also of aliases: while they copy in; no two */
  struct zcmem__interval_set filled;  /*   of these share a line; and those that have all they read */
  struct zcmem_buffers_stats stats;
  struct zcmem__lock lock;
};

/* What is left to do, without the table's lock, for a buffer that is no more. */
struct zcmem__buffer_rest {
  struct zcmem__region *region; /* NULL: nothing */
  hal_addr_t addr;
  bool owned;
};

/* With the lock held: the buffer of that number, or NULL. */
struct zcmem__buffer *zcmem__buffer_find(const struct zcmem_buffers *buffers, zcmem_buffer_t buffer);

/* With the lock held: puts what `like` says in an unused slot, with one reference. ENOMEM: there is none. */
enum zcmem_status zcmem__buffer_enter(struct zcmem_buffers *buffers, const struct zcmem__buffer *like, bool is_root,
                                      zcmem_buffer_t *number);

/* The number of the buffer, or view, in a slot. */
zcmem_buffer_t zcmem__buffer_number(const struct zcmem_buffers *buffers, uint32_t slot);

/*
 * Whether the device may write `size` bytes of a buffer without a shadow from addr on, such that it writes no line that
 * other bytes of the block share: else either side could lose the other's.
 */
bool zcmem__buffer_owns_lines(const struct zcmem__buffer *buffer, hal_addr_t addr, hal_size_t size);

/* With the lock held: ends one use; the buffer, and its root, may be no more then. */
struct zcmem__buffer_rest zcmem__buffer_unuse(struct zcmem_buffers *buffers, uint32_t slot);

/* Without the lock: lets the block go. OK or ELOCK. */
enum zcmem_status zcmem__buffer_finish(const struct zcmem__buffer_rest *rest);

#endif
