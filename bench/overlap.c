/* SPDX-License-Identifier: MIT */
/*
 * POSIX's search tree with an order in which two ranges are equal iff they overlap. That is an order as long as the
 * ranges in the tree are disjoint, which is what the tree makes sure of.
 */
#include "overlap.h"

#include <search.h>
#include <stdlib.h>

struct range {
  uint64_t first, last;
};

static int by_place(const void *a, const void *b) {
  const struct range *x = a;
  const struct range *y = b;
  return (x->first > y->last) - (x->last < y->first);
}

void bench_overlap_init(struct bench_overlap *set) {
  *set = (struct bench_overlap){.root = NULL, .lowest = UINT64_MAX, .highest = 0};
}

void bench_overlap_destroy(struct bench_overlap *set) {
  while (set->root) {
    struct range *range = *(struct range **)set->root;
    tdelete(range, &set->root, by_place);
    free(range);
  }
}

const char *bench_overlap_add(struct bench_overlap *set, uint64_t start, uint64_t size) {
  if (size == 0 || start > UINT64_MAX - (size - 1)) {
    return "a block wraps around the end of the address space";
  }
  struct range *range = malloc(sizeof *range);
  if (!range) {
    return "no memory for the overlap check";
  }
  *range = (struct range){.first = start, .last = start + (size - 1)};
  struct range **found = tsearch(range, &set->root, by_place);
  if (!found || *found != range) {
    free(range);
    return found ? "two live blocks overlap" : "no memory for the overlap check";
  }
  if (range->first < set->lowest) {
    set->lowest = range->first;
  }
  if (range->last > set->highest) {
    set->highest = range->last;
  }
  return NULL;
}

const char *bench_overlap_remove(struct bench_overlap *set, uint64_t start) {
  struct range key = {.first = start, .last = start};
  struct range **found = tfind(&key, &set->root, by_place);
  if (!found || (*found)->first != start) {
    return "a block that is freed is not live";
  }
  struct range *range = *found;
  tdelete(range, &set->root, by_place);
  free(range);
  return NULL;
}
