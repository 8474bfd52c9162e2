/* SPDX-License-Identifier: MIT */
/* Views: which exclude each other, what begin and end copy, flush and invalidate; and what the device stores. */
#include "world.h"

#define MODE (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)

static uint32_t count_views(const struct world *w) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < WORLD_VIEWS; i++) {
    count += w->view[i].id != 0;
  }
  return count;
}

static bool same_bytes(uint64_t a, uint64_t a_size, uint64_t b, uint64_t b_size) {
  return a >= b ? a - b < b_size : b - a < a_size;
}

/* Whether it is the device's bytes that the view is of: the host's view of a shadow is of the original alone. */
static bool of_device(const struct world_buffer *b, const struct world_view *view) {
  return !(b->shadow && view->of_host);
}

static uintptr_t original(const struct world_buffer *b, const struct world_view *view) {
  return (uintptr_t)b->host + (size_t)(view->addr - b->addr);
}

static bool excludes(const struct world *w, const struct world_view *open, const struct world_view *wish) {
  const struct world_buffer *a = &w->buffer[open->buffer], *b = &w->buffer[wish->buffer];
  if (open->id == 0 || ((a->flags | b->flags) & ZCMEM_BUFFER_ALIAS) != 0 ||
      ((open->mode | wish->mode) & ZCMEM_BUFFER_WRITE) == 0) {
    return false;
  }
  return (of_device(a, open) && of_device(b, wish) && same_bytes(open->addr, open->size, wish->addr, wish->size)) ||
         (a->shadow && b->shadow && same_bytes(original(a, open), open->size, original(b, wish), wish->size));
}

/* Whether a buffer is one whose view excludes this one, or, NULL, whether any is. */
static bool excluded(const struct world *w, const struct world_view *wish, const zcmem_buffer_t *by) {
  for (uint32_t i = 0; i < WORLD_VIEWS; i++) {
    if (excludes(w, &w->view[i], wish) && (by == NULL || w->buffer[w->view[i].buffer].id == *by)) {
      return true;
    }
  }
  return false;
}

/* Brings in what no other view of the shadow has. */
static void bring_in(struct world *w, const struct world_buffer *b, const struct world_view *view) {
  const unsigned char *from = (const unsigned char *)original(b, view);
  for (hal_size_t i = 0; i < view->size; i++) {
    bool there = false;
    for (uint32_t k = 0; k < WORLD_VIEWS && !there; k++) {
      const struct world_view *at = &w->view[k];
      there = at->id != 0 && !at->of_host && w->buffer[at->buffer].shadow && view->addr + i - at->addr < at->size;
    }
    if (!there) {
      world_put(b->region, view->addr + i, from + i, 1);
      w->buffer_bytes_in++;
    }
  }
}

/* What a begin that failed has left: any of its bytes may have been brought in. */
static void undo_begin(struct world *w, const struct world_buffer *b, const struct world_view *view) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  if (b->shadow) {
    world_adopt(b->region, view->addr, (size_t)view->size);
    assert_ok(zcmem_buffers_get_stats(w->buffers, &stats));
    assert_true(stats.bytes_copied_in - w->buffer_bytes_in < view->size);
    w->buffer_bytes_in = stats.bytes_copied_in;
  }
}

static void begun(struct world *w, const struct world_buffer *b, const struct world_view *view) {
  if (b->shadow && (view->mode & ZCMEM_BUFFER_READ) != 0) {
    bring_in(w, b, view);
  } else if (!b->shadow && b->host != NULL && b->region->seen != NULL) { /* flushed */
    memcpy(world_want(b->region, view->addr), world_seen(b->region, view->addr), (size_t)view->size);
  }
}

/* The status of begin and map but for what is done without the lock; EINVAL of `mode` is the caller's. */
static enum zcmem_status wanted(const struct world *w, const struct world_buffer *b, hal_size_t offset,
                                const struct world_view *wish) {
  return b == NULL                                           ? ZCMEM_ENOENT
         : !wish->of_host && (wish->mode & ~b->flags) != 0   ? ZCMEM_EINVAL
         : offset > b->size || wish->size > b->size - offset ? ZCMEM_EBOUNDS
         : count_views(w) == w->max_views                    ? ZCMEM_ENOMEM
         : excluded(w, wish, NULL)                           ? ZCMEM_EOVERLAP
                                                             : ZCMEM_OK;
}

static void enter(struct world *w, struct world_buffer *b, const struct world_view *view) {
  for (uint32_t i = 0; i < WORLD_VIEWS; i++) {
    assert_true(w->view[i].id != view->id);
    if (w->view[i].id == 0) {
      w->view[i] = *view;
      b->uses++;
      b->views++;
      return;
    }
  }
  fail();
}

