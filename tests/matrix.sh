#!/bin/bash
# SPDX-License-Identifier: MIT
# Everywhere: builds the library and runs the suite for other machines, C libraries, compilers and optimisations, and
# lets static analysers read it.
#
#   tests/matrix.sh              the cheap cells, those of .ci/run: shorter: the unit tests alone, and those of faults
#                                where no emulator is needed
#   tests/matrix.sh --all        all
#   tests/matrix.sh --list       their names
#   tests/matrix.sh NAME...      those; a pattern of the shell is a name, too: 's390x-*'
#   tests/matrix.sh --short NAME...   those, as short as the cheap ones
#
# A cell prints one line, the last line is the sum; the builds and their logs are under build-matrix/ (or
# $ZCMEM_MATRIX_DIR). What a cell needs and is not there makes it a skipped one. Debian's packages for all of them:
#   gcc clang llvm qemu-user-static musl-tools clang-tidy cppcheck gcc-arm-none-eabi ninja-build meson pkg-config
#   and for ARCH in i686 aarch64 riscv64 s390x arm (arm-linux-gnueabihf): gcc-ARCH-linux-gnu libc6-dev-...-cross
# ZCMEM_MATRIX_JOBS: how many compilers and tests at once (default: as many as there are processors).
set -u
cd "$(dirname "$0")/.." || exit 1
root=$PWD
unset CFLAGS CXXFLAGS CPPFLAGS LDFLAGS DESTDIR CC CXX
export LC_ALL=C.UTF-8
out=${ZCMEM_MATRIX_DIR:-$root/build-matrix}
jobs=${ZCMEM_MATRIX_JOBS:-$(nproc)}
warnings='-Wconversion -Wsign-conversion -Wshadow'

# ------------------------------------------------------------------------------------------------------ the cells --

# <machine>-<compiler>-<optimisation>. The suites of other machines are run by qemu-user, without those that make builds
# of their own, and the threads' on gcc -O2 alone: qemu is no proof of a memory order.
cells() {
  local arch cc o
  for cc in gcc clang; do
    for o in O0 O2 O3 Os; do
      echo "x86_64-$cc-$o"
    done
  done
  for arch in i686 aarch64 riscv64 s390x armhf; do
    for cc in gcc clang; do
      for o in O0 O2 O3 Os; do
        echo "$arch-$cc-$o"
      done
    done
  done
  for o in O0 O2 O3 Os; do
    echo "musl-gcc-$o"
  done
  for arch in cortex-m0 cortex-m4 cortex-m33 cortex-m7; do
    for cc in gcc clang; do
      echo "$arch-$cc"
    done
  done
  echo "analyzer clang-tidy cppcheck"
}
cheap='i686-gcc-O2 s390x-gcc-O2 musl-gcc-O2 cortex-m0-gcc cortex-m4-gcc analyzer cppcheck'

# ----------------------------------------------------------------------------------------------------- their tools --

passed=0 failed=0 skipped=0
cell=

say() { # say <verdict> <text>
  printf '%-7s %-18s %s (%s s)\n' "$1" "$cell" "$2" "$((SECONDS - began))"
}
pass() { passed=$((passed + 1)) && say ok "$*"; }
fail() {
  failed=$((failed + 1))
  say FAILED "$* $out/$cell.log"
  tail -n 30 "$out/$cell.log" | sed 's/^/        /'
}
skip() { skipped=$((skipped + 1)) && say skipped "$*"; }

# lacks <tool...>: the first that is not here, and true.
lacks() {
  local tool
  for tool in "$@"; do
    command -v "$tool" >/dev/null 2>&1 || { echo "$tool"; return 0; }
  done
  return 1
}

# CMocka is one file, so each target makes its own. The source: of a subproject that is there (meson subprojects
# download cmocka), or Debian's.
cmocka_source() {
  local dir
  for dir in "$root"/subprojects/cmocka-*/ "$out"/cmocka-source/cmocka-*/; do
    [ -f "$dir/src/cmocka.c" ] && echo "$dir" && return 0
  done
  mkdir -p "$out/cmocka-source/lists/partial" && cd "$out/cmocka-source" || return 1
  local uri release
  read -r uri release <<<"$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Label: Debian' | head -n 1)"
  echo "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] ${uri:-http://deb.debian.org/debian} " \
    "${release:-bookworm} main" >sources.list
  # Lists of its own: those of the system stay as they are.
  local own="-o Dir::Etc::SourceList=$PWD/sources.list -o Dir::Etc::SourceParts=- -o Dir::State::Lists=$PWD/lists
    -o APT::Get::List-Cleanup=0 -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache="
  # shellcheck disable=SC2086
  { apt-get $own update && apt-get $own source --download-only cmocka && tar xf cmocka_*.orig.tar.?z; } >log 2>&1
  cd "$root" || return 1
  for dir in "$out"/cmocka-source/cmocka-*/; do
    [ -f "$dir/src/cmocka.c" ] && echo "$dir" && return 0
  done
  return 1
}

