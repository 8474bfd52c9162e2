/* SPDX-License-Identifier: MIT */
/* Figures by tag and of free blocks, the dump, and what is told to a recorder. */
#include "hal_fixture.h"
#include <zcmem/zcmem.h>

#define BASE ((hal_addr_t)0x100000)
#define ANY UINT64_MAX

static struct zcmem_hal *two_regions(uint32_t flags) {
  struct zcmem_hal_config config = {.name = "a \"device\"\n", .max_regions = 2, .max_mappings = 2, .flags = flags};
  struct zcmem_region_config regions[2] = {plain_region("dram", BASE, 64 * KB), plain_region("msmc", 0x900000, 8 * KB)};
  struct zcmem_hal *hal = NULL;
  regions[0].max_blocks = 400;
  regions[1].kind = ZCMEM_KIND_MSMC;
  assert_ok(zcmem_hal_create(&config, regions, 2, &hal));
  return hal;
}

static hal_addr_t taken(struct zcmem_hal *hal, hal_size_t size, uint32_t tag) {
  hal_addr_t addr = 0;
  assert_ok(zcmem_mem_alloc_tagged(hal, 0, size, 1, tag, &addr));
  return addr;
}

/* ------------------------------------------------------------------------------------------------------- figures -- */

static void test_region_stats_have_fragmentation_and_free_blocks(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  hal_addr_t blocks[4];
  (void)state;
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.fragmentation, 0);
  assert_int_equal(stats.free_blocks, 1);
  for (int i = 0; i < 4; i++) {
    blocks[i] = taken(hal, 16 * KB, 0);
  }
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.fragmentation, 0); /* nothing is free */
  assert_int_equal(stats.free_blocks, 0);
  assert_ok(zcmem_mem_free(hal, blocks[0]));
  assert_ok(zcmem_mem_free(hal, blocks[2]));
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.free_blocks, 2);
  assert_int_equal(stats.largest, 16 * KB);
  assert_int_equal(stats.fragmentation, 500000);
  assert_ok(zcmem_mem_free(hal, blocks[1]));
  assert_ok(zcmem_mem_free(hal, blocks[3]));
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.fragmentation, 0);
  assert_int_equal(stats.magazine_hits, 0);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* A fraction of numbers that do not fit the product. */
static void test_fragmentation_of_a_region_of_many_terabytes(void **state) {
  struct zcmem_hal_config config = {.name = "d", .max_regions = 1};
  struct zcmem_region_config region = plain_region("r", (hal_addr_t)1 << 62, (hal_size_t)1 << 60);
  struct zcmem_hal *hal = NULL;
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  hal_addr_t first = 0, second = 0;
  (void)state;
  region.quantum = (hal_size_t)1 << 31;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_mem_alloc(hal, 0, (hal_size_t)1 << 58, 1, &first));
  assert_ok(zcmem_mem_alloc(hal, 0, (hal_size_t)1 << 31, 1, &second));
  assert_ok(zcmem_mem_free(hal, first));
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_in_range(stats.fragmentation, 249999, 250001);
  assert_ok(zcmem_mem_free(hal, second));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_stats_of_an_older_program_are_a_part(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  struct zcmem_region_stats stats;
  (void)state;
  memset(&stats, 0x5a, sizeof stats);
  stats.struct_bytes = offsetof(struct zcmem_region_stats, free_blocks);
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.available, 64 * KB);
  assert_int_equal(stats.free_blocks, UINT64_C(0x5a5a5a5a5a5a5a5a));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_magazine_hits_are_counted(void **state) {
  struct zcmem_hal *hal = two_regions(ZCMEM_HAL_MAGAZINES);
  struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
  (void)state;
  for (int i = 0; i < 100; i++) {
    assert_ok(zcmem_mem_free(hal, taken(hal, 256, 0)));
  }
  assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
  assert_int_equal(stats.allocations, 100);
  assert_int_equal(stats.frees, 100);
#if defined(ZCMEM_NO_PTHREAD) || defined(ZCMEM_NO_MAGAZINES) || UINTPTR_MAX == UINT32_MAX
  assert_int_equal(stats.magazine_hits, 0);
#else
  assert_in_range(stats.magazine_hits, 90, 99);
  assert_in_range(stats.magazine_frees, 90, 100);
#endif
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_tags_are_set_and_told(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  struct zcmem_block_info info;
  hal_addr_t addr = 77;
  (void)state;
  assert_status(zcmem_mem_set_tag(NULL, BASE, 1), ZCMEM_EINVAL);
  assert_status(zcmem_mem_set_tag(hal, BASE, 1), ZCMEM_ENOENT);
  assert_status(zcmem_mem_set_tag(hal, 1, 1), ZCMEM_ENOENT);
  assert_status(zcmem_mem_alloc_tagged(NULL, 0, 1, 1, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 1, 3, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 1, 1, 1, NULL), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_tagged(hal, 2, 1, 1, 1, &addr), ZCMEM_EINVAL);
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 65 * KB, 1, 1, &addr), ZCMEM_ENOSPC);
  assert_int_equal(addr, 77);
  addr = taken(hal, 300, ZCMEM_TAG('w', 'g', 't', 's'));
  assert_ok(zcmem_mem_info(hal, addr, &info));
  assert_int_equal(info.tag, 0x77677473);
  assert_status(zcmem_mem_set_tag(hal, addr + 128, 1), ZCMEM_ENOENT);
  assert_ok(zcmem_mem_set_tag(hal, addr, UINT32_MAX));
  assert_ok(zcmem_mem_info(hal, addr, &info));
  assert_int_equal(info.tag, UINT32_MAX);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_ok(zcmem_mem_alloc(hal, 0, 300, 1, &addr)); /* another block, whose tag nobody has set */
  assert_ok(zcmem_mem_info(hal, addr, &info));
  assert_int_equal(info.tag, 0);
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_figures_by_tag(void **state) {
  struct zcmem_hal *hal = two_regions(ZCMEM_HAL_MAGAZINES);
  struct zcmem_tag_stats tags[3];
  uint32_t count = 77;
  hal_addr_t blocks[5];
  (void)state;
  tags[0].struct_bytes = sizeof tags[0];
  assert_status(zcmem_hal_tag_stats(NULL, 0, tags, 3, &count), ZCMEM_EINVAL);
  assert_status(zcmem_hal_tag_stats(hal, 2, tags, 3, &count), ZCMEM_EINVAL);
  assert_status(zcmem_hal_tag_stats(hal, 0, NULL, 3, &count), ZCMEM_EINVAL);
  assert_status(zcmem_hal_tag_stats(hal, 0, tags, 3, NULL), ZCMEM_EINVAL);
  assert_ok(zcmem_hal_tag_stats(hal, 0, tags, 0, &count));
  assert_int_equal(count, 0);
  const size_t wrong[] = {0, sizeof tags[0] + 8, sizeof tags[0] - 2, offsetof(struct zcmem_tag_stats, counted)};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    tags[0].struct_bytes = wrong[i];
    assert_status(zcmem_hal_tag_stats(hal, 0, tags, 3, &count), ZCMEM_EINVAL);
  }
  tags[0].struct_bytes = sizeof tags[0];
  blocks[0] = taken(hal, 100, 9);
  blocks[1] = taken(hal, 1000, 3);
  blocks[2] = taken(hal, 0, 0);
  blocks[3] = taken(hal, 300, 9);
  blocks[4] = taken(hal, 128, 9);
  assert_ok(zcmem_mem_pin(hal, blocks[3]));
  assert_ok(zcmem_mem_free_deferred(hal, blocks[3]));
  assert_ok(zcmem_mem_free(hal, blocks[4])); /* a magazine may keep it: it has no tag */
  count = 77;
  assert_status(zcmem_hal_tag_stats(hal, 0, tags, 2, &count), ZCMEM_ENOMEM);
  assert_int_equal(count, 77);
  tags[0].struct_bytes = sizeof tags[0];
  assert_ok(zcmem_hal_tag_stats(hal, 0, tags, 3, &count));
  assert_int_equal(count, 3);
  const struct zcmem_tag_stats wanted[3] = {
      {.tag = 0, .used = 0, .live = 1, .in_use = 128, .requested = 0, .largest = 128},
      {.tag = 3, .used = 0, .live = 1, .in_use = 1024, .requested = 1000, .largest = 1024},
      {.tag = 9, .used = 1, .live = 2, .in_use = 512, .requested = 400, .largest = 384}};
  for (int i = 0; i < 3; i++) {
    assert_int_equal(tags[i].tag, wanted[i].tag);
    assert_int_equal(tags[i].used, wanted[i].used);
    assert_int_equal(tags[i].live, wanted[i].live);
    assert_int_equal(tags[i].in_use, wanted[i].in_use);
    assert_int_equal(tags[i].requested, wanted[i].requested);
    assert_int_equal(tags[i].largest, wanted[i].largest);
    assert_int_equal(tags[i].struct_bytes, sizeof tags[i]);
    assert_int_equal(tags[i].peak, wanted[i].in_use); /* nothing is kept: as far as anybody knows */
    assert_int_equal(tags[i].counted + tags[i].allocations + tags[i].failed_space, 0);
  }
  assert_ok(zcmem_mem_unpin(hal, blocks[3]));
  for (int i = 0; i < 3; i++) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void look_at_tags(void *arg) {
  struct zcmem_tag_stats tags[2] = {{.struct_bytes = sizeof tags[0]}};
  uint32_t count = 0;
  assert_ok(zcmem_hal_tag_stats(arg, 0, tags, 2, &count));
  assert_int_equal(count, 1);
  assert_int_equal(tags[0].tag, 9);
  assert_int_equal(tags[0].live, 2);
  assert_int_equal(tags[0].used, 1);
}

