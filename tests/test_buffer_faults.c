/* SPDX-License-Identifier: MIT */
/*
 * The life of a buffer, told over and over with the n-th lock or the n-th callback failing, until none is left to
 * fail. Each call must answer the fault, leave what its header says, and nothing may leak but what it names.
 */
#include "buffer_fixture.h"

enum { SIZE = 300 };

struct story {
  uint32_t source; /* where the bytes come from; USE over a block of the region if `over`, else over malloc memory */
  int way;
  bool over;
  bool late; /* the buffer is released within its view */
};

static struct {
  unsigned *in;   /* where fake.c counts down to the fault, while a call runs that may fail */
  unsigned after; /* calls of the lock, or callbacks, from now on; 0: it has struck */
  enum zcmem_status status;
} fault;

/* What the fault was allowed to leave behind. */
static struct {
  bool block; /* in use for good */
  bool view;  /* open for good */
} left;

/* Whether a call failed: that is, whether the fault struck in it. */
static bool failed(enum zcmem_status got) {
  bool struck = fault.after > 0 && *fault.in == 0;
  fault.after = *fault.in;
  *fault.in = 0;
  assert_status(got, struck ? fault.status : ZCMEM_OK);
  return struck;
}
#define FAILS(call) (*fault.in = fault.after, failed(call))

static bool can_map(const struct story *story) {
  return (story->source & USE) != 0 || (story->way != FAKE_READ_WRITE && story->way != FAKE_NOTHING);
}

static zcmem_buffer_t make(const struct story *story, void *host) {
  bool needs = (story->source & (USE | ZCMEM_BUFFER_COPY_HOST)) != 0;
  zcmem_buffer_t buffer = 77;
  uint64_t live = stats_of(story->way).live;
  if (FAILS(try_create(RW | story->source, story->way, needs ? host : NULL, SIZE, &buffer))) {
    assert_int_equal(buffer, 77);
    assert_int_equal(counters().buffers, 0);
    assert_int_equal(counters().bytes_copied_in, 0);
    /* A lock that fails after a copy leaves the block in use, as after any transfer. */
    left.block = stats_of(story->way).live > live;
    assert_false(left.block && (fault.status != ZCMEM_ELOCK || (story->source & ZCMEM_BUFFER_COPY_HOST) == 0));
    assert_ok(try_create(RW | story->source, story->way, needs ? host : NULL, SIZE, &buffer));
  }
  assert_int_equal(counters().buffers, 1);
  return buffer;
}

static struct zcmem_view open_one(zcmem_buffer_t buffer, bool of_host) {
  struct zcmem_view view = {.id = 77};
  zcmem_buffer_t other = 77;
  if (FAILS(of_host ? zcmem_buffer_map(buffers, buffer, 10, 200, MAP_RW, &other, &view)
                    : zcmem_buffer_begin(buffers, buffer, 10, 200, RW, &other, &view))) {
    assert_int_equal(view.id, 77);
    assert_int_equal(counters().views, 0);
    assert_int_equal(counters().maps, 0);
    assert_int_equal(counters().begins, of_host ? 1 : 0);
    assert_ok(of_host ? zcmem_buffer_map(buffers, buffer, 10, 200, MAP_RW, &other, &view)
                      : zcmem_buffer_begin(buffers, buffer, 10, 200, RW, &other, &view));
  }
  assert_int_equal(other, 77);
  assert_int_equal(counters().views, 1);
  return view;
}

