#!/bin/sh
# SPDX-License-Identifier: MIT
# The binary interface beside the symbols: sizes, offsets and constants of the public headers are those in abi.txt, which
# is of hosts with 64-bit pointers. And the list is one that notices: a member that moves changes it.
. "$(dirname "$0")/common.sh"
need python3 "$CC"
work_dir abi
$CC -dM -E - </dev/null | grep -q '__LP64__ 1' || skip "abi.txt is of hosts with 64-bit pointers and longs"
version=$(sed -n 's/^#define ZCMEM_VERSION "\(.*\)"/\1/p' "$source_root/include/zcmem/version.h")
abi=${version%.*} # 0.MINOR; from version 1 on MAJOR
[ "${abi%.*}" = 0 ] || abi=${abi%.*}

python3 "$source_root/tests/abi.py" "$source_root/include" $CC >"$work/printed" || fail "abi.py"
{ sed -n '/^abi /q; p' "$source_root/tests/abi.txt"; echo "abi $abi"; cat "$work/printed"; } >"$work/abi.txt"
if ! diff "$source_root/tests/abi.txt" "$work/abi.txt"; then
  echo "Within ABI $abi nothing may change but that structures which begin with struct_bytes grow at their end, and that"
  echo "names come to be (src/doc/versions.md). Where it is so: cp build/tests/work-abi/abi.txt tests/abi.txt"
  fail "< tests/abi.txt, > the headers"
fi
[ "$(grep -c '^struct ' "$work/printed")" -ge 30 ] || fail "not all structures were found"

cp -R "$source_root/include" "$work/include"
sed 's/^  uint32_t max_regions;.*//; s/^  size_t bounce_bytes;/  uint32_t max_regions; &/' \
  "$source_root/include/zcmem/hal.h" >"$work/include/zcmem/hal.h"
python3 "$source_root/tests/abi.py" "$work/include" $CC >"$work/moved" || fail "abi.py, of members that have moved"
grep -q 'zcmem_hal_config.max_mappings at 8 ' "$work/moved" || fail "a member that moves is not noticed"
echo "$(grep -c '^struct ' "$work/printed") structures, $(grep -c '^  ' "$work/printed") members, $(
  grep -cE '^(ZCMEM|HAL)_' "$work/printed") constants as they are in tests/abi.txt"
