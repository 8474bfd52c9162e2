/* SPDX-License-Identifier: MIT */
/*
 * A free without the lock (zcmem__magazines_free) against threads that free the block, too, and make others of its
 * descriptor (src/magazine.h, src/use.c): whoever claims has the block whose size it read.
 *
 * Each of these must end with an error:
 *   NO_GENERATION  the claim goes by the state alone
 *   NO_SWAP        looks at the state, then stores
 */
mtype = { LIVE, FREE, CACHED };

mtype state = LIVE;
byte generation, size = 2;
byte frees[2]; /* of each block that the descriptor stood for, by who thinks that it freed it */

/* Without the lock. One that begins when there is a new block frees that one, as if it had come after its making. */
proctype claim() {
  byte seen, its;
  bool won;
  d_step { /* life is one word */
    seen = generation;
    won = (state == LIVE)
  }
  its = size;
  if
  :: won ->
#if defined(NO_SWAP)
     (state == LIVE) -> skip;
     state = CACHED;
#elif defined(NO_GENERATION)
     d_step {
       won = (state == LIVE);
       if
       :: won -> state = CACHED
       :: else
       fi
     }
#else
     d_step {
       won = (state == LIVE && generation == seen);
       if
       :: won -> state = CACHED
       :: else
       fi
     }
#endif
     if
     :: won ->
        assert(its == size); /* the ticket says what the block is */
        frees[seen]++;
        assert(frees[seen] <= 1)
     :: else
     fi
  :: else
  fi
}

/* With the lock: frees it as well, and makes a smaller one of the descriptor, which it keeps. */
proctype reuse() {
  bool won;
  d_step {
    won = (state == LIVE);
    if
    :: won -> state = FREE
    :: else
    fi
  }
  if
  :: won ->
     frees[0]++;
     assert(frees[0] <= 1);
     size = 1;
     generation++;
     state = LIVE
  :: else
  fi
}

init {
  atomic {
    run claim();
    run claim();
    run reuse()
  }
}
