/* SPDX-License-Identifier: MIT */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include "soak.h"

#ifndef ZCMEM_NO_PTHREAD
#include <string.h>

enum { PHASES = 3 };

static pthread_mutex_t exchange = PTHREAD_MUTEX_INITIALIZER;

/* ------------------------------------------------------------------------------------------------------- blocks -- */

static void fill(struct soak_worker *worker, struct soak_block *block) {
  block->byte = (unsigned char)random_next(&worker->seed);
  EXPECT(zcmem_mem_fill(soak_hal, block->addr, &block->byte, 1, block->size) == ZCMEM_OK);
}

void soak_check(const struct soak_block *block) {
  unsigned char bytes[256];
  struct zcmem_block_info info;
  EXPECT(zcmem_mem_info(soak_hal, block->addr, &info) == ZCMEM_OK && info.addr == block->addr &&
         info.requested == block->size);
  for (hal_size_t done = 0; done < block->size;) {
    size_t step = block->size - done < sizeof bytes ? (size_t)(block->size - done) : sizeof bytes;
    EXPECT((block->handle.generation != 0 ? zcmem_mem_read_handle(soak_hal, bytes, block->handle, done, step)
                                          : zcmem_mem_read(soak_hal, bytes, block->addr + done, step)) == ZCMEM_OK);
    bool mine = true;
    for (size_t i = 0; i < step; i++) {
      mine = mine && bytes[i] == block->byte;
    }
    EXPECT(mine);
    done += step;
  }
}

/* By a context, with a tag, or plainly. */
static enum zcmem_status alloc(struct soak_worker *worker, unsigned region, hal_size_t size, hal_addr_t *addr) {
  hal_size_t align = random_below(&worker->seed, 16) == 0 ? 4096 : 1;
  uint64_t how = random_below(&worker->seed, 4);
  if (how == 0 && region != SOAK_HARDENED) {
    return zcmem_mem_alloc_tagged(soak_hal, region, size, align, (uint32_t)random_below(&worker->seed, 2 * SOAK_TAGS),
                                  addr);
  }
  if (how < 3 && worker->context != NULL) {
    return zcmem_context_alloc(worker->context, region, size, align, addr);
  }
  return zcmem_mem_alloc(soak_hal, region, size, align, addr);
}

static void make(struct soak_worker *worker, struct soak_block *block) {
  unsigned region = (unsigned)random_below(&worker->seed, SOAK_REGIONS);
  hal_size_t size = random_below(&worker->seed, 32) == 0 ? random_below(&worker->seed, SOAK_BYTES / 8)
                                                         : random_below(&worker->seed, 1500);
  *block = (struct soak_block){.size = size, .region = region};
  enum zcmem_status status = alloc(worker, region, size, &block->addr);
  EXPECT(status == ZCMEM_OK || soak_no_room(status));
  if (status != ZCMEM_OK) {
    block->addr = 0;
    return;
  }
  EXPECT(region != SOAK_HARDENED || zcmem_mem_handle(soak_hal, block->addr, &block->handle) == ZCMEM_OK);
  fill(worker, block);
}

/* A handle of a block that is no more is for nothing, whatever block is there now. */
static void use_stale(struct soak_worker *worker) {
  unsigned char byte = 0;
  if (worker->stale.generation != 0) {
    EXPECT(zcmem_mem_check_handle(soak_hal, worker->stale) == ZCMEM_ENOENT);
    EXPECT(zcmem_mem_read_handle(soak_hal, &byte, worker->stale, 0, 1) == ZCMEM_ENOENT);
    EXPECT(zcmem_mem_free_handle(soak_hal, worker->stale) == ZCMEM_ENOENT);
  }
}

static enum zcmem_status free_plainly(struct soak_worker *worker, const struct soak_block *block) {
  if (block->handle.generation != 0) {
    return zcmem_mem_free_handle(soak_hal, block->handle);
  }
  return worker->context != NULL ? zcmem_context_free(worker->context, block->addr)
                                 : zcmem_mem_free(soak_hal, block->addr);
}

static void drop(struct soak_worker *worker, struct soak_block *block) {
  soak_check(block);
  switch (random_below(&worker->seed, 6)) {
  case 0:
    EXPECT(zcmem_mem_pin(soak_hal, block->addr) == ZCMEM_OK);
    EXPECT(zcmem_mem_free(soak_hal, block->addr) == ZCMEM_EBUSY);
    EXPECT(zcmem_mem_free_deferred(soak_hal, block->addr) == ZCMEM_OK);
    EXPECT(zcmem_mem_unpin(soak_hal, block->addr) == ZCMEM_OK);
    break;
  case 1:
    EXPECT(zcmem_mem_free_deferred(soak_hal, block->addr) == ZCMEM_OK);
    break;
  case 2: {
    uint32_t freed = 0;
    EXPECT(zcmem_mem_free_batch(soak_hal, &block->addr, 1, &freed) == ZCMEM_OK && freed == 1);
    break;
  }
  case 3:
    EXPECT(zcmem_mem_free(soak_hal, block->addr) == ZCMEM_OK);
    break;
  default:
    EXPECT(free_plainly(worker, block) == ZCMEM_OK);
  }
  if (block->handle.generation != 0) {
    worker->stale = block->handle;
    use_stale(worker);
  }
  block->addr = 0;
}

