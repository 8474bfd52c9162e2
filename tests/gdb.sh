#!/bin/sh
# SPDX-License-Identifier: MIT
# gdb knows zcmem-map, zcmem-blocks and the printers of src/gdb/zcmem.py from the debug information of a program that
# the library is linked to; what they show of a program that stands is what the program itself dumps.
. "$(dirname "$0")/common.sh"
need gdb readelf python3
work_dir gdb
program=$build_root/examples/dump
[ -x "$program" ] || skip "examples/dump is not built"
readelf -SW "$program" | grep -q '\.debug_gdb_scripts' || skip "a build without debug information, or not on Linux"
"$program" >"$work/dump"
gdb -nx -batch -iex "add-auto-load-safe-path $build_root" -ex 'set debuginfod enabled off' -ex 'break zcmem_hal_dump' \
  -ex run -ex 'zcmem-map hal' -ex 'zcmem-blocks hal' -ex 'print *hal' -ex 'print hal->regions[0]' \
  -ex 'print *hal->regions[1].heap' -ex 'zcmem-map hal->regions[0].heap' -ex 'zcmem-map 1' "$program" \
  >"$work/out" 2>"$work/err" || true
grep -qE 'ptrace|not permitted' "$work/err" && skip "no program can be traced here"
seen() { grep -qE "$1" "$work/out" || { cat "$work/out" "$work/err"; fail "gdb does not show: $1"; }; }
seen '^dram .*133 blocks, 1\.[0-9]* MiB of 8 MiB in use$'
seen '^msmc .* 0 blocks, 0 B of 1 MiB in use$'
seen '^\$1 = zcmem_hal "zcmem host device", 2 regions$'
seen '^\$2 = region "dram" at 0xdd00000000000000: 133 blocks'
seen '^\$3 = zcmem_heap at 0xcc00000000000000: 0 blocks'
seen '^heap .*133 blocks'
grep -q 'neither a struct zcmem_hal nor a struct zcmem_heap' "$work/err" || fail "a number is drawn"
# Block by block, as the dump has them.
python3 - "$work/dump" >"$work/expected" <<'END'
import json
import sys
bases, names = {}, {}
for line in map(json.loads, open(sys.argv[1])):
    if line.get('type') == 'region':
        bases[line['index']], names[line['index']] = int(line['base'], 16), line['name']
    if line.get('type') == 'block':
        print('%s 0x%x size %d requested %d %s tag 0x%x pins %d transfers %d' % (
            names[line['region']], bases[line['region']] + line['offset'], line['size'], line['requested'],
            line['state'], line['tag'], line['pins'], line['transfers']))
END
grep -E '^(dram|msmc) 0x' "$work/out" >"$work/found"
diff "$work/expected" "$work/found" || fail "> gdb's blocks are not those of the dump"
echo "$(wc -l <"$work/found") blocks"
