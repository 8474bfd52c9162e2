/* SPDX-License-Identifier: MIT */
/* Buffers and sub-buffers: what each must be, and what becomes of its block. */
#include "world.h"

#define MODE (ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE)
#define SOURCES (ZCMEM_BUFFER_USE_HOST | ZCMEM_BUFFER_COPY_HOST | ZCMEM_BUFFER_ALLOC_HOST)

void world_buffers_open(struct world *w) {
  w->max_buffers = 1u + fuzz_byte(w->in) % WORLD_BUFFERS;
  w->max_views = 1u + fuzz_byte(w->in) % WORLD_VIEWS;
  w->buffer_bytes_in = w->buffer_bytes_out = 0;
  const struct zcmem_buffers_config config = {.hal = w->hal, .max_buffers = w->max_buffers, .max_views = w->max_views};
  size_t bytes = zcmem_buffers_bytes(&config);
  w->buffers_memory = aligned_alloc(64, (bytes + 63) / 64 * 64);
  assert_non_null(w->buffers_memory);
  assert_ok(zcmem_buffers_init(w->buffers_memory, bytes, &config, &w->buffers));
}

static uint32_t count_buffers(const struct world *w) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < WORLD_BUFFERS; i++) {
    count += w->buffer[i].id != 0;
  }
  return count;
}

static void let_go(struct world_buffer *b) {
  bool ignored;
  if (model_end_transfer(&b->region->model, b->addr, &ignored) == ZCMEM_OK && b->owned) {
    (void)model_free_deferred(&b->region->model, b->addr, &ignored); /* somebody else may have done it */
  }
}

void world_buffers_close(struct world *w) {
  assert_int_equal(zcmem_buffers_destroy(w->buffers), count_buffers(w));
  for (uint32_t i = 0; i < WORLD_VIEWS; i++) {
    struct world_mapping *mapping = NULL;
    if (w->view[i].id != 0 && w->view[i].mapped && world_unmap_wanted(w, w->view[i].host, &mapping) == ZCMEM_OK) {
      world_unmap_done(mapping, false);
    }
    w->view[i].id = 0;
  }
  for (uint32_t i = 0; i < WORLD_BUFFERS; i++) {
    if (w->buffer[i].id != 0 && w->buffer[i].root == i) {
      let_go(&w->buffer[i]);
    }
    w->buffer[i].id = 0;
  }
  free(w->buffers_memory);
  w->buffers = NULL;
}

void world_buffers_verify(struct world *w) {
  struct zcmem_buffers_stats stats = {.struct_bytes = sizeof stats};
  struct zcmem_buffer_info info;
  uint32_t views = 0;
  if (w->buffers == NULL) {
    return;
  }
  for (uint32_t i = 0; i < WORLD_BUFFERS; i++) {
    const struct world_buffer *b = &w->buffer[i];
    if (b->id != 0 && b->references == 0) {
      assert_status(zcmem_buffer_get_info(w->buffers, b->id, &info), ZCMEM_ENOENT);
    } else if (b->id != 0) {
      assert_ok(zcmem_buffer_get_info(w->buffers, b->id, &info));
      assert_int_equal(info.flags, b->flags);
      assert_int_equal(info.zero_copy, !b->shadow);
      assert_int_equal(info.references, b->references);
      assert_int_equal(info.views, b->views);
      assert_int_equal(info.parent, b->parent);
      assert_int_equal(info.offset, b->offset);
      assert_int_equal(info.size, b->size);
      assert_int_equal(info.region, world_index(w, b->region));
      assert_int_equal(info.addr, b->addr);
      assert_ptr_equal(info.host, b->host);
    }
  }
  for (uint32_t i = 0; i < WORLD_VIEWS; i++) {
    views += w->view[i].id != 0;
  }
  assert_ok(zcmem_buffers_get_stats(w->buffers, &stats));
  assert_int_equal(stats.buffers, count_buffers(w));
  assert_int_equal(stats.views, views);
  assert_int_equal(stats.bytes_copied_in, w->buffer_bytes_in);
  assert_int_equal(stats.bytes_copied_out, w->buffer_bytes_out);
}

/* --------------------------------------------------------------------------------------------------- creation -- */

