/* SPDX-License-Identifier: MIT */
/*
 * All of zcmem but ti_malloc.h, whose names are reserved ones: include this one, or only what you use.
 */
#ifndef ZCMEM_ZCMEM_H
#define ZCMEM_ZCMEM_H

#include <zcmem/buffer.h>
#include <zcmem/context.h>
#include <zcmem/debug.h>
#include <zcmem/hal.h>
#include <zcmem/hardening.h>
#include <zcmem/heap.h>
#include <zcmem/host_device.h>
#include <zcmem/malloc.h>
#include <zcmem/shm.h>
#include <zcmem/types.h>
#include <zcmem/version.h>

#endif