static void close_one(const struct story *story, struct zcmem_view view, bool of_host) {
  uint64_t live = stats_of(story->way).live;
  if (!FAILS(of_host ? zcmem_buffer_unmap(buffers, view.id) : zcmem_buffer_end(buffers, view.id))) {
    return;
  }
  enum zcmem_status again = of_host ? zcmem_buffer_unmap(buffers, view.id) : zcmem_buffer_end(buffers, view.id);
  if (fault.status == ZCMEM_EIO) {
    assert_status(again, ZCMEM_ENOENT); /* closed all the same */
    assert_int_equal(counters().views, 0);
    return;
  }
  assert_true(again == ZCMEM_OK || again == ZCMEM_ENOENT); /* nothing had happened; or too much */
  if (again == ZCMEM_OK || counters().views == 0) {
    assert_int_equal(counters().views, 0);
    if (again == ZCMEM_ENOENT && of_host && zcmem_mem_unmap(hal, view.host) == ZCMEM_ENOTMAPPED) {
      left.block = true; /* the lock failed after the driver had let go; else the mapping was as it was */
    } else if (again == ZCMEM_ENOENT && !of_host) {
      left.block = story->late && stats_of(story->way).live == live; /* it should have gone with the view */
      assert_true(left.block);
    }
    return;
  }
  left.view = true;
  assert_int_equal(counters().views, 1);
}

static void let_go(const struct story *story, zcmem_buffer_t buffer, bool last) {
  struct zcmem_buffer_info info;
  uint64_t live = stats_of(story->way).live;
  if (FAILS(zcmem_buffer_release(buffers, buffer))) {
    if (zcmem_buffer_get_info(buffers, buffer, &info) == ZCMEM_OK) {
      assert_int_equal(stats_of(story->way).live, live); /* nothing had happened */
      assert_ok(zcmem_buffer_release(buffers, buffer));
    } else {
      assert_true(last && fault.status == ZCMEM_ELOCK);
      left.block = true;
    }
  }
  assert_status(zcmem_buffer_get_info(buffers, buffer, &info), ZCMEM_ENOENT);
}

static void tell_of_references(const struct story *story, void *host) {
  zcmem_buffer_t buffer = make(story, host), part = 77;
  if (FAILS(zcmem_buffer_create_sub(buffers, buffer, 0, 50, 200, &part))) {
    assert_int_equal(part, 77);
    assert_int_equal(counters().buffers, 1);
    assert_ok(zcmem_buffer_create_sub(buffers, buffer, 0, 50, 200, &part));
  }
  if (FAILS(zcmem_buffer_retain(buffers, part))) {
    assert_int_equal(info_of(part).references, 1);
    assert_ok(zcmem_buffer_retain(buffers, part));
  }
  assert_int_equal(info_of(part).references, 2);
  assert_ok(zcmem_buffer_release(buffers, part));
  let_go(story, buffer, false); /* the part keeps the memory */
  let_go(story, part, true);
}

/* create ... begin ... end ... map ... unmap ... release */
static void tell_of_views(const struct story *story, void *host) {
  zcmem_buffer_t buffer = make(story, host);
  struct zcmem_view view = open_one(buffer, false), none = {.id = 77};
  if (story->late) {
    let_go(story, buffer, false);
    close_one(story, view, false);
    assert_int_equal(counters().buffers, left.view ? 1 : 0);
    return;
  }
  close_one(story, view, false);
  if (left.view) {
    if ((story->source & ZCMEM_BUFFER_ALIAS) == 0) { /* nobody else may have the bytes any more */
      assert_status(zcmem_buffer_begin(buffers, buffer, 0, 100, WRITE, NULL, &none), ZCMEM_EOVERLAP);
    }
  } else if (can_map(story)) {
    view = open_one(buffer, true);
    close_one(story, view, true);
  }
  let_go(story, buffer, true);
}

/* Tells it with the n-th fault. Answers whether there was one to strike. */
static bool tell(const struct story *story, void (*story_of)(const struct story *, void *), unsigned n) {
  static unsigned char mine[SIZE];
  struct fake_region *region = &regions[story->way];
  unsigned char *host = mine;
  hal_addr_t block = 0;
  open_hal(BOUNCE);
  open_table(BUFFERS, VIEWS);
  if (story->over) {
    block = alloc(story->way, SIZE);
    host = (region->view != NULL ? region->view : region->memory) + (size_t)(block - region->base);
  }
  left.block = left.view = false;
  fault.after = n;
  story_of(story, host);
  bool struck = fault.after == 0;
  fault.after = 0;
  assert_int_equal(counters().buffers, left.view ? 1 : 0);
  assert_int_equal(counters().views, left.view ? 1 : 0);
  assert_int_equal(close_table(), left.view ? 1 : 0);
  assert_true(struck || (!left.block && !left.view));
  if (story->over) {
    assert_status(zcmem_mem_free(hal, block), left.block ? ZCMEM_EBUSY : ZCMEM_OK);
  }
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), left.block ? 1 : 0);
  for (int way = 0; way < FAKE_WAYS; way++) {
    fake_region_close(&regions[way]);
  }
  assert_int_equal(fake.locks_held, 0);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  return struck;
}

