/* SPDX-License-Identifier: MIT */
#include "explore_world.h"
#include "hal_impl.h"
#include "magazines_check.h"
#include <string.h>

struct world *world;

/* What the host sees; nobody stores anything there. */
static _Alignas(128) unsigned char memory[2 * WORLD_BYTES];

/* ------------------------------------------------------------------------------------------------------ its parts --
 */

static void *world_alloc(void *ctx, size_t bytes) {
  (void)ctx;
  return explore_alloc(bytes);
}

/* Nothing is used twice, so that a use after a free is seen. */
static void world_free(void *ctx, void *freed, size_t bytes) {
  (void)ctx;
  memset(freed, 0xdd, bytes);
}

enum { ROOM = 8 * 128 };

static const struct zcmem_host_allocator allocator = {.alloc = world_alloc, .free = world_free};

struct range {
  hal_addr_t addr;
  hal_size_t size;
};

/* The block is there, and its range; and a transfer is counted. */
static void look(void *ctx) {
  const struct range *range = ctx;
  struct zcmem_heap *heap = world->hal->regions[0].heap;
  uint32_t quantum = 0;
  explore_expect(zcmem__heap_quantum(heap, range->addr, &quantum), "a transfer outside of the region");
  const struct zcmem__block *block = zcmem__block(heap, zcmem__index_holder(heap, quantum));
  enum zcmem__state state = zcmem__block_state(block);
  uint64_t offset = range->addr - zcmem__heap_addr(heap, block->start);
  explore_expect(state == ZCMEM__LIVE || state == ZCMEM__ZOMBIE, "a transfer into a block that is not live");
  explore_expect((block->use / ZCMEM__TRANSFER & ZCMEM__USE_MASK) > 0, "a transfer that the block does not count");
  explore_expect(offset + range->size <= zcmem__heap_bytes_of(heap, block->size) - block->slack,
                 "a transfer beyond what was asked for");
}

/* What a driver does with the range takes its time. */
static int work(hal_addr_t addr, hal_size_t size) {
  struct range range = {.addr = addr, .size = size};
  explore_quietly(look, &range);
  explore_yield();
  explore_quietly(look, &range);
  return 0;
}

static int fill(void *ctx, hal_addr_t dst, const void *pattern, hal_size_t pattern_size, hal_size_t size) {
  (void)ctx;
  (void)pattern;
  (void)pattern_size;
  return work(dst, size);
}

/* What is written says of which block: the one that the handle is of. */
static int write_by_handle(void *ctx, hal_addr_t dst, const void *src, hal_size_t size) {
  struct zcmem_block_info block = {0};
  int wrong = work(dst, size);
  (void)ctx;
  explore_expect(zcmem_heap_find(world->hal->regions[0].heap, dst, &block) == ZCMEM_OK &&
                     memcmp(&block.tag, src, sizeof block.tag) == 0,
                 "a transfer by a handle into another block");
  return wrong;
}

/* A pointer that depends on the address only. */
static int map(void *ctx, hal_addr_t addr, hal_size_t size, unsigned flags, void **host) {
  (void)ctx;
  (void)flags;
  world->windows++;
  *host = world->memory + (addr - WORLD_BASE);
  return work(addr, size);
}

static int unmap(void *ctx, hal_addr_t addr, hal_size_t size, void *host) {
  (void)ctx;
  (void)host;
  world->windows--;
  return work(addr, size);
}

static const struct zcmem_region_ops filled = {.fill = fill}, mapped = {.fill = fill, .map = map, .unmap = unmap},
                                     written = {.write = write_by_handle};

static void destroy(void) {
  (void)zcmem_hal_destroy(world->hal);
}

static void make(bool magazines, const struct zcmem_region_ops *ops, uint32_t flags) {
  world = explore_alloc(sizeof *world);
  world->memory = memory;
  const struct zcmem_hal_config config = {.name = "device",
                                          .max_regions = 2,
                                          .max_mappings = 2,
                                          .allocator = &allocator,
                                          .flags = magazines ? ZCMEM_HAL_MAGAZINES : 0};
  const struct zcmem_region_config region = {.name = "dram",
                                             .kind = ZCMEM_KIND_DRAM,
                                             .flags = ZCMEM_REGION_COHERENT | flags,
                                             .base = WORLD_BASE,
                                             .size = WORLD_BYTES,
                                             .max_blocks = 32,
                                             .magazine_share = 256,
                                             .host = ops == &filled ? world->memory : NULL,
                                             .ops = ops};
  assert_ok(zcmem_hal_create(&config, &region, 1, &world->hal));
  explore_at_end(destroy);
}

