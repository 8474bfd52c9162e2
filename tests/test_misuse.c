/* SPDX-License-Identifier: MIT */
/*
 * Runs each row of the table as a test of its own, without magazines and with them. `--table` prints the table instead,
 * in Markdown, for tests/MISUSE.md.
 */
#include "misuse.h"

struct misuse_world world;

static const struct {
  const char *name;
  const struct misuse *rows;
} themes[] = {{"Blocks", misuse_free},
              {"malloc for device memory", misuse_malloc},
              {"Transfers, translation and stores", misuse_transfer},
              {"Allocations, regions, HALs, images", misuse_setup},
              {"Buffers and views", misuse_buffer},
              {"Contexts", misuse_contexts},
              {"With hardening", misuse_hardening}};
enum { THEMES = sizeof themes / sizeof *themes, MOST_TESTS = 512, NAME_BYTES = 160, WARM_BLOCKS = 40 };

/* ------------------------------------------------------------------------------------------------- the world -- */

static void on_report(void *ctx, enum zcmem_status status, const char *function, const void *ptr, size_t size) {
  (void)function;
  (void)ptr;
  (void)size;
  *(enum zcmem_status *)ctx = status;
}

hal_addr_t misuse_alloc(uint32_t region, hal_size_t size) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc(world.hal, region, size, 1, &addr));
  return addr;
}

unsigned char *misuse_host(hal_addr_t addr) {
  return fake_at(&world.regions[MISUSE_DRAM], addr);
}

#ifndef ZCMEM_NO_PTHREAD
#include <pthread.h>

struct errand {
  enum zcmem_status (*act)(void);
  enum zcmem_status answer;
};

static void *run_errand(void *arg) {
  struct errand *errand = arg;
  errand->answer = errand->act();
  return NULL;
}

enum zcmem_status misuse_elsewhere(enum zcmem_status (*act)(void)) {
  struct errand errand = {.act = act};
  pthread_t thread;
  assert_int_equal(pthread_create(&thread, NULL, run_errand, &errand), 0);
  assert_int_equal(pthread_join(thread, NULL), 0);
  return errand.answer;
}
#else
enum zcmem_status misuse_elsewhere(enum zcmem_status (*act)(void)) {
  return act();
}
#endif

static void open_hal(void) {
  static const struct {
    const char *name;
    enum fake_way way;
    uint32_t kind;
    size_t bytes;
  } all[MISUSE_REGIONS] = {[MISUSE_DRAM] = {"dram", FAKE_HOST, ZCMEM_KIND_DRAM, 3 * MISUSE_MIB},
                           [MISUSE_FAR] = {"far", FAKE_OPS, MISUSE_KIND_FAR, MISUSE_SMALL},
                           [MISUSE_LINES] = {"lines", FAKE_CACHED, ZCMEM_KIND_MSMC, MISUSE_SMALL},
                           [MISUSE_BLIND] = {"blind", FAKE_NOTHING, MISUSE_KIND_BLIND, MISUSE_SMALL}};
  struct zcmem_region_config configs[MISUSE_REGIONS];
  /* Magazines want the library's own lock; without them it is the one that notices who holds it. */
  const struct zcmem_hal_config config = {.name = "fake",
                                          .max_regions = MISUSE_REGIONS + 1,
                                          .max_mappings = 2,
                                          .lock = world.magazines ? NULL : &fake_lock,
                                          .allocator = &fake_allocator,
                                          .flags = world.magazines ? ZCMEM_HAL_MAGAZINES : 0};
  fake_reset();
  for (unsigned i = 0; i < MISUSE_REGIONS; i++) {
    struct fake_region *region = &world.regions[i];
    configs[i] = fake_region_open(region, all[i].way, all[i].name, ((hal_addr_t)i + 1) << 32, all[i].bytes);
    configs[i].kind = all[i].kind;
    configs[i].max_blocks = MISUSE_MAX_BLOCKS;
    configs[i].magazine_share = 256;
  }
  struct fake_region *lines = &world.regions[MISUSE_LINES];
  free(lines->view);
  lines->view = aligned_alloc(ZCMEM_QUANTUM_DEFAULT, lines->bytes);
  assert_non_null(lines->view);
  memset(lines->view, 0xcc, lines->bytes);
  configs[MISUSE_BLIND].max_blocks = MISUSE_FEW_BLOCKS;
  configs[MISUSE_LINES].host = lines->view;
  configs[MISUSE_LINES].cache_line = 64;
  assert_ok(zcmem_hal_create(&config, configs, MISUSE_REGIONS, &world.hal));
}

