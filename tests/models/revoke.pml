/* SPDX-License-Identifier: MIT */
/*
 * How a thread enters its magazines, and how two others revoke them (src/barrier.h, src/magazine.c), with store buffers
 * of any length up to two: what a thread stores others may see later, in order. The barrier of who revokes empties them.
 *
 * Each of these must end with an error:
 *   NO_BARRIER  who revokes passes no barrier
 *   NO_WAIT     who revokes does not wait for the owner
 *   NO_COUNT    revoked is a flag, not a count
 */
bool busy, locked, inside, with_lock;
byte revoked;
chan buffer = [2] of { bool }; /* stores to busy that nobody sees yet */

proctype memory() {
  bool value;
end:
  do
  :: atomic { buffer?value -> busy = value }
  od
}

proctype owner() {
  byte turns = 0;
  do
  :: turns < 3 ->
     turns++;
     buffer!true;
     if
     :: revoked == 0 ->
        inside = true;
        assert(!with_lock);
        inside = false
     :: else
     fi;
     buffer!false
  :: turns == 3 -> break
  od
}

inline hold() {
  atomic { !locked -> locked = true }
}

inline let_go() {
  locked = false
}

/* Looks into the magazines, once before and once after others got at the lock. */
inline look() {
  with_lock = true;
  assert(!inside);
  with_lock = false
}

proctype revoker() {
  bool first, value;
  hold();
  d_step {
    first = (revoked == 0);
#ifdef NO_COUNT
    revoked = 1
#else
    revoked++
#endif
  }
  if
  :: first ->
#ifndef NO_BARRIER
     atomic {
       do
       :: buffer?value -> busy = value
       :: empty(buffer) -> break
       od
     }
#endif
#ifndef NO_WAIT
     !busy
#else
     skip
#endif
  :: else
  fi;
  look();
  let_go();
  hold();
  look();
#ifdef NO_COUNT
  revoked = 0;
#else
  revoked--;
#endif
  let_go()
}

init {
  atomic {
    run memory();
    run owner();
    run revoker();
    run revoker()
  }
}
