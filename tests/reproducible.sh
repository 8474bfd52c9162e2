#!/bin/sh
# SPDX-License-Identifier: MIT
# Built twice, with source and build in other directories of other depths, libzcmem.a is the same byte for byte: without
# debug information always, and with it where -Dreproducible=true is given. (Without that, debug information names the
# directories, so that debuggers find the sources: it must name one then, or nothing was compared.)
. "$(dirname "$0")/common.sh"
need meson ninja strings "$CC"
work_dir reproducible
# archive <result> <source directory> <build directory> <arguments of meson setup...>
archive() {
  result=$work/$1 source=$work/$2 build=$work/$3
  shift 3
  if [ ! -e "$source" ]; then
    mkdir -p "$source"
    for part in meson.build meson_options.txt include src tests bench examples COPYING; do
      cp -R "$source_root/$part" "$source/$part"
    done
  fi
  meson setup "$build" "$source" -Dtests=disabled -Dbench=disabled -Dexamples=disabled "$@" >"$work/log" 2>&1 &&
    ninja -j1 -C "$build" src/libzcmem.a >"$work/log" 2>&1 || { cat "$work/log"; fail "the build of $result"; }
  cp "$build/src/libzcmem.a" "$result"
}
archive debug-1.a one one/build -Dreproducible=true --optimization=0
archive debug-2.a deeper/in/here/two elsewhere/a-build -Dreproducible=true --optimization=0
cmp "$work/debug-1.a" "$work/debug-2.a" || fail "with debug information and -Dreproducible=true"
if strings "$work/debug-1.a" | grep -F "$work"; then
  fail "> names a directory of this machine"
fi
archive release-1.a one one/build-release -Ddebug=false --optimization=1
archive release-2.a deeper/in/here/two elsewhere/release -Ddebug=false --optimization=1
cmp "$work/release-1.a" "$work/release-2.a" || fail "without debug information"
archive plain.a one one/build-plain --optimization=0
strings "$work/plain.a" | grep -qF "$work" ||
  fail "debug information names no directory even without -Dreproducible: this test compares nothing"
sha256sum "$work/debug-1.a" "$work/release-1.a" | sed "s,$work/,,"
