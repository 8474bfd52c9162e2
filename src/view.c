/* SPDX-License-Identifier: MIT */
/*
 * Views: opening and ending them, and what it takes to make their bytes visible.
 */
#include "view_sets.h"

_Static_assert(ZCMEM_MAP_READ == ZCMEM_BUFFER_READ && ZCMEM_MAP_WRITE == ZCMEM_BUFFER_WRITE, "a mode is a mode");

#define KNOWN_MAP_FLAGS (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)

/* What is asked for, and what was found of the buffer. */
struct wish {
  zcmem_buffer_t buffer;
  hal_size_t offset;
  hal_size_t size;
  uint32_t mode; /* 0: the buffer's */
  bool of_host;
};

static zcmem_view_t number_of(const struct zcmem_buffers *buffers, const struct zcmem__view *view) {
  return (zcmem_view_t)view->generation << 32 | (uint32_t)(view - buffers->views + 1);
}

static bool writes(const struct zcmem__view *view) {
  return (view->mode & ZCMEM_BUFFER_WRITE) != 0;
}

static struct zcmem__buffer *buffer_of(const struct zcmem_buffers *buffers, const struct zcmem__view *view) {
  return &buffers->buffers[view->buffer];
}

/* Where the host sees the view's first byte (or its original, for a shadow), or NULL. */
static unsigned char *host_of(const struct zcmem__buffer *buffer, const struct zcmem__view *view) {
  return buffer->host == NULL ? NULL : buffer->host + (size_t)(view->device.first - buffer->addr);
}

/* ---------------------------------------------------------------------------------------- with the lock held -- */

static void set_range(struct zcmem__interval *interval, uint64_t first, hal_size_t size, bool exclusive) {
  interval->first = first;
  interval->last = first + (size - 1);
  interval->exclusive = exclusive;
}

/* Opens a view that is in no state yet. */
static enum zcmem_status enter(struct zcmem_buffers *buffers, const struct wish *wish, zcmem_buffer_t *other,
                               struct zcmem__view **view) {
  struct zcmem__buffer *buffer = zcmem__buffer_find(buffers, wish->buffer);
  if (buffer == NULL) {
    return ZCMEM_ENOENT;
  }
  uint32_t mode = wish->mode != 0 ? wish->mode : buffer->flags & ZCMEM__BUFFER_MODE;
  if (!wish->of_host && (mode & ~buffer->flags) != 0) {
    return ZCMEM_EINVAL;
  }
  if (wish->offset > buffer->size || wish->size > buffer->size - wish->offset) {
    return ZCMEM_EBOUNDS;
  }
  if (!wish->of_host && !buffer->shadow && (mode & ZCMEM_BUFFER_WRITE) != 0 &&
      !zcmem__buffer_owns_lines(buffer, buffer->addr + wish->offset, wish->size)) {
    return ZCMEM_EINVAL;
  }
  if (buffers->unused_view == ZCMEM__NO_SLOT) {
    return ZCMEM_ENOMEM;
  }
  struct zcmem__view *made = &buffers->views[buffers->unused_view];
  bool exclusive = (mode & ZCMEM_BUFFER_WRITE) != 0;
  set_range(&made->device, buffer->addr + wish->offset, wish->size, exclusive);
  if (buffer->shadow) {
    set_range(&made->host, (uintptr_t)host_of(buffer, made), wish->size, exclusive);
    set_range(&made->shadow, made->device.first, wish->size, exclusive);
  }
  made->mode = mode;
  made->of_host = wish->of_host;
  made->in_sets = (buffer->flags & ZCMEM_BUFFER_ALIAS) == 0;
  made->filled = (mode & ZCMEM_BUFFER_READ) == 0;
  struct zcmem__view *excluder = made->in_sets ? zcmem__view_excluder(buffers, buffer, made) : NULL;
  if (excluder != NULL) {
    buffers->stats.refused_overlap++;
    if (other != NULL) {
      *other = zcmem__buffer_number(buffers, excluder->buffer);
    }
    return ZCMEM_EOVERLAP;
  }
  if (zcmem__view_is_being_filled(buffers, buffer, made)) {
    return ZCMEM_EBUSY;
  }
  zcmem__view_join(buffers, buffer, made);
  buffers->unused_view = made->next;
  made->buffer = (uint32_t)(buffer - buffers->buffers);
  made->mapped = NULL;
  buffer->uses++;
  buffer->views++;
  buffers->stats.views++;
  *view = made;
  return ZCMEM_OK;
}

/* Closes a view. */
static struct zcmem__buffer_rest leave(struct zcmem_buffers *buffers, struct zcmem__view *view) {
  struct zcmem__buffer *buffer = buffer_of(buffers, view);
  zcmem__view_leave(buffers, buffer, view);
  view->generation++;
  view->next = buffers->unused_view;
  buffers->unused_view = (uint32_t)(view - buffers->views);
  zcmem__atomic_publish(&view->state, ZCMEM__VIEW_UNUSED);
  buffer->views--;
  buffers->stats.views--;
  return zcmem__buffer_unuse(buffers, view->buffer);
}

