/* SPDX-License-Identifier: MIT */
/*
 * Who is told when a malloc-shaped call fails: the handler of malloc.h, or the default one.
 */
#ifndef ZCMEM_MALLOC_REPORT_H
#define ZCMEM_MALLOC_REPORT_H

#include <zcmem/types.h>

/* Tells the handler. Takes no lock. */
void zcmem__malloc_report(enum zcmem_status status, const char *function, const void *ptr, size_t size);

#endif
