/* SPDX-License-Identifier: MIT */
/* Mappings, aliases, translation in both directions; and stores of the host through what it was given. */
#include "world.h"

enum { ALIAS_BYTES = 4096 };

/* Where the host would see aliases; nobody looks there. */
static unsigned char alias_memory[ALIAS_BYTES];

/* ---------------------------------------------------------------------------------------------------- mapping -- */

static struct world_mapping *shared_mapping(struct world *w, hal_addr_t addr, hal_size_t size, unsigned flags) {
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    struct world_mapping *at = &w->mappings[i];
    if (at->users > 0 && at->addr == addr && at->size == size && (at->flags & flags) == flags) {
      return at;
    }
  }
  return NULL;
}

/* In the order of the library's table, so that of two that could be meant the same one is. */
static struct world_mapping *spare_mapping(struct world *w) {
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    if (w->mappings[i].users == 0 && !w->mappings[i].alias) {
      return &w->mappings[i];
    }
  }
  return NULL;
}

void world_map_failed(struct world *w, hal_addr_t addr) {
  struct world_region *r = world_region_of(w, addr);
  bool freed;
  (void)model_unpin(&r->model, addr, &freed);
  if (r->host == NULL) {
    (void)model_end_transfer(&r->model, addr, &freed);
  }
}

enum zcmem_status world_map_wanted(struct world *w, hal_addr_t addr, hal_size_t size, unsigned flags) {
  struct world_region *r = world_region_of(w, addr);
  bool freed;
  if (size == 0 || flags == 0 || flags > (ZCMEM_MAP_READ | ZCMEM_MAP_WRITE)) {
    return ZCMEM_EINVAL;
  }
  enum zcmem_status status = r == NULL ? ZCMEM_ENOENT : model_begin_transfer(&r->model, addr, size);
  if (status != ZCMEM_OK) {
    return status;
  }
  assert_ok(model_pin(&r->model, addr));
  if (r->host != NULL) {
    assert_ok(model_end_transfer(&r->model, addr, &freed));
    return ZCMEM_OK;
  }
  status = !world_can_map(r)                                                          ? ZCMEM_ENOTMAPPED
           : shared_mapping(w, addr, size, flags) == NULL && spare_mapping(w) == NULL ? ZCMEM_ENOMEM
                                                                                      : ZCMEM_OK;
  if (status != ZCMEM_OK) {
    world_map_failed(w, addr);
  }
  return status;
}

void world_map_made(struct world *w, hal_addr_t addr, hal_size_t size, unsigned flags, unsigned char *host) {
  struct world_region *r = world_region_of(w, addr);
  r->maps++;
  if (r->host != NULL) {
    assert_ptr_equal(host, r->host + (size_t)(addr - r->fake.base));
    return;
  }
  struct world_mapping *mapping = shared_mapping(w, addr, size, flags);
  if (mapping != NULL) {
    assert_ptr_equal(host, mapping->host);
    mapping->users++;
    return;
  }
  mapping = spare_mapping(w);
  *mapping = (struct world_mapping){
      .users = 1, .region = r, .addr = addr, .size = size, .flags = flags, .host = host, .bytes = NULL};
  if (r->fake.way != FAKE_MAP_DIRECT) {
    mapping->bytes = malloc((size_t)size);
    assert_non_null(mapping->bytes);
    memset(mapping->bytes, 0x77, (size_t)size);
    if ((flags & ZCMEM_MAP_READ) != 0) {
      memcpy(mapping->bytes, world_want(r, addr), (size_t)size);
    }
  } else {
    assert_ptr_equal(host, fake_at(&r->fake, addr));
  }
}

enum zcmem_status world_unmap_wanted(struct world *w, unsigned char *host, struct world_mapping **mapping) {
  bool freed;
  *mapping = NULL;
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    struct world_region *r = &w->regions[i];
    if (r->host != NULL && (uintptr_t)host - (uintptr_t)r->host < r->bytes) {
      hal_addr_t addr = r->fake.base + ((uintptr_t)host - (uintptr_t)r->host);
      return model_unpin(&r->model, addr, &freed) == ZCMEM_OK ? ZCMEM_OK : ZCMEM_ENOTMAPPED;
    }
  }
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    struct world_mapping *at = &w->mappings[i], *best = *mapping;
    if (at->users > 0 && at->host == host &&
        (best == NULL || at->size < best->size || (at->size == best->size && at->flags < best->flags))) {
      *mapping = at;
    }
  }
  return *mapping == NULL ? ZCMEM_ENOTMAPPED : ZCMEM_OK;
}

