/* SPDX-License-Identifier: MIT */
/*
 * USDT probes, for bpftrace, perf and SystemTap: one instruction each that does nothing until somebody looks. Only
 * where the build asks for them (ZCMEM_USDT, which needs <sys/sdt.h>), since they are on the fast path, too.
 *
 *      zcmem:alloc   region (struct zcmem__region *), size, align, status, address where it is 0
 *      zcmem:free    address, status
 *      zcmem:resize  address, size, status
 */
#ifndef ZCMEM_SRC_PROBE_H
#define ZCMEM_SRC_PROBE_H

#ifdef ZCMEM_USDT
#include <sys/sdt.h>
#define ZCMEM__PROBE_ALLOC(region, size, align, status, addr)                                                          \
  DTRACE_PROBE5(zcmem, alloc, region, size, align, status, (status) == ZCMEM_OK ? *(addr) : 0)
#define ZCMEM__PROBE_FREE(addr, status) DTRACE_PROBE2(zcmem, free, addr, status)
#define ZCMEM__PROBE_RESIZE(addr, size, status) DTRACE_PROBE3(zcmem, resize, addr, size, status)
#else
#define ZCMEM__PROBE_ALLOC(region, size, align, status, addr) ((void)0)
#define ZCMEM__PROBE_FREE(addr, status) ((void)0)
#define ZCMEM__PROBE_RESIZE(addr, size, status) ((void)0)
#endif

#endif
