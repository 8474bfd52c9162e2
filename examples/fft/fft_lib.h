/* SPDX-License-Identifier: MIT */
/*
 * The library: transforms its caller's data on a device. It gets a pointer, and neither knows nor asks where that
 * memory comes from.
 */
#ifndef ZCMEM_EXAMPLES_FFT_LIB_H
#define ZCMEM_EXAMPLES_FFT_LIB_H

#include "../device.h"

/*
 * Forward Fourier transform of `points` complex points (pairs of float), in place. OK: data is the spectrum. EINVAL iff
 * points is not a power of two. EIO iff the device faulted. Else the status of the buffer's call that failed.
 */
enum zcmem_status fft_lib_forward(struct device *device, float *data, size_t points);

#endif