/* The first transfer in a region leaves a mark in its image. */
static void first_transfers(void) {
  unsigned char bytes[MISUSE_BYTES];
  hal_addr_t addr = misuse_alloc(MISUSE_LINES, MISUSE_BYTES), blind = misuse_alloc(MISUSE_BLIND, MISUSE_BYTES);
  memset(bytes, 0x5a, sizeof bytes);
  assert_ok(zcmem_mem_write(world.hal, world.block, bytes, sizeof bytes));
  assert_ok(zcmem_mem_write(world.hal, world.far, bytes, sizeof bytes));
  assert_ok(zcmem_mem_write(world.hal, addr, bytes, sizeof bytes));
  assert_status(zcmem_mem_write(world.hal, blind, bytes, sizeof bytes), ZCMEM_ENOTMAPPED);
  assert_ok(zcmem_mem_free(world.hal, addr));
  assert_ok(zcmem_mem_free(world.hal, blind));
}

/* So that magazines keep blocks of the sizes that the rows use. */
static void warm_up(void) {
  hal_addr_t blocks[WARM_BLOCKS];
  for (unsigned i = 0; i < WARM_BLOCKS; i++) {
    blocks[i] = misuse_alloc(MISUSE_DRAM, i % 2 == 0 ? MISUSE_BYTES : 100);
  }
  for (unsigned i = 0; i < WARM_BLOCKS; i++) {
    assert_ok(zcmem_mem_free(world.hal, blocks[i]));
  }
}

static void open_world(bool magazines) {
  memset(&world, 0, sizeof world);
  world.magazines = magazines;
  open_hal();
  const struct zcmem_buffers_config config = {.hal = world.hal, .max_buffers = 8, .max_views = MISUSE_VIEWS};
  size_t bytes = (zcmem_buffers_bytes(&config) + 63) / 64 * 64;
  world.table = aligned_alloc(64, bytes);
  assert_non_null(world.table);
  assert_ok(zcmem_buffers_init(world.table, bytes, &config, &world.buffers));
  assert_ok(zcmem_malloc_set_hal(world.hal));
  zcmem_malloc_set_handler(on_report, &world.told);
  world.left = misuse_alloc(MISUSE_DRAM, MISUSE_MIB + MISUSE_BYTES);
  world.block = misuse_alloc(MISUSE_DRAM, MISUSE_BYTES);
  world.right = misuse_alloc(MISUSE_DRAM, MISUSE_MIB + MISUSE_BYTES);
  world.far = misuse_alloc(MISUSE_FAR, MISUSE_BYTES);
  assert_true(world.left < world.block && world.block < world.right);
  first_transfers();
  warm_up();
}

static void close_world(void) {
  (void)zcmem_buffers_destroy(world.buffers);
  free(world.table);
  assert_ok(zcmem_malloc_set_hal(NULL));
  zcmem_malloc_set_handler(NULL, NULL);
  (void)zcmem_hal_destroy(world.hal);
  for (unsigned i = 0; i < MISUSE_REGIONS; i++) {
    fake_region_close(&world.regions[i]); /* asserts that nothing is mapped */
  }
  assert_int_equal(fake.locks_held, 0);
  assert_int_equal(fake.locks_made, 0);
  assert_int_equal(fake.allocations, 0);
}

