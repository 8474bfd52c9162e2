/* SPDX-License-Identifier: MIT */
/*
 * A set of intervals [first, last], some of them exclusive, that finds one which overlaps a range in O(log n): an AVL
 * tree in the order of `first`, in which each node knows the farthest end of its subtree (Cormen et al., "Introduction
 * to Algorithms", interval trees). The nodes are the caller's; nothing is allocated. No lock.
 *
 * Invariants: left < node < right in the order of (first, address of the node); the heights of two siblings differ by
 * at most one; reach and exclusive_reach are the largest `last` in the subtree, of all its nodes and of the exclusive
 * ones.
 */
#ifndef ZCMEM_INTERVAL_H
#define ZCMEM_INTERVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zcmem__interval {
  uint64_t first, last; /* both belong to it */
  struct zcmem__interval *left, *right;
  uint64_t reach;           /* see above */
  uint64_t exclusive_reach; /* 0 where the subtree has no exclusive one: see `holds_exclusive` */
  bool exclusive;
  bool holds_exclusive; /* the subtree has an exclusive one */
  unsigned char height;
};

struct zcmem__interval_set {
  struct zcmem__interval *root;
};

/* Adds a node whose first, last and exclusive are set, and which is in no set. O(log n) */
void zcmem__interval_insert(struct zcmem__interval_set *set, struct zcmem__interval *node);

/* Takes out a node that is in the set. O(log n) */
void zcmem__interval_remove(struct zcmem__interval_set *set, struct zcmem__interval *node);

/* The first node, in the order of the set, that overlaps [first, last]; NULL: none. only_exclusive: of those. O(log n)
 */
struct zcmem__interval *zcmem__interval_find(const struct zcmem__interval_set *set, uint64_t first, uint64_t last,
                                             bool only_exclusive);

#endif
