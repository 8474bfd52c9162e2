#!/bin/sh
# SPDX-License-Identifier: MIT
# A library built with ZCMEM_TRACK: valgrind's memcheck, or AddressSanitizer, reports each wrong access of track_stores.c
# where it happens, and nothing else. The argument is the tool. Built without it, the same program says nothing.
. "$(dirname "$0")/common.sh"
by=$1
need "$CC"
work_dir "track-$by"
wrong='store-behind load-behind store-before store-after-free load-after-free store-after-shrink store-after-last-use'
build() {
  # DWARF 4: valgrind before 3.20 or so cannot read what newer compilers write by default.
  # shellcheck disable=SC2086 # CC and the options may be several words
  $CC -std=c11 -gdwarf-4 -I"$source_root/include" "$@" "$source_root"/src/*.c "$source_root/tests/track_stores.c" \
    -pthread -o "$work/track_stores" >"$work/log" 2>&1
}
expect() { # WORDS CASE COMMAND...: the command fails, and says the words
  words=$1 case=$2
  shift 2
  if "$@" "$work/track_stores" "$case" >"$work/out" 2>&1; then
    fail "$case: $by has not noticed"
  fi
  grep -Eq "$words" "$work/out" || { cat "$work/out"; fail "$case: $by does not say $words"; }
}
right() {
  "$@" "$work/track_stores" right >"$work/out" 2>&1 || { cat "$work/out"; fail "a right access is reported"; }
  grep -qx 'done' "$work/out" || fail "the program did not come to its end"
}
case $by in
valgrind)
  need valgrind
  echo '#include <valgrind/memcheck.h>' | $CC -E -xc - >/dev/null 2>&1 || skip "no valgrind/memcheck.h"
  build -DZCMEM_TRACK || { cat "$work/log"; fail "$CC"; }
  right valgrind -q --error-exitcode=9
  for case in $wrong; do
    expect 'Invalid (write|read) of size 1' "$case" valgrind -q --error-exitcode=9
  done
  expect '0 bytes after a block of size 101 client-defined' store-behind valgrind -q --error-exitcode=9
  expect "50 bytes inside a block of size 101 free'd" store-after-free valgrind -q --error-exitcode=9
  ;;
asan)
  build -DZCMEM_TRACK -fsanitize=address || skip "$CC knows no -fsanitize=address"
  right env
  for case in $wrong; do
    expect 'AddressSanitizer: use-after-poison' "$case" env
  done
  ;;
esac
echo "$by: $(echo "$wrong" | wc -w) kinds of wrong access, all reported"
build || { cat "$work/log"; fail "$CC without ZCMEM_TRACK"; }
for case in right $wrong; do
  "$work/track_stores" "$case" >"$work/out" 2>&1 || { cat "$work/out"; fail "$case: without ZCMEM_TRACK"; }
done
