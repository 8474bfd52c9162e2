/* SPDX-License-Identifier: MIT */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "barrier.h"

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>
#include <sched.h>

#ifdef __linux__
#include <sys/syscall.h>
#include <unistd.h>
#if defined(SYS_membarrier)
#define HAVE_MEMBARRIER
/* From linux/membarrier.h, which may be older than the kernel. */
#define PRIVATE_EXPEDITED (1 << 3)
#define REGISTER_PRIVATE_EXPEDITED (1 << 4)
#endif
#endif

bool zcmem__barrier_kernel;

static pthread_once_t asked = PTHREAD_ONCE_INIT;

static void find_out(void) {
#ifdef HAVE_MEMBARRIER
  zcmem__barrier_kernel =
      syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0) == 0 && syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0) == 0;
#endif
}

void zcmem__barrier_open(void) {
  (void)pthread_once(&asked, find_out);
}

void zcmem__barrier_all(void) {
  atomic_thread_fence(memory_order_seq_cst);
#ifdef HAVE_MEMBARRIER
  if (zcmem__barrier_kernel) {
    /* It fails for a process that has not registered: a child whose kernel does not hand that down. */
    if (syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0) != 0) {
      (void)syscall(SYS_membarrier, REGISTER_PRIVATE_EXPEDITED, 0);
      (void)syscall(SYS_membarrier, PRIVATE_EXPEDITED, 0);
    }
  }
#endif
}

void zcmem__barrier_pause(void) {
  (void)sched_yield();
}
#else
bool zcmem__barrier_kernel; /* never: the owner passes a fence */

void zcmem__barrier_open(void) {}

void zcmem__barrier_all(void) {
  atomic_thread_fence(memory_order_seq_cst);
}

/* There is no portable way; zcmem_lock_ops may have one. */
void zcmem__barrier_pause(void) {}
#endif
