#!/bin/sh
# SPDX-License-Identifier: MIT
# zcmem installed: the first program compiles with nothing but pkg-config's flags, against the static library and
# against the shared one. What is installed is what is listed here, no more.
. "$(dirname "$0")/common.sh"
need meson ninja pkg-config "$CC"
work_dir installed
run() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }
}
for kind in static shared; do
  prefix=$work/$kind
  run meson setup --prefix="$prefix" --libdir=lib -Ddefault_library=$kind -Dtests=disabled -Dbench=disabled \
    -Dexamples=disabled "$work/build-$kind" "$source_root"
  run ninja -j1 -C "$work/build-$kind"
  run meson install -C "$work/build-$kind"
  PKG_CONFIG_LIBDIR=$prefix/lib/pkgconfig
  export PKG_CONFIG_LIBDIR
  version=$(pkg-config --modversion zcmem)
  grep -q "define ZCMEM_VERSION \"$version\"" "$prefix/include/zcmem/version.h" || fail "pkg-config says version $version"
  for header in "$source_root"/include/zcmem/*.h; do
    cmp "$header" "$prefix/include/zcmem/${header##*/}" || fail "$header is not installed"
  done
  $CC $(pkg-config --cflags zcmem) "$source_root/examples/first.c" -o "$work/first-$kind" $(pkg-config --libs zcmem)
  LD_LIBRARY_PATH=$prefix/lib "$work/first-$kind" || fail "the program against the $kind library"

  version_part=${version%.*} # 0.MINOR; from version 1 on MAJOR
  case $version_part in
  0.*) ;;
  *) version_part=${version_part%.*} ;;
  esac
  {
    for header in "$source_root"/include/zcmem/*.h; do echo "include/zcmem/${header##*/}"; done
    [ "$(uname -s)" != Linux ] || echo bin/zcmem-inspect
    printf 'lib/%s\n' cmake/zcmem/zcmem-config.cmake cmake/zcmem/zcmem-config-version.cmake pkgconfig/zcmem.pc
    case $kind in
    static) echo lib/libzcmem.a ;;
    shared) printf 'lib/libzcmem.so%s\n' '' ".$version_part" ".$version" ;;
    esac
    echo share/doc/zcmem/COPYING
  } | sort >"$work/expected"
  (cd "$prefix" && find . ! -type d | sed 's,^\./,,' | sort) | diff "$work/expected" - ||
    fail "> $kind: files installed"
done
