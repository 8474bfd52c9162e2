/* SPDX-License-Identifier: MIT */
/*
 * The default HAL of the malloc-shaped calls: the one given, else a host device made on first use.
 */
#ifndef ZCMEM_MALLOC_DEFAULT_H
#define ZCMEM_MALLOC_DEFAULT_H

#include <zcmem/hal.h>

/* The default HAL that there is, or NULL. Makes none. */
struct zcmem_hal *zcmem__malloc_current(void);

/* The same, made if there is none. Statuses of zcmem_host_device_create; ENOENT: this build makes none. */
enum zcmem_status zcmem__malloc_need(struct zcmem_hal **hal);

#endif