static void open_view(struct world *w, bool of_host) {
  zcmem_buffer_t id, other = 0;
  struct world_buffer *b = world_draw_buffer(w, &id);
  uint8_t how = fuzz_byte(w->in);
  uint32_t mode = how == 255 ? fuzz_byte(w->in) : how % 4u;
  hal_size_t whole = b == NULL ? 64 : b->size, offset = fuzz_below(w->in, whole + 2);
  struct world_view wish = {.mode = mode, .of_host = of_host};
  struct zcmem_view told = {0};
  wish.size = fuzz_size(w->in, 16, whole - (offset < whole ? offset : whole));
  if (b != NULL) {
    wish.buffer = (uint32_t)(b - w->buffer);
    wish.addr = b->addr + offset;
    wish.mode = mode == 0 ? b->flags & MODE : mode;
  }
  bool valid = wish.size > 0 && (mode & ~MODE) == 0 && !(of_host && mode == 0);
  enum zcmem_status want = valid ? wanted(w, b, offset, &wish) : ZCMEM_EINVAL;
  wish.mapped = want == ZCMEM_OK && of_host && b->host == NULL;
  if (wish.mapped) {
    want = world_map_wanted(w, wish.addr, wish.size, wish.mode);
  }
  world_begin(w);
  enum zcmem_status got = of_host ? zcmem_buffer_map(w->buffers, id, offset, wish.size, mode, &other, &told)
                                  : zcmem_buffer_begin(w->buffers, id, offset, wish.size, mode, &other, &told);
  if (world_struck(w)) {
    assert_ok(want);
    assert_status(got, ZCMEM_EIO);
    if (wish.mapped) {
      world_map_failed(w, wish.addr);
    } else {
      undo_begin(w, b, &wish);
    }
    return;
  }
  assert_status(got, want);
  assert_true(got == ZCMEM_EOVERLAP ? excluded(w, &wish, &other) : other == 0);
  if (got != ZCMEM_OK) {
    return;
  }
  assert_int_equal(told.addr, wish.addr);
  assert_int_equal(told.size, wish.size);
  wish.host = told.host;
  if (wish.mapped) {
    world_map_made(w, wish.addr, wish.size, wish.mode, told.host);
  } else {
    assert_ptr_equal(told.host, of_host ? (void *)original(b, &wish) : NULL);
  }
  if (!of_host) {
    begun(w, b, &wish);
  }
  wish.id = told.id;
  assert_true(told.id != 0);
  enter(w, b, &wish);
}

/* The view of a number of either side; NULL: none, with a number that may once have been one's. */
static struct world_view *draw_view(struct world *w, zcmem_view_t *id) {
  uint8_t which = fuzz_byte(w->in);
  uint32_t count = count_views(w), left = count == 0 ? 0 : which % count + 1;
  *id = 0;
  for (uint32_t i = 0; left > 0; i++) {
    left -= w->view[i].id != 0;
    *id = w->view[i].id;
  }
  *id = which >= 252 ? fuzz_word(w->in, 8) : *id + ((zcmem_view_t)(which >= 240) << 32);
  for (uint32_t i = 0; i < WORLD_VIEWS; i++) {
    if (w->view[i].id == *id && *id != 0) {
      return &w->view[i];
    }
  }
  return NULL;
}

static void ended(struct world *w, const struct world_buffer *b, const struct world_view *view, bool struck) {
  if ((view->mode & ZCMEM_BUFFER_WRITE) == 0) {
    return;
  }
  if (b->shadow) {
    unsigned char *at = (unsigned char *)original(b, view);
    const unsigned char *from = struck ? at : world_want(b->region, view->addr);
    memcpy(w->user_want + (at - w->user), from, (size_t)view->size);
    w->buffer_bytes_out += struck ? 0 : view->size;
  }
  if ((b->shadow || b->host != NULL) && !struck) {
    world_fetch(b->region, view->addr, (size_t)view->size);
  }
}

static void end_view(struct world *w, bool of_host) {
  zcmem_view_t id;
  struct world_view *found = draw_view(w, &id);
  struct world_mapping *mapping = NULL;
  enum zcmem_status want = found != NULL && found->of_host == of_host ? ZCMEM_OK : ZCMEM_ENOENT;
  if (want == ZCMEM_OK && found->mapped) {
    want = world_unmap_wanted(w, found->host, &mapping);
  }
  world_begin(w);
  enum zcmem_status got = of_host ? zcmem_buffer_unmap(w->buffers, id) : zcmem_buffer_end(w->buffers, id);
  bool struck = world_struck(w);
  assert_status(got, struck ? ZCMEM_EIO : want);
  if (found == NULL || found->of_host != of_host) {
    return;
  }
  struct world_view view = *found;
  struct world_buffer *b = &w->buffer[view.buffer];
  found->id = 0;
  world_unmap_done(mapping, struck);
  if (!of_host) {
    ended(w, b, &view, struck);
  }
  b->views--;
  world_buffer_unuse(w, b);
}

/* The device stores a byte in a view of its own. */
static void device_stores(struct world *w) {
  struct world_view *view = &w->view[fuzz_byte(w->in) % WORLD_VIEWS];
  uint8_t value = fuzz_byte(w->in);
  hal_size_t at = fuzz_below(w->in, view->size);
  if (view->id != 0 && !view->of_host && (view->mode & ZCMEM_BUFFER_WRITE) != 0) {
    struct world_region *r = w->buffer[view->buffer].region;
    *fake_at(&r->fake, view->addr + at) = value;
    *world_want(r, view->addr + at) = value;
  }
}

void world_call_view(struct world *w) {
  switch (fuzz_byte(w->in) % 8) {
  case 0:
  case 1:
    open_view(w, false);
    break;
  case 2:
    open_view(w, true);
    break;
  case 3:
  case 4:
    end_view(w, false);
    break;
  case 5:
    end_view(w, true);
    break;
  default:
    device_stores(w);
    break;
  }
}
