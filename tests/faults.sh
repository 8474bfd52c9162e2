#!/bin/sh
# SPDX-License-Identifier: MIT
# Every function that a public header declares is an operation of the fault tests. So a new one cannot be forgotten.
. "$(dirname "$0")/common.sh"
work_dir faults
[ -x "$build_root/tests/test_faults" ] || skip "test_faults is not built"
"$build_root/tests/test_faults" --list | sort -u >"$work/operations"
for header in "$source_root"/include/zcmem/*.h; do
  sed -e 's,/\*.*\*/,,' -e '/^ *#/d' "$header" | tr '\n' ' ' | grep -o 'ZCMEM_API [^;]*;' | grep '(' |
    sed -E 's/\(.*//; s/.*[ *]([a-z0-9_]+) *$/\1/'
done | sort -u >"$work/declared"
[ "$(wc -l <"$work/declared")" -ge 80 ] || fail "not all declarations found in the public headers"
diff "$work/declared" "$work/operations" || fail "< declared but without an operation in tests/faults_*.c, > the reverse"
echo "$(wc -l <"$work/declared") functions, all of them with faults"