static void resize(struct soak_worker *worker, struct soak_block *block) {
  hal_size_t size = random_below(&worker->seed, 2 * block->size + 2);
  enum zcmem_status status = zcmem_mem_resize(soak_hal, block->addr, size);
  EXPECT(status == ZCMEM_OK || soak_no_room(status));
  if (status == ZCMEM_OK) {
    block->size = size;
    fill(worker, block);
  }
}

/* ------------------------------------------------------------------------------------------ mapped, and buffers -- */

static void map_block(struct soak_worker *worker, struct soak_block *block) {
  void *host = NULL;
  struct zcmem_place place;
  if (block->size == 0) { /* there is nothing to map */
    return;
  }
  enum zcmem_status status = zcmem_mem_map(soak_hal, block->addr, block->size, ZCMEM_MAP_READ | ZCMEM_MAP_WRITE, &host);
  EXPECT(status == ZCMEM_OK || status == ZCMEM_ENOMEM); /* the table of mappings is small */
  if (status != ZCMEM_OK) {
    return;
  }
  unsigned char *bytes = host;
  EXPECT(bytes[0] == block->byte && bytes[block->size - 1] == block->byte);
  EXPECT(zcmem_mem_locate(soak_hal, host, &place) == ZCMEM_OK && place.addr == block->addr &&
         place.block == block->addr);
  block->byte = (unsigned char)random_next(&worker->seed);
  memset(bytes, block->byte, (size_t)block->size);
  EXPECT(zcmem_mem_free(soak_hal, block->addr) == ZCMEM_EBUSY);
  EXPECT(zcmem_mem_unmap(soak_hal, host) == ZCMEM_OK);
}

/* A buffer over fresh memory, or over host memory that no region has; a part of it; and views of both. */
static void use_buffer(struct soak_worker *worker) {
  unsigned char bytes[512];
  bool shadow = random_below(&worker->seed, 2) == 0;
  unsigned char byte = (unsigned char)random_next(&worker->seed);
  const struct zcmem_buffer_config config = {.region = (uint32_t)random_below(&worker->seed, SOAK_REGIONS),
                                             .flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE |
                                                      (shadow ? ZCMEM_BUFFER_USE_HOST : ZCMEM_BUFFER_COPY_HOST),
                                             .host = bytes,
                                             .size = sizeof bytes};
  zcmem_buffer_t buffer = 0, part = 0;
  struct zcmem_view view;
  memset(bytes, byte, sizeof bytes);
  enum zcmem_status status = zcmem_buffer_create(soak_buffers, &config, &buffer);
  EXPECT(status == ZCMEM_OK || soak_no_room(status));
  if (status != ZCMEM_OK) {
    return;
  }
  status = zcmem_buffer_create_sub(soak_buffers, buffer, 0, 128, 256, &part);
  EXPECT(status == ZCMEM_OK || status == ZCMEM_ENOMEM);
  zcmem_buffer_t seen = status == ZCMEM_OK ? part : buffer;
  status = zcmem_buffer_begin(soak_buffers, seen, 0, 256, ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, NULL, &view);
  EXPECT(status == ZCMEM_OK || status == ZCMEM_ENOMEM);
  if (status == ZCMEM_OK) {
    unsigned char there[256];
    EXPECT(zcmem_mem_read(soak_hal, there, view.addr, sizeof there) == ZCMEM_OK);
    EXPECT(there[0] == byte && there[255] == byte);
    byte ^= 0x55;
    EXPECT(zcmem_mem_fill(soak_hal, view.addr, &byte, 1, sizeof there) == ZCMEM_OK);
    EXPECT(zcmem_buffer_end(soak_buffers, view.id) == ZCMEM_OK);
    EXPECT(!shadow || bytes[seen == part ? 128 : 0] == byte);
    atomic_fetch_add(&soak_views, 1);
  }
  EXPECT(part == 0 || zcmem_buffer_release(soak_buffers, part) == ZCMEM_OK);
  EXPECT(zcmem_buffer_release(soak_buffers, buffer) == ZCMEM_OK);
}

/* ------------------------------------------------------------------------------------------------------ threads -- */

static void hand_over(struct soak_worker *worker, struct soak_block *block) {
  size_t at = (size_t)random_below(&worker->seed, SOAK_COMMON);
  (void)pthread_mutex_lock(&exchange);
  struct soak_block other = soak_common[at];
  soak_common[at] = *block;
  *block = other;
  (void)pthread_mutex_unlock(&exchange);
}

