/* SPDX-License-Identifier: MIT */
#include "malloc_report.h"
#include "atomic.h"
#include <stdio.h>
#include <zcmem/malloc.h>

/* The handler and its ctx. Zero: the default handler. */
static struct zcmem__atomic_pair chosen;

/* One call of fprintf, so that the lines of several threads do not mix. */
static void tell_stderr(enum zcmem_status status, const char *function, const void *ptr) {
  if (ptr != NULL) {
    (void)fprintf(stderr, "zcmem: %s(%p): %s\n", function, ptr, zcmem_status_string(status));
  } else {
    (void)fprintf(stderr, "zcmem: %s: %s\n", function, zcmem_status_string(status));
  }
}

/* That there is no room happens to correct programs. So does any failure of an allocation but that of wrong arguments.
 */
static bool worth_a_line(enum zcmem_status status, const void *ptr) {
  bool no_room = status == ZCMEM_ENOSPC || status == ZCMEM_EFRAG || status == ZCMEM_ENOMEM;
  return status == ZCMEM_EINVAL || (ptr != NULL && !no_room);
}

void zcmem_malloc_set_handler(zcmem_malloc_handler handler, void *ctx) {
  zcmem__atomic_pair_set(&chosen, (uintptr_t)handler, (uintptr_t)ctx);
}

void zcmem__malloc_report(enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  uintptr_t first, second;
  zcmem__atomic_pair_get(&chosen, &first, &second);
  zcmem_malloc_handler handler = (zcmem_malloc_handler)first;
  if (handler != NULL) {
    handler((void *)second, status, function, ptr, size);
  } else if (worth_a_line(status, ptr)) {
    tell_stderr(status, function, ptr);
  }
}
