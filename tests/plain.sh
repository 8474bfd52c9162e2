#!/bin/sh
# SPDX-License-Identifier: MIT
# Without Meson: `cc -Iinclude src/*.c` is all that a vendor who takes the plain files needs.
. "$(dirname "$0")/common.sh"
need "$CC" ar
work_dir plain
cd "$work"
$CC -O1 -I "$source_root/include" -c "$source_root"/src/*.c
ar rcs libzcmem.a ./*.o
$CC -I "$source_root/include" "$source_root/examples/first.c" libzcmem.a -o first
./first
