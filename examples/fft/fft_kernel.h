/* SPDX-License-Identifier: MIT */
/* What runs on the device. */
#ifndef ZCMEM_EXAMPLES_FFT_KERNEL_H
#define ZCMEM_EXAMPLES_FFT_KERNEL_H

#include "../device.h"

/*
 * Forward transform in place: args[0] is the device address of args[1] complex points (pairs of float), a power of two.
 */
bool fft_kernel(const struct device_map *map, const uint64_t *args);

#endif
