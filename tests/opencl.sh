#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs opencl_fft ($1) and checks its lines of proof; skipped where no OpenCL device can run it. Without any platform
# it must say so.
set -eu
program=$1
status=0
output=$("$program") || status=$?

fail() {
  printf '%s: %s\nThe output was:\n%s\n' "$program" "$1" "$output" >&2
  exit 1
}

# expect <number of lines> <extended regular expression of a whole line>
expect() {
  found=$(printf '%s\n' "$output" | grep -Ecx -e "$2" || :)
  [ "$found" -eq "$1" ] || fail "$found lines instead of $1: $2"
}

if [ $status -eq 77 ]; then
  echo 'SKIP: no OpenCL device that the example can use'
  exit 77
fi
[ $status -eq 0 ] || fail "exit status $status"

seen='in the region yes'
around='neighbours intact yes, error [0-9]\.[0-9]e-(0[5-9]|1[0-9])'
zero_copy="8192 bytes, copied +0; in place yes, $seen, the very pointer yes, $around"
copied="8192 bytes, copied 16384; in place no, $seen, the very pointer no, $around"
expect 1 "Using OpenCL device '.*' of '.*', sub-buffers aligned to [0-9]+ bytes"
ways=1
if printf '%s\n' "$output" | grep -qx 'Shared virtual memory of OpenCL as a region of zcmem:'; then
  ways=2
fi
expect 1 'Buffers of OpenCL \(CL_MEM_USE_HOST_PTR\) over memory of zcmem:'
expect $ways "  __malloc_ddr +$zero_copy"
expect $ways "  __malloc_ddr, interior +$zero_copy"
expect $ways "  __malloc_ddr, sub-buffer +$zero_copy"
expect $ways "  malloc, for comparison +$copied"
expect 1 'A buffer of OpenCL \(CL_MEM_ALLOC_HOST_PTR\) as a region of zcmem:'
expect 1 "  map, kernel, map +$zero_copy"
[ "$(printf '%s\n' "$output" | tail -n 1)" = 'Results validated successfully.' ] || fail 'wrong last line'

status=0
output=$(OCL_ICD_VENDORS=/nonexistent "$program" 2>&1) || status=$?
[ $status -eq 77 ] || fail "exit status $status instead of 77 where there is no platform"
expect 1 'opencl_fft: no OpenCL platform here'
