/* SPDX-License-Identifier: MIT */
/* The parts of fuzz_parse: each gives the rest of the input to one parser and judges what it makes of it. */
#ifndef ZCMEM_TESTS_FUZZ_PARSE_H
#define ZCMEM_TESTS_FUZZ_PARSE_H

#include "fuzz.h"

/* The trace readers: bytes as they are; a compact body under a good check sum; what xz unpacks to. */
void fuzz_trace(const uint8_t *bytes, size_t size);
void fuzz_trace_sealed(const uint8_t *bytes, size_t size);
void fuzz_trace_xz(const uint8_t *bytes, size_t size);
/* The path of a trace, from which its name is made. */
void fuzz_trace_name(const uint8_t *bytes, size_t size);

/* Recorded events. */
void fuzz_events(const uint8_t *bytes, size_t size);

/* Dumps of heaps. */
void fuzz_dump(const uint8_t *bytes, size_t size);

/* Command lines of zcmem-bench. */
void fuzz_args(const uint8_t *bytes, size_t size);

/* The sizes of the default device in the environment. */
void fuzz_environment(const uint8_t *bytes, size_t size);

/* An independent reading of "12M": decimal, then nothing, K, M or G, within 64 bits. False: it is none. */
bool fuzz_read_size(const char *text, size_t size, uint64_t *number);

#endif
