/* SPDX-License-Identifier: MIT */
#include "twin.h"

#include <inttypes.h>
#include <string.h>

#include "unit.h"

/* The call that is compared now, for the message. */
struct call {
  const char *name;
  uint64_t a, b;
};

static void disagree(const struct twin *t, const struct call *call, const char *what) {
  print_error("%s(0x%" PRIx64 ", 0x%" PRIx64 "): %s\n", call->name, call->a, call->b, what);
  if (t->explain != NULL) {
    t->explain(t->ctx);
  }
  fail();
}

static void expect_equal(const struct twin *t, const struct call *call, const char *what, uint64_t heap,
                         uint64_t model) {
  char text[160];
  if (heap == model) {
    return;
  }
  snprintf(text, sizeof text, "%s: the heap says 0x%" PRIx64 ", the model 0x%" PRIx64, what, heap, model);
  disagree(t, call, text);
}

static void expect_status(const struct twin *t, const struct call *call, enum zcmem_status heap,
                          enum zcmem_status model) {
  char text[200];
  if (heap == model) {
    return;
  }
  snprintf(text, sizeof text, "the heap answers %s, the model %s", zcmem_status_string(heap),
           zcmem_status_string(model));
  disagree(t, call, text);
}

static void expect_info(const struct twin *t, const struct call *call, const struct zcmem_block_info *heap,
                        const struct zcmem_block_info *model) {
  expect_equal(t, call, "address of a block", heap->addr, model->addr);
  expect_equal(t, call, "size of a block", heap->size, model->size);
  expect_equal(t, call, "bytes requested for a block", heap->requested, model->requested);
  expect_equal(t, call, "state of a block", (uint64_t)heap->state, (uint64_t)model->state);
  expect_equal(t, call, "pins of a block", heap->pins, model->pins);
  expect_equal(t, call, "transfers of a block", heap->transfers, model->transfers);
  expect_equal(t, call, "tag of a block", heap->tag, model->tag);
}

struct walk {
  const struct twin *t;
  const struct call *call;
  uint32_t next; /* quantum where the next block must start */
};

static bool compare_block(void *ctx, const struct zcmem_block_info *info) {
  struct walk *w = ctx;
  struct zcmem_block_info want;
  if (w->next >= w->t->model.quanta || !model_block_at(&w->t->model, w->next, &want)) {
    disagree(w->t, w->call, "the walk shows a block where none starts");
    return false;
  }
  expect_info(w->t, w->call, info, &want);
  w->next += (uint32_t)(want.size / w->t->model.quantum);
  return true;
}

static void verify(const struct twin *t, const struct call *call) {
  const struct model *m = &t->model;
  const char *broken = NULL;
  struct zcmem_heap_info info;
  struct walk w = {t, call, 0};
  enum zcmem_status status = zcmem_heap_check(t->heap);
  if (status != ZCMEM_OK) {
    (void)zcmem_heap_check_detail(t->image, t->bytes, &broken);
    print_error("zcmem_heap_check: %s\n", broken != NULL ? broken : "nothing named");
    disagree(t, call, "an invariant is broken");
  }
  expect_status(t, call, zcmem_heap_walk(t->heap, compare_block, &w), ZCMEM_OK);
  expect_equal(t, call, "quanta that the walk shows", w.next, m->quanta);
  expect_status(t, call, zcmem_heap_get_info(t->heap, &info), ZCMEM_OK);
  expect_equal(t, call, "info.base", info.base, m->base);
  expect_equal(t, call, "info.size", info.size, m->quanta * m->quantum);
  expect_equal(t, call, "info.quantum", info.quantum, m->quantum);
  expect_equal(t, call, "info.free", info.free, (m->quanta - m->occupied) * m->quantum);
  expect_equal(t, call, "info.requested", info.requested, model_requested(m));
  expect_equal(t, call, "info.live", info.live, m->live);
  expect_equal(t, call, "info.free_blocks", info.free_blocks, model_free_runs(m));
  expect_equal(t, call, "info.max_blocks", info.max_blocks, m->max_blocks);
  expect_equal(t, call, "info.image_bytes", info.image_bytes, t->bytes);
  expect_equal(t, call, "largest", zcmem_heap_largest(t->heap), model_largest(m));
}

bool twin_init(struct twin *t, const struct zcmem_heap_config *config, bool compare_failed) {
  static const struct call call = {"zcmem_heap_init", 0, 0};
  size_t rounded;
  memset(t, 0, sizeof *t);
  if (!model_init(&t->model, config)) {
    return false;
  }
  t->bytes = zcmem_heap_bytes(config);
  assert_true(t->bytes > 0);
  rounded = (t->bytes + 63) / 64 * 64;
  t->image = aligned_alloc(64, rounded);
  assert_non_null(t->image);
  if (compare_failed) {
    t->before = malloc(t->bytes);
    assert_non_null(t->before);
  }
  /* Init must clear what it needs: the memory is full of something else. */
  memset(t->image, (config->flags & ZCMEM_HEAP_ZEROED) != 0 ? 0 : 0xa5, t->bytes);
  assert_ok(zcmem_heap_init(t->image, t->bytes, config, &t->heap));
  verify(t, &call);
  return true;
}

void twin_end(struct twin *t) {
  free(t->image);
  free(t->before);
  t->image = NULL;
  t->before = NULL;
}

