/* SPDX-License-Identifier: MIT */
/*
 * Events as bytes: what is accepted is an event, and is the same one when it is written and read again; and files of
 * events whose sums are right, as a trace.
 */
#include "parse.h"

#include "../unit.h"
#include <stdlib.h>
#include <zcmem/debug.h>

static void expect_event(const uint8_t *bytes, size_t size) {
  struct zcmem_event event, again;
  uint8_t written[ZCMEM_EVENT_BYTES];
  size_t used = 0, used_again = 0;
  enum zcmem_status status = zcmem_event_decode(bytes, size, &event, &used);
  assert_true(status == ZCMEM_OK || status == ZCMEM_EBOUNDS || status == ZCMEM_ECORRUPT);
  if (status != ZCMEM_OK) {
    return;
  }
  assert_true(used > 1 && used <= size);
  assert_int_equal(event.reserved, 0);
  size_t length = zcmem_event_encode(&event, written);
  assert_true(length > 1 && length <= sizeof written);
  assert_int_equal(zcmem_event_decode(written, length, &again, &used_again), ZCMEM_OK);
  assert_int_equal(used_again, length);
  assert_memory_equal(&event, &again, sizeof event);
  for (size_t cut = 0; cut < length; cut++) {
    assert_int_equal(zcmem_event_decode(written, cut, &again, &used_again), ZCMEM_EBOUNDS);
  }
}

/* Pieces of the input, each with its length before it and the right sum behind it. */
void fuzz_events(const uint8_t *bytes, size_t size) {
  struct fuzz_input in = {bytes, bytes + size};
  size_t magic = sizeof ZCMEM_EVENT_MAGIC - 1, at = magic;
  uint8_t *file = malloc(magic + 3 * size + 2);
  assert_non_null(file);
  expect_event(bytes, size);
  memcpy(file, ZCMEM_EVENT_MAGIC, magic);
  while (fuzz_more(&in)) {
    size_t length = 1 + fuzz_byte(&in) % 48u, first = at;
    unsigned sum = 0;
    length = length - 1 > (size_t)(in.end - in.at) ? (size_t)(in.end - in.at) + 1 : length;
    file[at++] = (uint8_t)length;
    while (at < first + length) {
      file[at++] = fuzz_byte(&in);
    }
    for (size_t i = first; i < at; i++) {
      sum += file[i];
    }
    file[at++] = (uint8_t)(0u - sum);
    expect_event(file + first, at - first);
  }
  fuzz_trace(file, at);
  free(file);
}
