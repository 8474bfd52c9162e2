#!/bin/bash
# SPDX-License-Identifier: MIT
# Proof of the arithmetic by Frama-C's Eva (Debian: frama-c-base): no run-time error for any input, and the assertions
# of proof_arithmetic.c, among them that a size lies in its bin and that no bin overlaps another. Fails at the first
# alarm, or if anything is not "valid". Prints the number of what was proved; skipped (77) without Frama-C.
set -u
cd "$(dirname "$0")/.." || exit 1
command -v frama-c >/dev/null 2>&1 || { echo "SKIP: no frama-c here"; exit 77; }
log=$(mktemp) || exit 1
trap 'rm -f "$log"' EXIT
# Without __GNUC__: the code that needs no builtin. The words of 64 and of 32 bits have a machine each.
for machine in x86_64 x86_32; do
  frama-c -c11 -machdep $machine -cpp-extra-args='-Iinclude -Isrc -U__GNUC__' -eva -eva-slevel 20000 \
    -eva-auto-loop-unroll 5000 -eva-split-return-function usable_range:0,zcmem__heap_layout:0 -eva-no-show-progress \
    -eva-msg-key=-initial-state,-final-states tests/proof_arithmetic.c >"$log" 2>&1
  status=$?
  alarms=$(grep -c 'eva:alarm' "$log")
  proved=$(sed -n 's/^ *Assertions *\([0-9]*\) valid *\([0-9]*\) unknown *\([0-9]*\) invalid.*/\1 \2 \3/p' "$log")
  read -r valid unknown invalid <<<"${proved:-0 0 0}"
  stated=$(grep -c '/\*@ assert' tests/proof_arithmetic.c)
  reached=$(sed -n 's/.* \([0-9]* statements reached (out of [0-9]*)\).*/\1/p' "$log")
  if [ $status -ne 0 ] || [ "$alarms" -ne 0 ] || [ "$unknown" -ne 0 ] || [ "$invalid" -ne 0 ] ||
    [ "$valid" -ne "$stated" ]; then
    grep -A3 -E 'eva:alarm|[Ee]rror|invalid|unknown' "$log"
    echo "FAILED: $machine: $alarms alarms, $valid of $stated assertions proved"
    exit 1
  fi
  echo "$machine: no run-time error for any input, $valid of $stated assertions proved, $reached"
done