void twin_copy(struct twin *to, const struct twin *from) {
  assert_int_equal(to->bytes, from->bytes);
  memcpy(to->image, from->image, from->bytes);
  to->model = from->model;
  assert_ok(zcmem_heap_attach(to->image, to->bytes, &to->heap));
}

static void begin_call(const struct twin *t) {
  if (t->before != NULL) {
    memcpy(t->before, t->image, t->bytes);
  }
}

static void end_call(const struct twin *t, const struct call *call, enum zcmem_status status) {
  if (status != ZCMEM_OK && t->before != NULL && memcmp(t->before, t->image, t->bytes) != 0) {
    disagree(t, call, "the call failed and changed the image");
  }
  verify(t, call);
}

enum zcmem_status twin_alloc(struct twin *t, hal_size_t size, hal_size_t align, hal_addr_t *addr) {
  const struct call call = {"zcmem_heap_alloc", size, align};
  const hal_addr_t untouched = UINT64_C(0x5a5a5a5a5a5a5a5a);
  hal_addr_t place = untouched;
  bool open;
  enum zcmem_status want = model_alloc_status(&t->model, size, align, &open), got;
  begin_call(t);
  got = zcmem_heap_alloc(t->heap, size, align, &place);
  if (got == ZCMEM_OK && open) {
    want = ZCMEM_OK;
  }
  expect_status(t, &call, got, want);
  if (got != ZCMEM_OK) {
    expect_equal(t, &call, "*addr after a failure", place, untouched);
  } else if (!model_place(&t->model, place, size, align)) {
    expect_equal(t, &call, "a block that overlaps, is misaligned or lies outside", place, untouched);
  }
  end_call(t, &call, got);
  if (got == ZCMEM_OK) {
    *addr = place;
  }
  return got;
}

enum zcmem_status twin_free(struct twin *t, hal_addr_t addr) {
  const struct call call = {"zcmem_heap_free", addr, 0};
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_free(t->heap, addr);
  expect_status(t, &call, got, model_free(&t->model, addr));
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_free_deferred(struct twin *t, hal_addr_t addr) {
  const struct call call = {"zcmem_heap_free_deferred", addr, 0};
  bool deferred = false, want_deferred = false;
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_free_deferred(t->heap, addr, &deferred);
  expect_status(t, &call, got, model_free_deferred(&t->model, addr, &want_deferred));
  if (got == ZCMEM_OK) {
    expect_equal(t, &call, "*deferred", deferred, want_deferred);
  }
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_resize(struct twin *t, hal_addr_t addr, hal_size_t size) {
  const struct call call = {"zcmem_heap_resize", addr, size};
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_resize(t->heap, addr, size);
  expect_status(t, &call, got, model_resize(&t->model, addr, size));
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_reserve(struct twin *t, hal_addr_t at, hal_size_t size) {
  const struct call call = {"zcmem_heap_reserve", at, size};
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_reserve(t->heap, at, size);
  expect_status(t, &call, got, model_reserve(&t->model, at, size));
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_find(struct twin *t, hal_addr_t any) {
  const struct call call = {"zcmem_heap_find", any, 0};
  struct zcmem_block_info info, want;
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_find(t->heap, any, &info);
  expect_status(t, &call, got, model_find(&t->model, any, &want));
  if (got == ZCMEM_OK) {
    expect_info(t, &call, &info, &want);
  }
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_pin(struct twin *t, hal_addr_t any) {
  const struct call call = {"zcmem_heap_pin", any, 0};
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_pin(t->heap, any);
  expect_status(t, &call, got, model_pin(&t->model, any));
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_unpin(struct twin *t, hal_addr_t any) {
  const struct call call = {"zcmem_heap_unpin", any, 0};
  bool freed = false, want_freed = false;
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_unpin(t->heap, any, &freed);
  expect_status(t, &call, got, model_unpin(&t->model, any, &want_freed));
  if (got == ZCMEM_OK) {
    expect_equal(t, &call, "*freed", freed, want_freed);
  }
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_begin_transfer(struct twin *t, hal_addr_t any, hal_size_t size) {
  const struct call call = {"zcmem_heap_begin_transfer", any, size};
  struct zcmem_block_info info, want;
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_begin_transfer(t->heap, any, size, &info);
  expect_status(t, &call, got, model_begin_transfer(&t->model, any, size));
  if (got == ZCMEM_OK) {
    expect_status(t, &call, model_find(&t->model, any, &want), ZCMEM_OK);
    expect_info(t, &call, &info, &want);
  }
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_end_transfer(struct twin *t, hal_addr_t any) {
  const struct call call = {"zcmem_heap_end_transfer", any, 0};
  bool freed = false, want_freed = false;
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_end_transfer(t->heap, any, &freed);
  expect_status(t, &call, got, model_end_transfer(&t->model, any, &want_freed));
  if (got == ZCMEM_OK) {
    expect_equal(t, &call, "*freed", freed, want_freed);
  }
  end_call(t, &call, got);
  return got;
}

enum zcmem_status twin_set_tag(struct twin *t, hal_addr_t addr, uint32_t tag) {
  const struct call call = {"zcmem_heap_set_tag", addr, tag};
  enum zcmem_status got;
  begin_call(t);
  got = zcmem_heap_set_tag(t->heap, addr, tag);
  expect_status(t, &call, got, model_set_tag(&t->model, addr, tag));
  end_call(t, &call, got);
  return got;
}
