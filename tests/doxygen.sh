#!/bin/sh
# SPDX-License-Identifier: MIT
# Doxygen over the public headers and the pages of src/doc: no warning, and each function of the headers has its text.
# A header in which something is not described, and a page that names what there is not, must be noticed.
. "$(dirname "$0")/common.sh"
need doxygen awk
work_dir doxygen
# document <source root> <output>: the status is doxygen's
document() {
  mkdir -p "$2"
  sed "s,@source@,$1,g; s,@output@,$2,g; s,@version@,0,g" "$1/src/doc/Doxyfile.in" >"$2/Doxyfile"
  doxygen "$2/Doxyfile" >"$2/log" 2>&1
}
document "$source_root" "$work/all" || { cat "$work/all/log" "$work/all/warnings.txt"; fail "doxygen"; }
[ ! -s "$work/all/warnings.txt" ] || { cat "$work/all/warnings.txt"; fail "warnings"; }

grep -h '^ZCMEM_API .*(' "$source_root"/include/zcmem/*.h |
  sed 's/(.*//; s/.*[ *]//' | sort -u >"$work/declared"
tr -d '\n' <"$work/all/zcmem.tag" | sed 's/<member /\n&/g' | grep '^<member kind="function"' |
  awk -F '</*name>' '{ print $2 }' | sort -u >"$work/described"
[ "$(wc -l <"$work/declared")" -gt 50 ] || fail "too few declarations found"
comm -23 "$work/declared" "$work/described" >"$work/missing"
[ ! -s "$work/missing" ] || { cat "$work/missing"; fail "> are not in what doxygen wrote"; }

# The pages' links work in the tree as they are written, and in HTML as Doxygen makes them.
cd "$work/all/html"
cat ./*.html | grep -oE 'href="[^"#:]+["#]' | sed 's/^href="//; s/["#]$//' | sort -u >"$work/links"
grep -q '^md_regions.html$' "$work/links" || fail "no link to a page"
while read -r link; do
  [ -e "$link" ] || fail "a link leads to $link, which is not there"
done <"$work/links"
cd "$work"

copy=$work/copy
mkdir -p "$copy/src"
cp -R "$source_root/include" "$copy/include"
cp -R "$source_root/src/doc" "$copy/src/doc"
# The comment goes to another function, and this one is left without.
sed 's,^ZCMEM_API uint32_t zcmem_hal_region_count,&_other(void);\n\n&,' "$source_root/include/zcmem/hal.h" \
  >"$copy/include/zcmem/hal.h"
if document "$copy" "$work/undescribed" || ! grep -q 'zcmem_hal_region_count(' "$work/undescribed/warnings.txt"; then
  fail "what is not described goes unnoticed"
fi
sed 's,zcmem_heap_bytes,zcmem_heap_no_such,' "$source_root/include/zcmem/heap.h" >"$copy/include/zcmem/heap.h"
cp "$source_root/include/zcmem/hal.h" "$copy/include/zcmem/hal.h"
sed -i 's,^ZCMEM_API size_t zcmem_heap_no_such,ZCMEM_API size_t zcmem_heap_bytes,' "$copy/include/zcmem/heap.h"
if document "$copy" "$work/misnamed" || ! grep -q zcmem_heap_no_such "$work/misnamed/warnings.txt"; then
  fail "a comment that names what there is not goes unnoticed"
fi
echo "0 warnings; $(wc -l <"$work/declared") functions, $(find "$work/all/html" -name '*.html' | wc -l) pages"