static struct world_buffer *enter(struct world *w, zcmem_buffer_t id, const struct world_buffer *like) {
  struct world_buffer *spare = NULL;
  for (uint32_t i = 0; i < WORLD_BUFFERS; i++) {
    assert_true(w->buffer[i].id != id);
    if (w->buffer[i].id == 0 && spare == NULL) {
      spare = &w->buffer[i];
    }
  }
  assert_true(id != 0 && spare != NULL);
  *spare = *like;
  spare->id = id;
  spare->references = 1;
  spare->uses = spare->views = 0;
  return spare;
}

static struct zcmem_buffer_config draw_config(struct world *w) {
  static const uint32_t sources[8] = {0,
                                      ZCMEM_BUFFER_COPY_HOST,
                                      ZCMEM_BUFFER_ALLOC_HOST,
                                      ZCMEM_BUFFER_COPY_HOST | ZCMEM_BUFFER_ALLOC_HOST,
                                      ZCMEM_BUFFER_USE_HOST,
                                      ZCMEM_BUFFER_USE_HOST,
                                      ZCMEM_BUFFER_USE_HOST,
                                      ZCMEM_BUFFER_USE_HOST};
  uint8_t how = fuzz_byte(w->in);
  struct zcmem_buffer_config config = {.flags = how % 4u | sources[how / 4 % 8],
                                       .region = world_draw_region(w, how ^ how / 32u)};
  if (how >= 128) {
    config.flags |= ZCMEM_BUFFER_ALIAS;
  }
  if (how == 255) {
    config.flags = fuzz_byte(w->in);
    config.region = fuzz_byte(w->in);
  }
  if ((config.flags & ZCMEM_BUFFER_USE_HOST) != 0) {
    unsigned char *host = world_pointer(w);
    size_t at = (size_t)((uintptr_t)host - (uintptr_t)w->user);
    struct zcmem_block_info block = {.requested = 200};
    hal_size_t mapped = 200;
    hal_addr_t addr = 0;
    struct world_region *r = world_lead(w, host, &addr, &mapped);
    if (r != NULL && model_find(&r->model, addr, &block) == ZCMEM_OK && addr - block.addr < block.requested) {
      block.requested -= addr - block.addr;
    }
    config.size = fuzz_size(w->in, 16, mapped < block.requested ? mapped : block.requested);
    if (at < WORLD_USER && config.size <= UINT64_MAX / 2 && config.size > WORLD_USER - at) {
      config.size = WORLD_USER - at; /* what is really there */
    }
    config.host = host;
  } else if ((config.flags & ZCMEM_BUFFER_COPY_HOST) != 0) {
    config.host = w->scratch;
  }
  if ((config.flags & ZCMEM_BUFFER_USE_HOST) == 0) {
    config.size = fuzz_size(w->in, 16, 200);
  }
  return config;
}

static bool config_valid(const struct zcmem_buffer_config *config) {
  uint32_t source = config->flags & SOURCES;
  bool uses = (source & ZCMEM_BUFFER_USE_HOST) != 0, needs = uses || (source & ZCMEM_BUFFER_COPY_HOST) != 0;
  return config->flags < 0x40 && (config->flags & MODE) != 0 && !(uses && source != ZCMEM_BUFFER_USE_HOST) &&
         needs == (config->host != NULL) && config->size > 0 &&
         (config->host == NULL || config->size - 1 <= UINTPTR_MAX - (uintptr_t)config->host);
}

/* Whether host memory that begins in no region runs into one that the host sees. */
static bool runs_into(const struct world *w, const struct zcmem_buffer_config *config) {
  bool into = false;
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    const unsigned char *host = w->regions[i].host;
    into = into || (host != NULL && (uintptr_t)host - (uintptr_t)config->host < config->size);
  }
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    const struct world_mapping *at = &w->mappings[i];
    into = into || ((at->users > 0 || at->alias) && (uintptr_t)at->host - (uintptr_t)config->host < config->size);
  }
  return into;
}

/* Of memory that the region has. *made is held in the model. */
static enum zcmem_status adopt(const struct zcmem_buffer_config *config, struct world_region *r, hal_addr_t addr,
                               hal_size_t mapped, struct world_buffer *made) {
  struct zcmem_block_info block;
  enum zcmem_status status = model_find(&r->model, addr, &block);
  if (status != ZCMEM_OK) {
    return status;
  }
  hal_size_t rest = addr - block.addr < block.requested ? block.requested - (addr - block.addr) : 0;
  if (config->size > (rest < mapped ? rest : mapped)) {
    return ZCMEM_EBOUNDS;
  }
  assert_ok(model_begin_transfer(&r->model, addr, config->size));
  made->region = r;
  made->addr = addr;
  made->host = config->host;
  return ZCMEM_OK;
}

