/* SPDX-License-Identifier: MIT */
/*
 * All of zcmem: include this one, or only what you use.
 */
#ifndef ZCMEM_ZCMEM_H
#define ZCMEM_ZCMEM_H

#include <zcmem/hal.h>
#include <zcmem/heap.h>
#include <zcmem/host_device.h>
#include <zcmem/types.h>
#include <zcmem/version.h>

#endif
