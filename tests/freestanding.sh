#!/bin/sh
# SPDX-License-Identifier: MIT
# freestanding.sh <source root> <build root> <target>: the core (L0 to L2) compiles without an operating system or a C
# library, and needs memset, memcpy and memmove at most from outside.
. "$(dirname "$0")/common.sh"
target=$1
work_dir "freestanding-$target"
flags='-std=c11 -Os -ffreestanding -nostdlib -Wall -Wextra -Werror'
case $target in
x86-64-gcc) need gcc nm && set -- gcc -m64 ;;
x86-64-clang) need clang nm && set -- clang --target=x86_64-none-elf -nostdlibinc ;;
arm-thumb2) need clang llvm-nm llvm-size && set -- clang --target=arm-none-eabi -mcpu=cortex-m4 -mthumb ;;
arm-thumb1) need clang llvm-nm llvm-size && set -- clang --target=arm-none-eabi -mcpu=cortex-m0 -mthumb ;;
riscv32) need clang llvm-nm llvm-size && set -- clang --target=riscv32-none-elf -march=rv32imac -mabi=ilp32 ;;
*) fail "what is the target $target?" ;;
esac
case $target in
x86*) nm=nm ;;
*) nm=llvm-nm ;;
esac

core=$(sources core)
[ -n "$core" ] || fail "no core files in src/meson.build"
cd "$work"
for c in $core; do
  "$@" $flags -I "$source_root/include" -c "$source_root/src/$c" -o "${c%.c}.o"
done

allowed='memset memcpy memmove __aeabi_memset __aeabi_memset4 __aeabi_memset8 __aeabi_memclr __aeabi_memclr4
  __aeabi_memclr8 __aeabi_memcpy __aeabi_memcpy4 __aeabi_memcpy8 __aeabi_memmove __aeabi_memmove4 __aeabi_memmove8'
case $target in
# A Cortex-M0 and an RV32 have no instruction for these; they come with the compiler (libgcc, compiler-rt).
arm-thumb1) allowed="$allowed __aeabi_llsl __aeabi_llsr __aeabi_lmul __clzsi2 __ctzsi2 __aeabi_uidiv __aeabi_uidivmod" ;;
riscv32) allowed="$allowed __clzsi2 __ctzsi2 __ashldi3 __lshrdi3 __clzdi2 __ctzdi2" ;;
esac
$nm -g --defined-only ./*.o | awk 'NF == 3 { print $3 }' | sort -u >defined
$nm -u ./*.o | awk '$1 == "U" { print $2 }' | sort -u >undefined
comm -13 defined undefined >outside
for symbol in $(cat outside); do
  case " $(echo $allowed) " in
  *" $symbol "*) echo "from outside: $symbol" ;;
  *) bad="${bad:-} $symbol" ;;
  esac
done
[ -z "${bad:-}" ] || fail "the core needs from outside:$bad"
[ -s defined ] || fail "nothing was compiled"

case $target in
arm-thumb2) what='ARM thumb2' ;;
arm-thumb1) what='ARM thumb1' ;;
riscv32) what='RV32' ;;
*) exit 0 ;;
esac
llvm-size ./*.o | awk -v what="$what" '
  NR > 1 { sum += $1 + $2; data += $2 + $3; print }
  # What a firmware that neither checks, repairs nor attaches images nor prints statuses need not link.
  NR > 1 && $NF ~ /(heap_check|heap_repair|status)\.o$/ { apart += $1 + $2 }
  END { if (data != 0) { print "FAIL: the core has " data " bytes of variables"; exit 1 }
        printf "core code size (-Os, %s): %d bytes, without checker, repair and status texts %d bytes\n", what, sum, sum - apart }'
