/* SPDX-License-Identifier: MIT */
/*
 * What all fuzz targets share: the entry that libFuzzer, AFL++ and the reproducer (replay.c) call, and how numbers are
 * drawn from an input. An input that has ended gives zeros.
 */
#ifndef ZCMEM_TESTS_FUZZ_FUZZ_H
#define ZCMEM_TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

struct fuzz_input {
  const uint8_t *at, *end;
};

static inline bool fuzz_more(const struct fuzz_input *in) {
  return in->at < in->end;
}

static inline uint8_t fuzz_byte(struct fuzz_input *in) {
  return fuzz_more(in) ? *in->at++ : 0;
}

static inline uint64_t fuzz_word(struct fuzz_input *in, unsigned bytes) {
  uint64_t word = 0;
  for (unsigned i = 0; i < bytes; i++) {
    word |= (uint64_t)fuzz_byte(in) << (8 * i);
  }
  return word;
}

/* 0 ... limit - 1, from as few bytes as may do; limit 0: 0 */
static inline uint64_t fuzz_below(struct fuzz_input *in, uint64_t limit) {
  unsigned bytes = limit <= 256 ? 1 : limit <= 65536 ? 2 : limit <= UINT32_MAX ? 4 : 8;
  return limit == 0 ? 0 : fuzz_word(in, bytes) % limit;
}

/* A size: mostly up to `most`, often a few units, sometimes just beside `most`, and now and then anything. */
static inline uint64_t fuzz_size(struct fuzz_input *in, uint64_t unit, uint64_t most) {
  uint8_t how = fuzz_byte(in), more = how >> 3;
  switch (how & 7) {
  case 0:
    return more;
  case 1:
    return unit * more;
  case 2:
    return unit * (1u + more) - 1;
  case 3:
    return more < 16 ? most - (more & 1u) : more < 24 ? most + 1 : most / 2;
  case 4:
    return more < 8 ? UINT64_MAX - more : more < 16 ? UINT64_C(1) << (more * 4) : 1u + more;
  default:
    return 1 + fuzz_below(in, most);
  }
}

#endif
