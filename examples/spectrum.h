/* SPDX-License-Identifier: MIT */
/*
 * A signal and its spectrum, to check Fourier transforms with. Data are complex: `points` pairs of real and imaginary
 * part. The reference is the sum that defines the transform, in double precision: nothing is shared with an FFT.
 */
#ifndef ZCMEM_EXAMPLES_SPECTRUM_H
#define ZCMEM_EXAMPLES_SPECTRUM_H

#include <stdbool.h>
#include <stddef.h>

struct spectrum {
  size_t points;
  double *reference; /* of the signal */
  double largest;    /* magnitude in it */
};

/* Largest error of a transform that counts as right. */
#define SPECTRUM_TOLERANCE 1e-4

/* The signal: two tones and noise, the same in every run. */
void spectrum_signal(float *data, size_t points);

/* Transforms the signal. False iff there is no memory. O(points^2). */
bool spectrum_create(struct spectrum *spectrum, size_t points);
void spectrum_destroy(struct spectrum *spectrum);

/* The largest difference of a point from the reference, relative to the largest magnitude; infinite where data has
 * a NaN. */
double spectrum_error(const struct spectrum *spectrum, const float *data);

#endif
