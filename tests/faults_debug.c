/* SPDX-License-Identifier: MIT */
/* Fault injection: the calls of debug.h. */
#include "faults.h"
#include <zcmem/debug.h>

#define HAL faults.hal
#define OP(function, variant, ways, rules, prepare, call, undo)                                                        \
  { function, variant, ways, FAULTS_HOST_WAY, rules, prepare, call, undo, NULL }

static enum zcmem_status tag_target(void) {
  return zcmem_mem_set_tag(HAL, faults.addr, 5);
}

static void untag_target(void) {
  assert_ok(zcmem_mem_set_tag(HAL, faults.addr, 0));
}

static enum zcmem_status alloc_tagged(void) {
  return zcmem_mem_alloc_tagged(HAL, 0, 500, 1, 7, &faults.made[0]);
}

static void free_made(void) {
  assert_ok(zcmem_mem_free(HAL, faults.made[0]));
}

static enum zcmem_status tag_stats(void) {
  struct zcmem_tag_stats tags[8] = {{.struct_bytes = sizeof tags[0]}};
  uint32_t count = 0;
  return zcmem_hal_tag_stats(HAL, 0, tags, 8, &count);
}

static uint64_t counters[8 * ZCMEM_TAG_BYTES / 8];

static enum zcmem_status count_tags(void) {
  return zcmem_hal_count_tags(HAL, 0, counters, sizeof counters);
}

static void count_no_tags(void) {
  assert_ok(zcmem_hal_count_tags(HAL, 0, NULL, 0));
}

static enum zcmem_status free_stats(void) {
  struct zcmem_free_stats stats = {.struct_bytes = sizeof stats};
  return zcmem_hal_free_stats(HAL, 0, &stats);
}

static int write_nothing(void *ctx, const char *text, size_t bytes) {
  (void)ctx;
  (void)text;
  return bytes == 0;
}

static enum zcmem_status dump(void) {
  return zcmem_hal_dump(HAL, write_nothing, NULL);
}

static void hear_nothing(void *ctx, const struct zcmem_event *event) {
  (void)ctx;
  (void)event;
}

static const struct zcmem_recorder deaf = {hear_nothing, NULL, NULL, NULL};

static enum zcmem_status set_recorder(void) {
  return zcmem_hal_set_recorder(HAL, &deaf);
}

static void forget_recorder(void) {
  assert_ok(zcmem_hal_set_recorder(HAL, NULL));
}

static void begin_recording(void) {
  assert_ok(set_recorder());
}

static enum zcmem_status end_recording(void) {
  return zcmem_hal_set_recorder(HAL, NULL);
}

/* Nothing is recorded; a later call tidies up. */
static bool left_unrecorded(enum zcmem_status status) {
  assert_status(status, ZCMEM_ELOCK);
  assert_int_equal(zcmem__atomic_word_acquire(&HAL->recording.recorder), 0);
  forget_recorder();
  return true;
}

static enum zcmem_status encode_event(void) {
  const struct zcmem_event event = {.kind = ZCMEM_EVENT_ALLOC, .addr = 1};
  uint8_t bytes[ZCMEM_EVENT_BYTES];
  return zcmem_event_encode(&event, bytes) > 0 ? ZCMEM_OK : ZCMEM_EINVAL;
}

static enum zcmem_status decode_event(void) {
  const uint8_t bytes[] = {2, 1, 0xfd};
  struct zcmem_event event;
  size_t used = 0;
  return zcmem_event_decode(bytes, sizeof bytes, &event, &used);
}

const struct faults_operation faults_debug[] = {
    OP("zcmem_mem_set_tag", "", FAULTS_HOST_WAY, 0, NULL, tag_target, untag_target),
    OP("zcmem_mem_alloc_tagged", "", FAULTS_HOST_WAY, FAULTS_USE | FAULTS_BACK, NULL, alloc_tagged, free_made),
    OP("zcmem_hal_tag_stats", "", FAULTS_HOST_WAY, 0, NULL, tag_stats, NULL),
    OP("zcmem_hal_count_tags", "", FAULTS_HOST_WAY, 0, NULL, count_tags, count_no_tags),
    OP("zcmem_hal_count_tags", "magazines", FAULTS_HOST_WAY, FAULTS_MAGAZINES, NULL, count_tags, count_no_tags),
    OP("zcmem_hal_free_stats", "", FAULTS_HOST_WAY, 0, NULL, free_stats, NULL),
    OP("zcmem_hal_tag_stats", "magazines", FAULTS_HOST_WAY, FAULTS_MAGAZINES, NULL, tag_stats, NULL),
    OP("zcmem_hal_free_stats", "magazines", FAULTS_HOST_WAY, FAULTS_MAGAZINES, NULL, free_stats, NULL),
    OP("zcmem_hal_dump", "", FAULTS_HOST_WAY, 0, NULL, dump, NULL),
    OP("zcmem_hal_dump", "magazines", FAULTS_HOST_WAY, FAULTS_MAGAZINES, NULL, dump, NULL),
    {"zcmem_hal_set_recorder", "", FAULTS_HOST_WAY, FAULTS_HOST_WAY, FAULTS_CUSTOM, NULL, set_recorder, forget_recorder,
     left_unrecorded},
    {"zcmem_hal_set_recorder", "magazines", FAULTS_HOST_WAY, FAULTS_HOST_WAY, FAULTS_CUSTOM | FAULTS_MAGAZINES, NULL,
     set_recorder, forget_recorder, left_unrecorded},
    {"zcmem_hal_set_recorder", "none", FAULTS_HOST_WAY, FAULTS_HOST_WAY, FAULTS_CUSTOM | FAULTS_MAGAZINES,
     begin_recording, end_recording, NULL, left_unrecorded},
    OP("zcmem_event_encode", "", FAULTS_HOST_WAY, 0, NULL, encode_event, NULL),
    OP("zcmem_event_decode", "", FAULTS_HOST_WAY, 0, NULL, decode_event, NULL),
    FAULTS_END};
