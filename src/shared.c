/* SPDX-License-Identifier: MIT */
#include "shared.h"

#ifdef ZCMEM__THREAD_MAGAZINES
void zcmem__shared_bring_back(struct zcmem__region *region, uint32_t id, uint32_t claimed) {
  if (zcmem__region_take(region) != ZCMEM_OK) {
    return;
  }
  zcmem__atomic_change(&region->version);
  zcmem__depot_redeem(region, (struct zcmem__ticket){.start = claimed, .id = id});
  zcmem__atomic_changed(&region->version);
  zcmem__lock_drop(&region->lock);
}
#else
typedef int zcmem__shared_empty; /* ISO C wants something in each file */
#endif
