#!/bin/sh
# SPDX-License-Identifier: MIT
# The models in models/*.pml: spin finds no error in any state that can be reached, and finds one in each variant that
# a model names at its top.
. "$(dirname "$0")/common.sh"
need spin "$CC"
work_dir models
cd "$work"

# verify <model> [variant]: what it finds is in the log
verify() {
  cp "$source_root/tests/models/$1.pml" model.pml
  spin ${2:+-D$2} -a model.pml >log 2>&1 || fail "spin does not understand $1 ${2:-}: $(cat log)"
  $CC -O1 -w -DNOREDUCE ${2:+-D$2} -o pan pan.c >log 2>&1 || fail "$1 ${2:-} does not compile: $(cat log)"
  ./pan -m100000 >log 2>&1 # assertions, and no process stuck
  grep -q 'max search depth too small' log && fail "$1 ${2:-} is searched not deep enough"
  grep -q 'State-vector' log || fail "$1 ${2:-} does not run: $(cat log)"
}

count=0
for file in "$source_root"/tests/models/*.pml; do
  model=$(basename "$file" .pml)
  verify "$model"
  if grep -q 'errors: [1-9]' log; then
    cat log
    fail "$model has an error"
  fi
  echo "$model: $(sed -n 's/^ *\([0-9]*\) states, stored.*/\1 states/p' log | head -n 1), no error"
  variants=$(sed -n 's/^ \*   \([A-Z_]*\)  .*/\1/p' "$file")
  [ -n "$variants" ] || fail "$model names no variant that must fail"
  for variant in $variants; do
    verify "$model" "$variant"
    grep -q 'errors: [1-9]' log || fail "nothing is wrong with $variant in $model"
    echo "$model with $variant: an error is found"
    count=$((count + 1))
  done
done
[ $count -gt 0 ] || fail "no models"
