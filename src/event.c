/* SPDX-License-Identifier: MIT */
/* Events as bytes: see debug.h. Each is complete in itself, so that what is left of a file that was cut is good. */
#include <string.h>
#include <zcmem/debug.h>

#define NUMBERS 11u
#define NUMBER_BYTES 10u /* of 64 bits, seven in each */

static void numbers_of(const struct zcmem_event *event, uint64_t numbers[NUMBERS]) {
  const uint64_t of[NUMBERS] = {event->kind,     0u - (uint64_t)event->status,
                                event->sequence, event->time,
                                event->thread,   event->region,
                                event->tag,      event->addr,
                                event->other,    event->size,
                                event->align};
  memcpy(numbers, of, sizeof of);
}

size_t zcmem_event_encode(const struct zcmem_event *event, uint8_t *bytes) {
  uint64_t numbers[NUMBERS];
  size_t at = 1, count = NUMBERS;
  unsigned sum = 0;
  if (event == NULL || bytes == NULL) {
    return 0;
  }
  numbers_of(event, numbers);
  while (count > 0 && numbers[count - 1] == 0) {
    count--;
  }
  for (size_t i = 0; i < count; i++) {
    uint64_t rest = numbers[i];
    for (; rest >= 0x80u; rest >>= 7) {
      bytes[at++] = (uint8_t)(rest | 0x80u);
    }
    bytes[at++] = (uint8_t)rest;
  }
  bytes[0] = (uint8_t)at; /* with the byte of the sum, without itself */
  for (size_t i = 0; i < at; i++) {
    sum += bytes[i];
  }
  bytes[at] = (uint8_t)(0u - sum);
  return at + 1;
}

/* One number from bytes[*at ... end - 1]; false: there is none. */
static bool number_at(const uint8_t *bytes, size_t end, size_t *at, uint64_t *number) {
  *number = 0;
  for (unsigned i = 0; i < NUMBER_BYTES && *at < end; i++) {
    uint8_t byte = bytes[(*at)++];
    if (i == NUMBER_BYTES - 1 && byte > 1) {
      return false;
    }
    *number |= (uint64_t)(byte & 0x7fu) << (7u * i);
    if (byte < 0x80u) {
      return true;
    }
  }
  return false;
}

static bool fits(const uint64_t numbers[NUMBERS]) {
  return numbers[0] <= UINT32_MAX && numbers[1] <= INT32_MAX && numbers[2] <= UINT32_MAX && numbers[5] <= UINT32_MAX &&
         numbers[6] <= UINT32_MAX;
}

enum zcmem_status zcmem_event_decode(const uint8_t *bytes, size_t size, struct zcmem_event *event, size_t *used) {
  uint64_t numbers[NUMBERS] = {0};
  size_t at = 1;
  unsigned sum = 0;
  if (bytes == NULL || event == NULL || used == NULL) {
    return ZCMEM_EINVAL;
  }
  if (size == 0 || size - 1 < bytes[0]) {
    return ZCMEM_EBOUNDS;
  }
  size_t end = bytes[0]; /* where the byte of the sum is */
  if (end == 0) {
    return ZCMEM_ECORRUPT;
  }
  for (size_t i = 0; i <= end; i++) {
    sum += bytes[i];
  }
  if ((sum & 0xffu) != 0) {
    return ZCMEM_ECORRUPT;
  }
  for (size_t i = 0; i < NUMBERS && at < end; i++) {
    if (!number_at(bytes, end, &at, &numbers[i])) {
      return ZCMEM_ECORRUPT;
    }
  }
  if (at != end || !fits(numbers)) {
    return ZCMEM_ECORRUPT;
  }
  *event = (struct zcmem_event){.kind = (uint32_t)numbers[0],
                                .status = -(int32_t)numbers[1],
                                .sequence = (uint32_t)numbers[2],
                                .time = numbers[3],
                                .thread = numbers[4],
                                .region = (uint32_t)numbers[5],
                                .tag = (uint32_t)numbers[6],
                                .addr = numbers[7],
                                .other = numbers[8],
                                .size = numbers[9],
                                .align = numbers[10]};
  *used = end + 1;
  return ZCMEM_OK;
}
