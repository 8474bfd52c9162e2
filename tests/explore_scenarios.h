/* SPDX-License-Identifier: MIT */
#ifndef ZCMEM_TESTS_EXPLORE_SCENARIOS_H
#define ZCMEM_TESTS_EXPLORE_SCENARIOS_H

#include "explore.h"

/* Frees against frees and allocations, through magazines. */
extern const struct explore_scenario explore_frees[];
extern const size_t explore_free_count;

/* Bundles of blocks that go from thread to thread. */
extern const struct explore_scenario explore_bundles[];
extern const size_t explore_bundle_count;

/* Magazines without the kernel's barrier. */
extern const struct explore_scenario explore_fences[];
extern const size_t explore_fence_count;

/* Uses of a block: pins, transfers, resizes, deferred frees. */
extern const struct explore_scenario explore_uses[];
extern const size_t explore_use_count;

/* Look-ups, translation, mapping. */
extern const struct explore_scenario explore_lookups[];
extern const size_t explore_lookup_count;

/* Threads that come and go, and regions that come. */
extern const struct explore_scenario explore_lives[];
extern const size_t explore_life_count;

/* Contexts: two of them, and beside magazines of threads. */
extern const struct explore_scenario explore_contexts[];
extern const size_t explore_context_count;

/* Calls by handle, also by one of a block that is gone. */
extern const struct explore_scenario explore_handles[];
extern const size_t explore_handle_count;

#endif