void world_make(bool magazines) {
  make(magazines, &filled, 0);
}

void world_make_windows(bool magazines) {
  make(magazines, &mapped, 0);
}

void world_make_for_contexts(bool magazines) {
  make(magazines, &filled, ZCMEM_REGION_CONTEXTS);
}

void world_make_for_handles(void) {
  make(false, &written, ZCMEM_REGION_HANDLES);
}

void world_open_context(unsigned context) {
  const struct zcmem_context_config config = {.hal = world->hal, .blocks = 1};
  size_t bytes = zcmem_context_bytes(&config);
  assert_ok(zcmem_context_init(explore_alloc(bytes), bytes, &config, &world->context[context]));
}

struct zcmem_region_config world_next_region(void) {
  return (struct zcmem_region_config){.name = "next",
                                      .kind = ZCMEM_KIND_DRAM,
                                      .flags = ZCMEM_REGION_COHERENT,
                                      .base = WORLD_BASE + WORLD_BYTES,
                                      .size = WORLD_BYTES,
                                      .max_blocks = 4,
                                      .magazine_share = 256,
                                      .host = world->memory + WORLD_BYTES,
                                      .ops = &filled};
}

void world_attach(void) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(world->hal, 0, ROOM, 1, &addr)); /* what is kept once may be kept again */
  assert_ok(zcmem_mem_free(world->hal, addr));
  assert_ok(zcmem_mem_alloc(world->hal, 0, ROOM, 1, &addr));
  assert_ok(zcmem_mem_free_batch(world->hal, &addr, 1, NULL)); /* to the heap */
  assert_ok(zcmem_mem_alloc(world->hal, 0, 100, 1, &addr));
  assert_ok(zcmem_mem_free(world->hal, addr));
}

/* Frees more than it may keep, when others have just looked for a bundle. */
void world_make_bundle(void) {
  enum { BLOCKS = 10 };
  hal_addr_t addr[BLOCKS];
  for (unsigned i = 0; i < BLOCKS; i++) {
    assert_ok(zcmem_mem_alloc(world->hal, 0, 200, 1, &addr[i]));
  }
  for (unsigned i = 0; i < BLOCKS; i++) {
    assert_ok(zcmem_mem_free(world->hal, addr[i]));
  }
  const struct zcmem__depot *depot = world->hal->regions[0].depot;
  explore_expect(depot->top != 0, "there is no bundle");
  const struct zcmem__bundle *bundle = &depot->bundles[depot->top];
  for (unsigned i = bundle->count; i > 0; i--) {
    if (bundle->size[i - 1] == 2) { /* the first one is the last to be loaded */
      world->slot[1] = WORLD_BASE + (hal_addr_t)128 * bundle->ticket[i - 1].start;
    }
  }
  explore_expect(world->slot[1] != 0, "there is no block of two quanta in the bundle");
}

void world_no_kernel_barrier(void) {
  zcmem__barrier_kernel = false;
}

void world_come_by(void) {
  assert_status(zcmem_mem_pin(world->hal, WORLD_BASE), ZCMEM_ENOENT);
}

/* ----------------------------------------------------------------------------------------------------- operations --
 */

static void handed_out(hal_addr_t addr) {
  explore_expect(world->allocations < WORLD_MOVES, "too many allocations for this world");
  world->allocated[world->allocations++] = addr;
}

static void let_go(hal_addr_t addr) {
  if (addr == HAL_NULLPTR) { /* of an allocation that failed */
    return;
  }
  explore_expect(world->frees < WORLD_MOVES, "too many frees for this world");
  world->freed[world->frees++] = addr;
}

void op_alloc(unsigned slot, hal_size_t size) {
  hal_addr_t addr = 0;
  explore_op();
  enum zcmem_status status = zcmem_mem_alloc(world->hal, 0, size, 1, &addr);
  if (status == ZCMEM_OK) {
    world->slot[slot] = addr;
    handed_out(addr);
  }
  explore_expect(status == ZCMEM_OK || explore_running(), "there is no room for what a scenario needs");
  explore_status("alloc", status);
}

void op_free(unsigned slot) {
  explore_op();
  hal_addr_t addr = world->slot[slot]; /* which another thread's alloc may change */
  enum zcmem_status status = zcmem_mem_free(world->hal, addr);
  if (status == ZCMEM_OK) {
    let_go(addr);
  }
  explore_status("free", status);
}

