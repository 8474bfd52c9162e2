#!/bin/sh
# SPDX-License-Identifier: MIT
# header.sh <source root> <build root> <c11|c++17> <header>: a public header compiles when it is included alone, twice.
. "$(dirname "$0")/common.sh"
standard=$1
header=$2
warnings='-Wall -Wextra -Wpedantic -Wshadow -Wundef -Werror'
printf '#include <%s>\n#include <%s>\nextern int not_empty;\n' "$header" "$header" |
  case $standard in
  c11)
    need "$CC"
    $CC -std=c11 $warnings -Wstrict-prototypes -I "$source_root/include" -fsyntax-only -x c -
    ;;
  c++17)
    [ -n "${CXX:-}" ] || skip "no C++ compiler here"
    $CXX -std=c++17 $warnings -I "$source_root/include" -fsyntax-only -x c++ -
    ;;
  esac
