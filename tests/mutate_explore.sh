#!/bin/sh
# SPDX-License-Identifier: MIT
# The explorer sees what it is for: for each change below the library is built with it, and then the scenario named must
# fail. The changes leave out what keeps threads apart: a revocation, a barrier, a generation, a look at the version.
#
# mutate_explore.sh <source root> <build root> <explorer's library> <library that it explores> [how that is compiled...]
. "$(dirname "$0")/common.sh"
explorer=$(realpath "$1") explored=$(realpath "$2")
shift 2
need "$CC" pkg-config sed timeout
pkg-config --exists 'cmocka >= 1.1.5' || skip "pkg-config knows no CMocka 1.1.5 here"
work_dir explore-mutants
cd "$work"
echo 'int main(void) { return 0; }' >probe.c
$CC probe.c -o probe && ./probe || skip "what is compiled for this host does not run here"

# [<header> >] <files to compile> : <what sed changes in the first> : <scenario> : <what that comes to>
changes='
magazine_list.c:/^void zcmem__magazines_share/,/^}/s/zcmem__magazines_\(revoke\|restore\)(region);//:alone, and another comes with a pair:blocks become shared while their one thread is in its magazines
magazine_list.c:s/^  zcmem__barrier_all();$//:free against figures:who revokes passes no barrier
magazine_list.c:s/^    while (zcmem__atomic_acquire(&at->state) == ZCMEM__BARRIER_BUSY) {$/    while (false) {/:free against figures:who revokes waits for nobody
magazine.h>mem.c:s/(zcmem__atomic_acquire(&region->revoked) != 0)/(false)/:free against figures:revoked magazines are entered
magazine.h>mem.c:s/return ZCMEM__GET(block->start) == start \&\&/life = __atomic_load_n(zcmem__block_life(block), __ATOMIC_ACQUIRE); return zcmem__life_use(life) == ZCMEM__LIVE \&\& ZCMEM__GET(block->start) == start \&\&/:free against a shorter block in its place:a claim goes by the state alone, whatever the generation is now
magazine.h>mem.c:s/magazines->alone ? zcmem__block_claim_alone/true ? zcmem__block_claim_alone/:double free, both fast:all threads claim without swapping
region.h>mem.c thread.c:s/^    region->share(region);$/    (void)0;/:double free, one alone so far:another thread does not end that one is alone
heap.c:s/(!alone \&\& !zcmem__bits_swap(&block->use, &now, ZCMEM__FREE))/false/:batch of frees against free:a free with the lock does not swap
heap.c:/^  ZCMEM__PUT(block->generation, /d:free against a shorter block in its place:a descriptor is used again in the same generation
heap_resize.c:s/if (heap->shared == ZCMEM__SHARED_NOT)/if (true)/:resize against free:a resize holds the block against nobody
heap_use.c:s/status == ZCMEM_OK \&\& heap->shared != ZCMEM__SHARED_NOT \&\& !in_bounds/false \&\& !in_bounds/:map, and the block comes again for less:a transfer with the lock looks at the bounds only before it counts
heap_use.c:s/^            zcmem__heap_swap(heap, &block->use, &now, now \^/            (ZCMEM__PUT(block->use, now ^ ZCMEM__LIVE ^ ZCMEM__ZOMBIE), true); (void)(now ^/:deferred free against transfer:a deferred free does not swap
use.h>use.c transfer.c handle.c:s/if (!zcmem__atomic_still(&region->version, version) || /if (/:no magazines, transfer against a block behind:a transfer does not look at the version
use.h>use.c transfer.c handle.c:s/ZCMEM__GET(block->slack) != slack/false/:transfer, and the block comes again for less:a transfer does not look at the slack again
use.h>use.c transfer.c handle.c:s/now != (ZCMEM__ZOMBIE | ZCMEM__TRANSFER)/true/:deferred free against transfer:a zombie loses its last use without the lock
use.h>use.c transfer.c handle.c:s/zcmem__atomic_acquire(&region->direct) != 0/true/:alone, free against transfer:transfers without the lock begin while one thread claims without swapping
region.c:s/if (zcmem__atomic_unchanged(&region->version, version))/if (true)/:look-up against resize:a look-up does not look at the version again
magazine.c:s/^  if (ZCMEM__UNLIKELY(pop(magazines, need, size, addr))) {$/  if (false) {/:alone, and another drains:who could not enter a moment ago takes it that there is no block of this size
mem.c:/^static enum zcmem_status alloc_drained/,/^}/s/zcmem__magazines_\(revoke\|restore\)(region);//:free against drain:who drains does not revoke
atomic.h>hal.c:/^static inline void zcmem__atomic_publish/,/^}/s/memory_order_release/memory_order_relaxed/:a new region against its use:what is published need not be complete
atomic.h>magazine_list.c:/^static inline uint32_t zcmem__atomic_count_down/,/^}/s/memory_order_release/memory_order_relaxed/:free against figures:who restores magazines does not hand over what it did
hal.c:/^static enum zcmem_status publish/,/^}/s/^  status = admit(hal, config);$/&if (status == ZCMEM_OK) zcmem__atomic_publish(\&hal->count, count + 1);/:a new region against its use:a region is published before it is made
translate.c:/^enum zcmem_status zcmem_mem_unmap/,/^}/s/^    unmapped = zcmem__move_unmap/    (void)unpin(was.region, was.addr);&/:unmap against free:the pin of a mapping goes before the driver has unmapped it
magazine.h>mem.c:s/(zcmem__life_use(life) != ZCMEM__LIVE ||/((zcmem__life_use(life) \& ZCMEM__STATE) != ZCMEM__LIVE ||/:free and drain against transfer:a claim takes what somebody uses
barrier.h>mem.c:s/^    atomic_thread_fence(/    atomic_signal_fence(/:fences, free against figures:who enters has no fence where the kernel has no barrier
keep.c:s/^  zcmem__magazines_revoke(region);$//;s/^ *zcmem__magazines_restore(region);$//:a bundle against figures:who counts does not revoke
mem_block.c:/^static enum zcmem_status resize_drained/,/^}/s/zcmem__magazines_\(revoke\|restore\)(region);//:resize that drains against alloc:a resize that drains does not revoke
mem_block.c:/^static enum zcmem_status resize_locked/,/^}/s/zcmem__atomic_changed*(&region->version);//:look-up against resize:a resize leaves the version as it is
thread.c:/^static void leave_region/,/^}/{s/zcmem__region_take(region) == ZCMEM_OK/true/;s/zcmem__lock_drop(&region->lock);//}:an end against drain:who ends takes no lock
context.c:s/mine->alone = context->single;/mine->alone = true;/:double free, through two contexts:contexts claim without swapping
context.c:/^  if (!context->single) {/,/^  }/s/zcmem__magazines_share(region);//:context that one alone has made:a context comes, and a thread goes on claiming without swapping
use.h>use.c transfer.c handle.c:s/  if (ZCMEM__LIKELY(mine->alone)) {/  if (true) {/:alone, another comes, transfer against free:a transfer goes by that the thread is alone, and looks too early
heap_resize.c:s/wanted\[2\] = {use + change, zcmem__generation_after(generation)};/wanted[2] = {use + change, generation};/:resize against the end of a use and transfer:a resize leaves the generation as it is
region.h>translate.c:s/ \&\& ZCMEM__LIKELY(zcmem__atomic_still(&region->version, version))//:translation against resize to more:a translation does not look at the version again
region.h>translate.c:s/ \&\& ZCMEM__LIKELY(zcmem__atomic_still(&region->version, version))//:back translation against a block before:a back translation does not look at the version again
atomic.h>translate.c:/^static inline uint32_t zcmem__atomic_version_even/,/^}/s/ & ~UINT32_C(1)//:back translation against resize to more:a translation believes an odd version
atomic.h>region.c:s/(since & 1u) == 0 \&\& //:look-up against resize:a look-up believes an odd version
heap_ops.h>translate.c:s/zcmem__block_stays_live(block, use)/((use \& ZCMEM__STATE) == ZCMEM__LIVE)/:back translations, and the block comes again for less:a translation looks at the state only before the slack
heap_impl.h>translate.c:s/(use & ZCMEM__GET(block->use) & ZCMEM__STATE)/(ZCMEM__GET(block->use) \& ZCMEM__STATE)/:back translation against the alloc of a kept block:a translation looks at the state only behind the slack
heap_use.c:s/  return zcmem__block_stays_live(block, use);/  return (use \& ZCMEM__STATE) == ZCMEM__LIVE;/:places, and the block comes again for less:a thorough translation looks at the state only before the slack
heap_use.c:s/  return zcmem__block_stays_live(block, use);/  return zcmem__block_state(block) == ZCMEM__LIVE;/:place against the alloc of a kept block:a thorough translation looks at the state only behind the slack
heap_use.c:s/!stays || //:look-ups, and the block comes again for less:a look-up looks at the state only before the slack
heap_use.c:s/ || ZCMEM__GET(block->tag) != found.tag//:look-up of a tag, and the block comes again for less:a look-up does not look at the tag again
use.h>use.c transfer.c handle.c:s/ZCMEM__GET(block->tag) != \*tag/false/:handles, free against write:a transfer by a handle goes by the address alone
use.h>use.c transfer.c handle.c:s/ || other ||/ ||/;s/^  \*held = block;$/  if (other) { return zcmem__use_take_back(region, block); } &/:handles, write and a free of the next block:a transfer by a handle counts its use before it looks at the tag
region.c:s/tag == NULL || zcmem__region_has(region, addr, \*tag)/true/:handles, free against write:a transfer by a handle that takes the lock does not look at the tag
tags.c:/^static enum zcmem_status set_locked/,/^}/s/zcmem__atomic_changed*(&region->version);//:look-up against a tag:a tag is set within one version
map.c:s/return zcmem__atomic_same(&entry->state, version);/return true;/:map against back translation:a look-up among mappings does not look at the entry again
'

# Only the files that a change is compiled in are compiled; all else comes from the libraries. More arguments: objects.
compile() {
  # shellcheck disable=SC2046
  $CC -std=c11 -O1 -w -I "$source_root/include" $(pkg-config --cflags cmocka) "$@"
}
link() {
  program=$1
  shift
  # shellcheck disable=SC2046
  $CC ${LINK_ARGS:-} -o "$program" "$@" test_explore.o -Wl,--start-group "$explorer" "$explored" -Wl,--end-group -pthread \
    $(pkg-config --libs cmocka)
}

# try <number> <header>>]<files> <change> <scenario> <what that comes to> <how to compile...>: 0 where it is found.
try() {
  dir=$1 files=${2#*>} changed=${2%>*} change=$3 scenario=$4 what=$5
  shift 5
  cp -r "$source_root/src" "$dir"
  sed "$change" "$source_root/src/$changed" >"$dir/$changed"
  cmp -s "$dir/$changed" "$source_root/src/$changed" && fail "nothing was changed in $changed: $what"
  for file in $files; do
    compile "$@" -fsanitize=thread -c "$dir/$file" -o "$dir/$file.o" || fail "does not compile: $what"
  done
  link "$dir/test_explore" "$dir"/*.o || fail "does not link: $what"
  status=0
  ZCMEM_TEST_BOUND=3 ZCMEM_TEST_SCENARIO=$scenario timeout 200 "$dir/test_explore" >"$dir/log" 2>&1 || status=$?
  grep -q 'no scenario has such a name' "$dir/log" && fail "no scenario is named *$scenario*"
  [ $status -ne 124 ] || fail "'$scenario' comes to no end, where $what"
  [ $status -ne 0 ] || fail "'$scenario' does not notice that $what"
  grep -q -e 'to repeat it' -e 'one operation after the other' "$dir/log" || {
    cat "$dir/log"
    fail "no schedule is named for what '$scenario' finds"
  }
  echo "$what:"
  grep -m 1 '^ERROR: ' "$dir/log" || tail -n 3 "$dir/log"
  rm -r "$dir"
}

compile -c "$source_root/tests/test_explore.c" -o test_explore.o || fail "the explorer does not compile"
link test_explore || fail "the explorer does not link"
ZCMEM_TEST_BOUND=1 timeout 200 ./test_explore >log 2>&1 || {
  cat log
  fail "a scenario fails without any change"
}

# As many at a time as may be.
jobs=${ZCMEM_TEST_JOBS:-2} mutants=0
echo "$changes" | sed '/^$/d' >list
while IFS=: read -r files change scenario what; do
  mutants=$((mutants + 1))
  {
    try "$mutants" "$files" "$change" "$scenario" "$what" "$@" >"$mutants.log" 2>&1 && echo found >>found
  } &
  [ $((mutants % jobs)) -ne 0 ] || wait
done <list
wait
[ $mutants -gt 0 ] || fail "nothing was changed"
number=1
while [ $number -le $mutants ]; do
  cat "$number.log"
  number=$((number + 1))
done
found=$(wc -l <found)
echo "$found of $mutants changes are found, one at a time"
[ "$found" -eq $mutants ]
