/* SPDX-License-Identifier: MIT */
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS /* clCreateCommandQueue: what follows it needs OpenCL 2.0 */
#include "cl_session.h"
#include <stdio.h>
#include <string.h>

#define PLATFORMS 8u
#define DEVICES 8u
#define PLATFORM_NOT_FOUND (-1001) /* CL_PLATFORM_NOT_FOUND_KHR, of the loader */

static const char source[] = "__kernel void reorder(__global float2 *data, uint bits) {\n"
                             "  uint i = get_global_id(0), mirror = 0;\n"
                             "  for (uint bit = 0; bit < bits; bit++) {\n"
                             "    mirror |= ((i >> bit) & 1u) << (bits - 1 - bit);\n"
                             "  }\n"
                             "  if (i < mirror) {\n"
                             "    float2 kept = data[i];\n"
                             "    data[i] = data[mirror];\n"
                             "    data[mirror] = kept;\n"
                             "  }\n"
                             "}\n"
                             "__kernel void butterflies(__global float2 *data, uint span) {\n"
                             "  uint i = get_global_id(0), k = i % span, even = 2 * (i - k) + k, odd = even + span;\n"
                             "  float angle = -M_PI_F * (float)k / (float)span, c = cos(angle), s = sin(angle);\n"
                             "  float2 a = data[even], b = data[odd];\n"
                             "  float2 turned = (float2)(b.x * c - b.y * s, b.x * s + b.y * c);\n"
                             "  data[even] = a + turned;\n"
                             "  data[odd] = a - turned;\n"
                             "}\n";

bool cl_session_ok(cl_int code, const char *what) {
  if (code != CL_SUCCESS) {
    fprintf(stderr, "opencl_fft: %s failed: %d\n", what, (int)code);
  }
  return code == CL_SUCCESS;
}

static bool device_flag(cl_device_id device, cl_device_info which) {
  cl_bool flag = CL_FALSE;
  return clGetDeviceInfo(device, which, sizeof flag, &flag, NULL) == CL_SUCCESS && flag != CL_FALSE;
}

static bool find_on(struct cl_session *session, cl_platform_id platform) {
  cl_device_id devices[DEVICES];
  cl_uint count = 0;
  if (clGetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, DEVICES, devices, &count) != CL_SUCCESS) {
    return false; /* also the answer of a platform without devices */
  }
  for (cl_uint i = 0; i < count && i < DEVICES; i++) {
    if (device_flag(devices[i], CL_DEVICE_HOST_UNIFIED_MEMORY) &&
        device_flag(devices[i], CL_DEVICE_COMPILER_AVAILABLE)) {
      session->platform = platform;
      session->device = devices[i];
      return true;
    }
  }
  return false;
}

static enum cl_session_state find_device(struct cl_session *session) {
  cl_platform_id platforms[PLATFORMS];
  cl_uint count = 0;
  cl_int code = clGetPlatformIDs(PLATFORMS, platforms, &count);
  if (code == PLATFORM_NOT_FOUND || (code == CL_SUCCESS && count == 0)) {
    fprintf(stderr, "opencl_fft: no OpenCL platform here\n");
    return CL_SESSION_NONE;
  }
  if (!cl_session_ok(code, "clGetPlatformIDs")) {
    return CL_SESSION_FAILED;
  }
  for (cl_uint i = 0; i < count && i < PLATFORMS; i++) {
    if (find_on(session, platforms[i])) {
      return CL_SESSION_READY;
    }
  }
  fprintf(stderr, "opencl_fft: no OpenCL device here that shares the host's memory and compiles kernels\n");
  return CL_SESSION_NONE;
}

static bool ask_device(struct cl_session *session) {
  cl_uint bits = 0;
  cl_device_svm_capabilities svm = 0;
  if (!cl_session_ok(clGetDeviceInfo(session->device, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof bits, &bits, NULL),
                     "CL_DEVICE_MEM_BASE_ADDR_ALIGN")) {
    return false;
  }
  session->align = bits < 8 ? 1 : bits / 8;
  /* A device of OpenCL 1 does not know the question: it has none. */
  session->fine_grained =
      clGetDeviceInfo(session->device, CL_DEVICE_SVM_CAPABILITIES, sizeof svm, &svm, NULL) == CL_SUCCESS &&
      (svm & CL_DEVICE_SVM_FINE_GRAIN_BUFFER) != 0;
  return true;
}

