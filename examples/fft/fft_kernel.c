/* SPDX-License-Identifier: MIT */
#include "fft_kernel.h"
#include <math.h>

static void swap(float *a, float *b) {
  float kept = *a;
  *a = *b;
  *b = kept;
}

/* Point i goes where i is with its bits in reverse order: `mirror` counts upwards from the other end. */
static void reorder(float *data, size_t points) {
  size_t mirror = 0;
  for (size_t i = 0; i < points; i++) {
    if (i < mirror) {
      swap(&data[2 * i], &data[2 * mirror]);
      swap(&data[2 * i + 1], &data[2 * mirror + 1]);
    }
    size_t bit = points >> 1;
    while (bit != 0 && (mirror & bit) != 0) {
      mirror ^= bit;
      bit >>= 1;
    }
    mirror |= bit;
  }
}

static void butterfly(float *even, float *odd, float c, float s) {
  float real = odd[0] * c - odd[1] * s;
  float imaginary = odd[0] * s + odd[1] * c;
  odd[0] = even[0] - real;
  odd[1] = even[1] - imaginary;
  even[0] += real;
  even[1] += imaginary;
}

bool fft_kernel(const struct device_map *map, const uint64_t *args) {
  static const double pi = 3.1415926535897932384626433832795;
  hal_size_t bytes = args[1] * 2 * sizeof(float);
  if (args[1] > SIZE_MAX / (2 * sizeof(float)) || (args[1] & (args[1] - 1)) != 0) {
    return false;
  }
  float *data = device_map_find(map, args[0], bytes);
  if (data == NULL) {
    return false;
  }
  size_t points = (size_t)args[1];
  reorder(data, points);
  for (size_t half = 1; half < points; half *= 2) {
    for (size_t k = 0; k < half; k++) {
      double angle = -pi * (double)k / (double)half;
      float c = (float)cos(angle), s = (float)sin(angle);
      for (size_t at = k; at < points; at += 2 * half) {
        butterfly(&data[2 * at], &data[2 * (at + half)], c, s);
      }
    }
  }
  return true;
}
