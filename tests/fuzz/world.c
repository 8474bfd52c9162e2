/* SPDX-License-Identifier: MIT */
#include "world.h"

#include "ops.h"

/* ---------------------------------------------------------------------------------------------------- regions -- */

static struct zcmem_region_config open_region(struct world_region *r, enum fake_way way, const char *name,
                                              hal_addr_t base, struct fuzz_input *in) {
  const hal_size_t quantum = (hal_size_t)16 << fuzz_byte(in) % 5;
  const uint32_t quanta = 2u + fuzz_byte(in) % 100u;
  memset(r, 0, sizeof *r);
  r->bytes = (size_t)(quantum * quanta);
  if (base == UINT64_MAX) { /* up to the last address */
    base = 0 - (hal_addr_t)r->bytes;
  }
  struct zcmem_region_config config = fake_region_open(&r->fake, way, name, base, r->bytes);
  config.quantum = quantum;
  config.max_blocks = 1u + fuzz_byte(in) % 40u;
  config.kind = fuzz_byte(in) % 2 == 0 ? ZCMEM_KIND_DRAM : ZCMEM_KIND_MSMC;
  config.magazine_share = (uint32_t)fuzz_byte(in) * 2u % 257u;
  r->host = config.host;
  r->want = malloc(r->bytes);
  assert_non_null(r->want);
  memcpy(r->want, r->fake.memory, r->bytes);
  if (r->fake.view != NULL) {
    r->seen = malloc(r->bytes);
    assert_non_null(r->seen);
    memcpy(r->seen, r->fake.view, r->bytes);
  }
  assert_true(model_init(&r->model, &(struct zcmem_heap_config){base, r->bytes, quantum, config.max_blocks, 0}));
  return config;
}

/* A block of host memory is where an allocator may fail at any time. */
static void *allocate(void *ctx, size_t bytes) {
  return fake_allocator.alloc(ctx, bytes);
}

void world_open(struct world *w, struct fuzz_input *in) {
  static const enum fake_way far_ways[] = {FAKE_OPS, FAKE_READ_WRITE, FAKE_NOTHING, FAKE_OPS};
  static const hal_addr_t bases[] = {0, 1 << 20, 0x1234500, UINT64_C(0xdd00000000000000)};
  uint8_t shape = fuzz_byte(in);
  memset(w, 0, sizeof *w);
  fake_reset();
  w->in = in;
  w->focus = shape / 64u;
  const struct zcmem_host_allocator allocator = {allocate, fake_allocator.free, fake_allocator.ctx};
  const bool magazines = shape % 2 == 0;
  const struct zcmem_hal_config config = {.name = "device",
                                          .max_regions = WORLD_REGIONS,
                                          .max_mappings = WORLD_MAPPINGS,
                                          .bounce_bytes = 16u + fuzz_byte(in),
                                          .lock = magazines ? NULL : &fake_lock,
                                          .allocator = &allocator,
                                          .flags = magazines ? ZCMEM_HAL_MAGAZINES : 0};
  const struct zcmem_region_config regions[WORLD_REGIONS] = {
      open_region(&w->regions[0], FAKE_HOST, "near", bases[shape / 2 % 4], in),
      open_region(&w->regions[1], far_ways[shape / 8 % 4], "far", UINT64_C(0x80000000), in),
      open_region(&w->regions[2], shape & 0x20 ? FAKE_MAP : FAKE_MAP_DIRECT, "window", UINT64_C(0x4000000000), in),
      open_region(&w->regions[3], FAKE_CACHED, "cached", UINT64_MAX, in)};
  assert_ok(zcmem_hal_create(&config, regions, WORLD_REGIONS, &w->hal));
  w->user = malloc(WORLD_USER);
  w->user_want = malloc(WORLD_USER);
  w->scratch = malloc(WORLD_MOST);
  assert_true(w->user != NULL && w->user_want != NULL && w->scratch != NULL);
  memset(w->user, 0x11, WORLD_USER);
  memset(w->user_want, 0x11, WORLD_USER);
  memset(w->scratch, 0, WORLD_MOST);
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) { /* so that there is something to use from the first call on */
    struct world_region *r = &w->regions[i];
    hal_size_t size = r->model.quanta * r->model.quantum / 3;
    hal_addr_t addr = 0;
    enum zcmem_status got = zcmem_mem_alloc(w->hal, i, size, 1, &addr);
    assert_status(got, world_alloc_status(r, size, 1, got));
    if (got == ZCMEM_OK) {
      world_place(w, r, addr, size, 1);
    }
  }
  world_buffers_open(w);
}

/* ------------------------------------------------------------------------------------------------------- ends -- */

