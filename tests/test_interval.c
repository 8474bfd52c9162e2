/* SPDX-License-Identifier: MIT */
/*
 * The tree of open views: against a naive search, with every invariant checked, and how high it gets.
 */
#include "interval.h"
#include "unit.h"
#include <string.h>

enum { FEW = 300, MANY = 10000 };

static struct zcmem__interval nodes[MANY];
static bool in_set[MANY];
static struct zcmem__interval_set set;

static int setup(void **state) {
  (void)state;
  memset(nodes, 0, sizeof nodes);
  memset(in_set, 0, sizeof in_set);
  set.root = NULL;
  return 0;
}

static bool before(const struct zcmem__interval *a, const struct zcmem__interval *b) {
  return a->first != b->first ? a->first < b->first : a < b; /* all lie in one array */
}

struct subtree {
  unsigned height;
  size_t count;
  const struct zcmem__interval *least, *most;
  uint64_t reach, exclusive_reach;
  bool holds_exclusive;
};

/* What a walk through the subtree finds, which is what its root must know. */
static struct subtree check(const struct zcmem__interval *node) {
  if (node == NULL) {
    return (struct subtree){.height = 0};
  }
  struct subtree left = check(node->left), right = check(node->right);
  struct subtree all = {.height = 1 + (left.height > right.height ? left.height : right.height),
                        .count = 1 + left.count + right.count,
                        .least = left.count > 0 ? left.least : node,
                        .most = right.count > 0 ? right.most : node,
                        .reach = node->last,
                        .exclusive_reach = node->exclusive ? node->last : 0,
                        .holds_exclusive = node->exclusive || left.holds_exclusive || right.holds_exclusive};
  const struct subtree *parts[2] = {&left, &right};
  assert_true(left.count == 0 || before(left.most, node));
  assert_true(right.count == 0 || before(node, right.least));
  assert_in_range(left.height + 1, right.height, right.height + 2);
  for (int i = 0; i < 2; i++) {
    all.reach = parts[i]->reach > all.reach ? parts[i]->reach : all.reach;
    if (parts[i]->exclusive_reach > all.exclusive_reach) {
      all.exclusive_reach = parts[i]->exclusive_reach;
    }
  }
  assert_int_equal(node->height, all.height);
  assert_int_equal(node->reach, all.reach);
  assert_int_equal(node->holds_exclusive, all.holds_exclusive);
  assert_int_equal(node->exclusive_reach, all.exclusive_reach);
  return all;
}

static struct zcmem__interval *naive(uint64_t first, uint64_t last, bool only_exclusive) {
  struct zcmem__interval *found = NULL;
  for (int i = 0; i < FEW; i++) {
    struct zcmem__interval *node = &nodes[i];
    if (in_set[i] && (node->exclusive || !only_exclusive) && node->first <= last && node->last >= first &&
        (found == NULL || before(node, found))) {
      found = node;
    }
  }
  return found;
}

/* A range near an end of the address space, or anywhere in a small one, so that many overlap and many are equal. */
static void random_range(uint64_t *state, uint64_t span, uint64_t *first, uint64_t *last) {
  uint64_t a = random_below(state, span), b = a + random_below(state, random_below(state, 8) == 0 ? span - a : 4);
  b = b < span ? b : span - 1;
  bool top = random_below(state, 2) == 0;
  *first = top ? UINT64_MAX - b : a;
  *last = top ? UINT64_MAX - a : b;
}

static void test_random_histories(void **state) {
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1), random = seed;
  uint64_t steps = env_number("ZCMEM_TEST_OPS", 20000), found = 0;
  size_t count = 0;
  (void)state;
  print_message("ZCMEM_TEST_SEED=%llu\n", (unsigned long long)seed);
  for (uint64_t step = 0; step < steps; step++) {
    uint64_t span = step % 4 == 0 ? 40 : 1000, first = 0, last = 0;
    size_t i = (size_t)random_below(&random, step / 1000 % 2 == 0 ? FEW : FEW / 10); /* it grows and shrinks */
    if (in_set[i]) {
      zcmem__interval_remove(&set, &nodes[i]);
      in_set[i] = false;
      count--;
    } else {
      random_range(&random, span, &nodes[i].first, &nodes[i].last);
      nodes[i].exclusive = random_below(&random, 4) == 0;
      zcmem__interval_insert(&set, &nodes[i]);
      in_set[i] = true;
      count++;
    }
    if (step % 16 == 0) {
      assert_int_equal(check(set.root).count, count);
    }
    random_range(&random, span, &first, &last);
    for (int only_exclusive = 0; only_exclusive < 2; only_exclusive++) {
      const struct zcmem__interval *want = naive(first, last, only_exclusive != 0);
      assert_ptr_equal(zcmem__interval_find(&set, first, last, only_exclusive != 0), want);
      found += want != NULL;
    }
  }
  assert_in_range(found, steps / 4, 2 * steps - steps / 4); /* neither answer was the rule */
}

/* The cost: a tree of n nodes is at most 1.44 log2(n + 2) levels high, in whatever order they came and went. */
static void test_the_height_is_logarithmic(void **state) {
  (void)state;
  for (int order = 0; order < 3; order++) {
    uint64_t random = 1;
    setup(NULL);
    for (uint64_t i = 0; i < MANY; i++) {
      uint64_t at = order == 0 ? i : order == 1 ? MANY - i : random_below(&random, MANY);
      nodes[i].first = at * 10;
      nodes[i].last = at * 10 + random_below(&random, 100);
      nodes[i].exclusive = i % 7 == 0;
      zcmem__interval_insert(&set, &nodes[i]);
    }
    struct subtree all = check(set.root);
    assert_int_equal(all.count, MANY);
    assert_in_range(all.height, 14, 19); /* 2^13 < 10,000 < 2^14; 1.44 * log2(10,002) = 19.1 */
    for (size_t i = 0; i < MANY - 1000; i++) {
      zcmem__interval_remove(&set, &nodes[order == 2 ? i * 7 % (MANY - 1000) : i]);
    }
    all = check(set.root);
    assert_int_equal(all.count, 1000);
    assert_in_range(all.height, 10, 14); /* 1.44 * log2(1,002) = 14.4 */
    for (size_t i = MANY - 1000; i < MANY; i++) {
      zcmem__interval_remove(&set, &nodes[i]);
    }
    assert_null(set.root);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_random_histories, setup),
      cmocka_unit_test_setup(test_the_height_is_logarithmic, setup),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
