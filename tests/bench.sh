#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs zcmem-bench on small inputs and looks at what it prints: bench.sh CASE ZCMEM-BENCH TRACES PEER.so LZMA(yes|no)
set -eu
what=$1 bench=$2 traces=$3 peer=$4 lzma=$5
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

fail() {
  echo "bench.sh $what: $*" >&2
  exit 1
}

# status N COMMAND...: COMMAND has to end with N; its output is in $dir/out and $dir/err.
status() {
  want=$1
  shift
  got=0
  "$@" >"$dir/out" 2>"$dir/err" || got=$?
  [ "$got" -eq "$want" ] || {
    cat "$dir/out" "$dir/err" >&2
    fail "exit $got, not $want: $*"
  }
}

# An error is one line, and nothing else.
refused() {
  status "$@"
  [ "$(wc -l <"$dir/err")" -eq 1 ] || fail "not one line of error: $*"
  grep -q '^zcmem-bench' "$dir/err" || fail "error does not name the program: $*"
}

prints() { grep -q -- "$1" "$dir/out" || { cat "$dir/out" >&2 && fail "no '$1' in the output"; }; }

header='workload,parameters,allocator,metric,value,unit'
is_csv() {
  [ "$(head -n 1 "$dir/out")" = "$header" ] || fail "no header line"
  ! grep -qvE '^[^,]*,[^,]*,[^,]*,[^,]*,[^,]*,[^,]*$' "$dir/out" || fail "a row has not six fields"
}

# at_most TRACE BOUND: a row of fit with 1 <= ratio <= BOUND
at_most() {
  awk -F, -v t="$1" -v b="$2" '$1 == "fit" && $2 == t && $3 == "zcmem" && $4 == "ratio" {
    found = $5 >= 1 && $5 <= b } END { exit !found }' "$dir/out" || { cat "$dir/out" >&2 && fail "$1: not within $2"; }
}

case $what in
replay)
  status 0 "$bench" replay --rounds 1 "$traces/torch_unet_train.ztrace" "$traces/host_sqlite.ztrace"
  prints '^torch_unet_train  *48338 operations  peak live 1295356119 bytes .* failures 0 '
  prints '^host_sqlite  *223660 operations  peak live 7653764 bytes .* failures 0 '
  status 0 "$bench" replay --csv --rounds 1 --region 4M "$traces/host_sqlite.ztrace"
  is_csv
  prints '^replay,host_sqlite;region=4194304,zcmem,failures,[1-9]'
  status 0 "$bench" replay --csv --rounds 1 --quantum 4096 "$traces/torch_unet_train.ztrace"
  prints '^replay,torch_unet_train;quantum=4096,zcmem,failures,0,$'
  ;;