static int count_text(void *ctx, const char *text, size_t bytes) {
  *(size_t *)ctx += bytes > 0 && text[bytes - 1] == '\n' ? bytes : 0;
  return 0;
}

/* What is left of a dump, the figures of all, and the checks. */
static void look_at_all(struct soak_worker *worker) {
  struct zcmem_tag_stats tags[2 * SOAK_TAGS + 1] = {{.struct_bytes = sizeof *tags}};
  struct zcmem_free_stats free_ones = {.struct_bytes = sizeof free_ones};
  unsigned region = (unsigned)random_below(&worker->seed, SOAK_REGIONS);
  uint32_t count = 0;
  size_t text = 0;
  uint64_t live = 0;
  switch (random_below(&worker->seed, 4)) {
  case 0:
    EXPECT(zcmem_hal_check(soak_hal) == ZCMEM_OK);
    break;
  case 1:
    EXPECT(zcmem_hal_dump(soak_hal, count_text, &text) == ZCMEM_OK && text > 0);
    break;
  case 2:
    EXPECT(zcmem_hal_tag_stats(soak_hal, region, tags, 2 * SOAK_TAGS + 1, &count) == ZCMEM_OK ||
           region == SOAK_HARDENED);
    for (uint32_t i = 0; i < count; i++) {
      live += tags[i].in_use;
    }
    EXPECT(live <= SOAK_BYTES);
    break;
  default:
    EXPECT(zcmem_hal_free_stats(soak_hal, region, &free_ones) == ZCMEM_OK);
    EXPECT(free_ones.bytes + free_ones.cached_bytes <= SOAK_BYTES && free_ones.largest <= free_ones.bytes);
    EXPECT(zcmem_hal_check_guards(soak_hal, SOAK_HARDENED, false, NULL) == ZCMEM_OK);
  }
}

static void look(struct soak_worker *worker) {
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  unsigned region = (unsigned)random_below(&worker->seed, SOAK_REGIONS);
  EXPECT(zcmem_hal_region_stats(soak_hal, region, &stats) == ZCMEM_OK);
  EXPECT(stats.in_use + stats.available == soak_bytes[region] && stats.requested <= stats.in_use);
  EXPECT(stats.allocations == stats.frees + stats.live);
  look_at_all(worker);
}

static void copy(struct soak_worker *worker, const struct soak_block *from, struct soak_block *to) {
  (void)worker;
  if (from->addr != 0 && from != to && from->size >= to->size) {
    EXPECT(zcmem_mem_copy(soak_hal, to->addr, from->addr, to->size) == ZCMEM_OK);
    to->byte = from->byte;
  }
}

static void act(struct soak_worker *worker, struct soak_block *block) {
  uint64_t which = random_below(&worker->seed, 64);
  if (which == 0) {
    look(worker);
  } else if (which < 4) {
    hand_over(worker, block);
  } else if (which < 6) {
    use_buffer(worker);
  } else if (block->addr == 0) {
    make(worker, block);
  } else if (which < 12) {
    resize(worker, block);
  } else if (which < 16) {
    map_block(worker, block);
  } else if (which < 18 && block->region != SOAK_HARDENED) {
    EXPECT(zcmem_mem_set_tag(soak_hal, block->addr, (uint32_t)random_below(&worker->seed, 2 * SOAK_TAGS)) == ZCMEM_OK);
  } else if (which < 22) {
    copy(worker, &worker->own[random_below(&worker->seed, SOAK_OWN)], block);
  } else {
    drop(worker, block);
    if (which < 50) {
      make(worker, block);
    }
  }
}

void *soak_work(void *arg) {
  struct soak_worker *worker = arg;
  const struct zcmem_context_config config = {.hal = soak_hal, .blocks = random_below(&worker->seed, 2) == 0 ? 0 : 2};
  if (worker->context == NULL && random_below(&worker->seed, 4) != 0) {
    EXPECT(zcmem_context_init(worker->place, sizeof worker->place, &config, &worker->context) == ZCMEM_OK);
  }
  for (uint64_t i = 0; !atomic_load(&worker->leave); i++) {
    size_t most = i / 2048 % PHASES == 0 ? 4 : SOAK_OWN; /* magazines that are of use, that rest, that run over */
    act(worker, &worker->own[random_below(&worker->seed, most)]);
    atomic_fetch_add_explicit(&soak_calls, 1, memory_order_relaxed);
  }
  for (size_t i = 0; i < SOAK_OWN; i++) {
    if (worker->own[i].addr != 0) {
      drop(worker, &worker->own[i]);
    }
  }
  if (worker->context != NULL && random_below(&worker->seed, 2) == 0) { /* else the next thread has it */
    EXPECT(zcmem_context_destroy(worker->context) == ZCMEM_OK);
    worker->context = NULL;
  }
  return NULL;
}

#else
typedef int soak_work_empty; /* ISO C wants something in each file */
#endif