/* A block is in use also while bytes of it are moved. */
static void test_figures_by_tag_during_a_transfer(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1};
  struct fake_region far;
  const struct zcmem_region_config region = fake_region_open(&far, FAKE_READ_WRITE, "far", BASE, 64 * KB);
  struct zcmem_hal *hal = NULL;
  unsigned char byte = 1;
  (void)state;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  hal_addr_t addr = taken(hal, 100, 9);
  (void)taken(hal, 100, 9);
  far.inside = look_at_tags;
  far.arg = hal;
  assert_ok(zcmem_mem_write(hal, addr, &byte, 1));
  assert_null(far.inside);
  assert_int_equal(zcmem_hal_destroy(hal), 2);
  fake_region_close(&far);
}

static void test_free_blocks_by_size(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  struct zcmem_free_stats stats = {.struct_bytes = sizeof stats};
  hal_addr_t blocks[6];
  (void)state;
  assert_status(zcmem_hal_free_stats(NULL, 0, &stats), ZCMEM_EINVAL);
  assert_status(zcmem_hal_free_stats(hal, 2, &stats), ZCMEM_EINVAL);
  assert_status(zcmem_hal_free_stats(hal, 0, NULL), ZCMEM_EINVAL);
  stats.struct_bytes = sizeof stats + 1;
  assert_status(zcmem_hal_free_stats(hal, 0, &stats), ZCMEM_EINVAL);
  stats.struct_bytes = 0;
  assert_status(zcmem_hal_free_stats(hal, 0, &stats), ZCMEM_EINVAL);
  stats.struct_bytes = sizeof stats;
  /* Holes of 1, 3 and 4 quanta, and 504 at the end. */
  const hal_size_t sizes[6] = {128, 128, 384, 1, 512, 1};
  for (int i = 0; i < 6; i++) {
    blocks[i] = taken(hal, sizes[i], 0);
  }
  for (int i = 0; i < 6; i += 2) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
  assert_ok(zcmem_hal_free_stats(hal, 0, &stats));
  assert_int_equal(stats.blocks, 4);
  assert_int_equal(stats.bytes, 64 * KB - 3 * 128);
  assert_int_equal(stats.largest, 501 * 128);
  assert_int_equal(stats.blocks_of[0], 1);
  assert_int_equal(stats.blocks_of[1], 1);
  assert_int_equal(stats.bytes_of[1], 384);
  assert_int_equal(stats.blocks_of[2], 1);
  assert_int_equal(stats.blocks_of[8], 1);
  assert_int_equal(stats.bytes_of[8], 501 * 128);
  assert_int_equal(stats.fragmentation, 8u * 1000000u / 509u);
  assert_int_equal(stats.cached_blocks, 0);
  uint64_t blocks_sum = 0, bytes_sum = 0;
  for (uint32_t i = 0; i < ZCMEM_FREE_CLASSES; i++) {
    blocks_sum += stats.blocks_of[i];
    bytes_sum += stats.bytes_of[i];
  }
  assert_int_equal(blocks_sum, stats.blocks);
  assert_int_equal(bytes_sum, stats.bytes);
  for (int i = 1; i < 6; i += 2) {
    assert_ok(zcmem_mem_free(hal, blocks[i]));
  }
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* ---------------------------------------------------------------------------------------------------------- dump -- */

struct text {
  char bytes[64 * 1024];
  size_t used;
  unsigned calls;
  unsigned fail_in;      /* calls until the writer fails; 0: it does not */
  struct zcmem_hal *hal; /* whose blocks the writer changes, or NULL */
  hal_addr_t doomed[400];
  uint32_t doomed_count;
};
static struct text text;

static int append(void *ctx, const char *bytes, size_t size) {
  struct text *to = ctx;
  to->calls++;
  if (to->fail_in > 0 && --to->fail_in == 0) {
    return 1;
  }
  assert_true(size > 0 && bytes[size - 1] == '\n');
  assert_true(to->used + size < sizeof to->bytes);
  memcpy(to->bytes + to->used, bytes, size);
  to->used += size;
  to->bytes[to->used] = '\0';
  while (to->hal != NULL && to->doomed_count > 0) { /* no lock is held: this would wait for it */
    assert_ok(zcmem_mem_free(to->hal, to->doomed[--to->doomed_count]));
  }
  return 0;
}

static uint32_t lines_with(const char *part) {
  uint32_t count = 0;
  for (const char *at = text.bytes; (at = strstr(at, part)) != NULL; at++) {
    count++;
  }
  return count;
}

static void test_dump_lists_every_block(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  hal_addr_t first, second, third;
  (void)state;
  memset(&text, 0, sizeof text);
  assert_status(zcmem_hal_dump(NULL, append, &text), ZCMEM_EINVAL);
  assert_status(zcmem_hal_dump(hal, NULL, &text), ZCMEM_EINVAL);
  first = taken(hal, 300, 5);
  second = taken(hal, 128, 0);
  third = taken(hal, 0, UINT32_MAX);
  assert_ok(zcmem_mem_pin(hal, third));
  assert_ok(zcmem_mem_free_deferred(hal, third));
  assert_ok(zcmem_mem_free(hal, second));
  assert_ok(zcmem_hal_dump(hal, append, &text));
  assert_string_equal(
      text.bytes,
      "{\"zcmem\":\"dump\",\"version\":1,\"device\":\"a \\u0022device\\u0022\\u000a\",\"regions\":2}\n"
      "{\"type\":\"region\",\"index\":0,\"name\":\"dram\",\"kind\":1,\"base\":\"0x100000\",\"size\":65536,"
      "\"quantum\":128,\"max_blocks\":400,\"mapped\":false}\n"
      "{\"type\":\"block\",\"region\":0,\"offset\":0,\"size\":384,\"requested\":300,\"state\":\"live\",\"tag\":5,"
      "\"pins\":0,\"transfers\":0,\"owner\":0,\"pid\":0}\n"
      "{\"type\":\"block\",\"region\":0,\"offset\":384,\"size\":128,\"requested\":0,\"state\":\"free\",\"tag\":0,"
      "\"pins\":0,\"transfers\":0,\"owner\":0,\"pid\":0}\n"
      "{\"type\":\"block\",\"region\":0,\"offset\":512,\"size\":128,\"requested\":0,\"state\":\"zombie\","
      "\"tag\":4294967295,\"pins\":1,\"transfers\":0,\"owner\":0,\"pid\":0}\n"
      "{\"type\":\"block\",\"region\":0,\"offset\":640,\"size\":64896,\"requested\":0,\"state\":\"free\",\"tag\":0,"
      "\"pins\":0,\"transfers\":0,\"owner\":0,\"pid\":0}\n"
      "{\"type\":\"end\",\"region\":0,\"blocks\":4,\"live\":2,\"in_use\":512,\"requested\":300,\"available\":65024,"
      "\"largest\":64896,\"fragmentation\":1968,\"changed\":false}\n"
      "{\"type\":\"region\",\"index\":1,\"name\":\"msmc\",\"kind\":2,\"base\":\"0x900000\",\"size\":8192,"
      "\"quantum\":128,\"max_blocks\":16,\"mapped\":false}\n"
      "{\"type\":\"block\",\"region\":1,\"offset\":0,\"size\":8192,\"requested\":0,\"state\":\"free\",\"tag\":0,"
      "\"pins\":0,\"transfers\":0,\"owner\":0,\"pid\":0}\n"
      "{\"type\":\"end\",\"region\":1,\"blocks\":1,\"live\":0,\"in_use\":0,\"requested\":0,\"available\":8192,"
      "\"largest\":8192,\"fragmentation\":0,\"changed\":false}\n");
  assert_ok(zcmem_mem_unpin(hal, third));
  assert_ok(zcmem_mem_free(hal, first));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_dump_of_many_blocks_and_of_a_region_that_ends_at_2_64(void **state) {
  struct zcmem_hal_config config = {.name = "d", .max_regions = 1};
  struct zcmem_region_config region = plain_region("r", 0u - 32 * KB, 32 * KB);
  struct zcmem_hal *hal = NULL;
  hal_addr_t addr = 0;
  (void)state;
  memset(&text, 0, sizeof text);
  region.max_blocks = 256;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  for (int i = 0; i < 256; i++) { /* eight pieces exactly, and no byte is left */
    assert_ok(zcmem_mem_alloc(hal, 0, 128, 1, &addr));
  }
  assert_ok(zcmem_hal_dump(hal, append, &text));
  assert_int_equal(lines_with("\"type\":\"block\""), 256);
  assert_int_equal(lines_with("\"offset\":32640,"), 1);
  assert_int_equal(lines_with("\"blocks\":256,\"live\":256,\"in_use\":32768,"), 1);
  assert_true(text.calls > 8);
  assert_int_equal(zcmem_hal_destroy(hal), 256);
}

/* The last piece is full, and behind it is nothing: which is found out by looking there. */
static void test_dump_of_a_full_region(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1};
  struct zcmem_region_config region = plain_region("r", BASE, 64 * 128);
  struct zcmem_hal *hal = NULL;
  (void)state;
  region.max_blocks = 64;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  for (int i = 0; i < 64; i++) {
    (void)taken(hal, 128, 0);
  }
  memset(&text, 0, sizeof text);
  assert_ok(zcmem_hal_dump(hal, append, &text));
  assert_int_equal(lines_with("\"type\":\"block\""), 64);
  assert_int_equal(lines_with("\"blocks\":64,\"live\":64,\"in_use\":8192,"), 1);
  assert_int_equal(zcmem_hal_destroy(hal), 64);
}

static void test_a_writer_that_fails_ends_the_dump(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  hal_addr_t addr = 0;
  (void)state;
  for (int i = 0; i < 100; i++) {
    addr = taken(hal, 128, 0);
  }
  for (unsigned at = 1; at < 5; at++) {
    memset(&text, 0, sizeof text);
    text.fail_in = at;
    assert_status(zcmem_hal_dump(hal, append, &text), ZCMEM_EIO);
    assert_int_equal(text.calls, at);
  }
  assert_ok(zcmem_mem_free(hal, addr));
  assert_int_equal(zcmem_hal_destroy(hal), 99);
}

/* What JSON, or a terminal, would take for something else. */
static void test_names_of_any_bytes(void **state) {
  const struct zcmem_hal_config config = {.name = "\\a\x01\x1f \"~\x7f\xff", .max_regions = 1};
  struct zcmem_hal *hal = NULL;
  (void)state;
  assert_ok(zcmem_hal_create(&config, NULL, 0, &hal));
  memset(&text, 0, sizeof text);
  assert_ok(zcmem_hal_dump(hal, append, &text));
  assert_int_equal(lines_with("\"device\":\"\\u005ca\\u0001\\u001f \\u0022~\\u007f\\u00ff\","), 1);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* All blocks merge into one that begins before the next piece: what is listed does not overlap, and it is said. */
static void test_blocks_that_change_while_they_are_written(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  (void)state;
  memset(&text, 0, sizeof text);
  text.hal = hal;
  for (int i = 0; i < 300; i++) {
    text.doomed[text.doomed_count++] = taken(hal, 128, 0);
  }
  assert_ok(zcmem_hal_dump(hal, append, &text));
  assert_int_equal(text.doomed_count, 0);
  assert_int_equal(lines_with("\"changed\":true"), 1);
  assert_int_equal(lines_with("\"changed\":false"), 1);
  uint32_t listed = lines_with("\"region\":0,\"offset\"");
  assert_in_range(listed, 32, 64);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* ------------------------------------------------------------------------------------------------------ recorder -- */

static struct {
  struct zcmem_event events[64];
  uint32_t count;
  uint64_t clock;
} record;

static void keep_event(void *ctx, const struct zcmem_event *event) {
  assert_ptr_equal(ctx, &record);
  assert_true(record.count < 64);
  record.events[record.count++] = *event;
}
static uint64_t tick(void *ctx) {
  assert_ptr_equal(ctx, &record);
  return record.clock += 10;
}
static uint64_t who(void *ctx) {
  assert_ptr_equal(ctx, &record);
  return 42;
}
static const struct zcmem_recorder recorder = {keep_event, tick, who, &record};

/* The next event of the record. */
static uint32_t seen;
static const struct zcmem_event *told(uint32_t kind, enum zcmem_status status, hal_addr_t addr, hal_size_t size) {
  assert_true(seen < record.count);
  const struct zcmem_event *event = &record.events[seen++];
  assert_int_equal(event->kind, kind);
  assert_status((enum zcmem_status)event->status, status);
  assert_int_equal(event->addr, addr);
  assert_int_equal(event->size, size);
  assert_int_equal(event->time, seen * 10);
  assert_int_equal(event->thread, 42);
  return event;
}

static struct zcmem_hal *recorded(uint32_t flags) {
  struct zcmem_host_device_config config = {.dram_bytes = 64 * KB, .msmc_bytes = 8 * KB, .flags = flags};
  struct zcmem_host_device *device = NULL;
  assert_ok(zcmem_host_device_create(&config, &device));
  memset(&record, 0, sizeof record);
  seen = 0;
  assert_ok(zcmem_hal_set_recorder(zcmem_host_device_hal(device), &recorder));
  record.clock = 0;
  text.hal = (void *)device;
  return zcmem_host_device_hal(device);
}

static void end_recorded(void) {
  assert_int_equal(seen, record.count);
  assert_int_equal(zcmem_host_device_destroy((void *)text.hal), 0);
}

static void test_a_recorder_is_told_of_every_call(void **state) {
  (void)state;
  for (uint32_t flags = 0; flags <= ZCMEM_HOST_DEVICE_MAGAZINES; flags += ZCMEM_HOST_DEVICE_MAGAZINES) {
    struct zcmem_hal *hal = recorded(flags);
    hal_addr_t a = 0, b = 0, batch[2];
    unsigned char bytes[300] = {0};
    void *host = NULL;
    assert_ok(zcmem_mem_alloc(hal, 0, 300, 256, &a));
    assert_int_equal(told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, a, 300)->align, 256);
    assert_ok(zcmem_mem_alloc_tagged(hal, 1, 1000, 1, 7, &b));
    assert_int_equal(told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, b, 1000)->region, 1);
    assert_int_equal(told(ZCMEM_EVENT_TAG, ZCMEM_OK, b, 0)->tag, 7);
    assert_status(zcmem_mem_alloc(hal, 1, 8 * KB, 1, batch), ZCMEM_ENOSPC);
    (void)told(ZCMEM_EVENT_ALLOC, ZCMEM_ENOSPC, 0, 8 * KB);
    assert_ok(zcmem_mem_resize(hal, a, 100));
    (void)told(ZCMEM_EVENT_RESIZE, ZCMEM_OK, a, 100);
    assert_ok(zcmem_mem_pin(hal, a + 5));
    (void)told(ZCMEM_EVENT_PIN, ZCMEM_OK, a + 5, 0);
    assert_status(zcmem_mem_free(hal, a), ZCMEM_EBUSY);
    (void)told(ZCMEM_EVENT_FREE, ZCMEM_EBUSY, a, 0);
    assert_ok(zcmem_mem_unpin(hal, a));
    (void)told(ZCMEM_EVENT_UNPIN, ZCMEM_OK, a, 0);
    assert_ok(zcmem_mem_map(hal, b, 50, ZCMEM_MAP_READ, &host));
    (void)told(ZCMEM_EVENT_MAP, ZCMEM_OK, b, 50);
    assert_ok(zcmem_mem_free_deferred(hal, b));
    (void)told(ZCMEM_EVENT_FREE_DEFERRED, ZCMEM_OK, b, 0);
    assert_ok(zcmem_mem_unmap(hal, host));
    (void)told(ZCMEM_EVENT_UNMAP, ZCMEM_OK, b, 0);
    assert_ok(zcmem_mem_write(hal, a, bytes, 100));
    (void)told(ZCMEM_EVENT_WRITE, ZCMEM_OK, a, 100);
    assert_ok(zcmem_mem_read(hal, bytes, a, 99));
    (void)told(ZCMEM_EVENT_READ, ZCMEM_OK, a, 99);
    assert_ok(zcmem_mem_fill(hal, a, "ab", 2, 98));
    (void)told(ZCMEM_EVENT_FILL, ZCMEM_OK, a, 98);
    assert_ok(zcmem_mem_copy(hal, a + 50, a, 50));
    assert_int_equal(told(ZCMEM_EVENT_COPY, ZCMEM_OK, a + 50, 50)->other, a);
    const struct zcmem_batch_item items[2] = {{100, 1}, {200, 1}};
    assert_ok(zcmem_mem_alloc_batch(hal, 0, items, 2, batch));
    (void)told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, batch[0], 100);
    (void)told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, batch[1], 200);
    uint32_t freed = 0;
    assert_ok(zcmem_mem_free_batch(hal, batch, 2, &freed));
    assert_int_equal(freed, 2);
    (void)told(ZCMEM_EVENT_FREE, ZCMEM_OK, batch[0], 0);
    (void)told(ZCMEM_EVENT_FREE, ZCMEM_OK, batch[1], 0);
    assert_ok(zcmem_mem_free(hal, a));
    (void)told(ZCMEM_EVENT_FREE, ZCMEM_OK, a, 0);
    for (uint32_t i = 1; i < record.count; i++) {
      assert_int_equal(record.events[i].sequence, i);
    }
    assert_ok(zcmem_hal_set_recorder(hal, NULL));
    assert_ok(zcmem_mem_alloc(hal, 0, 300, 1, &a));
    assert_ok(zcmem_mem_free(hal, a));
    end_recorded();
  }
}

