#!/bin/sh
# SPDX-License-Identifier: MIT
# pipeline.sh SHARED_PIPELINE: the filter is killed from outside, by kill -9, as often as said here; each time another
# one takes over, no frame is lost but the one that it had in its hands, no byte is copied.
set -u
program=$1
kills=5
frames=3000
said=$(mktemp) || exit 1
"$program" --kills 0 --frames $frames >"$said" &
main=$!
trap 'rm -f "$said"; kill "$main" 2>/dev/null' EXIT

fail() {
  printf 'FAIL: %s\nThe output was:\n' "$1"
  cat "$said"
  exit 1
}

# Waits until so many lines match.
wait_for() {
  while [ "$(grep -c "$1" "$said")" -lt "$2" ]; do
    kill -0 "$main" 2>/dev/null || fail "it ended before line $2 of: $1"
    sleep 0.02
  done
}

number=0
while [ $number -lt $kills ]; do
  number=$((number + 1))
  wait_for '^the filter is process ' $number
  filter=$(sed -n 's/^the filter is process //p' "$said" | tail -n 1)
  sleep 0.0$number
  kill -9 "$filter" || fail "there is no filter $filter"
  wait_for "^filter $filter was killed: [01] pins given back, another one takes over\$" 1
done
wait "$main" || fail "it ended with status $?"
trap 'rm -f "$said"' EXIT
sum=$(sed -nE 's/^([0-9]+) frames of 1048576 bytes shown, ([0-9]+) lost with a filter, 0 bytes copied, [0-9]+ frames\/s$/\1 \2/p' "$said")
# shellcheck disable=SC2086
set -- $sum
[ $# -eq 2 ] || fail 'no such line at the end, or bytes were copied'
[ $(($1 + $2)) -eq $frames ] && [ "$2" -le $kills ] || fail "$1 frames shown and $2 lost, of $frames and $kills kills"
tail -n 1 "$said"
