#!/bin/sh
# SPDX-License-Identifier: MIT
# The tree: nothing refers to what is not in it, each source file names its licence, the top level is what was agreed.
. "$(dirname "$0")/common.sh"
cd "$source_root"
if command -v git >/dev/null 2>&1 && [ -e .git ] && git -c safe.directory='*' ls-files >/dev/null 2>&1; then
  files=$(git -c safe.directory='*' ls-files)
else # a tarball
  files=$(find . -type f ! -path './build*' ! -path './.git/*' ! -path './subprojects/*/*' | sed 's,^\./,,')
fi
[ -n "$files" ] || fail "no files"

bad=0
complain() {
  echo "FAIL: $*"
  bad=1
}
for file in $files; do
  [ -e "$file" ] || continue
  case $file in
  bench/traces/*) continue ;; # data
  esac
  if grep -nE '[.][.]/shared|/(work|tmp)/[a-z]' "$file"; then
    complain "$file refers to a place outside of the tree"
  fi
  case $file in
  *.c | *.h | *.cpp | *.hpp | *.sh | *.py | *meson.build | *.awk | .ci/*)
    head -n 2 "$file" | grep -q 'SPDX-License-Identifier: MIT' || complain "$file names no licence"
    ;;
  esac
done
for top in $(echo "$files" | cut -d/ -f1 | sort -u); do
  case $top in
  .* | COPYING | README.md | bench | examples | include | meson.build | meson_options.txt | src | subprojects | tests) ;;
  *) complain "$top at the top level" ;;
  esac
done
exit $bad
