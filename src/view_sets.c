/* SPDX-License-Identifier: MIT */
#include "view_sets.h"

static struct zcmem__view *view_of(struct zcmem__interval *device) {
  return (struct zcmem__view *)(void *)((char *)device - offsetof(struct zcmem__view, device));
}

/* Whether it is the device's, of a shadow: one that may copy in, and out. */
static bool of_shadow(const struct zcmem__buffer *buffer, const struct zcmem__view *view) {
  return buffer->shadow && !view->of_host;
}

/* Whether it excludes others by device address, too: of a shadow the host sees and uses the original alone. */
static bool touches_device(const struct zcmem__buffer *buffer, const struct zcmem__view *view) {
  return !(buffer->shadow && view->of_host);
}

/*
 * The ranges that are there are exact and the one that is asked for is rounded to lines, so two that share a line are
 * found, whichever came first.
 */
struct zcmem__view *zcmem__view_excluder(const struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer,
                                         const struct zcmem__view *wanted) {
  hal_size_t mask = zcmem__region_line(buffer->region) - 1;
  bool only_writers = (wanted->mode & ZCMEM_BUFFER_WRITE) == 0;
  struct zcmem__interval *found = NULL;
  if (touches_device(buffer, wanted)) {
    found =
        zcmem__interval_find(&buffers->device, wanted->device.first & ~mask, wanted->device.last | mask, only_writers);
  }
  if (found != NULL) {
    return view_of(found);
  }
  if (buffer->shadow) {
    found = zcmem__interval_find(&buffers->host, wanted->host.first, wanted->host.last, only_writers);
  }
  return found == NULL ? NULL : (struct zcmem__view *)(void *)((char *)found - offsetof(struct zcmem__view, host));
}

bool zcmem__view_is_being_filled(const struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer,
                                 const struct zcmem__view *wanted) {
  hal_size_t mask = zcmem__region_line(buffer->region) - 1;
  return of_shadow(buffer, wanted) && (wanted->mode & ZCMEM_BUFFER_READ) != 0 &&
         zcmem__interval_find(&buffers->filling, wanted->device.first & ~mask, wanted->device.last | mask, false) !=
             NULL;
}

void zcmem__view_join(struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer, struct zcmem__view *view) {
  if (view->in_sets && touches_device(buffer, view)) {
    zcmem__interval_insert(&buffers->device, &view->device);
  }
  if (view->in_sets && buffer->shadow) {
    zcmem__interval_insert(&buffers->host, &view->host);
  }
  if (of_shadow(buffer, view)) {
    zcmem__interval_insert(view->filled ? &buffers->filled : &buffers->filling, &view->shadow);
  }
}

void zcmem__view_leave(struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer, struct zcmem__view *view) {
  if (view->in_sets && touches_device(buffer, view)) {
    zcmem__interval_remove(&buffers->device, &view->device);
  }
  if (view->in_sets && buffer->shadow) {
    zcmem__interval_remove(&buffers->host, &view->host);
  }
  if (of_shadow(buffer, view)) {
    zcmem__interval_remove(view->filled ? &buffers->filled : &buffers->filling, &view->shadow);
  }
}

hal_size_t zcmem__view_find_gap(const struct zcmem_buffers *buffers, const struct zcmem__view *view, hal_size_t *done) {
  hal_addr_t first = view->device.first, last = view->device.last;
  hal_size_t size = zcmem__view_size(view);
  while (*done < size) {
    const struct zcmem__interval *found = zcmem__interval_find(&buffers->filled, first + *done, last, false);
    if (found == NULL) {
      return size - *done;
    }
    if (found->first > first + *done) {
      return found->first - first - *done;
    }
    *done = (found->last < last ? found->last : last) - first + 1;
  }
  return 0;
}

void zcmem__view_set_filled(struct zcmem_buffers *buffers, struct zcmem__view *view) {
  zcmem__interval_remove(&buffers->filling, &view->shadow);
  zcmem__interval_insert(&buffers->filled, &view->shadow);
  view->filled = true;
}