/* A buffer that was made and undone may have left its bytes in free memory. */
static void adopt_free(struct world_region *r) {
  for (uint32_t i = 0; i < r->model.quanta; i++) {
    if (r->model.owner[i] == 0) {
      world_adopt(r, r->model.base + i * r->model.quantum, (size_t)r->model.quantum);
    }
  }
}

/* What a buffer with a block of its own must answer, but for the copy. */
static enum zcmem_status furnish_status(struct world *w, const struct zcmem_buffer_config *config, bool shadow,
                                        enum zcmem_status got) {
  if (config->region >= WORLD_REGIONS) {
    return ZCMEM_EINVAL;
  }
  const struct world_region *r = &w->regions[config->region];
  bool seen = r->host != NULL || world_can_map(r);
  if ((shadow && !world_can_move(r)) || ((config->flags & ZCMEM_BUFFER_ALLOC_HOST) != 0 && !seen)) {
    return ZCMEM_ENOTMAPPED;
  }
  return world_alloc_status(r, config->size, 1, got);
}

static void furnish(struct world *w, const struct zcmem_buffer_config *config, zcmem_buffer_t id,
                    struct world_buffer *made) {
  struct zcmem_buffer_info info;
  assert_ok(zcmem_buffer_get_info(w->buffers, id, &info));
  made->region = &w->regions[config->region];
  made->addr = info.addr;
  made->owned = true;
  world_place(w, made->region, info.addr, config->size, 1);
  assert_ok(model_begin_transfer(&made->region->model, info.addr, config->size));
  if (made->shadow) {
    made->host = config->host;
  } else if (made->region->host != NULL) {
    made->host = made->region->host + (size_t)(info.addr - made->region->fake.base);
  }
}

static void create(struct world *w) {
  struct zcmem_buffer_config config = draw_config(w);
  struct world_buffer made = {.flags = config.flags, .size = config.size};
  struct world_region *found = NULL;
  hal_addr_t addr = 0;
  hal_size_t mapped = 0;
  zcmem_buffer_t id = 0;
  bool uses = (config.flags & ZCMEM_BUFFER_USE_HOST) != 0, copies = (config.flags & ZCMEM_BUFFER_COPY_HOST) != 0;
  bool valid = config_valid(&config), full = count_buffers(w) == w->max_buffers;
  enum zcmem_status want = ZCMEM_EINVAL;
  if (valid && uses) {
    found = world_lead(w, config.host, &addr, &mapped);
  }
  made.shadow = uses && found == NULL;
  if (valid) {
    want = found != NULL                          ? adopt(&config, found, addr, mapped, &made)
           : made.shadow && runs_into(w, &config) ? ZCMEM_EINVAL
                                                  : furnish_status(w, &config, made.shadow, ZCMEM_OK);
  }
  struct world_region *r = &w->regions[config.region % WORLD_REGIONS];
  bool written = want == ZCMEM_OK && copies;
  want = written && !world_can_move(r) ? ZCMEM_ENOTMAPPED : want;
  world_begin(w);
  enum zcmem_status got = zcmem_buffer_create(w->buffers, &config, &id);
  bool struck = world_struck(w);
  if (want == ZCMEM_ENOMEM || want == ZCMEM_ENOSPC) {
    want = furnish_status(w, &config, made.shadow, got);
  }
  written = written && want == ZCMEM_OK && !struck;
  r->written += written ? config.size : 0;
  assert_status(got, struck ? ZCMEM_EIO : want == ZCMEM_OK && full ? ZCMEM_ENOMEM : want);
  if (got == ZCMEM_OK) {
    if (found == NULL) {
      furnish(w, &config, id, &made);
    }
    if (copies) {
      world_put(r, made.addr, config.host, (size_t)config.size);
      w->buffer_bytes_in += config.size;
    }
    struct world_buffer *b = enter(w, id, &made);
    b->root = (uint32_t)(b - w->buffer);
  } else if (made.region != NULL) {
    let_go(&made);
  } else if (copies) {
    adopt_free(r);
  }
}

