/* SPDX-License-Identifier: MIT */
/* What zcmem-inspect prints: test_inspect <zcmem-inspect>. */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <fcntl.h>

#include "heap_ops.h"
#include "shm_lock.h"

static const char *program;

/* What the program prints, and how it ends. */
static int run(const char *arguments, char *printed, size_t bytes) {
  char command[4096];
  (void)snprintf(command, sizeof command, "'%s' %s 2>&1", program, arguments);
  FILE *from = popen(command, "r");
  assert_non_null(from);
  size_t length = fread(printed, 1, bytes - 1, from);
  printed[length] = '\0';
  return WEXITSTATUS(pclose(from));
}

static struct zcmem_shm *make_some(const char *name) {
  struct zcmem_shm *shm = shm_make(name, 3), *other = shm_again(shm);
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), shm_alloc(shm, 1000)));
  assert_ok(zcmem_shm_share(other, shm_alloc(other, 1)));
  (void)shm_alloc(other, 2);
  assert_ok(zcmem_shm_close(other));
  return shm;
}

static void it_prints_an_area(void **state) {
  (void)state;
  char name[64], printed[4096], wanted[4096], arguments[256];
  (void)snprintf(name, sizeof name, "/zcmem-inspect-%ld", (long)getpid());
  struct zcmem_shm *shm = make_some(name);
  assert_int_equal(run(name, printed, sizeof printed), 0);
  (void)snprintf(wanted, sizeof wanted,
                 "process 1: pid %ld, alive\n"
                 "process 2: pid %ld, gone\n"
                 "region 0 \"near\": kind 1, at 0x80000080, 1048576 bytes in quanta of 128, memory in the area\n"
                 "  in use 1280, free 1047296, largest 1047296; 3 of 256 blocks\n"
                 "  process 1: 1 blocks, 1024 bytes\n"
                 "  process 2: 1 blocks, 128 bytes\n"
                 "  shared: 1 blocks, 128 bytes\n"
                 "region 1 \"far\": kind 2, at 0xf000000000, 65536 bytes in quanta of 128, memory elsewhere\n"
                 "  in use 0, free 65536, largest 65536; 0 of 256 blocks\n",
                 (long)getpid(), (long)getpid());
  assert_string_equal(printed, wanted);
  (void)snprintf(arguments, sizeof arguments, "--blocks %s", name);
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "    0x80000080  1024 bytes, live, 1000 requested, of process 1, 1 pins\n"
                                  "    0x80000480  128 bytes, live, 1 requested, shared\n"
                                  "    0x80000500  128 bytes, live, 2 requested, of process 2\n"
                                  "    0x80000580  1047296 bytes, free\n"));
  (void)snprintf(arguments, sizeof arguments, "--json %s", name);
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "{\"max_processes\": 3,\n  \"processes\": [\n    {\"slot\": 1, \"pid\": "));
  assert_non_null(strstr(printed, "{\"name\": \"near\", \"kind\": 1, \"base\": \"0x80000080\", \"size\": 1048576, "
                                  "\"quantum\": 128, \"in_area\": true, \"in_use\": 1280, \"free\": 1047296, "
                                  "\"requested\": 1003, \"largest\": 1047296, \"live\": 3, \"max_blocks\": 256, "
                                  "\"whole\": true,\n"));
  assert_non_null(strstr(printed, "{\"owner\": 1, \"blocks\": 1, \"bytes\": 1024},"));
  assert_non_null(strstr(printed, "{\"owner\": \"shared\", \"blocks\": 1, \"bytes\": 128}]"));
  /* What reads JSON reads it. */
  (void)snprintf(arguments, sizeof arguments,
                 "--json --blocks %s | { command -v python3 >/dev/null && python3 -m json.tool || cat; }", name);
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "\"pins\": 1"));
  assert_ok(zcmem_shm_unlink(name));
  assert_ok(zcmem_shm_close(shm));
  assert_int_equal(run(name, printed, sizeof printed), 1);
}

