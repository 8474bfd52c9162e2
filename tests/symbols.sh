#!/bin/sh
# SPDX-License-Identifier: MIT
# Names: every global symbol of libzcmem.a begins with zcmem_, but for TI's four, which are those of an object file that
# nothing else needs; libzcmem.so exports what the public headers declare with ZCMEM_API, all of it and nothing else; and
# what symbols.txt lists is still there.
. "$(dirname "$0")/common.sh"
need meson ninja nm "$CC"
work_dir symbols
meson setup "$work/build" "$source_root" -Ddefault_library=both -Dtests=disabled -Dbench=disabled \
  -Dexamples=disabled >"$work/log" 2>&1 || { cat "$work/log"; fail "meson setup"; }
ninja -j1 -C "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; fail "ninja"; }

nm -g --defined-only "$work/build/src/libzcmem.a" | awk 'NF == 3 { print $3 }' | sort -u >"$work/static"
[ -s "$work/static" ] || fail "no symbol in libzcmem.a"
grep -v '^zcmem_' "$work/static" >"$work/others" || fail "TI's names are not there"
nm -A -g --defined-only "$work/build/src/libzcmem.a" | awk '$0 ~ /ti_malloc/ { print $NF }' | sort -u >"$work/ti"
printf '%s\n' __free_ddr __free_msmc __malloc_ddr __malloc_msmc >"$work/reserved"
diff "$work/reserved" "$work/others" || fail "> symbols of libzcmem.a without the prefix"
diff "$work/reserved" "$work/ti" || fail "> of ti_malloc.o"
if nm -A -g --undefined-only "$work/build/src/libzcmem.a" | grep -E ' __(malloc|free)_(ddr|msmc)$'; then
  fail "needs the names that a program may leave out"
fi

nm -D -g --defined-only "$work/build/src/libzcmem.so" | awk 'NF == 3 { print $3 }' | sort -u >"$work/exported"
for header in "$source_root"/include/zcmem/*.h; do
  sed -e 's,/\*.*\*/,,' -e '/^ *#/d' "$header" | tr '\n' ' ' | grep -o 'ZCMEM_API [^;]*;' |
    sed -E 's/\(.*//; s/;//; s/.*[ *]([a-z0-9_]+) *$/\1/'
done | sort -u >"$work/declared"
[ -s "$work/declared" ] || fail "no declaration found in the public headers"
if ! diff "$work/declared" "$work/exported"; then
  fail "< declared in a header but not exported, > exported but declared nowhere"
fi
if grep 'zcmem__' "$work/exported"; then
  fail "internal names are exported"
fi
echo "$(wc -l <"$work/static") global symbols in libzcmem.a, $(wc -l <"$work/exported") exported by libzcmem.so"

# What an ABI version has exported once stays exported until the next: 0.MINOR, and from version 1 on MAJOR.
version=$(sed -n 's/^#define ZCMEM_VERSION "\(.*\)"/\1/p' "$source_root/include/zcmem/version.h")
abi=${version%.*}
[ "${abi%.*}" = 0 ] || abi=${abi%.*}
list=$source_root/tests/symbols.txt
grep -v '^#' "$list" | sed '/^abi /d' | sort >"$work/listed"
listed_abi=$(sed -n 's/^abi //p' "$list")
anew="(grep '^#' tests/symbols.txt; echo abi $abi; cat build/tests/work-symbols/exported) >new"
[ "$listed_abi" = "$abi" ] || fail "tests/symbols.txt is of ABI $listed_abi, this is $abi; write it anew: $anew"
[ -s "$work/listed" ] || fail "tests/symbols.txt lists nothing"
gone=$(comm -23 "$work/listed" "$work/exported")
[ -z "$gone" ] || fail "removed within ABI $abi, which programs may use: $gone"
added=$(comm -13 "$work/listed" "$work/exported" | wc -l)
[ "$added" -eq 0 ] || echo "$added symbols are new since tests/symbols.txt was written; before a release: $anew"