void op_context_alloc(unsigned context, unsigned slot, hal_size_t size) {
  hal_addr_t addr = 0;
  explore_op();
  enum zcmem_status status = zcmem_context_alloc(world->context[context], 0, size, 1, &addr);
  if (status == ZCMEM_OK) {
    world->slot[slot] = addr;
    handed_out(addr);
  }
  explore_expect(status == ZCMEM_OK || explore_running(), "there is no room for what a scenario needs");
  explore_status("context_alloc", status);
}

void op_context_free(unsigned context, unsigned slot) {
  explore_op();
  hal_addr_t addr = world->slot[slot]; /* which another thread's alloc may change */
  enum zcmem_status status = zcmem_context_free(world->context[context], addr);
  if (status == ZCMEM_OK) {
    let_go(addr);
  }
  explore_status("context_free", status);
}

void op_context_destroy(unsigned context) {
  explore_op();
  explore_status("context_destroy", zcmem_context_destroy(world->context[context]));
}

void op_free_deferred(unsigned slot) {
  explore_op();
  hal_addr_t addr = world->slot[slot]; /* which another thread's alloc may change */
  enum zcmem_status status = zcmem_mem_free_deferred(world->hal, addr);
  if (status == ZCMEM_OK) {
    let_go(addr);
  }
  explore_status("free_deferred", status);
}

void op_resize(unsigned slot, hal_size_t size) {
  explore_op();
  explore_status("resize", zcmem_mem_resize(world->hal, world->slot[slot], size));
}

void op_pin(unsigned slot) {
  explore_op();
  explore_status("pin", zcmem_mem_pin(world->hal, world->slot[slot]));
}

void op_unpin(unsigned slot) {
  explore_op();
  explore_status("unpin", zcmem_mem_unpin(world->hal, world->slot[slot]));
}

void op_fill(unsigned slot, hal_size_t size) {
  explore_op();
  explore_status("fill", zcmem_mem_fill(world->hal, world->slot[slot], "x", 1, size));
}

void op_handle(unsigned slot) {
  explore_op();
  explore_status("handle", zcmem_mem_handle(world->hal, world->slot[slot], &world->handle[slot]));
}

void op_check_handle(unsigned slot) {
  explore_op();
  explore_status("check_handle", zcmem_mem_check_handle(world->hal, world->handle[slot]));
}

void op_write_handle(unsigned slot, hal_size_t size) {
  unsigned char src[256] = {0};
  explore_expect(size >= sizeof(uint32_t) && size <= sizeof src, "no such write in this world");
  memcpy(src, &world->handle[slot].generation, sizeof(uint32_t));
  explore_op();
  explore_status("write_handle", zcmem_mem_write_handle(world->hal, world->handle[slot], 0, src, size));
}

void op_free_handle(unsigned slot) {
  hal_addr_t addr = world->handle[slot].addr;
  explore_op();
  enum zcmem_status status = zcmem_mem_free_handle(world->hal, world->handle[slot]);
  if (status == ZCMEM_OK) {
    let_go(addr);
  }
  explore_status("free_handle", status);
}

void op_pin_handle(unsigned slot) {
  explore_op();
  explore_status("pin_handle", zcmem_mem_pin_handle(world->hal, world->handle[slot]));
}

void op_info(unsigned slot) {
  struct zcmem_block_info info = {0};
  explore_op();
  enum zcmem_status status = zcmem_mem_info(world->hal, world->slot[slot], &info);
  explore_status("info", status);
  if (status == ZCMEM_OK) {
    explore_answer("addr", info.addr);
    explore_answer("requested", info.requested);
    explore_answer("tag", info.tag);
  }
}

void op_tag(unsigned slot, uint32_t tag) {
  explore_op();
  explore_status("tag", zcmem_mem_set_tag(world->hal, world->slot[slot], tag));
}

void op_host(unsigned slot, hal_size_t size) {
  void *host = NULL;
  explore_op();
  explore_status("host", zcmem_mem_host(world->hal, world->slot[slot], size, &host));
}

void op_device(hal_size_t offset) {
  struct zcmem_place place = {0};
  explore_op();
  enum zcmem_status status = zcmem_mem_locate(world->hal, world->memory + offset, &place);
  explore_status("device", status);
  if (status == ZCMEM_OK) {
    explore_expect(place.addr == WORLD_BASE + offset, "a pointer is translated to another place");
    explore_answer("block", place.block);
    explore_answer("remaining", place.remaining);
  }
}

