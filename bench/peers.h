/* SPDX-License-Identifier: MIT */
/* The allocators that a command measures: zcmem, the host's mallocs, those of shared objects. */
#ifndef ZCMEM_BENCH_PEERS_H
#define ZCMEM_BENCH_PEERS_H

#include "peer.h"

#include <zcmem/hal.h>

#define BENCH_MAX_ENTRIES 32u
#define BENCH_MAX_NAME 64u

/* One line of the report. */
struct bench_entry {
  char name[BENCH_MAX_NAME];
  const struct bench_peer *peer;
  bool locked; /* the bench puts a mutex around it */
};

struct bench_lineup {
  struct bench_entry entry[BENCH_MAX_ENTRIES];
  uint32_t count;
};

enum bench_lineup_kind {
  BENCH_BARE,    /* zcmem's bare heap and the peers as they are */
  BENCH_FACADE,  /* the facade, the host's mallocs, and the peers that are not thread-safe with a mutex, too */
  BENCH_THREADED /* the same, but none without a mutex */
};

/*
 * Gathers what is to be measured from bench_settings (--layer heap makes BENCH_FACADE BENCH_BARE), zcmem first. Answers
 * BENCH_OK, or after a message what to end with. `command` is named in it.
 */
int bench_lineup_gather(struct bench_lineup *lineup, enum bench_lineup_kind kind, const char *command);

/* Is it "zcmem", at whatever layer? */
bool bench_entry_is_zcmem(const struct bench_entry *entry);

/* zcmem's facade with and without magazines, and through a context; and its bare heap. All are called "zcmem". */
extern const struct bench_peer bench_peer_hal;
extern const struct bench_peer bench_peer_hal_off;
extern const struct bench_peer bench_peer_context;
extern const struct bench_peer bench_peer_heap;
/* The facade without magazines, to be measured beside the one with them. */
extern const struct bench_peer bench_peer_hal_beside;

/* A HAL with one region, as all of these have it, with that lock and these flags; NULL: not possible. */
struct zcmem_hal *bench_zcmem_hal(const struct zcmem_lock_ops *lock, uint32_t region_flags, uint64_t bytes,
                                  uint64_t base, uint32_t max_live);

/* Bytes that zcmem asks for to keep the state of a region for max_live blocks, at the layer of bench_settings. */
uint64_t bench_zcmem_bytes(uint64_t region_bytes, uint32_t max_live);

/* No allocator: counts addresses up. What it takes is what the driver's loops cost. */
extern const struct bench_peer bench_peer_driver;

/*
 * Before anything is printed, by a command that measures the host's mallocs: starts the program again, once, with the
 * environment that glibc needs to be able to load jemalloc.
 */
void bench_host_prepare(char **argv);

/* The host's mallocs that are there, at most 3. */
uint32_t bench_host_peers(const struct bench_peer **peers);

#endif
