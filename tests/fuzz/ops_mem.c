/* SPDX-License-Identifier: MIT */
/* Allocations and frees, one by one and in batches; sizes; pins. */
#include "world.h"

enum { MOST_BATCH = 12 };

static struct world_region *draw_region(struct world *w, uint32_t *index) {
  uint8_t which = fuzz_byte(w->in);
  *index = which == 255 ? WORLD_REGIONS : world_draw_region(w, which);
  return *index < WORLD_REGIONS ? &w->regions[*index] : NULL;
}

static hal_size_t draw_align(struct world *w) {
  uint8_t how = fuzz_byte(w->in);
  return how < 160 ? 1 : how < 250 ? (hal_size_t)1 << how % 16 : how == 250 ? 0 : how == 251 ? 3 : UINT64_C(1) << 63;
}

/* With a tag, or 0. */
static void alloc_one(struct world *w, uint32_t tag) {
  uint32_t index;
  struct world_region *r = draw_region(w, &index);
  hal_size_t size = fuzz_size(w->in, w->regions[index % WORLD_REGIONS].model.quantum,
                              model_largest(&w->regions[index % WORLD_REGIONS].model));
  hal_size_t align = draw_align(w);
  hal_addr_t addr = 1;
  enum zcmem_status got = tag == 0 ? zcmem_mem_alloc(w->hal, index, size, align, &addr)
                                   : zcmem_mem_alloc_tagged(w->hal, index, size, align, tag, &addr);
  assert_status(got, r == NULL ? ZCMEM_EINVAL : world_alloc_status(r, size, align, got));
  if (got == ZCMEM_OK) {
    world_place(w, r, addr, size, align);
    assert_ok(model_set_tag(&r->model, addr, tag));
  } else {
    assert_int_equal(addr, 1);
  }
}

static void set_tag(struct world *w, uint32_t tag) {
  hal_addr_t addr = world_addr(w);
  struct world_region *r = world_region_of(w, addr);
  enum zcmem_status want = r == NULL ? ZCMEM_ENOENT : model_set_tag(&r->model, addr, tag);
  assert_status(zcmem_mem_set_tag(w->hal, addr, tag), want);
}

/* Of the regions listed, or of a kind: in the first that has room. */
static void alloc_one_of(struct world *w) {
  uint32_t list[3], count = fuzz_byte(w->in) % 4u, kind = 1 + fuzz_byte(w->in) % 3u, picked = 0;
  bool by_kind = count == 3;
  hal_size_t size = fuzz_size(w->in, 64, 1024);
  hal_addr_t addr = 0;
  for (uint32_t i = 0; i < count; i++) {
    list[i] = fuzz_byte(w->in) % WORLD_REGIONS;
  }
  enum zcmem_status got = by_kind ? zcmem_mem_alloc_kind(w->hal, kind, size, 1, &addr)
                                  : zcmem_mem_alloc_preferred(w->hal, list, count, size, 1, &addr);
  enum zcmem_status want = ZCMEM_EINVAL;
  for (uint32_t i = 0; i < (by_kind ? WORLD_REGIONS : count) && want != ZCMEM_OK; i++) {
    struct zcmem_region_info info;
    picked = by_kind ? i : list[i];
    assert_ok(zcmem_hal_region_info(w->hal, picked, &info));
    if (!by_kind || info.kind == kind) {
      want = world_alloc_status(&w->regions[picked], size, 1, got);
    }
  }
  assert_status(got, want);
  if (got == ZCMEM_OK) {
    assert_ptr_equal(world_region_of(w, addr), &w->regions[picked]);
    world_place(w, &w->regions[picked], addr, size, 1);
  }
}

static void free_one(struct world *w) {
  hal_addr_t addr = world_addr(w);
  struct world_region *r = world_region_of(w, addr);
  bool deferred, defer = fuzz_byte(w->in) % 4 == 0;
  enum zcmem_status want = addr == 0   ? ZCMEM_OK
                           : r == NULL ? ZCMEM_ENOENT
                           : defer     ? model_free_deferred(&r->model, addr, &deferred)
                                       : model_free(&r->model, addr);
  assert_status(defer ? zcmem_mem_free_deferred(w->hal, addr) : zcmem_mem_free(w->hal, addr), want);
}

static void resize_one(struct world *w) {
  hal_addr_t addr = world_addr(w);
  hal_size_t size = world_size(w, addr);
  struct world_region *r = world_region_of(w, addr);
  enum zcmem_status want = r == NULL ? ZCMEM_ENOENT : model_resize(&r->model, addr, size);
  assert_status(zcmem_mem_resize(w->hal, addr, size), want);
  if (want == ZCMEM_OK) {
    r->resizes++;
  }
}

