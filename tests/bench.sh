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
  status 0 "$bench" fit --csv --facade "$traces/host_sqlite.ztrace"
  prints '^fit,host_sqlite;facade,zcmem,ratio,[1-9]'
  status 0 "$bench" fit --csv --facade --magazines off "$traces/host_sqlite.ztrace"
  awk -F, '$2 == "host_sqlite;facade;magazines=off" && $4 == "ratio" { found = $5 <= 1.01 } END { exit !found }' \
    "$dir/out" || fail "the facade without magazines wastes more than the heap"
  printf 'a 0 100\nf 0\n' >"$dir/one.trace"
  status 0 "$bench" fit "$dir/one.trace"
  prints '^one  *ratio 1.0000  region 128  peak 128 bytes'
  ;;
speed)
  for workload in 'pair 4096 size=4096' 'steady 1K live=1024;sizes=64-65536' 'fifo 1K live=1024;sizes=64-65536' \
    'ramp 1K live=1024;sizes=64-262144' 'load90 1K live=1024;sizes=64-65536'; do
    # shellcheck disable=SC2086 # three words
    set -- $workload
    option=--live
    [ "$1" != pair ] || option=--sizes
    status 0 "$bench" "$1" --csv --rounds 3 --pairs 2000 --driver $option "$2"
    is_csv
    for allocator in zcmem glibc driver; do
      prints "^$1,$3,$allocator,ns_per_pair,[0-9.]*,ns\$"
      prints "^$1,$3,$allocator,ns_per_pair_min,[0-9.]*,ns\$"
    done
    prints "^$1,$3,zcmem,ratio_to_glibc,[0-9.]*,\$"
    status 0 "$bench" "$1" --check --rounds 1 --pairs 5000 $option "$2"
    prints "^$1 $3: zcmem: [0-9]* pairs checked, good\$"
    status 0 "$bench" "$1" --csv --layer heap --rounds 1 --pairs 2000 $option "$2"
    prints "^$1,$3;layer=heap,zcmem,ns_per_pair,"
    ! grep -q glibc "$dir/out" || fail "a malloc with locks beside the bare heap"
  done
  status 0 "$bench" steady --csv --magazines both --only zcmem,zcmem-no-magazines --live 1K --rounds 3 --pairs 2000
  prints '^steady,live=1024;sizes=64-65536,zcmem,ratio_to_zcmem-no-magazines,'
  status 0 "$bench" steady --csv --magazines context --live 1K --rounds 3 --pairs 2000
  prints '^steady,live=1024;sizes=64-65536;magazines=context,zcmem,ns_per_pair,'
  status 0 "$bench" steady --check --magazines context --live 1K --pairs 2000
  status 0 "$bench" fifo --csv --magazines off --live 1K --rounds 1 --pairs 2000
  prints '^fifo,live=1024;sizes=64-65536;magazines=off,zcmem,ns_per_pair,'
  status 0 "$bench" sizes --csv --only zcmem --rounds 1 --pairs 1000
  is_csv
  for sizes in '32768;sizes=64-1024' '8192;sizes=64-1048576' '2048;sizes=131072-4194304' '32768;sizes=64-65536;uniform'; do
    prints "^sizes,live=$sizes,zcmem,ns_per_pair,"
  done
  # The same seed gives the same order of events, so the same failures; a smaller region has more of them.
  status 0 "$bench" load90 --csv --only zcmem --live 1K --rounds 3 --pairs 20000 --region 5M --seed 7
  prints '^load90,live=1024;sizes=64-65536;region=5242880;seed=7,zcmem,failed,[1-9]'
  grep ',failed,' "$dir/out" >"$dir/failed"
  status 0 "$bench" load90 --csv --only zcmem --live 1K --rounds 3 --pairs 20000 --region 5M --seed 7
  grep ',failed,' "$dir/out" | cmp - "$dir/failed" || fail "another figure with the same seed"
  ;;
threads)
  for command in threads handoff; do
    status 0 "$bench" $command --csv --threads 1,2,3 --rounds 3 --pairs 3000 --live 256 --peer "$peer" \
      --only zcmem,glibc,slots+mutex
    is_csv
    for n in 1 2 3; do
      for allocator in zcmem glibc slots+mutex; do
        prints "^$command,threads=$n;[a-z]*=256;sizes=64-65536,$allocator,mpairs_per_s,[0-9.]*,M/s\$"
        prints "^$command,threads=$n;[a-z]*=256;sizes=64-65536,$allocator,failed,"
      done
    done
    status 0 "$bench" $command --check --threads 2,5 --rounds 2 --pairs 10000 --live 500
    prints "^$command threads=5;.*: zcmem: [0-9]* pairs checked, good\$"
  done
  refused 1 "$bench" threads --check --threads 2 --rounds 1 --pairs 1000 --peer "$peer" --only alone
  grep -q 'alone: two live blocks overlap' "$dir/err" || fail "the overlap between threads was not noticed"
  refused 1 "$bench" handoff --check --threads 2 --rounds 1 --pairs 1000 --peer "$peer" --only odd+mutex
  ;;
