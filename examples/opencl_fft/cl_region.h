/* SPDX-License-Identifier: MIT */
/* Regions of zcmem whose memory belongs to an OpenCL runtime: zcmem hands out parts of what a driver allocated. */
#ifndef ZCMEM_EXAMPLES_CL_REGION_H
#define ZCMEM_EXAMPLES_CL_REGION_H

#include "cl_session.h"
#include <zcmem/zcmem.h>

#define CL_REGION_BYTES ((size_t)1 << 20)
/* Device addresses of the buffer's region: opaque, as they are for a driver that tells none. */
#define CL_REGION_BUFFER_BASE 0xa000000000000000u

struct cl_regions {
  const struct cl_session *session;
  struct zcmem_hal *hal;
  void *svm;     /* region "svm", kind DRAM; NULL where the device has no fine-grained SVM: then there is none */
  cl_mem buffer; /* region "buffer", kind USER: CL_MEM_ALLOC_HOST_PTR, mapped on demand */
};

/*
 * Allocates from the runtime, and makes a HAL of it. The quantum is the device's alignment for sub-buffers, so that
 * every block can be one.
 *
 * svm: shared virtual memory: one address for host and device, which is the device address; mapped as a whole,
 * coherent. buffer: between map and unmap the host has it, else the device. So no host pointer stays: the region has
 * callbacks.
 */
bool cl_regions_open(struct cl_regions *regions, const struct cl_session *session);
/* False iff blocks are left. */
bool cl_regions_close(struct cl_regions *regions);

/* The OpenCL sub-buffer that a range of region "buffer" is; NULL (and a line on stderr) iff OpenCL refuses. */
cl_mem cl_regions_sub_buffer(const struct cl_regions *regions, hal_addr_t addr, size_t size);

#endif