static void pin_one(struct world *w, bool unpin) {
  hal_addr_t addr = world_addr(w);
  struct world_region *r = world_region_of(w, addr);
  bool freed;
  enum zcmem_status want = r == NULL ? ZCMEM_ENOENT
                           : unpin   ? model_unpin(&r->model, addr, &freed)
                                     : model_pin(&r->model, addr);
  assert_status(unpin ? zcmem_mem_unpin(w->hal, addr) : zcmem_mem_pin(w->hal, addr), want);
}

/* Quanta of all items, and whether none of them asks for more alignment than every block has. */
static uint64_t sum_quanta(const struct model *m, const struct zcmem_batch_item *items, uint32_t count, bool *plain) {
  uint64_t sum = 0;
  *plain = true;
  for (uint32_t i = 0; i < count; i++) {
    sum += items[i].size == 0 ? 1 : (items[i].size - 1) / m->quantum + 1;
    *plain = *plain && items[i].align <= m->quantum;
  }
  return sum;
}

/* What the model can say of a batch whose places are the heap's choice. */
static void judge_batch(const struct model *m, const struct zcmem_batch_item *items, uint32_t count,
                        enum zcmem_status got) {
  bool plain;
  uint64_t need = sum_quanta(m, items, count, &plain), room = model_largest(m) / m->quantum;
  if (m->max_blocks - m->live < count || need > m->quanta - m->occupied) {
    assert_true(got == ZCMEM_ENOMEM || got == ZCMEM_ENOSPC || got == ZCMEM_EFRAG);
    assert_true(got != ZCMEM_ENOMEM || m->max_blocks - m->live < count);
  } else if (plain && need <= room) {
    assert_ok(got);
  } else {
    assert_true(got == ZCMEM_OK || got == ZCMEM_EFRAG);
  }
}

static void alloc_batch(struct world *w) {
  struct zcmem_batch_item items[MOST_BATCH];
  hal_addr_t addrs[MOST_BATCH];
  uint32_t index, count = fuzz_byte(w->in) % (MOST_BATCH + 1u);
  struct world_region *r = draw_region(w, &index);
  bool valid = r != NULL;
  const struct model *m = &w->regions[index % WORLD_REGIONS].model;
  for (uint32_t i = 0; i < count; i++) {
    hal_size_t most = m->quanta * m->quantum;
    items[i].size = fuzz_size(w->in, m->quantum, most) % (most + 2);
    items[i].align = draw_align(w);
    valid = valid && items[i].align != 0 && (items[i].align & (items[i].align - 1)) == 0;
    addrs[i] = 1;
  }
  enum zcmem_status got = zcmem_mem_alloc_batch(w->hal, index, items, count, addrs);
  if (!valid || count == 0) {
    assert_status(got, valid ? ZCMEM_OK : ZCMEM_EINVAL);
  } else {
    judge_batch(m, items, count, got);
  }
  for (uint32_t i = 0; i < count; i++) {
    if (got == ZCMEM_OK) {
      world_place(w, r, addrs[i], items[i].size, items[i].align);
    } else {
      assert_int_equal(addrs[i], got == ZCMEM_EINVAL ? 1 : HAL_NULLPTR);
    }
  }
}

static void free_batch(struct world *w) {
  hal_addr_t addrs[MOST_BATCH];
  uint32_t count = fuzz_byte(w->in) % (MOST_BATCH + 1u), freed = 0, want_freed = 0;
  enum zcmem_status want = ZCMEM_OK;
  for (uint32_t i = 0; i < count; i++) {
    addrs[i] = world_addr(w);
  }
  for (uint32_t i = 0; i < count; i++) {
    struct world_region *r = world_region_of(w, addrs[i]);
    enum zcmem_status status = addrs[i] == 0 ? ZCMEM_OK : r == NULL ? ZCMEM_ENOENT : model_free(&r->model, addrs[i]);
    want_freed += addrs[i] != 0 && status == ZCMEM_OK;
    want = want == ZCMEM_OK ? status : want;
  }
  assert_status(zcmem_mem_free_batch(w->hal, addrs, count, &freed), want);
  assert_int_equal(freed, want_freed);
}

void world_call_mem(struct world *w) {
  uint8_t what = fuzz_byte(w->in);
  switch (what % 16) {
  case 0:
    alloc_one_of(w);
    break;
  case 1:
    alloc_batch(w);
    break;
  case 2:
    free_batch(w);
    break;
  case 3:
  case 4:
    resize_one(w);
    break;
  case 5:
    pin_one(w, false);
    break;
  case 6:
    pin_one(w, true);
    break;
  case 7:
  case 8:
  case 9:
  case 10:
    free_one(w);
    break;
  case 11:
    if (what >= 0x80) {
      set_tag(w, what >> 4);
      break;
    }
    alloc_one(w, 0);
    break;
  default:
    alloc_one(w, what >= 0x80 ? what >> 4 : 0);
    break;
  }
}
