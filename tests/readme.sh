#!/bin/sh
# SPDX-License-Identifier: MIT
# The program in README.md is examples/first.c, and it is short; the commands are where .ci/run looks for them; excerpts
# are from the files that they name, and what a program is said to print it prints.
. "$(dirname "$0")/common.sh"
work_dir readme
# block <mark> [n]: the lines of the (n-th) block with that mark
block() {
  awk -v mark="<!-- $1 -->" -v skip="${2:-1}" '
    $0 == mark && --skip == 0 { found = 1; next }
    found && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }' "$source_root/README.md"
}
block 'examples/first.c' >"$work/first.c"
[ -s "$work/first.c" ] || fail "no program is marked in README.md"
diff "$work/first.c" "$source_root/examples/first.c" || fail "README.md and examples/first.c differ"
for n in 1 2 3; do
  block "command $n" >"$work/command$n"
  [ "$(wc -l <"$work/command$n")" -eq 1 ] || fail "command $n of README.md is not one line"
  sh -n "$work/command$n" || fail "command $n"
done
# What README.md shows is what users type: its paths must exist.
grep -o '(\([a-zA-Z./_-]*\))' "$source_root/README.md" | tr -d '()' | grep / | sort -u >"$work/links"
while read -r path; do
  [ -e "$source_root/$path" ] || fail "README.md names $path, which does not exist"
done <"$work/links"

# Excerpts: whole lines of the file, in one piece.
grep -o '^<!-- from [^ ]* -->$' "$source_root/README.md" | cut -d' ' -f3 >"$work/sources"
[ -s "$work/sources" ] || fail "no excerpt is marked in README.md"
for file in $(sort -u "$work/sources"); do
  n=0
  while [ $n -lt "$(grep -cFx "$file" "$work/sources")" ]; do
    n=$((n + 1))
    block "from $file" $n >"$work/excerpt"
    [ -s "$work/excerpt" ] || fail "excerpt $n from $file is empty"
    awk 'NR == FNR { part = part $0 "\n"; next } { whole = whole $0 "\n" } END { exit !index("\n" whole, "\n" part) }' \
      "$work/excerpt" "$source_root/$file" || fail "excerpt $n is not in $file"
  done
done

# Output, but for rounding errors. (A build without examples has nothing to run.)
block build/examples/fft >"$work/shown"
[ -s "$work/shown" ] || fail "what build/examples/fft prints is not marked in README.md"
if [ -x "$build_root/examples/fft" ]; then
  "$build_root/examples/fft" >"$work/printed" || fail "fft"
  for lines in shown printed; do
    sed 's/error [0-9.]*e-[0-9]*,/error,/' "$work/$lines" >"$work/$lines.lines"
  done
  diff "$work/shown.lines" "$work/printed.lines" || fail "README.md does not show what fft prints"
fi