/* ---------------------------------------------------------------------------------------------- what it is like -- */

struct region_look {
  struct zcmem_block_info blocks[MISUSE_MAX_BLOCKS]; /* live ones and zombies, in the order of addresses */
  size_t count;
  unsigned char *memory, *view; /* copies; NULL where there is none */
  unsigned char *image;         /* copy; NULL with magazines, of which the rows may move blocks */
  unsigned mapped;
};

struct look {
  struct region_look of[MISUSE_REGIONS];
  struct zcmem_buffers_stats buffers; /* but for what counts refusals */
};

static bool note_block(void *ctx, const struct zcmem_block_info *info) {
  struct region_look *look = ctx;
  if (info->state == ZCMEM_BLOCK_LIVE || info->state == ZCMEM_BLOCK_ZOMBIE) {
    assert_true(look->count < MISUSE_MAX_BLOCKS);
    look->blocks[look->count++] = *info;
  }
  return true;
}

static unsigned char *copy_of(const void *bytes, size_t size) {
  unsigned char *copy = bytes == NULL ? NULL : malloc(size);
  if (bytes != NULL) {
    assert_non_null(copy);
    memcpy(copy, bytes, size);
  }
  return copy;
}

/*
 * The image, but for the generations of its blocks: in a region where transfers need no lock, a resize counts one up
 * before it knows whether it will fail. No call tells them.
 */
static unsigned char *image_of(const struct zcmem__region *region) {
  void *image = copy_of(region->heap, region->image_bytes);
  struct zcmem_heap *heap = image;
  for (uint32_t id = 0; id < heap->next_id; id += ZCMEM__ID) {
    zcmem__block(heap, id)->generation = 0;
  }
  heap->undo_generation = heap->undo_size = heap->undo_slack = 0; /* mean something while undo_id does */
  return image;
}

/* Asks nothing that would change what magazines keep. */
static void take_look(struct look *look) {
  memset(look, 0, sizeof *look);
  for (unsigned i = 0; i < MISUSE_REGIONS; i++) {
    const struct fake_region *fake_region = &world.regions[i];
    const struct zcmem__region *region = &world.hal->regions[i];
    struct region_look *of = &look->of[i];
    assert_ok(zcmem_heap_walk(region->heap, note_block, of));
    of->memory = copy_of(fake_region->memory, fake_region->bytes);
    of->view = copy_of(fake_region->view, fake_region->bytes);
    of->image = world.magazines ? NULL : image_of(region);
    of->mapped = fake_region->mapped;
  }
  look->buffers.struct_bytes = sizeof look->buffers;
  assert_ok(zcmem_buffers_get_stats(world.buffers, &look->buffers));
  look->buffers.refused_overlap = 0;
}

static void drop_look(struct look *look) {
  for (unsigned i = 0; i < MISUSE_REGIONS; i++) {
    free(look->of[i].memory);
    free(look->of[i].view);
    free(look->of[i].image);
  }
}

static void assert_same(const struct look *before, const struct look *after) {
  for (unsigned i = 0; i < MISUSE_REGIONS; i++) {
    const struct region_look *was = &before->of[i], *is = &after->of[i];
    size_t bytes = world.regions[i].bytes;
    assert_int_equal(was->count, is->count);
    assert_memory_equal(was->blocks, is->blocks, was->count * sizeof *was->blocks);
    assert_memory_equal(was->memory, is->memory, bytes);
    if (was->view != NULL) {
      assert_memory_equal(was->view, is->view, bytes);
    }
    if (was->image != NULL) {
      assert_memory_equal(was->image, is->image, world.hal->regions[i].image_bytes);
    }
    assert_int_equal(was->mapped, is->mapped);
  }
  assert_memory_equal(&before->buffers, &after->buffers, sizeof before->buffers);
}

