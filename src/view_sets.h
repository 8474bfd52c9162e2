/* SPDX-License-Identifier: MIT */
/*
 * Who may use which bytes: the sets of open views in a table of buffers. All of it with the table's lock held.
 */
#ifndef ZCMEM_VIEW_SETS_H
#define ZCMEM_VIEW_SETS_H

#include "buffer_impl.h"

static inline hal_size_t zcmem__view_size(const struct zcmem__view *view) {
  return view->device.last - view->device.first + 1;
}

/* The open view that excludes the one wanted, which is in no set, or NULL. O(log n) */
struct zcmem__view *zcmem__view_excluder(const struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer,
                                         const struct zcmem__view *wanted);

/*
 * Whether another view is just bringing in bytes of the lines that the one wanted, which reads a shadow, is going to
 * use. Who comes later yields, so one of two is not refused; and none copies into a line where another one does.
 * O(log n)
 */
bool zcmem__view_is_being_filled(const struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer,
                                 const struct zcmem__view *wanted);

/* Puts a view, whose ranges and flags are set, in the sets where it belongs; takes it out of them. O(log n) */
void zcmem__view_join(struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer, struct zcmem__view *view);
void zcmem__view_leave(struct zcmem_buffers *buffers, const struct zcmem__buffer *buffer, struct zcmem__view *view);

/*
 * Of a view that is being filled: how many bytes from *done on, which skips what others have there, no filled view of
 * the shadow covers. 0: no gap is left. O(log n) for each of those skipped.
 */
hal_size_t zcmem__view_find_gap(const struct zcmem_buffers *buffers, const struct zcmem__view *view, hal_size_t *done);

/* All that it reads is in now. O(log n) */
void zcmem__view_set_filled(struct zcmem_buffers *buffers, struct zcmem__view *view);

#endif