/* Every story there is, with each fault; answers how many struck. */
static unsigned tell_all(void (*story_of)(const struct story *, void *), unsigned *in, enum zcmem_status status) {
  static const uint32_t sources[] = {0, ZCMEM_BUFFER_COPY_HOST, ZCMEM_BUFFER_ALLOC_HOST, USE, USE | ZCMEM_BUFFER_ALIAS};
  unsigned faults = 0;
  fault.in = in;
  fault.status = status;
  for (int way = FAKE_HOST; way < FAKE_WAYS; way++) {
    for (int i = 0; i < 5; i++) {
      for (unsigned variant = 0; variant < 4; variant++) {
        struct story story = {.source = sources[i], .way = way, .over = variant / 2 != 0, .late = variant % 2 != 0};
        if ((way == FAKE_NOTHING && sources[i] != 0) ||
            (story.over && ((sources[i] & USE) == 0 || way > FAKE_CACHED)) ||
            (sources[i] == ZCMEM_BUFFER_ALLOC_HOST && way == FAKE_READ_WRITE)) {
          continue;
        }
        for (unsigned n = 1; tell(&story, story_of, n); n++) {
          faults++;
        }
      }
    }
  }
  return faults;
}

static void test_each_lock_fails_once(void **state) {
  (void)state;
  assert_true(tell_all(tell_of_references, &fake.fail_lock_in, ZCMEM_ELOCK) > 100);
  assert_true(tell_all(tell_of_views, &fake.fail_lock_in, ZCMEM_ELOCK) > 100);
}

static void test_each_callback_fails_once(void **state) {
  (void)state;
  assert_true(tell_all(tell_of_references, &fake.fail_callback_in, ZCMEM_EIO) > 5);
  assert_true(tell_all(tell_of_views, &fake.fail_callback_in, ZCMEM_EIO) > 50);
}

/* Of a copy in that fails half way, the bytes that an open view has brought in are still there for others. */
static void test_a_begin_that_fails_beside_an_open_view(void **state) {
  unsigned char host[400];
  struct zcmem_view none = {.id = 77};
  (void)state;
  memset(host, 1, sizeof host);
  zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, sizeof host);
  struct zcmem_view first = begin(buffer, 100, 100, READ);
  fake.fail_callback_in = 2; /* 0 ... 99 goes well, then comes 200 ... 399 */
  assert_status(zcmem_buffer_begin(buffers, buffer, 0, 400, READ, NULL, &none), ZCMEM_EIO);
  assert_int_equal(counters().views, 1);
  assert_int_equal(counters().begins, 1);
  struct zcmem_view again = begin(buffer, 0, 400, READ);
  assert_memory_equal(fake_at(&regions[FAKE_OPS], again.addr), host, sizeof host);
  end(again);
  end(first);
  release(buffer);
}

/* What has failed is over: the bytes of a shadow may be taken by the next one. */
static void test_an_end_that_fails_frees_the_bytes(void **state) {
  unsigned char host[100];
  (void)state;
  zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, sizeof host);
  struct zcmem_view view = begin(buffer, 0, 100, WRITE);
  memset(host, 1, sizeof host);
  fake.fail_callback_in = 1;
  assert_status(zcmem_buffer_end(buffers, view.id), ZCMEM_EIO);
  assert_status(zcmem_buffer_end(buffers, view.id), ZCMEM_ENOENT);
  assert_int_equal(counters().bytes_copied_out, 0);
  end(begin(buffer, 0, 100, WRITE));
  assert_int_equal(counters().bytes_copied_out, 100);
  release(buffer);
}

