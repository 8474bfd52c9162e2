/* SPDX-License-Identifier: MIT */
/*
 * The world of the fault tests: a HAL with two regions of any way, each with a witness whose bytes nothing may touch
 * and a target; a table of buffers; a bare heap; and what can be seen of all that.
 */
#include "faults.h"
#include <stdalign.h>

struct faults_world faults;

static alignas(64) unsigned char heap_image[FAULTS_IMAGE];

static void on_report(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)function;
  (void)ptr;
  (void)size;
  assert_int_equal(fake.locks_held, 0);
  *(enum zcmem_status *)ctx = status;
}

static hal_addr_t alloc(uint32_t region) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(faults.hal, region, FAULTS_BYTES, 1, &addr));
  return addr;
}

static void open_hal(enum fake_way way, enum fake_way other_way) {
  struct zcmem_region_config configs[2];
  const struct zcmem_hal_config config = {.name = "fake",
                                          .max_regions = 3,
                                          .max_mappings = FAULTS_MAX_MAPPINGS,
                                          .bounce_bytes = 64,
                                          .lock = faults.magazines ? NULL : &fake_lock,
                                          .allocator = &fake_allocator,
                                          .flags = faults.magazines ? ZCMEM_HAL_MAGAZINES : 0};
  configs[0] = fake_region_open(&faults.regions[0], way, "first", UINT64_C(1) << 32, FAULTS_REGION);
  configs[1] = fake_region_open(&faults.regions[1], other_way, "second", UINT64_C(2) << 32, FAULTS_REGION);
  configs[0].magazine_share = configs[1].magazine_share = 256;
  configs[0].max_blocks = FAULTS_MAX_BLOCKS;
  configs[1].max_blocks = FAULTS_MAX_BLOCKS;
  assert_ok(zcmem_hal_create(&config, configs, 2, &faults.hal));
}

static void open_heap(void) {
  const struct zcmem_heap_config config = {.base = 0x10000, .size = 4096, .max_blocks = FAULTS_MAX_BLOCKS};
  assert_true(zcmem_heap_bytes(&config) <= sizeof heap_image);
  memset(heap_image, 0, sizeof heap_image);
  assert_ok(zcmem_heap_init(heap_image, sizeof heap_image, &config, &faults.heap));
  assert_ok(zcmem_heap_alloc(faults.heap, FAULTS_BYTES, 1, &faults.addr_in_heap));
}

void faults_open(enum fake_way way, enum fake_way other_way, bool magazines) {
  memset(&faults, 0, sizeof faults);
  faults.magazines = magazines;
  fake_reset();
  faults_watch(true);
  open_hal(way, other_way);
  open_heap();
  const struct zcmem_buffers_config config = {
      .hal = faults.hal, .max_buffers = FAULTS_MAX_BUFFERS, .max_views = FAULTS_MAX_VIEWS};
  size_t bytes = (zcmem_buffers_bytes(&config) + 63) / 64 * 64;
  faults.table = aligned_alloc(64, bytes);
  assert_non_null(faults.table);
  assert_ok(zcmem_buffers_init(faults.table, bytes, &config, &faults.buffers));
  assert_ok(zcmem_malloc_set_hal(faults.hal));
  zcmem_malloc_set_handler(on_report, &faults.told);
  (void)alloc(0); /* the witnesses */
  (void)alloc(1);
  faults.addr = alloc(0);
  faults.other = alloc(1);
  memset(fake_at(&faults.regions[0], faults.addr), 0x11, FAULTS_BYTES);
  memset(fake_at(&faults.regions[1], faults.other), 0x22, FAULTS_BYTES);
  for (size_t i = 0; i < sizeof faults.bytes; i++) {
    faults.bytes[i] = (unsigned char)(i * 7 + 3);
  }
}

