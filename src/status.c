/* SPDX-License-Identifier: MIT */
/* L0. Statuses as text. */
#include <zcmem/types.h>

const char *zcmem_status_string(enum zcmem_status status) {
  switch (status) {
  case ZCMEM_OK:
    return "ZCMEM_OK: done";
  case ZCMEM_EINVAL:
    return "ZCMEM_EINVAL: an argument breaks the contract";
  case ZCMEM_ENOSPC:
    return "ZCMEM_ENOSPC: not enough free bytes";
  case ZCMEM_EFRAG:
    return "ZCMEM_EFRAG: enough free bytes, but no free block large enough";
  case ZCMEM_ENOMEM:
    return "ZCMEM_ENOMEM: no descriptor, table entry or host memory left";
  case ZCMEM_ENOENT:
    return "ZCMEM_ENOENT: no live block there";
  case ZCMEM_EBOUNDS:
    return "ZCMEM_EBOUNDS: the range leaves its block";
  case ZCMEM_EBUSY:
    return "ZCMEM_EBUSY: the block is pinned, mapped or in a transfer";
  case ZCMEM_ENOTMAPPED:
    return "ZCMEM_ENOTMAPPED: the host has no pointer to that memory";
  case ZCMEM_EOVERLAP:
    return "ZCMEM_EOVERLAP: the range overlaps another one";
  case ZCMEM_EIO:
    return "ZCMEM_EIO: a callback of the region failed";
  case ZCMEM_ECORRUPT:
    return "ZCMEM_ECORRUPT: an invariant of the metadata does not hold";
  case ZCMEM_ELOCK:
    return "ZCMEM_ELOCK: the lock could not be made or taken";
  }
  return "unknown status";
}