/* That the region's figures are the sums over the blocks that are there. */
static void assert_figures(const struct look *look) {
  for (unsigned i = 0; i < MISUSE_REGIONS; i++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    struct zcmem_region_info info;
    uint64_t in_use = 0, requested = 0;
    for (size_t k = 0; k < look->of[i].count; k++) {
      in_use += look->of[i].blocks[k].size;
      requested += look->of[i].blocks[k].requested;
    }
    assert_ok(zcmem_hal_region_stats(world.hal, i, &stats));
    assert_ok(zcmem_hal_region_info(world.hal, i, &info));
    assert_int_equal(stats.live, look->of[i].count);
    assert_int_equal(stats.in_use, in_use);
    assert_int_equal(stats.requested, requested);
    assert_int_equal(stats.available, info.size - in_use);
  }
}

/* That the HAL is of use as before. */
static void assert_works(void) {
  static const char text[] = "it still works";
  char back[sizeof text] = "";
  assert_ok(zcmem_hal_check(world.hal));
  for (uint32_t region = MISUSE_DRAM; region <= MISUSE_LINES; region++) {
    hal_addr_t addr = misuse_alloc(region, sizeof text);
    assert_ok(zcmem_mem_write(world.hal, addr, text, sizeof text));
    assert_ok(zcmem_mem_read(world.hal, back, addr, sizeof text));
    assert_string_equal(back, text);
    assert_ok(zcmem_mem_free(world.hal, addr));
  }
  assert_ok(zcmem_hal_check(world.hal));
}

/* ------------------------------------------------------------------------------------------------- the tests -- */

static void run_row(const struct misuse *row, bool magazines) {
  static struct look before, after;
  open_world(magazines);
  if (row->prepare != NULL) {
    row->prepare();
  }
  take_look(&before);
  enum zcmem_status got = row->act();
  take_look(&after);
  if (got != row->want) {
    print_error("%s\n", row->what);
  }
  assert_status(got, row->want);
  if (!row->changes) {
    assert_same(&before, &after);
  }
  assert_figures(&after);
  assert_works();
  drop_look(&before);
  drop_look(&after);
  close_world();
}

static void test_row(void **state) {
  run_row(*state, false);
}

static void test_row_with_magazines(void **state) {
  run_row(*state, true);
}

static void print_table(void) {
  for (unsigned i = 0; i < THEMES; i++) {
    printf("| **%s** | | |\n", themes[i].name);
    for (const struct misuse *row = themes[i].rows; row->what != NULL; row++) {
      const char *status = zcmem_status_string(row->want);
      printf("| %s | `%s` | `%.*s`%s%s |\n", row->what, row->call, (int)strcspn(status, ":"), status,
             row->note == NULL ? "" : ": ", row->note == NULL ? "" : row->note);
    }
  }
}

static size_t add_tests(struct CMUnitTest *tests, char (*names)[NAME_BYTES], bool magazines) {
  size_t count = 0;
  for (unsigned i = 0; i < THEMES; i++) {
    for (const struct misuse *row = themes[i].rows; row->what != NULL && count < MOST_TESTS; row++) {
      (void)snprintf(names[count], NAME_BYTES, "%s%s", row->what, magazines ? " (magazines)" : "");
      tests[count] = (struct CMUnitTest){.name = names[count],
                                         .test_func = magazines ? test_row_with_magazines : test_row,
                                         .initial_state = (void *)(uintptr_t)row};
      count++;
    }
  }
  return count;
}

int main(int argc, char **argv) {
  static struct CMUnitTest tests[2 * MOST_TESTS];
  static char names[2 * MOST_TESTS][NAME_BYTES];
  if (argc == 2 && strcmp(argv[1], "--table") == 0) {
    print_table();
    return 0;
  }
  size_t count = add_tests(tests, names, false);
  count += add_tests(tests + count, names + count, true);
  return _cmocka_run_group_tests("misuse", tests, count, NULL, NULL);
}
