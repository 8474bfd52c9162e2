/* SPDX-License-Identifier: MIT */
/* Each status has a text of its own that begins with its name; a number that is none is told as such. */
#include <string.h>

#include "unit.h"

static const struct {
  enum zcmem_status status;
  const char *name;
} statuses[] = {
    {ZCMEM_OK, "ZCMEM_OK: "},
    {ZCMEM_EINVAL, "ZCMEM_EINVAL: "},
    {ZCMEM_ENOSPC, "ZCMEM_ENOSPC: "},
    {ZCMEM_EFRAG, "ZCMEM_EFRAG: "},
    {ZCMEM_ENOMEM, "ZCMEM_ENOMEM: "},
    {ZCMEM_ENOENT, "ZCMEM_ENOENT: "},
    {ZCMEM_EBOUNDS, "ZCMEM_EBOUNDS: "},
    {ZCMEM_EBUSY, "ZCMEM_EBUSY: "},
    {ZCMEM_ENOTMAPPED, "ZCMEM_ENOTMAPPED: "},
    {ZCMEM_EOVERLAP, "ZCMEM_EOVERLAP: "},
    {ZCMEM_EIO, "ZCMEM_EIO: "},
    {ZCMEM_ECORRUPT, "ZCMEM_ECORRUPT: "},
    {ZCMEM_ELOCK, "ZCMEM_ELOCK: "},
};

static void test_each_status_says_its_name(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
    const char *text = zcmem_status_string(statuses[i].status);
    assert_memory_equal(text, statuses[i].name, strlen(statuses[i].name));
    assert_true(strlen(text) > strlen(statuses[i].name));
  }
}

static void test_what_is_no_status(void **state) {
  (void)state;
  assert_string_equal(zcmem_status_string((enum zcmem_status)1), "unknown status");
  assert_string_equal(zcmem_status_string((enum zcmem_status) - 100), "unknown status");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_status_says_its_name),
      cmocka_unit_test(test_what_is_no_status),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
