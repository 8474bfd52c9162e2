/* SPDX-License-Identifier: MIT */
/* A fresh buffer in memory of the runtime that host and device have in turn. */
#ifndef ZCMEM_EXAMPLES_MAPPED_H
#define ZCMEM_EXAMPLES_MAPPED_H

#include "cl_region.h"
#include "proof.h"

/*
 * One transform and its line: ZCMEM_BUFFER_ALLOC_HOST in region "buffer". The host maps it and writes, the kernels work
 * on a sub-buffer, the host maps it again and reads, at the same pointer. stage->hal is the regions' one.
 */
bool mapped_prove(struct stage *stage, const struct cl_regions *regions);

#endif