void op_rest(hal_size_t offset) {
  hal_addr_t addr = 0;
  hal_size_t rest = 0;
  explore_op();
  enum zcmem_status status = zcmem_mem_device(world->hal, world->memory + offset, &addr, &rest);
  explore_status("rest", status);
  if (status == ZCMEM_OK) {
    explore_expect(addr == WORLD_BASE + offset, "a pointer is translated to another place");
    explore_answer("remaining", rest);
  }
}

void op_map(unsigned slot, hal_size_t size) {
  explore_op();
  enum zcmem_status status =
      zcmem_mem_map(world->hal, world->slot[slot], size, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE, &world->host[slot]);
  explore_status("map", status);
}

void op_unmap(unsigned slot) {
  explore_op();
  explore_status("unmap", zcmem_mem_unmap(world->hal, world->host[slot]));
}

void op_locate(unsigned slot) {
  struct zcmem_place place = {0};
  explore_op();
  enum zcmem_status status = zcmem_mem_locate(world->hal, world->memory + (world->slot[slot] - WORLD_BASE), &place);
  explore_status("locate", status);
  explore_expect(status != ZCMEM_OK || place.addr == world->slot[slot], "a pointer is translated to another place");
}

void op_alloc_batch(unsigned slot, hal_size_t size, hal_size_t other_size) {
  const struct zcmem_batch_item items[2] = {{.size = size, .align = 1}, {.size = other_size, .align = 1}};
  hal_addr_t addrs[2] = {0};
  explore_op();
  enum zcmem_status status = zcmem_mem_alloc_batch(world->hal, 0, items, 2, addrs);
  for (unsigned i = 0; i < 2 && status == ZCMEM_OK; i++) {
    world->slot[slot + i] = addrs[i];
    handed_out(addrs[i]);
  }
  explore_status("alloc_batch", status);
}

void op_free_batch(unsigned slot, unsigned other) {
  const hal_addr_t addrs[2] = {world->slot[slot], world->slot[other]};
  uint32_t freed = 0;
  explore_op();
  enum zcmem_status status = zcmem_mem_free_batch(world->hal, addrs, 2, &freed);
  for (unsigned i = 0; i < freed; i++) {
    let_go(addrs[1 - i]); /* the first is the one that others free, too */
  }
  explore_status("free_batch", status);
  explore_answer("freed", freed);
}

void op_stats(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  explore_op();
  explore_status("stats", zcmem_hal_region_stats(world->hal, 0, &stats));
  explore_answer("live", stats.live);
  explore_answer("requested", stats.requested);
  explore_answer("frees", stats.frees);
}

void op_check(void) {
  explore_op();
  explore_status("check", zcmem_hal_check(world->hal));
}

/* -------------------------------------------------------------------------------------------------------- the end --
 */

/* How often the address was handed out, less how often it was freed. */
static int balance(hal_addr_t addr) {
  int sum = 0;
  for (unsigned i = 0; i < world->allocations; i++) {
    sum += world->allocated[i] == addr;
  }
  for (unsigned i = 0; i < world->frees; i++) {
    sum -= world->freed[i] == addr;
  }
  return sum;
}

void world_finish(void) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  struct magazines_sum sum;
  if (world->hal->regions[0].depot != NULL) {
    const char *wrong = magazines_check(world->hal, 0, &sum);
    explore_expect(wrong == NULL, wrong);
  }
  explore_expect(zcmem_hal_check(world->hal) == ZCMEM_OK, "the heap is damaged");
  for (unsigned i = 0; i < world->allocations; i++) {
    struct zcmem_block_info info;
    hal_addr_t addr = world->allocated[i];
    int there = zcmem_mem_info(world->hal, addr, &info) == ZCMEM_OK && info.addr == addr;
    explore_expect(balance(addr) == there,
                   there ? "a block is handed out twice" : "a block is freed too often, or lost");
  }
  explore_expect(zcmem_hal_region_stats(world->hal, 0, &stats) == ZCMEM_OK, "no figures");
  /* Also such as waited for a use of a transfer that then gave it back and found nothing: so no answer. */
  explore_expect(stats.deferred_frees <= world->frees, "more deferred frees than frees");
  int live = (int)(world->allocations - world->frees);
  explore_expect((int)stats.live == live, "a block is lost, or one too many");
  explore_answer("allocations", stats.allocations);
  explore_answer("frees", stats.frees);
  explore_answer("bad", stats.bad_frees);
  explore_answer("resizes", stats.resizes);
  explore_answer("requested", stats.requested);
  explore_answer("filled", stats.bytes_filled);
  explore_answer("written", stats.bytes_written);
  explore_answer("failed", stats.failed_transfers);
  explore_answer("windows", world->windows);
}