void world_unmap_done(struct world_mapping *mapping, bool struck) {
  bool freed;
  if (mapping == NULL) {
    return;
  }
  struct world_region *r = mapping->region;
  if (--mapping->users == 0) {
    if (mapping->bytes != NULL && (mapping->flags & ZCMEM_MAP_WRITE) != 0 && !struck) {
      memcpy(world_want(r, mapping->addr), mapping->bytes, (size_t)mapping->size);
    }
    free(mapping->bytes);
    mapping->bytes = NULL;
  }
  /* An unpin too many may have come before: then the pin is gone, and the transfer is what is left to end. */
  (void)model_unpin(&r->model, mapping->addr, &freed);
  (void)model_end_transfer(&r->model, mapping->addr, &freed);
}

static void map_one(struct world *w) {
  hal_addr_t addr = world_addr(w);
  hal_size_t size = world_size(w, addr);
  unsigned flags = fuzz_byte(w->in) % 16u == 15 ? fuzz_byte(w->in) : 1u + fuzz_byte(w->in) % 3u;
  const struct world_mapping *again = world_draw_mapping(w, fuzz_byte(w->in));
  void *host = NULL;
  if (again != NULL && fuzz_byte(w->in) % 2 == 0) { /* the same range once more, or some of it */
    addr = again->addr;
    size = fuzz_byte(w->in) % 4 == 0 ? fuzz_below(w->in, again->size + 1) : again->size;
  }
  enum zcmem_status want = world_map_wanted(w, addr, size, flags);
  world_begin(w);
  enum zcmem_status got = zcmem_mem_map(w->hal, addr, size, flags, &host);
  if (world_struck(w)) {
    assert_ok(want);
    assert_status(got, ZCMEM_EIO);
    world_map_failed(w, addr);
  } else {
    assert_status(got, want);
  }
  if (got == ZCMEM_OK) {
    world_map_made(w, addr, size, flags, host);
  } else {
    assert_null(host);
  }
}

static void unmap_one(struct world *w) {
  unsigned char *host = world_pointer(w);
  struct world_mapping *mapping = NULL;
  enum zcmem_status want = world_unmap_wanted(w, host, &mapping);
  world_begin(w);
  enum zcmem_status got = zcmem_mem_unmap(w->hal, host);
  bool struck = world_struck(w);
  assert_status(got, struck ? ZCMEM_EIO : want);
  world_unmap_done(mapping, struck);
}

/* The host stores a few bytes at what it was given. */
static void store(struct world *w) {
  unsigned char *host = world_pointer(w), value = fuzz_byte(w->in);
  uint32_t region = fuzz_byte(w->in) % 2 == 0 ? 0 : 3;
  struct world_mapping *mapping = world_draw_mapping(w, fuzz_byte(w->in));
  struct world_region *r = &w->regions[region];
  size_t at = (size_t)((uintptr_t)host - (uintptr_t)r->host);
  if (mapping != NULL && mapping->users > 0 && (mapping->flags & ZCMEM_MAP_WRITE) != 0) {
    size_t offset = (size_t)fuzz_below(w->in, mapping->size);
    mapping->host[offset] = value;
    *(mapping->bytes != NULL ? mapping->bytes + offset : world_want(mapping->region, mapping->addr + offset)) = value;
  } else if (at < r->bytes) {
    *host = value;
    *(r->seen != NULL ? r->seen + at : r->want + at) = value;
  } else if (host != NULL && (uintptr_t)host - (uintptr_t)w->user < WORLD_USER) {
    *host = value;
    w->user_want[host - w->user] = value;
  }
}

/* ---------------------------------------------------------------------------------------------------- aliases -- */

static bool overlaps(const unsigned char *a, hal_size_t a_size, const unsigned char *b, hal_size_t b_size) {
  return (uintptr_t)a - (uintptr_t)b < b_size || (uintptr_t)b - (uintptr_t)a < a_size;
}

