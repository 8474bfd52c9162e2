#!/bin/sh
# SPDX-License-Identifier: MIT
# Every flush, every invalidate and every rounding to lines is needed: for each call of the functions below, the library
# is built without this one call, and then test_coherency must fail. Calls are found by name, so that new ones count.
. "$(dirname "$0")/common.sh"
need "$CC" pkg-config awk timeout
pkg-config --exists 'cmocka >= 1.1.5' || skip "pkg-config knows no CMocka 1.1.5 here"
work_dir mutants
cd "$work"

# <function> <what stands in for its call> <files where it counts>
calls='
for_lines                ZCMEM_OK  move.c
zcmem__move_flush        ZCMEM_OK  *.c
zcmem__move_invalidate   ZCMEM_OK  *.c
settle_line              ZCMEM_OK  move.c
settle_ends              ZCMEM_OK  move.c
before_read              ZCMEM_OK  move.c
before_write             ZCMEM_OK  move.c
zcmem__region_line       1u        *.c
zcmem__move_write        ZCMEM_OK  view.c
zcmem__move_read         ZCMEM_OK  view.c
'

# The drivers' callbacks are called by for_lines alone, or the list above would miss some.
stray=$(grep -nE 'ops->(flush|invalidate)' "$source_root"/src/*.c | grep -vE 'for_lines\(region,|(flush|invalidate) == NULL' || true)
[ -z "$stray" ] || fail "a flush or invalidate that this test does not know: $stray"

compile() {
  # shellcheck disable=SC2086
  $CC -std=c11 -O1 -w -pthread -I "$source_root/include" -I "$source_root/src" $cmocka_flags "$@"
}
cmocka_flags=$(pkg-config --cflags cmocka)
mkdir objects tests
(cd objects && for c in "$source_root"/src/*.c; do compile -c "$c" || exit 1; done) || fail "the library does not compile"
(cd tests && for name in test_coherency fake cached_device; do compile -c "$source_root/tests/$name.c" || exit 1; done) ||
  fail "the test does not compile"

# link <objects of the library...>
link() {
  # shellcheck disable=SC2046
  compile -o test_coherency tests/*.o "$@" $(pkg-config --libs cmocka)
}

pass() {
  timeout 30 ./test_coherency >log 2>&1
}

link objects/*.o || fail "the test does not link"
pass || {
  cat log
  fail "the test fails without any change"
}

# Prints "<line> <nth call in it>" for each call of $1 in the file $2: what is indented is no definition.
call_sites() {
  awk -v name="$1" '
    /^[ \t]/ && !/^ *[*\/]/ {
      rest = $0; nth = 0
      while (match(rest, "(^|[^a-z_])" name "\\(")) {
        print NR, ++nth
        rest = substr(rest, RSTART + RLENGTH)
      }
    }' "$2"
}

# Puts MUTANT in the place of the nth call of $1 in line $3 of the file $2.
without() {
  awk -v name="$1" -v line="$3" -v nth="$4" '
    NR == line {
      head = ""; rest = $0
      for (i = 1; match(rest, "(^|[^a-z_])" name "\\("); i++) {
        at = RSTART + RLENGTH - length(name) - 1
        if (i == nth) { print head substr(rest, 1, at - 1) "MUTANT(" substr(rest, RSTART + RLENGTH); next }
        head = head substr(rest, 1, RSTART + RLENGTH - 1)
        rest = substr(rest, RSTART + RLENGTH)
      }
    }
    { print }' "$2"
}

bad=0 mutants=0
echo "$calls" | sed '/^$/d' >list
while read -r name instead files; do
  found=0
  for file in "$source_root"/src/$files; do
    call_sites "$name" "$file" >sites
    while read -r line nth; do
      found=$((found + 1))
      mutants=$((mutants + 1))
      module=$(basename "$file" .c)
      without "$name" "$file" "$line" "$nth" >mutant.c
      cmp -s mutant.c "$file" && fail "$module.c:$line was not changed"
      compile "-DMUTANT(...)=$instead" -c mutant.c -o mutant.o || fail "$module.c:$line without $name does not compile"
      others=$(find objects -name '*.o' ! -name "$module.o")
      # shellcheck disable=SC2086
      link mutant.o $others || fail "$module.c:$line without $name does not link"
      if pass; then
        echo "FAIL: nothing notices that $module.c:$line lacks its $name:"
        sed -n "${line}p" "$file"
        bad=1
      fi
    done <sites
  done
  if [ $found -eq 0 ]; then
    echo "FAIL: no call of $name was found in $files"
    bad=1
  fi
done <list
[ $mutants -gt 0 ] || fail "nothing was left out"
echo "$mutants calls left out, one at a time"
exit $bad
