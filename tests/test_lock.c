/* SPDX-License-Identifier: MIT */
#include "lock.h"
#include "unit.h"
#include <string.h>

static unsigned calls[4];

static int own_init(void *lock) {
  memset(lock, 0, ZCMEM_LOCK_BYTES); /* all of what was asked for is there */
  calls[0]++;
  return 0;
}

static void own_destroy(void *lock) {
  (void)lock;
  calls[1]++;
}

static int own_lock(void *lock) {
  (void)lock;
  return ++calls[2] == 3 ? 1 : 0;
}

static void own_unlock(void *lock) {
  (void)lock;
  calls[3]++;
}

static void test_the_users_own_lock(void **state) {
  const struct zcmem_lock_ops ops = {
      .bytes = ZCMEM_LOCK_BYTES, .init = own_init, .destroy = own_destroy, .lock = own_lock, .unlock = own_unlock};
  struct zcmem__lock lock;
  (void)state;
  assert_true(zcmem__lock_valid(&ops));
  assert_ok(zcmem__lock_init(&lock, &ops));
  for (unsigned i = 1; i <= 4; i++) {
    enum zcmem_status status = zcmem__lock_take(&lock);
    assert_status(status, i == 3 ? ZCMEM_ELOCK : ZCMEM_OK);
    if (status == ZCMEM_OK) {
      zcmem__lock_drop(&lock);
    }
  }
  zcmem__lock_destroy(&lock);
  assert_int_equal(calls[0], 1);
  assert_int_equal(calls[1], 1);
  assert_int_equal(calls[2], 4);
  assert_int_equal(calls[3], 3);
}

static void test_ops_without_a_member_are_invalid(void **state) {
  struct zcmem_lock_ops ops = zcmem_lock_none;
  (void)state;
  assert_true(zcmem__lock_valid(&ops));
  ops.init = NULL;
  assert_false(zcmem__lock_valid(&ops));
  ops = zcmem_lock_none;
  ops.destroy = NULL;
  assert_false(zcmem__lock_valid(&ops));
  ops = zcmem_lock_none;
  ops.lock = NULL;
  assert_false(zcmem__lock_valid(&ops));
  ops = zcmem_lock_none;
  ops.unlock = NULL;
  assert_false(zcmem__lock_valid(&ops));
  ops = zcmem_lock_none;
  ops.bytes = ZCMEM_LOCK_BYTES + 1;
  assert_false(zcmem__lock_valid(&ops));
}

static void test_lock_none_touches_no_byte(void **state) {
  struct zcmem__lock lock, was;
  (void)state;
  memset(&lock, 0xa5, sizeof lock);
  assert_ok(zcmem__lock_init(&lock, &zcmem_lock_none));
  was = lock;
  assert_ok(zcmem__lock_take(&lock));
  assert_ok(zcmem__lock_take(&lock)); /* it excludes nobody */
  zcmem__lock_drop(&lock);
  zcmem__lock_drop(&lock);
  zcmem__lock_destroy(&lock);
  assert_memory_equal(lock.state, was.state, sizeof lock.state);
  assert_int_equal(zcmem_lock_none.bytes, 0);
}

/* What a child of fork finds where its parent did not get a lock. */
static void test_a_lost_lock_is_never_had(void **state) {
  struct zcmem__lock lock;
  (void)state;
  assert_true(zcmem__lock_valid(&zcmem__lock_lost));
  assert_status(zcmem__lock_init(&lock, &zcmem__lock_lost), ZCMEM_ELOCK);
  for (unsigned i = 0; i < 3; i++) {
    assert_status(zcmem__lock_take(&lock), ZCMEM_ELOCK);
  }
  zcmem__lock_destroy(&lock);
}

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>

enum { THREADS = 4, ROUNDS = 20000 };
static struct zcmem__lock shared;
static unsigned long counter;

static void *count(void *arg) {
  unsigned long failed = 0;
  for (int i = 0; i < ROUNDS; i++) {
    if (zcmem__lock_take(&shared) != ZCMEM_OK) {
      failed++;
      continue;
    }
    counter++;
    zcmem__lock_drop(&shared);
  }
  *(unsigned long *)arg = failed;
  return NULL;
}

static void test_the_pthread_lock_excludes(void **state) {
  pthread_t threads[THREADS];
  unsigned long failed[THREADS];
  (void)state;
  assert_ptr_equal(zcmem__lock_default(), &zcmem_lock_pthread);
  assert_true(zcmem__lock_valid(&zcmem_lock_pthread));
  assert_int_equal(zcmem_lock_pthread.bytes, sizeof(pthread_mutex_t));
  assert_ok(zcmem__lock_init(&shared, &zcmem_lock_pthread));
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_create(&threads[i], NULL, count, &failed[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) {
    assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(failed[i], 0);
  }
  assert_int_equal(counter, THREADS * ROUNDS);
  zcmem__lock_destroy(&shared);
}
#else
static void test_without_pthread_the_default_is_none(void **state) {
  (void)state;
  assert_ptr_equal(zcmem__lock_default(), &zcmem_lock_none);
}
#endif

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_users_own_lock),        cmocka_unit_test(test_ops_without_a_member_are_invalid),
      cmocka_unit_test(test_lock_none_touches_no_byte), cmocka_unit_test(test_a_lost_lock_is_never_had),
#ifndef ZCMEM_NO_PTHREAD
      cmocka_unit_test(test_the_pthread_lock_excludes),
#else
      cmocka_unit_test(test_without_pthread_the_default_is_none),
#endif
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
