#!/bin/sh
# SPDX-License-Identifier: MIT
# The pages of src/doc: the C of each page, all blocks one after the other, is a program that compiles without a
# warning, runs, and prints what the block marked <!-- prints --> says; no block is of a kind that nobody checks; each
# name of zcmem's is one that a public header knows, and each link leads somewhere.
. "$(dirname "$0")/common.sh"
need "$CC"
work_dir doc
cd "$work"
warnings='-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wpedantic -Werror'
mkdir objects
(cd objects && $CC -std=c11 -O1 -I "$source_root/include" -c "$source_root"/src/*.c) || fail "src/*.c"

# blocks <page> <language>: the text of all blocks of that language, with the lines of the page kept for the compiler
blocks() {
  awk -v language="$2" -v page="$1" '
    /^```/ && !inside {
      inside = 1
      wanted = $0 == "```" language
      if (wanted) printf "#line %d \"%s\"\n", NR + 1, page
      next
    }
    /^```$/ { inside = 0; next }
    inside && wanted { print }' "$1"
}

programs=0
for page in "$source_root"/src/doc/*.md; do
  name=${page##*/}
  name=${name%.md}
  grep '^```.' "$page" | grep -vxE '```(c|text)' >other || : >other
  [ ! -s other ] || [ "$(sort -u other)" = '```sh' ] || { cat other; fail "$page: blocks that nobody checks"; }
  [ "$(grep -c '^```sh$' "$page")" -eq "$(grep -c '^<!-- way: [a-z-]* -->$' "$page")" ] ||
    fail "$page: commands that nobody runs"

  blocks "$page" c >"$name.c"
  if [ -s "$name.c" ]; then
    $CC -std=c11 -O1 $warnings -I "$source_root/include" -I "$source_root/tests" "$name.c" objects/*.o \
      -o "$name" -pthread ||
      fail "$page does not compile"
    "./$name" >"$name.printed" || fail "the program of $page ends with $?"
    awk '/^<!-- prints -->$/ { found = 1; next }
      found && /^```/ { if (inside) exit; inside = 1; next }
      inside { print }' "$page" | diff - "$name.printed" || fail "< $page says, > it prints"
    programs=$((programs + 1))
  fi

  # Names: functions and types are those of the public headers, macros may be the build's. (`zcmem_mem_*` is a family.)
  { cat "$source_root"/include/zcmem/*.h && sed -n 's/ = files(.*//p' "$source_root/src/meson.build"; } >known
  cat known "$source_root"/src/*.[ch] "$source_root"/src/*.txt "$source_root"/src/*.py "$source_root"/src/meson.build \
    "$source_root"/bench/*.c \
    >known-macros
  words='s/(zcmem|ZCMEM)_[A-Za-z_]*\*//g; s/([^A-Za-z0-9_])/\n/g'
  sed -E "$words" "$page" | grep -xE 'zcmem_[a-z0-9_]+' | sort -u >functions || :
  sed -E "$words" "$page" | grep -xE 'ZCMEM_[A-Z0-9_]+' | sort -u >macros || :
  while read -r word; do
    grep -qwF "$word" known || fail "$page names $word, which no public header has"
  done <functions
  while read -r word; do
    grep -qwF "$word" known-macros || fail "$page names $word, which is nowhere"
  done <macros

  grep -oE '\]\([^)#]+' "$page" | cut -c3- | sort -u >links
  while read -r link; do
    case $link in
    http*) ;;
    *) [ -e "$source_root/src/doc/$link" ] || fail "$page links to $link, which is not there" ;;
    esac
  done <links
done
[ $programs -ge 7 ] || fail "only $programs programs in src/doc"
echo "$programs programs of src/doc compile, run and print what the pages say"
