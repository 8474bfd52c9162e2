/* SPDX-License-Identifier: MIT */
/*
 * A program whose allocations are known, for the test of the LD_PRELOAD recorder: 1000 blocks, a realloc of each that
 * doubles it, aligned ones, two threads, a fork; all is freed.
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCKS 1000u

/* Volatile, so that no compiler leaves out what is never read. */
static void *volatile kept[2][BLOCKS];

static void *work(void *number) {
  void *volatile *blocks = kept[*(const int *)number];
  for (unsigned i = 0; i < BLOCKS; i++) {
    blocks[i] = malloc(7777);
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    void *moved = realloc(blocks[i], 15554);
    blocks[i] = moved != NULL ? moved : blocks[i];
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    free(blocks[i]);
  }
  return NULL;
}

int main(void) {
  int numbers[2] = {0, 1};
  pthread_t threads[2];
  for (int i = 0; i < 2; i++) {
    if (pthread_create(&threads[i], NULL, work, &numbers[i]) != 0) {
      return 1;
    }
  }
  for (int i = 0; i < 2; i++) {
    pthread_join(threads[i], NULL);
  }
  void *aligned = NULL, *volatile zeroed = calloc(3, 4321);
  if (posix_memalign(&aligned, 4096, 33333) != 0 || zeroed == NULL) {
    return 1;
  }
  pid_t child = fork();
  if (child == 0) {
    free(aligned); /* not in the parent's record */
    _exit(0);
  }
  int status = 1;
  if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
    return 1;
  }
  free(aligned);
  free(zeroed);
  return 0;
}
