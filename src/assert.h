/* SPDX-License-Identifier: MIT */
/*
 * L0. Our own invariants (never a caller's mistake: that gets a status). Off unless ZCMEM_DEBUG is set: the core has no
 * way to report, so a broken invariant traps.
 *
 * ZCMEM_COUNT_STEPS: a test build counts loop iterations and descriptor touches, which is what the published step
 * bound speaks of.
 */
#ifndef ZCMEM_SRC_ASSERT_H
#define ZCMEM_SRC_ASSERT_H

#include <stdint.h>

#if defined(ZCMEM_DEBUG) && defined(__GNUC__)
#define ZCMEM__ASSERT(x) ((x) ? (void)0 : __builtin_trap())
#else
#define ZCMEM__ASSERT(x) ((void)sizeof((x) ? 1 : 0))
#endif

#if defined(ZCMEM_COUNT_STEPS)
extern uint64_t zcmem_steps;
#define ZCMEM__STEP() ((void)zcmem_steps++)
#else
#define ZCMEM__STEP() ((void)0)
#endif

#endif