shm)
  [ "$(uname -s)" = Linux ] || exit 77
  status 0 "$bench" shm --csv --rounds 2 --pairs 3000 --live 256 --threads 2,3
  is_csv
  for n in 2 3; do
    for allocator in zcmem threads threads+magazines heap+mutex; do
      prints "^shm,processes=$n;live=256;sizes=64-65536,$allocator,mpairs_per_s,[0-9.]*,M/s\$"
      prints "^shm,processes=$n;live=256;sizes=64-65536,$allocator,failed,0.000,%\$"
    done
    prints "^shm,processes=$n;live=256;sizes=64-65536,zcmem,ratio_to_threads,[0-9.]*,\$"
  done
  refused 2 "$bench" shm --threads 254
  ;;
translate)
  status 0 "$bench" translate --csv --live 1K --calls 5000 --rounds 3 --regions 4
  is_csv
  for what in 'to_host;start' 'to_host;interior' 'to_device;start' 'to_device;interior'; do
    for how in throughput latency; do
      prints "^translate,$what;$how;live=1024;sizes=64-65536;regions=4,zcmem,ns,[0-9.]*,ns\$"
    done
  done
  prints '^translate,throughput;.*,driver,ns,'
  ;;
buffer)
  status 0 "$bench" buffer --csv --sizes 64,1M --views 0,100 --calls 2000 --rounds 3
  is_csv
  for size in 64 1048576; do
    prints "^buffer,size=$size;views=0,zcmem,ns,[0-9.]*,ns\$"
    prints "^buffer,size=$size;views=100,zcmem,ns,[0-9.]*,ns\$"
  done
  ;;
copy)
  status 0 "$bench" copy --csv --sizes 64,64K --threads 1,2 --rounds 3
  is_csv
  for n in 1 2; do
    for kind in write read copy; do
      prints "^copy,$kind;size=65536;threads=$n,zcmem,ratio_to_memcpy,[0-9.]*,\$"
      prints "^copy,$kind;size=64;threads=$n,zcmem,overhead_ns,-*[0-9.]*,ns\$"
      prints "^copy,$kind;size=64;threads=$n,memcpy,ns,[0-9.]*,ns\$"
    done
    prints "^copy,fill;size=64;threads=$n,zcmem,ratio_to_memset,[0-9.]*,\$"
  done
  ;;
latency)
  status 0 "$bench" latency --csv --live 1K --pairs 20000 --rounds 3 --peer "$peer" --only zcmem,slots
  is_csv
  for allocator in zcmem slots; do
    awk -F, -v a=$allocator '
      $3 == a && $4 ~ /^(alloc|free)_(p50|p99|p999|p9999|max)_ns$/ { figure[$4] = $5; n++ }
      END {
        for (call in figure) if (figure[call] <= 0) exit 1
        split("alloc free", calls, " ")
        for (i in calls) {
          c = calls[i]
          if (figure[c "_p50_ns"] > figure[c "_p99_ns"] || figure[c "_p99_ns"] > figure[c "_p999_ns"] ||
              figure[c "_p999_ns"] > figure[c "_p9999_ns"] || figure[c "_p9999_ns"] > figure[c "_max_ns"] + 1) exit 1
        }
        exit n != 10
      }' "$dir/out" || { cat "$dir/out" >&2 && fail "$allocator: percentiles are missing or fall"; }
  done
  prints '^latency,live=1024;sizes=64-65536,clock,p50_ns,[0-9.]*,ns$'
  ;;