void faults_transfer_once(void) {
  for (unsigned i = 0; i < 2; i++) {
    unsigned char byte = 0;
    hal_addr_t addr = faults.regions[i].base;
    (void)zcmem_mem_read(faults.hal, &byte, addr, 1);
    faults.regions[i].inside = NULL;
  }
}

void faults_close(bool spoilt) {
  assert_int_equal(fake.locks_held, 0);
  assert_ok(zcmem_hal_check(faults.hal));
  assert_ok(zcmem_heap_check(faults.heap));
  assert_true(zcmem_buffers_destroy(faults.buffers) <= (spoilt ? FAULTS_MAX_BUFFERS : 0));
  free(faults.table);
  assert_ok(zcmem_malloc_set_hal(NULL));
  zcmem_malloc_set_handler(NULL, NULL);
  (void)zcmem_hal_destroy(faults.hal);
  fake_region_close(&faults.regions[0]); /* asserts that nothing is mapped */
  fake_region_close(&faults.regions[1]);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
  assert_int_equal(faults_host_memory(), 0);
  faults_watch(false);
}

/* -------------------------------------------------------------------------------------------------- looking -- */

static unsigned char *copy_of(const void *bytes, size_t size) {
  unsigned char *copy = bytes == NULL ? NULL : malloc(size);
  if (bytes != NULL) {
    assert_non_null(copy);
    memcpy(copy, bytes, size);
  }
  return copy;
}

struct listing {
  struct zcmem_block_info *blocks;
  size_t count;
};

static bool note_block(void *ctx, const struct zcmem_block_info *info) {
  struct listing *listing = ctx;
  if (info->state == ZCMEM_BLOCK_LIVE || info->state == ZCMEM_BLOCK_ZOMBIE) {
    assert_true(listing->count < FAULTS_MAX_BLOCKS);
    listing->blocks[listing->count++] = *info;
  }
  return true;
}

static void look_at_buffer(zcmem_buffer_t buffer, struct zcmem_buffer_info *info) {
  if (buffer != 0 && zcmem_buffer_get_info(faults.buffers, buffer, info) != ZCMEM_OK) {
    memset(info, 0xff, sizeof *info);
  }
}

void faults_look(struct faults_look *look) {
  memset(look, 0, sizeof *look);
  for (unsigned i = 0; i < 2; i++) {
    const struct zcmem__region *region = &faults.hal->regions[i];
    struct listing listing = {look->blocks[i], 0};
    look->images[i] = copy_of(region->heap, region->image_bytes);
    if (faults.virgin) {
      ((struct zcmem_heap *)(void *)look->images[i])->shared = 0;
    }
    look->memory[i] = copy_of(faults.regions[i].memory, FAULTS_REGION);
    look->view[i] = copy_of(faults.regions[i].view, FAULTS_REGION);
    look->stats[i].struct_bytes = sizeof look->stats[i];
    assert_ok(zcmem_hal_region_stats(faults.hal, i, &look->stats[i]));
    assert_ok(zcmem_heap_walk(region->heap, note_block, &listing));
    look->mapped[i] = faults.regions[i].mapped;
  }
  look->images[2] = copy_of(heap_image, sizeof heap_image);
  look->buffers.struct_bytes = sizeof look->buffers;
  assert_ok(zcmem_buffers_get_stats(faults.buffers, &look->buffers));
  look_at_buffer(faults.buffer, &look->infos[0]);
  look_at_buffer(faults.sub, &look->infos[1]);
  for (uint32_t i = 0; i < FAULTS_MAX_MAPPINGS; i++) {
    const struct zcmem__mapping *entry = &faults.hal->map.entries[i];
    enum zcmem__mapping_state state = zcmem__mapping_state_of(entry);
    look->mappings += state != ZCMEM__MAPPING_FREE;
    look->mapping_users += state == ZCMEM__MAPPING_LIVE ? entry->users : 0;
  }
  look->allocations = faults.magazines ? 0 : fake.allocations; /* magazines are made when they are first needed */
  look->locks_made = fake.locks_made;
  look->host_memory = faults_host_memory();
}

