/* SPDX-License-Identifier: MIT */
#include "interval.h"

/* An AVL tree of height h has at least Fibonacci(h + 2) - 1 nodes: 48 levels hold more than 2^32. */
#define HEIGHT_MAX 48u

static unsigned height(const struct zcmem__interval *node) {
  return node == NULL ? 0 : node->height;
}

static bool before(const struct zcmem__interval *a, const struct zcmem__interval *b) {
  return a->first != b->first ? a->first < b->first : (uintptr_t)a < (uintptr_t)b;
}

static void take_in(struct zcmem__interval *node, const struct zcmem__interval *child) {
  if (child == NULL) {
    return;
  }
  if (child->reach > node->reach) {
    node->reach = child->reach;
  }
  if (child->holds_exclusive) {
    node->holds_exclusive = true;
    if (child->exclusive_reach > node->exclusive_reach) {
      node->exclusive_reach = child->exclusive_reach;
    }
  }
  if (child->height >= node->height) {
    node->height = (unsigned char)(child->height + 1u);
  }
}

/* Computes what the node knows of its subtree, from its children. */
static void update(struct zcmem__interval *node) {
  node->height = 1;
  node->reach = node->last;
  node->holds_exclusive = node->exclusive;
  node->exclusive_reach = node->exclusive ? node->last : 0;
  take_in(node, node->left);
  take_in(node, node->right);
}

/*          a                  b
 *         / \      =>        / \
 *        1   b              a   3
 *           / \            / \
 *          2   3          1   2          and the mirror of it */
static void rotate_left(struct zcmem__interval **at) {
  struct zcmem__interval *a = *at, *b = a->right;
  a->right = b->left;
  b->left = a;
  update(a);
  update(b);
  *at = b;
}

static void rotate_right(struct zcmem__interval **at) {
  struct zcmem__interval *b = *at, *a = b->left;
  b->left = a->right;
  a->right = b;
  update(b);
  update(a);
  *at = a;
}

/* Brings *at, whose children are in order and whose heights differ by at most two, in order. */
static void rebalance(struct zcmem__interval **at) {
  struct zcmem__interval *node = *at;
  if (height(node->left) > height(node->right) + 1u) {
    if (height(node->left->left) < height(node->left->right)) {
      rotate_left(&node->left);
    }
    rotate_right(at);
  } else if (height(node->right) > height(node->left) + 1u) {
    if (height(node->right->right) < height(node->right->left)) {
      rotate_right(&node->right);
    }
    rotate_left(at);
  } else {
    update(node);
  }
}

void zcmem__interval_insert(struct zcmem__interval_set *set, struct zcmem__interval *node) {
  struct zcmem__interval **path[HEIGHT_MAX], **at = &set->root;
  unsigned depth = 0;
  while (*at != NULL) {
    path[depth++] = at;
    at = before(node, *at) ? &(*at)->left : &(*at)->right;
  }
  node->left = NULL;
  node->right = NULL;
  update(node);
  *at = node;
  while (depth > 0) {
    rebalance(path[--depth]);
  }
}

void zcmem__interval_remove(struct zcmem__interval_set *set, struct zcmem__interval *node) {
  struct zcmem__interval **path[HEIGHT_MAX], **at = &set->root;
  unsigned depth = 0;
  while (*at != node) {
    path[depth++] = at;
    at = before(node, *at) ? &(*at)->left : &(*at)->right;
  }
  if (node->left == NULL || node->right == NULL) {
    *at = node->left == NULL ? node->right : node->left;
  } else {
    /* The next one, which has no left child, takes the node's place; the path leads on through it. */
    unsigned here = depth;
    path[depth++] = at;
    struct zcmem__interval **next_at = &node->right;
    while ((*next_at)->left != NULL) {
      path[depth++] = next_at;
      next_at = &(*next_at)->left;
    }
    struct zcmem__interval *next = *next_at;
    *next_at = next->right;
    next->left = node->left;
    next->right = node->right;
    *at = next;
    if (depth > here + 1u) {
      path[here + 1u] = &next->right;
    }
  }
  while (depth > 0) {
    rebalance(path[--depth]);
  }
}

static bool reaches(const struct zcmem__interval *subtree, uint64_t first, bool only_exclusive) {
  return subtree != NULL &&
         (only_exclusive ? subtree->holds_exclusive && subtree->exclusive_reach >= first : subtree->reach >= first);
}

/*
 * Where something on the left reaches `first`, the answer is there or nowhere: whatever starts farther right starts
 * behind the one that reaches, and if that one starts behind `last`, so do they.
 */
struct zcmem__interval *zcmem__interval_find(const struct zcmem__interval_set *set, uint64_t first, uint64_t last,
                                             bool only_exclusive) {
  struct zcmem__interval *node = set->root;
  while (node != NULL) {
    if (reaches(node->left, first, only_exclusive)) {
      node = node->left;
    } else if (node->first > last) {
      return NULL;
    } else if (node->last >= first && (node->exclusive || !only_exclusive)) {
      return node;
    } else {
      node = node->right;
    }
  }
  return NULL;
}
