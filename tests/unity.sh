#!/bin/sh
# SPDX-License-Identifier: MIT
# The library as one unit, and the benchmark: no two files have a file-static name, macro or type of the same name, and no file lives on
# what another one includes before it. Without a warning.
. "$(dirname "$0")/common.sh"
need meson ninja "$CC"
work_dir unity
for size in 4 10000; do
  meson setup "$work/build-$size" "$source_root" --unity=on --unity-size=$size --werror --optimization=1 \
    -Dtests=disabled -Dc_args='-Wconversion -Wsign-conversion -Wshadow' >"$work/log" 2>&1 || { cat "$work/log"; fail "meson setup"; }
  ninja -C "$work/build-$size" src/libzcmem.a examples/first bench/zcmem-bench >"$work/log" 2>&1 ||
    { cat "$work/log"; fail "units of $size files"; }
  "$work/build-$size/examples/first" || fail "first"
done
