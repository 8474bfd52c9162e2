#!/bin/sh
# SPDX-License-Identifier: MIT
# consumers.sh <source root> <build root> <way>: runs what src/doc/start.md says for that way, as it stands there, in an
# empty directory. `git clone` gives the tree as it is here, unless ZCMEM_CLONE is set: then it is git's.
. "$(dirname "$0")/common.sh"
way=$1
case $way in
meson) need meson ninja "$CC" ;;
pkg-config) need meson ninja pkg-config make "$CC" ;;
cmake-find) need meson ninja cmake "$CC" ;;
cmake-sub) need cmake make "$CC" ;;
plain) need cc c++ ;;
amalgamation) need python3 cc ;;
*) fail "what is the way $way?" ;;
esac
work_dir "consumer-$way"
awk -v mark="<!-- way: $way -->" '
  $0 == mark { found = 1; next }
  found && /^```/ { if (inside) exit; inside = 1; next }
  inside { print }' "$source_root/src/doc/start.md" >"$work/way.sh"
grep -q 'git clone' "$work/way.sh" || fail "src/doc/start.md has no such way"
cat >"$work/clone.sh" <<'END'
set -e
git() {
  if [ -n "${ZCMEM_CLONE:-}" ]; then
    command git "$@"
    return
  fi
  [ "$1 $2 $3" = "clone -q $ZCMEM" ] && mkdir "$4" || return 1
  for part in meson.build meson_options.txt README.md COPYING include src tests bench examples; do
    cp -R "$ZCMEM/$part" "$4/$part"
  done
}
END
mkdir "$work/project"
cd "$work/project"
unset CXX
began=$(date +%s.%N)
ZCMEM=$source_root sh -c ". ../clone.sh; . ../way.sh" >../log 2>&1 || { cat ../log; fail "$way"; }
ended=$(date +%s.%N)
# User's and system's, of all processes that were started here.
times >../times
processor=$(awk 'END { for (i = 1; i <= 2; i++) { split($i, part, /[ms]/); sum += 60 * part[1] + part[2] }
  printf "%.1f", sum }' ../times)
[ "$(tail -n 1 ../log)" = 'Hello, device memory!' ] || { cat ../log; fail "$way ends with another line"; }
echo "$way: $(awk "BEGIN { printf \"%.1f\", $ended - $began }") s from a clone to the first program, $processor s of a processor"
