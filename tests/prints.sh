#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a program ($1), which must succeed and print, for each further argument (an extended regular expression), one
# whole line that matches it: in this order, and no other line. Its errors must not go unnoticed: where the output
# cannot be written, it must fail.
set -eu
program=$1
shift
output=$("$program")

fail() {
  printf '%s: %s\nThe output was:\n%s\n' "$program" "$1" "$output" >&2
  exit 1
}

lines=$(printf '%s\n' "$output" | wc -l)
[ "$lines" -eq $# ] || fail "$lines lines instead of $#"
number=0
for expected in "$@"; do
  number=$((number + 1))
  printf '%s\n' "$output" | sed -n "${number}p" | grep -Eqx -e "$expected" || fail "line $number is not: $expected"
done
if [ -c /dev/full ] && "$program" >/dev/full 2>&1; then
  fail 'exit status 0 where the output could not be written'
fi
