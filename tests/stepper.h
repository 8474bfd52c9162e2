/* SPDX-License-Identifier: MIT */
/*
 * Runs a function and stops it after each of its instructions that has stored into some memory: what is there then is
 * what would be left if the process had been killed there. The machine code is the library's as it is: the memory may
 * not be written to, so that each store traps; then it is let through alone, by the processor's trap flag.
 */
#ifndef ZCMEM_TESTS_STEPPER_H
#define ZCMEM_TESTS_STEPPER_H

#include <stdbool.h>
#include <stddef.h>

struct stepper {
  void (*body)(void *ctx);
  void (*seen)(void *ctx); /* runs after each such instruction; it may itself use another stepper */
  void *ctx;
  void *watch; /* from stepper_memory */
  size_t bytes;
};

/* False: this host cannot do it. */
bool stepper_can(void);
void stepper_run(const struct stepper *stepper);

/* Zeroed memory on pages of its own. */
void *stepper_memory(size_t bytes);
void stepper_memory_drop(void *memory, size_t bytes);

#endif