metadata)
  [ -r /proc/self/smaps_rollup ] || { echo "SKIP: no /proc/self/smaps_rollup" && exit 77; }
  [ -z "${ASAN_OPTIONS-}" ] || { echo "SKIP: a sanitizer's own memory would count" && exit 77; }
  status 0 "$bench" metadata --csv --live 1000
  prints '^metadata,live=1000;sizes=64-65536;region=[0-9]*,zcmem,bytes_per_block,[0-9.]*,bytes$'
  status 0 "$bench" metadata --csv --live 1K,32K --magazines off
  is_csv
  for live in 1024 32768; do
    # An image is at least touched, and never more of it is resident than there is (but for the ends of pages).
    awk -F, -v p="live=$live;" '
      index($2, p) == 1 && $3 == "zcmem" { value[$4] = $5 }
      END { exit !(value["resident"] > 0 && value["resident"] <= value["image"] + 65536 && value["bytes_per_block"] > 8) }' \
      "$dir/out" || { cat "$dir/out" >&2 && fail "live=$live: impossible"; }
  done
  status 0 "$bench" metadata --csv --live 1000 --region 64G
  prints '^metadata,live=1000;sizes=64-65536;region=68719476736,zcmem,bytes_per_block,[0-9.]*,bytes$'
  status 1 "$bench" metadata --live 1000 --region 1M
  grep -q 'allocations failed' "$dir/err" || fail "a region that is too small was not noticed"
  ;;
plot)
  plot=$(dirname "$traces")/plot
  command -v gnuplot >/dev/null || { echo "SKIP: no gnuplot to draw with" && exit 77; }
  "$bench" threads --csv --only zcmem,glibc --threads 1,2 --rounds 1 --pairs 1000 >"$dir/threads.csv"
  "$bench" handoff --csv --only zcmem,glibc --threads 1,2 --rounds 1 --pairs 1000 >"$dir/handoff.csv"
  "$bench" steady --csv --only zcmem,glibc --live 1K,2K --rounds 1 --pairs 1000 >"$dir/steady.csv"
  "$bench" latency --csv --only zcmem,glibc --live 1K --rounds 1 --pairs 1000 >"$dir/latency.csv"
  "$bench" fit --csv "$traces/torch_unet_train.ztrace" "$traces/host_cc1.ztrace" >"$dir/fit.csv"
  status 0 "$plot" "$dir/svg" "$dir"/*.csv
  [ "$(wc -l <"$dir/out")" -eq 5 ] || fail "not five pictures"
  for picture in threads handoff steady latency fit; do
    grep -q '</svg>' "$dir/svg/$picture.svg" || fail "$picture.svg is no picture"
    grep -q zcmem "$dir/svg/$picture.svg" || fail "$picture.svg does not show zcmem"
  done
  grep -q PyTorch "$dir/svg/fit.svg" || fail "fit.svg does not show PyTorch"
  status 0 "$plot" "$dir/one" "$dir/fit.csv"
  [ "$(ls "$dir/one")" = fit.svg ] || fail "pictures of what was not measured"
  echo nonsense >"$dir/nonsense"
  status 1 "$plot" "$dir/one" "$dir/nonsense"
  printf '%s\n' "$header" >"$dir/empty.csv"
  status 1 "$plot" "$dir/one" "$dir/empty.csv"
  status 2 "$plot" "$dir/one"
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
  status 0 "$bench" pair --csv --peer "$peer" --only zcmem,slots,slots+mutex --rounds 3 --pairs 2000 --sizes 128
  is_csv
  for allocator in zcmem slots slots+mutex; do
    prints "^pair,size=128,$allocator,ns_per_pair,[0-9.]*,ns\$"
  done
  prints '^pair,size=128,zcmem,ratio_to_slots+mutex,'
  refused 1 "$bench" steady --peer "$peer" --only same+mutex --check --rounds 1 --pairs 2000 --live 1K
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
  for command in '' 'replay ' 'fit ' 'heap ' 'convert ' 'pair ' 'steady ' 'sizes ' 'fifo ' 'ramp ' 'load90 ' 'threads ' \
    'handoff ' 'translate ' 'buffer ' 'copy ' 'latency ' 'metadata '; do
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
    'heap --only nobody' 'pair --only nobody' 'pair --sizes 0' 'pair --sizes 2G' 'pair --sizes 64-' 'pair --sizes 128-64' \
    'pair --sizes 64,' 'pair --sizes ,64' 'pair --sizes 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17' 'pair --live 7' \
    'pair operand' 'ramp --sizes 64' 'steady --live 0' 'steady --live 1Kx' 'steady --layer nonsense' 'steady --layer' 'steady --magazines' 'steady --magazines maybe' \
    'threads --threads 0' 'threads --threads 257' 'threads --threads 1;2' 'handoff --driver' 'translate --regions 65' \
    'translate --peer x' 'buffer --views x' 'copy --threads 0' 'latency --check' 'metadata --rounds 3' 'convert one' 'convert one two three'; do
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