static void check_stats(struct world *w, const struct world_region *r) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  const struct model *m = &r->model;
  assert_ok(zcmem_hal_region_stats(w->hal, world_index(w, r), &stats));
  assert_int_equal(stats.live, m->live);
  assert_int_equal(stats.requested, model_requested(m));
  assert_int_equal(stats.in_use, m->occupied * m->quantum);
  assert_int_equal(stats.available, (m->quanta - m->occupied) * m->quantum);
  assert_int_equal(stats.largest, model_largest(m));
  assert_int_equal(stats.allocations, stats.frees + stats.live);
  assert_int_equal(stats.bytes_read, r->read);
  assert_int_equal(stats.bytes_written, r->written);
  assert_int_equal(stats.bytes_copied_out, r->copied_out);
  assert_int_equal(stats.bytes_copied_in, r->copied_in);
  assert_int_equal(stats.bytes_filled, r->filled);
  assert_int_equal(stats.maps, r->maps);
  assert_int_equal(stats.resizes, r->resizes);
}

static void end_uses(struct world *w) {
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    while (w->mappings[i].users > 0) {
      struct world_mapping *mapping = NULL;
      unsigned char *host = w->mappings[i].host;
      assert_ok(world_unmap_wanted(w, host, &mapping));
      assert_ok(zcmem_mem_unmap(w->hal, host));
      world_unmap_done(mapping, false);
    }
  }
}

/* Zombies go with their last pin, live blocks are freed. */
static void end_blocks(struct world *w, struct world_region *r) {
  for (uint32_t i = 0; i < MODEL_QUANTA; i++) {
    struct model_block *block = &r->model.blocks[i];
    hal_addr_t addr = r->model.base + block->first * r->model.quantum;
    bool freed;
    while (block->count != 0 && block->pins > 0) {
      assert_ok(zcmem_mem_unpin(w->hal, addr));
      assert_ok(model_unpin(&r->model, addr, &freed));
    }
    if (block->count != 0) {
      assert_ok(zcmem_mem_free(w->hal, addr));
      assert_ok(model_free(&r->model, addr));
    }
  }
  assert_int_equal(r->model.occupied, 0);
}

void world_close(struct world *w) {
  fake.fail_callback_in = 0;
  fake.fail_alloc_in = 0;
  world_buffers_close(w);
  end_uses(w);
  world_verify(w);
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    check_stats(w, &w->regions[i]);
    end_blocks(w, &w->regions[i]);
    check_stats(w, &w->regions[i]);
  }
  assert_int_equal(zcmem_hal_destroy(w->hal), 0);
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    free(w->regions[i].want);
    free(w->regions[i].seen);
    fake_region_close(&w->regions[i].fake);
  }
  assert_int_equal(fake.allocations, 0);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.locks_held, 0);
  free(w->user);
  free(w->user_want);
  free(w->scratch);
}

/* ---------------------------------------------------------------------------------------------------- compare -- */

static void verify_blocks(struct world *w, const struct world_region *r) {
  struct zcmem_block_info want, got;
  for (uint32_t first = 0; first < r->model.quanta; first++) {
    if (!model_block_at(&r->model, first, &want)) {
      continue;
    }
    enum zcmem_status status = zcmem_mem_info(w->hal, want.addr + want.size - 1, &got);
    if (want.state != ZCMEM_BLOCK_LIVE) {
      assert_status(status, ZCMEM_ENOENT);
      continue;
    }
    assert_ok(status);
    assert_int_equal(got.addr, want.addr);
    assert_int_equal(got.size, want.size);
    assert_int_equal(got.requested, want.requested);
    assert_int_equal(got.state, want.state);
    assert_int_equal(got.pins, want.pins);
    assert_int_equal(got.transfers, want.transfers);
    assert_int_equal(got.tag, want.tag);
  }
}

void world_verify(struct world *w) {
  assert_ok(zcmem_hal_check(w->hal));
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    const struct world_region *r = &w->regions[i];
    assert_memory_equal(r->fake.memory, r->want, r->bytes);
    if (r->seen != NULL) {
      assert_memory_equal(r->fake.view, r->seen, r->bytes);
    }
    verify_blocks(w, r);
  }
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    const struct world_mapping *mapping = &w->mappings[i];
    if (mapping->bytes != NULL) {
      assert_memory_equal(mapping->host, mapping->bytes, (size_t)mapping->size);
    }
    if (mapping->users > 0 || mapping->alias) {
      world_translate(w, mapping->host);
    }
  }
  assert_memory_equal(w->user, w->user_want, WORLD_USER);
  world_buffers_verify(w);
}

void fuzz_hal(struct fuzz_input *in) {
  static struct world w;
  static void (*const calls[8])(struct world *) = {world_call_mem,    world_call_mem,    world_call_transfer,
                                                   world_call_map,    world_call_buffer, world_call_view,
                                                   world_call_buffer, world_call_view};
  world_open(&w, in);
  for (unsigned count = 0; count < FUZZ_MOST_CALLS && fuzz_more(in); count++) {
    uint8_t what = fuzz_byte(in);
    if (what >= 0xf8) { /* the next callbacks but some, or the next allocation, fail */
      fake.fail_callback_in = 1u + (what & 3u);
      fake.fail_alloc_in = what >= 0xfc;
    } else if (what >= 0xf0) {
      check_stats(&w, &w.regions[what % WORLD_REGIONS]);
    } else {
      calls[what % 8](&w);
    }
    world_verify(&w);
  }
  world_close(&w);
}
