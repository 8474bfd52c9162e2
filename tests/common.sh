# SPDX-License-Identifier: MIT
# Read by the shell tests. Meson calls each as: <test>.sh <source root> <build root> [...], with CC and CXX set.
set -eu
LC_ALL=C
export LC_ALL
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS DESTDIR

source_root=$1
build_root=$2
shift 2

skip() {
  echo "SKIP: $*"
  exit 77
}

fail() {
  echo "FAIL: $*"
  exit 1
}

# A tool that is not there makes the test a skipped one, not a passed one.
need() {
  for tool in "$@"; do
    command -v "${tool%% *}" >/dev/null 2>&1 || skip "no $tool here"
  done
}

# An empty directory for this test alone.
work_dir() {
  work=$build_root/tests/work-$1
  rm -rf "$work"
  mkdir -p "$work"
}

# Every .c of the library, in the order of src/meson.build; with an argument (core, facade, hosted) that list alone.
sources() {
  awk -v list="${1:-[a-z]+}" '
    $0 ~ "^zcmem_" list " = files\\(" { inside = 1; next }
    inside && /^\)/ { inside = 0 }
    inside && match($0, /'\''[a-z0-9_]+\.c'\''/) { print substr($0, RSTART + 1, RLENGTH - 2) }
  ' "$source_root/src/meson.build"
}