static void add_alias(struct world *w) {
  uint32_t index = fuzz_byte(w->in) % 4u, aliases = 0; /* the cached one sees each of its pointers */
  struct world_region *r = &w->regions[index];
  hal_size_t offset = fuzz_below(w->in, r->bytes + 1), size = fuzz_size(w->in, 16, r->bytes - offset);
  unsigned char *host = alias_memory + fuzz_below(w->in, ALIAS_BYTES);
  bool taken = false;
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    const struct world_mapping *at = &w->mappings[i];
    taken = taken || (at->alias && overlaps(host, size, at->host, at->size));
    aliases += at->alias;
  }
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    const struct world_region *at = &w->regions[i];
    taken = taken || (at->host != NULL && overlaps(host, size, at->host, at->bytes));
  }
  if (index == 3 || aliases == 2 || fuzz_byte(w->in) % 8 != 0) { /* they stay, and take the mappings' room */
    return;
  }
  bool valid = size > 0 && size <= r->bytes - offset && size - 1 <= UINTPTR_MAX - (uintptr_t)host;
  bool full = spare_mapping(w) == NULL;
  enum zcmem_status got = zcmem_hal_add_alias(w->hal, index, offset, size, host);
  if (!valid) {
    assert_status(got, ZCMEM_EINVAL);
  } else if (full || taken) {
    assert_true((full && got == ZCMEM_ENOMEM) || (taken && got == ZCMEM_EOVERLAP));
  } else {
    assert_ok(got);
    *spare_mapping(w) =
        (struct world_mapping){.alias = true, .region = r, .addr = r->fake.base + offset, .size = size, .host = host};
  }
}

/* ------------------------------------------------------------------------------------------------ translation -- */

static void to_host(struct world *w) {
  struct world_region *r = NULL;
  hal_addr_t addr = world_addr(w);
  hal_size_t size = world_size(w, addr);
  void *host = NULL;
  enum zcmem_status want = world_reach(w, addr, size, &r);
  want = want == ZCMEM_OK && r->host == NULL ? ZCMEM_ENOTMAPPED : want;
  assert_status(zcmem_mem_host(w->hal, addr, size, &host), want);
  assert_ptr_equal(host, want == ZCMEM_OK ? r->host + (size_t)(addr - r->fake.base) : NULL);
}

struct world_region *world_lead(struct world *w, const unsigned char *host, hal_addr_t *addr, hal_size_t *mapped) {
  struct world_region *found = NULL;
  for (uint32_t i = 0; i < WORLD_REGIONS; i++) {
    struct world_region *r = &w->regions[i];
    if (r->host != NULL && (uintptr_t)host - (uintptr_t)r->host < r->bytes) {
      *addr = r->fake.base + ((uintptr_t)host - (uintptr_t)r->host);
      *mapped = UINT64_MAX;
      return r;
    }
  }
  *mapped = 0;
  for (uint32_t i = 0; i < WORLD_MAPPINGS; i++) {
    const struct world_mapping *at = &w->mappings[i];
    hal_size_t offset = (uintptr_t)host - (uintptr_t)at->host;
    if ((at->users > 0 || at->alias) && offset < at->size && at->size - offset > *mapped) {
      *addr = at->addr + offset;
      *mapped = at->size - offset;
      found = at->region;
    }
  }
  return found;
}

void world_translate(struct world *w, const unsigned char *host) {
  hal_addr_t addr = 0, got_addr = 0;
  hal_size_t mapped = 0, remaining = 0;
  struct zcmem_block_info block;
  struct zcmem_place place;
  const struct world_region *r = world_lead(w, host, &addr, &mapped);
  enum zcmem_status want = r == NULL ? ZCMEM_ENOTMAPPED : model_find(&r->model, addr, &block);
  assert_status(zcmem_mem_device(w->hal, host, &got_addr, &remaining), want);
  assert_status(zcmem_mem_locate(w->hal, host, &place), want);
  if (want != ZCMEM_OK) {
    return;
  }
  hal_size_t rest = addr - block.addr < block.requested ? block.requested - (addr - block.addr) : 0;
  assert_int_equal(got_addr, addr);
  assert_int_equal(remaining, rest < mapped ? rest : mapped);
  assert_int_equal(place.region, world_index(w, r));
  assert_int_equal(place.addr, addr);
  assert_int_equal(place.remaining, remaining);
  assert_int_equal(place.block, block.addr);
  assert_int_equal(place.requested, block.requested);
}

void world_call_map(struct world *w) {
  switch (fuzz_byte(w->in) % 8) {
  case 0:
  case 1:
    map_one(w);
    break;
  case 2:
  case 3:
    unmap_one(w);
    break;
  case 4:
    to_host(w);
    break;
  case 5:
    world_translate(w, world_pointer(w));
    break;
  case 6:
    store(w);
    break;
  default:
    add_alias(w);
    break;
  }
}
