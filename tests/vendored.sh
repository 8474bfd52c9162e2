#!/bin/sh
# SPDX-License-Identifier: MIT
# zcmem as a Meson subproject: dependency('zcmem') works, its tests, benchmarks and examples stay out, the parent's
# install installs nothing of it, and a shared library of the parent with hidden visibility does not export it again.
. "$(dirname "$0")/common.sh"
need meson ninja nm "$CC"
work_dir vendored
parent=$work/parent
mkdir -p "$parent/subprojects/zcmem"
for part in meson.build meson_options.txt include src tests bench examples; do
  ln -s "$source_root/$part" "$parent/subprojects/zcmem/$part"
done
cat >"$parent/meson.build" <<'END'
project('parent', 'c', version: '1', default_options: ['c_std=c11'])
zcmem = dependency('zcmem', version: '>= 0.1')
shared_library('foo', 'foo.c', dependencies: zcmem, gnu_symbol_visibility: 'hidden', install: true)
app = executable('app', 'app.c', dependencies: zcmem, install: true)
END
cat >"$parent/foo.c" <<'END'
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
cp "$source_root/examples/first.c" "$parent/app.c"

run() {
  "$@" >"$work/log" 2>&1 || { cat "$work/log"; fail "$*"; }
}
run meson setup --prefix=/usr "$work/build" "$parent"
run ninja -j1 -C "$work/build"
"$work/build/app" || fail "the parent's program"

meson introspect --targets "$work/build" | tr ',' '\n' | sed -n 's/.*"name": "\([^"]*\)".*/\1/p' | sort -u >"$work/targets"
[ "$(tr '\n' ' ' <"$work/targets")" = "app foo zcmem " ] || { cat "$work/targets"; fail "other targets than app foo zcmem"; }
[ "$(meson introspect --tests "$work/build")" = "[]" ] || fail "zcmem's tests are in the parent's build"
[ "$(meson introspect --benchmarks "$work/build")" = "[]" ] || fail "zcmem's benchmarks are in the parent's build"

run env DESTDIR="$work/root" meson install -C "$work/build"
(cd "$work/root" && find . ! -type d | sort) >"$work/installed"
if grep -i zcmem "$work/installed"; then
  fail "installed with the parent"
fi
grep -q 'bin/app$' "$work/installed" || fail "the parent's own program was not installed"

nm -D -g --defined-only "$work/build/libfoo.so" | awk 'NF == 3 { print $3 }' | sort -u >"$work/exported"
[ "$(cat "$work/exported")" = foo ] || { cat "$work/exported"; fail "libfoo.so exports more than foo"; }
