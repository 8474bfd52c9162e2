/* SPDX-License-Identifier: MIT */
/*
 * Host memory from malloc's family: the allocator of zcmem_hal_create where the user names none. Hosted builds only.
 */
#ifndef ZCMEM_HOST_MEMORY_H
#define ZCMEM_HOST_MEMORY_H

#include <zcmem/hal.h>

extern const struct zcmem_host_allocator zcmem__host_memory;

#endif
