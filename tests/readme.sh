#!/bin/sh
# SPDX-License-Identifier: MIT
# The program in README.md is examples/first.c, and it is short; the commands are where .ci/run looks for them, or in
# examples/README.md; excerpts are from the files that they name, what a program is said to print it prints, and what a
# page links to is there. Figures that README.md shows are those of bench/FIGURES.md.
. "$(dirname "$0")/common.sh"
work_dir readme
pages='README.md examples/README.md'
# block <mark> [n]: the lines of the (n-th) block with that mark
block() {
  (cd "$source_root" && cat $pages) | awk -v mark="<!-- $1 -->" -v skip="${2:-1}" '
    $0 == mark && --skip == 0 { found = 1; next }
    found && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }'
}
block 'examples/first.c' >"$work/first.c"
[ -s "$work/first.c" ] || fail "no program is marked in README.md"
diff "$work/first.c" "$source_root/examples/first.c" || fail "README.md and examples/first.c differ"
[ "$(wc -l <"$source_root/README.md")" -le 300 ] || fail "README.md is longer than a page should be"
for n in 1 2 3; do
  block "command $n" >"$work/command$n"
  [ "$(wc -l <"$work/command$n")" -eq 1 ] || fail "command $n is not one line"
  sh -n "$work/command$n" || fail "command $n"
done
for n in 1 2; do # for .ci/run
  grep -qx "<!-- command $n -->" "$source_root/README.md" || fail "command $n is not in README.md"
done
# What a page shows is what users type: its paths must exist, and headings that it links to.
for page in $pages bench/README.md bench/FIGURES.md tests/README.md; do
  dir=$(dirname "$source_root/$page")
  grep -oE '\]\([^)]+\)' "$source_root/$page" | sed 's/^](//; s/)$//' | sort -u >"$work/links"
  while read -r link; do
    case $link in http*) continue ;; esac
    [ -e "$dir/${link%%#*}" ] || fail "$page links to $link, which does not exist"
  done <"$work/links"
done
(cd "$source_root" && grep -ohE 'FIGURES\.md#[a-z-]+' README.md bench/*.md src/doc/*.md) | cut -d'#' -f2 | sort -u >"$work/anchors"
[ -s "$work/anchors" ] || fail "no page links to a heading of bench/FIGURES.md"
sed -n 's/^## //p' "$source_root/bench/FIGURES.md" | tr 'A-Z ' 'a-z-' | sort -u >"$work/headings"
missing=$(comm -23 "$work/anchors" "$work/headings")
[ -z "$missing" ] || fail "bench/FIGURES.md has no heading: $missing"

# The figures of fragmentation stand in both.
awk '/^## Figures/ { inside = 1 } /^## What it guarantees/ { inside = 0 } inside && /^[|] (torch|host)_/' \
  "$source_root/README.md" >"$work/figures"
[ "$(wc -l <"$work/figures")" -eq 5 ] || fail "README.md has not five traces"
while read -r line; do
  grep -qFx "$line" "$source_root/bench/FIGURES.md" || fail "bench/FIGURES.md does not say: $line"
done <"$work/figures"

# Excerpts: whole lines of the file, in one piece.
(cd "$source_root" && cat $pages) | grep -o '^<!-- from [^ ]* -->$' | cut -d' ' -f3 >"$work/sources"
[ -s "$work/sources" ] || fail "no excerpt is marked"
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
[ -s "$work/shown" ] || fail "what build/examples/fft prints is not marked"
if [ -x "$build_root/examples/fft" ]; then
  "$build_root/examples/fft" >"$work/printed" || fail "fft"
  for lines in shown printed; do
    sed 's/error [0-9.]*e-[0-9]*,/error,/' "$work/$lines" >"$work/$lines.lines"
  done
  diff "$work/shown.lines" "$work/printed.lines" || fail "what fft prints is not what examples/README.md shows"
fi
