/* SPDX-License-Identifier: MIT */
#include "mapped.h"
#include <stdio.h>

struct job {
  struct stage *stage;
  const struct cl_regions *regions;
  zcmem_buffer_t whole, part;
  size_t bytes, offset;
  const void *written; /* where the host saw the data when it wrote them */
};

static bool make(struct job *job) {
  struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE | ZCMEM_BUFFER_ALLOC_HOST,
                                       .size = job->bytes};
  return proof_ok(zcmem_hal_find_region(job->stage->hal, "buffer", &config.region), "region") &&
         proof_ok(zcmem_buffer_create(job->stage->buffers, &config, &job->whole), "zcmem_buffer_create") &&
         proof_ok(zcmem_buffer_create_sub(job->stage->buffers, job->whole, 0, job->offset, PROOF_BYTES, &job->part),
                  "zcmem_buffer_create_sub");
}

static bool drop(struct job *job) {
  bool good = true;
  if (job->part != 0) {
    good = proof_ok(zcmem_buffer_release(job->stage->buffers, job->part), "zcmem_buffer_release");
  }
  if (job->whole != 0) {
    good = proof_ok(zcmem_buffer_release(job->stage->buffers, job->whole), "zcmem_buffer_release") && good;
  }
  return good;
}

static bool host_writes(struct job *job) {
  struct zcmem_buffers *buffers = job->stage->buffers;
  struct zcmem_view view;
  if (!proof_ok(zcmem_buffer_map(buffers, job->whole, 0, job->bytes, ZCMEM_MAP_WRITE, NULL, &view),
                "zcmem_buffer_map")) {
    return false;
  }
  proof_paint(view.host, job->bytes, job->offset);
  job->written = (const char *)view.host + job->offset;
  return proof_ok(zcmem_buffer_unmap(buffers, view.id), "zcmem_buffer_unmap");
}

static bool device_computes(struct job *job, struct proof *proof) {
  struct zcmem_buffers *buffers = job->stage->buffers;
  struct zcmem_view view;
  if (!proof_ok(zcmem_buffer_begin(buffers, job->part, 0, PROOF_BYTES, 0, NULL, &view), "zcmem_buffer_begin")) {
    return false;
  }
  const struct cl_target target = {.buffer = cl_regions_sub_buffer(job->regions, view.addr, PROOF_BYTES)};
  bool good = target.buffer != NULL && cl_session_transform(job->stage->session, &target, PROOF_POINTS);
  if (good) {
    proof->in_region = stage_is_spectrum_at(job->stage, view.addr);
  }
  if (target.buffer != NULL) {
    (void)clReleaseMemObject(target.buffer);
  }
  return proof_ok(zcmem_buffer_end(buffers, view.id), "zcmem_buffer_end") && good;
}

static bool host_reads(struct job *job, struct proof *proof) {
  struct zcmem_buffers *buffers = job->stage->buffers;
  struct zcmem_view view;
  if (!proof_ok(zcmem_buffer_map(buffers, job->whole, 0, job->bytes, ZCMEM_MAP_READ, NULL, &view),
                "zcmem_buffer_map")) {
    return false;
  }
  const float *data = (const float *)(const void *)((const char *)view.host + job->offset);
  proof->very_pointer = data == job->written;
  proof->error = spectrum_error(job->stage->spectrum, data);
  proof->in_place = stage_is_spectrum(job->stage, data);
  proof->neighbours = proof_painted(view.host, job->bytes, job->offset);
  return proof_ok(zcmem_buffer_unmap(buffers, view.id), "zcmem_buffer_unmap");
}

bool mapped_prove(struct stage *stage, const struct cl_regions *regions) {
  size_t align = stage->session->align;
  struct job job = {.stage = stage, .regions = regions, .bytes = PROOF_BYTES + 8 * align, .offset = 5 * align};
  struct proof proof = {.name = "map, kernel, map", .zero_copy = true};
  uint64_t before = stage_copied(stage);
  bool good = make(&job) && host_writes(&job) && device_computes(&job, &proof) && host_reads(&job, &proof);
  good = drop(&job) && good;
  if (!good) {
    fprintf(stderr, "opencl_fft: %s: no result\n", proof.name);
    return false;
  }
  proof.copied = stage_copied(stage) - before;
  return proof_print(&proof);
}
