/* SPDX-License-Identifier: MIT */
/* The parts of fuzz_ops: each makes its object as the input says and calls it until the input ends. */
#ifndef ZCMEM_TESTS_FUZZ_OPS_H
#define ZCMEM_TESTS_FUZZ_OPS_H

#include "fuzz.h"

/* The most calls that one input makes: a longer one finds no more, only slower. */
#define FUZZ_MOST_CALLS 400u

/* A small heap and its model, compared in full after each call (twin.h). */
void fuzz_heap(struct fuzz_input *in);

/* A heap of up to two million quanta, whose wide bins and deep index a map of quanta could not follow, and a list. */
void fuzz_wide(struct fuzz_input *in);

/* A region with hardening, or with tags, and a list of its blocks. */
void fuzz_hardened(struct fuzz_input *in);

/* A HAL of four regions, mappings, buffers and views (world.h). */
void fuzz_hal(struct fuzz_input *in);

#endif