fit)
  status 0 "$bench" fit --csv "$traces"/*.ztrace
  is_csv
  at_most torch_gpt_train 1.13
  at_most torch_unet_train 1.03
  at_most host_cc1 1.01
  at_most host_sqlite 1.01
  printf 'a 0 100\nf 0\n' >"$dir/one.trace"
  status 0 "$bench" fit "$dir/one.trace"
  prints '^one  *ratio 1.0000  region 128  peak 128 bytes'
  ;;
heap)
  status 0 "$bench" heap --csv --rounds 2 --pairs 2000 --driver pair-128 steady-1k ramp load90
  is_csv
  for w in pair-128 steady-1k ramp load90; do
    prints "^heap,$w,zcmem,ns_per_pair,[0-9.]*,ns\$"
    prints "^heap,$w,driver,ns_per_pair,[0-9.]*,ns\$"
  done
  status 0 "$bench" heap --check --rounds 2 --pairs 20000 pair-4k steady-1k small fifo ramp load90
  prints '^heap load90: zcmem: 60000 pairs checked, good$'
  ;;
peer)
  status 0 "$bench" heap --csv --peer "$peer" --only zcmem,slots --rounds 3 --pairs 2000 pair-4k
  is_csv
  prints '^heap,pair-4k,zcmem,ratio_to_slots,'
  prints '^heap,pair-4k,zcmem,ratio_to_best,'
  status 0 "$bench" heap --peer "$peer" --only slots --check --rounds 1 --pairs 2000 steady-1k
  refused 1 "$bench" heap --peer "$peer" --only same --check --rounds 1 --pairs 2000 steady-1k
  grep -q 'same: two live blocks overlap' "$dir/err" || fail "the overlap was not noticed"
  refused 1 "$bench" heap --peer "$peer" --only odd --check --rounds 1 --pairs 2000 pair-4k
  grep -q 'odd: a block is misaligned' "$dir/err" || fail "the misalignment was not noticed"
  refused 1 "$bench" heap --peer "$dir/none.so" pair-4k
  refused 1 "$bench" heap --peer "$peer" --peer "$peer" pair-4k
  refused 2 "$bench" heap --peer "$peer" --only zcmem,nobody pair-4k
  ;;
convert)
  for trace in torch_unet_train host_sqlite; do
    status 0 "$bench" convert "$traces/$trace.ztrace" "$dir/a.trace"
    status 0 "$bench" convert "$dir/a.trace" "$dir/b.ztrace"
    cmp "$traces/$trace.ztrace" "$dir/b.ztrace" || fail "$trace: not the same after a round trip"
    [ "$(sed -n 1p "$dir/a.trace" | cut -c 1-4)" = 'a 0 ' ] || fail "$trace: not the text form"
  done
  refused 2 "$bench" convert "$dir/a.trace" "$dir/a.txt"
  refused 1 "$bench" convert "$dir/a.trace" "$dir/no/such/directory.trace"
  ;;
arguments)
  for command in '' 'replay ' 'fit ' 'heap ' 'convert '; do
    # shellcheck disable=SC2086 # no word where it is empty
    status 0 "$bench" $command --help
    prints "^usage: zcmem-bench ${command:-COMMAND}"
  done
  refused 2 "$bench"
  refused 2 "$bench" nonsense
  refused 2 "$bench" --version
  for command in replay fit convert; do
    refused 2 "$bench" $command
    refused 2 "$bench" $command --nonsense x
  done
  for arguments in 'replay --region' 'replay --region 0 x' 'replay --region -1 x' 'replay --region 1x x' \
    'replay --region 18446744073709551616 x' 'replay --region 99999999999999999G x' 'replay --quantum 96 x' \
    'fit --quantum 100 x' 'fit --quantum 0 x' 'heap nonsense' 'heap --rounds 0' 'heap --rounds 1001' 'heap --pairs 0' \
    'heap --only nobody' 'convert one' 'convert one two three'; do
    # shellcheck disable=SC2086 # the words are arguments
    refused 2 "$bench" $arguments
  done
  ;;
garbled)
  good=$traces/torch_unet_train.ztrace
  refused 1 "$bench" fit "$dir/none"
  refused 1 "$bench" fit "$dir"
  : >"$dir/empty"
  refused 1 "$bench" fit "$dir/empty"
  for size in 1 4 5 9 100 4000 66614; do
    head -c "$size" "$good" >"$dir/cut"
    refused 1 "$bench" fit "$dir/cut"
  done
  { head -c 5000 "$good" && printf 'zzzz' && tail -c +5005 "$good"; } >"$dir/changed"
  refused 1 "$bench" replay "$dir/changed"
  { cat "$good" && echo; } >"$dir/longer"
  refused 1 "$bench" replay "$dir/longer"
  printf 'a 0 128\nf 1\n' >"$dir/text"
  refused 1 "$bench" replay "$dir/text"
  grep -q 'line 2: a free of an ID that was not allocated before' "$dir/err" || fail "the line is not named"
  # One bad file does not keep the others from being measured.
  status 1 "$bench" fit "$dir/text" "$good"
  prints '^torch_unet_train'
  printf 'a 0 72057594037927936\n' >"$dir/huge"
  status 1 "$bench" fit "$dir/huge"
  refused 1 "$bench" replay "$dir/huge"
  refused 1 "$bench" heap --peer "$good" pair-4k
  ;;
xz)
  printf '\375\067zXZ\000nonsense' >"$dir/bad.xz"
  refused 1 "$bench" fit "$dir/bad.xz"
  if [ "$lzma" = no ]; then
    grep -q 'built without liblzma' "$dir/err" || fail "does not say that liblzma is missing"
    echo "SKIP: zcmem-bench was built without liblzma"
    exit 77
  fi
  command -v xz >/dev/null || { echo "SKIP: no xz to make a compressed trace with" && exit 77; }
  xz -c "$traces/torch_unet_train.ztrace" >"$dir/torch_unet_train.ztrace.xz"
  "$bench" convert "$traces/torch_unet_train.ztrace" "$dir/torch_unet_train.trace" >/dev/null
  xz "$dir/torch_unet_train.trace"
  status 0 "$bench" fit --csv "$dir/torch_unet_train.ztrace.xz"
  at_most torch_unet_train 1.03
  status 0 "$bench" fit --csv "$dir/torch_unet_train.trace.xz"
  at_most torch_unet_train 1.03
  for size in 6 12 100 5000; do
    head -c "$size" "$dir/torch_unet_train.trace.xz" >"$dir/cut.xz"
    refused 1 "$bench" fit "$dir/cut.xz"
  done
  ;;
*)
  fail "no such case"
  ;;
esac
