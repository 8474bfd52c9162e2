/* SPDX-License-Identifier: MIT */
#include "cl_region.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_BLOCKS 256u
#define MAX_MAPPINGS 16u

static size_t offset_of(hal_addr_t addr) {
  return (size_t)(addr - CL_REGION_BUFFER_BASE);
}

static int buffer_map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  const struct cl_regions *regions = ctx;
  cl_map_flags how = 0;
  cl_int code;
  if ((flags & ZCMEM_MAP_READ) != 0) {
    how |= CL_MAP_READ;
  }
  if ((flags & ZCMEM_MAP_WRITE) != 0) {
    how |= CL_MAP_WRITE;
  }
  *host = clEnqueueMapBuffer(regions->session->queue, regions->buffer, CL_TRUE, how, offset_of(addr), (size_t)size, 0,
                             NULL, NULL, &code);
  return cl_session_ok(code, "clEnqueueMapBuffer") ? 0 : -1;
}

static int buffer_unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  const struct cl_regions *regions = ctx;
  cl_command_queue queue = regions->session->queue;
  (void)addr;
  (void)size;
  bool good =
      cl_session_ok(clEnqueueUnmapMemObject(queue, regions->buffer, host, 0, NULL, NULL), "clEnqueueUnmapMemObject");
  return cl_session_ok(clFinish(queue), "clFinish") && good ? 0 : -1;
}

static int buffer_read(void *ctx, void *dst, hal_addr_t src, hal_size_t size) {
  const struct cl_regions *regions = ctx;
  return cl_session_ok(clEnqueueReadBuffer(regions->session->queue, regions->buffer, CL_TRUE, offset_of(src),
                                           (size_t)size, dst, 0, NULL, NULL),
                       "clEnqueueReadBuffer")
             ? 0
             : -1;
}

static int buffer_write(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  const struct cl_regions *regions = ctx;
  return cl_session_ok(clEnqueueWriteBuffer(regions->session->queue, regions->buffer, CL_TRUE, offset_of(dst),
                                            (size_t)size, src, 0, NULL, NULL),
                       "clEnqueueWriteBuffer")
             ? 0
             : -1;
}

/* clEnqueueCopyBuffer refuses ranges that overlap; without it zcmem copies by read and write. */
static const struct zcmem_region_ops buffer_ops = {
    .map = buffer_map, .unmap = buffer_unmap, .read = buffer_read, .write = buffer_write};

static bool allocate(struct cl_regions *regions) {
  cl_context context = regions->session->context;
  cl_int code;
  if (regions->session->fine_grained) {
    regions->svm = clSVMAlloc(context, CL_MEM_READ_WRITE | CL_MEM_SVM_FINE_GRAIN_BUFFER, CL_REGION_BYTES,
                              (cl_uint)regions->session->align);
    if (regions->svm == NULL) {
      fprintf(stderr, "opencl_fft: clSVMAlloc failed\n");
      return false;
    }
  }
  regions->buffer = clCreateBuffer(context, CL_MEM_READ_WRITE | CL_MEM_ALLOC_HOST_PTR, CL_REGION_BYTES, NULL, &code);
  return cl_session_ok(code, "clCreateBuffer");
}

static enum zcmem_status make_hal(struct cl_regions *regions) {
  const struct zcmem_hal_config config = {.name = "OpenCL", .max_regions = 2, .max_mappings = MAX_MAPPINGS};
  const struct zcmem_region_config configs[2] = {
      {.name = "buffer",
       .kind = ZCMEM_KIND_USER,
       .flags = ZCMEM_REGION_COHERENT,
       .base = CL_REGION_BUFFER_BASE,
       .size = CL_REGION_BYTES,
       .quantum = regions->session->align,
       .max_blocks = MAX_BLOCKS,
       .ops = &buffer_ops,
       .ctx = regions},
      {.name = "svm",
       .kind = ZCMEM_KIND_DRAM,
       .flags = ZCMEM_REGION_COHERENT,
       .base = (hal_addr_t)(uintptr_t)regions->svm,
       .size = CL_REGION_BYTES,
       .quantum = regions->session->align,
       .max_blocks = MAX_BLOCKS,
       .host = regions->svm},
  };
  return zcmem_hal_create(&config, configs, regions->svm == NULL ? 1 : 2, &regions->hal);
}

bool cl_regions_open(struct cl_regions *regions, const struct cl_session *session) {
  memset(regions, 0, sizeof *regions);
  regions->session = session;
  if (!allocate(regions)) {
    (void)cl_regions_close(regions);
    return false;
  }
  enum zcmem_status status = make_hal(regions);
  if (status != ZCMEM_OK) {
    fprintf(stderr, "opencl_fft: regions: %s\n", zcmem_status_string(status));
    (void)cl_regions_close(regions);
    return false;
  }
  return true;
}

bool cl_regions_close(struct cl_regions *regions) {
  uint64_t left = zcmem_hal_destroy(regions->hal);
  if (regions->buffer != NULL) {
    (void)clReleaseMemObject(regions->buffer);
  }
  if (regions->svm != NULL) {
    clSVMFree(regions->session->context, regions->svm);
  }
  if (left != 0) {
    fprintf(stderr, "opencl_fft: %" PRIu64 " blocks are left\n", left);
  }
  return left == 0;
}

cl_mem cl_regions_sub_buffer(const struct cl_regions *regions, hal_addr_t addr, size_t size) {
  const cl_buffer_region part = {.origin = offset_of(addr), .size = size};
  cl_int code;
  cl_mem made = clCreateSubBuffer(regions->buffer, 0, CL_BUFFER_CREATE_TYPE_REGION, &part, &code);
  return cl_session_ok(code, "clCreateSubBuffer") ? made : NULL;
}