static void test_a_buffers_own_memory_is_told(void **state) {
  struct zcmem_hal *hal = recorded(0);
  struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 2, .max_views = 2};
  struct zcmem_buffer_config fresh = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, .size = 500};
  struct zcmem_buffers *buffers = NULL;
  zcmem_buffer_t buffer = 0;
  (void)state;
  assert_true(zcmem_buffers_bytes(&config) <= sizeof memory);
  assert_ok(zcmem_buffers_init(memory, sizeof memory, &config, &buffers));
  assert_ok(zcmem_buffer_create(buffers, &fresh, &buffer));
  assert_ok(zcmem_buffer_release(buffers, buffer));
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  hal_addr_t addr = record.events[0].addr;
  (void)told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, addr, 500);
  (void)told(ZCMEM_EVENT_FREE, ZCMEM_OK, addr, 0);
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  end_recorded();
}

/* The status of an event is the call's, whatever it was; and what met no lock is not told at all. */
static void test_calls_that_fail_are_told_as_they_answered(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 2, .max_mappings = 1, .lock = &fake_lock};
  struct fake_region near, far;
  struct zcmem_hal *hal = NULL;
  unsigned char bytes[400];
  void *host = NULL;
  hal_addr_t a = 0, b = 0;
  (void)state;
  fake_reset();
  struct zcmem_region_config regions[2] = {fake_region_open(&near, FAKE_HOST, "near", BASE, 16 * KB),
                                           fake_region_open(&far, FAKE_MAP, "far", BASE << 8, 16 * KB)};
  regions[0].flags |= ZCMEM_REGION_HANDLES;
  assert_ok(zcmem_hal_create(&config, regions, 2, &hal));
  assert_ok(zcmem_mem_alloc(hal, 0, 300, 1, &a));
  assert_ok(zcmem_mem_alloc(hal, 1, 300, 1, &b));
  const struct zcmem_handle stale = {.addr = a};
  memset(&record, 0, sizeof record);
  seen = 0;
  assert_ok(zcmem_hal_set_recorder(hal, &recorder));
  fake.lasting = true;
  fake.fail_lock_in = 1; /* which the first transfer of a region needs */
  assert_status(zcmem_mem_copy(hal, b, b + 1, 3), ZCMEM_ELOCK);
  assert_status(zcmem_mem_read(hal, bytes, a, 3), ZCMEM_ELOCK);
  fake.lasting = false;
  fake.fail_lock_in = 0;
  assert_status(zcmem_mem_read(hal, bytes, a, 301), ZCMEM_EBOUNDS);
  (void)told(ZCMEM_EVENT_READ, ZCMEM_EBOUNDS, a, 301);
  assert_status(zcmem_mem_write(hal, b + 1024, bytes, 3), ZCMEM_ENOENT);
  (void)told(ZCMEM_EVENT_WRITE, ZCMEM_ENOENT, b + 1024, 3);
  assert_status(zcmem_mem_fill(hal, a, bytes, 1, 301), ZCMEM_EBOUNDS);
  (void)told(ZCMEM_EVENT_FILL, ZCMEM_EBOUNDS, a, 301);
  assert_status(zcmem_mem_copy(hal, a, b, 301), ZCMEM_EBOUNDS);
  (void)told(ZCMEM_EVENT_COPY, ZCMEM_EBOUNDS, a, 301);
  assert_status(zcmem_mem_read_handle(hal, bytes, stale, 7, 1), ZCMEM_ENOENT);
  (void)told(ZCMEM_EVENT_READ, ZCMEM_ENOENT, a + 7, 1);
  assert_status(zcmem_mem_write_handle(hal, stale, 0, bytes, 1), ZCMEM_ENOENT);
  (void)told(ZCMEM_EVENT_WRITE, ZCMEM_ENOENT, a, 1);
  assert_status(zcmem_mem_map(hal, a, 301, ZCMEM_MAP_READ, &host), ZCMEM_EBOUNDS);
  (void)told(ZCMEM_EVENT_MAP, ZCMEM_EBOUNDS, a, 301);
  fake.fail_callback_in = 1;
  assert_status(zcmem_mem_map(hal, b, 300, ZCMEM_MAP_READ, &host), ZCMEM_EIO);
  (void)told(ZCMEM_EVENT_MAP, ZCMEM_EIO, b, 300);
  assert_null(host);
  assert_status(zcmem_mem_unmap(hal, near.memory), ZCMEM_ENOTMAPPED); /* there it is an unpin too many */
  (void)told(ZCMEM_EVENT_UNMAP, ZCMEM_ENOTMAPPED, a, 0);
  assert_status(zcmem_mem_unmap(hal, near.memory + 1024), ZCMEM_ENOTMAPPED);
  (void)told(ZCMEM_EVENT_UNMAP, ZCMEM_ENOTMAPPED, a + 1024, 0);
  assert_ok(zcmem_mem_map(hal, b, 300, ZCMEM_MAP_READ, &host));
  (void)told(ZCMEM_EVENT_MAP, ZCMEM_OK, b, 300);
  fake.fail_callback_in = 1;
  assert_status(zcmem_mem_unmap(hal, host), ZCMEM_EIO);
  (void)told(ZCMEM_EVENT_UNMAP, ZCMEM_EIO, b, 0);
  fake.lasting = true;
  fake.fail_lock_in = 1;
  assert_status(zcmem_mem_pin(hal, b), ZCMEM_ELOCK);
  fake.fail_lock_in = 2; /* the table's, and then the region's once more: the block stays in use */
  assert_status(zcmem_mem_map(hal, b, 3, ZCMEM_MAP_READ, &host), ZCMEM_ELOCK);
  fake.lasting = false;
  fake.fail_lock_in = 0;
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  assert_int_equal(seen, record.count);
  assert_int_equal(zcmem_hal_destroy(hal), 2);
  fake_region_close(&near);
  fake_region_close(&far);
}