/* What is added to a counter: a count that is taken back wraps. */
enum { COUNT = 1, TAKE_BACK = -1 };

/* That a copy was not needed: of memory that a shadow would have had to copy. */
static void count_avoided(struct zcmem_buffers *buffers, const struct zcmem__view *view, uint32_t mode, int by) {
  const struct zcmem__buffer *buffer = buffer_of(buffers, view);
  if (!view->of_host && !buffer->shadow && (buffer->flags & ZCMEM_BUFFER_USE_HOST) != 0 && (view->mode & mode) != 0) {
    buffers->stats.copies_avoided += (uint64_t)by;
    buffers->stats.bytes_avoided += (uint64_t)by * zcmem__view_size(view);
  }
}

/* Counts what has succeeded, or will; `close_view` takes it back where it did not. */
static void count_opened(struct zcmem_buffers *buffers, const struct zcmem__view *view, int by) {
  *(view->of_host ? &buffers->stats.maps : &buffers->stats.begins) += (uint64_t)by;
  count_avoided(buffers, view, ZCMEM_BUFFER_READ, by);
}

static void count_ended(struct zcmem_buffers *buffers, const struct zcmem__view *view) {
  count_avoided(buffers, view, ZCMEM_BUFFER_WRITE, COUNT);
}

/* Takes the lock and closes a view: one that was opened in vain, or one whose end had work. ELOCK: it stays open. */
static enum zcmem_status close_view(struct zcmem_buffers *buffers, struct zcmem__view *view, bool ended,
                                    enum zcmem_status status) {
  enum zcmem_status locked = zcmem__lock_take(&buffers->lock);
  if (locked != ZCMEM_OK) {
    return locked;
  }
  const struct zcmem__buffer *buffer = buffer_of(buffers, view);
  if (!ended) {
    count_opened(buffers, view, TAKE_BACK);
  } else if (status == ZCMEM_OK && buffer->shadow && !view->of_host) {
    buffers->stats.bytes_copied_out += zcmem__view_size(view);
  } else {
    count_ended(buffers, view);
  }
  struct zcmem__buffer_rest rest = leave(buffers, view);
  zcmem__lock_drop(&buffers->lock);
  enum zcmem_status finished = zcmem__buffer_finish(&rest);
  return finished == ZCMEM_OK ? status : finished;
}

/* ------------------------------------------------------------------------------- without it: copies, callbacks -- */

/*
 * The next part of what the view is to bring in, behind *done bytes: *done ... *done + *step - 1; *step is 0 where all
 * is there, and then the view counts as filled. What another open view of the same shadow covers is there already, and
 * may be in use: it is not written again. Also counts `copied` bytes, since it has the lock.
 */
static enum zcmem_status next_gap(struct zcmem_buffers *buffers, struct zcmem__view *view, hal_size_t copied,
                                  hal_size_t *done, hal_size_t *step) {
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  buffers->stats.bytes_copied_in += copied;
  *step = zcmem__view_find_gap(buffers, view, done);
  if (*step == 0) {
    zcmem__view_set_filled(buffers, view);
  }
  zcmem__lock_drop(&buffers->lock);
  return ZCMEM_OK;
}

/* Copies in what the device is going to read of a shadow. */
static enum zcmem_status bring_in(struct zcmem_buffers *buffers, struct zcmem__view *view) {
  const struct zcmem__buffer *buffer = buffer_of(buffers, view);
  const unsigned char *host = host_of(buffer, view);
  enum zcmem_status status = ZCMEM_OK;
  for (hal_size_t done = 0, step = 0; status == ZCMEM_OK; done += step) {
    status = next_gap(buffers, view, step, &done, &step);
    if (status != ZCMEM_OK || step == 0) {
      break;
    }
    status = zcmem__move_write(buffer->region, view->device.first + done, host + (size_t)done, step);
  }
  return status;
}

/* Whether begin, or end, has something to do without the lock. */
static bool has_work(const struct zcmem__buffer *buffer, const struct zcmem__view *view, bool at_end) {
  if (view->of_host) {
    return view->mapped != NULL || (!at_end && buffer->host == NULL);
  }
  if (buffer->shadow) {
    return (view->mode & (at_end ? ZCMEM_BUFFER_WRITE : ZCMEM_BUFFER_READ)) != 0;
  }
  return buffer->host != NULL && (buffer->region->flags & ZCMEM_REGION_COHERENT) == 0 && (!at_end || writes(view));
}

/* What comes before the device may look. The flush also before a mere write: no line may be written back later on. */
static enum zcmem_status prepare(struct zcmem_buffers *buffers, struct zcmem__view *view) {
  const struct zcmem__buffer *buffer = buffer_of(buffers, view);
  if (view->of_host) {
    return zcmem_mem_map(buffers->hal, view->device.first, zcmem__view_size(view), view->mode, &view->mapped);
  }
  if (buffer->shadow) {
    return bring_in(buffers, view);
  }
  return zcmem__move_flush(buffer->region, view->device.first, zcmem__view_size(view), host_of(buffer, view));
}

