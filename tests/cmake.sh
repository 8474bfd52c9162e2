#!/bin/sh
# SPDX-License-Identifier: MIT
# zcmem in CMake projects: find_package after an install that was moved, static and shared, from C and from C++; the
# versions that it serves and those that it does not; add_subdirectory, which exports nothing again and leaves the
# parent's settings alone.
. "$(dirname "$0")/common.sh"
need cmake meson ninja nm objdump "$CC"
work_dir cmake
run() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }
}
# project <directory> <languages> <source> <lines...>: a project with one program, app
project() {
  directory=$work/$1
  mkdir "$directory"
  cp "$source_root/examples/first.c" "$directory/$3"
  printf '%s\n' 'cmake_minimum_required(VERSION 3.16)' "project(app VERSION 7.8.9 LANGUAGES $2)" \
    "add_executable(app $3)" >"$directory/CMakeLists.txt"
  shift 3
  printf '%s\n' "$@" >>"$directory/CMakeLists.txt"
}
# made <directory> <arguments of cmake...>: builds the project there, and runs it
made() {
  directory=$work/$1
  shift
  run cmake -G Ninja -S "$directory" -B "$directory/build" "$@"
  run cmake --build "$directory/build"
  "$directory/build/app" || fail "$directory/build/app"
}
# refused <directory> <pattern> <arguments of cmake...>: must fail while it is configured, saying so
refused() {
  directory=$work/$1 pattern=$2
  shift 2
  if cmake -G Ninja -S "$directory" -B "$directory/build" "$@" >"$work/log" 2>&1; then
    fail "$directory should not be served"
  fi
  grep -q "$pattern" "$work/log" || { cat "$work/log"; fail "does not say '$pattern'"; }
}

version=$(sed -n 's/^#define ZCMEM_VERSION "\(.*\)"/\1/p' "$source_root/include/zcmem/version.h")
for kind in static both; do
  run meson setup --prefix="$work/first-$kind" -Ddefault_library=$kind -Dtests=disabled -Dbench=disabled \
    -Dexamples=disabled "$work/build-$kind" "$source_root"
  run ninja -j1 -C "$work/build-$kind"
  run meson install -C "$work/build-$kind"
  mv "$work/first-$kind" "$work/$kind"
done

use='target_link_libraries(app PRIVATE zcmem::zcmem)'
for kind in static both; do
  project "c-$kind" C app.c "find_package(zcmem ${version%.*} REQUIRED)" "$use"
  made "c-$kind" -DCMAKE_PREFIX_PATH="$work/$kind"
  needs=$(LC_ALL=C objdump -p "$work/c-$kind/build/app" | awk '$1 == "NEEDED" && $2 ~ /zcmem/ { print $2 }')
  case $kind in
  static) [ -z "$needs" ] || fail "the static library: needs $needs" ;;
  *) [ -n "$needs" ] || fail "the $kind library is not used shared" ;;
  esac
done
project static-of-both C app.c 'find_package(zcmem REQUIRED)' 'target_link_libraries(app PRIVATE zcmem::static)'
made static-of-both -DCMAKE_PREFIX_PATH="$work/both"
if LC_ALL=C objdump -p "$work/static-of-both/build/app" | grep -q 'NEEDED.*zcmem'; then
  fail "zcmem::static is shared"
fi
if [ -n "${CXX:-}" ]; then
  project cxx CXX app.cpp 'find_package(zcmem CONFIG REQUIRED)' "$use"
  made cxx -DCMAKE_PREFIX_PATH="$work/static"
fi

major=${version%%.*}
for asked in "$major.999" "$((major + 1))" "$version.1"; do
  project "later-$asked" C app.c "find_package(zcmem $asked REQUIRED)" "$use"
  refused "later-$asked" 'not accepted' -DCMAKE_PREFIX_PATH="$work/static"
done
project exact C app.c "find_package(zcmem $version EXACT REQUIRED)" "$use"
made exact -DCMAKE_PREFIX_PATH="$work/static"
cp -R "$work/static" "$work/nothing"
find "$work/nothing" -name 'libzcmem*' -exec rm {} +
project empty C app.c 'find_package(zcmem REQUIRED)' "$use"
refused empty 'no library of zcmem' -DCMAKE_PREFIX_PATH="$work/nothing"

# add_subdirectory: a shared library of the parent with hidden visibility exports its own function alone.
cat >"$work/foo.c" <<'END'
#include <zcmem/zcmem.h>
__attribute__((visibility("default"))) const char *foo(void);
const char *foo(void) {
  struct zcmem_host_device *device;
  enum zcmem_status status = zcmem_host_device_create(NULL, &device);
  if (status == ZCMEM_OK)
    (void)zcmem_host_device_destroy(device);
  return zcmem_status_string(status);
}
END
project sub C app.c "add_subdirectory($source_root/src zcmem)" "$use" \
  "add_library(foo SHARED $work/foo.c)" 'target_link_libraries(foo PRIVATE zcmem::zcmem)' \
  'set_target_properties(foo PROPERTIES C_VISIBILITY_PRESET hidden)' \
  'if(NOT PROJECT_VERSION STREQUAL 7.8.9 OR DEFINED CMAKE_C_STANDARD)' \
  'message(FATAL_ERROR "the parent is changed")' 'endif()' \
  'install(TARGETS app)' 'enable_testing()'
made sub -DCMAKE_C_FLAGS='-Wall -Wextra -Wpedantic -Werror'
nm -D -g --defined-only "$work/sub/build/libfoo.so" | awk 'NF == 3 { print $3 }' | sort -u >"$work/exported"
[ "$(cat "$work/exported")" = foo ] || { cat "$work/exported"; fail "libfoo.so exports more than foo"; }
DESTDIR=$work/root run cmake --install "$work/sub/build" --prefix /usr
(cd "$work/root" && find . ! -type d) >"$work/installed"
[ "$(cat "$work/installed")" = ./usr/bin/app ] ||
  { cat "$work/installed"; fail "more installed than the parent's program"; }

# The same, shared, as one unit, and without pthread.
project sub-other C app.c "add_subdirectory($source_root/src zcmem)" "$use" \
  'get_target_property(soversion zcmem SOVERSION)' 'file(WRITE ${CMAKE_BINARY_DIR}/soversion "${soversion}")'
made sub-other -DBUILD_SHARED_LIBS=ON -DCMAKE_UNITY_BUILD=ON -DCMAKE_UNITY_BUILD_BATCH_SIZE=0
[ -e "$work/both/lib/libzcmem.so.$(cat "$work/sub-other/build/soversion")" ] ||
  find "$work/both" -name "libzcmem.so.$(cat "$work/sub-other/build/soversion")" | grep -q . ||
  fail "CMake and Meson differ in the soname"
rm -r "$work/sub-other/build"
made sub-other -DZCMEM_PTHREAD=OFF
