/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz target without a fuzzer:
 *
 *   fuzz_<target> [--random N] [FILE or DIRECTORY]...
 *
 * Each file, and each file in a directory, is an input; then come N pseudo-random ones, of which half are files with
 * some bytes changed, where there are files: the same on every machine. ZCMEM_TEST_SEED=<number> gives others. An input
 * that fails ends the program by a signal; before, its file is named, or it is written to one, so that a command can be
 * copied that repeats it.
 */
#include "fuzz.h"

#include <dirent.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOST_BYTES ((size_t)1 << 20)
#define MOST_RANDOM 1024u
#define MOST_KEPT 1000u

static struct {
  const char *program;
  const char *path; /* of the input that runs; NULL: a random one, or none */
  const uint8_t *bytes;
  size_t size;
  unsigned long files, random;
} now;

/* Only what a signal handler may call. */
static void say(const char *text) {
  if (write(STDERR_FILENO, text, strlen(text)) < 0) {
    _exit(1);
  }
}

static void save_random(const char *path) {
  FILE *file = fopen(path, "wb"); /* the process is lost anyway, and the heap of the C library rarely is */
  if (file != NULL) {
    (void)fwrite(now.bytes, 1, now.size, file);
    (void)fclose(file);
  }
}

static void on_crash(int number) {
  const char *path = now.path != NULL ? now.path : "fuzz-crash";
  (void)signal(number, SIG_DFL);
  if (now.bytes != NULL) {
    say("\nthe input that fails; to repeat it:\n  ");
    say(now.program);
    say(" ");
    say(path);
    say("\n");
    if (now.path == NULL) {
      save_random(path);
    }
  }
  (void)raise(number);
}

/* The files that were run, for run_random. */
static struct kept {
  uint8_t *bytes;
  size_t size;
} kept[MOST_KEPT];
static size_t kept_count;

static void keep(const uint8_t *bytes, size_t size) {
  if (kept_count == MOST_KEPT || size == 0 || size > MOST_RANDOM) {
    return;
  }
  kept[kept_count].bytes = malloc(size);
  kept[kept_count].size = size;
  if (kept[kept_count].bytes != NULL) {
    memcpy(kept[kept_count++].bytes, bytes, size);
  }
}

static void drop_kept(void) {
  while (kept_count > 0) {
    free(kept[--kept_count].bytes);
  }
}

static void run(const uint8_t *bytes, size_t size) {
  /* In an allocation of exactly its size, so that a sanitizer or valgrind sees a read behind it. */
  uint8_t *copy = malloc(size > 0 ? size : 1);
  if (copy == NULL) {
    fprintf(stderr, "%s: no memory\n", now.program);
    exit(1);
  }
  memcpy(copy, bytes, size);
  now.bytes = copy;
  now.size = size;
  (void)LLVMFuzzerTestOneInput(copy, size);
  now.bytes = NULL;
  free(copy);
}

static bool run_file(const char *path) {
  static uint8_t bytes[MOST_BYTES];
  FILE *file = fopen(path, "rb");
  if (file == NULL) {
    perror(path);
    return false;
  }
  size_t size = fread(bytes, 1, sizeof bytes, file);
  bool good = ferror(file) == 0 && size < sizeof bytes;
  (void)fclose(file);
  if (!good) {
    fprintf(stderr, "%s: cannot be read, or is too long\n", path);
    return false;
  }
  now.path = path;
  run(bytes, size);
  now.path = NULL;
  now.files++;
  keep(bytes, size);
  return true;
}

static bool run_path(const char *path) {
  struct stat what;
  if (stat(path, &what) != 0) {
    perror(path);
    return false;
  }
  if (!S_ISDIR(what.st_mode)) {
    return run_file(path);
  }
  struct dirent **entries = NULL;
  int count = scandir(path, &entries, NULL, alphasort);
  bool good = count >= 0;
  for (int i = 0; i < count; i++) {
    char name[4096];
    if (entries[i]->d_name[0] != '.' &&
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name) < (int)sizeof name) {
      good = run_path(name) && good;
    }
    free(entries[i]);
  }
  free(entries);
  return good;
}

/* splitmix64, as in the tests: the same sequence on every host. */
static uint64_t next(uint64_t *state) {
  uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}

/* Bytes all alike in probability, or of few different ones, which repeats what it does. */
static size_t make_random(uint8_t *bytes, uint64_t *seed) {
  size_t size = (size_t)(next(seed) % MOST_RANDOM) >> next(seed) % 4;
  bool any = next(seed) % 2 == 0;
  uint8_t few[8];
  for (size_t i = 0; i < sizeof few; i++) {
    few[i] = (uint8_t)next(seed);
  }
  for (size_t i = 0; i < size; i++) {
    uint64_t random = next(seed);
    bytes[i] = any || random >> 62 == 0 ? (uint8_t)random : few[random % sizeof few];
  }
  return size;
}

/* A file with some bytes changed, and perhaps the end of another one. */
static size_t make_changed(uint8_t *bytes, uint64_t *seed) {
  const struct kept *file = &kept[next(seed) % kept_count], *other = &kept[next(seed) % kept_count];
  size_t size = file->size;
  memcpy(bytes, file->bytes, size);
  if (next(seed) % 4 == 0) {
    size_t at = (size_t)(next(seed) % size), from = (size_t)(next(seed) % other->size), count = other->size - from;
    size = at + count < MOST_RANDOM ? at + count : MOST_RANDOM;
    memcpy(bytes + at, other->bytes + from, size - at);
  }
  for (uint64_t left = next(seed) % 6; left > 0; left--) {
    bytes[next(seed) % size] = (uint8_t)next(seed);
  }
  return size;
}

static void run_random(unsigned long count, uint64_t seed) {
  static uint8_t bytes[MOST_RANDOM];
  for (unsigned long i = 0; i < count; i++) {
    size_t size = i % 2 == 0 || kept_count == 0 ? make_random(bytes, &seed) : make_changed(bytes, &seed);
    run(bytes, size);
    now.random++;
  }
}

static bool read_number(const char *text, uint64_t *number) {
  char *end = NULL;
  *number = text == NULL ? 0 : strtoull(text, &end, 0);
  return text != NULL && *text != '\0' && *end == '\0';
}

int main(int argc, char **argv) {
  const char *seed_text = getenv("ZCMEM_TEST_SEED");
  uint64_t seed = 0x66757a7a, random = 0;
  bool good = seed_text == NULL || read_number(seed_text, &seed);
  now.program = argv[0];
  (void)signal(SIGABRT, on_crash);
#if !defined(__SANITIZE_ADDRESS__) /* whose own report says where it was */
  (void)signal(SIGSEGV, on_crash);
  (void)signal(SIGBUS, on_crash);
  (void)signal(SIGALRM, on_crash);
#endif
  for (int i = 1; i < argc && good; i++) {
    if (strcmp(argv[i], "--random") == 0) {
      good = i + 1 < argc && read_number(argv[++i], &random);
    } else {
      good = run_path(argv[i]);
    }
  }
  if (!good) {
    fprintf(stderr, "usage: %s [--random N] [FILE or DIRECTORY]...; ZCMEM_TEST_SEED: a number\n", argv[0]);
    return 1;
  }
  printf("ZCMEM_TEST_SEED=0x%" PRIx64 "\n", seed);
  (void)fflush(stdout);
  run_random((unsigned long)random, seed);
  drop_kept();
  printf("%lu files, %lu random inputs\n", now.files, now.random);
  return now.files + now.random > 0 ? 0 : 1;
}
