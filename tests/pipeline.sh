#!/bin/sh
# SPDX-License-Identifier: MIT
# pipeline.sh SHARED_PIPELINE: the filter is killed from outside, by kill -9, as often as said here; each time another
# one takes over, no frame is lost but the one that it had in its hands, no byte is copied.
set -u
program=$1
kills=5
frames=3000
said=$(mktemp) || exit 1
main=
trap 'rm -f "$said"; [ -z "$main" ] || kill "$main" 2>/dev/null' EXIT

fail() {
  printf 'FAIL: %s\nThe output was:\n' "$1"
  cat "$said"
  exit 1
}

# Waits until so many lines match. 1: it ended before.
wait_for() {
  while [ "$(grep -c "$1" "$said")" -lt "$2" ]; do
    kill -0 "$main" 2>/dev/null || return 1
    sleep 0.02
  done
}

# One filter after the other. 1: it ended before.
kill_filters() {
  number=0
  while [ $number -lt $kills ]; do
    number=$((number + 1))
    wait_for '^the filter is process ' $number || return 1
    filter=$(sed -n 's/^the filter is process //p' "$said" | tail -n 1)
    sleep 0.0$number
    kill -9 "$filter" 2>/dev/null || return 1
    wait_for "^filter $filter was killed: [01] pins given back, another one takes over\$" 1 || return 1
  done
}

# Where all frames are shown before the last kill there are too few: this shell may get the processor late.
while :; do
  "$program" --kills 0 --frames $frames >"$said" &
  main=$!
  kill_filters && break
  wait "$main" || fail "it ended with status $?"
  [ $frames -lt 100000 ] || fail "of $kills filters not all could be killed while $frames frames were shown"
  frames=$((frames * 4))
done
wait "$main" || fail "it ended with status $?"
trap 'rm -f "$said"' EXIT
sum=$(sed -nE 's/^([0-9]+) frames of 1048576 bytes shown, ([0-9]+) lost with a filter, 0 bytes copied, [0-9]+ frames\/s$/\1 \2/p' "$said")
# shellcheck disable=SC2086
set -- $sum
[ $# -eq 2 ] || fail 'no such line at the end, or bytes were copied'
[ $(($1 + $2)) -eq $frames ] && [ "$2" -le $kills ] || fail "$1 frames shown and $2 lost, of $frames and $kills kills"
tail -n 1 "$said"