# make_cmocka <prefix> <ar> <compiler...>: libcmocka.a and its file for pkg-config.
make_cmocka() {
  local prefix=$1 ar=$2
  shift 2
  [ "$prefix/cmocka.pc" -nt tests/matrix.sh ] && return 0
  mkdir -p "$prefix"
  "$@" -O1 -w -DHAVE_INTTYPES_H -DHAVE_MALLOC_H -DHAVE_SIGNAL_H -DHAVE_STRINGS_H -DHAVE_STRSIGNAL \
    -DHAVE_GCC_THREAD_LOCAL_STORAGE -DHAVE_STRUCT_TIMESPEC -DHAVE_CLOCK_REALTIME -D_GNU_SOURCE \
    -I "$cmocka/include" -c "$cmocka/src/cmocka.c" -o "$prefix/cmocka.o" &&
    "$ar" rcs "$prefix/libcmocka.a" "$prefix/cmocka.o" &&
    printf '%s\n' 'Name: cmocka' 'Description: for this target' 'Version: 1.1.5' \
      "Cflags: -isystem ${cmocka%/}/include" "Libs: -L$prefix -lcmocka" >"$prefix/cmocka.pc"
}

# list <word...>: as a list in a file of Meson's.
list() {
  local word text=
  for word in "$@"; do
    text="$text${text:+, }'$word'"
  done
  echo "[$text]"
}

# The sum of a run of meson test.
results() {
  grep -o '"result": "[A-Z]*"' "$out/$cell/meson-logs/testlog.json" 2>/dev/null | cut -d'"' -f4 | sort | uniq -c |
    awk '{ n[$2] = $1 } END { good = n["OK"] + n["EXPECTEDFAIL"]; bad = 0
      for (r in n) { if (r != "OK" && r != "EXPECTEDFAIL" && r != "SKIP") { bad += n[r] } }
      print good + 0, bad, n["SKIP"] + 0 }'
}

# ----------------------------------------------------------------------------------------------- suites, by machine --

