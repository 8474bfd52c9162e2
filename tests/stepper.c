/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "stepper.h"

#include "unit.h"

/* ThreadSanitizer runs no handler of SIGTRAP at once. */
#if defined(__SANITIZE_THREAD__)
#define TRAPS_ARE_LATE
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TRAPS_ARE_LATE
#endif
#endif

#if defined(__linux__) && defined(__x86_64__) && !defined(TRAPS_ARE_LATE)
#include <signal.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#define TRAP_FLAG 0x100

static const struct stepper *current; /* that runs; the innermost one */

bool stepper_can(void) {
  return true;
}

static void protect(const struct stepper *stepper, int how) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  if (mprotect(stepper->watch, (stepper->bytes + page - 1) / page * page, how) != 0) {
    abort();
  }
}

static void set_trap_flag(void *context, bool on) {
  greg_t *flags = &((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL];
  *flags = on ? *flags | TRAP_FLAG : *flags & ~(greg_t)TRAP_FLAG;
}

/* The instruction stores into the memory: it may, and the next one traps. */
static void before_store(int number, siginfo_t *info, void *context) {
  const char *at = info->si_addr, *watch = current != NULL ? current->watch : NULL;
  if (watch == NULL || at < watch || at >= watch + current->bytes) {
    (void)signal(number, SIG_DFL); /* another mistake: it happens again at once */
    return;
  }
  protect(current, PROT_READ | PROT_WRITE);
  set_trap_flag(context, true);
}

static void after_store(int number, siginfo_t *info, void *context) {
  const struct stepper *stepper = current;
  (void)number;
  (void)info;
  set_trap_flag(context, false);
  current = NULL;
  stepper->seen(stepper->ctx);
  current = stepper;
  protect(stepper, PROT_READ);
}

void stepper_run(const struct stepper *stepper) {
  struct sigaction before[2], action = {.sa_flags = SA_SIGINFO | SA_NODEFER};
  action.sa_sigaction = before_store;
  assert_int_equal(sigaction(SIGSEGV, &action, &before[0]), 0);
  action.sa_sigaction = after_store;
  assert_int_equal(sigaction(SIGTRAP, &action, &before[1]), 0);
  current = stepper;
  protect(stepper, PROT_READ);
  stepper->body(stepper->ctx);
  protect(stepper, PROT_READ | PROT_WRITE);
  current = NULL;
  assert_int_equal(sigaction(SIGSEGV, &before[0], NULL), 0);
  assert_int_equal(sigaction(SIGTRAP, &before[1], NULL), 0);
}

void *stepper_memory(size_t bytes) {
  void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  assert_true(memory != MAP_FAILED);
  return memory;
}

void stepper_memory_drop(void *memory, size_t bytes) {
  assert_int_equal(munmap(memory, bytes), 0);
}
#else
bool stepper_can(void) {
  return false;
}

void stepper_run(const struct stepper *stepper) {
  (void)stepper;
  fail();
}

void *stepper_memory(size_t bytes) {
  void *memory = calloc(1, bytes);
  assert_non_null(memory);
  return memory;
}

void stepper_memory_drop(void *memory, size_t bytes) {
  (void)bytes;
  free(memory);
}
#endif
