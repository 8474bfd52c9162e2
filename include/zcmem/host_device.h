/* SPDX-License-Identifier: MIT */
/*
 * The host device: host memory that stands in for hardware, as the oneAPI Construction Kit's cpu and RefSi devices do.
 * It has two regions, "dram" and "msmc". Device addresses differ from host pointers on purpose (DRAM starts at
 * ZCMEM_HOST_DEVICE_DRAM_BASE, MSMC at ZCMEM_HOST_DEVICE_MSMC_BASE: addresses that no host maps), so that a program
 * that confuses the two fails at once. Hosted builds only.
 */
#ifndef ZCMEM_HOST_DEVICE_H
#define ZCMEM_HOST_DEVICE_H

#include <zcmem/hal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Where its regions begin. */
#define ZCMEM_HOST_DEVICE_DRAM_BASE 0xdd00000000000000u
#define ZCMEM_HOST_DEVICE_MSMC_BASE 0xcc00000000000000u

/* DRAM is not mapped: it is reached only through read, write, copy, fill and map callbacks. */
#define ZCMEM_HOST_DEVICE_UNMAPPED_DRAM 0x1u

/* Its HAL has magazines: see ZCMEM_HAL_MAGAZINES. */
#define ZCMEM_HOST_DEVICE_MAGAZINES 0x2u

/* What a host device is made of; 0 and NULL are defaults. */
struct zcmem_host_device_config {
  const char *name;                  /* NULL: "zcmem host device" */
  hal_size_t dram_bytes;             /* 0: 256 MiB */
  hal_size_t msmc_bytes;             /* 0: 4 MiB */
  uint32_t max_blocks;               /* per region; 0: one for each 4 KiB of the region, at least 1024, at most 1 Mi */
  uint32_t flags;                    /* ZCMEM_HOST_DEVICE_* */
  const struct zcmem_lock_ops *lock; /* as zcmem_hal_config */
};

struct zcmem_host_device;

/*
 * Makes the device and its HAL. config NULL: all defaults. OK: *device is the device. EINVAL iff device is NULL or the
 * config is invalid (see zcmem_hal_create). ENOMEM iff host memory ran out (backing memory takes pages only where it
 * is touched). ELOCK iff a lock failed.
 */
ZCMEM_API enum zcmem_status zcmem_host_device_create(const struct zcmem_host_device_config *config,
                                                     struct zcmem_host_device **device);

/* Ends the device, its HAL and its memory; returns zcmem_hal_destroy's count of live blocks. NULL: nothing, 0. */
ZCMEM_API uint64_t zcmem_host_device_destroy(struct zcmem_host_device *device);

/* The device's HAL, which lives as long as the device; NULL iff device is NULL. */
ZCMEM_API struct zcmem_hal *zcmem_host_device_hal(struct zcmem_host_device *device);

#ifdef __cplusplus
}
#endif

#endif
