/* SPDX-License-Identifier: MIT */
/*
 * Sequences of calls against models: the first byte says of what, the rest are the calls and their arguments. Whatever
 * differs from the model, or is found by zcmem_heap_check or zcmem_hal_check after a call, aborts.
 */
#include "ops.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  struct fuzz_input in = {bytes, bytes + size};
  uint8_t what = fuzz_byte(&in) % 8;
  if (what == 0) {
    fuzz_heap(&in);
  } else if (what == 1) {
    fuzz_wide(&in);
  } else if (what == 6) {
    fuzz_hardened(&in);
  } else {
    fuzz_hal(&in);
  }
  return 0;
}