/* A lock of one thread, behind which another call comes as soon as it is let go. */
static struct {
  struct zcmem_hal *hal;
  hal_addr_t addr; /* of a block to be freed, deferred; 0: none */
} behind;

static int take_nothing(void *lock) {
  (void)lock;
  return 0;
}

static void forget_nothing(void *lock) {
  (void)lock;
}

static void let_another_free(void *lock) {
  const hal_addr_t addr = behind.addr;
  (void)lock;
  behind.addr = 0;
  if (addr != 0) {
    assert_ok(zcmem_mem_free_deferred(behind.hal, addr));
  }
}

static const struct zcmem_lock_ops lock_with_another = {
    .init = take_nothing, .destroy = forget_nothing, .lock = take_nothing, .unlock = let_another_free};

/* What came first has the smaller number, though it is told later. */
static void test_the_sequence_is_what_happened(void **state) {
  static unsigned char host[16 * 1024];
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1, .lock = &lock_with_another};
  struct zcmem_region_config region = plain_region("r", BASE, sizeof host);
  (void)state;
  region.host = host;
  for (unsigned kind = 0; kind < 3; kind++) {
    struct zcmem_handle handle;
    hal_addr_t addr = 0;
    region.flags = kind == 1 ? ZCMEM_REGION_HANDLES : 0;
    memset(&record, 0, sizeof record);
    assert_ok(zcmem_hal_create(&config, &region, 1, &behind.hal));
    assert_ok(zcmem_mem_alloc(behind.hal, 0, 300, 1, &addr));
    if (kind == 1) {
      assert_ok(zcmem_mem_handle(behind.hal, addr, &handle));
    }
    assert_ok(zcmem_hal_set_recorder(behind.hal, &recorder));
    behind.addr = addr;
    assert_ok(kind == 0   ? zcmem_mem_pin(behind.hal, addr)
              : kind == 1 ? zcmem_mem_pin_handle(behind.hal, handle)
                          : zcmem_mem_set_tag(behind.hal, addr, 5));
    assert_int_equal(record.count, 2);
    assert_int_equal(record.events[0].kind, kind == 2 ? ZCMEM_EVENT_FREE : ZCMEM_EVENT_FREE_DEFERRED);
    assert_int_equal(record.events[0].sequence, 1);
    assert_int_equal(record.events[1].kind, kind == 2 ? ZCMEM_EVENT_TAG : ZCMEM_EVENT_PIN);
    assert_int_equal(record.events[1].sequence, 0);
    if (kind != 2) {
      assert_ok(zcmem_mem_unpin(behind.hal, addr));
    }
    assert_int_equal(zcmem_hal_destroy(behind.hal), 0);
  }
}

