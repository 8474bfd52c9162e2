/* SPDX-License-Identifier: MIT */
/*
 * A device for tests that is as strict as hardware can be: its callbacks check that no lock is held and that ranges lie
 * in the region; mapped memory is a copy that only unmap writes back; a cached view differs from the memory until it is
 * flushed or invalidated. Callbacks, locks and the allocator can be told to fail at their n-th call.
 */
#ifndef ZCMEM_TESTS_FAKE_H
#define ZCMEM_TESTS_FAKE_H

#include <zcmem/zcmem.h>

/* How the bytes of a region are reached. */
enum fake_way {
  FAKE_HOST,       /* a host pointer to the memory itself */
  FAKE_CACHED,     /* a host pointer to a view that flush and invalidate bring in line with the memory */
  FAKE_OPS,        /* all callbacks */
  FAKE_READ_WRITE, /* read and write only */
  FAKE_MAP,        /* map and unmap only, each mapping a copy of its own */
  FAKE_MAP_DIRECT, /* map and unmap only, the pointer depends on the address alone */
  FAKE_NOTHING,    /* no way at all */
  FAKE_WAYS
};

enum fake_call {
  FAKE_CALL_MAP,
  FAKE_CALL_UNMAP,
  FAKE_CALL_FLUSH,
  FAKE_CALL_INVALIDATE,
  FAKE_CALL_READ,
  FAKE_CALL_WRITE,
  FAKE_CALL_COPY,
  FAKE_CALL_FILL,
  FAKE_CALLS
};

struct fake_region {
  enum fake_way way;
  hal_addr_t base;
  size_t bytes;
  unsigned char *memory;      /* what the device sees */
  unsigned char *view;        /* what the host sees, if that is another memory; else NULL */
  unsigned calls[FAKE_CALLS]; /* counted before a fault is injected */
  unsigned mapped;            /* maps less unmaps */
  unsigned last_flags;        /* of the last map */
  hal_size_t last_unmapped;   /* size of the last unmap */
  bool forgetful;             /* map succeeds without giving a pointer */
  void (*inside)(void *arg);  /* called within the next callback, once */
  void *arg;
};

/* Faults: 0 is none; n: the n-th call from now fails, once. And what the locks and the allocator count. */
struct fake_state {
  bool lasting;    /* not once: the calls after the n-th fail, too */
  unsigned struck; /* faults so far */
  unsigned fail_callback_in;
  unsigned fail_lock_in;
  unsigned fail_lock_init_in;
  unsigned fail_alloc_in;
  unsigned locks_held; /* now; never above 1 */
  unsigned locks_made; /* initialized less destroyed */
  unsigned lock_calls;
  unsigned allocations; /* less frees */
};
extern struct fake_state fake;

extern const struct zcmem_lock_ops fake_lock;
extern const struct zcmem_host_allocator fake_allocator;

/* All figures and faults back to zero. */
void fake_reset(void);

/* Makes the memory, filled with 0xee, and the config of a region named `name` with the fake allocator's image. */
struct zcmem_region_config fake_region_open(struct fake_region *region, enum fake_way way, const char *name,
                                            hal_addr_t base, size_t bytes);
void fake_region_close(struct fake_region *region);

/* The device's byte at addr. */
unsigned char *fake_at(const struct fake_region *region, hal_addr_t addr);

#endif
