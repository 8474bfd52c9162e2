/* SPDX-License-Identifier: MIT */
/* Every parser of text or files in the tree: the first byte says which. */
#include "parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static void (*const parsers[8])(const uint8_t *bytes,
                                  size_t size) = {fuzz_trace, fuzz_trace, fuzz_trace_sealed, fuzz_trace_sealed,
                                                  fuzz_args,  fuzz_args,  fuzz_environment,  fuzz_trace_name};
  if (size > 0 && bytes[0] == 'x') { /* slow: one letter only */
    fuzz_trace_xz(bytes + 1, size - 1);
  } else if (size > 0 && bytes[0] == 'E') {
    fuzz_events(bytes + 1, size - 1);
  } else if (size > 0 && bytes[0] == '{') { /* as a dump begins */
    fuzz_dump(bytes, size);
  } else if (size > 0) {
    parsers[bytes[0] % 8](bytes + 1, size - 1);
  }
  return 0;
}

bool fuzz_read_size(const char *text, size_t size, uint64_t *number) {
  size_t digits = 0, unit = 0;
  while (digits < size && text[digits] >= '0' && text[digits] <= '9') {
    digits++;
  }
  if (digits < size) {
    const char *units = "KMG", *found = text[digits] == '\0' ? NULL : strchr(units, text[digits]);
    unit = found == NULL ? 0 : (size_t)(found - units) + 1;
  }
  if (digits == 0 || digits + (unit > 0) != size) {
    return false;
  }
  *number = 0;
  for (size_t i = 0; i < digits; i++) { /* sums only, and in halves: nothing to share with the parsers */
    uint64_t ten = *number;
    for (unsigned k = 0; k < 9; k++) {
      if (ten + *number < ten) {
        return false;
      }
      ten += *number;
    }
    if (ten + (uint64_t)(text[i] - '0') < ten) {
      return false;
    }
    *number = ten + (uint64_t)(text[i] - '0');
  }
  for (size_t i = 0; i < 10 * unit; i++) {
    if (*number > UINT64_MAX / 2) {
      return false;
    }
    *number *= 2;
  }
  return true;
}