/* Others may use a buffer's block beside it; a stray free may even have come before. */
static void test_how_a_buffers_own_memory_is_freed_is_told(void **state) {
  struct zcmem_hal *hal = recorded(0);
  struct zcmem_buffers_config config = {.hal = hal, .max_buffers = 1, .max_views = 1};
  struct zcmem_buffer_config fresh = {.flags = ZCMEM_BUFFER_READ | ZCMEM_BUFFER_WRITE, .size = 500};
  struct zcmem_buffers *buffers = NULL;
  (void)state;
  assert_ok(zcmem_buffers_init(memory, sizeof memory, &config, &buffers));
  for (unsigned stray = 0; stray < 2; stray++) {
    struct zcmem_region_stats stats = {.struct_bytes = sizeof stats};
    zcmem_buffer_t buffer = 0;
    struct zcmem_buffer_info info;
    assert_ok(zcmem_buffer_create(buffers, &fresh, &buffer));
    assert_ok(zcmem_buffer_get_info(buffers, buffer, &info));
    (void)told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, info.addr, 500);
    assert_ok(zcmem_mem_pin(hal, info.addr));
    (void)told(ZCMEM_EVENT_PIN, ZCMEM_OK, info.addr, 0);
    if (stray != 0) {
      assert_ok(zcmem_mem_free_deferred(hal, info.addr));
    } else {
      assert_ok(zcmem_buffer_release(buffers, buffer));
    }
    (void)told(ZCMEM_EVENT_FREE_DEFERRED, ZCMEM_OK, info.addr, 0);
    assert_ok(zcmem_mem_unpin(hal, info.addr));
    (void)told(ZCMEM_EVENT_UNPIN, ZCMEM_OK, info.addr, 0);
    if (stray != 0) {
      assert_ok(zcmem_buffer_release(buffers, buffer));
    }
    assert_ok(zcmem_hal_region_stats(hal, 0, &stats));
    assert_int_equal(stats.deferred_frees, stray + 1);
    assert_int_equal(stats.frees, stray + 1);
    assert_int_equal(stats.live, 0);
  }
  assert_int_equal(zcmem_buffers_destroy(buffers), 0);
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  end_recorded();
}

