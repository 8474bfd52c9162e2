#!/bin/sh
# SPDX-License-Identifier: MIT
# test_shm_kill.c notices when a step is missing of what makes an area outlive a process that is killed, or comes too
# soon or too late. Each change is made alone, by sed; the test must then fail.
. "$(dirname "$0")/common.sh"
need pkg-config
pkg-config --exists 'cmocka >= 1.1.5' || skip "pkg-config knows no CMocka 1.1.5 here"
work_dir shm-mutants
cd "$work"

# <file> : <what sed changes there> : <what that comes to>
changes='
region.c:s/^  note_use(uses, status, ZCMEM__PIN);$//:a pin stands in no table
shm_lock.c:s/0, uses_for_repair, part, NULL)/0, NULL, NULL, NULL)/:repair believes the counts of uses in the blocks
shm_lock.c:s/^    recover(part);$//:who takes the lock of the dead repairs nothing
shm_lock.c:s/^    (void)pthread_mutex_consistent(part->mutex);$//:the lock is not made consistent after a repair
shm_lock.c:s/^  ZCMEM__PUT(part->shared.heap->owner, .*$//:blocks belong to who had the lock before
shm_slots.c:s/^    (void)pthread_mutex_consistent(&shm->area->mutex);$//:the lock of the slots is not made consistent
shm_own.c:s/^  ZCMEM__PUT(block->use, state | zcmem__shm_uses(part, id));$//:a reap ends uses in the table alone
shm_own.c:s/^    zcmem__heap_release(heap, id);$//:a reap leaves a zombie that nobody uses
shm_own.c:s/ZCMEM__LIVE \&\& zcmem__shm_owner(block) == slot;$/ZCMEM__LIVE;/:a reap frees whatever nobody uses
shm_own.c:s/empty ? ZCMEM__SLOT_FREE . ZCMEM__SLOT_LEFT/ZCMEM__SLOT_FREE/:a slot is free while it owns blocks
shm.c:s/^  area->plan = .plan;$/&__atomic_store_n(\&area->magic, ZCMEM__SHM_MAGIC, __ATOMIC_RELEASE);/:an area is complete before it is
heap.c:/^  ZCMEM__PUT(block->generation, ((/d;s/^  ZCMEM__PUT_LAST(block->use, use);$/&ZCMEM__PUT(block->generation, ((ZCMEM__GET(block->generation) + 1u) \& ZCMEM__GENERATION) | heap->owner);/:a block is live before its owner is right
'

cmocka_flags=$(pkg-config --cflags cmocka)
compile() {
  # shellcheck disable=SC2086
  $CC -std=gnu11 -O1 -w -I "$source_root/include" -I src $cmocka_flags "$@"
}
everything=$(sources)
link_test() {
  # shellcheck disable=SC2046
  compile -o test_shm_kill ./*.o -Wl,--wrap=mmap,--wrap=mmap64,--wrap=munmap $(pkg-config --libs cmocka) -lpthread
}
# The objects of the library that are to be made anew.
build() {
  for c in $*; do
    compile -c "src/$c" -o "${c%.c}.o" || return 1
  done
  link_test
}
pass() {
  ZCMEM_TEST_OPS=${1:-1200} timeout 200 ./test_shm_kill >log 2>&1
}

cp -r "$source_root/src" src
for name in test_shm_kill shm_victim victim_ledger stepper; do
  compile -c "$source_root/tests/$name.c" -o "$name.o" || fail "$name.c does not compile"
done
build $everything || fail "the library does not compile"
pass 100 || {
  cat log
  grep -q '^SKIP: ' log && exit 77
  fail "the test fails without any change"
}

bad=0 mutants=0
echo "$changes" | sed '/^$/d' >list
while IFS=: read -r file change what; do
  mutants=$((mutants + 1))
  sed "$change" "$source_root/src/$file" >"src/$file"
  cmp -s "src/$file" "$source_root/src/$file" && fail "nothing was changed in $file: $what"
  case $file in
  *.h) again=$everything ;;
  *) again=$file ;;
  esac
  build $again || fail "does not compile: $what"
  if pass; then
    echo "FAIL: nothing notices that $what"
    bad=1
  fi
  cp "$source_root/src/$file" "src/$file"
  build $again || fail "does not compile any more: $file"
done <list
[ $mutants -gt 0 ] || fail "nothing was changed"
echo "$mutants changes, one at a time"
exit $bad