/* A region with a name that no terminal should get, in the middle of a change, with a zombie and a transfer. */
static void it_prints_what_is_odd(void **state) {
  (void)state;
  char printed[8192], arguments[128];
  const struct zcmem_region_config region = {
      .name = "a\"\\\x1b\xff", .kind = ZCMEM_KIND_DRAM, .base = NEAR_BASE, .size = NEAR_BYTES, .max_blocks = 8};
  const struct zcmem_shm_config config = {.max_processes = 2, .regions = &region, .region_count = 1};
  struct zcmem_shm *shm = NULL;
  assert_ok(zcmem_shm_create(&config, &shm));
  hal_addr_t used = shm_alloc(shm, 200), doomed = shm_alloc(shm, 300);
  struct zcmem_heap *heap = shm->part[0].shared.heap;
  assert_ok(zcmem_heap_begin_transfer(heap, used, 1, NULL));
  shm->part[0].uses[zcmem__heap_find(heap, used) / ZCMEM__ID] += ZCMEM__TRANSFER;
  assert_ok(zcmem_mem_pin(zcmem_shm_hal(shm), doomed));
  assert_ok(zcmem_mem_free_deferred(zcmem_shm_hal(shm), doomed));
  heap->free_quanta--; /* as if somebody were in the middle */
  (void)snprintf(arguments, sizeof arguments, "--blocks /proc/%ld/fd/%d", (long)getpid(), zcmem_shm_fd(shm));
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "region 0 \"a\"\\\\x1b\\xff\": kind 1"));
  assert_non_null(strstr(printed, "; was in the middle of a change, and is shown as a repair leaves it\n"));
  assert_non_null(strstr(printed, "  zombies: 1 blocks, 384 bytes\n"));
  assert_non_null(strstr(printed, "256 bytes, live, 200 requested, of process 1, 1 transfers\n"));
  (void)snprintf(arguments, sizeof arguments, "--json --blocks /proc/%ld/fd/%d", (long)getpid(), zcmem_shm_fd(shm));
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "{\"name\": \"a\\u0022\\u005c\\u001b\\u00ff\", \"kind\": 1"));
  assert_non_null(strstr(printed, "\"whole\": false,\n"));
  assert_non_null(strstr(printed, "{\"owner\": \"zombies\", \"blocks\": 1, \"bytes\": 384}"));
  heap->free_quanta++;
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

static void it_cannot_write(void **state) {
  (void)state;
  char printed[256], arguments[128];
  struct zcmem_shm *shm = make_some(NULL);
  (void)snprintf(arguments, sizeof arguments, "/proc/%ld/fd/%d >/dev/full", (long)getpid(), zcmem_shm_fd(shm));
  assert_int_equal(run(arguments, printed, sizeof printed), 1);
  assert_ok(zcmem_shm_close(shm));
}

static void it_reads_a_file_of_the_dead(void **state) {
  (void)state;
  char printed[4096], arguments[128];
  struct zcmem_shm *shm = make_some(NULL);
  (void)snprintf(arguments, sizeof arguments, "/proc/%ld/fd/%d", (long)getpid(), zcmem_shm_fd(shm));
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "  process 2: 1 blocks, 128 bytes\n"));
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

static void what_it_cannot_print(void **state) {
  (void)state;
  char printed[4096], arguments[1200];
  assert_int_equal(run("", printed, sizeof printed), 2);
  assert_int_equal(run("--bogus /a", printed, sizeof printed), 2);
  assert_int_equal(run("/a /b", printed, sizeof printed), 2);
  assert_int_equal(run("--help", printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "usage: zcmem-inspect"));
  (void)snprintf(arguments, sizeof arguments, "'%s'", program);
  assert_int_equal(run(arguments, printed, sizeof printed), 1); /* no area */
  assert_non_null(strstr(printed, "ZCMEM_ECORRUPT"));
}

int main(int argc, char **argv) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(it_prints_an_area), cmocka_unit_test(it_prints_what_is_odd),
                                     cmocka_unit_test(it_cannot_write), cmocka_unit_test(it_reads_a_file_of_the_dead),
                                     cmocka_unit_test(what_it_cannot_print)};
  if (argc != 2) {
    fprintf(stderr, "usage: test_inspect ZCMEM-INSPECT\n");
    return 2;
  }
  program = argv[1];
  return cmocka_run_group_tests(tests, NULL, NULL);
}
