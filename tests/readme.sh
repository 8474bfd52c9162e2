#!/bin/sh
# SPDX-License-Identifier: MIT
# The program in README.md is examples/first.c, and it is short; the two commands are where .ci/run looks for them.
. "$(dirname "$0")/common.sh"
work_dir readme
block() {
  awk -v mark="<!-- $1 -->" '
    $0 == mark { found = 1; next }
    found && /^```/ { if (inside) exit; inside = 1; next }
    inside { print }' "$source_root/README.md"
}
block 'examples/first.c' >"$work/first.c"
[ -s "$work/first.c" ] || fail "no program is marked in README.md"
diff "$work/first.c" "$source_root/examples/first.c" || fail "README.md and examples/first.c differ"
for n in 1 2; do
  block "command $n" >"$work/command$n"
  [ "$(wc -l <"$work/command$n")" -eq 1 ] || fail "command $n of README.md is not one line"
  sh -n "$work/command$n" || fail "command $n"
done
# What README.md shows is what users type: its paths must exist.
grep -o '(\([a-zA-Z./_-]*\))' "$source_root/README.md" | tr -d '()' | grep / | sort -u >"$work/links"
while read -r path; do
  [ -e "$source_root/$path" ] || fail "README.md names $path, which does not exist"
done <"$work/links"
