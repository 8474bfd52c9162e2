/* SPDX-License-Identifier: MIT */
/*
 * Types that all of zcmem shares: device addresses and sizes, statuses, the export macro.
 */
#ifndef ZCMEM_TYPES_H
#define ZCMEM_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Empty in a static library, so that a shared object which vendors zcmem does not export it again.
 */
#if defined(ZCMEM_SHARED) && defined(__GNUC__)
#define ZCMEM_API __attribute__((visibility("default")))
#else
#define ZCMEM_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* A device address: opaque to the host, never to be dereferenced by it. */
typedef uint64_t hal_addr_t;
/* A size in bytes of device memory; 64 bits wide on every host. */
typedef uint64_t hal_size_t;

/* No device address. Never handed out. */
#define HAL_NULLPTR ((hal_addr_t)0)

/*
 * What a call answers. The numbers are fixed: they may be stored, sent and compared with those of another version.
 * A call that does not answer ZCMEM_OK has changed nothing, unless its own text says otherwise.
 */
enum zcmem_status {
  ZCMEM_OK = 0,
  ZCMEM_EINVAL = -1,     /* the caller broke the contract: NULL, no power of two, unknown region, overflow */
  ZCMEM_ENOSPC = -2,     /* not enough free bytes */
  ZCMEM_EFRAG = -3,      /* enough free bytes, but no free block large enough (or none where it is needed) */
  ZCMEM_ENOMEM = -4,     /* no descriptor, table entry or host memory left */
  ZCMEM_ENOENT = -5,     /* no live block there: double free, foreign or interior address */
  ZCMEM_EBOUNDS = -6,    /* the range leaves its block (or its region) */
  ZCMEM_EBUSY = -7,      /* the block is pinned, mapped or in a transfer */
  ZCMEM_ENOTMAPPED = -8, /* the host has no pointer to that memory */
  ZCMEM_EOVERLAP = -9,   /* the range overlaps another one that excludes it */
  ZCMEM_EIO = -10,       /* a callback of the region failed */
  ZCMEM_ECORRUPT = -11,  /* an invariant of the metadata does not hold */
  ZCMEM_ELOCK = -12      /* the lock could not be made or taken */
};

/*
 * The status as a constant string, such as "ZCMEM_EBUSY: the block is pinned, mapped or in a transfer"; never NULL,
 * also for a number that is no status. Thread-safe, O(1).
 */
ZCMEM_API const char *zcmem_status_string(enum zcmem_status status);

#ifdef __cplusplus
}
#endif

#endif
