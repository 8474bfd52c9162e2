/* SPDX-License-Identifier: MIT */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS, MAP_NORESERVE */
#endif
#include "memory.h"

#include "report.h"

#include <stdio.h>
#include <sys/mman.h>

void *bench_map(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return memory == MAP_FAILED ? NULL : memory;
}

void bench_unmap(void *memory, size_t bytes) {
  if (memory) {
    munmap(memory, bytes);
  }
}

bool bench_resident(uint64_t *bytes) {
  static const char path[] = "/proc/self/smaps_rollup";
  FILE *file = fopen(path, "r");
  unsigned long long kib = 0;
  char line[128];
  bool known = false;
  while (file && !known && fgets(line, sizeof line, file)) {
    known = sscanf(line, "Anonymous: %llu kB", &kib) == 1;
  }
  if (file) {
    fclose(file);
  }
  if (!known) {
    bench_error("%s does not say what is resident", path);
  }
  *bytes = (uint64_t)kib * 1024;
  return known;
}