static bool build(struct cl_session *session) {
  const char *text = source;
  cl_int code;
  session->program = clCreateProgramWithSource(session->context, 1, &text, NULL, &code);
  if (!cl_session_ok(code, "clCreateProgramWithSource")) {
    return false;
  }
  if (!cl_session_ok(clBuildProgram(session->program, 1, &session->device, "", NULL, NULL), "clBuildProgram")) {
    char log[4096] = "";
    (void)clGetProgramBuildInfo(session->program, session->device, CL_PROGRAM_BUILD_LOG, sizeof log - 1, log, NULL);
    fprintf(stderr, "%s\n", log);
    return false;
  }
  session->reorder = clCreateKernel(session->program, "reorder", &code);
  if (!cl_session_ok(code, "clCreateKernel(reorder)")) {
    return false;
  }
  session->butterflies = clCreateKernel(session->program, "butterflies", &code);
  return cl_session_ok(code, "clCreateKernel(butterflies)");
}

static bool set_up(struct cl_session *session) {
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM, (cl_context_properties)session->platform, 0};
  cl_int code;
  session->context = clCreateContext(properties, 1, &session->device, NULL, NULL, &code);
  if (!cl_session_ok(code, "clCreateContext")) {
    return false;
  }
  session->queue = clCreateCommandQueue(session->context, session->device, 0, &code);
  return cl_session_ok(code, "clCreateCommandQueue") && ask_device(session) && build(session);
}

enum cl_session_state cl_session_open(struct cl_session *session) {
  memset(session, 0, sizeof *session);
  enum cl_session_state state = find_device(session);
  if (state == CL_SESSION_READY && !set_up(session)) {
    cl_session_close(session);
    return CL_SESSION_FAILED;
  }
  return state;
}

void cl_session_close(struct cl_session *session) {
  if (session->butterflies != NULL) {
    (void)clReleaseKernel(session->butterflies);
  }
  if (session->reorder != NULL) {
    (void)clReleaseKernel(session->reorder);
  }
  if (session->program != NULL) {
    (void)clReleaseProgram(session->program);
  }
  if (session->queue != NULL) {
    (void)clReleaseCommandQueue(session->queue);
  }
  if (session->context != NULL) {
    (void)clReleaseContext(session->context);
  }
}

bool cl_session_print(const struct cl_session *session) {
  char device[256] = "", platform[256] = "";
  if (!cl_session_ok(clGetDeviceInfo(session->device, CL_DEVICE_NAME, sizeof device - 1, device, NULL),
                     "CL_DEVICE_NAME") ||
      !cl_session_ok(clGetPlatformInfo(session->platform, CL_PLATFORM_NAME, sizeof platform - 1, platform, NULL),
                     "CL_PLATFORM_NAME")) {
    return false;
  }
  printf("Using OpenCL device '%s' of '%s', sub-buffers aligned to %zu bytes\n", device, platform, session->align);
  return true;
}

static bool enqueue(const struct cl_session *session, cl_kernel kernel, const struct cl_target *target, cl_uint number,
                    size_t items) {
  cl_int code = target->buffer != NULL ? clSetKernelArg(kernel, 0, sizeof target->buffer, &target->buffer)
                                       : clSetKernelArgSVMPointer(kernel, 0, target->svm);
  return cl_session_ok(code, "clSetKernelArg(0)") &&
         cl_session_ok(clSetKernelArg(kernel, 1, sizeof number, &number), "clSetKernelArg(1)") &&
         cl_session_ok(clEnqueueNDRangeKernel(session->queue, kernel, 1, NULL, &items, NULL, 0, NULL, NULL),
                       "clEnqueueNDRangeKernel");
}

bool cl_session_transform(const struct cl_session *session, const struct cl_target *target, size_t points) {
  cl_uint bits = 0;
  while ((size_t)1 << bits < points) {
    bits++;
  }
  bool good = enqueue(session, session->reorder, target, bits, points);
  for (cl_uint stage = 0; good && stage < bits; stage++) {
    good = enqueue(session, session->butterflies, target, 1u << stage, points / 2);
  }
  return cl_session_ok(clFinish(session->queue), "clFinish") && good;
}
