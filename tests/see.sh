#!/bin/sh
# SPDX-License-Identifier: MIT
# The tools that look inside: see.sh <source root> <build root> <case>
. "$(dirname "$0")/common.sh"
case=$1
work_dir "see-$case"
bench=$build_root/bench/zcmem-bench
traces=$source_root/bench/traces
[ -x "$bench" ] || skip "zcmem-bench is not built"

# events <file>: how many allocations of which sizes a trace has, and how many frees
events() {
  "$bench" convert "$1" "$work/events.trace" >"$work/log" || fail "$1 cannot be read"
  awk '$1 == "a" { n[$3]++ } $1 == "f" { frees++ } END { for (size in n) print n[size], size; print frees, "frees" }' \
    "$work/events.trace" | sort
}

case $case in
record)
  recorder=$build_root/bench/libzcmem-record.so
  [ -e "$recorder" ] || skip "no LD_PRELOAD recorder on this system"
  ! nm "$bench" | grep -qE ' __(asan|tsan|msan)_init' || skip "a sanitizer wraps malloc itself"
  $CC -O1 -pthread "$source_root/tests/record_me.c" -o "$work/record_me"
  "$work/record_me" || fail "record_me"
  # With %p a process each; without, only who is first.
  ZCMEM_RECORD=$work/%p.zev LD_PRELOAD=$recorder "$work/record_me" || fail "record_me is not itself when it is recorded"
  [ "$(find "$work" -name '*.zev' | wc -l)" -eq 1 ] || fail "not one file: the child of a fork has one, too"
  mv "$work"/*.zev "$work/one.zev"
  events "$work/one.zev" >"$work/seen"
  # Other sizes are the C library's own.
  for line in '2000 7777' '2000 15554' '1 12963' '1 33333'; do
    grep -qx "$line" "$work/seen" || { cat "$work/seen" && fail "not recorded: $line"; }
  done
  awk '$2 == "frees" && $1 >= 4002 { good = 1 } END { exit !good }' "$work/seen" || fail "frees are missing"
  ZCMEM_RECORD=$work/one.zev LD_PRELOAD=$recorder "$work/record_me" 2>"$work/err" || fail "record_me"
  grep -q 'nothing is recorded' "$work/err" || fail "a file that was there was written to, or nothing was said"
  LD_PRELOAD=$recorder "$work/record_me" 2>"$work/err" || fail "record_me without ZCMEM_RECORD"
  [ ! -s "$work/err" ] || fail "something was said although nothing was to be recorded"
  # What is recorded is a trace like any other; and what was cut off is good up to there.
  "$bench" replay --rounds 1 "$work/one.zev" | grep -q 'failures 0 ' || fail "replay"
  "$bench" fit "$work/one.zev" | grep -q '^one  *ratio 1\.' || fail "fit"
  size=$(wc -c <"$work/one.zev")
  head -c $((size - 1)) "$work/one.zev" >"$work/cut.zev"
  "$bench" fit "$work/cut.zev" >/dev/null || fail "a file whose last event is cut"
  { head -c 5000 "$work/one.zev" && printf 'x' && tail -c +5002 "$work/one.zev"; } >"$work/bad.zev"
  if "$bench" fit "$work/bad.zev" 2>"$work/err"; then fail "a damaged file was read"; fi
  grep -q 'bad.zev: byte [0-9]*: not an event' "$work/err" || fail "the place is not named"
  # A program that starts others: the first one is recorded, and the others do not complain.
  ZCMEM_RECORD=$work/first.zev LD_PRELOAD=$recorder sh -c "'$work/record_me'; '$work/record_me'" 2>"$work/err"
  [ ! -s "$work/err" ] || { cat "$work/err" && fail "those that are not recorded complain"; }
  ;;
shrink)
  # Why a heap of 1.0035 times the peak is not enough.
  "$bench" shrink --needs 1300000000 --fragmented "$traces/torch_unet_train.ztrace" "$work/small.trace" >"$work/log" || fail "shrink"
  blocks=$(grep -c '^a' "$work/small.trace")
  [ "$blocks" -lt 60 ] || { cat "$work/log" && fail "$blocks blocks are left"; }
  # It fails as the whole did, and without any one of its blocks not.
  "$bench" replay --rounds 1 --region 1300000000 "$work/small.trace" | grep -q 'failures 1 ' || fail "it does not fail"
  for id in $(awk '$1 == "a" { print $2 }' "$work/small.trace"); do
    awk -v id="$id" '$2 != id' "$work/small.trace" >"$work/less.trace"
    "$bench" replay --rounds 1 --region 1300000000 "$work/less.trace" | grep -q 'failures 0 ' || fail "block $id is not needed"
  done
  # A command of the user's: wants two blocks of these sizes live at once.
  cat >"$work/fails" <<'END'
#!/bin/sh
awk '$1 == "a" { size[$2] = $3; live[$3]++ } $1 == "f" { live[size[$2]]-- }
  live[700] > 0 && live[900] > 0 { bad = 1 } END { exit bad }' "$1"
END
  chmod +x "$work/fails"
  i=0
  while [ $i -lt 60 ]; do
    echo "a $i $((100 + i * 20))"
    [ $((i % 7)) -ne 3 ] || echo "f $i"
    i=$((i + 1))
  done >"$work/in.trace"
  "$bench" shrink --fails "$work/fails" "$work/in.trace" "$work/it's.trace" >"$work/log" || fail "shrink --fails"
  printf 'a 0 700\na 1 900\n' | cmp - "$work/it's.trace" || { cat "$work/it's.trace" && fail "not the two blocks"; }
  if "$bench" shrink --fails true "$work/in.trace" "$work/no.trace" 2>"$work/err"; then fail "nothing fails"; fi
  grep -q 'the trace does not fail' "$work/err" || fail "does not say that nothing fails"
  [ ! -e "$work/no.trace" ] || fail "a result although nothing fails"
  if "$bench" shrink --fails "kill -9 \$\$;" "$work/in.trace" "$work/no.trace" 2>"$work/err"; then fail "a signal"; fi
  for arguments in '' '--fails true --needs 1M' '--needs 1M --quantum 96' '--needs 64'; do
    status=0
    # shellcheck disable=SC2086 # words
    "$bench" shrink $arguments "$work/in.trace" "$work/no.trace" 2>/dev/null || status=$?
    [ $status -eq 2 ] || fail "shrink $arguments: status $status"
  done
  ;;
map)
  # colours <file>: the colours of the cells' paths
  colours() { grep -o '^<path stroke="#[0-9a-f]*"' "$1" | sort -u | wc -l; }
  "$bench" map "$traces/torch_unet_train.ztrace" -o "$work/trace.svg" || fail "map of a trace"
  [ "$(colours "$work/trace.svg")" -ge 3 ] || fail "less than three sizes in the picture"
  grep -q '</svg>' "$work/trace.svg" || fail "no picture"
  grep -q 'At the peak: ' "$work/trace.svg" || fail "no map of the peak"
  # What the lines say is what another command measures: the peak's share of the least region.
  "$bench" map --width 40 "$traces/torch_unet_train.ztrace" >"$work/text" || fail "map in text"
  grep -qE '^torch_unet_train .*  9[78]\.[0-9] % of 1\.2[0-9] GiB, [0-9]+ blocks, ' "$work/text" ||
    { cat "$work/text" && fail "another figure"; }
  ! grep -q "$(printf '\033')" "$work/text" || fail "colours in a file"
  "$bench" map --color always "$traces/torch_unet_train.ztrace" | grep -q "$(printf '\033')\[38;5;" || fail "no colours"
  if command -v xmllint >/dev/null; then xmllint --noout "$work/trace.svg" || fail "not XML"; fi
  # The pictures that are kept are those that the tools make.
  "$bench" map "$traces/torch_gpt_train.ztrace" -o "$work/kept.svg" || fail "map"
  cmp "$work/kept.svg" "$source_root/bench/pictures/torch_gpt_train.svg" || fail "bench/pictures is not up to date"
  [ -x "$build_root/examples/dump" ] || skip "examples/dump is not built"
  "$build_root/examples/dump" >"$work/dump" || fail "dump"
  status=0
  "$bench" map "$work/dump" -o "$work/dump.svg" 2>"$work/err" || status=$?
  if grep -q 'without jansson' "$work/err"; then skip "zcmem-bench was built without jansson"; fi
  [ $status -eq 0 ] || fail "map of a dump"
  [ "$(colours "$work/dump.svg")" -eq 3 ] || fail "not three tags in the picture"
  for tag in wgts acts grad; do
    grep -q ">$tag: [0-9.]* KiB, [0-9]* blocks<" "$work/dump.svg" || fail "$tag is not in the legend"
  done
  "$bench" map --width 10 "$work/dump" | grep -qE '^dram .* 20\.[0-9] % of 8 MiB, 133 blocks' || fail "another figure"
  # Lines that are no dump.
  bad() {
    printf "$1" >"$work/bad"
    if "$bench" map "$work/bad" >/dev/null 2>"$work/err"; then fail "read: $1"; fi
    grep -q "bad: line $2: " "$work/err" || { cat "$work/err" && fail "the line is not named: $1"; }
  }
  head='{"zcmem":"dump","version":1,"device":"d","regions":1}\n'
  region='{"type":"region","index":0,"name":"r","size":1000}\n'
  block() { printf '%s\\n' "{\"type\":\"block\",\"region\":0,\"offset\":$1,\"size\":$2,\"state\":\"$3\",\"tag\":$4,\"pins\":0,\"transfers\":0}"; }
  bad '{}\n' 1
  bad '{"zcmem":"dump","version":2,"device":"d","regions":1}\n' 1
  bad "$head" 1
  bad "${head}nonsense\\n" 2
  bad "$head{\"index\":0}\\n" 2
  bad "$head$(block 0 100 live 0)" 2
  bad "$head$region$region" 3
  bad "$head$region$(block 0 1001 live 0)" 3
  bad "$head$region$(block 0 100 lost 0)" 3
  bad "$head$region$(block 0 100 live 4294967296)" 3
  bad "$head$region$(block -1 100 live 0)" 3
  bad "$head$region$(block 0 100 live 0)$(block 99 100 live 0)" 4
  bad "$head$region{\"type\":\"block\"" 3
  # And what a later version may add.
  printf "$head$region{\"type\":\"weather\"}\\n$(block 0 100 live 0)$(block 500 1 zombie 7)" >"$work/new"
  "$bench" map "$work/new" | grep -q '10\.1 % of 1000 B, 2 blocks' || fail "a dump of a later version"
  ;;
progress)
  # A line that is written over where stderr is a terminal, nothing where it is none.
  command -v script >/dev/null || skip "no script to make a terminal with"
  script -qec "'$bench' fit '$traces/torch_llm_serve.ztrace'" /dev/null </dev/null >"$work/terminal" || fail "fit"
  grep -q "$(printf '\r\033\\[K')replay 1, in [0-9]* bytes" "$work/terminal" || fail "no progress on a terminal"
  grep -q "$(printf '\r\033\\[K')torch_llm_serve  *ratio 1\." "$work/terminal" || fail "the line is not taken away"
  "$bench" fit "$traces/torch_unet_train.ztrace" 2>"$work/err" >/dev/null
  [ ! -s "$work/err" ] || fail "progress in a file"
  ;;
usdt)
  need meson ninja readelf
  echo '#include <sys/sdt.h>' | $CC -E - >/dev/null 2>&1 || skip "no sys/sdt.h (systemtap-sdt-dev)"
  meson setup "$work/build" "$source_root" -Dusdt=enabled -Dtests=disabled -Dbench=disabled >"$work/log" 2>&1 ||
    { cat "$work/log" && fail "meson setup"; }
  ninja -j1 -C "$work/build" examples/first >"$work/log" 2>&1 || { cat "$work/log" && fail "ninja"; }
  "$work/build/examples/first" >/dev/null || fail "first"
  # All of the library: a program is linked with the files alone that it needs.
  readelf -n "$work/build/src/libzcmem.a" | awk '/Provider: zcmem/ { getline; print $2 }' | sort -u | tr '\n' ' ' >"$work/probes"
  [ "$(cat "$work/probes")" = 'alloc free resize ' ] || fail "these probes: $(cat "$work/probes")"
  if readelf -n "$build_root/examples/first" 2>/dev/null | grep -q 'Provider: zcmem'; then
    grep -q 'ZCMEM_USDT' "$build_root/build.ninja" || fail "probes that nobody asked for"
  fi
  ;;
*) fail "no such case" ;;
esac