# suite_cell <machine> <compiler> <optimisation>
suite_cell() {
  local arch=$1 cc=$2 o=$3 triple= family cpu endian=little wrapper=() compiler=() flags=()
  local tools=(meson ninja pkg-config)
  local without=(headers abi structure bench) missing log=$out/$cell.log slow=4
  case $arch in
  x86_64 | musl) ;;
  i686) triple=i686-linux-gnu family=x86 cpu=i686 ;;
  aarch64) triple=aarch64-linux-gnu family=aarch64 cpu=aarch64 wrapper=(qemu-aarch64-static) ;;
  riscv64) triple=riscv64-linux-gnu family=riscv64 cpu=riscv64 wrapper=(qemu-riscv64-static) ;;
  s390x) triple=s390x-linux-gnu family=s390x cpu=s390x endian=big wrapper=(qemu-s390x-static) ;;
  armhf) triple=arm-linux-gnueabihf family=arm cpu=armv7 wrapper=(qemu-arm-static) ;;
  esac
  case $arch-$cc in
  musl-*) compiler=(musl-gcc -static) ;;
  x86_64-*) compiler=("$cc") ;;
  *-gcc) compiler=("$triple-gcc") tools+=("$triple-gcc") ;;
  *-clang) compiler=(clang "--target=$triple") tools+=(clang "$triple-gcc") ;;
  esac
  [ $arch-$cc = armhf-clang ] && compiler+=(-mfpu=vfpv3-d16)
  if missing=$(lacks "${tools[@]}" ${wrapper:+"${wrapper[0]}"} "${compiler[0]}"); then
    skip "no $missing here"
    return
  fi
  case $o in
  O0) flags=(-Doptimization=0) ;;
  O2) flags=(-Doptimization=2) ;;
  O3) flags=(-Doptimization=3) ;;
  Os) flags=(-Doptimization=s) ;;
  esac
  # The C library of the target lies apart from this machine's.
  case $arch in
  i686) wrapper=(/usr/$triple/lib/ld-linux.so.2 --library-path "/usr/$triple/lib") ;;
  aarch64 | riscv64 | s390x | armhf)
    wrapper+=(-L "/usr/$triple")
    export QEMU_LD_PREFIX=/usr/$triple # of what a test starts, where the system knows how
    ;;
  esac
  if [ -n "$triple" ] || [ $arch = musl ]; then
    [ -n "$cmocka" ] || cmocka=$(cmocka_source) || { skip "no source of CMocka can be had here"; return; }
    make_cmocka "$out/cmocka-$arch" ar "${compiler[@]}" >"$log" 2>&1 || { fail "CMocka"; return; }
    without+=(examples)
    flags+=(-Dexamples=disabled -Dbench=disabled)
    export PKG_CONFIG_LIBDIR=$out/cmocka-$arch
  fi
  [[ ${wrapper:-} == qemu-* ]] && slow=20
  if ((slow > 4)) && [ $cc-$o != gcc-O2 ]; then
    without+=(thread)
  fi
  {
    if [ -n "$triple" ]; then
      echo '[binaries]'
      echo "c = $(list "${compiler[@]}")"
      echo "ar = '$triple-ar'"
      echo "strip = '$triple-strip'"
      echo "pkgconfig = 'pkg-config'"
      ((${#wrapper[@]} > 0)) && echo "exe_wrapper = $(list "${wrapper[@]}")"
      echo '[properties]'
      echo 'needs_exe_wrapper = '$([ ${#wrapper[@]} -gt 0 ] && echo true || echo false)
      echo "pkg_config_libdir = '$out/cmocka-$arch'"
      echo '[host_machine]'
      printf "system = 'linux'\ncpu_family = '%s'\ncpu = '%s'\nendian = '%s'\n" $family $cpu $endian
    else
      echo '[binaries]'
      echo "c = $(list "${compiler[@]}")"
    fi
  } >"$out/$cell.ini"
  local kind=--native-file skipped_suites=() s
  [ -n "$triple" ] && kind=--cross-file
  for s in "${without[@]}"; do
    skipped_suites+=(--no-suite "$s")
  done
  rm -rf "${out:?}/$cell"
  # What is not run needs no building. An emulator is slow.
  local built=all built_before=--no-rebuild
  if [ -n "$quick" ]; then
    skipped_suites+=(--suite unit)
    ((slow > 4)) || skipped_suites+=(--suite fault)
    built=src/libzcmem.a built_before=
  fi
  if ! { meson setup "$out/$cell" $kind "$out/$cell.ini" --werror -Dbench=disabled "${flags[@]}" \
    -Dc_args="$warnings" && ninja -k 0 -j "$jobs" -C "$out/$cell" $built; } >"$log" 2>&1; then
    fail "build"
  else
    local tests=()
    if [ -z "$built_before" ]; then # nor libraries that do without something, each compiled for the tests of its own
      mapfile -t tests < <(meson test -C "$out/$cell" --list "${skipped_suites[@]}" 2>>"$log" |
        sed -n 's,^[^ ]* / ,,p' | grep -v _no_)
    fi
    meson test -C "$out/$cell" $built_before --num-processes "$jobs" --print-errorlogs "${skipped_suites[@]}" \
      -t $slow "${tests[@]}" >>"$log" 2>&1
    local status=$? good bad none
    read -r good bad none <<<"$(results)"
    if ((status == 0 && bad == 0 && good > 0)); then
      pass "$good tests passed, $none skipped"
    else
      fail "$good tests passed, $bad failed, status $status"
    fi
  fi
  unset PKG_CONFIG_LIBDIR QEMU_LD_PREFIX
}

# ------------------------------------------------------------------------------------------------------- Cortex-M --

# The archive of a firmware: the core, of no C library's headers, and what it needs from outside.
firmware_cell() {
  local cpu=$1 cc=$2 compiler missing o c size='' log=$out/$cell.log dir=$out/$cell
  case $cc in
  gcc) compiler='arm-none-eabi-gcc' ;;
  clang) compiler='clang --target=arm-none-eabi' ;;
  esac
  if missing=$(lacks ${compiler%% *} arm-none-eabi-ar arm-none-eabi-nm arm-none-eabi-size); then
    skip "no $missing here"
    return
  fi
  local core
  core=$(awk '/^zcmem_core = files\(/ { inside = 1; next } inside && /^\)/ { exit }
    inside && match($0, /[a-z0-9_]+\.c/) { print substr($0, RSTART, RLENGTH) }' src/meson.build)
  : >"$log"
  # memset and the like, and what comes with the compiler where the processor has no instruction for it.
  local allowed='mem(set|cpy|move)|__aeabi_mem(set|clr|cpy|move)[48]?|__aeabi_(l(lsl|lsr|mul)|[iu]?[il]div(mod)?)'
  allowed="$allowed|__c[lt]z[sd]i2|__gnu_thumb1_case_[a-z]+"
  for o in O0 O2 O3 Os; do
    rm -rf "$dir/$o"
    mkdir -p "$dir/$o"
    for c in $core; do
      $compiler -mcpu="$cpu" -mthumb "-$o" -std=c11 -ffreestanding -nostdlib -Wall -Wextra -Wpedantic \
        -Werror $warnings -I include -c "src/$c" -o "$dir/$o/${c%.c}.o" >>"$log" 2>&1 || { fail "src/$c, -$o"; return; }
    done
    arm-none-eabi-ar rcs "$dir/$o/libzcmem.a" "$dir/$o"/*.o
    arm-none-eabi-nm -g --defined-only "$dir/$o"/*.o | awk 'NF == 3 { print $3 }' | sort -u >"$dir/$o/defined"
    arm-none-eabi-nm -u "$dir/$o"/*.o | awk '$1 == "U" { print $2 }' | sort -u | comm -13 "$dir/$o/defined" - |
      grep -vE "^($allowed)\$" >"$dir/$o/outside"
    if [ -s "$dir/$o/outside" ] || [ ! -s "$dir/$o/defined" ]; then
      cat "$dir/$o/outside" >>"$log"
      fail "needs from outside, -$o:"
      return
    fi
    size="$size${size:+, }-$o $(arm-none-eabi-size -t "$dir/$o/libzcmem.a" | awk 'END { print $1 + $2 }')"
  done
  pass "bytes of code: $size"
}

# ------------------------------------------------------------------------------------------------ static analysis --

analyzer_cell() {
  local missing c log=$out/$cell.log n=0
  missing=$(lacks gcc) && { skip "no $missing here"; return; }
  : >"$log"
  for c in src/*.c; do
    n=$((n + 1))
    gcc -std=c11 -O2 -fanalyzer $(sed -n "s,^$c \(-W[a-z-]*\) .*,\1,p" tests/analyzer.supp) -Wall -Wextra -Wpedantic \
      $warnings -Werror -I include -S -o /dev/null "$c" >>"$log" 2>&1 || { fail "gcc -fanalyzer, $c"; return; }
  done
  pass "gcc -fanalyzer: nothing in $n files"
}

tidy_cell() {
  local missing log=$out/$cell.log
  missing=$(lacks clang-tidy) && { skip "no $missing here"; return; }
  if clang-tidy --quiet src/*.c -- -std=c11 -I include -Wall -Wextra $warnings >"$log" 2>&1; then
    pass "clang-tidy: nothing in $(echo src/*.c | wc -w) files"
  else
    fail "clang-tidy: $(grep -c 'error:' "$log") findings"
  fi
}

cppcheck_cell() {
  local missing log=$out/$cell.log
  missing=$(lacks cppcheck) && { skip "no $missing here"; return; }
  if cppcheck --std=c11 --enable=warning,performance,portability,style --inline-suppr --error-exitcode=1 --quiet \
    --suppressions-list=tests/cppcheck.supp -j "$jobs" -I include src >"$log" 2>&1; then
    pass "cppcheck: nothing in $(echo src/*.c | wc -w) files"
  else
    fail "cppcheck: $(grep -cE '(error|warning|style|performance|portability):' "$log") findings"
  fi
}

# -------------------------------------------------------------------------------------------------------- the run --

names=$(cells)
wanted=()
quick=
if [ "${1:-}" = --short ] || [ $# = 0 ]; then
  quick=1
  export ZCMEM_TEST_DEPTH=${ZCMEM_TEST_DEPTH:--1}
  (($# > 0)) && shift
fi
case ${1:-} in
--list) printf '%s\n' $names && exit 0 ;;
--all) wanted=($names) ;;
'') wanted=($cheap) ;;
*)
  for pattern; do
    found=0
    for name in $names; do
      # shellcheck disable=SC2053
      [[ $name == $pattern ]] && wanted+=("$name") && found=1
    done
    ((found)) || { echo "no cell is called $pattern; see --list" >&2; exit 2; }
  done
  ;;
esac
mkdir -p "$out"
cmocka=
all_began=$SECONDS
for cell in "${wanted[@]}"; do
  began=$SECONDS
  case $cell in
  cortex-*) firmware_cell "${cell%-*}" "${cell##*-}" ;;
  analyzer) analyzer_cell ;;
  clang-tidy) tidy_cell ;;
  cppcheck) cppcheck_cell ;;
  *) IFS=- read -r arch cc o <<<"$cell" && suite_cell "$arch" "$cc" "$o" ;;
  esac
done
echo "$passed cells passed, $failed failed, $skipped skipped ($((SECONDS - all_began)) s)"
((failed == 0))
