/* SPDX-License-Identifier: MIT */
/* What calls on the world share: who has an address, what the shadows hold, and what is drawn from the input. */
#include "world.h"

void world_begin(struct world *w) {
  w->armed = fake.fail_callback_in;
}

bool world_struck(const struct world *w) {
  return w->armed > 0 && fake.fail_callback_in == 0;
}

/* ---------------------------------------------------------------------------------------------------- regions -- */

struct world_region *world_region_of(struct world *w, hal_addr_t addr) {
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    if (addr - w->regions[i].fake.base < w->regions[i].bytes) {
      return &w->regions[i];
    }
  }
  return NULL;
}

uint32_t world_index(const struct world *w, const struct world_region *r) {
  return (uint32_t)(r - w->regions);
}

bool world_can_map(const struct world_region *r) {
  return r->fake.way == FAKE_OPS || r->fake.way == FAKE_MAP || r->fake.way == FAKE_MAP_DIRECT;
}

bool world_can_move(const struct world_region *r) {
  return r->fake.way != FAKE_NOTHING;
}

enum zcmem_status world_reach(struct world *w, hal_addr_t addr, hal_size_t size, struct world_region **r) {
  *r = world_region_of(w, addr);
  if (*r == NULL) {
    return ZCMEM_ENOENT;
  }
  enum zcmem_status status = model_begin_transfer(&(*r)->model, addr, size);
  if (status == ZCMEM_OK) {
    bool freed;
    assert_ok(model_end_transfer(&(*r)->model, addr, &freed));
  }
  return status;
}

unsigned char *world_want(const struct world_region *r, hal_addr_t addr) {
  return r->want + (size_t)(addr - r->fake.base);
}

unsigned char *world_seen(const struct world_region *r, hal_addr_t addr) {
  return r->seen == NULL ? NULL : r->seen + (size_t)(addr - r->fake.base);
}

void world_fetch(struct world_region *r, hal_addr_t addr, size_t size) {
  if (r->seen != NULL) {
    memcpy(world_seen(r, addr), world_want(r, addr), size);
  }
}

void world_put(struct world_region *r, hal_addr_t addr, const void *bytes, size_t size) {
  memmove(world_want(r, addr), bytes, size);
  world_fetch(r, addr, size);
}

void world_adopt(struct world_region *r, hal_addr_t addr, size_t size) {
  memcpy(world_want(r, addr), fake_at(&r->fake, addr), size);
  if (r->seen != NULL) {
    memcpy(world_seen(r, addr), r->fake.view + (size_t)(addr - r->fake.base), size);
  }
}

/* ----------------------------------------------------------------------------------------------------- blocks -- */

enum zcmem_status world_alloc_status(const struct world_region *r, hal_size_t size, hal_size_t align,
                                     enum zcmem_status got) {
  bool open = false;
  enum zcmem_status want = model_alloc_status(&r->model, size, align, &open);
  if (want == ZCMEM_ENOMEM && got == ZCMEM_ENOSPC && size > r->model.quantum * (r->model.quanta - r->model.occupied)) {
    return got; /* both are so, and where there are magazines nobody says which is told */
  }
  return open && got == ZCMEM_OK ? ZCMEM_OK : want;
}

void world_place(struct world *w, struct world_region *r, hal_addr_t addr, hal_size_t size, hal_size_t align) {
  struct model *m = &r->model;
  struct zcmem_block_info info;
  assert_true(model_place(m, addr, size, align));
  assert_ok(zcmem_mem_info(w->hal, addr, &info));
  uint32_t need = m->blocks[m->owner[(addr - m->base) / m->quantum] - 1].count;
  assert_int_equal(info.addr, addr);
  assert_int_equal(info.requested, size);
  assert_true(info.size % m->quantum == 0 && info.size >= need * m->quantum);
  assert_true(info.size <= (need + need / 8) * m->quantum);
  assert_ok(model_resize(m, addr, info.size));
  m->blocks[m->owner[(addr - m->base) / m->quantum] - 1].requested = size;
}

/* ------------------------------------------------------------------------------------------ drawn from the input -- */

/* The n-th block of the region, counted round; NULL: there is none. */
static const struct model_block *nth_block(const struct model *m, uint32_t n) {
  for (uint32_t left = m->live == 0 ? 0 : n % m->live + 1, i = 0; left > 0; i++) {
    if (m->blocks[i].count != 0 && --left == 0) {
      return &m->blocks[i];
    }
  }
  return NULL;
}

uint32_t world_draw_region(const struct world *w, uint8_t how) {
  uint32_t which = how % 8u, other = which - 5u;
  return which < 5 ? w->focus : other < w->focus ? other : other + 1;
}

hal_addr_t world_addr(struct world *w) {
  uint8_t how = fuzz_byte(w->in), which = how >= 0xe0 ? 0 : fuzz_byte(w->in);
  const struct world_region *r = &w->regions[world_draw_region(w, how)];
  const struct model_block *block = nth_block(&r->model, which);
  if (block == NULL) {
    return r->fake.base + which;
  }
  hal_addr_t start = r->model.base + block->first * r->model.quantum;
  switch (how >> 4) {
  case 0:
    return start + fuzz_below(w->in, block->requested);
  case 1:
    return start + block->requested;
  case 2:
    return start + fuzz_below(w->in, block->count * r->model.quantum);
  case 3:
    return r->fake.base + fuzz_below(w->in, r->bytes + 2);
  case 4:
    return how % 8 == 7 ? fuzz_word(w->in, 8) : how % 8 == 6 ? 0 : start;
  default:
    return start;
  }
}

hal_size_t world_size(struct world *w, hal_addr_t addr) {
  const struct world_region *r = world_region_of(w, addr);
  struct zcmem_block_info info;
  if (r == NULL || model_find(&r->model, addr, &info) != ZCMEM_OK || addr - info.addr > info.requested) {
    return fuzz_size(w->in, 16, 64);
  }
  return fuzz_size(w->in, r->model.quantum, info.requested - (addr - info.addr));
}

struct world_mapping *world_draw_mapping(struct world *w, uint8_t which) {
  uint32_t count = 0;
  struct world_mapping *there[WORLD_MAPPINGS];
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    if (w->mappings[i].users > 0 || w->mappings[i].alias) {
      there[count++] = &w->mappings[i];
    }
  }
  return count == 0 ? NULL : there[which % count];
}

unsigned char *world_pointer(struct world *w) {
  uint8_t how = fuzz_byte(w->in), which = fuzz_byte(w->in);
  const struct world_mapping *mapping = world_draw_mapping(w, which);
  const struct world_region *r = &w->regions[w->focus == 3 || (w->focus != 0 && which % 2 == 0) ? 3 : 0];
  const struct model_block *block = nth_block(&r->model, which);
  if (how % 4 == 0 || (how % 4 == 1 && mapping == NULL)) {
    return w->user + fuzz_below(w->in, WORLD_USER);
  }
  if (how % 4 == 1 || (mapping != NULL && how % 4 == 2 && w->focus % 3 != 0)) {
    return mapping->host + (how < 128 ? 0 : (size_t)fuzz_below(w->in, mapping->size));
  }
  if (block == NULL || how >= 224) {
    return how == 255 ? NULL : r->host + fuzz_below(w->in, r->bytes);
  }
  hal_size_t at = r->model.base - r->fake.base + block->first * r->model.quantum;
  return r->host + at + (how < 128 ? 0 : fuzz_below(w->in, block->count * r->model.quantum));
}
