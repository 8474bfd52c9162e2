/* SPDX-License-Identifier: MIT */
/* What zcmem-inspect prints: test_inspect <zcmem-inspect>. */
#define _GNU_SOURCE
#include "shm_fixture.h"

#include <zcmem/debug.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "shm_layout.h"

#define NOBODY 65534u /* a user without rights */

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

/*
 * Whether the system starts the program, which is one of the machine that this test is of. An emulator of one process
 * (qemu-user) runs a program, and the system then knows none of those that it would start: ENOEXEC, or ENOENT where the
 * program is there and its loader is not.
 */
static bool starts_programs(void) {
  int pipes[2], error = 0;
  if (access(program, X_OK) != 0 || pipe2(pipes, O_CLOEXEC) != 0) {
    return true; /* then the tests say what is wrong */
  }
  const pid_t pid = fork();
  if (pid == 0) {
    const int nowhere = open("/dev/null", O_RDWR);
    if (nowhere >= 0 && dup2(nowhere, STDOUT_FILENO) >= 0 && dup2(nowhere, STDERR_FILENO) >= 0) {
      (void)execl(program, program, "--help", (char *)NULL);
      error = errno;
    }
    _exit(write(pipes[1], &error, sizeof error) == (ssize_t)sizeof error ? 0 : 1);
  }
  (void)close(pipes[1]);
  if (pid < 0 || read(pipes[0], &error, sizeof error) != (ssize_t)sizeof error) {
    error = 0;
  }
  (void)close(pipes[0]);
  if (pid > 0) {
    (void)waitpid(pid, NULL, 0);
  }
  return error != ENOEXEC && error != ENOENT;
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

/* The bytes of the file of an area, and what the system says of it, but for when it was read. */
struct image {
  unsigned char *bytes;
  struct stat file;
};

static struct image image_of(int fd) {
  struct image image;
  assert_int_equal(fstat(fd, &image.file), 0);
  image.bytes = malloc((size_t)image.file.st_size);
  assert_non_null(image.bytes);
  assert_int_equal(pread(fd, image.bytes, (size_t)image.file.st_size, 0), image.file.st_size);
  return image;
}

static void assert_undisturbed(int fd, struct image *before) {
  struct image after = image_of(fd);
  assert_int_equal(after.file.st_size, before->file.st_size);
  assert_int_equal(after.file.st_blocks, before->file.st_blocks); /* no page came to be */
  assert_int_equal(after.file.st_mtim.tv_sec, before->file.st_mtim.tv_sec);
  assert_int_equal(after.file.st_mtim.tv_nsec, before->file.st_mtim.tv_nsec);
  assert_memory_equal(after.bytes, before->bytes, (size_t)before->file.st_size);
  free(after.bytes);
  free(before->bytes);
}

static const char *const ways[] = {"", "--json", "--blocks", "--json --blocks"};

/* As run, of a user who has no right but to his own files; only root can be him. */
static int run_as_nobody(char *const arguments[], char *printed, size_t bytes) {
  int pipes[2], status;
  const int file = open(program, O_RDONLY | O_CLOEXEC); /* the way there may be closed to him */
  assert_true(file >= 0 && pipe(pipes) == 0);
  const pid_t pid = shm_fork();
  assert_true(pid >= 0);
  if (pid == 0) {
    SHM_REQUIRE(dup2(pipes[1], STDOUT_FILENO) >= 0 && setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
    (void)fexecve(file, arguments, environ);
    _exit(126);
  }
  (void)close(pipes[1]);
  (void)close(file);
  size_t length = 0;
  for (ssize_t more = 1; more > 0 && length + 1 < bytes; length += (size_t)(more > 0 ? more : 0)) {
    more = read(pipes[0], printed + length, bytes - 1 - length);
  }
  printed[length] = '\0';
  (void)close(pipes[0]);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* A file that nobody may write to, read by a user who has no other right. */
static void it_reads_what_may_only_be_read(void **state) {
  (void)state;
  char printed[4096], name[64], blocks[] = "--blocks", itself[] = "zcmem-inspect";
  char *const arguments[] = {itself, blocks, name, NULL};
  struct zcmem_shm *shm = make_some(NULL);
  struct image image = image_of(zcmem_shm_fd(shm));
  (void)snprintf(name, sizeof name, "/zcmem-inspect-read-%ld", (long)getpid());
  const int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, image.bytes, (size_t)image.file.st_size), image.file.st_size);
  free(image.bytes);
  assert_int_equal(fchmod(fd, 0400), 0);
  assert_int_equal(geteuid() == 0 && fchown(fd, NOBODY, NOBODY) != 0, 0); /* root might write all the same */
  image = image_of(fd);
  if (geteuid() == 0) {
    assert_int_equal(run_as_nobody(arguments, printed, sizeof printed), 0);
  } else {
    char line[256];
    (void)snprintf(line, sizeof line, "--blocks %s", name);
    assert_int_equal(shm_open(name, O_RDWR, 0), -1);
    assert_int_equal(run(line, printed, sizeof printed), 0);
  }
  assert_non_null(strstr(printed, "    0x80000500  128 bytes, live, 2 requested, of process 2\n"));
  assert_undisturbed(fd, &image);
  (void)close(fd);
  assert_int_equal(shm_unlink(name), 0);
  assert_ok(zcmem_shm_close(shm));
}

/* The one who has the lock all the time does not notice, and who asks does not wait. */
static void it_waits_for_no_lock_and_leaves_no_trace(void **state) {
  (void)state;
  char printed[8192], arguments[256];
  struct zcmem_shm *shm = make_some(NULL);
  struct zcmem__shm_area *area = mmap(NULL, sizeof *area, PROT_READ | PROT_WRITE, MAP_SHARED, zcmem_shm_fd(shm), 0);
  assert_true(area != MAP_FAILED);
  assert_int_equal(pthread_mutex_lock(&area->mutex), 0);
  assert_int_equal(pthread_mutex_lock(&area->live[0].mutex), 0);
  struct image image = image_of(zcmem_shm_fd(shm));
  for (unsigned i = 0; i < sizeof ways / sizeof ways[0]; i++) {
    (void)snprintf(arguments, sizeof arguments, "%s /proc/%ld/fd/%d", ways[i], (long)getpid(), zcmem_shm_fd(shm));
    assert_int_equal(run(arguments, printed, sizeof printed), 0);
  }
  assert_undisturbed(zcmem_shm_fd(shm), &image);
  assert_int_equal(pthread_mutex_unlock(&area->live[0].mutex), 0);
  assert_int_equal(pthread_mutex_unlock(&area->mutex), 0);
  assert_int_equal(munmap(area, sizeof *area), 0);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

/* What its last process left in the middle of a call; what somebody has spoilt; what is no heap any more. */
static void it_prints_what_is_left_of_damaged_ones(void **state) {
  (void)state;
  char printed[4096], arguments[256];
  struct zcmem_shm *shm = make_some(NULL);
  struct stat file;
  assert_int_equal(fstat(zcmem_shm_fd(shm), &file), 0);
  unsigned char *memory = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, zcmem_shm_fd(shm), 0);
  assert_true(memory != MAP_FAILED);
  struct zcmem__shm_area *area = (struct zcmem__shm_area *)(void *)memory;
  struct zcmem_heap *heap = (struct zcmem_heap *)(void *)(memory + area->plan.place[0].image_at);
  const struct zcmem_heap whole = *heap;
  (void)snprintf(arguments, sizeof arguments, "/proc/%ld/fd/%d", (long)getpid(), zcmem_shm_fd(shm));
  heap->free_quanta ^= 12345;
  heap->words[0] = UINT64_MAX;
  struct image image = image_of(zcmem_shm_fd(shm));
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_non_null(strstr(printed, "was in the middle of a change, and is shown as a repair leaves it"));
  assert_non_null(strstr(printed, "  process 1: 1 blocks, 1024 bytes\n"));
  assert_undisturbed(zcmem_shm_fd(shm), &image);
  heap->at.bytes--; /* its header is no one's now */
  image = image_of(zcmem_shm_fd(shm));
  const int status = run(arguments, printed, sizeof printed);
  assert_true(status == 0 || (status == 1 && strstr(printed, "ZCMEM_ECORRUPT") != NULL));
  assert_undisturbed(zcmem_shm_fd(shm), &image);
  *heap = whole;
  area->plan.bytes++;
  assert_int_equal(run(arguments, printed, sizeof printed), 1);
  assert_non_null(strstr(printed, "ZCMEM_ECORRUPT"));
  area->plan.bytes--;
  area->magic = 0; /* as if its maker had died before the end */
  assert_int_equal(run(arguments, printed, sizeof printed), 1);
  assert_non_null(strstr(printed, "ZCMEM_EBUSY"));
  area->magic = ZCMEM__SHM_MAGIC;
  assert_int_equal(munmap(memory, (size_t)file.st_size), 0);
  assert_ok(zcmem_shm_check(shm));
  assert_ok(zcmem_shm_close(shm));
}

/* Nobody writes into it. */
static void a_pipe_keeps_it_from_nothing(void **state) {
  (void)state;
  char printed[4096], path[64];
  (void)snprintf(path, sizeof path, "zcmem-inspect-pipe-%ld", (long)getpid());
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(run(path, printed, sizeof printed), 1);
  assert_non_null(strstr(printed, "ZCMEM_ECORRUPT"));
  assert_int_equal(unlink(path), 0);
}

static int keep_text(void *ctx, const char *text, size_t bytes) {
  char *to = ctx;
  assert_true(strlen(to) + bytes < 4096);
  strncat(to, text, bytes);
  return 0;
}

static void it_dumps_what_a_process_would(void **state) {
  (void)state;
  char printed[4096], arguments[128], wanted[4096] = "";
  struct zcmem_shm *shm = make_some(NULL), *other = shm_again(shm);
  (void)snprintf(arguments, sizeof arguments, "--dump /proc/%ld/fd/%d", (long)getpid(), zcmem_shm_fd(shm));
  assert_int_equal(run(arguments, printed, sizeof printed), 0);
  assert_ok(zcmem_hal_dump(zcmem_shm_hal(other), keep_text, wanted));
  assert_string_equal(printed, wanted);
  assert_int_equal(run("--dump --json /a", printed, sizeof printed), 2);
  assert_int_equal(run("--dump --blocks /a", printed, sizeof printed), 2);
  assert_ok(zcmem_shm_close(other));
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
  const struct CMUnitTest tests[] = {cmocka_unit_test(it_prints_an_area),
                                     cmocka_unit_test(it_prints_what_is_odd),
                                     cmocka_unit_test(it_cannot_write),
                                     cmocka_unit_test(it_reads_a_file_of_the_dead),
                                     cmocka_unit_test(it_reads_what_may_only_be_read),
                                     cmocka_unit_test(it_waits_for_no_lock_and_leaves_no_trace),
                                     cmocka_unit_test(it_prints_what_is_left_of_damaged_ones),
                                     cmocka_unit_test(a_pipe_keeps_it_from_nothing),
                                     cmocka_unit_test(it_dumps_what_a_process_would),
                                     cmocka_unit_test(what_it_cannot_print)};
  if (argc != 2) {
    fprintf(stderr, "usage: test_inspect ZCMEM-INSPECT\n");
    return 2;
  }
  program = argv[1];
  if (!starts_programs()) {
    print_message("SKIP: the system starts no programs of this machine\n");
    return 77;
  }
  return cmocka_run_group_tests(tests, NULL, NULL);
}
