#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs copy_buffer ($1) with the arguments that follow, and checks what it prints: the two lines that are promised,
# and with files a line for each direction that tells as many bytes as went there (each byte makes four trips).
set -eu
output=$("$@")
program=$1
shift
[ "${1-}" = --unmapped ] && shift

fail() {
  printf '%s: %s\nThe output was:\n%s\n' "$program" "$1" "$output" >&2
  exit 1
}

if [ -c /dev/full ] && "$program" >/dev/full 2>&1; then
  fail 'exit status 0 where the output could not be written'
fi
[ "$(printf '%s\n' "$output" | head -n 1)" = "Using device 'zcmem host device'" ] || fail 'wrong first line'
[ "$(printf '%s\n' "$output" | tail -n 1)" = 'Results validated successfully.' ] || fail 'wrong last line'
lines=$(printf '%s\n' "$output" | wc -l)
if [ $# -eq 0 ]; then
  [ "$lines" -eq 2 ] || fail "$lines lines instead of 2"
  exit 0
fi
[ "$lines" -eq 5 ] || fail "$lines lines instead of 5"
bytes=$(($(cat "$@" | wc -c) * 4))
for direction in 'host -> device' 'device -> device' 'device -> host'; do
  printf '%s\n' "$output" | grep -q "^$direction  *$bytes bytes  *[0-9.]* MB/s\$" ||
    fail "no line '$direction' with $bytes bytes and a speed"
done
