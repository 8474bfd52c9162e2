#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs libFuzzer binaries, several jobs of each at once, and says what came of it. Needs nothing but a shell and the
# binaries; so it and they can be carried to any machine.
#
#   run.sh [--jobs N] [--seconds S] [--seed N] [--seeds DIRECTORY] [--timeout S] BINARIES OUT [TARGET...]
#
# BINARIES is where fuzz_<target>_libfuzzer lie; --jobs are for each target, all targets at the same time; --seeds has
# a directory of inputs for each target (tests/fuzz/corpus). OUT/<target>/ gets corpus/, log.<job>, and crash-*,
# timeout-*, oom-* for what was found: then the status is 1. A job that found something goes on with what is left of
# its time. --timeout is for one input, by the clock on the wall: more than the default where other work is done, too.
set -u
jobs=1 seconds=20 seed=1 seeds= timeout=20
while [ $# -gt 0 ]; do
  case $1 in
  --jobs) jobs=$2 && shift 2 ;;
  --seconds) seconds=$2 && shift 2 ;;
  --seed) seed=$2 && shift 2 ;;
  --seeds) seeds=$2 && shift 2 ;;
  --timeout) timeout=$2 && shift 2 ;;
  *) break ;;
  esac
done
if [ $# -lt 2 ]; then
  sed -n 's/^#   //p' "$0" >&2
  exit 2
fi
binaries=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- ops image parse

# one_job <target> <job>: until the time is over
one_job() {
  target=$1 job=$2
  dir=$out/$target
  end=$(($(date +%s) + seconds)) left=$seconds turn=0
  : >"$dir/log.$job"
  while [ "$left" -gt 0 ] && [ $turn -lt 50 ]; do
    "$binaries/fuzz_${target}_libfuzzer" -max_total_time="$left" -max_len=1024 -len_control=20 \
      -timeout="$timeout" -rss_limit_mb=3000 -seed=$((seed * 1000 + job + turn * 100 + 1)) -print_final_stats=1 -artifact_prefix="$dir/" \
      "$dir/corpus" ${seeds:+"$seeds/$target"} >>"$dir/log.$job" 2>&1
    left=$((end - $(date +%s))) turn=$((turn + 1))
  done
}

running=
for target; do
  [ -x "$binaries/fuzz_${target}_libfuzzer" ] || {
    echo "$binaries/fuzz_${target}_libfuzzer is not there" >&2
    exit 2
  }
  mkdir -p "$out/$target/corpus"
  job=0
  while [ $job -lt "$jobs" ]; do
    one_job "$target" $job &
    running="$running $!"
    job=$((job + 1))
  done
done
for id in $running; do
  wait "$id"
done

found=0
for target; do
  dir=$out/$target
  cat "$dir"/log.* | awk -v target="$target" -v inputs="$(find "$dir/corpus" -type f | wc -l)" '
    /stat::number_of_executed_units:/ { executions += $2 }
    /stat::peak_rss_mb:/ { if ($2 > rss) rss = $2 }
    / cov: / { for (i = 1; i < NF; i++) if ($i == "cov:" && $(i + 1) > cov) cov = $(i + 1) }
    END { printf "%s: %d executions, %d edges covered, %d inputs kept, %d MB at most\n",
          target, executions, cov, inputs, rss
          exit executions == 0 }' || found=1
  for file in "$dir"/crash-* "$dir"/timeout-* "$dir"/oom-* "$dir"/leak-* "$dir"/slow-unit-*; do
    [ -e "$file" ] || continue
    case $file in
    */slow-unit-*) echo "slow: $file" ;;
    *) found=1 && echo "found; to repeat it: $binaries/fuzz_${target}_libfuzzer $file" ;;
    esac
  done
done
times >"$out/times" # not in a pipe: there it would be another shell's
awk 'END { gsub("[ms]", " "); printf "processor time of all jobs: %.2f minutes\n", $1 + $3 + ($2 + $4) / 60 }' "$out/times"
exit $found
