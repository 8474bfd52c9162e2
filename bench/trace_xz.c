/* SPDX-License-Identifier: MIT */
/* xz files, where liblzma was found at build time. */
#include "trace.h"

#include <string.h>

bool bench_xz_recognise(const uint8_t *bytes, size_t size) {
  static const uint8_t magic[] = {0xfd, '7', 'z', 'X', 'Z', 0};
  return size >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

#ifdef ZCMEM_BENCH_LZMA
#include <lzma.h>
#include <stdlib.h>

/* A small file can unpack to anything: these bound what a hostile one can make us take. */
#define MAX_OUTPUT ((size_t)1 << 30)
#define MAX_DECODER_MEMORY ((uint64_t)256 << 20)

static bool decode_all(lzma_stream *stream, uint8_t **out, size_t *capacity, const char **what) {
  for (;;) {
    lzma_ret ret = lzma_code(stream, LZMA_FINISH);
    if (ret == LZMA_STREAM_END) {
      return true;
    }
    if (ret != LZMA_OK) {
      *what = "the xz data is damaged or cut short";
      return false;
    }
    if (stream->avail_out > 0) {
      continue;
    }
    uint8_t *larger = *capacity < MAX_OUTPUT ? realloc(*out, *capacity * 2) : NULL;
    if (!larger) {
      *what = "the xz data unpacks to more than a trace may be";
      return false;
    }
    *out = larger;
    stream->next_out = larger + *capacity;
    stream->avail_out = *capacity;
    *capacity *= 2;
  }
}

bool bench_xz_decompress(const uint8_t *bytes, size_t size, uint8_t **out, size_t *out_size, const char **what) {
  lzma_stream stream = LZMA_STREAM_INIT;
  size_t capacity = 1u << 20;
  uint8_t *plain = malloc(capacity);
  if (!plain || lzma_stream_decoder(&stream, MAX_DECODER_MEMORY, LZMA_CONCATENATED) != LZMA_OK) {
    free(plain);
    *what = "no memory to unpack xz";
    return false;
  }
  stream.next_in = bytes;
  stream.avail_in = size;
  stream.next_out = plain;
  stream.avail_out = capacity;
  bool good = decode_all(&stream, &plain, &capacity, what);
  *out_size = capacity - stream.avail_out;
  lzma_end(&stream);
  if (!good) {
    free(plain);
    return false;
  }
  *out = plain;
  return true;
}

#else

bool bench_xz_decompress(const uint8_t *bytes, size_t size, uint8_t **out, size_t *out_size, const char **what) {
  (void)bytes;
  (void)size;
  (void)out;
  (void)out_size;
  *what = "xz: zcmem-bench was built without liblzma; unpack the file first";
  return false;
}

#endif
