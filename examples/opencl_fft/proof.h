/* SPDX-License-Identifier: MIT */
/* What is shown about a transform, and what is needed to show it. */
#ifndef ZCMEM_EXAMPLES_PROOF_H
#define ZCMEM_EXAMPLES_PROOF_H

#include "../spectrum.h"
#include "cl_session.h"
#include <zcmem/zcmem.h>

#define PROOF_POINTS ((size_t)1024)
#define PROOF_BYTES (PROOF_POINTS * 2 * sizeof(float))

/* The HAL whose memory the kernels work on, with a table of buffers. */
struct stage {
  const struct cl_session *session;
  const struct spectrum *spectrum;
  struct zcmem_hal *hal;
  struct zcmem_buffers *buffers;
  void *buffers_memory;
  float scratch[PROOF_POINTS * 2];
};

/* One line of proof. */
struct proof {
  const char *name;
  bool zero_copy;    /* what is to be shown: not found out, but expected */
  uint64_t copied;   /* bytes that zcmem copied between host and device, both ways */
  bool in_place;     /* after the kernels, without a call that reads or maps, the host's data was the spectrum */
  bool in_region;    /* the bytes of the region at the device address were it */
  bool very_pointer; /* the pointer that the runtime tells for the memory is the host's own */
  bool neighbours;   /* the bytes around the data are as they were */
  double error;      /* of the host's data in the end */
};

bool stage_open(struct stage *stage, const struct cl_session *session, const struct spectrum *spectrum,
                struct zcmem_hal *hal);
/* False iff buffers are left. */
bool stage_close(struct stage *stage);

/* Bytes that zcmem has copied so far. */
uint64_t stage_copied(struct stage *stage);

/* Is what lies there, or at the device address, the spectrum? */
bool stage_is_spectrum(const struct stage *stage, const void *data);
bool stage_is_spectrum_at(struct stage *stage, hal_addr_t addr);

/* A block to work in: a pattern all over, but for the signal at `offset`. */
void proof_paint(unsigned char *block, size_t bytes, size_t offset);
/* Is the pattern still there, all around the data? */
bool proof_painted(const unsigned char *block, size_t bytes, size_t offset);

/* Prints the line; true iff it is as it must be. */
bool proof_print(const struct proof *proof);

/* True iff the status is OK; else a line on stderr tells what failed. */
bool proof_ok(enum zcmem_status status, const char *what);

#endif