/* ----------------------------------------------------------------------------- calls in the middle of a call -- */

/* What a callback finds: a view that another one is just opening or ending. */
struct middle {
  zcmem_buffer_t buffer, part;
  zcmem_view_t view; /* 0: it has no number yet */
  bool seen;
};

static void look_from_inside(void *arg) {
  struct middle *middle = arg;
  struct zcmem_view none = {.id = 77};
  zcmem_buffer_t other = 0;
  hal_addr_t addr = info_of(middle->buffer).addr;
  assert_int_equal(info_of(middle->buffer).views, 1);
  assert_int_equal(counters().views, 1);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_EBUSY);
  assert_status(zcmem_buffer_begin(buffers, middle->part, 0, 50, WRITE, &other, &none), ZCMEM_EOVERLAP);
  assert_int_equal(other, middle->buffer);
  if (middle->view != 0) { /* just ending: nobody else may end it, nor have its bytes */
    assert_status(zcmem_buffer_end(buffers, middle->view), ZCMEM_ENOENT);
    assert_status(zcmem_buffer_begin(buffers, middle->part, 0, 50, READ, &other, &none), ZCMEM_EOVERLAP);
  } else { /* just coming in: the bytes are not there yet */
    assert_status(zcmem_buffer_begin(buffers, middle->part, 0, 50, READ, &other, &none), ZCMEM_EBUSY);
    assert_status(zcmem_buffer_end(buffers, 1), ZCMEM_ENOENT);
  }
  assert_int_equal(none.id, 77);
  end(begin(middle->part, 50, 10, RW)); /* others are free */
  assert_int_equal(counters().views, 1);
  middle->seen = true;
}

static void test_what_others_see_in_the_middle(void **state) {
  unsigned char host[100];
  (void)state;
  memset(host, 1, sizeof host);
  struct middle middle = {.buffer = create(RW | USE, FAKE_OPS, host, sizeof host)};
  middle.part = create_sub(middle.buffer, 0, 0, 100);
  regions[FAKE_OPS].arg = &middle;
  regions[FAKE_OPS].inside = look_from_inside;
  end(begin(middle.buffer, 0, 50, READ));
  assert_true(middle.seen);
  middle.seen = false;
  struct zcmem_view view = begin(middle.buffer, 0, 50, RW);
  middle.view = view.id;
  regions[FAKE_OPS].inside = look_from_inside;
  end(view);
  assert_true(middle.seen);
  end(begin(middle.part, 0, 100, RW));
  release(middle.part);
  release(middle.buffer);
}

static void release_from_inside(void *arg) {
  release(*(zcmem_buffer_t *)arg);
}

/* The last release comes while the bytes move: what the buffer is made of waits for the view. */
static void test_a_release_in_the_middle(void **state) {
  unsigned char host[100];
  (void)state;
  for (int at_end = 0; at_end < 2; at_end++) {
    memset(host, 1, sizeof host);
    zcmem_buffer_t buffer = create(RW | USE, FAKE_OPS, host, sizeof host);
    struct zcmem_view view = {0};
    regions[FAKE_OPS].arg = &buffer;
    if (at_end == 0) {
      regions[FAKE_OPS].inside = release_from_inside;
    }
    assert_ok(zcmem_buffer_begin(buffers, buffer, 0, 100, RW, NULL, &view));
    memset(fake_at(&regions[FAKE_OPS], view.addr), 2, 100);
    if (at_end != 0) {
      regions[FAKE_OPS].inside = release_from_inside;
    }
    end(view);
    assert_int_equal(host[99], 2);
    assert_int_equal(counters().buffers, 0);
    assert_int_equal(stats_of(FAKE_OPS).live, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each_lock_fails_once),
      cmocka_unit_test(test_each_callback_fails_once),
      TABLE_TEST(test_a_begin_that_fails_beside_an_open_view),
      TABLE_TEST(test_an_end_that_fails_frees_the_bytes),
      TABLE_TEST(test_what_others_see_in_the_middle),
      TABLE_TEST(test_a_release_in_the_middle),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