/* What magazines keep is given back, nothing goes by unseen, and afterwards they work again; also in a new region. */
/* Where pointer and address are not aligned alike, what is allocated, given back and taken anew is told as such. */
static void test_an_aligned_block_of_malloc_is_told(void **state) {
  const struct zcmem_hal_config config = {.name = "device", .max_regions = 1};
  struct fake_region near;
  const struct zcmem_region_config region = fake_region_open(&near, FAKE_HOST, "near", (hal_addr_t)1 << 32, 64 * KB);
  struct zcmem_hal *hal = NULL;
  hal_addr_t addr = 0;
  hal_size_t remaining = 0;
  size_t align = 256;
  (void)state;
  memset(&record, 0, sizeof record);
  seen = 0;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_malloc_set_hal(hal));
  assert_ok(zcmem_hal_set_recorder(hal, &recorder));
  while ((uintptr_t)near.memory % align == 0) {
    align *= 2;
  }
  void *ptr = zcmem_aligned_alloc(ZCMEM_KIND_DRAM, align, 100);
  assert_non_null(ptr);
  assert_int_equal((uintptr_t)ptr % align, 0);
  assert_ok(zcmem_mem_device(hal, ptr, &addr, &remaining));
  const hal_addr_t whole = told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, record.events[0].addr, 100 + align - 128)->addr;
  (void)told(ZCMEM_EVENT_FREE, ZCMEM_OK, whole, 0);
  assert_int_equal(told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, addr, 100)->align, align);
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  zcmem_free(ZCMEM_KIND_DRAM, ptr);
  assert_int_equal(seen, record.count);
  assert_ok(zcmem_malloc_set_hal(NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
  fake_region_close(&near);
}

static void test_magazines_rest_while_a_recorder_is_set(void **state) {
  struct zcmem_hal_config config = {.name = "d", .max_regions = 2, .flags = ZCMEM_HAL_MAGAZINES};
  struct zcmem_region_config region = plain_region("r", BASE, 64 * KB), other = plain_region("s", 0x900000, 64 * KB);
  struct zcmem_hal *hal = NULL;
  struct zcmem_free_stats stats = {.struct_bytes = sizeof stats};
  hal_addr_t addr = 0;
  (void)state;
  memset(&record, 0, sizeof record);
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  for (int i = 0; i < 10; i++) {
    assert_ok(zcmem_mem_free(hal, taken(hal, 256, 0)));
  }
  assert_ok(zcmem_hal_free_stats(hal, 0, &stats));
  uint64_t kept = stats.cached_blocks;
#if !defined(ZCMEM_NO_PTHREAD) && !defined(ZCMEM_NO_MAGAZINES) && UINTPTR_MAX > UINT32_MAX
  assert_int_equal(kept, 1);
#endif
  assert_ok(zcmem_hal_set_recorder(hal, &recorder));
  assert_ok(zcmem_hal_set_recorder(hal, &recorder)); /* once more is nothing else */
  assert_ok(zcmem_hal_free_stats(hal, 0, &stats));
  assert_int_equal(stats.cached_blocks, 0);
  assert_ok(zcmem_hal_add_region(hal, &other, NULL));
  for (uint32_t i = 0; i < 10; i++) {
    assert_ok(zcmem_mem_alloc(hal, i % 2, 256, 1, &addr));
    assert_ok(zcmem_mem_free(hal, addr));
  }
  assert_int_equal(record.count, 20);
  struct zcmem_region_stats before = {.struct_bytes = sizeof before}, after = before;
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  for (uint32_t r = 0; r < 2; r++) {
    assert_ok(zcmem_hal_region_stats(hal, r, &before));
    for (int i = 0; i < 10; i++) {
      assert_ok(zcmem_mem_alloc(hal, r, 256, 1, &addr));
      assert_ok(zcmem_mem_free(hal, addr));
    }
    assert_ok(zcmem_hal_region_stats(hal, r, &after));
    assert_true(kept == 0 || after.magazine_hits > before.magazine_hits);
  }
  assert_int_equal(record.count, 20);
  assert_ok(zcmem_hal_check(hal));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* In a region with hardening other code allocates and frees; and where handles are, tags are not. */
static void test_regions_with_hardening_are_recorded_too(void **state) {
  static unsigned char host[64 * 1024];
  struct zcmem_hal_config config = {.name = "d", .max_regions = 1};
  struct zcmem_region_config region = plain_region("r", BASE, sizeof host);
  struct zcmem_hal *hal = NULL;
  hal_addr_t addr = 0;
  (void)state;
  region.host = host;
  region.flags = ZCMEM_REGION_HANDLES | ZCMEM_REGION_POISON;
  memset(&record, 0, sizeof record);
  seen = 0;
  assert_ok(zcmem_hal_create(&config, &region, 1, &hal));
  assert_ok(zcmem_hal_set_recorder(hal, &recorder));
  assert_status(zcmem_mem_alloc_tagged(hal, 0, 100, 1, 5, &addr), ZCMEM_EINVAL);
  assert_ok(zcmem_mem_alloc_tagged(hal, 0, 100, 1, 0, &addr));
  (void)told(ZCMEM_EVENT_ALLOC, ZCMEM_OK, addr, 100);
  assert_status(zcmem_mem_set_tag(hal, addr, 5), ZCMEM_EINVAL);
  assert_ok(zcmem_mem_resize(hal, addr, 200));
  (void)told(ZCMEM_EVENT_RESIZE, ZCMEM_OK, addr, 200);
  assert_ok(zcmem_mem_free_batch(hal, &addr, 1, NULL));
  (void)told(ZCMEM_EVENT_FREE, ZCMEM_OK, addr, 0);
  assert_status(zcmem_mem_free(hal, addr), ZCMEM_ENOENT);
  (void)told(ZCMEM_EVENT_FREE, ZCMEM_ENOENT, addr, 0);
  assert_int_equal(seen, record.count);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* A region may come later, with magazines, which rest as well, or without. */
static void test_regions_that_are_added_are_recorded_too(void **state) {
  struct zcmem_hal_config config = {.name = "device", .max_regions = 2, .flags = ZCMEM_HAL_MAGAZINES};
  struct zcmem_hal *hal = NULL;
  (void)state;
  memset(&record, 0, sizeof record);
  seen = 0;
  assert_ok(zcmem_hal_create(&config, NULL, 0, &hal));
  assert_ok(zcmem_hal_set_recorder(hal, &recorder));
  for (uint32_t i = 0; i < 2; i++) {
    struct zcmem_region_config region = plain_region(i == 0 ? "a" : "b", BASE << i, 8 * KB);
    hal_addr_t addr = 0;
    region.magazine_share = i == 0 ? 0 : ZCMEM_MAGAZINE_NONE;
    assert_ok(zcmem_hal_add_region(hal, &region, NULL));
    assert_ok(zcmem_mem_alloc(hal, i, 100, 1, &addr));
    assert_ok(zcmem_mem_free(hal, addr));
    assert_int_equal(record.events[record.count - 2].kind, ZCMEM_EVENT_ALLOC);
    assert_int_equal(record.events[record.count - 1].kind, ZCMEM_EVENT_FREE);
    assert_int_equal(record.events[record.count - 1].addr, addr);
    assert_int_equal(record.events[record.count - 1].region, i);
  }
  assert_ok(zcmem_hal_set_recorder(hal, NULL));
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

static void test_recorders_that_are_refused(void **state) {
  struct zcmem_hal *hal = two_regions(0);
  const struct zcmem_recorder mute = {NULL, tick, who, &record};
  (void)state;
  assert_status(zcmem_hal_set_recorder(NULL, &recorder), ZCMEM_EINVAL);
  assert_status(zcmem_hal_set_recorder(hal, &mute), ZCMEM_EINVAL);
  assert_int_equal(zcmem_hal_destroy(hal), 0);
}

/* ------------------------------------------------------------------------------------------------ events as bytes --
 */

static void assert_same_event(const struct zcmem_event *a, const struct zcmem_event *b) {
  assert_int_equal(a->kind, b->kind);
  assert_int_equal(a->region, b->region);
  assert_int_equal(a->status, b->status);
  assert_int_equal(a->tag, b->tag);
  assert_int_equal(a->sequence, b->sequence);
  assert_int_equal(a->time, b->time);
  assert_int_equal(a->thread, b->thread);
  assert_int_equal(a->addr, b->addr);
  assert_int_equal(a->other, b->other);
  assert_int_equal(a->size, b->size);
  assert_int_equal(a->align, b->align);
}

static void test_events_are_read_as_they_were_written(void **state) {
  const struct zcmem_event all = {UINT32_MAX, UINT32_MAX, ZCMEM_ELOCK, UINT32_MAX, UINT32_MAX, 0,
                                  ANY,        ANY,        ANY,         ANY,        ANY,        ANY};
  uint8_t bytes[ZCMEM_EVENT_BYTES];
  struct zcmem_event event;
  size_t used = 0;
  uint64_t seed = env_number("ZCMEM_TEST_SEED", 1);
  (void)state;
  assert_int_equal(zcmem_event_encode(NULL, bytes), 0);
  assert_int_equal(zcmem_event_encode(&all, NULL), 0);
  size_t size = zcmem_event_encode(&all, bytes);
  assert_in_range(size, 80, ZCMEM_EVENT_BYTES);
  assert_ok(zcmem_event_decode(bytes, size, &event, &used));
  assert_int_equal(used, size);
  assert_same_event(&event, &all);
  const struct zcmem_event nothing = {0};
  assert_int_equal(zcmem_event_encode(&nothing, bytes), 2);
  assert_ok(zcmem_event_decode(bytes, 2, &event, &used));
  assert_same_event(&event, &nothing);
  for (int i = 0; i < 10000; i++) {
    uint64_t n[8];
    for (int k = 0; k < 8; k++) {
      n[k] = random_next(&seed) >> random_below(&seed, 64);
    }
    const struct zcmem_event some = {(uint32_t)n[0], (uint32_t)n[1], -(int32_t)random_below(&seed, 13),
                                     (uint32_t)n[2], (uint32_t)n[3], 0,
                                     n[4],           n[5],           n[6],
                                     n[7],           n[0],           n[1]};
    size = zcmem_event_encode(&some, bytes);
    assert_ok(zcmem_event_decode(bytes, sizeof bytes, &event, &used));
    assert_int_equal(used, size);
    assert_same_event(&event, &some);
  }
}

static void test_bytes_that_are_no_event_are_refused(void **state) {
  const struct zcmem_event some = {.kind = 1, .status = -2, .time = 12345678, .addr = 0x1234567890};
  uint8_t bytes[ZCMEM_EVENT_BYTES] = {0};
  struct zcmem_event event;
  size_t used = 77, size = zcmem_event_encode(&some, bytes);
  (void)state;
  assert_status(zcmem_event_decode(NULL, size, &event, &used), ZCMEM_EINVAL);
  assert_status(zcmem_event_decode(bytes, size, NULL, &used), ZCMEM_EINVAL);
  assert_status(zcmem_event_decode(bytes, size, &event, NULL), ZCMEM_EINVAL);
  for (size_t cut = 0; cut < size; cut++) {
    assert_status(zcmem_event_decode(bytes, cut, &event, &used), ZCMEM_EBOUNDS);
  }
  for (size_t i = 1; i < size; i++) {
    bytes[i] ^= 0x10;
    assert_status(zcmem_event_decode(bytes, size, &event, &used), ZCMEM_ECORRUPT);
    bytes[i] ^= 0x10;
  }
  /* Sums that are right: no number at all, one without an end, one of 65 bits, one too many, a kind that is too large.
   */
  const uint8_t wrong[][16] = {{0},
                               {2, 0x80, 0x7e},
                               {11, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0xfc},
                               {13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xf2},
                               {6, 0x80, 0x80, 0x80, 0x80, 0x10, 0xea}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    assert_status(zcmem_event_decode(wrong[i], 16, &event, &used), ZCMEM_ECORRUPT);
  }
  /* The same number at each place: 2^32 is too large for five of them, 2^31 for the status as well. */
  for (unsigned bits = 31; bits <= 32; bits++) {
    for (unsigned place = 0; place < 11; place++) {
      uint8_t number[24] = {(uint8_t)(place + 6)}; /* zeros up to the place, then five bytes, then the sum */
      unsigned sum = number[0];
      for (unsigned i = 0; i < 4; i++) {
        number[1 + place + i] = 0x80;
      }
      number[1 + place + 4] = (uint8_t)(1u << (bits - 28));
      for (unsigned i = 1; i < place + 6; i++) {
        sum += number[i];
      }
      number[place + 6] = (uint8_t)(0u - sum);
      bool is_large = place == 1 || (bits == 32 && (place == 0 || place == 2 || place == 5 || place == 6));
      size_t length = 0;
      assert_status(zcmem_event_decode(number, sizeof number, &event, &length), is_large ? ZCMEM_ECORRUPT : ZCMEM_OK);
      assert_int_equal(length, is_large ? 0 : place + 7);
    }
  }
  assert_int_equal(used, 77);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_region_stats_have_fragmentation_and_free_blocks),
      cmocka_unit_test(test_fragmentation_of_a_region_of_many_terabytes),
      cmocka_unit_test(test_stats_of_an_older_program_are_a_part),
      cmocka_unit_test(test_magazine_hits_are_counted),
      cmocka_unit_test(test_tags_are_set_and_told),
      cmocka_unit_test(test_figures_by_tag),
      cmocka_unit_test(test_figures_by_tag_during_a_transfer),
      cmocka_unit_test(test_free_blocks_by_size),
      cmocka_unit_test(test_dump_lists_every_block),
      cmocka_unit_test(test_dump_of_many_blocks_and_of_a_region_that_ends_at_2_64),
      cmocka_unit_test(test_dump_of_a_full_region),
      cmocka_unit_test(test_a_writer_that_fails_ends_the_dump),
      cmocka_unit_test(test_names_of_any_bytes),
      cmocka_unit_test(test_blocks_that_change_while_they_are_written),
      cmocka_unit_test(test_a_recorder_is_told_of_every_call),
      cmocka_unit_test(test_a_buffers_own_memory_is_told),
      cmocka_unit_test(test_calls_that_fail_are_told_as_they_answered),
      cmocka_unit_test(test_the_sequence_is_what_happened),
      cmocka_unit_test(test_how_a_buffers_own_memory_is_freed_is_told),
      cmocka_unit_test(test_an_aligned_block_of_malloc_is_told),
      cmocka_unit_test(test_magazines_rest_while_a_recorder_is_set),
      cmocka_unit_test(test_regions_with_hardening_are_recorded_too),
      cmocka_unit_test(test_regions_that_are_added_are_recorded_too),
      cmocka_unit_test(test_recorders_that_are_refused),
      cmocka_unit_test(test_events_are_read_as_they_were_written),
      cmocka_unit_test(test_bytes_that_are_no_event_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
