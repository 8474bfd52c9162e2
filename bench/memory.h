/* SPDX-License-Identifier: MIT */
/* Memory straight from the operating system: what a region is mapped to, and how much of it is there. */
#ifndef ZCMEM_BENCH_MEMORY_H
#define ZCMEM_BENCH_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed memory that takes no room until it is touched; NULL: there is none. */
void *bench_map(size_t bytes);
/* memory may be NULL. */
void bench_unmap(void *memory, size_t bytes);

/* Bytes of memory that this process has to itself and that are there. False: a message was printed. */
bool bench_resident(uint64_t *bytes);

#endif
