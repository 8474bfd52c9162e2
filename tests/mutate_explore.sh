#!/bin/sh
# SPDX-License-Identifier: MIT
# The explorer sees what it is for: for each change below the library is built with it, and then the scenario named must
# fail. The changes leave out what keeps threads apart: a revocation, a barrier, a generation, a look at the version.
. "$(dirname "$0")/common.sh"
need "$CC" pkg-config sed timeout
pkg-config --exists 'cmocka >= 1.1.5' || skip "pkg-config knows no CMocka 1.1.5 here"
work_dir explore-mutants
cd "$work"
echo 'int main(void) { return sizeof(void *) == 8 ? 0 : 77; }' >probe.c
$CC -fsanitize=thread -c probe.c 2>/dev/null || skip "$CC knows no -fsanitize=thread"
$CC probe.c -o probe && ./probe || skip "no magazines on this host"

# <file> : <what sed changes there> : <scenario> : <what that comes to>
changes='
magazine.c:/^void zcmem__magazines_share/,/^}/s/zcmem__magazines_\(revoke\|restore\)(region);//:alone, and another comes:blocks become shared while their one thread is in its magazines
magazine.c:s/^  zcmem__barrier_all();$//:free against figures:who revokes passes no barrier
magazine.c:s/^    while (zcmem__atomic_acquire(&at->state) == ZCMEM__BARRIER_BUSY) {$/    while (false) {/:free against figures:who revokes waits for nobody
magazine.h:s/(zcmem__atomic_acquire(&region->revoked) != 0)/(false)/:free against figures:revoked magazines are entered
magazine.h:s/magazines->alone ? zcmem__block_claim_alone/true ? zcmem__block_claim_alone/:double free, both fast:all threads claim without swapping
region.h:s/^    region->share(region);$/    (void)0;/:double free, one alone:another thread does not end that one is alone
heap.c:s/(!alone \&\& !zcmem__bits_swap(&block->use, &now, ZCMEM__FREE))/false/:batch of frees against free:a free with the lock does not swap
heap.c:/^  ZCMEM__PUT(block->generation, /d:free against a batch:a descriptor is used again in the same generation
heap_resize.c:s/if (heap->shared == ZCMEM__SHARED_NOT)/if (true)/:resize against:a resize holds the block against nobody
heap_use.c:s/status == ZCMEM_OK \&\& heap->shared != ZCMEM__SHARED_NOT \&\& !in_bounds/false \&\& !in_bounds/:map, and the block comes again for less:a transfer with the lock looks at the bounds only before it counts
heap_use.c:s/^            zcmem__heap_swap(heap, &block->use, &now, now \^/            (ZCMEM__PUT(block->use, now ^ ZCMEM__LIVE ^ ZCMEM__ZOMBIE), true); (void)(now ^/:deferred free:a deferred free does not swap
use.c:s/ || !zcmem__atomic_unchanged(&region->version, version))) {$/)) {/;s/if (!zcmem__atomic_unchanged(&region->version, version) || /if (/:resize to more against transfer:a transfer does not look at the version
use.c:s/ZCMEM__GET(block->slack) != slack || //:comes again for less:a transfer does not look at the slack again
use.c:s/ZCMEM__UNLIKELY(now == (ZCMEM__ZOMBIE | ZCMEM__TRANSFER))/false/:deferred free against transfer:a zombie loses its last use without the lock
use.c:s/zcmem__atomic_acquire(&region->direct) == 0/false/:alone, free against transfer:transfers without the lock begin while one thread claims without swapping
region.h:s/ZCMEM__LIKELY(zcmem__atomic_unchanged(&region->version, version))/true/:look-up:a translation does not look at the version again
region.c:s/if (zcmem__atomic_unchanged(&region->version, version))/if (true)/:look-up:a look-up does not look at the version again
context.c:s/mine->alone = context->single;/mine->alone = true;/:double free, through two contexts:contexts claim without swapping
context.c:/^  if (!context->single) {/,/^  }/s/zcmem__magazines_share(region);//:context that one alone has made:a context comes, and a thread goes on claiming without swapping
mem.c:/^static enum zcmem_status alloc_drained/,/^}/s/zcmem__magazines_\(revoke\|restore\)(region);//:drain:who drains does not revoke
atomic.h:/^static inline void zcmem__atomic_publish/,/^}/s/memory_order_release/memory_order_relaxed/:new region:what is published need not be complete
atomic.h:/^static inline uint32_t zcmem__atomic_count_down/,/^}/s/memory_order_release/memory_order_relaxed/:figures:who restores magazines does not hand over what it did
hal.c:/^static enum zcmem_status publish/,/^}/s/^  status = admit(hal, config);$/&if (status == ZCMEM_OK) zcmem__atomic_publish(\&hal->count, count + 1);/:new region:a region is published before it is made
translate.c:/^enum zcmem_status zcmem_mem_unmap/,/^}/s/^    unmapped = zcmem__move_unmap/    (void)unpin(was.region, was.addr);&/:unmap:the pin of a mapping goes before the driver has unmapped it
map.c:s/return zcmem__atomic_same(&entry->state, version);/return true;/:back translation:a look-up among mappings does not look at the entry again
'

# The library as one unit, with the names of the explorer's stand-ins (meson.build).
{
  echo '#define _GNU_SOURCE'
  echo '#define zcmem__self (*explore_self)'
  for name in mutex_lock mutex_unlock key_create setspecific; do
    echo "#define pthread_$name explore_$name"
  done
  sources | grep -v -e '^barrier\.c$' -e '^lock_pthread\.c$' | sed 's/.*/#include "&"/'
} >unit.c
compile() {
  # shellcheck disable=SC2046
  $CC -std=c11 -O1 -w -I "$source_root/include" -I src $(pkg-config --cflags cmocka) "$@"
}
build() {
  # shellcheck disable=SC2046
  compile -fsanitize=thread -c unit.c -o unit.o &&
    compile -o test_explore unit.o tests/*.o -pthread $(pkg-config --libs cmocka)
}
# pass [part of a scenario's name]
pass() {
  ZCMEM_TEST_SCENARIO=${1:-} timeout 100 ./test_explore >log 2>&1
}

cp -r "$source_root/src" src
mkdir tests
(cd tests && for c in "$source_root"/tests/explore*.c "$source_root"/tests/test_explore.c \
  "$source_root"/tests/magazines_check.c; do
  (cd .. && compile -c "$c" -o "tests/$(basename "$c" .c).o") || exit 1
done) || fail "the explorer does not compile"
build || fail "the library does not compile"
ZCMEM_TEST_BOUND=1 pass || {
  cat log
  fail "a scenario fails without any change"
}

bad=0 mutants=0
echo "$changes" | sed '/^$/d' >list
while IFS=: read -r file change scenario what; do
  mutants=$((mutants + 1))
  cp "$source_root"/src/*.[ch] src
  sed "$change" "$source_root/src/$file" >"src/$file"
  cmp -s "src/$file" "$source_root/src/$file" && fail "nothing was changed in $file: $what"
  build 2>errors || {
    cat errors
    fail "does not compile: $what"
  }
  status=0
  pass "$scenario" || status=$?
  if grep -q 'no scenario has such a name' log; then
    fail "no scenario is named *$scenario*"
  fi
  if [ $status -eq 0 ]; then
    echo "FAIL: '$scenario' does not notice that $what"
    bad=1
  else
    echo "$what:"
    grep -m 1 '^ERROR: ' log || tail -n 3 log
  fi
done <list
[ $mutants -gt 0 ] || fail "nothing was changed"
echo "$mutants changes, one at a time"
exit $bad
