#!/bin/sh
# SPDX-License-Identifier: MIT
# The table of tests/MISUSE.md is what the tests of misuse print, its other columns name known verdicts only, and the
# sums in README.md are its sums.
. "$(dirname "$0")/common.sh"
work_dir misuse
document=$source_root/tests/MISUSE.md
[ -x "$build_root/tests/test_misuse" ] || skip "test_misuse is not built (no CMocka)"
"$build_root/tests/test_misuse" --table >"$work/printed"
[ "$(grep -c '`' "$work/printed")" -ge 40 ] || fail "fewer than 40 kinds of misuse"
awk '/^[|]---/ { table = 1; next } table && /^[|]/' "$document" >"$work/rows"
awk -F' [|] ' '/^[|] [*][*]/ { print $1 " | | |"; next } { print $1 " | " $2 " | " $3 " |" }' "$work/rows" >"$work/shown"
diff "$work/shown" "$work/printed" || fail "tests/MISUSE.md (<) is not what test_misuse --table prints (>)"
awk -F'[|]' -v OFS=' | ' '
  /^[|] [*][*]/ { next }
  {
    said = $4 !~ /ZCMEM_OK/ ? "detected" : $4 ~ /: not / ? "silent" : "harmless"
    count["zcmem" said]++
    for (i = 5; i <= 8; i++) {
      verdict = $i
      gsub(/^ +| +$/, "", verdict)
      if (verdict !~ /^(detected|crash|silent|silent, then (crash|abort)|harmless|n\/a)$/) {
        print "what is \"" verdict "\"?"
        exit
      }
      sub(/,.*/, "", verdict)
      count[i verdict]++
    }
  }
  END {
    split("detected silent crash harmless n/a", verdicts, " ")
    for (k = 1; k <= 5; k++) {
      said = verdicts[k]
      printf "| %s | %d | %d | %d | %d | %d |\n", said, count["zcmem" said], count[5 said], count[6 said],
        count[7 said], count[8 said]
    }
  }' "$work/rows" >"$work/sums"
while read -r line; do
  grep -qFx "$line" "$source_root/README.md" || fail "README.md lacks the sum of tests/MISUSE.md: $line"
done <"$work/sums"
kinds=$(grep -c '`' "$work/rows")
grep -q "lists $kinds mistakes" "$source_root/README.md" || fail "README.md does not say that there are $kinds mistakes"
[ "$(wc -l <"$work/sums")" -eq 5 ] || fail "sums of tests/MISUSE.md"