struct world_buffer *world_draw_buffer(struct world *w, zcmem_buffer_t *id) {
  uint8_t which = fuzz_byte(w->in);
  struct world_buffer *b = NULL;
  uint32_t count = count_buffers(w), left = count == 0 ? 0 : which % count + 1;
  for (uint32_t i = 0; left > 0; i++) {
    left -= w->buffer[i].id != 0;
    b = &w->buffer[i];
  }
  *id = which >= 252 ? fuzz_word(w->in, 8) : b == NULL ? which : b->id + ((zcmem_buffer_t)(which >= 240) << 32);
  for (uint32_t i = 0; i < WORLD_BUFFERS; i++) {
    if (w->buffer[i].id == *id && *id != 0) {
      return w->buffer[i].references > 0 ? &w->buffer[i] : NULL;
    }
  }
  return NULL;
}

static void create_sub(struct world *w) {
  zcmem_buffer_t parent, id = 0;
  struct world_buffer *of = world_draw_buffer(w, &parent);
  uint8_t how = fuzz_byte(w->in);
  uint32_t flags = how == 255 ? fuzz_byte(w->in) : how % 4u | (how >= 200 ? ZCMEM_BUFFER_ALIAS : 0);
  hal_size_t whole = of == NULL ? 64 : of->size, offset = fuzz_below(w->in, whole + 2);
  hal_size_t size = fuzz_size(w->in, 16, whole - (offset < whole ? offset : whole));
  enum zcmem_status want = size == 0 || (flags & ~(MODE | ZCMEM_BUFFER_ALIAS)) != 0 ? ZCMEM_EINVAL
                           : of == NULL                                             ? ZCMEM_ENOENT
                           : (flags & MODE & ~of->flags) != 0                       ? ZCMEM_EINVAL
                           : offset > whole || size > whole - offset                ? ZCMEM_EBOUNDS
                           : count_buffers(w) == w->max_buffers                     ? ZCMEM_ENOMEM
                                                                                    : ZCMEM_OK;
  assert_status(zcmem_buffer_create_sub(w->buffers, parent, flags, offset, size, &id), want);
  if (want != ZCMEM_OK) {
    return;
  }
  struct world_buffer made = *of;
  if ((flags & MODE) != 0) {
    made.flags = (of->flags & ~MODE) | (flags & MODE);
  }
  made.flags |= flags & ZCMEM_BUFFER_ALIAS;
  made.parent = parent;
  made.offset = offset;
  made.size = size;
  made.addr += offset;
  made.host = made.host == NULL ? NULL : made.host + (size_t)offset;
  (void)enter(w, id, &made);
  w->buffer[made.root].uses++;
}

/* ------------------------------------------------------------------------------------------------------- life -- */

static void leave(struct world *w, struct world_buffer *b) {
  uint32_t root = b->root;
  if (b->references > 0 || b->uses > 0) {
    return;
  }
  b->id = 0;
  if (b == &w->buffer[root]) {
    let_go(b);
  } else {
    world_buffer_unuse(w, &w->buffer[root]);
  }
}

void world_buffer_unuse(struct world *w, struct world_buffer *b) {
  b->uses--;
  leave(w, b);
}

static void retain(struct world *w) {
  zcmem_buffer_t id;
  struct world_buffer *b = world_draw_buffer(w, &id);
  assert_status(zcmem_buffer_retain(w->buffers, id), b == NULL ? ZCMEM_ENOENT : ZCMEM_OK);
  if (b != NULL) {
    b->references++;
  }
}

static void release(struct world *w) {
  zcmem_buffer_t id;
  struct world_buffer *b = world_draw_buffer(w, &id);
  assert_status(zcmem_buffer_release(w->buffers, id), b == NULL ? ZCMEM_ENOENT : ZCMEM_OK);
  if (b != NULL) {
    b->references--;
    leave(w, b);
  }
}

void world_call_buffer(struct world *w) {
  uint8_t what = fuzz_byte(w->in);
  if (what == 255) { /* another table; nothing fails meanwhile, since nobody would be told */
    fake.fail_callback_in = 0;
    world_buffers_close(w);
    world_buffers_open(w);
  } else if (what % 8 < 3 || count_buffers(w) == 0) {
    create(w);
  } else if (what % 8 < 5) {
    create_sub(w);
  } else if (what % 8 == 5) {
    retain(w);
  } else if (what < 160) { /* not so often: what is built should be used */
    release(w);
  }
}
