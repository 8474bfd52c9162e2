#!/bin/sh
# SPDX-License-Identifier: MIT
# amalgamation.sh <source root> <build root> <compiler> [<test>[,<further file>...]]...: the library as two files
# (`ninja amalgamation`), made anew: it compiles with every macro that leaves parts out, without a warning, and as
# part of a C++ program; it has the symbols of the library; and it passes the tests given that need no private header.
. "$(dirname "$0")/common.sh"
compiler=$1
shift
need "$compiler" python3 nm
work_dir "amalgamation-$compiler"
cd "$work"
python3 "$source_root/src/amalgamate.py" "$source_root" zcmem.c zcmem.h || fail "amalgamate.py"
warnings='-Wall -Wextra -Wconversion -Wsign-conversion -Wshadow -Wpedantic -Werror'

for leave_out in -DZCMEM_NO_PTHREAD -DZCMEM_NO_MAGAZINES -DZCMEM_NO_HOST_DEVICE; do
  $compiler -std=c11 -O1 $warnings $leave_out -c zcmem.c -o partial.o || fail "$leave_out"
done
if nm --undefined-only partial.o | grep -q host_device; then
  fail "a library without the host device needs it"
fi
$compiler -std=c11 -Os $warnings -ffreestanding -DZCMEM_CORE_ONLY -c zcmem.c -o core.o || fail "the core alone"
if nm --undefined-only core.o | grep -vE ' (memset|memcpy|memmove)$'; then
  fail "> the core needs from outside"
fi

# The symbols are those of the same sources one by one; without TI's names unless they are asked for.
$compiler -std=c11 -O1 $warnings -c zcmem.c -o without-ti.o || fail "zcmem.c"
$compiler -std=c11 -O1 $warnings -DZCMEM_TI_MALLOC -c zcmem.c -o zcmem.o || fail "zcmem.c with TI's names"
symbols() { nm -g --defined-only "$@" | awk 'NF == 3 { print $3 }' | sort -u; }
mkdir one-by-one
(cd one-by-one && $compiler -std=c11 -O1 -I "$source_root/include" -c "$source_root"/src/*.c) || fail "src/*.c"
symbols one-by-one/*.o >expected
symbols zcmem.o >found
[ "$(wc -l <expected)" -gt 50 ] || fail "too few symbols to be the library"
diff expected found || fail "> not the symbols of the library"
symbols without-ti.o >found
grep -vE '^__(malloc|free)_(ddr|msmc)$' expected | diff - found || fail "> without TI's names"

# For what includes <zcmem/...>.
mkdir zcmem
for header in "$source_root"/include/zcmem/*.h; do
  printf '#include "../zcmem.h"\n' >"zcmem/${header##*/}"
done
printf '#define ZCMEM_TI_MALLOC\n#include "../zcmem.h"\n' >zcmem/ti_malloc.h

if [ -n "${CXX:-}" ]; then
  printf '#define ZCMEM_TI_MALLOC\n#include "zcmem.h"\n#include "zcmem.h"\nint main() {\n  %s\n}\n' \
    'void *ptr = __malloc_ddr(100); __free_ddr(ptr); return ptr == nullptr;' >program.cpp
  $CXX -std=c++17 -Wall -Wextra -Wpedantic -Werror program.cpp zcmem.o -o program -pthread || fail "C++"
  ZCMEM_DDR_BYTES=1M ZCMEM_MSMC_BYTES=1M ./program || fail "the C++ program"
fi
$compiler -std=c11 -I . "$source_root/examples/first.c" without-ti.o -o first -pthread && ./first || fail "first.c"

command -v pkg-config >/dev/null && pkg-config --exists 'cmocka >= 1.1.5' || skip "no CMocka for the unit tests"
ran=0
for test in "$@"; do
  files=$(echo "$test" | tr ',' ' ')
  files=$(for file in $files; do echo "$source_root/tests/$file"; done)
  # shellcheck disable=SC2086 # several files
  if $compiler -MM -I . -I "$source_root/src" $(pkg-config --cflags cmocka) $files | grep -qF "$source_root/src/"; then
    continue # needs a private header
  fi
  name=${test%%.c*}
  # shellcheck disable=SC2046,SC2086
  $compiler -std=c11 -O0 -I . $(pkg-config --cflags cmocka) $files zcmem.o -o "$name" $(pkg-config --libs cmocka) \
    -pthread >log 2>&1 || { cat log; fail "$name does not compile"; }
  "./$name" >log 2>&1 || { cat log; fail "$name"; }
  rm "$name"
  ran=$((ran + 1))
done
[ $# -eq 0 ] || [ $ran -ge 20 ] || fail "only $ran test programs need no private header"
wc -lc zcmem.c zcmem.h | head -n 2
echo "$ran test programs passed with $compiler"