/* What comes after. */
static enum zcmem_status conclude(const struct zcmem_buffers *buffers, const struct zcmem__view *view) {
  const struct zcmem__buffer *buffer = buffer_of(buffers, view);
  if (view->of_host) {
    return zcmem_mem_unmap(buffers->hal, view->mapped);
  }
  unsigned char *host = host_of(buffer, view);
  if (buffer->shadow) {
    return zcmem__move_read(buffer->region, host, view->device.first, zcmem__view_size(view));
  }
  return zcmem__move_invalidate(buffer->region, view->device.first, zcmem__view_size(view), host);
}

/* --------------------------------------------------------------------------------------------------- the calls -- */

static enum zcmem_status open_view(struct zcmem_buffers *buffers, const struct wish *wish, zcmem_buffer_t *other,
                                   struct zcmem_view *out) {
  struct zcmem__view *view = NULL;
  struct zcmem_view told = {0};
  if (buffers == NULL || out == NULL || wish->size == 0) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  status = enter(buffers, wish, other, &view);
  bool work = status == ZCMEM_OK && has_work(buffer_of(buffers, view), view, false);
  if (status == ZCMEM_OK) {
    zcmem__atomic_publish(&view->state, work ? ZCMEM__VIEW_COPYING : ZCMEM__VIEW_OPEN);
    count_opened(buffers, view, COUNT);
    /* Here, since one that is open may be ended by whoever guesses its number. */
    told =
        (struct zcmem_view){.id = number_of(buffers, view), .addr = view->device.first, .size = zcmem__view_size(view)};
    told.host = wish->of_host ? host_of(buffer_of(buffers, view), view) : NULL;
  }
  zcmem__lock_drop(&buffers->lock);
  if (work) {
    status = prepare(buffers, view);
    if (status != ZCMEM_OK) {
      return close_view(buffers, view, false, status);
    }
    if (wish->of_host) {
      told.host = view->mapped;
    }
    zcmem__atomic_publish(&view->state, ZCMEM__VIEW_OPEN);
  }
  if (status == ZCMEM_OK) {
    *out = told;
  }
  return status;
}

enum zcmem_status zcmem_buffer_begin(struct zcmem_buffers *buffers, zcmem_buffer_t buffer, hal_size_t offset,
                                     hal_size_t size, uint32_t mode, zcmem_buffer_t *other, struct zcmem_view *view) {
  struct wish wish = {.buffer = buffer, .offset = offset, .size = size, .mode = mode, .of_host = false};
  return (mode & ~ZCMEM__BUFFER_MODE) != 0 ? ZCMEM_EINVAL : open_view(buffers, &wish, other, view);
}

enum zcmem_status zcmem_buffer_map(struct zcmem_buffers *buffers, zcmem_buffer_t buffer, hal_size_t offset,
                                   hal_size_t size, unsigned flags, zcmem_buffer_t *other, struct zcmem_view *view) {
  struct wish wish = {.buffer = buffer, .offset = offset, .size = size, .mode = flags, .of_host = true};
  return flags == 0 || (flags & ~KNOWN_MAP_FLAGS) != 0 ? ZCMEM_EINVAL : open_view(buffers, &wish, other, view);
}

/* With the lock held: the open view of that number and side, or NULL. */
static struct zcmem__view *find(const struct zcmem_buffers *buffers, zcmem_view_t number, bool of_host) {
  uint32_t slot = (uint32_t)number - 1u;
  if (slot >= buffers->max_views) {
    return NULL;
  }
  struct zcmem__view *view = &buffers->views[slot];
  return view->generation == (uint32_t)(number >> 32) && zcmem__atomic_acquire(&view->state) == ZCMEM__VIEW_OPEN &&
                 view->of_host == of_host
             ? view
             : NULL;
}

static enum zcmem_status end_view(struct zcmem_buffers *buffers, zcmem_view_t number, bool of_host) {
  struct zcmem__buffer_rest rest = {.region = NULL};
  if (buffers == NULL) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = zcmem__lock_take(&buffers->lock);
  if (status != ZCMEM_OK) {
    return status;
  }
  struct zcmem__view *view = find(buffers, number, of_host);
  bool work = view != NULL && has_work(buffer_of(buffers, view), view, true);
  if (work) {
    zcmem__atomic_publish(&view->state, ZCMEM__VIEW_ENDING);
  } else if (view != NULL) {
    count_ended(buffers, view);
    rest = leave(buffers, view);
  }
  zcmem__lock_drop(&buffers->lock);
  if (view == NULL) {
    return ZCMEM_ENOENT;
  }
  return work ? close_view(buffers, view, true, conclude(buffers, view)) : zcmem__buffer_finish(&rest);
}

enum zcmem_status zcmem_buffer_end(struct zcmem_buffers *buffers, zcmem_view_t view) {
  return end_view(buffers, view, false);
}

enum zcmem_status zcmem_buffer_unmap(struct zcmem_buffers *buffers, zcmem_view_t view) {
  return end_view(buffers, view, true);
}
