/* SPDX-License-Identifier: MIT */
#include "proof.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool proof_ok(enum zcmem_status status, const char *what) {
  if (status != ZCMEM_OK) {
    fprintf(stderr, "opencl_fft: %s: %s\n", what, zcmem_status_string(status));
  }
  return status == ZCMEM_OK;
}

bool stage_open(struct stage *stage, const struct cl_session *session, const struct spectrum *spectrum,
                struct zcmem_hal *hal) {
  const struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 8, .max_views = 8};
  size_t bytes = (zcmem_buffers_bytes(&config) + 63) / 64 * 64;
  stage->session = session;
  stage->spectrum = spectrum;
  stage->hal = hal;
  stage->buffers = NULL;
  stage->buffers_memory = aligned_alloc(64, bytes);
  if (stage->buffers_memory == NULL) {
    fprintf(stderr, "opencl_fft: no memory for a table of buffers\n");
    return false;
  }
  if (!proof_ok(zcmem_buffers_init(stage->buffers_memory, bytes, &config, &stage->buffers), "table of buffers")) {
    free(stage->buffers_memory);
    return false;
  }
  return true;
}

bool stage_close(struct stage *stage) {
  uint64_t left = zcmem_buffers_destroy(stage->buffers);
  free(stage->buffers_memory);
  if (left != 0) {
    fprintf(stderr, "opencl_fft: %" PRIu64 " buffers are left\n", left);
  }
  return left == 0;
}

uint64_t stage_copied(struct stage *stage) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  if (!proof_ok(zcmem_buffers_get_stats(stage->buffers, &stats), "counters")) {
    return UINT64_MAX; /* no difference of it is one that is expected */
  }
  return stats.bytes_copied_in + stats.bytes_copied_out;
}

bool stage_is_spectrum(const struct stage *stage, const void *data) {
  return spectrum_error(stage->spectrum, data) < SPECTRUM_TOLERANCE;
}

bool stage_is_spectrum_at(struct stage *stage, hal_addr_t addr) {
  memset(stage->scratch, 0, sizeof stage->scratch);
  return proof_ok(zcmem_mem_read(stage->hal, stage->scratch, addr, PROOF_BYTES), "reading the region") &&
         stage_is_spectrum(stage, stage->scratch);
}

/* No two bytes in a row are equal, nor is any 0. */
static unsigned char pattern(size_t i) {
  return (unsigned char)(1 + i * 37 % 251);
}

void proof_paint(unsigned char *block, size_t bytes, size_t offset) {
  for (size_t i = 0; i < bytes; i++) {
    block[i] = pattern(i);
  }
  spectrum_signal((float *)(void *)(block + offset), PROOF_POINTS);
}

bool proof_painted(const unsigned char *block, size_t bytes, size_t offset) {
  for (size_t i = 0; i < bytes; i++) {
    if ((i < offset || i >= offset + PROOF_BYTES) && block[i] != pattern(i)) {
      fprintf(stderr, "opencl_fft: byte %zu, outside of the data, was changed\n", i);
      return false;
    }
  }
  return true;
}

static const char *answer(bool yes) {
  return yes ? "yes" : "no";
}

bool proof_print(const struct proof *proof) {
  uint64_t copied = proof->zero_copy ? 0 : 2 * (uint64_t)PROOF_BYTES;
  printf("  %-26s %zu bytes, copied %5" PRIu64
         "; in place %s, in the region %s, the very pointer %s, neighbours intact %s, "
         "error %.1e\n",
         proof->name, PROOF_BYTES, proof->copied, answer(proof->in_place), answer(proof->in_region),
         answer(proof->very_pointer), answer(proof->neighbours), proof->error);
  bool good = proof->copied == copied && proof->in_place == proof->zero_copy && proof->in_region &&
              proof->very_pointer == proof->zero_copy && proof->neighbours && proof->error < SPECTRUM_TOLERANCE;
  if (!good) {
    fprintf(stderr, "opencl_fft: %s: that is not %s\n", proof->name,
            proof->zero_copy ? "zero copy" : "what shadowed memory must show");
  }
  return good;
}
