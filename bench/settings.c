/* SPDX-License-Identifier: MIT */
#include "settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct bench_settings bench_settings = {.rounds = 7, .seed = 1};

static void append(char *text, size_t size, const char *name, uint64_t value) {
  size_t used = strlen(text);
  snprintf(text + used, size - used, ";%s=%" PRIu64, name, value);
}

void bench_settings_append_variant(char *parameters, size_t size) {
  if (bench_settings.seed != 1) {
    append(parameters, size, "seed", bench_settings.seed);
  }
  size_t used = strlen(parameters);
  if (bench_settings.layer == BENCH_LAYER_HEAP) {
    snprintf(parameters + used, size - used, ";layer=heap");
  } else if (bench_settings.magazines == BENCH_MAGAZINES_OFF) {
    snprintf(parameters + used, size - used, ";magazines=off");
  } else if (bench_settings.magazines == BENCH_MAGAZINES_CONTEXT) {
    snprintf(parameters + used, size - used, ";magazines=context");
  }
}

void bench_settings_append(char *parameters, size_t size) {
  if (bench_settings.region) {
    append(parameters, size, "region", bench_settings.region);
  }
  bench_settings_append_variant(parameters, size);
}

void bench_settings_default_threads(void) {
  struct bench_numbers *threads = &bench_settings.threads;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  uint64_t most = processors > 0 ? (uint64_t)processors : 1;
  most = most < BENCH_MAX_THREADS ? most : BENCH_MAX_THREADS;
  if (threads->count) {
    return;
  }
  for (uint64_t n = 1; n < most; n *= 2) {
    threads->value[threads->count++] = n;
  }
  threads->value[threads->count++] = most;
}
