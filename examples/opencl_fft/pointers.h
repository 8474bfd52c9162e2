/* SPDX-License-Identifier: MIT */
/*
 * Host pointers wrapped in buffers of zcmem, and the kernels of an OpenCL runtime run on what zcmem says the device is
 * to work on.
 */
#ifndef ZCMEM_EXAMPLES_POINTERS_H
#define ZCMEM_EXAMPLES_POINTERS_H

#include "proof.h"

/*
 * Four transforms, a line each: of the start of a block of __malloc_ddr, of its interior, of a sub-buffer, and, with
 * copies, of malloc's memory. stage->hal must be the default HAL of ti_malloc.h.
 *
 * svm false: the runtime is given the pointers with CL_MEM_USE_HOST_PTR. True: the region is shared virtual memory of
 * the runtime, and device addresses are pointers for the kernels.
 */
bool pointers_prove(struct stage *stage, bool svm);

#endif
