/* SPDX-License-Identifier: MIT */
/*
 * A real OpenCL runtime as the witness of zero copy, in both directions: OpenCL buffers over memory that zcmem handed
 * out, and zcmem handing out memory that the OpenCL runtime owns. Each line is a Fourier transform by OpenCL kernels
 * and what was seen of it (proof.h).
 *
 * Exit status 0 only if every line is as it must be; 77 if there is no suitable OpenCL device here.
 */
#include "cl_region.h"
#include "mapped.h"
#include "pointers.h"
#include <stdio.h>
#include <stdlib.h>

#define NO_DEVICE 77

/* Memory of zcmem's default device, which is host memory. */
static bool over_zcmem(const struct cl_session *session, const struct spectrum *spectrum) {
  struct stage stage;
  struct zcmem_hal *hal = zcmem_malloc_hal();
  if (hal == NULL) {
    fprintf(stderr, "opencl_fft: no default device\n");
    return false;
  }
  printf("Buffers of OpenCL (CL_MEM_USE_HOST_PTR) over memory of zcmem:\n");
  if (!stage_open(&stage, session, spectrum, hal)) {
    return false;
  }
  bool good = pointers_prove(&stage, false);
  return stage_close(&stage) && good;
}

static bool in_regions(struct stage *stage, const struct cl_regions *regions) {
  bool good = true;
  if (regions->svm == NULL) {
    printf("Shared virtual memory of OpenCL: the device has none that is fine-grained\n");
  } else {
    printf("Shared virtual memory of OpenCL as a region of zcmem:\n");
    good = pointers_prove(stage, true);
  }
  printf("A buffer of OpenCL (CL_MEM_ALLOC_HOST_PTR) as a region of zcmem:\n");
  return mapped_prove(stage, regions) && good;
}

/* From here on __malloc_ddr hands out the runtime's memory. */
static bool over_opencl(const struct cl_session *session, const struct spectrum *spectrum) {
  struct cl_regions regions;
  struct stage stage;
  bool good = false;
  if (!cl_regions_open(&regions, session)) {
    return false;
  }
  if (proof_ok(zcmem_malloc_set_hal(regions.hal), "zcmem_malloc_set_hal") &&
      stage_open(&stage, session, spectrum, regions.hal)) {
    good = in_regions(&stage, &regions);
    good = stage_close(&stage) && good;
  }
  good = proof_ok(zcmem_malloc_set_hal(NULL), "zcmem_malloc_set_hal") && good;
  return cl_regions_close(&regions) && good;
}

static bool run(const struct cl_session *session) {
  struct spectrum spectrum;
  if (!cl_session_print(session)) {
    return false;
  }
  if (!spectrum_create(&spectrum, PROOF_POINTS)) {
    fprintf(stderr, "opencl_fft: no memory for the reference\n");
    return false;
  }
  bool good = over_zcmem(session, &spectrum);
  good = over_opencl(session, &spectrum) && good;
  spectrum_destroy(&spectrum);
  return good;
}

int main(int argc, char **argv) {
  if (argc > 1) {
    fprintf(stderr, "opencl_fft: no argument '%s'; usage: opencl_fft\n", argv[1]);
    return 2;
  }
  struct cl_session session;
  enum cl_session_state state = cl_session_open(&session);
  if (state == CL_SESSION_NONE) {
    return NO_DEVICE;
  }
  if (state == CL_SESSION_FAILED) {
    return EXIT_FAILURE;
  }
  bool good = run(&session);
  cl_session_close(&session);
  if (good) {
    printf("Results validated successfully.\n");
  }
  if (fflush(stdout) != 0 || ferror(stdout)) {
    fprintf(stderr, "opencl_fft: the output could not be written\n");
    good = false;
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
