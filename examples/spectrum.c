/* SPDX-License-Identifier: MIT */
#include "spectrum.h"
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

static const double two_pi = 6.283185307179586476925286766559;

void spectrum_signal(float *data, size_t points) {
  uint32_t noise = 1;
  for (size_t i = 0; i < points; i++) {
    double at = two_pi * (double)i / (double)points;
    noise = noise * 1664525u + 1013904223u;
    double hiss = (double)(noise >> 8) / (double)(1u << 24) - 0.5;
    data[2 * i] = (float)(0.5 * cos(5 * at) + 0.25 * hiss);
    data[2 * i + 1] = (float)(0.125 * sin(77 * at) - 0.25 * hiss);
  }
}

static void transform(struct spectrum *spectrum, const float *signal, const double *unit) {
  size_t points = spectrum->points;
  for (size_t k = 0; k < points; k++) {
    double real = 0, imaginary = 0;
    size_t turn = 0; /* j * k modulo points */
    for (size_t j = 0; j < points; j++) {
      double a = (double)signal[2 * j], b = (double)signal[2 * j + 1];
      double c = unit[2 * turn], s = unit[2 * turn + 1];
      real += a * c - b * s;
      imaginary += a * s + b * c;
      turn = (turn + k) % points;
    }
    spectrum->reference[2 * k] = real;
    spectrum->reference[2 * k + 1] = imaginary;
    spectrum->largest = fmax(spectrum->largest, hypot(real, imaginary));
  }
}

bool spectrum_create(struct spectrum *spectrum, size_t points) {
  float *signal = malloc(points * 2 * sizeof *signal);
  double *unit = malloc(points * 2 * sizeof *unit); /* the roots of unity */
  spectrum->points = points;
  spectrum->largest = 0;
  spectrum->reference = malloc(points * 2 * sizeof *spectrum->reference);
  bool good = signal != NULL && unit != NULL && spectrum->reference != NULL;
  if (good) {
    for (size_t i = 0; i < points; i++) {
      unit[2 * i] = cos(-two_pi * (double)i / (double)points);
      unit[2 * i + 1] = sin(-two_pi * (double)i / (double)points);
    }
    spectrum_signal(signal, points);
    transform(spectrum, signal, unit);
  } else {
    spectrum_destroy(spectrum);
  }
  free(signal);
  free(unit);
  return good;
}

void spectrum_destroy(struct spectrum *spectrum) {
  free(spectrum->reference);
  spectrum->reference = NULL;
}

double spectrum_error(const struct spectrum *spectrum, const float *data) {
  double worst = 0;
  for (size_t i = 0; i < spectrum->points; i++) {
    double real = (double)data[2 * i] - spectrum->reference[2 * i];
    double imaginary = (double)data[2 * i + 1] - spectrum->reference[2 * i + 1];
    double error = hypot(real, imaginary) / spectrum->largest;
    if (!(error <= worst)) { /* a NaN is not, either */
      worst = isnan(error) ? (double)INFINITY : error;
    }
  }
  return worst;
}