void faults_look_away(struct faults_look *look) {
  for (unsigned i = 0; i < 3; i++) {
    free(look->images[i]);
  }
  for (unsigned i = 0; i < 2; i++) {
    free(look->memory[i]);
    free(look->view[i]);
  }
}

/* Of a region's memory, the target's bytes or all others. */
static bool same_bytes(const unsigned char *a, const unsigned char *b, unsigned region, bool target) {
  size_t at = (size_t)((region == 0 ? faults.addr : faults.other) - faults.regions[region].base);
  if (a == NULL) {
    return true;
  }
  return target ? memcmp(a + at, b + at, FAULTS_BYTES) == 0
                : memcmp(a, b, at) == 0 && memcmp(a + at + FAULTS_BYTES, b + at + FAULTS_BYTES,
                                                  (size_t)(FAULTS_REGION - at - FAULTS_BYTES)) == 0;
}

static bool same_counters(const struct zcmem_region_stats *a, const struct zcmem_region_stats *b) {
  return a->bytes_read == b->bytes_read && a->bytes_written == b->bytes_written &&
         a->bytes_copied_out == b->bytes_copied_out && a->bytes_copied_in == b->bytes_copied_in &&
         a->bytes_filled == b->bytes_filled && a->allocations == b->allocations && a->frees == b->frees &&
         a->resizes == b->resizes && a->maps == b->maps && a->deferred_frees == b->deferred_frees && a->peak == b->peak;
}

static bool same_figures(const struct zcmem_region_stats *a, const struct zcmem_region_stats *b) {
  return a->in_use == b->in_use && a->requested == b->requested && a->live == b->live && a->available == b->available &&
         a->largest == b->largest;
}

static const char *compare_region(const struct faults_look *a, const struct faults_look *b, unsigned i,
                                  unsigned parts) {
  size_t image_bytes = faults.hal->regions[i].image_bytes;
  if ((parts & FAULTS_IMAGES) != 0 && memcmp(a->images[i], b->images[i], image_bytes) != 0) {
    return "a region's image";
  }
  if ((parts & FAULTS_FIGURES) != 0 && !same_figures(&a->stats[i], &b->stats[i])) {
    return "a region's figures";
  }
  if ((parts & FAULTS_FIGURES) != 0 && memcmp(a->blocks[i], b->blocks[i], sizeof a->blocks[i]) != 0) {
    return "the blocks that are live";
  }
  if ((parts & FAULTS_COUNTERS) != 0 && !same_counters(&a->stats[i], &b->stats[i])) {
    return "a region's counters";
  }
  if ((parts & FAULTS_WITNESS) != 0 && memcmp(a->memory[i], b->memory[i], FAULTS_BYTES) != 0) {
    return "bytes of a witness";
  }
  if ((parts & FAULTS_MEMORY) != 0 &&
      !(same_bytes(a->memory[i], b->memory[i], i, false) && same_bytes(a->view[i], b->view[i], i, false))) {
    return "bytes that are not the target's";
  }
  if ((parts & FAULTS_TARGET) != 0 && !same_bytes(a->memory[i], b->memory[i], i, true)) {
    return "bytes of the target";
  }
  return (parts & FAULTS_TABLES) != 0 && a->mapped[i] != b->mapped[i] ? "ranges mapped" : NULL;
}

