#!/bin/sh
# SPDX-License-Identifier: MIT
# Each order of stores that a killed process relies on is needed, and each step of the repair: for each change below,
# the core is built with it, and then test_heap_kill must fail.
. "$(dirname "$0")/common.sh"
need "$CC" pkg-config sed timeout
pkg-config --exists 'cmocka >= 1.1.5' || skip "pkg-config knows no CMocka 1.1.5 here"
work_dir kill-mutants
cd "$work"

# <file> : <what sed changes there> : <what that comes to>
changes='
heap.c:/PUT_LAST(block->use, use)/d;s/^  ZCMEM__PUT(block->slack, slack);$/ZCMEM__PUT_LAST(block->use, use);&/:a block is live before its slack and tag are right
heap.c:/^  ZCMEM__PUT(made->size, need);$/d;s/^  make_live(heap, made, .*$/&ZCMEM__PUT(made->size, need);/:a block is live before its size is right
heap_parts.h:/^  ZCMEM__PUT(block->use, ZCMEM__FREE);$/d;s/^  zcmem__heap_hole_insert(heap, block, id, size);$/&ZCMEM__PUT(block->use, ZCMEM__FREE);/:a block that is still live is put into a bin
heap.c:s/&now, ZCMEM__FREE)/\&now, ZCMEM__CACHED)/:a block that is freed beside other threads is cached for a while
heap_resize.c:s/^    begin_change(heap, block, id, held);$//:a resize writes nothing down
heap_resize.c:/^  heap->undo_slack = block->slack;$/d:a resize writes half of it down
heap_resize.c:/^  end_change(heap, id, held);$/d;s/^  ZCMEM__PUT(block->slack, slack);$/end_change(heap, id, held);&/:a resize ends before the slack is right
heap_resize.c:/id | ZCMEM__UNDO_HELD | ZCMEM__UNDO_DONE/d:a resize holds the block before it writes that down
heap_resize.c:s/zcmem__generation_after(generation)}/generation}/:the generation does not tell whether the block is held
heap_repair.c:s/^  undo_resize(&r);$//:repair undoes nothing
heap_repair.c:s/^ *zcmem__heap_let_go(block);$//:repair leaves a block held
heap_repair.c:s/if (use == ZCMEM__ZOMBIE)/if (false)/:repair leaves a zombie that nobody uses
heap_repair.c:s/^  sort(&r);$//:repair takes the blocks as they come
'

core=$(sources core)
cmocka_flags=$(pkg-config --cflags cmocka)
compile() {
  # shellcheck disable=SC2086
  $CC -std=c11 -O1 -w -I "$source_root/include" -I src $cmocka_flags "$@"
}

# Builds the test with what is in src/, and runs it.
build() {
  for c in $core; do
    compile -c "src/$c" -o "${c%.c}.o" || return 1
  done
  for name in test_heap_kill ledger stepper; do
    compile -c "$source_root/tests/$name.c" -o "$name.o" || return 1
  done
  # shellcheck disable=SC2046
  compile -o test_heap_kill ./*.o $(pkg-config --libs cmocka)
}
pass() {
  ZCMEM_TEST_OPS=2000 timeout 60 ./test_heap_kill >log 2>&1
}

cp -r "$source_root/src" src
build || fail "the test does not compile"
pass || {
  cat log
  grep -q '^SKIP: ' log && exit 77
  fail "the test fails without any change"
}

bad=0 mutants=0
echo "$changes" | sed '/^$/d' >list
while IFS=: read -r file change what; do
  mutants=$((mutants + 1))
  cp "$source_root"/src/*.[ch] src
  sed "$change" "$source_root/src/$file" >"src/$file"
  cmp -s "src/$file" "$source_root/src/$file" && fail "nothing was changed in $file: $what"
  build || fail "does not compile: $what"
  if pass; then
    echo "FAIL: nothing notices that $what"
    bad=1
  fi
done <list
[ $mutants -gt 0 ] || fail "nothing was changed"
echo "$mutants changes, one at a time"
exit $bad
