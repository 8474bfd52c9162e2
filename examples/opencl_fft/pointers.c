/* SPDX-License-Identifier: MIT */
#include "pointers.h"
#include <stdio.h>
#include <stdlib.h>
#include <zcmem/ti_malloc.h>

/* The data of one transform, and what wraps it. */
struct job {
  struct stage *stage;
  unsigned char *block;
  size_t bytes;  /* of the block */
  size_t offset; /* of the data */
  bool sub;      /* the whole block is a buffer, the data is a sub-buffer: in zcmem and in OpenCL */
  bool svm;
  zcmem_buffer_t whole, part;
  cl_mem cl_whole;
  struct cl_target target;
};

/* The application's memory becomes a buffer: what a library does with it. */
static bool wrap(struct job *job) {
  struct zcmem_buffer_config config = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE | ZCMEM_BUFFER_USE_HOST,
                                       .host = job->sub ? job->block : job->block + job->offset,
                                       .size = job->sub ? job->bytes : PROOF_BYTES};
  if (!proof_ok(zcmem_hal_find_kind(job->stage->hal, ZCMEM_KIND_DRAM, 0, &config.region), "region") ||
      !proof_ok(zcmem_buffer_create(job->stage->buffers, &config, &job->whole), "zcmem_buffer_create")) {
    return false;
  }
  if (!job->sub) {
    return true;
  }
  return proof_ok(zcmem_buffer_create_sub(job->stage->buffers, job->whole, 0, job->offset, PROOF_BYTES, &job->part),
                  "zcmem_buffer_create_sub");
}

static bool unwrap(struct job *job) {
  bool good = true;
  if (job->part != 0) {
    good = proof_ok(zcmem_buffer_release(job->stage->buffers, job->part), "zcmem_buffer_release");
  }
  if (job->whole != 0) {
    good = proof_ok(zcmem_buffer_release(job->stage->buffers, job->whole), "zcmem_buffer_release") && good;
  }
  return good;
}

/* What the kernels get for the device address. */
static bool open_target(struct job *job, hal_addr_t addr) {
  const struct cl_session *session = job->stage->session;
  const cl_mem_flags flags = CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR;
  void *host;
  cl_int code;
  if (job->svm) {
    job->target.svm = (void *)(uintptr_t)addr;
    return true;
  }
  if (!proof_ok(zcmem_mem_host(job->stage->hal, addr, PROOF_BYTES, &host), "zcmem_mem_host")) {
    return false;
  }
  if (!job->sub) {
    job->target.buffer = clCreateBuffer(session->context, flags, PROOF_BYTES, host, &code);
    return cl_session_ok(code, "clCreateBuffer");
  }
  const cl_buffer_region part = {.origin = job->offset, .size = PROOF_BYTES};
  job->cl_whole = clCreateBuffer(session->context, flags, job->bytes, (char *)host - job->offset, &code);
  if (!cl_session_ok(code, "clCreateBuffer")) {
    return false;
  }
  job->target.buffer = clCreateSubBuffer(job->cl_whole, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &code);
  return cl_session_ok(code, "clCreateSubBuffer");
}

static void close_target(struct job *job) {
  if (job->target.buffer != NULL) {
    (void)clReleaseMemObject(job->target.buffer);
  }
  if (job->cl_whole != NULL) {
    (void)clReleaseMemObject(job->cl_whole);
  }
}

/* Where the runtime says that the host sees the data; NULL where it does not say. */
static const void *runtime_pointer(struct job *job) {
  const struct cl_session *session = job->stage->session;
  cl_int code;
  if (job->svm) {
    return job->target.svm;
  }
  void *mapped = clEnqueueMapBuffer(session->queue, job->target.buffer, CL_TRUE, CL_MAP_READ, 0, PROOF_BYTES, 0, NULL,
                                    NULL, &code);
  if (!cl_session_ok(code, "clEnqueueMapBuffer")) {
    return NULL;
  }
  bool good = cl_session_ok(clEnqueueUnmapMemObject(session->queue, job->target.buffer, mapped, 0, NULL, NULL),
                            "clEnqueueUnmapMemObject");
  return cl_session_ok(clFinish(session->queue), "clFinish") && good ? mapped : NULL;
}

/* In the order that matters: looks at the host's bytes before any call that might bring them there. */
static bool compute(struct job *job, hal_addr_t addr, struct proof *proof) {
  const unsigned char *data = job->block + job->offset;
  if (!cl_session_transform(job->stage->session, &job->target, PROOF_POINTS)) {
    return false;
  }
  proof->in_place = stage_is_spectrum(job->stage, data);
  proof->in_region = stage_is_spectrum_at(job->stage, addr);
  proof->very_pointer = runtime_pointer(job) == data;
  return true;
}

static bool use_device(struct job *job, struct proof *proof) {
  struct zcmem_buffers *buffers = job->stage->buffers;
  struct zcmem_view view;
  zcmem_buffer_t buffer = job->sub ? job->part : job->whole;
  if (!proof_ok(zcmem_buffer_begin(buffers, buffer, 0, PROOF_BYTES, 0, NULL, &view), "zcmem_buffer_begin")) {
    return false;
  }
  bool good = open_target(job, view.addr) && compute(job, view.addr, proof);
  close_target(job);
  return proof_ok(zcmem_buffer_end(buffers, view.id), "zcmem_buffer_end") && good;
}

static bool prove(struct job *job, const char *name, bool zero_copy) {
  struct proof proof = {.name = name, .zero_copy = zero_copy};
  const float *data = (const float *)(const void *)(job->block + job->offset);
  uint64_t before = stage_copied(job->stage);
  proof_paint(job->block, job->bytes, job->offset);
  bool good = wrap(job) && use_device(job, &proof);
  good = unwrap(job) && good;
  if (!good) {
    fprintf(stderr, "opencl_fft: %s: no result\n", name);
    return false;
  }
  proof.copied = stage_copied(job->stage) - before;
  proof.neighbours = proof_painted(job->block, job->bytes, job->offset);
  proof.error = spectrum_error(job->stage->spectrum, data);
  return proof_print(&proof);
}

bool pointers_prove(struct stage *stage, bool svm) {
  /* OpenCL lets a sub-buffer start at multiples of the device's alignment; __malloc_ddr aligns to 128. */
  size_t align = stage->session->align < ZCMEM_MALLOC_ALIGN ? ZCMEM_MALLOC_ALIGN : stage->session->align;
  size_t bytes = PROOF_BYTES + 8 * align;
  unsigned char *device = __malloc_ddr(bytes), *host = malloc(bytes);
  bool good = device != NULL && host != NULL;
  if (!good) {
    fprintf(stderr, "opencl_fft: no memory to work in\n");
  } else {
    const struct job job = {.stage = stage, .bytes = bytes, .svm = svm};
    struct job start = job, interior = job, sub = job, shadow = job;
    start.block = interior.block = sub.block = device;
    shadow.block = host;
    interior.offset = 3 * align;
    sub.offset = 5 * align;
    sub.sub = true;
    good = prove(&start, "__malloc_ddr", true);
    good = prove(&interior, "__malloc_ddr, interior", true) && good;
    good = prove(&sub, "__malloc_ddr, sub-buffer", true) && good;
    good = prove(&shadow, "malloc, for comparison", false) && good;
    /* The shadow was elsewhere: this block is as the transform before left it. */
    good = proof_painted(device, bytes, sub.offset) && stage_is_spectrum(stage, device + sub.offset) && good;
  }
  __free_ddr(device);
  free(host);
  return good;
}
