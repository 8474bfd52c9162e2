/* SPDX-License-Identifier: MIT */
/*
 * A device of an OpenCL runtime, with a queue and the kernels of a Fourier transform. Only a device that shares the
 * host's memory will do: another one may keep copies of a CL_MEM_USE_HOST_PTR buffer, and rightly so.
 */
#ifndef ZCMEM_EXAMPLES_CL_SESSION_H
#define ZCMEM_EXAMPLES_CL_SESSION_H

#define CL_TARGET_OPENCL_VERSION 200
#include <CL/cl.h>
#include <stdbool.h>
#include <stddef.h>

struct cl_session {
  cl_platform_id platform;
  cl_device_id device;
  cl_context context;
  cl_command_queue queue; /* in order */
  cl_program program;
  cl_kernel reorder, butterflies;
  size_t align;      /* CL_DEVICE_MEM_BASE_ADDR_ALIGN, in bytes: where a sub-buffer may start */
  bool fine_grained; /* host and device may use the same allocation of SVM at any time */
};

/* What a kernel works on: a buffer or, where that is NULL, shared virtual memory. */
struct cl_target {
  cl_mem buffer;
  void *svm;
};

enum cl_session_state { CL_SESSION_READY, CL_SESSION_NONE, CL_SESSION_FAILED };

/* READY: the session can be used. NONE: there is no suitable device here. Says on stderr why, if not READY. */
enum cl_session_state cl_session_open(struct cl_session *session);
void cl_session_close(struct cl_session *session);

/* Prints the device's line. */
bool cl_session_print(const struct cl_session *session);

/*
 * Forward transform in place of `points` complex points (pairs of float), a power of two; waits for the kernels. Makes
 * no call that reads, writes or maps.
 */
bool cl_session_transform(const struct cl_session *session, const struct cl_target *target, size_t points);

/* True iff code is CL_SUCCESS; else a line on stderr tells what failed. */
bool cl_session_ok(cl_int code, const char *what);

#endif