static const char *compare_tables(const struct faults_look *a, const struct faults_look *b, bool counters) {
  if (a->buffers.buffers != b->buffers.buffers || a->buffers.views != b->buffers.views) {
    return "the number of buffers or views";
  }
  if (counters && (a->buffers.begins != b->buffers.begins || a->buffers.maps != b->buffers.maps ||
                   a->buffers.bytes_copied_in != b->buffers.bytes_copied_in ||
                   a->buffers.bytes_copied_out != b->buffers.bytes_copied_out ||
                   a->buffers.copies_avoided != b->buffers.copies_avoided ||
                   a->buffers.bytes_avoided != b->buffers.bytes_avoided)) {
    return "the counters of buffers";
  }
  for (unsigned i = 0; i < 2; i++) {
    const struct zcmem_buffer_info *of_a = &a->infos[i], *of_b = &b->infos[i];
    if (of_a->flags != of_b->flags || of_a->references != of_b->references || of_a->views != of_b->views ||
        of_a->parent != of_b->parent || of_a->offset != of_b->offset || of_a->size != of_b->size ||
        of_a->addr != of_b->addr) {
      return "what a buffer is";
    }
  }
  return a->mappings != b->mappings || a->mapping_users != b->mapping_users ? "the number of mappings"
         : a->allocations != b->allocations                                 ? "the allocator's memory"
         : a->locks_made != b->locks_made                                   ? "the number of locks"
         : a->host_memory != b->host_memory                                 ? "host memory"
                                                                            : NULL;
}

const char *faults_compare(const struct faults_look *a, const struct faults_look *b, unsigned parts) {
  const char *wrong = compare_region(a, b, 0, parts);
  wrong = wrong == NULL ? compare_region(a, b, 1, parts) : wrong;
  if (wrong == NULL && (parts & FAULTS_IMAGES) != 0 && memcmp(a->images[2], b->images[2], sizeof heap_image) != 0) {
    wrong = "the heap's image";
  }
  if (wrong == NULL && (parts & FAULTS_TABLES) != 0) {
    wrong = compare_tables(a, b, (parts & FAULTS_COUNTERS) != 0);
  }
  return wrong;
}

static const struct zcmem_block_info *block_in(const struct faults_look *look, unsigned region, hal_addr_t addr) {
  for (unsigned k = 0; k < FAULTS_MAX_BLOCKS; k++) {
    if (look->blocks[region][k].addr == addr) {
      return &look->blocks[region][k];
    }
  }
  return NULL;
}

bool faults_has_moved(const struct faults_look *before, const struct faults_look *after,
                      const struct faults_look *now) {
  for (unsigned i = 0; i < 2; i++) {
    for (unsigned k = 0; k < FAULTS_MAX_BLOCKS && before->blocks[i][k].addr != 0; k++) {
      hal_addr_t addr = before->blocks[i][k].addr;
      const struct zcmem_block_info *is = block_in(now, i, addr);
      if (block_in(after, i, addr) == NULL && (is == NULL || is->state != ZCMEM_BLOCK_LIVE)) {
        return true;
      }
    }
  }
  return false;
}

unsigned faults_end_uses(const struct faults_look *look) {
  struct faults_look now;
  unsigned ended = 0;
  faults_look(&now);
  for (unsigned i = 0; i < 2; i++) {
    for (unsigned k = 0; k < FAULTS_MAX_BLOCKS && now.blocks[i][k].addr != 0; k++) {
      const struct zcmem_block_info *block = &now.blocks[i][k];
      const struct zcmem_block_info *was = block_in(look, i, block->addr);
      uint32_t pins = was == NULL ? 0 : was->pins, transfers = was == NULL ? 0 : was->transfers;
      for (uint32_t n = pins; n < block->pins; n++, ended++) {
        assert_ok(zcmem_heap_unpin(faults.hal->regions[i].heap, block->addr, NULL));
      }
      for (uint32_t n = transfers; n < block->transfers; n++, ended++) {
        assert_ok(zcmem_heap_end_transfer(faults.hal->regions[i].heap, block->addr, NULL));
      }
      if (was == NULL && block->state == ZCMEM_BLOCK_LIVE) {
        assert_ok(zcmem_heap_free(faults.hal->regions[i].heap, block->addr));
        ended++;
      }
    }
  }
  faults_look_away(&now);
  return ended;
}
