#!/bin/sh
# SPDX-License-Identifier: MIT
# Names: every global symbol of libzcmem.a begins with zcmem_, but for TI's four, which are those of an object file that
# nothing else needs; libzcmem.so exports what the public headers declare with ZCMEM_API, all of it and nothing else.
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
