#!/bin/sh
# SPDX-License-Identifier: MIT
# Which lines and branches inputs reach: coverage.sh <source root> <scratch directory> <corpora>
# <corpora> has a directory of inputs, or a directory with corpus/ in it, for each target: tests/fuzz/corpus, or what
# run.sh made. Prints llvm-cov's report of src/ and of the parsers, for all targets together.
set -eu
source=$1 scratch=$2 corpora=$3
cover='-fprofile-instr-generate -fcoverage-mapping'
[ -d "$scratch/build" ] || CC=clang meson setup "$scratch/build" "$source" -Dbuildtype=debug -Doptimization=1 \
  -Dexamples=disabled -Dbench=disabled -Dc_args="$cover" -Dc_link_args="$cover" >/dev/null
ninja -C "$scratch/build" fuzz >/dev/null
objects=
rm -f "$scratch"/*.profraw
for target in ops image parse; do
  program=$scratch/build/tests/fuzz/fuzz_$target
  inputs=$corpora/$target
  [ -d "$inputs/corpus" ] && inputs=$inputs/corpus
  LLVM_PROFILE_FILE=$scratch/$target.profraw "$program" "$inputs"
  objects="$objects -object $program"
done
llvm-profdata merge -o "$scratch/all.profdata" "$scratch"/*.profraw
# shellcheck disable=SC2086 # a list
llvm-cov report -instr-profile "$scratch/all.profdata" $objects \
  --ignore-filename-regex='tests/|/include/' -show-branch-summary
